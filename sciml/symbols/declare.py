"""The words a model is written with.

Each function here gives one symbol for one name and a tuple for several, as `sympy.symbols` does. All are
real unless an assumption such as `positive=True` or `real=False` says otherwise.
"""

import builtins
import operator
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import sympy as sp

from ..errors import ModelError, caller
from .declaration import Declaration, declaration_of, distinct_nodes
from .heads import Applied, Coordinate, Head, Quantity
from .units import unit as check_unit

t = Coordinate(Declaration("time", "t"))
"""Time: the one independent variable of every unknown."""

_PER_NAME = ("value", "initial", "guess", "unit", "nominal", "bounds", "description", "prior", "scale")
_RESERVED = {"t": "it is the time, sci.t"}


def variables(
    names: str,
    *,
    initial: Any = None,
    guess: Any = None,
    unit: Any = None,
    nominal: Any = None,
    bounds: Any = None,
    description: Any = "",
    shape: tuple[int, ...] | int = (),
    discrete: bool = False,
    **assumptions: bool,
) -> Any:
    """Unknowns of time: `x(t)`.

    Args:
        names: as in `sympy.symbols`: "x", "x y", "x0:5".
        initial: the value at the start (hard). A number, an array of `shape`, an expression of parameters.
        guess: where a root search may start (soft).
        unit: text that pint reads, such as "m/s". Without one the unknown is a plain number.
        nominal: a typical size; the absolute tolerance is scaled by it.
        bounds: (low, high), either may be None.
        description: a few words for tables and plots.
        shape: an array of unknowns under one name: elementwise in equations, `z[0]` a component.
        discrete: changes only at events; needs no equation.
        assumptions: of SymPy, such as `positive=True`.

    For metadata a list gives one value per name, anything else holds for all.

    Raises:
        ModelError: a name or a value that cannot be meant.

    >>> import sciml as sci
    >>> x, y = sci.variables("x y", initial=[10.0, 5.0], unit="m")
    >>> x.diff(sci.t)
    Derivative(x(t), t)
    """
    return _declare(
        "unknown",
        names,
        lambda d: Head(d, **{"real": True, **assumptions})(t),
        dict(value=initial, guess=guess, unit=unit, nominal=nominal, bounds=bounds, description=description),
        shape=_shape(shape),
        discrete=discrete,
    )


def parameters(
    names: str,
    value: Any = None,
    *,
    unit: Any = None,
    bounds: Any = None,
    prior: Any = None,
    scale: Any = None,
    nominal: Any = None,
    description: Any = "",
    shape: tuple[int, ...] | int = (),
    over: Any = None,
    **assumptions: bool,
) -> Any:
    """Parameters: symbols whose values may be set at solve time, differentiated by and fitted.

    Args:
        names: as in `sympy.symbols`.
        value: the declared value: a number, an array of `shape`, or an expression of other parameters.
        unit: text that pint reads.
        bounds: (low, high), either may be None. A fit stays strictly inside.
        prior: a distribution for Bayesian fits.
        scale: "log" if the size rather than the value is what varies.
        nominal: a typical size.
        description: a few words for tables and plots.
        shape: an array under one symbol; taken from `value` if that is an array.
        over: a coordinate (or several): the parameter is a field `k(s)`.
        assumptions: of SymPy, such as `positive=True`.

    >>> import sciml as sci
    >>> a, b = sci.parameters("a b", [1.1, 0.4], unit="1/s", bounds=(1e-3, 1e2))
    >>> half = sci.parameters("half", a / 2)
    """
    over = _over(over)

    def make(d: Declaration) -> sp.Expr:
        return Head(d, **{"real": True, **assumptions})(*over) if over else Quantity(d, **assumptions)

    metadata = dict(value=value, unit=unit, bounds=bounds, prior=prior, scale=scale, nominal=nominal, description=description)
    return _declare("parameter", names, make, metadata, shape=_shape(shape), over=over)


def _over(over: Any) -> tuple[Coordinate, ...]:
    over = () if over is None else tuple(over) if isinstance(over, tuple | list) else (over,)
    for coordinate in over:
        if not isinstance(coordinate, Coordinate):
            raise ModelError(f'over={coordinate} is not a coordinate: write over=s with s = sci.space("s", 0, 1).')
    return over


def constants(names: str, value: Any, *, unit: Any = None, description: Any = "", shape: tuple[int, ...] | int = ()) -> Any:
    """Constants: symbols with a unit and a value that no fit may free.

    >>> import sciml as sci
    >>> g0 = sci.constants("g0", 9.81, unit="m/s**2")
    """
    return _declare("constant", names, Quantity, dict(value=value, unit=unit, description=description), shape=_shape(shape))


def white_noise(names: str, *, shape: tuple[int, ...] | int = (), over: Any = None, description: Any = "") -> Any:
    """Independent white noises, formally dW/dt of Wiener processes; unit (time)**-0.5.

    `over=x` (or several coordinates) is noise in time and space, independent at every point: its unit has a factor
    (length)**-0.5 for each coordinate, and a grid cell of volume V sees it with the strength V**-0.5.

    A noise enters a differential equation linearly and nothing else. `System(..., calculus="ito")` says how
    its coefficient is read (Oksendal, Stochastic Differential Equations, 2003).

    >>> import sciml as sci
    >>> xi = sci.white_noise("xi")
    >>> x = sci.variables("x", initial=0.0)
    >>> ou = sci.System([sci.eq(x.diff(sci.t), -x + xi)])
    """
    # No assumption of being real: sqrt(xi**2) must stay as it is, to be refused by name.
    over = _over(over)
    return _declare("noise", names, lambda d: Head(d)(t, *over), dict(description=description), shape=_shape(shape), over=over)


def data(
    name: str, times: Any, values: Any, *, interp: str = "cubic", outside: str = "error", unit: str | None = None, description: str = ""
) -> sp.Expr:
    """A measured input, already applied: `F(t)`.

    Args:
        name: its name; `params={name: new_values}` replaces the values at solve time.
        times: increasing, at least two.
        values: one per time; more axes make it array-valued.
        interp: "cubic" (a spline with two continuous derivatives), "monotone" (no overshoot), "linear" or "previous" (steps).
        outside: "error" (solving beyond the data is refused), "hold" (the end values) or "extrapolate".
        unit: of the values; times are in the unit of `t`.

    >>> import numpy as np, sciml as sci
    >>> F = sci.data("F", np.linspace(0, 1, 11), np.linspace(0, 2, 11), interp="linear")
    """
    times, values = _grid(name, "times", times, values)
    return _interpolated("data", name, times, values, interp, outside, unit, description)(t)


def table(
    name: str, grid: Any, values: Any, *, interp: str = "cubic", outside: str = "error", unit: str | None = None, description: str = ""
) -> Callable[[Any], sp.Expr]:
    """A tabulated function of one argument: `k = table("k", grid, values)`, then `k(x)` in any equation.

    The options are those of `data`. Outside the grid, `outside="error"` gives NaN, which stops the solve.

    >>> import numpy as np, sciml as sci
    >>> k = sci.table("k", np.linspace(0, 1, 5), np.ones(5), outside="hold")
    >>> x = sci.variables("x", initial=0.5)
    >>> k(x)
    k(x(t))
    """
    grid, values = _grid(name, "grid", grid, values)
    return _interpolated("table", name, grid, values, interp, outside, unit, description)


def neural(name: str, module: Any, *, outputs: int = 1, unit: str | None = None, description: str = "") -> Any:
    """A trainable function, used as `g(x, y)`: the scalars are stacked and given to `module`.

    Args:
        name: its name; `params={name: eqx.filter(module, eqx.is_inexact_array)}` replaces the weights.
        module: a callable pytree, for example `equinox.nn.MLP`.
        outputs: how many functions it gives; with more than one, `g1, g2 = neural(...)(x, y)`.
        unit: of the output. Without one it fits everything.

    >>> import equinox as eqx, jax, sciml as sci
    >>> g = sci.neural("g", eqx.nn.MLP(2, 1, 8, 1, key=jax.random.key(0)))
    >>> x, y = sci.variables("x y", initial=1.0)
    >>> g(x, y)
    g(x(t), y(t))
    """
    if not callable(module):
        raise ModelError(f"neural('{name}', ...) needs something callable, for example equinox.nn.MLP(2, 1, 16, 2, key=key).")
    _check_name(name)
    where = caller()
    if outputs == 1:
        return Head(_neural(name, module, outputs, 0, unit, description, where), real=True)
    heads = [Head(_neural(name, module, outputs, i, unit, description, where), real=True) for i in range(outputs)]
    return lambda *arguments: tuple(head(*arguments) for head in heads)


def _neural(name: str, module: Any, outputs: int, index: int, unit: str | None, description: str, where: str) -> Declaration:
    if unit is not None:
        check_unit(unit)
    payload = {"outputs": outputs, "index": index}
    return Declaration("neural", name, value=module, unit=unit, description=description, payload=payload, where=where)


def function(name: str, callable: Callable[..., Any], *, unit: str | None = None) -> Callable[..., sp.Expr]:
    """A function of your own, written in `jax.numpy`, for use in equations.

    >>> import jax, sciml as sci
    >>> softplus = sci.function("softplus", jax.nn.softplus)
    >>> x = sci.variables("x", initial=1.0)
    >>> softplus(x)
    softplus(x(t))
    """
    if not builtins.callable(callable):
        raise ModelError(f"function('{name}', ...) needs a callable of jax.numpy, for example sci.function(\"{name}\", jnp.tanh).")
    _check_name(name)
    return Head(Declaration("function", name, value=callable, unit=unit, where=caller()), real=True)


def space(name: str, low: Any, high: Any, *, periodic: bool = False, dim: Any = 1, unit: str | None = None) -> sp.Symbol:
    """A coordinate of space on [low, high]; `dim=100` is a vector of coordinates.

    Args:
        name: its name.
        low: the low end, a number or `-sp.oo`; for a vector that of every component.
        high: the high end, a number or `sp.oo`.
        periodic: whether it closes on itself. Not for a vector.
        dim: how many coordinates. With more than one, `X[0]` is a component, `X[i]` one inside a sum over i, and `X.dim` their number.
        unit: text that pint reads.

    Raises:
        ModelError: ends in the wrong order, an infinite or vector-valued coordinate that is periodic.

    >>> import sciml as sci, sympy as sp
    >>> s = sci.space("s", 0, 1)
    >>> X, i = sci.space("X", -sp.oo, sp.oo, dim=100), sp.Symbol("i", integer=True)
    >>> sp.Sum(X[i]*X[i + 1], (i, 0, X.dim - 2))
    Sum(X[i]*X[i + 1], (i, 0, 98))
    >>> fields("u", X).diff(X[i], 2)
    Derivative(u(X), (X[i], 2))
    """
    try:
        low, high, size = float(low), float(high), operator.index(dim)
    except TypeError:
        raise ModelError(f"space('{name}', {low}, {high}, dim={dim}): the ends are numbers and dim is a whole number.") from None
    if not low < high or low == np.inf or high == -np.inf:
        raise ModelError(f"space('{name}', {low:g}, {high:g}): the low end must lie below the high end.")
    if size < 1:
        raise ModelError(f"space('{name}', ..., dim={size}): a vector has one component or more.")
    if periodic and (size > 1 or not np.isfinite([low, high]).all()):
        what = "a vector cannot be periodic; declare its coordinates one by one" if size > 1 else "a periodic coordinate has two ends"
        raise ModelError(f"space('{name}', {low:g}, {high:g}, periodic=True): {what}.")
    _check_name(name)
    if unit is not None:
        check_unit(unit)
    payload = {"low": low, "high": high, "periodic": bool(periodic), "dim": size}
    return Coordinate(Declaration("space", name, unit=unit, payload=payload, shape=() if size == 1 else (size,), where=caller()))


def fields(
    names: str,
    *coordinates: Any,
    initial: Any = None,
    unit: Any = None,
    bounds: Any = None,
    nominal: Any = None,
    description: Any = "",
    **assumptions: bool,
) -> Any:
    """Unknown fields `u(t, s)` over time and space.

    Args:
        names: as in `sympy.symbols`.
        coordinates: `sci.t` and coordinates of space; a field without `sci.t` belongs to a stationary problem.
        initial: the value at the start: a number, an expression of the coordinates and parameters, an array on the grid.
        unit: text that pint reads.
        bounds: (low, high), either may be None.
        nominal: a typical size.
        description: a few words for tables and plots.
        assumptions: of SymPy. `real=False` is a complex field.

    >>> import sciml as sci
    >>> s = sci.space("s", 0, 1)
    >>> u = sci.fields("u", sci.t, s)
    >>> u.diff(s, 2)
    Derivative(u(t, s), (s, 2))
    """
    if not coordinates or not all(isinstance(c, Coordinate) for c in coordinates):
        raise ModelError(f'fields("{names}", ...) needs its coordinates: write fields("{names}", sci.t, s) with s = sci.space("s", 0, 1).')
    if len(set(coordinates)) < len(coordinates) or all(c == t for c in coordinates):
        raise ModelError(
            f'fields("{names}", ...) needs each coordinate once, at least one of them of space; sci.variables("{names}") depends on time alone.'
        )
    metadata = dict(value=initial, unit=unit, bounds=bounds, nominal=nominal, description=description)
    real = assumptions.pop("real", True)
    given = {"real": True, **assumptions} if real else assumptions
    return _declare("field", names, lambda d: Head(d, **given)(*coordinates), metadata, over=coordinates)


def derivative_unknown(of: Applied, time_unit: str | None = None) -> Applied:
    """The unknown `x'` that stands for dx/dt after order reduction."""
    d = of.declaration
    rate_unit = f"({d.unit or 1})/({time_unit})" if time_unit else d.unit
    made = Declaration("unknown", d.name + "'", unit=rate_unit, nominal=d.nominal, shape=d.shape, description=f"rate of {d.name}", where=d.where)
    return Head(made, real=True)(*of.args)


def _declare(kind: str, names: str, make: Callable[[Declaration], sp.Expr], metadata: dict[str, Any], **shared: Any) -> Any:
    """One declaration per name; a list among the metadata is dealt out, one value each."""
    where = caller()
    if isinstance(names, str) and not names.strip(" ,"):
        raise ModelError('There is no name in the text given. Write for example sci.variables("x y").')
    found = [s.name for s in sp.symbols(names, seq=True)] if isinstance(names, str) else _not_text(names)
    several = sum(c in names for c in " ,:") > 0
    made = []
    for i, name in enumerate(found):
        _check_name(name)
        own = {key: _deal(key, value, i, found) for key, value in metadata.items()}
        made.append(make(_checked(Declaration(kind, name, where=where, **own, **shared))))
    return tuple(made) if several else made[0]


def _not_text(names: Any) -> Any:
    raise ModelError(f'Names are text, as in sympy.symbols: write "x y" instead of {names!r}.')


def _check_name(name: str) -> None:
    if not isinstance(name, str) or not name.strip():
        raise ModelError(f"A name must be text, not {name!r}.")
    if name in _RESERVED:
        raise ModelError(f"'{name}' is taken: {_RESERVED[name]}.")
    if name.endswith("'") or "." in name:
        raise ModelError(f"'{name}' is not a usable name: x' stands for a derivative and a.b for a component's name.")


def _deal(key: str, value: Any, index: int, names: Sequence[str]) -> Any:
    if not isinstance(value, list):
        return value
    if len(names) == 1:
        return np.asarray(value) if key == "value" else value[0] if len(value) == 1 else tuple(value)
    if len(value) != len(names):
        word = "initial/value" if key == "value" else key
        raise ModelError(f"{len(value)} values of {word} for {len(names)} names ({', '.join(names)}): give one each, or one for all.")
    return value[index]


def _shape(shape: Any) -> tuple[int, ...]:
    return (shape,) if isinstance(shape, int) else tuple(int(n) for n in shape)


def _checked(d: Declaration) -> Declaration:
    """A declaration whose numbers are numbers, whose shape is known and whose unit exists."""
    import dataclasses

    if d.unit is not None:
        if not isinstance(d.unit, str):
            raise ModelError(f"The unit of '{d.name}' must be text such as \"m/s\", not {d.unit!r}.")
        check_unit(d.unit)
    value = as_value(d.value, d.name)
    shape = d.shape
    if isinstance(value, np.ndarray):
        if not shape and d.kind in ("parameter", "constant"):
            shape = value.shape
        if value.shape != shape and value.shape != ():
            raise ModelError(f"'{d.name}' has shape {shape} and a value of shape {value.shape}. Declare it with shape={value.shape}.")
    bounds = None if d.bounds is None else _checked_bounds(d)
    if d.scale not in (None, "linear", "log"):
        raise ModelError(f"scale={d.scale!r} of '{d.name}': write \"log\" or leave it out.")
    return dataclasses.replace(d, value=value, shape=shape, bounds=bounds)


def _checked_bounds(d: Declaration) -> tuple[float | None, float | None]:
    try:
        low, high = d.bounds  # type: ignore[misc]
        low, high = (None if v is None or np.isinf(v) else float(v) for v in (low, high))
    except (TypeError, ValueError):
        raise ModelError(f"bounds={d.bounds!r} of '{d.name}': write bounds=(low, high), either may be None.") from None
    if low is not None and high is not None and not low < high:
        raise ModelError(f"bounds={d.bounds} of '{d.name}': the low end must lie below the high end.")
    return (low, high)


def as_value(value: Any, name: str) -> Any:
    """None, a float, a float array or an expression; NaN is refused by name."""
    if value is None:
        return None
    if isinstance(value, sp.Basic):
        return float(value) if value.is_number and value.is_extended_real else value
    if isinstance(value, str):
        raise ModelError(f"The value of '{name}' is the text {value!r}: give a number or a SymPy expression.")
    if isinstance(value, int | float):
        number = float(value)
        if not np.isfinite(number):
            raise ModelError(f"The value of '{name}' is {number}. Give a finite number, or leave it out to be asked for it.")
        return number
    try:
        array = np.array(value, dtype=float)
    except (TypeError, ValueError):
        raise ModelError(f"The value of '{name}' is {value!r}: give a number, an array or a SymPy expression.") from None
    if not np.isfinite(array).all():
        raise ModelError(f"The value of '{name}' holds NaN or infinite numbers.")
    return float(array) if array.ndim == 0 else array


_INTERPOLATIONS = ("cubic", "monotone", "linear", "previous")
_OUTSIDE = ("error", "hold", "extrapolate")


def _interpolated(kind: str, name: str, grid: Any, values: Any, interp: str, outside: str, unit: str | None, description: str) -> Head:
    _check_name(name)
    for word, given, allowed in (("interp", interp, _INTERPOLATIONS), ("outside", outside, _OUTSIDE)):
        if given not in allowed:
            raise ModelError(f"{word}={given!r} of '{name}': write one of {', '.join(repr(a) for a in allowed)}.")
    if unit is not None:
        check_unit(unit)
    payload = {"grid": grid, "interp": interp, "outside": outside}
    d = Declaration(kind, name, value=values, unit=unit, description=description, shape=values.shape[1:], payload=payload, where=caller())
    return Head(d, real=True)


def _grid(name: str, word: str, grid: Any, values: Any) -> tuple[np.ndarray, np.ndarray]:
    grid, values = np.asarray(grid, dtype=float), np.asarray(values, dtype=float)
    if grid.ndim != 1 or len(grid) < 2:
        raise ModelError(f"The {word} of '{name}' must be one-dimensional with at least two entries, not of shape {grid.shape}.")
    if values.shape[:1] != grid.shape:
        raise ModelError(f"'{name}' has {len(grid)} {word} and values of shape {values.shape}: give one value for each.")
    if np.isnan(grid).any() or np.isnan(values).any():
        bad = int(np.isnan(grid).sum() + np.isnan(values).sum())
        raise ModelError(f"'{name}' holds {bad} NaN. Drop them first: keep = ~np.isnan(values); sci.data(\"{name}\", times[keep], values[keep]).")
    if not (np.diff(grid) > 0).all():
        first = int(np.argmin(np.diff(grid) > 0))
        raise ModelError(f"The {word} of '{name}' must increase: entry {first + 1} is {grid[first + 1]} after {grid[first]}. Sort them first.")
    return grid, values


def unknowns_in(expression: sp.Basic) -> list[Applied]:
    """The declared unknowns and fields of an expression, in the order of the tree."""
    return _declared_in(expression, ("unknown", "field"))


def _declared_in(expression: sp.Basic, kinds: tuple[str, ...]) -> list[Any]:
    seen: dict[sp.Basic, None] = {}
    for node in distinct_nodes(expression):
        d = declaration_of(node)
        if d is not None and d.kind in kinds:
            seen.setdefault(node)
    return list(seen)
