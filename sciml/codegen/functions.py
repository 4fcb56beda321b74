"""The table SymPy function -> JAX function.

`safe` holds, for each argument, a point at which value and derivatives are finite. In a branch of a
`Piecewise` that is not taken the function is evaluated there, so that neither its value nor its gradient can
spoil the branch that is ("double where"). Functions that are finite everywhere have `safe=None`.
"""

import dataclasses
import functools
import math
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import jax.scipy.special as jsp
import sympy as sp
from sympy.codegen import cfunctions


@dataclasses.dataclass(frozen=True)
class Row:
    """A function of JAX and the point where it is safe."""

    call: Callable[..., Any]
    safe: tuple[float, ...] | None = None


# -- pieces that JAX lacks, or whose derivatives need care ----------------------


@functools.partial(jax.custom_jvp, nondiff_argnums=(1,))
def half_power(x: Any, n: int) -> Any:
    """x**(n + 1/2) for n >= 1, by a root instead of a general power; its derivative at 0 is 0, not NaN."""
    return x**n * jnp.sqrt(x)


@half_power.defjvp
def _half_power_jvp(n: int, primals: tuple, tangents: tuple) -> tuple:
    (x,), (dx,) = primals, tangents
    lower = jnp.sqrt(x) if n == 1 else half_power(x, n - 1)
    return half_power(x, n), (n + 0.5) * lower * dx


@jax.custom_jvp
def _abs(x: Any) -> Any:
    return jnp.abs(x)


@_abs.defjvp
def _abs_jvp(primals: tuple, tangents: tuple) -> tuple:
    """The derivative at 0 is sign(0) = 0, as in SymPy; JAX alone takes 1."""
    (x,), (dx,) = primals, tangents
    return jnp.abs(x), jnp.sign(x) * dx


def _where_sign(x: Any, below: float, at: Any, above: float) -> Any:
    return jnp.where(x > 0, above, jnp.where(x < 0, below, at)) + 0.0 * x


def _heaviside(x: Any, at_zero: Any = 0.5) -> Any:
    return _where_sign(jax.lax.stop_gradient(jnp.asarray(x)), 0.0, at_zero, 1.0)


def _mod(x: Any, y: Any) -> Any:
    return x - y * jnp.floor(x / y)


@jax.custom_jvp
def _sinc(x: Any) -> Any:
    return jnp.sinc(x / math.pi)


@_sinc.defjvp
def _sinc_jvp(primals: tuple, tangents: tuple) -> tuple:
    """(cos(x) - sinc(x))/x, as its Taylor series near 0, where the difference cancels."""
    (x,), (dx,) = primals, tangents
    square = x * x
    series = -x / 3 * (1 - square / 10 * (1 - square / 28 * (1 - square / 54 * (1 - square / 88 * (1 - square / 130)))))
    near = square < 0.25
    away = jnp.where(near, 1.0, x)
    slope = jnp.where(near, series, (jnp.cos(away) - _sinc(away)) / away)
    return _sinc(x), slope * dx


@jax.custom_jvp
def _acot(x: Any) -> Any:
    return jnp.arctan(1.0 / x)


@_acot.defjvp
def _acot_jvp(primals: tuple, tangents: tuple) -> tuple:
    """The derivative is finite at 0, where 1/x is not."""
    (x,), (dx,) = primals, tangents
    return _acot(x), -dx / (1.0 + x * x)


def _sech(x: Any) -> Any:
    """By decaying exponentials: 1/cosh(x) has the derivative 0*inf for large x."""
    decay = jnp.exp(-jnp.abs(x))
    return 2.0 * decay / (1.0 + decay * decay)


def _csch(x: Any) -> Any:
    size = jnp.abs(x)
    return -2.0 * jnp.sign(x) * jnp.exp(-size) / jnp.expm1(-2.0 * size)


@jax.custom_jvp
def _erfcinv(x: Any) -> Any:
    """By the quantile of the normal distribution: 1 - x would round a small x away."""
    return -jsp.ndtri(0.5 * x) * math.sqrt(0.5)


@_erfcinv.defjvp
def _erfcinv_jvp(primals: tuple, tangents: tuple) -> tuple:
    (x,), (dx,) = primals, tangents
    found = _erfcinv(x)
    return found, -0.5 * math.sqrt(math.pi) * jnp.exp(found * found) * dx


def _polygamma(n: int, x: Any) -> Any:
    return jsp.digamma(x) if n == 0 else jsp.polygamma(n, x)


def _lowergamma(a: Any, x: Any) -> Any:
    return jsp.gammainc(a, x) * jsp.gamma(a)


def _uppergamma(a: Any, x: Any) -> Any:
    return jsp.gammaincc(a, x) * jsp.gamma(a)


def _beta(a: Any, b: Any) -> Any:
    return _gamma_ratio((a, b), (a + b,))


def _gamma_ratio(above: tuple, below: tuple) -> Any:
    """A quotient of gamma functions by their logarithms, which do not overflow."""
    size = sum(jsp.gammaln(a) for a in above) - sum(jsp.gammaln(b) for b in below)
    return functools.reduce(jnp.multiply, [jsp.gammasgn(v) for v in (*above, *below)]) * jnp.exp(size)


def _binomial(n: Any, k: Any) -> Any:
    return _gamma_ratio((n + 1.0,), (k + 1.0, n - k + 1.0))


def _expint(n: int, x: Any) -> Any:
    return jsp.exp1(x) if n == 1 else jsp.expn(n, x)


def _zeta(s: Any, a: Any = 1.0) -> Any:
    return jsp.zeta(s, a)


def _polylog(order: int, z: Any) -> Any:
    return jsp.spence(1.0 - z)


def _reciprocal(of: Callable[[Any], Any]) -> Callable[[Any], Any]:
    return lambda x: 1.0 / of(x)


def _of_reciprocal(of: Callable[[Any], Any]) -> Callable[[Any], Any]:
    return lambda x: of(1.0 / x)


TABLE: dict[type, Row] = {
    # elementary
    sp.exp: Row(jnp.exp, (0.0,)),
    sp.log: Row(lambda x, base=None: jnp.log(x) if base is None else jnp.log(x) / jnp.log(base), (1.0, 2.0)),
    sp.sin: Row(jnp.sin),
    sp.cos: Row(jnp.cos),
    sp.tan: Row(jnp.tan, (0.0,)),
    sp.cot: Row(_reciprocal(jnp.tan), (1.0,)),
    sp.sec: Row(_reciprocal(jnp.cos), (0.0,)),
    sp.csc: Row(_reciprocal(jnp.sin), (1.0,)),
    sp.sinc: Row(_sinc),
    sp.asin: Row(jnp.arcsin, (0.0,)),
    sp.acos: Row(jnp.arccos, (0.0,)),
    sp.atan: Row(jnp.arctan),
    sp.acot: Row(_acot, (1.0,)),
    sp.asec: Row(_of_reciprocal(jnp.arccos), (2.0,)),
    sp.acsc: Row(_of_reciprocal(jnp.arcsin), (2.0,)),
    sp.atan2: Row(jnp.arctan2, (0.0, 1.0)),
    sp.sinh: Row(jnp.sinh, (0.0,)),
    sp.cosh: Row(jnp.cosh, (0.0,)),
    sp.tanh: Row(jnp.tanh),
    sp.coth: Row(_reciprocal(jnp.tanh), (1.0,)),
    sp.sech: Row(_sech),
    sp.csch: Row(_csch, (1.0,)),
    sp.asinh: Row(jnp.arcsinh),
    sp.acosh: Row(jnp.arccosh, (2.0,)),
    sp.atanh: Row(jnp.arctanh, (0.0,)),
    sp.acoth: Row(_of_reciprocal(jnp.arctanh), (2.0,)),
    sp.asech: Row(_of_reciprocal(jnp.arccosh), (0.5,)),
    sp.acsch: Row(_of_reciprocal(jnp.arcsinh), (1.0,)),
    # pieces
    sp.Abs: Row(_abs),
    sp.sign: Row(jnp.sign),
    sp.floor: Row(jnp.floor),
    sp.ceiling: Row(jnp.ceil),
    sp.frac: Row(lambda x: x - jnp.floor(x)),
    sp.Mod: Row(_mod, (0.0, 1.0)),
    sp.Heaviside: Row(_heaviside),
    sp.KroneckerDelta: Row(lambda i, j: jnp.where(i == j, 1.0, 0.0)),
    sp.re: Row(lambda x: x),
    sp.im: Row(lambda x: 0.0 * x),
    sp.conjugate: Row(lambda x: x),
    # special
    sp.erf: Row(jsp.erf),
    sp.erfc: Row(jsp.erfc),
    sp.erf2: Row(lambda a, b: jsp.erf(b) - jsp.erf(a)),
    sp.erfinv: Row(jsp.erfinv, (0.0,)),
    sp.erfcinv: Row(_erfcinv, (1.0,)),
    sp.gamma: Row(jsp.gamma, (1.0,)),
    sp.loggamma: Row(jsp.gammaln, (1.0,)),
    sp.polygamma: Row(_polygamma, (0.0, 1.0)),
    sp.digamma: Row(jsp.digamma, (1.0,)),
    sp.trigamma: Row(lambda x: jsp.polygamma(1, x), (1.0,)),
    sp.factorial: Row(lambda x: jsp.gamma(x + 1.0), (1.0,)),
    sp.binomial: Row(_binomial, (2.0, 1.0)),
    sp.RisingFactorial: Row(lambda x, k: _gamma_ratio((x + k,), (x,)), (1.0, 1.0)),
    sp.FallingFactorial: Row(lambda x, k: _gamma_ratio((x + 1.0,), (x - k + 1.0,)), (2.0, 1.0)),
    sp.harmonic: Row(lambda n: jsp.digamma(n + 1.0) + float(sp.EulerGamma), (1.0,)),
    sp.beta: Row(_beta, (1.0, 1.0)),
    sp.lowergamma: Row(_lowergamma, (1.0, 1.0)),
    sp.uppergamma: Row(_uppergamma, (1.0, 1.0)),
    sp.zeta: Row(_zeta, (2.0, 1.0)),
    sp.polylog: Row(_polylog, (2.0, 0.5)),
    sp.expint: Row(_expint, (1.0, 1.0)),
    sp.Ei: Row(jsp.expi, (1.0,)),
    sp.Si: Row(lambda x: jsp.sici(x)[0]),
    sp.Ci: Row(lambda x: jsp.sici(x)[1], (1.0,)),
    sp.fresnels: Row(lambda x: jsp.fresnel(x)[0]),
    sp.fresnelc: Row(lambda x: jsp.fresnel(x)[1]),
    # accurate forms of sympy.codegen
    cfunctions.expm1: Row(jnp.expm1, (0.0,)),
    cfunctions.log1p: Row(jnp.log1p, (0.0,)),
    cfunctions.exp2: Row(jnp.exp2, (0.0,)),
    cfunctions.log2: Row(jnp.log2, (1.0,)),
    cfunctions.log10: Row(jnp.log10, (1.0,)),
    cfunctions.Sqrt: Row(jnp.sqrt, (1.0,)),
    cfunctions.Cbrt: Row(jnp.cbrt, (1.0,)),
    cfunctions.hypot: Row(jnp.hypot, (1.0, 1.0)),
    cfunctions.fma: Row(lambda a, b, c: a * b + c),
}
"""Every SymPy function that lowers to JAX. `sp.besseli` of order 0 and 1 is handled beside it."""

ORDERED: dict[type, Callable[[int], bool]] = {
    sp.polygamma: lambda n: n >= 0,
    sp.expint: lambda n: n >= 1,
    sp.polylog: lambda n: n == 2,
}
"""Functions whose first argument is an order: a whole number, known when the program is made, for which the condition holds."""

BESSEL_I: dict[int, Row] = {0: Row(jsp.i0, (0.0,)), 1: Row(jsp.i1, (0.0,))}

RELATIONS: dict[type, Callable[[Any, Any], Any]] = {
    sp.StrictLessThan: jnp.less,
    sp.LessThan: jnp.less_equal,
    sp.StrictGreaterThan: jnp.greater,
    sp.GreaterThan: jnp.greater_equal,
    sp.Equality: jnp.equal,
    sp.Unequality: jnp.not_equal,
}
