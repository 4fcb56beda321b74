"""Jacobians that are never written down: products by linearising f once, solves by GMRES.

GMRES (Saad and Schultz 1986) with modified Gram-Schmidt, which is as stable as Householder's reflections (Paige, Rozloznik and
Strakos 2006), restarted, and preconditioned from the left: what is made small is P (b - W x), which is about the error
of x itself where P is close to the inverse of W. Without P from the model, P divides by the diagonal of c*M.

Where the residual has not become small enough after all restarts the result is NaN: the step is rejected, and a shorter one
brings W closer to c*M.
"""

import dataclasses
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from .linear import Solve, agree, rate_of, transposed

RESTART, CYCLES = 20, 15  # directions that are kept at once, and how often they may be started again
SHARE = 0.01  # of the relative tolerance of a step: what a solve inside it may be wrong by
SLACK = 10.0  # a result that is worse than asked for by less than that is taken

Precondition = Callable[[Any], Solve]


@dataclasses.dataclass(frozen=True, eq=False)
class FreeAlgebra:
    """Linearises to a `FreeJacobian`. `precondition(c)` gives v -> P v with P close to the inverse of c*M - J."""

    precondition: Precondition | None = None
    rtol: Any = 1e-6  # of the step
    autonomous: bool = False

    def linearise(self, f: Callable[[Any, Any], Any], t: Any, y: Any) -> tuple[Any, "FreeJacobian", Any]:
        """f(t, y), its Jacobian by y, and its derivative by t (None where f does not hold the time)."""
        value, times = jax.linearize(lambda y: f(t, y), y)
        return value, FreeJacobian(self, times), None if self.autonomous else rate_of(f, t, y)


@dataclasses.dataclass(frozen=True, eq=False)
class FreeJacobian:
    """`times(v)` is J v, from one linearisation of f."""

    algebra: FreeAlgebra
    times: Solve

    def __matmul__(self, v: Any) -> Any:
        return self.times(v)

    def solver(self, c: Any, mass: Any, exact: bool = False) -> Solve:
        """b -> x with (c*mass - J) x = b. `mass` is None for the identity, or the diagonal of the mass matrix."""
        constant = jax.lax.stop_gradient((c, mass))
        approximate = self.algebra.precondition(constant[0]) if self.algebra.precondition else _divided(*constant)

        def times(x: Any) -> Any:
            return (c * x if mass is None else c * mass * x) - self.times(x)

        def solved(times: Solve, b: Any) -> Any:
            return gmres(times, b, approximate, self.algebra.rtol)

        def solved_transposed(times: Solve, b: Any) -> Any:
            return gmres(times, b, transposed(approximate), self.algebra.rtol)

        if not exact:
            return lambda b: solved(times, b)
        return lambda b: jax.lax.custom_linear_solve(times, b, solved, solved_transposed)


def _divided(c: Any, mass: Any) -> Solve:
    """By the diagonal of c*M; a row without a rate stays as it is."""
    if mass is None:
        return lambda v: v / c
    inverse = jnp.where(mass == 0, 1, 1 / jnp.where(mass == 0, 1, c * mass))
    return lambda v: v * inverse


class _Cycle(NamedTuple):
    """Between two restarts: an orthonormal basis, and the least-squares problem in it, kept triangular by rotations."""

    j: Any
    basis: Any
    triangle: Any
    rotated: Any  # product of all rotations
    residual: Any


def gmres(times: Solve, b: Any, approximate: Solve, rtol: Any) -> Any:
    """x with times(x) = b as exactly as a step of relative tolerance `rtol` needs it, or NaN.

    >>> import jax.numpy as jnp
    >>> from sciml.solve.krylov import gmres
    >>> x = gmres(lambda v: jnp.array([2.0, 4.0]) * v, jnp.array([2.0, 2.0]), lambda v: v / 3, rtol=1e-4)
    >>> [round(float(v), 4) for v in x]
    [1.0, 0.5]
    """
    dtype = b.dtype
    wanted = jnp.maximum(jnp.asarray(SHARE * jnp.min(rtol), dtype), 20 * jnp.finfo(dtype).eps)
    right = approximate(b)
    target = wanted * _norm(right)
    size = min(RESTART, len(b))

    def turn(state: Any) -> Any:
        """One cycle: the smallest residual in the space that a few products span."""
        x, residual, norm, count = state
        cycle = _cycle(lambda v: approximate(times(v)), residual, norm, target, size)
        weights = _back_substituted(cycle.triangle, norm * cycle.rotated[:, 0], size)
        x = jax.lax.fori_loop(0, cycle.j, lambda k, x: x + weights[k] * cycle.basis[k], x)
        residual = right - approximate(times(x))
        return x, residual, _norm(residual), count + 1

    def going(state: Any) -> Any:
        *_, norm, count = state
        return agree((norm > target) & (count < CYCLES))

    x, _, norm, _ = jax.lax.while_loop(going, turn, (jnp.zeros_like(b), right, _norm(right), jnp.zeros((), jnp.int32)))
    return jnp.where(norm <= SLACK * target, x, jnp.nan)


def _cycle(product: Solve, residual: Any, norm: Any, target: Any, size: int) -> _Cycle:
    """Arnoldi's process from the residual, until the residual is small or the basis is full."""
    dtype = residual.dtype
    basis = jnp.zeros((size + 1, len(residual)), dtype).at[0].set(_unit(residual, norm))
    start = _Cycle(jnp.zeros((), jnp.int32), basis, jnp.eye(size, dtype=dtype), jnp.eye(size + 1, dtype=dtype), norm)

    def step(c: _Cycle) -> _Cycle:
        active = c.residual > target  # other lanes of a `vmap` may need more directions: these get weight 0
        orthogonal = lambda k, state: _without(k, c.basis[k], *state)  # noqa: E731
        w, column = jax.lax.fori_loop(0, c.j + 1, orthogonal, (product(c.basis[c.j]), jnp.zeros(size + 1, dtype)))
        length = _norm(w)
        column = c.rotated @ column.at[c.j + 1].set(length)
        a, b = column[c.j], column[c.j + 1]
        diagonal = jnp.sqrt(a * a + b * b)
        cosine, sine = (jnp.where(active, v / jnp.where(diagonal == 0, 1, diagonal), r) for v, r in ((a, 1.0), (b, 0.0)))
        column = jnp.where(active, column.at[c.j].set(diagonal), jnp.zeros_like(column).at[c.j].set(1))[:size]
        above, below = c.rotated[c.j], c.rotated[c.j + 1]
        rotated = c.rotated.at[c.j].set(cosine * above + sine * below).at[c.j + 1].set(cosine * below - sine * above)
        rotated = jnp.where(active, rotated, c.rotated.at[c.j, 0].set(0))
        left = jnp.where(active, jnp.abs(norm * rotated[c.j + 1, 0]), c.residual)
        return _Cycle(c.j + 1, c.basis.at[c.j + 1].set(_unit(w, length)), c.triangle.at[:, c.j].set(column), rotated, left)

    return jax.lax.while_loop(lambda c: agree((c.residual > target) & (c.j < size)), step, start)


def _without(k: Any, direction: Any, w: Any, column: Any) -> tuple[Any, Any]:
    part = jnp.sum(direction * w)
    return w - part * direction, column.at[k].set(part)


def _back_substituted(triangle: Any, right: Any, size: int) -> Any:
    """The weights of the basis; those of directions that were not reached are 0, as their rows are those of the identity."""
    return jax.scipy.linalg.solve_triangular(triangle, right[:size])


def _unit(v: Any, norm: Any) -> Any:
    return v / jnp.where(norm == 0, 1, norm)


def _norm(v: Any) -> Any:
    return jnp.sqrt(jnp.sum(v * v))
