"""`fit`: parameters and initial values from data, by differentiating through the solver."""

from collections.abc import Mapping, Sequence
from typing import Any

import jax
import numpy as np

from ..codegen import CompiledSystem
from ..errors import FitError, nearest
from ..optimize import FirstOrder, LevenbergMarquardt, method_of, repeat
from ..system import System
from .collocation import collocated
from .noise import LogNormal, Normal
from .problem import FitProblem
from .result import FitResult


def fit(
    system: System | CompiledSystem,
    data: Any,
    *,
    free: Sequence[Any] | None = None,
    observe: Mapping[str, Any] | None = None,
    noise: Mapping[str, Normal | LogNormal] | Normal | LogNormal | None = None,
    params: Mapping[Any, Any] | None = None,
    initial: Mapping[Any, Any] | None = None,
    t_span: Sequence[float] | None = None,
    method: Any = "auto",
    start: str = "values",
    weight_decay: float | Mapping[str, float] = 0.0,
    progress: bool = True,
    **options: Any,
) -> FitResult:
    """Fits a System to a table of measurements.

    Args:
        system: a System, or what `sciml.compile` gives.
        data: a pandas table with the columns time, observable, value (or time and a column per observable). Series may
            have different times; rows without a value are left out.
        free: parameters to fit, and unknowns whose initial values are fitted. All parameters if left out.
        observe: the expression that each series measures; by its own name where left out.
        noise: `Normal(sigma)` or `LogNormal(sigma)` by series, or one for all. Without sigma it is estimated.
        params: start values of free parameters, values of the others; the declared ones where left out.
        initial: the same for initial values.
        t_span: from the first to the last measurement if left out.
        method: "auto", "levenberg_marquardt", "first_order", an optax optimiser, or a method object.
        start: where the method begins: "values", those declared or given; "collocation", a fit to the rates of smoothed
            data first, which needs no solve and finds waves that a solve would miss. Every unknown must be measured then.
        weight_decay: for the weights w of free neural terms, by name or one for all: weight_decay*|w|^2/2 is added to the
            loss. With a noise of known sigma that is a normal prior of variance 1/weight_decay.
        progress: show a bar.
        options: for `sciml.solve`: solver, rtol, atol, max_steps, dt.

    Returns:
        A `FitResult`.

    Raises:
        FitError: data or options that cannot be used.
        NameUnknown: a name that the System or the table does not have.

    >>> import numpy as np, pandas as pd, sciml as sci
    >>> x = sci.variables("x", initial=1.0)
    >>> k = sci.parameters("k", 1.0, bounds=(0, None))
    >>> decay = sci.System([sci.eq(x.diff(sci.t), -k*x)])
    >>> times = np.linspace(0, 2, 9)
    >>> table = pd.DataFrame({"time": times, "observable": "x", "value": np.exp(-0.5*times)})
    >>> round(sci.fit(decay, table, free=[k], progress=False).params["k"], 3)
    0.5
    """
    for word in ("saveat", "adjoint", "throw", "key", "dense"):
        if word in options:
            raise FitError(f"sci.fit sets {word} itself. Leave it out.")
    if "regularize" in options:
        raise FitError(
            "sci.fit minimises the misfit alone. Write the loss, with sol.penalty in it, and train: sci.nn.fit(model, data, loss, regularize=...)."
        )
    problem = FitProblem(system, data, free, observe, noise, params, initial, t_span, options, weight_decay)
    if isinstance(method, str) and method == "auto":
        method = FirstOrder() if problem.has_network else LevenbergMarquardt()
    method = method_of(method)
    z = _start(problem, start, progress)
    _refuse_hopeless_start(problem, z)
    state, step, best = method.start(problem, z)
    outcome = repeat(step, state, method.max_steps, progress=progress, label=f"fitting {problem.model.system.name}")
    return FitResult(problem, outcome, best(outcome.state))


def _start(problem: FitProblem, start: str, progress: bool) -> Any:
    if start == "values":
        return problem.z0
    if start == "collocation":
        return collocated(problem, progress)
    raise FitError(f'start={start!r}: write "values" or "collocation". {nearest(str(start), ["values", "collocation"])}')


def _refuse_hopeless_start(problem: FitProblem, z: Any) -> None:
    """A start at which the solve fails has no gradient to leave by."""
    residuals = np.asarray(jax.jit(lambda z: problem.weighted(problem.values(z), "forward"))(z))
    if not np.isfinite(residuals).all():
        problem_solution = problem.solution(problem.values(z), saveat=2)
        raise FitError(
            f"The System cannot be solved over the data at the start values ({problem_solution.status}). "
            'Give others: sci.fit(..., params={...}, initial={...}), or let smoothed data find them: start="collocation".'
        )
