"""Units through pint: read from text, compared, converted. pint is imported when a unit is first used."""

import functools
from typing import Any

from ..errors import UnitError


@functools.cache
def registry() -> Any:
    """The one pint registry."""
    import pint

    return pint.UnitRegistry(cache_folder=None)


@functools.cache
def unit(text: str) -> Any:
    """The pint unit that a text names; an error that says so if it names none."""
    try:
        found = registry().parse_units(text)
    except Exception as problem:  # pint raises many kinds, from its own to those of Python's tokenizer
        raise UnitError(f'\'{text}\' is not a unit that pint knows ({problem}). Write for example unit="m/s**2" or unit="1/h".') from None
    if not registry().Quantity(1, found)._is_multiplicative:
        raise UnitError(f"'{text}' has an offset, so sums and ratios of it mean nothing: use kelvin, unit=\"K\".")
    return found


def dimensionless() -> Any:
    """The unit of a plain number."""
    return registry().dimensionless


def factor(source: Any, target: Any) -> float | None:
    """What a number in `source` is multiplied by to be one in `target`; None if the dimensions differ."""
    if source == target:
        return 1.0
    if source.dimensionality != target.dimensionality:
        return None
    return float(registry().convert(1.0, source, target))


def text(of: Any) -> str:
    """A unit as a short text, `1` for a plain number."""
    return f"{of:~C}" or "1"
