"""The numbers of a solve: checked where they are known, passed on where they are traced, packed into one buffer."""

import math
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from ..codegen import CompiledSystem, Layout, Place, checked_shape
from ..errors import SolveError
from .program import HEADER, Program

_TOLERANCES = {"float64": (1e-6, 1e-9), "float32": (1e-4, 1e-6)}  # rtol, atol
_TOLERANCES_SDE = (1e-2, 1e-3)
_FINEST = {"float64": 1e-13, "float32": 1e-6}  # rtol that rounding errors leave reachable
_SDE_STEPS = 1000


def has_nominal(model: CompiledSystem) -> bool:
    """Whether any unknown has a typical size of its own."""
    known = model.programs.get("nominal")
    if known is None:
        known = model.programs["nominal"] = any(p.declaration is not None and p.declaration.nominal for p in model.layout.states.values())
    return known


def by_name(given: Any, check: Any) -> dict[str, Any]:
    """Values by checked name."""
    if not given:
        return {}
    if not isinstance(given, Mapping):
        raise SolveError(f'params and initial are dicts from name to value, such as {{"a": 1.0}}, not {type(given).__name__}.')
    return {check(k): v for k, v in given.items()}


def ends_of(t_span: Any) -> tuple[Any, Any]:
    """Start and end of a span."""
    try:
        start, end = t_span
    except (TypeError, ValueError):
        raise SolveError(f"t_span={t_span!r}: give (start, end).") from None
    return start, end


def is_traced(*values: Any) -> bool:
    """Whether any of the values is a tracer. Plain numbers are told apart by their type, which is cheap."""
    for value in values:
        kind = type(value)
        if kind is not float and kind is not int and isinstance(value, jax.core.Tracer):
            return True
    return False


class Numbers:
    """The header of the buffer and the save times: checked where they are known, passed on where they are traced."""

    def __init__(self, program: Program, start: Any, end: Any, rtol: Any, atol: Any, dt: Any, saveat: Any):
        self.program, self.options = program, program.options
        model = program.model
        noisy = model.noise.kind != "none"
        default_rtol, default_atol = _TOLERANCES_SDE if noisy else _TOLERANCES[self.options.dtype]
        rtol = default_rtol if rtol is None else rtol
        atol = default_atol if atol is None else atol
        if not is_traced(start, end):
            _check_span(start, end, noisy)
        if not is_traced(rtol):
            _check_rtol(rtol, self.options.dtype)
        if dt is None:
            dt = abs(end - start) / _SDE_STEPS if self.options.fixed else 0.0
        elif not is_traced(dt) and not dt > 0:
            raise SolveError(f"dt={dt}: a step is positive, also when the time runs backwards.")
        self.header = [start, end, rtol, dt]
        self.atol = self._atol(atol)
        self.times = saveat if self.options.saving == "times" else None
        if self.times is not None and not is_traced(saveat, start, end):
            self.times = _check_times(saveat, float(start), float(end))

    def _atol(self, atol: Any) -> Any:
        if not isinstance(atol, Mapping) and not has_nominal(self.program.model):
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
        if is_traced(*self.header, *atol, *params.values(), *initial.values(), self.times):
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
                pieces.append(_constant(template[done:first]))
            pieces.append(jnp.asarray(value, dtype).reshape(-1))
            done = last
        if done < self.program.size:
            pieces.append(_constant(template[done : self.program.size]))
        return jnp.concatenate(pieces)


def _constant(numbers: np.ndarray) -> Any:
    """Numbers as part of a program; zeros by the thousand (a field that is computed) are not written down."""
    return jnp.asarray(numbers) if numbers.any() else jnp.zeros(len(numbers), numbers.dtype)


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
