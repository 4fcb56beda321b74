"""Domains with a shape: conditions on surfaces as terms, normals, and what is missing there."""

import numpy as np
import pytest
import sympy as sp
from hypothesis import given, settings
from hypothesis import strategies as st

import sciml as sci
from sciml.errors import ModelError
from sciml.passes import Combination, linear_in, placeholder, pointwise
from sciml.passes.pointwise.shapes import point_on
from sciml.symbols import normal

from .problems import by_hand, p, put_in, same, t, x, y

u, w = sci.fields("u", x, y), sci.fields("w", t, x, y)
plate = sci.box((x, y), (-1, 0), (1, 2))
hole = sci.ball((x, y), center=(0.25, 1), radius=0.5)
corner = sci.polygon((x, y), [(-1, 0), (1, 0), (1, 1), (0, 1), (0, 2), (-1, 2)])
poisson = sci.eq(-sci.laplacian(u), 1)


def test_poisson_on_an_l_shape():
    form = pointwise(sci.System([poisson], domain=corner, boundary={corner.surface: sci.eq(u, 0)}))
    inside, edge = form.terms
    assert [type(form.operators[key]) for key in inside.operators] == [Combination]
    assert edge.place.surface == corner.surface and edge.place.fixed == () and edge.name == f"u at {corner.surface.name}"
    assert edge.residual == placeholder("u")


def test_a_plate_with_a_hole():
    system = sci.System([poisson], domain=plate - hole, boundary={plate.surface: sci.eq(u, 0), hole.surface: sci.eq(sci.normal_derivative(u) + u, x)})
    form = pointwise(system)
    n_x, n_y = normal(x), normal(y)
    u_, u_x, u_y, x_ = (placeholder(n) for n in ("u", "u_x", "u_y", "x"))
    assert sp.expand(form.terms[2].residual - (n_x * u_x + n_y * u_y + u_ - x_)) == 0
    assert form.terms[2].place.surface == hole.surface


def test_a_condition_on_the_whole_surface():
    domain = plate - hole
    assert len(pointwise(sci.System([poisson], domain=domain, boundary={domain.surface: sci.eq(u, 0)})).terms) == 2


# -- surfaces built in -----------------------------------------------------------------------------------------


def built(domain, *equations, wanted="auto", **options):
    return pointwise(sci.System(list(equations) or [poisson], domain=domain, **options), built_in=wanted, check=False)


holes = sci.ball((x, y), (-0.5, 0.5), 0.25) | sci.ball((x, y), (0.5, 1.25), 0.25)
triangle = sci.polygon((x, y), [(-1, 0), (1, 0), (0, 2)])
SHAPES = {
    "box": (plate, {plate: x + y}),
    "ball": (hole, {hole: sp.sin(x)}),
    "triangle": (triangle, {triangle: 2}),
    "plate with a hole": (plate - hole, {plate: 1, hole: 0}),
    "one value on all": (plate - hole, {plate - hole: x}),
    "plate with holes": (plate - holes, {plate: 1, holes: x * y}),
    "hole by hole": (plate - holes, {plate: 1, holes.a: x, holes.b: y}),
    "ring": (sci.ball((x, y), (0, 1), 1) - sci.ball((x, y), (0.25, 1), 0.5), None),
    "lens": (sci.ball((x, y), (-0.25, 1), 0.5) & sci.ball((x, y), (0.25, 1), 0.5), None),
    "triangle with a hole": (triangle - sci.ball((x, y), (0, 0.75), 0.25), None),
}


def surfaces(case):
    domain, values = SHAPES[case]
    if values is None:
        values = {p: 1 for p in domain.parts()} if case == "lens" else {p: k for k, p in enumerate(domain.parts())}
    return domain, values


@pytest.mark.parametrize("case", SHAPES, ids=lambda c: c.replace(" ", "-"))
def test_values_on_surfaces_are_built_in(case):
    domain, values = surfaces(case)
    form = built(domain, boundary={region.surface: sci.eq(3 * u, 3 * value) for region, value in values.items()})
    assert [term.kind for term in form.terms] == ["equation"] and len(form.built_in) == len(values)
    g, a = form.ansatz["u"]
    rng = np.random.default_rng(1)
    for region, value in values.items():
        for part in region.parts():
            for _ in range(5):
                here = point_on(part, rng)
                if inside(domain, here, 1e-9):  # the part of the surface that bounds the domain
                    assert abs(float((g - value).subs(here))) < 1e-12 and abs(float(a.subs(here))) < 1e-12
    low, high = zip(*domain.bounds, strict=True)
    points = [dict(zip((x, y), map(sp.Float, rng.uniform(low, high)), strict=True)) for _ in range(60)]
    assert all(float(a.subs(q)) > 0 for q in points if inside(domain, q, -1e-9))


def inside(region, point, slack):
    """Whether a point is in a region, written here once more, by its definition."""
    match region:
        case sci.symbols.Difference():
            return inside(region.a, point, slack) and not inside(region.b, point, -slack)
        case sci.symbols.Intersection():
            return inside(region.a, point, slack) and inside(region.b, point, slack)
        case sci.symbols.Union():
            return inside(region.a, point, slack) or inside(region.b, point, slack)
    q = np.array([float(point[c]) for c in region.coordinates])
    match region:
        case sci.symbols.Ball():
            return np.linalg.norm(q - region.center) <= region.radius + slack
        case sci.symbols.Box():
            return bool(np.all(q >= np.array(region.low) - slack) and np.all(q <= np.array(region.high) + slack))
    corners = np.array(region.vertices)
    edges = np.roll(corners, -1, axis=0) - corners
    return bool(np.all(edges[:, 0] * (q - corners)[:, 1] - edges[:, 1] * (q - corners)[:, 0] >= -slack))


def test_the_residual_with_surfaces_built_in():
    e = sci.eq(u.diff(x) + y * u.diff(y), u**2)
    form = built(plate - hole, e, boundary={plate.surface: sci.eq(u, 1), hole.surface: sci.eq(u, x)})
    v = sp.sin(x + 2 * y)
    g, a = form.ansatz["u"]
    assert same(by_hand(e.residual, {u: g + a * v}), put_in(form, form.terms[0].residual, {u: v}))


def test_a_slope_on_a_hole_stays_in_the_loss():
    form = built(plate - hole, boundary={plate.surface: sci.eq(u, 1), hole.surface: sci.eq(sci.normal_derivative(u), 0)})
    assert len(form.terms) == 2 and form.ansatz["u"][0] == 1


def test_surfaces_in_time():
    heat = sci.eq(w.diff(t), sci.laplacian(w))
    form = built(plate - hole, heat, initial={w: 0}, boundary={plate.surface: sci.eq(w, 0), hole.surface: sci.eq(w, t)})
    assert len(form.built_in) == 2  # the start, and the surface that agrees with it for any start of time
    system = form.system
    assert len(pointwise(system, built_in="auto", check=False, span=(0, 1)).built_in) == 3


NOT_BUILT_IN = {
    "not convex": (corner, {corner: 0}, "no formula here is 0 on its surface alone"),
    "a union": (plate | hole, {plate | hole: 0}, "no formula here is 0"),
    "outside a box": (hole - sci.box((x, y), (0.25, 1), (1, 2)), {hole: 0}, "no formula here is 0"),
    "surfaces that meet": (plate - sci.ball((x, y), (1, 1), 0.5), {plate: 0, sci.ball((x, y), (1, 1), 0.5): 1}, "its values disagree"),
}


@pytest.mark.parametrize("case", NOT_BUILT_IN, ids=lambda c: c.replace(" ", "-"))
def test_what_stays_in_the_loss(case):
    domain, values, words = NOT_BUILT_IN[case]
    conditions = {region.surface: sci.eq(u, value) for region, value in values.items()}
    assert len(built(domain, boundary=conditions).built_in) < len(values)
    with pytest.raises(ModelError) as caught:
        built(domain, boundary=conditions, wanted=tuple(f"u at {region.surface.name}" for region in values))
    assert words in str(caught.value), str(caught.value)


def test_a_start_is_built_in_whatever_the_domain():
    system = sci.System([sci.eq(w.diff(t), sci.laplacian(w))], domain=corner, initial={w: x * y}, boundary={corner.surface: sci.eq(w, 0)})
    form = pointwise(system, built_in="auto")
    assert [term.name for term in form.terms] == ["w'", f"w at {corner.surface.name}"]
    assert form.ansatz["w"][0] == x * y


def test_normals_at_sides():
    system = sci.System([sci.eq(w.diff(t), sci.laplacian(w))], initial={w: 0}, boundary={s: sci.eq(sci.normal_derivative(w), 0) for s in _sides()})
    names = {term.place.fixed: term.residual for term in pointwise(system).terms if term.kind == "boundary"}
    assert names[("x", "left"),] == -placeholder("w_x") and names[("y", "right"),] == placeholder("w_y")


def _sides():
    return (x.left, x.right, y.left, y.right)


CASES = {
    "nothing on the surface": (lambda: sci.System([poisson], domain=corner), "'u' has no condition on the sides of the polygon"),
    "nothing on the hole": (
        lambda: sci.System([poisson], domain=plate - hole, boundary={plate.surface: sci.eq(u, 0)}),
        "'u' has no condition on the circle of radius 0.5 around (0.25, 1), where 1 is needed. Add one",
    ),
    "two for a plate": (
        lambda: sci.System([sci.eq(sci.laplacian(sci.laplacian(u)), 1)], domain=hole, boundary={hole.surface: sci.eq(u, 0)}),
        "'u' has only 1 condition on the circle of radius 0.5 around (0.25, 1), where 2 are needed",
    ),
}


@pytest.mark.parametrize("case", CASES, ids=lambda c: c.replace(" ", "-"))
def test_message(case):
    make, words = CASES[case]
    with pytest.raises(ModelError) as caught:
        pointwise(make())
    assert words in str(caught.value), str(caught.value)
    assert pointwise(make(), check=False).terms


# -- any residual ----------------------------------------------------------------------------------------------

v = sci.fields("v", t, p)
a = sci.parameters("a", 2.0)
leaf = st.sampled_from([v, v.diff(p), v.diff(t), v.diff(p, 2), v.diff(t, p), v.diff(p, 3), p, t, a, sp.Integer(2), sp.Rational(-1, 3)])
residuals = st.recursive(
    leaf,
    lambda inner: st.one_of(
        st.tuples(inner, inner).map(lambda e: e[0] + e[1]),
        st.tuples(inner, inner).map(lambda e: e[0] * e[1]),
        inner.map(sp.sin),
        inner.map(lambda e: sci.D(e, p) if e.has(p) else e),
    ),
    max_leaves=6,
).filter(lambda e: e.has(v))
FORMULA = sp.sin(sp.pi * p) * sp.exp(-t) + t * sp.cos(sp.pi * p)


@settings(max_examples=40)
@given(residuals)
def test_any_residual(e):
    form = pointwise(sci.System([sci.eq(e, 0)]), check=False)
    assert same(by_hand(e, {v: FORMULA}), put_in(form, form.terms[0].residual, {v: FORMULA}))


@settings(max_examples=15)
@given(residuals)
def test_any_residual_with_a_start_built_in(e):
    form = pointwise(sci.System([sci.eq(v.diff(t) + e, 0)], initial={v: sp.cos(sp.pi * p)}), built_in="auto", check=False, span=(0, 1))
    assert same(by_hand(v.diff(t) + e, {v: sp.cos(sp.pi * p) + t * FORMULA}), put_in(form, form.terms[0].residual, {v: FORMULA}))


@settings(max_examples=15)
@given(residuals)
def test_affine_means_that_the_second_difference_is_zero(e):
    form = pointwise(sci.System([sci.eq(e, 0)]), check=False)
    residual = form.terms[0].residual
    for key in form.terms[0].operators:
        s = placeholder(key)
        second = residual.subs(s, 0) - 2 * residual.subs(s, sp.Rational(1, 3)) + residual.subs(s, sp.Rational(2, 3))
        if linear_in(form.terms[0], key):
            assert same(second, 0)
        else:
            assert sp.simplify(residual.diff(s, 2)) != 0
