"""Whether a System has the conditions that make its solution one: a count, before anything is trained.

    in time     as many values at the start or the end as the order of the field's highest derivative by t
    in space    for each coordinate as many conditions at its two sides as the equations have orders in it together

The orders of several equations together are the largest sum over pairs of equations and fields (Jacobi's bound): in
Navier-Stokes flow the pressure, which stands with first derivatives, asks for no condition beside those of the velocity.
"""

from typing import Any

import numpy as np

from ...errors import ModelError, at
from ...symbols import Applied, Coordinate, declaration_of, t
from ...system import System
from .conditions import Condition
from .form import Operator, Partial
from .placeholders import order_of

Orders = dict[tuple[int, str, str], int]
"""(equation, field, coordinate): the highest derivative."""


def orders_of(needed: list[tuple[Operator, ...]]) -> Orders:
    """The highest derivative of each function by each coordinate in each equation, from the operators that it needs."""
    found: Orders = {}
    for i, operators in enumerate(needed):
        for o in operators:
            by = dict(o.orders) if isinstance(o, Partial) else {o.coordinate: order_of(o)} if hasattr(o, "coordinate") else {}
            for name in ("", *by):  # the empty name: the function stands in the equation at all
                key = (i, o.of, name)
                found[key] = max(found.get(key, 0), by.get(name, 0))
    return found


def check(system: System, fields: dict[str, Applied], orders: Orders, equations: int, conditions: list[Condition]) -> None:
    """Refuses a System with too few equations or conditions, naming the field, the place and the line to add."""
    if equations < len(fields):
        alone = [n for n in fields if not any(name == n for _, name, _ in orders)] or list(fields)
        where = at(declaration_of(fields[alone[-1]]).where)
        raise ModelError(
            f"System '{system.name}' has {equations} equation{'s' * (equations != 1)} for the {len(fields)} fields {', '.join(fields)}, and "
            f"'{alone[-1]}'{where} is left without one. Add it; or data instead, with check=False."
        )
    for name, symbol in fields.items():
        _check_time(name, symbol, orders, conditions)
    domain = getattr(system, "domain", None)
    inside = set(domain.coordinates) if domain is not None else set()
    for c in dict.fromkeys(a for s in fields.values() for a in s.args if a != t):
        if c not in inside and not c.declaration.payload["periodic"] and not c.declaration.shape and _bounded(c):
            _check_sides(c, fields, orders, equations, conditions)
    if domain is not None:
        _check_surface(domain, fields, orders, equations, conditions)


def _bounded(c: Coordinate) -> bool:
    return bool(np.isfinite([c.declaration.payload["low"], c.declaration.payload["high"]]).all())


# -- time --------------------------------------------------------------------------------------------


def _check_time(name: str, symbol: Applied, orders: Orders, conditions: list[Condition]) -> None:
    order = max((n for (_, f, c), n in orders.items() if f == name and c == "t"), default=0)
    given = [c for c in conditions if c.kind in ("initial", "final") and c.fields == (name,)]
    if len(given) >= order:
        return
    have = [c.order for c in given if c.kind == "initial"]
    key = name + "'" * next(k for k in range(order) if k not in have)
    shown = f'"{key}"' if key != name else name
    also = f" (or final={{{shown}: ...}})" if not given else ""
    word = _ORDINAL.get(order, str(order))
    raise ModelError(
        f"'{name}' has an equation of {word} order in t and {_said(len(given))} in time. Add its value at the start, such as "
        f"initial={{{shown}: 0}}{also}; or data instead, with check=False."
    )


# -- sides --------------------------------------------------------------------------------------------


def _check_sides(c: Coordinate, fields: dict[str, Applied], orders: Orders, equations: int, conditions: list[Condition]) -> None:
    over = {n: s for n, s in fields.items() if c in s.args}
    here = [k for k in conditions if k.kind == "boundary" and (k.place.surface is not None or any(c == f for f in k.fixed))]
    have = sum(2 if k.place.surface is not None else 1 for k in here)
    needed = together(tuple(over), c.name, orders, equations)
    single = len(over) == 1
    for name in over:
        order = max((n for (_, f, by), n in orders.items() if f == name and by == c.name), default=0)
        count = {end: sum(name in k.fields and _covers(k, c, end) for k in here) for end in ("left", "right")}
        short = [end for end in ("left", "right") if count[end] < order // 2]
        if (single and short) or (have < needed and sum(count.values()) < order):
            end = short[0] if short else min(count, key=lambda e: count[e])
            _missing(name, c, end, order, count[end])


def _covers(k: Condition, c: Coordinate, end: str) -> bool:
    return k.place.surface is not None or (c.name, end) in k.place.fixed


def together(names: tuple[str, ...], coordinate: str, orders: Orders, equations: int) -> int:
    """The largest sum of orders in a coordinate over pairs of an equation and a field."""
    from scipy.optimize import linear_sum_assignment  # slow to import

    absent = -1000.0
    table = np.full((equations, len(names)), absent)
    for (i, f, by), n in orders.items():
        if f in names and by in (coordinate, ""):
            table[i, names.index(f)] = max(table[i, names.index(f)], n if by else 0)
    rows, columns = linear_sum_assignment(table, maximize=True)
    return int(sum(table[i, j] for i, j in zip(rows, columns, strict=True) if table[i, j] > absent))


_ORDINAL = {1: "first", 2: "second", 3: "third", 4: "fourth"}


def _said(count: int) -> str:
    return f"only {count} condition{'s' * (count != 1)}" if count else "no condition"


def _missing(name: str, c: Coordinate, end: str, order: int, count: int) -> None:
    low, high = (c.declaration.payload[k] for k in ("low", "high"))
    inflow = " (or at the other side, if things enter there)" if order == 1 else ""
    raise ModelError(
        f"'{name}' has an equation of {_ORDINAL.get(order, str(order))} order in {c.name} and {_said(count)} at {c.name}.{end}. Add one, such as "
        f"boundary={{{c.name}.{end}: sci.eq({name}, 0)}} or sci.eq({name}.diff({c.name}), 0){inflow}; "
        f'or make the coordinate periodic: sci.space("{c.name}", {low:g}, {high:g}, periodic=True); or give data instead, with check=False.'
    )


def _check_surface(domain: Any, fields: dict[str, Applied], orders: Orders, equations: int, conditions: list[Condition]) -> None:
    """On the surface of the domain: half as many conditions as orders, everywhere on it."""
    over = {n: s for n, s in fields.items() if any(c in s.args for c in domain.coordinates)}
    needed = max((together(tuple(over), c.name, orders, equations) + 1) // 2 for c in domain.coordinates) if over else 0
    names = {c.name for c in domain.coordinates}
    own = [k for k in conditions if k.kind == "boundary" and (k.place.surface is not None or any(n in names for n, _ in k.place.fixed))]
    at_sides = any(k.place.surface is None for k in own)
    for part in domain.parts():
        given = sum(k.place.surface is not None and part in k.place.surface.region.parts() for k in own)
        if given < needed and not at_sides:
            name = min(over, key=lambda n: sum(n in k.fields for k in own))
            raise ModelError(
                f"'{name}' has {_said(given)} on {part.surface.name}, where {needed} {'is' if needed == 1 else 'are'} needed. Add one, such as "
                f"boundary={{region.surface: sci.eq({name}, 0)}} with the region itself; or data instead, with check=False."
            )
