"""Is a compiled model as fast as diffrax written by hand, when warm, when called from Python, and at the first call?

Peers: the right side written by hand with jax.numpy, jitted, the same solver, tolerances and saving (200 times). For
Pleiades two forms: the 28 scalar expressions, and the array form that an expert would write.
Each peer also runs in a process of its own without sciml, since importing sciml sets an XLA option (sciml/xla.py).
"""

import os
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import diffrax as dfx
import jax
import jax.numpy as jnp

from benchmarks.common import interleaved, once, table

jax.config.update("jax_enable_x64", True)
RTOL, ATOL, SAVED = 1e-6, 1e-9, 200

MASSES = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0]
PLEIADES_START = [3.0, 3.0, -1.0, -3.0, 2.0, -2.0, 2.0, 3.0, -3.0, 2.0, 0.0, 0.0, -4.0, 4.0] + [
    0.0, 0.0, 0.0, 0.0, 0.0, 1.75, -1.5, 0.0, 0.0, 0.0, -1.25, 1.0, 0.0, 0.0,
]  # fmt: skip


def lotka_volterra(t: Any, s: Any, p: Any) -> Any:
    x, y = s
    a, b, c, d = p
    return jnp.stack([a * x - b * x * y, d * x * y - c * y])


def lorenz(t: Any, s: Any, p: Any) -> Any:
    x, y, z = s
    sigma, rho, beta = p
    return jnp.stack([sigma * (y - x), x * (rho - z) - y, x * y - beta * z])


def pleiades_arrays(t: Any, s: Any, p: Any) -> Any:
    x, y, vx, vy = s.reshape(4, 7)
    dx, dy = x[None, :] - x[:, None], y[None, :] - y[:, None]
    r2 = dx**2 + dy**2 + jnp.eye(7)
    pull = p[None, :] / (r2 * jnp.sqrt(r2))
    return jnp.concatenate([vx, vy, jnp.sum(pull * dx, axis=1), jnp.sum(pull * dy, axis=1)])


def pleiades_scalars(t: Any, s: Any, p: Any) -> Any:
    x, y, vx, vy = s[:7], s[7:14], s[14:21], s[21:]
    ax, ay = [0.0] * 7, [0.0] * 7
    for i in range(7):
        for j in range(i):
            dx, dy = x[j] - x[i], y[j] - y[i]
            r3 = (dx**2 + dy**2) ** 1.5
            ax[i], ay[i] = ax[i] + p[j] * dx / r3, ay[i] + p[j] * dy / r3
            ax[j], ay[j] = ax[j] - p[i] * dx / r3, ay[j] - p[i] * dy / r3
    return jnp.concatenate([vx, vy, jnp.stack(ax), jnp.stack(ay)])


PROBLEMS: dict[str, tuple[Callable, list[float], list[float], float]] = {
    "Lotka-Volterra": (lotka_volterra, [10.0, 5.0], [1.1, 0.4, 0.4, 0.1], 20.0),
    "Lorenz": (lorenz, [1.0, 0.0, 0.0], [10.0, 28.0, 8 / 3], 20.0),
    "Pleiades, arrays": (pleiades_arrays, PLEIADES_START, MASSES, 3.0),
    "Pleiades, scalars": (pleiades_scalars, PLEIADES_START, MASSES, 3.0),
}


def by_hand(name: str) -> Callable[[], Any]:
    """Jitted diffrax."""
    rates, start, p, end = PROBLEMS[name]

    @jax.jit
    def solve(p: Any, y0: Any) -> Any:
        sol = dfx.diffeqsolve(
            dfx.ODETerm(rates), dfx.Tsit5(), 0.0, end, None, y0, args=p, saveat=dfx.SaveAt(ts=jnp.linspace(0.0, end, SAVED)),
            stepsize_controller=dfx.PIDController(rtol=RTOL, atol=ATOL), max_steps=100_000, throw=False,
        )  # fmt: skip
        return sol.ys

    p_, y_ = jnp.array(p), jnp.array(start)
    return lambda: solve(p_, y_).block_until_ready()


def ours(name: str) -> tuple[Callable[[], Any], Callable[[], Any]]:
    """(program alone, call from Python)."""
    import sciml as sci

    system, span, some = _system(name.split(",")[0])

    def solve() -> Any:
        return sci.solve(system, t_span=span, params=some, saveat=SAVED, rtol=RTOL, atol=ATOL)

    sol = solve()
    program, buffer = sol._program, jnp.asarray(sol._buffer)
    return lambda: program.jitted(buffer, {}, None)[0].block_until_ready(), solve


def _system(name: str) -> tuple[Any, tuple[float, float], dict[str, float]]:
    import sciml as sci
    import sciml_models

    t = sci.t
    x, y, z = sci.variables("x y z")
    if name == "Lotka-Volterra":
        a, b, c, d = sci.parameters("a b c d", [1.1, 0.4, 0.4, 0.1])
        equations = [sci.eq(x.diff(t), a * x - b * x * y), sci.eq(y.diff(t), d * x * y - c * y)]
        return sci.System(equations, initial={x: 10.0, y: 5.0}), (0.0, 20.0), {"a": 1.1}
    if name == "Lorenz":
        s, r, b = sci.parameters("s r b", [10.0, 28.0, 8 / 3])
        equations = [sci.eq(x.diff(t), s * (y - x)), sci.eq(y.diff(t), x * (r - z) - y), sci.eq(z.diff(t), x * y - b * z)]
        return sci.System(equations, initial={x: 1.0, y: 0.0, z: 0.0}), (0.0, 20.0), {"s": 10.0}
    return sciml_models.pleiades(), (0.0, 3.0), {}


def alone(expression: str, **environment: str) -> float:
    """Value of an expression in a process of its own, where nothing has been traced yet."""
    warm = "jax.jit(lambda x: x + 1)(jnp.ones(3)).block_until_ready()"
    code = f"from benchmarks.warm_solve import *; from benchmarks.warm_solve import _first, _first_by_hand; {warm}; print({expression})"
    clean = {k: v for k, v in os.environ.items() if k != "XLA_FLAGS"}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env={**clean, **environment})
    return float(done.stdout)


def _first_by_hand(name: str) -> float:
    """Seconds of the peer's first call."""
    return once(by_hand(name))


def _first(name: str) -> float:
    """Seconds from System(...) to the end of the first solve; imports are not counted, on either side."""
    import sciml as sci
    import sciml_models  # noqa: F401

    def declare_and_solve() -> None:
        system, span, some = _system(name.split(",")[0])
        sci.solve(system, t_span=span, params=some, saveat=SAVED, rtol=RTOL, atol=ATOL)

    return once(declare_and_solve)


def main() -> None:
    import sciml  # noqa: F401  before JAX starts its backend

    rows, calls, compiled = [], [], []
    flag = os.environ["XLA_FLAGS"]
    for name in PROBLEMS:
        peer = by_hand(name)
        program, call = ours(name)
        n = 20 if name.startswith("Pleiades") else 100
        took = {k: 1e6 * v for k, v in interleaved({"peer": peer, "program": program, "call": call}, n).items()}
        bare = 1e6 * alone(f"interleaved({{'x': by_hand({name!r})}}, {n})['x']")
        rows.append([name, took["peer"], took["program"], took["program"] / took["peer"], bare, took["program"] / bare])
        calls.append([name, took["peer"], took["call"], took["call"] / took["peer"], took["call"] / bare])
        same, plain, mine = (
            sorted(alone(f"{f}({name!r})", **env) for _ in range(3))[1]
            for f, env in (("_first_by_hand", {"XLA_FLAGS": flag}), ("_first_by_hand", {}), ("_first", {"XLA_FLAGS": flag}))
        )
        compiled.append([name, same, plain, mine, mine / same, mine / plain])
    by_hand_columns = ["by hand", "sciml", "ratio", "by hand without sciml imported", "ratio"]
    table("Warm solve against diffrax by hand, us, target 1.05", ["problem", *by_hand_columns], rows)
    table(
        "sci.solve called in a Python loop, us, target 1.5",
        ["problem", "jitted by hand", "sci.solve", "ratio", "ratio to by hand without sciml imported"],
        calls,
    )
    table(
        "First call in a fresh process, s, target 1.3",
        ["problem", "by hand, same XLA option", "by hand", "sciml, from System(...)", "ratio", "ratio"],
        compiled,
    )


if __name__ == "__main__":
    main()
