"""Is the exponential integrator that sciml derives as fast as one written for the equation, at the same achieved error?

Burgers, Kuramoto-Sivashinsky (256 points) and the vorticity of Navier and Stokes (128 x 128), all spectral with the 2/3 rule, ETDRK4 with a fixed
step. Every solver goes down a ladder of steps; its time at an error is read from that ladder. Errors are relative, at the end,
against twice as many points and an eighth of the smallest step. exponax also runs in a process without sciml (`bare`), since
importing sciml sets an option of XLA. Options: --peers-only, --quick.
"""

import json
from collections.abc import Callable
from typing import Any

from benchmarks.common import table
from benchmarks.pde_peers import Run, exponax_solve
from benchmarks.pde_problems import SPECTRAL, Spectral, begin, relative
from benchmarks.stiff_peers import there
from benchmarks.stiff_problems import PEERS_ONLY, fresh, medians, time_at

TARGET = 1.2  # and 1.0 is better
Ladders = dict[str, list[tuple[float, float, float]]]  # by solver: (step, error, seconds)


def peers(problem: Spectral) -> dict[str, Callable[[float], Any]]:
    """dt -> a run, by solver."""
    makes = {"by hand": problem.by_hand, **({"exponax": lambda dt: exponax_solve(problem, dt)} if there("exponax") else {})}
    return {name: (lambda dt, make=make: Run(make(dt), problem.start_on())) for name, make in makes.items()}


def ours(problem: Spectral) -> Callable[[float], Any]:
    from benchmarks import pde_ours

    pde_ours.here()
    discrete = pde_ours.discretised(problem.name, lambda sci: sci.Fourier(problem.n))
    return lambda dt: discrete.solve(problem.end, dt=dt)


def climb(problem: Spectral, solvers: dict[str, Callable[[float], Any]]) -> Ladders:
    """Errors and times; on every rung the solvers take turns."""
    ref = problem.reference()
    found: Ladders = {name: [] for name in solvers}
    for dt in problem.steps:
        runs = {name: make(dt) for name, make in solvers.items()}
        errors = {name: relative(run.end, ref) for name, run in runs.items()}
        rough = {name: 2e-5 * problem.count(dt) * problem.dims**6 for name in runs}
        for name, seconds in medians(runs, rough).items():
            found[name].append((dt, errors[name], seconds))
    return found


def bare(name: str) -> Ladders:
    """The peers in a process where sciml is not imported."""
    return fresh(f"from benchmarks import pde_exponential as e; e.report({name!r})")  # type: ignore[return-value]


def report(name: str) -> None:
    """Prints the peers' ladders as JSON."""
    begin(sciml=False)
    print(json.dumps(climb(SPECTRAL[name], peers(SPECTRAL[name]))))


def at(level: float, ladder: list[tuple[float, float, float]]) -> float:
    return time_at(level, [(e, s) for _, e, s in ladder])


def main() -> None:
    begin()
    steps, equal = [], []
    for problem in SPECTRAL.values():
        solvers = {**({} if PEERS_ONLY else {"sciml": ours(problem)}), **peers(problem)}
        found = climb(problem, solvers)
        found |= {f"{name}, bare": [tuple(x) for x in ladder] for name, ladder in bare(problem.name).items()}
        steps += [[problem.name, s, dt, e, 1e3 * x, 1e6 * x / problem.count(dt)] for s, ladder in found.items() for dt, e, x in ladder]
        for level in problem.levels:
            took = {s: at(level, ladder) for s, ladder in found.items()}
            best = min((v for s, v in took.items() if s.startswith("exponax")), default=None)
            row = [1e3 * took[s] if s in took else "-" for s in ("sciml", "exponax", "exponax, bare", "by hand", "by hand, bare")]
            equal.append([problem.name, level, *row, took["sciml"] / best if best and "sciml" in took else "-", TARGET])
    table("Exponential integrators, every step", ["problem", "solver", "dt", "relative error", "ms", "us a step"], steps)
    sides = ["sciml", "exponax", "exponax, bare", "by hand", "by hand, bare", "sciml over the faster exponax", "target"]
    table("Exponential integrators at equal error, ms", ["problem", "error", *sides], equal)


if __name__ == "__main__":
    main()
