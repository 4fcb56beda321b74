"""Floor 3: passes, System -> System. A pass with nothing to do returns the same object."""

from .alias import eliminate_aliases
from .conservation import ConservationLaw, conservation_laws
from .constraints import Constraints, constraint_form, determined, mass_rows
from .discretize import (
    METHODS,
    Chebyshev,
    Cosine,
    FiniteDifference,
    FiniteVolume,
    Fourier,
    Grid,
    Method,
    Modes,
    Node,
    Sine,
    discretize,
    manufacture,
    modes_of,
    operators,
)
from .isolate import isolate
from .jumps import jump_times
from .noise import NoiseForm, ito_chain_rule, noise_form, to_calculus
from .order import first_order
from .pipeline import PASSES, run_passes
from .units import convert_units

__all__ = [
    "METHODS",
    "PASSES",
    "Chebyshev",
    "ConservationLaw",
    "Constraints",
    "Cosine",
    "FiniteDifference",
    "FiniteVolume",
    "Fourier",
    "Grid",
    "Method",
    "Modes",
    "Node",
    "NoiseForm",
    "Sine",
    "conservation_laws",
    "constraint_form",
    "convert_units",
    "determined",
    "discretize",
    "eliminate_aliases",
    "first_order",
    "isolate",
    "ito_chain_rule",
    "jump_times",
    "manufacture",
    "mass_rows",
    "modes_of",
    "noise_form",
    "operators",
    "run_passes",
    "to_calculus",
]
