"""How far does a network get in ten minutes on two cores? Eight problems of PINNacle, against the best error that was published for each.

PINNacle (Hao et al., NeurIPS 2024, table 3) trains a network of 5 x 100 neurons for 20 000 steps with each of eleven methods; the best of
them counts. Here: networks of 1000 to 2000 numbers in double precision, conditions built in where a formula for that is found, Gauss-Newton;
for the seventeen pipes of Heat2d-CG a larger one in single precision by SOAP.

    python -m benchmarks.pinn_pinnacle                    all problems, at most ten minutes each
    python -m benchmarks.pinn_pinnacle Wave1d-C --minutes 1
"""

import argparse
import dataclasses
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import sympy as sp

import sciml as sci
from benchmarks import pinn_problems as problems
from benchmarks import pinn_references as references
from benchmarks.common import table

COLUMNS = ["problem", "relative L2 error", "best published", "met", "minutes", "steps", "numbers"]


@dataclasses.dataclass(frozen=True)
class Case:
    """A problem with what is known of it.

    Attributes:
        declare: gives the System, options for `sci.pinn.fit`, and a function from the network to its error.
        best: the smallest published error.
        size: width and depth of the network.
        steps: the most of them.
        minutes: in which it comes below the best; ten are allowed.
        soap: many numbers in single precision, by SOAP instead of Gauss-Newton.
        fourier: random Fourier features of the inputs, for many small things in a large domain.
    """

    declare: Callable[[], tuple[sci.System, dict[str, Any], Callable[[Any], float]]]
    best: float
    size: tuple[int, int] = (24, 3)
    steps: int = 3000
    minutes: float = 3.0
    soap: bool = False
    fourier: tuple[float, int] | None = None


def poisson_circles() -> Any:
    system = problems.poisson_circles()
    line = np.linspace(-0.5, 0.5, 201)
    x, y = np.meshgrid(line, line, indexing="ij")
    inside = np.min([np.hypot(x - c.real, y - c.imag) for c in references.CENTRES], axis=0) > 0.1
    at = {"x": x[inside], "y": y[inside]}
    known = references.poisson_circles(at["x"], at["y"])
    return system, {"points": 2000}, lambda net: net.error({"u": known}, at)["u"]


def heat_varying() -> Any:
    known = references.heat_varying()
    x, y = sci.space("x", 0, 1), sci.space("y", 0, 1)
    system = problems.heat_varying(references.conductivity(x, y), x, y)
    return system, {"t_span": (0, 5), "points": 3000}, lambda net: on_mesh(net, known)


def heat_circles() -> Any:
    """Soft conditions: flux and initial value contradict each other, and u = t*v would need a v without bounds at the pipes."""
    known = references.heat_circles()
    options = {
        "t_span": (0, 3),
        "points": {"equation": 1500, "boundary": 40},
        "conditions": "soft",
        "weights": {"initial u": 10.0},
        "sampling": "sobol",
    }
    return problems.heat_circles(), options, lambda net: on_mesh(net, known)


def cavity() -> Any:
    """The error of both velocities together; the pressure has no level of its own."""
    line = np.linspace(0, 1, 101)
    x, y = (a.ravel() for a in np.meshgrid(line, line, indexing="ij"))
    known = references.cavity(x, y)

    def error(net: Any) -> float:
        at = net({"x": x, "y": y})
        return relative(np.stack([at["u"], at["v"]]), np.stack(known))

    return problems.cavity(), {"points": 1200, "weights": "equal"}, error


def wave() -> Any:
    x = sp.Symbol("x", real=True)
    exact = sp.sin(sp.pi * x) * sp.cos(2 * sp.pi * sci.t) + sp.sin(4 * sp.pi * x) * sp.cos(8 * sp.pi * sci.t) / 2
    return problems.wave(), {"points": 3000}, lambda net: at_random(net, {"u": exact})


def poisson_nd() -> Any:
    exact = sum(sp.sin(sp.pi * sp.Symbol(f"x{i}", real=True) / 2) for i in range(5))
    return problems.poisson_nd(), {"points": 2000}, lambda net: at_random(net, {"u": exact})


def heat_nd() -> Any:
    square = sum(sp.Symbol(f"x{i}", real=True) ** 2 for i in range(5))
    return problems.heat_nd(), {"points": 2000, "weights": "equal"}, lambda net: at_random(net, {"u": sp.exp(square / 2 + sci.t)}, in_ball=True)


def poisson_inverse() -> Any:
    """Data: 2500 values of u with noise of 0.1; the error is that of the coefficient.

    A network with few numbers, and an equation that weighs much more than the data, so that the noise is not fitted.
    """
    system, (*_, known) = problems.poisson_inverse()
    rng = np.random.default_rng(0)
    at = {"x": rng.uniform(0, 1, 2500), "y": rng.uniform(0, 1, 2500)}
    u = np.sin(np.pi * at["x"]) * np.sin(np.pi * at["y"]) + rng.normal(0, 0.1, 2500)
    options = {"data": {**at, "u": u}, "noise": 0.1, "points": 2000, "weights": {"data u": 1e-4}}
    return system, options, lambda net: at_random(net, {"a": known})


CASES = {
    "Poisson2d-C": Case(poisson_circles, 1.23e-2),
    "Heat2d-VC": Case(heat_varying, 2.12e-1, (28, 3), minutes=9.5),
    "Heat2d-CG": Case(heat_circles, 2.39e-2, (64, 4), steps=14_000, minutes=9.5, soap=True, fourier=(2.0, 32)),
    "NS2d-C": Case(cavity, 3.60e-2),
    "Wave1d-C": Case(wave, 9.79e-2, (28, 3)),
    "PNd": Case(poisson_nd, 4.67e-4),
    "HNd": Case(heat_nd, 1.19e-4),
    "PInv": Case(poisson_inverse, 2.45e-2, (8, 2), 200),
}


# -- errors ---------------------------------------------------------------------------------------------


def relative(mine: Any, known: Any) -> float:
    """|mine - known|/|known| where both are known."""
    mine, known = np.asarray(mine), np.asarray(known)
    counts = np.isfinite(mine) & np.isfinite(known)
    return float(np.linalg.norm((mine - known)[counts]) / np.linalg.norm(known[counts]))


def on_mesh(net: Any, known: dict[str, np.ndarray]) -> float:
    """At the points of a known solution over t, x, y."""
    mesh = np.meshgrid(known["t"], known["x"], known["y"], indexing="ij")
    return relative(net(dict(zip("txy", mesh, strict=True)))["u"], known["u"])


def at_random(net: Any, exact: dict[str, sp.Expr], in_ball: bool = False, count: int = 20_000) -> float:
    """At random points of the domain; the worst of the named quantities."""
    rng = np.random.default_rng(7)
    at = {c.name: rng.uniform(*_ends(net, c), count) for c in net.coordinates}
    space = [n for n in at if n != "t"]
    if in_ball:
        ray = rng.normal(size=(count, len(space)))
        ray *= rng.uniform(size=(count, 1)) ** (1 / len(space)) / np.linalg.norm(ray, axis=1, keepdims=True)
        at.update(zip(space, 0.999 * ray.T, strict=True))
    errors = []
    for name, expression in exact.items():
        symbols = sorted(expression.free_symbols, key=str)
        known = sp.lambdify(symbols, expression, "numpy")(*(at[s.name] for s in symbols))
        errors.append(relative(net(at)[name], known))
    return max(errors)


def _ends(net: Any, coordinate: Any) -> tuple[float, float]:
    payload = coordinate.declaration.payload
    return net.span if coordinate.name == "t" else (payload["low"], payload["high"])


# -- the race ---------------------------------------------------------------------------------------------


def run(name: str, minutes: float) -> list[Any]:
    """One row of the table."""
    import jax
    import optax

    case = CASES[name]
    system, options, error = case.declare()
    network = sci.pinn.mlp(system, width=case.size[0], depth=case.size[1], fourier=case.fourier, key=jax.random.key(0))
    train = sci.pinn.Stage(sci.pinn.GaussNewton(max_steps=case.steps), every=10)
    if case.soap:
        network = jax.tree.map(lambda leaf: leaf.astype("float32") if hasattr(leaf, "astype") else leaf, network)
        falling = optax.cosine_decay_schedule(3e-3, case.steps, alpha=0.01)
        train = sci.pinn.Stage(sci.pinn.Descent(sci.pinn.soap(falling), case.steps))
    began = time.perf_counter()
    net = sci.pinn.fit(system, network, train=train, minutes=min(minutes, case.minutes), progress=False, **options)
    taken = (time.perf_counter() - began) / 60
    found = error(net)
    count = sum(leaf.size for leaf in jax.tree.leaves(net))
    return [name, found, case.best, "yes" if found <= case.best else "no", taken, len(net.history), count]


def main() -> None:
    import jax

    jax.config.update("jax_enable_x64", True)
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("problems", nargs="*", metavar="problem", help=f"of {', '.join(CASES)}; all if left out")
    parser.add_argument("--minutes", type=float, default=10.0, help="for each problem")
    given = parser.parse_args()
    unknown = [name for name in given.problems if name not in CASES]
    if unknown:
        parser.error(f"no problem {unknown[0]!r}: one of {', '.join(CASES)}")
    rows = []
    for name in given.problems or CASES:
        rows.append(run(name, given.minutes))
        print(rows[-1], flush=True)
    table("pinn pinnacle" if len(rows) == len(CASES) else f"pinn pinnacle {' '.join(given.problems)}", COLUMNS, rows)


if __name__ == "__main__":
    main()
