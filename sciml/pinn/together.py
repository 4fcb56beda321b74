"""Several networks as one, for functions of different coordinates: u(t, x) and an unknown k(x).

Each gets the inputs of its own coordinates only; the numbers that they give stand in the order of the functions.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp

from ..errors import ModelError, NameUnknown, nearest
from .embedding import Embedding, embedding_of
from .networks import MLP, checked


class Together(eqx.Module):
    """Networks side by side.

    Attributes:
        modules: the networks.
        inputs: which inputs each takes; None for all.
        order: where each function stands among the numbers that they give, one after the other.
    """

    modules: tuple[Any, ...]
    inputs: tuple[tuple[int, ...] | None, ...] = eqx.field(static=True)
    order: tuple[int, ...] = eqx.field(static=True)

    def __call__(self, inputs: Any) -> Any:
        """The values of all functions."""
        given = [inputs if own is None else inputs[jnp.asarray(own)] for own in self.inputs]
        values = jnp.concatenate([jnp.atleast_1d(m(v)) for m, v in zip(self.modules, given, strict=True)])
        return values if self.order == tuple(range(len(self.order))) else values[jnp.asarray(self.order)]


def network_for(
    network: Any, functions: Sequence[str], depends: Mapping[str, tuple[str, ...]], coordinates: Sequence[Any], t_span: Any, key: Any
) -> Any:
    """One network for all functions, from what the user gives.

    Args:
        network: a module for all functions, a dict from names (or tuples of names) to modules, or None for small perceptrons.
        functions: their names, in order.
        depends: the coordinates of each.
        coordinates: those of a point, in order.
        t_span: start and end of the time.
        key: for weights that are made here.

    Raises:
        ModelError: one network for functions of different coordinates; sizes that do not fit.
        NameUnknown: a name in the dict that is no unknown.
    """
    embedding = embedding_of(coordinates, t_span)
    names = tuple(c.name for c in coordinates)
    sets = dict.fromkeys(depends.get(f, names) for f in functions)
    if network is None:
        keys = jax.random.split(key, len(sets))
        groups = {tuple(f for f in functions if depends.get(f, names) == own): own for own in sets}
        if len(groups) == 1:
            return _usual(embedding.size, len(functions), key)
        network = {
            g: MLP(_part(embedding, coordinates, own, t_span).size, len(g), 32, 4, key=k) for (g, own), k in zip(groups.items(), keys, strict=True)
        }
    if not isinstance(network, Mapping):
        if len(sets) > 1:
            first, second = (next(f for f in functions if depends.get(f, names) == own) for own in list(sets)[:2])
            raise ModelError(
                f"'{first}' depends on {', '.join(depends[first])} and '{second}' on {', '.join(depends[second])}, so one network cannot give both. "
                f'Write network={{"{first}": ..., "{second}": ...}}, or leave network out.'
            )
        return checked(network, embedding, len(functions), functions)
    return _together(network, functions, depends, coordinates, embedding, t_span)


def _together(
    network: Mapping[Any, Any], functions: Sequence[str], depends: Any, coordinates: Sequence[Any], embedding: Embedding, t_span: Any
) -> Any:
    groups = {(k,) if isinstance(k, str) else tuple(k): m for k, m in network.items()}
    given = [f for g in groups for f in g]
    for name in given:
        if name not in functions:
            raise NameUnknown(f"network= has '{name}', which is no unknown. {nearest(str(name), functions)}")
    for name in functions:
        if given.count(name) != 1:
            each = ", ".join(f"{f!r}: ..." for f in functions)
            raise ModelError(f"network= gives '{name}' {given.count(name)} times. Give each unknown one network: {{{each}}}.")
    modules, inputs = [], []
    for group, module in groups.items():
        own = depends.get(group[0], tuple(c.name for c in coordinates))
        if any(depends.get(f, own) != own for f in group):
            raise ModelError(f"{', '.join(group)} depend on different coordinates: give each a network of its own.")
        modules.append(checked(module, _part(embedding, coordinates, own, t_span), len(group), group))
        whole = len(own) == len(coordinates)
        inputs.append(None if whole else tuple(i for n in own for i in range(*embedding.block(n)[0].indices(embedding.size))))
    return Together(tuple(modules), tuple(inputs), tuple(given.index(f) for f in functions))


def _part(embedding: Embedding, coordinates: Sequence[Any], own: Sequence[str], t_span: Any) -> Embedding:
    return embedding if len(own) == len(coordinates) else embedding_of([c for c in coordinates if c.name in own], t_span)


def _usual(inputs: int, outputs: int, key: Any) -> MLP:
    """A perceptron of the size that the default stages are made for: small in double precision."""
    width, depth = (24, 3) if jax.config.jax_enable_x64 and inputs <= 10 else (64, 4)
    return MLP(inputs, outputs, width, depth, key=key)
