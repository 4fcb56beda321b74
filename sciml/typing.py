"""Aliases that several rooms share."""

from collections.abc import Mapping
from typing import Any

import sympy as sp
from jaxtyping import Array, ArrayLike, Float

Name = str
Params = Mapping[Any, Any]  # name (or symbol) -> number, array or pytree
Time = Float[Array, ""]
State = Float[Array, " states"]
Expression = sp.Expr

__all__ = ["Array", "ArrayLike", "Expression", "Float", "Name", "Params", "State", "Time"]
