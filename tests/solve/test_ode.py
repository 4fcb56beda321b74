"""Solves against exact solutions."""

import diffrax
import jax
import jax.numpy as jnp
import numpy as np
import pytest
import sympy as sp

import sciml as sci
from sciml.solve import SOLVERS

from .models import decay, forced, k, lotka_volterra, oscillator, t, x

EXPLICIT_AND_IMPLICIT = [n for n, row in SOLVERS.items() if row.adaptive and row.levy_area is None and not row.modal]
FIXED_ONLY = [n for n, row in SOLVERS.items() if not row.adaptive and n == "euler"]


def test_decay_is_the_exponential(close):
    sol = sci.solve(decay(), t_span=(0, 4))
    close(sol[x], 2 * np.exp(-0.5 * np.asarray(sol.t)), rtol=1e-5)
    assert sol.t.shape == (200,) and sol.t[0] == 0 and sol.t[-1] == 4


def test_time_may_run_backwards_and_start_anywhere(close):
    sol = sci.solve(decay(), t_span=(7, 3), saveat=[7.0, 5.0, 3.0])
    close(sol[x], 2 * np.exp(0.5 * np.array([0.0, 2.0, 4.0])), rtol=1e-5)


def test_explicit_time_in_the_equation(close):
    sol = sci.solve(forced(), t_span=(0, 5))
    close(sol["z"], 1 - np.cos(np.asarray(sol.t)), rtol=1e-4, atol=1e-5)


def test_second_order_keeps_the_rate_as_an_unknown(close):
    sol = sci.solve(oscillator(), t_span=(0, 3), initial={"q'": 1.0})
    times = np.asarray(sol.t)
    close(sol["q"], np.cos(2 * times) + 0.5 * np.sin(2 * times), rtol=1e-3, atol=1e-4)
    q = oscillator().symbols["q"]
    close(sol[q.diff(t)], -2 * np.sin(2 * times) + np.cos(2 * times), rtol=1e-3, atol=1e-4)
    close(sol[q.diff(t, 2)], -4 * sol["q"])


@pytest.mark.parametrize("name", EXPLICIT_AND_IMPLICIT)
def test_every_adaptive_solver_by_name(name, close):
    sol = sci.solve(decay(), t_span=(1, 4), solver=name, saveat="end", rtol=1e-4, atol=1e-6)
    close(sol[x], [2 * np.exp(-1.5)], rtol=2e-2 if name == "implicit_euler" else 3e-3)
    assert sol.stats["solver"] == name


@pytest.mark.parametrize("name", ["euler", "heun", "kvaerno3", "tsit5"])
def test_fixed_steps_have_the_order_of_the_method(name):
    order = {"euler": 1, "heun": 2, "kvaerno3": 3, "tsit5": 5}[name]
    error = []
    for dt in (0.2, 0.1):
        end = sci.solve(decay(), t_span=(0, 2), solver=name, dt=dt, saveat="end")[x][0]
        error.append(abs(float(end) - 2 * np.exp(-1.0)))
    if jax.config.jax_enable_x64 or order < 3:
        assert np.log2(error[0] / error[1]) == pytest.approx(order, abs=0.35)


def test_an_instance_of_a_diffrax_solver(close):
    sol = sci.solve(decay(), t_span=(0, 1), solver=diffrax.Bosh3(), saveat="end")
    close(sol[x], [2 * np.exp(-0.5)], rtol=1e-4)
    assert sol.stats["solver"] == "Bosh3" and "instance" in sol.stats["reason"]


def test_params_and_initial_replace_declared_values(close):
    sol = sci.solve(decay(), t_span=(0, 1), params={"k": 1.0}, initial={x: 3.0}, saveat="end")
    close(sol[x], [3 * np.exp(-1)], rtol=1e-5)
    close(sol[k], 1.0)


def test_values_defined_by_others_follow_them_unless_given(close):
    rate = sci.parameters("rate", 2 * k)
    start = sci.parameters("start", 3.0)
    z = sci.variables("z", initial=start**2)
    system = sci.System([sci.eq(z.diff(t), -rate * z)])
    end = lambda **numbers: sci.solve(system, t_span=(0, 1), saveat="end", **numbers)[z][0]
    close(end(), 9 * np.exp(-1.0), rtol=1e-5)
    close(end(params={"k": 1.0, "start": 1.0}), np.exp(-2.0), rtol=1e-5)
    close(end(params={"rate": 0.1}), 9 * np.exp(-0.1), rtol=1e-5)
    close(end(initial={"z": 1.0}), np.exp(-1.0), rtol=1e-5)


def test_an_initial_value_may_depend_on_another_and_on_the_start():
    z, w = sci.variables("z w", initial=[2.0, None])
    system = sci.System([sci.eq(z.diff(t), 0 * z), sci.eq(w.diff(t), 0 * w)], initial={w: 3 * z + t})
    assert float(sci.solve(system, t_span=(1, 2), saveat="end")[w][0]) == pytest.approx(7.0)
    assert float(sci.solve(system, t_span=(1, 2), saveat="end", initial={"z": 0.0})[w][0]) == pytest.approx(1.0)


def test_array_unknowns(close):
    rates = sci.parameters("rates", np.array([1.0, 2.0, 3.0]))
    z = sci.variables("z", initial=np.ones(3), shape=(3,))
    total = sci.dot(np.ones(3), z)
    system = sci.System([sci.eq(z.diff(t), -rates * z)], observed={"sum": total, "first": z[0]})
    sol = sci.solve(system, t_span=(0, 1), saveat=5)
    exact = np.exp(-np.asarray(sol.t)[:, None] * np.array([1.0, 2.0, 3.0]))
    assert sol[z].shape == (5, 3) and sol[z**2].shape == (5, 3)
    close(sol[z], exact, rtol=1e-4)
    close(sol["sum"], exact.sum(axis=1), rtol=1e-4)
    close(sol["first"], sol[z][:, 0])
    close(sci.solve(system, t_span=(0, 1), saveat="end", params={"rates": np.zeros(3)})[z], np.ones((1, 3)))


def test_a_discrete_unknown_keeps_its_value(close):
    mode = sci.variables("mode", initial=2.0, discrete=True)
    z = sci.variables("z", initial=0.0)
    sol = sci.solve(sci.System([sci.eq(z.diff(t), mode)]), t_span=(0, 3), saveat="end")
    close(sol[z], [6.0], rtol=1e-5)
    close(sol[mode], [2.0])


def test_measured_input_and_its_replacement(close):
    times = np.linspace(0, 2, 41)
    force = sci.data("F", times, np.sin(times))
    z = sci.variables("z", initial=0.0)
    system = sci.System([sci.eq(z.diff(t), force)])
    close(sci.solve(system, t_span=(0, 2), saveat="end")[z], [1 - np.cos(2.0)], rtol=1e-4)
    close(sci.solve(system, t_span=(0, 2), saveat="end", params={"F": np.ones(41)})[z], [2.0], rtol=1e-4)


def test_components_tied_together(close):
    def tank(name: str) -> sci.System:
        level, inflow, outflow = sci.variables("level inflow outflow", initial=[1.0, None, None])
        rate = sci.parameters("rate", 0.5)
        return sci.System([sci.eq(level.diff(t), inflow - outflow), sci.eq(outflow, rate * level)], name=name)

    upper, lower = tank("upper"), tank("lower")
    both = sci.System([sci.eq(upper.inflow, 0), sci.eq(lower.inflow, upper.outflow)], components=[upper, lower], name="cascade")
    sol = sci.solve(both, t_span=(0, 2), params={"lower.rate": 0.25})
    times = np.asarray(sol.t)
    close(sol["upper.level"], np.exp(-times / 2), rtol=1e-4)
    close(sol["lower.level"], 3 * np.exp(-times / 4) - 2 * np.exp(-times / 2), rtol=1e-4)
    close(sol[lower.inflow], sol["upper.outflow"])


def test_units_are_converted_before_numbers_meet(close):
    volume = sci.variables("volume", initial=1.0, unit="L")
    flow = sci.parameters("flow", 50.0, unit="mL/min")
    filling = sci.System([sci.eq(volume.diff(t), flow)], units={t: "h"})
    close(sci.solve(filling, t_span=(0, 2), saveat="end")[volume], [1 + 0.05 * 120], rtol=1e-5)


def test_piecewise_switches(close):
    z = sci.variables("z", initial=0.0)
    system = sci.System([sci.eq(z.diff(t), sp.Piecewise((1, t < 1), (0, True)))])
    close(sci.solve(system, t_span=(0, 3), saveat="end")[z], [1.0], rtol=1e-2)


def test_tolerances_by_name_and_by_nominal_size(close):
    small = sci.variables("small", initial=1e-9, nominal=1e-9)
    system = sci.System([sci.eq(small.diff(t), -small)])
    close(sci.solve(system, t_span=(0, 5), saveat="end")[small], [1e-9 * np.exp(-5)], rtol=1e-3)
    sol = sci.solve(lotka_volterra(), t_span=(0, 1), saveat="end", atol={"x": 1e-3})
    reference = sci.solve(lotka_volterra(), t_span=(0, 1), saveat="end")
    close(sol["x"], reference["x"], rtol=1e-3)


def test_rates_are_counted_as_often_as_they_are_evaluated():
    calls = []

    def counted(value):
        jax.debug.callback(lambda _: calls.append(1), value)
        return value

    f = sci.function("f", counted)
    z = sci.variables("z", initial=1.0)
    sol = sci.solve(sci.System([sci.eq(z.diff(t), -f(z))]), t_span=(0, 2), saveat="end")
    jax.effects_barrier()
    assert sol.stats["rhs"] == pytest.approx(len(calls), abs=2)
    assert sol.stats["steps"] == sol.stats["accepted"] + sol.stats["rejected"]


def test_rhs_of_the_compiled_model_by_position_and_by_name(close):
    model = sci.compile(lotka_volterra())
    close(model.rhs(0.0, jnp.array([10.0, 5.0])), [11.0 - 20.0, 5.0 - 2.0])
    by_name = model.rhs(0.0, {"x": 10.0, "y": 5.0}, {"a": 0.0})
    close(by_name["x"], -20.0)
    assert "lotka_volterra" in model.explain() and model.params["a"] == 1.1
