"""Weights of the terms of a loss.

| weights=      | rule                                                                   |
|---------------|------------------------------------------------------------------------|
| {name: 10.0}  | fixed; 1 for those that are left out                                   |
| "equal"       | 1 for all                                                              |
| "gradient"    | so that the gradients of all terms have equal norms, averaged           |
| "ntk"         | so that all residuals would decay at one rate, averaged                 |
| "causal"      | equations: later times count when the earlier ones are solved           |

The formulas are in `balance`.
"""

from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp

from ..errors import FitError, NameUnknown, nearest
from .balance import at_points, averaged, causal_weights, chunk_losses, gradient_weights, kernel_weights
from .problem import Batch, Problem

_RULES = ("auto", "equal", "gradient", "ntk", "causal")
_CHUNKS, _SHARP = 16, 1.0  # of time; tolerance in units of the mean loss of the chunks
_ROWS = 100  # points for the trace of a kernel

Rule = Callable[[Any, Batch], Batch]
"""(z, batch) -> the batch with new weights."""


def weighting(problem: Problem, given: Any) -> tuple[dict[str, Any], Rule | None]:
    """(weights to begin with, the rule or None).

    Raises:
        FitError: a rule that does not exist, a weight below 0, causal weights without a time.
        NameUnknown: a term that does not exist.
    """
    dtype = jnp.result_type(*jax.tree.leaves(problem.arrays))
    ones = {n: jnp.ones((), dtype) for n in problem.names}
    if isinstance(given, Mapping):
        return {**ones, **{n: jnp.asarray(_checked(n, w, problem), dtype) for n, w in given.items()}}, None
    if given not in _RULES:
        raise FitError(f"weights={given!r}: {nearest(str(given), _RULES)} Or give numbers by term, {{{problem.names[0]!r}: 1.0}}.")
    if given == "causal":
        if "t" not in problem.form.layout:
            raise FitError('weights="causal" needs a time, and this System has none. Leave out weights=.')
        return ones, lambda z, batch: _causal(problem, z, batch)
    if given == "equal" or len(ones) == 1 or (given == "auto" and problem.stochastic):
        return ones, None
    sizes = _traces if given == "ntk" else _gradients
    return ones, lambda z, batch: _balanced(problem, z, batch, sizes)


def _checked(name: str, weight: Any, problem: Problem) -> float:
    if name not in problem.names:
        raise NameUnknown(f"weights= has '{name}', and there is no such term. {nearest(str(name), problem.names)}")
    if not (jnp.ndim(weight) == 0 and weight >= 0):
        raise FitError(f"weights={{{name!r}: {weight!r}}}: a number, at least 0.")
    return float(weight)


def _balanced(problem: Problem, z: Any, batch: Batch, sizes: Callable[..., dict[str, Any]]) -> Batch:
    """New weights, scaled to a mean of 1, averaged with those so far."""
    new = sizes(problem, z, batch)
    mean = sum(new.values()) / len(new)
    new = {n: (w / mean).astype(mean.dtype) for n, w in new.items()}
    return batch._replace(weights=averaged(batch.weights, new))


def _gradients(problem: Problem, z: Any, batch: Batch) -> dict[str, Any]:
    keyed = problem.keyed(batch)
    return gradient_weights({p.term.name: jax.grad(lambda z, p=p, k=k: jnp.mean(problem.square(z, p, batch, k)))(z) for p, k in keyed})


def _traces(problem: Problem, z: Any, batch: Batch) -> dict[str, Any]:
    few = {n: jax.tree.map(lambda a: a[:_ROWS], at) for n, at in batch.points.items()}
    ones = {n: jnp.ones_like(w) for n, w in batch.weights.items()}
    _, rows = problem.jacobian(z, Batch(few, ones, batch.key))
    traces, start = {}, 0
    for name in problem.names:
        stop = start + few[name].points.shape[0]
        traces[name], start = jnp.sum(rows[start:stop] ** 2), stop
    return kernel_weights(traces)


def _causal(problem: Problem, z: Any, batch: Batch) -> Batch:
    """Weights of points by their chunk of time; the tolerance follows the size of the loss."""
    points = dict(batch.points)
    for piece, key in problem.keyed(batch):
        at = points[piece.term.name]
        if piece.term.kind != "equation":
            continue
        time = at.points[:, problem.form.layout["t"].start]
        losses = chunk_losses(time, problem.residual(z, piece, at, key), problem.span, _CHUNKS)
        weights = causal_weights(losses, _SHARP / jnp.maximum(jnp.mean(losses), jnp.finfo(losses.dtype).tiny))
        points[piece.term.name] = at._replace(weights=at_points(weights, time, problem.span))
    return batch._replace(points=points)
