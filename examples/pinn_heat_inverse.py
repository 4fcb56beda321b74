"""How well does a bar conduct heat, and how sure is that? The diffusivity from sixty noisy temperatures at scattered places and times.

    u_t = k u_xx on (0, 1),    u = 0 at both ends,    k unknown, and what the bar was at t = 0 unknown, too

One loss has both, the equation at random points and the measurements in units of their noise, with a small weight, so that the equation is not
bent to follow the noise. Networks that start from other weights, and
get the rows of the table drawn anew with repetition (the bootstrap, Efron 1979), show how far the noise moves the answer.

Run: python examples/pinn_heat_inverse.py      About 40 s on two cores.
Expected: k = 0.08 within a few percent.
"""

from pathlib import Path

import jax
import matplotlib.pyplot as plt
import numpy as np

import sciml as sci

OUT = Path(__file__).parent.parent / "out"
K, SIGMA = 0.08, 0.02

# Model
t = sci.t
x = sci.space("x", 0, 1)
u = sci.fields("u", t, x)
k = sci.parameters("k", 0.2, bounds=(1e-3, 1.0), description="diffusivity")
bar = sci.System([sci.eq(u.diff(t), k * u.diff(x, 2))], boundary={x.left: sci.eq(u, 0), x.right: sci.eq(u, 0)}, name="bar")


# Data
def exact(times: np.ndarray, places: np.ndarray) -> np.ndarray:
    """Two modes that decay, with the true k."""
    first, second = (np.exp(-K * (n * np.pi) ** 2 * times) * np.sin(n * np.pi * places) for n in (1, 3))
    return first + 0.5 * second


def measure(count: int = 60) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(1)
    times, places = rng.uniform(0, 1, count), rng.uniform(0, 1, count)
    return {"t": times, "x": places, "u": exact(times, places) + rng.normal(0, SIGMA, count)}


# Solve
def main(table: dict[str, np.ndarray], count: int = 5, steps: int = 40, points: int = 300, progress: bool = True) -> sci.pinn.NetworkEnsemble:
    """Several networks of 10 x 2 neurons, each with its own k."""
    train = sci.pinn.Stage(sci.pinn.GaussNewton(max_steps=steps), every=10)
    options = dict(free=[k], noise=SIGMA, train=train, points=points, weights={"data u": 0.01}, progress=progress)
    return sci.pinn.ensemble(bar, lambda key: sci.pinn.mlp(bar, width=10, depth=2, key=key), count=count, resample=True, data=table, **options)


# Plot
def picture(table: dict[str, np.ndarray], runs: sci.pinn.NetworkEnsemble) -> Path:
    fig, (left, middle, right) = plt.subplots(1, 3, figsize=(13, 3.8), layout="constrained")
    net = runs.members[0]
    times, places, mean = net.t, net.axes["x"].points, runs.mean(u)
    image = left.pcolormesh(times, places, mean.T, cmap="magma", rasterized=True)
    left.scatter(table["t"], table["x"], c=table["u"], cmap="magma", edgecolors="w", s=22, lw=0.6, clip_on=False, norm=image.norm)
    fig.colorbar(image, ax=left)
    left.set(xlabel="t", ylabel="x", title="mean of the networks, and the measurements")
    spread = runs.std(u)
    for row, shade in zip((0, 20, 60), ("C0", "C2", "C3"), strict=True):
        middle.plot(places, exact(np.full(places.shape, times[row]), places), "k:", lw=1)
        middle.plot(places, mean[row], color=shade, label=f"t = {times[row]:.1f}")
        middle.fill_between(places, mean[row] - 2 * spread[row], mean[row] + 2 * spread[row], color=shade, alpha=0.2, lw=0)
    middle.set(xlabel="x", title="bands of two deviations; truth dotted")
    values = np.array([m.params["k"] for m in runs.members])
    centre, width = runs.params.loc["k", ["mean", "std"]]
    line = np.linspace(centre - 4 * width, centre + 4 * width, 200)
    right.plot(line, np.exp(-(((line - centre) / width) ** 2) / 2), color="C0", label=f"{centre:.4f} +- {width:.4f}")
    right.plot(values, np.zeros(values.size), "|", ms=14, color="C0", label="members")
    right.axvline(K, color="k", ls=":", label="truth")
    right.set(xlabel="k", yticks=[], title="the diffusivity")
    right.locator_params(axis="x", nbins=5)
    for ax in (middle, right):
        ax.spines[["top", "right"]].set_visible(False)
        ax.legend(frameon=False, fontsize=8)
    OUT.mkdir(exist_ok=True)
    path = OUT / "pinn_heat_inverse.png"
    fig.savefig(path, dpi=120)
    return path


if __name__ == "__main__":
    jax.config.update("jax_enable_x64", True)
    table = measure()
    runs = main(table)
    print(runs)
    print(runs.params)
    print(f"picture: {picture(table, runs)}")
