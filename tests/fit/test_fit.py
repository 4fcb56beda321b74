"""Fits of data made by the model itself: the truth must come back, with the right uncertainty."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pandas as pd
import pytest

import sciml as sci
from sciml.errors import FitError, NameUnknown, ScimlError
from sciml.fit import FitProblem
from sciml.optimize import FirstOrder, LevenbergMarquardt

t = sci.t
x, y = sci.variables("x y", initial=[2.0, 0.0], bounds=(0, None))
k, m = sci.parameters("k m", [1.0, 0.5], bounds=(1e-3, 1e2))
TWO = sci.System([sci.eq(x.diff(t), -k * x), sci.eq(y.diff(t), k * x - m * y)], observed={"sum": x + y}, name="two")
TIMES = np.linspace(0.2, 4, 12)


def exact(times, k=0.7, m=0.3, x0=3.0):
    x = x0 * np.exp(-k * times)
    return x, x0 * k / (k - m) * (np.exp(-m * times) - np.exp(-k * times))


def long(times=TIMES, noise=0.0, seed=0, **truth):
    rng = np.random.default_rng(seed)
    x, y = exact(times, **truth)
    frames = [pd.DataFrame({"time": times, "observable": name, "value": v + noise * rng.normal(size=len(times))}) for name, v in (("x", x), ("y", y))]
    return pd.concat(frames, ignore_index=True)


def fitted(table, **options):
    return sci.fit(TWO, table, **{"free": [k, m, x], "t_span": (0, 4), "progress": False, **options})


def test_exact_data_give_the_exact_values_back(close):
    result = fitted(long())
    close([result.params["k"], result.params["m"], result.initial["x"]], [0.7, 0.3, 3.0], rtol=1e-5)
    assert result.converged and result.loss < 1e-8 and result.reason == "converged"
    again = sci.solve(TWO, t_span=(0, 4), params=result.params, initial=result.initial, saveat="end")
    close(again[x][0], exact(4.0)[0], rtol=1e-4)


def test_covariance_is_that_of_linear_regression(close):
    """y' = slope makes the fit a straight line, whose covariance is known."""
    z = sci.variables("z", initial=1.0)
    slope = sci.parameters("slope", 0.5)
    line = sci.System([sci.eq(z.diff(t), slope)])
    times = np.linspace(0, 2, 15)
    value = 0.3 + 1.7 * times + 0.1 * np.random.default_rng(1).normal(size=15)
    table = pd.DataFrame({"time": times, "observable": "z", "value": value})
    result = sci.fit(line, table, free=[slope, z], progress=False)
    design = np.stack([np.ones(15), times], axis=1)
    estimate, rss, *_ = np.linalg.lstsq(design, value, rcond=None)
    close([result.initial["z"], result.params["slope"]], estimate, rtol=1e-4)
    expected = rss[0] / 13 * np.linalg.inv(design.T @ design)
    close(result.covariance.loc[["z(0)", "slope"], ["z(0)", "slope"]].to_numpy(), expected, rtol=1e-3)
    known = sci.fit(line, table, free=[slope, z], noise=sci.Normal(0.1), progress=False)
    close(known.standard_errors["slope"], 0.1 * np.sqrt(np.linalg.inv(design.T @ design)[1, 1]), rtol=1e-3)


def test_intervals_cover_the_truth_with_noise():
    result = fitted(long(noise=0.03, seed=3))
    table = result.summary()
    for name, truth in (("k", 0.7), ("m", 0.3), ("x(0)", 3.0)):
        row = table.loc[name]
        assert abs(row["estimate"] - truth) < 4 * row["std. error"] and row["low 95%"] < row["estimate"] < row["high 95%"]
    assert result.sigma["x"] == pytest.approx(0.03, rel=0.5)


def test_missing_and_ragged_data(close):
    table = long()
    table.loc[::5, "value"] = np.nan
    table = table.drop(index=[3, 20])
    result = fitted(table)
    close([result.params["k"], result.params["m"]], [0.7, 0.3], rtol=1e-4)
    assert result.problem.data.dropped == 4  # one of the five was dropped with its row


def test_wide_tables_and_expressions_as_observables(close):
    x_, y_ = exact(TIMES)
    wide = pd.DataFrame({"time": TIMES, "everything": x_ + y_, "x": x_})
    result = fitted(wide, observe={"everything": x + y})
    close([result.params["k"], result.params["m"]], [0.7, 0.3], rtol=1e-4)
    by_name = fitted(wide.rename(columns={"everything": "sum"}))
    close(by_name.params["m"], 0.3, rtol=1e-4)


def test_bounds_are_kept_and_reported():
    d = sci.parameters("d", 0.4, bounds=(0.1, 0.5))
    bounded = sci.System([sci.eq(x.diff(t), -d * x)])
    table = long()[lambda rows: rows["observable"] == "x"]
    result = sci.fit(bounded, table, free=[d], initial={"x": 3.0}, t_span=(0, 4), progress=False)
    assert 0.1 < result.params["d"] < 0.5 and result.params["d"] > 0.499
    assert result.summary().loc["d", "remark"] == "at its bound"


def test_what_the_data_do_not_determine_is_named():
    p, q = sci.parameters("p q", [0.6, 0.9])
    only_product = sci.System([sci.eq(x.diff(t), -p * q * x)])
    table = long()[lambda rows: rows["observable"] == "x"]
    result = sci.fit(only_product, table, free=[p, q], initial={"x": 3.0}, t_span=(0, 4), progress=False)
    assert result.params["p"] * result.params["q"] == pytest.approx(0.7, rel=1e-3)
    assert result.unidentified == ["p", "q"] and np.isinf(result.standard_errors["p"])
    assert result.summary().loc["p", "remark"] == "not determined by the data"


def test_first_order_methods_from_optax(close):
    result = fitted(long(), method=FirstOrder(max_steps=400, learning_rate=0.05))
    close([result.params["k"], result.params["m"], result.initial["x"]], [0.7, 0.3, 3.0], rtol=2e-2)
    short = fitted(long(), method=optax.adam(0.05))
    assert short.losses[-1] < short.losses[0] and "max_steps" in short.reason


def test_log_normal_noise_weights_relatively(close):
    table = long()
    table["value"] = table["value"] * np.exp(0.05 * np.random.default_rng(0).normal(size=len(table)))
    result = fitted(table, noise={"x": sci.LogNormal(), "y": sci.LogNormal()})
    close(result.params["k"], 0.7, rtol=0.1)
    assert result.sigma["y"] == pytest.approx(0.05, rel=0.6)


def test_a_network_is_trained_with_parameters():
    net = eqx.nn.MLP(1, 1, 4, 1, key=jax.random.key(1))
    g = sci.neural("g", net)
    z = sci.variables("z", initial=2.0)
    system = sci.System([sci.eq(z.diff(t), -0.2 * z + g(z))])
    times = np.linspace(0, 2, 10)
    table = pd.DataFrame({"time": times, "observable": "z", "value": 2 * np.exp(-0.9 * times)})
    result = sci.fit(system, table, free=["g"], method=FirstOrder(max_steps=150, learning_rate=0.03), progress=False)
    assert result.loss < 0.05 * result.losses[0]
    trained = sci.solve(system, t_span=(0, 2), params=result.params, saveat="end")
    assert float(trained["z"][0]) == pytest.approx(2 * np.exp(-1.8), abs=0.1)


def test_picture_and_band(close):
    result = fitted(long(noise=0.03))
    ax = result.plot()
    assert len(ax.lines) == 4 and len(ax.collections) == 2
    prediction, deviation = result.band("x")
    close(prediction, result.solution[x], rtol=1e-5)
    close(deviation[0], result.standard_errors["x(0)"], rtol=1e-3)


def test_solver_options_reach_the_solver():
    result = fitted(long(), solver="kvaerno3", method=LevenbergMarquardt(max_steps=3))
    assert result.solution.stats["solver"] == "kvaerno3" and len(result.losses) <= 3


@pytest.mark.parametrize(
    ("change", "options", "error", "says"),
    [
        (lambda rows: rows.rename(columns={"value": "val"}), {}, FitError, "no column 'value'"),
        (lambda rows: rows.assign(value="text"), {}, FitError, "not a number"),
        (lambda rows: rows.assign(value=np.nan), {}, FitError, "no values"),
        (lambda rows: rows.assign(time=np.nan), {}, FitError, "no time"),
        (lambda rows: rows.assign(value=np.inf), {}, FitError, "infinite"),
        (lambda rows: rows.assign(observable="z"), {}, NameUnknown, "observe="),
        (lambda rows: rows.assign(time=rows["time"] + 9), {}, FitError, "Widen t_span"),
        (lambda rows: rows.iloc[:2], {}, FitError, "free"),
        (lambda rows: rows, {"free": ["kk"]}, NameUnknown, "Did you mean 'k'?"),
        (lambda rows: rows, {"free": []}, FitError, "Nothing is free"),
        (lambda rows: rows, {"params": {"k": 500.0}}, FitError, "not inside its bounds"),
        (lambda rows: rows, {"observe": {"w": x}}, NameUnknown, "observe has 'w'"),
        (lambda rows: rows, {"noise": {"w": sci.Normal()}}, NameUnknown, "noise has 'w'"),
        (lambda rows: rows, {"noise": {"x": sci.Normal(1.0)}}, FitError, "some have none"),
        (lambda rows: rows, {"noise": sci.Normal(-1.0)}, FitError, "positive"),
        (lambda rows: rows.assign(value=-1.0), {"noise": sci.LogNormal()}, FitError, "sci.Normal()"),
        (lambda rows: rows, {"method": "newton"}, FitError, "levenberg_marquardt"),
        (lambda rows: rows, {"saveat": 5}, FitError, "Leave it out"),
    ],
)
def test_bad_input(change, options, error, says):
    with pytest.raises(error) as raised:
        fitted(change(long()), **options)
    assert says in str(raised.value) and isinstance(raised.value, ScimlError)


def test_a_start_at_which_the_solve_fails_is_refused():
    grow = sci.parameters("grow", 5.0)
    system = sci.System([sci.eq(x.diff(t), grow * x**2)])
    table = long()[lambda rows: rows["observable"] == "x"]
    with pytest.raises(FitError, match="cannot be solved over the data at the start values"):
        sci.fit(system, table, free=[grow], t_span=(0, 4), progress=False)


def test_systems_with_noise_are_refused():
    xi = sci.white_noise("xi")
    with pytest.raises(FitError, match="without white noise"):
        sci.fit(sci.System([sci.eq(x.diff(t), -k * x + xi)]), long(), free=[k])


def test_residuals_can_be_differentiated_by_hand():
    """Problem, method and result are apart: the problem alone is enough to write a method of one's own."""
    problem = FitProblem(TWO, long(), [k], None, None, None, {"x": 3.0}, (0, 4), {})
    slope = jax.grad(problem.loss)(problem.z0)
    h = 1e-3
    difference = (problem.loss(problem.z0 + h) - problem.loss(problem.z0 - h)) / (2 * h)
    np.testing.assert_allclose(slope[0], difference, rtol=1e-3 if jax.config.jax_enable_x64 else 5e-2)
    assert jnp.shape(problem.residuals(problem.z0)) == (24,)


def test_a_penalty_is_for_training():
    x = sci.variables("x", initial=1.0)
    k = sci.parameters("k", 1.0)
    decay = sci.System([sci.eq(x.diff(sci.t), -k * x)])
    table = pd.DataFrame({"time": [0.0, 1.0], "x": [1.0, 0.5]})
    with pytest.raises(FitError, match=r"sci\.nn\.fit\(model, data, loss, regularize=\.\.\.\)"):
        sci.fit(decay, table, progress=False, regularize=sci.ErrorEstimate(1.0))
