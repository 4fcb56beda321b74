"""NeuralODE: exact solutions of linear fields, derivatives, batches, and what is refused."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.scipy.linalg import expm

import sciml as sci
from sciml.errors import ModelError, SolveError

A = np.array([[-0.5, 2.0, 0.0], [-2.0, -0.5, 0.3], [0.1, 0.0, -1.0]])
DRIVE = np.array([0.3, -0.2, 0.5])


class Linear(eqx.Module):
    """z' = a z + drive*t, or without the time."""

    a: jax.Array
    drive: jax.Array | None = None

    def __call__(self, v):
        return self.a @ v if self.drive is None else self.a @ v[:-1] + self.drive * v[-1]


def exact(a, drive, y0, end):
    """The augmented matrix exponential: the state, the time and 1 obey one linear equation."""
    n = len(y0)
    whole = jnp.zeros((n + 2, n + 2)).at[:n, :n].set(a).at[:n, n].set(drive).at[n, n + 1].set(1.0)
    return (expm(whole * end) @ jnp.concatenate([y0, jnp.array([0.0, 1.0])]))[:n]


@pytest.fixture(scope="module")
def layer():
    return sci.nn.NeuralODE(Linear(jnp.asarray(A), jnp.asarray(DRIVE)), size=3, t_span=(0.0, 1.5), rtol=1e-9, atol=1e-11)


@pytest.fixture(scope="module")
def small():
    """A network, and the function of (layer, y0) whose derivatives are tested."""
    net = eqx.nn.MLP(3, 2, 6, 1, activation=jnp.tanh, key=jax.random.key(1))
    return sci.nn.NeuralODE(net, rtol=1e-10, atol=1e-12)


Y0 = np.array([1.0, -0.4, 0.2])


def test_a_linear_field_is_an_exponential(layer, close):
    close(layer(jnp.asarray(Y0)), exact(A, DRIVE, jnp.asarray(Y0), 1.5), rtol=1e-8)


def test_without_the_time(close):
    still = sci.nn.NeuralODE(Linear(jnp.asarray(A)), size=3, time=False, rtol=1e-9, atol=1e-11)
    close(still(jnp.asarray(Y0)), expm(jnp.asarray(A)) @ jnp.asarray(Y0), rtol=1e-8)
    rows = jnp.stack([jnp.asarray(Y0), 2 * jnp.asarray(Y0)])
    close(still(rows), rows @ expm(jnp.asarray(A)).T, rtol=1e-8)


def test_a_batch_is_one_solve_of_many_rows(layer, close):
    rows = jnp.asarray(np.linspace(-1, 1, 12).reshape(4, 3))
    expected = jax.vmap(lambda y0: exact(jnp.asarray(A), jnp.asarray(DRIVE), y0, 1.5))(rows)
    close(layer(rows), expected, rtol=1e-7, atol=1e-8)
    close(jax.vmap(layer)(rows), expected, rtol=1e-7, atol=1e-8)
    whole, each = layer.solve(rows), jax.vmap(layer.solve)(rows)
    assert np.ndim(whole.stats["rhs"]) == 0 and np.shape(each.stats["rhs"]) == (4,)
    assert whole["z"].shape == (1, 4, 3)


def test_the_time_between_and_the_span_of_the_call(layer, close):
    sol = layer.solve(jnp.asarray(Y0), t_span=(0.0, 0.8), saveat=np.array([0.2, 0.8]))
    for time, found in zip((0.2, 0.8), sol["z"], strict=True):
        close(found, exact(A, DRIVE, jnp.asarray(Y0), time), rtol=1e-7)


def test_the_system_is_an_ordinary_one(layer, close):
    assert str(layer.system) == "System 'neural_ode'\n  z' = f(z, t)"
    sol = sci.solve(
        layer.system, t_span=(0, 1.5), initial={"z": Y0}, params={"f": eqx.filter(layer.module, eqx.is_inexact_array)}, rtol=1e-9, atol=1e-11
    )
    close(sol["z"][-1], layer(jnp.asarray(Y0)), rtol=1e-7)


def test_derivatives_of_a_linear_field_are_closed_forms(layer, close):
    """d z(t1) / d y0 is exp(a t1), and d z(t1) / d drive follows from the same exponential."""
    y0 = jnp.asarray(Y0)
    close(jax.jacrev(layer)(y0), expm(jnp.asarray(A) * 1.5), rtol=1e-6, atol=1e-9)
    close(jax.jacfwd(layer)(y0), expm(jnp.asarray(A) * 1.5), rtol=1e-6, atol=1e-9)
    by_drive = eqx.filter_jit(jax.jacrev(lambda d: eqx.tree_at(lambda m: m.module.drive, layer, d)(y0)))(jnp.asarray(DRIVE))
    close(by_drive, jax.jacrev(lambda d: exact(jnp.asarray(A), d, y0, 1.5))(jnp.asarray(DRIVE)), rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("rows", [0, 3])
def test_derivatives_by_weights_against_finite_differences(small, rows, close):
    """In reverse and forward mode, of one input and of a batch; jitted."""
    y0 = jnp.asarray(np.linspace(-1, 1, 2 * max(rows, 1))).reshape((rows, 2) if rows else (2,))
    arrays, static = eqx.partition(small, eqx.is_inexact_array)
    direction = jax.tree.map(lambda a: jnp.asarray(np.random.default_rng(0).normal(size=a.shape), a.dtype), arrays)

    @jax.jit
    def f(arrays):
        return jnp.sum(jnp.sin(eqx.combine(arrays, static)(y0)))

    along = lambda s: f(jax.tree.map(lambda a, d: a + s * d, arrays, direction))
    step = 1e-4
    expected = (along(step) - along(-step)) / (2 * step)
    gradient = jax.jit(jax.grad(f))(arrays)
    reverse = sum(jnp.vdot(g, d) for g, d in zip(jax.tree.leaves(gradient), jax.tree.leaves(direction), strict=True))
    forward = jax.jit(lambda a, d: jax.jvp(f, (a,), (d,))[1])(arrays, direction)
    close(reverse, expected, rtol=1e-6)
    close(forward, expected, rtol=1e-6)


def test_backsolve_gives_the_same_gradient(small, close):
    y0 = jnp.asarray([0.5, -1.0])

    def gradient(adjoint):
        return eqx.filter_jit(eqx.filter_grad(lambda m: jnp.sum(m.solve(y0, adjoint=adjoint)["z"])))(small).module.layers[0].weight

    close(gradient("backsolve"), gradient("auto"), rtol=1e-6, atol=1e-8)


def test_the_end_time_has_a_derivative(layer, close):
    """d z(t1) / d t1 is f(z(t1), t1)."""
    y0 = jnp.asarray(Y0)
    moved = eqx.tree_at(lambda m: m.t_span, layer, (0.0, jnp.asarray(1.5)))
    by_end = eqx.filter_jacfwd(lambda m: m(y0))(moved).t_span[1]
    close(by_end, layer.module(jnp.append(layer(y0), 1.5)), rtol=1e-6)


def test_other_weights_compile_nothing():
    make = lambda seed: sci.nn.NeuralODE(eqx.nn.MLP(3, 2, 5, 1, key=jax.random.key(seed)))
    first, second = make(0), make(1)
    assert first.system == second.system
    a, b = first.solve(jnp.ones((4, 2))), second.solve(jnp.ones((4, 2)))
    assert a._program is b._program and a._program.traces == 1
    assert not np.allclose(a["z"], b["z"])


def test_zeros_are_appended_to_the_input(close):
    net = eqx.nn.MLP(4, 3, 6, 1, key=jax.random.key(0))
    layer = sci.nn.NeuralODE(net, augment=1)
    assert layer.size == 2 and layer(jnp.ones(2)).shape == (3,) and layer(jnp.ones((5, 2))).shape == (5, 3)
    plain = sci.nn.NeuralODE(net)
    close(layer(jnp.ones(2)), plain(jnp.array([1.0, 1.0, 0.0])))


def test_a_large_batch_is_no_matrix():
    """1024 states: their Jacobian is never written down, by no solver."""
    net = eqx.nn.MLP(9, 8, 16, 1, activation=jnp.tanh, key=jax.random.key(0))
    rows = jnp.asarray(np.random.default_rng(0).normal(size=(128, 8)))
    ends = [sci.nn.NeuralODE(net, solver=solver, rtol=1e-7)(rows) for solver in ("tsit5", "rosenbrock23")]
    np.testing.assert_allclose(*ends, atol=1e-3)


def test_whole_numbers_are_an_input(layer, close):
    close(layer(jnp.array([1, 0, 2])), layer(jnp.array([1.0, 0.0, 2.0])))


def test_many_layers_in_one_vmap(close):
    """An ensemble of networks is a vmap over the layer."""
    make = lambda key: sci.nn.NeuralODE(eqx.nn.MLP(3, 2, 5, 1, key=key))
    keys = jax.random.split(jax.random.key(0), 3)
    together = eqx.filter_vmap(lambda layer: layer(jnp.ones(2)))(eqx.filter_vmap(make)(keys))
    close(together, jnp.stack([make(k)(jnp.ones(2)) for k in keys]), rtol=1e-5)


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda net: sci.nn.NeuralODE(net(4, 3)), None),
        (lambda net: sci.nn.NeuralODE(net(3, 3), size=3), "does not take a vector of 4 numbers (the 3 of the state and the time)"),
        (lambda net: sci.nn.NeuralODE(net(3, 3), size=3), "eqx.nn.MLP(4, 3, 64, 2, key=key)"),
        (lambda net: sci.nn.NeuralODE(net(3, 3), time=False), None),
        (lambda net: sci.nn.NeuralODE(net(3, 3)), "the module gives shape (3,), and needs to give (2,). Write for example eqx.nn.MLP(3, 2, 64, 2"),
        (lambda net: sci.nn.NeuralODE(net(4, 2), augment=1), "needs to give (3,)"),
        (lambda net: sci.nn.NeuralODE(jnp.tanh), "cannot read the size of the state from"),
        (lambda net: sci.nn.NeuralODE(net(1, 1)), "Write NeuralODE(module, size=2)"),
    ],
)
def test_widths_are_checked_when_a_layer_is_made(make, said):
    net = lambda a, b: eqx.nn.MLP(a, b, 4, 1, key=jax.random.key(0))
    if said is None:
        make(net)
        return
    with pytest.raises(ModelError) as error:
        make(net)
    assert said in str(error.value)


@pytest.mark.parametrize(
    ("shape", "said"),
    [
        ((2,), "This NeuralODE takes an array of shape (3,) or (batch, 3), and was given (2,). Write for example layer(jnp.ones(3))."),
        ((2, 4, 3), "Write for example jax.vmap(layer)(y0)."),
        ((0, 3), "was given (0, 3)"),
        ((), "was given ()"),
    ],
)
def test_an_input_of_another_shape_is_refused(layer, shape, said):
    with pytest.raises(SolveError) as error:
        layer(jnp.ones(shape))
    assert said in str(error.value)


def test_what_cannot_be_solved_says_so(layer):
    with pytest.raises(SolveError, match="initial holds nan for 'z'"):
        layer(jnp.full(3, jnp.nan))
    with pytest.raises(SolveError, match="max_steps"):
        layer.solve(jnp.asarray(Y0), max_steps=2)


def test_single_precision():
    with jax.enable_x64(False):
        net = eqx.nn.MLP(3, 2, 6, 1, activation=jnp.tanh, key=jax.random.key(1))
        layer = sci.nn.NeuralODE(net)
        y0 = jnp.ones((4, 2))
        value, gradient = eqx.filter_value_and_grad(lambda m: jnp.sum(m(y0)))(layer)
        assert value.dtype == jnp.float32 and gradient.module.layers[0].weight.dtype == jnp.float32
        assert bool(jnp.isfinite(value)) and bool(jnp.any(gradient.module.layers[0].weight != 0))


def test_a_penalty_of_the_solver_goes_through_the_layer(small):
    """Of a batch, with its derivative by the weights; a weight is only a factor."""
    rows, key = jnp.asarray(np.linspace(-1, 1, 6).reshape(3, 2)), jax.random.key(0)
    penalty = lambda m, weight: m.solve(rows, key=key, regularize=sci.ErrorEstimate(weight)).penalty
    value, gradient = eqx.filter_jit(eqx.filter_value_and_grad(penalty))(small, jnp.asarray(1.0))
    assert value > 0 and bool(jnp.any(gradient.module.layers[0].weight != 0))
    np.testing.assert_allclose(penalty(small, jnp.asarray(2.0)), 2 * value, rtol=1e-9)
