"""A System as functions of JAX: names, values, user functions, neural terms, tables, data, shapes."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
import sympy as sp

import sciml as sci
from sciml.codegen import Point
from sciml.errors import CompileError, ModelError, NameUnknown, SolveError

t = sci.t
x, y = sci.variables("x y", initial=[1.0, 2.0])
a = sci.parameters("a", 0.5)


def rate(right, at=None, params=None, **options):
    """The compiled right side of x' = right."""
    model = sci.compile(sci.System([sci.eq(x.diff(t), right)], **options))
    return model.rhs(0.0, at or {"x": 1.0}, params or {})["x"]


def test_compile_twice_gives_the_same_object():
    system = sci.System([sci.eq(x.diff(t), -a * x)])
    assert sci.compile(system) is sci.compile(system)
    assert sci.compile(sci.compile(system)) is sci.compile(system)


def test_names_and_declared_values():
    c = sci.constants("c", 3.0)
    half = sci.parameters("half", a / 2)
    model = sci.compile(sci.System([sci.eq(x.diff(t), half * c * y), sci.eq(y.diff(t), -a)], initial={y: a + 1}))
    assert model.params == {"a": 0.5}
    assert model.initial == {"x": 1.0}
    assert list(model.layout.states) == ["x", "y"]


def test_a_derived_parameter_follows_and_can_be_set(close):
    half = sci.parameters("half", a / 2)
    quarter = sci.parameters("quarter", half / 2)
    close(rate(quarter * x), 0.125)
    close(rate(quarter * x, params={"a": 4.0}), 1.0)
    close(rate(quarter * x, params={"half": 4.0}), 2.0)
    close(rate(quarter * x, params={"quarter": 4.0}), 4.0)


def test_the_state_may_be_flat_or_a_dict(close):
    model = sci.compile(sci.System([sci.eq(x.diff(t), y), sci.eq(y.diff(t), -x)]))
    close(model.rhs(0.0, [3.0, 4.0]), [4.0, -3.0])
    close(model.rhs(0.0, {x: 3.0, y: 4.0})["y"], -3.0)
    with pytest.raises(ModelError, match=r"needs a value for y"):
        model.rhs(0.0, {"x": 3.0})


@pytest.mark.parametrize(
    ("params", "error", "message"),
    [
        ({"aa": 1.0}, NameUnknown, "no parameter 'aa'. Did you mean 'a'"),
        ({"x": 1.0}, NameUnknown, "'x' is an unknown, not a parameter: write initial="),
        ({"c": 1.0}, ModelError, "'c' is a constant. To change it, declare it as c = sci.parameters"),
        ({"a": [1.0, 2.0]}, SolveError, r"'a' is a scalar.*shape \(2,\).*jax.vmap"),
    ],
)
def test_wrong_names_and_shapes(params, error, message):
    c = sci.constants("c", 3.0)
    with pytest.raises(error, match=message):
        rate(a * x + c, params=params)


def test_a_name_of_no_unknown():
    model = sci.compile(sci.System([sci.eq(x.diff(t), -a * x)]))
    with pytest.raises(NameUnknown, match=r"'a' is a parameter, not an unknown: write params="):
        model.layout.check_state("a")
    with pytest.raises(NameUnknown, match=r"no unknown 'xx'"):
        model.layout.check_state("xx")


def test_initial_values_by_expressions_of_each_other(close):
    """y starts at z + 1, z is 2*x by its equation, x starts at a + t: all follow from a and the start time."""
    z = sci.variables("z")
    system = sci.System([sci.eq(x.diff(t), -x), sci.eq(y.diff(t), z), sci.eq(z, 2 * x)], initial={x: a + t, y: z + 1})
    model = sci.compile(system)
    p, _, _ = model.flat_params({})
    flat = model.initial_state(jnp.zeros(2), p, jnp.asarray(3.0))
    close(flat, [3.5, 8.0])
    given = model.initial_state(jnp.asarray([10.0, 0.0]), p, jnp.asarray(3.0), frozenset({"x"}))
    close(given, [10.0, 21.0])


def test_values_defined_in_a_circle():
    model = sci.compile(sci.System([sci.eq(x.diff(t), y), sci.eq(y.diff(t), -x)], initial={x: y, y: x + 1}))
    with pytest.raises(ModelError, match=r"Values are defined in a circle"):
        model.initial_state(jnp.zeros(2), jnp.zeros(0), jnp.asarray(0.0))


# -- functions that are not SymPy's ---------------------------------------------------------


def test_a_function_of_the_user(close):
    softplus = sci.function("softplus", jax.nn.softplus)
    close(rate(softplus(2 * x)), np.log1p(np.exp(2.0)))
    f = lambda v: rate(softplus(2 * x), {"x": v})
    close(jax.grad(f)(1.0), 2 / (1 + np.exp(-2.0)))


def test_a_user_function_of_two_arguments_and_time(close):
    f = sci.function("f", lambda u, v: u - 2 * v)
    close(rate(f(x, sp.cos(t))), -1.0)


class Sum(eqx.Module):
    """w*(1*in_0 + 2*in_1 + ...): shows what a network is given."""

    w: jax.Array

    def __call__(self, inputs):
        assert inputs.ndim == 1
        return self.w * jnp.sum(inputs * jnp.arange(1.0, len(inputs) + 1, dtype=inputs.dtype))


class Two(Sum):
    def __call__(self, inputs):
        return jnp.stack([self.w * jnp.sum(inputs), jnp.prod(inputs)])


def test_scalar_arguments_of_a_neural_term_are_stacked(close):
    g = sci.neural("g", Sum(jnp.asarray(10.0)))
    close(rate(g(x, 2.0, t)), 50.0)
    close(rate(g(x, 2.0, t), params={"g": Sum(jnp.asarray(1.0))}), 5.0)


def test_array_arguments_of_a_neural_term_are_flat(close):
    z = sci.variables("z", initial=np.ones(3), shape=(3,))
    g = sci.neural("g", Sum(jnp.asarray(1.0)))
    model = sci.compile(sci.System([sci.eq(z.diff(t), g(z, x) * z), sci.eq(x.diff(t), 0)]))
    close(model.rhs(0.0, {"z": [1.0, 2.0, 3.0], "x": 4.0})["z"], np.array([1.0, 2.0, 3.0]) * 30)


def test_a_neural_term_with_an_array_for_output(close):
    z = sci.variables("z", initial=np.ones(3), shape=(3,))
    g = sci.neural("g", eqx.nn.Linear(3, 3, key=jax.random.key(0)))
    model = sci.compile(sci.System([sci.eq(z.diff(t), g(z))]))
    weight, bias = model.params["g"].weight, model.params["g"].bias
    close(model.rhs(0.0, {"z": np.ones(3)})["z"], weight.sum(axis=1) + bias)


def test_two_outputs_of_one_network(close):
    g = sci.neural("g", Two(jnp.asarray(10.0)), outputs=2)
    first, second = g(x, y)
    model = sci.compile(sci.System([sci.eq(x.diff(t), first), sci.eq(y.diff(t), second)]))
    found = model.rhs(0.0, {"x": 3.0, "y": 4.0})
    close([found["x"], found["y"]], [70.0, 12.0])
    assert len(model._lowered.ops) == 3, "the network is evaluated once for both outputs"


def test_the_wrong_number_of_outputs_is_named():
    first, _ = sci.neural("g", Sum(jnp.asarray(1.0)), outputs=2)(x)
    with pytest.raises(CompileError, match=r"gives shape \(\) where outputs=2"):
        rate(first)


def test_the_gradient_by_the_weights(close):
    g = sci.neural("g", Sum(jnp.asarray(10.0)))
    slope = jax.grad(lambda w: rate(g(x, 2.0), {"x": 3.0}, {"g": Sum(w)}))
    close(slope(jnp.asarray(1.0)), 7.0)


def test_a_table(close):
    grid = np.linspace(0, 2, 9)
    k = sci.table("k", grid, grid**3, interp="cubic", outside="extrapolate")
    close(rate(k(x) + k(2 * x), {"x": 0.7}), 0.7**3 + 1.4**3)
    close(jax.grad(lambda v: rate(k(x), {"x": v}))(0.7), 3 * 0.49)
    close(rate(k(x), {"x": 0.5}, {"k": 2 * grid**3}), 0.25)


def test_data_of_time_and_its_replacement(close):
    times = np.linspace(0, 1, 5)
    F = sci.data("F", times, 3 * times, interp="linear")
    model = sci.compile(sci.System([sci.eq(x.diff(t), F * x)]))
    close(model.rhs(0.3, {"x": 2.0})["x"], 1.8)
    close(model.rhs(0.3, {"x": 2.0}, {"F": np.ones(5)})["x"], 2.0)


def test_data_with_several_columns(close):
    times = np.linspace(0, 1, 5)
    F = sci.data("F", times, np.stack([times, 1 - times], axis=1), interp="linear")
    z = sci.variables("z", initial=np.zeros(2), shape=(2,))
    close(sci.compile(sci.System([sci.eq(z.diff(t), F - z)])).rhs(0.25, {"z": np.zeros(2)})["z"], [0.25, 0.75])
    model = sci.compile(sci.System([sci.eq(x.diff(t), F[1] * 2)]))
    close(model.rhs(0.25, {"x": 0.0})["x"], 1.5)


# -- shapes ------------------------------------------------------------------------------------


def test_elementwise_components_and_products(close):
    z = sci.variables("z", initial=np.ones(3), shape=(3,))
    matrix = np.arange(9.0).reshape(3, 3)
    N = sci.constants("N", matrix)
    model = sci.compile(sci.System([sci.eq(z.diff(t), sci.dot(N, z) - z[0] * z**2 + sci.dot(matrix[0], z))]))
    at = np.array([1.0, 2.0, 3.0])
    close(model.rhs(0.0, {"z": at})["z"], matrix @ at - at[0] * at**2 + matrix[0] @ at)


def test_a_scalar_from_an_array_and_back(close):
    z = sci.variables("z", initial=np.ones(3), shape=(3,))
    w = sci.parameters("w", np.array([1.0, 2.0, 3.0]))
    model = sci.compile(sci.System([sci.eq(z.diff(t), x), sci.eq(x.diff(t), sci.dot(w, z) + w[-1])]))
    found = model.rhs(0.0, {"z": [1.0, 1.0, 2.0], "x": 5.0})
    close(found["z"], [5.0, 5.0, 5.0])
    close(found["x"], 12.0)


@pytest.mark.parametrize(
    ("right", "message"),
    [
        (lambda z, N: sci.dot(z, z) * sci.parameters("w", np.ones(2)), r"left side has shape \(3,\), the right side \(2,\).*sci.dot"),
        (lambda z, N: z * sci.parameters("w", np.ones(2)), "shapes do not fit.*sci.dot"),
        (lambda z, N: N * z, "shapes do not fit|left side has shape"),
        (lambda z, N: sci.dot(N, z), "shapes do not fit"),
    ],
)
def test_shapes_that_do_not_fit(right, message):
    z = sci.variables("z", initial=np.ones(3), shape=(3,))
    N = sci.constants("N", np.ones((2, 2)))
    with pytest.raises(CompileError, match=message):
        sci.compile(sci.System([sci.eq(z.diff(t), right(z, N))]))


def test_an_initial_value_of_the_wrong_shape():
    z = sci.variables("z", initial=np.ones(3), shape=(3,))
    with pytest.raises(ModelError, match=r"'z' has shape \(3,\), and the value given has shape \(2,\)"):
        sci.compile(sci.System([sci.eq(z.diff(t), -z)], initial={z: np.ones(2)}))


# -- evaluating afterwards ------------------------------------------------------------------------


def _evaluate(model, *expressions, at=(), params=()):
    p, values, given = model.flat_params(dict(params))
    point = Point(jnp.asarray(0.5), jnp.asarray(at, float), model.full_params(p, given), model.functions(values))
    return model.evaluator(list(expressions))(point)


def test_any_expression_of_unknowns_rates_and_time(close):
    z = sci.variables("z")
    model = sci.compile(sci.System([sci.eq(x.diff(t, 2), -4 * x), sci.eq(z, 2 * x)], initial={x.diff(t): 1.0}))
    at = model.flat_state({"x": 1.0, "x'": 10.0})
    close(_evaluate(model, x + t, x.diff(t), x.diff(t, 2), z, z.diff(t), 3 * x, at=at), [1.5, 10.0, -4.0, 2.0, 20.0, 3.0])


@pytest.mark.parametrize(
    ("expression", "message"),
    [
        (sci.variables("w"), "has no 'w'"),
        (sp.Symbol("x"), "'x' in `x` is not a name"),
        (y.diff(t), "has no rate y'"),
        (sci.white_noise("xi"), "holds white noise 'xi'"),
    ],
    ids=str,
)
def test_what_cannot_be_evaluated_is_named(expression, message):
    model = sci.compile(sci.System([sci.eq(x.diff(t), -x)]))
    with pytest.raises(ModelError, match=message):
        model.evaluator([expression])


def test_explain_speaks_of_the_users_names():
    z = sci.variables("z")
    text = sci.compile(sci.System([sci.eq(x.diff(t), -z), sci.eq(z, 2 * x)], name="pair")).explain()
    assert "System 'pair': 2 equations, 1 states" in text
    assert "z := 2*x" in text


def test_a_system_without_a_rate_is_refused():
    z = sci.variables("z")
    with pytest.raises(CompileError, match=r"no unknown with a derivative"):
        sci.compile(sci.System([sci.eq(z, 2 * t)]))


def test_not_a_system():
    with pytest.raises(ModelError, match=r"needs a System, not int"):
        sci.compile(3)


def test_a_field_is_refused_by_name():
    s = sci.space("s", 0, 1)
    u = sci.fields("u", t, s)
    with pytest.raises(CompileError, match=r"'u' is a field over s, and a solve needs a grid: sci.discretize"):
        sci.compile(sci.System([sci.eq(u.diff(t), u.diff(s, 2))]))


def test_the_diffusion_matrix(close):
    one, two = sci.white_noise("one two")
    system = sci.System([sci.eq(x.diff(t), -x + a * x * one + y * two), sci.eq(y.diff(t), 3 * two)])
    model = sci.compile(system)
    point = Point(jnp.asarray(0.0), jnp.asarray([2.0, 5.0]), jnp.asarray([0.5]), {})
    column = {n.name: i for i, n in enumerate(model.noise.noises)}
    close(model.diffusion(point)[:, [column["one"], column["two"]]], [[1.0, 5.0], [0.0, 3.0]])
    close(model.rates(point), [-2.0, 0.0])


def test_diagonal_noise_is_a_vector(close):
    one, two = sci.white_noise("one two")
    model = sci.compile(sci.System([sci.eq(x.diff(t), a * x * one), sci.eq(y.diff(t), 3 * y * two)]))
    assert model.diagonal
    close(model.diffusion(Point(jnp.asarray(0.0), jnp.asarray([2.0, 5.0]), jnp.asarray([0.5]), {})), [1.0, 15.0])


def test_array_noise(close):
    z = sci.variables("z", initial=np.ones(3), shape=(3,))
    xi = sci.white_noise("xi", shape=(3,))
    model = sci.compile(sci.System([sci.eq(z.diff(t), -z + 2 * z * xi)]))
    close(model.diffusion(Point(jnp.asarray(0.0), jnp.asarray([1.0, 2.0, 3.0]), jnp.zeros(0), {})), [2.0, 4.0, 6.0])
