"""`sci.manufacture`: sources, conditions and initial values by SymPy, and what it refuses."""

import pytest
import sympy as sp

import sciml as sci
from sciml.errors import CompileError, ModelError, NameUnknown

t = sci.t
x, p = sci.space("x", 0, 1), sci.space("p", 0, 2 * sp.pi, periodic=True)
u, w = sci.fields("u", t, x), sci.fields("w", t, p)
q, a = sci.variables("q"), sci.parameters("a", 2.0)
heat = sci.System([sci.eq(u.diff(t), u.diff(x, 2))], boundary={x.left: sci.eq(u, 0), x.right: sci.eq(u.diff(x), 0)})


def source(made, given=heat, i=0):
    return sp.simplify(made.equations[i].residual - given.equations[i].residual)


def test_sources_conditions_and_initial_values():
    made = sci.manufacture(heat, {u: t * sp.sin(x)})
    assert sp.simplify(source(made) + sp.sin(x) + t * sp.sin(x)) == 0
    assert made.boundary["x.left"] == (sci.eq(u, 0),)
    assert made.boundary["x.right"] == (sci.eq(u.diff(x), t * sp.cos(1)),)
    assert made.initial == {"u": 0.0}
    assert heat.boundary["x.right"] == (sci.eq(u.diff(x), 0),)  # the System given stays


def test_a_solution_needs_no_source():
    made = sci.manufacture(heat, {"u": sp.exp(-a * t) * sp.sin(sp.sqrt(a) * x)})
    assert made.equations == heat.equations
    assert made.initial["u"] == sp.sin(sp.sqrt(a) * x)


def test_rates_for_second_order():
    made = sci.manufacture(sci.System([sci.eq(w.diff(t, 2), w.diff(p, 2))]), {w: sp.sin(p - t)})
    assert made.initial == {"w": sp.sin(p), "w'": -sp.cos(p)}


def test_fluxes_places_and_integrals():
    c = sci.parameters("c", 1 + x, over=x)
    system = sci.System([sci.eq(u.diff(t), sci.D(c * u.diff(x), x) + q), sci.eq(q.diff(t), sci.integral(u, x) - sci.at(u, x, 0.5))])
    made = sci.manufacture(system, {u: x**2 * sp.exp(-t), q: t})
    assert sp.simplify(source(made, system) - (x**2 + 4 * x + 2) * sp.exp(-t) - t) == 0
    assert sp.simplify(source(made, system, 1) + 1 - (sp.Rational(1, 3) - sp.Rational(1, 4)) * sp.exp(-t)) in (0, 2)
    running = sci.System([sci.eq(u.diff(t), sci.integral(u, x, to=x))])
    assert sp.simplify(source(sci.manufacture(running, {u: t * x}), running) + x - t * x**2 / 2) == 0


def test_stationary_and_fields_without_a_rate_have_no_initial_value():
    U = sci.fields("U", x)
    made = sci.manufacture(sci.System([sci.eq(U.diff(x, 2), U**2)], boundary={x.left: sci.eq(U, 0)}), {U: sp.cos(x)})
    assert made.initial == {} and made.boundary["x.left"] == (sci.eq(U, 1),)


def test_complex_fields():
    psi = sci.fields("psi", t, p, real=False)
    system = sci.System([sci.eq(sp.I * psi.diff(t), -psi.diff(p, 2))])
    assert sci.manufacture(system, {psi: sp.exp(sp.I * (p - t))}).equations == system.equations


def test_an_interface():
    x2 = sci.space("x2", 1, 2)
    v = sci.fields("v", t, x2)
    system = sci.System(
        [sci.eq(u.diff(t), u.diff(x, 2)), sci.eq(v.diff(t), v.diff(x2, 2))], boundary={x.right: sci.eq(u, v), x2.left: sci.eq(u.diff(x), v.diff(x2))}
    )
    made = sci.manufacture(system, {u: t * x, v: t + x2})
    assert made.boundary["x.right"] == (sci.eq(u, v - 1),)
    assert made.boundary["x2.left"] == (sci.eq(u.diff(x), v.diff(x2) + t - 1),)


@pytest.mark.parametrize(
    "make, error, said",
    [
        (lambda: sci.manufacture(3, {}), ModelError, "takes a System, not int"),
        (lambda: sci.manufacture(heat, sp.sin(x)), ModelError, "is a dict"),
        (lambda: sci.manufacture(heat, {}), ModelError, "'u' has none"),
        (lambda: sci.manufacture(heat, {u: x, "v": x}), NameUnknown, "no unknown 'v'"),
        (lambda: sci.manufacture(heat, {u: sp.Symbol("x")}), ModelError, "prints like the symbol that was declared as 'x'"),
        (lambda: sci.manufacture(heat, {u: sp.Symbol("t") * x}), ModelError, "not declared"),
        (lambda: sci.manufacture(heat, {u: p}), ModelError, "depends on p, and 'u' does not"),
        (lambda: sci.manufacture(heat, {u: u.diff(x)}), ModelError, "holds the unknown 'u'"),
        (lambda: sci.manufacture(heat, {u: "sin(x)"}), ModelError, "give an expression"),
        (lambda: sci.manufacture(heat, {u: x / t}), ModelError, "At t = 0 the solution for 'u' has no value"),
        (lambda: sci.manufacture(sci.System([sci.eq(w.diff(t), w.diff(p))]), {w: p}), ModelError, "'p' is periodic"),
        (lambda: sci.manufacture(sci.System([sci.eq(w.diff(t), sci.white_noise("xi", over=p))]), {w: sp.sin(p)}), CompileError, "white noise 'xi'"),
        (lambda: sci.manufacture(sci.discretize(heat, {x: sci.FiniteDifference(16)}), {u: x}), ModelError, "is discretised"),
    ],
)
def test_refused(make, error, said):
    with pytest.raises(error) as caught:
        make()
    assert said in str(caught.value)
