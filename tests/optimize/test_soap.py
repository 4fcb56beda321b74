"""SOAP: Adam in a basis that turns with the gradients."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from sciml.errors import FitError
from sciml.optimize import advance, begin, soap


def updates(optimizer, gradients):
    """The updates that follow from a sequence of gradients."""
    state, found = optimizer.init(gradients[0]), []
    step = jax.jit(optimizer.update)
    with jax.numpy_dtype_promotion("standard"):
        for g in gradients:
            update, state = step(g, state)
            found.append(update)
    return found


def orthogonal(seed, n):
    return jnp.linalg.qr(jax.random.normal(jax.random.key(seed), (n, n)))[0]


def adam(rate=0.1):
    return optax.adam(rate, b1=0.95, b2=0.95)


def test_it_is_adam_in_a_rotated_basis(close):
    """Gradients U D V' with diagonal D have the eigenbasis U, V: the step is U adam(D) V'."""
    u, v = orthogonal(0, 4), orthogonal(1, 4)
    diagonals = [jnp.diag(jnp.array([4.0, 3.0, 2.0, 1.0]) * (1 + 0.1 * n)) for n in range(12)]
    found = updates(soap(0.1, precondition_every=3), [u @ d @ v.T for d in diagonals])
    for got, inner in zip(found, updates(adam(), diagonals), strict=True):
        close(u.T @ got @ v, inner, rtol=1e-5, atol=1e-6)


def test_vectors_numbers_stacks_and_long_sides_get_adam(close):
    gradients = [
        {"vector": s * jnp.arange(1.0, 4.0), "number": jnp.array(s), "stack": s * jnp.ones((2, 2, 2)), "long": s * jnp.arange(1.0, 7.0).reshape(2, 3)}
        for s in (1.0, -0.5, 2.0)
    ]
    for got, wanted in zip(updates(soap(0.1, max_size=1), gradients), updates(adam(), gradients), strict=True):
        jax.tree.map(lambda a, b: close(a, b, rtol=1e-6, atol=1e-9), got, wanted)


def test_one_long_side_leaves_a_basis_on_the_other():
    state = soap(0.1, max_size=3).init(jnp.zeros((3, 5)))
    leaf = state[0].leaves[0]
    assert leaf.left.basis.shape == (3, 3) and leaf.right is None


@pytest.mark.parametrize("every", [1, 4])
def test_rotating_the_gradients_rotates_the_steps(every, close):
    u, v = orthogonal(2, 4), orthogonal(3, 4)
    gradients = [jax.random.normal(jax.random.key(n), (4, 4)) for n in range(9)]
    plain = updates(soap(0.1, precondition_every=every), gradients)
    turned = updates(soap(0.1, precondition_every=every), [u @ g @ v.T for g in gradients])
    for a, b in zip(plain, turned, strict=True):
        close(u @ a @ v.T, b, rtol=1e-6, atol=1e-7)
    straight = updates(adam(), gradients)[-1], updates(adam(), [u @ g @ v.T for g in gradients])[-1]
    assert np.abs(u @ straight[0] @ v.T - straight[1]).max() > 0.01  # Adam is not like that


def test_the_basis_stays_orthogonal_and_finds_the_eigenvectors(close):
    u, v = orthogonal(4, 3), orthogonal(5, 3)
    optimizer = soap(0.1, precondition_every=2)
    state = optimizer.init(jnp.zeros((3, 3)))
    step = jax.jit(optimizer.update)
    with jax.numpy_dtype_promotion("standard"):
        for n in range(40):
            noise = jnp.diag(jax.random.normal(jax.random.key(n), (3,)) * jnp.array([5.0, 1.0, 0.2]))
            _, state = step(u @ noise @ v.T, state)
    basis = state[0].leaves[0].left.basis
    close(basis.T @ basis, jnp.eye(3), atol=1e-6)
    close(jnp.abs(u.T @ basis), jnp.eye(3), atol=1e-2)


def test_it_needs_fewer_steps_than_adam_on_ill_conditioned_least_squares():
    a = orthogonal(6, 8) @ jnp.diag(jnp.geomspace(1, 1e-2, 8)) @ orthogonal(7, 8)
    wanted = orthogonal(8, 8)

    def after(optimizer):
        state = begin(optimizer, jnp.zeros((8, 8)))
        step = jax.jit(lambda state: advance(lambda w: (jnp.sum((a @ (w - wanted)) ** 2), {}), optimizer, state))
        for _ in range(300):
            state = step(state).state
        return float(jnp.sum((a @ (state.model - wanted)) ** 2))

    decay = optax.cosine_decay_schedule(0.03, 300)
    assert after(soap(decay)) < 0.2 * after(optax.adam(decay, b1=0.95, b2=0.95))


def test_weight_decay_is_decoupled(close):
    with jax.numpy_dtype_promotion("standard"):
        w, g = jnp.full((2, 2), 3.0), jax.random.normal(jax.random.key(0), (2, 2))
        plain, decayed = soap(0.1), soap(0.1, weight_decay=0.5)
        a, _ = plain.update(g, plain.init(w), w)
        b, _ = decayed.update(g, decayed.init(w), w)
    close(b, a - 0.1 * 0.5 * w)


def test_a_gradient_that_is_not_finite_does_not_reach_it():
    optimizer = soap(0.1)

    def loss(w, scale):
        return scale * jnp.sum(w**2), {}

    state = begin(optimizer, jnp.ones((2, 2)))
    step = jax.jit(lambda state, scale: advance(lambda w: loss(w, scale), optimizer, state))
    state = step(state, jnp.array(1.0)).state
    made = step(state, jnp.array(jnp.nan))
    assert int(made.failures) == 1
    for old, new in zip(jax.tree.leaves(state.optimizer), jax.tree.leaves(made.state.optimizer), strict=True):
        np.testing.assert_array_equal(old, new)


def test_float32():
    g = jax.random.normal(jax.random.key(0), (3, 2), jnp.float32)
    found = updates(soap(0.1), [g, 2 * g])
    assert found[-1].dtype == jnp.float32 and bool(jnp.all(jnp.isfinite(found[-1])))


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"b1": 1.0}, r"soap\(b1=1.0\): a decay from 0 to less than 1"),
        ({"b2": -0.1}, r"soap\(b2=-0.1\)"),
        ({"eps": 0.0}, r"soap\(eps=0.0\): a positive number"),
        ({"precondition_every": 0}, r"soap\(precondition_every=0\): a positive whole number"),
        ({"max_size": True}, r"soap\(max_size=True\)"),
    ],
)
def test_bad_options(options, text):
    with pytest.raises(FitError, match=text):
        soap(1e-3, **options)
