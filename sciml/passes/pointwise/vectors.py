"""Derivatives of the unknowns by a vector coordinate, as operators of the functions that networks give.

With conditions built in, u = g + a v, the product rule gives for weights w

    sum_k w_k d^n u/dX_k^n  =  sum_k w_k d^n g/dX_k^n  +  sum_m C(n, m)  sum_k (w_k d^(n-m) a/dX_k^(n-m)) d^m v/dX_k^m
    Laplacian of u          =  Laplacian of g  +  a Laplacian of v  +  2 grad a . grad v  +  v Laplacian of a
"""

from typing import TYPE_CHECKING, Any

import sympy as sp

from ...errors import CompileError
from ...symbols import Applied, Coordinate, declaration_of
from ...system import text
from ..indexed import INDEX, Filled, Meaning, Placed, Weight, array_of, diagonal, gradient, laplacian, lowered, ones
from .form import Along, Diagonal, Gradient, Laplacian, Partial

if TYPE_CHECKING:
    from .reader import Reader


class Unknowns(Meaning):
    """Fields that stand for functions of networks, by the ansatz of a reader."""

    def __init__(self, reader: "Reader", cited: str):
        self.reader, self.cited = reader, cited

    def diagonal(self, u: Applied, X: Coordinate, order: int, weight: Weight) -> sp.Expr:
        name, g, a = self._ansatz(u)
        whole = self._operator(name, X, order, self._array(weight, X)) * a
        if g.has(X):
            whole += diagonal(g, X, order, weight)
        if a.has(X):
            whole += self.reader.placeholders.of(Partial(name)) * diagonal(a, X, order, weight)
            for m in range(1, order):
                slope = gradient(a, X, order - m) * sp.binomial(order, m)
                if slope != 0:
                    weights = self._array(weight, X)
                    whole += self._operator(name, X, m, slope if weights is None else weights * slope)
        return whole

    def gradient(self, u: Applied, X: Coordinate) -> sp.Expr:
        name, g, a = self._ansatz(u)
        whole = lowered(a) * self.reader.placeholders.of(Gradient(name, X.name))
        if g.has(X):
            whole += gradient(g, X)
        return whole + self.reader.placeholders.of(Partial(name)) * gradient(a, X) if a.has(X) else whole

    def laplacian(self, u: Applied, X: Coordinate, power: int) -> sp.Expr:
        if power == 1:
            return self.diagonal(u, X, 2, ones(X))
        name, g, a = self._ansatz(u)
        if a.has(X):
            raise CompileError(
                f"{self.cited} applies the Laplacian {power} times, and a condition on '{name}' that depends on {X.name} is built in. "
                "Leave that one to the loss: take it out of built_in."
            )
        rest = laplacian(g, X, power) if g.has(X) else sp.S.Zero
        return a * self.reader.placeholders.of(Laplacian(name, X.name, power)) + rest

    def _ansatz(self, u: Applied) -> tuple[str, sp.Expr, sp.Expr]:
        d = declaration_of(u)
        if d.name not in self.reader.fields:
            raise CompileError(
                f"{self.cited} differentiates '{text(u)}' by components, and it is neither a field nor among fields=: "
                f'let a network give it, fields=("{d.name}",), or write its formula.'
            )
        g, a = self.reader.ansatz.get(d.name, (sp.S.Zero, sp.S.One))
        return d.name, g, a

    def _array(self, weight: Weight, X: Coordinate) -> sp.Expr | None:
        """A weight as an array over all components; None for 1."""
        dim = X.declaration.shape[0]
        if weight == ones(X):
            return None
        made = array_of(weight.of, INDEX, weight.low, weight.high, full=True)
        before, after = weight.low, dim - 1 - weight.high
        return Placed(made, before, after) if before or after else made

    def _operator(self, name: str, X: Coordinate, order: int, weight: sp.Expr | None) -> sp.Expr:
        if order == 2 and weight is None:
            return self.reader.placeholders.of(Laplacian(name, X.name))
        weight = Filled(sp.S.One, X.declaration.shape[0]) if weight is None else self.reader.placed(weight, self.cited)
        made: Any = Along(name, X.name, weight) if order == 1 else Diagonal(name, X.name, order, weight)
        return self.reader.placeholders.of(made)
