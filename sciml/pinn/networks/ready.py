"""Networks made for a System: as many inputs as its points have, one output for each unknown field."""

from collections.abc import Sequence
from typing import Any

from ...errors import ModelError
from ...symbols import Coordinate, declaration_of, t
from ...system import System
from ..embedding import Embedding, embedding_of
from .modules import MLP, ModifiedMLP, PirateNet


def coordinates_of(system: Any) -> tuple[Coordinate, ...]:
    """The coordinates of the System's fields in the order of a point: the time first, vectors last.

    Raises:
        ModelError: no System, one without fields, one that lives on a grid.
    """
    fields = _fields(system)
    found = dict.fromkeys(c for f in fields for c in f.over)

    def rank(c: Coordinate) -> int:
        return 0 if c == t else 2 if c.declaration.shape else 1

    return tuple(sorted(found, key=rank))  # sorted keeps the order of those that rank alike


def inputs(system: Any, modes: Any = 1) -> int:
    """How many inputs a network has that is to solve a System.

    One for each coordinate of its fields; a periodic one counts 2*modes (cosine and sine), a vector its dimension.

    Args:
        system: a System with fields.
        modes: cosines and sines of a periodic coordinate, as in `sci.pinn.fit`.

    Raises:
        ModelError: no System, one without fields, one that lives on a grid.

    >>> import sciml as sci
    >>> x, y = sci.space("x", 0, 1, periodic=True), sci.space("y", 0, 1)
    >>> u = sci.fields("u", sci.t, x, y)
    >>> sci.pinn.inputs(sci.System([sci.eq(u.diff(sci.t), sci.laplacian(u))]))
    4
    """
    return _embedding(system, modes).size


def mlp(system: Any, width: Any = 32, depth: Any = 4, *, fields: Sequence[str] = (), modes: Any = 1, key: Any, **options: Any) -> MLP:
    """A multilayer perceptron for the unknowns of a System.

    Args:
        system: a System with fields.
        width: neurons of each hidden layer.
        depth: number of hidden layers.
        fields: names of parameters over space that the network shall find as well; each is one more output.
        modes: as for `sci.pinn.inputs`.
        key: `jax.random.key(...)`, for the weights.
        options: `activation`, `omega`, `factorised`, `fourier`, as in `sci.pinn.MLP`.

    Raises:
        ModelError: a System without fields, sizes and options that cannot be.

    >>> import jax, sciml as sci
    >>> x = sci.space("x", -1, 1)
    >>> u = sci.fields("u", sci.t, x)
    >>> burgers = sci.System([sci.eq(u.diff(sci.t), 0.01*u.diff(x, 2) - u*u.diff(x))])
    >>> net = sci.pinn.mlp(burgers, width=20, depth=3, key=jax.random.key(0))
    >>> net.in_size, net.out_size
    (2, 1)
    """
    return MLP(*_sizes(system, fields, modes), width, depth, key=key, **options)


def modified_mlp(
    system: Any, width: Any = 32, depth: Any = 4, *, fields: Sequence[str] = (), modes: Any = 1, key: Any, **options: Any
) -> ModifiedMLP:
    """A modified multilayer perceptron for the unknowns of a System: `sci.pinn.ModifiedMLP`.

    Args:
        system: a System with fields.
        width: neurons of each hidden layer and of both encoders.
        depth: number of hidden layers.
        fields: as for `sci.pinn.mlp`.
        modes: as for `sci.pinn.inputs`.
        key: `jax.random.key(...)`, for the weights.
        options: `activation`, `omega`, `factorised`, `fourier`, as in `sci.pinn.ModifiedMLP`.

    Raises:
        ModelError: a System without fields, sizes and options that cannot be.

    >>> import jax, sciml as sci
    >>> x = sci.space("x", 0, 1, periodic=True)
    >>> u, v = sci.fields("u v", sci.t, x)
    >>> system = sci.System([sci.eq(u.diff(sci.t), v.diff(x)), sci.eq(v.diff(sci.t), u.diff(x))])
    >>> net = sci.pinn.modified_mlp(system, key=jax.random.key(0))
    >>> net.in_size, net.out_size
    (3, 2)
    """
    return ModifiedMLP(*_sizes(system, fields, modes), width, depth, key=key, **options)


def piratenet(system: Any, width: Any = 32, depth: Any = 3, *, fields: Sequence[str] = (), modes: Any = 1, key: Any, **options: Any) -> PirateNet:
    """A PirateNet for the unknowns of a System: `sci.pinn.PirateNet`.

    Args:
        system: a System with fields.
        width: neurons of each layer.
        depth: number of blocks, of three layers each.
        fields: as for `sci.pinn.mlp`.
        modes: as for `sci.pinn.inputs`.
        key: `jax.random.key(...)`, for the weights.
        options: `activation`, `omega`, `factorised`, `fourier`, `alpha`, as in `sci.pinn.PirateNet`.

    Raises:
        ModelError: a System without fields, sizes and options that cannot be.

    >>> import jax, sciml as sci
    >>> x, y = sci.space("x", 0, 1), sci.space("y", 0, 1)
    >>> u = sci.fields("u", x, y)
    >>> net = sci.pinn.piratenet(sci.System([sci.eq(sci.laplacian(u), 1)]), fourier=(2.0, 16), key=jax.random.key(0))
    >>> net.in_size, net.out_size, net.fourier.size
    (2, 1, 32)
    """
    return PirateNet(*_sizes(system, fields, modes), width, depth, key=key, **options)


def _sizes(system: Any, fields: Sequence[str], modes: Any) -> tuple[int, int]:
    return _embedding(system, modes).size, len(_fields(system)) + len((fields,) if isinstance(fields, str) else fields)


def _embedding(system: Any, modes: Any) -> Embedding:
    return embedding_of(coordinates_of(system), modes=modes)


def _fields(system: Any) -> list[Any]:
    """The declarations of the unknown fields."""
    if not isinstance(system, System):
        raise ModelError(f"A network is made for a System, not for {type(system).__name__}: sci.pinn.mlp(system, width=32, depth=4, key=key).")
    if system.grid is not None:
        raise ModelError("A network needs no grid: give the System as it was before sci.discretize.")
    found = [d for d in map(declaration_of, system.symbols.values()) if d.kind == "field"]
    if not found:
        raise ModelError(
            f"System '{system.name}' has no fields, and networks stand for fields: declare u = sci.fields(\"u\", sci.t, x). "
            "Unknowns of time alone are solved by sci.solve(system, t_span=...)."
        )
    return found
