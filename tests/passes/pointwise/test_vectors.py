"""Problems over a vector coordinate: each residual against SymPy's derivatives of everything written out."""

import numpy as np
import pytest
import sympy as sp

import sciml as sci
from sciml.errors import CompileError, ModelError
from sciml.passes import Along, Diagonal, Gradient, Laplacian, Partial, placeholder, pointwise
from sciml.passes.indexed import Filled, Piece, Placed, Total
from sciml.symbols import Component, Dot

from .problems import same

D = 4
t = sci.t
X, i, j = sci.space("X", -sp.oo, sp.oo, dim=D), sp.Symbol("i", integer=True), sp.Symbol("j", integer=True)
c = sci.constants("c", np.array([0.7, -0.4, 1.3]))
ball = sci.ball(X, radius=1)
u, w = sci.fields("u", X), sci.fields("w", t, X)
sigma, r = sci.parameters("sigma r", [0.4, 0.05])
xs = sp.symbols(f"x0:{D}", real=True)
square = sp.Sum(X[i] ** 2, (i, 0, D - 1))
pairs = sp.Sum(c[i] * sp.sin(X[i] + sp.cos(X[i + 1]) + X[i + 1] * sp.cos(X[i])), (i, 0, D - 2))
EXACT = (1 - sci.dot(X, X)) * pairs
zero = {ball.surface: sci.eq(u, 0)}


def component(v, k, order=1):
    return v.diff(X[k], order)


def over(term):
    return sp.Sum(term, (i, 0, D - 1))


EQUATIONS = {
    "Poisson": lambda v: sci.laplacian(v, X) - 1,
    "Allen-Cahn": lambda v: sci.laplacian(v, X) + v - v**3,
    "sine-Gordon": lambda v: sci.laplacian(v, X) + sp.sin(v),
    "Black-Scholes-Barenblatt": lambda v: over(sigma**2 * X[i] ** 2 * v.diff(X[i], 2)) / 2 + r * (v - over(X[i] * v.diff(X[i]))),
    "Hamilton-Jacobi-Bellman": lambda v: sci.laplacian(v, X) - over(v.diff(X[i]) ** 2),
    "some weights": lambda v: v * sp.Sum(c[i] * v.diff(X[i + 1]), (i, 0, D - 2)) + sp.Sum(v.diff(X[i], 4), (i, 1, 2)),
    "terms together": lambda v: over((v.diff(X[i], 2) + v.diff(X[i]) ** 2) * X[i]),
    "neighbours of the gradient": lambda v: sp.Sum(v.diff(X[i]) * v.diff(X[i + 1]), (i, 0, D - 2)),
    "one component": lambda v: v.diff(X[2]) * v.diff(X[0], 2) - X[1],
    "a function of the gradient": lambda v: sp.sqrt(1 + over(v.diff(X[i]) ** 2)) + over(sp.sin(v * v.diff(X[i]))),
}


# -- written out --------------------------------------------------------------------------------------------


def written_out(e, formula, field):
    """An expression with a formula in place of a field, all sums written out, all derivatives by SymPy."""
    e = e.replace(lambda n: isinstance(n, Dot), lambda n: over(n.args[0].xreplace({X: X[i]}) * n.args[1].xreplace({X: X[i]}))).doit()
    plain = lambda f: f.doit().xreplace({n: _entry(n) for n in f.doit().atoms(Component)})
    value = plain(formula.replace(lambda n: isinstance(n, Dot), lambda n: square))
    slopes = {
        n: value.diff(*((xs[int(v.args[1])] if isinstance(v, Component) else v, k) for v, k in n.variable_count)) for n in e.atoms(sp.Derivative)
    }
    return plain(e.xreplace(slopes).xreplace({field: value}))


def _entry(n):
    k = int(n.args[1])
    return xs[k] if n.args[0] == X else sp.Float(c.declaration.value[k])


def entries(e, values):
    """An array expression in placeholders, as its entries; a number as itself."""
    if e in values:
        return values[e]
    match e:
        case Component():
            return entries(e.args[0], values)[int(e.args[1])]
        case Piece():
            return entries(e.args[0], values)[int(e.args[1]) : int(e.args[2])]
        case Total():
            return sum(entries(e.args[0], values))
        case Placed():
            return [0] * int(e.args[1]) + list(entries(e.args[0], values)) + [0] * int(e.args[2])
        case Filled():
            return [e.args[0]] * int(e.args[1])
    if not e.args:
        return e
    args = [entries(a, values) for a in e.args]
    sizes = {len(a) for a in args if isinstance(a, list)}
    if not sizes:
        return e.func(*args)
    (n,) = sizes
    return [e.func(*(a[k] if isinstance(a, list) else a for a in args)) for k in range(n)]


def put_in(form, residual, formula):
    """A residual in placeholders with a formula of x0, x1, ... in place of the function."""
    point = {placeholder("X"): list(xs), placeholder("t"): t, c: [sp.Float(v) for v in c.declaration.value]}
    values = {**point, **{placeholder(key): _value(o, formula, point) for key, o in form.operators.items()}}
    return entries(residual, values)


def _value(o, f, point):
    match o:
        case Partial():
            return f.diff(*((t, k) for _, k in o.orders)) if o.orders else f
        case Gradient():
            return [f.diff(x) for x in xs]
        case Laplacian():
            for _ in range(o.power):
                f = sum(f.diff(x, 2) for x in xs)
            return f
        case Along() | Diagonal():
            weights = entries(o.weight, point)
            return sum(weight * f.diff(x, getattr(o, "order", 1)) for weight, x in zip(weights, xs, strict=True))


FORMULA = sp.sin(xs[0] * xs[1]) + xs[2] ** 3 * xs[3] + sp.exp(xs[0] / 3)
IN_X = sp.sin(X[0] * X[1]) + X[2] ** 3 * X[3] + sp.exp(X[0] / 3)


@pytest.mark.parametrize("name", EQUATIONS, ids=lambda n: n.replace(" ", "-"))
class TestEquation:
    def test_residual(self, name):
        e = sci.eq(EQUATIONS[name](u), 0)
        form = pointwise(sci.System([e]))
        assert same(written_out(e.residual, IN_X, u), put_in(form, form.terms[0].residual, FORMULA))

    def test_with_a_condition_built_in(self, name):
        e = sci.eq(EQUATIONS[name](u), 0)
        system = sci.System([e], domain=ball, boundary={ball.surface: sci.eq(u, X[0] * X[3])})
        form = pointwise(system, built_in="auto", check=False)
        assert len(form.terms) == 1 and form.ansatz["u"][0] == X[0] * X[3]
        whole = X[0] * X[3] + (1 - square) * IN_X
        assert same(written_out(e.residual, whole, u), put_in(form, form.terms[0].residual, FORMULA))

    def test_with_an_end_built_in(self, name):
        e = sci.eq(w.diff(t) + EQUATIONS[name](w), 0)
        form = pointwise(sci.System([e], final={w: sp.log(1 + square) + X[1] * X[2]}), built_in="auto", span=(0, 2))
        assert [term.kind for term in form.terms] == ["equation"]
        v = FORMULA * sp.cos(t)
        whole = sp.log(1 + square) + X[1] * X[2] + (1 - t / 2) * IN_X * sp.cos(t)
        assert same(written_out(e.residual, whole, w), put_in(form, form.terms[0].residual, v))


def test_repeated_laplacian():
    e = sci.eq(sci.laplacian(sci.laplacian(u, X), X) - X[0] * sci.laplacian(u, X), 0)
    form = pointwise(sci.System([e]))
    assert Laplacian("u", "X", 2) in form.operators.values()
    expected = sum(FORMULA.diff(x, 2, y, 2) for x in xs for y in xs) - xs[0] * sum(FORMULA.diff(x, 2) for x in xs)
    assert same(expected, put_in(form, form.terms[0].residual, FORMULA))


# -- which operators ------------------------------------------------------------------------------------------


def operators_of(equation, **options):
    form = pointwise(sci.System([sci.eq(equation, 0)], **options), check=False)
    return [form.operators[key] for key in form.terms[0].operators]


PLACED = placeholder("X")


def test_the_laplacian():
    assert operators_of(sci.laplacian(u, X)) == [Laplacian("u", "X")]


def test_weights():
    assert operators_of(over(X[i] ** 2 * u.diff(X[i], 3))) == [Diagonal("u", "X", 3, PLACED**2)]
    assert operators_of(sigma * over(X[i] * u.diff(X[i]))) == [Along("u", "X", PLACED)]
    assert operators_of(sp.Sum(u.diff(X[i], 2), (i, 1, D - 1))) == [Diagonal("u", "X", 2, Placed(Filled(1, D - 1), 1, 0))]


def test_derivatives_along_several_weights_are_one():
    form = pointwise(sci.System([sci.eq(sigma * over(X[i] * u.diff(X[i])) - X[0] * u.diff(X[1]) + sci.laplacian(u, X), 0)]))
    (along,) = [o for o in form.operators.values() if isinstance(o, Along)]
    weights = entries(along.weight, {PLACED: list(xs)})
    assert weights == [sigma * xs[0], sigma * xs[1] - xs[0], sigma * xs[2], sigma * xs[3]]
    assert len(operators_of(u * over(X[i] * u.diff(X[i])) + u.diff(X[1]))) == 3  # a factor that is no formula of the point stays


def test_the_gradient():
    assert operators_of(over(u.diff(X[i]) ** 2)) == [Gradient("u", "X")]


def test_one_component():
    assert operators_of(u.diff(X[1])) == [Along("u", "X", Placed(Filled(1, 1), 1, D - 2))]


def test_a_point_is_flat():
    form = pointwise(sci.System([sci.eq(w.diff(t), sci.laplacian(w, X))], initial={w: square}))
    assert form.coordinates == ("t", "X") and form.layout == {"t": slice(0, 1), "X": slice(1, D + 1)}
    assert form.terms[1].residual == placeholder("w") - Total(PLACED**2)


def test_the_ansatz_costs_one_directional_derivative():
    found = {type(o).__name__: o for o in operators_of_ansatz()}
    assert set(found) == {"Partial", "Along", "Laplacian"} and found["Along"].weight == -4 * PLACED


def operators_of_ansatz():
    form = pointwise(sci.System([sci.eq(sci.laplacian(u, X), u**3)], domain=ball, boundary=zero), built_in="auto")
    return [form.operators[key] for key in form.terms[0].operators]


def test_a_ball_around_another_point():
    for center, count in (((0.5,), 1), ((0.5, 0.5, 0.5, 0.5), 1), ((0.5, 0, 0, 0), 0)):
        aside = sci.ball(X, center, 2)
        form = pointwise(sci.System([sci.eq(sci.laplacian(u, X), 1)], domain=aside, boundary={aside.surface: sci.eq(u, 0)}), built_in="auto")
        assert len(form.built_in) == count
        if count:
            a = written_out(form.ansatz["u"][1], u, u)
            assert same(a, 1 - sum((x - sp.Rational(1, 2)) ** 2 for x in xs) / 4)


# -- manufactured sources -----------------------------------------------------------------------------------


def test_two_body_source():
    made = sci.manufacture(sci.System([sci.eq(sci.laplacian(u, X) + u - u**3, 0)], domain=ball, boundary=zero), {u: EXACT})
    left = made.equations[0].lhs
    assert same(written_out(left - made.equations[0].rhs, EXACT, u), sp.S.Zero)
    assert made.boundary[ball.surface.name][0].rhs == 0
    form = pointwise(made, built_in="auto")
    assert form.built_in and form.terms[0].residual.has(Total)


def test_a_source_on_a_disc():
    x, y = sci.space("x", -2, 2), sci.space("y", -2, 2)
    v, disc = sci.fields("v", x, y), sci.ball((x, y), (0.5, 0), 1)
    exact = (1 - (x - sp.Rational(1, 2)) ** 2 - y**2) * sp.exp(x)
    made = sci.manufacture(sci.System([sci.eq(sci.laplacian(v), 0)], domain=disc, boundary={disc.surface: sci.eq(v, 1)}), {v: exact})
    assert made.boundary[disc.surface.name][0].rhs == 0
    assert same(made.equations[0].rhs, exact.diff(x, 2) + exact.diff(y, 2))
    moved = sci.manufacture(sci.System([sci.eq(sci.laplacian(v), 0)], domain=disc, boundary={disc.surface: sci.eq(v, 1)}), {v: exact + y})
    assert same(moved.boundary[disc.surface.name][0].rhs, exact + y)


def test_the_source_does_not_grow_with_the_dimension():
    sizes = []
    for d in (10, 10_000):
        Y = sci.space("Y", -sp.oo, sp.oo, dim=d)
        q, v = sci.constants("q", np.ones(d - 1)), sci.fields("v", Y)
        exact = (1 - sci.dot(Y, Y)) * sp.Sum(q[i] * sp.sin(Y[i] + sp.cos(Y[i + 1]) + Y[i + 1] * sp.cos(Y[i])), (i, 0, d - 2))
        made = sci.manufacture(sci.System([sci.eq(sci.laplacian(v, Y) + sp.sin(v), 0)]), {v: exact})
        sizes.append(sp.count_ops(pointwise(made).terms[0].residual))
    assert sizes[0] == sizes[1]


def test_three_body_source_in_time():
    exact = sp.exp(-t) * sp.Sum(sp.exp(X[i] * X[i + 1] * X[i + 2]), (i, 0, D - 3))
    heat = sci.System([sci.eq(w.diff(t), sci.laplacian(w, X) - over(w.diff(X[i]) ** 2))], initial={w: 0})
    made = sci.manufacture(heat, {w: exact})
    assert same(written_out(made.equations[0].residual, exact, w), sp.S.Zero)
    assert made.initial["w"].subs(t, 0) == exact.subs(t, 0)


def test_a_value_at_the_end():
    back = sci.System([sci.eq(w.diff(t), -sci.laplacian(w, X))], final={w: 0})
    made = sci.manufacture(back, {w: sp.exp(t) * square})
    assert "w" not in made.initial
    form = pointwise(made, built_in="auto", span=(0, 1))
    assert form.ansatz["w"][0] == sp.E * square


# -- messages -------------------------------------------------------------------------------------------------

CASES = {
    "mixed": (lambda: operators_of(over(sp.Sum(u.diff(X[i], X[j]), (j, 0, D - 1)))), "sums over two indices and is no repeated Laplacian"),
    "mixed components": (lambda: operators_of(u.diff(X[0], X[1])), "differentiates by two components"),
    "with time": (lambda: operators_of(over(w.diff(t, X[i]))), "differentiates by a component and another coordinate"),
    "nonlinear": (lambda: operators_of(over(u.diff(X[i], 2) ** 2)), "is not linear in `u_X[i]X[i]`"),
    "weights of the field": (lambda: operators_of(over(sp.sin(u * X[i]) * u.diff(X[i], 2))), "with weights that are formulas of the coordinates"),
    "biharmonic with a condition built in": (
        lambda: pointwise(
            sci.System([sci.eq(over(sp.Sum(u.diff(X[i], 2, X[j], 2), (j, 0, D - 1))), 0)], domain=ball, boundary=zero),
            built_in=("u at the sphere |X| = 1",),
            check=False,
        ),
        "cannot be built in: `u_X[i]X[i]X[j]X[j]` differentiates by two components",
    ),
    "no condition on the surface": (
        lambda: pointwise(sci.System([sci.eq(sci.laplacian(u, X), 0)], domain=ball)),
        "'u' has no condition on the sphere |X| = 1, where 1 is needed",
    ),
    "no end": (lambda: pointwise(sci.System([sci.eq(w.diff(t), -sci.laplacian(w, X))])), "initial={w: 0} (or final={w: ...})"),
}


@pytest.mark.parametrize("case", CASES, ids=lambda c: c.replace(" ", "-"))
def test_message(case):
    run, words = CASES[case]
    with pytest.raises((CompileError, ModelError)) as caught:
        run()
    assert words in str(caught.value), str(caught.value)
