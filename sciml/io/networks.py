"""Networks of known classes as JSON: how each was made, and its weights. Nothing is imported by name.

| class                    | in the file                                     |
|--------------------------|-------------------------------------------------|
| `eqx.nn.MLP`             | sizes, depth, activations, weights              |
| `eqx.nn.Linear`          | sizes, weights                                  |
| `eqx.nn.Sequential`      | its layers                                      |
| `eqx.nn.Lambda`          | its function, from the table of functions        |
| `eqx.nn.Identity`        | nothing                                         |
| a function of `jax.nn`   | its name in the table of functions               |
"""

import inspect
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from .exact import Unreadable, field, known_array, only, read_array, shown, typed, write_array

_OF_NN = (
    *("celu", "elu", "gelu", "glu", "hard_sigmoid", "hard_silu", "hard_tanh", "leaky_relu", "log_sigmoid", "log_softmax", "mish", "relu"),
    *("relu6", "selu", "sigmoid", "silu", "soft_sign", "softmax", "softplus", "sparse_plus", "sparse_sigmoid", "squareplus", "standardize", "tanh"),
)
_OF_NUMPY = (
    *("abs", "arccos", "arccosh", "arcsin", "arcsinh", "arctan", "arctanh", "cbrt", "ceil", "cos", "cosh", "exp", "exp2", "expm1", "floor"),
    *("log", "log10", "log1p", "log2", "negative", "reciprocal", "sign", "sin", "sinc", "sinh", "sqrt", "square", "tan"),
)


def _functions() -> dict[str, Any]:
    """The functions that a file can name, each under its short name."""
    found = {name: getattr(jnp, name) for name in _OF_NUMPY}
    found.update({name: getattr(jax.nn, name) for name in _OF_NN if hasattr(jax.nn, name)})
    if hasattr(jax.nn, "identity"):
        found["jax.nn.identity"] = jax.nn.identity
    # equinox's own identity has no public name: it is what an MLP ends with unless told otherwise.
    found["identity"] = inspect.signature(eqx.nn.MLP.__init__).parameters["final_activation"].default
    return found


FUNCTIONS: dict[str, Any] = _functions()
_NAME_OF = {id(function): name for name, function in reversed(FUNCTIONS.items())}

_MLP = {"in_size": None, "out_size": None, "width_size": int, "depth": int, "use_bias": bool, "use_final_bias": bool, "scan": bool}
_LINEAR = {"in_features": None, "out_features": None, "use_bias": bool}
_WEIGHTED: dict[str, tuple[Any, dict[str, Any], tuple[str, ...]]] = {
    "MLP": (eqx.nn.MLP, _MLP, ("activation", "final_activation")),
    "Linear": (eqx.nn.Linear, _LINEAR, ()),
}
"""Class, options with their types (None: a size, or "scalar"), and options that are functions."""


class Unwritable(Exception):
    """Why a network cannot be saved."""


# -- writing ------------------------------------------------------------------------


def function_name(function: Any) -> str | None:
    """The name of a function that a file can name, None for any other."""
    return _NAME_OF.get(id(function))


def write_network(module: Any) -> dict[str, Any]:
    """The entry of a network, from which `read_network` makes the same."""
    name = function_name(module)
    if name is not None:
        return {"function": name}
    kind = type(module).__name__
    if type(module) is getattr(eqx.nn, kind, None):
        if kind == "Identity":
            return {"class": kind}
        if kind == "Lambda":
            return {"class": kind, "fn": _function(module.fn, kind)}
        if kind == "Sequential":
            return {"class": kind, "layers": [write_network(layer) for layer in module.layers]}
        if kind in _WEIGHTED:
            return _write_weighted(kind, module)
    if inspect.isfunction(module) or inspect.isbuiltin(module):
        raise Unwritable(f"it is the function {getattr(module, '__qualname__', module)}, which is code")
    raise Unwritable(f"it is of the class {type(module).__module__}.{type(module).__qualname__}, which is code")


def _write_weighted(kind: str, module: Any) -> dict[str, Any]:
    """The options the class was made with and the arrays it holds; the two must describe the whole module."""
    _, options, functions = _WEIGHTED[kind]
    entry: dict[str, Any] = {"class": kind}
    entry.update({name: getattr(module, name) for name in options if name != "scan" or getattr(module, "scan", False)})
    entry.update({name: _function(getattr(module, name), name) for name in functions})
    leaves = [leaf for leaf in jax.tree_util.tree_leaves(module) if function_name(leaf) is None]
    if not all(known_array(leaf) and isinstance(leaf, np.ndarray | jax.Array) for leaf in leaves):
        raise Unwritable("some of its weights are not arrays of numbers")
    entry["arrays"] = [write_array(leaf) for leaf in leaves]
    if not _same_structure(entry, module):
        raise Unwritable(f"its parts do not fit its options: it was changed after eqx.nn.{kind}(...) made it")
    return entry


def _same_structure(entry: dict[str, Any], module: Any) -> bool:
    try:
        again: Any = jax.tree_util.tree_structure(read_network(entry))
    except (Unreadable, TypeError, ValueError):
        return False
    return bool(again == jax.tree_util.tree_structure(module))


def _function(function: Any, where: str) -> str:
    name = function_name(function)
    if name is None:
        raise Unwritable(f"its {where} is {getattr(function, '__qualname__', shown(function))}, which is code")
    return name


# -- reading ------------------------------------------------------------------------


def read_function(name: Any) -> Any:
    """The function that a name stands for in the table."""
    if typed(name, str, "the name of a function") not in FUNCTIONS:
        raise Unreadable(f"the function {shown(name)} is unknown to this version")
    return FUNCTIONS[name]


def read_network(entry: Any) -> Any:
    """The network of an entry."""
    if type(entry) is dict and "function" in entry:
        only(entry, ("function",), "a network")
        return read_function(entry["function"])
    kind = field(entry, "class", str, "a network")
    if kind in _WEIGHTED:
        return _read_weighted(kind, entry)
    allowed = {"Identity": ("class",), "Lambda": ("class", "fn"), "Sequential": ("class", "layers")}
    if kind not in allowed:
        raise Unreadable(f"the network class {shown(kind)} is unknown to this version")
    only(entry, allowed[kind], "a network")
    if kind == "Identity":
        return eqx.nn.Identity()
    if kind == "Lambda":
        return eqx.nn.Lambda(read_function(field(entry, "fn", str, "a Lambda")))
    return eqx.nn.Sequential([read_network(layer) for layer in field(entry, "layers", list, "a Sequential")])


def _read_weighted(kind: str, entry: dict[str, Any]) -> Any:
    """Made from its options as shapes only, then filled: no memory is asked for that the file does not hold."""
    cls, types, functions = _WEIGHTED[kind]
    what = f"the network {kind}"
    only(entry, ("class", "arrays", *types, *functions), what)
    arrays = [read_array(a) for a in field(entry, "arrays", list, what)]
    options = {name: _option(entry, name, expected, what) for name, expected in types.items() if name != "scan" or "scan" in entry}
    chosen = {name: read_function(field(entry, name, str, what)) for name in functions}
    if options.get("depth", 0) > len(arrays) and not options.get("scan", False):
        raise Unreadable(f"{what} has depth {options['depth']} and {len(arrays)} arrays of weights")
    empty = eqx.filter_eval_shape(cls, **options, **chosen, key=jax.random.key(0))
    leaves, tree = jax.tree_util.tree_flatten(empty)
    filled, rest = [], iter(arrays)
    for leaf in leaves:
        filled.append(_fitting(next(rest, None), leaf, what) if isinstance(leaf, jax.ShapeDtypeStruct) else leaf)
    if next(rest, None) is not None:
        raise Unreadable(f"{what} has more weights than its sizes say")
    return jax.tree_util.tree_unflatten(tree, filled)


def _option(entry: dict[str, Any], name: str, expected: Any, what: str) -> Any:
    if expected is None and entry.get(name) == "scalar":
        return "scalar"
    value = field(entry, name, expected or int, what)
    if type(value) is int and not 0 <= value < 2**31:
        raise Unreadable(f"{what} has {name}={value}")
    return value


def _fitting(array: Any, wanted: Any, what: str) -> Any:
    if array is None or array.shape != wanted.shape:
        found = "missing" if array is None else f"of shape {array.shape}"
        raise Unreadable(f"an array of weights of {what} is {found} where {wanted.shape} is needed")
    return array
