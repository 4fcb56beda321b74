"""Liquid networks: how accurate is a step for its evaluations, what does a forward pass cost, and how well do they classify?

1. 32 neurons, 32 samples, 8 inputs: largest error of the states against the equation solved to 1e-10, at 12 evaluations of the right
   side for each sample. Peer: the fused step, as published.
2. One pass of 32 series of JapaneseVowels: CfC against LTC, float32, adaptive steps to 1e-3 (the peer) and the fixed ones.
3. JapaneseVowels (270 series to learn from, 370 to test on, 12 channels, 9 speakers), float32: part of the test series that are recognised.

Five seeds each: weights, data of the first part, order of the batches.

Run: python -m benchmarks.neural_liquid      About 5 minutes on two cores.
"""

import functools
from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
from aeon.datasets import load_classification

import sciml as sci
from benchmarks.common import interleaved, table

SEEDS = range(5)
CHANNELS, SPEAKERS = 12, 9
AT_12 = {"fused": 12, "exponential": 6, "exponential4": 3}  # unfolds that take 12 evaluations
LEARNERS: dict[str, tuple[Callable[[Any], Any], int, float]] = {  # model, steps of training, rate
    "CfC, dense, 32 neurons": (lambda key: sci.nn.CfC(CHANNELS, 32, SPEAKERS, backbone=64, key=key), 600, 3e-3),
    "CfC, NCP, 48 neurons": (lambda key: sci.nn.CfC(CHANNELS, sci.nn.AutoNCP(48, SPEAKERS), SPEAKERS, key=key), 600, 5e-3),
    "LTC, dense, 32 neurons": (lambda key: sci.nn.LTC(CHANNELS, 32, SPEAKERS, unfolds=2, key=key), 300, 2e-2),
}


def spread(values: Any) -> str:
    """Median and range of five."""
    return f"{np.median(values):.3g} ({min(values):.3g} to {max(values):.3g})"


# -- 1: accuracy of the steps -----------------------------------------------------------


def step_errors(seed: int, gap: float) -> dict[str, float]:
    """The largest error of any state of one random network after any sample, for each step."""
    weights, noise = jax.random.split(jax.random.key(seed))
    t, x = gap * jnp.arange(32.0), jax.random.normal(noise, (32, 8))
    states = lambda **options: sci.nn.LTC(8, 32, first=gap, key=weights, **options).solve(t, x).states  # noqa: E731
    exact = states(step="tsit5", rtol=1e-10, atol=1e-10)
    return {step: float(jnp.abs(states(step=step, unfolds=n) - exact).max()) for step, n in AT_12.items()}


def steps() -> None:
    rows = []
    with jax.enable_x64(True):
        for gap in (0.3, 1.0, 3.0):
            errors = [step_errors(seed, gap) for seed in SEEDS]
            for step in AT_12:
                ratios = [e["fused"] / e[step] for e in errors]
                rows.append([gap, step, AT_12[step], spread([e[step] for e in errors]), spread(ratios), min(ratios) if step != "fused" else ""])
    table(
        "LTC, error of the states at 12 evaluations for each sample, target 4 times below fused",
        ["time between samples", "step", "unfolds", "largest error, median (range)", "fused / this", "smallest"],
        rows,
    )


# -- 2: cost of a pass --------------------------------------------------------------------


_through = eqx.filter_jit(lambda model, batch: jax.vmap(model)(batch))


def _passed(model: Any, batch: Any) -> Any:
    return _through(model, batch).block_until_ready()


def passes(batch: Any) -> None:
    rows = []
    for seed in SEEDS:
        key = jax.random.key(seed)
        make = lambda key=key, **options: sci.nn.LTC(CHANNELS, 32, SPEAKERS, key=key, **options)  # noqa: E731
        models = {
            "CfC": sci.nn.CfC(CHANNELS, 32, SPEAKERS, backbone=64, key=key),
            "LTC, tsit5 to 1e-3": make(step="tsit5", rtol=1e-3, atol=1e-3),
            "LTC, exponential, 6 unfolds": make(),
            "LTC, fused, 6 unfolds": make(step="fused"),
        }
        rows.append(interleaved({n: functools.partial(_passed, m, batch) for n, m in models.items()}, 2, 7))
    slow = [r["LTC, tsit5 to 1e-3"] for r in rows]
    table(
        "CfC against LTC, one pass of 32 series of JapaneseVowels, target 10 times faster than LTC with tsit5",
        ["model, 32 neurons", "ms, median (range)", "times faster than LTC with tsit5"],
        [[n, spread([1e3 * r[n] for r in rows]), spread([s / r[n] for s, r in zip(slow, rows, strict=True)])] for n in rows[0]],
    )


# -- 3: JapaneseVowels ----------------------------------------------------------------------


def vowels(part: str, moments: Any = None) -> tuple[Any, Any]:
    """(batch of series, speakers), each channel with mean 0 and deviation 1 over the training data."""
    values, labels = load_classification("JapaneseVowels", split=part)
    batch = sci.nn.series(None, [v.T for v in values])
    return batch.standardised(moments), jnp.asarray(np.asarray(labels).astype(int) - 1, jnp.int32)


def loss(model: Any, batch: Any, key: Any) -> Any:
    series, labels = batch
    return optax.softmax_cross_entropy_with_integer_labels(jax.vmap(model)(series), labels).mean()


def learn() -> None:
    moments = sci.nn.series(None, [v.T for v in load_classification("JapaneseVowels", split="train")[0]]).moments()
    train, (tests, labels) = vowels("train"), vowels("test", moments)
    right = eqx.filter_jit(lambda model, tests, labels: 100 * jnp.mean(jnp.argmax(jax.vmap(model)(tests), axis=1) == labels))
    found: dict[str, list[float]] = {}
    sizes = {}
    for name, (make, steps, rate) in LEARNERS.items():
        for seed in SEEDS:
            key = jax.random.key(seed)
            optimizer = optax.chain(optax.clip_by_global_norm(1.0), optax.adamw(optax.cosine_decay_schedule(rate, steps), weight_decay=1e-2))
            model = sci.nn.fit(make(key), train, loss, batch=32, steps=steps, optimizer=optimizer, key=key, progress=False).model
            found.setdefault(name, []).append(float(right(model, tests, labels)))
            if name.startswith("LTC"):
                exact = model.with_step("tsit5", rtol=1e-3, atol=1e-3)
                found.setdefault("the same LTC, tsit5 to 1e-3", []).append(float(right(exact, tests, labels)))
        sizes[name] = sum(a.size for a in jax.tree.leaves(eqx.filter(model, eqx.is_inexact_array)))
    best = np.median(found["LTC, dense, 32 neurons"])
    table(
        "JapaneseVowels, percent of the test series recognised, target within 2 points of LTC",
        ["model", "numbers in the model, masked ones included", "percent, median (range)", "points above LTC"],
        [[n, sizes.get(n, ""), spread(v), float(np.median(v) - best)] for n, v in found.items()],
    )


def main() -> None:
    steps()
    batch, _ = vowels("train")
    passes(batch[:32])
    learn()


if __name__ == "__main__":
    main()
