"""From a point to the input of a network.

| coordinate                   | inputs                                                  | d input / d coordinate |
|------------------------------|---------------------------------------------------------|------------------------|
| time, or bounded in space    | x on [low, high] moved to [-1, 1]                       | 2/(high - low)         |
| unbounded                    | x itself                                                | 1                      |
| periodic with period L       | cos(k a), sin(k a), a = 2 pi (x - low)/L, k = 1..modes  | not constant: None     |
| vector of dimension d        | as above, d numbers in place of one                     | as above               |

A function of cosines and sines repeats with all its derivatives, so that a periodic coordinate needs no condition (Dong and
Ni, J. Comput. Phys. 435 (2021) 110242).
"""

import math
from collections.abc import Iterator, Sequence
from typing import Any

import equinox as eqx
import jax.numpy as jnp

from ..errors import ModelError, NameUnknown, nearest
from ..symbols import Coordinate

Number = Any
"""A Python float, or a scalar array where the ends of the time shall change without a new program."""


class Block(eqx.Module):
    """One coordinate: where it lies in a point, and how it becomes inputs."""

    name: str = eqx.field(static=True)
    start: int = eqx.field(static=True)
    dim: int = eqx.field(static=True)
    modes: int = eqx.field(static=True)  # 0: not periodic
    unchanged: bool = eqx.field(static=True)
    low: Number
    high: Number

    @property
    def size(self) -> int:
        """How many inputs it gives."""
        return self.dim * max(1, 2 * self.modes)

    @property
    def scale(self) -> Any:
        """The derivative of its inputs by the coordinate, None for a periodic one."""
        if self.modes:
            return None
        return 1.0 if self.unchanged else 2.0 / (self.high - self.low)

    @property
    def names(self) -> Iterator[str]:
        own = [self.name] if self.dim == 1 else [f"{self.name}[{i}]" for i in range(self.dim)]
        if not self.modes:
            yield from own
        for k in range(1, self.modes + 1):
            for word in ("cos", "sin"):
                yield from (f"{word} {'' if k == 1 else k}{n}" for n in own)

    def __call__(self, p: Any) -> list[Any]:
        x = p[self.start : self.start + self.dim]
        if self.unchanged:
            return [x]
        low, high = jnp.asarray(self.low, p.dtype), jnp.asarray(self.high, p.dtype)
        if not self.modes:
            return [(x - 0.5 * (low + high)) * (2.0 / (high - low))]
        angle = (x - low) * (2.0 * math.pi / (high - low))
        return [f(k * angle) for k in range(1, self.modes + 1) for f in (jnp.cos, jnp.sin)]


class Embedding(eqx.Module):
    """Maps a point, the flat vector of its coordinates, to the inputs of a network. Made by `embedding_of`.

    Hashable while the ends of the coordinates are numbers. `vmap` it over points.

    >>> import jax.numpy as jnp, sciml as sci
    >>> from sciml.pinn.embedding import embedding_of
    >>> x, y = sci.space("x", 0, 2, periodic=True), sci.space("y", 0, 1)
    >>> embedding = embedding_of((sci.t, x, y), t_span=(0, 10))
    >>> embedding.names, embedding.size
    (('t', 'cos x', 'sin x', 'y'), 4)
    >>> [float(v) for v in embedding(jnp.array([10.0, 0.0, 1.0])).round(3)]
    [1.0, 1.0, 0.0, 1.0]
    >>> embedding.block("y")
    (slice(3, 4, None), 2.0)
    """

    blocks: tuple[Block, ...]

    @property
    def size(self) -> int:
        """How many inputs there are."""
        return sum(b.size for b in self.blocks)

    @property
    def names(self) -> tuple[str, ...]:
        """A label for each input: "t", "cos x", "sin x", "X[0]"."""
        return tuple(n for b in self.blocks for n in b.names)

    def block(self, name: str) -> tuple[slice, Any]:
        """Where the inputs of a coordinate lie, and their derivative by it (None for a periodic coordinate).

        Raises:
            NameUnknown: no such coordinate.
        """
        start = 0
        for b in self.blocks:
            if b.name == name:
                return slice(start, start + b.size), b.scale
            start += b.size
        raise NameUnknown(f"There is no coordinate '{name}'. {nearest(name, [b.name for b in self.blocks])}")

    def described(self) -> str:
        """The inputs in a few words, for messages: "4 inputs (t, cos x, sin x, y)"."""
        words = []
        for b in self.blocks:
            names = list(b.names) if b.size <= 8 else [f"{b.size} of {b.name}"]
            words += names
        return f"{self.size} input{'s' if self.size != 1 else ''} ({', '.join(words)})"

    def __call__(self, p: Any) -> Any:
        """The inputs at one point: (point size,) to (size,)."""
        pieces = [piece for b in self.blocks for piece in b(p)]
        return pieces[0] if len(pieces) == 1 else jnp.concatenate(pieces)


def embedding_of(coordinates: Sequence[Coordinate], t_span: Any = (0.0, 1.0), modes: Any = 1) -> Embedding:
    """The embedding of points whose entries are these coordinates, one after the other.

    Args:
        coordinates: in the order of a point: the time first, vectors last.
        t_span: start and end of the time; used only if the time is among the coordinates. Numbers, or scalar arrays.
        modes: how many cosines and sines each periodic coordinate gives: those of 1, 2, ... waves in its period.

    Raises:
        ModelError: an empty or infinite time span, modes below 1.
    """
    if not isinstance(modes, int) or isinstance(modes, bool) or modes < 1:
        raise ModelError(f"modes={modes!r}: give a whole number of waves for periodic coordinates, 1 or more.")
    blocks, start = [], 0
    for c in coordinates:
        block = _block(c, start, t_span, modes)
        blocks.append(block)
        start += block.dim
    return Embedding(tuple(blocks))


def ends(coordinate: Coordinate, t_span: Any) -> tuple[Number, Number]:
    """Low and high end of a coordinate, infinite ones included; those of the time are `t_span`."""
    d = coordinate.declaration
    return _span(t_span) if d.kind == "time" else (d.payload["low"], d.payload["high"])


def dimension(coordinate: Coordinate) -> int:
    """How many entries of a point belong to a coordinate."""
    d = coordinate.declaration
    return 1 if d.kind == "time" else d.payload["dim"]


def _block(coordinate: Coordinate, start: int, t_span: Any, modes: int) -> Block:
    low, high = ends(coordinate, t_span)
    payload = coordinate.declaration.payload or {}
    periodic = bool(payload.get("periodic", False))
    unbounded = coordinate.declaration.kind != "time" and not (math.isfinite(low) and math.isfinite(high))
    return Block(coordinate.name, start, dimension(coordinate), modes if periodic else 0, unbounded, low, high)


def _span(t_span: Any) -> tuple[Number, Number]:
    try:
        low, high = t_span
        numbers = [v if eqx.is_array(v) else float(v) for v in (low, high)]
    except (TypeError, ValueError):
        raise ModelError(f"t_span={t_span!r} is not a start and an end: write t_span=(0, 1).") from None
    if all(isinstance(v, float) for v in numbers) and not (math.isfinite(numbers[0]) and math.isfinite(numbers[1]) and numbers[0] < numbers[1]):
        raise ModelError(f"t_span={t_span!r}: the start must lie before the end, and both must be finite: t_span=(0, 1).")
    return numbers[0], numbers[1]
