"""A nonlinear equation in a thousand dimensions: Allen-Cahn in the unit ball, with a solution that is known.

    u_11 + ... + u_dd + u - u^3 = f in |x| < 1,    u = 0 on |x| = 1,    d = 1000
    u = (1 - |x|^2) (sum of c_i sin(x_i + cos x_(i+1) + x_(i+1) cos x_i))    by which f is chosen (Hu, Shukla, Karniadakis, Kawaguchi 2024)

The right side f is derived from the symbols, as sums over X[i] that no program ever writes out. The Laplacian is exact: all thousand second
derivatives come from as many directions as the first layer has neurons. Each Gauss-Newton step solves the linearised equation at all of its
points at once, in the space of residuals, since there are fewer of them than weights; Adam needs a hundred times more steps.

How good is a small error here? The factor 1 - |x|^2 is built in, and the rest varies little in a ball of high dimension: a constant in place
of the network has a small error already. So errors are given as skill, the error over that of the best constant.

Run: python examples/pinn_allen_cahn_1000d.py      About 40 s on two cores.
Expected: a skill of about 0.085, a relative error of 6e-4.
"""

from pathlib import Path

import jax
import jax.numpy as jnp
import matplotlib.pyplot as plt
import numpy as np
import sympy as sp

import sciml as sci

OUT = Path(__file__).parent.parent / "out"


# Model
def declare(dim: int) -> tuple[sci.System, sp.Expr, sp.Expr]:
    """(the System with its right side, u, its solution)."""
    X = sci.space("X", -sp.oo, sp.oo, dim=dim)
    u, i = sci.fields("u", X), sp.Symbol("i", integer=True)
    c = sci.constants("c", np.random.default_rng(0).normal(size=dim - 1))
    ball = sci.ball(X, radius=1)
    exact = (1 - sci.dot(X, X)) * sp.Sum(c[i] * sp.sin(X[i] + sp.cos(X[i + 1]) + X[i + 1] * sp.cos(X[i])), (i, 0, dim - 2))
    allen_cahn = sci.System([sci.eq(sci.laplacian(u, X) + u - u**3, 0)], boundary={ball.surface: sci.eq(u, 0)}, domain=ball, name="allen_cahn")
    return sci.manufacture(allen_cahn, {u: exact}), u, exact


# Data: points to judge by, with a radius that is uniform as in training
def ball_points(count: int, dim: int) -> np.ndarray:
    rng = np.random.default_rng(1)
    ray = rng.normal(size=(count, dim))
    return rng.uniform(size=(count, 1)) * ray / np.linalg.norm(ray, axis=1, keepdims=True)


# Solve
def main(
    dim: int = 1000, steps: int = 60, width: int = 32, points: int = 600, progress: bool = True
) -> tuple[sci.pinn.NetworkSolution, np.ndarray, np.ndarray, np.ndarray]:
    """(network, |x|, its values and the exact ones at points that are new)."""
    system, u, exact = declare(dim)
    network = sci.pinn.mlp(system, width=width, depth=3, key=jax.random.key(0))
    train = sci.pinn.Stage(sci.pinn.GaussNewton(max_steps=steps, solve="dual"), every=1)
    net = sci.pinn.fit(system, network, train=train, points=points, sampling="uniform", progress=progress)
    judged = ball_points(2000, dim)
    at = net({"X": jnp.asarray(judged)})
    return net, np.linalg.norm(judged, axis=1), np.asarray(at[u], float), np.asarray(at[exact], float)


def skill(radius: np.ndarray, found: np.ndarray, known: np.ndarray) -> tuple[float, float]:
    """(relative error, error over that of the best constant times 1 - |x|^2)."""
    shape = 1 - radius**2
    constant = shape * (shape @ known) / (shape @ shape)
    return float(np.linalg.norm(found - known) / np.linalg.norm(known)), float(np.linalg.norm(found - known) / np.linalg.norm(constant - known))


# Plot
def picture(net: sci.pinn.NetworkSolution, radius: np.ndarray, found: np.ndarray, known: np.ndarray) -> Path:
    fig, (left, middle, right) = plt.subplots(1, 3, figsize=(13, 3.8), layout="constrained")
    shape = 1 - radius**2
    constant = (shape @ known) / (shape @ shape)
    rest = [(v / shape - constant)[radius < 0.98] for v in (known, found)]
    left.plot(radius, known, "k.", ms=2, label="exact")
    left.plot(radius, found, "C0.", ms=1, label="network")
    left.set(xlabel="|x|", title="u at points that are new")
    middle.plot(*rest, "C0.", ms=3)
    ends = [min(rest[0]), max(rest[0])]
    middle.plot(ends, ends, "k:", lw=1)
    middle.set(xlabel="exact", ylabel="network", title="u/(1 - |x|^2) less the best constant")
    net.plot_history(ax=right)
    right.set(title=f"training; error {skill(radius, found, known)[0]:.1e}, skill {skill(radius, found, known)[1]:.2f}")
    for ax in (left, middle, right):
        ax.spines[["top", "right"]].set_visible(False)
    for ax in (left, right):
        ax.legend(frameon=False, fontsize=8, markerscale=3)
    OUT.mkdir(exist_ok=True)
    path = OUT / "pinn_allen_cahn_1000d.png"
    fig.savefig(path, dpi=120)
    return path


if __name__ == "__main__":
    result = main()
    print(result[0])
    print(result[0].explain())
    print("relative error {:.2e}, skill {:.3f}".format(*skill(*result[1:])))
    print(f"picture: {picture(*result)}")
