"""Penalties on how hard a System is to solve, from what the solver knows of each step anyway.

With E the embedded error estimate of a step relative to the tolerances (the solver accepts E <= 1), h its length, and two
states a, b of the step at one time:

| penalty       | of a step                     | mode="global"          | mode="local"                              |
|---------------|-------------------------------|------------------------|-------------------------------------------|
| ErrorEstimate | E h                           | sum of accepted steps  | the step that contains a random time      |
| Stiffness     | |f(a) - f(b)| / |a - b|       | sum of accepted steps  | the step that contains a random time      |

Steps are data: derivatives are those of E and f on the mesh that was used, not of the mesh. (A good controller keeps E constant, so
that the derivative with the mesh moving says little about how hard the problem is.) A local penalty is differentiated
through one step only, from a state that counts as constant, which works with every adjoint and costs one step.

Pal, Ma, Shah and Rackauckas, Opening the Blackbox: Accelerating Neural Differential Equations by Regularizing Internal Solver
Heuristics, ICML 2021 (global). Pal, Edelman and Rackauckas, Locally Regularized Neural Differential Equations, ICML 2023 (local; there
the length of the step is guessed anew, here it is that of the solver).
"""

from collections.abc import Sequence
from typing import Any, ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from ..errors import SolveError

MODES = ("local", "global")
_STREAM = 0x5EED  # of the random times, split from the key of the noise


class _Penalty(eqx.Module):
    weight: Any
    mode: str = eqx.field(static=True, default="local")

    kind: ClassVar[str] = ""

    def __check_init__(self) -> None:
        name = type(self).__name__
        if self.mode not in MODES:
            raise SolveError(f'sci.{name}(mode={self.mode!r}): write mode="local" (one step, every adjoint) or mode="global" (all steps).')
        if isinstance(self.weight, int | float) and not (np.isfinite(self.weight) and self.weight >= 0):
            raise SolveError(f"sci.{name}(weight={self.weight!r}): the weight is a number that is not negative, or a schedule of optax.")
        if isinstance(self.weight, str | bool) or self.weight is None:
            raise SolveError(f"sci.{name}(weight={self.weight!r}): give a number such as sci.{name}(0.1), or a schedule of optax.")

    def at(self, step: Any) -> "_Penalty":
        """The same with the weight that a schedule (`optax.exponential_decay(2.5, 1000, 0.4)`) has at a step of training."""
        return type(self)(self.weight(step), self.mode) if callable(self.weight) else self


class ErrorEstimate(_Penalty):
    """Penalises the solver's own error estimate, so that training finds dynamics that take few steps.

    Args:
        weight: what the penalty is multiplied with; relative to the tolerances, since the error is. A number, or a schedule of
            optax for `sciml.nn.fit` and for `.at(step)`.
        mode: "local": E h of the step that contains a random time, for every adjoint and about the price of one step. "global": the
            sum of E h over all accepted steps.

    Raises:
        SolveError: another mode, a weight that is no number.

    >>> import jax, sciml as sci
    >>> x = sci.variables("x", initial=1.0)
    >>> k = sci.parameters("k", 0.5)
    >>> decay = sci.System([sci.eq(x.diff(sci.t), -k*x)])
    >>> sol = sci.solve(decay, t_span=(0, 2), regularize=sci.ErrorEstimate(0.1), key=jax.random.key(0))
    >>> bool(sol.penalty > 0)
    True
    """

    kind = "error"


class Stiffness(_Penalty):
    """Penalises the rate of the fastest motion along the solution, which bounds the steps of explicit solvers.

    For tsit5 it is the quotient of the last two stages, which are at one time; for Rosenbrock methods the Jacobian along the
    step; for other solvers the rates at both ends of the step. In units of 1/time.

    Args:
        weight: what the penalty is multiplied with; a number, or a schedule of optax.
        mode: "local" for the step that contains a random time, "global" for the sum of all accepted steps.

    Raises:
        SolveError: another mode, a weight that is no number.

    >>> import jax, sciml as sci
    >>> x = sci.variables("x", initial=1.0)
    >>> decay = sci.System([sci.eq(x.diff(sci.t), -3*x)])
    >>> sol = sci.solve(decay, t_span=(0, 2), regularize=sci.Stiffness(1.0), key=jax.random.key(0), solver="tsit5")
    >>> float(sol.penalty.round(3))
    3.0
    """

    kind = "stiffness"


Asked = tuple[tuple[str, str], ...]


def asked(regularize: Any) -> tuple[_Penalty, ...]:
    """The penalties of a `regularize=`: one, several, or none."""
    if regularize is None:
        return ()
    several = tuple(regularize) if isinstance(regularize, Sequence) else (regularize,)
    for one in several:
        if not isinstance(one, _Penalty):
            raise SolveError(f"regularize={one!r}: write sci.ErrorEstimate(0.1), sci.Stiffness(0.1), or a list of them.")
        if callable(one.weight):
            name = type(one).__name__
            raise SolveError(
                f"The weight of sci.{name} is a schedule, and a solve does not know the step of the training: write regularize=penalty.at(step)."
            )
    return several


def kinds_of(penalties: tuple[_Penalty, ...]) -> Asked:
    """What of them is part of the program; weights are not."""
    return tuple((p.kind, p.mode) for p in penalties)


def weighted(penalties: tuple[_Penalty, ...], values: Any) -> Any:
    """Their sum, each with its weight."""
    total = jnp.zeros_like(values[..., 0])
    for i, p in enumerate(penalties):
        total = total + jnp.asarray(p.weight, values.dtype) * values[..., i]
    return total


def refuse_impossible(kinds: Asked, choice: Any, backsolve: bool, native: bool, fixed: bool, noisy: bool, mesh: Any) -> None:
    """Penalties that a solver or an adjoint cannot give, by name."""
    if not kinds:
        return
    names = {"error": "ErrorEstimate", "stiffness": "Stiffness"}
    first = names[kinds[0][0]]
    if mesh is not None:
        raise SolveError(f"sci.{first} needs the steps of one device, and mesh= divides the fields among several. Leave out mesh=.")
    if not choice.row.adaptive:
        cure = 'solver="spark", rtol=1e-2' if noisy else 'solver="tsit5"'
        raise SolveError(f"sci.{first} is made of the solver's error estimate, and '{choice.name}' has none. Write sci.solve(..., {cure}).")
    if fixed:
        cure = "give rtol= so that the step is adaptive" if noisy else "leave out dt="
        raise SolveError(f"sci.{first} looks at the steps that an error estimate has chosen, and here they have a given size: {cure}.")
    for kind, mode in kinds:
        if mode == "global" and backsolve:
            raise SolveError(
                f'sci.{names[kind]}(mode="global") sums over all steps, which adjoint="backsolve" does not keep. '
                'Write mode="local", or adjoint="auto".'
            )
        if kind == "stiffness" and mode == "global" and not native:
            raise SolveError(
                f'sci.Stiffness(mode="global") reads the stages of tsit5, rodas5p or rosenbrock23, '
                f"which '{choice.name}' with this adjoint does not show. Write mode=\"local\"."
            )
        if kind == "stiffness" and choice.row.modal:
            raise SolveError(
                f"'{choice.name}' solves the stiff part exactly: none is left to penalise. Write sci.ErrorEstimate(...), or solver=\"tsit5\"."
            )


def random_time(key: Any, dtype: Any) -> Any:
    """The time in [0, 1] whose step is looked at; another stream than the noise of the same key."""
    return jax.random.uniform(jax.random.fold_in(key, _STREAM), dtype=dtype)


# -- what a step adds ----------------------------------------------------------------------


def error_size(error: Any, y0: Any, y1: Any, rtol: Any, atol: Any) -> Any:
    """Root mean square of an error relative to the tolerances; the scale counts as constant, and 0 has the derivative 0."""
    scale = jax.lax.stop_gradient(atol + rtol * jnp.maximum(jnp.abs(y0), jnp.abs(y1)))
    return size(error / scale)


def quotient(difference: Any, distance: Any) -> Any:
    """|difference| / |distance|; 0 where both are."""
    return size(difference) / (size(distance) + jnp.finfo(distance.dtype).tiny)


def size(v: Any) -> Any:
    """Root mean square, whose derivative at 0 is 0."""
    total = jnp.mean(v * v)
    positive = total > 0
    return jnp.where(positive, jnp.sqrt(jnp.where(positive, total, jnp.ones_like(total))), jnp.zeros_like(total))
