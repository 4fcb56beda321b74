"""`if x > 0:` on declared symbols: the cure, where SymPy says only that it cannot decide.

Python's `if` asks the comparison for its truth in the user's own code, before anything of a model is read, so
the answer has to be given there: comparisons that hold a declared symbol complain in their own words. All others
behave as SymPy made them.
"""

from typing import Any

from sympy.core.relational import Relational

from ..errors import ModelError
from .heads import Applied, Quantity


class Undecided(ModelError, TypeError):
    """A comparison of declared symbols was asked whether it is true. Also the TypeError that SymPy expects."""

    def __str__(self) -> str:  # written when read: SymPy itself raises and catches many of these
        condition = self.args[0]
        return (
            f"`{condition}` is a condition for later, neither True nor False now, so Python's if, and, or, not, min, max and chained "
            f"comparisons cannot use it. Write sympy.Piecewise((value, {condition}), (other, True)) for if, sympy.And, Or, Not for "
            "and, or, not (0 < x < 1 is And(0 < x, x < 1)), sympy.Min and Max for min and max."
        )


_sympy_bool = Relational.__bool__


def _bool(self: Any) -> bool:
    if self.atoms(Quantity, Applied):
        raise Undecided(self)
    return _sympy_bool(self)


Relational.__bool__ = _bool
