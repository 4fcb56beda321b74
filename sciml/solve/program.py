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

from ..codegen import CompiledSystem, Point
from .control import LandingSteps, Watched
from .solvers import Choice
from .status import NONFINITE, code_of

HEADER = ("t0", "t1", "rtol", "dt")
_RESOLUTION = 2.0**-14  # of a Brownian path, as a part of the span
TAIL = ("status", "steps", "accepted", "rejected")


@dataclasses.dataclass(frozen=True)
class Options:
    """What is part of the program. Numbers are not."""

    saving: str  # even, times, end, steps
    n_times: int
    dense: bool
    fixed: bool
    n_atol: int
    max_steps: int
    given_params: frozenset[str]
    given_initial: frozenset[str]
    dtype: str


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
            "times": buffer[..., self.times_at :],
        }

    # -- the function -------------------------------------------------------------

    def run(self, buffer: Any, values: Mapping[str, Any], key: Any) -> tuple[Any, Any]:
        """(packed solution, dense interpolation or None)."""
        self.traces += 1  # runs when tracing only
        buffer = self._completed(jnp.asarray(buffer, self.options.dtype))
        given = self.split(buffer)
        functions, static = eqx.partition(self.model.functions(values), eqx.is_array)
        sol = dfx.diffeqsolve(
            self._terms(static, buffer, key),
            self.choice.solver,
            t0=0.0,
            t1=1.0,
            dt0=self._first_step(given),
            y0=given["y0"],
            # The buffer whole, not its pieces: XLA's CPU executor hands pieces to other threads, at 40 us a call.
            args=(buffer, functions),
            saveat=self._saveat(given),
            stepsize_controller=self._controller(given),
            adjoint=self.adjoint[1],
            max_steps=self.options.max_steps,
            throw=False,
        )
        return self._packed(sol, given), sol.interpolation

    def _completed(self, buffer: Any) -> Any:
        """The buffer with the parameters and initial values that are expressions computed."""
        given, o = self.split(buffer), self.options
        p = self.model.full_params(given["p"], o.given_params)
        y0 = self.model.initial_state(given["y0"], p, given["t0"], o.given_initial)
        if p is given["p"] and y0 is given["y0"]:
            return buffer
        return jnp.concatenate([buffer[: self.p_at], p, y0, buffer[self.times_at :]])

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
            if self.options.saving == "even":  # a whole number of equal steps between save times
                interval = 1.0 / (self.options.n_times - 1)
                step = interval / jnp.ceil(interval / step * (1 - 1e-6))
            return step
        # diffrax guesses a first step from the rates alone; with noise the guess is ours.
        return None if self.model.noise.kind == "none" else jnp.asarray(0.01, self.options.dtype)

    def _controller(self, given: dict[str, Any]) -> Any:
        noisy, saving = self.model.noise.kind != "none", self.options.saving
        landing = jax.lax.stop_gradient(self._save_times(given)) if noisy and saving in ("times", "even") else None
        if self.options.fixed:
            return LandingSteps(landing) if saving == "times" and noisy else dfx.ConstantStepSize()
        rtol, atol = jax.lax.stop_gradient((given["rtol"], given["atol"]))
        read = None if self.backsolve else lambda args: (*self.tolerances(args[0]), args[0][1] - args[0][0])
        watched = Watched(rtol, atol, self.choice.row.implicit, read)
        return watched if landing is None else dfx.ClipStepSizeController(watched, step_ts=landing)

    def tolerances(self, buffer: Any) -> tuple[Any, Any]:
        given = self.split(buffer)
        return given["rtol"], given["atol"]

    def _save_times(self, given: dict[str, Any]) -> Any:
        if self.options.saving == "even":
            return np.linspace(0.0, 1.0, self.options.n_times, dtype=self.options.dtype)  # NumPy: a constant of the program
        return jnp.clip((given["times"] - given["t0"]) / (given["t1"] - given["t0"]), 0.0, 1.0)

    def _saveat(self, given: dict[str, Any]) -> dfx.SaveAt:
        saving, dense = self.options.saving, self.options.dense
        if saving == "end":
            return dfx.SaveAt(t1=True, dense=dense)
        if saving == "steps":
            return dfx.SaveAt(t0=True, steps=True, dense=dense)
        return dfx.SaveAt(ts=self._save_times(given), dense=dense)

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
        tail = jnp.stack([code, *[jnp.asarray(s, dtype) for s in steps]])
        return jnp.concatenate([ys.reshape(-1), times, tail])

    @functools.cached_property
    def diagnosis(self) -> Any:
        """The same solve, keeping only where it stopped: (time, state). Used to explain a failure, never on the way."""
        options = dataclasses.replace(self.options, saving="end", n_times=1, dense=False)
        other = Program(self.model, self.choice, self.adjoint, options)

        def stopped(buffer: Any, values: Any, key: Any) -> Any:
            out, _ = other.run(buffer[: self.times_at], values, key)
            t, y = out[self.model.layout.n_states], out[: self.model.layout.n_states]
            whole = self._completed(jnp.asarray(buffer, self.options.dtype))
            return t, y, self.model.rates(self.point(whole, self.model.functions(values), t, y))

        return jax.jit(stopped)
