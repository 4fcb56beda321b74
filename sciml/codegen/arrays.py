"""Operators on whole fields as array code: slices, shifts, sums, transforms. No gather, no scatter, no entry by entry.

Each function here takes the operator (numbers of NumPy) and arrays of JAX. What has the length of the grid is made by
`iota` where it can be, so that the program does not grow with the grid.
"""

import dataclasses
import functools
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from ..passes import operators as op
from .spread import active, along_first, along_others


@dataclasses.dataclass(frozen=True)
class Apply:
    """An operator as a function of its arrays. Equal operators are equal functions, so that a tape computes each once."""

    operator: op.Operator

    def __call__(self, *arrays: Any) -> Any:
        return _apply(self.operator, *(jnp.asarray(a) for a in arrays))


@functools.singledispatch
def _apply(o: Any, *arrays: Any) -> Any:
    raise TypeError(f"There is no array code for {type(o).__name__}.")


_of: Callable[..., Any] = _apply.register


def _along(vector: Any, axis: int, rank: int) -> Any:
    """A vector as an array with its entries along one axis."""
    return jnp.reshape(vector, tuple(-1 if i == axis else 1 for i in range(rank)))


def _slice(a: Any, axis: int, start: int, stop: int) -> Any:
    return jax.lax.slice_in_dim(a, start, stop, axis=axis)


def _float(values: Any) -> Any:
    return jnp.asarray(values, float)


# -- the grid ---------------------------------------------------------------------------------


@_of(op.Points)
def _(o: op.Points) -> Any:
    if o.listed is not None:
        values = _float(o.listed)
    else:
        values = o.first + o.step * jnp.arange(o.n, dtype=_float(0.0).dtype)
    for index, value in o.shift:
        values = jnp.where(np.arange(o.n) == index, value, values) if o.n <= 4096 else values.at[index].set(value)
    return _along(values, o.axis, o.rank)


@_of(op.Waves)
def _(o: op.Waves) -> Any:
    dtype = _float(0.0).dtype
    if o.kind in ("sine", "cosine"):
        k = jnp.arange(1, o.n + 1, dtype=dtype) if o.kind == "sine" else jnp.arange(o.n, dtype=dtype)
        return _along(np.pi / o.length * k, o.axis, o.rank)
    j = jnp.arange(o.n // 2 + 1, dtype=dtype) if o.half else _signed(o.n, dtype)
    if o.odd and o.n % 2 == 0:
        j = jnp.where(jnp.abs(j) == o.n // 2, 0.0, j)
    return _along(2 * np.pi / o.length * j, o.axis, o.rank)


def _signed(n: int, dtype: Any) -> Any:
    """0, 1, ..., -2, -1: the order of coefficients."""
    j = jnp.arange(n, dtype=dtype)
    return jnp.where(j > (n - 1) // 2, j - n, j)


@_of(op.Symbol)
def _(o: op.Symbol) -> Any:
    dtype = _float(0.0).dtype
    j = jnp.arange(o.n // 2 + 1, dtype=dtype) if o.half else _signed(o.n, dtype)
    angle = 2 * np.pi / o.n * j
    weights = np.asarray(o.weights, float)
    offsets = o.first + np.arange(len(weights))
    even = sum(float(w) * jnp.cos(float(m) * angle) for w, m in zip(weights, offsets, strict=True) if w)
    if np.array_equal(weights, weights[::-1]) and offsets[0] == -offsets[-1]:
        return _along(even, o.axis, o.rank)
    odd = sum(float(w) * jnp.sin(float(m) * angle) for w, m in zip(weights, offsets, strict=True) if w)
    return _along(jax.lax.complex(even + 0 * angle, odd + 0 * angle), o.axis, o.rank)


@_of(op.Zeros)
def _(o: op.Zeros) -> Any:
    return jnp.zeros(o.shape)


# -- shapes -----------------------------------------------------------------------------------


@_of(op.Lift)
def _(o: op.Lift, a: Any) -> Any:
    shape = iter(a.shape)
    return jnp.reshape(a, tuple(next(shape) if i in o.where else 1 for i in range(o.rank)))


@_of(op.Drop)
def _(o: op.Drop, a: Any) -> Any:
    return jnp.reshape(a, tuple(a.shape[i] for i in o.where)) if a.ndim else a


@_of(op.Fill)
def _(o: op.Fill, a: Any) -> Any:
    own = (1,) * (len(o.shape) - a.ndim) + a.shape
    return jnp.broadcast_to(a, tuple(n if n is not None else m for n, m in zip(o.shape, own, strict=True)))


# -- along one axis -----------------------------------------------------------------------------


@_of(op.Stencil)
def _(o: op.Stencil, a: Any) -> Any:
    weights = np.asarray(o.weights, float)
    if o.periodic:
        return _weighted(weights, lambda k: _rolled(a, o.first + k, o.axis), a)
    inner = _weighted(weights, lambda k: _slice(a, o.axis, o.first + k, o.first + k + o.inner), a, o.axis)
    parts = [inner]
    if len(o.head):
        parts.insert(0, _dense(np.asarray(o.head), _slice(a, o.axis, 0, np.shape(o.head)[1]), o.axis))
    if len(o.tail):
        parts.append(_dense(np.asarray(o.tail), _slice(a, o.axis, o.n - np.shape(o.tail)[1], o.n), o.axis))
    return jnp.concatenate(parts, axis=o.axis) if len(parts) > 1 else inner


def _rolled(a: Any, offset: int, axis: int) -> Any:
    """a[i + offset], indices going round. Two zero-padded pieces, which XLA fuses into loops without a branch: 0.6 of the time of `roll`."""
    n = a.shape[axis]
    offset = (offset + n // 2) % n - n // 2
    if offset == 0:
        return a

    def padded(piece: Any, low: int, high: int) -> Any:
        return jax.lax.pad(piece, jnp.zeros((), a.dtype), [(low, high, 0) if i == axis else (0, 0, 0) for i in range(a.ndim)])

    if offset > 0:
        return padded(_slice(a, axis, offset, n), 0, offset) + padded(_slice(a, axis, 0, offset), n - offset, 0)
    return padded(_slice(a, axis, 0, n + offset), -offset, 0) + padded(_slice(a, axis, n + offset, n), 0, n + offset)


def _weighted(weights: np.ndarray, piece: Callable[[int], Any], a: Any, axis: int = 0) -> Any:
    """sum_k weights[k] * piece(k). Weights of one size are multiplied by once: (a - b)/h, not a/h - b/h."""
    if weights.ndim == 1:
        scale = float(np.max(np.abs(weights)))
        total: Any = None
        for k in np.argsort(-weights, kind="stable"):
            w = float(weights[k]) / scale
            if w == 0:
                continue
            term = piece(int(k)) if abs(w) == 1 else abs(w) * piece(int(k))
            total = (term if w > 0 else -term) if total is None else total + term if w > 0 else total - term
        return scale * total
    rows = [_along(_float(weights[:, k]), axis, a.ndim) * piece(k) for k in range(weights.shape[1])]
    return functools.reduce(jnp.add, rows)


def _dense(matrix: np.ndarray, a: Any, axis: int) -> Any:
    found = jnp.tensordot(_float(matrix).astype(a.dtype), a, axes=(1, axis), precision=jax.lax.Precision.HIGHEST)
    return jnp.moveaxis(found, 0, axis)


@_of(op.Matrix)
def _(o: op.Matrix, a: Any) -> Any:
    return _whole(lambda a: _dense(np.asarray(o.entries), a, o.axis), a, o.axis)


def _as_strip(value: Any, a: Any, axis: int) -> Any:
    """A value at an end in the shape of one layer of the array."""
    return jnp.broadcast_to(jnp.asarray(value, a.dtype), (*a.shape[:axis], 1, *a.shape[axis + 1 :]))


def _joined(parts: Sequence[Any], a: Any, axis: int) -> Any:
    """Side by side along one axis, each part as wide as the widest in the others."""
    shape = np.broadcast_shapes(*((*p.shape[:axis], 1, *p.shape[axis + 1 :]) for p in parts))
    wide = [jnp.broadcast_to(p, (*shape[:axis], p.shape[axis], *shape[axis + 1 :])) for p in parts]
    return jnp.concatenate(wide, axis=axis)


def _strips(values: Sequence[Any], a: Any, axis: int) -> list[Any]:
    made = []
    for v in values:
        v = jnp.asarray(v, a.dtype)
        made.append(v if v.ndim == a.ndim else jnp.reshape(v, (1,) * a.ndim))
    return made


@_of(op.Ends)
def _(o: op.Ends, a: Any, *ends: Any) -> Any:
    strips = _strips(ends, a, o.axis)
    middle = _slice(a, o.axis, o.left, a.shape[o.axis] - o.right)
    return _joined([*strips[: o.left], middle, *strips[o.left :]], a, o.axis)


@_of(op.Around)
def _(o: op.Around, a: Any, *ends: Any) -> Any:
    strips = _strips(ends, a, o.axis)
    return _joined([*reversed(strips[: o.left]), a, *strips[o.left :]], a, o.axis)


@_of(op.Inner)
def _(o: op.Inner, a: Any) -> Any:
    middle = jax.lax.slice(a, [left for left, _ in o.cuts], [n - right for n, (_, right) in zip(a.shape, o.cuts, strict=True)])
    return jnp.pad(middle, o.cuts)


@_of(op.Edge)
def _(o: op.Edge, a: Any) -> Any:
    n = a.shape[o.axis]
    if n == 1:
        return a * float(np.sum(o.weights))
    weights = np.asarray(o.weights)
    if len(weights) <= 12:

        def piece(k: int) -> Any:
            at = o.skip + k if o.end == "left" else n - 1 - o.skip - k
            return _slice(a, o.axis, at, at + 1)

        return _weighted(weights, piece, a)
    row = weights if o.end == "left" else weights[::-1]
    start = o.skip if o.end == "left" else n - o.skip - len(weights)
    return _dense(row[None, :], _slice(a, o.axis, start, start + len(row)), o.axis)


@_of(op.Total)
def _(o: op.Total, a: Any) -> Any:
    weights = np.asarray(o.weights, float)
    if weights.ndim == 0:
        return float(weights) * jnp.sum(a, axis=o.axis, keepdims=True) * (o.n if a.shape[o.axis] == 1 else 1)
    if np.count_nonzero(weights) <= 12:  # a value at a point
        used = np.flatnonzero(weights)
        return functools.reduce(jnp.add, [float(weights[i]) * _slice(a, o.axis, int(i), int(i) + 1) for i in used])
    return jnp.sum(a * _along(_float(weights), o.axis, a.ndim), axis=o.axis, keepdims=True)


@_of(op.Running)
def _(o: op.Running, a: Any) -> Any:
    sums = jnp.cumsum(a, axis=o.axis)
    return jnp.concatenate([jnp.zeros_like(_slice(a, o.axis, 0, 1)), sums], axis=o.axis) if o.start else sums


# -- values at faces ------------------------------------------------------------------------------


@_of(op.Limited)
def _(o: op.Limited, a: Any) -> Any:
    """Face j lies to the left of cell j. From the left the cells are j-1, j-2, ..., from the right j, j+1, ..."""
    layers = {"weno5": 3, "muscl": 2}.get(o.scheme, 1)
    faces = o.n if o.periodic else o.n + 1

    def cell(k: int) -> Any:
        """The k-th cell upwind of each face (0 the nearest, -1 the one across the face)."""
        offset = -1 - k if o.side == "left" else k
        if o.periodic:
            return _rolled(a, offset, o.axis)
        return _slice(a, o.axis, layers + offset, layers + offset + faces)

    if o.scheme == "muscl":
        return _van_leer(cell(1), cell(0), cell(-1))
    if o.scheme == "weno5":
        return _weno5(cell(2), cell(1), cell(0), cell(-1), cell(-2))
    return cell(0)


def _van_leer(behind: Any, here: Any, ahead: Any) -> Any:
    """Half a cell ahead with the harmonic mean of both slopes, none at an extremum (van Leer 1979)."""
    first, second = here - behind, ahead - here
    product = first * second
    total = jnp.where(product > 0, first + second, 1.0)
    return here + jnp.where(product > 0, product, 0.0) / total


def _weno5(a: Any, b: Any, c: Any, d: Any, e: Any) -> Any:
    """Three parabolas weighted by how smooth they are (Jiang and Shu 1996, weights of Borges et al. 2008)."""
    values = ((2 * a - 7 * b + 11 * c) / 6, (-b + 5 * c + 2 * d) / 6, (2 * c + 5 * d - e) / 6)
    rough = (
        13 / 12 * (a - 2 * b + c) ** 2 + (a - 4 * b + 3 * c) ** 2 / 4,
        13 / 12 * (b - 2 * c + d) ** 2 + (b - d) ** 2 / 4,
        13 / 12 * (c - 2 * d + e) ** 2 + (3 * c - 4 * d + e) ** 2 / 4,
    )
    tiny = 1e-40 if jnp.result_type(c) == jnp.float64 else 1e-20
    jump = jnp.abs(rough[0] - rough[2])
    weights = [g * (1 + (jump / (r + tiny)) ** 2) for g, r in zip((0.1, 0.6, 0.3), rough, strict=True)]
    return sum(w * v for w, v in zip(weights, values, strict=True)) / sum(weights)


# -- transforms -------------------------------------------------------------------------------------


@_of(op.Forward)
def _(o: op.Forward, a: Any) -> Any:
    full = list(a.shape)
    for axis, n in zip(o.axes, o.lengths, strict=True):
        full[axis] = n
    a = jnp.broadcast_to(a, tuple(full))
    matrices = iter(o.matrices)
    for axis, kind in zip(o.axes, o.kinds, strict=True):
        if kind == "eigen":
            a = _whole(functools.partial(_dense, next(matrices), axis=axis), a, axis)
        elif kind != "fourier":
            a = _whole(functools.partial(_sines if kind == "sine" else _cosines, axis=axis), a, axis)
    fourier = [axis for axis, kind in zip(o.axes, o.kinds, strict=True) if kind == "fourier"]
    if not active() or not fourier:
        return jnp.fft.rfftn(a, axes=fourier) if fourier else a
    *others, last = fourier
    a = _whole(functools.partial(jnp.fft.rfft, axis=last), a, last)
    for axis in others:
        a = _whole(functools.partial(jnp.fft.fft, axis=axis), a, axis)
    return a


@_of(op.Backward)
def _(o: op.Backward, a: Any) -> Any:
    fourier = [(axis, n) for axis, n, kind in zip(o.axes, o.lengths, o.kinds, strict=True) if kind == "fourier"]
    if fourier:
        if not jnp.iscomplexobj(a):
            a = jax.lax.complex(a, jnp.zeros_like(a))
        if active():
            *others, (last, n) = fourier
            for axis, _ in others:
                a = _whole(functools.partial(jnp.fft.ifft, axis=axis), a, axis)
            a = _whole(functools.partial(jnp.fft.irfft, n=n, axis=last), a, last)
        else:
            a = jnp.fft.irfftn(a, s=[n for _, n in fourier], axes=[axis for axis, _ in fourier])
    matrices = iter(o.matrices)
    for axis, kind in zip(o.axes, o.kinds, strict=True):
        if kind == "eigen":
            a = _whole(functools.partial(_dense, next(matrices), axis=axis), a, axis)
        elif kind != "fourier":
            a = _whole(functools.partial(_series, axis=axis, kind=kind), a, axis)
    return a


def _whole(f: Callable[[Any], Any], a: Any, axis: int) -> Any:
    """f along an axis, all of which it needs."""
    return along_first(f, a) if axis == 0 else along_others(f, a)


def _cosines(a: Any, axis: int) -> Any:
    return jax.scipy.fft.dct(a, type=2, axis=axis)


def _sines(a: Any, axis: int) -> Any:
    """The sine transform of type II: a cosine transform of alternating signs, read backwards."""
    signs = _along(_float((-1.0) ** np.arange(a.shape[axis])), axis, a.ndim)
    return jnp.flip(jax.scipy.fft.dct(a * signs, type=2, axis=axis), axis)


def _series(a: Any, axis: int, kind: str) -> Any:
    """A series at the cell centres. "cosine<sine" sums the cosines of what were coefficients of sines."""
    n = a.shape[axis]
    shown, _, own = kind.partition("<")
    zero = jnp.zeros_like(_slice(a, axis, 0, 1))
    if own == "sine":  # sines j = 1..n as cosines 0..n-1; the cosine of wave n is 0 at the centres
        # the transform of type II counts wave n of sines, and wave 0 of cosines, twice
        a = jnp.concatenate([zero, _slice(a, axis, 0, n - 1)], axis=axis)
    elif own == "cosine":  # cosines 0..n-1 as sines 1..n: that of wave n had no slope that the points see
        a = jnp.concatenate([_slice(a, axis, 1, n), zero], axis=axis)
    if shown == "cosine":
        return jax.scipy.fft.idct(a, type=2, axis=axis)
    signs = _along(_float((-1.0) ** np.arange(n)), axis, a.ndim)
    return signs * jax.scipy.fft.idct(jnp.flip(a, axis), type=2, axis=axis)


@_of(op.Band)
def _(o: op.Band, a: Any) -> Any:
    dtype = jnp.real(a).dtype
    for axis, n, kind in zip(o.axes, o.lengths, o.kinds, strict=True):
        if kind == "fourier":
            j = jnp.arange(n // 2 + 1, dtype=dtype) if axis == o.halved else jnp.abs(_signed(n, dtype))
            kept = j < o.keep * n / 2
        else:
            kept = jnp.arange(n, dtype=dtype) < o.keep * n
        a = jnp.where(_along(kept, axis, o.rank), a, 0)
    return a


@_of(op.Inverse)
def _(o: op.Inverse, a: Any) -> Any:
    zero = a == 0
    return jnp.where(zero, 0, 1 / jnp.where(zero, 1, a))


# -- roots --------------------------------------------------------------------------------------------

_NEWTON = 30


def root(o: op.Root, residuals: Callable[[Sequence[Any], Sequence[Any]], Sequence[Any]], *arrays: Any) -> Any:
    """One of the unknowns that make residuals vanish, at every point of a side; derivatives by the implicit function theorem."""
    m = len(o.unknowns)
    shape = np.broadcast_shapes(*(jnp.shape(a) for a in arrays))
    dtype = jnp.result_type(float, *arrays)
    guesses = jnp.stack([jnp.broadcast_to(jnp.asarray(a, dtype), shape) for a in arrays[:m]])
    operands = jnp.stack([jnp.broadcast_to(jnp.asarray(a, dtype), shape) for a in arrays[m:]])

    def residual(z: Any) -> Any:
        return jnp.stack([jnp.broadcast_to(r, shape) for r in residuals(list(z), list(operands))])

    def jacobian(f: Any, z: Any) -> Any:
        columns = [jax.jvp(f, (z,), (jnp.zeros_like(z).at[k].set(1.0),))[1] for k in range(m)]
        return jnp.stack(columns, axis=1)  # (rows, columns, *shape)

    def solve(matrix: Any, b: Any) -> Any:
        if m == 1:
            return b / matrix[:, 0]
        moved = jnp.linalg.solve(jnp.moveaxis(matrix, (0, 1), (-2, -1)), jnp.moveaxis(b, 0, -1)[..., None])[..., 0]
        return jnp.moveaxis(moved, -1, 0)

    def newton(f: Any, z: Any) -> Any:
        def body(state: Any) -> Any:
            z, i, _ = state
            step = solve(jacobian(f, z), f(z))
            return z - step, i + 1, jnp.max(jnp.abs(step) / (1e-30 + jnp.abs(z)))

        tight = 4 * jnp.finfo(dtype).eps
        z, _, _ = jax.lax.while_loop(lambda s: (s[1] < _NEWTON) & ~(s[2] <= tight), body, (z, 0, jnp.asarray(jnp.inf, dtype)))
        good = jnp.abs(f(z)) <= 1e-5 * (1 + jnp.abs(z))
        return jnp.where(good, z, jnp.nan)

    def tangent(g: Any, y: Any) -> Any:
        return solve(jacobian(g, jnp.zeros_like(y)), y)

    return jax.lax.custom_root(residual, jax.lax.stop_gradient(guesses), newton, tangent)[o.index]
