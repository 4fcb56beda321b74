"""Sums over the components of vectors: indices that stay inside, and no vector where a number is meant."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import sympy as sp

from ..errors import ModelError
from ..symbols import Applied, Component, Coordinate, Dot, Quantity, declaration_of, distinct_nodes
from .display import text

if TYPE_CHECKING:
    from .system import System


def checked_sums(system: "System") -> None:
    """Every sum of a System and every vector in it."""
    vectors = [c for c in system.coordinates.values() if c.declaration.shape]
    for expression, where in _places(system):
        nodes = list(distinct_nodes(expression))
        sums = [n for n in nodes if isinstance(n, sp.Sum)]
        for s in sums:
            _checked_sum(s, where)
        if sums:
            _no_free_index(expression, where)
        if vectors:
            _no_bare_vector(expression, where)


def _places(system: "System") -> Iterator[tuple[sp.Basic, str]]:
    """Every expression of a System, and how a message calls it."""
    for e in (*system.equations, *(e for conditions in system.boundary.values() for e in conditions)):
        yield e.lhs, e.cited
        yield e.rhs, e.cited
    for words, values in (("observed", system.observed), ("The initial value of", system.initial), ("The final value of", system.final)):
        for name, value in values.items():
            if isinstance(value, sp.Basic):
                yield value, f"{words} '{name}', `{text(value)}`,"
    for name, symbol in system.symbols.items():
        value = declaration_of(symbol).value
        if isinstance(value, sp.Basic):
            yield value, f"The declared value of '{name}', `{text(value)}`,"


def _checked_sum(s: sp.Sum, where: str) -> None:
    """Bounds that are whole numbers, indices i or i + 1 that stay within the vectors."""
    names = [limit[0] for limit in s.limits]
    if len(set(names)) < len(names):
        raise ModelError(f"{where} has two sums over '{names[0]}' inside each other. Give one of them another index.")
    for limit in s.limits:
        if len(limit) != 3 or not (limit[1].is_Integer and limit[2].is_Integer):
            raise ModelError(f"{where} has a sum over {limit}: its bounds are whole numbers, ({limit[0]}, 0, X.dim - 1).")
        symbol, low, high = limit[0], int(limit[1]), int(limit[2])
        reach = [_shift(c, index, n, symbol, where) for c, index, n in _indexed(s.function, symbol)]
        first, last = max([low, *(-q for _, q, _ in reach)]), min([high, *(n - 1 - q for _, q, n in reach)])
        for c, q, n in reach:
            if low + q < 0 or high + q > n - 1:
                out = low if low + q < 0 else high
                raise ModelError(
                    f"{where} has `{text(c)}` in a sum over {symbol} from {low} to {high}: for {symbol} = {out} that is component {out + q}, and "
                    f"'{text(c.args[0])}' has {n}, numbered 0 to {n - 1}. Write ({symbol}, {first}, {last})."
                )
        if low > high:
            raise ModelError(f"{where} has a sum over {symbol} from {low} to {high}, which is empty. Write the lower bound first.")


def _indexed(e: sp.Basic, symbol: Any) -> list[tuple[Component, Any, int]]:
    """The components in an expression whose index holds a symbol: (component, index, how many there are)."""
    found = []
    for c in distinct_nodes(e):
        if isinstance(c, Component):
            base = c.args[0].expr if isinstance(c.args[0], sp.Derivative) else c.args[0]
            d = declaration_of(base)
            if d is None and any(index.has(symbol) for index in c.args[1:]):
                raise ModelError(f"`{text(c)}` is a component of an expression. Write the component of each name in it, X[{symbol}].")
            found += [(c, index, n) for index, n in zip(c.args[1:], d.shape if d else (), strict=d is not None) if index.has(symbol)]
    return found


def _shift(c: Component, index: Any, n: int, symbol: Any, where: str) -> tuple[Component, int, int]:
    shift = index - symbol
    if not shift.is_Integer:
        raise ModelError(
            f"{where} has the component `{text(c)}`: in a sum an index is {symbol}, or {symbol} plus a whole number. "
            f"Write what does not fit that pattern as a term of its own, such as {text(c.args[0])}[0]."
        )
    return c, int(shift), n


def _no_free_index(expression: sp.Basic, where: str) -> None:
    free: dict[sp.Basic, frozenset] = {}

    def of(node: Any) -> frozenset:
        if node not in free:
            if isinstance(node, sp.Symbol | sp.Idx):
                free[node] = frozenset() if declaration_of(node) is not None else frozenset([node])
            elif isinstance(node, sp.Sum):
                free[node] = of(node.function) - set(node.bound_symbols)
            else:
                free[node] = frozenset().union(*map(of, node.args))
        return free[node]

    for node in reversed(list(distinct_nodes(expression))):
        of(node)
    left = sorted(map(str, of(expression)))
    if left:
        raise ModelError(f"{where} has the index '{left[0]}' outside a sum over it, too. Write sp.Sum(..., ({left[0]}, 0, X.dim - 1)) around it.")


def _no_bare_vector(expression: sp.Basic, where: str) -> None:
    """A vector stands in its fields, with an index, or in `sci.dot`; anywhere else it would be an array among numbers."""
    stack, seen = [expression], set[sp.Basic]()
    while stack:
        node = stack.pop()
        if node in seen:
            continue
        seen.add(node)
        d = declaration_of(node)
        if isinstance(node, Quantity) and d.shape:
            what = "a vector coordinate" if isinstance(node, Coordinate) else f"a {d.kind} of shape {d.shape}"
            raise ModelError(
                f"{where} holds '{node.name}', {what}, where one number is meant. Write a component, {node.name}[0], a sum of them, "
                f"sp.Sum({node.name}[i]**2, (i, 0, {d.shape[0] - 1})), or sci.dot({node.name}, {node.name})."
            )
        if not isinstance(node, Dot | Component) and not (isinstance(node, Applied) and d.kind in ("field", "parameter")):
            stack.extend(a for a in node.args if not isinstance(node, sp.Derivative) or a is node.expr)


__all__ = ["checked_sums"]
