"""Stages that work without tuning.

| problem                                   | stages                                                                       |
|-------------------------------------------|------------------------------------------------------------------------------|
| float64, at most 3000 numbers             | 500 steps of Adam, then Gauss-Newton with the whole Jacobian, new points     |
|                                           | every ten steps: to the last digits, at a second or less for each step       |
| float32, or more numbers                  | SOAP: Adam in the eigenbases of the gradients' second moments                |
| estimated derivatives, or a vector        | Adam, whose steps cost least where the first layer is wide                   |
"""

import jax
import jax.numpy as jnp
import optax

from ..optimize import Descent, GaussNewton, soap
from .problem import Problem
from .training import Stage

MOST = 3000  # numbers for which J'J is quick
_WIDE = 1000  # inputs from which a first layer is too wide for eigenbases


def default_stages(problem: Problem) -> list[Stage]:
    """Stages for a problem, by its size and precision."""
    if problem.stochastic or problem.embedding.size > _WIDE:
        return [Stage(Descent(optax.adam(_falling(1e-3, 10_000)), 10_000))]
    if is_small(problem):
        return [Stage(Descent(optax.adam(_falling(5e-3, 500)), 500)), Stage(GaussNewton(max_steps=300), 10)]
    return [Stage(Descent(soap(_falling(3e-3, 5_000)), 5_000))]


def is_small(problem: Problem) -> bool:
    """Whether Gauss-Newton is the method: double precision and few numbers."""
    leaves = jax.tree.leaves(problem.arrays)
    return not problem.stochastic and jnp.result_type(*leaves) == jnp.float64 and sum(leaf.size for leaf in leaves) <= MOST


def usual_points(problem: Problem) -> int:
    """Points for each equation: Gauss-Newton wants twice as many residuals as numbers, an estimate few points."""
    if problem.stochastic or problem.embedding.size > _WIDE:
        return 100
    return max(2000, 2 * sum(leaf.size for leaf in jax.tree.leaves(problem.arrays))) if is_small(problem) else 2000


def _falling(rate: float, steps: int) -> optax.Schedule:
    return optax.cosine_decay_schedule(rate, steps, alpha=0.02)
