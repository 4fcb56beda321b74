"""What is inside the rod? The diffusivity k(x), at every point of the grid, from noisy temperatures.

    u_t = (k(x) u_x)_x on (0, 1),    u = sin^2(3 t) at the left,  u_x = 0 at the right,  u = 0 at t = 0

    k = exp(z),  z = argmin |u(t_i, x_j) - measured|^2 / sigma^2 + exp(w) * integral of (z_xx)^2

The gradient by all points of k comes from one solve backwards through the solver's own steps. The weight of smoothness is the largest with which
the misfit stays within the noise (Morozov's discrepancy principle).

Run: python examples/pde_inverse_diffusivity.py      About 15 s on two cores.
Expected: k to 9 percent, from temperatures with half a percent of noise; the least known part is the right end, where little heat flows.
"""

from pathlib import Path

import jax
import jax.numpy as jnp
import matplotlib.pyplot as plt
import numpy as np
import scipy.optimize
import sympy as sp

import sciml as sci

OUT = Path(__file__).parent.parent / "out"
N, SIGMA = 33, 0.005

# Model
t = sci.t
x = sci.space("x", 0, 1)
u = sci.fields("u", t, x)
k = sci.parameters("k", 0.3, over=x, description="diffusivity")
system = sci.System(
    [sci.eq(u.diff(t), sci.D(k * u.diff(x), x))],
    initial={u: 0},
    boundary={x.left: sci.eq(u, sp.sin(3 * t) ** 2), x.right: sci.eq(u.diff(x), 0)},
    name="rod",
)
rod = sci.discretize(system, {x: sci.FiniteDifference(N)})

# Data: nine thermometers, forty times; a bad spot in the middle
points = np.linspace(0, 1, N)
truth = 0.3 + 0.1 * np.sin(2 * np.pi * points) - 0.18 * np.exp(-(((points - 0.55) / 0.08) ** 2))
places, times = np.arange(3, N, 3)[:9], np.linspace(0.05, 2, 40)


def temperatures(z: jax.Array) -> jax.Array:
    """At the thermometers, for k = exp(z)."""
    sol = sci.solve(rod, t_span=(0, 2), params={"k": jnp.exp(z)}, saveat=times, solver="rodas5p", rtol=1e-5)
    return sol[u][:, places]


def observe() -> np.ndarray:
    return np.asarray(temperatures(jnp.log(truth))) + np.random.default_rng(0).normal(0, SIGMA, (times.size, places.size))


# Solve: in the unknowns y = (value and slope at the left end, bends), for which the penalty is a plain sum of squares
BENDS = np.concatenate([np.eye(1, N), (N - 1) * np.diff(np.eye(N), axis=0)[:1], (N - 1) ** 1.5 * np.diff(np.eye(N), n=2, axis=0)])
SHAPES = jnp.asarray(np.linalg.inv(BENDS))


@jax.jit
def objective(y: jax.Array, measured: jax.Array, weight: jax.Array) -> tuple[tuple[jax.Array, jax.Array], jax.Array]:
    """(the sum, the misfit: 1 where model and measurements differ by the noise), gradient."""

    def both(y: jax.Array) -> tuple[jax.Array, jax.Array]:
        misfit = jnp.mean((temperatures(SHAPES @ y) - measured) ** 2) / SIGMA**2
        return misfit + jnp.exp(weight) * jnp.sum(y[2:] ** 2), misfit

    return jax.value_and_grad(both, has_aux=True)(y)


def fitted(measured: np.ndarray, weight: float, start: np.ndarray) -> tuple[np.ndarray, float, int]:
    """z for a weight of smoothness, its misfit, and how often the gradient was needed."""

    def value(scaled: np.ndarray) -> tuple[float, np.ndarray]:
        (total, _), gradient = objective(jnp.asarray(scaled * sizes), jnp.asarray(measured), jnp.asarray(weight))
        return float(total), np.asarray(gradient, float) * sizes

    sizes = np.append([1.0, 1.0], np.full(N - 2, np.exp(-weight / 2) * 0.1))
    found = scipy.optimize.minimize(value, BENDS @ start / sizes, jac=True, method="L-BFGS-B", options={"maxiter": 80})
    y = found.x * sizes
    return np.asarray(SHAPES @ y), float(objective(jnp.asarray(y), jnp.asarray(measured), jnp.asarray(weight))[0][1]), int(found.nfev)


def main() -> tuple[np.ndarray, dict[float, tuple[np.ndarray, float, int]]]:
    """The measurements, and what each weight gives; each search starts from the one before, from smooth to rough."""
    measured, z, found = observe(), np.full(N, np.log(0.3)), {}
    for weight in (-3.0, -6.0, -9.0, -12.0):
        found[weight] = fitted(measured, weight, z)
        z = found[weight][0]
    return measured, found


def chosen(found: dict[float, tuple[np.ndarray, float, int]]) -> float:
    """The largest weight with which the misfit stays within the noise."""
    return next((w for w, (_, value, _) in found.items() if value <= 1.05), min(found))


def error(z: np.ndarray) -> float:
    return float(np.linalg.norm(np.exp(z) - truth) / np.linalg.norm(truth))


# Plot
def picture(measured: np.ndarray, found: dict[float, tuple[np.ndarray, float, int]]) -> Path:
    fig, (left, middle, right) = plt.subplots(1, 3, figsize=(13, 4), layout="constrained")
    best = chosen(found)
    left.plot(points, truth, "k", lw=1, label="truth")
    for weight, colour, label in ((max(found), "C2--", "too smooth"), (min(found), "C1:", "too rough"), (best, "C0", "chosen")):
        if weight != best or label == "chosen":
            left.plot(points, np.exp(found[weight][0]), colour, lw=2 if label == "chosen" else 1.2, label=label)
    left.plot(points[places], np.full(places.size, 0.02), "k^", ms=4, clip_on=False)
    left.set(xlabel="x", ylim=(0, 0.6), title="the diffusivity k(x)")
    left.annotate("thermometers", (points[places[0]], 0.035), fontsize=8)
    model = np.asarray(temperatures(jnp.asarray(found[best][0])))
    shades = plt.colormaps["viridis"](np.linspace(0, 0.85, places.size))
    for j, shade in list(enumerate(shades))[::2]:
        middle.plot(times, measured[:, j], ".", color=shade, ms=4)
        middle.plot(times, model[:, j], color=shade, lw=1, label=f"x = {points[places[j]]:.1f}")
    middle.set(xlabel="t", title="temperatures, measured and fitted")
    weights = np.array(list(found))
    right.semilogy(weights, [value for _, value, _ in found.values()], "k.-", label="misfit, in units of the noise")
    right.semilogy(weights, [error(z) for z, _, _ in found.values()], "C3.-", label="error of k")
    right.axhline(1, color="k", lw=0.6, ls=":")
    right.axvline(best, color="C0", ls=":", label="chosen")
    right.set(xlabel="log weight of smoothness", title="how much to smooth")
    for ax in (left, middle, right):
        ax.spines[["top", "right"]].set_visible(False)
        ax.legend(frameon=False, fontsize=8)
    OUT.mkdir(exist_ok=True)
    path = OUT / "pde_inverse_diffusivity.png"
    fig.savefig(path, dpi=120)
    return path


if __name__ == "__main__":
    jax.config.update("jax_enable_x64", True)
    measured, found = main()
    for weight, (z, value, count) in found.items():
        mark = "  <- chosen" if weight == chosen(found) else ""
        print(f"weight exp({weight:.0f}): misfit {value:.2f} of the noise, error of k {100 * error(z):.0f} percent, {count} gradients{mark}")
    print(f"picture: {picture(measured, found)}")
