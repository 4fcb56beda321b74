"""Declarations: one name, one symbol; metadata by list; what cannot be meant is refused with the cure."""

import pickle

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
import sympy as sp

import sciml as sci
from sciml.errors import ModelError, UnitError
from sciml.symbols import declaration_of, derivative_unknown, unknowns_in

t = sci.t


def twice(v):
    return 2 * v


# -- names and metadata -------------------------------------------------------------------


def test_one_name_one_symbol_several_a_tuple():
    assert isinstance(sci.variables("x"), sp.Expr)
    assert [str(v) for v in sci.variables("x y, z")] == ["x(t)", "y(t)", "z(t)"]
    assert [str(v) for v in sci.parameters("k0:3")] == ["k0", "k1", "k2"]
    assert sci.variables("x0:5")[4].name == "x4"
    assert isinstance(sci.variables("x,"), tuple)


def test_a_list_is_dealt_out_and_anything_else_holds_for_all():
    a, b = sci.parameters("a b", [1.1, 0.4], unit="1/s", bounds=(1e-3, 1e2), description=["first", "second"])
    assert [declaration_of(s).value for s in (a, b)] == [1.1, 0.4]
    assert [declaration_of(s).unit for s in (a, b)] == ["1/s", "1/s"]
    assert [declaration_of(s).bounds for s in (a, b)] == [(1e-3, 1e2)] * 2
    assert [declaration_of(s).description for s in (a, b)] == ["first", "second"]


def test_everything_a_variable_may_carry():
    x = sci.variables("x", initial=1, guess=2.0, unit="m", nominal=3.0, bounds=(None, 5), description="place", discrete=True, positive=True)
    d = declaration_of(x)
    assert (d.value, d.guess, d.unit, d.nominal, d.bounds, d.description, d.discrete) == (1.0, 2.0, "m", 3.0, (None, 5.0), "place", True)
    assert x.is_positive
    assert sci.variables("y").is_real
    assert sci.variables("y", real=False).is_real is False


def test_a_list_for_one_name_is_its_array():
    z = sci.variables("z", initial=[1, 2, 3], shape=3)
    np.testing.assert_array_equal(declaration_of(z).value, [1.0, 2.0, 3.0])
    w = sci.parameters("w", [1.0, 2.0])
    assert declaration_of(w).shape == (2,)


def test_a_value_may_be_an_expression():
    a = sci.parameters("a", 2.0)
    assert declaration_of(sci.parameters("b", a / 2)).value == a / 2
    assert declaration_of(sci.parameters("b", sp.pi / 2)).value == pytest.approx(np.pi / 2)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: sci.parameters("a b", [1.0]), r"1 values of initial/value for 2 names \(a, b\): give one each"),
        (lambda: sci.variables("x y", unit=["m", "s", "kg"]), "3 values of unit for 2 names"),
        (lambda: sci.variables(" "), "no name in the text given"),
        (lambda: sci.variables("t"), "'t' is taken: it is the time, sci.t"),
        (lambda: sci.parameters("x'"), "x' stands for a derivative"),
        (lambda: sci.parameters("a.b"), "a.b for a component's name"),
        (lambda: sci.parameters("a", np.nan), "value of 'a' is nan. Give a finite number"),
        (lambda: sci.parameters("a", [1.0, np.nan]), "value of 'a' holds NaN"),
        (lambda: sci.variables("x", initial=np.inf), "value of 'x' is inf"),
        (lambda: sci.parameters("a", "1.0"), "is the text '1.0': give a number"),
        (lambda: sci.parameters("a", object()), "give a number, an array or a SymPy expression"),
        (lambda: sci.parameters("a", 1.0, bounds=(2, 1)), "low end must lie below the high end"),
        (lambda: sci.parameters("a", 1.0, bounds=3), r"write bounds=\(low, high\)"),
        (lambda: sci.parameters("a", 1.0, scale="logarithmic"), 'write "log" or leave it out'),
        (lambda: sci.variables("z", initial=np.ones(3), shape=(2,)), r"'z' has shape \(2,\) and a value of shape \(3,\).*shape=\(3,\)"),
        (lambda: sci.variables("z", initial=np.ones(3)), r"Declare it with shape=\(3,\)"),
        (lambda: sci.parameters("k", 1.0, over=sp.Symbol("s")), "write over=s with s = sci.space"),
        (lambda: sci.space("s", 1, 0), "low end must lie below"),
        (lambda: sci.fields("u"), "needs its coordinates"),
        (lambda: sci.fields("u", sp.Symbol("s")), "needs its coordinates"),
        (lambda: sci.neural("g", 3), "needs something callable"),
    ],
)
def test_what_cannot_be_meant(make, message):
    with pytest.raises(ModelError, match=message):
        make()


@pytest.mark.parametrize(
    ("unit", "message"),
    [
        ("m/s**", "not a unit that pint knows.*unit="),
        ("(m", "not a unit"),
        ("3*m", "not a unit"),
        ("furlongg", "not a unit"),
        ("degC", "has an offset.*use kelvin"),
        (3, "must be text"),
    ],
)
def test_wrong_units(unit, message):
    with pytest.raises(ModelError, match=message):
        sci.variables("x", unit=unit)


def test_unit_errors_have_their_own_class():
    with pytest.raises(UnitError):
        sci.variables("x", unit="furlongg")


def test_where_it_was_written_is_kept():
    assert declaration_of(sci.variables("x", description="of this line")).where.endswith(
        f"{__file__}:{test_where_it_was_written_is_kept.__code__.co_firstlineno + 1}"
    )


# -- identity ---------------------------------------------------------------------------------


def test_equal_content_is_the_same_symbol():
    assert sci.variables("x", initial=1.0) == sci.variables("x", initial=1.0)
    assert hash(sci.parameters("a", 1.0)) == hash(sci.parameters("a", 1.0))


@pytest.mark.parametrize("make", [lambda v: sci.variables("x", initial=v), lambda v: sci.parameters("x", v), lambda v: sci.constants("x", v)])
def test_declared_again_with_another_value_it_is_another_symbol(make):
    """SymPy caches by name; a cache must never give back the old declaration."""
    one, two = make(1.0), make(2.0)
    assert one != two
    assert (one - two) != 0
    for symbol, value in ((one, 1.0), (two, 2.0)):
        for made in (symbol + 1, 2 * symbol, sp.sin(symbol), symbol.diff(t) if symbol.args else symbol**2):
            inside = [s for s in sp.preorder_traversal(made) if declaration_of(s) is not None and declaration_of(s).name == "x"]
            assert {declaration_of(s).value for s in inside} == {value}


def test_data_with_other_values_is_another_symbol():
    times = np.linspace(0, 1, 5)
    assert sci.data("F", times, times) == sci.data("F", times, times.copy())
    assert sci.data("F", times, times) != sci.data("F", times, times + 1e-15)


def test_neural_functions_differ_by_their_weights():
    make = lambda seed: sci.neural("g", eqx.nn.Linear(1, 1, key=jax.random.key(seed)))(t)
    assert make(0) == make(0)
    assert make(0) != make(1)


def test_functions_are_known_by_name_and_lambdas_by_code():
    assert sci.function("f", jnp.tanh)(t) == sci.function("f", jnp.tanh)(t)
    assert sci.function("f", lambda v: v + 1)(t) != sci.function("f", lambda v: v + 2)(t)


@pytest.mark.parametrize(
    "make",
    [
        lambda: sci.variables("x", initial=1.0, unit="m", positive=True),
        lambda: sci.variables("x", initial=1.0).diff(t) ** 2 + 1,
        lambda: sci.parameters("a", np.ones(3)),
        lambda: sci.parameters("b", sci.parameters("a", 1.0) / 2),
        lambda: sci.variables("z", initial=np.ones(3), shape=3)[1],
        lambda: sci.dot(np.eye(3), sci.variables("z", initial=np.ones(3), shape=3)),
        lambda: sci.white_noise("xi"),
        lambda: sci.data("F", [0, 1, 2, 3], [1, 2, 3, 4]),
        lambda: sci.table("k", [0, 1, 2, 3], [1, 2, 3, 4])(t),
        lambda: sci.function("twice", twice)(t),
        lambda: sci.fields("u", t, sci.space("s", 0, 1)),
        lambda: t,
    ],
)
def test_pickling_keeps_identity(make):
    symbol = make()
    copy = pickle.loads(pickle.dumps(symbol))
    assert copy == symbol
    assert hash(copy) == hash(symbol)
    assert getattr(copy, "is_positive", None) == getattr(symbol, "is_positive", None)


# -- mathematics ------------------------------------------------------------------------------------


def test_derivatives_are_sympys_own():
    x, y = sci.variables("x y")
    assert str((x**2).diff(t)) == "2*x(t)*Derivative(x(t), t)"
    assert (x**2 * y).diff(x) == 2 * x * y
    assert (x.diff(t) ** 2).diff(x.diff(t)) == 2 * x.diff(t)
    assert (x**3).diff(x, 2) == 6 * x


def test_a_lagrangian():
    """m x'' = -k x from L = m x'^2/2 - k x^2/2."""
    x = sci.variables("x")
    m, k = sci.parameters("m k", 1.0)
    lagrangian = m * x.diff(t) ** 2 / 2 - k * x**2 / 2
    assert lagrangian.diff(x.diff(t)).diff(t) - lagrangian.diff(x) == m * x.diff(t, 2) + k * x


def test_a_derivative_by_a_symbol_that_prints_like_time():
    x = sci.variables("x")
    for take in (lambda: x.diff(sp.Symbol("t")), lambda: sp.diff(x, sp.Symbol("t", real=True))):
        with pytest.raises(ModelError, match=r"Symbol\('t'\) is another symbol.*the derivative would be 0. Write x.diff\(sci.t\)"):
            take()


def test_a_field_by_a_symbol_that_prints_like_its_coordinate():
    s = sci.space("s", 0, 1)
    with pytest.raises(ModelError, match=r"the symbol that sci.space"):
        sci.fields("u", t, s).diff(sp.Symbol("s"))


@pytest.mark.parametrize(
    "ask",
    [
        lambda x, a: bool(x > 0),
        lambda x, a: 1 if a <= 2 else 0,
        lambda x, a: x + a > 0 and x,
        lambda x, a: max(x, a),
        lambda x, a: 0 < x < 1,
        lambda x, a: bool(sp.Eq(x.diff(t), 0)),
    ],
)
def test_a_python_if_on_a_symbol(ask):
    x, a = sci.variables("x"), sci.parameters("a", 1.0)
    with pytest.raises(ModelError, match=r"is a condition for later.*Write sympy.Piecewise.*sympy.Min and Max"):
        ask(x, a)
    with pytest.raises(TypeError):  # which SymPy itself relies on
        ask(x, a)


def test_other_comparisons_are_left_as_sympy_made_them():
    plain = sp.Symbol("p")
    assert bool(sp.Integer(1) < 2)
    with pytest.raises(TypeError, match=r"cannot determine truth value"):
        bool(plain > 0)
    x = sci.variables("x", positive=True)
    assert (x > -1) == True  # noqa: E712
    assert sp.Max(x, 0) == x
    assert sp.Piecewise((1, x > 1), (0, True)).subs(x, 2) == 1


# -- shapes ------------------------------------------------------------------------------------------


def test_components():
    z = sci.variables("z", shape=(2, 3))
    assert str(z[0, 1]) == "z(t)[0, 1]"
    assert z[-1, -1] == z[1, 2]
    assert z[0, 1].diff(t) == sci.symbols.Component(z.diff(t), 0, 1)
    assert "z" in sp.latex(z[0, 1] ** 2)


@pytest.mark.parametrize(
    ("shape", "index", "message"),
    [
        ((), 0, r"'z' is a scalar.*Declare it with shape=\(n,\)"),
        ((2,), 2, "index 2 is outside 0..1"),
        ((2,), -3, "index -3 is outside"),
        ((2, 3), 0, "write 2 indices, not 1"),
    ],
)
def test_components_that_do_not_exist(shape, index, message):
    with pytest.raises(ModelError, match=message):
        sci.variables("z", shape=shape)[index]


def test_a_symbol_with_a_shape_is_not_a_sequence():
    z = sci.variables("z", shape=(2,))
    with pytest.raises(TypeError, match=r"not iterable"):
        list(z)


def test_products_of_arrays():
    z = sci.variables("z", shape=(3,))
    N = sci.parameters("N", np.eye(3))
    assert sci.dot(N, z).diff(t) == sci.dot(N, z.diff(t))
    assert sci.dot(np.eye(3), z) == sci.dot(np.eye(3), z)
    assert sci.dot(np.eye(3), z) != sci.dot(2 * np.eye(3), z)
    for wrong, message in ((3.0, "multiply by a number"), ([1.0, np.nan], "holds NaN")):
        with pytest.raises(ModelError, match=message):
            sci.dot(wrong, z)


# -- data and tables -------------------------------------------------------------------------------------


@pytest.mark.parametrize("make", [sci.data, sci.table])
@pytest.mark.parametrize(
    ("grid", "values", "options", "message"),
    [
        ([0, 1, 1], [1, 2, 3], {}, "'F' must increase: entry 2 is 1.0 after 1.0. Sort them first"),
        ([2, 1, 0], [1, 2, 3], {}, "must increase: entry 1"),
        ([0, 1, 2], [1, np.nan, 3], {}, "'F' holds 1 NaN. Drop them first"),
        ([0, 1, 2], [1, 2], {}, "has 3 (times|grid) and values of shape"),
        ([0], [1], {}, "at least two entries"),
        ([0, 1], [1, 2], {"interp": "spline"}, "interp='spline' of 'F': write one of 'cubic'"),
        ([0, 1], [1, 2], {"outside": "nan"}, "outside='nan' of 'F': write one of 'error'"),
        ([0, 1], [1, 2], {"unit": "furlongg"}, "not a unit"),
    ],
)
def test_wrong_measurements(make, grid, values, options, message):
    with pytest.raises(ModelError, match=message):
        make("F", grid, values, **options)


def test_data_is_a_function_of_time_and_a_table_of_anything():
    x = sci.variables("x")
    assert sci.data("F", [0, 1], [1, 2]).args == (t,)
    assert sci.table("k", [0, 1], [1, 2])(x).args == (x,)
    assert declaration_of(sci.data("F", [0, 1], np.ones((2, 3)))).shape == (3,)


# -- space, fields and the rest -----------------------------------------------------------------------------


def test_space_and_fields():
    s = sci.space("s", 0, 2, periodic=True, unit="m")
    u, v = sci.fields("u v", t, s)
    k = sci.parameters("k", 1.0, over=s)
    assert declaration_of(s).payload == {"low": 0.0, "high": 2.0, "periodic": True, "dim": 1}
    assert (u.args, v.args, k.args) == ((t, s), (t, s), (s,))
    assert u.diff(s, 2).variable_count[0] == (s, 2)
    assert declaration_of(sci.space("w", 0, 1, dim=100)).shape == (100,)


def test_several_outputs_are_several_functions():
    net = eqx.nn.Linear(2, 2, key=jax.random.key(0))
    first, second = sci.neural("g", net, outputs=2)(sci.variables("x"), t)
    assert first != second
    assert declaration_of(first).name == declaration_of(second).name == "g"


def test_the_unknown_that_stands_for_a_rate():
    x = sci.variables("x", unit="m")
    assert derivative_unknown(x, "s").name == "x'"
    assert declaration_of(derivative_unknown(x, "s")).unit == "(m)/(s)"
    assert declaration_of(derivative_unknown(x)).unit == "m"


def test_unknowns_in_order_of_the_tree():
    x, y = sci.variables("x y")
    assert set(unknowns_in(x * y + sci.parameters("a", 1.0) * x)) == {x, y}
