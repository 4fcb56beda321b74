"""The Solution: numbers that know their names. Unpacked when asked, evaluated for any expression."""

import functools
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp
import numpy as np

from ..codegen import CompiledSystem
from ..errors import NameUnknown, SolveError, nearest
from ..system import System, latex, latex_name, name_of, text
from .evaluate import dense_evaluator, depends_on_time, expression_evaluator, over_lanes
from .program import TAIL, Program
from .status import sentence_of, status_of

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr


@jax.tree_util.register_pytree_node_class
class Solution:
    """What `sciml.solve` gives; a pytree, so it may cross `jit`, `vmap` and `grad`.

    `sol[x]`, `sol["x"]`, `sol[x/(x + y)]`, `sol[x.diff(t)]`, `sol["total"]`: any expression of unknowns, rates,
    parameters, data and time, of shape (batch..., time, *shape of the expression). An expression of parameters
    alone has no time axis.

    Attributes:
        t: the times, (batch..., time). With saveat="steps" inside a transformation, NaN after the last step.
        status: a `Status`, or a batch of them.
        stats: steps, accepted, rejected, rhs, jacobians (numbers; None where not known), solver, adjoint, reason (words).
    """

    def __init__(
        self,
        out: Any,
        buffer: Any,
        values: Any,
        dense: Any,
        program: Program,
        n_times: int | None,
        axes: tuple[str, ...] = (),
        zipped: tuple[str, ...] = (),
        penalty: Any = None,
    ):
        self._out, self._buffer, self._values, self._dense = out, buffer, values, dense
        self._program, self._n_times, self._axes, self._zipped, self._penalty = program, n_times, axes, zipped, penalty
        self._cache: dict[Any, Any] = {}

    def tree_flatten(self) -> tuple[tuple, tuple]:
        return (self._out, self._buffer, self._values, self._dense, self._penalty), (self._program, self._n_times, self._axes, self._zipped)

    @classmethod
    def tree_unflatten(cls, aux: tuple, children: tuple) -> "Solution":
        return cls(*children[:4], *aux, *children[4:])

    # -- pieces of the buffer -------------------------------------------------------

    @property
    def model(self) -> CompiledSystem:
        return self._program.model

    @property
    def system(self) -> System:
        return self.model.system

    @property
    def _concrete(self) -> bool:
        return not isinstance(self._out, jax.core.Tracer)

    @functools.cached_property
    def _flat(self) -> Any:
        """The packed numbers; as NumPy when they exist, because slicing NumPy costs nothing."""
        return np.asarray(self._out) if self._concrete else self._out

    @functools.cached_property
    def _length(self) -> int:
        """Number of times; with saveat="steps" and known numbers, of the steps that were taken."""
        stored = self._n_times or 1
        if self._program.options.saving == "steps" and self._concrete and self._n_times and self._flat.ndim == 1:
            return min(stored, int(self._tail("accepted")) + 1)
        return stored

    def _tail(self, name: str) -> Any:
        return self._flat[..., TAIL.index(name) - len(TAIL)]

    @property
    def _divided(self) -> bool:
        """Whether the unknowns live on many devices, each an array of its own."""
        return self._program.options.mesh is not None

    @functools.cached_property
    def _states(self) -> Any:
        if self._divided:
            return self._dense
        n, stored = self.model.layout.n_states, self._n_times or 1
        ys = self._flat[..., : stored * n].reshape(*self._flat.shape[:-1], stored, n)
        return ys[..., : self._length, :]

    @functools.cached_property
    def _times(self) -> Any:
        n, stored = 0 if self._divided else self.model.layout.n_states, self._n_times or 1
        return self._flat[..., stored * n : stored * n + self._length]

    @property
    def t(self) -> Any:
        return jnp.asarray(self._times if self._n_times else self._times[..., 0])

    @property
    def axes(self) -> tuple[str, ...]:
        """Names of the batch axes, outermost first: "batch", "batch1", ... those of `vmap`, then those of `sciml.ensemble`."""
        count = self._flat.ndim - 1
        named = self._axes if len(self._axes) <= count else ()
        return *("batch" + (str(i) if i else "") for i in range(count - len(named))), *named

    def _along(self) -> list[tuple[str, ...]]:
        """For each batch axis, the names of what runs over it."""
        axes = self.axes
        first = len(axes) - len(self._axes)
        return [self._zipped if i == first and self._zipped else (axis.removesuffix("(0)"),) for i, axis in enumerate(axes)]

    @property
    def status(self) -> Any:
        return status_of(self._tail("status"))

    @property
    def successful(self) -> Any:
        """True where the solve reached the end."""
        return self._tail("status") == 0

    @property
    def penalty(self) -> Any:
        """What `regularize=` asked for, weighted and summed: a number (one per lane of a batch) to add to a loss. NaN if the solve failed."""
        if self._penalty is None:
            raise SolveError("There is no penalty: write sci.solve(..., regularize=sci.ErrorEstimate(0.1), key=key).")
        return self._penalty

    @property
    def stats(self) -> dict[str, Any]:
        program, row = self._program, self._program.choice.row
        steps, accepted, rejected = (self._count(k) for k in ("steps", "accepted", "rejected"))
        first = 0 if program.options.fixed else 2  # the guess of the first step
        return {
            "steps": steps,
            "accepted": accepted,
            "rejected": rejected,
            "rhs": self._evaluations(steps, first),
            "jacobians": self._count("stiff") if program.native else steps if row.implicit else 0,
            "solver": program.choice.name,
            "adjoint": program.adjoint[0],
            "reason": f"solver: {self._why(steps)}; adjoint: {program.adjoint[2]}",
        }

    def _evaluations(self, steps: Any, first: int) -> Any:
        """How often the right sides were evaluated, not counting Jacobians; None where it is not known."""
        program, row = self._program, self._program.choice.row
        if program.native:
            assert row.native is not None
            explicit, rosenbrock = row.native
            stiff = self._count("stiff")
            in_stiff = (rosenbrock.stages + (explicit is not None)) * stiff if rosenbrock else 0
            return in_stiff + (explicit.stages * (steps - stiff) if explicit else 0) + 1 + first
        return None if row.stages is None else row.stages * steps + 1 + first

    def _why(self, steps: Any) -> str:
        """Why this solver; for "auto", what it found."""
        choice = self._program.choice
        if choice.name != "auto" or not self._program.native:
            return choice.reason
        stiff = self._count("stiff")
        if not self._concrete:
            return choice.reason
        if not isinstance(stiff, int):
            lanes = f"{(stiff > 0).sum()} of {stiff.size} lanes"
            return f"stiff in {lanes}, rodas5p took {stiff.sum():.0f} of {steps.sum():.0f} steps" if stiff.any() else "not stiff, tsit5 throughout"
        if stiff == 0:
            return "not stiff, tsit5 throughout"
        return f"stiff, rodas5p took {stiff} of {steps} steps" + (", tsit5 the others" if stiff < steps else "")

    def _count(self, name: str) -> Any:
        value = self._tail(name)
        return int(value) if self._concrete and value.ndim == 0 else value

    # -- values -----------------------------------------------------------------------

    def __getitem__(self, key: Any) -> Any:
        if isinstance(key, list | tuple):
            raise SolveError("Ask for one quantity at a time: sol[x], sol[y].")
        known = self._cache.get(key)
        if known is None:
            known = self._value(key)
            if self._concrete:
                self._cache[key] = known
        return known

    def _value(self, key: Any) -> Any:
        expression = self._expression(key)
        place = self.model.layout.states.get(expression) if isinstance(expression, str) else None
        if place is not None and self._divided:
            return self._states[place.name]
        if place is not None:
            piece = self._states[..., place.offset : place.end]
            piece = piece.reshape(*piece.shape[:-1], *place.shape)
            return jnp.asarray(piece if self._n_times else self._first_time(piece))
        return self._evaluated(expression)

    def _first_time(self, value: Any) -> Any:
        return value[(slice(None),) * (self._flat.ndim - 1) + (0,)]

    def _expression(self, key: Any) -> Any:
        """A state's name, or an expression to evaluate. Fields are taken with the ends that their conditions give them."""
        model = self.model
        grid = model.reduced.grid
        if grid is not None:
            key = grid.named(key)
            if grid.asks(key):
                key = grid.discretized(key)
        if isinstance(key, str):
            if key in model.layout.states:
                return key
            if key in model.reduced.observed:
                return model.reduced.observed[key]
            if key in model.names:
                return model.reduced.symbols[key]
            raise NameUnknown(f"The Solution has no '{key}'. {nearest(key, model.names)}")
        if _is_unknown(key) and name_of(key) in model.layout.states:
            return name_of(key)
        return key

    def _evaluated(self, expression: Any) -> Any:
        """Any expression, by a jitted function that is kept with the program."""
        program = self._program
        batch = self._flat.ndim - 1
        evaluator = program.evaluators.get((expression, batch, self._length))
        if evaluator is None:
            evaluator = jax.jit(expression_evaluator(program, expression, batch))
            program.evaluators[expression, batch, self._length] = evaluator
        value = evaluator(self._times, self._states, self._buffer, self._values)
        if not self._n_times and depends_on_time(program.model, expression):
            return self._first_time(value)
        return value

    def __call__(self, times: Any) -> "Solution":
        """The solution at other times: `sol(3.0)[x]`. Needs `dense=True`."""
        if self._dense is None or self._divided:
            raise SolveError("sol(time) needs the dense solution: write sci.solve(..., dense=True).")
        if self._concrete and not isinstance(times, jax.core.Tracer):
            self._refuse_outside(np.asarray(times))
        times = jnp.asarray(times, self._program.options.dtype)
        batch = self._flat.ndim - 1
        evaluate = self._program.evaluators.get(("dense", batch))
        if evaluate is None:
            evaluate = jax.jit(over_lanes(dense_evaluator(self._program), self.model, batch))
            self._program.evaluators["dense", batch] = evaluate
        out = evaluate(self._out, self._dense, self._buffer, self._values, jnp.atleast_1d(times))
        return Solution(out, self._buffer, self._values, self._dense, self._program, len(times) if times.ndim else None, self._axes, self._zipped)

    def _refuse_outside(self, times: np.ndarray) -> None:
        given = self._program.split(np.asarray(self._buffer))
        low, high = np.min(np.minimum(given["t0"], given["t1"])), np.max(np.maximum(given["t0"], given["t1"]))
        slack = 1e-6 * (high - low)
        if (times < low - slack).any() or (times > high + slack).any():
            raise SolveError(f"The solution is known from t={low:g} to t={high:g} only. Solve over a longer t_span to ask for other times.")

    # -- to tables and pictures ---------------------------------------------------------

    def quantities(self) -> dict[str, Any]:
        """Every unknown (eliminated ones too) and observed quantity with its symbol or expression."""
        model = self.model
        unknowns = {n: model.reduced.symbols[n] for n in (*model.layout.states, *model.definitions)}
        return {**unknowns, **model.reduced.observed}

    def to_pandas(self) -> "pd.DataFrame":
        """A table with one column per unknown and observed quantity, the time as index.

        Components of an array have columns `z[0]`, `z[1]` ...; a batch gives a table with the batch axes in the index.
        """
        import pandas as pd

        if self._flat.ndim > 1:
            return self.to_xarray().to_dataframe()
        columns: dict[str, Any] = {}
        for name in self.quantities():
            value = self._series(name)
            if value.ndim == 1:
                columns[name] = value
            else:
                for index in np.ndindex(*value.shape[1:]):
                    columns[f"{name}[{','.join(map(str, index))}]"] = value[(slice(None), *index)]
        return pd.DataFrame(columns, index=pd.Index(self._times, name="t"))

    def _series(self, key: Any) -> np.ndarray:
        """`sol[key]` with a time axis, also at one time and for what does not depend on time."""
        value, at, expression = np.asarray(self[key]), self._flat.ndim - 1, self._expression(key)
        if self._n_times and (isinstance(expression, str) or depends_on_time(self.model, expression)):
            return value
        return np.repeat(np.expand_dims(value, at), self._length, axis=at)

    def to_xarray(self, batch: Sequence[str] | str = ()) -> "xr.Dataset":
        """A Dataset: one variable per unknown and observed quantity, with units and descriptions as attributes.

        Args:
            batch: names of the batch axes, outermost first; "batch", "batch1", ... if left out.
        """
        import xarray as xr

        from ..symbols import declaration_of

        axes = self._flat.ndim - 1
        names = [batch] if isinstance(batch, str) else list(batch)
        if len(names) > axes:
            raise SolveError(f"This Solution has {axes} batch axes, not {len(names)}: to_xarray(batch={names[:axes]}).")
        names += self.axes[len(names) :]
        time = np.asarray(self._times)
        rows = time.reshape(-1, time.shape[-1])
        longest = rows[np.argmax(np.isfinite(rows).sum(axis=1))]  # a lane that failed has NaN for what it did not reach
        same = axes == 0 or bool(((rows == longest) | ~np.isfinite(rows)).all() and self._program.options.saving != "steps")
        coordinates: dict[str, Any] = {"t": longest} if same else {"time": ((*names, "t"), time)}
        coordinates.update(self._batch_values(names))
        variables = {}
        grid = self.model.reduced.grid
        for name, symbol in self.quantities().items():
            value = self._series(name)
            inner = [f"{name}_{i}" for i in range(value.ndim - axes - 1)]
            if grid is not None:
                over = grid.coordinates_of_name(name)
                inner = [c.name for c in over] if len(over) == len(inner) else inner
                coordinates.update({c.name: (c.name, grid.axes[c.name].points) for c in over})
            d = declaration_of(symbol)
            attributes = {"units": d.unit, "description": d.description} if d is not None else {"long_name": text(symbol)}
            variables[name] = ((*names, "t", *inner), value, {k: v for k, v in attributes.items() if v})
        made = xr.Dataset(variables, coordinates, {"system": self.system.name, "solver": self._program.choice.name})
        for c in grid.axes.values() if grid is not None else ():
            if c.name in made.coords and c.coordinate.declaration.unit:
                made[c.name].attrs["units"] = c.coordinate.declaration.unit
        unit = self.system.units.get("t")
        if unit and same:
            made["t"].attrs["units"] = unit
        return made

    def _batch_values(self, names: Sequence[str]) -> dict[str, Any]:
        """The numbers along the axes of an ensemble."""
        made: dict[str, Any] = {}
        for i, (axis, called, over) in enumerate(zip(self.axes, names, self._along(), strict=True)):
            for name in over:
                value = self._given(name)
                if value is not None and value.ndim == len(names):
                    along = value[tuple(slice(None) if j == i else slice(0, 1) for j in range(len(names)))]
                    own = f"{name}(0)" if name in self.model.layout.states else name
                    if (value == along).all():
                        made[called if own == axis else own] = (called, along.reshape(-1))
        return made

    def lane(self, index: int | tuple[int, ...]) -> dict[str, Any]:
        """What one lane of an ensemble was given: numbers and arrays by name, and the number of its path.

        `sci.solve` of that lane alone takes them as `params=` and `initial=`.
        """
        index = index if isinstance(index, tuple) else (index,)
        if len(index) != len(self.axes):
            raise SolveError(f"This Solution has the batch axes {self.axes}: sol.lane{(0,) * len(self.axes)}.")
        found: dict[str, Any] = {}
        for i, over in enumerate(self._along()):
            for name in over:
                value = self._given(name)
                own = index[i] if value is None else value[index]
                found[name] = own if np.ndim(own) else own.item() if isinstance(own, np.generic) else own
        return found

    def _given(self, name: str) -> Any:
        """A parameter, an initial value or data in every lane; None for anything else."""
        layout, program = self.model.layout, self._program
        if name in layout.functions:
            return np.asarray(self._values[name])
        places, offset = (layout.params, program.p_at) if name in layout.params else (layout.states, program.y_at)
        place = places.get(name)
        if place is None:
            return None
        buffer = np.asarray(self._buffer)
        return buffer[..., offset + place.offset : offset + place.end].reshape(*buffer.shape[:-1], *place.shape)

    def to_netcdf(self, path: Any) -> None:
        """Writes `to_xarray()` as netCDF; `xarray.open_dataset(path)` reads it back."""
        self.to_xarray().to_netcdf(path, engine="h5netcdf", invalid_netcdf=False)

    def plot(self, *what: Any, ax: Any = None, kind: str = "auto", at: Any = None, lane: Any = None, **style: Any) -> Any:
        """Draws quantities over time, pairs `(x, y)` in the phase plane, or fields over space.

        If nothing is named: every quantity of time alone; where there are fields only, the fields.

        Args:
            what: names, symbols, expressions, or pairs of them.
            ax: axes to draw on; new ones if left out.
            kind: for a field u(t, x): "image", over time and space, or "lines", profiles in the colour of their time.
            at: for fields: a time, or several. Exact with dense=True, else the nearest saved ones.
            lane: for fields in an ensemble: which lane is shown.
            style: goes to `Axes.plot`, or to `Axes.pcolormesh` for images.

        Returns:
            The matplotlib axes; an array of them where a picture has several panels.
        """
        from .plot import plot_solution

        return plot_solution(self, what, ax, style, kind, at, lane)

    def animate(self, *what: Any, path: Any = None, fps: int = 20, lane: Any = None, **style: Any) -> Any:
        """Fields over one or two coordinates as a picture that moves: at most 200 frames, evenly spread over the time.

        Args:
            what: fields or expressions of them, a panel each; the first field if nothing is named.
            path: a file to write, such as "heat.gif" (or "heat.mp4" where ffmpeg is installed).
            fps: frames in a second.
            lane: in an ensemble: which lane is shown.
            style: goes to `Axes.plot` or `Axes.pcolormesh`.

        Returns:
            A `matplotlib.animation.FuncAnimation`; keep it, and show it in a notebook by `HTML(movie.to_jshtml())`.
        """
        from .plot_fields import animate_fields

        return animate_fields(self, what, path, fps, lane, style)

    def label(self, key: Any) -> str:
        """How a quantity is written on an axis: without the arguments of fields."""
        if isinstance(key, str):
            return f"${latex_name(key)}$" if key in self.model.layout.states else key
        shown = latex(key).replace(r"\limits", "")
        grid = self.model.reduced.grid
        for over in {s.args for s in grid.declared.symbols.values() if s.args} if grid is not None else ():
            shown = shown.replace(rf"{{\left({','.join(map(latex, over))} \right)}}", "")
        return f"${shown}$"

    def __repr__(self) -> str:
        if not self._concrete:
            return f"Solution of '{self.system.name}' (traced)"
        count = f"{self._length} times" if self._n_times and self._length > 1 else "one time"
        head = f"Solution of '{self.system.name}': {', '.join(self.quantities())} at {count}"
        if self._flat.ndim == 1:
            return f"{head}. {sentence_of(self._tail('status'))}"
        ended = np.asarray(self.successful)
        return f"{head}, batch {ended.shape}. {ended.sum()} of {ended.size} reached the end."


def _is_unknown(key: Any) -> bool:
    from ..symbols import Applied

    return isinstance(key, Applied) and key.declaration.kind == "unknown"
