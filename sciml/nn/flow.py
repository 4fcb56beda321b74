"""`ContinuousNormalizingFlow`: a density carried along z' = f(z, t)."""

import functools
import math
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from ..errors import ModelError, SolveError
from ..solve import Solution
from ..symbols import declaration_of, neural, parameters, t, variables
from ..system import System, eq
from .module import compiled, skeleton, weights
from .ode import NeuralODE, Rows, checked_rows, run

_TRACES = ("exact", "hutchinson")


class ContinuousNormalizingFlow(eqx.Module):
    """A density: what z' = f(z, t) makes of standard normal numbers between t0 and t1.

    Along a path the logarithm of the density changes by the divergence of f, which is one more state:

        log p(x) = log N(z(t0); 0, 1) - integral of div f(z(t), t) from t0 to t1,    z(t1) = x

    Args:
        module: a callable pytree, f. It gets one vector: the state, and the time as its last number; it gives (size,).
        size: how many numbers a sample has.
        t_span: (t0, t1).
        time: False if the module does not take the time.
        trace: "exact" takes `size` products with the Jacobian in each evaluation. "hutchinson" takes one, with a random vector
            of signs e that is drawn once for each solve: e.(J e) is the divergence in the mean, so log_prob has a random error.
        solver: as in `NeuralODE`; and so are rtol, atol, adjoint and max_steps.

    Attributes:
        system: the System for one sample, with the unknowns `z` and `c` (the integral of the divergence), the neural terms `f` and
            `divergence`, which have the same weights, and with "hutchinson" the parameter `e`.

    Raises:
        ModelError: a module of another width, or another word for trace.

    References:
        Chen, Rubanova, Bettencourt and Duvenaud, Neural ordinary differential equations (2018), arXiv:1806.07366.
        Grathwohl, Chen, Bettencourt, Sutskever and Duvenaud, FFJORD (2019), arXiv:1810.01367.

    >>> import equinox as eqx, jax, jax.numpy as jnp, sciml as sci
    >>> flow = sci.nn.ContinuousNormalizingFlow(eqx.nn.MLP(3, 2, 8, 1, activation=jnp.tanh, key=jax.random.key(0)), 2)
    >>> samples = flow.sample(jax.random.key(1), 5)
    >>> flow.log_prob(samples).shape
    (5,)
    >>> print(flow.system)
    System 'flow'
      z' = f(z, t)
      c' = divergence(z, t)
    """

    ode: NeuralODE
    trace: str = eqx.field(static=True)
    time: bool = eqx.field(static=True)
    system: System = eqx.field(static=True)

    def __init__(
        self,
        module: Any,
        size: int,
        *,
        t_span: Any = (0.0, 1.0),
        time: bool = True,
        trace: str = "exact",
        solver: Any = "tsit5",
        rtol: Any = None,
        atol: Any = None,
        adjoint: Any = "auto",
        max_steps: int = 256,
    ):
        if trace not in _TRACES:
            raise ModelError(f'ContinuousNormalizingFlow has no trace={trace!r}. Write trace="exact" or trace="hutchinson".')
        self.ode = NeuralODE(module, size=size, t_span=t_span, time=time, solver=solver, rtol=rtol, atol=atol, adjoint=adjoint, max_steps=max_steps)
        self.trace, self.time = trace, time
        self.system = _system(skeleton(module), size, 0, time, trace)

    @property
    def size(self) -> int:
        """How many numbers a sample has."""
        return self.ode.size

    def log_prob(self, x: Any, *, key: Any = None, **options: Any) -> Any:
        """The logarithm of the density.

        Args:
            x: (size,), or a batch (batch, size), which is solved as one System.
            key: a random key, for trace="hutchinson".
            options: further arguments of `sciml.solve`.

        Returns:
            A number, or (batch,).
        """
        return self.log_prob_of(self.solve(x, key=key, **options))

    def log_prob_of(self, sol: Solution) -> Any:
        """The logarithm of the density from what `solve` gave: `sol.penalty` is then there, too."""
        z, c = sol["z"][-1], sol["c"][-1]
        return c - 0.5 * jnp.sum(jnp.square(z), axis=-1) - 0.5 * self.size * math.log(2 * math.pi)

    def solve(self, x: Any, *, saveat: Any = "end", key: Any = None, regularize: Any = None, **options: Any) -> Solution:
        """From x at t1 back to t0: `sol["z"][-1]` is where it came from, `sol["c"][-1]` minus the integral of the divergence.

        Args:
            x: (size,), or (batch, size).
            saveat: as in `sciml.solve`; times fall from t1 to t0.
            key: a random key, for trace="hutchinson" and for a regulariser with mode="local".
            regularize: as in `sciml.solve`.
            options: further arguments of `sciml.solve`.

        Raises:
            SolveError: an x of another shape, a missing key, or a solve that failed.
        """
        x = checked_rows(x, self.size, "ContinuousNormalizingFlow")
        rows = x.shape[0] if x.ndim == 2 else 0
        terms = _terms(self.ode.module, rows, self.size, self.time, self.trace)
        system = _batch_system(self.system, rows) if rows else self.system
        params: dict[str, Any] = {name: weights(term) for name, term in terms.items()}
        if self.trace == "hutchinson":
            if key is None:
                raise SolveError('This flow has trace="hutchinson" and needs random signs: write flow.log_prob(x, key=jax.random.key(0)).')
            key, own = jax.random.split(key)
            params["e"] = jax.random.rademacher(own, x.shape, x.dtype)
        (t0, t1), o = self.ode.t_span, self.ode
        return run(
            compiled(system, *terms.values()),
            {"solver": o.solver, "rtol": o.rtol, "atol": o.atol, "adjoint": o.adjoint, "max_steps": o.max_steps, **options},
            t_span=(t1, t0),
            params=params,
            initial={"z": x},
            saveat=saveat,
            key=None if regularize is None else key,
            regularize=regularize,
        )

    def sample(self, key: Any, n: int | None = None) -> Any:
        """Samples: standard normal numbers carried from t0 to t1.

        Args:
            key: `jax.random.key(...)`.
            n: how many; one without an axis if left out.

        Returns:
            (n, size), or (size,).
        """
        shape = (self.size,) if n is None else (n, self.size)
        return self.ode(jax.random.normal(key, shape))


class Divergence(eqx.Module):
    """The trace of the Jacobian of a module, for one state or for rows of them; with signs e, e.(J e) in its place.

    It takes all states, the signs if there are any, and the time if the module takes it, as one vector.
    """

    module: Any
    shape: tuple[int, ...] = eqx.field(static=True)
    timed: bool = eqx.field(static=True)
    signed: bool = eqx.field(static=True)

    def __call__(self, flat: Any) -> Any:
        size = math.prod(self.shape)
        time = flat[-1:] if self.timed else flat[:0]
        signs = flat[size : 2 * size].reshape(self.shape) if self.signed else None

        def field(z: Any) -> Any:
            return self.module(jnp.concatenate([z, time]))

        def one(z: Any, e: Any) -> Any:
            return jnp.trace(jax.jacfwd(field)(z)) if e is None else jnp.dot(e, jax.jvp(field, (z,), (e,))[1])

        states = flat[:size].reshape(self.shape)
        return one(states, signs) if len(self.shape) == 1 else jax.vmap(one)(states, signs)


def _terms(module: Any, rows: int, size: int, time: bool, trace: str) -> dict[str, Any]:
    """The two neural terms of the System for one sample (rows=0) or a batch. They share their weights."""
    shape = (rows, size) if rows else (size,)
    return {"f": Rows(module, rows, time) if rows else module, "divergence": Divergence(module, shape, time, trace == "hutchinson")}


def _system(module: Any, size: int, rows: int, time: bool, trace: str) -> System:
    shape = (rows, size) if rows else (size,)
    z = variables("z", shape=shape, initial=0.0)
    c = variables("c", shape=shape[:-1], initial=0.0)
    f, divergence = (neural(name, term) for name, term in _terms(module, rows, size, time, trace).items())
    noise = (parameters("e", value=np.ones(shape)),) if trace == "hutchinson" else ()
    when = (t,) if time else ()
    return System([eq(z.diff(t), f(z, *when)), eq(c.diff(t), divergence(z, *noise, *when))], name="flow")


@functools.lru_cache(maxsize=128)
def _batch_system(system: System, rows: int) -> System:
    """The same System for a batch."""
    declared = {name: declaration_of(s) for name, s in system.symbols.items()}
    module = declared["divergence"].value.module
    (size,) = declared["z"].shape
    time = t in system.symbols["f"].args
    return _system(module, size, rows, time, "hutchinson" if "e" in declared else "exact")


__all__ = ["ContinuousNormalizingFlow"]
