"""What `discover` found: formulas, how sure they are, and a picture."""

import dataclasses
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import pandas as pd
import sympy as sp

from ..symbols import Applied
from ..system import latex, text


@dataclasses.dataclass(frozen=True)
class Found:
    """The formula of one neural function, and what it was compared with along the solution."""

    function: Applied
    terms: tuple[sp.Expr, ...]
    parameters: tuple[sp.Symbol, ...]
    coefficients: np.ndarray
    errors: np.ndarray
    inclusion: dict[sp.Expr, float]
    times: np.ndarray
    values: np.ndarray
    fitted: np.ndarray
    score: float

    @property
    def formula(self) -> sp.Expr:
        """In the new parameters."""
        return sp.Add(*(p * term for p, term in zip(self.parameters, self.terms, strict=True)))

    @property
    def shown(self) -> str:
        """The function as text."""
        return text(self.function)

    def __str__(self) -> str:
        parts = [f"{c:+.4g}" + ("" if term == 1 else f"*{_bracketed(term)}") for c, term in zip(self.coefficients, self.terms, strict=True)]
        return f"{self.shown} = {' '.join(f'{p[0]} {p[1:]}' for p in parts).removeprefix('+ ')}"


class Discovery(Mapping[Applied, sp.Expr]):
    """What `sciml.discover` gives: formulas by applied neural function, `{g(x, y): g_1*x*y}`, ready for `system.subs(found)`.

    Attributes:
        params: the coefficients by the name of their parameter, ready for `free=[*found.params]` and `params=found.params`.
        score: the share of the variance of the function along the solution that the formula explains; of the worst, if several.
        misfit: the size of the residuals that the formula will leave, over that of the network's; None without data.
        functions: a `Found` for each function.
    """

    def __init__(self, functions: list[Found], misfit: float | None = None):
        self.functions, self.misfit = functions, misfit
        self._formulas = {f.function: f.formula for f in functions}
        self.params = {p.name: float(c) for f in functions for p, c in zip(f.parameters, f.coefficients, strict=True)}
        self.score = min(f.score for f in functions)

    def __getitem__(self, function: Any) -> sp.Expr:
        return self._formulas[function]

    def __iter__(self) -> Iterator[Applied]:
        return iter(self._formulas)

    def __len__(self) -> int:
        return len(self._formulas)

    @property
    def coefficients(self) -> pd.DataFrame:
        """A table of all candidates: parameter, coefficient, standard error, and the share of samples that had the term."""
        rows = []
        for f in self.functions:
            kept = dict(zip(f.terms, zip(f.parameters, f.coefficients, f.errors, strict=True), strict=True))
            for term, share in f.inclusion.items():
                parameter, value, error = kept.get(term, ("", 0.0, 0.0))
                rows.append((f.shown, text(term), str(parameter), float(value), float(error), share))
        return pd.DataFrame(rows, columns=["function", "term", "parameter", "coefficient", "std. error", "inclusion"]).set_index(["function", "term"])

    def plot(self, ax: Any = None) -> Any:
        """Each function along the solution, as the network has it and as its formula. Returns the axes."""
        from ..figure import axes

        ax = axes(ax)
        for f in self.functions:
            (line,) = ax.plot(f.times, f.values, lw=3, alpha=0.4, label=f"{f.shown}, network")
            ax.plot(f.times, f.fitted, "--", color=line.get_color(), label=str(f))
        ax.set_xlabel("t")
        ax.margins(y=0.05 + 0.15 * len(self.functions))
        ax.legend(frameon=False, loc="upper right")
        return ax

    def __repr__(self) -> str:
        width = max(len(str(f)) for f in self.functions)
        return "\n".join(f"{f!s:<{width}}   R2 {f.score:.4f}" for f in self.functions)

    def latex(self) -> str:
        """The formulas as a LaTeX `aligned` block."""
        rows = [f"{latex(f.function)} &= {latex(f.formula)}" for f in self.functions]
        return "\\begin{aligned}\n" + " \\\\\n".join(rows) + "\n\\end{aligned}"

    def _repr_latex_(self) -> str:
        return f"$\\displaystyle {self.latex()}$"


def _bracketed(term: sp.Expr) -> str:
    return f"({text(term)})" if term.is_Add else text(term)
