"""`NeuralODE`: a layer that carries its input along z' = f(z, t)."""

import functools
import math
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from ..codegen import CompiledSystem
from ..errors import ModelError, SolveError
from ..solve import Solution, solve
from ..symbols import declaration_of, neural, t, variables
from ..system import System, eq
from .module import compiled, skeleton, weights


class NeuralODE(eqx.Module):
    """A neural ordinary differential equation, z' = f(z, t), from z(t0) = y0 to z(t1).

    One input of shape (size,) is one solve. A batch of shape (batch, size) is solved as one System: one step size for all
    rows, one matrix product per layer of the module. `jax.vmap(layer)` gives each row steps of its own instead: fewer
    function evaluations for the easy rows, and all wait for the hardest one.

    Args:
        module: a callable pytree, f. It gets one vector: the state, and the time as its last number; it gives (size,).
        size: the length of y0. Read from `module.in_size` or its first linear layer if left out.
        t_span: (t0, t1). A jax array is trained with the weights.
        time: False if the module does not take the time.
        augment: zeros that are appended to y0, so that paths may cross (Dupont et al. 2019). The module gives size + augment
            numbers then, and so does the layer.
        solver: a name from `sciml.solve.SOLVERS`, or a diffrax solver.
        rtol: relative tolerance, as in `sciml.solve`.
        atol: absolute tolerance, as in `sciml.solve`.
        adjoint: as in `sciml.solve`; "auto" is the exact derivative of the steps, "backsolve" needs the least memory.
        max_steps: steps after which a solve gives up. A gradient keeps at most so many states.

    Attributes:
        system: the System for one input, with the unknown `z` and the neural term `f`. Print it, or solve it with `sciml.solve`.

    Raises:
        ModelError: a module of another width.

    References:
        Chen, Rubanova, Bettencourt and Duvenaud, Neural ordinary differential equations (2018), arXiv:1806.07366.
        Dupont, Doucet and Teh, Augmented neural ODEs (2019), arXiv:1904.01681.

    >>> import equinox as eqx, jax, jax.numpy as jnp, sciml as sci
    >>> layer = sci.nn.NeuralODE(eqx.nn.MLP(3, 2, 8, 1, activation=jnp.tanh, key=jax.random.key(0)))
    >>> layer(jnp.ones(2)).shape, layer(jnp.ones((5, 2))).shape
    ((2,), (5, 2))
    >>> print(layer.system)
    System 'neural_ode'
      z' = f(z, t)
    """

    module: Any
    t_span: Any
    rtol: Any
    atol: Any
    size: int = eqx.field(static=True)
    augment: int = eqx.field(static=True)
    solver: Any = eqx.field(static=True)
    adjoint: Any = eqx.field(static=True)
    max_steps: int = eqx.field(static=True)
    system: System = eqx.field(static=True)

    def __init__(
        self,
        module: Any,
        *,
        size: int | None = None,
        t_span: Any = (0.0, 1.0),
        time: bool = True,
        augment: int = 0,
        solver: Any = "tsit5",
        rtol: Any = None,
        atol: Any = None,
        adjoint: Any = "auto",
        max_steps: int = 256,
    ):
        self.size = size_of(module, "NeuralODE", time + augment) if size is None else size
        self.augment = augment
        check_width(module, "NeuralODE", self.size + augment, time)
        self.module, self.t_span, self.rtol, self.atol = module, t_span, rtol, atol
        self.solver, self.adjoint, self.max_steps = solver, adjoint, max_steps
        self.system = _system(skeleton(module), (self.size + augment,), time)

    def __call__(self, y0: Any) -> Any:
        """The state at the end.

        Args:
            y0: (size,), or (batch, size).

        Returns:
            (size + augment,), or (batch, size + augment).
        """
        return self.solve(y0)["z"][-1]

    def solve(self, y0: Any, *, t_span: Any = None, saveat: Any = "end", key: Any = None, regularize: Any = None, **options: Any) -> Solution:
        """The whole solve: `sol["z"]` has shape (times, size), or (times, batch, size); `sol.stats["rhs"]` counts evaluations.

        Args:
            y0: (size,), or (batch, size).
            t_span: (t0, t1), in place of that of the layer.
            saveat: as in `sciml.solve`.
            key: for a regulariser with mode="local".
            regularize: as in `sciml.solve`; the penalty is `sol.penalty`.
            options: further arguments of `sciml.solve`; they go before those of the layer.

        Raises:
            SolveError: a y0 of another shape, or a solve that failed.
        """
        y0 = self._start(y0)
        system, module = (self.system, self.module) if y0.ndim == 1 else batched(self.system, self.module, y0.shape[0])
        return run(
            compiled(system, module),
            {"solver": self.solver, "rtol": self.rtol, "atol": self.atol, "adjoint": self.adjoint, "max_steps": self.max_steps, **options},
            t_span=self.t_span if t_span is None else t_span,
            params={"f": weights(module)},
            initial={"z": y0},
            saveat=saveat,
            key=key,
            regularize=regularize,
        )

    def _start(self, y0: Any) -> Any:
        y0 = checked_rows(y0, self.size, "NeuralODE")
        return jnp.pad(y0, [(0, 0)] * (y0.ndim - 1) + [(0, self.augment)]) if self.augment else y0


class Rows(eqx.Module):
    """A module for each row of a batch: it takes all states and the time as one vector, and gives (rows, outputs)."""

    module: Any
    rows: int = eqx.field(static=True)
    timed: bool = eqx.field(static=True)

    def __call__(self, flat: Any) -> Any:
        if not self.timed:
            return jax.vmap(self.module)(flat.reshape(self.rows, -1))
        states, time = flat[:-1].reshape(self.rows, -1), flat[-1:]
        return jax.vmap(lambda z: self.module(jnp.concatenate([z, time])))(states)


@functools.lru_cache(maxsize=128)
def _batch_system(system: System, rows: int) -> System:
    """The same System for a batch. Kept, since a training loop asks for it at every call."""
    (f,) = (s for s in system.symbols.values() if declaration_of(s).kind == "neural")
    (n,) = declaration_of(system.unknowns["z"]).shape
    timed = t in f.args
    return _system(Rows(declaration_of(f).value, rows, timed), (rows, n), timed)


def batched(system: System, module: Any, rows: int) -> tuple[System, Any]:
    """System and module for a batch of so many rows."""
    made = _batch_system(system, rows)
    return made, Rows(module, rows, any(t in s.args for s in made.symbols.values() if declaration_of(s).kind == "neural"))


def _system(module: Any, shape: tuple[int, ...], time: bool) -> System:
    z = variables("z", shape=shape, initial=0.0)
    f = neural("f", module)
    return System([eq(z.diff(t), f(z, t) if time else f(z))], name="neural_ode")


def run(model: CompiledSystem, options: dict[str, Any], *, regularize: Any, **given: Any) -> Solution:
    """`sciml.solve`; a regulariser is passed on where there is one."""
    if regularize is not None:
        given["regularize"] = regularize
    return solve(model, **options, **given)


# -- widths ----------------------------------------------------------------------------


def size_of(module: Any, layer: str, beside: int) -> int:
    """The size of the state, from the width of the module's input; `beside` numbers of it are not of the input of the layer."""
    own = getattr(module, "in_size", getattr(module, "in_features", None))
    if own is None:
        linear = [m for m in jax.tree.leaves(module, is_leaf=lambda m: isinstance(m, eqx.nn.Linear)) if isinstance(m, eqx.nn.Linear)]
        own = linear[0].in_features if linear else None
    if not isinstance(own, int) or own - beside < 1:
        raise ModelError(f"{layer} cannot read the size of the state from {type(module).__name__}. Write {layer}(module, size=2).")
    return own - beside


def check_width(module: Any, layer: str, n: int, time: bool, shape: tuple[int, ...] | None = None, word: str = "module") -> None:
    """Refuses a module that does not take n numbers (and the time) and give `shape`, (n,) if not said."""
    taken, shape = n + time, (n,) if shape is None else shape
    what = (f"the {n} of the state and the time" if n else "the time alone") if time else "those of the state, without the time"
    example = f"eqx.nn.MLP({taken}, {math.prod(shape)}, 64, 2, key=key)"
    if len(shape) > 1:
        example = f"net = {example} and lambda v: net(v).reshape{shape}"
    try:
        given = eqx.filter_eval_shape(module, jax.ShapeDtypeStruct((taken,), _float()))
    except (TypeError, ValueError) as problem:
        raise ModelError(
            f"{layer}: the {word} does not take a vector of {taken} numbers ({what}): {_first_line(problem)} Write for example {example}."
        ) from None
    found = getattr(given, "shape", None)
    if found != shape:
        raise ModelError(f"{layer}: the {word} gives shape {found}, and needs to give {shape}. Write for example {example}.")


def checked_rows(y: Any, size: int, layer: str) -> Any:
    """An input of shape (size,) or (batch, size), as an array."""
    y = jnp.asarray(y)
    y = y if jnp.issubdtype(y.dtype, jnp.floating) else y.astype(_float())
    if y.ndim in (1, 2) and y.shape[-1] == size and y.size:
        return y
    cure = "jax.vmap(layer)(y0)" if y.ndim > 2 and y.shape[-1] == size else f"layer(jnp.ones({size}))"
    raise SolveError(f"This {layer} takes an array of shape ({size},) or (batch, {size}), and was given {y.shape}. Write for example {cure}.")


def _float() -> Any:
    return np.dtype("float64" if jax.config.jax_enable_x64 else "float32")  # type: ignore[attr-defined]


def _first_line(problem: Exception) -> str:
    return str(problem).strip().split("\n")[0].rstrip(".")[:120] + "."


__all__ = ["NeuralODE"]
