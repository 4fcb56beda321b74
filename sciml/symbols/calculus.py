"""Words for derivatives that stay as written, values at a place and integrals over space.

| word                 | mathematics                          | node          |
|----------------------|--------------------------------------|---------------|
| `D(f, x)`            | df/dx, never expanded: fluxes         | `D`           |
| `at(f, x.left)`      | f where x is at that side             | `At`          |
| `integral(f, x)`     | the integral of f over the domain     | `sp.Integral` |
| `grad(u)`            | (du/dx, du/dy, ...)                   |               |
| `div((p, q))`        | D(p, x) + D(q, y) + ...               |               |
| `curl((p, q, r))`    | dr/dy - dq/dz, ...                    |               |
| `laplacian(u)`       | u_xx + u_yy + ...                     | `sp.Sum` over a vector |
| `normal_derivative(u)` | n_x u_x + n_y u_y + ...             |               |
"""

import itertools
from collections.abc import Sequence
from typing import Any

import numpy as np
import sympy as sp

from ..errors import ModelError
from .declaration import Declaration, declaration_of, distinct_nodes
from .heads import Applied, Coordinate, Quantity, Side, vector_of


class D(sp.Function):
    """`D(f, x)`: the derivative of f by x, kept as it is written.

    SymPy expands (k u_x)_x into k_x u_x + k u_xx; a conservative scheme needs the flux k u_x whole. Also `D(f, x, 2)`.

    >>> import sciml as sci
    >>> s = sci.space("s", 0, 1)
    >>> u, k = sci.fields("u", sci.t, s), sci.parameters("k", 1.0, over=s)
    >>> sci.D(k * u.diff(s), s)
    D(k(s)*Derivative(u(t, s), s), s)
    """

    is_commutative = True

    @classmethod
    def eval(cls, of: sp.Expr, coordinate: Any, order: Any = 1) -> sp.Expr | None:
        if vector_of(coordinate) is not None or (isinstance(coordinate, Coordinate) and coordinate.declaration.shape):
            raise ModelError(
                f"sci.D({of}, {coordinate}): derivatives by components of a vector are carried out, not kept. Write a sum, "
                "sp.Sum((k*u.diff(X[i])).diff(X[i]), (i, 0, X.dim - 1))."
            )
        if not isinstance(coordinate, Coordinate) or declaration_of(coordinate).kind != "space":
            raise ModelError(
                f'sci.D({of}, {coordinate}): the second argument is a coordinate of space, s = sci.space("s", 0, 1). Rates are x.diff(sci.t).'
            )
        if order != 1:
            for _ in range(int(order)):
                of = cls(of, coordinate)
            return of
        if not of.has(coordinate) and not of.is_number:
            raise ModelError(
                f"sci.D({of}, {coordinate}) is 0: nothing in it depends on {coordinate}. Take the derivative by the coordinate of the field."
            )
        return sp.S.Zero if of.is_number else None

    def _eval_is_real(self) -> Any:
        return self.args[0].is_real

    def _eval_derivative(self, symbol: Any) -> sp.Expr:
        inner = self.args[0].diff(symbol)
        return D(inner, self.args[1]) if inner.has(self.args[1]) else sp.S.Zero

    def _latex(self, printer: Any, exp: str | None = None) -> str:
        text = rf"\partial_{{{printer._print(self.args[1])}}}\left({printer._print(self.args[0])}\right)"
        return text if exp is None else rf"\left({text}\right)^{{{exp}}}"


class At(sp.Function):
    """`At(f, x, value)`: f where the coordinate x has that value. Written `sci.at`."""

    is_commutative = True

    @classmethod
    def eval(cls, of: sp.Expr, coordinate: Any, position: Any) -> sp.Expr | None:
        return None if of.has(coordinate) else of

    def _eval_is_real(self) -> Any:
        return self.args[0].is_real

    def _eval_derivative(self, symbol: Any) -> sp.Expr:
        of, coordinate, position = self.args
        return sp.S.Zero if symbol == coordinate else At(of.diff(symbol), coordinate, position)

    def _sympystr(self, printer: Any) -> str:
        return f"at({printer._print(self.args[0])}, {self.args[1]}={printer._print(self.args[2])})"

    def _latex(self, printer: Any, exp: str | None = None) -> str:
        text = rf"\left.{printer._print(self.args[0])}\right|_{{{printer._print(self.args[1])}={printer._print(self.args[2])}}}"
        return text if exp is None else rf"\left({text}\right)^{{{exp}}}"


def at(of: Any, place: Any, position: Any = None) -> sp.Expr:
    """The value of an expression at a side, `at(u, x.left)`, or at a point, `at(u, x, 0.3)`.

    >>> import sciml as sci
    >>> x = sci.space("x", 0, 1)
    >>> u = sci.fields("u", sci.t, x)
    >>> sci.at(u.diff(x), x.right)
    at(Derivative(u(t, x), x), x=1.0)
    """
    if isinstance(place, Side):
        coordinate, position = place.coordinate, place.position
    elif isinstance(place, Coordinate) and position is not None:
        coordinate = place
    else:
        raise ModelError(f"sci.at(..., {place}): write sci.at(u, x.left) for a side, or sci.at(u, x, 0.3) for a point.")
    if coordinate.declaration.shape:
        raise ModelError(
            f"sci.at(..., {coordinate}, ...): '{coordinate}' is a vector, and values at a point are taken along scalar coordinates alone."
        )
    low, high = coordinate.declaration.payload["low"], coordinate.declaration.payload["high"]
    if not low <= float(position) <= high:
        raise ModelError(f"sci.at(..., {coordinate}, {position}): {coordinate} lies between {low:g} and {high:g}.")
    return At(sp.sympify(of), coordinate, sp.Float(float(position)))


def integral(of: Any, *coordinates: Any, to: Any = None) -> sp.Expr:
    """The integral of an expression over the domain of some coordinates; `to=x` up to x, from its low end.

    >>> import sciml as sci
    >>> x = sci.space("x", 0, 2)
    >>> u = sci.fields("u", sci.t, x)
    >>> sci.integral(u, x)
    Integral(u(t, x), (x, 0, 2))
    """
    if not coordinates or not all(isinstance(c, Coordinate) and c.declaration.kind == "space" for c in coordinates):
        raise ModelError(f"sci.integral({of}, ...) needs the coordinates to integrate over: sci.integral(u, x).")
    if to is not None and (len(coordinates) != 1 or to != coordinates[0]):
        raise ModelError(f"to={to}: integrals run to the coordinate itself, sci.integral(u, x, to=x).")
    for c in coordinates:
        if c.declaration.shape or not np.isfinite([c.declaration.payload[k] for k in ("low", "high")]).all():
            what = "a vector" if c.declaration.shape else "infinite"
            raise ModelError(f"sci.integral({of}, {c}): '{c}' is {what}; integrals run over scalar coordinates with two ends.")
        low, high = (_exact(c.declaration.payload[k]) for k in ("low", "high"))
        of = sp.Integral(of, (c, low, high if to is None else c))
    return of


def grad(of: Any, *coordinates: Any) -> tuple[sp.Expr, ...]:
    """The gradient of a field: one derivative for each of its coordinates of space, or for those given.

    >>> import sciml as sci
    >>> x, y = sci.space("x", 0, 1), sci.space("y", 0, 1)
    >>> sci.grad(sci.fields("p", sci.t, x, y))
    (Derivative(p(t, x, y), x), Derivative(p(t, x, y), y))
    """
    return tuple(sp.sympify(of).diff(c) for c in _scalars(of, _coordinates(of, coordinates, "grad"), "grad"))


def laplacian(of: Any, *coordinates: Any) -> sp.Expr:
    """The sum of the second derivatives by the Cartesian coordinates of a field, or by those given.

    A vector coordinate gives a sum over its components.

    >>> import sciml as sci
    >>> x, y = sci.space("x", 0, 1), sci.space("y", 0, 1)
    >>> sci.laplacian(sci.fields("u", sci.t, x, y))
    Derivative(u(t, x, y), (x, 2)) + Derivative(u(t, x, y), (y, 2))
    >>> X = sci.space("X", -1, 1, dim=100)
    >>> sci.laplacian(sci.fields("u", sci.t, X))
    Sum(Derivative(u(t, X), (X[i], 2)), (i, 0, 99))
    """
    of = sp.sympify(of)
    return sp.Add(*(_second(of, c) for c in _coordinates(of, coordinates, "laplacian")))


def _second(of: sp.Expr, c: Coordinate) -> sp.Expr:
    if not c.declaration.shape:
        return of.diff(c, 2)
    i = unused_index(of)
    return sp.Sum(of.diff(c[i], 2), (i, 0, c.dim - 1))


def unused_index(of: sp.Basic) -> sp.Symbol:
    """The first of i, j, k, ... that an expression does not use."""
    taken = {n.name for n in distinct_nodes(of) if isinstance(n, sp.Symbol)}
    names = (letter + number for number in itertools.chain([""], map(str, itertools.count(1))) for letter in "ijklmn")
    return sp.Symbol(next(n for n in names if n not in taken), integer=True)


def normal(coordinate: Coordinate) -> Quantity:
    """The component along a coordinate of the outward unit normal of the domain: `n_x`. It has a value on the boundary alone."""
    return Quantity(Declaration("normal", f"n_{coordinate.name}", over=(coordinate,)))


def normal_derivative(of: Any) -> sp.Expr:
    """The derivative along the outward normal of the domain, for conditions on its boundary.

    At `x.right` it is the derivative by x, at `x.left` the negative of it, and on the surface of a region that of the
    normal there.

    Raises:
        ModelError: nothing in the expression is a field over scalar coordinates of space.

    >>> import sciml as sci
    >>> x, y = sci.space("x", -1, 1), sci.space("y", -1, 1)
    >>> u = sci.fields("u", x, y)
    >>> disc = sci.ball((x, y), radius=1)
    >>> sci.System([sci.eq(sci.laplacian(u), u)], domain=disc, boundary={disc.surface: sci.eq(sci.normal_derivative(u), 1)})
    System 'system'
      u_xx + u_yy = u
      domain ball((x, y), (0, 0), 1)
      at the circle of radius 1 around (0, 0): n_x*u_x + n_y*u_y = 1
    """
    of = sp.sympify(of)
    return sp.Add(*(normal(c) * of.diff(c) for c in _scalars(of, _coordinates(of, (), "normal_derivative"), "normal_derivative")))


def div(of: Sequence[Any], *coordinates: Any) -> sp.Expr:
    """The divergence of a vector of expressions, in conservative form: the sum of `D(component, coordinate)`.

    >>> import sciml as sci
    >>> x, y = sci.space("x", 0, 1), sci.space("y", 0, 1)
    >>> u, k = sci.fields("u", sci.t, x, y), sci.parameters("k", 2.0)
    >>> sci.div([k * c for c in sci.grad(u)])
    D(k*Derivative(u(t, x, y), x), x) + D(k*Derivative(u(t, x, y), y), y)
    """
    parts = _vector(of, "div")
    return sp.Add(*(D(part, c) for part, c in zip(parts, _as_many(parts, coordinates, "div"), strict=True)))


def curl(of: Sequence[Any], *coordinates: Any) -> Any:
    """The curl of a vector: three components in three dimensions, one number in two.

    >>> import sciml as sci
    >>> x, y = sci.space("x", 0, 1), sci.space("y", 0, 1)
    >>> sci.curl(sci.fields("p q", sci.t, x, y))
    -Derivative(p(t, x, y), y) + Derivative(q(t, x, y), x)
    """
    parts = _vector(of, "curl")
    c = _as_many(parts, coordinates, "curl")
    if len(parts) == 2:
        return parts[1].diff(c[0]) - parts[0].diff(c[1])
    if len(parts) != 3:
        raise ModelError(f"sci.curl takes two or three components, not {len(parts)}.")
    return tuple(parts[(i + 2) % 3].diff(c[(i + 1) % 3]) - parts[(i + 1) % 3].diff(c[(i + 2) % 3]) for i in range(3))


def _vector(of: Any, word: str) -> list[sp.Expr]:
    if isinstance(of, sp.Expr) or not hasattr(of, "__len__"):
        raise ModelError(f"sci.{word}({of}) needs a vector: sci.{word}((p, q)).")
    return [sp.sympify(part) for part in of]


def _coordinates(of: Any, given: tuple, word: str) -> tuple[Coordinate, ...]:
    """Those given, or all coordinates of space in the order in which the fields of an expression have them."""
    if given:
        return tuple(given)
    found: dict[Coordinate, None] = {}
    for node in distinct_nodes(sp.sympify(of)):
        if isinstance(node, Applied) and declaration_of(node).kind in ("field", "parameter"):
            found.update(dict.fromkeys(a for a in node.args if isinstance(a, Coordinate) and declaration_of(a).kind == "space"))
    if not found:
        raise ModelError(f"sci.{word}({of}) has no field, so its coordinates are not known: sci.{word}(expression, x, y).")
    return tuple(found)


def _scalars(of: Any, coordinates: tuple[Coordinate, ...], word: str) -> tuple[Coordinate, ...]:
    """Those coordinates, none of which may be a vector."""
    for c in coordinates:
        if isinstance(c, Coordinate) and c.declaration.shape:
            raise ModelError(
                f"sci.{word}({of}): '{c}' is a vector of {c.dim} coordinates. Write sums over its components, such as "
                f'sp.Sum(u.diff({c}[i])**2, (i, 0, {c}.dim - 1)) with i = sp.Symbol("i", integer=True), or sci.laplacian(u, {c}).'
            )
    return coordinates


def _as_many(parts: list[sp.Expr], given: tuple, word: str) -> tuple[Coordinate, ...]:
    coordinates = _coordinates(sp.Add(*(p * sp.Dummy() for p in parts)), given, word)
    _scalars(parts[0], coordinates, word)
    if len(coordinates) != len(parts):
        raise ModelError(f"sci.{word}: {len(parts)} components for the coordinates {coordinates}. Name them: sci.{word}((p, q), x, y).")
    return coordinates


def _exact(value: float) -> sp.Expr:
    return sp.Integer(int(value)) if value == int(value) else sp.Float(value)
