"""Plans of derivatives: what a residual needs of a network at a point, by which methods, at what cost.

choose        which pass for which operators
methods       passes for the function and its partial derivatives
sums          passes for sums over a vector coordinate
sample        random directions, `Sparse` and `Dense`
first_layer   z = W s, found in the program of a network
site          a network at one point
nested        one derivative at a time: the reference
work          how much a network costs
"""

from .sample import Dense as Dense
from .sample import Sparse as Sparse

__all__ = ["Dense", "Sparse"]
