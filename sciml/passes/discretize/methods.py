"""How a coordinate of space becomes a grid: the methods that `sci.discretize` takes, one for each coordinate.

| method            | points                        | derivatives                                 | sides                  |
|-------------------|-------------------------------|---------------------------------------------|------------------------|
| FiniteDifference  | nodes, both ends included     | Fornberg's weights of order 2 to 8          | any condition          |
| FiniteVolume      | cell centres                  | fluxes through the faces, second order      | any condition, or none |
| Chebyshev         | Gauss-Lobatto nodes           | one dense matrix: spectral                  | any condition          |
| Fourier           | equal steps                   | by the fast Fourier transform: spectral     | periodic               |
| Sine, Cosine      | equal steps                   | by a sine or cosine series: spectral        | u = 0, du/dx = 0       |
"""

import dataclasses
from typing import Any

import numpy as np

from ...errors import ModelError

FLUXES = ("upwind", "muscl", "weno5", "central")


@dataclasses.dataclass(frozen=True, eq=False)
class Method:
    """What all methods share: the number of points."""

    n: Any
    least = 3

    def __post_init__(self) -> None:
        if isinstance(self.n, bool) or not isinstance(self.n, int | np.integer) or self.n < self.least:
            raise ModelError(f"{self.name}(n={self.n!r}): give a whole number of points, at least {self.least}.")

    @property
    def name(self) -> str:
        return type(self).__name__

    @property
    def fields(self) -> tuple[Any, ...]:
        """What it was made with."""
        return tuple(getattr(self, f.name) for f in dataclasses.fields(self))

    def __eq__(self, other: object) -> bool:
        from ...symbols import content

        return type(self) is type(other) and content(list(self.fields)) == content(list(other.fields))  # type: ignore[attr-defined]

    def __hash__(self) -> int:
        return hash((self.name, self.n))


@dataclasses.dataclass(frozen=True, eq=False)
class FiniteDifference(Method):
    """Finite differences on nodes that include both ends.

    Args:
        n: number of nodes.
        order: of accuracy, 2, 4, 6 or 8; kept up to the ends by one-sided weights.
        grid: "uniform", "chebyshev" (clustered at the ends), or an increasing array of n nodes.
        advection: "central", or "upwind": first derivatives look against the wind, which damps what a grid cannot resolve.

    Fornberg, Math. Comp. 51 (1988) 699.

    >>> import sciml as sci
    >>> sci.FiniteDifference(64, order=4).order
    4
    """

    order: int = 2
    grid: Any = "uniform"
    advection: str = "central"

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.order not in (2, 4, 6, 8):
            raise ModelError(f"FiniteDifference(order={self.order!r}): write 2, 4, 6 or 8.")
        if self.advection not in ("central", "upwind"):
            raise ModelError(f'FiniteDifference(advection={self.advection!r}): write "central" or "upwind".')
        _check_grid(self)


@dataclasses.dataclass(frozen=True, eq=False)
class FiniteVolume(Method):
    """Cell averages, changed by the fluxes through the faces: what leaves one cell enters the next, to the last bit.

    Args:
        n: number of cells.
        flux: what crosses a face with the wind: "upwind" (first order), "muscl" (second, van Leer's limiter),
            "weno5" (fifth where the solution is smooth) or "central". Diffusive fluxes are central, of second order.
        grid: "uniform" or an increasing array of the n + 1 faces.

    LeVeque, Finite Volume Methods for Hyperbolic Problems (2002); Jiang and Shu, J. Comput. Phys. 126 (1996) 202;
    Borges, Carmona, Costa and Don, J. Comput. Phys. 227 (2008) 3191.

    >>> import sciml as sci
    >>> sci.FiniteVolume(100, flux="weno5").n
    100
    """

    flux: str = "muscl"
    grid: Any = "uniform"

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.flux not in FLUXES:
            raise ModelError(f"FiniteVolume(flux={self.flux!r}): write one of {', '.join(map(repr, FLUXES))}.")
        _check_grid(self, extra=1)
        if self.flux in ("weno5", "muscl") and not isinstance(self.grid, str):
            raise ModelError(f'FiniteVolume(flux="{self.flux}") needs equal cells: leave out grid=, or write flux="upwind".')


@dataclasses.dataclass(frozen=True, eq=False)
class Chebyshev(Method):
    """Collocation on Gauss-Lobatto points: spectral accuracy between sides.

    Trefethen, Spectral Methods in MATLAB (2000), chapters 6 and 13.

    >>> import sciml as sci
    >>> sci.Chebyshev(32).n
    32
    """

    least = 4


@dataclasses.dataclass(frozen=True, eq=False)
class Fourier(Method):
    """A Fourier series on a periodic coordinate.

    Args:
        n: number of points.
        dealias: "auto" keeps products out of the waves that they would alias into, from the degree of the
            polynomial (2/3 of the waves for squares, 1/2 for cubes; Orszag 1971); False keeps all waves; a number is
            the part that is kept.

    Trefethen, Spectral Methods in MATLAB (2000), chapter 3.

    >>> import sciml as sci
    >>> sci.Fourier(128).dealias
    'auto'
    """

    dealias: Any = "auto"

    def __post_init__(self) -> None:
        super().__post_init__()
        number = isinstance(self.dealias, int | float) and not isinstance(self.dealias, bool)
        if not (self.dealias in ("auto", False) or (number and 0 < self.dealias <= 1)):
            raise ModelError(f'Fourier(dealias={self.dealias!r}): write "auto", False or the part of the waves that is kept, such as 2/3.')


@dataclasses.dataclass(frozen=True, eq=False)
class Sine(Method):
    """A sine series: fields that are 0 at both sides, and whose even derivatives are.

    >>> import sciml as sci
    >>> sci.Sine(63).n
    63
    """


@dataclasses.dataclass(frozen=True, eq=False)
class Cosine(Method):
    """A cosine series: fields whose slope is 0 at both sides.

    >>> import sciml as sci
    >>> sci.Cosine(64).n
    64
    """


METHODS: dict[str, type[Method]] = {m.__name__: m for m in (FiniteDifference, FiniteVolume, Chebyshev, Fourier, Sine, Cosine)}


def _check_grid(method: Any, extra: int = 0) -> None:
    grid, name = method.grid, method.name
    if isinstance(grid, str):
        allowed = ("uniform", "chebyshev") if name == "FiniteDifference" else ("uniform",)
        if grid not in allowed:
            raise ModelError(f"{name}(grid={grid!r}): write {' or '.join(map(repr, allowed))}, or give an increasing array.")
        return
    points = np.asarray(grid, float)
    if points.shape != (method.n + extra,) or not np.isfinite(points).all() or not (np.diff(points) > 0).all():
        raise ModelError(f"{name}(n={method.n}, grid=array) needs {method.n + extra} increasing numbers, not shape {points.shape}.")
    object.__setattr__(method, "grid", points)
