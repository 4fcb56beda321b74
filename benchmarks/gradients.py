"""How far are gradients from central differences, in both modes, for every ready ODE model?

A weighted sum of all states at the end of a short horizon, by all parameters and all initial values, each in units of its
own size. Differences of fourth order; distances relative to the norm of the gradient.
"""

import jax
import jax.numpy as jnp
import numpy as np

import sciml as sci
import sciml_models
from benchmarks.common import table

jax.config.update("jax_enable_x64", True)
HORIZON = {
    "lotka_volterra": 1.0, "lorenz": 0.3, "van_der_pol": 1.0, "robertson": 0.05, "hires": 1.0, "orego": 1.0, "pollution": 0.05,
    "pleiades": 0.5, "fitzhugh_nagumo": 2.0, "double_pendulum": 0.5,
}  # fmt: skip
STEP = 4e-3


def compare(name: str) -> list[float]:
    """Distances from central differences, relative to the norm: [reverse, forward]."""
    known = sciml_models.MODELS[name]
    model = sci.compile(known.make())
    params, initial = model.params, model.initial
    options = {"t_span": (0.0, HORIZON[name]), "solver": known.solver, "rtol": 1e-8, "atol": 1e-10}
    sol = sci.solve(model, saveat=50, **options)
    largest = np.array([np.abs(np.asarray(sol[n])).max() for n in initial])
    values = np.array([*params.values(), *initial.values()], dtype=float)
    scale = np.where(values == 0.0, np.array([*[1.0] * len(params), *largest]), np.abs(values))
    weights = np.cos(1.0 + np.arange(len(initial))) / largest

    def loss(z: jax.Array, **more: object) -> jax.Array:
        numbers = z * scale
        p = {n: numbers[i] for i, n in enumerate(params)}
        start = {n: numbers[len(params) + i] for i, n in enumerate(initial)}
        end = sci.solve(model, params=p, initial=start, **options, **more)
        return sum(w * end[n][-1] for w, n in zip(weights, initial, strict=True))

    z = values / scale
    shifts = STEP * np.eye(z.size)
    plus, minus, plus2, minus2 = ([float(loss(z + k * s, saveat=50)) for s in shifts] for k in (1, -1, 2, -2))
    difference = (8 * np.subtract(plus, minus) - np.subtract(plus2, minus2)) / (12 * STEP)
    reverse = jax.jit(jax.grad(lambda z: loss(z, saveat="end")))(jnp.asarray(z))
    forward = jax.jit(jax.jacfwd(lambda z: loss(z, saveat="end", adjoint="forward")))(jnp.asarray(z))
    return [float(np.linalg.norm(np.asarray(g) - difference) / np.linalg.norm(difference)) for g in (reverse, forward)]


def main() -> None:
    table("Gradients against central differences, target 1e-5", ["model", "reverse mode", "forward mode"], [[n, *compare(n)] for n in HORIZON])


if __name__ == "__main__":
    main()
