"""A model in modes: dw/dt = L w + rest(t, w), w the coefficients of all unknowns as one flat real vector.

w         real and imaginary parts of each unknown's coefficients, one unknown after the other
groups    unknowns whose modes are coupled wave by wave, as one array (m, K); others alone, (1, K)
"""

import functools
from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp

from ..passes import Modes
from ..symbols import declaration_of
from .arrays import Apply
from .lower import Tape, lower
from .packing import Packing
from .spread import divided
from .values import piece, side_by_side

if TYPE_CHECKING:
    from .compiled import CompiledSystem


class Modal:
    """Functions of JAX between unknowns and modes, and the rates in modes.

    Attributes:
        size: the length of w.
        stiff_rest: the rest differentiates as often as the linear part, so that modes alone do not make it mild.
    """

    def __init__(self, model: "CompiledSystem", modes: Modes, rows: bool = False):
        self.model, self.modes, self.stiff_rest = model, modes, modes.stiff_rest
        self.names = list(model.layout.states)
        shapes = {n: jax.eval_shape(lambda n=n: self._forward(n, jnp.zeros(model.layout.states[n].shape))) for n in self.names}
        self.packing = Packing(
            {n: s.shape for n, s in shapes.items()}, {n: jnp.issubdtype(s.dtype, jnp.complexfloating) for n, s in shapes.items()}, rows
        )
        self.size = self.packing.size
        self.members = self._members()

    def _members(self) -> list[list[str]]:
        """Unknowns that the linear part couples, together."""
        found: list[list[str]] = []
        for name in self.names:
            linked = {a for a, b in self.modes.linear if b == name} | {b for a, b in self.modes.linear if a == name} | {name}
            joined = [g for g in found if linked & set(g)]
            merged = [n for g in joined for n in g] + [name]
            found = [g for g in found if g not in joined] + [list(dict.fromkeys(merged))]
        return [sorted(g, key=self.names.index) for g in found]

    # -- unknowns and modes ------------------------------------------------------------------

    def _forward(self, name: str, value: Any) -> Any:
        basis = self.modes.bases.get(name)
        return value if basis is None else Apply(basis.forward)(value)

    def _backward(self, name: str, value: Any) -> Any:
        basis = self.modes.bases.get(name)
        return value if basis is None else Apply(basis.backward)(value)

    def to_modes(self, y: Any) -> Any:
        """The modes of a flat state."""
        pieces = y if isinstance(y, dict) else {n: piece(y, place) for n, place in self.model.layout.states.items()}
        return divided(self.packing.joined({n: self._forward(n, divided(a)) for n, a in pieces.items()}))

    def from_modes(self, w: Any) -> Any:
        """The flat state of modes."""
        return side_by_side(list(self.unknowns(w).values()))

    def unknowns(self, w: Any) -> dict[str, Any]:
        """The arrays of all unknowns by name."""
        return {n: divided(self._backward(n, self._piece(w, n))) for n in self.names}

    def _piece(self, w: Any, name: str) -> Any:
        return divided(self.packing.piece(w, name))

    def groups(self, w: Any) -> tuple[Any, ...]:
        """The modes as arrays (m, K), one for each group of coupled unknowns."""
        return tuple(jnp.stack([self._piece(w, n).reshape(-1) for n in g]) for g in self.members)

    def flat(self, groups: tuple[Any, ...]) -> Any:
        """w again."""
        rows = {n: group[i] for g, group in zip(self.members, groups, strict=True) for i, n in enumerate(g)}
        return self.packing.joined({n: rows[n].reshape(self.packing.shapes[n]) for n in self.names})

    # -- rates -----------------------------------------------------------------------------------

    @functools.cached_property
    def _symbol_tape(self) -> Tape:
        return lower(list(self.modes.linear.values()), complex_values=True)

    def symbols(self, p: Any) -> tuple[Any, ...]:
        """L at flat parameters, for each group: (1, K), or (m, m, K) where unknowns are coupled."""
        places = self.model.layout.params
        values = dict(zip(self.modes.linear, self._symbol_tape.run(lambda leaf: piece(p, places[leaf[1]])), strict=True))
        made = []
        for g in self.members:
            rows = [[self._entry(values.get((a, b)), a, p.dtype) for b in g] for a in g]
            kind = jnp.result_type(*(e for row in rows for e in row))
            made.append(jnp.stack([jnp.stack([e.astype(kind) for e in row]) for row in rows]) if len(g) > 1 else rows[0][0][None].astype(kind))
        return tuple(made)

    def _entry(self, value: Any, name: str, dtype: Any) -> Any:
        value = jnp.zeros((), dtype) if value is None else jnp.asarray(value)
        if jnp.iscomplexobj(value) and not self.packing.is_complex[name]:
            value = jnp.real(value)
        return jnp.broadcast_to(value, self.packing.shapes[name]).reshape(-1)

    def resolvent(self, c: Any, p: Any) -> Any:
        """v -> (c - L)^-1 v for flat states, by modes: close to what an implicit step has to solve."""
        symbols = self.symbols(p)

        def one(symbol: Any, group: Any) -> Any:
            if symbol.ndim == 2:
                return group / (c - symbol).astype(group.dtype)
            matrix = c * jnp.eye(len(symbol), dtype=symbol.dtype) - jnp.moveaxis(symbol, 2, 0)
            return jnp.moveaxis(jnp.linalg.solve(matrix, jnp.moveaxis(group, 1, 0)[..., None])[..., 0], 0, 1)

        return lambda v: self.from_modes(self.flat(tuple(one(s, g) for s, g in zip(symbols, self.groups(self.to_modes(v)), strict=True))))

    @functools.cached_property
    def _rest_tape(self) -> Tape:
        return lower([self.modes.rest[n] for n in self.names], complex_values=True)

    def rest(self, point: Any) -> Any:
        """What is left of dw/dt without L w; the state of the point is w."""
        stand_ins = {declaration_of(s).name: n for n, s in self.modes.symbols.items()}
        leaf = self.model._leaf(point)

        def value(key: tuple[str, str]) -> Any:
            return self._piece(point.y, stand_ins[key[1]]) if key[1] in stand_ins else leaf(key)

        found = self._rest_tape.run(value)
        return self.packing.joined({n: self._as_modes(n, v, point.y.dtype) for n, v in zip(self.names, found, strict=True)})

    def _as_modes(self, name: str, value: Any, dtype: Any) -> Any:
        value = jnp.asarray(value)
        if self.packing.is_complex[name]:
            return value if jnp.iscomplexobj(value) else jax.lax.complex(value.astype(dtype), jnp.zeros(value.shape, dtype))
        return value.astype(dtype)
