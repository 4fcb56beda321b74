"""Sums over components as sums of arrays, each elementwise function computed once.

Sum(sin(X[i]) * sin(X[i + 1]), (i, 0, d - 2))     a = sin(X);  Total(a[0 : d-1] * a[1 : d])
"""

from typing import Any

import sympy as sp

from ...errors import CompileError
from ...symbols import Component, Dot, declaration_of, distinct_nodes
from ...system import text
from .heads import Entry, Filled, Indices, Piece, Placed, Total, is_array
from .sums import INDEX, added, as_sum, limits_of, shift_of

Range = tuple[int, int]


def lowered(e: sp.Expr) -> sp.Expr:
    """An expression with every sum over components as a sum of an array.

    Args:
        e: with sums over one index each.

    Raises:
        CompileError: a sum whose summand is no elementwise expression of arrays.

    >>> import sciml as sci, sympy as sp
    >>> X, i = sci.space("X", -sp.oo, sp.oo, dim=100), sp.Symbol("i", integer=True)
    >>> lowered(sp.Sum(sp.sin(X[i]) * sp.sin(X[i + 1]), (i, 0, 98)))
    Total(Piece(sin(X), 0, 99)*Piece(sin(X), 1, 100))
    """
    return _Lowering().expression(e)


def array_of(of: sp.Expr, index: sp.Symbol, low: int, high: int, full: bool = False) -> sp.Expr:
    """An expression of an index as an array over low ... high. `full`: an array even where nothing depends on the index."""
    lowering = _Lowering()
    of = lowering.expression(of)
    lowering.want(of.xreplace({index: INDEX}), low, high)
    made = lowering.array(of.xreplace({index: INDEX}), low, high)
    return Filled(made, high - low + 1) if full and not is_array(made) else made


class _Lowering:
    def __init__(self) -> None:
        self.ranges: dict[sp.Expr, Range] = {}  # functions of components, shifted to begin at X[i], with where they are needed
        self._made: dict[sp.Expr, sp.Expr] = {}
        self._found: dict[Any, Any] = {}
        self._flat: dict[Any, Any] = {}

    def expression(self, e: sp.Expr) -> sp.Expr:
        prepared = self._prepared(e)
        sums = [n for n in distinct_nodes(prepared) if isinstance(n, sp.Sum)]
        for node in sums:
            ((index, low, high),) = limits_of(node)
            self.want(node.function.xreplace({index: INDEX}), low, high)
        return self._visit(prepared)

    # -- one index for each sum ----------------------------------------------------------------

    def _prepared(self, e: Any) -> Any:
        """Products of vectors as sums, sums over several indices one inside the other, constant factors outside."""
        if e not in self._flat:
            self._flat[e] = self._flattened(e)
        return self._flat[e]

    def _flattened(self, e: Any) -> Any:
        if isinstance(e, Dot) and e.has(Component) is False and all(is_array(a) for a in e.args):
            return self._prepared(as_sum(e))
        if isinstance(e, sp.Sum):
            whole = self._prepared(e.function)
            for index, low, high in limits_of(e):
                whole = self._one_sum(sp.expand_mul(whole) if whole.has(sp.Sum) else whole, index, low, high, e)
            return whole
        if not e.args or not e.has(sp.Sum, Dot):
            return e
        return e.func(*(self._prepared(a) for a in e.args))

    def _one_sum(self, of: sp.Expr, index: sp.Symbol, low: int, high: int, whole: sp.Sum) -> sp.Expr:
        made = sp.Add(*(added(term, index, low, high) for term in sp.Add.make_args(of))) if of.has(sp.Sum) else added(of, index, low, high)
        if any(len(n.limits) > 1 or any(n.limits[0][0] in inner.free_symbols for inner in n.function.atoms(sp.Sum)) for n in made.atoms(sp.Sum)):
            raise CompileError(f"`{text(whole)}` holds a sum inside a sum over both indices. Write it as a product or a function of sums.")
        return made

    # -- where functions of components are needed --------------------------------------------------

    def want(self, e: Any, low: int, high: int) -> None:
        """Notes that an expression is needed for i = low ... high."""
        if INDEX not in e.free_symbols or isinstance(e, Component | Entry | sp.Symbol):
            return
        if _costs(e):
            shift = _first_shift(e)
            if shift is not None:
                own, a, b = _shifted(e, -shift), low + shift, high + shift
                known = self.ranges.get(own)
                hull = (a, b) if known is None else (min(a, known[0]), max(b, known[1]))
                if known is not None and (a > known[1] + 1 or b < known[0] - 1):
                    return  # far apart: computed by itself
                if hull != known:
                    self.ranges[own] = hull
                    for inner in own.args:
                        self.want(inner, *hull)
                return
        for inner in e.args:
            self.want(inner, low, high)

    # -- arrays ----------------------------------------------------------------------------------------

    def _visit(self, e: Any) -> Any:
        if e not in self._found:
            self._found[e] = self._visited(e)
        return self._found[e]

    def _visited(self, e: Any) -> Any:
        if isinstance(e, sp.Sum):
            ((index, low, high),) = limits_of(e)
            return total(self.array(e.function.xreplace({index: INDEX}), low, high), high - low + 1)
        if not e.args or not e.has(sp.Sum):
            return e
        return e.func(*(self._visit(a) for a in e.args))

    def array(self, e: Any, low: int, high: int) -> Any:
        """An expression of the index as an array over low ... high; a number where it does not depend on it."""
        if INDEX not in e.free_symbols:
            return self._visit(e)
        if e == INDEX:
            return Indices(low, high + 1)
        if isinstance(e, Component | Entry):
            q = shift_of(e, INDEX)
            return piece(self._visit(e.args[0]), low + q, high + q + 1, _size(e.args[0]))
        if isinstance(e, sp.KroneckerDelta | sp.Derivative | sp.Sum):
            raise CompileError(f"`{text(e)}` in a sum over components is no function of them one by one. Write the sum out by hand.")
        if _costs(e):
            shared = self._shared(e, low, high)
            if shared is not None:
                return shared
        return e.func(*(self.array(a, low, high) for a in e.args))

    def _shared(self, e: sp.Expr, low: int, high: int) -> sp.Expr | None:
        """A piece of the array of a function that other sums need, too."""
        shift = _first_shift(e)
        if shift is None:
            return None
        own = _shifted(e, -shift)
        if own not in self.ranges:
            return None
        first, last = self.ranges[own]
        if low + shift < first or high + shift > last:
            return None
        if own not in self._made:
            self._made[own] = own.func(*(self.array(a, first, last) for a in own.args))
        return piece(self._made[own], low + shift - first, high + shift - first + 1, last - first + 1)


def _costs(e: sp.Basic) -> bool:
    """Whether an expression is worth computing once: a function, or a power that is none of a few products."""
    if isinstance(e, Component | Entry | Piece | Placed | Total | Filled | Indices):
        return False
    return isinstance(e, sp.Function) or (isinstance(e, sp.Pow) and not (e.exp.is_Integer and 0 < e.exp < 4))


def _first_shift(e: sp.Expr) -> int | None:
    """The smallest q of the X[i + q] in an expression; None where the index itself stands in it, too."""
    shifts = [shift_of(n, INDEX) for n in distinct_nodes(e) if isinstance(n, Component | Entry) and INDEX in n.free_symbols]
    stand_in = {n: sp.S.One for n in distinct_nodes(e) if isinstance(n, Component | Entry)}
    return min(shifts) if shifts and INDEX not in e.xreplace(stand_in).free_symbols else None


def _shifted(e: sp.Expr, by: int) -> sp.Expr:
    return e if by == 0 else e.xreplace({n: n.func(n.args[0], n.args[1] + by) for n in e.atoms(Component, Entry) if INDEX in n.free_symbols})


def _size(of: Any) -> int | None:
    d = declaration_of(of)
    return d.shape[0] if d is not None and d.shape else None


def piece(array: sp.Expr, start: int, stop: int, size: int | None) -> sp.Expr:
    """Some components of an array; itself where these are all."""
    if start < 0 or (size is not None and stop > size):
        raise CompileError(f"`{text(array)}` has {size} components, and a sum asks for those from {start} to {stop - 1}.")
    return array if start == 0 and stop == size else Piece(array, start, stop)


def total(array: sp.Expr, count: int) -> sp.Expr:
    """The sum over an array, with numbers taken out of it."""
    if not is_array(array):
        return count * array
    if isinstance(array, sp.Add):
        plain = [a for a in array.args if not is_array(a)]
        return total(sp.Add(*(a for a in array.args if a not in plain)), count) + count * sp.Add(*plain) if plain else Total(array)
    if isinstance(array, sp.Mul):
        plain = [a for a in array.args if not is_array(a)]
        return sp.Mul(*plain) * total(sp.Mul(*(a for a in array.args if a not in plain)), count) if plain else Total(array)
    return Total(array)
