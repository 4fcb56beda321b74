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


def _where_sign(x: Any, below: float, at: Any, above: float) -> Any:
    return jnp.where(x > 0, above, jnp.where(x < 0, below, at)) + 0.0 * x


def _heaviside(x: Any, at_zero: Any = 0.5) -> Any:
    return _where_sign(jax.lax.stop_gradient(jnp.asarray(x)), 0.0, at_zero, 1.0)


def _mod(x: Any, y: Any) -> Any:
    return x - y * jnp.floor(x / y)


def _sinc(x: Any) -> Any:
    return jnp.sinc(x / math.pi)


def _gamma(x: Any) -> Any:
    return jsp.gamma(x)


def _polygamma(n: Any, x: Any) -> Any:
    if isinstance(n, float | int) and n == 0:
        return jsp.digamma(x)
    return jsp.polygamma(int(n), x)


def _lowergamma(a: Any, x: Any) -> Any:
    return jsp.gammainc(a, x) * jsp.gamma(a)


def _uppergamma(a: Any, x: Any) -> Any:
    return jsp.gammaincc(a, x) * jsp.gamma(a)


def _beta(a: Any, b: Any) -> Any:
    return jnp.exp(jsp.betaln(a, b)) * jsp.gammasgn(a) * jsp.gammasgn(b) * jsp.gammasgn(a + b)


def _binomial(n: Any, k: Any) -> Any:
    return jsp.gamma(n + 1.0) / (jsp.gamma(k + 1.0) * jsp.gamma(n - k + 1.0))


def _expint(n: Any, x: Any) -> Any:
    return jsp.expn(int(n), x) if int(n) != 1 else jsp.exp1(x)


def _zeta(s: Any, a: Any = 1.0) -> Any:
    return jsp.zeta(s, a)


def _polylog(s: Any, z: Any) -> Any:
    if s != 2:
        raise TypeError("polylog is available for order 2 only")
    return jsp.spence(1.0 - z)


def _reciprocal(of: Callable[[Any], Any]) -> Callable[[Any], Any]:
    return lambda x: 1.0 / of(x)


def _of_reciprocal(of: Callable[[Any], Any]) -> Callable[[Any], Any]:
    return lambda x: of(1.0 / x)


def _float_of(x: Any) -> Any:
    return jnp.asarray(x, jnp.result_type(float)) if isinstance(x, int | float) else x


def _rounded(of: Callable[[Any], Any]) -> Callable[[Any], Any]:
    return lambda x: of(_float_of(x))


TABLE: dict[type, Row] = {
    # elementary
    sp.exp: Row(jnp.exp, (0.0,)),
    sp.log: Row(lambda x, base=None: jnp.log(x) if base is None else jnp.log(x) / jnp.log(_float_of(base)), (1.0, 2.0)),
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
    sp.acot: Row(_of_reciprocal(jnp.arctan), (1.0,)),
    sp.asec: Row(_of_reciprocal(jnp.arccos), (2.0,)),
    sp.acsc: Row(_of_reciprocal(jnp.arcsin), (2.0,)),
    sp.atan2: Row(jnp.arctan2, (0.0, 1.0)),
    sp.sinh: Row(jnp.sinh, (0.0,)),
    sp.cosh: Row(jnp.cosh, (0.0,)),
    sp.tanh: Row(jnp.tanh),
    sp.coth: Row(_reciprocal(jnp.tanh), (1.0,)),
    sp.sech: Row(_reciprocal(jnp.cosh), (0.0,)),
    sp.csch: Row(_reciprocal(jnp.sinh), (1.0,)),
    sp.asinh: Row(jnp.arcsinh),
    sp.acosh: Row(jnp.arccosh, (2.0,)),
    sp.atanh: Row(jnp.arctanh, (0.0,)),
    sp.acoth: Row(_of_reciprocal(jnp.arctanh), (2.0,)),
    sp.asech: Row(_of_reciprocal(jnp.arccosh), (0.5,)),
    sp.acsch: Row(_of_reciprocal(jnp.arcsinh), (1.0,)),
    # pieces
    sp.Abs: Row(jnp.abs),
    sp.sign: Row(jnp.sign),
    sp.floor: Row(_rounded(jnp.floor)),
    sp.ceiling: Row(_rounded(jnp.ceil)),
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
    sp.erfcinv: Row(lambda x: jsp.erfinv(1.0 - x), (1.0,)),
    sp.gamma: Row(_gamma, (1.0,)),
    sp.loggamma: Row(jsp.gammaln, (1.0,)),
    sp.polygamma: Row(_polygamma, (0.0, 1.0)),
    sp.digamma: Row(jsp.digamma, (1.0,)),
    sp.trigamma: Row(lambda x: jsp.polygamma(1, x), (1.0,)),
    sp.factorial: Row(lambda x: jsp.gamma(x + 1.0), (1.0,)),
    sp.binomial: Row(_binomial, (2.0, 1.0)),
    sp.beta: Row(_beta, (1.0, 1.0)),
    sp.lowergamma: Row(_lowergamma, (1.0, 1.0)),
    sp.uppergamma: Row(_uppergamma, (1.0, 1.0)),
    sp.zeta: Row(_zeta, (2.0, 1.0)),
    sp.polylog: Row(_polylog, (2.0, 0.5)),
    sp.expint: Row(_expint, (1.0, 1.0)),
    sp.E1: Row(jsp.exp1, (1.0,)),
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

BESSEL_I: dict[int, Row] = {0: Row(jsp.i0, (0.0,)), 1: Row(jsp.i1, (0.0,))}

RELATIONS: dict[type, Callable[[Any, Any], Any]] = {
    sp.StrictLessThan: jnp.less,
    sp.LessThan: jnp.less_equal,
    sp.StrictGreaterThan: jnp.greater,
    sp.GreaterThan: jnp.greater_equal,
    sp.Equality: jnp.equal,
    sp.Unequality: jnp.not_equal,
}
