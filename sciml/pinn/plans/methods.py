"""The ways to derivatives. Each is one pass through the network, shared by all functions that it gives.

| method       | what it can                                       | arrays carried                                  |
|--------------|---------------------------------------------------|-------------------------------------------------|
| `Value`      | the function                                      | 1                                               |
| `Reverse`    | all first derivatives; others by nesting          | 1 + functions                                   |
| `Nested`     | anything, one derivative at a time                | 2^order for each                                |
| `Taylor`     | any partial derivatives by scalar coordinates     | multi-indices at or below one that is needed; a combination 1 |
| `Push`       | sum_i w_i dv/dX_i                                 | 2                                               |
| `Radial`     | sum_i c X_i dv/dX_i                               | 2, without the first layer                      |
| `Directions` | sum_i w_i d^k v/dX_i^k, Laplacian^m               | 2 + (k - 1) d; (2 + d)^2 for the biharmonic     |
| `Gram`       | Laplacian^m                                       | 2 + h, h rows of the first layer; (2 + h)^2     |
| `Sampled`    | the same sums from n random directions            | 2 + (k - 1) n                                   |
"""

import abc
import dataclasses
import math
from collections.abc import Mapping
from typing import Any, ClassVar, NamedTuple

import jax
import jax.numpy as jnp

from ...passes import Along, Combination, Diagonal, Gradient, Laplacian, Operator, Partial, placeholder
from ..taylor import directional, partials
from . import sample
from .nested import forward, nested, reverse, spread_weights
from .sample import Dense, Sparse
from .site import Site
from .work import Work


class Request(NamedTuple):
    """An operator under its key, and which function of the network it is of."""

    key: str
    operator: Any
    k: int


class Setting(NamedTuple):
    """What the cost of a method depends on.

    Attributes:
        work: of one evaluation of the network.
        dims: of each coordinate, by name.
        linear: the vector coordinates whose directions go through a linear first layer.
        unshifted: those of them that enter it as they are.
        points: how many points share what is computed once for all of them.
    """

    work: Work
    dims: dict[str, int]
    linear: tuple[str, ...]
    unshifted: tuple[str, ...]
    points: int


@dataclasses.dataclass(frozen=True)
class Method(abc.ABC):
    """One pass through the network that answers some requests."""

    requests: tuple[Request, ...]
    stochastic: ClassVar[bool] = False

    @property
    def has_values(self) -> bool:
        """Whether the pass has the functions themselves, too, so that they may be asked of it (after all else)."""
        return False

    @property
    def estimated(self) -> list[Request]:
        """What it gives only an estimate of."""
        return [r for r in self.requests if order_of(r.operator)] if self.stochastic else []

    @property
    def name(self) -> str:
        """As the user would ask for it."""
        return type(self).__name__.lower()

    @abc.abstractmethod
    def slots(self, setting: Setting) -> float:
        """How many arrays stand in place of one."""

    def cost(self, setting: Setting) -> float:
        """Operations at one point, about."""
        slots = self.slots(setting)
        return setting.work.operations(slots, slots, behind_first=False)

    @abc.abstractmethod
    def evaluate(self, site: Site, weights: Mapping[str, Any], key: Any) -> dict[str, Any]:
        """The values of the requests at one point, by their keys."""


class Value(Method):
    """The functions themselves."""

    def slots(self, setting: Setting) -> float:
        return 1

    def evaluate(self, site: Site, weights: Mapping[str, Any], key: Any) -> dict[str, Any]:
        value = site.value()
        return {r.key: value[r.k] for r in self.requests}


class Reverse(Method):
    """All first derivatives of each function at once; higher ones by nesting."""

    @property
    def has_values(self) -> bool:
        """With first derivatives."""
        return any(is_first(r.operator) for r in self.requests)

    def slots(self, setting: Setting) -> float:
        first = {r.k for r in self.requests if is_first(r.operator)}
        higher = (
            3.0 ** order_of(r.operator) * terms_of(r.operator, setting) for r in self.requests if order_of(r.operator) and not is_first(r.operator)
        )
        return (1 + len(first) if first else 0) + sum(higher)

    def evaluate(self, site: Site, weights: Mapping[str, Any], key: Any) -> dict[str, Any]:
        first = [r for r in self.requests if is_first(r.operator)]
        higher = [r for r in self.requests if order_of(r.operator) and r not in first]
        found = {r.key: nested(site, r.operator, r.k, weights.get(r.key), reverse)[0] for r in higher}
        if not first:
            return found
        rows = sorted({r.k for r in first})
        value, pull = jax.vjp(site.f, site.p)
        one = (jnp.arange(value.size)[None, :] == jnp.asarray(rows)[:, None]).astype(value.dtype)
        slopes = jax.vmap(lambda row: pull(row)[0])(one)
        for r in first:
            found[r.key] = _first(site, r.operator, slopes[rows.index(r.k)], weights.get(r.key))
        return found | {r.key: value[r.k] for r in self.requests if not order_of(r.operator)}


def _first(site: Site, operator: Any, slope: Any, weights: Any) -> Any:
    """A first derivative, from all of them."""
    if isinstance(operator, Partial):
        return slope[site.layout[operator.orders[0][0]].start]
    at = slope[site.layout[operator.coordinate]]
    return at if isinstance(operator, Gradient) else jnp.dot(spread_weights(site, operator.coordinate, weights), at)


class Nested(Method):
    """One derivative at a time, in forward mode."""

    def slots(self, setting: Setting) -> float:
        return sum(2.0 ** order_of(r.operator) * terms_of(r.operator, setting) for r in self.requests)

    def evaluate(self, site: Site, weights: Mapping[str, Any], key: Any) -> dict[str, Any]:
        return {r.key: nested(site, r.operator, r.k, weights.get(r.key), forward)[0] for r in self.requests}


class Taylor(Method):
    """All partial derivatives by scalar coordinates in one pass over the multi-indices below them."""

    @property
    def has_values(self) -> bool:
        """As the multi-index of zeros."""
        return True

    @property
    def names(self) -> list[str]:
        """The coordinates that occur."""
        return sorted({name for r in self.requests for orders, _ in _parts(r.operator) for name, _ in orders})

    def _index(self, orders: Any) -> tuple[int, ...]:
        by = dict(orders)
        return tuple(by.get(name, 0) for name in self.names)

    def ideal(self) -> tuple[set[tuple[int, ...]], int]:
        """The multi-indices that are carried, and how many collapsed sums beside them."""
        plain = [self._index(r.operator.orders) for r in self.requests if isinstance(r.operator, Partial)]
        sums = {_content(r.operator): r.operator for r in self.requests if isinstance(r.operator, Combination)}
        below = {i for index in plain for i in _below(index)}
        for operator in sums.values():
            for orders, _ in operator.parts:
                index = self._index(orders)
                below |= {i for i in _below(index) if i != index}
        return below, len(sums)

    def slots(self, setting: Setting) -> float:
        below, sums = self.ideal()
        return len(below) + sums

    def cost(self, setting: Setting) -> float:
        below, _ = self.ideal()
        tops = [self._index(orders) for r in self.requests if isinstance(r.operator, Combination) for orders, _ in r.operator.parts]
        pairs = sum(math.prod(i + 1 for i in index) for index in [*below, *tops])
        return setting.work.operations(self.slots(setting), pairs, behind_first=bool(setting.linear))

    def evaluate(self, site: Site, weights: Mapping[str, Any], key: Any) -> dict[str, Any]:
        function, here = site.scalars(self.names)
        indices = sorted({self._index(r.operator.orders) for r in self.requests if isinstance(r.operator, Partial)})
        sums: dict[Any, list[Any]] = {}
        for r in self.requests:
            if isinstance(r.operator, Combination):
                parts = zip(r.operator.parts, weights[r.key], strict=True)
                sums.setdefault(_content(r.operator), [(self._index(o), jnp.asarray(w, site.p.dtype)) for (o, _), w in parts])
        values, totals = partials(function, here, indices, combinations=list(sums.values()))
        found = {}
        for r in self.requests:
            if isinstance(r.operator, Partial):
                found[r.key] = values[indices.index(self._index(r.operator.orders))][r.k]
            else:
                found[r.key] = totals[list(sums).index(_content(r.operator))][r.k]
        return found


class Push(Method):
    """The derivative along one direction. All requests have the same weights."""

    def slots(self, setting: Setting) -> float:
        return 2

    def evaluate(self, site: Site, weights: Mapping[str, Any], key: Any) -> dict[str, Any]:
        first = self.requests[0]
        coordinate = first.operator.coordinate
        function, z = site.g(coordinate)
        direction = site.push(coordinate, spread_weights(site, coordinate, weights.get(first.key)))
        _, slope = jax.jvp(function, (z,), (direction,))
        return {r.key: slope[r.k] for r in self.requests}


class Radial(Push):
    """The derivative along a multiple of the coordinate itself, whose image behind the first layer is known."""

    @property
    def multiple(self) -> float | None:
        """What X is multiplied with; None where the weights are something else."""
        operator = self.requests[0].operator
        ratio = operator.weight / placeholder(operator.coordinate)
        return float(ratio) if ratio.is_number and ratio.is_finite else None

    def evaluate(self, site: Site, weights: Mapping[str, Any], key: Any) -> dict[str, Any]:
        coordinate = self.requests[0].operator.coordinate
        function, z = site.g(coordinate)
        _, slope = jax.jvp(function, (z,), (site.radial(coordinate) * self.multiple,))
        return {r.key: slope[r.k] for r in self.requests}


class Directions(Method):
    """A sum over directions of a vector coordinate, of which Taylor mode carries only the sum.

    All requests have the same coordinate, order and weights.
    """

    @property
    def operator(self) -> Any:
        """What all requests have in common."""
        return self.requests[0].operator

    @property
    def has_values(self) -> bool:
        """Unless a Laplacian is taken of a Laplacian."""
        return not self.nested()

    @property
    def power(self) -> int:
        """How often the Laplacian is applied; 1 for other sums."""
        return self.operator.power if isinstance(self.operator, Laplacian) else 1

    def count(self, setting: Setting) -> float:
        """How many directions."""
        return setting.dims[self.operator.coordinate]

    def nested(self) -> bool:
        """Whether a Laplacian is taken of a Laplacian."""
        return self.power == 2

    def slots(self, setting: Setting) -> float:
        order = 2 if self.nested() else order_of(self.operator)
        one = 2 + (order - 1) * self.count(setting)
        return one * one if self.nested() else one

    def cost(self, setting: Setting) -> float:
        order, slots = order_of(self.operator), self.slots(setting)
        pairs = 2.0 * slots if self.nested() else self.count(setting) * order * (order + 1) / 2
        return setting.work.operations(slots, pairs, behind_first=self.operator.coordinate in setting.linear)

    def directions(self, site: Site, weights: Any, key: Any) -> tuple[Any, Any]:
        """Rows, and what each of them weighs (None: 1)."""
        coordinate = self.operator.coordinate
        return site.rows(coordinate), None if weights is None else spread_weights(site, coordinate, weights)

    def evaluate(self, site: Site, weights: Mapping[str, Any], key: Any) -> dict[str, Any]:
        function, z = site.g(self.operator.coordinate)
        rows, each = self.directions(site, weights.get(self.requests[0].key), key)
        if self.nested():
            value, total = directional(lambda at: directional(function, at, rows, 2)[1], z, rows, 2)
        else:
            value, total = directional(function, z, rows, order_of(self.operator), each)
        return {r.key: (total if order_of(r.operator) else value)[r.k] for r in self.requests}


class Gram(Directions):
    """The Laplacian through the first layer: as many directions as it has rows, whatever the dimension."""

    def count(self, setting: Setting) -> float:
        return min(setting.dims[self.operator.coordinate], setting.work.rows)

    def cost(self, setting: Setting) -> float:
        once = 2.0 * setting.work.rows**2 * setting.dims[self.operator.coordinate] if self.count(setting) == setting.work.rows else 0.0
        return super().cost(setting) + once / setting.points

    def directions(self, site: Site, weights: Any, key: Any) -> tuple[Any, Any]:
        return site.spread(self.operator.coordinate), None


@dataclasses.dataclass(frozen=True)
class Sampled(Directions):
    """An estimate of a sum from random directions."""

    by: Sparse | Dense
    stochastic: ClassVar[bool] = True

    @property
    def name(self) -> str:
        """As the user would ask for it."""
        return f"{type(self.by).__name__}({self.by.n})"

    def count(self, setting: Setting) -> float:
        return self.by.n

    def nested(self) -> bool:
        """Never: a biharmonic operator comes from fourth derivatives."""
        return False

    def directions(self, site: Site, weights: Any, key: Any) -> tuple[Any, Any]:
        coordinate, n = self.operator.coordinate, self.by.n
        d, dtype = site.dim(coordinate), site.p.dtype
        if isinstance(self.by, Sparse):
            chosen = sample.subset(key, n, d)
            each = jnp.full((n,), d / n, dtype)
            return site.rows(coordinate, chosen), each if weights is None else each * spread_weights(site, coordinate, weights)[chosen]
        draw = sample.signs if self.power == 1 else sample.normal
        mixed = site.mixed(coordinate, lambda m: draw(key, n, m, dtype))
        return mixed, jnp.full((n,), 1 / (n if self.power == 1 else 3 * n), dtype)


def is_first(operator: Operator) -> bool:
    """Whether reverse mode has it at once."""
    return isinstance(operator, Gradient | Along) or (isinstance(operator, Partial) and order_of(operator) == 1)


def order_of(operator: Any) -> int:
    """The highest order of a derivative in it."""
    match operator:
        case Gradient() | Along():
            return 1
        case Diagonal():
            return operator.order
        case Laplacian():
            return 2 * operator.power
    return max((sum(times for _, times in orders) for orders, _ in _parts(operator)), default=0)


def terms_of(operator: Any, setting: Setting) -> int:
    """How many derivatives it sums up."""
    if isinstance(operator, Partial | Combination):
        return len(_parts(operator))
    return setting.dims[operator.coordinate] ** (operator.power if isinstance(operator, Laplacian) else 1)


def _parts(operator: Any) -> tuple[Any, ...]:
    return operator.parts if isinstance(operator, Combination) else ((operator.orders, 1),)


def _content(operator: Combination) -> Any:
    """What makes two combinations the same but for the function."""
    return operator.parts


def _below(index: tuple[int, ...]) -> set[tuple[int, ...]]:
    """All multi-indices at or below one."""
    found: set[tuple[int, ...]] = {()}
    for top in index:
        found = {(*i, k) for i in found for k in range(top + 1)}
    return found
