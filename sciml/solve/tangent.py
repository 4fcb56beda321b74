"""The rule of the implicit function theorem, and the linear solve in it.

`jax.lax.custom_linear_solve` transposes the solve for reverse mode. The methods are lineax's, called as methods and not by
`lineax.linear_solve`, whose transposed form reports failure through a callback: here a failure is NaN.
"""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import lineax as lx
import numpy as np
from jax.flatten_util import ravel_pytree

from ..errors import SolveError

DENSE = 1000  # unknowns, up to which dF/dx is formed: 8 MB in float64


class Linear(eqx.Module):
    """How dF/dx is solved."""

    solver: Any = eqx.field(static=True)
    tags: frozenset[object] = eqx.field(static=True)
    throw: bool = eqx.field(static=True)

    def solver_for(self, size: int, dtype: Any) -> Any:
        """The lineax solver for so many unknowns."""
        if self.solver is not None:
            return self.solver
        if size <= DENSE:
            return lx.AutoLinearSolver(well_posed=True)
        tight = float(jnp.finfo(dtype).eps) ** 0.6  # 4e-10, 7e-5
        return lx.GMRES(rtol=tight, atol=tight, restart=50)

    def __call__(self, residual: Any, z: Any, b: Any, name: Any) -> Any:
        """y with dF/dx y = b, for vectors; `name(i)` is what the user calls component i."""
        if self.solver is None and z.size <= DENSE:
            return self._dense(residual, z, b, name)
        return self._other(residual, z, b)

    def _dense(self, residual: Any, z: Any, b: Any, name: Any) -> Any:
        matrix = jax.jacfwd(residual)(z)
        plain = jax.lax.stop_gradient(matrix)
        # Rows and columns scaled to a largest entry of 1, so that units do not pass for a singular matrix.
        rows = 1 / _one_for_zero(jnp.max(jnp.abs(plain), axis=1))
        columns = 1 / _one_for_zero(jnp.max(jnp.abs(rows[:, None] * plain), axis=0))
        operator = lx.MatrixLinearOperator(rows[:, None] * plain * columns[None])
        method = lx.LU()
        state = method.init(operator, {})
        back, _ = method.transpose(state, {})
        # A solve with one generic right side is about as large as the condition number.
        probe = columns * 0 + 1 + jnp.arange(z.size, dtype=z.dtype) * 0.6180339887 % 1
        null = method.compute(state, probe, {})[0]
        limit = 1 / (max(z.size, 10) * float(jnp.finfo(z.dtype).eps))
        regular = (jnp.max(jnp.abs(null)) < limit) & jnp.all(jnp.isfinite(z))
        if self.throw and not isinstance(regular, jax.core.Tracer) and not bool(regular):
            raise SolveError(_singular(plain, null, columns, name))

        def solve(_: Any, b: Any) -> Any:
            return jnp.where(regular, columns * method.compute(state, rows * b, {})[0], jnp.nan)

        def transpose_solve(_: Any, b: Any) -> Any:
            return jnp.where(regular, rows * method.compute(back, columns * b, {})[0], jnp.nan)

        return jax.lax.custom_linear_solve(lambda v: matrix @ v, b, solve, transpose_solve)

    def _other(self, residual: Any, z: Any, b: Any) -> Any:
        method = self.solver_for(z.size, z.dtype)
        _, product = jax.linearize(residual, z)
        operator = lx.JacobianLinearOperator(lambda z, _: residual(z), jax.lax.stop_gradient(z), tags=self.tags)
        state = _still(method.init(operator, {}))
        back, back_options = method.transpose(state, {})
        sound = jnp.all(jnp.isfinite(z))

        def solve(state: Any, options: Any, b: Any) -> Any:
            scale = _one_for_zero(jnp.max(jnp.abs(b)))
            y, result, _ = method.compute(state, b / scale, options)
            return jnp.where((result == lx.RESULTS.successful) & sound, scale * y, jnp.nan)

        return jax.lax.custom_linear_solve(product, b, lambda _, b: solve(state, {}, b), lambda _, b: solve(back, back_options, b))


def _still(tree: Any) -> Any:
    """Arrays that are not differentiated."""
    return jax.tree.map(lambda leaf: jax.lax.stop_gradient(leaf) if eqx.is_array(leaf) else leaf, tree)


def _one_for_zero(sizes: Any) -> Any:
    return jnp.where((sizes > 0) & jnp.isfinite(sizes), sizes, 1)


def _singular(matrix: Any, null: Any, columns: Any, name: Any) -> str:
    if not np.all(np.isfinite(matrix)):
        row, column = np.argwhere(~np.isfinite(np.asarray(matrix)))[0]
        return f"dF/dx is NaN or infinite at the answer: the derivative of component {name(row)} of F by {name(column)}. Is F smooth there?"
    along = np.abs(np.asarray(columns * null)) if np.all(np.isfinite(null)) else _null_vector(np.asarray(matrix))
    order = np.argsort(-along)[:3]
    shown = ", ".join(name(i) for i in order if along[i] > 0.1 * along[order[0]])
    return (
        f"dF/dx is singular at the answer, so x has no derivative by theta there: F does not change as {shown} moves. Either the answer is "
        "not isolated (an equation is missing or said twice), or solutions meet there. linear_solver=lineax.SVD() takes the least change of x."
    )


def _null_vector(matrix: np.ndarray) -> np.ndarray:
    return np.abs(np.linalg.svd(matrix)[2][-1])


@eqx.filter_custom_jvp
def attach(x: Any, theta: Any, F: Any, linear: Linear) -> Any:
    """x, with the derivative that F(x, theta) = 0 gives it. x comes as plain numbers."""
    return x


@attach.def_jvp
def _attach_jvp(primals: Any, tangents: Any) -> Any:
    x, theta, F, linear = primals
    _, theta_dot, F_dot, _ = tangents
    x = attach(x, theta, F, linear)  # so that derivatives of this derivative see x move
    inputs, inputs_dot = (theta, F), (theta_dot, F_dot)
    if not jax.tree.leaves(inputs_dot):
        return x, jax.tree.map(jnp.zeros_like, x)
    still, moving = eqx.partition(inputs, jax.tree.map(lambda dot: dot is None, inputs_dot, is_leaf=lambda dot: dot is None))
    z, unravel, flat = _raveled(x)

    def residual(z: Any, inputs: Any) -> Any:
        theta, F = inputs
        return flat(F(unravel(z), theta))

    _, b = jax.jvp(lambda moving: residual(z, eqx.combine(moving, still)), (moving,), (inputs_dot,))
    y = linear(lambda z: residual(z, inputs), z, b, lambda i: _name(x, int(i)))
    return x, jax.tree.map(jnp.negative, unravel(y))


def newton_step(F: Any, x: Any, theta: Any, linear: Linear) -> Any:
    """(dF/dx)^-1 F; NaN where dF/dx is singular."""
    z, unravel, flat = _raveled(x)

    def residual(z: Any) -> Any:
        return flat(F(unravel(z), theta))

    return unravel(Linear(linear.solver, linear.tags, False)(residual, z, residual(z), None))


def _raveled(x: Any) -> tuple[Any, Any, Any]:
    """x as a vector, the way back, and the way of what has the form of x into such a vector."""
    with jax.numpy_dtype_promotion("standard"):
        z, unravel = ravel_pytree(x)

    def flat(value: Any) -> Any:
        return jnp.concatenate([jnp.ravel(leaf).astype(z.dtype) for leaf in jax.tree.leaves(value)])

    return z, unravel, flat


def _name(x: Any, i: int) -> str:
    """What the user calls component i of the raveled x."""
    for path, leaf in jax.tree_util.tree_leaves_with_path(x):
        if i < leaf.size:
            index = "".join(f"[{k}]" for k in np.unravel_index(i, leaf.shape)) if leaf.ndim else ""
            return f"x{jax.tree_util.keystr(path)}{index}"
        i -= leaf.size
    return "x"
