"""What does a neural CDE lose when observations are dropped, and what do log-signature windows save on long series?

Japanese vowels (270 + 370 utterances, 12 channels, 7 to 29 samples, 9 speakers; from aeon): a part of the samples of every utterance is
dropped, of which two remain at least, or a part of the single values; in training and test data alike. A neural CDE against a GRU that
gets the last values and the times since they were observed, of equal size and trained alike. Options and sizes were chosen on 80 to 100
of the training utterances with samples dropped. Five seeds: weights and what is dropped.

ACSF1 (1460 samples, from aeon): one training step of the plain CDE, one step of the solver for each sample, and of log-signature windows
of 20 samples and depth 2. Memory is what the compiled step asks for besides arguments and results.

Run: python -m benchmarks.neural_cde [windows] [samples] [values]
"""

import sys
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

SEEDS, STEPS, DROPPED = 5, 300, (0.0, 0.3, 0.5, 0.7)
LOST, TIME, MEMORY = 5.0, 1 / 8, 1 / 4  # targets
WINDOW = 20
Data = tuple[Any, Any]


class GRU(eqx.Module):
    """A recurrent network whose input is a sample and the times since each channel was last observed; what is missing is held."""

    cell: Any
    readout: Any

    def __init__(self, channels: int, hidden: int, outputs: int, *, key: Any):
        first, second = jax.random.split(key)
        self.cell = eqx.nn.GRUCell(2 * channels, hidden, key=first)
        self.readout = eqx.nn.Linear(hidden, outputs, key=second)

    def __call__(self, series: Any) -> Any:
        row = jnp.arange(len(series.t))[:, None]
        last = jax.lax.cummax(jnp.where(series.observed, row, -1))
        held = jnp.where(last >= 0, jnp.take_along_axis(series.x, jnp.maximum(last, 0), axis=0), 0)
        before = jnp.concatenate([jnp.zeros_like(last[:1]), last[:-1]])
        gaps = series.t[:, None] - series.t[jnp.maximum(before, 0)]

        def step(h: Any, row: Any) -> tuple[Any, None]:
            x, gaps, there = row
            return jnp.where(there, self.cell(jnp.concatenate([x, gaps]), h), h), None

        rows = (held, gaps, jnp.any(series.observed, axis=-1))
        return self.readout(jax.lax.scan(step, jnp.zeros(self.cell.hidden_size), rows)[0])


def cde(key: Any) -> sci.nn.NeuralCDE:
    """The path holds the integrals of the channels: their level tells who speaks."""
    start = eqx.nn.MLP(25, 24, 32, 1, jax.nn.softplus, key=jax.random.fold_in(key, 1))
    return sci.nn.NeuralCDE(12, 24, 9, width=8, initial=start, integral=True, key=key)


MODELS: dict[str, Callable[[Any], Any]] = {
    "NeuralCDE": cde,
    "GRU with time gaps": lambda key: GRU(12, 37, 9, key=key),
}


def vowels(split: str) -> Data:
    """(series, speakers)."""
    values, speakers = load_classification("JapaneseVowels", split=split)
    return sci.nn.series(None, [v.T for v in values]), jnp.asarray([int(s) - 1 for s in speakers], jnp.int32)


def prepared(fraction: float, what: str) -> tuple[Data, Data]:
    """Training and test data, each seed with its own dropped samples on the second axis, scaled by what is left for training."""
    (train, train_is), (test, test_is) = vowels("train"), vowels("test")
    made = []
    for seed in range(SEEDS):
        keys = jax.random.split(jax.random.key(seed))
        few, other = (s.dropped(fraction, k, what=what) for s, k in zip((train, test), keys, strict=True))
        made.append((few.standardised(), other.standardised(few.moments())))
    both = (jax.tree.map(lambda *seeds: jnp.stack(seeds, 1), *column) for column in zip(*made, strict=True))
    return tuple(zip(both, (train_is, test_is), strict=True))  # type: ignore[return-value]


def scores(models: Any, series: Any) -> Any:
    """(seeds, series, classes): each model on its own data."""
    return eqx.filter_vmap(lambda m, s: jax.vmap(m)(s), in_axes=(eqx.if_array(0), 1))(models, series)


def loss(models: Any, batch: Data, key: Any) -> Any:
    """Cross entropies, added over the seeds, which do not touch each other."""
    found = scores(models, batch[0])
    return jnp.sum(jnp.mean(optax.softmax_cross_entropy_with_integer_labels(found, jnp.broadcast_to(batch[1], found.shape[:-1])), axis=-1))


def accuracies(make: Callable[[Any], Any], train: Data, test: Data) -> tuple[int, np.ndarray]:
    """Number of weights, and the test accuracy of each seed in percent."""
    models = eqx.filter_vmap(make)(jax.random.split(jax.random.key(7), SEEDS))
    count = sum(a.size for a in jax.tree.leaves(eqx.filter(models, eqx.is_inexact_array))) // SEEDS
    optimizer = optax.adamw(optax.cosine_decay_schedule(5e-3, STEPS), weight_decay=1.0)
    trained = sci.nn.fit(models, train, loss, batch=32, steps=STEPS, optimizer=optimizer, progress=False).model
    right = eqx.filter_jit(scores)(trained, test[0]).argmax(-1) == test[1]
    return count, 100 * np.asarray(jnp.mean(right, axis=-1))


def dropped(what: str) -> None:
    """Accuracy against the part of samples, or of single values, that is dropped."""
    found: dict[tuple[str, float], np.ndarray] = {}
    rows: list[list[Any]] = []
    for fraction in DROPPED:
        train, test = prepared(fraction, what)
        for name, make in MODELS.items():
            count, accuracy = accuracies(make, train, test)
            found[name, fraction] = accuracy
            lost = float(np.median(found[name, 0.0] - accuracy))
            rows.append([name, count, fraction, *(round(float(f(accuracy)), 1) for f in (np.median, np.min, np.max)), round(lost, 1)])
    ours, peer = (float(np.median(found[name, 0.0] - found[name, 0.7])) for name in MODELS)
    rows.append(["target at 0.7", "", "", "", "", "", f"<= {LOST:g} and less than GRU: {'met' if ours <= min(LOST, peer) else 'not met'}"])
    table(f"Japanese vowels with dropped {what}", ["model", "weights", "dropped", "accuracy %", "least", "most", "lost (median)"], rows)


def windows() -> None:
    """Time and memory of a training step on series of 1460 samples."""
    values, labels = load_classification("ACSF1", split="train")
    batch = sci.nn.series(np.linspace(0, 1, values.shape[-1]), np.swapaxes(values, 1, 2)[:16])
    target = jnp.asarray([int(v) for v in labels[:16]], jnp.int32)
    steps: dict[str, Callable[[], Any]] = {}
    memory = {}
    for name, control in {"plain": "linear", f"windows of {WINDOW}": sci.nn.LogSignature(window=WINDOW)}.items():
        model = sci.nn.NeuralCDE(1, 32, 10, width=64, control=control, key=jax.random.key(0))
        weights, rest = eqx.partition(model, eqx.is_inexact_array)

        def value(weights: Any, rest: Any = rest) -> Any:
            found = jax.vmap(eqx.combine(weights, rest))(batch)
            return jnp.mean(optax.softmax_cross_entropy_with_integer_labels(found, target))

        compiled = jax.jit(jax.value_and_grad(value)).lower(weights).compile()
        memory[name] = compiled.memory_analysis().temp_size_in_bytes
        steps[name] = lambda compiled=compiled, weights=weights: jax.block_until_ready(compiled(weights))
    seconds = interleaved(steps, calls=1, repeats=7)
    plain = next(iter(steps))
    rows = [[n, 1e3 * seconds[n], seconds[n] / seconds[plain], memory[n] / 2**20, memory[n] / memory[plain]] for n in steps]
    rows.append(["target", "", f"<= {TIME:.3g}", "", f"<= {MEMORY:.3g}"])
    table("A training step on 1460 samples", ["control", "ms", "of plain", "MiB", "of plain "], rows)


if __name__ == "__main__":
    asked = sys.argv[1:] or ["windows", "samples", "values"]
    if "windows" in asked:
        windows()
    for what in ("samples", "values"):
        if what in asked:
            dropped(what)
