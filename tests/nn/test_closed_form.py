"""CfC: its formula by hand in each mode, the wiring, derivatives, masks, and what it refuses."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import sciml as sci
from sciml.errors import ModelError, SolveError

KEY = jax.random.key(3)
MODES = ["default", "no_gate", "pure"]
TIMES = np.array([0.0, 0.4, 1.3, 1.9, 3.5, 3.8])
VALUES = np.random.default_rng(0).normal(size=(6, 2))
GAPS = np.r_[1.0, np.diff(TIMES)]


def dense(mode="default"):
    return sci.nn.CfC(2, 5, mode=mode, backbone=8, key=KEY)


def sparse(mode="default"):
    return sci.nn.CfC(2, sci.nn.AutoNCP(7, outputs=2), mode=mode, key=KEY)


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def moved(mode, numbers, gap, pure):
    """The state from what the heads give, by the paper's formulas."""
    if mode == "pure":
        amplitude, rate = (np.asarray(p) for p in pure)
        return -amplitude * np.exp(-gap * (np.log1p(np.exp(rate)) + abs(numbers))) * numbers + amplitude
    f, g, a, b = np.split(numbers, 4)
    gate = sigmoid(a * gap + b)
    return np.tanh(f) + gate * np.tanh(g) if mode == "no_gate" else np.tanh(f) * (1 - gate) + gate * np.tanh(g)


@pytest.mark.parametrize("mode", MODES)
def test_formula_with_a_backbone(mode):
    layer = dense(mode)
    first, head = (tuple(np.asarray(a) for a in (m.weight, m.bias)) for m in (layer.backbone[0], layer.heads[0]))
    v = np.zeros(5)
    for x, gap, found in zip(VALUES, GAPS, layer.states(TIMES, VALUES), strict=True):
        z = 1.7159 * np.tanh(2 / 3 * (first[0] @ np.r_[x, v] + first[1]))
        v = moved(mode, head[0] @ z + head[1], gap, layer.pure)
        np.testing.assert_allclose(found, v, rtol=1e-12)


@pytest.mark.parametrize("mode", MODES)
def test_formula_with_a_wiring(mode):
    """Layer after layer: command neurons see the inter neurons of the same sample."""
    layer = sparse(mode)
    v = np.zeros(7)
    for x, gap, found in zip(VALUES, GAPS, layer.states(TIMES, VALUES), strict=True):
        for head, group in zip(layer.heads, layer.wiring.groups, strict=True):
            numbers = np.where(head.mask, head.weight, 0) @ np.r_[x, v] + np.asarray(head.bias)
            pure = None if layer.pure is None else [p[group.start : group.stop] for p in layer.pure]
            v[group.start : group.stop] = moved(mode, numbers, gap, pure)
        np.testing.assert_allclose(found, v, rtol=1e-12)


def test_influence_follows_the_wiring():
    """By one sample a neuron is moved by its sources of the sample before, itself, and layers before it of this one."""
    layer = sparse()
    v = jnp.asarray(np.random.default_rng(2).normal(size=7))
    by_v, by_x = jax.jacobian(layer.update, argnums=(0, 1))(v, jnp.asarray(VALUES[0]), 0.7)
    inter, command, motor = layer.wiring.groups
    assert (by_v[inter.start : inter.stop, inter.stop :] == 0).all()  # nothing goes back to the inter neurons
    assert (by_v[command.start : command.stop, motor.start :] == 0).all()
    reached = layer.wiring.sensory[:, inter.start : inter.stop].T != 0
    np.testing.assert_array_equal(by_x[inter.start : inter.stop] != 0, reached)
    assert (jnp.diag(by_v) != 0).all()  # every neuron remembers


def test_pure_mode_solves_the_liquid_equation_between_its_limits():
    """At once it is A - A f, and after a long time A."""
    layer = dense("pure")
    numbers = jnp.linspace(-1.0, 1.0, 5)
    at = lambda gap: layer._moved(numbers, jnp.asarray(gap), range(5))
    np.testing.assert_allclose(at(0.0), 1 - numbers, rtol=1e-12)
    np.testing.assert_allclose(at(1e4), jnp.ones(5), rtol=1e-12)


@pytest.mark.parametrize("layer", [dense(), dense("pure"), sparse("no_gate")], ids=["dense", "pure", "sparse"])
def test_derivatives_both_modes(layer):
    arrays, rest = eqx.partition(layer, eqx.is_inexact_array)
    directions = jax.tree.map(lambda a: jnp.asarray(np.random.default_rng(a.size).normal(size=a.shape)), arrays)
    value = jax.jit(lambda arrays, t: jnp.sum(eqx.combine(arrays, rest)(t, VALUES) ** 2))
    t, by_t = jnp.asarray(TIMES), jnp.linspace(0.2, 0.5, 6)
    at = lambda e: value(jax.tree.map(lambda a, d: a + e * d, arrays, directions), t + e * by_t)
    differences = (at(1e-5) - at(-1e-5)) / 2e-5
    forward = jax.jvp(value, (arrays, t), (directions, by_t))[1]
    gradient = jax.jit(jax.grad(value, argnums=(0, 1)))(arrays, t)
    reverse = sum(jnp.vdot(g, d) for g, d in zip(jax.tree.leaves(gradient), jax.tree.leaves((directions, by_t)), strict=True))
    np.testing.assert_allclose(forward, differences, rtol=1e-6)
    np.testing.assert_allclose(reverse, differences, rtol=1e-6)


@pytest.mark.parametrize("layer", [dense(), sparse()], ids=["dense", "sparse"])
def test_batches_by_vmap(layer):
    batch = jnp.stack([jnp.asarray(VALUES), -jnp.asarray(VALUES), jnp.zeros((6, 2))])
    together = jax.jit(jax.vmap(layer, in_axes=(None, 0)))(jnp.asarray(TIMES), batch)
    np.testing.assert_allclose(together, jnp.stack([layer(TIMES, x) for x in batch]), rtol=1e-12)


@pytest.mark.parametrize("layer", [dense(), sparse()], ids=["dense", "sparse"])
def test_padding_and_holes_change_no_bit(layer):
    plain = layer.states(TIMES, VALUES)
    padded = layer.states(np.r_[TIMES, 9.0, 9.0], np.r_[VALUES, np.full((2, 2), 7.0)], np.arange(8) < 6)
    np.testing.assert_array_equal(padded, np.r_[plain, np.stack([plain[-1]] * 2)])
    there = np.array([True, True, False, True, False, True])
    holed = layer.states(TIMES, VALUES, there)
    np.testing.assert_array_equal(holed[there], layer.states(TIMES[there], VALUES[there]))
    np.testing.assert_array_equal(holed[4], holed[3])


def test_ragged_batch():
    lengths = [6, 3, 4]
    batch = sci.nn.series([TIMES[:n] for n in lengths], [VALUES[:n] for n in lengths])
    together = jax.vmap(dense())(batch)
    np.testing.assert_allclose(together, jnp.stack([dense()(TIMES[:n], VALUES[:n]) for n in lengths]), rtol=1e-12)


def test_missing_values_and_outputs():
    seen = np.ones((6, 2), bool)
    seen[0, 0] = seen[3, 1] = False
    filled = VALUES.copy()
    filled[0, 0], filled[3, 1] = 0.0, VALUES[2, 1]
    layer = sci.nn.CfC(2, 5, 3, key=KEY)
    hidden = sci.nn.series(TIMES, np.where(seen, VALUES, np.nan), missing="allowed")
    np.testing.assert_array_equal(layer(hidden), layer(TIMES, filled))
    assert layer(TIMES, VALUES).shape == (3,)
    every = layer(TIMES, VALUES, saveat="samples")
    assert every.shape == (6, 3)
    np.testing.assert_allclose(every[-1], layer(TIMES, VALUES), rtol=1e-12)
    np.testing.assert_array_equal(sparse().states(TIMES, VALUES)[-1, -2:], sparse()(TIMES, VALUES))


def test_the_time_matters_where_the_gate_asks_for_it():
    layer = dense()
    assert not np.allclose(layer(TIMES, VALUES), layer(2 * TIMES, VALUES))


def test_continues_from_a_state():
    layer = dense()
    whole = layer.states(TIMES, VALUES)
    rest = sci.nn.CfC(2, 5, backbone=8, first=float(TIMES[3] - TIMES[2]), key=KEY)
    np.testing.assert_array_equal(rest.states(TIMES[3:], VALUES[3:], initial=whole[2]), whole[3:])


@pytest.mark.parametrize("mode", MODES)
def test_training_lowers_the_loss(mode):
    layer = sci.nn.CfC(1, 6, 1, mode=mode, backbone=16, key=KEY)
    t = jnp.linspace(0.0, 6.0, 16)
    loss = lambda layer: jnp.mean((layer(t, jnp.cos(t)[:, None], saveat="samples") - jnp.sin(t)[:, None]) ** 2)
    optimizer = optax.adam(0.01)

    @eqx.filter_jit
    def step(layer, state):
        value, gradient = eqx.filter_value_and_grad(loss)(layer)
        with jax.numpy_dtype_promotion("standard"):
            updates, state = optimizer.update(gradient, state)
        return eqx.apply_updates(layer, updates), state, value

    state = optimizer.init(eqx.filter(layer, eqx.is_inexact_array))
    before = loss(layer)
    for _ in range(100):
        layer, state, _ = step(layer, state)
    assert loss(layer) < 0.1 * before


def test_training_leaves_missing_synapses_out():
    layer = sparse()
    gradient = eqx.filter_grad(lambda layer: jnp.sum(layer(TIMES, VALUES)))(layer)
    assert all((g.weight[~h.mask] == 0).all() for g, h in zip(gradient.heads, layer.heads, strict=True))


def test_single_precision():
    with jax.enable_x64(False):
        for mode in MODES:
            out = sci.nn.CfC(2, 5, mode=mode, key=KEY)(TIMES, VALUES)
            assert out.dtype == jnp.float32 and np.isfinite(out).all()


@pytest.mark.parametrize(
    "act, kind, message",
    [
        (lambda: dense("defualt"), ModelError, "There is no mode 'defualt'. Did you mean 'default'?"),
        (lambda: sci.nn.CfC(2, 4, backbone=0, key=KEY), ModelError, "backbone=0: give a whole number, 1 or more"),
        (lambda: sci.nn.CfC(2, 4, first=None, key=KEY), ModelError, "first=None: give the time that counts as elapsed before the first sample"),
        (lambda: sci.nn.CfC(2, 4, depth=-1, key=KEY), ModelError, "depth=-1: give a whole number, 0 or more"),
        (lambda: sci.nn.CfC(2, sci.nn.AutoNCP(7, 2), backbone=64, key=KEY), ModelError, "a backbone would join all neurons. Leave backbone="),
        (lambda: sci.nn.CfC(2, sci.nn.AutoNCP(7, 2).build(3), key=KEY), ModelError, "This wiring is for 3 inputs, and the layer has 2"),
        (lambda: dense()(TIMES, np.ones((6, 3))), SolveError, "CfC was made for 2 channels, and the series has 3"),
        (lambda: dense()(TIMES[::-1], VALUES), SolveError, "must increase"),
        (lambda: dense()(TIMES, VALUES, saveat=3), SolveError, "saveat=3: write saveat=\"end\""),
        (lambda: dense()(TIMES, VALUES, initial=np.ones(3)), SolveError, "initial has shape (3,), and this CfC has 5 neurons"),
    ],
)  # fmt: skip
def test_what_cannot_be_is_refused(act, kind, message):
    with pytest.raises(kind) as caught:
        act()
    assert message in str(caught.value)
