"""The training of a physics-informed network: stages, each a method of room `optimize`, on the one loop.

between steps     new points, new weights of terms, a look at the loss at points that stay
at the end        the arrays that were best at those points
"""

import dataclasses
import time
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax

from ..errors import FileError, FitError
from ..optimize import Descent, Rows, Step, checkpoint, repeat
from .problem import Batch, Points, Problem

_LAG = 8  # quick steps that the device may be ahead of Python
_HEAVY = 1_000_000  # numbers from which one step after the other is quick enough, and points of several take memory
_LOOKS = 50  # looks at the points that stay, in one stage
_DIVERGED = 1e4  # times the best loss
ENDS = ("interrupted", "diverged", "time is over")  # how a reason begins that ends all stages


@dataclasses.dataclass(frozen=True)
class Stage:
    """A part of a training.

    Attributes:
        method: of room `optimize`: `Descent`, `GaussNewton`, `Broyden`; or a transformation of optax.
        every: steps between new points.

    >>> import optax, sciml as sci
    >>> sci.pinn.Stage(optax.adam(1e-3), every=10).every
    10
    """

    method: Any
    every: int = 1


def as_stage(given: Any) -> Stage:
    """A stage from a method, a transformation of optax, or a number of steps of Adam."""
    stage = given if isinstance(given, Stage) else Stage(given)
    method = stage.method
    if isinstance(method, optax.GradientTransformation):
        method = Descent(method)
    if isinstance(method, int) and not isinstance(method, bool):
        method = Descent(max_steps=method)
    if not all(hasattr(method, word) for word in ("begin", "advance", "point", "max_steps")):
        raise FitError(f"train= holds {given!r}, which is no method. Write train=[sci.pinn.Stage(optax.adam(1e-3))], or a number of steps.")
    if isinstance(stage.every, bool) or not isinstance(stage.every, int) or stage.every < 1:
        raise FitError(f"Stage(..., every={stage.every!r}): the number of steps between new points, at least 1.")
    return Stage(method, stage.every if isinstance(given, Stage) or isinstance(method, Descent) else 20)


@dataclasses.dataclass
class Best:
    """The arrays that were best at the points that stay."""

    z: Any
    loss: float = np.inf
    step: int = 0


class Training:
    """One training: its programs, and where it stands.

    Args:
        problem: the loss.
        z: where it begins.
        sampler: of the points.
        stages: in their order.
        weights: the rule (z, batch) -> batch with new weights, or None where they stay.
        start: the first weights.
        key: of all that is drawn.
        adaptive: whether points go where the residual is large.
        minutes: after which it stops, or None.
    """

    def __init__(
        self,
        problem: Problem,
        z: Any,
        sampler: Any,
        stages: list[Stage],
        weights: Any,
        start: dict[str, Any],
        key: Any,
        adaptive: bool,
        minutes: float | None = None,
    ):
        self.problem, self.sampler, self.stages, self.key, self.adaptive = problem, sampler, stages, key, adaptive
        self.first_weights, self.weights = dict(start), dict(start)
        drawing, judging = jax.random.split(key)
        self.drawing = drawing
        self.start = z
        rest = {**z, "network": None}  # what sources need of it: a wide network must not become a constant of a program
        self._draw = jax.jit(lambda n: problem.prepared(rest, sampler.draw(jax.random.fold_in(drawing, n))))
        self._adapt = jax.jit(lambda z, n: problem.prepared(rest, sampler.adapted(problem, z, jax.random.fold_in(drawing, n))))
        self._reweigh = None if weights is None else jax.jit(weights)
        self._judge = jax.jit(problem.shown)
        self.check = Batch(jax.jit(lambda k: problem.prepared(rest, sampler.draw(k)))(judging), self.first_weights, judging)
        self.minutes = minutes
        self.rows: Rows = []
        self.stage, self.began = 0, 0
        self.points: dict[str, Points] = {}

    def __call__(self, progress: bool, path: Path | None = None, resume: bool = False, label: str = "training") -> tuple[Best, str]:
        """(the best arrays, how it ended)."""
        self.path, self.best = path, Best(self.start)
        self.until = np.inf if self.minutes is None else time.perf_counter() + 60 * self.minutes
        state = self._resumed(self.start) if resume else None
        reason = ""
        while self.stage < len(self.stages):
            state, reason = self._run(self.stages[self.stage], self.best.z if state is None else state, state is not None, progress, label)
            if reason.startswith(ENDS):
                break
            self.stage, self.began, state = self.stage + 1, len(self.rows), None
        if self.path is not None and self.stage == len(self.stages):
            self._write(())
        return self.best, reason

    def _run(self, stage: Stage, begin: Any, resumed: bool, progress: bool, label: str) -> tuple[Any, str]:
        method = stage.method
        self.method, self.every = method, stage.every
        # A step overwrites the state that it is given, which may be most of the memory: nothing else may hold these arrays.
        state = jax.tree.map(jnp.copy, begin if resumed else method.begin(begin))
        light = sum(leaf.size for leaf in jax.tree.leaves(state)) < _HEAVY
        self.look_every = max(method.max_steps // _LOOKS, 1)
        if not resumed:
            self._renew(len(self.rows), state)
        program = jax.jit(lambda state, batch: method.advance(self.problem, state, batch), donate_argnums=0)

        def step(state: Any, batch: Batch) -> Step:
            # A method that has converged on some points goes on when others come.
            made = program(state, batch)
            return made._replace(converged=False) if stage.every < method.max_steps else made

        outcome = repeat(
            step, state, self.began + method.max_steps, inputs=self._inputs, look=self._look, due=self._due, rows=self.rows,
            lag=_LAG if light and isinstance(method, Descent) else 1, progress=progress,
            label=f"{label} {self.stage + 1}/{len(self.stages)}", limit="steps",
        )  # fmt: skip
        for row in self.rows[self.began :]:
            row["stage"] = self.stage + 1
        if _whole(outcome.state):  # not if Ctrl-C came while a step was overwriting it
            self._consider(len(self.rows), outcome.state)
            if self.path is not None:
                self._write(outcome.state)
        return outcome.state, outcome.reason

    # -- between steps ----------------------------------------------------------------------------------

    def _inputs(self, n: int) -> tuple[Batch]:
        if not self._by_residual and (n - self.began) % self.every == 0 and n > self.began:
            self.points = self._draw(n)
        return (Batch(self.points, self.weights, self._key(n)),)

    def _key(self, n: int) -> Any:
        """Of the estimates at one step."""
        return jax.random.fold_in(self.drawing, n + (1 << 30))

    @property
    def _by_residual(self) -> bool:
        """Whether new points wait for a look at the residuals."""
        return self.adaptive or self._reweigh is not None

    def _due(self, n: int) -> bool:
        since = n - self.began
        if time.perf_counter() > self.until:
            return True
        return since > 0 and (since % self.look_every == 0 or (self._by_residual and since % self._renewal == 0))

    @property
    def _renewal(self) -> int:
        """Steps between new points that need the residuals: not at each step of a quick method."""
        return self.every if self.every > 1 else 50

    def _look(self, n: int, state: Any, rows: Rows) -> str:
        since = n - self.began
        if time.perf_counter() > self.until:
            return f"time is over: {self.minutes:g} minutes"
        stop = self._consider(n, state) if since % self.look_every == 0 else ""
        if self._by_residual and since % self._renewal == 0:
            self._renew(n, state)
        if self.path is not None and since % self.look_every == 0:
            self._write(state)
        return stop

    def _renew(self, n: int, state: Any) -> None:
        z = self.method.point(state)
        self.points = self._adapt(z, n) if self.adaptive else self._draw(n)
        if self._reweigh is not None:
            batch = self._reweigh(z, Batch(self.points, self.weights, self._key(n)))
            self.points, self.weights = batch.points, batch.weights

    def _consider(self, n: int, state: Any) -> str:
        """Keeps the arrays if they are the best so far; says so if they are hopeless."""
        z = self.method.point(state)
        loss = float(self._judge(z, self.check)[0])
        if self.rows:
            self.rows[-1]["checked"] = loss
        if loss < self.best.loss or not np.isfinite(self.best.loss):
            self.best = Best(jax.tree.map(jnp.copy, z), loss, n)
        if loss > _DIVERGED * max(self.best.loss, 1e-300) and loss > float(self.rows[0]["loss"]):
            return (
                f"diverged: the loss at the points that stay is {loss:.3g}, and was {self.best.loss:.3g} after {self.best.step} steps, which are kept"
            )
        return ""

    # -- checkpoints --------------------------------------------------------------------------------------

    def _facts(self) -> dict[str, Any]:
        columns = list(dict.fromkeys(name for row in self.rows for name in row))
        return {"steps": len(self.rows), "stage": self.stage, "began": self.began, "best step": self.best.step, "columns": columns}

    def _write(self, state: Any) -> None:
        facts = self._facts()
        history = [np.array([row.get(name, np.nan) for row in self.rows], float) for name in facts["columns"]]
        checkpoint.write(self.path, (state, self.best.z, np.asarray(self.best.loss), self.points, self.weights, history), facts)

    def _resumed(self, z: Any) -> Any:
        """The state in the file, or None where there is no file or its stage is over."""
        if self.path is None or not self.path.exists():
            return None
        facts = checkpoint.facts(self.path)
        if facts.get("stage", len(self.stages) + 1) > len(self.stages):
            raise FileError(f"The checkpoint {self.path} is of a training with other stages. Give those that it was written with.")
        over = facts["stage"] == len(self.stages)
        history = [np.zeros(facts["steps"]) for _ in facts["columns"]]
        points = self._draw(0)
        begun = () if over else self.stages[facts["stage"]].method.begin(z)
        like = (begun, z, np.asarray(0.0), points, self.weights, history)
        state, best, loss, points, weights, history = checkpoint.read(self.path, like)
        state, best, self.points, self.weights = jax.tree.map(jnp.asarray, (state, best, points, weights))
        self.stage, self.began = facts["stage"], facts["began"]
        self.best = Best(best, float(loss), facts["best step"])
        self.rows[:] = [
            {name: float(v) for name, v in zip(facts["columns"], row, strict=True) if not np.isnan(v)} for row in zip(*history, strict=True)
        ]
        return state


def _whole(state: Any) -> bool:
    return not any(leaf.is_deleted() for leaf in jax.tree.leaves(state) if isinstance(leaf, jax.Array))
