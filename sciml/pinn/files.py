"""Trained networks on disk: a line of JSON, then the bytes of arrays. Reading a file runs no code.

The System and the architecture of the network are code, so they are given again on loading. A file that belongs to other
equations, other conditions or another architecture is refused.
"""

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import sympy as sp

from ..codegen import LoweredPointwise
from ..errors import FileError
from ..optimize import checkpoint
from ..passes import Pointwise
from ..symbols import declaration_of
from ..system import System
from .fit import Given, Setup, setup
from .problem import Problem
from .solution import NetworkSolution, Trained
from .windows import Ended, continued

_KIND = "sci.pinn solution"


def save(net: NetworkSolution, path: Any) -> None:
    """Writes a trained network. `net.save(path)` does this."""
    problem = net.parts[0].problem
    values = _values(problem, net.parts[0].z)
    facts = {
        "kind": _KIND,
        "said": _said(problem.lowered),
        "spans": [list(part.span) for part in net.parts],
        "conditions": [[entry.split(":")[0] for entry in part.problem.form.built_in] for part in net.parts],
        "modes": max([1, *(block.modes for block in problem.embedding.blocks)]),
        "free": [*problem.transforms, *net.parts[0].z["functions"], *_coefficients(net.form)],
        "values": list(values),
        "columns": list(net.history.columns),
        "rows": len(net.history),
        "reason": net.reason,
        "best step": int(net.best_step),
    }
    checkpoint.write(path, (_trained(net.parts), values, net.history.to_numpy(float)), facts)


def load(path: Any, system: System, network: Any = None) -> NetworkSolution:
    """A trained network from a file that `net.save(path)` wrote.

    Args:
        path: of the file.
        system: the System that it solves.
        network: as for `fit`: of the same architecture; its numbers do not matter.

    Returns:
        The solution as it was saved, with its parameters and its history.

    Raises:
        FileError: the file is missing or damaged, holds no trained network, or belongs to other equations or another architecture.

    >>> import sciml as sci, sympy as sp
    >>> x = sci.space("x", 0, 1)
    >>> u = sci.fields("u", x)
    >>> poisson = sci.System([sci.eq(u.diff(x, 2), 1)], boundary={x.left: sci.eq(u, 0), x.right: sci.eq(u, 0)})
    >>> net = sci.pinn.fit(poisson, points=20, train=20, progress=False)
    >>> net.save("poisson.net")
    >>> bool((sci.pinn.load("poisson.net", poisson)[u] == net[u]).all())
    True
    """
    facts = _facts(path)
    given = Given(system, network, None, tuple(facts["free"]), modes=facts["modes"], check=False)
    made = _chain(given, facts, None)
    lowered = made[0].problem.lowered
    _check(path, facts["said"], _said(lowered), system.name)
    like = {n: lowered.trainable(n) if n in lowered.declared else np.zeros(lowered.places[n].shape) for n in facts["values"]}
    history = np.zeros((facts["rows"], len(facts["columns"])))
    trained, values, history = checkpoint.read(path, (_trained(made), like, history))
    trained = jax.tree.map(jnp.asarray, trained)
    made = _chain(dataclasses.replace(given, params=_arrays_of_jax(values, lowered)), facts, trained)
    rows = [{n: float(v) for n, v in zip(facts["columns"], row, strict=True) if not np.isnan(v)} for row in history]
    parts = tuple(Trained(m.problem, _with(m.z, z), m.span) for m, z in zip(made, trained, strict=True))
    return NetworkSolution(parts, made[0].coordinates, rows, facts["reason"], facts["best step"])


def _facts(path: Any) -> dict[str, Any]:
    if not Path(path).exists():
        raise FileError(f"There is no file {path}.")
    try:
        facts = checkpoint.facts(path)
    except FileError:
        raise FileError(f"{path} holds no trained network: it was not written by net.save(path).") from None
    if facts.get("kind") != _KIND:
        raise FileError(f"{path} holds the state of a training. Go on from it with sci.pinn.fit(..., checkpoint={str(path)!r}, resume=True).")
    return facts


def _chain(given: Given, facts: Mapping[str, Any], trained: Any) -> list[Setup]:
    """The problem of each window of time; with arrays that were trained, each begins where they end."""
    made: list[Setup] = []
    for k, (start, end) in enumerate(facts["spans"]):
        system, before = given.system, None
        if made:
            z = made[-1].z if trained is None else _with(made[-1].z, trained[k - 1])
            system, names = continued(given.system)
            before = Ended(made[-1].problem, jax.tree.map(np.asarray, z), start, names)
        now = dataclasses.replace(given, system=system, conditions=tuple(facts["conditions"][k]))
        made.append(setup(now, (start, end) if _in_time(system) else None, None, before))
    return made


def _trained(parts: Sequence[Any]) -> tuple[Any, ...]:
    """The arrays of networks; free parameters are kept by their values."""
    return tuple({"network": part.z["network"], "functions": part.z["functions"]} for part in parts)


def _with(z: dict[str, Any], trained: dict[str, Any]) -> dict[str, Any]:
    """What is trained, with other arrays: those of a later window know the windows before it, and keep them."""
    own = {name: z[name] for name in trained}
    return {**z, **jax.tree.unflatten(jax.tree.structure(own), jax.tree.leaves(trained))}


def _values(problem: Problem, z: Any) -> dict[str, Any]:
    """Parameters by name, and the numbers of functions that were not free: declared ones too, which code may change."""
    lowered, given = problem.lowered, problem.given(z)
    plain = {n: given.get(n, p.default) for n, p in lowered.places.items() if p.declaration is not None and p.declaration.kind == "parameter"}
    numbers = {
        n: np.broadcast_to(np.asarray(v, float), lowered.places[n].shape) for n, v in plain.items() if not (v is None or isinstance(v, sp.Basic))
    }
    functions = {n: given.get(n, lowered.trainable(n)) for n in lowered.declared if n not in z["functions"]}
    return {**numbers, **functions}


def _arrays_of_jax(values: Mapping[str, Any], lowered: LoweredPointwise) -> dict[str, Any]:
    return {n: jax.tree.map(jnp.asarray, v) if n in lowered.declared else v for n, v in values.items()}


def _coefficients(form: Pointwise) -> list[str]:
    """Parameters over coordinates that a network gives."""
    return [n for n in form.functions if n in form.system.symbols and declaration_of(form.system.symbols[n]).kind == "parameter"]


def _in_time(system: System) -> bool:
    return any(c.name == "t" for s in system.symbols.values() if declaration_of(s).kind == "field" for c in declaration_of(s).over)


def _said(lowered: LoweredPointwise) -> list[str]:
    """What a System says, apart from values of parameters."""
    form = lowered.form
    terms = [f"{term.name}: {term.residual} = 0" for term in form.terms if term.kind != "data"]
    built = [f"{name} = {g} + ({a})*network" for name, (g, a) in form.ansatz.items()]
    constants = [f"{n} = {p.default}" for n, p in lowered.places.items() if p.declaration is not None and p.declaration.kind == "constant"]
    return [*terms, *built, *constants]


def _check(path: Any, there: list[str], here: list[str], name: str) -> None:
    for one, other in zip([*there, *[""] * len(here)], [*here, *[""] * len(there)], strict=False):
        if one != other:
            raise FileError(f"{path} belongs to other equations: it has `{one}` where System '{name}' has `{other}`.")
