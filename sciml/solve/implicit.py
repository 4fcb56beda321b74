"""Derivatives of what a solver found, by the implicit function theorem: `implicit`.

Where F(x, theta) = 0 holds at x(theta) and dF/dx is regular there, dx/dtheta = -(dF/dx)^-1 dF/dtheta, whatever solver
found x. The solver is called with plain numbers; its answer passes through `attach`, which carries this derivative.
"""

import functools
import inspect
from collections.abc import Callable
from typing import Any, ParamSpec, TypeVar

import equinox as eqx
import jax
import jax.numpy as jnp
import lineax as lx
import numpy as np
import optimistix as optx

from ..errors import SolveError
from . import projections as _projections
from .conditions import fixed_point, kkt, label_of, positional, projected_gradient, stationary
from .tangent import DENSE, Linear, attach, newton_step

P = ParamSpec("P")
R = TypeVar("R")


class implicit:
    """Differentiates a root, a fixed point or an optimum `F(x, theta) = 0`, whatever solver found x.

    `@implicit(F)` on a solver `solve(theta, ...) -> x` gives it the derivatives of the implicit function theorem,
    `dx/dtheta = -(dF/dx)^-1 dF/dtheta`, in forward mode (`jvp`, `jacfwd`) and in reverse (`grad`, `jacrev`), to any
    order, under `jit` and `vmap`. The solver itself is never differentiated, so it may be anything: a loop in JAX, optax,
    SciPy (eagerly: inside `jit` and `vmap` only what JAX traces can run). Memory does not grow with its iterations.
    `implicit(F).root(start, theta)` finds x as well.

    x and theta are pytrees of arrays, dicts with keys of text among them. F gives what has the structure and the shapes
    of x. Every argument that F takes after x is differentiated, and so is what F closes over; the solver gets the same
    arguments in the same order. What the solver takes beyond them (a start, keyword-only options) reaches the solver only.

    Called eagerly, `jax.grad` and `jax.jvp` included, the solver's answer is checked, and failures raise. Inside `jit` and
    `vmap` nothing is raised: with a singular dF/dx, or a linear solve that did not converge, the derivatives are NaN.

    Conditions for F: `implicit.fixed_point`, `implicit.stationary`, `implicit.kkt`, `implicit.projected_gradient`.
    Sets for the last one: `implicit.projections`.

    Args:
        F: `F(x, theta, ...)`, zero at the answer; written in `jax.numpy`.
        linear_solver: a lineax solver for dF/dx. Left out: LU with scaled rows and columns up to 1000 unknowns, above that
            GMRES, which never forms the matrix. `lx.CG(...)` wants `tags=lx.positive_semidefinite_tag`; `lx.SVD()` gives
            the least change of x where dF/dx is singular on purpose, as with redundant constraints.
        tags: what lineax may know of dF/dx.
        tolerance: `|F| <= tolerance*max(1, |dF/dx x|, |dF/dtheta theta|)` counts as zero in the eager check, for each leaf
            of x, in the largest absolute component. The cube root of the machine epsilon: 6.1e-6 in float64, 4.9e-3 in
            float32. The error of the derivative is about as large as that of x. `float("inf")` leaves the check out.
        throw: raise eagerly. With False everything is as inside a transformation.

    Raises:
        SolveError: F does not fit x, x does not satisfy F, NaN, a singular dF/dx, or something that is no array.

    Blondel et al. (2022), Efficient and Modular Implicit Differentiation, NeurIPS 35; arXiv:2105.15183.

    >>> import jax, jax.numpy as jnp, sciml as sci
    >>> @sci.implicit(lambda x, theta: x**3 + x - theta)
    ... def solve(theta):
    ...     x = 0.0*theta
    ...     for _ in range(50):
    ...         x = x - (x**3 + x - theta)/(3*x**2 + 1)
    ...     return x
    >>> float(solve(2.0)), float(jax.grad(solve)(2.0)), float(jax.jacfwd(solve)(2.0))
    (1.0, 0.25, 0.25)
    """

    fixed_point = staticmethod(fixed_point)
    stationary = staticmethod(stationary)
    kkt = staticmethod(kkt)
    projected_gradient = staticmethod(projected_gradient)
    projections = _projections

    def __init__(self, F: Any, *, linear_solver: Any = None, tags: Any = (), tolerance: float | None = None, throw: bool = True) -> None:
        if not callable(F):
            raise SolveError(f"implicit takes the function F(x, theta) that is zero at the answer, not {F!r}.")
        if linear_solver is not None and not (hasattr(linear_solver, "init") and hasattr(linear_solver, "compute")):
            raise SolveError(f"linear_solver={linear_solver!r}: write a lineax solver, such as lineax.GMRES(rtol=1e-8, atol=1e-8), or leave it out.")
        self.F = F
        self.tolerance, self.throw = tolerance, throw
        self._linear = Linear(linear_solver, frozenset(tags) if isinstance(tags, (tuple, list, set, frozenset)) else frozenset([tags]), throw)
        self._takes = positional(F)
        self._of_args = lambda x, theta: F(x, *theta)  # one object, so that optimistix compiles it once
        self._scaled = _scaled(self._of_args)

    def __call__(self, solver: Callable[P, R]) -> Callable[P, R]:
        """The solver, with derivatives."""
        if not callable(solver):
            raise SolveError(f"implicit(F) decorates a function that takes theta and gives x, not {solver!r}.")
        try:
            signature = inspect.signature(solver)
        except (TypeError, ValueError):
            signature = None

        @functools.wraps(solver)
        def solved(*args: P.args, **kwargs: P.kwargs) -> R:
            given: tuple[Any, ...] = args
            named: dict[str, Any] = kwargs
            if signature is not None:
                bound = signature.bind(*args, **kwargs)
                bound.apply_defaults()
                given, named = bound.args, bound.kwargs
            theta = self._theta(given)
            x = solver(*_stopped(given), **_stopped(named))
            return self._differentiable(x, theta, label_of(solver, "the solver"))

        return solved

    def root(self, start: Any, *theta: Any, max_steps: int = 100) -> Any:
        """Finds x with `F(x, *theta) = 0` from a start, and differentiates it by theta, in both modes.

        Newton's method of optimistix; where it fails, Levenberg-Marquardt on |F|**2, then Newton again. A root is found when
        Newton's step is below the square root of the machine epsilon, relative to x. The derivative by the start is zero.

        Args:
            start: where to begin: a pytree of numbers or arrays, of the structure of x.
            *theta: what F takes after x.
            max_steps: the most steps of Newton's method; four times as many of the other one.

        Returns:
            x. Inside `jit` and `vmap`, NaN where no root was found.

        Raises:
            SolveError: eagerly, where no root was found.

        >>> import jax, jax.numpy as jnp, sciml as sci
        >>> circle = sci.implicit(lambda x, theta: {"a": x["a"]**2 + x["b"]**2 - theta["r"]**2, "b": x["a"] - x["b"]})
        >>> x = circle.root({"a": 1.0, "b": 0.5}, {"r": jnp.sqrt(2.0)})
        >>> round(float(x["a"]), 5), round(float(x["b"]), 5)
        (1.0, 1.0)
        """
        given = self._theta(theta)
        x = _floating(start, "start")
        F, stopped = self._closed(x, given, "the start")
        inputs, start = _stopped(given), _stopped(x)
        x, found = self._search(stopped, start, inputs, max_steps)
        if self.throw and not isinstance(found, jax.core.Tracer) and not bool(found):
            raise SolveError(self._no_root(stopped, x, start, inputs, max_steps))
        x = jax.tree.map(lambda leaf: jnp.where(found, leaf, jnp.nan), x)
        return attach(_stopped(x), given, F, self._linear)

    # What comes in

    def _theta(self, args: tuple[Any, ...]) -> tuple[Any, ...]:
        """Of the solver's arguments those that F takes, as arrays."""
        least, most, names = self._takes
        if len(args) < least:
            after = ", ".join(names[:least])
            raise SolveError(
                f"{label_of(self.F, 'F')} takes {least} arguments after x ({after}), and the solver was given {len(args)}: "
                f"the solver takes what F takes after x, in the same order, as in solve({after})."
            )
        args = args if most is None else args[:most]
        names = names + tuple(f"argument {i + 2} of F" for i in range(len(names), len(args)))
        return tuple(_arrays(value, name) for value, name in zip(args, names, strict=False))

    def _closed(self, x: Any, theta: tuple[Any, ...], whose: str) -> tuple[Any, Any]:
        """F with what it closes over made an argument, once to differentiate and once as plain numbers."""
        converted = eqx.filter_closure_convert(self._of_args, x, theta)
        _same_form(label_of(self.F, "F"), converted.out_struct, x, whose)
        if not any(isinstance(leaf, jax.core.Tracer) for leaf in jax.tree.leaves(converted)):
            return self._of_args, self._of_args
        return converted, _stopped(converted)

    def _differentiable(self, x: Any, theta: tuple[Any, ...], who: str) -> Any:
        x = _stopped(_floating(x, who))
        F, stopped = self._closed(x, theta, f"the x of {who}")
        inputs = _stopped(theta)
        if self.throw and not any(isinstance(leaf, jax.core.Tracer) for leaf in jax.tree.leaves((x, inputs, stopped))):
            self._check(stopped, x, inputs, who)
        return attach(x, theta, F, self._linear)

    # Is it zero?

    def _limit(self, dtype: Any) -> float:
        return float(np.cbrt(jnp.finfo(dtype).eps)) if self.tolerance is None else self.tolerance

    def _check(self, F: Any, x: Any, theta: Any, who: str) -> None:
        paths = [(jax.tree_util.keystr(path), leaf) for path, leaf in jax.tree_util.tree_leaves_with_path(x)]
        for path, leaf in paths:
            if isinstance(leaf, jax.core.Tracer):
                return
            if not np.all(np.isfinite(leaf)):
                raise SolveError(f"{who} gave NaN or infinity in x{path}: there is nothing to differentiate. Look at its start and at theta.")
        for (path, leaf), (size, scale) in zip(paths, _measure(F, x, theta), strict=True):
            if isinstance(size, jax.core.Tracer):
                return
            size, limit = float(size), self._limit(leaf.dtype) * max(1.0, float(scale))
            if np.isnan(size):
                raise SolveError(f"{label_of(self.F, 'F')} is NaN at the x that {who} gave, in the component of x{path}: x = {_short(leaf)}.")
            if size > limit:
                raise SolveError(
                    f"The answer of {who} does not satisfy {label_of(self.F, 'F')}: |F| = {size:.3g} in the component of x{path}, where at most "
                    f"{limit:.3g} counts as zero. Give the solver a tighter tolerance or more steps, or see whether F is what it solves. "
                    "implicit(F, tolerance=...) moves the limit."
                )

    # The search for a root

    def _search(self, F: Any, start: Any, theta: Any, max_steps: int) -> tuple[Any, Any]:
        """(x, found)."""
        size = sum(leaf.size for leaf in jax.tree.leaves(start))
        dtype = jnp.result_type(*jax.tree.leaves(start))
        eps = float(jnp.finfo(dtype).eps)
        rtol, atol = eps**0.5, eps**0.75
        # Steps and not |F| decide, so that the units of F do not matter.
        newton = optx.Newton(rtol=rtol, atol=atol, linear_solver=self._linear.solver_for(size, dtype), cauchy_termination=False)
        many = {} if size <= DENSE else {"linear_solver": lx.Normal(lx.CG(rtol=rtol, atol=atol, max_steps=10 * DENSE))}
        careful = optx.LevenbergMarquardt(rtol=rtol, atol=rtol, **many)
        scaled = self._scaled if F is self._of_args else _scaled(F)

        def polish(start: Any) -> tuple[Any, Any]:
            x = optx.root_find(F, newton, start, theta, max_steps=max_steps, throw=False, tags=self._linear.tags).value
            step = newton_step(F, x, theta, self._linear)
            small = [_most(d) <= atol + rtol * _most(v) for d, v in zip(jax.tree.leaves(step), jax.tree.leaves(x), strict=True)]
            found = jnp.all(jnp.stack(small))
            x = jax.tree.map(lambda v, d, like: jnp.where(found, v - d, v).astype(like.dtype), x, step, start)
            exact = self._is_zero(F, x, theta, 100 * eps, 0.0)
            return x, (found | exact) & self._is_zero(F, x, theta, self._limit(dtype), 1.0)

        def again(start: Any) -> tuple[Any, Any]:
            size = jnp.max(jnp.stack([_most(leaf) for leaf in jax.tree.leaves(F(start, theta))]))
            inputs = (theta, jnp.where((size > 0) & jnp.isfinite(size), size, 1))
            near = optx.root_find(scaled, careful, start, inputs, max_steps=4 * max_steps, throw=False).value
            better, found = polish(jax.tree.map(lambda leaf, like: leaf.astype(like.dtype), near, start))
            return jax.tree.map(lambda a, b: jnp.where(found, a, b), better, near), found

        x, found = polish(start)
        if not isinstance(found, jax.core.Tracer):
            return (x, found) if bool(found) else again(start)
        return jax.lax.cond(found, lambda _: (x, found), again, start)

    def _is_zero(self, F: Any, x: Any, theta: Any, tolerance: float, least: float) -> Any:
        return jnp.all(jnp.stack([size <= tolerance * jnp.maximum(scale, least) for size, scale in _measure(F, x, theta)]))

    def _no_root(self, F: Any, x: Any, start: Any, theta: Any, max_steps: int) -> str:
        name = label_of(self.F, "F")
        sizes = [float(size) for size, _ in _measure(F, start, theta)]
        if not np.all(np.isfinite(sizes)):
            return f"{name} is NaN or infinite at the start: begin where F has a value."
        sizes = [float(size) for size, _ in _measure(F, x, theta)]
        worst = int(np.argmax(np.nan_to_num(sizes, nan=np.inf)))
        path, leaf = jax.tree_util.tree_leaves_with_path(x)[worst]
        return (
            f"No root of {name} was found from this start: Newton's method and the search that follows it ended with |F| = {sizes[worst]:.3g} "
            f"in the component of x{jax.tree_util.keystr(path)} = {_short(leaf)}. Begin nearer to the root, or raise max_steps={max_steps}."
        )


def _measure(F: Any, x: Any, theta: Any) -> list[tuple[Any, Any]]:
    """For each leaf of x: the largest |F|, and what F is made of, the larger of |dF/dx x| and |dF/dtheta theta|."""
    moving, fixed = eqx.partition(theta, eqx.is_inexact_array)
    value, by_x = jax.jvp(lambda x: F(x, theta), (x,), (x,))
    _, by_theta = jax.jvp(lambda moving: F(x, eqx.combine(moving, fixed)), (moving,), (moving,))
    triples = zip(*(jax.tree.leaves(tree) for tree in (value, by_x, by_theta)), strict=True)
    return [(_most(f), jnp.maximum(_most(a), _most(b))) for f, a, b in triples]


def _scaled(F: Any) -> Any:
    return lambda x, inputs: jax.tree.map(lambda leaf: leaf / inputs[1].astype(leaf.dtype), F(x, inputs[0]))


def _most(leaf: Any) -> Any:
    return jnp.max(jnp.abs(leaf), initial=0.0)


def _stopped(tree: Any) -> Any:
    """The same numbers, no longer differentiated; what is not traced stays what it is."""
    return jax.tree.map(lambda leaf: jax.lax.stop_gradient(leaf) if isinstance(leaf, jax.core.Tracer) else leaf, tree)


def _leaves(tree: Any, name: str) -> list[tuple[Any, Any]]:
    try:
        return jax.tree_util.tree_leaves_with_path(tree)
    except (TypeError, ValueError) as error:
        raise SolveError(f"The keys of a dict in {name} must be text: JAX sorts them, and cannot sort these. Write the names as strings.") from error


def _arrays(tree: Any, name: str) -> Any:
    """An argument of F as arrays. Functions, such as the activation of a network, may stay in it."""
    for path, leaf in _leaves(tree, name):
        where = name + jax.tree_util.keystr(path)
        if isinstance(leaf, (str, bytes)) or not (isinstance(leaf, (bool, int, float, complex)) or eqx.is_array_like(leaf) or callable(leaf)):
            raise SolveError(
                f"{where} is {_short(leaf)} ({type(leaf).__name__}), where F takes numbers and arrays. Close over what is not a number: "
                "F = lambda x, theta: condition(x, theta, option)."
            )
        if isinstance(leaf, np.ndarray) and leaf.dtype.kind not in "biufc":
            raise SolveError(f"{where} is a NumPy array of {leaf.dtype}, where F takes numbers.")
    return jax.tree.map(lambda leaf: leaf if callable(leaf) else jnp.asarray(leaf), tree)


def _floating(tree: Any, who: str) -> Any:
    """x as arrays of real floating numbers."""
    what = "start" if who == "start" else f"the x that {who} gave"
    leaves = _leaves(tree, what)
    if not leaves:
        raise SolveError(f"{what} holds no numbers" + ("." if who == "start" else ": does the solver return x?"))

    def convert(path: Any, leaf: Any) -> Any:
        kind = np.asarray(leaf).dtype.kind if not isinstance(leaf, jax.Array) else np.dtype(leaf.dtype).kind
        if who == "start" and kind in "iu":
            leaf, kind = jnp.asarray(leaf, jnp.result_type(float)), "f"
        if kind not in "fV":  # V: bfloat16
            part = jax.tree_util.keystr(path)
            raise SolveError(
                f"{what} holds {_short(leaf)} ({getattr(leaf, 'dtype', type(leaf).__name__)}) at x{part}, where F is solved for floating numbers. "
                "A solver returns x alone, without its iterations; a complex x is written as its real and imaginary parts."
            )
        return jnp.asarray(leaf, jnp.asarray(leaf).dtype)  # without a weak type

    return jax.tree_util.tree_map_with_path(convert, tree)


def _same_form(name: str, out: Any, x: Any, whose: str) -> None:
    """F must give what x is made of."""
    found, wanted = str(jax.tree.structure(out)), str(jax.tree.structure(x))
    if found != wanted:
        raise SolveError(f"{name} gives {found}, and {whose} is {wanted}: F has one value for each number of x, in the same structure.")
    for (path, f), leaf in zip(jax.tree_util.tree_leaves_with_path(out), jax.tree.leaves(x), strict=True):
        if f.shape != leaf.shape:
            part = jax.tree_util.keystr(path)
            raise SolveError(f"{name} has shape {f.shape} where {whose} has shape {leaf.shape} (x{part}): F has one value for each number of x.")
        if not jnp.issubdtype(f.dtype, jnp.floating):
            raise SolveError(f"{name} gives numbers of type {f.dtype}: F must be real and smooth.")


def _short(value: Any) -> str:
    text = " ".join(repr(value).split()) if not isinstance(value, jax.Array) else np.array2string(np.asarray(value), precision=4, threshold=6)
    return text if len(text) <= 60 else text[:57] + "..."
