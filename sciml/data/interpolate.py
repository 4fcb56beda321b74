"""Interpolation of measured inputs and tables, on interpax (https://github.com/f0uriest/interpax).

| name       | what it is                                             |
|------------|--------------------------------------------------------|
| cubic      | spline with two continuous derivatives                 |
| monotone   | cubic that keeps monotone data monotone (Fritsch 1980) |
| linear     | straight lines                                         |
| previous   | steps: the last value measured                         |
"""

import contextlib
from collections.abc import Iterator
from typing import Any

import equinox as eqx
import interpax
import jax
import jax.numpy as jnp
import numpy as np

_METHODS = {"cubic": "cubic2", "monotone": "monotonic", "linear": "linear"}


class Interpolant(eqx.Module):
    """A function of one number. Its coefficients are computed when it is made, not at each call.

    `outside`: "error" gives NaN beyond the grid, "hold" the end values, "extrapolate" the continuation.
    """

    points: jax.Array
    values: jax.Array
    smooth: Any  # interpax's object, None for steps
    outside: str = eqx.field(static=True)

    def __init__(self, grid: np.ndarray, values: Any, interp: str, outside: str):
        self.values = jnp.asarray(values, float)
        self.points = jnp.asarray(grid, self.values.dtype)
        self.outside = outside
        self.smooth = None
        if interp != "previous":
            method = _METHODS[interp] if len(grid) > 3 else "linear"
            with _own_promotion():
                self.smooth = interpax.Interpolator1D(self.points, self.values, method=method, extrap=outside == "extrapolate")

    def __call__(self, x: Any) -> Any:
        x = jnp.asarray(x, self.values.dtype)
        if self.outside == "extrapolate":
            return self._inside(x)
        low, high = self.points[0], self.points[-1]
        found = self._inside(jnp.clip(x, low, high))
        if self.outside == "hold":
            return found
        # A rounding error past the end is not outside.
        slack = 8 * jnp.finfo(self.values.dtype).eps * jnp.maximum(jnp.abs(low), jnp.abs(high))
        return jnp.where((x >= low - slack) & (x <= high + slack), found, jnp.nan)

    def _inside(self, x: Any) -> Any:
        if self.smooth is None:
            index = jnp.searchsorted(self.points, x, side="right") - 1
            return self.values[jnp.clip(index, 0, len(self.points) - 1)]
        with _own_promotion():
            return self.smooth(x)


@contextlib.contextmanager
def _own_promotion() -> Iterator[None]:
    """interpax mixes integer and boolean types; that is its own business, not the user's strict promotion."""
    with jax.numpy_dtype_promotion("standard"), jax.numpy_rank_promotion("allow"):
        yield


def interpolant(grid: np.ndarray, values: Any, interp: str, outside: str) -> Interpolant:
    """Interpolates `values` over `grid`; the words are those of `sci.data`."""
    return Interpolant(grid, values, interp, outside)
