"""Ready models, one file each: equations, citation, reference numbers. Imported as `sciml_models`.

Each name is a function that gives a `sciml.System`; `MODELS` has the same functions by name, with a span of time, a
solver that suits them, and numbers that a correct solution must reach.

>>> import sciml as sci
>>> from sciml_models import MODELS, lotka_volterra
>>> known = MODELS["lotka_volterra"]
>>> sol = sci.solve(lotka_volterra(), t_span=known.t_span, solver=known.solver, saveat="end")
>>> bool(abs(sol["x"][-1] - known.reference["x"]) < 0.01)
True
"""

import dataclasses
import sys
from collections.abc import Callable, Mapping

import sciml as sci

from .akzo_nobel import akzo_nobel
from .belousov_zhabotinsky import belousov_zhabotinsky
from .carbon_bond import carbon_bond
from .double_pendulum import double_pendulum
from .e5 import e5
from .emep import emep
from .field_noyes import field_noyes
from .fitzhugh_nagumo import fitzhugh_nagumo
from .hires import hires
from .hodgkin_huxley import hodgkin_huxley
from .lorenz import lorenz
from .lotka_volterra import lotka_volterra
from .orego import orego
from .ornstein_uhlenbeck import ornstein_uhlenbeck
from .pleiades import pleiades
from .pollution import pollution
from .ring_modulator import ring_modulator
from .robertson import robertson
from .robertson_dae import robertson_dae
from .stochastic_oscillator import stochastic_oscillator
from .transistor_amplifier import transistor_amplifier
from .van_der_pol import van_der_pol


@dataclasses.dataclass(frozen=True)
class Model:
    """A ready model and what is known about it.

    Attributes:
        make: gives the System.
        t_span: the span that `reference` belongs to.
        solver: a solver that suits it.
        reference: values at the end of `t_span` by name; for a model with noise, moments such as "E[x]" and "Var[x]".
    """

    make: Callable[[], sci.System]
    t_span: tuple[float, float]
    solver: str
    reference: Mapping[str, float]


def _known(make: Callable[[], sci.System]) -> Model:
    """The constants of a model stand in its own file, next to the equations."""
    file = sys.modules[make.__module__]
    return Model(make, file.T_SPAN, file.SOLVER, file.REFERENCE)


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
"""Every ready model by name."""

__all__ = [
    "MODELS",
    "Model",
    "akzo_nobel",
    "belousov_zhabotinsky",
    "carbon_bond",
    "double_pendulum",
    "e5",
    "emep",
    "field_noyes",
    "fitzhugh_nagumo",
    "hires",
    "hodgkin_huxley",
    "lorenz",
    "lotka_volterra",
    "orego",
    "ornstein_uhlenbeck",
    "pleiades",
    "pollution",
    "ring_modulator",
    "robertson",
    "robertson_dae",
    "stochastic_oscillator",
    "transistor_amplifier",
    "van_der_pol",
]
