"""A missing term, learned by a network and read off as a formula: a universal differential equation.

    prey' = birth*prey - g(prey, predator)          predator' = growth*g(prey, predator) - death*predator

What is eaten, g, is not known. A network stands for it and is trained together with birth, growth and death on 61 samples with
1 % noise. Sparse regression over ten monomials then finds g = 0.6*prey*predator, which goes back into the System.

Run: python examples/neural_ude_discovery.py      About 30 s on two cores, most of it compilation.
Expected: g = g_1*prey*predator with g_1 within 2 % of 0.6 after the last fit; birth, growth, death within 3 % of 1, 0.5, 1.
"""

import time
from pathlib import Path

import equinox as eqx
import jax
import jax.numpy as jnp
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.colors import LogNorm

import sciml as sci
from sciml.optimize import LevenbergMarquardt

OUT = Path(__file__).parent.parent / "out"


# Model: a network of eight units for what is eaten
t = sci.t
prey, predator = sci.variables("prey predator", initial=[3.0, 1.0], bounds=(0, None))
birth, growth, death = sci.parameters("birth growth death", [0.7, 0.7, 0.7])
network = eqx.nn.MLP(2, 1, 8, 1, activation=jnp.tanh, key=jax.random.key(0))
g = sci.neural("g", network)(prey, predator)
system = sci.System([sci.eq(prey.diff(t), birth * prey - g), sci.eq(predator.diff(t), growth * g - death * predator)], name="unknown_feeding")

# Data: made by the formula that is to be found
TRUTH = {"birth": 1.0, "growth": 0.5, "death": 1.0}
FEEDING = 0.6


def measured(seed: int = 0) -> tuple[pd.DataFrame, dict[str, sci.Normal]]:
    times = np.linspace(0, 12, 61)
    sol = sci.solve(system.subs({g: FEEDING * prey * predator}), t_span=(0, 12), saveat=times, params=TRUTH)
    rng = np.random.default_rng(seed)
    exact = {n: np.asarray(sol[n]) for n in ("prey", "predator")}
    noise = {n: 0.01 * float(v.mean()) for n, v in exact.items()}
    table = pd.DataFrame({"time": times, **{n: v + noise[n] * rng.normal(size=61) for n, v in exact.items()}})
    return table, {n: sci.Normal(s) for n, s in noise.items()}


# Solve: train, read off, put back, fit again
def main(progress: bool = True) -> tuple[sci.FitResult, sci.Discovery, sci.FitResult]:
    table, noise = measured()
    free, options = [birth, growth, death, prey, predator], {"solver": "tsit5", "rtol": 1e-6, "atol": 1e-8, "noise": noise, "progress": progress}
    method = LevenbergMarquardt(max_steps=100)
    trained = sci.fit(system, table, free=[*free, "g"], start="collocation", weight_decay=1.0, method=method, **options)
    found = sci.discover(trained, g, degree=3)
    known = {n: trained.params[n] for n in TRUTH}
    refit = sci.fit(system.subs(found), table, free=[*free, *found.params], params=known, initial=trained.initial, **options)
    return trained, found, refit


# Plot
def picture(trained: sci.FitResult, found: sci.Discovery, refit: sci.FitResult) -> Path:
    figure, (left, middle, right) = plt.subplots(1, 3, figsize=(15, 4.5), layout="constrained", width_ratios=[1.2, 1.2, 1])
    _series(left, trained, refit)
    _plane(figure, middle, trained)
    _terms(right, found, refit)
    OUT.mkdir(exist_ok=True)
    path = OUT / "neural_ude_discovery.png"
    figure.savefig(path, dpi=150)
    return path


def _series(ax: plt.Axes, trained: sci.FitResult, refit: sci.FitResult) -> None:
    """Data, the formula's solution, and its future."""
    later = sci.solve(refit.problem.model, t_span=(0, 24), params=refit.params, initial=refit.initial, saveat=400)
    for name, color in (("prey", "C0"), ("predator", "C1")):
        ax.plot(*trained.problem.data.series(name), ".", color=color, ms=5)
        ax.plot(later.t, later[name], color=color, lw=1, label=name)
    ax.axvspan(12, 24, color="0.93", lw=0)
    ax.text(18, 6.2, "not measured", ha="center", va="top", color="0.4")
    ax.set(xlabel="time", xlim=(0, 24), ylim=(0, 6.4), title="Data and the System with the formula")
    ax.legend(frameon=False, loc="upper left", ncols=2)


def _plane(figure: plt.Figure, ax: plt.Axes, trained: sci.FitResult) -> None:
    """How far the network is from the truth: near where data were, and elsewhere."""
    learned = eqx.combine(trained.params["g"], network)
    u, v = np.meshgrid(np.linspace(1, 6.5, 80), np.linspace(0.4, 3.2, 80))
    values = jax.vmap(learned)(jnp.stack([jnp.asarray(u).ravel(), jnp.asarray(v).ravel()], axis=1)).reshape(u.shape)
    wrong = 100 * np.abs(np.asarray(values) - FEEDING * u * v) / (FEEDING * u * v)
    levels = [1, 2, 5, 10, 20, 50]
    shades = ax.contourf(u, v, wrong, levels=levels, cmap="Blues", norm=LogNorm(1, 50), extend="both")
    figure.colorbar(shades, ax=ax, label="error of the network [%]", ticks=levels, format="%g")
    ax.plot(trained.solution["prey"], trained.solution["predator"], "C3", lw=1.5, label="where the data are")
    ax.set(xlabel="prey", ylabel="predator", title="The network knows the term along the path only")
    ax.legend(frameon=False, loc="upper right")


def _terms(ax: plt.Axes, found: sci.Discovery, refit: sci.FitResult) -> None:
    """How often each candidate was chosen."""
    share = found.coefficients["inclusion"]
    names = [term for _, term in share.index]
    ax.barh(names[::-1], share.to_numpy()[::-1], color=["C3" if s >= 0.6 else "0.7" for s in share[::-1]])
    ax.axvline(0.6, color="0.3", lw=0.8, ls=":")
    (name,) = found.params
    ax.set(xlabel="share of samples that have the term", xlim=(0, 1), title=f"g = {refit.params[name]:.3f} prey predator  (truth {FEEDING})")


if __name__ == "__main__":
    jax.config.update("jax_enable_x64", True)
    began = time.perf_counter()
    trained, found, refit = main()
    print(found)
    print(refit.summary().to_string(float_format="{:.4f}".format))
    print(f"picture: {picture(trained, found, refit)}   ({time.perf_counter() - began:.0f} s)")
