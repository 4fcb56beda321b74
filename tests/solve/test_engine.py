"""The engine: which method it chooses, what it rejects, what it saves, and that lanes do not disturb each other."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import sympy as sp

import sciml as sci
from sciml.errors import SolveError
from sciml_models import MODELS

from .models import decay, forced, lotka_volterra, oscillator, t, x
from .test_tracing import traces

FLOAT32 = not jax.config.jax_enable_x64
needs_float64 = pytest.mark.skipif(FLOAT32, reason="tolerances finer than float32 has")
NATIVE = ["auto", "tsit5", "rodas5p", "rosenbrock23"]


@functools.cache
def relaxation():
    """Stiff at a rate of 2000, on y = cos(t) after a transient; smooth for stiffness 1."""
    z = sci.variables("z", initial=0.0)
    rate = sci.parameters("rate", 2000.0)
    return sci.System([sci.eq(z.diff(t), -rate * (z - sp.cos(t)))], name="relaxation")


def relaxed(rate, times):
    slow = (rate**2 * np.cos(times) + rate * np.sin(times)) / (1 + rate**2)
    return slow - rate**2 / (1 + rate**2) * np.exp(-rate * times)


# -- the choice ---------------------------------------------------------------------------------


@needs_float64
@pytest.mark.parametrize(("name", "rtol"), [("van_der_pol", 2e-4), ("robertson", 2e-4), ("lotka_volterra", 1e-4)])
def test_auto_on_models_with_references(name, rtol):
    known = MODELS[name]
    sol = sci.solve(known.make(), t_span=known.t_span, rtol=1e-6, atol=1e-10 if name != "robertson" else 1e-14, saveat="end")
    np.testing.assert_allclose([float(sol[n][-1]) for n in known.reference], list(known.reference.values()), rtol=rtol)
    stats = sol.stats
    assert stats["steps"] < 3000 and stats["steps"] == stats["accepted"] + stats["rejected"]
    if name == "lotka_volterra":
        assert stats["jacobians"] == 0 and "not stiff, tsit5 throughout" in stats["reason"]
    else:
        assert 0 < stats["jacobians"] <= stats["steps"] and f"rodas5p took {stats['jacobians']} of {stats['steps']} steps" in stats["reason"]


@needs_float64
def test_auto_on_chaos_takes_the_steps_of_tsit5():
    system = MODELS["lorenz"].make()
    auto, fixed = (sci.solve(system, t_span=(0, 5), solver=solver, saveat=20) for solver in ("auto", "tsit5"))
    assert auto.stats["steps"] == fixed.stats["steps"] and auto.stats["jacobians"] == 0
    np.testing.assert_allclose(auto["x"], fixed["x"], rtol=1e-9)


@needs_float64
def test_auto_changes_over_and_back():
    """A rate that is huge between t = 2 and t = 4 and 1 elsewhere: both methods have their turn."""
    z, q, v = sci.variables("z q v", initial=[1.0, 1.0, 0.0])
    rate = 1 + 1e5 * (sp.tanh(20 * (t - 2)) - sp.tanh(20 * (t - 4))) / 2
    system = sci.System([sci.eq(z.diff(t), -rate * (z - sp.cos(t))), sci.eq(q.diff(t), v), sci.eq(v.diff(t), -100 * q)])
    sol = sci.solve(system, t_span=(0, 12), rtol=1e-7, atol=1e-9, saveat=50)
    stats = sol.stats
    assert 0 < stats["jacobians"] < stats["steps"] and "tsit5 the others" in stats["reason"]
    np.testing.assert_allclose(sol[q], np.cos(10 * np.asarray(sol.t)), atol=1e-4)
    assert stats["steps"] < sci.solve(system, t_span=(0, 12), rtol=1e-7, atol=1e-9, saveat=50, solver="tsit5").stats["steps"] / 5


@pytest.mark.parametrize("solver", NATIVE)
def test_each_solver_on_a_stiff_problem(solver, close):
    sol = sci.solve(relaxation(), t_span=(0, 2), solver=solver, saveat=11)
    np.testing.assert_allclose(sol["z"], relaxed(2000.0, np.linspace(0, 2, 11)), atol=2e-3 if FLOAT32 else 5e-6)
    assert sol.stats["solver"] == solver
    if solver in ("rodas5p", "rosenbrock23"):
        assert sol.stats["jacobians"] == sol.stats["steps"] and "chosen by you" in sol.stats["reason"]
    if solver == "tsit5":
        assert sol.stats["jacobians"] == 0 and sol.stats["steps"] > 1000


def test_the_stats_count_evaluations():
    for solver, per_step in (("tsit5", 6), ("rodas5p", 8), ("rosenbrock23", 3)):
        stats = sci.solve(decay(), t_span=(0, 2), solver=solver).stats
        assert stats["rhs"] == per_step * stats["steps"] + 3, solver


# -- what is rejected -------------------------------------------------------------------------------


@pytest.mark.parametrize("solver", NATIVE)
def test_a_stage_that_is_nan_makes_the_step_shorter(solver, close):
    """x' = -2 sqrt(x) touches 0 at t = 1; a stage beyond is NaN, the solution before is (1 - t)**2."""
    z = sci.variables("z", initial=1.0)
    system = sci.System([sci.eq(z.diff(t), -2 * sp.sqrt(z))])
    sol = sci.solve(system, t_span=(0, 0.999), solver=solver, saveat=4)
    close(sol[z], (1 - np.asarray(sol.t)) ** 2, rtol=1e-3, atol=1e-3 if FLOAT32 else 1e-5)


def test_bounds_keep_a_state_inside():
    """A stiff decay with rtol so loose that it overshoots: with bounds no state saved is negative."""
    z = sci.variables("z", initial=1.0, bounds=(0, None))
    q = sci.variables("q", initial=1.0)
    system = sci.System([sci.eq(z.diff(t), -30 * z * (1 + sp.cos(5 * t))), sci.eq(q.diff(t), -30 * q * (1 + sp.cos(5 * t)))])
    for solver in NATIVE:
        sol = sci.solve(system, t_span=(0, 5), solver=solver, rtol=1e-2, atol=1e-3, saveat="steps")
        assert float(sol[z].min()) >= 0, solver
        assert bool(sol.status == sci.Status.successful), solver
    assert float(sci.solve(system, t_span=(0, 5), solver="rosenbrock23", rtol=1e-2, atol=1e-3, saveat="steps")[q].min()) < 0


def test_a_start_outside_the_bounds_is_told():
    z = sci.variables("z", initial=1.0, bounds=(0, 5))
    system = sci.System([sci.eq(z.diff(t), -z)], name="tank")
    with pytest.raises(SolveError, match=r"'z' starts at -1, outside its bounds .*0.*5.*bounds="):
        sci.solve(system, t_span=(0, 1), initial={"z": -1.0})


def test_an_equation_that_leads_out_of_the_bounds_is_told():
    z = sci.variables("z", initial=1.0, bounds=(0, None))
    with pytest.raises(SolveError, match=r"'z' = .*at its bound 0, and its equation leads out of it"):
        sci.solve(sci.System([sci.eq(z.diff(t), -2 + 0 * z)]), t_span=(0, 2), max_steps=2000)


@needs_float64
def test_tolerances_are_scaled_by_nominal():
    """The same problem in other units takes the same steps."""
    counts = []
    for size in (1.0, 1e-9, 1e6):
        z = sci.variables("z", initial=size, nominal=size)
        system = sci.System([sci.eq(z.diff(t), -z + size * sp.sin(5 * t))])
        for solver in ("tsit5", "rodas5p"):
            counts.append((solver, sci.solve(system, t_span=(0, 5), solver=solver, rtol=1e-5, atol=1e-6).stats["steps"]))
    assert len(set(counts)) == 2, counts


@pytest.mark.parametrize("solver", NATIVE)
def test_a_collapse_names_the_unknown_with_the_largest_error(solver):
    """z blows up slowly; the fast one, q, does not."""
    z, q = sci.variables("z q", initial=[1.0, 1.0])
    system = sci.System([sci.eq(z.diff(t), z**2), sci.eq(q.diff(t), -5 * q)], name="blow_up")
    with pytest.raises(SolveError) as raised:
        sci.solve(system, t_span=(0, 2), solver=solver)
    text = str(raised.value)
    assert "the largest local error is in 'z'" in text and "blow_up" in text and "horten t_span to end before t=" in text


def test_max_steps_is_told_with_the_cure():
    with pytest.raises(SolveError, match=r"max_steps=50\), or, if it is stiff, write solver=.auto."):
        sci.solve(lotka_volterra(), t_span=(0, 20), solver="tsit5", max_steps=5)
    with pytest.raises(SolveError, match=r"max_steps=50\), loosen rtol and atol"):
        sci.solve(lotka_volterra(), t_span=(0, 20), max_steps=5)
    quiet = sci.solve(lotka_volterra(), t_span=(0, 20), max_steps=5, throw=False, saveat=11)
    assert bool(quiet.status == sci.Status.max_steps_reached) and quiet.stats["steps"] == 5
    assert bool(jnp.isfinite(quiet[x][0])) and bool(jnp.isnan(quiet[x][-1]))


# -- times ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("solver", NATIVE)
def test_every_way_to_save_gives_the_same_curve(solver, close):
    options = {"t_span": (0.0, 3.0), "solver": solver}
    exact = lambda times: np.cos(2.0 * np.asarray(times))
    slack = 2e-3 if FLOAT32 else 1e-3 if solver == "rosenbrock23" else 1e-4
    even = sci.solve(oscillator(), saveat=31, **options)
    times = sci.solve(oscillator(), saveat=np.linspace(0, 3, 31), **options)
    steps = sci.solve(oscillator(), saveat="steps", **options)
    end = sci.solve(oscillator(), saveat="end", **options)
    dense = sci.solve(oscillator(), saveat="end", dense=True, **options)
    close(times["q"], even["q"], rtol=1e-6, atol=1e-8)
    close(dense(np.linspace(0, 3, 31))["q"], even["q"], rtol=1e-6, atol=1e-8)
    close(end["q"][-1], even["q"][-1], rtol=1e-6)
    close(steps["q"][-1], even["q"][-1], rtol=1e-6)
    assert steps.t[0] == 0 and steps.t[-1] == 3 and len(steps.t) == steps.stats["accepted"] + 1
    for sol in (even, steps):
        np.testing.assert_allclose(sol["q"], exact(sol.t), atol=slack)
    close(dense(steps.t)["q"], steps["q"], rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize("solver", NATIVE)
def test_backwards(solver, close):
    sol = sci.solve(forced(), t_span=(2.0, 0.0), initial={"z": 1 - np.cos(2.0)}, solver=solver, saveat=np.array([2.0, 1.5, 0.1, 0.0]), dense=True)
    close(sol["z"], 1 - np.cos(np.array([2.0, 1.5, 0.1, 0.0])), rtol=1e-3, atol=2e-3 if FLOAT32 else 1e-4)
    close(sol(0.7)["z"], 1 - np.cos(0.7), rtol=1e-3, atol=2e-3 if FLOAT32 else 0.0)


def test_save_times_may_repeat(close):
    times = np.array([0.0, 1.0, 1.0, 1.0, 2.0, 2.0])
    close(sci.solve(decay(), t_span=(0, 2), saveat=times)[x], 2 * np.exp(-0.5 * times), rtol=1e-5)


@pytest.mark.parametrize("solver", NATIVE)
def test_the_slope_of_the_dense_solution_at_both_ends(solver, close):
    sol = sci.solve(decay(), t_span=(0.0, 2.0), solver=solver, dense=True)
    slopes = jax.vmap(jax.grad(lambda s: sol(s)[x]))(jnp.array([0.0, 1.0, 2.0]))
    close(slopes, -np.exp(-0.5 * np.array([0.0, 1.0, 2.0])), rtol=3e-3)


# -- lanes ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("solver", NATIVE)
def test_lanes_of_very_different_stiffness(solver):
    rates = jnp.array([1.0, 1e4, 0.1, 30.0]) if solver != "tsit5" else jnp.array([1.0, 1e3, 0.1, 30.0])
    lanes = jax.jit(jax.vmap(lambda r: sci.solve(relaxation(), t_span=(0, 2), params={"rate": r}, solver=solver, saveat=9)))(rates)
    for i, rate in enumerate(np.asarray(rates)):
        np.testing.assert_allclose(lanes["z"][i], relaxed(rate, np.linspace(0, 2, 9)), atol=3e-3 if FLOAT32 else 1e-4)
    assert bool(lanes.successful.all())


def test_a_lane_that_fails_leaves_the_others_alone():
    z = sci.variables("z", initial=1.0)
    system = sci.System([sci.eq(z.diff(t), z**2)])
    lanes = jax.vmap(lambda v: sci.solve(system, t_span=(0, 5), initial={"z": v}, saveat="end"))(jnp.array([-1.0, 1.0, jnp.nan, -2.0]))
    assert [bool(s) for s in lanes.successful] == [True, False, False, True]
    np.testing.assert_allclose(lanes[z][jnp.array([0, 3]), 0], [-1 / 6, -2 / 11], rtol=1e-3)
    assert bool(jnp.isnan(lanes[z][1:3, 0]).all())


def test_lanes_step_as_they_would_alone(close):
    """Steps are chosen lane by lane: the counts are those of single solves."""
    rates = [0.2, 5.0]
    batch = jax.vmap(lambda r: sci.solve(decay(), t_span=(0.0, 3.0), params={"k": r}, solver="rodas5p"))(jnp.array(rates))
    single = [sci.solve(decay(), t_span=(0.0, 3.0), params={"k": r}, solver="rodas5p") for r in rates]
    assert batch.stats["steps"].tolist() == [s.stats["steps"] for s in single]
    close(batch[x], np.stack([s[x] for s in single]), rtol=1e-9)


@pytest.mark.parametrize("solver", NATIVE)
def test_traced_once(solver):
    system = lotka_volterra().replace(name=f"fresh {solver}")
    for i in range(5):
        sci.solve(system, t_span=(0.0, 1.0 + i), params={"a": 1.0 + 0.1 * i}, solver=solver, rtol=1e-4 * (1 + i))
    assert traces(system) == 1
