"""One jitted, pure function per System and set of options: a packed buffer of numbers in, one out.

The buffer holds t0, t1, rtol, dt, the absolute tolerances, all parameters, the initial state and the save
times, so that none of them is ever part of the program: changing any number runs the same program. Time is
scaled to tau in [0, 1] inside, t = t0 + tau*(t1 - t0): a traced end time then costs nothing.
"""

import dataclasses
import functools
from collections.abc import Mapping
from typing import Any

import diffrax as dfx
import equinox as eqx
import jax
import jax.numpy as jnp
import lineax as lx
import numpy as np

from ..codegen import CompiledSystem, Packing, Point, divided, spread_over
from .control import LandingSteps, Recording, Watched, kept_in
from .engine import Steps
from .exponential import ModalSteps
from .native import bounds_of, engine_of, mode_size
from .one_step import penalties_of_step
from .regularize import Asked, random_time
from .sensitivity import differentiable_run, sampled_penalties
from .solvers import Choice
from .start import Start, consistent, misfit, projected, start_of
from .status import NONFINITE, code_of

HEADER = ("t0", "t1", "rtol", "dt")
_RESOLUTION = 2.0**-14  # of a Brownian path, as a part of the span
TAIL = ("status", "steps", "accepted", "rejected", "worst", "stiff")


@dataclasses.dataclass(frozen=True)
class Options:
    """What is part of the program. Numbers are not."""

    saving: str  # even, times, end, steps
    n_times: int
    dense: bool
    fixed: bool
    n_atol: int
    max_steps: int
    recorded: int
    given_params: frozenset[str]
    given_initial: frozenset[str]
    dtype: str
    mesh: Any = None  # of devices that fields are divided among
    penalties: Asked = ()  # kinds and modes, see `regularize`

    @property
    def sampled(self) -> bool:
        """Whether a random step is looked at."""
        return any(mode == "local" for _, mode in self.penalties)


def within(tau: Any) -> Any:
    """The scaled time put into [0, 1]; rounding only, so that its derivative is 1 at the ends too."""
    return tau + jax.lax.stop_gradient(jnp.clip(tau, 0.0, 1.0) - tau)


class ScaledTerm(dfx.ODETerm):
    """dy = f(t, y) dt in the scaled time: dt is span*dtau. Cheaper than scaling f, which has many entries."""

    buffer: Any

    def contr(self, t0: Any, t1: Any, **kwargs: Any) -> Any:
        return (t1 - t0) * (self.buffer[1] - self.buffer[0])


class Program:
    """The function of one System and one set of options. Call it through `sciml.solve`."""

    def __init__(self, model: CompiledSystem, choice: Choice, adjoint: tuple[str, Any, str], options: Options):
        self.model, self.choice, self.adjoint, self.options = model, choice, adjoint, options
        self.traces = 0
        self.evaluators: dict[Any, Any] = {}
        self._in_calculus = model.in_calculus(choice.row.calculus) if model.noise.kind != "none" else model
        layout = model.layout
        self.p_at = len(HEADER) + options.n_atol
        self.y_at = self.p_at + layout.n_params
        self.times_at = self.y_at + layout.n_states
        self.size = self.times_at + (options.n_times if options.saving == "times" else 0)
        self.jitted = jax.jit(self.run)

    @property
    def native(self) -> bool:
        """Whether the engine of this package runs it, rather than diffrax."""
        return self.choice.row.native is not None and self.adjoint[1] is None

    @property
    def modal(self) -> Any:
        """The form of the model in modes, where the solver works in them; None where it works in the unknowns."""
        if not self.choice.row.modal:
            return None
        return self.model.modal if self.options.mesh is None else self.model.modal_in_rows

    @functools.cached_property
    def packing(self) -> Packing:
        """How the unknowns lie in the state of the engine, where they are divided among devices."""
        places = self.model.layout.states
        return Packing({n: p.shape for n, p in places.items()}, dict.fromkeys(places, False), rows=True)

    @functools.cached_property
    def mode_size(self) -> float:
        """How large modes are relative to the unknowns."""
        return mode_size(self.model.modal, self.model.layout.n_states, self.options.dtype)

    @property
    def backsolve(self) -> bool:
        return isinstance(self.adjoint[1], dfx.BacksolveAdjoint)

    # -- the buffer ---------------------------------------------------------------

    def split(self, buffer: Any) -> dict[str, Any]:
        o = self.options
        return {
            **{name: buffer[..., i] for i, name in enumerate(HEADER)},
            "atol": buffer[..., len(HEADER)] if o.n_atol == 1 else buffer[..., len(HEADER) : self.p_at],
            "p": buffer[..., self.p_at : self.y_at],
            "y0": buffer[..., self.y_at : self.times_at],
            "times": buffer[..., self.times_at : self.size],
        }

    # -- the function -------------------------------------------------------------

    def run(self, buffer: Any, values: Mapping[str, Any], key: Any) -> tuple[Any, Any, Any]:
        """(packed solution, dense interpolation or None, penalties or None)."""
        self.traces += 1  # runs when tracing only
        with spread_over(self.options.mesh):
            return self._run(buffer, values, key)

    def _run(self, buffer: Any, values: Mapping[str, Any], key: Any) -> tuple[Any, Any, Any]:
        buffer, code = self._completed(jnp.asarray(buffer, self.options.dtype), values)
        given = self.split(buffer)
        if self.options.sampled:
            buffer = jnp.append(buffer, random_time(key, self.options.dtype))
        if self.native:
            return self._native(buffer, values, given, code)
        functions, static = eqx.partition(self.model.functions(values), eqx.is_array)
        terms, args = self._terms(static, buffer, key), (buffer, functions)
        sol = dfx.diffeqsolve(
            terms,
            self.choice.solver,
            t0=0.0,
            t1=1.0,
            dt0=self._first_step(given),
            y0=given["y0"],
            # The buffer whole, not its pieces: XLA's CPU executor hands pieces to other threads, at 40 us a call.
            args=args,
            saveat=self._saveat(given),
            stepsize_controller=self._controller(given, buffer[-1]),
            adjoint=self.adjoint[1],
            max_steps=self.options.max_steps,
            throw=False,
        )
        return self._packed(sol, given), sol.interpolation, self._penalties(sol, terms, args)

    def _penalties(self, sol: Any, terms: Any, args: Any) -> Any:
        """From what the controller kept of a solve by diffrax, in the order in which they were asked for."""
        asked = self.options.penalties
        if not asked:
            return None
        kept = kept_in(sol.controller_state)
        kinds = tuple(kind for kind, mode in asked if mode == "local")
        local = penalties_of_step(self, terms, args, kept.sample, kinds) if kinds else ()
        values = [local[kinds.index(kind)] if mode == "local" else kept.total for kind, mode in asked]
        return jnp.where(sol.result == dfx.RESULTS.successful, jnp.stack(values), jnp.nan)

    def _native_penalties(self, engine: Any, args: Any, out: Any) -> Any:
        """The same of a solve by the engine."""
        asked, s = self.options.penalties, engine.setting
        if not asked:
            return None
        local = sampled_penalties(engine, args, out.sample) if s.sampled else ()
        values = [local[s.sampled.index(kind)] if mode == "local" else out.penalties[s.summed.index(kind)] for kind, mode in asked]
        return jnp.where(out.status == 0, jnp.stack(values), jnp.nan)

    def _native(self, buffer: Any, values: Any, given: dict[str, Any], code: Any) -> tuple[Any, Any, Any]:
        """The same by the engine of this package."""
        arrays, static = eqx.partition(self.model.functions(values), eqx.is_inexact_array)
        engine = engine_of(self, static)
        out = differentiable_run(engine)((buffer, arrays))
        penalties = self._native_penalties(engine, (buffer, arrays), out)
        dtype, o = self.options.dtype, self.options
        ys, tau = out.ys, jnp.ones(1, dtype)
        if o.saving == "steps":
            count = jnp.arange(o.max_steps + 1, dtype=jnp.int32)
            room = jnp.full((1, len(out.y)), jnp.nan, dtype)
            ys = jnp.concatenate([out.rows[1], room]).at[out.accepted].set(out.y)
            tau = jnp.concatenate([out.rows[0][:, 0], jnp.full(1, jnp.inf, dtype)]).at[out.accepted].set(out.tau)
            ys, tau = jnp.where((count <= out.accepted)[:, None], ys, jnp.nan), jnp.where(count <= out.accepted, tau, jnp.inf)
        reached = jnp.isfinite(ys[:, 0])
        ys = self.unknowns(ys)
        if o.saving not in ("steps", "end"):
            tau = jnp.asarray(self.save_times(given), dtype)
            tau = jnp.where(reached, tau, jnp.inf)
        times = jnp.where(jnp.isfinite(tau), given["t0"] + tau * (given["t1"] - given["t0"]), jnp.nan)
        ys = self.on_constraints(buffer, values, times, ys) if o.mesh is None else ys
        status = out.status if code is None else jnp.where(code > 0, code, out.status)
        tail = (status, out.steps, out.accepted, out.steps - out.accepted, out.worst, out.stiff_steps)
        numbers = jnp.concatenate([times, jnp.stack([jnp.asarray(v, dtype) for v in tail])])
        if o.mesh is not None:  # fields stay where they are, divided among the devices
            return numbers, ys, None
        packed = jnp.concatenate([ys.reshape(-1), numbers])
        if not o.dense:
            return packed, None, penalties
        dense = Steps.of(out.rows) if self.modal is None else ModalSteps.of(out.rows, self.modal, given["p"], given["t1"] - given["t0"])
        return packed, dense, penalties

    def unknowns(self, ys: Any) -> Any:
        """Rows of what the engine runs on, as rows of the unknowns; as arrays by name where they are divided among devices."""
        if self.options.mesh is None:
            return ys if self.modal is None else jax.vmap(self.modal.from_modes)(ys)
        one = self.modal.unknowns if self.modal is not None else lambda w: {n: divided(self.packing.piece(w, n)) for n in self.packing.names}
        rows = [one(y) for y in ys]  # not by vmap, in which an exchange between devices cannot stand
        return jax.tree.map(lambda *a: jnp.stack(a), *rows)

    def on_constraints(self, buffer: Any, values: Any, times: Any, ys: Any) -> Any:
        """States at some times, put back on the constraints; interpolation leaves them by its error."""
        model = self.model
        if not model.constraints.expressions:
            return ys
        directions, fixed = model.directions(self.split(buffer)["p"]), jax.lax.stop_gradient

        def one(t: Any, y: Any) -> Any:
            residual, frozen = self._residuals(buffer, values, t), self._residuals(fixed(buffer), fixed(values), fixed(t))
            return projected(residual, frozen, directions, y)

        # What was not reached is NaN, and would be NaN in the derivatives of the others.
        reached = jnp.isfinite(times) & jnp.all(jnp.isfinite(ys), axis=1)
        times, safe = jnp.where(reached, times, times[0]), jnp.where(reached[:, None], ys, fixed(ys[0]))
        return jnp.where(reached[:, None], jax.vmap(one)(times, safe), ys)

    def _residuals(self, buffer: Any, values: Any, t: Any) -> Any:
        """The constraints as a function of the state."""
        functions = self.model.functions(values)
        return lambda y: self.model.residuals(self.point(buffer, functions, t, y))

    def _completed(self, buffer: Any, values: Any) -> tuple[Any, Any]:
        """The buffer with the values that are expressions, or that constraints determine; what went wrong, or None."""
        given, o, model = self.split(buffer), self.options, self.model
        p = model.full_params(given["p"], o.given_params)
        y0 = given["y0"] if o.mesh is not None else model.initial_state(given["y0"], p, given["t0"], o.given_initial)
        if p is given["p"] and y0 is given["y0"] and not model.constraints.expressions:
            return buffer, None
        buffer = jnp.concatenate([buffer[: self.p_at], p, y0, buffer[self.times_at :]])
        if not model.constraints.expressions:
            return buffer, None
        fixed = jax.lax.stop_gradient
        residual, frozen = self._residuals(buffer, values, given["t0"]), self._residuals(fixed(buffer), fixed(values), fixed(given["t0"]))
        y0, code = consistent(residual, frozen, model.directions(p), self.start, y0, jnp.asarray(self.nominal, o.dtype))
        y0 = jnp.where(code > 0, jnp.nan, y0)  # the solve ends where it starts
        return jnp.concatenate([buffer[: self.y_at], y0, buffer[self.times_at :]]), code

    def start_by_name(self, buffer: Any) -> dict[str, Any]:
        """The initial state as arrays, where fields are divided among devices."""
        given = self.split(buffer)
        return self.model.initial_by_name(given["y0"], given["p"], given["t0"], self.options.given_initial)

    def start_found(self, buffer: Any, values: Any) -> tuple[Any, Any, Any, Any]:
        """(state that the search at the start found, constraints there, their size relative to 1, their slopes). Explains a failure."""
        given, o, model = self.split(jnp.asarray(buffer, self.options.dtype)), self.options, self.model
        p = model.full_params(given["p"], o.given_params)
        y0 = model.initial_state(given["y0"], p, given["t0"], o.given_initial)
        if not model.constraints.expressions:
            return y0, jnp.zeros(0), jnp.zeros(0), jnp.zeros((0, 0))
        whole = jnp.concatenate([jnp.asarray(buffer, o.dtype)[: self.p_at], p, y0])
        residual, directions = self._residuals(whole, values, given["t0"]), model.directions(p)
        found, _ = consistent(residual, residual, directions, self.start, y0, jnp.asarray(self.nominal, o.dtype))
        found = jnp.where(jnp.isfinite(found), found, y0)
        return found, residual(found), *misfit(residual, directions, found, jnp.asarray(self.nominal, o.dtype))

    @functools.cached_property
    def start(self) -> Start:
        """What is solved for at the start."""
        return start_of(self.model, self.options.given_initial)

    @functools.cached_property
    def bounds(self) -> tuple[np.ndarray, np.ndarray] | None:
        """(low, high) of all states, or None where nothing was declared."""
        return bounds_of(self)

    @functools.cached_property
    def nominal(self) -> np.ndarray:
        """A typical size of each state, 1 where none was declared."""
        sizes = np.ones(self.model.layout.n_states)
        for place in self.model.layout.states.values():
            if place.declaration is not None and place.declaration.nominal:
                sizes[place.offset : place.end] = place.declaration.nominal
        return sizes

    def point(self, buffer: Any, functions: Any, t: Any, y: Any) -> Point:
        return Point(t, y, buffer[self.p_at : self.y_at], functions)

    def _terms(self, static: Any, buffer: Any, key: Any) -> Any:
        model = self._in_calculus

        def at(tau: Any, y: Any, args: Any) -> tuple[Any, Point]:
            buffer, functions = args
            span = buffer[1] - buffer[0]
            return span, self.point(buffer, eqx.combine(functions, static), buffer[0] + tau * span, y)

        def drift(tau: Any, y: Any, args: Any) -> Any:
            return model.rates(at(tau, y, args)[1])

        noisy = model.noise.kind != "none"
        if noisy or self.backsolve:
            # Stochastic solvers take the length of a step from its ends, and the continuous adjoint differentiates
            # by the arguments alone: neither can use ScaledTerm.
            ode = dfx.ODETerm(lambda tau, y, args: (args[0][1] - args[0][0]) * drift(tau, y, args))
        else:
            ode = ScaledTerm(drift, buffer)
        if not noisy:
            return ode

        def diffusion(tau: Any, y: Any, args: Any) -> Any:
            span, point = at(tau, y, args)
            g = jnp.sqrt(span) * model.diffusion(point)  # dW over span*dtau is sqrt(span) times one over dtau
            return lx.DiagonalLinearOperator(g) if model.diagonal else g

        levy = self.choice.row.levy_area or dfx.BrownianIncrement
        shape = jax.ShapeDtypeStruct((model.n_noises,), self.options.dtype)
        # One resolution for all step sizes: a path depends on it at times that are not dyadic.
        step = self._first_step(self.split(buffer)) if self.options.fixed else _RESOLUTION
        finest = jnp.minimum(step / 2, _RESOLUTION)
        path = dfx.VirtualBrownianTree(0.0, 1.0, tol=finest, shape=shape, key=key, levy_area=levy)
        return dfx.MultiTerm(ode, dfx.ControlTerm(diffusion, path))

    def _first_step(self, given: dict[str, Any]) -> Any:
        if self.options.fixed:
            # A path of noise cannot be differentiated by the times at which it is looked at.
            step = jax.lax.stop_gradient(jnp.abs(given["dt"] / (given["t1"] - given["t0"])))
            return self._whole(step) if self.options.saving == "even" else step
        # diffrax guesses a first step from the rates alone; with noise the guess is ours.
        return None if self.model.noise.kind == "none" else jnp.asarray(0.01, self.options.dtype)

    def _whole(self, step: Any) -> Any:
        """The step made shorter, so that a whole number of equal ones is between two save times, or in the span."""
        interval = 1.0 / (self.options.n_times - 1) if self.options.saving == "even" else 1.0
        return interval / jnp.ceil(interval / step * (1 - 1e-6))

    def equal_step(self, given: dict[str, Any]) -> Any:
        """A given step for a method whose weights belong to one size: all of the solve is in equal steps."""
        return self._whole(jax.lax.stop_gradient(jnp.abs(given["dt"] / (given["t1"] - given["t0"]))))

    def _controller(self, given: dict[str, Any], time: Any) -> Any:
        noisy, saving = self.model.noise.kind != "none", self.options.saving
        landing = jax.lax.stop_gradient(self.save_times(given)) if noisy and saving in ("times", "even") else None
        if self.options.fixed:
            return LandingSteps(landing) if saving == "times" and noisy else dfx.ConstantStepSize()
        rtol, atol = jax.lax.stop_gradient((given["rtol"], given["atol"]))
        read = None if self.backsolve else lambda args: (*self.tolerances(args[0]), args[0][1] - args[0][0])
        watched: Any = Watched(rtol, atol, self.choice.row.implicit, read)
        if self.options.penalties:
            total = any(mode == "global" for _, mode in self.options.penalties)
            watched = Recording(watched, jax.lax.stop_gradient(time) if self.options.sampled else None, total)
        return watched if landing is None else dfx.ClipStepSizeController(watched, step_ts=landing)

    def tolerances(self, buffer: Any) -> tuple[Any, Any]:
        given = self.split(buffer)
        return given["rtol"], given["atol"]

    def save_times(self, given: dict[str, Any]) -> Any:
        if self.options.saving == "even":
            return np.linspace(0.0, 1.0, self.options.n_times, dtype=self.options.dtype)  # NumPy: a constant of the program
        return within((given["times"] - given["t0"]) / (given["t1"] - given["t0"]))

    def _saveat(self, given: dict[str, Any]) -> dfx.SaveAt:
        saving, options = self.options.saving, {"dense": self.options.dense, "controller_state": bool(self.options.penalties)}
        if saving == "end":
            return dfx.SaveAt(t1=True, **options)
        if saving == "steps":
            return dfx.SaveAt(t0=True, steps=True, **options)
        return dfx.SaveAt(ts=self.save_times(given), **options)

    def _packed(self, sol: Any, given: dict[str, Any]) -> Any:
        """[states by time | times | status, steps, accepted, rejected]; what was not reached is NaN."""
        dtype = self.options.dtype
        ys, tau = sol.ys, sol.ts
        code = code_of(sol.result, dtype)
        reached = jnp.isfinite(tau)
        finite = jnp.isfinite(ys)
        code = jnp.where((code == 0) & ~jnp.all(finite | ~reached[:, None]), jnp.asarray(NONFINITE, dtype), code)
        ys = jnp.where(finite & reached[:, None], ys, jnp.nan)
        times = jnp.where(reached, given["t0"] + tau * (given["t1"] - given["t0"]), jnp.nan)
        steps = [sol.stats[k] for k in ("num_steps", "num_accepted_steps", "num_rejected_steps")]
        tail = jnp.stack([code, *[jnp.asarray(s, dtype) for s in steps], jnp.zeros((), dtype), jnp.zeros((), dtype)])
        return jnp.concatenate([ys.reshape(-1), times, tail])

    @functools.cached_property
    def diagnosis(self) -> Any:
        """The same solve, keeping only where it stopped: (time, state). Used to explain a failure, never on the way."""
        options = dataclasses.replace(self.options, saving="end", n_times=1, dense=False, penalties=())
        other = Program(self.model, self.choice, self.adjoint, options)

        def stopped(buffer: Any, values: Any, key: Any) -> Any:
            whole, _ = self._completed(jnp.asarray(buffer, self.options.dtype), values)
            if self.native:
                arrays, static = eqx.partition(self.model.functions(values), eqx.is_inexact_array)
                found = engine_of(other, static).run((whole[: self.times_at], arrays))
                t, y = whole[0] + found.tau * (whole[1] - whole[0]), self.unknowns(found.y[None])[0]
            else:
                out, *_ = other.run(buffer[: self.times_at], values, key)
                t, y = out[self.model.layout.n_states], out[: self.model.layout.n_states]
            return t, y, self.model.rates(self.point(whole, self.model.functions(values), t, y))

        return jax.jit(stopped)
