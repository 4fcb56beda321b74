"""One coordinate on its grid: where the points are, and the operators along it.

| kind    | points                | value at a side        | between points (faces)             |
|---------|-----------------------|------------------------|------------------------------------|
| nodes   | both ends included    | the first or last node | half-way between nodes             |
| cells   | centres               | half of cell and ghost | between cells, the sides included  |
| waves   | equal steps           |                        |                                    |
"""

import functools
from typing import Any

import numpy as np

from ...errors import ModelError
from ...symbols import Coordinate
from . import weights as w
from .methods import Chebyshev, Cosine, FiniteDifference, FiniteVolume, Fourier, Method, Sine
from .operators import Edge, Matrix, Operator, Points, Running, Stencil, Total


class Axis:
    """A coordinate and the method chosen for it."""

    kind = "waves"

    def __init__(self, coordinate: Coordinate, method: Method):
        self.coordinate, self.method, self.n = coordinate, method, int(method.n)
        payload = coordinate.declaration.payload
        self.low, self.high, self.periodic = payload["low"], payload["high"], payload["periodic"]

    @property
    def name(self) -> str:
        return self.coordinate.name

    @property
    def length(self) -> float:
        return self.high - self.low

    @functools.cached_property
    def step(self) -> float:
        """The distance of neighbours on a uniform grid."""
        return self.length / self.n

    @property
    def first(self) -> float:
        return self.low

    @property
    def uniform(self) -> bool:
        return True

    @functools.cached_property
    def points(self) -> np.ndarray:
        return self.first + self.step * np.arange(self.n)

    def face_points(self, rank: int, axis: int) -> Operator:
        """The coordinate half-way between points."""
        raise ModelError(f"'{self.name}' has a series along it, and a series has no values half-way between its points.")

    def coordinates(self, rank: int, axis: int, shift: tuple[tuple[int, float], ...] = ()) -> Operator:
        """The coordinate as an array; `shift` moves entries off singular points."""
        if self.uniform:
            return Points(rank, axis, self.n, self.first, self.step, None, shift)
        return Points(rank, axis, self.n, 0.0, 0.0, self.points, shift)

    def total(self, axis: int) -> Operator:
        """The integral over the axis."""
        return Total(axis, self.n, self.step)

    def running(self, axis: int) -> list[Operator]:
        """The integral from the low end to each point, as operators one after the other."""
        raise ModelError(f"sci.integral(..., {self.name}, to={self.name}) needs FiniteDifference, FiniteVolume or Chebyshev along {self.name}.")

    def at(self, axis: int, position: float) -> Operator:
        """The value at a point, by a polynomial through its neighbours."""
        size = min(8, self.n)
        points, columns = self._window(position, size)
        row = np.zeros(self.n)
        np.add.at(row, columns, w.fornberg(position, points, 0))
        return Total(axis, self.n, row)

    def _window(self, position: float, size: int) -> tuple[np.ndarray, np.ndarray]:
        start = int(np.searchsorted(self.points, position)) - size // 2
        if self.periodic:
            columns = np.arange(start, start + size)
            return self.points[columns % self.n] + self.length * (columns // self.n), columns % self.n
        start = int(np.clip(start, 0, self.n - size))
        return self.points[start : start + size], np.arange(start, start + size)


class Nodes(Axis):
    """Finite differences on nodes, periodic or with both ends."""

    kind = "nodes"
    method: FiniteDifference

    def __init__(self, coordinate: Coordinate, method: FiniteDifference):
        super().__init__(coordinate, method)
        self.order = method.order
        self.carries = self.swings = False  # what the equations along it do, see `closure`
        if not self.uniform and self.periodic:
            raise ModelError(f"'{self.name}' is periodic: FiniteDifference needs equal steps there. Leave out grid=.")
        if not isinstance(method.grid, str) and (
            abs(method.grid[0] - self.low) > 1e-9 * self.length or abs(method.grid[-1] - self.high) > 1e-9 * self.length
        ):
            raise ModelError(
                f"The grid of '{self.name}' runs from {method.grid[0]:g} to {method.grid[-1]:g}, and {self.name} from {self.low:g} to {self.high:g}."
            )
        if not self.periodic and self.n < self.order + 5:
            raise ModelError(f"FiniteDifference(n={self.n}, order={self.order}) has too few nodes along '{self.name}': n={self.order + 5} at least.")

    @property
    def uniform(self) -> bool:
        return isinstance(self.method.grid, str) and self.method.grid == "uniform"

    @functools.cached_property
    def step(self) -> float:
        return self.length / (self.n if self.periodic else self.n - 1)

    @functools.cached_property
    def points(self) -> np.ndarray:
        if self.uniform:
            return self.first + self.step * np.arange(self.n)
        return w.chebyshev_points(self.n, self.low, self.high) if isinstance(self.method.grid, str) else np.asarray(self.method.grid)

    def closure(self, order: int) -> int:
        """The accuracy of the weights at the ends.

        That of the inside where something damps. What carries (only first derivatives) or swings (waves) needs less on equal
        steps: nothing damps the growing modes that accurate one-sided weights bring. Chosen by the eigenvalues of the closed
        operators for 33 to 129 nodes; the order of the whole is then at least 4.
        """
        if not self.uniform:
            return self.order
        if order == 1 and self.carries:
            return {2: 2, 4: 3, 6: 3, 8: 4}[self.order]
        if order == 2 and self.swings:
            return min(self.order, 4)
        return self.order

    def derivative(self, axis: int, order: int) -> Operator:
        """From nodes to nodes, central inside."""
        size = w.width(order, self.order, centred=True)
        return self._between(axis, order, size, size // 2, f"d{order}" if order > 1 else "d")

    def biased(self, axis: int, forward: bool) -> Operator:
        """A first derivative with one node more on the side that the wind comes from."""
        size = self.order + 1 if self.order > 2 else 3
        behind = size // 2 - 1 if forward else size - size // 2
        return self._between(axis, 1, size, behind if self.order > 2 else (0 if forward else 2), "d_forward" if forward else "d_backward")

    def _between(self, axis: int, order: int, size: int, behind: int, name: str) -> Operator:
        """A window of `size` nodes of which `behind` lie before the target."""
        if self.periodic:
            offsets = (np.arange(size) - behind) * self.step
            return Stencil(axis, self.n, -behind, self.n, _clean(w.fornberg(0.0, offsets, order)), periodic=True, name=name)
        ahead, x = size - 1 - behind, self.points
        one_sided = max(order + self.closure(order), 2)
        head = [w.fornberg(x[i], x[:one_sided], order) for i in range(behind)]
        tail = [w.fornberg(x[i], x[-one_sided:], order) for i in range(self.n - ahead, self.n)]
        inner = self._inner(x[behind : self.n - ahead], x, order, size, 0)
        return Stencil(axis, self.n, 0, self.n - size + 1, inner, np.array(head), np.array(tail), name=name)

    def _inner(self, targets: np.ndarray, x: np.ndarray, order: int, size: int, start: int) -> np.ndarray:
        if self.uniform:
            return _clean(w.fornberg(float(targets[0]), x[start : start + size], order))
        return w.matrix_rows(targets, x, order, start + np.arange(len(targets)), size)

    # -- half-way between nodes ----------------------------------------------------------

    @functools.cached_property
    def faces(self) -> np.ndarray:
        if self.periodic:
            return self.points + self.step / 2
        return (self.points[1:] + self.points[:-1]) / 2

    def face_points(self, rank: int, axis: int) -> Operator:
        return Points(rank, axis, len(self.faces), float(self.faces[0]), self.step, None if self.uniform else self.faces)

    def to_faces(self, axis: int, order: int) -> Operator | None:
        """A value (order 0) or slope (1) half-way between nodes."""
        return self._staggered(axis, self.points, self.faces, order, "half" if order == 0 else "slope", outward=True)

    def from_faces(self, axis: int) -> Operator:
        """The slope at the nodes of what is known half-way between them."""
        return self._staggered(axis, self.faces, self.points, 1, "flux", outward=False)

    def _staggered(self, axis: int, sources: np.ndarray, targets: np.ndarray, order: int, name: str, outward: bool) -> Operator:
        size = self.order  # an even number of points, as many on each side
        if self.periodic:
            behind = size // 2 - (1 if outward else 0)
            offsets = (np.arange(size) - size // 2 + 0.5) * self.step
            return Stencil(axis, self.n, -behind, self.n, _clean(w.fornberg(0.0, offsets, order)), periodic=True, name=name)
        ends = size // 2 - 1 if outward else size // 2
        one_sided = self.order + order
        head = [w.fornberg(targets[i], sources[:one_sided], order) for i in range(ends)]
        tail = [w.fornberg(targets[i], sources[-one_sided:], order) for i in range(len(targets) - ends, len(targets))]
        inner = self._inner(targets[ends : len(targets) - ends], sources, order, size, 0)
        return Stencil(axis, len(sources), 0, len(targets) - 2 * ends, inner, np.array(head), np.array(tail), name=name)

    # -- sides -------------------------------------------------------------------------

    def trace(self, end: str, order: int) -> np.ndarray:
        """Weights over the nodes nearest to a side, the side's own first, for a value or derivative there."""
        size = min(order + self.order, self.n) if order else 1
        x = self.points[:size] if end == "left" else self.points[::-1][:size]
        return w.fornberg(float(x[0]), x, order)

    def total(self, axis: int) -> Operator:
        if self.periodic:
            return Total(axis, self.n, self.step)
        few = self._few
        ends = len(few) // 2
        weights = np.full(self.n, self.step)
        known = w.integral_rows(few, self.order + 1).sum(0)
        weights[:ends], weights[self.n - ends :] = known[:ends], known[-ends:]
        return Total(axis, self.n, known if len(few) == self.n else weights)

    @property
    def _few(self) -> np.ndarray:
        """The nodes, or as many equal steps as have both ends and an inside."""
        return self.points if not self.uniform or self.n <= 64 else self.low + self.step * np.arange(64)

    def running(self, axis: int) -> list[Operator]:
        if self.periodic:
            raise ModelError(f"'{self.name}' is periodic: an integral up to {self.name} has no beginning there.")
        size = self.order + 1
        rows = w.integral_rows(self._few, size)
        first, count = size // 2 - 1, len(self._few) - 1
        last = count - (size - size // 2 - 1)  # inner rows have whole windows
        inner = rows[first, :size] if self.uniform else np.stack([rows[i, i - first :][:size] for i in range(first, last)])
        rows_inside = self.n - 1 - first - (count - last)
        return [Stencil(axis, self.n, 0, rows_inside, inner, rows[:first, :size], rows[last:, -size:], name="areas"), Running(axis, self.n - 1, True)]


class ChebyshevNodes(Nodes):
    """Gauss-Lobatto nodes with dense matrices."""

    def __init__(self, coordinate: Coordinate, method: Chebyshev):
        Axis.__init__(self, coordinate, method)
        self.order = self.n - 1
        self.carries = self.swings = False
        if self.periodic:
            raise ModelError(f"'{self.name}' is periodic, and Chebyshev needs two sides. Use sci.Fourier({self.n}).")

    @property
    def uniform(self) -> bool:
        return False

    @functools.cached_property
    def points(self) -> np.ndarray:
        return w.chebyshev_points(self.n, self.low, self.high)

    def derivative(self, axis: int, order: int) -> Operator:
        return Matrix(axis, w.chebyshev_matrix(self.n, self.low, self.high, order), f"d{order}" if order > 1 else "d")

    def biased(self, axis: int, forward: bool) -> Operator:
        return self.derivative(axis, 1)

    def to_faces(self, axis: int, order: int) -> Operator | None:
        return None if order == 0 else self.derivative(axis, 1)  # no staggering: spectral fluxes live on the nodes

    def from_faces(self, axis: int) -> Operator:
        return self.derivative(axis, 1)

    def face_points(self, rank: int, axis: int) -> Operator:
        return self.coordinates(rank, axis)

    def trace(self, end: str, order: int) -> np.ndarray:
        if order == 0:
            return np.ones(1)
        rows = w.chebyshev_matrix(self.n, self.low, self.high, order)
        return rows[0] if end == "left" else rows[-1][::-1]

    def total(self, axis: int) -> Operator:
        return Total(axis, self.n, w.clenshaw_curtis(self.n, self.low, self.high))

    def running(self, axis: int) -> list[Operator]:
        return [Matrix(axis, np.concatenate([np.zeros((1, self.n)), np.cumsum(self._areas(), axis=0)]), "running")]

    def _areas(self) -> np.ndarray:
        """The integral between neighbours of the interpolating polynomial, by Gauss's rule on Chebyshev series."""
        values = np.eye(self.n)
        scaled = -np.cos(np.pi * np.arange(self.n) / (self.n - 1))
        series = np.polynomial.chebyshev.chebfit(scaled, values, self.n - 1)
        integral = np.polynomial.chebyshev.chebint(series) * self.length / 2
        return np.diff(np.polynomial.chebyshev.chebval(scaled, integral).T, axis=0)

    def at(self, axis: int, position: float) -> Operator:
        return Total(axis, self.n, w.fornberg(position, self.points, 0))


class Cells(Axis):
    """Finite volumes."""

    kind = "cells"
    method: FiniteVolume

    @property
    def uniform(self) -> bool:
        return isinstance(self.method.grid, str)

    @functools.cached_property
    def faces(self) -> np.ndarray:
        if not self.uniform:
            return np.asarray(self.method.grid)
        return self.low + self.step * np.arange(self.n + 1)

    @property
    def first(self) -> float:
        return self.low + self.step / 2

    @functools.cached_property
    def points(self) -> np.ndarray:
        return (self.faces[1:] + self.faces[:-1]) / 2

    @property
    def layers(self) -> int:
        """How many cells the reconstruction looks beyond a side."""
        return {"weno5": 3, "muscl": 2}.get(self.method.flux, 1)

    def derivative(self, axis: int, order: int) -> Operator:
        """From the cells and one ghost on either side (none where periodic) to the cells."""
        if order > 2:
            raise ModelError(
                f"FiniteVolume has derivatives up to the second along '{self.name}', and the equation has one of order {order}. "
                f"Give the inner derivative a field of its own, or use sci.FiniteDifference({self.n})."
            )
        if self.uniform:
            row = np.array([-0.5, 0.0, 0.5]) / self.step if order == 1 else np.array([1.0, -2.0, 1.0]) / self.step**2
            return self._on_ghosts(axis, row, "d" if order == 1 else "d2")
        gaps, widths = self._gaps(), np.diff(self.faces)
        if order == 2:
            rows = np.stack([1 / gaps[:-1], -1 / gaps[:-1] - 1 / gaps[1:], 1 / gaps[1:]], 1) / widths[:, None]
        else:
            rows = np.stack([-1 / (gaps[:-1] + gaps[1:]), 0 * widths, 1 / (gaps[:-1] + gaps[1:])], 1)
        return self._on_ghosts(axis, rows, "d" if order == 1 else "d2")

    def _on_ghosts(self, axis: int, row: np.ndarray, name: str) -> Operator:
        if self.periodic:
            return Stencil(axis, self.n, -1, self.n, row, periodic=True, name=name)
        return Stencil(axis, self.n + 2, 0, self.n, row, name=name)

    def biased(self, axis: int, forward: bool) -> Operator:
        row = np.array([0.0, -1.0, 1.0]) if forward else np.array([-1.0, 1.0, 0.0])
        return self._on_ghosts(axis, row / self.step, "d_forward" if forward else "d_backward")

    def _gaps(self) -> np.ndarray:
        """Distances of the centres, ghosts included: a ghost mirrors its cell."""
        widths = np.diff(self.faces)
        return np.concatenate([widths[:1], np.diff(self.points), widths[-1:]])

    def face_points(self, rank: int, axis: int) -> Operator:
        """All n + 1 faces, or the n to the left of the cells where periodic."""
        count = self.n if self.periodic else self.n + 1
        return Points(rank, axis, count, self.low, self.step, None if self.uniform else self.faces[:count])

    def to_faces(self, axis: int, order: int) -> Operator:
        """Means (order 0) or slopes (1) at the faces of what has one ghost on either side."""
        if self.uniform:
            row = np.array([0.5, 0.5]) if order == 0 else np.array([-1.0, 1.0]) / self.step
        else:
            gaps, widths = self._gaps(), np.diff(self.faces)
            inside = np.concatenate([widths[:1], widths]) / 2
            share = inside / gaps  # of the cell to the right
            row = np.stack([1 - share, share], 1) if order == 0 else np.stack([-1 / gaps, 1 / gaps], 1)
        name = "half" if order == 0 else "slope"
        if self.periodic:
            return Stencil(axis, self.n, -1, self.n, row, periodic=True, name=name)
        return Stencil(axis, self.n + 2, 0, self.n + 1, row, name=name)

    def from_faces(self, axis: int) -> Operator:
        """What enters a cell through its faces, per length."""
        row = np.array([-1.0, 1.0]) / self.step if self.uniform else np.stack([-1 / np.diff(self.faces), 1 / np.diff(self.faces)], 1)
        if self.periodic:
            return Stencil(axis, self.n, 0, self.n, row, periodic=True, name="flux")
        return Stencil(axis, self.n + 1, 0, self.n, row, name="flux")

    def trace(self, end: str, order: int) -> np.ndarray:
        """Weights of (ghost, cell) for the value or the outward-counted slope at a side."""
        if order == 0:
            return np.array([0.5, 0.5])
        if order == 1:
            width = np.diff(self.faces)[0 if end == "left" else -1]
            return np.array([-1.0, 1.0] if end == "left" else [1.0, -1.0]) / width
        raise ModelError(f"FiniteVolume takes conditions on u and its first derivative at the sides of '{self.name}', not of order {order}.")

    def total(self, axis: int) -> Operator:
        return Total(axis, self.n, self.step if self.uniform else np.diff(self.faces))

    def running(self, axis: int) -> list[Operator]:
        """At the cell centres: whole cells before, half of the own."""
        widths = np.diff(self.faces)
        lower = np.tril(np.ones((self.n, self.n)), -1) * widths[None, :] + np.diag(widths / 2)
        return [Matrix(axis, lower, "running")]


class FourierPoints(Axis):
    """A periodic series."""

    method: Fourier
    series = "fourier"

    def __init__(self, coordinate: Coordinate, method: Fourier):
        super().__init__(coordinate, method)
        if not self.periodic:
            raise ModelError(
                f"Fourier needs a periodic coordinate, and '{self.name}' has sides. Declare {self.name} = sci.space(\"{self.name}\", {self.low:g}, "
                f"{self.high:g}, periodic=True), or use sci.Chebyshev({self.n}) or sci.FiniteDifference({self.n}, order=4)."
            )

    def at(self, axis: int, position: float) -> Operator:
        """By the series itself: the periodic sinc function."""
        angle = np.pi * (position - self.points) / self.length
        near = np.abs(np.sin(angle)) < 1e-14
        safe = np.where(near, 1.0, angle)
        down = np.tan(safe) if self.n % 2 == 0 else np.sin(safe)
        return Total(axis, self.n, np.where(near, 1.0, np.sin(self.n * safe) / (self.n * down)))


class SinePoints(Axis):
    """A sine series on the centres of n cells, where products of sines and cosines have exact series too."""

    series = "sine"

    def __init__(self, coordinate: Coordinate, method: Method):
        super().__init__(coordinate, method)
        if self.periodic:
            raise ModelError(f"'{self.name}' is periodic, and {method.name} needs two sides. Use sci.Fourier({self.n}).")

    @property
    def first(self) -> float:
        return self.low + self.step / 2

    def _from_coefficients(self, of_functions: np.ndarray, odd: bool) -> np.ndarray:
        """A sum over the functions of a series as one over the points, whose sums are the coefficients."""
        angle = np.pi * (self.points - self.low) / self.length
        functions = np.sin(np.outer(angle, np.arange(1, self.n + 1))) if odd else np.cos(np.outer(angle, np.arange(self.n)))
        half = np.ones(self.n)  # the points see the last sine, and the constant among the cosines, twice
        half[-1 if odd else 0] = 0.5
        return 2 / self.n * functions @ (half * of_functions)

    def series_at(self, axis: int, position: float, odd: bool) -> Operator:
        """The value of a sine (odd) or cosine (even) series at a point."""
        angle = np.pi * (position - self.low) / self.length
        here = np.sin(angle * np.arange(1, self.n + 1)) if odd else np.cos(angle * np.arange(self.n))
        return Total(axis, self.n, self._from_coefficients(here, odd))

    def series_total(self, axis: int, odd: bool) -> Operator:
        """The integral of a series over the axis. Of cosines only the constant has one: the sum over the cells."""
        if not odd:
            return Total(axis, self.n, self.step)
        j = np.arange(1, self.n + 1)
        return Total(axis, self.n, self._from_coefficients(self.length / (np.pi * j) * (1 - np.cos(np.pi * j)), odd))


class CosinePoints(SinePoints):
    """A cosine series on the centres of n cells."""

    series = "cosine"


def axis_of(coordinate: Coordinate, method: Any) -> Axis:
    """The axis for a coordinate and a method."""
    kinds = {
        FiniteDifference: Nodes,
        FiniteVolume: Cells,
        Chebyshev: ChebyshevNodes,
        Fourier: FourierPoints,
        Sine: SinePoints,
        Cosine: CosinePoints,
    }
    if type(method) not in kinds:
        raise ModelError(
            f"The method for '{coordinate.name}' is {method!r}: give one of {', '.join(k.__name__ for k in kinds)}, such as sci.FiniteDifference(64)."
        )
    if coordinate.declaration.shape:
        raise ModelError(
            f"'{coordinate.name}' is a vector of {coordinate.declaration.shape[0]} coordinates: no grid is that large. Networks solve such problems."
        )
    return kinds[type(method)](coordinate, method)


def edge(axis: int, end: str, skip: int, weights: Any) -> Operator:
    """A weighted sum of entries near one end."""
    return Edge(axis, end, skip, tuple(float(v) for v in weights))


def _clean(row: np.ndarray) -> np.ndarray:
    """Weights that rounding has left near zero are zero: central first derivatives do not look at their own node."""
    return np.where(np.abs(row) < 1e-13 * np.max(np.abs(row)), 0.0, row)


__all__ = ["Axis", "Cells", "ChebyshevNodes", "CosinePoints", "FourierPoints", "Nodes", "SinePoints", "axis_of", "edge"]
