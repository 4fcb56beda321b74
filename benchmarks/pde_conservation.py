"""Is what a conservation law conserves conserved?

Finite volumes in conservative form, 128 cells: the drift of the mass over the time, relative to the mass of |u|, on a ring and with no flux
through the sides, for a linear and two nonlinear laws. Peers: finite volumes by hand with diffrax, and for the porous medium py-pde, whose Laplacian
of u^3 on cell centres conserves too. Options: --peers-only.
"""

from collections.abc import Callable
from typing import Any

import numpy as np

from benchmarks.common import table
from benchmarks.pde_peers import Run, diffrax_solve
from benchmarks.pde_problems import begin
from benchmarks.stiff_peers import there
from benchmarks.stiff_problems import PEERS_ONLY

N, END, TARGET = 128, 1.0, 1e-12
FLUXES = ("upwind", "muscl", "weno5", "central")
LAWS: dict[str, Callable[[Any, Any, Any], Any]] = {  # name: flux through a face (values of both cells, derivative)
    "advection and diffusion": lambda a, b, slope: 0.5 * a - 0.01 * slope,
    "Burgers": lambda a, b, slope: a**2 / 2 - 0.01 * slope,
    "porous medium": lambda a, b, slope: -((a + b) ** 2) * slope / 16,
}


def start() -> np.ndarray:
    """Cell averages."""
    faces = np.linspace(0, 1, N + 1)
    return 1 + np.diff(np.sin(2 * np.pi * faces)) / (4 * np.pi) * N


def by_hand(law: str, closed: bool) -> Run:
    """Fluxes from the left cell, u is positive."""
    import jax
    import jax.numpy as jnp

    def rates(t: Any, u: Any, p: Any) -> Any:
        left = u[:-1] if closed else jnp.roll(u, 1)
        right = u[1:] if closed else u
        flux = LAWS[law](left, right, (right - left) * N)
        return -jnp.diff(jnp.pad(flux, 1)) * N if closed else -(jnp.roll(flux, -1) - flux) * N

    solve = jax.jit(diffrax_solve(rates, END))
    return Run(lambda u: solve(u)[0], start())


def pypde(closed: bool) -> tuple[np.ndarray, np.ndarray]:
    """(start, end) of the porous medium."""
    import pde

    state = pde.ScalarField(pde.CartesianGrid([[0, 1]], N, periodic=not closed), start())
    equation = pde.PDE({"u": "laplace(u**3) / 12"}, bc={"derivative": 0} if closed else "periodic")
    end = equation.solve(state, t_range=END, dt=1e-5, solver="runge-kutta", adaptive=True, tolerance=1e-6, backend="numba", tracker=None)
    return state.data, end.data


def drift(first: np.ndarray, last: np.ndarray) -> float:
    return float(abs(np.sum(last) - np.sum(first)) / np.sum(np.abs(first)))


def ours(law: str, closed: bool, flux: str) -> tuple[np.ndarray, np.ndarray]:
    """(start, end)."""
    import sciml as sci
    from benchmarks import pde_ours

    pde_ours.here()
    problem = pde_ours.discretised("conserved", lambda sci: sci.FiniteVolume(N, flux=flux), law, closed)
    sol = sci.solve(problem.model, t_span=(0.0, END), saveat=2, solver="tsit5")
    u = np.asarray(sol[problem.fields[0]])
    return u[0], u[-1]


def main() -> None:
    begin()
    rows: list[list[Any]] = []
    for closed, where in ((False, "ring"), (True, "no flux through the sides")):
        for law in LAWS:
            hand = by_hand(law, closed)
            exact_start, end = start(), hand.end
            rows.append([law, where, "by hand, upwind", drift(exact_start, end), "-"])
            for flux in () if PEERS_ONLY else FLUXES:
                if flux == "central" and closed and law == "Burgers":
                    continue  # things pile up at the side: central fluxes cannot hold so steep a front
                first, last = ours(law, closed, flux)
                # the schemes differ by their errors in space: a figure that tells a wrong flux or a wrong side
                rows.append([law, where, f"sciml {flux}", drift(first, last), float(np.max(np.abs(last - end)))])
            if law == "porous medium" and there("pde"):
                first, last = pypde(closed)
                rows.append([law, where, "py-pde", drift(first, last), float(np.max(np.abs(last - end)))])
    table(f"Drift of the mass of finite volumes, target {TARGET:g}", ["law", "axis", "program", "drift", "largest distance from by hand"], rows)


if __name__ == "__main__":
    main()
