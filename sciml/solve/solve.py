"""`solve`: from a System and numbers to a Solution."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import jax
import numpy as np

from ..codegen import CompiledSystem, compile
from ..errors import SolveError
from .devices import checked_mesh, refuse_undividable
from .exponential import spread
from .failure import failure
from .numbers import Numbers, by_name, ends_of, has_nominal, is_traced
from .program import TAIL, Options, Program
from .regularize import Asked, asked, kinds_of, refuse_impossible, weighted
from .solution import Solution
from .solvers import Modes, adjoint_of, choose

_MAX_STEPS, _MAX_STEPS_DIFFRAX, _MAX_STEPS_STORED, _RECORDED = 1_000_000, 100_000, 4096, 16_384


def solve(
    system: Any,
    *,
    t_span: Any,
    params: Any = None,
    initial: Any = None,
    saveat: Any = 200,
    key: Any = None,
    solver: Any = "auto",
    rtol: Any = None,
    atol: Any = None,
    dt: Any = None,
    adjoint: Any = "auto",
    dense: bool = False,
    max_steps: int | None = None,
    mesh: Any = None,
    regularize: Any = None,
    throw: bool = True,
) -> Solution:
    """Solves a System over a span of time.

    A pure function of all its numbers: `jit`, `vmap`, `grad`, `jvp` and `jacfwd` work on it, and
    calling it again with other numbers does not compile again.

    Args:
        system: a System, or what `sciml.compile` gives.
        t_span: (start, end); end before start solves backwards (without noise).
        params: parameters by name, in place of the declared values; networks and data inputs too.
        initial: initial values by name ("theta'" for a rate), in place of the declared ones.
        saveat: an int (evenly spaced, both ends included), an array of times, "end" or "steps".
        key: `jax.random.key(...)`, for Systems with noise. The same key is the same path for every step size.
        solver: "auto" ("etdrk4" where the linear part is diagonal in modes and stiff), a name from `sciml.solve.SOLVERS`, or a diffrax solver.
        rtol: relative tolerance; 1e-6 in float64, 1e-4 in float32. For an SDE, rtol or atol makes the step adaptive.
        atol: absolute tolerance, 1e-9 and 1e-6. May be a dict by name; is multiplied by `nominal=` where that is declared.
        dt: a fixed step. An SDE without dt, rtol and atol takes 1000 steps.
        adjoint: "auto" ("discrete" for auto, tsit5, rodas5p, rosenbrock23 and etdrk4, "checkpoint" for other solvers), "forward",
            "backsolve", "direct", or a diffrax adjoint.
        dense: keep what `sol(time)` needs.
        max_steps: a million (100000 for solvers of diffrax), or 4096 where each step is stored (dense=True, saveat="steps"), or
            16384 for derivatives.
        mesh: `jax.make_mesh((8,), ("x",))`: the fields of a discretised System are divided among its devices along their first
            coordinate, whose name the mesh has. `sol[u]` is then an array that lives on all of them.
        regularize: `sci.ErrorEstimate(weight)`, `sci.Stiffness(weight)` or a list of them: `sol.penalty` is then their weighted sum, to
            be added to a loss. Those with mode="local" look at the step that contains a random time, and need `key=`.
        throw: raise if the solve fails. Inside a transformation nothing is raised: what was not reached is NaN.

    Returns:
        A `Solution`.

    Raises:
        NameUnknown: a name that the System does not have.
        SolveError: a bad option, a missing value, or a solve that failed.

    >>> import sciml as sci
    >>> x = sci.variables("x", initial=1.0)
    >>> k = sci.parameters("k", 0.5)
    >>> decay = sci.System([sci.eq(x.diff(sci.t), -k*x)])
    >>> float(sci.solve(decay, t_span=(0, 2), saveat="end")[x][-1].round(3))
    0.368
    """
    penalties = asked(regularize) if regularize is not None else ()
    ready = prepare(
        compile(system), t_span=t_span, params=params, initial=initial, saveat=saveat, key=key, solver=solver, rtol=rtol, atol=atol, dt=dt,
        adjoint=adjoint, dense=dense, max_steps=max_steps, mesh=mesh, penalties=kinds_of(penalties),
    )  # fmt: skip
    out, interpolation, values = ready.program.jitted(ready.buffer, ready.values, key)
    penalty = weighted(penalties, values) if penalties else None
    sol = Solution(out, ready.buffer, ready.values, interpolation, ready.program, ready.n_times, penalty=penalty)
    if throw and out.ndim == 1 and not isinstance(out, jax.core.Tracer) and np.asarray(out)[-len(TAIL)] != 0:
        raise failure(sol, key)
    return sol


class Prepared(NamedTuple):
    """A solve that only has to be run: the program and its arguments."""

    program: Program
    buffer: Any
    values: dict[str, Any]

    @property
    def n_times(self) -> int:
        o = self.program.options
        return o.n_times if o.saving != "steps" else o.max_steps + 1


def prepare(
    model: CompiledSystem,
    *,
    t_span: Any,
    params: Any = None,
    initial: Any = None,
    saveat: Any = 200,
    key: Any = None,
    solver: Any = "auto",
    rtol: Any = None,
    atol: Any = None,
    dt: Any = None,
    adjoint: Any = "auto",
    dense: bool = False,
    max_steps: int | None = None,
    mesh: Any = None,
    penalties: Asked = (),
) -> Prepared:
    """The options of `solve` checked, the program for them found or made, the numbers packed."""
    layout = model.layout
    given_params = by_name(params, layout.check_param)
    given_initial = by_name(initial, layout.check_state)
    program = _program(model, given_params, given_initial, saveat, solver, adjoint, dense, dt, rtol, atol, max_steps, mesh, penalties)
    start, end = ends_of(t_span)
    numbers = Numbers(program, start, end, rtol, atol, dt, saveat)
    buffer = numbers.packed(given_params, given_initial)
    if layout.functions:
        values = {n: given_params.get(n, v) for n, v in _default_functions(model).items()}
        _check_functions(model, given_params, start, end)
    else:
        values = {}
    _check_key(program, key)
    return Prepared(program, buffer, values)


# -- the program for some options, found or made ---------------------------------------


def _program(
    model: CompiledSystem,
    params: Mapping[str, Any],
    initial: Mapping[str, Any],
    saveat: Any,
    solver: Any,
    adjoint: Any,
    dense: bool,
    dt: Any,
    rtol: Any,
    atol: Any,
    max_steps: int | None,
    mesh: Any = None,
    penalties: Asked = (),
) -> Program:
    derived, derived_states = _derived(model)
    saving, n_times = _saving(saveat)
    noisy = model.noise.kind != "none"
    toleranced = rtol is not None or atol is not None
    fixed = dt is not None or (noisy and not toleranced)
    given_params = frozenset(n for n in params if n in derived) if derived else _NONE
    settled = derived_states | model.open_states
    given_initial = frozenset(n for n in initial if n in settled) if settled else _NONE
    n_atol = model.layout.n_states if isinstance(atol, Mapping) or has_nominal(model) else 1
    dtype = "float64" if jax.config.jax_enable_x64 else "float32"  # type: ignore[attr-defined]
    chosen = (
        solver,
        adjoint,
        saving,
        n_times,
        dense,
        fixed,
        toleranced and noisy,
        n_atol,
        max_steps,
        given_params,
        given_initial,
        dtype,
        mesh,
        penalties,
    )
    try:
        found = model.programs.get(chosen)
    except TypeError:  # a solver instance that holds arrays is known by its identity
        chosen = (id(solver), id(adjoint), *chosen[2:])
        found = model.programs.get(chosen)
    if found is None:
        if model.at_rest:
            raise SolveError(
                f"System '{model.system.name}' has no time derivative: there is nothing to solve in time. Write sci.steady_state(system)."
            )
        if max_steps is not None and not (isinstance(max_steps, int) and max_steps > 0):
            raise SolveError(f"max_steps={max_steps!r}: give a positive whole number.")
        implicit = next((e.cited for e in model.reduced.equations if e.of is not None), "")
        modes = _modes(model, adjoint) if isinstance(solver, str) and solver.lower() in ("auto", "etdrk4") else None
        mesh = None if mesh is None else checked_mesh(model, mesh, dense or saving == "steps", implicit)
        choice = choose(solver, model.noise.kind, adaptive=not fixed, has_tolerance=toleranced, implicit=implicit, modes=modes)
        if mesh is not None:
            refuse_undividable(choice, adjoint)
        most = _MAX_STEPS_STORED if dense or saving == "steps" else _MAX_STEPS_DIFFRAX if choice.row.native is None else _MAX_STEPS
        steps = max_steps or most
        recorded = max_steps or min(steps, _RECORDED)
        options = Options(saving, n_times, dense, fixed, n_atol, steps, recorded, given_params, given_initial, dtype, mesh, penalties)
        found = Program(model, choice, adjoint_of(adjoint, choice, bool(implicit)), options)
        refuse_impossible(penalties, choice, found.backsolve, found.native, fixed, noisy, mesh)
        model.programs[chosen] = found
        model.programs.setdefault("kept", []).append((solver, adjoint))  # an id() must not be used again
    return found


def _modes(model: CompiledSystem, adjoint: Any) -> Modes:
    """Whether the System can be solved in modes, and how stiff it is there."""
    name = f"System '{model.system.name}'"
    if model.noise.kind != "none":
        return Modes(f'\'etdrk4\' solves ordinary differential equations, and {name} has noise. Leave solver="auto", or use "euler".')
    modal = model.modal
    if modal is None:
        return Modes(
            f"'etdrk4' solves a linear part that is diagonal in modes, and {name} has none: it needs fields with linear terms whose "
            'coefficients are numbers or parameters, not fields k(x) or unknowns. Leave solver="auto"; sci.compile(system).explain() shows the terms.'
        )
    bounded = next((n for n, p in model.layout.states.items() if p.declaration is not None and p.declaration.bounds is not None), None)
    if bounded is not None:
        return Modes(
            f"'etdrk4' works in modes, where it cannot keep the bounds= of '{bounded}'. Leave solver=\"auto\", or declare it without bounds=."
        )
    if adjoint not in ("auto", "discrete", "forward"):
        return Modes(f"'etdrk4' has derivatives of its own and does not take adjoint={adjoint!r}. Leave adjoint=\"auto\".")
    known = model.programs.get("spread")
    if known is None:
        known = model.programs["spread"] = spread(modal, lambda: model.full_params(model.flat_params(model.params)[0]))
    return Modes("", 1.0 if modal.stiff_rest or _swings(model) else known)  # a rest as stiff as the linear part: modes do not help


def _swings(model: CompiledSystem) -> bool:
    """Waves: blocks of modes take long to compile, and their fast modes are part of the solution."""
    grid = model.reduced.grid
    return grid is not None and any(f.order > 1 for f in grid.fields.values())


_NONE: frozenset[str] = frozenset()


def _derived(model: CompiledSystem) -> tuple[frozenset[str], frozenset[str]]:
    known = model.programs.get("derived")
    if known is None:
        layout = model.layout
        known = tuple(frozenset(n for n, p in places.items() if p.derived) for places in (layout.params, layout.states))
        model.programs["derived"] = known
    return known


def _saving(saveat: Any) -> tuple[str, int]:
    if isinstance(saveat, int) and not isinstance(saveat, bool):
        if saveat < 2:
            raise SolveError(f'saveat={saveat}: give at least 2 (both ends), or saveat="end".')
        return "even", saveat
    if isinstance(saveat, str):
        if saveat not in ("end", "steps"):
            raise SolveError(f'saveat={saveat!r}: give a number of times, an array of times, "end" or "steps".')
        return saveat, 1
    shape = np.shape(saveat)
    if len(shape) != 1 or shape[0] == 0:
        raise SolveError(f"saveat has shape {shape}: give a one-dimensional array of times, or a number of times such as saveat=200.")
    return "times", shape[0]


def _check_key(program: Program, key: Any) -> None:
    if key is None and program.model.noise.kind != "none":
        raise SolveError("This System has white noise and needs a random key: write sci.solve(..., key=jax.random.key(0)).")
    if key is None and program.options.sampled:
        raise SolveError('A penalty with mode="local" looks at a random step and needs a random key: write sci.solve(..., key=jax.random.key(0)).')


def _default_functions(model: CompiledSystem) -> dict[str, Any]:
    from ..codegen import function_value

    known = model.programs.get("functions")
    if known is None:
        known = model.programs["functions"] = {n: function_value(d) for n, d in model.layout.functions.items()}
    return known


def _check_functions(model: CompiledSystem, params: dict[str, Any], start: Any, end: Any) -> None:
    """Data must cover the span, replaced values must have the shape of the declared ones."""
    for name, d in model.layout.functions.items():
        if d.kind == "neural":
            if name in params:
                given, own = (str(jax.tree.structure(v)) for v in (params[name], _default_functions(model)[name]))
                if given != own:
                    raise SolveError(
                        f"The network given for '{name}' has another structure than the declared one. Pass eqx.filter(network, eqx.is_inexact_array)."
                    )
            continue
        if name in params and np.shape(params[name]) != d.value.shape:
            raise SolveError(
                f"'{name}' has {d.value.shape} values, and the array given has shape {np.shape(params[name])}. Times cannot be replaced, only values."
            )
        if name in params and not is_traced(params[name]) and not np.isfinite(params[name]).all():
            raise SolveError(f"The values given for '{name}' hold NaN or infinite numbers.")
        grid = d.payload["grid"]
        if d.kind == "data" and d.payload["outside"] == "error" and not is_traced(start, end):
            low, high = sorted((float(start), float(end)))
            slack = 1e-9 * (grid[-1] - grid[0])
            if low < grid[0] - slack or high > grid[-1] + slack:
                raise SolveError(
                    f"'{name}' was measured from t={grid[0]:g} to t={grid[-1]:g}, and t_span=({start:g}, {end:g}) leaves that. "
                    f'Shorten t_span, or declare sci.data("{name}", ..., outside="hold").'
                )


__all__ = ["solve"]
