"""How a layer holds its System: the System knows the shapes of the networks, the layer their weights."""

import functools
from typing import Any

import equinox as eqx
import jax
import numpy as np

from ..codegen import CompiledSystem, compile
from ..system import System


def skeleton(module: Any) -> Any:
    """The module with zeros for weights: what a System needs of it, and equal for all that differ in weights only.

    NumPy, so that a layer can be made inside `vmap` or `jit`.
    """
    return jax.tree.map(lambda leaf: np.zeros(leaf.shape, leaf.dtype) if eqx.is_inexact_array(leaf) else leaf, module)


def weights(module: Any) -> Any:
    """What goes into `params={name: ...}`."""
    return eqx.filter(module, eqx.is_inexact_array)


def compiled(system: System, *modules: Any) -> CompiledSystem:
    """The compiled System, shared by all layers that differ in weights only, so that another seed compiles nothing."""
    # The structure as well as the digest: functions in static fields are equal only if they are the same.
    return _compiled(system, tuple(jax.tree.structure(skeleton(m)) for m in modules))


@functools.lru_cache(maxsize=128)
def _compiled(system: System, structures: Any) -> CompiledSystem:
    return compile(system)
