"""What a region may be made of: checks with their cures, and numbers in words."""

import math
from collections.abc import Iterable
from typing import Any

import numpy as np
import sympy as sp

from ..errors import ModelError
from .heads import Coordinate


def written(coordinates: tuple[Coordinate, ...]) -> str:
    """Coordinates as a user writes them: `x`, `(x, y)`."""
    names = ", ".join(c.name for c in coordinates)
    return f"({names})" if len(coordinates) > 1 else names


def shown(value: float) -> str:
    """A number with all its digits, whole numbers without a point."""
    return str(int(value)) if value == int(value) and abs(value) < 1e15 else repr(float(value))


def point(values: Iterable[float]) -> str:
    """A point: `0.5`, `(0.3, 0.3)`."""
    texts = [shown(v) for v in values]
    return texts[0] if len(texts) == 1 else f"({', '.join(texts)})"


def is_many(given: Any) -> bool:
    """Whether something is several numbers and not one."""
    return isinstance(given, tuple | list | np.ndarray) and np.ndim(given) > 0


def many(given: Any, what: str) -> list[Any]:
    """A list of what was given."""
    if not isinstance(given, Iterable) or isinstance(given, str | sp.Basic):
        raise ModelError(f"{what[0].upper()}{what[1:]} are {given!r}: give a list, [(0, 0), (1, 0), (0, 1)].")
    return list(given)


def numbers(given: Any, what: str) -> tuple[float, ...]:
    """Finite numbers as Python floats."""
    try:
        found = tuple(float(v) for v in many(given, what))
    except (TypeError, ValueError) as problem:
        if isinstance(problem, ModelError):
            raise
        raise ModelError(f"{what[0].upper()}{what[1:]} must be numbers: a region does not depend on parameters or coordinates.") from None
    if not all(map(math.isfinite, found)):
        raise ModelError(f"{what[0].upper()}{what[1:]} must be finite numbers.")
    return found


def coordinates_of(given: Any, word: str, rest: str) -> tuple[Coordinate, ...]:
    """Coordinates of space, each once: several scalar ones, or one vector coordinate."""
    coordinates = tuple(given) if isinstance(given, tuple | list) else (given,)
    for c in coordinates:
        if not isinstance(c, Coordinate) or c.declaration.kind != "space":
            raise ModelError(f'sci.{word}({given}, ...) needs coordinates of space: sci.{word}((x, y), {rest}) with x = sci.space("x", 0, 1).')
    if not coordinates or len(set(coordinates)) < len(coordinates):
        raise ModelError(f"sci.{word}({given}, ...) needs its coordinates, each once: sci.{word}((x, y), {rest}).")
    if len(coordinates) > 1 and any(c.declaration.shape for c in coordinates):
        raise ModelError(
            f"sci.{word}({written(coordinates)}, ...) mixes a vector coordinate with others. A vector coordinate stands alone: sci.ball(X)."
        )
    return coordinates


def only_scalars(coordinates: tuple[Coordinate, ...], word: str) -> None:
    """No vector coordinate."""
    for c in coordinates:
        if c.declaration.shape:
            raise ModelError(
                f"sci.{word}({c.name}, ...): '{c.name}' is a vector coordinate, for which there are balls alone, sci.ball({c.name}, radius=1). "
                f'Its own range is a box: {c.name} = sci.space("{c.name}", 0, 1, dim={c.declaration.shape[0]}).'
            )


def signed_area(corners: np.ndarray) -> float:
    """The area inside a closed line, which may not cross or touch itself: positive if it runs counterclockwise."""
    following = np.roll(corners, -1, axis=0)
    repeated = (following == corners).all(axis=1)
    if repeated.any():
        raise ModelError(f"sci.polygon has the corner {point(corners[np.argmax(repeated)])} twice in a row. Remove one of them.")
    crossing = _crossing(corners, following)
    if crossing is not None:
        one, other = (point(corners[i]) for i in crossing)
        raise ModelError(
            f"sci.polygon crosses or touches itself: the side from {one} and the side from {other} meet. "
            "Give the corners in their order along the boundary; holes are cut out with -, outer - inner."
        )
    return float(_cross(corners, following).sum()) / 2


def _cross(a: np.ndarray, b: np.ndarray) -> Any:
    return a[..., 0] * b[..., 1] - a[..., 1] * b[..., 0]


def _crossing(a: np.ndarray, b: np.ndarray) -> tuple[int, int] | None:
    """Two sides (from a[i] to b[i]) that meet elsewhere than at the corner that neighbours share, None if there are none."""
    n, along = len(a), b - a
    for i in range(n):
        after = (i + 1) % n
        if _cross(along[i], along[after]) == 0 and along[i] @ along[after] < 0:  # the next side runs back over this one
            return i, after
        j = np.arange(i + 2, n - (i == 0))  # not itself, not its neighbours, and each pair once
        split = np.sign(_cross(along[i], a[j] - a[i])) * np.sign(_cross(along[i], b[j] - a[i])) <= 0
        split &= np.sign(_cross(along[j], a[i] - a[j])) * np.sign(_cross(along[j], b[i] - a[j])) <= 0
        apart = (np.minimum(a[i], b[i]) > np.maximum(a[j], b[j])) | (np.maximum(a[i], b[i]) < np.minimum(a[j], b[j]))
        meets = split & ~apart.any(axis=1)
        if meets.any():
            return i, int(j[np.argmax(meets)])
    return None
