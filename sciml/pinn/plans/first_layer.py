"""The first layer of a network, where it is linear in the inputs.

    network(s) = g(z),  z = W s                         W does not depend on s
    sum over i of D^k network[e_i, ..., e_i]            directions W[:, i] in the space of z: columns, no product
    Laplacian of network = <D^2 g(z), W W^T>            directions L[:, r] with L L^T = W W^T: as many as z is long, whatever the dimension

Several layers that all read the inputs (encoders, gates) are one W, stacked. The pattern is found in the program of the network:
every use of the inputs is a matrix product, perhaps after scaling and shifting.
"""

import functools
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jax.extend.core import Literal

_SAME = ("copy", "copy_p", "convert_element_type", "optimization_barrier")
_CALLS = ("jit", "pjit", "closed_call", "core_call")
_HIGHEST = jax.lax.Precision.HIGHEST


class FirstLayer(NamedTuple):
    """The matrices that meet the inputs, and what they give at one input.

    Attributes:
        matrices: each (rows, inputs).
        values: each (rows,): z in pieces.
        shifted: whether something was added to the inputs before a product, so that z is not just W s.
    """

    matrices: tuple[Any, ...]
    values: tuple[Any, ...]
    shifted: bool

    @property
    def sizes(self) -> list[int]:
        """How many rows each matrix has."""
        return [m.shape[0] for m in self.matrices]


class _Inputs(NamedTuple):
    """The inputs inside the program, scaled and shifted: `value` = scale * inputs + shift."""

    value: Any
    scale: Any = None
    shifted: bool = False

    def times(self, value: Any, factor: Any) -> "_Inputs":
        """The same, `factor` times as large: `value`."""
        return _Inputs(value, factor if self.scale is None else self.scale * factor, self.shifted)


class _NotLinear(Exception):
    """The inputs are used in another way than by a matrix product."""


def is_trainable(leaf: Any) -> bool:
    """Whether a leaf of a network is an array, or stands for one."""
    return eqx.is_array(leaf) or isinstance(leaf, jax.ShapeDtypeStruct)


def first_layer(network: Callable, inputs: Any) -> FirstLayer | None:
    """The first layer of a network at `inputs`, (n,); None if there is no such layer."""
    found: list[tuple[Any, Any, bool]] = []

    def keep(value: Any, matrix: Any, shifted: bool) -> Any:
        found.append((matrix, jnp.ravel(value), shifted))
        return value

    try:
        _run(network, inputs, keep)
    except _NotLinear:
        return None
    matrices, values, shifted = zip(*found, strict=True) if found else ((), (), ())
    return FirstLayer(matrices, values, any(shifted)) if found else None


def rest(network: Callable, inputs: Any, values: tuple[Any, ...]) -> Any:
    """What the network gives if its first layer gives `values`: g(z). Only the shape of `inputs` matters."""
    left: Iterator[Any] = iter(values)
    return _run(network, inputs, lambda value, *_: jnp.reshape(next(left), value.shape))


def layer_in_shapes(network: Any, inputs: jax.ShapeDtypeStruct) -> FirstLayer | None:
    """The first layer without numbers: its arrays are shapes."""
    arrays, static = eqx.partition(network, is_trainable)
    shifted = []

    def trace(arrays: Any, inputs: Any) -> Any:
        layer = first_layer(eqx.combine(arrays, static), inputs)
        shifted.append(layer is not None and layer.shifted)
        return None if layer is None else (layer.matrices, layer.values)

    found = jax.eval_shape(trace, arrays, inputs)
    return None if found is None else FirstLayer(found[0], found[1], shifted[0])


def _run(network: Callable, inputs: Any, product: Callable[[Any, Any, bool], Any]) -> Any:
    """The network's program, in which `product(value, matrix, shifted)` replaces what a matrix makes of the inputs."""
    arrays, static = eqx.partition(network, is_trainable)
    leaves, tree = jax.tree.flatten(arrays)
    closed, shape = jax.make_jaxpr(lambda ls, s: eqx.combine(jax.tree.unflatten(tree, ls), static)(s), return_shape=True)(leaves, inputs)
    out = _evaluate(closed.jaxpr, closed.consts, [*leaves, _Inputs(inputs)], product)
    if any(isinstance(o, _Inputs) for o in out):
        raise _NotLinear
    return jax.tree.unflatten(jax.tree.structure(shape), out)


def _evaluate(jaxpr: Any, consts: Any, args: list[Any], product: Callable) -> list[Any]:
    known: dict[Any, Any] = dict(zip([*jaxpr.constvars, *jaxpr.invars], [*consts, *args], strict=True))

    def read(v: Any) -> Any:
        return v.val if isinstance(v, Literal) else known[v]

    for eqn in jaxpr.eqns:
        values = [read(v) for v in eqn.invars]
        if any(isinstance(v, _Inputs) for v in values):
            results = _of_inputs(eqn, values, product)
        else:
            results = _bind(eqn, values)
        known.update(zip(eqn.outvars, results, strict=True))
    return [read(v) for v in jaxpr.outvars]


def _bind(eqn: Any, values: list[Any]) -> list[Any]:
    """One operation on plain arrays."""
    params = eqn.primitive.get_bind_params(eqn.params)
    functions, params = params if isinstance(params, tuple) else ((), params)  # older versions of JAX give a pair
    results = eqn.primitive.bind(*functions, *values, **params)
    return list(results) if eqn.primitive.multiple_results else [results]


def _of_inputs(eqn: Any, values: list[Any], product: Callable) -> list[Any]:
    """One operation that reads the inputs: a product with a matrix, scaling, shifting, or a call of such."""
    name = eqn.primitive.name
    if name in _CALLS:
        inner = eqn.params.get("jaxpr", eqn.params.get("call_jaxpr"))
        return _evaluate(inner.jaxpr, inner.consts, values, product)
    bare = [v.value if isinstance(v, _Inputs) else v for v in values]
    at = [i for i, v in enumerate(values) if isinstance(v, _Inputs)]
    if len(at) != 1:
        raise _NotLinear
    inputs, n = values[at[0]], bare[at[0]].shape
    value = _bind(eqn, bare)[0]
    minus = -jnp.ones((), value.dtype) if name in ("neg", "sub") else None
    match name:
        case "dot_general":
            return [product(value, _matrix(eqn, bare, at[0], inputs), inputs.shifted)]
        case "mul":
            return [inputs.times(value, bare[1 - at[0]])]
        case "div" if at[0] == 0:
            return [inputs.times(value, 1 / bare[1])]
        case "neg":
            return [inputs.times(value, minus)]
        case "sub" if at[0] == 1:
            return [inputs.times(value, minus)._replace(shifted=True)]
        case "add" | "sub":
            return [inputs._replace(value=value, shifted=True)]
    if name in _SAME and value.shape == n:
        return [inputs._replace(value=value)]
    raise _NotLinear


def _matrix(eqn: Any, values: list[Any], at: int, inputs: _Inputs) -> Any:
    """The matrix of a product with the inputs, (rows, inputs)."""
    contracted, batched = eqn.params["dimension_numbers"]
    if values[at].ndim != 1 or len(contracted[at]) != 1 or batched[0]:
        raise _NotLinear
    other = jnp.moveaxis(values[1 - at], contracted[1 - at][0], -1)
    matrix = other.reshape(-1, other.shape[-1])
    if inputs.scale is None:
        return matrix
    return matrix * jnp.broadcast_to(inputs.scale, matrix.shape)


@jax.custom_jvp
def factor(matrices: tuple[Any, ...]) -> Any:
    """L with L L^T = W W^T, where W is the stack of the matrices, each (rows, d).

    L is only fixed up to a rotation, L = W Q with orthonormal columns in Q, and a sum over its columns of a quadratic form does
    not see which. So the derivative takes Q for constant: dL = dW Q. It is exact for such sums and needs no derivative of the
    factorisation, which would be lost in rounding where W W^T is nearly singular.

    >>> import jax, jax.numpy as jnp
    >>> W = jnp.array([[3.0, 0.0, 0.0], [4.0, 1.0, 0.0]])
    >>> L = factor((W,))
    >>> bool(jnp.allclose(L @ L.T, W @ W.T, atol=1e-4))
    True
    """
    gram = _products(matrices, matrices)
    eps = jnp.finfo(gram.dtype).eps
    one = jnp.eye(gram.shape[0], dtype=gram.dtype)
    lower = jnp.linalg.cholesky(gram + one * (2 * eps * jnp.max(jnp.diagonal(gram))))
    # Where W has dependent rows a pivot can round below zero: once more with a shift that no rounding can beat.
    shift = jnp.maximum(4 * eps * jnp.trace(gram), jnp.finfo(gram.dtype).tiny)
    return jax.lax.cond(jnp.all(jnp.isfinite(lower)), lambda: lower, lambda: jnp.linalg.cholesky(gram + one * shift))


@factor.defjvp
def _factor_jvp(primals: Any, tangents: Any) -> Any:
    lower = factor(*primals)
    moved = _products(tangents[0], primals[0])  # dW W^T

    def solve(_: Any, b: Any) -> Any:
        return jax.scipy.linalg.solve_triangular(lower, b, lower=True)

    def transposed(_: Any, b: Any) -> Any:
        return jax.scipy.linalg.solve_triangular(lower, b, lower=True, trans=1)

    # Not solve_triangular at once: L is triangular, its derivative here is not, and that would leave out the other half.
    times = functools.partial(jnp.matmul, lower, precision=_HIGHEST)
    return lower, jax.lax.custom_linear_solve(times, moved.T, solve, transposed).T


def _products(left: tuple[Any, ...], right: tuple[Any, ...]) -> Any:
    """The matrix of all products of rows: A B^T, in blocks."""
    rows = [jnp.concatenate([jnp.matmul(a, b.T, precision=_HIGHEST) for b in right], 1) for a in left]
    return jnp.concatenate(rows, 0)
