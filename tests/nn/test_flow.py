"""ContinuousNormalizingFlow: densities in closed form, their integral, and traces that are right in the mean."""

import itertools

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.scipy.linalg import expm
from jax.scipy.stats import multivariate_normal

import sciml as sci
from sciml.errors import ModelError, SolveError

A = np.array([[0.3, 1.0], [-0.5, -0.2]])
X = np.array([[0.3, -0.8], [1.5, 0.2], [-1.0, -1.0]])


class Linear(eqx.Module):
    a: jax.Array

    def __call__(self, v):
        return self.a @ v


def exact(a, x):
    """Normal numbers carried by z' = a z for a time of 1 have the covariance exp(a) exp(a)^T."""
    carried = expm(a)
    density = lambda x: multivariate_normal.logpdf(x, jnp.zeros(2), carried @ carried.T)
    return density(x) if x.ndim == 1 else jax.vmap(density)(x)


@pytest.fixture(scope="module")
def linear():
    return sci.nn.ContinuousNormalizingFlow(Linear(jnp.asarray(A)), 2, time=False, rtol=1e-9, atol=1e-11)


@pytest.fixture(scope="module")
def flow():
    net = eqx.nn.MLP(3, 2, 16, 2, activation=jnp.tanh, key=jax.random.key(0))
    return sci.nn.ContinuousNormalizingFlow(net, 2, rtol=1e-8, atol=1e-9)


def test_a_linear_field_has_a_normal_density(linear, close):
    close(linear.log_prob(jnp.asarray(X)), exact(jnp.asarray(A), jnp.asarray(X)), rtol=1e-7)
    close(linear.log_prob(jnp.asarray(X[0])), exact(jnp.asarray(A), jnp.asarray(X))[0], rtol=1e-7)


def test_derivatives_of_a_density_are_closed_forms(linear, close):
    """By the weights and by the sample, in reverse and forward mode."""
    x = jnp.asarray(X)
    mean = lambda a: jnp.mean(eqx.tree_at(lambda m: m.ode.module.a, linear, a).log_prob(x))
    expected = jax.grad(lambda a: jnp.mean(exact(a, x)))(jnp.asarray(A))
    close(jax.jit(jax.grad(mean))(jnp.asarray(A)), expected, rtol=1e-6, atol=1e-8)
    close(jax.jit(jax.jacfwd(mean))(jnp.asarray(A)), expected, rtol=1e-6, atol=1e-8)
    close(jax.vmap(jax.grad(linear.log_prob))(x), jax.vmap(jax.grad(lambda x: exact(jnp.asarray(A), x)))(x), rtol=1e-6)


def test_a_density_integrates_to_one(flow, close):
    """Over a grid with the trapezium rule, which is exact to many digits for what dies out at the sides."""
    grid = np.linspace(-7, 7, 71)
    points = jnp.asarray(np.stack(np.meshgrid(grid, grid), axis=-1).reshape(-1, 2))
    log_prob = flow.log_prob(points, rtol=1e-6, atol=1e-8)
    close(jnp.sum(jnp.exp(log_prob)) * (grid[1] - grid[0]) ** 2, 1.0, rtol=1e-5)


def test_random_signs_are_right_in_the_mean(flow, close):
    """Two numbers have four vectors of signs, equally likely: their mean is the exact trace, for a batch and for one sample."""
    random = sci.nn.ContinuousNormalizingFlow(flow.ode.module, 2, trace="hutchinson", rtol=1e-9, atol=1e-10)
    w = eqx.filter(flow.ode.module, eqx.is_inexact_array)
    terms = {"f": w, "divergence": eqx.tree_at(lambda d: d.module, eqx.filter(_divergence(random), eqx.is_inexact_array), w)}
    back = jax.jit(
        jax.vmap(
            lambda e: sci.solve(
                random.system, t_span=(1, 0), initial={"z": X[0]}, params={**terms, "e": e}, saveat="end", solver="tsit5", rtol=1e-9, atol=1e-10
            )["c"][-1]
        )
    )
    found = back(jnp.asarray(list(itertools.product([-1.0, 1.0], repeat=2))))
    close(jnp.mean(found), flow.solve(jnp.asarray(X[0]))["c"][-1], rtol=1e-6)
    assert np.ptp(found) > 1e-3


def _divergence(flow):
    return flow.system.symbols["divergence"].declaration.value


def test_random_signs_are_drawn_from_the_key(flow):
    random = sci.nn.ContinuousNormalizingFlow(flow.ode.module, 2, trace="hutchinson")
    x = jnp.asarray(np.tile(X, (20, 1)))
    first, again, other = (np.asarray(random.log_prob(x, key=jax.random.key(seed))) for seed in (0, 0, 1))
    assert (first == again).all() and (first != other).any()
    wrong = abs(first - np.asarray(flow.log_prob(x)))
    assert wrong.max() > 1e-3 and wrong.max() < 2
    assert len(np.unique(first.round(6))) > 3  # rows have signs of their own


def test_samples_have_the_density(linear, close):
    """Mean and covariance of many samples, within four standard errors."""
    samples = np.asarray(linear.sample(jax.random.key(0), 20000))
    expected = np.asarray(expm(A) @ expm(A).T)
    np.testing.assert_allclose(samples.mean(axis=0), 0, atol=4 * np.sqrt(expected.max() / 20000))
    np.testing.assert_allclose(np.cov(samples.T), expected, atol=4 * expected.max() * np.sqrt(2 / 20000))
    assert linear.sample(jax.random.key(0)).shape == (2,)


def test_there_and_back(flow, close):
    """Where samples come from is found again."""
    start = jax.random.normal(jax.random.key(3), (6, 2))
    close(flow.solve(flow.ode(start))["z"][-1], start, rtol=1e-5, atol=1e-6)


def test_the_system_can_be_read(flow):
    assert str(flow.system) == "System 'flow'\n  z' = f(z, t)\n  c' = divergence(z, t)"
    random = sci.nn.ContinuousNormalizingFlow(flow.ode.module, 2, trace="hutchinson")
    assert str(random.system) == "System 'flow'\n  z' = f(z, t)\n  c' = divergence(z, e, t)"


def test_what_cannot_be_meant_is_refused(flow):
    net = flow.ode.module
    with pytest.raises(ModelError, match='Write trace="exact" or trace="hutchinson"'):
        sci.nn.ContinuousNormalizingFlow(net, 2, trace="hutchinsen")
    with pytest.raises(ModelError, match=r"the module does not take a vector of 4 numbers"):
        sci.nn.ContinuousNormalizingFlow(net, 3)
    with pytest.raises(SolveError, match=r"takes an array of shape \(2,\) or \(batch, 2\), and was given \(3,\)"):
        flow.log_prob(jnp.ones(3))
    with pytest.raises(SolveError, match=r"write flow.log_prob\(x, key=jax.random.key\(0\)\)"):
        sci.nn.ContinuousNormalizingFlow(net, 2, trace="hutchinson").log_prob(jnp.ones(2))


def test_single_precision():
    with jax.enable_x64(False):
        net = eqx.nn.MLP(3, 2, 6, 1, activation=jnp.tanh, key=jax.random.key(1))
        flow = sci.nn.ContinuousNormalizingFlow(net, 2, trace="hutchinson")
        value = flow.log_prob(jnp.ones((4, 2)), key=jax.random.key(0))
        assert value.dtype == jnp.float32 and bool(jnp.all(jnp.isfinite(value)))


def test_a_penalty_of_the_solver_stands_beside_the_density(flow, close):
    x = jnp.asarray(X)
    sol = flow.solve(x, key=jax.random.key(0), regularize=sci.ErrorEstimate(1.0))
    assert sol.penalty > 0
    close(flow.log_prob_of(sol), flow.log_prob(x), rtol=1e-9)
