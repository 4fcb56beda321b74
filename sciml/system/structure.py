"""Which equation determines which unknown: incidence, matching, and the blocks that do not fit.

The unknown counts at its highest derivative: in x' = a*x the equation is incident to x' and not to x.
A maximum matching pairs equations with unknowns; what alternating paths reach from an unpaired equation is
the block with too many equations, from an unpaired unknown the block with too few (Dulmage and Mendelsohn 1958).
"""

import dataclasses

import sympy as sp

from ..symbols import Applied, declaration_of
from .equation import Equation


def highest_orders(equations: tuple[Equation, ...]) -> dict[Applied, int]:
    """Each unknown of time with the order of its highest time derivative, in order of appearance."""
    orders: dict[Applied, int] = {}
    for unknown, order in (pair for e in equations for side in (e.lhs, e.rhs) for pair in occurrences(side)):
        orders[unknown] = max(order, orders.get(unknown, 0))
    return orders


def occurrences(expression: sp.Basic) -> list[tuple[Applied, int]]:
    """(unknown, order of time derivative) for each place an unknown stands, without repeats."""
    found: dict[tuple[Applied, int], None] = {}
    seen: set[sp.Basic] = set()
    stack = [expression]
    while stack:
        node = stack.pop()
        if node in seen:
            continue
        seen.add(node)
        d = declaration_of(node)
        if d is not None and d.kind == "unknown":
            if not d.discrete:
                found.setdefault((node, 0))
        elif isinstance(node, sp.Derivative) and declaration_of(node.expr) is not None:
            if declaration_of(node.expr).kind == "unknown":
                found.setdefault((node.expr, int(node.derivative_count)))
            else:
                stack.append(node.expr)
        else:
            stack.extend(reversed(node.args))
    return list(found)


@dataclasses.dataclass(frozen=True)
class Matching:
    """`of_equation[i]` is the unknown that equation i determines, or None; `unmatched` unknowns have no equation."""

    unknowns: tuple[Applied, ...]
    incidence: tuple[tuple[int, ...], ...]  # equation -> indices of unknowns
    of_equation: tuple[int | None, ...]

    @property
    def extra_equations(self) -> list[int]:
        return [i for i, u in enumerate(self.of_equation) if u is None]

    @property
    def unmatched(self) -> list[int]:
        taken = set(self.of_equation)
        return [u for u in range(len(self.unknowns)) if u not in taken]

    def block_of_extra(self) -> tuple[list[int], list[int]]:
        """(equations, unknowns) of the block that has too many equations."""
        owner = {u: e for e, u in enumerate(self.of_equation) if u is not None}
        equations, unknowns, stack = dict.fromkeys(self.extra_equations), dict[int, None](), list(self.extra_equations)
        while stack:
            for u in self.incidence[stack.pop()]:
                unknowns.setdefault(u)
                if u in owner and owner[u] not in equations:
                    equations[owner[u]] = None
                    stack.append(owner[u])
        return sorted(equations), sorted(unknowns)

    def block_of_missing(self) -> tuple[list[int], list[int]]:
        """(equations, unknowns) of the block that has too few equations."""
        unknowns, equations, stack = dict.fromkeys(self.unmatched), dict[int, None](), list(self.unmatched)
        while stack:
            wanted = stack.pop()
            for e, row in enumerate(self.incidence):
                own = self.of_equation[e]
                if wanted in row and e not in equations and own is not None:
                    equations[e] = None
                    if own not in unknowns:
                        unknowns[own] = None
                        stack.append(own)
        return sorted(equations), sorted(unknowns)


@dataclasses.dataclass(frozen=True)
class Aliases:
    """Unknowns that are equal up to sign: `kept[u] = (v, sign)` means u = sign*v. `rest` are the other equations."""

    kept: dict[Applied, tuple[Applied, int]]
    rest: tuple[Equation, ...]


def find_aliases(equations: tuple[Equation, ...]) -> Aliases:
    """Reads `a = b` and `a = -b`. The unknown met first in the equations is the one that stays."""
    parent: dict[Applied, tuple[Applied, int]] = {}

    def root(u: Applied) -> tuple[Applied, int]:
        sign = 1
        while u in parent:
            u, s = parent[u]
            sign *= s
        return u, sign

    rank = {u: i for i, u in enumerate(highest_orders(equations))}
    rest = []
    for e in equations:
        pair = _alias(e)
        if pair is None:
            rest.append(e)
            continue
        (a, sign_a), (b, sign_b) = root(pair[0]), root(pair[1])
        if a == b:  # says nothing new, or contradicts: the balance will tell
            rest.append(e)
            continue
        keep, drop = (a, b) if rank[a] <= rank[b] else (b, a)
        parent[drop] = (keep, pair[2] * sign_a * sign_b)
    return Aliases({u: root(u) for u in parent}, tuple(rest))


def _alias(e: Equation) -> tuple[Applied, Applied, int] | None:
    residual = e.residual
    terms = residual.args if isinstance(residual, sp.Add) and len(residual.args) == 2 else ()
    found = []
    for term in terms:
        coefficient, of = term.as_coeff_Mul()
        d = declaration_of(of)
        if d is None or d.kind != "unknown" or d.discrete or abs(coefficient) != 1:
            return None
        found.append((of, int(coefficient)))
    if len(found) != 2 or declaration_of(found[0][0]).shape != declaration_of(found[1][0]).shape:
        return None
    return found[0][0], found[1][0], -found[0][1] * found[1][1]


def match(equations: tuple[Equation, ...], orders: dict[Applied, int]) -> Matching:
    """A maximum matching by augmenting paths; an equation written `x' = ...` takes its own x first."""
    unknowns = tuple(orders)
    index = {u: i for i, u in enumerate(unknowns)}
    incidence = []
    for e in equations:
        pairs = dict.fromkeys([*occurrences(e.lhs), *occurrences(e.rhs)])
        incidence.append(tuple(index[u] for u, order in pairs if order == orders.get(u)))
    owner: dict[int, int] = {}

    def augment(start: int) -> bool:
        """Depth-first search for an augmenting path, with its own stack: chains may be long."""
        visited: set[int] = set()
        path = [(start, iter(incidence[start]))]
        trail: list[tuple[int, int]] = []
        while path:
            e, options = path[-1]
            for u in options:
                if u in visited:
                    continue
                visited.add(u)
                trail.append((e, u))
                if u not in owner:
                    for equation, unknown in trail:
                        owner[unknown] = equation
                    return True
                path.append((owner[u], iter(incidence[owner[u]])))
                break
            else:
                path.pop()
                if trail:
                    trail.pop()
        return False

    for i in range(len(equations)):
        augment(i)
    of_equation: list[int | None] = [None] * len(equations)
    for u, i in owner.items():
        of_equation[i] = u
    return Matching(unknowns, tuple(incidence), tuple(of_equation))
