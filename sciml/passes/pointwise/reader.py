"""Equations as expressions in placeholders: every derivative carried out, every field and coordinate a symbol.

D(k(x) u_x, x)      k' u_x + k u_xx       by the chain rule; a declared formula k(x) = ... goes in place of k(x)
at(f, x.left)       f                     in a condition at x.left
u_xx, x             symbols               an operator, a coordinate
"""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import sympy as sp

from ...errors import CompileError, ModelError
from ...symbols import Applied, At, Coordinate, D, Declaration, declaration_of, distinct_nodes, t
from ...system import System, text
from ..discretize.arrays import as_at
from ..indexed import lowered, resolved
from .form import Orders, Partial, placeholder
from .ierfc import by_formula
from .placeholders import Placeholders
from .vectors import Unknowns

Fixed = dict[Coordinate, float]
"""Coordinates that have one value where an expression is taken."""


def _outermost(e: sp.Basic, wanted: Callable[[Any], bool]) -> Iterator[Any]:
    """The parts of an expression that are wanted and lie in no other such part."""
    stack, seen = [e], set[sp.Basic]()
    while stack:
        node = stack.pop()
        if node in seen:
            continue
        seen.add(node)
        if wanted(node):
            yield node
        else:
            stack.extend(reversed(node.args))


class Reader:
    """Reads expressions of a System's fields.

    Args:
        system: with real fields, in one set of units.
        coordinates: in the order of a point.
        fields: names of fields and of unknown coefficients, which networks give.
        placeholders: where operators are collected.
        ansatz: for unknowns with conditions built in (g, a): they stand for g + a v, where the field itself stands for v.
    """

    def __init__(
        self,
        system: System,
        coordinates: tuple[Coordinate, ...],
        fields: tuple[str, ...],
        placeholders: Placeholders,
        ansatz: Mapping[str, tuple[sp.Expr, sp.Expr]] | None = None,
    ):
        self.system, self.coordinates, self.fields, self.placeholders = system, coordinates, fields, placeholders
        self.ansatz = ansatz or {}
        self._memo: dict[Any, Any] = {}

    def read(self, expression: sp.Expr, fixed: Fixed | None = None, cited: str = "") -> sp.Expr:
        """An expression in placeholders. `fixed`: where it is taken; `cited`: how messages speak of it."""
        cited = cited or f"`{text(expression)}`"
        written = self.written_out(expression, fixed or {}, cited)
        meant = self.with_ansatz(resolved(written, Unknowns(self, cited), cited))
        return self.placed(lowered(by_formula(meant)), cited)

    # -- derivatives carried out ----------------------------------------------------------

    def written_out(self, e: Any, fixed: Fixed, cited: str) -> Any:
        """The expression with `D`, `at` and coefficients written out; derivatives stand on fields alone."""
        key = (e, tuple(fixed.items()))
        if key not in self._memo:
            self._memo[key] = self._written_out(e, fixed, cited)
        return self._memo[key]

    def _written_out(self, e: Any, fixed: Fixed, cited: str) -> Any:
        d = declaration_of(e)
        if d is not None and isinstance(e, Applied):
            return self._function(e, d, fixed, cited)
        if isinstance(e, sp.Integral):
            raise CompileError(
                f"{cited} holds the integral `{text(e)}`, and a residual at a point does not see the whole domain. Declare a field for it, "
                f"w, with the equation sci.eq(w.diff({e.limits[0][0]}), {text(e.function)}), or use sci.discretize(system, methods)."
            )
        if isinstance(e, At):
            return self._at(e, fixed, cited)
        if isinstance(e, sp.Subs):
            return self.written_out(as_at(e), fixed, cited)
        if isinstance(e, sp.Derivative):
            return self._differentiated(self.written_out(e.expr, fixed, cited), e.variable_count)
        if isinstance(e, D):
            return self._differentiated(self.written_out(e.args[0], fixed, cited), [(e.args[1], 1)])
        if e.args:
            args = [self.written_out(a, fixed, cited) for a in e.args]
            return e if all(a is b for a, b in zip(args, e.args, strict=True)) else e.func(*args)
        return e

    def _differentiated(self, inner: sp.Expr, by: Any) -> sp.Expr:
        return inner.diff(*((variable, count) for variable, count in by))

    def _function(self, e: Applied, d: Declaration, fixed: Fixed, cited: str) -> sp.Expr:
        if d.kind == "noise":
            raise CompileError(
                f"{cited} holds the white noise '{d.name}', which has no value at a point. Solve such equations on a grid, "
                "sci.discretize(system, methods), or leave the noise out."
            )
        if d.kind == "unknown":
            raise CompileError(
                f"{cited} holds '{d.name}', an unknown of time alone, and a network gives functions of all coordinates. Make it a field, "
                f'{d.name} = sci.fields("{d.name}", sci.t, x), or solve the System on a grid: sci.discretize(system, methods).'
            )
        if d.kind == "field" and tuple(e.args) != tuple(d.over):
            return self.written_out(as_at(e), fixed, cited)
        if d.kind == "parameter" and isinstance(d.value, sp.Basic) and d.name not in self.fields:
            formula = d.value.xreplace(dict(zip(d.over, e.args, strict=True)))
            return self.written_out(formula, fixed, cited)
        args = [self.written_out(a, fixed, cited) for a in e.args]
        return e.func(*args)

    def _at(self, e: At, fixed: Fixed, cited: str) -> sp.Expr:
        of, coordinate, position = e.args
        if coordinate in fixed and abs(fixed[coordinate] - float(position)) <= 1e-12 * max(1.0, abs(float(position))):
            return self.written_out(of, fixed, cited)
        inner = self.written_out(of, fixed, cited)
        if any(getattr(declaration_of(n), "name", "") in self.fields for n in distinct_nodes(inner)):
            raise CompileError(
                f"{cited} takes `{text(of)}` at {coordinate} = {float(position):g}, away from the point where it holds. Residuals of networks "
                "speak of one point each: write it as a condition there, boundary={x.left: ...}, or use sci.discretize(system, methods)."
            )
        return inner.subs(coordinate, position)

    # -- conditions built in ------------------------------------------------------------------

    def with_ansatz(self, e: sp.Expr) -> sp.Expr:
        """Fields and their derivatives by g + a v and its derivatives, by the product rule."""
        found: dict[sp.Basic, sp.Expr] = {}
        for node in _outermost(e, self._has_ansatz):
            u = node.expr if isinstance(node, sp.Derivative) else node
            g, a = self.ansatz[declaration_of(u).name]
            whole = g + a * u
            found[node] = whole.diff(*node.variable_count, simplify=False) if isinstance(node, sp.Derivative) else whole
        return e.xreplace(found) if found else e

    def _has_ansatz(self, node: Any) -> bool:
        of = node.expr if isinstance(node, sp.Derivative) else node
        d = declaration_of(of)
        return d is not None and d.kind == "field" and d.name in self.ansatz

    # -- symbols ---------------------------------------------------------------------------

    def placed(self, e: sp.Expr, cited: str) -> sp.Expr:
        """Operators and coordinates as placeholders."""
        found: dict[sp.Basic, sp.Expr] = {}

        def known(node: Any) -> bool:
            symbol = self._symbol(node, cited)
            if symbol is not None:
                found[node] = symbol
            return symbol is not None

        list(_outermost(e, known))
        return e.xreplace(found) if found else e

    def _symbol(self, node: Any, cited: str) -> sp.Expr | None:
        """The placeholder of a derivative, a field or a coordinate; None for anything else."""
        if isinstance(node, Coordinate):
            return self._coordinate(node, cited)
        d = declaration_of(node)
        if isinstance(node, Applied) and d.name in self.fields and d.kind in ("field", "parameter"):
            if tuple(node.args) != tuple(d.over):
                where = ", ".join(text(a) for a in node.args)
                raise CompileError(f"{cited} takes '{d.name}' at ({where}), away from the point where it holds. Write it as a condition there.")
            return self.placeholders.of(Partial(d.name))
        if isinstance(node, sp.Derivative):
            return self._derivative(node, cited)
        if isinstance(node, sp.Subs):
            raise self._no_chain_rule(node.expr, cited)
        return None

    def _coordinate(self, c: Coordinate, cited: str) -> sp.Expr:
        if c not in self.coordinates:
            what = "the time" if c == t else f"'{c.name}'"
            raise ModelError(f'{cited} depends on {what}, and no field does. Declare the fields over it: sci.fields("u", ..., {c.name}).')
        return placeholder(c.name)

    def _derivative(self, node: sp.Derivative, cited: str) -> sp.Expr:
        of, d = node.expr, declaration_of(node.expr)
        if d is None or not isinstance(of, Applied):
            raise self._no_chain_rule(node, cited)
        if d.name in self.fields and d.kind in ("field", "parameter"):
            return self.placeholders.of(Partial(d.name, self.orders(node)))
        if d.kind == "parameter" and isinstance(d.value, float):
            return sp.S.Zero  # a number everywhere
        if d.kind == "neural" and d.payload["outputs"] == 1 and all(isinstance(a, Coordinate) for a in of.args):
            return self.placeholders.of(Partial(d.name, self.orders(node)))
        raise self._no_chain_rule(node, cited)

    def orders(self, node: sp.Derivative) -> Orders:
        """How often by which coordinate, in the order of a point."""
        count = {v: int(n) for v, n in node.variable_count}
        return tuple((c.name, count[c]) for c in self.coordinates if c in count)

    def _no_chain_rule(self, node: sp.Basic, cited: str) -> CompileError:
        held = [n for n in distinct_nodes(node) if isinstance(n, Applied) and declaration_of(n).name not in self.fields]
        if not held:
            return CompileError(f"{cited} holds `{text(node)}`, a derivative that cannot be carried out. Write it out.")
        d = declaration_of(held[0])
        if d.kind == "parameter":
            cure = f'Give it a formula, sci.parameters("{d.name}", 1 + x**2, over=x), or let a network give it: fields=("{d.name}",).'
        else:
            cure = "Keep it outside the derivative, or write its formula in SymPy."
        return CompileError(f"{cited} differentiates '{text(held[0])}', a {d.kind} without a formula. {cure}")
