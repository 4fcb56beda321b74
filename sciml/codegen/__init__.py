"""Floor 4: the only floor where SymPy and JAX meet. System -> CompiledSystem."""

from .compiled import CompiledSystem, Point, as_function, compile, function_value
from .functions import TABLE
from .layout import Layout, Place, checked_shape
from .lower import Tape, lower
from .packing import Packing
from .pointwise import Here, LoweredPointwise, lower_pointwise
from .sparsity import Sparsity as Sparsity
from .spread import divided, spread_over
from .values import piece

__all__ = [
    "TABLE",
    "CompiledSystem",
    "Here",
    "Layout",
    "LoweredPointwise",
    "Packing",
    "Place",
    "Point",
    "Tape",
    "as_function",
    "checked_shape",
    "compile",
    "divided",
    "function_value",
    "lower",
    "lower_pointwise",
    "piece",
    "spread_over",
]
