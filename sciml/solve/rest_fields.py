"""Linear algebra for a search at rest with many unknowns: the Jacobian of a discretised System is never written down.

| structure | one correction                                                                                          |
|-----------|---------------------------------------------------------------------------------------------------------|
| Band      | as many products as there are diagonals, block cyclic reduction (`banded`)                              |
| Free      | GMRES (`krylov`), preconditioned by (c - a L)^-1, where L is the part of f that modes make diagonal      |

a and c are fitted at each state, so that c - a L is near -f' for what is smooth as well as for what is not: one product
with a random vector r, and least squares for (c - L)^-1 (f' r - a L r + c r). Terms outside L, such as a nonlinear
diffusion, thus enter by their mean. Where no part of f is diagonal in modes, L is that of a neighbour with constant
coefficients (`averaged`). Nodes that conditions determine are solved for apart: nothing reads them.
"""

import dataclasses
import functools
from typing import TYPE_CHECKING, Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import sympy as sp

from ..codegen.modal import Modal
from ..codegen.structure import Band
from ..passes import determined, modes_of
from ..passes.discretize.arrays import FULL
from ..passes.discretize.averaged import averaged_modes
from ..symbols import declaration_of, t
from ..system import Equation
from .banded import BandedAlgebra
from .krylov import FreeAlgebra, FreeJacobian
from .linear import Solve
from .rest import FARTHEST, MANY, NEAR, SMALLEST, Found, Local, first_delta, grown, inside, tolerance
from .tangent import Linear

if TYPE_CHECKING:
    from ..codegen import CompiledSystem

LARGE = 400  # unknowns, from which on a Jacobian is not written down
_COARSE, _TIGHT = 1e-4, 1e-8  # tolerances of GMRES, in corrections and in derivatives; a hundredth of them is asked for
_SAME = 0.1  # largest relative difference between a vector and what comes back of it through f' and its inverse


class Structured(NamedTuple):
    """f with a Jacobian that has structure. The same search as in `rest`, as one loop: its programs are large, and each stands here once."""

    residual: Any
    lines: "Lines"
    prepared: Any

    def at(self, y: Any) -> Local:
        f, _, size = self._linearised(y, _TIGHT)
        return Local(f, size)

    def _linearised(self, y: Any, rtol: float) -> tuple[Any, Any, Any]:
        f, jacobian = self.lines.linearised(self.residual, y, self.prepared, rtol)
        return f, jacobian, self.lines.row_sizes(jacobian, self.magnitude(y))

    def magnitude(self, y: Any) -> Any:
        """The largest value of each field: where a field is 0 it is known no better than elsewhere."""
        return self.lines.by_place(lambda part: jnp.max(jnp.abs(part)), y)

    # -- the search ------------------------------------------------------------------------------

    def search(self, y: Any, scale: Any, bounds: tuple[Any, Any], max_steps: int) -> Found:
        """A root of f from y, inside the bounds: Newton's method, where it fails pseudo-time, then Newton's method again."""
        zero, none, no = jnp.zeros((), y.dtype), jnp.zeros((), jnp.int32), jnp.asarray(False)
        start = _Search(y, zero, zero, none, no, none, none, none)

        def body(s: _Search) -> _Search:
            f, jacobian, size = self._linearised(s.y, _COARSE)
            led = s.phase == _LED
            delta = jnp.where(s.delta > 0, s.delta, first_delta(self.lines.rated, f, s.y, scale))
            turn = self._corrected(s.y, jacobian, jnp.where(led, 1 / delta, 0), led, scale)
            newton = self._after_newton(s, f, size, turn, scale, bounds, max_steps, y)
            slow = self._after_transient(s, delta, turn, scale, bounds, max_steps)
            return jax.tree.map(lambda a, b: jnp.where(led, a, b), slow, newton)

        end = jax.lax.while_loop(lambda s: s.phase < _OVER, body, start)
        return Found(end.y, end.found, end.steps, end.slow)

    def _corrected(self, y: Any, jacobian: Any, shift: Any, led: Any, scale: Any) -> "_Turn":
        """Newton's correction and how much of it to take; or a step of pseudo time, its error, and Newton's correction."""
        rated, weight = jnp.asarray(self.lines.rated, y.dtype), jnp.abs(y) + scale

        def body(u: _Turn) -> _Turn:
            base = jnp.where(u.count == 2, 0, u.step)  # 0 before there is a step
            own = jnp.where(u.count == 2, 0, shift)
            right = self.residual(y + u.share * base) - own * rated * base
            found = jacobian.solver(own, rated)(right)
            first = u.count == 0
            step = jnp.where(first, found, u.step)
            longest = jnp.where(led, 1, jnp.minimum(1, FARTHEST / jnp.max(jnp.abs(step) / weight))).astype(y.dtype)
            fits = _norm(found / weight) <= (1 - u.share / 4) * _norm(step / weight)
            share = jnp.where(first, longest, jnp.where(led | fits, u.share, u.share / 2))
            going = jnp.where(led, u.count < 2, first | (~fits & (share > SMALLEST * longest)))
            error = jnp.where(u.count == 1, found, u.error)
            return _Turn(u.count + 1, step, error, found, share, longest, going)

        zeros, one = jnp.zeros_like(y), jnp.ones((), y.dtype)
        return jax.lax.while_loop(lambda u: u.going, body, _Turn(jnp.zeros((), jnp.int32), zeros, zeros, zeros, one, one, jnp.asarray(True)))

    def _after_newton(self, s: "_Search", f: Any, size: Any, u: "_Turn", scale: Any, bounds: Any, max_steps: int, start: Any) -> "_Search":
        exact = jnp.all(jnp.abs(f) <= 10 * jnp.finfo(f.dtype).eps * size)
        small = jnp.all(jnp.abs(u.step) <= tolerance(self.magnitude(s.y), scale))
        moved = s.y + jnp.where(small | exact, 1, u.share).astype(f.dtype) * u.step
        sound = jnp.all(jnp.isfinite(moved))
        here = (small | exact) & jnp.all(jnp.isfinite(f)) & sound
        found = here & inside(moved, bounds, scale)
        count = s.count + 1
        failed = ~found & (here | (u.share <= SMALLEST * u.longest) | ~sound | (count >= max_steps))
        again = failed & (s.phase == 0)  # from the start
        phase = jnp.where(found | (failed & ~again), _OVER, jnp.where(again, _LED, s.phase))
        y = jnp.where(again, start, jnp.where(failed & ~here, s.y, moved))
        return s._replace(y=y, phase=phase, found=found, count=jnp.where(again, 0, count), steps=s.steps + 1)

    def _after_transient(self, s: "_Search", delta: Any, u: "_Turn", scale: Any, bounds: Any, max_steps: int) -> "_Search":
        moved = s.y + u.step
        sound = jnp.all(jnp.isfinite(moved)) & inside(moved, bounds, scale) & (_norm(u.error / scale) <= _norm(u.step / scale))
        speed = _norm(u.step / scale) / delta
        longer = grown(delta, s.speed, speed, sound)
        near = jnp.all(jnp.abs(u.latest) <= NEAR * (self.magnitude(s.y) + NEAR * scale))
        ended = near | (s.count + 1 >= MANY * max_steps)
        return s._replace(
            y=jnp.where(sound & ~near, moved, s.y),
            delta=longer,
            speed=jnp.where(sound, speed, s.speed),
            phase=jnp.where(ended, _LED + 1, _LED),
            count=jnp.where(ended, 0, s.count + 1),
            slow=s.slow + 1,
        )

    # -- whether it is the only one there ------------------------------------------------------------

    def isolated(self, y: Any, scale: Any) -> Any:
        """Whether f' is regular, and stays so within the tolerance: by what its inverse makes of a random vector."""
        size, direction, product, same = self._probed(y)
        length = 4 / jnp.max(jnp.abs(direction) / tolerance(self.magnitude(y), scale))
        ahead = jax.jvp(self.residual, (y + length * direction,), (direction,))[1]
        rows = 1 / jnp.maximum(size, jnp.finfo(y.dtype).tiny ** 0.5)
        return same & (_norm(rows * product) > _norm(rows * (ahead - product)))

    def loosest(self, y: Any) -> Any:
        """About the direction in which f changes least. Where GMRES finds no solution, all fields."""
        direction = self._probed(y)[1]
        return jnp.where(jnp.all(jnp.isfinite(direction)), direction, jnp.where(self.lines.free, 1, 0))

    def _probed(self, y: Any) -> tuple[Any, Any, Any, Any]:
        """(sizes of rows, the direction in which f changes least, about, how it changes, whether that leads back to the direction)."""
        _, jacobian, size = self._linearised(y, _TIGHT)
        solve = jacobian.solver(jnp.zeros((), y.dtype), None)

        def turn(right: Any, _: Any) -> tuple[Any, Any]:
            found = -solve(right)
            direction = found / jnp.max(jnp.abs(found))
            product = jacobian @ direction
            return product, (found, direction, product)

        _, (found, directions, products) = jax.lax.scan(turn, generic(len(y), y.dtype), None, length=2)
        return size, directions[0], products[0], _norm(found[1] - directions[0]) <= _SAME * _norm(directions[0])


_LED, _OVER = 1, 3  # phases: Newton's method, pseudo time, Newton's method, end


class _Search(NamedTuple):
    y: Any
    delta: Any  # of pseudo time; 0 before the first step
    speed: Any
    phase: Any
    found: Any
    count: Any  # in this phase
    steps: Any
    slow: Any


class _Turn(NamedTuple):
    """Solves at one state. `latest` is Newton's correction in pseudo time."""

    count: Any
    step: Any
    error: Any
    latest: Any
    share: Any
    longest: Any
    going: Any


class Derivatives(Linear):
    """The solves behind derivatives by the implicit function theorem."""

    lines: "Lines" = eqx.field(static=True)
    p: Any

    @classmethod
    def of(cls, lines: "Lines", p: Any) -> "Derivatives":
        return cls(None, frozenset(), False, lines, p)

    def __call__(self, residual: Any, z: Any, b: Any, name: Any) -> Any:
        """y with dF/dx y = b, which may be differentiated again."""
        prepared = self.lines.prepared(jax.lax.stop_gradient(self.p))
        _, jacobian = self.lines.linearised(residual, z, prepared, _TIGHT)
        return -jacobian.solver(jnp.zeros((), z.dtype), None, exact=True)(b)


class Lines:
    """How the Jacobian of one model is kept. `held` are rows `y - y0`."""

    def __init__(self, model: "CompiledSystem", held: np.ndarray, redundant: np.ndarray):
        self.model, structure = model, model.structure
        n = model.layout.n_states
        self.rated = model.differential.copy()
        self.rated[np.concatenate([held, redundant])] = False
        self.free = np.ones(n, bool)
        self.free[np.concatenate([held, model.determined_ends])] = False
        self.band = None
        if isinstance(structure, Band):
            # No row counts as one with a rate: there is no step that could be made shorter, so blocks are pivoted.
            self.band = BandedAlgebra(dataclasses.replace(structure, autonomous=True), np.zeros(n, bool))

    def linearised(self, residual: Any, y: Any, prepared: Any, rtol: float) -> tuple[Any, Any]:
        """(f, its Jacobian)."""
        if self.band is not None:
            f, jacobian, _ = self.band.linearise(lambda _, y: residual(y), 0.0, y)
            return f, jacobian
        f, times = jax.linearize(residual, y)
        precondition = self._waves(times, prepared) if self.modal is not None else self._means(times, y)
        return f, FreeJacobian(FreeAlgebra(precondition, rtol, True), times)

    def row_sizes(self, jacobian: Any, magnitude: Any) -> Any:
        """What the rows of f are made of: by the entries of a band, else the largest of each field."""
        if self.band is not None:
            return dataclasses.replace(jacobian, diagonals=jnp.abs(jacobian.diagonals)) @ magnitude
        made = jnp.abs(jacobian @ (magnitude * jnp.sign(generic(len(magnitude), magnitude.dtype))))
        return self.by_place(jnp.max, made)

    def by_place(self, of: Any, v: Any) -> Any:
        """One number for each unknown, for all its entries."""
        places = self.model.layout.states.values()
        return jnp.concatenate([jnp.broadcast_to(of(v[p.offset : p.end]), (p.size,)) for p in places])

    # -- preconditioners ----------------------------------------------------------------------

    def _apart(self, inverse: Solve) -> Solve:
        """An approximate inverse for the free entries; the others stand in rows of their own, f = y - (what is given)."""
        free = self.free
        return lambda v: jnp.where(free, inverse(jnp.where(free, v, 0)), -v)

    def _means(self, times: Solve, y: Any) -> Any:
        """Without modes: by the mean diagonal entry of each unknown."""
        r = jnp.where(self.free, generic(len(y), y.dtype), 0)
        product = jax.lax.stop_gradient(times(r))
        squares, entries = (self.by_place(jnp.sum, v) for v in (r * r, -r * product))
        mean = entries / jnp.where(squares > 0, squares, 1)
        return lambda c: self._apart(lambda v: v / _one_for_zero(c * self.rated + mean))

    def _waves(self, times: Solve, prepared: "Prepared") -> Any:
        """By modes, with the fitted a and c of each group of unknowns that L couples."""
        modal = self.modal
        assert modal is not None
        product = jnp.where(self.free, jax.lax.stop_gradient(times(prepared.r)), 0)
        found = [_fitted(w, s, p) for w, s, p in zip(prepared.waves, prepared.spectra, modal.groups(modal.to_modes(product)), strict=True)]

        def precondition(c: Any) -> Solve:
            inverses = [s.inverse(own + c * share, a) for (a, own), s, share in zip(found, prepared.spectra, self._shares, strict=True)]

            def inverse(v: Any) -> Any:
                groups = modal.groups(modal.to_modes(v))
                return modal.from_modes(modal.flat(tuple(i(g) for i, g in zip(inverses, groups, strict=True))))

            return self._apart(inverse)

        return precondition

    @functools.cached_property
    def _shares(self) -> list[float]:
        """For each group of unknowns, which part of it has a rate."""
        assert self.modal is not None
        parts = [[self.model.layout.states[n] for n in g] for g in self.modal.members]
        return [float(np.mean(np.concatenate([self.rated[p.offset : p.end] for p in places]))) for places in parts]

    def prepared(self, p: Any) -> "Prepared | None":
        """What preconditioners need of the parameters, once for a search."""
        if self.modal is None or self.band is not None:
            return None
        r = jnp.where(self.free, generic(self.model.layout.n_states, p.dtype), 0)
        waves = self.modal.groups(self.modal.to_modes(r))
        symbols = self.modal.symbols(p)
        return Prepared(r, waves, tuple(Spectrum.of(s, w) for s, w in zip(symbols, waves, strict=True)))

    @functools.cached_property
    def modal(self) -> Modal | None:
        """f in modes, an equation without a rate taken as if it gave one; None where modes make nothing diagonal."""
        reduced, states = self.model.reduced, self.model.layout.states
        equations = [Equation(determined(e).diff(t), e.rhs - self._ends(e)) for e in reduced.equations]
        modes = modes_of(reduced.derive(equations=tuple(equations)))
        if modes is None or any((n, n) not in modes.linear for n, p in states.items() if p.shape):
            near = averaged_modes(reduced)
            modes = near if near is not None and set(near.symbols) == set(states) else modes
        return None if modes is None else Modal(self.model, modes)

    def _ends(self, e: Equation) -> sp.Expr:
        """What an equation without a rate says at ends that conditions determine."""
        grid = self.model.reduced.grid
        field = grid.fields.get(declaration_of(determined(e)).name) if e.of is not None else None
        if field is None:
            return sp.S.Zero
        arrays = grid.visitor(field.coordinates)
        return arrays.lifted(field.array, field.coordinates) - arrays.visit(field.symbol, FULL)


class Prepared(NamedTuple):
    """A random vector of the free entries, its modes, and L."""

    r: Any
    waves: Any
    spectra: tuple["Spectrum", ...]


class Spectrum(NamedTuple):
    """L of a group of unknowns, wave by wave: (1, K), or (m, m, K). `reached` are the modes of free entries."""

    symbol: Any
    reached: Any
    smallest: Any  # of those that are not 0
    open: Any  # whether L leaves a mode as it is

    @classmethod
    def of(cls, symbol: Any, wave: Any) -> "Spectrum":
        reached = jnp.any(jnp.abs(wave) > 1e-9 * jnp.max(jnp.abs(wave)), axis=0)
        if symbol.ndim == 2:
            size = least = jnp.abs(symbol[0])
        else:
            matrices = jnp.moveaxis(jnp.abs(symbol), 2, 0)
            size = jnp.max(matrices, axis=(1, 2))
            rows = jnp.max(matrices, axis=2, keepdims=True)
            scaled = jnp.moveaxis(symbol, 2, 0) / _one_for_zero(rows)
            least = size * jnp.linalg.svd(scaled, compute_uv=False)[:, -1]
        tiny = 1e-10 * jnp.max(jnp.where(reached, size, 0))
        vanishes = least <= tiny
        smallest = jnp.min(jnp.where(reached & ~vanishes, size, jnp.inf))
        return cls(symbol, reached, jnp.where(jnp.isfinite(smallest), smallest, 1), jnp.any(reached & vanishes))

    def __matmul__(self, w: Any) -> Any:
        return self.symbol * w if self.symbol.ndim == 2 else jnp.einsum("ijk,jk->ik", self.symbol, w.astype(self.symbol.dtype))

    def inverse(self, c: Any, a: Any) -> Solve:
        """w -> (c - a L)^-1 w; modes that are not reached stay."""
        if self.symbol.ndim == 2:
            divisor = jnp.where(self.reached[None], c - a * self.symbol, 1)
            return lambda w: w / jnp.where(divisor == 0, 1, divisor)
        one = jnp.eye(len(self.symbol), dtype=self.symbol.dtype)
        matrices = jnp.where(self.reached[:, None, None], c * one - a * jnp.moveaxis(self.symbol, 2, 0), one)
        inverses = jnp.linalg.inv(matrices)
        return lambda w: jnp.einsum("kij,jk->ik", inverses, w.astype(inverses.dtype))


def _fitted(r: Any, spectrum: Spectrum, product: Any) -> tuple[Any, Any]:
    """(a, c) with c - a L near -f', from f' r in modes."""
    sign = jnp.where(jnp.sum(jnp.real(_diagonal(spectrum))) > 0, -1.0, 1.0).astype(jnp.real(r).dtype)
    start = spectrum.inverse(sign * jnp.where(spectrum.open, spectrum.smallest, 0), jnp.ones((), jnp.real(r).dtype))
    columns = [start(-(spectrum @ r)), start(r), start(-product)]
    dot = lambda u, v: jnp.sum(jnp.real(jnp.conj(u) * v))  # noqa: E731
    (aa, ac, ab), (cc, cb) = [dot(columns[0], v) for v in columns], [dot(columns[1], v) for v in columns[1:]]
    aa, cc = aa * (1 + 1e-10) + jnp.finfo(aa.dtype).tiny, cc * (1 + 1e-10) + jnp.finfo(aa.dtype).tiny
    determinant = _one_for_zero(aa * cc - ac * ac)
    a, c = (cc * ab - ac * cb) / determinant, (aa * cb - ac * ab) / determinant
    fits = jnp.isfinite(a) & jnp.isfinite(c) & (a > 1e-3)
    a, c = jnp.where(fits, a, 1), jnp.where(fits, c, jnp.where(cc > 0, cb / cc, 0))
    # c - a L is as regular as L where c has the sign of -L. Where L leaves a mode open, c closes it.
    least = jnp.where(spectrum.open, 1e-3 * a * spectrum.smallest, 0)
    c = jnp.where(sign * c > 0, sign * c, jnp.where(spectrum.open, jnp.abs(c), 0))
    return a, sign * jnp.maximum(c, least)


def _diagonal(spectrum: Spectrum) -> Any:
    return spectrum.symbol if spectrum.symbol.ndim == 2 else jnp.einsum("iik->ik", spectrum.symbol)


def generic(n: int, dtype: Any) -> Any:
    """A vector with nothing special about it, always the same."""
    return jax.random.normal(jax.random.key(7), (n,), dtype)


def _one_for_zero(values: Any) -> Any:
    return jnp.where((values == 0) | ~jnp.isfinite(values), 1, values)


def _norm(vector: Any) -> Any:
    return jnp.sqrt(jnp.mean(vector**2))


__all__ = ["LARGE", "Derivatives", "Lines", "Structured"]
