"""Expressions of fields as expressions of arrays: every derivative becomes one operator on a whole field.

An equation lives on a frame, the coordinates that stand in it, in a fixed order; every array in it has one axis
for each, of length 1 where it does not depend on that coordinate. Within a frame the visitor answers what an
expression is *somewhere*:

| where           | a field u there                                             | du/dx there                    |
|-----------------|-------------------------------------------------------------|--------------------------------|
| on the points   | its array, with the ends that conditions determine put in   | a stencil, matrix or transform |
| on the faces    | a mean of neighbours                                        | a difference of neighbours     |
| with ghosts     | its array with one entry more on either side                |                                |
| at a side       | the unknown end value                                       | weights over it and the inside |
"""

import dataclasses
from typing import TYPE_CHECKING, Any

import sympy as sp

from ...errors import CompileError
from ...symbols import Applied, At, Coordinate, D, Quantity, declaration_of, distinct_nodes, t
from ...system import text
from . import dealias, fluxes
from .axes import Axis, Cells, ChebyshevNodes, Nodes, SinePoints, edge
from .nodes import Node, node
from .operators import Around, Edge, Ends, Fill, Lift, PerPoint, Points

if TYPE_CHECKING:
    from .grid import Grid


@dataclasses.dataclass(frozen=True)
class Where:
    """Where an expression is asked for.

    imposed: the coordinates along which ends are put in; None for all (what a user sees).
    face: values half-way between points along this coordinate.
    ghosts: (coordinate, entries more on either side).
    side: (coordinate, end): values there, in terms of the unknown end values.
    cuts: ends that are not used: points there may be moved off a singularity.
    target: the field whose rate the expression is, and the factor in front of the flux at hand.
    """

    imposed: frozenset[Coordinate] | None = None
    face: Coordinate | None = None
    ghosts: tuple[Coordinate, int] | None = None
    side: tuple[Coordinate, str] | None = None
    cuts: tuple[tuple[Coordinate, int, int], ...] = ()
    target: str | None = None
    keep: float = 1.0  # the part of the waves that fields have, in products

    def on(self, **changes: Any) -> "Where":
        return dataclasses.replace(self, **changes)

    def with_ends(self, coordinate: Coordinate) -> "Where":
        """The same, where ends along this coordinate matter too."""
        return self if self.imposed is None or coordinate in self.imposed else self.on(imposed=self.imposed | {coordinate})


FULL = Where()
INSIDE = Where(imposed=frozenset())


class Arrays:
    """The visitor for one frame. What it has made it keeps."""

    def __init__(self, grid: "Grid", frame: tuple[Coordinate, ...]):
        self.grid, self.frame = grid, frame
        self.memo: dict[tuple[sp.Basic, Where], sp.Expr] = {}

    @property
    def rank(self) -> int:
        return len(self.frame)

    def place(self, coordinate: Coordinate) -> int:
        return self.frame.index(coordinate)

    def axis(self, coordinate: Coordinate) -> Axis:
        return self.grid.axes[coordinate.name]

    # -- expressions -------------------------------------------------------------------

    def visit(self, e: Any, where: Where) -> Any:
        """The array of an expression."""
        key = (e, where)
        if key not in self.memo:
            self.memo[key] = self._visit(e, where)
        return self.memo[key]

    def _visit(self, e: Any, where: Where) -> Any:
        d = declaration_of(e)
        if d is not None:
            return self._declared(e, d, where)
        if isinstance(e, sp.Derivative):
            return self._derivative(e, where)
        if isinstance(e, D):
            return self._flux(e.args[0], e.args[1], where)
        if isinstance(e, At):
            return self._at(e.args[0], e.args[1], e.args[2], where)
        if isinstance(e, sp.Integral):
            return self._integral(e)
        if isinstance(e, sp.Subs):
            return self.visit(as_at(e), where)
        if isinstance(e, dealias.Filtered):
            keep = float(e.args[1])
            return dealias.band(self, e.args[0], self.visit(e.args[0], where.on(keep=keep)), keep)
        if isinstance(e, sp.Mul):
            return self._product(e, where)
        if isinstance(e, sp.Add) and where.target is not None:
            return sp.Add(*(self.visit(a, where) for a in e.args))
        if not e.args:
            return e
        where = where.on(target=None)
        return e.func(*(self.visit(a, where) for a in e.args))

    def _product(self, e: sp.Mul, where: Where) -> sp.Expr:
        """A factor that is a flux or a derivative may ask for what stands in front of it: the wind."""
        special = [a for a in e.args if isinstance(a, D) or (isinstance(a, sp.Derivative) and isinstance(a.expr, Applied))]
        if len(special) == 1 and where.face is None and where.side is None and where.ghosts is None:
            factor = sp.Mul(*(a for a in e.args if a is not special[0]))
            inner = where.on(target=None)
            if isinstance(special[0], D):
                return self.visit(factor, inner) * self._flux(special[0].args[0], special[0].args[1], where, factor)
            upwind = fluxes.upwinded(self, factor, special[0], inner)
            if upwind is not None:
                return upwind
        where = where.on(target=None)
        return sp.Mul(*(self.visit(a, where) for a in e.args))

    # -- names --------------------------------------------------------------------------

    def _declared(self, e: Any, d: Any, where: Where) -> Any:
        if d.kind == "space":
            return self._coordinate(e, where)
        if d.kind == "field":
            return self._field(e, where)
        if d.kind == "parameter" and d.over:
            return self._own_array(self.grid.parameter(e), d.over, where)
        if d.kind == "noise" and d.over:
            return self.lifted(self.grid.noise(e), d.over) * self.grid.noise_strength(d.over, self)
        if isinstance(e, Quantity) or d.kind in ("unknown", "noise", "data", "time"):
            return e
        arguments = [self.visit(a, where.on(target=None)) for a in e.args]
        made = e.func(*arguments)
        per_point = d.kind == "neural" and any(a.has(Node, *self.grid.arrays) for a in arguments)
        return node(PerPoint(), made) if per_point else made

    def _coordinate(self, c: Coordinate, where: Where) -> sp.Expr:
        if c not in self.frame:
            raise CompileError(f"'{c}' stands where no field depends on it.")
        axis, i = self.axis(c), self.place(c)
        if where.side is not None and where.side[0] == c:
            return sp.Float(axis.low if where.side[1] == "left" else axis.high)
        if where.face == c:
            return node(axis.face_points(self.rank, i))
        if where.ghosts is not None and where.ghosts[0] == c:
            assert isinstance(axis, Cells)
            if axis.periodic:
                return node(axis.coordinates(self.rank, i))
            return node(Points(self.rank, i, axis.n + 2 * where.ghosts[1], axis.first - where.ghosts[1] * axis.step, axis.step))
        return node(axis.coordinates(self.rank, i, self._moved(axis, c, where)))

    def _moved(self, axis: Axis, c: Coordinate, where: Where) -> tuple[tuple[int, float], ...]:
        """An end that is not used and lies at 0, where 1/r would be infinite, is moved into the grid."""
        moved = []
        for coordinate, left, right in where.cuts:
            if coordinate == c and left and axis.low == 0:
                moved.append((0, float(axis.points[1]) / 2))
            if coordinate == c and right and axis.high == 0:
                moved.append((axis.n - 1, float(axis.points[-2]) / 2))
        return tuple(moved)

    def lifted(self, array: sp.Expr, coordinates: tuple[Coordinate, ...]) -> sp.Expr:
        """An array over some coordinates, with an axis for each of the frame."""
        where = tuple(self.place(c) for c in coordinates)
        if list(where) != sorted(where):
            names = ", ".join(c.name for c in self.frame)
            raise CompileError(f"A field has its coordinates in another order than ({names}). Declare all fields with one order of coordinates.")
        return array if where == tuple(range(self.rank)) else node(Lift(self.rank, where), array)

    def _own_array(self, array: sp.Expr, coordinates: tuple[Coordinate, ...], where: Where) -> sp.Expr:
        """A parameter over space: an array without conditions at its sides."""
        value = self.lifted(array, coordinates)
        if where.side is not None and where.side[0] in coordinates:
            i, axis = self.place(where.side[0]), self.axis(where.side[0])
            return node(edge(i, where.side[1], 0, [1.5, -0.5] if isinstance(axis, Cells) else [1.0]), value)
        for c in coordinates:
            i, axis = self.place(c), self.axis(c)
            layers = where.ghosts[1] if where.ghosts is not None and where.ghosts[0] == c else 1 if where.face == c and isinstance(axis, Cells) else 0
            if layers and not axis.periodic:
                outside = [ghost for end in ("left", "right") for ghost in _beyond(value, i, end, layers, sign=True)]
                value = node(Around(i, layers, layers), value, *outside)
            if where.face == c and isinstance(axis, Nodes | Cells):
                operator = axis.to_faces(i, 0)
                value = value if operator is None else node(operator, value)
        return value

    def _field(self, u: Applied, where: Where) -> sp.Expr:
        numbers = [a for a in u.args if not isinstance(a, Coordinate)]
        if numbers:
            return self.visit(as_at(u), where)
        field = self.grid.field(u)
        if where.side is not None and where.side[0] in field.coordinates:
            return self._at_side(field, 0, where)
        value = self.lifted(field.array, field.coordinates)
        if where.keep < 1:
            value = dealias.band(self, u, value, where.keep)
        for c in field.coordinates:
            wanted = where.imposed is None or c in where.imposed
            if isinstance(self.axis(c), Nodes) and wanted:
                value = self.imposed(field, c, value)
        for c in field.coordinates:
            axis, i = self.axis(c), self.place(c)
            if where.ghosts is not None and where.ghosts[0] == c:
                value = self.ghosted(field, c, value, where.ghosts[1])
            elif where.face == c and isinstance(axis, Cells):
                value = node(axis.to_faces(i, 0), self.ghosted(field, c, value, 1))
            elif where.face == c and isinstance(axis, Nodes):
                operator = axis.to_faces(i, 0)
                value = value if operator is None else node(operator, value)
        return value

    # -- ends ----------------------------------------------------------------------------

    def imposed(self, field: Any, c: Coordinate, value: sp.Expr) -> sp.Expr:
        """The array of a field with the ends that conditions determine."""
        left, right = (self.grid.sides.values_at(self, field, c, end, value) for end in ("left", "right"))
        if not left and not right:
            return value
        return node(Ends(self.place(c), len(left), len(right)), value, *left, *reversed(right))

    def ghosted(self, field: Any, c: Coordinate, value: sp.Expr, layers: int) -> sp.Expr:
        """The array of a field on cells with ghosts; none where the coordinate is periodic."""
        axis, i = self.axis(c), self.place(c)
        if axis.periodic:
            return value
        outside = []
        for end in ("left", "right"):
            first = node(edge(i, end, 0, [1.0]), value)
            known = self.grid.sides.values_at(self, field, c, end, value)
            outside.append([known[0] + k * (known[0] - first) for k in range(layers)] if known else _beyond(value, i, end, layers))
        return node(Around(i, layers, layers), value, *outside[0], *outside[1])

    def _at_side(self, field: Any, order: int, where: Where) -> sp.Expr:
        """A derivative of a field at a side: weights over its unknown end values and what lies inside."""
        assert where.side is not None
        c, end = where.side
        axis, i = self.axis(c), self.place(c)
        if not isinstance(axis, Nodes | Cells):
            raise CompileError(f"'{field.name}' has a series along '{c.name}': its conditions at the sides are those of the series.")
        weights, inside = axis.trace(end, order), self.lifted(field.array, field.coordinates)
        unknown = self.grid.sides.unknowns(field, c, end, self)
        if isinstance(axis, Cells):
            if not unknown:  # nothing is said: the value of the cell, without a slope
                return node(edge(i, end, 0, [1.0]), inside) if order == 0 else sp.S.Zero
            return float(weights[0]) * unknown[0] + float(weights[1]) * node(edge(i, end, 0, [1.0]), inside)
        opposite = self.grid.sides.unknowns(field, c, "right" if end == "left" else "left", self)
        far = weights[axis.n - len(opposite) :][::-1]  # weights that reach to the ends of the other side
        own = sp.Add(*(float(w) * g for w, g in [*zip(weights, unknown, strict=False), *zip(far, opposite, strict=False)]))
        rest = weights[len(unknown) : axis.n - len(opposite)]
        return own + (node(edge(i, end, len(unknown), rest), inside) if len(rest) and any(rest) else 0)

    # -- derivatives ----------------------------------------------------------------------

    def _derivative(self, e: sp.Derivative, where: Where) -> sp.Expr:
        where = where.on(target=None)
        inner, in_time, in_space = e.expr, 0, []
        for variable, count in e.variable_count:
            if variable == t:
                in_time += int(count)
            elif isinstance(variable, Coordinate) and variable in self.frame:
                in_space.append((variable, int(count)))
            else:
                raise CompileError(f"`{text(e)}` is a derivative by {variable}, which is no coordinate of the fields here.")
        value = self._along(inner, in_space, where)
        return sp.diff(value, (t, in_time)) if in_time else value

    def _along(self, e: sp.Expr, orders: list[tuple[Coordinate, int]], where: Where) -> sp.Expr:
        if not orders:
            return self.visit(e, where)
        waves = [(c, n) for c, n in orders if not isinstance(self.axis(c), Nodes | Cells)]
        others = [(c, n) for c, n in orders if isinstance(self.axis(c), Nodes | Cells)]
        if others:
            (c, n), rest = others[-1], [*waves, *others[:-1]]
            return self._by_neighbours(e, c, n, rest, where)
        return self._by_waves(e, waves, where)

    def _by_neighbours(self, e: sp.Expr, c: Coordinate, order: int, rest: list, where: Where) -> sp.Expr:
        axis, i = self.axis(c), self.place(c)
        if where.side is not None and where.side[0] == c:
            if not (isinstance(e, Applied) and declaration_of(e).kind == "field") or rest:
                raise CompileError(
                    f"`{text(e)}` is differentiated by {c} in a condition at a side: only derivatives of fields by {c} alone can stand there."
                )
            return self._at_side(self.grid.field(e), order, where)
        if isinstance(axis, Cells):
            if where.ghosts is not None and where.ghosts[0] == c:
                raise CompileError(f"FiniteVolume cannot take this derivative of a derivative by {c}: give `{text(e)}` a field of its own.")
            inner = self._along(e, rest, where.on(ghosts=(c, 1), face=None) if not axis.periodic else where.on(face=None))
            if where.face == c and order == 1:
                return node(axis.to_faces(i, 1), inner)
            if where.face == c:
                raise CompileError(
                    f"FiniteVolume cannot take a derivative of order {order} by {c} inside sci.D(..., {c}): give the inner part a field of its own."
                )
            return node(axis.derivative(i, order), inner)
        assert isinstance(axis, Nodes)
        if where.face == c:
            inner = self._along(e, rest, where.on(face=None).with_ends(c))
            inner = node(axis.derivative(i, order - 1), inner) if order > 1 else inner
            slope = axis.to_faces(i, 1)
            assert slope is not None
            return node(slope, inner)
        return node(axis.derivative(i, order), self._along(e, rest, where.with_ends(c)))

    def _by_waves(self, e: sp.Expr, orders: list[tuple[Coordinate, int]], where: Where) -> sp.Expr:
        """Through coefficients: (i k)^n for Fourier, +-k^n for sine and cosine, which turn into each other."""
        value = self.visit(e, where)
        transform, back, factor = self.grid.transform_for(self, e, orders)
        return node(back, factor * dealias.coefficients(transform, value))

    # -- fluxes, values, integrals ---------------------------------------------------------

    def _flux(self, f: sp.Expr, c: Coordinate, where: Where, factor: sp.Expr = sp.S.One) -> sp.Expr:
        axis, i = self.axis(c), self.place(c)
        if not isinstance(axis, Nodes | Cells):
            return self._along(f, [(c, 1)], where.on(target=None))
        if where.side is not None:
            raise CompileError(f"sci.D({text(f)}, {c}) stands in a condition at a side. Write the flux itself there: {text(f)}.")
        inner = where.on(target=None, face=c, ghosts=None)
        if isinstance(axis, ChebyshevNodes):
            return node(axis.derivative(i, 1), self.visit(f, where.on(target=None).with_ends(c)))
        spread, carried = fluxes.split(f, c)
        if isinstance(axis, Cells):
            return node(axis.from_faces(i), self._faces(spread, carried, c, where, factor))
        total = sp.S.Zero
        if spread != 0:
            total += node(axis.from_faces(i), self.visit(spread, inner.with_ends(c)))
        if carried != 0:
            total += fluxes.on_nodes(self, carried, c, where, factor)
        return total

    def _faces(self, spread: sp.Expr, carried: sp.Expr, c: Coordinate, where: Where, factor: sp.Expr) -> sp.Expr:
        """A flux at all faces. At a side with a condition it is what the condition says, not what the cells guess."""
        i, axis, sides = self.place(c), self.axis(c), self.grid.sides
        faces = self.visit(spread, where.on(target=None, face=c, ghosts=None)) if spread != 0 else sp.S.Zero
        through = fluxes.through_faces(self, carried, c, where, factor) if carried != 0 else sp.S.Zero
        if where.target is None or axis.periodic or c not in self.grid.fields[where.target].coordinates:
            return faces + through
        given = [sides.flux_at(self, where.target, c, end, spread + carried) for end in ("left", "right")]
        if carried != 0:
            own = [sides.at_side(self, where.target, c, end, carried) if g is None else None for end, g in zip(("left", "right"), given, strict=True)]
            through = _with_ends(i, through, own)
        return _with_ends(i, faces + through, given)

    def _at(self, f: sp.Expr, c: Coordinate, position: sp.Expr, where: Where) -> sp.Expr:
        axis, i, x = self.axis(c), self.place(c), float(position)
        end = "left" if x == axis.low else "right" if x == axis.high else None
        if end is not None and where.side is not None and isinstance(axis, Nodes | Cells):
            return self.visit(f, where.on(side=(c, end)))
        if end is not None and isinstance(axis, Cells) and not axis.periodic:
            return node(Edge(i, end, 0, (1.0,)), self.visit(f, FULL.on(face=c)))
        if end is not None and isinstance(axis, Nodes) and not axis.periodic:
            return node(Edge(i, end, 0, (1.0,)), self.visit(f, FULL))
        if end is not None and isinstance(axis, SinePoints):
            raise CompileError(
                f"The value at {c}.{end} is not on the grid of a {axis.series} series. Use sci.Chebyshev or sci.FiniteDifference along {c}."
            )
        operator = axis.series_at(i, x, dealias.parity(self.grid, f, c) < 0) if isinstance(axis, SinePoints) else axis.at(i, x)
        return node(operator, self.visit(f, FULL))

    def _integral(self, e: sp.Integral) -> sp.Expr:
        f = e.function
        value = self.visit(f, FULL)
        for c, low, high in e.limits:
            if not isinstance(c, Coordinate) or c.name not in self.grid.axes:
                raise CompileError(f"`{text(e)}` integrates over {c}, which is no coordinate of space.")
            axis, i = self.axis(c), self.place(c)
            if not f.has(c):
                raise CompileError(f"`{text(e)}` integrates over {c} what does not depend on {c}: multiply by the length of {c} instead.")
            if abs(float(low) - axis.low) > 1e-12 * axis.length or not (high == c or abs(float(high) - axis.high) <= 1e-12 * axis.length):
                raise CompileError(f"`{text(e)}`: integrals run over the whole of {c}, or from its low end to {c}: sci.integral(..., {c}, to={c}).")
            value = node(Fill(tuple(axis.n if k == i else None for k in range(self.rank))), value)
            whole = axis.series_total(i, dealias.parity(self.grid, f, c) < 0) if isinstance(axis, SinePoints) else axis.total(i)
            for operator in axis.running(i) if high == c else [whole]:
                value = node(operator, value)
        return value


def _beyond(value: sp.Expr, axis: int, end: str, layers: int, sign: bool = False) -> list[sp.Expr]:
    """Ghosts where nothing is said: along the slope of the last cells, unless that turns (or the ghost changes sign)."""
    first, second, third = (node(edge(axis, end, k, [1.0]), value) for k in range(3))
    slope = first - second
    if sign:
        bound = sp.Abs(first) / layers
        step = sp.Max(-bound, sp.Min(bound, slope))
    else:
        before = second - third
        step = sp.Max(0, sp.Min(slope, before)) + sp.Min(0, sp.Max(slope, before))
    return [first + (k + 1) * step for k in range(layers)]


def _with_ends(axis: int, array: sp.Expr, ends: list[sp.Expr | None]) -> sp.Expr:
    """An array with its first and last entry replaced, where there is something to replace them by."""
    known = [e for e in ends if e is not None]
    return node(Ends(axis, int(ends[0] is not None), int(ends[1] is not None)), array, *known) if known else array


def as_at(e: Any) -> sp.Expr:
    """u(t, 0) and Subs(f, x, 0), which SymPy makes of `.subs(x, 0)`, as values at a place."""
    if isinstance(e, sp.Subs):
        value = e.expr
        for variable, position in zip(e.variables, e.point, strict=True):
            value = At(value, variable, sp.Float(float(position)))
        return value
    d = declaration_of(e)
    value = type(e)(*d.over)
    for own, given in zip(d.over, e.args, strict=True):
        if own != given:
            if not given.is_number or own == t:
                raise CompileError(f"`{e}`: a field is taken at numbers, sci.at({d.name}, {own}, 0.5), not at `{given}`.")
            value = At(value, own, sp.Float(float(given)))
    return value


def coordinates_in(e: sp.Basic) -> dict[Coordinate, None]:
    """The coordinates of space that an expression depends on or integrates over."""
    found: dict[Coordinate, None] = {}
    for n in distinct_nodes(e):
        d = declaration_of(n)
        if isinstance(n, Coordinate) and d.kind == "space":
            found.setdefault(n)
        elif d is not None and d.over:
            found.update(dict.fromkeys(c for c in d.over if c.declaration.kind == "space"))
    return found
