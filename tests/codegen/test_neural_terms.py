"""Neural functions wherever a formula may stand, their weights in params, and formulas in their place."""

import warnings

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
import sympy as sp

import sciml as sci
from sciml.errors import CompileError
from sciml.system import same_function

t = sci.t
x, y = sci.variables("x y", initial=[1.0, 2.0])
k = sci.parameters("k", 0.5)


class Scaled(eqx.Module):
    """w times the product of what it is given: a network whose formula is known."""

    w: jax.Array

    def __call__(self, v):
        return self.w * jnp.prod(v)


class Both(Scaled):
    def __call__(self, v):
        return self.w * jnp.stack([jnp.sum(v), jnp.prod(v)])


def scaled(value=0.5):
    return sci.neural("g", Scaled(jnp.asarray(value)))


def end(system, **options):
    return sci.solve(system, t_span=(0.0, 1.0), saveat="end", solver="tsit5", rtol=1e-6, atol=1e-8, **options)


def test_the_weights_are_a_leaf_of_params():
    net = eqx.nn.MLP(2, 1, 4, 1, activation=jnp.tanh, key=jax.random.key(0))
    model = sci.compile(sci.System([sci.eq(x.diff(t), -k * x + sci.neural("g", net)(x, t))]))
    assert set(model.params) == {"k", "g"}
    held = jax.tree.leaves(model.params["g"])
    assert [leaf.shape for leaf in held] == [leaf.shape for leaf in jax.tree.leaves(eqx.filter(net, eqx.is_inexact_array))]


@pytest.mark.parametrize(
    "f",
    [lambda g: g(x, y), lambda g: g(x, g(x, y)), lambda g: sp.exp(-(g(x, t) ** 2)), lambda g: g(2 * x, 1)],
    ids=["plain", "nested", "inside", "scaled"],
)
def test_in_an_equation_it_is_the_formula(close, f):
    """The network knows its formula, so the solution must be that of the formula."""
    neural = sci.System([sci.eq(x.diff(t), -x + f(scaled())), sci.eq(y.diff(t), -y)])
    written = sci.System([sci.eq(x.diff(t), -x + f(lambda a, b: k * a * b)), sci.eq(y.diff(t), -y)])
    close(end(neural)[x], end(written)[x], rtol=1e-5)


def test_in_an_observed_quantity(close):
    system = sci.System([sci.eq(x.diff(t), -x), sci.eq(y.diff(t), -y)], observed={"seen": scaled()(x, y) + 1})
    sol = end(system, params={"g": Scaled(jnp.asarray(3.0))})
    close(sol["seen"], 3 * sol[x] * sol[y] + 1)
    close(sol[scaled()(y, y)], 3 * sol[y] ** 2)


def test_an_initial_value_cannot_hold_one():
    system = sci.System([sci.eq(x.diff(t), 0), sci.eq(y.diff(t), 0)], initial={y: scaled()(k, 4)})
    with pytest.raises(CompileError, match=r"'g' stands in an initial value.*initial=\{\.\.\.\}"):
        end(system)


def test_two_outputs_are_two_functions_of_one_network(close):
    first, second = sci.neural("g", Both(jnp.asarray(0.5)), outputs=2)(x, y)
    neural = sci.System([sci.eq(x.diff(t), -first), sci.eq(y.diff(t), -second)])
    written = sci.System([sci.eq(x.diff(t), -k * (x + y)), sci.eq(y.diff(t), -k * x * y)])
    found, expected = end(neural), end(written)
    close([found[x], found[y]], [expected[x], expected[y]], rtol=1e-5)
    assert not same_function(first, second) and same_function(first, first)


SPACE = sci.space("s", 0, 1)
U = sci.fields("u", t, SPACE)


def rod(side, source=0):
    """Heat in a rod: insulated on the left, `u_s = side` on the right."""
    equations = [sci.eq(U.diff(t), U.diff(SPACE, 2) + source)]
    boundary = {SPACE.left: sci.eq(U.diff(SPACE), 0), SPACE.right: sci.eq(U.diff(SPACE), side)}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the start does not fulfil the condition, which matters to neither
        return sci.discretize(sci.System(equations, initial={U: 1 + SPACE**2}, boundary=boundary), {SPACE: sci.FiniteDifference(8)})


@pytest.mark.parametrize("where", ["boundary", "source"])
def test_in_a_partial_differential_equation(close, where):
    g = sci.neural("g", Scaled(jnp.asarray(-0.5)))
    neural = rod(g(U)) if where == "boundary" else rod(-U, g(U, U))
    written = rod(-k * U) if where == "boundary" else rod(-U, -k * U**2)

    def right_end(system, params):
        sol = sci.solve(system, t_span=(0.0, 0.05), saveat="end", solver="tsit5", rtol=1e-6, atol=1e-8, params=params)
        return sol[U][0, -1]

    found = jax.value_and_grad(lambda w: right_end(neural, {"g": Scaled(w)}))(jnp.asarray(-0.5))
    expected = jax.value_and_grad(lambda v: right_end(written, {"k": v}))(jnp.asarray(0.5))
    close(found[0], expected[0], rtol=1e-5)
    close(found[1], -expected[1], rtol=1e-3)


def test_gradients_by_the_weights_in_both_modes(close):
    system = sci.System([sci.eq(x.diff(t), -scaled()(x, x)), sci.eq(y.diff(t), 0)])
    value = lambda w, adjoint: end(system, params={"g": Scaled(w)}, adjoint=adjoint)[x][0]
    w = jnp.asarray(0.7)  # x = 1/(1 + w*t)
    close(jax.jit(jax.grad(lambda w: value(w, "auto")))(w), -1 / 1.7**2, rtol=1e-4)
    close(jax.jit(jax.vmap(jax.jacfwd(lambda w: value(w, "forward"))))(jnp.stack([w, w])), -np.ones(2) / 1.7**2, rtol=1e-4)


def test_latex():
    g = scaled()
    shown = sci.System([sci.eq(x.diff(t), -k * x + g(x, y)), sci.eq(y.diff(t), g(y, t))]).latex()
    assert r"\frac{d x}{d t} &= - k x + g{\left(x,y \right)}" in shown and r"g{\left(y,t \right)}" in shown


def test_saved_and_loaded_it_gives_the_same(tmp_path, close):
    net = eqx.nn.MLP(2, 2, 4, 1, activation=jnp.tanh, key=jax.random.key(3))
    g1, g2 = sci.neural("g", net, outputs=2)(x, y)
    system = sci.System([sci.eq(x.diff(t), g1), sci.eq(y.diff(t), g2)], observed={"sum": g1 + g2})
    sci.save(system, tmp_path / "model.json")
    again = sci.load(tmp_path / "model.json")
    assert again == system
    close(end(again)["sum"], end(system)["sum"])
