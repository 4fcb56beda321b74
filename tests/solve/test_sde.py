"""Noise: moments against closed forms, paths that do not depend on the step, both calculi."""

import diffrax
import jax
import jax.numpy as jnp
import numpy as np
import pytest
import sympy as sp

import sciml as sci
from sciml.solve import SOLVERS

from .models import geometric, ornstein_uhlenbeck, t

PATHS = 4000
KEYS = jax.random.split(jax.random.key(0), PATHS)


def ends(system, keys=KEYS, **options):
    options = {"t_span": (0.0, 1.0), "dt": 0.05, **options}
    return jax.jit(jax.vmap(lambda key: sci.solve(system, saveat="end", key=key, **options)["z"][0]))(keys)


def within_standard_errors(values, mean, variance, count=4.0):
    values = np.asarray(values, float)
    n = len(values)
    assert abs(values.mean() - mean) < count * np.sqrt(variance / n)
    spread = np.sqrt(np.mean((values - values.mean()) ** 4) / n - values.var() ** 2 / n)
    assert abs(values.var() - variance) < count * max(spread, variance * np.sqrt(2 / n))


def test_mean_and_variance_of_ornstein_uhlenbeck():
    mean = 0.5 + 1.5 * np.exp(-1.5)
    variance = 0.8**2 / 3 * (1 - np.exp(-3.0))
    within_standard_errors(ends(ornstein_uhlenbeck()), mean, variance)


@pytest.mark.parametrize(("calculus", "drift"), [("ito", 0.5), ("stratonovich", 0.5 + 0.18)])
def test_mean_and_variance_of_geometric_brownian_motion(calculus, drift):
    """In Stratonovich's reading the mean grows by mu + s**2/2."""
    mean = np.exp(drift)
    within_standard_errors(ends(geometric(calculus), dt=0.02), mean, mean**2 * (np.exp(0.36) - 1))


def exact_path(key, horizon):
    """W(T) of the path that a solve with this key sees."""
    shape = jax.ShapeDtypeStruct((1,), jnp.result_type(float))
    path = diffrax.VirtualBrownianTree(0.0, 1.0, tol=1e-3, shape=shape, key=key, levy_area=diffrax.SpaceTimeLevyArea)
    return path.evaluate(0.0, 1.0)[0] * jnp.sqrt(horizon)


@pytest.mark.parametrize(("calculus", "correction"), [("ito", 0.18), ("stratonovich", 0.0)])
def test_every_path_against_the_closed_form_in_both_calculi(calculus, correction, close):
    """z = exp((mu - correction)*T + s*W(T)); the solver is of the Stratonovich kind, the drift is converted."""
    w = jax.vmap(lambda key: exact_path(key, 2.0))(KEYS[:20])
    found = ends(geometric(calculus), KEYS[:20], t_span=(0.0, 2.0), dt=2e-3)
    close(found, np.exp((0.5 - correction) * 2.0 + 0.6 * np.asarray(w)), rtol=2e-3)


def test_solvers_of_the_other_calculus_agree_path_by_path(close):
    ours = ends(geometric(), KEYS[:10], dt=1e-3)
    close(ends(geometric(), KEYS[:10], dt=1e-3, solver="ito_milstein"), ours, rtol=1e-2)
    close(ends(geometric("stratonovich"), KEYS[:10], dt=1e-3, solver="ito_milstein"), ends(geometric("stratonovich"), KEYS[:10], dt=1e-3), rtol=1e-2)


def test_the_same_key_is_the_same_path_for_every_step(close):
    coarse, fine = (ends(ornstein_uhlenbeck(), KEYS[:5], dt=dt) for dt in (2**-5, 2**-9))
    close(coarse, fine, rtol=2e-2, atol=1e-3)


def test_auto_follows_the_kind_of_noise():
    z, w = sci.variables("z w", initial=1.0)
    xi, eta = sci.white_noise("xi eta")
    kinds = {
        "additive": (-z + xi, "shark"),
        "diagonal": (-z + z * xi, "slow_rk"),
        "commutative": (-z + z * xi + 2 * z * eta, "slow_rk"),
    }
    for kind, (right, solver) in kinds.items():
        system = sci.System([sci.eq(z.diff(t), right)])
        assert sci.compile(system).noise.kind == kind
        assert sci.solve(system, t_span=(0, 1), key=KEYS[0], saveat="end", dt=0.5).stats["solver"] == solver
    general = sci.System([sci.eq(z.diff(t), xi), sci.eq(w.diff(t), z * eta)])
    sol = sci.solve(general, t_span=(0, 1), key=KEYS[0], saveat="end", dt=0.5)
    assert sol.stats["solver"] == "spark" and "does not commute" in sol.stats["reason"]


@pytest.mark.parametrize("name", [n for n, row in SOLVERS.items() if "general" in row.noise])
def test_every_solver_for_general_noise_goes_to_the_same_process(name):
    """z' = xi, w' = z*eta: E[w**2] = T**2/2."""
    z, w = sci.variables("z w", initial=0.0)
    xi, eta = sci.white_noise("xi eta")
    system = sci.System([sci.eq(z.diff(t), xi), sci.eq(w.diff(t), z * eta)])
    one = lambda key: sci.solve(system, t_span=(0.0, 1.0), dt=0.1, key=key, solver=name, saveat="end")["w"][0]
    squares = np.asarray(jax.jit(jax.vmap(one))(KEYS[:1000])) ** 2
    assert abs(squares.mean() - 0.5) < 5 * squares.std() / np.sqrt(1000) + 0.05


def test_save_times_are_ends_of_steps(close):
    """Saving more often must not smooth the path."""
    at = np.array([0.0, 0.13, 0.5, 0.77, 1.0])
    some = sci.solve(ornstein_uhlenbeck(), t_span=(0.0, 1.0), dt=2**-6, key=KEYS[1], saveat=at)
    fine = sci.solve(ornstein_uhlenbeck(), t_span=(0.0, 1.0), dt=2**-10, key=KEYS[1], saveat=101)
    close(some["z"][1:4], fine["z"][jnp.array([13, 50, 77])], rtol=2e-2)


def test_adaptive_steps_when_a_tolerance_is_given(close):
    sol = sci.solve(geometric(), t_span=(0.0, 1.0), key=KEYS[2], rtol=1e-3, atol=1e-4, saveat=5)
    close(sol["z"][-1], np.exp(0.32 + 0.6 * float(exact_path(KEYS[2], 1.0))), rtol=3e-2)
    assert sol.stats["solver"] == "spark"


def test_array_noise_is_one_noise_per_component():
    z = sci.variables("z", initial=np.zeros(500), shape=(500,))
    xi = sci.white_noise("xi", shape=(500,))
    system = sci.System([sci.eq(z.diff(t), -z + xi)])
    assert sci.compile(system).noise.kind == "additive" and sci.compile(system).diagonal
    end = sci.solve(system, t_span=(0.0, 1.0), key=KEYS[0], dt=0.05, saveat="end")["z"][0]
    within_standard_errors(end, 0.0, (1 - np.exp(-2.0)) / 2)
    common = sci.white_noise("common")
    together = sci.System([sci.eq(z.diff(t), -z + common)])
    assert float(jnp.std(sci.solve(together, t_span=(0.0, 1.0), key=KEYS[0], dt=0.05, saveat="end")["z"][0])) < 1e-5


def test_noise_in_a_second_order_equation():
    """q'' = -q' + xi: the variance of q' is (1 - exp(-2*T))/2."""
    q = sci.variables("q", initial=0.0)
    xi = sci.white_noise("xi")
    system = sci.System([sci.eq(q.diff(t, 2), -q.diff(t) + xi)], initial={q.diff(t): 0.0})
    one = lambda key: sci.solve(system, t_span=(0.0, 1.0), dt=0.05, key=key, saveat="end")["q'"][0]
    within_standard_errors(jax.jit(jax.vmap(one))(KEYS), 0.0, (1 - np.exp(-2.0)) / 2)


def test_a_nonlinear_diffusion_is_converted(close):
    """dz = sqrt(1 + z**2) dW + z/2 dt (Ito) has z = sinh(W)."""
    z = sci.variables("z", initial=0.0)
    xi = sci.white_noise("xi")
    system = sci.System([sci.eq(z.diff(t), z / 2 + sp.sqrt(1 + z**2) * xi)])
    w = jax.vmap(lambda key: exact_path(key, 1.0))(KEYS[:10])
    close(ends(system, KEYS[:10], dt=1e-3), np.sinh(np.asarray(w)), rtol=1e-2, atol=1e-3)
