"""sciml's side of the stiff benchmarks, and what it asks of the installed version. Run as a script it says what is there."""

from collections.abc import Callable
from typing import Any

import numpy as np

from benchmarks.stiff_problems import Problem

SOLVER = "rodas5p"


class Missing(SystemExit):
    """This version of sciml does not have what a benchmark measures."""


def needs(*names: str) -> None:
    """Stops with a sentence where sciml lacks a solver, a function or a model."""
    import sciml as sci
    import sciml_models
    from sciml.solve import SOLVERS

    for name in names:
        if name not in SOLVERS and not hasattr(sci, name) and not hasattr(sciml_models, name):
            raise Missing(f"This benchmark needs {name!r}, which this version of sciml does not have. For the peers alone: --peers-only.")


def system_of(problem: Problem) -> Any:
    import sciml_models

    return sciml_models.MODELS[problem.model].make()


def states_of(problem: Problem) -> list[str]:
    """Names of the unknowns in the order of the problem's right side; the model's own order may be another."""
    import sciml_models

    return list(sciml_models.MODELS[problem.model].reference)


def plain_atol(model: Any, atol: float) -> Any:
    """The same absolute tolerance for every unknown, whatever its `nominal` (an atol by name is taken as it is)."""
    return {n: atol for n in model.layout.states}


class Timed:
    """A solve to be timed, and the end state that it gives by name."""

    def __init__(self, run: Callable[[], Any], state: np.ndarray):
        self.run, self.state = run, state

    def __call__(self) -> Any:
        return self.run()


def end_state(problem: Problem, python: bool, solver: str | None = None) -> Callable[[float, float], Timed]:
    """`at(rtol, atol)`: the jitted program alone, or the call of `sci.solve` from Python."""
    import jax
    import jax.numpy as jnp

    import sciml as sci

    jax.config.update("jax_enable_x64", True)
    needs(solver or SOLVER)
    model = sci.compile(system_of(problem))

    def at(rtol: float, atol: float) -> Timed:
        options = {"t_span": (0.0, problem.end), "solver": solver or SOLVER, "rtol": rtol, "atol": plain_atol(model, atol), "saveat": "end"}
        sol = sci.solve(model, **options)
        state = np.array([float(sol[n][-1]) for n in states_of(problem)])
        program, buffer = sol._program, jnp.asarray(sol._buffer)
        alone = lambda: program.jitted(buffer, {}, None)[0].block_until_ready()  # noqa: E731
        return Timed((lambda: sci.solve(model, **options)) if python else alone, state)

    return at


def main() -> None:
    needs(SOLVER, "rosenbrock23", "ensemble", "robertson_dae", "akzo_nobel", "transistor_amplifier")
    print("everything that the stiff benchmarks measure is there")


if __name__ == "__main__":
    main()
