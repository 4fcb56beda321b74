"""`QuadraticProgram`: a layer whose output is the optimum of a quadratic function under linear constraints."""

import functools
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from ..errors import ModelError, SolveError
from ..solve import implicit

_NAMES = ("Q", "q", "A", "b", "G", "h")


class QuadraticProgram(eqx.Module):
    """The x that makes `x.Q.x/2 + q.x` least where `A x = b` and `G x <= h`.

    Found by a primal-dual interior point method; differentiated by the Karush-Kuhn-Tucker conditions (`sciml.implicit.kkt`), by all of
    Q, q, A, b, G and h, in both modes. With `Q = I` and `q = -y` it is the projection of y on the set that the constraints leave.

    The layer takes one q. Batches are made by `jax.vmap`. Of what the layer holds JAX arrays are trained, NumPy arrays are not.

    Args:
        Q: (n, n), positive definite; symmetric. Semidefinite is enough where the constraints leave one optimum.
        A: (p, n), with independent rows; None without equalities.
        b: (p,).
        G: (m, n); None without inequalities.
        h: (m,).

    Raises:
        ModelError: shapes that do not fit, a Q that is not positive semidefinite.

    References:
        Amos and Kolter, OptNet: differentiable optimization as a layer in neural networks (2017), arXiv:1703.00443.
        Mehrotra, On the implementation of a primal-dual interior point method, SIAM J. Optim. 2 (1992).

    >>> import jax, jax.numpy as jnp, numpy as np, sciml as sci
    >>> layer = sci.nn.QuadraticProgram(np.eye(2), A=np.ones((1, 2)), b=np.ones(1), G=-np.eye(2), h=np.zeros(2))
    >>> jnp.round(layer(-jnp.array([0.7, 0.5])), 3).tolist()
    [0.6..., 0.4...]
    >>> jnp.round(layer(-jnp.array([2.0, 0.5])), 3).tolist()
    [1.0, 0.0]
    """

    Q: Any
    A: Any
    b: Any
    G: Any
    h: Any
    max_steps: int = eqx.field(static=True)

    def __init__(self, Q: Any, *, A: Any = None, b: Any = None, G: Any = None, h: Any = None, max_steps: int = 50):
        self.Q, self.A, self.b, self.G, self.h, self.max_steps = (*map(_array, (Q, A, b, G, h)), max_steps)
        _check(self._program(jnp.zeros(jnp.shape(Q)[:1], _dtype(Q)), {}), ModelError)

    def __call__(self, q: Any, *, key: Any = None, **others: Any) -> Any:
        """The optimum.

        Args:
            q: (n,).
            key: not used; `equinox.nn.Sequential` gives one.
            others: Q, A, b, G or h in place of that of the layer.

        Returns:
            x, (n,). Inside `jit` and `vmap`, NaN where no optimum was found.

        Raises:
            SolveError: shapes that do not fit; eagerly, no point satisfies the constraints.
        """
        return self.solve(q, **others)[0]

    def solve(self, q: Any, **others: Any) -> tuple[Any, Any, Any]:
        """(x, nu, lam): the optimum, and the multipliers of `A x = b` and of `G x <= h`, None for those that are not there.

        lam[i] is by how much the least value falls as h[i] grows.
        """
        program = self._program(q, others)
        _check(program, SolveError)
        given = {name: value for name, value in program.items() if value is not None}
        if "A" not in given and "G" not in given:
            return jnp.linalg.solve(program["Q"], -program["q"]), None, None
        return _conditions("A" in given, "G" in given)(self._search)(given)

    def _program(self, q: Any, others: dict[str, Any]) -> dict[str, Any]:
        """All six, as arrays of one type."""
        for name in others:
            if name not in _NAMES:
                raise SolveError(f"QuadraticProgram has no {name}. There are: {', '.join(_NAMES)}.")
        own = {"Q": self.Q, "q": q, "A": self.A, "b": self.b, "G": self.G, "h": self.h, **others}
        dtype = _dtype(*own.values())
        return {name: None if value is None else jnp.asarray(value, dtype) for name, value in own.items()}

    def _search(self, given: dict[str, Any]) -> tuple[Any, Any, Any]:
        n = given["q"].size
        none = jnp.zeros((0, n), given["q"].dtype)
        A, G = given.get("A", none), given.get("G", none)
        b, h = given.get("b", none[:, 0]), given.get("h", none[:, 0])
        point, left = _interior(given["Q"], given["q"], A, b, G, h, self.max_steps)
        found = left <= _loose(given["q"].dtype)
        if not isinstance(found, jax.core.Tracer) and not bool(found):
            raise SolveError(_not_found(point, A, b, G, h))
        x, nu, lam = (jnp.where(found, v, jnp.nan) for v in (point.x, point.nu, point.lam))
        return x, nu if "A" in given else None, lam if "G" in given else None


@functools.cache
def _conditions(equal: bool, unequal: bool) -> implicit:
    """One object for all layers, jitted, so that eager calls compile it once."""
    equality = (lambda x, p: p["A"] @ x - p["b"]) if equal else None
    inequality = (lambda x, p: p["G"] @ x - p["h"]) if unequal else None
    return implicit(jax.jit(implicit.kkt(lambda x, p: 0.5 * x @ (p["Q"] @ x) + p["q"] @ x, equality=equality, inequality=inequality)))


class _Point(NamedTuple):
    x: Any
    nu: Any
    lam: Any
    slack: Any


@eqx.filter_jit
def _interior(Q: Any, q: Any, A: Any, b: Any, G: Any, h: Any, max_steps: int) -> tuple[_Point, Any]:
    """The best point that was met, and how far from an optimum it is, relative to the terms of the conditions."""
    size = jnp.maximum(_most(Q), _most(q))
    size = jnp.where(size > 0, size, 1)
    problem = _Problem(Q / size, q / size, A, b, G, h)  # so that multipliers are of the order of 1
    tight = float(jnp.finfo(q.dtype).eps) ** 0.75

    def step(state: Any) -> Any:
        k, point, _, best, least = state
        point = problem.ahead(point, 0.1 * tight)
        now = problem.left(point)
        better = now < least
        best = jax.tree.map(lambda a, b: jnp.where(better, a, b), point, best)
        return k + 1, point, now, best, jnp.where(better, now, least)

    def going(state: Any) -> Any:
        k, _, now, _, least = state
        return (k < max_steps) & (least > tight) & (now < 1e4 * least)  # not so: rounding has the last word, or NaN

    start = problem.start()
    left = problem.left(start)
    _, _, _, best, least = jax.lax.while_loop(going, step, (0, start, left, start, left))
    return best._replace(nu=size * best.nu, lam=size * best.lam), least


class _Problem(NamedTuple):
    """A quadratic program, and Mehrotra's predictor and corrector for it."""

    Q: Any
    q: Any
    A: Any
    b: Any
    G: Any
    h: Any

    def start(self) -> _Point:
        """The optimum with inequalities turned into squares, moved to where slack and multipliers are above 0."""
        x, nu, lam = self.solve(self.factors(jnp.ones_like(self.h)), -self.q, self.b, self.h)
        return _Point(x, nu, _positive(lam), _positive(-lam))

    def factors(self, weight: Any) -> Any:
        """Of the matrix that is left when slack is eliminated; weight is slack/lam."""
        n, p, m = self.q.size, self.b.size, self.h.size
        least = 10 * jnp.finfo(self.q.dtype).eps  # dependent rows, and a Q that is not definite, give a large answer and not NaN
        zero = jnp.zeros((p, m), self.q.dtype)
        rows = (
            [self.Q + least * jnp.eye(n, dtype=self.q.dtype), self.A.T, self.G.T],
            [self.A, -least * jnp.eye(p, dtype=self.q.dtype), zero],
            [self.G, zero.T, -jnp.diag(weight)],
        )
        return jax.scipy.linalg.lu_factor(jnp.block([list(row) for row in rows]))

    def solve(self, factors: Any, *sides: Any) -> tuple[Any, Any, Any]:
        found = jax.scipy.linalg.lu_solve(factors, jnp.concatenate(sides))
        n, p = self.q.size, self.b.size
        return found[:n], found[n : n + p], found[n + p :]

    def errors(self, point: _Point) -> tuple[Any, Any, Any]:
        x, nu, lam, slack = point
        return self.Q @ x + self.q + self.A.T @ nu + self.G.T @ lam, self.A @ x - self.b, self.G @ x + slack - self.h

    def left(self, point: _Point) -> Any:
        most = _most(point.x)
        scales = (_most(self.Q @ point.x) + _most(point.lam), _most(self.b) + most, _most(self.h) + most)
        parts = [_most(error) / (1 + scale) for error, scale in zip(self.errors(point), scales, strict=True)]
        return jnp.max(jnp.stack([*parts, _most(point.slack * point.lam) / (1 + _most(point.lam))]))

    def direction(self, point: _Point, factors: Any, product: Any) -> _Point:
        """Newton's step towards the conditions, with slack*lam towards slack*lam - product."""
        of_x, of_A, of_G = self.errors(point)
        dx, dnu, dlam = self.solve(factors, -of_x, -of_A, product / point.lam - of_G)
        return _Point(dx, dnu, dlam, -of_G - self.G @ dx)

    def ahead(self, point: _Point, least: float) -> _Point:
        """The next point; least is what slack*lam is not sent below."""
        factors = self.factors(point.slack / point.lam)
        product = point.slack * point.lam
        mean = jnp.sum(product) / max(self.h.size, 1)
        affine = self.direction(point, factors, product)
        far = jnp.minimum(_length(point, affine), 1)
        kept = jnp.sum((point.slack + far * affine.slack) * (point.lam + far * affine.lam)) / jnp.where(mean > 0, jnp.sum(product), 1)
        aim = jnp.maximum(kept**3 * mean, least)
        along = self.direction(point, factors, product + affine.slack * affine.lam - aim)
        far = jnp.minimum(0.99 * _length(point, along), 1)
        return jax.tree.map(lambda v, d: v + far * d, point, along)


def _length(point: _Point, along: _Point) -> Any:
    """How far lam and slack stay positive."""
    values, slopes = jnp.concatenate([point.lam, point.slack]), jnp.concatenate([along.lam, along.slack])
    return jnp.min(jnp.where(slopes < 0, -values / jnp.where(slopes < 0, slopes, -1), jnp.inf), initial=jnp.inf)


def _positive(values: Any) -> Any:
    """Moved together until all are above 0."""
    least = jnp.min(values, initial=jnp.inf)
    return jnp.where(least > 0, values, values - least + 1)


def _most(values: Any) -> Any:
    return jnp.max(jnp.abs(values), initial=0.0)


def _loose(dtype: Any) -> float:
    return float(jnp.finfo(dtype).eps) ** 0.5


def _array(value: Any) -> Any:
    return value if value is None or isinstance(value, jax.Array) else np.asarray(value)


def _dtype(*values: Any) -> Any:
    found = [value.dtype for value in values if isinstance(value, jax.Array) and jnp.issubdtype(value.dtype, jnp.floating)]
    with jax.numpy_dtype_promotion("standard"):
        return jnp.result_type(*found) if found else jnp.result_type(float)


def _check(program: dict[str, Any], error: Any) -> None:
    shapes: dict[str, Any] = {name: "None" if value is None else jnp.shape(value) for name, value in program.items()}
    n = shapes["q"][0] if len(shapes["q"]) == 1 else -1
    fits = shapes["Q"] == (n, n) and n > 0
    for left, right in (("A", "b"), ("G", "h")):
        if shapes[left] == "None" and shapes[right] == "None":
            continue
        fits = fits and len(shapes[right]) == 1 and shapes[left] == (*shapes[right], n)
    if not fits:
        listed = ", ".join(f"{name} {shape}" for name, shape in shapes.items())
        raise error(
            f"QuadraticProgram: the shapes {listed} do not fit. They are Q (n, n), q (n,), A (p, n), b (p,), G (m, n), h (m,), for one input: "
            "jax.vmap makes batches."
        )
    if error is ModelError and not isinstance(program["Q"], jax.core.Tracer):
        Q = np.asarray(program["Q"], float)
        if not np.allclose(Q, Q.T, atol=1e-5 * np.abs(Q).max()):
            raise error("QuadraticProgram: Q is not symmetric. Write (Q + Q.T)/2, which has the same value.")
        least, most = np.linalg.eigvalsh(Q)[[0, -1]]
        if least < -1e-5 * max(most, 0.0) or most <= 0:
            raise error(
                f"QuadraticProgram: Q has the eigenvalue {least:.3g}, so there is no least value. Q = L @ L.T + small*I is positive definite."
            )


def _not_found(point: _Point, A: Any, b: Any, G: Any, h: Any) -> str:
    equal, above = np.abs(np.asarray(A @ point.x - b)), np.asarray(G @ point.x - h)
    missed = {f"A x = b, row {i}": float(v) for i, v in enumerate(equal)} | {f"G x <= h, row {i}": float(v) for i, v in enumerate(above)}
    where = max(missed, key=lambda row: missed[row])
    return (
        f"QuadraticProgram found no optimum: it ended where {where}, is missed by {missed[where]:.3g}. Either no point satisfies all constraints, "
        "or Q is not positive definite and the value has no least one. A slack variable with a cost makes constraints soft."
    )
