"""Formulas in the place of neural functions."""

from collections.abc import Sequence
from typing import Any

import sympy as sp

from ..symbols import Applied, Component, Quantity, declaration_of
from ..symbols.units import text as unit_text
from ..symbols.units import unit
from .units import UnitChecker


def same_function(one: Any, other: Any) -> bool:
    """Whether two neural functions, applied or not, are the same output of the network of one name."""
    a, b = declaration_of(one), declaration_of(other)
    return a is not None and b is not None and a.kind == b.kind == "neural" and (a.name, a.payload["index"]) == (b.name, b.payload["index"])


def has_places(application: Applied) -> bool:
    """Whether the arguments are places for others, as in g(x, y): different symbols, unknowns or derivatives."""
    arguments = application.args
    return len(set(arguments)) == len(arguments) and all(isinstance(a, Quantity | Applied | Component | sp.Derivative) for a in arguments)


def written_out(expression: sp.Basic, formulas: Sequence[tuple[Applied, sp.Expr]]) -> Any:
    """The expression with formulas in the place of neural functions, each given as (the function applied, its formula).

    `g(x, y)` stands for every `g(a, b)`: the formula is taken with a for x and b for y. A function applied to what is no
    symbol, such as `g(2*x)`, or twice to one, stands for itself alone.
    """
    for application, formula in formulas:
        expression = _one_written_out(expression, application, formula)
    return expression


def _one_written_out(expression: sp.Basic, application: Applied, formula: sp.Expr) -> Any:
    arguments = application.args
    general = has_places(application)

    def meant(node: Any) -> bool:
        return isinstance(node, Applied) and same_function(node, application) and (general or node == application)

    def replaced(node: Any) -> Any:
        return formula.xreplace(dict(zip(arguments, node.args, strict=True)))

    return expression.replace(meant, replaced)  # from the inside out, so that both are replaced in g(g(x))


def unit_of_term(system: Any, function: Applied, term: sp.Expr) -> str | None:
    """The unit of a coefficient that makes `term` fit for a neural function; None for a plain number.

    A function without a declared unit has that of the first equation that it stands in.
    """
    if not system.units and not any(declaration_of(s).unit for s in system.symbols.values()):
        return None
    checker = UnitChecker(system.units)
    own = declaration_of(function).unit
    whole = unit(own) if own else _unit_in_equations(system, function, checker)
    part = checker.expression(term)[1]
    if whole is None or part is None:
        return None
    shown = unit_text(whole / part)
    return None if shown == "1" else shown


def _unit_in_equations(system: Any, function: Applied, checker: UnitChecker) -> Any:
    """The unit of an equation over that of the factor with which the function stands in it."""
    place = sp.Dummy(real=True)
    for e in system.equations:
        for side, other in ((e.rhs, e.lhs), (e.lhs, e.rhs)):
            found = [n for n in side.atoms(Applied) if same_function(n, function)]
            if found and not other.has(*found):
                factor, target = side.xreplace({found[0]: place}).diff(place), checker.expression(other)[1]
                around = None if factor.has(place) else checker.expression(factor)[1]
                return None if around is None or target is None else target / around
    return None
