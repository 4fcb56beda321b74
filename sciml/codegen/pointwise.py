"""A `Pointwise` as functions of JAX at one point: residuals, weights of operators, unknowns, any expression.

| what                                | gives                                                          |
|-------------------------------------|----------------------------------------------------------------|
| `lowered.numbers(params)`           | parameters and constants by name, derived ones computed         |
| `lowered.evaluate(expressions, at)` | numbers (or arrays) at a point                                  |
| `lowered.weights(operators, at)`    | what `Along`, `Diagonal` and `Combination` multiply with         |
"""

import functools
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import jax.numpy as jnp
import sympy as sp
from sympy.logic.boolalg import Boolean

from ..errors import ModelError, NameUnknown, nearest
from ..passes import Along, Combination, Diagonal, Piece, Placed, Pointwise, Total, placeholder
from ..symbols import declaration_of
from ..system import name_of
from .layout import Place, checked_shape
from .lower import Tape, lower
from .values import as_function, function_value, inlined


class Here(NamedTuple):
    """What is known at a point.

    Attributes:
        point: the flat vector of its coordinates.
        operators: values of operators, by key.
        numbers: parameters and constants, by name.
        functions: networks, data and tables of the equations as functions, by name.
        span: start and end of the time.
        normal: the outward normal at a surface, by coordinate.
        given: further values by the name of their placeholder.
    """

    point: Any
    operators: Mapping[str, Any]
    numbers: Mapping[str, Any]
    functions: Mapping[str, Any]
    span: tuple[Any, Any] = (0.0, 1.0)
    normal: Mapping[str, Any] = {}
    given: Mapping[str, Any] = {}


class LoweredPointwise:
    """The functions of a `Pointwise`. Expressions are lowered once, when they are first asked for."""

    def __init__(self, form: Pointwise):
        self.form = form
        symbols = {n: declaration_of(s) for n, s in form.system.symbols.items()}
        plain = {n: d for n, d in symbols.items() if d.kind in ("parameter", "constant") and not d.over}
        self.places = {n: Place(n, 0, d.shape, d.value, d) for n, d in plain.items()}
        self.declared = {n: d for n, d in symbols.items() if d.kind in ("data", "table", "neural")}
        self._tapes: dict[tuple[sp.Expr, ...], Tape] = {}

    # -- values that hold at every point ------------------------------------------------------------

    @property
    def settable(self) -> tuple[str, ...]:
        """Names that `params=` may hold."""
        return (*(n for n, p in self.places.items() if p.declaration.kind == "parameter"), *self.declared)  # type: ignore[union-attr]

    def checked(self, params: Mapping[Any, Any] | None) -> dict[str, Any]:
        """Given values by name; names that do not exist and shapes that do not fit are refused."""
        found = {}
        for key, value in (params or {}).items():
            name = name_of(key)
            if name not in self.settable:
                if name in self.places:
                    raise ModelError(f"'{name}' is a constant. To change it, declare it as {name} = sci.parameters(\"{name}\", ...).")
                raise NameUnknown(f"There is no parameter '{name}'. {nearest(name, self.settable)}")
            if name in self.places:
                checked_shape(value, self.places[name], "params")
            found[name] = value
        return found

    def numbers(self, given: Mapping[str, Any], dtype: Any) -> dict[str, Any]:
        """All parameters and constants: given ones, declared ones, and those that are defined by others.

        Raises:
            ModelError: one that has no value.
        """
        found, derived = {}, {}
        for name, place in self.places.items():
            value = given.get(name, place.default)
            if value is None:
                raise ModelError(f"'{name}' has no value. Declare one, or write params={{\"{name}\": 1.0}}.")
            if isinstance(value, sp.Basic):
                derived[name] = value
            else:
                found[name] = jnp.broadcast_to(jnp.asarray(value, dtype), place.shape)
        for name, definition in derived.items():
            tape = self._tape((inlined(definition, derived),))
            found[name] = jnp.broadcast_to(jnp.asarray(tape.run(lambda leaf: found[leaf[1]])[0], dtype), self.places[name].shape)
        return found

    def trainable(self, name: str) -> Any:
        """The arrays of a network, or the values of data, that stand in the equations."""
        return function_value(self.declared[name])

    def functions(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """Networks, data and tables as functions, with given values in place of declared ones."""
        return {n: as_function(d, given.get(n, function_value(d))) for n, d in self.declared.items()}

    # -- values at one point --------------------------------------------------------------------------

    def evaluate(self, expressions: Sequence[sp.Expr], here: Here) -> list[Any]:
        """The values of some expressions in placeholders, in the precision of the point."""
        found = self._tape(tuple(expressions)).run(functools.partial(self._leaf, here))
        return [jnp.asarray(v, here.point.dtype) for v in found]

    def split(self, residual: sp.Expr, varying: frozenset[str]) -> tuple[sp.Expr, dict[str, sp.Expr]]:
        """A residual, and the parts of it that depend on the point alone, by the name of the placeholder that stands for each.

        Such parts, a source above all, can be computed once for points that stay, and outside of what is differentiated.

        Args:
            residual: in placeholders.
            varying: names of parameters and functions that are trained.
        """
        for _ in self.places:  # parameters that are defined by trained ones
            varying |= {
                n
                for n, p in self.places.items()
                if p.derived and any(declaration_of(a) and declaration_of(a).name in varying for a in p.default.atoms())
            }
        return _Split(self.form, varying).of(residual)

    def weights(self, keys: Sequence[str], here: Here) -> dict[str, Any]:
        """Weights of those operators that have some: an array over the components, or a tuple of numbers."""
        return self.weights_of({key: self.form.operators[key] for key in keys}, here)

    def weights_of(self, operators: Mapping[str, Any], here: Here) -> dict[str, Any]:
        """The same for operators that are given."""
        found: dict[str, Any] = {}
        for key, operator in operators.items():
            if isinstance(operator, Along | Diagonal):
                (weight,) = self.evaluate([operator.weight], here)
                found[key] = jnp.broadcast_to(weight, (self._size(operator.coordinate),))
            elif isinstance(operator, Combination):
                found[key] = tuple(self.evaluate([w for _, w in operator.parts], here))
        return found

    def _size(self, coordinate: str) -> int:
        place = self.form.layout[coordinate]
        return place.stop - place.start

    def _tape(self, expressions: tuple[sp.Expr, ...]) -> Tape:
        if expressions not in self._tapes:
            self._tapes[expressions] = lower(expressions)
        return self._tapes[expressions]

    def _leaf(self, here: Here, leaf: tuple[str, str]) -> Any:
        kind, name = leaf
        if kind in ("parameter", "constant"):
            return here.numbers[name]
        if kind == "function":
            return here.functions[name]
        if kind == "normal":
            return here.normal[name]
        if name in here.operators:
            return here.operators[name]
        if name in self.form.layout:
            return self._coordinate(name, here.point)
        if name in ("t0", "t1"):
            return jnp.asarray(here.span[name == "t1"], here.point.dtype)
        return here.given[name]

    def _coordinate(self, name: str, point: Any) -> Any:
        piece = point[self.form.layout[name]]
        return piece[0] if self._size(name) == 1 else piece


class _Split:
    """Finds the largest parts of an expression that need neither operators nor what is trained."""

    def __init__(self, form: Pointwise, varying: frozenset[str]):
        self.form, self.varying = form, varying
        self.found: dict[str, sp.Expr] = {}
        self._memo: dict[sp.Basic, tuple[bool, bool]] = {}

    def of(self, e: sp.Expr) -> tuple[sp.Expr, dict[str, sp.Expr]]:
        return self._visited(e), self.found

    def _visited(self, e: Any) -> Any:
        fixed, at_point = self._kind(e)
        if fixed:
            return self._named(e) if at_point and e.args else e
        if isinstance(e, sp.Add | sp.Mul):
            apart = [a for a in e.args if all(self._kind(a))]
            if sum(bool(a.args) for a in apart):
                rest = [self._visited(a) for a in e.args if a not in apart]
                return e.func(self._named(e.func(*apart)), *rest)
        if isinstance(e, Total | Placed | Piece | Boolean | sp.Piecewise) or not e.args:
            return e  # what is inside is an array, or has a value only where it is chosen
        return e.func(*(self._visited(a) for a in e.args))

    def _named(self, e: sp.Expr) -> sp.Expr:
        name = f"given_{len(self.found)}"
        self.found[name] = e
        return placeholder(name)

    def _kind(self, e: Any) -> tuple[bool, bool]:
        """(whether it needs neither operators nor what is trained, whether it depends on the point)."""
        if e not in self._memo:
            d, name = declaration_of(e), getattr(e, "name", "")
            inside = [self._kind(a) for a in e.args]
            own = isinstance(e, sp.Dummy) and name in self.form.operators
            trained = d is not None and (d.name in self.varying or d.kind == "normal")
            here = isinstance(e, sp.Dummy) and name in self.form.layout
            unknown = isinstance(e, sp.Dummy) and not here and not own and name not in ("t0", "t1")
            self._memo[e] = (not own and not trained and not unknown and all(f for f, _ in inside), here or any(p for _, p in inside))
        return self._memo[e]


def lower_pointwise(form: Pointwise) -> LoweredPointwise:
    """The functions of a `Pointwise`."""
    return LoweredPointwise(form)
