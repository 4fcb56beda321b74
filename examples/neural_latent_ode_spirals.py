"""Latent ODE on spirals: from half of some noisy points to the whole curve, and beyond (Chen et al. 2018).

    encoder    a GRU reads the observations backwards:  q(z0) = normal(mean, deviation)
    dynamics   z' = f(z),  z(0) = z0
    decoder    x(t) = d(z(t)),  with normal noise

Trained by the evidence lower bound: the log likelihood of the points that were observed, less KL(q(z0) || normal(0, 1)).

Run: python examples/neural_latent_ode_spirals.py      About 30 s on two cores.
Expected: on spirals never seen, an error of 0.03 where points were observed, a third of their noise of 0.1, and 0.15 beyond.
"""

import math
import time
from pathlib import Path

import equinox as eqx
import jax
import jax.numpy as jnp
import matplotlib.pyplot as plt
import numpy as np
import optax

import sciml as sci

OUT = Path(__file__).parent.parent / "out"
NOISE, SEEN, ALL, STEP, LATENT, HIDDEN = 0.1, 40, 60, 0.1, 4, 24


# Model
class LatentODE(eqx.Module):
    """An encoder, a neural ODE and a decoder."""

    cell: eqx.nn.GRUCell
    head: eqx.nn.Linear
    ode: sci.nn.NeuralODE
    decoder: eqx.nn.MLP

    def __init__(self, key: jax.Array):
        a, b, c, d = jax.random.split(key, 4)
        self.cell = eqx.nn.GRUCell(3, HIDDEN, key=a)
        self.head = eqx.nn.Linear(HIDDEN, 2 * LATENT, key=b)
        self.ode = sci.nn.NeuralODE(eqx.nn.MLP(LATENT, LATENT, HIDDEN, 2, activation=jnp.tanh, key=c), time=False, rtol=1e-3, atol=1e-4)
        self.decoder = eqx.nn.MLP(LATENT, 2, HIDDEN, 1, activation=jnp.tanh, key=d)

    def encode(self, x: jax.Array, seen: jax.Array) -> tuple[jax.Array, jax.Array]:
        """(batch, times, 2) and (batch, times) -> mean and logarithm of the deviation of z0, (batch, LATENT)."""

        def one(x, seen):
            inputs = jnp.concatenate([jnp.where(seen[:, None], x, 0), seen[:, None].astype(x.dtype)], axis=1)
            state = jax.lax.scan(lambda h, v: (self.cell(v, h), None), jnp.zeros(HIDDEN), inputs, reverse=True)[0]
            return jnp.split(self.head(state), 2)

        return jax.vmap(one)(x, seen)

    def decode(self, z0: jax.Array, count: int) -> jax.Array:
        """The curves from some z0, at `count` times: (batch, count, 2). The batch is one System, with one step size."""
        times = STEP * np.arange(count)
        z = self.ode.solve(z0, t_span=(0.0, times[-1]), saveat=times)["z"]
        return jnp.swapaxes(jax.vmap(jax.vmap(self.decoder))(z), 0, 1)


# Data
def spirals(n: int, seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Curves without noise (n, ALL, 2), noisy points on their first part, and which of those were observed, about half."""
    rng = np.random.default_rng(seed)
    angle = rng.uniform(0, 2 * np.pi, (n, 1)) + STEP * np.arange(ALL) * 1.5
    turned = angle - angle[:, :1]
    out = rng.integers(0, 2, (n, 1)).astype(bool)  # half of them grow, the others shrink and turn the other way round
    radius = np.where(out, 0.5 + 0.12 * turned, 1.8 - 0.12 * turned)
    truth = np.stack([radius * np.cos(angle), np.where(out, 1, -1) * radius * np.sin(angle)], axis=-1).astype(np.float32)
    points = truth[:, :SEEN] + NOISE * rng.normal(size=(n, SEEN, 2)).astype(np.float32)
    return truth, points, rng.random((n, SEEN)) < 0.5


# Solve
def loss(model: LatentODE, batch: tuple, key: jax.Array) -> tuple[jax.Array, dict]:
    """Minus the evidence lower bound for one curve, in the mean over the batch."""
    points, seen = batch
    mean, log_std = model.encode(points, seen)
    z0 = mean + jnp.exp(log_std) * jax.random.normal(key, mean.shape)
    misfit = jnp.square((model.decode(z0, SEEN) - points) / NOISE).sum(axis=-1)
    kl = 0.5 * jnp.sum(jnp.exp(2 * log_std) + jnp.square(mean) - 1 - 2 * log_std, axis=-1)
    return jnp.mean(0.5 * jnp.sum(jnp.where(seen, misfit, 0), axis=-1) + kl), {"kl": jnp.mean(kl)}


def main(steps: int = 2500, n: int = 1000, progress: bool = True) -> tuple[sci.nn.TrainingResult, dict]:
    _, points, seen = spirals(n, 0)
    schedule = optax.cosine_decay_schedule(1e-2, steps)
    optimizer = optax.chain(optax.clip_by_global_norm(100.0), optax.adam(schedule))
    result = sci.nn.fit(
        LatentODE(jax.random.key(0)), (points, seen), loss, batch=64, steps=steps, optimizer=optimizer, key=jax.random.key(1), progress=progress
    )
    return result, errors(result.model)


def errors(model: LatentODE) -> dict[str, float]:
    """Root of the mean square on 200 new curves, without noise, where there were points and beyond."""
    truth, points, seen = spirals(200, 1)
    apart = np.square(np.asarray(model.decode(model.encode(points, seen)[0], ALL)) - truth).sum(axis=-1) / 2
    return {"where points were": math.sqrt(apart[:, :SEEN].mean()), "beyond": math.sqrt(apart[:, SEEN:].mean())}


# Plot
def picture(result: sci.nn.TrainingResult) -> Path:
    truth, points, seen = spirals(200, 1)
    rows = [*np.flatnonzero(truth[:, -1, 0] ** 2 + truth[:, -1, 1] ** 2 > 1)[:2], *np.flatnonzero((truth[:, -1] ** 2).sum(axis=-1) < 1)[:2]]
    truth, points, seen = truth[rows], points[rows], seen[rows]
    mean, log_std = result.model.encode(points, seen)
    draws = [result.model.decode(mean + jnp.exp(log_std) * jax.random.normal(k, mean.shape), ALL) for k in jax.random.split(jax.random.key(2), 12)]
    middle = np.asarray(result.model.decode(mean, ALL))
    fig, axes = plt.subplots(1, 4, figsize=(13, 3.6), layout="constrained")
    for i, ax in enumerate(axes):
        for k, draw in enumerate(draws):
            ax.plot(*np.asarray(draw)[i].T, color="C0", lw=0.5, alpha=0.35, label="other draws of z0" if k == 0 else None)
        ax.plot(*truth[i].T, "k", lw=1, label="truth")
        ax.plot(*middle[i, :SEEN].T, "C0", lw=2.2, label="found, where points were")
        ax.plot(*middle[i, SEEN - 1 :].T, "C1", lw=2.2, label="found, beyond")
        ax.plot(*points[i, seen[i]].T, "k.", ms=5, label="observed")
        ax.set(aspect="equal", xticks=[], yticks=[], title=f"a new spiral, {seen[i].sum()} points")
        ax.spines[:].set_visible(False)
    fig.legend(*axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=5, frameon=False)
    OUT.mkdir(exist_ok=True)
    path = OUT / "neural_latent_ode_spirals.png"
    fig.savefig(path, dpi=130)
    return path


if __name__ == "__main__":
    began = time.perf_counter()
    result, found = main()
    print("error on new spirals: " + ", ".join(f"{name} {value:.3f}" for name, value in found.items()) + f" (noise {NOISE})")
    print(f"picture: {picture(result)}   ({time.perf_counter() - began:.0f} s)")
