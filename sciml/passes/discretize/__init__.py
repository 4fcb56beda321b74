"""From fields to arrays: a System over space becomes a System of array unknowns.

axes       where the points are, and the operators along one coordinate
sides      conditions solved for the end values that they determine
arrays     every derivative one operator on a whole field
fluxes     what moves with a wind
grid       all of that for one System
equations  the System of arrays
dealias    products on grids of waves
modes      the same rates in waves, split into a linear part and the rest
"""

from . import operators
from .axes import Axis
from .equations import discretize
from .grid import Grid
from .manufacture import manufacture
from .methods import METHODS, Chebyshev, Cosine, FiniteDifference, FiniteVolume, Fourier, Method, Sine
from .modes import Modes, modes_of
from .nodes import Node, Static, node

__all__ = [
    "METHODS",
    "Axis",
    "Chebyshev",
    "Cosine",
    "FiniteDifference",
    "FiniteVolume",
    "Fourier",
    "Grid",
    "Method",
    "Modes",
    "Node",
    "Sine",
    "Static",
    "discretize",
    "manufacture",
    "modes_of",
    "node",
    "operators",
]
