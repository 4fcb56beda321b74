"""Where a trained network is asked: points by coordinate as flat vectors, and the regular grid for tables and pictures."""

import dataclasses
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from ..errors import NameUnknown, SolveError, nearest
from ..symbols import Coordinate, declaration_of

_POINTS = {0: 101, 1: 201, 2: 65, 3: 25}  # on each coordinate of space, by their number
_SLACK = 1e-6  # numbers in float32 may lie that far outside


@dataclasses.dataclass(frozen=True)
class RegularAxis:
    """Evenly spaced points on a coordinate, for tables and pictures."""

    coordinate: Coordinate
    points: np.ndarray
    low: float
    high: float
    periodic: bool
    kind: str = "nodes"

    @property
    def name(self) -> str:
        """Of the coordinate."""
        return self.coordinate.name

    @property
    def length(self) -> float:
        """From end to end."""
        return self.high - self.low

    @property
    def weights(self) -> np.ndarray:
        """Of the trapezoidal rule: `weights @ values` is the integral."""
        found = np.full(len(self.points), self.points[1] - self.points[0])
        if not self.periodic:
            found[[0, -1]] /= 2
        return found


@dataclasses.dataclass(frozen=True)
class Room:
    """The coordinates of a solution.

    Attributes:
        system: the name of the System, for messages.
        coordinates: as declared, in the order of a point.
        span: start and end of the time.
    """

    system: str
    coordinates: tuple[Coordinate, ...]
    span: tuple[float, float]

    @property
    def names(self) -> tuple[str, ...]:
        """Of the coordinates."""
        return tuple(c.name for c in self.coordinates)

    @property
    def size(self) -> int:
        """How many numbers a point has."""
        return sum(map(size_of, self.coordinates))

    @property
    def call(self) -> str:
        """How points are given, for messages."""
        return f"net({{{', '.join(f'{n!r}: ...' for n in self.names)}}})"

    def ends(self, c: Coordinate) -> tuple[float, float]:
        """Of a coordinate."""
        d = declaration_of(c)
        return self.span if d.kind == "time" else (d.payload["low"], d.payload["high"])

    def axes(self) -> dict[str, RegularAxis]:
        """Points on each coordinate of space.

        Raises:
            SolveError: a vector, or a coordinate without ends.
        """
        own = [c for c in self.coordinates if declaration_of(c).kind == "space"]
        return {c.name: self._axis(c, len(own)) for c in own}

    def _axis(self, c: Coordinate, count: int) -> RegularAxis:
        low, high = self.ends(c)
        periodic = c.declaration.payload["periodic"]
        if size_of(c) > 1 or not np.isfinite([low, high]).all():
            raise SolveError(f"'{c.name}' has no grid: it is {'a vector' if size_of(c) > 1 else 'unbounded'}. Ask at points: {self.call}[...].")
        return RegularAxis(c, np.linspace(low, high, _POINTS.get(count, 15), endpoint=not periodic), low, high, periodic)

    def points(self, given: Any, dtype: Any) -> Any:
        """Points by coordinate as flat vectors, (*shape, size).

        Args:
            given: arrays of one shape, of a vector with its dimension behind; one number for all points.
            dtype: of points that a transformation traces.

        Raises:
            NameUnknown: a coordinate that does not exist.
            SolveError: one that is missing, arrays of different shapes, values outside the ends of a coordinate.
        """
        if not isinstance(given, Mapping):
            raise SolveError(f"Points are given by coordinate: {self.call}[...].")
        columns = {str(getattr(k, "name", k)): _array(k, v) for k, v in given.items()}
        for name in columns:
            if name not in self.names:
                raise NameUnknown(f"System '{self.system}' has no coordinate '{name}'. {nearest(name, self.names)}")
        for name in self.names:
            if name not in columns:
                raise SolveError(f"The points have no '{name}'. Write {self.call}.")
        shapes = {c.name: _shape(c, columns[c.name]) for c in self.coordinates}
        several = {s for s in shapes.values() if s}
        if len(several) > 1:
            told = ", ".join(f"{n} {s}" for n, s in shapes.items())
            raise SolveError(f"The coordinates have different shapes: {told}. Give one value of each for every point, or one number for all.")
        for c in self.coordinates:
            self._refuse_outside(c, columns[c.name])
        return self.flat(columns, several.pop() if several else (), dtype)

    def flat(self, columns: Mapping[str, Any], shape: tuple[int, ...], dtype: Any) -> Any:
        """Flat vectors, (*shape, size); the middle of coordinates that are not given."""
        traced = any(isinstance(v, jax.core.Tracer) for v in columns.values())
        xp: Any = jnp if traced else np
        pieces = []
        for c in self.coordinates:
            values = xp.asarray(columns[c.name] if c.name in columns else self.middle(c), dtype if traced else float)
            values = values[..., None] if size_of(c) == 1 else values
            pieces.append(xp.broadcast_to(values.reshape((1,) * (len(shape) + 1 - values.ndim) + values.shape), (*shape, size_of(c))))
        return xp.concatenate(pieces, axis=-1)

    def middle(self, c: Coordinate) -> np.ndarray:
        """A value inside."""
        low, high = self.ends(c)
        middle = 0.5 * (low + high) if np.isfinite(high - low) else 0.0
        return np.asarray(middle) if size_of(c) == 1 else np.full(size_of(c), middle)

    def _refuse_outside(self, c: Coordinate, values: Any) -> None:
        d = declaration_of(c)
        if isinstance(values, jax.core.Tracer) or (d.kind == "space" and d.payload["periodic"]):
            return
        low, high = self.ends(c)
        slack = _SLACK * (high - low) if np.isfinite(high - low) else 0.0
        above = values > high + slack
        if (above | (values < low - slack)).any():
            farthest = values.max() if above.any() else values.min()
            raise SolveError(f"The network was trained for {c.name} from {low:g} to {high:g}, and is asked at {farthest:g}.")


def size_of(c: Coordinate) -> int:
    """How many numbers of a point belong to a coordinate."""
    return c.declaration.shape[0] if c.declaration.shape else 1


def _shape(c: Coordinate, values: Any) -> tuple[int, ...]:
    """Of the points that values of a coordinate stand for."""
    shape, size = tuple(values.shape), size_of(c)
    if size == 1:
        return shape
    if not shape or shape[-1] != size:
        raise SolveError(f"'{c.name}' is a vector of {size} numbers, and its values have the shape {shape}: give (n, {size}).")
    return shape[:-1]


def _array(name: Any, values: Any) -> Any:
    if isinstance(values, jax.core.Tracer):
        return values
    try:
        return np.asarray(values, float)
    except (TypeError, ValueError):
        raise SolveError(f"The values of '{getattr(name, 'name', name)}' are no numbers: {values!r}.") from None
