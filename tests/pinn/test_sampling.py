"""Points: where they may be, as often as they should, the same for the same key, and what is said of places without points."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import sympy as sp
from scipy import stats

import sciml as sci
from sciml.errors import FitError, ModelError
from sciml.passes.pointwise import Place
from sciml.pinn.filling import surface_measure
from sciml.pinn.geometry import distance, measure
from sciml.pinn.sampling import densities, rad, sample
from sciml.pinn.sequences import MANY, cube

KEY = jax.random.key(3)
t = sci.t
x, y, z = sci.space("x", -2, 2), sci.space("y", -2, 2), sci.space("z", 0, 5)
X = sci.space("X", -sp.oo, sp.oo, dim=20)
HOLE = sci.ball((x, y), (0.5, 0.5), 0.75)
PLATE = sci.box((x, y), (-2, -2), (2, 2)) - HOLE
L = sci.polygon((x, y), [(-2, -2), (2, -2), (2, 0), (0, 0), (0, 2), (-2, 2)])
INSIDE = Place()


def drawn(place, coordinates, domain=None, n=1000, scheme="uniform", t_span=(1.0, 3.0), key=KEY, **options):
    points, normals = jax.jit(lambda k: sample(place, coordinates, t_span, domain, n, k, scheme, **options))(key)
    return np.asarray(points), None if normals is None else np.asarray(normals)


def evenly(values, low, high):
    """Kolmogorov and Smirnov do not object to a uniform distribution."""
    return stats.kstest(values, "uniform", (low, high - low)).pvalue > 1e-3


# -- the unit cube ----------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [jnp.float32, jnp.float64])
@pytest.mark.parametrize("scheme", ["uniform", "sobol", "latin"])
def test_cubes_are_open_and_even(scheme, dtype):
    u = cube(scheme, KEY, 4096, 3, dtype)
    assert u.dtype == dtype and u.shape == (4096, 3) and bool(((u > 0) & (u < 1)).all())
    assert all(evenly(np.asarray(u[:, i], float), 0, 1) for i in range(3))
    assert (cube(scheme, KEY, 64, 3, dtype) == cube(scheme, KEY, 64, 3, dtype)).all()
    assert (cube(scheme, KEY, 64, 3, dtype) != cube(scheme, jax.random.key(4), 64, 3, dtype)).any()


@pytest.mark.parametrize("seed", range(3))
def test_shifted_sobol_points_have_one_in_each_elementary_interval(seed):
    u = np.asarray(cube("sobol", jax.random.key(seed), 64, 2))
    for i in range(7):
        cells = np.floor(u * [2**i, 2 ** (6 - i)]).astype(int)
        assert len({tuple(c) for c in cells}) == 64


def test_latin_points_have_one_in_each_slice():
    u = np.asarray(cube("latin", KEY, 100, 5))
    assert (np.sort(np.floor(100 * u), axis=0) == np.arange(100)[:, None]).all()


def test_sobol_points_integrate_better_than_independent_ones():
    errors = {
        s: np.std([float(jnp.prod(1.5 * cube(s, jax.random.key(i), 1024, 3) ** 0.5, axis=1).mean()) - 1 for i in range(8)])
        for s in ("uniform", "sobol")
    }
    assert errors["sobol"] < 0.2 * errors["uniform"]


def test_very_many_numbers_are_even_and_follow_the_key_too():
    n = MANY // 8
    u = np.asarray(jax.jit(lambda k: cube("uniform", k, n, 8))(KEY))
    assert all(evenly(u[:20_000, i], 0, 1) for i in range(8)) and abs(np.corrcoef(u.T) - np.eye(8)).max() < 5 / np.sqrt(n)
    assert (u[:5] == np.asarray(cube("uniform", KEY, n, 8))[:5]).all()
    assert (u[:5] != np.asarray(cube("uniform", jax.random.key(9), n, 8))[:5]).all()


# -- inside -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("scheme", ["uniform", "sobol", "latin"])
def test_boxes_are_filled_evenly_in_all_coordinates(scheme):
    points, normals = drawn(INSIDE, (t, x, z), scheme=scheme)
    assert points.shape == (1000, 3) and normals is None
    for column, (low, high) in zip(points.T, ((1, 3), (-2, 2), (0, 5)), strict=True):
        assert evenly(column, low, high)


@pytest.mark.parametrize(
    ("domain", "scheme"),
    [(HOLE, "sobol"), (PLATE, "uniform"), (PLATE, "sobol"), (L, "latin"), (HOLE | L, "uniform"), (sci.box((x, y), (0, 0), (1, 2)), "latin")],
    ids=["ball", "plate", "plate sobol", "L", "union", "box"],
)
def test_domains_are_filled_evenly(domain, scheme):
    points, _ = drawn(INSIDE, (t, x, y), domain, scheme=scheme, n=2000)
    d = np.asarray(jax.jit(jax.vmap(distance(domain)))(jnp.asarray(points[:, 1:])))
    assert points.shape == (2000, 3) and (d < 0).all() and len(np.unique(points[:, 1:], axis=0)) == 2000
    assert evenly(points[:, 0], 1, 3)
    low, high = np.array(domain.bounds).T
    part = sci.box((x, y), tuple(low), tuple((low + high) / 2))  # a quarter of the bounding box
    share = measure(domain & part) / measure(domain)
    within = ((points[:, 1:] >= low) & (points[:, 1:] <= (low + high) / 2)).all(axis=1).mean()
    assert abs(within - share) < 4 * np.sqrt(share * (1 - share) / 2000) + 3e-3


def test_the_radius_in_a_ball_is_even_in_volume_or_itself():
    ball = sci.ball(X, radius=2)
    points, normals = drawn(INSIDE, (X,), ball, n=2000)
    assert normals is None
    r = np.linalg.norm(points, axis=1)
    assert evenly(r, 0, 2)
    assert evenly(np.linalg.norm(drawn(INSIDE, (X,), ball, n=2000, radial="volume")[0], axis=1) ** 20, 0, 2.0**20)
    direction = points / r[:, None]
    assert np.abs(direction.mean(axis=0)).max() < 4 / np.sqrt(20 * 2000)
    np.testing.assert_allclose((direction[:, :, None] * direction[:, None]).mean(axis=0), np.eye(20) / 20, atol=4 * 0.05 / np.sqrt(2000))
    disc, _ = drawn(INSIDE, (x, y), HOLE, n=2000)
    assert evenly(((disc - 0.5) ** 2).sum(axis=1), 0, 0.75**2)
    assert evenly(np.linalg.norm(drawn(INSIDE, (x, y), HOLE, n=2000, radial="uniform")[0] - 0.5, axis=1), 0, 0.75)


def test_a_shifted_ball_of_a_vector_coordinate_and_a_bounded_vector():
    points, _ = drawn(INSIDE, (t, X), sci.ball(X, 0.5, 1), n=200)
    assert points.shape == (200, 21) and (np.linalg.norm(points[:, 1:] - 0.5, axis=1) <= 1).all()
    V = sci.space("V", -1, 2, dim=4)
    points, _ = drawn(INSIDE, (t, V), n=500)
    assert points.shape == (500, 5) and evenly(points[:, 1:].ravel(), -1, 2)


def test_order_of_coordinates_is_that_of_the_point():
    flat = sci.box((y, x), (0, 1), (0.5, 1.5))  # the region speaks of y first
    points, _ = drawn(INSIDE, (x, y, z), flat, n=50)
    assert (np.abs(points - [1.25, 0.25, 2.5]) <= [0.25, 0.25, 2.5]).all()


# -- ends of coordinates ----------------------------------------------------------------------------


def test_sides_start_and_end_fix_one_coordinate():
    for fixed, column, value in (
        ((("x", "left"),), 1, -2),
        ((("x", "right"),), 1, 2),
        ((("t", "start"),), 0, 1),
        ((("t", "end"),), 0, 3),
        ((("x", 0.25),), 1, 0.25),
    ):
        points, normals = drawn(Place(fixed), (t, x, z), n=300)
        assert (points[:, column] == value).all() and normals is None
        assert evenly(points[:, 2], 0, 5)


def test_ends_of_several_coordinates_and_a_single_point():
    points, _ = drawn(Place((("t", "start"), ("x", "left"))), (t, x), n=4)
    assert (points == [1, -2]).all() and points.shape == (4, 2)
    assert drawn(Place((("t", "start"), ("x", "left"))), (t, x), n=4, scheme="grid")[0].tolist() == [[1, -2]]


def test_the_start_of_a_domain_has_its_shape():
    points, _ = drawn(Place((("t", "start"),)), (t, x, y), PLATE, n=500)
    assert (points[:, 0] == 1).all() and (np.hypot(*(points[:, 1:] - 0.5).T) > 0.75).all()


def test_a_side_of_a_domain_is_where_it_reaches_the_side():
    points, _ = drawn(Place((("x", "right"),)), (t, x, y), L, n=500)
    assert (points[:, 1] == 2).all() and evenly(points[:, 2], -2, 0)
    points, _ = drawn(Place((("x", 1.0),)), (x, y), L, n=500)  # not at an end
    assert (points[:, 0] == 1).all() and evenly(points[:, 1], -2, 0)
    with pytest.raises(FitError, match=r"has no points at x = 2: leave that condition out, or give it on the surface"):
        drawn(Place((("x", "right"),)), (x, y), sci.ball((x, y), (0, 0), 1))


# -- surfaces ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("region", "scheme"),
    [
        (HOLE, "uniform"),
        (L, "sobol"),
        (L, "grid"),
        (sci.box((x, y, z), (-1, 0, 1), (1, 1, 2)), "latin"),
        (sci.ball((x, y, z), (0, 0, 2), 1), "grid"),
        (sci.box((z,), (1,), (3,)), "uniform"),
    ],
    ids=["circle", "L", "L grid", "box", "sphere", "interval"],
)
def test_points_lie_on_surfaces_and_normals_point_out(region, scheme):
    points, normals = drawn(Place(surface=region.surface), region.coordinates, region, n=500, scheme=scheme)
    assert len(points) == 500 if scheme != "grid" else 300 < len(points) <= 500
    values, slopes = jax.jit(jax.vmap(jax.value_and_grad(distance(region))))(jnp.asarray(points))
    assert np.abs(values).max() < 1e-12
    np.testing.assert_allclose(normals, slopes, atol=1e-9)


def test_surfaces_are_covered_in_proportion_to_their_measure():
    points, _ = drawn(Place(surface=L.surface), (x, y), L, n=4000)
    for at, length in ((points[:, 1] == -2, 4), ((points[:, 1] == 0) & (points[:, 0] > 0), 2), (points[:, 0] == -2, 4)):
        assert abs(at.mean() - length / 16) < 4 * np.sqrt(length / 16 / 4000)
    points, _ = drawn(Place(surface=PLATE.surface), (x, y), PLATE, n=4000)
    around = np.abs(np.hypot(*(points - 0.5).T) - 0.75) < 1e-9
    share = 1.5 * np.pi / (16 + 1.5 * np.pi)
    assert abs(around.mean() - share) < 4 * np.sqrt(share / 4000)
    angle = np.arctan2(*(points[around] - 0.5).T[::-1])
    assert evenly(angle, -np.pi, np.pi)
    sphere = sci.ball((x, y, z), (0, 0, 2), 1)
    points, _ = drawn(Place(surface=sphere.surface), (x, y, z), sphere, n=2000)
    assert evenly(points[:, 0], -1, 1) and evenly(points[:, 2], 1, 3)  # Archimedes: heights are even in any direction


def test_surface_measures_are_lengths_and_areas(close):
    close(surface_measure(HOLE), 1.5 * np.pi)
    close(surface_measure(L), 16)
    close(surface_measure(sci.ball((x, y, z), (0, 0, 0), 2)), 16 * np.pi)
    close(surface_measure(sci.box((x, y, z), (0, 0, 0), (1, 2, 3))), 22)
    close(surface_measure(sci.box((x, y), (0, 0), (1, 2))), 6)


def test_the_normal_of_a_hole_points_into_the_hole():
    points, normals = drawn(Place(surface=HOLE.surface), (t, x, y), PLATE, n=100)
    assert evenly(points[:, 0], 1, 3)
    np.testing.assert_allclose(normals, -(points[:, 1:] - 0.5) / 0.75, atol=1e-12)


def test_normals_have_a_column_for_every_scalar_coordinate_of_space():
    flat = sci.ball((y, x), (0, 0), 1)
    points, normals = drawn(Place(surface=flat.surface), (t, x, y, z), flat, n=10)
    np.testing.assert_allclose(normals, np.concatenate([points[:, 1:3], np.zeros((10, 1))], axis=1), atol=1e-12)


def test_only_what_bounds_the_domain_counts():
    left, right = sci.box((x, y), (-1, -1), (0, 1)), sci.box((x, y), (0, -1), (1, 1))
    points, _ = drawn(Place(surface=(left | right).surface), (x, y), left | right, n=1000)
    assert not ((points[:, 0] == 0) & (np.abs(points[:, 1]) < 0.99)).any()  # the side where they touch is inside
    corner = sci.box((x, y), (0, 0), (2, 2))  # its right and its upper side lie on those of the square it is taken from
    cut = sci.box((x, y), (-2, -2), (2, 2)) - corner
    points, normals = drawn(Place(surface=corner.surface), (x, y), cut, n=500)
    assert (((points[:, 0] == 0) | (points[:, 1] == 0)) & (points >= 0).all(axis=1)).all()
    np.testing.assert_allclose(normals, np.where(points == 0, 1.0, 0.0), atol=1e-12)
    lens = HOLE & sci.ball((x, y), (-0.5, 0.5), 0.75)
    points, _ = drawn(Place(surface=HOLE.surface), (x, y), lens, n=200)
    assert (points[:, 0] < 1e-6).all()


def test_a_surface_that_bounds_nothing_is_refused():
    small = sci.ball((x, y), (0, 0), 0.5)
    domain = small | sci.box((x, y), (-1, -1), (1, 1))
    with pytest.raises(FitError, match=r"No part of the boundary of .* lies on the circle of radius 0\.5 around \(0, 0\): leave that condition out"):
        drawn(Place(surface=small.surface), (x, y), domain)
    with pytest.raises(FitError, match=r"Points on the circle .* need a System with a domain"):
        drawn(Place(surface=small.surface), (x, y))


def test_a_sphere_in_many_dimensions_has_no_normals():
    ball = sci.ball(X, radius=2)
    points, normals = drawn(Place(surface=ball.surface), (t, X), ball, n=50)
    np.testing.assert_allclose(np.linalg.norm(points[:, 1:], axis=1), 2, rtol=1e-12)
    assert normals is None


# -- grids ------------------------------------------------------------------------------------------


def test_a_grid_has_the_middles_of_equal_cells():
    points, _ = drawn(INSIDE, (t, x), scheme="grid", n=10)
    assert points.tolist() == [[a, b] for a in (1 + 1 / 3, 2, 3 - 1 / 3) for b in (-2 + 2 / 3, 0, 2 - 2 / 3)] or np.allclose(points[4], [2, 0])
    assert len(points) == 9
    points, _ = drawn(INSIDE, (x, y), PLATE, scheme="grid", n=500)
    assert 400 < len(points) <= 500 and (np.hypot(*(points - 0.5).T) > 0.75).all()
    ball = sci.ball((x, y, z, sci.space("w", 0, 1)), (0, 0, 1, 0.5), 0.5)
    points, normals = drawn(Place(surface=ball.surface), ball.coordinates, ball, scheme="grid", n=81)  # its middle has a direction as well
    np.testing.assert_allclose(np.linalg.norm(normals, axis=1), np.ones(81))
    with pytest.raises(FitError, match=r"A grid in 21 dimensions needs 2\^21 points or more, not 500: write sampling=\"sobol\""):
        drawn(INSIDE, (X,), sci.ball(X), scheme="grid", n=500)


# -- on the device ----------------------------------------------------------------------------------


def test_samplers_run_inside_jit_and_vmap():
    def both(key):
        inner, _ = sample(INSIDE, (t, x, y), (0.0, 1.0), PLATE, 64, key, "sobol")
        outer, normals = sample(Place(surface=PLATE.surface), (t, x, y), (0.0, 1.0), PLATE, 32, key)
        return inner, outer, normals

    keys = jax.random.split(KEY, 3)
    inner, outer, normals = jax.jit(jax.vmap(both))(keys)
    assert inner.shape == (3, 64, 3) and outer.shape == (3, 32, 3) and normals.shape == (3, 32, 2)
    assert (np.asarray(inner[0]) != np.asarray(inner[1])).any()
    np.testing.assert_allclose(both(keys[1])[0], inner[1], rtol=1e-12)


def test_float32_points():
    with jax.enable_x64(False):
        for place, scheme in ((INSIDE, "sobol"), (Place(surface=PLATE.surface), "latin"), (Place((("t", "start"),)), "grid")):
            points, _ = drawn(place, (t, x, y), PLATE, 100, scheme, key=jax.random.key(0))
            assert points.dtype == np.float32 and np.isfinite(points).all()


def test_places_without_points_are_refused():
    with pytest.raises(
        FitError, match=r"'X' has no ends .* Write System\(\.\.\., domain=sci\.ball\(X, radius=1\)\), or give the points yourself: sampling=lambda"
    ):
        drawn(INSIDE, (t, X))
    free = sci.space("s", 0, sp.oo)
    with pytest.raises(FitError, match=r"'s' has no ends .* Write s = sci\.space\(\"s\", 0, 1\)"):
        drawn(INSIDE, (t, free))
    with pytest.raises(FitError, match=r"no sampling scheme 'sobl'\. Did you mean 'sobol'"):
        drawn(INSIDE, (t, x), scheme="sobl")
    big = sci.space("B", 0, 1, dim=30_000)
    with pytest.raises(FitError, match=r"at most 21201 dimensions, and 30000 are needed: write sampling=\"uniform\""):
        drawn(INSIDE, (big,), scheme="sobol")
    with pytest.raises(ModelError, match=r"radial='area': write radial=\"volume\""):
        drawn(INSIDE, (x, y), HOLE, radial="area")


# -- where residuals are large ----------------------------------------------------------------------


def test_first_draw_has_the_probabilities_of_the_formula():
    residuals = jnp.array([0.0, 1.0, -2.0, 5.0])
    for k, c in ((1.0, 1.0), (2.0, 0.5), (0.0, 1.0)):
        power = np.abs(residuals) ** k
        p = power / power.mean() + c
        p = p / p.sum()
        draw = jax.jit(jax.vmap(lambda key, k=k, c=c: rad(key, jnp.arange(4.0)[:, None], residuals, 1, k, c)[0, 0]))
        found = np.bincount(np.asarray(draw(jax.random.split(KEY, 20_000)), int), minlength=4) / 20_000
        assert (np.abs(found - p) < 4 * np.sqrt(p * (1 - p) / 20_000)).all()


def test_draws_are_without_replacement():
    chosen = np.asarray(rad(KEY, jnp.arange(50.0)[:, None], jnp.exp(jnp.arange(50.0)), 50))
    assert sorted(chosen[:, 0]) == list(range(50))
    residuals = jnp.array([1.0, 2.0, 3.0])
    pairs = jax.jit(jax.vmap(lambda k: rad(k, jnp.arange(3.0)[:, None], residuals, 2, c=0.0)[:, 0]))(jax.random.split(KEY, 20_000))
    found = np.bincount(np.asarray(pairs, int).ravel(), minlength=3) / 20_000
    assert np.abs(found - [1 / 3, 2 / 3, 1]).max() < 4 * np.sqrt(2 / 9 / 20_000)


def test_draws_are_even():
    """The mean over drawn points, weighted back, has a far smaller error than one over independent points."""
    grid = (jnp.arange(64.0) + 0.5) / 64
    points = jnp.stack(jnp.meshgrid(grid, grid, indexing="ij"), axis=-1).reshape(-1, 2)
    density = jnp.exp(2 * points[:, 0])
    value = jnp.sin(3 * points[:, 1]) * density  # drawn in proportion to the density: the mean of sin is estimated
    share = density / density.sum()
    rows = jax.vmap(lambda k: rad(k, jnp.concatenate([points, (value / density)[:, None]], axis=1), density, 256, c=0.0)[:, 2].mean())
    found = np.asarray(rows(jax.random.split(KEY, 50)))
    exact = float((value / density * share).sum())
    spread = float(np.sqrt(((value / density - exact) ** 2 * share).sum() / 256))  # of 256 independent points
    assert abs(found.mean() - exact) < 0.2 * spread and found.std() < 0.3 * spread


def test_zero_huge_and_broken_residuals(close):
    close(densities(jnp.zeros(3)), [2, 2, 2])
    close(densities(jnp.array([0.0, 1e300, 3e300]), k=2.0), [1, 1 + 0.3, 1 + 2.7])
    close(densities(jnp.array([jnp.nan, jnp.inf, 2.0])), [1, 1, 4])
    assert bool(jnp.isfinite(rad(KEY, jnp.ones((3, 1)), jnp.zeros(3), 2, c=0.0)).all())


def test_impossible_draws_are_refused():
    with pytest.raises(FitError, match="rad draws 5 of 3 candidates: give more candidates"):
        rad(KEY, jnp.ones((3, 1)), jnp.ones(3), 5)
    with pytest.raises(FitError, match=r"rad with k=-1, c=1\.0: both are zero or more"):
        rad(KEY, jnp.ones((3, 1)), jnp.ones(3), 2, k=-1)
