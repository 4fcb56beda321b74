"""Conditions at the sides, solved for the end values of the fields that they determine.

    nodes    a condition takes one node at its side out of the equation: its value follows from the condition
    cells    a condition determines the ghost beyond the side: u there is (ghost + cell)/2, du/dx their difference

Affine conditions are solved by SymPy, exactly; others become a `Root` with implicit differentiation. A condition with
a time derivative gives the end node a rate of its own. Conditions that share unknown ends are solved together, which is
how two intervals meet.
"""

import dataclasses
from typing import TYPE_CHECKING, Any

import sympy as sp
from sympy.solvers.solveset import NonlinearError

from ...errors import CompileError, ModelError
from ...symbols import Applied, At, Coordinate, D, Quantity, declaration_of, distinct_nodes, t
from ...system import Equation, System
from . import fluxes
from .arrays import INSIDE, Arrays, coordinates_in
from .axes import Axis, Cells, Nodes, SinePoints, edge
from .dealias import degree
from .nodes import Node, node
from .operators import PerPoint, Root

if TYPE_CHECKING:
    from .grid import Field, Grid

Key = tuple[str, str, str]  # (field, coordinate, end)


@dataclasses.dataclass(frozen=True, eq=False)
class Condition:
    """One condition at a side."""

    equation: Equation
    coordinate: Coordinate
    end: str

    @property
    def side(self) -> str:
        return f"{self.coordinate.name}.{self.end}"

    @property
    def cited(self) -> str:
        return f"{self.equation.cited} at {self.side}"


class Sides:
    """All conditions of a System, each given to the field whose end it determines."""

    def __init__(self, grid: "Grid", system: System):
        self.grid = grid
        self.of: dict[Key, list[Condition]] = {}
        self.rates: dict[Key, Condition] = {}
        self.poles: set[Key] = set()
        self.silent: dict[Key, list[Condition]] = {}
        self._solved: dict[tuple[Coordinate, ...], dict[Key, list[sp.Expr]]] = {}
        orders = {(f.name, c.name): derivative_order(system, f.symbol, c) for f in grid.fields.values() for c in f.coordinates}
        for axis in grid.axes.values():
            if isinstance(axis, Nodes):
                over = [f for f in grid.fields.values() if axis.coordinate in f.coordinates]
                axis.carries = all(orders[f.name, axis.name] <= 1 for f in over)
                axis.swings = bool(grid.split.parts) or any(f.order > 1 for f in over)
        for side in system.boundary:
            name, _, end = side.rpartition(".")
            self._assign([Condition(e, grid.axes[name].coordinate, end) for e in system.boundary[side]], orders)
        for f in grid.fields.values():
            for c in f.coordinates:
                self._regular(system, f, c)
        self._complete(system, orders)
        self.totals: dict[Key, sp.Expr] = {}
        for key in [k for k in self.of if isinstance(grid.axes[k[1]], Cells)]:
            self._total_flux(key)

    # -- which condition determines which end ------------------------------------------------

    def _assign(self, conditions: list[Condition], orders: dict[tuple[str, str], int]) -> None:
        """A matching of conditions and fields; a field takes as many as its order needs."""
        owner: dict[tuple[Key, int], int] = {}
        options: list[list[tuple[Key, int]]] = []
        for k in conditions:
            axis = self.grid.axes[k.coordinate.name]
            if isinstance(axis, SinePoints):
                _check_series(axis, k)
                options.append([])
                continue
            keys = [key for n in self._fields_of(k) if (key := self._end_of(n, k)) is not None]
            if not any(key[1] == k.coordinate.name for key in keys):
                raise ModelError(f"The condition {k.cited} holds no field over {k.coordinate.name}: it belongs to another side.")
            slots = {key: 1 if isinstance(self.grid.axes[key[1]], Cells) else max(1, (orders[key[0], key[1]] + 1) // 2) for key in keys}
            options.append([(key, j) for key in keys for j in range(slots[key]) if j >= self.count(*key)])

        def place(i: int, seen: set[tuple[Key, int]]) -> bool:
            for slot in options[i]:
                if slot not in seen:
                    seen.add(slot)
                    if slot not in owner or place(owner[slot], seen):
                        owner[slot] = i
                        return True
            return False

        for i, k in enumerate(conditions):
            if options[i] and not place(i, set()):
                among = ", ".join(dict.fromkeys(key[0] for key, _ in options[i]))
                raise ModelError(
                    f"The condition {k.cited} is one too many: other conditions at {k.side} determine {among} there already. Remove one of them."
                )
        for (key, _), i in sorted(owner.items(), key=lambda pair: pair[1]):
            k = conditions[i]
            if any(isinstance(n, sp.Derivative) and t in n.variables for n in distinct_nodes(k.equation.residual)):
                self._with_rate(key, k)
            else:
                self.of.setdefault(key, []).append(k)

    def _end_of(self, name: str, k: Condition) -> Key | None:
        """The end of a field that a condition may determine: at its own side, or where another interval touches it there."""
        field = self.grid.fields[name]
        if k.coordinate in field.coordinates:
            return name, k.coordinate.name, k.end
        own = self.grid.axes[k.coordinate.name]
        position = own.low if k.end == "left" else own.high
        for c in field.coordinates:
            axis = self.grid.axes[c.name]
            end = "left" if axis.low == position else "right" if axis.high == position else None
            if end is not None and isinstance(axis, Nodes | Cells) and not axis.periodic:
                return name, c.name, end
        return None

    def _with_rate(self, key: Key, k: Condition) -> None:
        name, coordinate, _ = key
        if isinstance(self.grid.axes[coordinate], Cells):
            raise CompileError(
                f"The condition {k.cited} has a time derivative, and cells have no point at {k.side}. Use sci.FiniteDifference or sci.Chebyshev "
                f'along {coordinate}; or declare the value there, w = sci.variables("w"), with an equation, and the condition sci.eq({name}, w).'
            )
        if self.grid.fields[name].order > 1:
            raise CompileError(
                f"The condition {k.cited} has a time derivative, and so has the equation of '{name}', of second order. Write it as two equations of "
                f"first order, sci.eq({name}.diff(sci.t), v) and one for v.diff(sci.t), with the condition on v."
            )
        if key in self.rates or key in self.of:
            raise CompileError(f"The condition {k.cited} gives '{name}' a rate, and another condition determines it there. Remove one of them.")
        self.rates[key] = k

    def _fields_of(self, k: Condition) -> list[str]:
        found = [declaration_of(n).name for n in distinct_nodes(k.equation.lhs, k.equation.rhs) if getattr(declaration_of(n), "kind", "") == "field"]
        return list(dict.fromkeys(found))

    def _regular(self, system: System, f: "Field", c: Coordinate) -> None:
        """At r = 0, where an equation divides by r, a smooth field has no slope."""
        axis = self.grid.axes[c.name]
        for end, position in (("left", axis.low), ("right", axis.high)):
            key = (f.name, c.name, end)
            if position != 0 or axis.periodic or key in self.of or key in self.rates:
                continue
            own = [e for e in system.equations if e.lhs.has(f.symbol) or e.rhs.has(f.symbol)]
            poles = any(isinstance(n, sp.Pow) and n.base == c and n.exp.is_negative for e in own for n in distinct_nodes(e.lhs, e.rhs))
            if poles and isinstance(axis, Cells):
                self.poles.add(key)  # the face there has no area
            elif poles:
                self.of[key] = [Condition(Equation(f.symbol.diff(c), sp.S.Zero), c, end)]

    def _complete(self, system: System, orders: dict[tuple[str, str], int]) -> None:
        """As many conditions as derivatives, counted over all fields of a coordinate."""
        for axis in self.grid.axes.values():
            if axis.periodic or not isinstance(axis, Nodes | Cells):
                continue
            fields = [f for f in self.grid.fields.values() if axis.coordinate in f.coordinates]
            needed = sum(orders[f.name, axis.name] for f in fields)
            given = {end: sum(self.count(f.name, axis.name, end) for f in fields) for end in ("left", "right")}
            have = sum(given.values())
            for f in fields:
                own, order = [self.count(f.name, axis.name, end) for end in ("left", "right")], orders[f.name, axis.name]
                if sum(own) > order and (len(fields) == 1 or sum(own) > 2 * max(1, order)):
                    ends = " and ".join(f"{axis.name}.{e}" for e, n in zip(("left", "right"), own, strict=True) if n)
                    raise ModelError(
                        f"'{f.name}' has {sum(own)} conditions at {ends}, and its equation is of order {order} in {axis.name}, which takes {order}. "
                        + ("Remove the one at the side where things leave (outflow)." if order == 1 else "Remove the others.")
                    )
            upwinded = isinstance(axis, Cells)
            for f in fields:
                order = orders[f.name, axis.name]
                for end in ("left", "right"):
                    least = order // 2 if not upwinded else (1 if order >= 2 else 0)
                    short = self.count(f.name, axis.name, end) < least and (f.name, axis.name, end) not in self.poles
                    if short and (have < needed or len(fields) == 1 or upwinded):
                        self._missing(f, axis, end, order)
            if have < needed and not upwinded:
                f = next(
                    f for f in fields if self.count(f.name, axis.name, "left") + self.count(f.name, axis.name, "right") < orders[f.name, axis.name]
                )
                self._missing(
                    f,
                    axis,
                    "left" if self.count(f.name, axis.name, "left") <= self.count(f.name, axis.name, "right") else "right",
                    orders[f.name, axis.name],
                )

    def _missing(self, f: "Field", axis: Axis, end: str, order: int) -> None:
        count = self.count(f.name, axis.name, end)
        said = f"only {count} condition{'s' * (count != 1)}" if count else "no condition"
        word = {1: "first", 2: "second", 3: "third", 4: "fourth"}.get(order, str(order))
        inflow = " (or at the other side, if things enter there)" if order == 1 else ""
        raise ModelError(
            f"'{f.name}' has an equation of {word} order in {axis.name} and {said} at {axis.name}.{end}. Add one, such as "
            f"boundary={{{axis.name}.{end}: sci.eq({f.name}, 0)}} or sci.eq({f.name}.diff({axis.name}), 0){inflow}; "
            f'or make the coordinate periodic: sci.space("{axis.name}", {axis.low:g}, {axis.high:g}, periodic=True).'
        )

    def count(self, field: str, coordinate: str, end: str) -> int:
        """How many conditions speak for an end."""
        key = (field, coordinate, end)
        return len(self.of.get(key, ())) + (key in self.rates)

    def cut(self, field: str, coordinate: str) -> tuple[int, int]:
        """How many nodes at each end do not follow the equation."""
        if not isinstance(self.grid.axes[coordinate], Nodes):
            return 0, 0
        return self.count(field, coordinate, "left"), self.count(field, coordinate, "right")

    # -- fluxes at the sides of cells ---------------------------------------------------------

    def _total_flux(self, key: Key) -> None:
        """A condition that says what flows through a side gives the flux there, to the last bit."""
        (k,) = self.of[key]
        field, c = self.grid.fields[key[0]], k.coordinate
        rate = next((r for f, r in self.grid.rates.values() if f is field and r is not None), None)
        found = [n.args[0] for n in distinct_nodes(fluxes.combined(rate, c)) if isinstance(n, D) and n.args[1] == c] if rate is not None else []
        if len(found) != 1:
            return
        flux, residual = found[0], k.equation.residual
        ratio = sp.cancel(flux / residual)
        candidates = [sp.S.Zero] if not _holds_field(ratio) else [sp.expand(flux - s * residual) for s in (1, -1)]
        known = next((q for q in candidates if not _holds_field(q)), None)
        if known is None:
            return
        self.totals[key] = known
        if degree(residual) > 1:  # the ghost is not needed for the flux, and may not exist
            self.silent[key] = self.of.pop(key)

    def flux_at(self, arrays: Arrays, field: str, c: Coordinate, end: str, f: sp.Expr) -> sp.Expr | None:
        """What a condition says flows through a side; None where it says something else."""
        known = self.totals.get((field, c.name, end))
        return None if known is None else arrays.visit(known, INSIDE.on(side=(c, end)))

    def at_side(self, arrays: Arrays, field: str, c: Coordinate, end: str, f: sp.Expr) -> sp.Expr | None:
        """An expression at a side with a condition for the field, by the values that conditions give there."""
        if (field, c.name, end) not in self.of:
            return None
        value = arrays.visit(f, INSIDE.on(side=(c, end)))
        ends = self._in_frame(arrays)
        return value.xreplace({s: e for key in ends for s, e in zip(self._symbols(key), ends[key], strict=True)})

    # -- the ends as expressions ----------------------------------------------------------------

    def unknowns(self, field: "Field", c: Coordinate, end: str, arrays: Arrays) -> list[sp.Symbol]:
        """Symbols for the end values (or the ghost) that conditions determine, from the side inwards."""
        n = len(self.of.get((field.name, c.name, end), ()))
        return [sp.Symbol(f"end:{field.name}:{c.name}:{end}:{k}", real=True) for k in range(n)]

    def values_at(self, arrays: Arrays, field: "Field", c: Coordinate, end: str, value: sp.Expr) -> list[sp.Expr]:
        """The end values from the side inwards, for the array `value` of the field."""
        key = (field.name, c.name, end)
        if key not in self.of:
            return []
        found = self._in_frame(arrays)[key]
        own = arrays.lifted(field.array, field.coordinates)
        return found if value == own else [e.xreplace({own: value}) for e in found]

    def rate_at(self, arrays: Arrays, field: "Field", c: Coordinate, end: str) -> sp.Expr | None:
        """The rate that a condition with a time derivative gives the end node."""
        k = self.rates.get((field.name, c.name, end))
        if k is None:
            return None
        residual = arrays.visit(self._residual(k), INSIDE.on(side=(c, end)))
        own = arrays.lifted(field.array, field.coordinates)
        rate = node(edge(arrays.place(c), end, 0, [1.0]), own).diff(t)
        symbol = sp.Dummy(real=True)
        plain = residual.xreplace({rate: symbol})
        slope = plain.diff(symbol)
        if slope == 0 or slope.has(symbol) or plain.has(sp.Derivative):
            raise CompileError(
                f"The condition {k.cited} cannot be solved for the rate of '{field.name}'. Write it as sci.eq({field.name}.diff(sci.t), ...)."
            )
        solved = -plain.xreplace({symbol: sp.S.Zero}) / slope
        ends = self._in_frame(arrays)
        return solved.xreplace({s: e for key in ends for s, e in zip(self._symbols(key), ends[key], strict=True)})

    def _symbols(self, key: Key) -> list[sp.Symbol]:
        name, coordinate, end = key
        return [sp.Symbol(f"end:{name}:{coordinate}:{end}:{k}", real=True) for k in range(len(self.of[key]))]

    def _residual(self, k: Condition) -> sp.Expr:
        """Where the condition speaks of a field on another coordinate, it is meant where the two meet."""
        residual = k.equation.residual
        position = self.grid.axes[k.coordinate.name].low if k.end == "left" else self.grid.axes[k.coordinate.name].high
        for other in self._foreign(k):
            axis = self.grid.axes[other.name]
            if position not in (axis.low, axis.high):
                raise ModelError(
                    f"The condition {k.cited} holds a field over {other.name}, which does not touch {k.side}. "
                    f"Say where it is taken: sci.at(..., {other.name}.left)."
                )
            residual = _taken_at(residual, other, position)
        return residual

    def _foreign(self, k: Condition) -> list[Coordinate]:
        """Coordinates of fields in a condition that are not those of the field it determines, and not taken at a place."""
        own = {
            c
            for key, listed in [*self.of.items(), *((key, [r]) for key, r in self.rates.items())]
            if k in listed
            for c in self.grid.fields[key[0]].coordinates
        }
        free = k.equation.residual.xreplace({n: sp.Dummy() for n in distinct_nodes(k.equation.residual) if isinstance(n, At | sp.Integral)})
        return [c for c in coordinates_in(free) if c not in own and c != k.coordinate]

    def _in_frame(self, arrays: Arrays) -> dict[Key, list[sp.Expr]]:
        """All ends of the fields that live in a frame, solved block by block."""
        if arrays.frame not in self._solved:
            equations: dict[Key, list[tuple[Condition, sp.Expr]]] = {}
            for key, conditions in self.of.items():
                field = self.grid.fields[key[0]]
                needed = {*field.coordinates, *(x for k in conditions for x in coordinates_in(k.equation.residual))}
                if needed <= set(arrays.frame):
                    equations[key] = [(k, arrays.visit(self._residual(k), INSIDE.on(side=(k.coordinate, k.end)))) for k in conditions]
            self._solved[arrays.frame] = self._solve(arrays, equations)
        return self._solved[arrays.frame]

    def _solve(self, arrays: Arrays, equations: dict[Key, list[tuple[Condition, sp.Expr]]]) -> dict[Key, list[sp.Expr]]:
        symbols = {key: self._symbols(key) for key in equations}
        owner = {s: key for key, listed in symbols.items() for s in listed}
        blocks: list[list[Key]] = []
        for key, listed in equations.items():
            touched = {owner[s] for _, r in listed for s in r.free_symbols if s in owner} | {key}
            joined = [b for b in blocks if touched & set(b)]
            merged = list(dict.fromkeys([*(k for b in joined for k in b), *sorted(touched)]))
            blocks = [b for b in blocks if b not in joined] + [merged]
        found: dict[Key, list[sp.Expr]] = {}
        for block in blocks:
            rows = [pair for key in block for pair in equations[key]]
            unknown = [s for key in block for s in symbols[key]]
            values = self._solve_block(arrays, rows, unknown, block)
            for key in block:
                found[key] = [values[s] for s in symbols[key]]
        return found

    def _solve_block(
        self, arrays: Arrays, rows: list[tuple[Condition, sp.Expr]], unknown: list[sp.Symbol], block: list[Key]
    ) -> dict[sp.Symbol, sp.Expr]:
        for k, r in rows:
            if any(isinstance(n, Node) and n.has(*unknown) for n in distinct_nodes(r)):
                raise CompileError(
                    f"The condition {k.cited} holds a derivative along its side of what it determines. "
                    f"Only derivatives by {k.coordinate.name} can stand there."
                )
            if not r.has(*unknown):
                raise ModelError(f"The condition {k.cited} does not determine the value there: nothing in it depends on it.")
        try:
            matrix, right = sp.linear_eq_to_matrix([r for _, r in rows], unknown)
        except NonlinearError:
            return self._roots(arrays, rows, unknown, block)
        determinant = matrix[0, 0] if len(unknown) == 1 else sp.simplify(matrix.det())
        if determinant == 0:
            said = " and ".join(k.cited for k, _ in rows)
            raise ModelError(
                f"The conditions {said} contradict or repeat each other: they do not determine "
                f"{', '.join(sorted({b[0] for b in block}))} there. Remove one."
            )
        solution = [right[0] / matrix[0, 0]] if len(unknown) == 1 else list(matrix.LUsolve(right))
        return dict(zip(unknown, solution, strict=True))

    def _roots(self, arrays: Arrays, rows: list[tuple[Condition, sp.Expr]], unknown: list[sp.Symbol], block: list[Key]) -> dict[sp.Symbol, sp.Expr]:
        """Newton's method for what SymPy cannot solve, from the nearest value inside."""
        guesses = []
        for key in block:
            field, axis = self.grid.fields[key[0]], self.grid.axes[key[1]]
            inside = arrays.lifted(field.array, field.coordinates)
            skip = 0 if isinstance(axis, Cells) else len(self.of[key])
            guesses += [node(edge(arrays.place(axis.coordinate), key[2], skip, [1.0]), inside)] * len(self.of[key])
        names: dict[sp.Expr, sp.Symbol] = {}

        def name_of(e: sp.Expr) -> sp.Symbol:
            return names.setdefault(e, sp.Symbol(f"given:{len(names)}", real=True))

        def plain(e: sp.Expr) -> sp.Expr:
            """With everything that does not hold an unknown under a name of its own."""
            if e in unknown or e.is_number:
                return e
            if not e.has(*unknown) and (isinstance(e, Node | Applied | Quantity) or declaration_of(e) is not None):
                return name_of(e)
            if getattr(declaration_of(e), "kind", "") == "neural":
                # Among the operands too, at the guess, or nothing would tell the System that it holds this network.
                name_of(node(PerPoint(), e.xreplace(dict(zip(unknown, guesses, strict=True)))))
                return node(PerPoint(), e.func(*map(plain, e.args)))
            return e.func(*map(plain, e.args)) if e.args else e

        residuals = tuple(plain(r) for _, r in rows)
        operands = tuple(names.values())
        return {s: node(Root(residuals, tuple(unknown), operands, i), *guesses, *names) for i, s in enumerate(unknown)}


def _taken_at(e: Any, c: Coordinate, position: float) -> Any:
    """An expression with what depends on a coordinate taken at a position; the rest stays where it is."""
    if not e.has(c) or isinstance(e, At | sp.Integral):
        return e
    if e == c:
        return sp.Float(position)
    if isinstance(e, sp.Derivative | D | Applied):
        return At(e, c, sp.Float(position))
    return e.func(*(_taken_at(a, c, position) for a in e.args))


def _holds_field(e: sp.Expr) -> bool:
    return any(getattr(declaration_of(n), "kind", "") == "field" for n in distinct_nodes(e))


def derivative_order(system: System, field: Any, c: Coordinate) -> int:
    """The highest derivative of a field by a coordinate in the equations, sci.D counting as one."""
    best = 0
    seen: dict[tuple[sp.Basic, int], None] = {}
    stack: list[tuple[Any, int]] = [(side, 0) for e in system.equations for side in (e.lhs, e.rhs)]
    while stack:
        e, depth = stack.pop()
        if (e, depth) in seen:
            continue
        seen[e, depth] = None
        if e == field:
            best = max(best, depth)
        elif isinstance(e, sp.Derivative):
            stack.append((e.expr, depth + sum(int(n) for v, n in e.variable_count if v == c)))
        elif isinstance(e, D):
            stack.append((e.args[0], depth + (e.args[1] == c)))
        elif not isinstance(e, At | sp.Integral | sp.Subs):
            stack += [(a, depth) for a in e.args]
    return best


def _check_series(axis: SinePoints, k: Condition) -> None:
    """A series has its conditions built in; those that are said must be the same."""
    parity = 0 if axis.series == "sine" else 1  # even derivatives of sines are 0 at the sides, odd ones of cosines
    body = k.equation.residual.as_coeff_Mul()[1]
    by = dict(body.variable_count) if isinstance(body, sp.Derivative) else {}
    field = body.expr if isinstance(body, sp.Derivative) else body
    fits = getattr(declaration_of(field), "kind", "") == "field" and set(by) <= {k.coordinate} and int(by.get(k.coordinate, 0)) % 2 == parity
    if not fits:
        right = "sci.eq(u, 0)" if parity == 0 else f"sci.eq(u.diff({axis.name}), 0)"
        raise ModelError(
            f"The condition {k.cited} does not fit {axis.method.name}, whose series has {right} built in. Use sci.Chebyshev({axis.n}) or "
            f"sci.FiniteDifference({axis.n}, order=4) along {axis.name}."
        )
