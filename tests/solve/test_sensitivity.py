"""The discrete adjoint: both modes against closed forms, differences and each other, by everything that is a number."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import sympy as sp

import sciml as sci
from sciml.errors import SolveError

from .models import decay, lotka_volterra, t, x
from .test_engine import relaxation, relaxed

pytestmark = pytest.mark.skipif(not jax.config.jax_enable_x64, reason="compared with more digits than float32 has")
NATIVE = ["auto", "tsit5", "rodas5p", "rosenbrock23"]
TIGHT = {"tsit5": (1e-9, 1e-11), "auto": (1e-9, 1e-11), "rodas5p": (1e-9, 1e-11), "rosenbrock23": (1e-7, 1e-9)}


def options(solver):
    rtol, atol = TIGHT[solver]
    return {"solver": solver, "rtol": rtol, "atol": atol}


def both(f, *args, atol=0.0):
    """The Jacobian by both modes, which agree to 1e-8."""
    reverse, forward = jax.jacrev(f)(*args), jax.jacfwd(f)(*args)
    scale = max(float(np.abs(leaf).max()) for leaf in jax.tree.leaves(forward))
    for a, b in zip(jax.tree.leaves(reverse), jax.tree.leaves(forward), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-8, atol=atol + 1e-9 * scale)
    return reverse


@pytest.mark.parametrize("solver", NATIVE)
def test_against_closed_forms(solver):
    """x = x0 exp(-k (t1 - t0)) at the end, by all four numbers."""

    def end(numbers):
        k, x0, t0, t1 = numbers
        return sci.solve(decay(), t_span=(t0, t1), params={"k": k}, initial={"x": x0}, saveat="end", **options(solver))[x][0]

    found = both(end, jnp.array([0.5, 2.0, 0.3, 2.3]))
    e = np.exp(-1.0)
    np.testing.assert_allclose(found, [-2 * 2 * e, e, 0.5 * 2 * e, -0.5 * 2 * e], rtol=2e-5 if solver == "rosenbrock23" else 1e-6)


@pytest.mark.parametrize("solver", NATIVE)
@pytest.mark.parametrize("saving", ["even", "times", "steps", "dense"])
def test_whatever_is_saved(solver, saving):
    """The mean of x over a set of times is differentiated by the rate; the steps move none of it."""
    times = np.linspace(0.0, 2.0, 7)
    common = {"t_span": (0.0, 2.0), **options(solver)}

    def mean(k):
        if saving == "even":
            return sci.solve(decay(), params={"k": k}, saveat=7, **common)[x].mean()
        if saving == "times":
            return sci.solve(decay(), params={"k": k}, saveat=times, **common)[x].mean()
        sol = sci.solve(decay(), params={"k": k}, saveat="steps" if saving == "steps" else "end", dense=saving == "dense", **common)
        return sol(times)[x].mean() if saving == "dense" else jnp.nansum(sol[x] * jnp.arange(float(len(sol[x]))))

    found = both(mean, 0.5)
    if saving == "steps":
        sol = sci.solve(decay(), saveat="steps", **common)
        exact = np.sum(np.arange(len(sol.t)) * -np.asarray(sol.t) * 2 * np.exp(-0.5 * np.asarray(sol.t)))
    else:
        exact = np.mean(-times * 2 * np.exp(-0.5 * times))
    np.testing.assert_allclose(found, exact, rtol=2e-4 if solver == "rosenbrock23" else 1e-5)


@pytest.mark.parametrize("solver", ["auto", "rodas5p"])
def test_by_the_save_times_themselves(solver):
    """dx/dt at each save time, both ends of the span included."""
    times = jnp.array([0.0, 0.7, 1.9, 2.0])
    found = both(lambda s: sci.solve(decay(), t_span=(0.0, 2.0), saveat=s, **options(solver))[x], times, atol=1e-10)
    np.testing.assert_allclose(found, np.diag(-np.exp(-0.5 * np.asarray(times))), rtol=1e-5, atol=1e-9)


def test_save_times_that_move_with_the_end():
    """x at T/2 and T is exp: d/dT of x0 exp(-k T s) is -k s x."""
    found = both(lambda T: sci.solve(decay(), t_span=(0.0, T), saveat=jnp.array([0.0, 0.5, 1.0]) * T, **options("auto"))[x], 2.0)
    s = np.array([0.0, 0.5, 1.0])
    np.testing.assert_allclose(found, -0.5 * s * 2 * np.exp(-0.5 * s * 2.0), rtol=1e-6)


@pytest.mark.parametrize("solver", NATIVE)
def test_a_stiff_problem_with_the_time_inside(solver):
    """By the rate and by the initial value, the derivative of the slow part being what matters."""
    times = np.array([0.5, 1.0, 2.0])
    value = lambda rate: sci.solve(relaxation(), t_span=(0.0, 2.0), params={"rate": rate}, saveat=times, **options(solver))["z"]
    h = 1e-3
    exact = (relaxed(500.0 + h, times) - relaxed(500.0 - h, times)) / (2 * h)
    np.testing.assert_allclose(both(value, 500.0), exact, rtol=1e-3, atol=1e-8)


@pytest.mark.parametrize("solver", NATIVE)
def test_against_central_differences(solver):
    names, centre = ("a", "b", "c", "d"), jnp.array([1.1, 0.4, 0.4, 0.1, 10.0, 5.0])

    def loss(v):
        params, initial = dict(zip(names, v[:4], strict=True)), {"x": v[4], "y": v[5]}
        sol = sci.solve(lotka_volterra(), t_span=(0.0, 2.0), saveat=4, params=params, initial=initial, **options(solver))
        return jnp.sum(sol["share"] ** 2) + sol["x"][-1]

    h = 1e-4
    shifts = h * jnp.eye(6)
    difference = (jax.vmap(loss)(centre[None] + shifts) - jax.vmap(loss)(centre[None] - shifts)) / (2 * h)
    found = both(loss, centre)
    assert np.linalg.norm(found - difference) <= (5e-4 if solver == "rosenbrock23" else 1e-5) * np.linalg.norm(difference)


# -- more steps than rows ---------------------------------------------------------------------------


@functools.cache
def fast_oscillator():
    q = sci.variables("q", initial=1.0)
    w = sci.parameters("w", 300.0)
    return sci.System([sci.eq(q.diff(t, 2), -(w**2) * q)], initial={q.diff(t): 0.0}, name="fast oscillator")


def oscillated(w, **more):
    return sci.solve(fast_oscillator(), t_span=(0.0, 1.0), params={"w": w}, rtol=1e-9, atol=1e-9, **{"solver": "tsit5", "saveat": "end", **more})["q"]


def test_more_steps_than_checkpoints():
    assert sci.solve(fast_oscillator(), t_span=(0.0, 1.0), rtol=1e-9, atol=1e-9, solver="tsit5").stats["accepted"] > 2500
    np.testing.assert_allclose(both(lambda w: oscillated(w)[0], 300.0), -np.sin(300.0), rtol=1e-3)
    found = both(lambda w: oscillated(w, saveat=np.array([0.2, 0.9])), 300.0)
    np.testing.assert_allclose(found, [-0.2 * np.sin(60.0), -0.9 * np.sin(270.0)], rtol=1e-3)


def test_lanes_with_different_numbers_of_steps_beyond_the_checkpoints():
    """Whichever lane fills its rows first, no lane loses a state."""
    w = jnp.array([420.0, 60.0, 300.0, 137.0])
    end = lambda w: oscillated(w)[0]
    reverse = jax.vmap(jax.grad(end))(w)
    np.testing.assert_allclose(reverse, jax.vmap(jax.jacfwd(end))(w), rtol=1e-8)
    np.testing.assert_allclose(reverse, -np.sin(np.asarray(w)), atol=1e-3)


# -- with other transformations ------------------------------------------------------------------------


@pytest.mark.parametrize("solver", ["auto", "rodas5p"])
def test_jit_vmap_and_each_other(solver):
    rates = jnp.array([0.3, 0.5, 40.0])
    end = lambda k: sci.solve(decay(), t_span=(0.0, 2.0), params={"k": k}, saveat="end", **options(solver))[x][0]
    exact = -2 * 2 * np.exp(-2 * np.asarray(rates))
    for f in (jax.vmap(jax.grad(end)), jax.jit(jax.vmap(jax.grad(end))), jax.vmap(jax.jit(jax.grad(end))), jax.vmap(jax.jacfwd(end))):
        np.testing.assert_allclose(f(rates), exact, rtol=1e-5, atol=1e-9)
    jacobian = jax.jacrev(lambda rates: jax.vmap(end)(rates))(rates)
    np.testing.assert_allclose(jacobian, np.diag(exact), rtol=1e-5, atol=1e-9)


def test_value_and_gradient_are_of_one_solve():
    end = lambda k: sci.solve(decay(), t_span=(0.0, 2.0), params={"k": k}, saveat="end")[x][0]
    value, _ = jax.value_and_grad(end)(0.5)
    assert abs(float(value) - float(end(0.5))) < 1e-12


def test_a_lane_whose_solve_fails_does_not_spoil_the_gradients_of_others():
    z = sci.variables("z", initial=1.0)
    system = sci.System([sci.eq(z.diff(t), z**2)])
    end = lambda v: sci.solve(system, t_span=(0.0, 5.0), initial={"z": v}, saveat="end")[z][0]
    found = jax.vmap(jax.grad(end))(jnp.array([-1.0, 1.0, -2.0]))
    np.testing.assert_allclose(found[jnp.array([0, 2])], [1 / 36, 1 / 121], rtol=1e-4)


def test_a_right_side_that_is_nan_elsewhere_has_a_gradient():
    z = sci.variables("z", initial=1.0)
    k = sci.parameters("k", 2.0)
    system = sci.System([sci.eq(z.diff(t), -k * sp.sqrt(z))])
    end = lambda k: sci.solve(system, t_span=(0.0, 0.9), params={"k": k}, saveat="end", rtol=1e-9, atol=1e-11)[z][0]
    np.testing.assert_allclose(both(end, 2.0), -0.9 * 0.1, rtol=1e-6)  # z = (1 - k t/2)**2


def test_the_reason_and_the_name_are_in_the_stats():
    stats = sci.solve(decay(), t_span=(0, 1)).stats
    assert stats["adjoint"] == "discrete" and "derivatives of the accepted steps" in stats["reason"]
    stats = sci.solve(decay(), t_span=(0, 1), solver="dopri5").stats
    assert stats["adjoint"] == "checkpoint"


def test_second_derivatives_are_refused_with_the_way_to_have_them():
    end = lambda k: sci.solve(decay(), t_span=(0.0, 1.0), params={"k": k}, saveat="end")[x][0]
    for second in (jax.hessian(end), jax.grad(jax.grad(end)), jax.jacfwd(jax.jacfwd(end))):
        with pytest.raises(SolveError, match=r'solver="dopri5", adjoint="direct"'):
            second(0.5)
    direct = lambda k: sci.solve(decay(), t_span=(0.0, 1.0), params={"k": k}, saveat="end", solver="dopri5", adjoint="direct", max_steps=64)[x][0]
    np.testing.assert_allclose(jax.hessian(direct)(0.5), 2 * np.exp(-0.5), rtol=1e-4)


def test_adjoints_that_a_solver_does_not_have():
    with pytest.raises(SolveError, match=r'adjoint="discrete" is there for tsit5, rodas5p, rosenbrock23 and etdrk4, not for .dopri5.'):
        sci.solve(decay(), t_span=(0, 1), solver="dopri5", adjoint="discrete")


@pytest.mark.parametrize("solver", ["tsit5", "rodas5p"])
@pytest.mark.parametrize("adjoint", ["checkpoint", "direct"])
def test_the_adjoints_of_diffrax_still_serve(solver, adjoint):
    end = lambda k: sci.solve(
        decay(), t_span=(0.0, 2.0), params={"k": k}, saveat="end", solver=solver, adjoint=adjoint, rtol=1e-8, atol=1e-10, max_steps=200
    )[x][0]
    np.testing.assert_allclose(jax.grad(end)(0.5), -4 * np.exp(-1.0), rtol=1e-5)
