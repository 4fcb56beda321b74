"""Which linear algebra serves a model, from the structure of its Jacobian."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import jax

from ..codegen import Sparsity
from ..codegen.structure import Band, Dense, Free
from .banded import BandedAlgebra
from .krylov import FreeAlgebra
from .linear import Algebra, DenseAlgebra

if TYPE_CHECKING:
    from ..codegen import CompiledSystem

_SMALL = 12  # unknowns: elimination written out costs less than anything else
_ROWS = 4  # a band is one if there are that many times more unknowns than diagonals


def algebra_of(model: "CompiledSystem") -> Callable[[Any, Any], Algebra]:
    """(flat parameters, relative tolerance) -> the linear algebra of a model."""
    structure: Any = model.structure
    if isinstance(structure, Free):
        return lambda p, rtol: FreeAlgebra(_preconditioner(structure, jax.lax.stop_gradient(p)), rtol, structure.autonomous)
    if isinstance(structure, Band):
        n = len(structure.order)
        if n > max(_SMALL, _ROWS * structure.width):
            banded = BandedAlgebra(structure, model.differential)
            return lambda p, rtol: banded
        structure = Dense(structure.pattern(), structure.autonomous)
    sparsity = model.sparsity if structure is None else Sparsity.of(structure.pattern, structure.autonomous)
    dense = DenseAlgebra.of(sparsity, model.mass_pattern, model.differential)
    return lambda p, rtol: dense


def _preconditioner(structure: Free, p: Any) -> Any:
    made = structure.precondition
    return None if made is None else lambda c: made(c, p)


def mass_of(model: "CompiledSystem", algebra: Algebra, p: Any) -> Any:
    """M of M y' = f: None for the identity; its diagonal, where the Jacobian is not a matrix; or all of it."""
    if model.differential.all():
        return None
    if isinstance(algebra, DenseAlgebra):
        return model.mass(p)
    return model.mass_diagonal(p)
