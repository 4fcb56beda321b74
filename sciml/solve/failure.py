"""Why and where a solve failed, in the user's names. Called after a failure only, so it may take its time."""

from typing import Any

import numpy as np

from ..errors import SolveError
from ..symbols import declaration_of, distinct_nodes
from .program import Program
from .solution import Solution
from .status import CONTRADICTION, NO_START, NONFINITE, OUTSIDE, SINGULAR, sentence_of

_MAX_STEPS, _TOO_SMALL, _NEWTON = 1, 2, 4
_HUGE = 1e12


def failure(sol: Solution, key: Any) -> SolveError:
    """The error to raise: the solve is repeated, keeping where it stopped."""
    program, code = sol._program, int(sol._tail("status"))
    head = f"System '{sol.system.name}': "
    if code == OUTSIDE:
        return SolveError(head + _starts_outside(sol, program))
    if code in (CONTRADICTION, NO_START, SINGULAR):
        return SolveError(f"{head}{_at_start(sol, program, code)}")
    return SolveError(f"{head}{sentence_of(code)} {_on_the_way(sol, program, code, key)}")


def _on_the_way(sol: Solution, program: Program, code: int, key: Any) -> str:
    """Where it stopped, what was changing there, and the cure."""
    time, y, rates = (np.asarray(v) for v in program.diagnosis(sol._buffer, sol._values, key))
    own = sol.model.differential
    name, worst, error = _culprit(sol, program, y, rates, own)
    value = f"'{name}' = {y[worst]:.4g}"
    rate = f" ({name}' = {rates[worst]:.4g})" if own[worst] else ""
    seen = f"It stopped at t={time:g} with {value}{rate}; the largest local error is in '{name}'."
    if not error:
        seen = f"It stopped at t={time:g}, where {value} changes fastest{rate}."
    held = _held(program, name, worst, y, rates) if program.native else ""
    if held:
        return f"{seen} {held}"
    equation = f"the equation of '{name}'" if own[worst] else f"the algebraic equation that determines '{name}'"
    able = program.choice.row.implicit or program.choice.row.modal or program.choice.name == "auto"
    stiff = "loosen rtol and atol" if able else 'or, if it is stiff, write solver="auto"'
    nonfinite = f"Check {equation} for a division by zero or a root or logarithm of a negative number."
    if abs(y[worst]) > _HUGE:
        nonfinite = f"It grows without bound: shorten t_span to end before t={time:g}, or check {equation}."
    cure = {
        _MAX_STEPS: f"Allow more, sci.solve(..., max_steps={10 * program.options.max_steps}), {stiff}.",
        _TOO_SMALL: f"Shorten t_span to end before t={time:g}, or check {equation}.",
        NONFINITE: nonfinite,
        _NEWTON: 'Try a smaller rtol, or a solver without Newton iterations, solver="rodas5p".',
    }.get(code, "Try another solver.")
    return f"{seen} {cure}"


def _culprit(sol: Solution, program: Program, y: Any, rates: Any, own: Any) -> tuple[str, int, bool]:
    """(name, index, whether it is known from the error estimate): the largest local error, or else the fastest change."""
    error = program.native and program.modal is None and int(sol._tail("rejected")) > 0
    with np.errstate(all="ignore"):
        speed = np.where(np.isfinite(rates) & np.isfinite(y), np.abs(rates) / (np.abs(y) + 1e-12), np.inf)
    worst = int(sol._tail("worst")) if error else int(np.argmax(np.where(own, speed, -1.0)))
    return _named(sol, worst), worst, error


def _named(sol: Solution, index: int) -> str:
    return next(n for n, p in sol.model.layout.states.items() if p.offset <= index < p.end)


# -- bounds ------------------------------------------------------------------------------


def _starts_outside(sol: Solution, program: Program) -> str:
    """Which state starts outside its bounds, and the cure."""
    bounds = program.bounds
    assert bounds is not None
    y = np.asarray(program.start_found(sol._buffer, sol._values)[0])
    outside = (y < bounds[0]) | (y > bounds[1])
    i = int(np.argmax(outside))
    name = _named(sol, i)
    low, high = (None if np.isinf(side[i]) else float(f"{side[i]:g}") for side in bounds)
    cure = f"Start inside, initial={{\"{name}\": ...}}, or widen bounds= of '{name}'."
    return f"'{name}' starts at {y[i]:.6g}, outside its bounds ({low}, {high}). {cure}"


def _held(program: Program, name: str, i: int, y: Any, rates: Any) -> str:
    """What to say where the equation of a state leads out of its bounds."""
    bounds = program.bounds
    if bounds is None or not np.isfinite(y[i]):
        return ""
    for side, low in zip(bounds, (True, False), strict=True):
        if np.isfinite(side[i]) and abs(y[i] - side[i]) <= 1e-6 * max(1.0, abs(side[i])) and (rates[i] < 0) == low:
            return f"It is at its bound {side[i]:g}, and its equation leads out of it: change the equation or bounds= of '{name}'."
    return ""


# -- the start of a differential-algebraic system ------------------------------------------


def _at_start(sol: Solution, program: Program, code: int) -> str:
    """The sentence of the code, the constraint that is violated, by how much and where, and the cure."""
    model, constraints = sol.model, sol.model.constraints
    found, left, relative, square = (np.asarray(v) for v in program.start_found(sol._buffer, sol._values))
    if code == NO_START and (left == 0).all():  # the search could not move, and did not have to
        code = SINGULAR
    if code == SINGULAR:
        return f"{sentence_of(code)} {_undetermined(sol, program, found, square)}"
    row = int(np.argmax(np.where(np.isfinite(relative), relative, np.inf)))
    which = _row_names(program)[row]
    cited, values = constraints.cited[which], _values(sol, constraints.expressions[which], found)
    free = [n for n in model.layout.states if n in model.open_states and n not in program.options.given_initial]
    guess = f"a guess near the solution, {_guessed(free[0])}" if free else "other initial values"
    if not np.isfinite(left[row]):
        cure = "a division by zero or a root or logarithm of a negative number"
        return f"{sentence_of(code)} {cited} is {left[row]:g} with {values}: check it for {cure}, or give {guess}."
    off = f"{sentence_of(code)} {cited} {'are' if ' and ' in cited else 'is'} off by {abs(left[row]):.4g} with {values}"
    if code == NO_START:
        return f"{off}, where the search ended. Give {guess}, or check that there is a solution."
    kept = [declaration_of(u).name for u in constraints.directions[which] if declaration_of(u).name not in free]
    name = kept[0] if kept else _named(sol, 0)
    if name in program.options.given_initial:
        return f"{off}. Leave '{name}' out of initial=: it is then found from the others. Or correct the values."
    at = found[model.layout.states[name].offset]
    return (
        f"{off}. Let '{name}' be found from the others: declare it with guess= in place of initial=, "
        f'sci.variables("{name}", guess={at:.4g}). Or correct the values.'
    )


def _undetermined(sol: Solution, program: Program, found: Any, square: Any) -> str:
    """Which constraints do not determine which unknowns: the null vectors of their derivatives."""
    constraints, names = sol.model.constraints, _row_names(program)
    left, _, right = np.linalg.svd(square)
    which, moved = (list(dict.fromkeys(names[i] for i, v in enumerate(np.abs(null)) if v > 1e-3)) for null in (left[:, -1], right[-1]))
    unknowns = list(dict.fromkeys(declaration_of(u).name for k in moved for u in constraints.directions[k]))
    cited = " and ".join(constraints.cited[k] for k in which)
    values = _values(sol, sum(constraints.expressions[k] for k in which), found)
    changes = f"{'do' if ' and ' in cited else 'does'} not change with {' and '.join(repr(n) for n in unknowns)}"
    open_ones = [n for n in unknowns if n in sol.model.open_states and n not in program.options.given_initial]
    start = _guessed(open_ones[0]) if open_ones else f'initial={{"{unknowns[0]}": ...}}'
    return (
        f"With {values}, {cited} {changes}{', moved together' if len(unknowns) > 1 else ''}. Start elsewhere, {start}. "
        "If it is so at every time, the index is above 1: differentiate the equation by sci.t, or drop it."
    )


def _guessed(name: str) -> str:
    """How a start is given for an unknown; a rate has no declaration of its own."""
    return f'initial={{"{name}": 1.0}}' if name.endswith("'") else f'sci.variables("{name}", guess=1.0)'


def _row_names(program: Program) -> list[int]:
    """For each flat row of the constraints, which constraint it belongs to."""
    states, directions = program.model.layout.states, program.model.constraints.directions
    sizes = [states[declaration_of(next(iter(d))).name].size for d in directions]
    return [i for i, size in enumerate(sizes) for _ in range(size)]


def _values(sol: Solution, expression: Any, y: Any) -> str:
    """`x = 1, z = 0.3`: the unknowns of an expression at a state."""
    states = sol.model.layout.states
    shown = {}
    for node in distinct_nodes(expression):
        d = declaration_of(node)
        if d is not None and d.name in states:
            place = states[d.name]
            piece = y[place.offset : place.end].reshape(place.shape)
            shown[d.name] = f"{d.name} = {piece:.4g}" if not place.shape else f"{d.name} = {np.array2string(piece, precision=4)}"
    return ", ".join(shown[name] for name in sorted(shown)) or f"t = {float(np.asarray(sol._buffer)[0]):g}"


__all__ = ["failure"]
