"""Points that fill the unit cube: (n, columns) numbers in (0, 1), made on the device from a key.

| scheme    | points                                                                                                       |
|-----------|--------------------------------------------------------------------------------------------------------------|
| "uniform" | independent                                                                                                  |
| "sobol"   | the first n points of a Sobol sequence, scrambled by a random digital shift: each uniform, together even     |
| "latin"   | a Latin hypercube: each column has one point in each of n slices (McKay, Beckman and Conover 1979)           |

The digital shift keeps what makes the sequence even (Owen, Acta Numerica 2003; Dick and Pillichshammer, Digital Nets, 2010).
"""

import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from scipy.stats import qmc

from ..errors import FitError, nearest

CUBES = ("uniform", "sobol", "latin")
MANY = 2**20
"""From so many random numbers on the generator of the device is used: the same numbers for the same key on one kind of device."""
_MOST_COLUMNS = qmc.Sobol.MAXDIM


def cube(scheme: str, key: Any, n: int, columns: int, dtype: Any = None) -> Any:
    """n points in the unit cube, the ends excluded.

    Args:
        scheme: "uniform", "sobol" or "latin".
        key: `jax.random.key(...)`.
        n: how many points.
        columns: the dimension of the cube.
        dtype: float32 or float64; JAX's default if left out.

    Returns:
        (n, columns).

    Raises:
        FitError: an unknown scheme, more columns than Sobol sequences have.

    >>> import jax
    >>> from sciml.pinn.sequences import cube
    >>> points = cube("latin", jax.random.key(0), 4, 2)
    >>> sorted((points[:, 0]*4).astype(int).tolist())
    [0, 1, 2, 3]
    """
    dtype = jnp.zeros(()).dtype if dtype is None else jnp.dtype(dtype)
    if scheme == "uniform":
        return _open(_bits(key, (n, columns)), dtype)
    if scheme == "latin":
        order, jitter = jax.random.split(key)
        rows = jax.vmap(lambda k: jax.random.permutation(k, n), out_axes=1)(jax.random.split(order, columns))
        within = _open(_bits(jitter, (n, columns)), dtype)
        return jnp.clip((rows.astype(dtype) + within) / n, jnp.finfo(dtype).tiny, 1.0 - float(jnp.finfo(dtype).epsneg))
    if scheme != "sobol":
        raise FitError(f"There is no sampling scheme '{scheme}'. {nearest(scheme, [*CUBES, 'grid'])}")
    if columns > _MOST_COLUMNS:
        raise FitError(f'Sobol sequences have at most {_MOST_COLUMNS} dimensions, and {columns} are needed: write sampling="uniform".')
    shift = jax.random.bits(key, (1, columns), jnp.uint32)
    return _open(jnp.asarray(sobol_table(n, columns)) ^ shift, dtype)


@functools.lru_cache(maxsize=32)
def sobol_table(n: int, columns: int) -> np.ndarray:
    """The first n points of the Sobol sequence as whole numbers out of 2^32: (n, columns)."""
    points = qmc.Sobol(columns, scramble=False, bits=32).random_base2(max(n - 1, 0).bit_length())[:n]
    table = (points * 2.0**32).astype(np.uint32)
    table.flags.writeable = False
    return table


def _bits(key: Any, shape: tuple[int, int]) -> Any:
    """Random words. Many of them come from the generator of the device: JAX's own takes several times the time and the memory."""
    if shape[0] * shape[1] < MANY:
        return jax.random.bits(key, shape, jnp.uint32)
    seed = jax.random.bits(key, (4,), jnp.uint32)
    return jax.random.bits(jax.random.wrap_key_data(seed, impl="rbg"), shape, jnp.uint32)


def _open(bits: Any, dtype: Any) -> Any:
    """Whole numbers out of 2^32 as numbers in the middle of their slices, which both types hold exactly: neither 0 nor 1."""
    if dtype == jnp.float64:
        return (bits.astype(dtype) + 0.5) * 2.0**-32
    return ((bits >> 9).astype(dtype) + 0.5) * 2.0**-23
