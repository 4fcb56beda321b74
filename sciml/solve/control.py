"""Step size control: diffrax's PID controller, watched so that a collapsing step ends the solve."""

from typing import Any

import diffrax as dfx
import jax.numpy as jnp
from diffrax import RESULTS


class Watched(dfx.AbstractAdaptiveStepSizeController):
    """Another controller that stops with `dt_min_reached` once a step no longer advances the time.

    Without it a solution that blows up would spend all of max_steps on steps of the size of a rounding error.
    The smallest step is relative to the time, not absolute: near 0 steps may be as small as they need to be.
    """

    controller: dfx.AbstractAdaptiveStepSizeController

    @property
    def rtol(self) -> Any:
        return self.controller.rtol

    @property
    def atol(self) -> Any:
        return self.controller.atol

    @property
    def norm(self) -> Any:
        return self.controller.norm

    def wrap(self, direction: Any) -> "Watched":
        return Watched(self.controller.wrap(direction))

    def init(self, *args: Any, **kwargs: Any) -> Any:
        return self.controller.init(*args, **kwargs)

    def adapt_step_size(self, t0: Any, t1: Any, *args: Any, **kwargs: Any) -> Any:
        keep, next_t0, next_t1, jump, state, result = self.controller.adapt_step_size(t0, t1, *args, **kwargs)
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


def controller(rtol: Any, atol: Any, implicit: bool, landing: Any = None) -> dfx.AbstractStepSizeController:
    """An I controller for explicit methods, a PI controller for implicit ones (it saves them 40% of the steps)."""
    coefficients = {"pcoeff": 0.3, "icoeff": 0.4} if implicit else {}
    watched = Watched(dfx.PIDController(rtol=rtol, atol=atol, **coefficients))
    return watched if landing is None else dfx.ClipStepSizeController(watched, step_ts=landing)
