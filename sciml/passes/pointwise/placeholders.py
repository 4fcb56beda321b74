"""Symbols for operators: `u`, `u_t`, `u_xx`, each with the operator that it stands for."""

from collections.abc import Mapping

import sympy as sp

from .form import Along, Combination, Diagonal, Gradient, Laplacian, Operator, Orders, Partial, placeholder


class Placeholders:
    """The operators that residuals need, by their key. Grows as symbols are asked for.

    Args:
        operators: those known already.
        taken: names that no key may have, such as those of coordinates.
    """

    def __init__(self, operators: Mapping[str, Operator], taken: tuple[str, ...] = ()):
        self.operators: dict[str, Operator] = dict(operators)
        self._keys = {operator: key for key, operator in self.operators.items()}
        self._taken = taken

    def of(self, operator: Operator) -> sp.Dummy:
        """The symbol of an operator: always the same for equal operators."""
        if operator not in self._keys:
            key = self._free(text_of(operator))
            self._keys[operator] = key
            self.operators[key] = operator
        return placeholder(self._keys[operator])

    def _free(self, wanted: str) -> str:
        key, count = wanted, 1
        while key in self.operators or key in self._taken:
            count += 1
            key = f"{wanted} ({count})"
        return key

    def used(self, expression: sp.Basic) -> tuple[str, ...]:
        """Keys of the operators in an expression: values first, then derivatives by their order."""
        here = {s.name for s in expression.free_symbols if isinstance(s, sp.Dummy)}
        return tuple(sorted((key for key in self.operators if key in here), key=lambda key: (order_of(self.operators[key]), key)))


def text_of(operator: Operator) -> str:
    """An operator as a short text."""
    match operator:
        case Partial(of, orders):
            return of + index_text(orders)
        case Combination(of, parts):
            return "+".join(of + index_text(orders) for orders, _ in parts)
        case Gradient(of, coordinate):
            return f"gradient({of}, {coordinate})"
        case Along(of, coordinate):
            return f"along({of}, {coordinate})"
        case Diagonal(of, coordinate, order):
            return f"diagonal({of}, {coordinate}, {order})"
        case Laplacian(of, coordinate, power):
            return f"laplacian({of}, {coordinate})" if power == 1 else f"laplacian({of}, {coordinate}, {power})"
    raise TypeError(operator)


def index_text(orders: Orders) -> str:
    """`_txx` for (("t", 1), ("x", 2)); names of several letters are set apart by commas."""
    letters = [name for name, count in orders for _ in range(count)]
    plain = all(len(name) == 1 for name in letters)
    return ("_" + ("" if plain else ",").join(letters)) if letters else ""


def order_of(operator: Operator) -> int:
    """The order of the derivatives in an operator."""
    match operator:
        case Partial(_, orders):
            return sum(n for _, n in orders)
        case Combination(_, parts):
            return sum(n for _, n in parts[0][0])
        case Laplacian(_, _, power):
            return 2 * power
        case Diagonal(_, _, order, _):
            return order
    return 1
