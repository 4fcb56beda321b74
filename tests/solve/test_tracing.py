"""Numbers are never part of the program: a loop traces once, whatever changes in it."""

import diffrax
import jax
import jax.numpy as jnp
import numpy as np

import sciml as sci

from .models import decay, geometric, lotka_volterra


def traces(system):
    programs = [p for p in sci.compile(system).programs.values() if hasattr(p, "traces")]
    return sum(p.traces for p in programs)


def test_a_hundred_solves_with_other_numbers_trace_once():
    system = lotka_volterra().replace(name="fresh")
    for i in range(100):
        f = 1 + i / 100
        sci.solve(
            system, t_span=(0.1 * i, 0.1 * i + f), params={"a": 1.1 * f, "b": np.float64(0.4)}, initial={"x": 10 * f, "y": jnp.asarray(5.0)},
            rtol=1e-4 * f, atol=1e-6 * f,
        )  # fmt: skip
    assert traces(system) == 1


def test_other_save_times_of_the_same_number_do_not_trace_again():
    system = decay().replace(name="fresh times")
    for i in range(5):
        sci.solve(system, t_span=(0, 2 + i), saveat=np.linspace(0, 1 + i, 7))
    assert traces(system) == 1


def test_keys_steps_and_instances_do_not_trace_again():
    system = geometric().replace(name="fresh noise")
    for i in range(4):
        sci.solve(system, t_span=(0, 1), key=jax.random.key(i), dt=0.1 + 0.01 * i, saveat="end")
    assert traces(system) == 1
    system = decay().replace(name="fresh solver")
    for _ in range(3):
        sci.solve(system, t_span=(0, 1), solver=diffrax.Bosh3(), adjoint=diffrax.DirectAdjoint(), max_steps=64)
    assert traces(system) == 1


def test_integers_and_floats_are_the_same_program():
    system = decay().replace(name="fresh integers")
    sci.solve(system, t_span=(0, 1), params={"k": 1}, initial={"x": 2})
    sci.solve(system, t_span=(0.5, 1.5), params={"k": 0.3}, initial={"x": 2.5})
    assert traces(system) == 1


def test_the_same_system_compiles_to_the_same_program():
    texts = []
    for _ in range(2):
        system = lotka_volterra().replace(name="same")
        sol = sci.solve(system, t_span=(0, 1))
        texts.append(jax.jit(sol._program.run).lower(sol._buffer, {}, None).as_text())
    assert texts[0] == texts[1]


def test_an_equal_solve_gives_equal_bits():
    runs = [np.asarray(sci.solve(lotka_volterra(), t_span=(0, 3))["x"]) for _ in range(2)]
    assert (runs[0] == runs[1]).all()
