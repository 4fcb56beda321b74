"""LTC: exact where conductances are constant, the order of its steps, derivatives, masks, and what it refuses."""

import diffrax as dfx
import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import sciml as sci
from sciml.errors import ModelError, SolveError

KEY = jax.random.key(3)
STEPS = ["exponential", "exponential4", "fused", "tsit5"]
TIMES = np.array([0.0, 0.4, 1.3, 1.9, 3.5, 3.8])
VALUES = np.random.default_rng(0).normal(size=(6, 2))


def made(step="exponential", unfolds=6, **options):
    return sci.nn.LTC(2, sci.nn.AutoNCP(7, outputs=2), step=step, unfolds=unfolds, key=KEY, **options)


@pytest.fixture(scope="module")
def exact():
    """States of the ordinary differential equation."""
    return eqx.filter_jit(made("tsit5", rtol=1e-11, atol=1e-12).solve)(TIMES, VALUES).states


def by_hand(layer, v, inputs):
    """C v' summed over the synapses one by one."""
    p, g = layer.params, layer.recurrent
    total = np.array(p["g_leak"] * (p["v_leak"] - v))
    for conductances, source, reversal in ((g, v, p["E"]), (layer.sensory, inputs, p["E_in"])):
        raw, slope, threshold, reversal = (np.asarray(a) for a in (conductances.strength, conductances.slope, conductances.threshold, reversal))
        for i, j in np.argwhere(conductances.mask):
            opened = np.log1p(np.exp(raw[i, j])) / (1 + np.exp(-slope[i, j] * (source[j] - threshold[i, j])))
            total[i] += opened * (reversal[i, j] - v[i])
    return total


def test_the_system_is_the_published_equation():
    layer = made()
    v, inputs = np.linspace(-1.0, 1.0, 7), np.array([0.3, -0.8])
    rhs = sci.compile(layer.system).rhs(0.0, {"v": v}, {**layer.params, "I": inputs})["v"]
    np.testing.assert_allclose(layer.params["C"] * rhs, by_hand(layer, v, inputs), rtol=1e-12)


def test_split_is_the_right_side():
    layer = made()
    v = jnp.linspace(-1.0, 1.0, 7)
    params = {**layer.params, "I": jnp.array([0.3, -0.8])}
    sol = sci.solve(layer.system, t_span=(0, 0.1), params=params, initial={"v": v}, saveat=2, solver="tsit5")
    rhs = sci.compile(layer.system).rhs(0.0, {"v": v}, params)["v"]
    np.testing.assert_allclose(sol["drive"][0] - sol["decay"][0] * v, rhs, rtol=1e-12)


@pytest.mark.parametrize("step, unfolds", [("exponential", 1), ("exponential4", 1), ("tsit5", 6)])
def test_constant_conductances_give_an_exponential(step, unfolds):
    layer = made(step, unfolds, **({"rtol": 1e-11, "atol": 1e-13} if step == "tsit5" else {}))
    still = lambda m: (m.recurrent.slope, m.sensory.slope)
    layer = eqx.tree_at(still, layer, tuple(jnp.zeros_like(s) for s in still(layer)))  # every synapse half open
    p = layer.params
    half = [jnp.where(c.mask, jax.nn.softplus(c.strength) / 2, 0) for c in (layer.recurrent, layer.sensory)]
    decay = (p["g_leak"] + half[0].sum(1) + half[1].sum(1)) / p["C"]
    drive = (p["g_leak"] * p["v_leak"] + (half[0] * p["E"]).sum(1) + (half[1] * p["E_in"]).sum(1)) / p["C"]
    start = jnp.linspace(-2.0, 2.0, 7)
    states = layer.solve(TIMES, VALUES, initial=start).states
    decay, drive, start = (np.asarray(a) for a in (decay, drive, start))
    since = TIMES[:, None] + 1.0  # the first sample comes after first=1
    expected = drive / decay + (start - drive / decay) * np.exp(-decay * since)
    np.testing.assert_allclose(states, expected, rtol=1e-9 if step == "tsit5" else 1e-12, atol=1e-12)


@pytest.mark.parametrize("step, order", [("fused", 1), ("exponential", 2), ("exponential4", 4)])
def test_order_of_the_steps(step, order, exact):
    errors = [float(jnp.abs(made(step, n).solve(TIMES, VALUES).states - exact).max()) for n in (16, 32)]
    assert order - 0.35 < np.log2(errors[0] / errors[1]) < order + 0.6


def test_exponential_step_beats_the_published_one_at_equal_evaluations(exact):
    runs = {s: made(s, n).solve(TIMES, VALUES) for s, n in (("fused", 12), ("exponential", 6), ("exponential4", 3))}
    assert {int(r.evaluations) for r in runs.values()} == {12 * 6}
    error = {s: float(jnp.abs(r.states - exact).max()) for s, r in runs.items()}
    assert error["exponential"] < error["fused"] / 4
    assert error["exponential4"] < error["exponential"]


@pytest.mark.parametrize("z", [0.0, 1e-9, 0.9e-3, 1.1e-3, 3.0, -2.0])
def test_exact_flow_near_zero(z):
    from sciml.nn.linear_steps import _flow

    found = _flow(jnp.asarray(0.7), (jnp.asarray(z), jnp.asarray(0.3)), 1.0)
    expected = 0.7 + 0.3 if z == 0 else 0.7 * np.exp(-z) + 0.3 * -np.expm1(-z) / z
    np.testing.assert_allclose(found, expected, rtol=1e-12)
    slope = jax.grad(lambda z: _flow(jnp.asarray(0.7), (z, jnp.asarray(0.3)), 1.0))(z)
    near = lambda z: 0.7 * np.exp(-z) + 0.3 * -np.expm1(-z) / z
    expected = -0.7 - 0.15 if abs(z) < 1e-6 else (near(z + 1e-5) - near(z - 1e-5)) / 2e-5
    np.testing.assert_allclose(slope, expected, rtol=1e-5)


@pytest.mark.parametrize("step", STEPS)
def test_derivatives_both_modes(step):
    layer = made(step, 2, **({"rtol": 1e-9, "atol": 1e-11} if step == "tsit5" else {}))
    arrays, rest = eqx.partition(layer, eqx.is_inexact_array)
    directions = jax.tree.map(lambda a: jnp.asarray(np.random.default_rng(a.size).normal(size=a.shape)), arrays)
    value = jax.jit(lambda arrays, x: jnp.sum(eqx.combine(arrays, rest)(TIMES, x) ** 2))
    by_x = jnp.asarray(np.random.default_rng(5).normal(size=VALUES.shape))
    moved = lambda e: value(jax.tree.map(lambda a, d: a + e * d, arrays, directions), jnp.asarray(VALUES) + e * by_x)
    differences = (moved(1e-5) - moved(-1e-5)) / 2e-5
    forward = jax.jvp(value, (arrays, jnp.asarray(VALUES)), (directions, by_x))[1]
    gradient = jax.jit(jax.grad(value, argnums=(0, 1)))(arrays, jnp.asarray(VALUES))
    reverse = sum(jnp.vdot(g, d) for g, d in zip(jax.tree.leaves(gradient), jax.tree.leaves((directions, by_x)), strict=True))
    np.testing.assert_allclose(forward, differences, rtol=1e-5)
    np.testing.assert_allclose(reverse, differences, rtol=1e-5)


@pytest.mark.parametrize("step", ["exponential", "tsit5"])
def test_batches_by_vmap(step):
    layer = made(step)
    batch = jnp.stack([jnp.asarray(VALUES), -jnp.asarray(VALUES), jnp.zeros((6, 2))])
    together = jax.jit(jax.vmap(layer, in_axes=(None, 0)))(jnp.asarray(TIMES), batch)
    np.testing.assert_allclose(together, jnp.stack([layer(TIMES, x) for x in batch]), rtol=1e-9)


@pytest.mark.parametrize("step", ["exponential", "tsit5"])
def test_padding_changes_no_bit(step):
    run = eqx.filter_jit(made(step).solve)
    plain = run(TIMES, VALUES)
    padded = run(np.r_[TIMES, 9.0, 9.0], np.r_[VALUES, np.full((2, 2), 7.0)], np.arange(8) < 6)
    np.testing.assert_array_equal(padded.states[:6], plain.states)
    np.testing.assert_array_equal(padded.states[6:], np.stack([plain.states[-1]] * 2))  # held
    assert padded.evaluations == plain.evaluations


@pytest.mark.parametrize("step", ["exponential", "tsit5"])
def test_a_missing_sample_is_a_longer_time(step):
    run = eqx.filter_jit(made(step).solve)
    there = np.array([True, True, False, True, False, True])
    holed = run(TIMES, VALUES, there).states
    np.testing.assert_array_equal(holed[there], run(TIMES[there], VALUES[there]).states)
    np.testing.assert_array_equal(holed[2], holed[1])


def test_a_missing_channel_keeps_its_last_value():
    seen = np.ones((6, 2), bool)
    seen[0, 0] = seen[3, 1] = False
    filled = VALUES.copy()
    filled[0, 0], filled[3, 1] = 0.0, VALUES[2, 1]
    np.testing.assert_array_equal(made()(TIMES, VALUES, seen), made()(TIMES, filled))
    hidden = np.where(seen, VALUES, np.nan)
    np.testing.assert_array_equal(made()(sci.nn.series(TIMES, hidden, missing="allowed")), made()(TIMES, filled))


def test_outputs_are_read_from_the_motor_neurons():
    layer = made()
    run = layer.solve(TIMES, VALUES)
    np.testing.assert_array_equal(run.outputs, run.states[:, -2:])  # scale 1, shift 0 at the start
    np.testing.assert_array_equal(layer(TIMES, VALUES), run.outputs[-1])
    np.testing.assert_array_equal(layer(TIMES, VALUES, saveat="samples"), run.outputs)
    assert sci.nn.LTC(2, 5, 3, key=KEY)(TIMES, VALUES).shape == (3,)


def test_any_weights_keep_signs():
    layer = jax.tree.map(lambda a: -9 * jnp.ones_like(a) if eqx.is_inexact_array(a) else a, made())
    p = layer.params
    assert (p["C"] > 0).all() and (p["g_leak"] > 0).all()
    assert (np.sign(p["E"]) == layer.wiring.recurrent.T).all() and (np.sign(p["E_in"]) == layer.wiring.sensory.T).all()
    assert (layer.recurrent.positive(jnp.ones(7)) >= 0).all()
    assert np.isfinite(layer(TIMES, VALUES)).all()


def test_a_seed_compiles_nothing_new():
    from sciml.nn.module import compiled

    a, b = made(), sci.nn.LTC(2, sci.nn.AutoNCP(7, outputs=2), key=jax.random.key(99))
    assert compiled(a.system, a.recurrent, a.sensory) is compiled(b.system, b.recurrent, b.sensory)
    ensemble = eqx.filter_vmap(lambda key: sci.nn.LTC(2, 4, key=key))(jax.random.split(KEY, 3))
    outputs = eqx.filter_vmap(lambda layer: layer(TIMES, VALUES))(ensemble)
    np.testing.assert_allclose(outputs[1], sci.nn.LTC(2, 4, key=jax.random.split(KEY, 3)[1])(TIMES, VALUES), rtol=1e-9)


def test_stays_bounded_over_a_long_gap():
    for step in ("exponential", "fused"):
        states = made(step).solve(TIMES * 1e4, VALUES).states
        assert (jnp.abs(states) < 1.3).all()  # between the reversal potentials and the leaks


def test_the_same_weights_with_another_step(exact):
    layer = made("fused", 3)
    other = layer.with_step("tsit5", rtol=1e-11, atol=1e-12)
    np.testing.assert_array_equal(other.solve(TIMES, VALUES).states, exact)
    by_diffrax = layer.with_step(dfx.Dopri5(), rtol=1e-9, atol=1e-11).solve(TIMES, VALUES).states
    np.testing.assert_allclose(by_diffrax, exact, atol=1e-7)
    assert layer.step == "fused" and other.with_step("exponential").unfolds == 3
    with pytest.raises(ModelError, match="has no tolerance"):
        other.with_step("fused", rtol=1e-3)


def test_training_lowers_the_loss():
    layer = sci.nn.LTC(1, sci.nn.AutoNCP(6, outputs=1), unfolds=3, key=KEY)
    t = jnp.linspace(0.0, 6.0, 16)
    target = 0.3 * jnp.sin(t)[:, None]
    loss = lambda layer: jnp.mean((layer(t, jnp.cos(t)[:, None], saveat="samples") - target) ** 2)
    optimizer = optax.adam(0.02)

    @eqx.filter_jit
    def step(layer, state):
        value, gradient = eqx.filter_value_and_grad(loss)(layer)
        with jax.numpy_dtype_promotion("standard"):
            updates, state = optimizer.update(gradient, state)
        return eqx.apply_updates(layer, updates), state, value

    state = optimizer.init(eqx.filter(layer, eqx.is_inexact_array))
    before = loss(layer)
    for _ in range(60):
        layer, state, _ = step(layer, state)
    assert loss(layer) < 0.1 * before
    assert (np.sign(layer.params["E"]) == layer.wiring.recurrent.T).all()


def test_regulariser_of_a_solver():
    layer = made("tsit5", rtol=1e-4, atol=1e-6)
    plain, run = layer.solve(TIMES, VALUES), layer.solve(TIMES, VALUES, regularize=sci.ErrorEstimate(2.0, mode="global"))
    assert run.penalty > 0 and plain.penalty == 0
    np.testing.assert_allclose(run.states, plain.states, rtol=1e-12)
    local = layer.solve(TIMES, VALUES, regularize=sci.ErrorEstimate(2.0, mode="local"), key=KEY)
    assert local.penalty > 0


def test_single_precision():
    with jax.enable_x64(False):
        for step in ("exponential", "tsit5"):
            out = sci.nn.LTC(2, 5, key=KEY, step=step)(TIMES, VALUES)
            assert out.dtype == jnp.float32 and np.isfinite(out).all()


@pytest.mark.parametrize(
    "act, kind, message",
    [
        (lambda: made("exponental"), ModelError, "There is no step 'exponental'. Did you mean 'exponential'?"),
        (lambda: made("tsit6"), ModelError, "There is no step 'tsit6'. Did you mean 'tsit5'?"),
        (lambda: made(rtol=1e-6), ModelError, 'step="exponential" has no tolerance: leave rtol and atol out and give unfolds=12'),
        (lambda: made(unfolds=0), ModelError, "unfolds=0: give a whole number of steps for each sample"),
        (lambda: made(first=-1.0), ModelError, "first=-1.0: give the time that counts as elapsed before the first sample"),
        (lambda: sci.nn.LTC(2, 4, 0, key=KEY), ModelError, "outputs=0: give a whole number, 1 or more"),
        (lambda: made()(TIMES, np.ones((6, 3))), SolveError, "LTC was made for 2 channels, and the series has 3"),
        (lambda: made()(TIMES[::-1], VALUES), SolveError, "must increase"),
        (lambda: made()(TIMES, np.where(VALUES > 0, np.nan, VALUES)), SolveError, 'missing="allowed"'),
        (lambda: made()(TIMES, [VALUES, VALUES[:3]]), SolveError, "list of series, which may have unequal lengths"),
        (lambda: made()(TIMES, VALUES, saveat="all"), SolveError, "saveat='all': write saveat=\"end\""),
        (lambda: made()(TIMES, VALUES, initial=np.ones(3)), SolveError, "initial has shape (3,), and this LTC has 7 neurons"),
        (lambda: made().solve(TIMES, VALUES, regularize=sci.ErrorEstimate(1.0)), SolveError, 'step="exponential" has no error estimate'),
        (lambda: made("tsit5", max_steps=2).solve(TIMES, VALUES), SolveError, "lost its state on the way to sample 0, t=0. Make it with max_steps=8"),
    ],
)
def test_what_cannot_be_is_refused(act, kind, message):
    with pytest.raises(kind) as caught:
        act()
    assert message in str(caught.value)


def test_split_refuses_what_is_not_linear():
    from sciml.nn.linear_steps import split

    v = sci.variables("v", initial=1.0)
    with pytest.raises(ModelError, match=r"is not linear in v\(t\) apart from its neural terms"):
        split(-(v**2), v)
