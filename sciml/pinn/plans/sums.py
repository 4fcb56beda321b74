"""The ways to sums over the entries of a vector coordinate. Each is one pass through the network, shared by all functions that it gives.

| method       | what it can                                       | arrays carried                                  |
|--------------|---------------------------------------------------|-------------------------------------------------|
| `Push`       | sum_i w_i dv/dX_i                                 | 2                                               |
| `Radial`     | sum_i c X_i dv/dX_i                               | 2, without the first layer                      |
| `Directions` | sum_i w_i d^k v/dX_i^k, Laplacian^m               | 2 + (k - 1) d; (2 + d)^2 for the biharmonic     |
| `Gram`       | Laplacian^m                                       | 2 + h, h rows of the first layer; (2 + h)^2     |
| `Sampled`    | the same sums from n random directions            | 2 + (k - 1) n                                   |
"""

import dataclasses
from collections.abc import Mapping
from typing import Any, ClassVar

import jax
import jax.numpy as jnp

from ...passes import Laplacian, placeholder
from ..taylor import directional
from . import sample
from .methods import Method, Setting, order_of
from .nested import spread_weights
from .sample import Dense, Sparse
from .site import Site


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
