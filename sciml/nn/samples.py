"""What a network that goes from sample to sample needs of a series: the time since the last sample, and inputs without gaps."""

from typing import Any, NamedTuple

import equinox as eqx
import jax.numpy as jnp
import numpy as np

from ..errors import ModelError, SolveError
from .series import Series


class Last(NamedTuple):
    """What a network remembers of the samples so far.

    Attributes:
        t: the time of the last sample that is there.
        x: (channels,) the last value of each channel, 0 before its first.
        any: whether there was a sample.
    """

    t: Any
    x: Any
    any: Any


class Sample(NamedTuple):
    """One sample.

    Attributes:
        elapsed: time since the last sample that is there; 0 where there is none.
        present: whether anything was observed.
        x: (channels,); where a channel was not observed its last value.
    """

    elapsed: Any
    present: Any
    x: Any


def rows(series: Series) -> tuple[Any, Any, Any]:
    """What a scan goes over: times, values, observed."""
    return jnp.asarray(series.t, float), jnp.asarray(series.x, float), series.observed


def nothing(channels: int) -> Last:
    """Before the first sample."""
    return Last(jnp.zeros(()), jnp.zeros(channels), jnp.asarray(False))


def following(last: Last, row: Any, first: Any) -> tuple[Last, Sample]:
    """The next sample. `first` counts as elapsed before the first one."""
    t, x, observed = row
    present = jnp.any(observed)
    gap = jnp.where(last.any, t - last.t, jnp.asarray(first, t.dtype))
    x = jnp.where(observed, x, last.x)
    return Last(jnp.where(present, t, last.t), x, last.any | present), Sample(jnp.where(present, gap, 0), present, x)


def checked_first(first: Any) -> float:
    """The time before the first sample, a number that is not negative."""
    if isinstance(first, bool) or not isinstance(first, int | float) or not 0 <= first < float("inf"):
        raise ModelError(f"first={first!r}: give the time that counts as elapsed before the first sample, such as first=1.0.")
    return float(first)


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


def check_saveat(saveat: Any) -> None:
    """Refuses what is neither of the two words."""
    if saveat not in ("end", "samples"):
        raise SolveError(f'saveat={saveat!r}: write saveat="end" for the outputs after the last sample, or saveat="samples" for all.')


def start_state(initial: Any, units: int, layer: str) -> Any:
    """The state before the first sample."""
    if initial is None:
        return jnp.zeros(units)
    if np.shape(initial) != (units,):
        raise SolveError(
            f"initial has shape {np.shape(initial)}, and this {layer} has {units} neurons: give one number for each, of shape ({units},)."
        )
    return jnp.asarray(initial, float)
