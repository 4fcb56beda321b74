"""Conditions that are built in hold exactly, whatever function the network is."""

import pytest
import sympy as sp
from hypothesis import given
from hypothesis import strategies as st

import sciml as sci
from sciml.errors import ModelError
from sciml.passes import of_point, placeholder, pointwise

from . import problems
from .problems import by_hand, put_in, same, t, x, y

u, w = sci.fields("u", t, x), sci.fields("w", t, x, y)
q = sci.fields("q", x, y)
START, END = placeholder("t0"), placeholder("t1")
heat = sci.eq(u.diff(t), u.diff(x, 2))
heat2 = sci.eq(w.diff(t), sci.laplacian(w))
low, high = -1, 1


def built(*equations, span=None, wanted="auto", check=False, **options):
    return pointwise(sci.System(list(equations), **options), built_in=wanted, check=check, span=span)


def whole(form, field, v):
    """g + a v in declared symbols."""
    g, a = form.ansatz[field.declaration.name]
    return g + a * v


# -- which ones are ------------------------------------------------------------------------------------


def names(form):
    return [text.partition(":")[0] for text in form.built_in], [term.name for term in form.terms]


def test_burgers_keeps_its_equation_only():
    form = pointwise(problems.burgers().system, built_in="auto")
    assert names(form) == (["u at x.left", "u at x.right", "initial u"], ["u'"])
    value, t_, x_ = form.unknowns["u"], placeholder("t"), placeholder("x")
    assert value == -sp.sin(sp.pi * x_) + (1 - x_) * (1 + x_) * (t_ - START) / (END - START) * placeholder("u") or same(
        value, -sp.sin(sp.pi * x_) + (1 - x_) * (1 + x_) * (t_ - START) / (END - START) * placeholder("u")
    )


def test_slopes_stay_in_the_loss():
    form = pointwise(problems.heat().system, built_in="auto")
    assert "u_x at x.right" in names(form)[1] and "u at y.left" in names(form)[1]


def test_by_name():
    form = pointwise(problems.burgers().system, built_in=("initial u",))
    assert names(form) == (["initial u"], ["u'", "u at x.left", "u at x.right"])


def test_none_by_default():
    assert pointwise(problems.burgers().system).ansatz == {}


def test_data_that_disagree_at_a_corner():
    form = built(heat, initial={u: 1}, boundary=problems.closed([u], sides=(x,)))
    assert names(form) == (["initial u"], ["u'", "u at x.left", "u at x.right"])


def test_one_side_that_agrees():
    form = built(heat, initial={u: x}, boundary={x.left: sci.eq(u, -1), x.right: sci.eq(u, 0)})
    assert names(form)[0] == ["u at x.left", "initial u"]


def test_numbers_of_the_time_decide():
    options = dict(initial={u: 0}, boundary={x.left: sci.eq(u, sp.sin(t)), x.right: sci.eq(u, 0)})
    assert names(built(heat, **options))[0] == ["u at x.right", "initial u"]
    assert names(built(heat, span=(0, 1), **options))[0] == ["u at x.left", "u at x.right", "initial u"]


def test_a_start_that_does_not_join_smoothly_stays_in_the_loss():
    form = pointwise(_corner(), built_in="auto")
    assert form.ansatz == {} and names(form)[1] == ["u'", "initial u"]
    assert pointwise(problems.korteweg_de_vries().system, built_in="auto").ansatz["u"][0] == sp.cos(sp.pi * problems.p)


def _corner():
    """A start with a corner where p begins again, and waves, which keep it."""
    return problems.korteweg_de_vries().system.replace(initial={sci.fields("u", t, problems.p): problems.p**2 * sp.cos(sp.pi * problems.p)})


def test_expressions_of_the_solution_know():
    form = pointwise(problems.burgers().system, built_in="auto")
    v = sp.sin(t + x)
    value, operators = of_point(form, u.diff(x))
    assert same(put_in(form, value, {u: v}, operators), whole(form, u, v).diff(x))


# -- they hold --------------------------------------------------------------------------------------------

rates = dict(initial={u: sp.sin(sp.pi * x), "u'": 1 - x**2})
corner = {x.left: sci.eq(w, y), x.right: sci.eq(w, y**2), y.left: sci.eq(w, 0), y.right: sci.eq(2 * w, 3 + x)}
CASES = {
    "heat": lambda: (built(heat, initial={u: x}, boundary={x.left: sci.eq(u, -1), x.right: sci.eq(3 * u, 3)}), u),
    "wave": lambda: (built(sci.eq(u.diff(t, 2), u.diff(x, 2)), boundary=problems.closed([u], sides=(x,)), **rates), u),
    "moving ends": lambda: (built(heat, span=(0, 2), initial={u: x}, boundary={x.left: sci.eq(u, sp.cos(t) - 2), x.right: sci.eq(u, sp.exp(t))}), u),
    "four sides": lambda: (built(heat2, boundary={**corner, y.right: sci.eq(2 * w, 6 + 2 * x), x.left: sci.eq(w, y), x.right: sci.eq(w, y**2)}), w),
    "start and four sides": lambda: (
        built(
            heat2,
            span=(0, 1),
            initial={w: x**2 * y},
            boundary={x.left: sci.eq(w, y + t), x.right: sci.eq(w, y - t * y), y.left: sci.eq(w, t * (1 - x) / 2)},
        ),
        w,
    ),
    "disc": lambda: _disc(),
    "disc in time": lambda: _disc_in_time(),
    "ends": lambda: (built(sci.eq(u.diff(t), -u.diff(x, 2)), final={u: sp.cos(x)}), u),
    "start and end": lambda: (built(sci.eq(u.diff(t, 2), -u.diff(x, 2)), initial={u: sp.sin(x)}, final={u: sp.cos(x)}), u),
    "one side": lambda: (built(sci.eq(u.diff(t), -u.diff(x)), initial={u: sp.exp(-1 - x)}, boundary={x.left: sci.eq(u, 1)}), u),
}
r, s = sci.space("r", -1, 1), sci.space("s", -1, 1)
disc = getattr(sci, "ball", lambda *_, **__: None)((r, s), center=(0.25, 0), radius=0.5)


def _disc():
    z = sci.fields("z", r, s)
    return built(sci.eq(sci.laplacian(z), 1), domain=disc, boundary={disc.surface: sci.eq(z, r * s)}), z


def _disc_in_time():
    z = sci.fields("z", t, r, s)
    begun = (r - sp.Rational(1, 4)) ** 2 + s**2
    return built(
        sci.eq(z.diff(t), sci.laplacian(z)), domain=disc, span=(0, 1), initial={z: begun}, boundary={disc.surface: sci.eq(4 * z, 1 + r * t)}
    ), z


def conditions(form, field):
    """(the condition's left side minus right side, where) for each condition that is built in."""
    system = form.system
    for key, listed in system.boundary.items():
        for e in listed:
            yield e.residual, key
    for kind, values in (("initial", system.initial), ("final", getattr(system, "final", {}))):
        for name, value in values.items():
            order = len(name) - len(name.rstrip("'"))
            yield (field.diff((t, order)) if order else field) - value, kind


@given(st.lists(st.integers(-3, 3), min_size=4, max_size=4))
@pytest.mark.parametrize("case", CASES, ids=lambda c: c.replace(" ", "-"))
def test_they_hold(case, numbers):
    form, field = _once(case)
    v = sum(n * f for n, f in zip(numbers, (1, sp.sin(t + 2), sp.cos(sum(field.args)), field.args[-1] * field.args[0]), strict=True))
    count = 0
    for residual, where in conditions(form, field):
        value = by_hand(residual, {field: whole(form, field, v)})
        assert _vanishes(value, where), where
        count += 1
    assert count == len(form.built_in) and all(term.kind == "equation" for term in form.terms)


_memo = {}


def _once(case):
    if case not in _memo:
        _memo[case] = CASES[case]()
    return _memo[case]


def _vanishes(value, where):
    if where in ("initial", "final"):
        points = [{t: START if where == "initial" else END}]
    elif where.rpartition(".")[2] in ("left", "right"):
        name, _, end = where.rpartition(".")
        axis = {"x": x, "y": y}[name]
        points = [{axis: axis.declaration.payload["low" if end == "left" else "high"]}]
    else:
        points = [{r: sp.Rational(1, 4) + sp.cos(angle) / 2, s: sp.sin(angle) / 2} for angle in (0.3, 2.2, 5.0)]
    # the times themselves are symbols or were given
    numbers = {START: sp.Rational(1, 3), END: sp.Rational(7, 3), t: sp.Rational(6, 5), x: 0.3, y: 0.7, r: 0.1, s: 0.2}
    spans = [numbers, {**numbers, START: 0, END: 1}, {**numbers, START: 0, END: 2}]
    return any(all(abs(complex(value.subs(point).subs(n).evalf())) < 1e-9 for point in points) for n in spans)


@pytest.mark.parametrize("make", [problems.burgers, problems.wave, problems.cavity, problems.plate], ids=lambda m: m.__name__)
def test_residuals_by_the_product_rule(make):
    problem = make()
    form = pointwise(problem.system, built_in="auto")
    exact = {f: whole(form, f, v) if f.declaration.name in form.ansatz else v for f, v in problem.formulas.items()}
    assert form.built_in
    for term, e in zip(form.terms, problem.system.equations, strict=False):
        if not term.place.fixed:
            assert same(by_hand(e.residual, exact), put_in(form, term.residual, problem.formulas)), term.name


def test_a_laplacian_is_still_carried_as_one():
    form = built(sci.eq(sci.laplacian(q), 1), boundary=problems.closed([q]))
    assert set(form.terms[0].operators) == {"q_xx+q_yy", "q_x", "q_y", "q"}


# -- beginning where an earlier solution ended -----------------------------------------------------------------

before, rate = sci.parameters("before", over=x), sci.parameters("rate", over=x)
string = sci.eq(u.diff(t, 2), u.diff(x, 2))
MOVING = {x.left: sci.eq(u, sp.sin(t)), x.right: sci.eq(u, 0)}


def test_an_earlier_solution_is_built_in_with_the_sides():
    system = sci.System([string], initial={u: before, "u'": rate}, boundary=MOVING)
    form = pointwise(system, built_in="auto", fields=("before", "rate"), agree=("before", "rate"))
    assert form.functions == ("u", "before", "rate") and [term.kind for term in form.terms] == ["equation"]
    # functions that do agree at the sides, at the start
    cosine, sine = sp.cos(START), sp.sin(START)
    known = {before: sine * (1 - x) / 2 + (1 - x**2) * sp.exp(x), rate: cosine * (1 - x) / 2 + (1 - x**2) * sp.sin(x)}
    whole_ = form.ansatz["u"][0].xreplace(known) + form.ansatz["u"][1] * sp.cos(t + 2 * x)
    assert same(whole_.subs(x, -1), sp.sin(t)) and same(whole_.subs(x, 1), 0)
    assert same(whole_.subs(t, START), known[before]) and same(whole_.diff(t).subs(t, START), known[rate])
    v = sp.sin(t) * x**3
    values = {u: v, **known}
    expected = by_hand(string.residual, {u: form.ansatz["u"][0].xreplace(known) + form.ansatz["u"][1] * v})
    assert same(expected, put_in(form, form.terms[0].residual, values))


def test_an_unknown_start_does_not_know_the_sides():
    system = sci.System([heat], initial={u: before}, boundary={x.left: sci.eq(u, 0), x.right: sci.eq(u, 0)})
    form = pointwise(system, built_in="auto", fields=("before",))
    assert names(form) == (["initial u"], ["u'", "u at x.left", "u at x.right"])
    assert form.unknowns["u"].has(placeholder("before"))


def test_on_a_surface():
    z, begun = sci.fields("z", t, r, s), sci.parameters("begun", over=(r, s))
    system = sci.System([sci.eq(z.diff(t), sci.laplacian(z))], domain=disc, initial={z: begun}, boundary={disc.surface: sci.eq(z, t * r)})
    form = pointwise(system, built_in="auto", fields=("begun",), agree=("begun",))
    assert len(form.built_in) == 2 and form.ansatz["z"][0].expand() == (begun + r * t - r * START).expand()


# -- messages ---------------------------------------------------------------------------------------------

MESSAGES = {
    "no such condition": (lambda: pointwise(problems.burgers().system, built_in=("initial v",)), "Did you mean 'initial u'?"),
    "a text": (lambda: pointwise(problems.burgers().system, built_in="initial u"), 'write "auto", or a tuple of names of conditions'),
    "a slope": (
        lambda: pointwise(problems.heat().system, built_in=("u_x at x.right",)),
        "cannot be built in: it holds a derivative. Leave it to the loss",
    ),
    "corners": (
        lambda: built(heat, initial={u: 1}, boundary=problems.closed([u], sides=(x,)), wanted=("initial u", "u at x.left")),
        "'u at x.left' cannot be built in: its values disagree with those of other conditions",
    ),
    "a table": (
        lambda: built(heat, initial={u: sci.table("c", [-1.0, 1.0], [0.0, 1.0])(x)}, wanted=("initial u",)),
        "its value holds a function without a formula",
    ),
    "a seam": (
        lambda: pointwise(_corner(), built_in=("initial u",)),
        "'p' is periodic, and the value or a derivative of it jumps between its ends",
    ),
    "nonlinear": (lambda: built(heat, boundary={x.left: sci.eq(u**2, 1)}, wanted=("u at x.left",)), "it does not say what 'u' is there"),
}


@pytest.mark.parametrize("case", MESSAGES, ids=lambda c: c.replace(" ", "-"))
def test_message(case):
    run, words = MESSAGES[case]
    with pytest.raises(ModelError) as caught:
        run()
    assert words in str(caught.value), str(caught.value)
