"""Every ready model reaches its published or independently computed numbers, and keeps what it must keep."""

import numpy as np
import pytest
from model_cases import ODES, needs_float64, solved

from sciml_models import MODELS

pytestmark = needs_float64


@pytest.mark.parametrize("name", ODES)
def test_reaches_the_reference(name):
    sol, rtol = solved(name), ODES[name][2]
    assert sol.t[-1] == MODELS[name].t_span[1]
    found = [float(sol[n][-1]) for n in MODELS[name].reference]
    np.testing.assert_allclose(found, list(MODELS[name].reference.values()), rtol=rtol, atol=0.0)


@pytest.mark.parametrize(
    ("name", "quantity", "size", "kept_to"),
    [
        ("lotka_volterra", "V", 2.0, 1e-9),
        ("robertson", "mass", 1.0, 1e-13),
        ("hires", "enzyme", 0.0057, 1e-13),
        ("pollution", "nitrogen", 0.2, 1e-13),
        ("pollution", "carbon", 0.42, 1e-13),
        ("pollution", "sulfur", 0.007, 1e-13),
        ("pleiades", "energy", 100.0, 1e-8),
        ("double_pendulum", "energy", 9.81, 1e-9),
    ],
)
def test_keeps_what_is_conserved(name, quantity, size, kept_to):
    """Linear invariants to rounding, others to the tolerance of the solve; `size` is the natural scale of the quantity."""
    values = np.asarray(solved(name)[quantity])
    assert values.shape == (50,)
    assert np.abs(values - values[0]).max() <= kept_to * size


def test_momentum_of_the_stars_is_kept():
    sol = solved("pleiades")
    for z in "xy":
        momentum = sum((i + 1) * np.asarray(sol[f"{z}{i}'"]) for i in range(7))
        assert np.abs(momentum - momentum[0]).max() < 1e-9


def test_an_orbit_of_predator_and_prey_closes():
    """Near the equilibrium the period is 2 pi / sqrt(a c)."""
    import sciml as sci

    system = MODELS["lotka_volterra"].make()
    period = 2 * np.pi / np.sqrt(1.5 * 3.0)
    sol = sci.solve(system, t_span=(0.0, period), initial={"x": 3.0 + 1e-4, "y": 1.5}, rtol=1e-10, atol=1e-12, saveat=50)
    assert abs(float(sol["x"][-1]) - 3.0001) < 1e-8
    assert abs(float(sol["x"][25]) - 3.0) < 1.1e-4
    assert float(sol["y"][12]) > 1.5  # anticlockwise
