"""Rules of calls, loops and branches: the body is interpreted, and slots travel with the values they belong to."""

from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp

from .algebra import Algebra, Key, primal_of, series, slots_of
from .interpret import rule, run_closed


@rule("jit", "pjit", "closed_call", "core_call", "core_closed_call", "remat", "remat2", "checkpoint", "custom_lin")
def call(al: Algebra, eqn: Any, args: list[Any]) -> list[Any]:
    """A call: its body in place."""
    return run_closed(al, eqn.params.get("jaxpr", eqn.params.get("call_jaxpr")), args)


@rule("cond")
def cond(al: Algebra, eqn: Any, args: list[Any]) -> list[Any]:
    """Branches: each with the same slots."""
    index, *operands = args
    branches = [lambda *xs, body=body: run_closed(al, body, xs) for body in eqn.params["branches"]]
    shapes = [jax.eval_shape(branch, *operands) for branch in branches]
    slots = [_union(outs) for outs in zip(*shapes, strict=True)]
    return jax.lax.switch(primal_of(index), [_padded(al, branch, slots) for branch in branches], *operands)


@rule("while")
def while_(al: Algebra, eqn: Any, args: list[Any]) -> list[Any]:
    """A loop of unknown length: its condition looks at the primal."""
    split = eqn.params["cond_nconsts"], eqn.params["cond_nconsts"] + eqn.params["body_nconsts"]
    asked, given, carry = list(map(primal_of, args[: split[0]])), args[split[0] : split[1]], args[split[1] :]

    def going(state: list[Any]) -> Any:
        return run_closed(al, eqn.params["cond_jaxpr"], [*asked, *map(primal_of, state)])[0]

    def step(*state: Any) -> list[Any]:
        return run_closed(al, eqn.params["body_jaxpr"], [*given, *state])

    slots = _settled(al, step, carry)
    padded = _padded(al, step, slots)
    return jax.lax.while_loop(going, lambda state: padded(*state), [_pad(al, c, keys) for c, keys in zip(carry, slots, strict=True)])


@rule("scan")
def scan(al: Algebra, eqn: Any, args: list[Any]) -> list[Any]:
    """A loop: slots are carried and stacked like the values they belong to."""
    p = eqn.params
    n, m = p["num_consts"], p["num_consts"] + p["num_carry"]
    consts, carry, xs = args[:n], args[n:m], [_time_first(al, x) for x in args[m:]]
    element = jax.tree.map(lambda x: jax.ShapeDtypeStruct(x.shape[1:], x.dtype), xs)

    def body(state: Sequence[Any], x: Sequence[Any]) -> list[Any]:
        return run_closed(al, p["jaxpr"], [*consts, *state, *x])

    count = len(carry)
    settled = _settled(al, lambda *both: body(both[:count], both[count:])[:count], carry, element)

    def step(state: list[Any], x: list[Any]) -> tuple[list[Any], list[Any]]:
        out = body(state, x)
        return [_pad(al, c, keys) for c, keys in zip(out[:count], settled, strict=True)], out[count:]

    start = [_pad(al, c, keys) for c, keys in zip(carry, settled, strict=True)]
    last, ys = jax.lax.scan(step, start, xs, length=p["length"], reverse=p["reverse"], unroll=p["unroll"])
    return [*last, *(_time_after(al, y) for y in ys)]


def _time_first(al: Algebra, x: Any) -> Any:
    return series(primal_of(x), {k: jnp.moveaxis(v, len(al.axes[k]), 0) for k, v in slots_of(x).items()})


def _time_after(al: Algebra, x: Any) -> Any:
    return series(primal_of(x), {k: jnp.moveaxis(v, 0, len(al.axes[k])) for k, v in slots_of(x).items()})


def _settled(al: Algebra, step: Callable[..., list[Any]], carry: list[Any], element: Sequence[Any] = ()) -> list[tuple[Key, ...]]:
    """The slots that a loop's state comes to have, whatever the number of turns."""
    slots = [tuple(slots_of(c)) for c in carry]
    while True:
        made = jax.eval_shape(step, *(_pad(al, c, keys) for c, keys in zip(carry, slots, strict=True)), *element)
        wider = [_ordered(al, {*keys, *slots_of(out)}) for keys, out in zip(slots, made, strict=True)]
        if wider == [_ordered(al, set(keys)) for keys in slots]:
            return wider
        slots = wider


def _ordered(al: Algebra, keys: set[Key]) -> tuple[Key, ...]:
    return tuple(key for key in al.keys if key in keys)


def _union(values: Sequence[Any]) -> set[Key]:
    return {key for value in values for key in slots_of(value)}


def _padded(al: Algebra, function: Callable[..., list[Any]], slots: Sequence[Any]) -> Callable[..., list[Any]]:
    return lambda *xs: [_pad(al, out, keys) for out, keys in zip(function(*xs), slots, strict=True)]


def _pad(al: Algebra, value: Any, keys: Any) -> Any:
    """A value with these slots, zeros where it had none."""
    primal, have = primal_of(value), slots_of(value)
    zero = lambda key: jnp.zeros((*(al.sizes[a] for a in al.axes[key]), *jnp.shape(primal)), jnp.result_type(primal))  # noqa: E731
    return series(primal, {key: have[key] if key in have else zero(key) for key in _ordered(al, set(keys))})
