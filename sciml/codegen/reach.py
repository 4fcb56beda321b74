"""How far the rates of a discretised System look, and what structure its Jacobian has because of that.

For fields on one coordinate every operator reaches a known number of points to either side, and reaches add up along
an expression. What looks everywhere (an integral, a transform, a dense matrix) has no band.
"""

import dataclasses
from typing import TYPE_CHECKING, Any

import numpy as np
import sympy as sp

from ..passes import Node, determined, operators
from ..symbols import Applied, declaration_of
from .sparsity import contents
from .structure import Band, Free, Structure

if TYPE_CHECKING:
    from .compiled import CompiledSystem

_DENSE = 400  # unknowns, up to which a matrix that is not banded is written down
_WIDEST = 64  # diagonals
_FAR = 1 << 40


@dataclasses.dataclass(frozen=True, eq=False)
class Reach:
    """Entry i holds entries low[i] ... high[i] of the unknowns; none where low > high."""

    low: np.ndarray
    high: np.ndarray

    @classmethod
    def none(cls, n: int) -> "Reach":
        return cls(np.full(n, _FAR), np.full(n, -_FAR))

    def part(self, start: int, stop: int) -> "Reach":
        return Reach(self.low[start:stop], self.high[start:stop])


def structure_of(model: "CompiledSystem") -> Structure | None:
    """The structure of the Jacobian of a discretised System; None where its pattern is small enough to be written down.

    Without a grid it is written down, unless a network takes many unknowns as an array: it holds all of them, so that nothing is gained.
    """
    n = model.layout.n_states
    if model.reduced.grid is None and n > _DENSE and any(map(_takes_arrays, model.noise.drift)):
        return Free(None, False)
    coupled = any(e.of is not None and e.lhs != 0 for e in model.reduced.equations)  # rates in front of which a matrix stands
    if model.reduced.grid is None or n <= 12 or (coupled and n <= _DENSE):
        return None
    autonomous = not any(contents(model, e)[1] for e in model.noise.drift)
    band = _band(model, autonomous)
    if band is not None:
        return band
    return None if n <= _DENSE else Free(_preconditioner(model), autonomous)


def _takes_arrays(e: sp.Expr) -> bool:
    """Whether a network in an expression has an argument that is an array of unknowns."""
    return any(
        getattr(declaration_of(g), "kind", "") == "neural" and any(getattr(declaration_of(a), "shape", ()) for a in g.args) for g in e.atoms(Applied)
    )


def _band(model: "CompiledSystem", autonomous: bool) -> Band | None:
    shapes = {p.shape for p in model.layout.states.values()}
    if len(shapes) != 1 or len(next(iter(shapes))) != 1:
        return None
    (points,) = next(iter(shapes))
    walk = _Walk(model, points)
    index = np.arange(points)
    low = high = 0
    for e in model.noise.drift:
        found = walk.reach(e)
        if found is None or len(found.low) not in (0, 1, points):
            return None
        holds = found.low <= found.high
        if len(found.low) == points and holds.any():
            low, high = min(low, int((found.low - index)[holds].min())), max(high, int((found.high - index)[holds].max()))
    m = len(model.layout.states)
    order = np.arange(m * points).reshape(m, points).T.ravel()
    band = Band(order, m * -low + m - 1, m * high + m - 1, walk.periodic, autonomous, m * max(-low, high))
    return band if band.width <= min(_WIDEST, m * points // 4) else None


class _Walk:
    """The reach of expressions over the states of a model, each of n entries. None where something looks everywhere."""

    def __init__(self, model: "CompiledSystem", n: int):
        self.model, self.n = model, n
        self.states = {determined(e) for e in model.reduced.equations}
        self.memo: dict[sp.Basic, Reach | None] = {}
        self.periodic = False

    def reach(self, e: Any) -> Reach | None:
        if e not in self.memo:
            self.memo[e] = self._reach(e)
        return self.memo[e]

    def _reach(self, e: Any) -> Reach | None:
        if e in self.states:
            return Reach(np.arange(self.n), np.arange(self.n))
        d = declaration_of(e)
        if isinstance(e, Applied) and d.name in self.model.definitions:
            return self.reach(self.model.definitions[d.name])
        if not e.args or not self.model.states_in(e):
            return Reach.none(1)
        if isinstance(e, Node):
            inner = [self.reach(a) for a in e.operands]
            return None if any(r is None for r in inner) else self._through(e.operator, inner)  # type: ignore[arg-type]
        parts = [self.reach(a) for a in e.args if self.model.states_in(a)]
        return None if any(p is None for p in parts) else _union(parts)  # type: ignore[arg-type]

    def _through(self, o: Any, inner: list[Reach]) -> Reach | None:
        first = inner[0]
        if isinstance(o, operators.Fill | operators.Drop | operators.Lift | operators.PerPoint | operators.Root):
            return _union(inner)
        if isinstance(o, operators.Inner):
            (left, right), n = o.cuts[0], len(first.low)
            return _stacked([Reach.none(left), first.part(left, n - right), Reach.none(right)])
        if isinstance(o, operators.Stencil):
            return self._stencil(o, first) if len(first.low) == o.n else None
        if isinstance(o, operators.Limited):
            return self._limited(o, first)
        if isinstance(o, operators.Edge):
            n, count = len(first.low), len(o.weights)
            return _all(first.part(o.skip, o.skip + count) if o.end == "left" else first.part(n - o.skip - count, n - o.skip))
        if isinstance(o, operators.Ends):
            middle = first.part(o.left, len(first.low) - o.right)
            return _stacked([*inner[1 : 1 + o.left], middle, *inner[1 + o.left :]])
        if isinstance(o, operators.Around):
            return _stacked([*reversed(inner[1 : 1 + o.left]), first, *inner[1 + o.left :]])
        return None

    def _stencil(self, o: operators.Stencil, first: Reach) -> Reach:
        weights = np.atleast_2d(o.weights)
        used = [k for k in range(weights.shape[1]) if weights[:, k].any()]
        if o.periodic:
            self.periodic = True
            return Reach(
                np.min([np.roll(first.low - np.arange(o.n), -(o.first + k)) + o.first + k for k in used], axis=0) + np.arange(o.n),
                np.max([np.roll(first.high - np.arange(o.n), -(o.first + k)) + o.first + k for k in used], axis=0) + np.arange(o.n),
            )
        pieces = [first.part(o.first + k, o.first + k + o.inner) for k in used]
        inner = Reach(np.min([p.low for p in pieces], axis=0), np.max([p.high for p in pieces], axis=0))
        heads = [_all(first.part(0, len(row))) for row in np.asarray(o.head)]
        tails = [_all(first.part(o.n - len(row), o.n)) for row in np.asarray(o.tail)]
        return _stacked([*heads, inner, *tails])

    def _limited(self, o: operators.Limited, first: Reach) -> Reach:
        layers = {"weno5": 3, "muscl": 2}.get(o.scheme, 1)
        offsets = [-1 - k if o.side == "left" else k for k in range(1 - layers if layers > 1 else 0, layers)]
        if o.periodic:
            self.periodic = True
            index = np.arange(o.n)
            return Reach(index + min(offsets), index + max(offsets))
        pieces = [first.part(layers + f, layers + f + o.n + 1) for f in offsets]
        return Reach(np.min([p.low for p in pieces], axis=0), np.max([p.high for p in pieces], axis=0))


def _union(parts: list[Reach]) -> Reach:
    return Reach(_widest(np.minimum, [p.low for p in parts]), _widest(np.maximum, [p.high for p in parts]))


def _widest(choose: Any, parts: list[np.ndarray]) -> np.ndarray:
    found = parts[0]
    for p in parts[1:]:
        found = choose(found, p)
    return found


def _all(r: Reach) -> Reach:
    """One entry that holds what any of some entries holds."""
    return Reach(r.low.min(keepdims=True), r.high.max(keepdims=True)) if len(r.low) else Reach.none(1)


def _stacked(parts: list[Reach]) -> Reach:
    return Reach(np.concatenate([p.low for p in parts]), np.concatenate([p.high for p in parts]))


def _preconditioner(model: "CompiledSystem") -> Any:
    """The inverse of c - L in modes, where there are modes; None otherwise."""
    modal = model.modal
    return None if modal is None else modal.resolvent
