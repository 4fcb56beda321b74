"""Models with noise: moments over thousands of paths against the exact ones, within four standard errors."""

import functools

import jax
import numpy as np
import pytest
from model_cases import SDES, compiled

import sciml as sci
from sciml_models import MODELS

PATHS, STEPS = 4000, 60


@functools.cache
def ends(name):
    """The states at the end of many independent paths, by name."""
    model, span = compiled(name), MODELS[name].t_span
    states = list(model.layout.states)

    def end(key):
        sol = sci.solve(model, t_span=span, key=key, dt=(span[1] - span[0]) / STEPS, saveat="end")
        return [sol[n][-1] for n in states]

    values = jax.jit(jax.vmap(end))(jax.random.split(jax.random.key(2024), PATHS))
    return {n: np.asarray(v, float) for n, v in zip(states, values, strict=True)}


def samples(name):
    """What is averaged to estimate each moment of the reference."""
    end = ends(name)
    x = end["x"]
    if name == "ornstein_uhlenbeck":
        return {"E[x]": x, "Var[x]": (x - x.mean()) ** 2 * PATHS / (PATHS - 1)}
    v = end["x'"]
    return {"E[x]": x, "E[x']": v, "E[x**2]": x**2, "E[x*x']": x * v, "E[x'**2]": v**2}


@pytest.mark.parametrize("name", SDES)
def test_moments(name):
    found, reference = samples(name), MODELS[name].reference
    assert found.keys() == reference.keys()
    for moment, values in found.items():
        error = values.std() / np.sqrt(PATHS)
        assert abs(values.mean() - reference[moment]) < 4 * error, moment


@pytest.mark.parametrize("name", SDES)
def test_paths_differ_and_repeat(name):
    span = MODELS[name].t_span
    one = lambda seed: float(sci.solve(compiled(name), t_span=span, key=jax.random.key(seed), dt=0.1, saveat="end")["x"][-1])
    assert one(1) == one(1) != one(2)


def test_the_oscillator_without_noise_is_its_own_mean():
    name, quiet = "stochastic_oscillator", {"s1": 0.0, "s2": 0.0}
    known = MODELS[name]
    sol = sci.solve(compiled(name), t_span=known.t_span, key=jax.random.key(0), params=quiet, dt=0.02, saveat="end")
    np.testing.assert_allclose([sol["x"][-1], sol["x'"][-1]], [known.reference["E[x]"], known.reference["E[x']"]], rtol=1e-3)
