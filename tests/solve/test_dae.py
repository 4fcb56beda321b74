"""Systems with algebraic equations: solutions, starts, constraints kept, derivatives, and what is said when it cannot be."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import sympy as sp

import sciml as sci
from sciml.errors import CompileError, ModelError, SolveError

t = sci.t
FLOAT32 = not jax.config.jax_enable_x64
needs_float64 = pytest.mark.skipif(FLOAT32, reason="compared with more digits than float32 has")
TIGHT = {} if FLOAT32 else {"rtol": 1e-9, "atol": 1e-11}
k, c = sci.parameters("k c", [0.5, 2.0])


@functools.cache
def cubic(**declared):
    """x' = -k z, z**3 + z = k x/c: z by Cardano's formula, x by dx/dz = (3 z**2 + 1) c/k."""
    x = sci.variables("x", initial=1.0)
    z = sci.variables("z", **declared)
    return sci.System([sci.eq(x.diff(t), -k * z), sci.eq(z**3 + z, k * x / c)], name="cubic")


def cardano(r):
    s = np.sqrt(r**2 / 4 + 1 / 27)
    return np.cbrt(r / 2 + s) + np.cbrt(r / 2 - s)


def cubic_time(z0, z, k=0.5, c=2.0):
    """The time at which z is reached: t = -(c/k**2) * [3/2 z**2 + log z]."""
    return -(c / k**2) * (1.5 * (z**2 - z0**2) + np.log(z / z0))


def run(system, saveat=5, span=(0.0, 2.0), **more):
    return sci.solve(system, t_span=span, saveat=saveat, **{**TIGHT, **more})


# -- solutions ---------------------------------------------------------------------------------


@pytest.mark.parametrize("solver", ["auto", "rodas5p", "rosenbrock23"])
def test_an_algebraic_equation_as_one_thinks_of_it(solver, close):
    more = {"rtol": 1e-6, "atol": 1e-8} if solver == "rosenbrock23" else {}
    sol = run(cubic(), solver=solver, **more)
    z = np.asarray(sol["z"], float)
    close(cubic_time(z[0], z), sol.t, rtol=1e-3 if solver == "rosenbrock23" else 1e-6, atol=1e-8)
    close(z[0], cardano(0.25), rtol=1e-10)
    assert sol.stats["solver"] == ("rodas5p" if solver == "auto" else solver)
    if solver == "auto":
        assert "algebraic equations need a Rosenbrock method" in sol.stats["reason"]


def test_an_equation_implicit_in_the_derivative(close):
    """x'**3 + x' = -x: with v = x', x = -(v**3 + v), so that t = -3/2 (v**2 - v0**2) - log(v/v0)."""
    x = sci.variables("x", initial=1.0)
    sol = run(sci.System([sci.eq(x.diff(t) ** 3 + x.diff(t), -x)]))
    v = np.asarray(sol[x.diff(t)], float)
    close(v[0], cardano(-1.0), rtol=1e-9)
    close(-1.5 * (v**2 - v[0] ** 2) - np.log(v / v[0]), sol.t, rtol=1e-6, atol=1e-8)


def test_of_second_order(close):
    q = sci.variables("q", initial=1.0)
    w = sci.variables("w")
    system = sci.System([sci.eq(q.diff(t, 2), -w), sci.eq(w + w**3, q + q**3)], initial={q.diff(t): 0.0})
    close(run(system)["q"], np.cos(np.linspace(0, 2, 5)), rtol=1e-6, atol=1e-7)


def coupled():
    """c (u1' - u2') = -u1 = -k u2: u2 = u1/k, (1 - 1/k) c u1' = -u1, with k = 1/2 u1 = exp(t/c)."""
    u1 = sci.variables("u1", initial=1.0)
    u2 = sci.variables("u2", guess=0.3)
    flow = c * (u1.diff(t) - u2.diff(t))
    return sci.System([sci.eq(flow, -u1), sci.eq(flow, -k * u2)], name="coupled")


def test_a_singular_matrix_before_the_derivatives(close):
    sol = run(coupled())
    close(sol["u1"], np.exp(np.asarray(sol.t) / 2), rtol=1e-7)
    close(sol["u2"], 2 * np.exp(np.asarray(sol.t) / 2), rtol=1e-7)


def test_many_coupled_derivatives_with_a_constant_matrix(close):
    """(1 + ones) q' = q is kept as a matrix: the mean decays by its own rule, the rest grows as exp(t)."""
    n = 10
    q0 = np.linspace(0.0, 0.9, n)
    q = sci.variables(f"q0:{n}", initial=list(q0))
    total = sum(v.diff(t) for v in q)
    sol = run(sci.System([sci.eq(v.diff(t) + total, v) for v in q]), saveat="end", span=(0.0, 1.0))
    mean = q0.mean()
    exact = (q0 - mean) * np.exp(1.0) + mean * np.exp(1 / (1 + n))
    close([float(sol[f"q{i}"][0]) for i in range(n)], exact, rtol=1e-6)
    assert sci.compile(sol.system).mass_pattern.all()


def test_arrays_as_algebraic_unknowns(close):
    b = sci.variables("b", shape=(3,), initial=[1.0, 2.0, -1.0])
    a = sci.variables("a", shape=(3,), guess=0.1)
    sol = run(sci.System([sci.eq(b.diff(t), -a), sci.eq(a**3 + a, b)]))
    assert sol[a].shape == (5, 3)
    z = np.asarray(sol[a], float)
    close(-1.5 * (z**2 - z[0] ** 2) - np.log(z / z[0]), np.broadcast_to(np.asarray(sol.t)[:, None], (5, 3)), rtol=1e-6, atol=1e-7)


def test_backwards_undoes_it(close):
    there = run(cubic(), saveat="end")
    back = run(cubic(), saveat="end", span=(2.0, 0.0), initial={"x": float(there["x"][0])})
    close(back["x"][0], 1.0, rtol=1e-6)


def test_constraints_hold_at_saved_times_and_between():
    x, z = cubic().symbols["x"], cubic().symbols["z"]
    residual = z**3 + z - k * x / c
    bound = 1e-6 if FLOAT32 else 1e-12
    for saveat in (50, "steps", "end", np.linspace(0, 2, 7)):
        assert np.abs(run(cubic(), saveat=saveat, rtol=1e-4, atol=1e-6)[residual]).max() < bound
    dense = run(cubic(), dense=True, rtol=1e-4, atol=1e-6)
    assert np.abs(dense(np.linspace(0, 2, 33))[residual]).max() < bound
    many = jax.vmap(lambda v: run(cubic(), params={"k": v}, rtol=1e-4, atol=1e-6))(jnp.array([0.1, 0.5, 3.0]))
    assert np.abs(many[residual]).max() < bound
    circuit = coupled()
    u1, u2 = circuit.symbols["u1"], circuit.symbols["u2"]
    assert np.abs(run(circuit, rtol=1e-4, atol=1e-6, dense=True)(np.linspace(0, 2, 9))[u1 - k * u2]).max() < 10 * bound


# -- starts --------------------------------------------------------------------------------------


def test_which_values_are_kept_and_which_are_found(close):
    x, z = sci.variables("x z")
    system = sci.System([sci.eq(x.diff(t), -z), sci.eq(z**3 + z, x)])
    close(run(system, initial={"x": 2.0})["z"][0], 1.0, rtol=1e-9)
    close(run(system, initial={"z": 1.0})["x"][0], 2.0, rtol=1e-9)
    both = run(system, initial={"x": 2.0, "z": 1.0})
    close([both["x"][0], both["z"][0]], [2.0, 1.0], rtol=1e-9)
    with pytest.raises(SolveError, match=r"\('x', 'z'\) are 2, and .* determine 1 of them at the start. Give 'x' one: initial=\{\"x\": 1.0\}"):
        run(system)


def test_the_guess_chooses_the_branch(close):
    x = sci.variables("x", initial=4.0)
    for guess, root in ((1.0, 2.0), (-0.5, -2.0)):
        z = sci.variables("z", guess=guess)
        close(run(sci.System([sci.eq(x.diff(t), -0.1 * x), sci.eq(z**2, x)]))[z][0], root, rtol=1e-8)


def test_a_far_guess_is_mended_by_continuation(close):
    x = sci.variables("x", initial=1.0)
    z = sci.variables("z", guess=30.0)
    close(run(sci.System([sci.eq(x.diff(t), -x), sci.eq(sp.exp(z) - sp.exp(-z) + sp.atan(5 * z), x)]), span=(0.0, 0.1))[z][0] > 0, True)


def test_initial_values_that_are_expressions(close):
    x, z = sci.variables("x z")
    system = sci.System([sci.eq(x.diff(t), -z), sci.eq(z**3 + z, x)], initial={x: 4 * k})
    close(run(system)["z"][0], 1.0, rtol=1e-9)
    close(run(system, params={"k": 2.5})["z"][0], 2.0, rtol=1e-9)


def test_values_that_contradict_are_told_with_the_residual():
    declared = cubic(initial=0.3)
    with pytest.raises(SolveError) as raised:
        run(declared)
    text = str(raised.value)
    assert "contradict" in text and "`0 = z**3 + z - k*x/c`" in text and "off by 0.077 with x = 1, z = 0.3" in text
    assert "guess= in place of initial=" in text and 'sci.variables("z", guess=0.3)' in text
    with pytest.raises(SolveError, match=r"off by 0.077.*Leave 'z' out of initial="):
        run(cubic(), initial={"z": 0.3})
    quiet = run(declared, throw=False)
    assert bool(quiet.status == sci.Status.contradiction) and np.isnan(quiet["x"]).all()


def test_no_solution_at_the_start_says_where_the_search_ended():
    x = sci.variables("x", initial=1.0)
    Z = sci.variables("Z")
    with pytest.raises(SolveError, match=r"No initial values.*`0 = .*` .*is off by .* with Z = .*, x = 1.*sci.variables\(.Z., guess=1.0\)"):
        run(sci.System([sci.eq(x.diff(t), -x), sci.eq(Z**2 + x, -1)]))
    with pytest.raises(SolveError, match=r"is nan with x = 1, z = 0: check it for .* root or logarithm of a negative number"):
        z = sci.variables("z")
        run(sci.System([sci.eq(x.diff(t), -x), sci.eq(z**3 + z, sp.sqrt(x - 2))]))


def test_a_singular_start_names_what_is_not_determined():
    x = sci.variables("x", initial=0.0)
    z = sci.variables("z")
    with pytest.raises(SolveError, match=r"(?s)do not determine.*With x = 0, z = 0, `0 = .*z\*\*2` .*does not change with 'z'.*guess=1.0"):
        run(sci.System([sci.eq(x.diff(t), -z), sci.eq(z**2, x)]))
    p, q = sci.variables("p q", initial=[1.0, -1.0])
    both = p.diff(t) + q.diff(t)
    with pytest.raises(SolveError, match=r"do not change with 'p' and 'q', moved together.*the index is above 1"):
        run(sci.System([sci.eq(both, p + q), sci.eq(both, 2 * (p + q))]))


def test_a_branch_that_ends_names_the_unknown_and_its_equation():
    x = sci.variables("x", initial=1.0)
    z = sci.variables("z", guess=1.0)
    with pytest.raises(SolveError, match=r"t=1.*the largest local error is in 'z'.*the algebraic equation that determines 'z'"):
        run(sci.System([sci.eq(x.diff(t), -1 + 0 * x), sci.eq(z**2, x)]), span=(0.0, 3.0))


def test_a_missing_parameter_in_a_constraint_is_named():
    x, z = sci.variables("x z", initial=[1.0, None])
    with pytest.raises(SolveError, match="parameter 'p' has no value"):
        run(sci.System([sci.eq(x.diff(t), -z), sci.eq(z**3 + z, sci.parameters("p") * x)]))


# -- options that do not go with it -----------------------------------------------------------------


@pytest.mark.parametrize("solver", ["tsit5", "kvaerno5", "dopri5"])
def test_solvers_for_explicit_equations_are_refused_by_name(solver):
    with pytest.raises(SolveError, match=rf"is implicit, and '{solver}' solves explicit equations only.*rodas5p, rosenbrock23"):
        run(cubic(), solver=solver)


def test_other_options_that_are_refused():
    with pytest.raises(SolveError, match=r"There is no solver 'rodas5'\. Did you mean 'rodas5p'"):
        run(cubic(), solver="rodas5")
    for solver in ("auto", "rodas5p"):
        with pytest.raises(SolveError, match="leave out dt="):
            sci.solve(cubic(), t_span=(0, 1), dt=0.1, solver=solver)
    for adjoint in ("backsolve", "checkpoint", "direct"):
        with pytest.raises(SolveError, match='Leave adjoint="auto"'):
            run(cubic(), adjoint=adjoint)


def test_noise_is_refused():
    x, z = sci.variables("x z", initial=[1.0, None])
    with pytest.raises(CompileError, match="has white noise: stochastic differential-algebraic equations cannot be solved"):
        sci.compile(sci.System([sci.eq(x.diff(t), -z + sci.white_noise("xi")), sci.eq(z**3 + z, x)]))


def test_rates_that_no_equation_gives(close):
    x, z = cubic().symbols["x"], cubic().symbols["z"]
    sol = run(cubic(), dense=True)
    close(sol[x.diff(t)], -0.5 * sol[z], rtol=1e-9)
    with pytest.raises(ModelError, match=r"'z'' is given only implicitly: no equation says.*\(jax.grad\(lambda s: sol\(s\)\[z\]\)\)\(sol.t\)"):
        sol[z.diff(t)]
    slopes = jax.vmap(jax.grad(lambda s: sol(s)[z]))(sol.t)  # as the message says
    close(slopes, 0.25 * sol[x.diff(t)] / (3 * sol[z] ** 2 + 1), rtol=1e-3)


# -- derivatives ---------------------------------------------------------------------------------------


def both_modes(f, at, h=1e-5):
    reverse, forward = jax.jacrev(f)(at), jax.jacfwd(f)(at)
    scale = np.abs(np.asarray(forward)).max()
    np.testing.assert_allclose(reverse, forward, rtol=1e-8, atol=1e-9 * scale)
    shifts = h * jnp.eye(len(at))
    plus, minus = jax.vmap(f)(at[None] + shifts), jax.vmap(f)(at[None] - shifts)
    difference = np.moveaxis(np.asarray(plus - minus) / (2 * h), 0, -1)
    assert np.linalg.norm(reverse - difference) <= 1e-5 * np.linalg.norm(difference), (reverse, difference)
    return reverse


@needs_float64
@pytest.mark.parametrize("saving", ["even", "dense", "end", "steps"])
def test_by_parameters_that_divide_inside_and_by_initial_values(saving):
    def course(v):
        more = {"params": {"k": v[0], "c": v[1]}, "initial": {"x": v[2]}, "rtol": 1e-10, "atol": 1e-12}
        if saving == "dense":
            return run(cubic(), saveat="end", dense=True, **more)(np.linspace(0, 2, 4))["z"]
        if saving == "steps":
            return run(cubic(), saveat="steps", max_steps=400, **more)["z"][:1]  # at the start: found by the initialisation
        return run(cubic(), saveat=4 if saving == "even" else "end", **more)["z"]

    both_modes(course, jnp.array([0.5, 2.0, 1.0]))


@needs_float64
def test_of_what_the_initialisation_finds():
    """z0**3 + z0 = k x0/c: dz0/dx0 = (k/c)/(3 z0**2 + 1)."""
    start = lambda v: run(cubic(), params={"k": v[0], "c": v[1]}, initial={"x": v[2]})["z"][0]
    found = both_modes(start, jnp.array([0.5, 2.0, 1.0]))
    slope = 1 / (3 * cardano(0.25) ** 2 + 1)
    np.testing.assert_allclose(found, [0.5 * slope, -0.125 * slope, 0.25 * slope], rtol=1e-8)


@needs_float64
def test_of_a_singular_matrix_before_the_derivatives():
    """By the coefficient of the derivatives, which the matrix holds, and by a found initial value's own equation."""
    system = coupled()
    course = lambda v: run(system, saveat=4, params={"c": v[0], "k": v[1]}, initial={"u1": v[2]}, rtol=1e-10, atol=1e-12)["u2"]
    both_modes(course, jnp.array([2.0, 0.5, 1.0]))


@needs_float64
def test_where_the_other_unknown_is_found():
    x, z = sci.variables("x z")
    system = sci.System([sci.eq(x.diff(t), -k * z), sci.eq(z**3 + z, x / c)])
    course = lambda v: run(system, params={"k": v[0], "c": v[1]}, initial={"z": v[2]}, rtol=1e-10, atol=1e-12)["x"]
    both_modes(course, jnp.array([0.5, 2.0, 1.0]))


@needs_float64
def test_of_lanes_and_inside_jit():
    end = lambda v: run(cubic(), params={"c": v}, saveat="end")["z"][0]
    lanes = jnp.array([1.0, 2.0, 5.0])
    single = [float(jax.grad(end)(v)) for v in lanes]
    np.testing.assert_allclose(jax.jit(jax.vmap(jax.grad(end)))(lanes), single, rtol=1e-7)
    np.testing.assert_allclose(jax.vmap(jax.jacfwd(end))(lanes), single, rtol=1e-7)


@needs_float64
def test_steps_that_were_not_taken_do_not_spoil_the_gradient():
    total = lambda v: jnp.nansum(run(cubic(), params={"c": v}, saveat="steps", max_steps=300)["z"])
    assert np.isfinite(jax.grad(total)(2.0))
