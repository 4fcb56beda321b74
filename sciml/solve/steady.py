"""Steady states: where the rates are zero, with what the equations conserve held at its initial value."""

from typing import Any

import jax
import numpy as np

from ..codegen import CompiledSystem, compile
from ..errors import SolveError
from ..system import name_of, text
from .numbers import by_name
from .solution import Solution
from .steady_failure import failure, frozen_time, function_values, refuse_noise
from .steady_program import CHOICE, program_for


def steady_state(
    system: Any,
    *,
    params: Any = None,
    initial: Any = None,
    guess: Any = None,
    time: Any = None,
    max_steps: int = 100,
    throw: bool = True,
) -> "SteadyState":
    """A state in which nothing changes: all rates and algebraic equations zero.

    Newton's method, damped, and where it fails pseudo-transient continuation, which follows the motion in ever longer
    steps (Kelley and Keyes 1998, SIAM J. Numer. Anal. 35). Where there are several steady states, the start of the search
    decides which one is found; it need not be stable (`sci.linearize` tells). An answer outside the `bounds=` of an unknown
    is not taken.

    Conserved totals (`sci.passes.conservation_laws`) keep their initial values, so that the steady state of a reaction network
    follows the amounts given.

    A discretised System may be stationary from the start, without any time derivative (`sci.fields("u", x)`). Linear equations with
    constant coefficients are then solved in modes, at once; a constant that they leave open, as in a periodic Poisson equation, is
    such that the mean is 0, and a right side whose own mean is not 0 is refused. Above 400 unknowns the Jacobian of a discretised System
    is not written down: it is a band, or GMRES with an inverse in modes takes its place.

    A pure function of all its numbers: `jit`, `vmap`, `grad` and `jvp` work on it. The derivatives, by parameters and
    by the initial values in the totals, are those of the implicit function theorem. The derivative by the guess is zero.

    Args:
        system: a System, or what `sciml.compile` gives.
        params: parameters by name, in place of the declared values.
        initial: initial values by name, in place of the declared ones: they fix the totals, and the search starts there.
        guess: where the search starts, by name, if elsewhere. Left out: what `initial` gives, else the declared
            `guess=`, else the declared initial value, else `nominal=`, else 0.
        time: the time at which a System that holds the time or measured inputs is frozen. Refused without it.
        max_steps: the most corrections by Newton's method; ten times as many steps of continuation.
        throw: raise if none is found. Inside a transformation nothing is raised: the values are NaN, `status` says why.

    Returns:
        A `SteadyState`: `rest[x]`, `rest["x"]`, `rest[x/(x + y)]` have the shape of the expression (no axis of time).

    Raises:
        NameUnknown: a name that the System does not have.
        SolveError: white noise, explicit time, a missing value, no steady state found, or one that is not isolated.

    >>> import sciml as sci
    >>> a, b = sci.variables("a b", initial=[3.0, 0.0])
    >>> k, back = sci.parameters("k back", [2.0, 1.0])
    >>> rest = sci.steady_state(sci.System({a.diff(sci.t): back*b - k*a, b.diff(sci.t): k*a - back*b}))
    >>> float(rest[a].round(6)), float(rest[b].round(6)), rest.conserved
    (1.0, 2.0, {'a + b': 3.0})
    """
    model = compile(system)
    layout = model.layout
    given_params = by_name(params, layout.check_param)
    given_initial, given_guess = (_starts(model, v) for v in (initial, guess))
    refuse_noise(model)
    when = frozen_time(model, time, "sci.steady_state(system, time=0.0)")
    if isinstance(max_steps, bool) or not isinstance(max_steps, int) or max_steps < 1:
        raise SolveError(f"max_steps={max_steps!r}: give a positive whole number.")
    program = program_for(model, given_params, given_initial, max_steps)
    values = function_values(model, given_params, when)
    buffer = program.packed(when, given_params, given_initial, given_guess)
    rest = SteadyState(program.jitted(buffer, values), buffer, values, None, program, None)
    if throw and rest._concrete and rest._flat.ndim == 1 and not rest.successful:
        raise failure(rest)
    return rest


def _starts(model: CompiledSystem, values: Any) -> dict[str, Any]:
    """Values by name, each the start of a search. What formulas give is not searched for: a start for it does no harm."""
    own = model.definitions if model.at_rest else {}
    named = by_name(values, lambda key: name_of(key) if name_of(key) in own else model.layout.check_state(key))
    return {n: v for n, v in named.items() if n in model.layout.states}


@jax.tree_util.register_pytree_node_class
class SteadyState(Solution):
    """What `sciml.steady_state` gives: a Solution at one time, and a pytree as that.

    Attributes:
        conserved: the totals by their expressions, as text.
        status: a `Status`, or a batch of them: successful, nonfinite, no_steady_state, not_isolated.
        stats: steps (all), newton, pseudo_transient (numbers), solver, adjoint, reason (words).
    """

    @property
    def conserved(self) -> dict[str, Any]:
        """What the equations conserve: each total, as text, with its value."""
        found = {text(law.total): self[law.total] for law in self.model.laws}
        return {n: float(v) if self._concrete and np.ndim(v) == 0 else v for n, v in found.items()}

    @property
    def stats(self) -> dict[str, Any]:
        slow, steps = self._count("stiff"), self._count("steps")
        if not self.model.layout.n_states:
            why = "the equations are linear, and modes solve them without a search"
            return {"steps": steps, "newton": steps, "pseudo_transient": slow, "solver": "modes", "adjoint": "direct", "reason": why}
        led = isinstance(slow, int) and slow > 0
        why = "Newton's method failed from the start, pseudo-transient continuation led it" if led else "Newton's method found it"
        return {
            "steps": steps + slow,
            "newton": steps,
            "pseudo_transient": slow,
            "solver": "newton after pseudo-transient continuation" if led else "newton",
            "adjoint": "implicit",
            "reason": why if isinstance(slow, int) else CHOICE.reason,
        }

    def to_pandas(self) -> Any:
        """A table with one column per unknown and observed quantity: one row, or one for each of a batch."""
        import pandas as pd

        count = self._flat.ndim - 1
        columns: dict[str, Any] = {}
        for name in self.quantities():
            value = np.asarray(self[name])
            for index in np.ndindex(*value.shape[count:]):
                column = f"{name}[{','.join(map(str, index))}]" if index else name
                columns[column] = value[(slice(None),) * count + index].reshape(-1)
        names = list(self.axes)
        lanes = pd.MultiIndex.from_product([range(n) for n in self._flat.shape[:-1]], names=names) if names else None
        return pd.DataFrame(columns, index=lanes)

    def plot(self, *what: Any, ax: Any = None, kind: str = "auto", at: Any = None, lane: Any = None, **style: Any) -> Any:
        """Dots in the phase plane, one pair `(x, y)` each; by default the first two unknowns. Fields over space. Returns the axes."""
        from ..figure import axes
        from .plot_fields import fields_alone, fields_of, plot_fields

        asked = what or fields_of(self)
        if fields_alone(self, asked):
            return plot_fields(self, asked, ax, kind, at, lane, style)
        names = list(self.quantities())
        pairs = what or (tuple(names[:2]),)
        if any(not isinstance(p, tuple) or len(p) != 2 for p in pairs):
            raise SolveError("A steady state is a point: rest.plot((x, y)) draws it in the phase plane.")
        ax = axes(ax)
        for x, y in pairs:
            ax.plot(np.ravel(self[x]), np.ravel(self[y]), **{"marker": "o", "linestyle": "none", **style})
        ax.set_xlabel(self.label(pairs[0][0]))
        ax.set_ylabel(self.label(pairs[0][1]))
        return ax

    def __repr__(self) -> str:
        name = self.system.name
        if not self._concrete:
            return f"SteadyState of '{name}' (traced)"
        if self._flat.ndim > 1:
            found = np.asarray(self.successful)
            return f"SteadyState of '{name}', batch {found.shape}. {found.sum()} of {found.size} were found."
        shown = ", ".join(f"{n} = {np.array2string(np.asarray(self[n]), precision=6, threshold=20)}" for n in self.quantities())
        return f"SteadyState of '{name}': {shown}" if self.successful else f"SteadyState of '{name}': none was found"


__all__ = ["SteadyState", "steady_state"]
