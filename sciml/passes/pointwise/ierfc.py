"""The integral of erfc as a function with short derivatives: i'(z) = -erfc(z), i''(z) = 2/sqrt(pi) exp(-z^2).

Its formula, exp(-z^2)/sqrt(pi) - z erfc(z), has derivatives whose terms cancel: they lose digits and overflow in single precision.
"""

from typing import Any

import sympy as sp


class Ierfc(sp.Function):
    """The integral of erfc from z to infinity. `doit` writes its formula."""

    nargs = 1

    def fdiff(self, argindex: int = 1) -> sp.Expr:
        """By its argument."""
        return -sp.erfc(self.args[0])

    def doit(self, **hints: Any) -> sp.Expr:
        """The formula."""
        z = self.args[0]
        return sp.exp(-(z**2)) / sp.sqrt(sp.pi) - z * sp.erfc(z)

    def _eval_evalf(self, prec: int) -> Any:
        return self.doit()._eval_evalf(prec)


def by_formula(e: sp.Expr) -> sp.Expr:
    """An expression with the formula in place of each such function."""
    found = e.atoms(Ierfc)
    return e.xreplace({f: f.doit() for f in found}) if found else e
