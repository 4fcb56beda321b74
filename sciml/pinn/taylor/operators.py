"""Derivatives of a function at one point, in one pass through its program.

| name                | what it gives                                       | vectors that go through the network          |
|---------------------|-----------------------------------------------------|----------------------------------------------|
| `partials`          | partial derivatives of any orders, and sums of them | one per part of a wanted index               |
| `directional`       | sum over r of w_r D^K f[v_r, ..., v_r]              | 1 + (K - 1) R + 1                            |
| `laplacian`         | sum over i of f_ii                                  | 1 + n + 1                                    |
| `biharmonic`        | sum over i, j of f_iijj                             | 1 + n + n (n + 1) / 2 + 1 + n + 1            |
| `nested`            | partial derivatives, by forward mode nested in itself | 2^K                                        |
"""

import math
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
from jax.flatten_util import ravel_pytree

from ...errors import ModelError
from . import control, derived, rules  # noqa: F401  (they register themselves)
from .algebra import Index, Key, Series, algebra, below, primal_of, scaled, slots_of
from .harmonic import harmonic
from .interpret import taylor

Combination = Sequence[tuple[Index, Any]]


def partials(
    f: Callable[[Any], Any], x: Any, indices: Sequence[Index], *, directions: Any = None, combinations: Sequence[Combination] = ()
) -> tuple[list[Any], list[Any]]:
    """Partial derivatives of a function, and weighted sums of them, exactly and in one pass.

    The pass carries the Taylor coefficients of all parts of the indices that are wanted (u_xxy needs u, u_x, u_y, u_xx, u_xy). Of an index
    that only combinations want, nothing is carried but the combination itself.

    Args:
        f: of one argument, an array or a pytree of arrays; gives an array or a pytree of arrays.
        x: the point.
        indices: how often by which direction, one tuple of as many whole numbers as there are directions. All zero is the value.
        directions: what to differentiate along, shaped like `x` with a new first axis. None: along each entry of `x`.
        combinations: lists of (index, weight). A weight is a number or a scalar array.

    Returns:
        The derivatives in the order of `indices`, and the sums in the order of `combinations`, each like what `f` gives.

    Raises:
        ModelError: an index that does not fit the directions, or directions that do not fit the point.

    >>> import jax.numpy as jnp
    >>> from sciml.pinn.taylor import partials
    >>> f = lambda x: x[0] ** 3 * x[1]
    >>> (u_xxy,), (laplacian,) = partials(f, jnp.array([2.0, 1.0]), [(2, 1)], combinations=[[((2, 0), 1.0), ((0, 2), 1.0)]])
    >>> float(u_xxy), float(laplacian)
    (12.0, 12.0)
    """
    point, unravel = ravel_pytree(x)
    moves = _moves("partials", point, directions)
    for index in [*indices, *(index for members in combinations for index, _ in members)]:
        _fits(index, moves.shape[0], directions is None)
    carried, sums, recipe = _collapse([tuple(index) for index in indices], combinations)
    al = algebra(carried, sums)
    k = moves.shape[0]
    slots = {key: moves[key.index(1)] for key in al.indices if sum(key) == 1}
    out = taylor(al, lambda flat: f(unravel(flat)), Series(point, slots) if slots else point)
    leaves, tree = jax.tree.flatten(out, is_leaf=lambda leaf: isinstance(leaf, Series))

    zero = (0,) * k
    values = [jax.tree.unflatten(tree, [_derivative(leaf, tuple(index), zero) for leaf in leaves]) for index in indices]
    totals = [jax.tree.unflatten(tree, [_sum_of(leaf, parts, zero) for leaf in leaves]) for parts in recipe]
    return values, totals


def _moves(name: str, point: Any, directions: Any) -> Any:
    """The directions as rows."""
    if directions is None:
        return jnp.eye(point.size, dtype=point.dtype)
    moves = jax.vmap(lambda v: ravel_pytree(v)[0])(directions)
    if moves.shape[1] != point.size:
        raise ModelError(
            f"{name}: directions of shape {moves.shape} do not fit a point with {point.size} numbers: write one row of {point.size} for each."
        )
    return moves.astype(point.dtype)


def _fits(index: Index, count: int, plain: bool) -> None:
    if len(index) != count or any(int(a) != a or a < 0 for a in index):
        things = "entries of x" if plain else "directions"
        raise ModelError(
            f"partials: the index {tuple(index)} does not fit: there are {count} {things}, so an index is {count} whole numbers, none negative, "
            f"such as {(2,) + (0,) * (count - 1)}."
        )


def _collapse(indices: Sequence[Index], combinations: Sequence[Combination]) -> tuple[list[Index], list[Any], list[Any]]:
    """What to carry one by one; the collapsed sums of one degree each; how each combination follows: (key, weight) pairs.

    An index that stands below another one is carried in any case. So is one that stands alone in its sum, or is of first order.
    """
    members = [(tuple(index), weight) for combination in combinations for index, weight in combination]
    carried = set(below([*indices, *(part for index, _ in members for part in below([index]) if part != index)]))
    groups: list[dict[int, list[Any]]] = []
    for combination in combinations:
        by_degree: dict[int, list[Any]] = {}
        for index, weight in combination:
            if tuple(index) not in carried:
                by_degree.setdefault(sum(index), []).append((tuple(index), weight))
        groups.append(by_degree)
    for by_degree in groups:
        for degree, some in by_degree.items():
            if degree < 2 or len(some) == 1:
                carried.update(index for index, _ in some)
    sums: list[Any] = []
    recipes: list[Any] = []
    for combination, by_degree in zip(combinations, groups, strict=True):
        recipe: list[Any] = []
        for some in by_degree.values():
            rest = [(index, weight * _factorial(index)) for index, weight in some if index not in carried]
            if rest:
                recipe.append((len(sums), 1))
                sums.append(rest)
        recipe += [(tuple(index), weight) for index, weight in combination if tuple(index) in carried or not any(index)]
        recipes.append(recipe)
    return sorted(carried, key=lambda index: (sum(index), index)), sums, recipes


def _factorial(index: Index) -> int:
    return math.prod(map(math.factorial, index))


def _derivative(leaf: Any, key: Any, zero: Index) -> Any:
    if key == zero:
        return primal_of(leaf)
    slot = slots_of(leaf).get(key)
    if slot is None:
        return jnp.zeros_like(primal_of(leaf))
    return slot * _factorial(key) if isinstance(key, tuple) and _factorial(key) > 1 else slot


def _sum_of(leaf: Any, parts: Sequence[Any], zero: Index) -> Any:
    terms = [scaled(_derivative(leaf, key, zero), weight) if not _is_one(weight) else _derivative(leaf, key, zero) for key, weight in parts]
    return sum(terms[1:], terms[0]) if terms else jnp.zeros_like(primal_of(leaf))


def _is_one(weight: Any) -> bool:
    return isinstance(weight, (int, float)) and weight == 1


def directional(
    f: Callable[[Any], Any], x: Any, directions: Any, order: int = 2, weights: Any = None, *, each: bool = False, lower: bool = False
) -> tuple[Any, ...]:
    """The sum of a derivative of one order along many directions: sum over r of w_r D^K f(x)[v_r, ..., v_r].

    Collapsed Taylor mode: below the highest order one vector for each direction goes through the network, and of the highest only the
    sum. With unit directions and K = 2 it is the Laplacian ("forward Laplacian"), with random ones an estimate of it (STDE).

    Args:
        f: of one argument, an array or a pytree of arrays; gives an array or a pytree of arrays.
        x: the point.
        directions: shaped like `x` with a new first axis of length R.
        order: K, at least 1.
        weights: w_r, an array of length R. None: all one.
        each: give the R derivatives one by one, not their weighted sum.
        lower: give the derivatives below K, too.

    Returns:
        (value, total), or (value, [D^1, ..., D^(K - 1)], total) with `lower`: each like what `f` gives; the derivatives of `lower` and of
        `each` with a first axis of length R.

    Raises:
        ModelError: an order below 1, or directions or weights that do not fit.

    >>> import jax.numpy as jnp
    >>> from sciml.pinn.taylor import directional
    >>> value, total = directional(lambda x: jnp.sum(x**4), jnp.array([1.0, 2.0]), jnp.eye(2), order=2)
    >>> float(value), float(total)
    (17.0, 60.0)
    """
    if int(order) != order or order < 1:
        raise ModelError(f"directional: the order is {order}, and must be a whole number from 1 on, such as order=2.")
    point, unravel = ravel_pytree(x)
    moves = _moves("directional", point, directions)
    lanes = moves.shape[0]
    if weights is not None and jnp.shape(weights) != (lanes,):
        raise ModelError(
            f"directional: {lanes} directions take weights of shape ({lanes},), not {jnp.shape(weights)}: one number for each direction."
        )
    factor = math.factorial(order)
    one_by_one = each or order == 1
    al = algebra([(order,)], lanes=lanes) if one_by_one else algebra([], [[((order,), weights)]], lanes=lanes)
    top: Key = (order,) if one_by_one else 0
    out = taylor(al, lambda flat: f(unravel(flat)), Series(point, {(1,): moves}))
    leaves, tree = jax.tree.flatten(out, is_leaf=lambda leaf: isinstance(leaf, Series))

    def slot(leaf: Any, key: Any) -> Any:
        shape = (lanes,) * bool(al.axes[key]) + jnp.shape(primal_of(leaf))
        found = slots_of(leaf).get(key)
        scale = factor if key == top else math.factorial(key[0])
        found = jnp.zeros(shape, jnp.result_type(primal_of(leaf))) if found is None else found if scale == 1 else found * scale
        if key == top and order == 1 and not each:
            return jnp.sum(found if weights is None else scaled(found, weights), axis=0)
        return found

    value = jax.tree.unflatten(tree, list(map(primal_of, leaves)))
    total = jax.tree.unflatten(tree, [slot(leaf, top) for leaf in leaves])
    if not lower:
        return value, total
    return value, [jax.tree.unflatten(tree, [slot(leaf, (m,)) for leaf in leaves]) for m in range(1, order)], total


def laplacian(f: Callable[[Any], Any], x: Any) -> Any:
    """The Laplacian: the sum of the second derivatives by each entry of x.

    Args:
        f: of one argument, an array or a pytree of arrays; gives an array or a pytree of arrays.
        x: the point, with n entries in all: 1 + n + 1 vectors go through the network.

    >>> import jax.numpy as jnp
    >>> from sciml.pinn.taylor import laplacian
    >>> float(laplacian(lambda x: jnp.sum(x**3), jnp.array([1.0, 2.0])))
    18.0
    """
    flat, unravel = ravel_pytree(x)
    return directional(lambda p: f(unravel(p)), flat, jnp.eye(flat.size, dtype=flat.dtype))[1]


def biharmonic(f: Callable[[Any], Any], x: Any) -> Any:
    """The Laplacian of the Laplacian.

    Args:
        f: of one argument, an array or a pytree of arrays; gives an array or a pytree of arrays.
        x: the point, with n entries in all: 1 + n + n (n + 1) / 2 + 1 + n + 1 vectors go through the network, about half as many as
            by the Laplacian of the Laplacian.

    >>> import jax.numpy as jnp
    >>> from sciml.pinn.taylor import biharmonic
    >>> float(biharmonic(lambda x: x[0] ** 2 * x[1] ** 2, jnp.array([1.0, 2.0])))
    8.0
    """
    flat, unravel = ravel_pytree(x)
    out = taylor(harmonic(flat.size), lambda p: f(unravel(p)), Series(flat, {"gradient": jnp.eye(flat.size, dtype=flat.dtype)}))
    return jax.tree.map(lambda leaf: _derivative(leaf, "bilaplacian", ()), out, is_leaf=lambda leaf: isinstance(leaf, Series))
