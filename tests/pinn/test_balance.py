"""Weights of losses and points against closed forms on linear models."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from sciml.errors import FitError
from sciml.pinn.balance import at_points, attention, averaged, causal_weights, chunk_losses, gradient_weights, kernel_trace, kernel_weights

X = jnp.linspace(-1.0, 1.0, 7)


def line(z, x):
    return z["slope"] * x + z["height"]


def test_weighted_gradients_have_equal_norms(close):
    """Losses of a line: of its values, and of its slope, a hundred times as steep."""
    z = {"slope": jnp.array(2.0), "height": jnp.array(0.5)}
    losses = {"values": lambda z: jnp.mean(line(z, X) ** 2), "slope": lambda z: 100 * (z["slope"] - 1) ** 2}
    gradients = {name: jax.grad(loss)(z) for name, loss in losses.items()}
    weights = gradient_weights(gradients)
    norms = [float(weights[name]) * np.sqrt(sum(float(g) ** 2 for g in jax.tree.leaves(gradients[name]))) for name in losses]
    close(norms[0], norms[1])
    close(norms[0], np.hypot(2 * 2 * np.mean(np.asarray(X) ** 2), 2 * 0.5) + 200)  # the sum of both norms


def test_a_gradient_that_vanishes_has_a_finite_weight():
    weights = gradient_weights({"a": jnp.zeros(2), "b": jnp.ones(2)})
    assert np.isfinite(weights["a"]) and float(weights["a"]) > 1e10
    both = gradient_weights({"a": jnp.zeros(2), "b": jnp.zeros(2)})
    assert np.isfinite(both["a"])


def test_the_kernel_trace_of_a_line_is_that_of_its_gram_matrix(close):
    """The kernel of slope x + height is x x' + 1."""
    z = {"slope": jnp.array(0.3), "height": jnp.array(0.0)}
    close(kernel_trace(line, z, X), np.mean(np.asarray(X) ** 2 + 1))
    close(kernel_trace(lambda z, x: z["slope"] * jnp.ones(2), z, X), 1.0)  # rows of two residuals


def test_kernel_weights_make_all_traces_equal(close):
    weights = kernel_weights({"equation": jnp.array(50.0), "left": jnp.array(1.0), "right": jnp.array(2.0)})
    close(50 * weights["equation"], 1 * weights["left"])
    close(2 * weights["right"], 53)


def test_the_average_keeps_most_of_what_was(close):
    weights = {"a": 1.0}
    for _ in range(3):
        weights = averaged(weights, {"a": 2.0}, decay=0.9)
    close(weights["a"], 2 - 0.9**3)


@pytest.mark.parametrize("several", [False, True])
def test_chunk_losses_are_means_of_squares(several, close):
    t, r = jnp.array([0.0, 0.4, 1.1, 2.9, 3.0]), jnp.array([1.0, 2.0, 3.0, 4.0, 5.0])
    found = chunk_losses(t, jnp.stack([r, r], axis=1) if several else r, (0.0, 3.0), chunks=3)
    close(found, (2 if several else 1) * np.array([2.5, 9, 20.5]))


def test_a_chunk_without_points_has_no_loss():
    np.testing.assert_array_equal(chunk_losses(jnp.array([0.1]), jnp.array([2.0]), (0.0, 1.0), chunks=4), [4, 0, 0, 0])


def test_causal_weights_fall_as_losses_add_up(close):
    losses = jnp.array([0.3, 0.0, 1.0, 2.0])
    close(causal_weights(losses, 2.0), np.exp([0, -0.6, -0.6, -2.6]))
    close(causal_weights(0 * losses, 100.0), np.ones(4))
    close(at_points(causal_weights(losses, 2.0), jnp.array([0.0, 2.0, 4.0]), (0.0, 4.0)), np.exp([0, -0.6, -2.6]))


def test_no_gradient_flows_through_a_weight():
    def total(r):
        return jnp.sum(causal_weights(r**2, 1.0)) + jnp.sum(attention(r, r))

    np.testing.assert_array_equal(jax.grad(total)(jnp.array([1.0, 2.0])), [0, 0])
    assert jax.grad(lambda g: gradient_weights({"a": jnp.stack([g, g]), "b": jnp.ones(1)})["b"])(jnp.array(1.0)) == 0


def test_attention_of_a_residual_that_stays_tends_to_its_share(close):
    r = jnp.array([1.0, -2.0, 0.0])
    weights = jax.lax.fori_loop(0, 200, lambda _, w: attention(w, r, rate=0.1, decay=0.9), jnp.ones(3))
    close(weights, [0.5, 1.0, 0.0], atol=1e-8)
    np.testing.assert_array_equal(attention(jnp.ones(3), jnp.zeros(3), decay=0.5), 0.5)


def test_under_jit_in_float32():
    r = jnp.array([1.0, 2.0], jnp.float32)
    found = jax.jit(lambda r: at_points(causal_weights(chunk_losses(r, r, (0.0, 2.0), 2), 0.5), r, (0.0, 2.0)))(r)
    assert found.dtype == jnp.float32


@pytest.mark.parametrize(
    ("call", "text"),
    [
        (lambda: averaged({"a": 1.0}, {"b": 1.0}), "The weights so far are of a, the new ones of b"),
        (lambda: averaged({"a": 1.0}, {"a": 1.0}, decay=1.0), "decay=1.0: a number from 0 to less than 1, such as decay=0.9"),
        (lambda: attention(X, X, decay=-0.1), "such as decay=0.999"),
        (lambda: chunk_losses(X, X, (1.0, 1.0)), "The times run from 1.0 to 1.0: the second must be larger"),
        (lambda: gradient_weights({}), "no losses to balance"),
    ],
)
def test_bad_input(call, text):
    with pytest.raises(FitError, match=text):
        call()
