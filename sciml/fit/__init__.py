"""Floor 7: a System against data. Problem, method and result are kept apart."""

from .discover import discover
from .discovery import Discovery
from .fit import fit
from .noise import LogNormal, Normal
from .problem import FitProblem
from .result import FitResult

__all__ = ["Discovery", "FitProblem", "FitResult", "LogNormal", "Normal", "discover", "fit"]
