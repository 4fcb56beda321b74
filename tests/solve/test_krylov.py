"""Matrix-free solves: GMRES alone, derivatives through it, and whole solutions against those with a dense Jacobian."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import sciml as sci
from sciml.codegen import compile as compiled
from sciml.codegen.structure import Free
from sciml.solve.algebra import algebra_of
from sciml.solve.krylov import FreeAlgebra, gmres
from sciml.solve.linear import DenseAlgebra
from sciml.solve.methods import RODAS5P, Rhs

EPS = float(np.finfo(np.float64 if jax.config.jax_enable_x64 else np.float32).eps)
RNG = np.random.default_rng(0)


def matrix(n, spread, seed=0):
    """Eigenvalues between 1 and `spread`, not symmetric."""
    rng = np.random.default_rng(seed)
    q = np.linalg.qr(rng.normal(size=(n, n)))[0]
    return q @ (np.diag(np.geomspace(1, spread, n)) + np.triu(rng.normal(size=(n, n)), 1) / n) @ q.T


solved = jax.jit(lambda a, b, rtol: gmres(lambda v: a @ v, b, lambda v: v, rtol))


@pytest.mark.parametrize(("n", "spread"), [(1, 1.0), (5, 3.0), (50, 1.0), (50, 10.0), (50, 100.0)])
def test_gmres_solves_as_exactly_as_asked(n, spread):
    a, b = matrix(n, spread), RNG.normal(size=n)
    for rtol in (1e-2, 1e-6):
        x = np.asarray(solved(jnp.asarray(a), jnp.asarray(b), rtol))
        assert np.linalg.norm(a @ x - b) <= max(1.01e-2 * rtol, 200 * EPS) * np.linalg.norm(b)


def test_zero_and_the_exact_inverse():
    a = jnp.asarray(matrix(20, 5.0))
    np.testing.assert_array_equal(solved(a, jnp.zeros(20), 1e-6), np.zeros(20))
    inverse = jnp.linalg.inv(a)
    x = gmres(lambda v: a @ v, jnp.ones(20), lambda v: inverse @ v, 1e-6)
    np.testing.assert_allclose(x, inverse @ jnp.ones(20), atol=1e3 * EPS)


def test_what_does_not_converge_is_nan():
    assert np.isnan(solved(jnp.diag(jnp.geomspace(1.0, 1e12, 400)), jnp.ones(400), 1e-8)).all()
    assert np.isnan(solved(jnp.full((3, 3), jnp.nan), jnp.ones(3), 1e-8)).all()
    assert np.isnan(solved(jnp.zeros((3, 3)), jnp.ones(3), 1e-8)).all()


def test_lanes_that_need_different_numbers_of_products():
    matrices = np.stack([np.eye(40), matrix(40, 4.0), matrix(40, 60.0)])
    rights = RNG.normal(size=(3, 40))
    found = jax.vmap(solved, in_axes=(0, 0, None))(jnp.asarray(matrices), jnp.asarray(rights), 1e-6)
    for a, b, x in zip(matrices, rights, found, strict=True):
        assert np.linalg.norm(a @ np.asarray(x, float) - b) <= max(1.1e-8, 200 * EPS) * np.linalg.norm(b)


def test_single_precision():
    x = solved(jnp.asarray(matrix(30, 5.0), jnp.float32), jnp.ones(30, jnp.float32), 1e-6)
    assert x.dtype == jnp.float32
    np.testing.assert_allclose(x, np.linalg.solve(matrix(30, 5.0), np.ones(30)), atol=1e-4)


def test_a_diagonal_mass_and_a_row_without_a_rate():
    a = np.array([[-1.0, 0.5, 0.0], [0.2, -2.0, 1.0], [1.0, 0.0, -3.0]])
    mass = np.array([1.0, 2.0, 0.0])
    _, jacobian, rate = FreeAlgebra(rtol=1e-9).linearise(lambda t, y: jnp.asarray(a) @ y + t, 0.0, jnp.ones(3))
    np.testing.assert_allclose(rate, np.ones(3))
    np.testing.assert_allclose(jacobian @ jnp.ones(3), a.sum(1), atol=10 * EPS)
    x = jacobian.solver(10.0, jnp.asarray(mass))(jnp.ones(3))
    np.testing.assert_allclose(x, np.linalg.solve(10 * np.diag(mass) - a, np.ones(3)), rtol=max(1e-9, 100 * EPS))


@pytest.mark.skipif(not jax.config.jax_enable_x64, reason="derivatives to nine digits")
@pytest.mark.parametrize("preconditioned", [True, False])
def test_derivatives_of_a_step_are_those_with_a_dense_jacobian(preconditioned, close):
    n = 15
    a = jnp.asarray(-matrix(n, 8.0))
    y, weights = jnp.asarray(RNG.normal(size=n)), jnp.asarray(RNG.normal(size=n))

    def end(free, y, p, h):
        f = lambda t, y: p * (a @ y) - y**3
        approximate = (lambda c: lambda v: jnp.linalg.inv(c * jnp.eye(n) - 0.7 * a) @ v) if preconditioned else None
        algebra = FreeAlgebra(approximate, 1e-12, autonomous=True) if free else dense
        step = RODAS5P.step(Rhs(f, f, None, algebra), 0.0, y, h, None, exact=True)
        return jnp.sum(weights * (step.y1 + step.polynomial()[1]))

    full = np.ones((n, n), bool)
    dense = DenseAlgebra.of(sci.codegen.Sparsity(full, np.arange(n), True), full, np.ones(n, bool))
    args = (y, jnp.asarray(0.7), jnp.asarray(0.1))
    found, expected = (jax.jit(jax.grad(end, argnums=(1, 2, 3)), static_argnums=0)(free, *args) for free in (True, False))
    jax.tree.map(lambda f, e: close(f, e, rtol=1e-9, atol=1e-9), found, expected)
    _, forward = jax.jvp(lambda *x: end(True, *x), args, (weights, jnp.asarray(1.0), jnp.asarray(1.0)))
    close(forward, jnp.sum(expected[0] * weights) + expected[1] + expected[2], rtol=1e-9)


# -- whole solutions ------------------------------------------------------------------------


def diffusion(n, free):
    """u' = d u'' - u^3 between walls, with the exact inverse of the linear part for a preconditioner."""
    x = np.linspace(0, 1, n + 2)[1:-1]
    u = sci.variables("u", shape=(n,), initial=np.sin(np.pi * x) + np.sin(3 * np.pi * x))
    d = sci.parameters("d", 0.1)

    def rates(u, d):
        w = jnp.pad(u, 1)
        return d * (w[2:] - 2 * u + w[:-2]) * (n + 1.0) ** 2 - u**3

    k = np.arange(1, n + 1)
    modes = np.sqrt(2 / (n + 1)) * np.sin(np.pi * np.outer(k, k) / (n + 1))
    values = -4 * (n + 1.0) ** 2 * np.sin(np.pi * k / (2 * n + 2)) ** 2

    def precondition(c, p):
        scale = 1 / (c - p[0] * jnp.asarray(values, p.dtype))
        basis = jnp.asarray(modes, p.dtype)
        return lambda v: basis @ (scale * (basis @ v))

    model = compiled(sci.System([sci.eq(u.diff(sci.t), sci.function("diffusion", rates)(u, d))]))
    if free:
        model.structure = Free(precondition, autonomous=True)
    return model, u


def test_a_solution_and_its_gradient_are_those_with_a_dense_jacobian(close):
    def end(free):
        model, u = diffusion(20, free)
        return lambda d: jnp.sum(sci.solve(model, t_span=(0, 0.5), params={"d": d}, solver="rodas5p", rtol=1e-6, atol=1e-8)[u][-1] ** 2)

    assert isinstance(algebra_of(diffusion(20, True)[0])(jnp.zeros(1), 1e-6), FreeAlgebra)
    value, gradient = jax.value_and_grad(end(True))(0.1)
    expected, by_dense = jax.value_and_grad(end(False))(0.1)
    close(value, expected, rtol=1e-6)
    close(gradient, by_dense, rtol=1e-5)
