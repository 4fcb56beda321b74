"""Units of a System: checked term by term, and made explicit as factors.

An expression is walked once. Each node gives its expression, with the factors that bring its parts to one
unit, and that unit; None stands for a unit that fits everything (the number 0, a neural term).

| node             | rule                                                       |
|------------------|------------------------------------------------------------|
| number           | dimensionless; 0 fits everything                           |
| declared symbol  | the declared unit; without one, dimensionless               |
| sum, Min, Max, branches | all in the unit of the first                          |
| product          | product of units                                           |
| power            | unit to a constant power; a variable exponent needs a plain base |
| derivative       | unit / (unit of the variable)**n                           |
| D(f, x), integral| unit / unit of x, unit * unit of x                         |
| sum over an index| the unit of its terms                                     |
| white noise      | (unit of time)**-0.5, and of each coordinate that it is over |
| exp, sin, ...    | a plain number in and out (1 mL/L is converted, degrees too)|
"""

from collections.abc import Callable
from functools import partial
from typing import Any

import sympy as sp

from ..errors import UnitError
from ..symbols import At, Component, Coordinate, D, Dot, declaration_of, vector_of
from ..symbols.units import dimensionless, factor, unit
from ..symbols.units import text as unit_text
from .display import text
from .equation import Equation

_SAME_UNIT = (sp.Add, sp.Min, sp.Max)
_KEEPS_UNIT = (sp.Abs, sp.floor, sp.ceiling)
Checked = tuple[Any, Any]  # (expression with factors, unit or None)


class UnitChecker:
    """Walks expressions of one System. `coordinate_units` gives the units of t and of coordinates."""

    def __init__(self, coordinate_units: dict[str, str]) -> None:
        self._coordinates = {name: unit(u) for name, u in coordinate_units.items()}
        self._memo: dict[sp.Basic, Checked] = {}

    def equation(self, e: Equation) -> Equation:
        """The equation with its right side in the unit of its left side."""
        try:
            lhs, left = self.expression(e.lhs)
            rhs, right = self.expression(e.rhs)
            rhs = self._convert((rhs, right), left, lambda: f"the left side is in {_shown(left)}, the right side in {_shown(right)}")
        except UnitError as problem:
            raise UnitError(f"In {e.cited}: {problem}") from None
        return e if lhs is e.lhs and rhs is e.rhs else Equation(lhs, rhs, e.where)

    def value(self, expression: sp.Expr, target: str | None, name: str) -> sp.Expr:
        """A declared value that is an expression, in the unit of the name that it is for."""
        wanted = unit(target) if target else dimensionless()
        found = self.expression(expression)
        return self._convert(found, wanted, lambda: f"'{name}' is in {_shown(wanted)}, its value `{text(expression)}` in {_shown(found[1])}")

    def expression(self, node: sp.Basic) -> Checked:
        if node not in self._memo:
            self._memo[node] = self._visit(node)
        return self._memo[node]

    def _visit(self, node: Any) -> Checked:
        declared = declaration_of(node)
        if declared is not None:
            return self._declared(node, declared)
        if node.is_Number or node.is_NumberSymbol:
            return node, None if node == 0 else dimensionless()
        if isinstance(node, _SAME_UNIT):
            return self._common(node, list(node.args), lambda parts: node.func(*parts))
        if isinstance(node, sp.Mul | Dot):
            return self._product(node)
        if isinstance(node, sp.Pow):
            return self._power(node)
        if isinstance(node, sp.Derivative):
            return self._derivative(node)
        if isinstance(node, sp.Sum):
            inner, found = self.expression(node.function)
            return (node if inner is node.function else sp.Sum(inner, *node.limits)), found
        if isinstance(node, sp.KroneckerDelta) or (node.is_Symbol and node.is_integer):  # the index of a sum is a plain number
            return node, dimensionless()
        if isinstance(node, D | At | sp.Integral):
            return self._over_space(node)
        if isinstance(node, Component):
            inner, found = self.expression(node.args[0])
            return _rebuilt(node, [inner, *node.args[1:]]), found
        if isinstance(node, sp.Piecewise):
            conditions = [self._condition(c) for _, c in node.args]
            same = all(a is c for a, (_, c) in zip(conditions, node.args, strict=True))
            rebuild = lambda parts: sp.Piecewise(*zip(parts, conditions, strict=True))  # noqa: E731
            values = [e for e, _ in node.args]
            return self._common(node if same else rebuild(values), values, rebuild)
        if isinstance(node, sp.sign | sp.Heaviside):
            return node.func(self.expression(node.args[0])[0]), dimensionless()
        if isinstance(node, _KEEPS_UNIT):
            inner, found = self.expression(node.args[0])
            return _rebuilt(node, [inner]), found
        if isinstance(node, sp.atan2):
            return self._common(node, list(node.args), lambda parts: sp.atan2(*parts))[0], dimensionless()
        return self._plain_function(node)

    def _declared(self, node: Any, declared: Any) -> Checked:
        if isinstance(node, Coordinate):
            return node, self._coordinate(node)
        if declared.kind == "noise":
            found = self._coordinate_by_name("t") ** -0.5
            for coordinate in declared.over:
                found = found * self._coordinate(coordinate) ** -0.5
            return node, found
        arguments = [self.expression(a)[0] for a in node.args]  # checked inside, whatever their own unit
        node = _rebuilt(node, arguments)
        if declared.kind in ("neural", "function") and declared.unit is None:
            return node, None if declared.kind == "neural" else dimensionless()
        return node, unit(declared.unit) if declared.unit else dimensionless()

    def _coordinate(self, node: Coordinate) -> Any:
        own = node.declaration.unit
        return unit(own) if own else self._coordinate_by_name(node.name)

    def _coordinate_by_name(self, name: str) -> Any:
        return self._coordinates.get(name, dimensionless())

    def _common(self, node: Any, parts: list, rebuild: Callable[[list], Any]) -> Checked:
        """Parts that must share a unit: all are brought to that of the first part that has one."""
        checked = [self.expression(p) for p in parts]
        target = next((u for _, u in checked if u is not None), None)
        first = next((p for p, (_, u) in zip(parts, checked, strict=True) if u is not None), parts[0])
        converted = []
        for part, found in zip(parts, checked, strict=True):
            converted.append(self._convert(found, target, partial(_unlike, first, target, part, found[1])))
        same = all(a is b for a, b in zip(converted, parts, strict=True))
        return (node if same else rebuild(converted)), target

    def _product(self, node: Any) -> Checked:
        parts = [self.expression(a) for a in node.args]
        total = dimensionless()
        for _, found in parts:
            total = None if found is None or total is None else total * found
        return _rebuilt(node, [p for p, _ in parts]), total

    def _power(self, node: Any) -> Checked:
        base, base_unit = self.expression(node.base)
        exponent, exponent_unit = self.expression(node.exp)
        exponent = self._convert(
            (exponent, exponent_unit),
            dimensionless(),
            lambda: f"the exponent `{text(node.exp)}` is in {_shown(exponent_unit)}; it must be a plain number",
        )
        if base_unit is None:
            return _rebuilt(node, [base, exponent]), None
        if exponent.is_Number:
            power = float(exponent)
            return _rebuilt(node, [base, exponent]), base_unit ** (int(power) if power == int(power) else power)
        plain = self._convert(
            (base, base_unit),
            dimensionless(),
            lambda: f"`{text(node.base)}` is in {_shown(base_unit)}; with a variable exponent it must be a plain number",
        )
        return _rebuilt(node, [plain, exponent]), dimensionless()

    def _derivative(self, node: Any) -> Checked:
        inner, found = self.expression(node.expr)
        if found is not None:
            for variable, order in node.variable_count:
                found = found / self._coordinate(vector_of(variable) or variable) ** int(order)
        return (node if inner is node.expr else sp.Derivative(inner, *node.variable_count)), found

    def _over_space(self, node: Any) -> Checked:
        """D(f, x), the value of f at a place, the integral of f."""
        inner, found = self.expression(node.args[0])
        if found is not None and isinstance(node, D):
            found = found / self._coordinate(node.args[1])
        elif found is not None and isinstance(node, sp.Integral):
            for variable, *_ in node.limits:
                found = found * self._coordinate(variable)
        return (node if inner is node.args[0] else node.func(inner, *node.args[1:])), found

    def _condition(self, node: Any) -> Any:
        if isinstance(node, sp.core.relational.Relational):
            return self._common(node, [node.lhs, node.rhs], lambda parts: node.func(*parts))[0]
        return node.func(*[self._condition(a) for a in node.args]) if node.args else node

    def _plain_function(self, node: Any) -> Checked:
        parts = []
        for a in node.args:
            found = self.expression(a)
            parts.append(self._convert(found, dimensionless(), partial(_not_plain, node.func.__name__, a, found[1])))
        return _rebuilt(node, parts), dimensionless()

    def _convert(self, found: Checked, target: Any, complaint: Callable[[], str]) -> Any:
        expression, source = found
        if source is None or target is None:
            return expression
        times = factor(source, target)
        if times is None:
            raise UnitError(
                complaint() + ". These do not fit. Correct the formula, or the unit= in a declaration"
                ' (a name without unit= is a plain number; time has a unit through units={t: "s"}).'
            )
        return expression if times == 1.0 else _exact(times) * expression


def _unlike(first: Any, first_unit: Any, other: Any, other_unit: Any) -> str:
    return f"`{text(first)}` is in {_shown(first_unit)} and `{text(other)}` in {_shown(other_unit)}"


def _not_plain(function: str, argument: Any, found: Any) -> str:
    return f"{function} takes a plain number and `{text(argument)}` is in {_shown(found)}"


def _exact(times: float) -> sp.Expr:
    """3600.0 as 3600, 0.001 as 1/1000; anything else as the float it is."""
    for candidate in (times, 1 / times):
        if abs(candidate - round(candidate)) < 1e-9 * abs(candidate) and 0 < round(candidate) < 10**15:
            whole = sp.Integer(round(candidate))
            return whole if candidate is times else 1 / whole
    return sp.Float(times)


def _rebuilt(node: Any, args: list) -> Any:
    return node if all(a is b for a, b in zip(args, node.args, strict=True)) else node.func(*args)


def _shown(found: Any) -> str:
    if found is None:
        return "any unit"
    name = unit_text(found)
    return "1 (a plain number)" if name == "1" else name
