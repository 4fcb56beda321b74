"""The first layer of a network is found where it is linear in the inputs, and only there; how much a network costs."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from sciml.pinn.plans.first_layer import factor, first_layer, layer_in_shapes, rest
from sciml.pinn.plans.work import work_of

N = 6
KEYS = jax.random.split(jax.random.key(0), 8)
A, B, C = (jax.random.normal(k, (4, N)) for k in KEYS[:3])
S = jax.random.normal(KEYS[3], (N,))

LINEAR = {
    "one matrix": lambda s: jnp.tanh(A @ s),
    "from the right": lambda s: jnp.tanh(s @ A.T),
    "two encoders and a layer": lambda s: jnp.tanh(A @ s) * jnp.sin(B @ s) + jnp.cos(C @ s),
    "Fourier features": lambda s: jnp.concatenate([jnp.cos(A @ s), jnp.sin(A @ s)]),
    "scaled and shifted": lambda s: jnp.tanh(A @ (0.5 - (2.0 * s - 1.0) / 3.0)),
    "a scale for each": lambda s: jnp.tanh(A @ (s * jnp.arange(1.0, N + 1))),
    "inside jit": jax.jit(lambda s: jnp.tanh(A @ s + 1.0)),
    "the same matrix twice": lambda s: jnp.tanh(A @ s) + jnp.sin(A @ s),
    "a matrix of three axes": lambda s: jnp.tanh(jnp.stack([A, B]) @ s),
}
OTHER = {
    "squared": lambda s: jnp.tanh(A @ (s * s)),
    "a residual connection": lambda s: jnp.tanh(A @ s) + s[:4],
    "a norm": lambda s: jnp.tanh(A @ s) / jnp.linalg.norm(s),
    "a matrix of the inputs": lambda s: (A * s[0]) @ s,
    "not used": lambda s: jnp.ones(3) * A[0, 0],
    "itself": lambda s: s,
    "nonlinear": lambda s: jnp.tanh(s),
}


@pytest.mark.parametrize("name", LINEAR)
def test_found(name, close):
    """The matrices are the derivative of z, and the rest of the network gives its value from z."""
    network = LINEAR[name]
    layer = first_layer(network, S)
    joined = lambda s: jnp.concatenate(first_layer(network, s).values)
    close(jnp.concatenate(layer.matrices), jax.jacobian(joined)(S), rtol=1e-12, atol=1e-12)
    close(rest(network, S, layer.values), network(S), rtol=1e-12)
    shapes = layer_in_shapes(network, jax.ShapeDtypeStruct((N,), S.dtype))
    assert (shapes.sizes, shapes.shifted) == (layer.sizes, name == "scaled and shifted")


@pytest.mark.parametrize("name", OTHER)
def test_not_found(name):
    assert first_layer(OTHER[name], S) is None
    assert layer_in_shapes(OTHER[name], jax.ShapeDtypeStruct((N,), S.dtype)) is None


def test_in_shapes_only():
    network = eqx.filter_eval_shape(lambda k: eqx.nn.MLP(N, 1, 7, 2, key=k), KEYS[0])
    assert layer_in_shapes(network, jax.ShapeDtypeStruct((N,), S.dtype)).sizes == [7]


def products(matrices):
    stack = jnp.concatenate(matrices)
    return stack @ stack.T


def test_factor(close):
    for matrices in ((A,), (A[:1], B[:2])):
        lower = factor(matrices)
        close(lower @ lower.T, products(matrices), rtol=1e-12, atol=1e-12)


def test_factor_of_dependent_rows(close):
    """Two matrices that are the same, and one of zeros: singular, and still a factor with finite derivatives."""
    for matrices in ((A, A), (jnp.zeros((2, N)),), (A, A + 1e-9 * B)):
        lower = factor(matrices)
        close(lower @ lower.T, products(matrices), rtol=1e-7, atol=1e-12)
        slope = jax.grad(lambda ms: jnp.sum(factor(ms) ** 2))(matrices)
        assert all(np.isfinite(g).all() for g in slope)


def test_derivative_of_a_sum_over_columns(close):
    """sum over r of l_r^T H l_r = trace of W^T H W: its gradient is (H + H^T) W, whatever the rotation of L."""
    H = jax.random.normal(KEYS[4], (4, 4))
    total = lambda W: jnp.trace(factor((W,)).T @ H @ factor((W,)))
    close(jax.grad(total)(A), (H + H.T) @ A, rtol=1e-9, atol=1e-10)
    close(jax.jvp(total, (A,), (B,))[1], jnp.sum((H + H.T) @ A * B), rtol=1e-9)
    both = lambda W: jax.vmap(lambda s: jnp.trace(factor((s * W,)).T @ H @ factor((W,))))(jnp.ones((2,)))
    assert np.isfinite(jax.jit(jax.jacobian(both))(A)).all()


def test_gradient_where_rows_depend(close):
    """Encoders that begin equal: the sum still has the gradient of trace(W^T H W)."""
    H = jax.random.normal(KEYS[5], (8, 8))
    stack = jnp.concatenate([A, A])
    slope = jax.grad(lambda ms: jnp.trace(factor(ms).T @ H @ factor(ms)))((A, A))
    close(jnp.concatenate(slope), (H + H.T) @ stack, rtol=1e-6, atol=1e-6)


def test_work_of_a_network():
    """An MLP of 6 inputs, two hidden layers of 5, one output: products and tanh counted by hand."""
    network = eqx.nn.MLP(N, 1, 5, 2, jnp.tanh, key=KEYS[0])
    work = work_of(network, jax.ShapeDtypeStruct((N,), S.dtype))
    assert (work.inputs, work.layer.sizes, work.rows) == (N, [5], 5)
    assert (work.first, work.products, work.nonlinear) == (2 * 5 * N, 2 * 5 * 5 + 2 * 5, 10)
    scanned = lambda s: jax.lax.scan(lambda y, _: (jnp.tanh(A[:, :4] @ y), None), A @ s, length=3)[0]
    work = work_of(scanned, jax.ShapeDtypeStruct((N,), S.dtype))
    assert (work.first, work.products, work.nonlinear) == (2 * 4 * N, 3 * 2 * 4 * 4, 3 * 4)
    assert work_of(lambda s: jnp.sum(s**2), jax.ShapeDtypeStruct((N,), S.dtype)).layer is None
