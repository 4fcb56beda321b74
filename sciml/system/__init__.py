"""Floor 2: the System, immutable and checked. What passes take and give."""

from .check import balanced, with_units
from .display import latex, latex_name, text
from .equation import Equation, as_equation, eq
from .names import Names, name_of, rename
from .structure import Aliases, Matching, find_aliases, highest_orders, match, occurrences
from .system import System
from .terms import has_places, same_function, unit_of_term, written_out
from .units import UnitChecker

__all__ = [
    "Aliases",
    "Equation",
    "Matching",
    "Names",
    "System",
    "UnitChecker",
    "as_equation",
    "balanced",
    "eq",
    "find_aliases",
    "has_places",
    "highest_orders",
    "latex",
    "latex_name",
    "match",
    "name_of",
    "occurrences",
    "rename",
    "same_function",
    "text",
    "unit_of_term",
    "with_units",
    "written_out",
]
