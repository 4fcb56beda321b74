"""What Taylor mode offers: partial derivatives, sums along directions, Laplacians; their gradients; what is refused."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from sciml.errors import ModelError
from sciml.pinn.taylor import biharmonic, directional, laplacian, nested, partials

POINT = np.array([0.3, -0.7, 0.4])


@pytest.fixture(autouse=True)
def _double():
    """Derivatives of high order are compared in float64, whatever the precision of the other tests."""
    with jax.enable_x64(True):
        yield


def layers(sizes, seed=0):
    rng = np.random.default_rng(seed)
    return [rng.normal(size=(o, i)) / i**0.5 for i, o in itertools.pairwise(sizes)]


def network(weights, x):
    for w in weights[:-1]:
        x = jnp.tanh(w @ x + 0.1)
    return (weights[-1] @ x)[0]


WEIGHTS = layers([3, 8, 8, 1])


def net(x):
    return network(WEIGHTS, x)


def test_all_partial_derivatives_up_to_order_four(close):
    indices = [index for index in itertools.product(range(5), repeat=3) if sum(index) <= 4]
    found = jax.jit(lambda x: partials(net, x, indices)[0])(POINT)
    some = [n for n, index in enumerate(indices) if index in [(0, 0, 0), (0, 1, 0), (1, 0, 1), (2, 1, 1), (0, 3, 1), (4, 0, 0)]]
    close([found[n] for n in some], nested(net, POINT, [indices[n] for n in some]), rtol=1e-11)


def test_monomials_are_exact():
    for a, b in itertools.product(range(4), repeat=2):
        (found,), _ = partials(lambda x, a=a, b=b: x[0] ** a * x[1] ** b, jnp.array([2.0, 3.0]), [(a, b)])
        assert float(found) == np.prod(np.arange(1.0, a + 1)) * np.prod(np.arange(1.0, b + 1))


def test_combination_of_mixed_orders_and_traced_weights(close):
    parts = [(4, 0, 0), (2, 2, 0), (0, 1, 1), (1, 0, 0), (0, 0, 0)]
    weights = jnp.array([2.0, -1.0, 0.5, 3.0, 0.25])
    expected = weights @ jnp.stack(nested(net, POINT, parts))

    def total(w):
        return partials(net, POINT, [(2, 0, 0)], combinations=[list(zip(parts, w, strict=True))])[1][0]

    close(jax.jit(total)(weights), expected, rtol=1e-11)
    close(jax.grad(total)(weights), jnp.stack(nested(net, POINT, parts)), rtol=1e-11)


def test_combinations_that_share_parts(close):
    sums = [[((2, 0, 0), 1.0), ((0, 2, 0), 1.0)], [((2, 0, 0), 1.0), ((3, 0, 0), -1.0)], [((1, 0, 0), 2.0), ((0, 1, 0), 1.0)], []]
    (u_x,), found = partials(net, POINT, [(1, 0, 0)], combinations=sums)
    (x, y, xx, yy, xxx) = nested(net, POINT, [(1, 0, 0), (0, 1, 0), (2, 0, 0), (0, 2, 0), (3, 0, 0)])
    close([u_x, *found], jnp.stack([x, xx + yy, xx - xxx, 2 * x + y, jnp.zeros_like(x)]), rtol=1e-11)


def test_the_highest_order_of_a_combination_is_not_carried_one_by_one():
    """Of u_xx + u_yy + u_zz only one number is held, whatever the number of terms."""
    squares = [[(tuple(2 * int(i == j) for j in range(3)), 1.0) for i in range(3)]]
    jaxpr = str(jax.make_jaxpr(lambda x: partials(net, x, [], combinations=squares)[1][0])(POINT))
    apart = str(jax.make_jaxpr(lambda x: sum(partials(net, x, [index for index, _ in squares[0]])[0]))(POINT))
    assert jaxpr.count("dot_general") == 3 * (1 + 3 + 1) - 1  # the sum of x itself is zero
    assert apart.count("dot_general") == 3 * (1 + 3 + 3) - 3


@pytest.mark.parametrize("order", [1, 2, 3, 4, 5])
def test_directions_summed_and_one_by_one(order, close):
    along = jax.random.normal(jax.random.key(1), (2, 3))
    weights = jnp.array([2.0, -0.5])
    single = jnp.stack([nested(net, POINT, [(order,)], directions=v[None])[0] for v in along])
    value, each = directional(net, POINT, along, order, each=True)
    close(value, net(POINT))
    close(each, single, rtol=1e-10)
    close(directional(net, POINT, along, order)[1], jnp.sum(single), rtol=1e-10)
    close(directional(net, POINT, along, order, weights)[1], weights @ single, rtol=1e-10)


def test_lower_orders_come_along(close):
    _, (first, second), _ = directional(net, POINT, jnp.eye(3), 3, lower=True)
    close(first, jax.grad(net)(POINT), rtol=1e-11)
    close(second, jnp.diag(jax.hessian(net)(POINT)), rtol=1e-11)


def test_laplacian_and_biharmonic(close):
    close(laplacian(net, POINT), jnp.trace(jax.hessian(net)(POINT)), rtol=1e-11)
    fourth = [tuple(2 * int(i == k) + 2 * int(j == k) for k in range(3)) for i in range(3) for j in range(3)]
    close(biharmonic(net, POINT), sum(nested(net, POINT, fourth)), rtol=1e-10)
    close(laplacian(lambda x: laplacian(net, x), POINT), biharmonic(net, POINT), rtol=1e-10)


def test_radial_functions_have_closed_forms(close):
    r = jnp.linalg.norm(POINT)
    close(laplacian(lambda x: jnp.linalg.norm(x) ** 5, POINT), 30 * r**3)
    close(biharmonic(lambda x: jnp.linalg.norm(x) ** 5, POINT), 360 * r)
    close(biharmonic(lambda x: 1 / jnp.linalg.norm(x), POINT), 0.0, atol=1e-9)


def test_points_and_values_may_be_trees(close):
    f = lambda p: {"u": jnp.sin(p["x"]) * p["t"], "v": (p["t"] ** 2 * jnp.ones(2),)}
    p = {"t": jnp.array(0.5), "x": jnp.array(0.2)}
    (found,), _ = partials(f, p, [(1, 2)])  # leaves in the order of the names: t, x
    close(found["u"], -jnp.sin(0.2))
    close(found["v"][0], jnp.zeros(2))
    along = {"t": jnp.array([1.0, 0.0]), "x": jnp.array([0.0, 1.0])}
    close(directional(f, p, along)[1]["u"], -jnp.sin(0.2) * 0.5)
    close(partials(f, p, [(0, 2)], directions=along)[0][0]["u"], -jnp.sin(0.2) * 0.5)


def test_a_function_that_does_not_depend_on_the_point(close):
    close(partials(lambda x: jnp.array(2.0), POINT, [(0, 0, 0), (1, 0, 0)])[0], [2.0, 0.0])
    close(directional(lambda x: jnp.ones(2), POINT, jnp.eye(3))[1], jnp.zeros(2))
    close(biharmonic(lambda x: x[0] * x[1], POINT), 0.0)


OPERATORS = {
    "partials": lambda f, x: sum(partials(f, x, [(2, 1, 0), (0, 1, 1)])[0]),
    "combination": lambda f, x: partials(f, x, [(1, 0, 0)], combinations=[[((3, 0, 0), 2.0), ((0, 2, 1), -1.0)]])[1][0],
    "directional": lambda f, x: directional(f, x, jnp.array([[1.0, 0.5, -0.3], [0.2, 0.0, 0.8]], x.dtype), 3, jnp.array([1.0, -2.0], x.dtype))[1],
    "laplacian": laplacian,
    "biharmonic": biharmonic,
}


@pytest.mark.parametrize("name", OPERATORS)
def test_gradients_by_weights_and_by_the_point(name, close):
    """Reverse and forward mode through it, under jit and vmap, against central differences."""
    weights = layers([3, 5, 1], seed=3)
    points = jnp.stack([POINT, POINT[::-1]])

    def loss(scale, shift):
        moved = [w * scale for w in weights]
        return jnp.mean(jax.vmap(lambda x: OPERATORS[name](lambda y: network(moved, y), x))(points + shift) ** 2)

    h = 1e-5
    start = jnp.array(1.0), jnp.array(0.1)
    for n in (0, 1):
        move = [jnp.where(k == n, h, 0.0) for k in range(2)]
        expected = (loss(start[0] + move[0], start[1] + move[1]) - loss(start[0] - move[0], start[1] - move[1])) / (2 * h)
        close(jax.jit(jax.grad(loss, n))(*start), expected, rtol=1e-5)
        close(jax.jit(jax.jacfwd(loss, n))(*start), expected, rtol=1e-5)


@pytest.mark.parametrize("name", OPERATORS)
def test_float32_stays_float32(name):
    weights = [w.astype(jnp.float32) for w in WEIGHTS]
    found = OPERATORS[name](lambda y: network(weights, y), POINT.astype(jnp.float32))
    assert found.dtype == jnp.float32
    np.testing.assert_allclose(found, OPERATORS[name](net, POINT), rtol=2e-4, atol=1e-4)


def test_half_precision_stays_half():
    assert laplacian(lambda x: jnp.sum(jnp.tanh(x) / (1 + x**2)), POINT.astype(jnp.bfloat16)).dtype == jnp.bfloat16


def test_it_reads_its_own_output(close):
    """Operators nest in any order, and with JAX's own."""
    x = POINT[:2]
    f = lambda p: jnp.sin(p[0]) * jnp.exp(2 * p[1])
    close(laplacian(lambda p: partials(f, p, [(1, 1)])[0][0], x), 3 * 2 * jnp.cos(x[0]) * jnp.exp(2 * x[1]))
    close(laplacian(lambda p: jnp.sum(jax.grad(f)(p)), x), 3 * (jnp.cos(x[0]) + 2 * jnp.sin(x[0])) * jnp.exp(2 * x[1]))
    close(jax.jacfwd(jax.jacrev(lambda p: laplacian(f, p)))(x)[0, 0], -3 * f(x))


def test_wrong_indices_are_refused():
    with pytest.raises(ModelError, match=r"the index \(2, 1\) does not fit: there are 3 entries of x, so an index is 3 whole numbers"):
        partials(net, POINT, [(2, 1)])
    with pytest.raises(ModelError, match=r"there are 1 directions"):
        partials(net, POINT, [(1,)], directions=jnp.ones((1, 3)), combinations=[[((1, 1), 1.0)]])
    with pytest.raises(ModelError, match="none negative"):
        partials(net, POINT, [(2, -1, 0)])


def test_wrong_directions_are_refused():
    with pytest.raises(ModelError, match=r"the order is 0, .* such as order=2"):
        directional(net, POINT, jnp.eye(3), 0)
    with pytest.raises(ModelError, match=r"3 directions take weights of shape \(3,\), not \(2,\)"):
        directional(net, POINT, jnp.eye(3), 2, jnp.ones(2))
    with pytest.raises(ModelError, match=r"directions of shape \(3, 2\) do not fit a point with 3 numbers"):
        directional(net, POINT, jnp.ones((3, 2)))
