"""Banded Jacobians against dense ones: products, solves, transposes, lanes, derivatives, and whole solutions."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import sciml as sci
from sciml.codegen import compile as compiled
from sciml.codegen.structure import Band, Dense
from sciml.errors import CompileError
from sciml.solve.algebra import algebra_of
from sciml.solve.banded import BandedAlgebra, Ordering
from sciml.solve.linear import DenseAlgebra, transposed
from sciml.solve.methods import RODAS5P, Rhs

EPS = float(np.finfo(np.float64 if jax.config.jax_enable_x64 else np.float32).eps)
RNG = np.random.default_rng(0)


def interleaved(fields, points):
    return np.arange(fields * points).reshape(fields, points).T.ravel()


BANDS = {
    "tridiagonal": Band(np.arange(64), 1, 1),
    "tridiagonal, odd": Band(np.arange(77), 1, 1),
    "tridiagonal, round": Band(np.arange(65), 1, 1, periodic=True),
    "diagonal": Band(np.arange(40), 0, 0),
    "upper": Band(np.arange(40), 0, 2),
    "lopsided, round": Band(np.arange(61), 4, 3, periodic=True),
    "two fields": Band(interleaved(2, 40), 2, 2),
    "three fields, round": Band(interleaved(3, 25), 3, 3, periodic=True),
    "any order": Band(np.random.default_rng(1).permutation(70), 2, 1),
    "wide": Band(np.arange(120), 11, 9),
}


def matrix_of(band, seed=0):
    """A random matrix of the band that is dominated by its diagonal once 1 is added to it."""
    rng = np.random.default_rng(seed)
    a = np.where(band.pattern(), rng.normal(size=(len(band.order),) * 2), 0.0)
    return a - np.diag(np.abs(a).sum(1) + np.diag(a))


def jacobian_of(band, a, differential=None):
    n = len(band.order)
    algebra = BandedAlgebra(band, np.ones(n, bool) if differential is None else differential)
    a = jnp.asarray(a)
    return algebra.linearise(lambda t, y: a @ y + t * y**2, 1.0, jnp.zeros(n, a.dtype))


@pytest.mark.parametrize(("name", "rated"), [*((name, True) for name in BANDS), ("tridiagonal", False), ("two fields", False)])
def test_products_solves_and_transposes_are_those_of_the_matrix(name, rated):
    band = BANDS[name]
    n, a = len(band.order), matrix_of(band)
    mass = RNG.uniform(0.5, 1.5, n) if not rated else None
    _, jacobian, rate = jacobian_of(band, a, np.full(n, rated))
    assert jacobian.diagonals.shape == (band.width, n)
    assert rate is not None and rate.shape == (n,)
    b = jnp.asarray(RNG.normal(size=n))
    np.testing.assert_allclose(jacobian @ b, a @ np.asarray(b, float), atol=1e3 * EPS)
    w = 1.5 * (np.eye(n) if mass is None else np.diag(mass)) - a
    solve = jacobian.solver(1.5, None if mass is None else jnp.asarray(mass))
    x, y = jax.jit(lambda b: (solve(b), transposed(solve)(b)))(b)
    np.testing.assert_allclose(x, np.linalg.solve(w, np.asarray(b, float)), atol=1e3 * EPS)
    np.testing.assert_allclose(y, np.linalg.solve(w.T, np.asarray(b, float)), atol=1e3 * EPS)


def test_products_are_as_many_as_diagonals():
    """The rates run on all directions at once: no more than the band is wide."""
    sizes = []
    band = Band(np.arange(100), 1, 1, autonomous=True)

    @jax.custom_jvp
    def f(y):
        return y

    @f.defjvp
    def _(primals, tangents):
        return primals[0], tangents[0]

    algebra = BandedAlgebra(band, np.ones(100, bool))
    jaxpr = jax.make_jaxpr(lambda y: algebra.linearise(lambda t, y: f(y), 0.0, y)[1].diagonals)(jnp.zeros(100))
    for equation in jaxpr.jaxpr.eqns:
        sizes += [v.aval.size for v in equation.outvars]
    assert max(sizes) <= 300


def test_lanes_are_solved_one_by_one():
    band = BANDS["two fields"]
    matrices = np.stack([matrix_of(band, seed) for seed in range(3)])
    shifts, rights = np.array([0.5, 1.0, 30.0]), RNG.normal(size=(3, len(band.order)))
    lanes = jax.vmap(lambda a, c, b: jacobian_of(band, a)[1].solver(c, None)(b))(*map(jnp.asarray, (matrices, shifts, rights)))
    for a, c, b, x in zip(matrices, shifts, rights, lanes, strict=True):
        np.testing.assert_allclose(x, np.linalg.solve(c * np.eye(len(b)) - a, b), atol=1e3 * EPS)


@pytest.mark.parametrize("name", ["tridiagonal", "tridiagonal, round", "two fields"])
def test_single_precision(name):
    band = BANDS[name]
    a = matrix_of(band).astype(np.float32)
    b = jnp.ones(len(a), jnp.float32)
    x = jacobian_of(band, a)[1].solver(jnp.float32(1), None)(b)
    assert x.dtype == jnp.float32
    np.testing.assert_allclose(x, np.linalg.solve(np.eye(len(a)) - a.astype(float), np.ones(len(a))), rtol=2e-5)


def test_a_small_pivot_is_nan_and_not_a_wrong_number():
    band, n = Band(np.arange(64), 1, 1), 64
    swap = np.kron(np.eye(n // 2), np.array([[0.0, 1.0], [1.0, 0.0]]))
    solve = lambda a: jacobian_of(band, a)[1].solver(0.0, None)(jnp.ones(n))
    assert np.isnan(solve(swap)).all()
    assert np.isnan(solve(swap + EPS * np.eye(n))).all()
    assert np.isnan(solve(np.where(np.eye(n), np.nan, 0.0))).any()


def test_blocks_pivot_inside_where_a_state_has_no_rate():
    """x' = D x'' - z, 0 = x - 1 at each point: no number on the diagonal of the second row for any h."""
    n = 30
    band = Band(interleaved(2, n), 2, 2)
    second = np.diag(np.ones(n - 1), 1) + np.diag(np.ones(n - 1), -1) - 2 * np.eye(n)
    a = np.block([[second, -np.eye(n)], [np.eye(n), np.zeros((n, n))]])
    mass = np.repeat([1.0, 0.0], n)
    solve = jacobian_of(band, a, mass > 0)[1].solver(1e3, jnp.asarray(mass))
    b = RNG.normal(size=2 * n)
    w = 1e3 * np.diag(mass) - a
    np.testing.assert_allclose(solve(jnp.asarray(b)), np.linalg.solve(w, b), atol=10 * EPS * np.linalg.cond(w))


@pytest.mark.parametrize("name", ["tridiagonal, round", "two fields"])
def test_derivatives_of_a_step_are_those_with_a_dense_jacobian(name, close):
    """By the state, a parameter inside the Jacobian, and the length of the step; forward and in reverse."""
    band = BANDS[name]
    n, a = len(band.order), jnp.asarray(matrix_of(band))
    dense = DenseAlgebra.of(sci.codegen.Sparsity(band.pattern(), np.arange(n), True), np.eye(n, dtype=bool), np.ones(n, bool))
    y, weights = jnp.asarray(RNG.normal(size=n)), jnp.asarray(RNG.normal(size=n))

    def end(algebra, y, p, h):
        f = lambda t, y: p * (a @ y) - y**3
        step = RODAS5P.step(Rhs(f, f, None, algebra), 0.0, y, h, None, exact=True)
        return jnp.sum(weights * (step.y1 + step.polynomial()[1]))

    args = (y, jnp.asarray(0.7), jnp.asarray(0.1))
    banded = BandedAlgebra(band, np.ones(n, bool))
    expected = jax.jit(jax.grad(lambda *x: end(dense, *x), argnums=(0, 1, 2)))(*args)
    found = jax.jit(jax.grad(lambda *x: end(banded, *x), argnums=(0, 1, 2)))(*args)
    jax.tree.map(lambda f, e: close(f, e, rtol=1e-9, atol=1e-9), found, expected)
    directions = (weights, jnp.asarray(1.0), jnp.asarray(1.0))
    _, forward = jax.jit(lambda: jax.jvp(lambda *x: end(banded, *x), args, directions))()
    close(forward, sum(jnp.sum(e * d) for e, d in zip(expected, directions, strict=True)), rtol=1e-9)


def test_the_order_of_the_states():
    none = [(np.array([1, 0, 2]), 0), (np.array([0, 2, 1, 3, 4]), 0)]
    for order, points in ((np.arange(6), 6), (interleaved(2, 5), 5), (interleaved(5, 2), 2), *none):
        ordering, v = Ordering(order), jnp.arange(float(len(order)))
        assert ordering.points == points
        np.testing.assert_array_equal(ordering(v), order)
        np.testing.assert_array_equal(ordering.back(ordering(v)), v)


@pytest.mark.parametrize("periodic", [True, False])
def test_smaller_blocks_that_the_model_knows_of(periodic):
    """Two fields, each of which looks at both fields of the next points: 3 diagonals to a side, blocks of 2."""
    m, points = 2, 21
    near = np.abs(np.subtract.outer(np.arange(points), np.arange(points)))
    near = np.minimum(near, points - near) <= 1 if periodic else near <= 1
    a = np.where(np.kron(np.ones((m, m), bool), near), RNG.normal(size=(m * points,) * 2), 0.0) - 10 * np.eye(m * points)
    b = RNG.normal(size=m * points)
    for block in (0, 2):
        x = jacobian_of(Band(interleaved(m, points), 3, 3, periodic, block=block), a)[1].solver(1.0, None)(jnp.asarray(b))
        np.testing.assert_allclose(x, np.linalg.solve(np.eye(m * points) - a, b), atol=1e3 * EPS)


def test_bad_bands_are_refused():
    with pytest.raises(CompileError, match="names each of the 3 states once"):
        Band(np.array([0, 1, 1]), 1, 1)
    with pytest.raises(CompileError, match="negative"):
        Band(np.arange(3), -1, 1)
    with pytest.raises(CompileError, match="block=3"):
        Band(np.arange(9), 3, 3, block=1)
    with pytest.raises(CompileError, match="square"):
        Dense(np.ones((2, 3), bool))


# -- whole solutions ------------------------------------------------------------------------


def burgers(n, structure):
    """Viscous Burgers with walls at both ends, in conservative form."""
    x = np.linspace(0, 2 * np.pi, n + 2)[1:-1]
    dx = float(x[1] - x[0])
    u = sci.variables("u", shape=(n,), initial=np.sin(x) + 0.5 * np.sin(2 * x))
    nu = sci.parameters("nu", 0.05)

    def rates(u, nu):
        w = jnp.pad(u, 1)
        return nu * (w[2:] - 2 * u + w[:-2]) / dx**2 - (w[2:] ** 2 - w[:-2] ** 2) / (4 * dx)

    model = compiled(sci.System([sci.eq(u.diff(sci.t), sci.function("burgers", rates)(u, nu))]))
    model.structure = structure
    return model, u, nu


def test_a_solution_and_its_gradient_are_those_with_a_dense_jacobian(close):
    n, tolerance = 40, 1e-6
    dense, banded = burgers(n, None), burgers(n, Band(np.arange(n), 1, 1, autonomous=True))
    assert isinstance(algebra_of(banded[0])(None, None), BandedAlgebra)

    def end(case):
        model, u, _ = case
        return lambda nu: jnp.sum(sci.solve(model, t_span=(0, 1), params={"nu": nu}, solver="rodas5p", rtol=tolerance, atol=tolerance)[u][-1] ** 2)

    value, gradient = jax.value_and_grad(end(banded))(0.05)
    expected, by_dense = jax.value_and_grad(end(dense))(0.05)
    close(value, expected, rtol=1e-9)
    close(gradient, by_dense, rtol=1e-8)
    close(jax.jvp(end(banded), (0.05,), (1.0,))[1], by_dense, rtol=1e-8)


def test_narrow_only_if_it_pays():
    small = burgers(10, Band(np.arange(10), 1, 1))[0]
    assert isinstance(algebra_of(small)(None, None), DenseAlgebra)
    wide = burgers(40, Band(np.arange(40), 9, 9))[0]
    assert isinstance(algebra_of(wide)(None, None), DenseAlgebra)
    full = burgers(10, Dense(np.ones((10, 10), bool), autonomous=True))[0]
    assert isinstance(algebra_of(full)(None, None), DenseAlgebra)
