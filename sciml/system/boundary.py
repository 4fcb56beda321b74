"""Conditions at the sides of space: what a user may write for them, and what is wrong with them.

`boundary={x.left: sci.eq(u, 0), x.right: [sci.eq(u.diff(x), 0)]}` is kept as {"x.left": (equation,), ...}.
"""

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from ..errors import ModelError, nearest
from ..symbols import Side, declaration_of, distinct_nodes
from .equation import Equation, as_equation

if TYPE_CHECKING:
    from .system import System

Boundary = dict[str, tuple[Equation, ...]]


def as_boundary(given: Any, of_components: Iterable[Boundary] = ()) -> Boundary:
    """The conditions by the name of their side, those of components first."""
    made: dict[str, tuple[Equation, ...]] = {}
    for part in of_components:
        for side, conditions in part.items():
            made[side] = (*made.get(side, ()), *conditions)
    if given is not None and not isinstance(given, Mapping):
        raise ModelError(f"boundary is a dict from sides to conditions, {{x.left: sci.eq(u, 0)}}, not {type(given).__name__}.")
    for side, conditions in (given or {}).items():
        name = _side_name(side)
        listed = (
            conditions
            if isinstance(conditions, list) or (isinstance(conditions, tuple) and conditions and isinstance(conditions[0], Equation))
            else [conditions]
        )
        made[name] = (*made.get(name, ()), *(e for c in listed for e in as_equation(c)))
    return made


def _side_name(side: Any) -> str:
    if isinstance(side, Side):
        return side.name
    if isinstance(side, str) and side.rpartition(".")[2] in ("left", "right") and side.rpartition(".")[0]:
        return side
    raise ModelError(f'boundary has the key {side!r}, which is not a side: write {{x.left: ..., x.right: ...}} with x = sci.space("x", 0, 1).')


def checked_boundary(system: "System") -> None:
    """Sides that exist, conditions that speak of fields there, and none said twice."""
    spaces = {n: c for n, c in system.coordinates.items() if declaration_of(c).kind == "space"}
    for side, conditions in system.boundary.items():
        name = side.rpartition(".")[0]
        if name not in spaces:
            raise ModelError(f"boundary has '{side}', and no equation of System '{system.name}' has the coordinate '{name}'. {nearest(name, spaces)}")
        if spaces[name].declaration.payload["periodic"]:
            raise ModelError(f"boundary has '{side}', and '{name}' is periodic: it has no sides. Remove the condition, or periodic=True.")
        for i, e in enumerate(conditions):
            if not any(getattr(declaration_of(n), "kind", "") == "field" for n in distinct_nodes(e.lhs, e.rhs)):
                raise ModelError(
                    f"The condition {e.cited} at {side} holds no field. If a derivative was meant, it was taken by another symbol: u.diff({name})."
                )
            if e in conditions[:i]:
                raise ModelError(f"The condition {e.cited} stands twice at {side}. Remove one of them.")


__all__ = ["Boundary", "as_boundary", "checked_boundary"]
