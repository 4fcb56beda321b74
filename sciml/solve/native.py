"""What the engine needs of a compiled System: numbers from the packed buffer, structure from the symbols."""

import dataclasses
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from ..codegen import divided, spread_over
from .algebra import algebra_of, mass_of
from .engine import Engine, Problem, Setting
from .exponential import Split
from .krylov import FreeAlgebra
from .methods import Rhs

if TYPE_CHECKING:
    from .program import Program


def _watching(program: "Program", setting: Setting) -> Setting:
    """With what is summed over the steps, and what is asked of one of them."""
    kinds = program.options.penalties
    summed, sampled = (tuple(k for k, m in kinds if m == mode) for mode in ("global", "local"))
    return dataclasses.replace(setting, summed=summed, sampled=sampled) if kinds else setting


def _sample(args: Any) -> Any:
    """The random time is the last number of the buffer."""
    return args[0][-1]


def engine_of(program: "Program", static: Any) -> Engine:
    """The engine for one program."""
    if program.modal is not None:
        return _modal_engine(program, static)
    model, o = program.model, program.options
    if o.mesh is not None:
        return _divided_engine(program, static)
    algebra = algebra_of(model)

    def rhs(args: Any) -> Rhs:
        buffer, arrays = args
        functions = eqx.combine(arrays, static)
        p = program.split(buffer)["p"]
        linear = algebra(p, program.tolerances(buffer)[0])
        fast, compact = (lambda t, y, f=f: f(program.point(buffer, functions, t, y)) for f in (model.rates, model.compact_rates))
        return Rhs(fast, compact, mass_of(model, linear, p), linear, model.heavy)

    problem = Problem(
        rhs,
        span=lambda args: (args[0][0], args[0][1] - args[0][0]),
        start=lambda args: program.split(args[0])["y0"],
        tolerances=lambda args: program.tolerances(args[0]),
        times=lambda args: program.save_times(program.split(args[0])),
        differential=model.differential,
        bounds=program.bounds,
        jumps=_jumps(program),
        sample=_sample,
    )
    assert program.choice.row.native is not None
    explicit, stiff = program.choice.row.native
    saving = {"even": "times"}.get(o.saving, o.saving)
    return Engine(problem, _watching(program, Setting(explicit, stiff, saving, o.dense, o.max_steps, o.recorded)))


def _divided_engine(program: "Program", static: Any) -> Engine:
    """The engine for fields that are divided among devices: its state holds whole rows of the grid, one after the other."""
    model, o, packing = program.model, program.options, program.packing

    def rhs(args: Any) -> Rhs:
        buffer, arrays = args
        functions = eqx.combine(arrays, static)

        def f(t: Any, z: Any) -> Any:
            z = divided(z)
            pieces = {n: divided(packing.piece(z, n)) for n in packing.names}
            rates = model.rates_by_name(program.point(buffer, functions, t, pieces))
            return divided(packing.joined({n: divided(a) for n, a in rates.items()}))

        return Rhs(f, f, None, FreeAlgebra(None, program.tolerances(buffer)[0], False), model.heavy)

    def start(args: Any) -> Any:
        return divided(packing.joined({n: divided(a) for n, a in program.start_by_name(args[0]).items()}))

    problem = Problem(
        rhs,
        span=lambda args: (args[0][0], args[0][1] - args[0][0]),
        start=start,
        tolerances=lambda args: program.tolerances(args[0]),
        times=lambda args: program.save_times(program.split(args[0])),
        differential=np.ones(packing.size, bool),
        bounds=None,
        jumps=_jumps(program),
    )
    assert program.choice.row.native is not None
    explicit, stiff = program.choice.row.native
    return Engine(problem, Setting(explicit, stiff, {"even": "times"}.get(o.saving, o.saving), o.dense, o.max_steps, o.recorded))


def _modal_engine(program: "Program", static: Any) -> Engine:
    """The engine for a program that runs in modes: its state is w, `from_modes` gives the unknowns back."""
    modal, o = program.modal, program.options

    def split(args: Any) -> Split:
        buffer, arrays = args
        functions, p = eqx.combine(arrays, static), program.split(buffer)["p"]
        return Split(
            lambda t, w: modal.rest(program.point(buffer, functions, t, w)), symbols=lambda: modal.symbols(p), groups=modal.groups, flat=modal.flat
        )

    def tolerances(args: Any) -> tuple[Any, Any]:
        rtol, atol = program.tolerances(args[0])
        return rtol, program.mode_size * jnp.sqrt(jnp.mean(jnp.square(atol)))

    problem = Problem(
        split,
        span=lambda args: (args[0][0], args[0][1] - args[0][0]),
        start=lambda args: modal.to_modes(program.split(args[0])["y0"] if o.mesh is None else program.start_by_name(args[0])),
        tolerances=tolerances,
        times=lambda args: program.save_times(program.split(args[0])),
        differential=np.ones(modal.size, bool),
        bounds=None,
        jumps=_jumps(program),
        step=(lambda args: program.equal_step(program.split(args[0]))) if o.fixed else None,
        sample=_sample,
    )
    assert program.choice.row.native is not None
    saving = {"even": "times"}.get(o.saving, o.saving)
    landing = o.fixed and o.saving == "even" and not o.dense
    setting = Setting(program.choice.row.native[0], None, saving, o.dense, o.max_steps, o.recorded, o.fixed, landing)
    return Engine(problem, _watching(program, setting))


def _jumps(program: "Program") -> Callable[[Any], Any] | None:
    """The times in tau at which the rates may jump; None where there are none."""
    if program.model.n_jumps == 0:
        return None

    def times(args: Any) -> Any:
        buffer = args[0]
        return (program.model.jumps(program.split(buffer)["p"]) - buffer[0]) / (buffer[1] - buffer[0])

    return times


def mode_size(modal: Any, n_states: int, dtype: Any) -> float:
    """Size of w relative to the unknowns that it stands for: makes an absolute tolerance for unknowns one for modes."""
    with jax.ensure_compile_time_eval(), spread_over(None):
        y = np.random.default_rng(0).standard_normal(n_states).astype(dtype)
        return float(jnp.sqrt(jnp.mean(jnp.square(modal.to_modes(jnp.asarray(y)))) / np.mean(y * y)))


def bounds_of(program: "Program") -> tuple[np.ndarray, np.ndarray] | None:
    """(low, high) of all states, or None where nothing was declared."""
    low, high = (np.full(program.model.layout.n_states, v, program.options.dtype) for v in (-np.inf, np.inf))
    for place in program.model.layout.states.values():
        if place.declaration is not None and place.declaration.bounds is not None:
            for side, value in zip((low, high), place.declaration.bounds, strict=True):
                if value is not None:
                    side[place.offset : place.end] = value
    return (low, high) if np.isfinite(low).any() or np.isfinite(high).any() else None
