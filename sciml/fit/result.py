"""What a fit found, how sure it is, and a picture of it."""

import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
from jax.flatten_util import ravel_pytree

from ..optimize import Outcome
from ..solve import Solution
from .problem import FitProblem


class FitResult:
    """The result of `sciml.fit`.

    Attributes:
        params: fitted parameters by name, ready for `sci.solve(system, params=result.params)`.
        initial: fitted initial values by name.
        loss: half the sum of squared weighted residuals.
        losses: the loss at every step.
        converged: whether the method says so.
        reason: how it ended, in words.
    """

    def __init__(self, problem: FitProblem, outcome: Outcome, z: Any):
        self.problem, self.outcome, self.z = problem, outcome, z
        self._values = problem.values(z)
        self.params = {n: _plain(v) for n, v in self._values["params"].items()}
        self.initial = {n: _plain(v) for n, v in self._values["initial"].items()}
        self.losses, self.converged, self.reason = outcome.losses, outcome.converged, outcome.reason

    @functools.cached_property
    def residuals(self) -> np.ndarray:
        """Weighted residuals at the best values, without what weight decay adds."""
        return np.asarray(jax.jit(lambda z: self.problem.weighted(self.problem.values(z), "forward"))(self.z))

    @property
    def loss(self) -> float:
        return float(0.5 * (self.residuals**2).sum())

    @functools.cached_property
    def solution(self) -> Solution:
        """The fitted model over the whole span, at 400 times."""
        return self.problem.solution(self._values, saveat=400)

    @functools.cached_property
    def sigma(self) -> dict[str, float]:
        """The size of the noise of each series: as given, or estimated with n - p degrees of freedom.

        With weight decay p is the effective number: the trace of the matrix that takes data to predictions.
        """
        given = {n: m.sigma for n, m in self.problem.noise.items()}
        if all(s is not None for s in given.values()):
            return {n: float(s) for n, s in given.items()}  # type: ignore[arg-type]
        freedom = max(self.residuals.size - self._used, 1)
        return dict.fromkeys(given, float(np.sqrt((self.residuals**2).sum() / freedom)))

    @property
    def _used(self) -> float:
        """How many numbers the data have determined."""
        if not self.problem.weight_decay:
            return self.problem.size
        q, _ = np.linalg.qr(self._jacobian)
        return float(np.sum(q[: self.residuals.size] ** 2))

    @functools.cached_property
    def _jacobian(self) -> np.ndarray:
        """d residuals / d values, in the values' own units, by forward mode; below them the rows of weight decay."""
        flat, unravel = ravel_pytree(self._values)
        problem = self.problem

        def both(v: Any) -> Any:
            return jnp.concatenate([problem.weighted(unravel(v), "forward"), problem.decayed(unravel(v))])

        return np.asarray(jax.jit(jax.jacfwd(both))(flat))

    @functools.cached_property
    def unidentified(self) -> list[str]:
        """Names that the data do not determine: what takes part in directions without effect on any residual."""
        scale = np.maximum(np.abs(np.asarray(ravel_pytree(self._values)[0])), 1e-12)
        _, s, directions = np.linalg.svd(self._jacobian * scale, full_matrices=True)
        s = np.concatenate([s, np.zeros(len(directions) - len(s))])
        rounding = max(1e-7, 200 * float(np.finfo(self._jacobian.dtype).eps))
        flat = directions[s <= rounding * s.max()] if s.max() > 0 else directions
        return [n for n, part in zip(self.problem.labels, np.abs(flat).max(axis=0, initial=0.0), strict=True) if part > 0.1]

    @functools.cached_property
    def covariance(self) -> pd.DataFrame:
        """Covariance of the free numbers: the inverse of J^T J, times the estimated variance if no sigma was given.

        Linear approximation at the optimum (Seber and Wild, Nonlinear Regression, 1989, chapter 2). What the data do
        not determine has infinite variance.
        """
        j = self._jacobian
        estimated = any(n.sigma is None for n in self.problem.noise.values())
        variance = next(iter(self.sigma.values())) ** 2 if estimated else 1.0
        matrix = np.full((j.shape[1],) * 2, np.inf) if self.unidentified else variance * np.linalg.inv(j.T @ j)
        if self.unidentified:
            known = [i for i, n in enumerate(self.problem.labels) if n not in self.unidentified]
            matrix[np.ix_(known, known)] = variance * np.linalg.pinv(j.T @ j)[np.ix_(known, known)]
        return pd.DataFrame(matrix, index=self.problem.labels, columns=self.problem.labels)

    @property
    def standard_errors(self) -> pd.Series:
        """Square roots of the variances."""
        return pd.Series(np.sqrt(np.diag(self.covariance)), index=self.problem.labels)

    def summary(self) -> pd.DataFrame:
        """A table: estimate, standard error, 95% interval, unit, remark."""
        estimate = np.asarray(ravel_pytree(self._values)[0])
        error = self.standard_errors.to_numpy()
        table = pd.DataFrame({"estimate": estimate, "std. error": error}, index=self.problem.labels)
        table["low 95%"], table["high 95%"] = estimate - 1.96 * error, estimate + 1.96 * error
        table["unit"] = [self._unit(label) for label in self.problem.labels]
        table["remark"] = [self._remark(label) for label in self.problem.labels]
        return table

    def _unit(self, label: str) -> str:
        layout, name = self.problem.model.layout, label.split("(")[0].split("[")[0]
        place = layout.states.get(name) or layout.params.get(name)
        return (place.declaration.unit or "") if place is not None and place.declaration is not None else ""

    def _remark(self, label: str) -> str:
        name = label.split("(")[0].split("[")[0]
        if label in self.unidentified:
            return "not determined by the data"
        transform = self.problem.transforms.get(name)
        value = self.params.get(name, self.initial.get(name))
        return "at its bound" if transform is not None and transform.near_bound(value) else ""

    def band(self, name: str) -> tuple[np.ndarray, np.ndarray]:
        """(prediction, standard deviation from the uncertainty of the fit) of a series, at the times of `solution`."""
        flat, unravel = ravel_pytree(self._values)

        def predict(v: Any) -> Any:
            return self.problem.solution(unravel(v), "forward", saveat=400)[self.problem.observe[name]]

        jacobian = np.asarray(jax.jit(jax.jacfwd(predict))(flat))
        covariance = np.nan_to_num(self.covariance.to_numpy(), posinf=0.0)
        deviation = np.sqrt(np.maximum(np.einsum("ti,ij,tj->t", jacobian, covariance, jacobian), 0.0))
        return np.asarray(jax.jit(predict)(flat)), deviation

    def plot(self, ax: Any = None) -> Any:
        """Data, fit, and a 95% band from the uncertainty of the fitted numbers. Returns the axes."""
        from ..figure import axes

        ax = axes(ax)
        times = np.asarray(self.solution.t)
        for name in self.problem.data.names:
            prediction, deviation = self.band(name)
            (line,) = ax.plot(times, prediction, label=name)
            ax.fill_between(times, prediction - 1.96 * deviation, prediction + 1.96 * deviation, color=line.get_color(), alpha=0.2, lw=0)
            ax.plot(*self.problem.data.series(name), "o", color=line.get_color(), ms=4)
        unit = self.problem.model.system.units.get("t")
        ax.set_xlabel(f"t [{unit}]" if unit else "t")
        ax.legend(frameon=False)
        return ax

    def __repr__(self) -> str:
        found = {**self.params, **self.initial}
        shown = ", ".join(f"{n}={v:.4g}" for n, v in found.items() if np.ndim(v) == 0 and isinstance(v, float))
        return f"FitResult of '{self.problem.model.system.name}': {shown}; loss {self.loss:.4g}, {self.reason}"


def _plain(value: Any) -> Any:
    """A number as a float, an array as it is."""
    return float(value) if isinstance(value, jax.Array | np.ndarray | jnp.ndarray) and np.ndim(value) == 0 else value
