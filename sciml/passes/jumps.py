"""The times at which right sides may jump: `Piecewise((5, t >= 1.1), (0, True))`, `Heaviside(t - t0)`.

A step across a jump is as wrong as it is long, whatever the order of the method, so solvers step to such times and start
anew behind them (Hairer, Norsett and Wanner I (1993), II.6). Known from the symbols: comparisons of the time with numbers
and parameters.
"""

import sympy as sp
from sympy.core.relational import Relational

from ..symbols import declaration_of, distinct_nodes, t
from ..system import System


def jump_times(system: System) -> tuple[sp.Expr, ...]:
    """The times as expressions of parameters, in the order in which they are met."""
    found: dict[sp.Expr, None] = {}
    expressions = [side for e in system.equations for side in (e.lhs, e.rhs)] + list(system.eliminated.values())
    for n in distinct_nodes(*expressions):
        if isinstance(n, Relational):
            difference = n.lhs - n.rhs
        elif isinstance(n, sp.Heaviside | sp.sign):
            difference = n.args[0]
        else:
            continue
        time = _root(difference)
        if time is not None:
            found.setdefault(time)
    return tuple(found)


def _root(difference: sp.Expr) -> sp.Expr | None:
    """Where a*t + b is zero, for a and b of numbers and parameters; None for anything else."""
    if not difference.has(t):
        return None
    slope = difference.diff(t)
    rest = difference.xreplace({t: sp.S.Zero})
    for n in distinct_nodes(slope, rest):
        d = declaration_of(n)
        if d is not None and (d.kind not in ("parameter", "constant") or d.shape):
            return None
    return None if slope == 0 or slope.has(t) else -rest / slope
