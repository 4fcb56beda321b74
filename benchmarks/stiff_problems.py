"""The stiff test problems, each right side written by hand once, in plain arithmetic, and what their solutions must be.

A right side takes numbers, NumPy, numba, CasADi or JAX values alike and gives a tuple; for POLLU and HIRES there is also the array
form that an expert would write in JAX. Run as a script it prints the references: Radau IIA at rtol 1e-12, kept in results/.
"""

import dataclasses
import json
import os
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import numpy as np

from benchmarks.common import RESULTS, interleaved, table

ERRORS = (1e-4, 1e-6)  # where times are compared
QUICK, PEERS_ONLY = "--quick" in sys.argv, "--peers-only" in sys.argv
_KEPT = RESULTS / "stiff_references.json"


def robertson(t: Any, y: Any, p: Any) -> Any:
    spent, returned, doubled = p[0] * y[0], p[2] * y[1] * y[2], p[1] * y[1] * y[1]
    return returned - spent, spent - returned - doubled, doubled


def van_der_pol(t: Any, y: Any, p: Any) -> Any:
    return y[1], p[0] * (1.0 - y[0] * y[0]) * y[1] - y[0]


def orego(t: Any, y: Any, p: Any) -> Any:
    s, w, q = p[0], p[1], p[2]
    return s * (y[0] + y[1] - y[0] * y[1] - q * y[0] * y[0]), (y[2] - y[1] - y[0] * y[1]) / s, w * (y[0] - y[2])


def hires(t: Any, y: Any, k: Any) -> Any:
    bound, freed = k[6] * y[5] * y[7], (k[1] + k[7] + k[8]) * y[6]
    return (
        -k[0] * y[0] + k[1] * y[1] + k[5] * y[2] + k[9],
        k[0] * y[0] - (k[1] + k[2]) * y[1],
        -(k[0] + k[5]) * y[2] + k[1] * y[3] + k[4] * y[4],
        k[2] * y[1] + k[0] * y[2] - (k[1] + k[3]) * y[3],
        -(k[0] + k[4]) * y[4] + k[1] * (y[5] + y[6]),
        k[3] * y[3] + k[0] * y[4] - k[1] * y[5] + k[7] * y[6] - bound,
        bound - freed,
        freed - bound,
    )


def _speeds(y: Any, k: Any) -> Any:
    return (
        k[0] * y[0], k[1] * y[1] * y[3], k[2] * y[4] * y[1], k[3] * y[6], k[4] * y[6], k[5] * y[6] * y[5], k[6] * y[8], k[7] * y[8] * y[5],
        k[8] * y[10] * y[1], k[9] * y[10] * y[0], k[10] * y[12], k[11] * y[9] * y[1], k[12] * y[13], k[13] * y[0] * y[5], k[14] * y[2],
        k[15] * y[3], k[16] * y[3], k[17] * y[15], k[18] * y[15], k[19] * y[16] * y[5], k[20] * y[18], k[21] * y[18], k[22] * y[0] * y[3],
        k[23] * y[18] * y[0], k[24] * y[19],
    )  # fmt: skip


def _sums(r: Any) -> Any:
    return (
        -r[0] - r[9] - r[13] - r[22] - r[23] + r[1] + r[2] + r[8] + r[10] + r[11] + r[21] + r[24],
        -r[1] - r[2] - r[8] - r[11] + r[0] + r[20],
        -r[14] + r[0] + r[16] + r[18] + r[21],
        -r[1] - r[15] - r[16] - r[22] + r[14],
        -r[2] + r[3] + r[3] + r[5] + r[6] + r[12] + r[19],
        -r[5] - r[7] - r[13] - r[19] + r[2] + r[17] + r[17],
        -r[3] - r[4] - r[5] + r[12],
        r[3] + r[4] + r[5] + r[6],
        -r[6] - r[7],
        -r[11] + r[6] + r[8],
        -r[8] - r[9] + r[7] + r[10],
        r[8],
        -r[10] + r[9],
        -r[12] + r[11],
        r[13],
        -r[17] - r[18] + r[15],
        -r[19],
        r[19],
        -r[20] - r[21] - r[23] + r[22] + r[24],
        -r[24] + r[23],
    )


def pollution(t: Any, y: Any, k: Any) -> Any:
    return _sums(_speeds(y, k))


def _pollution_arrays() -> Callable:
    """Stoichiometry times speeds, each speed a constant times two concentrations (or one and 1)."""
    import jax.numpy as jnp

    stoichiometry = np.array([_sums(row) for row in np.eye(25)]).T
    there = np.array([_speeds(np.where(np.arange(20) == i, 2.0, 1.0), np.ones(25)) for i in range(20)]) == 2.0  # species by reactions
    first = np.array([np.flatnonzero(c)[0] for c in there.T])
    second = np.array([np.flatnonzero(c)[1] if c.sum() == 2 else 20 for c in there.T])

    def rates(t: Any, y: Any, k: Any) -> Any:
        padded = jnp.append(y, 1.0)
        return stoichiometry @ (k * y[first] * padded[second])

    return rates


def lotka_volterra(t: Any, y: Any, p: Any) -> Any:
    return p[0] * y[0] - p[1] * y[0] * y[1], p[3] * y[0] * y[1] - p[2] * y[1]


def lorenz(t: Any, y: Any, p: Any) -> Any:
    return p[0] * (y[1] - y[0]), y[0] * (p[1] - y[2]) - y[1], y[0] * y[1] - p[2] * y[2]


@dataclasses.dataclass(frozen=True)
class Problem:
    """An initial value problem; `scales` are the ratios atol/rtol that every solver is tried with."""

    rates: Callable
    start: tuple[float, ...]
    params: tuple[float, ...]
    end: float
    model: str  # its name in sciml_models
    scales: tuple[float, ...] = (1e-3,)
    arrays: Callable[[], Callable] | None = None

    def jax_rates(self) -> Callable:
        """The right side that an expert would hand to diffrax."""
        import jax.numpy as jnp

        return self.arrays() if self.arrays else lambda t, y, p: jnp.stack(self.rates(t, y, p))


_POLLU_START = (0.0, 0.2, 0.0, 0.04, 0.0, 0.0, 0.1, 0.3, 0.01, *[0.0] * 7, 0.007, 0.0, 0.0, 0.0)
_POLLU = (
    0.350, 26.6, 1.23e4, 8.60e-4, 8.20e-4, 1.50e4, 1.30e-4, 2.40e4, 1.65e4, 9.00e3, 0.0220, 1.20e4, 1.88, 1.63e4, 4.80e6, 3.50e-4, 0.0175,
    1.00e8, 4.44e11, 1.24e3, 2.10, 5.78, 0.0474, 1.78e3, 3.12,
)  # fmt: skip
_HIRES = (1.71, 0.43, 8.32, 0.69, 0.035, 8.32, 280.0, 0.69, 0.69, 7e-4)
STIFF: dict[str, Problem] = {
    "Robertson": Problem(robertson, (1.0, 0.0, 0.0), (0.04, 3e7, 1e4), 1e5, "robertson", (1e-4, 1e-6)),
    "van der Pol": Problem(van_der_pol, (2.0, 0.0), (1000.0,), 2000.0, "van_der_pol", (1.0, 1e-3)),
    "HIRES": Problem(hires, (1.0, *[0.0] * 6, 0.0057), _HIRES, 321.8122, "hires", (1e-2, 1e-4)),
    "OREGO": Problem(orego, (1.0, 2.0, 3.0), (77.27, 0.161, 8.375e-6), 360.0, "orego", (1.0, 1e-3)),
    "POLLU": Problem(pollution, _POLLU_START, _POLLU, 60.0, "pollution", (1e-2, 1e-5), _pollution_arrays),
}
OTHERS: dict[str, Problem] = {
    "Lotka-Volterra": Problem(lotka_volterra, (1.0, 1.0), (1.5, 1.0, 3.0, 1.0), 10.0, "lotka_volterra"),
    "Lorenz": Problem(lorenz, (0.0, 1.0, 0.0), (10.0, 28.0, 8 / 3), 20.0, "lorenz"),
}
PROBLEMS = {**STIFF, **OTHERS}


# -- what the solution must be -------------------------------------------------------------


def accurate(problem: Problem, params: Any = None, rtol: float = 1e-12, method: str = "Radau") -> np.ndarray:
    """The end state by SciPy with tolerances near rounding."""
    from scipy.integrate import solve_ivp

    from benchmarks.stiff_peers import compiled

    rates, p = compiled(problem.rates), np.array(problem.params if params is None else params, dtype=float)
    atol = rtol * 1e-2 * min(problem.scales)
    sol = solve_ivp(lambda t, y: np.array(rates(t, y, p)), (0.0, problem.end), problem.start, method, rtol=rtol, atol=atol, t_eval=[problem.end])
    if not sol.success:
        raise RuntimeError(sol.message)
    return sol.y[:, -1]


def kept(name: str, make: Callable[[], Any]) -> np.ndarray:
    """A number that is computed once and then read from results/."""
    found = json.loads(_KEPT.read_text()) if _KEPT.exists() else {}
    if name not in found:
        found[name] = np.asarray(make()).tolist()
        RESULTS.mkdir(exist_ok=True)
        _KEPT.write_text(json.dumps(found, indent=1) + "\n")
    return np.array(found[name])


def reference(name: str) -> np.ndarray:
    method = "Radau" if name in STIFF else "DOP853"
    return kept(name, lambda: accurate(PROBLEMS[name], method=method))


def error(y: Any, ref: Any) -> float:
    """Largest relative error of any component."""
    return float(np.max(np.abs(np.asarray(y) - ref) / (np.abs(ref) + 1e-12)))


# -- times at equal error ---------------------------------------------------------------------


def medians(runs: dict[Any, Callable[[], Any]], first: dict[Any, float], repeats: int = 5) -> dict[Any, float]:
    """Median seconds of each, taking turns; one that takes less than 3 ms is called several times in its turn. `first`: rough seconds."""
    times = {k: max(1, int(3e-3 / max(first[k], 1e-7))) for k in runs}
    turns = {k: (lambda f=f, n=times[k]: [f() for _ in range(n)]) for k, f in runs.items()}
    return {k: v / times[k] for k, v in interleaved(turns, 1, 2 if QUICK else repeats).items()}


def time_at(level: float, ladder: list[tuple[float, float]]) -> float:
    """Seconds at an achieved error, from (error, seconds) in the order of falling tolerance; infinite if it was not reached.

    The error of a tolerance is taken as the largest of this and all finer ones: a zero of the error that was hit by luck does
    not count. Between two tolerances log time is linear in log error.
    """
    points = [(e, s) for e, s in ladder if np.isfinite(e)]
    if not points:
        return np.inf
    errors = np.maximum.accumulate(np.log([max(e, 1e-15) for e, _ in points])[::-1])[::-1]
    seconds = np.log([s for _, s in points])
    reached = np.flatnonzero(errors <= np.log(level))
    if not reached.size:
        return np.inf
    k, fastest = int(reached[0]), seconds[reached].min()
    if k > 0:
        part = (errors[k - 1] - np.log(level)) / (errors[k - 1] - errors[k])
        fastest = min(fastest, seconds[k - 1] + part * (seconds[k] - seconds[k - 1]))
    return float(np.exp(fastest))


def fresh(code: str) -> dict[str, float]:
    """What a piece of code prints as JSON in its last line, run in a process of its own, without the XLA option that sciml sets."""
    clean = {k: v for k, v in os.environ.items() if k != "XLA_FLAGS"}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=clean)
    if done.returncode:
        raise RuntimeError(f"a benchmark's process failed:\n{done.stderr[-2000:]}")
    return json.loads(done.stdout.strip().splitlines()[-1])


def main() -> None:
    import sciml_models

    rows = []
    for name, problem in STIFF.items():
        known = sciml_models.MODELS[problem.model]
        same = known.t_span[1] == problem.end
        published = error(reference(name), np.array(list(known.reference.values()))) if same else "another span"
        rows.append([name, problem.end, published, error(accurate(problem, rtol=1e-11), reference(name))])
    table("Stiff references, relative distances", ["problem", "end", "from the published numbers", "from Radau at 1e-11"], rows)


if __name__ == "__main__":
    main()
