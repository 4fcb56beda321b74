"""NeuralSDE and LatentSDE: moments and distances in closed form, derivatives on a fixed path, and what is refused."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import sciml as sci
from sciml.errors import ModelError, SolveError

RATE, PULL, STRENGTH = 0.8, np.array([0.4, -1.0]), np.array([0.5, 0.3])
Y0 = np.array([1.0, 2.0])


class Return(eqx.Module):
    """The drift of an Ornstein-Uhlenbeck process: pull - rate*z."""

    pull: jax.Array

    def __call__(self, v):
        return self.pull - RATE * v[:2]


class Constant(eqx.Module):
    value: jax.Array

    def __call__(self, v):
        return self.value + 0 * v[0]


class Times(eqx.Module):
    """s*z, component by component."""

    s: jax.Array

    def __call__(self, v):
        return self.s * v[:2]


def net(inputs, outputs, seed=0, final=lambda v: v):
    return eqx.nn.MLP(inputs, outputs, 6, 1, activation=jnp.tanh, final_activation=final, key=jax.random.key(seed))


def _moments(z, mean, variance):
    """Within four standard errors."""
    n = len(z)
    np.testing.assert_array_less(np.abs(z.mean(axis=0) - mean), 4 * np.sqrt(variance / n))
    np.testing.assert_array_less(np.abs(z.var(axis=0) - variance), 4 * variance * np.sqrt(2 / n))


def _paths(layer, n, **options):
    keys = jax.random.split(jax.random.key(0), n)
    return np.asarray(jax.jit(jax.vmap(lambda key: layer.solve(jnp.asarray(Y0), key=key, **options)["z"][-1]))(keys))


DECAY = np.exp(-RATE)
MEAN, VARIANCE = PULL / RATE + (Y0 - PULL / RATE) * DECAY, STRENGTH**2 / (2 * RATE) * (1 - DECAY**2)


@pytest.fixture(scope="module")
def ou():
    return sci.nn.NeuralSDE(Return(jnp.asarray(PULL)), Constant(jnp.asarray(STRENGTH)), 2, dt=0.05)


def test_moments_of_ornstein_uhlenbeck(ou):
    _moments(_paths(ou, 4000), MEAN, VARIANCE)


def test_rows_of_a_batch_have_noise_of_their_own(ou):
    """One solve of 4000 rows has the moments of 4000 paths."""
    layer = sci.nn.NeuralSDE(ou.drift, ou.diffusion, 2, noise="additive", dt=0.05)
    ends = np.asarray(layer(jnp.tile(jnp.asarray(Y0), (4000, 1)), jax.random.key(0)))
    _moments(ends, MEAN, VARIANCE)
    assert abs(np.corrcoef(ends[:-1, 0], ends[1:, 0])[0, 1]) < 0.07


def test_noise_with_a_matrix():
    """z' = G xi has the covariance G G^T at time 1, whatever the number of noises."""
    for g in (np.array([[1.0, 0.5, 0.0], [-0.3, 0.2, 0.8]]), np.array([[0.5], [1.0]])):
        layer = sci.nn.NeuralSDE(Constant(jnp.zeros(2)), Constant(jnp.asarray(g)), 2, noise="general", noises=g.shape[1], dt=0.25)
        ends, expected = _paths(layer, 4000), g @ g.T
        np.testing.assert_allclose(np.cov(ends.T), expected, atol=4 * expected.max() * np.sqrt(2 / 4000))


def test_the_two_calculi(close):
    """z' = s z xi: in Stratonovich's calculus log z has the mean 0, in Ito's -s**2/2."""
    s = jnp.asarray([0.4, 0.6])
    made = {c: sci.nn.NeuralSDE(Constant(jnp.zeros(2)), Times(s), 2, calculus=c, dt=0.02) for c in ("stratonovich", "ito")}
    logs = {c: np.log(_paths(layer, 2000) / Y0).mean(axis=0) for c, layer in made.items()}
    error = 4 * np.asarray(s) / np.sqrt(2000)
    np.testing.assert_array_less(np.abs(logs["stratonovich"]), error)
    np.testing.assert_array_less(np.abs(logs["ito"] + np.asarray(s) ** 2 / 2), error)


def test_a_key_is_a_path(ou, close):
    """The same key is the same path for every step size; other keys are other paths."""
    y0 = jnp.asarray(Y0)
    fine = ou.solve(y0, key=jax.random.key(1), dt=1 / 512)["z"][-1]
    close(ou(y0, jax.random.key(1)), fine, rtol=3e-2)
    close(*(ou.solve(y0, key=jax.random.key(1), rtol=r, atol=r)["z"][-1] for r in (1e-2, 1e-4)), rtol=6e-2)
    assert abs(ou(y0, jax.random.key(2)) - fine).max() > 0.1


def test_options_of_the_call_go_first(ou):
    y0, key = jnp.asarray(Y0), jax.random.key(0)
    assert ou.solve(y0, key=key).stats["solver"] == "heun" and int(ou.solve(y0, key=key).stats["steps"]) == 20
    assert ou.solve(y0, key=key, rtol=1e-2).stats["solver"] == "spark"
    loose = sci.nn.NeuralSDE(ou.drift, ou.diffusion, 2, rtol=1e-2)
    assert loose.solve(y0, key=key).stats["solver"] == "spark"
    assert int(loose.solve(y0, key=key, dt=0.1).stats["steps"]) == 10
    assert int(sci.nn.NeuralSDE(ou.drift, ou.diffusion, 2).solve(y0, key=key).stats["steps"]) == 100
    assert sci.nn.NeuralSDE(ou.drift, ou.diffusion, 2, noise="additive").solve(y0, key=key).stats["solver"] == "shark"


@pytest.mark.parametrize("noise", ["diagonal", "general"])
def test_derivatives_on_a_path_against_finite_differences(noise, close):
    """With respect to all weights and y0: of a batch with diagonal noise, in reverse and forward mode, and of one path with a matrix."""
    f, g = net(3, 2, 0), net(3, 2, 1, jax.nn.softplus)
    diffusion = g if noise == "diagonal" else _Matrix(net(3, 4, 1))
    layer = sci.nn.NeuralSDE(f, diffusion, 2, noise=noise, dt=0.1)
    start = jnp.asarray(np.stack([Y0, -Y0, 0 * Y0])) if noise == "diagonal" else jnp.asarray(Y0)
    arrays, static = eqx.partition((layer, start), eqx.is_inexact_array)
    direction = jax.tree.map(lambda a: jnp.asarray(np.random.default_rng(0).normal(size=a.shape), a.dtype), arrays)

    def value(arrays, adjoint="auto"):
        layer, y0 = eqx.combine(arrays, static)
        return jnp.sum(jnp.sin(layer.solve(y0, key=jax.random.key(3), adjoint=adjoint)["z"]))

    along = jax.jit(lambda s: value(jax.tree.map(lambda a, d: a + s * d, arrays, direction)))
    step = 1e-5
    expected = (along(step) - along(-step)) / (2 * step)
    gradient = jax.jit(jax.grad(value))(arrays)
    close(sum(jnp.vdot(g, d) for g, d in zip(jax.tree.leaves(gradient), jax.tree.leaves(direction), strict=True)), expected, rtol=1e-6)
    if noise == "diagonal":
        forward = jax.jit(lambda a, d: jax.jvp(lambda a: value(a, "forward"), (a,), (d,))[1])(arrays, direction)
        close(forward, expected, rtol=1e-6)


class _Matrix(eqx.Module):
    net: eqx.nn.MLP

    def __call__(self, v):
        return self.net(v).reshape(2, 2)


# -- latent -------------------------------------------------------------------------------


class Push(eqx.Module):
    """The drift of the prior, and what the context adds to it."""

    base: Return

    def __call__(self, v):
        return self.base(v) + v[2:4]


@pytest.fixture(scope="module")
def latent():
    base = Return(jnp.asarray(PULL))
    return sci.nn.LatentSDE(Push(base), base, Constant(jnp.asarray(STRENGTH)), 2, context=2, dt=0.05, t_span=(0.0, 2.0))


def test_distance_of_two_processes_with_constant_difference(latent, close):
    """|push/strength|**2/2 for each unit of time, on every path."""
    push = np.array([0.6, -0.2])
    sol = latent.solve(jnp.asarray(Y0), jnp.asarray(push), key=jax.random.key(0), saveat=np.array([0.5, 2.0]))
    rate = np.sum((push / STRENGTH) ** 2) / 2
    close(sol["kl"], rate * np.array([0.5, 2.0]), rtol=1e-9)
    assert sol["z"].shape == (2, 2)


def test_distance_with_a_context_that_moves(latent, close):
    """Linear between knots: the integral of a square of straight lines, which Heun's method misses by its second order."""
    knots = np.array([0.0, 0.5, 2.0])
    values = np.array([[0.0, 1.0], [1.0, -0.5], [0.5, 0.5]])
    moving = sci.nn.LatentSDE(
        latent.posterior, latent.prior.drift, latent.prior.diffusion, 2, context=2, knots=knots, dt=0.005, t_span=(0.0, 2.0), calculus="stratonovich"
    )
    a, b = values[:-1] / STRENGTH, values[1:] / STRENGTH
    expected = np.sum(np.diff(knots)[:, None] * (a * a + a * b + b * b)) / 6
    found = moving.solve(jnp.asarray(Y0), jnp.asarray(values), key=jax.random.key(0))["kl"][-1]
    close(found, expected, rtol=1e-4)


def test_distance_of_steps_of_euler_is_exact(close):
    """Their normal numbers have a distance in closed form, added up along the path that was taken; nothing is lost at a large step."""
    f, h, g = net(4, 1, 0), net(3, 1, 1), net(3, 1, 2, jax.nn.softplus)
    layer = sci.nn.LatentSDE(f, lambda v: h(jnp.concatenate([v, v[:1]])), lambda v: g(jnp.concatenate([v, v[:1]])), 1, context=2, dt=0.25)
    context, times = jnp.asarray([0.4, -0.3]), jnp.linspace(0.0, 1.0, 5)
    sol = layer.solve(jnp.ones(1), context, key=jax.random.key(0), saveat=times)
    expected = 0.0
    for z, time in zip(sol["z"][:-1], times[:-1], strict=True):
        v = jnp.append(z, time)
        drifts, strength = (f(jnp.concatenate([z, context, time[None]])), layer.prior.drift(v)), layer.prior.diffusion(v)
        expected += 0.25 * jnp.sum(jnp.square((drifts[0] - drifts[1]) / strength)) / 2
    close(sol["kl"][-1], expected, rtol=1e-9)
    assert sol.stats["solver"] == "euler"


def test_distance_is_the_divergence_of_the_paths(latent):
    """Of the ends alone it can only be less: exact for two normal distributions, from below."""
    push = jnp.asarray([0.6, -0.2])
    shift = np.asarray(push) / RATE * (1 - np.exp(-2 * RATE))
    variance = STRENGTH**2 / (2 * RATE) * (1 - np.exp(-4 * RATE))
    assert np.sum(shift**2 / variance) / 2 < float(latent.solve(jnp.asarray(Y0), push, key=jax.random.key(0))["kl"][-1])


def test_the_start_has_a_distance_too(latent, close):
    """Against an integral of p log(p/q) over a grid."""
    moved = eqx.tree_at(lambda m: (m.initial_mean, m.initial_log_std), latent, (jnp.asarray([0.3, 0.0]), jnp.asarray([0.2, -0.1])))
    mean, log_std = jnp.asarray([0.0, 1.0]), jnp.asarray([-0.5, 0.1])
    x, expected = np.linspace(-15, 15, 20001), 0.0
    for m, s, m0, s0 in zip(mean, jnp.exp(log_std), moved.initial_mean, jnp.exp(moved.initial_log_std), strict=True):
        log_p, log_q = (-0.5 * ((x - float(a)) / float(b)) ** 2 - np.log(float(b)) for a, b in ((m, s), (m0, s0)))
        expected += np.trapezoid(np.exp(log_p) * (log_p - log_q), x) / np.sqrt(2 * np.pi)
    close(moved.initial_kl(mean, log_std), expected, rtol=1e-6)
    close(latent.initial_kl(jnp.zeros(2), jnp.zeros(2)), 0.0, atol=1e-12)


def test_a_batch_of_series_is_a_vmap(latent, close):
    means, contexts, keys = jnp.zeros((3, 2)), jnp.asarray(np.linspace(-1, 1, 6).reshape(3, 2)), jax.random.split(jax.random.key(0), 3)
    call = lambda mean, context, key: latent(mean, mean - 1, context, key=key, saveat=5)
    z, kl = jax.jit(jax.vmap(call))(means, contexts, keys)
    assert z.shape == (3, 5, 2) and kl.shape == (3,)
    alone = call(means[1], contexts[1], keys[1])
    close(z[1], alone[0], rtol=1e-9)
    close(kl[1], alone[1], rtol=1e-9)


def test_the_bound_has_a_gradient(close):
    """Of all weights, the start of the prior and the context, against a finite difference on one path."""
    layer = sci.nn.LatentSDE(net(6, 2, 0), net(3, 2, 1), net(3, 2, 2, jax.nn.softplus), 2, context=3, dt=0.1)
    given = (layer, jnp.ones(2), jnp.ones(2), jnp.ones(3))
    arrays, static = eqx.partition(given, eqx.is_inexact_array)
    direction = jax.tree.map(lambda a: jnp.asarray(np.random.default_rng(0).normal(size=a.shape), a.dtype), arrays)

    @jax.jit
    def bound(arrays):
        layer, mean, log_std, context = eqx.combine(arrays, static)
        z, kl = layer(mean, log_std, context, key=jax.random.key(0), saveat=4)
        return kl + jnp.sum(jnp.square(z - 1))

    gradient, step = jax.jit(jax.grad(bound))(arrays), 1e-5
    up, down = (bound(jax.tree.map(lambda a, d: a + s * d, arrays, direction)) for s in (step, -step))
    found = sum(jnp.vdot(g, d) for g, d in zip(jax.tree.leaves(gradient), jax.tree.leaves(direction), strict=True))
    close(found, (up - down) / (2 * step), rtol=1e-6)
    assert all(bool(jnp.any(leaf != 0)) for leaf in jax.tree.leaves(gradient))


def test_the_prior_goes_on(latent):
    """Samples of the prior, and its continuation from a state."""
    draws = jax.jit(jax.vmap(lambda key: latent.sample(key, saveat=3)))(jax.random.split(jax.random.key(0), 2000))
    assert draws.shape == (2000, 3, 2)
    end = np.exp(-2 * RATE)
    _moments(np.asarray(draws[:, -1]), PULL / RATE * (1 - end), STRENGTH**2 / (2 * RATE) * (1 - end**2) + end**2)
    assert latent.prior.solve(draws[0, -1], key=jax.random.key(1), t_span=(2.0, 3.0))["z"].shape == (1, 2)


def test_the_system_can_be_read(latent):
    assert str(latent.system) == (
        "System 'latent_sde'\n  z' = f(z, context, t) + g(z, t)*xi\n  kl' = Dot((f(z, context, t) - h(z, t))/g(z, t), "
        "(f(z, context, t) - h(z, t))/g(z, t))/2"
    )


# -- bad input ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: sci.nn.NeuralSDE(net(3, 2), net(3, 2), 2, noise="diagonel"), 'Write noise="diagonal", "additive" or "general"'),
        (lambda: sci.nn.NeuralSDE(net(3, 2), net(3, 2), 2, noises=3), 'noises=3 is for noise="general"'),
        (lambda: sci.nn.NeuralSDE(net(2, 2), net(3, 2), 2), "the drift does not take a vector of 3 numbers"),
        (lambda: sci.nn.NeuralSDE(net(3, 2), net(3, 3), 2), "the diffusion gives shape (3,), and needs to give (2,)"),
        (lambda: sci.nn.NeuralSDE(net(3, 2), net(3, 2), 2, noise="additive"), "the diffusion does not take a vector of 1 numbers (the time alone)"),
        (lambda: sci.nn.NeuralSDE(net(3, 2), net(3, 2), 2, noise="general", noises=3), "net = eqx.nn.MLP(3, 6, 64, 2, key=key) and lambda v: net(v)"),
        (lambda: sci.nn.LatentSDE(net(5, 2), net(3, 2), net(3, 2), 2, context=3), "LatentSDE: the posterior does not take a vector of 6 numbers"),
        (lambda: sci.nn.LatentSDE(net(6, 2), net(4, 2), net(3, 2), 2, context=3), "LatentSDE: the prior does not take a vector of 3 numbers"),
        (lambda: sci.nn.LatentSDE(net(6, 2), net(3, 2), net(3, 1), 2, context=3), "LatentSDE: the diffusion gives shape (1,)"),
        (lambda: sci.nn.LatentSDE(net(6, 2), net(3, 2), net(3, 2), 2, context=3, knots=[1.0, 0.0]), "increas"),
    ],
)
def test_modules_that_do_not_fit_are_refused(make, said):
    with pytest.raises(ModelError) as error:
        make()
    assert said in str(error.value)


def test_input_that_does_not_fit_is_refused(ou, latent):
    key = jax.random.key(0)
    with pytest.raises(SolveError, match=r"This NeuralSDE takes an array of shape \(2,\) or \(batch, 2\), and was given \(3,\)"):
        ou(jnp.ones(3), key)
    general = sci.nn.NeuralSDE(Constant(jnp.zeros(2)), Constant(jnp.eye(2)), 2, noise="general")
    with pytest.raises(SolveError, match=r"write jax.vmap\(layer\)\(y0, jax.random.split\(key, 4\)\)"):
        general(jnp.ones((4, 2)), key)
    with pytest.raises(SolveError, match=r"takes context of shape \(2,\), and was given \(3,\)"):
        latent(jnp.ones(2), jnp.ones(2), jnp.ones(3), key=key)
    with pytest.raises(SolveError, match=r"takes z0 of shape \(2,\), and was given \(3, 2\)"):
        latent(jnp.ones((3, 2)), jnp.ones((3, 2)), jnp.ones(2), key=key)
    with pytest.raises(SolveError, match="needs a random key"):
        ou.solve(jnp.ones(2), key=None)
    with pytest.raises(SolveError, match="has no error estimate"):
        sci.nn.NeuralSDE(net(3, 2), net(3, 2), 2, calculus="ito", rtol=1e-2)(jnp.ones(2), key)


def test_single_precision():
    with jax.enable_x64(False):
        layer = sci.nn.LatentSDE(net(6, 2, 0), net(3, 2, 1), net(3, 2, 2, jax.nn.softplus), 2, context=3, dt=0.1)
        call = lambda m: m(jnp.zeros(2), jnp.zeros(2), jnp.ones(3), key=jax.random.key(0))[1]
        value, gradient = eqx.filter_jit(eqx.filter_value_and_grad(call))(layer)
        assert value.dtype == jnp.float32 and bool(jnp.isfinite(value))
        assert gradient.prior.diffusion.layers[0].weight.dtype == jnp.float32


def test_a_penalty_of_the_solver_needs_steps_that_it_chose(ou):
    y0, key = jnp.asarray(Y0), jax.random.key(0)
    assert ou.solve(y0, key=key, rtol=1e-2, regularize=sci.ErrorEstimate(1.0)).penalty > 0
    with pytest.raises(SolveError, match="give rtol= so that the step is adaptive"):
        ou.solve(y0, key=key, regularize=sci.ErrorEstimate(1.0))
