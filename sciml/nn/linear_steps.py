"""Steps for an equation that is linear in its state apart from its neural terms: v' = drive - decay*v, entry by entry.

`split` finds decay and drive in the equation. A step takes a function that evaluates them at a state, a state, and the time to cross.
"""

from collections.abc import Callable
from typing import Any

import jax.numpy as jnp
import sympy as sp

from ..errors import ModelError
from ..symbols import declaration_of

Terms = Callable[[Any], tuple[Any, Any]]  # v -> (decay, drive)


def split(rate: sp.Expr, state: sp.Expr) -> tuple[sp.Expr, sp.Expr]:
    """(decay, drive) of a rate that is drive - decay*state, where neural terms may depend on the state in any way.

    Raises:
        ModelError: the state enters in another way.
    """
    inside = {a: sp.Dummy(f"n{i}", real=True) for i, a in enumerate(sorted(rate.atoms(sp.Function), key=str)) if _is_neural(a)}
    back = {d: a for a, d in inside.items()}
    alone = sp.Dummy("state", real=True)
    flat = rate.xreplace(inside).xreplace({state: alone})
    decay = sp.factor_terms(-flat.diff(alone))
    if decay.has(alone):
        raise ModelError(f'`{rate}` is not linear in {state} apart from its neural terms: an exponential step does not apply. Use step="tsit5".')
    return decay.xreplace(back), flat.xreplace({alone: sp.S.Zero}).xreplace(back)


def _is_neural(node: Any) -> bool:
    d = declaration_of(node)
    return d is not None and d.kind == "neural"


def fused(terms: Terms, v: Any, h: Any) -> Any:
    """Decay and drive of the start, the linear part implicit (Hasani et al. 2021, algorithm 1). First order."""
    decay, drive = terms(v)
    return (v + h * drive) / (1 + h * decay)


def exponential(terms: Terms, v: Any, h: Any) -> Any:
    """The exact flow with decay and drive of the middle, which the flow of the start reaches. Second order."""
    middle = _flow(v, terms(v), h / 2)
    return _flow(v, terms(middle), h)


def exponential4(terms: Terms, v: Any, h: Any) -> Any:
    """Five exact flows, free of commutators (Celledoni, Marthinsen and Owren 2003, doi:10.1016/S0167-739X(02)00161-9). Fourth order."""
    k1 = terms(v)
    v2 = _flow(v, k1, h / 2)
    k2 = terms(v2)
    k3 = terms(_flow(v, k2, h / 2))
    k4 = terms(_flow(v2, _mixed((-1 / 2, k1), (1, k3)), h))
    v = _flow(v, _mixed((1 / 4, k1), (1 / 6, k2), (1 / 6, k3), (-1 / 12, k4)), h)
    return _flow(v, _mixed((-1 / 12, k1), (1 / 6, k2), (1 / 6, k3), (1 / 4, k4)), h)


STEPS: dict[str, tuple[Callable[[Terms, Any, Any], Any], int]] = {
    "exponential": (exponential, 2),
    "exponential4": (exponential4, 4),
    "fused": (fused, 1),
}
"""Steps that use the linear state: the function and its evaluations."""


def _flow(v: Any, terms: tuple[Any, Any], h: Any) -> Any:
    """The solution of v' = drive - decay*v after a time h, for constant decay and drive, 0 included."""
    decay, drive = terms
    z = decay * h
    near = jnp.abs(z) < 1e-3
    safe = jnp.where(near, 1, z)
    phi = jnp.where(near, 1 - z * (1 / 2 - z * (1 / 6 - z / 24)), -jnp.expm1(-safe) / safe)
    return v + h * phi * (drive - decay * v)


def _mixed(*parts: tuple[float, tuple[Any, Any]]) -> tuple[Any, Any]:
    """A sum of decays and drives with weights."""
    return sum(w * decay for w, (decay, _) in parts), sum(w * drive for w, (_, drive) in parts)
