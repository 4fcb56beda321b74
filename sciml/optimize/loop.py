"""The one loop: a jitted step, repeated until it converges, with a bar to watch and a history to plot."""

import dataclasses
import math
import time
from collections import deque
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from tqdm.auto import tqdm

FAILURES = 20  # steps in a row whose loss or gradient is not finite, after which a run stops


Rows = list[dict[str, float]]


class Step(NamedTuple):
    """What one step gives.

    Attributes:
        state: the next state, a pytree.
        loss: a number.
        converged: whether the method has converged.
        failures: how many steps in a row have failed. Left out: how many losses in a row are not finite.
        shown: further numbers by name, for the bar and the history.
    """

    state: Any
    loss: Any
    converged: Any = False
    failures: Any = None
    shown: Any = None


@dataclasses.dataclass(frozen=True)
class Outcome:
    """The last state, what was recorded at each step, and how it ended.

    Attributes:
        state: the last state.
        history: a row for each step: the loss, what the step showed, what the looks added, and the seconds since the start.
        converged: whether the method says so.
        reason: how it ended, in words.
    """

    state: Any
    history: pd.DataFrame
    converged: bool
    reason: str

    @property
    def losses(self) -> np.ndarray:
        """The loss of every step."""
        return self.history["loss"].to_numpy(float)


def repeat(
    step: Callable[..., Step],
    state: Any,
    max_steps: int,
    *,
    inputs: Callable[[int], tuple[Any, ...]] | None = None,
    look: Callable[[int, Any, Rows], str] | None = None,
    due: Callable[[int], bool] = bool,
    rows: Rows | None = None,
    lag: int = 0,
    progress: bool = True,
    label: str = "fit",
    limit: str = "max_steps",
) -> Outcome:
    """Repeats `step` until it says that it has converged, or `max_steps` is reached.

    Ctrl-C ends the loop and keeps what was reached. So do 20 failures in a row.

    Args:
        step: state -> Step; jitted by its maker. With `inputs`, (state, *inputs(n)) -> Step.
        state: where to begin; a pytree.
        max_steps: the most steps taken, those in `rows` among them.
        inputs: what step number n, from 0, gets besides the state.
        look: (steps done, state, rows) -> why to stop, or an empty text; may add to the last row. Called where it is due, and once
            more where a run is continued there.
        due: steps done -> whether to look. After each step if left out.
        rows: the history so far, of a run that is continued; rows are added to it.
        lag: by how many steps the numbers of a step are read later than it is started, so that the device need not wait for
            Python. A step that comes after one that converged, or that had its 20th failure, must then change nothing.
        progress: show a bar with the loss.
        label: the text before the bar.
        limit: what the user calls `max_steps`.
    """
    run = _Run(state, [] if rows is None else rows)
    with tqdm(total=max_steps, initial=run.done, desc=label, disable=not progress, leave=True) as bar:
        try:
            while True:
                if look is not None and run.done and due(run.done):
                    run.read(0, bar)
                    run.look(look)
                if run.stop or run.done >= max_steps:
                    break
                made = step(run.state) if inputs is None else step(run.state, *inputs(run.done))
                run.waiting.append((run.done, made._replace(state=None)))  # a state may be as large as memory allows twice
                run.reached = (made.state, run.done + 1)  # one assignment: Ctrl-C finds either both or none of them
                run.read(lag, bar)
            run.read(0, bar)
        except KeyboardInterrupt:
            if run.done == 0:
                raise
            run.read(0, bar)
            run.stop = run.stop or f"interrupted after {run.done} steps"
        if run.converged:
            bar.total = run.done
            bar.refresh()
    return Outcome(run.state, pd.DataFrame(run.rows), run.converged, run.stop or f"stopped after {limit}={max_steps}")


class _Run:
    """Where a loop stands."""

    def __init__(self, state: Any, rows: Rows) -> None:
        self.reached = (state, len(rows))
        self.rows = rows
        self.waiting: deque[Any] = deque()  # what steps gave that was not read yet, oldest first
        self.converged, self.stop = False, ""
        self.bad = 0
        self.began = time.perf_counter() - (rows[-1]["seconds"] if rows else 0.0)

    @property
    def state(self) -> Any:
        return self.reached[0]

    @property
    def done(self) -> int:
        return self.reached[1]

    def read(self, lag: int, bar: Any) -> None:
        """The numbers of all steps but the last `lag`, into the rows. Once more, after Ctrl-C, it changes nothing."""
        while len(self.waiting) > lag and not self.stop:
            n, made = self.waiting[0]
            if n == len(self.rows) and n < self.done:
                self.rows.append(self._row(made))
                self._judge(made)
                bar.update()
                bar.set_postfix_str("  ".join(f"{name} {value:.4g}" for name, value in self.rows[-1].items() if name != "seconds"), refresh=False)
            self.waiting.popleft()
        if self.stop:  # what was started after the last step changed nothing
            self.reached = (self.state, len(self.rows))

    def look(self, look: Any) -> None:
        if not self.stop:
            self.stop = look(self.done, self.state, self.rows)

    def _row(self, made: Step) -> dict[str, float]:
        shown = {name: float(value) for name, value in (made.shown or {}).items()}
        return {"loss": float(made.loss), **shown, "seconds": time.perf_counter() - self.began}

    def _judge(self, made: Step) -> None:
        if made.failures is not None:
            self.bad = int(made.failures)
        else:
            self.bad = 0 if math.isfinite(self.rows[-1]["loss"]) else self.bad + 1
        self.converged = bool(made.converged)
        if self.converged:
            self.stop = "converged"
        elif self.bad >= FAILURES:
            self.stop = f"stopped: the loss or its gradient was NaN or infinite for {FAILURES} steps"
