"""The exponential method as a diffrax solver, for use in `diffrax.diffeqsolve` with terms of your own.

`sciml.solve` runs the same steps in its own loop; this is for those who write diffrax by hand.
"""

from collections.abc import Callable
from typing import Any, ClassVar

import diffrax as dfx
import jax
import jax.numpy as jnp

from .exponential import ETD4, Split


def _no_rest(t: Any, w: Any) -> Any:
    raise AssertionError("the parabola of N is known")


def _split(symbol: Any, rest: Callable[[Any, Any], Any]) -> Split:
    """One group of one field, whatever the shape of the state."""
    shape, one = symbol.shape, symbol.reshape(1, -1)
    return Split(
        lambda t, w: rest(t, w.reshape(shape)).reshape(-1), lambda: (one,), lambda w: (w.reshape(1, -1),), lambda groups: groups[0].reshape(-1)
    )


class _Extension(dfx.AbstractLocalInterpolation):
    t0: Any
    t1: Any
    y0: Any
    y1: Any
    h: Any
    parabola: Any
    symbol: Any

    def evaluate(self, t0: Any, t1: Any = None, left: bool = True) -> Any:
        if t1 is not None:
            return self.evaluate(t1) - self.evaluate(t0)
        theta = (t0 - self.t0) / jnp.where(self.t1 == self.t0, 1.0, self.t1 - self.t0)
        inside = ETD4.inside(_split(self.symbol, _no_rest), self.y0.reshape(-1), self.parabola, theta, self.h)
        return inside.reshape(self.y0.shape)


class ETDRK4(dfx.AbstractAdaptiveSolver):
    """An exponential Runge-Kutta method of order 4 for dy/dt = symbol y + N(t, y), with an estimate of order 3.

    The symbol is an array of the shape of the state, real or complex, such as -k**2 for a heat equation in Fourier
    modes: it is solved exactly, however large its entries. The term is an `ODETerm` of N alone. The method is that of
    Krogstad, see `sciml.solve.exponential`.

    >>> import diffrax, jax.numpy as jnp
    >>> from sciml.solve import ETDRK4
    >>> rates = -jnp.array([1.0, 1e5])
    >>> term = diffrax.ODETerm(lambda t, y, args: -rates * jnp.cos(t))
    >>> control = diffrax.PIDController(rtol=1e-5, atol=1e-5)
    >>> sol = diffrax.diffeqsolve(term, ETDRK4(rates), 0.0, 1.0, None, jnp.zeros(2), stepsize_controller=control)
    >>> bool(jnp.allclose(sol.ys[-1], jnp.array([0.506947, 0.540311]), atol=1e-3))
    True
    >>> int(sol.stats["num_steps"]) < 100
    True

    References: S. Krogstad, Generalized integrating factor methods for stiff PDEs, J. Comput. Phys. 203, 72 (2005);
    P. Whalen, M. Brio and J. V. Moloney, Exponential time-differencing with embedded Runge-Kutta adaptive step control,
    J. Comput. Phys. 280, 579 (2015).
    """

    symbol: Any
    term_structure: ClassVar = dfx.AbstractTerm
    interpolation_cls: ClassVar[Callable[..., Any]] = _Extension

    def __init__(self, symbol: Any):
        self.symbol = jnp.asarray(symbol)

    def order(self, terms: Any) -> int:
        return 4

    def error_order(self, terms: Any) -> Any:
        return 1 / ETD4.exponent

    def init(self, terms: Any, t0: Any, t1: Any, y0: Any, args: Any) -> Any:
        if y0.shape != self.symbol.shape:
            raise ValueError(f"The symbol has shape {self.symbol.shape}, the state {y0.shape}: write ETDRK4(jnp.broadcast_to(symbol, y0.shape)).")
        return terms.vf(t0, y0, args), jnp.zeros_like(t0), jnp.zeros_like(y0).reshape(-1)

    def func(self, terms: Any, t0: Any, y0: Any, args: Any) -> Any:
        return self.symbol * y0 + terms.vf(t0, y0, args)

    def step(self, terms: Any, t0: Any, t1: Any, y0: Any, args: Any, solver_state: Any, made_jump: Any) -> Any:
        h = terms.contr(t0, t1)
        # The control of a scaled term may be longer or shorter than t1 - t0: stages go by the time itself.
        stretch = (t1 - t0) / h
        split = _split(self.symbol, lambda s, y: terms.vf(t0 + s * stretch, y, args))
        first, *before = jax.lax.cond(made_jump, lambda: self.init(terms, t0, t1, y0, args), lambda: solver_state)
        step = ETD4.step(split, jnp.zeros_like(h), y0.reshape(-1), h, first.reshape(-1), before=before)
        y1, error, last = (v.reshape(y0.shape) for v in (step.y1, step.error, step.f1))
        dense = dict(y0=y0, y1=y1, h=h, parabola=step.polynomial(), symbol=self.symbol)
        return y1, error, dense, (last, *step.jacobian), dfx.RESULTS.successful
