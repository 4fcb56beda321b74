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


# Trainings: inputs, looks, and numbers that are read later than they are made


def counted(state, n):
    return Step(state + 1, float(state), shown={"input": n})


@pytest.mark.parametrize("lag", [0, 3, 100])
def test_inputs_and_looks(lag):
    """A look sees the state and all rows up to it, however late the numbers are read."""
    seen = []

    def look(n, state, rows):
        seen.append((n, state, len(rows), rows[-1]["input"]))
        rows[-1]["looked"] = 1.0
        return "enough" if n == 20 else ""

    outcome = repeat(counted, 0, 1000, inputs=lambda n: (n,), look=look, due=lambda n: n % 5 == 0, lag=lag, progress=False)
    assert seen == [(n, n, n, n - 1) for n in (5, 10, 15, 20)]
    assert outcome.state == 20 and outcome.reason == "enough" and not outcome.converged
    assert outcome.losses.tolist() == list(range(20)) and outcome.history["looked"].sum() == 4


def test_a_run_goes_on_from_its_rows():
    first = repeat(counted, 0, 7, inputs=lambda n: (n,), progress=False)
    rows = first.history.to_dict("records")
    rest = repeat(counted, first.state, 10, inputs=lambda n: (n,), rows=rows, progress=False)
    assert rest.state == 10 and rest.history["input"].tolist() == list(range(10)) and rest.history["seconds"].is_monotonic_increasing


@pytest.mark.parametrize("lag", [0, 4])
def test_the_steps_count_their_failures(lag):
    """From the 20th on a step changes nothing, and is not counted."""

    def failing(state):
        return Step(min(state + 1, 20), 1.0, failures=min(state + 1, 20))

    outcome = repeat(failing, 0, 100, lag=lag, progress=False)
    assert outcome.state == 20 and len(outcome.losses) == 20 and "for 20 steps" in outcome.reason


def test_ctrl_c_keeps_what_was_reached():
    def interrupted(n):
        if n == 6:
            raise KeyboardInterrupt
        return (n,)

    outcome = repeat(counted, 0, 100, inputs=interrupted, lag=3, progress=False)
    assert outcome.state == 6 and outcome.losses.tolist() == list(range(6)) and outcome.reason == "interrupted after 6 steps"
    with pytest.raises(KeyboardInterrupt):
        repeat(counted, 0, 100, inputs=lambda n: interrupted(6), progress=False)
