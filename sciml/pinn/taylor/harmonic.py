"""The algebra of the biharmonic operator: a value with its gradient, Hessian, Laplacian, gradient of the Laplacian, and bi-Laplacian.

| slot                 | of a product, beside a_0 b_s + a_s b_0                                              |
|----------------------|-------------------------------------------------------------------------------------|
| gradient, n          |                                                                                     |
| hessian, n (n+1) / 2 | a_i b_j + a_j b_i                                                                   |
| laplacian            | 2 sum a_i b_i                                                                       |
| third, n             | La b_i + a_i Lb + 2 sum over j of (a_ij b_j + a_j b_ij), with L the Laplacian       |
| bilaplacian          | 4 sum (a_i (third of b)_i + (third of a)_i b_i) + 2 La Lb + 4 sum over i, j a_ij b_ij |

These slots are closed under products, and each third derivative that only the sum over j needs is never held. The Laplacian of the
Laplacian, each collapsed by itself, carries (1 + n + 1)^2 vectors: it holds the mixed second derivatives twice.
"""

from collections.abc import Callable
from typing import Any

import jax.numpy as jnp
import numpy as np

from .algebra import Algebra, Key, Part, Series, Slots, Term, algebra, primal_of, slots_of
from .interpret import taylor


def harmonic(n: int) -> Algebra:
    """The algebra for functions of n numbers. The Hessian is held as its upper triangle."""
    rows, columns = np.triu_indices(n)
    place = np.zeros((n, n), int)
    place[rows, columns] = place[columns, rows] = np.arange(len(rows))
    gradient, third, alone = Part("gradient", "i"), Part("third", "i"), Part("laplacian")
    triangle = Part("hessian", "p")
    terms = {
        "gradient": (),
        "hessian": (Term(Part("gradient", "p", rows), Part("gradient", "p", columns), mirrored=True),),
        "laplacian": (Term(gradient, gradient, weight=2),),
        "third": (Term(alone, gradient, mirrored=True), Term(Part("hessian", "ij", place), Part("gradient", "j"), mirrored=True, weight=2)),
        "bilaplacian": (
            Term(third, gradient, mirrored=True, weight=4),
            Term(alone, alone, weight=2),
            Term(triangle, triangle, weight=np.where(rows == columns, 4, 8)),
        ),
    }
    axes = {"gradient": "i", "hessian": "p", "laplacian": "", "third": "i", "bilaplacian": ""}
    return Algebra(tuple(axes), axes, terms, 4, {"i": n, "p": len(rows)}, otherwise=_otherwise)


def _otherwise(al: Algebra, function: Callable[..., list[Any]], push: Callable[..., list[Any]], args: list[Series]) -> list[Slots]:
    """A function without a rule: of polynomials with these slots, by collapsed Laplacians of the general algebra, nested."""
    rows, columns = np.triu_indices(al.sizes["i"])

    def polynomials(eps: Any) -> list[Any]:
        return function(*(_polynomial(arg, eps, rows, columns) for arg in args))

    def first(eps: Any) -> list[Any]:
        return [part for out in _along(polynomials, eps) for part in (_slot(out, (1,), al), _slot(out, 0, al))]

    outs = _along(first, jnp.zeros(al.sizes["i"], args[0].primal.real.dtype))
    found = []
    for slope, bend in zip(outs[::2], outs[1::2], strict=True):
        third = _slot(slope, 0, al)
        values = primal_of(slope), _slot(slope, (1,), al)[rows, columns], primal_of(bend), third, _slot(bend, 0, al)
        found.append(dict(zip(al.keys, values, strict=True)))
    return found


def _along(function: Callable[[Any], list[Any]], eps: Any) -> list[Any]:
    """First derivatives by each variable in slot (1,), the Laplacian in slot 0."""
    lanes = algebra([], [[((2,), 2)]], lanes=eps.size)
    return taylor(lanes, function, Series(eps, {(1,): jnp.eye(eps.size, dtype=eps.dtype)}))


def _slot(value: Any, key: Key, al: Algebra) -> Any:
    primal = primal_of(value)
    shape = (al.sizes["i"],) * (key != 0) + jnp.shape(primal)
    return slots_of(value).get(key, jnp.zeros(shape, jnp.result_type(primal)))


def _polynomial(value: Series, eps: Any, rows: Any, columns: Any) -> Any:
    """One that has these slots at zero: L(eps_i |eps|^2) = (2 n + 4) eps_i and L L |eps|^4 = 8 n (n + 2)."""
    n, square = eps.size, jnp.sum(eps**2)
    shares = {
        "gradient": eps,
        "hessian": eps[rows] * eps[columns] * np.where(rows == columns, 0.5, 1.0).astype(eps.dtype),
        "third": eps * square / (2 * n + 4),
        "bilaplacian": square**2 / (8 * n * (n + 2)),
    }
    found = value.primal
    for key, share in shares.items():
        if key in value.slots:
            found = found + jnp.tensordot(share.astype(found.dtype), value.slots[key], share.ndim)
    return found
