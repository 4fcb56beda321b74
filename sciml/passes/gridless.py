"""What no grid can hold, and a network can: shapes, vectors of coordinates, values at the end of time."""

import numpy as np
import sympy as sp

from ..errors import CompileError
from ..symbols import declaration_of, distinct_nodes
from ..system import System, text

_CURE = "Let a network be the solution: sci.pinn.fit(system, network, t_span=(0, 1))."


def on_ranges(system: System) -> System:
    """Refuses, by name, a System that is not one on the finite ranges of scalar coordinates, forward in time."""
    name = system.name
    if system.domain is not None:
        raise CompileError(f"System '{name}' has the domain {system.domain}, and grids fill the whole ranges of the coordinates. {_CURE}")
    if system.final:
        shown = ", ".join(system.final)
        raise CompileError(f"System '{name}' has final= values of {shown}, and a solve starts from initial values. {_CURE}")
    for c in system.coordinates.values():
        d = declaration_of(c)
        if d.kind == "space" and d.shape:
            raise CompileError(f"'{c.name}' is a vector of {c.dim} coordinates, and there are no grids in so many dimensions. {_CURE}")
        if d.kind == "space" and not np.isfinite([d.payload["low"], d.payload["high"]]).all():
            low, high = (f"{v:g}" if np.isfinite(v) else f"{10 * np.sign(v):g}" for v in (d.payload["low"], d.payload["high"]))
            raise CompileError(f"'{c.name}' has an infinite range, which no grid covers. Cut it: sci.space(\"{c.name}\", {low}, {high}). {_CURE}")
    _no_sums(system)
    return system


def _no_sums(system: System) -> None:
    values = (v for v in (declaration_of(s).value for s in system.symbols.values()) if isinstance(v, sp.Basic))
    for n in distinct_nodes(*system._expressions(), *values):
        if isinstance(n, sp.Sum):
            (i, low, high), *_ = n.limits
            raise CompileError(
                f"System '{system.name}' holds `{text(n)}`, and sums over an index are for vectors of coordinates. Write it out, "
                f"sum(... for {i} in range({low}, {high + 1})), or as a product of arrays, sci.dot(a, b)."
            )
