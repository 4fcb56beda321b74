"""Large systems of scalars, re-rolled: terms of one shape become one gather, one array expression, one sum.

A chain of 300 equations is 300 times the same term with other indices. Unrolled, tracing and compilation
grow with the number of terms; re-rolled they grow with the number of different shapes.

    terms       each right side is a sum of terms; a number in front is split off
    shape       a term with its symbols taken out, so that k1*x1*x2 and k2*x2*x3 agree
    group       terms of one shape: one column of indices per place in the shape
    assembly    the values of each group are added to the equations that they belong to
"""

import dataclasses
import functools
import operator
from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import sympy as sp

from ..symbols import declaration_of, distinct_nodes
from .functions import ORDERED
from .lower import Tape, lower

_LARGE = 64  # terms; below that unrolled code is as quick to compile and faster to run
_LARGE_SHARED = 256  # the same where parts are shared between terms: gathering them costs (Pleiades, 98 terms: a factor of two)
_WITH_ORDER = functools.reduce(operator.or_, ORDERED, sp.besseli | sp.binomial)  # their whole numbers cannot become columns
_DENSE = 4096  # entries of a matrix that sums terms faster than a scatter does


@dataclasses.dataclass(frozen=True)
class _Column:
    """Where a place in the shape takes its values: indices into the states, the parameters, or constants."""

    source: str  # "unknown", "parameter", "constants", "time" or "shared<i>"
    index: np.ndarray  # integers, or the constants themselves

    def gather(self, sources: Mapping[str, Any]) -> Any:
        if self.source == "time":
            return sources["time"]
        array = sources.get(self.source)
        if self.source == "constants":
            return self.index
        return _take(array, self.index)


@dataclasses.dataclass(frozen=True)
class _Group:
    tape: Tape
    columns: tuple[_Column, ...]
    targets: np.ndarray
    coefficients: np.ndarray

    def values(self, sources: Mapping[str, Any], dtype: Any) -> Any:
        columns = [_cast(c.gather(sources), dtype) for c in self.columns]
        (value,) = self.tape.run(lambda leaf: columns[int(leaf[1])])
        return jnp.broadcast_to(jnp.asarray(value, dtype), (len(self.targets),))


@dataclasses.dataclass(frozen=True)
class Grouped:
    """The right sides of a System as groups. `run(t, y, p)` gives the vector of rates."""

    size: int
    shared: tuple[_Group, ...]
    groups: tuple[_Group, ...]
    offset: np.ndarray

    def run(self, t: Any, y: Any, p: Any) -> Any:
        sources: dict[str, Any] = {"time": t, "unknown": y, "parameter": p}
        for i, group in enumerate(self.shared):
            sources[f"shared{i}"] = group.values(sources, y.dtype)
        total = jnp.asarray(self.offset, y.dtype)
        for group in self.groups:
            total = total + _assemble(group, group.values(sources, y.dtype), self.size)
        return total


def grouped(rights: list[sp.Expr], states: Mapping[str, int], params: Mapping[str, int], always: bool = False) -> Grouped | None:
    """Groups for scalar right sides, or None where there is little to gain or something that is not a scalar.

    `always` takes them wherever they are fewer than the terms, at the cost of a slower evaluation.
    """
    terms = [(i, *term.as_coeff_Mul()) for i, r in enumerate(rights) for term in sp.Add.make_args(r)]
    if len(terms) < _LARGE and not always:
        return None
    shaper = _Shaper(states, params)
    try:
        shaper.share([rest for _, _, rest in terms])
        shapes: dict[Any, list] = {}
        offset = np.zeros(len(rights))
        for i, coefficient, rest in terms:
            if rest == 1:
                offset[i] += float(coefficient)
                continue
            shape, leaves = shaper.shape(rest)
            shapes.setdefault(shape, []).append((i, float(coefficient), leaves, rest))
    except _NotScalar:
        return None
    gathered = any(len(group.targets) > 1 for group in shaper.shared)
    if 4 * (len(shapes) + len(shaper.shared)) > len(terms) or (gathered and len(terms) < _LARGE_SHARED and not always):
        return None
    return Grouped(len(rights), tuple(shaper.shared), tuple(shaper.group(shape, rows) for shape, rows in shapes.items()), offset)


class _NotScalar(Exception):
    """Something in the equations is an array, a function of the user's, or otherwise not to be grouped."""


class _Shaper:
    """Splits terms into shape and leaves. A leaf is (source, index), or ("constants", number)."""

    def __init__(self, states: Mapping[str, int], params: Mapping[str, int]):
        self._places = {"unknown": states, "parameter": params, "constant": params}
        self._memo: dict[sp.Basic, tuple[Any, tuple]] = {}
        self._temporaries: dict[sp.Basic, tuple[str, int]] = {}
        self.shared: list[_Group] = []

    def share(self, terms: list[sp.Expr]) -> None:
        """Costly sub-expressions that stand in several terms are computed once, in groups of their own."""
        uses: dict[sp.Basic, int] = {}
        order: list[sp.Basic] = []

        def count(node: sp.Basic) -> None:
            if not node.args or declaration_of(node) is not None:
                return
            if node in uses:
                uses[node] += 1
                return
            uses[node] = 1
            for a in node.args:
                count(a)
            order.append(node)  # after its parts

        for term in dict.fromkeys(terms):
            count(term)
        costly = [n for n in order if uses[n] > 1 and _costly(n)]
        levels: dict[int, dict[Any, list]] = {}
        level_of: dict[sp.Basic, int] = {}
        for node in costly:
            inner = [level_of[m] for m in distinct_nodes(node) if m is not node and m in level_of]
            level_of[node] = 1 + max(inner, default=-1)
        for level in sorted(set(level_of.values())):
            members = [n for n in costly if level_of[n] == level]
            shapes: dict[Any, list] = levels.setdefault(level, {})
            for node in members:
                shape, leaves = self.shape(node)
                shapes.setdefault(shape, []).append((0, 1.0, leaves, node))
            for shape, rows in shapes.items():
                name = f"shared{len(self.shared)}"
                self.shared.append(self.group(shape, rows))
                for i, row in enumerate(rows):
                    self._temporaries[row[3]] = (name, i)
            self._memo.clear()

    def shape(self, node: Any) -> tuple[Any, tuple]:
        if node not in self._memo:
            self._memo[node] = self._shape(node)
        return self._memo[node]

    def _shape(self, node: Any) -> tuple[Any, tuple]:
        if node in self._temporaries:
            source, index = self._temporaries[node]
            return (source,), ((source, index),)
        d = declaration_of(node)
        if d is not None:
            if d.kind == "time":
                return ("time",), (("time", 0),)
            place = self._places.get(d.kind, {}).get(d.name)
            if place is None:
                raise _NotScalar(d.name)
            source = "unknown" if d.kind == "unknown" else "parameter"
            return (source,), ((source, place),)
        if node.is_Number or node.is_NumberSymbol:
            if node in (1, -1):
                return ("number", str(node)), ()
            return ("constants",), (("constants", float(node)),)
        if isinstance(node, sp.Pow) and node.exp.is_Number:
            inner, leaves = self.shape(node.base)
            return ("Pow", str(node.exp), inner), leaves
        plain = isinstance(node, sp.Add | sp.Mul | sp.Pow | sp.Function) and not isinstance(node, sp.Piecewise | _WITH_ORDER)
        if not plain or not node.args:
            raise _NotScalar(str(node))
        parts = [self.shape(a) for a in node.args]
        if isinstance(node, sp.Add | sp.Mul):
            parts.sort(key=lambda part: repr(part[0]))
        return (node.func.__name__, *(s for s, _ in parts)), tuple(leaf for _, ls in parts for leaf in ls)

    def group(self, shape: Any, rows: list) -> _Group:
        rows = sorted(rows, key=lambda row: row[0])
        columns = []
        for place in range(len(rows[0][2])):
            source = rows[0][2][place][0]
            index = np.array([row[2][place][1] for row in rows], dtype=float if source == "constants" else np.int64)
            columns.append(_Column(source, index))
        template, count = self._template(rows[0][3], 0)
        assert count == len(columns)
        targets = np.array([row[0] for row in rows], dtype=np.int64)
        return _Group(lower([template]), tuple(columns), targets, np.array([row[1] for row in rows]))

    def _template(self, node: Any, start: int) -> tuple[sp.Expr, int]:
        """The expression with a numbered stand-in at each leaf, in the order of `shape`."""
        shape, _ = self.shape(node)
        if len(shape) == 1:
            return sp.Dummy(str(start), real=True), start + 1
        if shape[0] == "number":
            return node, start
        if shape[0] == "Pow" and isinstance(shape[1], str):
            base, end = self._template(node.base, start)
            return base**node.exp, end
        parts = list(node.args)
        if isinstance(node, sp.Add | sp.Mul):
            parts.sort(key=lambda a: repr(self.shape(a)[0]))
        made = []
        for part in parts:
            expression, start = self._template(part, start)
            made.append(expression)
        return node.func(*made), start


def _costly(node: sp.Basic) -> bool:
    if isinstance(node, sp.Pow):
        return not (node.exp.is_Integer and abs(int(node.exp)) <= 3)
    return isinstance(node, sp.Function)


def _cast(value: Any, dtype: Any) -> Any:
    return jnp.asarray(value, dtype)


def _take(array: Any, index: np.ndarray) -> Any:
    """array[index], as a slice or one number where the indices allow it: both are cheaper than a gather."""
    if (index == index[0]).all():
        return jax.lax.index_in_dim(array, int(index[0]), keepdims=False)
    steps = np.diff(index)
    if (steps == steps[0]).all() and steps[0] > 0:
        return jax.lax.slice(array, (int(index[0]),), (int(index[-1]) + 1,), (int(steps[0]),))
    return array.at[index].get(mode="promise_in_bounds")


def _assemble(group: _Group, values: Any, size: int) -> Any:
    """Adds each value to the equation that it belongs to. Targets are sorted."""
    targets, coefficients = group.targets, group.coefficients
    if not (coefficients == 1).all():
        same = (coefficients == coefficients[0]).all()
        values = values * (float(coefficients[0]) if same else jnp.asarray(coefficients, values.dtype))
    rows, counts = np.unique(targets, return_counts=True)
    if (counts == counts[0]).all():
        values = values.reshape(len(rows), int(counts[0])).sum(axis=1) if counts[0] > 1 else values
        if len(rows) == 1 or (np.diff(rows) == 1).all():
            first, last = int(rows[0]), int(rows[-1])
            return jax.lax.pad(values, jnp.zeros((), values.dtype), [(first, size - 1 - last, 0)])
        targets = rows
    if len(targets) * size <= _DENSE:
        matrix = np.zeros((size, len(targets)))
        matrix[targets, np.arange(len(targets))] = 1.0
        return jnp.asarray(matrix, values.dtype) @ values
    return jnp.zeros(size, values.dtype).at[targets].add(values, mode="promise_in_bounds", indices_are_sorted=True)


Rates = Callable[[Any, Any, Any], Any]
