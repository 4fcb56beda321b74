"""Between bounded values and unbounded numbers, so that an optimiser may go where it likes.

| bounds               | value                                    |
|----------------------|------------------------------------------|
| none                 | z                                        |
| low only             | low + exp(z)                             |
| high only            | high - exp(z)                            |
| both                 | low + (high - low) * sigmoid(z)          |
| both, log scale      | exp of the same, between log low and log high |

The log scale is taken when scale="log", or when 0 < low and high/low is 100 or more.
"""

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from ..errors import FitError


@dataclasses.dataclass(frozen=True)
class Transform:
    """`value(z)` is inside the bounds for every z; `free(value)` is its inverse."""

    low: float | None
    high: float | None
    log: bool

    def value(self, z: Any) -> Any:
        low: Any = self.low
        high: Any = self.high
        if low is None and high is None:
            return jnp.exp(z) if self.log else z
        if high is None:
            return low + jnp.exp(z)
        if low is None:
            return high - jnp.exp(z)
        if self.log:
            return jnp.exp(np.log(low) + (np.log(high) - np.log(low)) * jax.nn.sigmoid(z))
        return low + (high - low) * jax.nn.sigmoid(z)

    def free(self, value: Any) -> Any:
        low: Any = self.low
        high: Any = self.high
        value = np.asarray(value, float)
        if low is None and high is None:
            return np.log(value) if self.log else value
        if high is None:
            return np.log(value - low)
        if low is None:
            return np.log(high - value)
        if self.log:
            value, low, high = np.log(value), np.log(low), np.log(high)
        part = (value - low) / (high - low)
        return np.log(part) - np.log1p(-part)

    def near_bound(self, value: Any) -> bool:
        """Whether the value has run against a bound."""
        value = np.asarray(value, float)
        if self.low is not None and self.high is not None:
            z = self.free(np.clip(value, np.nextafter(self.low, np.inf), np.nextafter(self.high, -np.inf)))
            return bool((np.abs(z) > 9).any())
        edge = self.low if self.low is not None else self.high
        return edge is not None and bool((np.abs(value - edge) < 1e-6 * (1 + abs(edge))).any())


def transform_of(name: str, start: Any, bounds: tuple[float | None, float | None] | None, scale: str | None) -> Transform:
    """The transform for declared bounds and scale; refuses a start outside them."""
    low, high = bounds or (None, None)
    value = np.asarray(start, float)
    if (low is not None and (value <= low).any()) or (high is not None and (value >= high).any()):
        raise FitError(
            f"The start value {start} of '{name}' is not inside its bounds ({low}, {high}). Give another one: "
            f'sci.fit(..., params={{"{name}": ...}}), or widen the bounds.'
        )
    both = low is not None and high is not None
    log = scale == "log" or (both and low > 0 and high / low >= 100 and scale is None)  # type: ignore[operator]
    if log and low is not None and low <= 0:
        log = False  # a log scale cannot reach zero; the bounds are what counts
    if log and not both and low is None and high is None and (value <= 0).any():
        raise FitError(f"'{name}' has scale=\"log\" and the start value {start}. Give a positive one.")
    return Transform(low, high, bool(log))
