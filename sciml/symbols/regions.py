"""Domains with a shape: balls, boxes and polygons, and what is made of them.

| written                              | the points where                           |
|--------------------------------------|--------------------------------------------|
| `ball((x, y), (0.3, 0.3), 0.1)`      | (x - 0.3)^2 + (y - 0.3)^2 <= 0.1^2         |
| `ball(X, radius=1)`                  | the sum of X_i^2 is at most 1              |
| `box((x, y), (0, 0), (1, 2))`        | 0 <= x <= 1 and 0 <= y <= 2                |
| `polygon((x, y), [(0, 0), ...])`     | inside the closed line through the corners |
| `a | b`, `a & b`, `a - b`            | in a or b, in a and b, in a and not in b   |
| `a.surface`                          | the boundary of the domain, where it lies on the surface of a |

These are declarations only: distances and points come from the room that samples them. What a user gives is typed `Any`, so
that it reaches the check that explains what is wrong with it; what is kept is as the attributes say.
"""

import abc
import dataclasses
import hashlib
from typing import Any, ClassVar

import numpy as np

from ..errors import ModelError
from .declaration import content
from .heads import Coordinate
from .region_checks import coordinates_of, is_many, many, numbers, only_scalars, point, shown, signed_area, written

Bounds = tuple[tuple[float, float], ...]


class Region(abc.ABC):
    """A part of space that can be the `domain=` of a System. Made by `sci.ball`, `sci.box`, `sci.polygon`, and `|`, `&`, `-`.

    Attributes:
        coordinates: the coordinates of space that it speaks of.
        bounds: for each of them the lowest and the highest value in it.
        surface: its surface, a key of `boundary=`.
    """

    coordinates: Any

    def __or__(self, other: Any) -> "Region":
        return Union(self, other)

    def __and__(self, other: Any) -> "Region":
        return Intersection(self, other)

    def __sub__(self, other: Any) -> "Region":
        return Difference(self, other)

    def parts(self) -> tuple["Region", ...]:
        """The balls, boxes and polygons that it is made of, each once."""
        return (self,)

    @property
    @abc.abstractmethod
    def bounds(self) -> Bounds:
        """The lowest and the highest value of each coordinate."""

    @property
    def surface(self) -> "Surface":
        """Where the boundary of the domain lies on its surface: a key of `boundary=`."""
        return Surface(self)

    def reaches(self, coordinate: Any, value: float) -> bool:
        """Whether a face of it lies where the coordinate has that value."""
        return False

    @property
    @abc.abstractmethod
    def surface_name(self) -> str:
        """Its surface in words, with all its numbers: two different surfaces have different names."""

    @property
    def _content(self) -> Any:
        return (type(self).__name__, [getattr(self, f.name) for f in dataclasses.fields(self)])  # type: ignore[arg-type]


@dataclasses.dataclass(frozen=True, repr=False)
class Ball(Region):
    """The points within `radius` of `center`, in scalar coordinates or in one vector coordinate.

    For a vector coordinate `center` has no entry (the origin), one entry (the same for all components) or one for each.

    Attributes:
        coordinates: tuple of coordinates.
        center: tuple of floats.
        radius: float.
    """

    coordinates: Any
    center: Any
    radius: Any

    def __post_init__(self) -> None:
        coordinates = coordinates_of(self.coordinates, "ball", "radius=1")
        center = numbers(self.center, f"center={self.center!r} of sci.ball")
        vector = len(coordinates) == 1 and coordinates[0].declaration.shape
        allowed = (0, 1, vector[0]) if vector else (len(coordinates),)
        if len(center) not in allowed:
            dim = vector[0] if vector else len(coordinates)
            raise ModelError(
                f"sci.ball({written(coordinates)}, ...): the center has {len(center)} numbers for {dim} dimensions. "
                f"Write center=({', '.join(['0.0'] * len(coordinates))}{',' * (len(coordinates) == 1)}), or leave it out for the origin."
            )
        (radius,) = numbers((self.radius,), f"radius={self.radius!r} of sci.ball")
        if radius <= 0:
            raise ModelError(f"sci.ball({written(coordinates)}, ...) has radius={radius:g}: a radius is positive, radius={abs(radius) or 1.0:g}.")
        _set(self, coordinates=coordinates, center=() if vector and not any(center) else center, radius=radius)

    @property
    def bounds(self) -> Bounds:
        if self.coordinates[0].declaration.shape:
            center = self.center or (0.0,)
            return ((min(center) - self.radius, max(center) + self.radius),)
        return tuple((c - self.radius, c + self.radius) for c in self.center)

    @property
    def surface_name(self) -> str:
        radius = shown(self.radius)
        if self.coordinates[0].declaration.shape:
            X = self.coordinates[0].name
            return f"the sphere |{X}| = {radius}" if not self.center else f"the sphere of radius {radius} around {X} = {point(self.center)}"
        kind = {1: "the ends of the interval", 2: "the circle"}.get(len(self.coordinates), "the sphere")
        return f"{kind} of radius {radius} around {point(self.center)}"

    def __repr__(self) -> str:
        return f"ball({written(self.coordinates)}, {point(self.center) if self.center else 0}, {shown(self.radius)})"


@dataclasses.dataclass(frozen=True, repr=False)
class Box(Region):
    """The points between `low` and `high` in every coordinate.

    Attributes:
        coordinates: tuple of scalar coordinates.
        low: tuple of floats.
        high: tuple of floats.
    """

    coordinates: Any
    low: Any
    high: Any

    def __post_init__(self) -> None:
        coordinates = coordinates_of(self.coordinates, "box", "(0, 0), (1, 1)")
        only_scalars(coordinates, "box")
        low, high = (numbers(v, f"{word}={v!r} of sci.box") for word, v in (("low", self.low), ("high", self.high)))
        for word, corner in (("low", low), ("high", high)):
            if len(corner) != len(coordinates):
                raise ModelError(
                    f"sci.box({written(coordinates)}, ...): the {word} corner has {len(corner)} numbers for {len(coordinates)} coordinates. "
                    f"Write sci.box({written(coordinates)}, ({', '.join('0' for _ in coordinates)}), ({', '.join('1' for _ in coordinates)}))."
                )
        for c, a, b in zip(coordinates, low, high, strict=True):
            if not a < b:
                raise ModelError(
                    f"sci.box({written(coordinates)}, {point(low)}, {point(high)}) is empty: {c.name} runs from {shown(a)} to {shown(b)}. "
                    "Write the lower corner first."
                )
        _set(self, coordinates=coordinates, low=low, high=high)

    @property
    def bounds(self) -> Bounds:
        return tuple(zip(self.low, self.high, strict=True))

    def reaches(self, coordinate: Any, value: float) -> bool:
        return coordinate in self.coordinates and value in self.bounds[self.coordinates.index(coordinate)]

    @property
    def surface_name(self) -> str:
        return f"the sides of the box from {point(self.low)} to {point(self.high)}"

    def __repr__(self) -> str:
        return f"box({written(self.coordinates)}, {point(self.low)}, {point(self.high)})"


@dataclasses.dataclass(frozen=True, repr=False)
class Polygon(Region):
    """The points inside a closed line through `vertices`, in two coordinates.

    Attributes:
        coordinates: tuple of two scalar coordinates.
        vertices: tuple of pairs of floats, counterclockwise.
    """

    coordinates: Any
    vertices: Any

    def __post_init__(self) -> None:
        coordinates = coordinates_of(self.coordinates, "polygon", "[(0, 0), (1, 0), (0, 1)]")
        only_scalars(coordinates, "polygon")
        if len(coordinates) != 2:
            raise ModelError(f"sci.polygon({written(coordinates)}, ...) is drawn in two coordinates, sci.polygon((x, y), [(0, 0), (1, 0), (0, 1)]).")
        vertices = [numbers(v, f"the corner {v!r} of sci.polygon") for v in many(self.vertices, "the corners of sci.polygon")]
        for i, v in enumerate(vertices):
            if len(v) != 2:
                raise ModelError(f"Corner {i} of sci.polygon, {point(v)}, has {len(v)} numbers: a corner is a pair, (0.0, 1.0).")
        if len(vertices) > 1 and vertices[0] == vertices[-1]:  # a closed line may be written with its first corner again
            vertices = vertices[:-1]
        if len(vertices) < 3:
            raise ModelError(f"sci.polygon needs three corners or more, not {len(vertices)}: sci.polygon((x, y), [(0, 0), (1, 0), (0, 1)]).")
        area = signed_area(np.array(vertices))
        _set(self, coordinates=coordinates, vertices=(vertices[0], *(vertices[1:] if area > 0 else vertices[:0:-1])))

    @property
    def bounds(self) -> Bounds:
        return tuple((min(column), max(column)) for column in zip(*self.vertices, strict=True))

    def reaches(self, coordinate: Any, value: float) -> bool:
        if coordinate not in self.coordinates:
            return False
        along = [v[self.coordinates.index(coordinate)] for v in self.vertices]
        return any(a == value == b for a, b in zip(along, [*along[1:], along[0]], strict=True))

    @property
    def surface_name(self) -> str:
        if len(self.vertices) <= 6:
            return f"the sides of the polygon {', '.join(map(point, self.vertices))}"
        return f"the sides of the polygon with {len(self.vertices)} corners from {point(self.vertices[0])} [{_digest(self)}]"

    def __repr__(self) -> str:
        more = ", ..." if len(self.vertices) > 6 else ""
        return f"polygon({written(self.coordinates)}, [{', '.join(map(point, self.vertices[:6]))}{more}])"


@dataclasses.dataclass(frozen=True, repr=False)
class _Compound(Region):
    """Two regions `a` and `b` of the same coordinates."""

    sign: ClassVar[str]
    a: Any
    b: Any

    def __post_init__(self) -> None:
        sign = self.sign
        for region in (self.a, self.b):
            if not isinstance(region, Region):
                raise ModelError(f"a {sign} b with {region!r}, which is not a region: write sci.ball(...), sci.box(...) or sci.polygon(...).")
        if self.a.coordinates != self.b.coordinates:
            one, other = written(self.a.coordinates), written(self.b.coordinates)
            raise ModelError(f"a {sign} b joins a region of {one} and a region of {other}. Give both the same coordinates, in one order: {one}.")
        if isinstance(self, Intersection | Difference) and not all(low < high for low, high in self.bounds):
            raise ModelError(f"a {sign} b holds no point: {self.a} and {self.b} do not meet.")

    @property
    def coordinates(self) -> tuple[Coordinate, ...]:
        return self.a.coordinates

    def parts(self) -> tuple[Region, ...]:
        return tuple(dict.fromkeys((*self.a.parts(), *self.b.parts())))

    def reaches(self, coordinate: Any, value: float) -> bool:
        return self.a.reaches(coordinate, value) or self.b.reaches(coordinate, value)

    @property
    def surface_name(self) -> str:
        parts = self.parts()
        shown = " and ".join(p.surface_name for p in parts[:3])
        return shown if len(parts) <= 3 else f"{shown} and {len(parts) - 3} more surfaces [{_digest(parts)}]"

    def __repr__(self) -> str:
        return f"({self.a!r} {self.sign} {self.b!r})"


class Union(_Compound):
    """The points of one region or the other: `a | b`."""

    sign = "|"

    @property
    def bounds(self) -> Bounds:
        return tuple((min(p[0], q[0]), max(p[1], q[1])) for p, q in zip(self.a.bounds, self.b.bounds, strict=True))


class Intersection(_Compound):
    """The points of both regions: `a & b`."""

    sign = "&"

    @property
    def bounds(self) -> Bounds:
        return tuple((max(p[0], q[0]), min(p[1], q[1])) for p, q in zip(self.a.bounds, self.b.bounds, strict=True))


class Difference(_Compound):
    """The points of the first region that are not in the second: `a - b`."""

    sign = "-"

    @property
    def bounds(self) -> Bounds:
        return self.a.bounds


@dataclasses.dataclass(frozen=True, repr=False)
class Surface:
    """The part of the boundary of the domain that lies on the surface of a region, or of a part of it: `region.surface`."""

    region: Region

    @property
    def coordinates(self) -> tuple[Coordinate, ...]:
        return self.region.coordinates

    @property
    def name(self) -> str:
        """In words, and the same for the same surface in every process: the key in `System.boundary`."""
        return self.region.surface_name

    key = name

    def __repr__(self) -> str:
        return self.name

    @property
    def _content(self) -> Any:
        return ("Surface", self.region)


def ball(coordinates: Any, center: Any = None, radius: Any = 1.0) -> Ball:
    """A disc, a ball or an interval: the points within `radius` of `center`.

    Args:
        coordinates: coordinates of space, `(x, y)`, or one vector coordinate `X`.
        center: one number for each coordinate; the origin if left out. For a vector coordinate one number for all, or one for each component.
        radius: in the unit of the coordinates.

    Raises:
        ModelError: a radius that is not positive, a center of another dimension, no coordinates of space.

    >>> import sciml as sci
    >>> x, y = sci.space("x", 0, 1), sci.space("y", 0, 1)
    >>> sci.ball((x, y), center=(0.3, 0.3), radius=0.1).surface
    the circle of radius 0.1 around (0.3, 0.3)
    """
    coordinates = coordinates_of(coordinates, "ball", "radius=1")
    vector = len(coordinates) == 1 and bool(coordinates[0].declaration.shape)
    if center is None:
        center = () if vector else (0.0,) * len(coordinates)
    return Ball(coordinates, center if is_many(center) else (center,), radius)


def box(coordinates: Any, low: Any, high: Any) -> Box:
    """A rectangle, a box or an interval: the points between two corners.

    Args:
        coordinates: scalar coordinates of space, `(x, y)`.
        low: the lower corner, one number for each coordinate.
        high: the upper corner.

    Raises:
        ModelError: corners of another dimension or in the wrong order.

    >>> import sciml as sci
    >>> x, y = sci.space("x", -1, 1), sci.space("y", -1, 1)
    >>> L = sci.box((x, y), (-1, -1), (1, 1)) - sci.box((x, y), (0, 0), (1, 1))
    >>> L.bounds
    ((-1.0, 1.0), (-1.0, 1.0))
    """
    low, high = (v if is_many(v) else (v,) for v in (low, high))
    return Box(coordinates, low, high)


def polygon(coordinates: Any, vertices: Any) -> Polygon:
    """The inside of a closed line with corners, in two coordinates, in either sense of rotation.

    Args:
        coordinates: two scalar coordinates of space, `(x, y)`.
        vertices: the corners in order, each a pair of numbers; three or more.

    Raises:
        ModelError: a line that crosses or touches itself, fewer than three corners.

    >>> import sciml as sci
    >>> x, y = sci.space("x", 0, 2), sci.space("y", 0, 2)
    >>> sci.polygon((x, y), [(0, 0), (2, 0), (0, 2)]).surface
    the sides of the polygon (0, 0), (2, 0), (0, 2)
    """
    return Polygon(coordinates, vertices)


def _set(region: Region, **fields: Any) -> None:
    for key, value in fields.items():
        object.__setattr__(region, key, value)


def _digest(of: Any) -> str:
    return hashlib.sha256(repr(content(of)).encode()).hexdigest()[:6]
