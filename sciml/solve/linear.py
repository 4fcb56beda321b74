"""Linear algebra of a step: an `Algebra` linearises f, the `Jacobian` that it gives multiplies and solves.

| algebra         | Jacobian                     | solves                                      | file      |
|-----------------|------------------------------|---------------------------------------------|-----------|
| `DenseAlgebra`  | n x n numbers                | elimination, see below                      | linear.py |
| `BandedAlgebra` | lower + upper + 1 vectors    | block cyclic reduction                      | banded.py |
| `FreeAlgebra`   | products with vectors        | GMRES with the model's approximate inverse  | krylov.py |

How a dense matrix is solved is chosen from its pattern.

| unknowns                     | method                                                                  |
|------------------------------|-------------------------------------------------------------------------|
| up to 12, each with a rate   | elimination written out in a minimum-fill order, without pivoting       |
| up to 32                     | the inverse, by Gauss and Jordan, and one refinement; row pivoting where |
|                              | a row has no rate                                                       |
| more                         | LAPACK's LU                                                             |

A call of LAPACK costs 4 us a step, more than everything else together for a small system, and 28 times as much
for many lanes at once; hence the first two, which are plain array code that XLA fuses into the loop.

Written-out elimination looks at its growth (Golub and Van Loan, Matrix Computations, 4th ed., section 3.4). Where
entries grow too much, because a pivot was small, it gives NaN: the step is rejected and tried again shorter, and
a shorter step makes the diagonal of I/(h g) - J dominate. (A fallback to pivoting inside the step was measured: the
branch alone doubles the time of every step.) Where a row has no rate a shorter step does not help: those pivot.
The order is Markowitz's (1957): the pivot that can fill the fewest entries goes first.
"""

import dataclasses
import functools
from collections.abc import Callable
from typing import Any, Protocol, runtime_checkable

import jax
import jax.numpy as jnp
import numpy as np
from jax.scipy.linalg import lu_factor, lu_solve

from ..codegen import Sparsity

_UNROLLED, _INVERTED = 12, 32

Solve = Callable[[Any], Any]
Factor = Callable[[Any], tuple[Solve, Solve]]


@runtime_checkable
class Jacobian(Protocol):
    """The Jacobian J of f at one point."""

    def __matmul__(self, v: Any) -> Any:
        """J v."""

    def solver(self, c: Any, mass: Any, exact: bool = False) -> Solve:
        """b -> x with (c*mass - J) x = b; NaN where that fails. What can be kept for several b is computed once.

        `mass` is None for the identity. `exact`: x can be differentiated in both modes, by b and by all that c, mass and J hold.
        """


@runtime_checkable
class Algebra(Protocol):
    """How the Jacobian of a model is kept."""

    def linearise(self, f: Callable[[Any, Any], Any], t: Any, y: Any) -> tuple[Any, Jacobian, Any]:
        """f(t, y), its Jacobian by y, and its derivative by t (None where f does not hold the time)."""


def differentiable(times: Solve, solve: Solve, solve_transposed: Solve) -> Solve:
    """A solve of times(x) = b whose derivatives are solves with the same factors, forward and transposed."""

    def apply(b: Any) -> Any:
        return jax.lax.custom_linear_solve(times, b, lambda _, b: solve(b), lambda _, b: solve_transposed(b))

    return apply


def transposed(linear: Solve) -> Solve:
    """The transpose of a linear function of vectors whose result has the shape of its argument."""
    return lambda b: jax.linear_transpose(linear, b)(b)[0]


def rate_of(f: Callable[[Any, Any], Any], t: Any, y: Any) -> Any:
    """The derivative of f(t, y) by t."""
    t = jnp.asarray(t, y.dtype)
    return jax.jvp(lambda t: f(t, y), (t,), (jnp.ones_like(t),))[1]


def agree(flag: Any) -> Any:
    """True if it is true in any lane of a `vmap`: what depends on it is then one choice for all, not a selection."""
    return _any_lane(jnp.asarray(flag))


@jax.custom_batching.custom_vmap
def _any_lane(flag: Any) -> Any:
    return flag


@_any_lane.def_vmap
def _(axis_size: int, in_batched: Any, flag: Any) -> tuple[Any, bool]:
    return (_any_lane(jnp.any(flag)) if in_batched[0] else _any_lane(flag)), False


# -- dense -------------------------------------------------------------------------------


@dataclasses.dataclass(frozen=True, eq=False)
class DenseAlgebra:
    """All numbers of the Jacobian, from as many products as its pattern has colours."""

    sparsity: Sparsity
    factor: Factor

    @classmethod
    def of(cls, sparsity: Sparsity, mass_pattern: np.ndarray, differential: np.ndarray) -> "DenseAlgebra":
        """`differential` are the rows with a rate of their own."""
        return cls(sparsity, factoriser(sparsity.pattern | mass_pattern, differential))

    def linearise(self, f: Callable[[Any, Any], Any], t: Any, y: Any) -> tuple[Any, "DenseJacobian", Any]:
        value, matrix, rate = self.sparsity.linearise(f, t, y)
        return value, DenseJacobian(matrix, self.factor), rate


@dataclasses.dataclass(frozen=True, eq=False)
class DenseJacobian:
    """A matrix, and how one of its pattern is factorised."""

    matrix: Any
    factor: Factor

    def __matmul__(self, v: Any) -> Any:
        return self.matrix @ v

    def solver(self, c: Any, mass: Any, exact: bool = False) -> Solve:
        shifted = (jnp.eye(len(self.matrix), dtype=self.matrix.dtype) if mass is None else mass) * c - self.matrix
        if not exact:
            return self.factor(shifted)[0]
        return differentiable(lambda x: shifted @ x, *self.factor(jax.lax.stop_gradient(shifted)))


def factoriser(pattern: np.ndarray, differential: np.ndarray) -> Factor:
    """A function from a matrix of this pattern to (solve, solve with the transpose).

    `differential` are the rows with a rate of their own: their diagonal entry grows as the step shrinks.
    """
    n = len(pattern)
    if n <= _UNROLLED and differential.all():
        return _Eliminated(_Plan.of(pattern))
    if n <= _INVERTED:
        return functools.partial(_inverted, inverse if differential.all() else pivoted_inverse)
    return _lapack


def _lapack(matrix: Any) -> tuple[Solve, Solve]:
    factors = lu_factor(matrix)
    return lambda b: lu_solve(factors, b), lambda b: lu_solve(factors, b, trans=1)


def _inverted(invert: Callable[[Any], Any], matrix: Any) -> tuple[Solve, Solve]:
    inverse = invert(matrix)

    def refined(inverse: Any, matrix: Any) -> Solve:
        def solve(b: Any) -> Any:
            x = _times(inverse, b)
            return x + _times(inverse, b - _times(matrix, x))

        return solve

    return refined(inverse, matrix), refined(inverse.T, matrix.T)


def _times(matrix: Any, vector: Any) -> Any:
    """A product that XLA fuses, unlike a call of BLAS."""
    return jnp.sum(matrix * vector[None, :], axis=1)


def inverse(matrix: Any) -> Any:
    """The inverse by Gauss and Jordan's elimination without pivoting; NaN where the entries of a row grow too much."""
    index = np.arange(matrix.shape[-1])
    rows = jnp.max(jnp.abs(matrix), axis=1)

    def column(k: Any, state: tuple[Any, Any]) -> tuple[Any, Any]:
        a, growth = state
        here, row, below = index == k, a[k], a[:, k]
        growth = jnp.maximum(growth, jnp.max(jnp.where(index >= k, jnp.abs(row), 0.0)) / rows[k])
        pivot = row[k]
        scaled = jnp.where(here, 1.0, row) / pivot
        reduced = jnp.where(here[:, None] | here[None, :], 0.0, a) - jnp.where(here, -1.0, below)[:, None] * scaled[None, :]
        return reduced, growth

    a, growth = jax.lax.fori_loop(0, len(index), column, (matrix, jnp.zeros((), matrix.dtype)))
    return jnp.where(growth <= jnp.finfo(matrix.dtype).eps ** -0.45, a, jnp.nan)


def pivoted_inverse(matrix: Any) -> Any:
    """The inverse by Gauss and Jordan's elimination with row pivoting, as a loop of array operations."""
    n = matrix.shape[-1]
    index = np.arange(n)

    def column(k: Any, state: tuple[Any, Any]) -> tuple[Any, Any]:
        a, order = state
        pivot = jnp.argmax(jnp.where(index >= k, jnp.abs(a[:, k]), -1.0))
        swap = jnp.where(index == k, pivot, jnp.where(index == pivot, k, index))
        a, order = a[swap], order[swap]
        row = a[k] / a[k, k]
        reduced = a - a[:, k, None] * row[None, :]
        scaled = jnp.where(index == k, 1.0, -a[:, k]) / a[k, k]
        reduced = jnp.where((index == k)[:, None], row[None, :], reduced)
        return jnp.where((index == k)[None, :], scaled[:, None], reduced), order

    a, order = jax.lax.fori_loop(0, n, column, (matrix, jnp.arange(n)))
    return jnp.zeros_like(a).at[:, order].set(a, unique_indices=True)


# -- elimination written out -------------------------------------------------------------


@dataclasses.dataclass(frozen=True, eq=False)
class _Plan:
    """The order of the pivots, and every entry that elimination will fill, in that order."""

    order: tuple[int, ...]
    filled: np.ndarray

    @classmethod
    def of(cls, pattern: np.ndarray) -> "_Plan":
        filled, rest, order = pattern | np.eye(len(pattern), dtype=bool), list(range(len(pattern))), list[int]()
        while rest:
            k = min(rest, key=lambda k: (int(filled[k, rest].sum() - 1) * int(filled[rest, k].sum() - 1), k))
            rest.remove(k)
            order.append(k)
            filled[np.ix_([i for i in rest if filled[i, k]], [j for j in rest if filled[k, j]])] = True
        return cls(tuple(order), filled[np.ix_(order, order)])


class _Eliminated:
    """L and U of a matrix of a known pattern, each entry a scalar, with a check on how much they have grown."""

    def __init__(self, plan: _Plan):
        self.plan, self.n = plan, len(plan.order)
        self.place = {(int(i), int(j)): k for k, (i, j) in enumerate(zip(*np.nonzero(plan.filled), strict=True))}

    def __call__(self, matrix: Any) -> tuple[Solve, Solve]:
        factors, growth = self._factors(matrix)
        factors = jnp.where(growth <= jnp.finfo(matrix.dtype).eps ** -0.45, factors, jnp.nan)
        return lambda b: self._substituted(factors, b), lambda b: self._substituted_transposed(factors, b)

    def _factors(self, matrix: Any) -> tuple[Any, Any]:
        """(entries of L, U and 1/diagonal as one vector, largest growth of a row)."""
        order, n = self.plan.order, self.n
        a = {(i, j): matrix[order[i], order[j]] for i, j in self.place}
        before = [_largest([a[i, j] for j in range(n) if (i, j) in a]) for i in range(n)]
        for k in range(n):
            a[k, k] = 1.0 / a[k, k]
            for i in range(k + 1, n):
                if (i, k) not in a:
                    continue
                a[i, k] = a[i, k] * a[k, k]
                for j in range(k + 1, n):
                    if (k, j) in a:
                        a[i, j] = a[i, j] - a[i, k] * a[k, j]
        factors = jnp.stack([a[place] for place in self.place])
        after = [_largest([1.0 / a[i, i], *(a[i, j] for j in range(i + 1, n) if (i, j) in a)]) for i in range(n)]
        return factors, _largest([b / c for b, c in zip(after, before, strict=True)])

    def _substituted(self, factors: Any, b: Any) -> Any:
        n, place = self.n, self.place
        x = [b[i] for i in self.plan.order]
        for i in range(n):
            for j in range(i):
                if (i, j) in place:
                    x[i] = x[i] - factors[place[i, j]] * x[j]
        for i in reversed(range(n)):
            for j in range(i + 1, n):
                if (i, j) in place:
                    x[i] = x[i] - factors[place[i, j]] * x[j]
            x[i] = x[i] * factors[place[i, i]]
        return self._in_order(x)

    def _substituted_transposed(self, factors: Any, b: Any) -> Any:
        n, place = self.n, self.place
        x = [b[i] for i in self.plan.order]
        for i in range(n):
            for j in range(i):
                if (j, i) in place:
                    x[i] = x[i] - factors[place[j, i]] * x[j]
            x[i] = x[i] * factors[place[i, i]]
        for i in reversed(range(n)):
            for j in range(i + 1, n):
                if (j, i) in place:
                    x[i] = x[i] - factors[place[j, i]] * x[j]
        return self._in_order(x)

    def _in_order(self, x: list[Any]) -> Any:
        return jnp.stack([x[self.plan.order.index(i)] for i in range(self.n)])


def _largest(values: list[Any]) -> Any:
    """The largest absolute value; NaN if any is."""
    largest = jnp.abs(values[0])
    for v in values[1:]:
        largest = jnp.maximum(largest, jnp.abs(v))
    return largest
