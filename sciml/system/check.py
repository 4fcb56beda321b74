"""What is wrong with a System, said before any mathematics is done. Each complaint carries its cure."""

import dataclasses
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import sympy as sp

from ..errors import ModelError, NameUnknown, UnitError, at, nearest
from ..symbols import Applied, Quantity, declaration_of, distinct_nodes, t
from .display import text
from .domain import checked_final
from .equation import Equation
from .names import name_of
from .structure import Matching, find_aliases, highest_orders, match, occurrences
from .units import UnitChecker

if TYPE_CHECKING:
    from .system import System


def whole(system: "System") -> None:
    """The checks of a new System, in the order in which a mistake is best explained."""
    if system.calculus not in ("ito", "stratonovich"):
        raise ModelError(f'calculus={system.calculus!r}: write "ito" or "stratonovich".')
    orders = highest_orders(system.equations)
    _values(system)
    _observed(system)
    _parameters_in_circle(system)
    for e in system.equations:
        _noise_is_linear(e)
    _not_too_many(system)
    _initial_names(system, orders)
    with_units(system)


def components(given: Iterable[Any]) -> list["System"]:
    """The components, each a System and each with a name of its own."""
    from .system import System

    parts = list(given)
    for p in parts:
        if not isinstance(p, System):
            raise ModelError(f"components holds {p!r}, which is not a System.")
    names = [p.name for p in parts]
    for n in names:
        if names.count(n) > 1:
            raise ModelError(f"Two components are called '{n}'. Give one another name: motor.replace(name=\"{n}2\").")
    return parts


def expression(value: Any, name: str) -> sp.Expr:
    """An observed quantity as an expression."""
    if isinstance(value, sp.Expr):
        return value
    try:
        return sp.sympify(value, strict=True)
    except sp.SympifyError:
        raise ModelError(f"observed '{name}' is {value!r}: give a SymPy expression.") from None


def _values(system: "System") -> None:
    """An unknown's initial value may not depend on other unknowns' later values or on noise."""
    for word, name, value in [("initial", *item) for item in system.initial.items()] + [("final", *item) for item in system.final.items()]:
        if isinstance(value, sp.Basic):
            for node in distinct_nodes(value):
                d = declaration_of(node)
                if isinstance(node, sp.Derivative) or (d is not None and d.kind in ("noise", "field")):
                    raise ModelError(f"The {word} value of '{name}' is `{text(value)}`: use numbers, parameters and other unknowns only.")


def _observed(system: "System") -> None:
    for name, value in system.observed.items():
        if name in system.symbols:
            raise ModelError(f"observed '{name}' has the name of a {declaration_of(system.symbols[name]).kind}. Give it another name.")
        if any(getattr(declaration_of(n), "kind", "") == "noise" for n in distinct_nodes(value)):
            raise ModelError(f"observed '{name}' = `{text(value)}` holds white noise, which has no value at a point of time.")


def _parameters_in_circle(system: "System") -> None:
    """Parameters defined by each other in a circle have no value."""
    state: dict[str, int] = {}

    def visit(name: str, path: list[str]) -> None:
        if state.get(name) == 2:
            return
        if state.get(name) == 1:
            circle = " -> ".join([*path[path.index(name) :], name])
            raise ModelError(f"Parameters are defined in a circle: {circle}. Give one of them a number.")
        state[name] = 1
        declared = declaration_of(system.symbols[name])
        value = declared.value
        if isinstance(value, sp.Basic):
            for node in distinct_nodes(value):
                d = declaration_of(node)
                if d is None or node in declared.over:
                    continue
                if d.kind not in ("parameter", "constant"):
                    raise ModelError(
                        f"The value of '{name}' is `{text(value)}`, which holds the {d.kind} '{d.name}'. Only parameters may stand there."
                    )
                visit(d.name, [*path, name])
        state[name] = 2

    for name, symbol in system.symbols.items():
        if declaration_of(symbol).kind == "parameter":
            visit(name, [])


def _noise_is_linear(e: Equation) -> None:
    """White noise stands linearly in a differential equation, and nowhere else."""
    noises = [n for n in distinct_nodes(e.lhs, e.rhs) if getattr(declaration_of(n), "kind", "") == "noise"]
    if not noises:
        return
    residual = e.residual
    stand_in = {n: sp.Dummy(declaration_of(n).name, real=True) for n in dict.fromkeys(noises)}
    for node in distinct_nodes(residual):
        if isinstance(node, sp.Derivative) and any(node.has(n) for n in stand_in):
            raise ModelError(f"{e.cited} differentiates white noise, which has no derivative. Integrate once: let the noise drive the rate.")
    inner = residual.xreplace({d: sp.Dummy() for d in residual.atoms(sp.Derivative)}).xreplace(stand_in)
    for noise, symbol in stand_in.items():
        slope = inner.diff(symbol)
        if slope.has(*stand_in.values()):
            name = declaration_of(noise).name
            raise ModelError(
                f"{e.cited} holds white noise '{name}' inside a nonlinear function. White noise enters linearly, as "
                f"coefficient*{name}: write for example x' = f(x) + g(x)*{name}."
            )
    rates = [n for n in distinct_nodes(e.lhs, e.rhs) if isinstance(n, sp.Derivative) and t in n.variables]
    if not rates:
        names = ", ".join(declaration_of(n).name for n in stand_in)
        raise ModelError(f"{e.cited} holds white noise '{names}' but no derivative. White noise drives differential equations only.")


def without_aliases(system: "System") -> tuple[tuple[Equation, ...], dict[Applied, int]]:
    """The equations other than `a = b`, with one unknown for each group of equal ones, and the orders of those."""
    aliases = find_aliases(system.equations)
    if not aliases.kept:
        return system.equations, highest_orders(system.equations)
    same = {u: v for u, (v, _) in aliases.kept.items()}  # the sign does not matter for what depends on what
    equations = tuple(e.map(lambda side: side.xreplace(same)) for e in aliases.rest)
    return equations, highest_orders(equations)


def _vanished_derivative(e: Equation, orders: dict[Applied, int], system: "System") -> None:
    """`0 = ...` for an unknown that has an initial value but no derivative anywhere: the derivative was of the wrong symbol."""
    if e.lhs != 0:
        return
    for u, order in orders.items():
        d = declaration_of(u)
        if order == 0 and e.rhs.has(u) and (d.value is not None or d.name in system.initial):
            raise ModelError(
                f"The left side of {e.cited} is 0, and '{d.name}' has an initial value but no derivative anywhere. The derivative "
                f"has vanished: it was taken by a symbol that '{d.name}' does not depend on. Write {d.name}.diff(sci.t)."
            )


def _not_too_many(system: "System") -> None:
    if any(declaration_of(s).kind == "field" for s in system.symbols.values()):
        return  # fields are counted once they have become unknowns of time
    equations, orders = without_aliases(system)
    for e in equations:
        _vanished_derivative(e, orders, system)
    matching = match(equations, orders)
    if not matching.extra_equations:
        return
    empty = [e for i, e in enumerate(equations) if not matching.incidence[i]]
    constrained = [declaration_of(u).name for e in empty[:1] for u, _ in occurrences(e.residual) if 0 not in (e.lhs, e.rhs)]
    if constrained:
        raise ModelError(
            f"{empty[0].cited} constrains {', '.join(dict.fromkeys(constrained))}, whose highest derivative other equations determine "
            "(a differential-algebraic system of higher index). Differentiate it by sci.t until that derivative stands in it, or drop it."
        )
    if empty:
        raise ModelError(
            f"{empty[0].cited} holds no unknown that it could determine. If a derivative was meant, it has vanished: "
            "it was taken by a symbol that the unknown does not depend on. Write x.diff(sci.t)."
        )
    block, unknowns = matching.block_of_extra()
    _complain(
        system, equations, matching, block, unknowns, "too many equations", "Remove one of them, or add the unknown that it was meant to determine."
    )


def balanced(system: "System") -> Matching:
    """Each unknown has its equation and each equation its unknown; a complaint that names the block otherwise."""
    matching = match(system.equations, {u: n for u, n in highest_orders(system.equations).items() if u not in system.eliminated})
    if matching.unmatched:
        block, unknowns = matching.block_of_missing()
        missing = declaration_of(matching.unknowns[matching.unmatched[0]]).name
        cure = (
            f"Add an equation, such as sci.eq({missing}.diff(sci.t), ...), or make {missing} a parameter: "
            f'{missing} = sci.parameters("{missing}", 1.0).'
        )
        _complain(system, system.equations, matching, block, unknowns, "too few equations", cure)
    return matching


def _complain(
    system: "System", written: tuple[Equation, ...], matching: Matching, equations: list[int], unknowns: list[int], what: str, cure: str
) -> None:
    names = ", ".join(declaration_of(matching.unknowns[u]).name for u in unknowns) or "none"
    rows = "\n".join(f"  {written[i].cited}" for i in equations[:12]) or "  (no equation)"
    more = f"\n  ... and {len(equations) - 12} more" if len(equations) > 12 else ""
    raise ModelError(
        f"System '{system.name}' has {what}: {len(written)} for {len(matching.unknowns)} unknowns. The block that does "
        f"not fit has {len(equations)} equation{'s' * (len(equations) != 1)} for {len(unknowns)} ({names}):\n{rows}{more}\n{cure}"
    )


def _initial_names(system: "System", orders: dict[Applied, int]) -> None:
    """Keys of `initial` are unknowns of the equations, or their derivatives below the highest."""
    orders = {**orders, **_orders_of_fields(system)}
    checked_final(
        system,
        {n: 0 for n, s in system.symbols.items() if declaration_of(s).kind == "field"} | {declaration_of(u).name: n for u, n in orders.items()},
    )
    allowed = {declaration_of(u).name + "'" * k: None for u, order in orders.items() for k in range(max(order, 1))}
    allowed.update({n: None for n, s in system.symbols.items() if declaration_of(s).kind in ("unknown", "field")})
    for name in system.initial:
        if name not in allowed:
            _no_such_initial(system, name, allowed)
    in_equations = {declaration_of(u).name for u in orders}
    for name, symbol in system.symbols.items():
        d = declaration_of(symbol)
        if d.kind == "unknown" and not d.discrete and name not in in_equations and not system.components and not system.eliminated:
            raise ModelError(f"The unknown '{name}'{at(d.where)} stands in no equation. Add sci.eq({name}.diff(sci.t), ...), or remove it.")


def _orders_of_fields(system: "System") -> dict[Applied, int]:
    """Each field with the order of its highest time derivative, wherever it stands."""
    orders: dict[Applied, int] = {}
    for n in distinct_nodes(*(side for e in system.equations for side in (e.lhs, e.rhs))):
        if isinstance(n, sp.Derivative) and getattr(declaration_of(n.expr), "kind", "") == "field":
            order = sum(int(count) for v, count in n.variable_count if getattr(declaration_of(v), "kind", "") == "time")
            orders[n.expr] = max(order, orders.get(n.expr, 0))
    return orders


def _no_such_initial(system: "System", name: str, allowed: Iterable[str]) -> None:
    stem = name.rstrip("'")
    if stem in allowed and stem != name:
        raise ModelError(f"initial has '{name}', but the order of '{stem}' is too low for it: {name} follows from the equations. Remove it.")
    raise NameUnknown(f"initial has '{name}', which stands in no equation of System '{system.name}'. {nearest(name, allowed)}")


def with_units(system: "System") -> "System":
    """The same System with every conversion between units written out as a factor; itself if there is nothing to convert."""
    declared = [s for s in system.symbols.values() if declaration_of(s).unit is not None]
    if not declared or system.converted:
        return system
    if not system.units.get("t") and not all(declaration_of(s).unit is None for s in system.unknowns.values()) and _has_rate(system):
        raise UnitError(f"System '{system.name}' has units, but its time has none. Write sci.System(..., units={{sci.t: \"s\"}}).")
    checker = UnitChecker(system.units)
    equations = tuple(checker.equation(e) for e in system.equations)
    observed = {n: checker.expression(e)[0] for n, e in system.observed.items()}
    starts = _initial_expressions(system)
    initial = {n: _initial_in_units(system, checker, n, v) for n, v in starts.items()}
    final = {n: _initial_in_units(system, checker, n, v) if isinstance(v, sp.Basic) else v for n, v in system.final.items()}
    boundary = {side: tuple(checker.equation(e) for e in conditions) for side, conditions in system.boundary.items()}
    values = _converted_values(system, checker)
    same = all(a is b for a, b in zip(equations, system.equations, strict=True))
    same = same and all(observed[n] is e for n, e in system.observed.items())
    same = same and all(initial[n] is v for n, v in starts.items()) and all(final[n] is v for n, v in system.final.items()) and not values
    same = same and all(a is b for side, conditions in system.boundary.items() for a, b in zip(boundary[side], conditions, strict=True))
    if same:
        return system
    revalue = lambda e: e.xreplace(values) if values and isinstance(e, sp.Basic) else e  # noqa: E731
    return system.derive(
        equations=tuple(e.map(revalue) for e in equations),
        observed={n: revalue(e) for n, e in observed.items()},
        initial={n: revalue(e) for n, e in {**system.initial, **initial}.items()},
        final={n: revalue(e) for n, e in final.items()},
        boundary={side: tuple(e.map(revalue) for e in conditions) for side, conditions in boundary.items()},
        converted=True,
    )


def _initial_expressions(system: "System") -> dict[str, Any]:
    """Initial values that are expressions, whether the System or the declaration gives them."""
    declared = {n: declaration_of(s).value for n, s in system.symbols.items() if declaration_of(s).kind == "unknown"}
    return {n: v for n, v in {**declared, **system.initial}.items() if isinstance(v, sp.Basic)}


def _converted_values(system: "System", checker: UnitChecker) -> dict[sp.Basic, sp.Basic]:
    """Parameters defined by others whose values need factors, each with the symbol of the same name that has them."""
    changed: dict[sp.Basic, sp.Basic] = {}

    def convert(symbol: Quantity) -> None:
        d = declaration_of(symbol)
        if symbol in changed or not isinstance(d.value, sp.Basic):
            return
        for inner in sorted(d.value.atoms(Quantity), key=str):
            convert(inner)
        value = checker.value(d.value, d.unit, d.name).xreplace(changed)
        changed[symbol] = symbol if value == d.value else Quantity(dataclasses.replace(d, value=value), **symbol._assumptions_orig)

    for symbol in system.symbols.values():
        if isinstance(symbol, Quantity):
            convert(symbol)
    return {old: new for old, new in changed.items() if new is not old}


def _has_rate(system: "System") -> bool:
    return any(order > 0 for order in highest_orders(system.equations).values())


def _initial_in_units(system: "System", checker: UnitChecker, name: str, value: Any) -> Any:
    stem = name_of(name).rstrip("'")
    own = declaration_of(system.symbols[stem]).unit
    if len(stem) != len(name) and own:
        own = f"({own})/({system.units.get('t', '1')})**{len(name) - len(stem)}" if system.units.get("t") else own
    return checker.value(value, own, name)
