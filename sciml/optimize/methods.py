"""Optimisers behind one face: `start(problem, z)` gives a state and the step that the loop repeats.

| name                 | for                           | library    |
|----------------------|-------------------------------|------------|
| `LevenbergMarquardt` | sums of squares, few unknowns | optimistix |
| `FirstOrder`         | anything, many unknowns       | optax      |

Levenberg 1944, Marquardt 1963; Adam: Kingma and Ba 2015.
"""

import dataclasses
from collections.abc import Callable
from typing import Any, Protocol, runtime_checkable

import equinox as eqx
import jax
import jax.numpy as jnp
import optax
import optimistix as optx

from .loop import Step


@runtime_checkable
class Objective(Protocol):
    """What a method needs: residuals whose half sum of squares is the loss. z is one flat vector."""

    def residuals(self, z: Any, adjoint: str) -> Any:
        """The weighted residuals, a vector."""
        ...

    def loss(self, z: Any) -> Any:
        """What is minimised, a number."""
        ...


@dataclasses.dataclass(frozen=True)
class LevenbergMarquardt:
    """Damped Gauss-Newton steps, with the Jacobian by forward mode through the solver.

    Attributes:
        max_steps: the most steps.
        rtol: relative change of the parameters and of the loss at which it has converged.
        atol: the absolute one.
    """

    max_steps: int = 200
    rtol: float = 1e-6
    atol: float = 1e-9

    def start(self, problem: Objective, z: Any) -> tuple[Any, Callable[[Any], Step], Callable[[Any], Any]]:
        """(state, step, state -> z)."""
        solver: Any = optx.LevenbergMarquardt(rtol=self.rtol, atol=self.atol)

        def residuals(z: Any, _: Any) -> tuple[Any, None]:
            return problem.residuals(z, "forward"), None

        shapes = jax.eval_shape(residuals, z, None)
        inner = eqx.filter_jit(lambda z: solver.init(residuals, z, None, {}, shapes[0], None, frozenset()))(z)
        dynamic, static = eqx.partition(inner, eqx.is_array)

        @jax.jit
        def step(state: Any) -> Step:
            z, dynamic = state
            inner = eqx.combine(dynamic, static)
            z, inner, _ = solver.step(residuals, z, None, {}, inner, frozenset())
            done, _ = solver.terminate(residuals, z, None, {}, inner, frozenset())
            dynamic, _ = eqx.partition(inner, eqx.is_array)
            return Step((z, dynamic), inner.f_info.as_min(), done)

        return (z, dynamic), step, lambda state: state[0]


@dataclasses.dataclass(frozen=True)
class FirstOrder:
    """An optax optimiser, with the gradient by reverse mode through the solver.

    Attributes:
        optimizer: any `optax.GradientTransformation`; Adam with a cosine decay from `learning_rate` if left out.
        max_steps: the number of steps.
        learning_rate: of the default optimiser.
    """

    optimizer: Any = None
    max_steps: int = 1000
    learning_rate: float = 0.03

    def start(self, problem: Objective, z: Any) -> tuple[Any, Callable[[Any], Step], Callable[[Any], Any]]:
        """(state, step, state -> z)."""
        schedule = optax.cosine_decay_schedule(self.learning_rate, self.max_steps, alpha=0.01)
        optimizer = optax.adam(schedule) if self.optimizer is None else self.optimizer
        # A step into a region where the solve fails gives NaN: it is left out instead of ending the fit.
        optimizer = optax.apply_if_finite(optimizer, max_consecutive_errors=20)

        @jax.jit
        def step(state: Any) -> Step:
            z, inner, best_z, best = state
            loss, gradient = jax.value_and_grad(problem.loss)(z)
            better = loss < best
            best_z, best = jnp.where(better, z, best_z), jnp.where(better, loss, best)
            with jax.numpy_dtype_promotion("standard"):  # optax mixes integers and floats inside
                updates, inner = optimizer.update(gradient, inner, z)
                z = optax.apply_updates(z, updates)
            return Step((z, inner, best_z, best), loss, jnp.asarray(False))

        with jax.numpy_dtype_promotion("standard"):
            inner = optimizer.init(z)
        state = (z, inner, z, jnp.asarray(jnp.inf, z.dtype))
        return state, step, lambda state: state[2]


def method_of(method: Any) -> Any:
    """A method from a name, a method object or an optax optimiser."""
    names = {"levenberg_marquardt": LevenbergMarquardt, "first_order": FirstOrder}
    if isinstance(method, str) and method in names:
        return names[method]()
    if isinstance(method, optax.GradientTransformation):
        return FirstOrder(method)
    if hasattr(method, "start") and hasattr(method, "max_steps"):
        return method
    from ..errors import FitError

    raise FitError(f'method={method!r}: write "levenberg_marquardt", "first_order", or an optax optimiser such as optax.adam(1e-2).')
