"""Gradients against closed forms, in both modes, under jit and vmap, by everything that is a number."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import sciml as sci

from .models import decay, geometric, k, lotka_volterra, oscillator, t, x

TIGHT = {"rtol": 1e-9, "atol": 1e-11}
EXACT = 2 * np.exp(-1.0)  # x(2) for k = 0.5; its derivative by k is -2*x(2)


def tight():
    return TIGHT if jax.config.jax_enable_x64 else {}


def end(adjoint="auto", **numbers):
    numbers = {"t_span": (0.0, 2.0), **tight(), **numbers}
    return sci.solve(decay(), saveat="end", adjoint=adjoint, **numbers)[x][0]


@pytest.mark.parametrize("adjoint", ["auto", "checkpoint", "direct", "backsolve"])
def test_reverse_mode_by_a_parameter(adjoint, close):
    gradient = jax.grad(lambda p: end(adjoint, params=p))({"k": 0.5})
    close(gradient["k"], -2 * EXACT, rtol=1e-6)


@pytest.mark.parametrize("adjoint", ["forward", "direct"])
def test_forward_mode_by_a_parameter(adjoint, close):
    close(jax.jacfwd(lambda p: end(adjoint, params=p))({"k": 0.5})["k"], -2 * EXACT, rtol=1e-6)
    value, tangent = jax.jvp(lambda v: end(adjoint, params={"k": v}), (0.5,), (1.0,))
    close([value, tangent], [EXACT, -2 * EXACT], rtol=1e-6)


def test_by_initial_values_and_by_the_span(close):
    close(jax.grad(lambda v: end(initial={"x": v}))(2.0), np.exp(-1.0), rtol=1e-6)
    close(jax.grad(lambda v: end(t_span=(0.0, v)))(2.0), -0.5 * EXACT, rtol=1e-6)
    close(jax.grad(lambda v: end(t_span=(v, 2.0)))(0.0), 0.5 * EXACT, rtol=1e-6)


def test_under_jit_and_vmap(close):
    rates = jnp.array([0.3, 0.5, 0.7])
    exact = -2 * 2 * np.exp(-2 * np.asarray(rates))
    close(jax.jit(jax.vmap(jax.grad(lambda v: end(params={"k": v}))))(rates), exact, rtol=1e-6)
    close(jax.vmap(jax.jit(jax.jacfwd(lambda v: end("forward", params={"k": v}))))(rates), exact, rtol=1e-6)


def test_through_expressions_and_saved_times(close):
    def loss(v):
        sol = sci.solve(decay(), t_span=(0.0, 2.0), saveat=5, params={"k": v}, **tight())
        return jnp.sum(sol["double"]) + jnp.sum(sol[k * x])

    times = np.linspace(0, 2, 5)
    exact = np.sum((2 * -times + 1 - 0.5 * times) * 2 * np.exp(-0.5 * times))
    close(jax.grad(loss)(0.5), exact, rtol=1e-5)


def test_by_a_value_that_others_are_defined_by(close):
    scale = sci.parameters("scale", 2.0)
    rate = sci.parameters("rate", scale / 4)
    z = sci.variables("z", initial=scale)
    system = sci.System([sci.eq(z.diff(t), -rate * z)])
    value = lambda v: sci.solve(system, t_span=(0.0, 1.0), saveat="end", params={"scale": v}, **tight())[z][0]
    close(jax.grad(value)(2.0), (1 - 2 / 4) * np.exp(-0.5), rtol=1e-5)


def test_second_derivatives_by_forward_over_reverse(close):
    second = jax.jacfwd(jax.grad(lambda v: end("direct", params={"k": v}, max_steps=200)))(0.5)
    close(second, 4 * EXACT, rtol=1e-5)


def test_by_measured_values(close):
    times = np.linspace(0, 2, 5)
    force = sci.data("F", times, np.zeros(5), interp="linear")
    z = sci.variables("z", initial=0.0)
    system = sci.System([sci.eq(z.diff(t), force)])
    gradient = jax.grad(lambda v: sci.solve(system, t_span=(0, 2), saveat="end", dt=0.05, solver="heun", params={"F": v})[z][0])(jnp.zeros(5))
    close(gradient, [0.25, 0.5, 0.5, 0.5, 0.25], rtol=1e-4)  # the trapezoidal rule


def test_by_the_weights_of_a_network():
    net = eqx.nn.MLP(1, 1, 4, 1, key=jax.random.key(0))
    g = sci.neural("g", net)
    z = sci.variables("z", initial=1.0)
    system = sci.System([sci.eq(z.diff(t), g(z))])
    weights = eqx.filter(net, eqx.is_inexact_array)

    def value(w, adjoint="auto"):
        return sci.solve(system, t_span=(0.0, 1.0), saveat="end", params={"g": w}, adjoint=adjoint, **tight())[z][0]

    gradient = jax.grad(value)(weights)
    direction = jax.tree.map(jnp.ones_like, weights)
    slope = sum(jnp.vdot(g, d) for g, d in zip(jax.tree.leaves(gradient), jax.tree.leaves(direction), strict=True))
    _, forward = jax.jvp(lambda w: value(w, "forward"), (weights,), (direction,))
    np.testing.assert_allclose(slope, forward, rtol=1e-5 if jax.config.jax_enable_x64 else 1e-2)


def test_against_central_differences_on_a_nonlinear_system():
    if not jax.config.jax_enable_x64:
        return
    names = ("a", "b", "c", "d")
    centre = jnp.array([1.1, 0.4, 0.4, 0.1, 10.0, 5.0])

    def loss(v, adjoint="auto"):
        sol = sci.solve(
            lotka_volterra(), t_span=(0.0, 1.0), saveat=4, adjoint=adjoint, params=dict(zip(names, v[:4], strict=True)),
            initial={"x": v[4], "y": v[5]}, rtol=1e-11, atol=1e-12,
        )  # fmt: skip
        return jnp.sum(sol["share"] ** 2) + sol["x"][-1]

    h = 1e-5
    shifts = h * jnp.eye(6)
    difference = (jax.vmap(loss)(centre[None] + shifts) - jax.vmap(loss)(centre[None] - shifts)) / (2 * h)
    for gradient in (jax.grad(loss)(centre), jax.jacfwd(lambda v: loss(v, "forward"))(centre)):
        assert np.linalg.norm(gradient - difference) <= 1e-5 * np.linalg.norm(difference)


def test_through_noise(close):
    """z = exp((mu - s**2/2)*T + s*W): dz/dmu = T*z on every path."""

    def value(mu):
        return sci.solve(geometric(), t_span=(0.0, 1.0), saveat="end", params={"mu": mu}, key=jax.random.key(3), dt=0.01)["z"][0]

    close(jax.grad(value)(0.5), value(0.5), rtol=1e-3)


def test_of_an_oscillator_by_its_frequency(close):
    value = lambda w: sci.solve(oscillator(), t_span=(0.0, 1.0), saveat="end", params={"w": w}, **tight())["q"][0]
    close(jax.grad(value)(2.0), -np.sin(2.0), rtol=1e-5)
