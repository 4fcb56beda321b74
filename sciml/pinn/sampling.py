"""Points where the terms of a System must vanish: inside, at sides, at the start and the end, on surfaces.

| place               | points                                                                                         |
|---------------------|------------------------------------------------------------------------------------------------|
| inside              | uniform in the box of the coordinates, or in the domain                                        |
| a side, the start   | the same, with one coordinate at its end                                                       |
| a surface           | uniform by length or area where the boundary of the domain lies on it, with outward normals    |
| where it matters    | `rad`: drawn from candidates with probability ~ |r|^k/mean(|r|^k) + c                          |

Everything runs on the device, from a key to points of a fixed number. Balls and boxes are filled by maps; other regions by rejection:
more points than needed are drawn, those outside are left out, and the first n of the rest are taken. How many more is known
beforehand from the share that a region has of its bounding box; should they not suffice all the same, some points stand twice.
"""

import dataclasses
import functools
import math
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from ..errors import FitError, nearest
from ..passes.pointwise import Place
from ..symbols import Ball, Box, Coordinate, Region, Surface
from .embedding import dimension, ends
from .filling import ball_columns, checked_radial, fill_ball, fill_box, fill_surface, surface_columns
from .geometry import bounding_box, distance, extent, size_of
from .sequences import CUBES, cube, sobol_table

SCHEMES = (*CUBES, "grid")
"""How points lie: see `sequences`; "grid" is the middles of equal cells, the same at every draw, at most n of them."""


@dataclasses.dataclass(frozen=True)
class _Filling:
    """How a place is filled from the unit cube.

    Attributes:
        columns: of the cube.
        fill: (m, columns) to points (m, size), normals (m, scalar coordinates of space) or None, accepted (m,) or None.
        share: of the points that are accepted.
    """

    columns: int
    fill: Callable[[Any], tuple[Any, Any, Any]]
    share: float = 1.0


def sample(
    place: Place,
    coordinates: Sequence[Coordinate],
    t_span: Any,
    domain: Region | None,
    n: int,
    key: Any,
    scheme: Any = "uniform",
    radial: Any = None,
) -> tuple[Any, Any]:
    """Points of a place as flat vectors.

    Args:
        place: inside, at ends of coordinates, or on a surface.
        coordinates: in the order of a point: the time first, vectors last.
        t_span: start and end of the time; not used without a time.
        domain: the region of a System, or None for the box of its coordinates.
        n: how many points; a "grid" has at most so many.
        key: `jax.random.key(...)`.
        scheme: "uniform", "sobol", "latin" or "grid".
        radial: in balls, "volume" for points even in volume, "uniform" for a radius that is uniform itself. If left out, volume for
            scalar coordinates and uniform for a vector coordinate.

    Returns:
        points (n, size), and at a surface of scalar coordinates the outward unit normals (n, scalar coordinates of space), else None.

    Raises:
        FitError: an unbounded coordinate, an unknown scheme, a surface that bounds nothing, a grid of too many dimensions.

    >>> import jax, sciml as sci
    >>> from sciml.passes.pointwise import Place
    >>> from sciml.pinn.sampling import sample
    >>> x, y = sci.space("x", -1, 1), sci.space("y", -1, 1)
    >>> plate = sci.box((x, y), (-1, -1), (1, 1)) - sci.ball((x, y), (0, 0), 0.5)
    >>> points, normals = sample(Place(surface=plate.parts()[1].surface), (sci.t, x, y), (0, 2), plate, 5, jax.random.key(0))
    >>> points.shape, normals.shape
    ((5, 3), (5, 2))
    >>> bool((abs((points[:, 1:]**2).sum(axis=1) - 0.25) < 1e-6).all() and ((points[:, 1:]*normals).sum(axis=1) < 0).all())
    True
    """
    if scheme not in SCHEMES:
        raise FitError(f"There is no sampling scheme '{scheme}'. {nearest(str(scheme), SCHEMES)}")
    filling = _filling(place, tuple(coordinates), t_span, domain, radial)
    if scheme == "grid":
        return _on_grid(filling, n)
    m = _candidates(n, filling.share)
    points, normals, accepted = filling.fill(cube(scheme, key, m, filling.columns) if filling.columns else jnp.zeros((m, 0)))
    if accepted is None:
        return points, normals
    rows = _first(accepted, n)
    return points[rows], None if normals is None else normals[rows]


def rad(key: Any, candidates: Any, residuals: Any, n: int, k: float = 1.0, c: float = 1.0) -> Any:
    """Candidates drawn without replacement, each with a probability in proportion to |r|^k/mean(|r|^k) + c, at most 1.

    The draw is systematic: candidates are put in the order of a curve that fills space, and drawn at equal steps of the probability
    so far, from one random start. Neighbours share what is drawn, so that the points are as even as their density allows, and a mean
    over them has a far smaller variance than one over independent points.

    Args:
        key: `jax.random.key(...)`.
        candidates: (m, size) points.
        residuals: (m,) residuals at them. One that is not finite counts as zero.
        n: how many to draw, at most m.
        k: how strongly large residuals attract. 0: not at all.
        c: the share of points that are drawn anywhere.

    Returns:
        (n, size), along the curve.

    Raises:
        FitError: more points than candidates, negative k or c.

    References:
        Wu, Zhu, Tan, Kartha and Lu, CMAME 403 (2023) 115671, for the density; Madow and Madow, Ann. Math. Statist. 15 (1944) 1, for
        systematic sampling; Morton 1966 for the curve.

    >>> import jax, jax.numpy as jnp
    >>> from sciml.pinn.sampling import rad
    >>> x = jnp.linspace(0, 1, 1000)[:, None]
    >>> bool(rad(jax.random.key(0), x, jnp.exp(5*x[:, 0]), 100, k=2, c=0).mean() > 0.8)
    True
    """
    if n > candidates.shape[0]:
        raise FitError(f"rad draws {n} of {candidates.shape[0]} candidates: give more candidates, or draw fewer.")
    if k < 0 or c < 0:
        raise FitError(f"rad with k={k}, c={c}: both are zero or more.")
    order = jnp.argsort(along_a_curve(candidates))
    reached = jnp.cumsum(_probabilities(densities(residuals, k, c)[order], n))
    ticks = (jnp.arange(n, dtype=reached.dtype) + jax.random.uniform(key, (), reached.dtype)) * (reached[-1] / n)
    return candidates[order[jnp.clip(jnp.searchsorted(reached, ticks), 0, candidates.shape[0] - 1)]]


def _probabilities(density: Any, n: int) -> Any:
    """In proportion to a density, at most 1 each, so that none is drawn twice, and n together: what is cut off goes to the others."""
    falling = jnp.sort(density)[::-1]
    rest = jnp.cumsum(density[jnp.argsort(density)])[::-1]  # the sum of those from here on
    left = n - jnp.arange(density.shape[0], dtype=density.dtype)
    first = jnp.argmax(falling * left <= rest)  # how many have probability 1
    return jnp.minimum(density * (left[first] / rest[first]), 1.0)


def along_a_curve(points: Any) -> Any:
    """Where each point lies on Morton's curve through its first coordinates: the bits of at most four of them, interleaved."""
    used = points[:, : min(points.shape[1], 4)]
    low, high = jnp.min(used, axis=0, keepdims=True), jnp.max(used, axis=0, keepdims=True)
    unit = (used - low) / jnp.where(high > low, high - low, 1)
    count = used.shape[1]
    bits = 30 // count
    whole = (unit * (2**bits - 1)).astype(jnp.uint32)
    code = jnp.zeros(points.shape[0], jnp.uint32)
    for bit in range(bits):
        for i in range(count):
            code = code | (((whole[:, i] >> jnp.uint32(bit)) & jnp.uint32(1)) << jnp.uint32(bit * count + i))
    return code


def densities(residuals: Any, k: float = 1.0, c: float = 1.0) -> Any:
    """|r|^k/mean(|r|^k) + c, of mean 1 + c: how much more often than others a candidate is drawn first."""
    size = jnp.where(jnp.isfinite(residuals), jnp.abs(residuals), 0.0)
    largest = size.max()
    power = (size / jnp.where(largest > 0, largest, 1.0)) ** k  # divided first: no overflow
    mean = power.mean()
    tiny = float(jnp.finfo(power.dtype).tiny)
    return jnp.where(mean > 0, power / jnp.where(mean > 0, mean, 1.0), 1.0) + max(c, tiny)


def _candidates(n: int, share: float) -> int:
    """So many that fewer than n of them are accepted once in a million draws."""
    return n if share >= 1.0 else math.ceil((n + 5.0 * math.sqrt(n) + 30.0) / share)


def _first(accepted: Any, n: int) -> Any:
    """The rows of the first n that are accepted, from the beginning again where there are fewer."""
    rows = jnp.flatnonzero(accepted, size=n, fill_value=0)
    found = jnp.clip(accepted.sum(), 1, n).astype(rows.dtype)
    return rows[jnp.arange(n, dtype=rows.dtype) % found]


def _on_grid(filling: _Filling, n: int) -> tuple[Any, Any]:
    """Middles of equal cells, as many as n allows with equally many in each direction."""
    columns = filling.columns
    if columns == 0:  # one point alone
        points, normals, _ = filling.fill(jnp.zeros((1, 0)))
        return points, normals
    side = math.floor((n / filling.share) ** (1.0 / columns) + 1e-9)
    if side < 2 <= columns:
        raise FitError(f'A grid in {columns} dimensions needs 2^{columns} points or more, not {n}: write sampling="sobol" or "uniform".')
    with jax.ensure_compile_time_eval():
        middles = (np.arange(max(side, 1)) + 0.5) / max(side, 1)
        mesh = np.stack(np.meshgrid(*[middles] * columns, indexing="ij"), axis=-1).reshape(-1, columns)
        points, normals, accepted = filling.fill(jnp.asarray(mesh, jnp.zeros(()).dtype))
        rows = np.arange(len(mesh)) if accepted is None else np.flatnonzero(np.asarray(accepted))
        return points[rows[:n]], None if normals is None else normals[rows[:n]]


def _filling(place: Place, coordinates: tuple[Coordinate, ...], t_span: Any, domain: Region | None, radial: Any) -> _Filling:
    """What all coordinates take together: those of the domain at once, each other one by itself."""
    fixed = {c.name: _position(c, end, t_span) for c in coordinates for name, end in place.fixed if name == c.name}
    region = _region_filling(place.surface, domain, tuple((c, fixed[c.name]) for c in coordinates if c.name in fixed and _within(c, domain)), radial)
    own = [c for c in coordinates if not _within(c, domain) and c.name not in fixed]
    for c in own:
        _refuse_unbounded(c, t_span)
    columns = region.columns + sum(map(dimension, own))

    def fill(u: Any) -> tuple[Any, Any, Any]:
        parts: dict[str, Any] = {}
        at, normals, accepted = region.fill(u[:, : region.columns])
        start = 0
        for c in domain.coordinates if domain is not None else ():
            parts[c.name] = at[:, start : start + dimension(c)]
            start += dimension(c)
        start = region.columns
        for c in own:
            low, high = (jnp.full((dimension(c),), v, u.dtype) for v in ends(c, t_span))
            parts[c.name] = fill_box(low, high, u[:, start : start + dimension(c)])
            start += dimension(c)
        for c in coordinates:
            if c.name in fixed and c.name not in parts:
                parts[c.name] = jnp.full((len(u), dimension(c)), fixed[c.name], u.dtype)
        return jnp.concatenate([parts[c.name] for c in coordinates], axis=1), _spread(normals, coordinates, domain), accepted

    return _Filling(columns, fill, region.share)


def _position(c: Coordinate, end: str | float, t_span: Any) -> Any:
    return ends(c, t_span)[end in ("right", "end")] if isinstance(end, str) else end


def _within(c: Coordinate, domain: Region | None) -> bool:
    return domain is not None and c in domain.coordinates


def _refuse_unbounded(c: Coordinate, t_span: Any) -> None:
    if c.declaration.kind == "time" or all(map(math.isfinite, ends(c, t_span))):
        return
    where = f"sci.ball({c.name}, radius=1)" if c.declaration.shape else f'{c.name} = sci.space("{c.name}", 0, 1)'
    how = f"System(..., domain={where})" if c.declaration.shape else where
    raise FitError(
        f"'{c.name}' has no ends between which points could be drawn. Write {how}, or give the points yourself: "
        f'sampling=lambda key, n: {{"{c.name}": ..., ...}}.'
    )


def _spread(normals: Any, coordinates: tuple[Coordinate, ...], domain: Region | None) -> Any:
    """Normals with a column for every scalar coordinate of space; None for a vector coordinate."""
    if normals is None or domain is None or domain.coordinates[0].declaration.shape:
        return None
    column = {c: normals[:, i : i + 1] for i, c in enumerate(domain.coordinates)}
    none = jnp.zeros_like(normals[:, :1])
    scalars = [c for c in coordinates if c.declaration.kind == "space" and not c.declaration.shape]
    return jnp.concatenate([column.get(c, none) for c in scalars], axis=1)


# -- the coordinates of the domain ------------------------------------------------------------------

Fixed = tuple[tuple[Coordinate, float], ...]


def _region_filling(surface: Surface | None, domain: Region | None, fixed: Fixed, radial: Any) -> _Filling:
    precision = jnp.zeros(()).dtype.name
    if surface is not None:
        if domain is None:
            raise FitError(f"Points on {surface.name} need a System with a domain: System(..., domain=...).")
        return _surface_filling(surface, domain, precision)
    if domain is None:
        return _Filling(0, lambda u: (u, None, None))
    if fixed:
        return _side_filling(domain, fixed, precision)
    if isinstance(domain, Ball):
        how = checked_radial(radial, domain)
        return _Filling(ball_columns(size_of(domain)), lambda u: (fill_ball(domain, how, u), None, None))
    return _interior_filling(domain, precision)


@functools.lru_cache(maxsize=128)
def _interior_filling(domain: Region, precision: str) -> _Filling:
    low, high = bounding_box(domain)
    if isinstance(domain, Box):
        return _Filling(len(low), lambda u: (fill_box(low, high, u), None, None))
    d = distance(domain)

    def fill(u: Any) -> tuple[Any, Any, Any]:
        points = fill_box(low, high, u)
        return points, None, jax.vmap(d)(points) < 0

    return _counted(len(low), fill)


@functools.lru_cache(maxsize=128)
def _side_filling(domain: Region, fixed: Fixed, precision: str) -> _Filling:
    """Points of the domain where some of its coordinates are fixed. At its edge those count that lie inside when moved inwards a little."""
    low, high = bounding_box(domain)
    start, inwards, step = np.zeros(len(low)), np.zeros(len(low)), _step(domain, precision)
    for c, value in fixed:
        i = domain.coordinates.index(c)
        start[i] = value
        inwards[i] = step * (int(value < low[i] + step) - int(value > high[i] - step))
    free = np.array([i for i, c in enumerate(domain.coordinates) if c not in dict(fixed)], int)
    d = distance(domain)

    def fill(u: Any) -> tuple[Any, Any, Any]:
        points = jnp.tile(jnp.asarray(start, u.dtype)[None], (len(u), 1))
        points = points.at[:, free].set(fill_box(low[free], high[free], u))
        return points, None, jax.vmap(d)(points + jnp.asarray(inwards, u.dtype)[None]) < 0

    found = _counted(len(free), fill)
    if found.share == 0:
        where = ", ".join(f"{c.name} = {value:g}" for c, value in fixed)
        raise FitError(f"{domain} has no points at {where}: leave that condition out, or give it on the surface of the domain.")
    return found


@functools.lru_cache(maxsize=128)
def _surface_filling(surface: Surface, domain: Region, precision: str) -> _Filling:
    """Points on the parts of a surface that bound the domain: one side of them lies in it and the other does not."""
    parts = surface.region.parts()
    columns = surface_columns(parts)
    if parts == (domain,):
        return _Filling(columns, lambda u: (*fill_surface(parts, u), None))
    d, step = distance(domain), _step(domain, precision)

    def fill(u: Any) -> tuple[Any, Any, Any]:
        points, normals = fill_surface(parts, u)
        under, over = (jax.vmap(d)(points + s * normals) < 0 for s in (-step, step))
        return points, jnp.where(over[:, None], -normals, normals), under != over

    found = _counted(columns, fill)
    if found.share == 0:
        raise FitError(f"No part of the boundary of {domain} lies on {surface.name}: leave that condition out, or move the surface.")
    return found


def _step(domain: Region, precision: str) -> float:
    """A step that rounding does not hide, and that is small beside the domain."""
    return extent(domain) * float(np.sqrt(np.finfo(precision).eps))


def _counted(columns: int, fill: Callable[[Any], tuple[Any, Any, Any]]) -> _Filling:
    """A filling with the share that is accepted of 4096 quasi-random points."""
    with jax.ensure_compile_time_eval():
        many = (sobol_table(4096, columns) + 0.5) / 2.0**32 if columns else np.zeros((1, 0))
        accepted = jax.jit(fill)(jnp.asarray(many, jnp.zeros(()).dtype))[2]
        return _Filling(columns, fill, float(accepted.mean()))
