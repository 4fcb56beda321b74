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
from .indexed import Filled, Indices, Piece, Placed, Total
from .isolate import isolate
from .jumps import jump_times
from .noise import NoiseForm, ito_chain_rule, noise_form, to_calculus
from .order import first_order
from .pipeline import PASSES, run_passes
from .pointwise import Along, Combination, Diagonal, Gradient, Laplacian, Operator, Partial, Pointwise, Term, linear_in, placeholder, pointwise
from .pointwise import of as of_point
from .units import convert_units

__all__ = [
    "METHODS",
    "PASSES",
    "Along",
    "Chebyshev",
    "Combination",
    "ConservationLaw",
    "Constraints",
    "Cosine",
    "Diagonal",
    "Filled",
    "FiniteDifference",
    "FiniteVolume",
    "Fourier",
    "Gradient",
    "Grid",
    "Indices",
    "Laplacian",
    "Method",
    "Modes",
    "Node",
    "NoiseForm",
    "Operator",
    "Partial",
    "Piece",
    "Placed",
    "Pointwise",
    "Sine",
    "Term",
    "Total",
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
    "linear_in",
    "manufacture",
    "mass_rows",
    "modes_of",
    "noise_form",
    "of_point",
    "operators",
    "placeholder",
    "pointwise",
    "run_passes",
    "to_calculus",
]
