"""How far are gradients from central differences, in both modes, for every ready ODE model?"""

import jax
import jax.numpy as jnp
import numpy as np

import sciml as sci
import sciml_models
from benchmarks.common import table

jax.config.update("jax_enable_x64", True)


def compare(name: str) -> list[float]:
    """Distances from central differences, relative to the norm: [reverse, forward]."""
    model = sciml_models.MODELS[name]
    system = model.make()
    compiled = sci.compile(system)
    params = {n: v for n, v in compiled.params.items() if np.ndim(v) == 0}
    sol0 = sci.solve(system, t_span=model.t_span, saveat=2, max_steps=1, throw=False)
    initial = {n: float(sol0[n][0]) for n in compiled.layout.states}
    names = [*params, *initial]
    centre = jnp.array([*params.values(), *initial.values()])
    span = (model.t_span[0], model.t_span[0] + 1e-3 * (model.t_span[1] - model.t_span[0]))
    solver = {"solver": model.solver} if model.solver != "auto" else {}

    def loss(v: jax.Array, adjoint: str = "auto") -> jax.Array:
        values = dict(zip(names, v, strict=True))
        sol = sci.solve(
            system, t_span=span, saveat="end", adjoint=adjoint, params={n: values[n] for n in params},
            initial={n: values[n] for n in initial}, rtol=1e-10, atol=1e-13, max_steps=4000, **solver,
        )  # fmt: skip
        return sum((i + 1.0) * sol[n][-1] for i, n in enumerate(initial))

    h = 6e-6 * jnp.maximum(jnp.abs(centre), 1e-2)
    run = jax.jit(lambda v: jax.lax.map(loss, v))
    difference = (run(centre[None] + jnp.diag(h)) - run(centre[None] - jnp.diag(h))) / (2 * h)
    reverse = jax.jit(jax.grad(loss))(centre)
    forward = jax.jit(jax.jacfwd(lambda v: loss(v, "forward")))(centre)
    norm = float(jnp.linalg.norm(difference))
    return [float(jnp.linalg.norm(g - difference)) / norm for g in (reverse, forward)]


def main() -> None:
    rows = [[name, *compare(name)] for name, m in sciml_models.MODELS.items() if sci.compile(m.make()).noise.kind == "none"]
    table("Gradients against central differences, target 1e-5", ["model", "reverse mode", "forward mode"], rows)


if __name__ == "__main__":
    main()
