"""Functions that vanish on the surface of a region and nowhere else in the domain, and interpolate between surfaces.

| part of the domain           | factor                                       |
|------------------------------|----------------------------------------------|
| inside a ball                | 1 - |x - center|^2/radius^2                  |
| outside a ball               | 1 - radius^2/|x - center|^2                  |
| inside a box                 | product of 4 (x - low)(high - x)/(high - low)^2 |
| inside a convex polygon      | product of the distances from its sides      |

Values h_1, h_2, ... on several surfaces with factors f_1, f_2, ... are joined with weights f_2 f_3 .../(sum of such products),
which are 1 on the own surface and 0 on all others (Rvachev, Sheiko, Appl. Mech. Rev. 48 (1995) 151). Surfaces that meet take one
value. A region that is not convex, the outside of a box, and a union have no factor here.
"""

import itertools
from typing import Any

import numpy as np
import sympy as sp

from ...symbols import Ball, Box, Difference, Intersection, Polygon, Region, Union
from ..discretize.manufacture import exact

Linear = tuple[tuple[float, ...], float]
"""(normal, offset): the points with normal . x + offset > 0 are inside; the normal has the length 1."""


def factors_of(domain: Region) -> dict[Region, sp.Expr]:
    """For each primitive part of a domain a factor that is positive in the domain and 0 on its surface; empty where there is none."""
    found: dict[Region, sp.Expr] = {}
    return found if _collect(domain, True, found) else {}


def _collect(region: Region, inside: bool, found: dict[Region, sp.Expr]) -> bool:
    """Enters the factors of a region whose inside (or outside) holds the domain; False where a surface crosses the domain."""
    if isinstance(region, Difference):
        return inside and _collect(region.a, True, found) and _collect(region.b, False, found)
    if isinstance(region, Union | Intersection):
        return inside == isinstance(region, Intersection) and _collect(region.a, inside, found) and _collect(region.b, inside, found)
    factor = _factor(region, inside)
    if factor is not None:
        found[region] = factor
    return factor is not None


def _factor(region: Any, inside: bool) -> sp.Expr | None:
    if isinstance(region, Ball):
        square = square_of_distance(region)
        if square is None or (not inside and region.coordinates[0].declaration.shape):
            return None
        return 1 - square / exact(region.radius) ** 2 if inside else 1 - exact(region.radius) ** 2 / square
    sides = _sides(region)
    if not inside or sides is None:
        return None
    if isinstance(region, Box):
        ends = zip(region.coordinates, map(exact, region.low), map(exact, region.high), strict=True)
        return sp.Mul(*(4 * (c - low) * (high - c) / (high - low) ** 2 for c, low, high in ends))
    corners = region.vertices
    return sp.Mul(*(_expression(region, side) / max(_distance(side, v) for v in corners) for side in sides))


def square_of_distance(ball: Ball) -> sp.Expr | None:
    """|x - center|^2 in the coordinates of a ball; None where a vector has a center with different components."""
    X = ball.coordinates[0]
    if not X.declaration.shape:
        return sp.Add(*((c - exact(m)) ** 2 for c, m in zip(ball.coordinates, ball.center, strict=True)))
    if len(set(ball.center)) > 1:
        return None
    i = sp.Symbol("i", integer=True)
    return sp.Sum((X[i] - (exact(ball.center[0]) if ball.center else 0)) ** 2, (i, 0, X.declaration.shape[0] - 1))


def _sides(region: Any) -> list[Linear] | None:
    """The half-planes that a box or a convex polygon is made of; None for any other region."""
    if isinstance(region, Box):
        unit = np.eye(len(region.coordinates))
        return [
            (tuple(s * row), -s * end) for row, *ends in zip(unit, region.low, region.high, strict=True) for s, end in zip((1, -1), ends, strict=True)
        ]
    if not isinstance(region, Polygon):
        return None
    corners, sides = region.vertices, list[Linear]()
    for (x0, y0), (x1, y1) in zip(corners, [*corners[1:], corners[0]], strict=True):
        length = float(np.hypot(x1 - x0, y1 - y0))
        normal = ((y0 - y1) / length, (x1 - x0) / length)  # counterclockwise: to the left is inside
        sides.append((normal, -normal[0] * x0 - normal[1] * y0))
    convex = all(_distance(side, v) > -1e-12 for side in sides for v in corners)
    return sides if convex else None


def _distance(side: Linear, point: Any) -> float:
    return float(np.dot(side[0], point) + side[1])


def _expression(region: Any, side: Linear) -> sp.Expr:
    return sp.Add(*(exact(n) * c for n, c in zip(side[0], region.coordinates, strict=True)), exact(side[1]))


# -- several surfaces --------------------------------------------------------------------------------


def interpolated(values: list[sp.Expr], parts: list[tuple[Region, ...]], factors: dict[Region, sp.Expr]) -> sp.Expr | None:
    """An expression with each value on its parts; None where surfaces with different values meet."""
    groups: dict[sp.Expr, list[Region]] = {}
    for value, some in zip(values, parts, strict=True):
        groups.setdefault(value, []).extend(some)
    for one, other in itertools.combinations(groups.values(), 2):
        if any(_may_meet(a, b) for a in one for b in other):
            return None
    own = [sp.Mul(*(factors[p] for p in dict.fromkeys(some))) for some in groups.values()]
    weights = [sp.Mul(*(f for j, f in enumerate(own) if j != i)) for i in range(len(own))]
    return sp.Add(*(v * w for v, w in zip(groups, weights, strict=True))) / sp.Add(*weights)


def _may_meet(a: Any, b: Any) -> bool:
    """Whether two surfaces may have common points."""
    if isinstance(a, Ball) and isinstance(b, Ball):
        apart = float(np.linalg.norm(np.subtract(a.center, b.center)))
        return abs(a.radius - b.radius) <= apart <= a.radius + b.radius
    ball, other = (a, b) if isinstance(a, Ball) else (b, a)
    sides = _sides(other)
    return not isinstance(ball, Ball) or sides is None or min(_distance(s, ball.center) for s in sides) <= ball.radius


def point_on(region: Any, rng: np.random.Generator) -> dict[Any, sp.Float]:
    """A random point on the surface of a primitive region, by coordinate."""
    if isinstance(region, Ball):
        ray = rng.normal(size=len(region.coordinates))
        where = np.asarray(region.center) + ray * region.radius / np.linalg.norm(ray)
    elif isinstance(region, Box):
        where = rng.uniform(region.low, region.high)
        side = rng.integers(len(where))
        where[side] = (region.low, region.high)[rng.integers(2)][side]
    else:
        k, s = rng.integers(len(region.vertices)), rng.uniform()
        where = (1 - s) * np.asarray(region.vertices[k - 1]) + s * np.asarray(region.vertices[k])
    return {c: sp.Float(v) for c, v in zip(region.coordinates, where, strict=True)}
