"""From the unit cube to balls, boxes and surfaces, so that uniform points stay uniform.

| target                | columns of the cube                 | map                                                |
|-----------------------|-------------------------------------|----------------------------------------------------|
| box                   | one for each coordinate             | low + u (high - low)                               |
| disc, ball in space   | radius, angle, height               | r u^(1/d); 2 pi u; 2 u - 1                         |
| ball of dimension d   | radius, d for the direction         | r u^(1/d); normal numbers, normalised (Muller 1959)|
| sides, faces          | one less than the space, at least 1 | the first chooses the side by its measure          |

What is left of the first column after the choice, stretched to (0, 1) again, is the first coordinate on the side.

In many dimensions nearly all of the volume of a ball lies at its surface; `radial="uniform"` draws the radius itself uniformly instead.
"""

import math
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from ..errors import ModelError
from ..symbols import Ball, Box, Polygon, Region
from .geometry import size_of
from .polygons import sides

RADIAL = ("volume", "uniform")


def fill_box(low: Any, high: Any, u: Any) -> Any:
    """Uniform in a box: (n, k) to (n, k)."""
    low, high = jnp.asarray(low, u.dtype), jnp.asarray(high, u.dtype)
    return low[None] + u * (high - low)[None]


def ball_columns(dim: int) -> int:
    """How many columns of the cube a point in a ball takes."""
    return 1 + _direction_columns(dim)


def fill_ball(region: Ball, radial: str, u: Any) -> Any:
    """Points in a ball: (n, ball_columns) to (n, k)."""
    dim = size_of(region)
    share = u[:, :1] ** (1.0 / dim) if radial == "volume" else u[:, :1]
    return _center(region, u.dtype) + region.radius * share * _directions(u[:, 1:], dim)


def surface_columns(parts: Sequence[Region]) -> int:
    """How many columns of the cube a point on the surface of one of several parts takes."""
    return max(_part_columns(part) for part in parts)


def surface_measure(part: Region) -> float:
    """The measure of the surface of a ball, a box or a polygon; a point counts 1."""
    if isinstance(part, Ball):
        dim = size_of(part)
        return 2.0 * math.exp(0.5 * dim * math.log(math.pi) - math.lgamma(0.5 * dim) + (dim - 1) * math.log(part.radius))
    return float(_pieces(part).sum())


def fill_surface(parts: Sequence[Region], u: Any) -> tuple[Any, Any]:
    """Points on the surfaces of some parts, uniform over all of them, and the normals that point out of each part: two times (n, k)."""
    measures = np.array([1.0] if len(parts) == 1 else [surface_measure(part) for part in parts])
    which, left = _choose(measures, u[:, 0])
    u = jnp.concatenate([left[:, None], u[:, 1:]], axis=1)
    found = [_on_part(part, u[:, : _part_columns(part)]) for part in parts]
    points, normals = found[0]
    for i, (p, n) in enumerate(found[1:], start=1):
        here = (which == i)[:, None]
        points, normals = jnp.where(here, p, points), jnp.where(here, n, normals)
    return points, normals


def checked_radial(radial: Any, region: Region) -> str:
    """Where points of a ball lie, by default: even in volume, and in a vector coordinate even in radius."""
    if radial is None:
        return "uniform" if region.coordinates[0].declaration.shape else "volume"
    if radial not in RADIAL:
        raise ModelError(f'radial={radial!r}: write radial="volume", or radial="uniform" for a radius that is uniform itself.')
    return radial


def _direction_columns(dim: int) -> int:
    return dim - 1 if dim in (2, 3) else dim


def _directions(u: Any, dim: int) -> Any:
    """Uniform unit vectors: by angle in the plane, by height and angle in space (Archimedes), else normal numbers, normalised."""
    if dim in (2, 3):
        angle = 2.0 * math.pi * u[:, 0]
        flat = jnp.stack([jnp.cos(angle), jnp.sin(angle)], axis=1)
        if dim == 2:
            return flat
        height = 2.0 * u[:, 1:2] - 1.0
        return jnp.concatenate([flat * jnp.sqrt(1.0 - height * height), height], axis=1)
    normal = jax.lax.erf_inv(2.0 * u - 1.0)
    square = jnp.sum(normal * normal, axis=1, keepdims=True)
    middle = square == 0  # the middle of a grid has no direction of its own
    return jnp.where(middle, 1.0, normal) / jnp.sqrt(jnp.where(middle, float(dim), square))


def _center(region: Ball, dtype: Any) -> Any:
    center = region.center or (0.0,)
    return jnp.asarray(center, dtype)[None]


def _part_columns(part: Region) -> int:
    if isinstance(part, Ball):
        return _direction_columns(size_of(part))
    return 1 if isinstance(part, Polygon) else max(1, size_of(part) - 1)


def _pieces(part: Region) -> np.ndarray:
    """Measures of the sides of a polygon; of the faces of a box, low and high for each coordinate."""
    if isinstance(part, Polygon):
        return sides(np.array(part.vertices))[2]
    assert isinstance(part, Box)
    length = np.subtract(part.high, part.low)
    return np.repeat([np.prod(np.delete(length, i)) for i in range(len(length))], 2)


def _choose(measures: np.ndarray, u: Any) -> tuple[Any, Any]:
    """The piece that each number in (0, 1) falls on, and where in it, again in (0, 1)."""
    if len(measures) == 1:
        return jnp.zeros(u.shape, jnp.int32), u
    share = jnp.asarray(measures / measures.sum(), u.dtype)
    ends = jnp.asarray(np.cumsum(measures) / measures.sum(), u.dtype)
    which = jnp.clip(jnp.searchsorted(ends, u).astype(jnp.int32), 0, len(measures) - 1)
    left = (u - (ends[which] - share[which])) / share[which]
    return which, jnp.clip(left, 0.0, 1.0)


def _on_part(part: Region, u: Any) -> tuple[Any, Any]:
    if isinstance(part, Ball):
        normals = _directions(u, size_of(part))
        return _center(part, u.dtype) + part.radius * normals, normals
    which, left = _choose(_pieces(part), u[:, 0])
    if isinstance(part, Polygon):
        start, unit, length, outward = (jnp.asarray(v, u.dtype) for v in sides(np.array(part.vertices)))
        return start[which] + (left * length[which])[:, None] * unit[which], outward[which]
    assert isinstance(part, Box)
    low, high = jnp.asarray(part.low, u.dtype), jnp.asarray(part.high, u.dtype)
    free = jnp.concatenate([left[:, None], u[:, 1:]], axis=1)[:, : len(part.low) - 1]
    return _on_face(low, high, which // 2, which % 2 == 1, free)


def _on_face(low: Any, high: Any, axis: Any, upper: Any, free: Any) -> tuple[Any, Any]:
    """A point of a face: its free coordinates in their order, and one that is at its end."""
    none = jnp.zeros((len(free), 1), free.dtype)
    before, after = jnp.concatenate([free, none], axis=1), jnp.concatenate([none, free], axis=1)
    j, axis = jnp.arange(len(low), dtype=axis.dtype)[None], axis[:, None]
    points = low[None] + jnp.where(j < axis, before, after) * (high - low)[None]
    end = jnp.where(upper[:, None], high[None], low[None])
    normal = jnp.where(upper[:, None], 1.0, -1.0).astype(low.dtype)
    return jnp.where(j == axis, end, points), jnp.where(j == axis, normal, jnp.zeros((), low.dtype))
