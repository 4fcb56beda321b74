"""The other solvers, each called as its documentation advises, and ours, all with one face.

`PEERS[name](problem)` prepares and gives `at(rtol, atol)`, which gives a function without arguments that solves and returns the state
at the end. Run as a script it tells which peers there are. The optional ones: pip install "sciml-lang[bench]".
"""

import functools
import importlib.util
from collections.abc import Callable
from importlib.metadata import version
from typing import Any

import numpy as np

from benchmarks.common import table
from benchmarks.stiff_problems import Problem

Run = Callable[[], Any]
At = Callable[[float, float], Run]
MAX_STEPS = 200_000


class Failed(RuntimeError):
    """The solver says that it did not reach the end."""


@functools.cache
def compiled(rates: Callable) -> Callable:
    """The right side by numba, where there is numba."""
    if not there("numba"):
        return rates
    import numba

    return numba.njit(rates if rates.__name__ != "pollution" else _inlined_pollution())


def _inlined_pollution() -> Callable:
    import numba

    from benchmarks import stiff_problems

    speeds, sums = numba.njit(stiff_problems._speeds), numba.njit(stiff_problems._sums)
    return lambda t, y, k: sums(speeds(y, k))


def filling(problem: Problem) -> Callable:
    """The right side in the form f(t, y, rates), compiled."""
    rates, p, n = compiled(problem.rates), np.array(problem.params), len(problem.start)

    def fill(t: Any, y: Any, out: Any) -> None:
        r = rates(t, y, p)
        for i in range(n):
            out[i] = r[i]

    if not there("numba"):
        return fill
    import numba

    quick = numba.njit(fill)
    quick(0.0, np.array(problem.start), np.zeros(n))
    return lambda t, y, out: quick(t, y, out)


def diffrax_solve(problem: Problem, solver: str, proportional: bool, adjoint: Any = None, max_steps: int = MAX_STEPS) -> Callable:
    """(p, y0, rtol, atol) -> (end state, success, steps), not jitted."""
    import diffrax as dfx

    rates = problem.jax_rates()
    gains = {"pcoeff": 0.3, "icoeff": 0.4} if proportional else {}

    def solve(p: Any, y0: Any, rtol: Any, atol: Any) -> tuple[Any, Any, Any]:
        sol = dfx.diffeqsolve(
            dfx.ODETerm(rates), getattr(dfx, solver)(), 0.0, problem.end, None, y0, args=p, saveat=dfx.SaveAt(t1=True), max_steps=max_steps,
            stepsize_controller=dfx.PIDController(rtol=rtol, atol=atol, **gains), throw=False,
            adjoint=dfx.RecursiveCheckpointAdjoint() if adjoint is None else adjoint,
        )  # fmt: skip
        return sol.ys[0], sol.result == dfx.RESULTS.successful, sol.stats["num_steps"]

    return solve


def _diffrax(problem: Problem, solver: str, proportional: bool) -> At:
    import jax
    import jax.numpy as jnp

    jax.config.update("jax_enable_x64", True)
    jitted = jax.jit(diffrax_solve(problem, solver, proportional))
    p, y0 = jnp.array(problem.params), jnp.array(problem.start)

    def at(rtol: float, atol: float) -> Run:
        if not jitted(p, y0, rtol, atol)[1]:
            raise Failed
        return lambda: jitted(p, y0, rtol, atol)[0].block_until_ready()

    return at


def _scipy(problem: Problem, method: str) -> At:
    from scipy.integrate import solve_ivp

    rates, p, span = compiled(problem.rates), np.array(problem.params), (0.0, problem.end)

    def at(rtol: float, atol: float) -> Run:
        def run() -> Any:
            sol = solve_ivp(lambda t, y: np.array(rates(t, y, p)), span, problem.start, method, rtol=rtol, atol=atol, t_eval=span[1:])
            if not sol.success:
                raise Failed
            return sol.y[:, -1]

        return run

    return at


def _casadi(problem: Problem) -> At:
    import casadi as ca

    y = ca.SX.sym("y", len(problem.start))
    dae = {"x": y, "ode": ca.vertcat(*problem.rates(0.0, ca.vertsplit(y), problem.params))}

    def at(rtol: float, atol: float) -> Run:
        options = {"reltol": rtol, "abstol": atol, "max_num_steps": MAX_STEPS}
        integrator = ca.integrator("integrator", "cvodes", dae, 0.0, problem.end, options)
        return lambda: np.array(integrator(x0=problem.start)["xf"]).ravel()

    return at


def _sundae(problem: Problem) -> At:
    from sksundae.cvode import CVODE

    fill, y0 = filling(problem), np.array(problem.start)

    def at(rtol: float, atol: float) -> Run:
        solver = CVODE(fill, method="BDF", rtol=rtol, atol=atol, max_num_steps=MAX_STEPS)

        def run() -> Any:
            solver.init_step(0.0, y0)
            sol = solver.step(problem.end)
            if not sol.success:
                raise Failed
            return sol.y.ravel()

        return run

    return at


class _Text:
    """A number that writes down what is done with it."""

    def __init__(self, text: str):
        self.text = text

    def _with(self, other: Any, sign: str, swapped: bool = False) -> "_Text":
        pair = (self.text, other.text if isinstance(other, _Text) else repr(float(other)))
        return _Text(f"({sign.join(reversed(pair) if swapped else pair)})")

    __add__ = functools.partialmethod(_with, sign=" + ")
    __sub__ = functools.partialmethod(_with, sign=" - ")
    __mul__ = functools.partialmethod(_with, sign=" * ")
    __truediv__ = functools.partialmethod(_with, sign=" / ")
    __rsub__ = functools.partialmethod(_with, sign=" - ", swapped=True)
    __neg__ = functools.partialmethod(_with, 0.0, sign=" - ", swapped=True)


def diffsl(problem: Problem) -> str:
    """The problem in pydiffsol's language."""
    y = [_Text(f"y{i}") for i in range(len(problem.start))]
    p = [_Text(f"p{i}") for i in range(len(problem.params))]
    inputs = ", ".join(f"{s.text} = {v!r}" for s, v in zip(p, problem.params, strict=True))
    states = ", ".join(f"{s.text} = {v!r}" for s, v in zip(y, problem.start, strict=True))
    return f"in_i {{ {inputs} }}\nu_i {{ {states} }}\nF_i {{ {', '.join(r.text for r in problem.rates(None, y, p))} }}\n"


def _pydiffsol(problem: Problem) -> At:
    import pydiffsol

    p, end = np.array(problem.params), np.array([problem.end])

    def at(rtol: float, atol: float) -> Run:
        ode = pydiffsol.Ode(diffsl(problem), matrix_type=pydiffsol.nalgebra_dense, ode_solver=pydiffsol.bdf)
        ode.rtol, ode.atol = rtol, atol
        return lambda: ode.solve_dense(p, end).ys[:, -1]

    return at


def _numbalsoda(problem: Problem) -> At:
    import numba
    import numbalsoda

    rates, p, n = compiled(problem.rates), np.array(problem.params), len(problem.start)

    @numba.cfunc(numbalsoda.lsoda_sig)
    def fill(t, y_, out_, data):  # type: ignore[no-untyped-def]
        y, out = numba.carray(y_, (n,)), numba.carray(out_, (n,))
        r = rates(t, y, p)
        for i in range(n):
            out[i] = r[i]

    address, y0, times = fill.address, np.array(problem.start), np.array([0.0, problem.end])

    def at(rtol: float, atol: float) -> Run:
        def run() -> Any:
            y, success = numbalsoda.lsoda(address, y0, times, rtol=rtol, atol=atol, mxstep=MAX_STEPS)
            if not success:
                raise Failed
            return y[-1]

        run.keeps = fill  # type: ignore[attr-defined]  # the address lives as long as the function
        return run

    return at


_OPTIONAL = {"CasADi": "casadi", "scikit-sundae": "sksundae", "pydiffsol": "pydiffsol", "numbalsoda": "numbalsoda"}
PEERS: dict[str, Callable[[Problem], At]] = {
    **{f"diffrax {s}{' PI' * pi}": functools.partial(_diffrax, solver=s, proportional=pi) for s in ("Kvaerno3", "Kvaerno5") for pi in (False, True)},
    **{f"SciPy {m}": functools.partial(_scipy, method=m) for m in ("LSODA", "BDF", "Radau")},
    "CasADi CVODES": _casadi,
    "scikit-sundae CVODE": _sundae,
    "pydiffsol BDF": _pydiffsol,
    "numbalsoda": _numbalsoda,
}


@functools.cache
def there(module: str) -> bool:
    """Is a peer installed? If not, says so once."""
    if importlib.util.find_spec(module) is None:
        how = "numbalsoda" if module == "numbalsoda" else '"sciml-lang[bench]"'
        print(f"(without {module}, which is not installed: pip install {how})", flush=True)
        return False
    return True


def peers() -> dict[str, Callable[[Problem], At]]:
    """Those that are installed."""
    return {k: v for k, v in PEERS.items() if (first := k.split()[0]) not in _OPTIONAL or there(_OPTIONAL[first])}


def main() -> None:
    packages = {"diffrax": "diffrax", "SciPy": "scipy", **_OPTIONAL, "numba (right sides)": "numba"}
    rows = [[name, version("scikit-sundae" if m == "sksundae" else m) if there(m) else "not installed"] for name, m in packages.items()]
    table("Peers of the stiff benchmarks", ["peer", "version"], rows)


if __name__ == "__main__":
    main()
