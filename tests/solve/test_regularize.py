"""Penalties from the solver's own estimates: against steps done by hand with diffrax, and against differences on a frozen mesh."""

import diffrax as dfx
import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import sciml as sci
from sciml.errors import SolveError
from sciml.solve.regularize import random_time

t = sci.t
x, y = sci.variables("x y", initial=[1.0, 0.2])
a, b = sci.parameters("a b", [1.1, 5.0])
system = sci.System([sci.eq(x.diff(t), a * x - b * x * y), sci.eq(y.diff(t), b * x * y - y)], name="prey")
SPAN, KEY, P = (0.0, 3.0), jax.random.key(3), {"a": 1.1, "b": 5.0}
RTOL, ATOL = (1e-4, 1e-6)


def rates(time, state, p):
    return jnp.stack([p["a"] * state[0] - p["b"] * state[0] * state[1], p["b"] * state[0] * state[1] - state[1]])


def penalty(p, make=sci.ErrorEstimate, mode="global", key=KEY, **options):
    options = {"solver": "tsit5", "rtol": RTOL, "atol": ATOL, "saveat": "end", **options}
    return sci.solve(system, t_span=SPAN, params=p, regularize=make(1.0, mode=mode), key=key, **options).penalty


@pytest.fixture(scope="module")
def mesh():
    """The accepted steps of tsit5: times and states."""
    sol = sci.solve(system, t_span=SPAN, params=P, solver="tsit5", rtol=RTOL, atol=ATOL, saveat="steps")
    return np.asarray(sol.t), np.stack([np.asarray(sol[x]), np.asarray(sol[y])], axis=1)


def by_hand(time, h, state, p, scale=None):
    """(next state, E h, the scale, stiffness) of one step of diffrax's Tsit5."""
    solver, term = dfx.Tsit5(), dfx.ODETerm(rates)
    begin = solver.init(term, time, time + h, state, p)
    after, error, info, _, _ = solver.step(term, time, time + h, state, p, begin, made_jump=False)
    scale = ATOL + RTOL * np.maximum(np.abs(state), np.abs(after)) if scale is None else scale
    k = info["k"]
    sixth = state + sum(w * k[i] for i, w in enumerate(solver.tableau.a_lower[4]))
    stiffness = jnp.linalg.norm((k[6] - k[5]) / h) / jnp.linalg.norm(after - sixth)
    return after, h * jnp.sqrt(jnp.mean((error / scale) ** 2)), scale, stiffness


def marched(p, mesh, scales):
    """The sum of E h on given steps with given scales: what the derivative is of."""
    times, states = mesh
    state, total = jnp.asarray(states[0]), 0.0
    for i, h in enumerate(np.diff(times)):
        state, more, _, _ = by_hand(times[i], h, state, p, scales[i])
        total = total + more
    return total


def test_the_global_error_is_the_sum_over_the_accepted_steps(mesh, close):
    times, states = mesh
    expected = sum(float(by_hand(times[i], h, states[i], P)[1]) for i, h in enumerate(np.diff(times)))
    close(penalty(P), expected, rtol=1e-8)


def test_the_local_error_is_that_of_the_step_at_a_random_time(mesh, close):
    times, states = mesh
    for seed in range(3):
        key = jax.random.key(seed)
        i = np.searchsorted(times, SPAN[1] * float(random_time(key, jnp.result_type(float))), side="right") - 1
        expected = by_hand(times[i], times[i + 1] - times[i], states[i], P)[1]
        close(penalty(P, mode="local", key=key), expected, rtol=1e-8)


def test_stiffness_is_the_quotient_of_the_last_two_stages(mesh, close):
    times, states = mesh
    expected = sum(float(by_hand(times[i], h, states[i], P)[3]) for i, h in enumerate(np.diff(times)))
    close(penalty(P, sci.Stiffness), expected, rtol=1e-8)


@pytest.mark.parametrize("mode", [jax.grad, jax.jacfwd], ids=["reverse", "forward"])
def test_the_derivative_is_that_on_the_frozen_mesh(mesh, mode, close):
    times, states = mesh
    scales = [np.asarray(by_hand(times[i], h, states[i], P)[2]) for i, h in enumerate(np.diff(times))]
    found = mode(penalty)(P)
    step = 1e-2 if jnp.result_type(float) == jnp.float32 else 1e-5
    for name in P:
        up, down = ({**P, name: P[name] + s} for s in (step, -step))
        close(found[name], (marched(up, mesh, scales) - marched(down, mesh, scales)) / (2 * step), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("make", [sci.ErrorEstimate, sci.Stiffness])
def test_the_local_derivative_goes_through_one_step(mesh, make, close):
    times, states = mesh
    i = np.searchsorted(times, SPAN[1] * float(random_time(KEY, jnp.result_type(float))), side="right") - 1
    h, scale = times[i + 1] - times[i], by_hand(times[i], times[i + 1] - times[i], states[i], P)[2]
    which = 1 if make is sci.ErrorEstimate else 3
    expected = jax.grad(lambda p: by_hand(times[i], h, jnp.asarray(states[i]), p, scale)[which])(P)
    for mode in (jax.grad, jax.jacfwd):
        found = mode(lambda p: penalty(p, make, "local"))(P)
        for name in P:
            close(found[name], expected[name], rtol=1e-6)


def test_every_adjoint_gives_the_same_local_derivative(close):
    """The continuous adjoint too: its state at the random time is a constant like any other."""

    def of(adjoint, mode=jax.grad):
        return jax.jit(mode(lambda p: penalty(p, mode="local", solver="dopri5", adjoint=adjoint)))(P)

    first = of("checkpoint")
    for other in (of("direct"), of("backsolve"), of("forward", jax.jacfwd)):
        for name in P:
            close(other[name], first[name], rtol=1e-6)


@pytest.mark.parametrize("options", [{"solver": "rodas5p"}, {"solver": "auto"}, {"solver": "kvaerno5"}, {"solver": "dopri5"}])
@pytest.mark.parametrize("mode", ["local", "global"])
def test_other_solvers(options, mode):
    value, gradient = jax.jit(jax.value_and_grad(lambda p: penalty(p, mode=mode, **options)))(P)
    assert value > 0 and all(np.isfinite(float(v)) and v != 0 for v in gradient.values())


@pytest.mark.parametrize("solver", ["tsit5", "rodas5p", "kvaerno5", "dopri5"])
def test_the_stiffness_of_linear_decay_is_its_rate(solver, close):
    k = sci.parameters("k", 7.0)
    decay = sci.System([sci.eq(x.diff(t), -k * x)])
    sol = sci.solve(decay, t_span=(0, 1), initial={"x": 1.0}, regularize=sci.Stiffness(0.5), key=KEY, solver=solver, saveat="end")
    close(sol.penalty, 3.5, rtol=1e-4)


def test_lanes_have_steps_of_their_own(close):
    many = jax.jit(jax.vmap(lambda v, k: penalty({"a": v, "b": 5.0}, mode="local", key=k)))
    values, keys = jnp.array([0.9, 1.1, 1.3]), jax.random.split(KEY, 3)
    found = many(values, keys)
    for i in range(3):
        close(found[i], penalty({"a": values[i], "b": 5.0}, mode="local", key=keys[i]), rtol=1e-7)


def test_several_penalties_with_weights_add_up(close):
    both = [sci.ErrorEstimate(2.0, mode="local"), sci.Stiffness(0.1, mode="global")]
    sol = sci.solve(system, t_span=SPAN, params=P, regularize=both, key=KEY, solver="tsit5", rtol=RTOL, atol=ATOL, saveat="end")
    close(sol.penalty, 2 * penalty(P, mode="local") + 0.1 * penalty(P, sci.Stiffness), rtol=1e-7)


def test_the_solution_is_the_same_with_and_without(close):
    plain = sci.solve(system, t_span=SPAN, params=P, saveat=20)
    watched = sci.solve(system, t_span=SPAN, params=P, saveat=20, regularize=sci.ErrorEstimate(1.0), key=KEY)
    np.testing.assert_array_equal(np.asarray(plain[x]), np.asarray(watched[x]))
    assert plain.stats["steps"] == watched.stats["steps"] and plain.stats["solver"] == watched.stats["solver"]


def test_a_weight_that_changes_compiles_nothing_new():
    model = sci.compile(system)
    traces = []
    for weight in (1.0, 2.0):
        sol = sci.solve(model, t_span=SPAN, params=P, saveat="end", regularize=sci.ErrorEstimate(weight), key=KEY)
        traces.append(sol._program.traces)
    assert traces[0] == traces[1]
    scheduled = sci.ErrorEstimate(optax.exponential_decay(2.5, 100, 0.4))
    assert abs(float(scheduled.at(100).weight) - 1.0) < 1e-6
    found = jax.jit(lambda step: sci.solve(model, t_span=SPAN, saveat="end", regularize=scheduled.at(step), key=KEY).penalty)
    assert float(found(0)) / float(found(100)) == pytest.approx(2.5, rel=1e-4)


def test_an_adaptive_solver_of_noise(close):
    s = sci.parameters("s", 0.3)
    u = sci.variables("u", initial=1.0)
    noisy = sci.System([sci.eq(u.diff(t), -u + s * u * sci.white_noise("xi"))])

    def solved(p, regularize=None):
        return sci.solve(noisy, t_span=(0, 1), params=p, key=KEY, rtol=1e-2, atol=1e-3, saveat="end", regularize=regularize)

    for mode in ("local", "global"):
        value, gradient = jax.jit(jax.value_and_grad(lambda p, m=mode: solved(p, sci.ErrorEstimate(1.0, mode=m)).penalty))({"s": 0.3})
        assert value > 0 and np.isfinite(float(gradient["s"]))
    same = solved({"s": 0.3}, sci.ErrorEstimate(1.0))  # the random time takes nothing from the path
    close(same[u], solved({"s": 0.3})[u], rtol=1e-12)


def test_the_exponential_method_has_an_error_to_penalise():
    r = sci.space("r", 0, 1, periodic=True)
    w = sci.fields("w", t, r)
    import sympy as sp

    heat = sci.System([sci.eq(w.diff(t), 0.1 * w.diff(r, 2) + a * w * (1 - w**2))], initial={w: sp.sin(2 * sp.pi * r) / 2})
    grid = sci.discretize(heat, {r: sci.Fourier(32)})

    def of(p, mode):
        return sci.solve(grid, t_span=(0, 1), params=p, solver="etdrk4", saveat="end", regularize=sci.ErrorEstimate(1.0, mode=mode), key=KEY).penalty

    for mode in ("local", "global"):
        value, gradient = jax.value_and_grad(of)({"a": 1.1}, mode)
        assert value > 0 and np.isfinite(float(gradient["a"]))
    with pytest.raises(SolveError, match="solves the stiff part exactly"):
        sci.solve(grid, t_span=(0, 1), solver="etdrk4", regularize=sci.Stiffness(1.0), key=KEY)


def test_training_with_a_penalty_makes_a_network_cheaper_to_solve():
    """Half the loss is a penalty: the fitted dynamics take fewer steps, at the same end."""
    f = sci.neural("f", eqx.nn.MLP(2, 1, 8, 1, activation=jnp.tanh, key=jax.random.key(1)))
    z = sci.variables("z", initial=1.0)
    learned = sci.compile(sci.System([sci.eq(z.diff(t), f(z, sp_sin(20 * t)))]))
    weights = learned.params["f"]

    def loss(w, key, weight):
        sol = sci.solve(
            learned, t_span=(0, 1), params={"f": w}, solver="tsit5", rtol=1e-5, atol=1e-7, saveat="end", key=key, regularize=sci.ErrorEstimate(weight)
        )
        return (sol[z][-1] - 2.0) ** 2 + sol.penalty, sol.stats["accepted"]

    step = jax.jit(jax.value_and_grad(loss, has_aux=True))

    def trained(weight):
        w, optimiser = weights, optax.adam(1e-2)
        state = optimiser.init(w)
        for i in range(150):
            (_, steps), gradient = step(w, jax.random.fold_in(KEY, i), weight)
            with jax.numpy_dtype_promotion("standard"):
                updates, state = optimiser.update(gradient, state)
                w = optax.apply_updates(w, updates)
        sol = sci.solve(learned, t_span=(0, 1), params={"f": w}, solver="tsit5", rtol=1e-5, atol=1e-7, saveat="end")
        return float(sol[z][-1]), int(steps)

    (plain, many), (watched, few) = trained(jnp.asarray(0.0)), trained(jnp.asarray(0.3))
    assert abs(plain - 2) < 0.02 and abs(watched - 2) < 0.05
    assert few < many


def sp_sin(argument):
    import sympy as sp

    return sp.sin(argument)


BAD = [
    (dict(regularize=0.1), "sci.ErrorEstimate\\(0.1\\)"),
    (dict(regularize=sci.ErrorEstimate(1.0)), "needs a random key"),
    (dict(regularize=sci.ErrorEstimate(optax.constant_schedule(1.0)), key=KEY), r"penalty\.at\(step\)"),
    (dict(regularize=sci.ErrorEstimate(1.0, mode="global"), adjoint="backsolve"), 'Write mode="local", or adjoint="auto"'),
    (dict(regularize=sci.Stiffness(1.0, mode="global"), solver="dopri5"), "'dopri5'.*mode=\"local\""),
    (dict(regularize=sci.ErrorEstimate(1.0), key=KEY, dt=0.1), "leave out dt="),
    (dict(regularize=sci.ErrorEstimate(1.0), key=KEY, dt=0.1, solver="euler"), "'euler' has none. Write sci.solve.*solver=\"tsit5\""),
]


@pytest.mark.parametrize("options, message", BAD, ids=range(len(BAD)))
def test_what_cannot_be(options, message):
    with pytest.raises(SolveError, match=message):
        sci.solve(system, t_span=SPAN, **options)


def test_noise_with_steps_of_one_size_has_no_estimate():
    u = sci.variables("u", initial=1.0)
    noisy = sci.System([sci.eq(u.diff(t), -u + sci.white_noise("xi"))])
    for solver, cure in (("auto", 'solver="spark", rtol=1e-2'), ("spark", "give rtol= so that the step is adaptive")):
        with pytest.raises(SolveError, match=cure):
            sci.solve(noisy, t_span=(0, 1), key=KEY, solver=solver, regularize=sci.ErrorEstimate(1.0))


@pytest.mark.parametrize("make", [sci.ErrorEstimate, sci.Stiffness])
def test_a_penalty_that_makes_no_sense(make):
    with pytest.raises(SolveError, match='write mode="local"'):
        make(1.0, mode="globel")
    for weight in (-1.0, float("nan"), "0.1", None):
        with pytest.raises(SolveError, match="weight"):
            make(weight)


def test_there_is_no_penalty_without_a_regulariser():
    with pytest.raises(SolveError, match="There is no penalty: write"):
        _ = sci.solve(system, t_span=SPAN).penalty
