"""Rules of linear equations, choices and products."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from .algebra import Algebra, Series, Slots, broadcast, cross, primal_of, series, slots_of, total
from .functions import reciprocal
from .interpret import RULES, bind, rule

# fmt: off
LINEAR = (
    "neg", "sub", "reshape", "transpose", "squeeze", "expand_dims", "broadcast_in_dim", "rev", "slice", "split", "dynamic_slice",
    "dynamic_update_slice", "gather", "scatter", "scatter-add", "scatter_add", "concatenate", "pad", "reduce_sum", "cumsum", "convert_element_type",
    "copy", "copy_p", "real", "imag", "conj", "complex", "select_n", "fft", "reduce_window_sum", "reduce_precision", "name", "device_put",
    "sharding_constraint", "psum", "optimization_barrier", "reduce_and_scatter_add",
)
CHOICES = (
    "max", "min", "clamp", "reduce_max", "reduce_min", "cummax", "cummin", "sort", "top_k", "reduce_window_max", "reduce_window_min",
    "rem", "abs", "select_and_gather_add", "approx_top_k",
)
CONSTANT = ("stop_gradient", "sign", "floor", "ceil", "round", "nextafter", "argmax", "argmin")
# fmt: on


@rule(*CONSTANT)
def constant(al: Algebra, eqn: Any, args: list[Any]) -> list[Any]:
    """What does not change with the point, almost everywhere."""
    if eqn.primitive.name == "sign" and jnp.iscomplexobj(primal_of(args[0])):
        return RULES["derived"](al, eqn, args)
    return bind(eqn, list(map(primal_of, args)))


@rule(*LINEAR)
def linear(al: Algebra, eqn: Any, args: list[Any]) -> list[Any]:
    """What is linear in all its real inputs together."""

    def tangent(*given: Any) -> list[Any]:
        return bind(eqn, given)

    return _each_slot(al, tangent, bind(eqn, list(map(primal_of, args))), args)


@rule(*CHOICES)
def choice(al: Algebra, eqn: Any, args: list[Any]) -> list[Any]:
    """What is piecewise linear: the pieces are those of the primal."""
    if any(jnp.iscomplexobj(primal_of(arg)) for arg in args):
        return RULES["derived"](al, eqn, args)
    primals = list(map(primal_of, args))
    where = [n for n, arg in enumerate(args) if _inexact(arg)]

    def pieces(*given: Any) -> list[Any]:
        full = list(primals)
        for n, value in zip(where, given, strict=True):
            full[n] = value
        return bind(eqn, full)

    out, pushed = jax.linearize(pieces, *(primals[n] for n in where))
    return _each_slot(al, lambda *given: pushed(*(given[n] for n in where)), out, args)


def _each_slot(al: Algebra, tangent: Callable[..., list[Any]], out: list[Any], args: list[Any]) -> list[Any]:
    """A linear map of slots: an input without the slot counts as zero, inputs that are no numbers stay as they are."""
    fixed = [jnp.zeros_like(primal_of(arg)) if _inexact(arg) else primal_of(arg) for arg in args]
    found: list[Slots] = [{} for _ in out]
    for key in al.keys:
        if any(key in slots_of(arg) for arg in args):
            function = tangent
            for _ in al.axes[key]:
                function = jax.vmap(function, in_axes=tuple(0 if key in slots_of(arg) else None for arg in args))
            made = function(*(slots_of(arg).get(key, zero) for arg, zero in zip(args, fixed, strict=True)))
            for slots, value in zip(found, made, strict=True):
                slots[key] = value
    return [series(value, slots) for value, slots in zip(out, found, strict=True)]


def _inexact(value: Any) -> bool:
    return jnp.issubdtype(jnp.result_type(primal_of(value)), jnp.inexact)


@rule("add", "add_any")
def add(al: Algebra, eqn: Any, args: list[Any]) -> list[Any]:
    """A sum; a slot that one of the two has alone is only shaped."""
    (out,) = bind(eqn, list(map(primal_of, args)))
    a, b = map(slots_of, args)
    found: Slots = {}
    for key in al.keys:
        lead = len(al.axes[key])
        if key in a and key in b:
            function = lambda p, q: bind(eqn, (p, q))[0]  # noqa: E731
            for _ in range(lead):
                function = jax.vmap(function)
            found[key] = function(a[key], b[key])
        elif key in a or key in b:
            found[key] = _widen(a.get(key, b.get(key)), lead, out.shape)
    return [series(out, found)]


def _widen(slot: Any, lead: int, shape: tuple[int, ...]) -> Any:
    """A slot of the shape of the result: numbers and axes of length one may meet arrays."""
    if slot.shape[lead:] == shape:
        return slot
    ones = (1,) * (len(shape) + lead - slot.ndim)
    return jnp.broadcast_to(slot.reshape(slot.shape[:lead] + ones + slot.shape[lead:]), slot.shape[:lead] + shape)


@rule("mul", "dot_general", "conv_general_dilated")
def product(al: Algebra, eqn: Any, args: list[Any]) -> list[Any]:
    """What is linear in each of two inputs."""

    def op(p: Any, q: Any) -> Any:
        return bind(eqn, (p, q))[0]

    a, b = args
    if not isinstance(b, Series):
        return [_one_sided(al, lambda slot: op(slot, b), a)]
    if not isinstance(a, Series):
        return [_one_sided(al, _vector_first(eqn, a) or (lambda slot: op(a, slot)), b)]
    same = a is b and eqn.primitive.name == "mul"
    found = cross(al, op, a.slots, b.slots, commutes=eqn.primitive.name == "mul")
    for key in al.keys:
        parts = [found[key]] if key in found else []
        if key in a.slots:
            parts.append(broadcast(al, lambda p, slot: op(slot, p), b.primal, a.slots[key], key))
        if key in b.slots:
            parts.append(parts[-1] if same else broadcast(al, op, a.primal, b.slots[key], key))
        if parts:
            found[key] = total(parts)
    return [series(op(a.primal, b.primal), found)]


def _vector_first(eqn: Any, matrix: Any) -> Callable[[Any], Any] | None:
    """`W @ x` as `x @ W'`: the axes of lanes and points then come first in the result, where the next operation wants them."""
    if eqn.primitive.name != "dot_general":
        return None
    (inner, of_vector), batch = eqn.params["dimension_numbers"]
    if any(batch) or len(of_vector) != eqn.invars[1].aval.ndim:
        return None
    precision = eqn.params["precision"]
    precision = precision[::-1] if isinstance(precision, tuple) else precision
    params = {**eqn.params, "dimension_numbers": ((of_vector, inner), batch), "precision": precision}
    return lambda slot: eqn.primitive.bind(slot, matrix, **params)


def _one_sided(al: Algebra, function: Callable[[Any], Any], value: Series) -> Series:
    return Series(function(value.primal), {key: _over(function, len(al.axes[key]))(slot) for key, slot in value.slots.items()})


def _over(function: Callable[[Any], Any], lead: int) -> Callable[[Any], Any]:
    for _ in range(lead):
        function = jax.vmap(function)
    return function


@rule("div")
def quotient(al: Algebra, eqn: Any, args: list[Any]) -> list[Any]:
    """a / b: linear in a, and the product of a and 1 / b."""
    a, b = args
    (out,) = bind(eqn, list(map(primal_of, args)))
    if not isinstance(b, Series):
        return [_one_sided(al, lambda slot: bind(eqn, (slot, b))[0], a)]
    inverse = reciprocal(al, b)
    found: Slots = {}
    if isinstance(a, Series):
        found = cross(al, lambda p, q: p * q, a.slots, inverse.slots)
    for key in al.keys:
        parts = [found[key]] if key in found else []
        if key in slots_of(a):
            parts.append(broadcast(al, lambda p, slot: slot * p, inverse.primal, a.slots[key], key))
        parts += [broadcast(al, lambda p, slot: p * slot, primal_of(a), inverse.slots[key], key)] if key in inverse.slots else []
        if parts:
            found[key] = total(parts)
    return [series(out, found)]
