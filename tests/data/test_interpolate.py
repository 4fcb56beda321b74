"""Interpolation of inputs and tables: what it reproduces exactly, and what it does outside."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from sciml.data import interpolant

GRID = np.array([0.0, 0.5, 0.8, 1.7, 2.0, 3.0])
INSIDE = np.array([0.0, 0.1, 0.5, 1.0, 1.9, 2.5, 3.0])
EVERY = ("cubic", "monotone", "linear", "previous")


def _many(f, x):
    return jax.jit(jax.vmap(lambda v: f(v)))(jnp.asarray(x, float))


@pytest.mark.parametrize("interp", EVERY)
def test_the_measured_values_are_met(interp, close):
    values = np.cos(3 * GRID)
    close(_many(interpolant(GRID, values, interp, "error"), GRID), values, rtol=1e-12, atol=1e-14)


def test_cubic_reproduces_a_cubic_polynomial(close):
    p = np.polynomial.Polynomial([1.0, -2.0, 0.5, 0.3])
    f = interpolant(GRID, p(GRID), "cubic", "error")
    close(_many(f, INSIDE), p(INSIDE), rtol=1e-12, atol=1e-12)
    close(_many(jax.grad(f), INSIDE[1:-1]), p.deriv()(INSIDE[1:-1]), rtol=1e-10, atol=1e-10)
    close(_many(jax.grad(jax.grad(f)), INSIDE[1:-1]), p.deriv(2)(INSIDE[1:-1]), rtol=1e-8, atol=1e-8)


@pytest.mark.parametrize("interp", ["cubic", "monotone", "linear"])
@pytest.mark.parametrize("count", [2, 3, 6])
def test_a_line_is_reproduced_by_all_that_are_continuous(interp, count, close):
    grid = GRID[:count]
    at = np.linspace(grid[0], grid[-1], 7)
    f = interpolant(grid, 2 - 3 * grid, interp, "error")
    close(_many(f, at), 2 - 3 * at, rtol=1e-12, atol=1e-13)
    close(_many(jax.grad(f), at[1:-1]), np.full(5, -3.0), rtol=1e-10)


def test_monotone_does_not_overshoot():
    values = np.array([0.0, 0.0, 0.0, 1.0, 1.0, 1.0])
    at = np.linspace(0, 3, 200)
    steep = np.asarray(_many(interpolant(GRID, values, "monotone", "error"), at))
    assert steep.min() >= -1e-7
    assert steep.max() <= 1 + 1e-6
    assert (np.diff(steep) >= -1e-6).all()
    assert np.asarray(_many(interpolant(GRID, values, "cubic", "error"), at)).max() > 1.01


def test_previous_is_a_staircase(close):
    f = interpolant(GRID, GRID * 10, "previous", "hold")
    close(_many(f, [0.49, 0.5, 1.0, 2.99, 3.0]), [0.0, 5.0, 8.0, 20.0, 30.0])
    close(jax.grad(f)(1.0), 0.0)


@pytest.mark.parametrize("interp", EVERY)
def test_outside_error_is_nan(interp):
    f = interpolant(GRID, GRID**2, interp, "error")
    assert np.isnan(_many(f, [-0.1, 3.1])).all()


@pytest.mark.parametrize("interp", EVERY)
def test_a_rounding_error_past_the_end_is_inside(interp, close):
    f = interpolant(GRID, GRID**2, interp, "error")
    eps = float(jnp.finfo(float).eps)
    close(f(3.0 * (1 + eps)), 9.0)


@pytest.mark.parametrize("interp", EVERY)
def test_outside_hold_is_the_end_value_with_derivative_zero(interp, close):
    f = interpolant(GRID, 1 + GRID**2, interp, "hold")
    close(_many(f, [-5.0, 9.0]), [1.0, 10.0])
    close(_many(jax.grad(f), [-5.0, 9.0]), [0.0, 0.0])


@pytest.mark.parametrize("interp", ["cubic", "linear"])
def test_outside_extrapolate_continues_the_last_piece(interp, close):
    line = interpolant(GRID, 1 + 2 * GRID, interp, "extrapolate")
    close(_many(line, [-1.0, 4.0]), [-1.0, 9.0], rtol=1e-10)
    if interp == "cubic":
        close(_many(interpolant(GRID, GRID**3, interp, "extrapolate"), [-1.0, 4.0]), [-1.0, 64.0], rtol=1e-10)


def test_previous_extrapolates_by_holding(close):
    close(_many(interpolant(GRID, GRID, "previous", "extrapolate"), [-1.0, 9.0]), [0.0, 3.0])


@pytest.mark.parametrize(("interp", "outside"), [("cubic", "error"), ("monotone", "hold"), ("linear", "extrapolate"), ("previous", "error")])
def test_vector_values(interp, outside, close):
    values = np.stack([GRID, 1 - 2 * GRID], axis=1)
    f = interpolant(GRID, values, interp, outside)
    both = [interpolant(GRID, values[:, i], interp, outside) for i in range(2)]
    at = [0.3, 1.7, 2.9]
    assert _many(f, at).shape == (3, 2)
    close(_many(f, at), np.stack([_many(g, at) for g in both], axis=1), rtol=1e-12)


def test_derivative_by_the_measured_values(close):
    """At a measured time the interpolant is that value, so its derivative by the values is a unit vector."""
    slope = jax.grad(lambda v: interpolant(GRID, v, "cubic", "error")(0.8))(jnp.asarray(GRID**2))
    close(slope, np.eye(6)[2], atol=1e-12)


def test_under_jit_and_in_single_precision():
    f = interpolant(GRID, jnp.asarray(GRID, jnp.float32), "linear", "error")
    assert jax.jit(lambda x: f(x))(jnp.float32(0.6)).dtype == f.values.dtype
