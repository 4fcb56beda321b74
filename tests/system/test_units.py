"""Units are checked and converted: wrong sums, mixed prefixes, time, derived values."""

import pickle

import jax.numpy as jnp
import pytest
import sympy as sp

import sciml as sci
from sciml.errors import UnitError
from sciml.passes import convert_units

t = sci.t
S = {t: "s"}
m, n = sci.variables("m n", initial=1.0, unit="m")
k = sci.parameters("k", 2.0, unit="1/s")


def rate(equation, at, units=S, **options):
    """The compiled rates of a System of one unknown or more."""
    return sci.compile(sci.System(equation if isinstance(equation, list) else [equation], units=units, **options)).rhs(0.0, at)


def refused(message, *equations, units=S, **options):
    with pytest.raises(UnitError, match=f"(?s){message}"):
        sci.System(list(equations), units=units, **options)


# -- wrong -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("right", "message"),
    [
        (lambda: k, r"In `m' = k` \(.*test_units.py:\d+\): the left side is in m/s, the right side in 1/s. These do not fit. Correct"),
        (lambda: m * k + k, "`k.m` is in m/s and `k` in 1/s"),
        (lambda: k * m + 1, "1 .a plain number."),
        (lambda: k * sp.Max(m, k), "do not fit"),
        (lambda: k * sp.Piecewise((m, m > 0), (1, True)), "do not fit"),
        (lambda: k * m * sp.exp(m), "exp takes a plain number and `m` is in m"),
        (lambda: k * m * sp.sin(m / k), "sin takes a plain number"),
        (lambda: k * m**m, "the exponent `m` is in m; it must be a plain number"),
        (lambda: k * m * 2**k, "the exponent `k`"),
        (lambda: k * m ** sci.parameters("p", 2.0), "with a variable exponent it must be a plain number"),
        (lambda: k * m * t, "do not fit"),
        (lambda: k * sp.Piecewise((m, m > k), (2 * m, True)), "do not fit"),
        (lambda: k * sp.Abs(k), "do not fit"),
        (lambda: k * m.diff(t), "do not fit"),
    ],
)
def test_what_does_not_fit(right, message):
    refused(message, sci.eq(m.diff(t), right()))


def test_time_without_a_unit():
    refused("System 'system' has units, but its time has none. Write sci.System.*units=.*sci.t", sci.eq(m.diff(t), -k * m), units={})


def test_an_unknown_without_a_unit_is_a_plain_number():
    v = sci.variables("v")
    refused("do not fit", sci.eq(v.diff(t), k * m))


def test_noise_is_in_time_to_the_minus_half():
    xi = sci.white_noise("xi")
    refused("do not fit", sci.eq(m.diff(t), m * xi))
    sigma = sci.parameters("sigma", 1.0, unit="m/s**0.5")
    assert len(sci.System([sci.eq(m.diff(t), sigma * xi)], units=S).equations) == 1


def test_a_derived_parameter_in_the_wrong_unit():
    wrong = sci.parameters("wrong", k**2, unit="1/s")
    refused("'wrong' is in 1/s, its value `k..2` in 1/s..2", sci.eq(m.diff(t), -wrong * m))


def test_an_initial_value_in_the_wrong_unit():
    refused("'m' is in m, its value `k` in 1/s", sci.eq(m.diff(t), -k * m), initial={m: k})


def test_an_observed_quantity_is_checked():
    refused("do not fit", sci.eq(m.diff(t), -k * m), observed={"o": m + k})


# -- right -----------------------------------------------------------------------------------


def test_a_system_without_units_is_not_nagged():
    x = sci.variables("x")
    system = sci.System([sci.eq(x.diff(t), -x + t + sp.sin(x))])
    assert convert_units(system) is system


def test_units_that_fit_change_nothing():
    system = sci.System([sci.eq(m.diff(t), -k * m + k * n), sci.eq(n.diff(t), 0)], units=S)
    assert convert_units(system) is system


@pytest.mark.parametrize(
    "right",
    [
        lambda: k * m * sp.exp(-m / n),
        lambda: k * sp.sqrt(m * n),
        lambda: k * sp.Abs(m) * sp.sign(n),
        lambda: k * m ** sp.Rational(1, 2) * n**0.5,
        lambda: k * sp.Max(m, 0),
        lambda: k * sp.atan2(m, n) * m,
        lambda: sp.Piecewise((0, m > n), (k * m, True)),
        lambda: m.diff(t) * 0 + m / sp.Mul(1, 1 / k),
    ],
)
def test_what_fits(right):
    assert len(sci.System([sci.eq(m.diff(t), right()), sci.eq(n.diff(t), 0)], units=S).equations) == 2


# -- converted ----------------------------------------------------------------------------------


def test_per_hour_next_to_seconds(close):
    slow = sci.parameters("slow", 3600.0, unit="1/h")
    close(rate(sci.eq(m.diff(t), -slow * m), {"m": 2.0})["m"], -2.0)


def test_millilitres_next_to_litres(close):
    v = sci.variables("v", unit="L")
    drop = sci.parameters("drop", 5.0, unit="mL/s")
    close(rate(sci.eq(v.diff(t), drop + k * v), {"v": 1.0})["v"], 0.005 + 2.0)


def test_the_unit_of_time_counts(close):
    close(rate(sci.eq(m.diff(t), -k * m), {"m": 1.0}, units={t: "min"})["m"], -120.0)


def test_degrees_and_percent_in_functions(close):
    angle = sci.parameters("angle", 30.0, unit="degree")
    share = sci.parameters("share", 50.0, unit="percent")
    close(rate(sci.eq(m.diff(t), k * m * sp.sin(angle) * sp.exp(share)), {"m": 1.0})["m"], 2 * 0.5 * 2.718281828459045**0.5)


def test_terms_conditions_and_comparisons_are_converted(close):
    far = sci.parameters("far", 1.0, unit="km")
    close(rate(sci.eq(m.diff(t), k * (m + far)), {"m": 1.0})["m"], 2 * 1001.0)
    close(rate(sci.eq(m.diff(t), k * sp.Min(m, far)), {"m": 3000.0})["m"], 2000.0)
    close(rate(sci.eq(m.diff(t), k * sp.Piecewise((m, m < far), (2 * m, True))), {"m": 999.0})["m"], 1998.0)
    close(rate(sci.eq(m.diff(t), k * sp.Piecewise((m, m < far), (2 * m, True))), {"m": 1001.0})["m"], 4004.0)


def test_second_derivatives(close):
    g = sci.parameters("g", 9.81, unit="m/s**2")
    model = sci.compile(sci.System([sci.eq(m.diff(t, 2), -g)], initial={m.diff(t): 0}, units={t: "min"}))
    close(model.rhs(0.0, {"m": 1.0, "m'": 0.0})["m'"], -9.81 * 3600)


def test_derived_parameters_are_converted(close):
    """Declared in 1/s and defined by a value in 1/h: 3600/h is 1/s."""
    hourly = sci.parameters("hourly", 3600.0, unit="1/h")
    derived = sci.parameters("derived", 2 * hourly, unit="1/s")
    close(rate(sci.eq(m.diff(t), derived * m), {"m": 1.0})["m"], 2.0)


def test_initial_expressions_are_converted(close):
    far = sci.parameters("far", 1.5, unit="km")
    model = sci.compile(sci.System([sci.eq(m.diff(t), -k * m)], initial={m: 2 * far}, units=S))
    close(model.initial_state(jnp.zeros(1), model.flat_params({})[0], jnp.asarray(0.0)), [3000.0])


def test_initial_rates_are_converted(close):
    speed = sci.parameters("speed", 3.6, unit="km/h")
    model = sci.compile(sci.System([sci.eq(m.diff(t, 2), -(k**2) * m)], initial={m: 1, m.diff(t): speed}, units=S))
    flat = model.initial_state(jnp.ones(2), model.flat_params({})[0], jnp.asarray(0.0))
    close(flat[model.layout.states["m'"].offset], 1.0)


def test_a_declared_initial_expression_is_converted(close):
    far = sci.parameters("far", 1.5, unit="km")
    v = sci.variables("v", initial=2 * far, unit="m")
    model = sci.compile(sci.System([sci.eq(v.diff(t), -k * v)], units=S))
    close(model.initial_state(jnp.zeros(1), model.flat_params({})[0], jnp.asarray(0.0)), [3000.0])


def test_parameters_derived_from_derived_ones_are_converted(close):
    """hourly is 3600/h; one is hourly in 1/min: 60; two is one in 1/s: 1."""
    hourly = sci.parameters("hourly", 3600.0, unit="1/h")
    one = sci.parameters("one", hourly, unit="1/min")
    two = sci.parameters("two", one, unit="1/s")
    equation = sci.eq(m.diff(t), two * m)
    close(rate(equation, {"m": 1.0})["m"], 1.0)
    model = sci.compile(sci.System([equation], units=S, observed={"also": one * m}))
    close(model.rhs(0.0, {"m": 1.0}, {"one": 120.0})["m"], 2.0)
    close(model.rhs(0.0, {"m": 1.0}, {"hourly": 7200.0})["m"], 2.0)


def test_conversion_is_exact_and_done_once(close):
    slow = sci.parameters("slow", 3600.0, unit="1/h")
    derived = sci.parameters("derived", slow, unit="1/s")
    once = convert_units(sci.System([sci.eq(m.diff(t), -slow * m), sci.eq(n.diff(t), -derived * n)], units=S))
    assert once.equations[0].rhs == -slow * m / 3600
    assert convert_units(once) is once
    for again in (once, pickle.loads(pickle.dumps(once)), once.replace(name="other")):
        found = sci.compile(again).rhs(0.0, {"m": 2.0, "n": 3.0})
        close([found["m"], found["n"]], [-2.0, -3.0])
