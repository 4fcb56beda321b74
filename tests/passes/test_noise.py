"""The kinds of noise, and the same process in the two calculi, on textbook examples."""

import numpy as np
import pytest
import sympy as sp
from hypothesis import given
from hypothesis import strategies as st

import sciml as sci
from sciml.errors import CompileError
from sciml.passes import ito_chain_rule, noise_form, run_passes, to_calculus

t = sci.t
x, y, z = sci.variables("x y z")
a, b = sci.parameters("a b", 1.0)
one, two = sci.white_noise("one two")


def reduced(*pairs, **options):
    return run_passes(sci.System([sci.eq(left, right) for left, right in pairs], **options))


KINDS = {
    "none": [(x.diff(t), -x)],
    "additive": [(x.diff(t), -x + a * one), (y.diff(t), x + one + sp.sin(t) * two)],
    "diagonal": [(x.diff(t), a * x + b * x * one), (y.diff(t), x + sp.sqrt(y) * two)],
    "one noise in one equation": [(x.diff(t), a * x * one)],
    "diagonal with one equation free of noise": [(x.diff(t), y), (y.diff(t), -x + y * one)],
    "commutative": [(x.diff(t), x * one), (y.diff(t), y * one)],
    "commutative, two noises": [(x.diff(t), x * (one + 2 * two)), (y.diff(t), y * (one - two))],
    "general": [(x.diff(t), one), (y.diff(t), x * two)],
    "general, by the other unknown": [(x.diff(t), y * one), (y.diff(t), x * two)],
}


@pytest.mark.parametrize("name", KINDS)
def test_kinds(name):
    expected = {
        "one noise in one equation": "diagonal",
        "diagonal with one equation free of noise": "diagonal",
        "commutative, two noises": "commutative",
        "general, by the other unknown": "general",
    }
    assert noise_form(reduced(*KINDS[name])).kind == expected.get(name, name)


def test_one_noise_for_all_commutes_whatever_its_coefficients():
    """A single Wiener process has no iterated integral of two."""
    assert noise_form(reduced((x.diff(t), sp.sin(y) * one), (y.diff(t), x**2 * one))).kind == "commutative"


def test_drift_and_diffusion():
    form = noise_form(reduced((x.diff(t), -a * x + one * (x + 1) - 2 * two), (y.diff(t), 3)))
    assert form.drift == (-a * x, 3)
    assert form.diffusion == ({one: x + 1, two: -2}, {})


def test_noise_of_arrays():
    u = sci.variables("u", shape=(3,))
    xi = sci.white_noise("xi", shape=(3,))
    assert noise_form(reduced((u.diff(t), -u + u * xi))).kind == "diagonal"
    assert noise_form(reduced((u.diff(t), -u + 2 * xi))).kind == "additive"
    assert noise_form(reduced((u.diff(t), -u + u[0] * xi))).kind == "general"
    assert noise_form(reduced((u.diff(t), -u + u * one))).kind == "general"


def test_dependence_through_a_definition_is_seen():
    assert noise_form(reduced((x.diff(t), y * one), (y, 2 * x))).kind == "diagonal"


def test_noise_in_a_definition_is_refused():
    with pytest.raises(CompileError, match=r"'y' = `.*one.*` holds white noise.*Give y a derivative"):
        noise_form(run_passes(sci.System([sci.eq(x.diff(t), y), sci.eq(y - x.diff(t) / 2, one)])))


def test_isolation_divides_the_noise_too():
    form = noise_form(reduced((2 * x.diff(t), -x + one)))
    assert form.diffusion == ({one: sp.Rational(1, 2)},)


# -- calculus --------------------------------------------------------------------------------


def rights(system):
    return [e.rhs for e in system.equations]


def test_geometric_brownian_motion():
    """dX = a X dt + b X dW (Ito) is dX = (a - b**2/2) X dt + b X o dW."""
    ito = reduced((x.diff(t), a * x + b * x * one))
    strat = to_calculus(ito, "stratonovich")
    assert strat.calculus == "stratonovich"
    assert sp.expand(rights(strat)[0] - (a * x - b**2 * x / 2 + b * x * one)) == 0


def test_square_root_noise():
    """sqrt(x) dW: half of g'g is 1/4."""
    (right,) = rights(to_calculus(reduced((x.diff(t), sp.sqrt(x) * one)), "stratonovich"))
    assert sp.simplify(right - (sp.sqrt(x) * one - sp.Rational(1, 4))) == 0


def test_two_noises_and_two_unknowns():
    """f_i changes by sum_j sum_m g_mj dg_ij/dx_m / 2."""
    strat = reduced((x.diff(t), y * one), (y.diff(t), x * one + y * two), calculus="stratonovich")
    first, second = rights(to_calculus(strat, "ito"))
    assert sp.expand(first - (y * one + x / 2)) == 0
    assert sp.expand(second - (x * one + y * two + y / 2 + y / 2)) == 0


@pytest.mark.parametrize("name", KINDS)
@pytest.mark.parametrize("calculus", ["ito", "stratonovich"])
def test_there_and_back_is_the_same(name, calculus):
    system = reduced(*KINDS[name], calculus=calculus)
    other = {"ito": "stratonovich", "stratonovich": "ito"}[calculus]
    back = to_calculus(to_calculus(system, other), calculus)
    assert [sp.expand(p - q) for p, q in zip(rights(back), rights(system), strict=True)] == [0] * len(rights(system))
    assert back.calculus == calculus


def test_the_calculus_it_has_is_the_same_object():
    system = reduced((x.diff(t), x * one))
    assert to_calculus(system, "ito") is system


@pytest.mark.parametrize("name", ["none", "additive"])
def test_additive_noise_reads_the_same_in_both(name):
    system = reduced(*KINDS[name])
    assert to_calculus(system, "stratonovich").equations == system.equations


_COEFFICIENTS = st.lists(st.sampled_from([x, y, x * y, sp.sin(x), sp.Integer(1), a * x**2, sp.S.Zero]), min_size=4, max_size=4)


@given(_COEFFICIENTS)
def test_there_and_back_for_random_noise(g):
    system = reduced((x.diff(t), y + g[0] * one + g[1] * two), (y.diff(t), g[2] * one + g[3] * two))
    back = to_calculus(to_calculus(system, "stratonovich"), "ito")
    assert all(sp.expand(p - q) == 0 for p, q in zip(rights(back), rights(system), strict=True))


def test_the_correction_of_an_array():
    u = sci.variables("u", shape=(3,))
    xi = sci.white_noise("xi", shape=(3,))
    (right,) = rights(to_calculus(reduced((u.diff(t), u**2 * xi)), "stratonovich"))
    assert sp.expand(right - (u**2 * xi - u**3)) == 0
    with pytest.raises(CompileError, match=r"Array-valued noise .* cannot be converted"):
        to_calculus(reduced((u.diff(t), u * one)), "stratonovich")


# -- the chain rule of Ito -----------------------------------------------------------------------


def test_a_chain_rule_that_ito_does_not_have_is_refused():
    system = sci.System([sci.eq((x**2).diff(t), -x + one)])
    with pytest.raises(CompileError, match=r"multiplies x' by `2\*x`.*stratonovich"):
        ito_chain_rule(system)
    with pytest.raises(CompileError, match=r"chain rule"):
        sci.compile(system)


def test_stratonovich_has_the_chain_rule():
    (right,) = rights(reduced(((x**2).diff(t), -x + one), calculus="stratonovich"))
    assert sp.simplify(right - (one - x) / (2 * x)) == 0


def test_factors_that_do_not_depend_on_the_noise_are_allowed():
    (right,) = rights(reduced((a * x.diff(t), -x + one)))
    assert sp.simplify(right - (one - x) / a) == 0
    np.testing.assert_equal(len(rights(reduced(((y**2).diff(t), -y), (x.diff(t), one)))), 2)


def test_a_network_of_an_array_mixes_its_components():
    """Each noise drives one component, but its size depends on all of them: methods for diagonal noise do not converge."""
    import equinox as eqx
    import jax

    z = sci.variables("z", shape=(2,), initial=1.0)
    g = sci.neural("g", eqx.nn.MLP(2, 2, 4, 1, key=jax.random.key(0)))
    xi = sci.white_noise("xi", shape=(2,))
    model = sci.compile(sci.System([sci.eq(z.diff(sci.t), -z + g(z) * xi)]))
    assert model.noise.kind == "general" and model.diagonal
