"""How a solve ended, as sentences."""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from diffrax import RESULTS


class Status(eqx.Enumeration):
    """How a solve ended. `sol.status == Status.successful` is True, False, or an array of them in a batch."""

    successful = "The solve reached the end."
    max_steps_reached = "The solve used up max_steps before it reached the end."
    step_too_small = "The step became too small to advance the time: the solution blows up, or an equation has a singularity."
    nonfinite = "The solution became NaN or infinite."
    newton_failed = "The nonlinear equations of an implicit step could not be solved."
    other_failure = "The solver stopped for a reason of its own."
    contradiction = "The initial values contradict the algebraic equations."
    no_start = "No initial values that fulfil the algebraic equations were found."
    unrecorded = "A derivative keeps 16384 steps, and the solve takes more: give max_steps=100000, and as many are kept."
    singular = "The algebraic equations do not determine their unknowns at the start."
    no_steady_state = "No steady state was found."
    outside = "An unknown starts outside its bounds."
    not_isolated = "The Jacobian is singular at the steady state: other steady states touch it."


STATUSES = (
    Status.successful,
    Status.max_steps_reached,
    Status.step_too_small,
    Status.nonfinite,
    Status.newton_failed,
    Status.other_failure,
    Status.contradiction,
    Status.no_start,
    Status.singular,
    Status.unrecorded,
    Status.no_steady_state,
    Status.not_isolated,
    Status.outside,
)
NONFINITE, CONTRADICTION, NO_START, SINGULAR, UNRECORDED, NO_REST, NOT_ISOLATED, OUTSIDE = 3, 6, 7, 8, 9, 10, 11, 12


def code_of(result: RESULTS, dtype: Any) -> Any:
    """The index into `STATUSES` of what diffrax reports, as a number that travels with the others."""
    code = jnp.asarray(5.0, dtype)
    known = ((RESULTS.successful, 0), (RESULTS.max_steps_reached, 1), (RESULTS.max_steps_rejected, 1), (RESULTS.dt_min_reached, 2))
    newton = ((RESULTS.nonlinear_max_steps_reached, 4), (RESULTS.nonlinear_divergence, 4))
    for item, number in known + newton:
        code = jnp.where(result == item, jnp.asarray(number, dtype), code)
    return code


def status_of(code: Any) -> Any:
    """A Status from its code: one member, or a batch of them."""

    def one(code: Any) -> Any:
        status = STATUSES[0]
        for number, member in enumerate(STATUSES[1:], start=1):
            status = Status.where(code == number, member, status)
        return status

    for _ in range(jnp.ndim(code)):
        one = jax.vmap(one)
    return one(jnp.asarray(code))


def sentence_of(code: Any) -> str:
    """The sentence of one code."""
    return Status[STATUSES[int(code)]]  # type: ignore[misc]
