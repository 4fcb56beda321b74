"""Expressions of the unknowns of a trained network, as functions of JAX at many points.

| part of an expression           | how it is computed                                                                |
|---------------------------------|-----------------------------------------------------------------------------------|
| `u`, `u.diff(x)`, `k*u**2`      | at the point: derivatives by an exact plan, the rest as in residuals              |
| `at(f, x, 0.3)`, `u(t, 1 - x)`  | f at the point with that coordinate moved                                         |
| `integral(f, x)`, also `to=x`   | sum of w_q f(x_q): Gauss and Legendre's points on equal panels of the interval    |
| a complex field                 | real and imaginary part, each a real expression                                   |
"""

import dataclasses
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import sympy as sp

from ..codegen import Here
from ..errors import CompileError
from ..passes import of_point, placeholder
from ..symbols import Applied, At, Coordinate, declaration_of, distinct_nodes
from .plan import Plan, plan
from .problem import Problem

_GAUSS = 8  # points on a panel
_PANELS = {1: 16, 2: 8}  # of an interval, by how many integrals stand in one another
_Elsewhere = tuple[sp.Expr, dict[Coordinate, sp.Expr]]


@dataclasses.dataclass(frozen=True, eq=False)
class Values:
    """A quantity: from what is trained and points (n, size) to one value at each, (n,)."""

    call: Callable[[Any, Any], Any]
    complex: bool

    def __call__(self, z: Any, points: Any) -> Any:
        return self.call(z, points)


def values_of(problem: Problem, expression: sp.Expr) -> Values:
    """The values of an expression of the declared symbols.

    Args:
        problem: whose network gives the unknowns.
        expression: of unknowns, their derivatives, values elsewhere, integrals, parameters and coordinates.

    Raises:
        NameUnknown: a field that the System does not have.
        CompileError: what has no value at a point.
    """
    sources: dict[str, Callable[[Any, Any], Any]] = {}
    stand_in: dict[sp.Basic, sp.Expr] = {}
    for node in _outermost(expression, problem):
        stand_in[node] = _known(f"elsewhere {len(stand_in)}", _of_other_points(problem, node), sources)
    found, operators = of_point(problem.form, expression.xreplace(stand_in))
    return at_points(problem, found, operators, sources)


def at_points(problem: Problem, found: sp.Expr, operators: Mapping[str, Any], sources: Mapping[str, Any] | None = None) -> Values:
    """The values of an expression in placeholders.

    Args:
        problem: whose network gives the operators.
        found: in placeholders.
        operators: by key.
        sources: further placeholders by name.
    """
    parts = tuple(part.expand() for part in found.as_real_imag()) if found.has(sp.I) else (found,)
    parts = parts[:1] if parts[-1] == 0 else parts
    made, lowered = _exact(problem, operators), problem.lowered

    def values(z: Any, points: Any) -> Any:
        numbers, functions = problem.everywhere(z, points.dtype)
        module = problem.module(z)

        def one(point: Any, given: Any) -> list[Any]:
            here = Here(point, {}, numbers, functions, problem.span, given=given)
            known = made.evaluate(module, point, lowered.weights_of(operators, here), None)
            return lowered.evaluate(list(parts), here._replace(operators=known))

        given = {name: source(z, points) for name, source in (sources or {}).items()}
        both = jax.vmap(one)(points, given)
        return jax.lax.complex(*both) if len(both) > 1 else both[0]

    return Values(values, len(parts) > 1)


def coordinates_in(expression: sp.Basic, problem: Problem) -> set[str]:
    """Names of the coordinates that an expression depends on."""
    if isinstance(expression, Coordinate):
        return {expression.name}
    if isinstance(expression, sp.Integral):
        found = coordinates_in(expression.function, problem)
        for c, *ends in expression.limits:
            found = (found - {c.name}) | {n for e in ends for n in coordinates_in(e, problem)}
        return found
    elsewhere = _elsewhere(expression, problem)
    if elsewhere is not None:
        inner, moved = elsewhere
        left = coordinates_in(inner, problem) - {c.name for c in moved}
        return left | {n for e in moved.values() for n in coordinates_in(e, problem)}
    return {n for a in expression.args for n in coordinates_in(a, problem)}


def _exact(problem: Problem, operators: Mapping[str, Any]) -> Plan:
    """A plan without estimates, whatever it costs."""
    form, module = problem.form, problem.module({"network": problem.arrays})
    given = (operators, form.functions, module, problem.embedding, form.layout, form.coordinates)
    made = plan(*given)
    return plan(*given, derivatives="directions") if made.stochastic else made


# -- values elsewhere -------------------------------------------------------------------------------


def _outermost(e: sp.Basic, problem: Problem) -> Iterator[sp.Basic]:
    """The parts that need the network at other points and lie in no other such part."""
    if isinstance(e, sp.Integral) or _elsewhere(e, problem) is not None:
        yield e
        return
    for a in e.args:
        yield from _outermost(a, problem)


def _elsewhere(e: sp.Basic, problem: Problem) -> _Elsewhere | None:
    """What is taken at another point, and where: at(f, x, 0.3), u(t, 0.3), a derivative of it, or Subs(f, x, 0.3)."""
    if isinstance(e, At):
        return e.args[0], {e.args[1]: e.args[2]}
    if isinstance(e, sp.Subs):
        names = dict(zip(e.variables, (_coordinate(v, e.expr) for v in e.variables), strict=True))
        return e.expr.xreplace(names), dict(zip(names.values(), e.point, strict=True))
    of = e.expr if isinstance(e, sp.Derivative) else e
    d = declaration_of(of)
    if not isinstance(of, Applied) or not (d.kind == "field" or d.name in problem.form.functions) or tuple(of.args) == tuple(d.over):
        return None
    moved = {own: given for own, given in zip(d.over, of.args, strict=True) if own != given}
    if isinstance(e, sp.Derivative) and any(not isinstance(v, Coordinate) for v in e.variables):
        return None  # inside Subs, which says where
    whole = type(of)(*d.over)
    return (whole.diff(*e.variable_count) if isinstance(e, sp.Derivative) else whole), moved


def _coordinate(variable: sp.Symbol, e: sp.Expr) -> Coordinate:
    """The coordinate in whose place a variable of Subs stands."""
    if isinstance(variable, Coordinate):
        return variable
    for n in distinct_nodes(e):
        if isinstance(n, Applied) and variable in n.args and declaration_of(n).over:
            return declaration_of(n).over[n.args.index(variable)]
    raise CompileError(f"`{e}` holds {variable}, which is no coordinate. Write the derivative out.")


def _known(name: str, source: Values, sources: dict[str, Callable[[Any, Any], Any]]) -> sp.Expr:
    """The placeholder of values that are computed beforehand; two for complex ones."""
    if not source.complex:
        sources[name] = source
        return placeholder(name)
    sources[f"re {name}"] = lambda z, points: jnp.real(source(z, points))
    sources[f"im {name}"] = lambda z, points: jnp.imag(source(z, points))
    return placeholder(f"re {name}") + sp.I * placeholder(f"im {name}")


def _of_other_points(problem: Problem, node: Any) -> Values:
    if isinstance(node, sp.Integral):
        return _integral(problem, node)
    inner, moved = _elsewhere(node, problem)  # type: ignore[misc]
    of, places = values_of(problem, inner), {c: values_of(problem, sp.sympify(e)) for c, e in moved.items()}

    def values(z: Any, points: Any) -> Any:
        there = points
        for c, place in places.items():
            there = there.at[:, problem.form.layout[c.name].start].set(place(z, points))
        return of(z, there)

    return Values(values, of.complex)


def _integral(problem: Problem, node: sp.Integral) -> Values:
    *within, last = node.limits
    if len(last) != 3 or not isinstance(last[0], Coordinate):
        raise CompileError(f"`{node}`: integrals run over a coordinate, sci.integral(u, x) or sci.integral(u, x, to=x).")
    of = values_of(problem, sp.Integral(node.function, *within) if within else node.function)
    low, high = (values_of(problem, end) for end in last[1:])
    place = problem.form.layout[last[0].name].start
    nodes, weights = _quadrature(_depth(node))

    def values(z: Any, points: Any) -> Any:
        start, end = low(z, points), high(z, points)

        def at(node: Any) -> Any:
            return of(z, points.at[:, place].set(start + (end - start) * node))

        found = jax.lax.map(at, jnp.asarray(nodes, points.dtype))
        return (end - start) * jnp.tensordot(jnp.asarray(weights, found.dtype), found, 1)

    return Values(values, of.complex)


def _depth(e: sp.Basic) -> int:
    """How many integrals stand in one another."""
    own = len(e.limits) if isinstance(e, sp.Integral) else 0
    return own + max((_depth(a) for a in e.args), default=0)


def _quadrature(depth: int) -> tuple[np.ndarray, np.ndarray]:
    """Points and weights on [0, 1]: Gauss and Legendre's on equal panels."""
    panels = _PANELS.get(depth, 3)
    nodes, weights = np.polynomial.legendre.leggauss(_GAUSS)
    starts = np.arange(panels)[:, None]
    return ((starts + (nodes + 1) / 2) / panels).reshape(-1), np.tile(weights / (2 * panels), panels)
