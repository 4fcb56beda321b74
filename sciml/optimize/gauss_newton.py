"""Levenberg-Marquardt for residuals with many rows: r residuals, J their Jacobian, the loss is r.r.

    (J'J + lambda m) d = -J' r            m: the mean of the diagonal of J'J, so that lambda has no unit
    (J'J + lambda m) c = -J' r_dd / 2     r_dd: second derivative of r along d, by a difference    (geodesic acceleration)

| solve      | the same d from             | pays for                                    |
|------------|-----------------------------|---------------------------------------------|
| "cholesky" | J'J, unknowns x unknowns    | more residuals than unknowns, up to 5000    |
| "dual"     | JJ', residuals x residuals  | fewer residuals than unknowns, up to 5000   |
| "krylov"   | conjugate gradients on J'J  | anything larger; J is never formed          |

J'J is the Gram matrix of the linearised residual in function space, so that for a least-squares loss these are the steps of the
energy natural gradient of Mueller and Zeinhofer 2023, damped; "dual" is the same in the space of residuals.

Levenberg 1944, Marquardt 1963; gain ratio: Nielsen 1999; geodesic acceleration: Transtrum and Sethna 2012; conjugate gradients
inside: Martens 2010.
"""

import dataclasses
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax.flatten_util import ravel_pytree

from ..errors import FitError, nearest
from .broyden import flattened, whole
from .loop import FAILURES, Step

_SOLVES = ("auto", "cholesky", "dual", "krylov")
_LARGE = 5000  # unknowns, or residuals, from which J'J and JJ' are not formed
_TRIALS = 10  # dampings tried in one step
_H = 0.1  # of the difference along d


class _State(NamedTuple):
    """z: the unknowns; damping: lambda; failures: steps in a row whose loss was not finite."""

    z: Any
    damping: Any
    failures: Any


@dataclasses.dataclass(frozen=True)
class GaussNewton:
    """Damped Gauss-Newton (Levenberg-Marquardt) steps: natural gradient for a sum of squares.

    A step is taken where it lowers the loss on the same inputs; otherwise the damping grows and the step is tried again with the
    same Jacobian. The loss therefore never rises on the same inputs. The Jacobian comes from `objective.jacobian(z, *inputs)`,
    which gives (residuals, J), if there is one: an objective whose residuals are those of many points knows best that each row
    needs one point only (`row_by_row`). Otherwise it is taken by forward or reverse mode, whichever needs fewer passes.

    Args:
        max_steps: the most steps.
        damping: lambda at the start, relative to the mean of the diagonal of J'J.
        solve: "auto", "cholesky", "dual" or "krylov".
        accelerate: follow the curvature of the residuals (geodesic acceleration), for three more evaluations of them.
        inner: the most conjugate gradients of "krylov".

    Raises:
        FitError: a solve or a number that cannot be used.

    Mueller and Zeinhofer 2023, Achieving high accuracy with PINNs via energy natural gradient descent.

    >>> import jax, jax.numpy as jnp
    >>> from sciml.optimize import GaussNewton
    >>> class Valley:  # Rosenbrock's
    ...     def residuals(self, z):
    ...         return jnp.array([10 * (z[1] - z[0]**2), 1 - z[0]])
    >>> method, state = GaussNewton(), GaussNewton().begin(jnp.array([-1.2, 1.0]))
    >>> step = jax.jit(lambda state: method.advance(Valley(), state))
    >>> for _ in range(30):
    ...     state = step(state).state
    >>> method.point(state).round(2).tolist()
    [1.0, 1.0]
    """

    max_steps: int = 500
    damping: float = 1e-3
    solve: str = "auto"
    accelerate: bool = True
    inner: int = 50

    def __post_init__(self) -> None:
        if self.solve not in _SOLVES:
            raise FitError(f'GaussNewton has no solve {self.solve!r}. {nearest(str(self.solve), _SOLVES)} Write solve="auto".')
        whole("GaussNewton(max_steps=...)", self.max_steps)
        whole("GaussNewton(inner=...)", self.inner)
        if not self.damping > 0:
            raise FitError(f"GaussNewton(damping=...) wants a positive number, and got {self.damping!r}: write damping=1e-3.")

    def begin(self, z: Any) -> Any:
        """The state before the first step. z: a pytree of arrays of one floating type."""
        flat, _ = flattened(z, "GaussNewton")
        return _State(z, jnp.asarray(self.damping, flat.dtype), jnp.asarray(0, jnp.int32))

    def point(self, state: Any) -> Any:
        """The last good z."""
        return state.z

    def advance(self, objective: Any, state: Any, *inputs: Any) -> Step:
        """One step on these inputs.

        The method has converged where no damping lowers the loss. Where residuals or their Jacobian are not finite, nothing
        changes but the number of failures.

        Args:
            objective: with `residuals(z, *inputs)`, a vector, and, if it has one, `jacobian(z, *inputs)`: the residuals, and an
                array with a row for each and a column for each number in z, in the order of `ravel_pytree`.
            state: of the method.
            *inputs: what the residuals get besides z.
        """
        z, unravel = flattened(state.z, "GaussNewton")

        def residuals(z: Any) -> Any:
            return objective.residuals(unravel(z), *inputs)

        model = self._model(objective, residuals, z, state.z, inputs)
        damping, d, loss, lower = _damped(model, residuals, z, state.damping, self.accelerate)
        fine, over = jnp.isfinite(model.loss) & jnp.all(jnp.isfinite(model.gradient)), state.failures >= FAILURES
        failures = jnp.where(fine & ~over, 0, jnp.minimum(state.failures + 1, FAILURES)).astype(jnp.int32)
        take = fine & lower & ~over
        made = _State(unravel(jnp.where(take, z + d, z)), jnp.where(fine & ~over, damping, state.damping), failures)
        return Step(made, jnp.where(take, loss, model.loss), fine & ~lower, failures, {"damping": made.damping})

    def _model(self, objective: Any, residuals: Callable[[Any], Any], z: Any, tree: Any, inputs: Any) -> "_Model":
        rows, solve = jax.eval_shape(residuals, z).size, self.solve
        if solve == "auto":
            solve = "krylov" if min(rows, z.size) > _LARGE else "cholesky" if rows >= z.size else "dual"
        if solve == "krylov":
            return _matrix_free(residuals, z, self.inner)
        if hasattr(objective, "jacobian"):
            r, jacobian = objective.jacobian(tree, *inputs)
        else:
            r, jacobian = residuals(z), (jax.jacfwd if z.size <= rows else jax.jacrev)(residuals)(z)
        return _dual(r, jacobian) if solve == "dual" else _normal(r, jacobian)


class _Model(NamedTuple):
    """The linearised residuals r + J d."""

    residuals: Any
    loss: Any  # r.r
    gradient: Any  # J'r
    forward: Callable[[Any], Any]  # d -> J d
    backward: Callable[[Any], Any]  # v -> J'v
    factor: Callable[[Any], Callable[[Any], Any]]  # lambda -> (v -> (J'J + lambda m)^-1 J'v)


def _normal(r: Any, jacobian: Any) -> _Model:
    gram = _gram(jacobian)
    mean = jnp.trace(gram) / gram.shape[0]

    def factor(damping: Any) -> Callable[[Any], Any]:
        lower = jnp.linalg.cholesky(gram + damping * mean * jnp.eye(gram.shape[0], dtype=gram.dtype))
        return lambda v: jax.scipy.linalg.cho_solve((lower, True), jacobian.T @ v)

    return _Model(r, r @ r, jacobian.T @ r, lambda d: jacobian @ d, lambda v: jacobian.T @ v, factor)


def _gram(jacobian: Any) -> Any:
    """J'J by blocks of columns. It is symmetric: only one block of each pair is multiplied out, five eighths of the work."""
    if jacobian.shape[1] < 256:
        return jacobian.T @ jacobian
    columns = jnp.array_split(jacobian, 4, axis=1)
    below = [[left.T @ right for right in columns[: i + 1]] for i, left in enumerate(columns)]
    return jnp.block([[below[i][k] if k <= i else below[k][i].T for k in range(4)] for i in range(4)])


def _dual(r: Any, jacobian: Any) -> _Model:
    gram = _gram(jacobian.T)
    mean = jnp.trace(gram) / jacobian.shape[1]

    def factor(damping: Any) -> Callable[[Any], Any]:
        lower = jnp.linalg.cholesky(gram + damping * mean * jnp.eye(gram.shape[0], dtype=gram.dtype))
        return lambda v: jacobian.T @ jax.scipy.linalg.cho_solve((lower, True), v)

    return _Model(r, r @ r, jacobian.T @ r, lambda d: jacobian @ d, lambda v: jacobian.T @ v, factor)


def _matrix_free(residuals: Callable[[Any], Any], z: Any, inner: int) -> _Model:
    r, forward = jax.linearize(residuals, z)
    transposed = jax.linear_transpose(forward, z)

    def backward(v: Any) -> Any:
        return transposed(v)[0]

    # Hutchinson's estimate of the trace, with one fixed vector of signs: a scale for lambda needs no more.
    signs = jax.random.rademacher(jax.random.key(0), r.shape, z.dtype)
    mean = jnp.sum(backward(signs) ** 2) / z.size

    def factor(damping: Any) -> Callable[[Any], Any]:
        def gram(d: Any) -> Any:
            return backward(forward(d)) + damping * mean * d

        return lambda v: jax.scipy.sparse.linalg.cg(gram, backward(v), maxiter=inner, tol=1e-10)[0]

    return _Model(r, r @ r, backward(r), forward, backward, factor)


def _damped(model: _Model, residuals: Callable[[Any], Any], z: Any, damping: Any, accelerate: bool) -> tuple[Any, Any, Any, Any]:
    """(the next damping, step, loss, whether it is lower): dampings, four times larger each, until the loss falls."""

    def trial(damping: Any) -> tuple[Any, Any, Any]:
        solve = model.factor(damping)
        d = -solve(model.residuals)
        linear = model.forward(d)
        loss = _squares(residuals(z + d))
        # What the linear model promised: r.r - |r + J d|^2
        promised = -(2 * model.gradient @ d + linear @ linear)
        if accelerate:
            d, loss = _accelerated(model, solve, residuals, z, d, linear, loss)
        gain = (model.loss - loss) / jnp.maximum(promised, jnp.finfo(z.dtype).tiny)
        return d, loss, jnp.where(jnp.isfinite(loss) & jnp.all(jnp.isfinite(d)), gain, -1)

    def attempt(carry: Any) -> Any:
        n, damping, *_ = carry
        damping = jnp.where(n == 0, damping, 4 * damping)
        return n + 1, damping, *trial(damping)

    start = (jnp.asarray(0, jnp.int32), damping, jnp.zeros_like(z), model.loss, -jnp.ones_like(damping))
    _, damping, d, loss, gain = jax.lax.while_loop(lambda c: (c[0] < _TRIALS) & ~(c[4] > 1e-4), attempt, start)
    following = jnp.where(gain > 0.75, damping / 3, jnp.where(gain < 0.25, 2 * damping, damping))
    # A damping below the rounding of the Gram matrix would no longer make it positive.
    return jnp.clip(following, 10 * jnp.finfo(z.dtype).eps, 1e8), d, loss, (gain > 1e-4) & (loss < model.loss)


def _accelerated(
    model: _Model, solve: Callable[[Any], Any], residuals: Callable[[Any], Any], z: Any, d: Any, linear: Any, loss: Any
) -> tuple[Any, Any]:
    """(step, loss), bent along the curvature of the residuals where the bend is small and helps."""
    bend = (2 / _H) * ((residuals(z + _H * d) - model.residuals) / _H - linear)
    c = -0.5 * solve(bend)
    small = 2 * jnp.linalg.norm(c) <= 0.75 * jnp.linalg.norm(d)
    bent = _squares(residuals(z + d + c))
    better = small & ((bent < loss) | ~jnp.isfinite(loss))
    return jnp.where(better, d + c, d), jnp.where(better, bent, loss)


def _squares(r: Any) -> Any:
    return r @ r


def row_by_row(residual: Callable[..., Any], z: Any, *inputs: Any) -> tuple[Any, Any]:
    """(residuals, J) of residuals that need one row of the inputs each, in one reverse pass for each residual of a row.

    Args:
        residual: (z, *one row of each input) -> a number, or k numbers.
        z: a pytree of arrays of one floating type.
        *inputs: arrays of equal first axis.

    Returns:
        The residuals, a vector of rows * k, and J with a row for each and a column for each number in z.

    >>> import jax.numpy as jnp
    >>> from sciml.optimize import row_by_row
    >>> r, jacobian = row_by_row(lambda z, x: z["a"] * x + z["b"], {"a": 2.0, "b": 1.0}, jnp.array([1.0, 3.0]))
    >>> r.tolist(), jacobian.tolist()
    ([3.0, 7.0], [[1.0, 1.0], [3.0, 1.0]])
    """
    flat, unravel = ravel_pytree(z)

    def one(*row: Any) -> tuple[Any, Any]:
        r, back = jax.vjp(lambda z: jnp.ravel(residual(unravel(z), *row)), flat)
        return r, jax.vmap(back)(jnp.eye(r.size, dtype=r.dtype))[0]

    r, jacobian = jax.vmap(one)(*inputs)
    return jnp.ravel(r), jacobian.reshape(r.size, flat.size)
