"""How much memory does one training step take in many dimensions? Two-body Allen-Cahn as in `pinn_cost`, each size in a process of its own.

The step: 100 points, a tanh MLP of width 128 without shared weights, Adam, the source term of the solution. Two figures for each:

    planned    what XLA lays out for the step: weights, Adam's two averages, constants, and all temporary arrays
    process    the largest resident memory of the whole process, Python and the compiler included; that before the first array;
               and how much it is above the process of the smallest size, where arrays are nothing beside Python and the compiler

Rows "sparse" and "gram" are the step of `pinn_cost`; "fit" is `sci.pinn.fit` with the System, its manufactured source and 16 random entries: the
process from the first symbol to the trained network.

Targets on a CPU: at most 600 MB at d = 100 000, linear in d. On a GPU: 1 000 000 dimensions at 200 steps a second and at most 4 GB.
"""

import dataclasses
import json
import resource
import subprocess
import sys
import time
from pathlib import Path

import jax
import numpy as np

from .common import table
from .pinn_cost import DEPTH, ENTRIES, POINTS, WIDTH, begun, planned, step_of

SIZES = (1_000, 10_000, 100_000)
GPU_SIZES = (1_000_000,)


def measured(d, way, steps):
    """One size in this process."""
    from sciml.pinn.plans import Sparse

    before = peak()
    step = step_of(planned(d, "gram" if way == "gram" else Sparse(ENTRIES)), d)
    constants, state = begun(d)
    compiled = step.lower(constants, *state).compile()
    found = compiled.compiled.memory_analysis()
    layout = found.argument_size_in_bytes + found.output_size_in_bytes - found.alias_size_in_bytes + found.temp_size_in_bytes
    *state, value = compiled(constants, *state)
    jax.block_until_ready(value)
    began = time.perf_counter()
    for _ in range(steps):
        *state, value = compiled(constants, *state)
    jax.block_until_ready(value)
    seconds = (time.perf_counter() - began) / steps
    device = (jax.devices()[0].memory_stats() or {}).get("peak_bytes_in_use", 0) / 1e6
    sizes = {"planned": layout / 1e6, "temporary": found.temp_size_in_bytes / 1e6, "process": peak(), "before": before, "device": device}
    return {**sizes, "step": seconds}


def fitted(d, steps):
    """The same by `sci.pinn.fit` in this process."""
    import sciml as sci

    from .pinn_skill import CASES, declare

    before = peak()
    system, _ = declare(dataclasses.replace(CASES["Allen-Cahn 1000"], dim=d))
    network = sci.pinn.mlp(system, width=WIDTH, depth=DEPTH, key=jax.random.key(0))
    net = sci.pinn.fit(system, network, derivatives=sci.pinn.Sparse(ENTRIES), points=POINTS, train=steps, progress=False)
    seconds = net.history["seconds"].to_numpy()
    device = (jax.devices()[0].memory_stats() or {}).get("peak_bytes_in_use", 0) / 1e6
    return {"planned": "", "temporary": "", "process": peak(), "before": before, "device": device, "step": np.median(np.diff(seconds))}


def peak():
    """The largest resident memory of this process so far, in MB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def apart(d, way, steps):
    """One size in a fresh process."""
    command = [sys.executable, "-m", "benchmarks.pinn_memory", str(d), way, str(steps)]
    run = subprocess.run(command, check=True, capture_output=True, text=True, cwd=Path(__file__).parent.parent)
    return json.loads(run.stdout.splitlines()[-1])


def main():
    on_gpu = jax.default_backend() == "gpu"
    sizes = SIZES + (GPU_SIZES if on_gpu else ())
    columns = [
        "way",
        "dimensions",
        "planned MB",
        "of it temporary",
        "process MB",
        "before",
        "above the smallest",
        "device MB",
        "steps/s",
        "target MB",
    ]
    rows = []
    for way in ("sparse", "gram", "fit"):
        found = {d: apart(d, way, 1000 if on_gpu else 10) for d in sizes}
        smallest, last = found[SIZES[0]], found[SIZES[-1]]
        for d, m in found.items():
            above = m["process"] - smallest["process"]
            target = {100_000: 600, 1_000_000: 4000}.get(d, "")
            rows.append([way, d, m["planned"], m["temporary"], m["process"], m["before"], above, m["device"], 1 / m["step"], target])
        # The process of a small step is all Python and compiler, so that its slope is taken where arrays count.
        figure = "process" if way == "fit" else "planned"
        slopes = np.diff([found[d][figure] for d in SIZES]) / np.diff(SIZES)
        more = slopes[-1] * (1_000_000 - SIZES[-1])
        planned = "" if way == "fit" else last["planned"] + more
        rows.append([way, "1000000, extrapolated", planned, "", last["process"] + more, "", "", "", "", 4000])
        rows.append([way, "bytes per dimension between sizes", " and ".join(f"{1e6 * s:.0f}" for s in slopes), *[""] * 7])
    table("pinn memory: one training step by dimension", columns, rows)


if __name__ == "__main__":
    if len(sys.argv) == 4:
        d, way, steps = int(sys.argv[1]), sys.argv[2], int(sys.argv[3])
        print(json.dumps(fitted(d, steps) if way == "fit" else measured(d, way, steps)))
    else:
        main()
