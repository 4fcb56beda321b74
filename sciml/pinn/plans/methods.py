"""The ways to derivatives. Each is one pass through the network, shared by all functions that it gives.

| method       | what it can                                       | arrays carried                                                |
|--------------|---------------------------------------------------|---------------------------------------------------------------|
| `Value`      | the function                                      | 1                                                             |
| `Reverse`    | all first derivatives; others by nesting          | 1 + functions                                                 |
| `Nested`     | anything, one derivative at a time                | 2^order for each                                              |
| `Taylor`     | any partial derivatives by scalar coordinates     | multi-indices at or below one that is needed; 1 for a sum     |

Those for sums over a vector coordinate are in `sums`.
"""

import abc
import dataclasses
import math
from collections.abc import Mapping
from typing import Any, ClassVar, NamedTuple

import jax
import jax.numpy as jnp

from ...passes import Along, Combination, Diagonal, Gradient, Laplacian, Operator, Partial
from ..taylor import partials
from .nested import forward, nested, reverse, spread_weights
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
