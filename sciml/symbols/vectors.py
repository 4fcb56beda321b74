"""What SymPy has to know of components with a symbolic index, `X[i]`.

SymPy takes what it differentiates by for symbols that are independent of each other and of all indices. Three of its
methods are taught otherwise here; without a component of a vector coordinate they do what they always did.

| method                           | without                                            | with                                    |
|----------------------------------|----------------------------------------------------|-----------------------------------------|
| `Derivative.free_symbols`        | du/dX_i does not depend on i and leaves a sum over i | it does                                 |
| `Derivative`'s order of variables | d/dX_i d/dX_j and d/dX_j d/dX_i differ             | one order                               |
| `Sum`'s derivative                | d/dX_i of a sum over i takes both i for one        | the index of the sum gets another name  |
"""

from typing import Any

import sympy as sp

from .calculus import unused_index
from .heads import vector_of

_free_symbols = sp.Derivative.free_symbols
_sort = sp.Derivative._sort_variable_count
_of_sum = sp.Sum._eval_derivative


def _with_indices(self: Any) -> set[sp.Basic]:
    found: set[sp.Basic] = _free_symbols.fget(self)  # type: ignore[attr-defined]
    for variable, _ in self.variable_count:
        if vector_of(variable) is not None:
            found = found | variable.free_symbols
    return found


def _sorted(cls: Any, variable_count: Any) -> list[Any]:
    pairs = list(variable_count)
    components = sorted({v for v, _ in pairs if vector_of(v) is not None}, key=sp.default_sort_key)
    if not components:
        return _sort(pairs)
    # Named so that they sort after the symbols that stand there already, in an order of their own.
    stand_in = {c: sp.Symbol(f"~{k:06d}") for k, c in enumerate(components)}
    back = {s: c for c, s in stand_in.items()}
    return [sp.Tuple(back.get(v, v), n) for v, n in _sort([(stand_in.get(v, v), n) for v, n in pairs])]


def _derivative_of_sum(self: Any, x: Any) -> Any:
    if vector_of(x) is None:
        return _of_sum(self, x)
    clashing = [i for i in self.bound_symbols if i in x.free_symbols]
    renamed = self
    for i in clashing:
        other = unused_index(sp.Tuple(renamed, x))
        limits = [(sp.Tuple(other, *limit[1:]) if limit[0] == i else limit) for limit in renamed.limits]
        renamed = sp.Sum(renamed.function.xreplace({i: other}), *limits)
    return _of_sum(renamed, x)


sp.Derivative.free_symbols = property(_with_indices)
sp.Derivative._sort_variable_count = classmethod(_sorted)
sp.Sum._eval_derivative = _derivative_of_sum
