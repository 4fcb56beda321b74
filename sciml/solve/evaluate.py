"""Expressions of a Solution, and the Solution at other times, as functions over the lanes of a batch."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from ..codegen import CompiledSystem, Point, function_value, spread_over
from ..symbols import Applied, declaration_of, distinct_nodes
from .program import TAIL, Program, within


def depends_on_time(model: CompiledSystem, expression: Any) -> bool:
    """Whether an expression depends on time, through unknowns, data or t itself."""
    for node in distinct_nodes(expression):
        d = declaration_of(node)
        if isinstance(node, Applied) and d.kind in ("unknown", "data"):
            return True
        if d is not None and d.kind == "time":
            return True
    return False


def expression_evaluator(program: Program, expression: Any, batch: int) -> Callable[..., Any]:
    """A function (times, states, buffer, values) -> values of the expression, over the batch axes and time."""
    model = program.model
    evaluate = model.evaluator([expression])
    varies = depends_on_time(model, expression)

    def over_time(times: Any, states: Any, buffer: Any, values: Any) -> Any:
        buffer = jnp.asarray(buffer, program.options.dtype)
        p = model.full_params(program.split(buffer)["p"], program.options.given_params)
        functions = model.functions(values)

        def one(t: Any, y: Any) -> Any:
            value = evaluate(Point(t, y, p, functions))[0]
            # complex fields are pairs of real ones in the state, and complex to the user
            return jnp.asarray(value, np.result_type(buffer.dtype, np.complex64) if jnp.iscomplexobj(value) else buffer.dtype)

        times, states = jnp.asarray(times, buffer.dtype), jax.tree.map(lambda a: jnp.asarray(a, buffer.dtype), states)
        with spread_over(program.options.mesh):
            if not varies:
                return one(times[0], jax.tree.map(lambda a: a[0], states))
            if program.options.mesh is not None:  # not by vmap, in which an exchange between devices cannot stand
                return jnp.stack([one(time, jax.tree.map(lambda a, i=i: a[i], states)) for i, time in enumerate(times)])
            return jax.vmap(one)(times, states)

    return over_lanes(over_time, model, batch)


def over_lanes(one: Callable[..., Any], model: CompiledSystem, batch: int) -> Callable[..., Any]:
    """`one(a, b, buffer, values, ...)` for all lanes of a batch. What follows the values is shared.

    Networks and data that the lanes share have fewer axes than the batch: those of an outer `vmap`.
    """

    def mapped(values: Any, level: int) -> Any:
        own = {name: function_value(model.layout.functions[name]) for name in values}
        return jax.tree.map(lambda v, o: 0 if np.ndim(v) - np.ndim(o) > level else None, values, own)

    def all_lanes(a: Any, b: Any, buffer: Any, values: Any, *shared: Any) -> Any:
        over = one
        for level in reversed(range(batch)):
            over = jax.vmap(over, in_axes=(0, 0, 0, mapped(values, level), *(None for _ in shared)))
        return over(a, b, buffer, values, *shared)

    return all_lanes


def dense_evaluator(program: Program) -> Callable[..., Any]:
    """A function (packed solution, dense solution, buffer, values, times) -> the packed solution at other times."""

    def evaluate(out: Any, dense: Any, buffer: Any, values: Any, times: Any) -> Any:
        buffer = jnp.asarray(buffer, program.options.dtype)
        given = program.split(buffer)
        tau = within((times - given["t0"]) / (given["t1"] - given["t0"]))
        ys = program.unknowns(jax.vmap(dense.evaluate)(tau))
        if program.model.constraints.expressions:
            p = program.model.full_params(given["p"], program.options.given_params)
            buffer = jnp.concatenate([buffer[: program.p_at], p, buffer[program.y_at :]])
            ys = program.on_constraints(buffer, values, times, ys)
        return jnp.concatenate([ys.reshape(-1), times, out[-len(TAIL) :]])

    return evaluate
