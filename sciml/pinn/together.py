"""Several networks as one, for functions of different coordinates: u(t, x) and an unknown k(x).

Each gets the inputs of its own coordinates only; the numbers that they give stand in the order of the functions.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp

from ..errors import ModelError, NameUnknown, nearest
from .embedding import Embedding
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


def network_for(network: Any, functions: Sequence[str], depends: Mapping[str, tuple[str, ...]], embedding: Embedding, key: Any) -> Any:
    """One network for all functions, from what the user gives.

    Args:
        network: a module for all functions, a dict from names (or tuples of names) to modules, or None for small perceptrons.
        functions: their names, in order.
        depends: the coordinates of each.
        embedding: from a point to the inputs.
        key: for weights that are made here.

    Raises:
        ModelError: one network for functions of different coordinates; sizes that do not fit.
        NameUnknown: a name in the dict that is no unknown.
    """
    everything = tuple(b.name for b in embedding.blocks)
    own = {f: depends.get(f, everything) for f in functions}
    groups = {over: tuple(f for f in functions if own[f] == over) for over in own.values()}
    if network is None:
        keys = jax.random.split(key, len(groups))
        made = {names: _usual(_part(embedding, over).size, len(names), k) for (over, names), k in zip(groups.items(), keys, strict=True)}
        network = made if len(groups) > 1 else made[tuple(functions)]
    if isinstance(network, Mapping):
        return _together(network, functions, own, embedding)
    if len(groups) > 1:
        (a, first), (b, second) = ((over, names[0]) for over, names in list(groups.items())[:2])
        raise ModelError(
            f"'{first}' depends on {', '.join(a)} and '{second}' on {', '.join(b)}, so one network cannot give both. "
            f'Write network={{"{first}": ..., "{second}": ...}}, or leave network out.'
        )
    return checked(network, embedding, len(functions), functions)


def _together(network: Mapping[Any, Any], functions: Sequence[str], own: Mapping[str, tuple[str, ...]], embedding: Embedding) -> Together:
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
        over = own[group[0]]
        if any(own[f] != over for f in group):
            raise ModelError(f"{', '.join(group)} depend on different coordinates: give each a network of its own.")
        modules.append(checked(module, _part(embedding, over), len(group), group))
        rows = tuple(i for n in over for i in range(*embedding.block(n)[0].indices(embedding.size)))
        inputs.append(None if len(over) == len(embedding.blocks) else rows)
    return Together(tuple(modules), tuple(inputs), tuple(given.index(f) for f in functions))


def _part(embedding: Embedding, over: Sequence[str]) -> Embedding:
    """The inputs of some coordinates: their number and their names."""
    return Embedding(tuple(b for b in embedding.blocks if b.name in over))


def _usual(inputs: int, outputs: int, key: Any) -> MLP:
    """A perceptron of the size that the default stages are made for: small in double precision."""
    width, depth = (32, 2) if inputs > 10 else (24, 3) if jnp.result_type(float) == jnp.float64 else (64, 4)
    return MLP(inputs, outputs, width, depth, key=key)
