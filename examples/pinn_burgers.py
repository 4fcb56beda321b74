"""A wave that steepens into a shock of width 0.01, solved by a network without a grid.

    u_t + u u_x = (0.01/pi) u_xx on (-1, 1),    u = 0 at both ends,    u = -sin(pi x) at t = 0

The conditions are built into the network, u = g + a v with a = 0 where they hold, so that the loss is the equation alone. Points go where
the residual is large (Wu et al., CMAME 403 (2023) 115671), most of them to the shock. The known solution is that of Cole and Hopf, by
Gauss-Hermite quadrature (Basdevant et al., Comput. Fluids 14 (1986) 23).

Run: python examples/pinn_burgers.py      About 30 s on two cores.
Expected: a relative error of 1e-3 or less; more Gauss-Newton steps go further.
"""

from pathlib import Path

import jax
import matplotlib.pyplot as plt
import numpy as np
import sympy as sp

import sciml as sci
from sciml.pinn.sampling import rad

OUT = Path(__file__).parent.parent / "out"
NU = 0.01 / np.pi

# Model
t = sci.t
x = sci.space("x", -1, 1)
u = sci.fields("u", t, x)
burgers = sci.System(
    [sci.eq(u.diff(t) + u * u.diff(x), NU * u.diff(x, 2))],
    initial={u: -sp.sin(sp.pi * x)},
    boundary={x.left: sci.eq(u, 0), x.right: sci.eq(u, 0)},
    name="burgers",
)


def exact(times: np.ndarray, places: np.ndarray) -> np.ndarray:
    """By the transform of Cole and Hopf, (times, places)."""
    nodes, weights = np.polynomial.hermite.hermgauss(200)
    start = places[:, None] - np.sqrt(4 * NU * times[:, None, None]) * nodes
    exponent = -np.cos(np.pi * start) / (2 * np.pi * NU)
    kernel = weights * np.exp(exponent - exponent.max(axis=-1, keepdims=True))
    return -(kernel * np.sin(np.pi * start)).sum(-1) / kernel.sum(-1)


# Solve
def main(width: int = 14, steps: int = 160, points: int = 1000, t_end: float = 1.0, progress: bool = True) -> sci.pinn.NetworkSolution:
    """A network with three hidden layers, by Gauss-Newton steps."""
    network = sci.pinn.mlp(burgers, width=width, depth=3, key=jax.random.key(0))
    train = sci.pinn.Stage(sci.pinn.GaussNewton(max_steps=steps), every=10)
    return sci.pinn.fit(burgers, network, t_span=(0, t_end), train=train, points=points, progress=progress)


def error(net: sci.pinn.NetworkSolution) -> float:
    """Relative L2 distance from the known solution."""
    return float(net.error({u: exact(net.t, net.axes["x"].points)})["u"])


# Plot
def picture(net: sci.pinn.NetworkSolution) -> Path:
    fig, (left, middle, right) = plt.subplots(1, 3, figsize=(13, 3.8), layout="constrained")
    times, places = net.t, net.axes["x"].points
    known = exact(times, places)
    image = left.pcolormesh(times, places, np.asarray(net[u]).T, cmap="RdBu_r", rasterized=True)
    fig.colorbar(image, ax=left)
    rng = np.random.default_rng(0)
    many = np.stack([rng.uniform(*net.span, 20_000), rng.uniform(-1, 1, 20_000)], axis=1)
    residual = net.residual(points={"t": many[:, 0], "x": many[:, 1]})
    chosen = np.asarray(rad(jax.random.key(0), jax.numpy.asarray(many), residual, 700))
    left.plot(*chosen.T, "k.", ms=1.5)
    left.set(xlabel="t", ylabel="x", title="u, and 700 points where the next step would look")
    for row, shade in zip((0, 25, 50, 75, 100), plt.colormaps["viridis"](np.linspace(0, 0.85, 5)), strict=True):
        middle.plot(places, known[row], color=shade, lw=3, alpha=0.35)
        middle.plot(places, np.asarray(net[u])[row], "--", color=shade, lw=1, label=f"t = {times[row]:.2f}")
    middle.set(xlabel="x", title="network (dashes) and known solution")
    net.plot_history(ax=right)
    right.set(title=f"training; relative error at the end {error(net):.1e}")
    for ax in (middle, right):
        ax.spines[["top", "right"]].set_visible(False)
        ax.legend(frameon=False, fontsize=8)
    OUT.mkdir(exist_ok=True)
    path = OUT / "pinn_burgers.png"
    fig.savefig(path, dpi=120)
    return path


if __name__ == "__main__":
    jax.config.update("jax_enable_x64", True)
    net = main()
    print(net)
    print(net.explain())
    print(f"relative error: {error(net):.2e}")
    print(f"picture: {picture(net)}")
