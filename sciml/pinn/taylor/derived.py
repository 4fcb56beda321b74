"""Rules of functions that have no rule here, or one of their own: by their forward derivative.

y = f(z) has dy/deps_i = J(z; dz/deps_i) with the forward derivative J of f, so alpha_i y_alpha is the coefficient alpha - e_i of J.
J is a program like any other and is interpreted in the algebra that is one order lower, down to order zero.
"""

from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp

from ...errors import CompileError
from .algebra import Algebra, Index, Series, Slots, algebra, below, primal_of, scaled, series, slots_of
from .functions import compose, scalar_coefficients
from .interpret import bind, rule, taylor


@rule("custom_jvp_call")
def custom(al: Algebra, eqn: Any, args: list[Any]) -> list[Any]:
    """A function with a rule of its own, which is asked; one that acts on numbers, like softplus, is asked for its coefficients."""
    varying = [n for n, arg in enumerate(args) if isinstance(arg, Series)]
    z, out = args[varying[0]], eqn.outvars[0].aval
    if len(varying) > 1 or len(eqn.outvars) > 1 or z.primal.shape != out.shape or not _elementwise(eqn.params["call_jaxpr"].jaxpr, out.shape):
        return derived(al, eqn, args)
    others = list(map(primal_of, args))

    def function(one: Algebra, value: Any) -> list[Any]:
        return derived(one, eqn, [*others[: varying[0]], value, *others[varying[0] + 1 :]])

    return [compose(al, bind(eqn, others)[0], z, scalar_coefficients(function, z.primal, al.order))]


# fmt: off
_BY_NUMBER = {
    "max", "min", "add", "sub", "mul", "div", "neg", "abs", "sign", "exp", "log", "log1p", "expm1", "tanh", "logistic", "square", "sqrt", "erf",
    "ne", "eq", "lt", "le", "gt", "ge", "and", "or", "not", "select_n", "integer_pow", "pow", "sin", "cos", "convert_element_type", "stop_gradient",
}
# fmt: on


def _elementwise(jaxpr: Any, shape: tuple[int, ...]) -> bool:
    """Whether each number of the output depends on the number at its place only."""
    for eqn in jaxpr.eqns:
        if eqn.primitive.name in ("jit", "pjit"):
            if not _elementwise(eqn.params["jaxpr"].jaxpr, shape):
                return False
        elif eqn.primitive.name not in _BY_NUMBER or any(var.aval.shape not in (shape, ()) for var in eqn.outvars):
            return False
    return True


@rule("derived")
def derived(al: Algebra, eqn: Any, args: list[Any]) -> list[Any]:
    """An equation without a rule: from its own forward derivative."""
    primals = list(map(primal_of, args))
    where = [n for n, arg in enumerate(args) if isinstance(arg, Series)]
    real = [n for n, var in enumerate(eqn.outvars) if jnp.issubdtype(var.aval.dtype, jnp.inexact)]

    def function(*varying: Any) -> list[Any]:
        full = list(primals)
        for n, value in zip(where, varying, strict=True):
            full[n] = value
        out = bind(eqn, full)
        return [out[n] for n in real]

    push = _pushforward_of_vjp(function, eqn) if eqn.primitive.name.startswith("custom_vjp_call") else _pushforward(function)
    out = bind(eqn, primals)
    for n, value in zip(real, (al.otherwise or _derived)(al, function, push, [args[n] for n in where]), strict=True):
        out[n] = series(out[n], value)
    return out


def _pushforward(function: Callable[..., list[Any]]) -> Callable[..., list[Any]]:
    return lambda primals, tangents: jax.jvp(function, tuple(primals), tuple(tangents))[1]


def _pushforward_of_vjp(function: Callable[..., list[Any]], eqn: Any) -> Callable[..., list[Any]]:
    """The forward derivative where only a reverse one is given: its transpose."""

    def push(primals: Sequence[Any], tangents: Sequence[Any]) -> list[Any]:
        out, back = jax.vjp(function, *primals)
        try:
            return jax.linear_transpose(back, out)(tuple(tangents))[0]
        except Exception as error:
            raise CompileError(
                f"The reverse rule of the custom_vjp function '{_name(eqn)}' is not linear in the gradient it receives, "
                "so there is no forward derivative: declare the function by jax.custom_jvp."
            ) from error

    return push


def _name(eqn: Any) -> str:
    jaxpr = eqn.params.get("call_jaxpr", eqn.params.get("fun_jaxpr"))
    return getattr(getattr(jaxpr.jaxpr, "debug_info", None), "func_name", None) or "?"


def _derived(al: Algebra, function: Callable[..., list[Any]], push: Callable[..., list[Any]], args: list[Series]) -> list[Slots]:
    """The slots of a function's outputs: indices one by one, over the lanes; a collapsed sum afterwards."""
    full = below([*al.indices, *(alpha for members in al.sums for alpha, _ in members)])
    primals = [arg.primal for arg in args]

    def one(slots: list[Slots]) -> list[Slots]:
        return _by_index(full, push, [Series(p, s) for p, s in zip(primals, slots, strict=True)])

    carried = [{key: slot for key, slot in arg.slots.items() if isinstance(key, tuple)} for arg in args]
    found = one(carried) if not al.sizes else jax.vmap(one, axis_size=al.sizes["r"])(carried)
    tops = [[(found_[alpha], weight) for alpha, weight in members if alpha in found_] for found_ in found for members in al.sums]
    outs = [{key: slot for key, slot in slots.items() if key in al.axes} for slots in found]
    count = len(al.sums)
    for n, slots in enumerate(outs):
        for j in range(count):
            parts = [scaled(slot, weight) if weight is not None else slot for slot, weight in tops[n * count + j]]
            if parts:
                slots[j] = sum(jnp.sum(part, axis=0) if al.sizes else part for part in parts)
    for j in range(count):  # the highest coefficients enter linearly
        if any(j in arg.slots for arg in args):
            pushed = push(primals, [arg.slots.get(j, jnp.zeros_like(arg.primal)) for arg in args])
            for slots, value in zip(outs, pushed, strict=True):
                slots[j] = slots[j] + value if j in slots else value
    return [{key: slots[key] for key in al.keys if key in slots} for slots in outs]


def _by_index(full: Sequence[Index], push: Callable[..., list[Any]], args: list[Series]) -> list[Slots]:
    """alpha_i y_alpha = coefficient alpha - e_i of the derivative by eps_i, with i the first variable of alpha."""
    found: list[Slots] = []
    for i in range(len(full[0]) if full else 0):
        mine = [alpha for alpha in full if alpha[i] and not any(alpha[:i])]
        tangents = [_by_variable(arg, i) for arg in args]
        if not mine or all(tangent is None for tangent in tangents):
            continue
        lower = algebra([_shift(alpha, i, -1) for alpha in mine])
        given = [_restricted(lower, arg) for arg in args]
        moved = [jnp.zeros_like(arg.primal) if t is None else _restricted(lower, t) for arg, t in zip(args, tangents, strict=True)]
        outs = taylor(lower, lambda *both: list(push(both[: len(args)], both[len(args) :])), *given, *moved)
        found = found or [{} for _ in outs]
        for slots, out in zip(found, outs, strict=True):
            slots[_shift((0,) * len(full[0]), i, 1)] = primal_of(out)
            slots.update({_shift(beta, i, 1): value / (beta[i] + 1) for beta, value in slots_of(out).items()})
    return found or [{} for _ in args]


def _shift(alpha: Index, i: int, by: int) -> Index:
    return alpha[:i] + (alpha[i] + by,) + alpha[i + 1 :]


def _by_variable(value: Series, i: int) -> Any:
    """The derivative by eps_i, or None if it is zero."""
    slots = {_shift(alpha, i, -1): slot * alpha[i] for alpha, slot in value.slots.items() if alpha[i]}
    if not slots:
        return None
    primal = slots.pop((0,) * len(next(iter(value.slots))), None)
    return series(jnp.zeros_like(value.primal) if primal is None else primal, slots)


def _restricted(al: Algebra, value: Any) -> Any:
    return series(primal_of(value), {key: slot for key, slot in slots_of(value).items() if key in al.axes})
