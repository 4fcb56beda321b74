"""Four patterns from one reaction: spots, stripes and what lies between, by the feed and the kill rate alone.

    u_t = 2e-5 lap u - u v^2 + F (1 - u)
    v_t = 1e-5 lap v + u v^2 - (F + k) v      on the unit square, periodic

From the same start, some spots of v in a square of u, with four pairs (F, k) of Pearson's map. They are numbers of one program, which is
compiled once. The linear terms are solved exactly in Fourier modes, so that a step may be as long as the reaction allows.

Run: python examples/pde_patterns_gray_scott.py      About 15 s on two cores.
Expected: spots that divide, stripes, a maze, and holes; the part of the square that v covers grows until it is full.
"""

from pathlib import Path

import jax
import matplotlib.pyplot as plt
import numpy as np
import sympy as sp

import sciml as sci

OUT = Path(__file__).parent.parent / "out"
END = 3000.0
PATTERNS = {"spots": (0.030, 0.062), "stripes": (0.046, 0.063), "maze": (0.037, 0.060), "holes": (0.039, 0.058)}

# Model
t = sci.t
x, y = sci.space("x", 0, 1, periodic=True), sci.space("y", 0, 1, periodic=True)
u, v = sci.fields("u v", t, x, y, description=["food", "eater"])
Du, Dv, F, k = sci.parameters("Du Dv F k", [2e-5, 1e-5, 0.037, 0.06], bounds=(0.0, None))
spots = sum(sp.exp(-((x - a) ** 2 + (y - b) ** 2) / 0.002) for a, b in ((0.35, 0.4), (0.6, 0.3), (0.5, 0.65), (0.72, 0.58), (0.25, 0.75)))
system = sci.System(
    [sci.eq(u.diff(t), Du * sci.laplacian(u) - u * v**2 + F * (1 - u)), sci.eq(v.diff(t), Dv * sci.laplacian(v) + u * v**2 - (F + k) * v)],
    initial={u: 1 - spots / 2, v: spots / 4},
    observed={"eaten": sci.integral(u * v**2, x, y)},
    name="gray_scott",
)


# Solve
def main(n: int = 96) -> dict[str, sci.Solution]:
    square = sci.discretize(system, {x: sci.Fourier(n), y: sci.Fourier(n)})
    return {
        name: sci.solve(square, t_span=(0, END), params={"F": feed, "k": kill}, saveat=31, rtol=1e-3, atol=1e-4)
        for name, (feed, kill) in PATTERNS.items()
    }


# Plot
def picture(solutions: dict[str, sci.Solution]) -> Path:
    rows = [[f"early {name}" for name in PATTERNS] + ["over time"], [f"late {name}" for name in PATTERNS] + ["over time"]]
    fig, axes = plt.subplot_mosaic(rows, figsize=(14, 5.6), width_ratios=[1, 1, 1, 1, 1.5], layout="constrained")
    for i, (name, sol) in enumerate(solutions.items()):
        for when, index in (("early", 8), ("late", -1)):
            ax = axes[f"{when} {name}"]
            ax.imshow(np.asarray(sol[v][index]).T, origin="lower", extent=(0, 1, 0, 1), cmap="magma", vmin=0, vmax=0.4)
            ax.set(xticks=[], yticks=[])
            if i == 0:
                ax.set_ylabel(f"t = {float(sol.t[index]):.0f}")
        feed, kill = PATTERNS[name]
        axes[f"early {name}"].set_title(f"{name}: F = {feed}, k = {kill}", fontsize=9, color=f"C{i}")
        axes["over time"].plot(sol.t, 1000 * np.asarray(sol["eaten"]), color=f"C{i}", label=name)
    axes["over time"].set(xlabel="t", title="eaten per time, in 1/1000", ylim=(0, None))
    axes["over time"].spines[["top", "right"]].set_visible(False)
    axes["over time"].legend(frameon=False)
    OUT.mkdir(exist_ok=True)
    path = OUT / "pde_patterns_gray_scott.png"
    fig.savefig(path, dpi=120)
    return path


if __name__ == "__main__":
    jax.config.update("jax_enable_x64", True)
    solutions = main()
    for name, sol in solutions.items():
        print(f"{name:8} {sol.stats['steps']} steps, eaten per time at the end: {1000 * float(sol['eaten'][-1]):.2f} / 1000")
    print(solutions["maze"].stats["reason"])
    print(f"picture: {picture(solutions)}")
