"""Derivatives by the components of a vector coordinate, of functions of sums over them.

With S_a = sum over i of f_a(X[i + q], ...), the derivative of S_a by X[k] is the sum over the shifts q of the slope of f_a by
X[i + q] at i = k - q. For F(S_1, ..., S_m) the chain rule gives products of such slopes at the same k; summed over k they are
sums of the same kind, of a size that does not depend on the dimension:

    sum_k w_k dF/dX_k       =  sum_a F_a  sum_k w_k S_a'
    sum_k w_k d2F/dX_k^2    =  sum_a F_a  sum_k w_k S_a''  +  sum_ab F_ab  sum_k w_k S_a' S_b'
"""

import dataclasses
import itertools

import sympy as sp

from ...symbols import Coordinate
from .heads import Placed
from .lowering import array_of, lowered
from .sums import INDEX, Local, added, locals_of


@dataclasses.dataclass(frozen=True)
class Weight:
    """w_k = `of` for the components k = low ... high, with the symbol `INDEX` for k; 0 for all others."""

    of: sp.Expr
    low: int
    high: int


Monomial = tuple[tuple[sp.Dummy, int], ...]
"""A product of derivatives of sums: (which sum, which order), sorted."""


def ones(X: Coordinate) -> Weight:
    """The weight 1 for every component."""
    return Weight(sp.S.One, 0, X.declaration.shape[0] - 1)


def diagonal(e: sp.Expr, X: Coordinate, order: int, weight: Weight | None = None) -> sp.Expr:
    """The sum over k of w_k times the derivative of that order by X[k].

    Args:
        e: a function of sums over the components of X, and of anything else.
        X: a vector coordinate.
        order: 1 for derivatives along the weight, 2 for a weighted Laplacian.
        weight: 1 for every component if left out.

    Raises:
        CompileError: an expression that is no function of such sums.

    >>> import sciml as sci, sympy as sp
    >>> X, i = sci.space("X", -sp.oo, sp.oo, dim=100), sp.Symbol("i", integer=True)
    >>> diagonal(sp.Sum(X[i]**2 * X[i + 1], (i, 0, 98)), X, 2)
    2*Sum(X[i + 1], (i, 0, 98))
    """
    function, sums = locals_of(e, X)
    weight = ones(X) if weight is None else weight
    back = {s: sp.Sum(x.of, (x.index, x.low, x.high)) for s, x in sums.items()}
    parts = (
        coefficient.xreplace(back) * _products([(sums[s], j, 0) for s, j in monomial], X, weight)
        for monomial, coefficient in _chain_rule(function, list(sums), order).items()
    )
    return sp.Add(*parts)


def laplacian(e: sp.Expr, X: Coordinate, power: int = 1) -> sp.Expr:
    """The Laplacian over a vector coordinate, applied `power` times.

    >>> import sciml as sci, sympy as sp
    >>> X = sci.space("X", -sp.oo, sp.oo, dim=100)
    >>> laplacian(sci.dot(X, X), X)
    200
    """
    for _ in range(power):
        e = diagonal(e, X, 2)
    return e


def gradient(e: sp.Expr, X: Coordinate, order: int = 1) -> sp.Expr:
    """The derivatives of that order by X[0], X[1], ... as an array.

    >>> import sciml as sci, sympy as sp
    >>> X, i = sci.space("X", -sp.oo, sp.oo, dim=100), sp.Symbol("i", integer=True)
    >>> gradient(sp.Sum(X[i] * X[i + 1], (i, 0, 98)), X)
    Placed(Piece(X, 0, 99), 1, 0) + Placed(Piece(X, 1, 100), 0, 1)
    """
    function, sums = locals_of(e, X)
    back = {s: sp.Sum(x.of, (x.index, x.low, x.high)) for s, x in sums.items()}
    parts = []
    for monomial, coefficient in _chain_rule(function, list(sums), order).items():
        arrays = [_array(sums[s], X, j) for s, j in monomial]
        parts.append(lowered(coefficient.xreplace(back)) * sp.Mul(*arrays))
    return sp.Add(*parts)


def _array(x: Local, X: Coordinate, order: int) -> sp.Expr:
    """The derivatives of one sum by every component."""
    dim = X.declaration.shape[0]
    parts = []
    for q in x.shifts(X):
        slope = x.slope(X, q, order)
        if slope == 0:
            continue
        slope = array_of(slope, x.index, x.low, x.high, full=True)
        before, after = x.low + q, dim - 1 - x.high - q
        parts.append(Placed(slope, before, after) if before or after else slope)
    return sp.Add(*parts)


def _chain_rule(function: sp.Expr, sums: list[sp.Dummy], order: int) -> dict[Monomial, sp.Expr]:
    """The derivative of that order of F(S_1, ...) by one component, as coefficients of products of derivatives of the sums."""
    found: dict[Monomial, sp.Expr] = {(): function}
    for _ in range(order):
        new: dict[Monomial, sp.Expr] = {}
        for monomial, coefficient in found.items():
            for s in sums:
                slope = coefficient.diff(s)
                if slope != 0:
                    _add(new, (*monomial, (s, 1)), slope)
            for place, (s, j) in enumerate(monomial):
                _add(new, (*monomial[:place], (s, j + 1), *monomial[place + 1 :]), coefficient)
        found = new
    return found


def _add(to: dict[Monomial, sp.Expr], monomial: Monomial, coefficient: sp.Expr) -> None:
    key = tuple(sorted(monomial, key=lambda factor: (factor[0].name, factor[1])))
    to[key] = to.get(key, sp.S.Zero) + coefficient


def _products(factors: list[tuple[Local, int, int]], X: Coordinate, weight: Weight) -> sp.Expr:
    """The sum over k of the weight times derivatives of sums, each given as (the sum, the order, s): its derivative by X[k + s].

    A sum has such a derivative for each of its shifts q, at i = k + s - q: one sum over k for each choice of shifts.
    """
    choices = [[(x, j, q, q - s) for q in x.shifts(X)] for x, j, s in factors]
    made: dict[tuple, list[sp.Expr]] = {}
    for chosen in itertools.product(*choices):
        low = max([weight.low, *(x.low + back for x, _, _, back in chosen)])
        high = min([weight.high, *(x.high + back for x, _, _, back in chosen)])
        slopes = [x.slope(X, q, j).xreplace({x.index: INDEX - back} if back else {}) for x, j, q, back in chosen]
        if low <= high and 0 not in slopes:
            whole = weight.of * sp.Mul(*slopes)
            first = chosen[0][3] if chosen else 0
            if first and all(back == first for *_, back in chosen):  # the sum may as well run over i
                whole, low, high = whole.xreplace({INDEX: INDEX + first}), low - first, high - first
            made.setdefault((low, high), []).append(whole)
    return sp.Add(*(added(sp.Add(*parts), INDEX, low, high) for (low, high), parts in made.items()))


def product(factors: list[tuple[sp.Expr, int]], X: Coordinate, weight: Weight | None = None) -> sp.Expr:
    """The sum over k of w_k times first derivatives, each given as (e, s): that of e by X[k + s].

    >>> import sciml as sci, sympy as sp
    >>> X = sci.space("X", -sp.oo, sp.oo, dim=100)
    >>> product([(sci.dot(X, X), 0), (sci.dot(X, X), 1)], X, Weight(sp.S.One, 0, 98))
    4*Sum(X[i]*X[i + 1], (i, 0, 98))
    """
    weight = ones(X) if weight is None else weight
    options = []
    for e, s in factors:
        function, sums = locals_of(e, X)
        back = {symbol: sp.Sum(x.of, (x.index, x.low, x.high)) for symbol, x in sums.items()}
        options.append([(function.diff(symbol).xreplace(back), (x, 1, s)) for symbol, x in sums.items()])
    parts = []
    for chosen in itertools.product(*options):
        parts.append(sp.Mul(*(outer for outer, _ in chosen)) * _products([inner for _, inner in chosen], X, weight))
    return sp.Add(*parts)
