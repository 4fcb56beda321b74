"""Floor 7: a System against data. Problem, method and result are kept apart."""

from .fit import fit
from .noise import LogNormal, Normal
from .problem import FitProblem
from .result import FitResult

__all__ = ["FitProblem", "FitResult", "LogNormal", "Normal", "fit"]
