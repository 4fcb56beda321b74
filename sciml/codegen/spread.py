"""Fields divided among devices along their first coordinate.

Slices, shifts and sums XLA divides by itself: neighbours exchange the few rows that a stencil reaches over. What needs a
whole line along the divided axis (a transform, a dense matrix) it would collect on every device; here the array is
turned instead, so that each device has whole lines of another axis, and turned back: two all-to-all exchanges, the
pencil scheme of parallel Fourier transforms (Li and Laizet, 2DECOMP&FFT, Cray User Group 2010).
"""

import contextlib
import contextvars
from collections.abc import Callable, Iterator
from typing import Any

import jax
import jax.numpy as jnp
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from ..errors import CompileError

_ACTIVE: contextvars.ContextVar[Mesh | None] = contextvars.ContextVar("mesh", default=None)


@contextlib.contextmanager
def spread_over(mesh: Mesh | None) -> Iterator[None]:
    """What is traced inside divides the first axis of fields among the devices of a mesh."""
    token = _ACTIVE.set(mesh)
    try:
        yield
    finally:
        _ACTIVE.reset(token)


def active() -> bool:
    """Whether fields are divided in what is being traced."""
    return _ACTIVE.get() is not None


def divided(a: Any) -> Any:
    """An array with its first axis divided among the devices; itself where nothing is divided."""
    mesh = _ACTIVE.get()
    if mesh is None or jnp.ndim(a) == 0 or a.shape[0] % mesh.size:
        return a
    return jax.lax.with_sharding_constraint(a, NamedSharding(mesh, PartitionSpec(mesh.axis_names[0])))


def along_first(f: Callable[[Any], Any], a: Any) -> Any:
    """f, which works along the whole first axis and keeps its length, on a divided array."""
    mesh = _ACTIVE.get()
    if mesh is None or a.shape[0] % mesh.size:
        return f(a)
    name, count = mesh.axis_names[0], mesh.size
    if a.ndim < 2:
        raise CompileError(
            f"A transform along '{name}' needs all of it, and '{name}' is the only coordinate: it cannot be divided among devices. "
            f"Use sci.FiniteDifference along {name}, or leave out mesh=."
        )
    width = a.shape[1]
    room = -width % count

    def local(block: Any) -> Any:
        padded = jnp.pad(block, [(0, room) if i == 1 else (0, 0) for i in range(block.ndim)])
        lines = jax.lax.all_to_all(padded, name, split_axis=1, concat_axis=0, tiled=True)
        return jax.lax.all_to_all(f(lines), name, split_axis=0, concat_axis=1, tiled=True)[:, :width]

    spec = PartitionSpec(name)
    return jax.shard_map(local, mesh=mesh, in_specs=spec, out_specs=spec)(a)


def along_others(f: Callable[[Any], Any], a: Any) -> Any:
    """f, which leaves the first axis alone, on a divided array: each device does its own rows."""
    mesh = _ACTIVE.get()
    if mesh is None or a.shape[0] % mesh.size:
        return f(a)
    spec = PartitionSpec(mesh.axis_names[0])
    return jax.shard_map(f, mesh=mesh, in_specs=spec, out_specs=spec)(a)
