"""One declaration, solved twice: on a grid by the method of lines, and by a network at random points. Then they are compared.

    u_t = (k(u) u_x)_x,  k = 0.02 + 0.1 u^2,  on (0, 1),    u = 0 at both ends,    u = sin(pi x) + sin(3 pi x)/2 at t = 0

Heat flows where the bar is warm and hardly where it is cold, so that the shape gets steep sides. Nobody differentiates k(u) by hand: the flux
stays whole on the grid, and is expanded by the product rule for the network.

Run: python examples/pinn_and_grid.py      About 30 s on two cores.
Expected: grid and network differ by 1e-3 of the solution or less.
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
u = sci.fields("u", t, x)
bar = sci.System(
    [sci.eq(u.diff(t), sci.D((0.02 + 0.1 * u**2) * u.diff(x), x))],
    initial={u: sp.sin(sp.pi * x) + sp.sin(3 * sp.pi * x) / 2},
    boundary={x.left: sci.eq(u, 0), x.right: sci.eq(u, 0)},
    name="bar",
)


# Solve
def on_grid(n: int = 401) -> sci.Solution:
    """By finite differences of second order and an implicit solver with error control."""
    return sci.solve(sci.discretize(bar, {x: sci.FiniteDifference(n)}), t_span=(0, 1), saveat=101)


def by_network(width: int = 14, steps: int = 60, points: int = 800, progress: bool = True) -> sci.pinn.NetworkSolution:
    """By a network with three hidden layers and Gauss-Newton steps."""
    network = sci.pinn.mlp(bar, width=width, depth=3, key=jax.random.key(0))
    train = sci.pinn.Stage(sci.pinn.GaussNewton(max_steps=steps), every=10)
    return sci.pinn.fit(bar, network, t_span=(0, 1), train=train, points=points, progress=progress)


def main(n: int = 401, **options: object) -> tuple[sci.Solution, sci.pinn.NetworkSolution, float]:
    """(grid, network, relative L2 distance between them)."""
    sol, net = on_grid(n), by_network(**options)
    return sol, net, net.error(sol)["u"]


# Plot
def picture(sol: sci.Solution, net: sci.pinn.NetworkSolution) -> Path:
    fig, (left, middle, right) = plt.subplots(1, 3, figsize=(13, 3.8), layout="constrained")
    places = np.linspace(0, 1, sol[u].shape[1])
    for row, shade in zip((0, 5, 20, 50, 100), plt.colormaps["viridis"](np.linspace(0, 0.85, 5)), strict=True):
        left.plot(places, sol[u][row], color=shade, lw=3, alpha=0.35)
        left.plot(places, net({"t": float(sol.t[row]), "x": places})[u], "--", color=shade, lw=1, label=f"t = {sol.t[row]:.2f}")
    left.set(xlabel="x", title="grid, and network (dashes)")
    mesh = np.meshgrid(sol.t, places, indexing="ij")
    difference = np.abs(np.asarray(net({"t": mesh[0], "x": mesh[1]})[u]) - np.asarray(sol[u]))
    image = middle.pcolormesh(sol.t, places, np.log10(np.maximum(difference, 1e-9)).T, cmap="magma", vmin=-6, rasterized=True)
    fig.colorbar(image, ax=middle)
    middle.set(xlabel="t", ylabel="x", title="log10 |network - grid|")
    net.plot_history(ax=right)
    right.set(title="training of the network")
    for ax in (left, right):
        ax.spines[["top", "right"]].set_visible(False)
        ax.legend(frameon=False, fontsize=8)
    OUT.mkdir(exist_ok=True)
    path = OUT / "pinn_and_grid.png"
    fig.savefig(path, dpi=120)
    return path


if __name__ == "__main__":
    jax.config.update("jax_enable_x64", True)
    sol, net, apart = main()
    print(net)
    print(f"grid: {sol.stats['steps']} steps; network and grid differ by {apart:.2e}")
    print(f"picture: {picture(sol, net)}")
