"""Whether a network can be the solution: sizes, weights, and derivatives that are not zero for want of smoothness."""

from collections.abc import Sequence
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from ...errors import ModelError
from ..embedding import Embedding


def checked(network: Any, embedding: Embedding, n_functions: int, names: Sequence[str], order: int = 2) -> Any:
    """A user's network, if it fits.

    Args:
        network: a callable pytree from (embedding.size,) to (n_functions,), or to a scalar for one function.
        embedding: what gives its inputs.
        n_functions: how many functions it stands for.
        names: their names.
        order: the highest derivative that the equations take.

    Returns:
        The network.

    Raises:
        ModelError: it takes or gives another number of values, its weights are not finite, it cannot be differentiated forward, or
            it is piecewise linear where second derivatives are needed.

    >>> import equinox as eqx, jax, jax.numpy as jnp, sciml as sci
    >>> from sciml.pinn.embedding import embedding_of
    >>> embedding = embedding_of((sci.t, sci.space("x", 0, 1, periodic=True)))
    >>> net = eqx.nn.MLP(3, 1, 8, 2, jnp.tanh, key=jax.random.key(0))
    >>> checked(net, embedding, 1, ("u",)) is net
    True
    """
    cure = f"Write sci.pinn.mlp(system, width=32, depth=4, key=key), or eqx.nn.MLP({embedding.size}, {n_functions}, 32, 4, jax.numpy.tanh, key=key)."
    if not callable(network):
        raise ModelError(f"The network is {type(network).__name__}, which cannot be called. {cure}")
    dtype = _dtype(network)
    _check_sizes(network, embedding, n_functions, names, dtype, cure)
    leaves = [leaf for leaf in jax.tree.leaves(network) if eqx.is_array(leaf)]
    if not any(isinstance(leaf, jax.core.Tracer) for leaf in leaves):
        _check_finite(network)
        if order > 1 and not any(isinstance(leaf, jax.ShapeDtypeStruct) for leaf in jax.tree.leaves(network)):
            _check_smooth(network, embedding.size, dtype, cure)
    return network


def _check_sizes(network: Any, embedding: Embedding, n_functions: int, names: Sequence[str], dtype: Any, cure: str) -> None:
    taken = getattr(network, "in_size", embedding.size)
    if taken != embedding.size:
        raise ModelError(f"The network takes {taken} input{'s' if taken != 1 else ''}, and a point gives {embedding.described()}. {cure}")
    given = jax.ShapeDtypeStruct((embedding.size,), dtype)
    try:
        found = eqx.filter_eval_shape(network, given)
    except Exception as problem:  # whatever the user's own code says
        first = (str(problem).splitlines() or [""])[0]
        raise ModelError(f"The network does not take the vector of {embedding.described()} of one point: {first} {cure}") from None
    shape = getattr(found, "shape", None)
    if shape is None or not jnp.issubdtype(found.dtype, jnp.floating):
        what = type(found).__name__ if shape is None else f"numbers of type {found.dtype}"
        raise ModelError(f"The network gives {what}, and needs to give an array of real numbers. {cure}")
    if shape != (n_functions,) and not (shape == () and n_functions == 1):
        wanted = f"{n_functions} number{'s' if n_functions != 1 else ''}, shape ({n_functions},): one for each of {', '.join(names)}"
        raise ModelError(f"The network gives shape {shape} at one point, and needs to give {wanted}. {cure}")


def _check_finite(network: Any) -> None:
    for path, leaf in jax.tree_util.tree_leaves_with_path(network):
        if eqx.is_inexact_array(leaf) and not np.isfinite(np.asarray(leaf)).all():
            where = jax.tree_util.keystr(path)
            raise ModelError(f"The weights network{where} hold NaN or infinite numbers. Make the network anew, or load one that was trained well.")


def _check_smooth(network: Any, size: int, dtype: Any, cure: str) -> None:
    """A network of relu has second derivatives that are zero wherever they exist, and would solve the wrong equation."""
    x = jax.random.uniform(jax.random.key(0), (5, size), dtype, -1.0, 1.0)

    @jax.jit
    def bends(x: Any) -> tuple[Any, Any]:
        """The largest second derivative, and how far the network is from its tangent."""
        direction = x[1:] - x[:1]

        def slope(y: Any, v: Any) -> tuple[Any, Any]:
            return jax.jvp(network, (y,), (v,))

        at = jax.vmap(lambda y, v: jax.jvp(lambda z: slope(z, v)[1], (y,), (v,))[1])(x[1:], direction)
        value, rise = jax.vmap(lambda v: slope(x[0], v))(direction)
        return jnp.abs(at).max(), jnp.abs(jax.vmap(network)(x[1:]) - value - rise).max() / (jnp.abs(value).max() + jnp.abs(rise).max())

    try:
        second, away = bends(x)
    except TypeError as problem:
        first = (str(problem).splitlines() or [""])[0]
        raise ModelError(f"The network cannot be differentiated forward, which its residuals need: {first} {cure}") from None
    if second == 0 and away > 1e-4:
        raise ModelError(f"The network is piecewise linear, as with relu: its second derivatives are zero, and the equations need them. {cure}")


def _dtype(network: Any) -> Any:
    found = [leaf.dtype for leaf in jax.tree.leaves(network) if eqx.is_inexact_array(leaf) or isinstance(leaf, jax.ShapeDtypeStruct)]
    return found[0] if found else jnp.zeros(()).dtype
