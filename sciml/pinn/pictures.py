"""Pictures of a trained network: fields, residuals, errors, the course of a training."""

import dataclasses
from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
import sympy as sp

from ..errors import SolveError
from ..figure import axes
from ..solve import FieldSeries, animate_series, checked_kind, draw_fields, nearest_rows
from ..symbols import declaration_of
from ..system import latex
from .compare import name_of

_RANGE = 1e-5  # of the largest size: smaller ones are drawn as this
_NO_LOSS = ("seconds", "stage", "window", "damping")  # columns of a history


def plot(net: Any, what: tuple[Any, ...], ax: Any, kind: str, at: Any, style: dict[str, Any]) -> Any:
    """Fields over time and space; quantities of the time alone as lines."""
    checked_kind(kind)
    what = what or tuple(net.fields)
    alone = [key for key in what if not _space(net, key)]
    if alone and len(alone) == len(what):
        return _over_time(net, what, ax, style)
    if alone:
        raise SolveError(f"{name_of(alone[0])} does not run over space, and the others do: draw them one by one.")
    return draw_fields([series(net, key, at) for key in what], [name_of(key) for key in what], ax, kind, at is not None, style)


def plot_residual(net: Any, name: str, ax: Any, style: dict[str, Any]) -> Any:
    """The size of what an equation leaves, in powers of ten."""
    return _powers(net, np.asarray(net.residual(name)), net.form.coordinates, f"log10 |residual of {name}|", ax, style)


def plot_error(net: Any, exact: Mapping[Any, Any], ax: Any, style: dict[str, Any]) -> Any:
    """The distance of each field from known values, in powers of ten."""
    drawn = []
    for key, value in exact.items():
        known = np.asarray(net[value] if isinstance(value, sp.Expr) else value)
        mine = np.asarray(net[key])
        if known.shape not in ((), mine.shape):
            raise SolveError(f"The exact values of '{name_of(key)}' have the shape {known.shape}, and net[...] has {mine.shape}.")
        drawn.append(_series_of(net, np.abs(mine - known), net.over(key), f"log10 |{name_of(key)} - exact|"))
    return draw_fields(drawn, [name_of(key) for key in exact], ax, "auto", False, {"cmap": "magma", **style})


def plot_history(history: pd.DataFrame, ax: Any) -> Any:
    """Every column of a history that is a loss, over the steps."""
    ax = axes(ax)
    for name in history.columns:
        values = history[name].dropna()
        if name in _NO_LOSS or not (values > 0).any():
            continue
        values = values[values > 0]
        ax.plot(values.index, values, ".-" if name == "checked" else "-", lw=0.8, ms=3, label=name)
    ax.set(xlabel="step", ylabel="loss", yscale="log")
    if ax.lines:
        ax.legend(frameon=False, fontsize="small")
    return ax


def animate(net: Any, what: tuple[Any, ...], path: Any, fps: int, style: dict[str, Any]) -> Any:
    """Fields as a picture that moves."""
    what = what or tuple(net.fields)[:1]
    return animate_series([series(net, key, None) for key in what], [name_of(key) for key in what], path, fps, style)


def series(net: Any, key: Any, at: Any) -> FieldSeries:
    """A field on the grid, at all times or at those that are asked for; complex ones by their size."""
    expression = net._expression(key)
    if not _space(net, expression):
        raise SolveError(f"{name_of(key)} does not run over space: net.plot({name_of(key)}) draws it over time.")
    d = declaration_of(expression)
    values = np.asarray(net[expression])
    label = _shown(net, expression)
    label = f"$|{label}|$" if np.iscomplexobj(values) else f"${label}$"
    title = f"{label} [{d.unit}]" if d is not None and d.unit else label
    made = _series_of(net, values, net.over(expression), title, power=False)
    if at is None:
        return made
    rows = nearest_rows(made.times, at)
    return dataclasses.replace(made, times=made.times[rows], values=made.values[rows])


def plot_bands(runs: Any, what: tuple[Any, ...], at: Any, style: dict[str, Any]) -> Any:
    """Mean and band of two standard deviations of quantities, each on axes of its own."""
    import matplotlib.pyplot as plt

    for key in what:
        if not 0 < len(runs.members[0].over(key)) <= 2 or len(_space(runs.members[0], key)) > 1:
            raise SolveError(
                f"{name_of(key)} runs over {', '.join(runs.members[0].over(key)) or 'nothing'}: a band needs the time or one coordinate."
            )
    panels = [axes()] if len(what) == 1 else plt.subplots(1, len(what), figsize=(4 * len(what) + 0.8, 3.4), layout="constrained")[1]
    for ax, key in zip(panels, what, strict=True):
        _band(ax, runs, key, at, style)
    return panels[0] if len(what) == 1 else panels


def _band(ax: Any, runs: Any, key: Any, at: Any, style: dict[str, Any]) -> None:
    net = runs.members[0]
    over, mean, std = net.over(key), runs.mean(key), runs.std(key)
    lines: list[tuple[str | None, Any, Any, Any]]
    if over == ("t",):
        lines = [(None, net.t, mean, std)]
    elif "t" in over:
        rows = nearest_rows(net.t, [net.t[0], net.t[len(net.t) // 2], net.t[-1]] if at is None else at)
        lines = [(f"t = {net.t[r]:.4g}", net.axes[over[-1]].points, mean[r], std[r]) for r in rows]
    else:
        lines = [(None, net.axes[over[0]].points, mean, std)]
    for label, x, middle, width in lines:
        (line,) = ax.plot(x, middle, **{"label": label, **style})
        ax.fill_between(x, middle - 2 * width, middle + 2 * width, color=line.get_color(), alpha=0.25, lw=0)
    unit = net.system.units.get("t") if over[-1] == "t" else net.axes[over[-1]].coordinate.declaration.unit
    ax.set_xlabel(f"{over[-1]} [{unit}]" if unit else over[-1])
    ax.set_title(f"${_shown(net, net._expression(key))}$")
    if lines[0][0] is not None:
        ax.legend(frameon=False)


def _space(net: Any, key: Any) -> list[str]:
    return [n for n in net.over(key) if n != "t"]


def _powers(net: Any, values: np.ndarray, over: tuple[str, ...], title: str, ax: Any, style: dict[str, Any]) -> Any:
    return draw_fields([_series_of(net, np.abs(values), over, title)], [title], ax, "auto", False, {"cmap": "magma", **style})


def _series_of(net: Any, values: np.ndarray, over: tuple[str, ...], title: str, power: bool = True) -> FieldSeries:
    """Values on the grid with their axes; sizes as powers of ten."""
    if power:
        least = max(_RANGE * float(np.nanmax(values, initial=0.0)), np.finfo(float).tiny)
        values = np.log10(np.maximum(values, least))
    values = np.abs(values) if np.iscomplexobj(values) else values
    if not np.isfinite(values).any():
        raise SolveError(f"{title} has no finite value to draw.")
    space = tuple(net.axes[n] for n in over if n != "t")
    in_time = "t" in over
    return FieldSeries(title, space, net.t if in_time else np.zeros(1), values if in_time else values[None], net.system.units.get("t"))


def _over_time(net: Any, what: tuple[Any, ...], ax: Any, style: dict[str, Any]) -> Any:
    ax, unit = axes(ax), net.system.units.get("t")
    for key in what:
        if net.over(key) != ("t",):
            raise SolveError(f"{name_of(key)} is one number, net[{name_of(key)}]: there is nothing to draw.")
        ax.plot(net.t, np.asarray(net[key]), **{"label": f"${_shown(net, net._expression(key))}$", **style})
    ax.set_xlabel(f"t [{unit}]" if unit else "t")
    ax.legend(frameon=False)
    return ax


def _shown(net: Any, expression: sp.Expr) -> str:
    """LaTeX without the arguments of fields."""
    shown = latex(expression).replace(r"\limits", "")
    for over in {s.args for s in net.system.symbols.values() if s.args}:
        shown = shown.replace(rf"{{\left({','.join(map(latex, over))} \right)}}", "")
    return shown
