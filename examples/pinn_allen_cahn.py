"""Two phases that part: the Allen-Cahn equation, whose interfaces are thin and whose bulk is unstable, in windows of time.

    u_t = u_xx/1000 + 5 (u - u^3) on (-1, 1), periodic,    u = x^2 cos(pi x) at t = 0

Small errors grow fivefold in a third of the time, and a network that is asked for all times at once likes u = 0, which solves the equation
as well. So time is cut into windows, each with a network of its own that starts from where the one before ended. The period is built
in: the network gets cosines and sines of x.

Run: python examples/pinn_allen_cahn.py      About 60 s on two cores.
Expected: a relative error of 1e-3 or less against a pseudospectral solution of the same System.
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
x = sci.space("x", -1, 1, periodic=True)
u = sci.fields("u", t, x)
phases = sci.System(
    [sci.eq(u.diff(t), u.diff(x, 2) / 1000 + 5 * (u - u**3))],
    initial={u: x**2 * sp.cos(sp.pi * x)},
    name="allen_cahn",
)


# Data: the same System on a grid
def reference(n: int = 256) -> sci.Solution:
    """By Fourier modes and exponential steps."""
    return sci.solve(sci.discretize(phases, {x: sci.Fourier(n)}), t_span=(0, 1), saveat=101, solver="etdrk4", dt=1e-3)


# Solve
def main(
    windows: int = 4, width: int = 12, steps: int = 40, points: int = 800, t_end: float = 1.0, progress: bool = True
) -> sci.pinn.NetworkSolution:
    """Networks with three hidden layers, by Gauss-Newton steps."""
    network = sci.pinn.mlp(phases, width=width, depth=3, modes=3, key=jax.random.key(0))
    train = sci.pinn.Stage(sci.pinn.GaussNewton(max_steps=steps), every=10)
    return sci.pinn.fit(phases, network, t_span=(0, t_end), modes=3, windows=windows, train=train, points=points, progress=progress)


def error(net: sci.pinn.NetworkSolution, sol: sci.Solution) -> float:
    """Relative L2 distance from the grid, at the times of the network."""
    rows = np.asarray(sol.t) <= net.span[1] + 1e-9
    known, places = np.asarray(sol[u])[rows], _places(sol)
    mesh = np.meshgrid(np.minimum(np.asarray(sol.t)[rows], net.span[1]), places, indexing="ij")
    return float(np.linalg.norm(np.asarray(net({"t": mesh[0], "x": mesh[1]})[u]) - known) / np.linalg.norm(known))


def _places(sol: sci.Solution) -> np.ndarray:
    n = sol[u].shape[1]
    return -1 + 2 * np.arange(n) / n


# Plot
def picture(net: sci.pinn.NetworkSolution, sol: sci.Solution) -> Path:
    fig, (left, middle, right) = plt.subplots(1, 3, figsize=(13, 3.8), layout="constrained")
    places = _places(sol)
    net.plot(u, ax=left)
    left.set(title="u(t, x) by the networks")
    rows = np.linspace(0, np.searchsorted(sol.t, net.span[1] - 1e-9), 5).astype(int)
    for row, shade in zip(rows, plt.colormaps["viridis"](np.linspace(0, 0.85, 5)), strict=True):
        middle.plot(places, sol[u][row], color=shade, lw=3, alpha=0.35)
        middle.plot(places, net({"t": min(float(sol.t[row]), net.span[1]), "x": places})[u], "--", color=shade, lw=1, label=f"t = {sol.t[row]:.2f}")
    middle.set(xlabel="x", title="networks (dashes) and grid")
    net.plot_history(ax=right)
    right.set(title=f"window by window; error {error(net, sol):.1e}")
    for ax in (middle, right):
        ax.spines[["top", "right"]].set_visible(False)
        ax.legend(frameon=False, fontsize=8)
    OUT.mkdir(exist_ok=True)
    path = OUT / "pinn_allen_cahn.png"
    fig.savefig(path, dpi=120)
    return path


if __name__ == "__main__":
    jax.config.update("jax_enable_x64", True)
    net, sol = main(), reference()
    print(net)
    print(f"relative error: {error(net, sol):.2e}")
    print(f"picture: {picture(net, sol)}")
