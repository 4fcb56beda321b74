"""Derivatives one at a time, each the derivative of the one before: the slow way that needs no theory.

reverse   d/dr by jax.grad       what every other method is checked against
forward   d/dr by jax.jvp
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from ...passes import Along, Combination, Diagonal, Gradient, Laplacian, Operator, Partial
from .site import Site

Derivative = Callable[[Callable[[Any], Any]], Callable[[Any], Any]]
"""From a function of one number to its derivative."""

reverse: Derivative = jax.grad


def forward(function: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """The derivative of a function of one number, in forward mode."""
    return lambda r: jax.jvp(function, (r,), (jnp.ones_like(r),))[1]


def nested(site: Site, operator: Operator, k: int, weights: Any, by: Derivative) -> tuple[Any, Any]:
    """The value of an operator of function k, and the size of what it is summed from.

    The second number says how much of the first cancelled: rounding is relative to it.
    """
    match operator:
        case Partial(_, orders):
            found = _partial(site, orders, k, by)
            return found, jnp.abs(found)
        case Combination(_, parts):
            terms = jnp.stack([jnp.asarray(w, site.p.dtype) * _partial(site, o, k, by) for (o, _), w in zip(parts, weights, strict=True)])
        case Gradient(_, coordinate):
            terms = _each(site, coordinate, 1, k, by)
            return terms, jnp.abs(terms)
        case Along(_, coordinate, _):
            terms = spread_weights(site, coordinate, weights) * _each(site, coordinate, 1, k, by)
        case Diagonal(_, coordinate, order, _):
            terms = spread_weights(site, coordinate, weights) * _each(site, coordinate, order, k, by)
        case Laplacian(_, coordinate, power):
            terms = _each(site, coordinate, 2, k, by) if power == 1 else _pairs(site, coordinate, k, by)
    return jnp.sum(terms), jnp.sum(jnp.abs(terms))


def spread_weights(site: Site, coordinate: str, weights: Any) -> Any:
    """Weights as an array over the entries of a coordinate; None is 1."""
    weights = jnp.ones((), site.p.dtype) if weights is None else jnp.asarray(weights, site.p.dtype)
    return jnp.broadcast_to(weights, (site.dim(coordinate),))


def _moved(function: Callable[[Any], Any], direction: Any, by: Derivative) -> Callable[[Any], Any]:
    """The derivative of a function of a point along a direction, again a function of a point."""
    return lambda p: by(lambda r: function(p + r * direction))(jnp.zeros((), p.dtype))


def _unit(site: Site, index: Any) -> Any:
    return (jnp.arange(site.p.size) == index).astype(site.p.dtype)


def _partial(site: Site, orders: Any, k: int, by: Derivative) -> Any:
    function: Callable[[Any], Any] = lambda p: site.f(p)[k]  # noqa: E731
    for name, times in orders:
        for _ in range(times):
            function = _moved(function, _unit(site, site.layout[name].start), by)
    return function(site.p)


def _each(site: Site, coordinate: str, order: int, k: int, by: Derivative) -> Any:
    """The derivative of some order by each entry of a vector coordinate: (d,)."""

    def one(index: Any) -> Any:
        function: Callable[[Any], Any] = lambda p: site.f(p)[k]  # noqa: E731
        for _ in range(order):
            function = _moved(function, _unit(site, index), by)
        return function(site.p)

    at = site.layout[coordinate]
    return jax.lax.map(one, jnp.arange(at.start, at.stop))


def _pairs(site: Site, coordinate: str, k: int, by: Derivative) -> Any:
    """d^4/dX_i^2 dX_j^2 for all i and j: (d, d)."""

    def one(first: Any, second: Any) -> Any:
        function: Callable[[Any], Any] = lambda p: site.f(p)[k]  # noqa: E731
        for index in (first, first, second, second):
            function = _moved(function, _unit(site, index), by)
        return function(site.p)

    index = jnp.arange(site.layout[coordinate].start, site.layout[coordinate].stop)
    return jax.lax.map(lambda i: jax.lax.map(lambda j: one(i, j), index), index)
