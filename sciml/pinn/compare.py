"""How far a trained network is from a known solution: relative L2 distance, |net - exact|/|exact|."""

from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import sympy as sp

from ..errors import SolveError
from ..symbols import declaration_of


def distances(net: Any, exact: Mapping[Any, Any], points: Any) -> dict[str, Any]:
    """By field, from expressions or values on the grid or at points."""
    mine = net if points is None else net(points)
    found = {}
    for key, value in exact.items():
        known = mine[value] if isinstance(value, sp.Expr) else jnp.asarray(value)
        found[name_of(key)] = _relative(mine[key], known, name_of(key))
    return found


def from_solution(net: Any, other: Any) -> dict[str, Any]:
    """By field, from the Solution of a discretised System, at its points and times."""
    grid = getattr(getattr(getattr(other, "model", None), "reduced", None), "grid", None)
    if grid is None:
        raise SolveError("net.error(exact) takes {u: expression or values}, or the Solution of a discretised System.")
    found = {}
    for name in (n for n, s in grid.declared.symbols.items() if declaration_of(s).kind == "field"):
        over = [c.name for c in grid.coordinates_of_name(name)]
        axes = {n: np.asarray(grid.axes[n].points) for n in over}
        theirs = np.asarray(other[grid.declared.symbols[name]])
        times = np.atleast_1d(np.asarray(other.t))
        axes = {"t": times, **axes} if "t" in net.over(name) else axes
        shape = tuple(len(points) for points in axes.values())
        if times.ndim > 1 or theirs.size != int(np.prod(shape)):
            raise SolveError(f"The Solution has '{name}' in the shape {theirs.shape}, a batch, and one solve can be compared.")
        mesh = dict(zip(axes, np.meshgrid(*axes.values(), indexing="ij"), strict=True))
        at = {c.name: mesh.get(c.name, net.room.middle(c)) for c in net.coordinates}
        found[name] = _relative(net(at)[name], theirs.reshape(shape), name)
    return found


def name_of(key: Any) -> str:
    """How messages, titles and results call a quantity."""
    d = declaration_of(key)
    return key if isinstance(key, str) else d.name if d is not None else str(key)


def _relative(mine: Any, known: Any, name: str) -> Any:
    known = jnp.asarray(known)
    if known.shape not in ((), mine.shape):
        raise SolveError(f"The exact values of '{name}' have the shape {known.shape}, and those of the network {mine.shape}.")
    known = jnp.broadcast_to(known, mine.shape)
    counts = jnp.isfinite(known)
    difference, size = (jnp.linalg.norm(jnp.where(counts, v, 0).reshape(-1)) for v in (mine - known, known))
    if isinstance(size, jax.core.Tracer):
        return difference / size
    if size == 0:
        raise SolveError(f"The exact solution of '{name}' is 0 everywhere, and the error is relative to it. Compare net['{name}'] with 0 yourself.")
    return float(difference / size)
