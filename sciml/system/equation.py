"""One equation: two sides and the line it was written on."""

import dataclasses
from typing import Any

import numpy as np
import sympy as sp

from ..errors import ModelError, at, caller
from .display import text


@dataclasses.dataclass(frozen=True, eq=False)
class Equation:
    """`lhs = rhs`. Unlike `sympy.Eq` it never collapses to True or False.

    `of` is the unknown that the equation determines where a pass has left it implicit.
    """

    lhs: sp.Expr
    rhs: sp.Expr
    where: str = ""
    of: Any = None

    @property
    def residual(self) -> sp.Expr:
        return self.lhs - self.rhs

    def map(self, change: Any) -> "Equation":
        """The equation with `change` applied to both sides; itself if nothing changed."""
        lhs, rhs = change(self.lhs), change(self.rhs)
        return self if lhs is self.lhs and rhs is self.rhs else Equation(lhs, rhs, self.where, self.of)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Equation) and self.lhs == other.lhs and self.rhs == other.rhs

    def __hash__(self) -> int:
        return hash((self.lhs, self.rhs))

    def __str__(self) -> str:
        return f"{text(self.lhs)} = {text(self.rhs)}"

    __repr__ = __str__

    @property
    def cited(self) -> str:
        """The equation and its line, for error messages."""
        return f"`{self}`{at(self.where)}"


def eq(lhs: Any, rhs: Any) -> Equation:
    """An equation `lhs = rhs`.

    >>> import sciml as sci
    >>> x = sci.variables("x", initial=1.0)
    >>> sci.eq(x.diff(sci.t), -x)
    x' = -x
    """
    return Equation(_side(lhs), _side(rhs), caller())


def _side(side: Any) -> sp.Expr:
    if isinstance(side, sp.Expr):
        return side
    if isinstance(side, np.ndarray | list | tuple):
        raise ModelError(
            "A side of this equation is an array. Declare an array-valued symbol instead, for example "
            'N = sci.constants("N", array), and write products as sci.dot(N, z).'
        )
    if isinstance(side, str):
        raise ModelError(f"A side of this equation is the text {side!r}. Write the formula itself, without quotes.")
    if isinstance(side, bool | sp.logic.boolalg.Boolean):
        raise ModelError(f"A side of this equation is the condition {side}. Write sp.Piecewise((value, condition), (other, True)).")
    try:
        return sp.sympify(side, strict=True)
    except sp.SympifyError:
        raise ModelError(f"A side of this equation is {side!r}, which is not mathematics. Write a SymPy expression or a number.") from None


def as_equation(given: Any) -> list[Equation]:
    """What a user may write for equations: `sci.eq`, `sympy.Eq`, a pair, a dict from left to right side."""
    if isinstance(given, Equation):
        return [given]
    if isinstance(given, sp.Equality):
        return [Equation(given.lhs, given.rhs, caller())]
    if given is True or given is False or isinstance(given, sp.logic.boolalg.BooleanAtom):
        raise ModelError(f"An equation has become {given}: sympy.Eq (or ==) compares and decides at once. Write sci.eq(left, right).")
    if isinstance(given, dict):
        return [Equation(_side(lhs), _side(rhs), caller()) for lhs, rhs in given.items()]
    if isinstance(given, tuple) and len(given) == 2:
        return [Equation(_side(given[0]), _side(given[1]), caller())]
    raise ModelError(f"{given!r} is not an equation. Write sci.eq(left, right).")
