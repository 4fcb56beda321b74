"""Conversions between units, written out as factors."""

from ..system import System, with_units


def convert_units(system: System) -> System:
    """mL next to L, hours next to seconds: every factor stands in the equations. Units were checked when the System was made."""
    return with_units(system)
