"""Floor 1: measured things. Interpolated inputs and tables of observations."""

from .interpolate import interpolant
from .observations import Observations, observations

__all__ = ["Observations", "interpolant", "observations"]
