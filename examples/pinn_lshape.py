"""The torsion of an L-shaped bar, whose inner corner makes the slope infinite: a domain with a shape, no mesh.

    -(u_xx + u_yy) = 1 in the square (-1, 1)^2 without its quarter (0, 1) x (-1, 0),    u = 0 on all of its boundary

Points lie in the L and on its sides, where the condition is a part of the loss, with a weight of 100, since u is much smaller than its second
derivatives. Around the inner corner the solution goes as r^(2/3), which no smooth network follows all the way. The reference is a fine grid
of finite differences, extrapolated with the order 4/3 that this corner leaves them.

Run: python examples/pinn_lshape.py      About 40 s on two cores.
Expected: a relative error of half a percent, largest at the inner corner; the torsion, the integral of u, is 0.21408.
"""

from pathlib import Path

import jax
import matplotlib.pyplot as plt
import numpy as np
import scipy.sparse as ss
import scipy.sparse.linalg

import sciml as sci

OUT = Path(__file__).parent.parent / "out"
TORSION = 0.21408

# Model
x, y = sci.space("x", -1, 1), sci.space("y", -1, 1)
u = sci.fields("u", x, y)
notch = sci.box((x, y), (0, -2), (2, 0))
sides = {side: sci.eq(u, 0) for side in (x.left, x.right, y.left, y.right, notch.surface)}
torsion = sci.System([sci.eq(-sci.laplacian(u), 1)], boundary=sides, domain=sci.box((x, y), (-1, -1), (1, 1)) - notch, name="lshape")


# Data: what a fine grid gives
def differences(n: int) -> np.ndarray:
    """u on a grid of 2n + 1 points in each direction by the five-point formula; 0 outside the L."""
    line = np.arange(1, 2 * n)
    within = ~((line[:, None] >= n) & (line[None] <= n))
    second = ss.diags([1.0, -2.0, 1.0], [-1, 0, 1], shape=(2 * n - 1, 2 * n - 1)) * n**2
    unit = ss.eye(2 * n - 1)
    rows = np.flatnonzero(within)
    laplacian = (ss.kron(second, unit) + ss.kron(unit, second)).tocsr()[rows][:, rows]
    found = np.zeros((2 * n + 1, 2 * n + 1))
    inner = np.zeros(within.size)
    inner[rows] = scipy.sparse.linalg.spsolve(-laplacian.tocsc(), np.ones(rows.size))
    found[1:-1, 1:-1] = inner.reshape(within.shape)
    return found


def reference(n: int = 64) -> np.ndarray:
    """u at 2n + 1 points in each direction, extrapolated from two grids."""
    coarse, fine = differences(n), differences(2 * n)[::2, ::2]
    return fine + (fine - coarse) / (2 ** (4 / 3) - 1)


# Solve
def main(width: int = 16, steps: int = 80, points: int = 1000, progress: bool = True) -> sci.pinn.NetworkSolution:
    """A network with three hidden layers, by Gauss-Newton steps."""
    network = sci.pinn.mlp(torsion, width=width, depth=3, key=jax.random.key(0))
    train = sci.pinn.Stage(sci.pinn.GaussNewton(max_steps=steps), every=10)
    weights = {f"u at {side.name}": 100.0 for side in sides}
    return sci.pinn.fit(torsion, network, train=train, points=points, weights=weights, progress=progress)


def compared(net: sci.pinn.NetworkSolution, n: int = 64) -> tuple[float, float, np.ndarray]:
    """(relative error, torsion, |net - reference| at 2n + 1 points in each direction)."""
    known, line = reference(n), np.linspace(-1, 1, 2 * n + 1)
    at = np.meshgrid(line, line, indexing="ij")
    mine = np.nan_to_num(np.asarray(net({"x": at[0], "y": at[1]})[u]))
    difference = np.abs(mine - known)
    return float(np.linalg.norm(difference) / np.linalg.norm(known)), float(mine.sum() / n**2), difference


# Plot
def picture(net: sci.pinn.NetworkSolution, difference: np.ndarray) -> Path:
    fig, (left, middle, right) = plt.subplots(1, 3, figsize=(13.5, 3.8), layout="constrained")
    line = np.linspace(-1, 1, len(difference))
    values = np.asarray(net[u])
    image = left.pcolormesh(*(net.axes[n].points for n in ("x", "y")), values.T, cmap="viridis", rasterized=True)
    left.contour(*(net.axes[n].points for n in ("x", "y")), values.T, 10, colors="w", linewidths=0.5)
    fig.colorbar(image, ax=left)
    outside = (line[:, None] > 0) & (line[None] < 0)
    powers = np.log10(np.maximum(np.where(outside, np.nan, difference), 1e-7))
    image = middle.pcolormesh(line, line, powers.T, cmap="magma", vmin=-6, vmax=-2, rasterized=True)
    fig.colorbar(image, ax=middle)
    for ax, title in ((left, "stress function u of the bar"), (middle, "log10 |network - fine grid|")):
        ax.set(xlabel="x", ylabel="y", title=title, aspect="equal")
    net.plot_history(ax=right)
    right.set(title="training")
    right.spines[["top", "right"]].set_visible(False)
    OUT.mkdir(exist_ok=True)
    path = OUT / "pinn_lshape.png"
    fig.savefig(path, dpi=120)
    return path


if __name__ == "__main__":
    jax.config.update("jax_enable_x64", True)
    net = main()
    error, twist, difference = compared(net)
    print(net)
    print(f"relative error: {error:.2e}, torsion {twist:.5f} (known: {TORSION})")
    print(f"picture: {picture(net, difference)}")
