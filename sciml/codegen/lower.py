"""Expressions to a tape: SymPy in, a list of JAX operations out.

The tape holds each distinct sub-expression once. Nothing is printed and read back: numbers travel as the
Python floats that they are, so they are exact and take the precision of what they meet.

Inside a branch of a Piecewise every function that could be infinite or undefined is given a safe argument
where the branch is not taken (see `functions`), so that values and gradients stay clean.
"""

import dataclasses
import functools
import operator
from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import sympy as sp

from ..errors import CompileError
from ..passes import Filled, Indices, Node, Piece, Placed, Total, operators
from ..symbols import Component, Dot, declaration_of
from ..system import text
from .arrays import Apply, root
from .functions import BESSEL_I, ORDERED, RELATIONS, TABLE, Row, half_power

_POLYNOMIAL = 20  # the largest k for which binomial(x, k) is written out
Slot = int
Leaf = tuple[str, str]  # (kind, name): what the tape asks its caller for


class Op(NamedTuple):
    """One operation: what is called, the slots that it reads and the one that it fills."""

    call: Callable[..., Any]
    inputs: tuple[Slot, ...]
    output: Slot


class Tape:
    """Operations in the order in which they run. `run` takes one value per leaf and gives one per output."""

    def __init__(self, constants: dict[Slot, complex], leaves: dict[Leaf, Slot], ops: list[Op], outputs: tuple[Slot, ...], size: int):
        self.constants, self.leaves, self.ops, self.outputs, self.size = constants, leaves, ops, outputs, size

    def run(self, values: Callable[[Leaf], Any]) -> list[Any]:
        cells: list[Any] = [None] * self.size
        for slot, number in self.constants.items():
            cells[slot] = number
        for leaf, slot in self.leaves.items():
            cells[slot] = values(leaf)
        for call, inputs, output in self.ops:
            given = [cells[i] for i in inputs]
            cells[output] = call(*(_of_one_kind(given) if call in _ARITHMETIC else given))
        return [cells[i] for i in self.outputs]


_ARITHMETIC = (operator.add, operator.sub, operator.mul, operator.truediv)


def _of_one_kind(values: list[Any]) -> list[Any]:
    """Real numbers that meet complex ones, as complex ones: JAX does not mix them where promotion is strict."""
    if not any(jnp.iscomplexobj(v) for v in values):
        return values
    types = [v.dtype for v in values if hasattr(v, "dtype")]
    return [jnp.asarray(v, np.result_type(*types, np.complex64)) for v in values] if types else values


def lower(expressions: Iterable[sp.Basic], definitions: Mapping[str, sp.Expr] | None = None, complex_values: bool = False) -> Tape:
    """A tape for some expressions. `definitions` gives, by name, unknowns that stand for expressions.

    Values are real unless said otherwise: the imaginary unit then stands inside transforms of real fields only.
    """
    lowering = _Lowering(definitions or {}, complex_values)
    outputs = tuple(lowering.slot(e, None) for e in expressions)
    return Tape(lowering.constants, lowering.leaves, lowering.ops, outputs, lowering.size)


class _Lowering:
    def __init__(self, definitions: Mapping[str, sp.Expr], complex_values: bool):
        self._complex = complex_values
        self.constants: dict[Slot, complex] = {}
        self.leaves: dict[Leaf, Slot] = {}
        self.ops: list[Op] = []
        self.size = 0
        self._definitions = definitions
        self._memo: dict[tuple[sp.Basic, Slot | None, bool], Slot] = {}
        self._constant_slots: dict[tuple[type, complex], Slot] = {}
        self._emitted: dict[tuple, Slot] = {}
        self._risk: dict[sp.Basic, bool] = {}

    # -- slots ----------------------------------------------------------------

    def _new(self) -> Slot:
        self.size += 1
        return self.size - 1

    def _leaf(self, kind: str, name: str) -> Slot:
        if (kind, name) not in self.leaves:
            self.leaves[kind, name] = self._new()
        return self.leaves[kind, name]

    def _constant(self, value: complex | bool) -> Slot:
        key = (type(value), value)
        if key not in self._constant_slots:
            self._constant_slots[key] = self._new()
            self.constants[self._constant_slots[key]] = value
        return self._constant_slots[key]

    def _emit(self, call: Callable[..., Any], *inputs: Slot) -> Slot:
        key = (call, inputs)
        if key not in self._emitted:
            self._emitted[key] = self._new()
            self.ops.append(Op(call, inputs, self._emitted[key]))
        return self._emitted[key]

    # -- expressions ------------------------------------------------------------

    def slot(self, node: sp.Basic, mask: Slot | None) -> Slot:
        """Where the value of `node` will be. `mask` is the condition under which the value is used."""
        if mask is not None and not self._risky(node):
            mask = None
        key = (node, mask, self._complex)
        if key not in self._memo:
            self._memo[key] = self._visit(node, mask)
        return self._memo[key]

    def _visit(self, node: Any, mask: Slot | None) -> Slot:
        declared = declaration_of(node)
        if declared is not None:
            return self._declared(node, declared, mask)
        if isinstance(node, sp.Dummy):
            return self._leaf("dummy", node.name)
        if isinstance(node, Node):
            return self._array(node, mask)
        if node is sp.I and self._complex:
            return self._constant(1j)
        number = _number(node)
        if number is not None:
            return self._constant(number)
        if isinstance(node, sp.Add):
            return self._sum(node, mask)
        if isinstance(node, sp.Mul):
            return self._product(node, mask)
        if isinstance(node, sp.Pow):
            return self._power(node.base, node.exp, mask)
        if isinstance(node, sp.Piecewise):
            return self._piecewise(list(node.args), mask)
        if isinstance(node, sp.Max | sp.Min):
            call = jnp.maximum if isinstance(node, sp.Max) else jnp.minimum
            return functools.reduce(lambda a, b: self._emit(call, a, b), [self.slot(a, mask) for a in node.args])
        if isinstance(node, sp.logic.boolalg.Boolean):
            return self._condition(node)
        if isinstance(node, Component):
            index = tuple(int(i) for i in node.args[1:])
            return self._emit(_Index(index), self.slot(node.args[0], mask))
        if isinstance(node, Piece | Placed):
            return self._emit(
                _Slice(*map(int, node.args[1:])) if isinstance(node, Piece) else _Padded(*map(int, node.args[1:])), self.slot(node.args[0], mask)
            )
        if isinstance(node, Total):
            return self._emit(jnp.sum, self.slot(node.args[0], mask))
        if isinstance(node, Filled):
            return self._emit(_Full(int(node.args[1])), self.slot(node.args[0], mask))
        if isinstance(node, Indices):
            return self._emit(_Count(*map(int, node.args)))
        if isinstance(node, Dot):
            return self._emit(jnp.dot, self.slot(node.args[0], mask), self.slot(node.args[1], mask))
        return self._function(node, mask)

    def _declared(self, node: Any, d: Any, mask: Slot | None) -> Slot:
        if d.kind == "unknown" and d.name in self._definitions:
            return self.slot(self._definitions[d.name], mask)
        if d.kind in ("unknown", "parameter", "constant", "noise", "time", "modes", "normal"):
            return self._leaf(d.kind, d.name)
        if d.kind not in ("data", "table", "function", "neural"):
            raise CompileError(f"'{d.name}' is a {d.kind} and has no value at a point of time.")
        arguments = [self.slot(a, mask) for a in node.args]
        if d.kind in ("data", "table"):
            return self._emit(_call, self._leaf("function", d.name), *arguments)
        if d.kind == "function":
            return self._emit(d.value, *arguments)
        whole = self._emit(_call_stacked, self._leaf("function", d.name), *arguments)
        return self._emit(_Output(d.payload["index"], d.payload["outputs"]), whole)

    def _array(self, node: Node, mask: Slot | None) -> Slot:
        """An operator on whole fields. Those that hold functions or expressions of their own are put together here."""
        o = node.operator
        if isinstance(o, operators.PerPoint):
            (call,) = node.operands
            d = declaration_of(call)
            whole = self._emit(_call_per_point, self._leaf("function", d.name), *(self.slot(a, mask) for a in call.args))
            return self._emit(_PointOutput(d.payload["index"], d.payload["outputs"]), whole)
        outside, self._complex = self._complex, self._complex or isinstance(o, operators.Backward)
        slots = [self.slot(a, mask) for a in node.operands]
        self._complex = outside
        if isinstance(o, operators.Root):
            made = _Root(o)
            return self._emit(made, *(self._leaf("function", name) for name in made.functions), *slots)
        return self._emit(Apply(o), *slots)

    def _sum(self, node: sp.Add, mask: Slot | None) -> Slot:
        """Positive terms first, then what is subtracted: x*y - b*z, not -b*z + x*y, which XLA runs slower."""
        plus, minus = [], []
        for term in node.args:
            coefficient, rest = term.as_coeff_Mul()
            if coefficient.is_negative:
                minus.append(self.slot(-coefficient * rest if coefficient != -1 else rest, mask))
            else:
                plus.append(self.slot(term, mask))
        if not plus:
            return self._emit(operator.neg, functools.reduce(self._add, minus))
        return functools.reduce(lambda a, b: self._emit(operator.sub, a, b), minus, functools.reduce(self._add, plus))

    def _add(self, a: Slot, b: Slot) -> Slot:
        return self._emit(operator.add, a, b)

    def _mul(self, a: Slot, b: Slot) -> Slot:
        return self._emit(operator.mul, a, b)

    def _product(self, node: sp.Mul, mask: Slot | None) -> Slot:
        """Numerator over denominator, with one division."""
        coefficient, rest = node.as_coeff_Mul()
        above, below = [], []
        for factor in sp.Mul.make_args(rest):
            base, exponent = factor.as_base_exp() if isinstance(factor, sp.Pow) else (factor, sp.S.One)
            if exponent.is_Number and exponent.is_negative:
                below.append((base, -exponent))
            else:
                above.append(self.slot(factor, mask))
        if coefficient not in (1, -1):
            above.insert(0, self._constant(float(abs(coefficient) if coefficient.is_Rational else coefficient)))
        top = functools.reduce(self._mul, above) if above else self._constant(1.0)
        if below:
            bottom = functools.reduce(self._mul, [self._denominator(b, e, mask) for b, e in below])
            top = self._emit(operator.truediv, top, bottom)
        return self._emit(operator.neg, top) if coefficient.is_Rational and coefficient < 0 else top

    def _denominator(self, base: sp.Expr, exponent: sp.Expr, mask: Slot | None) -> Slot:
        """base**exponent below a fraction line; 1 where the branch is not taken."""
        return self._guarded(self._power(base, exponent, mask), mask, 1.0)

    def _power(self, base: sp.Expr, exponent: sp.Expr, mask: Slot | None) -> Slot:
        if base == sp.E:
            return self._apply(TABLE[sp.exp], sp.exp, (exponent,), mask)
        folded = self._folded(lambda b: sp.Pow(b, exponent), base, mask) if not exponent.is_Integer or exponent.is_negative else None
        if folded is not None:
            return folded
        if exponent.is_Number and exponent.is_negative:
            return self._emit(operator.truediv, self._constant(1.0), self._denominator(base, -exponent, mask))
        inner = self.slot(base, mask)
        if exponent == 1:
            return inner
        if exponent.is_Integer:
            return self._emit(_IntegerPower(int(exponent)), inner)
        inner = self._guarded(inner, mask, 1.0)
        if exponent == sp.S.Half:
            return self._emit(jnp.sqrt, inner)
        if exponent.is_Rational and exponent.q == 2:
            return self._emit(_HalfPower(int(exponent - sp.S.Half)), inner)
        if exponent == sp.Rational(1, 3) and base.is_nonnegative:
            return self._emit(jnp.cbrt, inner)
        return self._emit(_general_power, inner, self.slot(exponent, mask))

    def _function(self, node: Any, mask: Slot | None) -> Slot:
        head = node.func
        if head is sp.besseli and node.args[0].is_Integer and abs(int(node.args[0])) in BESSEL_I:
            return self._apply(BESSEL_I[abs(int(node.args[0]))], head, (node.args[1],), mask)
        if head in (sp.DiracDelta, sp.Derivative):
            raise CompileError(f"`{text(node)}` has no value at a point and cannot be computed. Write what it does to the unknowns instead.")
        if head is sp.binomial and node.args[1].is_Integer and 0 <= node.args[1] <= _POLYNOMIAL:
            return self.slot(sp.expand_func(node), mask)  # a polynomial, right at whole numbers too
        if head not in TABLE or (head in ORDERED and not (_whole(node.args[0]) and ORDERED[head](int(node.args[0])))):
            raise CompileError(
                f"There is no JAX form of `{text(node)}` ({head.__name__}). Give it your own: "
                f'{head.__name__} = sci.function("{head.__name__}", lambda x: ...) with a function of jax.numpy.'
            )
        return self._apply(TABLE[head], head, node.args, mask)

    def _apply(self, row: Row, head: Any, args: tuple, mask: Slot | None) -> Slot:
        if row.safe is not None and len(args) == 1:
            folded = self._folded(head, args[0], mask)
            if folded is not None:
                return folded
        if head in ORDERED:
            inner = self._guarded(self.slot(args[1], mask), mask, row.safe[1])  # type: ignore[index]
            return self._emit(_FirstFixed(row.call, int(args[0])), inner)
        slots = [self.slot(a, mask) for a in args]
        if row.safe is not None:
            slots = [self._guarded(s, mask, safe) for s, safe in zip(slots, row.safe, strict=False)]
        return self._emit(row.call, *slots)

    # -- branches ---------------------------------------------------------------

    def _folded(self, function: Callable[[sp.Expr], sp.Expr], inside: Any, mask: Slot | None) -> Slot | None:
        """sqrt(Max(x, 0)) as Max's choice of sqrt(x) and sqrt(0): the derivative of the choice not made is never met."""
        if isinstance(inside, sp.Piecewise):
            return self._piecewise([(function(e), c) for e, c in inside.args], mask)
        if isinstance(inside, sp.Max | sp.Min) and len(inside.args) == 2:
            a, b = sorted(inside.args, key=lambda e: e.is_number)  # a number is chosen on ties: its derivative is finite
            better = sp.Gt(a, b) if isinstance(inside, sp.Max) else sp.Lt(a, b)
            return self._piecewise([(function(a), better), (function(b), sp.true)], mask)
        return None

    def _piecewise(self, branches: list, mask: Slot | None) -> Slot:
        """Nested selections, the first branch outermost; each branch knows when it is taken."""
        taken, free = [], mask
        for _, condition in branches:
            here = self._condition(condition)
            taken.append((here, here if free is None else self._emit(jnp.logical_and, free, here)))
            negated = self._emit(jnp.logical_not, here)
            free = negated if free is None else self._emit(jnp.logical_and, free, negated)
            if condition == sp.true:
                break
        values = [self.slot(e, m) for (e, _), (_, m) in zip(branches, taken, strict=False)]
        covered = branches[len(taken) - 1][1] == sp.true
        result = values.pop() if covered else self._constant(float("nan"))
        for (here, _), value in zip(reversed(taken[: len(values)]), reversed(values), strict=True):
            result = self._emit(jnp.where, here, value, result)
        return result

    def _condition(self, node: Any) -> Slot:
        if node in (sp.true, sp.false):
            return self._constant(bool(node))
        if isinstance(node, sp.And | sp.Or):
            call = jnp.logical_and if isinstance(node, sp.And) else jnp.logical_or
            return functools.reduce(lambda a, b: self._emit(call, a, b), [self._condition(a) for a in node.args])
        if isinstance(node, sp.Not):
            return self._emit(jnp.logical_not, self._condition(node.args[0]))
        if type(node) in RELATIONS:
            return self._emit(RELATIONS[type(node)], self.slot(node.lhs, None), self.slot(node.rhs, None))
        raise CompileError(f"The condition `{text(node)}` is not a comparison. Write for example sp.Piecewise((value, x > 0), (other, True)).")

    def _guarded(self, slot: Slot, mask: Slot | None, safe: float) -> Slot:
        if mask is None or slot in self.constants:
            return slot
        return self._emit(jnp.where, mask, slot, self._constant(safe))

    def _risky(self, node: sp.Basic) -> bool:
        """Whether anything in the expression can be infinite or undefined."""
        if node not in self._risk:
            d = declaration_of(node)
            if d is not None and d.kind == "unknown" and d.name in self._definitions:
                found = self._risky(self._definitions[d.name])
            else:
                found = self._risky_head(node) or any(self._risky(a) for a in node.args)
            self._risk[node] = found
        return self._risk[node]

    def _risky_head(self, node: sp.Basic) -> bool:
        if isinstance(node, sp.Pow):
            return not (node.exp.is_Integer and node.exp.is_positive)
        row = TABLE.get(node.func) if not isinstance(node, sp.core.function.AppliedUndef) else None
        return (row is not None and row.safe is not None) or node.func is sp.besseli


# -- operations with a static part: equal content is the same operation ------------


@dataclasses.dataclass(frozen=True)
class _Index:
    index: tuple[int, ...]

    def __call__(self, value: Any) -> Any:
        return value[self.index]


@dataclasses.dataclass(frozen=True)
class _Slice:
    """Some components of an array."""

    start: int
    stop: int

    def __call__(self, value: Any) -> Any:
        return value[self.start : self.stop]


@dataclasses.dataclass(frozen=True)
class _Padded:
    """An array with zeros before and after it."""

    before: int
    after: int

    def __call__(self, value: Any) -> Any:
        return jnp.pad(value, (self.before, self.after))


@dataclasses.dataclass(frozen=True)
class _Full:
    """An array of one number."""

    size: int

    def __call__(self, value: Any) -> Any:
        return jnp.full((self.size,), float(value) if isinstance(value, int) else value)


@dataclasses.dataclass(frozen=True)
class _Count:
    """Whole numbers in a row."""

    start: int
    stop: int

    def __call__(self) -> Any:
        with jax.numpy_dtype_promotion("standard"):
            return jnp.arange(self.start, self.stop) * 1.0  # takes the precision of what it meets


@dataclasses.dataclass(frozen=True)
class _IntegerPower:
    exponent: int

    def __call__(self, base: Any) -> Any:
        return base**self.exponent


@dataclasses.dataclass(frozen=True)
class _HalfPower:
    whole: int

    def __call__(self, base: Any) -> Any:
        return half_power(base, self.whole)


@dataclasses.dataclass(frozen=True)
class _FirstFixed:
    function: Callable[..., Any]
    first: int

    def __call__(self, value: Any) -> Any:
        return self.function(self.first, value)


@dataclasses.dataclass(frozen=True)
class _Output:
    index: int
    outputs: int

    def __call__(self, value: Any) -> Any:
        if self.outputs > 1:
            if value.shape[:1] != (self.outputs,):
                raise CompileError(f"A neural function gives shape {value.shape} where outputs={self.outputs} says ({self.outputs},).")
            return value[self.index]
        return value[0] if value.shape == (1,) else value


@dataclasses.dataclass(frozen=True)
class _PointOutput:
    """One of the functions that a network gives, at every point: the last axis holds them."""

    index: int
    outputs: int

    def __call__(self, value: Any) -> Any:
        if value.shape[-1] != self.outputs:
            raise CompileError(f"A neural function gives {value.shape[-1]} numbers at a point where outputs={self.outputs} says {self.outputs}.")
        return value[..., self.index]


@dataclasses.dataclass(frozen=True)
class _Root:
    """`Root` with its residuals lowered. Networks, tables and data that they hold come before the operands."""

    operator: operators.Root

    @property
    def functions(self) -> list[str]:
        """Names of the functions in the residuals."""
        return [name for kind, name in self._tape.leaves if kind == "function"]

    @functools.cached_property
    def _tape(self) -> Tape:
        o = self.operator
        names = {s: sp.Dummy(s.name, real=True) for s in (*o.unknowns, *o.operands)}
        return lower([r.xreplace(names) for r in o.residuals])

    def __call__(self, *values: Any) -> Any:
        functions = dict(zip(self.functions, values, strict=False))
        arrays = values[len(functions) :]

        def residuals(unknowns: Any, operands: Any) -> list[Any]:
            o = self.operator
            given = dict(zip((s.name for s in (*o.unknowns, *o.operands)), (*unknowns, *operands), strict=True))
            return self._tape.run(lambda leaf: functions[leaf[1]] if leaf[0] == "function" else given[leaf[1]])

        return root(self.operator, residuals, *arrays)


def _call_per_point(function: Callable[..., Any], *arguments: Any) -> Any:
    """A network at every point: its arguments there as one vector, its outputs along a last axis."""
    arguments = tuple(jnp.broadcast_arrays(*(jnp.asarray(a) for a in arguments)))
    stacked = jnp.stack(arguments, axis=-1)
    flat = jax.vmap(function)(stacked.reshape(-1, stacked.shape[-1]))
    return flat.reshape(*stacked.shape[:-1], -1)


def _number(node: Any) -> float | None:
    """The float nearest to an expression of numbers alone, sqrt(2)/3 as well as 1/3; None for anything else."""
    if node is sp.zoo:
        return float("inf")
    if not getattr(node, "is_number", False):
        return None
    try:
        return float(node if node.is_Rational else node.evalf(30))
    except TypeError:  # complex, or a function that SymPy cannot evaluate
        return None


def _whole(number: sp.Basic) -> bool:
    return bool(number.is_Number and number == int(number))


def _general_power(base: Any, exponent: Any) -> Any:
    return jnp.power(base, exponent)


def _call(function: Callable[..., Any], *arguments: Any) -> Any:
    return function(*arguments)


def _call_stacked(function: Callable[..., Any], *arguments: Any) -> Any:
    """A neural function gets one vector: its scalar arguments stacked, its array arguments flat."""
    return function(jnp.concatenate([jnp.atleast_1d(jnp.asarray(a)).reshape(-1) for a in arguments]))
