"""The compiler, on one screen, and what it gives: functions of JAX that know their names."""

import functools
from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import sympy as sp

from ..errors import CompileError, ModelError, NameUnknown, nearest
from ..passes import (
    PASSES,
    ConservationLaw,
    Constraints,
    NoiseForm,
    conservation_laws,
    constraint_form,
    determined,
    jump_times,
    mass_rows,
    modes_of,
    noise_form,
    run_passes,
    to_calculus,
)
from ..symbols import declaration_of, distinct_nodes, t
from ..system import System, name_of, text
from .grouped import Grouped, grouped
from .layout import Layout, Place, layout_of
from .lower import Tape, lower
from .modal import Modal
from .reach import structure_of
from .sparsity import Sparsity, contents, sparsity_of
from .structure import Band, Free, Structure
from .values import as_function, filled, flattened, function_value, inlined, piece, side_by_side


def compile(system: Any) -> "CompiledSystem":
    """A System as functions of JAX. Everything that takes a System takes this too; calling it is optional.

    The result is kept with the System, so that compiling again costs nothing.

    >>> import sciml as sci
    >>> x = sci.variables("x", initial=1.0)
    >>> k = sci.parameters("k", 0.5)
    >>> model = sci.compile(sci.System([sci.eq(x.diff(sci.t), -k*x)]))
    >>> model.params
    {'k': 0.5}
    """
    if isinstance(system, CompiledSystem):
        return system
    if not isinstance(system, System):
        raise ModelError(f"This needs a System, not {type(system).__name__}. Write sci.System([sci.eq(left, right), ...]).")
    memo = system.__dict__["_memo"]
    if "compiled" not in memo:
        reduced = run_passes(system)  #     System    explicit, first order
        layout = layout_of(reduced)  #      Layout    where each name lives
        noise = noise_form(reduced)  #      NoiseForm drift, diffusion, kind
        memo["compiled"] = CompiledSystem(system, reduced, layout, noise)
    return memo["compiled"]


_MANY = 100  # operations: unrolled, their Jacobian takes seconds to compile


class Point(NamedTuple):
    """Where an expression is evaluated: time, flat states, flat parameters, functions by name."""

    t: Any
    y: Any
    p: Any
    functions: Mapping[str, Callable[..., Any]]


@jax.tree_util.register_static
class CompiledSystem:
    """Rates, diffusion, initial values and observed quantities of one System.

    Attributes:
        system: as the user wrote it.
        reduced: after the passes: explicit, first order.
        layout: where each name lives in the flat vectors.
        noise: drift, diffusion and the kind of noise.
    """

    def __init__(self, system: System, reduced: System, layout: Layout, noise: NoiseForm):
        self.system, self.reduced, self.layout, self.noise = system, reduced, layout, noise
        self.definitions = {declaration_of(u).name: e for u, e in reduced.eliminated.items()}
        self.programs: dict[Any, Any] = {}  # what other rooms keep with this model: jitted functions
        self._rates_of = {declaration_of(u).name: e.rhs for u, e in zip(noise.unknowns, reduced.equations, strict=True) if e.of is None}
        _check_shapes(self)

    def __repr__(self) -> str:
        return f"CompiledSystem '{self.system.name}': {self.layout.n_states} states, {self.layout.n_params} parameters"

    # -- values -----------------------------------------------------------------

    @property
    def params(self) -> dict[str, Any]:
        """Declared values by name: numbers, arrays, pytrees; a parameter defined by others is left out."""
        plain = {n: p.default for n, p in self.layout.params.items() if n in self.layout.settable and not p.derived}
        return {**plain, **{n: function_value(d) for n, d in self.layout.functions.items()}}

    @property
    def initial(self) -> dict[str, Any]:
        """Declared initial values by name, without those that are expressions."""
        return {n: p.default for n, p in self.layout.states.items() if not p.derived}

    def functions(self, values: Mapping[str, Any]) -> dict[str, Callable[..., Any]]:
        """Data, tables and neural terms as functions, with the given values in place of the declared ones."""
        made = {}
        for name, d in self.layout.functions.items():
            value = values.get(name, function_value(d))
            made[name] = as_function(d, value)
        return made

    def full_params(self, p: Any, given: frozenset[str] = frozenset()) -> Any:
        """The flat parameters with those that are defined by others computed. `given` were set by the caller."""
        return filled(p, self.layout.params, given, {}, self._param_leaf(p))

    def initial_state(self, y: Any, p: Any, start: Any, given: frozenset[str] = frozenset()) -> Any:
        """The flat initial state with the values that are expressions computed."""

        def leaf(key: tuple[str, str]) -> Any:
            return start if key[0] == "time" else piece(y, self.layout.states[key[1]]) if key[0] == "unknown" else self._param_leaf(p)(key)

        return filled(y, self.layout.states, given, self.definitions, leaf)

    def initial_by_name(self, y: Any, p: Any, start: Any, given: frozenset[str] = frozenset()) -> dict[str, Any]:
        """The initial state as an array for each unknown; those that are expressions never pass through the flat state `y`."""

        def leaf(key: tuple[str, str]) -> Any:
            return start if key[0] == "time" else piece(y, self.layout.states[key[1]]) if key[0] == "unknown" else self._param_leaf(p)(key)

        found = {}
        for n, place in self.layout.states.items():
            if place.derived and n not in given:
                (value,) = lower([inlined(place.default, self.definitions)]).run(leaf)
                found[n] = jnp.broadcast_to(jnp.asarray(value, p.dtype), place.shape)
            else:
                found[n] = piece(y, place)
        return found

    def _param_leaf(self, p: Any) -> Callable[[tuple[str, str]], Any]:
        def leaf(key: tuple[str, str]) -> Any:
            if key[0] == "function":
                raise CompileError(
                    f"'{key[1]}' stands in an initial value or in the value of a parameter, where only parameters and constants can. "
                    "Give that value when you solve: sci.solve(system, ..., initial={...})."
                )
            return piece(p, self.layout.params[key[1]])

        return leaf

    # -- functions of JAX ---------------------------------------------------------

    def rates(self, point: Point) -> Any:
        """dy/dt without noise, flat."""
        if isinstance(self._lowered, Grouped):
            return self._lowered.run(point.t, point.y, point.p)
        return self._flat(self._lowered, point, list(self.layout.states.values()))

    def rates_by_name(self, point: Point) -> dict[str, Any]:
        """dy/dt without noise, an array for each unknown; the state of the point may be a dict of arrays too."""
        assert isinstance(self._lowered, Tape)
        values = self._lowered.run(self._leaf(point))
        return {n: jnp.broadcast_to(jnp.asarray(v), p.shape) for (n, p), v in zip(self.layout.states.items(), values, strict=True)}

    def states_in(self, expression: sp.Basic) -> frozenset[str]:
        """Names of the states that an expression holds, through eliminated unknowns."""
        return contents(self, expression)[0]

    @functools.cached_property
    def sparsity(self) -> Sparsity:
        """The pattern of the Jacobian of the rates."""
        return sparsity_of(self)

    @functools.cached_property
    def n_jumps(self) -> int:
        """How many times there are at which the rates may jump."""
        return len(jump_times(self.reduced))

    def jumps(self, p: Any) -> Any:
        """The times at which the rates may jump, at flat parameters."""
        values = lower(jump_times(self.reduced)).run(self._param_leaf(p))
        return jnp.stack([jnp.asarray(v, p.dtype) for v in values])

    @functools.cached_property
    def structure(self) -> Structure | None:
        """What is known of the Jacobian of a discretised System; None where its pattern is written down."""
        return structure_of(self)

    @functools.cached_property
    def modal(self) -> Modal | None:
        """The rates in modes, where a linear part is known wave by wave; None otherwise."""
        modes = modes_of(self.reduced) if self.noise.kind == "none" else None
        return None if modes is None else Modal(self, modes)

    @functools.cached_property
    def modal_in_rows(self) -> Modal | None:
        """The same, packed so that it can be divided among devices."""
        return None if self.modal is None else Modal(self, self.modal.modes, rows=True)

    # -- constraints ----------------------------------------------------------------

    @functools.cached_property
    def constraints(self) -> Constraints:
        """What holds at every time besides the rates; empty for ordinary differential equations."""
        return constraint_form(self.reduced)

    @functools.cached_property
    def differential(self) -> np.ndarray:
        """Which states have a rate of their own: True for each row `x' = ...`."""
        own = np.ones(self.layout.n_states, bool)
        for e in self.reduced.equations:
            place = self.layout.states[declaration_of(determined(e)).name]
            own[place.offset : place.end] = e.of is None
        return own

    @functools.cached_property
    def determined_ends(self) -> np.ndarray:
        """Flat indices of the nodes whose values conditions at sides give: what stands there in the state is not read."""
        grid = self.reduced.grid
        found = [np.zeros(0, int)]
        for name, place in self.layout.states.items() if grid is not None else ():
            field = grid.fields.get(name.rstrip("'"))
            if field is None or not place.shape:
                continue
            at_end = np.zeros(place.shape, bool)
            for i, c in enumerate(field.coordinates):
                key, sides = (field.name, c.name), grid.sides
                left, right = (n - ((*key, end) in sides.rates) for n, end in zip(sides.cut(*key), ("left", "right"), strict=True))
                along = np.arange(place.shape[i])
                at_end |= np.expand_dims((along < left) | (along >= place.shape[i] - right), tuple(j for j in range(at_end.ndim) if j != i))
            found.append(place.offset + np.flatnonzero(at_end))
        return np.concatenate(found)

    @functools.cached_property
    def stale(self) -> np.ndarray:
        """Those of `determined_ends` whose rate is 0 whatever happens: they keep their initial value."""
        return self.determined_ends[self.differential[self.determined_ends]]

    @property
    def at_rest(self) -> bool:
        """A discretised System without any rate: nothing in it moves."""
        return self.reduced.grid is not None and not self.differential.any() and self.noise.kind == "none"

    @functools.cached_property
    def _mass_entries(self) -> list[tuple[Place, Place, sp.Expr]]:
        """(row, column, coefficient) of each derivative on a left side."""
        states = self.layout.states
        return [
            (states[declaration_of(determined(e)).name], states[declaration_of(u).name], c)
            for e, row in zip(self.reduced.equations, mass_rows(self.reduced), strict=True)
            for u, c in row.items()
        ]

    @functools.cached_property
    def mass_pattern(self) -> np.ndarray:
        pattern = np.diag(self.differential)
        for row, column, _ in [] if self.differential.all() else self._mass_entries:
            pattern[np.arange(row.offset, row.end), np.arange(column.offset, column.end)] = True
        return pattern

    def mass(self, p: Any) -> Any:
        """M of M y' = f, at flat parameters; None for the identity."""
        return None if self.differential.all() else self._matrix(p, self._mass_entries, self.layout.n_states)

    def mass_diagonal(self, p: Any) -> Any:
        """The diagonal of M, for a Jacobian that is not written down: 1 for a rate, 0 for an equation without one."""
        if any(e.of is not None and e.lhs != 0 for e in self.reduced.equations):
            raise CompileError(
                f"System '{self.system.name}' couples the rates of {self.layout.n_states} unknowns, too many for a matrix in front of them. "
                "Solve the equations for the rates by hand."
            )
        return jnp.asarray(self.differential, p.dtype)

    def directions(self, p: Any) -> Any:
        """The columns that constraints fix, (states, constraints)."""
        return self._columns(p, self.constraints.directions)

    @functools.cached_property
    def laws(self) -> tuple[ConservationLaw, ...]:
        """What the equations conserve."""
        return conservation_laws(self.reduced)

    def totals(self, p: Any) -> Any:
        """The columns C of the conserved totals C^T y, (states, laws)."""
        return self._columns(p, [law.coefficients for law in self.laws])

    def changes(self, y: Any, p: Any) -> Any:
        """C^T y without C, flat: what a difference of states is in the totals."""
        values = iter(lower([c for law in self.laws for c in law.coefficients.values()]).run(self._param_leaf(p)))
        found = [sum(next(values) * piece(y, self.layout.states[declaration_of(u).name]) for u in law.coefficients) for law in self.laws]
        return jnp.concatenate([jnp.reshape(jnp.asarray(v, y.dtype), -1) for v in found])

    def _columns(self, p: Any, columns: Iterable[Mapping[Any, sp.Expr]]) -> Any:
        """A matrix whose columns have a coefficient for each unknown that they name."""
        places, offset = [], 0
        for entries in columns:
            rows = [self.layout.states[declaration_of(u).name] for u in entries]
            column = Place("", offset, rows[0].shape, None, None)
            places += [(row, column, c) for row, c in zip(rows, entries.values(), strict=True)]
            offset = column.end
        return self._matrix(p, places, offset)

    def _matrix(self, p: Any, entries: list[tuple[Place, Place, sp.Expr]], columns: int) -> Any:
        matrix = jnp.zeros((self.layout.n_states, columns), p.dtype)
        values = lower([c for *_, c in entries]).run(self._param_leaf(p))
        for (row, column, _), value in zip(entries, values, strict=True):
            block = jnp.broadcast_to(jnp.asarray(value, p.dtype), row.shape).reshape(-1)
            matrix = matrix.at[np.arange(row.offset, row.end), np.arange(column.offset, column.end)].set(block)
        return matrix

    def residuals(self, point: Point) -> Any:
        """The constraints, flat: zero where the state is consistent."""
        values = self._constraint_tape.run(self._leaf(point))
        shapes = [self.layout.states[declaration_of(next(iter(d))).name].shape for d in self.constraints.directions]
        return jnp.concatenate([jnp.broadcast_to(jnp.asarray(v, point.y.dtype), s).reshape(-1) for v, s in zip(values, shapes, strict=True)])

    @functools.cached_property
    def _constraint_tape(self) -> Tape:
        return lower(self.constraints.expressions, self.definitions)

    @functools.cached_property
    def open_states(self) -> frozenset[str]:
        """States without a declared initial value that constraints may determine."""
        return frozenset(n for n, p in self.layout.states.items() if p.default is None) if self.constraints.expressions else frozenset()

    def compact_rates(self, point: Point) -> Any:
        """The same numbers as `rates` from a smaller program, for what is differentiated: its derivative compiles quickly."""
        return self.rates(point) if self._compact is None else self._compact.run(point.t, point.y, point.p)

    @functools.cached_property
    def _compact(self) -> Grouped | None:
        return self._grouped(always=True) if isinstance(self._lowered, Tape) and self.heavy else None

    @property
    def heavy(self) -> bool:
        """Whether the rates take so many operations that a program should hold them once, in a loop. Those on whole fields do."""
        return self.n_operations > _MANY or self.reduced.grid is not None

    @functools.cached_property
    def n_operations(self) -> int:
        """How many operations the rates take, an array operation counting as one."""
        return len(self._lowered.ops) if isinstance(self._lowered, Tape) else len(self._lowered.groups) + len(self._lowered.shared)

    @functools.cached_property
    def _lowered(self) -> Tape | Grouped:
        """Unrolled scalars, or groups of equal terms where the System is large and regular."""
        rights = [*self.noise.drift, *[sp.S.Zero] * (len(self.layout.states) - len(self.noise.drift))]
        return self._grouped(always=False) or lower(rights, self.definitions)

    def _grouped(self, always: bool) -> Grouped | None:
        if not self.layout.scalar or self.definitions:
            return None
        rights = [*self.noise.drift, *[sp.S.Zero] * (len(self.layout.states) - len(self.noise.drift))]
        states, params = ({n: p.offset for n, p in group.items()} for group in (self.layout.states, self.layout.params))
        return grouped(rights, states, params, always=always)

    def diffusion(self, point: Point) -> Any:
        """G of dX = f dt + G dW, of shape (states, noises); the diagonal alone, (states,), for one noise per state in order."""
        places, noises = list(self.layout.states.values()), self._noise_places
        entries = [(places[i], noises[declaration_of(n).name], c) for i, row in enumerate(self.noise.diffusion) for n, c in row.items()]
        values = self._diffusion_tape.run(self._leaf(point))
        if self.diagonal:
            pieces = [jnp.broadcast_to(jnp.asarray(v, point.y.dtype), row.shape).reshape(-1) for (row, _, _), v in zip(entries, values, strict=True)]
            return jnp.concatenate(pieces)
        total = jnp.zeros((self.layout.n_states, self.n_noises), point.y.dtype)
        for (row, column, _), value in zip(entries, values, strict=True):
            block = jnp.broadcast_to(jnp.asarray(value, point.y.dtype), row.shape).reshape(-1)
            rows = jnp.arange(row.offset, row.end)
            columns = jnp.arange(column.offset, column.end) if column.shape else jnp.full(row.size, column.offset)
            total = total.at[rows, columns].add(block)
        return total

    @functools.cached_property
    def _diffusion_tape(self) -> Tape:
        return lower([c for row in self.noise.diffusion for c in row.values()], self.definitions)

    @functools.cached_property
    def _noise_places(self) -> dict[str, Place]:
        places, offset = {}, 0
        for n in self.noise.noises:
            d = declaration_of(n)
            places[d.name] = Place(d.name, offset, d.shape, None, d)
            offset = places[d.name].end
        return places

    @functools.cached_property
    def n_noises(self) -> int:
        return sum(p.size for p in self._noise_places.values())

    @functools.cached_property
    def diagonal(self) -> bool:
        """Noise i drives state i and no other, so that G can be kept as a vector. Its entries may depend on any state."""
        rows = self.noise.diffusion
        order = [declaration_of(n) for row in rows for n in row]
        shapes = [p.shape for p in self.layout.states.values()]
        in_order = [d.name for d in order] == list(self._noise_places)
        return all(len(r) == 1 for r in rows) and in_order and [d.shape for d in order] == shapes

    def in_calculus(self, calculus: str) -> "CompiledSystem":
        """This model with the drift read in the other calculus."""
        if calculus == self.reduced.calculus:
            return self
        if calculus not in self.programs:
            reduced = to_calculus(self.reduced, calculus)
            self.programs[calculus] = CompiledSystem(self.system, reduced, self.layout, noise_form(reduced))
        return self.programs[calculus]

    def evaluator(self, expressions: list[sp.Expr]) -> Callable[[Point], list[Any]]:
        """A function that evaluates any expressions of unknowns, rates, parameters, data and time."""
        tape = lower([self.known(e) for e in expressions], self.definitions, complex_values=True)
        return lambda point: tape.run(self._leaf(point))

    def known(self, expression: sp.Expr) -> sp.Expr:
        """The expression in names of this System: fields as arrays, rates replaced by what they equal, names checked."""
        if self.reduced.grid is not None and self.reduced.grid.asks(expression):
            expression = self.reduced.grid.discretized(expression)
        rates = {d: self._rate(d) for d in _outer_derivatives(expression)}
        expression = expression.xreplace(rates) if rates else expression
        for node in distinct_nodes(expression):
            d = declaration_of(node)
            if d is None:
                if isinstance(node, sp.Symbol | sp.core.function.AppliedUndef):
                    raise NameUnknown(
                        f"'{node}' in `{text(expression)}` is not a name of System '{self.system.name}'. {nearest(str(node), self.names)}"
                    )
            elif d.kind == "noise":
                raise ModelError(f"`{text(expression)}` holds white noise '{d.name}', which has no value at a point of time.")
            elif d.kind not in ("time", "function") and d.name not in self.names and not d.name.startswith("array_"):
                raise NameUnknown(f"System '{self.system.name}' has no '{d.name}'. {nearest(d.name, self.names)}")
        return expression

    @functools.cached_property
    def names(self) -> dict[str, None]:
        everything = (*self.layout.states, *self.definitions, *self.reduced.observed, *self.layout.params, *self.layout.functions)
        return dict.fromkeys(everything)

    def _rate(self, derivative: sp.Derivative) -> sp.Expr:
        """x' as what it equals; x'' as the rate of the unknown x'."""
        name = name_of(derivative)
        if name in self.layout.states:
            return self.reduced.symbols[name]
        below = name[:-1]
        if below in self._rates_of:
            if self._rates_of[below].has(*self.noise.noises) if self.noise.noises else False:
                raise ModelError(f"'{text(derivative)}' is driven by white noise and has no value at a point of time.")
            return self._rates_of[below]
        if below in self.definitions:
            return self.known(self.definitions[below].diff(t))
        if below in self.layout.states:
            raise ModelError(
                f"'{text(derivative)}' is given only implicitly: no equation says what it equals. Differentiate the solution: "
                f"sol = sci.solve(..., dense=True), then jax.vmap(jax.grad(lambda s: sol(s)[{below}]))(sol.t)."
            )
        raise NameUnknown(f"System '{self.system.name}' has no rate {text(derivative)}. {nearest(below, self.names)}")

    def _leaf(self, point: Point) -> Callable[[tuple[str, str]], Any]:
        layout = self.layout

        def value(key: tuple[str, str]) -> Any:
            kind, name = key
            if kind == "time":
                return point.t
            if kind == "unknown":
                return piece(point.y, layout.states[name])
            if kind == "function":
                return point.functions[name]
            if name not in layout.params:  # an array given to sci.dot in an expression asked for afterwards
                raise NameUnknown(f"System '{self.system.name}' has no '{name}'.")
            return piece(point.p, layout.params[name])

        return value

    def _flat(self, tape: Tape, point: Point, places: list[Place]) -> Any:
        values = tape.run(self._leaf(point))
        dtype = point.y.dtype
        pieces = []
        for value, place in zip(values, places, strict=True):
            value = value if getattr(value, "dtype", None) == dtype else jnp.asarray(value, dtype)
            pieces.append(jnp.broadcast_to(value, place.shape))
        return side_by_side(pieces) if pieces else jnp.zeros(0, dtype)  # nothing where every unknown is a definition

    # -- for users ------------------------------------------------------------------

    def rhs(self, t: Any, y: Any, params: Mapping[Any, Any] | None = None) -> Any:
        """dy/dt at a time and state. `y` is flat, in the order of `layout.states`, or a dict by name; the answer is alike.

        Raises:
            NameUnknown: a name that the System does not have.
        """
        as_dict = isinstance(y, Mapping)
        state = self.flat_state(y) if as_dict else jnp.asarray(y, float)
        p, values, given = self.flat_params(params or {})
        rates = self.rates(Point(jnp.asarray(t, state.dtype), state, self.full_params(p, given), self.functions(values)))
        return {n: piece(rates, place) for n, place in self.layout.states.items()} if as_dict else rates

    def flat_state(self, values: Mapping[Any, Any]) -> Any:
        by_name = {self.layout.check_state(k): v for k, v in values.items()}
        missing = [n for n in self.layout.states if n not in by_name]
        if missing:
            raise ModelError(f"The state needs a value for {', '.join(missing)}.")
        return flattened(self.layout.states, by_name)

    def flat_params(self, params: Mapping[Any, Any]) -> tuple[Any, dict[str, Any], frozenset[str]]:
        """(flat vector, function values, names of defined parameters that were set)."""
        by_name = {self.layout.check_param(k): v for k, v in params.items()}
        functions = {n: v for n, v in by_name.items() if n in self.layout.functions}
        given = frozenset(n for n in by_name if n in self.layout.params and self.layout.params[n].derived)
        return flattened(self.layout.params, by_name), functions, given

    def explain(self) -> str:
        """What the compiler did, in words."""
        layout, noise = self.layout, self.noise
        lines = [f"System '{self.system.name}': {len(self.system.equations)} equations, {layout.n_states} states, {layout.n_params} parameters"]
        lines.append("passes: " + ", ".join(p.__name__ for p, _ in PASSES))
        lines += [f"  {e}" for e in self.reduced.equations[:40]]
        if len(self.reduced.equations) > 40:
            lines.append(f"  ... and {len(self.reduced.equations) - 40} more")
        lines += [f"  {text(u)} := {text(e)}   (eliminated, available as sol[{text(u)}])" for u, e in self.reduced.eliminated.items()]
        if noise.kind != "none":
            lines.append(f"noise: {noise.kind}, {self.n_noises} independent, read in the {self.reduced.calculus} calculus")
        if isinstance(self._lowered, Grouped):
            shapes = len(self._lowered.groups) + len(self._lowered.shared)
            lines.append(f"lowering: {shapes} groups of equally shaped terms, as arrays")
        else:
            lines.append(f"lowering: {len(self._lowered.ops)} operations, each sub-expression once")
        return "\n".join([*lines, *self._explain_grid()])

    def _explain_grid(self) -> list[str]:
        """Of a discretised System: the grid, the linear part in modes, the structure of the Jacobian."""
        if self.reduced.grid is None:
            return []
        lines = [f"grid: {a.name} by {a.method.name}, {a.n} points" for a in self.reduced.grid.axes.values()]
        if self.modal is None:
            lines.append("modes: none, no linear term with constant coefficients")
        else:
            shown = [f"{row}' = ({text(c)})*{column}" for (row, column), c in self.modal.modes.linear.items()]
            lines.append("modes: the linear part is solved exactly by etdrk4, " + ", ".join(shown))
        structure = self.structure
        if isinstance(structure, Band):
            round_ = ", going round" if structure.periodic else ""
            lines.append(f"Jacobian: banded, {structure.lower} below and {structure.upper} above the diagonal{round_}")
        elif isinstance(structure, Free):
            by = ", preconditioned in modes" if structure.precondition is not None else ""
            lines.append(f"Jacobian: never written down, products with vectors only{by}")
        else:
            lines.append(f"Jacobian: {self.layout.n_states} x {self.layout.n_states} numbers")
        return lines


def _outer_derivatives(expression: sp.Expr) -> list[sp.Derivative]:
    return list(expression.atoms(sp.Derivative)) if isinstance(expression, sp.Basic) and expression.has(sp.Derivative) else []


def _check_shapes(model: CompiledSystem) -> None:
    """Elementwise semantics: a right side has the shape of its unknown, or is a number."""
    if model.layout.scalar:
        return
    layout = model.layout
    for e, drift in zip(model.reduced.equations, model.noise.drift, strict=True):
        place = layout.states[declaration_of(determined(e)).name]
        evaluate = model.evaluator([drift])
        point = Point(jnp.zeros(()), jnp.zeros(layout.n_states), jnp.zeros(layout.n_params), model.functions({}))
        try:
            (found,) = jax.eval_shape(lambda: [jnp.asarray(v) for v in evaluate(point)])  # noqa: B023
        except (TypeError, ValueError) as problem:
            raise CompileError(f"In {e.cited}: shapes do not fit ({problem}). Products of arrays are written sci.dot(N, z).") from None
        if found.shape not in ((), place.shape):
            raise CompileError(
                f"In {e.cited}: the left side has shape {place.shape}, the right side {found.shape}. Products of arrays are written sci.dot(N, z)."
            )


__all__ = ["CompiledSystem", "Point", "as_function", "compile", "function_value"]
