"""Regions as JSON: the kind of each with its coordinates and numbers, `["Ball", coordinates, center, radius]`, `["Union", a, b]`."""

import dataclasses
from typing import Any

from ..symbols import Ball, Box, Difference, Intersection, Polygon, Region, Union
from .exact import Unreadable, shown
from .read import Reader
from .write import Writer

_KINDS: dict[str, Any] = {kind.__name__: kind for kind in (Ball, Box, Polygon, Union, Intersection, Difference)}


def write_region(region: Region, writer: Writer) -> list[Any]:
    """A region as an entry."""
    fields = [getattr(region, f.name) for f in dataclasses.fields(region)]  # type: ignore[arg-type]
    return [type(region).__name__, *(write_region(v, writer) if isinstance(v, Region) else writer.value(v, "a region") for v in fields)]


def read_region(entry: Any, reader: Reader) -> Region:
    """The region of an entry."""
    if type(entry) is not list or not entry or type(entry[0]) is not str or entry[0] not in _KINDS:
        raise Unreadable(f"{shown(entry)} is not a region")
    kind, *parts = entry
    if len(parts) != len(dataclasses.fields(_KINDS[kind])):
        raise Unreadable(f"the region {shown(entry)} has {len(parts)} parts")
    made: Region = _KINDS[kind](*(read_region(p, reader) if type(p) is list else reader.value(p) for p in parts))
    return made
