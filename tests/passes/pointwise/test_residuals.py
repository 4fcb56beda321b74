"""Residuals in placeholders are those that were declared: a formula in place of each field gives the same value both ways."""

import pickle

import numpy as np
import pytest
import sympy as sp

import sciml as sci
from sciml.passes import Combination, Partial, linear_in, of_point, placeholder, pointwise
from sciml.symbols import declaration_of

from . import problems
from .problems import SCALAR, by_hand, p, put_in, same, t, x, y

u = sci.fields("u", t, x)


def declared(problem):
    """Every equation and condition of a problem, as declared, in the order of the terms."""
    system = problem.system
    yield from (e.residual for e in system.equations)
    yield from (e.residual for listed in system.boundary.values() for e in listed)
    start = {declaration_of(f).name: f for f in problem.formulas}
    values = {**{n: declaration_of(f).value for n, f in start.items() if declaration_of(f).value is not None}, **system.initial}
    for name, value in values.items():
        stem = name.rstrip("'")
        yield (start[stem].diff((t, len(name) - len(stem))) if stem != name else start[stem]) - value


@pytest.mark.parametrize("make", SCALAR, ids=lambda m: m.__name__)
def test_residuals(make):
    problem = make()
    form = pointwise(problem.system)
    residuals = list(declared(problem))
    assert len(residuals) == len(form.terms)
    for term, residual in zip(form.terms, residuals, strict=True):
        fixed = {form.system.coordinates[n]: form.system.coordinates[n].declaration.payload[_end(e)] for n, e in term.place.fixed if n != "t"}
        found = put_in(form, term.residual, problem.formulas).subs(fixed)
        assert same(by_hand(residual, problem.formulas).subs(fixed), found), term.name
        assert set(term.operators) == {s.name for s in term.residual.atoms(sp.Dummy)} - set(form.coordinates)


def _end(end):
    return {"left": "low", "right": "high"}[end]


def test_what_a_form_says():
    form = pointwise(problems.heat().system)
    assert form.coordinates == ("t", "x", "y") and form.functions == ("u",) and form.depends == {"u": ("t", "x", "y")}
    assert form.layout == {"t": slice(0, 1), "x": slice(1, 2), "y": slice(2, 3)}
    assert form.unknowns == {"u": placeholder("u")}
    assert [(term.name, term.kind, term.place.fixed) for term in form.terms] == [
        ("u'", "equation", ()),
        ("u at x.left", "boundary", (("x", "left"),)),
        ("u_x at x.right", "boundary", (("x", "right"),)),
        ("u at y.left", "boundary", (("y", "left"),)),
        ("u at y.right", "boundary", (("y", "right"),)),
        ("initial u", "initial", (("t", "start"),)),
    ]
    assert form.terms[-1].cited == "initial={u: 0}" and "problems.py" in form.terms[0].cited


def test_a_form_is_the_same_in_every_process_and_pickles():
    form = pointwise(problems.cavity().system)
    again = pickle.loads(pickle.dumps(form))
    assert again == form and again.terms[0].residual == form.terms[0].residual


def test_names_of_equations_are_unique():
    names = [term.name for term in pointwise(problems.cavity().system).terms]
    assert len(set(names)) == len(names) and names[:4] == ["u", "v", "u, v", "q"]


def test_a_pressure_fixed_at_a_corner_is_a_term_there():
    term = pointwise(problems.cavity().system).terms[3]
    assert dict(term.place.fixed) == {"x": "left", "y": "left"} and term.residual == placeholder("q")


def test_a_place_that_is_no_side_is_given_by_its_number():
    system = sci.System([sci.eq(u.diff(t), u.diff(x)), sci.eq(sci.at(u, x, 0.25), t)], initial={u: 0})
    assert pointwise(system, check=False).terms[1].place.fixed == (("x", 0.25),)


def test_names_that_look_like_derivatives():
    other = sci.fields("u_x", t, x)
    form = pointwise(sci.System([sci.eq(u.diff(t), other), sci.eq(other.diff(t), u.diff(x))]), check=False)
    keys = {o: key for key, o in form.operators.items()}
    assert len(set(keys.values())) == len(form.operators) and keys[Partial("u_x")] == "u_x"
    assert form.terms[0].residual == placeholder("u_t") - placeholder(keys[Partial("u_x")])
    assert form.terms[1].residual == placeholder(keys[Partial("u_x", (("t", 1),))]) - placeholder(keys[Partial("u", (("x", 1),))])


def test_a_coordinate_named_like_a_derivative():
    u_x = sci.space("u_x", 0, 1)
    f = sci.fields("u", x, u_x)
    form = pointwise(sci.System([sci.eq(f.diff(x), u_x)]), check=False)
    assert form.terms[0].operators == ("u_x (2)",) and form.terms[0].residual == placeholder("u_x (2)") - placeholder("u_x")


# -- combinations ----------------------------------------------------------------------------------


def operators_of(*sides, **options):
    """The operators of one equation."""
    form = pointwise(sci.System([sci.eq(*sides)], **options), check=False)
    return [form.operators[key] for key in form.terms[0].operators], form.terms[0].residual


w = sci.fields("w", t, x, y)
a, b = sci.parameters("a b", [1.0, 2.0])
XX, YY, XXXX = (("x", 2),), (("y", 2),), (("x", 4),)


def test_the_laplacian_is_carried_as_one():
    (rate, whole), residual = operators_of(w.diff(t), a * sci.laplacian(w))
    assert whole == Combination("w", ((XX, sp.S.One), (YY, sp.S.One))) and rate == Partial("w", (("t", 1),))
    assert residual.coeff(placeholder("w_xx+w_yy")) == -a


def test_the_biharmonic_operator_too():
    (whole,), _ = operators_of(sci.laplacian(sci.laplacian(w)), 0)
    assert whole == Combination("w", ((XXXX, sp.S.One), ((("y", 4),), sp.S.One), ((("x", 2), ("y", 2)), sp.Integer(2))))


def test_a_factor_that_depends_on_the_point_stays_outside():
    (whole,), residual = operators_of((1 + x**2) * (w.diff(x, 2) + 3 * w.diff(y, 2)), 0)
    assert whole == Combination("w", ((XX, sp.S.One), (YY, sp.Integer(3)))) and residual.has(placeholder("x"))


def test_parameters_may_be_weights_and_may_be_zero():
    (whole,), residual = operators_of(a * w.diff(x, 2) + b * w.diff(y, 2), 0)
    assert dict(whole.parts) == {XX: a, YY: b} and residual == placeholder("w_xx+w_yy")


def test_even_inside_a_function():
    (whole,), _ = operators_of(sp.exp(sci.laplacian(w)), 1)
    assert isinstance(whole, Combination)


@pytest.mark.parametrize(
    "sides",
    [
        (x * w.diff(x, 2) + y * w.diff(y, 2), 0),
        (sci.laplacian(w) + w.diff(x, 2) ** 2, 0),
        (sci.laplacian(w) + w.diff(x, 3), 0),
        (w.diff(x, 2) * w.diff(y, 2) - w.diff(x, y) ** 2, 1),
        (w.diff(x) + w.diff(y), 0),
    ],
    ids=["weights of the point", "needed alone", "on the way to a higher one", "Monge-Ampere", "first order"],
)
def test_what_is_not_carried_as_one(sides):
    found, _ = operators_of(*sides)
    assert all(isinstance(o, Partial) for o in found)


def test_affine_in_an_operator():
    form = pointwise(sci.System([sci.eq(w.diff(t) + w * w.diff(x) ** 2, sci.laplacian(w) * sp.exp(w))]), check=False)
    answers = {key: linear_in(form.terms[0], key) for key in form.terms[0].operators}
    assert answers == {"w_t": True, "w": False, "w_x": False, "w_xx+w_yy": True}


def test_affine_after_simplifying():
    form = pointwise(sci.System([sci.eq((w.diff(t) + 1) ** 2 - w.diff(t) ** 2, 0)]), check=False)
    assert linear_in(form.terms[0], "w_t")


def test_a_network_of_the_field_is_not_affine():
    g = sci.neural("g", lambda z: z[0])
    form = pointwise(sci.System([sci.eq(u.diff(t), g(u, x) * u.diff(x) + sp.Abs(u.diff(x, 2)))]), check=False)
    assert {key: linear_in(form.terms[0], key) for key in form.terms[0].operators} == {"u": False, "u_t": True, "u_x": True, "u_xx": False}


# -- coefficients, networks, data --------------------------------------------------------------------


def test_a_coefficient_field_is_a_function_of_its_own():
    k = sci.parameters("k", over=x)
    system = sci.System([sci.eq(sci.D(k * u.diff(x), x), u.diff(t))], initial={u: 0}, boundary=problems.closed([u], sides=(x,)))
    form = pointwise(system, fields=("k",))
    assert form.functions == ("u", "k") and form.depends["k"] == ("x",)
    k_x, k_, u_x, u_xx, u_t = (placeholder(n) for n in ("k_x", "k", "u_x", "u_xx", "u_t"))
    assert form.terms[0].residual == k_x * u_x + k_ * u_xx - u_t


def test_a_coefficient_that_is_a_number_has_no_slope():
    k = sci.parameters("k", 2.0, over=x)
    form = pointwise(sci.System([sci.eq(sci.D(k * u.diff(x), x), 0)]), check=False)
    assert form.terms[0].residual == k.func(placeholder("x")) * placeholder("u_xx")


def test_a_network_of_coordinates_is_differentiated_as_an_operator():
    g = sci.neural("g", lambda z: z[0])
    form = pointwise(sci.System([sci.eq(sci.D(g(x) * u, x), 0)]), check=False)
    assert form.operators["g_x"] == Partial("g", (("x", 1),)) and "g" not in form.functions
    assert form.terms[0].residual == g(placeholder("x")) * placeholder("u_x") + placeholder("g_x") * placeholder("u")


def test_data_tables_and_networks_stay_as_declared():
    F = sci.data("F", np.linspace(0, 1, 5), np.ones(5))
    table, g = sci.table("k", np.linspace(0, 1, 5), np.ones(5)), sci.neural("g", lambda z: z[0])
    form = pointwise(sci.System([sci.eq(u.diff(t), F * table(x) + g(u, x))]), check=False)
    t_, x_, u_ = (placeholder(n) for n in ("t", "x", "u"))
    assert form.terms[0].residual == placeholder("u_t") - F.func(t_) * table(x_) - g(u_, x_)


def test_complex_fields_are_two_real_functions():
    form = pointwise(problems.schroedinger().system)
    assert form.functions == ("h_re", "h_im")
    assert sorted(term.name for term in form.terms) == ["h_im'", "h_re'", "initial h_im", "initial h_re"]


# -- expressions for the solution --------------------------------------------------------------------


def test_an_expression_of_the_solution():
    form = pointwise(problems.burgers().system)
    value, operators = of_point(form, x * u.diff(x, 3) + u)
    assert value == placeholder("x") * placeholder("u_xxx") + placeholder("u") and set(operators) == {"u_xxx", "u"}
    assert of_point(form, "u")[0] == placeholder("u")


def test_a_complex_field_of_the_solution():
    form = pointwise(problems.schroedinger().system)
    h = sci.fields("h", t, p, real=False)
    value, _ = of_point(form, sp.Abs(h) ** 2)
    assert value.subs({placeholder("h_re"): 3, placeholder("h_im"): 4}) == 25


def test_units_are_factors():
    s = sci.space("s", 0, 1, unit="mm", periodic=True)
    q = sci.fields("q", t, s, unit="K")
    k = sci.parameters("k", 1.0, unit="m**2/s")
    form = pointwise(sci.System([sci.eq(q.diff(t), k * q.diff(s, 2))], initial={q: 0}, units={t: "s"}))
    assert form.terms[0].residual.coeff(placeholder("q_ss")) == -1_000_000 * k
