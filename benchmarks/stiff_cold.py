"""How long is the first solve of a stiff problem, in a process where nothing has been traced yet?

From the declaration (sciml: System(...); diffrax: the right side; pydiffsol: its source text) to the end of the first solve, and the
same with the imports. Tolerance 1e-6; medians of three processes. Options: --peers-only.
"""

import json
import time

import numpy as np

from benchmarks.common import table
from benchmarks.stiff_problems import PEERS_ONLY, QUICK, STIFF, fresh

NAMES = ("van der Pol", "Robertson", "HIRES", "POLLU")
TARGETS = {"van der Pol": 1.2, "Robertson": 1.2, "HIRES": 1.5, "POLLU": 3.0}
RTOL, REPEATS = 1e-6, 1 if QUICK else 3


def sciml(name: str) -> None:
    """Seconds of sciml, as JSON."""
    began = time.perf_counter()
    import jax

    import sciml as sci
    from benchmarks import stiff_ours

    jax.config.update("jax_enable_x64", True)
    stiff_ours.needs(stiff_ours.SOLVER)
    problem = STIFF[name]
    import sciml_models  # noqa: F401

    _start_jax()
    ready = time.perf_counter()
    system = stiff_ours.system_of(problem)
    sol = sci.solve(system, t_span=(0.0, problem.end), solver=stiff_ours.SOLVER, rtol=RTOL, saveat="end")
    np.asarray(sol[next(iter(sci.compile(system).initial))])
    _report(began, ready)


def diffrax(name: str) -> None:
    """Seconds of diffrax's Kvaerno5, as JSON."""
    began = time.perf_counter()
    import diffrax  # noqa: F401
    import jax

    from benchmarks.stiff_peers import PEERS

    jax.config.update("jax_enable_x64", True)
    problem = STIFF[name]
    _start_jax()
    ready = time.perf_counter()
    np.asarray(PEERS["diffrax Kvaerno5 PI"](problem)(RTOL, RTOL * problem.scales[-1])())
    _report(began, ready)


def pydiffsol(name: str) -> None:
    """Seconds of pydiffsol, as JSON."""
    began = time.perf_counter()
    import pydiffsol  # noqa: F401

    from benchmarks.stiff_peers import PEERS

    problem = STIFF[name]
    ready = time.perf_counter()
    PEERS["pydiffsol BDF"](problem)(RTOL, RTOL * problem.scales[-1])()
    _report(began, ready)


def _start_jax() -> None:
    """The backend's own start is not what is measured."""
    import jax

    jax.jit(lambda x: x + 1)(np.ones(3)).block_until_ready()


def _report(began: float, ready: float) -> None:
    now = time.perf_counter()
    print(json.dumps({"call": now - ready, "all": now - began}))


def measured(solver: str, name: str) -> tuple[float, float]:
    """(seconds without imports, with them)."""
    runs = [fresh(f"from benchmarks import stiff_cold; stiff_cold.{solver}({name!r})") for _ in range(REPEATS)]
    return float(np.median([r["call"] for r in runs])), float(np.median([r["all"] for r in runs]))


def main() -> None:
    from benchmarks.stiff_ours import SOLVER, needs
    from benchmarks.stiff_peers import there

    peers = ["diffrax", *(["pydiffsol"] if there("pydiffsol") else [])]
    if not PEERS_ONLY:
        needs(SOLVER)
    solvers = peers if PEERS_ONLY else ["sciml", *peers]
    both = {(s, n): measured(s, n) for n in NAMES for s in solvers}
    for k, title in enumerate(("without imports", "with imports")):
        rows = [[n, *(both[s, n][k] for s in solvers), *([] if k else [TARGETS[n]])] for n in NAMES]
        table(f"Stiff, first solve in a fresh process, {title}, s", ["problem", *solvers, *([] if k else ["target of sciml"])], rows)


if __name__ == "__main__":
    main()
