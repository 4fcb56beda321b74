"""Does a penalty on the solver's own error estimate make a neural ODE cheaper to solve? Digits of scikit-learn, five seeds.

    z' = f(z, t) on (0, 1), 64 states, f: 65-64 tanh, 65-64 tanh; ten classes from z(1); tsit5 at tolerances of 1e-9; the test set is one solve.

The weight of each penalty is the largest that loses at most a point on a validation split of the training data (seed 0, three candidates); it
decays during training.
Function evaluations are counted, times are medians; plain runs and penalised ones take turns.
"""

import statistics
import time

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

import sciml as sci

from .common import table

SEEDS, STEPS, BATCH, TOLERANCE = 5, 250, 128, 1e-9
CANDIDATES = {"local": (0.3, 0.6, 1.0), "global": (0.03, 0.1, 0.2)}
DECAY = {"local": 0.03, "global": 0.1}  # of the weight over the training: what was kept easy at first stays so


class Field(eqx.Module):
    """The right side: two layers, the time beside the inputs of both."""

    first: eqx.nn.Linear
    second: eqx.nn.Linear

    def __init__(self, key):
        a, b = jax.random.split(key)
        self.first, self.second = eqx.nn.Linear(65, 64, key=a), eqx.nn.Linear(65, 64, key=b)

    def __call__(self, v):
        hidden = jnp.tanh(self.first(v))
        return jnp.tanh(self.second(jnp.concatenate([hidden, v[-1:]])))


class Classifier(eqx.Module):
    """The neural ODE and a linear layer."""

    ode: sci.nn.NeuralODE
    last: eqx.nn.Linear

    def __init__(self, key):
        a, b = jax.random.split(key)
        self.ode = sci.nn.NeuralODE(Field(a), size=64, rtol=TOLERANCE, atol=TOLERANCE)
        self.last = eqx.nn.Linear(64, 10, key=b)

    def __call__(self, images, key=None, regularize=None):
        sol = self.ode.solve(images, key=key, regularize=regularize)
        return jax.vmap(self.last)(sol["z"][-1]), sol


def loss(model, batch, key, regularize=None):
    images, labels = batch
    logits, sol = model(images, key, regularize)
    value = optax.softmax_cross_entropy_with_integer_labels(logits, labels).mean()
    return value + (0.0 if regularize is None else sol.penalty), {"nfe": jnp.asarray(sol.stats["rhs"], float)}


def digits():
    """((images, labels) to train on, the same to test on)."""
    images, labels = load_digits(return_X_y=True)
    parts = train_test_split(images / 16.0, labels, test_size=360, random_state=0, stratify=labels)
    return [(jnp.asarray(parts[i]), jnp.asarray(parts[i + 2], jnp.int32)) for i in (0, 1)]


def trained(seed, data, mode=None, weight=0.0):
    penalty = None if mode is None else sci.ErrorEstimate(optax.exponential_decay(weight, STEPS, DECAY[mode]), mode=mode)
    key, shuffling = jax.random.split(jax.random.key(seed))
    return sci.nn.fit(
        Classifier(key), data, loss, batch=BATCH, steps=STEPS, optimizer=optax.adam(3e-3), regularize=penalty, key=shuffling, progress=False
    )


@eqx.filter_jit
def predicted(model, images):
    logits, sol = model(images)
    return jnp.argmax(logits, axis=1), sol.stats["rhs"]


def judged(model, data, repeats=9):
    """(accuracy in percent, function evaluations, seconds of a prediction)."""
    labels, nfe = jax.block_until_ready(predicted(model, data[0]))
    taken = []
    for _ in range(repeats):
        began = time.perf_counter()
        jax.block_until_ready(predicted(model, data[0]))
        taken.append(time.perf_counter() - began)
    return 100 * float(np.mean(np.asarray(labels) == np.asarray(data[1]))), float(nfe), statistics.median(taken)


def step_time(result):
    """Seconds of a step of training: the median, without the one that compiles."""
    return float(np.median(np.diff(result.history["seconds"].to_numpy())[5:]))


def chosen(mode, train):
    """The largest weight that loses at most a point on rows held back."""
    known, held = (tuple(a[s] for a in train) for s in (slice(None, 1150), slice(1150, None)))
    plain = judged(trained(0, known).model, held, 1)[0]
    best = CANDIDATES[mode][0]
    for weight in CANDIDATES[mode]:
        accuracy, nfe, _ = judged(trained(0, known, mode, weight).model, held, 1)
        print(f"{mode}, weight {weight}: {accuracy:.1f} % of the held rows ({plain:.1f} % without), {nfe:.0f} evaluations", flush=True)
        if accuracy >= plain - 1.0:
            best = weight
    return best


def main():
    jax.config.update("jax_enable_x64", True)
    train, test = digits()
    weights = {mode: chosen(mode, train) for mode in CANDIDATES}
    found = {name: [] for name in ("plain", *weights)}
    for seed in range(SEEDS):
        for name in found:
            result = trained(seed, train, *(() if name == "plain" else (name, weights[name])))
            found[name].append((*judged(result.model, test), step_time(result)))
    rows = []
    for name, runs in found.items():
        accuracy, nfe, predict, step = (np.array(v) for v in zip(*runs, strict=True))
        base = [np.array(v) for v in zip(*found["plain"], strict=True)]
        ratios = [values / other for values, other in zip((nfe, predict, step), base[1:], strict=True)]
        shown = [f"{np.median(r):.2f} ({r.min():.2f}-{r.max():.2f})" for r in ratios]
        drop = f"{accuracy.mean() - base[0].mean():+.2f}"
        rows.append([name, weights.get(name, 0.0), f"{accuracy.mean():.2f}", drop, float(np.median(nfe)), *shown])
    targets = ["targets", "", "", ">= -1.0", "", "local 0.60, global 0.67", "local 0.70", "1.0"]
    ratios = ["evaluations / plain", "prediction / plain", "training step / plain"]
    columns = ["penalty", "weight at first", "test accuracy", "points", "evaluations", *ratios]
    table("Digits by a neural ODE, penalties on the error estimate", columns, [*rows, targets])


if __name__ == "__main__":
    main()
