"""Is the derivative of a discretised PDE exact, and what does it cost?

The heat equation between walls at 0 on 128 points, differences of second order, J = h sum u(T)^2, d J / d D. On the grid the solution
is exp(T D A) u(0), so J and its derivative are known from the eigenvectors of A. The relative error is measured at a tight tolerance, the cost
of value and gradient over the forward solve at rtol 1e-6. Peer: diffrax by hand, Tsit5, RecursiveCheckpointAdjoint. Options: --peers-only.
"""

from collections.abc import Callable
from typing import Any

import numpy as np

from benchmarks.common import table
from benchmarks.pde_peers import diffrax_solve
from benchmarks.pde_problems import begin
from benchmarks.stiff_problems import PEERS_ONLY, medians

N, END, D = 128, 1.0, 1.0
TIGHT, USUAL = 1e-11, 1e-6
ERROR, COST = 1e-8, 6.0  # targets, 4 is better
H = np.pi / (N - 1)
Loss = Callable[[Any], Any]  # of D


def start() -> np.ndarray:
    """All points, both walls included."""
    x = np.linspace(0, np.pi, N)
    return x * (np.pi - x) * np.exp(x / 2)


def closed_form() -> tuple[float, float]:
    """(J, d J / d D) of the semi-discrete equation."""
    a = (np.diag(-2 * np.ones(N - 2)) + np.diag(np.ones(N - 3), 1) + np.diag(np.ones(N - 3), -1)) / H**2
    values, vectors = np.linalg.eigh(a)
    end = np.exp(END * D * values) * (vectors.T @ start()[1:-1])
    return float(H * end @ end), float(2 * H * end @ (END * values * end))


def ours() -> Callable[[float], Loss]:
    from benchmarks import pde_ours

    pde_ours.here()
    import jax.numpy as jnp

    import sciml as sci

    problem = pde_ours.discretised("heat", lambda sci: sci.FiniteDifference(N))
    u = problem.fields[0]

    def at(rtol: float) -> Loss:
        solve = lambda d: sci.solve(problem.model, t_span=(0.0, END), params={"D": d}, saveat="end", rtol=rtol, atol=1e-3 * rtol)  # noqa: E731
        return lambda d: H * jnp.sum(solve(d)[u][-1] ** 2)

    return at


def by_hand() -> Callable[[float], Loss]:
    import diffrax as dfx
    import jax
    import jax.numpy as jnp

    def rates(t: Any, u: Any, d: Any) -> Any:
        w = jnp.pad(u, 1)
        return d * (w[2:] - 2 * u + w[:-2]) / H**2

    y0 = jnp.asarray(start()[1:-1])

    def at(rtol: float) -> Loss:
        first = diffrax_solve(rates, END, rtol=rtol, atol=1e-3 * rtol)
        steps = int(jax.jit(first)(y0, D)[1])  # as few checkpoints as the steps allow
        solve = diffrax_solve(rates, END, rtol=rtol, atol=1e-3 * rtol, adjoint=dfx.RecursiveCheckpointAdjoint(), max_steps=steps + 8)
        return lambda d: H * jnp.sum(solve(y0, d)[0] ** 2)

    return at


def main() -> None:
    begin()
    import jax

    exact, slope = closed_form()
    solvers = {**({} if PEERS_ONLY else {"sciml": ours()}), "diffrax": by_hand()}
    rows = []
    for name, at in solvers.items():
        value, gradient = jax.jit(jax.value_and_grad(at(TIGHT)))(D)
        rows.append([name, float(abs(value / exact - 1)), float(abs(gradient / slope - 1))])
    table(f"Gradient of the heat equation against the closed form, target {ERROR:g}", ["solver", "error of J", "error of dJ/dD"], rows)
    runs: dict[Any, Callable[[], Any]] = {}
    for name, at in solvers.items():
        loss = at(USUAL)
        for what, f in (("forward", jax.jit(loss)), ("both", jax.jit(jax.value_and_grad(loss)))):
            runs[name, what] = lambda f=f: jax.block_until_ready(f(D))
    took = medians(runs, dict.fromkeys(runs, 1e-2))
    rows = [[n, 1e3 * took[n, "forward"], 1e3 * took[n, "both"], took[n, "both"] / took[n, "forward"], COST] for n in solvers]
    table("Gradient of the heat equation, cost at rtol 1e-6, ms", ["solver", "forward", "value and gradient", "ratio", "target"], rows)


if __name__ == "__main__":
    main()
