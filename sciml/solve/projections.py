"""Nearest points of convex sets. Plain functions of an array, differentiable in both modes.

| function       | set                        | reference                                 |
|----------------|----------------------------|-------------------------------------------|
| `box`          | lower <= x <= upper        |                                           |
| `non_negative` | x >= 0                     |                                           |
| `simplex`      | x >= 0, sum(x) = total     | Held, Wolfe and Crowder 1974, by sorting  |
| `l2_ball`      | norm(x) <= radius          |                                           |
| `affine`       | A x = b                    |                                           |

A projection has a kink where a point is on the edge of its set; the derivative there is that of one side.
"""

from typing import Any

import jax
import jax.numpy as jnp

from ..errors import SolveError


def box(x: Any, *, lower: Any, upper: Any) -> Any:
    """The nearest point with `lower <= x <= upper`.

    Args:
        x: an array.
        lower: a number or an array that broadcasts to x; -inf for none.
        upper: the same; inf for none.

    >>> import jax.numpy as jnp
    >>> box(jnp.array([-1.0, 0.5, 3.0]), lower=0.0, upper=1.0).tolist()
    [0.0, 0.5, 1.0]
    """
    _require(jnp.all(jnp.asarray(lower) <= jnp.asarray(upper)), f"box: lower={lower} is above upper={upper}.")
    return jnp.where(x < lower, lower, jnp.where(x > upper, upper, x))


def non_negative(x: Any) -> Any:
    """The nearest point with `x >= 0`.

    >>> import jax.numpy as jnp
    >>> non_negative(jnp.array([-1.0, 0.5])).tolist()
    [0.0, 0.5]
    """
    return jnp.where(x > 0, x, jnp.zeros_like(x))


def simplex(x: Any, *, total: Any = 1.0) -> Any:
    """The nearest point with `x >= 0` and `sum(x) = total`, along the last axis.

    Args:
        x: an array of at least one axis.
        total: the sum, above 0.

    >>> import jax.numpy as jnp
    >>> simplex(jnp.array([0.75, 0.75, -1.0])).tolist()
    [0.5, 0.5, 0.0]
    """
    if jnp.ndim(x) == 0:
        raise SolveError("simplex takes an array of at least one axis, not a number.")
    _require(jnp.asarray(total) > 0, f"simplex: total={total} is not above 0.")
    falling = -jnp.sort(-jax.lax.stop_gradient(x), axis=-1)
    counts = jnp.cumsum(jnp.ones_like(falling), axis=-1)
    inside = falling * counts > jnp.cumsum(falling, axis=-1) - jax.lax.stop_gradient(total)
    count = jnp.sum(inside, axis=-1, keepdims=True)
    smallest = jnp.take_along_axis(falling, jnp.maximum(count, 1) - 1, axis=-1)
    # The sort finds which components stay above 0; given these, the projection is linear.
    kept = x >= smallest
    number = jnp.sum(kept, axis=-1, keepdims=True).astype(x.dtype)
    shift = (jnp.sum(jnp.where(kept, x, 0.0), axis=-1, keepdims=True) - total) / number
    return jnp.where(kept, x - shift, jnp.zeros_like(x))


def l2_ball(x: Any, *, radius: Any = 1.0) -> Any:
    """The nearest point with `norm(x) <= radius`; the norm is over all components.

    Args:
        x: an array.
        radius: of the ball around 0, above 0.

    >>> import jax.numpy as jnp
    >>> [round(v, 6) for v in l2_ball(jnp.array([3.0, 4.0])).tolist()]
    [0.6, 0.8]
    """
    _require(jnp.asarray(radius) > 0, f"l2_ball: radius={radius} is not above 0.")
    square = jnp.sum(x * x)
    outside = square > radius * radius
    return jnp.where(outside, x * (radius / jnp.sqrt(jnp.where(outside, square, 1.0))), x)


def affine(x: Any, *, A: Any, b: Any) -> Any:
    """The nearest point with `A x = b`.

    Args:
        x: a vector of shape (n,).
        A: of shape (m, n), with independent rows. Dependent rows give NaN.
        b: of shape (m,).

    >>> import jax.numpy as jnp
    >>> affine(jnp.array([1.0, 2.0]), A=jnp.array([[1.0, 1.0]]), b=jnp.array([1.0])).round(6).tolist()
    [0.0, 1.0]
    """
    A, b = jnp.asarray(A), jnp.asarray(b)
    if jnp.ndim(x) != 1 or A.ndim != 2 or b.ndim != 1 or A.shape != (b.size, jnp.size(x)):
        raise SolveError(f"affine: A x = b with A of shape {A.shape}, x of shape {jnp.shape(x)} and b of shape {b.shape}: they do not fit.")
    gram = jax.scipy.linalg.cho_factor(A @ A.T)
    return x - A.T @ jax.scipy.linalg.cho_solve(gram, A @ x - b)


def _require(condition: Any, sentence: str) -> None:
    """Raises where the numbers are there to see; inside a transformation they are not."""
    if not isinstance(condition, jax.core.Tracer) and not bool(condition):
        raise SolveError(sentence)
