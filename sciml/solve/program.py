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
from .control import LandingSteps, controller
from .solvers import Choice
from .status import NONFINITE, code_of

HEADER = ("t0", "t1", "rtol", "dt")
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
        buffer = jnp.asarray(buffer, self.options.dtype)
        given = self.split(buffer)
        p = self.model.full_params(given["p"], self.options.given_params)
        y0 = self.model.initial_state(given["y0"], p, given["t0"], self.options.given_initial)
        span = given["t1"] - given["t0"]
        functions, static = eqx.partition(self.model.functions(values), eqx.is_array)
        sol = dfx.diffeqsolve(
            self._terms(static, span, key, given["dt"]),
            self.choice.solver,
            t0=0.0,
            t1=1.0,
            dt0=self._first_step(given["dt"], span),
            y0=y0,
            args=(given["t0"], span, p, functions),
            saveat=self._saveat(given, span),
            stepsize_controller=self._controller(given, span),
            adjoint=self.adjoint[1],
            max_steps=self.options.max_steps,
            throw=False,
        )
        return self._packed(sol, given["t0"], span), sol.interpolation

    def _point(self, static: Any, tau: Any, y: Any, args: Any) -> Point:
        start, span, p, functions = args
        return Point(start + tau * span, y, p, eqx.combine(functions, static))

    def _terms(self, static: Any, span: Any, key: Any, dt: Any) -> Any:
        model = self._in_calculus

        def drift(tau: Any, y: Any, args: Any) -> Any:
            return args[1] * model.rates(self._point(static, tau, y, args))

        if model.noise.kind == "none":
            return dfx.ODETerm(drift)

        def diffusion(tau: Any, y: Any, args: Any) -> Any:
            # dW over span*dtau has the size sqrt(span) of one over dtau.
            g = jnp.sqrt(args[1]) * model.diffusion(self._point(static, tau, y, args))
            return lx.DiagonalLinearOperator(g) if model.diagonal else g

        levy = self.choice.row.levy_area or dfx.BrownianIncrement
        shape = jax.ShapeDtypeStruct((model.n_noises,), self.options.dtype)
        finest = jnp.abs(dt / span) / 2 if self.options.fixed else 2.0**-14
        path = dfx.VirtualBrownianTree(0.0, 1.0, tol=finest, shape=shape, key=key, levy_area=levy)
        return dfx.MultiTerm(dfx.ODETerm(drift), dfx.ControlTerm(diffusion, path))

    def _first_step(self, dt: Any, span: Any) -> Any:
        if self.options.fixed:
            step = jnp.abs(dt / span)
            if self.options.saving == "even":  # a whole number of equal steps between save times
                interval = 1.0 / (self.options.n_times - 1)
                step = interval / jnp.ceil(interval / step * (1 - 1e-6))
            return step
        # diffrax guesses a first step from the rates alone; with noise the guess is ours.
        return None if self.model.noise.kind == "none" else jnp.asarray(0.01, self.options.dtype)

    def _controller(self, given: dict[str, Any], span: Any) -> Any:
        noisy, saving = self.model.noise.kind != "none", self.options.saving
        landing = self._save_times(given, span) if noisy and saving in ("times", "even") else None
        if not self.options.fixed:
            return controller(given["rtol"], given["atol"], self.choice.row.implicit, landing)
        return LandingSteps(landing) if saving == "times" and noisy else dfx.ConstantStepSize()

    def _save_times(self, given: dict[str, Any], span: Any) -> Any:
        if self.options.saving == "even":
            return jnp.linspace(0.0, 1.0, self.options.n_times, dtype=self.options.dtype)
        return jnp.clip((given["times"] - given["t0"]) / span, 0.0, 1.0)

    def _saveat(self, given: dict[str, Any], span: Any) -> dfx.SaveAt:
        saving, dense = self.options.saving, self.options.dense
        if saving == "end":
            return dfx.SaveAt(t1=True, dense=dense)
        if saving == "steps":
            return dfx.SaveAt(t0=True, steps=True, dense=dense)
        return dfx.SaveAt(ts=self._save_times(given, span), dense=dense)

    def _packed(self, sol: Any, start: Any, span: Any) -> Any:
        """[states by time | times | status, steps, accepted, rejected]; what was not reached is NaN."""
        dtype = self.options.dtype
        ys, tau = sol.ys, sol.ts
        code = code_of(sol.result, dtype)
        reached = jnp.isfinite(tau)
        finite = jnp.isfinite(ys)
        clean = jnp.all(finite | ~reached[:, None])
        code = jnp.where((code == 0) & ~clean, jnp.asarray(NONFINITE, dtype), code)
        ys = jnp.where(finite & reached[:, None], ys, jnp.nan)
        times = jnp.where(reached, start + tau * span, jnp.nan)
        steps = [sol.stats[k] for k in ("num_steps", "num_accepted_steps", "num_rejected_steps")]
        tail = jnp.stack([code, *[jnp.asarray(s, dtype) for s in steps]])
        return jnp.concatenate([ys.reshape(-1), times, tail])

    @functools.cached_property
    def diagnosis(self) -> Any:
        """The same solve, keeping only where it stopped: (time, state). Used to explain a failure, never on the way."""
        options = dataclasses.replace(self.options, saving="end", n_times=1, dense=False)
        other = Program(self.model, self.choice, self.adjoint, options)

        def stopped(buffer: Any, values: Any, key: Any) -> Any:
            given = self.split(jnp.asarray(buffer, self.options.dtype))
            p = self.model.full_params(given["p"], self.options.given_params)
            out, _ = other.run(buffer[: self.times_at], values, key)
            t, y = out[self.model.layout.n_states], out[: self.model.layout.n_states]
            rates = self.model.rates(Point(t, y, p, self.model.functions(values)))
            return t, y, rates

        return jax.jit(stopped)


def float_dtype() -> np.dtype:
    """float64 if the user enabled it, float32 otherwise."""
    return np.dtype("float64" if jax.config.jax_enable_x64 else "float32")
