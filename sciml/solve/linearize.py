"""Linearisation about a point: from M y' = f(t, y, u) and outputs h(t, y, u) to

    w' = A w + B u        z = C w + D u

in deviations from the point. w are the unknowns with a rate of their own. Constraints 0 = g(y, u) (see
`passes.constraints`) leave W y = w with W K = 0, where K are the directions that M does not see: W picks the differential
unknowns, and y' + z' = f(..) gives the coordinate y + z. Then dy = [W; g_y]^-1 [dw; -g_u du].
"""

import collections
import functools
from collections.abc import Mapping
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import sympy as sp

from ..codegen import CompiledSystem, Point, compile
from ..errors import SolveError
from ..symbols import declaration_of
from ..system import text
from .linear_point import input_names, output_expressions, point_of, state_in_words
from .numbers import by_name, is_traced
from .rest import equilibrated
from .solution import Solution
from .stability import plotted, sentence, shown, tables
from .steady_failure import component, refuse_noise

Names = tuple[str, ...]


def linearize(
    system: Any,
    *,
    at: Any,
    params: Any = None,
    inputs: Any = (),
    outputs: Any = None,
    time: Any = None,
) -> "Linearization":
    """The linear System that small deviations from a point follow: A, B, C, D, eigenvalues, stability.

    A pure function of all its numbers; the matrices are differentiable, and `jit` and `vmap` work on it. Algebraic unknowns are
    eliminated, A = f_x - f_z g_z^-1 g_x.

    Args:
        system: a System, or what `sciml.compile` gives.
        at: the point: a steady state, a Solution (its last time) or `sol(3.0)`, which bring their parameters and their time;
            or a dict by name, in which declared initial values stand for what is left out.
        params: parameters by name, in place of the declared ones (or those of `at`).
        inputs: parameters, or measured inputs (`sci.data`), as symbols or names. A measured input is varied about its
            value at the time of the point.
        outputs: expressions, names of unknowns or observed quantities; all unknowns if left out.
        time: the time of the point, where `at` is a dict and the System holds the time.

    Returns:
        A `Linearization`, with A of shape (states, states), B (states, inputs), C (outputs, states), D (outputs, inputs).

    Raises:
        NameUnknown: a name that the System does not have.
        SolveError: white noise, a point with missing values or NaN, algebraic equations that do not determine their unknowns there.

    >>> import sciml as sci
    >>> q = sci.variables("q", initial=0.0)
    >>> k, c, force = sci.parameters("k c force", [4.0, 0.5, 0.0])
    >>> spring = sci.System([sci.eq(q.diff(sci.t, 2), -k*q - c*q.diff(sci.t) + force)], initial={q.diff(sci.t): 0.0})
    >>> lin = sci.linearize(spring, at={"q": 0.0}, inputs=[force], outputs=[q])
    >>> lin.states, lin.A.tolist(), lin.B.tolist(), lin.C.tolist()
    (("q'", 'q'), [[-0.5, -4.0], [1.0, 0.0]], [[1.0], [0.0]], [[0.0, 1.0]])
    >>> lin.stable, lin.verdict
    (True, 'stable focus: deviations die out, the slowest as exp(-0.25*t), turning with 1.98 per time')
    """
    model = compile(system)
    refuse_noise(model)
    given = by_name(params, model.layout.check_param)
    settled = frozenset(given) | (at._program.options.given_params if isinstance(at, Solution) else frozenset())
    spec = _spec_for(model, input_names(model, inputs), output_expressions(model, outputs), settled)
    t, y, p, values = point_of(model, at, given, time)
    A, B, C, D, rates, reference, laws, fit = spec.jitted(t, y, p, values)
    if not is_traced(fit) and not bool(fit):
        where = state_in_words(model, y)
        raise SolveError(f"System '{model.system.name}': the algebraic equations do not determine their unknowns at {where}. Take another point.")
    labels = (spec.states, spec.input_names, spec.output_names)
    return Linearization(A, B, C, D, rates, reference, laws, *labels, model.system.name)


class Linearization(eqx.Module):
    """What `sciml.linearize` gives; a pytree.

    Attributes:
        A, B, C, D: the matrices.
        states, inputs, outputs: the names of their rows and columns.
        eigenvalues: of A, complex.
        stable: whether every deviation dies out, those apart that change a conserved total, which nothing can undo.
        verdict: the kind of point in words: stable node, stable focus, saddle, centre, ...
        at_rest: whether the point is a steady state. Elsewhere the linear System holds along the motion, for a short time.
    """

    A: Any
    B: Any
    C: Any
    D: Any
    _rates: Any
    _reference: Any
    _laws: Any
    states: Names = eqx.field(static=True)
    inputs: Names = eqx.field(static=True)
    outputs: Names = eqx.field(static=True)
    name: str = eqx.field(static=True)

    @functools.cached_property
    def eigenvalues(self) -> Any:
        """Of A, sorted by their real parts, largest first, where they are known."""
        found = jnp.linalg.eigvals(self.A)
        return found if is_traced(found) else found[np.argsort(-np.asarray(found).real, stable=True)]

    @functools.cached_property
    def free_eigenvalues(self) -> Any:
        """Those of deviations that keep the conserved totals."""
        count = self._laws.shape[0]
        if count == 0:
            return self.eigenvalues
        basis = jnp.linalg.svd(self._laws, full_matrices=True)[2][count:]
        return jnp.linalg.eigvals(basis @ self.A @ basis.T)

    @property
    def stable(self) -> Any:
        """True where every deviation that keeps the conserved totals dies out."""
        values = self.free_eigenvalues
        found = jnp.all(values.real < -self._rounding(values))
        return found if is_traced(found) else bool(found)

    @property
    def at_rest(self) -> Any:
        found = jnp.all(jnp.abs(self._rates) <= self._reference)
        return found if is_traced(found) else bool(found)

    @property
    def verdict(self) -> str:
        """The kind of point, as a sentence."""
        if is_traced(self.A):
            raise SolveError("The verdict is a sentence and needs numbers: inside jit, vmap and grad use `stable` or `eigenvalues`.")
        values = np.asarray(self.free_eigenvalues)
        return sentence(values, float(self._rounding(self.free_eigenvalues)), self._laws.shape[0], self.at_rest)

    def _rounding(self, values: Any) -> Any:
        """What rounding makes of an eigenvalue zero."""
        eps = jnp.finfo(self.A.dtype).eps
        return 100 * max(self.A.shape[0], 1) * eps * jnp.max(jnp.abs(values), initial=0.0)

    def to_pandas(self) -> Any:
        """The four matrices as tables with names, in a dict by "A", "B", "C", "D"."""
        return tables(self)

    def plot(self, ax: Any = None, **style: Any) -> Any:
        """The eigenvalues in the complex plane. Returns the matplotlib axes; `style` goes to `Axes.plot`."""
        return plotted(self, ax, style)

    def __repr__(self) -> str:
        return f"Linearization of '{self.name}' (traced)" if is_traced(self.A) else shown(self)


def _spec_for(model: CompiledSystem, inputs: Names, outputs: Mapping[str, Any], given: frozenset[str]) -> "_Spec":
    key = ("linearize", inputs, tuple(outputs.items()), given)
    if key not in model.programs:
        model.programs[key] = _Spec(model, inputs, outputs, given)
    return model.programs[key]


class _Spec:
    """The function from the numbers of a point to the matrices, for some inputs and outputs."""

    def __init__(self, model: CompiledSystem, inputs: Names, outputs: Mapping[str, Any], given: frozenset[str]):
        self.model, self.inputs, self.given = model, inputs, given
        self._evaluate = model.evaluator(list(outputs.values()))
        self.input_names = tuple(c for n in inputs for c in _components(n, self._input_shape(n)))
        point = Point(jnp.zeros(()), jnp.zeros(model.layout.n_states), jnp.zeros(model.layout.n_params), model.functions({}))
        shapes = [v.shape for v in jax.eval_shape(lambda: [jnp.asarray(v) for v in self._evaluate(point)])]
        self.output_names = tuple(c for n, s in zip(outputs, shapes, strict=True) for c in _components(n, s))
        self.jitted = jax.jit(self._matrices)

    # -- coordinates -------------------------------------------------------------------

    @functools.cached_property
    def owners(self) -> list[Any]:
        """For each direction that constraints fix, an unknown in it, with coefficient 1, and in no other direction."""
        directions = self.model.constraints.directions
        counts = collections.Counter(u for d in directions for u in d)
        return [next(u for u, c in d.items() if c == 1 and counts[u] == 1) for d in directions]

    @functools.cached_property
    def eliminated(self) -> np.ndarray:
        """The states of the owners."""
        places = [self.model.layout.states[declaration_of(u).name] for u in self.owners]
        return np.concatenate([np.zeros(0, int), *(np.arange(p.offset, p.end) for p in places)])

    @functools.cached_property
    def kept(self) -> np.ndarray:
        return np.setdiff1d(np.arange(self.model.layout.n_states), self.eliminated)

    @functools.cached_property
    def states(self) -> Names:
        """The coordinates by name: unknowns, or sums of unknowns where only those have a rate."""
        mixed: dict[int, sp.Expr] = {}
        for direction, own in zip(self.model.constraints.directions, self.owners, strict=True):
            for u, c in direction.items():
                place = self.model.layout.states[declaration_of(u).name]
                for i in range(place.offset, place.end) if u != own else ():
                    mixed[i] = mixed.get(i, u) - c * own
        return tuple(text(mixed[i]) if i in mixed else component(self.model, int(i)) for i in self.kept)

    def _coordinates(self, p: Any) -> tuple[Any, Any]:
        """(W with w = W y, G with w' = G f)."""
        n, model = self.model.layout.n_states, self.model
        W = jnp.eye(n, dtype=p.dtype)[self.kept]
        if len(self.eliminated):
            W = W.at[:, self.eliminated].set(-model.directions(p)[self.kept])
        mass = model.mass(p)
        if mass is None:
            return W, W
        seen = mass[:, self.kept]
        return W, jnp.linalg.solve(seen.T @ seen, seen.T)

    # -- the matrices ------------------------------------------------------------------

    def _matrices(self, t: Any, y: Any, p: Any, values: Any) -> tuple[Any, ...]:
        model, m = self.model, len(self.eliminated)
        full = model.full_params(p, self.given)
        W, G = self._coordinates(full)
        u = jnp.zeros(len(self.input_names), y.dtype)

        def of(what: Any) -> tuple[Any, Any]:
            return jax.jacfwd(lambda y, u: what(self._varied(t, y, p, values, u)), (0, 1))(y, u)

        f_y, f_u = of(model.compact_rates)
        h_y, h_u = of(self._outputs)
        if m:
            g_y, g_u = of(model.residuals)
            rows, columns, scaled = equilibrated(jnp.concatenate([W, g_y]))
            inverse = columns[:, None] * jnp.linalg.inv(scaled) * rows[None, :]
            singular = jnp.linalg.svd(jax.lax.stop_gradient(scaled), compute_uv=False)
            fit = singular[-1] > 100 * jnp.finfo(y.dtype).eps * singular[0]
            y_w, y_u = inverse[:, :-m], -inverse[:, -m:] @ g_u
        else:
            y_w, y_u, fit = W.T, jnp.zeros((y.size, u.size), y.dtype), jnp.asarray(True)
        A, B, C, D = G @ f_y @ y_w, G @ (f_u + f_y @ y_u), h_y @ y_w, h_u + h_y @ y_u
        rates = model.rates(self._varied(t, y, p, values, u))
        eps = jnp.finfo(y.dtype).eps
        reference = jnp.abs(f_y) @ (eps**0.4 * jnp.abs(y) + eps**0.75)
        laws = model.totals(full).T[:, self.kept] if model.laws else jnp.zeros((0, len(self.kept)), y.dtype)
        return A, B, C, D, rates, reference, laws, fit

    def _outputs(self, point: Point) -> Any:
        found = [jnp.asarray(v, point.y.dtype).reshape(-1) for v in self._evaluate(point)]
        return jnp.concatenate([jnp.zeros(0, point.y.dtype), *found])

    def _varied(self, t: Any, y: Any, p: Any, values: Any, u: Any) -> Point:
        """The point with the inputs moved by u."""
        functions, done, layout = dict(self.model.functions(values)), 0, self.model.layout
        for name in self.inputs:
            size = int(np.prod(self._input_shape(name), dtype=int))
            piece = u[done : done + size]
            done += size
            if name in layout.params:
                p = p.at[layout.params[name].offset : layout.params[name].end].add(piece)
            else:
                functions[name] = _moved(functions[name], piece[0])
        return Point(t, y, self.model.full_params(p, self.given), functions)

    def _input_shape(self, name: str) -> tuple[int, ...]:
        return self.model.layout.params[name].shape if name in self.model.layout.params else ()


def _moved(function: Any, by: Any) -> Any:
    return lambda *arguments: function(*arguments) + by


def _components(name: str, shape: tuple[int, ...]) -> Names:
    return tuple(f"{name}[{','.join(map(str, i))}]" for i in np.ndindex(*shape)) if shape else (name,)


__all__ = ["Linearization", "linearize"]
