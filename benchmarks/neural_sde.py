"""Does a penalty on the error estimate make a neural SDE cheaper to solve? Digits of scikit-learn, five seeds.

    z' = f(z, t) + g(z, t)*xi on (0, 1), 32 states from a linear layer, f: 33-64 tanh-32, g: 33-32 linear, one noise for each state;
    ten classes from z(1); spark with adaptive steps at tolerances of 0.005; one path in training, the mean of ten in the test.

The weight of each penalty is the largest that loses at most half a point on a validation split of the training data (seed 0, three candidates).
Function evaluations are counted over solves of the whole test set; times are medians.
"""

import statistics
import time

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax

import sciml as sci

from .common import table
from .neural_digits import digits, step_time

SEEDS, STEPS, BATCH, TOLERANCE, PATHS = 5, 200, 128, 0.005, 10
CANDIDATES = {"local": (0.3, 1.0, 3.0), "global": (0.1, 0.3, 1.0)}


class Classifier(eqx.Module):
    """From an image to its class by way of noise."""

    first: eqx.nn.Linear
    sde: sci.nn.NeuralSDE
    last: eqx.nn.Linear

    def __init__(self, key):
        a, b, c, d = jax.random.split(key, 4)
        self.first, self.last = eqx.nn.Linear(64, 32, key=a), eqx.nn.Linear(32, 10, key=d)
        drift = eqx.nn.MLP(33, 32, 64, 1, activation=jnp.tanh, key=b)
        self.sde = sci.nn.NeuralSDE(drift, eqx.nn.Linear(33, 32, key=c), 32, rtol=TOLERANCE, atol=TOLERANCE, max_steps=1024)

    def __call__(self, images, key, regularize=None):
        sol = self.sde.solve(jax.vmap(self.first)(images), key=key, regularize=regularize)
        return jax.vmap(self.last)(sol["z"][-1]), sol


def loss(model, batch, key, regularize=None):
    images, labels = batch
    logits, sol = model(images, key, regularize)
    value = optax.softmax_cross_entropy_with_integer_labels(logits, labels).mean()
    return value + (0.0 if regularize is None else sol.penalty), {"nfe": jnp.asarray(sol.stats["rhs"], value.dtype)}


def trained(seed, data, mode=None, weight=0.0):
    penalty = None if mode is None else sci.ErrorEstimate(jnp.asarray(weight), mode=mode)
    key, shuffling = jax.random.split(jax.random.key(seed))
    optimizer = optax.chain(optax.clip_by_global_norm(1.0), optax.adam(optax.cosine_decay_schedule(1e-2, STEPS)))
    return sci.nn.fit(Classifier(key), data, loss, batch=BATCH, steps=STEPS, optimizer=optimizer, regularize=penalty, key=shuffling, progress=False)


@eqx.filter_jit
def predicted(model, images):
    """Classes by the mean probability over some paths, and function evaluations in the mean over the solves."""

    def one(key):
        logits, sol = model(images, key)
        return jax.nn.softmax(logits), sol.stats["rhs"]

    probabilities, evaluations = jax.lax.map(one, jax.random.split(jax.random.key(99), PATHS))
    return jnp.argmax(probabilities.mean(axis=0), axis=1), evaluations.mean()


def judged(model, data, repeats=5):
    """(accuracy in percent, function evaluations, seconds of a prediction)."""
    labels, nfe = jax.block_until_ready(predicted(model, data[0]))
    taken = []
    for _ in range(repeats):
        began = time.perf_counter()
        jax.block_until_ready(predicted(model, data[0]))
        taken.append(time.perf_counter() - began)
    return 100 * float(np.mean(np.asarray(labels) == np.asarray(data[1]))), float(nfe), statistics.median(taken)


def chosen(mode, known, held, plain):
    """The largest weight that loses at most half a point on rows held back."""
    best = CANDIDATES[mode][0]
    for weight in CANDIDATES[mode]:
        accuracy, nfe, _ = judged(trained(0, known, mode, weight).model, held, 1)
        print(f"{mode}, weight {weight}: {accuracy:.1f} % of the held rows ({plain[0]:.1f} % without), evaluations {nfe / plain[1]:.2f}", flush=True)
        if accuracy >= plain[0] - 0.5:
            best = weight
    return best


def main():
    train, test = digits()
    known, held = (tuple(a[s] for a in train) for s in (slice(None, 1150), slice(1150, None)))
    plain = judged(trained(0, known).model, held, 1)
    weights = {mode: chosen(mode, known, held, plain) for mode in CANDIDATES}
    found = {name: [] for name in ("plain", *weights)}
    for seed in range(SEEDS):
        for name in found:
            result = trained(seed, train, *(() if name == "plain" else (name, weights[name])))
            found[name].append((*judged(result.model, test), step_time(result)))
    base = [np.array(v) for v in zip(*found["plain"], strict=True)]
    rows = []
    for name, runs in found.items():
        accuracy, *rest = (np.array(v) for v in zip(*runs, strict=True))
        ratios = [values / other for values, other in zip(rest, base[1:], strict=True)]
        shown = [f"{np.median(r):.2f} ({r.min():.2f}-{r.max():.2f})" for r in ratios]
        rows.append(
            [name, weights.get(name, 0.0), f"{accuracy.mean():.2f}", f"{accuracy.mean() - base[0].mean():+.2f}", float(np.median(rest[0])), *shown]
        )
    rows.append(["targets", "", "", ">= -1.0", "", "0.60", "", ""])
    columns = ["penalty", "weight", "test accuracy", "points", "evaluations", "evaluations / plain", "prediction / plain", "training step / plain"]
    table("Neural SDE on digits with a penalty on the error estimate", columns, rows)


if __name__ == "__main__":
    main()
