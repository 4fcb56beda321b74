"""The fixed table of SymPy objects that a file can name, and how each is put together again.

Nothing is evaluated: a node is made exactly as it was, whatever this version of SymPy would simplify, and
`10**10**9` in a file from a stranger stays the harmless power that it is.
"""

from collections.abc import Callable
from typing import Any

import mpmath
import sympy as sp
from sympy.functions.elementary.piecewise import ExprCondPair
from sympy.logic.boolalg import Boolean

from ..codegen import TABLE
from ..symbols import At, Component, D, Dot
from .exact import Unreadable, read_integer, shown, typed, write_integer

CONSTANTS: dict[str, sp.Basic] = {
    "pi": sp.pi,
    "E": sp.E,
    "I": sp.I,
    "oo": sp.oo,
    "-oo": -sp.oo,
    "zoo": sp.zoo,
    "nan": sp.nan,
    "EulerGamma": sp.EulerGamma,
    "Catalan": sp.Catalan,
    "GoldenRatio": sp.GoldenRatio,
    "TribonacciConstant": sp.TribonacciConstant,
    "true": sp.true,
    "false": sp.false,
}

_ALGEBRA = (sp.Add, sp.Mul, sp.Pow, sp.Min, sp.Max, Component, Dot, sp.besseli, sp.DiracDelta, sp.KroneckerDelta, sp.arg)
_RELATIONS = (sp.Eq, sp.Ne, sp.Lt, sp.Le, sp.Gt, sp.Ge)
_LOGIC = (sp.And, sp.Or, sp.Not)
_PARTS = (sp.Derivative, sp.Integral, sp.Sum, D, At, sp.Piecewise, ExprCondPair, sp.Tuple)
_TABULATED = tuple(head for head in TABLE if isinstance(head, type))  # sympy.E1 is a plain function: it gives an expint

HEADS: dict[str, Any] = {head.__name__: head for head in (*_ALGEBRA, *_RELATIONS, *_LOGIC, *_PARTS, *_TABULATED)}
"""Every head that a file can name. What is not here cannot be loaded, whatever a file says."""

_MOST_BITS = 10**6
_LARGEST_EXPONENT = 10**12


def head_name(node: sp.Basic) -> str | None:
    """The name under which the head of a node stands in the table, None if it does not."""
    name = type(node).__name__
    return name if HEADS.get(name) is type(node) else None


def construct(name: str, args: tuple[sp.Basic, ...]) -> sp.Basic:
    """The node of that head with exactly those arguments."""
    if name not in HEADS:
        raise Unreadable(f"the node {shown(name)} is unknown to this version")
    head = HEADS[name]
    for i, a in enumerate(args):
        if not isinstance(a, _kind_of_argument(head, i)):
            raise Unreadable(f"{name} cannot have {shown(a)} for argument {i + 1}")
    made = head(*args) if head in (ExprCondPair, sp.Tuple, sp.Integral, sp.Sum) else head(*args, evaluate=False)
    if type(made) is not head or made.args != args:
        raise Unreadable(f"{name} does not exist with the arguments {shown(args)}")
    return made


def _kind_of_argument(head: Any, position: int) -> Any:
    if head in _LOGIC or (head is ExprCondPair and position == 1):
        return Boolean
    if head is sp.Piecewise:
        return ExprCondPair
    if head in (sp.Derivative, sp.Integral, sp.Sum) and position > 0:
        return sp.Tuple
    return sp.Expr


# -- numbers ------------------------------------------------------------------------


def write_atom(node: sp.Basic) -> list[Any] | None:
    """A number, a constant or the index of a sum as an entry, None for anything else."""
    for name, constant in CONSTANTS.items():
        if node is constant:
            return ["constant", name]
    if isinstance(node, sp.Integer):
        return ["Integer", write_integer(node.p)]
    if isinstance(node, sp.Rational):
        return ["Rational", write_integer(node.p), write_integer(node.q)]
    if isinstance(node, sp.Float):
        sign, mantissa, exponent, bits = node._mpf_
        return ["Float", int(sign), write_integer(mantissa), int(exponent), int(bits), int(node._prec)]
    if type(node) is sp.Symbol and node.is_integer:
        return ["index", node.name, dict(node._assumptions_orig)]
    return None


def read_atom(entry: list[Any]) -> sp.Basic:
    """The number or constant of an entry whose kind is one of `ATOMS`."""
    kind, *parts = entry
    reader, count = ATOMS[kind]
    if len(parts) != count:
        raise Unreadable(f"the node {shown(entry)} should have {count} parts")
    return reader(*parts)


def _constant(name: Any) -> sp.Basic:
    if type(name) is not str or name not in CONSTANTS:
        raise Unreadable(f"the constant {shown(name)} is unknown to this version")
    return CONSTANTS[name]


def _integer(text: Any) -> sp.Basic:
    return sp.Integer(read_integer(text))


def _rational(above: Any, below: Any) -> sp.Basic:
    p, q = read_integer(above), read_integer(below)
    made = sp.Rational(p, q) if q > 1 else None
    if made is None or (made.p, made.q) != (p, q):
        raise Unreadable(f"{shown(above)}/{shown(below)} is not a fraction in lowest terms")
    return made


def _float(sign: Any, mantissa: Any, exponent: Any, bits: Any, precision: Any) -> sp.Basic:
    """A SymPy Float from its parts, which must be what mpmath calls normal: anything else would be rounded."""
    man = read_integer(mantissa)
    for part in (sign, exponent, bits, precision):
        typed(part, int, "a part of a Float")
    normal = (man == 0 and (sign, exponent) == (0, 0)) or (man > 0 and man % 2 == 1)
    fits = sign in (0, 1) and bits == man.bit_length() and bits <= precision <= _MOST_BITS and precision > 0
    if not (normal and fits and abs(exponent) < _LARGEST_EXPONENT):
        raise Unreadable(f"a Float has the parts {shown((sign, mantissa, exponent, bits, precision))}, which are those of no number")
    return sp.Float._new(mpmath.libmp.from_man_exp(-man if sign else man, exponent), precision, zero=False)


def _index(name: Any, assumptions: Any) -> sp.Basic:
    """The index of a sum: a symbol for whole numbers."""
    typed(name, str, "the name of an index")
    typed(assumptions, dict, "the assumptions of an index")
    if assumptions.get("integer") is not True or not all(type(v) is bool for v in assumptions.values()):
        raise Unreadable(f"the index {shown(name)} has the assumptions {shown(assumptions)}, which are not those of a whole number")
    return sp.Symbol(name, **assumptions)


ATOMS: dict[str, tuple[Callable[..., sp.Basic], int]] = {
    "constant": (_constant, 1),
    "Integer": (_integer, 1),
    "Rational": (_rational, 2),
    "Float": (_float, 5),
    "index": (_index, 2),
}
"""Kinds of number, and the index of a sum, each with its reader and the number of its parts."""
