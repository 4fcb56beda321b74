"""Does a network in a hundred and a thousand dimensions learn anything? Its error as skill.

The published test problems have solutions (1 - |x|^2)*(sum over i of something in x_i and x_(i+1)) in the unit ball, at points with |x| uniform
in (0, 1). A coordinate of such a point is about 1/sqrt(d), so the sum hardly varies, and a constant in its place has a small error. The skill is
the error over that of the best constant: 1 is nothing learned.

    u - u^3 and sin(u)        Allen-Cahn and Sine-Gordon with the two-body solution of Hu, Shukla, Karniadakis and Kawaguchi 2024
    rescaled                  Allen-Cahn with coordinates y = sqrt(d)*x in the sum, which then varies as much in 1000 dimensions as in two

Options: names of problems (e.g. "Allen-Cahn 100"); --seed=1.
"""

import dataclasses
import sys
import time
from typing import Any

import numpy as np
import sympy as sp

import sciml as sci
from benchmarks.common import table

POINTS = 5000  # to judge by


@dataclasses.dataclass(frozen=True)
class Case:
    """reaction: of u; target: the largest skill, None where it is only reported; the rest: how it is trained, by Gauss-Newton or SOAP."""

    reaction: Any
    dim: int
    rescaled: bool = False
    target: float | None = 0.1
    width: int = 32
    depth: int = 3
    points: int = 600
    steps: int = 60
    soap: bool = False


def cubic(u: Any) -> Any:
    return u - u**3


# In 100 dimensions the second derivatives of the solution count, a matrix of full rank: as many neurons must look at the point.
SHALLOW: dict[str, Any] = {"width": 128, "depth": 1, "points": 1000, "steps": 40}
# The rescaled solution has some thousand coefficients that matter, each to be found from many points.
WIDE: dict[str, Any] = {"width": 512, "depth": 1, "points": 1000, "steps": 9000, "soap": True}
CASES = {
    "Allen-Cahn 100": Case(cubic, 100, **SHALLOW),
    "Sine-Gordon 100": Case(sp.sin, 100, **SHALLOW),
    "Allen-Cahn 1000": Case(cubic, 1000),
    "Sine-Gordon 1000": Case(sp.sin, 1000),
    "rescaled 100": Case(cubic, 100, True, 0.2, **WIDE),
    "rescaled 1000": Case(cubic, 1000, True, None, **{**WIDE, "steps": 2000}),
}


def declare(case: Case, seed: int = 0) -> tuple[sci.System, sp.Expr]:
    """(the System with its right side, its solution)."""
    X = sci.space("X", -sp.oo, sp.oo, dim=case.dim)
    u, i = sci.fields("u", X), sp.Symbol("i", integer=True)
    c = sci.constants("c", np.random.default_rng(seed).normal(size=case.dim - 1))
    scale = sp.sqrt(case.dim) if case.rescaled else 1
    a, b = scale * X[i], scale * X[i + 1]
    ball = sci.ball(X, radius=1)
    exact = (1 - sci.dot(X, X)) / scale * sp.Sum(c[i] * sp.sin(a + sp.cos(b) + b * sp.cos(a)), (i, 0, case.dim - 2))
    system = sci.System([sci.eq(sci.laplacian(u, X) + case.reaction(u), 0)], boundary={ball.surface: sci.eq(u, 0)}, domain=ball, name="ball")
    return sci.manufacture(system, {u: exact}), exact


def ball_points(count: int, dim: int) -> np.ndarray:
    rng = np.random.default_rng(1)
    ray = rng.normal(size=(count, dim))
    return rng.uniform(size=(count, 1)) * ray / np.linalg.norm(ray, axis=1, keepdims=True)


def skill(radius: np.ndarray, found: np.ndarray, known: np.ndarray) -> tuple[float, float]:
    """(relative error, error over that of the best constant times 1 - |x|^2)."""
    shape = 1 - radius**2
    constant = shape * (shape @ known) / (shape @ shape)
    return float(np.linalg.norm(found - known) / np.linalg.norm(known)), float(np.linalg.norm(found - known) / np.linalg.norm(constant - known))


def run(name: str, seed: int) -> list[Any]:
    import jax
    import jax.numpy as jnp
    import optax

    case = CASES[name]
    system, exact = declare(case, seed)
    network = sci.pinn.mlp(system, width=case.width, depth=case.depth, key=jax.random.key(seed))
    train: Any = sci.pinn.GaussNewton(max_steps=case.steps, solve="dual")
    if case.soap:
        train = sci.pinn.Descent(sci.pinn.soap(optax.cosine_decay_schedule(1e-2, case.steps, alpha=0.01)), case.steps)
    train = sci.pinn.Stage(train)
    began = time.perf_counter()
    net = sci.pinn.fit(system, network, train=train, points=case.points, sampling="uniform", key=jax.random.key(seed), progress=False)
    taken = (time.perf_counter() - began) / 60
    judged = ball_points(POINTS, case.dim)
    at = net({"X": jnp.asarray(judged)})
    error, found = skill(np.linalg.norm(judged, axis=1), np.asarray(at["u"], float), np.asarray(at[exact], float))
    met = "reported" if case.target is None else "yes" if found <= case.target else "no"
    return [name, error, found, case.target, met, taken, len(net.history)]


def main() -> None:
    options = dict(a[2:].split("=") for a in sys.argv[1:] if a.startswith("--"))
    rows = []
    for name in [a for a in sys.argv[1:] if not a.startswith("--")] or CASES:
        rows.append(run(name, int(options.get("seed", 0))))
        print(rows[-1], flush=True)
    table("PINN skill in high dimension", ["problem", "relative L2 error", "skill", "target", "met", "minutes", "steps"], rows)


if __name__ == "__main__":
    main()
