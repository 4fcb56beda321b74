"""Who is speaking? Twelve numbers for each frame of a Japanese vowel, and ever more frames that are missing.

    CfC:  z = net(I, v),  gate = sigmoid(a(z)*elapsed + b(z)),  v <- (1 - gate)*tanh(f(z)) + gate*tanh(g(z))
    LTC:  C_i v_i' = g_leak_i (v_leak_i - v_i) + sum_j g_ij(v_j) (E_ij - v_i) + sum_k h_ik(I_k) (E_in_ik - v_i)

Both take the time since the last frame that is there, so that a missing one needs no value of its own. They learn with half of the
frames hidden, others at each step, and are then tested with as many hidden as one likes. The wiring of the sparse ones is a neural
circuit policy, with a motor neuron for each speaker.

Data: JapaneseVowels (Kudo, Toyama and Shimbo 1999), as it comes with aeon: 9 speakers, 270 series to learn from and 370 to test on.

Run: python examples/neural_cfc_vowels.py      About one minute on two cores.
Expected: the dense CfC recognises 97 % of the utterances from all frames and 93 % from three in ten, the sparse CfC with an eighth of the
synapses 95 % and 91 %, the sparse LTC 90 % and 81 %.
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
HIDDEN = (0.0, 0.15, 0.3, 0.45, 0.6, 0.7, 0.8, 0.9)


# Model: the same wiring for CfC and LTC
wiring = sci.nn.AutoNCP(30, outputs=9, sparsity=0.5, seed=1)
MODELS = {
    "CfC, dense": (lambda key: sci.nn.CfC(12, 32, 9, backbone=64, key=key), 600, 3e-3),
    "CfC, sparse": (lambda key: sci.nn.CfC(12, wiring, 9, key=key), 600, 1e-2),
    "LTC, sparse": (lambda key: sci.nn.LTC(12, wiring, 9, unfolds=2, key=key), 300, 2e-2),
}


# Data: each channel with mean 0 and deviation 1 over what is learnt from
def vowels():
    (train, names), (test, answers) = (load_classification("JapaneseVowels", split=part) for part in ("train", "test"))
    train, test = (sci.nn.series(None, [v.T for v in values]) for values in (train, test))
    speakers = [jnp.asarray(np.asarray(labels).astype(int) - 1, jnp.int32) for labels in (names, answers)]
    return (train.standardised(), speakers[0]), (test.standardised(train.moments()), speakers[1])


def hide(batch, fraction, key):
    """The same series with a part of their frames hidden."""
    keep = jax.random.uniform(key, batch.t.shape) >= fraction
    return sci.nn.Series(batch.t, batch.x, batch.observed & keep[:, :, None])


# Solve
def loss(model, batch, key):
    series, speakers = batch
    scores = jax.vmap(model)(hide(series, 0.5, key))
    return jnp.mean(optax.softmax_cross_entropy_with_integer_labels(scores, speakers))


@eqx.filter_jit
def recognised(model, test, fraction, keys):
    """The part of the speakers that is recognised, for each key."""
    series, speakers = test

    def right(key):
        return jnp.mean(jnp.argmax(jax.vmap(model)(hide(series, fraction, key)), axis=1) == speakers)

    return jax.lax.map(right, keys)


def main(models=tuple(MODELS), share=1.0, progress=True):
    train, test = vowels()
    keys = jax.random.split(jax.random.key(1), 5)
    found = {}
    for name in models:
        make, steps, rate = MODELS[name]
        steps = int(share * steps)
        optimizer = optax.chain(optax.clip_by_global_norm(1.0), optax.adamw(optax.cosine_decay_schedule(rate, steps), weight_decay=1e-2))
        model = sci.nn.fit(make(jax.random.key(0)), train, loss, batch=32, steps=steps, optimizer=optimizer, progress=progress).model
        found[name] = model, np.stack([recognised(model, test, jnp.asarray(fraction), keys) for fraction in HIDDEN])
    return found


# Plot
def picture(found) -> Path:
    fig, (left, right) = plt.subplots(1, 2, figsize=(11, 4.6), layout="constrained")
    sparse = next(model for name, (model, _) in found.items() if name.endswith("sparse"))
    sparse.wiring.plot(left)
    left.set_title("wiring of the sparse networks", fontsize=11, pad=12)
    for (name, (model, part)), style in zip(found.items(), ("o-", "s-", "^-"), strict=False):
        (line,) = right.plot(100 * np.array(HIDDEN), 100 * part.mean(axis=1), style, ms=5, label=f"{name}: {model.wiring.synapses} synapses")
        right.fill_between(100 * np.array(HIDDEN), 100 * part.min(axis=1), 100 * part.max(axis=1), color=line.get_color(), alpha=0.15, lw=0)
    right.axhline(100 / 9, color="0.6", ls="--", lw=1)
    right.text(0, 100 / 9 + 1.5, "guessing", color="0.4", fontsize=9)
    right.set(xlabel="frames hidden [%]", ylabel="speakers recognised [%]", ylim=(0, 101))
    right.legend(frameon=False, loc="lower center", bbox_to_anchor=(0.5, 0.14))
    right.spines[["top", "right"]].set_visible(False)
    right.set_title("370 utterances that were not learnt from", fontsize=11, pad=12)
    OUT.mkdir(exist_ok=True)
    path = OUT / "neural_cfc_vowels.png"
    fig.savefig(path, dpi=120)
    return path


if __name__ == "__main__":
    found = main()
    for name, (_, part) in found.items():
        print(name + ": " + ", ".join(f"{100 * p:.1f} % with {100 * h:.0f} % hidden" for h, p in zip(HIDDEN, part.mean(axis=1), strict=True)))
    print(f"picture: {picture(found)}")
