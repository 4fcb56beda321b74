"""How long does a DAE of index 1 take at the same achieved error, and how well does its constraint hold?

Robertson with the conservation of mass, chemical Akzo Nobel, transistor amplifier; against CasADi IDAS and scikit-sundae IDA. The peers
take x' = f(t, x, z), 0 = g(t, x, z), written by hand; the amplifier's x are its voltages across capacitors. References: z
eliminated by Newton's method, then Radau IIA of SciPy at 1e-12. The residual is the largest over 200 times of the accurate run,
of an equation scaled to numbers of order 1. Options: --peers-only, --quick.
"""

import dataclasses
import math
from collections.abc import Callable
from typing import Any

import numpy as np

from benchmarks.common import table
from benchmarks.stiff_ours import SOLVER, Timed, needs, plain_atol
from benchmarks.stiff_peers import MAX_STEPS, At, Failed, there
from benchmarks.stiff_problems import ERRORS, PEERS_ONLY, error, kept, time_at
from benchmarks.stiff_work_precision import climb

Rates = Callable[[float, Any, Any], tuple[tuple, tuple]]  # (t, x, z) -> (x', residual)


def robertson(exp: Any, sqrt: Any, sin: Any) -> Rates:
    def f(t: Any, x: Any, z: Any) -> Any:
        spent, returned = 0.04 * x[0], 1e4 * x[1] * z[0]
        return (returned - spent, spent - returned - 3e7 * x[1] * x[1]), (x[0] + x[1] + z[0] - 1.0,)

    return f


def akzo_nobel(exp: Any, sqrt: Any, sin: Any) -> Rates:
    def f(t: Any, y: Any, z: Any) -> Any:
        root = sqrt(y[1])
        r1, r2, r3 = 18.7 * y[0] * y[0] * y[0] * y[0] * root, 0.58 * y[2] * y[3], 0.58 / 34.4 * y[0] * y[4]
        r4, r5, inflow = 0.09 * y[0] * y[3] * y[3], 0.42 * z[0] * z[0] * root, 3.3 * (0.9 / 737.0 - y[1])
        dx = (-2 * r1 + r2 - r3 - r4, -0.5 * r1 - r4 - 0.5 * r5 + inflow, r1 - r2 + r3, -r2 + r3 - 2 * r4, r2 - r3 + r5)
        return dx, (115.83 * y[0] * y[3] - z[0],)

    return f


def transistor_amplifier(exp: Any, sqrt: Any, sin: Any) -> Rates:
    """x: U1 - U2, U3, U4 - U5, U6, U7 - U8;  z: U2, U5, U8."""

    def f(t: Any, x: Any, z: Any) -> Any:
        ub, alpha, ue = 6.0, 0.99, 0.1 * sin(200.0 * math.pi * t)
        u1, u4, u7 = x[0] + z[0], x[2] + z[1], x[4] + z[2]
        g1, g2 = 1e-6 * (exp((z[0] - x[1]) / 0.026) - 1.0), 1e-6 * (exp((z[1] - x[3]) / 0.026) - 1.0)
        i1, i3, i5 = (ue - u1) / 1000.0, (ub - u4) / 9000.0 - alpha * g1, (ub - u7) / 9000.0 - alpha * g2
        dx = (i1 / 1e-6, (g1 - x[1] / 9000.0) / 2e-6, i3 / 3e-6, (g2 - x[3] / 9000.0) / 4e-6, i5 / 5e-6)
        r1 = (2 * z[0] - ub) / 9000.0 + (1 - alpha) * g1 - i1
        r3 = (2 * z[1] - ub) / 9000.0 + (1 - alpha) * g2 - i3
        return dx, (9000.0 * r1, 9000.0 * r3, 9000.0 * (z[2] / 9000.0 - i5))

    return f


@dataclasses.dataclass(frozen=True)
class Constrained:
    """A DAE; `whole` puts x and z into the order of the model's states, `names`."""

    make: Callable[..., Rates]
    x: tuple[float, ...]
    z: tuple[float, ...]
    end: float
    names: tuple[str, ...]
    whole: Callable[[Any, Any], tuple]
    split: Callable[[Any], tuple[tuple, tuple]]  # and back
    scales: tuple[float, ...]
    model: str


_AMPLIFIER = dict(
    whole=lambda x, z: (x[0] + z[0], z[0], x[1], x[2] + z[1], z[1], x[3], x[4] + z[2], z[2]),
    split=lambda u: ((u[0] - u[1], u[2], u[3] - u[4], u[5], u[6] - u[7]), (u[1], u[4], u[7])),
)
_STACKED = dict(whole=lambda x, z: (*x, *z), split=lambda u: (tuple(u[:-1]), tuple(u[-1:])))
DAES = {
    "Robertson": Constrained(robertson, (1.0, 0.0), (0.0,), 1e5, ("A", "B", "C"), scales=(1e-4, 1e-6), model="robertson_dae", **_STACKED),
    "Akzo Nobel": Constrained(
        akzo_nobel, (0.444, 0.00123, 0.0, 0.007, 0.0), (115.83 * 0.444 * 0.007,), 180.0, tuple(f"y{i}" for i in range(1, 7)),
        scales=(1e-1, 1e-4), model="akzo_nobel", **_STACKED,
    ),
    "transistor amplifier": Constrained(
        transistor_amplifier, (-3.0, 3.0, 3.0, 3.0, 6.0), (3.0, 3.0, 0.0), 0.2, tuple(f"U{i}" for i in range(1, 9)),
        scales=(1.0, 1e-3), model="transistor_amplifier", **_AMPLIFIER,
    ),
}  # fmt: skip


def plain(dae: Constrained) -> Rates:
    """With Python's own functions, compiled where there is numba."""
    f = dae.make(math.exp, math.sqrt, math.sin)
    if not there("numba"):
        return f
    import numba

    return numba.njit(f)


def accurate(dae: Constrained) -> np.ndarray:
    """The end state."""
    from scipy.integrate import solve_ivp

    f, z = plain(dae), np.array(dae.z)

    def eliminated(t: float, x: np.ndarray) -> np.ndarray:
        for _ in range(20):
            g = np.array(f(t, x, z)[1])
            columns = [(np.array(f(t, x, z + h)[1]) - g) / h.sum() for h in 1e-7 * np.eye(z.size)]
            step = np.linalg.solve(np.array(columns).T, -g)
            z[:] += step
            if np.max(np.abs(step)) < 1e-15 * max(1.0, np.max(np.abs(z))):
                break
        return z

    sol = solve_ivp(
        lambda t, x: np.array(f(t, x, eliminated(t, x))[0]),
        (0.0, dae.end),
        dae.x,
        "Radau",
        rtol=1e-12,
        atol=1e-14 * min(dae.scales),
        t_eval=[dae.end],
    )
    x = sol.y[:, -1]
    return np.array(dae.whole(x, eliminated(dae.end, x)))


def idas(dae: Constrained) -> At:
    import casadi as ca

    x, z, t = ca.SX.sym("x", len(dae.x)), ca.SX.sym("z", len(dae.z)), ca.SX.sym("t")
    ode, alg = dae.make(ca.exp, ca.sqrt, ca.sin)(t, ca.vertsplit(x), ca.vertsplit(z))
    system = {"x": x, "z": z, "t": t, "ode": ca.vertcat(*ode), "alg": ca.vertcat(*alg)}

    def at(rtol: float, atol: float) -> Any:
        options = {"reltol": rtol, "abstol": atol, "max_num_steps": MAX_STEPS}
        integrator = ca.integrator("integrator", "idas", system, 0.0, dae.end, options)

        def run() -> Any:
            end = integrator(x0=dae.x, z0=dae.z)
            return np.array(dae.whole(np.array(end["xf"]).ravel(), np.array(end["zf"]).ravel()))

        return run

    return at


def ida(dae: Constrained) -> At:
    from sksundae.ida import IDA

    f, n, m = plain(dae), len(dae.x), len(dae.z)

    def residual(t: Any, y: Any, yp: Any, out: Any) -> None:
        dx, g = f(t, y[:n], y[n:])
        for i in range(n):
            out[i] = yp[i] - dx[i]
        for i in range(m):
            out[n + i] = g[i]

    if there("numba"):
        import numba

        quick = numba.njit(residual)
        residual = lambda t, y, yp, out: quick(t, y, yp, out)  # noqa: E731
    y0 = np.array([*dae.x, *dae.z])
    yp0 = np.array([*f(0.0, y0[:n], y0[n:])[0], *[0.0] * m])

    def at(rtol: float, atol: float) -> Any:
        solver = IDA(residual, algebraic_idx=range(n, n + m), rtol=rtol, atol=atol, max_num_steps=MAX_STEPS, calc_initcond="yp0", calc_init_dt=1e-8)

        def run() -> Any:
            solver.init_step(0.0, y0, yp0)
            sol = solver.step(dae.end)
            if not sol.success:
                raise Failed
            y = sol.y.ravel()
            return np.array(dae.whole(y[:n], y[n:]))

        return run

    return at


def ours(dae: Constrained) -> At:
    import jax
    import jax.numpy as jnp

    import sciml as sci
    import sciml_models

    jax.config.update("jax_enable_x64", True)
    needs(SOLVER, dae.model)
    model = sci.compile(getattr(sciml_models, dae.model)())

    def at(rtol: float, atol: float) -> Timed:
        sol = sci.solve(model, t_span=(0.0, dae.end), solver=SOLVER, rtol=rtol, atol=plain_atol(model, atol), saveat="end")
        program, buffer = sol._program, jnp.asarray(sol._buffer)
        state = np.array([float(sol[n][-1]) for n in dae.names])
        return Timed(lambda: program.jitted(buffer, {}, None)[0].block_until_ready(), state)

    return at


def constraint(dae: Constrained) -> tuple[float, float]:
    """Of sciml at rtol 1e-8: (error at the end, largest residual over 200 times)."""
    import sciml as sci
    import sciml_models

    model = sci.compile(getattr(sciml_models, dae.model)())
    sol = sci.solve(model, t_span=(0.0, dae.end), solver=SOLVER, rtol=1e-8, atol=plain_atol(model, 1e-8 * min(dae.scales)), saveat=200)
    states, f = np.stack([np.asarray(sol[n]) for n in dae.names], axis=1), plain(dae)
    residuals = [np.abs(f(float(t), *map(np.array, dae.split(u)))[1]) for t, u in zip(np.asarray(sol.t), states, strict=True)]
    return error(states[-1], kept(f"DAE {dae.model}", lambda: accurate(dae))), float(np.max(residuals))


def main() -> None:
    solvers: dict[str, Callable] = {} if PEERS_ONLY else {"sciml": ours}
    solvers |= {"CasADi IDAS": idas} if there("casadi") else {}
    solvers |= {"scikit-sundae IDA": ida} if there("sksundae") else {}
    rows, held = [], []
    for name, dae in DAES.items():
        found = climb(dae, solvers, kept(f"DAE {dae.model}", lambda: accurate(dae)))  # noqa: B023
        for level in ERRORS:
            at = {s: min(time_at(level, ladder) for ladder in ladders.values()) for s, ladders in found.items()}
            theirs = min((v for s, v in at.items() if s != "sciml"), default=np.inf)
            rows.append([name, level, *(1e6 * v for v in at.values()), at["sciml"] / theirs if "sciml" in at else "-"])
        if not PEERS_ONLY:
            held.append([name, *constraint(dae)])
    table("DAEs at equal error, us, target 1", ["problem", "error", *solvers, "sciml over the best peer"], rows)
    if held:
        table("DAEs at rtol 1e-8, targets 1e-6 and 1e-8", ["problem", "error at the end", "largest residual of a constraint"], held)


if __name__ == "__main__":
    main()
