"""Distances of points from the surface of a region, and what follows from them.

| region            | signed distance, negative inside                         | exact               |
|-------------------|----------------------------------------------------------|---------------------|
| ball              | |x - c| - r                                              | yes                 |
| box               | |max(q, 0)| + min(max_i q_i, 0), q = |x - m| - h         | yes                 |
| polygon           | to the nearest side or corner                            | yes                 |
| `a | b`           | min(d_a, d_b)                                            | outside; inside at most the distance |
| `a & b`           | max(d_a, d_b)                                            | inside; outside at most the distance |
| `a - b`           | max(d_a, -d_b)                                           | inside; outside at most the distance |

Smooth functions that are zero on the surface and positive inside, with slope 1 across it away from corners:

| region            | smooth distance                                                                             |
|-------------------|---------------------------------------------------------------------------------------------|
| ball              | (r^2 - |x - c|^2)/(2 r)                                                                     |
| box               | R-conjunction of (x - l)(h - x)/(h - l) over the coordinates                                |
| polygon           | 1/sqrt(sum over sides of 1/f^2), f a smooth distance from one side (see `polygons`)          |
| `a & b`           | R-conjunction f_a + f_b - sqrt(f_a^2 + f_b^2)                                               |
| `a | b`           | R-disjunction f_a + f_b + sqrt(f_a^2 + f_b^2)                                               |
| `a - b`           | R-conjunction of f_a and -f_b                                                               |

References: Rvachev, Sheiko, Shapiro and Tsukanov, On completeness of RFM solution structures, Comput. Mech. 25 (2000) 305;
Sukumar and Srivastava, Exact imposition of boundary conditions with distance functions in physics-informed deep neural networks,
CMAME 389 (2022) 114333. Points hold the coordinates of the region, in its order.
"""

import functools
import math
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from ..symbols import Ball, Box, Intersection, Polygon, Region, Union
from .polygons import distance_to_polygon, root, smooth_polygon
from .sequences import sobol_table

Function = Callable[[Any], Any]
"""From one point, (dimension,), to a number."""


def size_of(region: Region) -> int:
    """How many entries a point of the region has: of a vector coordinate, its dimension."""
    shape = region.coordinates[0].declaration.shape
    return shape[0] if shape else len(region.coordinates)


def distance(region: Region) -> Function:
    """The signed distance of one point from the surface of a region: negative inside, zero on the surface.

    Exact for balls, boxes and polygons, with the unit normal as its gradient. Of regions made with `|`, `&` and `-` the zeros and
    the signs are exact, and the value is at most the distance (see the table of this module).

    Args:
        region: of k coordinates, or of a vector coordinate of dimension k.

    Returns:
        A function from (k,) to a scalar.

    >>> import jax.numpy as jnp, sciml as sci
    >>> from sciml.pinn.geometry import distance
    >>> x, y = sci.space("x", 0, 4), sci.space("y", 0, 4)
    >>> plate = sci.box((x, y), (0, 0), (4, 2)) - sci.ball((x, y), (1, 1), 0.5)
    >>> d = distance(plate)
    >>> float(d(jnp.array([3.0, 1.5]))), float(d(jnp.array([1.0, 1.25]))), float(d(jnp.array([5.0, 1.0])))
    (-0.5, 0.25, 1.0)
    """
    match region:
        case Ball():
            return functools.partial(_to_ball, region)
        case Box():
            return functools.partial(_to_box, region)
        case Polygon():
            return functools.partial(distance_to_polygon, np.array(region.vertices))
    a, b = distance(region.a), distance(region.b)  # type: ignore[attr-defined]
    match region:
        case Union():
            return lambda p: jnp.minimum(a(p), b(p))
        case Intersection():
            return lambda p: jnp.maximum(a(p), b(p))
        case _:
            return lambda p: jnp.maximum(a(p), -b(p))


def smooth_distance(region: Region) -> Function:
    """A smooth function of one point that is zero on the surface, positive inside and negative outside.

    Its slope across the surface is 1, corners apart, so that a network times this function has every value inside, and the
    condition u = 0 holds at the surface. Infinitely often differentiable except at corners, and where two surfaces of a compound
    region meet; there first derivatives are finite.

    Args:
        region: of k coordinates, or of a vector coordinate of dimension k. Where a part touches another from within (a shared
            side that is no boundary of the whole) the function is zero, too: draw such a region as one polygon.

    Returns:
        A function from (k,) to a scalar.

    >>> import jax.numpy as jnp, sciml as sci
    >>> from sciml.pinn.geometry import smooth_distance
    >>> x, y = sci.space("x", -1, 1), sci.space("y", -1, 1)
    >>> f = smooth_distance(sci.polygon((x, y), [(-1, -1), (1, -1), (1, 0), (0, 0), (0, 1), (-1, 1)]))
    >>> abs(float(f(jnp.array([0.0, 0.5])))), bool(f(jnp.array([-0.5, 0.5])) > 0), bool(f(jnp.array([0.5, 0.5])) < 0)
    (0.0, True, True)
    """
    match region:
        case Ball():
            return functools.partial(_within_ball, region)
        case Box():
            return functools.partial(_within_box, region)
        case Polygon():
            return functools.partial(smooth_polygon, np.array(region.vertices))
    a, b = smooth_distance(region.a), smooth_distance(region.b)  # type: ignore[attr-defined]
    match region:
        case Union():
            return lambda p: -conjunction(-a(p), -b(p))
        case Intersection():
            return lambda p: conjunction(a(p), b(p))
        case _:
            return lambda p: conjunction(a(p), -b(p))


def inside(region: Region, points: Any) -> Any:
    """Whether points lie in a region, its surface included (to rounding).

    Args:
        region: of k coordinates, or of a vector coordinate of dimension k.
        points: (n, k).

    Returns:
        (n,) booleans.

    >>> import numpy as np, sciml as sci
    >>> from sciml.pinn.geometry import inside
    >>> x, y = sci.space("x", -1, 1), sci.space("y", -1, 1)
    >>> inside(sci.ball((x, y), (0, 0), 1), np.array([[0.0, 1.0], [1.0, 1.0]])).tolist()
    [True, False]
    """
    points = jnp.asarray(points)
    points = points if jnp.issubdtype(points.dtype, jnp.floating) else points.astype(jnp.zeros(()).dtype)
    slack = 16 * float(jnp.finfo(points.dtype).eps) * extent(region)
    return jax.vmap(distance(region))(points) <= slack


def extent(region: Region) -> float:
    """The size of the numbers that describe a region: what its rounding is measured by."""
    return max(max(abs(low), abs(high), high - low) for low, high in region.bounds)


def bounding_box(region: Region) -> tuple[np.ndarray, np.ndarray]:
    """The lowest and the highest value of each entry of a point: two arrays of shape (k,)."""
    low, high = (np.array(side, float) for side in zip(*region.bounds, strict=True))
    vector = region.coordinates[0].declaration.shape
    return (np.full(vector, low[0]), np.full(vector, high[0])) if vector else (low, high)


@functools.lru_cache(maxsize=256)
def measure(region: Region) -> float:
    """Length, area or volume of a region: exact for balls, boxes and polygons.

    Of regions made with `|`, `&` and `-` it is counted with 65536 quasi-random points, to about one part in a thousand.

    >>> import sciml as sci
    >>> from sciml.pinn.geometry import measure
    >>> x, y = sci.space("x", -1, 1), sci.space("y", -1, 1)
    >>> round(measure(sci.ball((x, y), (0, 0), 0.5)), 4)
    0.7854
    """
    match region:
        case Ball(radius=r):
            k = size_of(region)
            return math.exp(0.5 * k * math.log(math.pi) - math.lgamma(0.5 * k + 1.0) + k * math.log(r))
        case Box(low=low, high=high):
            return math.prod(b - a for a, b in zip(low, high, strict=True))
        case Polygon(vertices=vertices):
            a = np.array(vertices)
            b = np.roll(a, -1, axis=0)
            return 0.5 * abs(float((a[:, 0] * b[:, 1] - a[:, 1] * b[:, 0]).sum()))
    corner, opposite = bounding_box(region)
    cube = (sobol_table(2**16, len(corner)) + 0.5) / 2.0**32
    with jax.ensure_compile_time_eval():
        points = jnp.asarray(corner + cube * (opposite - corner), jnp.zeros(()).dtype)
        share = float((jax.jit(jax.vmap(distance(region)))(points) < 0).mean())
    return share * float(np.prod(opposite - corner))


def conjunction(a: Any, b: Any) -> Any:
    """Positive where both are, smooth except where both are zero; its slope is that of the one that is zero."""
    return a + b - root(a * a + b * b)


def _from_center(region: Ball, p: Any) -> Any:
    if not region.center:
        return p
    return p - (jnp.asarray(region.center, p.dtype) if len(region.center) > 1 else region.center[0])


def _to_ball(region: Ball, p: Any) -> Any:
    x = _from_center(region, p)
    return root(jnp.sum(x * x)) - region.radius


def _within_ball(region: Ball, p: Any) -> Any:
    x = _from_center(region, p)
    return (region.radius**2 - jnp.sum(x * x)) * (0.5 / region.radius)


def _to_box(region: Box, p: Any) -> Any:
    low, high = jnp.asarray(region.low, p.dtype), jnp.asarray(region.high, p.dtype)
    q = jnp.abs(p - 0.5 * (low + high)) - 0.5 * (high - low)
    out = jnp.maximum(q, 0.0)
    return jnp.where((q > 0).any(), root(jnp.sum(out * out)), q.max())


def _within_box(region: Box, p: Any) -> Any:
    low, high = jnp.asarray(region.low, p.dtype), jnp.asarray(region.high, p.dtype)
    slabs = (p - low) * (high - p) / (high - low)
    return functools.reduce(conjunction, [slabs[i] for i in range(len(region.low))])
