"""Networks: shapes, starts, factorisation, least squares, and what is said of a network that does not fit."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
import sympy as sp

import sciml as sci
from sciml.errors import FitError, ModelError
from sciml.pinn.embedding import embedding_of
from sciml.pinn.networks import Dense, FourierFeatures, checked

KEY = jax.random.key(0)
KINDS = {"mlp": sci.pinn.MLP, "modified": sci.pinn.ModifiedMLP, "pirate": sci.pinn.PirateNet}
OPTIONS = {"plain": {}, "factorised": {"factorised": True}, "fourier": {"fourier": ((1.0, 3.0), 5)}, "sin": {"activation": "sin", "omega": 5.0}}

x, y = sci.space("x", 0, 1, periodic=True), sci.space("y", 0, 1)
X = sci.space("X", -sp.oo, sp.oo, dim=7)
u = sci.fields("u", sci.t, x, y)
SYSTEM = sci.System([sci.eq(u.diff(sci.t), sci.laplacian(u))])
EMBEDDING = embedding_of((sci.t, x, y))


def weights(network):
    return jax.tree.leaves(eqx.filter(network, eqx.is_inexact_array))


@pytest.mark.parametrize("options", OPTIONS)
@pytest.mark.parametrize("kind", KINDS)
def test_a_vector_goes_in_and_a_vector_comes_out(kind, options):
    net = KINDS[kind](3, 2, width=8, depth=2, key=KEY, **OPTIONS[options])
    points = jax.random.normal(KEY, (6, 3))
    out = jax.jit(jax.vmap(net))(points)
    assert out.shape == (6, 2) and bool(jnp.isfinite(out).all())
    assert net.features(points[0]).shape == (net.last.weight.shape[1],)


@pytest.mark.parametrize("kind", KINDS)
def test_derivatives_by_inputs_and_weights_agree_in_both_modes(kind, close):
    net = KINDS[kind](2, 1, width=4, depth=1, factorised=True, fourier=(1.0, 2), key=KEY)
    net = jax.tree.map(lambda w: w + 0.1, net)  # so that the blocks of a PirateNet take part
    point = jnp.array([0.3, -0.2])
    forward, reverse = jax.jit(lambda p: (jax.jacfwd(net)(p), jax.jacrev(net)(p)))(point)
    close(forward, reverse, rtol=1e-10)
    flat, back = jax.flatten_util.ravel_pytree(net)

    @jax.jit
    def second(w):  # a second derivative, as a residual has one
        return jax.jvp(lambda p: jax.jvp(back(w), (p,), (jnp.ones(2),))[1][0], (point,), (jnp.ones(2),))[1]

    direction = jax.random.normal(KEY, flat.shape)
    slope = jax.jit(jax.grad(second))(flat) @ direction
    h = 1e-5
    close(slope, (second(flat + h * direction) - second(flat - h * direction)) / (2 * h), rtol=1e-5)
    close(slope, jax.jit(lambda w: jax.jvp(second, (w,), (direction,))[1])(flat), rtol=1e-9)


def test_glorot_start_keeps_the_size_of_what_passes(close):
    layer = Dense(400, 600, key=KEY)
    close(jnp.std(layer.weight), (2 / 1000) ** 0.5, rtol=0.01)
    assert not layer.bias.any()


def test_factorised_layer_acts_as_a_plain_one_of_the_same_key(close):
    plain, factorised = Dense(5, 4, key=KEY), Dense(5, 4, factorised=True, key=KEY)
    point = jnp.arange(5.0)
    close(factorised(point), plain(point), rtol=1e-12)
    assert 0.5 < float(factorised.log_scale.mean()) < 1.5
    wide = Dense(5, 1000, factorised=(0.5, 0.2), key=KEY)
    close(wide.log_scale.mean(), 0.5, rtol=0.05)
    close(wide.log_scale.std(), 0.2, rtol=0.1)
    changed = factorised.with_values(jnp.ones((4, 5)), jnp.ones(4))
    close(changed(point), jnp.full(4, 11.0), rtol=1e-12)


@pytest.mark.parametrize(("kind", "products"), [("mlp", 1), ("modified", 3)])
@pytest.mark.parametrize("factorised", [False, True])
def test_the_input_meets_matrix_products_only(kind, products, factorised):
    net = KINDS[kind](5, 1, width=4, depth=2, factorised=factorised, key=KEY)
    jaxpr = jax.make_jaxpr(net)(jnp.ones(5)).jaxpr
    uses = [e.primitive.name for e in jaxpr.eqns if jaxpr.invars[0] in e.invars]
    assert uses == ["dot_general"] * products


def test_fourier_features_have_the_frequencies_asked_for(close):
    features = FourierFeatures(3, sigma=(1.0, 10.0), n=2000, key=KEY)
    close(features.matrix[:2000].std(), 1.0, rtol=0.03)
    close(features.matrix[2000:].std(), 10.0, rtol=0.03)
    values = features(jnp.array([0.1, 0.2, 0.3]))
    close(values[:4000] ** 2 + values[4000:] ** 2, np.ones(4000), rtol=1e-10)
    assert features.size == 8000


def test_modified_mlp_mixes_its_two_encodings(close):
    net = sci.pinn.ModifiedMLP(2, 1, width=5, depth=1, key=KEY)
    point = jnp.array([0.4, -0.7])
    a, b = (jnp.tanh(e.weight @ point) for e in net.encoders)
    z = jnp.tanh(net.layers[0].weight @ point)
    close(net(point), net.last.weight @ (z * a + (1 - z) * b), rtol=1e-12)


def test_piratenet_starts_linear_in_its_features_and_alpha_makes_it_deep(close):
    net = sci.pinn.PirateNet(2, 1, width=8, depth=3, key=KEY)
    point = jnp.array([0.4, -0.7])
    close(net.features(point), net.fourier(point), rtol=1e-12)
    assert [float(b.alpha) for b in net.blocks] == [0.0] * 3
    assert float(jnp.abs(jax.grad(lambda n: n(point)[0])(net).blocks[0].alpha)) > 1e-3  # it moves from the start
    deep = sci.pinn.PirateNet(2, 1, width=8, depth=3, alpha=1.0, key=KEY)
    assert float(jnp.abs(deep(point) - net(point))[0]) > 1e-3
    plain = sci.pinn.PirateNet(2, 1, width=8, depth=1, fourier=None, key=KEY)
    close(plain.features(point), point)


@pytest.mark.parametrize("kind", KINDS)
def test_least_squares_start_cannot_be_improved(kind, close):
    net = KINDS[kind](2, 2, width=12, depth=2, factorised=True, key=KEY)
    points = jax.random.uniform(KEY, (100, 2), minval=-1.0)
    values = jnp.stack([jnp.sin(2 * points[:, 0]), points[:, 1] ** 2], axis=1)
    near = net.fitted(points, values)

    def misfit(n):
        return ((jax.vmap(n)(points) - values) ** 2).mean()

    assert float(misfit(near)) < 0.2 * float(misfit(net))
    slope = jax.grad(lambda last: misfit(eqx.tree_at(lambda n: n.last, near, last)))(near.last)
    assert all(float(jnp.abs(s).max()) < 1e-9 for s in (slope.weight, slope.bias))


def test_least_squares_start_finds_an_exact_combination_in_float32_too(close):
    for dtype, rtol in ((jnp.float32, 2e-4), (None, 1e-7)):
        net = sci.pinn.PirateNet(1, 1, width=6, depth=1, key=KEY)
        net = net if dtype is None else jax.tree.map(lambda w: w.astype(dtype), net)
        points = jnp.linspace(-1, 1, 40, dtype=dtype)[:, None]
        values = jax.vmap(net.fourier)(points) @ jnp.arange(1, 7, dtype=points.dtype) + jnp.asarray(2, points.dtype)
        near = net.fitted(points, values)
        assert near.last.weight.dtype == points.dtype
        close(jax.vmap(near)(points)[:, 0], values, rtol=rtol, atol=1e-4 if dtype else 0)


def test_fitted_refuses_shapes_and_numbers_that_cannot_be():
    net = sci.pinn.MLP(2, 1, width=4, depth=1, key=KEY)
    with pytest.raises(FitError, match=r"shapes \(5, 3\) and \(5, 1\): this network needs points of shape \(n, 2\) and values of shape \(n, 1\)"):
        net.fitted(jnp.ones((5, 3)), jnp.ones(5))
    with pytest.raises(FitError, match="NaN or infinite numbers among them"):
        net.fitted(jnp.ones((5, 2)), jnp.full(5, jnp.nan))


def test_activation_by_name_or_function_and_sin_with_a_frequency(close):
    point = jnp.array([0.3])
    for name, f in (("tanh", np.tanh), ("sin", np.sin), ("silu", lambda z: z / (1 + np.exp(-z))), ("softplus", lambda z: np.log1p(np.exp(z)))):
        net = sci.pinn.MLP(1, 1, 3, 1, activation=name, key=KEY)
        z = np.asarray(net.layers[0].weight[:, 0]) * 0.3
        close(net(point), net.last.weight @ f(z), rtol=1e-12)
    cubed = sci.pinn.MLP(1, 1, 3, 1, activation=lambda z: z**3, key=KEY)
    close(cubed(point), cubed.last.weight @ (cubed.layers[0].weight[:, 0] * 0.3) ** 3, rtol=1e-12)
    fast = sci.pinn.MLP(1, 1, 200, 2, activation="sin", omega=20.0, key=KEY)
    slow = sci.pinn.MLP(1, 1, 200, 2, activation="sin", key=KEY)
    close(fast.layers[0].weight, slow.layers[0].weight)
    close(fast.layers[1].weight * 20, slow.layers[1].weight, rtol=1e-12)


def test_networks_for_a_system_have_its_sizes():
    v = sci.fields("v", sci.t, x, y)
    two = sci.System([sci.eq(u.diff(sci.t), v), sci.eq(v.diff(sci.t), sci.laplacian(u))])
    assert sci.pinn.inputs(two) == 4 and sci.pinn.inputs(two, modes=3) == 8
    for make in (sci.pinn.mlp, sci.pinn.modified_mlp, sci.pinn.piratenet):
        net = make(two, width=8, depth=2, key=KEY)
        assert (net.in_size, net.out_size) == (4, 2)
        assert make(two, 8, 2, fields=("k",), modes=2, key=KEY).out_size == 3
    net = sci.pinn.mlp(two, 8, 2, fields="k", key=KEY)
    assert net.out_size == 3 and net.layers[0].weight.shape == (8, 4)


def test_a_vector_coordinate_counts_its_dimension():
    w = sci.fields("w", X, sci.t)
    assert sci.pinn.inputs(sci.System([sci.eq(w.diff(sci.t), w)])) == 8


def test_a_network_needs_fields():
    z = sci.variables("z", initial=1.0)
    with pytest.raises(ModelError, match=r"'system' has no fields.*sci\.fields\(\"u\", sci\.t, x\).*sci\.solve"):
        sci.pinn.mlp(sci.System([sci.eq(z.diff(sci.t), -z)]), key=KEY)
    with pytest.raises(ModelError, match="made for a System, not for int"):
        sci.pinn.mlp(3, key=KEY)
    s = sci.space("s", 0, 1, periodic=True)
    f = sci.fields("f", sci.t, s, initial=1.0)
    grid = sci.discretize(sci.System([sci.eq(f.diff(sci.t), f.diff(s, 2))]), {s: sci.FiniteDifference(8)})
    with pytest.raises(ModelError, match=r"needs no grid.*before sci\.discretize"):
        sci.pinn.mlp(grid, key=KEY)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"width": 0}, r"MLP: width=0\. Give a whole number"),
        ({"depth": 1.5}, r"MLP: depth=1\.5"),
        ({"activation": "tahn"}, r"no activation 'tahn'\. Did you mean 'tanh'"),
        ({"activation": "relu"}, r"relu has no second derivative"),
        ({"activation": 3}, r"activation=3: give a name such as activation=\"tanh\""),
        ({"omega": 3.0}, r"omega=3\.0 is the frequency of activation=\"sin\""),
        ({"activation": "sin", "omega": -1.0}, r"omega=-1\.0: give a positive frequency"),
        ({"fourier": 3}, r"fourier=3: give the spread of the frequencies and their number, as in fourier=\(1\.0, 32\)"),
        ({"fourier": (-1.0, 3)}, r"sigma=-1\.0, n=3: give positive numbers"),
        ({"fourier": (1.0, 0)}, r"sigma=1\.0, n=0: give positive numbers"),
    ],
)
def test_options_that_cannot_be_are_refused(options, message):
    with pytest.raises(ModelError, match=message):
        sci.pinn.MLP(2, 1, **{"width": 4, "depth": 1, **options}, key=KEY)


def test_networks_that_fit_pass_the_check():
    for net in (
        eqx.nn.MLP(4, 1, 8, 2, jnp.tanh, key=KEY),
        eqx.nn.MLP(4, "scalar", 8, 2, jnp.tanh, key=KEY),
        sci.pinn.piratenet(SYSTEM, fourier=None, width=8, depth=1, key=KEY),  # linear at the start, and that is well
        lambda p: jnp.sin(p).sum(),
    ):
        assert checked(net, EMBEDDING, 1, ("u",)) is net
    shapes = eqx.filter_eval_shape(eqx.nn.MLP, 4, 1, 8, 2, jnp.tanh, key=KEY)
    assert checked(shapes, EMBEDDING, 1, ("u",)) is shapes
    relu = eqx.nn.MLP(4, 1, 8, 2, key=KEY)
    assert checked(relu, EMBEDDING, 1, ("u",), order=1) is relu


@pytest.mark.parametrize(
    ("network", "message"),
    [
        (eqx.nn.MLP(3, 1, 8, 2, jnp.tanh, key=KEY), r"takes 3 inputs, and a point gives 4 inputs \(t, cos x, sin x, y\)\. .*eqx\.nn\.MLP\(4, 1, 32"),
        (lambda p: jnp.ones((1, 3)) @ p, r"does not take the vector of 4 inputs \(t, cos x, sin x, y\)"),
        (
            eqx.nn.MLP(4, 2, 8, 2, jnp.tanh, key=KEY),
            r"gives shape \(2,\) at one point, and needs to give 1 number, shape \(1,\): one for each of u",
        ),
        (lambda p: p.astype(complex)[:1], "numbers of type complex"),
        (lambda p: (p, p), "gives tuple, and needs to give an array"),
        (3.0, "is float, which cannot be called"),
        (eqx.nn.MLP(4, 1, 8, 2, key=KEY), "piecewise linear, as with relu"),
    ],
)
def test_networks_that_do_not_fit_are_refused(network, message):
    with pytest.raises(ModelError, match=message):
        checked(network, EMBEDDING, 1, ("u",))


def test_weights_that_are_not_finite_are_refused_by_place():
    net = sci.pinn.mlp(SYSTEM, width=8, depth=2, key=KEY)
    bad = eqx.tree_at(lambda n: n.layers[1].bias, net, net.layers[1].bias.at[3].set(jnp.nan))
    with pytest.raises(ModelError, match=r"network\.layers\[1\]\.bias hold NaN"):
        checked(bad, EMBEDDING, 1, ("u",))


def test_a_network_without_forward_derivatives_is_refused():
    @jax.custom_vjp
    def f(p):
        return jnp.sin(p[:1])

    f.defvjp(lambda p: (f(p), p), lambda p, g: (jnp.zeros_like(p),))
    with pytest.raises(ModelError, match="cannot be differentiated forward"):
        checked(f, EMBEDDING, 1, ("u",))


def test_float32_weights_stay_float32():
    with jax.enable_x64(False):
        net = sci.pinn.piratenet(SYSTEM, width=8, depth=1, factorised=True, key=jax.random.key(1))
        assert all(w.dtype == jnp.float32 for w in weights(net))
        assert net(jnp.ones(4, jnp.float32)).dtype == jnp.float32
        assert checked(net, EMBEDDING, 1, ("u",)) is net
