"""Control paths: a series of samples as a path in continuous time, which a controlled differential equation follows.

| kind          | between two samples                             | depends on the samples       | where an observation is missing          |
|---------------|-------------------------------------------------|------------------------------|------------------------------------------|
| "hermite"     | cubic, slopes by backward differences           | up to the next one           | the cubic between its neighbours         |
| "cubic"       | natural spline, two continuous derivatives      | all                          | the spline through the others            |
| "linear"      | straight lines                                  | up to the next one           | the line between its neighbours          |
| "rectilinear" | the time moves, then the values                 | up to the last one (online)  | the last value is held                   |

Before the first and behind the last observation of a channel its value is held; in "rectilinear" it is 0 before the first.
Morrill, Kidger, Yang and Lyons, Neural controlled differential equations for online prediction tasks (2021), arXiv:2106.11028,
compares the four. All of them are cubics on intervals, each written in u from 0 to 1.
"""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from ..errors import ModelError, nearest
from .series import Series


class ControlPath(eqx.Module):
    """A path through samples, a polynomial between each two knots. Made by `sciml.nn.control_path`.

    Attributes:
        knots: (K,) where the pieces meet: the times of the samples; for "rectilinear" the numbers 0, 1, 2, ...
        pieces: (K - 1, degree + 1, width) coefficients of 1, u, u^2, u^3, where u goes from 0 to 1 on each interval.
        kinked: whether the derivative jumps at knots.
    """

    knots: Any
    pieces: Any
    kinked: bool = eqx.field(static=True)

    @property
    def width(self) -> int:
        """How many numbers the path has: time, channels, and counts of observations where asked for."""
        return self.pieces.shape[-1]

    def evaluate(self, t: Any) -> Any:
        """(width,) the path at a time; outside it stands still."""
        i, u, _ = self._inside(t)
        return _horner(jnp.asarray(self.pieces)[i], u)

    def derivative(self, t: Any) -> Any:
        """(width,) the derivative by the time, from the right at knots (at the last one from the left); 0 outside."""
        i, u, h = self._inside(t)
        slope = rate(jnp.asarray(self.pieces)[i], u) / h
        return jnp.where((t >= self.knots[0]) & (t <= self.knots[-1]), slope, 0)

    def eased(self) -> "ControlPath":
        """The same curve without kinks in time: straight pieces are begun and ended at rest.

        What follows a path does not depend on how fast it is run through, so at the knots nothing changes, and a solver that chooses its
        steps need not be told where the kinks are.
        """
        if not self.kinked:
            return self
        start, rise = self.pieces[:, 0], self.pieces[:, 1]
        none = jnp.zeros_like(rise)
        return ControlPath(self.knots, jnp.stack([start, none, none, 10 * rise, -15 * rise, 6 * rise], axis=1), False)

    def _inside(self, t: Any) -> tuple[Any, Any, Any]:
        """(interval, u, length of the interval). Padding repeats the last knot: its intervals are passed over."""
        knots = jnp.asarray(self.knots)
        t = jnp.clip(jnp.asarray(t, knots.dtype), knots[0], knots[-1])
        last = jnp.maximum(jnp.sum(knots[1:] > knots[:-1], dtype=jnp.int32) - 1, 0)
        i = jnp.clip(jnp.searchsorted(knots, t, side="right") - 1, 0, last)
        h = knots[i + 1] - knots[i]
        h = jnp.where(h > 0, h, 1)
        return i, (t - knots[i]) / h, h


def control_path(series: Series, kind: str = "hermite", *, time: bool = True, intensity: bool = False, integral: bool = False) -> ControlPath:
    """The path through one series. A batch goes through `jax.vmap`.

    Args:
        series: of `sciml.nn.series`.
        kind: "hermite", "cubic", "linear" or "rectilinear".
        time: the time is the first channel of the path. Without it the path does not say how fast it is run through.
        intensity: for every channel one more, which counts its observations: when something was measured may tell as much as
            what was (Che et al. 2018, arXiv:1606.01865).
        integral: for every channel one more, its integral over time. What follows the path then sees the values themselves, not only
            their changes, which helps where their level matters.

    Returns:
        A `ControlPath`; derivatives by the values and the times go through it.

    Raises:
        ModelError: a kind that does not exist.

    >>> import numpy as np, sciml as sci
    >>> s = sci.nn.series([0.0, 1.0, 4.0], np.array([[0.0], [2.0], [8.0]]))
    >>> path = sci.nn.control_path(s, "linear", time=False)
    >>> path.evaluate(2.5).tolist(), path.derivative(0.5).tolist()
    ([5.0], [2.0])
    """
    check_kind(kind)
    t, x, seen = channels_of(series, time, intensity, integral, kind)
    if kind == "rectilinear":
        return _rectilinear(t, x, seen, int(time))
    if kind == "linear":
        return ControlPath(t, lines(filled(t, x, seen)), True)
    slopes = _backward_slopes if kind == "hermite" else _natural_slopes
    return ControlPath(t, _cubics(t, x, seen, jax.vmap(slopes, (None, 1, 1), 1)(t, x, seen)), False)


KINDS = ("hermite", "cubic", "linear", "rectilinear")


def check_kind(kind: Any) -> None:
    """Refuses what is no kind of path."""
    if kind not in KINDS:
        raise ModelError(f"There is no control path {kind!r}. {nearest(str(kind), KINDS)}")


def path_width(channels: int, time: bool, intensity: bool, integral: bool) -> int:
    """How many numbers a path through so many channels has."""
    return int(time) + channels * (1 + intensity + integral)


def channels_of(series: Series, time: bool, intensity: bool, integral: bool, kind: str) -> tuple[Any, Any, Any]:
    """(times, values, observed) of the path: the time first, then the values, the counts of observations, the integrals."""
    t, x, seen = jnp.asarray(series.t), jnp.asarray(series.x), jnp.asarray(series.observed)
    there = (jnp.arange(t.shape[0], dtype=jnp.int32) < series.length)[:, None]
    values, observed = ([t[:, None], x], [there, seen]) if time else ([x], [seen])
    if intensity:
        values.append(jnp.cumsum(seen.astype(x.dtype), axis=0))
        observed.append(jnp.broadcast_to(there, seen.shape))
    if integral:
        values.append(_integrals(t, x, seen, kind))
        observed.append(jnp.broadcast_to(there, seen.shape))
    return t, jnp.concatenate(values, 1), jnp.concatenate(observed, 1)


def rate(piece: Any, u: Any) -> Any:
    """The derivative of a polynomial by u; `piece` is (degree + 1, width)."""
    powers = jnp.arange(1, piece.shape[0], dtype=piece.dtype)
    return _horner(piece[1:] * powers[:, None], u)


def _horner(piece: Any, u: Any) -> Any:
    value = piece[-1]
    for coefficient in piece[-2::-1]:
        value = coefficient + u * value
    return value


def lines(x: Any) -> Any:
    """Straight pieces between rows of values."""
    return jnp.stack([x[:-1], x[1:] - x[:-1]], axis=1)


# -- neighbours of a channel ---------------------------------------------------------------


def _integrals(t: Any, x: Any, seen: Any, kind: str) -> Any:
    """Of the straight lines between observations, or of the last value where the path is online."""
    if kind == "rectilinear":
        height = _held(x, seen)[:-1]
    else:
        lines = filled(t, x, seen)
        height = 0.5 * (lines[:-1] + lines[1:])
    return jnp.concatenate([jnp.zeros_like(x[:1]), jnp.cumsum(height * jnp.diff(t)[:, None], axis=0)])


def _held(x: Any, seen: Any) -> Any:
    """The last observation, 0 before the first."""
    before, _ = _neighbours(seen)
    return jnp.where(before >= 0, jnp.take_along_axis(x, jnp.maximum(before, 0), axis=0), 0)


def _neighbours(seen: Any) -> tuple[Any, Any]:
    """For each sample: the last one observed up to it (-1 if none), the first one from it on (n if none)."""
    n = seen.shape[0]
    row = jnp.arange(n, dtype=jnp.int32).reshape((n,) + (1,) * (seen.ndim - 1))
    return jax.lax.cummax(jnp.where(seen, row, -1)), jax.lax.cummin(jnp.where(seen, row, n), reverse=True)


def _divided(where: Any, a: Any, b: Any) -> Any:
    """a/b where it is asked for, 0 elsewhere. Asked by indices, not by b != 0: in a fused program x*y - x*y need not be 0."""
    return jnp.where(where, a / jnp.where(where, b, 1), 0)


def filled(t: Any, x: Any, seen: Any) -> Any:
    """Values at all samples: on the line between the neighbours, held at the ends."""

    def one(x: Any, seen: Any) -> Any:
        before, after = _neighbours(seen)
        n = x.shape[0]
        a, b = jnp.where(before < 0, after, before), jnp.where(after >= n, before, after)
        a, b = jnp.clip(a, 0, n - 1), jnp.clip(b, 0, n - 1)
        return x[a] + _divided(a < b, t - t[a], t[b] - t[a]) * (x[b] - x[a])

    return jax.vmap(one, (1, 1), 1)(x, seen)


# -- cubics ----------------------------------------------------------------------------------


def _cubics(t: Any, x: Any, seen: Any, slopes: Any) -> Any:
    """(N - 1, 4, width): on every interval the part of the cubic between the observations around it, channel by channel."""

    def one(x: Any, seen: Any, slope: Any) -> Any:
        before, after = _neighbours(seen)
        n = x.shape[0]
        p, q = before[:-1], after[1:]
        p, q = jnp.where(p < 0, q, p), jnp.where(q >= n, p, q)  # held: both neighbours are the same sample
        p, q = jnp.clip(p, 0, n - 1), jnp.clip(q, 0, n - 1)
        whole = jnp.where(p < q, t[q] - t[p], 0)
        cubic = _hermite(x[p], x[q], whole * slope[p], whole * slope[q])
        first, part = (_divided(p < q, length, whole) for length in (t[:-1] - t[p], t[1:] - t[:-1]))
        a, b, c, d = cubic  # of v = first + part*u
        value = a + first * (b + first * (c + first * d))
        return jnp.stack([value, part * (b + first * (2 * c + 3 * first * d)), part**2 * (c + 3 * first * d), part**3 * d], axis=1)

    return jax.vmap(one, (1, 1, 1), 2)(x, seen, slopes)


def _hermite(x0: Any, x1: Any, m0: Any, m1: Any) -> tuple[Any, Any, Any, Any]:
    """The cubic on [0, 1] with these end values and end slopes."""
    rise = x1 - x0
    return x0, m0, 3 * rise - 2 * m0 - m1, m0 + m1 - 2 * rise


def _gaps(t: Any, x: Any, seen: Any) -> tuple[Any, Any, Any, Any]:
    """For each sample of a channel 1/h and rise/h towards the observation before it, and towards the one behind it; 0 where there is none."""
    before, after = _neighbours(seen)
    n = x.shape[0]
    last = jnp.concatenate([jnp.full(1, -1, before.dtype), before[:-1]])
    following = jnp.concatenate([after[1:], jnp.full(1, n, after.dtype)])
    a, b = jnp.clip(last, 0, n - 1), jnp.clip(following, 0, n - 1)
    one = jnp.ones_like(t)
    back, ahead = _divided(last >= 0, one, t - t[a]), _divided(following < n, one, t[b] - t)
    return back, back * (x - x[a]), ahead, ahead * (x[b] - x)


def _backward_slopes(t: Any, x: Any, seen: Any) -> Any:
    """At each observation of a channel the slope from the one before it; at the first one that of the first interval."""
    back, slope_back, _, slope_ahead = _gaps(t, x, seen)
    return jnp.where(back != 0, slope_back, slope_ahead)


def _natural_slopes(t: Any, x: Any, seen: Any) -> Any:
    """Slopes of the natural spline through the observations of a channel: elimination in a tridiagonal matrix that skips the others."""
    back, slope_back, ahead, slope_ahead = _gaps(t, x, seen)
    diagonal = 2 * (back + ahead)
    right = 3 * (back * slope_back + ahead * slope_ahead)

    def eliminate(before: Any, row: Any) -> tuple[Any, Any]:
        ratio, value = before
        seen, below, d, above, r = row
        pivot = d - below * ratio
        pivot = jnp.where(pivot > 0, pivot, 1)  # a single observation has no interval
        now = (jnp.where(seen, above / pivot, ratio), jnp.where(seen, (r - below * value) / pivot, value))
        return now, now

    def substitute(after: Any, row: Any) -> tuple[Any, Any]:
        seen, ratio, value = row
        now = jnp.where(seen, value - ratio * after, after)
        return now, now

    zero = jnp.zeros((), x.dtype)
    _, reduced = jax.lax.scan(eliminate, (zero, zero), (seen, back, diagonal, ahead, right))
    return jax.lax.scan(substitute, zero, (seen, *reduced), reverse=True)[1]


# -- rectilinear -----------------------------------------------------------------------------


def _rectilinear(t: Any, x: Any, seen: Any, time: int) -> ControlPath:
    """Twice as many knots: at the odd ones the time has moved and the values have not."""
    held = _held(x, seen)
    moved = jnp.concatenate([held[1:, :time], held[:-1, time:]], axis=1)
    n, width = held.shape
    rows = jnp.stack([held[:-1], moved], axis=1).reshape(2 * (n - 1), width)
    rows = jnp.concatenate([rows, held[-1:]])
    return ControlPath(jnp.arange(2 * n - 1, dtype=x.dtype), lines(rows), True)


def samples_at(kind: str, samples: int) -> np.ndarray:
    """The knots at which the path has just seen a sample."""
    return np.arange(samples) * (2 if kind == "rectilinear" else 1)
