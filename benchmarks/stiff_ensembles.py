"""How long does a trajectory take in an ensemble, against one `vmap` of diffrax written by hand?

Lorenz: 10240 lanes with rho from 1 to 60, to t = 20. Robertson: 1024 lanes, every constant varied by a factor of up to 10 either
way (log-uniform), to t = 1e5. Errors are the median and the largest over 32 lanes, against SciPy at 1e-12; a chaotic lane of
Lorenz has no digit left at t = 20, so there the tolerance is the same and the median counts; Robertson is compared at equal error.
"""

import time
from collections.abc import Callable
from typing import Any

import numpy as np

from benchmarks.common import table
from benchmarks.stiff_ours import SOLVER, needs, plain_atol, states_of, system_of
from benchmarks.stiff_peers import compiled, diffrax_solve, there
from benchmarks.stiff_problems import PEERS_ONLY, PROBLEMS, QUICK, accurate, error, kept, time_at

SHARE = 16 if QUICK else 1  # of the lanes are left out
LEVELS = (1e-4, 1e-6)
LADDERS = {"Lorenz": (1e-6,), "Robertson": (1e-3, 1e-4, 1e-5, 1e-6, 1e-7)}
METHODS = {"Lorenz": ("Tsit5",), "Robertson": ("Kvaerno3", "Kvaerno5")}
OURS = {"Lorenz": "tsit5", "Robertson": SOLVER}
NAMES = {"Lorenz": ("sigma", "rho", "beta"), "Robertson": ("k1", "k2", "k3")}
TARGETS = {"Lorenz": 5, "Robertson": 50}
SAMPLE, ENOUGH = 32, 2e-7  # lanes whose error is known; a ladder ends where their median error is that small


def lanes(name: str) -> np.ndarray:
    """Parameters, lanes by three, in an order that has nothing to do with their cost."""
    rng = np.random.default_rng(0)
    base = np.array(PROBLEMS[name].params)
    if name == "Robertson":
        return base * 10.0 ** rng.uniform(-1, 1, (1024 // SHARE, 3))
    rho = rng.permutation(np.linspace(1.0, 60.0, 10240 // SHARE))
    return np.stack([np.full_like(rho, base[0]), rho, np.full_like(rho, base[2])], axis=1)


def atol(name: str, rtol: float) -> float:
    return rtol * PROBLEMS[name].scales[-1]


def by_hand(name: str, method: str, p: np.ndarray) -> Callable[[float], Any]:
    """One vmap of diffrax: tolerance -> end states."""
    import jax
    import jax.numpy as jnp

    jax.config.update("jax_enable_x64", True)
    problem = PROBLEMS[name]
    solve = diffrax_solve(problem, method, proportional=name == "Robertson")
    many = jax.jit(jax.vmap(lambda q, rtol, atol: solve(q, jnp.array(problem.start), rtol, atol)[0], in_axes=(0, None, None)))
    return lambda rtol: many(jnp.asarray(p), rtol, atol(name, rtol)).block_until_ready()


def ours(name: str, p: np.ndarray) -> Callable[[float], Any]:
    """sci.ensemble: tolerance -> end states."""
    import jax.numpy as jnp

    import sciml as sci

    needs("ensemble", OURS[name])
    problem = PROBLEMS[name]
    model, names = sci.compile(system_of(problem)), states_of(problem)
    over = {n: jnp.asarray(p[:, i]) for i, n in enumerate(NAMES[name])}
    if name == "Lorenz":
        over = {"rho": over["rho"]}

    def run(rtol: float) -> Any:
        many = sci.ensemble(
            model, t_span=(0.0, problem.end), over=over, combine="zip", saveat="end", initial=dict(zip(names, problem.start, strict=True)),
            solver=OURS[name], rtol=rtol, atol=plain_atol(model, atol(name, rtol)),
        )  # fmt: skip
        return np.stack([np.asarray(many[n])[..., -1] for n in names], axis=-1)

    return run


def numbalsoda(name: str, p: np.ndarray) -> Callable[[float], Any]:
    """A compiled loop over the lanes: tolerance -> end states."""
    import numba
    from numbalsoda import lsoda, lsoda_sig

    problem = PROBLEMS[name]
    rates = compiled(problem.rates)

    @numba.cfunc(lsoda_sig)
    def fill(t, y_, out_, p_):  # type: ignore[no-untyped-def]
        y, out, q = numba.carray(y_, (3,)), numba.carray(out_, (3,)), numba.carray(p_, (3,))
        r = rates(t, y, q)
        for i in range(3):
            out[i] = r[i]

    @numba.njit
    def loop(address, y0, times, p, rtol, atol):  # type: ignore[no-untyped-def]
        ends = np.empty((p.shape[0], 3))
        for i in range(p.shape[0]):
            ends[i] = lsoda(address, y0, times, p[i], rtol, atol, 100000)[0][-1]
        return ends

    times, y0, keep = np.array([0.0, problem.end]), np.array(problem.start), fill
    return lambda rtol: loop(keep.address, y0, times, p, rtol, atol(name, rtol))


def climb(
    name: str, solvers: dict[str, Callable[[float], Any]], p: np.ndarray, refs: np.ndarray
) -> dict[str, list[tuple[float, float, float, float]]]:
    """By solver: (tolerance, median error, largest error, seconds a lane); the solvers take turns."""
    found: dict[str, list] = {s: [] for s in solvers}
    for rtol in LADDERS[name]:
        solvers = {s: f for s, f in solvers.items() if not found[s] or found[s][-1][1] > ENOUGH}
        ends = {s: np.asarray(f(rtol)) for s, f in solvers.items()}
        taken: dict[str, list[float]] = {s: [] for s in solvers}
        for _ in range(1 if QUICK else 3):
            for s, f in solvers.items():
                began = time.perf_counter()
                f(rtol)
                taken[s].append((time.perf_counter() - began) / len(p))
        for s, y in ends.items():
            errors = [error(a, b) if np.all(np.isfinite(a)) else np.inf for a, b in zip(y[:SAMPLE], refs, strict=True)]
            found[s].append((rtol, float(np.median(errors)), float(np.max(errors)), float(np.median(taken[s]))))
    return found


def main() -> None:
    rows, ratios = [], []
    for name in LADDERS:
        problem, p = PROBLEMS[name], lanes(name)
        method = "Radau" if name == "Robertson" else "DOP853"
        refs = kept(f"ensemble {name}, 1/{SHARE}", lambda: [accurate(problem, q, method=method) for q in p[:SAMPLE]])  # noqa: B023
        solvers = {f"diffrax {m}": by_hand(name, m, p) for m in METHODS[name]}
        if not PEERS_ONLY:
            solvers = {"sciml": ours(name, p), **solvers}
        if there("numba") and there("numbalsoda"):
            solvers["numbalsoda"] = numbalsoda(name, p)
        found = climb(name, solvers, p, refs)
        rows += [[name, s, rtol, mid, worst, 1e6 * sec] for s, points in found.items() for rtol, mid, worst, sec in points]
        for level in LEVELS if name == "Robertson" else (None,):
            at = {s: time_at(level, [(mid, sec) for _, mid, _, sec in v]) if level else v[0][3] for s, v in found.items()}
            diffrax = min(v for s, v in at.items() if s.startswith("diffrax"))
            where = f"median error {level:g}" if level else f"rtol {LADDERS[name][0]:g}"
            times = [1e6 * at["sciml"] if "sciml" in at else "-", 1e6 * diffrax, 1e6 * at["numbalsoda"] if "numbalsoda" in at else "-"]
            ratios.append([name, len(p), where, *times, diffrax / at["sciml"] if "sciml" in at else "-", TARGETS[name]])
    table("Ensembles, every tolerance", ["problem", "solver", "rtol", "median error", "largest error", "us a lane"], rows)
    columns = ["problem", "lanes", "at", "sciml", "diffrax, one vmap", "numbalsoda, a loop", "diffrax over sciml", "target"]
    table("Ensembles, us a trajectory", columns, ratios)


if __name__ == "__main__":
    main()
