"""Floor 6: the one loop that every fit and every training runs on, and the methods that it repeats."""

from . import checkpoint
from .batches import Batches, digest, on_device, split, take
from .broyden import Broyden
from .descent import Descent
from .gauss_newton import GaussNewton, row_by_row
from .guarded import Training, advance, begin
from .loop import FAILURES, Outcome, Rows, Step, repeat
from .methods import FirstOrder, LevenbergMarquardt, Objective, method_of
from .soap import soap
from .transform import Transform, transform_of

__all__ = [
    "FAILURES",
    "Batches",
    "Broyden",
    "Descent",
    "FirstOrder",
    "GaussNewton",
    "LevenbergMarquardt",
    "Objective",
    "Outcome",
    "Rows",
    "Step",
    "Training",
    "Transform",
    "advance",
    "begin",
    "checkpoint",
    "digest",
    "method_of",
    "on_device",
    "repeat",
    "row_by_row",
    "soap",
    "split",
    "take",
    "transform_of",
]
