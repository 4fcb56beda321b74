"""The domain of a System, the surfaces on it, and the values at the end of time: what is wrong with them."""

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import ModelError, nearest
from ..symbols import Difference, Intersection, Region, Surface, Union, declaration_of, distinct_nodes

if TYPE_CHECKING:
    from .system import System


def as_domain(given: Any, of_components: Iterable[Region | None] = ()) -> Region | None:
    """The domain that is given, or the one that the components share."""
    if given is not None and not isinstance(given, Region):
        raise ModelError(
            f"domain={given!r} is not a region. Write domain=sci.ball((x, y), radius=1), sci.box, sci.polygon, or regions joined by |, & and -."
        )
    shared = list(dict.fromkeys(d for d in of_components if d is not None))
    if given is None and len(shared) > 1:
        raise ModelError(f"The components have the domains {' and '.join(map(str, shared))}. Say which one holds: sci.System(..., domain=...).")
    return given if given is not None or not shared else shared[0]


def surfaces_by_name(domain: Region | None) -> dict[str, Surface]:
    """Every surface that a domain has, by name: of the whole, of what it is made of, and of the parts of these."""
    found: dict[str, Surface] = {}
    stack = [] if domain is None else [domain]
    while stack:
        region = stack.pop()
        found[region.surface.name] = region.surface
        if isinstance(region, Union | Intersection | Difference):
            stack += [region.b, region.a]
    return found


def checked_surface(surface: Surface, domain: Region | None) -> Surface:
    """A surface of which the domain has every part."""
    if domain is None:
        raise ModelError(f"boundary has {surface}, and the System has no domain of its own: sci.System(..., domain=region) with that region in it.")
    for part in surface.region.parts():
        if part not in domain.parts():
            have = "; ".join(p.surface_name for p in domain.parts()[:8])
            raise ModelError(f"boundary has {part.surface_name}, and the domain has no such part; it has {have}. Write the .surface of one of these.")
    return surface


def checked_domain(system: "System") -> None:
    """A domain in coordinates of the System and within their ranges, and normals on the boundary alone."""
    domain = system.domain
    if domain is not None:
        spaces = {n: c for n, c in system.coordinates.items() if declaration_of(c).kind == "space"}
        for c, (low, high) in zip(domain.coordinates, domain.bounds, strict=True):
            if spaces.get(c.name) != c:
                raise ModelError(f"The domain is in '{c.name}', and no field of System '{system.name}' is over it. {nearest(c.name, spaces)}")
            own = [c.declaration.payload[k] for k in ("low", "high")]
            if not own[0] <= low < high <= own[1]:
                wider = ", ".join(f"{v:g}" if np.isfinite(v) else f"{'-' * (v < 0)}sp.oo" for v in (min(low, own[0]), max(high, own[1])))
                raise ModelError(
                    f"The domain reaches from {c.name} = {low:g} to {high:g}, and '{c.name}' lies between {own[0]:g} and {own[1]:g}. Write "
                    f'{c.name} = sci.space("{c.name}", {wider}{f", dim={c.dim}" * (c.dim > 1)}), or cut the domain with & sci.box(...).'
                )
    _no_surface_across_periods(system)
    _no_normal_inside(system)


def _no_surface_across_periods(system: "System") -> None:
    """No condition where a periodic coordinate closes on itself: that is inside the domain, though a box ends there."""
    for name, surface in system.surfaces.items():
        for c in surface.coordinates:
            payload = c.declaration.payload
            ends = [payload["low"], payload["high"]] if payload["periodic"] else []
            if any(part.reaches(c, end) for part in surface.region.parts() for end in ends):
                others = ", ".join(f"{o.name}.left" for o in surface.coordinates if not o.declaration.payload["periodic"])
                cure = f"Write the sides one by one: {others}, ..." if others else "Remove the condition."
                raise ModelError(f"boundary has {name}, which has a side where the periodic '{c.name}' closes on itself. {cure}")


def _no_normal_inside(system: "System") -> None:
    inside = [(side, e.cited) for e in system.equations for side in (e.lhs, e.rhs)]
    values = {**system.observed, **system.initial, **system.final}
    inside += [(v, f"The value of '{n}'") for n, v in values.items() if hasattr(v, "args")]
    for expression, where in inside:
        if any(getattr(declaration_of(n), "kind", "") == "normal" for n in distinct_nodes(expression)):
            raise ModelError(f"{where} holds a normal derivative, and a normal exists on the boundary alone. Write it in boundary={{...}}.")


def checked_final(system: "System", orders: dict[str, int]) -> None:
    """Values at the end for fields with a rate, and not more values in time than the order of the rate.

    `orders` gives the highest time derivative of each unknown and field.
    """
    for name in system.final:
        stem = name.rstrip("'")
        order = orders.get(stem, 0)
        if stem not in orders:
            raise ModelError(f"final has '{name}', which stands in no equation of System '{system.name}'. {nearest(name, orders)}")
        if declaration_of(system.symbols[stem]).kind != "field":
            raise ModelError(
                f"final has '{name}', and '{stem}' depends on time alone: values at the end are for fields. To reach a value at the end, "
                f"fit the start: sci.fit(system, table, free=[{stem}])."
            )
        if order <= len(name) - len(stem):
            why = f"'{stem}' has no derivative in time" if order == 0 else f"{name} follows from the equations"
            raise ModelError(f"final has '{name}', and {why}. Remove it.")
        declared = [stem] if declaration_of(system.symbols[stem]).value is not None else []
        at_start = sorted({*declared, *(n for n in system.initial if n.rstrip("'") == stem)})
        at_end = sorted(n for n in system.final if n.rstrip("'") == stem)
        if at_start and len(at_start) + len(at_end) > order:
            raise ModelError(
                f"'{stem}' has values at the start ({', '.join(at_start)}) and at the end ({', '.join(at_end)}), and its equation is of order "
                f"{order} in time, which takes {order} in all. Remove initial= or final=."
            )


__all__ = ["as_domain", "checked_domain", "checked_final", "checked_surface", "surfaces_by_name"]
