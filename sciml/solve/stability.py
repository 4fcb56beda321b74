"""Eigenvalues in words, tables and pictures."""

from typing import TYPE_CHECKING, Any

import numpy as np

from ..figure import axes

if TYPE_CHECKING:
    from .linearize import Linearization


def sentence(values: np.ndarray, rounding: float, totals: int, at_rest: bool) -> str:
    """The kind of a point, by the eigenvalues of deviations that keep the totals; `rounding` counts as zero."""
    kept = f", with {totals} conserved total{'s' if totals > 1 else ''} kept" if totals else ""
    moving = "" if at_rest else "; the point is not at rest"
    return _kind(values, rounding) + kept + moving


def _kind(values: np.ndarray, rounding: float) -> str:
    if values.size == 0:
        return "fixed: no deviation is possible"
    real, turning = values.real, float(np.max(np.abs(values.imag)))
    turns = turning > rounding
    grow, die = int(np.sum(real > rounding)), int(np.sum(real < -rounding))
    shape = "focus" if turns else "node"
    if die == values.size:
        return f"stable {shape}: deviations die out, the slowest as exp({_slowest(values)}"
    if grow == values.size:
        return f"unstable {shape}: deviations grow, the fastest as exp({_slowest(values)}"
    if grow and die and grow + die == values.size:
        return f"saddle: unstable, deviations grow in {grow} of {values.size} directions, the fastest as exp({_slowest(values)}"
    if grow:
        return f"unstable: deviations grow in {grow} of {values.size} directions, the fastest as exp({_slowest(values)}"
    still = values[np.abs(real) <= rounding]
    if np.all(np.abs(still.imag) > rounding):
        kind = "centre" if die == 0 else "marginal"
        return f"{kind}: neither stable nor unstable to first order, oscillation with {np.max(np.abs(still.imag)):.3g} per time"
    return "marginal: an eigenvalue is zero, and terms of higher order decide"


def _slowest(values: np.ndarray) -> str:
    """`-0.2*t), turning with 2 per time`: the eigenvalue with the largest real part."""
    first = values[np.argmax(values.real)]
    turning = f", turning with {abs(first.imag):.3g} per time" if abs(first.imag) > 1e-12 * abs(first) else ""
    return f"{first.real:.3g}*t){turning}"


def tables(lin: "Linearization") -> dict[str, Any]:
    """The matrices with names."""
    import pandas as pd

    rates = [f"({n})'" if " " in n else f"{n}'" for n in lin.states]
    states, inputs, outputs = list(lin.states), list(lin.inputs), list(lin.outputs)
    labels = {"A": (rates, states), "B": (rates, inputs), "C": (outputs, states), "D": (outputs, inputs)}
    return {name: pd.DataFrame(np.asarray(getattr(lin, name)), index=rows, columns=columns) for name, (rows, columns) in labels.items()}


def shown(lin: "Linearization") -> str:
    """The head, the verdict and the matrices that are not too large."""
    lines = [f"Linearization of '{lin.name}': {len(lin.states)} states, {len(lin.inputs)} inputs, {len(lin.outputs)} outputs", lin.verdict]
    values = ", ".join(f"{v.real:.4g}" if abs(v.imag) < 1e-12 else f"{v.real:.4g}{v.imag:+.4g}i" for v in np.asarray(lin.eigenvalues)[:8])
    lines.append(f"eigenvalues {values}" + (", ..." if len(lin.states) > 8 else ""))
    if max(len(lin.states), len(lin.inputs), len(lin.outputs)) <= 8:
        lines += [f"{name}\n{table.to_string(float_format='%.4g')}" for name, table in tables(lin).items() if table.size]
    return "\n".join(lines)


def plotted(lin: "Linearization", ax: Any, style: dict[str, Any]) -> Any:
    """The eigenvalues in the complex plane, with the border of stability."""
    ax = axes(ax)
    values = np.asarray(lin.eigenvalues)
    ax.axvline(0.0, color="0.6", lw=1)
    ax.plot(values.real, values.imag, **{"marker": "x", "linestyle": "none", "markersize": 8, **style})
    ax.set_xlabel("real part: growth")
    ax.set_ylabel("imaginary part: turning")
    return ax


__all__ = ["plotted", "sentence", "shown", "tables"]
