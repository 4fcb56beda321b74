"""Numbers between names and flat vectors: pieces taken out, vectors put together, values that are expressions computed."""

from collections.abc import Callable, Mapping
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import sympy as sp

from ..data import interpolant
from ..errors import ModelError
from ..symbols import Declaration, declaration_of, distinct_nodes
from .layout import Place, checked_shape
from .lower import lower


def function_value(d: Declaration) -> Any:
    """The part of a function that travels as a parameter: the values of data, the arrays of a network."""
    return eqx.filter(d.value, eqx.is_inexact_array) if d.kind == "neural" else d.value


def as_function(d: Declaration, value: Any) -> Callable[..., Any]:
    """A callable for a network with these arrays, or for data with these values."""
    if d.kind == "neural":
        return eqx.combine(value, eqx.filter(d.value, eqx.is_inexact_array, inverse=True))
    payload = d.payload
    return interpolant(payload["grid"], value, payload["interp"], payload["outside"])


def piece(flat: Any, place: Place) -> Any:
    """The part of a flat vector that belongs to a name, in its shape. A dict of arrays has it ready."""
    if isinstance(flat, dict):
        return flat[place.name]
    if not place.shape:
        return jax.lax.index_in_dim(flat, place.offset, keepdims=False)
    return jax.lax.slice_in_dim(flat, place.offset, place.end).reshape(place.shape)


def side_by_side(arrays: list[Any]) -> Any:
    """Arrays as one flat vector. Those of one shape are stacked: XLA fills a stack in half the time of pieces of a vector."""
    if len({a.shape for a in arrays}) == 1:
        return arrays[0].reshape(-1) if len(arrays) == 1 else jnp.stack(arrays).reshape(-1)
    return jnp.concatenate([a.reshape(-1) for a in arrays])


def flattened(places: Mapping[str, Place], values: Mapping[str, Any]) -> Any:
    """Values by name as one flat vector, declared ones where none is given."""
    pieces = []
    for name, place in places.items():
        value = values.get(name, 0.0 if place.derived or place.default is None else place.default)
        checked_shape(value, place, "value")
        pieces.append(jnp.broadcast_to(jnp.asarray(value, float), place.shape).reshape(-1))
    return jnp.concatenate(pieces) if pieces else jnp.zeros(0)


def filled(flat: Any, places: Mapping[str, Place], given: frozenset[str], definitions: Mapping[str, sp.Expr], leaf: Callable) -> Any:
    """The flat vector with the derived places that were not given replaced by their expressions."""
    derived = [p for n, p in places.items() if p.derived and n not in given]
    if not derived:
        return flat
    meaning = {**definitions, **{p.name: p.default for p in derived}}
    values = lower([inlined(p.default, meaning) for p in derived]).run(leaf)
    for place, value in zip(derived, values, strict=True):
        block = jnp.broadcast_to(jnp.asarray(value, flat.dtype), place.shape).reshape(-1)
        flat = jax.lax.dynamic_update_slice_in_dim(flat, block, place.offset, 0)
    return flat


def inlined(expression: sp.Expr, derived: Mapping[str, sp.Expr]) -> sp.Expr:
    """Names that are defined by expressions replaced by them, as deep as they go."""
    for _ in range(len(derived) + 1):
        inside = {n: derived[declaration_of(n).name] for n in distinct_nodes(expression) if getattr(declaration_of(n), "name", None) in derived}
        if not inside:
            return expression
        expression = expression.xreplace(inside)
    raise ModelError(f"Values are defined in a circle: {', '.join(derived)}. Give one of them a number.")
