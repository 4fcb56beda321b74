"""Lists of entries to expressions and declarations. Every entry is checked; nothing in it is evaluated."""

from collections.abc import Callable
from typing import Any

import sympy as sp

from ..symbols import Coordinate, Declaration, Head, Quantity, t
from .exact import Unreadable, field, only, read_array, read_float, read_integer, read_shape, shown, typed
from .heads import ATOMS, construct, read_atom
from .networks import read_function, read_network
from .write import KEPT

_SYMBOLS = {"parameter": Quantity, "constant": Quantity, "time": Coordinate, "space": Coordinate, "normal": Quantity}
_APPLIED = ("unknown", "field", "parameter", "noise", "data", "table", "neural", "function")


class Reader:
    """Makes the nodes of a file in their order; an index may only point to a node before it, so there are no circles."""

    def __init__(self, content: dict[str, Any], where: str) -> None:
        self._where = where
        self._entries = field(content, "declarations", list, "the content")
        self._declared: dict[int, Declaration] = {}
        self._heads: dict[tuple, Head] = {}
        self._networks = [read_network(n) for n in field(content, "networks", list, "the content")]
        self.nodes: list[sp.Basic] = []
        for entry in field(content, "nodes", list, "the content"):
            self.nodes.append(self._make(entry))

    # -- expressions ------------------------------------------------------------

    def node(self, index: Any) -> sp.Basic:
        """A node that has been made."""
        if type(index) is not int or not 0 <= index < len(self.nodes):
            raise Unreadable(f"the index {shown(index)} does not point to one of the {len(self.nodes)} nodes before it")
        return self.nodes[index]

    def expression(self, index: Any) -> sp.Expr:
        """A node that is an expression, not a condition or a part of a node."""
        node = self.node(index)
        if not isinstance(node, sp.Expr):
            raise Unreadable(f"the node {index}, {shown(node)}, is not an expression")
        return node

    def _make(self, entry: Any) -> sp.Basic:
        if type(entry) is not list or not entry or type(entry[0]) is not str:
            raise Unreadable(f"the node {shown(entry)} does not begin with its kind")
        kind, *parts = entry
        if kind in ATOMS:
            return read_atom(entry)
        if kind in ("symbol", "apply"):
            return self._make_declared(kind, parts)
        return construct(kind, tuple(self.node(i) for i in parts))

    def _make_declared(self, kind: str, parts: list[Any]) -> sp.Basic:
        if len(parts) < 2 or (kind == "symbol" and len(parts) > 2):
            raise Unreadable(f"the {kind} node {shown(parts)} has the wrong number of parts")
        index, assumptions, *args = parts
        d = self._declaration(index)
        typed(assumptions, dict, "the assumptions of a symbol")
        for value in assumptions.values():
            if value not in (True, False, None) or type(value) is int:
                raise Unreadable(f"the assumption {shown(value)} of '{d.name}' is not true, false or null")
        if kind == "symbol":
            return self._symbol(d, assumptions)
        if d.kind not in _APPLIED:
            raise Unreadable(f"'{d.name}' is a {d.kind} and takes no arguments")
        key = (index, *assumptions.items())
        if key not in self._heads:
            self._heads[key] = Head(d, **assumptions)
        return self._heads[key](*[self.expression(i) for i in args], evaluate=False)

    def _symbol(self, d: Declaration, assumptions: dict[str, Any]) -> sp.Basic:
        if d.kind not in _SYMBOLS:
            raise Unreadable(f"'{d.name}' is a {d.kind} and needs arguments")
        return t if d == t.declaration else _SYMBOLS[d.kind](d, **assumptions)

    # -- declarations -------------------------------------------------------------

    def _declaration(self, index: Any) -> Declaration:
        """A declaration, made when the first node asks for it: by then the nodes in its value have been made."""
        if type(index) is not int or not 0 <= index < len(self._entries):
            raise Unreadable(f"the index {shown(index)} does not point to one of the {len(self._entries)} declarations")
        if index not in self._declared:
            self._declared[index] = self._read_declaration(self._entries[index])
        return self._declared[index]

    def _read_declaration(self, entry: Any) -> Declaration:
        name = field(entry, "name", str, "a declaration")
        what = f"the declaration of '{name}'"
        only(entry, [f.name for f in KEPT], what)
        if field(entry, "kind", str, what) not in (*_SYMBOLS, *_APPLIED):
            raise Unreadable(f"{what} is of the unknown kind {shown(entry['kind'])}")
        fields = {key: self.value(value) for key, value in entry.items()}
        for key, (fits, word) in _FITS.items():
            if key in fields and not fits(fields[key]):
                raise Unreadable(f"'{key}' of {what} is {shown(fields[key])} and not {word}")
        read_shape(fields.get("shape", ()), what)
        return Declaration(**fields, where=self._where)

    def value(self, entry: Any) -> Any:
        """The value of an entry of `Writer.value`."""
        if entry is None or type(entry) in (bool, str):
            return entry
        if type(entry) is dict and "array" in entry:
            return read_array(entry)
        if type(entry) is not dict or len(entry) != 1 or next(iter(entry)) not in self._VALUES:
            raise Unreadable(f"{shown(entry)} is not a value")
        [(tag, content)] = entry.items()
        return self._VALUES[tag](self, content)

    def _many(self, content: Any) -> list[Any]:
        return [self.value(v) for v in typed(content, list, "a list of values")]

    def _dict(self, content: Any) -> dict[str, Any]:
        made: dict[str, Any] = {}
        for pair in typed(content, list, "a dict"):
            if type(pair) is not list or len(pair) != 2 or type(pair[0]) is not str or pair[0] in made:
                raise Unreadable(f"{shown(pair)} is not a new key with its value")
            made[pair[0]] = self.value(pair[1])
        return made

    def _network(self, index: Any) -> Any:
        if type(index) is not int or not 0 <= index < len(self._networks):
            raise Unreadable(f"the index {shown(index)} does not point to one of the {len(self._networks)} networks")
        return self._networks[index]

    _VALUES: dict[str, Callable[["Reader", Any], Any]] = {
        "int": lambda self, content: read_integer(content),
        "float": lambda self, content: read_float(content),
        "expression": lambda self, content: self.node(content),
        "tuple": lambda self, content: tuple(self._many(content)),
        "list": lambda self, content: self._many(content),
        "dict": lambda self, content: self._dict(content),
        "network": lambda self, content: self._network(content),
        "function": lambda self, content: read_function(content),
    }


def _is_text(value: Any) -> bool:
    return type(value) is str


_FITS: dict[str, tuple[Callable[[Any], bool], str]] = {
    "unit": (lambda v: v is None or _is_text(v), "text"),
    "scale": (lambda v: v is None or _is_text(v), "text"),
    "description": (_is_text, "text"),
    "discrete": (lambda v: type(v) is bool, "true or false"),
    "shape": (lambda v: type(v) is tuple, "a tuple of whole numbers"),
    "over": (lambda v: type(v) is tuple and all(isinstance(c, Coordinate) for c in v), "a tuple of coordinates"),
    "bounds": (lambda v: v is None or (type(v) is tuple and len(v) == 2), "a pair (low, high)"),
}
"""What the fields of a declaration can be; the others hold any value."""
