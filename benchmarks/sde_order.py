"""Do the solvers that `auto` picks reach their strong order, and are mean and variance right?

Strong order: mean over paths of the error at the end, against a closed form on the same Brownian path where there is one
(geometric Brownian motion; two commuting noises), otherwise against 2**-11 steps of the same path.
"""

import diffrax as dfx
import jax
import jax.numpy as jnp
import numpy as np
import sympy as sp

import sciml as sci
from benchmarks.common import table

jax.config.update("jax_enable_x64", True)
T = sci.t
STEPS = [2.0**-k for k in range(4, 9)]
KEYS = jax.random.split(jax.random.key(7), 400)


def ends(system: sci.System, dt: float, keys: jax.Array = KEYS) -> np.ndarray:
    """(paths, unknowns) at t = 1."""
    names = list(system.unknowns)

    def one(key: jax.Array) -> jax.Array:
        sol = sci.solve(system, t_span=(0.0, 1.0), dt=dt, key=key, saveat="end")
        return jnp.stack([sol[n][-1] for n in names])

    return np.asarray(jax.jit(jax.vmap(one))(keys))


def brownian(system: sci.System) -> dict[str, np.ndarray]:
    """W(1) of each noise, (paths, 1), on the paths that the solves see."""
    names = [type(n).__name__ for n in sci.compile(system).noise.noises]
    shape = jax.ShapeDtypeStruct((len(names),), jnp.float64)

    def one(key: jax.Array) -> jax.Array:
        return dfx.VirtualBrownianTree(0.0, 1.0, tol=1e-3, shape=shape, key=key, levy_area=dfx.SpaceTimeLevyArea).evaluate(0.0, 1.0)

    return {n: w[:, None] for n, w in zip(names, np.asarray(jax.vmap(one)(KEYS)).T, strict=True)}


def problems() -> dict[str, tuple[sci.System, np.ndarray, float]]:
    """name -> (System, what the end should be, nominal order)."""
    x, y = sci.variables("x y", initial=[1.0, 0.0])
    xi, eta = sci.white_noise("xi eta")
    geometric = sci.System([sci.eq(x.diff(T), 0.5 * x + 0.8 * x * xi)])
    commuting = sci.System([sci.eq(x.diff(T), -x + 0.8 * x * xi + 0.5 * x * eta)])
    additive = sci.System([sci.eq(x.diff(T), -sp.sin(3 * x) + 2 * xi)])
    general = sci.System([sci.eq(x.diff(T), -x + xi), sci.eq(y.diff(T), x * eta + 0.3 * y * xi)], initial={x: 0.0})
    w1, w2 = brownian(geometric), brownian(commuting)
    return {
        "additive": (additive, ends(additive, 2.0**-11), 1.5),
        "diagonal, closed form": (geometric, np.exp(0.5 - 0.32 + 0.8 * w1["xi"]), 1.5),
        "commutative, closed form": (commuting, np.exp(-1 - 0.32 - 0.125 + 0.8 * w2["xi"] + 0.5 * w2["eta"]), 1.5),
        "general": (general, ends(general, 2.0**-11), 0.5),
    }


def moments(system: sci.System, mean: float, variance: float, paths: int = 100_000) -> list[float]:
    """[mean, its distance in standard errors, variance, its distance in standard errors]."""
    keys = jax.random.split(jax.random.key(11), paths)
    x = np.concatenate([ends(system, 0.01, keys[i : i + 10_000])[:, 0] for i in range(0, paths, 10_000)])
    fourth = np.mean((x - x.mean()) ** 4)
    return [
        float(x.mean()),
        float(abs(x.mean() - mean) / np.sqrt(variance / paths)),
        float(x.var()),
        float(abs(x.var() - variance) / np.sqrt((fourth - x.var() ** 2) / paths)),
    ]


def main() -> None:
    rows = []
    for name, (system, exact, nominal) in problems().items():
        solver = sci.solve(system, t_span=(0.0, 1.0), dt=0.5, key=KEYS[0], saveat="end").stats["solver"]
        errors = [float(np.sqrt(np.mean((ends(system, dt) - exact) ** 2))) for dt in STEPS]
        order = float(np.polyfit(np.log(STEPS), np.log(errors), 1)[0])
        rows.append([name, solver, nominal, order, abs(order - nominal), errors[0], errors[-1]])
    table(
        "Strong order of the solvers that auto picks, target within 0.15",
        ["noise", "solver", "nominal", "measured", "distance", "error 2^-4", "error 2^-8"],
        rows,
    )

    z = sci.variables("z", initial=2.0)
    xi = sci.white_noise("xi")
    ou = sci.System([sci.eq(z.diff(T), 1.5 * (0.5 - z) + 0.8 * xi)])
    gbm = sci.System([sci.eq(z.diff(T), 0.5 * z + 0.6 * z * xi)], initial={z: 1.0})
    cases = {
        "Ornstein-Uhlenbeck": (ou, 0.5 + 1.5 * np.exp(-1.5), 0.64 / 3 * (1 - np.exp(-3.0))),
        "geometric Brownian motion": (gbm, np.exp(0.5), np.exp(1.0) * (np.exp(0.36) - 1)),
    }
    rows = [[name, mean, *(found := moments(system, mean, variance))[:2], variance, *found[2:]] for name, (system, mean, variance) in cases.items()]
    table("Weak moments, 1e5 paths, target 3 standard errors", ["process", "mean", "found", "std. errors", "variance", "found", "std. errors"], rows)


if __name__ == "__main__":
    main()
