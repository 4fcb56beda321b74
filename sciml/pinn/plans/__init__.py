"""Plans of derivatives: what a residual needs of a network at a point, by which methods, at what cost."""

from .sample import Dense as Dense
from .sample import Sparse as Sparse

__all__ = ["Dense", "Sparse"]
