"""Operations on whole fields, as data: NumPy numbers here, array code in `codegen`.

| operator   | arrays in           | array out                                                    |
|------------|---------------------|--------------------------------------------------------------|
| Points     |                     | the coordinates of an axis                                   |
| Waves      |                     | the wave numbers of an axis after `Forward`                  |
| Symbol     |                     | what a periodic stencil multiplies each wave by              |
| Zeros      |                     | 0 everywhere                                                 |
| Lift       | a                   | a with axes of length 1 put in, so that it meets other fields |
| Drop       | a                   | a without those axes                                         |
| Fill       | a                   | a, repeated to the whole grid                                |
| Stencil    | a                   | sums of neighbours along an axis, closures at the ends       |
| Matrix     | a                   | a matrix along an axis                                       |
| Ends       | a, ends             | a with its first and last entries replaced                   |
| Around     | a, ends             | a with entries put before its first and after its last       |
| Inner      | a                   | a with zeros in its first and last entries                   |
| Edge       | a                   | a weighted sum of the entries near one end                   |
| Total      | a                   | a weighted sum along an axis                                 |
| Running    | a                   | sums up to each entry, 0 before the first                    |
| Limited    | a                   | values at the cell faces, by a reconstruction with a limiter |
| Forward    | a                   | the Fourier, sine or cosine coefficients of a                |
| Backward   | coefficients        | the field that they stand for                                |
| Band       | coefficients        | those of high waves set to zero                              |
| PerPoint   | g(a, ...)           | a neural function at every point                             |
| Inverse    | coefficients        | 1/a, 0 where a is 0                                          |
| Root       | a, ...              | z with residual(z, a, ...) = 0, by Newton's method           |

`axis` counts the axes of the frame that an equation lives on. Operators compare by content.
"""

import dataclasses
import functools
from typing import Any

import numpy as np
import sympy as sp

from ...symbols import content


@dataclasses.dataclass(frozen=True, eq=False)
class Operator:
    """What all have in common: identity by content, and whether they are linear in their operands together."""

    linear = True

    @functools.cached_property
    def key(self) -> str:
        import hashlib

        parts = [(f.name, content(_plain(getattr(self, f.name)))) for f in dataclasses.fields(self)]
        return hashlib.sha256(repr((type(self).__name__, parts)).encode()).hexdigest()[:24]

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Operator) and self.key == other.key

    def __hash__(self) -> int:
        return hash(self.key)

    def __reduce__(self) -> Any:
        return (type(self), tuple(getattr(self, f.name) for f in dataclasses.fields(self)))

    @property
    def shown(self) -> str:
        """A short name for printed equations."""
        return type(self).__name__


def _plain(value: Any) -> Any:
    return value.key if isinstance(value, Operator) else [_plain(v) for v in value] if isinstance(value, tuple) else value


# -- the grid itself ---------------------------------------------------------------------


@dataclasses.dataclass(frozen=True, eq=False)
class Points(Operator):
    """Coordinates along one axis: `first + step*i` for n points, or those listed."""

    rank: int
    axis: int
    n: int
    first: float
    step: float
    listed: Any = None
    shift: tuple[tuple[int, float], ...] = ()  # entries that are moved off a singular point: (index, value)

    @property
    def shown(self) -> str:
        return "points"


@dataclasses.dataclass(frozen=True, eq=False)
class Waves(Operator):
    """Wave numbers 2 pi j / length along one transformed axis; `half` where the transform keeps j >= 0 only.

    With `odd`, the highest wave of an even number of points is 0: its odd derivatives cannot be told from 0.
    For a sine or cosine axis, pi j / length.
    """

    rank: int
    axis: int
    n: int
    length: float
    kind: str = "fourier"
    half: bool = False
    odd: bool = False

    @property
    def shown(self) -> str:
        return f"k{self.axis}"

    def numbers(self) -> np.ndarray:
        """As a vector."""
        if self.kind == "sine":
            return np.pi * np.arange(1, self.n + 1) / self.length
        if self.kind == "cosine":
            return np.pi * np.arange(self.n) / self.length
        j = np.arange(self.n // 2 + 1) if self.half else np.fft.fftfreq(self.n, 1 / self.n)
        k = 2 * np.pi * j / self.length
        if self.odd and self.n % 2 == 0:
            k[self.n // 2] = 0.0
        return k


@dataclasses.dataclass(frozen=True, eq=False)
class Symbol(Operator):
    """What a periodic stencil multiplies each wave by: the sum of w_j exp(2 pi i j m / n)."""

    rank: int
    axis: int
    n: int
    half: bool
    first: int
    weights: Any

    @property
    def shown(self) -> str:
        return f"s{self.axis}"

    def numbers(self) -> np.ndarray:
        """As a vector, complex unless the stencil is symmetric."""
        j = np.arange(self.n // 2 + 1) if self.half else np.fft.fftfreq(self.n, 1 / self.n)
        weights = np.asarray(self.weights, float)
        offsets = self.first + np.arange(len(weights))
        found = np.exp(2j * np.pi * np.outer(j, offsets) / self.n) @ weights
        return found.real if np.max(np.abs(found.imag)) <= 1e-13 * np.max(np.abs(weights)) else found


@dataclasses.dataclass(frozen=True, eq=False)
class Zeros(Operator):
    """Nothing, in the shape of a field."""

    shape: tuple[int, ...]


# -- shapes ----------------------------------------------------------------------------------


@dataclasses.dataclass(frozen=True, eq=False)
class Lift(Operator):
    """An array over the axes `where` of a frame of that rank; the others get length 1."""

    rank: int
    where: tuple[int, ...]


@dataclasses.dataclass(frozen=True, eq=False)
class Drop(Operator):
    """Axes of length 1 taken away; those in `where` stay."""

    rank: int
    where: tuple[int, ...]


@dataclasses.dataclass(frozen=True, eq=False)
class Fill(Operator):
    """Repeated to a shape; None leaves an axis as it is."""

    shape: tuple[int | None, ...]


# -- along one axis ---------------------------------------------------------------------------


@dataclasses.dataclass(frozen=True, eq=False)
class Stencil(Operator):
    """out[i] = sum_k weights[k] in[first + i + k] for the inner rows; `head` and `tail` are the rows at the ends.

    `weights` is (width,), or (rows, width) where each row has its own. `head` is (rows, columns) over the first
    entries, `tail` over the last. Periodic: indices wrap around and there are no ends.
    """

    axis: int
    n: int
    first: int
    inner: int
    weights: Any
    head: Any = ()
    tail: Any = ()
    periodic: bool = False
    name: str = "stencil"

    @property
    def shown(self) -> str:
        return self.name

    @property
    def rows(self) -> int:
        """How many entries come out."""
        return len(self.head) + self.inner + len(self.tail)

    def matrix(self) -> np.ndarray:
        """As a matrix, for what is done at compile time."""
        w = np.asarray(self.weights, float)
        inner = np.zeros((self.inner, self.n))
        for k in range(w.shape[-1]):
            columns = self.first + np.arange(self.inner) + k
            inner[np.arange(self.inner), columns % self.n] += w[..., k]
        head, tail = np.zeros((len(self.head), self.n)), np.zeros((len(self.tail), self.n))
        if len(self.head):
            head[:, : np.shape(self.head)[1]] = self.head
        if len(self.tail):
            tail[:, self.n - np.shape(self.tail)[1] :] = self.tail
        return np.concatenate([head, inner, tail])


@dataclasses.dataclass(frozen=True, eq=False)
class Matrix(Operator):
    """A dense matrix along an axis."""

    axis: int
    entries: np.ndarray
    name: str = "matrix"

    @property
    def shown(self) -> str:
        return self.name

    def matrix(self) -> np.ndarray:
        return self.entries


@dataclasses.dataclass(frozen=True, eq=False)
class Ends(Operator):
    """Operands: the array, `left` values for its first entries, `right` values for its last."""

    axis: int
    left: int
    right: int


@dataclasses.dataclass(frozen=True, eq=False)
class Around(Operator):
    """Operands: the array, `left` values before it, `right` values after it (from the inside outwards)."""

    axis: int
    left: int
    right: int


@dataclasses.dataclass(frozen=True, eq=False)
class Inner(Operator):
    """Zeros in the first and last entries of each axis: (left, right) counts."""

    cuts: tuple[tuple[int, int], ...]


@dataclasses.dataclass(frozen=True, eq=False)
class Edge(Operator):
    """sum_j weights[j] a[skip + j] from the left end, or as counted from the right end; the axis keeps length 1."""

    axis: int
    end: str
    skip: int
    weights: tuple[float, ...]

    @property
    def shown(self) -> str:
        return f"edge_{self.end}"


@dataclasses.dataclass(frozen=True, eq=False)
class Total(Operator):
    """sum_i weights_i a_i along an axis, which keeps length 1. One number stands for equal weights."""

    axis: int
    n: int
    weights: Any


@dataclasses.dataclass(frozen=True, eq=False)
class Running(Operator):
    """Sums of all entries up to each one. `start` puts a 0 first, for values between which the entries lie."""

    axis: int
    n: int
    start: bool


@dataclasses.dataclass(frozen=True, eq=False)
class Limited(Operator):
    """Values at the faces between cells, from the left or the right side of each.

    The operand has `layers` cells more at each end. Schemes: "upwind" (first order), "muscl" (van Leer's limiter),
    "weno5" (Jiang and Shu's weights in Borges's WENO-Z form).
    """

    linear = False
    axis: int
    n: int
    scheme: str
    side: str  # of the face that the value comes from: "left" or "right"
    periodic: bool

    @property
    def shown(self) -> str:
        return f"{self.scheme}_{self.side}"


# -- transforms ----------------------------------------------------------------------------------


@dataclasses.dataclass(frozen=True, eq=False)
class Transform(Operator):
    """Which axes are transformed, how long they are and by what; the last Fourier axis of a real field is halved."""

    axes: tuple[int, ...]
    lengths: tuple[int, ...]
    kinds: tuple[str, ...]
    matrices: tuple[Any, ...] = ()  # for the axes of kind "eigen", in their order


class Forward(Transform):
    """To coefficients, each transform an average over the points (sine, cosine: of the series)."""

    def undoes(self, other: Operator) -> bool:
        """Whether the other is the way back from these coefficients."""
        return isinstance(other, Backward) and (self.axes, self.lengths, self.kinds) == (other.axes, other.lengths, other.kinds)

    @property
    def shown(self) -> str:
        return "forward"


class Backward(Transform):
    """From coefficients to the field."""

    @property
    def shown(self) -> str:
        return "backward"


@dataclasses.dataclass(frozen=True, eq=False)
class Band(Operator):
    """Zero for |j| > keep*n/2 along each Fourier axis: what products would alias into."""

    rank: int
    axes: tuple[int, ...]
    lengths: tuple[int, ...]
    halved: int  # the axis that keeps j >= 0 only, -1 for none
    kinds: tuple[str, ...]
    keep: float

    @property
    def shown(self) -> str:
        return "band"

    def masks(self) -> list[np.ndarray]:
        """One mask of zeros and ones for each axis."""
        found = []
        for axis, n, kind in zip(self.axes, self.lengths, self.kinds, strict=True):
            if kind == "fourier":
                j = np.arange(n // 2 + 1) if axis == self.halved else np.abs(np.fft.fftfreq(n, 1 / n))
                found.append((j < self.keep * n / 2).astype(float))
            else:
                found.append((np.arange(n) < self.keep * n).astype(float))
        return found


@dataclasses.dataclass(frozen=True, eq=False)
class PerPoint(Operator):
    """A neural function of arrays, at every point on its own. The operand is the function applied to them."""

    linear = False


@dataclasses.dataclass(frozen=True, eq=False)
class Inverse(Operator):
    """1/a where a is not 0, and 0 there: solves an equation up to the constant that it leaves open."""

    linear = False


@dataclasses.dataclass(frozen=True, eq=False)
class Root(Operator):
    """Unknowns z that make residuals vanish. `symbols` are those of z, then of the operands; the first operands are guesses for z.

    `index` says which of the unknowns is the value.
    """

    linear = False
    residuals: tuple[sp.Expr, ...]
    unknowns: tuple[sp.Symbol, ...]
    operands: tuple[sp.Symbol, ...]
    index: int

    @property
    def shown(self) -> str:
        return "root"
