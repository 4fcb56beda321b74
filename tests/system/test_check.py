"""What is wrong with a System is said with the user's names, the line and the cure."""

import linecache
import re

import numpy as np
import pytest
import sympy as sp

import sciml as sci
from sciml.errors import ModelError, NameUnknown
from sciml.passes import run_passes

t = sci.t
x, y, z = sci.variables("x y z")
a, b = sci.parameters("a b", 1.0)
xi = sci.white_noise("xi")


def refused(message, *equations, error=ModelError, **options):
    with pytest.raises(error, match=f"(?s){message}") as caught:
        run_passes(sci.System(list(equations), **options))
    return str(caught.value)


# -- names -------------------------------------------------------------------------------------


def test_an_undeclared_symbol():
    refused("'k' in `-k.x` is not declared: it is a bare SymPy symbol. Write k = sci.parameters", sci.eq(x.diff(t), -sp.Symbol("k") * x))


def test_an_undeclared_function():
    u = sp.Function("u")(t)
    refused("'u' in .* is not declared: it is a bare SymPy function. Write u = sci.variables", sci.eq(u.diff(t), -x))


def test_another_symbol_that_prints_like_time():
    refused(r"uses Symbol\('t'\), which is not sci.t.*Write t = sci.t", sci.eq(x.diff(t), sp.sin(sp.Symbol("t"))))


def test_a_derivative_that_vanished():
    refused(
        r"The left side of `0 = -x` \(.*test_check.py:\d+\) is 0, and 'x' has an initial value but no derivative.*Write x.diff\(sci.t\)",
        sci.eq((2 * x).diff(sp.Symbol("t")), -x),
        initial={x: 1},
    )
    refused("holds no unknown that it could determine.*x.diff.sci.t", sci.eq(x.diff(t), y), sci.eq(x.diff(a), -x), sci.eq(y.diff(t), 1))


def test_a_name_declared_twice_names_both_lines():
    other = sci.variables("x", initial=7.0, description="the other x")
    message = refused("'x' is declared twice with different content: a unknown", sci.eq(x.diff(t), -other))
    lines = [linecache.getline(f, int(n)) for f, n in re.findall(r"\((\S+?):(\d+)\)", message)]
    assert len(lines) == 2
    assert any("the other x" in line for line in lines)


def test_a_name_for_two_kinds():
    refused("'x' is declared twice.*a unknown.*and a parameter|a parameter.*and a unknown", sci.eq(x.diff(t), -sci.parameters("x", 1.0)))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"initial": {"xx": 1}}, "initial has 'xx', which stands in no equation of System 'system'. Did you mean 'x'"),
        ({"initial": {"x'": 1}}, "the order of 'x' is too low for it: x' follows from the equations. Remove it"),
        ({"initial": {"a": 1}}, "initial has 'a'"),
        ({"initial": {3: 1}}, "3 is not a name"),
        ({"initial": {x: np.nan}}, "value of 'x' is nan"),
        ({"initial": {x: x.diff(t)}}, "The initial value of 'x' is `x'`: use numbers, parameters"),
        ({"initial": {x: xi}}, "The initial value of 'x' is `xi`"),
        ({"observed": {"a": x}}, "observed 'a' has the name of a parameter. Give it another name"),
        ({"observed": {"o": x + xi}}, "holds white noise"),
        ({"observed": {"o": "x"}}, "observed 'o' is 'x': give a SymPy expression"),
        ({"observed": {"o": sp.Symbol("q")}}, "'q' in `q` is not declared"),
        ({"calculus": "strat"}, 'write "ito" or "stratonovich"'),
    ],
)
def test_what_belongs_to_the_equations(options, message):
    refused(message, sci.eq(x.diff(t), -a * x), **options)


def test_a_misspelt_name_is_an_error_of_names_too():
    refused("Did you mean 'x'", sci.eq(x.diff(t), -x), initial={"xx": 1}, error=NameUnknown)


def test_an_unknown_that_stands_nowhere():
    refused("The unknown 'y'.*stands in no equation. Add sci.eq.y.diff.sci.t.*or remove it", sci.eq(x.diff(t), -x), observed={"o": y})


# -- balance ---------------------------------------------------------------------------------------


def test_too_many_equations_name_their_block():
    message = refused(
        "too many equations: 4 for 3 unknowns. The block that does not fit has 2 equations for 1 .x.*Remove one of them",
        sci.eq(x.diff(t), -x),
        sci.eq(y.diff(t), z),
        sci.eq(z.diff(t), -y),
        sci.eq(x.diff(t), -2 * x),
    )
    assert "x' = -2*x" in message
    assert "y' = z" not in message


def test_too_few_equations_name_their_block():
    message = refused(
        "too few equations: 2 for 3 unknowns. The block that does not fit has 1 equation for 2 .y, z.*Add an equation, such as",
        sci.eq(x.diff(t), -x),
        sci.eq(y.diff(t), z),
    )
    assert "x' = -x" not in message
    assert 'z = sci.parameters("z", 1.0)' in message


def test_two_ties_that_contradict():
    refused("constrains x", sci.eq(x.diff(t), y), sci.eq(y, x), sci.eq(y, 2 * x))


def test_a_constraint_on_a_state():
    refused("constrains x, whose highest derivative", sci.eq(x.diff(t), y), sci.eq(y.diff(t), 1), sci.eq(x**2, 1))


def test_a_large_well_posed_system_passes_quickly():
    q = sci.variables("q0:200")
    assert len(sci.System([sci.eq(q[i].diff(t), q[i - 1]) for i in range(200)]).unknowns) == 200


# -- parameters ---------------------------------------------------------------------------------------


def test_a_parameter_that_depends_on_an_unknown():
    refused("The value of 'k' is `2.x`, which holds the unknown 'x'. Only parameters", sci.eq(x.diff(t), -sci.parameters("k", 2 * x)))


def test_parameters_may_depend_on_each_other():
    deep = sci.parameters("deep", sci.parameters("middle", a * b) + a)
    assert set(sci.System([sci.eq(x.diff(t), deep)]).parameters) == {"deep", "middle", "a", "b"}


# -- noise ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("right", "message"),
    [
        (lambda: sp.sin(xi), "holds white noise 'xi' inside a nonlinear function.*coefficient.xi"),
        (lambda: xi**2, "inside a nonlinear function"),
        (lambda: sp.sqrt(xi**2), "inside a nonlinear function"),
        (lambda: xi * sci.white_noise("eta"), "inside a nonlinear function"),
        (lambda: x / (1 + xi), "inside a nonlinear function"),
        (lambda: xi.diff(t), "differentiates white noise.*let the noise drive the rate"),
        (lambda: (x * xi).diff(t), "differentiates white noise"),
    ],
)
def test_noise_where_it_cannot_stand(right, message):
    refused(message, sci.eq(x.diff(t), -x + right()))


def test_noise_without_a_derivative():
    refused("holds white noise 'xi' but no derivative", sci.eq(x.diff(t), y), sci.eq(y, x + xi))


def test_noise_enters_linearly_in_any_form():
    assert len(sci.System([sci.eq(0, x.diff(t) - (1 + xi) * x)]).equations) == 1
    assert len(sci.System([sci.eq(x.diff(t), sp.expand((x + 1) * (xi + 2)))]).equations) == 1


def test_fields_are_declared_and_left_for_later():
    s = sci.space("s", 0, 1)
    u = sci.fields("u", t, s)
    system = sci.System([sci.eq(u.diff(t), u.diff(s, 2))], initial={u: sp.sin(sp.pi * s)})
    assert list(system.coordinates) == ["s"]
