"""Floor 5: numbers. CompiledSystem -> Solution."""

from .ensemble import ensemble
from .exponential_diffrax import ETDRK4
from .implicit import implicit
from .linearize import Linearization, linearize
from .plot_fields import FieldSeries, animate_series, checked_kind, draw_fields, nearest_rows
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
    "FieldSeries",
    "Linearization",
    "Options",
    "Program",
    "Rodas5P",
    "Rosenbrock23",
    "Solution",
    "Status",
    "SteadyState",
    "Stiffness",
    "animate_series",
    "checked_kind",
    "draw_fields",
    "ensemble",
    "implicit",
    "linearize",
    "nearest_rows",
    "solve",
    "steady_state",
]
