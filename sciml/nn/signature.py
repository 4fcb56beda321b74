"""Log-signatures: what a path did on a window, in a few numbers, so that long series take few steps.

    depth 1    the increments X(b) - X(a)
    depth 2    also the Levy areas 1/2 (integral X_i dX_j - X_j dX_i), i < j, with X measured from its start

They are the first terms of the logarithm of the series of iterated integrals (Chen 1957); two windows are put together by
Baker, Campbell and Hausdorff: increments add, areas add and gain 1/2 (a_i b_j - a_j b_i). None of them depends on how fast the path
is run through. Morrill, Salvi, Kidger, Foster and Lyons, Neural rough differential equations for long time series (2021), arXiv:2009.08295.
"""

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from ..errors import ModelError
from .control import ControlPath, channels_of, filled
from .series import Series


@dataclasses.dataclass(frozen=True)
class LogSignature:
    """A control for `NeuralCDE` on long series: one step for each window of samples.

    Attributes:
        window: how many intervals between samples a window has.
        depth: 1 for increments, 2 for areas as well.

    Raises:
        ModelError: another depth, or a window that is not a whole number.

    >>> import sciml as sci
    >>> sci.nn.LogSignature(window=20).width(3)
    6
    """

    window: int
    depth: int = 2

    def __post_init__(self) -> None:
        if not isinstance(self.window, int) or isinstance(self.window, bool) or self.window < 1:
            raise ModelError(f"window={self.window!r}: give a whole number of intervals, 1 or more, such as LogSignature(window=20).")
        check_depth(self.depth)

    def width(self, channels: int) -> int:
        """How many numbers describe a window of a path through so many channels."""
        return channels if self.depth == 1 else channels + channels * (channels - 1) // 2

    def path(self, series: Series, *, time: bool = True, intensity: bool = False, integral: bool = False) -> ControlPath:
        """Straight pieces, one for each window, whose increments are the log-signatures, from where the series begins. Knots are 0, 1, 2, ..."""
        t, x, seen = channels_of(series, time, intensity, integral, "linear")
        x = filled(t, x, seen)
        increments = windows(jnp.diff(x, axis=0), self.window)
        steps = jax.vmap(lambda d: _of_increments(d, self.depth))(increments)
        start = jnp.concatenate([x[:1], jnp.zeros((1, steps.shape[1] - x.shape[1]), x.dtype)], axis=1)
        ends = start + jnp.concatenate([jnp.zeros_like(start), jnp.cumsum(steps, axis=0)])
        return ControlPath(jnp.arange(len(ends), dtype=x.dtype), jnp.stack([ends[:-1], steps], axis=1), True)


def log_signature(path: Any, depth: int = 2) -> Any:
    """The log-signature of the straight lines through some points.

    Args:
        path: (points, channels).
        depth: 1 or 2.

    Returns:
        (channels,) increments; with depth 2 followed by the channels*(channels - 1)/2 areas in the order (0, 1), (0, 2), ..., (1, 2), ...

    Raises:
        ModelError: another depth, or a path of another shape.

    >>> import jax.numpy as jnp, sciml as sci
    >>> square = jnp.array([[0.0, 0.0], [1.0, 0.0], [1.0, 1.0], [0.0, 1.0], [0.0, 0.0]])
    >>> sci.nn.log_signature(square).tolist()
    [0.0, 0.0, 1.0]
    """
    check_depth(depth)
    path = jnp.asarray(path, float)
    if path.ndim != 2 or len(path) < 2:
        raise ModelError(
            f"log_signature takes a path of shape (points, channels) with two points or more, not {path.shape}. A batch goes by jax.vmap."
        )
    return _of_increments(jnp.diff(path, axis=0), depth)


def check_depth(depth: Any) -> None:
    """Refuses a depth that is neither 1 nor 2."""
    if depth not in (1, 2) or isinstance(depth, bool):
        raise ModelError(f"depth={depth!r}: log-signatures are there for depth=1 (increments) and depth=2 (also areas).")


def windows(increments: Any, window: int) -> Any:
    """(windows, window, width): the last one is filled with zeros, which add nothing."""
    n, width = increments.shape
    count = -(-n // window)
    return jnp.concatenate([increments, jnp.zeros((count * window - n, width), increments.dtype)]).reshape(count, window, width)


def _of_increments(d: Any, depth: int) -> Any:
    total = jnp.sum(d, axis=0)
    if depth == 1:
        return total
    before = jnp.cumsum(d, axis=0) - d
    product = before.T @ d  # sum over steps of X_i dX_j; within a straight step the area is zero
    i, j = np.triu_indices(d.shape[1], 1)
    return jnp.concatenate([total, 0.5 * (product - product.T)[i, j]])
