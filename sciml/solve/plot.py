"""Pictures of a Solution."""

from typing import TYPE_CHECKING, Any

import numpy as np

from ..figure import axes

if TYPE_CHECKING:
    from .solution import Solution

_MOST_LINES = 50


def plot_solution(sol: "Solution", what: tuple, ax: Any, style: dict[str, Any]) -> Any:
    """Quantities over time, or pairs of them in the phase plane. Returns the axes."""
    ax = axes(ax)
    pairs = [w for w in what if isinstance(w, tuple)]
    if pairs:
        for x, y in pairs:
            _lines(ax, np.asarray(sol[x]), np.asarray(sol[y]), sol.label(y), style)
        ax.set_xlabel(sol.label(pairs[0][0]))
        ax.set_ylabel(sol.label(pairs[0][1]))
        return ax
    what = what or tuple(sol.quantities())
    for key in what:
        _lines(ax, np.asarray(sol.t), np.asarray(sol[key]), sol.label(key), style)
    unit = sol.system.units.get("t")
    ax.set_xlabel(f"t [{unit}]" if unit else "t")
    if len(what) == 1:
        ax.set_ylabel(sol.label(what[0]))
    else:
        ax.legend(frameon=False)
    return ax


def _lines(ax: Any, x: np.ndarray, y: np.ndarray, label: str, style: dict[str, Any]) -> None:
    """One line per component and per lane of a batch, in one colour, with one entry in the legend."""
    if y.ndim > x.ndim:  # components of an array
        y = np.moveaxis(y.reshape(*x.shape, -1), -1, 0)
        x = np.broadcast_to(x, y.shape)
    x, y = np.broadcast_arrays(x, y)
    x, y = x.reshape(-1, x.shape[-1])[:_MOST_LINES], y.reshape(-1, y.shape[-1])[:_MOST_LINES]
    (first,) = ax.plot(x[0], y[0], **{"label": label, **style})
    for xi, yi in zip(x[1:], y[1:], strict=True):
        ax.plot(xi, yi, **{**style, "color": first.get_color(), "alpha": 0.4})
