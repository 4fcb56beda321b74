"""What can be divided among devices, said by name."""

from typing import Any

import jax
from jax.sharding import Mesh

from ..codegen import CompiledSystem
from ..errors import SolveError
from .solvers import Choice


def checked_mesh(model: CompiledSystem, mesh: Any, stored: bool, implicit: str) -> Any:
    """A mesh of one axis, the first coordinate of all fields, whose points it divides evenly."""
    if not isinstance(mesh, Mesh) or len(mesh.axis_names) != 1:
        raise SolveError(f'mesh={mesh!r}: give a mesh with one axis, jax.make_mesh((jax.device_count(),), ("x",)), named like a coordinate.')
    grid, (name,) = model.reduced.grid, mesh.axis_names
    if grid is None:
        raise SolveError("mesh= divides fields, and this System has none. To divide many solves, sci.ensemble(..., devices=...) is there.")
    for field in grid.fields.values():
        first, n = field.coordinates[0].name, field.array.declaration.shape[0]
        if first != name:
            raise SolveError(
                f"mesh= has the axis '{name}', and the first coordinate of '{field.name}' is '{first}': "
                f'jax.make_mesh(({mesh.size},), ("{first}",)).'
            )
        if n % mesh.size:
            near = -(-n // mesh.size) * mesh.size
            raise SolveError(f"The {n} points along '{name}' cannot be divided evenly among {mesh.size} devices. Take {near} points.")
    if stored:
        raise SolveError('mesh= keeps values at times only: leave out dense=True and saveat="steps".')
    if implicit:
        raise SolveError(f"{implicit} is implicit, and implicit equations cannot be divided among devices. Leave out mesh=.")
    # XLA is to divide what is not said, also on meshes that ask for everything to be said.
    return Mesh(mesh.devices, mesh.axis_names, axis_types=(jax.sharding.AxisType.Auto,))


def refuse_undividable(choice: Choice, adjoint: Any) -> None:
    """Solvers of diffrax keep everything in one vector."""
    if choice.row.native is None or adjoint not in ("auto", "discrete", "forward"):
        raise SolveError(
            f'mesh= goes with solver="auto", "tsit5", "rodas5p" and "etdrk4" and their own derivatives, '
            f"not with '{choice.name}' and adjoint={adjoint!r}."
        )
