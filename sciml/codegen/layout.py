"""Where each unknown and each parameter lives: offsets into one flat vector of states and one of parameters."""

import dataclasses
import functools
from typing import Any

import numpy as np
import sympy as sp

from ..errors import CompileError, ModelError, NameUnknown, SolveError, nearest
from ..passes import determined
from ..symbols import Declaration, declaration_of
from ..system import System, name_of


@dataclasses.dataclass(frozen=True)
class Place:
    """A name's piece of a flat vector. `default` is a number, an array, an expression, or None if nothing was declared."""

    name: str
    offset: int
    shape: tuple[int, ...]
    default: Any
    declaration: Declaration | None

    @functools.cached_property
    def size(self) -> int:
        return int(np.prod(self.shape, dtype=int))

    @property
    def end(self) -> int:
        return self.offset + self.size

    @property
    def guess(self) -> Any:
        """Where a search may start: the declared guess, or else a typical size, or else 0."""
        d = self.declaration
        return 0.0 if d is None else d.guess if d.guess is not None else d.nominal if d.nominal is not None else 0.0

    @property
    def derived(self) -> bool:
        return isinstance(self.default, sp.Basic)


@dataclasses.dataclass(frozen=True)
class Layout:
    """States, parameters (constants included) and functions (data, tables, neural terms) by name."""

    states: dict[str, Place]
    params: dict[str, Place]
    functions: dict[str, Any]

    @functools.cached_property
    def n_states(self) -> int:
        return sum(p.size for p in self.states.values())

    @functools.cached_property
    def n_params(self) -> int:
        return sum(p.size for p in self.params.values())

    @functools.cached_property
    def scalar(self) -> bool:
        """Every state and parameter is a number."""
        return not any(p.shape for p in (*self.states.values(), *self.params.values()))

    @functools.cached_property
    def settable(self) -> tuple[str, ...]:
        """Names that `params=` may hold."""
        plain = [n for n, p in self.params.items() if p.declaration is None or p.declaration.kind == "parameter"]
        return (*plain, *self.functions)

    def check_param(self, key: Any) -> str:
        """The name of a parameter that may be set; an error with the nearest one otherwise."""
        name = name_of(key)
        if name in self.settable:
            return name
        if name in self.params:
            raise ModelError(f"'{name}' is a constant. To change it, declare it as {name} = sci.parameters(\"{name}\", ...).")
        if name in self.states:
            raise NameUnknown(f"'{name}' is an unknown, not a parameter: write initial={{\"{name}\": ...}}.")
        raise NameUnknown(f"There is no parameter '{name}'. {nearest(name, self.settable)}")

    def check_state(self, key: Any) -> str:
        name = name_of(key)
        if name in self.states:
            return name
        if name in self.params or name in self.functions:
            raise NameUnknown(f"'{name}' is a parameter, not an unknown: write params={{\"{name}\": ...}}.")
        raise NameUnknown(f"There is no unknown '{name}' with an initial value. {nearest(name, self.states)}")


def layout_of(system: System) -> Layout:
    """The layout of a System in explicit first-order form, in the order of its equations."""
    states: dict[str, Place] = {}
    offset = 0
    for unknown in (*(determined(e) for e in system.equations), *_discrete(system)):
        d = declaration_of(unknown)
        default = system.initial.get(d.name, d.value)
        states[d.name] = Place(d.name, offset, d.shape, _fitting(default, d.shape, d.name), d)
        offset = states[d.name].end
    params: dict[str, Place] = {}
    functions: dict[str, Any] = {}
    offset = 0
    for name, symbol in system.symbols.items():
        d = declaration_of(symbol)
        if d.kind in ("parameter", "constant"):
            params[name] = Place(name, offset, d.shape, _fitting(d.value, d.shape, name), d)
            offset = params[name].end
        elif d.kind in ("data", "table", "neural"):
            functions[name] = d
    if not states and not (system.grid is not None and system.eliminated):  # a stationary field may be solved in modes, without a state
        raise CompileError(f"System '{system.name}' has no unknown with a derivative: there is nothing to solve in time.")
    return Layout(states, params, functions)


def _discrete(system: System) -> list[Any]:
    return [s for s in system.symbols.values() if declaration_of(s).kind == "unknown" and declaration_of(s).discrete]


def _fitting(value: Any, shape: tuple[int, ...], name: str) -> Any:
    if isinstance(value, np.ndarray) and value.shape != shape:
        raise ModelError(f"'{name}' has shape {shape}, and the value given has shape {value.shape}.")
    return value


def checked_shape(value: Any, place: Place, word: str) -> None:
    """A value for a name must be a number (for all components) or have the name's shape."""
    shape = np.shape(value)
    if shape in ((), place.shape):
        return
    if not place.shape:
        raise SolveError(
            f"'{place.name}' is a scalar, and the {word} given has shape {shape}. To solve for many values at once: "
            f'jax.vmap(lambda v: sci.solve(system, ..., {word}={{"{place.name}": v}}))(values).'
        )
    raise SolveError(f"'{place.name}' has shape {place.shape}, and the {word} given has shape {shape}.")
