"""`discover`: a formula for a neural function, by sparse regression over a library of candidate terms."""

import dataclasses
import warnings
from collections.abc import Iterable, Sequence
from typing import Any

import jax
import numpy as np
import sympy as sp

from ..errors import FitError
from ..solve import Solution
from ..symbols import Applied, parameters
from ..system import System, text, unit_of_term, written_out
from .discovery import Discovery, Found
from .library import candidates, fresh, neural_functions, prefix
from .problem import FitProblem
from .result import FitResult
from .sparse import Regression, bags, chosen, collinear, of_each_size, thresholded

WORSE = 1.5
"""A formula that leaves residuals so many times larger than those of the network is doubtful."""


def discover(
    result: Any,
    term: Any,
    library: Iterable[Any] | None = None,
    *,
    degree: int = 2,
    threshold: float | None = None,
    ensemble: int = 100,
    inclusion: float = 0.6,
    tolerance: float = 0.02,
    seed: int = 0,
) -> Discovery:
    """Reads a trained neural function off as a formula: a sum of few terms of a library.

    From a `FitResult` the terms are weighed by the data: how residuals would change if the formula stood in the place of the
    network, to first order, is a linear regression on the sensitivities of the System to each term. Free parameters and
    initial values move along. From a `Solution`, which knows no data, the formula is fitted to the values of the function
    along the solution, each as important as the other, and errors of a network count as facts: prefer a `FitResult`.

    Terms are chosen by the extended Bayes information criterion (for a `Solution`: the fewest that are right to `tolerance`),
    or, with `threshold`, by sequential thresholded least squares. With `ensemble`, that is done for many samples of the rows
    drawn with replacement. A term is kept if enough of the samples have it, and has their median for a coefficient.

    Args:
        result: the `FitResult` of `sci.fit`, or the `Solution` of `sci.solve`.
        term: the neural function: its name, `g`, `g(x, y)`, or a tuple of several outputs of one network.
        library: candidate terms, expressions of unknowns, parameters and time of the System. All monomials of the arguments
            up to `degree` if left out.
        degree: of those monomials.
        threshold: the share of the function's size (root mean square) below which a term leaves.
        ensemble: the number of samples; 0 for one regression on all rows.
        inclusion: the share of samples that must have a term.
        tolerance: for a `Solution`: the error that is allowed, as a share of the function's size.
        seed: of the samples.

    Returns:
        A `Discovery`: a mapping from `g(x, y)` to its formula in new parameters g_1, g_2 ..., for `system.subs(found)`.

    Raises:
        NameUnknown: a neural function, or a symbol in the library, that the System does not have.
        FitError: terms that are not different along the solution, or not numbers there; no term that is needed.

    Brunton, Proctor, Kutz, PNAS 113 (2016) 3932; Fasel, Kutz, Brunton, Brunton, Proc. R. Soc. A 478 (2022) 20210904.

    >>> import equinox as eqx, jax.numpy as jnp, sciml as sci
    >>> class Product(eqx.Module):
    ...     w: jnp.ndarray
    ...     def __call__(self, v):
    ...         return self.w * v[0] * v[1]
    >>> x, y = sci.variables("x y", initial=[2.0, 1.0])
    >>> g = sci.neural("g", Product(jnp.array(0.5)))
    >>> system = sci.System([sci.eq(x.diff(sci.t), x - g(x, y)), sci.eq(y.diff(sci.t), g(x, y) - y)])
    >>> found = sci.discover(sci.solve(system, t_span=(0, 5)), g)
    >>> found
    g(x, y) = 0.5*x*y   R2 1.0000
    >>> system.subs(found)
    System 'system'
      x' = -g_1*x*y + x
      y' = g_1*x*y - y
    """
    _check_options(degree, threshold, ensemble, inclusion, tolerance)
    solution, measured = (result.solution, result.problem.data.count) if isinstance(result, FitResult) else (result, None)
    along = _Along(solution, neural_functions(_system_of(solution), term), degree, library, measured)
    problem = along.by_data(result.problem, result) if isinstance(result, FitResult) else along.by_values()

    def choose(one: Regression) -> tuple[int, ...]:
        if threshold is not None:
            return thresholded(one, along.sizes, threshold)
        return chosen(one) if isinstance(result, FitResult) else _accurate(one, tolerance * along.whole)

    share = np.full(problem.count, np.nan)
    support = choose(problem)
    if ensemble:
        share = (bags(problem, choose, ensemble, seed) != 0).mean(axis=0)
        support = tuple(int(i) for i in np.flatnonzero(share >= inclusion))
    coefficients, errors = problem.fitted(support)
    if ensemble and support:
        many = bags(problem, lambda _: support, ensemble, seed)[:, list(support)]
        coefficients, errors = np.median(many, axis=0), many.std(axis=0)
    misfit = float(np.sqrt(problem.left([support])[0] / along.left)) if isinstance(result, FitResult) else None
    return along.discovery(support, coefficients, errors, share, misfit)


def _check_options(degree: int, threshold: float | None, ensemble: int, inclusion: float, tolerance: float) -> None:
    if degree < 0:
        raise FitError(f"degree={degree}: write the highest degree of the monomials, such as degree=3.")
    if threshold is not None and not 0 < threshold < 1:
        raise FitError(f"threshold={threshold} is a share of the function's size: write a number between 0 and 1, such as threshold=0.05.")
    if ensemble < 0 or ensemble == 1:
        raise FitError(f"ensemble={ensemble}: write the number of samples, such as ensemble=100, or 0 for none.")
    if not 0 < inclusion <= 1:
        raise FitError(f"inclusion={inclusion} is a share of the samples: write a number above 0 and up to 1, such as inclusion=0.6.")
    if not 0 < tolerance < 1:
        raise FitError(f"tolerance={tolerance} is a share of the function's size: write a number between 0 and 1, such as tolerance=0.02.")


def _accurate(problem: Regression, allowed: float) -> tuple[int, ...]:
    """The fewest terms whose root mean square error is allowed; all terms if none is good enough."""
    found = of_each_size(problem)
    good = [support for support, left in found if np.sqrt(left / len(problem.target)) <= allowed]
    return good[0] if good else found[-1][0]


def _system_of(solution: Any) -> System:
    if not isinstance(solution, Solution):
        raise FitError(f"sci.discover takes what sci.fit or sci.solve gave, not {type(solution).__name__}: sci.discover(result, g).")
    if solution.axes:
        raise FitError("The Solution holds many lanes. Solve for one of them: sci.solve(system, t_span=...).")
    if solution.system.grid is not None or solution.system.coordinates:
        raise FitError("sci.discover is for neural functions of ordinary differential equations, and this System has coordinates of space.")
    return solution.system


# -- along the solution -------------------------------------------------------------------


@dataclasses.dataclass(frozen=True)
class _Term:
    """A candidate: which function it is for, and the expression."""

    function: Applied
    expression: sp.Expr


class _Along:
    """Functions and candidate terms along a solution. A function with several applications has the values of all, end to end."""

    def __init__(self, solution: Solution, functions: dict[Applied, list[Applied]], degree: int, library: Iterable[Any] | None, measured: int | None):
        self.solution, self.functions = solution, functions
        self.left = np.nan  # sum of squared residuals with the networks; known from data only
        self.terms = [_Term(f, e) for f in functions for e in candidates(solution.system, f, degree, library)]
        if measured is not None and len(self.terms) + 1 >= measured:
            raise FitError(f"The library has {len(self.terms)} terms, and only {measured} numbers were measured. Give a shorter one.")
        self.values = {f: np.concatenate([self._series(a) for a in applied]) for f, applied in functions.items()}
        self.columns = [self._column(term) for term in self.terms]
        self._refuse_collinear()
        self.whole = float(np.sqrt(np.mean(np.concatenate(list(self.values.values())) ** 2)))
        self.sizes = np.array([_rms(c) / max(_rms(self.values[t.function]), 1e-300) for c, t in zip(self.columns, self.terms, strict=True)])

    def _series(self, expression: Any) -> np.ndarray:
        value = np.asarray(self.solution[expression], float)
        if not np.isfinite(value).all():
            raise FitError(f"`{text(expression)}` is not a number everywhere along the solution. Leave it out of the library.")
        if value.ndim > 1:
            raise FitError(f"`{text(expression)}` has the shape {value.shape[1:]} at a time. sci.discover is for functions that give one number.")
        return np.broadcast_to(value, np.shape(self.solution.t))

    def _column(self, term: _Term) -> np.ndarray:
        return np.concatenate([self._series(written_out(a, [(term.function, term.expression)])) for a in self.functions[term.function]])

    def _refuse_collinear(self) -> None:
        tolerance = 1e-7 if self.solution.t.dtype == np.float64 else 2e-6
        for function in self.functions:
            own = [i for i, term in enumerate(self.terms) if term.function == function]
            group = collinear(np.stack([self.columns[i] for i in own], axis=1), tolerance)
            if group:
                shown = ", ".join(f"`{text(self.terms[own[i]].expression)}`" for i in group)
                what = "is zero" if len(group) == 1 else "add up to zero with some weights"
                raise FitError(
                    f"Along the solution {shown} {what}: no regression can tell what belongs to which. "
                    f"Leave one of them out of the library: sci.discover(..., library=[...])."
                )

    def by_values(self) -> Regression:
        """The functions as sums of the columns."""
        blocks = np.zeros((sum(len(v) for v in self.values.values()), len(self.terms)))
        start = 0
        for function, values in self.values.items():
            for i, term in enumerate(self.terms):
                if term.function == function:
                    blocks[start : start + len(values), i] = self.columns[i]
            start += len(values)
        return Regression(blocks, np.concatenate(list(self.values.values())), np.zeros((start, 0)))

    def by_data(self, problem: FitProblem, result: FitResult) -> Regression:
        """What the data would say to formulas in the place of networks, linear in the coefficients of the terms."""
        formulas, extra = self._mixed(problem)
        perturbed = problem.model.system.subs(formulas)
        pairs = list(formulas.items())
        observe = {n: written_out(e, pairs) if isinstance(e, sp.Basic) else e for n, e in problem.observe.items()}
        numbers = [n for n in (*result.initial, *result.params) if n not in problem.model.layout.functions]
        mixed = FitProblem(
            perturbed, problem.data, [*numbers, *extra], observe, problem.noise,
            {**problem.fixed_params, **result.params}, {**problem.fixed_initial, **result.initial}, problem.t_span, problem.options,
        )  # fmt: skip
        residuals, jacobian = _linearized(mixed)
        self.left = float(np.sum(residuals**2))
        at = {label: i for i, label in enumerate(mixed.labels)}
        own = [at[n] for n in extra]
        others = [i for i in range(jacobian.shape[1]) if i not in own]
        return Regression(jacobian[:, own[1:]], -(residuals + jacobian[:, own[0]]), jacobian[:, others])

    def _mixed(self, problem: FitProblem) -> tuple[dict[Applied, sp.Expr], list[Any]]:
        """(1 - s)*g + sum of c_i*term_i for each g, and the names [s, c_0, ...]: networks for zeros, formulas for s = 1."""
        names = fresh(self.solution.system, "discovered_", len(self.terms) + 1)
        share, *weights = [parameters(n, 0.0, unit=u) for n, u in zip(names, [None, *self._units()], strict=True)]
        formulas = {
            f: (1 - share) * f + sum(w * t.expression for w, t in zip(weights, self.terms, strict=True) if t.function == f) for f in self.functions
        }
        return formulas, names

    def _units(self) -> list[str | None]:
        return [unit_of_term(self.solution.system, t.function, t.expression) for t in self.terms]

    def discovery(self, support: Sequence[int], coefficients: np.ndarray, errors: np.ndarray, share: np.ndarray, misfit: float | None) -> Discovery:
        """The result, with a parameter for each term that is kept."""
        units = self._units()
        found, start = [], 0
        for function, values in self.values.items():
            own = [i for i in support if self.terms[i].function == function]
            if not own:
                raise FitError(
                    f"No term of the library is needed for `{text(function)}`: the data are as well explained without it. Give other "
                    f"terms, lower threshold= or inclusion=, or leave the function out: system.subs({{{text(function)}: 0}})."
                )
            at = [support.index(i) for i in own]
            names = fresh(self.solution.system, prefix(function), len(own), first=1)
            symbols = [parameters(n, float(coefficients[k]), unit=units[i]) for n, k, i in zip(names, at, own, strict=True)]
            fitted = sum(coefficients[k] * self.columns[i] for k, i in zip(at, own, strict=True))
            mine = [i for i, t in enumerate(self.terms) if t.function == function]
            found.append(
                Found(
                    function, tuple(self.terms[i].expression for i in own), tuple(symbols), coefficients[at], errors[at],
                    {self.terms[i].expression: float(share[i]) for i in mine}, np.asarray(self.solution.t),
                    values[: len(self.solution.t)], np.asarray(fitted)[: len(self.solution.t)], _score(values, np.asarray(fitted)),
                )
            )  # fmt: skip
            start += len(values)
        if misfit is not None and misfit > WORSE:
            warnings.warn(
                f"The formula leaves residuals {misfit:.3g} times as large as the network does: the library probably lacks a term. "
                "Give more: sci.discover(..., degree=3), or library=[...].",
                stacklevel=3,
            )
        return Discovery(found, misfit)


def _linearized(problem: FitProblem) -> tuple[np.ndarray, np.ndarray]:
    """(residuals, their derivatives) at the start of a problem."""

    def residuals(z: Any) -> tuple[Any, Any]:
        found = problem.weighted(problem.values(z), "forward")
        return found, found

    jacobian, found = jax.jit(jax.jacfwd(residuals, has_aux=True))(problem.z0)
    return np.asarray(found, float), np.asarray(jacobian, float)


def _rms(values: np.ndarray) -> float:
    return float(np.sqrt(np.mean(values**2)))


def _score(values: np.ndarray, fitted: np.ndarray) -> float:
    """The share of the variance that is explained."""
    spread = float(np.sum((values - values.mean()) ** 2))
    return 1.0 - float(np.sum((values - fitted) ** 2)) / spread if spread > 0 else float(np.allclose(values, fitted))
