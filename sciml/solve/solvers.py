"""Solvers by name, and the rule behind solver="auto".

| noise       | auto       | strong order | why                                                         |
|-------------|------------|--------------|-------------------------------------------------------------|
| none        | tsit5 and rodas5p | 5     | whichever the stiffness at hand asks for (see `engine`)     |
| none        | etdrk4     | 4            | where the linear part is diagonal in modes and stiff: exact there |
| additive    | shark      | 1.5          | the highest order there is for additive noise               |
| diagonal    | slow_rk    | 1.5          | order 1.5 for commutative noise, in Stratonovich form        |
| commutative | slow_rk    | 1.5          | the same                                                    |
| general     | spark      | 0.5          | no higher order without iterated integrals of the noise     |

A System in Ito form is rewritten for a Stratonovich solver, and the other way round. ShARK, SlowRK and SPaRK
are from Foster, dos Reis and Strange, High order splitting methods for SDEs (2023).
"""

import dataclasses
from typing import Any

import diffrax as dfx

from ..errors import SolveError, nearest
from .exponential import ETD4
from .exponential_diffrax import ETDRK4
from .methods import RODAS5P, ROSENBROCK23, TSIT5
from .rosenbrock import Rodas5P, Rosenbrock23

ANY = ("additive", "diagonal", "commutative", "general")
COMMUTATIVE = ("additive", "diagonal", "commutative")
ADDITIVE = ("additive",)


@dataclasses.dataclass(frozen=True)
class SolverRow:
    """A diffrax solver and what it is good for.

    `noise` are the kinds of noise for which it converges to the right process; `stages` counts evaluations of the
    rates per step (None where Newton iterations make it vary).
    """

    make: Any
    noise: tuple[str, ...] = ()
    calculus: str = "stratonovich"
    adaptive: bool = True
    implicit: bool = False
    stages: int | None = None
    levy_area: Any = None
    native: tuple[Any, Any] | None = None  # (explicit, Rosenbrock) methods of the engine
    modal: bool = False  # runs in modes, for a System whose linear part is diagonal there


_ST = dfx.SpaceTimeLevyArea
SOLVERS: dict[str, SolverRow] = {
    "auto": SolverRow(dfx.Tsit5, stages=6, native=(TSIT5, RODAS5P)),
    "tsit5": SolverRow(dfx.Tsit5, stages=6, native=(TSIT5, None)),
    "rodas5p": SolverRow(Rodas5P, implicit=True, native=(None, RODAS5P)),
    "rosenbrock23": SolverRow(Rosenbrock23, implicit=True, native=(None, ROSENBROCK23)),
    "etdrk4": SolverRow(None, stages=4, native=(ETD4, None), modal=True),
    "dopri5": SolverRow(dfx.Dopri5, stages=6),
    "dopri8": SolverRow(dfx.Dopri8, stages=13),
    "bosh3": SolverRow(dfx.Bosh3, stages=3),
    "kvaerno3": SolverRow(dfx.Kvaerno3, implicit=True),
    "kvaerno4": SolverRow(dfx.Kvaerno4, implicit=True),
    "kvaerno5": SolverRow(dfx.Kvaerno5, implicit=True),
    "implicit_euler": SolverRow(dfx.ImplicitEuler, implicit=True),
    "euler": SolverRow(dfx.Euler, ANY, "ito", adaptive=False, stages=1),
    "heun": SolverRow(dfx.Heun, ANY, stages=2),
    "midpoint": SolverRow(dfx.Midpoint, ANY, stages=2),
    "ralston": SolverRow(dfx.Ralston, ANY, stages=2),
    "reversible_heun": SolverRow(dfx.ReversibleHeun, ANY, stages=1),
    "euler_heun": SolverRow(dfx.EulerHeun, ANY, adaptive=False, stages=1),
    "ito_milstein": SolverRow(dfx.ItoMilstein, COMMUTATIVE, "ito", adaptive=False, stages=1),
    "stratonovich_milstein": SolverRow(dfx.StratonovichMilstein, COMMUTATIVE, adaptive=False, stages=1),
    "sea": SolverRow(dfx.SEA, ADDITIVE, adaptive=False, stages=1, levy_area=_ST),
    "sra1": SolverRow(dfx.SRA1, ADDITIVE, adaptive=False, stages=2, levy_area=_ST),
    "shark": SolverRow(dfx.ShARK, ADDITIVE, adaptive=False, stages=2, levy_area=_ST),
    "general_shark": SolverRow(dfx.GeneralShARK, ANY, adaptive=False, stages=2, levy_area=_ST),
    "slow_rk": SolverRow(dfx.SlowRK, ANY, adaptive=False, stages=2, levy_area=_ST),
    "spark": SolverRow(dfx.SPaRK, ANY, stages=2, levy_area=_ST),
}

AUTO: dict[str, tuple[str, str]] = {
    "none": ("auto", "tsit5 where the problem is not stiff, rodas5p where it is"),
    "additive": ("shark", "additive noise: strong order 1.5"),
    "diagonal": ("slow_rk", "diagonal noise commutes: strong order 1.5"),
    "commutative": ("slow_rk", "commutative noise: strong order 1.5"),
    "general": ("spark", "noise that does not commute: strong order 0.5 is the highest without iterated integrals"),
}
AUTO_ADAPTIVE = ("spark", "rtol or atol was given, and this solver estimates its error")


@dataclasses.dataclass(frozen=True)
class Modes:
    """What a System offers to a solver that works in modes: why it cannot be used ("" if it can), how much faster some
    modes are than others."""  # fmt: skip

    refusal: str = ""
    spread: float = 1.0


WORTH = 30.0  # ratio of the fastest to the slowest mode


@dataclasses.dataclass(frozen=True)
class Choice:
    """A solver chosen, its name and the reason."""

    name: str
    row: SolverRow
    solver: Any
    reason: str


_ROOT_RTOL, _ROOT_ATOL = 1e-5, 1e-8  # of the stages of an implicit method with a fixed step


def choose(solver: Any, noise: str, adaptive: bool, has_tolerance: bool, implicit: str = "", modes: Modes | None = None) -> Choice:
    """The solver for a name, an instance or "auto"; refuses pairs that converge to something else.

    `implicit` cites an equation that is not of the form x' = ..., if there is one; `modes` is None where there are none to speak of.
    """
    if implicit:
        return _for_implicit(solver, adaptive, implicit)
    modal = _in_modes(solver, modes)
    if modal is not None:
        return modal
    if isinstance(solver, str) and solver == "auto":
        name, reason = AUTO_ADAPTIVE if noise != "none" and has_tolerance else AUTO[noise]
    elif isinstance(solver, str):
        name, reason = solver.lower(), "chosen by you"
        if name not in SOLVERS:
            raise SolveError(f"There is no solver '{solver}'. {nearest(name, SOLVERS)}")
    elif isinstance(solver, dfx.AbstractSolver):
        return Choice(type(solver).__name__, _row_of(solver), solver, "an instance given by you")
    else:
        raise SolveError(f'solver={solver!r}: give a name such as "tsit5" or an instance such as diffrax.Tsit5().')
    row = SOLVERS[name]
    _refuse_noise(name, row, noise)
    if adaptive and not row.adaptive:
        raise SolveError(f"'{name}' has no error estimate and needs a fixed step: write sci.solve(..., solver=\"{name}\", dt=0.01).")
    if row.native is not None and not adaptive:
        row = dataclasses.replace(row, native=None)  # the engine chooses its steps; diffrax takes those given
        return Choice("tsit5" if name == "auto" else name, row, row.make(), reason if name != "auto" else "steps of a given size: an explicit method")
    if row.implicit and not adaptive:
        # There is no error tolerance that the root finder could take over.
        return Choice(name, row, row.make(root_finder=dfx.VeryChord(rtol=_ROOT_RTOL, atol=_ROOT_ATOL)), reason)
    return Choice(name, row, row.make(), reason)


def _in_modes(solver: Any, modes: Modes | None) -> Choice | None:
    """The exponential method, if it is asked for or is the best for an "auto"."""
    if isinstance(solver, ETDRK4):
        raise SolveError('ETDRK4(...) is for diffrax.diffeqsolve; a System knows its own symbol: write sci.solve(..., solver="etdrk4").')
    if modes is None or not isinstance(solver, str):
        return None
    if solver.lower() == "etdrk4":
        if modes.refusal:
            raise SolveError(modes.refusal)
        return Choice("etdrk4", SOLVERS["etdrk4"], None, "chosen by you")
    if solver == "auto" and not modes.refusal and not modes.spread < WORTH:
        return Choice("etdrk4", SOLVERS["etdrk4"], None, f"stiff and linear in modes, the fastest {_times(modes.spread)}: solved exactly there")
    return None


def _times(spread: float) -> str:
    return f"{spread:.2g} times as fast as the slowest" if spread < float("inf") else "much faster than the others"


def _for_implicit(solver: Any, adaptive: bool, implicit: str) -> Choice:
    able = [n for n, row in SOLVERS.items() if row.native is not None and row.native[0] is None]
    name = solver.lower() if isinstance(solver, str) else type(solver).__name__
    chosen = name != "auto"
    name = name if chosen else "rodas5p"
    if name not in SOLVERS and isinstance(solver, str):
        raise SolveError(f"There is no solver '{solver}'. {nearest(name, SOLVERS)}")
    if name not in able or not isinstance(solver, str):
        raise SolveError(
            f"{implicit} is implicit, and '{name}' solves explicit equations only. Leave solver=\"auto\", or use one of: {', '.join(able)}."
        )
    if not adaptive:
        raise SolveError(f"{implicit} is implicit, and the methods for implicit equations choose their own steps: leave out dt=, give rtol= instead.")
    return Choice(name, SOLVERS[name], SOLVERS[name].make(), "chosen by you" if chosen else "algebraic equations need a Rosenbrock method")


def _refuse_noise(name: str, row: SolverRow, noise: str) -> None:
    if noise == "none" or noise in row.noise:
        return
    if not row.noise:
        raise SolveError(f'\'{name}\' solves ordinary differential equations, and this System has noise. Leave solver="auto", or use "euler".')
    valid = ", ".join(n for n, r in SOLVERS.items() if noise in r.noise)
    raise SolveError(f"'{name}' converges for {' or '.join(row.noise)} noise only, and the noise of this System is {noise}. Use one of: {valid}.")


def _row_of(solver: Any) -> SolverRow:
    for row in SOLVERS.values():
        if type(solver) is row.make:
            return row
    ito = isinstance(solver, dfx.AbstractItoSolver)
    noise = ANY if ito or isinstance(solver, dfx.AbstractStratonovichSolver) else ()
    levy_area = getattr(solver, "minimal_levy_area", None)
    adaptive = isinstance(solver, dfx.AbstractAdaptiveSolver)
    return SolverRow(type(solver), noise, "ito" if ito else "stratonovich", adaptive, isinstance(solver, dfx.AbstractImplicitSolver), None, levy_area)


ADJOINTS: dict[str, tuple[Any, str]] = {
    "discrete": (None, "derivatives of the accepted steps, in reverse and forward mode"),
    "forward": (dfx.ForwardMode, "forward mode (jvp, jacfwd) through the steps"),
    "checkpoint": (dfx.RecursiveCheckpointAdjoint, "reverse mode through the steps, with checkpoints"),
    "backsolve": (dfx.BacksolveAdjoint, "the continuous adjoint equation, solved backwards"),
    "direct": (dfx.DirectAdjoint, "both modes, all steps in memory"),
}


def adjoint_of(adjoint: Any, choice: Choice, implicit: bool = False) -> tuple[str, Any, str]:
    """(name, diffrax object or None for the engine's own, reason) for a name, an instance or "auto".

    "auto" is "discrete" for the engine's solvers (tsit5, rodas5p, rosenbrock23, etdrk4 and "auto"), "checkpoint" for others:
    both are exact derivatives of the computed solution, and the first works in both modes.
    """
    native = choice.row.native is not None
    if isinstance(adjoint, dfx.AbstractAdjoint):
        return type(adjoint).__name__, adjoint, "an instance given by you"
    if adjoint == "auto":
        adjoint = "discrete" if native else "checkpoint"
    if adjoint not in ADJOINTS:
        raise SolveError(f"There is no adjoint {adjoint!r}. {nearest(str(adjoint), ['auto', *ADJOINTS])}")
    make, reason = ADJOINTS[adjoint]
    if implicit and adjoint not in ("discrete", "forward"):
        raise SolveError(f'adjoint="{adjoint}" does not know algebraic equations. Leave adjoint="auto".')
    if native and adjoint in ("discrete", "forward"):
        return adjoint, None, reason
    if make is None:
        raise SolveError(f'adjoint="discrete" is there for tsit5, rodas5p, rosenbrock23 and etdrk4, not for \'{choice.name}\'. Leave adjoint="auto".')
    return adjoint, make(), reason
