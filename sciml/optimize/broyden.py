"""Quasi-Newton steps with a full inverse Hessian H: self-scaled BFGS and Broyden, for a few thousand unknowns in float64.

With s the step, y the change of the gradient, B = 1/H, and in the letters of the papers

    b = s.Bs / y.s,   h = y.Hy / y.s,   a = b h - 1,   v = sqrt(y.Hy) (s / y.s - Hy / y.Hy)
    H <- (H - Hy (Hy)' / y.Hy + phi v v') / tau + s s' / y.s

| update      | phi                       | tau                                                                               |
|-------------|---------------------------|-----------------------------------------------------------------------------------|
| "bfgs"      | 1                         | 1                                                                                 |
| "ssbfgs"    | 1                         | min(1, 1/b)                                                                       |
| "ssbroyden" | (1 - theta)/(1 + a theta) | min(1, 1/b) min(sigma^(-1/(n-1)), 1/theta)         for theta > 0                  |
|             |                           | min(min(1, 1/b) sigma^(-1/(n-1)), sigma)           otherwise                      |

with sigma = 1 + a theta, theta = max((rho - 1)/a, min(1/rho, 1/b - 1)) and rho = min(1, h (1 - sqrt(a/(1 + a)))).

Al-Baali, Spedicato and Maggioni 2014 for the family; Urban, Stefanou and Pons 2025 and Kiyani et al. 2025, who found it the best
optimiser for small physics-informed networks. Line search: bracketing for the weak conditions of Wolfe, Lewis and Overton 2013.
"""

import dataclasses
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax.flatten_util import ravel_pytree

from ..errors import FitError, nearest
from .loop import FAILURES, Step

_UPDATES = ("ssbroyden", "ssbfgs", "bfgs")
_DECREASE, _SLOPE = 1e-4, 0.9  # the conditions of Wolfe
_TRIALS = 25  # evaluations in one line search


class _State(NamedTuple):
    """z: the unknowns; inverse: H; fresh: H is 1 and was never updated; failures: steps in a row whose loss was not finite."""

    z: Any
    inverse: Any
    fresh: Any
    failures: Any


class _Point(NamedTuple):
    """A point on the line z + a d, with the loss, its gradient and its slope along d."""

    a: Any
    loss: Any
    gradient: Any
    slope: Any


@dataclasses.dataclass(frozen=True)
class Broyden:
    """Self-scaled quasi-Newton steps (SSBroyden or SSBFGS) with a full inverse Hessian: n^2 numbers for n unknowns.

    One step of the loop is a number of iterations on the same inputs, all in one program. Where the inputs change between steps,
    such as the points of a residual, the curvature that was learned is kept. An iteration never raises the loss, so that the last
    point is the best one for its inputs. Meant for float64 and up to about 5000 unknowns.

    Args:
        max_steps: the most steps of the loop.
        iterations: of the method in one step of the loop.
        update: "ssbroyden", "ssbfgs" or "bfgs".

    Raises:
        FitError: an update or a number that cannot be used.

    Urban, Stefanou and Pons 2025, Journal of Computational Physics 523; Al-Baali, Spedicato and Maggioni 2014.

    >>> import jax, jax.numpy as jnp
    >>> from sciml.optimize import Broyden
    >>> class Valley:  # Rosenbrock's
    ...     def loss(self, z):
    ...         return 100 * (z[1] - z[0]**2)**2 + (1 - z[0])**2
    >>> method = Broyden(max_steps=1, iterations=60)
    >>> step = jax.jit(lambda state: method.advance(Valley(), state))
    >>> step(method.begin(jnp.array([-1.2, 1.0]))).state.z.round(2).tolist()
    [1.0, 1.0]
    """

    max_steps: int = 1000
    iterations: int = 20
    update: str = "ssbroyden"

    def __post_init__(self) -> None:
        if self.update not in _UPDATES:
            raise FitError(f'Broyden has no update {self.update!r}. {nearest(str(self.update), _UPDATES)} Write update="ssbroyden".')
        for name in ("max_steps", "iterations"):
            whole(f"Broyden({name}=...)", getattr(self, name))

    def begin(self, z: Any) -> Any:
        """The state before the first step. z: a pytree of arrays of one floating type."""
        flat, _ = flattened(z, "Broyden")
        return _State(z, jnp.eye(flat.size, dtype=flat.dtype), jnp.asarray(True), jnp.asarray(0, jnp.int32))

    def point(self, state: Any) -> Any:
        """The last good z."""
        return state.z

    def advance(self, objective: Any, state: Any, *inputs: Any) -> Step:
        """`iterations` iterations on these inputs.

        The method has converged where not even steepest descent lowers the loss any more. Where the loss or its gradient is not
        finite at the point itself, nothing changes but the number of failures.

        Args:
            objective: with `loss(z, *inputs)`, a number.
            state: of the method.
            *inputs: what the loss gets besides z.
        """
        z, unravel = flattened(state.z, "Broyden")
        value = jax.value_and_grad(lambda z: objective.loss(unravel(z), *inputs))

        def iterate(_: Any, carry: Any) -> Any:
            z, at, direction, inverse, steep, fresh, _, lowered = carry
            found, fine = _search(value, z, at, direction)
            step = (found.a, direction, at.gradient, found.gradient)
            made, following, steeper, learned = _updated(self.update, inverse, steep, fine, *step)
            return z + found.a * direction, found, following, made, steeper, fresh & ~learned, steep & ~fine, lowered + fine.astype(jnp.int32)

        # The first pass has no direction: it takes the loss at z, by the same code as the others, which halves the program.
        zero, no = jnp.zeros((), z.dtype), jnp.asarray(False)
        nowhere = _Point(zero, jnp.full((), jnp.inf, z.dtype), jnp.zeros_like(z), zero)
        start = (z, nowhere, jnp.zeros_like(z), state.inverse, state.fresh, state.fresh, no, jnp.asarray(-1, jnp.int32))
        z, at, _, inverse, _, fresh, stuck, lowered = jax.lax.fori_loop(0, self.iterations + 1, iterate, start)
        fine, over = lowered >= 0, state.failures >= FAILURES
        failures = jnp.where(fine & ~over, 0, jnp.minimum(state.failures + 1, FAILURES)).astype(jnp.int32)
        made = _State(unravel(z), inverse, fresh, failures)
        made = jax.tree.map(lambda new, old: jnp.where(fine & ~over, new, old), made, state)._replace(failures=failures)
        return Step(made, at.loss, fine & stuck & (lowered == 0), failures, None)


def _search(value: Callable[[Any], Any], z: Any, at: _Point, direction: Any) -> tuple[_Point, Any]:
    """(point, whether there is one) with a lower loss on the line; with a flatter slope too, unless that takes too long."""
    slope = at.gradient @ direction
    start = at._replace(a=jnp.zeros_like(slope), slope=slope)
    infinite = jnp.full_like(slope, jnp.inf)

    def trial(carry: Any) -> Any:
        n, a, low, high, high_loss, _ = carry
        loss, gradient = value(z + a * direction)
        made = _Point(a, loss, gradient, gradient @ direction)
        finite = jnp.isfinite(loss) & jnp.all(jnp.isfinite(gradient))
        lower = finite & (loss <= at.loss + _DECREASE * a * slope)
        farther = _farther(low, made)
        low = jax.tree.map(lambda new, old: jnp.where(lower, new, old), made, low)
        high, high_loss = jnp.where(lower, high, a), jnp.where(lower, high_loss, jnp.where(finite, loss, infinite))
        following = jnp.where(jnp.isinf(high), farther, _between(low, high, high_loss))
        return n + 1, following, low, high, high_loss, lower & (made.slope >= _SLOPE * slope)

    def more(carry: Any) -> Any:
        n, *_, done = carry
        return (n == 0) | ((n < _TRIALS) & ~done & (slope < 0))

    first = (jnp.asarray(0, jnp.int32), jnp.ones_like(slope), start, infinite, infinite, jnp.asarray(False))
    _, _, low, *_ = jax.lax.while_loop(more, trial, first)
    fine = (low.loss < at.loss) & (slope <= 0)
    return jax.tree.map(lambda new, old: jnp.where(fine, new, old), low, start), fine


def _farther(low: _Point, made: _Point) -> Any:
    """Where the slope vanishes by the secant of two slopes, at least twice and at most ten times as far."""
    bend = made.slope - low.slope
    secant = made.a - made.slope * (made.a - low.a) / jnp.where(bend > 0, bend, 1)
    return jnp.where(bend > 0, jnp.clip(secant, 2 * made.a, 10 * made.a), 10 * made.a)


def _between(low: _Point, high: Any, high_loss: Any) -> Any:
    """The minimum of the parabola through two points and one slope, well inside; the middle where a loss was not finite."""
    width = high - low.a
    bend = high_loss - low.loss - low.slope * width
    usable = jnp.isfinite(bend) & (bend > 0)
    minimum = -0.5 * low.slope * width**2 / jnp.where(usable, bend, 1)
    return low.a + jnp.where(usable, jnp.clip(minimum, 0.1 * width, 0.9 * width), 0.5 * width)


def _updated(kind: str, inverse: Any, steep: Any, fine: Any, a: Any, direction: Any, before: Any, after: Any) -> tuple[Any, Any, Any, Any]:
    """(H, the next direction, whether it is the steepest, whether H was updated), in two passes over the n^2 numbers of H.

    Where no lower point was found, steepest descent is next. Only where that succeeds is H given up: it may be sound, and the point
    as low as rounding permits. The H before its first update is 1, scaled to the curvature that was met (Shanno and Phua 1978).
    """
    s, y, n = a * direction, after - before, after.size
    ys, yy, ss = y @ s, y @ y, s @ s
    learned = fine & (ys > jnp.finfo(s.dtype).eps * jnp.sqrt(yy * ss))
    ys, yy = jnp.where(learned, ys, 1), jnp.where(learned, yy, 1)
    anew = steep & learned
    hy, hg = (inverse @ jnp.stack([y, after], axis=1)).T
    hy, hg = jnp.where(anew, ys / yy * y, hy), jnp.where(anew, ys / yy * after, hg)
    yhy = jnp.where(learned, y @ hy, 1)
    sbs = jnp.where(steep, ss * yy / ys, -a * (s @ before))
    phi, tau = _member(kind, jnp.where(learned, sbs / ys, 1), jnp.where(learned, yhy / ys, 1), n)
    v = jnp.sqrt(yhy) * (s / ys - hy / yhy)
    tau, left, right, rank = (jnp.where(learned, one, other) for one, other in ((tau, 1), (-1 / (yhy * tau), 0), (phi / tau, 0), (1 / ys, 0)))
    made = jnp.where(anew, ys / yy * jnp.eye(n, dtype=s.dtype), inverse) / tau
    made = made + left * jnp.outer(hy, hy) + right * jnp.outer(v, v) + rank * jnp.outer(s, s)
    hg = hg / tau + left * hy * (hy @ after) + right * v * (v @ after) + rank * s * (s @ after)
    steep = ~fine | (steep & ~learned)
    return made, -jnp.where(steep, after / jnp.maximum(1, jnp.linalg.norm(after)), hg), steep, learned


def _member(kind: str, b: Any, h: Any, n: int) -> tuple[Any, Any]:
    """(phi, tau): the member of the family, by the table above."""
    one = jnp.ones_like(b)
    if kind == "bfgs":
        return one, one
    shrink = jnp.minimum(one, 1 / b)
    if kind == "ssbfgs":
        return one, shrink
    a = jnp.maximum(b * h - 1, jnp.finfo(b.dtype).eps)
    rho = jnp.minimum(one, h * (1 - jnp.sqrt(a / (1 + a))))
    theta = jnp.maximum((rho - 1) / a, jnp.minimum(1 / rho, 1 / b - 1))
    sigma = 1 + a * theta
    root = sigma ** (-1 / max(n - 1, 1))
    positive = theta > 0
    tau = jnp.where(positive, shrink * jnp.minimum(root, 1 / jnp.where(positive, theta, 1)), jnp.minimum(shrink * root, sigma))
    return (1 - theta) / sigma, tau


def flattened(z: Any, name: str) -> tuple[Any, Callable[[Any], Any]]:
    """(one vector, the way back) of a pytree of arrays of one floating type; name: of the method, for the message."""
    kinds = {str(jnp.asarray(leaf).dtype) for leaf in jax.tree.leaves(z)}
    if len(kinds) != 1 or not jnp.issubdtype(jnp.dtype(next(iter(kinds))), jnp.floating):
        found = ", ".join(sorted(kinds)) or "no arrays"
        raise FitError(f"{name} trains arrays of one floating type, and got {found}. Write eqx.partition(model, eqx.is_inexact_array)[0].")
    return ravel_pytree(z)


def whole(what: str, number: Any) -> None:
    """Refuses all but positive whole numbers."""
    if isinstance(number, bool) or not isinstance(number, int) or number < 1:
        raise FitError(f"{what} wants a positive whole number, and got {number!r}.")
