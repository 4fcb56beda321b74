"""Order reduction, alias elimination, isolation: each alone and in the pipeline."""

import numpy as np
import pytest
import sympy as sp
from hypothesis import given
from hypothesis import strategies as st

import sciml as sci
from sciml.errors import CompileError, ModelError
from sciml.passes import PASSES, convert_units, eliminate_aliases, first_order, isolate, run_passes
from sciml.passes.pipeline import compilable
from sciml.system import text

t = sci.t
x, y, z, w = sci.variables("x y z w")
a, b = sci.parameters("a b", 1.0)


def lines(system):
    return [str(e) for e in system.equations]


def eliminated(system):
    return {text(u): text(e) for u, e in system.eliminated.items()}


PLAIN = sci.System([sci.eq(x.diff(t), y), sci.eq(y.diff(t), -a * x)], initial={x: 1, y: 0})


@pytest.mark.parametrize("step", [step for step, _ in PASSES], ids=lambda f: f.__name__)
def test_a_pass_with_nothing_to_do_returns_the_same_object(step):
    assert step(PLAIN) is PLAIN


def test_every_pass_has_its_reason():
    assert all(isinstance(reason, str) and len(reason) > 10 for _, reason in PASSES)


def test_the_pipeline_on_nothing_is_nothing():
    assert run_passes(PLAIN) is PLAIN


MANY = {
    "order": lambda: sci.System([sci.eq(x.diff(t, 2), -x)]),
    "alias": lambda: sci.System([sci.eq(x.diff(t), -y), sci.eq(y, x)]),
    "implicit": lambda: sci.System([sci.eq(2 * x.diff(t) + y.diff(t), 1), sci.eq(x.diff(t) - y.diff(t), x)]),
    "algebraic": lambda: sci.System([sci.eq(x.diff(t), z), sci.eq(z, y * 2), sci.eq(y, x + 1)]),
    "all": lambda: sci.System([sci.eq(a * x.diff(t, 2) + z, 0), sci.eq(z, w), sci.eq(w - 2 * y, x), sci.eq(y, t)]),
}


@pytest.mark.parametrize("name", MANY)
def test_the_pipeline_is_idempotent(name):
    once = run_passes(MANY[name]())
    assert run_passes(once) is once


@pytest.mark.parametrize("name", MANY)
@pytest.mark.parametrize("step", [first_order, eliminate_aliases], ids=lambda f: f.__name__)
def test_each_pass_is_idempotent(name, step):
    once = step(MANY[name]())
    assert step(once) is once


# -- order -----------------------------------------------------------------------------------


@pytest.mark.parametrize("order", [2, 3, 4])
def test_an_equation_of_higher_order(order):
    reduced = first_order(sci.System([sci.eq(x.diff((t, order)), -a * x)]))
    top = "x" + "'" * (order - 1)
    assert lines(reduced)[0] == f"{top}' = -a*x"
    assert len(reduced.equations) == order
    assert list(reduced.unknowns) == [top, *("x" + "'" * k for k in range(order - 1))]


def test_mixed_orders_and_lower_derivatives_inside():
    reduced = first_order(sci.System([sci.eq(x.diff(t, 2), -x.diff(t) * y), sci.eq(y.diff(t), x.diff(t) ** 2)], observed={"v": x.diff(t)}))
    assert lines(reduced) == ["x'' = -x'*y", "y' = x'**2", "x' = x'"]
    rate = reduced.observed["v"]
    assert not rate.has(sp.Derivative)
    assert rate == reduced.equations[0].lhs.expr


def test_the_rate_has_the_unit_of_a_rate():
    s = sci.variables("s", unit="m")
    system = sci.System([sci.eq(s.diff(t, 2), -9.81 * sci.constants("g", 1.0, unit="m/s**2"))], units={t: "s"})
    assert first_order(system).equations[0].lhs.expr.declaration.unit == "(m)/(s)"


@given(st.lists(st.integers(1, 4), min_size=1, max_size=4))
def test_the_number_of_states_is_the_sum_of_the_orders(orders):
    names = sci.variables(f"q0:{len(orders)}")
    system = sci.System([sci.eq(q.diff((t, n)), -q) for q, n in zip(names, orders, strict=True)])
    reduced = run_passes(system)
    assert len(reduced.equations) == sum(orders)
    assert all(e.lhs.derivative_count == 1 for e in reduced.equations)


def test_the_name_of_the_rate_is_taken():
    with pytest.raises(ModelError, match=r"not a usable name"):
        sci.variables("x'")


# -- aliases -----------------------------------------------------------------------------------


@pytest.mark.parametrize("tie", [lambda: sci.eq(y, x), lambda: sci.eq(x - y, 0), lambda: sci.eq(0, y - x), lambda: sci.eq(2 * x - x, y)])
def test_equal_unknowns_become_one(tie):
    reduced = eliminate_aliases(sci.System([sci.eq(x.diff(t), -y), tie()], observed={"o": y**2}))
    assert lines(reduced) == ["x' = -x"]
    assert eliminated(reduced) == {"y": "x"}
    assert text(reduced.observed["o"]) == "x**2"


@pytest.mark.parametrize("tie", [lambda: sci.eq(y, -x), lambda: sci.eq(x + y, 0), lambda: sci.eq(-y, x)])
def test_opposite_unknowns_become_one(tie):
    reduced = eliminate_aliases(sci.System([sci.eq(x.diff(t), -y), tie()]))
    assert lines(reduced) == ["x' = x"]
    assert eliminated(reduced) == {"y": "-x"}


def test_chains_of_aliases_multiply_their_signs():
    reduced = eliminate_aliases(sci.System([sci.eq(x.diff(t), w), sci.eq(y, -x), sci.eq(z, y), sci.eq(z + w, 0)]))
    assert lines(reduced) == ["x' = x"]
    assert eliminated(reduced) == {"y": "-x", "z": "-x", "w": "x"}


def test_the_derivative_of_an_opposite_is_the_opposite_derivative():
    reduced = eliminate_aliases(sci.System([sci.eq(x, -y), sci.eq(y.diff(t, 2), -y)]))
    assert lines(run_passes(reduced))[0] in ("x'' = -x", "y'' = -y")


@given(st.permutations(range(4)), st.lists(st.sampled_from([1, -1]), min_size=3, max_size=3))
def test_any_order_of_ties_leaves_one_unknown(order, signs):
    names = [x, y, z, w]
    ties = [sci.eq(names[order[i]], signs[i] * names[order[i + 1]]) for i in range(3)]
    reduced = eliminate_aliases(sci.System([*ties, sci.eq(names[order[0]].diff(t), -names[order[3]])]))
    (left,) = reduced.equations
    assert len(reduced.eliminated) == 3
    kept = left.residual.atoms(sp.core.function.AppliedUndef) - {t}
    assert len(kept) == 1
    expected = sp.prod(signs)
    rate = run_passes(reduced).equations[0]
    assert rate.rhs == -expected * rate.lhs.expr


def test_initial_values_move_with_their_sign():
    v = sci.variables("v", initial=3.0)
    reduced = eliminate_aliases(sci.System([sci.eq(x.diff(t), -1), sci.eq(v, -x)]))
    assert reduced.initial == {"x": -3.0}
    reduced = eliminate_aliases(sci.System([sci.eq(x.diff(t), -1), sci.eq(y, -x)], initial={y: a}))
    assert reduced.initial == {"x": -a}


def test_equal_initial_values_agree_and_different_ones_are_refused():
    agree = sci.System([sci.eq(x.diff(t), -1), sci.eq(y, -x)], initial={x: 2, y: -2})
    assert eliminate_aliases(agree).initial == {"x": 2.0}
    with pytest.raises(ModelError, match=r"equal up to sign by an equation, but their initial values differ"):
        eliminate_aliases(agree.replace(initial={x: 2, y: 2}))


def test_array_initial_values_move_too():
    u, v = sci.variables("u v", shape=(2,))
    reduced = eliminate_aliases(sci.System([sci.eq(u.diff(t), -u), sci.eq(v, -u)], initial={v: np.array([1.0, 2.0])}))
    np.testing.assert_array_equal(reduced.initial["u"], [-1.0, -2.0])


def test_a_tie_between_a_number_and_an_array_is_not_an_alias():
    u = sci.variables("u", shape=(2,))
    system = sci.System([sci.eq(x.diff(t), -1), sci.eq(u, x)])
    assert eliminate_aliases(system) is system


# -- isolation ------------------------------------------------------------------------------------


def test_a_mass_matrix():
    """[2 1; 1 3] (x', y') = (x, y) has the solution (3x - y, 2y - x)/5."""
    system = sci.System([sci.eq(2 * x.diff(t) + y.diff(t), x), sci.eq(x.diff(t) + 3 * y.diff(t), y)])
    rates = {text(e.lhs): e.rhs for e in isolate(system).equations}
    assert sp.expand(rates["x'"] - (3 * x - y) / 5) == 0
    assert sp.expand(rates["y'"] - (2 * y - x) / 5) == 0


def test_a_mass_matrix_that_depends_on_the_state():
    system = sci.System([sci.eq(x.diff(t) + sp.cos(x) * y.diff(t), 1), sci.eq(y.diff(t) - x * x.diff(t), a)])
    solved = {e.lhs: e.rhs for e in isolate(system).equations}
    for e in system.equations:
        assert sp.simplify(e.residual.xreplace(solved)) == 0


@pytest.mark.parametrize(
    "equation",
    [lambda: sci.eq(-a * x, 2 * x.diff(t)), lambda: sci.eq(0, x.diff(t) + a * x / 2), lambda: sci.eq(x.diff(t) / x, -a / 2)],
    ids=["right side", "zero on the left", "quotient"],
)
def test_one_equation_written_any_way(equation):
    (e,) = isolate(sci.System([equation()])).equations
    assert e.lhs == x.diff(t)
    assert sp.simplify(e.rhs + a * x / 2) == 0


def test_definitions_come_in_the_order_in_which_they_can_be_computed():
    system = sci.System([sci.eq(w, z + y), sci.eq(z, 2 * y), sci.eq(y, x + 1), sci.eq(x.diff(t), w)])
    reduced = isolate(system)
    assert list(eliminated(reduced)) == ["y", "z", "w"]
    assert lines(reduced) == ["x' = w"]


def test_algebraic_unknowns_that_need_each_other_are_solved_together():
    reduced = isolate(sci.System([sci.eq(y + z, x), sci.eq(y - z, 1), sci.eq(x.diff(t), y)]))
    found = {text(u): sp.expand(e) for u, e in reduced.eliminated.items()}
    assert found == {"y": x / 2 + sp.Rational(1, 2), "z": x / 2 - sp.Rational(1, 2)}


def test_a_rate_on_a_right_side_is_replaced():
    reduced = isolate(sci.System([sci.eq(x.diff(t), -a * x), sci.eq(y.diff(t), x.diff(t) + y), sci.eq(z, 2 * y.diff(t))]))
    assert lines(reduced) == ["x' = -a*x", "y' = -a*x + y"]
    assert sp.expand(reduced.eliminated[z] - 2 * (y - a * x)) == 0


@pytest.mark.parametrize(
    ("equations", "message"),
    [
        (lambda: [sci.eq(x * (x.diff(t) + y.diff(t)), 1), sci.eq(2 * x * (x.diff(t) + y.diff(t)), 2)], "do not determine x, y.*repeat each other"),
        (lambda: [sci.eq(x.diff(t), y), sci.eq(x, sp.sin(t))], "constrains x, whose highest derivative.*higher index.*Differentiate it"),
    ],
    ids=["singular", "higher index"],
)
def test_what_cannot_be_isolated_says_why(equations, message):
    with pytest.raises((CompileError, ModelError), match=f"(?s){message}"):
        run_passes(sci.System(equations()))


@pytest.mark.parametrize(
    ("equations", "rows"),
    [
        (lambda: [sci.eq(x.diff(t) ** 2, x)], ["x' = x'", "0 = x'**2 - x"]),
        (lambda: [sci.eq(sp.sin(x.diff(t)), x)], ["x' = x'", "0 = sin(x') - x"]),
        (lambda: [sci.eq(x.diff(t), y), sci.eq(y**3 + y, x)], ["x' = y", "0 = y**3 + y - x"]),
        (lambda: [sci.eq(x.diff(t) + y.diff(t), x), sci.eq(2 * x.diff(t) + 2 * y.diff(t), y)], ["x' + y' = x", "2*x' + 2*y' = y"]),
    ],
    ids=["square", "sine", "algebraic", "singular matrix"],
)
def test_what_cannot_be_solved_for_stays_implicit(equations, rows):
    def sides(line):
        left, right = line.split(" = ")
        return sorted(left.split(" + ")), sorted(right.replace(" - ", " + -").split(" + "))

    found = run_passes(sci.System(equations()))
    assert sorted(map(sides, lines(found))) == sorted(map(sides, rows))
    assert run_passes(found) is found


def test_a_block_that_is_too_large_to_solve_keeps_its_matrix():
    q = sci.variables("q0:10")
    total = sum(v.diff(t) for v in q)
    kept = run_passes(sci.System([sci.eq(v.diff(t) + total, v) for v in q]))
    assert [len(e.lhs.atoms(sp.Derivative)) for e in kept.equations] == [10] * 10
    assert [e.rhs for e in kept.equations] == list(q)


def test_a_large_block_that_holds_unknowns_becomes_algebraic():
    q = sci.variables("q0:10")
    total = sum(v.diff(t) for v in q)
    kept = run_passes(sci.System([sci.eq(v.diff(t) + v**2 * total, v) for v in q]))
    assert [e.lhs == 0 for e in kept.equations] == [False] * 10 + [True] * 10


def test_arrays_that_need_each_other_are_refused():
    u, v = sci.variables("u v", shape=(2,))
    with pytest.raises(CompileError, match=r"one of them is an array"):
        run_passes(sci.System([sci.eq(u.diff(t) + v.diff(t), u), sci.eq(u.diff(t) - v.diff(t), v)]))


def test_a_defined_unknown_has_no_initial_value_of_its_own():
    v = sci.variables("v", initial=1.0)
    with pytest.raises(CompileError, match=r"'v' is defined by `v = 2.x`.*Remove initial="):
        run_passes(sci.System([sci.eq(x.diff(t), v), sci.eq(v, 2 * x)]))


@given(st.lists(st.integers(-4, 4), min_size=4, max_size=4).filter(lambda m: m[0] * m[3] != m[1] * m[2]))
def test_random_mass_matrices(m):
    """M q' = q is solved exactly: M times the rates is q again."""
    system = sci.System([sci.eq(m[0] * x.diff(t) + m[1] * y.diff(t) - x, 0), sci.eq(m[2] * x.diff(t) + m[3] * y.diff(t) - y, 0)])
    rates = {e.lhs: e.rhs for e in run_passes(system).equations}
    for e in system.equations:
        assert sp.expand(e.residual.xreplace(rates)) == 0


def test_passes_can_be_called_by_hand_and_left_out():
    system = sci.System([sci.eq(x.diff(t, 2), y), sci.eq(y, 2 * x)])
    assert len(run_passes(system, tuple(p for p in PASSES if p[0] is first_order)).equations) == 3
    assert compilable(system) is system
    assert convert_units(system) is system
