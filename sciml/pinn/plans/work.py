"""How much one evaluation of a network costs, read from its program.

| what                        | counted as                                    |
|-----------------------------|-----------------------------------------------|
| a matrix product            | 2 m n k operations                            |
| tanh, exp, a division ...   | one nonlinear operation for each entry        |
| sums, products with numbers | nothing: they are lost beside the products    |

A method that carries `slots` arrays in place of one, and multiplies `pairs` of them in each nonlinear operation, costs

    slots * products + nonlinear * (12 + 3 * pairs)
"""

from typing import Any, NamedTuple

import equinox as eqx
import jax

from .first_layer import FirstLayer, is_trainable, layer_in_shapes

_NONLINEAR = {"tanh", "exp", "exp2", "log", "log1p", "expm1", "sin", "cos", "tan", "asin", "acos", "atan", "sinh", "cosh", "asinh", "acosh", "atanh"}
_NONLINEAR |= {"logistic", "erf", "erfc", "erf_inv", "sqrt", "rsqrt", "cbrt", "pow", "integer_pow", "square", "div", "max", "min", "abs"}
_NONLINEAR |= {"lgamma", "digamma", "atan2", "select_n"}


class Work(NamedTuple):
    """What one evaluation of a network costs.

    Attributes:
        inputs: how many inputs there are.
        first: operations of the matrix products of a linear first layer, 0 if there is none.
        products: operations of all other matrix products.
        nonlinear: how many numbers go through nonlinear operations.
        layer: a linear first layer, in shapes; None if there is none.
    """

    inputs: int
    first: float
    products: float
    nonlinear: float
    layer: FirstLayer | None

    @property
    def rows(self) -> int:
        """How many rows a linear first layer has."""
        return sum(self.layer.sizes) if self.layer else 0

    def operations(self, slots: float, pairs: float, behind_first: bool = True) -> float:
        """The operations of a method that carries so many arrays; with the first layer in each of them, or in none."""
        return slots * (self.products + (0 if behind_first else self.first)) + self.nonlinear * (12 + 3 * pairs)


def work_of(network: Any, inputs: jax.ShapeDtypeStruct) -> Work:
    """Reads the work of a network from its program; its arrays may be shapes only."""
    arrays, static = eqx.partition(network, is_trainable)
    closed = jax.make_jaxpr(lambda a, s: eqx.combine(a, static)(s))(arrays, inputs)
    products, nonlinear = _count(closed.jaxpr)
    layer = layer_in_shapes(network, inputs)
    first = 2.0 * inputs.size * (sum(layer.sizes) if layer else 0)
    return Work(inputs.size, first, products - first, nonlinear, layer)


def _count(jaxpr: Any) -> tuple[float, float]:
    products = nonlinear = 0.0
    for eqn in jaxpr.eqns:
        name = eqn.primitive.name
        if name == "dot_general":
            (contracted, _), _ = eqn.params["dimension_numbers"]
            left = eqn.invars[0].aval.shape
            depth = 1
            for axis in contracted:
                depth *= left[axis]
            products += 2.0 * eqn.outvars[0].aval.size * depth
        elif name in _NONLINEAR or name.startswith("custom_"):
            nonlinear += sum(v.aval.size for v in eqn.outvars)
        times = eqn.params.get("length", 1) if name == "scan" else 1
        for inner in _inner(eqn.params):
            more, bent = _count(inner)
            products, nonlinear = products + times * more, nonlinear + times * bent
    return products, nonlinear


def _inner(params: dict[str, Any]) -> list[Any]:
    """The programs inside an operation; of the branches of a `cond` the last."""
    found = []
    for value in params.values():
        for item in value[-1:] if isinstance(value, tuple | list) else [value]:
            item = getattr(item, "jaxpr", item)
            if hasattr(item, "eqns"):
                found.append(item)
    return found
