"""A neighbour of a discretised System whose operators have constant coefficients, so that modes make it diagonal.

    D(k(x) u_x, x)             D(k at the middle  u_x, x)
    (1 + u^2) u_xx             (1 + typical^2) u_xx

It is no approximation of the solution. Its inverse is near enough to that of the System for iterations to need
a number of turns that does not grow with the grid (Concus and Golub, SIAM J. Numer. Anal. 10 (1973) 1103).
"""

from typing import Any

import numpy as np
import sympy as sp

from ...symbols import At, Coordinate, D, declaration_of, t
from ...system import Equation, System
from .arrays import INSIDE
from .equations import cuts_of, with_ends
from .grid import Field, Grid
from .modes import Modes, modes_of

_TYPICAL = 0.5  # value of a field in a coefficient, where nothing else is known


def averaged_modes(system: System) -> Modes | None:
    """The modes of the neighbour of a reduced System; None where it has none, or where rates stand in front of each other.

    Equations without a rate count as if they gave one.
    """
    own: Grid | None = system.grid
    if own is None or any(f.order > 1 for f in own.fields.values()):
        return None
    declared = own.split.system
    middles = {a.coordinate: sp.Float((a.low + a.high) / 2) for a in own.axes.values()}
    pairs = [(e, e.map(lambda side: _constant(side, middles))) for e in declared.equations]
    grid = Grid(declared.derive(equations=tuple(e for _, e in pairs)), own.methods)
    equations, eliminated = [], {}
    for e in grid.split.system.equations:
        if id(e) not in grid.rates:
            return None  # an unknown of time alone
        field, right = grid.rates[id(e)]
        arrays = grid.visitor(field.coordinates)
        if grid.frame_of(field.symbol, e.lhs, e.rhs) != field.coordinates:
            return None
        value = arrays.visit(right if right is not None else e.lhs - e.rhs, INSIDE.on(cuts=cuts_of(grid, field), target=field.name))
        if right is None and _defines(e, field):
            eliminated[field.array] = value
        else:
            equations.append(Equation(field.array.diff(t), with_ends(grid, arrays, field, value)))
    return modes_of(system.derive(equations=tuple(equations), eliminated=eliminated, grid=grid))


def _defines(e: Equation, field: Field) -> bool:
    return any(a == field.symbol and not b.has(field.symbol) for a, b in ((e.lhs, e.rhs), (e.rhs, e.lhs)))


def _constant(e: Any, middles: dict[Coordinate, sp.Expr]) -> Any:
    """An expression with derivatives of fields kept, and all that stands beside them at the middle of the domain."""
    d = declaration_of(e)
    if isinstance(e, sp.Derivative | At | sp.Integral | sp.Subs):
        return e
    if isinstance(e, D):
        return D(_constant(e.args[0], middles), e.args[1])
    if e in middles:
        return middles[e]
    if d is not None and d.kind == "field":
        return sp.Float(_size(d.nominal if d.nominal is not None else d.guess if d.guess is not None else d.value))
    if d is not None and d.kind == "parameter" and d.over:
        return _constant(d.value, middles) if isinstance(d.value, sp.Basic) else sp.Float(_size(d.value, 1.0))
    args = [_constant(a, middles) for a in e.args]
    return e.func(*args) if args and args != list(e.args) else e


def _size(value: Any, otherwise: float = _TYPICAL) -> float:
    """A number for a declared value: the mean of an array."""
    if value is None or isinstance(value, sp.Basic):
        return otherwise
    mean = float(np.mean(value))
    return mean if np.isfinite(mean) and mean != 0 else otherwise
