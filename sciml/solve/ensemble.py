"""`ensemble`: one System solved for many parameters, initial values and paths of noise.

    lane    one solve
    chunk   lanes that advance together, in one `vmap`: every lane waits for the slowest of its chunk only
    batch   all chunks, one after the other in a `lax.map`, the chunks divided over the devices by `jax.shard_map`

With 10 000 lanes at once each waits for the slowest of 10 000 (a half of the work is waiting already for Lorenz);
one by one the processor's vector units stand idle. About 32 lanes are best on a CPU; a GPU takes them all.
"""

import inspect
import math
import operator
import warnings
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from ..codegen import CompiledSystem, Place, compile
from ..errors import NameUnknown, SolveError, nearest
from ..system import name_of
from .numbers import by_name
from .program import Program
from .solution import Solution
from .solve import Prepared, prepare
from .status import sentence_of

CHUNK, CHUNK_GPU = 32, 16_384
_SLABS = 50  # parts between which progress is shown


def ensemble(
    system: Any,
    *,
    t_span: Any,
    over: Any = None,
    combine: str = "zip",
    paths: Any = None,
    params: Any = None,
    initial: Any = None,
    key: Any = None,
    chunk: Any = None,
    devices: Any = None,
    progress: bool = False,
    throw: bool = False,
    **options: Any,
) -> Solution:
    """Solves a System for many values at once, and for many paths of its noise.

    Args:
        system: a System, or what `sciml.compile` gives.
        t_span: (start, end).
        over: values by name, of parameters or of unknowns (their initial values); the first axis of each array runs
            over the lanes.
        combine: "zip" takes the first of each, the second of each ...; "grid" takes every combination, one axis a name.
        paths: solve each lane for so many paths of the noise, an axis of its own, the last.
        params, initial: values that all lanes share, as in `sciml.solve`.
        key: a random key, for Systems with noise; every lane and path has a key split off from it.
        chunk: lanes that advance together, 32 on a CPU, up to 16384 on a GPU.
        devices: the JAX devices to divide the lanes over; all of them if left out.
        progress: show a progress bar.
        throw: raise if a lane fails. Otherwise the others finish, a warning tells how many failed, and what a failed
            lane did not reach is NaN.
        options: `saveat`, `solver`, `rtol`, `atol`, `dt`, `adjoint`, `dense`, `max_steps`, as in `sciml.solve`.
            solver="auto" chooses the method for a chunk, not for a lane.

    Returns:
        A `Solution` whose values have the shape (lanes..., time, *shape): `sol.status`, `sol.stats` and `sol.successful` too.
        `sol.axes` names the axes of the batch, and `to_xarray()` has them as dimensions with their values.

    Raises:
        NameUnknown: a name that the System does not have.
        SolveError: arrays that do not fit together, a chunk that does not fit the batch, or anything that `solve` raises.

    >>> import numpy as np, sciml as sci
    >>> x = sci.variables("x", initial=1.0)
    >>> k = sci.parameters("k", 0.5)
    >>> decay = sci.System([sci.eq(x.diff(sci.t), -k*x)])
    >>> many = sci.ensemble(decay, t_span=(0, 2), over={"k": np.linspace(0, 1, 5)}, saveat="end")
    >>> many[x].shape
    (5, 1)
    """
    model = compile(system)
    _check_options(options)
    over = _arrays(model, over)
    params, initial = (_shared(word, given, over) for word, given in (("params", params), ("initial", initial)))
    names = tuple(over)
    shape, columns, axes = _combined(over, combine)
    axes = tuple(f"{n}(0)" if n in model.layout.states else n for n in axes)  # the unknown itself is a variable, not an axis
    if paths is not None:
        shape, columns, axes = _with_paths(model, paths, shape, columns, axes)
    if not axes:
        raise SolveError('An ensemble needs something to run over: over={"k": jnp.linspace(0, 1, 10)}, or paths=100 with noise.')
    first = {n: v[0] for n, v in columns.items()}
    in_state = {n for n in names if n in model.layout.states}
    ready = prepare(
        model,
        t_span=t_span,
        params={**params, **{n: v for n, v in first.items() if n not in in_state}},
        initial={**initial, **{n: v for n, v in first.items() if n in in_state}},
        key=key,
        **options,
    )
    lanes = math.prod(shape)
    size = _chunk(chunk, lanes)
    keys = None if key is None else jax.random.split(key, lanes)
    parts = _run(ready, columns, keys, lanes, size, _devices(devices), progress)
    out, buffers, values, dense = jax.tree.map(lambda v: v.reshape(*shape, *v.shape[1:]), parts)
    zipped = names if combine == "zip" else ()
    sol = Solution(out, buffers, {**ready.values, **values}, dense, ready.program, ready.n_times, axes, zipped)
    _report(sol, throw)
    return sol


# -- what runs over what ---------------------------------------------------------------


def _arrays(model: CompiledSystem, over: Any) -> dict[str, Any]:
    """Names of the System with arrays that have an axis more than the name."""
    made: dict[str, Any] = {}
    if over is not None and not isinstance(over, Mapping):
        raise SolveError(f'over is a dict from name to an array, such as {{"k": jnp.linspace(0, 1, 10)}}, not {type(over).__name__}.')
    for key, value in (over or {}).items():
        name = _name(model, key)
        place = _place(model, name)
        value = _real(name, value)
        expected = place.shape if place is not None else np.shape(model.layout.functions[name].value)
        if value.ndim != len(expected) + 1 or value.shape[1:] != expected or value.shape[0] == 0:
            raise SolveError(_misshapen(name, value.shape, expected))
        if not isinstance(value, jax.core.Tracer) and not np.isfinite(value).all():
            raise SolveError(f"over['{name}'] holds NaN or infinite numbers. Give finite ones.")
        made[name] = value
    return made


def _misshapen(name: str, shape: tuple[int, ...], expected: tuple[int, ...]) -> str:
    if not expected:
        mended = f'over={{"{name}": jnp.linspace(low, high, 10)}}'
        return f"over['{name}'] has shape {shape}, and '{name}' is a scalar: give one number for each lane, {mended}."
    lanes = ", ".join(map(str, ("lanes", *expected)))
    return (
        f"over['{name}'] has shape {shape}, and '{name}' has shape {expected}: give an array of shape ({lanes}), the first axis runs over the lanes."
    )


def _real(name: str, value: Any) -> Any:
    """An array of real numbers: of JAX where it was, or where tracers are in a list."""
    if isinstance(value, list | tuple) and any(isinstance(v, jax.Array) for v in value):
        value = jnp.stack([jnp.asarray(v) for v in value])
    try:
        made = value if isinstance(value, jax.Array) else np.asarray(value)
        if made.dtype.kind in "USc" or jnp.issubdtype(made.dtype, jnp.complexfloating):
            raise ValueError
        return made if isinstance(made, jax.Array) else made.astype(float)
    except (TypeError, ValueError):
        raise SolveError(f"over['{name}'] does not hold real numbers. Write over={{\"{name}\": jnp.linspace(low, high, 10)}}.") from None


def _name(model: CompiledSystem, key: Any) -> str:
    name = name_of(key)
    if name not in model.layout.states and name not in model.layout.params and name not in model.layout.functions:
        raise NameUnknown(f"over has '{name}', which is no parameter and no unknown. {nearest(name, [*model.layout.settable, *model.layout.states])}")
    name = model.layout.check_state(name) if name in model.layout.states else model.layout.check_param(name)
    if name in model.layout.functions and model.layout.functions[name].kind == "neural":
        raise SolveError(f"'{name}' is a network: its weights cannot run over lanes here. Write jax.vmap(lambda w: sci.solve(...))(weights).")
    return name


def _shared(word: str, given: Any, over: Mapping[str, Any]) -> dict[str, Any]:
    """What all lanes share, if no lane has a value of its own for it."""
    given = by_name(given, name_of)
    for name in given:
        if name in over:
            raise SolveError(f"'{name}' is in over and in {word}: it differs from lane to lane, or all lanes share it. Leave one out.")
    return given


def _check_options(options: Mapping[str, Any]) -> None:
    known = set(inspect.signature(prepare).parameters) - {"model"}
    for name in options:
        if name not in known:
            raise TypeError(f"sci.ensemble has no option '{name}'. {nearest(name, sorted(known))}")


def _devices(devices: Any) -> list[Any]:
    if devices is None:
        return jax.devices()
    if isinstance(devices, str) or not devices or not all(isinstance(d, jax.Device) for d in devices):
        raise SolveError(f'devices={devices!r}: give devices of JAX, such as jax.devices() or jax.devices("cpu")[:2].')
    return list(devices)


def _place(model: CompiledSystem, name: str) -> Place | None:
    return model.layout.params.get(name) or model.layout.states.get(name)


Combined = tuple[tuple[int, ...], dict[str, Any], tuple[str, ...]]


def _combined(over: dict[str, Any], combine: str) -> Combined:
    """(shape of the batch, one array over all lanes for each name, names of the axes)."""
    if combine not in ("zip", "grid"):
        raise SolveError(f'combine={combine!r}: write "zip" or "grid".')
    if not over:
        return (), {}, ()
    lengths = {n: v.shape[0] for n, v in over.items()}
    if combine == "zip":
        if len(set(lengths.values())) > 1:
            told = ", ".join(f"'{n}' has {k}" for n, k in lengths.items())
            raise SolveError(f'combine="zip" takes one value of each name at a time, and {told}. Give as many of each, or write combine="grid".')
        return (next(iter(lengths.values())),), over, (next(iter(over)) if len(over) == 1 else "lane",)
    shape = tuple(lengths.values())
    index = np.indices(shape).reshape(len(shape), -1)
    return shape, {n: v[i] for (n, v), i in zip(over.items(), index, strict=True)}, tuple(over)


def _with_paths(model: CompiledSystem, paths: Any, shape: tuple, columns: dict[str, Any], axes: tuple[str, ...]) -> Combined:
    if _whole(paths) is None or paths < 1:
        raise SolveError(f"paths={paths!r}: give a positive whole number.")
    paths = operator.index(paths)
    if model.noise.kind == "none":
        raise SolveError(f"paths={paths} needs noise, and System '{model.system.name}' has none: every path would be the same. Leave paths out.")
    repeat = jnp.repeat if any(isinstance(v, jax.Array) for v in columns.values()) else np.repeat
    return (*shape, paths), {n: repeat(v, paths, axis=0) for n, v in columns.items()}, (*axes, "path")


def _chunk(chunk: Any, lanes: int) -> int:
    if chunk is None:
        return min(CHUNK if jax.default_backend() == "cpu" else CHUNK_GPU, lanes)
    whole = _whole(chunk)
    if whole is None or not 1 <= whole <= lanes:
        raise SolveError(f"chunk={chunk!r} does not fit a batch of {lanes} lanes: give a whole number from 1 to {lanes}, or leave it out.")
    return whole


def _whole(number: Any) -> int | None:
    """A whole number of any kind; None for anything else."""
    try:
        return None if isinstance(number, bool) else operator.index(number)
    except TypeError:
        return None


# -- running -----------------------------------------------------------------------------


def _run(ready: Prepared, columns: dict[str, Any], keys: Any, lanes: int, chunk: int, devices: list[Any], progress: bool) -> tuple[Any, ...]:
    """(packed solutions, packed numbers, data of the lanes, dense solutions), one row a lane."""
    count = -(-lanes // chunk)
    devices = devices[: max(1, min(len(devices), count))]
    count = -(-count // len(devices)) * len(devices)
    fill = np.minimum(np.arange(count * chunk), lanes - 1)  # the last lane again, where the last chunk has room

    def cut(value: Any) -> Any:
        return value[fill].reshape(count, chunk, *value.shape[1:])

    run = _runner(ready.program, tuple(columns), chunk, tuple(devices))
    pieces = ({n: cut(v) for n, v in columns.items()}, None if keys is None else cut(keys))
    if progress and not isinstance(ready.buffer, jax.core.Tracer):
        parts = _in_slabs(run, ready, pieces, count, len(devices), lanes, chunk)
    else:
        parts = run(jnp.asarray(ready.buffer), ready.values, *pieces)
    return jax.tree.map(lambda v: v.reshape(count * chunk, *v.shape[2:])[:lanes], parts)


def _in_slabs(run: Any, ready: Prepared, pieces: Any, count: int, devices: int, lanes: int, chunk: int) -> Any:
    from tqdm.auto import tqdm

    step = max(1, count // devices // _SLABS) * devices
    starts, done = range(0, count, step), []
    with tqdm(total=lanes, unit="lane") as bar:
        for begin in starts:
            slab = jax.tree.map(lambda v: v[np.minimum(np.arange(begin, begin + step), count - 1)], pieces)  # noqa: B023
            done.append(jax.block_until_ready(run(jnp.asarray(ready.buffer), ready.values, *slab)))
            bar.update(min((begin + step) * chunk, lanes) - bar.n)
    return jax.tree.map(lambda *v: jnp.concatenate(v)[:count], *done)


def _runner(program: Program, names: tuple[str, ...], chunk: int, devices: tuple[Any, ...]) -> Any:
    """The jitted function of all chunks, kept with the program."""
    known = program.evaluators.get(("ensemble", names, chunk, devices))
    if known is not None:
        return known

    def lane(buffer: Any, values: Any, over: dict[str, Any], key: Any) -> Any:
        for name, value in over.items():
            place = _place(program.model, name)
            if place is None:
                values = {**values, name: jnp.asarray(value, program.options.dtype)}
                continue
            at = (program.p_at if name in program.model.layout.params else program.y_at) + place.offset
            buffer = jax.lax.dynamic_update_slice(buffer, jnp.asarray(value, buffer.dtype).reshape(-1), (at,))
        out, dense, _ = program.run(buffer, values, key)
        return out, buffer, {name: values[name] for name in over if name in values}, dense

    def chunks(buffer: Any, values: Any, over: Any, keys: Any) -> Any:
        buffer = jnp.asarray(buffer, program.options.dtype)
        together = jax.vmap(lane, in_axes=(None, None, 0, None if keys is None else 0))
        return jax.lax.map(lambda piece: together(buffer, values, *piece), (over, keys))

    if len(devices) > 1:
        mesh = jax.sharding.Mesh(np.array(devices), ("chunks",))
        whole, cut = jax.sharding.PartitionSpec(), jax.sharding.PartitionSpec("chunks")
        chunks = jax.shard_map(chunks, mesh=mesh, in_specs=(whole, whole, cut, cut), out_specs=cut, check_vma=False)
    program.evaluators["ensemble", names, chunk, devices] = made = jax.jit(chunks)
    return made


def _report(sol: Solution, throw: bool) -> None:
    """How many lanes failed and why, once, where the numbers are known."""
    if isinstance(sol._out, jax.core.Tracer):
        return
    codes, counts = np.unique(np.asarray(sol._tail("status")), return_counts=True)
    failed = {sentence_of(c): int(n) for c, n in zip(codes, counts, strict=True) if c != 0}
    if not failed:
        return
    told = " ".join(f"{n} lanes: {s}" if n > 1 else f"1 lane: {s}" for s, n in failed.items())
    first = np.unravel_index(int(np.argmax(np.asarray(sol._tail("status")) != 0)), sol.successful.shape)
    where = _where(sol, tuple(map(int, first)))
    message = (
        f"{sum(failed.values())} of {sol.successful.size} lanes of the ensemble of System '{sol.system.name}' failed, the first with {where}. {told}"
    )
    if throw:
        raise SolveError(f"{message} Look at that one alone with sci.solve, which says where it stopped.")
    warnings.warn(f"{message} What they did not reach is NaN; sol.successful tells which.", stacklevel=3)


def _where(sol: Solution, index: tuple[int, ...]) -> str:
    """`k=0.5, path=3`; where the lanes have arrays, the number of the lane."""
    given, states = sol.lane(index), sol.model.layout.states
    numbers = {f"{name}(0)" if name in states else name: v for name, v in given.items() if np.ndim(v) == 0}
    numbers = numbers if len(numbers) == len(given) else dict(zip(sol.axes, index, strict=True)) | numbers
    return ", ".join(f"{name}={value:g}" for name, value in numbers.items())


__all__ = ["ensemble"]
