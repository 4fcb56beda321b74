"""Where a differential-algebraic solve starts, and how its states are put back on the constraints.

    initial    a declared or given initial value is kept
    free       what has none is solved for, from `guess=`, `nominal=` or 0: constraints r(y) = 0
    search     Levenberg and Marquardt's damped Newton method; where that fails, continuation: r(y) = (1 - s) r(start)
               for s from 0 to 1 (Allgower and Georg, Introduction to Numerical Continuation Methods, 2003)

The derivative of what was found comes from one Newton step at the solution, with the matrix held fixed: to first
order that is the implicit function theorem, dy = -(dr/dy)^-1 dr/dp dp, in forward and reverse mode alike.
"""

import dataclasses
from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp
import numpy as np
import optimistix as optx

from ..errors import SolveError
from ..passes import Constraints
from .status import CONTRADICTION, NO_START, SINGULAR

if TYPE_CHECKING:
    from ..codegen import CompiledSystem

_STAGES, _NEWTON, _SEARCH = 20, 4, 256


@dataclasses.dataclass(frozen=True, eq=False)
class Start:
    """Which states are solved for (indices into the flat state), and from where."""

    free: np.ndarray
    guess: np.ndarray  # for every state; NaN where nothing may be guessed


def start_of(model: "CompiledSystem", given: frozenset[str]) -> Start:
    """The plan for a start in which the `given` names have values besides those declared; refuses what cannot work."""
    states, constraints = model.layout.states, model.constraints
    free = [n for n in states if n in model.open_states and n not in given]
    unmatched = _unmatched(model, constraints, free)
    if unmatched:
        name = unmatched[0]
        held = ", ".join(f"'{n}'" for n in free)
        raise SolveError(
            f"The unknowns without an initial value ({held}) are {len(free)}, and the algebraic equations of System '{model.system.name}' "
            f"determine {len(free) - len(unmatched)} of them at the start. Give '{name}' one: initial={{\"{name}\": 1.0}}, or declare it."
        )
    guess = np.full(model.layout.n_states, np.nan)
    index: list[int] = []
    for name in free:
        place = states[name]
        guess[place.offset : place.end] = np.broadcast_to(np.asarray(place.guess, float), place.shape).reshape(-1)
        index += range(place.offset, place.end)
    return Start(np.array(index, dtype=np.int64), guess)


def _unmatched(model: "CompiledSystem", constraints: Constraints, free: list[str]) -> list[str]:
    """Free unknowns that no constraint of their own determines; those with a rate are named before others."""
    holds = [model.states_in(e) for e in constraints.expressions]
    owner: dict[int, str] = {}

    def place(name: str, seen: set[int]) -> bool:
        for i, names in enumerate(holds):
            if name in names and i not in seen:
                seen.add(i)
                if i not in owner or place(owner[i], seen):
                    owner[i] = name
                    return True
        return False

    rate = {n: bool(model.differential[model.layout.states[n].offset]) for n in free}
    return [n for n in sorted(free, key=lambda n: rate[n]) if not place(n, set())]


def consistent(residual: Any, frozen: Any, directions: Any, start: Start, y: Any, scale: Any) -> tuple[Any, Any]:
    """(a state that fulfils the constraints, 0 or the code of what went wrong).

    Args:
        residual: the constraints as a function of the state.
        frozen: the same, without derivatives by what else they depend on.
        directions: (states, constraints): what constraints may move while solving in time.
        start: the states that are free.
        y: the state with given values in place, guesses in the others.
        scale: a typical size of each state.
    """
    fixed = jax.lax.stop_gradient

    def of_free(x: Any) -> Any:
        return fixed(y).at[start.free].set(x)

    if len(start.free):
        found = _searched(lambda x: frozen(of_free(x)), fixed(y)[start.free])
        whole = y.at[start.free].set(found)
        matrix = jax.jacfwd(lambda x: frozen(of_free(x)))(found)
        whole = whole.at[start.free].add(-_least_squares(matrix, residual(whole)))
    else:
        whole = y
    left, slopes = frozen(fixed(whole)), jax.jacfwd(frozen)(fixed(whole))
    size = jnp.sum(jnp.abs(slopes) * jnp.maximum(jnp.abs(fixed(whole)), 1e-3 * scale)[None, :], axis=1)
    near = jnp.abs(left) <= jnp.finfo(y.dtype).eps ** 0.4 * size
    square = slopes @ fixed(directions)
    singular = jnp.linalg.svd(_equilibrated(square), compute_uv=False)
    regular = singular[-1] > 100 * jnp.finfo(y.dtype).eps * singular[0]
    missed = NO_START if len(start.free) >= len(left) else CONTRADICTION
    code = jnp.where(jnp.all(near), jnp.where(regular, 0, SINGULAR), missed)
    return whole, code.astype(jnp.int32)


def misfit(residual: Any, directions: Any, y: Any, scale: Any) -> tuple[Any, Any]:
    """(constraints at a state relative to their size, their slopes along the directions): what explains a failed start."""
    slopes = jax.jacfwd(residual)(y)
    size = jnp.sum(jnp.abs(slopes) * jnp.maximum(jnp.abs(y), 1e-3 * scale)[None, :], axis=1)
    return jnp.abs(residual(y)) / jnp.where(size > 0, size, 1), _equilibrated(slopes @ directions)


def _equilibrated(matrix: Any) -> Any:
    """Rows and columns scaled to one: units do not make a matrix singular."""
    rows = jnp.max(jnp.abs(matrix), axis=1, keepdims=True)
    matrix = matrix / jnp.where(rows > 0, rows, 1)
    columns = jnp.max(jnp.abs(matrix), axis=0, keepdims=True)
    return matrix / jnp.where(columns > 0, columns, 1)


def _least_squares(matrix: Any, right: Any) -> Any:
    """By normal equations, which are the matrix itself where it is square."""
    if matrix.shape[0] == matrix.shape[1]:
        return jnp.linalg.solve(matrix, right)
    return jnp.linalg.solve(matrix.T @ matrix, matrix.T @ right)


def _searched(residual: Any, x: Any) -> Any:
    """A root near x, refined to rounding; NaN where there is none to be found."""

    def levenberg_marquardt(shift: Any, x: Any) -> Any:
        solver = optx.LevenbergMarquardt(rtol=1e-8, atol=1e-8)
        found = optx.least_squares(lambda x, shift: residual(x) - shift, solver, x, args=shift, max_steps=_SEARCH, throw=False).value
        for _ in range(_NEWTON):
            step = _least_squares(jax.jacfwd(residual)(found), residual(found) - shift)
            found = jnp.where(jnp.all(jnp.isfinite(step)), found - step, found)
        return found

    def solved(x: Any) -> Any:
        slopes = jax.jacfwd(residual)(x)
        size = jnp.sum(jnp.abs(slopes) * jnp.maximum(jnp.abs(x), 1e-3)[None, :], axis=1)
        return jnp.all(jnp.abs(residual(x)) <= jnp.finfo(x.dtype).eps ** 0.5 * size)

    def continued(x: Any) -> Any:
        first = residual(x)
        stage = lambda i, x: levenberg_marquardt((1 - (i + 1) / _STAGES) * first, x)  # noqa: E731
        return jax.lax.fori_loop(0, _STAGES, stage, x)

    found = levenberg_marquardt(jnp.zeros_like(residual(x)), x)
    return jax.lax.cond(solved(found), lambda: found, lambda: continued(x))


def projected(residual: Any, frozen: Any, directions: Any, y: Any) -> Any:
    """The state moved along the directions until the constraints hold again."""
    fixed = jax.lax.stop_gradient

    def newton(residual: Any, y: Any, at: Any, directions: Any) -> Any:
        matrix = jax.jacfwd(frozen)(at) @ fixed(directions)
        return y - directions @ jnp.linalg.solve(matrix, residual(y))

    found = fixed(y)
    for _ in range(2):
        found = newton(frozen, found, found, fixed(directions))
    moved = newton(residual, y + fixed(found - y), found, directions)  # its derivative is that of the projection
    return jnp.where(jnp.all(jnp.isfinite(moved)), moved, y)
