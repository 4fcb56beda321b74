"""Networks trained together with physical parameters: weight decay, and a start from the rates of smoothed data."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
import pytest
from jax.flatten_util import ravel_pytree

import sciml as sci
from sciml.errors import FitError
from sciml.fit import FitProblem
from sciml.fit.collocation import Collocation, collocated
from sciml.optimize import LevenbergMarquardt

t = sci.t
FAST = {"solver": "tsit5", "rtol": 1e-5, "atol": 1e-7}
x, y = sci.variables("x y", initial=[3.0, 1.0], bounds=(0, None))
a, d = sci.parameters("a d", [0.7, 0.7])
NET = eqx.nn.MLP(2, 1, 4, 1, activation=jnp.tanh, key=jax.random.key(1))
g = sci.neural("g", NET)
PREY = sci.System([sci.eq(x.diff(t), a * x - g(x, y)), sci.eq(y.diff(t), 0.5 * g(x, y) - d * y)], name="prey")
NOISE = {"x": sci.Normal(0.035), "y": sci.Normal(0.017)}


@pytest.fixture(scope="module")
def table():
    """Two periods of Lotka-Volterra, 1 % noise."""
    b = sci.parameters("b", 0.6)
    true = sci.System([sci.eq(x.diff(t), a * x - b * x * y), sci.eq(y.diff(t), 0.5 * b * x * y - d * y)])
    times = np.linspace(0, 12, 61)
    sol = sci.solve(true, t_span=(0, 12), saveat=times, params={"a": 1.0, "d": 1.0}, **FAST)
    rng = np.random.default_rng(0)
    return pd.DataFrame({"time": times, **{n: np.asarray(sol[n]) + NOISE[n].sigma * rng.normal(size=61) for n in ("x", "y")}})


@pytest.fixture(scope="module")
def trained(table):
    options = {"free": [a, d, x, y, "g"], "noise": NOISE, "weight_decay": 1.0, "start": "collocation", "progress": False}
    return sci.fit(PREY, table, method=LevenbergMarquardt(max_steps=60), **options, **FAST)


def test_a_network_and_two_parameters_are_found_over_two_periods(trained):
    assert trained.params["a"] == pytest.approx(1.0, abs=0.05) and trained.params["d"] == pytest.approx(1.0, abs=0.05)
    learned, truth = np.asarray(trained.solution[g(x, y)]), 0.6 * np.asarray(trained.solution[x * y])
    assert np.abs(learned - truth).max() < 0.05 * truth.max()
    assert 2 * trained.loss < 1.3 * 122, "as large as the noise"


def test_residuals_are_of_the_data_alone(trained, close):
    assert trained.residuals.shape == (122,)
    weights = ravel_pytree(trained.params["g"])[0]
    close(trained.losses[-1], trained.loss + 0.5 * np.sum(np.asarray(weights) ** 2), rtol=1e-2)
    assert jax.tree.structure(trained.params["g"]) == jax.tree.structure(eqx.filter(NET, eqx.is_inexact_array))


def test_weight_decay_is_a_prior(close):
    """z' = w with z measured at 15 times: ridge regression, in closed form, with its covariance."""

    class Constant(eqx.Module):
        w: jax.Array

        def __call__(self, v):
            return self.w

    z = sci.variables("z", initial=0.0)
    f = sci.neural("f", Constant(jnp.array(0.1)))
    times = np.linspace(0, 2, 15)
    value = 1.7 * times + 0.1 * np.random.default_rng(1).normal(size=15)
    result = sci.fit(
        sci.System([sci.eq(z.diff(t), f(z))]), pd.DataFrame({"time": times, "z": value}), free=["f"], noise=sci.Normal(0.1), weight_decay={"f": 50.0},
        method="levenberg_marquardt", progress=False, **FAST,
    )  # fmt: skip
    precision = np.sum(times**2) / 0.01 + 50.0
    close(result.params["f"].w, np.sum(times * value) / 0.01 / precision, rtol=1e-4)
    close(result.covariance.to_numpy(), [[1 / precision]], rtol=1e-4)


def test_the_objective_of_collocation_vanishes_for_the_truth(close):
    """Rates along a smooth solution add up to it: exponential decay, without noise."""
    z = sci.variables("z", initial=2.0)
    rate = sci.parameters("rate", 0.3)
    times = np.linspace(0, 3, 31)
    problem = FitProblem(
        sci.System([sci.eq(z.diff(t), -rate * z)]),
        pd.DataFrame({"time": times, "z": 2 * np.exp(-0.8 * times)}),
        [rate],
        None,
        None,
        None,
        None,
        None,
        FAST,
    )
    objective = Collocation(problem)
    assert float(objective.loss(jnp.array([0.8]))) < 1e-6 < 1e-2 < float(objective.loss(jnp.array([0.7])))
    close(collocated(problem, False), [0.8], rtol=1e-3)


def test_gradients_through_network_and_parameters(table):
    """Reverse mode of the loss against finite differences, under jit, weight decay included."""
    problem = FitProblem(PREY, table[table["time"] < 2], [a, x, "g"], None, NOISE, {"a": 1.0}, None, None, FAST, 0.5)
    loss, z = jax.jit(problem.loss), problem.z0 * 0.3
    slope = jax.jit(jax.grad(problem.loss))(z)
    direction = jnp.cos(jnp.arange(z.size, dtype=z.dtype))
    h = 1e-4 if jax.config.jax_enable_x64 else 1e-2
    difference = (loss(z + h * direction) - loss(z - h * direction)) / (2 * h)
    np.testing.assert_allclose(jnp.vdot(slope, direction), difference, rtol=2e-3 if jax.config.jax_enable_x64 else 5e-2)


def test_a_step_into_blow_up_is_not_taken():
    """x' = k*x^2 from 1 ends before t=1 if k > 1: far too large a step must be refused, not end the fit."""
    k = sci.parameters("k", 0.2)
    z = sci.variables("z", initial=1.0)
    times = np.linspace(0, 0.95, 12)
    data = pd.DataFrame({"time": times, "z": 1 / (1 - 0.97 * times)})
    result = sci.fit(sci.System([sci.eq(z.diff(t), k * z**2)]), data, free=[k], progress=False, max_steps=400, **FAST)
    assert result.converged and result.params["k"] == pytest.approx(0.97, rel=1e-3)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"start": "colocation"}, "Did you mean 'collocation'"),
        ({"weight_decay": -1.0}, "weight_decay=-1.0 is not a number of at least 0"),
        ({"weight_decay": {"a": 1.0}}, "'a' is no neural term that is free"),
        ({"weight_decay": 1.0, "free": [a]}, r'no neural term is free.*free=\[\.\.\., "g"\]'),
        ({"start": "collocation", "observe": {"y": y + 0 * x + 1}}, "none measures 'y' itself"),
        ({"start": "collocation", "t_span": (-1, 12)}, "begins at the first measurement"),
    ],
)
def test_bad_input(table, options, says):
    with pytest.raises(FitError, match=says):
        sci.fit(PREY, table, **{"free": [a, "g"], "progress": False, **options})


def test_bad_input_of_collocation(table):
    with pytest.raises(FitError, match="at least 5 times at which 'y' was measured, not 4"):
        sci.fit(PREY, table.assign(y=table["y"].where(table.index < 4)), free=["g"], start="collocation", progress=False)
    z = sci.variables("z", guess=1.0)
    algebraic = sci.System([sci.eq(x.diff(t), z - x), sci.eq(z**3 + z, x)])
    with pytest.raises(FitError, match="some equations here are algebraic"):
        sci.fit(algebraic, table[["time", "x"]], free=[x], start="collocation", progress=False)
