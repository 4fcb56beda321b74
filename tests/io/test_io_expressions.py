"""Expressions survive to the bit: fixed cases, and random ones."""

import sys

import numpy as np
import pytest
import sympy as sp
from hypothesis import given
from hypothesis import strategies as st
from io_systems import EXPRESSIONS, a, expression_through, k, p, s, u, x, y, z
from sympy.functions.elementary.piecewise import ExprCondPair

import sciml as sci
from sciml.codegen import TABLE
from sciml.errors import FileError
from sciml.io.exact import read_float, read_integer, write_float, write_integer
from sciml.io.heads import CONSTANTS, HEADS
from sciml.io.write import Writer
from sciml.symbols import expression_content


def exact(expression):
    again = expression_through(expression)
    assert again == expression and hash(again) == hash(expression)
    assert expression_content(again) == expression_content(expression)  # precision of Floats included
    assert sp.latex(again) == sp.latex(expression)


# -- numbers ------------------------------------------------------------------------


@pytest.mark.parametrize("number", [0, 1, -1, 2**64, -(10**3899), 10**3950, 10**6000, -(7**9000)], ids=lambda n: f"{n.bit_length()} bits")
def test_integers_of_any_size(number):
    assert read_integer(write_integer(number)) == number
    whole = a + sp.Integer(number)
    assert expression_through(whole) == whole
    if number:
        part = a * sp.Rational(1, number)
        assert expression_through(part) == part


@given(st.floats())
def test_python_floats(value):
    assert np.float64(read_float(write_float(value))).tobytes() == np.float64(value).tobytes() or value != value


@given(st.floats(allow_nan=False, allow_infinity=False), st.sampled_from([1, 2, 15, 16, 17, 50, 200]))
def test_sympy_floats_with_their_precision(value, digits):
    exact(sp.Float(value, digits))
    number = expression_through(sp.Float(value, digits))
    assert number._mpf_ == sp.Float(value, digits)._mpf_ and number._prec == sp.Float(value, digits)._prec


def test_the_same_number_in_two_precisions_stays_two():
    short, long = sp.Float("0.5", 15), sp.Float("0.5", 40)
    writer = Writer()
    assert writer.node(short) != writer.node(long)


@pytest.mark.parametrize("name", sorted(CONSTANTS))
def test_constants(name):
    assert expression_through(CONSTANTS[name]) is CONSTANTS[name]


# -- heads --------------------------------------------------------------------------


def test_every_function_that_compiles_is_in_the_table_under_a_name_of_its_own():
    assert all(HEADS[head.__name__] is head for head in TABLE if isinstance(head, type))


_i, _j = sp.symbols("i j", integer=True)
w = sci.constants("w", [1.0, 2.0, 3.0])
_OWN_TEST = (sp.Derivative, sp.Integral, sp.Sum, sp.Piecewise, ExprCondPair, sp.And, sp.Or, sp.Not)


@pytest.mark.parametrize("name", [name for name, head in sorted(HEADS.items()) if head not in _OWN_TEST])
@pytest.mark.parametrize("arguments", [(x, a, y), (sp.Float(0.3), sp.Integer(2), sp.Integer(1))], ids=["symbols", "numbers"])
def test_heads(name, arguments):
    """Each head with one, two and three arguments, where it takes them; with numbers it must stay as written."""
    head, made = HEADS[name], 0
    for count in (1, 2, 3):
        try:
            node = head(*arguments[:count]) if head is sp.Tuple else head(*arguments[:count], evaluate=False)
        except TypeError:
            continue
        if type(node) is head:
            assert expression_through(node) == node
            made += 1
    assert made


@pytest.mark.parametrize(
    "expression",
    [
        x.diff(sci.t),
        x.diff(sci.t, 3) + (x * y).diff(sci.t),
        sp.Derivative(x * y, sci.t),
        sp.Piecewise((x, x > 1), (y, sp.And(y > 2, sp.Or(x < 0, sp.Ne(y, 3)))), (0, True)),
        sp.Piecewise((x, x > 1)),
        sp.Not(sp.And(x > 1, y > 1, evaluate=False), evaluate=False),
        sp.Max(x, y, 0) + sp.Min(x, 2) + sp.Abs(a - 3),
        z[0] * z[1] + z[0].diff(sci.t),
        sp.Sum(w[_i] * w[_i + 1] ** 2, (_i, 0, 1)) * sp.Sum(sp.KroneckerDelta(_i, 1) * _i, (_i, 0, 2)),
        sp.Sum(w[_i] * w[_j], (_i, 0, 2), (_j, 0, 2)),
        sci.dot(np.eye(2), z),
        k(x) * k(2 * x + 1) + k(0.25),
        sp.sqrt(p**2) + sp.sqrt(a**2),
        sp.exp(1) ** x + 1 / x + x ** sp.Rational(2, 3),
        sp.Mul(2, x + y, evaluate=False) + sp.Add(1, 2, evaluate=False) * x,
        sp.Pow(10, sp.Pow(10, 9, evaluate=False), evaluate=False),
        sp.zoo * x,
        u.diff(sci.t) - u.diff(s, 2) + s * u.diff(sci.t, s),
        sp.besseli(0, x) + sp.besseli(1, x).diff(x),
    ],
    ids=str,
)
def test_expressions(expression):
    exact(expression)


_n = sp.Symbol("n")


@pytest.mark.parametrize("expression", [sp.Integral(_n, _n), sp.zeta(x, 2) + sp.Sum(a, (_n, 1, 3)), _n], ids=str)
def test_what_is_not_in_the_table_is_refused(expression):
    with pytest.raises(FileError, match=r"cannot be saved: .* sci\.table"):
        expression_through(expression)


# -- size -----------------------------------------------------------------------------


def test_no_nest_is_too_deep():
    deep = x
    for _ in range(1500):
        deep = sp.tanh(deep, evaluate=False)
    assert sys.getrecursionlimit() < 1500
    expression_through(deep)


def test_shared_parts_stand_once():
    shared = x
    for _ in range(60):
        shared = sp.sin(shared, evaluate=False) * sp.cos(shared, evaluate=False)
    writer = Writer()
    writer.node(shared)
    assert len(writer.nodes) < 200
    expression_through(shared)


# -- random ---------------------------------------------------------------------------


@given(EXPRESSIONS)
def test_random_expressions(expression):
    exact(expression)


@given(EXPRESSIONS)
def test_random_derivatives(expression):
    exact(sp.Derivative(expression * x, sci.t))
