"""Weights of losses and of points, from numbers that a training has anyway. Pure functions; no gradient flows through a weight.

| function           | weight                                        | balances                    | reference                            |
|--------------------|-----------------------------------------------|-----------------------------|--------------------------------------|
| `gradient_weights` | w_i = sum_j |g_j| / |g_i|                     | losses, by their gradients  | Wang, Teng and Perdikaris 2021       |
| `kernel_weights`   | w_i = sum_j k_j / k_i,  k = mean |dr/dz|^2    | losses, by their kernels    | Wang, Yu and Perdikaris 2022         |
| `averaged`         | w <- decay w + (1 - decay) new                | over the steps              | the same                             |
| `causal_weights`   | w_k = exp(-tol sum_{j<k} L_j)                 | chunks of time, in order    | Wang, Sankaran and Perdikaris 2024   |
| `attention`        | w <- decay w + rate |r| / max |r|             | points that stay            | Anagnostopoulos et al. 2024          |
"""

from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp

from ..errors import FitError
from ..optimize import row_by_row


def gradient_weights(gradients: Mapping[str, Any]) -> dict[str, Any]:
    """Weights with which the gradients of all losses have equal norms.

    Args:
        gradients: of each loss by its name, without any weight; pytrees.

    Returns:
        A weight for each name. Where a gradient vanishes, the weight is as large as rounding permits.

    Wang, Teng and Perdikaris 2021, Understanding and mitigating gradient flow pathologies in physics-informed neural networks.

    >>> import jax.numpy as jnp
    >>> from sciml.pinn.balance import gradient_weights
    >>> weights = gradient_weights({"equation": jnp.array([3.0, 4.0]), "initial": jnp.array([0.0, 1.0])})
    >>> {name: round(float(weight), 2) for name, weight in weights.items()}
    {'equation': 1.2, 'initial': 6.0}
    """
    return _shares({name: jnp.sqrt(sum(jnp.sum(leaf**2) for leaf in jax.tree.leaves(g))) for name, g in gradients.items()})


def kernel_weights(traces: Mapping[str, Any]) -> dict[str, Any]:
    """Weights with which all residuals decay at the same mean rate under gradient descent.

    Args:
        traces: of the neural tangent kernel of each loss by its name, by `kernel_trace`.

    Wang, Yu and Perdikaris 2022, When and why PINNs fail to train: a neural tangent kernel perspective.

    >>> import jax.numpy as jnp
    >>> from sciml.pinn.balance import kernel_weights
    >>> weights = kernel_weights({"equation": jnp.array(9.0), "initial": jnp.array(1.0)})
    >>> {name: round(float(weight), 2) for name, weight in weights.items()}
    {'equation': 1.11, 'initial': 10.0}
    """
    return _shares(traces)


def kernel_trace(residual: Callable[..., Any], z: Any, *inputs: Any) -> Any:
    """The mean over the points of |dr/dz|^2: the trace of the neural tangent kernel, divided by its size.

    Args:
        residual: (z, *one row of each input) -> a number, or k numbers.
        z: a pytree of arrays of one floating type.
        *inputs: arrays of equal first axis; some hundred rows are enough.

    >>> import jax.numpy as jnp
    >>> from sciml.pinn.balance import kernel_trace
    >>> float(kernel_trace(lambda z, x: z[0] * x + z[1], jnp.zeros(2), jnp.array([1.0, 2.0])))
    3.5
    """
    _, jacobian = row_by_row(residual, z, *inputs)
    return jnp.sum(jacobian**2) / jacobian.shape[0]


def averaged(before: Mapping[str, Any], new: Mapping[str, Any], decay: float = 0.9) -> dict[str, Any]:
    """The running average of weights.

    Args:
        before: the average so far.
        new: weights of the same names.
        decay: how much of the average is kept.

    Raises:
        FitError: other names, or a decay outside [0, 1).

    >>> from sciml.pinn.balance import averaged
    >>> averaged({"equation": 1.0}, {"equation": 2.0}, decay=0.75)
    {'equation': 1.25}
    """
    _decays(decay, 0.9)
    if set(before) != set(new):
        raise FitError(f"The weights so far are of {', '.join(before)}, the new ones of {', '.join(new)}: they must have the same names.")
    return {name: decay * before[name] + (1 - decay) * new[name] for name in before}


def chunk_losses(t: Any, residuals: Any, span: tuple[float, float], chunks: int = 32) -> Any:
    """The mean square residual in each of some equal chunks of time.

    Args:
        t: the time of each point.
        residuals: of each point, a vector; or a row of several for each.
        span: the first and the last time.
        chunks: how many.

    Returns:
        A vector; 0 for a chunk without points.

    >>> import jax.numpy as jnp
    >>> from sciml.pinn.balance import chunk_losses
    >>> chunk_losses(jnp.array([0.1, 0.2, 0.9]), jnp.array([1.0, 3.0, 2.0]), (0.0, 1.0), chunks=2).tolist()
    [5.0, 4.0]
    """
    squares = jnp.sum(residuals.reshape(t.shape[0], -1) ** 2, axis=1)
    place = _chunk(t, span, chunks)
    total = jax.ops.segment_sum(squares, place, chunks)
    count = jax.ops.segment_sum(jnp.ones_like(squares), place, chunks)
    return total / jnp.maximum(count, 1)


def causal_weights(losses: Any, tolerance: Any) -> Any:
    """Weights of chunks of time: one counts only when those before it are solved.

    Args:
        losses: of the chunks in their order, by `chunk_losses`.
        tolerance: how sharp; times a loss it is a number. The usual schedule raises it by 10 when the last weight is over 0.99.

    Returns:
        A vector like losses, falling from 1.

    Wang, Sankaran and Perdikaris 2024, Respecting causality for training physics-informed neural networks.

    >>> import jax.numpy as jnp
    >>> from sciml.pinn.balance import causal_weights
    >>> [round(float(weight), 3) for weight in causal_weights(jnp.array([1.0, 2.0, 5.0]), 0.5)]
    [1.0, 0.607, 0.223]
    """
    before = jnp.concatenate([jnp.zeros_like(losses[:1]), jnp.cumsum(losses)[:-1]])
    return jax.lax.stop_gradient(jnp.exp(-tolerance * before))


def at_points(weights: Any, t: Any, span: tuple[float, float]) -> Any:
    """The weight of the chunk in which each time lies.

    Args:
        weights: of the chunks, by `causal_weights`.
        t: the times.
        span: the first and the last time.

    >>> import jax.numpy as jnp
    >>> from sciml.pinn.balance import at_points
    >>> at_points(jnp.array([1.0, 0.5]), jnp.array([0.0, 0.4, 1.0]), (0.0, 1.0)).tolist()
    [1.0, 1.0, 0.5]
    """
    return weights[_chunk(t, span, weights.shape[0])]


def attention(weights: Any, residuals: Any, rate: float = 0.01, decay: float = 0.999) -> Any:
    """Weights of points that stay the same, which grow where the residual is large (residual-based attention).

    They stay below rate / (1 - decay). The loss is then the mean of (weight * residual)^2.

    Args:
        weights: so far, one for each point; ones or zeros to begin with.
        residuals: of each point.
        rate: added where the residual is largest.
        decay: how much of a weight is kept.

    Raises:
        FitError: a decay outside [0, 1).

    Anagnostopoulos, Toscano, Stergiopulos and Karniadakis 2024, Residual-based attention in physics-informed neural networks.

    >>> import jax.numpy as jnp
    >>> from sciml.pinn.balance import attention
    >>> attention(jnp.zeros(2), jnp.array([1.0, -4.0]), rate=0.5).tolist()
    [0.125, 0.5]
    """
    _decays(decay, 0.999)
    size = jnp.abs(residuals)
    return jax.lax.stop_gradient(decay * weights + rate * size / jnp.maximum(jnp.max(size), jnp.finfo(size.dtype).tiny))


def _shares(sizes: Mapping[str, Any]) -> dict[str, Any]:
    if not sizes:
        raise FitError("There are no losses to balance.")
    total = sum(sizes.values())
    least = jnp.finfo(jnp.asarray(total).dtype).eps * total + jnp.finfo(jnp.asarray(total).dtype).tiny
    return {name: jax.lax.stop_gradient(total / jnp.maximum(size, least)) for name, size in sizes.items()}


def _chunk(t: Any, span: tuple[float, float], chunks: int) -> Any:
    first, last = span
    if not last > first:
        raise FitError(f"The times run from {first} to {last}: the second must be larger. Write t_span=(first, last).")
    return jnp.clip(jnp.floor(chunks * (t - first) / (last - first)).astype(jnp.int32), 0, chunks - 1)


def _decays(decay: float, usual: float) -> None:
    if not 0 <= decay < 1:
        raise FitError(f"decay={decay!r}: a number from 0 to less than 1, such as decay={usual}.")
