"""Gradients of every ODE model by all parameters and initial values: reverse and forward mode against differences.

The horizon is short and the tolerance fine, so that the choice of steps does not enter. Every number is varied in units
of its own size, z = value / size, so that no unit of measurement hides a wrong component behind a large one.
"""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from model_cases import ODES, compiled, needs_float64, sizes

import sciml as sci
from sciml_models import MODELS

pytestmark = needs_float64
SLOW = ("carbon_bond", "emep")
CASES = [pytest.param(name, marks=pytest.mark.slow) if name in SLOW else name for name in ODES]

HORIZON = {
    "lotka_volterra": 1.0,
    "lorenz": 0.3,
    "van_der_pol": 1.0,
    "robertson": 0.05,
    "hires": 1.0,
    "orego": 1.0,
    "pollution": 0.05,
    "pleiades": 0.5,
    "fitzhugh_nagumo": 2.0,
    "double_pendulum": 0.5,
    "hodgkin_huxley": 1.0,
    "belousov_zhabotinsky": 1.0,
    "field_noyes": 0.5,
    "e5": 1.0,
    "carbon_bond": 1.0,
    "emep": 1.0,
    "ring_modulator": 1e-6,
    "robertson_dae": 0.05,
    "akzo_nobel": 1.0,
    "transistor_amplifier": 1e-3,
}
RTOL, ATOL, STEP = 1e-8, 1e-10, 4e-3
STEPS = {"transistor_amplifier": 2e-4}  # its currents are exponential in volts/0.026
MANY, SOME = 40, 12  # of more numbers than this, only some are differentiated


@functools.cache
def problem(name):
    """(loss of the scaled numbers, the scaled numbers, their names). The loss weighs every state at the end."""
    model, first = compiled(name), MODELS[name].t_span[0]
    span = (first, first + HORIZON[name])
    largest = dict(zip(model.layout.states, sizes(name, span), strict=True))
    largest = {n: size or 1.0 for n, size in largest.items()}
    initial = {n: v for n, v in model.initial.items() if v is not None}  # what constraints determine is not a number of its own
    kinds = [("params", n, v, 1.0) for n, v in model.params.items()] + [("initial", n, v, largest[n]) for n, v in initial.items()]
    if len(kinds) > MANY:
        kinds = kinds[:: -(-len(kinds) // SOME)]
    values = np.array([v for _, _, v, _ in kinds], dtype=float)
    scale = np.where(values == 0.0, [size for *_, size in kinds], np.abs(values))
    weights = np.cos(1.0 + np.arange(len(largest))) / np.array(list(largest.values()))

    def loss(z, **options):
        numbers = z * scale
        given = {"params": {}, "initial": {}}
        for i, (kind, n, _, _) in enumerate(kinds):
            given[kind][n] = numbers[i]
        sol = sci.solve(model, t_span=span, **given, solver=MODELS[name].solver, rtol=RTOL, atol=ATOL, **options)
        return sum(w * sol[n][-1] for w, n in zip(weights, largest, strict=True))

    return loss, values / scale, [n for _, n, _, _ in kinds]


@functools.cache
def differences(name):
    """Central differences of fourth order. They run the compiled solve of the reference with other numbers."""
    loss, z, _ = problem(name)
    step = STEPS.get(name, STEP)
    shifts = step * np.eye(z.size)
    plus, minus, plus2, minus2 = ([float(loss(z + k * shift, saveat=50)) for shift in shifts] for k in (1, -1, 2, -2))
    return (8 * np.subtract(plus, minus) - np.subtract(plus2, minus2)) / (12 * step)


@functools.cache
def reverse(name):
    loss, z, _ = problem(name)
    return np.asarray(jax.jit(jax.grad(functools.partial(loss, saveat="end")))(jnp.asarray(z)))


@functools.cache
def forward(name):
    loss, z, _ = problem(name)
    return np.asarray(jax.jit(jax.jacfwd(functools.partial(loss, saveat="end", adjoint="forward")))(jnp.asarray(z)))


@pytest.mark.parametrize("mode", [reverse, forward])
@pytest.mark.parametrize("name", CASES)
def test_gradient_agrees_with_differences(name, mode):
    found, expected, names = mode(name), differences(name), problem(name)[2]
    norm = np.linalg.norm(expected)
    assert np.isfinite(found).all(), names
    assert norm > 0.1  # the loss does depend on these numbers
    worst = int(np.argmax(np.abs(found - expected)))
    assert np.linalg.norm(found - expected) <= 1e-5 * norm, (names[worst], found[worst], expected[worst])


@pytest.mark.parametrize("name", CASES)
def test_both_modes_differentiate_the_same_program(name):
    np.testing.assert_allclose(forward(name), reverse(name), rtol=0.0, atol=1e-11 * np.linalg.norm(reverse(name)))
