"""What holds for every grid: weights exact on polynomials, shifts, conservation, graphs that do not grow."""

import numpy as np
import pytest
import sympy as sp
from hypothesis import given, settings
from hypothesis import strategies as st

import sciml as sci
from sciml import Chebyshev, FiniteDifference, FiniteVolume, Fourier
from sciml.codegen.lower import lower
from sciml.passes.discretize import weights

t = sci.t
x, p = sci.space("x", 0, 1), sci.space("p", 0, 1, periodic=True)
u, w = sci.fields("u", t, x), sci.fields("w", t, p)
few = settings(max_examples=10)


@given(st.integers(2, 9), st.integers(0, 4), st.integers(0, 10**6))
def test_weights_are_exact_on_polynomials(n, order, seed):
    rng = np.random.default_rng(seed)
    points = np.cumsum(rng.uniform(0.3, 1.0, n)) - 2
    at = rng.uniform(points[0], points[-1])
    found = weights.fornberg(at, points, order)
    for degree in range(n):
        power = np.polynomial.Polynomial([0] * degree + [1])
        np.testing.assert_allclose(
            found @ power(points), power.deriv(order)(at) if order else power(at), rtol=1e-6, atol=1e-6 * np.abs(found).max() * 4**degree * 1e-3
        )


@given(st.integers(4, 20), st.integers(1, 4))
def test_chebyshev_matrices_are_exact_on_polynomials(n, order):
    points, matrix = weights.chebyshev_points(n, -1, 2), weights.chebyshev_matrix(n, -1, 2, order)
    power = np.polynomial.Polynomial([1, -1, 1] if n < 6 else [1, 0, -1, 0.5, 0, 0.1])
    np.testing.assert_allclose(matrix @ power(points), power.deriv(order)(points), atol=1e-8 * max(1.0, np.abs(matrix).max()))
    assert abs(weights.clenshaw_curtis(n, -1, 2) @ power(points) - (power.integ()(2) - power.integ()(-1))) < (1e-12 if n >= 6 else 1)


PERIODIC = [
    FiniteDifference(24, order=8),
    FiniteDifference(24, advection="upwind"),
    FiniteVolume(24, flux="weno5"),
    FiniteVolume(24, flux="muscl"),
    Fourier(24),
]


@pytest.mark.parametrize("method", PERIODIC, ids=lambda m: f"{m.name}-{m.fields[1]}")
def test_a_shift_of_the_field_shifts_the_rates(method):
    rhs = sci.compile(sci.discretize(sci.System([sci.eq(w.diff(t), w.diff(p, 2) - sci.D(w**2, p) - w**3)]), {p: method})).rhs
    start = np.random.default_rng(0).uniform(1, 2, 24)
    for by in (1, 7, 23):
        found, wanted = np.asarray(rhs(0.0, np.roll(start, by))), np.roll(np.asarray(rhs(0.0, start)), by)
        np.testing.assert_allclose(found, wanted, rtol=1e-9, atol=1e-8 * np.abs(wanted).max())


@pytest.mark.parametrize("flux", ["upwind", "muscl", "weno5", "central"])
def test_nothing_is_lost_on_a_ring_or_between_walls(flux):
    ring = sci.compile(sci.discretize(sci.System([sci.eq(w.diff(t), sci.D(w.diff(p) - w**2, p))]), {p: FiniteVolume(20, flux=flux)})).rhs
    walls = {x.left: sci.eq(u.diff(x), 0), x.right: sci.eq(u.diff(x), 0)}
    closed = sci.compile(
        sci.discretize(sci.System([sci.eq(u.diff(t), sci.D((1 + u**2) * u.diff(x), x))], boundary=walls), {x: FiniteVolume(20, flux=flux)})
    ).rhs

    @few
    @given(st.integers(0, 10**6))
    def check(seed):
        start = np.random.default_rng(seed).uniform(1, 2, 20)
        for rhs in (ring, closed):
            rates = np.asarray(rhs(0.0, start))
            assert abs(rates.sum()) < 1e-12 * np.abs(rates).sum()

    check()


@pytest.mark.parametrize("flux", ["upwind", "muscl", "weno5", "central"])
def test_volumes_change_by_what_crosses_the_sides(flux):
    """A wind from the left: what enters is said there, what leaves is what stands at the right."""
    a, left = 2.0, 1.5
    system = sci.System(
        [sci.eq(u.diff(t), -sci.D(a * u - (1 + x) * u.diff(x), x))], boundary={x.left: sci.eq(a * u - u.diff(x), left), x.right: sci.eq(u.diff(x), 0)}
    )
    grid = sci.discretize(system, {x: FiniteVolume(20, flux=flux)})
    rhs, at_right = sci.compile(grid).rhs, 1e-12
    steady = np.full(20, left / a)  # carries what enters: nothing changes
    assert np.abs(np.asarray(rhs(0.0, steady))).max() < at_right

    @few
    @given(st.integers(0, 10**6))
    def check(seed):
        inside = np.random.default_rng(seed).uniform(1, 2, 20)
        inside[-4:], inside[:4] = left / a, left / a  # the reconstruction at the sides sees a constant
        rates = np.asarray(rhs(0.0, inside))
        assert abs(rates.sum()) < 1e-12 * np.abs(rates).sum()

    check()


def test_slopes_at_the_sides_are_what_enters():
    system = sci.System([sci.eq(u.diff(t), sci.D((1 + x) * u.diff(x), x))], boundary={x.left: sci.eq(u.diff(x), 3), x.right: sci.eq(u.diff(x), 5)})
    rates = np.asarray(sci.compile(sci.discretize(system, {x: FiniteVolume(20)})).rhs(0.0, np.linspace(1, 2, 20) ** 2))
    np.testing.assert_allclose(rates.sum() / 20, 2 * 5 - 1 * 3, rtol=1e-12)


def test_the_system_given_stays():
    system = sci.System([sci.eq(u.diff(t), u.diff(x, 2))], initial={u: x}, boundary={x.left: sci.eq(u, 0), x.right: sci.eq(u, 1)})
    before = (system.digest, repr(system))
    made = sci.discretize(system, {x: FiniteDifference(16)})
    assert (system.digest, repr(system)) == before and system.grid is None
    assert made.grid.declared is system and made.digest != system.digest
    assert made.digest == sci.discretize(system, {x: FiniteDifference(16)}).digest
    assert made.digest != sci.discretize(system, {x: FiniteDifference(17)}).digest


@pytest.mark.parametrize(
    "method",
    [
        lambda n: FiniteDifference(n, order=4),
        lambda n: FiniteVolume(n, flux="weno5"),
        lambda n: FiniteDifference(n, order=2, grid="chebyshev"),
        Chebyshev,
    ],
    ids=["differences", "volumes", "many-sizes", "chebyshev"],
)
def test_the_graph_does_not_grow(method):
    system = sci.System(
        [sci.eq(u.diff(t), sci.D((1 + u**2) * u.diff(x), x) - sci.D(u**2, x) + sci.integral(u, x))],
        boundary={x.left: sci.eq(u, sp.sin(t)), x.right: sci.eq(u.diff(x) + u**3, 0)},
    )
    small, large = (64, 4096) if method is not Chebyshev else (16, 64)
    counts = []
    for n in (small, large):
        (equation,) = sci.discretize(system, {x: method(n)}).equations
        counts.append(len(lower([equation.rhs]).ops))
    assert counts[0] == counts[1]


def test_the_graph_does_not_grow_on_a_ring():
    system = sci.System([sci.eq(w.diff(t), -w * w.diff(p) - w.diff(p, 3))])
    counts = [len(lower([sci.discretize(system, {p: Fourier(n)}).equations[0].rhs]).ops) for n in (64, 4096)]
    assert counts[0] == counts[1]
