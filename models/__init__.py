"""Ready models, one file each: equations, citation, reference numbers. Imported as `sciml_models`.

Each name is a function that gives a `sciml.System`; `MODELS` has the same functions by name, with a span of time, a
solver that suits them, and numbers that a correct solution must reach. `PDES` has those with fields, and a grid for each.

>>> import sciml as sci
>>> from sciml_models import MODELS, lotka_volterra
>>> known = MODELS["lotka_volterra"]
>>> sol = sci.solve(lotka_volterra(), t_span=known.t_span, solver=known.solver, saveat="end")
>>> bool(abs(sol["x"][-1] - known.reference["x"]) < 0.01)
True

>>> from sciml_models import PDES
>>> known = PDES["heat"]
>>> sol = sci.solve(known.on_grid(), t_span=known.t_span, solver=known.solver, saveat="end")
>>> bool(abs(sol["middle"][-1] - known.reference["middle"]) < 1e-4)
True
"""

import dataclasses
import sys
from collections.abc import Callable, Mapping
from typing import Any

import sciml as sci

from .akzo_nobel import akzo_nobel
from .allen_cahn import allen_cahn
from .belousov_zhabotinsky import belousov_zhabotinsky
from .brusselator_2d import brusselator_2d
from .burgers import burgers
from .cahn_hilliard import cahn_hilliard
from .carbon_bond import carbon_bond
from .double_pendulum import double_pendulum
from .e5 import e5
from .emep import emep
from .field_noyes import field_noyes
from .fitzhugh_nagumo import fitzhugh_nagumo
from .gray_scott import gray_scott
from .heat import heat
from .hires import hires
from .hodgkin_huxley import hodgkin_huxley
from .korteweg_de_vries import korteweg_de_vries
from .kuramoto_sivashinsky import kuramoto_sivashinsky
from .lorenz import lorenz
from .lotka_volterra import lotka_volterra
from .navier_stokes_vorticity import navier_stokes_vorticity
from .nonlinear_schroedinger import nonlinear_schroedinger
from .orego import orego
from .ornstein_uhlenbeck import ornstein_uhlenbeck
from .pleiades import pleiades
from .poisson import poisson
from .pollution import pollution
from .ring_modulator import ring_modulator
from .robertson import robertson
from .robertson_dae import robertson_dae
from .shallow_water import shallow_water
from .single_particle_battery import single_particle_battery
from .stochastic_oscillator import stochastic_oscillator
from .transistor_amplifier import transistor_amplifier
from .van_der_pol import van_der_pol
from .wave import wave


@dataclasses.dataclass(frozen=True)
class Model:
    """A ready model and what is known about it.

    Attributes:
        make: gives the System.
        t_span: the span that `reference` belongs to; None for a stationary problem.
        solver: a solver that suits it.
        reference: values at the end of `t_span` by name; for a model with noise, moments such as "E[x]" and "Var[x]"; for a
            model with fields, of observed quantities.
        methods: a method for each coordinate of space that suits it, by name.
    """

    make: Callable[[], sci.System]
    t_span: Any
    solver: str
    reference: Mapping[str, float]
    methods: Mapping[str, Any] = dataclasses.field(default_factory=dict)

    def on_grid(self, methods: Mapping[str, Any] | None = None) -> sci.System:
        """The System on a grid: with `methods`, or with those that suit it."""
        system = self.make()
        return sci.discretize(system, methods or self.methods) if self.methods else system


def _known(make: Callable[[], sci.System]) -> Model:
    """The constants of a model stand in its own file, next to the equations."""
    file = sys.modules[make.__module__]
    return Model(make, file.T_SPAN, file.SOLVER, file.REFERENCE, getattr(file, "METHODS", {}))


_MAKERS = (
    lotka_volterra,
    lorenz,
    van_der_pol,
    robertson,
    hires,
    orego,
    pollution,
    pleiades,
    fitzhugh_nagumo,
    double_pendulum,
    hodgkin_huxley,
    belousov_zhabotinsky,
    field_noyes,
    e5,
    carbon_bond,
    emep,
    ring_modulator,
    robertson_dae,
    akzo_nobel,
    transistor_amplifier,
    ornstein_uhlenbeck,
    stochastic_oscillator,
)

MODELS: dict[str, Model] = {make.__name__: _known(make) for make in _MAKERS}
"""Every ready model by name, those with fields apart."""

_FIELDS = (
    heat,
    wave,
    burgers,
    korteweg_de_vries,
    kuramoto_sivashinsky,
    allen_cahn,
    cahn_hilliard,
    gray_scott,
    brusselator_2d,
    nonlinear_schroedinger,
    poisson,
    navier_stokes_vorticity,
    shallow_water,
    single_particle_battery,
)

PDES: dict[str, Model] = {make.__name__: _known(make) for make in _FIELDS}
"""The ready models with fields, by name."""

__all__ = [
    "MODELS",
    "PDES",
    "Model",
    "akzo_nobel",
    "allen_cahn",
    "belousov_zhabotinsky",
    "brusselator_2d",
    "burgers",
    "cahn_hilliard",
    "carbon_bond",
    "double_pendulum",
    "e5",
    "emep",
    "field_noyes",
    "fitzhugh_nagumo",
    "gray_scott",
    "heat",
    "hires",
    "hodgkin_huxley",
    "korteweg_de_vries",
    "kuramoto_sivashinsky",
    "lorenz",
    "lotka_volterra",
    "navier_stokes_vorticity",
    "nonlinear_schroedinger",
    "orego",
    "ornstein_uhlenbeck",
    "pleiades",
    "poisson",
    "pollution",
    "ring_modulator",
    "robertson",
    "robertson_dae",
    "shallow_water",
    "single_particle_battery",
    "stochastic_oscillator",
    "transistor_amplifier",
    "van_der_pol",
    "wave",
]
