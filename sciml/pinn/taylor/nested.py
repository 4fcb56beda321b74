"""Forward mode nested in itself: slow, simple, and the reference for everything else here."""

from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
from jax.flatten_util import ravel_pytree


def nested(f: Callable[[Any], Any], x: Any, indices: Sequence[tuple[int, ...]], *, directions: Any = None) -> list[Any]:
    """Partial derivatives by `jax.jvp` nested in itself: the cost doubles with each order.

    Args:
        f: of one argument, an array or a pytree of arrays; gives an array or a pytree of arrays.
        x: the point.
        indices: how often by which direction.
        directions: what to differentiate along, shaped like `x` with a new first axis. None: along each entry of `x`.

    >>> import jax.numpy as jnp
    >>> from sciml.pinn.taylor import nested
    >>> [float(d) for d in nested(lambda x: x[0] ** 3 * x[1], jnp.array([2.0, 1.0]), [(2, 1), (3, 0)])]
    [12.0, 6.0]
    """
    point, unravel = ravel_pytree(x)
    moves = jnp.eye(point.size, dtype=point.dtype) if directions is None else jax.vmap(lambda v: ravel_pytree(v)[0])(directions)
    found = []
    for index in indices:
        g = lambda p: f(unravel(p))  # noqa: E731
        for move, count in zip(moves, index, strict=True):
            for _ in range(count):
                g = _along(g, move)
        found.append(g(point))
    return found


def _along(g: Callable[[Any], Any], move: Any) -> Callable[[Any], Any]:
    return lambda p: jax.jvp(g, (p,), (move,))[1]
