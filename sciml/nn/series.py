"""Series of samples: irregular times, unequal lengths, observations that are missing.

A `Series` says for every sample and channel whether it was observed. Padding is what follows the last observation: its
times stand still and nothing in it was observed, so that it adds nothing to any integral.
"""

from collections.abc import Iterator
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from ..errors import SolveError

_SHOWN = 3  # how many bad entries a message names


class Series(eqx.Module):
    """One series, or a batch of them along leading axes. Made by `sciml.nn.series`.

    Attributes:
        t: (..., N) times, increasing up to the last observation, and constant behind it.
        x: (..., N, channels) values; 0 where nothing was observed.
        observed: (..., N, channels) whether there is an observation.

    A batch is a pytree of arrays with equal first axes: `jax.vmap(layer)(batch)` goes over its series, and `batch[0]` is the first one.
    """

    t: Any
    x: Any
    observed: Any

    @property
    def channels(self) -> int:
        """How many numbers a sample has."""
        return self.x.shape[-1]

    @property
    def length(self) -> Any:
        """(...) samples up to the last one with an observation."""
        return _length(self.observed)

    def __getitem__(self, index: Any) -> "Series":
        """Of a batch: one series, or some of them."""
        if np.ndim(self.t) < 2:
            raise SolveError("This is one series, not a batch of them: there is nothing to index. Its samples are series.t and series.x.")
        return Series(self.t[index], self.x[index], self.observed[index])

    def __len__(self) -> int:
        """Of a batch: how many series."""
        if np.ndim(self.t) < 2:
            raise SolveError("This is one series, not a batch of them. How many samples it has is series.length.")
        return self.t.shape[0]

    def __iter__(self) -> Iterator["Series"]:
        return (self[i] for i in range(len(self)))

    def moments(self) -> tuple[Any, Any]:
        """(mean, deviation) of each channel over all that was observed; a channel without spread has deviation 1."""
        axes = tuple(range(self.x.ndim - 1))
        seen = self.observed.astype(self.x.dtype)
        count = jnp.maximum(seen.sum(axes), 1)
        mean = (seen * self.x).sum(axes) / count
        away = jnp.where(self.observed, self.x - jnp.broadcast_to(mean, self.x.shape), 0)
        deviation = jnp.sqrt((away**2).sum(axes) / count)
        return mean, jnp.where(deviation > 0, deviation, 1)

    def standardised(self, moments: tuple[Any, Any] | None = None) -> "Series":
        """The series with each channel shifted and scaled by `moments`, its own if left out. Test data take those of the training data."""
        mean, deviation = (jnp.broadcast_to(m, self.x.shape) for m in (self.moments() if moments is None else moments))
        return Series(self.t, jnp.where(self.observed, (self.x - mean) / deviation, 0), self.observed)

    def dropped(self, fraction: float, key: Any, *, what: str = "samples") -> "Series":
        """A batch with a random part of it gone, for tests of how much a model needs.

        Args:
            fraction: between 0 and 1.
            key: `jax.random.key(...)`.
            what: "samples" takes whole samples out of each series (two stay at least); the series become shorter and irregular.
                "values" hides single observations.

        >>> import jax, numpy as np, sciml as sci
        >>> batch = sci.nn.series(None, np.ones((4, 10, 3)))
        >>> batch.dropped(0.7, jax.random.key(0)).x.shape
        (4, 3, 3)
        """
        if not 0 <= fraction < 1:
            raise SolveError(f"fraction={fraction!r}: give the part to drop, at least 0 and below 1, such as batch.dropped(0.3, key).")
        if what == "values":
            hidden = jax.random.uniform(key, self.observed.shape) < fraction
            return _made(self.t, self.x, self.observed & ~hidden)
        if what != "samples":
            raise SolveError(f'what={what!r}: write batch.dropped({fraction}, key, what="samples"), or what="values".')
        return _thinned(self, fraction, key)


def series(times: Any, values: Any, mask: Any = None, missing: str = "error") -> Series:
    """Checks series and brings them into one form.

    Args:
        times: (N,) of one series or shared by all, (batch, N), or a list with one array for each series. None numbers the samples 0, 1, 2, ...
        values: (N, channels) is one series, (batch, N, channels) a batch. A list of arrays (n_i, channels) of unequal length becomes a
            batch, padded to the longest.
        mask: what was observed, in the shape of `values` or without its last axis; in a list where `values` is a list. Samples
            behind the last observation are padding.
        missing: "error" refuses NaN, "allowed" takes it as not observed.

    Returns:
        A `Series`.

    Raises:
        SolveError: unequal lengths, times that do not increase, NaN, shapes that do not fit.

    >>> import numpy as np, sciml as sci
    >>> two = sci.nn.series([[0.0, 0.4, 1.0], [0.0, 2.0]], [np.ones((3, 2)), np.zeros((2, 2))])
    >>> two.x.shape, two.length.tolist(), two.t[1].tolist()
    ((2, 3, 2), [3, 2], [0.0, 2.0, 2.0])
    """
    if missing not in ("error", "allowed"):
        raise SolveError(f'missing={missing!r}: write missing="error", or missing="allowed" where NaN means not observed.')
    if is_list_of_series(values):
        times, values, mask = _padded(times, list(values), mask)
    x = _numbers(values, "values")
    if x.ndim not in (2, 3):
        raise SolveError(
            f"values has shape {x.shape}: one series is (samples, channels), a batch (series, samples, channels). "
            + (f"Write values[:, None] for a series of {x.shape[0]} samples with one channel." if x.ndim == 1 else "")
        )
    t = _times(times, x)
    seen = _mask(mask, x)
    _check_values(x, seen, missing)
    seen = seen & ~np.isnan(x)
    _check_nonempty(seen)
    _check_increasing(t, np.asarray(_length(seen)))
    made = _made(t, x, seen)  # in NumPy: nothing is compiled for a new shape
    return Series(jnp.asarray(made.t, float), jnp.asarray(made.x, float), jnp.asarray(seen))


def one_series(first: Any, x: Any, mask: Any, *, channels: int, layer: str) -> Series:
    """What a layer was called with, `layer(series)` or `layer(t, x, mask)`, as one Series of the right width."""
    if isinstance(first, Series):
        if x is not None or mask is not None:
            raise SolveError(f"A Series holds its times, values and mask: write {layer}(series) with nothing else.")
        found = first
    else:
        found = _from_arrays(first, x, mask, layer)
    if found.t.ndim != 1:
        raise SolveError(f"{layer} takes one series, and this is a batch of {found.t.shape[0]}. Write jax.vmap({layer})(batch).")
    if found.channels != channels:
        raise SolveError(f"{layer} was made for {channels} channels, and the series has {found.channels}. Make it with {found.channels} channels.")
    return found


def is_list_of_series(values: Any) -> bool:
    """A list whose entries are series themselves, or an array of objects as packages of data give it."""
    if isinstance(values, np.ndarray):
        return values.dtype == object
    return isinstance(values, list | tuple) and len(values) > 0 and any(np.ndim(v) == 2 for v in values if hasattr(v, "ndim"))


def _from_arrays(t: Any, x: Any, mask: Any, layer: str) -> Series:
    if x is None:
        raise SolveError(f"{layer} needs times and values: write {layer}(t, x), or {layer}(series) with series = sci.nn.series(t, x).")
    if is_list_of_series(x) or is_list_of_series(t):
        raise SolveError(
            f"{layer} was given a list of series, which may have unequal lengths. Pad them and mark the padding: "
            f"batch = sci.nn.series(times, values); jax.vmap({layer})(batch)."
        )
    if not any(isinstance(a, jax.core.Tracer) for a in (t, x, mask)):
        return series(t, x, mask)
    # Inside a transformation the numbers are not known: shapes are checked, values cannot be.
    x = jnp.asarray(x, float)
    if x.ndim != 2 or (t is not None and np.shape(t) != x.shape[:1]):
        raise SolveError(f"{layer} takes t of shape (samples,) and x of shape (samples, channels), not {np.shape(t)} and {x.shape}.")
    t = jnp.arange(x.shape[0], dtype=x.dtype) if t is None else jnp.asarray(t, x.dtype)
    return _made(t, x, jnp.asarray(_mask(mask, x)))


def _made(t: Any, x: Any, seen: Any) -> Series:
    """Times that stand still behind the last observation, zeros where nothing was observed."""
    xp = np if isinstance(seen, np.ndarray) else jnp
    last = xp.maximum(_length(seen) - 1, 0)
    end = xp.take_along_axis(t, last[..., None], axis=-1)
    inside = xp.arange(t.shape[-1], dtype=last.dtype).reshape((1,) * last.ndim + (-1,)) <= last[..., None]
    return Series(xp.where(inside, t, end), xp.where(seen, x, xp.zeros_like(x)), seen)


def _length(seen: Any) -> Any:
    xp = np if isinstance(seen, np.ndarray) else jnp
    samples = xp.any(seen, axis=-1)
    count = xp.arange(1, samples.shape[-1] + 1, dtype=np.int32).reshape((1,) * (samples.ndim - 1) + (-1,))
    return xp.max(xp.where(samples, count, 0), axis=-1)


def _thinned(batch: Series, fraction: float, key: Any) -> Series:
    """Samples that stay are moved to the front, in their order."""
    if batch.t.ndim != 2:
        raise SolveError("dropped(...) works on a batch of series: make one with sci.nn.series(times, values), where values has three axes.")
    length = np.asarray(batch.length)
    lots = np.array(jax.random.uniform(key, batch.t.shape))
    t, x, seen = (np.asarray(a) for a in (batch.t, batch.x, batch.observed))
    keep = np.maximum(np.ceil((1 - fraction) * length - 1e-9).astype(int), np.minimum(length, 2))
    chosen = [np.sort(np.argsort(lots[i, :n])[:k]) for i, (n, k) in enumerate(zip(length, keep, strict=True))]
    return series([t[i, c] for i, c in enumerate(chosen)], [x[i, c] for i, c in enumerate(chosen)], [seen[i, c] for i, c in enumerate(chosen)])


def _padded(times: Any, values: list[Any], mask: Any) -> tuple[Any, np.ndarray, np.ndarray]:
    """Series of unequal length as one array, and the mask that tells the padding."""
    arrays = [_numbers(v, f"values[{i}]") for i, v in enumerate(values)]
    for i, a in enumerate(arrays):
        if a.ndim != 2:
            raise SolveError(
                f"values[{i}] has shape {a.shape}: each series of a list is (samples, channels). Write values[{i}][:, None] for one channel."
            )
        if a.shape[1] != arrays[0].shape[1]:
            hint = (
                " The first axis of each is the samples: transpose series that come as (channels, samples)."
                if a.shape[0] == arrays[0].shape[0]
                else ""
            )
            raise SolveError(
                f"values[0] has {arrays[0].shape[1]} channels and values[{i}] has {a.shape[1]}: all series of a batch have the same.{hint}"
            )
    longest = max(len(a) for a in arrays)
    x, seen = np.zeros((len(arrays), longest, arrays[0].shape[1])), np.zeros((len(arrays), longest, arrays[0].shape[1]), bool)
    t = np.zeros((len(arrays), longest))
    own_times = _listed(times, len(arrays), [len(a) for a in arrays], "times")
    own_masks = _listed(mask, len(arrays), [len(a) for a in arrays], "mask")
    for i, a in enumerate(arrays):
        n = len(a)
        x[i, :n], seen[i, :n] = a, _mask(own_masks[i], a)
        own = np.arange(n, dtype=float) if own_times[i] is None else _numbers(own_times[i], f"times[{i}]")
        if own.shape != (n,):
            raise SolveError(f"times[{i}] has shape {own.shape} and values[{i}] has {n} samples: give one time for each, of shape ({n},).")
        t[i, :n], t[i, n:] = own, own[-1] if n else 0.0
    return t, x, seen


def _listed(given: Any, count: int, lengths: list[int], word: str) -> list[Any]:
    """One entry for each series; an array that all share is dealt to all of them."""
    if given is None:
        return [None] * count
    if len(given) and all(not isinstance(v, list | tuple) and np.ndim(v) == 0 for v in given):
        if len(set(lengths)) > 1:
            raise SolveError(
                f"The series have unequal lengths ({min(lengths)} to {max(lengths)} samples), and {word} is one array for all. "
                f"Give a list with one array for each series, or {word}=None."
            )
        return [given] * count
    if len(given) != count:
        raise SolveError(f"There are {count} series and {len(given)} {word}: give a list with one array for each series.")
    return list(given)


def _numbers(values: Any, word: str) -> np.ndarray:
    try:
        return np.asarray(values, float)
    except (TypeError, ValueError):
        lengths = sorted({len(v) for v in values if hasattr(v, "__len__")}) if isinstance(values, list | tuple) else []
        if len(lengths) > 1:
            raise SolveError(
                f"{word} holds series of unequal length ({lengths[0]} to {lengths[-1]} samples) without a mask. Give a list of arrays, "
                "each of shape (samples, channels): sci.nn.series(times, [np.asarray(v) for v in values])."
            ) from None
        raise SolveError(f"{word} is not an array of numbers. Give arrays of shape (samples, channels).") from None


def _times(times: Any, x: np.ndarray) -> np.ndarray:
    samples = x.shape[-2]
    if times is None:
        return np.broadcast_to(np.arange(samples, dtype=float), x.shape[:-1])
    t = _numbers(times, "times")
    if t.shape not in (x.shape[:-1], x.shape[-2:-1]):
        hint = " If values is (..., channels, samples), write np.swapaxes(values, -1, -2)." if t.shape[-1:] == x.shape[-1:] else ""
        raise SolveError(f"times has shape {t.shape} and values {x.shape}: give one time for each sample, of shape {x.shape[:-1]}.{hint}")
    return np.broadcast_to(t, x.shape[:-1])


def _mask(mask: Any, x: Any) -> Any:
    """Whether each value was observed, in the shape of the values."""
    if mask is None:
        return np.ones(x.shape, bool)
    if not isinstance(mask, jax.core.Tracer):
        mask = np.asarray(mask)
    if mask.dtype != bool:
        if isinstance(mask, jax.core.Tracer) or not np.isin(mask, (0, 1)).all():
            raise SolveError(f"mask is of type {mask.dtype}: it says True where there is an observation. Write mask != 0, or ~np.isnan(values).")
        mask = mask.astype(bool)
    if mask.shape not in (x.shape, x.shape[:-1]):
        raise SolveError(f"mask has shape {mask.shape} and values {x.shape}: give one of shape {x.shape[:-1]} for samples or {x.shape} for channels.")
    numpy = jnp if isinstance(mask, jax.core.Tracer) else np
    return numpy.broadcast_to(mask.reshape(*mask.shape, *(1,) * (x.ndim - mask.ndim)), x.shape)


def _check_values(x: np.ndarray, seen: np.ndarray, missing: str) -> None:
    infinite = np.argwhere(np.isinf(x) & seen)
    if len(infinite):
        raise SolveError(f"values has {len(infinite)} infinite entries, the first at {_place(infinite[0])}. Give finite numbers.")
    bad = np.argwhere(np.isnan(x) & seen)
    if len(bad) and missing == "error":
        shown = ", ".join(_place(b) for b in bad[:_SHOWN]) + (", ..." if len(bad) > _SHOWN else "")
        raise SolveError(
            f"values has {len(bad)} NaN observations, at {shown}. If NaN means that nothing was observed, write "
            'sci.nn.series(times, values, missing="allowed").'
        )


def _check_nonempty(seen: np.ndarray) -> None:
    empty = np.flatnonzero(~seen.reshape(*seen.shape[:-2], -1).any(-1))
    if len(empty):
        which = f"Series {empty[0]}" if seen.ndim == 3 else "The series"
        raise SolveError(f"{which} has no observation at all. Leave it out, or correct its mask.")


def _check_increasing(t: np.ndarray, length: np.ndarray) -> None:
    """Times up to the last observation; what is behind it is padding, whatever was written there."""
    inside = np.arange(t.shape[-1]) < length[..., None]
    if not np.isfinite(np.where(inside, t, 0)).all():
        raise SolveError(
            f"times has NaN or infinite entries, the first at {_place(np.argwhere(inside & ~np.isfinite(t))[0])}. Each sample needs a time."
        )
    wrong = np.argwhere((np.diff(t) <= 0) & inside[..., 1:])
    if len(wrong):
        *which, k = (int(i) for i in wrong[0])
        of = f"times of series {which[0]}" if which else "times"
        before, after = t[(*which, k)], t[(*which, k + 1)]
        cure = "order = np.argsort(times); times, values = times[order], values[order]"
        raise SolveError(
            f"The {of} must increase: entry {k + 1} is {after:g} after {before:g}. Sort them ({cure}), and keep one sample of each time."
        )


def _place(index: Any) -> str:
    return "[" + ", ".join(str(int(i)) for i in index) + "]"
