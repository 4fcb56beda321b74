"""Measurements at scattered points, as terms of the loss: (expression - value)/noise.

A table has a column for each coordinate and for each quantity that was measured, in the units of their declarations.
"""

import dataclasses
from collections.abc import Mapping, Sequence
from numbers import Real
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
import sympy as sp

from ..errors import FitError, NameUnknown, nearest
from ..passes import Pointwise, Term, of_point, placeholder
from ..passes.pointwise import Place
from ..symbols import Coordinate, declaration_of
from .asked import size_of
from .problem import Points

_SLACK = 1e-6  # of an interval: numbers in float32 may lie that far outside


@dataclasses.dataclass(frozen=True, eq=False)
class Measured:
    """Columns of a table: points (rows, size), and for each quantity its expression, rows, values and noise."""

    at: np.ndarray
    quantities: dict[str, tuple[Any, np.ndarray, np.ndarray, float]]

    def points(self, dtype: Any) -> dict[str, Points]:
        """The points of each data term."""
        return {
            f"data {name}": Points(jnp.asarray(self.at[rows], dtype), values=jnp.asarray(values / sigma, dtype))
            for name, (_, rows, values, sigma) in self.quantities.items()
        }


def measured(
    data: Any, observe: Mapping[str, Any] | None, noise: Any, form: Pointwise, coordinates: Sequence[Any], span: tuple[float, float]
) -> Measured:
    """Reads a table. Rows where a quantity is NaN are left out for it.

    Args:
        data: a pandas table, an xarray Dataset, or a dict of arrays of one shape. A vector coordinate X has its dimension behind,
            (n, dim), or columns `X[0]`, `X[1]` ...; a coordinate that is one number is the same for all rows.
        observe: the expression that a column measures, or the name of a quantity; the quantity of its name where left out.
        noise: standard deviation, one for all or by column.
        form: of the System.
        coordinates: as declared, in the order of a point.
        span: start and end of the time.

    Raises:
        FitError: a coordinate is missing or NaN, points lie outside the domain, nothing was measured, the noise is not positive.
        NameUnknown: a column that is neither a coordinate nor a quantity of the System.
    """
    columns = _columns(data)
    at, shape = _points(columns, coordinates, span)
    _refuse_outside(at, form)
    names = [n for n in columns if not _of_coordinate(n, coordinates)]
    observe = dict(observe or {})
    _refuse_unknown("observe", observe, names)
    if isinstance(noise, Mapping):
        _refuse_unknown("noise", noise, names)
    found = {}
    for name in names:
        values = columns[name]
        if values.shape != shape:
            raise FitError(f"The data hold '{name}' of shape {values.shape} at points of shape {shape}: give one value for each.")
        values = values.reshape(-1)
        if np.isinf(values).any():
            raise FitError(f"'{name}' is infinite in row {int(np.argmax(np.isinf(values)))} of the data. Correct it, or write NaN: not measured.")
        rows = np.flatnonzero(~np.isnan(values))
        if len(rows):
            found[name] = (_expression(name, observe, form), rows, values[rows], _sigma(name, noise))
    if not found:
        raise FitError(f"The data hold no values: besides {', '.join(form.coordinates)} there must be a column for a quantity that was measured.")
    return Measured(at, found)


def measured_terms(form: Pointwise, table: Measured) -> Pointwise:
    """The form with a term for each quantity that was measured.

    Raises:
        FitError: a complex quantity.
        CompileError: a quantity that has no value at a point.
    """
    for name, (expression, _, _, sigma) in table.quantities.items():
        found, own = of_point(form, expression)
        if found.has(sp.I):
            found, imaginary = (part.expand() for part in found.as_real_imag())
            if imaginary != 0:
                parts = 'observe={"a": sp.re(psi), "b": sp.im(psi)}'
                raise FitError(f"'{name}' measures a complex quantity, `{expression}`. Give its parts: {parts}.")
        residual = found / sp.Float(sigma) - placeholder("measured")
        term = Term(f"data {name}", "data", Place(), residual, tuple(own), f"data of {name}")
        form = dataclasses.replace(form, terms=(*form.terms, term), operators={**form.operators, **own})
    return form


def resampled(data: Any, key: Any) -> dict[str, np.ndarray]:
    """As many rows as a table has, drawn from them with repetition (Efron 1979)."""
    columns = _columns(data)
    count = max((len(v) for v in columns.values() if v.shape), default=0)
    rows = np.asarray(jax.random.randint(key, (count,), 0, max(count, 1)))
    return {n: v[rows] if v.shape[:1] == (count,) else v for n, v in columns.items()}


# -- columns ----------------------------------------------------------------------------------------


def _columns(data: Any) -> dict[str, np.ndarray]:
    if hasattr(data, "to_dataframe"):  # xarray
        data = data.to_dataframe()
    if isinstance(data, pd.DataFrame):
        named = [n for n in data.index.names if n is not None and n not in data.columns]
        data = data.reset_index(level=named) if named else data
        return {str(n): _numbers(str(n), data[n].to_numpy()) for n in data.columns}
    if isinstance(data, Mapping):
        return {_name(n): _numbers(_name(n), v) for n, v in data.items()}
    raise FitError('data= is a pandas table or a dict of arrays with a column for each coordinate: {"t": ..., "x": ..., "u": ...}.')


def _name(key: Any) -> str:
    d = declaration_of(key)
    return d.name if d is not None else str(key)


def _numbers(name: str, values: Any) -> np.ndarray:
    array = np.asarray(values)
    if np.iscomplexobj(array):
        raise FitError(f"The column '{name}' of the data is complex. Give its real and imaginary part as two columns, with observe=.")
    try:
        return array.astype(float)
    except (TypeError, ValueError):
        raise FitError(f"The column '{name}' of the data holds something else than numbers. Leave it out.") from None


def _of_coordinate(name: str, coordinates: Sequence[Coordinate]) -> bool:
    """Whether a column is a coordinate, or a component of one."""
    return any(name == c.name or (size_of(c) > 1 and name in _components(c)) for c in coordinates)


def _components(c: Coordinate) -> list[str]:
    return [f"{c.name}[{i}]" for i in range(size_of(c))]


def _refuse_unknown(option: str, given: Mapping[str, Any], names: list[str]) -> None:
    for name in given:
        if name not in names:
            raise NameUnknown(f"{option}= has '{name}', which the data do not hold. {nearest(str(name), names)}")


# -- where ------------------------------------------------------------------------------------------


def _points(columns: Mapping[str, np.ndarray], coordinates: Sequence[Coordinate], span: tuple[float, float]) -> tuple[np.ndarray, tuple[int, ...]]:
    """Flat points, (rows, size), and the shape of the table."""
    given = {c.name: _values_of(c, columns) for c in coordinates}
    shapes = {c.name: given[c.name].shape[:-1] for c in coordinates}
    several = {s for s in shapes.values() if s}
    if len(several) > 1:
        told = ", ".join(f"{n} {s}" for n, s in shapes.items())
        raise FitError(f"The coordinates of the data have different shapes: {told}. Give one value of each for every point.")
    shape = several.pop() if several else next((v.shape for n, v in columns.items() if not _of_coordinate(n, coordinates)), ())
    for c in coordinates:
        given[c.name] = np.broadcast_to(given[c.name], (*shape, size_of(c))).reshape(-1, size_of(c))
        _check(c, given[c.name], span)
    return np.concatenate([given[c.name] for c in coordinates], axis=1), shape


def _values_of(c: Coordinate, columns: Mapping[str, np.ndarray]) -> np.ndarray:
    """The values of a coordinate, with its dimension behind."""
    size = size_of(c)
    if c.name not in columns and size > 1 and all(n in columns for n in _components(c)):
        return np.stack([columns[n] for n in _components(c)], axis=-1)
    if c.name not in columns:
        raise FitError(f"The data have no column '{c.name}': where was it measured? {nearest(c.name, columns)}")
    values = columns[c.name]
    if size == 1:
        return values[..., None]
    if not values.shape or values.shape[-1] != size:
        raise FitError(f"'{c.name}' is a vector of {size} numbers, and in the data it has the shape {values.shape}: give (n, {size}).")
    return values


def _check(c: Coordinate, values: np.ndarray, span: tuple[float, float]) -> None:
    unknown = ~np.isfinite(values).all(axis=1)
    if unknown.any():
        raise FitError(f'Row {int(np.argmax(unknown))} of the data has no finite {c.name}. Drop it: data.dropna(subset=["{c.name}"]).')
    d = declaration_of(c)
    if d.kind == "space" and d.payload["periodic"]:
        return
    low, high = span if d.kind == "time" else (d.payload["low"], d.payload["high"])
    slack = _SLACK * (high - low) if np.isfinite(high - low) else 0.0
    outside = (values < low - slack) | (values > high + slack)
    if outside.any():
        row = int(np.argmax(outside.any(axis=1)))
        wider = f"Write t_span=({min(low, values.min()):g}, {max(high, values.max()):g})"
        cure = f"{wider}, or leave out those rows" if d.kind == "time" else f"Leave out those rows, or widen '{c.name}'"
        value = values[row][outside[row]][0]
        raise FitError(f"The data lie outside the domain: {c.name} = {value:g} in row {row}, and {c.name} runs from {low:g} to {high:g}. {cure}.")


def _refuse_outside(at: np.ndarray, form: Pointwise) -> None:
    """Refuses points outside the region that the System lives on."""
    region = form.system.domain
    if region is None:
        return
    from .geometry import distance

    where = np.concatenate([at[:, form.layout[c.name]] for c in region.coordinates], axis=1)
    far = np.asarray(jnp.vectorize(distance(region), signature="(n)->()")(jnp.asarray(where)))
    if (far > _SLACK * np.abs(where).max()).any():
        row = int(np.argmax(far))
        told = ", ".join(f"{v:g}" for v in where[row, :4]) + (", ..." if where.shape[1] > 4 else "")
        raise FitError(f"The data lie outside the domain: row {row} at ({told}). Leave out such rows.")


# -- what and how well --------------------------------------------------------------------------------


def _expression(name: str, observe: Mapping[str, Any], form: Pointwise) -> Any:
    wanted = observe.get(name, name)
    if not isinstance(wanted, str):
        return sp.sympify(wanted)
    system = form.system
    if wanted in system.observed:
        return system.observed[wanted]
    unknowns = {n: s for n, s in system.symbols.items() if declaration_of(s).kind == "field" or n in form.functions}
    if wanted not in unknowns:
        hint = nearest(wanted, [*unknowns, *system.observed])
        raise NameUnknown(f"The data hold '{wanted}', and the System has no such quantity. Write observe={{\"{name}\": expression}}. {hint}")
    return unknowns[wanted]


def _sigma(name: str, noise: Any) -> float:
    sigma = noise.get(name, 1.0) if isinstance(noise, Mapping) else noise
    if isinstance(sigma, bool) or not isinstance(sigma, Real) or not 0 < float(sigma) < np.inf:
        raise FitError(f"noise of '{name}' is {sigma!r}. Give its standard deviation, above 0: noise={{\"{name}\": 0.01}}.")
    return float(sigma)
