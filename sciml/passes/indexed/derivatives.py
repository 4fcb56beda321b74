"""Derivatives of fields by the components of a vector coordinate, and the operators that sums of them are.

| written                              | operator                                     |
|--------------------------------------|----------------------------------------------|
| `Sum(u.diff(X[i], 2), ...)`          | the Laplacian, repeated if nested             |
| `Sum(w(i) * u.diff(X[i], k), ...)`   | a weighted sum of derivatives of one order    |
| `Sum(F(u.diff(X[i])), ...)`          | the gradient, an array                        |
| `u.diff(X[3], k)`                    | a weighted sum with one weight                |
"""

import abc
from typing import Any

import sympy as sp

from ...errors import CompileError
from ...symbols import Applied, Component, Coordinate, declaration_of, distinct_nodes
from ...system import text
from .calculus import Weight, diagonal, laplacian, product
from .heads import Entry
from .sums import INDEX, added, limits_of, shift_of

Limit = tuple[sp.Symbol, int, int]


class Meaning(abc.ABC):
    """What derivatives of fields stand for."""

    @abc.abstractmethod
    def diagonal(self, u: Applied, X: Coordinate, order: int, weight: Weight) -> sp.Expr:
        """The sum over k of w_k times the derivative of that order by X[k]."""

    @abc.abstractmethod
    def gradient(self, u: Applied, X: Coordinate) -> sp.Expr:
        """All first derivatives: an array."""

    @abc.abstractmethod
    def laplacian(self, u: Applied, X: Coordinate, power: int) -> sp.Expr:
        """The Laplacian, applied so many times."""

    def product(self, factors: list[tuple[Applied, int]], X: Coordinate, weight: Weight) -> sp.Expr | None:
        """The sum over k of w_k times the derivatives of (u, s) by X[k + s]; None where gradients are taken instead."""
        return None


class Formulas(Meaning):
    """Fields that stand for formulas."""

    def __init__(self, of: Any):
        self.of = of

    def diagonal(self, u: Applied, X: Coordinate, order: int, weight: Weight) -> sp.Expr:
        return diagonal(self.of(u), X, order, weight)

    def gradient(self, u: Applied, X: Coordinate) -> sp.Expr:
        raise CompileError(
            f"The gradient of the formula for '{declaration_of(u).name}' stands in a function that is no polynomial, inside a sum over the "
            f"components of {X.name}: the source has no short form. Write polynomials of u.diff({X.name}[i]) in sums, functions outside."
        )

    def product(self, factors: list[tuple[Applied, int]], X: Coordinate, weight: Weight) -> sp.Expr | None:
        return product([(self.of(u), s) for u, s in factors], X, weight)

    def laplacian(self, u: Applied, X: Coordinate, power: int) -> sp.Expr:
        return laplacian(self.of(u), X, power)


def resolved(e: sp.Expr, meaning: Meaning, cited: str) -> sp.Expr:
    """An expression with every derivative of a field by a component replaced by what it means.

    Raises:
        CompileError: derivatives by two different components, or by a component and another coordinate, and sums that are
            nonlinear in derivatives of second or higher order.
    """
    return _Resolver(meaning, cited).visit(e)


def by_components(node: Any) -> bool:
    """Whether something is a derivative by components of vector coordinates."""
    return isinstance(node, sp.Derivative) and any(_is_component(v) for v in node.variables)


def _is_component(v: Any) -> bool:
    return isinstance(v, Component) and isinstance(v.args[0], Coordinate)


class _Resolver:
    def __init__(self, meaning: Meaning, cited: str):
        self.meaning, self.cited = meaning, cited
        self._memo: dict[Any, Any] = {}

    def visit(self, e: Any) -> Any:
        if e not in self._memo:
            self._memo[e] = self._visited(e)
        return self._memo[e]

    def _visited(self, e: Any) -> Any:
        if not any(by_components(n) for n in distinct_nodes(e)):
            return e
        if isinstance(e, sp.Sum):
            return self._sum(e.function, limits_of(e), e)
        if isinstance(e, sp.Derivative):
            u, X, index, order = self._parts(e)
            if not index.is_Integer:
                raise self._refused(e, f"stands outside a sum over {index}")
            return self.meaning.diagonal(u, X, order, Weight(sp.S.One, int(index), int(index)))
        return e.func(*(self.visit(a) for a in e.args))

    # -- sums --------------------------------------------------------------------------------

    def _sum(self, of: sp.Expr, limits: list[Limit], whole: sp.Expr) -> sp.Expr:
        """A sum over some indices, the innermost first."""
        of = self._with_fixed_ones(of, [index for index, *_ in limits])
        if of.has(sp.Sum):
            of = sp.expand_mul(of)
        return sp.Add(*(self._term(term, limits, whole) for term in self._split(of)))

    def _split(self, of: sp.Expr) -> list[sp.Expr]:
        """The terms of a summand, those without derivatives together."""
        terms = sp.Add.make_args(of)
        if any(isinstance(t, sp.Mul) and any(isinstance(f, sp.Add) and _derivatives(f) for f in t.args) for t in terms):
            terms = sp.Add.make_args(sp.expand_mul(of))
        plain = [t for t in terms if not _derivatives(t)]
        return [*(t for t in terms if _derivatives(t)), *([sp.Add(*plain)] if plain else [])]

    def _term(self, term: sp.Expr, limits: list[Limit], whole: sp.Expr) -> sp.Expr:
        factors = list(sp.Mul.make_args(term))
        nested = next((f for f in factors if isinstance(f, sp.Sum)), None)
        indices = [index for index, *_ in limits]
        if nested is not None and any(i in nested.free_symbols for i in indices):
            factors.remove(nested)
            inner = sp.Mul(*factors, nested.function)
            return self._sum(inner, [*limits_of(nested), *limits], whole)
        if len(limits) > 1:
            return self._repeated(factors, limits, whole)
        ((index, low, high),) = limits
        held = _derivatives(term)
        if not held:
            return added(term, index, low, high)
        node = held[0]
        if len(held) == 1 and node in factors:
            u, X, place, order = self._parts(node)
            factors.remove(node)
            outer = [f for f in factors if index not in f.free_symbols]
            weight = sp.Mul(*(f for f in factors if index in f.free_symbols))
            if not _unknowns(weight):
                return self.visit(sp.Mul(*outer)) * self._weighted(u, X, place, order, weight, (index, low, high))
        return self._nonlinear(term, held, (index, low, high), whole)

    def _weighted(self, u: Applied, X: Coordinate, place: sp.Expr, order: int, weight: sp.Expr, limit: Limit) -> sp.Expr:
        index, low, high = limit
        if index not in place.free_symbols:  # a fixed component in a sum over others
            return added(weight, *limit) * self.visit(sp.Derivative(u, (X[int(place)], order)))
        q = shift_of(Component(X, place), index)
        low, high = low + q, high + q
        weight = weight.xreplace({index: INDEX - q})
        if order == 2 and weight == 1 and (low, high) == (0, X.declaration.shape[0] - 1):
            return self.meaning.laplacian(u, X, 1)
        return self.meaning.diagonal(u, X, order, Weight(weight, low, high))

    def _repeated(self, factors: list[sp.Expr], limits: list[Limit], whole: sp.Expr) -> sp.Expr:
        """Sums over several indices of one derivative, twice by the component of each: repeated Laplacians."""
        indices = [index for index, *_ in limits]
        held = [f for f in factors if by_components(f)]
        outer = sp.Mul(*(f for f in factors if f not in held))
        if len(held) == 1 and isinstance(held[0].expr, Applied) and not any(i in outer.free_symbols for i in indices):
            u, X = held[0].expr, held[0].variables[0].args[0]
            wanted = {Component(X, i): 2 for i in indices}
            if {v: int(n) for v, n in held[0].variable_count} == wanted and all(x[1:] == (0, X.declaration.shape[0] - 1) for x in limits):
                return self.visit(outer) * self.meaning.laplacian(u, X, len(limits))
        raise self._refused(whole, "sums over two indices and is no repeated Laplacian")

    def _nonlinear(self, term: sp.Expr, held: list[sp.Derivative], limit: Limit, whole: sp.Expr) -> sp.Expr:
        """A function of first derivatives: of the gradient, component by component."""
        index, low, high = limit
        found = {}
        for node in held:
            u, X, place, order = self._parts(node)
            if order > 1:
                raise self._refused(whole, f"is not linear in `{text(node)}`, with weights that are formulas of the coordinates")
            found[node] = (u, X, shift_of(Component(X, place), index))
        factors = [f for f in sp.Mul.make_args(term) if _derivatives(f)]
        rest = sp.Mul(*(f for f in sp.Mul.make_args(term) if f not in factors))
        powers = [f.as_base_exp() for f in factors]
        if all(base in found and n.is_Integer and n > 0 for base, n in powers) and len({X for _, X, _ in found.values()}) == 1:
            weight = sp.Mul(*(f for f in sp.Mul.make_args(rest) if index in f.free_symbols))
            outer = sp.Mul(*(f for f in sp.Mul.make_args(rest) if index not in f.free_symbols))
            each = [(u, s) for base, n in powers for u, _, s in [found[base]] * int(n)]
            made = self.meaning.product(each, X, Weight(weight.xreplace({index: INDEX}), low, high))
            if made is not None:
                return outer * made
        arrays = {node: Entry(self.meaning.gradient(u, X), index + s) for node, (u, X, s) in found.items()}
        return added(term.xreplace(arrays), *limit)

    def _with_fixed_ones(self, of: sp.Expr, indices: list[sp.Symbol]) -> sp.Expr:
        """Derivatives by components that no index moves, carried out."""
        fixed = [n for n in _derivatives(of) if not any(i in n.free_symbols for i in indices) and self._is_fixed(n)]
        return of.xreplace({n: self.visit(n) for n in fixed}) if fixed else of

    def _is_fixed(self, node: sp.Derivative) -> bool:
        return all(v.args[1].is_Integer for v in node.variables if _is_component(v))

    # -- one derivative -----------------------------------------------------------------------

    def _parts(self, node: sp.Derivative) -> tuple[Applied, Coordinate, sp.Expr, int]:
        """The field, the vector coordinate, the index and the order of a derivative by one component."""
        if not isinstance(node.expr, Applied) or getattr(declaration_of(node.expr), "kind", "") not in ("field", "parameter"):
            raise self._refused(node, "differentiates what is no field")
        if len(node.variable_count) != 1:
            what = "two components" if all(_is_component(v) for v, _ in node.variable_count) else "a component and another coordinate"
            raise self._refused(node, f"differentiates by {what}")
        ((variable, order),) = node.variable_count
        return node.expr, variable.args[0], variable.args[1], int(order)

    def _refused(self, node: sp.Basic, why: str) -> CompileError:
        return CompileError(
            f"{self.cited} holds `{text(node)}`, which {why}. Derivatives by a vector coordinate X may stand in sums, linear in those of one "
            "component, sci.laplacian(u, X) or sympy.Sum(w*u.diff(X[i], k), (i, 0, X.dim - 1)), and sums of any function of first ones."
        )


def _derivatives(e: sp.Basic) -> list[sp.Derivative]:
    """Derivatives by components in an expression, in the order of the tree; those in sums are theirs."""
    return [n for n in distinct_nodes(e) if by_components(n)]


def _unknowns(e: sp.Basic) -> bool:
    """Whether fields or other unknown functions stand in an expression."""
    return any(isinstance(n, Applied | sp.Dummy) for n in distinct_nodes(e))
