"""Is the missing term of a Lotka-Volterra model found from data with 1 % noise, in form and in numbers?

    one missing term:  x' = a*x - g(x, y),     y' = e*g(x, y) - d*y,   g = b*x*y;  a, d, e are fitted along with the network
    two missing terms: x' = a*x + g1(x, y),    y' = g2(x, y) - d*y,    g1 = -b*x*y, g2 = e*b*x*y;  a and d are known

61 samples of both unknowns over two periods; normal noise of 1 % of the mean of each series. A network of 8 tanh units is
trained by sci.fit, sci.discover reads it off from a library of all monomials up to degree 3, and the formula is fitted to the
same data in the network's place. Ten seeds: of the noise and of the network. Target: the exact form, and coefficients within
2 % after the last fit, in 9 of 10.

Run: python -m benchmarks.neural_ude [seeds]      Two processes at a time, about 30 s a seed and model, most of it compilation.
"""

import multiprocessing
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
import sympy as sp

import sciml as sci
from benchmarks.common import table
from sciml.optimize import LevenbergMarquardt

t = sci.t
x, y = sci.variables("x y", initial=[3.0, 1.0], bounds=(0, None))
a, d, e = sci.parameters("a d e", [0.7, 0.7, 0.7])
TRUTH = {"a": 1.0, "b": 0.6, "d": 1.0, "e": 0.5}
SPAN, SAMPLES, NOISE = 12.0, 61, 0.01
OPTIONS = {"solver": "tsit5", "rtol": 1e-6, "atol": 1e-8}


def measured(seed: int) -> tuple[pd.DataFrame, dict[str, sci.Normal]]:
    """A table with noise, and the size of the noise."""
    b = sci.parameters("b", TRUTH["b"])
    true = sci.System([sci.eq(x.diff(t), a * x - b * x * y), sci.eq(y.diff(t), e * b * x * y - d * y)], name="truth")
    times = np.linspace(0, SPAN, SAMPLES)
    sol = sci.solve(true, t_span=(0, SPAN), saveat=times, params=TRUTH, **OPTIONS)
    rng = np.random.default_rng(seed)
    series = {"x": np.asarray(sol[x]), "y": np.asarray(sol[y])}
    sizes = {n: NOISE * float(v.mean()) for n, v in series.items()}
    noisy = {n: v + sizes[n] * rng.normal(size=SAMPLES) for n, v in series.items()}
    return pd.DataFrame({"time": times, **noisy}), {n: sci.Normal(s) for n, s in sizes.items()}


def problem(missing: int, seed: int) -> tuple[sci.System, list[Any], dict[str, float], dict[Any, dict[sp.Expr, float]]]:
    """(System with a network, what is free, known values, the true terms of each function)."""
    network = eqx.nn.MLP(2, missing, 8, 1, activation=jnp.tanh, key=jax.random.key(seed))
    if missing == 1:
        g = sci.neural("g", network)(x, y)
        system = sci.System([sci.eq(x.diff(t), a * x - g), sci.eq(y.diff(t), e * g - d * y)], name="one_missing")
        return system, [a, d, e, x, y], {}, {g: {x * y: TRUTH["b"]}}
    g1, g2 = sci.neural("g", network, outputs=2)(x, y)
    system = sci.System([sci.eq(x.diff(t), a * x + g1), sci.eq(y.diff(t), g2 - d * y)], name="two_missing")
    return system, [x, y], {"a": TRUTH["a"], "d": TRUTH["d"]}, {g1: {x * y: -TRUTH["b"]}, g2: {x * y: TRUTH["e"] * TRUTH["b"]}}


def run(missing: int, seed: int) -> dict[str, Any]:
    """One seed: train, discover, put back, fit again."""
    began = time.perf_counter()
    data, noise = measured(seed)
    system, free, known, truth = problem(missing, seed)
    method = LevenbergMarquardt(max_steps=100)
    trained = sci.fit(
        system, data, free=[*free, "g"], noise=noise, params=known, start="collocation", weight_decay=1.0, method=method, progress=False, **OPTIONS
    )
    found = sci.discover(trained, tuple(truth), degree=3)
    right = {f.function: set(f.terms) == set(truth[f.function]) for f in found.functions}
    refit = sci.fit(
        system.subs(found), data, free=[*free, *found.params], noise=noise, params={**known, **_numbers(trained)}, initial=trained.initial,
        progress=False, **OPTIONS,
    )  # fmt: skip
    return {
        "form": all(right.values()),
        "before": _worst(found, found.params, truth),
        "after": _worst(found, refit.params, truth),
        "known": max((abs(refit.params[n] / TRUTH[n] - 1) for n in ("a", "d", "e") if n in refit.params), default=0.0),
        "misfit": 2 * float(refit.losses[-1]) / (2 * SAMPLES),
        "seconds": time.perf_counter() - began,
        "formula": "; ".join(str(f) for f in found.functions),
    }


def _numbers(result: sci.FitResult) -> dict[str, float]:
    return {n: v for n, v in result.params.items() if n != "g"}


def _worst(found: sci.Discovery, values: dict[str, float], truth: dict[Any, dict[sp.Expr, float]]) -> float:
    """The largest relative error of a true coefficient; 1 where the term is missing."""
    errors = []
    for f in found.functions:
        named = {term: values[p.name] for term, p in zip(f.terms, f.parameters, strict=True)}
        errors += [abs(named.get(term, 0.0) / value - 1) for term, value in truth[f.function].items()]
    return max(errors)


def main(seeds: int = 10) -> None:
    rows = []
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(2, context, initializer=_precise) as pool:
        for missing, title in ((1, "one missing term; a, d, e fitted"), (2, "two missing terms; a, d known")):
            results = []
            for seed, r in enumerate(pool.map(run, [missing] * seeds, range(seeds))):
                results.append(r)
                print(f"{title}, seed {seed}: {r['formula']}   before {r['before']:.2%}, after {r['after']:.2%}, {r['seconds']:.0f} s", flush=True)
            rows.append([title, *_summary(results)])
    columns = [
        "model", "form and 2 %", "form", "error before, median %", "worst %", "error after, median %", "worst % ", "a, d, e: worst %",
        "misfit/noise, median", "seconds a seed", "target",
    ]  # fmt: skip
    table("Missing terms of Lotka-Volterra from data with 1 % noise", columns, rows)


def _summary(results: list[dict[str, Any]]) -> list[Any]:
    right = [r for r in results if r["form"]]
    good = [r for r in right if r["after"] <= 0.02]
    percent = {k: 100 * np.array([r[k] for r in right or results]) for k in ("before", "after", "known")}
    return [
        f"{len(good)} of {len(results)}", f"{len(right)} of {len(results)}",
        *(float(f(percent[k])) for k in ("before", "after") for f in (np.median, np.max)), float(percent["known"].max()),
        *(float(np.median([r[k] for r in results])) for k in ("misfit", "seconds")), "9 of 10",
    ]  # fmt: skip


def _precise() -> None:
    jax.config.update("jax_enable_x64", True)


if __name__ == "__main__":
    _precise()
    main(*map(int, sys.argv[1:]))
