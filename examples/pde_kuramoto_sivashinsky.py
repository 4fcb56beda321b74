"""Chaos in a flame front, and how soon it forgets: the Kuramoto-Sivashinsky equation, two runs that differ by a millionth.

    u_t + u u_x + u_xx + u_xxxx = 0 on (0, 32 pi), periodic

Long waves grow, short waves are damped, the nonlinear term moves energy between them. The linear part is solved exactly in Fourier modes
(solver="auto" finds that), so that the steps follow the slow cells and not the fast modes.

Run: python examples/pde_kuramoto_sivashinsky.py      About 10 s on two cores.
Expected: cells about 9 wide from t = 40 on; the two runs part exponentially, about as exp(0.09 t), and look alike until t = 110.
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
LENGTH = float(32 * sp.pi)
x = sci.space("x", 0, LENGTH, periodic=True)
u = sci.fields("u", t, x)
push = sci.parameters("push", 0.0, description="a small change of the start")
system = sci.System(
    [sci.eq(u.diff(t), -sci.D(u**2 / 2, x) - u.diff(x, 2) - u.diff(x, 4))],
    initial={u: sp.cos(x / 16) + sp.sin(x / 8) / 2 + sp.cos(5 * x / 16 + 1) / 4 + push * sp.cos(3 * x / 16)},
    observed={"energy": sci.integral(u**2, x) / 2},
    name="kuramoto_sivashinsky",
)


# Solve
def main() -> tuple[sci.Solution, sci.Solution]:
    front = sci.discretize(system, {x: sci.Fourier(256)})
    runs = [sci.solve(front, t_span=(0, 200), params={"push": push}, saveat=801, rtol=1e-6) for push in (0.0, 1e-6)]
    return runs[0], runs[1]


def distance(runs: tuple[sci.Solution, sci.Solution]) -> np.ndarray:
    """The root mean square of the difference, over time."""
    return np.sqrt(np.mean((np.asarray(runs[0][u]) - np.asarray(runs[1][u])) ** 2, axis=1))


def growth(runs: tuple[sci.Solution, sci.Solution]) -> np.ndarray:
    """The rate at which they part (and a constant), from when chaos has begun to when the difference is no longer small."""
    times, apart = np.asarray(runs[0].t), distance(runs)
    small = (times > 50) & (apart < 0.1) & (np.arange(times.size) < np.argmax(apart > 0.1))
    return np.polyfit(times[small], np.log(apart[small]), 1)


# Plot
def picture(runs: tuple[sci.Solution, sci.Solution]) -> Path:
    fig, axes = plt.subplot_mosaic(
        [["one", "other", "apart"], ["one", "other", "energy"]], figsize=(13, 6), width_ratios=[1, 1, 1], layout="constrained"
    )
    largest = float(np.abs(runs[0][u]).max())
    for sol, key, title in zip(runs, ("one", "other"), ("u(t, x)", "started a millionth away"), strict=True):
        shown = axes[key].imshow(sol[u], origin="lower", aspect="auto", extent=(0, LENGTH, 0, 200), cmap="RdBu_r", vmin=-largest, vmax=largest)
        axes[key].set(xlabel="x", title=title)
    axes["one"].set_ylabel("t")
    fig.colorbar(shown, ax=axes["other"], shrink=0.6)
    times, (rate, offset) = np.asarray(runs[0].t), growth(runs)
    axes["apart"].semilogy(times, distance(runs), "k", lw=1)
    axes["apart"].semilogy(times, np.exp(rate * times + offset), "C3--", lw=1, label=f"exp({rate:.2f} t)")
    axes["apart"].set(title="distance of the two", ylim=(1e-7, 10))
    axes["apart"].legend(frameon=False)
    for sol, colour in zip(runs, ("k", "C0"), strict=True):
        axes["energy"].plot(sol.t, sol["energy"], colour, lw=1)
    axes["energy"].set(title="energy", xlabel="t")
    for key in ("apart", "energy"):
        axes[key].spines[["top", "right"]].set_visible(False)
    OUT.mkdir(exist_ok=True)
    path = OUT / "pde_kuramoto_sivashinsky.png"
    fig.savefig(path, dpi=120)
    return path


if __name__ == "__main__":
    jax.config.update("jax_enable_x64", True)
    runs = main()
    print(runs[0].stats["reason"])
    print(f"{runs[0].stats['steps']} steps; the runs part as exp({growth(runs)[0]:.3f} t)")
    print(f"picture: {picture(runs)}")
