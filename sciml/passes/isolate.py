"""Every equation solved for what it determines: x' = ..., v = ...

What an equation determines is a first derivative (for unknowns that have one) or an algebraic unknown. The
equations are matched with these, ordered into blocks that can be computed one after the other (the strongly
connected components of who needs whom, Tarjan 1972), and each block, if it is not solved already, is solved
as a linear system. Unknowns without a derivative leave the equations and stay as definitions.
"""

import sympy as sp
from sympy.solvers.solveset import NonlinearError

from ..errors import CompileError
from ..symbols import Applied, declaration_of, derivative_unknown, distinct_nodes, t
from ..system import Equation, System, balanced, highest_orders, name_of, text
from .constraints import refuse_loose_rates, refuse_noise

_LARGEST_SYMBOLIC_BLOCK = 8


def isolate(system: System) -> System:
    """Explicit equations `x' = ...` for differential unknowns, definitions in dependency order for the others."""
    if _explicit(system):
        return system
    orders = highest_orders(system.equations)
    matching = balanced(system)
    targets = {u: u.diff(t) if orders[u] else u for u in matching.unknowns}
    owner = {matching.unknowns[u]: e for e, u in enumerate(matching.of_equation) if u is not None}
    needs = {u: [v for v in matching.unknowns if v is not u and _holds(system.equations[owner[u]], targets[v])] for u in matching.unknowns}
    solved: dict[Applied, sp.Expr] = {}
    implicit: list[Equation] = []
    for block in _blocks(needs):
        found, rows = _solve_block(system, [system.equations[owner[u]] for u in block], [targets[u] for u in block], block)
        solved.update(found)
        implicit += rows
    rates: dict[Applied, sp.Expr] = {}
    definitions: dict[Applied, sp.Expr] = {}
    for u, expression in solved.items():
        (rates if orders[u] else definitions)[u] = expression
    _initial_of_defined(system, definitions)
    place = {u: i for i, u in enumerate(owner)}
    equations = tuple(Equation(u.diff(t), rates[u], system.equations[owner[u]].where) for u in sorted(rates, key=place.__getitem__))
    isolated = system.derive(equations=(*equations, *implicit), eliminated={**definitions, **system.eliminated})
    isolated = _without_inner_rates(isolated, rates)
    if implicit:
        refuse_noise(isolated)
        refuse_loose_rates(isolated)
    return isolated


def _explicit(system: System) -> bool:
    """Already one equation `x' = f` for each unknown, with no derivative on a right side."""
    lefts = []
    for e in system.equations:
        if e.of is not None:
            lefts.append(e.of)
            continue
        if not (isinstance(e.lhs, sp.Derivative) and isinstance(e.lhs.expr, Applied)) or e.rhs.has(sp.Derivative):
            return False
        lefts.append(e.lhs.expr)
    return len(set(lefts)) == len(lefts) and set(lefts) == set(highest_orders(system.equations)) - set(system.eliminated)


def _holds(e: Equation, target: sp.Expr) -> bool:
    return e.lhs.has(target) or e.rhs.has(target)


def _blocks(needs: dict[Applied, list[Applied]]) -> list[list[Applied]]:
    """Strongly connected components, each after all that it needs (SymPy's Tarjan)."""
    edges = [(u, v) for u, vs in needs.items() for v in vs]
    return sp.utilities.iterables.strongly_connected_components((list(needs), edges))


Solved = tuple[dict[Applied, sp.Expr], list[Equation]]


def _solve_block(system: System, equations: list[Equation], targets: list[sp.Expr], unknowns: list[Applied]) -> Solved:
    """(unknown -> its rate or value, rows that stay implicit)."""
    if len(equations) == 1 and equations[0].lhs == targets[0] and not equations[0].rhs.has(targets[0]):
        return {unknowns[0]: equations[0].rhs}, []
    if any(declaration_of(u).shape for u in unknowns) and len(unknowns) > 1:
        names = ", ".join(name_of(u) for u in unknowns)
        raise CompileError(
            f"The equations of {names} depend on each other's highest derivatives, and one of them is an array. Solve them for x' by hand."
        )
    stand_ins = [sp.Dummy(real=True) for _ in targets]
    residuals = [e.residual.xreplace(dict(zip(targets, stand_ins, strict=True))) for e in equations]
    try:
        matrix, right = sp.linear_eq_to_matrix(residuals, stand_ins)
    except NonlinearError:
        return _left_implicit(system, equations, targets, unknowns)
    if len(targets) <= _LARGEST_SYMBOLIC_BLOCK and matrix.det().expand() != 0:
        solution = matrix.LUsolve(right) if len(targets) > 1 else right / matrix[0, 0]
        return {u: sp.together(s) if len(targets) > 1 else s for u, s in zip(unknowns, solution, strict=True)}, []
    rates = all(isinstance(target, sp.Derivative) for target in targets)
    if rates and not any(declaration_of(n) is not None and isinstance(n, Applied) for entry in matrix for n in distinct_nodes(entry)):
        lefts = matrix * sp.Matrix(targets)
        return {}, [Equation(left, r, e.where, u) for left, r, e, u in zip(lefts, right, equations, unknowns, strict=True)]
    if len(targets) <= _LARGEST_SYMBOLIC_BLOCK:
        raise _singular(system, equations, unknowns)
    return _left_implicit(system, equations, targets, unknowns)


def _left_implicit(system: System, equations: list[Equation], targets: list[sp.Expr], unknowns: list[Applied]) -> Solved:
    """Rows 0 = g; a derivative among the targets becomes an unknown x' of its own, with the row x' = x'."""
    rates: dict[Applied, sp.Expr] = {}
    new: dict[sp.Basic, Applied] = {}
    for target, u in zip(targets, unknowns, strict=True):
        if isinstance(target, sp.Derivative):
            new[target] = rates[u] = derivative_unknown(u, system.units.get("t"))
    own = [new.get(target, target) for target in targets]
    return rates, [Equation(sp.S.Zero, e.residual.xreplace(new), e.where, v) for e, v in zip(equations, own, strict=True)]


def _singular(system: System, equations: list[Equation], unknowns: list[Applied]) -> CompileError:
    rows = "\n".join(f"  {e.cited}" for e in equations)
    names = ", ".join(name_of(u) for u in unknowns)
    return CompileError(
        f"These equations of System '{system.name}' do not determine {names}: they constrain the unknowns instead of their rates "
        f"(a differential-algebraic system of higher index), or repeat each other:\n{rows}\n"
        "Differentiate the constraint by hand, or drop the repeated equation."
    )


def _initial_of_defined(system: System, definitions: dict[Applied, sp.Expr]) -> None:
    for u, definition in definitions.items():
        d = declaration_of(u)
        if d.value is not None or d.name in system.initial:
            raise CompileError(
                f"'{d.name}' is defined by `{d.name} = {text(definition)}`, so its initial value follows from it. "
                f"Remove initial= of '{d.name}' (guess= is allowed)."
            )


def _without_inner_rates(system: System, rates: dict[Applied, sp.Expr]) -> System:
    """A rate that stands on a right side (v = 2*x') is replaced by what it equals."""
    known = {u.diff(t): r for u, r in rates.items()}

    def settle(side: sp.Expr) -> sp.Expr:
        while side.has(sp.Derivative) and any(d in known for d in side.atoms(sp.Derivative)):
            side = side.xreplace(known)
        return side

    return system.derive(
        equations=tuple(Equation(e.lhs, settle(e.rhs), e.where, e.of) for e in system.equations),
        eliminated={u: settle(v) for u, v in system.eliminated.items()},
    )
