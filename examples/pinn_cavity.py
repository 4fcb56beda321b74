"""Water in a box below a lid that moves: the steady Navier-Stokes equations at Re = 100 by one network with three outputs.

    u u_x + v u_y = -p_x + (u_xx + u_yy)/100        u = v = 0 at three walls
    u v_x + v v_y = -p_y + (v_xx + v_yy)/100        u = 1 - (2x - 1)^16, v = 0 at the lid y = 1
    u_x + v_y = 0

The walls are built into the network. The lid moves with speed 1 but slows down close to the corners, since a speed that jumps there has no
smooth solution. Ghia, Ghia and Shin (J. Comput. Phys. 48 (1982) 387, tables I and II, Re = 100) have the jump, with a multigrid code on
129 x 129 points; their values on the two lines through the centre are the dots of the picture.

Run: python examples/pinn_cavity.py      About 60 s on two cores.
Expected: both centre lines within 0.03 of Ghia's dots; the eye of the vortex at (0.62, 0.74).
"""

from pathlib import Path

import jax
import matplotlib.pyplot as plt
import numpy as np

import sciml as sci

OUT = Path(__file__).parent.parent / "out"

# Model
x, y = sci.space("x", 0, 1), sci.space("y", 0, 1)
u, v, p = sci.fields("u v p", x, y)
equations = [sci.eq(u * f.diff(x) + v * f.diff(y), -p.diff(c) + sci.laplacian(f) / 100) for f, c in ((u, x), (v, y))]
still = [sci.eq(u, 0), sci.eq(v, 0)]
cavity = sci.System(
    [*equations, sci.eq(u.diff(x) + v.diff(y), 0)],
    boundary={x.left: still, x.right: still, y.left: still, y.right: [sci.eq(u, 1 - (2 * x - 1) ** 16), sci.eq(v, 0)]},
    name="cavity",
)

# Data: (y, u) on x = 1/2 and (x, v) on y = 1/2 by Ghia, Ghia and Shin
U = np.array([[0.9766, 0.84123], [0.9531, 0.68717], [0.8516, 0.23151], [0.7344, 0.00332], [0.6172, -0.13641], [0.5, -0.20581],
              [0.4531, -0.21090], [0.2813, -0.15662], [0.1719, -0.10150], [0.1016, -0.06434], [0.0547, -0.03717]])  # fmt: skip
V = np.array([[0.9688, -0.05906], [0.9453, -0.10313], [0.9063, -0.16914], [0.8594, -0.22445], [0.8047, -0.24533], [0.5, 0.05454],
              [0.2344, 0.17527], [0.2266, 0.17507], [0.1563, 0.16077], [0.0938, 0.12317], [0.0625, 0.09233]])  # fmt: skip


# Solve
def main(width: int = 16, steps: int = 120, points: int = 800, progress: bool = True) -> sci.pinn.NetworkSolution:
    """A network with three hidden layers, by Gauss-Newton steps."""
    network = sci.pinn.mlp(cavity, width=width, depth=3, key=jax.random.key(0))
    train = sci.pinn.Stage(sci.pinn.GaussNewton(max_steps=steps), every=10)
    return sci.pinn.fit(cavity, network, train=train, points=points, weights="equal", sampling="sobol", progress=progress)


def distance(net: sci.pinn.NetworkSolution) -> float:
    """The largest difference from Ghia's values."""
    on_x, on_y = net({"x": 0.5, "y": U[:, 0]})[u], net({"x": V[:, 0], "y": 0.5})[v]
    return float(max(np.abs(on_x - U[:, 1]).max(), np.abs(on_y - V[:, 1]).max()))


def eye(net: sci.pinn.NetworkSolution) -> tuple[float, float]:
    """Where the stream function, the integral of u over y, is lowest."""
    flow = np.asarray(net[u])
    step = net.axes["y"].points[1]
    stream = np.cumsum((flow[:, 1:] + flow[:, :-1]) / 2, axis=1) * step
    i, j = np.unravel_index(np.argmin(stream), stream.shape)
    return float(net.axes["x"].points[i]), float(net.axes["y"].points[j + 1])


# Plot
def picture(net: sci.pinn.NetworkSolution) -> Path:
    fig, (left, middle, right) = plt.subplots(1, 3, figsize=(13, 4), layout="constrained")
    across, up = (net.axes[n].points for n in ("x", "y"))
    flow = [np.asarray(net[f]).T for f in (u, v)]
    speed = np.hypot(*flow)
    image = left.pcolormesh(across, up, speed, cmap="viridis", rasterized=True)
    left.streamplot(across, up, *flow, color="w", linewidth=0.6, density=1.3, arrowsize=0.6)
    fig.colorbar(image, ax=left)
    left.set(xlabel="x", ylabel="y", aspect="equal", xlim=(0, 1), ylim=(0, 1), title="speed and streamlines")
    line = np.linspace(0, 1, 200)
    middle.plot(line, net({"x": 0.5, "y": line})[u], label="u on x = 1/2, over y")
    middle.plot(*U.T, "ko", ms=4, mfc="none", label="Ghia et al. 1982")
    middle.plot(line, net({"x": line, "y": 0.5})[v], label="v on y = 1/2, over x")
    middle.plot(*V.T, "ko", ms=4, mfc="none")
    middle.set(title="on the lines through the centre")
    net.plot_history(ax=right)
    right.set(title="training")
    for ax in (middle, right):
        ax.spines[["top", "right"]].set_visible(False)
        ax.legend(frameon=False, fontsize=8)
    OUT.mkdir(exist_ok=True)
    path = OUT / "pinn_cavity.png"
    fig.savefig(path, dpi=120)
    return path


if __name__ == "__main__":
    jax.config.update("jax_enable_x64", True)
    net = main()
    print(net)
    print(f"largest difference from Ghia's values: {distance(net):.4f}; the eye of the vortex at ({eye(net)[0]:.2f}, {eye(net)[1]:.2f})")
    print(f"picture: {picture(net)}")
