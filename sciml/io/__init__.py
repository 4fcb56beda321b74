"""Floor 8: doors to the outside. A System as a file that never runs code."""

from .store import load, save

__all__ = ["load", "save"]
