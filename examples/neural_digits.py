"""Handwritten digits by a neural ODE, with and without a penalty on what the solver finds hard.

    z' = f(z, t) on (0, 1),  z(0) = an image of 8x8 points,  classes = softmax(A z(1) + b)

    loss = cross entropy + weight * E h,   E: error estimate of tsit5 relative to the tolerances, h: length, of a step at a random time

Both networks classify equally well; the one that was trained with the penalty needs a third of the function evaluations or less (Pal, Edelman and
Rackauckas, Locally regularized neural differential equations, ICML 2023). Data: scikit-learn, from the UCI repository (Alpaydin and Kaynak 1998).

Run: python examples/neural_digits.py      About 50 s on two cores.
Expected: 96 percent of the test images right with and without, 130 evaluations of f without the penalty and 35 with it.
"""

from pathlib import Path
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import matplotlib.pyplot as plt
import numpy as np
import optax
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

import sciml as sci

OUT = Path(__file__).parent.parent / "out"
WEIGHT, TOLERANCE = 0.3, 1e-9


# Model
class Field(eqx.Module):
    """The right side f(z, t): two layers, the time beside the inputs of both."""

    first: eqx.nn.Linear
    second: eqx.nn.Linear

    def __init__(self, key: jax.Array):
        a, b = jax.random.split(key)
        self.first, self.second = eqx.nn.Linear(65, 64, key=a), eqx.nn.Linear(65, 64, key=b)

    def __call__(self, v: jax.Array) -> jax.Array:
        hidden = jnp.tanh(self.first(v))
        return jnp.tanh(self.second(jnp.concatenate([hidden, v[-1:]])))


class Classifier(eqx.Module):
    ode: Any
    last: eqx.nn.Linear

    def __init__(self, key: jax.Array):
        a, b = jax.random.split(key)
        self.ode = sci.nn.NeuralODE(Field(a), size=64, rtol=TOLERANCE, atol=TOLERANCE)
        self.last = eqx.nn.Linear(64, 10, key=b)

    def __call__(self, images: jax.Array, **options: Any) -> tuple[jax.Array, sci.Solution]:
        sol = self.ode.solve(images, **options)
        return jax.vmap(self.last)(sol["z"][-1]), sol


# Data
def digits() -> list[tuple[jax.Array, jax.Array]]:
    """(images, labels) to train on and to test on."""
    images, labels = load_digits(return_X_y=True)
    parts = train_test_split(images / 16.0, labels, test_size=360, random_state=0, stratify=labels)
    return [(jnp.asarray(parts[i]), jnp.asarray(parts[i + 2], jnp.int32)) for i in (0, 1)]


# Solve
def loss(model: Classifier, batch: Any, key: jax.Array, regularize: Any = None) -> tuple[jax.Array, dict[str, Any]]:
    images, labels = batch
    logits, sol = model(images, key=key, regularize=regularize)
    entropy = optax.softmax_cross_entropy_with_integer_labels(logits, labels).mean()
    return entropy + (0.0 if regularize is None else sol.penalty), {"nfe": jnp.asarray(sol.stats["rhs"], float)}


def main(steps: int = 200, progress: bool = False) -> tuple[Any, dict[str, Any]]:
    """The test data, and the two trainings by name."""
    train, test = digits()
    options = {"batch": 128, "steps": steps, "optimizer": optax.adam(3e-3), "progress": progress}
    plain = sci.nn.fit(Classifier(jax.random.key(0)), train, loss, **options)
    penalised = sci.nn.fit(Classifier(jax.random.key(0)), train, loss, regularize=sci.ErrorEstimate(WEIGHT), **options)
    return test, {"plain": plain, "penalised": penalised}


@eqx.filter_jit
def judged(model: Classifier, images: jax.Array, labels: jax.Array) -> tuple[jax.Array, Any]:
    """(part of the images that is right, function evaluations)."""
    logits, sol = model(images)
    return jnp.mean((jnp.argmax(logits, 1) == labels).astype(float)), sol.stats["rhs"]


# Plot
def picture(test: Any, results: dict[str, Any]) -> Path:
    images, labels = test
    fig, (left, middle, right) = plt.subplots(1, 3, figsize=(13, 4), layout="constrained")
    for name, result in results.items():
        accuracy, evaluations = judged(result.model, *test)
        entropy = result.history["loss"].rolling(10, min_periods=1).mean()
        left.semilogy(result.history.index, entropy, lw=1.2, label=f"{name}: {100 * float(accuracy):.1f} % of the test images")
        middle.plot(result.history.index, result.history["nfe"], lw=1.2, label=f"{name}: {int(evaluations)} on the test images")
    left.set(xlabel="step of training", title="loss")
    middle.set(xlabel="step of training", title="function evaluations of a batch", ylim=(0, None))
    path = np.asarray(results["penalised"].model.ode.solve(images, saveat=60)["z"])
    directions = np.linalg.svd(path[-1] - path[-1].mean(0), full_matrices=False)[2][:2].T
    flat = (path - path[-1].mean(0)) @ directions
    for digit, colour in zip(range(10), plt.colormaps["tab10"].colors, strict=True):
        chosen = np.flatnonzero(np.asarray(labels) == digit)
        right.plot(flat[:, chosen[:8], 0], flat[:, chosen[:8], 1], color=colour, lw=0.6, alpha=0.6)
        right.plot(flat[-1, chosen, 0], flat[-1, chosen, 1], ".", color=colour, ms=5, label=str(digit))
    right.set(title="paths of test images, seen in two directions", xticks=[], yticks=[])
    for ax in (left, middle, right):
        ax.spines[["top", "right"]].set_visible(False)
    left.legend(frameon=False, fontsize=8)
    middle.legend(frameon=False, fontsize=8)
    right.legend(frameon=False, fontsize=7, ncols=2, loc="upper right", bbox_to_anchor=(1.25, 1))
    OUT.mkdir(exist_ok=True)
    file = OUT / "neural_digits.png"
    fig.savefig(file, dpi=120)
    return file


if __name__ == "__main__":
    jax.config.update("jax_enable_x64", True)
    test, results = main(progress=True)
    for name, result in results.items():
        accuracy, evaluations = judged(result.model, *test)
        seconds = result.history["seconds"].iloc[-1]
        print(f"{name}: {100 * float(accuracy):.1f} percent right, {int(evaluations)} evaluations, {seconds:.0f} s of training")
    print(f"picture: {picture(test, results)}")
