"""Sums of derivatives that can be carried as one, and which operators a residual is affine in.

r(u_xx, u_yy) = f(u_xx + u_yy)     the two are one Combination
a (w . grad u) + b (z . grad u)    the two are one derivative, along a w + b z
"""

from collections.abc import Mapping

import sympy as sp

from ...symbols import Applied, declaration_of
from .form import Along, Combination, Orders, Partial, Term, placeholder
from .placeholders import Placeholders


def collapsed(residual: sp.Expr, placeholders: Placeholders) -> sp.Expr:
    """The residual with a Combination for derivatives of one order that it holds in one linear combination only."""
    partials = {key: o for key in placeholders.used(residual) if isinstance(o := placeholders.operators[key], Partial)}
    for keys in _candidates(partials).values():
        residual = _one_collapsed(residual, keys, partials, placeholders)
    return residual


def merged(residual: sp.Expr, placeholders: Placeholders) -> sp.Expr:
    """The residual with one derivative along a sum of weights for several along weights of their own."""
    along: dict[tuple[str, str], list[str]] = {}
    for key in placeholders.used(residual):
        o = placeholders.operators[key]
        if isinstance(o, Along) and not placeholders.used(residual.diff(placeholder(key))):
            along.setdefault((o.of, o.coordinate), []).append(key)
    for (of, coordinate), keys in along.items():
        if len(keys) > 1:
            weight = sp.Add(*(residual.diff(placeholder(key)) * placeholders.operators[key].weight for key in keys))  # type: ignore[union-attr]
            rest = residual.xreplace({placeholder(key): sp.S.Zero for key in keys})
            residual = rest + placeholders.of(Along(of, coordinate, weight))
    return residual


def _candidates(partials: Mapping[str, Partial]) -> dict[tuple[str, int], list[str]]:
    """Derivatives of one function and one order, two at least of second order or more, none of them on the way to a higher one."""
    found: dict[tuple[str, int], list[str]] = {}
    for key, p in partials.items():
        order = _order(p.orders)
        below = any(p is not q and p.of == q.of and _below(p.orders, q.orders) for q in partials.values())
        if order >= 2 and not below:
            found.setdefault((p.of, order), []).append(key)
    # pure derivatives first: their weights become 1
    return {k: sorted(keys, key=lambda key: (len(partials[key].orders), key)) for k, keys in found.items() if len(keys) > 1}


def _order(orders: Orders) -> int:
    return sum(n for _, n in orders)


def _below(low: Orders, high: Orders) -> bool:
    """Whether one derivative is on the way to another: no higher in any coordinate."""
    top = dict(high)
    return all(n <= top.get(name, 0) for name, n in low)


def _one_collapsed(residual: sp.Expr, keys: list[str], partials: Mapping[str, Partial], placeholders: Placeholders) -> sp.Expr:
    """Groups of derivatives whose slopes in the residual keep the same ratios at every point."""
    slopes = {key: residual.diff(placeholder(key)) for key in keys}
    left = [key for key in keys if not slopes[key].has(sp.Subs, sp.Derivative)]
    while len(left) > 1:
        first, *others = left
        ratios = {key: _ratio(slopes[key], slopes[first]) for key in others}
        group = [key for key in others if ratios[key] is not None]
        left = [key for key in others if key not in group]
        if group:
            parts = tuple((partials[key].orders, sp.S.One if key == first else ratios[key]) for key in (first, *group))
            whole = placeholders.of(Combination(partials[first].of, parts))
            residual = residual.xreplace({placeholder(first): whole, **{placeholder(key): sp.S.Zero for key in group}})
            continue
        group = [key for key in (first, *left) if same_everywhere(slopes[key])]
        if len(group) > 1 and first in group:  # a u_xx + b u_yy with parameters a and b, either of which may be zero
            whole = placeholders.of(Combination(partials[first].of, tuple((partials[key].orders, slopes[key]) for key in group)))
            residual = whole + residual.xreplace({placeholder(key): sp.S.Zero for key in group})
            left = [key for key in left if key not in group]
    return residual


_SHORT = 400  # operations; longer expressions are compared as they stand


def _ratio(slope: sp.Expr, of: sp.Expr) -> sp.Expr | None:
    """slope/of where that is a number other than zero, else None."""
    ratio = slope / of
    if not ratio.is_number and sp.count_ops(ratio) < _SHORT:
        ratio = sp.cancel(ratio)
    return ratio if ratio.is_number and ratio.is_finite and ratio != 0 else None


def same_everywhere(e: sp.Expr) -> bool:
    """Whether an expression has one value at every point: it holds numbers, parameters and constants only."""
    return not e.has(sp.Dummy) and not any(declaration_of(n) is not None for n in e.atoms(Applied)) and not _normals(e)


def _normals(e: sp.Expr) -> bool:
    return any(getattr(declaration_of(s), "kind", "") == "normal" for s in e.free_symbols)


def linear_in(term: Term, key: str) -> bool:
    """Whether the residual of a term is affine in one of its operators, all others held fixed.

    >>> import sciml as sci
    >>> from sciml.passes import linear_in, pointwise
    >>> x = sci.space("x", 0, 1, periodic=True)
    >>> u = sci.fields("u", sci.t, x)
    >>> form = pointwise(sci.System([sci.eq(u.diff(sci.t), u.diff(x, 2) - u**2)], initial={u: 0}))
    >>> [linear_in(form.terms[0], key) for key in form.terms[0].operators]
    [False, True, True]
    """
    symbol = placeholder(key)
    slope = term.residual.diff(symbol)
    if not slope.has(symbol):
        return True
    return sp.count_ops(slope) < _SHORT and not sp.simplify(slope).has(symbol)
