"""Every method gives what nested reverse mode gives, with gradients; wrong requests are refused by name."""

import functools

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
import sympy as sp

import sciml as sci
from sciml.errors import CompileError, FitError, NameUnknown
from sciml.passes import Along, Combination, Diagonal, Gradient, Laplacian, Partial, placeholder
from sciml.pinn.embedding import embedding_of
from sciml.pinn.plan import plan
from sciml.pinn.plans import Dense, Sparse
from sciml.pinn.plans.nested import nested, reverse
from sciml.pinn.plans.site import Site

EXACT = 1e-10 if jax.config.jax_enable_x64 else 2e-4
OO = sp.oo
W = sp.Symbol("w")


def evaluate(made, network, p, weights=None):
    """At one point, compiled."""
    return eqx.filter_jit(made.evaluate)(network, p, weights)


def difference(f, x, direction, h):
    """The derivative along a direction by central differences of order 4."""
    return (8 * (f(x + h * direction) - f(x - h * direction)) - f(x + 2 * h * direction) + f(x - 2 * h * direction)) / (12 * h)


class Case:
    """A network of two functions of t and of X in d dimensions, and a point."""

    def __init__(self, d, rows=8, outputs=2, unbounded=True, hidden=1):
        X = sci.space("X", *((-OO, OO) if unbounded else (-1, 3)), dim=d)
        self.d, self.embedding = d, embedding_of((sci.t, X), t_span=(0, 2))
        self.layout, self.names = {"t": slice(0, 1), "X": slice(1, d + 1)}, ("t", "X")
        self.network = eqx.nn.MLP(d + 1, outputs, rows, hidden + 1, jnp.tanh, key=jax.random.key(0))
        self.p = 0.7 * jax.random.normal(jax.random.key(1), (d + 1,))
        self.weights = {
            "along": jnp.cos(jnp.arange(1.0, d + 1)),
            "third": jnp.sin(jnp.arange(1.0, d + 1)),
            "sum": (2.0, 0.3),
            "second": jnp.arange(0.0, d),
        }

    def plan(self, operators, **options):
        return plan(operators, ("u", "v"), options.pop("network", self.network), self.embedding, self.layout, self.names, **options)

    def value(self, operators, **options):
        return evaluate(self.plan(operators, **options), self.network, self.p, self.weights)


SCALARS = {
    "v": Partial("v"),
    "u_t": Partial("u", (("t", 1),)),
    "u_ttt": Partial("u", (("t", 3),)),
    "sum": Combination("v", (((("t", 2),), sp.Integer(2)), ((("t", 4),), W))),
}
SUMS = {
    "lap u": Laplacian("u", "X"),
    "lap v": Laplacian("v", "X"),
    "along": Along("u", "X", W),
    "second": Diagonal("v", "X", 2, W),
    "third": Diagonal("v", "X", 3, W),
}
ALL = SCALARS | SUMS


@functools.cache
def truth(d):
    """By nested reverse mode: values, and the sizes of what they are summed from."""
    case = Case(d)
    site = Site(case.network, case.embedding, case.layout, case.p)
    return jax.jit(lambda: {key: nested(site, op, "uv".index(op.of), case.weights.get(key), reverse) for key, op in ALL.items()})()


@pytest.mark.parametrize("derivatives", ["auto", "taylor", "directions", "gram", "nested", "reverse"])
@pytest.mark.parametrize("d", [2, 12])
def test_every_method_is_nested_reverse_mode(derivatives, d):
    case = Case(d)
    made = case.plan(ALL, derivatives=derivatives)
    assert not made.stochastic
    found = evaluate(made, case.network, case.p, case.weights)
    assert set(found) == set(ALL)
    for key, (value, size) in truth(d).items():
        assert abs(found[key] - value) < EXACT * size, key


def test_a_plan_checks_itself():
    """The difference is relative; a wrong weight shows."""
    case = Case(3)
    made = case.plan({"lap u": SUMS["lap u"], "along": SUMS["along"], "v": SCALARS["v"]})
    checks = made.check(case.network, case.p, case.weights)
    assert set(checks) == {"lap u", "along", "v"}
    assert all(c.difference < EXACT and c.error == 0 for c in checks.values())
    radial = case.plan({"a": Along("u", "X", 2 * placeholder("X"))})
    assert radial.check(case.network, case.p, {"a": 3 * case.p[1:]})["a"].difference > 0.1


def test_the_function_comes_along_with_its_derivatives():
    case = Case(3)
    lap, value = SUMS["lap u"], SCALARS["v"]
    assert [p.name for p in case.plan({"v": value, "l": lap}).passes] == ["directions"]
    assert [p.name for p in case.plan({"v": value, "t": SCALARS["u_t"], "l": lap}).passes] == ["taylor", "directions"]
    assert [p.name for p in case.plan({"v": value, "g": Gradient("u", "X")}).passes] == ["reverse"]
    assert [p.name for p in case.plan({"v": value, "a": SUMS["along"]}).passes] == ["value", "push"]


def test_biharmonic_in_a_few_dimensions():
    case = Case(3, rows=6)
    for derivatives in ("directions", "gram", "nested"):
        checks = case.plan({"b": Laplacian("u", "X", 2)}, derivatives=derivatives).check(case.network, case.p)
        assert checks["b"].difference < EXACT


def test_biharmonic_by_the_rows_of_the_first_layer():
    case = Case(9, rows=4)
    made = case.plan({"b": Laplacian("u", "X", 2)})
    assert [p.name for p in made.passes] == ["gram"]
    assert made.check(case.network, case.p)["b"].difference < EXACT


def test_a_gradient_brings_all_first_derivatives_with_it():
    case = Case(4)
    operators = {"g": Gradient("u", "X"), "u_t": Partial("u", (("t", 1),)), "along": Along("u", "X", W)}
    made = case.plan(operators)
    assert [p.name for p in made.passes] == ["reverse"]
    found = evaluate(made, case.network, case.p, case.weights)
    assert found["g"].shape == (4,)
    assert max(c.difference for c in made.check(case.network, case.p, case.weights).values()) < EXACT


@pytest.mark.parametrize("shift", [0.0, 0.5])
@pytest.mark.parametrize("unbounded", [True, False], ids=["free", "bounded"])
def test_along_the_coordinate_itself(shift, unbounded):
    """-4 X grad v, as the ball's condition brings it: W X is a part of z where X enters the network as it is."""
    case = Case(5, unbounded=unbounded)
    network = lambda s: jnp.concatenate([case.network(s + shift)[:1], case.network(s)[1:]])
    made = case.plan({"a": Along("u", "X", -4 * placeholder("X"))}, network=network if shift else case.network)
    assert [p.name for p in made.passes] == (["radial"] if unbounded and not shift else ["push"])
    weights = {"a": -4 * case.p[1:]}
    assert made.check(network if shift else case.network, case.p, weights)["a"].difference < EXACT


def test_laplacian_of_known_functions(close):
    """Without a network: a function with a closed form, which has no first layer."""

    class Cubes(eqx.Module):
        def __call__(self, s):
            return jnp.sum(s[1:] ** 3) * jnp.sin(s[0])

    case = Case(5)
    made = plan({"l": Laplacian("u", "X"), "b": Diagonal("u", "X", 3, W)}, ("u",), Cubes(), case.embedding, case.layout, case.names)
    found = evaluate(made, Cubes(), case.p, {"b": 1.0})
    close(found["l"], 6 * jnp.sum(case.p[1:]) * jnp.sin(case.p[0] - 1), rtol=1e-12, atol=1e-12)
    close(found["b"], 30 * jnp.sin(case.p[0] - 1), rtol=1e-12, atol=1e-12)
    assert {p.name for p in made.passes} == {"directions"}


def test_one_number_and_a_vector_of_one_are_the_same_network(close):
    case = Case(3, outputs=1)
    scalar = lambda s: case.network(s)[0]
    operators = {"l": Laplacian("u", "X"), "u": Partial("u"), "u_t": Partial("u", (("t", 1),))}
    one, other = (evaluate(plan(operators, ("u",), n, case.embedding, case.layout, case.names), n, case.p) for n in (case.network, scalar))
    for key in operators:
        close(one[key], other[key], rtol=1e-12)


def test_a_bounded_vector_is_scaled(close):
    """X in (-1, 3): the chain rule brings 1/2 for each derivative."""
    case, wide = Case(6, unbounded=False), Case(6)
    at = jnp.concatenate([case.p[:1], 2 * case.p[1:] + 1])
    for derivatives in ("gram", "directions"):
        found = evaluate(case.plan({"l": Laplacian("u", "X")}, derivatives=derivatives), case.network, at)
        close(found["l"], wide.value({"l": Laplacian("u", "X")})["l"] / 4, rtol=1e-10)


def test_gram_needs_a_linear_first_layer():
    """The product of the inputs with themselves is no matrix product."""
    case = Case(4)
    squared = lambda s: case.network(s * s)
    assert case.plan({"l": Laplacian("u", "X")}, network=squared).check(squared, case.p)["l"].difference < EXACT
    with pytest.raises(FitError, match="of 'u_t': the network does not begin with a matrix product of X") as error:
        case.plan({"l": Laplacian("u", "X")}, network=squared, derivatives="gram", term="u_t")
    assert 'sci.pinn.mlp(system, width=128, depth=4), or derivatives="directions"' in str(error.value)


SPACE = {
    "u_xxy": Partial("u", (("x", 2), ("y", 1))),
    "u_xy": Partial("u", (("x", 1), ("y", 1))),
    "v_y": Partial("v", (("y", 1),)),
    "lap": Combination("u", (((("x", 2),), sp.Integer(1)), ((("y", 2),), sp.Integer(1)))),
    "lap v": Combination("v", (((("x", 2),), sp.Integer(1)), ((("y", 2),), sp.Integer(1)))),
}


@pytest.mark.parametrize("derivatives", ["auto", "taylor", "nested", "reverse"])
def test_partial_derivatives_without_a_vector(derivatives):
    x, y = sci.space("x", 0, 1, periodic=True), sci.space("y", -1, 1)
    embedding = embedding_of((x, y))
    network = eqx.nn.MLP(3, 2, 6, 2, jnp.sin, key=jax.random.key(0))
    made = plan(SPACE, ("u", "v"), network, embedding, {"x": slice(0, 1), "y": slice(1, 2)}, ("x", "y"), derivatives=derivatives)
    assert max(c.difference for c in made.check(network, jnp.array([0.3, 0.4]), {"lap": (1, 1), "lap v": (1, 1)}).values()) < EXACT
    if derivatives == "auto":
        assert [p.name for p in made.passes] == ["taylor"]
        assert made.passes[0].slots(made.setting) == 7  # 1, x, y, xx, xy, xxy, and the sum: yy is in nothing else
        assert "taylor" in made.explain() and "u_xxy" in made.explain()


def test_first_derivatives_in_the_cheaper_mode():
    """Three first derivatives of one function: backward. Of three functions by one coordinate: forward."""
    coordinates = [sci.space(n, 0, 1) for n in "xyz"]
    layout = {n: slice(i, i + 1) for i, n in enumerate("xyz")}
    for functions, by, expected in (("u", "xyz", "reverse"), ("uvw", "x", "nested")):
        network = eqx.nn.MLP(3, len(functions), 6, 2, jnp.tanh, key=jax.random.key(0))
        operators = {f + n: Partial(f, ((n, 1),)) for f in functions for n in by}
        made = plan(operators, tuple(functions), network, embedding_of(coordinates), layout, tuple("xyz"))
        assert [p.name for p in made.passes] in ([expected], ["taylor"])
        assert made.passes[0].slots(made.setting) == 2
        assert max(c.difference for c in made.check(network, jnp.array([0.1, 0.2, 0.3])).values()) < EXACT


@pytest.mark.parametrize("derivatives", ["gram", "directions"])
def test_gradients_by_weights(derivatives, close):
    """Backward and forward mode against finite differences, under jit and vmap."""
    case = Case(12, rows=5)
    made = case.plan({key: ALL[key] for key in ("v", "u_t", "sum", "lap u", "along", "third")}, derivatives=derivatives)
    arrays, static = eqx.partition(case.network, eqx.is_inexact_array)
    flat, unravel = jax.flatten_util.ravel_pytree(arrays)
    points = jnp.stack([case.p, case.p[::-1]])

    @jax.jit
    def loss(w):
        network = eqx.combine(unravel(w), static)
        found = jax.vmap(lambda p: made.evaluate(network, p, case.weights))(points)
        return sum(jnp.mean(v**2) for v in found.values())

    direction = jax.random.normal(jax.random.key(3), flat.shape)
    direction = direction / jnp.linalg.norm(direction)
    backward = jnp.dot(jax.grad(loss)(flat), direction)
    _, forward = jax.jvp(loss, (flat,), (direction,))
    h = 1e-4 if jax.config.jax_enable_x64 else 3e-2
    differences = (
        8 * (loss(flat + h * direction) - loss(flat - h * direction)) - loss(flat + 2 * h * direction) + loss(flat - 2 * h * direction)
    ) / (12 * h)
    close(forward, backward, rtol=1e-9)
    close(backward, differences, rtol=2e-7 if jax.config.jax_enable_x64 else 2e-2)


def test_second_derivatives_by_weights(close):
    """The factor of W W^T is differentiated twice as if it were exact."""
    case = Case(12, rows=3)
    operators = {"l": Laplacian("u", "X")}
    arrays, static = eqx.partition(case.network, eqx.is_inexact_array)
    flat, unravel = jax.flatten_util.ravel_pytree(arrays)
    direction = jax.random.normal(jax.random.key(4), flat.shape)
    curvatures = []
    for derivatives in ("gram", "directions"):
        made = case.plan(operators, derivatives=derivatives)
        value = lambda r, made=made: made.evaluate(eqx.combine(unravel(flat + r * direction), static), case.p)["l"]
        curvatures.append(jax.jit(jax.hessian(value))(jnp.zeros(())))
    close(curvatures[0], curvatures[1], rtol=1e-9)


def test_shapes_are_enough_to_plan():
    case = Case(5)
    shapes = eqx.filter_eval_shape(lambda: case.network)
    made = case.plan(ALL, network=shapes)
    assert made.explain() == case.plan(ALL).explain()


def test_float32(close):
    case = Case(12)
    network = jax.tree.map(lambda a: a.astype(jnp.float32) if eqx.is_inexact_array(a) else a, case.network)
    made = case.plan(ALL)
    found = evaluate(made, network, case.p.astype(jnp.float32), case.weights)
    for key, value in case.value(ALL).items():
        assert found[key].dtype == jnp.float32
        np.testing.assert_allclose(found[key], value, rtol=2e-4, atol=2e-5)


def test_only_an_unaffordable_sum_is_estimated():
    """A network that hides its first layer leaves d directions; 16 random ones are taken where those cost 8 times as much."""
    for d, expected in ((60, False), (400, True)):
        case = Case(d)
        hidden = lambda s, case=case: case.network(jnp.where(s > 1e9, 0.0, s))
        made = case.plan({"l": Laplacian("u", "X")}, network=hidden)
        assert made.stochastic is expected
    assert "Sparse(16)" in made.explain() and "times as much" in made.explain()
    assert not case.plan({"l": Laplacian("u", "X")}).stochastic  # through the first layer


def test_the_table_says_what_is_done_and_why():
    text = Case(12).plan(ALL).explain()
    for words in ("operators", "laplacian(u, X), laplacian(v, X)", "gram", "sum(w*d^3 v/dX_i^3)", "2*v_tt + w*v_tttt", "times 16 random directions"):
        assert words in text


@pytest.mark.parametrize(
    ("derivatives", "words"),
    [
        ("tailor", "Did you mean 'taylor'?"),
        (3, "There are: auto"),
        (Sparse, "derivatives=sci.pinn.Sparse(16)"),
    ],
    ids=["typo", "number", "class"],
)
def test_unknown_methods(derivatives, words):
    with pytest.raises(FitError) as error:
        Case(3).plan(ALL, derivatives=derivatives)
    assert words in str(error.value)


def test_refusals():
    case = Case(3)
    with pytest.raises(FitError, match=r"of 'heat' estimates Laplacians, not sum\(w\*d\^3 v/dX_i\^3\).*Write derivatives=sci.pinn.Sparse\(2\)"):
        case.plan({"a": SUMS["third"]}, derivatives=Dense(2), term="heat")
    with pytest.raises(FitError, match=r"cannot estimate biharmonic\(u, X\).*Write derivatives=sci.pinn.Dense\(2\)"):
        case.plan({"a": Laplacian("u", "X", 2)}, derivatives=Sparse(2))
    with pytest.raises(CompileError, match="can be applied once or twice"):
        case.plan({"a": Laplacian("u", "X", 3)})
    with pytest.raises(NameUnknown, match="gives no function 'w'"):
        case.plan({"a": Partial("w")})
    with pytest.raises(FitError, match=r"Sparse\(0\): give a whole number"):
        Sparse(0)
    with pytest.raises(FitError, match=r"Dense\(-2\): give a whole number"):
        Dense(-2)


def test_a_nonlinear_residual_needs_the_exact_operator():
    case = Case(12)
    with pytest.raises(FitError) as error:
        case.plan({"l": Laplacian("u", "X")}, derivatives=Sparse(2), linear={"l": False}, term="u_t")
    assert "residual of 'u_t' is not linear in laplacian(u, X)" in str(error.value)
    assert 'derivatives="gram"' in str(error.value)
    with pytest.raises(FitError, match='derivatives="directions"'):
        case.plan({"a": SUMS["third"]}, derivatives=Sparse(2), linear={"a": False})
    assert case.plan({"l": Laplacian("u", "X")}, derivatives=Sparse(2), linear={"l": True}).stochastic
    assert not case.plan({"l": Laplacian("u", "X")}, linear={"l": False}).stochastic


def test_an_estimate_needs_a_key():
    case = Case(12)
    with pytest.raises(FitError, match=r"key=jax.random.key\(0\)\) needs a key"):
        case.plan({"l": Laplacian("u", "X")}, derivatives=Sparse(2)).evaluate(case.network, case.p)
