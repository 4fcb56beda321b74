"""A network at one point, as the methods see it.

Directions of a vector coordinate go through g at z: the network behind its first layer where that is linear in the inputs, so
that a direction is a column of its matrix and costs no product; else the whole function of the point.

|                  | with a linear first layer W          | without                |
|------------------|--------------------------------------|------------------------|
| z                | W embedding(p)                       | p                      |
| `rows(X)`        | columns of W that belong to X, as rows | unit vectors         |
| `rows(X, J)`     | some of them                         | some of them           |
| `push(X, w)`     | W w                                  | w                      |
| `radial(X)`      | W X, a part of z                     |                        |
| `spread(X)`      | L^T, L L^T = W W^T, if it is shorter | unit vectors           |
"""

import functools
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp

from .first_layer import FirstLayer, factor, first_layer, rest


class Site:
    """A network at one point.

    Args:
        network: from inputs to one number for each function, or to a single number.
        embedding: from a point to the inputs.
        layout: where each coordinate lies in a point.
        p: the point, flat.
        linear: the vector coordinates whose directions go through the first layer.
    """

    def __init__(self, network: Any, embedding: Any, layout: Mapping[str, slice], p: Any, linear: Sequence[str] = ()) -> None:
        self.network, self.embedding, self.layout, self.p, self.linear = network, embedding, layout, p, linear
        self.inputs = embedding(p)
        layer = first_layer(network, self.inputs) if linear else None
        self.layer = FirstLayer((), (), False) if layer is None else layer

    def f(self, p: Any) -> Any:
        """All functions at any point: (functions,)."""
        return jnp.atleast_1d(self.network(self.embedding(p)))

    def value(self) -> Any:
        """All functions here, by the same first layer as their derivatives."""
        return self.behind(_joined(self.layer.values)) if self.linear else self.f(self.p)

    def behind(self, z: Any) -> Any:
        """The functions, given what the first layer gives."""
        pieces, start = [], 0
        for size in self.layer.sizes:
            pieces.append(z[start : start + size])
            start += size
        return jnp.atleast_1d(rest(self.network, self.inputs, tuple(pieces)))

    def g(self, coordinate: str) -> tuple[Callable[[Any], Any], Any]:
        """The function that directions of a vector coordinate go through, and where."""
        return (self.behind, _joined(self.layer.values)) if coordinate in self.linear else (self.f, self.p)

    def columns(self, coordinate: str) -> tuple[Any, ...]:
        """The derivative of the first layer by a vector coordinate: for each matrix (rows, d)."""
        at, scale = self.embedding.block(coordinate)
        whole = at.stop - at.start == self.embedding.size
        found = self.layer.matrices if whole else tuple(m[:, at] for m in self.layer.matrices)
        return found if isinstance(scale, float) and scale == 1.0 else tuple(m * jnp.asarray(scale, m.dtype) for m in found)

    def rows(self, coordinate: str, chosen: Any = None) -> Any:
        """The directions of some entries of a vector coordinate, or of all: (how many, size of z)."""
        if coordinate in self.linear:
            found = [m.T if chosen is None else m.T[chosen] for m in self.columns(coordinate)]
            return found[0] if len(found) == 1 else jnp.concatenate(found, 1)
        at = self.layout[coordinate]
        index = jnp.arange(at.start, at.stop, dtype=jnp.int32) if chosen is None else at.start + chosen
        return (index[:, None] == jnp.arange(self.p.size, dtype=index.dtype)[None, :]).astype(self.p.dtype)

    def push(self, coordinate: str, weights: Any) -> Any:
        """The direction with these entries: (size of z,)."""
        if coordinate in self.linear:
            return _joined(tuple(m @ weights for m in self.columns(coordinate)))
        at = self.layout[coordinate]
        return jnp.zeros_like(self.p).at[at].set(weights)

    def radial(self, coordinate: str) -> Any:
        """The direction of the coordinate itself, W X: known already, as long as nothing was added to it."""
        at, _ = self.embedding.block(coordinate)
        others = [slice(0, at.start), slice(at.stop, self.embedding.size)]
        moved = [m[:, o] @ self.inputs[o] for o in others if o.stop > o.start for m in self.layer.matrices]
        z = _joined(self.layer.values)
        count = len(self.layer.matrices)
        for i in range(0, len(moved), count):
            z = z - _joined(tuple(moved[i : i + count]))
        return z

    def spread(self, coordinate: str) -> Any:
        """Few directions whose squares add up to the Laplacian: (how many, size of z)."""
        if coordinate not in self.linear or self.dim(coordinate) <= sum(self.layer.sizes):
            return self.rows(coordinate)
        return factor(self.columns(coordinate)).T

    def mixed(self, coordinate: str, draw: Callable[[int], Any]) -> Any:
        """Random mixtures of the directions of `spread`; `draw(m)` gives the coefficients of each, (how many, m)."""
        if coordinate not in self.linear:
            at = self.layout[coordinate]
            return jnp.pad(draw(self.dim(coordinate)), ((0, 0), (at.start, self.p.size - at.stop)))
        basis = self.spread(coordinate)
        return jnp.matmul(draw(basis.shape[0]), basis, precision=jax.lax.Precision.HIGHEST)

    def dim(self, coordinate: str) -> int:
        """The dimension of a coordinate."""
        at = self.layout[coordinate]
        return at.stop - at.start

    def scalars(self, names: Sequence[str]) -> tuple[Callable[[Any], Any], Any]:
        """All functions of some scalar coordinates, the rest as here, and where: (functions,) of (names,)."""
        index = [self.layout[name].start for name in names]
        here = self.p[jnp.asarray(index, jnp.int32)]

        def placed(s: Any) -> Any:
            order = sorted(range(len(index)), key=index.__getitem__)
            pieces, start = [], 0
            for i in order:
                pieces += [self.p[start : index[i]], s[i : i + 1]]
                start = index[i] + 1
            return jnp.concatenate([*pieces, self.p[start:]])

        if not self.linear:
            return lambda s: self.f(placed(s)), here
        return functools.partial(self._behind_scalars, names, placed), here

    def _behind_scalars(self, names: Sequence[str], placed: Callable, s: Any) -> Any:
        """The same behind the first layer: only the columns of these coordinates meet what changes."""
        blocks = [self.embedding.block(name)[0] for name in names]
        inputs = self.embedding(placed(s))
        moved = jnp.concatenate([inputs[b] - self.inputs[b] for b in blocks])
        matrices = [jnp.concatenate([m[:, b] for b in blocks], 1) for m in self.layer.matrices]
        return self.behind(_joined(self.layer.values) + _joined(tuple(m @ moved for m in matrices)))


def _joined(pieces: tuple[Any, ...]) -> Any:
    return pieces[0] if len(pieces) == 1 else jnp.concatenate(pieces)
