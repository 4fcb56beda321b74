"""A heated rod and what happens at its other end: conditions of four kinds, the same equation.

    u_t = k u_xx on (0, 1),    u = 1 - exp(-5 t) at the left, and at the right one of

    closed        u_x = 0                in the wind   -k u_x = h u
    with a block  m u_t = -k u_x         glowing       -k u_x = s (u + a)^4 - s a^4

What flows through both ends is summed by two more unknowns, came' = -k u_x at the left and went' = -k u_x at the right.

Run: python examples/pde_heat_rod.py      About 15 s on two cores, most of it compilation.
Expected: the end in the wind reaches k / (k + h) = 0.2, the glowing one 0.144, the others go on to 1; what came is in the rod or went, to 8 digits.
"""

from pathlib import Path

import jax
import matplotlib.pyplot as plt
import numpy as np
import sympy as sp

import sciml as sci

OUT = Path(__file__).parent.parent / "out"

# Model
t = sci.t
x = sci.space("x", 0, 1)
u = sci.fields("u", t, x, description="temperature")
came, went = sci.variables("came went", initial=0.0, description="heat through the left and the right end")
k, h, s, a, m = sci.parameters("k h s a m", [0.25, 1.0, 0.3, 1.0, 0.5], bounds=(0.0, None))
flow = -k * u.diff(x)

ENDS = {
    "closed": sci.eq(u.diff(x), 0),
    "in the wind": sci.eq(flow, h * u),
    "with a block": sci.eq(m * u.diff(t), flow),
    "glowing": sci.eq(flow, s * (u + a) ** 4 - s * a**4),
}


def rod(end: str) -> sci.System:
    """The rod with one of the conditions at its right end."""
    return sci.System(
        [sci.eq(u.diff(t), k * u.diff(x, 2)), sci.eq(came.diff(t), sci.at(flow, x.left)), sci.eq(went.diff(t), sci.at(flow, x.right))],
        initial={u: 0},
        boundary={x.left: sci.eq(u, 1 - sp.exp(-5 * t)), x.right: ENDS[end]},
        observed={"end": sci.at(u, x.right), "inside": sci.integral(u, x), "missing": came - went - sci.integral(u, x)},
        name="rod",
    )


# Solve
def main() -> dict[str, sci.Solution]:
    method = {x: sci.FiniteDifference(41, order=4)}
    return {end: sci.solve(sci.discretize(rod(end), method), t_span=(0, 8), saveat=161, solver="rodas5p") for end in ENDS}


# Plot
def picture(solutions: dict[str, sci.Solution]) -> Path:
    panels = [[*list(ENDS)[:2], "over time"], [*list(ENDS)[2:], "over time"]]
    fig, axes = plt.subplot_mosaic(panels, figsize=(11, 5.4), width_ratios=[1, 1, 1.4], layout="constrained")
    moments = (0.1, 0.3, 1.0, 3.0, 8.0)
    shades = plt.colormaps["inferno"](np.linspace(0.15, 0.8, len(moments)))
    for i, (end, sol) in enumerate(solutions.items()):
        ax, places = axes[end], sol.to_xarray()["x"].values
        for moment, shade in zip(moments, shades, strict=True):
            ax.plot(places, sol[u][int(np.searchsorted(sol.t, moment - 1e-9))], color=shade, label=f"t = {moment:g}")
        ax.set_title(end, fontsize=10, color=f"C{i}")
        ax.set(xlim=(0, 1), ylim=(-0.03, 1.03), xticks=(0, 0.5, 1), yticks=(0, 0.5, 1))
        axes["over time"].plot(sol.t, sol["end"], color=f"C{i}", label=end)
    for end in list(ENDS)[2:]:
        axes[end].set_xlabel("x")
    axes["in the wind"].legend(frameon=False, fontsize=8, loc="upper right")
    axes["over time"].set(xlabel="t", title="temperature of the right end", xlim=(0, 8), ylim=(-0.03, 1.03))
    axes["over time"].legend(frameon=False, loc="center right")
    for ax in axes.values():
        ax.spines[["top", "right"]].set_visible(False)
    OUT.mkdir(exist_ok=True)
    path = OUT / "pde_heat_rod.png"
    fig.savefig(path, dpi=120)
    return path


if __name__ == "__main__":
    jax.config.update("jax_enable_x64", True)
    solutions = main()
    for end, sol in solutions.items():
        print(f"{end:15} end at t = 8: {float(sol['end'][-1]):.4f}, heat that is missing: {float(sol['missing'][-1]):+.1e}")
    print(f"picture: {picture(solutions)}")
