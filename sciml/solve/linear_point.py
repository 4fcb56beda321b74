"""What `linearize` is given: the point, the inputs and the outputs, from what a user writes."""

from collections.abc import Mapping, Sequence
from typing import Any

import jax.numpy as jnp
import numpy as np
import sympy as sp

from ..codegen import CompiledSystem
from ..errors import NameUnknown, SolveError, nearest
from ..system import text
from .numbers import is_traced
from .solution import Solution
from .steady_failure import component, frozen_time, function_values


def _listed(given: Any, word: str) -> list[Any]:
    if isinstance(given, str | sp.Basic):
        raise SolveError(f"{word}={given!r}: write a list, {word}=[{given}].")
    if not isinstance(given, Sequence):
        raise SolveError(f"{word}={given!r}: write a list of names or symbols.")
    return list(given)


def input_names(model: CompiledSystem, inputs: Any) -> tuple[str, ...]:
    """The names of parameters and measured inputs, checked."""
    found = []
    for key in _listed(inputs, "inputs"):
        name = model.layout.check_param(key)
        d = model.layout.functions.get(name)
        if d is not None and d.kind != "data":
            raise SolveError(f"'{name}' is a {d.kind} function, not an input. Inputs are parameters and measured inputs (sci.data).")
        found.append(name)
    return tuple(dict.fromkeys(found))


def output_expressions(model: CompiledSystem, outputs: Any) -> dict[str, Any]:
    """Expressions by name; all unknowns if none are given."""
    symbols = model.reduced.symbols
    if outputs is None:
        return {n: symbols[n] for n in model.layout.states}
    found: dict[str, Any] = {}
    for key in _listed(outputs, "outputs"):
        if not isinstance(key, str):
            found[text(sp.sympify(key, strict=True))] = sp.sympify(key, strict=True)
        elif key in model.reduced.observed or key in model.names:
            found[key] = model.reduced.observed.get(key, symbols.get(key))
        else:
            raise NameUnknown(f"System '{model.system.name}' has no '{key}'. {nearest(key, model.names)}")
    return found


def point_of(model: CompiledSystem, at: Any, given: Mapping[str, Any], time: Any) -> tuple[Any, Any, Any, dict[str, Any]]:
    """(time, flat state, flat parameters, functions by name)."""
    layout = model.layout
    if isinstance(at, Solution):
        t, y, p, known = _of_solution(model, at, time)
    elif isinstance(at, Mapping):
        named = {layout.check_state(k): v for k, v in at.items()}
        t = frozen_time(model, time, "sci.linearize(..., time=0.0)")
        p, known = model.flat_params({n: v for n, v in given.items() if n in layout.params})[0], {}
        p = model.full_params(p, frozenset(given))
        missing = [n for n, place in layout.states.items() if n not in named and place.default is None]
        if missing:
            raise SolveError(f"The point has no value for '{missing[0]}'. Write sci.linearize(..., at={{\"{missing[0]}\": 1.0}}), or declare one.")
        filled = {n: named.get(n, 0.0 if place.derived else place.default) for n, place in layout.states.items()}
        y = model.initial_state(model.flat_state(filled), p, t, frozenset(named))
    else:
        raise SolveError(f'at={at!r}: give a steady state, a Solution, or a dict by name such as {{"{next(iter(layout.states))}": 1.0}}.')
    p, y = jnp.asarray(p), jnp.asarray(y)
    for name, value in given.items():
        if name in layout.params:
            place = layout.params[name]
            p = p.at[place.offset : place.end].set(jnp.broadcast_to(jnp.asarray(value, p.dtype), place.shape).reshape(-1))
    values = {**function_values(model, given, t), **{n: v for n, v in known.items() if n not in given}}
    _refuse_nan(model, y, p)
    return jnp.asarray(t, y.dtype), y, p, values


def _of_solution(model: CompiledSystem, at: Solution, time: Any) -> tuple[Any, Any, Any, dict[str, Any]]:
    if at.model is not model and at.model.system != model.system:
        raise SolveError(f"`at` belongs to System '{at.system.name}', not to '{model.system.name}'.")
    if at._flat.ndim > 1:
        raise SolveError(
            "`at` holds a batch of points. Linearise one after the other, or all at once: "
            "jax.vmap(lambda p: sci.linearize(system, at=sci.steady_state(system, params=p)).A)(params)."
        )
    if time is not None:
        raise SolveError("A Solution brings its own time: leave out time=, or write at=sol(3.0).")
    program = at._program
    p = at.model.full_params(jnp.asarray(program.split(at._buffer)["p"], program.options.dtype), program.options.given_params)
    return at._times[-1], at._states[-1], p, dict(at._values)


def _refuse_nan(model: CompiledSystem, y: Any, p: Any) -> None:
    for places, flat in ((model.layout.states, y), (model.layout.params, p)):
        if not is_traced(flat) and not np.isfinite(np.asarray(flat)).all():
            i = int(np.argmax(~np.isfinite(np.asarray(flat))))
            name = next(n for n, place in places.items() if place.offset <= i < place.end)
            raise SolveError(f"The point has '{name}' = {float(flat[i])}: there is nothing to linearise. Give it a finite value.")


def state_in_words(model: CompiledSystem, y: Any) -> str:
    """`x = 1, y = 2`."""
    return ", ".join(f"{component(model, i)} = {float(v):.4g}" for i, v in enumerate(y[:6]))


__all__ = ["input_names", "output_expressions", "point_of", "state_in_words"]
