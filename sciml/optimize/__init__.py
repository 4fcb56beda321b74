"""Floor 6: the one loop that every fit and every training runs on, and the methods that it repeats."""

from .loop import Outcome, Step, repeat
from .methods import FirstOrder, LevenbergMarquardt, Objective, method_of

__all__ = ["FirstOrder", "LevenbergMarquardt", "Objective", "Outcome", "Step", "method_of", "repeat"]
