"""Vector coordinates: components, sums over them, and their derivatives against those written out."""

import pickle

import numpy as np
import pytest
import sympy as sp
from hypothesis import given, settings
from hypothesis import strategies as st

import sciml as sci
from sciml.errors import ModelError
from sciml.symbols import Component, expression_content, unused_index, vector_of

t = sci.t
D = 4
X, Y = sci.space("X", -sp.oo, sp.oo, dim=D), sci.space("Y", 0, 1, dim=D)
x = sci.space("x", 0, 1)
i, j, k = sp.symbols("i j k", integer=True)
c = sci.constants("c", [0.5, -1.0, 2.0, 1.5])
u, v = sci.fields("u", t, X), sci.fields("v", t, x, X)


def written_out(e):
    """Sums and products of arrays term by term."""
    e = e.replace(lambda n: isinstance(n, sp.Sum), _terms)
    return e.replace(lambda n: isinstance(n, sci.symbols.Dot), lambda n: sum(_entry(n.args[0], m) * _entry(n.args[1], m) for m in range(D)))


def _terms(s):
    e = s.function
    for index, low, high in s.limits:
        e = sum(e.xreplace({index: sp.Integer(m)}) for m in range(int(low), int(high) + 1))
    return e.doit()


def _entry(array, m):
    return array.xreplace({a: a[m] for a in array.free_symbols if a.declaration.shape})


# -- components ---------------------------------------------------------------------------


def test_components_print_and_pickle():
    for e, shown in ((X[3], "X[3]"), (X[-1], "X[3]"), (X[i], "X[i]"), (X[i + 1], "X[i + 1]"), (c[i], "c[i]"), (X[np.int64(2)], "X[2]")):
        assert isinstance(e, Component) and str(e) == shown and pickle.loads(pickle.dumps(e)) == e
    assert sp.latex(X[i + 1]) == "{X}_{i + 1}"
    assert X.dim == D and x.dim == 1 and t.dim == 1
    assert vector_of(X[i]) == X and vector_of(c[i]) is None and vector_of(X) is None
    assert X[sp.Idx("q")].args[1] == sp.Idx("q")
    assert c[i].xreplace({c: 2 * c + 1}) == 2 * c[i] + 1


WRONG_INDEX = {
    "outside": (lambda: X[D], "index 4 is outside 0..3"),
    "no whole number": (lambda: X[1.5], r"X\[1.5\]: an index is a whole number"),
    "no integer symbol": (lambda: X[sp.Symbol("m")], r'Write m = sp.Symbol\("m", integer=True\)'),
    "of a scalar": (lambda: x[0], "'x' is a scalar and has no components. Declare it with dim=n"),
    "two": (lambda: X[0, 1], "write 1 indices, not 2"),
}


@pytest.mark.parametrize(("make", "message"), WRONG_INDEX.values(), ids=WRONG_INDEX)
def test_wrong_indices(make, message):
    with pytest.raises(ModelError, match=message):
        make()


# -- derivatives that stay ------------------------------------------------------------------


def test_derivatives_of_fields_stay():
    assert str(u.diff(X[i])) == "Derivative(u(t, X), X[i])"
    assert u.diff(X[i], 2) == sp.Derivative(u, (X[i], 2)) == u.diff(X[i]).diff(X[i])
    assert u.diff(X[0]) == sp.Derivative(u, X[0])
    assert u.diff(t, X[i]) == u.diff(X[i], t) == sp.Derivative(u, t, X[i])
    assert u.diff(X[i], X[j]) == u.diff(X[j], X[i])
    assert u.diff(X[i], X[j], X[i]) == u.diff(X[j], (X[i], 2))
    assert u.diff(Y[i]) == 0


def test_a_derivative_depends_on_its_index():
    assert u.diff(X[i]).free_symbols == {t, X, i}
    e = sp.factor_terms(sp.Sum(c[i] * u.diff(X[i]), (i, 0, D - 1)))
    assert e.has(sp.Sum) and u.diff(X[i]) in e.atoms(sp.Sum).pop().function.atoms(sp.Derivative)


def test_other_derivatives_are_as_before():
    f, a, b = sp.Function("f"), *sp.symbols("a b")
    assert f(a, b).diff(b, a) == f(a, b).diff(a, b)
    assert sp.Derivative(f(a), a).free_symbols == {a}
    assert sp.Sum(a * i**2, (i, 0, 3)).diff(a) == sp.Sum(i**2, (i, 0, 3))
    assert (f(a).diff(a) ** 2).diff(f(a).diff(a)) == 2 * f(a).diff(a)


def test_components_of_coordinates_are_independent():
    assert X[i].diff(X[j]) == sp.KroneckerDelta(i, j)
    assert X[1].diff(X[1]) == 1 and X[1].diff(X[2]) == 0 and X[i].diff(X[i]) == 1 and X[i].diff(X[i + 1]) == 0
    assert c[i].diff(X[i]) == 0 and X[i].diff(Y[i]) == 0 and X[i].diff(t) == 0


def test_the_chain_rule():
    assert (sp.sin(X[i]) * u).diff(X[i]) == u * sp.cos(X[i]) + sp.sin(X[i]) * u.diff(X[i])
    g = sci.table("g", [0.0, 1.0], [0.0, 1.0])
    assert g(2 * X[i]).diff(X[j]).has(sp.KroneckerDelta(i, j))
    assert g(X[i]).diff(X[i]) == sp.Derivative(g(X[i]), X[i])


def test_the_index_of_a_sum_is_its_own():
    one, other = (sp.Sum(X[n] ** 2, (n, 0, D - 1)).diff(X[i]) for n in (i, j))
    assert written_out(one.xreplace({i: sp.Integer(2)})) == written_out(other.xreplace({i: sp.Integer(2)})) == 2 * X[2]


EXPRESSIONS = {
    "squares": sp.Sum(X[i] ** 2, (i, 0, D - 1)),
    "two-body": sp.Sum(c[i] * sp.sin(X[i] + sp.cos(X[i + 1]) + X[i + 1] * sp.cos(X[i])), (i, 0, D - 2)),
    "function of sums": sp.exp(-sp.Sum(X[i] ** 2, (i, 0, D - 1))) * sp.Sum(X[i] * X[i + 2], (i, 0, D - 3)),
    "dot": sci.dot(X, X),
    "dot with weights": sci.dot(c, sp.sin(X)) ** 2,
    "dot of differences": sci.dot(X - c, X * c),
    "double sum": sp.Sum(X[i] * X[j] ** 2, (i, 0, D - 1), (j, 0, D - 2)),
    "one component": X[0] ** 3 * sp.Sum(c[i] * X[i], (i, 1, D - 1)),
}


@pytest.mark.parametrize("name", EXPRESSIONS)
def test_derivatives_by_components_agree_with_those_written_out(name):
    e = EXPRESSIONS[name]
    plain = {X[m]: sp.Symbol(f"x{m}") for m in range(D)}
    exact = written_out(e).xreplace(plain)
    for m in range(D):
        for n in (1, 2):
            assert sp.simplify(written_out(e.diff(X[m], n)).xreplace(plain) - exact.diff(plain[X[m]], n)) == 0
    at_j = e.diff(X[j])
    for m in range(D):
        value = written_out(at_j.xreplace({j: sp.Integer(m)})).xreplace(plain)
        assert sp.simplify(value - exact.diff(plain[X[m]])) == 0


@settings(max_examples=25, deadline=None)
@given(st.lists(st.tuples(st.integers(-3, 3), st.integers(0, 2), st.integers(0, 2)), min_size=1, max_size=4))
def test_laplacians_of_random_polynomials(terms):
    e = sp.Sum(sum(a * X[i] ** p * X[i + 1] ** q for a, p, q in terms), (i, 0, D - 2))
    plain = {X[m]: sp.Symbol(f"x{m}") for m in range(D)}
    exact = written_out(e).xreplace(plain)
    assert sp.expand(written_out(sci.laplacian(e, X)).xreplace(plain) - sum(exact.diff(s, 2) for s in plain.values())) == 0


# -- words --------------------------------------------------------------------------------


def test_the_laplacian_is_a_sum():
    assert sci.laplacian(u, X) == sci.laplacian(u) == sp.Sum(u.diff(X[i], 2), (i, 0, D - 1))
    assert sci.laplacian(v) == v.diff(x, 2) + sp.Sum(v.diff(X[i], 2), (i, 0, D - 1))
    assert sci.laplacian(sci.laplacian(u, X), X) == sp.Sum(u.diff((X[i], 2), (X[j], 2)), (i, 0, D - 1), (j, 0, D - 1))
    assert sp.expand(sci.laplacian(u**2, X)) == sp.expand(sp.Sum(2 * u * u.diff(X[i], 2) + 2 * u.diff(X[i]) ** 2, (i, 0, D - 1)))


def test_unused_indices():
    assert [str(unused_index(e)) for e in (u, X[i], sp.Sum(X[i] * X[j], (i, 0, 1)), sum(sp.symbols("i:n")))] == ["i", "j", "k", "i1"]


def test_the_name_of_an_index_does_not_count():
    def lap(n):
        return sp.Sum(c[n] * u.diff(X[n], 2), (n, 0, D - 1)) * sp.Sum(X[n], (n, 0, 1))

    others = [sp.Symbol("zeta", integer=True), sp.Dummy("d", integer=True), sp.Idx("q")]
    assert {expression_content(lap(n)) for n in others} == {expression_content(lap(i))}
    assert expression_content(lap(i)) != expression_content(sp.Sum(c[i] * u.diff(X[i], 2), (i, 0, D - 1)) * sp.Sum(X[i], (i, 0, 2)))
    nested = [sp.Sum(sp.exp(sp.Sum(X[b], (b, 0, 1)) * X[a]), (a, 0, 1)) for a, b in ((i, j), (j, k), (k, i))]
    assert len({expression_content(e) for e in nested}) == 1
    assert expression_content(nested[0]) != expression_content(sp.Sum(sp.exp(sp.Sum(X[j], (j, 0, 1)) * X[j]), (j, 0, 1)).xreplace({X: Y}))


NOT_FOR_VECTORS = {
    "by all": (lambda: u.diff(X), r"Write sci.laplacian\(u, X\), or u.diff\(X\[i\]\)"),
    "by all twice": (lambda: u.diff((X, 2)), "'X' is a vector of 4 coordinates"),
    "by all, inside": (lambda: (2 * u).diff(X, 2), "'X' is a vector of 4 coordinates"),
    "of all": (lambda: sp.sin(X).diff(X[i]), "holds all of 'X' at once: write sums over its components"),
    "look-alike": (lambda: u.diff(sci.space("X", 0, 1, dim=D)[i]), r"Write u.diff\(X\[i\]\)"),
    "gradient": (lambda: sci.grad(u, X), r"sci.grad\(u\(t, X\)\): 'X' is a vector.*sp.Sum\(u.diff\(X\[i\]\)\*\*2, \(i, 0, X.dim - 1\)\)"),
    "gradient of all": (lambda: sci.grad(v), "'X' is a vector"),
    "divergence": (lambda: sci.div([u], X), r"sci.div\(.*'X' is a vector"),
    "curl": (lambda: sci.curl([u, u], X, x), r"sci.curl\(.*'X' is a vector"),
    "normal": (lambda: sci.normal_derivative(u), r"sci.normal_derivative\(.*'X' is a vector"),
    "flux": (lambda: sci.D(u, X[i]), "derivatives by components of a vector are carried out, not kept"),
    "at": (lambda: sci.at(u, Y, 0.5), "'Y' is a vector, and values at a point are taken along scalar coordinates alone"),
    "integral": (lambda: sci.integral(u, Y), "'Y' is a vector; integrals run over scalar coordinates with two ends"),
    "infinite integral": (lambda: sci.integral(u, sci.space("w", 0, sp.oo)), "'w' is infinite"),
    "side": (lambda: Y.left, "'Y' is a vector and has no left side"),
    "infinite side": (lambda: sci.space("w", 0, sp.oo).right, "'w' has no right side: it ends at inf"),
    "matrix": (lambda: sci.dot(np.ones((D, D)), X).diff(X[i]), "has no component i in short form: write its parts out as sums"),
}


@pytest.mark.parametrize(("make", "message"), NOT_FOR_VECTORS.values(), ids=NOT_FOR_VECTORS)
def test_what_is_not_for_vectors_is_refused_with_the_cure(make, message):
    with pytest.raises(ModelError, match=message):
        make()


WRONG_SPACES = {
    "dim": (lambda: sci.space("X", 0, 1, dim=2.5), "dim is a whole number"),
    "no dim": (lambda: sci.space("X", 0, 1, dim=0), "a vector has one component or more"),
    "an end": (lambda: sci.space("X", 0, sci.parameters("a", 1.0)), "the ends are numbers"),
    "order": (lambda: sci.space("X", sp.oo, -sp.oo), "the low end must lie below the high end"),
    "at infinity": (lambda: sci.space("X", -sp.oo, -sp.oo), "the low end must lie below the high end"),
    "periodic vector": (lambda: sci.space("X", 0, 1, dim=3, periodic=True), "a vector cannot be periodic; declare its coordinates one by one"),
    "infinite circle": (lambda: sci.space("X", 0, sp.oo, periodic=True), "a periodic coordinate has two ends"),
}


@pytest.mark.parametrize(("make", "message"), WRONG_SPACES.values(), ids=WRONG_SPACES)
def test_coordinates_that_cannot_be_meant(make, message):
    with pytest.raises(ModelError, match=message):
        make()


def test_the_normal_derivative():
    y = sci.space("y", 0, 1)
    w = sci.fields("w", t, x, y)
    e = sci.normal_derivative(w)
    assert str(e) == "n_x*Derivative(w(t, x, y), x) + n_y*Derivative(w(t, x, y), y)"
    assert {n.declaration.kind for n in e.free_symbols if str(n).startswith("n_")} == {"normal"}
    assert sci.normal_derivative(w**2).has(w)
    with pytest.raises(ModelError, match="has no field"):
        sci.normal_derivative(x)
