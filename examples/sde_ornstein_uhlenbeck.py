"""Ornstein-Uhlenbeck process: many paths at once, their mean and spread against the exact ones.

    x' = rate*(level - x) + sigma*xi,    xi white noise
    mean = level + (x0 - level)*exp(-rate*t),    variance = sigma**2/(2*rate)*(1 - exp(-2*rate*t))

Run: python examples/sde_ornstein_uhlenbeck.py      About 10 s on two cores.
Expected: mean and standard deviation of 4000 paths within a few percent of the exact ones at every time.
"""

from pathlib import Path

import jax
import matplotlib.pyplot as plt
import numpy as np

import sciml as sci

OUT = Path(__file__).parent.parent / "out"
RATE, LEVEL, SIGMA, START = 0.8, 1.0, 0.5, 3.0


# Model
t = sci.t
x = sci.variables("x", initial=START)
rate, level, sigma = sci.parameters("rate level sigma", [RATE, LEVEL, SIGMA], bounds=(0, None))
xi = sci.white_noise("xi")
system = sci.System([sci.eq(x.diff(t), rate * (level - x) + sigma * xi)], name="ornstein_uhlenbeck")


def exact(times: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean and standard deviation."""
    decay = np.exp(-RATE * times)
    return LEVEL + (START - LEVEL) * decay, SIGMA * np.sqrt((1 - decay**2) / (2 * RATE))


# Solve: one path for each key
def main(paths: int = 4000) -> sci.Solution:
    def one(key):
        return sci.solve(system, t_span=(0, 5), saveat=101, dt=0.02, key=key)

    return jax.jit(jax.vmap(one))(jax.random.split(jax.random.key(0), paths))


# Plot
def picture(sol: sci.Solution) -> Path:
    times, values = np.asarray(sol.t)[0], np.asarray(sol[x])
    mean, deviation = exact(times)
    fig, ax = plt.subplots(figsize=(7, 4), layout="constrained")
    ax.plot(times, values[:12].T, color="0.75", lw=0.6)
    found, spread = values.mean(axis=0), values.std(axis=0)
    ax.fill_between(
        times, found - 2 * spread, found + 2 * spread, color="C0", alpha=0.2, lw=0, label=f"{len(values)} paths: mean ± 2 standard deviations"
    )
    ax.plot(times, found, color="C0", lw=2)
    ax.plot(times, np.stack([mean, mean - 2 * deviation, mean + 2 * deviation], axis=1), "k--", lw=1, label=["exact", None, None])
    ax.set(xlabel="t", ylabel="x", title=f"Ornstein-Uhlenbeck process, solver {sol.stats['solver']}", xlim=(0, 5))
    ax.spines[["top", "right"]].set_visible(False)
    ax.legend(frameon=False)
    OUT.mkdir(exist_ok=True)
    path = OUT / "sde_ornstein_uhlenbeck.png"
    fig.savefig(path, dpi=150)
    return path


if __name__ == "__main__":
    jax.config.update("jax_enable_x64", True)
    sol = main()
    mean, deviation = exact(5.0)
    print(sol.stats["reason"])
    print(f"mean at the end: {sol[x][:, -1].mean():.4f}, exactly {mean:.4f}")
    print(f"standard deviation at the end: {sol[x][:, -1].std():.4f}, exactly {deviation:.4f}")
    print(f"picture: {picture(sol)}")
