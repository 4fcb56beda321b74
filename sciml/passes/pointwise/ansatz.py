"""Conditions that every network fulfils: u = g + a v, where v is the network.

    g   takes the values that are given at the start, the end, the sides, the surfaces of the domain
    a   is 0 there and of order 1 elsewhere

| where                  | factor of a                              | part of g                                    |
|------------------------|------------------------------------------|----------------------------------------------|
| the start              | s = (t - t0)/(t1 - t0)                   | f, the value there                           |
| the start, with a rate | s^2                                      | f + (t - t0) f'                              |
| the end                | 1 - s                                    | the value there                              |
| both                   | s (1 - s)                                | (1 - s) start + s end                        |
| one side of x          | distance from it over the length         | the value there                              |
| both sides of x        | 4 (x - low)(high - x)/(high - low)^2     | the straight line between the values         |
| surfaces of the domain | factors of their regions, see `shapes`   | the values, joined with weights              |

A slope of the value at the start that jumps at the seam of a periodic coordinate is smoothed by diffusion, see `seam`.

Parts are added one after the other, each the interpolation of what is still missing, with its own values in time taken off
(Coons 1967; Gordon 1971: a Boolean sum). Where the data of two places disagree at their common edge no smooth function has
both: the later one stays a term of the loss.
"""

import dataclasses
import math
from typing import Any

import numpy as np
import sympy as sp

from ...errors import ModelError, nearest
from ...symbols import Applied, Component, Coordinate, Region, declaration_of, distinct_nodes, t
from ...system import System, text
from ..discretize.manufacture import exact
from .conditions import Condition
from .form import placeholder
from .reader import Reader
from .seam import Kink, jumps, kink_of
from .shapes import factors_of, interpolated, point_on

Ansatz = dict[str, tuple[sp.Expr, sp.Expr]]
"""For each unknown with conditions built in: g and a, in declared symbols."""


_SHORT = 300  # operations; longer sums over components that do not cancel at once are taken for different


@dataclasses.dataclass(frozen=True, eq=False)
class Target:
    """A condition that gives the value of one unknown at a place. `where` groups those that are interpolated together.

    `where` is the time, a coordinate, or the domain; of its surface the condition holds on some `parts`. `kink`: the jump of its slope
    at a seam, to be smoothed.
    """

    condition: Condition
    where: Any
    value: sp.Expr
    parts: tuple[Region, ...] = ()
    kink: Kink | None = None


def ansatz_of(
    system: System, reader: Reader, conditions: list[Condition], wanted: Any, span: Any = None, agree: tuple[str, ...] = ()
) -> tuple[Ansatz, dict[Condition, str]]:
    """The ansatz of each unknown, and the conditions that it fulfils, each with what is to be said of it.

    Args:
        system: with real fields.
        reader: reads expressions without an ansatz.
        conditions: all of the System.
        wanted: "auto", or names of conditions.
        span: the start and the end of time as numbers, which may decide whether data agree; symbols otherwise.
        agree: names of functions that fulfil, at the start, the conditions that are built in: an earlier solution at its end.

    Raises:
        ModelError: a name that no condition has, or a condition that cannot be built in.
    """
    chosen = _chosen(conditions, wanted)
    targets: dict[str, list[Target]] = {}
    why: dict[str, str] = {}
    for c in chosen:
        found = _target(system, reader, c)
        if isinstance(found, Target):
            targets.setdefault(c.fields[0], []).append(found)
        else:
            why[c.name] = found
    made: Ansatz = {}
    built: dict[Condition, str] = {}
    for name, listed in targets.items():
        sum_ = _Sum(listed, span, agree)
        if sum_.built:
            made[name] = (sum_.g + sum_.smoothed, sum_.a)
            built |= {x.condition: x.kink.text if x.kink else "" for x in sum_.built}
        left = [x.condition for x in listed if x.condition not in built]
        why.update({c.name: "its values disagree with those of other conditions where they meet" for c in left})
    if wanted != "auto" and why:
        name, reason = next(iter(why.items()))
        raise ModelError(
            f"The condition '{name}' cannot be built in: {reason}. Leave it to the loss: take it out of built_in, or write built_in=\"auto\"."
        )
    return made, {c: built[c] for c in conditions if c in built}


def _chosen(conditions: list[Condition], wanted: Any) -> list[Condition]:
    if wanted == "auto":
        return conditions
    if isinstance(wanted, str):
        raise ModelError(
            f'built_in={wanted!r}: write "auto", or a tuple of names of conditions, built_in=({conditions[0].name if conditions else ""!r},).'
        )
    names = [c.name for c in conditions]
    for name in wanted:
        if name not in names:
            raise ModelError(f"built_in has '{name}', and there is no such condition. {nearest(str(name), names)}")
    return [c for c in conditions if c.name in wanted]


# -- which conditions can be built in --------------------------------------------------------------


def _target(system: System, reader: Reader, c: Condition) -> Target | str:
    """The value that a condition gives an unknown at its place, or why it cannot be built in."""
    if len(c.fields) != 1:
        return "it ties several fields together"
    symbol = next(n for n in distinct_nodes(c.lhs, c.rhs) if getattr(declaration_of(n), "name", "") == c.fields[0])
    value = _value(reader, c, type(symbol)(*declaration_of(symbol).over))
    if isinstance(value, str):
        return value
    if not all(_has_derivatives(n, reader) for n in distinct_nodes(value) if isinstance(n, Applied)):
        return "its value holds a function without a formula"
    seams = [x for x in symbol.args if value.has(x) and jumps(system, reader, value, x)]
    kink = kink_of(system, reader, c, value, seams[0]) if len(seams) == 1 else None
    if seams and kink is None:
        return f"'{seams[0].name}' is periodic, and the value or a derivative of it jumps between its ends"
    if c.kind != "boundary":
        return Target(c, t, value, kink=kink)
    if c.place.surface is not None:
        return _on_surface(system, system.domain, c, value)
    if system.domain is not None:
        return "the domain has a shape of its own, on whose surfaces conditions are built in"
    ((coordinate, position),) = c.fixed.items() if len(c.fixed) == 1 else ((None, 0.0),)
    return Target(c, coordinate, value.subs(coordinate, exact(position))) if coordinate is not None else "it lies between two intervals"


def _has_derivatives(f: Applied, reader: Reader) -> bool:
    """Whether a function in a value is one that a network gives, of scalar coordinates."""
    d = declaration_of(f)
    return d.name in reader.fields and tuple(f.args) == tuple(d.over) and not any(c.declaration.shape for c in d.over)


def _value(reader: Reader, c: Condition, u: Applied) -> sp.Expr | str:
    """What a condition `factor*u = value` gives, or why it gives nothing."""
    if c.kind != "boundary":
        return reader.written_out(c.rhs, {}, c.cited)
    residual = reader.written_out(c.lhs - c.rhs, c.fixed, c.cited)
    if any(isinstance(n, sp.Derivative) for n in distinct_nodes(residual)):
        return "it holds a derivative"
    symbol = sp.Dummy(real=True)
    inner = residual.xreplace({u: symbol})
    factor = sp.expand(inner).coeff(symbol)
    if not factor.is_number or factor == 0 or sp.expand(inner - factor * symbol).has(symbol):
        return f"it does not say what '{c.fields[0]}' is there"
    return -(sp.expand(inner - factor * symbol)) / factor


def _on_surface(system: System, domain: Any, c: Condition, value: sp.Expr) -> Target | str:
    factors, parts = factors_of(domain), c.place.surface.region.parts()
    if not all(p in factors for p in parts):
        return "no formula here is 0 on its surface alone: it has to be the inside of a ball, a box or a convex polygon, or the outside of a ball"
    for X in domain.coordinates:
        twice = [n for e in system.equations for n in distinct_nodes(e.lhs, e.rhs) if isinstance(n, sp.Derivative) and len(_components(n, X)) > 1]
        if twice:
            return f"`{text(twice[0])}` differentiates by two components"
    return Target(c, domain, value, parts)


def _components(node: sp.Derivative, X: Coordinate) -> set[sp.Expr]:
    return {v for v in node.variables if isinstance(v, Component) and v.args[0] == X}


# -- the sum of all parts -----------------------------------------------------------------------------


class _Sum:
    """g and a for one unknown, from as many of its targets as fit together."""

    def __init__(self, targets: list[Target], span: Any, agree: tuple[str, ...]):
        self.agree = {x.value: x.condition.order for x in targets if x.where == t and getattr(declaration_of(x.value), "name", "") in agree}
        self.start, self.end = (placeholder("t0"), placeholder("t1")) if span is None else map(exact, span)
        self.g: sp.Expr = sp.S.Zero
        self.built: list[Target] = []
        in_time = [dataclasses.replace(x, value=self._at_time(x.value, x)) for x in targets if x.where == t]
        self.in_time = _usable_in_time(in_time)
        self._add(self.in_time)
        for where in dict.fromkeys(x.where for x in targets if x.where != t):
            here = [x for x in targets if x.where == where]
            if not self._add(here):
                for one in here if len(here) > 1 else ():
                    if self._add([one]):
                        break
        self.a = sp.Mul(*(self._factor(where) for where in dict.fromkeys(x.where for x in self.built)))
        # a side that agrees with the start has no kink where they meet, so the jump is 0 there
        self.smoothed = sp.Add(*(x.kink.smoothed(self.start, self.end) for x in self.built if x.kink))

    def _add(self, here: list[Target]) -> bool:
        """Adds the interpolation of what is still missing; takes it back if anything is then missing elsewhere."""
        if not here:
            return False
        part = self._interpolated(here, [x.value - self._trace(x, self.g) for x in here])
        if part is None:
            return False
        if here is not self.in_time and self.in_time and self.in_time[0] in self.built:
            part -= self._interpolated(self.in_time, [self._trace(x, part) for x in self.in_time])
        together = [*self.built, *here]
        if not all(self._vanishes(self._trace(x, self.g + part) - x.value, x) for x in together):
            return False
        self.g, self.built = self.g + part, together
        return True

    def _trace(self, x: Target, e: sp.Expr) -> sp.Expr:
        """An expression at the place of a target."""
        if x.where == t:
            return self._at_time(e.diff((t, x.condition.order)), x)
        here = {c: exact(v) for c, v in x.condition.fixed.items()}
        known = {f.subs(here): x.value.diff((t, order)).subs(t, self.start) for f, order in self.agree.items()}
        return e.subs(here).xreplace(known)

    def _at_time(self, e: sp.Expr, x: Target) -> sp.Expr:
        return e.subs(t, self.start if x.condition.kind == "initial" else self.end)

    @property
    def _elapsed(self) -> sp.Expr:
        return (t - self.start) / (self.end - self.start)

    def _interpolated(self, here: list[Target], values: list[sp.Expr]) -> Any:
        """An expression with the given values at the places of some targets; None where they disagree."""
        where = here[0].where
        if where == t:
            return self._interpolated_in_time({(x.condition.kind, x.condition.order): v for x, v in zip(here, values, strict=True)})
        if not isinstance(where, Coordinate):
            return interpolated(values, [x.parts for x in here], factors_of(where))
        if len(here) == 1:
            return values[0]
        low, high = _ends(where)
        at = {dict(x.condition.place.fixed)[where.name]: v for x, v in zip(here, values, strict=True)}
        return at["left"] * (high - where) / (high - low) + at["right"] * (where - low) / (high - low)

    def _interpolated_in_time(self, at: dict[tuple[str, int], sp.Expr]) -> sp.Expr:
        s, final = self._elapsed, at.get(("final", 0))
        if ("initial", 0) not in at:
            return at["final", 0]
        begun = at["initial", 0] + (t - self.start) * at.get(("initial", 1), 0)
        if final is None:
            return begun
        power = 2 if ("initial", 1) in at else 1
        return begun + s**power * (final - begun.subs(t, self.end))

    def _factor(self, where: Any) -> sp.Expr:
        here = [x for x in self.built if x.where == where]
        if where == t:
            kinds = {(x.condition.kind, x.condition.order) for x in here}
            power = sum(kind == "initial" for kind, _ in kinds)
            return self._elapsed**power * ((1 - self._elapsed) if ("final", 0) in kinds else 1)
        if isinstance(where, Coordinate):
            low, high = _ends(where)
            ends = {dict(x.condition.place.fixed)[where.name] for x in here}
            left, right = (where - low) / (high - low), (high - where) / (high - low)
            return 4 * left * right if len(ends) == 2 else left if "left" in ends else right
        factors = factors_of(where)
        return sp.Mul(*(factors[p] for p in dict.fromkeys(p for x in here for p in x.parts)))

    # -- whether a difference is zero -------------------------------------------------------------

    def _vanishes(self, e: sp.Expr, x: Target) -> bool:
        if e == 0:
            return True
        if any(isinstance(n, sp.Sum | Component) for n in distinct_nodes(e)):
            return sp.count_ops(e) < _SHORT and sp.expand(e) == 0
        rng = np.random.default_rng(0)
        return all(_small(e, _some_values(e, rng), place) for _ in range(4) for place in self._places(x, rng))

    def _places(self, x: Target, rng: np.random.Generator) -> list[dict[Any, sp.Float]]:
        """A random point on each part of a surface; elsewhere nothing is given."""
        return [point_on(p, rng) for p in x.parts] or [{}]


def _some_values(e: sp.Expr, rng: np.random.Generator) -> dict[Any, sp.Float]:
    """Random values for everything in an expression."""
    point = {s: sp.Float(rng.uniform(0.5, 1.5)) for s in sorted(e.free_symbols, key=str)}
    for c in point:
        if isinstance(c, Coordinate) and c != t:
            low, high = (float(np.clip(c.declaration.payload[k], -3, 3)) for k in ("low", "high"))
            point[c] = sp.Float(rng.uniform(low, high))
    return point


def _usable_in_time(targets: list[Target]) -> list[Target]:
    """Values at the start and the end; rates only beside a value, and only the first."""
    kinds = {(x.condition.kind, x.condition.order) for x in targets}
    allowed = {("initial", 0), ("final", 0)} | ({("initial", 1)} if ("initial", 0) in kinds else set())
    return [x for x in targets if (x.condition.kind, x.condition.order) in allowed]


def _ends(c: Coordinate) -> tuple[sp.Expr, sp.Expr]:
    low, high = (exact(c.declaration.payload[k]) for k in ("low", "high"))
    return low, high


def _small(e: sp.Expr, values: dict[Any, sp.Float], place: dict[Any, sp.Float]) -> bool:
    """Whether an expression is as good as 0 at a place, beside its terms and its value elsewhere."""
    here = {**values, **place}
    sizes = [_size(part, here) for part in sp.Add.make_args(e)]
    return _size(e, here) <= 1e-9 * max(sizes if not place else [*sizes, _size(e, values)])


def _size(e: sp.Expr, point: dict[Any, sp.Float]) -> float:
    try:
        return abs(_number(e, {s: complex(v) for s, v in point.items()}))
    except (ZeroDivisionError, OverflowError, TypeError):
        return float("nan")


def _number(e: Any, known: dict[Any, complex]) -> complex:
    """The value of an expression in floating point, each part of it computed once. SymPy's own `evalf` would seek more digits of a 0."""
    if e not in known:
        if e.is_Number or not e.args:
            known[e] = complex(e)
        elif isinstance(e, sp.Add):
            known[e] = sum(_number(a, known) for a in e.args)
        elif isinstance(e, sp.Mul):
            known[e] = math.prod(_number(a, known) for a in e.args)
        elif isinstance(e, sp.Pow):
            known[e] = _number(e.base, known) ** _number(e.exp, known)
        else:  # functions, also piecewise ones, of numbers
            known[e] = complex(e.xreplace({s: sp.Float(v.real) for s, v in known.items() if s.is_Symbol}))
    return known[e]
