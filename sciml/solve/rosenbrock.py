"""The Rosenbrock methods as diffrax solvers, for use in `diffrax.diffeqsolve` with terms of your own.

`sciml.solve` runs the same steps in its own loop; these are for those who write diffrax by hand.
"""

from collections.abc import Callable
from typing import Any, ClassVar

import diffrax as dfx
import jax
import jax.numpy as jnp
import numpy as np
from jax.flatten_util import ravel_pytree

from ..codegen import Sparsity
from .engine import at_theta
from .linear import DenseAlgebra
from .methods import RODAS5P, ROSENBROCK23, Rhs, Rosenbrock


class _Polynomial(dfx.AbstractLocalInterpolation):
    t0: Any
    t1: Any
    y0: Any
    coefficients: Any

    def __init__(self, *, t0: Any, t1: Any, y0: Any, coefficients: Any):
        self.t0, self.t1, self.y0, self.coefficients = t0, t1, y0, coefficients

    def evaluate(self, t0: Any, t1: Any = None, left: bool = True) -> Any:
        if t1 is not None:
            return jax.tree.map(jnp.subtract, self.evaluate(t1), self.evaluate(t0))
        flat, unravel = ravel_pytree(self.y0)
        return unravel(at_theta(flat, self.coefficients, (t0 - self.t0) / (self.t1 - self.t0)))


class _RosenbrockSolver(dfx.AbstractAdaptiveSolver):
    """An ODE solver for one `diffrax.ODETerm` with any pytree of real arrays as state."""

    method: ClassVar[Rosenbrock]
    term_structure: ClassVar = dfx.AbstractTerm
    interpolation_cls: ClassVar[Callable[..., Any]] = _Polynomial

    def error_order(self, terms: Any) -> Any:
        return 1 / self.method.exponent

    def init(self, terms: Any, t0: Any, t1: Any, y0: Any, args: Any) -> None:
        return None

    def func(self, terms: Any, t0: Any, y0: Any, args: Any) -> Any:
        return terms.vf(t0, y0, args)

    def step(self, terms: Any, t0: Any, t1: Any, y0: Any, args: Any, solver_state: None, made_jump: Any) -> Any:
        flat, unravel = ravel_pytree(y0)
        n, h = flat.shape[0], terms.contr(t0, t1)
        full = np.ones((n, n), bool)
        sparsity = Sparsity(full, np.arange(n), autonomous=False)
        # The control of a scaled term may be longer or shorter than t1 - t0: stages go by the time itself.
        stretch = (t1 - t0) / h
        f = lambda s, y: ravel_pytree(terms.vf(t0 + s * stretch, unravel(y), args))[0]  # noqa: E731
        rhs = Rhs(f, f, None, DenseAlgebra.of(sparsity, full, np.ones(n, bool)))
        step = self.method.step(rhs, jnp.zeros_like(h), flat, h, None, exact=True)
        dense = dict(y0=y0, coefficients=step.polynomial())
        return unravel(step.y1), unravel(step.error), dense, None, dfx.RESULTS.successful


class Rodas5P(_RosenbrockSolver):
    """Steinebach's Rosenbrock method of order 5 for stiff problems, with a dense output of order 4.

    >>> import diffrax, jax.numpy as jnp
    >>> from sciml.solve import Rodas5P
    >>> term = diffrax.ODETerm(lambda t, y, args: -1000.0 * (y - jnp.cos(t)))
    >>> control = diffrax.PIDController(rtol=1e-4, atol=1e-4)
    >>> sol = diffrax.diffeqsolve(term, Rodas5P(), 0.0, 1.0, None, jnp.array(0.0), stepsize_controller=control)
    >>> bool(abs(sol.ys[-1] - 0.541) < 1e-2)
    True

    Reference: G. Steinebach, Construction of Rosenbrock-Wanner method Rodas5P and numerical benchmarks within the Julia
    Differential Equations package, BIT Numerical Mathematics 63, 27 (2023).
    """

    method: ClassVar[Rosenbrock] = RODAS5P

    def order(self, terms: Any) -> int:
        return 5


class Rosenbrock23(_RosenbrockSolver):
    """The Rosenbrock method of order 2 with an estimate of order 3, for stiff problems at loose tolerances.

    Reference: L. F. Shampine and M. W. Reichelt, The MATLAB ODE suite, SIAM J. Sci. Comput. 18, 1 (1997).
    """

    method: ClassVar[Rosenbrock] = ROSENBROCK23

    def order(self, terms: Any) -> int:
        return 2
