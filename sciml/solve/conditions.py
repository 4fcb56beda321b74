"""Conditions that an answer satisfies, as functions F(x, theta) = 0 for `implicit`.

| condition            | the answer                                      | F                                                 |
|----------------------|-------------------------------------------------|---------------------------------------------------|
| `fixed_point`        | x = T(x)                                        | T(x) - x                                          |
| `stationary`         | a minimum, maximum or saddle of f               | grad f(x)                                         |
| `kkt`                | min f(x) subject to g(x) = 0, h(x) <= 0         | grad of the Lagrangian, g(x), complementarity     |
| `projected_gradient` | min f(x) over a set                             | projection(x - step*grad f(x)) - x                |

Each function takes theta after x, in as many arguments as you like.
"""

import contextlib
import inspect
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from ..errors import SolveError


def fixed_point(T: Callable[..., Any]) -> Callable[..., Any]:
    """F of a fixed point `x = T(x, theta)`: `T(x, theta) - x`.

    Args:
        T: what is repeated; gives what has the structure and the shapes of x.

    >>> import jax, sciml as sci
    >>> T = lambda x, theta: 0.5*(x + theta/x)
    >>> root = sci.implicit(sci.implicit.fixed_point(T)).root(1.0, 4.0)
    >>> float(root)
    2.0
    """

    def F(x: Any, *theta: Any) -> Any:
        image = T(x, *theta)
        for what, found, wanted in (("structure", *map(_structure, (image, x))), ("shape", *map(_shapes, (image, x)))):
            if found != wanted:
                raise SolveError(f"{label_of(T, 'T')} has {what} {found} where x has {wanted}: a fixed point x = T(x) needs the same.")
        return jax.tree.map(jnp.subtract, image, x)

    return _like(F, T, f"fixed_point({label_of(T, 'T')})")


def stationary(f: Callable[..., Any]) -> Callable[..., Any]:
    """F of a minimum, a maximum or a saddle of `f(x, theta)`: its gradient by x.

    Args:
        f: gives one number.

    >>> import jax, sciml as sci
    >>> ridge = sci.implicit.stationary(lambda x, theta: (x - 3.0)**2 + theta*x**2)
    >>> float(sci.implicit(ridge).root(0.0, 2.0))
    1.0
    """

    def F(x: Any, *theta: Any) -> Any:
        _one_number(f, x, theta)
        return jax.grad(f)(x, *theta)

    return _like(F, f, f"stationary({label_of(f, 'f')})")


def kkt(f: Callable[..., Any], *, equality: Callable[..., Any] | None = None, inequality: Callable[..., Any] | None = None) -> Callable[..., Any]:
    """F of the Karush-Kuhn-Tucker conditions of `min f(x, theta)` subject to `g(x, theta) = 0` and `h(x, theta) <= 0`.

    The answer is a tuple `(x, nu, lam)`: the point, the multipliers of the equalities and those of the inequalities, each of
    the structure and shapes of what its constraint gives; None for constraints that are not there. The signs are those
    of the Lagrangian `f + nu*g + lam*h`, with `lam >= 0`.

    Complementarity is `min(lam, -h) = 0`. It holds only where lam >= 0 and h <= 0, and where these are strictly
    complementary (one of the two is not 0) its derivative is that of the active set: active constraints stay 0, the
    multipliers of the others stay 0. Where both are 0, the answer has a kink; the constraint is then taken as active.

    Args:
        f: gives one number.
        equality: g, an array or a pytree of arrays.
        inequality: h, an array or a pytree of arrays.

    >>> import jax, jax.numpy as jnp, sciml as sci
    >>> F = sci.implicit.kkt(lambda x, p: jnp.sum((x - p)**2), inequality=lambda x, p: x - 1.0)
    >>> x, nu, lam = sci.implicit(F).root((jnp.zeros(2), None, jnp.zeros(2)), jnp.array([0.5, 2.0]))
    >>> x.tolist(), lam.tolist()
    ([0.5, 1.0], [0.0, 2.0])
    """
    if equality is None and inequality is None:
        raise SolveError("kkt without constraints: write implicit.stationary(f), or give equality= or inequality=.")

    def F(solution: Any, *theta: Any) -> Any:
        if not isinstance(solution, tuple) or len(solution) != 3:
            raise SolveError("The answer of kkt is a tuple (x, nu, lam): the point and both multipliers, None for constraints that are not there.")
        x, nu, lam = solution
        _one_number(f, x, theta)
        g, h = (None if c is None else c(x, *theta) for c in (equality, inequality))
        _fits(nu, g, "nu", "equality")
        _fits(lam, h, "lam", "inequality")

        def lagrangian(x: Any) -> Any:
            value = f(x, *theta)
            for constraint, multipliers in ((equality, nu), (inequality, lam)):
                if constraint is not None:
                    value = value + _dot(multipliers, constraint(x, *theta))
            return value

        return jax.grad(lagrangian)(x), g, jax.tree.map(lambda lam, h: jnp.where(lam < -h, lam, -h), lam, h)

    return _like(F, f, f"kkt({label_of(f, 'f')})")


def projected_gradient(f: Callable[..., Any], projection: Callable[..., Any], *, step: float = 1.0) -> Callable[..., Any]:
    """F of `min f(x, theta)` over a closed convex set: `projection(x - step*grad f) - x`.

    Any step > 0 has the same zeros; one near 1/(curvature of f) gives the best conditioned F.

    Args:
        f: gives one number.
        projection: `y -> x`, the nearest point of the set, such as `implicit.projections.simplex`. Where the set depends on
            theta, a function of `(y, theta, ...)`: a projection with more than one positional argument gets theta too.
        step: of the gradient.

    >>> import jax, jax.numpy as jnp, sciml as sci
    >>> f = lambda x, theta: 0.5*jnp.sum((x - theta)**2)
    >>> F = sci.implicit.projected_gradient(f, sci.implicit.projections.non_negative, step=0.5)
    >>> sci.implicit(F).root(jnp.ones(2), jnp.array([2.0, -1.0])).tolist()
    [2.0, 0.0]
    """
    _, most, _ = positional(projection)
    takes_theta = most is None or most > 0

    def F(x: Any, *theta: Any) -> Any:
        _one_number(f, x, theta)
        ahead = jax.tree.map(lambda x, g: x - step * g, x, jax.grad(f)(x, *theta))
        return jax.tree.map(jnp.subtract, projection(ahead, *theta) if takes_theta else projection(ahead), x)

    return _like(F, f, f"projected_gradient({label_of(f, 'f')})")


def positional(function: Callable[..., Any]) -> tuple[int, int | None, tuple[str, ...]]:
    """Of the arguments after the first: how many it needs, how many it takes (None: any number), and their names."""
    try:
        parameters = list(inspect.signature(function).parameters.values())
    except (TypeError, ValueError):
        return 0, None, ()
    open_ended = any(p.kind is p.VAR_POSITIONAL for p in parameters)
    named = [p for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    needed = sum(p.default is p.empty for p in named[1:])
    return needed, None if open_ended else max(len(named) - 1, 0), tuple(p.name for p in named[1:])


def label_of(function: Callable[..., Any], instead: str) -> str:
    """The name of a function, or what to say where it has none."""
    name = getattr(function, "__name__", "<lambda>")
    return instead if name == "<lambda>" else name


def _like(F: Callable[..., Any], of: Callable[..., Any], name: str) -> Callable[..., Any]:
    """F takes what the user's function takes, and is called after it."""
    F.__name__ = F.__qualname__ = name
    with contextlib.suppress(TypeError, ValueError):
        F.__signature__ = inspect.signature(of)  # type: ignore[attr-defined]
    return F


def _one_number(f: Callable[..., Any], x: Any, theta: tuple[Any, ...]) -> None:
    out = jax.eval_shape(f, x, *theta)
    if not hasattr(out, "shape") or out.shape != ():
        found = f"an array of shape {out.shape}" if hasattr(out, "shape") else f"{jax.tree.structure(out)}"
        raise SolveError(f"{label_of(f, 'f')} gives {found}, where one number is to be minimised. Sum it: jnp.sum(...).")


def _fits(multipliers: Any, constraint: Any, name: str, what: str) -> None:
    if _structure(multipliers) != _structure(constraint) or _shapes(multipliers) != _shapes(constraint):
        given, wanted = (_shapes(tree) or "nothing (None)" for tree in (multipliers, constraint))
        raise SolveError(f"{name} in the answer (x, nu, lam) is of shape {given}, and {what}= gives {wanted}: one multiplier for each constraint.")


def _structure(tree: Any) -> str:
    return str(jax.tree.structure(tree))


def _shapes(tree: Any) -> str:
    return ", ".join(str(jnp.shape(leaf)) for leaf in jax.tree.leaves(tree))


def _dot(a: Any, b: Any) -> Any:
    return sum(jnp.sum(x * y) for x, y in zip(jax.tree.leaves(a), jax.tree.leaves(b), strict=True))
