"""Steps along the gradient by an optimiser of optax, as a method of the one loop."""

import dataclasses
from typing import Any

import optax

from .guarded import Training, advance, begin
from .loop import Step


@dataclasses.dataclass(frozen=True)
class Descent:
    """An optimiser of optax, for losses that change from step to step.

    Where the loss or its gradient is not finite, the step goes back to where they last were.

    Attributes:
        optimizer: any `optax.GradientTransformation`; Adam with a learning rate that falls by a cosine if left out.
        max_steps: the number of steps.
        learning_rate: of the default optimiser, at the beginning.
    """

    optimizer: Any = None
    max_steps: int = 10_000
    learning_rate: float = 1e-3

    @property
    def transformation(self) -> optax.GradientTransformation:
        """The optimiser itself."""
        if self.optimizer is not None:
            return self.optimizer
        return optax.adam(optax.cosine_decay_schedule(self.learning_rate, self.max_steps, alpha=1e-2))

    def begin(self, z: Any) -> Training:
        """The state before the first step."""
        return begin(self.transformation, z)

    def advance(self, objective: Any, state: Training, *inputs: Any) -> Step:
        """One step. `objective.shown(z, *inputs)` gives (loss, further numbers by name); `objective.loss` only the loss."""

        def loss(z: Any) -> tuple[Any, Any]:
            if hasattr(objective, "shown"):
                return objective.shown(z, *inputs)
            return objective.loss(z, *inputs), {}

        return advance(loss, self.transformation, state)

    def point(self, state: Training) -> Any:
        """The last arrays at which loss and gradient were finite."""
        return state.good
