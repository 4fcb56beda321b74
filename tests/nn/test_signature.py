"""Log-signatures against iterated integrals, and the laws that they obey."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import sciml as sci
from sciml.errors import ModelError

RNG = np.random.default_rng(0)
PATH = RNG.normal(size=(12, 3)).cumsum(0)
I, J = np.triu_indices(3, 1)
log_signature = eqx.filter_jit(sci.nn.log_signature)


def by_quadrature(path, points=2000):
    """Increments and areas of the straight lines by the trapezoidal rule on many points, which is exact up to rounding here."""
    s = np.linspace(0, len(path) - 1, points * (len(path) - 1) + 1)
    fine = np.column_stack([np.interp(s, np.arange(len(path)), c) for c in path.T])
    x, dx = (fine[:-1] + fine[1:]) / 2 - fine[0], np.diff(fine, axis=0)
    integral = x.T @ dx
    return np.concatenate([fine[-1] - fine[0], 0.5 * (integral - integral.T)[I, J]])


def joined(a, b):
    """Baker, Campbell and Hausdorff up to depth 2."""
    bracket = np.outer(a[:3], b[:3])
    return a + b + np.concatenate([np.zeros(3), 0.5 * (bracket - bracket.T)[I, J]])


def test_iterated_integrals(close):
    close(log_signature(PATH), by_quadrature(PATH), rtol=1e-10)
    close(log_signature(PATH, 1), PATH[-1] - PATH[0], rtol=1e-12)


def test_area_of_a_circle(close):
    angle = np.linspace(0, 2 * np.pi, 2001)
    close(log_signature(np.column_stack([np.cos(angle), np.sin(angle)])), [0, 0, np.pi], rtol=1e-5, atol=1e-12)


def test_chens_identity(close):
    close(joined(*(np.asarray(log_signature(p)) for p in (PATH[:5], PATH[4:]))), log_signature(PATH), rtol=1e-10)


def test_speed_does_not_matter(close):
    s = np.sort(np.concatenate([np.arange(12.0), RNG.uniform(0, 11, 30)]))  # more points on the same lines
    finer = np.column_stack([np.interp(s, np.arange(12), c) for c in PATH.T])
    close(log_signature(finer), log_signature(PATH), rtol=1e-10, atol=1e-12)
    there_and_back = np.concatenate([PATH, PATH[::-1][1:]])
    close(log_signature(there_and_back), np.zeros(6), atol=1e-12)


@pytest.mark.parametrize("depth", (1, 2))
def test_windows(depth, close):
    t = np.cumsum(RNG.uniform(0.1, 1, 12))
    lot = sci.nn.LogSignature(window=4, depth=depth)
    path = eqx.filter_jit(lot.path)(sci.nn.series(t, PATH[:, :2]))
    points = np.column_stack([t, PATH[:, :2]])
    assert path.width == lot.width(3) and len(path.pieces) == 3 and path.kinked
    for w, (a, b) in enumerate(((0, 5), (4, 9), (8, 12))):  # the last window is shorter
        close(path.pieces[w, 1], log_signature(points[a:b], depth), rtol=1e-9)
    np.testing.assert_array_equal(path.pieces[0, 0, 3:], 0)
    close(path.pieces[2, :2, :3].sum(0), points[-1], rtol=1e-10)  # the path itself goes from the first sample to the last


def test_windows_do_not_see_padding(close):
    lot = sci.nn.LogSignature(window=5)
    mask = np.ones((12, 3), bool)
    mask[3, 0] = mask[7, 2] = False
    short = sci.nn.series(None, PATH, mask=mask)
    long = sci.nn.series(None, np.append(PATH, np.ones((8, 3)), 0), mask=np.append(mask, np.zeros((8, 3), bool), 0))
    a, b = (eqx.filter_jit(lot.path)(s, intensity=True) for s in (short, long))
    close(b.pieces[:3, 1], a.pieces[:, 1], rtol=1e-10, atol=1e-13)
    assert not b.pieces[3:, 1].any()
    close(a.pieces[:, 1, 0].sum(), 11.0)
    close(a.pieces[:, 1, 4:7].sum(0), mask.sum(0) - 1)  # the counts of observations have increments too


def test_derivatives(close):
    weights = jnp.asarray(RNG.normal(size=6), float)
    value = jax.jit(lambda p: weights @ log_signature(p))
    gradient = jax.grad(value)(jnp.asarray(PATH, float))
    direction = jnp.asarray(RNG.normal(size=PATH.shape), float)
    h = 1e-5 if jax.config.jax_enable_x64 else 1e-2
    central = (value(PATH + h * direction) - value(PATH - h * direction)) / (2 * h)
    close(jnp.sum(gradient * direction), central, rtol=1e-7)
    close(jax.jvp(value, (jnp.asarray(PATH, float),), (direction,))[1], central, rtol=1e-7)


ERRORS = {
    "depth": (lambda: sci.nn.LogSignature(3, depth=3), "depth=3: log-signatures are there for depth=1"),
    "depth of a path": (lambda: log_signature(PATH, 0), "depth=0"),
    "window": (lambda: sci.nn.LogSignature(0), "window=0: give a whole number of intervals"),
    "no path": (lambda: log_signature(np.ones(4)), "two points or more, not (4,)"),
}


@pytest.mark.parametrize("case", ERRORS)
def test_errors(case):
    call, words = ERRORS[case]
    with pytest.raises(ModelError) as error:
        call()
    assert words in str(error.value)
