"""Rates that jump at a known time: steps end there, and derivatives see the time move."""

import jax
import numpy as np
import pytest
import sympy as sp

import sciml as sci
from sciml.passes import jump_times

t = sci.t
END = 2.0


def switched():
    x = sci.variables("x", initial=1.0)
    a, b = sci.parameters("a b", [1.1, 3.0])
    return x, sci.System([sci.eq(x.diff(t), -x + sp.Piecewise((b, t >= a), (0, True)))])


def exact(a, b):
    return np.exp(-END) + b * (1 - np.exp(-(END - a)))


def test_times_are_read_from_the_symbols():
    x = sci.variables("x", initial=1.0)
    a = sci.parameters("a", 2.0)
    right = sp.Piecewise((1, sp.And(t >= a, 2 * t < 9)), (0, x > 1), (2, True)) + sp.Heaviside(t - 1)
    assert set(jump_times(sci.System([sci.eq(x.diff(t), right)]))) == {a, sp.Rational(9, 2), sp.S.One}
    assert jump_times(sci.System([sci.eq(x.diff(t), sp.sin(t))])) == ()


@pytest.mark.parametrize("solver", ["auto", "tsit5", "rodas5p"])
def test_the_jump_costs_no_accuracy_and_no_hunt_for_its_place(solver):
    x, system = switched()
    sol = sci.solve(system, t_span=(0, END), saveat=5, solver=solver, rtol=1e-8, atol=1e-10)
    assert abs(float(sol[x][-1]) - exact(1.1, 3.0)) < 1e-8
    assert sol.stats["rejected"] <= 4
    early = np.asarray(sol[x])[:3]  # 0, 0.5 and 1 lie before the jump
    np.testing.assert_allclose(early, np.exp(-np.array([0, 0.5, 1.0])), rtol=1e-7)


@pytest.mark.parametrize("solver", ["tsit5", "rodas5p"])
def test_derivatives_by_the_time_of_the_jump(solver):
    x, system = switched()

    def end(p):
        return sci.solve(system, t_span=(0, END), saveat="end", solver=solver, params=p, rtol=1e-8, atol=1e-10)[x][-1]

    reverse, forward = jax.grad(end)({"a": 1.1, "b": 3.0}), jax.jacfwd(end)({"a": 1.1, "b": 3.0})
    for name, closed in (("a", -3 * np.exp(-(END - 1.1))), ("b", 1 - np.exp(-(END - 1.1)))):
        assert float(reverse[name]) == pytest.approx(closed, abs=1e-7)
        assert float(forward[name]) == pytest.approx(float(reverse[name]), abs=1e-12)


def test_lanes_jump_at_their_own_times():
    x, system = switched()
    times = np.array([0.4, 1.1, 1.7])
    ends = jax.vmap(lambda a: sci.solve(system, t_span=(0, END), saveat="end", params={"a": a}, rtol=1e-8, atol=1e-10)[x][-1])(times)
    np.testing.assert_allclose(ends, exact(times, 3.0), rtol=1e-7)
