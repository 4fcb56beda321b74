"""How long from the declaration to the first solution, for a long chain and for every ready model?"""

import sys
from functools import partial

import jax

import sciml as sci
import sciml_models
from benchmarks.common import once, table

jax.config.update("jax_enable_x64", True)


def chain(n: int) -> None:
    """x_i' = k*(x_{i-1} - x_i), declared as n scalar equations and solved."""
    xs = sci.variables(f"x0:{n}", initial=1.0)
    k = sci.parameters("k", 1.0)
    equations = [sci.eq(xs[0].diff(sci.t), -k * xs[0])]
    equations += [sci.eq(xs[i].diff(sci.t), k * (xs[i - 1] - xs[i])) for i in range(1, n)]
    sci.solve(sci.System(equations), t_span=(0, 10))


def compiled(model: sciml_models.Model) -> None:
    """Everything up to the point where JAX traces."""
    assert sci.compile(model.make())._lowered is not None


def main() -> None:
    once(lambda: chain(3))  # imports and first use of JAX
    table(
        "Chain of equations, System to solution, target 8 s for 300",
        ["equations", "seconds"],
        [[n, once(partial(chain, n))] for n in (10, 100, 300, 1000)],
    )
    rows = []
    for name, model in sciml_models.MODELS.items():
        rows.append([name, once(partial(compiled, model)), once(partial(compiled, model))])
    table("Ready models, declared and compiled before XLA, target 1 s", ["model", "first time, s", "again, s"], rows)


if __name__ == "__main__":
    sys.exit(main())
