"""The ready models for the tests of this folder: each compiled once, and solved once to its reference."""

import functools
import os

import numpy as np
import pytest

import sciml as sci
from sciml_models import MODELS

# rtol and atol of the solve (atol counts in units of `nominal`), and the relative error that the end may then have.
ODES = {
    "lotka_volterra": (1e-10, 1e-12, 1e-9),
    "lorenz": (1e-11, 1e-12, 1e-9),
    "van_der_pol": (1e-7, 1e-10, 5e-7),
    "robertson": (1e-7, 1e-17, 5e-7),
    "hires": (1e-8, 1e-10, 1e-8),
    "orego": (1e-7, 1e-10, 3e-6),
    "pollution": (1e-8, 1e-9, 1e-8),
    "pleiades": (1e-11, 1e-12, 1e-8),
    "fitzhugh_nagumo": (1e-10, 1e-12, 1e-9),
    "double_pendulum": (1e-11, 1e-12, 1e-9),
    "hodgkin_huxley": (1e-10, 1e-12, 1e-8),
    "belousov_zhabotinsky": (1e-11, 1e-12, 1e-6),
    "field_noyes": (1e-8, 1e-10, 1e-6),
    "e5": (1e-8, 1e-12, 1e-5),
    "carbon_bond": (1e-8, 1e-8, 1e-6),
    "emep": (1e-6, 1e-8, 1e-5),
    "ring_modulator": (1e-6, 1e-6, 5e-4),
    "robertson_dae": (1e-7, 1e-17, 5e-7),
    "akzo_nobel": (1e-8, 1e-10, 1e-7),
    "transistor_amplifier": (1e-8, 1e-10, 1e-6),
}
SDES = ("ornstein_uhlenbeck", "stochastic_oscillator")

needs_float64 = pytest.mark.skipif(os.environ.get("SCIML_TEST_PRECISION") == "float32", reason="compared with more digits than float32 has")


@functools.cache
def compiled(name):
    return sci.compile(MODELS[name].make())


@functools.cache
def solved(name):
    """The solution over the span of the reference, at 50 times."""
    known, (rtol, atol, _) = MODELS[name], ODES[name]
    return sci.solve(compiled(name), t_span=known.t_span, solver=known.solver, rtol=rtol, atol=atol, saveat=50)


def sizes(name, t_span):
    """The largest absolute value of each state over a span, in the order of the layout. Runs the program of `solved`."""
    known, (rtol, atol, _) = MODELS[name], ODES[name]
    sol = sci.solve(compiled(name), t_span=t_span, solver=known.solver, rtol=rtol, atol=atol, saveat=50)
    return np.array([np.abs(np.asarray(sol[n])).max() for n in compiled(name).layout.states])
