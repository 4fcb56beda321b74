"""What a differential-algebraic System keeps to at every time: its constraints, and the directions that they fix.

The rows of an isolated System are M y' = f(t, y) with

    x' = f              an unknown with a rate of its own
    0 = g               an algebraic row: g is a constraint, its unknown the direction that it fixes
    c1 x' + c2 y' = f   rows whose constant matrix may be singular: with N M = 0 and M K = 0, N f is a constraint
                        and the columns of K are the directions that M does not see

The index is 1 where the constraints determine the directions: d(constraints)/dy K regular (Hairer and Wanner II, VI.1).
"""

import dataclasses

import sympy as sp

from ..errors import CompileError
from ..symbols import Applied, declaration_of, distinct_nodes
from ..system import Equation, System, name_of, text


@dataclasses.dataclass(frozen=True)
class Constraints:
    """`expressions[i]` is zero at every time; `directions[i]` has a coefficient for each unknown that it may move."""

    expressions: tuple[sp.Expr, ...]
    directions: tuple[dict[Applied, sp.Expr], ...]
    cited: tuple[str, ...]


NONE = Constraints((), (), ())


def determined(e: Equation) -> Applied:
    """The unknown that a row of an isolated System determines."""
    return e.lhs.expr if e.of is None else e.of


def mass_rows(system: System) -> list[dict[Applied, sp.Expr]]:
    """For each row, the coefficients of the derivatives on its left side."""
    return [{d.expr: sp.expand(e.lhs).coeff(d) for d in sorted(e.lhs.atoms(sp.Derivative), key=str)} for e in system.equations]


def constraint_form(system: System) -> Constraints:
    """The constraints of an isolated System; `NONE` for ordinary differential equations."""
    if all(e.of is None for e in system.equations):
        return NONE
    expressions, directions, cited = list[sp.Expr](), list[dict[Applied, sp.Expr]](), list[str]()
    rows = mass_rows(system)
    for e in system.equations:
        if e.of is not None and e.lhs == 0:
            expressions.append(e.rhs)
            directions.append({e.of: sp.S.One})
            cited.append(e.cited)
    for block in _coupled(system, rows):
        unknowns = list(dict.fromkeys(u for i in block for u in rows[i]))
        matrix = sp.Matrix([[rows[i].get(u, 0) for u in unknowns] for i in block])
        for left in matrix.T.nullspace():
            expressions.append(sum(left[k] * system.equations[i].rhs for k, i in enumerate(block)))
            cited.append(" and ".join(system.equations[i].cited for k, i in enumerate(block) if left[k] != 0))
        directions += [{u: c for u, c in zip(unknowns, right, strict=True) if c != 0} for right in matrix.nullspace()]
    found = Constraints(tuple(expressions), tuple(directions), tuple(cited))
    _refuse_higher_index(system, found)
    return found


def _coupled(system: System, rows: list[dict[Applied, sp.Expr]]) -> list[list[int]]:
    """The rows that share derivatives, block by block."""
    blocks: list[list[int]] = []
    for i, e in enumerate(system.equations):
        if e.of is None or e.lhs == 0:
            continue
        joined = [b for b in blocks if any(rows[i].keys() & rows[j].keys() for j in b)]
        blocks = [b for b in blocks if b not in joined] + [sorted([i, *(j for b in joined for j in b)])]
    return blocks


def _refuse_higher_index(system: System, found: Constraints) -> None:
    """On the structure: every constraint needs a direction of its own that changes it."""
    moves = [{k for k, d in enumerate(found.directions) if any(_holds(system, e, u) for u in d)} for e in found.expressions]
    taken: dict[int, int] = {}

    def place(i: int, seen: set[int]) -> bool:
        for k in sorted(moves[i]):
            if k not in seen:
                seen.add(k)
                if k not in taken or place(taken[k], seen):
                    taken[k] = i
                    return True
        return False

    for i, cited in enumerate(found.cited):
        if not place(i, set()):
            names = ", ".join(dict.fromkeys(name_of(u) for d in found.directions for u in d))
            constrain, it, one = ("constrain", "them", "one") if " and " in cited else ("constrains", "it", "it")
            raise CompileError(
                f"{cited} {constrain} unknowns whose rates other equations determine: with {it}, System '{system.name}' has an index "
                f"above 1, and {names} cannot be found from {it}. Differentiate {it} by sci.t, or drop {one}."
            )


def _holds(system: System, expression: sp.Expr, unknown: Applied) -> bool:
    for node in distinct_nodes(expression):
        if node == unknown or (node in system.eliminated and _holds(system, system.eliminated[node], unknown)):
            return True
    return False


def refuse_noise(system: System) -> None:
    """White noise with constraints: no solver here converges for it."""
    for e in system.equations:
        if e.of is not None and any(getattr(declaration_of(n), "kind", "") == "noise" for x in system.equations for n in distinct_nodes(x.rhs)):
            raise CompileError(
                f"{e.cited} is implicit, and System '{system.name}' has white noise: stochastic differential-algebraic equations cannot be "
                f"solved. Write the equation as {name_of(e.of)} = ..., solved by hand."
            )


def refuse_loose_rates(system: System) -> None:
    """A rate on a right side, or in a definition, that no row gives explicitly."""
    lines = [(e.cited, e.rhs) for e in system.equations] + [(f"`{text(u)} = {text(e)}`", e) for u, e in system.eliminated.items()]
    for cited, right in lines:
        for d in sorted(right.atoms(sp.Derivative), key=str):
            raise CompileError(
                f"{cited} holds {text(d)}, which other equations give only implicitly, together with the rates of other unknowns. "
                f"Put what {text(d)} equals in its place, solved by hand; or leave it out here, and differentiate the solution afterwards: "
                f"sol = sci.solve(..., dense=True), then jax.vmap(jax.grad(lambda s: sol(s)[{name_of(d.expr)}]))(sol.t)."
            )


__all__ = ["NONE", "Constraints", "constraint_form", "determined", "mass_rows", "refuse_loose_rates", "refuse_noise"]
