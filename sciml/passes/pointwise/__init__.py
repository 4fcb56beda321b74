"""From a System to residuals at points, for networks that are its solution.

form          the data: coordinates, functions, terms, operators
build         `pointwise`: all of it
reader        derivatives carried out, fields and coordinates as placeholders
conditions    sides, surfaces, the start and the end
well_posed    whether conditions are missing
collapse      sums of derivatives that are carried as one
of            expressions of the unknowns for `sol[...]`
"""

from .build import pointwise
from .collapse import linear_in
from .form import (
    Along,
    Combination,
    Diagonal,
    Gradient,
    Laplacian,
    Operator,
    Orders,
    Partial,
    Place,
    Pointwise,
    Term,
    placeholder,
)
from .of import of

__all__ = [
    "Along",
    "Combination",
    "Diagonal",
    "Gradient",
    "Laplacian",
    "Operator",
    "Orders",
    "Partial",
    "Place",
    "Pointwise",
    "Term",
    "linear_in",
    "of",
    "placeholder",
    "pointwise",
]
