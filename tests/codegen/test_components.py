"""Sums over components as JAX arrays, in both precisions, with gradients."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import sympy as sp

import sciml as sci
from sciml.codegen.lower import lower
from sciml.passes import Filled, Indices, Placed, placeholder
from sciml.passes.indexed import gradient, lowered

D = 6
X, i = sci.space("X", -sp.oo, sp.oo, dim=D), sp.Symbol("i", integer=True)
PLACED = placeholder("X")
SUM = sp.Sum((i + 1) * sp.sin(X[i]) * sp.cos(X[i + 1]) / (i + 2), (i, 0, D - 2))


def function(e):
    tape = lower([e.xreplace({X: PLACED})])
    return lambda x: tape.run(lambda leaf: x)[0]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_sum(dtype, close):
    x = jnp.asarray(np.linspace(-0.5, 0.7, D), dtype)
    found = jax.jit(function(lowered(SUM)))(x)
    k = np.arange(D - 1)
    assert found.dtype == x.dtype
    close(found, np.sum((k + 1) * np.sin(x[:-1]) * np.cos(x[1:]) / (k + 2)), 1e-6)


def test_the_gradient_is_that_of_jax(close):
    x = jnp.linspace(-0.5, 0.7, D)
    close(function(gradient(SUM, X))(x), jax.grad(function(lowered(SUM)))(x), 1e-12)
    close(function(gradient(SUM, X))(x), jax.jacfwd(function(lowered(SUM)))(x), 1e-12)


def test_filled_and_placed(close):
    x = jnp.linspace(-0.5, 0.7, D)
    e = Placed(Filled(sp.sin(sp.Float(0.5)), 2), 1, D - 3) * PLACED + Indices(2, 2 + D)
    close(function(e)(x), [0, np.sin(0.5), np.sin(0.5), 0, 0, 0] * np.asarray(x) + np.arange(2, 2 + D), 1e-6)
