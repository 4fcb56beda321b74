"""The interpreter: runs a program (a jaxpr) on values that carry Taylor coefficients.

| equation                                | rule                                                                    |
|-----------------------------------------|-------------------------------------------------------------------------|
| linear (add, reshape, gather, fft ...)  | acts on each slot                                                       |
| a choice (max, sort, clamp, abs ...)    | its linearisation at the primal acts on each slot                       |
| product (mul, dot_general, conv, div)   | the product of the algebra                                              |
| function of one number (tanh, log ...)  | y = sum over m of f^(m)(z_0)/m! (z - z_0)^m, powers in the algebra      |
| call, cond, scan, while                 | by recursion into the body, slots carried along                         |
| anything else                           | by its own forward derivative, interpreted one order lower (`derived`)  |

The last row covers whatever JAX can differentiate forward, rules of `jax.custom_jvp` included, so that no program fails.
Values that do not depend on the point, integers and random keys are plain arrays.
"""

from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
from jax.extend.core import ClosedJaxpr, Jaxpr, Literal

from .algebra import Algebra, Series, primal_of, series, slots_of

Rule = Callable[..., list[Any]]
RULES: dict[str, Rule] = {}
"""Rules by the name of the primitive: (algebra, equation, inputs) -> outputs."""


def rule(*names: str) -> Callable[[Rule], Rule]:
    """Registers a rule for some primitives."""

    def register(function: Rule) -> Rule:
        RULES.update(dict.fromkeys(names, function))
        return function

    return register


def taylor(al: Algebra, function: Callable[..., Any], *args: Any) -> Any:
    """A function on values of an algebra.

    Args:
        al: the algebra.
        function: of arrays.
        args: plain arrays or `Series`, one for each argument.

    Returns:
        What the function returns, with a `Series` for each array that depends on a `Series`.
    """
    closed, shape = jax.make_jaxpr(function, return_shape=True)(*map(primal_of, args))
    return jax.tree.unflatten(jax.tree.structure(shape), run(al, closed.jaxpr, closed.consts, args))


def run(al: Algebra, jaxpr: Jaxpr, consts: Sequence[Any], args: Sequence[Any]) -> list[Any]:
    """The outputs of a program."""
    env: dict[Any, Any] = dict(zip([*jaxpr.constvars, *jaxpr.invars], [*consts, *args], strict=True))

    def read(atom: Any) -> Any:
        return atom.val if isinstance(atom, Literal) else env[atom]

    for eqn in _live(jaxpr):
        env.update(zip(eqn.outvars, equation(al, eqn, [read(atom) for atom in eqn.invars]), strict=True))
    return [read(atom) for atom in jaxpr.outvars]


def run_closed(al: Algebra, closed: ClosedJaxpr | Jaxpr, args: Sequence[Any]) -> list[Any]:
    """The outputs of a program inside an equation."""
    return run(al, closed.jaxpr, closed.consts, args) if isinstance(closed, ClosedJaxpr) else run(al, closed, (), args)


def _live(jaxpr: Jaxpr) -> list[Any]:
    """The equations that the outputs need, and those with effects."""
    needed = {atom for atom in jaxpr.outvars if not isinstance(atom, Literal)}
    kept = []
    for eqn in reversed(jaxpr.eqns):
        if eqn.effects or any(var in needed for var in eqn.outvars):
            kept.append(eqn)
            needed.update(atom for atom in eqn.invars if not isinstance(atom, Literal))
    return kept[::-1]


def equation(al: Algebra, eqn: Any, args: list[Any]) -> list[Any]:
    """The outputs of one equation."""
    inexact = [jnp.issubdtype(var.aval.dtype, jnp.inexact) if hasattr(var.aval, "dtype") else False for var in eqn.outvars]
    if not any(isinstance(arg, Series) for arg in args) or not any(inexact):
        return bind(eqn, list(map(primal_of, args)))
    found = RULES.get(eqn.primitive.name, RULES["derived"])(al, eqn, args)
    return [series(primal_of(out), slots_of(out)) if real else primal_of(out) for out, real in zip(found, inexact, strict=True)]


def bind(eqn: Any, args: Sequence[Any]) -> list[Any]:
    """One equation on plain arrays."""
    params = eqn.primitive.get_bind_params(eqn.params)
    functions, params = params if isinstance(params, tuple) else ((), params)
    found = eqn.primitive.bind(*functions, *args, **params)
    return list(found) if eqn.primitive.multiple_results else [found]
