"""Latent SDE on sunspots: a noisy cycle, its band, and where it may go in the next eleven years (Li et al. 2020).

    prior       z' = h(z) + g(z) xi                    z(0) normal
    posterior   z' = f(z, context(t)) + g(z) xi        z(0) and context from a GRU that reads the record backwards
    decoder     sqrt(sunspots) = d(z) + normal noise

Trained on pieces of 33 years before 1948 by the evidence lower bound: the log likelihood of the record, less the distance of the
posterior from the prior, which is one more state of the System. A forecast is the posterior up to now and the prior from there on.
Data: yearly sunspot numbers 1700-2008, National Geophysical Data Center, from statsmodels.

Run: python examples/neural_latent_sde.py      About 60 s on two cores.
Expected: forecasts from 1948 on with 0.55 of the error of the mean, as good as the record of eleven years before; 70 percent of the values
in the band that should hold 90, since the cycles after 1948 were higher than any before. About 12 nats tell the posterior from the prior.
"""

import time
from pathlib import Path

import equinox as eqx
import jax
import jax.numpy as jnp
import matplotlib.pyplot as plt
import numpy as np
import optax
import statsmodels.api as sm

import sciml as sci

OUT = Path(__file__).parent.parent / "out"
YEARS, AHEAD, LATENT, CONTEXT, HIDDEN = 33, 11, 3, 4, 24
UNIT = 5.0  # years in a unit of time, so that rates are about 1
LEVEL, SCALE = 6.5, 3.0  # of the root of the sunspot number


# Model
class LatentSunspots(eqx.Module):
    """An encoder, a latent SDE and a decoder."""

    cell: eqx.nn.GRUCell
    told: eqx.nn.Linear
    start: eqx.nn.Linear
    sde: sci.nn.LatentSDE
    decoder: eqx.nn.MLP
    log_noise: jax.Array

    def __init__(self, key: jax.Array):
        a, b, c, d, e, f, g = jax.random.split(key, 7)
        self.cell = eqx.nn.GRUCell(1, HIDDEN, key=a)
        self.told = eqx.nn.Linear(HIDDEN, CONTEXT, key=b)
        self.start = eqx.nn.Linear(HIDDEN, 2 * LATENT, key=c)
        posterior = eqx.nn.MLP(LATENT + CONTEXT, LATENT, HIDDEN, 1, jnp.tanh, key=d)
        prior = eqx.nn.MLP(LATENT, LATENT, HIDDEN, 1, jnp.tanh, key=e)
        strength = eqx.nn.MLP(LATENT, LATENT, HIDDEN, 1, jnp.tanh, lambda v: 0.05 + jax.nn.sigmoid(v - 1), key=f)
        self.sde = sci.nn.LatentSDE(
            posterior, prior, strength, LATENT, context=CONTEXT,
            knots=np.arange(YEARS) / UNIT, t_span=(0.0, (YEARS - 1) / UNIT), time=False, dt=1 / UNIT, max_steps=64,
        )  # fmt: skip
        self.decoder = eqx.nn.MLP(LATENT, 1, HIDDEN, 1, activation=jnp.tanh, key=g)
        self.log_noise = jnp.asarray(-1.5)

    @property
    def noise(self) -> jax.Array:
        """Of a record; not less than what a count of this size has."""
        return 0.2 + jnp.exp(self.log_noise)

    def posterior(self, x: jax.Array, key: jax.Array) -> tuple[jax.Array, jax.Array]:
        """A record of YEARS values -> a path (YEARS, LATENT), and its distance from the prior."""
        states = jax.lax.scan(lambda h, v: (self.cell(v, h),) * 2, jnp.zeros(HIDDEN), x[:, None], reverse=True)[1]
        mean, log_std = jnp.split(self.start(states[0]), 2)
        return self.sde(mean, log_std, jax.vmap(self.told)(states), key=key, saveat=np.arange(YEARS) / UNIT)

    def forecast(self, x: jax.Array, key: jax.Array) -> jax.Array:
        """What would be measured in the years of a record and in those AHEAD: one draw, (YEARS + AHEAD,)."""
        first, second, third = jax.random.split(key, 3)
        z, _ = self.posterior(x, first)
        after = self.sde.prior.solve(z[-1], t_span=(0.0, AHEAD / UNIT), key=second, saveat=np.arange(1, AHEAD + 1) / UNIT)["z"]
        found = jax.vmap(self.decoder)(jnp.concatenate([z, after]))[:, 0]
        return found + self.noise * jax.random.normal(third, found.shape)


# Data
def record() -> tuple[np.ndarray, np.ndarray]:
    """Years, and the root of the sunspot numbers, which makes the noise alike in quiet and in active years."""
    table = sm.datasets.sunspots.load_pandas().data
    return table["YEAR"].to_numpy().astype(int), ((np.sqrt(table["SUNACTIVITY"]) - LEVEL) / SCALE).to_numpy(np.float32)


def pieces(values: np.ndarray, length: int) -> np.ndarray:
    return np.lib.stride_tricks.sliding_window_view(values, length)


# Solve
def loss(model: LatentSunspots, batch: jax.Array, key: jax.Array) -> tuple[jax.Array, dict]:
    """Minus the evidence lower bound of a record, in the mean over the batch."""
    z, kl = jax.vmap(model.posterior)(batch, jax.random.split(key, len(batch)))
    apart = (jax.vmap(jax.vmap(model.decoder))(z)[..., 0] - batch) / model.noise
    misfit = jnp.sum(0.5 * jnp.square(apart) + jnp.log(model.noise), axis=1)
    return jnp.mean(misfit + kl), {"kl": jnp.mean(kl)}


def main(steps: int = 1200, progress: bool = True) -> tuple[sci.nn.TrainingResult, dict]:
    years, values = record()
    data = pieces(values[years < 1948], YEARS)
    optimizer = optax.chain(optax.clip_by_global_norm(50.0), optax.adamw(optax.cosine_decay_schedule(1e-2, steps), weight_decay=1e-3))
    result = sci.nn.fit(
        LatentSunspots(jax.random.key(0)), data, loss, batch=32, steps=steps, optimizer=optimizer, key=jax.random.key(1), progress=progress
    )  # fmt: skip
    return result, judged(result.model)


@eqx.filter_jit
def forecasts(model: LatentSunspots, row: jax.Array, keys: jax.Array) -> jax.Array:
    return jax.vmap(lambda key: model.forecast(row, key))(keys)


def draws(model: LatentSunspots, rows: np.ndarray, count: int = 200) -> np.ndarray:
    """(count, records, YEARS + AHEAD)."""
    keys = jax.random.split(jax.random.key(2), count)
    return np.stack([np.asarray(forecasts(model, row[:YEARS], keys)) for row in rows], axis=1)


def size(v: np.ndarray) -> float:
    return float(np.sqrt(np.mean(np.square(v))))


def judged(model: LatentSunspots) -> dict[str, float]:
    """Errors of forecasts that begin after 1948, relative to that of the mean of the record before, and how often the 90% band holds."""
    years, values = record()
    rows = pieces(values, YEARS + AHEAD)[years[: -(YEARS + AHEAD - 1)] + YEARS > 1948][::2]
    found, truth = draws(model, rows)[..., YEARS:], rows[:, YEARS:]
    low, high = np.quantile(found, [0.05, 0.95], axis=0)
    plain = size(truth - values[years < 1948].mean())
    return {
        "forecast": size(np.median(found, axis=0) - truth) / plain,
        "eleven years before": size(rows[:, YEARS - AHEAD : YEARS] - truth) / plain,
        "inside the band": float(np.mean((low < truth) & (truth < high))),
        "width": float(np.mean(high - low) / np.ptp(np.quantile(values, [0.05, 0.95]))),
    }


# Plot
def number(v: np.ndarray) -> np.ndarray:
    """Sunspots again."""
    return np.square(np.maximum(SCALE * v + LEVEL, 0))


def picture(result: sci.nn.TrainingResult) -> Path:
    years, values = record()
    fig, axes = plt.subplots(1, 2, figsize=(13, 4), layout="constrained", sharey=True)
    for ax, begin in zip(axes, (1932, 1956), strict=True):
        rows = pieces(values, YEARS + AHEAD)[begin - years[0]][None]
        found, span = number(draws(result.model, rows)[:, 0]), begin + np.arange(YEARS + AHEAD)
        low, middle, high = np.quantile(found, [0.05, 0.5, 0.95], axis=0)
        for part, color, label in ((slice(0, YEARS), "C0", "posterior"), (slice(YEARS - 1, None), "C1", "forecast")):
            ax.fill_between(span[part], low[part], high[part], color=color, alpha=0.2, lw=0, label=f"{label}, 90% band")
            ax.plot(span[part], middle[part], color=color, lw=2)
        ax.plot(span[YEARS - 1 :], found[:8, YEARS - 1 :].T, color="C1", lw=0.6)
        ax.plot(span, number(rows[0]), "k.", ms=5, label="sunspots")
        ax.axvline(begin + YEARS - 1, color="0.6", lw=0.8, ls=":")
        ax.set(xlabel="year", title=f"what is known ends in {begin + YEARS - 1}")
        ax.spines[["top", "right"]].set_visible(False)
    axes[0].set(ylabel="sunspot number", ylim=(0, None))
    axes[0].legend(frameon=False, loc="upper left")
    OUT.mkdir(exist_ok=True)
    path = OUT / "neural_latent_sde.png"
    fig.savefig(path, dpi=130)
    return path


if __name__ == "__main__":
    began = time.perf_counter()
    result, found = main()
    print(f"error of the forecasts, relative to the mean of the past: {found['forecast']:.2f}")
    print(f"the record of eleven years before as a forecast: {found['eleven years before']:.2f}")
    print(f"values inside the 90% band of the forecast: {100 * found['inside the band']:.0f} percent")
    print(f"picture: {picture(result)}   ({time.perf_counter() - began:.0f} s)")
