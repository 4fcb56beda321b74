"""How near does a network of at most 2000 numbers come to the solution, on a CPU, in minutes?

Burgers' equation (viscosity 0.01/pi), Allen-Cahn and Korteweg-de Vries with the settings of the literature, float64, by `sci.pinn.fit` with its
own stages and more points. Errors are relative L2 distances on a grid of 101 times and 512 places: from the transform of Cole and Hopf, and from
exponential steps in Fourier modes.

Options: names of problems; --minutes=5 for a shorter run of each; --seed=1.
"""

import sys
import time
from typing import Any

import numpy as np

from benchmarks import pinn_problems as problems
from benchmarks.common import table

POINTS, WIDTH, DEPTH = 6000, 28, 3
CASES = {"Burgers": (problems.burgers, 15.0, 1e-6), "Allen-Cahn": (problems.allen_cahn, 40.0, 1e-5), "KdV": (problems.korteweg_de_vries, 40.0, 1e-5)}


def exact(name: str, system: Any) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Times, places, values."""
    times = np.linspace(0, 1, 101)
    if name == "Burgers":
        places = np.linspace(-1, 1, 513)
        return times, places, problems.burgers_exact(times, places)
    n = 4096 if name == "Allen-Cahn" else 512
    sol = problems.grid_solution(system, n=n)
    return np.asarray(sol.t), np.linspace(-1, 1, 512, endpoint=False), np.asarray(sol["u"])[:, :: n // 512]


def run(name: str, minutes: float | None, seed: int) -> list[Any]:
    import jax
    import optax

    import sciml as sci

    declare, usual, target = CASES[name]
    system = declare()
    times, places, values = exact(name, system)
    network = sci.pinn.mlp(system, width=WIDTH, depth=DEPTH, key=jax.random.key(seed))
    size = sum(leaf.size for leaf in jax.tree.leaves(network) if hasattr(leaf, "size"))
    adam = sci.pinn.Descent(optax.adam(optax.cosine_decay_schedule(5e-3, 500, alpha=0.02)), 500)
    train = [sci.pinn.Stage(adam), sci.pinn.Stage(sci.pinn.GaussNewton(max_steps=100_000), every=10)]
    began = time.perf_counter()
    net = sci.pinn.fit(system, network, points=POINTS, train=train, minutes=minutes or usual, key=jax.random.key(seed), progress=False)
    taken = (time.perf_counter() - began) / 60
    mesh = np.meshgrid(times, places, indexing="ij")
    found = np.asarray(net({"t": mesh[0], "x": mesh[1]})["u"]).reshape(values.shape)
    error = float(np.linalg.norm(found - values) / np.linalg.norm(values))
    print(name, error, taken, net.reason, flush=True)
    return [name, size, len(net.history), taken, error, target, "yes" if error <= target else "no", usual]


def main() -> None:
    import jax

    jax.config.update("jax_enable_x64", True)
    options = dict(a[2:].split("=") for a in sys.argv[1:] if a.startswith("--"))
    names = [a for a in sys.argv[1:] if not a.startswith("--")] or list(CASES)
    minutes = float(options["minutes"]) if "minutes" in options else None
    rows = [run(name, minutes, int(options.get("seed", 0))) for name in names]
    columns = ["problem", "numbers", "steps", "minutes", "relative L2 error", "target", "met", "minutes allowed"]
    which = "small networks in double precision" if len(rows) == len(CASES) else ", ".join(names)
    table(f"PINN accuracy: {which}", columns, rows)


if __name__ == "__main__":
    main()
