"""Functions of one number: f(z) = f(z_0) + sum over m of c_m (z - z_0)^m, with the powers taken in the algebra.

The c_m = f^(m)(z_0) / m! are arrays of the primal's shape, whatever the number of slots.

| f                      | how the c_m follow                                                       |
|------------------------|--------------------------------------------------------------------------|
| exp, expm1, exp2       | e^z / m!                                                                 |
| log, log1p             | (-1)^(m+1) / (m z^m)                                                     |
| sin, cos, sinh, cosh   | they return after four and after two                                     |
| tanh, logistic, tan    | f' = 1 - f^2, f - f^2, 1 + f^2: a recurrence of products                 |
| erf, erfc              | g = f' has g' = -2 z g: a recurrence of three terms                      |
| z^p                    | binomial(p, m) z^(p - m); nothing beyond m = p for whole p               |
| others                 | from the function's own derivative, by the rule `derived`                |
"""

import math
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from .algebra import Algebra, Series, Slots, algebra, broadcast, cross, series
from .interpret import RULES, bind, rule

Coefficients = list[Any]
"""c_1, c_2, ...: shorter than asked where the rest are zero."""


def compose(al: Algebra, out: Any, z: Series, c: Coefficients) -> Any:
    """f(z) from the coefficients of f at the primal of z."""
    found: Slots = {}
    power = z.slots
    for m, factor in enumerate(c, start=1):
        if m > 1:
            power = cross(al, jax.lax.mul, power, z.slots)
        for key, slot in power.items():
            part = broadcast(al, jax.lax.mul, factor, slot, key)
            found[key] = found[key] + part if key in found else part
    return series(out, {key: found[key] for key in al.keys if key in found})


def reciprocal(al: Algebra, z: Series) -> Series:
    """1 / z."""
    y = 1 / z.primal
    return compose(al, y, z, [(-1) ** m * y ** (m + 1) for m in range(1, al.order + 1)])


@rule("exp", "exp2", "expm1", "log", "log1p", "sin", "cos", "sinh", "cosh", "tanh", "logistic", "tan", "erf", "erfc")
def known(al: Algebra, eqn: Any, args: list[Any]) -> list[Any]:
    """A function of the table above."""
    (z,) = args
    (y,) = bind(eqn, [z.primal])
    return [compose(al, y, z, _TABLE[eqn.primitive.name](z.primal, y, al.order))]


@rule("asin", "acos", "atan", "asinh", "acosh", "atanh", "cbrt", "lgamma", "digamma", "erf_inv", "bessel_i0e", "bessel_i1e", "bessel_i0", "bessel_i1")
def by_derivative(al: Algebra, eqn: Any, args: list[Any]) -> list[Any]:
    """A function whose coefficients follow from its own derivative."""
    (z,) = args
    return [compose(al, bind(eqn, [z.primal])[0], z, scalar_coefficients(lambda one, value: RULES["derived"](one, eqn, [value]), z.primal, al.order))]


def scalar_coefficients(function: Callable[[Algebra, Any], list[Any]], z: Any, order: int) -> Coefficients:
    """The coefficients of an elementwise function at each entry of an array, from one pass with a single variable."""
    one = algebra([(order,)])
    (found,) = function(one, Series(z, {(1,): jnp.ones_like(z)}))
    slots = found.slots if isinstance(found, Series) else {}
    return [slots.get((m,), jnp.zeros_like(z)) for m in range(1, order + 1)]


@rule("square")
def square(al: Algebra, eqn: Any, args: list[Any]) -> list[Any]:
    """z^2."""
    (z,) = args
    return [compose(al, bind(eqn, [z.primal])[0], z, [2 * z.primal, jnp.ones_like(z.primal)])]


@rule("integer_pow", "sqrt", "rsqrt")
def power(al: Algebra, eqn: Any, args: list[Any]) -> list[Any]:
    """A power with a fixed exponent."""
    (z,) = args
    (y,) = bind(eqn, [z.primal])
    name = eqn.primitive.name
    if name == "integer_pow":
        n = eqn.params["y"]
        c = [
            math.prod(range(n - m + 1, n + 1)) / math.factorial(m) * jax.lax.integer_pow(z.primal, n - m)
            for m in range(1, al.order + 1)
            if m <= n or n < 0
        ]
    else:
        p = 0.5 if name == "sqrt" else -0.5
        c, factor = [], y
        for m in range(al.order):
            factor = factor * ((p - m) / (m + 1)) / z.primal
            c.append(factor)
    return [compose(al, y, z, c)]


@rule("pow")
def pow_(al: Algebra, eqn: Any, args: list[Any]) -> list[Any]:
    """z^p: by its coefficients for a fixed exponent, else by its derivative."""
    z, p = args
    if isinstance(p, Series):
        return RULES["derived"](al, eqn, args)
    whole = not jnp.issubdtype(jnp.result_type(p), jnp.inexact)
    p = jnp.asarray(p, z.primal.dtype) if whole else p
    (y,) = bind(eqn, [z.primal, args[1]])
    c, factor = [], jnp.ones_like(p)
    for m in range(1, al.order + 1):
        factor = factor * ((p - (m - 1)) / m)
        plain = (factor == 0) | (p == m)  # no power of z is left: none is taken, since its derivative at zero is no number
        c.append(factor * jnp.where(plain, 1, z.primal ** jnp.where(plain, 1, p - m)))
    return [compose(al, y, z, [jnp.broadcast_to(factor, z.primal.shape) for factor in c])]


def _exp(scale: float, shift: float) -> Callable[[Any, Any, int], Coefficients]:
    return lambda z, y, order: [(y + shift) * (scale**m / math.factorial(m)) for m in range(1, order + 1)]


def _log(shift: float) -> Callable[[Any, Any, int], Coefficients]:
    return lambda z, y, order: [(-1) ** (m + 1) / m * (1 / (z + shift)) ** m for m in range(1, order + 1)]


def _cycle(*derivatives: Callable[[Any], Any]) -> Callable[[Any, Any, int], Coefficients]:
    def coefficients(z: Any, y: Any, order: int) -> Coefficients:
        values = [derivative(z) for derivative in derivatives[:order]]
        return [values[(m - 1) % len(derivatives)] / math.factorial(m) for m in range(1, order + 1)]

    return coefficients


def _quadratic(first: Callable[[Any], Any], linear: float, quadratic: float) -> Callable[[Any, Any, int], Coefficients]:
    """f' = w(f) with w = constant + linear f + quadratic f^2; `first` gives w without loss of digits."""

    def coefficients(z: Any, y: Any, order: int) -> Coefficients:
        c = [y, first(y)]
        for m in range(1, order):
            pairs = sum(c[j] * c[m - j] * (2 if j < m - j else 1) for j in range((m + 2) // 2))
            c.append((linear * c[m] + quadratic * pairs) / (m + 1) if linear else quadratic * pairs / (m + 1))
        return c[1 : order + 1]

    return coefficients


def _erf(sign: float) -> Callable[[Any, Any, int], Coefficients]:
    def coefficients(z: Any, y: Any, order: int) -> Coefficients:
        g = [sign * 2 / math.sqrt(math.pi) * jnp.exp(-z * z)]
        for m in range(order - 1):
            g.append(-2 * (z * g[m] + (g[m - 1] if m else 0)) / (m + 1))
        return [g[m] / (m + 1) for m in range(order)]

    return coefficients


_TABLE: dict[str, Callable[[Any, Any, int], Coefficients]] = {
    "exp": _exp(1.0, 0.0),
    "exp2": _exp(math.log(2.0), 0.0),
    "expm1": _exp(1.0, 1.0),
    "log": _log(0.0),
    "log1p": _log(1.0),
    "sin": _cycle(jnp.cos, lambda z: -jnp.sin(z), lambda z: -jnp.cos(z), jnp.sin),
    "cos": _cycle(lambda z: -jnp.sin(z), lambda z: -jnp.cos(z), jnp.sin, jnp.cos),
    "sinh": _cycle(jnp.cosh, jnp.sinh),
    "cosh": _cycle(jnp.sinh, jnp.cosh),
    "tanh": _quadratic(lambda y: (1 - y) * (1 + y), 0.0, -1.0),
    "logistic": _quadratic(lambda y: y * (1 - y), 1.0, -1.0),
    "tan": _quadratic(lambda y: 1 + y * y, 0.0, 1.0),
    "erf": _erf(1.0),
    "erfc": _erf(-1.0),
}
