"""What a name stands for: the content of a declaration, and its identity.

Two declarations are the same when their content is, whatever object, line or process they came from. The
digest of the content is part of the SymPy symbol, so SymPy's caches can never return a stale value for a
name that was declared again with another one, and a symbol survives pickling.
"""

import dataclasses
import functools
import hashlib
import re
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


def _function_content(function: Any) -> Any:
    """A named function is known by its name; a lambda, which has none, by its code too."""
    code = getattr(function, "__code__", None)
    body = (code.co_code.hex(), _anonymous(repr(code.co_consts))) if code is not None else ""
    return (function.__module__, function.__qualname__, body)


def _anonymous(text: str) -> str:
    """Text without memory addresses, which differ between processes."""
    return re.sub(r" at 0x[0-9a-f]+", "", text)


def expression_content(expression: sp.Basic) -> Any:
    """The tree of an expression, with the digest of each declared name in it."""
    declared = declaration_of(expression)
    if declared is not None:
        head = (declared.kind, declared.name, declared.digest)
    else:
        head = ("", type(expression).__name__, "")
    if not expression.args:
        return (head, sp.srepr(expression))
    return (head, [expression_content(a) for a in expression.args])


def declaration_of(expression: Any) -> Any:
    """The `Declaration` behind a symbol or an applied function, None for anything else."""
    found = getattr(expression, "declaration", None)
    return found if isinstance(found, Declaration) else None
