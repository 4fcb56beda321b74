"""Sums over the components of a vector coordinate: calculus, derivatives of fields, and what they become as arrays.

heads         `Piece`, `Total`, `Placed`, ...: arrays in expressions
sums          one sum of a function of neighbouring components
calculus      gradient, Laplacian, weighted derivatives of functions of such sums
derivatives   which operators of a field stand in such sums
lowering      sums as sums of arrays, each function computed once

| node                      | what it is                                                |
|---------------------------|-----------------------------------------------------------|
| `Piece(A, start, stop)`   | A[start:stop]                                             |
| `Total(e)`                | the sum over the array e                                  |
| `Placed(e, before, after)`| e with so many zeros before and after it                  |
| `Filled(e, n)`            | n components that are all e                               |
| `Indices(start, stop)`    | start, start + 1, ..., stop - 1                           |
"""

from .calculus import Weight, diagonal, gradient, laplacian, ones, product
from .derivatives import Formulas, Meaning, by_components, resolved
from .heads import Filled, Indices, Piece, Placed, Total, is_array
from .lowering import array_of, lowered, total
from .sums import INDEX, as_sum

__all__ = [
    "INDEX",
    "Filled",
    "Formulas",
    "Indices",
    "Meaning",
    "Piece",
    "Placed",
    "Total",
    "Weight",
    "array_of",
    "as_sum",
    "by_components",
    "diagonal",
    "gradient",
    "is_array",
    "laplacian",
    "lowered",
    "ones",
    "product",
    "resolved",
    "total",
]
