"""Every SymPy function of the table against mpmath: value and derivative, forward and reverse, jitted and batched."""

import dataclasses
from collections.abc import Callable

import jax
import jax.numpy as jnp
import mpmath as mp
import numpy as np
import pytest
import sympy as sp
from sympy.codegen import cfunctions as cf

import sciml as sci
from sciml.codegen import TABLE, lower
from sciml.codegen.functions import BESSEL_I
from sciml.errors import CompileError

FLOAT32 = not jax.config.jax_enable_x64
A, B, C = sci.parameters("a b c", 1.0)


@dataclasses.dataclass(frozen=True)
class Case:
    """`exact` in mpmath; `points` inside the domain; the first `orders` arguments are whole numbers of SymPy."""

    exact: Callable
    points: tuple
    orders: int = 0
    rtol: float = 1e-12
    float32: bool = True  # whether the points make sense in single precision


def at(exact, *points, **options):
    return Case(exact, tuple(p if isinstance(p, tuple) else (p,) for p in points), **options)


CASES: dict = {
    sp.exp: at(mp.exp, -80.0, -2.5, 0.0, 1.3, 50.0),
    sp.log: at(lambda x, b=mp.e: mp.log(x, b), 1e-30, 0.3, 1.0, 7.5, (3.0, 2.0), (0.2, 10.0)),
    sp.sin: at(mp.sin, -4.0, 0.0, 0.3, 100.0),
    sp.cos: at(mp.cos, -4.0, 0.0, 0.3, 100.0),
    sp.tan: at(mp.tan, -1.2, 0.0, 0.3, 4.0),
    sp.cot: at(mp.cot, -1.2, 0.3, 4.0),
    sp.sec: at(mp.sec, -1.2, 0.0, 0.3, 4.0),
    sp.csc: at(mp.csc, -1.2, 0.3, 4.0),
    sp.sinc: at(mp.sinc, -3.0, 0.0, 1e-9, 1e-3, 0.3, 0.5, 7.0),
    sp.asin: at(mp.asin, -0.9, 0.0, 0.3),
    sp.acos: at(mp.acos, -0.9, 0.0, 0.3),
    sp.atan: at(mp.atan, -5.0, 0.0, 0.3, 1e8),
    sp.acot: at(mp.acot, -5.0, -0.3, 0.3, 5.0, 1e8),
    sp.asec: at(mp.asec, -3.0, -1.5, 1.5, 40.0),
    sp.acsc: at(mp.acsc, -3.0, -1.5, 1.5, 40.0),
    sp.atan2: at(mp.atan2, (1.0, 2.0), (-1.0, -2.0), (3.0, -0.5), (-0.1, 0.7), (0.0, 1.0)),
    sp.sinh: at(mp.sinh, -3.0, 0.0, 1e-8, 2.0),
    sp.cosh: at(mp.cosh, -3.0, 0.0, 2.0),
    sp.tanh: at(mp.tanh, -3.0, 0.0, 1e-8, 9.0, rtol=1e-10),
    sp.coth: at(mp.coth, -3.0, -0.1, 2.0, 5.0, rtol=1e-10),
    sp.sech: at(mp.sech, -3.0, 0.0, 2.0, 30.0),
    sp.csch: at(mp.csch, -3.0, -0.1, 1e-6, 2.0, 30.0),
    sp.asinh: at(mp.asinh, -100.0, -1e-8, 0.0, 3.0),
    sp.acosh: at(mp.acosh, 1.01, 2.0, 300.0),
    sp.atanh: at(mp.atanh, -0.9, 0.0, 1e-9, 0.5),
    sp.acoth: at(mp.acoth, -3.0, -1.1, 1.5, 40.0),
    sp.asech: at(mp.asech, 0.01, 0.5, 0.9),
    sp.acsch: at(mp.acsch, -3.0, -0.1, 0.1, 5.0),
    sp.Abs: at(abs, -2.0, 3.0),
    sp.sign: at(mp.sign, -2.0, 3.0),
    sp.floor: at(mp.floor, -1.5, 2.7),
    sp.ceiling: at(mp.ceil, -1.5, 2.7),
    sp.frac: at(lambda x: x - mp.floor(x), -1.3, 2.7),
    sp.Mod: at(lambda x, y: x - y * mp.floor(x / y), (5.5, 2.0), (-5.5, 2.0), (5.5, -2.0), (0.3, 7.0)),
    sp.Heaviside: at(lambda x, h=0.5: mp.mpf(1) if x > 0 else mp.mpf(0) if x < 0 else h, (-2.0, 0.5), (3.0, 0.5)),
    sp.KroneckerDelta: at(lambda i, j: mp.mpf(i == j), (1.0, 2.0), (3.0, -1.0)),
    sp.re: at(mp.re, 2.0),
    sp.im: at(mp.im, 2.0),
    sp.conjugate: at(lambda x: x, -2.0),
    sp.erf: at(mp.erf, -3.0, 0.0, 1e-8, 0.7),
    sp.erfc: at(mp.erfc, -3.0, 0.0, 0.7, 8.0),
    sp.erf2: at(lambda a, b: mp.erf(b) - mp.erf(a), (0.1, 0.5), (-2.0, 1.0), (0.5, 0.1)),
    sp.erfinv: at(mp.erfinv, -0.99, 0.0, 0.3, 0.999),
    sp.erfcinv: at(lambda x: mp.erfinv(1 - x), 1e-30, 1e-10, 0.01, 0.5, 1.0, 1.9),
    sp.gamma: at(mp.gamma, -2.5, -0.5, 0.1, 1.0, 4.3, 30.0, rtol=1e-11),
    sp.loggamma: at(mp.loggamma, 0.1, 1.5, 3.0, 1e5),
    sp.polygamma: at(lambda n, x: mp.psi(int(n), x), (0, 2.5), (0, 0.1), (1, 2.5), (2, 0.3), (3, 4.0), (5, 1.5), orders=1),
    sp.digamma: at(lambda x: mp.psi(0, x), 0.1, 1.0, 2.5, 50.0),
    sp.trigamma: at(lambda x: mp.psi(1, x), 0.1, 1.0, 2.5, 50.0),
    sp.factorial: at(mp.factorial, 0.0, 0.5, 3.0, 20.0, rtol=1e-11),
    sp.binomial: at(mp.binomial, (5.0, 2.0), (4.5, 1.5), (20.0, 7.0), (80.0, 30.0), (-2.5, 1.25), rtol=1e-10),
    sp.RisingFactorial: at(mp.rf, (0.5, 2.5), (7.0, 3.0), (2.5, -1.25), rtol=1e-10),
    sp.FallingFactorial: at(mp.ff, (0.5, 0.25), (7.0, 3.0), (2.5, -1.25), rtol=1e-10),
    sp.harmonic: at(mp.harmonic, 0.0, 0.5, 4.0, 100.0),
    sp.beta: at(mp.beta, (1.0, 2.0), (0.3, 4.0), (2.5, 2.5), (20.0, 10.0), rtol=1e-10),
    sp.lowergamma: at(lambda a, x: mp.gammainc(a, 0, x), (1.0, 0.5), (2.5, 3.0), (0.3, 0.1), (5.0, 20.0), rtol=1e-10),
    sp.uppergamma: at(mp.gammainc, (1.0, 0.5), (2.5, 3.0), (0.3, 0.1), (5.0, 20.0), rtol=1e-10),
    sp.zeta: at(lambda s, a=1: mp.zeta(s, a), 1.5, 2.0, 5.0, 30.0, (2.0, 0.5), (3.5, 4.0), rtol=1e-10),
    sp.polylog: at(mp.polylog, (2, 0.5), (2, -3.0), (2, 0.99), (2, 0.01), orders=1, rtol=1e-10),
    sp.expint: at(lambda n, x: mp.expint(int(n), x), (1, 0.5), (2, 0.5), (3, 2.0), (2, 10.0), orders=1, rtol=1e-10),
    sp.Ei: at(mp.ei, -2.0, 0.1, 0.5, 5.0, 40.0, rtol=1e-10),
    sp.Si: at(mp.si, -2.0, 0.0, 1e-6, 0.5, 5.0, 30.0, rtol=1e-10),
    sp.Ci: at(mp.ci, 0.01, 0.5, 5.0, 30.0, rtol=1e-10),
    sp.fresnels: at(mp.fresnels, -1.0, 0.0, 1e-3, 0.5, 2.0, 10.0, rtol=1e-10),
    sp.fresnelc: at(mp.fresnelc, -1.0, 0.0, 1e-3, 0.5, 2.0, 10.0, rtol=1e-10),
    cf.expm1: at(mp.expm1, -2.0, 0.0, 1e-12, 3.0),
    cf.log1p: at(mp.log1p, -0.5, 0.0, 1e-12, 3.0),
    cf.exp2: at(lambda x: mp.mpf(2) ** x, -2.0, 0.0, 3.3),
    cf.log2: at(lambda x: mp.log(x, 2), 0.1, 8.0),
    cf.log10: at(mp.log10, 0.1, 100.0),
    cf.Sqrt: at(mp.sqrt, 1e-10, 2.0, 9.0),
    cf.Cbrt: at(lambda x: mp.sign(x) * mp.cbrt(abs(x)), 1e-10, 8.0, -8.0),
    cf.hypot: at(mp.hypot, (3.0, 4.0), (-3.0, 1e-3), (0.0, 2.0)),
    cf.fma: at(lambda a, b, c: a * b + c, (2.0, 3.0, 4.0)),
}


def test_no_row_is_missing():
    assert {f.__name__ for f in set(TABLE) - set(CASES)} == set()
    assert {f.__name__ for f in set(CASES) - set(TABLE)} == set()


def _exact(case, point):
    """(value, derivatives by the arguments that are not orders), as floats, from mpmath at 70 digits."""
    with mp.workdps(70):
        exact = [mp.mpf(p) for p in point]
        value = float(mp.re(case.exact(*exact)))
        slopes = []
        for i in range(case.orders, len(point)):
            of_one = lambda q: mp.re(case.exact(*exact[:i], q, *exact[i + 1 :]))
            slopes.append(float(mp.diff(of_one, exact[i], h=(abs(exact[i]) or 1) * mp.mpf(10) ** -20)))
    return value, slopes


def _all_at_once(expression, symbols, jaxed):
    """(value, reverse derivatives, forward derivatives), jitted and batched over points."""
    f = jaxed(expression, *symbols)
    every = tuple(range(len(symbols)))
    return jax.jit(jax.vmap(lambda *v: (f(*v), jax.grad(f, every)(*v), jax.jacfwd(f, every)(*v))))


@pytest.mark.parametrize("head", CASES, ids=lambda h: h.__name__)
def test_value_and_derivative(head, jaxed):
    case = CASES[head]
    by_kind: dict = {}
    for point in case.points:
        by_kind.setdefault((len(point), point[: case.orders]), []).append(point)
    rtol = 3e-4 if FLOAT32 else case.rtol
    for (count, orders), points in by_kind.items():
        symbols = (A, B, C)[: count - case.orders]
        expression = head(*orders, *symbols, evaluate=False)
        values = [jnp.asarray([p[i] for p in points], float) for i in range(case.orders, count)]
        found, reverse, forward = _all_at_once(expression, symbols, jaxed)(*values)
        assert found.dtype == values[0].dtype
        for k, point in enumerate(points):
            value, slopes = _exact(case, point)
            np.testing.assert_allclose(found[k], value, rtol, rtol * 1e-3, err_msg=f"value at {point}")
            for i, slope in enumerate(slopes):
                np.testing.assert_allclose(reverse[i][k], slope, rtol, rtol * 1e-3, err_msg=f"reverse, argument {i}, at {point}")
                np.testing.assert_allclose(forward[i][k], slope, rtol, rtol * 1e-3, err_msg=f"forward, argument {i}, at {point}")


@pytest.mark.parametrize("order", BESSEL_I)
def test_modified_bessel_functions(order, jaxed):
    points = [-2.0, 0.1, 1.0, 20.0]
    found, (reverse,), (forward,) = _all_at_once(sp.besseli(order, A), (A,), jaxed)(jnp.asarray(points))
    for k, x in enumerate(points):
        np.testing.assert_allclose(found[k], float(mp.re(mp.besseli(order, x))), 3e-4 if FLOAT32 else 1e-12)
        for slope in (reverse[k], forward[k]):
            np.testing.assert_allclose(slope, float(mp.re(mp.besseli(order, x, derivative=1))), 3e-4 if FLOAT32 else 1e-10)


@pytest.mark.parametrize("head", [h for h in CASES if TABLE[h].safe is not None], ids=lambda h: h.__name__)
def test_the_safe_point_keeps_the_branch_not_taken_silent(head, jaxed):
    """Far outside its domain, in a branch that is not taken, no function spoils value or derivative."""
    case = CASES[head]
    point = case.points[-1]
    symbols = (A, B, C)[: len(point) - case.orders]
    inside = head(*point[: case.orders], *symbols, evaluate=False)
    f = jaxed(sp.Piecewise((inside, A < -1e5), (3 * A, True)), *symbols)
    every = tuple(range(len(symbols)))
    bad = jnp.asarray([0.0, 1e3, -1e3, jnp.inf])
    for slopes in jax.jit(jax.vmap(lambda *v: (jax.grad(f, every)(*v), jax.jacfwd(f, every)(*v))))(*[bad] * len(symbols)):
        np.testing.assert_array_equal(slopes[0], 3.0)
        for other in slopes[1:]:
            np.testing.assert_array_equal(other, 0.0)


@pytest.mark.parametrize("head", [h for h in CASES if TABLE[h].safe is None], ids=lambda h: h.__name__)
def test_a_row_without_a_safe_point_is_finite_everywhere(head, jaxed):
    count = len(CASES[head].points[-1])
    symbols = (A, B, C)[:count]
    f = jaxed(head(*symbols, evaluate=False), *symbols)
    grid = jnp.asarray([-1e4, -800.0, -30.0, -1.0, -1e-30, 0.0, 1e-30, 0.5, 30.0, 800.0, 1e4])
    values = [jnp.roll(grid, i) for i in range(count)]
    found, slopes = jax.jit(jax.vmap(lambda *v: (f(*v), jax.grad(f, tuple(range(count)))(*v))))(*values)
    assert np.isfinite(found).all()
    assert all(np.isfinite(s).all() for s in slopes)


def test_choosing_a_whole_number_of_things_is_a_polynomial(jaxed):
    """x*(x-1)/2 pairs: right at 0 and 1 too, where the gamma functions of the general form have poles."""
    f = jaxed(sp.binomial(A, 2), A)
    for x in (0.0, 1.0, 2.0, 5.5):
        assert float(f(jnp.asarray(x))) == x * (x - 1) / 2
        assert float(jax.grad(f)(jnp.asarray(x))) == x - 0.5


def test_the_cotangent_family_at_zero(jaxed):
    f = jaxed(sp.acot(A), A)
    assert float(f(jnp.asarray(0.0))) == pytest.approx(np.pi / 2)
    assert float(jax.grad(f)(jnp.asarray(0.0))) == -1.0


@pytest.mark.parametrize("expression", [sp.polygamma(A, B), sp.polygamma(sp.Rational(3, 2), A), sp.expint(A, B), sp.polylog(3, A)])
def test_an_order_that_is_not_available_is_refused_by_name(expression):
    with pytest.raises(CompileError, match=f"no JAX form .*sci.function..{type(expression).__name__}"):
        lower([expression])


def test_a_function_that_jax_lacks_is_refused_with_the_cure():
    with pytest.raises(CompileError, match=r"LambertW.*sci.function\(\"LambertW\", lambda x"):
        lower([sp.LambertW(A)])


@pytest.mark.parametrize("head", [h for h in CASES if h not in (sp.erf2, sp.erfcinv)], ids=lambda h: h.__name__)
def test_numbers_in_functions_do_not_change_the_precision(head, jaxed):
    """f(2.5)*x has the type of x, even where x is in single precision and the default is double."""
    case = CASES[head]
    number = head(*case.points[-1][: case.orders], *[sp.Float(v) for v in case.points[-1][case.orders :]], evaluate=False)
    found = jaxed(sp.Mul(number, A, evaluate=False), A)(jnp.asarray(2.0, jnp.float32))
    assert found.dtype == jnp.float32
