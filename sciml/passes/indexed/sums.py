"""Sums over the components of a vector coordinate, one by one: `Sum(f(X[i], X[i + 1], c[i]), (i, low, high))`."""

import dataclasses
from typing import Any

import sympy as sp

from ...errors import CompileError
from ...symbols import Component, Coordinate, Dot, distinct_nodes
from ...system import text

INDEX = sp.Symbol("i", integer=True)


@dataclasses.dataclass(frozen=True)
class Local:
    """The sum of `of` over `index` from `low` to `high`, both included."""

    of: sp.Expr
    index: sp.Symbol
    low: int
    high: int

    @property
    def count(self) -> int:
        return self.high - self.low + 1

    def shifts(self, X: Coordinate) -> list[int]:
        """q for each X[i + q] in it, in ascending order."""
        return sorted({shift_of(n, self.index) for n in distinct_nodes(self.of) if isinstance(n, Component) and n.args[0] == X})

    def slope(self, X: Coordinate, shift: int, order: int) -> sp.Expr:
        """The derivative of `of` by X[i + shift], so many times."""
        stand_in = {n: sp.Dummy(real=True) for n in distinct_nodes(self.of) if isinstance(n, Component) and n.args[0] == X}
        by = stand_in[Component(X, self.index + shift)]
        return self.of.xreplace(stand_in).diff((by, order)).xreplace({s: n for n, s in stand_in.items()})


def shift_of(component: Any, index: sp.Symbol) -> int:
    """q of X[i + q]."""
    gap = component.args[1] - index
    if len(component.args) != 2 or not gap.is_Integer:
        raise CompileError(f"`{component}` in a sum over {index}: write {component.args[0]}[{index} + q] with a whole number q.")
    return int(gap)


def added(of: sp.Expr, index: sp.Symbol, low: int, high: int) -> sp.Expr:
    """A sum, with the factors that do not depend on its index taken out; no sum at all where nothing depends on it."""
    if low > high or of == 0:
        return sp.S.Zero
    if low == high:
        return of.xreplace({index: sp.Integer(low)})
    factors = sp.Mul.make_args(of)
    outer = [f for f in factors if index not in f.free_symbols]
    inner = [f for f in factors if index in f.free_symbols]
    if not inner:
        return (high - low + 1) * of
    return sp.Mul(*outer, sp.Sum(sp.Mul(*inner), (index, low, high)))


def limits_of(node: sp.Sum) -> list[tuple[sp.Symbol, int, int]]:
    """Index, first and last number of each sum, the innermost first."""
    found = []
    for index, low, high in node.limits:
        if not (low.is_Integer and high.is_Integer):
            raise CompileError(f"`{text(node)}` runs from {low} to {high}: a sum over components has numbers for its ends, (i, 0, X.dim - 1).")
        found.append((index, int(low), int(high)))
    return found


def locals_of(e: sp.Expr, X: Coordinate) -> tuple[sp.Expr, dict[sp.Dummy, Local]]:
    """An expression of X as a function of sums: (the function in stand-ins, what each stands for)."""
    found: dict[Local, sp.Dummy] = {}

    def stand_in(local: Local) -> sp.Dummy:
        if local not in found:
            found[local] = sp.Dummy(f"S{len(found)}", real=True)
        return found[local]

    def visit(node: Any) -> Any:
        if isinstance(node, sp.Symbol) and node == X:
            raise CompileError(f"`{text(e)}` holds all of {X} at once. Write sums over its components, sympy.Sum({X}[i]**2, (i, 0, {X}.dim - 1)).")
        if not node.has(X):
            return node
        if isinstance(node, sp.Sum):
            return _of_sum(node, X, stand_in, visit)
        if isinstance(node, Dot):
            return _of_sum(as_sum(node), X, stand_in, visit)
        if isinstance(node, Component) and node.args[0] == X and node.args[1].is_Integer:
            return stand_in(Local(Component(X, INDEX), INDEX, int(node.args[1]), int(node.args[1])))
        return node.func(*(visit(a) for a in node.args))

    return visit(e), {symbol: local for local, symbol in found.items()}


def _of_sum(node: Any, X: Coordinate, stand_in: Any, visit: Any) -> sp.Expr:
    if not isinstance(node, sp.Sum):
        return visit(node)
    (index, low, high), *more = limits_of(node)
    if more:
        inner = added(node.function, index, low, high)
        return visit(sp.Sum(inner, *node.limits[1:]))
    outer, inner = sp.S.One, node.function
    if isinstance(inner, sp.Mul):
        outer = sp.Mul(*(f for f in inner.args if index not in f.free_symbols))
        inner = sp.Mul(*(f for f in inner.args if index in f.free_symbols))
    if any(isinstance(n, sp.Sum | Dot) and n.has(X) for n in distinct_nodes(inner)):
        raise CompileError(f"`{text(node)}` holds a sum inside a sum that cannot be taken out of it. Write it as a product or a function of sums.")
    fixed = [n for n in distinct_nodes(inner) if isinstance(n, Component) and n.args[0] == X and index not in n.free_symbols]
    if fixed:
        raise CompileError(f"`{text(node)}` mixes {fixed[0]} with the components that it sums over. Take {fixed[0]} out of the sum.")
    if index not in inner.free_symbols:
        return visit(outer) * (high - low + 1) * visit(inner)
    canonical = inner if index == INDEX else inner.xreplace({index: INDEX})
    return visit(outer) * stand_in(Local(canonical, INDEX, low, high))


def as_sum(node: Dot) -> sp.Expr:
    """The product of two vectors as a sum over their components."""
    a, b = (_entry(x) for x in node.args)
    shapes = {n.declaration.shape for x in node.args for n in distinct_nodes(x) if getattr(getattr(n, "declaration", None), "shape", ())}
    if len(shapes) != 1 or len(next(iter(shapes))) != 1:
        raise CompileError(f"`{text(node)}` is no product of two vectors of one length. Write it as a sum over the components.")
    return added(a * b, INDEX, 0, next(iter(shapes))[0] - 1)


def _entry(e: sp.Expr) -> sp.Expr:
    vectors = {n: Component(n, INDEX) for n in distinct_nodes(e) if getattr(getattr(n, "declaration", None), "shape", ())}
    return e.xreplace(vectors)
