"""The pattern of the Jacobian from the symbols, its colouring, and the Jacobian that comes of it."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
import sympy as sp
from hypothesis import given
from hypothesis import strategies as st

import sciml as sci
from sciml.codegen.compiled import Point
from sciml.codegen.sparsity import Sparsity, _colours

t = sci.t
x, y, z, w = sci.variables("x y z w", initial=[1.0, 2.0, 3.0, 4.0])
k = sci.parameters("k", 0.5)


def compiled(*rights, unknowns=(x, y, z, w), **options):
    return sci.compile(sci.System([sci.eq(u.diff(t), r) for u, r in zip(unknowns, rights, strict=False)], **options))


def at(model):
    """The rates as a function of time and state."""
    p, values, given = model.flat_params({})
    functions = model.functions(values)
    return lambda s, state: model.rates(Point(s, state, model.full_params(p, given), functions))


def test_the_pattern_is_exact():
    pattern = compiled(-k * x, x * y, sp.sin(z) + w, k * t).sparsity.pattern
    np.testing.assert_array_equal(pattern, np.array([[1, 0, 0, 0], [1, 1, 0, 0], [0, 0, 1, 1], [0, 0, 0, 0]], bool))


def test_definitions_are_seen_through():
    a, b = sci.variables("a b")
    system = sci.System([sci.eq(x.diff(t), a), sci.eq(y.diff(t), -y), sci.eq(a, b + k), sci.eq(b, y * x)])
    assert sci.compile(system).sparsity.pattern.tolist() == [[True, True], [False, True]]


def test_arrays_have_blocks():
    u = sci.variables("u", shape=(2,), initial=[1.0, 2.0])
    pattern = sci.compile(sci.System([sci.eq(x.diff(t), u[0]), sci.eq(u.diff(t), -u)])).sparsity.pattern
    assert not pattern[0, 0] and pattern[0, 1:].all() and pattern[1:, 1:].all() and not pattern[1:, 0].any()


net = sci.neural("net", eqx.nn.MLP(1, 1, 2, 1, key=jax.random.key(0)))
table = sci.table("table", [0.0, 10.0], [0.0, 1.0])
data = sci.data("data", [0.0, 10.0], [0.0, 1.0], interp="linear")


@pytest.mark.parametrize(
    ("right", "autonomous"),
    [
        (-k * x, True), (x + 0 * y, True), (net(x), True), (table(x), True), (sp.Integer(3), True),
        (x + t, False), (sp.exp(-t) * x, False), (data, False), (table(t), False), (sp.Piecewise((x, t > 1), (y, True)), False),
    ],
)  # fmt: skip
def test_whether_the_time_stands_in_the_right_sides(right, autonomous):
    assert compiled(right, -y).sparsity.autonomous is autonomous


def test_the_time_is_seen_through_definitions():
    a = sci.variables("a")
    assert not sci.compile(sci.System([sci.eq(x.diff(t), a * x), sci.eq(a, t)])).sparsity.autonomous


@given(st.integers(1, 12), st.integers(0, 2**31), st.floats(0.0, 1.0))
def test_columns_of_one_colour_share_no_row(n, seed, density):
    pattern = np.random.default_rng(seed).random((n, n)) < density
    colours = _colours(pattern)
    assert colours.shape == (n,) and colours.min() == 0 and set(colours) == set(range(colours.max() + 1))
    for colour in set(colours):
        assert (pattern[:, colours == colour].sum(1) <= 1).all()


@pytest.mark.parametrize("width", [1, 2, 3])
def test_a_band_needs_as_many_colours_as_it_is_wide(width):
    n = 12
    band = np.abs(np.subtract.outer(np.arange(n), np.arange(n))) <= width
    assert Sparsity(band, _colours(band), True).n_colours == 2 * width + 1


@given(st.integers(1, 8), st.integers(0, 2**31), st.floats(0.0, 0.6))
def test_the_coloured_jacobian_is_the_jacobian(n, seed, density):
    rng = np.random.default_rng(seed)
    pattern = rng.random((n, n)) < density
    matrix = jnp.asarray(np.where(pattern, rng.normal(size=(n, n)), 0.0))
    sparsity = Sparsity(pattern, _colours(pattern), autonomous=False)
    f = lambda s, y: matrix @ jnp.sin(y) + s**2
    state = jnp.asarray(rng.normal(size=n))
    value, jacobian, rate = sparsity.linearise(f, 1.5, state)
    tolerance = 1e-12 if jax.config.jax_enable_x64 else 1e-5
    np.testing.assert_allclose(value, f(1.5, state), atol=tolerance)
    np.testing.assert_allclose(jacobian, jax.jacfwd(lambda y: f(1.5, y))(state), atol=tolerance)
    np.testing.assert_allclose(rate, np.full(n, 3.0), atol=tolerance)


def test_of_a_chain_with_time(close):
    n = 12
    q = sci.variables(f"q0:{n}", initial=list(np.linspace(1, 2, n)))
    rights = [sp.sin(t) * q[i] ** 2 + (q[i - 1] if i else 0) - (q[i + 1] if i < n - 1 else 0) for i in range(n)]
    model = compiled(*rights, unknowns=q)
    assert model.sparsity.coloured and model.sparsity.n_colours == 3
    f, state = at(model), jnp.linspace(1.0, 2.0, n)
    value, jacobian, rate = model.sparsity.linearise(f, 0.3, state)
    close(value, f(jnp.asarray(0.3), state), rtol=1e-12)
    close(jacobian, jax.jacfwd(lambda y: f(jnp.asarray(0.3), y))(state), rtol=1e-12)
    close(rate, np.cos(0.3) * np.linspace(1, 2, n) ** 2, rtol=1e-12)


def test_without_the_time_there_is_no_rate():
    sparsity = compiled(-k * x, x * y).sparsity
    assert sparsity.linearise(lambda s, y: -y, 0.0, jnp.ones(2))[2] is None
