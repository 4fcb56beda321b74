"""Sparse linear regression: few columns of many, chosen by a threshold, by a criterion, or by many resampled data.

| function      | what it does                                                                                   | reference |
|---------------|------------------------------------------------------------------------------------------------|-----------|
| `thresholded` | least squares, leave out what is small, again, until nothing is                                | [1]       |
| `of_each_size`| the best support of each size: least squares with one column more or less at a time, and swaps | [2]       |
| `chosen`      | the smallest of them that is as good as the best by the extended Bayes criterion               | [3]       |
| `bags`        | the same for rows drawn again with replacement: how often is each column chosen?               | [4]       |

[1] Brunton, Proctor, Kutz, PNAS 113 (2016) 3932. [2] Boninsegna, Nueske, Clementi, J. Chem. Phys. 148 (2018) 241723.
[3] Chen, Chen, Biometrika 95 (2008) 759. [4] Fasel, Kutz, Brunton, Brunton, Proc. R. Soc. A 478 (2022) 20210904.
"""

import dataclasses
import functools
from collections.abc import Callable, Iterable
from math import lgamma, log
from typing import Any

import numpy as np

MARGIN = 2.0
"""Differences of the criterion below this are worth no more than a bare mention (Raftery 1995): the smaller support is taken."""


@dataclasses.dataclass(frozen=True)
class Regression:
    """`target` as a sum of few columns of `design` and any amount of all columns of `aside`.

    Attributes:
        design: candidate columns, (rows, candidates).
        target: what they explain, (rows,).
        aside: columns that always take part and are not counted, (rows, any number).
    """

    design: np.ndarray
    target: np.ndarray
    aside: np.ndarray

    @property
    def count(self) -> int:
        """The number of candidates."""
        return self.design.shape[1]

    @property
    def rows(self) -> int:
        """The number of rows less those that the columns aside use up."""
        return max(len(self.target) - self.aside.shape[1], 1)

    @functools.cached_property
    def _reduced(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """(R, Q^T target, norms of the columns) after the columns aside are taken out and the others scaled to norm 1."""
        q, _ = np.linalg.qr(self.aside)
        design, target = self.design - q @ (q.T @ self.design), self.target - q @ (q.T @ self.target)
        norms = np.linalg.norm(design, axis=0)
        norms = np.where(norms > 1e-14 * np.linalg.norm(self.design, axis=0), norms, np.inf)  # a column that the others hold has coefficient 0
        both: Any = np.linalg.qr(np.column_stack([design / norms, target]), mode="r")
        return both[:, :-1], both[:, -1], norms

    @functools.cached_property
    def _products(self) -> tuple[np.ndarray, np.ndarray, float]:
        r, target, _ = self._reduced
        return r.T @ r, r.T @ target, float(target @ target)

    def left(self, supports: Iterable[tuple[int, ...]]) -> np.ndarray:
        """The sums of squares left with each of some supports of one size, which are tuples of columns."""
        gram, along, whole = self._products
        index = np.array(list(supports), int)
        if index.shape[1] == 0:
            return np.full(len(index), whole)
        blocks, sides = gram[index[:, :, None], index[:, None, :]], along[index]
        # A trace of ridge keeps columns that are multiples of each other from dividing by zero.
        blocks = blocks + 1e-13 * np.eye(index.shape[1])
        return np.maximum(whole - np.sum(sides * np.linalg.solve(blocks, sides[..., None])[..., 0], axis=1), 0.0)

    def fitted(self, support: tuple[int, ...]) -> tuple[np.ndarray, np.ndarray]:
        """Coefficients of a support and their standard errors."""
        r, target, norms = self._reduced
        columns = r[:, list(support)]
        inverse = np.linalg.pinv(columns, rcond=1e-12)
        found = inverse @ target
        rss = float(np.sum((target - columns @ found) ** 2))
        errors = np.sqrt((inverse**2).sum(axis=1) * rss / max(self.rows - len(support), 1))
        return found / norms[list(support)], errors / norms[list(support)]

    def criterion(self, size: int, left: float) -> float:
        """The extended Bayes information criterion: misfit, and a price for each column that grows with the choice there was."""
        choices = lgamma(self.count + 1) - lgamma(size + 1) - lgamma(self.count - size + 1)
        return self.rows * log(max(left, 1e-300) / self.rows) + size * log(self.rows) + 2 * choices

    def drawn(self, rng: np.random.Generator) -> "Regression":
        """As many rows, drawn with replacement."""
        index = rng.integers(0, len(self.target), len(self.target))
        return Regression(self.design[index], self.target[index], self.aside[index])


def thresholded(problem: Regression, size: np.ndarray, threshold: float) -> tuple[int, ...]:
    """The support left when columns with |coefficient|*size below the threshold leave, and the rest is fitted again."""
    support = tuple(range(problem.count))
    while support:
        coefficients, _ = problem.fitted(support)
        kept = tuple(c for c, v in zip(support, np.abs(coefficients) * size[list(support)], strict=True) if v >= threshold)
        if kept == support:
            break
        support = kept
    return support


def of_each_size(problem: Regression) -> list[tuple[tuple[int, ...], float]]:
    """The best supports found of 0, 1, ... all columns, each with the sum of squares that it leaves."""
    everything = range(problem.count)
    up = [_best(problem, [()])]
    for _ in everything:
        more = _best(problem, [(*up[-1][0], c) for c in everything if c not in up[-1][0]])
        up.append(_swapped(problem, more))
    down = [up[-1]]
    while down[-1][0]:
        down.append(_best(problem, [tuple(c for c in down[-1][0] if c != gone) for gone in down[-1][0]]))
    return [min(pair, key=lambda found: found[1]) for pair in zip(up, reversed(down), strict=True)]


def _best(problem: Regression, supports: list[tuple[int, ...]]) -> tuple[tuple[int, ...], float]:
    left = problem.left(supports)
    at = int(np.argmin(left))
    return tuple(sorted(supports[at])), float(left[at])


def _swapped(problem: Regression, found: tuple[tuple[int, ...], float]) -> tuple[tuple[int, ...], float]:
    """Columns exchanged one by one while that leaves less."""
    while True:
        support, left = found
        others = [c for c in range(problem.count) if c not in support]
        if not others or not support:
            return found
        better = _best(problem, [(*(c for c in support if c != gone), new) for gone in support for new in others])
        if better[1] >= left * (1 - 1e-9):
            return found
        found = better


def chosen(problem: Regression) -> tuple[int, ...]:
    """The smallest of the best supports within `MARGIN` of the best criterion."""
    found = of_each_size(problem)
    values = np.array([problem.criterion(len(support), left) for support, left in found])
    return found[int(np.flatnonzero(values <= values.min() + MARGIN)[0])][0]


def bags(problem: Regression, choose: Callable[[Regression], tuple[int, ...]], count: int, seed: int) -> np.ndarray:
    """Coefficients of all candidates for each of `count` bags of rows, (count, candidates); 0 where one was not chosen."""
    rng = np.random.default_rng(seed)
    found = np.zeros((count, problem.count))
    for row in found:
        bag = problem.drawn(rng)
        support = choose(bag)
        row[list(support)] = bag.fitted(support)[0]
    return found


def collinear(columns: np.ndarray, tolerance: float) -> list[int]:
    """The columns of the first group that adds up to nothing, to a relative tolerance; empty if there is none."""
    norms = np.linalg.norm(columns, axis=0)
    if (norms == 0).any():
        return [int(np.argmin(norms))]
    _, s, vt = np.linalg.svd(columns / norms, full_matrices=False)
    weights: Any = np.abs(vt[-1])
    return [int(i) for i in np.flatnonzero(weights > 0.05 * weights.max())] if s[-1] < tolerance * s[0] else []
