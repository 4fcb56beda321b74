"""Steady states: where the rates are zero, with what the equations conserve held at its initial value.

A `SteadyProgram` is a `Program` that finds a root where the other integrates; the packed buffer has the guess behind the initial
state. The root comes from `rest.search` and carries the derivative of the implicit function theorem (`tangent.attach`).
"""

import functools
from collections.abc import Mapping
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from ..codegen import CompiledSystem, Place, Point, checked_shape, compile
from ..errors import SolveError
from ..symbols import Applied, declaration_of
from ..system import text
from .native import bounds_of
from .program import HEADER, TAIL, Options, Program
from .rest import inside, isolated, search, sizes
from .solution import Solution
from .solve import _by_name, _check_functions, _default_functions, _derived, _traced
from .solvers import Choice, SolverRow
from .status import NO_REST, NONFINITE, NOT_ISOLATED
from .tangent import Linear, attach

_CHOICE = Choice("newton", SolverRow(None, implicit=True), None, "Newton's method, pseudo-transient continuation where it fails")
_ADJOINT = ("implicit", None, "the implicit function theorem")
_LINEAR = Linear(None, frozenset(), False)


def steady_state(
    system: Any,
    *,
    params: Any = None,
    initial: Any = None,
    guess: Any = None,
    time: Any = None,
    max_steps: int = 100,
    throw: bool = True,
) -> "SteadyState":
    """A state in which nothing changes: all rates and algebraic equations zero.

    Newton's method, damped, and where it fails pseudo-transient continuation, which follows the motion in ever longer
    steps (Kelley and Keyes 1998, SIAM J. Numer. Anal. 35). Where there are several steady states, the start of the search
    decides which one is found; it need not be stable (`sci.linearize` tells). An answer outside the `bounds=` of an unknown
    is not taken.

    Conserved totals (`sci.passes.conservation_laws`) keep their initial values, so that the steady state of a reaction network
    follows the amounts given.

    A pure function of all its numbers: `jit`, `vmap`, `grad` and `jvp` work on it. The derivatives, by parameters and
    by the initial values in the totals, are those of the implicit function theorem. The derivative by the guess is zero.

    Args:
        system: a System, or what `sciml.compile` gives.
        params: parameters by name, in place of the declared values.
        initial: initial values by name, in place of the declared ones: they fix the totals, and the search starts there.
        guess: where the search starts, by name, if elsewhere. Left out: what `initial` gives, else the declared
            `guess=`, else the declared initial value, else `nominal=`, else 0.
        time: the time at which a System that holds the time or measured inputs is frozen. Refused without it.
        max_steps: the most corrections by Newton's method; ten times as many steps of continuation.
        throw: raise if none is found. Inside a transformation nothing is raised: the values are NaN, `status` says why.

    Returns:
        A `SteadyState`: `rest[x]`, `rest["x"]`, `rest[x/(x + y)]` have the shape of the expression (no axis of time).

    Raises:
        NameUnknown: a name that the System does not have.
        SolveError: white noise, explicit time, a missing value, no steady state found, or one that is not isolated.

    >>> import sciml as sci
    >>> a, b = sci.variables("a b", initial=[3.0, 0.0])
    >>> k, back = sci.parameters("k back", [2.0, 1.0])
    >>> rest = sci.steady_state(sci.System({a.diff(sci.t): back*b - k*a, b.diff(sci.t): k*a - back*b}))
    >>> float(rest[a].round(6)), float(rest[b].round(6)), rest.conserved
    (1.0, 2.0, {'a + b': 3.0})
    """
    model = compile(system)
    layout = model.layout
    given_params, given_initial = _by_name(params, layout.check_param), _by_name(initial, layout.check_state)
    given_guess = _by_name(guess, layout.check_state)
    refuse_noise(model)
    when = frozen_time(model, time, "sci.steady_state(system, time=0.0)")
    if isinstance(max_steps, bool) or not isinstance(max_steps, int) or max_steps < 1:
        raise SolveError(f"max_steps={max_steps!r}: give a positive whole number.")
    program = _program(model, given_params, given_initial, max_steps)
    values = function_values(model, given_params, when)
    buffer = program.packed(when, given_params, given_initial, given_guess)
    rest = SteadyState(program.jitted(buffer, values), buffer, values, None, program, None)
    if throw and rest._concrete and rest._flat.ndim == 1 and not rest.successful:
        raise _failure(rest)
    return rest


@jax.tree_util.register_pytree_node_class
class SteadyState(Solution):
    """What `sciml.steady_state` gives: a Solution at one time, and a pytree as that.

    Attributes:
        conserved: the totals by their expressions, as text.
        status: a `Status`, or a batch of them: successful, nonfinite, no_steady_state, not_isolated.
        stats: steps (all), newton, pseudo_transient (numbers), solver, adjoint, reason (words).
    """

    @property
    def conserved(self) -> dict[str, Any]:
        """What the equations conserve: each total, as text, with its value."""
        found = {text(law.total): self[law.total] for law in self.model.laws}
        return {n: float(v) if self._concrete and np.ndim(v) == 0 else v for n, v in found.items()}

    @property
    def stats(self) -> dict[str, Any]:
        slow, steps = self._count("stiff"), self._count("steps")
        led = isinstance(slow, int) and slow > 0
        why = "Newton's method failed from the start, pseudo-transient continuation led it" if led else "Newton's method found it"
        return {
            "steps": steps + slow,
            "newton": steps,
            "pseudo_transient": slow,
            "solver": "newton after pseudo-transient continuation" if led else "newton",
            "adjoint": "implicit",
            "reason": why if isinstance(slow, int) else _CHOICE.reason,
        }

    def to_pandas(self) -> Any:
        """A table with one column per unknown and observed quantity: one row, or one for each of a batch."""
        import pandas as pd

        count = self._flat.ndim - 1
        columns: dict[str, Any] = {}
        for name in self.quantities():
            value = np.asarray(self[name])
            for index in np.ndindex(*value.shape[count:]):
                column = f"{name}[{','.join(map(str, index))}]" if index else name
                columns[column] = value[(slice(None),) * count + index].reshape(-1)
        names = list(self.axes)
        index = pd.MultiIndex.from_product([range(n) for n in self._flat.shape[:-1]], names=names) if names else None
        return pd.DataFrame(columns, index=index)

    def plot(self, *what: Any, ax: Any = None, **style: Any) -> Any:
        """Dots in the phase plane, one pair `(x, y)` each; by default the first two unknowns. Returns the axes."""
        from ..figure import axes

        names = list(self.quantities())
        pairs = what or (tuple(names[:2]),)
        if any(not isinstance(p, tuple) or len(p) != 2 for p in pairs):
            raise SolveError("A steady state is a point: rest.plot((x, y)) draws it in the phase plane.")
        ax = axes(ax)
        for x, y in pairs:
            ax.plot(np.ravel(self[x]), np.ravel(self[y]), **{"marker": "o", "linestyle": "none", **style})
        ax.set_xlabel(self.label(pairs[0][0]))
        ax.set_ylabel(self.label(pairs[0][1]))
        return ax

    def __repr__(self) -> str:
        name = self.system.name
        if not self._concrete:
            return f"SteadyState of '{name}' (traced)"
        if self._flat.ndim > 1:
            found = np.asarray(self.successful)
            return f"SteadyState of '{name}', batch {found.shape}. {found.sum()} of {found.size} were found."
        shown = ", ".join(f"{n} = {np.array2string(np.asarray(self[n]), precision=6)}" for n in self.quantities())
        return f"SteadyState of '{name}': {shown}" if self.successful else f"SteadyState of '{name}': none was found"


class SteadyProgram(Program):
    """The function from the packed numbers to the packed steady state."""

    def __init__(self, model: CompiledSystem, options: Options):
        super().__init__(model, _CHOICE, _ADJOINT, options)
        self.size = self.times_at + model.layout.n_states  # the guess, in the place of save times

    def run(self, buffer: Any, values: Mapping[str, Any], key: Any = None) -> Any:
        """[state | time | status, steps, accepted, rejected, worst, steps of pseudo time]."""
        self.traces += 1
        y, code, found = self._found(buffer, values)
        dtype, at = self.options.dtype, jnp.asarray(buffer, self.options.dtype)[0]
        y = jnp.where(code > 0, jnp.nan, y)
        none = jnp.zeros((), jnp.int32)
        tail = jnp.stack([jnp.asarray(v, dtype) for v in (code, found.steps, found.steps, none, none, found.slow)])
        return jnp.concatenate([y, at[None], tail])

    def _found(self, buffer: Any, values: Any) -> tuple[Any, Any, Any]:
        """(state with its derivatives, code, what the search gave)."""
        buffer, start = self._started(jnp.asarray(buffer, self.options.dtype), values)
        arrays, static = eqx.partition(values, eqx.is_inexact_array)

        def residual(y: Any, theta: Any) -> Any:
            buffer, arrays = theta
            return self.residual(buffer, eqx.combine(arrays, static), y)

        fixed = jax.lax.stop_gradient((buffer, arrays))
        frozen = lambda y: residual(y, fixed)  # noqa: E731
        scale, start = jnp.asarray(self.nominal, self.options.dtype), jax.lax.stop_gradient(start)
        found = search(frozen, self.masses(fixed[0]), start, scale, self.bounds, self.options.max_steps)
        y = found.y
        f, _, size = sizes(frozen, y)
        near = jnp.all(jnp.abs(f) <= jnp.finfo(y.dtype).eps ** 0.4 * size) & inside(y, self.bounds, scale)
        regular = isolated(frozen, y, scale)
        missed = jnp.where(jnp.all(jnp.isfinite(frozen(start))), NO_REST, NONFINITE)
        code = jnp.where((found.found | near) & ~regular, NOT_ISOLATED, jnp.where(found.found, 0, missed)).astype(jnp.int32)
        return attach(y, (buffer, arrays), residual, _LINEAR), code, found

    def _started(self, buffer: Any, values: Any) -> tuple[Any, Any]:
        """The buffer with the values that are expressions or that constraints determine; where the search starts."""
        model, o = self.model, self.options
        if self._open_in_laws:
            buffer, _ = self._completed(buffer, values)
        else:
            p = model.full_params(buffer[self.p_at : self.y_at], o.given_params)
            y0 = model.initial_state(buffer[self.y_at : self.times_at], p, buffer[0], o.given_initial)
            buffer = jnp.concatenate([buffer[: self.p_at], p, y0, buffer[self.times_at :]])
        y0, guess = buffer[self.y_at : self.times_at], buffer[self.times_at :]
        return buffer, jnp.where(jnp.isnan(guess), y0, guess)

    def residual(self, buffer: Any, values: Any, y: Any) -> Any:
        """The right sides, redundant ones replaced by the totals."""
        model = self.model
        p, y0 = buffer[self.p_at : self.y_at], buffer[self.y_at : self.times_at]
        f = model.compact_rates(Point(buffer[0], y, p, model.functions(values)))
        if len(self.held):
            f = f.at[self.held].set((y - y0)[self.held])
        if model.laws:
            f = f.at[self.redundant].set((y - y0) @ model.totals(p))
        return f

    def masses(self, buffer: Any) -> Any:
        """M, with empty rows where the right side is a total."""
        p = buffer[self.p_at : self.y_at]
        mass = self.model.mass(p)
        mass = jnp.eye(self.model.layout.n_states, dtype=p.dtype) if mass is None else mass
        return mass.at[np.concatenate([self.redundant, self.held])].set(0)

    @functools.cached_property
    def redundant(self) -> np.ndarray:
        """The rows that the totals replace."""
        places = [self.model.layout.states[declaration_of(law.redundant).name] for law in self.model.laws]
        return np.concatenate([np.zeros(0, int), *(np.arange(p.offset, p.end) for p in places)])

    @functools.cached_property
    def held(self) -> np.ndarray:
        """The states without an equation, which change at events only."""
        places = [p for p in self.model.layout.states.values() if p.declaration is not None and p.declaration.discrete]
        return np.concatenate([np.zeros(0, int), *(np.arange(p.offset, p.end) for p in places)])

    @functools.cached_property
    def bounds(self) -> tuple[np.ndarray, np.ndarray]:
        """The lowest and the highest value of each state."""
        n, dtype = self.model.layout.n_states, self.options.dtype
        return bounds_of(self) or (np.full(n, -np.inf, dtype), np.full(n, np.inf, dtype))

    @functools.cached_property
    def _in_laws(self) -> dict[str, str]:
        """The unknowns in conserved totals, each with one such total."""
        return {declaration_of(u).name: text(law.total) for law in self.model.laws for u in law.coefficients}

    @functools.cached_property
    def _open_in_laws(self) -> bool:
        return any(n in self.model.open_states and n not in self.options.given_initial for n in self._in_laws)

    @functools.cached_property
    def diagnosis(self) -> Any:
        """(state, right sides, Jacobian) where the search ended. Used to explain a failure."""

        def ended(buffer: Any, values: Any) -> Any:
            y, _, _ = self._found(buffer, values)
            whole, start = self._started(jnp.asarray(buffer, self.options.dtype), values)
            f, jacobian, _ = sizes(lambda y: self.residual(whole, values, y), y)
            return y, f, jacobian, start, self.residual(whole, values, start)

        return jax.jit(ended)

    # -- numbers into the buffer ----------------------------------------------------

    def packed(self, when: Any, params: Mapping[str, Any], initial: Mapping[str, Any], guess: Mapping[str, Any]) -> Any:
        """The numbers in one array; NumPy's where none is traced."""
        layout, dtype = self.model.layout, self.options.dtype
        header = [when, *[0.0] * (self.p_at - 1)]
        pieces = [_piece(p, params, _declared(p), "params", dtype) for p in layout.params.values()]
        pieces += [_piece(p, initial, self._start_value(p), "initial", dtype) for p in layout.states.values()]
        pieces += [_piece(p, guess, self._guess(p, initial), "guess", dtype) for p in layout.states.values()]
        traced = _traced(when, *params.values(), *initial.values(), *guess.values())
        to = jnp if traced else np
        return to.concatenate([to.asarray(header, dtype), *(to.asarray(v, dtype) for v in pieces)])

    def _start_value(self, place: Place) -> Any:
        if place.default is not None or (place.name in self._in_laws and place.name not in self.model.open_states):
            return _declared(place)
        return _soft(place)

    def _guess(self, place: Place, initial: Mapping[str, Any]) -> Any:
        """NaN where the initial value is the guess."""
        soft = place.declaration is not None and place.declaration.guess is not None and place.name not in initial
        return _soft(place) if soft else np.nan


def _soft(place: Place) -> Any:
    d = place.declaration
    return 0.0 if d is None else d.guess if d.guess is not None else d.nominal if d.nominal is not None else 0.0


def _declared(place: Place) -> Any:
    return 0.0 if place.derived else place.default


def _piece(place: Place, given: Mapping[str, Any], declared: Any, word: str, dtype: str) -> Any:
    """The flat values of one name, checked."""
    if place.name in given:
        value = given[place.name]
        checked_shape(value, place, word)
        if _traced(value):
            return jnp.broadcast_to(jnp.asarray(value, dtype), place.shape).reshape(-1)
        declared = np.asarray(value, dtype)
        if not np.isfinite(declared).all():
            raise SolveError(f'{word} holds {declared[~np.isfinite(declared)][0]} for \'{place.name}\'. Give a finite number.')
    if declared is None:
        shown = "1.0" if not place.shape else f"jnp.ones({place.shape})"
        cure = f'Write sci.steady_state(..., {word}={{"{place.name}": {shown}}}), or declare it.'
        if word == "params":
            raise SolveError(f"The parameter '{place.name}' has no value. {cure}")
        raise SolveError(f"The unknown '{place.name}' has no initial value, and a total that the equations conserve holds it. {cure}")
    return np.broadcast_to(np.asarray(declared, dtype), place.shape).reshape(-1)


def _program(model: CompiledSystem, params: Mapping[str, Any], initial: Mapping[str, Any], max_steps: int) -> SteadyProgram:
    derived, derived_states = _derived(model)
    given_params, given_initial = frozenset(params) & derived, frozenset(initial) & (derived_states | model.open_states)
    dtype = "float64" if jax.config.jax_enable_x64 else "float32"  # type: ignore[attr-defined]
    key = ("steady", given_params, given_initial, max_steps, dtype)
    if key not in model.programs:
        options = Options(
            saving="end", n_times=1, dense=False, fixed=False, n_atol=1, max_steps=max_steps, recorded=0,
            given_params=given_params, given_initial=given_initial, dtype=dtype,
        )  # fmt: skip
        model.programs[key] = SteadyProgram(model, options)
    return model.programs[key]


# -- what cannot be at rest ------------------------------------------------------------------


def refuse_noise(model: CompiledSystem) -> None:
    """White noise never rests."""
    if model.noise.kind != "none":
        names = ", ".join(f"'{declaration_of(n).name}'" for n in model.noise.noises)
        name = declaration_of(model.noise.noises[0]).name
        raise SolveError(
            f"System '{model.system.name}' is driven by white noise ({names}) and never rests. For its drift alone write "
            f"system.subs({name}, 0)."
        )


def frozen_time(model: CompiledSystem, time: Any, cure: str) -> Any:
    """The time at which the System is looked at, 0 where it does not matter; refused where it does and is not given."""
    if time is not None:
        if not _traced(time) and (np.ndim(time) != 0 or not np.isfinite(time)):
            raise SolveError(f"time={time!r}: give one finite number.")
        return time
    for e in model.reduced.equations:
        found = _explicit_time(e.rhs, model)
        if found is not None:
            raise SolveError(
                f"System '{model.system.name}' holds the time explicitly, through {text(found)} in {e.cited}. Give the time at which to freeze it: "
                f"{cure}."
            )
    return 0.0


def _explicit_time(expression: Any, model: CompiledSystem) -> Any:
    """The time itself or a measured input in an expression, if there is one."""
    stack, seen = [expression], set()
    while stack:
        node = stack.pop()
        if node in seen:
            continue
        seen.add(node)
        d = declaration_of(node)
        if d is not None and (d.kind == "time" or d.kind == "data"):
            return node
        if node in model.reduced.eliminated:
            stack.append(model.reduced.eliminated[node])
        elif not (isinstance(node, Applied) and d is not None and d.kind == "unknown"):
            stack.extend(node.args)
    return None


def function_values(model: CompiledSystem, params: Mapping[str, Any], time: Any) -> dict[str, Any]:
    """Data, tables and networks by name; data must cover the time."""
    if not model.layout.functions:
        return {}
    _check_functions(model, dict(params), np.nan, np.nan)  # the values; there is no span
    for name, d in model.layout.functions.items():
        if d.kind == "data" and d.payload["outside"] == "error" and not _traced(time):
            low, high = d.payload["grid"][0], d.payload["grid"][-1]
            if not low <= time <= high:
                raise SolveError(f"'{name}' was measured from t={low:g} to t={high:g}, and time={float(time):g} lies outside. Give a time inside.")
    return {n: params.get(n, v) for n, v in _default_functions(model).items()}


# -- why none was found ------------------------------------------------------------------------


def _failure(rest: SteadyState) -> SolveError:
    program, model = rest._program, rest.model
    assert isinstance(program, SteadyProgram)
    y, f, jacobian, start, at_start = (np.asarray(v) for v in program.diagnosis(rest._buffer, rest._values))
    head, code = f"System '{model.system.name}': ", int(rest._tail("status"))
    if code == NONFINITE:
        i = int(np.argmax(~np.isfinite(at_start)))
        name = component(model, i)
        return SolveError(
            f"{head}The right side of '{name}' is {at_start[i]} where the search starts ({_shown(model, start)}). Start elsewhere, "
            f'guess={{"{name.split("[")[0]}": ...}}, or check it for a division by zero or a root or logarithm of a negative number.'
        )
    if code == NOT_ISOLATED:
        return SolveError(f"{head}{_touching(model, y, jacobian)}")
    low, high = program.bounds
    outside = (y < low) | (y > high)
    if np.abs(f).max() <= 1e-6 * np.abs(jacobian).max() * np.abs(y).max() and outside.any():
        i = int(np.argmax(outside))
        return SolveError(
            f"{head}The steady state that was found has {component(model, i)} = {y[i]:.4g}, outside its bounds=({low[i]:g}, {high[i]:g}). "
            f"Start nearer to another one, {_cure(model, i)}, or widen the bounds."
        )
    i = int(np.argmax(np.where(np.isfinite(f), np.abs(f), np.inf) / np.where(np.abs(y) > 0, np.abs(y), 1)))
    return SolveError(
        f"{head}No steady state was found: Newton's method and pseudo-transient continuation ended with the right side of '{component(model, i)}' "
        f"farthest from zero, {f[i]:.4g} at {_shown(model, y)}. Start nearer to one, {_cure(model, i)}. Whether the System comes to rest at all, "
        "sci.solve shows; a slow one may need more than "
        f"max_steps={program.options.max_steps}."
    )


def _cure(model: CompiledSystem, i: int) -> str:
    name = component(model, i).split("[")[0]
    return f'sci.steady_state(..., guess={{"{name}": ...}})'


def _touching(model: CompiledSystem, y: np.ndarray, jacobian: np.ndarray) -> str:
    """Which unknowns may move without leaving rest."""
    rows = np.abs(jacobian).max(axis=1, keepdims=True)
    scaled = jacobian / np.where(rows > 0, rows, 1)
    null = np.abs(np.linalg.svd(scaled)[2][-1])
    order = [i for i in np.argsort(-null) if null[i] > 0.05 * null.max()][:4]
    names = ", ".join(f"'{component(model, int(i))}'" for i in order)
    return (
        f"The Jacobian is singular at the steady state {_shown(model, y)}: other steady states lie next to it, along {names}. Where the "
        "equations keep a total that was not recognised, write its terms alike in all equations, or put the total in as an equation of its own, "
        f'such as sci.eq(x + y, total), in place of one of theirs. At a fold two steady states meet: change a parameter, or move '
        f"the start, {_cure(model, int(order[0]))}."
    )


def component(model: CompiledSystem, index: int) -> str:
    """What the user calls a component of the flat state."""
    name, place = next((n, p) for n, p in model.layout.states.items() if p.offset <= index < p.end)
    if not place.shape:
        return name
    return f"{name}[{','.join(map(str, np.unravel_index(index - place.offset, place.shape)))}]"


def _shown(model: CompiledSystem, y: np.ndarray) -> str:
    most = 6
    shown = ", ".join(f"{component(model, i)} = {v:.4g}" for i, v in enumerate(y[:most]))
    return shown + (", ..." if len(y) > most else "")


__all__ = ["SteadyProgram", "SteadyState", "steady_state"]
