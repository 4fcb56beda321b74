"""Numbers that carry derivatives along: truncated Taylor polynomials of several variables, with collapsed sums.

A value y that depends on eps_1, ..., eps_k is held by its coefficients, y = y_0 + sum over alpha of y_alpha eps^alpha.

| slot            | what it holds                                                        |
|-----------------|----------------------------------------------------------------------|
| primal          | y_0, the value itself                                                |
| an index alpha  | y_alpha, for the alpha of a set that holds all parts of its members  |
| an integer j    | sum over alpha of w_alpha y_alpha: the collapsed sum number j        |

A product needs, for its slot alpha, the pairs beta + gamma = alpha. A collapsed sum needs the pairs of its members, each of them
carried by itself, and of its members only the sum: (a b)_j = a_0 b_j + a_j b_0 + sum w_alpha a_beta b_gamma. So what is highest,
and most numerous, is never held one by one (Dangel, Siebert, Zeinhofer and Walther, NeurIPS 2025, arXiv:2505.13644).

With lanes, every index slot has a leading axis, one entry for each of many directions, and a collapsed sum runs over it too.
A slot that is zero is absent: nothing multiplies by zero.
"""

import dataclasses
import itertools
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

Index = tuple[int, ...]
Key = Any
"""Of a slot: an index, or the number of a collapsed sum."""
Slots = dict[Key, Any]


class Part(NamedTuple):
    """A slot as it enters a product: its leading axes as letters, and the entries to take of its first axis (all, if None)."""

    key: Key
    letters: str = ""
    take: Any = None


class Term(NamedTuple):
    """One pair in a product: weight * (left of a) * (right of b), and the two exchanged if `mirrored`.

    Letters that the result does not have are summed, with a weight for each entry if it is an array.
    """

    left: Part
    right: Part
    mirrored: bool = False
    weight: Any = None


@dataclasses.dataclass(frozen=True, eq=False)
class Algebra:
    """Which slots a value has, and how they multiply.

    Attributes:
        keys: of the slots, low degrees first.
        axes: of each slot, its leading axes as letters: "", or "r" for lanes.
        terms: of each slot, the pairs of a product without the primal.
        order: the highest degree.
        sizes: of each letter.
        indices: those carried one by one.
        sums: members and weights of each collapsed sum.
        otherwise: what a function without a rule does to slots; None: `derived`.
    """

    keys: tuple[Key, ...]
    axes: Mapping[Key, str]
    terms: Mapping[Key, tuple[Term, ...]]
    order: int
    sizes: Mapping[str, int] = dataclasses.field(default_factory=dict)
    indices: tuple[Index, ...] = ()
    sums: tuple[tuple[tuple[Index, Any], ...], ...] = ()
    otherwise: Callable[..., list[Slots]] | None = None


@jax.tree_util.register_pytree_node_class
@dataclasses.dataclass(frozen=True, eq=False)
class Series:
    """A value with its slots. A value without slots is a plain array."""

    primal: Any
    slots: Slots

    def tree_flatten(self) -> tuple[tuple[Any, ...], tuple[Key, ...]]:
        return (self.primal, *self.slots.values()), tuple(self.slots)

    @classmethod
    def tree_unflatten(cls, keys: tuple[Key, ...], children: Sequence[Any]) -> "Series":
        return cls(children[0], dict(zip(keys, children[1:], strict=True)))


def primal_of(value: Any) -> Any:
    """The value itself."""
    return value.primal if isinstance(value, Series) else value


def slots_of(value: Any) -> Slots:
    """The slots of a value; none of a plain array."""
    return value.slots if isinstance(value, Series) else {}


def series(primal: Any, slots: Slots) -> Any:
    """A `Series`, or a plain array if there are no slots."""
    return Series(primal, slots) if slots else primal


def below(indices: Iterable[Index]) -> tuple[Index, ...]:
    """All parts of some indices, themselves included and zero left out, by degree.

    >>> below([(2, 1)])
    ((0, 1), (1, 0), (1, 1), (2, 0), (2, 1))
    """
    parts = {beta for alpha in indices for beta in itertools.product(*(range(a + 1) for a in alpha)) if any(beta)}
    return tuple(sorted(parts, key=lambda beta: (sum(beta), beta)))


def algebra(wanted: Iterable[Index], sums: Sequence[Sequence[tuple[Index, Any]]] = (), lanes: int | None = None) -> Algebra:
    """The algebra that carries some indices, and collapsed sums over others.

    Args:
        wanted: indices to carry; their parts come along.
        sums: for each collapsed sum its (index, weight); members of one sum have one degree. With lanes a weight may be an array over them.
        lanes: the number of directions that go side by side.
    """
    inner = [beta for members in sums for alpha, _ in members for beta in below([alpha]) if beta != alpha]
    indices = below([*wanted, *inner])
    lane = "" if lanes is None else "r"
    terms: dict[Key, tuple[Term, ...]] = {alpha: tuple(_pairs(alpha, lane)) for alpha in indices}
    for j, members in enumerate(sums):
        terms[j] = tuple(pair._replace(weight=weight) for alpha, weight in members for pair in _pairs(alpha, lane))
    axes = {alpha: lane for alpha in indices} | {j: "" for j in range(len(sums))}
    order = max([sum(alpha) for alpha in indices] + [sum(members[0][0]) for members in sums], default=0)
    sizes = {} if lanes is None else {"r": lanes}
    return Algebra((*indices, *range(len(sums))), axes, terms, order, sizes, indices, tuple(tuple(m) for m in sums))


def _pairs(alpha: Index, lane: str) -> Iterable[Term]:
    """The unordered pairs of indices that add up to one."""
    for beta in below([alpha]):
        gamma = tuple(a - b for a, b in zip(alpha, beta, strict=True))
        if any(gamma) and beta <= gamma:
            yield Term(Part(beta, lane), Part(gamma, lane), mirrored=beta != gamma)


def cross(al: Algebra, op: Callable[..., Any], a: Slots, b: Slots, *, commutes: bool = True) -> Slots:
    """The product of two values whose primal is zero.

    Args:
        al: the algebra.
        op: the product of two slots.
        a: the slots of the first.
        b: the slots of the second.
        commutes: whether the order of the two does not matter: a square then takes half of its pairs.
    """
    found: Slots = {}
    for key in al.keys:
        parts = [part for term in al.terms[key] for part in _parts(al, op, a, b, key, term, a is b and commutes)]
        if parts:
            found[key] = total(parts)
    return found


def _parts(al: Algebra, op: Callable[..., Any], a: Slots, b: Slots, key: Key, term: Term, square: bool) -> Iterable[Any]:
    left, right, mirrored, weight = term
    if square and mirrored:  # the second of the pair is the first
        mirrored, weight = False, 2 if weight is None else 2 * weight
    if left.key in a and right.key in b:
        yield _combine(op, a[left.key], left, b[right.key], right, al.axes[key], weight)
    if mirrored and right.key in a and left.key in b:
        yield _combine(op, a[right.key], right, b[left.key], left, al.axes[key], weight)


def _combine(op: Callable[..., Any], a: Any, left: Part, b: Any, right: Part, out: str, weight: Any) -> Any:
    """One product of slots, over their leading axes."""
    letters = "".join(dict.fromkeys(out + left.letters + right.letters))
    for letter in reversed(letters):
        op = jax.vmap(op, in_axes=(0 if letter in left.letters else None, 0 if letter in right.letters else None))
    made = op(*(slot if part.take is None else slot[part.take] for slot, part in ((a, left), (b, right))))
    if weight is not None:
        made = scaled(made, weight)
    return jnp.sum(made, axis=tuple(range(len(out), len(letters)))) if len(letters) > len(out) else made


def scaled(value: Any, weight: Any) -> Any:
    """A value times a weight that is a number, or an array over the value's first axes."""
    weight = jnp.asarray(weight, value.dtype)
    return value * weight.reshape(weight.shape + (1,) * (value.ndim - weight.ndim))


def broadcast(al: Algebra, op: Callable[..., Any], primal: Any, slot: Any, key: Key) -> Any:
    """`op(primal, slot)`, over the leading axes of the slot."""
    for _ in al.axes[key]:
        op = jax.vmap(op, in_axes=(None, 0))
    return op(primal, slot)


def total(parts: Sequence[Any]) -> Any:
    """The sum of arrays of one shape."""
    found = parts[0]
    for part in parts[1:]:
        found = found + part
    return found
