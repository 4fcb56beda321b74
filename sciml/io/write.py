"""Expressions and declarations to lists of entries. Each distinct sub-expression, declaration and network stands once."""

import dataclasses
import json
from typing import Any

import jax
import numpy as np
import sympy as sp

from ..errors import FileError, at
from ..symbols import Applied, Coordinate, Declaration, Quantity, declaration_of
from .exact import known_array, shown, write_array, write_float, write_integer
from .heads import head_name, write_atom
from .networks import Unwritable, function_name, write_network

KEPT = tuple(f for f in dataclasses.fields(Declaration) if f.name != "where")
"""The fields of a declaration that a file holds: all but the line of the program it was written on."""


class Writer:
    """Takes expressions and values, and gives for each the entry that stands for it.

    `nodes` holds the sub-expressions, arguments before what is made of them, so that an index always points
    back. The walk keeps its own stack: no expression is too deep for it.
    """

    def __init__(self) -> None:
        self.nodes: list[list[Any]] = []
        self.declarations: list[dict[str, Any]] = []
        self.networks: list[dict[str, Any]] = []
        self._of_object: dict[int, tuple[sp.Basic, int]] = {}  # by id, with the object so that the id stays its own
        self._of_entry: dict[str, int] = {}
        self._of_declaration: dict[str, int] = {}
        self._of_network: dict[str, int] = {}

    # -- expressions ------------------------------------------------------------

    def node(self, expression: sp.Basic) -> int:
        """The index of an expression among the nodes."""
        stack = [expression]
        while stack:
            node = stack[-1]
            if id(node) not in self._of_object:
                missing = [n for n in _needs(node) if id(n) not in self._of_object]
                if missing:
                    stack.extend(reversed(missing))
                    continue
                self._of_object[id(node)] = (node, self._enter(self._entry(node)))
            stack.pop()
        return self._of_object[id(expression)][1]

    def _enter(self, entry: list[Any]) -> int:
        # By content, not by SymPy's ==, for which Floats of different precision can be the same number.
        key = json.dumps(entry)
        if key not in self._of_entry:
            self._of_entry[key] = len(self.nodes)
            self.nodes.append(entry)
        return self._of_entry[key]

    def _entry(self, node: Any) -> list[Any]:
        declared = declaration_of(node)
        if declared is None:
            args = [self._of_object[id(a)][1] for a in node.args]
            return write_atom(node) or [head_name(node), *args]
        index = self._declaration(declared)
        if isinstance(node, Applied):
            args = [self._of_object[id(a)][1] for a in node.args]
            return ["apply", index, dict(type(node)._given), *args]
        return ["symbol", index, dict(node._assumptions_orig)]

    # -- declarations -------------------------------------------------------------

    def _declaration(self, d: Declaration) -> int:
        if d.digest not in self._of_declaration:
            entry = {f.name: self._field(d, f.name) for f in KEPT if not _is_default(getattr(d, f.name), f.default)}
            self._of_declaration[d.digest] = len(self.declarations)
            self.declarations.append(entry)
        return self._of_declaration[d.digest]

    def _field(self, d: Declaration, name: str) -> Any:
        value = getattr(d, name)
        if name == "value" and d.kind == "function":
            return _user_function(d)
        if name == "value" and d.kind == "neural":
            return self._network(d)
        word = "initial value" if (d.kind, name) == ("unknown", "value") else name
        return self.value(value, f"the {word} of '{d.name}'{at(d.where)}")

    def _network(self, d: Declaration) -> dict[str, int]:
        try:
            entry = write_network(d.value)
        except Unwritable as problem:
            raise FileError(
                f"The network of '{d.name}'{at(d.where)} cannot be saved: {problem}, and a file never runs code. Build it from eqx.nn.MLP, "
                "Linear, Sequential, Lambda and Identity with functions of jax.nn or jax.numpy; or keep the System in Python and save "
                'the weights alone: eqx.tree_serialise_leaves("weights.eqx", network).'
            ) from None
        key = json.dumps(entry)
        if key not in self._of_network:
            self._of_network[key] = len(self.networks)
            self.networks.append(entry)
        return {"network": self._of_network[key]}

    def value(self, value: Any, what: str) -> Any:
        """The entry of a number, an array, an expression, a text, or a tuple, list or dict of these."""
        if value is None or type(value) in (bool, str):
            return value
        if type(value) is int:
            return {"int": write_integer(value)}
        if type(value) is float:
            return {"float": write_float(value)}
        if isinstance(value, sp.Basic):
            return {"expression": self.node(value)}
        if isinstance(value, np.ndarray | np.generic | jax.Array) and known_array(value):
            return write_array(value)
        if type(value) in (tuple, list):
            return {type(value).__name__: [self.value(v, what) for v in value]}
        if type(value) is dict and all(type(k) is str for k in value):
            return {"dict": [[k, self.value(v, what)] for k, v in value.items()]}
        raise FileError(
            f"{what[0].upper()}{what[1:]} is {shown(value)}, a {type(value).__qualname__}, which a file cannot hold exactly. "
            "Use numbers, text, arrays, SymPy expressions, or tuples and dicts of these."
        )


def _is_default(value: Any, default: Any) -> bool:
    return value is default or (type(value) is type(default) and value == default)


def _needs(node: Any) -> list[sp.Basic]:
    """What must be written before a node: its arguments, and the expressions in its declaration."""
    d = declaration_of(node)
    if d is None:
        if head_name(node) is None and write_atom(node) is None:
            _refuse(node)
        return list(node.args)
    if not isinstance(node, Applied) and type(node) not in (Quantity, Coordinate):
        _refuse(node)
    return [*(e for f in KEPT for e in _expressions_in(getattr(d, f.name))), *node.args]


def _expressions_in(value: Any) -> list[sp.Basic]:
    if isinstance(value, sp.Basic):
        return [value]
    if type(value) in (tuple, list):
        return [e for v in value for e in _expressions_in(v)]
    return [e for v in value.values() for e in _expressions_in(v)] if type(value) is dict else []


def _refuse(node: Any) -> None:
    name = type(node).__name__
    if isinstance(node, sp.Idx):
        raise FileError(f'The index `{node}` (Idx) cannot be saved. Write it as {node} = sp.Symbol("{node}", integer=True).')
    raise FileError(
        f"`{shown(node)}` ({name}) cannot be saved: a file holds the functions of SymPy that sciml can compute, and {name} is not among them. "
        "Write it with those (exp, sin, Piecewise, ...), or as numbers: sci.table(name, grid, values)."
    )


def _user_function(d: Declaration) -> dict[str, str]:
    name = function_name(d.value)
    if name is None:
        raise FileError(
            f"The function '{d.name}'{at(d.where)} is code of your own, and a file never runs code. Write it as a SymPy expression, "
            f'as a table of numbers, sci.table("{d.name}", grid, values), or use a function of jax.nn or jax.numpy itself, such as jnp.tanh.'
        )
    return {"function": name}
