"""The grid of a System: its axes, its fields as arrays, and how expressions of fields become expressions of arrays.

It stays with the discretised System, so that users go on speaking of fields: `sol[u.diff(x)]`.
"""

import dataclasses
import functools
from typing import Any

import numpy as np
import sympy as sp
from sympy.solvers.solveset import NonlinearError

from ...errors import CompileError, ModelError, NameUnknown, at, nearest
from ...symbols import Applied, At, Coordinate, Head, Quantity, content, declaration_of, distinct_nodes, t
from ...system import Equation, System, name_of, text, with_units
from . import dealias
from .arrays import FULL, Arrays, as_at, coordinates_in
from .axes import Axis, Cells, Nodes, SinePoints, axis_of
from .complex_fields import Split, split_complex
from .fluxes import fluxes_along
from .nodes import Node, node
from .operators import Backward, Drop, Fill, Forward, Points, Waves
from .sides import Sides


@dataclasses.dataclass(frozen=True, eq=False)
class Field:
    """A field and the array that it has become. `order` is that of its highest time derivative."""

    name: str
    symbol: Applied
    coordinates: tuple[Coordinate, ...]
    array: Applied
    order: int


class Grid:
    """Where the fields of a System live, and how expressions of them become expressions of arrays.

    Attributes:
        declared: the System as it was written.
        methods: the method of each coordinate, by name.
        axes: each coordinate on its grid, by name, in the order in which arrays have them.
        fields: the fields by name.
    """

    def __init__(self, declared: System, methods: dict[str, Any]):
        self.declared, self.methods = declared, methods
        self.split: Split = split_complex(with_units(declared))
        system = self.split.system
        symbols = [s for s in system.symbols.values() if declaration_of(s).kind == "field"]
        self.axes: dict[str, Axis] = {}
        for c in _in_order(symbols, system):
            if c.name not in methods:
                raise ModelError(
                    f"'{c.name}' has no method. Write sci.discretize(system, {{..., {c.name}: sci.FiniteDifference(64)}}) "
                    f"(or FiniteVolume, Fourier, Chebyshev, Sine, Cosine)."
                )
            self.axes[c.name] = axis_of(c, methods[c.name])
        self.fields = {declaration_of(s).name: self._made(s, system) for s in symbols}
        self.arrays = tuple(f.array for f in self.fields.values())
        self._visitors: dict[tuple[Coordinate, ...], Arrays] = {}
        self._parameters: dict[sp.Basic, Quantity] = {}
        self._flux_memo: dict[Any, Any] = {}
        self.rates = _rates(system, self.fields)
        self.sides = Sides(self, system)

    def __reduce__(self) -> Any:
        return (Grid, (self.declared, self.methods))

    @property
    def _content(self) -> Any:
        return (self.declared.digest, [(k, m.name, content(list(m.fields))) for k, m in self.methods.items()])

    def _made(self, symbol: Applied, system: System) -> Field:
        d = declaration_of(symbol)
        coordinates = tuple(a for a in d.over if a.declaration.kind == "space")
        shape = tuple(self.axes[c.name].n for c in coordinates)
        value = d.value if isinstance(d.value, float | np.ndarray) else None
        made = dataclasses.replace(d, kind="unknown", over=(), shape=shape, value=value)
        order = max((int(n) for e in system.equations for n in _time_orders(e, symbol)), default=0)
        return Field(d.name, symbol, coordinates, Head(made, **type(symbol)._given)(t), order)

    # -- pieces that the visitor asks for -----------------------------------------------------

    def visitor(self, frame: tuple[Coordinate, ...]) -> Arrays:
        """The visitor for a frame."""
        if frame not in self._visitors:
            self._visitors[frame] = Arrays(self, frame)
        return self._visitors[frame]

    def frame_of(self, *expressions: sp.Basic) -> tuple[Coordinate, ...]:
        """The coordinates in expressions, and in the conditions of their fields, in the order of the axes."""
        found, pending = dict[Coordinate, None](), list(expressions)
        seen: set[str] = set()
        while pending:
            e = pending.pop()
            found.update(coordinates_in(e))
            for n in distinct_nodes(e):
                d = declaration_of(n)
                if d is not None and d.kind == "field" and d.name not in seen:
                    seen.add(d.name)
                    listed = [k for key, conditions in self.sides.of.items() if key[0] == d.name for k in conditions]
                    listed += [k for key, k in self.sides.rates.items() if key[0] == d.name]
                    pending += [k.equation.residual for k in listed]
        for c in found:
            if c.name not in self.axes:
                raise CompileError(f"'{c.name}' stands in an expression, and no field depends on it.")
        return tuple(a.coordinate for a in self.axes.values() if a.coordinate in found)

    def field(self, u: Any) -> Field:
        """The field of a declared symbol, by name."""
        return self.fields[declaration_of(u).name]

    def parameter(self, k: Any) -> Quantity:
        """The array parameter that k(x) has become."""
        if k not in self._parameters:
            d = declaration_of(k)
            shape = tuple(self.axes[c.name].n for c in d.over)
            value = d.value
            if isinstance(value, sp.Basic):
                value = self.on_points(value, d.over)
            elif isinstance(value, np.ndarray) and value.shape != shape:
                raise ModelError(
                    f"The value of '{d.name}' has shape {value.shape}, and the grid over ({', '.join(c.name for c in d.over)}) has {shape}."
                )
            self._parameters[k] = Quantity(dataclasses.replace(d, over=(), shape=shape, value=value), **type(k)._given)
        return self._parameters[k]

    def noise(self, xi: Any) -> Applied:
        """The array of independent noises that xi(t, x) has become."""
        d = declaration_of(xi)
        shape = tuple(self.axes[c.name].n for c in d.over)
        return Head(dataclasses.replace(d, over=(), shape=shape))(t)

    def noise_strength(self, over: tuple[Coordinate, ...], arrays: Arrays) -> sp.Expr:
        """1/sqrt of the volume of a cell."""
        strength: sp.Expr = sp.S.One
        for c in over:
            axis = self.axes[c.name]
            if axis.uniform:
                strength *= sp.Float(axis.step**-0.5)
                continue
            x = axis.points
            middles = np.concatenate([x[:1], (x[1:] + x[:-1]) / 2, x[-1:]])
            strength *= node(Points(arrays.rank, arrays.place(c), axis.n, 0.0, 0.0, np.diff(middles) ** -0.5))
        return strength

    def on_points(self, e: sp.Expr, over: tuple[Coordinate, ...]) -> sp.Expr:
        """An expression of coordinates and parameters as an array over some coordinates."""
        over = tuple(c for c in over if c.declaration.kind == "space")
        value = self.visitor(over).visit(e, FULL)
        return node(Fill(tuple(self.axes[c.name].n for c in over)), value + sp.S.Zero) if isinstance(value, sp.Basic) and value.has(Node) else value

    def transform_for(self, arrays: Arrays, e: sp.Expr, orders: list[tuple[Coordinate, int]]) -> tuple[Forward, Backward, sp.Expr]:
        """(to coefficients, back, what a derivative multiplies them by)."""
        inside = coordinates_in(e)
        wave = [c for c in arrays.frame if c in inside and not isinstance(self.axes[c.name], Nodes | Cells)]
        asked = dict(orders)
        kinds, backs, factor = [], [], sp.S.One
        fourier = [c for c in wave if not isinstance(self.axes[c.name], SinePoints)]
        for c in wave:
            axis, n, place = self.axes[c.name], asked.get(c, 0), arrays.place(c)
            if isinstance(axis, SinePoints):
                kind, other = ("sine", "cosine") if dealias.parity(self, e, c) < 0 else ("cosine", "sine")
                k = node(Waves(arrays.rank, place, axis.n, axis.length, kind))
                sign = (-1) ** (n // 2) if kind == "sine" or n % 2 == 0 else (-1) ** (n // 2 + 1)
                factor *= sign * k**n
                kinds.append(kind)
                backs.append(kind if n % 2 == 0 else f"{other}<{kind}")
            else:
                half = c == fourier[-1]
                k = node(Waves(arrays.rank, place, axis.n, axis.length, "fourier", half, n % 2 == 1))
                factor *= (sp.I * k) ** n
                kinds.append("fourier")
                backs.append("fourier")
        places = tuple(arrays.place(c) for c in wave)
        lengths = tuple(self.axes[c.name].n for c in wave)
        return Forward(places, lengths, tuple(kinds)), Backward(places, lengths, tuple(backs)), factor

    def carried_together(self, target: str | None, c: Coordinate) -> dict[Applied, sp.Expr]:
        """The fields whose fluxes carry each other along a coordinate, with their fluxes, for the field whose rate is asked for."""
        key = (target, c)
        if key not in self._flux_memo:
            self._flux_memo[key] = _coupled_fluxes(self, target, c)
        return self._flux_memo[key]

    # -- expressions that users ask for afterwards -----------------------------------------------

    def asks(self, e: Any) -> bool:
        """Whether an expression speaks of fields or coordinates of space."""
        return isinstance(e, sp.Basic) and any(
            (d := declaration_of(n)) is not None and (d.kind in ("field", "space") or bool(d.over)) for n in distinct_nodes(e)
        )

    def named(self, key: Any) -> Any:
        """The declared symbol of a field, for its name or for the array that it has become."""
        name = key if isinstance(key, str) else name_of(key) if isinstance(key, Applied) and declaration_of(key).kind == "unknown" else None
        if name is None:
            return key
        symbol = self._named.get(name.rstrip("'"))
        if symbol is None:
            return self._observed.get(name, key)
        return symbol.diff((t, len(name) - len(name.rstrip("'")))) if name.endswith("'") else symbol

    @functools.cached_property
    def _named(self) -> dict[str, Any]:
        complex_ones = {declaration_of(s).name: s for s in self.split.parts}
        return {**{f.name: f.symbol for f in self.fields.values()}, **complex_ones}

    @functools.cached_property
    def _observed(self) -> dict[str, Any]:
        return {n: e for n, e in self.declared.observed.items() if self.asks(e)}

    def coordinates_of_name(self, name: str) -> tuple[Coordinate, ...]:
        """The coordinates that a quantity runs over, by its name."""
        symbol = self.named(name)
        return self.coordinates_of(symbol) if isinstance(symbol, sp.Basic) else ()

    def discretized(self, e: sp.Expr) -> sp.Expr:
        """An expression of fields as one of arrays, over the coordinates that it depends on."""
        e = self.split.replaced(e)
        self._check(e)
        frame = self.frame_of(e)
        value = self.visitor(frame).visit(e, FULL)
        kept = tuple(frame.index(c) for c in self.coordinates_of(e))
        if len(kept) == len(frame) and all(self._fills(value, frame)):
            return value
        value = node(Fill(tuple(self.axes[c.name].n if k in kept else None for k, c in enumerate(frame))), value)
        return value if len(kept) == len(frame) else node(Drop(len(frame), kept), value)

    def _fills(self, value: sp.Expr, frame: tuple[Coordinate, ...]) -> list[bool]:
        """For each axis, whether the array of a value surely has its full length: it holds a field over all of the frame."""
        whole = any(n in self.arrays and len(declaration_of(n).shape) == len(frame) for n in distinct_nodes(value))
        return [whole and not isinstance(value, Node)] * len(frame) if len(frame) > 1 else [whole]

    def coordinates_of(self, e: Any) -> tuple[Coordinate, ...]:
        """The coordinates that the value of an expression runs over: not those that it was integrated over or taken at."""
        free = free_coordinates(self.split.replaced(e) if isinstance(e, sp.Basic) else e)
        return tuple(a.coordinate for a in self.axes.values() if a.coordinate in free)

    def _check(self, e: sp.Expr) -> None:
        for n in distinct_nodes(e):
            d = declaration_of(n)
            if d is not None and d.kind == "field" and d.name not in self.fields:
                raise NameUnknown(f"System '{self.declared.name}' has no field '{d.name}'. {nearest(d.name, self.fields)}")


Rates = dict[int, tuple[Field, Any]]


def _rates(system: System, fields: dict[str, Field]) -> Rates:
    """For each equation of fields: (its field, the rate of it, or None where it has none), by the id of the equation."""
    found: Rates = {}
    tops = {f.symbol.diff((t, f.order)): f for f in fields.values() if f.order}
    rows, used = list[tuple[Equation, list[sp.Expr]]](), set[str]()
    rest = list[Equation]()
    for e in system.equations:
        held = [d for d in tops if e.lhs.has(d) or e.rhs.has(d)]
        (rows if held else rest).append((e, held) if held else e)  # type: ignore[arg-type]
    pending = list(rows)
    while pending:
        ready = [(e, held) for e, held in pending if len([d for d in held if tops[d].name not in used]) == 1]
        if not ready:
            raise CompileError(
                "These equations hold each other's time derivatives, and none can be solved for one alone: "
                + "; ".join(e.cited for e, _ in pending)
                + ". Solve them by hand for the rates."
            )
        for e, held in ready:
            top = next((d for d in held if tops[d].name not in used), None)
            if top is None:
                raise ModelError(f"{e.cited} and an earlier equation both determine the rate of '{tops[held[0]].name}'. Remove one of them.")
            used.add(tops[top].name)
            found[id(e)] = (tops[top], _solved(e, top))
        pending = [(e, held) for e, held in pending if id(e) not in found]
    left = [f for f in fields.values() if f.name not in used]
    for e in rest:
        own = [f for f in left if e.lhs.has(f.symbol) or e.rhs.has(f.symbol)]
        if not own:
            if any(f.symbol in distinct(e) for f in fields.values()) and not _of_scalars(e):
                raise ModelError(f"{e.cited} determines no field: each has an equation already. Remove it, or add the field that it was meant for.")
            continue
        if _of_scalars(e) and free_coordinates(e.lhs - e.rhs) == {}:
            continue
        explicit = next((f for f in own if f.symbol in (e.lhs, e.rhs)), None)
        chosen = explicit or _principal(e, own)
        found[id(e)] = (chosen, None)
        left.remove(chosen)
    for f in left:
        raise ModelError(
            f"The field '{f.name}'{at(declaration_of(f.symbol).where)} has no equation. Add sci.eq({f.name}.diff(sci.t), ...), or remove it."
        )
    # rates of other fields on a right side are replaced by what they equal
    known = {f.symbol.diff((t, f.order)): r for f, r in found.values() if r is not None}
    return {i: (f, r if r is None else _settled(r, known)) for i, (f, r) in found.items()}


def _principal(e: Equation, own: list[Field]) -> Field:
    """The field whose derivatives of highest order stand in an algebraic equation."""

    def order(f: Field) -> int:
        return max((sum(int(n) for _, n in d.variable_count) for d in distinct(e) if isinstance(d, sp.Derivative) and d.expr == f.symbol), default=0)

    return max(own, key=order)


def distinct(e: Equation) -> list[Any]:
    """Every distinct part of an equation."""
    return list(distinct_nodes(e.lhs, e.rhs))


def _of_scalars(e: Equation) -> bool:
    return any(getattr(declaration_of(n), "kind", "") == "unknown" for n in distinct(e))


def _solved(e: Equation, top: sp.Expr) -> sp.Expr:
    if e.lhs == top and not e.rhs.has(top):
        return e.rhs
    symbol = sp.Dummy(real=True)
    residual = e.residual.xreplace({top: symbol})
    try:
        matrix, right = sp.linear_eq_to_matrix([residual], [symbol])
    except NonlinearError:
        raise CompileError(f"{e.cited} is not linear in {text(top)}. Write it as sci.eq({text(top)}, ...).") from None
    if any(isinstance(n, sp.Derivative | sp.Function) and n.has(symbol) for n in distinct_nodes(residual)):
        raise CompileError(f"{e.cited} holds a derivative in space of {text(top)}. Write it with a field for what is differentiated in time.")
    return right[0] / matrix[0, 0]


def _settled(rate: sp.Expr, known: dict[sp.Expr, sp.Expr]) -> sp.Expr:
    for _ in range(len(known)):
        inside = {d: r for d, r in known.items() if rate.has(d)}
        if not inside:
            break
        rate = rate.xreplace(inside)
    return rate


def _time_orders(e: Equation, symbol: Applied) -> list[int]:
    return [int(n) for d in distinct(e) if isinstance(d, sp.Derivative) and d.expr == symbol for v, n in d.variable_count if v == t]


def _in_order(symbols: list[Applied], system: System) -> list[Coordinate]:
    """All coordinates of space, those of the field with most of them first, as every field orders them."""
    found: dict[Coordinate, None] = {}
    for s in sorted(symbols, key=lambda s: -len(declaration_of(s).over)):
        found.update(dict.fromkeys(c for c in declaration_of(s).over if c.declaration.kind == "space"))
    found.update(dict.fromkeys(c for c in system.coordinates.values() if c.declaration.kind == "space"))
    return list(found)


def free_coordinates(e: Any) -> dict[Coordinate, None]:
    """The coordinates that a value runs over."""
    if isinstance(e, Coordinate):
        return {e: None} if e.declaration.kind == "space" else {}
    d = declaration_of(e)
    if isinstance(e, At):
        return {c: None for c in free_coordinates(e.args[0]) if c != e.args[1]}
    if isinstance(e, sp.Integral):
        gone = {limits[0] for limits in e.limits if len(limits) == 3 and limits[2] != limits[0]}
        return {c: None for c in free_coordinates(e.function) if c not in gone}
    if isinstance(e, sp.Subs) or (d is not None and d.kind == "field" and any(not isinstance(a, Coordinate) for a in e.args)):
        return free_coordinates(as_at(e))
    if d is not None and d.over:
        return {c: None for c in d.over if c.declaration.kind == "space"}
    found: dict[Coordinate, None] = {}
    for a in getattr(e, "args", ()):
        found.update(free_coordinates(a))
    return found


def _coupled_fluxes(grid: Grid, target: str | None, c: Coordinate) -> dict[Applied, sp.Expr]:
    fluxes = {f.symbol: fluxes_along(rate, c) for f, rate in grid.rates.values() if rate is not None and c in f.coordinates}
    fluxes = {u: f for u, f in fluxes.items() if f != 0}
    own = next((u for u in fluxes if declaration_of(u).name == target), None)
    if own is None:
        return {}
    reached = {u: {v for v in fluxes if fluxes[u].has(v)} for u in fluxes}

    def reach(start: Applied) -> set[Applied]:
        seen, stack = set[Applied](), [start]
        while stack:
            for v in reached[stack.pop()]:
                if v not in seen:
                    seen.add(v)
                    stack.append(v)
        return seen

    together = [u for u in fluxes if u == own or (u in reach(own) and own in reach(u))]
    return {u: fluxes[u] for u in together}
