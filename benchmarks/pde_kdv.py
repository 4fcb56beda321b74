"""Is a dispersive equation solved with the order that its method has?

Korteweg and de Vries' u_t + 6 u u_x + u_xxx = 0, the soliton of speed 4 on a ring of length 40, 256 points, to t = 2. The symbol of u_xxx
is imaginary: exponential weights of which only the real part is kept make a method of first order. Options: --peers-only.
"""

import itertools
from typing import Any

import numpy as np

from benchmarks.common import table
from benchmarks.pde_peers import Run, exponax_solve
from benchmarks.pde_problems import KDV, axis, begin, relative, soliton
from benchmarks.stiff_peers import there
from benchmarks.stiff_problems import PEERS_ONLY, medians

DT, ERROR, ORDER = 0.01, 3e-4, 3.8


def ours() -> Any:
    """dt -> a solve."""
    from benchmarks import pde_ours

    pde_ours.here()
    problem = pde_ours.discretised("Korteweg-de Vries", lambda sci: sci.Fourier(KDV.n))
    return lambda dt: problem.solve(KDV.end, dt=dt)


def main() -> None:
    begin()
    exact = soliton(axis(KDV.length, KDV.n), KDV.end)
    solvers = {"sciml": ours()} if not PEERS_ONLY else {}
    hands = {"by hand": KDV.by_hand, **({"exponax": lambda dt: exponax_solve(KDV, dt)} if there("exponax") else {})}
    solvers |= {name: (lambda dt, make=make: Run(make(dt), KDV.start_on())) for name, make in hands.items()}
    rows = []
    for name, make in solvers.items():
        errors = [relative(make(dt).end, exact) for dt in KDV.steps]
        orders = ["-", *(float(np.log2(a / b)) for a, b in itertools.pairwise(errors))]
        rows += [[name, dt, e, o] for dt, e, o in zip(KDV.steps, errors, orders, strict=True)]
    table(f"KdV soliton, error and observed order, targets {ERROR:g} at dt {DT:g} and {ORDER:g}", ["solver", "dt", "relative error", "order"], rows)
    took = medians({name: make(DT) for name, make in solvers.items()}, {name: 5e-3 for name in solvers})
    table(f"KdV soliton, dt {DT:g}, ms a solve", ["solver", "ms"], [[name, 1e3 * s] for name, s in took.items()])


if __name__ == "__main__":
    main()
