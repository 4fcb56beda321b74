"""Expressions of the unknowns in placeholders, for `sol[...]`."""

from typing import Any

import sympy as sp

from ...errors import NameUnknown, nearest
from ...symbols import declaration_of, distinct_nodes
from .build import coordinates_of, real_fields
from .form import Operator, Pointwise
from .placeholders import Placeholders
from .reader import Reader


def of(form: Pointwise, expression: Any) -> tuple[sp.Expr, dict[str, Operator]]:
    """An expression of the unknowns, their derivatives and the coordinates, in placeholders.

    Args:
        form: from `pointwise`.
        expression: as a user writes it, `u*u.diff(x)`; or the name of an unknown or of an observed quantity.

    Returns:
        The expression, and the operators that it needs by their keys: those of the form, and new ones.

    Raises:
        NameUnknown: a name or a field that the System does not have.
        CompileError: what has no value at a point.

    >>> import sciml as sci
    >>> from sciml.passes import pointwise, of_point
    >>> x = sci.space("x", 0, 1, periodic=True)
    >>> u = sci.fields("u", sci.t, x)
    >>> form = pointwise(sci.System([sci.eq(u.diff(sci.t), u.diff(x, 2))], initial={u: 0}))
    >>> of_point(form, x*u.diff(x))
    (_u_x*_x, {'u_x': Partial(of='u', orders=(('x', 1),))})
    """
    system = form.system
    if isinstance(expression, str):
        known = {**system.symbols, **system.observed}
        if expression not in known:
            raise NameUnknown(f"System '{system.name}' has no '{expression}'. {nearest(expression, known)}")
        expression = known[expression]
    expression = sp.sympify(expression)
    for n in distinct_nodes(expression):
        d = declaration_of(n)
        if d is not None and d.kind == "field" and d.name not in system.symbols:
            fields = [k for k, s in system.symbols.items() if declaration_of(s).kind == "field"]
            raise NameUnknown(f"System '{system.name}' has no field '{d.name}'. {nearest(d.name, fields)}")
    split = real_fields(system)
    functions = tuple(type(s)(*declaration_of(s).over) for n, s in split.system.symbols.items() if n in form.functions)
    placeholders = Placeholders(form.operators, form.coordinates)
    reader = Reader(split.system, coordinates_of(split.system, functions), form.functions, placeholders, form.ansatz)
    value = reader.read(split.replaced(expression))
    return value, {key: placeholders.operators[key] for key in placeholders.used(value)}
