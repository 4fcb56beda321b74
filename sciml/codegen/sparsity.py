"""Which equation holds which unknown, known from the symbols before anything runs, and what follows from it.

pattern      row i, column j: the right side of row i holds state j
colours      columns that share no row get one colour (Curtis, Powell and Reid 1974): their derivatives come from
             one forward-mode product, so that the Jacobian costs as many products as there are colours
"""

import dataclasses
import functools
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp
import numpy as np
import sympy as sp

from ..symbols import Applied, declaration_of

if TYPE_CHECKING:
    from .compiled import CompiledSystem

_COLOURED = 0.75  # of all columns: with more colours than that, one product per column is as cheap


@dataclasses.dataclass(frozen=True, eq=False)
class Sparsity:
    """The pattern of a Jacobian, a colour for each column, and whether the right sides hold the time."""

    pattern: np.ndarray
    colours: np.ndarray
    autonomous: bool

    @classmethod
    def of(cls, pattern: np.ndarray, autonomous: bool) -> "Sparsity":
        """With the colours that follow from the pattern."""
        return cls(pattern, _colours(pattern), autonomous)

    @property
    def n_colours(self) -> int:
        return int(self.colours.max()) + 1

    @functools.cached_property
    def coloured(self) -> bool:
        return self.n_colours < _COLOURED * len(self.colours)

    def linearise(self, f: Callable[[Any, Any], Any], t: Any, y: Any) -> tuple[Any, Any, Any]:
        """f(t, y), its Jacobian by y, and its derivative by t (None where f does not hold the time)."""
        n = len(self.colours)
        seeds = np.zeros((self.n_colours, n)) if self.coloured else np.eye(n)
        if self.coloured:
            seeds[self.colours, np.arange(n)] = 1.0

        def product(seed: Any) -> Any:
            return jax.jvp(lambda y: f(t, y), (y,), (seed,))

        value, columns = jax.vmap(product, out_axes=(None, 1))(jnp.asarray(seeds, y.dtype))
        jacobian = columns[:, self.colours] * jnp.asarray(self.pattern, y.dtype) if self.coloured else columns
        t = jnp.asarray(t, y.dtype)
        rate = None if self.autonomous else jax.jvp(lambda t: f(t, y), (t,), (jnp.ones_like(t),))[1]
        return value, jacobian, rate


def contents(model: "CompiledSystem", expression: sp.Basic) -> tuple[frozenset[str], bool]:
    """(states that an expression holds, whether it holds the time), through the definitions of eliminated unknowns."""
    memo = model.programs.setdefault("contents", {})
    if expression not in memo:
        names, timed = set[str](), False
        for node in _nodes(expression):
            d = declaration_of(node)
            if d is None:
                continue
            timed = timed or d.kind == "time"
            if d.name in model.definitions:
                inner, inner_timed = contents(model, model.definitions[d.name])
                names |= inner
                timed = timed or inner_timed
            elif d.name in model.layout.states:
                names.add(d.name)
        memo[expression] = frozenset(names), timed
    return memo[expression]


def sparsity_of(model: "CompiledSystem") -> Sparsity:
    """From the symbols of a compiled System."""
    layout = model.layout
    n = layout.n_states
    pattern, timed = np.zeros((n, n), bool), False
    for place, right in zip(layout.states.values(), model.noise.drift, strict=False):
        names, holds_time = contents(model, right)
        timed = timed or holds_time
        for name in names:
            column = layout.states[name]
            pattern[place.offset : place.end, column.offset : column.end] = True
    return Sparsity.of(pattern, not timed)


def _nodes(expression: sp.Basic) -> Iterator[sp.Basic]:
    """Each node once. The time inside x(t) is not looked at: an unknown is a state, not a function of the time."""
    seen, stack = set[sp.Basic](), [expression]
    while stack:
        node = stack.pop()
        if node in seen:
            continue
        seen.add(node)
        yield node
        if not (isinstance(node, Applied) and node.declaration.kind == "unknown"):
            stack.extend(node.args)


def _colours(pattern: np.ndarray) -> np.ndarray:
    """Greedy colouring of the columns, the fullest first; columns without entries share a colour with any other."""
    n = len(pattern)
    colours = np.zeros(n, dtype=np.int64)
    taken: list[np.ndarray] = []  # for each colour, the rows that it covers
    for column in sorted(range(n), key=lambda j: (-int(pattern[:, j].sum()), j)):
        rows = pattern[:, column]
        for colour, covered in enumerate(taken):
            if not (covered & rows).any():
                colours[column] = colour
                covered |= rows
                break
        else:
            colours[column] = len(taken)
            taken.append(rows.copy())
    return colours
