"""Self-scaled quasi-Newton: valleys to rounding, changing inputs, losses that are not finite, L-BFGS of optax beside it."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from sciml.errors import FitError
from sciml.optimize import FAILURES, Broyden, advance, begin

UPDATES = ["ssbroyden", "ssbfgs", "bfgs"]


class Rosenbrock:
    """Of any number of unknowns, with its minimum at (1, 1, ..., 1)."""

    def loss(self, z, *_):
        return jnp.sum(100 * (z[1:] - z[:-1] ** 2) ** 2 + (1 - z[:-1]) ** 2)


class Bowl:
    """A quadratic loss of a pytree, with condition 1e6, around a centre that is an input."""

    scales = jnp.geomspace(1, 1e6, 6)

    def loss(self, z, centre):
        return 0.5 * jnp.sum(self.scales * (jnp.concatenate([z["a"].ravel(), z["b"]]) - centre) ** 2)


def run(method, objective, z, steps, *inputs):
    state = method.begin(z)
    step = jax.jit(lambda state, *inputs: method.advance(objective, state, *inputs))
    losses = []
    for _ in range(steps):
        made = step(state, *inputs)
        state = made.state
        losses.append(float(made.loss))
    return method.point(state), made, losses


@pytest.mark.parametrize("update", UPDATES)
def test_rosenbrock_in_ten_dimensions_to_rounding(update):
    found, made, losses = run(Broyden(update=update, iterations=40), Rosenbrock(), jnp.full(10, -1.0), 4)
    np.testing.assert_allclose(found, 1, rtol=1e-10)
    assert losses[-1] < 1e-20 and int(made.failures) == 0


@pytest.mark.parametrize("update", UPDATES)
def test_an_ill_conditioned_bowl_of_a_pytree(update):
    z, centre = {"a": jnp.zeros((2, 2)), "b": jnp.zeros(2)}, jnp.arange(6.0)
    found, *_ = run(Broyden(update=update, iterations=60), Bowl(), z, 1, centre)
    np.testing.assert_allclose(found["a"], [[0, 1], [2, 3]], rtol=1e-7, atol=1e-7)
    np.testing.assert_allclose(found["b"], [4, 5], rtol=1e-7)


def test_the_curvature_is_kept_when_the_inputs_change():
    """The bowl moves: with H from before, few iterations find the new centre; from the beginning they do not."""
    method = Broyden(iterations=12)
    step = jax.jit(lambda state, centre: method.advance(Bowl(), state, centre))
    z = {"a": jnp.zeros((2, 2)), "b": jnp.zeros(2)}
    state = method.begin(z)
    for seed in range(4):
        state = step(state, jax.random.normal(jax.random.key(seed), (6,))).state
    quick = Broyden(iterations=3)
    warm = quick.advance(Bowl(), state, jnp.arange(6.0) + 1)
    cold = quick.advance(Bowl(), quick.begin(quick.point(state)), jnp.arange(6.0) + 1)
    assert float(warm.loss) < 1e-6 < 1e-1 < float(cold.loss)


def test_the_loss_never_rises():
    *_, losses = run(Broyden(iterations=1), Rosenbrock(), jnp.full(4, -1.0), 40)
    assert all(b <= a for a, b in itertools.pairwise(losses))


def test_it_converges_where_steepest_descent_does_not_help():
    _, made, _ = run(Broyden(iterations=60), Rosenbrock(), jnp.full(2, -1.0), 4)
    assert bool(made.converged)


def test_a_line_search_comes_back_from_where_the_loss_is_not_finite():
    class Barrier:
        def loss(self, z):
            return jnp.sum(z - jnp.log(z))

    found, *_ = run(Broyden(iterations=30), Barrier(), jnp.array([0.01, 20.0]), 2)
    np.testing.assert_allclose(found, 1, rtol=1e-8)


def test_a_loss_that_is_not_finite_changes_nothing_and_is_counted():
    z = jnp.array([2.0, 3.0, 1.0, 1.0, 1.0, 1.0])
    z = {"a": z[:4].reshape(2, 2), "b": z[4:]}
    method = Broyden(iterations=2)
    state = method.advance(Bowl(), method.begin(z), jnp.zeros(6)).state
    step = jax.jit(lambda state, centre: method.advance(Bowl(), state, centre))
    made = step(state, jnp.full(6, jnp.nan))
    assert int(made.failures) == 1 and not bool(made.converged) and not np.isfinite(made.loss)
    for old, new in zip(jax.tree.leaves(state)[:-1], jax.tree.leaves(made.state)[:-1], strict=True):
        np.testing.assert_array_equal(old, new)
    assert int(step(made.state, jnp.zeros(6)).failures) == 0
    for _ in range(FAILURES + 3):
        made = step(made.state, jnp.full(6, jnp.nan))
    assert int(made.failures) == FAILURES


def test_float32():
    found, made, _ = run(Broyden(iterations=60), Rosenbrock(), jnp.array([-1.2, 1.0], jnp.float32), 2)
    assert found.dtype == made.loss.dtype == made.state.inverse.dtype == jnp.float32
    np.testing.assert_allclose(found, 1, rtol=1e-3)


def test_under_vmap():
    method, starts = Broyden(iterations=60), jnp.array([[-1.2, 1.0], [2.0, 2.0], [0.5, -1.0]])
    states = jax.vmap(method.begin)(starts)
    made = jax.jit(jax.vmap(lambda state: method.advance(Rosenbrock(), state)))(states)
    np.testing.assert_allclose(method.point(made.state), 1, rtol=1e-8)


def test_lbfgs_of_optax_takes_the_guarded_step():
    optimizer, z = optax.lbfgs(), jnp.array([-1.2, 1.0])
    state = begin(optimizer, z)
    step = jax.jit(lambda state: advance(lambda z: (Rosenbrock().loss(z), {}), optimizer, state))
    for _ in range(60):
        state = step(state).state
    np.testing.assert_allclose(state.model, 1, rtol=1e-5)


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"update": "broiden"}, "Did you mean 'ssbroyden'"),
        ({"max_steps": 0}, r"Broyden\(max_steps=...\) wants a positive whole number, and got 0"),
        ({"iterations": True}, r"Broyden\(iterations=...\) wants a positive whole number, and got True"),
    ],
)
def test_bad_options(options, text):
    with pytest.raises(FitError, match=text):
        Broyden(**options)


@pytest.mark.parametrize(("z", "text"), [({}, "no arrays"), ((jnp.zeros(2), jnp.zeros(2, jnp.float32)), "float32, float64"), (3, "int")])
def test_unknowns_that_are_not_arrays_of_one_floating_type(z, text):
    with pytest.raises(FitError, match=f"Broyden trains arrays of one floating type, and got .*{text}"):
        Broyden().begin(z)
