"""Does the time to compile grow with the number of grid points?

Burgers on a ring at N = 64 and N = 2^20, by finite differences, finite volumes and Fourier: seconds to trace and compile the right side and
a whole solve (fixed step for Fourier, adaptive for the others), and the size of the programs: what JAX hands to XLA, and the HLO text that XLA
makes of it. Declaring and discretising are timed apart. Medians of several compilations of fresh functions. The peer is diffrax by hand.
Options: --peers-only, --quick (2^14 in place of 2^20).
"""

import gc
import time
from collections.abc import Callable
from typing import Any

import numpy as np

from benchmarks.common import table
from benchmarks.pde_peers import diffrax_solve
from benchmarks.pde_problems import BURGERS, BURGERS_NU, begin
from benchmarks.stiff_problems import PEERS_ONLY, QUICK

SMALL, LARGE = 64, 2**14 if QUICK else 2**20
TARGET, END, REPEATS = 1.3, 0.01, 2 if QUICK else 5
METHODS = ("FiniteDifference", "FiniteVolume", "Fourier")
Made = tuple[float, dict[str, tuple[Callable, Any]]]  # seconds to declare and discretise, {what: (function, argument)}


def ours(method: str, n: int) -> Made:
    import sciml as sci
    from benchmarks import pde_ours

    pde_ours.here()
    began = time.perf_counter()
    problem = pde_ours.discretised("Burgers", lambda sci: getattr(sci, method)(n))
    rates, start = problem.rates()
    seconds = time.perf_counter() - began
    options = {"t_span": (0.0, END), "saveat": "end", "throw": False, **({"dt": END / 10} if method == "Fourier" else {})}
    u = problem.fields[0]
    return seconds, {"right side": (rates, start), "solve": (lambda nu: sci.solve(problem.model, params={"nu": nu}, **options)[u], BURGERS_NU)}


def by_hand(n: int) -> Made:
    import jax.numpy as jnp

    began = time.perf_counter()
    h, start = BURGERS.length / n, jnp.asarray(BURGERS.start_on(n))

    def rates(t: Any, u: Any, nu: Any) -> Any:
        right, left = jnp.roll(u, -1), jnp.roll(u, 1)
        return nu * (right - 2 * u + left) / h**2 - (right**2 - left**2) / (4 * h)

    seconds = time.perf_counter() - began
    solve = diffrax_solve(rates, END)
    return seconds, {"right side": (lambda u: rates(0.0, u, BURGERS_NU), start), "solve": (lambda x: solve(*x)[0], (start, BURGERS_NU))}


def compiled(function: Callable, argument: Any) -> tuple[float, float, int, int]:
    """(seconds to trace, seconds to compile, bytes given to XLA, bytes of HLO text)."""
    import jax

    began = time.perf_counter()
    lowered = jax.jit(lambda x: function(x)).lower(argument)
    traced = time.perf_counter()
    program = lowered.compile()
    done = time.perf_counter()
    return traced - began, done - traced, len(lowered.as_text()), len(program.as_text())


def measured(make: Callable[[int], Made]) -> list[list[Any]]:
    """Rows: what, then for each quantity the values at both sizes and their ratio."""
    found: dict[str, dict[int, list[Any]]] = {}
    for n in (SMALL, LARGE):
        runs: dict[str, list[Any]] = {}
        for repeat in range(REPEATS + 1):
            seconds, functions = make(n)
            for what, (f, x) in functions.items():
                trace, build, given, text = compiled(f, x)
                if repeat:  # the first one pays what any first compilation pays
                    runs.setdefault(what, []).append((seconds, trace, build, trace + build, given, text))
            gc.collect()
        for what, values in runs.items():
            found.setdefault(what, {})[n] = np.median(np.array(values), axis=0).tolist()
    return [[what, *[v for a, b in zip(at[SMALL], at[LARGE], strict=True) for v in (a, b)], *_ratios(at)] for what, at in found.items()]


def _ratios(at: dict[int, list[float]]) -> list[float]:
    """Of trace + compile, and of the HLO text."""
    return [at[LARGE][3] / at[SMALL][3], at[LARGE][5] / at[SMALL][5]]


def main() -> None:
    begin()
    rows = [] if PEERS_ONLY else [["sciml", m, *row] for m in METHODS for row in measured(lambda n, m=m: ours(m, n))]
    rows += [["by hand", "differences by roll", *row] for row in measured(by_hand)]
    quantities = ("declare and discretise, s", "trace, s", "compile, s", "trace + compile, s", "bytes given to XLA", "bytes of HLO")
    columns = [f"{q} at {n}" for q in quantities for n in (SMALL, LARGE)]
    title = f"Compile time of Burgers at N = {SMALL} and {LARGE}, target {TARGET:g}"
    table(title, ["program", "method", "what", *columns, "ratio of trace + compile", "ratio of HLO"], rows)


if __name__ == "__main__":
    main()
