"""From expressions to names: what is declared in them, under which name, and how components are renamed."""

from typing import Any

import sympy as sp
from sympy.core.function import AppliedUndef

from ..errors import ModelError, at
from ..symbols import Applied, Component, Declaration, Head, Quantity, Side, declaration_of, t
from .display import text


class Names:
    """The declared symbols of a System by name, in order of appearance. Grows as expressions are shown to it."""

    def __init__(self) -> None:
        self.symbols: dict[str, sp.Expr] = {}
        self._seen: set[sp.Basic] = set()
        self._indices: set[sp.Basic] = set()

    def read(self, expression: sp.Basic) -> None:
        """Enters every declared name in the expression and, through declared values, the names behind it."""
        stack = [expression]
        while stack:
            node = stack.pop()
            if node in self._seen:
                continue
            self._seen.add(node)
            found = declaration_of(node)
            if isinstance(node, sp.Sum):
                self._indices.update(node.bound_symbols)
            elif node in self._indices:
                continue
            if found is not None:
                self._enter(found, node)
                if isinstance(found.value, sp.Basic):
                    stack.append(found.value)
            elif isinstance(node, sp.Symbol | AppliedUndef):
                _refuse_undeclared(node, expression)
            stack.extend(reversed(node.args))

    def _enter(self, found: Declaration, node: Any) -> None:
        if found.kind == "time":
            return
        known = self.symbols.get(found.name)
        if known is None:
            self.symbols[found.name] = node
            return
        other = declaration_of(known)
        both_outputs = found.kind == "neural" and other.kind == "neural" and found.value is other.value
        if other != found and not both_outputs:
            raise ModelError(
                f"'{found.name}' is declared twice with different content: a {other.kind}{at(other.where)} and a "
                f"{found.kind}{at(found.where)}. Declare it once and use that symbol everywhere, or give one of them another name."
            )

    def of_kind(self, *kinds: str) -> dict[str, Any]:
        return {n: s for n, s in self.symbols.items() if declaration_of(s).kind in kinds}


def _refuse_undeclared(node: Any, expression: sp.Basic) -> None:
    name = node.name if isinstance(node, sp.Symbol) else type(node).__name__
    shown = text(expression)
    shown = shown if len(shown) < 80 else shown[:77] + "..."
    if isinstance(node, sp.Symbol) and name == t.name:
        raise ModelError(f"`{shown}` uses Symbol('t'), which is not sci.t: it is another symbol that prints the same. Write t = sci.t.")
    if isinstance(node, sp.Symbol) and any(node in c.free_symbols for c in expression.atoms(Component)):
        raise ModelError(f"The index '{name}' in `{shown}` belongs to no sum. Write sp.Sum(..., ({name}, 0, X.dim - 1)), or a number for it.")
    if isinstance(node, sp.Symbol):
        cure = f'{name} = sci.parameters("{name}", 1.0)'
        raise ModelError(f"'{name}' in `{shown}` is not declared: it is a bare SymPy symbol. Write {cure} (or sci.constants).")
    cure = f'{name} = sci.variables("{name}", initial=1.0)'
    raise ModelError(f"'{name}' in `{shown}` is not declared: it is a bare SymPy function. Write {cure}.")


def rename(expression: sp.Basic, prefix: str) -> Any:
    """The expression with every declared name but the coordinates prefixed: `R` becomes `motor.R`."""
    memo: dict[sp.Basic, sp.Basic] = {}

    def visit(node: sp.Basic) -> sp.Basic:
        if node in memo:
            return memo[node]
        d = declaration_of(node)
        args = [visit(a) for a in node.args]
        if d is not None and d.kind not in ("time", "space", "function", "normal"):
            value = visit(d.value) if isinstance(d.value, sp.Basic) else d.value
            new = _renamed(d, prefix, value)
            out = Head(new, **type(node)._given)(*args) if isinstance(node, Applied) else Quantity(new, **node._assumptions_orig)
        else:
            out = node.func(*args) if args and tuple(args) != node.args else node
        memo[node] = out
        return out

    return visit(expression)


def _renamed(d: Declaration, prefix: str, value: Any) -> Declaration:
    import dataclasses

    return dataclasses.replace(d, name=f"{prefix}.{d.name}", value=value)


def name_of(key: Any) -> str:
    """The name that a key stands for: text as it is, `x`, `x.diff(t)` ("x'"), a parameter."""
    if isinstance(key, str):
        return key
    if isinstance(key, Side):
        return key.name
    if isinstance(key, sp.Derivative) and isinstance(key.expr, Applied) and all(v == t for v in key.variables):
        return name_of(key.expr) + "'" * int(key.derivative_count)
    d = declaration_of(key)
    if d is not None:
        return d.name
    raise ModelError(f'{key!r} is not a name: use the text, such as "x", or a declared symbol.')
