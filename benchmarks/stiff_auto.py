"""Does solver="auto" cost more than the best choice would, on every ready model without noise?

All at the default tolerance, the state at the end; the program alone, taking turns. A choice that does not reach the end is left
out, and so is one whose error is more than ten times that of "auto" (its time says nothing).
"""

import time
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

import sciml as sci
import sciml_models
from benchmarks.common import table
from benchmarks.stiff_ours import needs
from benchmarks.stiff_problems import medians
from sciml.errors import ScimlError

jax.config.update("jax_enable_x64", True)
CHOICES = ("tsit5", "rodas5p", "rosenbrock23")


def deterministic() -> dict[str, Any]:
    known = sciml_models.MODELS.items()
    return {name: m for name, m in known if not any(k.startswith(("E[", "Var[")) for k in m.reference)}


def prepared(known: Any, model: Any, solver: str) -> tuple[Any, float, float, Any] | None:
    """(run, rough seconds, error, statistics), or None where it does not finish."""
    try:
        sol = sci.solve(model, t_span=known.t_span, solver=solver, saveat="end")
    except ScimlError as why:
        print(f"({solver}: {str(why).splitlines()[0]})", flush=True)
        return None
    errors = [abs(float(sol[n][-1]) - v) / (abs(v) + 1e-12) for n, v in known.reference.items()]
    program, buffer = sol._program, jnp.asarray(sol._buffer)

    def run() -> Any:
        return program.jitted(buffer, {}, None)[0].block_until_ready()

    began = time.perf_counter()
    run()
    return run, time.perf_counter() - began, max(errors, default=np.nan), sol.stats


def main() -> None:
    needs(*CHOICES)
    rows = []
    for name, known in deterministic().items():
        model = sci.compile(known.make())
        tried = {s: prepared(known, model, s) for s in ("auto", *CHOICES)}
        done = {s: v for s, v in tried.items() if v is not None}
        took = medians({s: v[0] for s, v in done.items()}, {s: v[1] for s, v in done.items()}, repeats=7)
        allowed = [s for s in done if s != "auto" and "auto" in done and done[s][2] <= 10 * done["auto"][2]]
        best = min(allowed, key=took.__getitem__, default=None)
        ratio = took["auto"] / took[best] if best else "-"
        chose = done["auto"][3]["solver"] if "auto" in done else "failed"
        times = [1e6 * took[s] if s in took else "-" for s in ("auto", *CHOICES)]
        errors = [done[s][2] if s in done else "-" for s in ("auto", *CHOICES)]
        rows.append([name, chose, *times, best or "-", ratio, *errors])
    columns = ["model", "auto chose", "auto", *CHOICES, "best", "auto over best", *(f"error, {s}" for s in ("auto", *CHOICES))]
    table("solver=auto against fixed choices, us, target 1.5", columns, rows)


if __name__ == "__main__":
    main()
