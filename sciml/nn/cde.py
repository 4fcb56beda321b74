"""`NeuralCDE`: a layer that reads a series by following its path, z' = F(z) X'."""

from typing import Any

import diffrax as dfx
import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from ..errors import ModelError, SolveError, nearest
from ..solve import SOLVERS, Solution, solve
from ..symbols import neural, t, variables
from ..system import System, eq
from .control import ControlPath, check_kind, control_path, path_width, rate
from .module import compiled, skeleton, weights
from .series import Series, one_series
from .signature import LogSignature


class NeuralCDE(eqx.Module):
    """A neural controlled differential equation, z' = F(z) X', where X is a path through the samples of a series.

    F(z) is a matrix, made by a network from the state. The state starts from the first sample, z = W X + b, and what is read from it,
    at the end or at each sample, is linear too. Samples may be irregular, of unequal number, and incomplete (see `sciml.nn.series`).

    The time t of the System runs through the knots of the path, 0, 1, 2, ..., whatever the times of the samples are: a solution does not
    depend on how fast the path is run through. The time of the samples is the first channel of X.

    Args:
        channels: how many numbers a sample has.
        hidden: the size of the state z.
        outputs: how many numbers are read from it.
        field: a callable pytree from (hidden,) to (hidden * path.width,), F row by row. If left out, an MLP with a tanh at its end, which
            keeps F bounded.
        initial: a callable pytree from the first point of the path to (hidden,), the state at the start; linear if left out.
        width: of the hidden layers of the MLP.
        depth: how many hidden layers it has.
        control: "hermite", "cubic", "linear" or "rectilinear" (see `sciml.nn.control_path`; the last one is online), or
            `sciml.nn.LogSignature(window)`, which takes one step for a window of samples.
        intensity: the path also counts the observations of each channel.
        integral: the path also holds the integral of each channel over time, so that z' depends on values as well as on their changes.
        solver: a name from `sciml.solve.SOLVERS`, or a diffrax solver.
        steps: steps of equal size between two knots, with an explicit method. One of "ralston" integrates the increments of
            every control exactly. None: the solver chooses its steps by `rtol` and `atol`.
        rtol: relative tolerance, as in `sciml.solve`.
        atol: absolute tolerance, as in `sciml.solve`.
        key: `jax.random.key(...)`, for the weights.

    Attributes:
        system: the System, with the unknown `z`, the neural term `F` and the path's derivative `dX`. Print it, or solve it with `sciml.solve`.

    Raises:
        ModelError: sizes, a field, a control or a method that cannot be.

    References:
        Kidger, Morrill, Foster and Lyons, Neural controlled differential equations for irregular time series (2020), arXiv:2005.08926.
        Morrill, Salvi, Kidger, Foster and Lyons, Neural rough differential equations for long time series (2021), arXiv:2009.08295.

    >>> import jax, numpy as np, sciml as sci
    >>> layer = sci.nn.NeuralCDE(channels=2, hidden=8, outputs=3, width=16, key=jax.random.key(0))
    >>> times, values = np.array([0.0, 0.3, 1.2]), np.ones((3, 2))
    >>> layer(times, values).shape, layer(times, values, saveat="samples").shape
    ((3,), (3, 3))
    >>> print(layer.system)
    System 'neural_cde'
      z' = F(z, dX(t))
    """

    initial: Any
    field: Any
    readout: Any
    rtol: Any
    atol: Any
    channels: int = eqx.field(static=True)
    hidden: int = eqx.field(static=True)
    points: int = eqx.field(static=True)  # numbers of a point of the path, before log-signatures
    control: Any = eqx.field(static=True)
    intensity: bool = eqx.field(static=True)
    integral: bool = eqx.field(static=True)
    solver: Any = eqx.field(static=True)
    steps: int | None = eqx.field(static=True)
    system: System = eqx.field(static=True)

    def __init__(
        self,
        channels: int,
        hidden: int,
        outputs: int,
        *,
        field: Any = None,
        initial: Any = None,
        width: int = 64,
        depth: int = 1,
        control: Any = "hermite",
        intensity: bool = False,
        integral: bool = False,
        solver: Any = "ralston",
        steps: int | None = 1,
        rtol: Any = None,
        atol: Any = None,
        key: Any,
    ):
        for word, value in (("channels", channels), ("hidden", hidden), ("outputs", outputs), ("width", width)):
            if not isinstance(value, int) or isinstance(value, bool) or value < 1:
                raise ModelError(f"NeuralCDE: {word}={value!r}. Give a whole number, 1 or more.")
        if not isinstance(control, LogSignature):
            check_kind(control)
        if steps is not None:
            _tableau(solver, steps)
        self.channels, self.hidden, self.control = channels, hidden, control
        self.intensity, self.integral = intensity, integral
        self.solver, self.steps, self.rtol, self.atol = solver, steps, rtol, atol
        first, second, third = jax.random.split(key, 3)
        points = path_width(channels, True, intensity, integral)
        rates = control.width(points) if isinstance(control, LogSignature) else points
        scale = 1.0
        if field is None:  # divided by the root of the number of channels: their sum is then of the size of one
            field, scale = eqx.nn.MLP(hidden, hidden * rates, width, depth, jax.nn.softplus, jnp.tanh, key=second), rates**-0.5
        _check("field", field, hidden, hidden * rates, "hidden*path width")
        self.initial = eqx.nn.Linear(points, hidden, key=first) if initial is None else initial
        _check("initial", self.initial, points, hidden, "hidden")
        self.points = points
        self.field = Field(field, hidden, scale)
        self.readout = eqx.nn.Linear(hidden, outputs, key=third)
        self.system = _system(self.field, hidden, rates)

    def __call__(self, t: Any, x: Any = None, mask: Any = None, *, saveat: str = "end") -> Any:
        """What is read from the state. One series: a batch goes through `jax.vmap`.

        Args:
            t: (N,) times, or a `Series`, which holds x and mask too.
            x: (N, channels) values.
            mask: (N,) or (N, channels), True where there is an observation.
            saveat: "end", or "samples" for each sample (with `LogSignature` for the start and the end of each window).

        Returns:
            (outputs,), or (N, outputs) with saveat="samples". Behind the last observation the last ones are repeated.

        Raises:
            SolveError: a series that cannot be used.
        """
        if saveat not in ("end", "samples"):
            raise SolveError(
                f'saveat={saveat!r}: write layer(t, x) for the end, or layer(t, x, saveat="samples"). Other times: layer.solve(t, x, saveat=...).'
            )
        series = self._series(t, x, mask)
        if self.steps is None:
            z = self.solve(series, saveat="end" if saveat == "end" else "knots")["z"]
        else:
            z = self._by_equal_steps(self.path(series), saveat)
        if saveat == "end":
            return self.readout(z[-1])
        return jax.vmap(self.readout)(z[::2] if self.control == "rectilinear" else z)

    def solve(
        self, t: Any, x: Any = None, mask: Any = None, *, saveat: Any = "end", key: Any = None, regularize: Any = None, **options: Any
    ) -> Solution:
        """The state along the path, from `sciml.solve`: `sol["z"]` has shape (times, hidden), and times count knots.

        Args:
            t: as for a call of the layer.
            x: as for a call of the layer.
            mask: as for a call of the layer.
            saveat: "knots", or as in `sciml.solve`.
            key: for a regulariser with mode="local".
            regularize: as in `sciml.solve`; the penalty is `sol.penalty`.
            options: further arguments of `sciml.solve`.

        Raises:
            SolveError: a series that cannot be used, or a solve that failed.
        """
        series = self._series(t, x, mask)
        path = self.path(series)
        start, intervals = self._start(path), len(path.pieces)
        if self.steps is None:
            path = path.eased()
            own = {"rtol": self.rtol, "atol": self.atol}
        else:
            _refuse_end_stages(self.solver, self.steps)
            own = {"dt": 1.0 / self.steps, "max_steps": self.steps * intervals + 1}
        if regularize is not None:
            options["regularize"] = regularize
        return solve(
            compiled(self.system, self.field),
            t_span=(0.0, float(intervals)),
            params={"F": weights(self.field), "dX": weights(Rate(path.pieces))},
            initial={"z": start},
            saveat=np.arange(intervals + 1.0) if isinstance(saveat, str) and saveat == "knots" else saveat,
            key=key,
            **{"solver": self.solver, **own, **options},
        )

    def path(self, t: Any, x: Any = None, mask: Any = None) -> ControlPath:
        """The path through one series that the layer follows."""
        series = self._series(t, x, mask)
        if isinstance(self.control, LogSignature):
            return self.control.path(series, intensity=self.intensity, integral=self.integral)
        return control_path(series, self.control, intensity=self.intensity, integral=self.integral)

    def _series(self, t: Any, x: Any, mask: Any) -> Series:
        series = one_series(t, x, mask, channels=self.channels, layer="NeuralCDE")
        if series.t.shape[0] < 2:
            raise SolveError("NeuralCDE follows a path between samples, and this series has one sample only. Give two or more.")
        return series

    def _start(self, path: ControlPath) -> Any:
        return self.initial(path.pieces[0, 0, : self.points])

    def _by_equal_steps(self, path: ControlPath, saveat: str) -> Any:
        """States at the knots by a scan over the pieces: in a batch the matrix products of all series become one."""
        model, tableau = compiled(self.system, self.field), _tableau(self.solver, self.steps)
        steps = self.steps or 1
        h = 1.0 / steps

        def along(z: Any, piece: Any) -> tuple[Any, Any]:
            params = {"F": weights(self.field), "dX": weights(Rate(piece[None]))}

            def step(z: Any, u: Any) -> tuple[Any, None]:
                slopes: list[Any] = []
                for row, c in zip(tableau.rows, tableau.nodes, strict=True):
                    slopes.append(model.rhs(u + c * h, _moved(z, h, row, slopes), params))
                return _moved(z, h, tableau.weights, slopes), None

            begins = jnp.arange(steps, dtype=z.dtype) * h
            z = step(z, begins[0])[0] if steps == 1 else jax.lax.scan(step, z, begins)[0]
            return z, z if saveat == "samples" else None

        start = jnp.asarray(self._start(path), float)
        end, between = jax.lax.scan(along, start, path.pieces)
        return end[None] if saveat == "end" else jnp.concatenate([start[None], between])


class Field(eqx.Module):
    """F(z) dX: the matrix that `net` makes of z (times a scale), by the rate of the path; z and the rate come as one vector."""

    net: Any
    hidden: int = eqx.field(static=True)
    scale: float = eqx.field(static=True)

    def __call__(self, given: Any) -> Any:
        return self.scale * (self.net(given[: self.hidden]).reshape(self.hidden, -1) @ given[self.hidden :])


class Rate(eqx.Module):
    """The derivative of a path whose knots are 0, 1, 2, ..."""

    pieces: Any

    def __call__(self, given: Any) -> Any:
        pieces = jnp.asarray(self.pieces)
        count = pieces.shape[0]
        rounding = 8 * count * float(jnp.finfo(given.dtype).eps)  # a step that begins at a knot belongs to what follows
        i = jnp.clip(jnp.floor(given[0] + rounding).astype(jnp.int32), 0, count - 1)
        return rate(pieces[i], given[0] - i.astype(given.dtype))


def _system(field: Field, hidden: int, rates: int) -> System:
    z = variables("z", shape=(hidden,), initial=0.0)
    f, dx = neural("F", skeleton(field)), neural("dX", Rate(np.zeros((1, 2, rates), _float())))
    return System([eq(z.diff(t), f(z, dx(t)))], name="neural_cde")


def _float() -> Any:
    return np.dtype("float64" if jax.config.jax_enable_x64 else "float32")  # type: ignore[attr-defined]


# -- explicit methods ---------------------------------------------------------------------


class _Tableau(eqx.Module):
    rows: tuple[Any, ...]
    weights: tuple[float, ...]
    nodes: tuple[float, ...]


def _tableau(solver: Any, steps: Any) -> _Tableau:
    """Stages of an explicit Runge-Kutta method, without those that only estimate its error."""
    if not isinstance(steps, int) or isinstance(steps, bool) or steps < 1:
        raise ModelError(
            f"NeuralCDE: steps={steps!r}. Give a whole number of steps between two samples, or steps=None with a solver that chooses them."
        )
    if isinstance(solver, str):
        if solver not in SOLVERS:
            raise ModelError(f"There is no solver '{solver}'. {nearest(solver, SOLVERS)}")
        solver = SOLVERS[solver].make() if SOLVERS[solver].make is not None else None
    if isinstance(solver, dfx.Euler):
        return _Tableau(((),), (1.0,), (0.0,))
    if not isinstance(solver, dfx.AbstractERK):
        word = type(solver).__name__ if solver is not None else "etdrk4"
        raise ModelError(
            f'NeuralCDE: steps={steps} needs an explicit Runge-Kutta method, and {word} is none. Leave solver="ralston", or write steps=None.'
        )
    own = solver.tableau
    rows = ((), *(tuple(float(a) for a in row) for row in own.a_lower))
    b, c = tuple(float(v) for v in own.b_sol), (0.0, *(float(v) for v in own.c))
    stages = max(i for i, v in enumerate(b) if v != 0) + 1
    return _Tableau(rows[:stages], b[:stages], c[:stages])


def _moved(z: Any, h: float, row: tuple[float, ...], slopes: list[Any]) -> Any:
    for a, slope in zip(row, slopes, strict=True):
        if a != 0:
            z = z + (h * a) * slope
    return z


def _refuse_end_stages(solver: Any, steps: int) -> None:
    """A stage at the end of a step would look at the rate behind the knot, which is another one."""
    if max(_tableau(solver, steps).nodes) >= 1:
        raise SolveError(
            f"layer.solve: the rate of a path jumps at its knots, and the method {solver!r} looks at both ends of a step. "
            'Make the layer with solver="ralston" or "midpoint", or with steps=None. layer(t, x) itself knows both sides of a knot.'
        )


def _check(word: str, module: Any, taken: int, given: int, meaning: str) -> None:
    """Refuses a module of other widths."""
    cure = f"{word}=eqx.nn.MLP({taken}, {given}, 64, 1{', final_activation=jnp.tanh' if word == 'field' else ''}, key=key)"
    if not callable(module):
        raise ModelError(f"NeuralCDE: {word} must be callable. Write for example {cure}.")
    try:
        shape = getattr(eqx.filter_eval_shape(module, jax.ShapeDtypeStruct((taken,), _float())), "shape", None)
    except (TypeError, ValueError) as problem:
        first = str(problem).splitlines()[0]
        raise ModelError(f"NeuralCDE: {word} does not take a vector of {taken} numbers: {first} Write for example {cure}.") from None
    if shape != (given,):
        raise ModelError(f"NeuralCDE: {word} gives shape {shape}, and needs to give ({meaning},) = ({given},). Write for example {cure}.")
