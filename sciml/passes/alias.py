"""Alias elimination: `a = b` leaves one unknown."""

from typing import Any

import numpy as np
import sympy as sp

from ..errors import ModelError
from ..symbols import Applied, declaration_of
from ..system import System, find_aliases, name_of


def eliminate_aliases(system: System) -> System:
    """Equations `a = b` and `a = -b` disappear; what was eliminated is kept as a definition, so `sol[b]` still works."""
    aliases = find_aliases(system.equations)
    if not aliases.kept:
        return system
    expressions: dict[sp.Basic, sp.Expr] = {u: sign * v for u, (v, sign) in aliases.kept.items()}
    rewrite = lambda side: side.xreplace(expressions).doit(deep=False) if side.has(sp.Derivative) else side.xreplace(expressions)  # noqa: E731
    return system.derive(
        equations=tuple(e.map(lambda side: _derivatives_done(rewrite(side))) for e in aliases.rest),
        observed={k: _derivatives_done(rewrite(v)) for k, v in system.observed.items()},
        eliminated={**expressions, **{u: rewrite(v) for u, v in system.eliminated.items()}},
        initial=_moved_initial(system, aliases.kept),
    )


def _derivatives_done(side: sp.Expr) -> sp.Expr:
    """d(-v)/dt as -(dv/dt)."""
    pending = [d for d in side.atoms(sp.Derivative) if not isinstance(d.expr, Applied)]
    return side.xreplace({d: d.doit() for d in pending}) if pending else side


def _moved_initial(system: System, kept: dict[Applied, tuple[Applied, int]]) -> dict:
    """An initial value given to an eliminated unknown holds for the one that stays; two that differ are an error."""
    initial = dict(system.initial)
    for dropped, (stays, sign) in kept.items():
        for primes in ("", "'"):
            gone, left = name_of(dropped) + primes, name_of(stays) + primes
            value = initial.pop(gone, None if primes else declaration_of(dropped).value)
            if value is None:
                continue
            there = initial.get(left, None if primes else declaration_of(stays).value)
            if there is None:
                initial[left] = sign * value
            elif not _same(there, sign * value):
                raise ModelError(
                    f"'{gone}' and '{left}' are equal{' up to sign' if sign < 0 else ''} by an equation, but their initial values differ: "
                    f'{value} and {there}. Give one of them: initial={{"{left}": ...}}.'
                )
    return initial


def _same(a: Any, b: Any) -> bool:
    if isinstance(a, sp.Basic) or isinstance(b, sp.Basic):
        return bool(a == b)
    return bool(np.all(np.asarray(a) == np.asarray(b)))
