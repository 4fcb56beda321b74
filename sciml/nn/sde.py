"""`NeuralSDE`: a layer with white noise."""

import functools
from typing import Any

import equinox as eqx

from ..errors import ModelError, SolveError
from ..solve import Solution
from ..symbols import declaration_of, neural, t, variables, white_noise
from ..system import System, eq
from .module import compiled, skeleton, weights
from .ode import Rows, check_width, checked_rows, run

_NOISES = ("diagonal", "additive", "general")
_STEPS = 100  # where neither a step nor a tolerance is given


class NeuralSDE(eqx.Module):
    """A neural stochastic differential equation, z' = f(z, t) + g(z, t) xi, from z(t0) = y0 to z(t1).

    One input of shape (size,) with one key is one path; `jax.vmap(layer)(rows, keys)` gives many. A batch of shape (batch, size)
    is solved as one System, each row with noise of its own, and one step size for all: for noise="diagonal" and "additive".

    Args:
        drift: a callable pytree, f. It gets one vector, the state and the time, and gives (size,).
        diffusion: a callable pytree, g. For noise="diagonal" it gets the state and the time and gives (size,): number i is the
            strength of noise i, which drives component i alone. For "additive" it gets the time alone, as a vector of one number,
            and gives (size,). For "general" it gives (size, noises), a column for each noise.
        size: the length of y0.
        noise: "diagonal", "additive" or "general".
        noises: how many noises there are with noise="general"; `size` if left out.
        t_span: (t0, t1).
        time: False if drift and diffusion do not take the time (not for "additive").
        calculus: "stratonovich", or "ito", in which only solver="euler" and diffrax's solvers for it can be used unless the noise is
            additive: no solver knows the derivative of g.
        solver: "auto" ("heun" with steps of one size, "spark" with a tolerance), a name from `sciml.solve.SOLVERS`, or a diffrax solver.
        dt: the step. Without dt, rtol and atol there are 100 steps.
        rtol: relative tolerance; makes the steps adaptive.
        atol: absolute tolerance; makes the steps adaptive.
        adjoint: as in `sciml.solve`.
        max_steps: steps after which a solve gives up.

    Attributes:
        system: the System for one input, with the unknown `z`, the neural terms `f` and `g`, and the noise `xi`.

    Raises:
        ModelError: modules of another width, or another word for noise.

    References:
        Li, Wong, Chen and Duvenaud, Scalable gradients for stochastic differential equations (2020), arXiv:2001.01328.

    >>> import equinox as eqx, jax, jax.numpy as jnp, sciml as sci
    >>> f, g = (eqx.nn.MLP(3, 2, 8, 1, activation=jnp.tanh, key=k) for k in jax.random.split(jax.random.key(0)))
    >>> layer = sci.nn.NeuralSDE(f, g, 2, dt=0.05)
    >>> jax.vmap(layer)(jnp.ones((5, 2)), jax.random.split(jax.random.key(1), 5)).shape
    (5, 2)
    >>> print(layer.system)
    System 'neural_sde'
      z' = f(z, t) + g(z, t)*xi
    """

    drift: Any
    diffusion: Any
    t_span: Any
    dt: Any
    rtol: Any
    atol: Any
    size: int = eqx.field(static=True)
    noise: str = eqx.field(static=True)
    noises: int = eqx.field(static=True)
    time: bool = eqx.field(static=True)
    solver: Any = eqx.field(static=True)
    adjoint: Any = eqx.field(static=True)
    max_steps: int = eqx.field(static=True)
    system: System = eqx.field(static=True)

    def __init__(
        self,
        drift: Any,
        diffusion: Any,
        size: int,
        *,
        noise: str = "diagonal",
        noises: int | None = None,
        t_span: Any = (0.0, 1.0),
        time: bool = True,
        calculus: str = "stratonovich",
        solver: Any = "auto",
        dt: Any = None,
        rtol: Any = None,
        atol: Any = None,
        adjoint: Any = "auto",
        max_steps: int = 4096,
    ):
        if noise not in _NOISES:
            raise ModelError(f'NeuralSDE has no noise={noise!r}. Write noise="diagonal", "additive" or "general".')
        if noises is not None and noise != "general":
            raise ModelError(f'noises={noises} is for noise="general"; with noise="{noise}" there are {size}, one for each component.')
        self.noises = size if noises is None else noises
        check_width(drift, "NeuralSDE", size, time, word="drift")
        _check_diffusion(diffusion, size, self.noises, noise, time)
        self.drift, self.diffusion, self.size, self.noise, self.time = drift, diffusion, size, noise, time
        self.t_span, self.dt, self.rtol, self.atol = t_span, dt, rtol, atol
        self.solver, self.adjoint, self.max_steps = solver, adjoint, max_steps
        f, g = skeleton(drift), skeleton(_term(diffusion, noise, self.noises, 0, time))
        self.system = _system(f, g, (size,), noise, self.noises, time, calculus)

    def __call__(self, y0: Any, key: Any) -> Any:
        """The state at the end of the path that belongs to the key.

        Args:
            y0: (size,), or (batch, size).
            key: `jax.random.key(...)`.
        """
        return self.solve(y0, key=key)["z"][-1]

    def solve(self, y0: Any, *, key: Any, t_span: Any = None, saveat: Any = "end", regularize: Any = None, **options: Any) -> Solution:
        """The whole path: `sol["z"]` has shape (times, size), or (times, batch, size).

        Args:
            y0: (size,), or (batch, size).
            key: `jax.random.key(...)`. The same key is the same path for every step size.
            t_span: (t0, t1), in place of that of the layer.
            saveat: as in `sciml.solve`.
            regularize: as in `sciml.solve`; the steps must be adaptive.
            options: further arguments of `sciml.solve`; they go before those of the layer.

        Raises:
            SolveError: a y0 of another shape, or a solve that failed.
        """
        y0 = checked_rows(y0, self.size, "NeuralSDE")
        rows = y0.shape[0] if y0.ndim == 2 else 0
        if rows and self.noise == "general":
            raise SolveError(f'With noise="general" each row is a solve of its own: write jax.vmap(layer)(y0, jax.random.split(key, {rows})).')
        system = _batch_system(self.system, rows, self.noise) if rows else self.system
        f = Rows(self.drift, rows, self.time) if rows else self.drift
        g = _term(self.diffusion, self.noise, self.noises, rows, self.time)
        t_span = self.t_span if t_span is None else t_span
        return run(
            compiled(system, f, g),
            stepping(self, t_span, options),
            t_span=t_span,
            params={"f": weights(f), "g": weights(g)},
            initial={"z": y0},
            saveat=saveat,
            key=key,
            regularize=regularize,
        )


def stepping(layer: Any, t_span: Any, options: dict[str, Any]) -> dict[str, Any]:
    """Options of a solve with noise: 100 steps where neither a step nor a tolerance is given; a solver that can do what is asked."""
    made = {"solver": layer.solver, "adjoint": layer.adjoint, "max_steps": layer.max_steps, "dt": layer.dt, "rtol": layer.rtol, "atol": layer.atol}
    if options.get("dt") is not None:  # of the call: goes before a tolerance of the layer, and the other way round
        made |= {"rtol": None, "atol": None}
    if options.get("rtol") is not None or options.get("atol") is not None:
        made |= {"dt": None}
    made |= options
    adaptive = made["rtol"] is not None or made["atol"] is not None
    if not adaptive and made["dt"] is None:
        made["dt"] = abs(t_span[1] - t_span[0]) / _STEPS
    if made["solver"] == "auto":
        steady = "shark" if layer.noise == "additive" else "heun" if layer.system.calculus == "stratonovich" else "euler"
        made["solver"] = "spark" if adaptive and steady != "euler" else steady
    return made


# -- systems -----------------------------------------------------------------------------


class Columns(eqx.Module):
    """A matrix of (size, noises) as one row for each noise, or a vector for one noise."""

    module: Any
    noises: int = eqx.field(static=True)

    def __call__(self, flat: Any) -> Any:
        columns = self.module(flat).T
        return columns if self.noises > 1 else columns[0]


def _term(diffusion: Any, noise: str, noises: int, rows: int, time: bool) -> Any:
    """The diffusion as a neural term of the System."""
    if noise == "general":
        return Columns(diffusion, noises)
    return Rows(diffusion, rows, time) if rows and noise == "diagonal" else diffusion


def _check_diffusion(diffusion: Any, size: int, noises: int, noise: str, time: bool) -> None:
    taken, timed, shape = {"diagonal": (size, time, (size,)), "additive": (0, True, (size,)), "general": (size, time, (size, noises))}[noise]
    check_width(diffusion, "NeuralSDE", taken, timed, shape, "diffusion")


def _system(f: Any, g: Any, shape: tuple[int, ...], noise: str, noises: int, time: bool, calculus: str) -> System:
    z = variables("z", shape=shape, initial=0.0)
    given = (z, t) if time else (z,)
    if noise == "general":
        xis = white_noise(f"xi0:{noises}") if noises > 1 else (white_noise("xi"),)
        columns = neural("g", g, outputs=noises)(*given)
        driven = sum(c * xi for c, xi in zip(columns if noises > 1 else (columns,), xis, strict=True))
    else:
        driven = neural("g", g)(*((t,) if noise == "additive" else given)) * white_noise("xi", shape=shape)
    return System([eq(z.diff(t), neural("f", f)(*given) + driven)], calculus=calculus, name="neural_sde")


@functools.lru_cache(maxsize=128)
def _batch_system(system: System, rows: int, noise: str) -> System:
    """The same System for a batch."""
    declared = {name: declaration_of(s) for name, s in system.symbols.items()}
    (n,), time = declared["z"].shape, t in system.symbols["f"].args
    f, g = Rows(declared["f"].value, rows, time), _term(declared["g"].value, noise, n, rows, time)
    return _system(f, g, (rows, n), noise, n, time, system.calculus)


__all__ = ["NeuralSDE"]
