"""Floor 5: numbers. CompiledSystem -> Solution."""

from .ensemble import ensemble
from .exponential_diffrax import ETDRK4
from .implicit import implicit
from .linearize import Linearization, linearize
from .program import Options, Program
from .regularize import ErrorEstimate, Stiffness
from .rosenbrock import Rodas5P, Rosenbrock23
from .solution import Solution
from .solve import solve
from .solvers import ADJOINTS, SOLVERS
from .status import Status
from .steady import SteadyState, steady_state

__all__ = [
    "ADJOINTS",
    "ETDRK4",
    "SOLVERS",
    "ErrorEstimate",
    "Linearization",
    "Options",
    "Program",
    "Rodas5P",
    "Rosenbrock23",
    "Solution",
    "Status",
    "SteadyState",
    "Stiffness",
    "ensemble",
    "implicit",
    "linearize",
    "solve",
    "steady_state",
]
