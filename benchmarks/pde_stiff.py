"""How long do stiff PDEs take that explicit methods or a dense Jacobian cannot do, and how much memory?

Burgers between walls (256 points): sciml's implicit method and "auto" against diffrax's Kvaerno5 with its dense Jacobian. A reaction with
diffusion in two fields, no flux through the sides (256 x 256, 131072 unknowns): time and peak memory of a process of its own, against diffrax
with Newton-Krylov steps and explicit. The Brusselator of SciML's benchmarks (128 x 128 ring, alpha = 10, a force that starts at t = 1.1, to t = 11.5)
against ETDRK4 by hand. Errors are relative, at the end: from the same differences with exact time (`in time`), and for Burgers from a finer
grid too. Options: --peers-only, --quick (reaction 64 x 64, Brusselator 32 x 32).
"""

import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import pde_problems as given
from benchmarks.common import once, table
from benchmarks.pde_peers import Run, diffrax_solve
from benchmarks.pde_problems import begin, relative
from benchmarks.stiff_problems import PEERS_ONLY

RTOL, FINER = 1e-6, 8
PATIENCE = 300.0  # seconds of a process, solves and compilation together
WALLS_MS, REACTION_GB, BRUSSELATOR_S, BRUSSELATOR_ERROR = 50.0, 2.0, 3.0, 1e-3  # targets
BRUSSELATOR_DT = (0.02, 0.01, 0.005)


def seconds(run: Callable[[], Any]) -> float:
    """Median of several calls of a function that has run before; of fewer where a call is long."""
    first = once(run)
    more = 0 if first > 10 else 2 if first > 1 else 10
    return float(np.median([first, *(once(run) for _ in range(more))]))


# -- Burgers between walls ---------------------------------------------------------------------------------------------


def walls_by_hand(solver: Any, rtol: float = RTOL, n: int = given.WALLS_N) -> Run:
    import jax

    solve = jax.jit(diffrax_solve(given.walls_rates, given.WALLS_END, solver, rtol, 1e-3 * rtol))
    return Run(lambda u: solve(u)[0], given.walls_start(np.linspace(0, 2 * np.pi, n))[1:-1])


def walls() -> None:
    import diffrax as dfx

    same = walls_by_hand(dfx.Dopri8(), 1e-11).end
    fine = walls_by_hand(dfx.Tsit5(), 1e-8, FINER * (given.WALLS_N - 1) + 1).end[FINER - 1 :: FINER]
    runs: dict[str, Any] = {}
    if not PEERS_ONLY:
        from benchmarks import pde_ours

        pde_ours.here()
        problem = pde_ours.discretised("Burgers between walls", lambda sci: sci.FiniteDifference(given.WALLS_N))
        runs |= {f"sciml {s}": problem.solve(given.WALLS_END, solver=s, rtol=RTOL, atol=1e-3 * RTOL) for s in ("rodas5p", "auto")}
    runs |= {"diffrax Tsit5": walls_by_hand(dfx.Tsit5()), "diffrax Kvaerno5, dense": walls_by_hand(dfx.Kvaerno5())}
    rows = []
    for name, run in runs.items():
        end = run.end[1:-1] if name.startswith("sciml") else run.end
        rows.append([name, relative(end, same), relative(end, fine), 1e3 * seconds(run)])
    last = rows[-1][-1]
    rows = [[*row, row[-1] / last] for row in rows]
    title = f"Burgers between walls, N = 256, rtol {RTOL:g}, ms, target {WALLS_MS:g} implicit"
    table(title, ["solver", "error in time", "error", "ms", "over Kvaerno5"], rows)


# -- reaction and diffusion --------------------------------------------------------------------------------------------


def peak() -> float:
    """GB of this process at its largest. Linux counts in ru_maxrss what the parent held when it started this process, so ask it for ours alone."""
    status = Path("/proc/self/status")
    line = next((x for x in (status.read_text().splitlines() if status.exists() else []) if x.startswith("VmHWM")), None)
    kilobytes = int(line.split()[1]) if line else resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return kilobytes / 1e6


def reaction_by_hand(kind: str, rtol: float, n: int) -> Run:
    """`kind`: "explicit" or "krylov", Kvaerno3 with GMRES on products with the Jacobian."""
    import diffrax as dfx
    import jax
    import lineax as lx
    import optimistix as optx

    if kind == "explicit":
        solver: Any = dfx.Tsit5()
    else:
        # diffrax's own VeryChord carries the linear operator through its loop, which works for matrices alone
        solver = dfx.Kvaerno3(root_finder=optx.Newton(rtol=rtol, atol=1e-3 * rtol, linear_solver=lx.GMRES(rtol=1e-3, atol=1e-6)))
    solve = jax.jit(diffrax_solve(given.reaction_rates, given.REACTION_END, solver, rtol, 1e-3 * rtol))
    return Run(lambda w: solve(w)[0], given.reaction_fields(n))


def reaction_of_ours(solver: str, rtol: float, n: int) -> Any:
    from benchmarks import pde_ours

    pde_ours.here()
    problem = pde_ours.discretised("reaction-diffusion", lambda sci: sci.FiniteDifference(n))
    return problem.solve(given.REACTION_END, solver=solver, rtol=rtol, atol=1e-3 * rtol)


def reaction_child(kind: str, folder: str, rtol: float, n: int) -> None:
    """Runs one solver, compares with both references, prints JSON. To be run in a process of its own."""
    began = time.perf_counter()
    begin(sciml=kind.startswith("sciml"))
    import jax.numpy as jnp

    jnp.ones(3).block_until_ready()
    before = peak()
    run = reaction_of_ours(kind.split()[1], rtol, n) if kind.startswith("sciml") else reaction_by_hand(kind, rtol, n)
    end = run.end
    first = time.perf_counter() - began
    held = peak()  # of one solve, compile included
    own, hand = (np.load(f"{folder}/{who}.npy") for who in ("sciml" if kind.startswith("sciml") else "hand", "hand"))
    told = {"error": relative(end, own), "hand": relative(end, hand), "s": seconds(run), "first": first, "before": before, "peak": held}
    print(json.dumps(told))


def child(call: str) -> dict[str, float] | None:
    """What a function of this script prints as JSON in a process of its own, with JAX as it is; None if it takes too long."""
    clean = {k: v for k, v in os.environ.items() if k != "XLA_FLAGS"}
    command = [sys.executable, "-c", f"from benchmarks import pde_stiff; pde_stiff.{call}"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, env=clean, timeout=PATIENCE)
    except subprocess.TimeoutExpired:
        return None
    if done.returncode:
        raise RuntimeError(f"a benchmark's process failed:\n{done.stderr[-2000:]}")
    return json.loads(done.stdout.strip().splitlines()[-1])


def reaction() -> None:
    """Each program is compared with itself in exact time, for they close the grid at the sides in different ways, and with the one by hand."""
    kinds = [*([] if PEERS_ONLY else ["sciml rodas5p", "sciml auto"]), "explicit", "krylov"]
    names = {"explicit": "diffrax Tsit5", "krylov": "diffrax Kvaerno3, GMRES"}
    rtol, n = 1e-4, given.REACTION_N
    with tempfile.TemporaryDirectory() as folder:
        for who in ("hand", *([] if PEERS_ONLY else ["sciml"])):
            child(f"reaction_reference({who!r}, {folder!r}, {n})")
        found = {k: child(f"reaction_child({k!r}, {folder!r}, {rtol}, {n})") for k in kinds}
    columns = ("error", "hand", "s", "first", "before", "peak")
    rows = [[names.get(k, k), *(f[c] for c in columns)] if f else [names.get(k, k), "-", "-", f"> {PATIENCE:g}", *"---"] for k, f in found.items()]
    unknowns = 2 * n**2
    rows.append(["a dense Jacobian alone", *"-----", 8 * unknowns**2 / 1e9])
    title = f"Reaction and diffusion {n}x{n}, no flux, rtol {rtol:g}, target {REACTION_GB:g} GB implicit"
    heads = ["solver", "error in time", "distance from by hand", "s", "first solve in a process, s", "GB before", "GB at the peak"]
    table(title, heads, rows)


def reaction_reference(who: str, folder: str, n: int) -> None:
    """Exact in time, by an explicit method."""
    begin(sciml=who == "sciml")
    run = reaction_of_ours("tsit5", 1e-9, n) if who == "sciml" else reaction_by_hand("explicit", 1e-9, n)
    np.save(f"{folder}/{who}.npy", run.end)
    print("{}")


# -- Brusselator -------------------------------------------------------------------------------------------------------


def brusselator_references() -> tuple[dict[str, np.ndarray], float]:
    """The ends by differences and spectral, and how far the first is from one with twice the steps."""
    fields, dt, graded = given.brusselator_fields(), 0.005, 20
    refs = {way: np.asarray(given.brusselator_by_hand(dt, graded, way == "spectral")(fields)) for way in ("differences", "spectral")}
    return refs, relative(np.asarray(given.brusselator_by_hand(2 * dt, graded)(fields)), refs["differences"])


def brusselator() -> None:
    fields = given.brusselator_fields()
    refs, check = brusselator_references()
    rows: list[list[Any]] = [["by hand, twice the steps of the reference", "differences", "-", check, "-"]]
    if not PEERS_ONLY:
        from benchmarks import pde_ours

        pde_ours.here()
        methods = {"differences": lambda sci: sci.FiniteDifference(given.BRUSSELATOR_N), "spectral": lambda sci: sci.Fourier(given.BRUSSELATOR_N)}
        for way, method in methods.items():
            problem = pde_ours.discretised("Brusselator", method)
            for options in ({"rtol": 1e-3}, {"rtol": 1e-4}, *({"dt": dt} for dt in BRUSSELATOR_DT)):
                run = problem.solve(given.BRUSSELATOR_END, **options)
                label = ", ".join(f"{k} {v:g}" for k, v in options.items())
                rows.append([f"sciml {run.solution.stats['solver']}", way, label, relative(run.end, refs[way]), seconds(run)])
    for graded in (1, 20):
        for dt in BRUSSELATOR_DT:
            peer = Run(given.brusselator_by_hand(dt, graded), fields)
            label = f"dt {dt:g}" if graded == 1 else f"dt {dt:g}, {dt / graded:g} in the layers"
            rows.append(["by hand", "differences", label, relative(peer.end, refs["differences"]), seconds(peer)])
    n = given.BRUSSELATOR_N
    title = f"Brusselator {n}x{n} to t = 11.5, s, target {BRUSSELATOR_S:g} at error {BRUSSELATOR_ERROR:g}"
    table(title, ["solver", "in space", "steps", "error in time", "s"], rows)


def main() -> None:
    begin()
    walls()
    brusselator()
    reaction()


if __name__ == "__main__":
    main()
