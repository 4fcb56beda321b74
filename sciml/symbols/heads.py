"""The SymPy objects that declarations become.

| class       | what it is                                            | example        |
|-------------|-------------------------------------------------------|----------------|
| `Quantity`  | a symbol: parameter or constant                        | `a`            |
| `Coordinate`| a symbol: time or a coordinate of space                | `t`, `s`       |
| `Applied`   | an applied function: unknown, field, noise, data, ...  | `x(t)`, `F(t)` |
| `Component` | one component of something with a shape                | `z[0]`         |
| `Dot`       | a product of arrays                                    | `dot(N, z)`    |
| `Side`      | an end of a coordinate (no SymPy object)               | `x.left`       |

Each carries its `declaration`, and counts as equal only to an object with the same declaration.
"""

import copyreg
import dataclasses
from typing import Any

import numpy as np
import sympy as sp
from sympy.core.function import AppliedUndef, UndefinedFunction

from ..errors import ModelError
from .declaration import Declaration


class _Indexable:
    """`z[0]` for what was declared with a shape; never iterable, or SymPy would take it for a sequence."""

    declaration: Declaration

    def __getitem__(self, index: Any) -> "Component":
        index = index if isinstance(index, tuple) else (index,)
        shape = self.declaration.shape
        name = self.declaration.name
        if not shape:
            raise ModelError(f"'{name}' is a scalar and has no components. Declare it with shape=(n,) to write {name}[0].")
        if len(index) != len(shape):
            raise ModelError(f"'{name}' has shape {shape}: write {len(shape)} indices, not {len(index)}.")
        clean = []
        for i, n in zip(index, shape, strict=True):
            i = int(i)
            if not -n <= i < n:
                raise ModelError(f"'{name}' has shape {shape}: index {i} is outside 0..{n - 1}.")
            clean.append(i % n)
        return Component(self, *clean)

    # Not iterable for `isinstance(x, Iterable)` either: SymPy would take x for a sequence, and (x**2).diff(x) would be 0.
    __iter__: Any = None


class Quantity(_Indexable, sp.Symbol):
    """A parameter or a constant: a real symbol with a declaration."""

    declaration: Declaration

    def __new__(cls, declaration: Declaration, **assumptions: Any) -> "Quantity":
        made = sp.Symbol.__xnew__(cls, declaration.name, **{"real": True, **assumptions})
        made.declaration = declaration
        return made

    def _hashable_content(self) -> tuple:
        return (*super()._hashable_content(), self.declaration.digest)

    def __reduce__(self) -> Any:
        return (_rebuild_quantity, (type(self), self.declaration, self._assumptions_orig))


class Coordinate(Quantity):
    """Time, or a coordinate of space."""

    @property
    def left(self) -> "Side":
        """The low end of a coordinate of space, for `boundary=` and `sci.at`."""
        return self._side("left")

    @property
    def right(self) -> "Side":
        """The high end of a coordinate of space."""
        return self._side("right")

    def _side(self, end: str) -> "Side":
        name = self.name
        if self.declaration.kind != "space":
            raise ModelError(f"'{name}' is the time and has no sides. Values at the start are given by initial=.")
        if self.declaration.payload["periodic"]:
            raise ModelError(f"'{name}' is periodic and has no sides. Declare {name} = sci.space(\"{name}\", low, high) to set conditions at them.")
        return Side(self, end)


@dataclasses.dataclass(frozen=True)
class Side:
    """An end of a coordinate of space: `x.left`, `x.right`."""

    coordinate: Coordinate
    end: str

    @property
    def name(self) -> str:
        return f"{self.coordinate.name}.{self.end}"

    @property
    def position(self) -> float:
        """Where it lies."""
        return float(self.coordinate.declaration.payload["low" if self.end == "left" else "high"])

    def __repr__(self) -> str:
        return self.name


def _rebuild_quantity(cls: type, declaration: Declaration, assumptions: dict) -> Quantity:
    return cls(declaration, **assumptions)


class Applied(_Indexable, AppliedUndef):
    """A declared function applied to its arguments: `x(t)`, `u(t, s)`, `F(t)`, `g(x, y)`."""

    declaration: Declaration

    def diff(self, *symbols: Any, **options: Any) -> sp.Expr:
        for symbol in symbols:
            self._refuse_look_alike(symbol)
        return super().diff(*symbols, **options)

    def _refuse_look_alike(self, symbol: Any) -> None:
        """`x.diff(Symbol("t"))` would be zero without a word: the wrong symbol with the right name."""
        if not isinstance(symbol, sp.Symbol) or symbol in self.args:
            return
        for own in self.args:
            if isinstance(own, Coordinate) and own.name == symbol.name:
                right = "sci.t" if own.declaration.kind == "time" else f"the symbol that sci.space(...) gave for '{own.name}'"
                raise ModelError(
                    f"'{self.declaration.name}' depends on {right}, and Symbol('{symbol.name}') is another symbol that prints "
                    f"the same: the derivative would be 0. Write {self.declaration.name}.diff({'sci.t' if right == 'sci.t' else own.name})."
                )


class Head(UndefinedFunction):
    """The function before it is applied: the class of `x(t)`, with the declaration as part of its identity."""

    declaration: Declaration

    def __new__(mcl, declaration: Declaration, **assumptions: Any) -> "Head":
        made = super().__new__(mcl, declaration.name, bases=(Applied,), declaration=declaration, **assumptions)
        made._given = assumptions
        return made

    def __init__(cls, *args: Any, **kwargs: Any) -> None:
        super().__init__(cls.name)


def _reduce_head(head: Head) -> Any:
    return (_rebuild_head, (head.declaration, head._given))


def _rebuild_head(declaration: Declaration, assumptions: dict) -> Head:
    return Head(declaration, **assumptions)


copyreg.pickle(Head, _reduce_head)


class Component(sp.Function):
    """`Component(z, i, ...)`: one component of an array-valued symbol or of its derivative."""

    is_real = True
    is_commutative = True

    @classmethod
    def eval(cls, of: sp.Expr, *index: Any) -> sp.Expr | None:
        return None

    def _eval_derivative(self, symbol: Any) -> sp.Expr:
        inner = self.args[0].diff(symbol)
        return sp.S.Zero if inner == 0 else Component(inner, *self.args[1:])

    def _sympystr(self, printer: Any) -> str:
        return f"{printer._print(self.args[0])}[{', '.join(map(str, self.args[1:]))}]"

    def _latex(self, printer: Any, exp: str | None = None) -> str:
        text = f"{{{printer._print(self.args[0])}}}_{{{','.join(map(str, self.args[1:]))}}}"
        return text if exp is None else f"{text}^{{{exp}}}"


class Dot(sp.Function):
    """`Dot(a, b)`: the product of two arrays, as `numpy.dot`."""

    is_real = True
    is_commutative = True

    @classmethod
    def eval(cls, a: sp.Expr, b: sp.Expr) -> sp.Expr | None:
        return sp.S.Zero if a == 0 or b == 0 else None

    def _eval_derivative(self, symbol: Any) -> sp.Expr:
        a, b = self.args
        return Dot(a.diff(symbol), b) + Dot(a, b.diff(symbol))

    def _latex(self, printer: Any, exp: str | None = None) -> str:
        text = rf"{printer._print(self.args[0])} \cdot {printer._print(self.args[1])}"
        return text if exp is None else rf"\left({text}\right)^{{{exp}}}"


def dot(a: Any, b: Any) -> sp.Expr:
    """Product of two array-valued symbols (matrix by vector, vector by vector ...), as `numpy.dot`.

    A NumPy array may stand on either side.

    >>> import numpy as np, sciml as sci
    >>> z = sci.variables("z", initial=np.ones(3), shape=(3,))
    >>> total = sci.dot(np.ones(3), z)
    """
    return Dot(_operand(a), _operand(b))


def _operand(value: Any) -> sp.Expr:
    if isinstance(value, sp.Expr):
        return value
    array = np.asarray(value, dtype=float)
    if array.ndim == 0:
        raise ModelError("dot takes arrays; multiply by a number with *.")
    if not np.isfinite(array).all():
        raise ModelError("The array given to sci.dot holds NaN or infinite numbers.")
    content = Declaration("constant", "array", value=array, shape=array.shape)
    return Quantity(content.renamed(f"array_{content.digest[:6]}"))  # two arrays must not share a name
