"""What a network cannot solve, and what is missing, is said by name, with the cure."""

import numpy as np
import pytest
import sympy as sp

import sciml as sci
from sciml.errors import CompileError, ModelError, NameUnknown
from sciml.passes import of_point, pointwise

t = sci.t
x, y, p = sci.space("x", 0, 1), sci.space("y", 0, 1), sci.space("p", 0, 1, periodic=True)
line = sci.space("line", -sp.oo, sp.oo)
u, v = sci.fields("u v", t, x)
w, q, h = sci.fields("w", t, p), sci.fields("q", x, y), sci.fields("h", t, line)
ends = {x.left: sci.eq(u, 0), x.right: sci.eq(u, 0)}
heat = sci.eq(u.diff(t), u.diff(x, 2))
far = sci.space("far", 5, 6)
away = sci.fields("away", far)
k = sci.parameters("k", over=x)


def form(*equations, initial=None, boundary=None, **options):
    return pointwise(sci.System(list(equations), initial=initial, boundary=boundary), **options)


def started(*equations, **options):
    return form(*equations, initial={u: 0}, **options)


CASES = {
    "no initial value": (lambda: form(heat, boundary=ends), "'u' has an equation of first order in t and no condition in time"),
    "its cure": (lambda: form(heat, boundary=ends), "initial={u: 0} (or final={u: ...})"),
    "no initial rate": (
        lambda: started(sci.eq(u.diff(t, 2), u.diff(x, 2)), boundary=ends),
        """'u' has an equation of second order in t and only 1 condition in time. Add its value at the start, such as initial={"u'": 0}""",
    ),
    "no condition at a side": (lambda: started(heat, boundary={x.left: sci.eq(u, 0)}), "of second order in x and no condition at x.right"),
    "its cure at a side": (lambda: started(heat, boundary={x.left: sci.eq(u, 0)}), "boundary={x.right: sci.eq(u, 0)}"),
    "data instead": (lambda: started(heat), "or give data instead, with check=False"),
    "a beam": (lambda: started(sci.eq(u.diff(t), -u.diff(x, 4)), boundary=ends), "of fourth order in x and only 1 condition at x.left"),
    "transport": (lambda: started(sci.eq(u.diff(t), -u.diff(x))), "of first order in x and no condition at x.left"),
    "third order": (lambda: started(sci.eq(u.diff(t), u.diff(x, 3)), boundary=ends), "of third order in x and only 1 condition at x.left"),
    "stationary": (lambda: form(sci.eq(sci.laplacian(q), 1), boundary={x.left: sci.eq(q, 0), x.right: sci.eq(q, 0)}), "no condition at y.left"),
    "a field too many": (lambda: started(sci.eq(u.diff(t), v), boundary=ends), "1 equation for the 2 fields u, v, and 'v'"),
    "white noise": (lambda: started(sci.eq(u.diff(t), u.diff(x, 2) + sci.white_noise("xi", over=x))), "holds the white noise 'xi'"),
    "an integral": (lambda: started(sci.eq(u.diff(t), sci.integral(u, x))), "holds the integral `Integral(u, (x, 0, 1))`"),
    "an unknown of time": (lambda: started(sci.eq(u.diff(t), sci.variables("z", initial=1.0))), "'z', an unknown of time alone"),
    "its own equation": (
        lambda: started(heat, sci.eq(sci.variables("z", initial=1.0).diff(t), 1), boundary=ends),
        "'z', an unknown of time alone",
    ),
    "a value elsewhere": (lambda: started(sci.eq(u.diff(t), sci.at(u, x.left))), "takes `u` at x = 0, away from the point"),
    "a number elsewhere": (lambda: started(sci.eq(u.diff(t), u.subs(x, 0.5))), "takes `u` at x = 0.5"),
    "a slope of a table": (
        lambda: started(sci.eq(u.diff(t), sci.D(sci.table("c", np.arange(3.0), np.ones(3))(x) * u, x)), check=False),
        "differentiates 'c(x)', a table without a formula. Keep it outside the derivative",
    ),
    "a slope of a coefficient": (
        lambda: started(sci.eq(u.diff(t), sci.D(k * u.diff(x), x)), check=False),
        "differentiates 'k', a parameter without a formula. Give it a formula, sci.parameters(\"k\", 1 + x**2, over=x), or let a network give it: "
        'fields=("k",).',
    ),
    "a slope of a network of the field": (
        lambda: started(sci.eq(u.diff(t), sci.D(sci.neural("g", lambda z: z[0])(u), x)), check=False),
        "differentiates 'g(u)', a neural without a formula",
    ),
    "a condition at another side": (
        lambda: form(heat, sci.eq(away.diff(far, 2), 0), initial={u: 0}, boundary={**ends, far.left: sci.eq(u, 0)}, check=False),
        "at far.left holds no field over far: it belongs to another side",
    ),
    "an array at the start": (
        lambda: form(heat, initial={u: np.ones(8)}, boundary=ends),
        "The initial value of 'u' is an array of shape (8,), and a network is asked between its points, too. Write a formula of",
    ),
    "a start without time": (
        lambda: form(sci.eq(sci.laplacian(q), 1), initial={q: 0}, check=False),
        "'q' has an initial value and does not depend on",
    ),
    "time without a field over it": (lambda: form(sci.eq(sci.laplacian(q), t), check=False), "depends on the time, and no field does"),
    "nothing left": (
        lambda: form(heat, sci.eq(sci.at(u, x, 0.5), sci.at(u, x, 0.5)), check=False),
        "Nothing",
    ),
    "no field": (lambda: form(sci.eq(sci.variables("z", initial=1.0).diff(t), 1)), "has no field. Declare one"),
    "not a System": (lambda: pointwise([heat]), "A network solves a System, not list"),
    "a grid": (
        lambda: pointwise(sci.discretize(sci.System([sci.eq(w.diff(t), w.diff(p, 2))], initial={w: 0}), {p: sci.Fourier(8)})),
        "is discretised, and a network needs no grid",
    ),
    "an unknown coefficient misspelt": (lambda: started(sci.eq(u.diff(t), k * u), fields=("kk",), check=False), "Did you mean 'k'?"),
    "an unknown name": (lambda: of_point(started(heat, boundary=ends), "v"), "has no 'v'"),
    "another field": (lambda: of_point(started(heat, boundary=ends), v.diff(x)), "has no field 'v'"),
    "elsewhere in the solution": (lambda: of_point(started(heat, boundary=ends), sci.at(u, x.left)), "takes `u` at x = 0"),
}


@pytest.mark.parametrize("case", CASES, ids=lambda c: c.replace(" ", "-"))
def test_message(case):
    run, words = CASES[case]
    with pytest.raises((ModelError, CompileError)) as caught:
        run()
    assert words in str(caught.value), str(caught.value)


def test_the_kind_of_error():
    with pytest.raises(NameUnknown):
        of_point(started(heat, boundary=ends), "v")


# -- what is enough ---------------------------------------------------------------------------------


def test_data_instead_of_conditions():
    assert len(started(heat, check=False).terms) == 2


def test_an_end_instead_of_a_start():
    pytest.importorskip("sciml.symbols.regions")
    system = sci.System([sci.eq(w.diff(t), -w.diff(p, 2))], final={w: sp.sin(2 * sp.pi * p)})
    form = pointwise(system)
    assert form.terms[1].kind == "final" and form.terms[1].place.fixed == (("t", "end"),) and form.terms[1].name == "final w"


def test_a_line_without_ends_needs_no_condition():
    assert len(form(sci.eq(h.diff(t), h.diff(line, 2)), initial={h: sp.exp(-(line**2))}).terms) == 2


def test_first_order_systems_share_conditions():
    waves = [sci.eq(u.diff(t), v.diff(x)), sci.eq(v.diff(t), u.diff(x))]
    assert len(form(*waves, initial={u: 0, v: 0}, boundary=ends).terms) == 6
    with pytest.raises(ModelError, match="no condition at x"):
        form(*waves, initial={u: 0, v: 0}, boundary={})


def test_intervals_that_meet():
    z = sci.space("z", 1, 2)
    r = sci.fields("r", t, z)
    system = sci.System(
        [heat, sci.eq(r.diff(t), r.diff(z, 2))],
        initial={u: 0, r: 0},
        boundary={x.left: sci.eq(u, 0), x.right: [sci.eq(u, r), sci.eq(u.diff(x), r.diff(z))], z.right: sci.eq(r, 0)},
    )
    form = pointwise(system)
    assert [term.place.fixed for term in form.terms if "x.right" in term.name] == [(("x", "right"), ("z", "left"))] * 2
    assert form.depends == {"u": ("t", "x"), "r": ("t", "z")}
