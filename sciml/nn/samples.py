"""What a network that goes from sample to sample needs of a series: the time since the last sample, and inputs without gaps."""

from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp

from ..errors import ModelError
from .series import Series


class Samples(NamedTuple):
    """One row per sample.

    Attributes:
        elapsed: (N,) time since the last sample that is there; 0 where there is none.
        present: (N,) whether anything was observed.
        x: (N, channels); where a channel was not observed its last value, 0 before its first.
    """

    elapsed: Any
    present: Any
    x: Any


def samples(series: Series, first: Any) -> Samples:
    """The rows of one series. `first` counts as elapsed before the first sample."""
    t = jnp.asarray(series.t, float)
    n = t.shape[0]
    row = jnp.arange(n, dtype=jnp.int32)
    present = jnp.any(series.observed, axis=1)
    here = jax.lax.cummax(jnp.where(present, row, -1))
    before = jnp.concatenate([jnp.full(1, -1, here.dtype), here[:-1]])  # the last sample that is there before each row
    gap = jnp.where(before >= 0, t - t[jnp.maximum(before, 0)], jnp.asarray(first, t.dtype))
    last = jax.lax.cummax(jnp.where(series.observed, row[:, None], -1))
    x = jnp.take_along_axis(jnp.asarray(series.x, float), jnp.maximum(last, 0), axis=0)
    return Samples(jnp.where(present, gap, 0), present, jnp.where(last >= 0, x, 0))


class Affine(eqx.Module):
    """A scale and a shift for each number, trained; at the start it changes nothing."""

    scale: Any
    shift: Any

    def __init__(self, size: int):
        self.scale, self.shift = jnp.ones(size), jnp.zeros(size)

    def __call__(self, x: Any) -> Any:
        return x * self.scale + self.shift


def readout(neurons: int, outputs: Any, key: Any) -> Any:
    """From the motor neurons to the outputs: a scale and a shift for each, or a matrix where their number was asked for."""
    if outputs is None:
        return Affine(neurons)
    if not isinstance(outputs, int) or isinstance(outputs, bool) or outputs < 1:
        raise ModelError(f"outputs={outputs!r}: give a whole number, 1 or more, or leave it out for the motor neurons themselves.")
    return eqx.nn.Linear(neurons, outputs, key=key)


def column(affine: Affine, x: Any) -> Any:
    """The scale and shift on every row of (N, channels)."""
    return x * affine.scale[None, :] + affine.shift[None, :]
