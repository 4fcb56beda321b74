"""Every kind of program: shapes, sums, sorting, loops, branches, linear algebra, at order four against nested forward mode."""

import jax
import jax.numpy as jnp
import pytest

from sciml.errors import CompileError
from sciml.pinn.taylor import partials

from .taylor_functions import OTHERS, POINT, same_as_nested


@pytest.fixture(autouse=True)
def _double():
    """Derivatives of high order are compared in float64, whatever the precision of the other tests."""
    with jax.enable_x64(True):
        yield


@pytest.mark.parametrize("name", [name for name in OTHERS if name != "expm"])
def test_fourth_derivative(name):
    same_as_nested(OTHERS[name])


def test_matrix_exponential_against_its_closed_form():
    def closed(x):
        return jnp.eye(3) + jnp.expm1(x @ x) / (x @ x) * jnp.outer(x, x)

    for found, expected in zip(*(partials(f, POINT, [(2, 1, 0), (1, 1, 1)])[0] for f in (OTHERS["expm"], closed)), strict=True):
        assert jnp.allclose(found, expected, rtol=1e-11)


def test_reverse_rule_that_is_not_linear_is_refused():
    @jax.custom_vjp
    def clipped(x):
        return x**2

    clipped.defvjp(lambda x: (x**2, x), lambda x, g: (jnp.clip(2 * x * g, -1, 1),))
    with pytest.raises(CompileError, match=r"'clipped' is not linear .* jax.custom_jvp"):
        partials(lambda x: jnp.sum(clipped(x)), POINT, [(2, 0, 0)])
