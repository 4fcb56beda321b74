"""Pictures of a Solution.

one solve    a line for each quantity
a batch      thin lines of one colour, at most 100 of them; over one axis of numbers they are coloured by it
many paths   median and 5 to 95 % band over the paths
a field      see plot_fields.py
"""

import itertools
import warnings
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import SolveError
from ..figure import axes
from .plot_fields import everything, fields_alone, plot_fields

if TYPE_CHECKING:
    from .solution import Solution

_MOST_LINES, _MOST_BANDS, _MOST_NAMED = 100, 5, 6
_MANY_PATHS = 20
_BAND, _BAND_NAME = (0.05, 0.95), "median, 5 to 95 %"


def plot_solution(sol: "Solution", what: tuple, ax: Any, style: dict[str, Any], kind: str = "auto", at: Any = None, lane: Any = None) -> Any:
    """Quantities over time, pairs of them in the phase plane, or fields over space. Returns the axes."""
    what = what or everything(sol)
    if fields_alone(sol, what):
        return plot_fields(sol, what, ax, kind, at, lane, style)
    if kind != "auto" or at is not None or lane is not None:
        raise SolveError("kind=, at= and lane= are for fields over space. For a quantity of time alone leave them out: sol.plot(x).")
    ax = axes(ax)
    pairs = [w for w in what if isinstance(w, tuple)]
    if pairs:
        for x, y in pairs:
            _lines(ax, sol, _real(sol._series(x)), _real(sol._series(y)), sol.label(y), style, alone=len(what) == 1)
        ax.set_xlabel(sol.label(pairs[0][0]))
        ax.set_ylabel(sol.label(pairs[0][1]))
        _legend(ax, what)
        return ax
    for key in what:
        draw = _bands if _has_bands(sol) else _lines
        draw(ax, sol, sol._times, _real(sol._series(key)), sol.label(key), style, alone=len(what) == 1)
    unit = sol.system.units.get("t")
    ax.set_xlabel(f"t [{unit}]" if unit else "t")
    if len(what) == 1:
        ax.set_ylabel(sol.label(what[0]))
    _legend(ax, what)
    return ax


def _real(values: np.ndarray) -> np.ndarray:
    """Complex numbers by their size; those that are real up to rounding as they are."""
    if not np.iscomplexobj(values):
        return values
    small = np.nanmax(np.abs(values.imag), initial=0.0) <= 1e-6 * np.nanmax(np.abs(values.real), initial=0.0)
    return values.real if small else np.abs(values)


def _legend(ax: Any, what: tuple) -> None:
    """One where there is more than one quantity, lane or line of a band."""
    names = ax.get_legend_handles_labels()[1]
    over_time = not any(isinstance(w, tuple) for w in what)
    if (over_time and len(what) > 1) or (len(names) > 1 and len(what) == 1) or any(_BAND_NAME in n for n in names):
        ax.legend(frameon=False)


def _lines(ax: Any, sol: "Solution", x: np.ndarray, y: np.ndarray, label: str, style: dict[str, Any], alone: bool) -> None:
    """One line per lane of a batch and per component."""
    batch = sol._times.shape[:-1]
    x, y = (v.reshape(*v.shape[: len(batch) + 1], -1) for v in (x, y))  # (lanes..., time, components)
    x, y = np.broadcast_arrays(x, y)
    lanes = _spread(list(np.ndindex(batch)), max(1, _MOST_LINES // y.shape[-1]))
    given = _values(sol) if alone and "color" not in style and len(lanes) > 1 else None
    if given is not None:
        _coloured(ax, x, y, lanes, given, style)
        return
    many = len(lanes) * y.shape[-1] > _MOST_NAMED
    own = {**({"lw": 0.7} if many else {}), "label": label, **style}
    for lane, component in itertools.product(lanes, range(y.shape[-1])):
        (line,) = ax.plot(x[lane][:, component], y[lane][:, component], **own)
        own = {**({"lw": 0.7, "alpha": 0.5} if many else {}), **style, "color": line.get_color()}  # one name for all


def _coloured(ax: Any, x: np.ndarray, y: np.ndarray, lanes: list, given: tuple[str, np.ndarray], style: dict[str, Any]) -> None:
    """Lanes in the colour of their number; a few of them in the legend."""
    from matplotlib import colormaps

    name, values = given
    low, high = float(np.min(values)), float(np.max(values))
    named = set(_spread(lanes, _MOST_NAMED))
    for lane in lanes:
        color = colormaps["viridis"](0.9 * (float(values[lane]) - low) / (high - low or 1.0))
        lines = ax.plot(x[lane], y[lane], **{"lw": 1.2 if len(lanes) <= _MOST_NAMED else 0.7, "color": color, **style})
        if lane in named and "label" not in style:
            lines[0].set_label(f"{name} = {float(values[lane]):.4g}")


def _values(sol: "Solution") -> tuple[str, np.ndarray] | None:
    """The name and the numbers along the axis of a batch that has only one, if they are numbers."""
    if len(sol.axes) != 1:
        return None
    (axis,), (over,) = sol.axes, sol._along()
    value = sol._given(over[0]) if len(over) == 1 else None
    return (axis, value) if value is not None and value.ndim == 1 and value.min() < value.max() else None


def _has_bands(sol: "Solution") -> bool:
    """Whether there are many paths of not too many lanes, at times that all share."""
    batch = sol._times.shape[:-1]
    named = bool(batch) and sol.axes[-1] == "path" and batch[-1] >= _MANY_PATHS
    return named and np.prod(batch[:-1], dtype=int) <= _MOST_BANDS and sol._program.options.saving != "steps"


def _bands(ax: Any, sol: "Solution", x: np.ndarray, y: np.ndarray, label: str, style: dict[str, Any], alone: bool) -> None:
    """Median and band over the paths, for each lane and component."""
    lanes = x.shape[:-2]
    y = y.reshape(*x.shape, -1)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # a time that no path reached
        low, middle, high = np.nanquantile(y, [_BAND[0], 0.5, _BAND[1]], axis=len(lanes))
        x = np.nanmax(x, axis=len(lanes))
    for lane, component in itertools.product(np.ndindex(lanes), range(y.shape[-1])):
        given = {k: v for k, v in sol.lane((*lane, 0)).items() if k != "path" and np.ndim(v) == 0}
        told = ", ".join(([] if alone and given else [label]) + [f"{k} = {v:.4g}" for k, v in given.items()])
        own = {"label": f"{told}: {_BAND_NAME}" if component == 0 else None, **style}
        (line,) = ax.plot(x[lane], middle[lane][:, component], **own)
        ax.fill_between(x[lane], low[lane][:, component], high[lane][:, component], color=line.get_color(), alpha=0.2, lw=0)


def _spread(items: list, most: int) -> list:
    """At most so many of the items, evenly spread, both ends included."""
    if len(items) <= most:
        return items
    return [items[i] for i in np.linspace(0, len(items) - 1, most).round().astype(int)]
