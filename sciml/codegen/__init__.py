"""Floor 4: the only floor where SymPy and JAX meet. System -> CompiledSystem."""

from .compiled import CompiledSystem, Point, as_function, compile, function_value
from .functions import TABLE
from .layout import Layout, Place, checked_shape
from .lower import Tape, lower
from .sparsity import Sparsity as Sparsity

__all__ = ["TABLE", "CompiledSystem", "Layout", "Place", "Point", "Tape", "as_function", "checked_shape", "compile", "function_value", "lower"]
