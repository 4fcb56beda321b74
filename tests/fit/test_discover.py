"""Sparse regression on columns that are known, and formulas read off networks whose formula is known."""

import dataclasses
import itertools
import re

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
import pytest
import sympy as sp

import sciml as sci
from sciml.errors import FitError, NameUnknown
from sciml.fit.sparse import Regression, bags, chosen, collinear, of_each_size, thresholded
from sciml.optimize import LevenbergMarquardt

t = sci.t
x, y = sci.variables("x y", initial=[3.0, 1.0], bounds=(0, None))
a, d = sci.parameters("a d", [1.0, 1.0])
TIGHT = {"solver": "tsit5", "rtol": 1e-6, "atol": 1e-8}


# -- columns that are known ------------------------------------------------------------------


def regression(noise=0.05, rows=80, columns=8, seed=0):
    """target = 2*c0 - c3 + noise, with one column aside that has a large part in it."""
    rng = np.random.default_rng(seed)
    design, aside = rng.normal(size=(rows, columns)), rng.normal(size=(rows, 1))
    return Regression(design, 2 * design[:, 0] - design[:, 3] + 30 * aside[:, 0] + noise * rng.normal(size=rows), aside)


def test_the_true_columns_are_chosen_with_their_errors():
    problem = regression()
    assert chosen(problem) == (0, 3)
    coefficients, errors = problem.fitted((0, 3))
    full = np.column_stack([problem.design[:, [0, 3]], problem.aside])
    expected, rss, *_ = np.linalg.lstsq(full, problem.target, rcond=None)
    np.testing.assert_allclose(coefficients, expected[:2])
    np.testing.assert_allclose(errors, np.sqrt(np.diag(np.linalg.inv(full.T @ full))[:2] * rss / 77), rtol=1e-6)


def test_sequential_thresholding():
    problem = regression(noise=0.3)
    assert thresholded(problem, np.ones(8), 0.2) == (0, 3)
    assert thresholded(problem, np.ones(8), 1.5) == (0,)
    assert thresholded(problem, np.ones(8), 5.0) == ()


def test_of_each_size_is_what_all_subsets_give():
    problem = regression(noise=3.0, rows=20, columns=6)
    for size, (_, left) in enumerate(of_each_size(problem)):
        best = problem.left(list(itertools.combinations(range(6), size))).min()
        np.testing.assert_allclose(left, best, rtol=1e-8)


def test_bags_tell_what_is_sure():
    share = (bags(regression(noise=1.5), chosen, 40, 0) != 0).mean(axis=0)
    assert share[0] == 1.0 and share[[1, 2, 4, 5, 6, 7]].max() < 0.6


def test_nothing_is_chosen_from_noise():
    problem = regression()
    assert chosen(dataclasses.replace(problem, target=np.random.default_rng(3).normal(size=80))) == ()


def test_collinear_columns_are_found():
    columns = np.random.default_rng(0).normal(size=(30, 4))
    columns[:, 2] = columns[:, 0] - 3 * columns[:, 1]
    assert collinear(columns, 1e-7) == [0, 1, 2]
    assert collinear(columns[:, :2], 1e-7) == [] and collinear(columns * [1, 0, 1, 1], 1e-7) == [1]


# -- networks whose formula is known -------------------------------------------------------------


class Product(eqx.Module):
    """w*u*v, and as a second output z*(u + v)."""

    w: jax.Array
    outputs: int = eqx.field(static=True, default=1)

    def __call__(self, v):
        return self.w[0] * v[0] * v[1] if self.outputs == 1 else jnp.stack([self.w[0] * v[0] * v[1], self.w[1] * (v[0] + v[1])])


g = sci.neural("g", Product(jnp.array([0.5])))
ONE = sci.System([sci.eq(x.diff(t), a * x - g(x, y)), sci.eq(y.diff(t), 0.5 * g(x, y) - d * y)], name="one")


def measured(noise=0.01, seed=0):
    b = sci.parameters("b", 0.6)
    true = sci.System([sci.eq(x.diff(t), a * x - b * x * y), sci.eq(y.diff(t), 0.5 * b * x * y - d * y)])
    times = np.linspace(0, 10, 51)
    sol = sci.solve(true, t_span=(0, 10), saveat=times, **TIGHT)
    rng = np.random.default_rng(seed)
    return pd.DataFrame({"time": times, **{n: np.asarray(sol[n]) * (1 + noise * rng.normal(size=51)) for n in ("x", "y")}})


@pytest.fixture(scope="module")
def fitted():
    return sci.fit(ONE, measured(), free=[a, d, x, y, g], method=LevenbergMarquardt(max_steps=40), progress=False, **TIGHT)


@pytest.fixture(scope="module")
def found(fitted):
    return sci.discover(fitted, g, degree=3, ensemble=30)


def test_the_term_is_found_from_data(found, fitted):
    assert list(found) == [g(x, y)] and str(found[g(x, y)]) == "g_1*x(t)*y(t)"
    assert found.params["g_1"] == pytest.approx(0.6, rel=0.02)
    assert found.score > 0.999
    table = found.coefficients
    row = table.loc[("g(x, y)", "x*y")]
    assert row["inclusion"] > 0.9 and row["parameter"] == "g_1" and 0 < row["std. error"] < 0.02
    assert len(table) == 10 and table["inclusion"].drop(("g(x, y)", "x*y")).max() < 0.6


def test_the_regression_is_the_step_of_a_fit(found, fitted):
    """One least-squares step from a network to its formula: it lands where a fit of the formula does, but for curvature."""
    system = ONE.subs(found)
    again = sci.fit(system, measured(), free=[a, d, x, y, *found.params], initial=fitted.initial, progress=False, **TIGHT)
    assert again.converged
    error = again.standard_errors["g_1"]
    assert abs(again.params["g_1"] - found.params["g_1"]) < error and abs(again.params["g_1"] - 0.6) < 4 * error
    assert found.coefficients.loc[("g(x, y)", "x*y"), "std. error"] == pytest.approx(error, rel=0.6)


def test_shown(found):
    assert re.fullmatch(r"g\(x, y\) = 0\.\d+\*x\*y   R2 [01]\.\d{4}", repr(found))
    assert found.latex() == "\\begin{aligned}\ng{\\left(x,y \\right)} &= g_{1} x y\n\\end{aligned}"
    ax = found.plot()
    assert len(ax.lines) == 2 and "network" in ax.get_legend().get_texts()[0].get_text()


def test_it_goes_back_into_the_system(found):
    system = ONE.subs(found)
    assert str(system.equations[1]) == "y' = -d*y + 0.5*g_1*x*y"
    assert sci.compile(system).params["g_1"] == pytest.approx(found.params["g_1"])


def test_a_library_without_the_term_is_doubtful(found, fitted):
    assert 0.9 < found.misfit < 1.1
    with pytest.warns(UserWarning, match=r"residuals .* times as large as the network does: the library probably lacks a term"):
        poor = sci.discover(fitted, g, [1, x, y], ensemble=0)
    assert poor.misfit > 1.5


def test_a_threshold_and_one_regression(fitted):
    found = sci.discover(fitted.solution, "g", [x, y, x * y, sp.sin(x)], threshold=0.2, ensemble=0)
    assert str(found[g(x, y)]) == "g_1*x(t)*y(t)"
    assert found.coefficients["inclusion"].isna().all()


@pytest.fixture(scope="module")
def two():
    g1, g2 = sci.neural("h", Product(jnp.array([0.5, -0.2]), 2), outputs=2)(x, y)
    system = sci.System([sci.eq(x.diff(t), x - g1), sci.eq(y.diff(t), g1 - y + g2)], name="two")
    return (g1, g2), sci.solve(system, t_span=(0, 6), **TIGHT)


def test_several_outputs_from_a_solution(two):
    (g1, g2), sol = two
    found = sci.discover(sol, "h", ensemble=10)
    assert list(found) == [g1, g2]
    assert str(found[g1]) == "h_1_1*x(t)*y(t)" and list(found.params) == ["h_1_1", "h_2_1", "h_2_2"]
    np.testing.assert_allclose(list(found.params.values()), [0.5, -0.2, -0.2], rtol=1e-4)
    assert "h_1(x, y) = 0.5*x*y" in repr(found) and "h_2(x, y) = - 0.2*x - 0.2*y" in repr(found)
    assert r"h_{1}{\left(x,y \right)} &= h_{1 1} x y" in found.latex() and "h_{2}{" in found.latex()
    only = sci.discover(sol, g2, ensemble=0)
    assert list(only) == [g2]


def test_a_function_at_several_places(close):
    """g(x, y) and g(y, 1) are one function: both take part."""
    system = sci.System([sci.eq(x.diff(t), -g(x, y)), sci.eq(y.diff(t), -g(y, 1))])
    found = sci.discover(sci.solve(system, t_span=(0, 2), **TIGHT), g(x, y), ensemble=0)
    assert str(found[g(x, y)]) == "g_1*x(t)*y(t)"
    assert [str(e) for e in system.subs(found).equations] == ["x' = -g_1*x*y", "y' = -g_1*y"]


def test_places_without_symbols():
    system = sci.System([sci.eq(x.diff(t), -g(2 * x, 1)), sci.eq(y.diff(t), -g(y, 3))])
    sol = sci.solve(system, t_span=(0, 2), **TIGHT)
    with pytest.raises(FitError, match=r"stands at several places.*sci.discover\(result, g\(x, y\)\)"):
        sci.discover(sol, g)
    found = sci.discover(sol, g(x, y), [x, y, x * y], ensemble=0)
    assert [str(e) for e in system.subs(found).equations] == ["x' = -2*g_1*x", "y' = -3*g_1*y"]


def test_parameters_and_time_in_the_library_and_names_that_are_taken():
    taken = sci.parameters("g_1", 2.0)
    system = sci.System([sci.eq(x.diff(t), -taken * g(x, t)), sci.eq(y.diff(t), taken)])
    found = sci.discover(sci.solve(system, t_span=(0, 2), **TIGHT), g, [x * t / taken, sp.exp(-x), sci.t], ensemble=0)
    assert found.params == {"g_2": pytest.approx(1.0, rel=1e-4)}


def test_units_of_what_is_found():
    m = sci.variables("m", initial=1.0, unit="kg")
    square = sci.neural("q", Product(jnp.array([0.5])))
    system = sci.System([sci.eq(m.diff(t), -square(m, m))], units={t: "h"})
    found = sci.discover(sci.solve(system, t_span=(0, 2), **TIGHT), square(m, m), [1, m, m**2], ensemble=0)
    assert found[square(m, m)].atoms(sp.Symbol) and system.subs(found).parameters["q_1"].declaration.unit == "1/h/kg"


@pytest.mark.parametrize(
    ("options", "error", "says"),
    [
        ({"term": "gg"}, NameUnknown, r"no neural function 'gg'. Did you mean 'g'"),
        ({"library": [x, sci.variables("z")]}, NameUnknown, r"`z` of the library has 'z', which System 'one' does not"),
        ({"library": [x, sp.Symbol("a") * x]}, NameUnknown, r"a bare symbol 'a'. Use the declared one"),
        ({"library": [x, "x*y"]}, FitError, r"'x\*y', which is not an expression"),
        ({"library": []}, FitError, "library is empty"),
        ({"library": [0, x]}, FitError, "holds 0"),
        ({"library": [x, 1, x - 2, y]}, FitError, r"Along the solution `x`, `1`, `x - 2` add up to zero"),
        ({"library": [x, sp.log(-x)]}, FitError, r"`log\(-x\)` is not a number"),
        ({"library": [1 + 1e-3 * y], "threshold": 0.99, "ensemble": 0}, FitError, r"No term of the library is needed for `g\(x, y\)`"),
        ({"degree": -1}, FitError, "degree=3"),
        ({"threshold": 2.0}, FitError, "threshold=0.05"),
        ({"ensemble": 1}, FitError, "ensemble=100"),
        ({"inclusion": 0.0}, FitError, "inclusion=0.6"),
        ({"tolerance": 3.0}, FitError, "tolerance=0.02"),
    ],
)
def test_bad_input(fitted, options, error, says):
    with pytest.raises(error, match=says):
        sci.discover(fitted.solution, options.pop("term", g), **options)


def test_more_bad_input(fitted):
    with pytest.raises(FitError, match=r"not dict: sci.discover\(result, g\)"):
        sci.discover({}, g)
    many = sci.ensemble(ONE, t_span=(0, 1), over={"a": jnp.array([1.0, 2.0])})
    with pytest.raises(FitError, match="many lanes"):
        sci.discover(many, g)
    with pytest.raises(FitError, match=r"several outputs.*g1, g2 = g\(x, y\)"):
        sci.discover(fitted.solution, sci.neural("h", Product(jnp.array([1.0, 1.0]), 2), outputs=2))
    with pytest.raises(FitError, match="120 terms, and only 102 numbers"):
        sci.discover(fitted, g, [sp.sin(i * x / 100) for i in range(1, 121)])
