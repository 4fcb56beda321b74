"""The function behind `steady_state`: a `Program` that finds a root where the others integrate.

The packed buffer has the guess behind the initial state. The root comes from `rest.search` and carries the derivative of the
implicit function theorem (`tangent.attach`).
"""

import functools
from collections.abc import Mapping
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import sympy as sp

from ..codegen import CompiledSystem, Place, Point, checked_shape
from ..codegen.structure import Band, Free
from ..errors import SolveError
from ..passes import Node, operators
from ..symbols import declaration_of, distinct_nodes
from ..system import text
from .native import bounds_of
from .numbers import is_traced
from .program import Options, Program
from .rest import Dense, Found, inside
from .rest_fields import LARGE, Derivatives, Lines, Structured
from .solve import _derived
from .solvers import Choice, SolverRow
from .status import NO_REST, NONFINITE, NOT_ISOLATED
from .tangent import Linear, attach

CHOICE = Choice("newton", SolverRow(None, implicit=True), None, "Newton's method, pseudo-transient continuation where it fails")
_ADJOINT = ("implicit", None, "the implicit function theorem")
_LINEAR = Linear(None, frozenset(), False)


class SteadyProgram(Program):
    """The function from the packed numbers to the packed steady state."""

    def __init__(self, model: CompiledSystem, options: Options):
        super().__init__(model, CHOICE, _ADJOINT, options)
        self.size = self.times_at + model.layout.n_states  # the guess, in the place of save times

    def run(self, buffer: Any, values: Mapping[str, Any], key: Any = None) -> Any:
        """[state | time | status, steps, accepted, rejected, worst, steps of pseudo time]."""
        self.traces += 1
        y, code, found = self._found(buffer, values)
        dtype, at = self.options.dtype, jnp.asarray(buffer, self.options.dtype)[0]
        none = jnp.zeros((), jnp.int32)
        tail = jnp.stack([jnp.asarray(v, dtype) for v in (code, found.steps, found.steps, none, none, found.slow)])
        return jnp.concatenate([y, at[None], tail])

    def _found(self, buffer: Any, values: Any) -> tuple[Any, Any, Any]:
        """(state with its derivatives, code, what the search gave)."""
        buffer, start = self._started(jnp.asarray(buffer, self.options.dtype), values)
        if not self.model.layout.n_states:
            return self._defined(buffer, values, start)
        arrays, static = eqx.partition(values, eqx.is_inexact_array)

        def residual(y: Any, theta: Any) -> Any:
            buffer, arrays = theta
            return self.residual(buffer, eqx.combine(arrays, static), y)

        fixed = jax.lax.stop_gradient((buffer, arrays))
        frozen = lambda y: residual(y, fixed)  # noqa: E731
        lines, linear = self._algebra(frozen, fixed[0])
        scale, start = jnp.asarray(self.nominal, self.options.dtype), jax.lax.stop_gradient(start)
        found = lines.search(start, scale, self.bounds, self.options.max_steps)
        y, here = found.y, lines.at(found.y)
        near = jnp.all(jnp.abs(here.f) <= jnp.finfo(y.dtype).eps ** 0.4 * here.size) & inside(y, self.bounds, scale)
        regular = lines.isolated(y, scale)
        missed = jnp.where(jnp.all(jnp.isfinite(frozen(start))), NO_REST, NONFINITE)
        code = jnp.where((found.found | near) & ~regular, NOT_ISOLATED, jnp.where(found.found, 0, missed)).astype(jnp.int32)
        y = jnp.where(code > 0, jnp.nan, y)  # before its derivatives are attached: they are then NaN too
        return attach(y, (buffer, arrays), residual, linear), code, found

    def _defined(self, buffer: Any, values: Any, y: Any) -> tuple[Any, Any, Any]:
        """The same where formulas give every unknown: a linear equation that modes solve."""
        none = jnp.zeros((), jnp.int32)
        sizes = [v for pair in self.contradictions(buffer, values) for v in pair]
        finite = jnp.all(jnp.stack([jnp.isfinite(v) for v in sizes])) if sizes else jnp.asarray(True)
        code = jnp.where(finite, jnp.where(self.contradicted(sizes), NO_REST, 0), NONFINITE).astype(jnp.int32)
        return y, code, Found(y, code == 0, none, none)

    def contradictions(self, buffer: Any, values: Any) -> list[tuple[Any, Any]]:
        """For each unknown that modes solve for: (how large the right side is where the equation is 0 = it, its largest mode)."""
        point = Point(buffer[0], buffer[self.y_at : self.times_at], buffer[self.p_at : self.y_at], self.model.functions(values))
        found = self._left_open(point)
        return [(jnp.max(jnp.abs(v)), jnp.max(jnp.abs(w))) for v, w in zip(found[::2], found[1::2], strict=True)]

    def contradicted(self, sizes: list[Any]) -> Any:
        """Whether any of them is more than rounding."""
        least = jnp.finfo(self.options.dtype).eps ** 0.5
        return jnp.any(jnp.stack([v > least * w for v, w in zip(sizes[::2], sizes[1::2], strict=True)])) if sizes else jnp.asarray(False)

    @functools.cached_property
    def _left_open(self) -> Any:
        """A function that evaluates the right sides in the modes that the equations leave open, and in all modes."""
        parts = []
        for e in self.model.definitions.values():
            for product in (n for n in distinct_nodes(e) if isinstance(n, sp.Mul)):
                inverse = [a for a in product.args if isinstance(a, Node) and isinstance(a.operator, operators.Inverse)]
                if len(inverse) == 1:
                    other = product / inverse[0]
                    parts += [other * (1 - inverse[0] * inverse[0].operands[0]), other]
        return self.model.evaluator(parts)

    @property
    def large(self) -> bool:
        """Whether the Jacobian has structure, and is too large to be written down."""
        return self.model.layout.n_states > LARGE and isinstance(self.model.structure, Band | Free)

    @functools.cached_property
    def lines(self) -> Lines:
        return Lines(self.model, self.held, self.redundant)

    def _algebra(self, residual: Any, buffer: Any) -> tuple[Any, Any]:
        """(f with its Jacobian, the solves behind derivatives)."""
        if not self.large:
            return Dense(residual, self.masses(buffer)), _LINEAR
        p = buffer[self.p_at : self.y_at]
        return Structured(residual, self.lines, self.lines.prepared(p)), Derivatives.of(self.lines, p)

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
            f = f.at[self.redundant].set(model.changes(y - y0, p))
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
        """The states without an equation: those that change at events only, and ends of fields that conditions determine."""
        places = [p for p in self.model.layout.states.values() if p.declaration is not None and p.declaration.discrete]
        return np.concatenate([self.model.stale, *(np.arange(p.offset, p.end) for p in places)])

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
        """(state, right sides, what they are made of, the direction in which they change least) where the search ended, and the start of it."""

        def ended(buffer: Any, values: Any) -> Any:
            y = self._found(buffer, values)[2].y
            whole, start = self._started(jnp.asarray(buffer, self.options.dtype), values)
            if not len(y):
                return y, y, y, y, start, self.contradictions(whole, values)
            residual = lambda y: self.residual(whole, values, y)  # noqa: E731
            lines, _ = self._algebra(residual, whole)
            here = lines.at(y)
            return y, here.f, here.size, lines.loosest(y), start, residual(start)

        return jax.jit(ended)

    # -- numbers into the buffer ----------------------------------------------------

    def packed(self, when: Any, params: Mapping[str, Any], initial: Mapping[str, Any], guess: Mapping[str, Any]) -> Any:
        """The numbers in one array; NumPy's where none is traced."""
        layout, dtype = self.model.layout, self.options.dtype
        header = [when, *[0.0] * (self.p_at - 1)]
        pieces = [_piece(p, params, _declared(p), "params", dtype) for p in layout.params.values()]
        pieces += [_piece(p, initial, self._start_value(p), "initial", dtype) for p in layout.states.values()]
        pieces += [_piece(p, guess, self._guess(p, initial), "guess", dtype) for p in layout.states.values()]
        traced = is_traced(when, *params.values(), *initial.values(), *guess.values())
        to = jnp if traced else np
        return to.concatenate([to.asarray(header, dtype), *(to.asarray(v, dtype) for v in pieces)])

    def _start_value(self, place: Place) -> Any:
        if place.default is not None or (place.name in self._in_laws and place.name not in self.model.open_states):
            return _declared(place)
        return place.guess

    def _guess(self, place: Place, initial: Mapping[str, Any]) -> Any:
        """NaN where the initial value is the guess."""
        soft = place.declaration is not None and place.declaration.guess is not None and place.name not in initial
        return place.guess if soft else np.nan


def _declared(place: Place) -> Any:
    return 0.0 if place.derived else place.default


def _piece(place: Place, given: Mapping[str, Any], declared: Any, word: str, dtype: str) -> Any:
    """The flat values of one name, checked."""
    if place.name in given:
        value = given[place.name]
        checked_shape(value, place, word)
        if is_traced(value):
            return jnp.broadcast_to(jnp.asarray(value, dtype), place.shape).reshape(-1)
        declared = np.asarray(value, dtype)
        if not np.isfinite(declared).all():
            raise SolveError(f"{word} holds {declared[~np.isfinite(declared)][0]} for '{place.name}'. Give a finite number.")
    if declared is None:
        shown = "1.0" if not place.shape else f"jnp.ones({place.shape})"
        cure = f'Write sci.steady_state(..., {word}={{"{place.name}": {shown}}}), or declare it.'
        if word == "params":
            raise SolveError(f"The parameter '{place.name}' has no value. {cure}")
        raise SolveError(f"The unknown '{place.name}' has no initial value, and a total that the equations conserve holds it. {cure}")
    return np.broadcast_to(np.asarray(declared, dtype), place.shape).reshape(-1)


def program_for(model: CompiledSystem, params: Mapping[str, Any], initial: Mapping[str, Any], max_steps: int) -> SteadyProgram:
    """The program for what is given, found or made."""
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


__all__ = ["CHOICE", "SteadyProgram", "program_for"]
