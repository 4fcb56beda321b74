"""Every function of one number, at order four: along many directions at once with the sum collapsed, against nested forward mode."""

import jax
import jax.numpy as jnp
import pytest

from sciml.pinn.taylor import directional, nested

from .taylor_functions import ELEMENTWISE, same_as_nested

PLAIN = {"custom_vjp": jnp.sin}  # what JAX itself cannot differentiate forward


@pytest.fixture(autouse=True)
def _double():
    """Derivatives of high order are compared in float64, whatever the precision of the other tests."""
    with jax.enable_x64(True):
        yield


@pytest.mark.parametrize("name", ELEMENTWISE)
def test_fourth_derivative(name):
    same_as_nested(ELEMENTWISE[name], PLAIN.get(name))


@pytest.mark.parametrize("name", ["tanh", "logistic", "softplus", "erf", "log1p"])
def test_far_from_zero_no_digits_are_lost(name):
    f, x = ELEMENTWISE[name], jnp.array([15.0])
    found = directional(f, x, jnp.ones((1, 1)), 4)[1]
    assert jnp.allclose(found, nested(f, x, [(4,)])[0], rtol=1e-9, atol=0)


@pytest.mark.parametrize(
    "f",
    [jax.nn.relu, jnp.abs, jax.nn.softplus, lambda x: jnp.maximum(x, 0.0), lambda x: x**3],
    ids=["relu", "abs", "softplus", "max", "x**3"],
)
def test_at_a_kink_and_at_zero_as_nested(f):
    x = jnp.zeros(1)
    for order in (1, 2, 3, 4):
        assert jnp.array_equal(directional(f, x, jnp.ones((1, 1)), order)[1], nested(f, x, [(order,)])[0])


def test_whole_powers_at_zero_are_exact():
    """Nested forward mode has no number here from order three on."""
    found = directional(lambda x: x**2.0 + x**4.0, jnp.zeros(1), jnp.ones((1, 1)), 4, lower=True)
    assert [float(d.item()) for d in (*found[1], found[2])] == [0.0, 2.0, 0.0, 24.0]
    assert float(jax.grad(lambda x: directional(lambda y: y[0] ** 2.0, x, jnp.ones((1, 1)), 2)[1])(jnp.zeros(1))[0]) == 0.0
