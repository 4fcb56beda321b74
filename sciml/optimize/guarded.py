"""A step of an optax optimiser that goes back where the loss, or its gradient, is not finite."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax

from .loop import FAILURES, Step


class Training(NamedTuple):
    """The state of a training.

    Attributes:
        model: the arrays that are trained.
        good: those at which loss and gradient were last finite.
        optimizer: the state of the optimiser.
        step: steps done.
        failures: failed attempts in a row to leave `good`.
        returned: whether `model` is `good` again, after a failure.
    """

    model: Any
    good: Any
    optimizer: Any
    step: Any
    failures: Any
    returned: Any


def begin(optimizer: optax.GradientTransformation, model: Any) -> Training:
    """The state before the first step."""
    with jax.numpy_dtype_promotion("standard"):
        inner = optimizer.init(model)
    return Training(model, model, inner, jnp.asarray(0, jnp.int32), jnp.asarray(0, jnp.int32), jnp.asarray(False))


def advance(loss: Callable[[Any], tuple[Any, Any]], optimizer: optax.GradientTransformation, state: Training) -> Step:
    """One step: along the gradient where it is finite, otherwise back to where it last was.

    An attempt has failed when the new point, or the old one with another batch, gives NaN or infinity. It is succeeded by
    another attempt from the last good point. After as many failures in a row as `FAILURES` says nothing changes any more.

    Args:
        loss: arrays -> (number, further numbers by name).
        optimizer: of optax; it never sees a gradient that is not finite.
        state: of the training.
    """
    (value, shown), gradient = jax.value_and_grad(loss, has_aux=True)(state.model)
    fine = jnp.all(jnp.stack([jnp.all(jnp.isfinite(leaf)) for leaf in jax.tree.leaves((value, gradient))]))
    over = state.failures >= FAILURES
    with jax.numpy_dtype_promotion("standard"):  # optax mixes integers and floats inside
        extra = {"value": value, "grad": gradient, "value_fn": lambda model: loss(model)[0]}
        updates, inner = optax.with_extra_args_support(optimizer).update(gradient, state.optimizer, state.model, **extra)
        moved = optax.apply_updates(state.model, updates)
    used = fine & ~over
    good = _where(used, state.model, state.good)
    failures = jnp.where(fine, jnp.where(state.returned, state.failures, 0), state.failures + 1)
    made = Training(
        model=_where(used, moved, good),
        good=good,
        optimizer=_where(used, inner, state.optimizer),
        step=jnp.where(over, state.step, state.step + 1),
        failures=jnp.where(over, state.failures, failures).astype(jnp.int32),
        returned=~used,
    )
    return Step(made, value, False, made.failures, shown)


def _where(condition: Any, new: Any, old: Any) -> Any:
    return jax.tree.map(lambda a, b: jnp.where(condition, jnp.asarray(a, jnp.asarray(b).dtype), b), new, old)
