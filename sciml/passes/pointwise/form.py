"""What a System asks of functions at points, with no grid.

    Pointwise      all of it: coordinates, functions, terms
    Term           one residual, and where it must vanish
    Place          inside the domain, at a side, at the start, on a surface
    Operator       what a term needs to know of a function at a point, besides the point itself

| operator                      | what it is at a point                                             |
|-------------------------------|-------------------------------------------------------------------|
| `Partial(v, (("x", 2),))`     | a partial derivative by scalar coordinates; `()` is the value     |
| `Combination(v, parts)`       | a sum of partial derivatives of one order, with weights           |
| `Gradient(v, X)`              | all first derivatives by a vector coordinate: an array            |
| `Along(v, X, w)`              | sum over i of w_i dv/dX_i                                         |
| `Diagonal(v, X, k, w)`        | sum over i of w_i d^k v/dX_i^k                                    |
| `Laplacian(v, X, m)`          | the Laplacian over a vector coordinate, applied m times           |

In residuals an operator stands as a `sympy.Dummy` whose name is its key in `Pointwise.operators`; a coordinate stands as a
`sympy.Dummy` of its own name. Parameters, constants, networks, data and tables stay as they were declared.
"""

import dataclasses
import hashlib
from typing import Any

import sympy as sp

from ...system import System


def placeholder(name: str) -> sp.Dummy:
    """The symbol that stands for an operator or a coordinate: one name, one symbol, in every process."""
    index = int(hashlib.sha256(name.encode()).hexdigest()[:15], 16)
    return sp.Dummy(name, dummy_index=index, real=True)


Orders = tuple[tuple[str, int], ...]
"""How often by which scalar coordinate, in the order of `Pointwise.coordinates`: u_txx is (("t", 1), ("x", 2))."""


@dataclasses.dataclass(frozen=True)
class Partial:
    """A partial derivative by scalar coordinates."""

    of: str
    orders: Orders = ()


@dataclasses.dataclass(frozen=True)
class Combination:
    """A sum of partial derivatives with weights that are the same at every point: numbers or expressions of parameters.

    None of its parts is needed by itself, which lets Taylor mode carry their sum alone.
    """

    of: str
    parts: tuple[tuple[Orders, sp.Expr], ...]


@dataclasses.dataclass(frozen=True)
class Gradient:
    """All first derivatives by a vector coordinate: an array of its dimension."""

    of: str
    coordinate: str


@dataclasses.dataclass(frozen=True)
class Along:
    """The sum over i of weight_i times dv/dX_i. The weight is an expression of the point, as an array over i."""

    of: str
    coordinate: str
    weight: sp.Expr


@dataclasses.dataclass(frozen=True)
class Diagonal:
    """The sum over i of weight_i times the derivative of some order by X_i."""

    of: str
    coordinate: str
    order: int
    weight: sp.Expr


@dataclasses.dataclass(frozen=True)
class Laplacian:
    """The Laplacian over a vector coordinate, `power` times: 1 the Laplacian, 2 the biharmonic operator."""

    of: str
    coordinate: str
    power: int = 1


Operator = Partial | Combination | Gradient | Along | Diagonal | Laplacian


@dataclasses.dataclass(frozen=True)
class Place:
    """Where a term holds: inside the domain, where some coordinates have a fixed value, or on a surface.

    Attributes:
        fixed: coordinates by name with their end: ("x", "left"), ("x", "right"), ("t", "start"), ("t", "end"); or with a number.
        surface: a `Surface` of the domain, or None.
    """

    fixed: tuple[tuple[str, str | float], ...] = ()
    surface: Any = None


@dataclasses.dataclass(frozen=True)
class Term:
    """A residual and where it must vanish.

    Attributes:
        name: short and unique: the key of weights and of the history ("u_t", "u at x.left", "initial u").
        kind: "equation", "boundary", "initial" or "final".
        place: where it holds.
        residual: left minus right side, in placeholders.
        operators: keys of what it needs, in `Pointwise.operators`.
        cited: the equation as the user wrote it, with file and line.
    """

    name: str
    kind: str
    place: Place
    residual: sp.Expr
    operators: tuple[str, ...]
    cited: str


@dataclasses.dataclass(frozen=True)
class Pointwise:
    """A System as residuals at points.

    Attributes:
        system: as declared, in one set of units.
        coordinates: names of all coordinates, the time first; vector coordinates last.
        layout: where each of them lies in the flat vector of a point.
        functions: names of the functions that networks give, one for each unknown.
        unknowns: each unknown in terms of the functions, in placeholders: `g + a*v` where conditions are built in, else `v`.
        terms: what must vanish; conditions that are built in are not among them.
        operators: what placeholders stand for, by their name.
        depends: the coordinates that each function depends on; a network sees the others at one fixed value.
        built_in: the conditions that every network fulfils, as text, for `explain`.
        ansatz: g and a of unknowns with conditions built in, in declared symbols.
    """

    system: System
    coordinates: tuple[str, ...]
    layout: dict[str, slice]
    functions: tuple[str, ...]
    unknowns: dict[str, sp.Expr]
    terms: tuple[Term, ...]
    operators: dict[str, Operator]
    depends: dict[str, tuple[str, ...]] = dataclasses.field(default_factory=dict)
    built_in: tuple[str, ...] = ()
    ansatz: dict[str, tuple[sp.Expr, sp.Expr]] = dataclasses.field(default_factory=dict)
