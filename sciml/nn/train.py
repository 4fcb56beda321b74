"""`sciml.nn.fit`: mini-batches, validation, early stopping and checkpoints, on the one loop of room `optimize`."""

import inspect
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax

from ..errors import FitError, nearest
from ..optimize import FAILURES, Batches, Outcome, Rows, Step, Training, advance, begin, checkpoint, digest, on_device, repeat, split, take
from .training import TrainingResult

VALIDATION = "validation "  # before the names of what is measured on the validation data
_LAG = 8  # steps that the device may be ahead of Python


def fit(
    model: Any,
    data: Any,
    loss: Callable[..., Any],
    *,
    batch: int | None = 32,
    steps: int | None = None,
    epochs: float | None = None,
    optimizer: Any = None,
    validation: Any = None,
    every: int | None = None,
    patience: int | None = None,
    regularize: Any = None,
    key: Any = None,
    checkpoint: Any = None,
    checkpoint_every: int = 100,
    resume: bool = False,
    allow_nan: bool = False,
    progress: bool = True,
    **unknown: Any,
) -> TrainingResult:
    """Trains a model, or any pytree with JAX arrays of floating numbers, by an optimiser of optax.

    The data are shuffled anew each epoch; what is left over when an epoch does not divide into batches waits for the next one, so
    that all batches have one shape and the step is compiled once. The order, and the key that the loss gets at each step, follow
    from `key` and the number of the step.

    Where the loss or its gradient is NaN or infinite, the step is taken back: training goes on from the last arrays at which both
    were finite, with the next batch. After 20 failures in a row it stops there. Ctrl-C stops as well, with what was reached.

    Args:
        model: its JAX arrays of floating numbers are trained. All else stays, NumPy arrays too.
        data: a pytree of arrays of equal first axis, such as (x, y). They are put on the device as a whole.
        loss: `loss(model, batch, key)` gives a number, or a number and a dict of further ones, which the bar and the history
            show (`{"nfe": ...}`). `batch` is like data, with `batch` rows. With `regularize=`, `loss(model, batch, key,
            regularize)` gets the penalty at this step, for `sciml.solve` or a layer, and None on validation data.
        batch: rows in a batch; None for all of them at each step.
        steps: the number of steps, in all if a run is resumed; 1000 if `epochs` is left out too.
        epochs: the same in passes through the data.
        optimizer: any transformation of optax, with its schedule; `optax.adam(1e-3)` if left out.
        validation: data like `data`, or the fraction of the rows that is held back for it. The loss is then also taken on all of
            them at once, in inference mode (`eqx.nn.inference_mode`).
        every: steps between two validations; an epoch if left out, but at least 10 steps.
        patience: how many validations in a row may bring nothing better before training stops.
        regularize: `sciml.ErrorEstimate`, `sciml.Stiffness`, or a list of them; a weight may be a schedule of optax.
        key: of the shuffling, of the split and of what the loss draws; `jax.random.key(0)` if left out.
        checkpoint: a file to write the run to: at intervals, at the end and at Ctrl-C.
        checkpoint_every: steps between two writings.
        resume: go on where the file `checkpoint` stands, bit for bit as if it had never stopped; from the beginning if there is none.
        allow_nan: NaN in the data is meant, and the loss knows what to do with it.
        progress: show a bar.

    Returns:
        A `TrainingResult`: the model that was best on the validation data, or else the last one with a finite loss.

    Raises:
        FitError: data, a loss, or options that cannot be used.
        FileError: a checkpoint of another architecture, or of other data or options.

    Kingma and Ba 2015 for Adam; Prechelt 1998 for early stopping.

    >>> import equinox as eqx, jax, jax.numpy as jnp, optax, sciml as sci
    >>> x = jnp.linspace(-1, 1, 64)[:, None]
    >>> line = eqx.nn.Linear(1, 1, key=jax.random.key(0))
    >>> def loss(model, batch, key):
    ...     x, y = batch
    ...     return jnp.mean((jax.vmap(model)(x) - y)**2)
    >>> result = sci.nn.fit(line, (x, 3*x + 1), loss, batch=16, steps=300, optimizer=optax.adam(0.1), progress=False)
    >>> round(float(result.model.weight[0, 0]), 2), round(float(result.model.bias[0]), 2)
    (3.0, 1.0)
    """
    if unknown:
        options = [name for name, p in inspect.signature(fit).parameters.items() if p.kind is p.KEYWORD_ONLY]
        raise FitError(" ".join(f"sci.nn.fit has no option {name}. {nearest(name, options)}" for name in unknown))
    key = _key(key)
    optimizer = optax.adam(1e-3) if optimizer is None else optimizer
    _check(loss, optimizer, regularize, validation, patience, checkpoint, resume)
    for name, number in (("steps", steps), ("every", every), ("patience", patience), ("checkpoint_every", checkpoint_every)):
        _whole(name, number)
    order, splitting, drawing, judging = jax.random.split(key, 4)
    data = on_device(data, "data", allow_nan)
    data, held = _validation(data, validation, splitting, allow_nan)
    batches = Batches(data, batch, order)
    run = _Run(model, loss, optimizer, regularize, batches, held, (drawing, judging))
    run.every = max(batches.per_epoch, 10) if every is None else every
    run.patience = patience
    run.settings = {} if checkpoint is None else _settings(key, data, held, batch, run.every)
    run.path, run.checkpoint_every = None if checkpoint is None else Path(checkpoint), checkpoint_every
    return run(_steps(steps, epochs, batches.per_epoch), resume, progress)


class _Saved(NamedTuple):
    """The arrays in a checkpoint."""

    model: Any
    training: Any  # all of the state but the model
    best: Any
    best_loss: Any
    history: Any


class _Run:
    """One training: its programs, and the best model so far."""

    every: int
    patience: int | None
    settings: dict[str, Any]
    path: Path | None
    checkpoint_every: int

    def __init__(self, model: Any, loss: Any, optimizer: Any, regularize: Any, batches: Batches, held: Any, keys: Any) -> None:
        arrays, self.rest = eqx.partition(model, _is_trained)
        if not jax.tree.leaves(arrays):
            raise FitError(
                f"The model ({type(model).__name__}) has no JAX arrays of floating numbers, so there is nothing to train. "
                "NumPy arrays stay as they are; jnp.asarray(...) makes them trainable."
            )
        self.optimizer, self.batches, self.held = optimizer, batches, held
        self.state = begin(optimizer, arrays)
        self.best = (0, np.inf, arrays)  # one tuple: Ctrl-C finds all of it or nothing
        drawing, judging = keys
        # JAX takes lists of arrays in and out of a program much faster than modules.
        self.form = jax.tree.structure(self.state)
        self.data, data_form = jax.tree.flatten(batches.data)

        def value(arrays: Any, rows: Any, key: Any, given: tuple[Any, ...], judge: bool = False) -> tuple[Any, Any]:
            whole = eqx.combine(arrays, self.rest)
            return _number(loss(eqx.nn.inference_mode(whole) if judge else whole, rows, key, *given))

        @jax.jit
        def step(leaves: list[Any], rows: Any, data: list[Any]) -> Step:
            state = self._state(leaves)
            given = () if regularize is None else (_at(regularize, state.step),)
            part, key = take(jax.tree.unflatten(data_form, data), rows), jax.random.fold_in(drawing, state.step)
            made = advance(lambda arrays: value(arrays, part, key, given), optimizer, state)
            return made._replace(state=jax.tree.leaves(made.state))

        @jax.jit
        def judge(arrays: Any, held: Any) -> tuple[Any, Any]:
            return value(arrays, held, judging, () if regularize is None else (None,), judge=True)

        self.step, self.judge = step, judge

    def __call__(self, steps: int, resume: bool, progress: bool) -> TrainingResult:
        rows = self._resume() if resume else []
        if not resume and self.path is not None and self.path.exists():
            raise FitError(f"{self.path} is there already. Write resume=True to go on from it, give another name, or delete it.")
        outcome = repeat(
            self.step, jax.tree.leaves(self.state), max(steps, len(rows)), inputs=self._inputs, look=self._look, due=self._due, rows=rows,
            lag=_LAG, progress=progress, label="training", limit="steps",
        )  # fmt: skip
        if self.path is not None:
            self._write(self._state(outcome.state), rows)
        return self._result(outcome, rows)

    def _inputs(self, n: int) -> tuple[Any, list[Any]]:
        return self.batches(n), self.data

    def _state(self, leaves: list[Any]) -> Training:
        return jax.tree.unflatten(self.form, leaves)

    # What happens between steps

    def _due(self, n: int) -> bool:
        return (self.held is not None and n % self.every == 0) or (self.path is not None and n % self.checkpoint_every == 0)

    def _look(self, n: int, leaves: list[Any], rows: Rows) -> str:
        state = self._state(leaves)
        stop = self._validate(n, state, rows) if self.held is not None and n % self.every == 0 else ""
        if self.path is not None and n % self.checkpoint_every == 0:
            self._write(state, rows)
        return stop

    def _validate(self, n: int, state: Training, rows: Rows) -> str:
        """Done twice at one step, it changes nothing."""
        loss, shown = self.judge(state.model, self.held)
        rows[-1].update({VALIDATION + name: float(value) for name, value in {"loss": loss, **shown}.items()})
        if float(loss) < self.best[1]:
            self.best = (n, float(loss), state.model)
        since = (n - self.best[0]) // self.every
        if self.patience is None or since < self.patience:
            return ""
        return f"stopped early: the validation loss was lowest after {self.best[0]} steps, and {since} validations since brought nothing better"

    def _result(self, outcome: Outcome, rows: Rows) -> TrainingResult:
        n, reason = len(rows), outcome.reason
        if self.held is not None and n % self.every:  # after the checkpoint, so that a longer run does not see it
            self._validate(n, self._state(outcome.state), rows)
        # The last arrays have not been tried yet: the step that would follow says whether the loss is finite there.
        arrays = self.best[2] if self.best[0] else self._state(self.step(outcome.state, *self._inputs(n)).state).good
        if reason.startswith("stopped:"):
            reason += "; the last good model is kept"
        model = eqx.combine(arrays, self.rest)
        return TrainingResult(model, rows, reason, self.batches.per_epoch, self.best[0] or None)

    # Checkpoints

    def _write(self, state: Training, rows: Rows) -> None:
        assert self.path is not None
        columns = list(dict.fromkeys(name for row in rows for name in row))
        history = [np.array([row.get(name, np.nan) for row in rows]) for name in columns]
        best = (np.asarray(self.best[1]), self.best[2])
        facts = {"settings": self.settings, "steps": len(rows), "best step": self.best[0], "columns": columns}
        checkpoint.write(self.path, _Saved(state.model, state[1:], best[1], best[0], history), facts)

    def _resume(self) -> Rows:
        """Sets the state from the file, and gives the history in it."""
        if self.path is None or not self.path.exists():
            return []
        facts = checkpoint.facts(self.path)
        history = [np.zeros(facts["steps"]) for _ in facts["columns"]]
        like = _Saved(self.state.model, self.state[1:], self.best[2], np.asarray(0.0), history)
        saved = checkpoint.read(self.path, like)
        for name, here in self.settings.items():
            there = facts["settings"].get(name)
            if there != here:
                raise FitError(
                    f"The checkpoint {self.path} was written with other {name} ({there} there, {here} here): a run goes on as it began. "
                    "Give what it was written with, or begin anew under another name: checkpoint=..."
                )
        model, rest, best = jax.tree.map(jnp.asarray, (saved.model, saved.training, saved.best))
        state = Training(model, *rest)
        if int(state.failures) >= FAILURES:
            state = state._replace(failures=jnp.zeros_like(state.failures))
        self.state, self.best = state, (facts["best step"], float(saved.best_loss), best)
        return [dict(zip(facts["columns"], map(float, row), strict=True)) for row in zip(*saved.history, strict=True)]


# What comes in


def _check(loss: Any, optimizer: Any, regularize: Any, validation: Any, patience: Any, checkpoint: Any, resume: bool) -> None:
    if not isinstance(optimizer, optax.GradientTransformation):
        raise FitError(f"optimizer={optimizer!r} is no transformation of optax. Write optimizer=optax.adam(1e-3).")
    if patience is not None and validation is None:
        raise FitError("patience counts validations, and there is no validation data. Write validation=0.2, or give data.")
    if resume and checkpoint is None:
        raise FitError("resume=True without a file to resume from. Write checkpoint='run.ckpt', resume=True.")
    for one in regularize if isinstance(regularize, Sequence) else [regularize]:
        if one is not None and not hasattr(one, "at"):
            raise FitError(f"regularize={one!r}: write sci.ErrorEstimate(0.1), sci.Stiffness(0.1), or a list of them.")
    wanted = ("model", "batch", "key") if regularize is None else ("model", "batch", "key", "regularize")
    try:
        inspect.signature(loss).bind(*wanted)
    except TypeError as error:
        also = " (regularize= is given)" if regularize is not None else ""
        raise FitError(f"The loss must take {len(wanted)} arguments{also}: loss({', '.join(wanted)}).") from error
    except ValueError:
        pass  # a function without a signature


def _key(key: Any) -> Any:
    if key is None:
        return jax.random.key(0)
    if not isinstance(key, jax.Array) or jax.random.key_data(key).shape != jax.random.key_data(jax.random.key(0)).shape:
        raise FitError(f"key={key!r} is no key of JAX. Write key=jax.random.key(0).")
    return key


def _is_trained(leaf: Any) -> bool:
    return isinstance(leaf, jax.Array) and jnp.issubdtype(leaf.dtype, jnp.inexact)


def _whole(name: str, number: Any) -> None:
    if number is not None and (isinstance(number, bool) or not isinstance(number, int | np.integer) or number < 1):
        raise FitError(f"{name}={number!r}: a whole number, at least 1.")


def _steps(steps: int | None, epochs: float | None, per_epoch: int) -> int:
    if steps is not None and epochs is not None:
        raise FitError(f"steps={steps} and epochs={epochs} say the same thing twice. Give one of them.")
    if epochs is None:
        return 1000 if steps is None else int(steps)
    if not epochs > 0:
        raise FitError(f"epochs={epochs}: the number of passes through the data, above 0.")
    return max(round(epochs * per_epoch), 1)


def _validation(data: Any, validation: Any, key: Any, allow_nan: bool) -> tuple[Any, Any]:
    """(data to train on, data to judge by)."""
    if validation is None:
        return data, None
    if isinstance(validation, int | float):
        if not 0 < validation < 1:
            raise FitError(f"validation={validation}: a fraction between 0 and 1, or data like the ones to train on.")
        return split(data, validation, key)
    held = on_device(validation, "validation", allow_nan)
    there, here = (str(jax.tree.structure(tree)) for tree in (held, data))
    if there != here:
        raise FitError(f"validation has the structure {there} and data {here}: they must be alike.")
    for (path, a), b in zip(jax.tree_util.tree_leaves_with_path(held), jax.tree.leaves(data), strict=True):
        if a.shape[1:] != b.shape[1:]:
            where = jax.tree_util.keystr(path)
            raise FitError(f"A row of validation{where} has shape {a.shape[1:]} and one of data{where} {b.shape[1:]}: they must be alike.")
    return data, held


def _settings(key: Any, data: Any, held: Any, batch: int | None, every: int) -> dict[str, Any]:
    """What must be the same when a run goes on."""
    return {
        "batch": batch,
        "key": [int(word) for word in np.asarray(jax.random.key_data(key)).ravel()],
        "data": digest(data),
        "validation": None if held is None else digest(held),
        "every": every,
    }


def _at(regularize: Any, step: Any) -> Any:
    with jax.numpy_dtype_promotion("standard"):  # schedules of optax mix integers and floats
        return [one.at(step) for one in regularize] if isinstance(regularize, Sequence) else regularize.at(step)


def _number(found: Any) -> tuple[Any, dict[str, Any]]:
    """(loss, further numbers) from what the user's loss gives."""
    value, shown = found if isinstance(found, tuple) and len(found) == 2 else (found, {})
    if not isinstance(shown, dict) or not all(isinstance(name, str) and jnp.shape(number) == () for name, number in shown.items()):
        raise FitError("What the loss gives besides the number must be a dict from names to numbers, such as {'nfe': jnp.mean(counts)}.")
    taken = sorted({"loss", "epoch", "seconds"} & set(shown)) + [name for name in shown if name.startswith(VALIDATION)]
    if taken:
        raise FitError(f"The loss shows a number under the name '{taken[0]}', which the history uses itself. Give it another name.")
    if (
        not isinstance(value, jax.Array | np.ndarray | np.generic | float)
        or jnp.shape(value)
        or not jnp.issubdtype(jnp.result_type(value), jnp.floating)
    ):
        what = f"an array of shape {jnp.shape(value)}" if jnp.shape(value) else f"{value!r}"
        raise FitError(f"The loss gives {what}, where one real number is wanted. Take the mean: jnp.mean(...).")
    return jnp.asarray(value), {name: jax.lax.stop_gradient(jnp.asarray(number)) for name, number in shown.items()}
