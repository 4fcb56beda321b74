"""Each method alone: its order on problems with known solutions, its polynomial, and the same method inside diffrax."""

import dataclasses
import functools

import diffrax as dfx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from sciml.codegen import Sparsity
from sciml.solve.engine import at_theta
from sciml.solve.linear import DenseAlgebra
from sciml.solve.methods import RODAS5P, ROSENBROCK23, TSIT5, Rhs
from sciml.solve.rosenbrock import Rodas5P, Rosenbrock23

pytestmark = pytest.mark.skipif(not jax.config.jax_enable_x64, reason="orders are seen in float64 only")
METHODS = {"tsit5": (TSIT5, 5, 4), "rodas5p": (RODAS5P, 5, 4), "rosenbrock23": (ROSENBROCK23, 2, 2)}
STIFF = ["rodas5p", "rosenbrock23"]


def rhs_of(f, n, mass=None, autonomous=False):
    full, differential = np.ones((n, n), bool), np.ones(n, bool) if mass is None else np.zeros(n, bool)
    sparsity = Sparsity(full, np.arange(n), autonomous)
    return Rhs(f, f, None if mass is None else jnp.asarray(mass), DenseAlgebra.of(sparsity, full, differential))


@functools.partial(jax.jit, static_argnums=(0, 1, 4))
def steps(method, rhs, y, span, count):
    """(end, the state in the middle of each step by the polynomial)."""
    h = span / count

    def one(i, state):
        y, middles = state
        t = i * h
        step = method.step(rhs, t, y, h, rhs.f(t, y))
        return step.y1, middles.at[i].set(at_theta(y, step.polynomial(), 0.5))

    return jax.lax.fori_loop(0, count, one, (y, jnp.zeros((count, len(y)))))


def decay():
    return rhs_of(lambda t, y: -y, 1, autonomous=True), lambda t: np.exp(-t)[..., None], 2.0


def forced(rate):
    """y' = -rate*(y - cos t) on its smooth solution."""
    r = rate
    return rhs_of(lambda t, y: -r * (y - jnp.cos(t)), 1), lambda t: ((r**2 * np.cos(t) + r * np.sin(t)) / (1 + r**2))[..., None], 2.0


def constrained():
    """x' - z' = -x + z/2, 0 = z - 2x*(1 + t): a mass matrix that is singular, and an algebraic row that holds the time."""
    mass = np.array([[1.0, -1.0], [0.0, 0.0]])
    f = lambda t, y: jnp.stack([-y[0] + y[1] / 2, y[1] - 2 * y[0] * (1 + t)])

    def exact(t):
        """(1 - 2(1 + t)) x' - 2x = -x + (1 + t) x, so that x' = -x (2 + t)/(1 + 2t): x = exp(-t/2) (1 + 2t)^(-3/4)."""
        x = np.exp(-t / 2) * (1 + 2 * t) ** -0.75
        return np.stack([x, 2 * x * (1 + t)], axis=-1)

    return rhs_of(f, 2, mass), exact, 1.0


PROBLEMS = {"decay": decay, "forced": lambda: forced(2.0), "forced and stiff": lambda: forced(50.0), "constrained": constrained}


def errors(name, problem, counts):
    method = METHODS[name][0]
    rhs, exact, span = PROBLEMS[problem]()
    found = []
    for count in counts:
        end, middles = steps(method, rhs, jnp.asarray(exact(np.array(0.0))), span, count)
        times = (np.arange(count) + 0.5) * span / count
        found.append((np.abs(end - exact(np.array(span))).max(), np.abs(middles - exact(times)).max()))
    return np.log2(np.array(found)[:-1] / np.array(found)[1:]), np.array(found)


@pytest.mark.parametrize(
    ("name", "problem", "counts"),
    [
        ("tsit5", "decay", (8, 16, 32)), ("tsit5", "forced", (8, 16, 32)),
        ("rodas5p", "decay", (8, 16, 32)), ("rodas5p", "forced", (8, 16, 32)), ("rodas5p", "constrained", (8, 16, 32)),
        ("rosenbrock23", "decay", (64, 128, 256)), ("rosenbrock23", "forced", (64, 128, 256)), ("rosenbrock23", "constrained", (64, 128, 256)),
    ],
)  # fmt: skip
def test_order(name, problem, counts):
    order, dense = METHODS[name][1:]
    rates, sizes = errors(name, problem, counts)
    assert rates[-1, 0] > order - 0.35, (rates, sizes)
    assert rates[-1, 1] > dense - 0.35, (rates, sizes)


@pytest.mark.parametrize(("name", "bound"), [("rodas5p", 1e-7), ("rosenbrock23", 1e-3)])
def test_a_stiff_problem_with_the_time_inside(name, bound):
    """h times the rate is 2.5: an explicit method would be at its limit, and an order lost would show."""
    rates, sizes = errors(name, "forced and stiff", (40, 80, 160))
    assert (sizes[-1] < bound).all(), sizes
    assert rates[-1, 0] > METHODS[name][1] - 1.2, rates


def test_a_huge_rate_is_damped_at_once():
    rhs = rhs_of(lambda t, y: -1e9 * y, 1, autonomous=True)
    for name in STIFF:
        step = METHODS[name][0].step(rhs, 0.0, jnp.ones(1), 1.0, None)
        assert abs(float(step.y1[0])) < 1e-7, name


@pytest.mark.parametrize("name", METHODS)
def test_the_polynomial_meets_both_ends(name):
    method = METHODS[name][0]
    rhs, exact, _ = forced(2.0)
    y = jnp.asarray(exact(np.array(0.0)))
    step = method.step(rhs, 0.0, y, 0.1, rhs.f(0.0, y))
    polynomial = step.polynomial()
    assert polynomial.shape == (4, 1)
    np.testing.assert_allclose(at_theta(y, polynomial, 0.0), y, rtol=1e-15)
    np.testing.assert_allclose(at_theta(y, polynomial, 1.0), step.y1, rtol=1e-13)


def test_the_polynomial_of_tsit5_is_that_of_diffrax():
    rhs, exact, _ = forced(2.0)
    y = jnp.asarray(exact(np.array(0.3)))
    step = TSIT5.step(rhs, 0.3, y, 0.2, rhs.f(0.3, y))
    term = dfx.ODETerm(lambda t, y, args: rhs.f(t, y))
    sol = dfx.diffeqsolve(term, dfx.Tsit5(), 0.3, 0.5, 0.2, y, saveat=dfx.SaveAt(dense=True, t1=True))
    np.testing.assert_allclose(step.y1, sol.ys[-1], rtol=1e-14)
    for theta in (0.1, 0.5, 0.9):
        np.testing.assert_allclose(at_theta(y, step.polynomial(), theta), sol.evaluate(0.3 + 0.2 * theta), rtol=1e-13)


@pytest.mark.parametrize("name", METHODS)
def test_the_error_estimate_is_the_size_of_the_error(name):
    method, order, _ = METHODS[name]
    rhs, exact, _ = forced(2.0)
    y = jnp.asarray(exact(np.array(0.0)))
    sizes = []
    for h in (0.2, 0.1):
        step = method.step(rhs, 0.0, y, h, rhs.f(0.0, y))
        sizes.append(float(np.abs(step.error).max()))
        assert np.abs(step.y1 - exact(np.array(h))).max() < 3 * sizes[-1]
    assert np.log2(sizes[0] / sizes[1]) > min(order, 5) - 0.6


def test_stages_in_a_loop_are_the_same_stages():
    rhs, exact, _ = forced(2.0)
    y = jnp.asarray(exact(np.array(0.0)))
    plain = TSIT5.step(rhs, 0.0, y, 0.1, rhs.f(0.0, y))
    looped = TSIT5.step(dataclasses.replace(rhs, heavy=True), 0.0, y, 0.1, rhs.f(0.0, y))
    for a, b in ((plain.y1, looped.y1), (plain.error, looped.error), (plain.polynomial(), looped.polynomial())):
        np.testing.assert_allclose(a, b, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("name", STIFF)
def test_the_rate_at_the_end_is_given_when_wanted(name):
    method = METHODS[name][0]
    rhs, exact, _ = forced(2.0)
    y = jnp.asarray(exact(np.array(0.0)))
    plain, with_end = (method.step(rhs, 0.0, y, 0.1, None, fsal=fsal) for fsal in (False, True))
    assert plain.f1 is None
    np.testing.assert_allclose(with_end.y1, plain.y1, rtol=1e-15)
    np.testing.assert_allclose(with_end.f1, rhs.f(0.1, plain.y1), rtol=1e-13)


# -- inside diffrax -------------------------------------------------------------------------


@pytest.mark.parametrize(("solver", "rtol", "bound"), [(Rodas5P(), 1e-8, 1e-6), (Rosenbrock23(), 1e-6, 1e-4)])
def test_as_a_diffrax_solver(solver, rtol, bound):
    """A pytree of a state, the time in the right side, dense output and a scaled term."""
    rate = 1e4
    term = dfx.ODETerm(lambda t, y, args: {"a": -rate * (y["a"] - jnp.cos(t)), "b": -y["b"] * jnp.ones(2)})
    start = {"a": jnp.asarray(rate**2 / (1 + rate**2)), "b": jnp.array([1.0, 2.0])}
    control = dfx.PIDController(rtol=rtol, atol=rtol)
    sol = dfx.diffeqsolve(term, solver, 0.0, 2.0, None, start, stepsize_controller=control, saveat=dfx.SaveAt(ts=jnp.linspace(0, 2, 5), dense=True))
    t = np.linspace(0, 2, 5)
    np.testing.assert_allclose(sol.ys["a"], (rate**2 * np.cos(t) + rate * np.sin(t)) / (1 + rate**2), atol=bound)
    np.testing.assert_allclose(sol.ys["b"], np.exp(-t)[:, None] * np.array([1.0, 2.0]), atol=bound)
    np.testing.assert_allclose(sol.evaluate(1.3)["b"][0], np.exp(-1.3), atol=bound)
    assert int(sol.stats["num_steps"]) < 2000


@pytest.mark.parametrize(("solver", "order"), [(Rodas5P(), 5), (Rosenbrock23(), 2)])
def test_as_a_diffrax_solver_with_fixed_steps(solver, order):
    term = dfx.ODETerm(lambda t, y, args: -2.0 * (y - jnp.cos(t)))
    exact = lambda t: (4 * np.cos(t) + 2 * np.sin(t)) / 5
    run = lambda n: dfx.diffeqsolve(term, solver, 0.0, 1.0, 1.0 / n, jnp.asarray(0.8)).ys[-1]
    coarse, fine = (abs(float(run(n)) - exact(1.0)) for n in (10, 20))
    assert np.log2(coarse / fine) > order - 0.5


@pytest.mark.parametrize("solver", [Rodas5P(), Rosenbrock23()])
@pytest.mark.parametrize("adjoint", [dfx.RecursiveCheckpointAdjoint(), dfx.ForwardMode()], ids=["reverse", "forward"])
def test_derivatives_inside_diffrax(solver, adjoint):
    def end(k):
        term = dfx.ODETerm(lambda t, y, args: -args * y)
        control = dfx.PIDController(rtol=1e-7, atol=1e-9)
        return dfx.diffeqsolve(term, solver, 0.0, 1.0, None, jnp.asarray(1.0), args=k, stepsize_controller=control, adjoint=adjoint).ys[-1]

    derivative = jax.jacfwd(end) if isinstance(adjoint, dfx.ForwardMode) else jax.grad(end)
    np.testing.assert_allclose(derivative(0.7), -np.exp(-0.7), rtol=1e-4)
