"""A price that depends on a hundred assets: the equation of Black, Scholes and Barenblatt.

    u_t + 1/2 sum of sigma^2 x_i^2 u_ii = r (u - sum of x_i u_i),    u = |x|^2 at t = T,    sigma = 0.4, r = 0.05, T = 1
    u = exp((r + sigma^2)(T - t)) |x|^2    is known; asked for is u(0, X0) with X0 = (1, 1/2, 1, 1/2, ...)

There is no box to fill: points lie on paths of the assets, dX = sigma X dW, which all start at X0 (Raissi 2018, arXiv:1804.07010). The value
at T is built into the network. The sums over X[i] stay sums; all second derivatives are exact, by as many directions.

Run: python examples/pinn_black_scholes_100d.py      About 60 s on two cores.
Expected: u(0, X0) = 77.10 within half a percent.
"""

from pathlib import Path

import jax
import jax.numpy as jnp
import matplotlib.pyplot as plt
import numpy as np
import sympy as sp

import sciml as sci

OUT = Path(__file__).parent.parent / "out"
DIM, SIGMA, RATE = 100, 0.4, 0.05

# Model
t = sci.t
X = sci.space("X", -sp.oo, sp.oo, dim=DIM)
u = sci.fields("u", t, X)
i = sp.Symbol("i", integer=True)
spread = sp.Sum(X[i] ** 2 * u.diff(X[i], 2), (i, 0, DIM - 1)) * SIGMA**2 / 2
drift = sp.Sum(X[i] * u.diff(X[i]), (i, 0, DIM - 1))
price = sci.System([sci.eq(u.diff(t) + spread, RATE * (u - drift))], final={u: sci.dot(X, X)}, name="black_scholes")
exact = sp.exp((RATE + SIGMA**2) * (1 - t)) * sci.dot(X, X)
START = np.where(np.arange(DIM) % 2, 0.5, 1.0)
KNOWN = float(np.exp(RATE + SIGMA**2) * (START**2).sum())


# Data: points to train at, and to judge by
def paths(key: jax.Array, n: int) -> dict[str, jax.Array]:
    """n points (t, X), each on a path of its own."""
    first, second = jax.random.split(key)
    times = jax.random.uniform(first, (n,))
    walk = jnp.sqrt(times)[:, None] * jax.random.normal(second, (n, DIM))
    return {"t": times, "X": jnp.asarray(START, times.dtype)[None] * jnp.exp(SIGMA * walk - SIGMA**2 / 2 * times[:, None])}


# Solve
def main(steps: int = 30, width: int = 32, points: int = 600, progress: bool = True) -> sci.pinn.NetworkSolution:
    """By Gauss-Newton steps in the space of residuals, each with new paths."""
    network = sci.pinn.mlp(price, width=width, depth=2, key=jax.random.key(0))
    train = sci.pinn.Stage(sci.pinn.GaussNewton(max_steps=steps, solve="dual"), every=1)
    return sci.pinn.fit(price, network, train=train, points=points, sampling=paths, progress=progress)


def at_start(net: sci.pinn.NetworkSolution) -> float:
    """The price at the beginning."""
    return float(net({"t": jnp.zeros(1), "X": jnp.asarray(START)[None]})[u][0])


# Plot
def picture(net: sci.pinn.NetworkSolution) -> Path:
    fig, (left, right) = plt.subplots(1, 2, figsize=(9.5, 3.8), layout="constrained")
    times = jnp.linspace(0, 1, 51)
    for n, shade in enumerate(plt.colormaps["viridis"](np.linspace(0, 0.85, 5))):
        noise = jnp.cumsum(jax.random.normal(jax.random.key(n), (50, DIM)), axis=0) / jnp.sqrt(50.0)
        walk = jnp.concatenate([jnp.zeros((1, DIM), noise.dtype), noise])
        path = {"t": times, "X": jnp.asarray(START, times.dtype)[None] * jnp.exp(SIGMA * walk - SIGMA**2 / 2 * times[:, None])}
        left.plot(times, net(path)[exact], color=shade, lw=3, alpha=0.35)
        left.plot(times, net(path)[u], "--", color=shade, lw=1.2)
    left.set(xlabel="t", title="u along five paths: known, and network (dashes)")
    net.plot_history(ax=right)
    right.set(title=f"training; u(0, X0) = {at_start(net):.2f}, known {KNOWN:.2f}")
    right.legend(frameon=False, fontsize=8)
    for ax in (left, right):
        ax.spines[["top", "right"]].set_visible(False)
    OUT.mkdir(exist_ok=True)
    path = OUT / "pinn_black_scholes_100d.png"
    fig.savefig(path, dpi=120)
    return path


if __name__ == "__main__":
    net = main()
    print(net)
    print(net.explain())
    print(f"u(0, X0) = {at_start(net):.3f}, known {KNOWN:.3f}")
    print(f"picture: {picture(net)}")
