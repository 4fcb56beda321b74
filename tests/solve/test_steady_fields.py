"""Stationary problems and steady states of discretised Systems: closed forms, many unknowns, derivatives, what is refused."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import sympy as sp

import sciml as sci
from sciml.errors import SolveError
from sciml.solve.rest_fields import LARGE

t = sci.t
x, y = sci.space("x", 0, 1), sci.space("y", 0, 1)
p, q = (sci.space(n, 0, 2 * sp.pi, periodic=True) for n in "pq")
u = sci.fields("u", t, x)
w = sci.fields("w", x)  # of space alone
z = sci.fields("z", x, y)
c = sci.parameters("c", 1.5)
FLOAT32 = not jax.config.jax_enable_x64
sin, cos, exp, pi = sp.sin, sp.cos, sp.exp, sp.pi
FD, FV = sci.FiniteDifference, sci.FiniteVolume
SIDES = (x.left, x.right, y.left, y.right)

pytestmark = pytest.mark.filterwarnings("ignore:At x")  # initial values that conditions contradict


def points(n):
    return np.linspace(0, 1, n)


def both(n):
    return np.meshgrid(points(n), points(n), indexing="ij")


def around(condition):
    return {side: condition for side in SIDES}


def program(rest):
    return rest._program


@functools.cache
def heated(n):
    """u_t = (k u_x)_x - c u^3 + 1 with a flux at the right."""
    k = sci.parameters("k", 1 + x**2, over=x)
    made = sci.System(
        [sci.eq(u.diff(t), sci.D(k * u.diff(x), x) - c * u**3 + 1)],
        initial={u: 0},
        boundary={x.left: sci.eq(u, 0), x.right: sci.eq(u.diff(x), c)},
        name="heated",
    )
    return sci.discretize(made, {x: FD(n)})


@functools.cache
def plane(n):
    """A nonlinear equation with the solution sin(pi x) sin(pi y)."""
    exact = sin(pi * x) * sin(pi * y)
    made = sci.System([sci.eq(z.diff(x, 2) + z.diff(y, 2) - c * z**3, -2 * pi**2 * exact - c * exact**3)], boundary=around(sci.eq(z, 0)))
    return sci.discretize(made, {x: FD(n), y: FD(n)})


# -- closed forms ------------------------------------------------------------------------------


@pytest.mark.parametrize("field", [u, w], ids=["of time and space", "of space"])
@pytest.mark.parametrize("right", [sci.eq(w, 1), sci.eq(w.diff(x), 1)], ids=["value", "slope"])
def test_poisson_on_an_interval(field, right, close):
    """No unknown is left: the modes solve it."""
    conditions = {x.left: sci.eq(field, 0), x.right: right.map(lambda e: e.subs(w, field).doit())}
    poisson = sci.discretize(sci.System([sci.eq(-field.diff(x, 2), c * sin(pi * x))], boundary=conditions), {x: FD(33, order=4)})
    rest = sci.steady_state(poisson)
    slope = 1.0 if right.lhs == w else 1 + 1.5 / np.pi
    close(rest[field], slope * points(33) + 1.5 * np.sin(np.pi * points(33)) / np.pi**2, atol=1e-5)
    assert rest.successful and rest[field].shape == (33,) and "SteadyState" in repr(rest)
    found = jax.grad(lambda v: sci.steady_state(poisson, params={"c": v})[field][16])(1.5)
    close(found, (rest[field][16] - 0.5) / 1.5, rtol=1e-6)


def test_poisson_on_a_square(close):
    exact = sin(pi * x) * y * (1 - y)
    right = sp.expand(exact.diff(x, 2) + exact.diff(y, 2))
    poisson = sci.discretize(sci.System([sci.eq(sci.laplacian(z), right)], boundary=around(sci.eq(z, 0))), {x: sci.Chebyshev(16), y: FD(16)})
    rest = sci.steady_state(poisson)
    X, Y = np.meshgrid((1 - np.cos(np.pi * points(16))) / 2, points(16), indexing="ij")
    close(rest[z], np.sin(np.pi * X) * Y * (1 - Y), atol=1e-6)
    assert rest.to_xarray()["z"].dims[-2:] == ("x", "y")


def test_mixed_conditions_on_a_square(close):
    exact = cos(pi * x) * sin(pi * y / 2)
    no_slope = {s: sci.eq(z.diff(x), 0) for s in (x.left, x.right)}
    made = sci.System([sci.eq(sci.laplacian(z), -1.25 * pi**2 * exact)], boundary={**no_slope, y.left: sci.eq(z, 0), y.right: sci.eq(z.diff(y), 0)})
    X, Y = np.meshgrid((np.arange(24) + 0.5) / 24, (np.arange(24) + 0.5) / 24, indexing="ij")
    close(sci.steady_state(sci.discretize(made, {x: FV(24), y: FV(24)}))[z], np.cos(np.pi * X) * np.sin(np.pi * Y / 2), atol=3e-3)


def test_a_periodic_equation_is_solved_with_mean_zero_and_only_then(close):
    P, A = sci.fields("P", p), sci.parameters("A", 0.0)
    poisson = sci.discretize(sci.System([sci.eq(P.diff(p, 2), cos(p) + A)], name="ring"), {p: sci.Fourier(32)})
    close(sci.steady_state(poisson)[P], -np.cos(np.arange(32) * np.pi / 16), atol=1e-12)
    with pytest.raises(SolveError, match=r"No field fulfils.*mean.*Subtract it"):
        sci.steady_state(poisson, params={"A": 1.0})
    assert not sci.steady_state(poisson, params={"A": 1.0}, throw=False).successful


def test_nothing_to_solve_in_time():
    for system in (sci.System([sci.eq(w.diff(x, 2), 1)], boundary={s: sci.eq(w, 0) for s in (x.left, x.right)}), None):
        made = plane(16) if system is None else sci.discretize(system, {x: FD(16)})
        with pytest.raises(SolveError, match=r"nothing to solve in time. Write sci.steady_state\(system\)"):
            sci.solve(made, t_span=(0, 1))


@pytest.mark.parametrize("n", [33, LARGE + 101])
def test_bratu(n, close):
    """u'' + exp(u) = 0 has u = 2 log(cosh(s/4)/cosh(s (x - 1/2)/2)) with s = sqrt(2) cosh(s/4)."""
    lower = sci.discretize(sci.System([sci.eq(w.diff(x, 2) + exp(w), 0)], boundary={s: sci.eq(w, 0) for s in (x.left, x.right)}), {x: FD(n)})
    s = 1.5171645990508
    rest = sci.steady_state(lower)
    close(rest[w], 2 * np.log(np.cosh(s / 4) / np.cosh(s * (points(n) - 0.5) / 2)), atol=2.0 / n**2)
    assert program(rest).large == (n > LARGE)


# -- from a System in time ------------------------------------------------------------------------


def test_ends_that_conditions_determine_are_held(close):
    heat = sci.System([sci.eq(u.diff(t), u.diff(x, 2) + sin(pi * x))], initial={u: 0.3}, boundary={x.left: sci.eq(u, 0), x.right: sci.eq(u, 1)})
    grid = sci.discretize(heat, {x: FD(33)})
    assert sci.compile(grid).stale.tolist() == [0, 32]
    rest = sci.steady_state(grid)
    close(rest[u], points(33) + np.sin(np.pi * points(33)) / np.pi**2, atol=1e-4)
    close(rest[u.diff(t)][1:-1], np.zeros(31), atol=1e-9 if not FLOAT32 else 1e-3)


def test_an_end_with_a_rate_of_its_own_is_not_held(close):
    """A body at the right side that cools to 2: at rest the flux into it is what it loses."""
    heat = sci.System(
        [sci.eq(u.diff(t), u.diff(x, 2))], initial={u: 0}, boundary={x.left: sci.eq(u, 0), x.right: sci.eq(u.diff(t), -u.diff(x) - 3 * (u - 2))}
    )
    grid = sci.discretize(heat, {x: FD(21)})
    assert sci.compile(grid).stale.tolist() == [0]
    close(sci.steady_state(grid)[u], 1.5 * points(21), atol=1e-6)


@pytest.mark.parametrize("n", [33, LARGE // 2 + 101])
def test_a_wave_equation_rests(n, close):
    damped = sci.System(
        [sci.eq(u.diff(t, 2), u.diff(x, 2) - u.diff(t) + pi**2 * sin(pi * x))],
        initial={u: 0, u.diff(t): 1},
        boundary={x.left: sci.eq(u, 0), x.right: sci.eq(u, 1)},
    )
    rest = sci.steady_state(sci.discretize(damped, {x: FD(n)}))
    close(rest[u], points(n) + np.sin(np.pi * points(n)), atol=2.0 / n**2)
    assert program(rest).large == (2 * n > LARGE)


@functools.cache
def reacting():
    """No flux at the sides: diffusion alone leaves the mean open, the reaction closes it."""
    v, D = sci.fields("v", t, x, y), sci.parameters("D", 0.3)
    boundary = {s: sci.eq(v.diff(x if s in (x.left, x.right) else y), 0) for s in SIDES}
    rate = D * sci.laplacian(v) + v * (1 - v) + c * cos(pi * x) * cos(pi * y) / 10
    made = [sci.System([sci.eq(v.diff(t), r)], initial={v: 0.9}, boundary=boundary, name="reacting") for r in (rate, rate - v * (1 - v))]
    return [sci.discretize(m, {x: FV(24), y: FV(24)}) for m in made]


def test_a_reaction_and_diffusion(close):
    grid = reacting()[0]
    rest = sci.steady_state(grid)
    assert program(rest).large and rest["v"].shape == (24, 24)
    close(rest["v"].mean(), 1.0, rtol=1e-2)
    model = sci.compile(grid)
    close(model.rhs(0.0, {"v": rest["v"]})["v"], np.zeros((24, 24)), atol=1e-10 if not FLOAT32 else 2e-3)


def test_a_constant_that_stays_open_is_told():
    with pytest.raises(SolveError, match=r"singular.*along 'v'.*open by a constant"):
        sci.steady_state(reacting()[1])


# -- many unknowns -----------------------------------------------------------------------------------


def test_many_unknowns_on_a_square(close):
    rest = sci.steady_state(plane(40))
    X, Y = both(40)
    close(rest[z], np.sin(np.pi * X) * np.sin(np.pi * Y), atol=1e-3)
    assert program(rest).large and rest.stats["newton"] <= 6


def test_no_array_has_the_size_of_the_jacobian():
    grid = plane(128)
    X, Y = both(128)
    assert np.max(np.abs(sci.steady_state(grid)[z] - np.sin(np.pi * X) * np.sin(np.pi * Y))) < (1e-4 if not FLOAT32 else 1e-3)
    text = str(jax.make_jaxpr(jax.value_and_grad(lambda v: sci.steady_state(grid, params={"c": v})["z"].sum()))(1.5))
    assert f"{128**2},{128**2}" not in text


@pytest.mark.parametrize("kind", ["variable", "nonlinear"])
def test_coefficients_that_vary_on_a_square(kind, close):
    """Modes of a neighbour with constant coefficients precondition it."""
    k = sci.parameters("k", 1 + x**2 + y, over=(x, y))
    coefficient = k if kind == "variable" else 1 + z**2
    exact = x * (1 - x) * sin(pi * y)
    flux = (1 + x**2 + y) if kind == "variable" else 1 + exact**2
    right = sum((flux * exact.diff(s)).diff(s) for s in (x, y))
    made = sci.System([sci.eq(sum(sci.D(coefficient * z.diff(s), s) for s in (x, y)), right)], boundary=around(sci.eq(z, 0)))
    rest = sci.steady_state(sci.discretize(made, {x: FD(32), y: FD(32)}))
    X, Y = both(32)
    close(rest[z], X * (1 - X) * np.sin(np.pi * Y), atol=1e-3)
    assert program(rest).large


def test_continuation_with_many_unknowns(close):
    """Newton's method runs away where tanh is flat."""
    grid = sci.discretize(
        sci.System([sci.eq(u.diff(t), u.diff(x, 2) / 100 + 0.5 - sp.tanh(u - 1))], boundary={s: sci.eq(u.diff(x), 0) for s in (x.left, x.right)}),
        {x: FD(LARGE + 1)},
    )
    rest = sci.steady_state(grid, initial={"u": 30.0})
    close(rest[u], np.full(LARGE + 1, 1 + np.arctanh(0.5)), rtol=1e-6)
    assert rest.stats["pseudo_transient"] > 0


# -- derivatives ------------------------------------------------------------------------------------------


@pytest.mark.skipif(FLOAT32, reason="differences of single precision numbers")
@pytest.mark.parametrize("n", [41, LARGE + 101])
def test_derivatives_by_a_parameter_field(n, close):
    base, along = 1 + points(n) ** 2, np.cos(3 * points(n))

    def mean(k):
        return jnp.mean(sci.steady_state(heated(n), params={"k": k})["u"] ** 2)

    backward = jax.jit(jax.grad(mean))(jnp.asarray(base)) @ along
    forward = jax.jvp(mean, (jnp.asarray(base),), (jnp.asarray(along),))[1]
    close(forward, backward, rtol=1e-9)
    close(forward, (mean(base + 1e-4 * along) - mean(base - 1e-4 * along)) / 2e-4, rtol=1e-6)


@pytest.mark.skipif(FLOAT32, reason="differences of single precision numbers")
@pytest.mark.parametrize("grid", [lambda: plane(40), lambda: reacting()[0]], ids=["stationary", "at rest"])
def test_derivatives_by_numbers(grid, close):
    def total(v):
        rest = sci.steady_state(grid(), params={"c": v})
        return jnp.sum(rest[next(iter(rest.model.layout.states))] ** 2)

    close(jax.jit(jax.grad(total))(1.5), jax.jacfwd(total)(1.5), rtol=1e-9)
    close(jax.jacfwd(total)(1.5), (total(1.5001) - total(1.4999)) / 2e-4, rtol=1e-5)


def test_a_batch(close):
    found = jax.jit(jax.vmap(lambda v: sci.steady_state(heated(LARGE + 101), params={"c": v})))(jnp.array([1.0, 1.5]))
    assert found["u"].shape == (2, LARGE + 101)
    close(found["u"][1], sci.steady_state(heated(LARGE + 101))["u"], rtol=1e-8, atol=1e-9)


def test_a_formula_needs_no_start(close):
    made = sci.System([sci.eq(w.diff(x, 2), -c)], boundary={s: sci.eq(w, 0) for s in (x.left, x.right)}, observed={"total": sci.integral(w, x)})
    grid = sci.discretize(made, {x: FD(33)})
    rest = sci.steady_state(grid, guess={"w": 1.0})
    assert rest.stats["solver"] == "modes" and rest.to_pandas().shape == (1, 34)
    totals = jax.jit(jax.vmap(lambda v: sci.steady_state(grid, params={"c": v})["total"]))(jnp.array([1.0, 3.0]))
    close(totals, [1 / 12, 3 / 12], rtol=1e-2)
    with pytest.raises(sci.errors.NameUnknown, match="'v'"):
        sci.steady_state(grid, guess={"v": 1.0})
