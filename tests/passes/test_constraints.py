"""What a System keeps to at every time: which rows stay implicit, their constraints and directions, and what is refused."""

import pytest
import sympy as sp

import sciml as sci
from sciml.errors import CompileError, ModelError
from sciml.passes import constraint_form, determined, mass_rows, run_passes
from sciml.system import name_of, text

t = sci.t
x, y, z, w = sci.variables("x y z w")
a, b = sci.parameters("a b", 1.0)


def reduced(*equations, **more):
    return run_passes(sci.System(list(equations), name="plant", **more))


def lines(system):
    return [str(e) for e in system.equations]


def test_without_algebraic_equations_there_are_none():
    found = constraint_form(reduced(sci.eq(x.diff(t), -x), sci.eq(y, 2 * x)))
    assert found.expressions == () and found.directions == () and found.cited == ()


def test_what_can_be_solved_is_solved_and_the_rest_stays():
    system = reduced(sci.eq(x.diff(t), -z), sci.eq(z**3 + z, a * x / b), sci.eq(y, 2 * z))
    assert lines(system) == ["x' = -z", "0 = -a*x/b + z**3 + z"]
    assert {text(u): text(e) for u, e in system.eliminated.items()} == {"y": "2*z"}
    assert [name_of(determined(e)) for e in system.equations] == ["x", "z"]
    found = constraint_form(system)
    assert [sp.expand(e - (z**3 + z - a * x / b)) for e in found.expressions] == [0]
    assert found.directions == ({z: 1},)
    assert "`0 = -a*x/b + z**3 + z`" in found.cited[0] and "test_constraints.py" in found.cited[0]


def test_the_passes_repeat_without_change():
    for equations in (
        [sci.eq(x.diff(t), -z), sci.eq(z**3 + z, x)],
        [sci.eq(x.diff(t) ** 3 + x.diff(t), -x)],
        [sci.eq(x.diff(t) - y.diff(t), -x), sci.eq(x.diff(t) - y.diff(t), -2 * y)],
    ):
        once = reduced(*equations)
        assert run_passes(once) is once


def test_a_rate_that_stands_nonlinearly_becomes_an_unknown():
    system = reduced(sci.eq(x.diff(t) ** 3 + x.diff(t), -x), sci.eq(y.diff(t), x.diff(t) - y))
    assert lines(system) == ["x' = x'", "y' = x' - y", "0 = x + x'**3 + x'"]
    (direction,) = constraint_form(system).directions
    assert [name_of(u) for u in direction] == ["x'"]


def test_a_singular_constant_matrix_stays_on_the_left():
    system = reduced(sci.eq(a * (x.diff(t) - y.diff(t)), -x), sci.eq(a * (x.diff(t) - y.diff(t)), -b * y))
    rows = mass_rows(system)
    assert [{name_of(u): c for u, c in row.items()} for row in rows] == [{"x": a, "y": -a}] * 2
    found = constraint_form(system)
    (constraint,), (direction,) = found.expressions, found.directions
    assert sp.expand(constraint - (x - b * y)) == 0 or sp.expand(constraint + (x - b * y)) == 0
    assert direction[x] == direction[y] != 0
    assert " and " in found.cited[0]


def test_two_blocks_are_two_constraints():
    u, v = sci.variables("u v")
    pair = lambda p, q: [sci.eq(p.diff(t) + q.diff(t), -p), sci.eq(p.diff(t) + q.diff(t), -3 * q)]
    found = constraint_form(reduced(*pair(x, y), *pair(u, v)))
    assert len(found.expressions) == 2
    assert [sorted(name_of(n) for n in d) for d in found.directions] == [["x", "y"], ["u", "v"]]


def test_definitions_are_seen_through_when_the_index_is_checked():
    system = reduced(sci.eq(x.diff(t), -z), sci.eq(w, z + x), sci.eq(w**3 + w, y), sci.eq(y, t))
    assert len(constraint_form(system).expressions) == 1


@pytest.mark.parametrize(
    ("equations", "error", "says"),
    [
        (lambda: [sci.eq(x.diff(t), z), sci.eq(x**3 + x, sp.sin(t))], ModelError, "constrains x.*higher index.*Differentiate it by sci.t"),
        (
            lambda: [sci.eq(x.diff(t, 2), -z * x), sci.eq(y.diff(t, 2), -z * y - 9), sci.eq(x**2 + y**2, 1)],
            ModelError, "constrains x, y.*higher index",
        ),
        (
            lambda: [sci.eq(x.diff(t) + y.diff(t), t), sci.eq(x.diff(t) + y.diff(t), z), sci.eq(z.diff(t), -z)],
            CompileError, "` .* and `.* constrain unknowns whose rates.*index above 1, and x, y cannot be found.*Differentiate them",
        ),
        (lambda: [sci.eq(x.diff(t), y), sci.eq(y**3 + y, x), sci.eq(y**2, 1)], ModelError, "too many equations|constrains"),
        (lambda: [sci.eq(z**3 + z, x)], ModelError, "too few equations: 1 for 2 unknowns.*(z, x|x, z)"),
        (lambda: [sci.eq(x.diff(t), -z + sci.white_noise("xi")), sci.eq(z**3 + z, x)], CompileError, "white noise: stochastic"),
        (
            lambda: [sci.eq(x.diff(t) - y.diff(t), -x), sci.eq(x.diff(t) - y.diff(t), -y), sci.eq(z.diff(t), x.diff(t))],
            CompileError, "`z' = x'`.*holds x', which other equations give only implicitly.*dense=True",
        ),
        (
            lambda: [sci.eq(x.diff(t) - y.diff(t), -x), sci.eq(x.diff(t) - y.diff(t), -y), sci.eq(z, x.diff(t))],
            CompileError, "`z = x'`.*holds x', which other equations give only implicitly",
        ),
        (
            lambda: [sci.eq(x * (x.diff(t) + y.diff(t)), 1), sci.eq(2 * x * (x.diff(t) + y.diff(t)), y)],
            CompileError, "do not determine x, y.*or repeat each other",
        ),
    ],
    ids=["index 2", "pendulum", "structural", "too many", "too few", "noise", "loose rate", "loose definition", "state-dependent"],
)  # fmt: skip
def test_what_is_refused_names_equations_and_the_cure(equations, error, says):
    with pytest.raises(error, match=f"(?s){says}"):
        constraint_form(reduced(*equations()))
