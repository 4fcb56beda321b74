"""Each way to solve a linear system: to rounding, transposed too, for lanes, and NaN rather than wrong."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sciml.solve.linear import _Eliminated, _inverted, _lapack, _Plan, agree, factoriser, inverse, pivoted_inverse

EPS = float(np.finfo(np.float64 if jax.config.jax_enable_x64 else np.float32).eps)


def dominant(seed, pattern):
    """A random matrix of a pattern whose diagonal is as large as its row: small h makes such."""
    rng = np.random.default_rng(seed)
    matrix = np.where(pattern, rng.normal(size=pattern.shape), 0.0)
    return jnp.asarray(matrix + np.diag(1.0 + np.abs(matrix).sum(1)))


def checked(factor, matrix, seed=0, slack=200.0):
    b = jnp.asarray(np.random.default_rng(seed).normal(size=len(matrix)), matrix.dtype)
    solve, transposed = factor(matrix)
    bound = slack * EPS * np.linalg.cond(np.asarray(matrix, float))
    np.testing.assert_allclose(solve(b), np.linalg.solve(np.asarray(matrix, float), b), rtol=0, atol=bound)
    np.testing.assert_allclose(transposed(b), np.linalg.solve(np.asarray(matrix, float).T, b), rtol=0, atol=bound)


@given(st.integers(1, 7), st.integers(0, 2**31), st.floats(0.1, 1.0))
def test_elimination_of_random_patterns(n, seed, density):
    pattern = np.random.default_rng(seed).random((n, n)) < density
    checked(_Eliminated(_Plan.of(pattern)), dominant(seed, pattern), seed)


@pytest.mark.parametrize("make", [functools.partial(_inverted, pivoted_inverse), _lapack], ids=["inverse", "LAPACK"])
@pytest.mark.parametrize("n", [1, 2, 9, 20])
def test_the_dense_ones_need_no_diagonal(make, n):
    matrix = jnp.asarray(np.random.default_rng(n).normal(size=(n, n)))
    checked(make, matrix)
    checked(make, jnp.roll(jnp.diag(jnp.arange(1.0, n + 1)), 1, axis=0))  # not a number on the diagonal


@given(st.integers(1, 12), st.integers(0, 2**31))
def test_the_inverse_is_that_of_numpy(n, seed):
    matrix = np.random.default_rng(seed).normal(size=(n, n))
    found, exact = _inverse(jnp.asarray(matrix)), np.linalg.inv(matrix)
    np.testing.assert_allclose(found, exact, rtol=0, atol=100 * EPS * np.linalg.cond(matrix) * np.abs(exact).max())


_inverse, _unpivoted = jax.jit(pivoted_inverse), jax.jit(inverse)


@given(st.integers(1, 12), st.integers(0, 2**31))
def test_the_inverse_without_pivoting_of_dominant_matrices(n, seed):
    matrix = dominant(seed, np.ones((n, n), bool))
    np.testing.assert_allclose(_unpivoted(matrix) @ matrix, np.eye(n), rtol=0, atol=1e3 * EPS)


def test_the_inverse_pivots_or_is_not_finite():
    matrix = jnp.array([[1e-14, 1.0, 0.0], [1.0, 1.0, 2.0], [0.0, 3.0, 1.0]])
    np.testing.assert_allclose(pivoted_inverse(matrix) @ matrix, np.eye(3), atol=100 * EPS)
    for bad in (matrix, jnp.zeros((2, 2)), jnp.array([[1.0, 1.0], [1.0, 1.0]]), jnp.full((2, 2), jnp.nan)):
        assert not np.isfinite(inverse(bad)).all()


@pytest.mark.parametrize(
    ("n", "rated", "kind"),
    [
        (12, True, "written out"),
        (13, True, inverse),
        (32, True, inverse),
        (12, False, pivoted_inverse),
        (32, False, pivoted_inverse),
        (33, True, "LAPACK"),
    ],
)
def test_the_choice_by_size_and_by_rates(n, rated, kind):
    differential = np.ones(n, bool)
    differential[0] = rated
    made = factoriser(np.ones((n, n), bool), differential)
    found = "written out" if isinstance(made, _Eliminated) else "LAPACK" if made is _lapack else made.args[0]
    assert found == kind


def test_a_row_without_a_rate_may_have_zeros_on_its_diagonal():
    """An index-1 system x' = -z, 0 = x - 1: W = [[1/(hg), 1], [-1, 0]] for every h."""
    pattern, differential = np.array([[True, True], [True, False]]), np.array([True, False])
    for h in (1.0, 1e-8):
        checked(factoriser(pattern, differential), jnp.array([[1 / h, 1.0], [-1.0, 0.0]]))


def test_an_arrow_fills_nothing():
    n = 9
    arrow = np.eye(n, dtype=bool)
    arrow[0], arrow[:, 0] = True, True  # eliminated first, the corner would fill everything
    plan = _Plan.of(arrow)
    assert plan.filled.sum() == 3 * n - 2
    assert plan.order[-1] == 0 or plan.order[-2] == 0
    checked(_Eliminated(plan), dominant(1, arrow))


def test_fill_is_foreseen():
    ring = np.eye(5, dtype=bool) | np.roll(np.eye(5, dtype=bool), 1, axis=0)
    plan = _Plan.of(ring)
    assert plan.filled.sum() > ring.sum()
    checked(_Eliminated(plan), dominant(2, ring))


def test_growth_is_nan_and_not_a_wrong_number():
    full = np.ones((2, 2), bool)
    solve, transposed = _Eliminated(_Plan.of(full))(jnp.array([[EPS, 1.0], [1.0, 1.0]]))
    assert np.isnan(solve(jnp.ones(2))).all() and np.isnan(transposed(jnp.ones(2))).all()
    solve, _ = _Eliminated(_Plan.of(full))(jnp.array([[0.0, 1.0], [1.0, 1.0]]))
    assert np.isnan(solve(jnp.ones(2))).all()
    solve, _ = _Eliminated(_Plan.of(full))(jnp.array([[jnp.nan, 1.0], [1.0, 1.0]]))
    assert np.isnan(solve(jnp.ones(2))).all()


@pytest.mark.parametrize("n", [4, 20, 40])
def test_lanes_are_solved_one_by_one(n):
    pattern = np.random.default_rng(n).random((n, n)) < 0.4
    factor = factoriser(pattern, np.ones(n, bool))
    matrices = jnp.stack([dominant(seed, pattern) for seed in range(3)])
    rights = jnp.asarray(np.random.default_rng(0).normal(size=(3, n)))
    for which in (0, 1):
        lanes = jax.vmap(lambda m, b: factor(m)[which](b))(matrices, rights)
        for matrix, b, x in zip(matrices, rights, lanes, strict=True):
            np.testing.assert_allclose(x, np.linalg.solve(matrix.T if which else matrix, b), rtol=0, atol=1e3 * EPS)


@pytest.mark.parametrize("n", [3, 20, 40])
def test_single_precision(n):
    pattern = np.ones((n, n), bool)
    matrix = dominant(0, pattern).astype(jnp.float32)
    solve, transposed = factoriser(pattern, np.ones(n, bool))(matrix)
    b = jnp.ones(n, jnp.float32)
    assert solve(b).dtype == jnp.float32
    for x, m in ((solve(b), matrix), (transposed(b), matrix.T)):
        np.testing.assert_allclose(x, np.linalg.solve(np.asarray(m, float), b), rtol=1e-4, atol=1e-5)


def test_a_flag_of_one_lane_is_that_of_all():
    flags = jnp.array([False, True, False])
    assert jax.vmap(agree)(flags).all()
    assert not jax.vmap(agree)(jnp.zeros(3, bool)).any()
    assert jax.vmap(jax.vmap(agree))(jnp.array([[False, False], [True, False]])).all()
    assert not agree(False)
    kept = jax.vmap(lambda flag, x: (agree(flag), x))(flags, jnp.arange(3))
    np.testing.assert_array_equal(kept[1], [0, 1, 2])
