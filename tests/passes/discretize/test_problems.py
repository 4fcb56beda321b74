"""The numbers against the formula, for every problem of `problems`."""

import warnings

import jax
import numpy as np
import pytest
import sympy as sp

import sciml as sci

from .problems import PROBLEMS, t

pytestmark = pytest.mark.skipif(not jax.config.jax_enable_x64, reason="these errors need float64")


@pytest.mark.parametrize("case", PROBLEMS, ids=lambda case: case.name)
def test_formula(case):
    system, methods, formulas = case.make()
    grid = sci.discretize(system, methods)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        if case.until is None:
            found = sci.steady_state(grid)
        else:
            found = sci.solve(grid, t_span=(0, case.until), saveat="end", solver=case.solver, rtol=1e-8, atol=1e-9)
    for unknown, formula in formulas.items():
        numbers = np.asarray(found[unknown])
        numbers = numbers if case.until is None else numbers[0]
        wanted = on_grid(grid, unknown, formula, case.until)
        assert numbers.shape == wanted.shape
        error = np.abs(numbers - wanted)
        size = max(1.0, np.abs(wanted).max()) if np.abs(wanted).max() == 0 else np.abs(wanted).max()
        error = (error.mean() if case.mean else error.max()) / size
        assert error < case.tol, f"{unknown}: {error:.2e}"


def on_grid(grid, unknown, formula, time):
    """A formula at the points where an unknown lives."""
    coordinates = [a for a in unknown.args if a != t]
    points = np.meshgrid(*(grid.grid.axes[c.name].points for c in coordinates), indexing="ij")
    values = {s: sci.symbols.declaration_of(s).value for s in formula.free_symbols if s != t and s not in coordinates}
    function = sp.lambdify((t, *coordinates), formula.subs(values), ["scipy", "numpy"])
    return np.broadcast_to(function(time, *points), points[0].shape) if points else np.asarray(function(time))


def test_there_are_enough():
    assert len(PROBLEMS) >= 45
