"""One step of a diffrax solver on its own, for penalties that look at a single step of a solve."""

from typing import TYPE_CHECKING, Any

import diffrax as dfx
import equinox as eqx
import jax
import jax.numpy as jnp
import optimistix as optx

from .regularize import error_size, quotient

if TYPE_CHECKING:
    from .program import Program


def penalties_of_step(program: "Program", terms: Any, args: Any, sample: Any, kinds: tuple[str, ...]) -> Any:
    """The penalties of the step from (tau, length, state), with derivatives through that step alone.

    The same noise as in the solve: it is the step that was accepted, done again.
    """
    tau, length, y = jax.lax.stop_gradient(sample)
    buffer, _ = args
    rtol, atol = jax.lax.stop_gradient(program.tolerances(buffer))
    solver = _in_both_modes(_with_tolerances(program.choice.solver, rtol, atol))
    state = solver.init(terms, tau, tau + length, y, args)
    y1, error, dense_info, _, _ = solver.step(terms, tau, tau + length, y, args, state, made_jump=False)
    h = jax.lax.stop_gradient(jnp.abs(length * (buffer[1] - buffer[0])))

    def one(kind: str) -> Any:
        if kind == "error":
            return h * error_size(error, y, y1, rtol, atol)
        return _stiffness(program, args, solver, dense_info, tau + length, h, y, y1)

    return jnp.stack([one(kind) for kind in kinds])


def _stiffness(program: "Program", args: Any, solver: Any, dense_info: Any, tau: Any, h: Any, y: Any, y1: Any) -> Any:
    """By the last two stages of a method whose last two are at the end of the step, else by the rates at both ends."""
    tableau: Any = getattr(solver, "tableau", None)
    if isinstance(solver, dfx.AbstractERK) and "k" in dense_info and tuple(tableau.c[-2:]) == (1.0, 1.0):
        k = dense_info["k"]  # steps times rates
        row = jnp.asarray(tableau.a_lower[-2], y.dtype)
        before = y + jnp.sum(row[:, None] * k[: len(row)], axis=0)
        return quotient((k[-1] - k[-2]) / h, y1 - before)
    buffer, functions = args
    time = buffer[0] + tau * (buffer[1] - buffer[0])
    rates = [program.model.rates(program.point(buffer, functions, time, state)) for state in (y, y1)]
    return quotient(rates[1] - rates[0], y1 - y)


def _in_both_modes(solver: Any) -> Any:
    """The loop over the stages as one that has derivatives in forward and in reverse mode."""
    if getattr(solver, "scan_kind", "") is not None:
        return solver
    return eqx.tree_at(lambda s: s.scan_kind, solver, "bounded", is_leaf=lambda leaf: leaf is None)


def _with_tolerances(solver: Any, rtol: Any, atol: Any) -> Any:
    """An implicit solver whose root finder has the tolerances of the steps, where it asks for them."""
    if not isinstance(solver, dfx.AbstractImplicitSolver):
        return solver
    finder = solver.root_finder
    given = {"rtol": rtol, "atol": atol, "norm": optx.rms_norm}
    missing = [name for name in given if getattr(finder, name) is _BY_STEPS]
    if not missing:
        return solver
    return eqx.tree_at(lambda s: tuple(getattr(s.root_finder, n) for n in missing), solver, tuple(given[n] for n in missing))


_BY_STEPS = dfx.Kvaerno5().root_finder.rtol  # what diffrax puts where a tolerance is to be that of the steps
