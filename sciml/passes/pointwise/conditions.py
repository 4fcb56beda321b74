"""Conditions as terms: at the sides and on surfaces, at the start and at the end of time."""

import dataclasses
from typing import Any

import numpy as np
import sympy as sp

from ...errors import ModelError
from ...symbols import Applied, At, Coordinate, declaration_of, distinct_nodes, t
from ...system import Equation, System, text
from .form import Place
from .reader import Fixed


@dataclasses.dataclass(frozen=True, eq=False)
class Condition:
    """What must hold at a place.

    Attributes:
        kind: "boundary", "initial" or "final".
        place: where.
        fixed: coordinates that have one value there.
        lhs, rhs: the two sides, as declared.
        fields: names of the fields in it, the first one gives it its name.
        order: of an initial or final condition, the derivative by time that it gives.
        name, cited: for weights and for messages.
    """

    kind: str
    place: Place
    fixed: Fixed
    lhs: sp.Expr
    rhs: sp.Expr
    fields: tuple[str, ...]
    order: int
    name: str
    cited: str


def conditions_of(system: System) -> list[Condition]:
    """All conditions of a System, in the order in which they were declared."""
    found = [c for key, listed in system.boundary.items() for c in _boundary(system, key, listed)]
    found += _in_time(system, "initial", starts(system))
    found += _in_time(system, "final", getattr(system, "final", {}))
    return found


def surfaces_of(system: System) -> dict[str, Any]:
    """The surfaces at which conditions are given, by their key."""
    return getattr(system, "surfaces", {})


def starts(system: System) -> dict[str, Any]:
    """Initial values of fields by name: those of the System go before those of the declarations."""
    fields = {n: s for n, s in system.symbols.items() if declaration_of(s).kind == "field"}
    declared = {n: declaration_of(s).value for n, s in fields.items() if declaration_of(s).value is not None}
    return {n: v for n, v in {**declared, **system.initial}.items() if n.rstrip("'") in fields}


def fields_in(*expressions: sp.Expr) -> tuple[str, ...]:
    """Names of the fields in some expressions, in order."""
    found = [declaration_of(n).name for n in distinct_nodes(*expressions) if getattr(declaration_of(n), "kind", "") == "field"]
    return tuple(dict.fromkeys(found))


# -- sides and surfaces -------------------------------------------------------------------------


def _boundary(system: System, key: str, listed: tuple[Equation, ...]) -> list[Condition]:
    surface = surfaces_of(system).get(key)
    if surface is not None:
        return [_made("boundary", Place((), surface), {}, e, key) for e in listed]
    name, _, end = key.rpartition(".")
    coordinate = system.coordinates[name]
    made = []
    for e in listed:
        place: tuple[tuple[str, str | float], ...] = ((name, end),)
        fixed = {coordinate: _position(coordinate, end)}
        touching = _touching(system, e, coordinate, fixed[coordinate])
        if not touching and not any(coordinate in declaration_of(system.symbols[n]).over for n in fields_in(e.lhs, e.rhs)):
            raise ModelError(f"The condition {e.cited} at {key} holds no field over {coordinate.name}: it belongs to another side.")
        for other, its_end in touching:
            place = (*place, (other.name, its_end))
            fixed[other] = _position(other, its_end)
        made.append(_made("boundary", Place(place), fixed, e, key))
    return made


def _made(kind: str, place: Place, fixed: Fixed, e: Equation, key: str) -> Condition:
    fields = fields_in(e.lhs, e.rhs)
    what = text(e.lhs) if isinstance(e.lhs, sp.Derivative | Applied) else fields[0]
    return Condition(kind, place, fixed, e.lhs, e.rhs, fields, 0, f"{what} at {key}", f"{e.cited} at {key}")


def _position(c: Coordinate, end: str) -> float:
    return float(c.declaration.payload["low" if end == "left" else "high"])


def _touching(system: System, e: Equation, coordinate: Coordinate, position: float) -> list[tuple[Coordinate, str]]:
    """At an interface: the ends of other intervals, whose fields do not know this coordinate, that meet it here."""
    found: dict[Coordinate, str] = {}
    for name in fields_in(e.lhs, e.rhs):
        over = declaration_of(system.symbols[name]).over
        if coordinate in over:
            continue
        for c in over:
            ends = [end for end in ("left", "right") if c != t and not c.declaration.payload["periodic"] and _position(c, end) == position]
            if ends:
                found.setdefault(c, ends[0])
    return list(found.items())


# -- the start and the end ------------------------------------------------------------------------


def _in_time(system: System, kind: str, values: dict[str, Any]) -> list[Condition]:
    made = []
    for key, value in values.items():
        stem = key.rstrip("'")
        order = len(key) - len(stem)
        symbol = system.symbols[stem]
        if t not in symbol.args:
            raise ModelError(f"'{stem}' has an {kind} value and does not depend on the time. Declare it over sci.t, or remove the value.")
        if isinstance(value, np.ndarray):
            raise ModelError(
                f"The {kind} value of '{key}' is an array of shape {value.shape}, and a network is asked between its points, too. Write a formula "
                f'of the coordinates, or a table of the array: start = sci.table("start", grid, values); {kind}={{{stem}: start(x)}}.'
            )
        word = "start" if kind == "initial" else "end"
        rhs = sp.Integer(int(value)) if isinstance(value, float) and value.is_integer() else sp.sympify(value)
        lhs = symbol.diff((t, order)) if order else symbol
        made.append(Condition(kind, Place((("t", word),)), {}, lhs, rhs, (stem,), order, f"{kind} {key}", f"{kind}={{{key}: {text(rhs)}}}"))
    return made


def pinned(system: System, e: Equation) -> tuple[Place, Fixed] | None:
    """The place of an equation whose fields are all taken at one and the same place: `sci.at(p, x, 0) = 0`, which fixes a pressure."""
    places: list[Fixed] = []

    def visit(node: Any, fixed: Fixed) -> None:
        if isinstance(node, At):
            visit(node.args[0], {**fixed, node.args[1]: float(node.args[2])})
        elif getattr(declaration_of(node), "kind", "") == "field":
            places.append(fixed)
        else:
            for a in node.args:
                visit(a, fixed)

    visit(e.lhs, {})
    visit(e.rhs, {})
    if not places or not places[0] or any(p != places[0] for p in places):
        return None
    return Place(tuple((c.name, _end(c, value)) for c, value in places[0].items())), places[0]


def _end(c: Coordinate, value: float) -> str | float:
    ends = {} if c.declaration.payload["periodic"] else {_position(c, "left"): "left", _position(c, "right"): "right"}
    return ends.get(value, value)
