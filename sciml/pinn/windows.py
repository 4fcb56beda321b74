"""Time marching: a network for each window of time, each beginning where the one before it ended.

In the first window the System's own initial values hold. In the others the initial value of u is a function `u_before` of space:
the network of the window before, at its end, with its weights frozen. It is built in like any initial value,

    u(t, x) = u_before(x) + (t - t0)/(t1 - t0) * v(t, x)

so the solution is continuous (Wight and Zhao 2021, Commun. Comput. Phys. 29, 930; Krishnapriyan et al. 2021, NeurIPS).
"""

from collections.abc import Sequence
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from ..codegen import Here
from ..errors import FitError
from ..passes import Partial
from ..symbols import declaration_of, parameters, t
from ..system import System
from .embedding import Block, Embedding
from .problem import Problem

BEFORE = "_before"  # after the name of a field: its function at the start of a window


class Continued(eqx.Module):
    """A network of points that is trained, and the functions that the window before it gives.

    Attributes:
        module: from inputs to the unknowns.
        embedding: from a point to the inputs.
        before: from a point to the functions of the window before; its arrays are NumPy's, which no training changes.
    """

    module: Any
    embedding: Embedding
    before: Any

    def __call__(self, point: Any) -> Any:
        """The values of all functions at a point."""
        own = jnp.atleast_1d(self.module(self.embedding(point)))
        return jnp.concatenate([own, self.before(point)])


class Ended(eqx.Module):
    """Fields (and their rates) at the end of a window, as functions of space.

    Attributes:
        problem: of that window.
        z: its arrays, as NumPy.
        end: the time.
        names: keys of `System.initial`, "u" or "u'".
    """

    problem: Problem = eqx.field(static=True)
    z: Any
    end: float = eqx.field(static=True)
    names: tuple[str, ...] = eqx.field(static=True)

    def __call__(self, point: Any) -> Any:
        """Their values at a point of space; its time does not count."""
        at_end = jnp.concatenate([jnp.full((1,), self.end, point.dtype), point[1:]])
        rate = jnp.zeros_like(point).at[0].set(1)
        plain = [n for n in self.names if not n.endswith("'")]
        fields = [n.rstrip("'") for n in self.names]
        values = self._fields(at_end)
        rates = jax.jvp(self._fields, (at_end,), (rate,))[1] if len(plain) < len(self.names) else values
        known = list(self.problem.form.unknowns)
        return jnp.stack([(values if n == f else rates)[known.index(f)] for n, f in zip(self.names, fields, strict=True)])

    def ordered(self, functions: Sequence[str]) -> "Ended":
        """The same, in the order of some functions."""
        keys = {name_before(n): n for n in self.names}
        return Ended(self.problem, self.z, self.end, tuple(keys[f] for f in functions))

    def _fields(self, point: Any) -> Any:
        problem, form = self.problem, self.problem.form
        z = jax.tree.map(jnp.asarray, self.z)
        numbers, functions = problem.everywhere(z, point.dtype)
        found = jnp.atleast_1d(problem.module(z)(problem.embedding(point)))
        values = {key: found[form.functions.index(o.of)] for key, o in form.operators.items() if isinstance(o, Partial) and not o.orders}
        here = Here(point, values, numbers, functions, problem.span)
        return jnp.stack(problem.lowered.evaluate(list(form.unknowns.values()), here))


def continued(system: System) -> tuple[System, tuple[str, ...]]:
    """The System of a later window, and the keys of its initial values in the order of their functions.

    Raises:
        FitError: no field has an initial value.
    """
    names = [n for n, s in system.symbols.items() if declaration_of(s).kind == "field" and t in s.args]
    keys = [n for n in names if n in system.initial or declaration_of(system.symbols[n]).value is not None]
    keys += [f"{n}'" for n in names if f"{n}'" in system.initial]
    if not keys:
        raise FitError(f"windows= marches in time, and no field of System '{system.name}' has an initial value. Leave out windows=.")
    initial = dict(system.initial)
    for key in keys:
        d, per_time = declaration_of(system.symbols[key.rstrip("'")]), system.units.get("t")
        over = tuple(c for c in d.over if c != t)
        unit = f"({d.unit or 1})/({per_time})" if key.endswith("'") and per_time else d.unit
        initial[key] = parameters(name_before(key), over=over, unit=unit)
    return system.replace(initial=initial), tuple(keys)


def name_before(key: str) -> str:
    """The name of the function that stands for an initial value: u_before, u_rate_before."""
    return f"{key.rstrip(chr(39))}{'_rate' if key.endswith(chr(39)) else ''}{BEFORE}"


def on_points(embedding: Embedding) -> Embedding:
    """The embedding that leaves a point as it is."""
    return Embedding(tuple(Block(b.name, b.start, b.dim, 0, True, b.low, b.high) for b in embedding.blocks))


def edges_of(span: tuple[float, float], windows: Any) -> np.ndarray:
    """The ends of the windows: so many of equal length, or given times."""
    if isinstance(windows, int) and not isinstance(windows, bool) and windows >= 1:
        return np.linspace(*span, windows + 1)
    if isinstance(windows, Sequence | np.ndarray):
        inner = np.asarray(windows, float)
        edges = np.unique(np.concatenate([[span[0]], inner, [span[1]]]))
        if edges[0] == span[0] and edges[-1] == span[1]:
            return edges
    raise FitError(f"windows={windows!r}: a number of windows, or the times between them, inside t_span={span}.")
