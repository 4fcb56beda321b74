"""Expressions as the user thinks of them: `x'` for dx/dt, `x` for x(t), `u_xx` for a derivative in space; as text and as LaTeX."""

from typing import Any

import sympy as sp
from sympy.printing.latex import LatexPrinter
from sympy.printing.str import StrPrinter

from ..symbols import Applied, Coordinate, declaration_of, t, vector_of


def _order_in_time(node: sp.Derivative) -> int | None:
    """n for the n-th time derivative of an unknown, None for any other derivative."""
    (variable, order), *more = node.variable_count
    d = declaration_of(variable)
    plain = not more and d is not None and d.kind == "time" and isinstance(node.expr, Applied)
    return int(order) if plain and order.is_Integer else None


def _bare(node: Any) -> bool:
    """Whether a declared function is written by its name alone: its arguments are those it was declared with."""
    d = declaration_of(node)
    return d is not None and (d.kind in ("unknown", "noise", "data") or (bool(d.over) and tuple(node.args) == tuple(d.over)))


def _numbered(node: Any) -> str | None:
    """`g_2` for the second function of a network that gives several; None for any other."""
    d = declaration_of(node)
    several = d is not None and d.kind == "neural" and d.payload["outputs"] > 1
    return f"{d.name}_{d.payload['index'] + 1}" if several else None


class _Text(StrPrinter):
    def _print_Function(self, node: Any) -> str:
        numbered = _numbered(node)
        if numbered is not None:
            return f"{numbered}({self.stringify(node.args, ', ')})"
        return declaration_of(node).name if _bare(node) else super()._print_Function(node)

    def _print_Derivative(self, node: Any) -> str:
        """x' for a rate, u_xy for derivatives in space, u_xx' for both."""
        counts = node.variable_count
        if not isinstance(node.expr, Applied) or not all((isinstance(v, Coordinate) or vector_of(v)) and n.is_Integer for v, n in counts):
            return super()._print_Derivative(node)
        in_space = "".join((self._print(v)) * int(n) for v, n in counts if v != t)
        in_time = sum(int(n) for v, n in counts if v == t)
        return self._print(node.expr) + (f"_{in_space}" if in_space else "") + "'" * in_time


class _Latex(LatexPrinter):
    def _print_Function(self, node: Any, exp: Any = None) -> str:
        numbered = _numbered(node)
        if not _bare(node) and numbered is None:
            return super()._print_Function(node, exp)
        shown = latex_name(declaration_of(node).name if numbered is None else numbered)
        if numbered is not None:
            shown += rf"{{\left({','.join(map(self._print, node.args))} \right)}}"
        return shown if exp is None else f"{{{shown}}}^{{{exp}}}"

    def _print_Symbol(self, node: Any, **options: Any) -> str:
        return latex_name(node.name) if declaration_of(node) is not None else super()._print_Symbol(node, **options)

    def _print_Derivative(self, node: Any) -> str:
        order = _order_in_time(node)
        if not order:
            return super()._print_Derivative(node)
        return rf"\frac{{d{'' if order == 1 else f'^{order}'} {self._print(node.expr)}}}{{d t{'' if order == 1 else f'^{order}'}}}"


def latex_name(name: str) -> str:
    """`theta'` -> \\theta', `motor.R` -> R with the component as an upper index."""
    stem = name.rstrip("'")
    primes = name[len(stem) :]
    component, _, last = stem.rpartition(".")
    shown = sp.latex(sp.Symbol(last))
    upper = rf"^{{\mathrm{{{component}}}}}" if component else ""
    return shown + upper + primes


def text(expression: Any) -> str:
    """An expression as a line of text: `x'` for dx/dt, `x` for x(t)."""
    return _Text().doprint(expression)


def latex(expression: Any) -> str:
    """An expression as LaTeX, in the same short form."""
    return _Latex().doprint(expression)
