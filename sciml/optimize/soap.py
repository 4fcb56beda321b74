"""SOAP: Adam in the eigenbasis of Shampoo's preconditioner, as a transformation of optax.

For a matrix with gradient G, all averages with bias correction as in Adam:

    L <- b2 L + (1 - b2) G G'     R <- b2 R + (1 - b2) G' G        P, Q: their eigenvectors, renewed every few steps
    M <- b1 M + (1 - b1) G        V <- b2 V + (1 - b2) (P' G Q)^2
    step = -rate P [P' M Q / (sqrt(V) + eps)] Q'

Between renewals the basis turns by one power iteration, orthogonalised: P <- qr(L P). Other arrays than matrices get Adam.

Vyas, Morwani, Zhao, Kwun, Shapira, Brandfonbrener, Janson and Kakade 2024, SOAP: Improving and Stabilizing Shampoo using Adam;
for physics-informed networks: Wang, Bhartari, Li and Perdikaris 2025.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax

from ..errors import FitError


class _Side(NamedTuple):
    """One side of a matrix: the average of G G' (or G' G), and its eigenvectors as columns, largest first."""

    average: Any
    basis: Any


class _Leaf(NamedTuple):
    """mean: of the gradient; square: of its square in the basis; left, right: sides, None where the basis is the identity."""

    mean: Any
    square: Any
    left: Any
    right: Any


class _State(NamedTuple):
    count: Any
    leaves: tuple[_Leaf, ...]


def soap(
    learning_rate: Any,
    b1: float = 0.95,
    b2: float = 0.95,
    eps: float = 1e-8,
    precondition_every: int = 10,
    max_size: int = 2048,
    weight_decay: float = 0.0,
) -> optax.GradientTransformation:
    """Adam in the eigenbasis of the gradient's second moments: close to a second-order method, at the price of a first-order one.

    Each matrix (m, n) keeps two further matrices (m, m) and two (n, n). A side longer than `max_size` keeps none, and is treated as
    Adam treats it; so are arrays that are not matrices.

    Args:
        learning_rate: a number, or a schedule of optax; 3e-3 is a good start.
        b1: decay of the mean of the gradients.
        b2: decay of the means of their squares and products.
        eps: added to the root of the mean square.
        precondition_every: steps between two renewals of the eigenvectors.
        max_size: the longest side that has eigenvectors.
        weight_decay: decoupled, as in AdamW.

    Returns:
        A transformation for anything that takes one of optax.

    Raises:
        FitError: a number that cannot be used.

    Vyas et al. 2024, arXiv 2409.11321.

    >>> import jax, jax.numpy as jnp, optax
    >>> from sciml.optimize import soap
    >>> a = jnp.diag(jnp.array([1.0, 0.1])) @ jnp.array([[0.8, 0.6], [-0.6, 0.8]])
    >>> loss = lambda w: jnp.sum((a @ w - a @ jnp.eye(2))**2)
    >>> optimizer, w = soap(0.05), jnp.zeros((2, 2))
    >>> state = optimizer.init(w)
    >>> for _ in range(150):
    ...     updates, state = optimizer.update(jax.grad(loss)(w), state, w)
    ...     w = optax.apply_updates(w, updates)
    >>> bool(jnp.abs(w - jnp.eye(2)).max() < 0.1)
    True
    """
    _check(b1, b2, eps, precondition_every, max_size)
    stages = [_scaled(b1, b2, eps, precondition_every, max_size)]
    if weight_decay:
        stages.append(optax.add_decayed_weights(weight_decay))
    return optax.chain(*stages, optax.scale_by_learning_rate(learning_rate))


def _scaled(b1: float, b2: float, eps: float, every: int, max_size: int) -> optax.GradientTransformation:
    def init(params: Any) -> _State:
        return _State(jnp.zeros((), jnp.int32), tuple(_first(leaf, max_size) for leaf in jax.tree.leaves(params)))

    def update(updates: Any, state: _State, params: Any = None) -> tuple[Any, _State]:
        gradients, structure = jax.tree.flatten(updates)
        made = [_leaf(g, leaf, state.count, b1, b2, eps, every) for g, leaf in zip(gradients, state.leaves, strict=True)]
        steps, leaves = [step for step, _ in made], tuple(leaf for _, leaf in made)
        return jax.tree.unflatten(structure, steps), _State(optax.safe_increment(state.count), leaves)

    return optax.GradientTransformation(init, update)


def _first(array: Any, max_size: int) -> _Leaf:
    zero = jnp.zeros_like(array)
    sizes = array.shape if array.ndim == 2 else (None, None)
    sides = (None if size is None or size > max_size else _Side(*2 * (jnp.zeros((size, size), array.dtype),)) for size in sizes)
    return _Leaf(zero, zero, *sides)


def _leaf(g: Any, leaf: _Leaf, count: Any, b1: float, b2: float, eps: float, every: int) -> tuple[Any, _Leaf]:
    """(step along the gradient, the next averages) of one array."""
    left, order_left = _renewed(leaf.left, None if leaf.left is None else g @ g.T, count, b2, every)
    right, order_right = _renewed(leaf.right, None if leaf.right is None else g.T @ g, count, b2, every)
    square = leaf.square if order_left is None else leaf.square[order_left]
    square = square if order_right is None else square[:, order_right]
    mean = b1 * leaf.mean + (1 - b1) * g
    square = b2 * square + (1 - b2) * _into(g, left, right) ** 2
    done = (count + 1).astype(g.dtype)
    scaled = _into(mean, left, right) / (1 - b1**done) / (jnp.sqrt(square / (1 - b2**done)) + eps)
    return _out_of(scaled, left, right), _Leaf(mean, square, left, right)


def _renewed(side: _Side | None, product: Any, count: Any, b2: float, every: int) -> tuple[_Side | None, Any]:
    """(the next side, how the basis vectors were put in order); all of it None without a basis."""
    if side is None:
        return None, None
    average = b2 * side.average + (1 - b2) * product
    same = jnp.arange(average.shape[0])

    def turn() -> tuple[Any, Any]:
        order = jnp.argsort(-jnp.einsum("ij,ik,kj->j", side.basis, average, side.basis))
        return jnp.linalg.qr(average @ side.basis[:, order])[0], order

    def anew() -> tuple[Any, Any]:
        return jnp.linalg.eigh(average)[1][:, ::-1], same

    def renew() -> tuple[Any, Any]:
        return jax.lax.cond(count == 0, anew, turn)

    basis, order = jax.lax.cond(count % every == 0, renew, lambda: (side.basis, same))
    return _Side(average, basis), order


def _into(array: Any, left: _Side | None, right: _Side | None) -> Any:
    array = array if left is None else left.basis.T @ array
    return array if right is None else array @ right.basis


def _out_of(array: Any, left: _Side | None, right: _Side | None) -> Any:
    array = array if left is None else left.basis @ array
    return array if right is None else array @ right.basis.T


def _check(b1: float, b2: float, eps: float, every: int, max_size: int) -> None:
    for name, value in (("b1", b1), ("b2", b2)):
        if not 0 <= value < 1:
            raise FitError(f"soap({name}={value!r}): a decay from 0 to less than 1, such as {name}=0.95.")
    if not eps > 0:
        raise FitError(f"soap(eps={eps!r}): a positive number, such as eps=1e-8.")
    for name, value in (("precondition_every", every), ("max_size", max_size)):
        if isinstance(value, bool) or not isinstance(value, int) or value < 1:
            raise FitError(f"soap({name}={value!r}): a positive whole number, such as {name}={10 if name == 'precondition_every' else 2048}.")
