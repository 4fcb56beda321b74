"""Arrays in expressions: what sums over the components of a vector become."""

from typing import Any

import sympy as sp

from ...symbols import Component, Dot


class _Array(sp.Function):
    """An array that looks like a real number to SymPy; algebra around it is elementwise."""

    is_real = True
    is_commutative = True

    @classmethod
    def eval(cls, *arguments: Any) -> sp.Expr | None:
        return None

    def _eval_derivative(self, symbol: Any) -> sp.Expr:
        inner = self.args[0].diff(symbol)
        return sp.S.Zero if inner == 0 else self.func(inner, *self.args[1:])


class Piece(_Array):
    """`Piece(A, start, stop)`: some components of an array."""


class Total(_Array):
    """`Total(e)`: the sum over the components of an array."""


class Placed(_Array):
    """`Placed(e, before, after)`: an array with zeros before and after it."""


class Entry(_Array):
    """`Entry(A, i)`: the component i of an array; inside sums over i only, where it becomes a `Piece`."""


class Filled(_Array):
    """`Filled(e, n)`: an array of n components that are all the number e."""


class Indices(_Array):
    """`Indices(start, stop)`: the numbers start, start + 1, ..., stop - 1."""

    def _eval_derivative(self, symbol: Any) -> sp.Expr:
        return sp.S.Zero


def is_array(e: sp.Basic) -> bool:
    """Whether an expression is an array: it holds one that is neither summed nor taken at a component."""
    return any(_is_one(n) for n in outside(e))


def _is_one(node: Any) -> bool:
    return isinstance(node, Piece | Placed | Filled | Indices) or bool(getattr(getattr(node, "declaration", None), "shape", ()))


def outside(e: sp.Basic) -> Any:
    """The parts of an expression that lie in no `Total` and no component."""
    stack, seen = [e], set[sp.Basic]()
    while stack:
        node = stack.pop()
        if node in seen or isinstance(node, Total | Entry | Component | Dot):
            continue
        seen.add(node)
        yield node
        stack.extend(node.args)
