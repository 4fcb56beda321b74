"""Who is speaking? A neural differential equation follows the path through the frames of a vowel that are left.

    z' = F(z) X',    X = (time, x, integral of x),    z(0) = W X(0) + b,    score of each speaker = A z + c

X is drawn through the frames that were observed, so the equation does not mind how many there are and where. It learns with half of
them hidden, others at each step, and is then tested with as many hidden as one likes. Scores can be read at every frame.

Data: JapaneseVowels (Kudo, Toyama and Shimbo 1999), as it comes with aeon: 9 speakers, 270 series to learn from and 370 to test on.

Run: python examples/neural_cde_vowels.py      About one minute on two cores.
Expected: about 96 percent of the speakers are recognised from all frames or from half of them, 94 from three in ten.
"""

from pathlib import Path

import equinox as eqx
import jax
import jax.numpy as jnp
import matplotlib.pyplot as plt
import numpy as np
import optax
from aeon.datasets import load_classification

import sciml as sci

OUT = Path(__file__).parent.parent / "out"
HIDDEN = (0.0, 0.15, 0.3, 0.5, 0.6, 0.7, 0.8, 0.9)


# Model: the integral of x is a channel of the path, since the level of a channel tells as much as its changes
def network(key):
    return sci.nn.NeuralCDE(12, hidden=16, outputs=9, width=16, control="linear", integral=True, key=key)


# Data: each channel with mean 0 and deviation 1 over what is learnt from
def vowels():
    (train, names), (test, answers) = (load_classification("JapaneseVowels", split=part) for part in ("train", "test"))
    train, test = (sci.nn.series(None, [v.T for v in values]) for values in (train, test))
    speakers = [jnp.asarray(np.asarray(labels).astype(int) - 1, jnp.int32) for labels in (names, answers)]
    return (train.standardised(), speakers[0]), (test.standardised(train.moments()), speakers[1])


def hide(series, fraction, key):
    """The same series with a part of their frames hidden; the first one stays."""
    keep = jax.random.uniform(key, series.t.shape) >= fraction
    return sci.nn.Series(series.t, series.x, series.observed & keep.at[..., 0].set(True)[..., None])


# Solve
def loss(model, batch, key):
    series, speakers = batch
    scores = jax.vmap(model)(hide(series, 0.5, key))
    return jnp.mean(optax.softmax_cross_entropy_with_integer_labels(scores, speakers))


@eqx.filter_jit
def recognised(model, test, fraction, key):
    """The part of the speakers that is recognised."""
    series, speakers = test
    return jnp.mean(jnp.argmax(jax.vmap(model)(hide(series, fraction, key)), axis=1) == speakers)


def main(steps=400, progress=False):
    """The trained model, and for each hidden part the accuracies of five draws of the hidden frames."""
    train, test = vowels()
    optimizer = optax.adamw(optax.cosine_decay_schedule(5e-3, steps), weight_decay=0.3)
    result = sci.nn.fit(network(jax.random.key(0)), train, loss, batch=32, steps=steps, optimizer=optimizer, key=jax.random.key(1), progress=progress)
    keys = jax.random.split(jax.random.key(2), 5)
    found = np.array([[recognised(result.model, test, fraction, key) for key in keys] for fraction in HIDDEN])
    return result.model, found, test


# Plot
def picture(model, found, test, which=181) -> Path:
    series, speakers = test
    whole = series[which]
    few = hide(whole, 0.7, jax.random.key(4))
    path = model.path(few)
    n = int(whole.length)
    times = np.linspace(0, float(few.t[-1]), 300)
    drawn = np.asarray(jax.vmap(path.evaluate)(jnp.asarray(times, path.knots.dtype)))
    fig, (left, middle, right) = plt.subplots(1, 3, figsize=(13, 4), layout="constrained")
    seen = np.asarray(few.observed)[:n, 0]
    for c in range(3):
        frames, values = np.arange(n), np.asarray(whole.x)[:n, c]
        left.plot(times, drawn[:, 1 + c], f"C{c}", lw=1.2)
        left.plot(frames[~seen], values[~seen], f"C{c}o", mfc="none", ms=4, alpha=0.5)
        left.plot(frames[seen], values[seen], f"C{c}o", ms=6, label=f"channel {c + 1}")
    left.set(xlabel="frame", ylabel="value (standardised)", title="seven frames in ten are hidden")
    left.legend(frameon=False, fontsize=8)
    for given, style, label in ((whole, "--", "all frames"), (few, "-", "three in ten")):
        chances = np.asarray(jax.nn.softmax(model(given, saveat="samples"), axis=1))[: int(given.length)]
        for s in range(9):
            true = s == int(speakers[which])
            frame = np.asarray(given.t)[: len(chances)]
            middle.plot(
                frame, chances[:, s], style, c="C0" if true else "0.7", lw=2 if true else 0.8, label=label if true else None, zorder=3 if true else 1
            )
    middle.set(xlabel="frame", ylabel="probability", title="the speaker (blue) is found while speaking", ylim=(-0.02, 1.02))
    middle.legend(frameon=False)
    percent = 100 * found
    right.fill_between(HIDDEN, percent.min(1), percent.max(1), alpha=0.25, lw=0)
    right.plot(HIDDEN, np.median(percent, 1), "o-")
    right.axhline(100 / 9, color="0.6", ls=":")
    right.text(0.0, 100 / 9 + 2, "by chance", color="0.5", fontsize=9)
    right.set(xlabel="part of the frames that is hidden", ylabel="recognised [percent]", title="370 utterances never heard before", ylim=(0, 102))
    for ax in (left, middle, right):
        ax.spines[["top", "right"]].set_visible(False)
    OUT.mkdir(exist_ok=True)
    path = OUT / "neural_cde_vowels.png"
    fig.savefig(path, dpi=120)
    return path


if __name__ == "__main__":
    model, found, test = main(progress=True)
    for fraction, part in zip(HIDDEN, found, strict=True):
        print(f"{100 * fraction:3.0f} percent hidden: {100 * np.median(part):.1f} percent recognised")
    print(f"picture: {picture(model, found, test)}")
