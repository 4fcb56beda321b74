"""Random directions: estimates of sums over the entries of a vector coordinate.

| estimate     | of                                    | directions                          | variance of the Laplacian               |
|--------------|---------------------------------------|-------------------------------------|-----------------------------------------|
| `Sparse(n)`  | sum_i w_i d^k v/dX_i^k                | n of the d entries, each at most once | d^2/n (1 - n/d) S^2(H_ii)             |
| `Dense(n)`   | the Laplacian                         | n vectors of independent signs      | 2/n sum_{i != j} H_ij^2                 |
| `Dense(n)`   | the biharmonic operator               | n normal vectors, E[D^4 v]/3        |                                         |

H is the matrix of second derivatives, S^2 the variance with d - 1 in its denominator. Where the network begins with a matrix W
of fewer rows than d, signs and normal numbers are drawn in the basis of L, L L^T = W W^T, which has the same mean and needs
far fewer of them; then H is the matrix of second derivatives in that basis.

Shi, Hu, Lin, Kawaguchi 2024, Stochastic Taylor Derivative Estimator; Hutchinson 1990; Hu, Shi, Karniadakis, Kawaguchi 2024.
The factor of the biharmonic operator is that of E[v_i^2 v_j^2] = 1, E[v_i^4] = 3; a factor d printed with it elsewhere is wrong.
"""

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp

from ...errors import FitError


@dataclasses.dataclass(frozen=True)
class Sparse:
    """Estimates sums over the entries of a vector coordinate from n of them, drawn anew for each point and step.

    Works for the Laplacian and for sums of any order, with weights. With n at or above the dimension the sum is exact.

    Args:
        n: how many entries.

    Raises:
        FitError: n is not a positive whole number.

    Shi, Hu, Lin, Kawaguchi 2024, Stochastic Taylor Derivative Estimator (STDE).

    >>> from sciml.pinn.plans import Sparse
    >>> Sparse(16)
    Sparse(n=16)
    """

    n: int

    def __post_init__(self) -> None:
        _whole("Sparse", self.n)


@dataclasses.dataclass(frozen=True)
class Dense:
    """Estimates a Laplacian, or a biharmonic operator, from n random directions, drawn anew for each point and step.

    Args:
        n: how many directions.

    Raises:
        FitError: n is not a positive whole number.

    Hutchinson 1990; Shi, Hu, Lin, Kawaguchi 2024, Stochastic Taylor Derivative Estimator (STDE).

    >>> from sciml.pinn.plans import Dense
    >>> Dense(16)
    Dense(n=16)
    """

    n: int

    def __post_init__(self) -> None:
        _whole("Dense", self.n)


def subset(key: Any, n: int, d: int) -> Any:
    """n different numbers of 0 .. d-1, all subsets equally likely: n steps, whatever d (Floyd 1987).

    >>> import jax
    >>> sorted(int(i) for i in subset(jax.random.key(0), 3, 3))
    [0, 1, 2]
    """
    last = jnp.arange(d - n, d, dtype=jnp.int32)
    drawn = jax.random.randint(key, (n,), jnp.zeros((n,), jnp.int32), last + 1, jnp.int32)

    def step(j: Any, chosen: Any) -> Any:
        taken = jnp.any(chosen == drawn[j])
        return chosen.at[j].set(jnp.where(taken, last[j], drawn[j]))

    return jax.lax.fori_loop(0, n, step, jnp.full((n,), -1, jnp.int32))


def signs(key: Any, n: int, d: int, dtype: Any) -> Any:
    """n vectors of independent signs, (n, d)."""
    return jax.random.rademacher(key, (n, d), dtype)


def normal(key: Any, n: int, d: int, dtype: Any) -> Any:
    """n vectors of independent standard normal numbers, (n, d)."""
    return jax.random.normal(key, (n, d), dtype)


def _whole(name: str, n: Any) -> None:
    if not isinstance(n, int) or isinstance(n, bool) or n < 1:
        raise FitError(f"sci.pinn.{name}({n!r}): give a whole number of directions, 1 or more: derivatives=sci.pinn.{name}(16).")
