"""Equilibrium layers: closed forms, derivatives against differences and against the unrolled iteration, failures."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import sciml as sci
from sciml.errors import ModelError, SolveError

DTYPE = jnp.result_type(float)
FLOAT32 = jnp.dtype("float32") == DTYPE


class Map(eqx.Module):
    of_z: eqx.nn.Linear
    of_x: eqx.nn.Linear

    def __init__(self, size, inputs, gain=0.8):
        one, two = jax.random.split(jax.random.key(1))
        self.of_z = eqx.tree_at(lambda m: m.weight, eqx.nn.Linear(size, size, key=one), gain * jax.random.normal(one, (size, size)) / np.sqrt(size))
        self.of_x = eqx.nn.Linear(inputs, size, key=two)

    def __call__(self, z, x):
        return jnp.tanh(self.of_z(z) + self.of_x(x))


X = jnp.array([0.3, -1.0, 0.5], DTYPE)
TIGHT = None if FLOAT32 else 1e-11
LAYER = sci.nn.DeepEquilibrium(Map(6, 3), 6, rtol=TIGHT, atol=TIGHT)


def unrolled(layer, x):
    return jax.lax.fori_loop(0, 300, lambda _, z: layer.f(z, x), jnp.zeros(layer.shape, DTYPE))


def pull(z):
    return jnp.sum(jnp.sin(z))


ARRAYS, REST = eqx.partition(LAYER, eqx.is_inexact_array)


@pytest.fixture(scope="module")
def program():
    """(weights, x) -> the pull on z, and its gradient by both."""
    return jax.jit(jax.value_and_grad(lambda arrays, x: pull(eqx.combine(arrays, REST)(x)), argnums=(0, 1)))


def test_it_is_a_fixed_point(close):
    z = LAYER(X)
    close(z, LAYER.f(z, X))
    close(z, unrolled(LAYER, X))
    assert z.shape == (6,) and z.dtype == DTYPE


def test_a_linear_map_has_a_closed_form(close):
    """z = A z + x has z = (I - A)^-1 x, and dz/dx = (I - A)^-1."""
    A = jnp.array([[0.2, 0.9], [-0.4, 0.1]], DTYPE)
    layer = sci.nn.DeepEquilibrium(lambda z, x: A @ z + x, 2)
    inverse = np.linalg.inv(np.eye(2) - np.asarray(A))
    close(layer(jnp.array([1.0, 2.0], DTYPE)), inverse @ [1.0, 2.0])
    close(jax.jit(jax.jacrev(layer))(jnp.ones(2, DTYPE)), inverse)
    close(jax.jit(jax.jacfwd(layer))(jnp.ones(2, DTYPE)), inverse)


def test_z_of_any_shape_and_x_of_any_structure(close):
    layer = sci.nn.DeepEquilibrium(lambda z, x: 0.5 * jnp.cos(z) + x["a"][:, None] * x["b"], (2, 3))
    x = {"a": jnp.array([0.1, 0.2], DTYPE), "b": jnp.array(0.3, DTYPE)}
    z = layer(x)
    close(z, 0.5 * jnp.cos(z) + jnp.broadcast_to(x["a"][:, None] * x["b"], (2, 3)))
    assert jax.jit(jax.grad(lambda x: jnp.sum(layer(x))))(x)["b"].shape == ()


def test_derivatives_against_differences(program, close):
    """Along a random direction of all weights, and by x; in reverse mode, and in forward mode."""
    _, (by_weights, by_x) = program(ARRAYS, X)
    along = jax.tree.map(lambda leaf: jax.random.normal(jax.random.key(leaf.size), leaf.shape, leaf.dtype), ARRAYS)
    step, rtol = (1e-2, 1e-2) if FLOAT32 else (1e-5, 1e-7)
    moved = lambda s: program(jax.tree.map(lambda leaf, d: leaf + s * d, ARRAYS, along), X)[0]
    slope = sum(jnp.vdot(g, d) for g, d in zip(jax.tree.leaves(by_weights), jax.tree.leaves(along), strict=True))
    close(slope, (moved(step) - moved(-step)) / (2 * step), rtol=rtol)
    forward = jax.jit(lambda arrays, along: jax.jvp(lambda a: pull(eqx.combine(a, REST)(X)), (arrays,), (along,))[1])
    close(forward(ARRAYS, along), slope, rtol=1e-9)
    for i in range(3):
        d = step * jnp.eye(3, dtype=DTYPE)[i]
        close(by_x[i], (program(ARRAYS, X + d)[0] - program(ARRAYS, X - d)[0]) / (2 * step), rtol=rtol)


def test_derivatives_are_those_of_the_unrolled_iteration(program, close):
    _, (by_weights, by_x) = program(ARRAYS, X)
    through = jax.jit(jax.grad(lambda arrays, x: pull(unrolled(eqx.combine(arrays, REST), x)), argnums=(0, 1)))(ARRAYS, X)
    close(by_x, through[1], rtol=1e-7, atol=1e-9)
    for a, b in zip(jax.tree.leaves(by_weights.f), jax.tree.leaves(through[0].f), strict=True):
        close(a, b, rtol=1e-7, atol=1e-9)


def test_a_batch_is_the_single_ones(program, close):
    xs = jnp.stack([X, 2 * X, jnp.zeros_like(X)])
    values, (_, gradients) = jax.jit(jax.vmap(program, in_axes=(None, 0)))(ARRAYS, xs)
    for x, value, gradient in zip(xs, values, gradients, strict=True):
        close(value, program(ARRAYS, x)[0])
        close(gradient, program(ARRAYS, x)[1][1], rtol=1e-6, atol=1e-9)


def test_eagerly_it_is_the_same(program, close):
    close(jax.grad(lambda x: pull(LAYER(x)))(X), program(ARRAYS, X)[1][1], rtol=1e-6, atol=1e-9)


def test_second_derivatives(close):
    """z = cos(z)/2 + x: z' = 1/(1 + sin(z)/2), z'' = -cos(z)/2 z'^3."""
    layer = sci.nn.DeepEquilibrium(lambda z, x: 0.5 * jnp.cos(z) + x, ())
    x = jnp.array(0.3, DTYPE)
    z = layer(x)
    close(jax.jit(jax.grad(jax.grad(layer)))(x), -0.5 * jnp.cos(z) / (1 + 0.5 * jnp.sin(z)) ** 3, rtol=1e-6)


def test_many_unknowns_take_products_only(close):
    """Above 100 unknowns GMRES: the same derivative as the unrolled iteration."""
    f = Map(120, 3, gain=0.5)
    layer = sci.nn.DeepEquilibrium(f, 120)
    gradient = jax.jit(jax.grad(lambda x: pull(layer(x))))(X)
    close(gradient, jax.jit(jax.grad(lambda x: pull(unrolled(layer, x))))(X), rtol=1e-6)


def test_float32_stays_float32():
    layer = jax.tree.map(lambda v: v.astype(jnp.float32) if eqx.is_array(v) else v, sci.nn.DeepEquilibrium(Map(6, 3), 6))
    z = layer(X.astype(jnp.float32))
    assert z.dtype == jnp.float32 and jnp.max(jnp.abs(layer.f(z, X.astype(jnp.float32)) - z)) < 1e-4


def test_acceleration_finds_what_the_iteration_does_not(close):
    """z <- -2 z + x runs away from z = x/3; in one dimension the acceleration is the secant method."""
    layer = sci.nn.DeepEquilibrium(lambda z, x: -2 * z + x, ())
    close(layer(jnp.array(1.5, DTYPE)), 0.5)


def test_training_with_the_jacobian_kept_small():
    """The layer learns |x|; the penalty keeps df/dz smaller than training without it."""
    x = jnp.linspace(-1, 1, 40, dtype=DTYPE)[:, None]
    model = (sci.nn.DeepEquilibrium(Map(8, 1), 8), eqx.nn.Linear(8, 1, key=jax.random.key(2)))

    def loss(weight):
        def value(model, batch, key):
            layer, readout = model
            z = jax.vmap(layer)(batch)
            penalty = jnp.mean(jax.vmap(lambda z, x, key: layer.jacobian_norm(z, x, key=key))(z, batch, jax.random.split(key, len(batch))))
            return jnp.mean((jax.vmap(readout)(z) - jnp.abs(batch)) ** 2) + weight * penalty, {"jacobian": penalty}

        return value

    fit = lambda weight: sci.nn.fit(model, x, loss(weight), batch=20, steps=150, optimizer=optax.adam(1e-2), progress=False).history
    plain, kept = fit(0.0), fit(0.05)
    assert plain["loss"].iloc[-1] < 0.1 * plain["loss"].iloc[0]
    assert kept["jacobian"].iloc[-20:].mean() < 0.5 * plain["jacobian"].iloc[-20:].mean()


def test_in_a_row_of_layers():
    net = eqx.nn.Sequential([eqx.nn.Linear(2, 3, key=jax.random.key(0)), LAYER, eqx.nn.Linear(6, 1, key=jax.random.key(1))])
    assert net(jnp.ones(2, DTYPE)).shape == (1,)


# Failure


def test_no_fixed_point_is_said_eagerly_and_is_nan_inside():
    layer = sci.nn.DeepEquilibrium(lambda z, x: z + x, 2, max_steps=30)
    with pytest.raises(
        SolveError, match=r"No fixed point z = f\(z, x\) was found: after \d+ evaluations .* is 1 in its largest component.*max_steps=30"
    ):
        layer(jnp.ones(2, DTYPE))
    assert jnp.isnan(jax.jit(layer)(jnp.ones(2, DTYPE))).all()
    both = jax.vmap(layer)(jnp.array([[1.0, 1.0], [0.0, 0.0]], DTYPE))
    assert jnp.isnan(both[0]).all() and (both[1] == 0).all()


def test_nan_is_no_fixed_point():
    with pytest.raises(SolveError, match="is nan in its largest component"):
        sci.nn.DeepEquilibrium(lambda z, x: z * jnp.nan, 2)(X)


@pytest.mark.parametrize(
    "make, sentence",
    [
        (lambda: sci.nn.DeepEquilibrium(3, 2), r"takes a function f\(z, x\), not 3"),
        (lambda: sci.nn.DeepEquilibrium(Map(6, 3), 0), r"shape=0 is not the shape of z. Write DeepEquilibrium\(f, 16\)"),
        (lambda: LAYER(X, start=jnp.zeros(5, DTYPE)), r"start has shape \(5,\), and z has \(6,\)"),
        (lambda: sci.nn.DeepEquilibrium(lambda z, x: z[:2], 3)(X), r"f\(z, x\) gives shape \(2,\) for a z of shape \(3,\).*jax.vmap\(layer\)"),
        (lambda: sci.nn.DeepEquilibrium(lambda z, x: (z, z), 3)(X), r"gives PyTreeDef.* for a z of shape \(3,\)"),
    ],
)
def test_what_it_cannot_use(make, sentence):
    with pytest.raises((ModelError, SolveError), match=sentence):
        make()
