"""Distances from a polygon, with derivatives of all orders inside it.

With a side from a to b of length L, its middle m, its inward normal n:

    f = n.(x - a)                         signed distance from the line
    t = (L^2/4 - |x - m|^2)/L             positive in the disc over the side
    w = f^2 + ((sqrt(t^2 + f^4) - t)/2)^2 smooth, zero on the side alone, f^2 near it
    F = 1/sqrt(sum over sides of 1/w)     zero on the polygon, slope 1 across it

F is the R-equivalence of order 2 of Sukumar and Srivastava (CMAME 389 (2022) 114333). Here it has a sign: the square root of w of the
nearest side is taken as f*sqrt(1 + (f^3/(2 (sqrt(t^2 + f^4) + t)))^2), the same number without the kink at f = 0.
"""

from typing import Any

import jax.numpy as jnp
import numpy as np


def sides(vertices: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Of a counterclockwise polygon: where each side starts, its direction, its length and its outward normal."""
    along = np.roll(vertices, -1, axis=0) - vertices
    length = np.hypot(along[:, 0], along[:, 1])
    unit = along / length[:, None]
    return vertices, unit, length, np.stack([unit[:, 1], -unit[:, 0]], axis=1)


def distance_to_polygon(vertices: np.ndarray, p: Any) -> Any:
    """The signed distance of a point from a polygon, negative inside."""
    k, foot, offset, along = _nearest(vertices, p)
    return _signed(vertices, k, foot, offset, along, p.dtype)


def smooth_polygon(vertices: np.ndarray, p: Any) -> Any:
    """F of the module's docstring at a point, positive inside."""
    k, foot, offset, along = _nearest(vertices, p)
    start, unit, length, outward = (jnp.asarray(v, p.dtype) for v in sides(vertices))
    middle = start + 0.5 * length[:, None] * unit
    f = -jnp.sum((p[None] - start) * outward, axis=1)
    t = (0.25 * length**2 - jnp.sum((p[None] - middle) ** 2, axis=1)) / length
    rho = root(t * t + f**4)
    w = f * f + (0.5 * (rho - t)) ** 2
    others = jnp.where(jnp.arange(len(length)) == k, 0.0, _ratio(w[k], w))
    beside = t[k] > 0
    bend = _ratio(f[k] ** 3, 2.0 * (rho[k] + jnp.where(beside, t[k], 1.0)))
    outside = _signed(vertices, k, foot, offset, along, p.dtype) > 0
    nearest = jnp.where(beside, f[k] * jnp.sqrt(1.0 + bend * bend), jnp.where(outside, -1.0, 1.0) * root(w[k]))
    return nearest / jnp.sqrt(1.0 + jnp.sum(others))


def root(square: Any) -> Any:
    """The square root with slope 0 at 0, in place of an infinite one."""
    positive = square > 0
    return jnp.where(positive, jnp.sqrt(jnp.where(positive, square, 1.0)), 0.0)


def _ratio(a: Any, b: Any) -> Any:
    """a/b, and 1 where b is zero: at a corner, where two sides are equally near."""
    zero = b == 0
    return jnp.where(zero, 1.0, a / jnp.where(zero, 1.0, b))


def _nearest(vertices: np.ndarray, p: Any) -> tuple[Any, Any, Any, Any]:
    """The side nearest to a point: its number, the nearest point as a share of it, what lies between, and p - start along it."""
    start, unit, length, _ = (jnp.asarray(v, p.dtype) for v in sides(vertices))
    along = jnp.sum((p[None] - start) * unit, axis=1)
    foot = jnp.clip(along, 0.0, length)
    offset = p[None] - (start + foot[:, None] * unit)
    k = jnp.argmin(jnp.sum(offset * offset, axis=1))
    return k, foot[k], offset[k], along[k]


def _signed(vertices: np.ndarray, k: Any, foot: Any, offset: Any, along: Any, dtype: Any) -> Any:
    """Beside a side the distance from its line. At a corner the sum of the two normals tells out from in."""
    _, _, length, outward = (jnp.asarray(v, dtype) for v in sides(vertices))
    beside = foot == along
    other = jnp.where(along <= 0, k - 1, (k + 1) % len(length))
    out = jnp.sum(offset * (outward[k] + outward[other])) >= 0
    far = root(jnp.sum(offset * offset))
    return jnp.where(beside, jnp.sum(offset * outward[k]), jnp.where(out, far, -far))
