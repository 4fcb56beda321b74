"""Banded Jacobians: lower + upper + 1 vectors instead of n x n numbers, and solves of O(n).

A band is block tridiagonal with blocks of size max(lower, upper), or less where the model knows so. Those are solved by
block cyclic reduction (Hockney 1965; Golub and Van Loan, Matrix Computations, 4th ed., section 4.5): every second block row
is eliminated at once, then every second of what is left, so that log2(number of blocks) rounds of array operations do what
a recurrence does in n turns:

    D_2k x_2k = b_2k - L_2k x_2k-1 - U_2k x_2k+1          into the rows 2k-1 and 2k+1

One solve with kept factors, in microseconds (float64, one core of an AMD EPYC; blocks of one row, reduced to the last):

| unknowns, tridiagonal | cyclic reduction | LAPACK gtsv | recurrence (scan) | parallel cyclic reduction |
|-----------------------|------------------|-------------|-------------------|---------------------------|
| 256                   | 1.4              | 4.9         | 63                | 12                        |
| 1024                  | 2.9              | 18          | 230               | 240                       |
| 4096                  | 8.9              | 72          | 940               | 400                       |

There is no pivoting between blocks. Where the entries of a row grow too much, because a pivot was small, the result is
NaN: the step is rejected, and a shorter one makes the diagonal of M/(h g) - J dominate.

Where the band goes round, the last unknowns are a border: the rest is an ordinary band, and what couples the two is
eliminated by their Schur complement, which is small.
"""

import dataclasses
import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from ..codegen.structure import Band
from .linear import Solve, agree, differentiable, inverse, pivoted_inverse, rate_of, transposed

_LAST = 8  # unknowns that are not reduced further: their inverse compiles faster than more rounds
_WRITTEN_OUT = 8  # largest block whose products and inverses are written out as vector operations over all blocks


# -- the Jacobian ---------------------------------------------------------------------------


@dataclasses.dataclass(frozen=True, eq=False)
class BandedAlgebra:
    """Linearises to a `BandedJacobian`: as many products as the band has diagonals (Curtis, Powell and Reid 1974).

    `differential` are the states with a rate of their own: where some have none, blocks are inverted with pivoting.
    """

    band: Band
    differential: np.ndarray

    def linearise(self, f: Callable[[Any, Any], Any], t: Any, y: Any) -> tuple[Any, "BandedJacobian", Any]:
        """f(t, y), its Jacobian by y, and its derivative by t (None where f does not hold the time)."""
        n, columns = len(self.band.order), jnp.arange(len(self.band.order))
        count, colours = _colours(self.band, n, columns)
        seeds = (colours[None, :] == jnp.arange(count)[:, None]).astype(y.dtype)

        def product(seed: Any) -> Any:
            direction = self.ordering.back(seed)
            value, moved = jax.jvp(lambda y: f(t, y), (y,), (direction,))
            return value, self.ordering(moved)

        value, products = jax.vmap(product, out_axes=(None, 0))(seeds)
        diagonals = [self._diagonal(d, products, columns) for d in range(-self.band.lower, self.band.upper + 1)]
        rate = None if self.band.autonomous else rate_of(f, t, y)
        return value, BandedJacobian(self, jnp.stack(diagonals)), rate

    def _diagonal(self, d: int, products: Any, rows: Any) -> Any:
        """Row i, column i + d, out of the product with the colour of that column. Selections fuse, a gather would not."""
        n = len(self.band.order)
        inside = None if self.band.periodic else (rows + d >= 0) & (rows + d < n)
        count, colours = _colours(self.band, n, (rows + d) % n)
        total = jnp.zeros(n, products.dtype)
        for c in range(count):
            here = colours == c if inside is None else (colours == c) & inside
            total = jnp.where(here, products[c], total)
        return total

    @functools.cached_property
    def ordering(self) -> "Ordering":
        return Ordering(self.band.order)


def _colours(band: Band, n: int, columns: Any) -> tuple[int, Any]:
    """(number of colours, that of each column): columns of a colour share no row."""
    width = min(band.width, n)
    if not band.periodic:
        return width, columns % width
    whole = n // width * width  # what is left over at the seam would meet its own colour: it gets others
    return width + n - whole, jnp.where(columns < whole, columns % width, width + columns - whole)


@dataclasses.dataclass(frozen=True, eq=False)
class BandedJacobian:
    """`diagonals[lower + d, i]` is row i, column i + d in the order of the band; zero where there is no such column."""

    algebra: BandedAlgebra
    diagonals: Any

    def __matmul__(self, v: Any) -> Any:
        order = self.algebra.ordering
        return order.back(self._times(self.diagonals, order(v)))

    def _times(self, diagonals: Any, v: Any) -> Any:
        band, n = self.algebra.band, v.shape[0]
        wide = jnp.concatenate([v[n - band.lower :], v, v[: band.upper]])
        total = diagonals[0] * wide[:n]
        for k in range(1, band.width):
            total = total + diagonals[k] * wide[k : k + n]
        return total

    def solver(self, c: Any, mass: Any, exact: bool = False) -> Solve:
        """b -> x with (c*mass - J) x = b. `mass` is None for the identity, or the diagonal of the mass matrix."""
        order, band = self.algebra.ordering, self.algebra.band
        shift = c if mass is None else c * order(mass)
        matrix = (-self.diagonals).at[band.lower].add(shift)
        solve = factorised(jax.lax.stop_gradient(matrix), band, bool(self.algebra.differential.all()))
        if exact:
            solve = differentiable(lambda x: self._times(matrix, x), solve, transposed(solve))
        return lambda b: order.back(solve(order(b)))


class Ordering:
    """v -> v[order] and back; an interleaving of fields is a transposed reshape, which is cheaper than a gather."""

    def __init__(self, order: np.ndarray):
        n, fields = len(order), int(order[1]) if len(order) > 1 and order[0] == 0 else 1
        self.order, self.inverse = order, np.argsort(order)
        self.points = n if np.array_equal(order, np.arange(n)) else 0
        for m in {n // fields if fields and n % fields == 0 else 0} - {0, n}:
            if np.array_equal(order, np.arange(n).reshape(m, fields).T.ravel()):
                self.points = fields

    def __call__(self, v: Any) -> Any:
        n = len(self.order)
        if not self.points:
            return v[self.order]
        return v if self.points == n else v.reshape(n // self.points, self.points).T.reshape(n)

    def back(self, v: Any) -> Any:
        n = len(self.order)
        if not self.points:
            return v[self.inverse]
        return v if self.points == n else v.reshape(self.points, n // self.points).T.reshape(n)


# -- solves -----------------------------------------------------------------------------------


def factorised(matrix: Any, band: Band, rated: bool) -> Solve:
    """b -> x with W x = b, for the diagonals of W in the order of the band; NaN where a pivot was too small."""
    size, n = band.size, matrix.shape[1]
    border = size + n % size if band.periodic else 0
    inner = matrix[:, : n - border]
    plain = _block_tridiagonal(inner, band, size, rated)
    return _bordered(plain, matrix, band, border) if border else plain


def _block_tridiagonal(matrix: Any, band: Band, size: int, rated: bool) -> Solve:
    n = matrix.shape[1]
    blocks = -(-n // size)
    filled = blocks * size - n
    low, diagonal, up = _blocks(jnp.pad(matrix, ((0, 0), (0, filled))), band, size, n)
    rows = functools.reduce(jnp.maximum, [jnp.max(jnp.abs(x), axis=1) for x in (low, diagonal, up)])
    reduced, growth = _reduced(low, diagonal, up, rows, rated)
    # A number that is not finite in the last block reaches every unknown.
    sound = jnp.where(growth <= jnp.finfo(matrix.dtype).eps ** -0.45, 1.0, jnp.nan).astype(matrix.dtype)

    def solve(b: Any) -> Any:
        x = reduced(jnp.pad(b, (0, filled)).reshape(blocks, size).T * sound)
        return x.T.reshape(blocks * size)[:n]

    return solve


def _blocks(matrix: Any, band: Band, size: int, n: int) -> list[Any]:
    """The sub-diagonal, diagonal and super-diagonal blocks, each (row in block, column in block, block)."""
    blocks = matrix.shape[1] // size
    by_row = matrix.reshape(band.width, blocks, size)
    nothing = jnp.zeros(blocks, matrix.dtype)

    def entry(k: int, s: int, t: int) -> Any:
        d, row = k * size + t - s, np.arange(blocks) * size + s
        if k == 0 and d == 0:
            return jnp.where(row < n, by_row[band.lower, :, s], 1)  # filled up with rows of the identity
        if not -band.lower <= d <= band.upper:
            return nothing
        return jnp.where((row + d >= 0) & (row + d < n), by_row[band.lower + d, :, s], 0)  # not what is beyond an end

    every = range(size)
    return [jnp.stack([entry(k, s, t) for s in every for t in every]).reshape(size, size, blocks) for k in (-1, 0, 1)]


def _reduced(low: Any, diagonal: Any, up: Any, rows: Any, rated: bool) -> tuple[Solve, Any]:
    """(solve of a block tridiagonal system (size, blocks), largest growth): even block rows go, odd ones stay."""
    n = diagonal.shape[-1]
    if n * len(diagonal) <= max(_LAST, len(diagonal)):
        return _last(low, diagonal, up, rated), jnp.zeros((), diagonal.dtype)
    even, odd = (n + 1) // 2, n // 2
    before = lambda v: v[..., :odd]  # the even row before each odd one, and the one after it  # noqa: E731
    after = lambda v: _padded(v[..., 1:], 0, odd - even + 1)  # noqa: E731

    def level() -> Any:
        inverted, growth = _inverse(diagonal[..., 0::2], rows[..., 0::2], rated)
        low_even, up_even = low[..., 0::2], up[..., 0::2]
        left, right = -_product(low[..., 1::2], before(inverted)), -_product(up[..., 1::2], after(inverted))
        rest = diagonal[..., 1::2] + _product(left, before(up_even)) + _product(right, after(low_even))
        growth = jnp.maximum(growth, jnp.max(jnp.max(jnp.abs(rest), axis=1) / rows[..., 1::2]))
        smaller = (_product(left, before(low_even)), rest, _product(right, after(up_even)), rows[..., 1::2])
        return smaller, (inverted, left, right, -_product(inverted, low_even), -_product(inverted, up_even)), growth

    (low_left, rest, up_left, rows_left), factors, growth = _sealed(level, rows[0, 0])
    inverted, left, right, from_left, from_right = factors
    inner, later_growth = _reduced(low_left, rest, up_left, rows_left, rated)

    def solve(b: Any) -> Any:
        own = b[..., 0::2]
        x = inner(b[..., 1::2] + _apply(left, before(own)) + _apply(right, after(own)))
        wide = _padded(x, 0, even - odd)
        back = _apply(inverted, own) + _apply(from_left, _padded(x, 1, 0)[..., :even]) + _apply(from_right, wide)
        return jnp.stack([back, wide], axis=-1).reshape(len(b), 2 * even)[..., :n]

    return solve, jnp.maximum(growth, later_growth)


def _sealed(make: Callable[[], Any], number: Any) -> Any:
    """`make()` behind a condition that holds unless a number is NaN: XLA does not fuse through it.

    Fused with the rounds after it every operation is repeated for each that uses it: with blocks of two rows the program
    takes four times as long to compile.
    """
    empty = jax.tree.map(lambda v: jnp.full(v.shape, jnp.nan, v.dtype), jax.eval_shape(make))
    return jax.lax.cond(agree(number >= 0), make, lambda: empty)


def _last(low: Any, diagonal: Any, up: Any, rated: bool) -> Solve:
    """What is left is so small that its inverse is the quickest."""
    size, blocks = len(diagonal), diagonal.shape[-1]
    place = [np.eye(blocks, k=k)[None, None] for k in (-1, 0, 1)]
    full = sum(x[..., None] * jnp.asarray(p, x.dtype) for x, p in zip((low, diagonal, up), place, strict=True))
    full = full.transpose(0, 2, 1, 3).reshape(size * blocks, size * blocks)
    inverted = (inverse if rated else pivoted_inverse)(full)
    return lambda b: jnp.sum(inverted * b.reshape(1, size * blocks), axis=1).reshape(size, blocks)


def _padded(v: Any, before: int, after: int) -> Any:
    return jax.lax.pad(v, jnp.zeros((), v.dtype), [(0, 0, 0)] * (v.ndim - 1) + [(before, after, 0)])


def _product(a: Any, b: Any) -> Any:
    """Products of the blocks of two (size, size, blocks) arrays: vector operations over the blocks."""
    if len(a) > _WRITTEN_OUT:
        return jnp.einsum("ijn,jkn->ikn", a, b, precision="highest")
    return sum((a[:, j, None, :] * b[None, j, :, :] for j in range(1, len(a))), a[:, 0, None, :] * b[None, 0, :, :])


def _apply(a: Any, b: Any) -> Any:
    if len(a) > _WRITTEN_OUT:
        return jnp.einsum("ijn,jn->in", a, b, precision="highest")
    return sum((a[:, j, :] * b[None, j, :] for j in range(1, len(a))), a[:, 0, :] * b[None, 0, :])


def _inverse(a: Any, rows: Any, rated: bool) -> tuple[Any, Any]:
    """The inverses of all blocks, and how much rows grew: by Gauss and Jordan without pivoting, or by LAPACK's LU."""
    size, growth = len(a), jnp.zeros((), a.dtype)
    if size > _WRITTEN_OUT or (size > 1 and not rated):
        return jnp.moveaxis(jnp.linalg.inv(jnp.moveaxis(a, -1, 0)), 0, -1), growth
    for k in range(size):
        here = (np.arange(size) == k)[:, None]
        growth = jnp.maximum(growth, jnp.max(jnp.max(jnp.abs(a[k, k:]), axis=0) / rows[k])) if k else growth
        row = jnp.where(here, 1.0, a[k]) / a[k, k][None, :]
        reduced = jnp.where(here[:, None] | here[None, :], 0.0, a)
        a = reduced - jnp.where(here, -1.0, a[:, k])[:, None] * row[None, :]
    return a, growth


def _bordered(plain: Solve, matrix: Any, band: Band, border: int) -> Solve:
    """The band that goes round: [[T, F], [G, D]] with T an ordinary band and a border of few unknowns.

    G couples the border with `ends`, the first and the last unknowns of T, alone.
    """
    n = matrix.shape[1]
    inner, size = n - border, max(band.lower, band.upper)
    ends = np.concatenate([np.arange(size), np.arange(inner - size, inner)])
    last = np.arange(inner, n)
    F = jnp.zeros((inner, border), matrix.dtype).at[ends].set(_entries(matrix, band, ends, last))
    G, D = _entries(matrix, band, last, ends), _entries(matrix, band, last, last)
    through = jax.vmap(plain, in_axes=1, out_axes=1)(F)
    schur = jnp.linalg.inv(D - G @ through[ends])

    def solve(b: Any) -> Any:
        first = plain(b[:inner])
        rest = schur @ (b[inner:] - G @ jnp.concatenate([first[:size], first[inner - size :]]))
        return jnp.concatenate([first - through @ rest, rest])

    return solve


def _entries(matrix: Any, band: Band, rows: np.ndarray, columns: np.ndarray) -> Any:
    """A part of the matrix as a dense array."""
    n = matrix.shape[1]
    d = (columns[None, :] - rows[:, None] + band.lower) % n - band.lower
    inside = (d >= -band.lower) & (d <= band.upper)
    return jnp.where(inside, matrix[np.where(inside, band.lower + d, 0), np.broadcast_to(rows[:, None], d.shape)], 0)
