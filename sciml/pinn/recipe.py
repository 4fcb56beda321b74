"""Stages that work without tuning.

| problem                                   | stages                                                                       |
|-------------------------------------------|------------------------------------------------------------------------------|
| float64, at most 3000 numbers             | 500 steps of Adam, then Gauss-Newton with the whole Jacobian, new points     |
|                                           | every ten steps: to the last digits, at a second or less for each step       |
| many coordinates, exact derivatives       | Gauss-Newton in the space of residuals: few points, new ones at each step    |
| float32, or more numbers                  | SOAP: Adam in the eigenbases of the gradients' second moments                |
| estimated derivatives, or wider still     | Adam, whose steps cost least where the first layer is wide                   |
"""

import jax
import jax.numpy as jnp
import optax

from ..optimize import Descent, GaussNewton, soap
from .problem import Problem
from .training import Stage

MOST = 3000  # numbers for which J'J is quick
_WIDE = 1000  # inputs from which a first layer is too wide for eigenbases
_MANY = 10  # coordinates from which few random points say more than their number
_ROWS, _LARGEST = 400, 200_000  # points, and numbers, whose Jacobian is no burden


def default_stages(problem: Problem) -> list[Stage]:
    """Stages for a problem, by its size and precision."""
    if _in_many(problem):
        return [Stage(GaussNewton(max_steps=60, solve="dual"))]
    if problem.stochastic or problem.embedding.size > _WIDE:
        return [Stage(Descent(optax.adam(_falling(1e-3, 10_000)), 10_000))]
    if is_small(problem):
        return [Stage(Descent(optax.adam(_falling(5e-3, 500)), 500)), Stage(GaussNewton(max_steps=300), 10)]
    return [Stage(Descent(soap(_falling(3e-3, 5_000)), 5_000))]


def is_small(problem: Problem) -> bool:
    """Whether Gauss-Newton is the method: double precision and few numbers."""
    precision = jnp.result_type(*jax.tree.leaves(problem.arrays))
    return not problem.stochastic and precision == jnp.float64 and _size(problem) <= MOST


def _in_many(problem: Problem) -> bool:
    return not problem.stochastic and problem.embedding.size > _MANY and MOST < _size(problem) <= _LARGEST


def _size(problem: Problem) -> int:
    return sum(leaf.size for leaf in jax.tree.leaves(problem.arrays))


def usual_points(problem: Problem) -> int:
    """Points for each equation: Gauss-Newton wants twice as many residuals as numbers, an estimate few points."""
    if _in_many(problem):
        return _ROWS
    if problem.stochastic or problem.embedding.size > _WIDE:
        return 100
    return max(2000, 2 * _size(problem)) if is_small(problem) else 2000


def _falling(rate: float, steps: int) -> optax.Schedule:
    return optax.cosine_decay_schedule(rate, steps, alpha=0.02)
