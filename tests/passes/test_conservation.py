"""Conservation laws: known networks, weights that are parameters, and random networks against their stoichiometry."""

import sympy as sp
from hypothesis import given
from hypothesis import strategies as st

import sciml as sci
from sciml.passes import conservation_laws

t = sci.t
x, y, z = sci.variables("x y z", initial=1.0)
k, V1, V2 = sci.parameters("k V1 V2", 1.0)
species = sci.variables("s0:4", initial=1.0)
rates = sci.parameters("r0:5", 1.0)


def totals(equations, **options):
    return [sp.expand(law.total) for law in conservation_laws(sci.System(equations, **options))]


def test_none():
    assert conservation_laws(sci.System({x.diff(t): -x, y.diff(t): -k * y})) == ()


def test_an_enzyme_has_two():
    E, S, C, P = sci.variables("E S C P", initial=1.0)
    bind, make = k * E * S - V1 * C, V2 * C
    found = conservation_laws(sci.System({E.diff(t): -bind + make, S.diff(t): -bind, C.diff(t): bind - make, P.diff(t): make}))
    assert [law.total for law in found] == [C + E, C + P + S]
    assert repr(found[0]) == "C + E is conserved" and len({law.redundant for law in found}) == 2


def test_weights_that_are_parameters():
    assert totals({x.diff(t): k * (y - x) / V1, y.diff(t): k / V2 * (x - y)}) == [V1 * x + V2 * y]
    assert totals({x.diff(t): -x * y / (V1 + V2), y.diff(t): x * y}) == [V1 * x + V2 * x + y]


def test_numbers_as_they_were_written():
    assert totals({x.diff(t): -0.1 * x, y.diff(t): 0.3 * x}) == [3 * x + y]


def test_terms_in_different_forms():
    flux = k * x / (1 + x)
    assert totals({x.diff(t): -flux, y.diff(t): 2 * k * x / (2 + 2 * x)}) == [x + y]
    assert totals({x.diff(t): -((x - y) ** 2) * k, y.diff(t): k * (x**2 - 2 * x * y + y**2)}) == [x + y]


def test_higher_order_eliminated_and_constant_unknowns():
    (drag,) = totals([sci.eq(x.diff(t, 2), -k * x.diff(t))])
    assert str(drag) in ("k*x(t) + x'(t)", "k*x(t) + x'")
    v = sci.variables("v")
    assert totals([sci.eq(v, k * x * y), sci.eq(x.diff(t), -v), sci.eq(y.diff(t), v)]) == [x + y]
    assert totals({x.diff(t): 0, y.diff(t): -y}) == [x]


def test_mass_matrices_noise_and_time():
    assert totals([sci.eq(V1 * x.diff(t) + y.diff(t), x), sci.eq(x.diff(t) - y.diff(t), -x)]) != []
    xi = sci.white_noise("xi")
    assert totals({x.diff(t): -x + x * xi, y.diff(t): x - x * xi}) == [x + y]
    assert totals({x.diff(t): sp.sin(t), y.diff(t): -sp.sin(t), z.diff(t): -sp.cos(t)}) == [x + y]


def test_arrays_are_not_mixed_with_numbers():
    p, q = sci.variables("p q", shape=3, initial=0.0)
    assert totals({p.diff(t): -k * p * q, q.diff(t): k * p * q, x.diff(t): -k}) == [p + q]


@given(st.lists(st.tuples(*[st.integers(-2, 2)] * 4), min_size=1, max_size=4), st.integers(0, 10**6))
def test_random_networks(reactions, seed):
    """As many laws as the stoichiometric matrix has left null vectors, each one of them."""
    powers = [[1 + i, *((seed >> (2 * i + j)) % 3 for j in range(3))] for i in range(len(reactions))]
    fluxes = [r * sp.prod(s**n for s, n in zip(species, row, strict=True)) for r, row in zip(rates, powers, strict=False)]
    N = sp.Matrix(reactions).T
    equations = {s.diff(t): sum((N[i, j] * fluxes[j] for j in range(N.cols)), sp.S.Zero) for i, s in enumerate(species)}
    laws = conservation_laws(sci.System(equations))
    weights = sp.Matrix([[law.coefficients.get(s, 0) for s in species] for law in laws]) if laws else sp.zeros(0, 4)
    assert len(laws) == 4 - N.rank() == weights.rank()
    assert (weights * N).is_zero_matrix is not False
    redundant = [list(species).index(law.redundant) for law in laws]
    assert not laws or weights[:, redundant].det() != 0
