"""Control paths: through the samples, exact on lines, causal where they say so, blind to padding."""

import diffrax
import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.interpolate import CubicSpline

import sciml as sci
from sciml.errors import ModelError
from sciml.nn.control import KINDS, samples_at

RNG = np.random.default_rng(3)
T = np.cumsum(RNG.uniform(0.3, 1.5, 9))
X = RNG.normal(size=(9, 2))
SEEN = np.array([[1, 1], [0, 1], [1, 0], [1, 1], [0, 0], [0, 1], [1, 1], [1, 0], [1, 0]], bool)
control_path = eqx.filter_jit(sci.nn.control_path)
FINE = np.linspace(T[0], T[-1], 101)
whole = sci.nn.series(T, X)
holes = sci.nn.series(T, X, mask=SEEN)


@pytest.fixture(scope="module")
def along():
    """Values and derivatives of a path at some points."""

    @jax.jit
    def values(path, points):
        return jax.vmap(path.evaluate)(points), jax.vmap(path.derivative)(points)

    return lambda path, points: tuple(np.asarray(v) for v in values(path, jnp.asarray(points, float)))


def knots_of(kind, n):
    return T[:n] if kind != "rectilinear" else samples_at(kind, n).astype(float)


@pytest.mark.parametrize("kind", KINDS)
def test_through_the_samples(kind, along, close):
    path = control_path(whole, kind)
    assert path.width == 3
    close(along(path, knots_of(kind, 9))[0], np.column_stack([T, X]), rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("kind", KINDS)
def test_through_what_was_observed(kind, along, close):
    found = along(control_path(holes, kind), knots_of(kind, 9))[0][:, 1:]
    close(found[SEEN], X[SEEN], rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("kind", ("hermite", "cubic", "linear"))
def test_exact_on_lines(kind, along, close):
    line = sci.nn.series(T, np.column_stack([2 * T - 1, 5 - T]), mask=SEEN[:, [0, 0]])
    inside = FINE[T[-2] >= FINE]
    value, slope = along(control_path(line, kind, time=False), inside)
    close(value, np.column_stack([2 * inside - 1, 5 - inside]), rtol=1e-8, atol=1e-10)
    close(slope, np.broadcast_to([2.0, -1.0], slope.shape), rtol=1e-8)


@pytest.mark.parametrize("seen", (np.ones_like(SEEN), SEEN), ids=("whole", "holes"))
def test_cubic_is_the_natural_spline_through_the_observations(seen, along, close):
    value, slope = along(control_path(sci.nn.series(T, X, mask=seen), "cubic", time=False), FINE)
    for c in range(2):
        spline = CubicSpline(T[seen[:, c]], X[seen[:, c], c], bc_type="natural")
        inside = (T[seen[:, c]][0] <= FINE) & (T[seen[:, c]][-1] > FINE)
        close(value[inside, c], spline(FINE[inside]), rtol=1e-8, atol=1e-10)
        close(slope[inside, c], spline(FINE[inside], 1), rtol=1e-8, atol=1e-10)


def test_natural_spline_of_few_observations(along, close):
    few = sci.nn.series(T[:3], X[:3], mask=np.array([[0, 1], [1, 0], [0, 1]], bool))
    value, _ = along(control_path(few, "cubic", time=False), T[:3])
    close(value[:, 0], [X[1, 0]] * 3)  # one observation: constant
    close(value[:, 1], np.interp(T[:3], T[[0, 2]], X[[0, 2], 1]))  # two: a line


def test_hermite_is_that_of_diffrax(along, close):
    coefficients = diffrax.backward_hermite_coefficients(jnp.asarray(T, float), jnp.asarray(X, float))
    peer = diffrax.CubicInterpolation(jnp.asarray(T, float), coefficients)
    value, slope = along(control_path(whole, "hermite", time=False), FINE[1:-1])
    close(value, jax.vmap(peer.evaluate)(jnp.asarray(FINE[1:-1], float)), rtol=1e-8, atol=1e-10)
    close(slope, jax.vmap(peer.derivative)(jnp.asarray(FINE[1:-1], float)), rtol=1e-8, atol=1e-10)


def test_hermite_with_holes_is_that_of_the_observations_alone(along, close):
    value, _ = along(control_path(holes, "hermite", time=False), FINE)
    for c in range(2):
        alone = sci.nn.series(T[SEEN[:, c]], X[SEEN[:, c]][:, [c]])
        close(value[:, [c]], along(control_path(alone, "hermite", time=False), FINE)[0], rtol=1e-8, atol=1e-10)


def test_rectilinear_moves_the_time_first(along, close):
    path = control_path(holes, "rectilinear")
    value, slope = along(path, np.arange(17) + 0.0)
    close(value[::2, 0], T)
    close(value[1::2, 0], T[1:])  # at odd knots the time has moved,
    close(value[1::2, 1:], value[:-1:2, 1:])  # and the values are the last ones
    close(value[[1, 2, 4], 1], X[[0, 0, 2], 0])
    assert not slope[0:-1:2, 1:].any() and not slope[1::2, 0].any()
    late = sci.nn.series(T[:3], X[:3], mask=np.array([[1, 0], [1, 1], [1, 1]], bool))
    assert along(control_path(late, "rectilinear"), [0.0, 1.0])[0][:, 2].tolist() == [0, 0]  # nothing is known yet


@pytest.mark.parametrize(("kind", "mask", "seen_ahead"), [("hermite", None, 1), ("linear", None, 1), ("rectilinear", SEEN, 0)])
def test_a_later_observation_changes_nothing_before(kind, mask, seen_ahead, along):
    k = 6
    other = X.copy()
    other[k:] += 10.0
    points = np.linspace(0, 0.999, 50) * (knots_of(kind, 9)[k - seen_ahead] if kind != "rectilinear" else 2 * k - 1)
    a, b = (along(control_path(sci.nn.series(T, x, mask=mask), kind), points) for x in (X, other))
    assert all((u == v).all() for u, v in zip(a, b, strict=True))
    behind = along(control_path(sci.nn.series(T, other, mask=mask), kind), knots_of(kind, 9)[k:])[0]
    assert (np.abs(behind - along(control_path(sci.nn.series(T, X, mask=mask), kind), knots_of(kind, 9)[k:])[0])[:, 1:] > 1).any()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("intensity", (False, True))
def test_padding_has_no_effect(kind, intensity, along, close):
    long = sci.nn.series(np.append(T, [0, 0, 0]), np.append(X, np.full((3, 2), 77.0), 0), mask=np.append(SEEN, np.zeros((3, 2), bool), 0))
    a, b = (control_path(s, kind, intensity=intensity) for s in (holes, long))
    points = FINE if kind != "rectilinear" else np.linspace(0, 16, 60)
    for u, v in zip(along(a, points), along(b, points), strict=True):
        close(v, u, rtol=1e-12, atol=1e-14) if kind != "rectilinear" else close(v[:-1], u[:-1], rtol=1e-12, atol=1e-14)
    assert not b.pieces[len(a.pieces) :, 1:].any()


def test_intensity_counts_observations(along):
    value, _ = along(control_path(holes, "linear", intensity=True), T)
    assert value.shape == (9, 5)
    np.testing.assert_array_equal(value[:, 3:], np.cumsum(SEEN, 0))


def test_outside_the_path_stands_still(along):
    value, slope = along(control_path(whole, "cubic"), [T[0] - 1, T[-1] + 1])
    np.testing.assert_allclose(value[:, 1:], X[[0, -1]], rtol=1e-5)
    assert not slope.any()


@pytest.mark.parametrize("kind", KINDS)
def test_derivatives_by_values_and_times(kind):
    direction = RNG.normal(size=X.shape)

    @jax.jit
    def at(step):
        s = sci.nn.Series(holes.t * (1 + 0.1 * step), holes.x + step * jnp.asarray(direction * SEEN, float), holes.observed)
        path = control_path(s, kind)
        points = jnp.linspace(0.7, 15.3, 7) if kind == "rectilinear" else T[0] * 1.1 + jnp.linspace(0.1, 6.0, 7)
        return jnp.sum(jnp.sin(jax.vmap(path.evaluate)(points)))

    h = 1e-6 if jax.config.jax_enable_x64 else 1e-2
    central = (at(h) - at(-h)) / (2 * h)
    for found in (jax.grad(at)(0.0), jax.jvp(at, (0.0,), (1.0,))[1]):
        np.testing.assert_allclose(found, central, rtol=1e-6 if jax.config.jax_enable_x64 else 0.15)


def test_unknown_kind():
    with pytest.raises(ModelError, match=r"There is no control path 'hermit'. Did you mean 'hermite'?"):
        control_path(whole, "hermit")
