"""`DeepEquilibrium`: a layer whose output is the fixed point of a map."""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import lineax as lx
import numpy as np

from ..errors import ModelError, SolveError
from ..solve import implicit

_DENSE = 100  # unknowns, up to which the matrix of the linear solve in the derivative is formed; above, GMRES is faster
_MEMORY = 5  # differences that Anderson's method keeps


class DeepEquilibrium(eqx.Module):
    """An equilibrium layer: the z with `z = f(z, x)`.

    z is found by Anderson's acceleration of the iteration z <- f(z, x), which takes some tens of evaluations of f. The derivative is
    that of the implicit function theorem (`sciml.implicit`): by x and by the weights, in both modes, whatever found z; memory does
    not grow with the iterations. Above 100 numbers in z the linear solve in it only takes products with the Jacobian of f.

    The layer takes one x. Batches are made by `jax.vmap`.

    Args:
        f: `f(z, x)`, a module or a function, gives an array like z. A contraction in z has one fixed point, and is the easiest case.
        shape: the shape of z; a number for a vector.
        rtol: relative tolerance of `f(z, x) - z`; 1e-5 in float32, 1e-8 in float64 if left out.
        atol: the absolute one; the same if left out.
        max_steps: the most evaluations of f.

    Raises:
        ModelError: f is no function, or shape is no shape.

    References:
        Bai, Kolter and Koltun, Deep equilibrium models (2019), arXiv:1909.01377.
        Walker and Ni, Anderson acceleration for fixed-point iterations, SIAM J. Numer. Anal. 49 (2011).

    >>> import equinox as eqx, jax, jax.numpy as jnp, sciml as sci
    >>> class Map(eqx.Module):
    ...     of_z: eqx.nn.Linear
    ...     of_x: eqx.nn.Linear
    ...     def __call__(self, z, x):
    ...         return jnp.tanh(self.of_z(z) + self.of_x(x))
    >>> one, two = jax.random.split(jax.random.key(0))
    >>> f = Map(eqx.nn.Linear(16, 16, key=one), eqx.nn.Linear(3, 16, key=two))
    >>> layer = sci.nn.DeepEquilibrium(f, 16)
    >>> z = layer(jnp.ones(3))
    >>> z.shape, bool(jnp.allclose(f(z, jnp.ones(3)), z, atol=1e-4))
    ((16,), True)
    """

    f: Any
    rtol: Any
    atol: Any
    shape: tuple[int, ...] = eqx.field(static=True)
    max_steps: int = eqx.field(static=True)

    def __init__(self, f: Any, shape: Any, *, rtol: Any = None, atol: Any = None, max_steps: int = 100):
        if not callable(f):
            raise ModelError(f"DeepEquilibrium takes a function f(z, x), not {f!r}.")
        sizes = (shape,) if isinstance(shape, int | np.integer) else tuple(shape)
        if not all(isinstance(size, int | np.integer) and size > 0 for size in sizes):
            raise ModelError(f"DeepEquilibrium: shape={shape!r} is not the shape of z. Write DeepEquilibrium(f, 16), or DeepEquilibrium(f, (4, 16)).")
        self.f, self.shape = f, tuple(int(size) for size in sizes)
        self.rtol, self.atol, self.max_steps = rtol, atol, max_steps

    def __call__(self, x: Any, *, start: Any = None, key: Any = None) -> Any:
        """The fixed point.

        Args:
            x: what f takes as its second argument: an array, or a pytree of arrays.
            start: where to begin; zeros if left out. The derivative by it is zero.
            key: not used; `equinox.nn.Sequential` gives one.

        Returns:
            z. Inside `jit` and `vmap`, NaN where no fixed point was found.

        Raises:
            SolveError: f does not give an array like z; eagerly, no fixed point was found.
        """
        arrays, rest = eqx.partition(self.f, eqx.is_inexact_array)
        start = self._start(x, start)

        def image(z: Any, x: Any, arrays: Any) -> Any:
            return eqx.combine(arrays, rest)(z, x)

        condition = implicit.fixed_point(image)
        condition.__name__ = f"z = {_name(self.f)}(z, x)"
        attached = implicit(condition, linear_solver=_linear_solver(start))
        return attached(lambda x, arrays: self._anderson(eqx.combine(arrays, rest), x, jax.lax.stop_gradient(start)))(x, arrays)

    def jacobian_norm(self, z: Any, x: Any, *, key: Any) -> Any:
        """An unbiased estimate of `|df/dz|**2/size`, with the Frobenius norm, from one random vector.

        Added to the loss it keeps f a contraction, which is what makes the fixed point easy to find.

        Args:
            z: the fixed point, `layer(x)`.
            x: what it belongs to.
            key: of the random vector.

        Bai, Koltun and Kolter, Stabilizing equilibrium models by Jacobian regularization (2021), arXiv:2106.14342.

        >>> import jax, jax.numpy as jnp, sciml as sci
        >>> layer = sci.nn.DeepEquilibrium(lambda z, x: 0.5*z + x, 8)
        >>> estimate = lambda key: layer.jacobian_norm(jnp.zeros(8), jnp.zeros(8), key=key)
        >>> round(float(jnp.mean(jax.vmap(estimate)(jax.random.split(jax.random.key(0), 20_000)))), 2)
        0.25
        """
        _, back = jax.vjp(lambda z: self.f(z, x), z)
        (product,) = back(jax.random.normal(key, z.shape, z.dtype))
        return jnp.mean(product**2)

    def _start(self, x: Any, start: Any) -> Any:
        """Where to begin, and whether f gives the like of it."""
        if start is None:
            types = [leaf.dtype for leaf in jax.tree.leaves((self.f, x)) if eqx.is_inexact_array(leaf)]
            start = jnp.zeros(self.shape, types[0] if types else jnp.result_type(float))
        start = jnp.asarray(start)
        if start.shape != self.shape:
            raise SolveError(f"DeepEquilibrium: start has shape {start.shape}, and z has {self.shape}.")
        out = jax.eval_shape(self.f, start, x)
        if not hasattr(out, "shape") or out.shape != self.shape:
            given = f"shape {out.shape}" if hasattr(out, "shape") else str(jax.tree.structure(out))
            raise SolveError(
                f"DeepEquilibrium: {_name(self.f)}(z, x) gives {given} for a z of shape {self.shape}: it must give what is like z. "
                "Is the shape of the layer right, DeepEquilibrium(f, shape), and is x one input and not a batch (jax.vmap(layer)(x))?"
            )
        return start.astype(out.dtype)

    def _anderson(self, f: Any, x: Any, start: Any) -> Any:
        usual = 1e-5 if jnp.finfo(start.dtype).eps > 1e-10 else 1e-8
        rtol, atol = (usual if given is None else given for given in (self.rtol, self.atol))
        z, size, steps = _accelerated(f, x, start, rtol, atol, self.max_steps)
        if not isinstance(size, jax.core.Tracer) and not float(size) <= 1:
            worst = float(jnp.max(jnp.abs(f(z, x) - z)))
            raise SolveError(
                f"No fixed point z = {_name(self.f)}(z, x) was found: after {int(steps)} evaluations |f(z, x) - z| is {worst:.3g} in its largest "
                f"component, {float(size):.3g} times the tolerance. Raise max_steps={self.max_steps}, loosen rtol and atol, begin nearer with "
                "start=, or keep f near a contraction with jacobian_norm in the loss."
            )
        return jnp.where(size <= 1, z, jnp.nan)


@eqx.filter_jit
def _accelerated(f: Any, x: Any, start: Any, rtol: Any, atol: Any, max_steps: int) -> tuple[Any, Any, Any]:
    """(z, residual in tolerances, evaluations of f): the z that the last differences say makes f(z) - z least (Walker and Ni 2011)."""

    def residual(z: Any) -> Any:
        return jnp.ravel(f(z.reshape(start.shape), x)) - z

    def size(z: Any, r: Any) -> Any:
        scale = jnp.asarray(atol, z.dtype) + jnp.asarray(rtol, z.dtype) * jnp.abs(z)
        return jnp.sqrt(jnp.mean((r / scale) ** 2))

    def going(state: Any) -> Any:
        return (state[0] < max_steps) & (state[-1] > 1)

    def step(state: Any) -> Any:
        n, z, r, dz, dr, _ = state
        ahead = z + r - (dz + dr).T @ _least(dr, r)
        r_ahead = residual(ahead)
        dz = jnp.roll(dz, 1, axis=0).at[0].set(ahead - z)
        dr = jnp.roll(dr, 1, axis=0).at[0].set(r_ahead - r)
        return n + 1, ahead, r_ahead, dz, dr, size(ahead, r_ahead)

    z = jnp.ravel(start)
    r = residual(z)
    none = jnp.zeros((_MEMORY, z.size), z.dtype)
    n, z, _, _, _, left = jax.lax.while_loop(going, step, (jnp.asarray(1), z, r, none, none, size(z, r)))
    return z.reshape(start.shape), left, n


def _least(dr: Any, r: Any) -> Any:
    """The weights w for which |r - dr^T w| is least, or nearly so where the differences are dependent."""
    gram = dr @ dr.T
    eps = jnp.finfo(r.dtype).eps
    ridge = eps * jnp.trace(gram) + jnp.finfo(r.dtype).tiny / eps
    factor = jax.scipy.linalg.cho_factor(gram + ridge * jnp.eye(len(gram), dtype=r.dtype))
    return jax.scipy.linalg.cho_solve(factor, dr @ r)


def _linear_solver(z: Any) -> Any:
    if z.size <= _DENSE:
        return None
    tight = float(jnp.finfo(z.dtype).eps) ** 0.6  # 4e-10, 7e-5
    return lx.GMRES(rtol=tight, atol=tight, restart=20)


def _name(f: Any) -> str:
    name = getattr(f, "__name__", type(f).__name__)
    return "f" if name == "<lambda>" else name
