"""Floor 1: declarations. What a user writes becomes SymPy objects that carry their own declaration."""

from .condition import Undecided
from .declaration import Declaration, content, declaration_of, distinct_nodes, expression_content
from .declare import (
    as_value,
    constants,
    data,
    derivative_unknown,
    fields,
    function,
    neural,
    parameters,
    space,
    t,
    table,
    unknowns_in,
    variables,
    white_noise,
)
from .heads import Applied, Component, Coordinate, Dot, Head, Quantity, dot

__all__ = [
    "Applied",
    "Component",
    "Coordinate",
    "Declaration",
    "Dot",
    "Head",
    "Quantity",
    "Undecided",
    "as_value",
    "constants",
    "content",
    "data",
    "declaration_of",
    "derivative_unknown",
    "distinct_nodes",
    "dot",
    "expression_content",
    "fields",
    "function",
    "neural",
    "parameters",
    "space",
    "t",
    "table",
    "unknowns_in",
    "variables",
    "white_noise",
]
