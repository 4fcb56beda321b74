"""The one loop: a jitted step, repeated until it converges, with a bar to watch and a history to plot."""

import dataclasses
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from tqdm.auto import tqdm


class Step(NamedTuple):
    """What one step gives: the next state, the loss, and whether the method has converged."""

    state: Any
    loss: Any
    converged: Any


@dataclasses.dataclass(frozen=True)
class Outcome:
    """The last state, the loss of every step, and how it ended."""

    state: Any
    losses: np.ndarray
    converged: bool
    reason: str


def repeat(step: Callable[[Any], Step], state: Any, max_steps: int, *, progress: bool = True, label: str = "fit") -> Outcome:
    """Repeats `step` until it says that it has converged, or `max_steps` is reached.

    Args:
        step: state -> Step; jitted by its maker.
        state: where to begin; a pytree.
        max_steps: the most steps taken.
        progress: show a bar with the loss.
        label: the text before the bar.
    """
    losses = []
    converged, bad = False, 0
    with tqdm(total=max_steps, desc=label, disable=not progress, leave=True) as bar:
        for _ in range(max_steps):
            state, loss, done = step(state)
            losses.append(float(loss))
            bar.update()
            bar.set_postfix_str(f"loss {losses[-1]:.4g}", refresh=False)
            bad = 0 if np.isfinite(losses[-1]) else bad + 1
            if bool(done):
                converged = True
                bar.total = len(losses)
                bar.refresh()
                break
            if bad >= 20:
                break
    return Outcome(state, np.array(losses), converged, _reason(converged, bad, max_steps))


def _reason(converged: bool, bad: int, max_steps: int) -> str:
    if converged:
        return "converged"
    if bad:
        return "stopped: the loss was NaN or infinite for 20 steps"
    return f"stopped after max_steps={max_steps}"
