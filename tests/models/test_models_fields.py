"""The ready models with fields: each is in the catalogue, and on its recommended grid it reaches its reference."""

import inspect

import numpy as np
import pytest
from model_cases import needs_float64

import sciml as sci
import sciml_models
from sciml_models import PDES

# The relative error that the end may have, in units of the largest reference number: of the grid for those that name a coarse one.
ERRORS = {
    "heat": 1e-8,
    "wave": 2e-6,
    "burgers": 1e-6,
    "korteweg_de_vries": 1e-6,
    "kuramoto_sivashinsky": 1e-6,
    "allen_cahn": 2e-5,
    "cahn_hilliard": 1e-6,
    "gray_scott": 1e-3,
    "brusselator_2d": 2e-5,
    "nonlinear_schroedinger": 1e-6,
    "poisson": 1e-8,
    "navier_stokes_vorticity": 1e-4,
    "shallow_water": 1e-4,
    "single_particle_battery": 1e-6,
}
RTOL, ATOL = 1e-7, 1e-10
# A current or a membrane is switched on at the start: the conditions at the sides do not hold there.
pytestmark = pytest.mark.filterwarnings("ignore::UserWarning")


@pytest.mark.parametrize("name", PDES)
def test_declares_and_discretises(name):
    known = PDES[name]
    assert getattr(sciml_models, name) is known.make
    file = inspect.getmodule(known.make)
    assert file.__name__ == f"sciml_models.{name}" and "Expected:" in file.__doc__
    system = known.make()
    assert system == known.make() and system.name == name and system.description == file.CITATION
    assert any(year in system.description for year in map(str, range(1820, 2030)))
    assert set(known.reference) <= set(system.observed)
    assert set(known.methods) == {n for n, c in system.coordinates.items() if c.declaration.kind == "space"}
    on_grid = known.on_grid()
    assert list(on_grid.grid.axes) == list(known.methods) and (sci.compile(on_grid).layout.states or sci.compile(on_grid).at_rest)


def test_all_models_with_fields_are_covered():
    assert sorted(ERRORS) == sorted(PDES)
    assert not set(PDES) & set(sciml_models.MODELS)


def ends(name):
    known = PDES[name]
    if known.t_span is None:
        rest = sci.steady_state(known.on_grid())
        return [float(rest[n]) for n in known.reference]
    sol = sci.solve(known.on_grid(), t_span=known.t_span, solver=known.solver, rtol=RTOL, atol=ATOL, saveat="end")
    return [float(sol[n][-1]) for n in known.reference]


@needs_float64
@pytest.mark.parametrize("name", PDES)
def test_reaches_the_reference(name):
    expected = np.array(list(PDES[name].reference.values()))
    np.testing.assert_allclose(ends(name), expected, rtol=ERRORS[name], atol=ERRORS[name] * np.abs(expected).max())


@needs_float64
@pytest.mark.parametrize(
    ("name", "quantity", "kept_to"), [("cahn_hilliard", "mean", 1e-14), ("korteweg_de_vries", "mass", 1e-8), ("shallow_water", "volume", 1e-12)]
)
def test_keeps_what_is_conserved(name, quantity, kept_to):
    known = PDES[name]
    sol = sci.solve(known.on_grid(), t_span=known.t_span, solver=known.solver, saveat=5)
    values = np.asarray(sol[quantity])
    assert np.abs(values - values[0]).max() <= kept_to * max(1.0, abs(values[0]))


@needs_float64
def test_energy_of_phases_never_grows():
    known = PDES["cahn_hilliard"]
    energy = np.asarray(sci.solve(known.on_grid(), t_span=known.t_span, saveat=50)["energy"])
    assert (np.diff(energy) <= 1e-9).all() and energy[-1] < 0.6 * energy[0]


@needs_float64
def test_a_coarser_grid_of_another_kind_can_be_given():
    known = PDES["burgers"]
    sol = sci.solve(known.on_grid({"x": sci.FiniteVolume(128, flux="weno5")}), t_span=known.t_span, saveat="end")
    assert abs(float(sol["quarter"][-1]) - known.reference["quarter"]) < 1e-4
