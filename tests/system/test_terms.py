"""Formulas in the place of neural functions: `System.subs` with applied functions for keys, and the unit of a coefficient."""

import equinox as eqx
import jax
import jax.numpy as jnp
import pytest
import sympy as sp

import sciml as sci
from sciml.errors import ModelError, NameUnknown, UnitError
from sciml.system import unit_of_term

t = sci.t
x, y = sci.variables("x y", initial=1.0)
k = sci.parameters("k", 0.5)
g = sci.neural("g", eqx.nn.Linear(2, 1, key=jax.random.key(0)))
h1, h2 = sci.neural("h", eqx.nn.Linear(2, 2, key=jax.random.key(1)), outputs=2)(x, y)


def right_sides(system):
    return [e.rhs for e in system.equations]


def test_every_application_becomes_the_formula_of_its_arguments():
    system = sci.System([sci.eq(x.diff(t), g(x, y)), sci.eq(y.diff(t), g(y, 2 * x) + g(t, 3))], observed={"o": g(x, x) ** 2})
    written = system.subs({g(x, y): k * x + y**2})
    assert right_sides(written) == [k * x + y**2, (k * y + 4 * x**2) + (k * t + 9)]
    assert written.observed["o"] == (k * x + x**2) ** 2
    assert set(written.symbols) == {"x", "k", "y"}, "the network has left the System, its parameter has come"


def test_one_in_another():
    system = sci.System([sci.eq(x.diff(t), g(g(x, y), y)), sci.eq(y.diff(t), 0)])
    assert right_sides(system.subs({g(x, y): k * x * y}))[0] == k**2 * x * y**2


def test_the_formula_may_hold_the_function():
    system = sci.System([sci.eq(x.diff(t), g(x, y)), sci.eq(y.diff(t), 0)])
    assert right_sides(system.subs({g(x, y): (1 - k) * g(x, y) + x}))[0] == (1 - k) * g(x, y) + x


@pytest.mark.parametrize("key", ["g", g, g(x, y)], ids=["name", "function", "applied"])
def test_keys(key):
    system = sci.System([sci.eq(x.diff(t), g(x, y)), sci.eq(y.diff(t), g(y, x))])
    assert right_sides(system.subs({key: x - y})) == right_sides(system.subs(key, x - y)) == [x - y, y - x]


def test_what_cannot_be_turned_into_arguments_stands_for_itself():
    system = sci.System([sci.eq(x.diff(t), g(2 * x, y)), sci.eq(y.diff(t), g(x, y) + g(x, x))])
    assert right_sides(system.subs({g(2 * x, y): x})) == [x, g(x, y) + g(x, x)]
    assert right_sides(system.subs({g(x, x): x})) == [g(2 * x, y), g(x, y) + x]


def test_outputs_of_one_network_are_replaced_one_by_one():
    system = sci.System([sci.eq(x.diff(t), h1), sci.eq(y.diff(t), h2 * g(x, y))])
    assert right_sides(system.subs({h2: k})) == [h1, k * g(x, y)]
    scaled = sci.System([sci.eq(x.diff(t), h1), sci.eq(y.diff(t), k * h2)])
    assert right_sides(scaled.subs({h1: k * x, h2: y, k: 3})) == [3 * x, 3 * y], "plain symbols come after them"
    with pytest.raises(ModelError, match=r"'h' gives 2 functions.*h1, h2 = h\(\.\.\.\)"):
        system.subs({"h": x})


def test_a_network_of_the_same_name_with_other_weights_is_meant():
    other = sci.neural("g", eqx.nn.Linear(2, 1, key=jax.random.key(7)))
    system = sci.System([sci.eq(x.diff(t), g(x, y)), sci.eq(y.diff(t), 0)])
    assert right_sides(system.subs({other(x, y): y}))[0] == y


def test_boundary_and_initial_values():
    s = sci.space("s", 0, 1)
    u = sci.fields("u", t, s)
    f = sci.neural("f", eqx.nn.Linear(1, 1, key=jax.random.key(0)))
    boundary = {s.left: sci.eq(u, 0), s.right: sci.eq(u.diff(s), f(u))}
    system = sci.System([sci.eq(u.diff(t), u.diff(s, 2) + f(u.diff(s)))], initial={u: f(s)}, boundary=boundary)
    written = system.subs({f(u): -k * u})
    assert right_sides(written) == [u.diff(s, 2) - k * u.diff(s)]
    assert written.boundary["s.right"][0].rhs == -k * u and written.initial["u"] == -k * s


def test_unknown_networks():
    system = sci.System([sci.eq(x.diff(t), g(x, y)), sci.eq(y.diff(t), 0)])
    with pytest.raises(NameUnknown, match=r"no 'h'\. There are: x, g, y"):
        system.subs({h1: x})


def test_units_of_coefficients():
    m, n = sci.variables("m n", initial=1.0, unit="kg")
    rate = sci.parameters("rate", 1.0, unit="1/h")
    system = sci.System([sci.eq(m.diff(t), -rate * m + g(m, n)), sci.eq(n.diff(t), -rate * g(m, n) * t)], units={t: "h"})
    assert unit_of_term(system, g(m, n), m * n) == "1/h/kg"
    assert unit_of_term(system, g(m, n), m) == "1/h"
    declared = sci.neural("w", eqx.nn.Linear(1, 1, key=jax.random.key(0)), unit="kg/h")
    system = sci.System([sci.eq(m.diff(t), declared(m))], units={t: "h"})
    assert unit_of_term(system, declared(m), sp.Integer(1)) == "kg/h" and unit_of_term(system, declared(m), m * t) == "1/h**2"
    plain = sci.System([sci.eq(x.diff(t), g(x, x))])
    assert unit_of_term(plain, g(x, x), x) is None
    with pytest.raises(UnitError, match="do not fit"):
        system.subs({declared(m): sci.parameters("bare", 1.0) * m})


def test_a_formula_solves_like_the_network_it_stands_for(close):
    linear = eqx.tree_at(
        lambda net: (net.weight, net.bias), eqx.nn.Linear(2, 1, key=jax.random.key(0)), (jnp.array([[-0.5, 0.25]]), jnp.array([0.1]))
    )
    f = sci.neural("f", linear)
    system = sci.System([sci.eq(x.diff(t), f(x, y)), sci.eq(y.diff(t), f(y, x))])
    p, q, r = sci.parameters("p q r", [-0.5, 0.25, 0.1])
    options = {"t_span": (0.0, 1.0), "saveat": "end", "solver": "tsit5", "rtol": 1e-6}
    close(sci.solve(system.subs({f(x, y): p * x + q * y + r}), **options)[x], sci.solve(system, **options)[x], rtol=1e-5)
