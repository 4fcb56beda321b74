"""What cannot be at rest, and why no steady state was found: in the user's names."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from ..codegen import CompiledSystem
from ..errors import SolveError
from ..errors import at as where
from ..passes import determined
from ..symbols import Applied, declaration_of
from ..system import text
from .numbers import is_traced
from .solution import Solution
from .solve import _check_functions, _default_functions
from .status import NONFINITE, NOT_ISOLATED
from .steady_program import SteadyProgram


def refuse_noise(model: CompiledSystem) -> None:
    """White noise never rests."""
    if model.noise.kind != "none":
        names = ", ".join(f"'{declaration_of(n).name}'" for n in model.noise.noises)
        name = declaration_of(model.noise.noises[0]).name
        raise SolveError(
            f"System '{model.system.name}' is driven by white noise ({names}) and never rests. For its drift alone write system.subs({name}, 0)."
        )


def frozen_time(model: CompiledSystem, time: Any, cure: str) -> Any:
    """The time at which the System is looked at, 0 where it does not matter; refused where it does and is not given."""
    if time is not None:
        if not is_traced(time) and (np.ndim(time) != 0 or not np.isfinite(time)):
            raise SolveError(f"time={time!r}: give one finite number.")
        return time
    for e in model.reduced.equations:
        found = _explicit_time(e.rhs, model)
        if found is not None:
            name = declaration_of(determined(e)).name
            raise SolveError(
                f"System '{model.system.name}' holds the time explicitly: {text(found)} in the equation of '{name}'{where(e.where)}. "
                f"Give the time at which to freeze it: {cure}."
            )
    return 0.0


def _explicit_time(expression: Any, model: CompiledSystem) -> Any:
    """The time itself or a measured input in an expression, if there is one."""
    stack, seen = [expression], set()
    while stack:
        node = stack.pop()
        if node in seen:
            continue
        seen.add(node)
        d = declaration_of(node)
        if d is not None and (d.kind == "time" or d.kind == "data"):
            return node
        if node in model.reduced.eliminated:
            stack.append(model.reduced.eliminated[node])
        elif not (isinstance(node, Applied) and d is not None and d.kind == "unknown"):
            stack.extend(node.args)
    return None


def function_values(model: CompiledSystem, params: Mapping[str, Any], time: Any) -> dict[str, Any]:
    """Data, tables and networks by name; data must cover the time."""
    if not model.layout.functions:
        return {}
    _check_functions(model, dict(params), np.nan, np.nan)  # the values; there is no span
    for name, d in model.layout.functions.items():
        if d.kind == "data" and d.payload["outside"] == "error" and not is_traced(time):
            low, high = d.payload["grid"][0], d.payload["grid"][-1]
            if not low <= time <= high:
                raise SolveError(f"'{name}' was measured from t={low:g} to t={high:g}, and time={float(time):g} lies outside. Give a time inside.")
    return {n: params.get(n, v) for n, v in _default_functions(model).items()}


# -- why none was found ------------------------------------------------------------------


def failure(rest: Solution) -> SolveError:
    """The error to raise: the search is repeated, keeping where it stopped."""
    program, model = rest._program, rest.model
    assert isinstance(program, SteadyProgram)
    if not model.layout.n_states:
        return SolveError(_contradicted(model, program, program.diagnosis(rest._buffer, rest._values)[-1]))
    y, f, size, loosest, start, at_start = (np.asarray(v) for v in program.diagnosis(rest._buffer, rest._values))
    head, code = f"System '{model.system.name}': ", int(rest._tail("status"))
    if code == NONFINITE:
        i = int(np.argmax(~np.isfinite(at_start)))
        name = component(model, i)
        return SolveError(
            f"{head}The right side of '{name}' is {at_start[i]} where the search starts ({_shown(model, start)}). Start elsewhere, "
            f'guess={{"{name.split("[")[0]}": ...}}, or check it for a division by zero or a root or logarithm of a negative number.'
        )
    if code == NOT_ISOLATED:
        return SolveError(f"{head}{_touching(model, y, loosest)}")
    low, high = program.bounds
    outside = (y < low) | (y > high)
    if np.abs(f).max() <= 1e-6 * size.max() and outside.any():
        i = int(np.argmax(outside))
        return SolveError(
            f"{head}The steady state that was found has {component(model, i)} = {y[i]:.4g}, outside its bounds=({low[i]:g}, {high[i]:g}). "
            f"Start nearer to another one, {_cure(model, i)}, or widen the bounds."
        )
    i = int(np.argmax(np.where(np.isfinite(f), np.abs(f), np.inf) / np.where(np.abs(y) > 0, np.abs(y), 1)))
    return SolveError(
        f"{head}No steady state was found: Newton's method and pseudo-transient continuation ended with the right side of '{component(model, i)}' "
        f"farthest from zero, {f[i]:.4g} at {_shown(model, y)}. Start nearer to one, {_cure(model, i)}. Whether the System comes to rest at all, "
        "sci.solve shows; a slow one may need more than "
        f"max_steps={program.options.max_steps}."
    )


def _cure(model: CompiledSystem, i: int) -> str:
    name = component(model, i).split("[")[0]
    return f'sci.steady_state(..., guess={{"{name}": ...}})'


def _touching(model: CompiledSystem, y: np.ndarray, loosest: np.ndarray) -> str:
    """Which unknowns may move without leaving rest."""
    null = np.abs(loosest)
    order = [i for i in np.argsort(-null) if null[i] > 0.05 * null.max()][:4]
    named = dict.fromkeys(_shown_name(model, int(i)) for i in order)
    names = ", ".join(f"'{n}'" for n in named)
    said = f"The Jacobian is singular at the steady state {_shown(model, y)}: other steady states lie next to it, along {names}. "
    fold = f"At a fold two steady states meet: change a parameter, or move the start, {_cure(model, int(order[0]))}."
    if model.reduced.grid is not None:
        u = next(iter(named)).split("[")[0]
        return (
            f"{said}A field whose conditions give only its slopes, or that is periodic, is often open by a constant: give its value at a side, "
            f"boundary={{...: sci.eq({u}, 0)}}, or let sci.solve run until it rests, which keeps what the initial values hold. {fold}"
        )
    return (
        f"{said}Where the equations keep a total that was not recognised, write its terms alike in all equations, or put the total in as an "
        f"equation of its own, such as sci.eq(x + y, total), in place of one of theirs. {fold}"
    )


def _contradicted(model: CompiledSystem, program: SteadyProgram, sizes: Any) -> str:
    """Why a linear equation for a field has no solution."""
    values = [float(v) for pair in sizes for v in pair]
    head = f"System '{model.system.name}': "
    if not np.isfinite(values).all():
        return f"{head}The right side of an equation is NaN or infinite. Check it for a division by zero or a root or logarithm of a negative number."
    grid = model.reduced.grid
    cited = "; ".join(e.cited for e in (model.system if grid is None else grid.declared).equations)
    return (
        f"{head}No field fulfils {cited}: what stands beside the unknown has a part, mostly its mean, that no derivative of a periodic or "
        "insulated field can balance. Subtract it, sci.eq(laplacian, f - sci.integral(f, x)/length), or give the value of the field at a side."
    )


def _shown_name(model: CompiledSystem, index: int) -> str:
    """A field by its name, other unknowns by their components."""
    name = component(model, index)
    grid = model.reduced.grid
    return name.split("[")[0] if grid is not None and name.split("[")[0].rstrip("'") in grid.fields else name


def component(model: CompiledSystem, index: int) -> str:
    """What the user calls a component of the flat state."""
    name, place = next((n, p) for n, p in model.layout.states.items() if p.offset <= index < p.end)
    if not place.shape:
        return name
    return f"{name}[{','.join(map(str, np.unravel_index(index - place.offset, place.shape)))}]"


def _shown(model: CompiledSystem, y: np.ndarray) -> str:
    most = 6
    shown = ", ".join(f"{component(model, i)} = {v:.4g}" for i, v in enumerate(y[:most]))
    return shown + (", ..." if len(y) > most else "")


__all__ = ["component", "failure", "frozen_time", "function_values", "refuse_noise"]
