"""Steady states: closed forms, conserved totals, derivatives in both modes, batches, and what is refused."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import sympy as sp

import sciml as sci
from sciml.errors import ModelError, NameUnknown, SolveError

from .models import decay, ornstein_uhlenbeck

t = sci.t
a, b = sci.variables("a b", initial=[3.0, 0.0])
x, y = sci.variables("x y", initial=[1.0, 1.0])
k, back, mu, c = sci.parameters("k back mu c", [2.0, 1.0, 0.5, 1.0])


@functools.cache
def exchange():
    return sci.System({a.diff(t): back * b - k * a, b.diff(t): k * a - back * b}, observed={"share": a / (a + b)}, name="exchange")


@functools.cache
def enzyme():
    E, S, C, P = sci.variables("E S C P", initial=[1.0, 5.0, 0.0, 0.0])
    on, off, cat, undo = sci.parameters("on off cat undo", [2.0, 1.0, 3.0, 0.5])
    bind, make = on * E * S - off * C, cat * C - undo * E * P
    return sci.System({E.diff(t): -bind + make, S.diff(t): -bind, C.diff(t): bind - make, P.diff(t): make}, name="enzyme")


@functools.cache
def bent():
    """q rests at 1 + atanh(mu); Newton's method runs away where tanh is flat."""
    q = sci.variables("q", initial=0.5)
    return sci.System([sci.eq(q.diff(t), mu - sp.tanh(q - 1))], name="bent")


@functools.cache
def fold():
    return sci.System([sci.eq(x.diff(t), mu - x**2)], name="fold")


@functools.cache
def constrained():
    """At rest z = 1 and x = 2/c."""
    z = sci.variables("z", guess=0.7)
    return sci.System([sci.eq(x.diff(t), 1 - z), sci.eq(z**3 + z, c * x)], name="constrained")


# -- closed forms --------------------------------------------------------------------------


def test_a_total_comes_from_the_initial_values(close):
    rest = sci.steady_state(exchange())
    close(rest[a], 1.0)
    close(rest["b"], 2.0)
    close(rest[a / (a + b)], 1 / 3)
    close(rest["share"], 1 / 3)
    assert rest[a].shape == () and rest.conserved["a + b"] == pytest.approx(3.0)
    close(sci.steady_state(exchange(), initial={"a": 6.0}, params={"k": 5.0})[b], 5.0)


def test_two_totals_of_an_enzyme(close):
    rest = sci.steady_state(enzyme())
    E, S, C, P = (rest[n] for n in "ESCP")
    close([E + C, S + C + P], [1.0, 5.0])
    close([2 * E * S, 3 * C], [C, 0.5 * E * P], rtol=1e-6)
    assert set(rest.conserved) == {"C + E", "C + P + S"}


def test_the_start_decides_between_steady_states(close):
    r, K = sci.parameters("r K", [1.0, 4.0])
    logistic = sci.System([sci.eq(x.diff(t), r * x * (1 - x / K))])
    close(sci.steady_state(logistic, initial={"x": 3.0})[x], 4.0)
    close(sci.steady_state(logistic, guess={"x": 0.1})[x], 0.0, atol=1e-10)
    kept = sci.variables("x", initial=1.0, bounds=(0.5, None))
    close(sci.steady_state(sci.System([sci.eq(kept.diff(t), r * kept * (1 - kept / K))]), guess={"x": 0.6})["x"], 4.0)


def test_a_second_order_equation_rests_without_speed(close):
    angle = sci.variables("angle", initial=0.4)
    drag = sci.System([sci.eq(angle.diff(t, 2), -k * angle.diff(t))], initial={angle.diff(t): 1.0})
    rest = sci.steady_state(drag)  # k*angle + angle' is conserved
    close(rest[angle], 0.9)
    close(rest["angle'"], 0.0, atol=1e-12)


def test_algebraic_equations(close):
    rest = sci.steady_state(constrained(), params={"c": 4.0})
    close([rest["x"], rest["z"]], [0.5, 1.0])


def test_a_total_of_values_that_constraints_determine(close):
    w, z = sci.variables("w z", initial=[None, 1.0])
    dae = sci.System([sci.eq(x.diff(t), w - x), sci.eq(w.diff(t), x - w), sci.eq(z**3 + z, c * w)])
    rest = sci.steady_state(dae)  # w(0) = 2/c
    close(rest[x], 1.5)
    close(jax.grad(lambda v: sci.steady_state(dae, params={"c": v})["x"])(1.0), -1.0)


def test_arrays(close):
    z, w = sci.variables("z w", shape=3, initial=[[1.0, 2.0, 3.0], 0.0])
    n = sci.parameters("n", [1.0, 2.0, 3.0], shape=3)
    rest = sci.steady_state(sci.System({z.diff(t): w - n * z, w.diff(t): n * z - w}))
    close(rest[z], [0.5, 2 / 3, 0.75])
    close(rest.conserved["w + z"], [1.0, 2.0, 3.0])
    assert list(rest.to_pandas().columns) == [f"{n}[{i}]" for n in "zw" for i in range(3)]


def test_a_frozen_time(close):
    F = sci.data("F", [0.0, 1.0, 2.0], [1.0, 2.0, 3.0])
    driven = sci.System([sci.eq(x.diff(t), F - c * x)], name="driven")
    close(sci.steady_state(driven, time=1.5)[x], 2.5)
    with pytest.raises(SolveError, match=r"explicitly: F in the equation of 'x'.*sci.steady_state\(system, time=0.0\)"):
        sci.steady_state(driven)
    with pytest.raises(SolveError, match="'F' was measured from t=0 to t=2, and time=9 lies outside"):
        sci.steady_state(driven, time=9.0)


def test_continuation_where_newton_runs_away(close):
    rest = sci.steady_state(bent(), initial={"q": 30.0})
    close(rest["q"], 1 + np.arctanh(0.5))
    assert rest.stats["pseudo_transient"] > 0 and "continuation" in rest.stats["solver"]
    assert sci.steady_state(bent()).stats["pseudo_transient"] == 0


# -- derivatives and transformations ---------------------------------------------------------


def central(f, v, h=1e-5):
    return (f(v + h) - f(v - h)) / (2 * h)


@pytest.mark.parametrize("kind", ["params", "initial"])
def test_derivatives_in_both_modes(kind, close):
    system, name, at = (enzyme(), "S", "S") if kind == "initial" else (enzyme(), "S", "cat")

    def end(v):
        return sci.steady_state(system, **{kind: {at: v}})[name]

    numeric = central(lambda v: float(end(v)), 4.0, 1e-2 if jax.config.jax_enable_x64 is False else 1e-5)
    for derivative in (jax.grad(end), jax.jacfwd(end), jax.jit(jax.grad(end)), jax.jit(jax.jacfwd(end))):
        close(derivative(jnp.asarray(4.0)), numeric)


def test_second_derivatives(close):
    f = lambda m: sci.steady_state(bent(), params={"mu": m})["q"]
    close(jax.hessian(f)(0.3), 2 * 0.3 / (1 - 0.09) ** 2)


def test_derivatives_of_a_constrained_system(close):
    f = lambda v: sci.steady_state(constrained(), params={"c": v})["x"]
    close(jax.grad(f)(2.0), -0.5)
    close(jax.jacfwd(f)(2.0), -0.5)


def test_a_batch_with_a_lane_that_fails(close):
    rest = jax.jit(jax.vmap(lambda m: sci.steady_state(fold(), params={"mu": m})))(jnp.array([4.0, -1.0, 0.25]))
    close(rest[x][jnp.array([0, 2])], [2.0, 0.5])
    assert np.isnan(rest[x][1]) and rest.successful.tolist() == [True, False, True]
    assert (rest.status == sci.Status.no_steady_state).tolist() == [False, True, False]
    assert "2 of 3" in repr(rest) and rest.to_pandas().shape == (3, 1) and rest.to_xarray()["x"].shape == (3, 1)
    slopes = jax.vmap(jax.grad(lambda m: sci.steady_state(fold(), params={"mu": m})[x]))(jnp.array([4.0, -1.0]))
    close(slopes[0], 0.25)
    assert np.isnan(slopes[1])


def test_numbers_trace_once():
    sci.steady_state(exchange())
    (program,) = [p for key, p in sci.compile(exchange()).programs.items() if isinstance(key, tuple) and key[0] == "steady"]
    before = program.traces
    for v in (1.0, 2.0, 3.0):
        sci.steady_state(exchange(), params={"k": v}, initial={"a": v}, guess={"b": 1.0})
    assert program.traces == before


# -- what is refused -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "error", "says"),
    [
        ({"params": {"kk": 1.0}}, NameUnknown, "Did you mean 'k'?"),
        ({"initial": {"z": 1.0}}, NameUnknown, "no unknown 'z'"),
        ({"guess": {"k": 1.0}}, NameUnknown, "is a parameter"),
        ({"params": {"k": float("nan")}}, SolveError, "params holds nan for 'k'"),
        ({"guess": {"x": np.inf}}, SolveError, "guess holds inf for 'x'"),
        ({"params": {"k": [1.0, 2.0]}}, SolveError, "jax.vmap"),
        ({"params": [1.0]}, SolveError, "dicts from name to value"),
        ({"time": np.nan}, SolveError, "one finite number"),
        ({"max_steps": 0}, SolveError, "positive whole number"),
    ],
)
def test_a_bad_option(options, error, says):
    with pytest.raises(error) as raised:
        sci.steady_state(decay(), **options)
    assert says in str(raised.value)


@pytest.mark.parametrize(
    ("rate", "says"),
    [
        (1, "No steady state was found.*right side of 'x' farthest from zero, 1 at x = .*guess="),
        (x**2 + 1, "No steady state was found"),
        (sp.exp(-x), "No steady state was found|singular"),  # in float32 it underflows to a rate of zero
        (sp.log(x - 2), r"The right side of 'x' is nan where the search starts \(x = 1\).*logarithm"),
        (-((x - 2) ** 2), "Jacobian is singular at the steady state x = 2.*along 'x'.*At a fold two steady states meet"),
    ],
)
def test_no_steady_state(rate, says):
    with pytest.raises(SolveError, match=says):
        sci.steady_state(sci.System([sci.eq(x.diff(t), rate)], name="bad"))


def test_a_line_of_steady_states_is_named():
    line = sci.System({x.diff(t): sp.sin(2 * x) - y, y.diff(t): 2 * (2 * sp.sin(x) * sp.cos(x) - y)})  # the total y - 2*x is not recognised
    with pytest.raises(SolveError, match=r"singular.*'y', 'x'|singular.*'x', 'y'") as raised:
        sci.steady_state(line, initial={"x": 0.2, "y": 0.3})
    assert "a total that was not recognised" in str(raised.value)


def test_bounds_are_kept():
    low = sci.variables("x", initial=1.0, bounds=(0.0, None))
    with pytest.raises(SolveError, match=r"No steady state|outside its bounds"):
        sci.steady_state(sci.System([sci.eq(low.diff(t), -1 - low)]))


def test_noise_and_time_are_refused():
    with pytest.raises(SolveError, match=r"white noise \('xi'\) and never rests.*system.subs\(xi, 0\)"):
        sci.steady_state(ornstein_uhlenbeck())
    with pytest.raises(SolveError, match="explicitly: t in the equation of 'x'"):
        sci.steady_state(sci.System([sci.eq(x.diff(t), sp.sin(t) - x)]))


def test_missing_values_are_named(close):
    p, q = sci.variables("p q", initial=[1.0, None])
    m = sci.parameters("m")
    swap = sci.System({p.diff(t): m * q - p, q.diff(t): p - m * q})
    with pytest.raises(SolveError, match="parameter 'm' has no value"):
        sci.steady_state(swap)
    with pytest.raises(SolveError, match=r"'q' has no initial value, and a total.*initial=\{\"q\""):
        sci.steady_state(swap, params={"m": 1.0})
    with pytest.raises(ModelError):
        sci.steady_state([swap])
    free = sci.variables("free")
    close(sci.steady_state(sci.System([sci.eq(free.diff(t), 2 - free)]))["free"], 2.0)  # no initial value is needed


def test_without_throw_and_pictures():
    rest = sci.steady_state(fold(), params={"mu": -1.0}, throw=False)
    assert rest.status == sci.Status.no_steady_state and np.isnan(rest[x]) and "none was found" in repr(rest)
    assert sci.steady_state(fold(), params={"mu": 0.0}, throw=False).status == sci.Status.not_isolated
    found = sci.steady_state(exchange())
    assert "a = 1" in repr(found) and len(found.plot((a, b)).lines) == 1
    with pytest.raises(SolveError, match="phase plane"):
        found.plot(a)
