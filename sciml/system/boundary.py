"""Conditions at the sides of space and on surfaces: what a user may write for them, and what is wrong with them.

`boundary={x.left: sci.eq(u, 0), hole.surface: [sci.eq(u, 1)]}` is kept by names, {"x.left": (equation,), ...}. At a side
the outward normal is known: -1 or 1 along its coordinate, and 0 along the others.
"""

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

import sympy as sp

from ..errors import ModelError, nearest
from ..symbols import Quantity, Region, Side, Surface, declaration_of, distinct_nodes
from .domain import checked_surface, surfaces_by_name
from .equation import Equation, as_equation

if TYPE_CHECKING:
    from .system import System

Boundary = dict[str, tuple[Equation, ...]]


def as_boundary(given: Any, of_components: Iterable["System"] = (), domain: Region | None = None) -> tuple[Boundary, dict[str, Surface]]:
    """The conditions by the name of their side or surface, those of components first; and the surfaces by name."""
    made: dict[str, tuple[Equation, ...]] = {}
    surfaces: dict[str, Surface] = {}
    for part in of_components:
        surfaces.update({name: checked_surface(s, domain) for name, s in part.surfaces.items()})
        for name, conditions in part.boundary.items():
            made[name] = (*made.get(name, ()), *conditions)
    if given is not None and not isinstance(given, Mapping):
        raise ModelError(f"boundary is a dict from sides to conditions, {{x.left: sci.eq(u, 0)}}, not {type(given).__name__}.")
    known = {**surfaces_by_name(domain), **surfaces}
    for key, conditions in (given or {}).items():
        side: Any = known.get(key, key) if isinstance(key, str) else key
        name = _side_name(side)
        if isinstance(side, Surface):
            surfaces[name] = checked_surface(side, domain)
        listed = (
            conditions
            if isinstance(conditions, list) or (isinstance(conditions, tuple) and conditions and isinstance(conditions[0], Equation))
            else [conditions]
        )
        equations = [e for c in listed for e in as_equation(c)]
        made[name] = (*made.get(name, ()), *(_with_normal(e, side, name) for e in equations))
    return made, surfaces


def _side_name(side: Any) -> str:
    if isinstance(side, Side | Surface):
        return side.name
    if isinstance(side, Region):
        raise ModelError(f"boundary has the region {side} for a key: write its surface, region.surface.")
    if isinstance(side, str) and side.rpartition(".")[2] in ("left", "right") and side.rpartition(".")[0]:
        return side
    raise ModelError(f'boundary has the key {side!r}, which is not a side: write {{x.left: ..., x.right: ...}} with x = sci.space("x", 0, 1).')


def _with_normal(e: Equation, side: Any, name: str) -> Equation:
    """The condition with the outward normal as numbers, as far as it is known: at a side, or along what a surface is not in."""
    along, _, end = name.rpartition(".")
    value: dict[sp.Basic, sp.Basic] = {}
    for n in distinct_nodes(e.lhs, e.rhs):
        if isinstance(n, Quantity) and n.declaration.kind == "normal":
            c = n.declaration.over[0]
            if not isinstance(side, Surface):
                value[n] = sp.Integer((-1 if end == "left" else 1) if c.name == along else 0)
            elif c not in side.coordinates:
                value[n] = sp.S.Zero
    return e.map(lambda expression: expression.xreplace(value)) if value else e


def checked_boundary(system: "System") -> None:
    """Sides that exist, conditions that speak of fields there, and none said twice."""
    spaces = {n: c for n, c in system.coordinates.items() if declaration_of(c).kind == "space"}
    for side, conditions in system.boundary.items():
        name = ", ".join(c.name for c in system.surfaces[side].coordinates) if side in system.surfaces else side.rpartition(".")[0]
        if side not in system.surfaces:
            _checked_side(system, side, name, spaces)
        for i, e in enumerate(conditions):
            if not any(getattr(declaration_of(n), "kind", "") == "field" for n in distinct_nodes(e.lhs, e.rhs)):
                raise ModelError(
                    f"The condition {e.cited} at {side} holds no field. If a derivative was meant, it was taken by another symbol: u.diff({name})."
                )
            if e in conditions[:i]:
                raise ModelError(f"The condition {e.cited} stands twice at {side}. Remove one of them.")


def _checked_side(system: "System", side: str, name: str, spaces: dict[str, Any]) -> None:
    if name not in spaces:
        raise ModelError(f"boundary has '{side}', and no equation of System '{system.name}' has the coordinate '{name}'. {nearest(name, spaces)}")
    c = spaces[name]
    if c.declaration.payload["periodic"]:
        raise ModelError(f"boundary has '{side}', and '{name}' is periodic: it has no sides. Remove the condition, or periodic=True.")
    if c.declaration.shape:
        raise ModelError(f"boundary has '{side}', and '{name}' is a vector: it has no sides. Write a surface, sci.ball({name}).surface.")
    domain = system.domain
    if domain is not None and c in domain.coordinates:
        value = c.declaration.payload["low" if side.endswith(".left") else "high"]
        if not domain.reaches(c, value):
            have = "; ".join(p.surface_name for p in domain.parts()[:8])
            raise ModelError(
                f"boundary has '{side}', and no side of the domain lies at {name} = {value:g}. Its surfaces are {have}: write region.surface."
            )


__all__ = ["Boundary", "as_boundary", "checked_boundary"]
