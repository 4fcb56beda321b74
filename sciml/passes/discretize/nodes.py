"""Operators inside SymPy expressions: `Node(Static(operator), array, ...)`."""

from typing import Any

import sympy as sp

from ...errors import CompileError
from ...symbols import declaration_of
from .operators import Forward, Operator


class Static(sp.Atom):
    """An operator as an atom of SymPy: equal to one of equal content."""

    is_commutative = True
    operator: Operator

    def __new__(cls, operator: Operator) -> "Static":
        made = super().__new__(cls)
        made.operator = operator
        return made

    def _hashable_content(self) -> tuple:
        return (self.operator.key,)

    def __reduce__(self) -> Any:
        return (Static, (self.operator,))

    def _sympyrepr(self, printer: Any) -> str:
        return f"{type(self.operator).__name__}({self.operator.key})"

    def _sympystr(self, printer: Any) -> str:
        return self.operator.shown

    def _latex(self, printer: Any, **_: Any) -> str:
        return rf"\mathrm{{{self.operator.shown.replace('_', '.')}}}"


class Node(sp.Function):
    """One operator applied to arrays. To SymPy it looks like a number; elementwise algebra around it is plain algebra."""

    is_commutative = True

    @classmethod
    def eval(cls, static: Any, *operands: Any) -> sp.Expr | None:
        if not isinstance(static, Static):
            return None
        vanishes = static.operator.linear and operands and all(o == 0 for o in operands)
        return sp.S.Zero if vanishes else None

    @property
    def operator(self) -> Operator:
        return self.args[0].operator

    @property
    def operands(self) -> tuple[sp.Expr, ...]:
        return self.args[1:]

    def _eval_derivative(self, symbol: Any) -> sp.Expr:
        if not self.operands or not any(o.has(symbol) for o in self.operands):
            return sp.S.Zero
        if not self.operator.linear:
            raise CompileError(f"`{self}` has no derivative by {symbol} in closed form: {type(self.operator).__name__} is not linear.")
        return Node(self.args[0], *(o.diff(symbol) for o in self.operands))

    def _sympystr(self, printer: Any) -> str:
        return f"{self.operator.shown}({', '.join(map(printer._print, self.operands))})" if self.operands else self.operator.shown

    def _latex(self, printer: Any, exp: str | None = None) -> str:
        name = printer._print(self.args[0])
        text = rf"{name}\left({', '.join(map(printer._print, self.operands))}\right)" if self.operands else name
        return text if exp is None else rf"{{{text}}}^{{{exp}}}"


def node(operator: Operator, *operands: sp.Expr) -> sp.Expr:
    """The operator applied to arrays; 0 where a linear one meets zeros only.

    Scalar factors of one array are taken out, and a transform of what was transformed back cancels.
    """
    scalar: sp.Expr = sp.S.One
    if operator.linear and len(operands) == 1 and isinstance(operands[0], sp.Mul):
        scalars = [f for f in operands[0].args if _is_scalar(f)]
        scalar, operands = sp.Mul(*scalars), (sp.Mul(*(f for f in operands[0].args if f not in scalars)),)
    if isinstance(operator, Forward) and isinstance(operands[0], Node) and operator.undoes(operands[0].operator):
        return scalar * operands[0].operands[0]
    return scalar * Node(Static(operator), *operands)


def _is_scalar(f: sp.Expr) -> bool:
    """A real number, or a power of a parameter. Not the imaginary unit: i k times coefficients is a real field, k times them is not."""
    base = f.base if isinstance(f, sp.Pow) and f.exp.is_number else f
    d = declaration_of(base)
    return bool(base.is_number and base.is_real) or (
        d is not None and d.kind in ("parameter", "constant") and not d.shape and not d.over and base.is_Symbol
    )
