"""The System: how equations may be written, identity, change, components, and how it shows itself."""

import os
import pickle
import subprocess
import sys

import numpy as np
import pytest
import sympy as sp

import sciml as sci
from sciml.errors import ModelError, NameUnknown
from sciml.system import Equation

t = sci.t
x, y = sci.variables("x y")
a, b = sci.parameters("a b", 1.0)
DECAY = sci.System([sci.eq(x.diff(t), -a * x)], initial={x: 1}, observed={"double": 2 * x}, name="decay")


# -- equations ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "written",
    [
        lambda: sci.eq(x.diff(t), -a * x),
        lambda: [sci.eq(x.diff(t), -a * x)],
        lambda: [sp.Eq(x.diff(t), -a * x)],
        lambda: sp.Eq(x.diff(t), -a * x),
        lambda: {x.diff(t): -a * x},
        lambda: [{x.diff(t): -a * x}],
        lambda: [(x.diff(t), -a * x)],
    ],
    ids=["eq", "list of eq", "list of Eq", "Eq", "dict", "list of dict", "pair"],
)
def test_the_ways_to_write_an_equation(written):
    assert sci.System(written(), initial={x: 1}, observed={"double": 2 * x}, name="decay") == DECAY


def test_an_equation_never_collapses():
    assert isinstance(sci.eq(x, x), Equation)
    assert str(sci.eq(1, 2)) == "1 = 2"
    assert sci.eq(x, 0.5).rhs == 0.5
    assert sci.eq(x, np.float64(0.5)).rhs == 0.5


@pytest.mark.parametrize(
    ("equations", "message"),
    [
        (lambda: [sp.Eq(x, x)], "An equation has become True: sympy.Eq .* Write sci.eq"),
        (lambda: [x.diff(t) == -x], "An equation has become False"),
        (lambda: [x.diff(t) + x], "is not an equation. Write sci.eq"),
        (lambda: x.diff(t) + x, "needs a list of equations"),
        (lambda: "x' = -x", "needs a list of equations"),
        (lambda: [sci.eq(x.diff(t), "-x")], "A side of this equation is the text '-x'.*without quotes"),
        (lambda: [sci.eq(x.diff(t), x > 0)], "is the condition .*Write sp.Piecewise"),
        (lambda: [sci.eq(x.diff(t), np.ones(3))], "A side of this equation is an array.*sci.constants.*sci.dot"),
        (lambda: [sci.eq(x.diff(t), [1, 2])], "is an array"),
        (lambda: [sci.eq(x.diff(t), object())], "which is not mathematics"),
    ],
)
def test_what_is_not_an_equation(equations, message):
    with pytest.raises(ModelError, match=message):
        sci.System(equations())


# -- identity ----------------------------------------------------------------------------------


def test_immutable():
    with pytest.raises(AttributeError, match=r"does not change. Derive a new one: system.replace\(name=...\)"):
        DECAY.name = "other"
    with pytest.raises(AttributeError, match=r"does not change"):
        del DECAY.name


def test_equal_content_is_equal():
    again = sci.System([sci.eq(x.diff(t), -a * x)], initial={"x": 1.0}, observed={"double": x * 2}, name="decay")
    assert again == DECAY
    assert hash(again) == hash(DECAY)
    assert {again, DECAY} == {DECAY}


@pytest.mark.parametrize(
    "changes", [{"name": "d"}, {"initial": {x: 2}}, {"observed": {}}, {"calculus": "stratonovich"}, {"equations": [sci.eq(x.diff(t), -b * x)]}]
)
def test_other_content_is_another_system(changes):
    assert DECAY.replace(**changes) != DECAY


def test_large_initial_arrays_count_to_the_last_bit():
    z = sci.variables("z", shape=(2000,))
    start = np.ones(2000)
    system = sci.System([sci.eq(z.diff(t), -z)], initial={z: start})
    start = start.copy()
    start[1000] = np.nextafter(1.0, 2.0)
    assert system != system.replace(initial={z: start})


def test_pickling():
    copy = pickle.loads(pickle.dumps(DECAY))
    assert copy == DECAY
    assert copy.digest == DECAY.digest
    assert copy.initial == {"x": 1.0}
    assert pickle.loads(pickle.dumps(_motors())) == _motors()


_ELSEWHERE = """
import numpy as np, pickle, sys, sympy as sp, sciml as sci
t = sci.t
x, y = sci.variables("x y", initial=[1.0, 2.0], unit="m")
a, b, c = sci.parameters("a b c", [1.0, 2.0, 3.0], unit="1/s")
z = sci.variables("z", initial=np.linspace(0, 1, 5), shape=5)
F = sci.data("F", np.linspace(0, 1, 9), np.linspace(0, 1, 9) ** 2)
f = sci.function("f", lambda v: v + 1)
system = sci.System(
    [sci.eq(x.diff(t), -a*x + b*y*sp.sin(x/y)), sci.eq(y.diff(t), c*x*F), sci.eq(z.diff(t), a*f(z)*z[0]/2)],
    initial={x: 3}, observed={"o": x + y, "p": x - y}, units={t: "s"})
print(system.digest, *system.symbols)
print(sci.compile(system.replace(equations=system.equations[:2], observed={})).explain())
open(sys.argv[1], "wb").write(pickle.dumps(system.replace(equations=system.equations[:2], observed={})))
"""


def test_the_digest_is_the_same_in_every_process(tmp_path):
    """Nothing depends on the order of sets, which PYTHONHASHSEED changes; a pickle comes back equal."""
    found = []
    for seed in ("0", "1"):
        environment = {**os.environ, "PYTHONHASHSEED": seed}
        command = [sys.executable, "-c", _ELSEWHERE, str(tmp_path / seed)]
        found.append(subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout)
    assert found[0] == found[1]
    assert len(found[0].split()[0]) == 16
    one, two = (pickle.loads((tmp_path / seed).read_bytes()) for seed in ("0", "1"))
    assert one == two
    assert one.equations == two.equations


# -- change -------------------------------------------------------------------------------------


def test_replace_checks_the_new_system():
    assert DECAY.replace(initial={x: 2}).initial == {"x": 2.0}
    assert DECAY.initial == {"x": 1.0}
    with pytest.raises(NameUnknown, match=r"initial has 'y'"):
        DECAY.replace(initial={y: 2})
    with pytest.raises(ModelError, match=r"no argument 'equation'. Did you mean 'equations'"):
        DECAY.replace(equation=[])


def test_subs():
    assert str(DECAY.subs(a, 2 * b).equations[0]) == "x' = -2*b*x"
    changed = DECAY.subs({"a": 3})
    assert str(changed.equations[0]) == "x' = -3*x"
    assert list(changed.symbols) == ["x"]
    with pytest.raises(NameUnknown, match=r"no 'aa'. Did you mean 'a'"):
        DECAY.subs({"aa": 1})


def test_symbols_in_order_of_appearance():
    half = sci.parameters("half", b / 2)
    system = sci.System([sci.eq(x.diff(t), -half * x), sci.eq(y.diff(t), a)])
    assert list(system.symbols) == ["x", "half", "b", "y", "a"]
    assert list(system.unknowns) == ["x", "y"]
    assert list(system.parameters) == ["half", "b", "a"]


# -- components ------------------------------------------------------------------------------------


def _resistor(name):
    u, i = sci.variables("u i")
    R = sci.parameters("R", 2.0)
    return sci.System([sci.eq(u, R * i)], observed={"power": u * i}, name=name)


def _motors():
    first, second = _resistor("first"), _resistor("second")
    q = sci.variables("q", initial=1.0)
    return sci.System(
        [sci.eq(first.i, second.i), sci.eq(first.u + second.u, -q), sci.eq(q.diff(t), first.i)], components=[first, second], name="pair"
    )


def test_two_instances_of_one_component():
    system = _motors()
    assert set(system.unknowns) == {"first.u", "first.i", "second.u", "second.i", "q"}
    assert set(system.parameters) == {"first.R", "second.R"}
    assert set(system.observed) == {"first.power", "second.power"}
    assert str(system.equations[0]) == "first.u = first.R*first.i"


def test_the_tied_components_are_solved(close):
    """Two resistors of 2 in a row: q' = -q/4."""
    model = sci.compile(_motors())
    close(model.rhs(0.0, {"q": 3.0})["q"], -0.75)
    close(model.rhs(0.0, {"q": 3.0}, {"first.R": 4.0})["q"], -0.5)


def test_nested_components(close):
    inner = sci.System([sci.eq(x.diff(t), -a * x)], initial={x: 2}, name="inner")
    middle = sci.System([sci.eq(y.diff(t), inner.x)], initial={y: 0}, components=[inner], name="middle")
    outer = sci.System([], components=[middle], name="outer")
    assert set(outer.unknowns) == {"middle.inner.x", "middle.y"}
    assert outer.initial == {"middle.inner.x": 2.0, "middle.y": 0.0}
    assert middle.inner.x.name == "middle.inner.x"
    assert middle["inner"]["x"] == middle.inner.x
    close(sci.compile(outer).rhs(0.0, {"middle.inner.x": 3.0, "middle.y": 0.0})["middle.y"], 3.0)


def test_initial_values_that_are_expressions_are_renamed_too():
    part = sci.System([sci.eq(x.diff(t), -a * x)], initial={x: 2 * a}, name="part")
    whole = sci.System([], components=[part])
    assert str(whole.initial["part.x"]) == "2*part.a"


def test_derived_parameters_of_a_component_follow_its_own():
    part = sci.System([sci.eq(x.diff(t), -sci.parameters("half", a / 2) * x)], initial={x: 1}, name="part")
    whole = sci.System([], components=[part])
    assert set(whole.parameters) == {"part.half", "part.a"}


def test_names_of_components():
    part = DECAY.replace(name="part")
    assert part.x.name == "part.x"
    assert "x" in dir(part)
    with pytest.raises(AttributeError, match=r"no 'xx'. Did you mean"):
        part.xx  # noqa: B018
    with pytest.raises(ModelError, match=r"Two components are called 'part'. Give one another name: motor.replace\(name="):
        sci.System([], components=[part, part])
    with pytest.raises(ModelError, match=r"which is not a System"):
        sci.System([], components=[3])


# -- to look at ---------------------------------------------------------------------------------------


def test_text():
    assert repr(DECAY) == "System 'decay'\n  x' = -a*x\n  observed double = 2*x\n  initial x = 1.0"
    assert str(sci.eq(x.diff(t, 2), y.diff(t) * t)) == "x'' = t*y'"


def test_latex():
    theta = sci.variables("theta")
    shown = sci.System([sci.eq(theta.diff(t, 2), -a * theta**2)], observed={"o_1": theta}).latex()
    assert shown == "\\begin{aligned}\n\\frac{d^2 \\theta}{d t^2} &= - a {\\theta}^{2} \\\\\no_{1} &= \\theta\n\\end{aligned}"
    assert DECAY._repr_latex_().startswith("$\\displaystyle")
    assert "R^{\\mathrm{first}}" in _motors().latex()


def test_latex_of_arrays_and_functions():
    z = sci.variables("z", shape=(2,))
    N = sci.parameters("N", np.eye(2))
    shown = sci.System([sci.eq(z.diff(t), sci.dot(N, z) + z[0] ** 2)]).latex()
    assert r"N \cdot z" in shown
    assert "{z}_{0}^{2}" in shown
