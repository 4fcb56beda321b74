"""`solve`: from a System and numbers to a Solution."""

import math
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from ..codegen import CompiledSystem, Layout, Place, checked_shape, compile
from ..errors import SolveError
from .program import HEADER, TAIL, Options, Program
from .solution import Solution
from .solvers import adjoint_of, choose
from .status import sentence_of

_TOLERANCES = {"float64": (1e-6, 1e-9), "float32": (1e-4, 1e-6)}  # rtol, atol
_TOLERANCES_SDE = (1e-2, 1e-3)
_FINEST = {"float64": 1e-13, "float32": 1e-6}  # rtol that rounding errors leave reachable
_MAX_STEPS, _MAX_STEPS_STORED = 100_000, 4096
_SDE_STEPS = 1000


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
    throw: bool = True,
) -> Solution:
    """Solves a System over a span of time.

    A pure function of all its numbers: `jit`, `vmap` and `grad` work on it (`jvp` and `jacfwd` with
    `adjoint="forward"`), and calling it again with other numbers does not compile again.

    Args:
        system: a System, or what `sciml.compile` gives.
        t_span: (start, end); end before start solves backwards (without noise).
        params: parameters by name, in place of the declared values; networks and data inputs too.
        initial: initial values by name ("theta'" for a rate), in place of the declared ones.
        saveat: an int (evenly spaced, both ends included), an array of times, "end" or "steps".
        key: `jax.random.key(...)`, for Systems with noise. The same key is the same path for every step size.
        solver: "auto", a name from `sciml.solve.SOLVERS`, or a diffrax solver.
        rtol: relative tolerance; 1e-6 in float64, 1e-4 in float32. For an SDE, rtol or atol makes the step adaptive.
        atol: absolute tolerance, 1e-9 and 1e-6. May be a dict by name; is multiplied by `nominal=` where that is declared.
        dt: a fixed step. An SDE without dt, rtol and atol takes 1000 steps.
        adjoint: "auto", "checkpoint", "forward", "backsolve", "direct", or a diffrax adjoint.
        dense: keep what `sol(time)` needs.
        max_steps: 100000, or 4096 where each step is stored (dense=True, saveat="steps").
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
    model = compile(system)
    layout = model.layout
    given_params = _by_name(params, layout.check_param)
    given_initial = _by_name(initial, layout.check_state)
    program = _program(model, given_params, given_initial, saveat, solver, adjoint, dense, dt, rtol, atol, max_steps)
    start, end = _span(t_span)
    numbers = _Numbers(program, start, end, rtol, atol, dt, saveat)
    buffer = numbers.packed(given_params, given_initial)
    if layout.functions:
        values = {n: given_params.get(n, v) for n, v in _default_functions(model).items()}
        _check_functions(model, given_params, start, end)
    else:
        values = {}
    _check_key(model, key)
    out, interpolation = program.jitted(buffer, values, key)
    n_times = program.options.n_times if program.options.saving != "steps" else program.options.max_steps + 1
    sol = Solution(out, buffer, values, interpolation, program, n_times)
    if throw and out.ndim == 1 and not isinstance(out, jax.core.Tracer) and np.asarray(out)[-len(TAIL)] != 0:
        raise _failure(sol, key)
    return sol


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
) -> Program:
    derived, derived_states = _derived(model)
    saving, n_times = _saving(saveat)
    noisy = model.noise.kind != "none"
    toleranced = rtol is not None or atol is not None
    fixed = dt is not None or (noisy and not toleranced)
    given_params = frozenset(n for n in params if n in derived) if derived else _NONE
    settled = derived_states | model.open_states
    given_initial = frozenset(n for n in initial if n in settled) if settled else _NONE
    n_atol = model.layout.n_states if isinstance(atol, Mapping) or _has_nominal(model) else 1
    dtype = "float64" if jax.config.jax_enable_x64 else "float32"  # type: ignore[attr-defined]
    chosen = (solver, adjoint, saving, n_times, dense, fixed, toleranced and noisy, n_atol, max_steps, given_params, given_initial, dtype)
    try:
        found = model.programs.get(chosen)
    except TypeError:  # a solver instance that holds arrays is known by its identity
        chosen = (id(solver), id(adjoint), *chosen[2:])
        found = model.programs.get(chosen)
    if found is None:
        if max_steps is not None and not (isinstance(max_steps, int) and max_steps > 0):
            raise SolveError(f"max_steps={max_steps!r}: give a positive whole number.")
        steps = max_steps or (_MAX_STEPS_STORED if dense or saving == "steps" else _MAX_STEPS)
        options = Options(saving, n_times, dense, fixed, n_atol, steps, given_params, given_initial, dtype)
        implicit = model.reduced.equations[int(np.argmin(model.differential))].cited if not model.differential.all() else ""
        choice = choose(solver, model.noise.kind, adaptive=not fixed, has_tolerance=toleranced, implicit=implicit)
        found = model.programs[chosen] = Program(model, choice, adjoint_of(adjoint, choice, bool(implicit)), options)
        model.programs.setdefault("kept", []).append((solver, adjoint))  # an id() must not be used again
    return found


_NONE: frozenset[str] = frozenset()


def _derived(model: CompiledSystem) -> tuple[frozenset[str], frozenset[str]]:
    known = model.programs.get("derived")
    if known is None:
        layout = model.layout
        known = tuple(frozenset(n for n, p in places.items() if p.derived) for places in (layout.params, layout.states))
        model.programs["derived"] = known
    return known


def _has_nominal(model: CompiledSystem) -> bool:
    known = model.programs.get("nominal")
    if known is None:
        known = model.programs["nominal"] = any(p.declaration is not None and p.declaration.nominal for p in model.layout.states.values())
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


# -- numbers into the buffer -------------------------------------------------------------


def _by_name(given: Any, check: Any) -> dict[str, Any]:
    if not given:
        return {}
    if not isinstance(given, Mapping):
        raise SolveError(f'params and initial are dicts from name to value, such as {{"a": 1.0}}, not {type(given).__name__}.')
    return {check(k): v for k, v in given.items()}


def _span(t_span: Any) -> tuple[Any, Any]:
    try:
        start, end = t_span
    except (TypeError, ValueError):
        raise SolveError(f"t_span={t_span!r}: give (start, end).") from None
    return start, end


def _traced(*values: Any) -> bool:
    """Whether any of the values is a tracer. Plain numbers are told apart by their type, which is cheap."""
    for value in values:
        kind = type(value)
        if kind is not float and kind is not int and isinstance(value, jax.core.Tracer):
            return True
    return False


class _Numbers:
    """The header of the buffer and the save times: checked where they are known, passed on where they are traced."""

    def __init__(self, program: Program, start: Any, end: Any, rtol: Any, atol: Any, dt: Any, saveat: Any):
        self.program, self.options = program, program.options
        model = program.model
        noisy = model.noise.kind != "none"
        default_rtol, default_atol = _TOLERANCES_SDE if noisy else _TOLERANCES[self.options.dtype]
        rtol = default_rtol if rtol is None else rtol
        atol = default_atol if atol is None else atol
        if not _traced(start, end):
            _check_span(start, end, noisy)
        if not _traced(rtol):
            _check_rtol(rtol, self.options.dtype)
        if dt is None:
            dt = abs(end - start) / _SDE_STEPS if self.options.fixed else 0.0
        elif not _traced(dt) and not dt > 0:
            raise SolveError(f"dt={dt}: a step is positive, also when the time runs backwards.")
        self.header = [start, end, rtol, dt]
        self.atol = self._atol(atol)
        self.times = saveat if self.options.saving == "times" else None
        if self.times is not None and not _traced(saveat, start, end):
            self.times = _check_times(saveat, float(start), float(end))

    def _atol(self, atol: Any) -> Any:
        if not isinstance(atol, Mapping) and not _has_nominal(self.program.model):
            return atol
        layout = self.program.model.layout
        default = _TOLERANCES[self.options.dtype][1]
        by_name = {layout.check_state(k): v for k, v in atol.items()} if isinstance(atol, Mapping) else {}
        pieces: list[Any] = []
        for name, place in layout.states.items():
            nominal = (place.declaration.nominal if place.declaration else None) or 1.0
            one = by_name[name] if name in by_name else (default if isinstance(atol, Mapping) else atol) * nominal
            pieces += [one] * place.size
        return pieces

    def packed(self, params: Mapping[str, Any], initial: Mapping[str, Any]) -> Any:
        layout = self.program.model.layout
        places = [(layout.params[n], v, self.program.p_at, "params") for n, v in params.items() if n in layout.params]
        places += [(layout.states[n], v, self.program.y_at, "initial") for n, v in initial.items()]
        for place, value, _, word in places:
            if place.shape or type(value) is not float:
                checked_shape(value, place, word)
        atol = self.atol if isinstance(self.atol, list) else [self.atol]
        if _traced(*self.header, *atol, *params.values(), *initial.values(), self.times):
            return self._traced_buffer(places, atol, {*params, *initial})
        buffer = _template(self.program).copy()
        for i, number in enumerate(self.header):  # faster than a slice for so few
            buffer[i] = number
        if len(atol) == 1:
            buffer[len(HEADER)] = atol[0]
        else:
            buffer[len(HEADER) : self.program.p_at] = atol
        for place, value, offset, _ in places:
            if place.shape:
                buffer[offset + place.offset : offset + place.end] = np.broadcast_to(value, place.shape).reshape(-1)
            else:
                buffer[offset + place.offset] = value
        if self.times is not None:
            buffer[self.program.times_at :] = self.times
        # The product is one fast call; it overflows where a number is not finite, or merely very large.
        if not math.isfinite(buffer.dot(buffer)) and not np.isfinite(buffer).all():
            _refuse_missing(self.program, buffer, layout)
        return buffer

    def _traced_buffer(self, places: list, atol: list, given: set[str]) -> Any:
        """The same, where some numbers are tracers: pieces side by side, known ones in between."""
        dtype = self.options.dtype
        template = _template(self.program)
        _refuse_missing(self.program, template, self.program.model.layout, given, header=False)
        at: list[tuple[int, int, Any]] = [(i, i + 1, v) for i, v in enumerate([*self.header, *atol])]
        at += [
            (offset + p.offset, offset + p.end, v if not p.shape else jnp.broadcast_to(jnp.asarray(v, dtype), p.shape)) for p, v, offset, _ in places
        ]
        if self.times is not None:
            at.append((self.program.times_at, self.program.size, self.times))
        pieces, done = [], 0
        for first, last, value in sorted(at, key=lambda piece: piece[0]):
            if first > done:
                pieces.append(jnp.asarray(template[done:first], dtype))
            pieces.append(jnp.asarray(value, dtype).reshape(-1))
            done = last
        if done < self.program.size:
            pieces.append(jnp.asarray(template[done : self.program.size], dtype))
        return jnp.concatenate(pieces)


def _template(program: Program) -> np.ndarray:
    """The buffer with declared values; NaN where nothing was declared."""
    known = program.evaluators.get("template")
    if known is None:
        known = np.zeros(program.size, program.options.dtype)
        for places, offset in ((program.model.layout.params, program.p_at), (program.model.layout.states, program.y_at)):
            for p in places.values():
                value = 0.0 if p.derived else np.nan if p.default is None else p.default
                known[offset + p.offset : offset + p.end] = np.broadcast_to(value, p.shape).reshape(-1)
        if program.model.constraints.expressions:
            free = program.start.free
            known[program.y_at + free] = program.start.guess[free]
        program.evaluators["template"] = known
    return known


def _refuse_missing(program: Program, buffer: np.ndarray, layout: Layout, given: set[str] | None = None, header: bool = True) -> None:
    """Names what has no value, or a value that is NaN or infinite."""
    given = given or set()
    for places, offset, word in ((layout.params, program.p_at, "params"), (layout.states, program.y_at, "initial")):
        for name, p in places.items():
            value = buffer[offset + p.offset : offset + p.end]
            if not np.isfinite(value).all() and name not in given:
                raise _missing(p, word, value, program)
    if header and not np.isfinite(buffer).all():
        raise SolveError("t_span, dt, a tolerance or saveat holds NaN or an infinite number. Give finite numbers.")


def _missing(place: Place, word: str, value: np.ndarray, program: Program) -> SolveError:
    shown = "1.0" if not place.shape else f"jnp.ones({place.shape})"
    if place.default is None and np.isnan(value).all():
        what = "parameter" if word == "params" else "unknown"
        kind = "value" if word == "params" else "initial value"
        return SolveError(f"The {what} '{place.name}' has no {kind}. Write sci.solve(..., {word}={{\"{place.name}\": {shown}}}), or declare it.")
    return SolveError(f"{word} holds {value[~np.isfinite(value)][0]} for '{place.name}'. Give a finite number: {word}={{\"{place.name}\": {shown}}}.")


# -- checks ------------------------------------------------------------------------------


def _check_span(start: Any, end: Any, noisy: bool) -> None:
    try:
        start, end = float(start), float(end)
    except TypeError:
        raise SolveError(f"t_span=({start!r}, {end!r}): give two numbers.") from None
    if not (math.isfinite(start) and math.isfinite(end)):
        raise SolveError(f"t_span=({start}, {end}) is not finite.")
    if start == end:
        raise SolveError(f"t_span=({start:g}, {end:g}) has no length.")
    if noisy and end < start:
        raise SolveError(f"t_span=({start:g}, {end:g}) runs backwards, and a System with noise only runs forwards: t_span=({end:g}, {start:g}).")


def _check_rtol(rtol: Any, dtype: str) -> None:
    finest = _FINEST[dtype]
    if not rtol > 0:
        raise SolveError(f"rtol={rtol}: give a positive number.")
    if rtol < finest:
        cure = 'jax.config.update("jax_enable_x64", True) before anything else' if dtype == "float32" else f"rtol={finest:g}"
        raise SolveError(f"rtol={rtol:g} is finer than {dtype} can reach ({finest:g}). Write {cure}.")


def _check_times(saveat: Any, start: float, end: float) -> np.ndarray:
    times = np.asarray(saveat, float)
    if np.isnan(times).any():
        raise SolveError("saveat holds NaN. Drop it: saveat=times[~np.isnan(times)].")
    low, high = min(start, end), max(start, end)
    slack = 1e-6 * (high - low)
    outside = times[(times < low - slack) | (times > high + slack)]
    if outside.size:
        raise SolveError(f"saveat holds t={outside[0]:g}, outside t_span=({start:g}, {end:g}). Widen t_span, or drop it.")
    steps = np.diff(times) * np.sign(end - start)
    if (steps < 0).any():
        i = int(np.argmax(steps < 0))
        raise SolveError(f"saveat must follow the time: t={times[i + 1]:g} comes after t={times[i]:g}. Write saveat=np.sort(times).")
    return times


def _check_key(model: CompiledSystem, key: Any) -> None:
    if key is None and model.noise.kind != "none":
        raise SolveError("This System has white noise and needs a random key: write sci.solve(..., key=jax.random.key(0)).")


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
        if name in params and not _traced(params[name]) and not np.isfinite(params[name]).all():
            raise SolveError(f"The values given for '{name}' hold NaN or infinite numbers.")
        grid = d.payload["grid"]
        if d.kind == "data" and d.payload["outside"] == "error" and not _traced(start, end):
            low, high = sorted((float(start), float(end)))
            slack = 1e-9 * (grid[-1] - grid[0])
            if low < grid[0] - slack or high > grid[-1] + slack:
                raise SolveError(
                    f"'{name}' was measured from t={grid[0]:g} to t={grid[-1]:g}, and t_span=({start:g}, {end:g}) leaves that. "
                    f'Shorten t_span, or declare sci.data("{name}", ..., outside="hold").'
                )


def _failure(sol: Solution, key: Any) -> Exception:
    """Why and where a solve failed, in the user's names: the solve is repeated, keeping where it stopped."""
    program = sol._program
    code = int(sol._tail("status"))
    t, y, rates = (np.asarray(v) for v in program.diagnosis(sol._buffer, sol._values, key))
    layout = sol.model.layout
    with np.errstate(all="ignore"):
        speed = np.where(np.isfinite(rates) & np.isfinite(y), np.abs(rates) / (np.abs(y) + 1e-12), np.inf)
    worst = int(np.argmax(speed))
    name = next(n for n, p in layout.states.items() if p.offset <= worst < p.end)
    seen = f"It stopped at t={t:g}, where '{name}' = {y[worst]:.4g} changes fastest ({name}' = {rates[worst]:.4g})."
    stiff = "loosen rtol and atol" if program.choice.row.implicit else 'or, if the problem is stiff, write solver="kvaerno5"'
    cure = {
        1: f"Allow more, sci.solve(..., max_steps={10 * program.options.max_steps}), {stiff}.",
        2: f"Shorten t_span to end before t={t:g}, or check the equation of '{name}'.",
        3: f"Check the equation of '{name}' for a division by zero or a root or logarithm of a negative number.",
        4: 'Try a smaller rtol, or another implicit solver such as solver="kvaerno3".',
    }.get(code, "Try another solver.")
    return SolveError(f"System '{sol.system.name}': {sentence_of(code)} {seen} {cure}")


__all__ = ["solve"]
