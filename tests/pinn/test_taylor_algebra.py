"""The algebras by themselves: products of polynomials, collapsed sums, and the slots of the biharmonic operator."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sciml.pinn.taylor import biharmonic, laplacian, partials
from sciml.pinn.taylor.algebra import Series, algebra, below
from sciml.pinn.taylor.interpret import taylor

from .taylor_functions import ELEMENTWISE, OTHERS, POINT


@pytest.fixture(autouse=True)
def _double():
    """Derivatives of high order are compared in float64, whatever the precision of the other tests."""
    with jax.enable_x64(True):
        yield


indices = st.tuples(st.integers(0, 3), st.integers(0, 2), st.integers(0, 2)).filter(any)


def value(al, seed):
    """Random coefficients, a few of them zero."""
    rng = np.random.default_rng(seed)
    slots = {key: jnp.asarray(rng.normal(size=al.sizes.get("r", ()) if al.axes[key] else ())) for key in al.keys if rng.random() > 0.3}
    return Series(jnp.asarray(1.0 + rng.random()), slots)


def as_polynomial(series, shape):
    """The coefficients as an array with one axis for each variable."""
    full = np.zeros(shape)
    full[(0,) * len(shape)] = series.primal
    for key, slot in series.slots.items():
        full[key] = slot
    return full


def multiplied(a, b):
    full = np.zeros_like(a)
    for alpha, beta in itertools.product(np.ndindex(a.shape), repeat=2):
        total = tuple(np.add(alpha, beta))
        if all(t < n for t, n in zip(total, a.shape, strict=True)):
            full[total] += a[alpha] * b[beta]
    return full


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(indices, min_size=1, max_size=3), st.integers(0, 10**6))
def test_products_are_those_of_polynomials(wanted, seed):
    al = algebra(wanted)
    a, b = value(al, seed), value(al, seed + 1)
    found = taylor(al, lambda p, q: p * q, a, b)
    shape = tuple(1 + max(key[n] for key in al.keys) for n in range(3))
    expected = multiplied(as_polynomial(a, shape), as_polynomial(b, shape))
    for key in al.keys:
        np.testing.assert_allclose(found.slots.get(key, 0.0), expected[key], atol=1e-12)


@settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(indices.filter(lambda a: sum(a) > 1), min_size=2, max_size=4, unique=True), st.integers(0, 10**6))
def test_a_collapsed_sum_is_the_sum(members, seed):
    """Of any function of the values: what is never held one by one adds up to the same."""
    degree = max(map(sum, members))
    members = [alpha for alpha in members if sum(alpha) == degree]
    weights = np.random.default_rng(seed).normal(size=len(members))
    apart = algebra(members)
    z = value(apart, seed)
    kept = algebra([], [list(zip(members, weights, strict=True))])
    tops = [w * z.slots[alpha] for alpha, w in zip(members, weights, strict=True) if alpha in z.slots]
    collapsed = Series(z.primal, {key: z.slots[key] for key in kept.indices if key in z.slots} | ({0: sum(tops)} if tops else {}))
    for f in (lambda y: y * y, jnp.exp, lambda y: jnp.tanh(y) / (1 + y * y)):
        found, all_of_them = taylor(kept, f, collapsed), taylor(apart, f, z)
        expected = sum(w * all_of_them.slots.get(alpha, 0.0) for alpha, w in zip(members, weights, strict=True))
        np.testing.assert_allclose(found.slots.get(0, 0.0), expected, rtol=1e-10, atol=1e-10)


def test_the_parts_of_an_index():
    assert below([(1, 0, 2)]) == ((0, 0, 1), (1, 0, 0), (0, 0, 2), (1, 0, 1), (1, 0, 2))
    assert len(below([(1, 0, 1), (0, 3, 1), (0, 0, 2)])) == 10  # the KdV equation in two dimensions: eleven with the value


def test_zeros_are_never_multiplied():
    """u_xy of a sum of functions of one variable each: no product at all."""
    jaxpr = str(jax.make_jaxpr(lambda x: partials(lambda p: p[0] + 2.0 * p[1], x, [(1, 1)])[0][0])(POINT[:2]))
    assert "dot_general" not in jaxpr and jaxpr.count("mul") <= 3


INNER = np.array([[0.5, -0.2, 0.1], [0.3, 0.4, -0.6], [-0.1, 0.2, 0.7]])


@pytest.mark.parametrize("name", ["tanh", "softplus", "logaddexp", "division", "custom_vjp", "scan", "cond", "while_loop", "solve", "sort"])
def test_biharmonic_of_any_program(name):
    """The algebra of five slots against the Laplacian of the Laplacian."""
    f = {**ELEMENTWISE, **OTHERS}[name]
    g = lambda x: jnp.sum(f(INNER @ x + x @ x) ** 2)
    found, expected = jax.jit(lambda x: (biharmonic(g, x), laplacian(lambda p: laplacian(g, p), x)))(POINT)
    np.testing.assert_allclose(found, expected, rtol=1e-10)
