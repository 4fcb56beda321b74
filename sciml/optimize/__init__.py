"""Floor 6: the one loop that every fit and every training runs on, and the methods that it repeats."""

from . import checkpoint
from .batches import Batches, digest, on_device, split, take
from .guarded import Training, advance, begin
from .loop import FAILURES, Outcome, Rows, Step, repeat
from .methods import FirstOrder, LevenbergMarquardt, Objective, method_of

__all__ = [
    "FAILURES",
    "Batches",
    "FirstOrder",
    "LevenbergMarquardt",
    "Objective",
    "Outcome",
    "Rows",
    "Step",
    "Training",
    "advance",
    "begin",
    "checkpoint",
    "digest",
    "method_of",
    "on_device",
    "repeat",
    "split",
    "take",
]
