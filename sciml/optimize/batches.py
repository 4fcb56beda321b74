"""Data in batches: checked once, shuffled anew each epoch, in an order that follows from the key alone."""

import hashlib
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from ..errors import FitError


class Batches:
    """Rows of some arrays, in batches of one size.

    An epoch is one pass through the shuffled rows. All batches have one shape, so that one program serves all: the rows that
    are left over at the end of an epoch wait for the next one, which is shuffled differently.

    Attributes:
        data: a pytree of arrays of equal first axis, on the device.
        rows: the number of rows.
        size: rows in a batch.
        per_epoch: batches in an epoch.
    """

    def __init__(self, data: Any, size: int | None, key: Any) -> None:
        """Args: data: what `on_device` gives; size: rows in a batch, None for all in their order; key: of the order."""
        self.data = data
        self.rows = jax.tree.leaves(data)[0].shape[0]
        self.size = self.rows if size is None else _whole(size, self.rows)
        self.per_epoch = self.rows // self.size
        self._whole = size is None
        self._seed = [int(word) for word in np.asarray(jax.random.key_data(key)).ravel()]
        self._epoch, self._order = -1, np.arange(self.rows, dtype=np.int32)

    def __call__(self, n: int) -> Any:
        """The rows of batch number n, from 0 through all epochs; None for all rows."""
        if self._whole:
            return None
        epoch, i = divmod(n, self.per_epoch)
        if epoch != self._epoch:
            generator = np.random.Generator(np.random.PCG64([*self._seed, epoch]))
            self._epoch, self._order = epoch, generator.permutation(self.rows).astype(np.int32)
        return self._order[i * self.size : (i + 1) * self.size]


def take(data: Any, rows: Any) -> Any:
    """Those rows of each array; all if rows is None."""
    return data if rows is None else jax.tree.map(lambda leaf: leaf[rows], data)


def on_device(data: Any, name: str = "data", allow_nan: bool = False) -> Any:
    """Data as arrays of JAX.

    Args:
        data: a pytree of arrays of equal first axis.
        name: what the user calls it.
        allow_nan: whether NaN is meant.

    Raises:
        FitError: no arrays, something that is no array, first axes that differ, NaN.
    """
    leaves = jax.tree_util.tree_leaves_with_path(data)
    if not leaves:
        raise FitError(f"{name} holds no arrays: give a pytree of arrays whose first axis counts the samples, such as (x, y).")
    sizes = {}
    for path, leaf in leaves:
        where = name + jax.tree_util.keystr(path)
        shape = np.shape(_numbers(leaf, where))
        if not shape:
            raise FitError(f"{where} is one number, {leaf}, where an array with a row for each sample is wanted. Close over it in the loss.")
        sizes[where] = shape[0]
        if not allow_nan:
            _refuse_nan(leaf, where)
    if len(set(sizes.values())) > 1:
        listed = ", ".join(f"{where} has {size}" for where, size in sizes.items())
        raise FitError(f"The first axis counts the samples, and differs: {listed}.")
    if 0 in sizes.values():
        raise FitError(f"{name} has no rows.")
    return jax.tree.map(jnp.asarray, data)


def split(data: Any, fraction: float, key: Any) -> tuple[Any, Any]:
    """(training, validation), with that fraction of the rows, chosen by the key, in the second."""
    rows = jax.tree.leaves(data)[0].shape[0]
    held = round(fraction * rows)
    if not 0 < held < rows:
        raise FitError(f"validation={fraction} of {rows} rows are {held} rows: both parts need some.")
    order = np.asarray(jax.random.permutation(key, rows))
    return take(data, np.sort(order[held:])), take(data, np.sort(order[:held]))


def digest(data: Any) -> str:
    """A fingerprint of some arrays."""
    found = hashlib.sha256()
    for leaf in jax.tree.leaves(data):
        array = np.ascontiguousarray(jax.random.key_data(leaf) if jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key) else leaf)
        found.update(f"{array.dtype}{array.shape}".encode())
        found.update(array.tobytes())
    return found.hexdigest()[:16]


def _whole(size: Any, rows: int) -> int:
    if isinstance(size, bool) or not isinstance(size, int | np.integer) or size < 1:
        raise FitError(f"batch={size!r}: the number of samples in a batch, or batch=None for all of them.")
    if size > rows:
        raise FitError(f"batch={size} is more than the {rows} samples to train on. Write batch={rows} or less, or batch=None for all of them.")
    return int(size)


def _numbers(leaf: Any, where: str) -> Any:
    if isinstance(leaf, jax.Array):
        return leaf
    array = np.asarray(leaf) if isinstance(leaf, np.ndarray | np.generic | bool | int | float | complex) else None
    if array is None or array.dtype.kind not in "biufc":
        what = f"an array of {array.dtype}" if array is not None else f"of type {type(leaf).__name__}"
        raise FitError(f"{where} is {what}, where an array of numbers is wanted. Make it one: jnp.asarray(...).")
    return array


def _refuse_nan(leaf: Any, where: str) -> None:
    array = leaf if isinstance(leaf, jax.Array) else np.asarray(leaf)
    if not jnp.issubdtype(array.dtype, jnp.inexact):
        return
    bad = np.isnan(np.asarray(array))
    if bad.any():
        first = int(np.argwhere(bad)[0][0])
        samples = int(bad.reshape(bad.shape[0], -1).any(axis=1).sum())
        raise FitError(
            f"{where} holds NaN in {samples} of {bad.shape[0]} samples, first in sample {first}. Leave these samples out, mark missing "
            "observations with sci.nn.series(times, values, missing='allowed'), or write allow_nan=True if the loss knows what to do with NaN."
        )
