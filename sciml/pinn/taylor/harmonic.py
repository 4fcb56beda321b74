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

import jax
import jax.numpy as jnp
import numpy as np

from .algebra import Algebra, Part, Series, Slots, Term, algebra, series, slots_of
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
    """A function without a rule: of polynomials that have these slots, by Laplacians of the general algebra."""
    n = al.sizes["i"]
    rows, columns = np.triu_indices(n)
    indices = [tuple(int(k == i) + int(k == j) for k in range(n)) for i, j in zip(rows, columns, strict=True)]
    del push

    def polynomials(eps: Any) -> list[Any]:
        return function(*(_polynomial(arg, eps, rows, columns) for arg in args))

    def laplacian(f: Callable[[Any], list[Any]], eps: Any) -> list[Any]:
        out = taylor(algebra([], [[((2,), 2)]], lanes=n), f, Series(eps, {(1,): jnp.eye(n, dtype=eps.dtype)}))
        return [slots_of(leaf).get(0, jnp.zeros_like(leaf)) if not isinstance(leaf, Series) else leaf.slots.get(0, jnp.zeros_like(leaf.primal)) for leaf in out]

    raise AssertionError


def _polynomial(value: Series, eps: Any, rows: Any, columns: Any) -> Any:
    raise AssertionError
