"""The other programs of the PDE benchmarks, each used as its documentation advises. Run as a script it tells which there are.

exponax: ETDRK4 on periodic boxes, repeated in modes (the fastest form that it offers); py-pde: finite differences of second order compiled
by numba; diffrax: method of lines written by hand in JAX. The optional ones: pip install "sciml-lang[bench]".
"""

from collections.abc import Callable
from importlib.metadata import version
from typing import Any

import numpy as np

from benchmarks.common import table
from benchmarks.pde_problems import BURGERS_NU, GRAY_SCOTT, NAVIER_STOKES_NU, Spectral
from benchmarks.stiff_peers import there

PACKAGES = {"exponax": "exponax", "pde": "py-pde"}  # module: package


class Run:
    """A jitted solve of a start, to be timed, and what it gives."""

    def __init__(self, solve: Callable[[Any], Any], start: np.ndarray):
        import jax.numpy as jnp

        self.solve, self.start = solve, jnp.asarray(start)

    @property
    def end(self) -> np.ndarray:
        return np.asarray(self.solve(self.start))

    def __call__(self) -> Any:
        return self.solve(self.start).block_until_ready()


def exponax_solve(problem: Spectral, dt: float) -> Callable[[Any], Any]:
    """Jitted: start -> end."""
    import equinox as eqx
    import exponax as ex

    common = {"num_spatial_dims": problem.dims, "domain_extent": problem.length, "num_points": problem.n, "dt": dt, "order": 4}
    make = {
        "Burgers": lambda: ex.stepper.Burgers(**common, diffusivity=BURGERS_NU, conservative=True),
        "Kuramoto-Sivashinsky": lambda: ex.stepper.KuramotoSivashinskyConservative(**common),
        "Korteweg-de Vries": lambda: ex.stepper.KortewegDeVries(**common, convection_scale=6.0, hyper_diffusivity=0.0, conservative=True),
        "Navier-Stokes vorticity": lambda: ex.stepper.NavierStokesVorticity(**common, diffusivity=NAVIER_STOKES_NU),
    }[problem.name]
    solve = eqx.filter_jit(ex.RepeatedStepper(make(), problem.count(dt)))
    return lambda u: solve(u[None])[0]


def gray_scott_pypde(fields: np.ndarray) -> tuple[Any, Any]:
    """(equation, state) of py-pde."""
    import pde

    grid = pde.CartesianGrid([[0, 1], [0, 1]], fields.shape[1:], periodic=True)
    state = pde.FieldCollection([pde.ScalarField(grid, f) for f in fields], labels=["u", "v"])
    rates = {"u": "Du * laplace(u) - u * v**2 + F * (1 - u)", "v": "Dv * laplace(v) + u * v**2 - (F + k) * v"}
    return pde.PDE(rates, consts=GRAY_SCOTT), state


def pypde_rates(equation: Any, state: Any) -> Callable[[Any], Any]:
    """The compiled right side: data -> rates."""
    rates = equation.make_pde_rhs(state, backend="numba")
    return lambda data: rates(data, 0.0)


def pypde_solve(equation: Any, state: Any, end: float, rtol: float = 1e-5) -> np.ndarray:
    """py-pde's adaptive Runge-Kutta method, compiled by numba."""
    return equation.solve(state, t_range=end, dt=1e-3, solver="runge-kutta", adaptive=True, tolerance=rtol, backend="numba", tracker=None).data


def diffrax_solve(
    rates: Callable, end: float, solver: Any = None, rtol: float = 1e-6, atol: float = 1e-9, adjoint: Any = None, max_steps: int = 1_000_000
) -> Callable[..., Any]:
    """(start, parameters) -> (end state, steps, success), not jitted."""
    import diffrax as dfx

    def solve(y0: Any, p: Any = None) -> tuple[Any, Any, Any]:
        sol = dfx.diffeqsolve(
            dfx.ODETerm(rates), dfx.Tsit5() if solver is None else solver, 0.0, end, None, y0, args=p, saveat=dfx.SaveAt(t1=True),
            stepsize_controller=dfx.PIDController(rtol=rtol, atol=atol), max_steps=max_steps, throw=False,
            adjoint=dfx.RecursiveCheckpointAdjoint() if adjoint is None else adjoint,
        )  # fmt: skip
        return sol.ys[0], sol.stats["num_steps"], sol.result == dfx.RESULTS.successful

    return solve


def main() -> None:
    rows = [["diffrax", version("diffrax")], *([p, version(p) if there(m) else "not installed"] for m, p in PACKAGES.items())]
    table("Peers of the PDE benchmarks", ["peer", "version"], rows)


if __name__ == "__main__":
    main()
