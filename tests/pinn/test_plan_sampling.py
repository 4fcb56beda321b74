"""Estimates: unbiased by enumeration, with the variance of the formulas, and independent from point to point."""

import itertools

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
import sympy as sp

from sciml.passes import Along, Diagonal, Laplacian, Partial
from sciml.pinn.plans import Dense, Sparse, sample
from sciml.pinn.plans.site import Site

from .test_plan import EXACT, Case, difference

W = sp.Symbol("w")


def hessian(case, k=0):
    """All second derivatives of function k by X."""
    f = lambda p: case.network(case.embedding(p))[k]
    return jax.hessian(f)(case.p)[1:, 1:]


def each_draw(monkeypatch, drawn, draws, made, case, key, network=None):
    """The estimates with each of `draws` in place of what the function `drawn` of `sample` would draw."""
    network = case.network if network is None else network

    def one(draw):
        monkeypatch.setattr(sample, drawn, lambda *_: draw)
        return made.evaluate(network, case.p, case.weights, jax.random.key(0))[key]

    return jax.jit(jax.vmap(one))(jnp.asarray(draws))


def subsets(d, n):
    return np.array(list(itertools.combinations(range(d), n)), np.int32)


def signs(d):
    """All vectors of signs, each a draw of one."""
    return np.array(list(itertools.product((-1.0, 1.0), repeat=d)))[:, None, :].astype(jnp.result_type(float))


@pytest.mark.parametrize("rows", [3, 8])
def test_sparse_laplacian_over_all_subsets(monkeypatch, close, rows):
    """Mean: the Laplacian. Variance: d^2/n (1 - n/d) S^2 of the diagonal."""
    case, n = Case(5, rows=rows), 2
    made = case.plan({"l": Laplacian("u", "X")}, derivatives=Sparse(n))
    found = each_draw(monkeypatch, "subset", subsets(case.d, n), made, case, "l")
    diagonal = jnp.diagonal(hessian(case))
    close(found.mean(), diagonal.sum(), rtol=1e-10)
    close(found.var(), case.d**2 / n * (1 - n / case.d) * diagonal.var(ddof=1), rtol=1e-8)


def test_sparse_weighted_third_derivatives_over_all_subsets(monkeypatch, close):
    case = Case(5)
    operators = {"third": Diagonal("v", "X", 3, W)}
    exact = case.value(operators)["third"]
    found = each_draw(monkeypatch, "subset", subsets(case.d, 3), case.plan(operators, derivatives=Sparse(3)), case, "third")
    close(found.mean(), exact, rtol=1e-10)


@pytest.mark.parametrize("rows", [3, 6], ids=["rows of the first layer", "entries of X"])
def test_dense_laplacian_over_all_signs(monkeypatch, close, rows):
    """Mean: the Laplacian. Variance: 2/n sum of the squares off the diagonal, in the basis that the signs are drawn in."""
    case = Case(4, rows=rows, outputs=1)
    made = case.plan({"l": Laplacian("u", "X")}, derivatives=Dense(1))
    m = min(case.d, rows)
    found = each_draw(monkeypatch, "signs", signs(m), made, case, "l")
    close(found.mean(), jnp.trace(hessian(case)), rtol=1e-9)
    site = Site(case.network, case.embedding, case.layout, case.p, ("X",))
    inside, z = site.g("X")
    basis = site.spread("X")
    assert basis.shape[0] == m
    H = basis @ jax.hessian(lambda z: inside(z)[0])(z) @ basis.T
    close(found.var(), 2 * (jnp.sum(H**2) - jnp.sum(jnp.diagonal(H) ** 2)), rtol=1e-7)


def test_dense_biharmonic_by_gaussian_quadrature(monkeypatch, close):
    """E of D^4 u[v, v, v, v] over normal v is a polynomial of degree 4: three nodes for each entry give it exactly, a third of it is the operator."""
    case = Case(2, rows=3)
    made = case.plan({"b": Laplacian("u", "X", 2)}, derivatives=Dense(1))
    nodes, weights = np.polynomial.hermite_e.hermegauss(3)
    weights = weights / weights.sum()
    pairs = np.array(list(itertools.product(range(3), repeat=2)))
    found = each_draw(monkeypatch, "normal", nodes[pairs][:, None, :].astype(case.p.dtype), made, case, "b")
    total = jnp.sum(found * jnp.asarray(weights[pairs].prod(1), found.dtype))
    close(total, case.value({"b": Laplacian("u", "X", 2)}, derivatives="reverse")["b"], rtol=1e-9)


def test_without_a_first_layer_the_signs_are_those_of_the_entries(monkeypatch, close):
    case = Case(3, outputs=1)
    squared = lambda s: case.network(s * s)
    made = case.plan({"l": Laplacian("u", "X")}, network=squared, derivatives=Dense(1))
    found = each_draw(monkeypatch, "signs", signs(3), made, case, "l", squared)
    exact = jnp.trace(jax.hessian(lambda p: squared(case.embedding(p))[0])(case.p)[1:, 1:])
    close(found.mean(), exact, rtol=1e-9)


def test_subsets_are_uniform():
    """Each of the 10 pairs out of 5 comes up as often: chi-squared with 9 degrees of freedom, its 0.1 percent point."""
    draws = 20_000
    chosen = jax.vmap(lambda k: sample.subset(k, 2, 5))(jax.random.split(jax.random.key(0), draws))
    low, high = np.sort(np.asarray(chosen), 1).T
    assert (low < high).all() and low.min() == 0 and high.max() == 4
    counts = np.bincount(low * 5 + high, minlength=25)
    counts = counts[counts > 0]
    assert len(counts) == 10
    assert np.sum((counts - draws / 10) ** 2) / (draws / 10) < 27.9


def test_points_with_their_own_keys_draw_their_own_entries():
    case = Case(200, rows=4)
    made = case.plan({"l": Laplacian("u", "X")}, derivatives=Sparse(4))
    points, keys = jnp.stack([case.p] * 64), jax.random.split(jax.random.key(0), 64)
    found = jax.jit(jax.vmap(lambda p, k: made.evaluate(case.network, p, key=k)["l"]))(points, keys)
    assert len(np.unique(np.asarray(found))) == 64  # one point, 64 estimates
    same = jax.jit(jax.vmap(lambda p: made.evaluate(case.network, p, key=keys[0])["l"]))(points)
    assert len(np.unique(np.asarray(same))) == 1


def test_functions_share_their_directions(close):
    """Both outputs are one function: so are both estimates."""
    case = Case(30, outputs=1)
    twice = lambda s: jnp.concatenate([case.network(s), case.network(s)])
    found = case.plan({"u": Laplacian("u", "X"), "v": Laplacian("v", "X")}, network=twice, derivatives=Sparse(2))
    values = found.evaluate(twice, case.p, key=jax.random.key(5))
    close(values["u"], values["v"], rtol=1e-12)


def test_as_many_entries_as_there_are_is_exact():
    case = Case(4)
    made = case.plan({"l": Laplacian("u", "X")}, derivatives=Sparse(4))
    assert not made.stochastic and "takes all 4 entries" in made.explain()
    assert made.check(case.network, case.p)["l"].difference < EXACT


def test_check_and_variance_of_an_estimate(close):
    """The mean lies within four standard errors of the truth; the variance is that of the formula within what 4096 draws can tell."""
    case = Case(6)
    operators = {"l": Laplacian("u", "X"), "u": Partial("u"), "a": Along("u", "X", W)}
    made = case.plan(operators, derivatives=Sparse(2))
    check = made.check(case.network, case.p, {"a": case.weights["along"]}, jax.random.key(1))
    assert check["l"].error > 0 and check["l"].difference < 4 * check["l"].error
    assert check["u"].difference < EXACT and check["a"].difference < EXACT
    found = made.variance(case.network, case.p, {"a": 1.0}, jax.random.key(2), draws=4096)
    assert set(found) == {"l"}
    diagonal = jnp.diagonal(hessian(case))
    np.testing.assert_allclose(found["l"], case.d**2 / 2 * (1 - 2 / case.d) * diagonal.var(ddof=1), rtol=0.1)
    assert case.plan(operators).variance(case.network, case.p) == {}


@pytest.mark.parametrize("derivatives", [Sparse(3), Dense(3)], ids=["sparse", "dense"])
def test_gradients_of_estimates(derivatives, close):
    """With one key an estimate is a smooth function of the weights."""
    case = Case(12, rows=5)
    made = case.plan({"l": Laplacian("u", "X")}, derivatives=derivatives)
    arrays, static = eqx.partition(case.network, eqx.is_inexact_array)
    flat, unravel = jax.flatten_util.ravel_pytree(arrays)
    key = jax.random.key(7)
    if isinstance(derivatives, Dense):  # signs in the basis of the first layer: compare the mean over all draws, which is the Laplacian
        keys, exact = jax.random.split(key, 4096), case.plan({"l": Laplacian("u", "X")})
        slope = lambda w, k: made.evaluate(eqx.combine(unravel(w), static), case.p, key=k)["l"]
        mean = jnp.mean(jax.jit(lambda w: jax.lax.map(lambda k: jax.grad(slope)(w, k), keys, batch_size=256))(flat), 0)
        truth = jax.grad(lambda w: exact.evaluate(eqx.combine(unravel(w), static), case.p)["l"])(flat)
        assert jnp.linalg.norm(mean - truth) < 0.05 * jnp.linalg.norm(truth)
        return
    value = jax.jit(lambda w: made.evaluate(eqx.combine(unravel(w), static), case.p, key=key)["l"])
    direction = jax.random.normal(jax.random.key(3), flat.shape)
    direction = direction / jnp.linalg.norm(direction)
    h = 1e-4 if jax.config.jax_enable_x64 else 3e-2
    differences = difference(value, flat, direction, h)
    close(jnp.dot(jax.grad(value)(flat), direction), differences, rtol=1e-7 if jax.config.jax_enable_x64 else 3e-2)
