"""What does the gradient of a number at the end by all parameters cost, warm and cold, and how exact is it?

Against diffrax by hand with RecursiveCheckpointAdjoint (Tsit5 or Kvaerno5, PI control, as few checkpoints as its steps allow). The
number is a weighted sum of the states, each in units of its own size. Distances are from central differences of fourth order
of accurate solves (SciPy, 1e-12), for parameters in units of their own size, relative to the norm. Options: --peers-only.
"""

import json
import time
from collections.abc import Callable
from typing import Any

import numpy as np

from benchmarks.common import table
from benchmarks.stiff_ours import SOLVER, needs, plain_atol, states_of, system_of
from benchmarks.stiff_peers import diffrax_solve
from benchmarks.stiff_problems import PEERS_ONLY, PROBLEMS, QUICK, accurate, fresh, kept, medians, reference, time_at

METHOD = {"Lotka-Volterra": ("Tsit5", "tsit5"), "Robertson": ("Kvaerno5", SOLVER), "POLLU": ("Kvaerno5", SOLVER)}  # theirs, ours
TARGETS = {"Lotka-Volterra": 3, "Robertson": 8, "POLLU": 3}
LADDER, MAIN, EQUAL = ((1e-4, 1e-6) if QUICK else (1e-2, 1e-3, 1e-4, 1e-6, 1e-8)), 1e-6, 1e-5
STEP = 4e-3
Gradient = Callable[[float], Callable[[], Any]]  # tolerance -> call


def weights(name: str) -> np.ndarray:
    ref = reference(name)
    return np.cos(1.0 + np.arange(ref.size)) / np.maximum(np.abs(ref), 1e-8)


def differences(name: str) -> np.ndarray:
    """d loss / d log p by central differences."""
    problem, w = PROBLEMS[name], weights(name)
    method = "Radau" if name in ("Robertson", "POLLU") else "DOP853"

    def loss(i: int, k: int) -> float:
        p = np.array(problem.params)
        p[i] *= 1 + k * STEP
        return float(w @ accurate(problem, p, method=method))

    sides = [[loss(i, k) for k in (1, -1, 2, -2)] for i in range(len(problem.params))]
    return np.array([(8 * (a - b) - (c - d)) / (12 * STEP) for a, b, c, d in sides])


def by_hand(name: str) -> Gradient:
    """diffrax."""
    import diffrax as dfx
    import jax
    import jax.numpy as jnp

    jax.config.update("jax_enable_x64", True)
    problem, method = PROBLEMS[name], METHOD[name][0]
    p, y0, w = jnp.array(problem.params), jnp.array(problem.start), jnp.array(weights(name))
    stiff = method != "Tsit5"

    def at(rtol: float, steps: int | None = None) -> Callable[[], Any]:
        atol = rtol * problem.scales[-1]
        if steps is None:
            steps = int(jax.jit(diffrax_solve(problem, method, stiff))(p, y0, rtol, atol)[2])
        solve = diffrax_solve(problem, method, stiff, dfx.RecursiveCheckpointAdjoint(), max_steps=steps + 8)
        gradient = jax.jit(jax.grad(lambda q: w @ solve(q, y0, rtol, atol)[0]))
        return lambda: gradient(p).block_until_ready()

    return at


def ours(name: str) -> Gradient:
    """sci.solve with adjoint="auto"."""
    import jax

    import sciml as sci

    jax.config.update("jax_enable_x64", True)
    needs(METHOD[name][1])
    problem, w = PROBLEMS[name], weights(name)
    model = sci.compile(system_of(problem))
    p = {n: float(v) for n, v in model.params.items()}

    def at(rtol: float) -> Callable[[], Any]:
        options = {"t_span": (0.0, problem.end), "solver": METHOD[name][1], "rtol": rtol, "saveat": "end", "adjoint": "auto"}
        atol = plain_atol(model, rtol * problem.scales[-1])

        def loss(q: Any) -> Any:
            sol = sci.solve(model, params=q, atol=atol, **options)
            return sum(c * sol[n][-1] for c, n in zip(w, states_of(problem), strict=True))

        gradient = jax.jit(jax.grad(loss))
        return lambda: jax.block_until_ready(gradient(p))

    return at


def cold(solver: str, name: str, steps: int) -> None:
    """Prints the seconds to the first gradient, from the declaration, as JSON. To be run in a fresh process."""
    import diffrax  # noqa: F401

    if solver == "sciml":
        import sciml  # noqa: F401  before JAX starts its backend
        import sciml_models  # noqa: F401
    import jax

    jax.jit(lambda x: x + 1)(np.ones(3)).block_until_ready()
    weights(name)
    began = time.perf_counter()
    (ours(name)(MAIN) if solver == "sciml" else by_hand(name)(MAIN, steps))()
    print(json.dumps({"s": time.perf_counter() - began}))


def cold_code(solver: str, name: str) -> str:
    steps = 4096 if name == "Robertson" else 1024
    return f"from benchmarks import stiff_gradients as g; g.cold({solver!r}, {name!r}, {steps})"


def bare(name: str) -> dict[str, float]:
    """diffrax in a process where sciml is not imported, and the XLA option that it sets is not set: seconds."""
    code = f"""
import json
from benchmarks import stiff_gradients as g
points = g.climb({name!r}, {{"diffrax": g.by_hand({name!r})}})["diffrax"]
same = next(t for rtol, _, t in points if rtol == g.MAIN)
print(json.dumps({{"same": same, "equal": g.time_at(g.EQUAL, [(far, t) for _, far, t in points])}}))
"""
    return fresh(code)


def flat(gradient: Any, name: str) -> np.ndarray:
    """By the logarithms of the parameters, in the order of the problem; sciml's is a dict."""
    problem = PROBLEMS[name]
    names = ["a", "b", "c", "d"] if name == "Lotka-Volterra" else [f"k{i + 1}" for i in range(len(problem.params))]
    g = np.array([float(gradient[n]) for n in names]) if isinstance(gradient, dict) else np.asarray(gradient)
    return g * np.array(problem.params)


def climb(name: str, solvers: dict[str, Gradient]) -> dict[str, list[tuple[float, float, float]]]:
    """By solver: (tolerance, distance from the differences, seconds)."""
    exact = kept(f"gradient {name}", lambda: differences(name))
    found: dict[str, list] = {s: [] for s in solvers}
    for rtol in LADDER:
        runs = {s: at(rtol) for s, at in solvers.items()}
        first, far = {}, {}
        for s, run in runs.items():
            far[s] = float(np.linalg.norm(flat(run(), name) - exact) / np.linalg.norm(exact))
            began = time.perf_counter()
            run()
            first[s] = time.perf_counter() - began
        for s, seconds in medians(runs, first).items():
            found[s].append((rtol, far[s], seconds))
    return found


def main() -> None:
    rows, ratios, cold_rows = [], [], []
    for name in METHOD:
        solvers = {"diffrax": by_hand(name)} if PEERS_ONLY else {"sciml": ours(name), "diffrax": by_hand(name)}
        found = climb(name, solvers)
        rows += [[name, s, rtol, far, 1e6 * seconds] for s, points in found.items() for rtol, far, seconds in points]
        same = {s: next(t for rtol, _, t in v if rtol == MAIN) for s, v in found.items()}
        equal = {s: time_at(EQUAL, [(far, t) for _, far, t in v]) for s, v in found.items()}
        alone = bare(name)
        for where, x, other in ((f"rtol {MAIN:g}", same, alone["same"]), (f"distance {EQUAL:g}", equal, alone["equal"])):
            ratio = [y / x["sciml"] if "sciml" in x else "-" for y in (x["diffrax"], other)]
            ratios.append([name, where, *(1e6 * y for y in (*x.values(), other)), *ratio, TARGETS[name]])
        first = {s: float(np.median([fresh(cold_code(s, name))["s"] for _ in range(1 if QUICK else 3)])) for s in solvers}
        cold_rows.append([name, *first.values(), *([first["sciml"] / first["diffrax"]] if "sciml" in first else [])])
    table("Gradients, every tolerance", ["problem", "solver", "rtol", "distance from central differences", "us"], rows)
    sides = [*solvers, "diffrax without sciml", "diffrax over sciml", "diffrax without sciml over sciml", "target"]
    table("Gradients, warm, us", ["problem", "at", *sides], ratios)
    table("Gradients, first call in a fresh process, s, target 0.6", ["problem", *solvers, *([] if PEERS_ONLY else ["ratio"])], cold_rows)


if __name__ == "__main__":
    main()
