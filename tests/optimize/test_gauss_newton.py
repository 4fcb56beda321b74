"""Gauss-Newton: exact on linear residuals, on valleys, and with residuals that are not finite."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from sciml.errors import FitError
from sciml.optimize import FAILURES, GaussNewton, row_by_row

SOLVES = ["cholesky", "dual", "krylov"]


class Linear:
    """r = A z - b, of a pytree z of four numbers."""

    def __init__(self, rows):
        self.a = jax.random.normal(jax.random.key(1), (rows, 4))
        self.b = jax.random.normal(jax.random.key(2), (rows,))

    def residuals(self, z):
        return self.a @ jnp.concatenate([jnp.ravel(z["matrix"]), z["number"][None]]) - self.b


class Rosenbrock:
    def residuals(self, z, steep):
        return jnp.concatenate([steep * (z[1:] - z[:-1] ** 2), 1 - z[:-1]])


def run(method, objective, z, steps, *inputs):
    state = method.begin(z)
    step = jax.jit(lambda state, *inputs: method.advance(objective, state, *inputs))
    for _ in range(steps):
        made = step(state, *inputs)
        state = made.state
    return method.point(state), made


@pytest.mark.parametrize("solve", SOLVES)
@pytest.mark.parametrize("rows", [3, 9])
def test_one_undamped_step_solves_linear_residuals(solve, rows, close):
    problem = Linear(rows)
    z = {"matrix": jnp.zeros((1, 3)), "number": jnp.zeros(())}
    found, made = run(GaussNewton(damping=1e-8, solve=solve), problem, z, 1)
    found = np.concatenate([np.ravel(found["matrix"]), [found["number"]]])
    exact, *_ = np.linalg.lstsq(np.asarray(problem.a), np.asarray(problem.b), rcond=None)
    close(found, exact, rtol=1e-5, atol=1e-6)
    close(made.loss, np.sum((np.asarray(problem.a) @ exact - np.asarray(problem.b)) ** 2), rtol=1e-6, atol=1e-10)


@pytest.mark.parametrize("accelerate", [True, False])
@pytest.mark.parametrize("solve", SOLVES)
def test_rosenbrock(solve, accelerate, close):
    found, made = run(GaussNewton(solve=solve, accelerate=accelerate), Rosenbrock(), jnp.array([-1.2, 1.0, 0.5]), 60, jnp.array(10.0))
    close(found, np.ones(3), rtol=1e-7)
    assert float(made.loss) < 1e-12


def test_the_acceleration_saves_steps():
    def steps(accelerate):
        state, method = GaussNewton().begin(jnp.array([-1.2, 1.0])), GaussNewton(accelerate=accelerate)
        step = jax.jit(lambda state: method.advance(Rosenbrock(), state, jnp.array(10.0)))
        for n in range(200):
            made = step(state)
            state = made.state
            if made.loss < 1e-8:
                return n
        return None

    assert steps(True) < steps(False)


def test_the_loss_never_rises_and_what_is_shown_is_the_damping():
    method, z = GaussNewton(), jnp.array([-1.2, 1.0])
    state, losses = method.begin(z), []
    step = jax.jit(lambda state: method.advance(Rosenbrock(), state, jnp.array(10.0)))
    for _ in range(20):
        made = step(state)
        state = made.state
        losses.append(float(made.loss))
        assert float(made.shown["damping"]) == float(state.damping)
    assert all(b <= a for a, b in itertools.pairwise(losses))


def test_it_converges_where_no_step_helps():
    problem = Linear(9)
    z = {"matrix": jnp.zeros((1, 3)), "number": jnp.zeros(())}
    _, made = run(GaussNewton(), problem, z, 30)
    assert bool(made.converged)


def test_a_residual_that_is_not_finite_changes_nothing_and_is_counted():
    class Root:
        def residuals(self, z, b):
            return jnp.sqrt(z) - b

    z = jnp.array([4.0])
    method = GaussNewton()
    found, made = run(method, Root(), z, FAILURES + 5, jnp.array([jnp.nan]))
    assert found == z and int(made.failures) == FAILURES and not bool(made.converged)
    state = method.advance(Root(), method.begin(z), jnp.array([jnp.nan])).state
    assert int(method.advance(Root(), state, jnp.array([1.0])).failures) == 0


def test_a_step_out_of_the_domain_is_taken_back(close):
    class Log:  # the full step leads to a negative z, where the residual is NaN
        def residuals(self, z):
            return jnp.log(z)

    found, _ = run(GaussNewton(damping=1e-9), Log(), jnp.array([8.0]), 30)
    close(found, [1.0], rtol=1e-6)


def test_rows_give_the_jacobian_of_the_whole(close):
    def residual(z, x, y):
        return jnp.stack([jnp.sin(z["w"] @ x) - y, z["w"][0] * y + z["c"]])

    z = {"w": jnp.array([0.3, -1.0]), "c": jnp.array(2.0)}
    x, y = jax.random.normal(jax.random.key(0), (5, 2)), jnp.arange(5.0)
    r, jacobian = row_by_row(residual, z, x, y)
    whole = jax.jacfwd(lambda z: jax.vmap(residual, (None, 0, 0))(z, x, y).ravel())(z)
    close(jacobian, np.concatenate([np.asarray(whole["c"])[:, None], whole["w"]], axis=1))
    close(r, jax.vmap(residual, (None, 0, 0))(z, x, y).ravel())


def test_the_jacobian_of_the_objective_is_used(close):
    class Fit(Linear):
        def jacobian(self, z):
            return self.residuals(z), self.a

        def residuals(self, z):
            return self.a @ z - self.b

    found, _ = run(GaussNewton(damping=1e-10), Fit(9), jnp.zeros(4), 1)
    close(found, np.linalg.lstsq(np.asarray(Fit(9).a), np.asarray(Fit(9).b), rcond=None)[0], rtol=1e-5)


def test_float32():
    found, made = run(GaussNewton(), Rosenbrock(), jnp.array([-1.2, 1.0], jnp.float32), 40, jnp.array(10.0, jnp.float32))
    assert found.dtype == made.loss.dtype == jnp.float32
    np.testing.assert_allclose(found, 1, rtol=1e-3)


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"solve": "cholesk"}, "Did you mean 'cholesky'"),
        ({"max_steps": 0}, r"GaussNewton\(max_steps=...\) wants a positive whole number, and got 0"),
        ({"inner": 0}, r"GaussNewton\(inner=...\) wants a positive whole number, and got 0"),
        ({"damping": 0.0}, "wants a positive number"),
    ],
)
def test_bad_options(options, text):
    with pytest.raises(FitError, match=text):
        GaussNewton(**options)


def test_unknowns_that_are_not_numbers():
    with pytest.raises(FitError, match="GaussNewton trains arrays of one floating type, and got int32"):
        GaussNewton().begin({"a": jnp.arange(3, dtype=jnp.int32)})
