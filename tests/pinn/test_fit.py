"""`sci.pinn.fit`: residuals against those written by hand, closed forms, what is refused, and runs that stop and go on."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
import sympy as sp

import sciml as sci
from sciml.errors import FitError, ModelError, NameUnknown
from sciml.optimize import Broyden, Descent
from sciml.pinn.fit import Given, setup
from sciml.pinn.points import Sampler, counts_of
from sciml.pinn.problem import Batch
from sciml.pinn.windows import continued
from sciml.symbols import declaration_of

t = sci.t
x = sci.space("x", -1, 1)
u = sci.fields("u", t, x)
nu = sci.parameters("nu", 0.1, bounds=(1e-3, 1.0))


def burgers(**changes):
    given = dict(initial={u: -sp.sin(sp.pi * x)}, boundary={x.left: sci.eq(u, 0), x.right: sci.eq(u, 0)})
    return sci.System([sci.eq(u.diff(t), nu * u.diff(x, 2) - u * u.diff(x))], **{**given, **changes})


def heat(**changes):
    given = dict(initial={u: sp.sin(sp.pi * x)}, boundary={x.left: sci.eq(u, 0), x.right: sci.eq(u, 0)})
    return sci.System([sci.eq(u.diff(t), nu * u.diff(x, 2))], **{**given, **changes})


y = sci.space("y", 0, 1)
w = sci.fields("w", y)
poisson = sci.System([sci.eq(w.diff(y, 2), -(sp.pi**2) * sp.sin(sp.pi * y))], boundary={y.left: sci.eq(w, 0), y.right: sci.eq(w, 0)})
quick = [sci.pinn.Stage(Broyden(max_steps=10), every=5)]


def small(system, width=8, depth=2, seed=0):
    return sci.pinn.mlp(system, width=width, depth=depth, key=jax.random.key(seed))


def batch_of(made, n=7):
    counts = counts_of(made.problem.form, {t.kind: n for t in made.problem.form.terms if t.kind != "data"}, n)
    sampler = Sampler(made.problem.form, made.coordinates, made.span, None, counts, "uniform", made.measured, made.dtype)
    ones = {name: jnp.ones((), made.dtype) for name in made.problem.names}
    return Batch(sampler.draw(jax.random.key(3)), ones, jax.random.key(4))


# -- residuals ------------------------------------------------------------------------------------


@pytest.mark.parametrize("derivatives", ["auto", "nested", "taylor"])
def test_residuals_are_those_written_by_hand(derivatives):
    """The residual of Burgers' equation with conditions built in, against nested gradients of the same ansatz."""
    system = burgers()
    network = small(system)
    made = setup(Given(system, network, derivatives=derivatives), (0.0, 2.0))
    batch = batch_of(made)

    def value(p):
        time, place = p
        v = network(jnp.stack([time - 1.0, place]))[0]
        return made_by_hand(made, time, place, v)

    def by_hand(p):
        first = jax.grad(value)(p)
        return first[0] - 0.1 * jax.hessian(value)(p)[1, 1] + value(p) * first[1]

    points = batch.points["u'"].points
    found = made.problem.by_term(made.z, batch)["u'"]
    assert made.problem.names == ["u'"]
    np.testing.assert_allclose(np.abs(found), np.abs(jax.vmap(by_hand)(points)), rtol=1e-10)


def made_by_hand(made, time, place, v):
    """The ansatz of the form at one point."""
    form = made.problem.form
    symbols = {s.name: s for s in form.unknowns["u"].free_symbols}
    (name,) = [n for n in symbols if n not in ("t", "x", "t0", "t1")]
    order = [symbols.get(n, sp.Dummy(n)) for n in ("t", "x", "t0", "t1", name)]
    return sp.lambdify(order, form.unknowns["u"], modules=[{"sin": jnp.sin}, jnp])(time, place, 0.0, 2.0, v)


def test_the_loss_is_the_sum_of_squares():
    """Residuals are scaled so that their squares add up to the loss, with weights."""
    made = setup(Given(burgers(), small(burgers()), conditions="soft"))
    batch = batch_of(made)
    weights = {n: jnp.asarray(1.0 + i) for i, n in enumerate(made.problem.names)}
    batch = batch._replace(weights=weights)
    terms = made.problem.by_term(made.z, batch)
    loss, shown = made.problem.shown(made.z, batch)
    assert set(terms) == {"u'", "u at x.left", "u at x.right", "initial u"} == set(shown)
    np.testing.assert_allclose(loss, sum(weights[n] * jnp.mean(r**2) for n, r in terms.items()), rtol=1e-12)
    np.testing.assert_allclose(loss, jnp.sum(made.problem.residuals(made.z, batch) ** 2), rtol=1e-12)


def test_gradients_of_the_loss():
    """Forward and reverse mode, under jit, against central differences along one direction."""
    made = setup(Given(burgers(), small(burgers()), free=(nu,)))
    batch = batch_of(made)
    keys = iter(jax.random.split(jax.random.key(1), 100))
    direction = jax.tree.map(lambda leaf: jax.random.normal(next(keys), leaf.shape), made.z)
    loss = jax.jit(lambda z: made.problem.loss(z, batch))

    def along(h):
        return loss(jax.tree.map(lambda a, b: a + h * b, made.z, direction))

    h = 1e-5
    by_difference = (along(h) - along(-h)) / (2 * h)
    forward = jax.jit(lambda z: jax.jvp(loss, (z,), (direction,))[1])(made.z)
    gradient = jax.grad(loss)(made.z)
    reverse = sum(jnp.vdot(a, b) for a, b in zip(jax.tree.leaves(gradient), jax.tree.leaves(direction), strict=True))
    np.testing.assert_allclose(forward, by_difference, rtol=1e-6)
    np.testing.assert_allclose(reverse, forward, rtol=1e-10)


# -- solutions --------------------------------------------------------------------------------------


def test_a_closed_form():
    """Poisson's equation to 1e-5, with the derivative."""
    net = sci.pinn.fit(poisson, small(poisson, 10), points=60, train=quick, progress=False)
    assert net.error({w: sp.sin(sp.pi * y)})["w"] < 1e-5
    at = net({"y": [0.25]})
    assert float(at[w.diff(y)][0]) == pytest.approx(np.pi * np.cos(np.pi / 4), abs=1e-3)
    assert float(net({"y": [0.0, 1.0]})[w].max()) == 0  # built in


def test_an_unknown_parameter():
    """The diffusivity from a few exact values, with and without conditions."""
    rng = np.random.default_rng(0)
    times, places = rng.uniform(0, 1, 40), rng.uniform(-1, 1, 40)
    data = {"t": times, "x": places, "u": np.exp(-0.3 * np.pi**2 * times) * np.sin(np.pi * places)}
    for system in (heat(), sci.System(heat().equations)):
        train = [sci.pinn.Stage(Broyden(max_steps=20), every=10)]
        net = sci.pinn.fit(system, small(system, 10), free=[nu], data=data, points=150, train=train, progress=False)
        assert net.params["nu"] == pytest.approx(0.3, rel=2e-2)


def test_windows_of_time_are_continuous():
    """Two windows give the closed form, and the second begins where the first ended."""
    system = heat()
    net = sci.pinn.fit(system, small(system, 10), windows=2, points=100, train=[sci.pinn.Stage(Broyden(max_steps=10), every=5)], progress=False)
    assert net.error({u: sp.exp(-nu * sp.pi**2 * t) * sp.sin(sp.pi * x)})["u"] < 1e-3
    before, after = (net({"t": s, "x": np.linspace(-1, 1, 9)})[u] for s in (0.5, 0.5 + 1e-9))
    np.testing.assert_allclose(before, after, atol=2e-4)
    assert set(net.history["window"]) == {1, 2}


def test_single_precision():
    """Networks in float32 train in float32."""
    network = jax.tree.map(lambda leaf: leaf.astype(jnp.float32) if eqx_is_array(leaf) else leaf, small(poisson, 10))
    net = sci.pinn.fit(poisson, network, points=50, train=[400], progress=False)
    assert net({"y": [0.5]})[w].dtype == jnp.float32
    assert net.history["loss"].iloc[-1] < 0.1 * net.history["loss"].iloc[0]


def eqx_is_array(leaf):
    return isinstance(leaf, jax.Array)


# -- runs -------------------------------------------------------------------------------------------


def test_a_run_that_goes_on_ends_as_one_that_never_stopped(tmp_path):
    """Stopped after its first stage, and in one go: the same weights."""
    first = sci.pinn.Stage(Descent(optax.adam(1e-3), max_steps=60), every=7)
    second = sci.pinn.Stage(Broyden(max_steps=4), every=2)
    options = dict(points=30, progress=False, key=jax.random.key(5))
    whole = sci.pinn.fit(poisson, small(poisson), train=[first, second], checkpoint=tmp_path / "whole", **options)
    again = sci.pinn.fit(poisson, small(poisson), train=[first, second], checkpoint=tmp_path / "whole", resume=True, **options)
    assert list(again.history["loss"]) == list(whole.history["loss"])
    np.testing.assert_array_equal(np.asarray(again[w]), np.asarray(whole[w]))
    with pytest.raises(FitError, match="is there already"):
        sci.pinn.fit(poisson, small(poisson), train=[first], checkpoint=tmp_path / "whole", **options)


def test_divergence_keeps_the_best():
    """Steps that are far too long: the run stops, says so, and gives what was best."""
    train = [sci.pinn.Stage(optax.sgd(1e-4)), sci.pinn.Stage(Descent(optax.sgd(1e4), max_steps=200))]
    net = sci.pinn.fit(poisson, small(poisson), points=30, train=train[1:], progress=False)
    assert "diverged" in net.reason or "NaN" in net.reason
    checked = net.history["checked"].dropna()
    assert np.isfinite(np.asarray(net[w])).all() and (len(checked) == 0 or float(checked.min()) <= float(checked.iloc[-1]))


# -- what is refused ----------------------------------------------------------------------------------


def refused(error, match, system=poisson, network=None, **options):
    with pytest.raises(error, match=match):
        sci.pinn.fit(system, network, **{"train": 1, "progress": False, **options})


def test_bad_input_is_refused_by_name():
    refused(ModelError, "takes a System", system="poisson")
    refused(FitError, "does not depend on the time", t_span=(0, 1))
    refused(FitError, "start must lie before", system=heat(), t_span=(1, 0))
    refused(ModelError, "takes 3 inputs", network=sci.pinn.MLP(3, 1, 8, 2, key=jax.random.key(0)))
    refused(NameUnknown, "no such parameter", free=["mu"], system=heat())
    refused(NameUnknown, "no parameter 'mu'", params={"mu": 1.0}, system=heat())
    refused(NameUnknown, "no such term", points={"boundry": 3}, system=heat())
    refused(FitError, "a whole number", points=0)
    refused(FitError, "sampling='sobl'", sampling="sobl")
    refused(FitError, "weights='gradients'", weights="gradients")
    refused(FitError, "which is no method", train=["adam"])
    refused(FitError, "resume=True without a file", resume=True)
    refused(FitError, "conditions='firm'", conditions="firm")
    refused(FitError, "windows=0", windows=0, system=heat())
    refused(FitError, "one value for all", windows=2, free=[nu], system=heat())


def test_a_missing_condition_is_named():
    refused(ModelError, "x.right", system=burgers(boundary={x.left: sci.eq(u, 0)}))
    refused(ModelError, "initial", system=burgers(initial={}))


def test_the_jacobian_of_the_residuals():
    """By one reverse pass at each point: the Jacobian of the vector, and its rows' scaling by weights."""
    made = setup(Given(burgers(), small(burgers(), 5), conditions="soft", free=(nu,)))
    batch = batch_of(made)._replace(weights={n: jnp.asarray(1.0 + i) for i, n in enumerate(made.problem.names)})
    residuals, rows = jax.jit(made.problem.jacobian)(made.z, batch)
    flat, unravel = jax.flatten_util.ravel_pytree(made.z)
    whole = jax.jacfwd(lambda f: made.problem.residuals(unravel(f), batch))(flat)
    np.testing.assert_allclose(residuals, made.problem.residuals(made.z, batch), rtol=1e-12)
    np.testing.assert_allclose(rows, whole, atol=1e-11)


@pytest.mark.parametrize("weights", ["gradient", "ntk", "causal", "equal", {"initial u": 10.0}])
def test_weights_of_terms(weights):
    """Each rule trains, with a loss that stays finite; balanced weights stay positive."""
    system = heat()
    net = sci.pinn.fit(system, small(system), conditions="soft", points=40, weights=weights, train=[120], progress=False)
    assert np.isfinite(net.history["loss"]).all() and net.history["checked"].dropna().iloc[-1] < net.history["checked"].dropna().iloc[0]


def test_windows_keep_units():
    """The function that a later window begins with has the unit of its field, its rate that of the rate."""
    s = sci.space("s", 0, 1, unit="m")
    v = sci.fields("v", t, s, unit="K")
    wave = sci.System(
        [sci.eq(v.diff(t, 2), sci.parameters("c", 1.0, unit="m**2/s**2") * v.diff(s, 2))],
        initial={v: 0, v.diff(t): 0},
        boundary={s.left: sci.eq(v, 0), s.right: sci.eq(v, 0)},
        units={t: "s"},
    )
    later, keys = continued(wave)
    assert keys == ("v", "v'")
    assert [declaration_of(later.initial[k]).unit for k in keys] == ["K", "(K)/(s)"]


def test_waves_of_periodic_coordinates(tmp_path):
    """modes=2 gives the network two cosines and two sines; the file of a trained network knows it."""
    ring = sci.space("ring", 0, 1, periodic=True)
    q = sci.fields("q", t, ring)
    system = sci.System([sci.eq(q.diff(t), q.diff(ring, 2))], initial={q: sp.cos(2 * sp.pi * ring)})
    network = sci.pinn.MLP(5, 1, 4, 1, key=jax.random.key(0))
    net = sci.pinn.fit(system, network, modes=2, points=10, train=2, progress=False)
    net.save(tmp_path / "ring")
    again = sci.pinn.load(tmp_path / "ring", system, network)
    at = {"t": 0.5, "ring": [0.1, 0.6]}
    np.testing.assert_array_equal(np.asarray(again(at)[q]), np.asarray(net(at)[q]))
    np.testing.assert_allclose(net({"t": 0.5, "ring": [0.0]})[q.diff(ring)], net({"t": 0.5, "ring": [1.0]})[q.diff(ring)], atol=1e-12)


def test_sources_are_computed_once():
    """A part that depends on the point alone is computed with the points: same residuals, and no such part of what is trained."""
    k = sci.parameters("k", 2.0)
    source = sp.sin(sp.pi * y) * sp.exp(y) * k
    system = sci.System([sci.eq(w.diff(y, 2) + y * w, source)], boundary={y.left: sci.eq(w, 0), y.right: sci.eq(w, 0)})
    for free, count in (((), 1), ((k,), 1)):
        made = setup(Given(system, small(system), free=free, conditions="soft"))
        _, parts = made.problem.parts["w"]
        assert any(e.has(sp.sin) for e in parts.values()) and not (free and any(e.has(k) for e in parts.values()))
        batch = batch_of(made)
        prepared = batch._replace(points=made.problem.prepared(made.z, batch.points))
        assert len(prepared.points["w"].given) >= count
        for name, residual in made.problem.by_term(made.z, batch).items():
            np.testing.assert_allclose(made.problem.by_term(made.z, prepared)[name], residual, rtol=1e-12, atol=1e-14)


def test_a_run_ends_when_its_time_is_over():
    """minutes= ends all stages, and says so."""
    train = [sci.pinn.Stage(Descent(optax.adam(1e-3), max_steps=1_000_000)), sci.pinn.Stage(Broyden(max_steps=4))]
    net = sci.pinn.fit(poisson, small(poisson), points=20, train=train, minutes=0.05, progress=False)
    assert net.reason == "time is over: 0.05 minutes" and len(net.history) < 1_000_000
