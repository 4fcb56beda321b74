"""The loop alone, on a parabola."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from sciml.optimize import FirstOrder, LevenbergMarquardt, Step, method_of, repeat


class Line:
    """residuals(z) = A z - b."""

    a = jnp.array([[1.0, 2.0], [3.0, 1.0], [0.0, 1.0]])
    b = jnp.array([1.0, 2.0, 0.5])

    def residuals(self, z, adjoint):
        return self.a @ z - self.b

    def loss(self, z):
        return 0.5 * jnp.sum(self.residuals(z, "checkpoint") ** 2)


@pytest.mark.parametrize("method", [LevenbergMarquardt(), FirstOrder(optax.adam(0.1), max_steps=600)])
def test_methods_find_the_least_squares_solution(method, close):
    state, step, best = method.start(Line(), jnp.zeros(2))
    outcome = repeat(step, state, method.max_steps, progress=False)
    close(best(outcome.state), np.linalg.lstsq(np.asarray(Line.a), np.asarray(Line.b), rcond=None)[0], rtol=1e-3)
    assert len(outcome.losses) <= method.max_steps and outcome.losses[-1] <= outcome.losses[0]


def test_it_stops_when_converged_and_says_so():
    step = jax.jit(lambda s: Step(s / 2, s**2, s < 0.1))
    outcome = repeat(step, jnp.array(1.0), 100, progress=False)
    assert outcome.converged and outcome.reason == "converged" and len(outcome.losses) == 5


def test_it_stops_on_lasting_nan():
    outcome = repeat(lambda s: Step(s, jnp.nan, False), 0.0, 100, progress=False)
    assert not outcome.converged and "NaN" in outcome.reason and len(outcome.losses) == 20


def test_it_shows_a_bar(capsys):
    repeat(lambda s: Step(s, 1.0, False), 0.0, 3, label="three steps")
    assert "three steps" in capsys.readouterr().err


def test_methods_by_name():
    assert isinstance(method_of("levenberg_marquardt"), LevenbergMarquardt) and isinstance(method_of("first_order"), FirstOrder)
    assert isinstance(method_of(optax.sgd(0.1)), FirstOrder)
