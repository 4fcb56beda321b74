"""Distances against closed forms and brute force, smooth distances on and off the surface, areas."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import sympy as sp
from hypothesis import given, settings
from hypothesis import strategies as st

import sciml as sci
from sciml.pinn.geometry import bounding_box, distance, inside, measure, smooth_distance

x, y, z = (sci.space(n, -3, 3) for n in "xyz")
X = sci.space("X", -sp.oo, sp.oo, dim=50)
L = sci.polygon((x, y), [(-1, -1), (1, -1), (1, 0), (0, 0), (0, 1), (-1, 1)])
_RADII, _ANGLES = np.where(np.arange(10) % 2, 2.0, 0.7), 0.2 + np.pi * np.arange(10) / 5
STAR = sci.polygon((x, y), np.stack([_RADII * np.cos(_ANGLES), _RADII * np.sin(_ANGLES)], axis=1))
DOVETAIL = sci.polygon((x, y), [(-2, -1), (2, -1), (2, 1), (0.3, 1), (1, 0), (-1, 0), (-0.3, 1), (-2, 1)])
POLYGONS = {"L": L, "star": STAR, "dovetail": DOVETAIL}
BALL = sci.ball((x, y), (0.5, -0.25), 1.5)
BOX = sci.box((x, y, z), (-1, 0, 1), (1, 1, 2.5))
PLATE = sci.box((x, y), (-2, -2), (2, 2)) - sci.ball((x, y), (0, 0), 0.5) - sci.ball((x, y), (1, 1), 0.25)
REGIONS = {"ball": BALL, "box": sci.box((x, y), (-2, -1), (1, 1)), **POLYGONS, "plate": PLATE, "union": BALL | L, "both": BALL & L}


def points(n=300, dim=2, seed=0):
    return np.random.default_rng(seed).uniform(-3, 3, (n, dim))


def brute(region, at):
    """Signed distance from a polygon: all sides, the sign by counting crossings."""
    a = np.array(region.vertices)
    b = np.roll(a, -1, axis=0)
    share = np.clip(((at[:, None] - a) * (b - a)).sum(-1) / ((b - a) ** 2).sum(-1), 0, 1)
    far = np.linalg.norm(at[:, None] - a - share[..., None] * (b - a), axis=-1).min(axis=1)
    spans = (a[:, 1] > at[:, None, 1]) != (b[:, 1] > at[:, None, 1])
    with np.errstate(divide="ignore", invalid="ignore"):
        crossing = a[:, 0] + (at[:, None, 1] - a[:, 1]) * (b[:, 0] - a[:, 0]) / (b[:, 1] - a[:, 1])
    odd = (spans & (at[:, None, 0] < crossing)).sum(axis=1) % 2 == 1
    return np.where(odd, -far, far)


def on_sides(region, share=(0.2, 0.37, 0.81)):
    """Points on a polygon that are no corners, with outward normals."""
    a = np.array(region.vertices)
    along = np.roll(a, -1, axis=0) - a
    at = np.concatenate([a + s * along for s in share])
    normal = np.stack([along[:, 1], -along[:, 0]], axis=1) / np.linalg.norm(along, axis=1, keepdims=True)
    return at, np.concatenate([normal] * len(share))


def test_distance_from_a_ball_and_a_sphere_in_many_dimensions(close):
    at = points()
    close(jax.vmap(distance(BALL))(jnp.asarray(at)), np.hypot(at[:, 0] - 0.5, at[:, 1] + 0.25) - 1.5, atol=1e-14)
    at = points(5, 50)
    for center, shift in ((None, 0), (0.3, 0.3), (np.arange(50.0), np.arange(50.0))):
        ball = sci.ball(X, center, radius=2)
        close(jax.vmap(distance(ball))(jnp.asarray(at)), np.linalg.norm(at - shift, axis=1) - 2, atol=1e-12)


def test_distance_from_a_box(close):
    at = points(dim=3)
    nearest = np.clip(at, BOX.low, BOX.high)
    outside = np.linalg.norm(at - nearest, axis=1)
    within = np.minimum(at - BOX.low, np.array(BOX.high) - at).min(axis=1)
    close(jax.vmap(distance(BOX))(jnp.asarray(at)), np.where(outside > 0, outside, -within), atol=1e-14)


@pytest.mark.parametrize("name", POLYGONS)
def test_distance_from_a_polygon(name, close):
    region = POLYGONS[name]
    at = np.concatenate([points(), np.array(region.vertices) + 1e-3, np.array(region.vertices) - 1e-3])
    close(jax.jit(jax.vmap(distance(region)))(jnp.asarray(at)), brute(region, at), atol=1e-13)


@settings(max_examples=10)
@given(st.lists(st.floats(0.3, 2.0), min_size=5, max_size=5))
def test_distance_from_any_star_shaped_polygon(radii):
    angle = 2 * np.pi * np.arange(len(radii)) / len(radii)
    region = sci.polygon((x, y), np.stack([radii * np.cos(angle), radii * np.sin(angle)], axis=1))
    at = points(100)
    np.testing.assert_allclose(jax.jit(jax.vmap(distance(region)))(jnp.asarray(at)), brute(region, at), atol=1e-12)


@pytest.mark.parametrize("name", ["ball", "box", *POLYGONS])
def test_gradient_of_a_distance_is_a_unit_vector(name, close):
    at = jnp.asarray(points())
    d = distance(REGIONS[name])
    close(jnp.linalg.norm(jax.jit(jax.vmap(jax.grad(d)))(at), axis=1), np.ones(len(at)), rtol=1e-9)
    close(jax.jit(jax.vmap(jax.jacfwd(d)))(at), jax.jit(jax.vmap(jax.grad(d)))(at), atol=1e-12)


@pytest.mark.parametrize("name", POLYGONS)
def test_gradient_on_a_polygon_is_its_normal(name, close):
    at, normal = on_sides(POLYGONS[name])
    d = distance(POLYGONS[name])
    close(jax.vmap(d)(jnp.asarray(at)), np.zeros(len(at)), atol=1e-14)
    close(jax.jit(jax.vmap(jax.grad(d)))(jnp.asarray(at)), normal, rtol=1e-9, atol=1e-9)


def test_no_gradient_is_nan_in_a_center_or_at_a_corner():
    for region, at in ((BALL, (0.5, -0.25)), (L, (0.0, 0.0)), (L, (1.0, -1.0)), (PLATE, (0.0, 0.0)), (PLATE, (2.0, 2.0))):
        for f in (distance(region), smooth_distance(region)):
            assert bool(jnp.isfinite(jax.jit(jax.grad(f))(jnp.array(at))).all())


def test_compound_regions_have_the_signs_of_their_parts():
    at = jnp.asarray(points(2000))
    a, b = (jax.vmap(distance(r))(at) < 0 for r in (BALL, L))
    for region, expected in ((BALL | L, a | b), (BALL & L, a & b), (BALL - L, a & ~b), (L - BALL, b & ~a)):
        exact, smooth = jax.jit(jax.vmap(lambda p, r=region: (distance(r)(p), smooth_distance(r)(p))))(at)
        assert ((exact < 0) == expected).all() and ((smooth > 0) == expected).all()


@pytest.mark.parametrize("name", REGIONS)
def test_smooth_distance_has_the_sign_of_the_distance(name):
    at = jnp.asarray(points(2000))
    exact, smooth = jax.jit(jax.vmap(lambda p: (distance(REGIONS[name])(p), smooth_distance(REGIONS[name])(p))))(at)
    assert (jnp.sign(exact) == -jnp.sign(smooth)).all()


@pytest.mark.parametrize("name", POLYGONS)
def test_smooth_distance_from_a_polygon_vanishes_on_it_with_slope_one(name, close):
    at, normal = on_sides(POLYGONS[name])
    f = smooth_distance(POLYGONS[name])
    close(jax.vmap(f)(jnp.asarray(at)), np.zeros(len(at)), atol=1e-13)
    close(jax.jit(jax.vmap(jax.grad(f)))(jnp.asarray(at)), -normal, rtol=1e-8, atol=1e-8)
    close(jax.jit(jax.vmap(jax.jacfwd(f)))(jnp.asarray(at)), -normal, rtol=1e-8, atol=1e-8)


def test_smooth_distance_from_holes_vanishes_on_them_with_slope_one(close):
    angle = np.linspace(0, 6, 7)
    around = np.stack([np.cos(angle), np.sin(angle)], axis=1)
    f = smooth_distance(PLATE)
    for center, radius in (((0, 0), 0.5), ((1, 1), 0.25)):
        at = jnp.asarray(np.array(center) + radius * around)
        close(jax.vmap(f)(at), np.zeros(7), atol=1e-14)
        close(jax.jit(jax.vmap(jax.grad(f)))(at), around, rtol=1e-8, atol=1e-8)
    sides = jnp.array([[-2.0, 0.3], [1.0, 2.0]])
    close(jax.jit(jax.vmap(jax.grad(f)))(sides), [[1, 0], [0, -1]], atol=1e-9)


@pytest.mark.parametrize("name", POLYGONS)
def test_smooth_distance_has_continuous_second_derivatives(name, close):
    """Across sides, where an unsigned distance would have a kink; and inside, where a distance has ridges."""
    f = smooth_distance(POLYGONS[name])
    second = jax.jit(jax.vmap(lambda p: jnp.trace(jax.hessian(f)(p))))
    at, normal = on_sides(POLYGONS[name])
    left, right = second(jnp.asarray(at - 1e-7 * normal)), second(jnp.asarray(at + 1e-7 * normal))
    close(left, right, rtol=1e-4, atol=1e-4)
    interior = points(2000)
    interior = jnp.asarray(interior[brute(POLYGONS[name], interior) < -0.05])
    h = 1e-4
    values = jax.jit(jax.vmap(f))
    near = sum(values(interior + h * jnp.array([e])) for e in ([1.0, 0], [-1.0, 0], [0, 1.0], [0, -1.0]))
    close((near - 4 * values(interior)) / h**2, second(interior), rtol=1e-3, atol=1e-3)


def test_smooth_distance_from_a_sphere_in_many_dimensions_is_a_polynomial(close):
    f = smooth_distance(sci.ball(X, radius=2))
    at = jnp.asarray(points(1, 50)[0])
    close(f(at), (4 - (at**2).sum()) / 4, rtol=1e-12)
    close(jax.hessian(f)(at), -np.eye(50) / 2, atol=1e-14)


def test_measures_are_areas_and_volumes(close):
    close(measure(BALL), np.pi * 1.5**2)
    close(measure(sci.ball((x, y, z), (0, 0, 0), 2)), 4 / 3 * np.pi * 8)
    close(measure(sci.ball((x,), (0,), 2)), 4)
    close(measure(BOX), 3)
    close(measure(L), 3)
    close(measure(PLATE), 16 - np.pi * (0.25 + 0.0625), rtol=2e-3)
    lens = sci.ball((x, y), (0, 0), 1) & sci.ball((x, y), (1, 0), 1)
    close(measure(lens), 2 * np.pi / 3 - np.sqrt(3) / 2, rtol=2e-3)
    assert measure(sci.ball(X, radius=0.1)) < 1e-60  # no overflow on the way


def test_bounding_boxes_hold_a_number_for_each_entry(close):
    low, high = bounding_box(PLATE)
    close(np.stack([low, high]), [[-2, -2], [2, 2]])
    low, high = bounding_box(sci.ball(X, radius=2))
    assert low.shape == (50,) and (low == -2).all() and (high == 2).all()


def test_inside_counts_the_surface_in_both_precisions():
    at, _ = on_sides(STAR)
    angle = np.linspace(0, 6, 50)
    circle = np.array([0.5, -0.25]) + 1.5 * np.stack([np.cos(angle), np.sin(angle)], axis=1)
    for dtype in (np.float32, np.float64):
        assert inside(STAR, at.astype(dtype)).all() and inside(BALL, circle.astype(dtype)).all()
        assert not inside(BALL, (1.001 * (circle - [0.5, -0.25]) + [0.5, -0.25]).astype(dtype)).any()
    assert inside(L, np.array([[0, 0], [1, 1]])).tolist() == [True, False]  # whole numbers are points too


def test_float32_points_give_float32_distances():
    at = jnp.asarray(points(1)[0], jnp.float32)
    for region in REGIONS.values():
        for f in (distance(region), smooth_distance(region)):
            assert jax.eval_shape(f, at).dtype == jnp.float32
