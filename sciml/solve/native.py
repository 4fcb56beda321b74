"""What the engine needs of a compiled System: numbers from the packed buffer, structure from the symbols."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import equinox as eqx
import numpy as np

from .engine import Engine, Outcome, Problem, Setting
from .linear import factoriser
from .methods import Rhs
from .sensitivity import differentiable_run

if TYPE_CHECKING:
    from .program import Program


def native_run(program: "Program", static: Any) -> Callable[[Any], Outcome]:
    """The solve as a function of (buffer, arrays of the networks); `static` is what the networks are besides arrays."""
    return differentiable_run(engine_of(program, static))


def engine_of(program: "Program", static: Any) -> Engine:
    """The engine for one program."""
    model, o = program.model, program.options
    factor = factoriser(model.sparsity.pattern | model.mass_pattern, model.differential)

    def rhs(args: Any) -> Rhs:
        buffer, arrays = args
        functions = eqx.combine(arrays, static)
        mass = model.mass(program.split(buffer)["p"])
        fast, compact = (lambda t, y, f=f: f(program.point(buffer, functions, t, y)) for f in (model.rates, model.compact_rates))
        return Rhs(fast, compact, mass, model.sparsity, factor, model.heavy)

    problem = Problem(
        rhs,
        span=lambda args: (args[0][0], args[0][1] - args[0][0]),
        start=lambda args: program.split(args[0])["y0"],
        tolerances=lambda args: program.tolerances(args[0]),
        times=lambda args: program.save_times(program.split(args[0])),
        differential=model.differential,
        bounds=program.bounds,
    )
    assert program.choice.row.native is not None
    explicit, stiff = program.choice.row.native
    saving = {"even": "times"}.get(o.saving, o.saving)
    return Engine(problem, Setting(explicit, stiff, saving, o.dense, o.max_steps, o.recorded))


def bounds_of(program: "Program") -> tuple[np.ndarray, np.ndarray] | None:
    """(low, high) of all states, or None where nothing was declared."""
    low, high = (np.full(program.model.layout.n_states, v, program.options.dtype) for v in (-np.inf, np.inf))
    for place in program.model.layout.states.values():
        if place.declaration is not None and place.declaration.bounds is not None:
            for side, value in zip((low, high), place.declaration.bounds, strict=True):
                if value is not None:
                    side[place.offset : place.end] = value
    return (low, high) if np.isfinite(low).any() or np.isfinite(high).any() else None
