"""`discretize`: a System of fields becomes a System of arrays.

whole      units, complex fields         every factor in place, every field real
rates      du/dt = ...                   each equation solved for the highest time derivative of its field
arrays     du/dt = stencil(u), ...       every derivative one operator on a whole field
ends       rate 0 at determined nodes    their values follow from the conditions
fields     p = inverse(...)              linear equations without a rate are solved in modes, where there are modes
"""

import warnings
from collections.abc import Mapping
from typing import Any

import numpy as np
import sympy as sp

from ...errors import ModelError, nearest
from ...symbols import Coordinate, Quantity, declaration_of, t
from ...system import Equation, System, name_of, text
from ..gridless import on_ranges
from . import dealias, fluxes
from .arrays import FULL, INSIDE, Arrays, coordinates_in
from .axes import Cells
from .grid import Field, Grid, distinct, free_coordinates
from .modes import solved_in_modes
from .nodes import node
from .operators import Drop, Ends, Fill, Inner


def discretize(system: Any, methods: Any) -> System:
    """A System of fields on a grid: each field one array, each derivative one operator on it.

    Args:
        system: a System with fields, such as `u = sci.fields("u", sci.t, x)`.
        methods: one for each coordinate of space: `FiniteDifference`, `FiniteVolume`, `Fourier`, `Chebyshev`, `Sine`, `Cosine`.

    Returns:
        A System that solves, differentiates and fits like any other. Expressions of it are still written with the declared
        fields: `sol[u]` has shape (time, points), `sol[u.diff(x)]` too. The System given is left as it is.

    Raises:
        ModelError: conditions that do not fit the order of the equation, a method that a coordinate cannot take.

    >>> import sciml as sci, sympy as sp
    >>> x = sci.space("x", 0, 1)
    >>> u = sci.fields("u", sci.t, x)
    >>> heat = sci.System([sci.eq(u.diff(sci.t), u.diff(x, 2))], initial={u: sp.sin(sp.pi*x)}, boundary={x.left: sci.eq(u, 0), x.right: sci.eq(u, 0)})
    >>> sol = sci.solve(sci.discretize(heat, {x: sci.FiniteDifference(32)}), t_span=(0, 0.1))
    >>> sol[u].shape
    (200, 32)
    """
    if not isinstance(system, System):
        raise ModelError(f"sci.discretize takes a System, not {type(system).__name__}: sci.discretize(system, {{x: sci.FiniteDifference(64)}}).")
    if system.grid is not None:
        raise ModelError(f"System '{system.name}' is discretised already. Discretise the one that it was made from: system.grid.declared.")
    if not isinstance(methods, Mapping):
        raise ModelError(f"methods is a dict, {{x: sci.FiniteDifference(64)}}, not {type(methods).__name__}.")
    by_name = {name_of(k): m for k, m in methods.items()}
    spaces = [n for n, c in system.coordinates.items() if declaration_of(c).kind == "space"]
    for name in by_name:
        if name not in spaces:
            raise ModelError(f"System '{system.name}' has no coordinate '{name}'. {nearest(name, spaces)}")
    if not any(declaration_of(s).kind == "field" for s in system.symbols.values()):
        raise ModelError(f"System '{system.name}' has no field over space: there is nothing to discretise. Solve it as it is.")
    return on_grid(Grid(on_ranges(system), by_name))


def on_grid(grid: Grid) -> System:
    """The System of arrays for a grid."""
    system = grid.split.system
    equations = [_equation(grid, e, system) for e in system.equations]
    observed = {**system.observed, **grid.split.observed}
    initial = {n: _initial(grid, n, v) for n, v in _starts(grid, system).items()}
    made = system.derive(
        equations=tuple(equations),
        initial=initial,
        boundary={},
        observed={n: grid.discretized(e) if grid.asks(e) else e for n, e in observed.items()},
        converted=True,
        grid=grid,
    )
    _warn_of_corners(grid, system)
    return made


# -- equations -------------------------------------------------------------------------------


def _equation(grid: Grid, e: Equation, system: System) -> Equation:
    rate = grid.rates.get(id(e))
    if rate is None:
        return _scalar_equation(grid, e)
    field, right = rate
    if right is None:
        return _algebraic(grid, field, e)
    for c in field.coordinates:
        right = fluxes.combined(right, c) if isinstance(grid.axes[c.name], Cells) else right
    right = dealias.filtered(grid, field, right)
    arrays = grid.visitor(grid.frame_of(field.symbol, right))
    value = arrays.visit(right, INSIDE.on(cuts=cuts_of(grid, field), target=field.name))
    return Equation(field.array.diff((t, field.order)), _on_field(grid, arrays, field, with_ends(grid, arrays, field, value)), e.where)


def cuts_of(grid: Grid, field: Field) -> tuple[tuple[Coordinate, int, int], ...]:
    """For each coordinate of a field, how many nodes at either end do not follow its equation."""
    return tuple((c, *grid.sides.cut(field.name, c.name)) for c in field.coordinates)


def with_ends(grid: Grid, arrays: Arrays, field: Field, value: sp.Expr) -> sp.Expr:
    """Zero, or the rate that a condition gives, at the ends that do not follow the equation."""
    cuts = [(0, 0)] * arrays.rank
    for c, left, right in cuts_of(grid, field):
        cuts[arrays.place(c)] = (left, right)
    if any(left or right for left, right in cuts):
        filled = node(Fill(tuple(grid.axes[c.name].n if c in field.coordinates else None for c in arrays.frame)), value)
        value = node(Inner(tuple(cuts)), filled)
    for c in field.coordinates:
        rates = [grid.sides.rate_at(arrays, field, c, end) for end in ("left", "right")]
        if rates[0] is not None or rates[1] is not None:
            value = node(Ends(arrays.place(c), int(rates[0] is not None), int(rates[1] is not None)), value, *(r for r in rates if r is not None))
    return value


def _on_field(grid: Grid, arrays: Arrays, field: Field, value: sp.Expr) -> sp.Expr:
    """An array of the frame as one of the field: axes that the field does not have are dropped."""
    if arrays.frame == field.coordinates:
        return value
    return node(Drop(arrays.rank, tuple(arrays.place(c) for c in field.coordinates)), value)


def _scalar_equation(grid: Grid, e: Equation) -> Equation:
    """An equation of unknowns of time alone, which may hold integrals of fields and their values at places."""

    def side(expression: sp.Expr) -> sp.Expr:
        if not grid.asks(expression):
            return expression
        left = free_coordinates(expression)
        if left:
            raise ModelError(
                f"{e.cited} has no field to determine, and depends on {', '.join(c.name for c in left)}. Take the field at a place, "
                f"sci.at(u, {next(iter(left))}.left), or over the domain, sci.integral(u, {next(iter(left))})."
            )
        return grid.discretized(expression)

    return e.map(side)


def _algebraic(grid: Grid, field: Field, e: Equation) -> Equation:
    """A field without a rate: given by an expression, or by an equation that is solved together with the others."""
    for own, other in ((e.lhs, e.rhs), (e.rhs, e.lhs)):
        if own == field.symbol and not other.has(field.symbol):
            arrays = grid.visitor(grid.frame_of(field.symbol, other))
            return Equation(field.array, _on_field(grid, arrays, field, _full(grid, arrays, field, arrays.visit(other, FULL))), e.where)
    residual = dealias.filtered(grid, field, e.lhs - e.rhs)
    arrays = grid.visitor(grid.frame_of(field.symbol, residual))
    value = arrays.visit(residual, INSIDE.on(cuts=cuts_of(grid, field), target=field.name))
    inside = with_ends(grid, arrays, field, value)
    solved = solved_in_modes(grid, field, inside) if arrays.frame == field.coordinates else None
    if solved is not None:
        return Equation(field.array, solved, e.where)
    raw = arrays.lifted(field.array, field.coordinates)
    ends = raw - arrays.visit(field.symbol, FULL)  # zero inside; at the ends it says that the conditions hold
    return Equation(sp.S.Zero, _on_field(grid, arrays, field, inside + ends), e.where)


def _full(grid: Grid, arrays: Arrays, field: Field, value: sp.Expr) -> sp.Expr:
    return node(Fill(tuple(grid.axes[c.name].n if c in field.coordinates else None for c in arrays.frame)), value)


# -- initial values -----------------------------------------------------------------------------


def _starts(grid: Grid, system: System) -> dict[str, Any]:
    """Initial values of fields by name, from the System or the declarations; those of other unknowns as they are."""
    declared = {f.name: declaration_of(f.symbol).value for f in grid.fields.values() if declaration_of(f.symbol).value is not None}
    return {**declared, **system.initial}


def _initial(grid: Grid, name: str, value: Any) -> Any:
    field = grid.fields.get(name.rstrip("'"))
    if field is None:
        return value
    shape = tuple(grid.axes[c.name].n for c in field.coordinates)
    if isinstance(value, np.ndarray) and value.shape not in (shape, ()):
        raise ModelError(
            f"The initial value of '{name}' has shape {value.shape}, and the grid over ({', '.join(c.name for c in field.coordinates)}) has {shape}."
        )
    if not isinstance(value, sp.Basic):
        return value
    for c in coordinates_in(value):
        if c not in field.coordinates:
            raise ModelError(f"The initial value of '{name}' is `{text(value)}`, and '{name}' does not depend on {c.name}.")
    return grid.on_points(value, field.coordinates)


_CORNER = 1e-6


def _warn_of_corners(grid: Grid, system: System) -> None:
    """Initial values that a condition contradicts at the start: the solution jumps there, and says so."""
    starts = _starts(grid, system)
    numbers = {s: declaration_of(s).value for s in system.symbols.values() if isinstance(s, Quantity) and isinstance(declaration_of(s).value, float)}
    given = {f.symbol: starts[f.name] for f in grid.fields.values() if f.name in starts and not isinstance(starts[f.name], np.ndarray)}
    for key, conditions in grid.sides.of.items():
        axis = grid.axes[key[1]]
        for k in conditions:
            e = k.equation
            held = [n for n in distinct(e) if getattr(declaration_of(n), "kind", "") == "field"]
            if (
                not all(u in given for u in held)
                or len(coordinates_in(e.residual)) > 1
                or any(isinstance(n, sp.Derivative) and t in n.variables for n in distinct(e))
            ):
                continue
            here = {axis.coordinate: sp.Float(axis.low if k.end == "left" else axis.high), t: sp.S.Zero}
            try:
                values = [float(side.subs(given).doit().subs(here).xreplace(numbers)) for side in (e.lhs, e.rhs)]
            except (TypeError, ValueError):
                continue
            if abs(values[0] - values[1]) > _CORNER * max(1.0, *map(abs, values)):
                warnings.warn(
                    f"At {k.side} the initial value of '{key[0]}' does not fulfil {e.cited}: it gives {values[0]:g} = {values[1]:g}. The solution "
                    "jumps there at the start. Change initial=, or the condition, if that is not meant.",
                    stacklevel=4,
                )
