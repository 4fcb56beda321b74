"""`sci.pinn.fit`: a System, a network, and the network trained until it is the solution.

System     -> pointwise -> Pointwise      residuals at points, conditions built in where they can be
Pointwise  -> plan      -> Plan           which derivatives by which method, for each term
Plan       -> Problem   -> Training       points, weights, stages
Training   -> NetworkSolution             asked with the declared symbols
"""

import dataclasses
import itertools
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from ..codegen import LoweredPointwise, lower_pointwise
from ..errors import FitError, ModelError, NameUnknown, nearest
from ..optimize import Transform, transform_of
from ..passes import Diagonal, Laplacian, Pointwise, linear_in, pointwise
from ..symbols import declaration_of, t
from ..system import System, name_of
from .data import measured, measured_terms
from .embedding import Embedding, embedding_of
from .plan import Plan, plan
from .points import Sampler, checked_scheme, counts_of
from .problem import Piece, Problem, is_trained
from .recipe import default_stages, usual_points
from .solution import NetworkSolution, Trained
from .together import network_for
from .training import Best, Training, as_stage
from .weighting import weighting
from .windows import Continued, Ended, continued, edges_of, name_before, on_points


def fit(
    system: Any,
    network: Any = None,
    *,
    t_span: Sequence[float] | None = None,
    params: Mapping[Any, Any] | None = None,
    free: Sequence[Any] = (),
    data: Any = None,
    observe: Mapping[str, Any] | None = None,
    noise: Mapping[str, float] | float = 1.0,
    conditions: str | Sequence[str] = "hard",
    derivatives: Any = "auto",
    modes: int = 1,
    points: Any = None,
    sampling: Any = "auto",
    weights: Any = "auto",
    train: Any = "auto",
    windows: Any = 1,
    minutes: float | None = None,
    key: Any = None,
    checkpoint: Any = None,
    resume: bool = False,
    progress: bool = True,
) -> NetworkSolution:
    """Trains a network until it solves a System.

    The residuals of the equations are taken at points that are drawn anew; no grid is made. Conditions of the System are built
    into the network where a formula for that is found (`u = g + a*v` with a network v, where a is 0 at the sides), and join the
    loss otherwise.

    Args:
        system: with fields, not discretised.
        network: from the inputs (coordinates scaled to [-1, 1], a cosine and a sine for a periodic one) to a number for each
            unknown field. `sci.pinn.mlp(system, ...)` and its neighbours make one of the right size; any equinox module does.
            A small multilayer perceptron if left out.
        t_span: start and end of the time; (0, 1) if left out. Not for stationary Systems.
        params: values of parameters, by name; start values of free ones.
        free: parameters and neural terms that are trained along: an inverse problem.
        data: measurements at scattered points: a pandas table, or a dict of arrays, with a column for each coordinate and for
            each measured quantity. NaN in the column of a quantity: not measured there.
        observe: the expression that a column measures; the unknown of its name where left out.
        noise: standard deviation of the measurements, one for all or by column.
        conditions: "hard" builds in what it can, "soft" nothing, or the names of terms to build in.
        derivatives: "auto", a plan for all terms ("taylor", "nested", "reverse", "gram", "directions", `sci.pinn.Sparse(16)`,
            `sci.pinn.Dense(16)`), or a dict by term.
        modes: cosines and sines that a periodic coordinate gives to the network: those of 1, 2, ... waves.
        points: how many points inside the domain, or a dict by term or kind ({"equation": 2000, "boundary": 200}).
        sampling: "uniform", "sobol", "latin", "grid", "rad" (more where the residual is large), or a function of (key, n).
            "rad" if left out, "uniform" with estimated derivatives.
        weights: of the terms: numbers by name, or "gradient", "ntk", "causal", "equal"; "gradient" if left out and there are
            several terms.
        train: stages: a list of `sci.pinn.Stage`, methods, transformations of optax; or a number of steps of Adam.
        windows: of time, one network for each: a number, or the times between them. For long times, and what becomes chaotic.
        minutes: after which a training stops, of each window if there are several; no limit if left out.
        key: of the network's weights (where it is made here), of points and of estimates; `jax.random.key(0)` if left out.
        checkpoint: a file to write the run to.
        resume: go on where that file stands.
        progress: show a bar.

    Returns:
        A `NetworkSolution`: `net[u]` on a regular grid, `net({"t": ..., "x": ...})[u]` at points, `net.params`, `net.history`.

    Raises:
        ModelError: a condition is missing; a network with other inputs; a System that no network can solve.
        FitError: data outside the domain, options that cannot be used, an estimate in a residual that is not linear in it.
        NameUnknown: a name that does not exist.

    Raissi, Perdikaris, Karniadakis, J. Comput. Phys. 378 (2019) 686; Lagaris, Likas, Fotiadis, IEEE Trans. Neural Netw. 9 (1998)
    987 for conditions that are built in.

    >>> import sciml as sci, sympy as sp
    >>> x = sci.space("x", 0, 1)
    >>> u = sci.fields("u", x)
    >>> poisson = sci.System([sci.eq(u.diff(x, 2), -sp.pi**2*sp.sin(sp.pi*x))], boundary={x.left: sci.eq(u, 0), x.right: sci.eq(u, 0)})
    >>> net = sci.pinn.fit(poisson, points=50, train=200, progress=False)
    >>> net({"x": [0.5]})[u].shape
    (1,)
    """
    if not isinstance(system, System):
        raise ModelError(f"sci.pinn.fit takes a System, not {type(system).__name__}: sci.pinn.fit(system, network).")
    if checkpoint is not None and not resume and Path(checkpoint).exists():
        raise FitError(f"{checkpoint} is there already. Write resume=True to go on from it, give another name, or delete it.")
    if minutes is not None and not minutes > 0:
        raise FitError(f"minutes={minutes!r}: a number above 0, or None for no limit.")
    if resume and checkpoint is None:
        raise FitError("resume=True without a file to resume from. Write checkpoint='run.ckpt', resume=True.")
    key = jax.random.key(0) if key is None else key
    given = Given(system, network, params, tuple(free), data, observe, noise, conditions, derivatives, modes)
    loop = Loop(points, sampling, weights, train, None if checkpoint is None else Path(checkpoint), resume, progress, minutes)
    edges = None if windows == 1 else edges_of(_span(system, t_span, _in_time(system)), windows)
    if edges is None:
        made = setup(given, t_span, key)
        best, rows, reason = loop.train(made)
        return NetworkSolution((Trained(made.problem, best.z, made.span),), made.coordinates, rows, reason, best.step)
    return _march(given, edges, loop, key)


@dataclasses.dataclass(frozen=True, eq=False)
class Given:
    """What the user says of the problem."""

    system: System
    network: Any = None
    params: Mapping[Any, Any] | None = None
    free: tuple[Any, ...] = ()
    data: Any = None
    observe: Mapping[str, Any] | None = None
    noise: Any = 1.0
    conditions: Any = "hard"
    derivatives: Any = "auto"
    modes: int = 1
    check: bool = True  # whether too few conditions are refused, where there are no data


@dataclasses.dataclass(frozen=True, eq=False)
class Loop:
    """What the user says of the training."""

    points: Any = None
    sampling: Any = "auto"
    weights: Any = "auto"
    stages: Any = "auto"
    checkpoint: Path | None = None
    resume: bool = False
    progress: bool = True
    minutes: float | None = None

    def train(self, made: "Setup", label: str = "") -> tuple[Best, list[dict[str, float]], str]:
        """(the best arrays, the history, how it ended)."""
        problem, form = made.problem, made.problem.form
        usual = "uniform" if problem.stochastic else "rad"
        scheme = usual if isinstance(self.sampling, str) and self.sampling == "auto" else checked_scheme(self.sampling)
        counts = counts_of(form, self.points, usual_points(problem))
        sampler = Sampler(form, made.coordinates, made.span, getattr(form.system, "domain", None), counts, scheme, made.measured, made.dtype)
        automatic = isinstance(self.stages, str) and self.stages == "auto"
        stages = default_stages(problem) if automatic else [as_stage(s) for s in _listed(self.stages)]
        start, rule = weighting(problem, self.weights)
        run = Training(problem, made.z, sampler, stages, rule, start, made.key, scheme == "rad", self.minutes)
        best, reason = run(self.progress, self.checkpoint, self.resume, f"training {form.system.name}{label}")
        return best, run.rows, reason


def _march(given: Given, edges: np.ndarray, loop: Loop, key: Any) -> NetworkSolution:
    """One network after the other, each in its window of time."""
    if given.free:
        raise FitError(
            f"windows= trains a network for each window, and free={[name_of(f) for f in given.free]} has one value for all. Use one window."
        )
    parts: list[Trained] = []
    rows: list[dict[str, float]] = []
    best, reason, before, made = None, "", None, None
    for k, (start, end) in enumerate(itertools.pairwise(edges)):
        system = given.system
        if parts:
            system, names = continued(given.system)
            before = Ended(parts[-1].problem, jax.tree.map(np.asarray, parts[-1].z), float(start), names)
        path = None if loop.checkpoint is None else loop.checkpoint if k == 0 else loop.checkpoint.with_name(f"{loop.checkpoint.name}.{k + 1}")
        made = setup(dataclasses.replace(given, system=system), (float(start), float(end)), jax.random.fold_in(key, k), before)
        best, history, reason = dataclasses.replace(loop, checkpoint=path).train(made, f", window {k + 1}/{len(edges) - 1}")
        parts.append(Trained(made.problem, best.z, made.span))
        rows += [{**row, "window": k + 1} for row in history]
        if reason.startswith(("interrupted", "diverged")):
            break
    assert made is not None and best is not None
    return NetworkSolution(tuple(parts), made.coordinates, rows, reason, best.step)


@dataclasses.dataclass(frozen=True, eq=False)
class Setup:
    """All that a training needs besides points and stages."""

    problem: Problem
    z: Any
    coordinates: tuple[Any, ...]
    span: tuple[float, float]
    measured: dict[str, Any]
    key: Any
    dtype: Any


def setup(given: Given, t_span: Any = None, key: Any = None, before: Ended | None = None) -> Setup:
    """The problem of a System and a network, and where its training begins.

    Args:
        given: what the user says.
        t_span: start and end of the time.
        key: of weights, and of all that is drawn.
        before: how the window of time before this one ended.
    """
    system = given.system
    making, training = jax.random.split(jax.random.key(0) if key is None else key)
    frozen = () if before is None else tuple(name_before(n) for n in before.names)
    unknown = (*_unknown_fields(system, given.free), *frozen)
    span = _span(system, t_span, _in_time(system))
    check = given.check and given.data is None
    form = pointwise(system, built_in=_built_in(given.conditions), fields=unknown, check=check, span=span if _in_time(system) else None, agree=frozen)
    by_name = {c.name: c for s in system.symbols.values() for c in declaration_of(s).over}
    coordinates = tuple(by_name[name] for name in form.coordinates)
    table = None
    if given.data is not None:
        table = measured(given.data, given.observe, given.noise, form, coordinates, span)
        form = measured_terms(form, table)
    own = tuple(f for f in form.functions if f not in frozen)
    embedding = embedding_of(coordinates, span, given.modes)
    module = network_for(given.network, own, form.depends, embedding, making)
    if before is not None:
        module, embedding = Continued(module, embedding, before.ordered(form.functions[len(own) :])), on_points(embedding)
    lowered = lower_pointwise(form)
    dtype = _dtype(module)
    z, transforms, fixed = _free(lowered, given.free, given.params, module, dtype)
    pieces = _pieces(form, lowered, module, embedding, given.derivatives)
    normals = tuple(c.name for c in coordinates if declaration_of(c).kind == "space")
    problem = Problem(lowered, embedding, module, pieces, transforms, fixed, span, normals, tuple(z["functions"]))
    return Setup(problem, z, coordinates, span, {} if table is None else table.points(dtype), training, dtype)


def _in_time(system: System) -> bool:
    return any(t in declaration_of(s).over for s in system.symbols.values() if declaration_of(s).kind == "field")


def _unknown_fields(system: System, free: Sequence[Any]) -> tuple[str, ...]:
    """Parameters over coordinates that are free: networks give them."""
    names = [name_of(f) for f in free]
    return tuple(
        n for n in names if n in system.symbols and declaration_of(system.symbols[n]).kind == "parameter" and declaration_of(system.symbols[n]).over
    )


def _listed(train: Any) -> list[Any]:
    return list(train) if isinstance(train, list | tuple) else [train]


def _built_in(conditions: Any) -> Any:
    if isinstance(conditions, str):
        if conditions not in ("hard", "soft"):
            raise FitError(f'conditions={conditions!r}: write "hard", "soft", or the names of the terms to build in.')
        return "auto" if conditions == "hard" else ()
    return tuple(conditions)


def _span(system: System, t_span: Any, in_time: bool) -> tuple[float, float]:
    if not in_time:
        if t_span is not None:
            raise FitError(f"System '{system.name}' does not depend on the time. Leave out t_span.")
        return 0.0, 1.0
    start, end = (0.0, 1.0) if t_span is None else map(float, t_span)
    if not (np.isfinite([start, end]).all() and start < end):
        raise FitError(f"t_span=({start:g}, {end:g}): the start must lie before the end, and both must be finite.")
    return start, end


def _dtype(module: Any) -> Any:
    arrays = jax.tree.leaves(eqx.filter(module, is_trained))
    if not arrays:
        raise FitError(f"The network ({type(module).__name__}) has no arrays of floating numbers, so there is nothing to train.")
    return jnp.result_type(*arrays)


def _pieces(form: Pointwise, lowered: LoweredPointwise, module: Any, embedding: Embedding, derivatives: Any) -> list[Piece]:
    """Each term with its plan."""
    names = [t.name for t in form.terms]
    if isinstance(derivatives, Mapping):
        for name in derivatives:
            if name not in names:
                raise NameUnknown(f"derivatives= has '{name}', and there is no such term. {nearest(str(name), names)}")
    made = []
    for term in form.terms:
        asked = derivatives.get(term.name, "auto") if isinstance(derivatives, Mapping) else derivatives
        operators = {k: form.operators[k] for k in term.operators}
        linear = {k: linear_in(term, k) for k, o in operators.items() if isinstance(o, Diagonal | Laplacian)}  # what may be estimated
        found: Plan = plan(
            operators, form.functions, module, embedding, form.layout, form.coordinates, derivatives=asked, linear=linear, term=term.name
        )
        made.append(Piece(term, found))
    return made


def _free(
    lowered: LoweredPointwise, free: Sequence[Any], params: Mapping[Any, Any] | None, module: Any, dtype: Any
) -> tuple[dict[str, Any], dict[str, Transform], dict[str, Any]]:
    """(where training begins, transforms of free parameters, values of the others)."""
    given = lowered.checked(params)
    z: dict[str, Any] = {"network": eqx.filter(module, is_trained), "params": {}, "functions": {}}
    transforms = {}
    for symbol in free:
        name = name_of(symbol)
        if name in lowered.form.functions:
            continue
        if name not in lowered.settable:
            raise NameUnknown(f"free= has '{name}', and System '{lowered.form.system.name}' has no such parameter. {nearest(name, lowered.settable)}")
        if name in lowered.declared:
            z["functions"][name] = given.pop(name, lowered.trainable(name))
            continue
        place = lowered.places[name]
        value = given.pop(name, place.default)
        if value is None or place.derived:
            raise FitError(f"'{name}' is free and has no number to begin with. Write params={{\"{name}\": 1.0}}.")
        d = place.declaration
        transforms[name] = transform_of(name, np.asarray(value, float), d.bounds, d.scale)  # type: ignore[union-attr]
        z["params"][name] = jnp.asarray(transforms[name].free(np.broadcast_to(np.asarray(value, float), place.shape)), dtype)
    return z, transforms, given
