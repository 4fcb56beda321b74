"""Regions: what they hold, how they are named, and which declarations cannot be meant."""

import pickle

import numpy as np
import pytest
import sympy as sp
from hypothesis import given, settings
from hypothesis import strategies as st

import sciml as sci
from sciml.errors import ModelError
from sciml.symbols import Ball, Box, Difference, Intersection, Polygon, Surface, Union, content

x, y, z = sci.space("x", -1, 2), sci.space("y", -1, 2), sci.space("z", -1, 2)
X = sci.space("X", -sp.oo, sp.oo, dim=5)
square, hole = sci.box((x, y), (0, 0), (1, 1)), sci.ball((x, y), center=(0.3, 0.3), radius=0.1)
triangle = sci.polygon((x, y), [(0, 0), (0, 1), (1, 0)])

EVERY = {
    "ball": hole,
    "sphere": sci.ball((x, y, z), (0, 0, 0), 0.5),
    "interval": sci.ball(x, 0.5, 0.5),
    "vector": sci.ball(X),
    "shifted vector": sci.ball(X, 0.5, 2),
    "box": square,
    "line": sci.box(x, 0, 1),
    "polygon": triangle,
    "compound": (square - hole) | triangle & sci.ball((x, y), (0, 0), 0.25),
}


# -- what they are ------------------------------------------------------------------------


def test_numbers_are_python_floats():
    ball = sci.ball((x, y), center=(sp.Rational(1, 4), np.float32(0.5)), radius=1)
    assert (ball.center, ball.radius) == ((0.25, 0.5), 1.0)
    assert all(type(v) is float for v in (*ball.center, ball.radius, *square.low, *triangle.vertices[1]))


def test_the_center_is_the_origin_unless_said():
    assert sci.ball((x, y, z)).center == (0.0, 0.0, 0.0)
    assert sci.ball(X).center == () == sci.ball(X, 0).center == sci.ball(X, [0.0] * 5).center
    assert sci.ball(X, 0.5).center == (0.5,)
    assert sci.ball(X, [1, 2, 3, 4, 5]).center == (1.0, 2.0, 3.0, 4.0, 5.0)


def test_polygons_are_kept_counterclockwise_and_may_be_closed():
    forward = sci.polygon((x, y), [(0, 0), (1, 0), (0, 1)])
    assert triangle == forward == sci.polygon((x, y), [(0, 0), (1, 0), (0, 1), (0, 0)])
    assert triangle.vertices == ((0.0, 0.0), (1.0, 0.0), (0.0, 1.0))


def test_signs_make_compounds():
    assert square | hole == Union(square, hole)
    assert square & hole == Intersection(square, hole)
    assert square - hole == Difference(square, hole)
    assert square - hole != square | hole
    assert (square - hole - triangle).parts() == (square, hole, triangle)
    assert (square | square).parts() == (square,)
    assert (square - hole).coordinates == (x, y)


@pytest.mark.parametrize(
    ("region", "bounds"),
    [
        (hole, ((0.3 - 0.1, 0.3 + 0.1),) * 2),
        (square, ((0.0, 1.0),) * 2),
        (triangle, ((0.0, 1.0),) * 2),
        (sci.ball(X, radius=2), ((-2.0, 2.0),)),
        (sci.ball(X, 0.5, 2), ((-1.5, 2.5),)),
        (square | sci.ball((x, y), radius=0.5), ((-0.5, 1.0),) * 2),
        (square & sci.ball((x, y), radius=0.5), ((0.0, 0.5),) * 2),
        (square - hole, ((0.0, 1.0),) * 2),
    ],
    ids=str,
)
def test_bounds(region, bounds):
    assert region.bounds == bounds


def test_which_sides_of_the_coordinates_a_region_has():
    assert square.reaches(x, 0.0) and square.reaches(y, 1.0) and not square.reaches(x, 2.0) and not square.reaches(z, 0.0)
    assert triangle.reaches(x, 0.0) and not triangle.reaches(x, 1.0) and not triangle.reaches(z, 0.0)
    assert not hole.reaches(x, 0.2)
    assert (square - hole).reaches(x, 0.0)


@pytest.mark.parametrize("region", EVERY.values(), ids=EVERY)
def test_regions_can_be_keys_and_pickled(region):
    again = pickle.loads(pickle.dumps(region))
    assert again == region and hash(again) == hash(region) and repr(again) == repr(region)
    assert content(again) == content(region)
    assert again.surface == region.surface and content(again.surface) == content(region.surface)


def test_content_tells_regions_apart():
    others = [*EVERY.values(), square | hole, square - hole, hole - square, sci.ball((x, y), (0.3, 0.3), 0.2), sci.ball((y, x), (0.3, 0.3), 0.1)]
    assert len({repr(content(r)) for r in others}) == len(others)


# -- surfaces -----------------------------------------------------------------------------


def test_surfaces_have_names():
    assert hole.surface == Surface(hole)
    assert hole.surface.coordinates == (x, y)
    names = {n: r.surface.name for n, r in EVERY.items()}
    assert names["ball"] == "the circle of radius 0.1 around (0.3, 0.3)"
    assert names["sphere"] == "the sphere of radius 0.5 around (0, 0, 0)"
    assert names["interval"] == "the ends of the interval of radius 0.5 around 0.5"
    assert names["vector"] == "the sphere |X| = 1"
    assert names["shifted vector"] == "the sphere of radius 2 around X = 0.5"
    assert names["box"] == "the sides of the box from (0, 0) to (1, 1)"
    assert names["polygon"] == "the sides of the polygon (0, 0), (1, 0), (0, 1)"
    assert (square - hole).surface.name == f"{names['box']} and {names['ball']}"
    assert hole.surface.key == repr(hole.surface) == names["ball"]


def test_names_of_many_parts_and_corners_stay_short_and_differ():
    holes = [sci.ball((x, y), (0.1 * k, 0.5), 0.01) for k in range(1, 9)]
    domain, other = square, square
    for k, h in enumerate(holes):
        domain, other = domain - h, other - (h if k < 7 else hole)
    assert "and 6 more surfaces" in domain.surface.name and domain.surface.name != other.surface.name
    angles = np.linspace(0, 2 * np.pi, 40, endpoint=False)
    rounds = [sci.polygon((x, y), np.stack([r * np.cos(angles) + 0.1, np.sin(angles)], 1)) for r in (0.5, 0.5001)]
    assert "with 40 corners" in rounds[0].surface.name and "..." in repr(rounds[0])
    assert "with 40 corners" in (long := sci.polygon((x, y), [(0.6, 0.0), *rounds[1].vertices[1:]])).surface.name
    assert long.surface.name != rounds[0].surface.name


# -- what cannot be meant -----------------------------------------------------------------

a = sci.parameters("a", 1.0)

WRONG = {
    "radius": (lambda: sci.ball((x, y), radius=-1), "a radius is positive, radius=1"),
    "radius 0": (lambda: sci.ball((x, y), radius=0), "a radius is positive, radius=1"),
    "radius NaN": (lambda: sci.ball((x, y), radius=float("nan")), "must be finite numbers"),
    "radius a": (lambda: sci.ball((x, y), radius=a), "does not depend on parameters"),
    "center": (lambda: sci.ball((x, y), center=0.5), r"the center has 1 numbers for 2 dimensions. Write center=\(0.0, 0.0\)"),
    "center of a vector": (lambda: sci.ball(X, center=(1, 2)), "the center has 2 numbers for 5 dimensions"),
    "center text": (lambda: sci.ball((x, y), center="ab"), "has 1 numbers|must be numbers"),
    "no coordinates": (lambda: sci.ball(()), "needs its coordinates, each once"),
    "twice": (lambda: sci.box((x, x), (0, 0), (1, 1)), r"needs its coordinates, each once: sci.box\(\(x, y\), \(0, 0\), \(1, 1\)\)"),
    "time": (lambda: sci.ball((sci.t, x)), r"needs coordinates of space: sci.ball\(\(x, y\), radius=1\)"),
    "a symbol": (lambda: sci.polygon((x, a), [(0, 0), (1, 0), (0, 1)]), "needs coordinates of space"),
    "mixed": (lambda: sci.ball((x, X)), "mixes a vector coordinate with others"),
    "box of a vector": (lambda: sci.box(X, 0, 1), r"there are balls alone, sci.ball\(X, radius=1\).*dim=5"),
    "box corner": (
        lambda: sci.box((x, y), 0, (1, 1)),
        r"the low corner has 1 numbers for 2 coordinates. Write sci.box\(",
    ),
    "empty box": (lambda: sci.box((x, y), (0, 1), (1, 0)), "is empty: y runs from 1 to 0"),
    "polygon in one": (lambda: sci.polygon(x, [(0, 0), (1, 0), (0, 1)]), "is drawn in two coordinates"),
    "polygon in three": (lambda: sci.polygon((x, y, z), [(0, 0), (1, 0), (0, 1)]), "is drawn in two coordinates"),
    "two corners": (lambda: sci.polygon((x, y), [(0, 0), (1, 0)]), "needs three corners or more, not 2"),
    "corner of three": (lambda: sci.polygon((x, y), [(0, 0), (1, 0, 0), (0, 1)]), "Corner 1 of sci.polygon, .* has 3 numbers"),
    "no list": (lambda: sci.polygon((x, y), 3), "give a list"),
    "corner twice": (lambda: sci.polygon((x, y), [(0, 0), (1, 0), (1, 0), (0, 1)]), r"the corner \(1, 0\) twice in a row"),
    "bow tie": (lambda: sci.polygon((x, y), [(0, 0), (1, 1), (1, 0), (0, 1)]), "crosses or touches itself"),
    "flat": (lambda: sci.polygon((x, y), [(0, 0), (1, 0), (0.5, 0)]), "crosses or touches itself"),
    "touching": (lambda: sci.polygon((x, y), [(0, 0), (1, 0), (1, 1), (0.5, 0), (0, 1)]), "crosses or touches itself"),
    "there and back": (lambda: sci.polygon((x, y), [(0, 0), (1, 0), (1, 1), (2, 1), (1, 1), (0, 1)]), "crosses or touches itself"),
    "no region": (lambda: square - 1, "a - b with 1, which is not a region"),
    "other coordinates": (lambda: square | sci.ball((x, z)), r"joins a region of \(x, y\) and a region of \(x, z\)"),
    "other order": (lambda: square & sci.ball((y, x)), "Give both the same coordinates, in one order"),
    "apart": (lambda: hole & sci.box((x, y), (0.5, 0.5), (1, 1)), "holds no point"),
}


@pytest.mark.parametrize(("declare", "message"), WRONG.values(), ids=WRONG)
def test_what_cannot_be_meant_is_refused_with_the_cure(declare, message):
    with pytest.raises(ModelError, match=message):
        declare()


# -- simple polygons, and others -----------------------------------------------------------


@settings(max_examples=40, deadline=None)
@given(st.lists(st.floats(0.2, 0.9), min_size=3, max_size=12), st.floats(0, 6), st.booleans())
def test_star_shaped_polygons_are_simple_in_both_senses(radii, turn, backwards):
    angles = turn + 2 * np.pi * np.arange(len(radii)) / len(radii)
    corners = np.stack([radii * np.cos(angles), radii * np.sin(angles)], axis=1)
    made = sci.polygon((x, y), corners[::-1] if backwards else corners)
    v, w = np.array(made.vertices), np.roll(made.vertices, -1, axis=0)
    assert (v[:, 0] * w[:, 1] - v[:, 1] * w[:, 0]).sum() > 0
    assert isinstance(made, Polygon) and {tuple(c) for c in corners} == set(made.vertices)


@settings(max_examples=40, deadline=None)
@given(st.integers(5, 15).filter(lambda n: n % 2), st.floats(0, 6))
def test_pentagrams_cross_themselves(n, turn):
    angles = turn + 2 * np.pi * 2 * np.arange(n) / n
    with pytest.raises(ModelError, match="crosses or touches itself"):
        sci.polygon((x, y), np.stack([np.cos(angles), np.sin(angles)], axis=1))


def test_the_classes_check_like_the_words():
    with pytest.raises(ModelError, match="a radius is positive"):
        Ball((x, y), (0, 0), 0)
    with pytest.raises(ModelError, match="is empty"):
        Box((x, y), (0, 0), (1, 0))
