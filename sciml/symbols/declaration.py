"""What a name stands for: the content of a declaration, and its identity.

Two declarations are the same when their content is, whatever object, line or process they came from. The
digest of the content is part of the SymPy symbol, so SymPy's caches can never return a stale value for a
name that was declared again with another one, and a symbol survives pickling.
"""

import dataclasses
import functools
import hashlib
import re
from collections.abc import Iterator
from types import CodeType
from typing import Any

import jax
import numpy as np
import sympy as sp


@dataclasses.dataclass(frozen=True, eq=False)
class Declaration:
    """Everything that a user said of one name.

    `kind` is one of unknown, field, parameter, constant, noise, coordinate, data, table, neural, function.
    `value` is a number, an array, a SymPy expression of other names, or None. `payload` holds what belongs
    to one kind alone (the times of data, the module of a neural function). `where` is not part of the identity.
    What a user gives is typed `Any`, so that it reaches the check that explains what is wrong with it.
    """

    kind: str
    name: str
    value: Any = None
    guess: Any = None
    unit: Any = None
    nominal: float | None = None
    bounds: Any = None
    prior: Any = None
    scale: str | None = None
    description: str = ""
    shape: tuple[int, ...] = ()
    discrete: bool = False
    over: tuple[sp.Symbol, ...] = ()
    payload: Any = None
    where: str = ""

    @functools.cached_property
    def digest(self) -> str:
        """Content hash: equal for equal content, in every process."""
        fields = (f.name for f in dataclasses.fields(self) if f.name != "where")
        text = repr([(name, content(getattr(self, name))) for name in fields])
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Declaration) and self.digest == other.digest

    def __hash__(self) -> int:
        return hash(self.digest)

    def __repr__(self) -> str:
        return f"<{self.kind} {self.name}>"

    def renamed(self, name: str) -> "Declaration":
        return dataclasses.replace(self, name=name)


def content(value: Any) -> Any:
    """A printable form of a value (expression, number, array, pytree ...) that is equal for equal content."""
    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, float | np.floating):
        return float(value).hex()
    if isinstance(value, sp.Basic):
        return expression_content(value)
    if hasattr(value, "_content"):
        return content(value._content)
    if isinstance(value, tuple | list):
        return [content(v) for v in value]
    if isinstance(value, dict):
        return [(str(k), content(value[k])) for k in sorted(value, key=str)]
    if isinstance(value, np.ndarray | jax.Array):
        array = np.asarray(value)
        return (str(array.dtype), array.shape, hashlib.sha256(array.tobytes()).hexdigest())
    if callable(value) and hasattr(value, "__qualname__"):
        return _function_content(value)
    leaves, tree = jax.tree_util.tree_flatten(value)
    if len(leaves) == 1 and leaves[0] is value:
        return _anonymous(repr(value))
    return (_anonymous(str(tree)), [content(leaf) for leaf in leaves])


def _function_content(function: Any, seen: frozenset[int] = frozenset()) -> Any:
    """A function is known by its name, its code, and the values that it has caught: defaults, closure, the object it is bound to."""
    name = (getattr(function, "__module__", ""), function.__qualname__)
    code = getattr(function, "__code__", None)
    if code is None or id(function) in seen:
        return name
    seen |= {id(function)}
    cells = [c.cell_contents for c in getattr(function, "__closure__", None) or ()]
    caught = [*cells, *(getattr(function, "__defaults__", None) or ()), *(getattr(function, "__kwdefaults__", None) or {}).values()]
    caught += [function.__self__] if hasattr(function, "__self__") else []
    values = [_function_content(v, seen) if hasattr(v, "__code__") else content(v) for v in caught]
    return (*name, _code_content(code), values)


def _code_content(code: CodeType) -> Any:
    constants = [_code_content(c) if isinstance(c, CodeType) else repr(c) for c in code.co_consts]
    return (code.co_code.hex(), code.co_names, constants)


def _anonymous(text: str) -> str:
    """Text without memory addresses, which differ between processes."""
    return re.sub(r" at 0x[0-9a-f]+", "", text)


def expression_content(expression: sp.Basic) -> str:
    """A digest of an expression: its tree, with the digest and the assumptions of each declared name in it.

    Each distinct part is visited once, so that expressions with shared parts cost what they hold and not what they
    would print. The name of an index that a sum runs over does not count.
    """
    nodes = list(distinct_nodes(expression))
    if any(isinstance(n, sp.Sum) for n in nodes):
        renamed: dict[sp.Basic, tuple[sp.Basic, int]] = {}
        for node in reversed(nodes):
            _with_plain_indices(node, renamed)
        expression = renamed[expression][0]
        nodes = list(distinct_nodes(expression))
    known: dict[sp.Basic, str] = {}
    for node in reversed(nodes):
        _node_content(node, known)
    return _node_content(expression, known)


def _with_plain_indices(node: sp.Basic, known: dict[sp.Basic, tuple[sp.Basic, int]]) -> tuple[sp.Basic, int]:
    """The node with the indices of its sums numbered, and how many sums stand inside each other in it."""
    if node not in known:
        parts = [_with_plain_indices(a, known) for a in node.args]
        level = max((n for _, n in parts), default=0)
        new = node.func(*(a for a, _ in parts)) if any(a is not b for (a, _), b in zip(parts, node.args, strict=True)) else node
        if isinstance(node, sp.Sum):
            level += 1
            plain = {limit[0]: sp.Symbol(f"[{level}.{k}]", integer=True) for k, limit in enumerate(node.limits)}
            new = sp.Sum(parts[0][0].xreplace(plain), *((plain[limit[0]], *limit[1:]) for limit in node.limits))
        known[node] = (new, level)
    return known[node]


def _node_content(node: sp.Basic, known: dict[sp.Basic, str]) -> str:
    if node not in known:
        declared = declaration_of(node)
        head: tuple = (type(node).__name__,)
        if declared is not None:
            head = (declared.kind, declared.name, declared.digest, sorted(getattr(type(node), "_given", {}).items()))
        parts = [_node_content(a, known) for a in node.args] if node.args else [_atom(node)]
        known[node] = hashlib.sha256(repr((head, parts)).encode()).hexdigest()[:24]
    return known[node]


def _atom(node: sp.Basic) -> str:
    # Hexadecimal: Python refuses to write very long integers in decimal.
    return hex(int(node)) if isinstance(node, sp.Integer) else sp.srepr(node)


def distinct_nodes(*expressions: sp.Basic) -> Iterator[Any]:
    """Every distinct part of some expressions, once each, a whole before its parts."""
    seen: set[sp.Basic] = set()
    stack = list(reversed(expressions))
    while stack:
        node = stack.pop()
        if node not in seen:
            seen.add(node)
            yield node
            stack.extend(reversed(node.args))


def declaration_of(expression: Any) -> Any:
    """The `Declaration` behind a symbol or an applied function, None for anything else."""
    found = getattr(expression, "declaration", None)
    return found if isinstance(found, Declaration) else None
