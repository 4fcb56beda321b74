"""Conservation laws as hard constraints on what a network gives: a projection of its values on the grid.

    law          G u = b          integrals over space, linear in the fields, at each time
    projection   u' = u - S G^T (G S G^T)^-1 (G u - b)

Of all values that fulfil the laws, u' is the nearest to u in the norm d^T S^-1 d. S is diagonal: the variance of each value, 1
unless it is known, over the length (area, volume) of its cell; so the correction is a smooth function of space, largest where
the network is least certain (Hansen, Maddix, Alizadeh, Gupta and Mahoney, Learning physical models that can respect conservation
laws, ICML 2023). Integrals are sums by the trapezoidal rule on the grid of the solution.
"""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import sympy as sp

from ..errors import FitError, NameUnknown, nearest
from ..symbols import At, D, declaration_of, distinct_nodes
from ..system import Equation, text
from .compare import name_of

if TYPE_CHECKING:
    import xarray as xr

_FLOOR = 1e-6  # of the mean variance: the least variance, so that laws can be fulfilled where the network is certain
_SINGULAR = 1e-10


class Conserved:
    """Values on the grid of a solution that fulfil conservation laws. Made by `net.conserve(...)`.

    `conserved[u]` has the shape of `net[u]`. Fields that no law speaks of stay as they were.

    Attributes:
        net: the solution that was corrected.
        before: by law, the largest distance |G u - b| at any time before the correction.
        after: the same after it.
    """

    def __init__(self, net: Any, values: dict[str, np.ndarray], before: dict[str, float], after: dict[str, float]):
        self.net, self._values, self.before, self.after = net, values, before, after

    def __getitem__(self, key: Any) -> np.ndarray:
        name = name_of(key)
        if name in self._values:
            return self._values[name]
        if name not in self.net.fields:
            raise NameUnknown(f"Corrected are values of the unknowns, and '{name}' is none of them. {nearest(name, self.net.fields)}")
        return np.asarray(self.net[name])

    def to_xarray(self) -> "xr.Dataset":
        """`net.to_xarray()` with the corrected values, without observed quantities."""
        data = self.net.to_xarray().drop_vars(list(self.net.system.observed))
        return data.assign({n: (data[n].dims, values, data[n].attrs) for n, values in self._values.items()})

    def __repr__(self) -> str:
        told = "; ".join(f"{law}: off by {self.before[law]:.2g} before, {self.after[law]:.2g} now" for law in self.before)
        return f"Conserved({', '.join(self._values)}; {told})"


def conserve(
    net: Any, laws: Sequence[Any], values: Mapping[str, np.ndarray] | None = None, variance: Mapping[str, np.ndarray] | None = None
) -> Conserved:
    """Values on the grid of a solution, corrected as little as possible so that conservation laws hold.

    Args:
        net: the solution.
        laws: equations between integrals over space, linear in the fields, and expressions of time and parameters.
        values: of fields on the grid, by name; those of the solution if left out.
        variance: of these values, by name; 1 if left out.

    Raises:
        FitError: no law; a law that is not linear in the fields, speaks of derivatives, or integrates over other coordinates than
            another law; a domain with a shape of its own; laws that contradict each other.
    """
    if not laws:
        raise FitError("net.conserve() needs a law: net.conserve(sci.eq(sci.integral(u, x), 1.0)).")
    read = [_read(net, law) for law in laws]
    grid = _grid(net, read)
    fields = list(dict.fromkeys(n for law in read for n in law.factors))
    mean = np.concatenate([grid.flat(np.asarray(net[n] if values is None else values[n], float)) for n in fields], axis=1)
    spread = np.concatenate([grid.flat(_floored(None if variance is None else variance[n], grid.shape)) for n in fields], axis=1)
    cells = np.tile(grid.weights, len(fields))
    rows = np.stack([np.concatenate([grid.row(net, law.factors.get(n)) for n in fields], axis=1) for law in read], axis=1)
    target = np.stack([-grid.flat(grid.whole(net, law.rest))[:, 0] for law in read], axis=1)
    found = project(mean, rows * cells, target, spread / cells, [law.text for law in read])
    parts = np.split(found, len(fields), axis=1)
    off = [np.abs(((rows * cells) @ v[..., None])[..., 0] - target).max(axis=0) for v in (mean, found)]
    named = [{law.text: float(e) for law, e in zip(read, errors, strict=True)} for errors in off]
    return Conserved(net, {n: grid.unflat(v) for n, v in zip(fields, parts, strict=True)}, *named)


def project(mean: np.ndarray, rows: np.ndarray, target: np.ndarray, spread: np.ndarray, texts: Sequence[str]) -> np.ndarray:
    """The nearest values that fulfil linear laws, each row of a batch by itself.

    Args:
        mean: (batch, points).
        rows: G, (batch, laws, points).
        target: b, (batch, laws).
        spread: the diagonal of S, (batch, points).
        texts: the laws, for messages.

    Raises:
        FitError: laws that depend on each other.
    """
    gained = rows * spread[:, None, :]  # G S
    normal = gained @ np.swapaxes(rows, 1, 2)
    sizes = np.sqrt(np.diagonal(normal, axis1=1, axis2=2))
    if not (sizes > 0).all() or np.linalg.eigvalsh(normal / sizes[:, :, None] / sizes[:, None, :]).min() < _SINGULAR:
        raise FitError(f"The laws {' and '.join(f'`{law}`' for law in texts)} depend on each other, or one of them holds no field. Leave one out.")
    found = mean
    for _ in range(2):  # the second time for what rounding left
        missing = (rows @ found[..., None])[..., 0] - target
        found = found - (np.linalg.solve(normal, missing[..., None])[:, None, :, 0] @ gained)[:, 0]
    return found


# -- reading laws -----------------------------------------------------------------------------------


@dataclasses.dataclass(frozen=True, eq=False)
class _Law:
    """integral of (sum of factor_f f) + rest = 0, over some coordinates."""

    text: str
    over: tuple[str, ...]
    factors: dict[str, sp.Expr]
    rest: sp.Expr


def _read(net: Any, law: Any) -> _Law:
    if not isinstance(law, Equation):
        raise FitError(f"`{law}` is no law. Write sci.eq(sci.integral(u, x), 1.0).")
    told = f"{text(law.lhs)} = {text(law.rhs)}"
    residual = sp.expand(law.residual)
    integrals = {n: sp.Dummy() for n in residual.atoms(sp.Integral)}
    outside = residual.xreplace(integrals)
    factors: dict[str, sp.Expr] = {}
    rest = outside.xreplace({d: sp.S.Zero for d in integrals.values()})
    over: set[tuple[str, ...]] = set()
    for integral, dummy in integrals.items():
        before = outside.diff(dummy)
        if before.free_symbols & set(integrals.values()) or _fields_in(net, before):
            raise FitError(f"The law `{told}` is not linear: it multiplies `{text(integral)}`. A projection needs sums of integrals.")
        inside, left = _linear(net, integral.function, told)
        rest += before * sp.Integral(left, *integral.limits) if left != 0 else 0
        for name, factor in inside.items():
            factors[name] = factors.get(name, sp.S.Zero) + before * factor
        if inside:
            over.add(_whole_limits(integral, told))
    if _fields_in(net, rest):
        raise FitError(f"The law `{told}` holds '{_fields_in(net, rest)[0]}' outside an integral over space. Laws are integrals: sci.integral(u, x).")
    if len(over) != 1:
        what = "no integral of a field" if not over else "integrals over different coordinates"
        raise FitError(f"The law `{told}` holds {what}. Write sci.eq(sci.integral(u, x), 1.0).")
    return _Law(told, over.pop(), factors, rest)


def _linear(net: Any, inside: sp.Expr, told: str) -> tuple[dict[str, sp.Expr], sp.Expr]:
    """The factor of each field in an integrand, and what holds none."""
    for n in distinct_nodes(inside):
        if isinstance(n, sp.Derivative | sp.Subs | At | D | sp.Integral) and _fields_in(net, n):
            raise FitError(f"The law `{told}` speaks of `{text(n)}`, and values on a grid are corrected. Integrate the fields themselves.")
    symbols = {n: sp.Dummy(real=True) for n in distinct_nodes(inside) if getattr(declaration_of(n), "name", None) in net.fields}
    placed = inside.xreplace(symbols)
    factors = {}
    for field, symbol in symbols.items():
        name = declaration_of(field).name
        if field.is_real is not True:
            raise FitError(f"The law `{told}` speaks of the complex field '{name}': a projection is for real values.")
        factor = placed.diff(symbol)
        if factor.free_symbols & set(symbols.values()):
            raise FitError(
                f"The law `{told}` is not linear in '{name}', so no projection fulfils it. Correct what is linear, or leave the law to training."
            )
        factors[name] = factor
    return factors, placed.xreplace(dict.fromkeys(symbols.values(), sp.S.Zero))


def _fields_in(net: Any, e: sp.Basic) -> list[str]:
    return [declaration_of(n).name for n in distinct_nodes(e) if getattr(declaration_of(n), "name", None) in net.fields]


def _whole_limits(integral: sp.Integral, told: str) -> tuple[str, ...]:
    for c, *ends in integral.limits:
        payload = c.declaration.payload
        if len(ends) != 2 or any(not e.is_number or float(e) != payload[k] for e, k in zip(ends, ("low", "high"), strict=False)):
            raise FitError(f"The law `{told}` integrates over a part of {c}. Laws are integrals over all of it: sci.integral(u, {c}).")
    return tuple(sorted(c.name for c, *_ in integral.limits))


# -- the grid -----------------------------------------------------------------------------------------


@dataclasses.dataclass(frozen=True, eq=False)
class _Grid:
    """Arrays over the coordinates of the fields, (time, *space), as (batch, points): points are what is integrated over."""

    names: tuple[str, ...]
    shape: tuple[int, ...]
    inner: tuple[int, ...]
    weights: np.ndarray

    def flat(self, values: np.ndarray) -> np.ndarray:
        moved = np.moveaxis(np.broadcast_to(values, self.shape), self.inner, range(-len(self.inner), 0))
        return moved.reshape(-1, self.weights.size)

    def unflat(self, values: np.ndarray) -> np.ndarray:
        outer = [n for i, n in enumerate(self.shape) if i not in self.inner]
        return np.moveaxis(values.reshape(*outer, *(self.shape[i] for i in self.inner)), range(-len(self.inner), 0), self.inner)

    def whole(self, net: Any, expression: sp.Expr) -> np.ndarray:
        """An expression on the grid."""
        over = net.over(expression)
        return np.broadcast_to(np.expand_dims(np.asarray(net[expression], float), [i for i, n in enumerate(self.names) if n not in over]), self.shape)

    def row(self, net: Any, factor: sp.Expr | None) -> np.ndarray:
        return np.zeros((int(np.prod(self.shape)) // self.weights.size, self.weights.size)) if factor is None else self.flat(self.whole(net, factor))


def _grid(net: Any, laws: Sequence[_Law]) -> _Grid:
    first = laws[0]
    fields = {n: law for law in laws for n in law.factors}
    names = net.over(next(iter(fields)))
    for law in laws:
        if law.over != first.over:
            what = f"`{first.text}` integrates over {', '.join(first.over)} and `{law.text}` over {', '.join(law.over)}"
            raise FitError(f"{what}. Laws that are imposed together integrate over the same coordinates.")
    for name, law in fields.items():
        if net.over(name) != names:
            raise FitError(
                f"`{law.text}` speaks of '{name}', which depends on {', '.join(net.over(name))}; other fields depend on {', '.join(names)}."
            )
    if net.system.domain is not None:
        raise FitError(f"System '{net.system.name}' has a domain with a shape of its own, over which a regular grid does not integrate well enough.")
    shape = tuple(len(net.t) if n == "t" else len(net.axes[n].points) for n in names)
    weights = np.ones(())
    inner = tuple(i for i, n in enumerate(names) if n in first.over)
    for i in inner:
        weights = np.multiply.outer(weights, net.axes[names[i]].weights)
    return _Grid(names, shape, inner, weights.reshape(-1))


def _floored(variance: np.ndarray | None, shape: tuple[int, ...]) -> np.ndarray:
    """A variance that is nowhere quite 0."""
    if variance is None or not variance.any():
        return np.ones(shape)
    return np.maximum(variance, _FLOOR * variance.mean())
