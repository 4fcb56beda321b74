"""A start for a fit without solving: the rates along smoothed data must add up to the data.

    x(t_i) = x(t_0) + integral of f(smoothed x, parameters) from t_0 to t_i

Errors cannot grow along the path, so that waves are found from any start. Smoothing biases the result a little: it is a
start. Varah, SIAM J. Sci. Stat. Comput. 3 (1982) 28; with integrals instead of derivatives Dattner and Klaassen, Electron. J.
Stat. 9 (2015) 1939.
"""

import itertools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from ..errors import FitError
from ..optimize import FirstOrder, LevenbergMarquardt, repeat
from .problem import FitProblem

_PARTS = 6
"""Intervals of the trapezoidal rule between two measurements."""


class Collocation:
    """The objective: the residuals of a `FitProblem` with integrals along smoothed data in the place of a solution."""

    def __init__(self, problem: FitProblem):
        self.problem = problem
        self.series = _measured_by(problem)
        times = problem.data.times
        pieces = [np.linspace(a, b, _PARTS, endpoint=False) for a, b in itertools.pairwise(times)]
        self.times = np.concatenate([*pieces, times[-1:]])
        smooth = [_smoothed(problem, name, self.series[name], self.times) for name in problem.model.layout.states]
        self.states = np.stack(smooth, axis=1)

    def residuals(self, z: Any, adjoint: str = "") -> Any:
        """Weighted differences to the data, then what weight decay adds. No solve, so any `adjoint` will do."""
        problem = self.problem
        values = problem.values(z)
        params = {**problem.fixed_params, **values["params"]}
        times, states = jnp.asarray(self.times, z.dtype), jnp.asarray(self.states, z.dtype)
        rates = jax.vmap(lambda t, y: problem.model.rhs(t, y, params))(times, states)
        areas = jnp.diff(times)[:, None] * (rates[1:] + rates[:-1]) / 2
        moved = jnp.concatenate([jnp.zeros_like(areas[:1]), jnp.cumsum(areas, axis=0)])[::_PARTS]
        parts = []
        for i, (state, name) in enumerate(self.series.items()):
            first = values["initial"].get(state, states[0, i])
            predicted = (first + moved[:, i])[problem.data.index[name]]
            parts.append(problem.noise[name].residuals(predicted, jnp.asarray(problem.data.values[name], z.dtype)))
        return jnp.concatenate([*parts, problem.decayed(values)])

    def loss(self, z: Any) -> Any:
        """Half the sum of squared residuals."""
        return 0.5 * jnp.sum(self.residuals(z) ** 2)


def collocated(problem: FitProblem, progress: bool) -> Any:
    """The flat vector of an optimiser at which the rates along smoothed data fit best.

    Raises:
        FitError: an unknown that is not measured, or measured too rarely to be smoothed.
    """
    objective, z = Collocation(problem), problem.z0
    methods: list[Any] = [LevenbergMarquardt(max_steps=60)]
    if problem.has_network:
        methods.insert(0, FirstOrder(max_steps=1500, learning_rate=0.02))
    for method in methods:
        state, step, best = method.start(objective, z)
        z = best(repeat(step, state, method.max_steps, progress=progress, label="fitting rates").state)
    return z


def _measured_by(problem: FitProblem) -> dict[str, str]:
    """For each unknown, the series that measures it and nothing else."""
    model = problem.model
    if not model.differential.all():
        raise FitError('start="collocation" is for ordinary differential equations, and some equations here are algebraic. Leave it out.')
    series = {}
    for name, expression in problem.observe.items():
        series[expression if isinstance(expression, str) else getattr(getattr(expression, "declaration", None), "name", None)] = name
    for state in model.layout.states:
        if state not in series:
            raise FitError(
                f"start=\"collocation\" needs a series for every unknown, and none measures '{state}' itself. "
                "Leave start= out, and give start values: sci.fit(..., params={...}, initial={...})."
            )
    if problem.t_span[0] < problem.data.times[0]:
        raise FitError('start="collocation" begins at the first measurement: leave t_span out, or free no start before it.')
    return {state: series[state] for state in model.layout.states}


def _smoothed(problem: FitProblem, state: str, name: str, times: np.ndarray) -> np.ndarray:
    """A smoothing spline through a series, as stiff as generalised cross-validation asks for; inside the bounds of the unknown."""
    from scipy.interpolate import make_smoothing_spline

    at, values = problem.data.series(name)
    at, inverse, count = np.unique(at, return_inverse=True, return_counts=True)
    if len(at) < 5:
        raise FitError(f"start=\"collocation\" needs at least 5 times at which '{name}' was measured, not {len(at)}. Leave it out.")
    means = np.bincount(inverse, values) / count
    declaration = problem.model.layout.states[state].declaration
    low, high = (declaration.bounds if declaration is not None else None) or (None, None)
    return np.clip(make_smoothing_spline(at, means, w=count)(times), low, high)
