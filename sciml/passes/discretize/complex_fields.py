"""Complex fields as pairs of real ones: psi = psi_re + i psi_im, and two equations for each complex one."""

import dataclasses
from typing import Any

import numpy as np
import sympy as sp

from ...errors import ModelError
from ...symbols import Applied, Head, declaration_of, distinct_nodes
from ...system import Equation, System
from .nodes import Node


@dataclasses.dataclass(frozen=True, eq=False)
class Split:
    """The System with real fields only, and what stands for each complex one."""

    system: System
    parts: dict[Applied, sp.Expr]
    observed: dict[str, sp.Expr]

    def replaced(self, e: Any) -> Any:
        """An expression in real fields."""
        return _into(e, self.parts) if self.parts and isinstance(e, sp.Basic) else e


def split_complex(system: System) -> Split:
    """Real and imaginary parts as fields of their own; the same System where all fields are real."""
    fields = [s for s in system.symbols.values() if declaration_of(s).kind == "field" and s.is_real is not True]
    if not fields:
        return Split(system, {}, {})
    parts: dict[Applied, sp.Expr] = {}
    pairs: dict[str, tuple[Applied, Applied]] = {}
    for u in fields:
        d = declaration_of(u)
        values = _both(system.initial.get(d.name, d.value))
        made = []
        for suffix, value in zip(("re", "im"), values, strict=True):
            name = f"{d.name}_{suffix}"
            if name in system.symbols:
                raise ModelError(f"The complex field '{d.name}' needs the name '{name}', which is taken. Rename that symbol.")
            made.append(Head(dataclasses.replace(d, name=name, value=value), real=True)(*d.over))
        pairs[d.name] = (made[0], made[1])
        parts[u] = made[0] + sp.I * made[1]
    equations = [new for e in system.equations for new in _split(e, parts)]
    boundary = {side: tuple(new for e in conditions for new in _split(e, parts)) for side, conditions in system.boundary.items()}
    initial = {n: v for n, v in system.initial.items() if n.rstrip("'") not in pairs}
    for n, v in system.initial.items():  # values of rates, psi' -> psi_re', psi_im'
        base = n.rstrip("'")
        if base in pairs and base != n:
            initial.update({f"{base}_{part}{n[len(base) :]}": half for part, half in zip(("re", "im"), _both(v), strict=True)})
    observed = {n: _into(v, parts) for n, v in system.observed.items()}
    return Split(system.derive(equations=tuple(equations), boundary=boundary, initial=initial, observed=observed), parts, {})


def _both(value: Any) -> tuple[Any, Any]:
    if value is None:
        return None, None
    if isinstance(value, sp.Basic):
        real, imaginary = _parts_of(value)
        return tuple(float(v) if v.is_number else v for v in (real, imaginary))  # type: ignore[return-value]
    array = np.asarray(value)
    both = (np.real(array), np.imag(array))
    return tuple(float(v) if v.ndim == 0 else v for v in both)  # type: ignore[return-value]


def _into(e: sp.Basic, parts: dict[Applied, sp.Expr]) -> sp.Basic:
    replaced = e.xreplace(parts)
    pending = {d: d.doit() for d in distinct_nodes(replaced) if isinstance(d, sp.Derivative) and not isinstance(d.expr, Applied)}
    return replaced.xreplace(pending) if pending else replaced


def _split(e: Equation, parts: dict[Applied, sp.Expr]) -> list[Equation]:
    if not any(e.lhs.has(u) or e.rhs.has(u) for u in parts):
        return [e]
    real, imaginary = _parts_of(sp.expand(_into(e.residual, parts)))
    return [Equation(part, sp.S.Zero, e.where) for part in (real, imaginary) if part != 0]


def _parts_of(e: sp.Expr) -> tuple[sp.Expr, sp.Expr]:
    """Real and imaginary part, where everything but the imaginary unit is real."""
    atoms = [n for n in distinct_nodes(e) if isinstance(n, sp.Derivative | Node | sp.Integral) or (isinstance(n, Applied) and n.is_real)]
    outer = {n: sp.Dummy(real=True) for n in atoms}
    plain = e.xreplace(outer)
    back = {v: k for k, v in outer.items()}
    # SymPy leaves re(exp(I a) exp(I b)) as it is unless told to expand it
    real, imaginary = (part.expand(complex=True) if part.has(sp.re, sp.im) else part for part in plain.as_real_imag())
    return real.xreplace(back), imaginary.xreplace(back)
