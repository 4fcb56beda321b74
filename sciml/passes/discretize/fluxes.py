"""What moves with a wind: upwind derivatives and the numerical fluxes of finite volumes.

    upwind         a u_x  ->  a+ D+ u + a- D- u,   a+- = (a +- |a|)/2          Courant, Isaacson and Rees (1952)
    local          F = (f(L) + f(R))/2 - s/2 (R - L)                           Rusanov (1961)

L and R are the field on the two sides of a face, s is the largest speed there: |f'(u)| of one equation, the
largest eigenvalue of the flux Jacobian where equations carry each other. Signs that SymPy's assumptions settle
(a parameter with positive=True) are settled here, and the other side is never computed.
"""

from typing import TYPE_CHECKING, Any

import sympy as sp

from ...errors import CompileError
from ...symbols import Applied, Coordinate, D, declaration_of, distinct_nodes
from ...system import text
from .axes import Cells, ChebyshevNodes, Nodes
from .nodes import node
from .operators import Limited

if TYPE_CHECKING:
    from .arrays import Arrays, Where


def split(f: sp.Expr, c: Coordinate) -> tuple[sp.Expr, sp.Expr]:
    """(terms with a derivative by c, which spread; terms without, which are carried)."""
    terms = sp.Add.make_args(f if isinstance(f, sp.Add) else sp.expand(f) if f.has(sp.Derivative, D) else f)
    spread = [a for a in terms if _slopes(a, c)]
    return sp.Add(*spread), sp.Add(*(a for a in terms if a not in spread))


def fluxes_along(rate: sp.Expr, c: Coordinate) -> sp.Expr:
    """The sum F of what a rate -dF/dx carries along a coordinate, without what spreads."""
    total = sp.S.Zero
    for term in sp.Add.make_args(sp.expand(rate)):
        inner = [a for a in sp.Mul.make_args(term) if isinstance(a, D) and a.args[1] == c]
        if len(inner) == 1:
            total -= term / inner[0] * split(inner[0].args[0], c)[1]
    return total


def combined(rate: sp.Expr, c: Coordinate) -> sp.Expr:
    """a D(f, x) + b D(g, x) as D(a f + b g, x), where a and b are the same everywhere: one flux through each face."""
    inside, rest = sp.S.Zero, []
    for term in sp.Add.make_args(sp.expand_mul(rate)):
        found = [a for a in sp.Mul.make_args(term) if isinstance(a, D) and a.args[1] == c]
        factor = term / found[0] if len(found) == 1 else sp.S.Zero
        if factor != 0 and all(
            (d := declaration_of(n)) is None or (d.kind in ("parameter", "constant") and not d.over) for n in distinct_nodes(factor)
        ):
            inside += factor * found[0].args[0]
        else:
            rest.append(term)
    return sp.Add(D(inside, c), *rest) if inside != 0 else rate


def _slopes(term: sp.Expr, c: Coordinate) -> bool:
    return any((isinstance(n, sp.Derivative) and c in n.variables) or (isinstance(n, D) and n.args[1] == c) for n in distinct_nodes(term))


def upwinded(arrays: "Arrays", factor: sp.Expr, derivative: sp.Derivative, where: "Where") -> sp.Expr | None:
    """factor * du/dx on the right side of a rate, against the wind; None where that is not asked for."""
    c, order = derivative.variable_count[0] if len(derivative.variable_count) == 1 else (None, 0)
    if order != 1 or not isinstance(c, Coordinate) or declaration_of(c).kind != "space" or declaration_of(derivative.expr).kind != "field":
        return None
    axis = arrays.axis(c)
    if type(axis) is Nodes and axis.method.advection == "upwind":
        inner = arrays.visit(derivative.expr, where.with_ends(c))
    elif type(axis) is Cells and axis.method.flux != "central":
        inner = arrays.visit(derivative.expr, where.on(ghosts=None if axis.periodic else (c, 1)))
    else:
        return None
    i, wind = arrays.place(c), arrays.visit(factor, where)
    forward, backward = (node(axis.biased(i, ahead), inner) for ahead in (True, False))
    if factor.is_nonnegative:  # a u_x on the right side moves things to the left: look to the right
        return wind * forward
    if factor.is_nonpositive:
        return wind * backward
    return sp.Max(wind, 0) * forward + sp.Min(wind, 0) * backward


def through_faces(arrays: "Arrays", f: sp.Expr, c: Coordinate, where: "Where", factor: sp.Expr) -> sp.Expr:
    """A flux without derivatives at the faces between cells."""
    axis, inner = arrays.axis(c), where.on(target=None)
    assert isinstance(axis, Cells)
    fields = [n for n in distinct_nodes(f) if isinstance(n, Applied) and declaration_of(n).kind == "field"]
    if axis.method.flux == "central" or not fields:
        return arrays.visit(f, inner.on(face=c))
    moving = arrays.grid.carried_together(where.target, c) if where.target else {}
    if not moving:
        moving = {u: f for u in fields[:1]} if len(fields) == 1 else {}
    if not moving:
        raise CompileError(
            f"FiniteVolume along '{c}' needs to know what the flux `{text(f)}` carries: write it as a term of the equation of that field, "
            f'or use sci.FiniteVolume({axis.n}, flux="central").'
        )
    sides = {}
    for side in ("left", "right"):
        stand_in = {u: _reconstructed(arrays, u, c, side, inner) for u in moving}
        sides[side] = stand_in

    def flux(side: str) -> sp.Expr:
        names = {u: sp.Symbol(f"face:{declaration_of(u).name}", real=True) for u in moving}
        plain = arrays.visit(f.xreplace(names), inner.on(face=c))
        return plain.xreplace({names[u]: sides[side][u] for u in moving})

    own = next((u for u in moving if declaration_of(u).name == where.target), next(iter(moving)))
    speed = _speed(arrays, moving, own, f, c, inner, sides, factor)
    if speed is None:
        low, high = flux("left"), flux("right")
        jump = sides["right"][own] - sides["left"][own]
        largest = _largest_speed(arrays, moving, own, f, c, inner, sides)
        sign = _sign(arrays, factor, inner)
        return (low + high) / 2 + sign * largest * jump / 2
    return flux("left") if speed > 0 else flux("right")


def _sign(arrays: "Arrays", factor: sp.Expr, where: "Where") -> sp.Expr:
    if factor.is_negative:
        return sp.S.NegativeOne
    return sp.S.One if factor.is_positive else sp.sign(arrays.visit(factor, where))


def _reconstructed(arrays: "Arrays", u: Applied, c: Coordinate, side: str, where: "Where") -> sp.Expr:
    axis, i = arrays.axis(c), arrays.place(c)
    assert isinstance(axis, Cells)
    value = arrays.visit(u, where if axis.periodic else where.on(ghosts=(c, axis.layers)))
    return node(Limited(i, axis.n, axis.method.flux, side, axis.periodic), value)


def _speed(arrays: Any, moving: dict, own: Applied, f: sp.Expr, c: Any, where: Any, sides: Any, factor: sp.Expr) -> int | None:
    """1 or -1 where one field is carried in a direction that is known before anything runs."""
    if len(moving) > 1:
        return None
    symbol = sp.Dummy(real=True)
    slope = -factor * f.xreplace({own: symbol}).diff(symbol)
    return 1 if slope.is_nonnegative else -1 if slope.is_nonpositive else None


def _largest_speed(arrays: "Arrays", moving: dict, own: Applied, f: sp.Expr, c: Coordinate, where: "Where", sides: dict) -> sp.Expr:
    """The largest speed at each face: the larger one of its two sides."""
    symbols = {u: sp.Symbol(f"face:{declaration_of(u).name}", real=True) for u in moving}
    if len(moving) == 1:
        speeds = [sp.Abs(f.xreplace(symbols).diff(symbols[own]))]
    else:
        jacobian = sp.Matrix([[g.xreplace(symbols).diff(symbols[u]) for u in moving] for g in moving.values()])
        speeds = _eigenvalues(jacobian)
    both = []
    for side in ("left", "right"):
        names = {symbols[u]: sides[side][u] for u in moving}
        both += [arrays.visit(s, where.on(face=c)).xreplace(names) for s in speeds]
    both = list(dict.fromkeys(both))
    return both[0] if len(both) == 1 else sp.Max(*both, evaluate=False)


def _eigenvalues(jacobian: sp.Matrix) -> list[sp.Expr]:
    """The sizes of the eigenvalues in closed form for two, a bound (the largest row sum) for more."""
    if jacobian.shape == (2, 2):
        middle = sp.simplify(jacobian.trace() / 2)
        radius = sp.simplify(middle**2 - jacobian.det())
        return [sp.Abs(middle) + sp.sqrt(sp.Max(radius, 0))]
    return [sp.Add(*(sp.Abs(jacobian[i, j]) for j in range(jacobian.shape[1]))) for i in range(jacobian.shape[0])]


def on_nodes(arrays: "Arrays", f: sp.Expr, c: Coordinate, where: "Where", factor: sp.Expr) -> sp.Expr:
    """d f/dx on nodes for a flux without derivatives: central, or upwinded by half the jump of forward and backward differences."""
    axis, i = arrays.axis(c), arrays.place(c)
    inner = where.on(target=None).with_ends(c)
    value = arrays.visit(f, inner)
    fields = [n for n in distinct_nodes(f) if isinstance(n, Applied) and declaration_of(n).kind == "field"]
    if isinstance(axis, ChebyshevNodes) or axis.method.advection == "central" or len(fields) != 1:  # type: ignore[attr-defined]
        return node(axis.derivative(i, 1), value)  # type: ignore[attr-defined]
    symbol = sp.Dummy(real=True)
    speed = arrays.visit(sp.Abs(f.xreplace({fields[0]: symbol}).diff(symbol)).xreplace({symbol: fields[0]}), inner)
    u = arrays.visit(fields[0], inner)
    forward, backward = axis.biased(i, True), axis.biased(i, False)  # type: ignore[attr-defined]
    return (node(forward, value) + node(backward, value)) / 2 + _sign(arrays, factor, inner) * speed * (node(forward, u) - node(backward, u)) / 2
