"""How long does a stiff problem take at the same achieved error, here and elsewhere?

Every solver climbs a ladder of tolerances with every ratio atol/rtol of the problem; its time at an achieved error is read from
the better of these ladders (`time_at`). Errors are relative, at the end, against references good to 1e-12. Peers that are written in JAX
run in this process too, with the XLA option that sciml sets on import (`bare`: diffrax in a process without it).
Options: --peers-only without sciml, --quick a short ladder, and names of problems.
"""

import json
import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np

from benchmarks.common import RESULTS, table
from benchmarks.stiff_ours import SOLVER, end_state
from benchmarks.stiff_peers import Failed, peers
from benchmarks.stiff_problems import ERRORS, PEERS_ONLY, QUICK, STIFF, Problem, error, fresh, medians, reference, time_at

LADDER = (1e-3, 1e-5, 1e-7) if QUICK else (1e-2, 1e-3, 1e-4, 1e-5, 1e-6, 1e-7, 1e-8, 1e-9)
ENOUGH, TOO_LONG = 1e-8, 0.6  # a ladder ends where the error is that small or a call takes that many seconds
OURS, CALL = f"sciml {SOLVER}", f"sciml {SOLVER}, sci.solve"
Ladders = dict[float, list[tuple[float, float]]]  # by atol/rtol: (error, seconds)
# The largest ratio of our time to theirs that is good enough; what is not named here is 1.
TARGETS = {
    "diffrax": {"Robertson": 1 / 15, "van der Pol": 1 / 100, "HIRES": 1 / 6, "OREGO": 1 / 50, "POLLU": 1 / 2},
    "CasADi CVODES": {"POLLU": 2.5},
    "scikit-sundae CVODE": {"POLLU": 2.5},
    "SciPy": {"POLLU": 2.5},
    "numbalsoda": {"Robertson": 1.5, "van der Pol": 1.0, "HIRES": 3.0, "OREGO": 3.0, "POLLU": 3.0},
    "pydiffsol BDF": {"Robertson": 1.0, "van der Pol": 1.0, "HIRES": 2.0},
}


def attempt(make: Callable[[], Any], ref: np.ndarray) -> tuple[Any, float, float]:
    """(run, error, rough seconds); no run if the solver gives up."""
    try:
        run = make()
        run()  # compiles
        began = time.perf_counter()
        state = run()
        seconds = time.perf_counter() - began
        e = error(getattr(run, "state", state), ref)
        return (run if np.isfinite(e) else None), e, seconds
    except Exception as why:  # each library has its own
        if not isinstance(why, Failed) and type(why).__module__.startswith("sciml"):
            print(f"({why})", flush=True)
        return None, np.inf, 0.0


def climb(problem: Problem, solvers: dict[str, Any], ref: np.ndarray) -> dict[str, Ladders]:
    """Errors and times of all solvers; on every rung they take turns."""
    prepared = {name: make(problem) for name, make in solvers.items()}
    found: dict[str, Ladders] = {name: {s: [] for s in problem.scales} for name in prepared}
    for scale in problem.scales:
        going = dict(prepared)
        for rtol in LADDER:
            tried = {name: attempt(lambda at=at: at(rtol, rtol * scale), ref) for name, at in going.items()}  # noqa: B023
            ran = {name: (run, e, s) for name, (run, e, s) in tried.items() if run is not None}
            took = medians({name: run for name, (run, _, _) in ran.items()}, {name: s for name, (_, _, s) in ran.items()})
            for name, seconds in took.items():
                found[name][scale].append((ran[name][1], seconds))
                if ran[name][1] < ENOUGH or seconds > TOO_LONG:
                    del going[name]
    return found


def best_at(level: float, ladders: Ladders) -> float:
    return min(time_at(level, ladder) for ladder in ladders.values())


def best_diffrax(level: float, found: dict[str, Ladders]) -> tuple[float, str]:
    return min((best_at(level, ladders), name.removeprefix("diffrax ")) for name, ladders in found.items() if name.startswith("diffrax"))


def columns(level: float, found: dict[str, Ladders]) -> dict[str, float]:
    """Seconds at an error; the methods of diffrax as one."""
    others = {name: best_at(level, ladders) for name, ladders in found.items() if not name.startswith("diffrax")}
    ours = {k: others.pop(k) for k in (OURS, CALL) if k in others}
    return {**ours, "diffrax": best_diffrax(level, found)[0], **others}


def bare(name: str) -> dict[str, float]:
    """Best diffrax in a process where sciml is not imported: seconds by error."""
    code = f"""
import json
from benchmarks import stiff_work_precision as w
diffrax = {{k: v for k, v in w.peers().items() if k.startswith("diffrax")}}
found = w.climb(w.STIFF[{name!r}], diffrax, w.reference({name!r}))
print(json.dumps({{str(level): w.best_diffrax(level, found)[0] for level in w.ERRORS}}))
"""
    return fresh(code)


def picture(measured: dict[str, dict[str, Ladders]]) -> None:
    """Time over achieved error, a panel for each problem."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    levels = 10.0 ** np.arange(-2, -8.25, -0.5)
    fig, axes = plt.subplots(2, 3, figsize=(12, 7.2), layout="constrained")
    for ax, (name, found) in zip(axes.flat, measured.items(), strict=False):
        for k, solver in enumerate(columns(1e-4, found)):
            if solver == CALL:
                continue
            seconds = np.array([columns(level, found)[solver] for level in levels])
            ours = solver == OURS
            style = {"color": "black", "lw": 2.5, "zorder": 3} if ours else {"color": f"C{k}", "lw": 1.2}
            ax.loglog(levels, np.where(np.isfinite(seconds), 1e3 * seconds, np.nan), marker="o", ms=3, label=solver, **style)
        ax.set_title(name)
        ax.invert_xaxis()
        ax.grid(alpha=0.3)
    for ax in axes.flat[len(measured) :]:
        ax.axis("off")
    for ax in axes[:, 0]:
        ax.set_ylabel("time of a solve, ms")
    for ax in axes.flat[2:5]:
        ax.set_xlabel("achieved relative error at the end")
    axes.flat[-1].legend(*axes.flat[0].get_legend_handles_labels(), loc="center", frameon=False)
    RESULTS.mkdir(exist_ok=True)
    fig.savefig(RESULTS / "stiff_work_precision.png", dpi=130)


def verdicts(measured: dict[str, dict[str, Ladders]]) -> list[list[Any]]:
    """A row for each problem and peer: our time over theirs, what it should be, and whether it is."""
    rows = []
    for name, found in measured.items():
        times = [columns(level, found) for level in ERRORS]
        for peer in times[0]:
            if peer in (OURS, CALL):
                continue
            wanted = TARGETS.get(peer, TARGETS.get(peer.split()[0], {})).get(name, None if peer == "pydiffsol BDF" else 1.0)
            ratios = [t[OURS] / t[peer] if np.isfinite(t[OURS]) else np.inf for t in times]
            met = "-" if wanted is None else "yes" if all(r <= wanted for r in ratios) else "no"
            rows.append([name, peer, *ratios, "-" if wanted is None else wanted, met])
    return rows


def main() -> None:
    solvers = peers()
    if not PEERS_ONLY:
        solvers = {OURS: lambda p: end_state(p, python=False), CALL: lambda p: end_state(p, python=True), **solvers}
    chosen = [n for n in STIFF if n in sys.argv] or list(STIFF)
    measured = {}
    for name in chosen:
        measured[name] = climb(STIFF[name], solvers, reference(name))
    for level in ERRORS:
        rows = []
        for name, found in measured.items():
            times = {k: 1e6 * v for k, v in columns(level, found).items()}
            rows.append([name, *times.values(), best_diffrax(level, found)[1]])
        table(f"Stiff, at error {level:g}, us", ["problem", *times, "diffrax is"], rows)
    raw = {n: {s: {str(k): v for k, v in ladders.items()} for s, ladders in found.items()} for n, found in measured.items()}
    (RESULTS / "stiff_work_precision.json").write_text(json.dumps(raw) + "\n")
    picture(measured)
    if PEERS_ONLY:
        return
    table(
        "Stiff, time of sciml over time of the peer at equal error",
        ["problem", "peer", *(f"at {e:g}" for e in ERRORS), "target", "met"],
        verdicts(measured),
    )
    rows = []
    for name, found in measured.items():
        alone = bare(name)
        rows.append([name, *(x for e in ERRORS for x in (1e6 * alone[str(e)], columns(e, found)[OURS] / alone[str(e)]))])
    table("Stiff, diffrax in a process without sciml, us", ["problem", *(x for e in ERRORS for x in (f"at {e:g}", "sciml over it"))], rows)


if __name__ == "__main__":
    main()
