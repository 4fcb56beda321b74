"""The search for a state at rest: M y' = f(y) with f(y) = 0.

    newton      Newton's method, damped by the natural monotonicity test (Deuflhard, Newton Methods for Nonlinear
                Problems, 2011, section 3.3): the next correction, by the same matrix, must be smaller
    transient   pseudo-transient continuation with switched evolution relaxation (Kelley and Keyes, Convergence analysis
                of pseudo-transient continuation, SIAM J. Numer. Anal. 35, 1998; with M: Coffey, Kelley and Keyes, SIAM
                J. Sci. Comput. 25, 2003): steps (M/delta - f') s = f, longer as the state slows down
    isolated    whether the Jacobian is regular at the root, further than the root is known

Only loops of JAX, for one state: `jit` and `vmap` work, and in a batch the second search costs nothing where the first found the root.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

SMALLEST = 1 / 64  # fraction of a Newton correction
FARTHEST = 10.0  # Newton correction, relative to the state
_GROWTH = 10.0  # of the step of pseudo time
NEAR = 1e-4  # correction at which Newton's method takes over
MANY = 10  # steps of pseudo time for one of Newton's method


class Found(NamedTuple):
    """Where a search ended. `steps` are corrections by Newton's method, `slow` steps of pseudo time."""

    y: Any
    found: Any
    steps: Any
    slow: Any


class _Newton(NamedTuple):
    y: Any
    found: Any
    failed: Any
    steps: Any


class _Transient(NamedTuple):
    y: Any
    delta: Any
    speed: Any
    near: Any
    steps: Any


class Local(NamedTuple):
    """f at one state, and the size of what each row of it is made of."""

    f: Any
    size: Any


class Dense(NamedTuple):
    """f whose Jacobian is written down. `Structured` of `rest_fields` is the other kind."""

    residual: Any
    mass: Any  # M, with empty rows where f is an algebraic equation

    def at(self, y: Any) -> Local:
        f, _, size = sizes(self.residual, y)
        return Local(f, size)

    def search(self, y: Any, scale: Any, bounds: tuple[Any, Any], max_steps: int) -> Found:
        return search(self, y, scale, bounds, max_steps)

    def isolated(self, y: Any, scale: Any) -> Any:
        return isolated(self.residual, y, scale)

    def loosest(self, y: Any) -> Any:
        """The direction in which f changes least, each row of f' scaled to a largest entry of 1."""
        rows = jnp.abs(sizes(self.residual, y)[1])
        scaled = jax.jacfwd(self.residual)(y) / _one_for_zero(jnp.max(rows, axis=1, keepdims=True))
        return jnp.linalg.svd(jnp.where(jnp.isfinite(scaled), scaled, 0))[2][-1]


def search(lines: Dense, y: Any, scale: Any, bounds: tuple[Any, Any], max_steps: int) -> Found:
    """A root of f from y, inside the bounds.

    Args:
        lines: f with its Jacobian.
        y: where to begin.
        scale: a typical size of each state.
        bounds: the lowest and the highest value of each state.
        max_steps: the most corrections by Newton's method, and ten times as many steps of pseudo time.
    """
    first = newton(lines, y, scale, max_steps, jnp.asarray(False))
    found = first.found & inside(first.y, bounds, scale)
    led = transient(lines, y, scale, bounds, MANY * max_steps, found)
    second = newton(lines, led.y, scale, max_steps, found)
    steps = first.steps + second.steps
    return Found(jnp.where(found, first.y, second.y), found | (second.found & inside(second.y, bounds, scale)), steps, led.steps)


def tolerance(y: Any, scale: Any) -> Any:
    """How well a root is known before the last correction."""
    eps = jnp.finfo(y.dtype).eps
    return eps**0.5 * jnp.abs(y) + eps**0.75 * scale


def sizes(residual: Any, y: Any) -> Any:
    """(f, f', the size of what each row of f is made of)."""
    f, jacobian = residual(y), jax.jacfwd(residual)(y)
    return f, jacobian, jnp.sum(jnp.abs(jacobian) * jnp.abs(y)[None, :], axis=1)


def newton(lines: Dense, y: Any, scale: Any, max_steps: int, skip: Any) -> _Newton:
    """Damped Newton corrections until they are below the tolerance, and the last one after it."""

    def body(s: _Newton) -> _Newton:
        f, jacobian, size = sizes(lines.residual, s.y)
        solve = _factorised(jacobian)
        correction = -solve(f)
        weight = jnp.abs(s.y) + scale
        length = _norm(correction / weight)

        longest = jnp.minimum(1, FARTHEST / jnp.max(jnp.abs(correction) / weight))

        def shorter(share: Any) -> Any:
            following = solve(lines.residual(s.y + share * correction))
            return ~(_norm(following / weight) <= (1 - share / 4) * length) & (share > SMALLEST * longest)

        share = jax.lax.while_loop(shorter, lambda share: share / 2, longest)
        exact = jnp.all(jnp.abs(f) <= 10 * jnp.finfo(y.dtype).eps * size)
        small = jnp.all(jnp.abs(correction) <= tolerance(s.y, scale))
        found = (small | exact) & jnp.all(jnp.isfinite(f))
        moved = s.y + jnp.where(found, 1.0, share).astype(y.dtype) * correction
        sound = jnp.all(jnp.isfinite(moved))
        failed = ~found & ((share <= SMALLEST * longest) | ~sound)
        return _Newton(jnp.where(sound & ~failed, moved, s.y), found, failed, s.steps + 1)

    start = _Newton(y, skip, jnp.asarray(False), jnp.asarray(0, jnp.int32))
    return jax.lax.while_loop(lambda s: ~s.found & ~s.failed & (s.steps < max_steps), body, start)


def transient(lines: Dense, y: Any, scale: Any, bounds: tuple[Any, Any], max_steps: int, skip: Any) -> _Transient:
    """Linearly implicit Euler steps in pseudo time, until a Newton correction would be small."""

    def body(s: _Transient) -> _Transient:
        f, jacobian, _ = sizes(lines.residual, s.y)
        solve = _factorised(lines.mass / s.delta - jacobian)
        step = solve(f)
        moved = s.y + step
        left = lines.residual(moved)
        error = solve(left - lines.mass @ step / s.delta)  # of the linear model of an implicit Euler step
        sound = jnp.all(jnp.isfinite(moved)) & inside(moved, bounds, scale) & (_norm(error / scale) <= _norm(step / scale))
        speed = _norm(step / scale) / s.delta
        delta = grown(s.delta, s.speed, speed, sound)
        correction = _factorised(jacobian)(f)
        near = jnp.all(jnp.abs(correction) <= NEAR * (jnp.abs(s.y) + NEAR * scale))
        moved, speed = jnp.where(sound & ~near, moved, s.y), jnp.where(sound, speed, s.speed)
        return _Transient(moved, delta, speed, near, s.steps + 1)

    delta = first_delta(jnp.any(lines.mass != 0, axis=1), lines.residual(y), y, scale)
    start = _Transient(y, delta, jnp.zeros((), y.dtype), skip, jnp.asarray(0, jnp.int32))
    return jax.lax.while_loop(lambda s: ~s.near & (s.steps < max_steps), body, start)


def first_delta(dynamic: Any, f: Any, y: Any, scale: Any) -> Any:
    """The first step of pseudo time: a tenth of the time in which the state moves by its own size."""
    rates = _norm(jnp.where(dynamic, f, 0) / scale)
    delta = 0.1 * jnp.maximum(_norm(y / scale), 1e-3) / jnp.where(rates > 0, rates, 1)
    return jnp.where(jnp.isfinite(delta), delta, 1).astype(y.dtype)


def grown(delta: Any, before: Any, speed: Any, sound: Any) -> Any:
    """The next step of pseudo time: longer as the motion slows down, shorter after a step that failed."""
    ratio = jnp.where(before > 0, before, speed) / speed  # the first step has none before it
    longer = delta * jnp.clip(ratio, 1 / _GROWTH, _GROWTH)
    delta = jnp.where(sound, jnp.where(speed > 0, longer, _GROWTH * delta), delta / 4)
    return jnp.minimum(delta, float(jnp.finfo(delta.dtype).max) ** 0.5)


def isolated(residual: Any, y: Any, scale: Any) -> Any:
    """Whether no other root is as near as y is known: f' is regular, and stays so within the tolerance."""
    jacobian = jax.jacfwd(residual)(y)
    rows, columns, scaled = equilibrated(jacobian)
    _, singular, right = jnp.linalg.svd(jnp.where(jnp.isfinite(scaled), scaled, 0))
    regular = singular[-1] > max(y.size, 10) * jnp.finfo(y.dtype).eps * singular[0]
    direction = columns * right[-1]
    length = 4 / jnp.max(jnp.abs(direction) / tolerance(y, scale))
    ahead = jax.jvp(residual, (y + length * direction,), (direction,))[1]
    here = jacobian @ direction
    return regular & (_norm(rows * here) > _norm(rows * (ahead - here)))


def equilibrated(matrix: Any) -> tuple[Any, Any, Any]:
    """(factors of rows, of columns, the matrix with them): units do not make a matrix singular."""
    rows = 1 / _one_for_zero(jnp.max(jnp.abs(matrix), axis=1))
    columns = 1 / _one_for_zero(jnp.max(jnp.abs(rows[:, None] * matrix), axis=0))
    return rows, columns, rows[:, None] * matrix * columns[None, :]


def _factorised(matrix: Any) -> Any:
    """A function b -> matrix^-1 b, by LU with scaled rows and columns."""
    rows, columns, scaled = equilibrated(matrix)
    factors = jax.scipy.linalg.lu_factor(scaled)
    return lambda b: columns * jax.scipy.linalg.lu_solve(factors, rows * b)


def _one_for_zero(values: Any) -> Any:
    return jnp.where((values > 0) & jnp.isfinite(values), values, 1)


def inside(y: Any, bounds: tuple[Any, Any], scale: Any) -> Any:
    """Whether the state keeps to its bounds, by more than rounding."""
    low, high = bounds
    slack = tolerance(y, scale)
    return jnp.all((y >= low - slack) & (y <= high + slack))


def _norm(vector: Any) -> Any:
    return jnp.sqrt(jnp.mean(vector**2))
