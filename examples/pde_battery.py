"""A lithium-ion cell discharged at five currents: two particles, Butler and Volmer's law, and what limits the voltage.

    c_t = D / R^2 (x^2 c_x)_x / x^2,    c_x = -j R / (F D c_max) at the surface x = 1         in each of two particles
    j = 2 i0 sqrt(s (1 - s)) sinh(F eta / (2 R T)),    s = c at the surface                   fixes eta at every time
    voltage = U_p(s_p) - U_n(s_n) + eta_p - eta_n

The model is `sciml_models.single_particle_battery`, where its numbers and references stand: partial differential and algebraic equations together.

Run: python examples/pde_battery.py      About 15 s on two cores.
Expected: 0.70 Ah come out before 3 V at 0.2 C, 0.63 at 5 C: the surface of the positive particle is full while there is room inside. The voltage
depends on the diffusivity of the negative particle where graphite has a step, and on that of the positive one at the end.
"""

import warnings
from pathlib import Path

import jax
import matplotlib.pyplot as plt
import numpy as np

import sciml as sci
from sciml_models import PDES

OUT = Path(__file__).parent.parent / "out"
HOUR, CAPACITY = 3600.0, 0.680616  # of the cell, in Ah: a current of 1 C empties it in an hour

# Model
system = PDES["single_particle_battery"].make()
cn, cp = system.symbols["cn"], system.symbols["cp"]
with warnings.catch_warnings(action="ignore"):  # that the current begins at once
    cell = sci.discretize(system, {"xn": sci.Chebyshev(14), "xp": sci.Chebyshev(14)})
RATES, FAST = (0.2, 1.0, 2.0, 3.5, 5.0), 3  # in units of C, and which of them the profiles are shown for


# Solve: each current a little longer than it would take to empty the cell; where a surface is empty or full before, what follows is nan
def discharge(rate: float, **params: float) -> sci.Solution:
    """A discharge, with other values of some parameters. Nothing is compiled again."""
    params = {"current": CAPACITY * rate, **params}
    return sci.solve(cell, t_span=(0, 1.06 * HOUR / rate), params=params, saveat=201, solver="rodas5p", throw=False)


def main() -> tuple[list[sci.Solution], np.ndarray]:
    """A solution for each current, and how the voltage at 1 C depends on the two diffusivities."""
    solutions = [discharge(rate) for rate in RATES]
    changes = []
    for name, value in (("Dn", 3.9e-14), ("Dp", 1e-13)):
        more, less = (np.asarray(discharge(1.0, **{name: value * factor})["voltage"]) for factor in (1.05, 1 / 1.05))
        changes.append((more - less) / (2 * np.log(1.05)))
    return solutions, np.stack(changes, axis=1)


def charge(sol: sci.Solution, rate: float, least: float = 3.0) -> float:
    """What has come out, in Ah, when the voltage falls below `least`."""
    voltage, out = np.asarray(sol["voltage"]), np.asarray(sol.t) / HOUR * rate * CAPACITY
    after = int(np.argmax(~(voltage > least)))
    return float(out[-1] if voltage[-1] > least else np.interp(-least, -np.nan_to_num(voltage[after - 1 : after + 1]), out[after - 1 : after + 1]))


# Plot
def picture(solutions: list[sci.Solution], sensitivity: np.ndarray) -> Path:
    fig, (left, inner, outer, right) = plt.subplots(1, 4, figsize=(15, 4), width_ratios=[1.3, 1, 1, 1.3], layout="constrained")
    shades = plt.colormaps["viridis"](np.linspace(0, 0.85, len(RATES)))
    for sol, rate, shade in zip(solutions, RATES, shades, strict=True):
        left.plot(np.asarray(sol.t) / HOUR * rate * CAPACITY, sol["voltage"], color=shade, label=f"{rate:g} C")
    left.axhline(3.0, color="k", lw=0.6, ls=":")
    left.set(xlabel="charge out [Ah]", ylabel="voltage [V]", ylim=(2.9, 3.9), title="discharge")
    left.legend(frameon=False, fontsize=8, loc="lower left", bbox_to_anchor=(0, 0.12))
    fast = solutions[FAST]
    moments = [0, 10, 50, 100, 150, 185]
    for ax, c, name, title in ((inner, cn, "xn", "negative particle"), (outer, cp, "xp", "positive particle")):
        for i, shade in zip(moments, plt.colormaps["inferno"](np.linspace(0.1, 0.85, len(moments))), strict=True):
            ax.plot(fast.to_xarray()[name].values, fast[c][i], color=shade, label=f"{float(fast.t[i]) / 60:.1f} min")
        ax.set(xlabel="r / R", ylim=(0, 1.02), title=f"{title}, {RATES[FAST]:g} C")
    inner.set_ylabel("filling")
    inner.legend(frameon=False, fontsize=8, loc="lower left")
    out = np.asarray(solutions[1].t) / HOUR * CAPACITY
    for j, (label, colour) in enumerate((("negative", "C0"), ("positive", "C3"))):
        right.plot(out, 1000 * sensitivity[:, j], colour, label=label)
    right.set(xlabel="charge out [Ah]", ylabel="mV per e-fold", ylim=(-2, 40), title="voltage at 1 C by each diffusivity")
    right.legend(frameon=False)
    for ax in (left, inner, outer, right):
        ax.spines[["top", "right"]].set_visible(False)
    OUT.mkdir(exist_ok=True)
    path = OUT / "pde_battery.png"
    fig.savefig(path, dpi=120)
    return path


if __name__ == "__main__":
    jax.config.update("jax_enable_x64", True)
    solutions, sensitivity = main()
    for sol, rate in zip(solutions, RATES, strict=True):
        print(f"{rate:3g} C: {charge(sol, rate):.3f} Ah before 3 V, {sol.stats['steps']} steps")
    print(f"picture: {picture(solutions, sensitivity)}")
