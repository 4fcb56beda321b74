"""Sums over components: every derivative against SymPy's of the sum written out, every array against its entries."""

import numpy as np
import pytest
import sympy as sp
from hypothesis import given, settings
from hypothesis import strategies as st

import sciml as sci
from sciml.errors import CompileError
from sciml.passes import indexed
from sciml.passes.indexed import Filled, Indices, Piece, Placed, Total, Weight, diagonal, gradient, laplacian, lowered
from sciml.symbols import Component, Dot

D = 5
X, i, j = sci.space("X", -sp.oo, sp.oo, dim=D), sp.Symbol("i", integer=True), sp.Symbol("j", integer=True)
c = sci.constants("c", np.array([0.3, -1.2, 0.7, 0.4]))
b = sci.constants("b", np.linspace(0.5, 1.5, D))
xs = sp.symbols(f"x0:{D}", real=True)
POINT = np.array([0.3, -0.5, 0.8, 0.2, -0.9])


def neighbours():
    """The sum of the notes' two-body problems."""
    y, z = X[i], X[i + 1]
    return sp.Sum(c[i] * sp.sin(y + sp.cos(z) + z * sp.cos(y)), (i, 0, D - 2))


square = sp.Sum(X[i] ** 2, (i, 0, D - 1))
EXPRESSIONS = {
    "square": square,
    "dot": sci.dot(X, X),
    "weighted": sci.dot(b, X),
    "shifted": sci.dot(X - b, X - b),
    "neighbours": neighbours(),
    "two-body": (1 - sci.dot(X, X)) * neighbours(),
    "three": sp.Sum(sp.exp(X[i] * X[i + 1] * X[i + 2]), (i, 0, D - 3)),
    "function of sums": sp.log(2 + square) + sp.exp(-square / 2) * sp.Sum(X[i] ** 3, (i, 1, 3)),
    "one component": X[2] ** 2 * sp.sin(X[0]) + square * X[4],
    "powers of the index": sp.Sum((i + 1) * X[i] ** 2 / (i + 2), (i, 0, D - 1)),
    "factors outside": sp.Sum(square * X[i] ** 3 * c[1], (i, 0, D - 1)),
    "no component": sp.Sum(b[i], (i, 0, D - 1)) + square,
    "backward": sp.Sum(X[i - 1] * X[i] ** 2, (i, 1, D - 1)),
    "apart": sp.Sum(sp.cos(X[i]) ** 2, (i, 0, 1)) * sp.Sum(sp.cos(X[i]), (i, 3, 4)),
}


# -- written out -------------------------------------------------------------------------------------------


def written_out(e):
    """Sums and products written out, components as symbols and numbers."""
    e = e.replace(lambda n: isinstance(n, Dot), lambda n: indexed.as_sum(n)).doit()
    arrays = {c: c.declaration.value, b: b.declaration.value}
    found = {n: xs[int(n.args[1])] if n.args[0] == X else sp.Float(arrays[n.args[0]][int(n.args[1])]) for n in e.atoms(Component)}
    return e.xreplace(found)


def number(e):
    return float(written_out(e).subs(dict(zip(xs, POINT, strict=True))))


def evaluated(e):
    """The value of a lowered expression, by NumPy."""
    arrays = {X: POINT, c: c.declaration.value, b: b.declaration.value}
    if e in arrays:
        return arrays[e]
    args = [evaluated(a) for a in e.args] if not isinstance(e, Component) else [arrays[e.args[0]]]
    match e:
        case Component():
            return args[0][int(e.args[1])]
        case Piece():
            start, stop = map(int, e.args[1:])
            assert 0 <= start < stop <= len(args[0])
            return args[0][start:stop]
        case Total():
            return np.sum(args[0])
        case Placed():
            return np.pad(args[0], (int(e.args[1]), int(e.args[2])))
        case Filled():
            return np.full(int(e.args[1]), args[0])
        case Indices():
            return np.arange(int(e.args[0]), int(e.args[1]), dtype=float)
        case sp.Number() | sp.NumberSymbol():
            return float(e)
        case sp.Add():
            return sum(args)
        case sp.Mul():
            return np.prod(np.broadcast_arrays(*args), axis=0)
        case sp.Pow():
            return args[0] ** args[1]
    return {sp.sin: np.sin, sp.cos: np.cos, sp.exp: np.exp, sp.log: np.log}[e.func](args[0])


def slope(e, k, order=1):
    return float(written_out(e).diff((xs[k], order)).subs(dict(zip(xs, POINT, strict=True))))


@pytest.mark.parametrize("e", EXPRESSIONS.values(), ids=EXPRESSIONS)
class TestOneExpression:
    def test_value(self, e, close):
        close(evaluated(lowered(e)), number(e), 1e-12)

    def test_gradient(self, e, close):
        close(evaluated(gradient(e, X)) + np.zeros(D), [slope(e, k) for k in range(D)], 1e-11, 1e-14)

    def test_laplacian(self, e, close):
        expected = sum(slope(e, k, 2) for k in range(D))
        close(number(laplacian(e, X)), expected, 1e-11, 1e-14)
        close(evaluated(lowered(laplacian(e, X))), expected, 1e-11, 1e-14)

    def test_weights(self, e, close):
        weight = Weight(b[indexed.INDEX] * X[indexed.INDEX] ** 2, 1, 3)
        for order in (1, 3):
            expected = sum(b.declaration.value[k] * POINT[k] ** 2 * slope(e, k, order) for k in (1, 2, 3))
            close(evaluated(lowered(diagonal(e, X, order, weight))), expected, 1e-11, 1e-14)


def test_repeated_laplacian(close):
    e = square * sp.Sum(sp.sin(X[i] * X[i + 1]), (i, 0, D - 2))
    inner = sum(written_out(e).diff((x, 2)) for x in xs)
    expected = float(sum(inner.diff((x, 2)) for x in xs).subs(dict(zip(xs, POINT, strict=True))))
    close(evaluated(lowered(laplacian(e, X, 2))), expected, 1e-9)


def test_second_derivatives_one_by_one(close):
    e = EXPRESSIONS["function of sums"]
    close(evaluated(gradient(e, X, 2)), [slope(e, k, 2) for k in range(D)], 1e-11)


local = st.recursive(
    st.sampled_from([X[i], X[i + 1], c[i], sp.Integer(2), sp.Rational(1, 3)]),
    lambda inner: st.one_of(
        st.tuples(inner, inner).map(lambda p: p[0] + p[1]),
        st.tuples(inner, inner).map(lambda p: p[0] * p[1]),
        inner.map(sp.sin),
        inner.map(lambda e: e**2),
    ),
    max_leaves=5,
)


@settings(max_examples=12)
@given(local, local)
def test_any_function_of_sums(f, g):
    S, T = (sp.Sum(e, (i, 0, D - 2)) for e in (f, g))
    e = S * T + sp.cos(S)
    expected = sum(slope(e, k, 2) for k in range(D))
    np.testing.assert_allclose(evaluated(lowered(laplacian(e, X))), expected, rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(evaluated(gradient(e, X)) + np.zeros(D), [slope(e, k) for k in range(D)], rtol=1e-9, atol=1e-9)


# -- cost ---------------------------------------------------------------------------------------------------


def nodes(e):
    return sum(1 for _ in sp.preorder_traversal(e))


def test_the_size_does_not_depend_on_the_dimension():
    sizes = []
    for d in (10, 1000):
        Y = sci.space("Y", -sp.oo, sp.oo, dim=d)
        q = sci.constants("q", np.ones(d - 1))
        e = (1 - sci.dot(Y, Y)) * sp.Sum(q[i] * sp.sin(Y[i] + sp.cos(Y[i + 1]) + Y[i + 1] * sp.cos(Y[i])), (i, 0, d - 2))
        sizes.append(nodes(lowered(laplacian(e, Y))))
    assert sizes[0] == sizes[1]


def test_each_function_is_computed_once():
    made = lowered(laplacian(EXPRESSIONS["two-body"], X))
    trigonometric = made.atoms(sp.sin, sp.cos)
    assert len(trigonometric) == 4, trigonometric  # sine and cosine of X, and of the whole argument


def test_functions_are_not_evaluated_outside_their_sums():
    made = lowered(sp.Sum(sp.log(X[i]), (i, 1, D - 1)))
    assert made == Total(sp.log(Piece(X, 1, D)))


def test_far_ranges_stay_apart():
    made = lowered(EXPRESSIONS["apart"])
    assert {p.args[1:] for p in made.atoms(Piece)} == {(0, 2), (3, 5)}


# -- what has no such form --------------------------------------------------------------------------------

CASES = {
    "all at once": (lambda: laplacian(sp.sin(X), X), "holds all of X at once. Write sums over its components"),
    "both indices": (lambda: lowered(sp.Sum(sp.Sum(sp.sin(X[i] * X[j]), (i, 0, D - 1)), (j, 0, D - 1))), "a sum inside a sum over both indices"),
    "inner sum": (lambda: laplacian(sp.Sum(sp.sin(X[i] + square), (i, 0, D - 1)), X), "a sum inside a sum that cannot be taken out"),
    "reversed": (lambda: lowered(sp.Sum(X[D - 1 - i], (i, 0, D - 1))), "write X[i + q] with a whole number q"),
    "fixed beside moving": (lambda: laplacian(sp.Sum(sp.sin(X[0] * X[i]), (i, 0, D - 1)), X), "mixes X[0] with the components that it sums over"),
    "open ends": (lambda: lowered(sp.Sum(X[i], (i, 0, j))), "has numbers for its ends"),
    "two lengths": (lambda: laplacian(Dot(c, X), X), "is no product of two vectors of one length"),
    "a delta": (lambda: lowered(sp.Sum(sp.KroneckerDelta(i, j) * X[i], (i, 0, D - 1))), "is no function of them one by one"),
    "too far": (lambda: lowered(sp.Sum(X[i + 1], (i, 0, D - 1))), "has 5 components, and a sum asks for those from 1 to 5"),
}


@pytest.mark.parametrize("case", CASES, ids=lambda c: c.replace(" ", "-"))
def test_message(case):
    run, words = CASES[case]
    with pytest.raises(CompileError) as caught:
        run()
    assert words in str(caught.value), str(caught.value)
