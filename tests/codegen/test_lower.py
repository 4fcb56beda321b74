"""Expressions to JAX: safe in the branch not taken, exact in numbers, each sub-expression once."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import sympy as sp
from hypothesis import given
from hypothesis import strategies as st

import sciml as sci
from sciml.codegen import lower
from sciml.codegen.lower import lower as lower_by_hand
from sciml.errors import CompileError

FLOAT32 = not jax.config.jax_enable_x64
A, B, C = sci.parameters("a b c", 1.0)
P = sp.Piecewise

# expression of A, points, value and derivative there. At a seam the derivative is that of the branch taken.
SAFE = {
    "log": (P((sp.log(A), A > 0), (0, True)), {-1.0: (0, 0), 0.0: (0, 0), 2.0: (np.log(2), 0.5)}),
    "root": (P((sp.sqrt(A), A > 0), (A, True)), {-4.0: (-4, 1), 0.0: (0, 1), 4.0: (2, 0.25)}),
    "root of a sum": (P((sp.sqrt(A - 1), A > 1), (0, True)), {-4.0: (0, 0), 1.0: (0, 0), 5.0: (2, 0.25)}),
    "division": (P((1 / A, A > 0), (0, True)), {0.0: (0, 0), -3.0: (0, 0), 2.0: (0.5, -0.25)}),
    "sin(x)/x": (P((sp.sin(A) / A, sp.Ne(A, 0)), (1, True)), {0.0: (1, 0), 2.0: (np.sin(2) / 2, np.cos(2) / 2 - np.sin(2) / 4)}),
    "(1-exp(-x))/x": (P(((1 - sp.exp(-A)) / A, sp.Ne(A, 0)), (1 - A / 2, True)), {0.0: (1, -0.5), 1.0: (1 - np.exp(-1), 2 * np.exp(-1) - 1)}),
    "exp overflow": (P((sp.exp(A), A < 700), (1, True)), {1e5: (1, 0), 0.0: (1, 1)}),
    "x*exp overflow": (P((A * sp.exp(A**2), A < 2), (A, True)), {1e5: (1e5, 1), 0.0: (0, 1)}),
    "logistic by halves": (
        P((1 / (1 + sp.exp(-A)), A > 0), (sp.exp(A) / (1 + sp.exp(A)), True)),
        {-2000.0: (0, 0), 0.0: (0.5, 0.25), 2000.0: (1, 0)},
    ),
    "negative power": (P((A**-2, A > 1), (3 - 2 * A, True)), {0.0: (3, -2), 1.0: (1, -2), 2.0: (0.25, -0.25)}),
    "real power": (P((A**2.5, A > 0), (0, True)), {-1.0: (0, 0), 0.0: (0, 0), 4.0: (32, 20)}),
    "variable exponent": (P((2**A * A**A, A > 0), (1, True)), {-1.0: (1, 0), 0.0: (1, 0), 1.0: (2, 2 * (np.log(2) + 1))}),
    "acos": (P((sp.acos(A), sp.Abs(A) < 1), (0, True)), {3.0: (0, 0), 1.0: (0, 0), 0.0: (np.pi / 2, -1)}),
    "atanh": (P((sp.atanh(A), A < 1), (9, True)), {1.0: (9, 0), 3.0: (9, 0), 0.5: (np.arctanh(0.5), 4 / 3)}),
    "root in a function": (P((sp.sin(sp.sqrt(A)), A > 0), (A, True)), {-1.0: (-1, 1), 0.0: (0, 1), 4.0: (np.sin(2), np.cos(2) / 4)}),
    "no derivative at the seam": (P((sp.sqrt(A), A >= 0), (-sp.sqrt(-A), True)), {-4.0: (-2, 0.25), 4.0: (2, 0.25)}),
    "three branches": (
        P((sp.log(-A), A < -1), (0, A < 1), (sp.log(A), True)),
        {-2.0: (np.log(2), -0.5), -1.0: (0, 0), 0.0: (0, 0), 0.5: (0, 0), 1.0: (0, 1), 2.0: (np.log(2), 0.5)},
    ),
    "nested": (
        P((P((sp.log(A), A > 0), (sp.sqrt(-A), A < -1), (7, True)), A < 10), (1 / (20 - A), True)),
        {-4.0: (2, -0.25), -1.0: (7, 0), 0.0: (7, 0), 1.0: (0, 1), 20.0 - 2.0**-3: (8, 64), 10.0: (0.1, 0.01)},
    ),
    "nested, of one condition": (P((P((1 / A, A > 0), (5, True)), A > 0), (A, True)), {0.0: (0, 1), -1.0: (-1, 1), 2.0: (0.5, -0.25)}),
    "inside a function": (sp.sqrt(P((A, A > 0), (0, True))), {-1.0: (0, 0), 0.0: (0, 0), 4.0: (2, 0.25)}),
    "below a line": (1 / P((A, A > 0), (1, True)), {-1.0: (1, 0), 0.0: (1, 0), 4.0: (0.25, -1 / 16)}),
    "and, or, not": (
        P((sp.log(A), sp.And(A > 0, A < 5)), (2 * A, sp.Or(A > 9, A < -9)), (1, sp.Not(sp.Eq(A, 7))), (0, True)),
        {-10.0: (-20, 2), 0.0: (1, 0), 1.0: (0, 1), 6.0: (1, 0), 7.0: (0, 0), 10.0: (20, 2)},
    ),
    "Max": (sp.Max(A, 0), {-1.0: (0, 0), 0.0: (0, 0.5), 2.0: (2, 1)}),
    "Min of three": (sp.Min(A, 2 - A, 5), {-1.0: (-1, 1), 4.0: (-2, -1), 1.0: (1, 0)}),
    "root of Max": (sp.sqrt(sp.Max(A, 0)), {-1.0: (0, 0), 0.0: (0, 0), 4.0: (2, 0.25)}),
    "root of Min": (sp.sqrt(sp.Min(A, 9)), {4.0: (2, 0.25), 9.0: (3, 0), 16.0: (3, 0)}),
    "log of Max": (sp.log(sp.Max(A, 1e-9)), {-1.0: (np.log(1e-9), 0), 1e-9: (np.log(1e-9), 0), 2.0: (np.log(2), 0.5)}),
    "division by Max": (1 / sp.Max(A, 0.5), {-1.0: (2, 0), 0.5: (2, 0), 2.0: (0.5, -0.25)}),
    "1.5th power of Max": (sp.Max(A, 0) ** 1.5, {-1.0: (0, 0), 0.0: (0, 0), 4.0: (8, 3)}),
    "Abs": (sp.Abs(A), {-2.0: (2, -1), 0.0: (0, 0), 3.0: (3, 1)}),
    "root of a square": (sp.sqrt(A**2), {-2.0: (2, -1), 0.0: (0, 0), 3.0: (3, 1)}),
    "sign": (sp.sign(A), {-2.0: (-1, 0), 0.0: (0, 0), 3.0: (1, 0)}),
    "Heaviside": (sp.Heaviside(A), {-2.0: (0, 0), 0.0: (0.5, 0), 3.0: (1, 0)}),
    "Heaviside with a value at 0": (sp.Heaviside(A, 1) * A, {-2.0: (0, 0), 0.0: (0, 1), 3.0: (3, 1)}),
    "half-integer power": (A ** sp.Rational(3, 2), {0.0: (0, 0), 4.0: (8, 3)}),
    "5/2": (A ** sp.Rational(5, 2), {0.0: (0, 0), 4.0: (32, 20)}),
    "integer power": (A**3, {-2.0: (-8, 12), 0.0: (0, 0)}),
    "negative base": (A**-3, {-2.0: (-0.125, -3 / 16)}),
}


@pytest.mark.parametrize("name", SAFE)
def test_value_and_gradient_on_both_sides_and_at_the_seam(name, jaxed, close):
    expression, points = SAFE[name]
    f = jaxed(expression, A)
    at = jnp.asarray(list(points), float)
    found, reverse, forward = jax.jit(jax.vmap(lambda a: (f(a), jax.grad(f)(a), jax.jacfwd(f)(a))))(at)
    values, slopes = np.array(list(points.values()), float).T
    close(found, values, rtol=1e-13, atol=1e-300)
    close(reverse, slopes, rtol=1e-12, atol=1e-300)
    close(forward, slopes, rtol=1e-12, atol=1e-300)


def test_no_branch_holds_gives_nan(jaxed):
    f = jaxed(P((1, A > 0)), A)
    assert np.isnan(f(jnp.asarray(-1.0)))
    assert float(f(jnp.asarray(1.0))) == 1.0


def test_the_branch_not_taken_may_be_nan_in_other_symbols(jaxed):
    """The gradient by everything in the branch not taken is zero, even where its derivative would be infinite."""
    f = jaxed(P((sp.sqrt(B) * sp.log(C), A > 0), (A, True)), A, B, C)
    slopes = jax.grad(f, (0, 1, 2))(jnp.asarray(-1.0), jnp.asarray(0.0), jnp.asarray(-1.0))
    assert [float(s) for s in slopes] == [1.0, 0.0, 0.0]


def test_a_definition_inside_a_branch_is_safe_too(jaxed):
    """What an unknown stands for is guarded like what is written out."""
    x = sci.variables("x", initial=1.0)
    f = jaxed(P((x, A > 0), (0, True)), A, definitions={"x": sp.log(A)})
    assert float(jax.grad(f)(jnp.asarray(0.0))) == 0.0
    assert float(jax.grad(f)(jnp.asarray(2.0))) == 0.5


def test_second_derivatives_are_safe(jaxed, close):
    f = jaxed(P((A * sp.log(A), A > 0), (0, True)), A)
    second = jax.grad(jax.grad(f))
    assert float(second(jnp.asarray(0.0))) == 0.0
    close(second(jnp.asarray(4.0)), 0.25)


# -- random expressions -------------------------------------------------------------------

_NUMBERS = st.sampled_from([sp.Integer(2), sp.Integer(-3), sp.Rational(1, 3), sp.Float(0.7), sp.pi])
_SMOOTH = st.sampled_from([sp.sin, sp.cos, sp.atan, sp.tanh, lambda e: sp.exp(-(e**2)), lambda e: sp.log(1 + e**2), lambda e: sp.sqrt(1 + e**2)])


def _grown(smaller):
    pair = st.tuples(smaller, smaller)
    return st.one_of(
        pair.map(lambda p: p[0] + p[1]),
        pair.map(lambda p: p[0] - p[1]),
        pair.map(lambda p: p[0] * p[1]),
        pair.map(lambda p: p[0] / (2 + p[1] ** 2)),
        pair.map(lambda p: P((p[0], A > B), (p[1], True))),
        st.tuples(_SMOOTH, smaller).map(lambda p: p[0](p[1])),
        st.tuples(smaller, st.sampled_from([2, 3])).map(lambda p: p[0] ** p[1]),
    )


EXPRESSIONS = st.recursive(st.one_of(st.sampled_from([A, B]), _NUMBERS), _grown, max_leaves=8)


@given(EXPRESSIONS, st.sampled_from([(0.3, -0.8), (-1.2, 0.4), (0.9, 0.9)]))
def test_random_expressions_agree_with_sympy(jaxed, expression, at):
    """The lowered value is SymPy's, and the derivative by JAX is SymPy's derivative."""
    f = jaxed(expression, A, B)
    values = [jnp.asarray(v) for v in at]
    where = {A: sp.Float(at[0], 30), B: sp.Float(at[1], 30)}
    rtol = 2e-3 if FLOAT32 else 1e-9
    np.testing.assert_allclose(float(f(*values)), float(expression.subs(where).evalf(25)), rtol, rtol)
    for symbol, slope in zip((A, B), jax.grad(f, (0, 1))(*values), strict=True):
        derived = expression.diff(symbol)
        np.testing.assert_allclose(float(slope), float(derived.subs(where).evalf(25)), rtol, rtol)
        np.testing.assert_allclose(float(jaxed(derived, A, B)(*values)), float(slope), rtol, rtol)


# -- the tape -------------------------------------------------------------------------------


def test_shared_sub_expressions_are_emitted_once():
    shared = sp.exp(A * B)
    tape = lower([shared + 1, shared * C, sp.sin(shared)])
    assert len(tape.ops) == 5  # a*b, exp, and one each
    assert len(lower([A * B, A * B]).ops) == 1


def test_growth_is_linear_where_the_expression_is_a_tower_of_shared_parts():
    e = A
    for _ in range(25):
        e = sp.sin(e) * sp.cos(e)  # written out: 2**25 leaves
    assert len(lower([e]).ops) == 75


def test_a_sum_subtracts_instead_of_adding_negatives(jaxed):
    tape = lower([A * B - C * A])
    assert [op.call.__name__ for op in tape.ops] == ["mul", "mul", "sub"]
    assert float(jaxed(-A - B, A, B)(jnp.asarray(1.0), jnp.asarray(2.0))) == -3.0


@pytest.mark.parametrize(
    ("number", "expected"),
    [
        (sp.Rational(1, 3), 1 / 3),
        (sp.pi, np.pi),
        (sp.E, np.e),
        (sp.sqrt(2), 2**0.5),
        (sp.Float("1e-300"), 1e-300),
        (sp.Float(0.1), 0.1),
        (sp.Integer(2**60 + 1), float(2**60 + 1)),
        (sp.Integer(10) ** 30, 1e30),
        (sp.exp(-1) * sp.cos(2), np.exp(-1) * np.cos(2)),
        (sp.oo, np.inf),
    ],
    ids=str,
)
def test_numbers_are_exact(number, expected):
    (found,) = lower([number]).run(lambda leaf: None)
    assert isinstance(found, float)
    assert found == pytest.approx(expected, rel=2e-16, abs=0.0)
    assert not lower([number]).ops


def test_an_integer_too_large_for_an_integer_type_is_a_float(jaxed):
    assert float(jaxed(A * 10**30, A)(jnp.asarray(2.0))) == pytest.approx(2e30)


@pytest.mark.parametrize("name", SAFE)
def test_single_precision_stays_single(name, jaxed):
    found = jaxed(SAFE[name][0], A)(jnp.asarray(0.5, jnp.float32))
    assert found.dtype in (jnp.float32, jnp.result_type(float)) if name.startswith("no der") else found.dtype == jnp.float32


def test_time_and_constants_stay_in_the_precision_of_the_state():
    x = sci.variables("x", initial=1.0)
    k = sci.constants("k", 2.0)
    tape = lower([sp.sin(sci.t) * x * k + sp.sqrt(3) + sp.Max(x, sp.pi)])
    (found,) = tape.run(lambda leaf: jnp.asarray(0.5, jnp.float32))
    assert found.dtype == jnp.float32


@pytest.mark.parametrize(
    ("expression", "message"),
    [
        (sp.DiracDelta(A), "has no value at a point"),
        (P((1, sp.Contains(A, sp.Interval(0, 1))), (0, True)), "is not a comparison.*sp.Piecewise"),
        (sci.fields("u", sci.t, sci.space("s", 0, 1)), "'u' is a field and has no value at a point of time"),
        (A * sp.I, "no JAX form of `I`"),
    ],
    ids=str,
)
def test_what_has_no_value_is_refused(expression, message):
    with pytest.raises(CompileError, match=message):
        lower([expression])


def test_the_front_door_and_the_file_agree():
    assert lower is lower_by_hand
