"""Times at which the rates may jump: a step ends at each, the next one starts behind it.

    within a step    the rates are those between its two jumps, also in stages that lie on one
    behind a jump    the rates at its start are computed anew
    derivatives      the ends of a step that lie on a jump move with it, where the jump is at a parameter

All in the scaled time tau.
"""

import dataclasses
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp


def slack(dtype: Any) -> float:
    """Times nearer than that are one time."""
    return 64 * float(jnp.finfo(dtype).eps)


def around(jumps: Any, tau: Any) -> tuple[Any, Any]:
    """(the last jump up to tau, the first one behind it); -1 and 2 where there is none."""
    near = slack(tau.dtype)
    before = jnp.max(jnp.where(jumps <= tau + near, jumps, -1.0))
    after = jnp.min(jnp.where(jumps > tau + near, jumps, 2.0))
    return before.astype(tau.dtype), after.astype(tau.dtype)


def starts_here(jumps: Any, tau: Any) -> Any:
    """Whether the rates have jumped at tau."""
    before, _ = around(jumps, tau)
    return jnp.abs(before - tau) <= slack(tau.dtype)


def between(rhs: Any, jumps: Any, tau: Any, t0: Any, span: Any) -> Any:
    """The rates as they are between the two jumps around tau, whatever time they are asked for."""
    before, after = (jax.lax.stop_gradient(x) for x in around(jumps, tau))
    near = slack(tau.dtype)

    def held(f: Callable[[Any, Any], Any]) -> Callable[[Any, Any], Any]:
        def inside(t: Any, y: Any) -> Any:
            scaled = jax.lax.stop_gradient((t - t0) / span)
            moved = jnp.clip(scaled, before + near * jnp.abs(before), after - near * jnp.abs(after)) - scaled
            return f(t + moved * jax.lax.stop_gradient(span), y)

        return inside

    compact = {"compact": held(rhs.compact)} if "compact" in {f.name for f in dataclasses.fields(rhs)} else {}
    return dataclasses.replace(rhs, f=held(rhs.f), **compact)


def moving(jumps: Any, tau: Any, dtau: Any) -> tuple[Any, Any]:
    """A step's start and length as functions of the jumps that it starts or ends at: the same numbers, with derivatives."""
    near = slack(tau.dtype)

    def end(value: Any) -> Any:
        distance = jnp.abs(jax.lax.stop_gradient(jumps) - value)
        nearest = jumps[jnp.argmin(distance)]
        return value + jnp.where(jnp.min(distance) <= near, nearest - jax.lax.stop_gradient(nearest), 0.0)

    first, last = end(tau), end(tau + dtau)
    return first, dtau + (last - jax.lax.stop_gradient(last)) - (first - jax.lax.stop_gradient(first))
