"""Pictures of fields: what a quantity over space looks like.

one coordinate    an image over time and space, or kind="lines": profiles in the colour of their time
two coordinates   images at some times, on one scale of colours
animate           a profile or an image that moves

The cells of an image end half-way between the points, at the faces of finite volumes, and at the sides; on a periodic coordinate
the last point stands at both sides. What is above and below zero has white at zero.
"""

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import sympy as sp

from ..errors import SolveError
from ..passes.discretize import Axis
from ..symbols import declaration_of
from ..system import name_of

if TYPE_CHECKING:
    from .solution import Solution

_PROFILES, _IMAGES, _ACROSS, _FRAMES = 6, 4, 3, 200
_SIGNED = 0.05  # the part of the largest size from which the smaller side of zero counts
_KINDS = ("auto", "image", "lines")


@dataclasses.dataclass(frozen=True, eq=False)
class FieldSeries:
    """One field over time: values (time, *points), complex ones by their size. `unit` is that of the time.

    An axis has `name`, `coordinate`, `points`, `low`, `high`, `length`, `periodic` and `kind`.
    """

    title: str
    axes: tuple[Any, ...]
    times: np.ndarray
    values: np.ndarray
    unit: str | None

    def title_at(self, row: Any) -> str:
        """The title at one time; a state at rest has none."""
        at_rest = len(self.times) == 1 and self.times[0] == 0
        return self.title if at_rest else f"{self.title}, {self.told(self.times[row])}"

    def told(self, time: Any) -> str:
        """A time in words."""
        return f"t = {time:.4g}" + (f" {self.unit}" if self.unit else "")


# -- which quantities are fields ----------------------------------------------------------------


def axes_of(sol: "Solution", key: Any) -> tuple[Axis, ...]:
    """The axes of space that a quantity runs over; none for what is a number at each time."""
    grid = sol.model.reduced.grid
    if grid is None or isinstance(key, tuple):
        return ()
    over = grid.coordinates_of_name(key) if isinstance(key, str) else grid.coordinates_of(grid.named(key))
    return tuple(grid.axes[c.name] for c in over)


def everything(sol: "Solution") -> tuple[Any, ...]:
    """What a picture shows if nothing is named: the quantities of time alone, else the fields."""
    names = sol.quantities()
    grid = sol.model.reduced.grid
    if grid is None:
        return tuple(names)
    return tuple(n for n in names if not axes_of(sol, n)) or fields_of(sol)


def fields_of(sol: "Solution") -> tuple[str, ...]:
    """The fields and observed quantities over space, by name; complex fields as they were declared."""
    grid = sol.model.reduced.grid
    if grid is None:
        return ()
    declared = [n for n, s in grid.declared.symbols.items() if declaration_of(s).kind == "field"]
    return (*declared, *(n for n in grid.declared.observed if axes_of(sol, n)))


def fields_alone(sol: "Solution", what: tuple) -> bool:
    """Whether all that is to be drawn are fields; refuses a mixture."""
    held = [key for key in what if axes_of(sol, key)]
    inside = [part for key in what if isinstance(key, tuple) for part in key if axes_of(sol, part)]
    if inside:
        raise SolveError(f"{_name(inside[0])} runs over space, and the phase plane is for quantities of time alone: take it at a place, sci.at(...).")
    if held and len(held) < len(what):
        other = next(key for key in what if not axes_of(sol, key))
        raise SolveError(
            f"{_name(held[0])} runs over {_names(axes_of(sol, held[0]))} and {_name(other)} does not: they cannot share axes. "
            "Draw them one by one, or take the field at a place, sci.at(...)."
        )
    return bool(held)


def _name(key: Any) -> str:
    if isinstance(key, tuple):
        return f"({', '.join(map(_name, key))})"
    return repr(key) if isinstance(key, str) else name_of(key) if declaration_of(key) is not None else str(key)


def _names(axes: tuple[Axis, ...]) -> str:
    return " and ".join(a.name for a in axes)


# -- pictures -----------------------------------------------------------------------------------


def plot_fields(sol: "Solution", what: tuple, ax: Any, kind: str, at: Any, lane: Any, style: dict[str, Any]) -> Any:
    """One picture for each field. Returns the axes, an array of them if there are several."""
    checked_kind(kind)
    given = [_series(sol, key, lane, at) for key in what]
    return draw_fields(given, [_name(key) for key in what], ax, kind, at is not None, style)


def checked_kind(kind: str) -> None:
    """Refuses a kind of picture that does not exist."""
    if kind not in _KINDS:
        raise SolveError(f"kind={kind!r}: write one of {', '.join(map(repr, _KINDS))}.")


def draw_fields(given: list[FieldSeries], names: list[str], ax: Any, kind: str, chosen: bool, style: dict[str, Any]) -> Any:
    """One picture for each series; `chosen`: all of its times are to be shown."""
    kinds = [_kind(s, name, kind, chosen) for s, name in zip(given, names, strict=True)]
    flat = [s for s, k in zip(given, kinds, strict=True) if k == "map"]
    alone = len(flat) == len(given)
    shown = [_spread(s.times, len(s.times) if chosen else _IMAGES if alone else 1) for s in flat]
    columns = len(shown[0]) if alone and len(shown[0]) > 1 else 0
    count = columns * len(given) if columns else len(given)
    panels = _panels(ax, count, columns, flat[0].axes if alone else None)
    if columns:
        for series, times, row in zip(given, shown, panels, strict=True):
            _maps(row, series, times, style)
        for panel in panels.flat:
            panel.label_outer()
            panel.locator_params(axis="x", nbins=3 if columns > 2 else 4)
    else:
        for series, k, panel in zip(given, kinds, panels.flat, strict=False):
            if k == "map":
                _maps(np.array([panel]), series, _spread(series.times, 1), style)
            elif k == "lines":
                _profiles(panel, series, style, chosen)
            else:
                _over_time(panel, series, style)
        for panel in panels.flat[len(given) :]:
            panel.remove()
    return panels.flat[0] if count == 1 else panels if columns else panels.reshape(-1)[: len(given)]


def _kind(series: FieldSeries, name: str, kind: str, chosen: bool) -> str:
    """lines, image (over time and x) or map (over x and y)."""
    if len(series.axes) > 2:
        last = series.axes[-1]
        raise SolveError(f"{name} runs over {_names(series.axes)}: draw a slice, sol.plot(sci.at({name}, {last.name}, {last.low:g})).")
    if len(series.axes) == 2:
        if kind == "lines":
            raise SolveError(f'{name} runs over {_names(series.axes)}, and kind="lines" draws over one coordinate. Leave it out.')
        return "map"
    return "lines" if kind == "lines" or chosen or len(series.times) == 1 else "image"


def _series(sol: "Solution", key: Any, lane: Any, at: Any) -> FieldSeries:
    """The numbers of one field, in one lane, at all saved times or at those that are asked for."""
    if at is not None and sol._dense is not None:
        sol, at = sol(np.sort(np.atleast_1d(np.asarray(at, float)))), None
    batch = sol._flat.ndim - 1
    lane = () if lane is None else lane if isinstance(lane, tuple) else (lane,)
    if len(lane) != batch:
        zeros = "0" if batch == 1 else str((0,) * batch)
        cure = f"sol.plot({_name(key)}, lane={zeros})" if batch else "leave out lane="
        raise SolveError(f"This Solution has the batch axes {sol.axes}, and a picture of a field shows one lane: {cure}.")
    grid = sol.model.reduced.grid
    named = grid.named(key)
    times, values = np.asarray(sol._times)[lane], sol._series(key)[lane]
    reached = np.isfinite(times)
    values = values[reached]
    label = sol.label(named if isinstance(named, sp.Basic) and not (isinstance(key, str) and key in sol.model.reduced.observed) else key)
    label = f"|{label}|" if np.iscomplexobj(values) else label
    d = declaration_of(named) if isinstance(named, sp.Basic) else None
    values = np.abs(values) if np.iscomplexobj(values) else values
    if not np.isfinite(values).any():
        raise SolveError(f"{_name(key)} has no finite value to draw: sol.status says why.")
    times = times[reached]
    if at is not None:
        rows = nearest_rows(times, at)
        times, values = times[rows], values[rows]
    title = f"{label} [{d.unit}]" if d is not None and d.unit else label
    return FieldSeries(title, axes_of(sol, key), times, values, sol.system.units.get("t"))


def _spread(times: np.ndarray, most: int) -> np.ndarray:
    """Some rows, evenly spread; the last is one of them."""
    count, last = min(most, len(times)), len(times) - 1
    return np.linspace(0, last, count).round().astype(int) if count > 1 else np.array([last])


def nearest_rows(times: np.ndarray, at: Any) -> np.ndarray:
    """The rows nearest to the times that are asked for."""
    wanted = np.sort(np.atleast_1d(np.asarray(at, float)))
    low, high = min(times[0], times[-1]), max(times[0], times[-1])
    slack = 1e-6 * (high - low)
    if len(times) > 1 and (wanted[0] < low - slack or wanted[-1] > high + slack):
        raise SolveError(f"The saved times run from {low:g} to {high:g}, and at={at!r} asks for another one. Solve over a longer t_span.")
    return np.unique(np.abs(times[None, :] - wanted[:, None]).argmin(1))


def _over_time(ax: Any, series: FieldSeries, style: dict[str, Any]) -> None:
    """An image with the time from left to right."""
    (axis,) = series.axes
    edges, values = _cells(axis, series.values, 1)
    image = ax.pcolormesh(_middles(series.times), edges, values.T, **{**_colours(series.values), **_own(style)})
    ax.set_xlabel(f"t [{series.unit}]" if series.unit else "t")
    ax.set_ylabel(_axis_label(axis))
    ax.set_title(series.title)
    ax.grid(False)
    ax.figure.colorbar(image, ax=ax)


def _profiles(ax: Any, series: FieldSeries, style: dict[str, Any], asked: bool) -> None:
    """Lines over space, in the colour of their time."""
    from matplotlib import colormaps

    (axis,) = series.axes
    rows = _spread(series.times, len(series.times) if asked else _PROFILES)
    points, values = _closed(axis, series.values)
    for i, row in enumerate(rows):
        color = {"color": colormaps["viridis"](0.9 * i / (len(rows) - 1))} if len(rows) > 1 else {}
        ax.plot(points, values[row], **{**color, "label": series.told(series.times[row]), **style})
    ax.set_xlabel(_axis_label(axis))
    ax.set_title(series.title if len(rows) > 1 else series.title_at(rows[0]))
    if len(rows) > 1:
        ax.legend(frameon=False)


def _maps(row: np.ndarray, series: FieldSeries, times: np.ndarray, style: dict[str, Any]) -> None:
    """Images over two coordinates at some times, one scale for all."""
    colours = _colours(series.values[times])
    for ax, i in zip(row, times, strict=True):
        image = _map(ax, series, series.values[i], {**colours, **style})
        ax.set_title(series.title_at(i))
    row[0].figure.colorbar(image, ax=list(row), shrink=0.9)


def _map(ax: Any, series: FieldSeries, values: np.ndarray, style: dict[str, Any]) -> Any:
    across, up = series.axes
    right, values = _cells(across, values, 0)
    top, values = _cells(up, values, 1)
    image = ax.pcolormesh(right, top, values.T, **_own(style))
    ax.set_xlabel(_axis_label(across))
    ax.set_ylabel(_axis_label(up))
    ax.grid(False)
    if _same_scale(across, up):
        ax.set_aspect("equal")
    return image


# -- a picture that moves -----------------------------------------------------------------------


def animate_fields(sol: "Solution", what: tuple, path: Any, fps: int, lane: Any, style: dict[str, Any]) -> Any:
    """A matplotlib animation of fields over one or two coordinates, written to a file if a path is given."""
    what = what or fields_of(sol)[:1]
    if not what:
        raise SolveError("sol.animate is for fields over space, and this System has none: sol.plot() draws its quantities over time.")
    for key in what:
        if not axes_of(sol, key):
            raise SolveError(f"{_name(key)} does not run over space: sol.plot({_name(key)}) draws it over time.")
    given = [_series(sol, key, lane, None) for key in what]
    return animate_series(given, [_name(key) for key in what], path, fps, style)


def animate_series(given: list[FieldSeries], names: list[str], path: Any, fps: int, style: dict[str, Any]) -> Any:
    """A matplotlib animation of some series."""
    from matplotlib.animation import FFMpegWriter, FuncAnimation, PillowWriter

    kinds = [_kind(s, name, "auto", False) for s, name in zip(given, names, strict=True)]
    flat = kinds.count("map") == len(kinds)
    panels = _panels(None, len(given), len(given), given[0].axes if flat else None).reshape(-1)
    parts = [(_moving_map if k == "map" else _moving_line)(ax, s, style) for ax, s, k in zip(panels, given, kinds, strict=True)]
    rows = _frames(given[0].times)

    def frame(i: int) -> list[Any]:
        return [artist for part in parts for artist in part(rows[i])]

    frame(0)
    made = FuncAnimation(panels[0].figure, frame, frames=len(rows), interval=1000 / fps, blit=False)
    if path is not None:
        pillow = Path(path).suffix.lower() in (".gif", ".webp", ".apng")
        made.save(path, writer=PillowWriter(fps=fps) if pillow else FFMpegWriter(fps=fps))
    return made


def _frames(times: np.ndarray) -> list[int]:
    """Rows of the saved times, so that equal times lie between the frames."""
    wanted = np.linspace(times[0], times[-1], min(len(times), _FRAMES))
    return [int(np.abs(times - w).argmin()) for w in wanted]


def _moving_line(ax: Any, series: FieldSeries, style: dict[str, Any]) -> Any:
    points, values = _closed(series.axes[0], series.values)
    (line,) = ax.plot(points, values[0], **style)
    low, high = float(np.nanmin(values)), float(np.nanmax(values))
    margin = 0.05 * (high - low or abs(high) or 1.0)
    ax.set_ylim(low - margin, high + margin)
    ax.set_xlabel(_axis_label(series.axes[0]))

    def show(row: int) -> list[Any]:
        line.set_ydata(values[row])
        return [line, ax.set_title(series.title_at(row))]

    return show


def _moving_map(ax: Any, series: FieldSeries, style: dict[str, Any]) -> Any:
    image = _map(ax, series, series.values[0], {**_colours(series.values), **style})
    ax.figure.colorbar(image, ax=ax, shrink=0.9)

    def show(row: int) -> list[Any]:
        values = _cells(series.axes[1], _cells(series.axes[0], series.values[row], 0)[1], 1)[1]
        image.set_array(values.T)
        return [image, ax.set_title(series.title_at(row))]

    return show


# -- points, cells, colours ---------------------------------------------------------------------


def _cells(axis: Any, values: np.ndarray, place: int) -> tuple[np.ndarray, np.ndarray]:
    """Where the cells around the points end, and the values in them, along one dimension of `values`."""
    faces = getattr(axis, "faces", None)
    if axis.kind == "cells" and faces is not None:
        return faces, values
    inner = (axis.points[1:] + axis.points[:-1]) / 2
    if axis.periodic:  # the first point stands at both sides, with half a cell at each
        first = np.take(values, [0], axis=place)
        return np.array([axis.low, *inner, (axis.points[-1] + axis.high) / 2, axis.high]), np.concatenate([values, first], axis=place)
    return np.array([axis.low, *inner, axis.high]), values


def _closed(axis: Any, values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Points and values (time, points) of a line; a periodic one ends where it begins."""
    if axis.periodic and axis.points[0] == axis.low:
        return np.append(axis.points, axis.high), np.concatenate([values, values[:, :1]], axis=1)
    return axis.points, values


def _middles(times: np.ndarray) -> np.ndarray:
    """Ends of the cells around saved times."""
    return np.array([times[0], *(times[1:] + times[:-1]) / 2, times[-1]])


def _colours(values: np.ndarray) -> dict[str, Any]:
    """The scale of an image: with white at zero if the values lie on both sides of it."""
    finite = values[np.isfinite(values)]
    low, high = float(finite.min()), float(finite.max())
    largest = max(-low, high)
    if low < 0 < high and min(-low, high) > _SIGNED * largest:
        return {"cmap": "RdBu_r", "vmin": -largest, "vmax": largest}
    return {"cmap": "viridis", "vmin": low, "vmax": high}


def _own(style: dict[str, Any]) -> dict[str, Any]:
    return {"rasterized": True, **style}


def _axis_label(axis: Any) -> str:
    unit = axis.coordinate.declaration.unit
    return f"{axis.name} [{unit}]" if unit else axis.name


def _same_scale(across: Any, up: Any) -> bool:
    """Whether two coordinates are lengths of one kind, drawn to one scale."""
    same = across.coordinate.declaration.unit == up.coordinate.declaration.unit
    return same and 0.25 <= up.length / across.length <= 4


def _panels(ax: Any, count: int, columns: int, over: tuple[Axis, ...] | None) -> np.ndarray:
    """Axes in rows and columns: `columns` of them, or as many as look well."""
    if ax is not None:
        given = np.atleast_1d(np.asarray(ax, object))
        if given.size != count:
            raise SolveError(f"This picture has {count} panels, and ax= holds {given.size}. Leave out ax=, or name one field and one time, at=...")
        return given.reshape(-1, columns) if columns else given.reshape(1, -1)
    import matplotlib.pyplot as plt

    across = columns or min(count, _ACROSS)
    rows = -(-count // across)
    square = over is not None and _same_scale(*over)
    wide = 4.4 if count == 1 else 2.7 if columns > 2 else 3.4
    if over is not None and square:
        wide *= min(1.0, (over[0].length / over[1].length) ** 0.5)  # a tall domain needs less
        size = (wide * across + 1.0, (wide * over[1].length / over[0].length + 0.7) * rows)
    else:
        size = (6.4, 4.0) if count == 1 else (wide * across + 0.7, (wide * 0.85 + 0.5) * rows)
    _, made = plt.subplots(rows, across, figsize=size, layout="constrained", squeeze=False)
    for panel in made.flat:
        panel.spines[["top", "right"]].set_visible(False)
        panel.grid(alpha=0.25)
    return made


__all__ = [
    "FieldSeries",
    "animate_fields",
    "animate_series",
    "axes_of",
    "checked_kind",
    "draw_fields",
    "everything",
    "fields_alone",
    "fields_of",
    "nearest_rows",
    "plot_fields",
]
