"""The SymPy objects that declarations become.

| class       | what it is                                            | example        |
|-------------|-------------------------------------------------------|----------------|
| `Quantity`  | a symbol: parameter or constant                        | `a`            |
| `Coordinate`| a symbol: time or a coordinate of space                | `t`, `s`       |
| `Applied`   | an applied function: unknown, field, noise, data, ...  | `x(t)`, `F(t)` |
| `Component` | one component of something with a shape                | `z[0]`, `X[i]` |
| `Dot`       | a product of arrays                                    | `dot(N, z)`    |
| `Side`      | an end of a coordinate (no SymPy object)               | `x.left`       |

Each carries its `declaration`, and counts as equal only to an object with the same declaration.
"""

import copyreg
import dataclasses
import operator
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
            cure = "dim=n, n > 1," if self.declaration.kind == "space" else "shape=(n,)"
            raise ModelError(f"'{name}' is a scalar and has no components. Declare it with {cure} to write {name}[0].")
        if len(index) != len(shape):
            raise ModelError(f"'{name}' has shape {shape}: write {len(shape)} indices, not {len(index)}.")
        return Component(self, *(_index(name, shape, i, n) for i, n in zip(index, shape, strict=True)))

    # Not iterable for `isinstance(x, Iterable)` either: SymPy would take x for a sequence, and (x**2).diff(x) would be 0.
    __iter__: Any = None


def _index(name: str, shape: tuple[int, ...], given: Any, n: int) -> Any:
    """A whole number within the shape, or an expression of whole-number symbols that a sum will run over."""
    if isinstance(given, sp.Expr) and not given.is_number:
        if given.is_integer:
            return given
        symbol = min(map(str, given.free_symbols))
        raise ModelError(f'{name}[{given}]: an index is a whole number. Write {symbol} = sp.Symbol("{symbol}", integer=True) for the index of a sum.')
    try:
        i = operator.index(given)
    except TypeError:
        raise ModelError(f'{name}[{given}]: an index is a whole number, {name}[0], or the symbol of a sum, sp.Symbol("i", integer=True).') from None
    if not -n <= i < n:
        raise ModelError(f"'{name}' has shape {shape}: index {i} is outside 0..{n - 1}.")
    return i % n


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
    def dim(self) -> int:
        """How many components it has: 1 for a scalar coordinate."""
        return self.declaration.payload["dim"] if self.declaration.payload else 1

    def _eval_derivative(self, symbol: Any) -> Any:
        if vector_of(symbol) == self:
            name = self.name
            raise ModelError(
                f"The derivative by {symbol} of an expression that holds all of '{name}' at once: write sums over its components, "
                f"sp.Sum({name}[i]**2, (i, 0, {name}.dim - 1)), or sci.dot({name}, {name})."
            )
        return super()._eval_derivative(symbol)

    def _eval_derivative_n_times(self, symbol: Any, n: Any) -> Any:
        return self._eval_derivative(symbol) if vector_of(symbol) == self else super()._eval_derivative_n_times(symbol, n)

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
        if self.declaration.shape:
            raise ModelError(f"'{name}' is a vector and has no {end} side. Set conditions on a surface, sci.ball({name}, radius=1).surface.")
        made = Side(self, end)
        if not np.isfinite(made.position):
            raise ModelError(f"'{name}' has no {end} side: it ends at {made.position}. Give it an end, sci.space(\"{name}\", -10, 10).")
        return made


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
            symbol = symbol[0] if isinstance(symbol, tuple | sp.Tuple) and symbol else symbol
            self._refuse_whole_vector(symbol)
            self._refuse_look_alike(vector_of(symbol) or symbol, symbol)
        return super().diff(*symbols, **options)

    def _eval_derivative(self, symbol: Any) -> sp.Expr:
        self._refuse_whole_vector(symbol)
        vector = vector_of(symbol)
        if vector is None or vector not in self.args:
            return super()._eval_derivative(symbol)
        whole = sp.Derivative(self, symbol)  # depends on all components at once, and is not carried out
        if all(a == vector or not a.has(vector) for a in self.args):
            return whole
        raise ModelError(f"`{self}` depends on {vector} twice, and its derivative by {symbol} has no short form. Write one function for each.")

    def _refuse_whole_vector(self, symbol: Any) -> None:
        if isinstance(symbol, Coordinate) and symbol.declaration.shape:
            name, own = symbol.name, self.declaration.name
            raise ModelError(
                f"{own}.diff({name}): '{name}' is a vector of {symbol.dim} coordinates. Write sci.laplacian({own}, {name}), or "
                f'{own}.diff({name}[i]) with i = sp.Symbol("i", integer=True) inside a sum over i.'
            )

    def _refuse_look_alike(self, symbol: Any, written: Any) -> None:
        """`x.diff(Symbol("t"))` would be zero without a word: the wrong symbol with the right name."""
        if not isinstance(symbol, sp.Symbol) or symbol in self.args:
            return
        for own in self.args:
            if isinstance(own, Coordinate) and own.name == symbol.name:
                right = "sci.t" if own.declaration.kind == "time" else f"the symbol that sci.space(...) gave for '{own.name}'"
                raise ModelError(
                    f"'{self.declaration.name}' depends on {right}, and Symbol('{symbol.name}') is another symbol that prints "
                    f"the same: the derivative would be 0. Write {self.declaration.name}.diff({'sci.t' if right == 'sci.t' else written})."
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
    """`Component(z, i, ...)`: one component of an array-valued symbol or of its derivative.

    The index is a whole number, or an expression of the symbol that a sum runs over. Expressions may be differentiated
    by a component of a vector coordinate, `u.diff(X[i])`, and dX[j]/dX[i] is `KroneckerDelta(i, j)`.
    """

    is_real = True
    is_commutative = True

    @classmethod
    def eval(cls, of: sp.Expr, *index: Any) -> sp.Expr | None:
        whole = isinstance(of, sp.Add | sp.Mul | sp.Pow | sp.Function) and not isinstance(of, Applied) and not of.has(sp.Dummy)
        if whole and len(index) == 1 and not sp.sympify(index[0]).is_number:
            return _entry(of, index[0])  # (2*c)[i] is 2*c[i]: sums know components of names alone
        return None

    @property
    def _diff_wrt(self) -> bool:
        return vector_of(self) is not None

    @property
    def is_symbol(self) -> bool:  # what can be differentiated by as it is, with no stand-in
        return self._diff_wrt

    def _eval_derivative(self, symbol: Any) -> sp.Expr:
        vector = vector_of(symbol)
        if vector is not None and self.args[0] == vector:
            return sp.KroneckerDelta(symbol.args[1], self.args[1])
        inner = self.args[0].diff(symbol)
        return sp.S.Zero if inner == 0 else Component(inner, *self.args[1:])

    def _sympystr(self, printer: Any) -> str:
        return f"{printer._print(self.args[0])}[{', '.join(map(str, self.args[1:]))}]"

    def _latex(self, printer: Any, exp: str | None = None) -> str:
        text = f"{{{printer._print(self.args[0])}}}_{{{','.join(map(printer._print, self.args[1:]))}}}"
        return text if exp is None else f"{text}^{{{exp}}}"


def vector_of(symbol: Any) -> Coordinate | None:
    """The vector coordinate whose component a symbol is: X of `X[i]`. None for anything else."""
    of = symbol.args[0] if isinstance(symbol, Component) else None
    return of if isinstance(of, Coordinate) else None


class Dot(sp.Function):
    """`Dot(a, b)`: the product of two arrays, as `numpy.dot`."""

    is_real = True
    is_commutative = True

    @classmethod
    def eval(cls, a: sp.Expr, b: sp.Expr) -> sp.Expr | None:
        return sp.S.Zero if a == 0 or b == 0 else None

    def _eval_derivative(self, symbol: Any) -> sp.Expr:
        a, b = self.args
        vector = vector_of(symbol)
        if vector is not None:
            return _slope(a, vector, symbol.args[1]) * _entry(b, symbol.args[1]) + _entry(a, symbol.args[1]) * _slope(b, vector, symbol.args[1])
        return Dot(a.diff(symbol), b) + Dot(a, b.diff(symbol))

    def _latex(self, printer: Any, exp: str | None = None) -> str:
        text = rf"{printer._print(self.args[0])} \cdot {printer._print(self.args[1])}"
        return text if exp is None else rf"\left({text}\right)^{{{exp}}}"


def _entry(array: sp.Expr, index: Any) -> sp.Expr:
    """One entry of an elementwise expression of vectors: `X[i] - c[i]` of X - c."""
    vectors = {n: Component(n, index) for n in array.atoms(Quantity, Applied) if n.declaration.shape}
    if array.has(Dot, Component, sp.Derivative) or any(len(n.declaration.shape) != 1 for n in vectors):
        raise ModelError(f"`{array}` has no component {index} in short form: write its parts out as sums, sp.Sum(..., (i, 0, X.dim - 1)).")
    return array.xreplace(vectors)


def _slope(array: sp.Expr, vector: Coordinate, index: Any) -> sp.Expr:
    """The derivative of the entry of that index by the component of that index."""
    stand_in = sp.Dummy(real=True)
    slope = _entry(array.xreplace({vector: stand_in}), index).diff(stand_in)
    return slope.xreplace({stand_in: Component(vector, index)})


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
