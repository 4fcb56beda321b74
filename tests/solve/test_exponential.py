"""Exponential methods: phi functions, order on stiff problems, steps given and chosen, saving, derivatives, refusals.

The form in modes is made by hand here (`Fourier`, `Flat`): what a discretised System gives is tested with discretisation.
"""

import functools

import diffrax as dfx
import jax
import jax.numpy as jnp
import mpmath
import numpy as np
import pytest

import sciml as sci
from sciml.errors import SolveError
from sciml.solve import ETDRK4, Status
from sciml.solve.exponential import doubled, phi, phi_blocks

FLOAT32 = not jax.config.jax_enable_x64
needs_float64 = pytest.mark.skipif(FLOAT32, reason="errors below the rounding of float32")
REAL, COMPLEX = (jnp.float32, jnp.complex64) if FLOAT32 else (jnp.float64, jnp.complex128)
ROUNDING = 1e-5 if FLOAT32 else 1e-14
t = sci.t


# -- phi functions ------------------------------------------------------------------------------


def exact(k, z):
    """phi_k of one number with 40 digits."""
    with mpmath.workdps(60):
        z = mpmath.mpmathify(complex(z))
        if abs(z) < mpmath.mpf(10) ** -12:
            return complex(sum(z**n / mpmath.factorial(n + k) for n in range(4)))
        value = mpmath.exp(z)
        for j in range(k):
            value = (value - 1 / mpmath.factorial(j)) / z
        return complex(value)


def contour(k, z, points=32):
    """Kassam and Trefethen's mean over a circle."""
    around = z[:, None] + np.exp(2j * np.pi * (np.arange(points) + 0.5) / points)
    value = np.exp(around)
    for j in range(k):
        value = (value - 1 / mpmath.factorial(j)) / around if j > 1 else (value - 1) / around
    return value.mean(axis=1)


SIZES = np.concatenate([[0.0], np.logspace(-12, 3, 61), [0.99999, 1.0, 1.00001]])


@pytest.mark.parametrize("direction", [-1, 1j, -1j, np.exp(2.2j), np.exp(-1.7j)])
def test_phi_to_rounding(direction):
    """Relative to the size that phi has near: it has zeros of its own on the imaginary axis."""
    z = direction * SIZES
    given = jnp.asarray(z.real, REAL) if direction == -1 else jnp.asarray(z, COMPLEX)
    z = np.asarray(given, complex)
    for k, found in enumerate(phi(given)):
        expected = np.array([exact(k, v) for v in z])
        size = np.abs(expected) + (1 / (1 + np.abs(z)) if k else 1)
        rounded = np.abs(z) if k == 0 else 1.0  # exp of a rounded argument
        assert np.all(np.abs(np.asarray(found) - expected) <= ROUNDING * size * np.maximum(1, rounded)), k


@needs_float64
def test_phi_is_no_worse_than_the_contour():
    z = np.concatenate([-SIZES, 1j * SIZES[SIZES < 100]])
    for k, found in enumerate(phi(jnp.asarray(z, COMPLEX))):
        expected = np.array([exact(k, v) for v in z])
        ours, theirs = (np.abs(v - expected) / np.abs(expected).clip(1e-3) for v in (np.asarray(found), contour(k, z) if k else np.exp(z)))
        assert ours.max() <= max(theirs.max(), 1e-14)


@pytest.mark.parametrize("size", [0.0, 1e-9, 0.3, 7.0, 1e3])
def test_phi_of_blocks(size):
    """Against the scalar functions, by the eigenvectors of blocks that have them: diffusion, a wave, a damped wave."""
    rng = np.random.default_rng(3)
    vectors = rng.standard_normal((3, 3)) + 3 * np.eye(3)
    values = size * np.array([[-1.0, 1j, -0.5 + 0.9j], [-0.2, -1j, -1e-4], [0.0, 0.3j, -1.0]])
    blocks = np.einsum("ij,jk,jl->ilk", vectors, values, np.linalg.inv(vectors))
    for found, scalar in zip(phi_blocks(jnp.asarray(blocks, COMPLEX)), phi(jnp.asarray(values, COMPLEX)), strict=True):
        expected = np.einsum("ij,jk,jl->ilk", vectors, np.asarray(scalar), np.linalg.inv(vectors))
        np.testing.assert_allclose(np.asarray(found), expected, atol=ROUNDING * (100 + 10 * size))


def test_phi_of_a_block_without_eigenvectors():
    """[[a, b], [0, a]]: the corner is b phi'(a)."""
    a, b = np.array([0.0, 1e-3, -0.7, -40.0]), 2.0
    block = jnp.asarray(np.stack([np.stack([a, 0 * a + b]), np.stack([0 * a, a])]), REAL)
    slopes = [jax.vmap(jax.grad(lambda z, k=k: phi(z)[k]))(jnp.asarray(a, REAL)) for k in range(4)]
    for found, value, slope in zip(phi_blocks(block), phi(jnp.asarray(a, REAL)), slopes, strict=True):
        np.testing.assert_allclose(found[0, 0], value, rtol=100 * ROUNDING)
        np.testing.assert_allclose(found[0, 1], b * slope, rtol=100 * ROUNDING)
        assert np.all(np.asarray(found[1, 0]) == 0)


def test_phi_of_mixed_sizes_and_doubling(close):
    z = jnp.asarray([[[1e-8, -3.0, -1e6, 0.0]]], REAL)
    for found, scalar in zip(phi_blocks(z), phi(z), strict=True):
        close(found, scalar, rtol=1e-13)
    for found, whole in zip(doubled(phi(z / 2), lambda a, b: a * b), phi(z), strict=True):
        close(found, whole, rtol=1e-13)


@pytest.mark.parametrize("function", [phi, lambda z: tuple(p[0, 0] for p in phi_blocks(z[None, None]))])
def test_derivatives_of_phi(function, close):
    """Finite everywhere, forward and reverse."""
    z = jnp.asarray([0.0, 1e-9, -0.5, 0.999, 1.001, -30.0], REAL)
    for k in range(3):
        forward = jax.jvp(lambda z: function(z)[k], (z,), (jnp.ones_like(z),))[1]
        close(forward, jax.grad(lambda z: jnp.sum(function(z)[k]))(z), rtol=1e-12)
        assert np.isfinite(forward).all()
        if k == 0:
            close(forward, jnp.exp(z), rtol=1e-12)
        else:
            series = [sum((j + 1) * float(v) ** j / float(mpmath.factorial(j + 1 + k)) for j in range(60)) for v in z[:5]]
            close(forward[:5], series, rtol=1e-9)
    close(jax.grad(lambda z: phi(z)[3])(jnp.asarray(0.0, REAL)), 1 / 24)


# -- Systems in modes, by hand ------------------------------------------------------------------


class Flat:
    """The unknowns are the modes: `symbol(p)` (K,) real, (m, m, K) in blocks; `rest(t, y, p)`."""

    stiff_rest = False

    def __init__(self, shape, symbol, rest):
        self.shape, self.symbol, self.nonlinear, self.size = shape, symbol, rest, int(np.prod(shape))

    def to_modes(self, y):
        return y

    def from_modes(self, w):
        return w

    def groups(self, w):
        return (w.reshape(self.shape),)

    def flat(self, groups):
        return groups[0].reshape(-1)

    def symbols(self, p):
        return (self.symbol(p),)

    def rest(self, point):
        return self.flat((self.nonlinear(point.t, self.groups(point.y)[0], point.p),))


class Fourier:
    """m real fields on n points of a circle: w = (real parts, imaginary parts) of their Fourier coefficients."""

    stiff_rest = False

    def __init__(self, n, length, symbol, rest, m=1):
        self.n, self.m, self.wavenumbers = n, m, np.arange(n // 2 + 1) * 2 * np.pi / length
        self.symbol, self.nonlinear, self.half = symbol, rest, m * (n // 2 + 1)
        self.size = 2 * self.half

    def to_modes(self, y):
        return self.flat((jnp.fft.rfft(y.reshape(self.m, self.n)),))

    def from_modes(self, w):
        return jnp.fft.irfft(self.groups(w)[0], self.n).reshape(-1)

    def groups(self, w):
        return (jax.lax.complex(*(w[part].reshape(self.m, -1) for part in (slice(None, self.half), slice(self.half, None)))),)

    def flat(self, groups):
        return jnp.concatenate([groups[0].real.reshape(-1), groups[0].imag.reshape(-1)])

    def symbols(self, p):
        return (self.symbol(jnp.asarray(self.wavenumbers, p.dtype), p),)

    def rest(self, point):
        return self.flat((self.nonlinear(self.groups(point.y)[0], point.p),))


def square_flux(n, wavenumbers, factor):
    """factor times the x derivative of u^2, without the third of the modes that would be aliased."""
    weight = jnp.asarray(1j * wavenumbers * (np.arange(n // 2 + 1) < n // 3), COMPLEX)[None]
    return lambda w: factor * weight * jnp.fft.rfft(jnp.fft.irfft(w, n) ** 2)


def with_modes(name, modal, initial, **params):
    """A System whose equations are never used, and its form in modes."""
    u = sci.variables("u", shape=np.shape(initial), initial=np.asarray(initial))
    symbols = [sci.parameters(k, v) for k, v in params.items()]
    model = sci.compile(sci.System([sci.eq(u.diff(t), -sum(symbols, start=1) * u)], name=name))
    model.modal = modal
    return model


def grid(n, length):
    return np.arange(n) * length / n


@functools.cache
def burgers(n=64):
    x, length = grid(n, 2 * np.pi), 2 * np.pi
    k = np.arange(n // 2 + 1)
    flux = square_flux(n, k, -0.5)
    modal = Fourier(n, length, lambda k, p: -p[0] * (k * k)[None], lambda w, p: flux(w) * p[1].astype(w.dtype))
    return with_modes("burgers", modal, np.sin(x) + 0.5 * np.cos(2 * x), nu=0.05, speed=1.0)


@functools.cache
def kdv(n=256):
    length = 40.0
    flux = square_flux(n, np.arange(n // 2 + 1) * 2 * np.pi / length, -3.0)
    modal = Fourier(n, length, lambda k, p: jax.lax.complex(0 * k, p[0] * k**3)[None], lambda w, p: flux(w))
    return with_modes("korteweg_de_vries", modal, 2 / np.cosh(grid(n, length) - 15) ** 2, dispersion=1.0)


SYMBOLS = {
    "real": (np.array([[-1.0, -50.0, -3e3]]), (1, 3)),
    "growing": (np.array([[0.4, -5.0, 1.0]]), (1, 3)),
    "oscillating": (np.array([[[0.0, 1.0], [-1.0, 0.0]], [[0.0, 30.0], [-30.0, 0.0]]]).transpose(1, 2, 0), (2, 2)),
    "damped": (np.array([[[-5.0, 40.0], [-40.0, -500.0]], [[0.0, 1.0], [-100.0, -3.0]]]).transpose(1, 2, 0), (2, 2)),
}


@functools.cache
def forced(kind):
    """dy/dt = L y + N where y is slow, (cos(t + i))_i / (1 + |L_i|), as the fast modes of smooth solutions are; N has squares of y."""
    symbol, shape = SYMBOLS[kind]
    phase = np.arange(np.prod(shape), dtype=float).reshape(shape)
    size = 1 / (1 + (np.abs(symbol) if symbol.ndim == 2 else np.abs(symbol).sum(axis=1)))

    def rest(s, y, p):
        table, slow = jnp.asarray(symbol, REAL), jnp.asarray(size, REAL) * jnp.cos(s + jnp.asarray(phase, REAL))
        linear = table * slow if table.ndim == 2 else jnp.sum(table * slow[None], axis=1)
        rate = -jnp.asarray(size, REAL) * jnp.sin(s + jnp.asarray(phase, REAL))
        return rate - linear + jnp.roll(y, 1, axis=1) ** 2 - jnp.roll(slow, 1, axis=1) ** 2

    model = with_modes(kind, Flat(shape, lambda p: jnp.asarray(symbol, REAL) * p[0], rest), (size * np.cos(phase)).reshape(-1), rate=1.0)
    return model, lambda s: (size * np.cos(s + phase)).reshape(-1)


# -- order --------------------------------------------------------------------------------------


def end(model, span, **options):
    return np.asarray(sci.solve(model, t_span=(0, span), saveat="end", solver="etdrk4", **options)["u"][-1])


def orders(errors):
    return np.log2(np.array(errors[:-1]) / np.array(errors[1:]))


@needs_float64
@pytest.mark.parametrize("kind", SYMBOLS)
def test_order_4_for_stiff_linear_parts(kind):
    model, solution = forced(kind)
    errors = [np.abs(end(model, 1.0, dt=dt) - solution(1.0)).max() for dt in (1 / 8, 1 / 16, 1 / 32)]
    assert errors[0] < 1e-4
    assert orders(errors)[-1] > 3.7, errors


@needs_float64
@pytest.mark.parametrize("kind", SYMBOLS)
def test_chosen_steps_follow_a_transient(kind):
    """A start far from the slow solution: the fastest mode decays in 1e-3."""
    model, _ = forced(kind)
    start = {"u": np.ones_like(model.initial["u"])}
    reference = sci.solve(model, t_span=(0, 1), initial=start, saveat="end", solver="etdrk4", rtol=1e-11, atol=1e-13)["u"][-1]
    for rtol in (1e-4, 1e-6, 1e-8):
        sol = sci.solve(model, t_span=(0, 1), initial=start, saveat="end", solver="etdrk4", rtol=rtol, atol=1e-3 * rtol)
        assert np.linalg.norm(sol["u"][-1] - reference) < 10 * rtol * np.linalg.norm(reference)


@needs_float64
def test_the_soliton_of_korteweg_and_de_vries():
    """c = 4 on L = 40: phi functions without their imaginary part give an error of 0.5."""
    x = grid(256, 40.0)
    exact = 2 / np.cosh(x - 15 - 8) ** 2
    errors = [np.linalg.norm(end(kdv(), 2.0, dt=dt) - exact) / np.linalg.norm(exact) for dt in (0.01, 0.005, 0.0025)]
    assert errors[0] <= 3e-4
    assert (orders(errors) > 3.8).all()


@needs_float64
@pytest.mark.parametrize("make", [burgers, kdv, lambda: forced("real")[0], lambda: forced("damped")[0]])
def test_chosen_steps_keep_the_tolerance(make):
    model = make()
    reference = end(model, 1.0, dt=2.5e-4)
    for rtol in (1e-4, 1e-6, 1e-8):
        sol = sci.solve(model, t_span=(0, 1.0), saveat="end", solver="etdrk4", rtol=rtol, atol=1e-3 * rtol)
        error = np.linalg.norm(np.asarray(sol["u"][-1]) - reference) / np.linalg.norm(reference)
        assert error < 10 * rtol, (rtol, error, sol.stats)
        assert sol.stats["steps"] < 3000


def test_a_linear_problem_is_exact_in_few_steps(close):
    symbol = np.array([[-1.0, -1e6, -1e-3]])
    model = with_modes("linear", Flat((1, 3), lambda p: jnp.asarray(symbol, REAL), lambda s, y, p: 0 * y), np.array([1.0, 2.0, 3.0]))
    sol = sci.solve(model, t_span=(0, 1), saveat=11)
    close(sol["u"], np.array([1.0, 2.0, 3.0]) * np.exp(symbol * np.linspace(0, 1, 11)[:, None]), rtol=1e-12, atol=1e-300)
    assert sol.stats["steps"] < 10


# -- saving -------------------------------------------------------------------------------------

TIMES = np.array([0.0, 0.013, 0.25, 0.4999, 0.77, 1.0])


@pytest.fixture(scope="module")
def reference():
    return np.asarray(sci.solve(burgers(), t_span=(0, 1), saveat=TIMES, dt=1e-3 if FLOAT32 else 2e-4)["u"])


@pytest.mark.parametrize("options", [{"dt": 0.01}, {"rtol": 1e-6, "atol": 1e-9} if not FLOAT32 else {}])
def test_times_inside_steps(options, reference):
    sol = sci.solve(burgers(), t_span=(0, 1), saveat=TIMES, **options)
    np.testing.assert_allclose(sol["u"], reference, atol=3e-3 if FLOAT32 else 1e-5)
    np.testing.assert_allclose(sol.t, TIMES, rtol=1e-6)


@pytest.mark.parametrize("options", [{"dt": 0.01}, {}])
def test_dense_and_steps(options, reference):
    sol = sci.solve(burgers(), t_span=(0, 1), dense=True, saveat="end", **options)
    np.testing.assert_allclose(sol(TIMES)["u"], reference, atol=3e-3 if FLOAT32 else 1e-5)
    steps = sci.solve(burgers(), t_span=(0, 1), saveat="steps", **options)
    assert len(steps.t) == steps.stats["accepted"] + 1
    np.testing.assert_allclose(steps["u"][-1], reference[-1], atol=3e-3 if FLOAT32 else 1e-5)
    middle = len(steps.t) // 2
    np.testing.assert_allclose(sol(steps.t[middle])["u"], steps["u"][middle], atol=1e-5)


def test_even_times_are_ends_of_equal_steps(reference):
    sol = sci.solve(burgers(), t_span=(0, 1), saveat=5, dt=0.03)
    assert sol.stats["steps"] == 36 and sol.stats["rejected"] == 0 and sol.stats["rhs"] == 4 * 36 + 1
    one = sci.solve(burgers(), t_span=(0, 1), saveat="end", dt=1 / 36)
    np.testing.assert_allclose(sol["u"][-1], one["u"][-1], rtol=1e-4 if FLOAT32 else 1e-12)
    np.testing.assert_allclose(sol["u"][0], reference[0], atol=1e-6)
    np.testing.assert_allclose(sol["u"][1], reference[2], atol=3e-3 if FLOAT32 else 1e-4)


def test_backwards_and_spans_that_are_no_multiple_of_the_step():
    model, _ = forced("growing")
    back = sci.solve(model, t_span=(1.0, 0.0), initial={"u": end(model, 1.0, dt=0.01)}, saveat="end", solver="etdrk4", dt=0.03)
    np.testing.assert_allclose(back["u"][-1], model.initial["u"], atol=1e-3)
    assert back.stats["steps"] == 34


# -- derivatives --------------------------------------------------------------------------------

WAYS = [
    {"dt": 0.02, "saveat": 6},
    {"dt": 0.02, "saveat": "end"},
    {"dt": 0.02, "saveat": np.array([0.011, 0.2, 0.333])},
    {"saveat": 6},
    {"saveat": np.array([0.011, 0.2, 0.333])},
]


@pytest.mark.parametrize(
    "options", WAYS, ids=lambda o: f"{'given' if 'dt' in o else 'chosen'}-{o['saveat'] if not np.ndim(o['saveat']) else 'times'}"
)
def test_derivatives_both_ways(options):
    model = burgers(16)
    start = np.asarray(model.initial["u"])
    weight = jnp.cos(jnp.arange(16, dtype=REAL))
    tight = {} if "dt" in options or FLOAT32 else {"rtol": 1e-10, "atol": 1e-12}

    def loss(q):
        nu, speed, u, last = q
        sol = sci.solve(model, t_span=(0, last), params={"nu": nu, "speed": speed}, initial={"u": u}, solver="etdrk4", **options, **tight)
        return jnp.sum(sol["u"] ** 2 * weight[None])

    q = [jnp.asarray(v, REAL) for v in (0.05, 1.0, start, 0.41)]
    reverse = jax.jit(jax.grad(loss))(q)
    forward = jax.jit(jax.jacfwd(loss))(q)
    for a, b in zip(reverse, forward, strict=True):
        np.testing.assert_allclose(a, b, rtol=2e-3 if FLOAT32 else 1e-9, atol=1e-3 if FLOAT32 else 1e-10)
    if FLOAT32:
        return
    for i, at in ((0, ()), (1, ()), (2, (3,)), (3, ())):
        e = 1e-5 * (abs(float(q[i][at])) + 0.1)
        up, down = (float(loss([v if j != i else v.at[at].add(s * e) for j, v in enumerate(q)])) for s in (1, -1))
        np.testing.assert_allclose(reverse[i][at], (up - down) / (2 * e), rtol=1e-5, atol=1e-7)


@needs_float64
@pytest.mark.parametrize("kind", SYMBOLS)
def test_derivatives_by_the_symbol(kind):
    model, _ = forced(kind)
    loss = lambda rate: jnp.sum(sci.solve(model, t_span=(0, 0.5), params={"rate": rate}, solver="etdrk4", dt=0.02, saveat="end")["u"] ** 2)
    reverse, forward = jax.grad(loss)(1.1), jax.jacfwd(loss)(1.1)
    np.testing.assert_allclose(reverse, forward, rtol=1e-9)
    np.testing.assert_allclose(reverse, (loss(1.1 + 1e-5) - loss(1.1 - 1e-5)) / 2e-5, rtol=1e-5, atol=1e-8)


@needs_float64
@pytest.mark.slow
@pytest.mark.parametrize("options", [{"dt": 0.02, "dense": True}, {"dense": True}, {"saveat": "steps"}])
def test_derivatives_of_dense_and_steps(options):
    model = burgers(16)

    def loss(nu):
        sol = sci.solve(model, t_span=(0, 0.4), params={"nu": nu}, solver="etdrk4", rtol=1e-9 if "dt" not in options else None, **options)
        return jnp.nansum((sol(jnp.array([0.123, 0.37])) if "dense" in options else sol)["u"] ** 2)

    reverse, forward = jax.grad(loss)(0.05), jax.jacfwd(loss)(0.05)
    np.testing.assert_allclose(reverse, forward, rtol=1e-9)
    if "dense" in options:
        np.testing.assert_allclose(reverse, (loss(0.05 + 1e-5) - loss(0.05 - 1e-5)) / 2e-5, rtol=1e-5)


@needs_float64
def test_derivatives_over_more_steps_than_are_kept():
    """2500 steps: three of them between two states that are kept."""
    model, _ = forced("real")
    loss = lambda rate: jnp.sum(sci.solve(model, t_span=(0, 1), params={"rate": rate}, solver="etdrk4", dt=1 / 2500, saveat=3)["u"] ** 2)
    reverse = jax.grad(loss)(1.0)
    np.testing.assert_allclose(reverse, jax.jacfwd(loss)(1.0), rtol=1e-9)
    np.testing.assert_allclose(reverse, (loss(1 + 1e-4) - loss(1 - 1e-4)) / 2e-4, rtol=1e-4, atol=1e-10)


# -- lanes, programs, failures -------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize(
    "options", [{"dt": 0.02, "saveat": 5}, {"dt": 0.02, "saveat": "end"}, {"saveat": 5}, {"dt": 0.02, "saveat": np.array([0.05, 0.33])}]
)
def test_lanes_do_not_disturb_each_other(options):
    model = burgers(16)
    solve = lambda nu, last: sci.solve(model, t_span=(0, last), params={"nu": nu}, solver="etdrk4", throw=False, **options)["u"]
    nus, lasts = jnp.asarray([0.02, 0.3, 1.0], REAL), jnp.asarray([0.4, 0.35, 1.0], REAL)
    together = jax.jit(jax.vmap(solve))(nus, lasts)
    for i in range(3):
        np.testing.assert_allclose(together[i], solve(nus[i], lasts[i]), rtol=1e-3 if FLOAT32 else 1e-9, atol=1e-4 if FLOAT32 else 1e-10)
    loss = lambda nu: jnp.sum(solve(nu, jnp.asarray(0.4, REAL)) ** 2)
    slopes = jax.vmap(jax.grad(loss))(nus)
    np.testing.assert_allclose(slopes[1], jax.grad(loss)(nus[1]), rtol=1e-2 if FLOAT32 else 1e-8)


def test_other_numbers_are_the_same_program():
    model = burgers(32)
    first = sci.solve(model, t_span=(0, 1), dt=0.1, saveat=4)
    program = first._program
    before = program.traces
    for dt, nu, last in ((0.05, 0.1, 1.0), (0.01, 0.2, 2.0)):
        sol = sci.solve(model, t_span=(0, last), dt=dt, saveat=4, params={"nu": nu})
        assert sol._program is program and sol.stats["steps"] >= last / dt - 1e-6
    assert program.traces == before == 1


def exploding():
    return with_modes("exploding", Flat((1, 2), lambda p: jnp.asarray([[-1.0, -100.0]], REAL), lambda s, y, p: 5 * y**2), np.array([1.0, 1.0]))


def test_what_blows_up_is_named():
    with pytest.raises(SolveError, match=r"NaN or infinite.*'u'"):
        sci.solve(exploding(), t_span=(0, 5), solver="etdrk4", dt=0.01)
    sol = sci.solve(exploding(), t_span=(0, 5), solver="etdrk4", dt=0.01, saveat=11, throw=False)
    assert sol.status == Status.nonfinite
    assert np.isfinite(sol["u"][0]).all() and np.isnan(sol["u"][-1]).all()
    assert sol.stats["steps"] < 100
    with pytest.raises(SolveError, match="'u'"):
        sci.solve(exploding(), t_span=(0, 5), solver="etdrk4")
    with pytest.raises(SolveError, match="max_steps=100"):
        sci.solve(burgers(), t_span=(0, 1), dt=0.01, max_steps=10)


# -- the choice ---------------------------------------------------------------------------------


def test_auto_takes_it_where_it_pays():
    stats = sci.solve(burgers(), t_span=(0, 0.1)).stats
    assert stats["solver"] == "etdrk4" and "modes" in stats["reason"] and stats["jacobians"] == 0
    assert sci.solve(burgers(), t_span=(0, 0.1), dt=0.01).stats["solver"] == "etdrk4"
    assert sci.solve(forced("growing")[0], t_span=(0, 0.1)).stats["solver"] == "auto"  # not stiff
    assert sci.solve(burgers(), t_span=(0, 0.1), solver="tsit5").stats["solver"] == "tsit5"
    assert sci.solve(burgers(), t_span=(0, 0.1), adjoint="checkpoint", solver="dopri5").stats["solver"] == "dopri5"
    assert sci.solve(burgers(), t_span=(0, 0.1), adjoint="backsolve").stats["solver"] == "auto"


def test_refusals_name_the_cure():
    z, b = sci.variables("z", initial=1.0), sci.variables("b", initial=1.0, bounds=(0, 2))
    plain = sci.System([sci.eq(z.diff(t), -z)], name="plain")
    with pytest.raises(SolveError, match=r"(?s)'etdrk4'.*'plain'.*coefficients are numbers or parameters.*solver=\"auto\""):
        sci.solve(plain, t_span=(0, 1), solver="etdrk4")
    with pytest.raises(SolveError, match='solver="etdrk4"'):
        sci.solve(plain, t_span=(0, 1), solver=ETDRK4(jnp.ones(1)))
    with pytest.raises(SolveError, match='adjoint="auto"'):
        sci.solve(burgers(), t_span=(0, 1), solver="etdrk4", adjoint="backsolve")
    xi = sci.white_noise("xi")
    noisy = sci.System([sci.eq(z.diff(t), -z + xi)], name="noisy")
    with pytest.raises(SolveError, match="noise"):
        sci.solve(noisy, t_span=(0, 1), solver="etdrk4", key=jax.random.key(0))
    bounded = sci.compile(sci.System([sci.eq(b.diff(t), -b)]))
    bounded.modal = Flat((1, 1), lambda p: -jnp.ones((1, 1), REAL), lambda s, y, p: 0 * y)
    with pytest.raises(SolveError, match="bounds= of 'b'"):
        sci.solve(bounded, t_span=(0, 1), solver="etdrk4")


# -- as a diffrax solver --------------------------------------------------------------------------


def test_in_diffrax():
    """Modes of a heat equation with a forcing; values inside steps; a derivative."""
    rates = jnp.asarray([1.0, 30.0, 1e5], REAL)
    term = dfx.ODETerm(lambda s, y, args: args * rates * jnp.cos(s) - jnp.sin(s))
    control = dfx.PIDController(rtol=1e-6 if not FLOAT32 else 1e-4, atol=1e-6)

    def solve(scale):
        times = jnp.asarray([0.3, 0.777, 1.0], REAL)
        ends = jnp.asarray([0.0, 1.0], REAL)
        return dfx.diffeqsolve(
            term, ETDRK4(-rates), ends[0], ends[1], None, jnp.ones(3, REAL), scale, saveat=dfx.SaveAt(ts=times), stepsize_controller=control
        )

    sol = solve(jnp.asarray(1.0, REAL))
    np.testing.assert_allclose(sol.ys, np.cos(np.array([0.3, 0.777, 1.0]))[:, None] * np.ones(3), atol=2e-5 if not FLOAT32 else 2e-3)
    assert sol.stats["num_steps"] < 100
    slope = jax.grad(lambda scale: jnp.sum(solve(scale).ys))(jnp.asarray(1.0, REAL))
    e = 1e-3
    difference = sum(s * jnp.sum(solve(jnp.asarray(1 + s * e, REAL)).ys) for s in (1, -1)) / (2 * e)
    np.testing.assert_allclose(slope, difference, rtol=1e-2 if FLOAT32 else 1e-4)


@needs_float64
@pytest.mark.filterwarnings("ignore:Complex dtype")
def test_in_diffrax_with_complex_modes():
    """The soliton in Fourier coefficients, at a step without control."""
    n, length = 256, 40.0
    k = np.arange(n // 2 + 1) * 2 * np.pi / length
    flux, x = square_flux(n, k, -3.0), grid(n, length)
    start = jnp.fft.rfft(jnp.asarray(2 / np.cosh(x - 15) ** 2))
    term = dfx.ODETerm(lambda s, w, args: flux(w[None])[0])
    sol = dfx.diffeqsolve(term, ETDRK4(1j * k**3), 0.0, 2.0, 0.01, start)
    exact = 2 / np.cosh(x - 23) ** 2
    assert np.linalg.norm(jnp.fft.irfft(sol.ys[-1], n) - exact) / np.linalg.norm(exact) < 3e-4


def test_a_symbol_of_another_shape_is_refused():
    with pytest.raises(ValueError, match=r"ETDRK4\(jnp.broadcast_to"):
        dfx.diffeqsolve(dfx.ODETerm(lambda s, y, args: y), ETDRK4(jnp.ones(2)), 0.0, 1.0, 0.1, jnp.ones(3))
