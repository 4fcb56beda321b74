"""Products on a grid of waves: which waves they would alias into, and whether they are odd or even.

A product of degree d of fields with waves up to K has waves up to d*K; on n points those above n/2 fold back. With
K < n/(d + 1) they fold back only onto waves that are not kept (Orszag, J. Atmos. Sci. 28 (1971) 1074): 2/3 of the
waves for squares, 1/2 for cubes. What is no polynomial keeps 2/3.
"""

import math
from typing import TYPE_CHECKING, Any

import sympy as sp

from ...errors import CompileError
from ...symbols import At, Coordinate, D, declaration_of, distinct_nodes
from ...system import text
from .axes import FourierPoints, SinePoints
from .nodes import Node, node
from .operators import Band, Forward

if TYPE_CHECKING:
    from .arrays import Arrays
    from .grid import Field, Grid


class Filtered(sp.Function):
    """`Filtered(products, keep)`: made from fields without high waves, and without them itself."""

    is_commutative = True


def filtered(grid: "Grid", field: "Field", rate: sp.Expr) -> sp.Expr:
    """The rate of a field with its products marked for filtering; itself where no coordinate is one of waves."""
    waves = [grid.axes[c.name] for c in field.coordinates if isinstance(grid.axes[c.name], FourierPoints | SinePoints)]
    asked = [a.method.dealias for a in waves if isinstance(a, FourierPoints)] or ["auto"]
    if not waves or all(a is False for a in asked):
        return rate
    groups: dict[float, list[sp.Expr]] = {}
    linear = []
    for term in sp.Add.make_args(sp.expand(rate)):
        term = _conservative(term)
        d = degree(term)
        if d <= 1:
            linear.append(term)
        else:
            numbers = [float(a) for a in asked if not isinstance(a, str) and a is not False]
            groups.setdefault(numbers[0] if numbers else 2 / 3 if math.isinf(d) else 2 / (d + 1), []).append(term)
    if not groups:
        return rate
    return sp.Add(*linear, *(Filtered(sp.Add(*terms), sp.Float(keep)) for keep, terms in groups.items()))


def _conservative(term: sp.Expr) -> sp.Expr:
    """c u**n u_x as c D(u**(n+1), x)/(n+1): one field to transform instead of two."""
    slopes = [f for f in sp.Mul.make_args(term) if isinstance(f, sp.Derivative)]
    if len(slopes) != 1 or len(slopes[0].variable_count) != 1 or slopes[0].variable_count[0][1] != 1:
        return term
    u, x = slopes[0].expr, slopes[0].variables[0]
    rest = term / slopes[0]
    power = next((f for f in sp.Mul.make_args(rest) if f == u or (isinstance(f, sp.Pow) and f.base == u and f.exp.is_Integer and f.exp > 0)), None)
    if power is None or declaration_of(u) is None or declaration_of(x).kind != "space":
        return term
    factor, n = rest / power, power.as_base_exp()[1]
    constant = all((e := declaration_of(a)) is None or (e.kind in ("parameter", "constant") and not e.over) for a in distinct_nodes(factor))
    return factor * D(u ** (n + 1) / (n + 1), x) if constant else term


def degree(e: sp.Expr) -> float:
    """The degree of a polynomial in fields and their derivatives; infinite for anything else."""
    d = declaration_of(e)
    if d is not None and d.kind == "field":
        return 1
    if isinstance(e, At | sp.Integral) or not any(getattr(declaration_of(n), "kind", "") == "field" for n in distinct_nodes(e)):
        return 0
    if isinstance(e, sp.Derivative | D):
        return degree(e.args[0])
    if isinstance(e, sp.Add):
        return max(map(degree, e.args))
    if isinstance(e, sp.Mul):
        return sum(map(degree, e.args))
    if isinstance(e, sp.Pow) and e.exp.is_Integer and e.exp > 0:
        return int(e.exp) * degree(e.base)
    return math.inf


# -- coefficients -------------------------------------------------------------------------


def coefficients(transform: Forward, value: sp.Expr) -> sp.Expr:
    """`Forward` of an array; what is a `Backward` already is taken as it is, and sums are taken apart for that."""
    if isinstance(value, sp.Add):
        backward = [a for a in value.args if _as_backward(a, transform) is not None]
        rest = sp.Add(*(a for a in value.args if a not in backward))
        found = sp.Add(*(_as_backward(a, transform) for a in backward))
        return found + node(transform, rest) if rest != 0 else found
    known = _as_backward(value, transform)
    return node(transform, value) if known is None else known


def _as_backward(term: sp.Expr, transform: Forward) -> sp.Expr | None:
    """c*X for c*Backward(X) of the same transform, where c holds no array."""
    factors = sp.Mul.make_args(term)
    nodes = [f for f in factors if isinstance(f, Node)]
    others = [f for f in factors if not isinstance(f, Node)]
    if len(nodes) != 1 or any(_holds_array(f) for f in others) or not transform.undoes(nodes[0].operator):
        return None
    return sp.Mul(*others, nodes[0].operands[0])


def _holds_array(f: sp.Expr) -> bool:
    return any(isinstance(n, Node) or (getattr(declaration_of(n), "shape", ()) != ()) for n in distinct_nodes(f))


def band(arrays: "Arrays", e: sp.Expr, value: sp.Expr, keep: float) -> sp.Expr:
    """An array without high waves along the coordinates of waves that it depends on."""
    transform, back, _ = arrays.grid.transform_for(arrays, e, [])
    if not transform.axes:
        return value
    fourier = [a for a, k in zip(transform.axes, transform.kinds, strict=True) if k == "fourier"]
    mask = Band(arrays.rank, transform.axes, transform.lengths, fourier[-1] if fourier else -1, transform.kinds, keep)
    return node(back, node(mask, coefficients(transform, value)))


# -- odd and even -----------------------------------------------------------------------------


def parity(grid: "Grid", e: sp.Expr, c: Coordinate) -> int:
    """-1 for an expression that is odd about the sides of a coordinate (a sine series), 1 for one that is even (a cosine series)."""
    d = declaration_of(e)
    if d is not None and d.kind == "field":
        return -1 if c in d.over and grid.axes[c.name].series == "sine" else 1  # type: ignore[attr-defined]
    if isinstance(e, sp.Derivative | D):
        by = e.variable_count if isinstance(e, sp.Derivative) else ((e.args[1], 1),)
        return parity(grid, e.args[0], c) * (-1) ** sum(int(n) for v, n in by if v == c)
    if isinstance(e, sp.Mul):
        return math.prod(parity(grid, a, c) for a in e.args)
    if isinstance(e, sp.Pow) and e.exp.is_Integer:
        return parity(grid, e.base, c) ** (int(e.exp) % 2)
    if isinstance(e, sp.Add | Filtered):
        terms = e.args if isinstance(e, sp.Add) else sp.Add.make_args(e.args[0])
        found = {parity(grid, a, c) for a in terms if a.has(c)} or {1}
        if len(found) > 1:
            raise CompileError(
                f"`{text(e)}` is neither odd nor even about the sides of {c}: a sine or cosine series cannot differentiate it. "
                f"Use sci.Chebyshev or sci.FiniteDifference along {c}."
            )
        return found.pop()
    odd = [a for a in e.args if a.has(c) and parity(grid, a, c) < 0] if e.args and not isinstance(e, Coordinate) else []
    if odd and isinstance(e, sp.sin | sp.sinh | sp.tan | sp.tanh | sp.asinh | sp.atan | sp.erf):
        return -1
    if odd and not isinstance(e, sp.cos | sp.cosh | sp.Abs):
        raise CompileError(f"`{text(e)}` is neither odd nor even about the sides of {c}: use sci.Chebyshev or sci.FiniteDifference along {c}.")
    return 1


__all__: list[Any] = ["Filtered", "band", "coefficients", "degree", "filtered", "parity"]
