"""What is known of the Jacobian of a model's rates, so that an implicit method never writes all of it down.

| structure | Jacobian kept as                 | for                                                       |
|-----------|----------------------------------|-----------------------------------------------------------|
| Dense     | n x n numbers                    | small Systems                                             |
| Band      | lower + upper + 1 vectors        | one space dimension, local schemes                        |
| Free      | products with a vector           | more space dimensions, transforms, integrals              |

A model says so by its attribute `structure`; without it the pattern of the symbols is taken.
"""

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np

from ..errors import CompileError


@dataclasses.dataclass(frozen=True, eq=False)
class Dense:
    """All entries that `pattern` allows; row i, column j: the rate of state i holds state j.

    `autonomous`: no rate holds the time. False is always right and costs one product more in a step.

    >>> import numpy as np
    >>> from sciml.codegen.structure import Dense
    >>> Dense(np.eye(3, dtype=bool), autonomous=True).pattern.sum()
    np.int64(3)
    """

    pattern: np.ndarray
    autonomous: bool = False

    def __post_init__(self) -> None:
        if self.pattern.ndim != 2 or self.pattern.shape[0] != self.pattern.shape[1]:
            raise CompileError(f"The pattern of a Jacobian is square, this one is {self.pattern.shape}: write Dense(np.ones((n, n), bool)).")


@dataclasses.dataclass(frozen=True, eq=False)
class Band:
    """`lower` sub-diagonals and `upper` super-diagonals once the states are taken in `order`.

    With several fields on one grid the order takes all fields of a point, then those of the next. `periodic`: the band
    goes round, so that the first rows hold the last columns and the other way round. `block`: cut into blocks of that many
    rows and columns, the band is block tridiagonal; smaller ones are solved faster, and m fields that look r points far have
    blocks of m*r although they have m*r + m - 1 diagonals to a side. 0 stands for max(lower, upper), which always holds.

    >>> import numpy as np
    >>> from sciml.codegen.structure import Band
    >>> two_fields = np.arange(2 * 64).reshape(2, 64).T.ravel()  # u_0, v_0, u_1, v_1, ...
    >>> band = Band(two_fields, lower=2, upper=2)
    >>> band.width, int(band.pattern().sum(1).max())
    (5, 5)
    """

    order: np.ndarray
    lower: int
    upper: int
    periodic: bool = False
    autonomous: bool = False
    block: int = 0

    def __post_init__(self) -> None:
        n = len(self.order)
        if self.block and not max(self.lower, self.upper) < 2 * self.block:
            raise CompileError(
                f"Blocks of {self.block} are too small for {self.lower} diagonals below and {self.upper} above: "
                f"write Band(..., block={max(self.lower, self.upper)})."
            )
        if self.lower < 0 or self.upper < 0:
            raise CompileError(f"A band has no negative number of diagonals (lower={self.lower}, upper={self.upper}): write Band(order, 1, 1).")
        if not np.array_equal(np.sort(self.order), np.arange(n)):
            raise CompileError(f"The order of a band names each of the {n} states once: write Band(np.arange({n}), ...).")

    @property
    def width(self) -> int:
        """Diagonals, the main one included."""
        return self.lower + self.upper + 1

    @property
    def size(self) -> int:
        """Rows of a block."""
        return self.block or max(self.lower, self.upper, 1)

    def pattern(self) -> np.ndarray:
        """The entries as n x n truths, in the states' own order: for small n and for tests."""
        n = len(self.order)
        pattern = np.zeros((n, n), bool)
        for d in range(-self.lower, self.upper + 1):
            rows = np.arange(n)
            inside = np.ones(n, bool) if self.periodic else (rows + d >= 0) & (rows + d < n)
            pattern[self.order[rows[inside]], self.order[(rows[inside] + d) % n]] = True
        return pattern


@dataclasses.dataclass(frozen=True, eq=False)
class Free:
    """Nothing but products of the Jacobian with a vector, and an approximate inverse that makes them few.

    `precondition(c, p)` with c a positive number and p the flat parameters gives a linear function v -> P v, where P is
    close to the inverse of c*M - J (M is the mass matrix, mostly the identity). The exact inverse for the terms with constant
    coefficients is a good choice: the number of products then hardly depends on the grid.

    >>> from sciml.codegen.structure import Free
    >>> decay = Free(precondition=lambda c, p: lambda v: v / (c + 1.0), autonomous=True)  # J is about -1
    >>> decay.precondition(3.0, None)(8.0)
    2.0
    """

    precondition: Callable[[Any, Any], Callable[[Any], Any]] | None = None
    autonomous: bool = False


Structure = Dense | Band | Free
