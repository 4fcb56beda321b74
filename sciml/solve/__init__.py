"""Floor 5: numbers. CompiledSystem -> Solution."""

from .ensemble import ensemble
from .implicit import implicit
from .program import Options, Program
from .solution import Solution
from .solve import solve
from .solvers import ADJOINTS, SOLVERS
from .status import Status

__all__ = ["ADJOINTS", "SOLVERS", "Options", "Program", "Solution", "Status", "ensemble", "implicit", "solve"]
