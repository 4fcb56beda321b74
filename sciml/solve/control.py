"""Step size control: diffrax's PID controller, watched so that a collapsing step ends the solve."""

from collections.abc import Callable
from typing import Any, NamedTuple

import diffrax as dfx
import equinox as eqx
import jax
import jax.numpy as jnp
import optimistix as optx
from diffrax import RESULTS

from .regularize import error_size


class Watched(dfx.AbstractAdaptiveStepSizeController):
    """A PID controller that stops with `dt_min_reached` once a step no longer advances the time.

    Without it a solution that blows up would spend all of max_steps on steps of the size of a rounding error.
    The smallest step is relative to the time, not absolute: near 0 steps may be as small as they need to be.

    `read` gives (rtol, atol, length of the scaled time) from the arguments of the solve, at each step. Where it is None
    (the backward pass of a continuous adjoint has other arguments) the fields hold, as they do for root finders.
    """

    rtol: Any
    atol: Any
    implicit: bool = eqx.field(static=True)
    read: Callable[[Any], tuple[Any, Any, Any]] | None = eqx.field(static=True)
    norm: Callable[[Any], Any] = eqx.field(static=True, default=optx.rms_norm)

    def wrap(self, direction: Any) -> "Watched":
        return self

    def _pid(self, args: Any) -> tuple[dfx.PIDController, Any]:
        """An I controller for explicit methods, a PI controller for implicit ones (it saves them 40% of the steps)."""
        rtol, atol, span = (self.rtol, self.atol, None) if self.read is None else self.read(args)
        coefficients = {"pcoeff": 0.3, "icoeff": 0.4} if self.implicit else {}
        return dfx.PIDController(rtol=rtol, atol=atol, norm=self.norm, **coefficients), span

    def init(self, terms: Any, t0: Any, t1: Any, y0: Any, dt0: Any, args: Any, func: Any, error_order: Any) -> Any:
        pid, span = self._pid(args)

        def scaled(terms: Any, t: Any, y: Any, args: Any) -> Any:
            return func(terms, t, y, args) * span  # the guess of the first step is in the scaled time

        return pid.init(terms, t0, t1, y0, dt0, args, func if span is None else scaled, error_order)

    def adapt_step_size(self, t0: Any, t1: Any, y0: Any, y1: Any, args: Any, error: Any, order: Any, state: Any) -> Any:
        keep, next_t0, next_t1, jump, state, result = self._pid(args)[0].adapt_step_size(t0, t1, y0, y1, args, error, order, state)
        smallest = 4 * jnp.finfo(jnp.asarray(next_t1).dtype).eps * next_t0
        result = RESULTS.where(next_t1 - next_t0 <= smallest, RESULTS.dt_min_reached, result)
        return keep, next_t0, next_t1, jump, state, result


class LandingSteps(dfx.AbstractStepSizeController):
    """Steps of one size, cut so that each of `ts` ends a step.

    A random path has no value between its steps that could be interpolated, so save times must be hit.
    """

    ts: Any

    def wrap(self, direction: Any) -> "LandingSteps":
        return self

    def init(self, terms: Any, t0: Any, t1: Any, y0: Any, dt0: Any, *args: Any) -> Any:
        return self._next(t0, dt0), dt0

    def adapt_step_size(self, t0: Any, t1: Any, y0: Any, y1: Any, args: Any, error: Any, order: Any, state: Any) -> Any:
        return True, t1, self._next(t1, state), False, state, RESULTS.successful

    def _next(self, now: Any, dt: Any) -> Any:
        ahead = jnp.searchsorted(self.ts, now, side="right")
        landing = jnp.where(ahead < len(self.ts), self.ts[jnp.minimum(ahead, len(self.ts) - 1)], jnp.inf)
        return jnp.minimum(now + dt, landing)


class Kept(NamedTuple):
    """What `Recording` carries: the state of the controller inside, the sum of E h, and (tau, length, state) of one step."""

    inner: Any
    total: Any
    sample: Any


class Recording(dfx.AbstractAdaptiveStepSizeController):
    """Another controller, and what penalties want to know of the steps that it accepts (see `regularize`).

    The states may be pytrees: the backward pass of a continuous adjoint has its own.

    Attributes:
        controller: decides; nothing of it changes.
        time: the scaled time whose step is kept, or None.
        summed: whether E h is summed.
    """

    controller: Watched
    time: Any
    summed: bool = eqx.field(static=True)

    @property
    def rtol(self) -> Any:
        return self.controller.rtol

    @property
    def atol(self) -> Any:
        return self.controller.atol

    @property
    def norm(self) -> Any:
        return self.controller.norm

    def wrap(self, direction: Any) -> "Recording":
        return self

    def init(self, terms: Any, t0: Any, t1: Any, y0: Any, dt0: Any, args: Any, func: Any, error_order: Any) -> Any:
        first, inner = self.controller.init(terms, t0, t1, y0, dt0, args, func, error_order)
        dtype = jnp.asarray(first).dtype
        zero = jnp.zeros((), dtype)  # also for what is not asked for: diffrax's adjoints do not take an empty state
        return first, Kept(inner, zero, zero if self.time is None else (zero, zero, y0))

    def adapt_step_size(self, t0: Any, t1: Any, y0: Any, y1: Any, args: Any, error: Any, order: Any, state: Kept) -> Any:
        keep, *rest, inner, result = self.controller.adapt_step_size(t0, t1, y0, y1, args, error, order, state.inner)
        total, sample = state.total, state.sample
        if self.summed:
            rtol, atol, span = (self.rtol, self.atol, None) if self.controller.read is None else self.controller.read(args)
            safe = jnp.where(keep, error, jnp.zeros_like(error))  # what was rejected may be NaN, and would be in the derivative
            ended = jnp.where(keep, y1, y0)
            length = jax.lax.stop_gradient(jnp.abs((t1 - t0) * (1 if span is None else span)))
            total = total + length * error_size(safe, y0, ended, rtol, atol)
        if self.time is not None:
            here = keep & (t0 <= self.time) & (self.time < t1)
            sample = jax.tree.map(lambda a, b: jnp.where(here, a, b), (t0, t1 - t0, y0), sample)
        return keep, *rest, Kept(inner, total, sample), result


def kept_in(controller_state: Any) -> Kept:
    """What `Recording` carried, wherever it is inside the state of the controllers around it."""
    is_kept = lambda x: isinstance(x, Kept)  # noqa: E731
    return next(x for x in jax.tree.leaves(controller_state, is_leaf=is_kept) if is_kept(x))
