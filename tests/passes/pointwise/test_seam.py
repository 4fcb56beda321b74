"""A start whose slope jumps at the seam of a periodic coordinate is built in with the solution of the heat equation for its kink."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import sympy as sp

import sciml as sci
from sciml.codegen import Here, lower_pointwise
from sciml.errors import ModelError
from sciml.passes import placeholder, pointwise

from . import problems
from .problems import by_hand, p, put_in, same, t, y

u, w, both = sci.fields("u", t, p), sci.fields("w", t, p), sci.fields("both", t, p, y)
k, rho = sci.parameters("k rho", [0.02, 2.0])
START = p**2 * sp.cos(sp.pi * p)  # its slope is 2 at p = -1, and -2 at p = 1
SKEW = START + (p**2 - 1) * p / 4  # its second derivative jumps, too
heat = sci.eq(u.diff(t), u.diff(p, 2) / 50)


def made(*equations, span=(0, 1), initial=None, **options):
    return pointwise(sci.System(list(equations), initial=initial or {u: START}, **options), built_in="auto", check=False, span=span)


def g_of(form, field=u):
    return form.ansatz[field.declaration.name][0]


def number(e, **at):
    symbols = {"t": t, "p": p, "y": y, "k": k, "rho": rho, "t0": placeholder("t0"), "t1": placeholder("t1")}
    return float(sp.sympify(e).subs({symbols[n]: sp.Float(v, 30) for n, v in at.items()}).evalf(25))


def gap(e, **at):
    """Its value at the low end of p less that at the high end."""
    return number(e, p=-1, **at) - number(e, p=1, **at)


# -- g ----------------------------------------------------------------------------------------------------


def test_it_is_said():
    form = pointwise(problems.allen_cahn().system, built_in="auto")
    assert [term.name for term in form.terms] == ["u'"]
    assert form.built_in[0].startswith("initial u: ") and form.built_in[0].endswith(", its kink at the seam of p smoothed by diffusion")


@pytest.mark.parametrize("start", [START, SKEW], ids=["even", "skew"])
def test_heat_equation_of_the_kink(start):
    g = g_of(made(heat, initial={u: start}))
    left = g.diff(t) - (g - start).diff(p, 2) / 50
    for time in (0.05, 0.3, 1.0):
        for place in (-0.999, -0.8, 0.1, 0.7, 0.98):
            assert abs(number(left, t=time, p=place)) < 1e-10, (time, place)


def test_start():
    g, width = g_of(made(heat, span=(0.5, 2.5))), np.sqrt(2 / 50)
    for place in (-1 + 1e-3 * width, -0.5, 0.2, 1 - 1e-3 * width):
        assert abs(number(g - START, t=0.5, p=place)) < 1e-16
    assert 0 < number(g - START, t=0.5, p=1) < 4 * 6e-5 * width


@pytest.mark.parametrize("start", [START, SKEW], ids=["even", "skew"])
@pytest.mark.parametrize("rate", [1e-4, 0.02, 3.0])
def test_value_and_slope_at_the_seam(rate, start):
    assert abs(gap(start.diff(p)) - 4) < 1e-12
    g = g_of(made(sci.eq(u.diff(t), rate * u.diff(p, 2)), initial={u: start}))
    for time in (1e-4, 0.02, 0.4, 1.0):  # also where the kink has become wider than the interval
        assert abs(gap(g, t=time)) < 1e-12 and abs(gap(g.diff(p), t=time)) < 1e-10
        assert abs(gap(g.diff(p, 2), t=time) - gap(start.diff(p, 2))) < 1e-9


def test_against_a_series():
    """The heat equation from p^2 has the solution g + 2 D t, until the kink has become as wide as the interval."""
    rate = 0.001
    g = g_of(made(sci.eq(w.diff(t), u.diff(p)), sci.eq(u.diff(t), rate * u.diff(p, 2)), initial={u: p**2, w: 0}))
    for time, place in ((0.5, -1), (0.5, 0.99), (1.0, -0.95)):
        waves = sum((-1) ** n * 4 / (n * np.pi) ** 2 * np.cos(n * np.pi * place) * np.exp(-rate * (n * np.pi) ** 2 * time) for n in range(1, 300))
        assert abs(1 / 3 + waves - number(g, t=time, p=place) - 2 * rate * time) < 1e-9


# -- residuals --------------------------------------------------------------------------------------------

EQUATIONS = {
    "allen cahn": (sci.eq(u.diff(t), u.diff(p, 2) / 5 + 5 * u - 5 * u**3), sp.Rational(1, 5)),
    "written otherwise": (sci.eq(rho * u.diff(t) - sci.D(k * u.diff(p), p), u * u.diff(p) + sp.sin(p) * u), k / rho),
    "on the other side": (sci.eq(u.diff(p, 2) * k, u.diff(t) * 3 + u.diff(p) ** 2), k / 3),
}


@pytest.mark.parametrize("span", [(0, 1), (0.3, 1.7)], ids=["from-0", "later"])
@pytest.mark.parametrize("case", EQUATIONS, ids=lambda c: c.replace(" ", "-"))
def test_residuals(case, span):
    equation, rate = EQUATIONS[case]
    form = made(equation, span=span)
    g, a = form.ansatz["u"]
    numbers = {"k": 0.4, "rho": 1.3}
    left = g.diff(t) - sp.sympify(rate) * (g - START).diff(p, 2)
    assert abs(number(left, t=span[0] + 0.02, p=-0.97, **numbers)) < 1e-10
    v = sp.exp(t) * sp.sin(sp.pi * p + 1)
    assert len(form.terms) == 1 and same(by_hand(equation.residual, {u: g + a * v}), put_in(form, form.terms[0].residual, {u: v}))


def test_several_coordinates():
    """The jump depends on the other coordinate, and vanishes where a condition is built in there."""
    equation = sci.eq(both.diff(t), k * both.diff(p, 2) + both.diff(y, 2))
    sides = {y.left: sci.eq(both, 0), y.right: sci.eq(both, 0)}
    form = made(equation, initial={both: START * sp.sin(sp.pi * y / 2)}, boundary=sides)
    g, a = form.ansatz["both"]
    assert len(form.built_in) == 3 and [term.kind for term in form.terms] == ["equation"]
    assert abs(gap(g.diff(p), t=0.3, y=0.7, k=0.1)) < 1e-12 and abs(number(g, t=0.3, y=2, p=-1, k=0.1)) < 1e-12
    v = sp.exp(t) * sp.sin(sp.pi * p + y)
    assert same(by_hand(equation.residual, {both: g + a * v}), put_in(form, form.terms[0].residual, {both: v}))


def test_sides_that_do_not_fit_the_kink_stay_in_the_loss():
    sides = {y.left: sci.eq(both, START)}
    form = made(sci.eq(both.diff(t), both.diff(p, 2) + both.diff(y, 2)), initial={both: START}, boundary=sides)
    assert [c.partition(":")[0] for c in form.built_in] == ["initial both"]  # the value at the side has the kink at all times
    smooth = {y.left: sci.eq(both.diff(y), 0), y.right: sci.eq(both, sp.cos(sp.pi * p))}
    form = made(sci.eq(both.diff(t), both.diff(p, 2) + both.diff(y, 2)), initial={both: START}, boundary=smooth)
    assert [c.partition(":")[0] for c in form.built_in] == ["initial both"]  # it differs from the start where they meet


# -- numbers ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("span", [(0.0, 1.0), (0.3, 0.7), (1e3, 1e3 + 20)], ids=str)
@pytest.mark.parametrize("rate", [1e-6, 1e-4, 1.0])
def test_finite_everywhere(rate, span, dtype):
    """Values, gradients by the point and by D, also at the start and at the seam; times before the start by rounding."""
    form = made(sci.eq(u.diff(t), k * u.diff(p, 2) + 5 * u - 5 * u**3), span=span)
    lowered, expressions = lower_pointwise(form), [form.terms[0].residual, form.unknowns["u"]]

    def values(point, diffusion):
        operators = {key: jnp.asarray(0.7, dtype) for key in form.operators}
        return jnp.stack(lowered.evaluate(expressions, Here(point, operators, {"k": diffusion}, {}, span)))

    start = np.asarray(span[0], dtype)
    times = [np.nextafter(start, np.asarray(-1, dtype)), start, start + (span[1] - span[0]) * 1e-7, 0.5 * sum(span), span[1]]
    places = [-1, np.nextafter(np.float32(-1), np.float32(0)), -1 + 1e-4, -0.3, 0, 0.9, 1]
    points = jnp.asarray([(a, b) for a in times for b in places], dtype)
    diffusion = jnp.asarray(rate, dtype)
    for derived in (values, jax.jacfwd(values), jax.jacrev(values), jax.jacrev(values, argnums=1)):
        found = jax.jit(jax.vmap(derived, (0, None)))(points, diffusion)
        assert found.dtype == dtype and jnp.isfinite(found).all()


def test_fit():
    system = sci.System([sci.eq(u.diff(t), 1e-4 * u.diff(p, 2) + 5 * u - 5 * u**3)], initial={u: START})
    net = sci.pinn.fit(system, train=2, points=64, windows=2)
    place = np.array([-1.0, -0.4, 0.3, 1.0])
    assert np.allclose(net({"t": 0.0, "p": place})["u"], place**2 * np.cos(np.pi * place), atol=1e-5)
    later = net({"t": 0.8, "p": place})
    assert np.isfinite(later["u"]).all() and np.isclose(later["u"][0], later["u"][-1], atol=1e-5)


# -- refused as before ------------------------------------------------------------------------------------

other = sci.fields("other", t, p)
varying = sci.parameters("varying", 1 + sp.cos(sp.pi * p) / 2, over=p)
wrong, unset = sci.parameters("wrong", -1.0), sci.parameters("unset")
REFUSED = {
    "a wave": [sci.eq(u.diff(t, 2), u.diff(p, 2))],
    "damped waves": [sci.eq(u.diff(t, 2) + u.diff(t), u.diff(p, 2))],
    "no diffusion": [sci.eq(u.diff(t), u.diff(p))],
    "diffusion backwards": [sci.eq(u.diff(t), -u.diff(p, 2))],
    "a negative parameter": [sci.eq(u.diff(t), wrong * u.diff(p, 2))],
    "a formula of the point": [sci.eq(u.diff(t), varying * u.diff(p, 2))],
    "of the time": [sci.eq(u.diff(t), (1 + t) * u.diff(p, 2))],
    "of the unknown": [sci.eq(u.diff(t), (1 + u**2) * u.diff(p, 2))],
    "a factor of the rate": [sci.eq((1 + u**2) * u.diff(t), u.diff(p, 2))],
    "squared": [sci.eq(u.diff(t), u.diff(p, 2) ** 2)],
    "a higher order": [sci.eq(u.diff(t), u.diff(p, 2) - u.diff(p, 4))],
    "mixed": [sci.eq(u.diff(t) - u.diff(t, p, p), u.diff(p, 2))],
    "of another field": [sci.eq(u.diff(t), u.diff(p, 2) + other.diff(p, 2)), sci.eq(other.diff(t), other.diff(p, 2))],
    "in another equation": [sci.eq(u.diff(t), u.diff(p, 2)), sci.eq(other.diff(t), u.diff(p, 2))],
    "two rates": [sci.eq(u.diff(t), u.diff(p, 2)), sci.eq(other.diff(t), u.diff(t))],
}
SEAM = "'p' is periodic, and the value or a derivative of it jumps between its ends"


def refusal(equations, **options):
    with pytest.raises(ModelError) as caught:
        pointwise(sci.System(equations, **options), built_in=("initial u",), check=False, span=(0, 1))
    return str(caught.value)


@pytest.mark.parametrize("case", REFUSED, ids=lambda c: c.replace(" ", "-"))
def test_refused(case):
    assert SEAM in refusal(REFUSED[case], initial={u: START})


def test_other_jumps_are_refused():
    assert SEAM in refusal([heat], initial={u: p})  # of the value
    assert SEAM in refusal([heat], initial={u: p * (p**2 - 1)})  # of the second derivative alone
    assert SEAM in refusal([heat], initial={u: sp.Abs(p)})  # with a corner inside, too


def test_a_parameter_without_a_value_is_taken_for_positive():
    assert "smoothed" in made(sci.eq(u.diff(t), unset * u.diff(p, 2))).built_in[0]
