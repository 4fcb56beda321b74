"""The rates of a discretised System in modes: d(mode)/dt = L mode + the rest, with L known wave by wave.

    periodic coordinates     Fourier coefficients; a stencil multiplies each by its symbol
    sine and cosine series   their own coefficients
    nodes between sides      eigenvectors of the matrix of the highest derivative, the ends left out (fast
                             diagonalisation, Lynch, Rice and Thomas, Numer. Math. 6 (1964) 185)

The linear terms are those whose coefficients hold neither unknowns nor time nor space; parameters they may hold. Everything
else stays in the rest, which is evaluated on the grid: unknowns come from their modes, and what is a transform of a
transform cancels, so that a product costs the transforms that it must.
"""

import dataclasses
from typing import Any

import numpy as np
import sympy as sp

from ...symbols import Applied, Declaration, Quantity, declaration_of, distinct_nodes
from ...system import System
from .axes import Axis, Cells, FourierPoints, Nodes, SinePoints
from .grid import Field, Grid
from .nodes import Node, node
from .operators import Around, Backward, Edge, Ends, Fill, Forward, Inner, Inverse, Matrix, Points, Stencil, Symbol, Waves, Zeros

_MOST_EIGEN = 1024  # points: n*n numbers and n**3 operations
_WORST = 1e6  # condition of the eigenvectors: so many digits are lost on the way to modes and back


@dataclasses.dataclass(frozen=True, eq=False)
class Basis:
    """The modes of one unknown: how its array is transformed, and the symbol that stands for its coefficients."""

    name: str
    forward: Forward
    backward: Backward
    coefficients: Quantity
    eigen: dict[int, tuple[np.ndarray, np.ndarray]]  # axis -> (matrix, its eigenvalues), for nodes between sides

    def __hash__(self) -> int:
        return hash(self.name)


@dataclasses.dataclass(frozen=True, eq=False)
class Modes:
    """Rates in modes. `linear[row, column]` multiplies the modes of `column`; `rest` holds all else.

    An unknown without a basis (a number, a field on a grid that has no modes) stands for itself.
    """

    bases: dict[str, Basis]
    symbols: dict[str, Quantity]
    linear: dict[tuple[str, str], sp.Expr]
    rest: dict[str, sp.Expr]
    stiff_rest: bool


def modes_of(system: System) -> Modes | None:
    """The modes of a reduced System; None where no unknown has a linear part that modes make diagonal."""
    grid = system.grid
    if grid is None or any(e.of is not None or not isinstance(e.lhs, sp.Derivative) for e in system.equations):
        return None
    rates = {declaration_of(e.lhs.expr).name: (e.lhs.expr, _inlined(system, e.rhs)) for e in system.equations}
    bases: dict[str, Basis] = {}
    for name, (array, _) in rates.items():
        field = grid.fields.get(name.rstrip("'"))
        if field is not None and declaration_of(array).shape:
            basis = _basis(grid, field, name, array, rates)
            if basis is not None:
                bases[name] = basis
    if not bases:
        return None
    symbols = {n: b.coefficients for n, b in bases.items()}
    symbols |= {n: _stand_in(a) for n, (a, _) in rates.items() if n not in bases}
    back = {a: node(bases[n].backward, symbols[n]) if n in bases else symbols[n] for n, (a, _) in rates.items()}
    linear: dict[tuple[str, str], sp.Expr] = {}
    rest: dict[str, sp.Expr] = {}
    for name, (_, rate) in rates.items():
        if name not in bases:
            rest[name] = rate.xreplace(back)
            continue
        rewriter = _Rewriter(bases, {a: n for n, (a, _) in rates.items()}, back, bases[name])
        for term in sp.Add.make_args(rewriter.hat(rate)):
            column, coefficient = _linear_in(term, bases, symbols, name)
            if column is None:
                rest[name] = rest.get(name, sp.S.Zero) + term
            else:
                linear[name, column] = linear.get((name, column), sp.S.Zero) + coefficient
        rest.setdefault(name, sp.S.Zero)
    for (a, b), c in list(linear.items()):
        # A reaction that is linear in another unknown is not stiff; kept, it would make a block of every wave.
        if a != b and not c.has(Node) and not linear.get((b, a), sp.S.Zero).has(Node):
            rest[a] += c * symbols[b]
            del linear[a, b]
    if not any(c.has(Node) for c in linear.values()):
        return None
    return Modes(bases, symbols, linear, rest, _differentiates(rest, linear))


def _inlined(system: System, e: sp.Expr) -> sp.Expr:
    """With eliminated unknowns written out."""
    for _ in range(len(system.eliminated)):
        if not e.has(*system.eliminated):
            break
        e = e.xreplace(system.eliminated)
    return e


def _stand_in(array: Applied) -> Quantity:
    d = declaration_of(array)
    return Quantity(Declaration("modes", f"modes of {d.name}", shape=d.shape))


# -- bases ---------------------------------------------------------------------------------


def _basis(grid: Grid, field: Field, name: str, array: Applied, rates: dict[str, tuple[Applied, sp.Expr]]) -> Basis | None:
    axes = [grid.axes[c.name] for c in field.coordinates]
    kinds, forward, backward, eigen = [], [], [], dict[int, tuple[np.ndarray, np.ndarray]]()
    for i, axis in enumerate(axes):
        if isinstance(axis, FourierPoints) or (axis.periodic and isinstance(axis, Nodes | Cells) and axis.uniform):
            kinds.append("fourier")
        elif isinstance(axis, SinePoints):
            kinds.append(axis.series)
        elif isinstance(axis, Nodes | Cells) and not axis.periodic and axis.n <= _MOST_EIGEN:
            found = _eigen(axis, i, array, [r for _, r in rates.values()])
            if found is None:
                return None
            matrix, values, vectors, inverse = found
            eigen[i] = (matrix, values)
            kinds.append("eigen")
            forward.append(inverse)
            backward.append(vectors)
        else:
            return None
    places, lengths = tuple(range(len(axes))), tuple(a.n for a in axes)
    coefficients = Quantity(Declaration("modes", f"modes of {name}"), real=None)
    return Basis(
        name, Forward(places, lengths, tuple(kinds), tuple(forward)), Backward(places, lengths, tuple(kinds), tuple(backward)), coefficients, eigen
    )


def _eigen(axis: Axis, i: int, array: Applied, rates: list[sp.Expr]) -> Any:
    """(matrix, eigenvalues, eigenvectors, their inverse) of the stiffest one-axis operator in the rates; None if there is none."""
    best: np.ndarray | None = None
    for rate in rates:
        for term in _terms(rate):
            matrix = term_matrix(term, array, i, axis.n)
            if matrix is not None and matrix.any() and (best is None or np.linalg.norm(matrix, np.inf) > np.linalg.norm(best, np.inf)):
                best = matrix
    if best is None:
        return None
    # Ends that conditions determine are neither read nor moved: they are modes of their own, with eigenvalue 0.
    used = best.any(0) | best.any(1)
    inner = best[np.ix_(used, used)]
    values, vectors = np.linalg.eig(inner)
    if np.max(np.abs(values.imag)) > 1e-9 * np.max(np.abs(values)) or np.linalg.cond(vectors) > _WORST:
        return None
    order = np.argsort(-values.real)
    whole_values, whole = np.zeros(axis.n), np.eye(axis.n)
    whole_values[used] = values.real[order]
    whole[np.ix_(used, used)] = vectors.real[:, order]
    return best, whole_values, whole, np.linalg.inv(whole)


def _terms(e: sp.Expr) -> list[sp.Expr]:
    """The additive terms of a rate without their scalar factors, each under the `Inner` and `Fill` that it stands in."""
    if isinstance(e, Node) and isinstance(e.operator, Inner | Fill):
        return [node(e.operator, t) for t in _terms(e.operands[0])]
    found = []
    for term in sp.Add.make_args(sp.expand_mul(e, deep=False) if isinstance(e, sp.Add | sp.Mul) else e):
        scalars, others = _factors(term)
        del scalars
        if isinstance(others, sp.Add) or (isinstance(others, Node) and isinstance(others.operator, Inner | Fill)):
            found += _terms(others)
        else:
            found.append(others)
    return found


def _factors(term: sp.Expr) -> tuple[sp.Expr, sp.Expr]:
    scalars = [f for f in sp.Mul.make_args(term) if _is_scalar(f)]
    return sp.Mul(*scalars), sp.Mul(*(f for f in sp.Mul.make_args(term) if f not in scalars))


def _is_scalar(e: sp.Expr) -> bool:
    """Numbers and parameters: the same at every time and everywhere."""
    for n in distinct_nodes(e):
        d = declaration_of(n)
        if isinstance(n, Node) or (d is not None and (d.kind not in ("parameter", "constant") or d.shape)):
            return False
    return True


def term_matrix(e: sp.Expr, array: sp.Expr, axis: int, n: int) -> np.ndarray | None:
    """The matrix that a term applies to an array along one axis, without what does not depend on the array; None if it is not one."""
    if e == array:
        return np.eye(n)
    if not e.has(array):
        return np.zeros((0, 0))
    if isinstance(e, sp.Add):
        parts = [term_matrix(a, array, axis, n) for a in e.args]
        if any(p is None for p in parts):
            return None
        shaped = [p for p in parts if p is not None and p.size]
        return sum(shaped[1:], shaped[0])
    if isinstance(e, sp.Mul):
        numbers = [a for a in e.args if a.is_number]
        others = [a for a in e.args if not a.is_number]
        inner = term_matrix(others[0], array, axis, n) if len(others) == 1 else None
        return None if inner is None else float(sp.Mul(*numbers)) * inner
    if not isinstance(e, Node):
        return None
    return _node_matrix(e, array, axis, n)


def _node_matrix(e: Node, array: sp.Expr, axis: int, n: int) -> np.ndarray | None:
    o = e.operator
    if isinstance(o, Fill):
        return term_matrix(e.operands[0], array, axis, n)
    if not isinstance(o, Stencil | Matrix | Ends | Around | Edge | Inner):
        return None
    if not isinstance(o, Inner) and o.axis != axis:
        return None
    inner = term_matrix(e.operands[0], array, axis, n)
    if inner is None:
        return None
    inner = inner if inner.size else np.zeros((n, n))
    if isinstance(o, Stencil | Matrix):
        return o.matrix() @ inner
    if isinstance(o, Inner):
        first, last = o.cuts[axis]
        masked = inner.copy()
        masked[:first] = 0
        masked[len(masked) - last :] = 0
        return masked
    if isinstance(o, Edge):
        weights = np.asarray(o.weights)
        near = inner[o.skip : o.skip + len(weights)] if o.end == "left" else inner[::-1][o.skip : o.skip + len(weights)]
        return (weights @ near)[None, :]
    ends = [term_matrix(x, array, axis, n) for x in e.operands[1:]]
    if any(x is None or x.shape not in ((0, 0), (1, n)) for x in ends):
        return None
    rows = [x if x is not None and x.size else np.zeros((1, n)) for x in ends]
    left, right = rows[: o.left], rows[o.left :]
    if isinstance(o, Ends):
        return np.concatenate([*left, inner[o.left : len(inner) - o.right], *right])
    return np.concatenate([*reversed(left), inner, *right])


def solved_in_modes(grid: Grid, field: Field, residual: sp.Expr) -> sp.Expr | None:
    """The array of a field from a residual that is linear in it, mode by mode; None where it is not.

    A mode that the equation leaves open (the constant of a periodic Poisson equation) is 0.
    """
    array = field.array
    basis = _basis(grid, field, field.name, array, {field.name: (array, residual)})
    if basis is None:
        return None
    unknown = basis.coefficients
    rewriter = _Rewriter({field.name: basis}, {array: field.name}, {array: node(basis.backward, unknown)}, basis)
    own, other = sp.S.Zero, sp.S.Zero
    for term in sp.Add.make_args(rewriter.hat(residual)):
        column, coefficient = _linear_in(term, {field.name: basis}, {field.name: unknown}, field.name)
        if column is None:
            other += term
        else:
            own += coefficient
    if own == 0 or not own.has(Node) or other.has(unknown) or other.has(array):
        return None
    return node(basis.backward, -node(Inverse(), own) * other) if other != 0 else None


# -- rewriting ---------------------------------------------------------------------------------


class _Rewriter:
    """Takes transforms into a rate, as far as they go, for the basis of one unknown."""

    def __init__(self, bases: dict[str, Basis], names: dict[Applied, str], back: dict[Applied, sp.Expr], basis: Basis):
        self.bases, self.names, self.back, self.basis = bases, names, back, basis
        self.done: dict[sp.Basic, sp.Basic] = {}
        self.rank = len(basis.forward.axes)

    def hat(self, e: sp.Expr) -> sp.Expr:
        """The coefficients of an array, in coefficients of the unknowns where they can be."""
        if e == 0:
            return e
        if isinstance(e, sp.Add | sp.Mul):
            expanded = sp.expand_mul(e, deep=False)
            if isinstance(expanded, sp.Add):
                return self._sum(expanded.args)
            scalar, rest = _factors(expanded)
            if scalar != 1:
                return sp.expand_mul(scalar * self.hat(rest), deep=False)
        if e in self.names and self._alike(self.names[e]):
            return self.bases[self.names[e]].coefficients
        if isinstance(e, Node):
            found = self._node(e)
            if found is not None:
                return found
        return self._forward(self._cancelled(e.xreplace(self.back)))

    def _forward(self, e: sp.Expr) -> sp.Expr:
        """The transform of an array; of a number, such as a source that is the same everywhere, once it fills the grid."""
        everywhere = not any(isinstance(n, Node) or getattr(declaration_of(n), "shape", ()) for n in distinct_nodes(e))
        return node(self.basis.forward, node(Fill(self.basis.forward.lengths), e) if everywhere else e)

    def _cancelled(self, e: Any) -> Any:
        """Without transforms of what has just been transformed back."""
        if e not in self.done:
            args = tuple(self._cancelled(a) for a in e.args)
            made = node(e.operator, *args[1:]) if isinstance(e, Node) else e if args == e.args else e.func(*args)
            self.done[e] = made
        return self.done[e]

    def _sum(self, terms: Any) -> sp.Expr:
        """What has no simpler form is transformed together, once."""
        known, together = sp.S.Zero, sp.S.Zero
        for term in terms:
            scalar, rest = _factors(term)
            h = self.hat(rest)
            if isinstance(h, Node) and h.operator == self.basis.forward:
                together += scalar * h.operands[0]
            else:
                known += sp.expand_mul(scalar * h, deep=False)
        return known + (self._forward(together) if together != 0 else sp.S.Zero)

    def _alike(self, name: str) -> bool:
        b = self.bases.get(name)
        return b is not None and b.forward == self.basis.forward

    def _node(self, e: Node) -> sp.Expr | None:
        o = e.operator
        if self.basis.forward.undoes(o):
            return self._coefficients(e.operands[0])
        if isinstance(o, Stencil) and o.periodic and self.basis.forward.kinds[o.axis] == "fourier":
            fourier = [i for i, k in enumerate(self.basis.forward.kinds) if k == "fourier"]
            symbol = node(Symbol(self.rank, o.axis, o.n, o.axis == fourier[-1], o.first, tuple(float(w) for w in np.asarray(o.weights))))
            inner = self.hat(e.operands[0])
            return sp.expand_mul(symbol * inner, deep=False) if np.ndim(o.weights) == 1 else None
        if isinstance(o, Inner) and e.operands[0] in self.names and self._alike(self.names[e.operands[0]]):
            masks = self._masks(o, self.bases[self.names[e.operands[0]]])
            return None if masks is None else masks * self.bases[self.names[e.operands[0]]].coefficients
        if isinstance(o, Inner | Fill):
            outer, inside = [o], e.operands[0]
            if isinstance(inside, Node) and isinstance(inside.operator, Fill):
                outer, inside = [o, inside.operator], inside.operands[0]
            terms = sp.Add.make_args(sp.expand_mul(inside, deep=False) if isinstance(inside, sp.Add | sp.Mul) else inside)
            scaled = [_factors(t) for t in terms]
            if len(terms) > 1 or scaled[0][0] != 1:
                return self._sum([s * _wrapped(outer, t) for s, t in scaled])
            if isinstance(outer[-1], Fill) and inside.has(*self.names):  # an unknown has its full shape already
                return self.hat(_wrapped(outer[:-1], inside))
        return self._eigenvalues(e)

    def _masks(self, o: Inner, basis: Basis, but: int = -1) -> sp.Expr | None:
        """What zeros at the ends of the grid are for the modes: the ends are modes of their own. None where they are not."""
        found: sp.Expr = sp.S.One
        for axis, (left, right) in enumerate(o.cuts):
            if axis == but or not (left or right):
                continue
            if axis not in basis.eigen:
                return None
            matrix, values = basis.eigen[axis]
            used = np.ones(len(values))
            used[:left] = used[len(values) - right :] = 0
            if matrix[used == 0].any() or matrix[:, used == 0].any():
                return None
            found *= node(Points(self.rank, axis, len(values), 0.0, 0.0, used))
        return found

    def _coefficients(self, e: sp.Expr) -> sp.Expr:
        """What stands under a `Backward`: transforms of the same kind inside it are rewritten too."""
        inner = {n: self.hat(n.operands[0]) for n in distinct_nodes(e) if isinstance(n, Node) and n.operator == self.basis.forward}
        return sp.expand_mul(e.xreplace(inner), deep=False) if inner else e

    def _eigenvalues(self, e: Node) -> sp.Expr | None:
        """A matrix along one axis that the eigenvectors make diagonal, and what in it does not depend on the unknown."""
        for array, name in self.names.items():
            if not e.has(array) or not self._alike(name):
                continue
            for axis, (matrix, values) in self.bases[name].eigen.items():
                own = term_matrix(e, array, axis, len(values))
                if own is None or not own.size:
                    continue
                scale = _ratio(own, matrix)
                if scale is None:
                    continue
                masks = self._masks(e.operator, self.bases[name], axis) if isinstance(e.operator, Inner) else sp.S.One
                if masks is None:
                    continue
                symbol = scale * masks * node(Points(self.rank, axis, len(values), 0.0, 0.0, values))
                found = symbol * self.bases[name].coefficients
                if e.xreplace({array: sp.S.Zero}) == 0:
                    return found
                return found + self.hat(e.xreplace({array: node(Zeros(declaration_of(array).shape))}))
        return None


def _wrapped(outer: list[Any], e: sp.Expr) -> sp.Expr:
    for o in reversed(outer):
        e = node(o, e)
    return e


def _ratio(matrix: np.ndarray, of: np.ndarray) -> float | None:
    """c with matrix = c*of, None if there is none."""
    i = np.unravel_index(np.argmax(np.abs(of)), of.shape)
    c = float(matrix[i] / of[i])
    return c if np.max(np.abs(matrix - c * of)) <= 1e-10 * abs(c) * abs(of[i]) and c else None


def _linear_in(term: sp.Expr, bases: dict[str, Basis], symbols: dict[str, Quantity], row: str) -> tuple[str | None, sp.Expr]:
    """(the unknown whose modes a term is a multiple of, the multiplier), or (None, the term)."""
    for name, basis in bases.items():
        if basis.forward != bases[row].forward:
            continue
        coefficient = term / symbols[name]
        if coefficient.has(*symbols.values()) or not term.has(symbols[name]):
            continue
        if all(_is_static(f) for f in sp.Mul.make_args(coefficient)):
            return name, coefficient
    return None, term


def _is_static(f: sp.Expr) -> bool:
    """Numbers, parameters and arrays that belong to the grid alone."""
    for n in distinct_nodes(f):
        d = declaration_of(n)
        if d is not None and (d.kind not in ("parameter", "constant") or d.shape):
            return False
        if isinstance(n, Node) and isinstance(n.operator, Forward | Backward):
            return False
    return True


def _differentiates(rest: dict[str, sp.Expr], linear: dict[tuple[str, str], sp.Expr]) -> bool:
    """Whether the rest differentiates an unknown as often as the linear part: then it is as stiff, and modes do not help."""
    most = max((_order(c) for c in linear.values()), default=0)
    return any(_order(t) >= most > 1 for e in rest.values() for t in sp.Add.make_args(e) if _holds_modes(t))


def _order(e: Any) -> int:
    """How often an expression differentiates: wave numbers multiply, fields in a product are looked at one by one."""
    if not isinstance(e, sp.Expr):  # a branch of a Piecewise
        return _order(e.args[0]) if e.args else 0
    if isinstance(e, sp.Add):
        return max(map(_order, e.args))
    if isinstance(e, sp.Mul):
        fields = [a for a in e.args if _holds_modes(a)]
        return max(map(_order, fields), default=0) + sum(_order(a) for a in e.args if a not in fields)
    if isinstance(e, sp.Pow) and e.exp.is_Integer:
        return _order(e.base) * (1 if _holds_modes(e.base) else int(e.exp))
    if not isinstance(e, Node):
        return max(map(_order, e.args), default=0)
    o, inner = e.operator, max(map(_order, e.operands), default=0)
    if isinstance(o, Inverse):
        return -inner
    if isinstance(o, Waves):
        return 1
    if isinstance(o, Symbol | Points):  # a second difference, or the eigenvalues of one; a mask of ends has none
        return 0 if isinstance(o, Points) and set(np.unique(o.listed)) <= {0.0, 1.0} else 2
    if isinstance(o, Stencil | Matrix):
        own = (
            int(o.name[1:]) if o.name[:1] == "d" and o.name[1:].isdigit() else 1 if o.name in ("d", "slope", "flux") or o.name.startswith("d_") else 0
        )
        return own + inner
    return inner


def _holds_modes(e: sp.Expr) -> bool:
    return any(getattr(declaration_of(n), "kind", "") == "modes" for n in distinct_nodes(e))
