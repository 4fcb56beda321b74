"""Arrays by name as one flat real vector.

one after the other    each array flat, real parts before imaginary parts
in rows                the first axis of all arrays is that of a matrix whose rows hold everything at one point of it;
                       the vector is that matrix, row by row. Divided among devices, each has whole rows.
"""

from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from .values import side_by_side


class Packing:
    """Where each array lies. `shapes` may hold () for numbers; in rows they are repeated in each."""

    def __init__(self, shapes: Mapping[str, tuple[int, ...]], is_complex: Mapping[str, bool], rows: bool = False):
        self.shapes, self.is_complex, self.names = dict(shapes), dict(is_complex), list(shapes)
        self.rows = max((s[0] for s in self.shapes.values() if s), default=1) if rows else 1
        self.by_rows = rows
        widths = [self._width(n) for n in self.names]
        ends = np.cumsum(widths)
        self.offsets = dict(zip(self.names, [0, *(int(e) for e in ends[:-1])], strict=True))
        self.columns = int(ends[-1])
        self.size = self.rows * self.columns

    def _count(self, name: str) -> int:
        shape = self.shapes[name]
        return int(np.prod(shape[1:] if self.by_rows else shape, dtype=int))

    def _width(self, name: str) -> int:
        return self._count(name) * (2 if self.is_complex[name] else 1)

    def piece(self, w: Any, name: str) -> Any:
        """One array out of the vector."""
        axis = 1 if self.by_rows else 0
        matrix = w.reshape(self.rows, self.columns) if self.by_rows else w
        count, at = self._count(name), self.offsets[name]
        real = jax.lax.slice_in_dim(matrix, at, at + count, axis=axis)
        if self.by_rows and not self.shapes[name]:
            return real[0, 0]
        if self.is_complex[name]:
            real = jax.lax.complex(real, jax.lax.slice_in_dim(matrix, at + count, at + 2 * count, axis=axis))
        return real.reshape(self.shapes[name])

    def joined(self, values: Mapping[str, Any]) -> Any:
        """The vector of arrays."""
        if not self.by_rows:
            found = {n: jnp.broadcast_to(values[n], self.shapes[n]) for n in self.names}
            return side_by_side([p for n, a in found.items() for p in ((jnp.real(a), jnp.imag(a)) if self.is_complex[n] else (a,))])
        parts = []
        for n in self.names:
            value = jnp.broadcast_to(values[n], self.shapes[n])
            rows = value.reshape(-1, self._count(n)) if self.shapes[n] else value
            rows = jnp.broadcast_to(rows, (self.rows, self._count(n)))
            parts += [jnp.real(rows), jnp.imag(rows)] if self.is_complex[n] else [rows]
        return jnp.concatenate(parts, axis=1).reshape(-1)
