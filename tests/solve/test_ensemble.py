"""Ensembles: every lane is the solve that it would have been alone, whatever the chunk; names, failures, derivatives."""

import functools
import os
import subprocess
import sys
import warnings
from pathlib import Path

import equinox as eqx
import jax
import jax.numpy as jnp
import matplotlib.pyplot as plt
import numpy as np
import pytest
import sympy as sp

import sciml as sci
from sciml.errors import ModelError, NameUnknown, SolveError

from .models import decay, lotka_volterra, ornstein_uhlenbeck, t, x, y

SPAN = (0.0, 2.0)
RATES = np.linspace(0.1, 1.0, 5)
STARTS = np.array([1.0, 2.0, 3.0])
TIMES = np.linspace(0, 2, 5)
KEY = jax.random.key(5)
END = {"t_span": SPAN, "saveat": "end", "solver": "tsit5"}
NOISY = {"t_span": (0.0, 1.0), "saveat": 2, "dt": 0.1, "solver": "euler"}


def tight():
    return {"rtol": 1e-9, "atol": 1e-11} if jax.config.jax_enable_x64 else {}


@functools.cache
def many():
    return sci.ensemble(decay(), t_span=SPAN, over={"k": RATES}, saveat=5, **tight())


@functools.cache
def grid():
    return sci.ensemble(decay(), t_span=SPAN, over={"x": STARTS, "k": RATES}, combine="grid", saveat=5, **tight())


@functools.cache
def branches():
    return sci.ensemble(ornstein_uhlenbeck(), over={"m": STARTS}, paths=30, key=KEY, **NOISY)


@functools.cache
def relaxing():
    """z' = -r*z for two rates in one array, driven by a measured input."""
    z = sci.variables("z", initial=np.ones(2), shape=(2,))
    r = sci.parameters("r", np.array([1.0, 2.0]), shape=(2,))
    F = sci.data("F", np.linspace(0, 2, 3), np.zeros(3), interp="linear")
    return sci.System([sci.eq(z.diff(t), -r * z + F)], name="relaxing")


@functools.cache
def exploding():
    """x = 1/(1/x0 - t)."""
    return sci.System([sci.eq(x.diff(t), x**2)], name="exploding", observed={"half": x / 2})


@functools.cache
def constrained():
    """z**3 + z = x; z is found from a guess at the start of each lane."""
    z = sci.variables("z", guess=0.5)
    k = sci.parameters("k", 0.5)
    return sci.System([sci.eq(x.diff(t), -k * x), sci.eq(z**3 + z, x)], name="constrained")


@functools.cache
def fast_and_slow():
    """Prothero and Robinson: x = cos(t) whatever k, stiff for a large one."""
    k = sci.parameters("k", 1.0)
    return sci.System([sci.eq(x.diff(t), -k * (x - sp.cos(t)) - sp.sin(t))], name="fast_and_slow", initial={x: 1.0})


# -- what runs over what -----------------------------------------------------------------


def test_zip_over_a_parameter(close):
    assert many()[x].shape == (5, 5) and many()["double"].shape == (5, 5) and many()["k"].shape == (5,)
    close(many()[x], 2 * np.exp(-RATES[:, None] * TIMES), rtol=1e-6)
    close(many()[x][3], sci.solve(decay(), t_span=SPAN, saveat=5, params={"k": RATES[3]}, **tight())[x], rtol=1e-9)
    assert many().axes == ("k",) and many().t.shape == (5, 5) and bool(many().successful.all())


def test_zip_takes_one_of_each(close):
    both = sci.ensemble(decay(), over={"k": RATES[:3], x: STARTS}, **END, **tight())
    assert both.axes == ("lane",)
    close(both[x][:, 0], STARTS * np.exp(-2 * RATES[:3]), rtol=1e-6)
    data = both.to_xarray()
    assert data["x"].dims == ("lane", "t")
    close(data["k"], RATES[:3])
    close(data["x(0)"], STARTS)


def test_grid_takes_every_combination(close):
    assert grid().axes == ("x(0)", "k") and grid()[x].shape == (3, 5, 5)
    close(grid()[x], STARTS[:, None, None] * np.exp(-RATES[:, None] * TIMES), rtol=1e-6)


def test_lanes_share_what_is_given_once(close):
    shared = sci.ensemble(decay(), over={"k": RATES}, initial={"x": 5.0}, **END, **tight())
    close(shared[x][:, 0], 5 * np.exp(-2 * RATES), rtol=1e-6)
    other = sci.ensemble(decay(), over={"x": STARTS}, params={"k": 1.0}, **END, **tight())
    close(other[x][:, 0], STARTS * np.exp(-2), rtol=1e-6)
    assert other.axes == ("x(0)",) and list(other.to_xarray()["x"].dims) == ["x(0)", "t"]


def test_over_arrays_and_their_initial_values(close):
    r, z = np.array([[1.0, 2.0], [0.5, 0.1], [0.0, 3.0]]), np.array([[1.0, 1.0], [2.0, 3.0], [1.0, 0.5]])
    sol = sci.ensemble(relaxing(), over={"r": r, "z": z}, **END, **tight())
    assert sol["z"].shape == (3, 1, 2)
    close(sol["z"][:, 0], z * np.exp(-2 * r), rtol=1e-6)
    assert sol.to_xarray()["z"].dims == ("lane", "t", "z_0")
    close(sol.lane(1)["r"], r[1])
    alone = sci.ensemble(relaxing(), over={"r": r}, **END, **tight())
    assert alone.to_xarray()["z"].dims == ("r", "t", "z_0") and "r" not in alone.to_xarray().coords


def test_over_measured_values(close):
    """x' = F with F linear between three points."""
    F = sci.data("F", np.linspace(0, 2, 3), np.zeros(3), interp="linear")
    system = sci.System([sci.eq(x.diff(t), F)], initial={x: 0.0}, name="integrated")
    values = np.array([[0.0, 1.0, 0.0], [1.0, 1.0, 1.0], [0.0, 2.0, 4.0], [2.0, 0.0, 0.0]])
    sol = sci.ensemble(system, over={"F": values}, chunk=3, **END, rtol=1e-5, atol=1e-6)
    close(sol[x][:, 0], values @ [0.5, 1.0, 0.5], rtol=1e-4)
    close(sol[F][:, 0], values[:, -1])
    close(sol.lane(2)["F"], values[2])
    nested = jax.vmap(lambda v: sci.ensemble(system, over={"F": values}, initial={"x": v}, **END)[F + x])(jnp.array([0.0, 1.0]))
    close(nested[1, :, 0] - nested[0, :, 0], np.ones(4), rtol=1e-4)


def test_lanes_share_networks_and_data_instead_of_copying_them(close):
    net = eqx.nn.MLP(1, 1, 2, 1, key=jax.random.key(0))
    F = sci.data("F", np.linspace(0, 2, 3), np.ones(3), interp="linear")
    system = sci.System([sci.eq(x.diff(t), sci.neural("g", net)(x) + F)], initial={x: 0.0}, name="shared")
    starts, replaced = np.array([0.0, 1.0]), np.array([1.0, 3.0, 2.0])
    options = {"t_span": SPAN, "saveat": 3, "solver": "tsit5", "over": {"x": starts}}
    sol = sci.ensemble(system, params={"F": replaced}, dense=True, max_steps=200, **options)
    assert np.shape(sol._values["F"]) == (3,) and sol[F * x].shape == (2, 3) and sol["F"].shape == (2, 3)
    close(sol["F"], [replaced] * 2)
    close(sol[x.diff(t) - F], jax.vmap(jax.vmap(lambda v: net(v[None])[0]))(sol[x]), rtol=1e-4, atol=1e-6)
    close(sol(1.0)["F"], [3.0, 3.0])
    outer = jax.vmap(lambda s: sci.ensemble(system, params={"F": s * replaced}, **options))(jnp.array([1.0, 2.0]))
    assert outer.axes == ("batch", "x(0)")
    close(outer["F"][:, 1], [replaced, 2 * replaced])


# -- names -------------------------------------------------------------------------------


def test_axes_have_names_and_values(close):
    data = grid().to_xarray()
    assert data["x"].dims == ("x(0)", "k", "t") and data.attrs["system"] == "decay"
    close(data["k"], RATES)
    close(data["x(0)"], STARTS)
    close(data["x"].sel(k=1.0, t=2.0), STARTS * np.exp(-2), rtol=1e-6)
    table = grid().to_pandas()
    assert table.index.names == ["x(0)", "k", "t"] and list(table.columns) == ["x", "double"] and len(table) == 75
    assert grid().to_xarray(batch=["start", "rate"])["x"].dims == ("start", "rate", "t")


def test_a_lane_can_be_solved_alone(close):
    given = grid().lane((1, 3))
    assert given == {"x": pytest.approx(2.0), "k": pytest.approx(RATES[3])}
    again = sci.solve(decay(), t_span=SPAN, initial={"x": given["x"]}, params={"k": given["k"]}, saveat=5, **tight())
    close(grid()[x][1, 3], again[x], rtol=1e-9)
    with pytest.raises(SolveError, match=r"sol\.lane\(0, 0\)"):
        grid().lane(1)


def test_an_observed_quantity_that_does_not_depend_on_time(close):
    k = sci.parameters("k", 0.5)
    system = sci.System([sci.eq(x.diff(t), -k * x)], observed={"halved": sp.log(2) / k}, name="constant")
    sol = sci.ensemble(system, t_span=SPAN, over={"k": RATES}, saveat=3)
    assert sol["halved"].shape == (5,)
    close(sol.to_xarray()["halved"][:, 2], np.log(2) / RATES)
    close(sci.solve(system, t_span=SPAN, saveat=3).to_pandas()["halved"], np.log(2) / 0.5)
    assert len(sol.plot("halved").lines) == 5
    plt.close("all")


# -- noise ---------------------------------------------------------------------------------


def test_paths_have_the_moments_of_the_process():
    means = np.array([0.0, 1.0])
    sol = sci.ensemble(ornstein_uhlenbeck(), over={"m": means}, paths=2000, key=KEY, dt=0.05, t_span=(0.0, 1.0), saveat="end", chunk=500)
    ends = np.asarray(sol["z"][..., 0], float)
    assert ends.shape == (2, 2000) and sol.axes == ("m", "path")
    variance = 0.8**2 / 3 * (1 - np.exp(-3.0))
    assert np.all(np.abs(ends.mean(1) - (means + (2 - means) * np.exp(-1.5))) < 4 * np.sqrt(variance / 2000))
    assert np.all(np.abs(ends.var(1) - variance) < 4 * variance * np.sqrt(2 / 2000))
    assert abs(np.corrcoef(ends)[0, 1]) < 4 / np.sqrt(2000), "two lanes have the same noise"
    assert len(np.unique(ends)) > 3990  # in float32 two may round to one


def test_one_key_is_one_result_and_every_lane_has_its_own_noise():
    run = lambda key, **more: sci.ensemble(ornstein_uhlenbeck(), over={"z": np.full(6, 2.0)}, key=key, **NOISY, **more)["z"][:, 1]
    first = run(KEY)
    assert len(np.unique(first)) == 6 and jnp.array_equal(first, run(KEY)) and not jnp.any(first == run(jax.random.key(6)))
    np.testing.assert_allclose(run(KEY, chunk=4), first, rtol=1e-6)


def test_paths_are_an_axis_without_values():
    data = branches().to_xarray()
    assert data["z"].dims == ("m", "path", "t") and "path" not in data.coords and list(data["m"]) == [1.0, 2.0, 3.0]
    assert branches().lane((2, 1)) == {"m": 3.0, "path": 1}


# -- chunks and devices ------------------------------------------------------------------------


@pytest.mark.parametrize("chunk", [2, 5, np.int64(3)])
def test_the_chunk_is_no_part_of_the_result(chunk, close):
    """With one method the steps are the same, so the numbers are, to rounding."""
    one = sci.ensemble(lotka_volterra(), over={"a": RATES}, chunk=1, **END)
    other = sci.ensemble(lotka_volterra(), over={"a": RATES}, chunk=chunk, **END)
    np.testing.assert_array_equal(one.stats["steps"], other.stats["steps"])
    close(other[x + y], one[x + y], rtol=1e-12)


def test_the_chunk_and_auto(close):
    """The method is chosen for a chunk: lanes agree within the tolerance, stiff or not."""
    rates = np.array([1.0, 10.0, 1e4, 1e5, 1e6 if jax.config.jax_enable_x64 else 1e4])
    for chunk in (1, 2, 5):
        sol = sci.ensemble(fast_and_slow(), t_span=(0.0, 3.0), over={"k": rates}, chunk=chunk, saveat="end")
        close(sol[x][:, 0], np.full(5, np.cos(3.0)), rtol=1e-5)
        assert sol.successful.all() and sol.stats["steps"].max() < 1000 and "lanes" in sol.stats["reason"]
    assert sci.ensemble(fast_and_slow(), t_span=(0.0, 3.0), over={"k": rates[:1]}, saveat="end").stats["reason"].startswith("solver: not stiff")


def test_two_devices_give_the_same_numbers():
    code = """
import jax, jax.numpy as jnp, numpy as np
jax.config.update("jax_enable_x64", True)
import sciml as sci
x = sci.variables("x", initial=2.0)
k = sci.parameters("k", 0.5)
decay = sci.System([sci.eq(x.diff(sci.t), -k*x)])
assert len(jax.devices()) == 2
rates = np.linspace(0.1, 1, 7)
run = lambda rates, **more: sci.ensemble(decay, t_span=(0, 2), over={"k": rates}, saveat=3, **more)[x]
one = run(rates, chunk=2, devices=jax.devices()[:1])
np.testing.assert_array_equal(run(rates, chunk=2), one)
np.testing.assert_array_equal(run(rates, chunk=3), one)
np.testing.assert_array_equal(run(rates, chunk=2, progress=True), one)
slope = lambda more: jax.grad(lambda r: run(r, chunk=2, **more)[:, -1].sum())(jnp.asarray(rates))
np.testing.assert_allclose(slope({}), -4*np.exp(-2*rates), rtol=1e-4)
np.testing.assert_allclose(jax.jit(lambda r: run(r, chunk=2))(rates), one, rtol=1e-12)
print("same")
"""
    flags = "--xla_force_host_platform_device_count=2"
    environment = {**os.environ, "XLA_FLAGS": flags, "JAX_PLATFORMS": "cpu", "SCIML_TEST_PRECISION": ""}
    root = Path(__file__).resolve().parents[2]
    done = subprocess.run([sys.executable, "-c", code], env=environment, cwd=root, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0 and "same" in done.stdout, done.stderr[-2000:]


def test_a_second_ensemble_does_not_compile_again():
    first = sci.ensemble(decay(), over={"k": RATES}, **END)
    traces = first._program.traces
    again = sci.ensemble(decay(), over={"k": 2 * RATES}, initial={"x": 1.0}, **{**END, "t_span": (0.0, 3.0)}, rtol=1e-3)
    assert again._program is first._program and again._program.traces == traces


def test_progress_shows_every_lane(capsys, close):
    sol = sci.ensemble(decay(), over={"k": np.linspace(0, 1, 133)}, chunk=2, progress=True, **END)
    assert "133/133" in capsys.readouterr().err
    close(sol[x][:, 0], 2 * np.exp(-2 * np.linspace(0, 1, 133)), rtol=1e-4)


# -- failures --------------------------------------------------------------------------------


@functools.cache
def failed():
    with pytest.warns(UserWarning, match=r"2 of 4 lanes .*'exploding' failed, the first with x\(0\)=1.*2 lanes: The step became too small.*NaN"):
        return sci.ensemble(exploding(), t_span=(0.0, 5.0), over={"x": [-1.0, 1.0, 0.1, 2.0]}, saveat=6)


def test_lanes_that_fail_leave_the_others_alone(close):
    sol = failed()
    assert list(sol.successful) == [True, False, True, False] and "2 of 4 reached the end" in repr(sol)
    assert list(np.asarray(sol.status == sci.Status.step_too_small)) == [False, True, False, True]
    times = np.linspace(0, 5, 6)
    close(sol[x][::2], 1 / (1 / np.array([[-1.0], [0.1]]) - times), rtol=1e-3)
    assert bool(jnp.isnan(sol[x][1::2, 2:]).all()) and bool(jnp.isnan(sol["half"][1::2, 2:]).all())
    data = sol.to_xarray()
    close(data["t"], times)  # the lanes that failed do not cost the others their times
    assert data["x"].dims == ("x(0)", "t") and len(sol.plot(x).lines) == 4
    plt.close("all")


def test_nothing_is_said_where_all_is_well():
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        sci.ensemble(exploding(), t_span=(0.0, 5.0), over={"x": [2.0]}, saveat="end")
        sci.ensemble(exploding(), t_span=(0.0, 5.0), over={"x": [-2.0]}, saveat="end")
    assert len(caught) == 1 and "1 of 1 lanes" in str(caught[0].message)


def test_throw_raises_with_the_lane_that_failed():
    with pytest.raises(SolveError, match=r"2 of 3 lanes .* the first with x\(0\)=1\..*with sci\.solve"):
        sci.ensemble(exploding(), t_span=(0.0, 5.0), over={"x": [-1.0, 1.0, 2.0]}, saveat="end", throw=True)
    arrays = np.array([[1.0, 1.0], [-1e9, 1.0]])
    with pytest.raises(SolveError, match="the first with lane=1"):
        sci.ensemble(relaxing(), t_span=(0.0, 2.0), over={"r": arrays, "z": np.ones((2, 2))}, saveat="end", max_steps=50, throw=True)


# -- saving ----------------------------------------------------------------------------------


def test_what_is_saved(close):
    assert sci.ensemble(decay(), over={"k": RATES}, **END).t.shape == (5, 1)
    times = np.array([0.0, 0.3, 1.9])
    at = sci.ensemble(decay(), t_span=SPAN, over={"k": RATES}, saveat=times, **tight())
    close(at[x], 2 * np.exp(-RATES[:, None] * times), rtol=1e-6)
    steps = sci.ensemble(decay(), t_span=SPAN, over={"k": RATES}, saveat="steps", max_steps=60)
    taken = steps.stats["accepted"].astype(int)
    assert steps[x].shape == (5, 61)
    for i, n in enumerate(taken):
        assert np.isfinite(steps[x][i, : n + 1]).all() and np.isnan(steps[x][i, n + 1 :]).all()
        close(steps[x][i, : n + 1], 2 * np.exp(-RATES[i] * steps.t[i, : n + 1]), rtol=1e-3)


def test_dense_lanes_at_any_time(close):
    sol = sci.ensemble(decay(), t_span=SPAN, over={"k": RATES, "x": 2 * np.ones(5)}, dense=True, max_steps=200, solver="tsit5", **tight())
    assert sol(0.5)[x].shape == (5,) and sol(0.5).t.shape == (5,) and sol(0.5).axes == ("lane",)
    times = np.array([0.1, 1.3])
    close(sol(times)["double"], 4 * np.exp(-RATES[:, None] * times), rtol=1e-5)
    assert sol(times).to_xarray()["x"].dims == ("lane", "t") and sol(0.5).to_xarray()["x"].shape == (5, 1)


def test_a_dense_lane_that_failed_is_nan_beyond_its_end():
    with pytest.warns(UserWarning, match="1 of 2 lanes"):
        sol = sci.ensemble(exploding(), t_span=(0.0, 5.0), over={"x": [-1.0, 1.0]}, dense=True)
    values = sol(np.array([0.5, 4.0]))[x]
    assert bool(jnp.isfinite(values[0]).all() & jnp.isfinite(values[1, 0]) & jnp.isnan(values[1, 1]))


# -- derivatives -------------------------------------------------------------------------------


def test_gradients_by_what_is_shared_and_by_what_runs_over_lanes(close):
    def total(k, starts):
        return sci.ensemble(decay(), over={"x": starts}, params={"k": k}, chunk=2, **END, **tight())[x].sum()

    arguments = (jnp.asarray(0.5), jnp.asarray(STARTS))
    exact = (-2 * STARTS.sum() * np.exp(-1.0), np.full(3, np.exp(-1.0)))
    for mode in (jax.grad, jax.jacfwd):
        for found, expected in zip(mode(total, argnums=(0, 1))(*arguments), exact, strict=True):
            close(found, expected, rtol=1e-6)
    for found, expected in zip(jax.jit(jax.grad(total, argnums=(0, 1)))(*arguments), exact, strict=True):
        close(found, expected, rtol=1e-6)


def test_under_vmap_and_jit(close):
    nested = jax.vmap(lambda x0: sci.ensemble(decay(), t_span=SPAN, over={"k": RATES}, initial={"x": x0}, saveat=5, solver="tsit5"))(
        jnp.asarray(STARTS)
    )
    assert nested.axes == ("batch", "k")
    close(nested[x], STARTS[:, None, None] * np.exp(-RATES[:, None] * TIMES), rtol=1e-3)
    data = nested.to_xarray()
    assert data["x"].dims == ("batch", "k", "t")
    close(data["k"], RATES)
    jitted = jax.jit(lambda over: sci.ensemble(decay(), t_span=SPAN, over=over, saveat=5, **tight()))({"k": jnp.asarray(RATES)})
    close(jitted[x], many()[x], rtol=1e-9)
    assert jitted.axes == ("k",) and jitted.to_xarray()["x"].dims == ("k", "t")
    listed = jax.jit(lambda a: sci.ensemble(decay(), over={"k": [a, 2 * a]}, **END)[x])(jnp.asarray(0.5))
    close(listed[:, 0], 2 * np.exp([-1.0, -2.0]), rtol=1e-3)


def test_gradients_through_paths(close):
    """The noise does not depend on m."""
    total = lambda m: sci.ensemble(ornstein_uhlenbeck(), params={"m": m}, paths=4, key=KEY, **NOISY)["z"][:, 1].mean()
    close(jax.grad(total)(0.5), 1 - (1 - 0.15) ** 10, rtol=1e-3)  # ten steps of Euler


# -- constraints and stiffness --------------------------------------------------------------------


def test_every_lane_of_a_dae_finds_its_own_start(close):
    sol = sci.ensemble(constrained(), t_span=SPAN, over={"x": STARTS}, saveat=5, chunk=2, solver="rodas5p")
    found = np.asarray(sol["z"])
    close(found**3 + found, sol[x], rtol=1e-6)
    close(sol[x], STARTS[:, None] * np.exp(-0.5 * TIMES), rtol=1e-4)

    def start(starts):
        return sci.ensemble(constrained(), t_span=SPAN, over={"x": starts}, saveat=2, solver="rodas5p", **tight())["z"][:, -1].sum()

    z = np.asarray(sol["z"])[:, -1]
    close(jax.grad(start)(jnp.asarray(STARTS)), np.exp(-1.0) / (3 * z**2 + 1), rtol=1e-4)


# -- pictures -------------------------------------------------------------------------------------


def test_a_picture_of_many_lanes_has_a_hundred_lines_and_a_short_legend():
    sol = sci.ensemble(decay(), t_span=SPAN, over={"k": np.linspace(0.1, 1, 250)}, saveat=3)
    ax = sol.plot(x)
    assert len(ax.lines) == 100 and len(ax.get_legend().get_texts()) == 6
    assert ax.get_legend().get_texts()[0].get_text() == "k = 0.1"
    assert len({line.get_color() for line in ax.lines}) > 50
    two = sol.plot(x, "double")
    assert len(two.lines) == 200 and len(two.get_legend().get_texts()) == 2
    assert len({line.get_color() for line in sol.plot(x, color="k").lines}) == 1
    assert len(sol.plot((x, "double")).lines) == 100
    assert grid().plot(x).get_legend() is None
    plt.close("all")


def test_a_picture_of_many_paths_is_a_median_and_a_band():
    ax = branches().plot("z")
    assert len(ax.lines) == 3 and len(ax.collections) == 3
    assert ax.get_legend().get_texts()[0].get_text() == "m = 1: median, 5 to 95 %"
    few = sci.ensemble(ornstein_uhlenbeck(), paths=4, key=KEY, **NOISY)
    assert few.axes == ("path",) and len(few.plot("z").lines) == 4
    plt.close("all")


# -- bad input ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "error", "says"),
    [
        ({"over": {"kk": RATES}}, NameUnknown, "no parameter and no unknown. Did you mean 'k'?"),
        ({"over": {"k": RATES, "x": STARTS}}, SolveError, "'k' has 5, 'x' has 3. Give as many of each, or write combine=\"grid\""),
        ({"over": {"k": 1.0}}, SolveError, "'k' is a scalar: give one number for each lane, over={\"k\": jnp.linspace"),
        ({"over": {"k": np.ones((3, 2))}}, SolveError, "over['k'] has shape (3, 2)"),
        ({"over": {"k": []}}, SolveError, "over['k'] has shape (0,)"),
        ({"over": {"k": [1.0, float("nan")]}}, SolveError, "over['k'] holds NaN"),
        ({"over": {"x": jnp.array([1.0, jnp.inf])}}, SolveError, "over['x'] holds NaN or infinite"),
        ({"over": {"k": ["a", "b"]}}, SolveError, "over['k'] does not hold real numbers"),
        ({"over": {"k": [1j, 2j]}}, SolveError, "over['k'] does not hold real numbers"),
        ({"over": [("k", RATES)]}, SolveError, "over is a dict from name to an array"),
        ({"over": {"k": RATES}, "chunk": 6}, SolveError, "chunk=6 does not fit a batch of 5 lanes: give a whole number from 1 to 5"),
        ({"over": {"k": RATES}, "chunk": 0}, SolveError, "chunk=0 does not fit"),
        ({"over": {"k": RATES}, "chunk": 2.0}, SolveError, "chunk=2.0 does not fit"),
        ({"over": {"k": RATES}, "chunk": True}, SolveError, "chunk=True does not fit"),
        ({"over": {"k": RATES}, "combine": "product"}, SolveError, 'write "zip" or "grid"'),
        ({"over": {"k": RATES}, "params": {"k": 1.0}}, SolveError, "'k' is in over and in params"),
        ({"over": {"x": STARTS}, "initial": {x: 1.0}}, SolveError, "'x' is in over and in initial"),
        ({"over": {"k": RATES}, "params": [1.0]}, SolveError, "dicts from name to value"),
        ({"over": {"k": RATES}, "devices": "cpu"}, SolveError, "jax.devices()"),
        ({"over": {"k": RATES}, "savat": 5}, TypeError, "no option 'savat'. Did you mean 'saveat'?"),
        ({"over": {"k": RATES}, "t_span": (0, 0)}, SolveError, "no length"),
        ({"paths": 10}, SolveError, "paths=10 needs noise, and System 'decay' has none"),
        ({"paths": 0}, SolveError, "paths=0: give a positive whole number"),
        ({}, SolveError, "needs something to run over"),
        ({"over": {}}, SolveError, 'over={"k": jnp.linspace(0, 1, 10)}'),
    ],
)
def test_bad_input(options, error, says):
    with pytest.raises(error) as raised:
        sci.ensemble(decay(), **{**END, **options})
    assert says in str(raised.value)


def test_more_bad_input():
    with pytest.raises(SolveError, match=r"random key.*key=jax\.random\.key\(0\)"):
        sci.ensemble(ornstein_uhlenbeck(), paths=3, **NOISY)
    with pytest.raises(SolveError, match=r"paths=2.5: give a positive whole number"):
        sci.ensemble(ornstein_uhlenbeck(), paths=2.5, key=KEY, **NOISY)
    with pytest.raises(SolveError, match=r"'r' has shape \(2,\): give an array of shape \(lanes, 2\)"):
        sci.ensemble(relaxing(), over={"r": RATES}, **END)
    with pytest.raises(SolveError, match=r"'F' has shape \(3,\): give an array of shape \(lanes, 3\)"):
        sci.ensemble(relaxing(), over={"F": np.ones((4, 2))}, **END)
    c = sci.constants("c", 1.0)
    with pytest.raises(ModelError, match=r"'c' is a constant.*sci\.parameters"):
        sci.ensemble(sci.System([sci.eq(y.diff(t), -c * y)]), over={"c": RATES}, **END)
    net = eqx.nn.MLP(1, 1, 2, 1, key=jax.random.key(0))
    with pytest.raises(SolveError, match=r"'g' is a network.*jax\.vmap"):
        sci.ensemble(sci.System([sci.eq(y.diff(t), sci.neural("g", net)(y))]), over={"g": RATES}, **END)
