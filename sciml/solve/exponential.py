"""One step of dw/dt = L w + N(t, w) with L solved exactly: an exponential Runge-Kutta method of order 4.

L is diagonal in the modes of w, or couples a few fields mode by mode (blocks). With z = h L and the functions

    phi_0(z) = exp(z),   phi_k(z) = sum_n z^n/(n + k)! = (phi_(k-1)(z) - 1/(k - 1)!)/z

a step takes four values of N, which are joined with weights that are functions of z:

    a = phi_0(z/2) w + h/2 phi_1(z/2) N_1                                      N_1 = N(t, w)
    b = a + h phi_2(z/2) (N_2 - N_1)                                           N_2 = N(t + h/2, a)
    u = phi_0(z) w + h phi_1(z) N_1
    c = u + 2 h phi_2(z) (N_3 - N_1)                                           N_3 = N(t + h/2, b)
    w_1 = u + h [(4 phi_3 - 3 phi_2) N_1 + (2 phi_2 - 4 phi_3) (N_2 + N_3) + (4 phi_3 - phi_2) N_4]
    error = h (4 phi_3 - phi_2)(z) (N_4 - N(t + h, w_1))

The end is that of Cox and Matthews (J. Comput. Phys. 176, 430, 2002; Kassam and Trefethen, SIAM J. Sci. Comput. 26, 1214,
2005), the stages are Krogstad's (J. Comput. Phys. 203, 72, 2005): the same four values of N, a smaller error (Burgers
0.66, Korteweg-de Vries 0.9 of that of Cox and Matthews), and less loss of order where N does not fulfil the boundary
conditions (Hochbruck and Ostermann, SIAM J. Numer. Anal. 43, 1069, 2005). The error is the difference to the method of
order 3 that takes N at the end in place of N_4 (Whalen, Brio and Moloney, J. Comput. Phys. 280, 579, 2015); that value is
the first one of the next step. Inside a step N is the parabola through N_1, (N_2 + N_3)/2 and N_4, and

    w(t + theta h) = phi_0(theta z) w + h [theta phi_1(theta z) n_0 + theta^2 phi_2(theta z) n_1 + 2 theta^3 phi_3(theta z) n_2].

Where N depends on the time alone, N_4 is N at the end, and the difference to *any* method of order 3 with these nodes is
zero: Simpson's rule is the only one. So the parabola is also compared with N in the middle of the step before, which gives
the third difference of N at no cost, and the larger of the two estimates counts.

A symbol that is complex has complex phi functions: dropping their imaginary part costs three of the four orders.
"""

import dataclasses
from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from .linear import agree
from .methods import Step

_TERMS = 16  # of the series of phi_3 where |z| < 1: the next one is 1e-17 of the sum
_DOUBLINGS = 36  # of a block, at most: up to a norm of 7e10
_PARABOLA = 1 / 32  # integral of |s (s - 1/2) (s - 1)| from 0 to 1
_SLACK, _LONGER = 0.95, 1.3  # changes of the step that are not worth new phi functions

Groups = tuple[Any, ...]


# -- phi functions -------------------------------------------------------------------------


def phi(z: Any) -> tuple[Any, Any, Any, Any]:
    """(phi_0, phi_1, phi_2, phi_3) of real or complex numbers, to rounding, with derivatives.

    Near zero, where the closed form loses digits, phi_3 comes from its series and the others from it.

    >>> import jax.numpy as jnp
    >>> [round(float(v), 6) for v in phi(jnp.array(0.0))]
    [1.0, 1.0, 0.5, 0.166667]
    """
    near = jnp.abs(jax.lax.stop_gradient(z)) < 1
    small, large = jnp.where(near, z, jnp.zeros_like(z)), jnp.where(near, jnp.ones_like(z), z)  # no branch divides by zero
    p3 = _series(small, lambda a: a * small, jnp.ones_like(z))
    p2 = small * p3 + 0.5
    p1 = small * p2 + 1.0
    q0 = jnp.exp(large)
    q1 = (q0 - 1.0) / large
    q2 = (q1 - 1.0) / large
    q3 = (q2 - 0.5) / large
    return tuple(jnp.where(near, p, q) for p, q in ((small * p1 + 1.0, q0), (p1, q1), (p2, q2), (p3, q3)))  # type: ignore[return-value]


def phi_blocks(z: Any) -> tuple[Any, Any, Any, Any]:
    """The same of matrices (m, m, K), one for each of K modes: series of z/2^s, doubled s times.

    Every mode has an s of its own: doubling what needs no doubling would only add up rounding errors.
    """
    m, tiny = z.shape[0], jnp.finfo(z.dtype).tiny
    norm = jnp.max(jnp.sum(jnp.abs(jax.lax.stop_gradient(z)), axis=1), axis=0)
    halvings = jnp.clip(jnp.ceil(jnp.log2(jnp.maximum(norm, tiny))), 0, _DOUBLINGS)
    one = jnp.broadcast_to(jnp.eye(m, dtype=z.dtype)[:, :, None], z.shape)
    small = z * (0.5**halvings)[None, None].astype(z.dtype)
    p3 = _series(small, lambda a: _product(small, a), one)
    p2 = _product(small, p3) + 0.5 * one
    p1 = _product(small, p2) + one

    def double(i: Any, p: Any) -> Any:
        more = i < halvings

        def all_modes() -> Any:
            return tuple(jnp.where(more[None, None], q, old) for q, old in zip(doubled(p, _product), p, strict=True))

        return jax.lax.cond(agree(jnp.any(more)), all_modes, lambda: p)

    return jax.lax.fori_loop(0, _DOUBLINGS, double, (_product(small, p1) + one, p1, p2, p3))


def doubled(p: Any, times: Callable[[Any, Any], Any]) -> tuple[Any, Any, Any, Any]:
    """The phi functions of 2 z from those of z."""
    p0, p1, p2, p3 = p
    return times(p0, p0), (times(p0, p1) + p1) / 2, (times(p0, p2) + p1 + p2) / 4, (times(p0, p3) + p1 / 2 + p2 + p3) / 8


def _series(z: Any, times_z: Callable[[Any], Any], one: Any) -> Any:
    """phi_3 = 1/3! + z/4! + ..., by Horner's rule; a loop, which compiles in a fifth of the time."""
    inverse = 1 / jnp.arange(_TERMS + 2, 3, -1, dtype=one.real.dtype).astype(one.dtype)
    return jax.lax.fori_loop(0, _TERMS - 1, lambda i, total: times_z(total) * inverse[i] + one, one) / 6


def _product(a: Any, b: Any) -> Any:
    """Products of the matrices of all modes; for so small ones a sum is faster than a call of BLAS."""
    return jnp.sum(a[:, :, None, :] * b[None, :, :, :], axis=1)


def _elementwise(a: Any, b: Any) -> Any:
    return a * b


def _phis(z: Any) -> tuple[tuple[Any, ...], tuple[Any, ...]]:
    """phi of z/2 and of z, diagonal (m, K) or in blocks (m, m, K)."""
    half = phi_blocks(z / 2) if z.ndim == 3 else phi(z / 2)
    return half, doubled(half, _product if z.ndim == 3 else _elementwise)


def _on(table: Any, group: Any) -> Any:
    """A table times a group; a real table takes the two parts of complex modes one by one."""
    if jnp.iscomplexobj(group) and not jnp.iscomplexobj(table):
        return jax.lax.complex(_on(table, group.real), _on(table, group.imag))
    return table * group if table.ndim == 2 else jnp.sum(table * group[None], axis=1)


# -- the method ----------------------------------------------------------------------------


@dataclasses.dataclass(frozen=True, eq=False)
class Split:
    """dw/dt = L w + f(t, w) at given parameters. `groups` are the modes of w as arrays (m, K), real or complex.

    `symbols()` are L for each group, (m, K) or in blocks (m, m, K). It is a function because a step with a given
    size needs them once, before the loop.
    """

    f: Callable[[Any, Any], Any]
    symbols: Callable[[], Groups]
    groups: Callable[[Any], Groups]
    flat: Callable[[Groups], Any]

    @property
    def compact(self) -> Callable[[Any, Any], Any]:
        return self.f


class Exponential:
    """The method; `tables` are its weights for one size of step."""

    stiff = False
    exponent = 1 / 4
    stages = 4
    rows = 3  # that describe N inside a step

    def tables(self, split: Split, h: Any) -> tuple[tuple[Any, ...], ...]:
        """For each group the weights of w and N in the order in which a step takes them."""
        return tuple(self._weights(symbol, h) for symbol in split.symbols())

    def _weights(self, symbol: Any, h: Any) -> tuple[Any, ...]:
        h = h.astype(symbol.dtype)
        (e_half, half_1, half_2, _), (e, p1, p2, p3) = _phis(h * symbol)
        return e_half, h / 2 * half_1, h * half_2, e, h * p1, 2 * h * p2, h * (4 * p3 - 3 * p2), h * (2 * p2 - 4 * p3), h * (4 * p3 - p2)

    def step(self, split: Split, t: Any, w: Any, h: Any, f0: Any, tables: Any = None, before: Any = None, estimate: bool = True, **_: Any) -> Step:
        """`estimate`: with the error, and N at the end. `polynomial()` are the rows n_0, n_1, n_2 of N inside the step.

        `before` are the length of the step before (0 for none) and N in its middle. In place of a Jacobian the result has
        these two of this step.
        """
        tables = self.tables(split, h) if tables is None else tables
        rest = lambda t, groups: split.groups(split.f(t, split.flat(groups)))  # noqa: E731
        start, n1 = split.groups(w), split.groups(split.f(t, w) if f0 is None else f0)
        middle = t + h / 2
        a = tuple(_on(e, w) + _on(q, n) for (e, q, *_), w, n in zip(tables, start, n1, strict=True))
        n2 = rest(middle, a)
        b = tuple(a + _on(q, m - n) for (_, _, q, *_), a, m, n in zip(tables, a, n2, n1, strict=True))
        n3 = rest(middle, b)
        u = tuple(_on(e, w) + _on(q, n) for (_, _, _, e, q, *_), w, n in zip(tables, start, n1, strict=True))
        c = tuple(u + _on(q, m - n) for (*_, q, _, _, _), u, m, n in zip(tables, u, n3, n1, strict=True))
        n4 = rest(t + h, c)
        joined = zip(tables, u, n1, n2, n3, n4, strict=True)
        y1 = split.flat(tuple(u + _on(q, k1) + _on(r, k2 + k3) + _on(s, k4) for (*_, q, r, s), u, k1, k2, k3, k4 in joined))
        half = split.flat(tuple((k2 + k3) / 2 for k2, k3 in zip(n2, n3, strict=True)))
        error = f1 = None
        if estimate:
            f1 = split.f(t + h, y1)
            error = split.flat(tuple(_on(s, k4 - k5) for (*_, s), k4, k5 in zip(tables, n4, split.groups(f1), strict=True)))
            if before is not None:
                third = split.groups(_third(before, h, split.flat(n1), half, f1))
                other = split.flat(tuple(_PARABOLA * _on(p, v) for (_, _, _, _, p, *_), v in zip(tables, third, strict=True)))
                error = jnp.where(jnp.abs(error) > jnp.abs(other), error, other)

        def polynomial() -> Any:
            parabola = [(k1, 2 * (k2 + k3) - 3 * k1 - k4, 2 * (k1 + k4) - 2 * (k2 + k3)) for k1, k2, k3, k4 in zip(n1, n2, n3, n4, strict=True)]
            return jnp.stack([split.flat(row) for row in zip(*parabola, strict=True)])

        return Step(y1, error, f1, polynomial, (h, half))

    def inside(self, split: Split, w: Any, polynomial: Any, theta: Any, h: Any) -> Any:
        """w at t + theta h."""
        s = theta * h
        n0, n1, n2 = (split.groups(row) for row in polynomial)
        made = []
        for symbol, w0, k0, k1, k2 in zip(split.symbols(), split.groups(w), n0, n1, n2, strict=True):
            z = s.astype(symbol.dtype) * symbol
            p0, p1, p2, p3 = phi_blocks(z) if z.ndim == 3 else phi(z)
            a, b = s.astype(w0.dtype), theta.astype(w0.dtype)
            made.append(_on(p0, w0) + a * (_on(p1, k0) + b * (_on(p2, k1) + 2 * b * _on(p3, k2))))
        return split.flat(tuple(made))

    def norm(self, split: Split, error: Any, scale: tuple[Any, ...], rtol: Any, atol: Any) -> Any:
        """Size of an error: root mean squares, field by field, against atol + rtol times those of the `scale` vectors.

        One number for all modes of a field: those that are nearly zero have no accuracy of their own.
        """
        sizes = [[_rms(group) for group in split.groups(v)] for v in (error, *scale)]
        parts = []
        for errors, *values in zip(*sizes, strict=True):
            largest = values[0]
            for v in values[1:]:
                largest = jnp.maximum(largest, v)
            parts.append(errors / (atol + rtol * largest))
        return jnp.sqrt(jnp.mean(jnp.square(jnp.concatenate(parts))))

    def held(self, factor: Any) -> Any:
        """The change of the step, or 1 where new phi functions would cost more than it gains."""
        return jnp.where((factor >= _SLACK) & (factor < _LONGER), jnp.ones_like(factor), factor)


def spread(modal: Any, p: Callable[[], Any]) -> float:
    """How much faster the fastest mode is than the slowest that moves, at given parameters; infinite where a parameter has no value."""
    with jax.ensure_compile_time_eval():
        sizes = [jnp.max(jnp.sum(jnp.abs(s), axis=1), axis=0) if s.ndim == 3 else jnp.abs(s).reshape(-1) for s in modal.symbols(p())]
        rates = np.concatenate([np.asarray(s) for s in sizes])
    moving = rates[~(rates <= 1e-12 * np.max(rates))]
    return 1.0 if not moving.size else float("inf") if not np.isfinite(moving).all() else float(moving.max() / moving.min())


class ModalSteps(eqx.Module):
    """The dense solution of a solve in modes: all accepted steps, and the symbols times the span."""

    ends: Any
    starts: Any
    lengths: Any
    w: Any
    polynomials: Any
    symbols: Groups
    modal: Any = eqx.field(static=True)

    @classmethod
    def of(cls, rows: Any, modal: Any, p: Any, span: Any) -> "ModalSteps":
        mesh, w, polynomials = rows
        # N is scaled to the time in [0, 1] like its L.
        symbols = tuple(span.astype(s.dtype) * s for s in modal.symbols(p))
        return cls(mesh[:, 0] + mesh[:, 1], mesh[:, 0], mesh[:, 1], w, polynomials * span, symbols, modal)

    def evaluate(self, tau: Any) -> Any:
        i = jnp.searchsorted(self.ends, tau)
        i = jnp.minimum(i, jnp.sum(jnp.isfinite(self.starts)).astype(i.dtype) - 1)
        split = Split(_no_rest, lambda: self.symbols, self.modal.groups, self.modal.flat)
        w = ETD4.inside(split, self.w[i], self.polynomials[i], (tau - self.starts[i]) / self.lengths[i], self.lengths[i])
        reached = tau <= self.ends[i] + 8 * jnp.finfo(tau.dtype).eps
        return jnp.where(reached, w, jnp.nan)


def _no_rest(t: Any, w: Any) -> Any:
    raise AssertionError("the parabola of N is known")


def _third(before: Any, h: Any, start: Any, middle: Any, end: Any) -> Any:
    """The coefficient of s (s - 1/2) (s - 1) in N as a cubic of s = (time - t)/h, from the middle of the step before.

    For a first step that of s^2, which is larger: it may be one through a transient.
    """
    length, past = before
    known, s = length / h > 0, (length / (2 * h)).astype(start.dtype)
    s = jnp.where(known, s, jnp.ones_like(s))
    slope, bend = 4 * middle - 3 * start - end, 2 * (start + end) - 4 * middle
    return jnp.where(known, (start - s * slope + s * s * bend - past) / (s * (s + 0.5) * (s + 1)), bend)


def _rms(group: Any) -> Any:
    """For each field of a group, (m, K) -> (m,)."""
    squares = group.real**2 + group.imag**2 if jnp.iscomplexobj(group) else group**2
    return jnp.sqrt(jnp.mean(squares, axis=1) + jnp.finfo(squares.dtype).tiny)  # the derivative at 0 is 0


ETD4 = Exponential()
