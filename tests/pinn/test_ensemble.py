"""Several trainings of one System: mean and spread, parameters found from noisy data, what is refused."""

import sys

import equinox as eqx
import jax
import jax.numpy as jnp
import matplotlib.pyplot as plt
import numpy as np
import pytest
import sympy as sp

import sciml as sci
from sciml.errors import FitError, SolveError
from sciml.optimize import GaussNewton
from sciml.pinn.ensemble import ensemble
from sciml.pinn.fit import fit

t = sci.t
x = sci.space("x", 0, 1)
u = sci.fields("u", t, x)
D = sci.parameters("D", 0.3, bounds=(1e-3, 10))
diffusion = sci.System(
    [sci.eq(u.diff(t), D * u.diff(x, 2))],
    initial={u: sp.sin(sp.pi * x)},
    boundary={x.left: sci.eq(u, 0), x.right: sci.eq(u, 0)},
    observed={"heat": sci.integral(u, x)},
)
TRUE = 0.1


@pytest.fixture(autouse=True)
def _closed_figures():
    yield
    plt.close("all")


def small(inputs, outputs=1):
    return lambda key: eqx.nn.MLP(inputs, outputs, 8, 1, jnp.tanh, key=key)


@pytest.fixture(scope="module")
def measured():
    """Sixty measurements of exp(-pi^2 D t) sin(pi x) with noise of 0.01."""
    rng = np.random.default_rng(0)
    ts, xs = rng.uniform(0, 1, 60), rng.uniform(0, 1, 60)
    return {"t": ts, "x": xs, "u": np.exp(-(np.pi**2) * TRUE * ts) * np.sin(np.pi * xs) + 0.01 * rng.normal(size=60)}


@pytest.fixture(scope="module")
def runs(measured):
    options = dict(free=[D], noise=0.01, points=100, train=GaussNewton(max_steps=40), progress=False)
    return ensemble(diffusion, small(2), count=2, data=measured, resample=True, **options)


def test_a_diffusivity_is_found_from_noisy_data(runs):
    assert list(runs.params.index) == ["D"] and list(runs.params.columns) == ["mean", "std"]
    found = runs.params.loc["D"]
    assert abs(found["mean"] - TRUE) < 0.01 and 0 < found["std"] < 0.03
    exact = sp.exp(-(sp.pi**2) * TRUE * t) * sp.sin(sp.pi * x)
    assert all(m.error({u: exact})["u"] < 0.05 for m in runs.members)


def test_mean_spread_and_tables(runs, close):
    assert len(runs) == 2 and runs[u].shape == (2, 101, 201) and runs["heat"].shape == (2, 101)
    close(runs.mean(u), runs[u].mean(axis=0))
    close(runs.std(u), np.abs(runs[u][0] - runs[u][1]) / np.sqrt(2), atol=1e-14)
    points = {"t": 0.5, "x": [0.25, 0.5]}
    assert runs(points)[u].shape == (2, 2) and runs.std(u, points).shape == (2,)
    data = runs.to_xarray()
    assert data["u"].dims == ("member", "t", "x") and data["heat"].dims == ("member", "t")
    assert "NetworkEnsemble of" in repr(runs) and "2 members" in repr(runs)


def test_the_mean_is_corrected_where_members_differ(runs, close):
    """The sides are built in, where no member has any doubt: the law changes the values inside."""
    found = runs.conserve(sci.eq(sci.integral(u, x), 2 / sp.pi * sp.exp(-(sp.pi**2) * TRUE * t)))
    values = np.trapezoid(found[u], runs.members[0].axes["x"].points, axis=1)
    close(values, 2 / np.pi * np.exp(-(np.pi**2) * TRUE * runs.members[0].t), rtol=1e-12)
    assert np.abs(found[u][1:, [0, -1]]).max() < 1e-3 * np.abs(found[u] - runs.mean(u)).max() + 1e-12


def test_pictures(runs):
    profiles = runs.plot(u)
    assert [line.get_label() for line in profiles.lines] == ["t = 0", "t = 0.5", "t = 1"] and profiles.get_xlabel() == "x"
    panels = runs.plot("heat", u.subs(t, 1))
    assert len(panels) == 2 and panels[0].get_xlabel() == "t" and len(panels[1].collections) == 1
    with pytest.raises(SolveError, match="D runs over nothing: a band needs the time or one coordinate"):
        runs.plot(D)


def test_a_missing_term_is_found(close):
    """u'' = g(u) with g(u) = -4 u, from values of u = cos 2y."""
    y = sci.space("y", 0, 1)
    v = sci.fields("v", y)
    g = sci.neural("g", eqx.nn.MLP(1, 1, 6, 1, jnp.tanh, key=jax.random.key(3)))
    system = sci.System([sci.eq(v.diff(y, 2), g(v))], name="pendulum")
    ys = np.linspace(0, 1, 30)
    data = {"y": ys, "v": np.cos(2 * ys)}
    net = fit(system, small(1)(jax.random.key(0)), free=[g], data=data, noise=1e-3, points=60, train=GaussNewton(max_steps=60), progress=False)
    assert np.abs(net[v] - np.cos(2 * net.axes["y"].points)).max() < 2e-3
    found, wanted = net({"y": ys})[g(v)], -4 * np.cos(2 * ys)
    assert np.linalg.norm(found - wanted) < 0.05 * np.linalg.norm(wanted)
    close(jax.vmap(net.params["g"])(jnp.cos(2 * ys)[:, None])[:, 0], net({"y": ys})[g(sp.cos(2 * y))], rtol=1e-12)


def test_a_coefficient_over_space_is_found():
    """(k u')' = -1 with k = 1 + y, u(0) = u(1) = 0."""
    y = sci.space("y", 0, 1)
    v, k = sci.fields("v", y), sci.parameters("k", over=y)
    system = sci.System([sci.eq(sci.D(k * v.diff(y), y), -1)], boundary={y.left: sci.eq(v, 0), y.right: sci.eq(v, 0)})
    ys = np.linspace(0, 1, 60)
    data = {"y": ys, "v": np.log(1 + ys) / np.log(2) - ys}  # k v' = 1/ln 2 - 1 - y
    network = {"v": small(1)(jax.random.key(0)), "k": small(1)(jax.random.key(1))}
    net = fit(system, network, free=[k], data=data, noise=1e-4, points=100, train=GaussNewton(max_steps=100), progress=False)
    points = net.axes["y"].points
    assert np.abs(net[v] - (np.log(1 + points) / np.log(2) - points)).max() < 1e-3
    inside = slice(20, -20)
    assert np.abs(net[k][inside] - (1 + points[inside])).max() < 0.1


@pytest.mark.parametrize(
    "options, said",
    [
        ({"count": 1}, "count=1: an ensemble has a whole number of members, at least 2."),
        ({"network": eqx.nn.MLP(2, 1, 4, 1, key=jax.random.key(0))}, "network= of an ensemble is a function from a key to a network"),
        ({"checkpoint": "a"}, "An ensemble writes no checkpoint."),
        ({"resample": True}, "resample=True draws rows of the data, and there are none: data=table."),
    ],
    ids=["one", "module", "checkpoint", "resample"],
)
def test_options_that_are_refused(options, said):
    with pytest.raises(FitError) as error:
        ensemble(diffusion, **options)
    assert said in str(error.value)


def test_failures_are_counted(monkeypatch):
    left = ["diverged: far away", "stopped", "stopped"]

    def trained(*given, **options):
        net = fit(*given, **options)
        net.reason = left.pop(0)
        return net

    monkeypatch.setattr(sys.modules["sciml.pinn.ensemble"], "fit", trained)
    options = dict(network=small(2), train=[], points=5, progress=False)
    some = ensemble(diffusion, count=3, **options)
    assert len(some) == 2 and some.failed == ("diverged: far away",) and "2 members, 1 failed" in repr(some)
    left[:] = ["stopped", "diverged: far away"]
    with pytest.raises(FitError, match=r"1 of 2 trainings failed, so there is no ensemble. The last one: diverged: far away"):
        ensemble(diffusion, count=2, **options)
