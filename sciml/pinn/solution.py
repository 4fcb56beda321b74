"""What `sci.pinn.fit` gives: networks that know the declared symbols.

    net[u]                        on a regular grid, (time, *space)
    net({"t": ..., "x": ...})[u]  at points
    net.at(points, u.diff(x))     the same in one call, at flat points

All of it under `jit`, `vmap` and `grad`, by the points and by the networks: a solution is a pytree of what was trained.
"""

import dataclasses
import functools
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
import sympy as sp

from ..errors import NameUnknown, SolveError, nearest
from ..passes import Pointwise
from ..symbols import Coordinate, Declaration, declaration_of
from ..system import System, text
from . import compare, pictures
from .asked import RegularAxis, Room
from .conserve import Conserved, conserve
from .problem import Problem, is_trained
from .values import at_points, coordinates_in, values_of

if TYPE_CHECKING:
    import xarray as xr

_CHUNK = 4096  # points that are evaluated at once, if they have few coordinates
_NUMBERS = 1 << 17  # of coordinates, at once
_TIMES = 101


@dataclasses.dataclass(frozen=True, eq=False)
class Trained:
    """A problem with its best arrays, and the time that it is for."""

    problem: Problem
    z: Any
    span: tuple[float, float]


@jax.tree_util.register_pytree_node_class
class NetworkSolution:
    """Networks that solve a System.

    `net[u]`, `net["u"]`, `net[k*u.diff(x)]`: any expression of the declared symbols on a regular grid, of shape
    (time, *space) in the order of `net.form.coordinates`, without those that it does not depend on; NaN outside the domain.
    Values elsewhere and integrals are expressions, too: `net[sci.at(u, x, 0.3)]`, `net[sci.integral(u, x)]`.
    `net({"t": ts, "x": xs})[u]`: the same at points.

    Attributes:
        parts: what was trained, one part for each window of time.
        coordinates: the declared ones, in the order of a point.
        history: a table with a row for each step: loss, the terms of it, "checked" (the loss at points that stay), stage, seconds.
        reason: how the training ended, in words.
        best_step: after how many steps the arrays were best, which are these.
    """

    def __init__(self, parts: tuple[Trained, ...], coordinates: tuple[Coordinate, ...], rows: list[dict[str, float]], reason: str, best_step: int):
        self.parts, self.coordinates, self.reason, self.best_step = parts, coordinates, reason, best_step
        self.history = pd.DataFrame(rows, index=pd.RangeIndex(1, len(rows) + 1, name="step"), dtype=float)
        self._programs: dict[Any, Any] = {}
        self._first = self  # of all that differ in their numbers alone

    def tree_flatten(self) -> tuple[tuple[Any, ...], "NetworkSolution"]:
        """The trained arrays, and the solution that they came from."""
        return tuple(part.z for part in self.parts), self._first

    @classmethod
    def tree_unflatten(cls, first: "NetworkSolution", arrays: Any) -> "NetworkSolution":
        """A solution with other arrays."""
        made = object.__new__(cls)
        for name in ("coordinates", "reason", "best_step", "history", "_programs", "_first"):
            setattr(made, name, getattr(first, name))
        made.parts = tuple(dataclasses.replace(part, z=z) for part, z in zip(first.parts, arrays, strict=True))
        return made

    @property
    def form(self) -> Pointwise:
        """The System as residuals at points."""
        return self.parts[0].problem.form

    @property
    def system(self) -> System:
        """As it was declared."""
        return self.form.system

    @property
    def network(self) -> Any:
        """The trained network; the last one where there are several windows of time."""
        return self.parts[-1].problem.module(self.parts[-1].z)

    @functools.cached_property
    def params(self) -> dict[str, Any]:
        """Parameters that were free, as they were found; networks of the equations as modules."""
        found = self.parts[-1]
        free = {n: _number(found.problem.transforms[n].value(v)) for n, v in found.z["params"].items()}
        return {**free, **{n: _whole(declaration_of(self.system.symbols[n]), arrays) for n, arrays in found.z["functions"].items()}}

    # -- on a regular grid --------------------------------------------------------------------------

    @property
    def span(self) -> tuple[float, float]:
        """Start and end of the time."""
        return self.parts[0].span[0], self.parts[-1].span[1]

    @property
    def t(self) -> np.ndarray:
        """Times of the grid; none for a stationary System."""
        return np.linspace(*self.span, _TIMES) if self.form.coordinates[0] == "t" else np.zeros(0)

    @property
    def room(self) -> Room:
        """The coordinates and their ends."""
        return Room(self.system.name, self.coordinates, self.span)

    @functools.cached_property
    def axes(self) -> dict[str, RegularAxis]:
        """Points on each coordinate of space."""
        return self.room.axes()

    def __getitem__(self, key: Any) -> Any:
        expression = self._expression(key)
        return self._on_grid(expression, self.over(expression))

    def _on_grid(self, quantity: Any, over: tuple[str, ...]) -> Any:
        mesh = np.meshgrid(*(self.t if n == "t" else self.axes[n].points for n in over), indexing="ij")
        shape = mesh[0].shape if over else ()
        points = self.room.flat(dict(zip(over, mesh, strict=True)), shape, self._dtype)
        return self._values(quantity, points, self._inside(points, over)).reshape(shape)

    def over(self, key: Any) -> tuple[str, ...]:
        """The coordinates that a quantity depends on, in the order of `net[...]`'s dimensions."""
        found = coordinates_in(self._expression(key), self.parts[0].problem)
        return tuple(n for n in self.form.coordinates if n in found)

    def _inside(self, points: Any, over: tuple[str, ...]) -> Any:
        """Which points lie in the domain; None if it is the whole box."""
        region = getattr(self.system, "domain", None)
        if region is None or not all(c.name in over for c in region.coordinates):
            return None
        from .geometry import inside

        flat = jnp.reshape(points, (-1, points.shape[-1]))
        return inside(region, jnp.concatenate([flat[:, self.form.layout[c.name]] for c in region.coordinates], axis=1))

    # -- at points ------------------------------------------------------------------------------------

    def __call__(self, points: Any) -> "AtPoints":
        """The solution at points: `net({"t": ts, "x": xs})[u]`.

        Args:
            points: by coordinate, arrays of one shape; of a vector with its dimension behind, (n, dim). A coordinate that is one
                number is the same at all points.

        Returns:
            What gives quantities in the shape of the points; NaN outside a domain with a shape of its own.

        Raises:
            NameUnknown: a coordinate that the System does not have.
            SolveError: one that is missing, arrays of different shapes, values outside the ends of a coordinate.
        """
        return AtPoints(self, self.room.points(points, self._dtype))

    @property
    def _dtype(self) -> Any:
        return jax.tree.leaves(self.parts[-1].problem.arrays)[0].dtype

    def at(self, points: Any, key: Any) -> Any:
        """A quantity at flat points, with the coordinates in the order of `net.form.coordinates`.

        Args:
            points: (size,), or (..., size).
            key: a name or an expression.

        Returns:
            Its values, a number or (...). With several windows of time each point takes the network of its time.
        """
        points = jnp.asarray(points, self._dtype)
        size = self.room.size
        if not points.shape or points.shape[-1] != size:
            raise SolveError(f"Points are vectors of {size} numbers ({', '.join(self.form.coordinates)}), not of the shape {points.shape}.")
        return self._evaluated(self._expression(key), points.reshape(-1, size)).reshape(points.shape[:-1])

    def _evaluated(self, quantity: Any, points: Any) -> Any:
        values = [self._program(i, quantity)(part.z, points) for i, part in enumerate(self.parts)]
        result, time = values[-1], points[:, 0]
        for part, value in zip(reversed(self.parts[:-1]), reversed(values[:-1]), strict=True):
            result = jnp.where(time <= part.span[1], value, result)
        return result

    def _values(self, quantity: Any, points: Any, inside: Any = None) -> Any:
        """At points (..., size), a part of them at a time: (...)."""
        flat = points.reshape(-1, points.shape[-1])
        count, chunk = len(flat), max(min(_CHUNK, _NUMBERS // flat.shape[1]), 1)
        if count > chunk:  # all parts of one size: one program
            flat = jnp.concatenate([flat, jnp.repeat(flat[-1:], -count % chunk, axis=0)])
            parts = flat.reshape(-1, chunk, flat.shape[1])
            found = jnp.concatenate([self._evaluated(quantity, jnp.asarray(p, self._dtype)) for p in parts])[:count]
        else:
            found = self._evaluated(quantity, jnp.asarray(flat, self._dtype))
        found = found if inside is None else jnp.where(inside, found, jnp.nan)
        return found.reshape(points.shape[:-1])

    def _program(self, index: int, quantity: Any) -> Any:
        """The program for one quantity, an expression or the residual of a term, in one window."""
        if (index, quantity) not in self._programs:
            problem = self.parts[index].problem
            if isinstance(quantity, Residual):
                term = next(term for term in problem.form.terms if term.name == quantity.name)
                found = at_points(problem, term.residual, {k: problem.form.operators[k] for k in term.operators})
            else:
                found = values_of(problem, quantity)
            self._programs[index, quantity] = jax.jit(found)
        return self._programs[index, quantity]

    def _expression(self, key: Any) -> sp.Expr:
        if isinstance(key, str):
            if key in self.system.observed:
                return self.system.observed[key]
            if key not in self.system.symbols:
                raise NameUnknown(f"The Solution has no '{key}'. {nearest(key, [*self.system.symbols, *self.system.observed])}")
            return self.system.symbols[key]
        if isinstance(key, list | tuple):
            raise SolveError("Ask for one quantity at a time: net[u], net[v].")
        if not isinstance(key, sp.Expr | int | float):
            raise SolveError(f"net[{key!r}]: give a name, or an expression of the declared symbols.")
        return sp.sympify(key)

    # -- how good it is -----------------------------------------------------------------------------------

    def residual(self, name: str | None = None, points: Any = None) -> Any:
        """What an equation leaves, left minus right side.

        Args:
            name: of the equation; the first one if left out.
            points: where, as for `net(points)`; the grid if left out.
        """
        name = self._equation(name)
        return self._on_grid(Residual(name), self.form.coordinates) if points is None else self(points)._of(Residual(name))

    def _equation(self, name: str | None) -> str:
        names = [term.name for term in self.form.terms if term.kind == "equation" and not term.place.fixed]
        if name is not None and name not in names:
            raise NameUnknown(f"There is no equation '{name}'. {nearest(str(name), names)}")
        return names[0] if name is None else name

    def error(self, exact: Any, points: Any = None) -> dict[str, Any]:
        """Relative L2 distance from a known solution, by field: |net - exact|/|exact|, each a root of a sum over points.

        Args:
            exact: {u: expression, or values on the grid of `net[u]`, or at `points`}; or a Solution of the same fields, on a grid
                (at whose points and times both are taken) or of networks. NaN in values: not known there.
            points: where, as for `net(points)`; the grid if left out.

        Raises:
            SolveError: values of another shape; an exact solution that is zero everywhere.
        """
        if isinstance(exact, NetworkSolution):
            exact = {n: exact[n] for n in exact.fields if n in self.fields}
        return compare.distances(self, exact, points) if isinstance(exact, Mapping) else compare.from_solution(self, exact)

    def conserve(self, *laws: Any) -> Conserved:
        """The values on the grid, corrected as little as possible so that conservation laws hold at each time.

        Args:
            laws: equations between integrals over space, linear in the fields, and expressions of time and parameters:
                `sci.eq(sci.integral(u, x), 1.0)`. Integrals are sums by the trapezoidal rule on the grid.

        Returns:
            What gives the corrected values: `net.conserve(law)[u]`.

        Raises:
            FitError: a law that no linear projection can fulfil.

        Hansen, Maddix, Alizadeh, Gupta and Mahoney 2023, ICML, Learning physical models that can respect conservation laws.

        >>> import sciml as sci
        >>> x = sci.space("x", 0, 1, periodic=True)
        >>> u = sci.fields("u", sci.t, x)
        >>> moving = sci.System([sci.eq(u.diff(sci.t), u.diff(x))], initial={u: 1})
        >>> net = sci.pinn.fit(moving, points=20, train=5, progress=False)
        >>> kept = net.conserve(sci.eq(sci.integral(u, x), 1))[u]
        >>> bool(abs(kept.mean(axis=1) - 1).max() < 1e-6)
        True
        """
        return conserve(self, laws)

    # -- to tables and pictures ---------------------------------------------------------------------------

    @property
    def fields(self) -> dict[str, sp.Expr]:
        """The unknowns by name: fields, and coefficients that a network gives."""
        return {n: s for n, s in self.system.symbols.items() if declaration_of(s).kind == "field" or n in self.form.functions}

    def quantities(self) -> dict[str, sp.Expr]:
        """Every unknown and observed quantity."""
        return {**self.fields, **self.system.observed}

    def to_xarray(self) -> "xr.Dataset":
        """A Dataset on the regular grid: a variable for each unknown and observed quantity, with units as attributes."""
        import xarray as xr

        variables, coordinates = {}, {}
        for name, symbol in self.quantities().items():
            over = self.over(symbol)
            coordinates.update({n: self._labelled(n) for n in over})
            d = declaration_of(symbol)
            attributes = {"units": d.unit, "description": d.description} if d is not None else {"long_name": text(symbol)}
            variables[name] = (over, np.asarray(self[symbol]), {k: v for k, v in attributes.items() if v})
        return xr.Dataset(variables, coordinates, {"system": self.system.name, "solver": "sci.pinn"})

    def _labelled(self, name: str) -> tuple[Any, ...]:
        """A coordinate of a Dataset."""
        unit = self.system.units.get("t") if name == "t" else self.axes[name].coordinate.declaration.unit
        return name, self.t if name == "t" else self.axes[name].points, {"units": unit} if unit else {}

    def to_pandas(self) -> pd.DataFrame:
        """A table with a row for each point of the grid."""
        return self.to_xarray().to_dataframe()

    def to_netcdf(self, path: Any) -> None:
        """Writes `to_xarray()` as netCDF."""
        self.to_xarray().to_netcdf(path, engine="h5netcdf", invalid_netcdf=False)

    def save(self, path: Any) -> None:
        """Writes the trained network, its parameters and its history to a file, which `sci.pinn.load(path, system, network)` reads.

        A file of that name is replaced.
        """
        from .files import save

        save(self, path)

    def plot(self, *what: Any, ax: Any = None, kind: str = "auto", at: Any = None, **style: Any) -> Any:
        """Draws fields over time and space, and quantities of the time alone over it.

        Args:
            what: names, symbols, expressions; all unknowns if nothing is named.
            ax: axes to draw on; new ones if left out.
            kind: for a field u(t, x): "image", or "lines", profiles in the colour of their time.
            at: a time, or several.
            style: goes to matplotlib.

        Returns:
            The matplotlib axes; an array of them where there are several panels.
        """
        return pictures.plot(self, what, ax, kind, at, style)

    def plot_residual(self, name: str | None = None, ax: Any = None, **style: Any) -> Any:
        """The size of what an equation leaves, |left minus right side|, over time and space, in powers of ten; see `plot`."""
        return pictures.plot_residual(self, self._equation(name), ax, style)

    def plot_error(self, exact: Mapping[Any, Any], ax: Any = None, **style: Any) -> Any:
        """The distance |net - exact| over time and space, in powers of ten.

        Args:
            exact: {u: expression, or values on the grid of `net[u]`}.
            ax: axes to draw on; new ones if left out.
            style: goes to matplotlib.
        """
        return pictures.plot_error(self, exact, ax, style)

    def plot_history(self, ax: Any = None) -> Any:
        """Loss, its terms and the loss at points that stay, over the steps."""
        return pictures.plot_history(self.history, ax)

    def animate(self, *what: Any, path: Any = None, fps: int = 20, **style: Any) -> Any:
        """Fields over one or two coordinates as a picture that moves; see `Solution.animate`."""
        return pictures.animate(self, what, path, fps, style)

    def explain(self) -> str:
        """Which conditions are built in, and which derivatives are taken by which method."""
        lines = [f"built in: {condition}" for condition in self.form.built_in]
        for piece in self.parts[0].problem.pieces:
            lines += [f"{piece.term.name} ({piece.term.kind})", *("  " + line for line in piece.plan.explain().splitlines())]
        return "\n".join(lines)

    def __repr__(self) -> str:
        loss = f"loss {self.history['checked'].min():.3g}" if "checked" in self.history else ""
        told = [f"{len(self.history)} steps", loss, self.reason]
        return f"NetworkSolution of '{self.system.name}': {', '.join(self.quantities())}; {'; '.join(s for s in told if s)}"


@dataclasses.dataclass(frozen=True)
class Residual:
    """What the equation of a name leaves, as a quantity."""

    name: str


@dataclasses.dataclass(frozen=True, eq=False)
class AtPoints:
    """The solution at points: `net(points)[u]` has the shape of the points."""

    net: NetworkSolution
    points: Any

    def __getitem__(self, key: Any) -> Any:
        return self._of(self.net._expression(key))

    def _of(self, quantity: Any) -> Any:
        return self.net._values(quantity, self.points, self.net._inside(self.points, self.net.form.coordinates))


def _whole(d: Declaration, arrays: Any) -> Any:
    """A network of the equations as a module, or the values of a table."""
    return eqx.combine(arrays, eqx.filter(d.value, is_trained, inverse=True)) if d.kind == "neural" else arrays


def _number(value: Any) -> Any:
    """A parameter as Python's or NumPy's number, where it is known."""
    if isinstance(value, jax.core.Tracer):
        return value
    return float(value) if jnp.ndim(value) == 0 else np.asarray(value)
