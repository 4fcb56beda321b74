"""The grouped lowering of large systems equals the scalar one, and does not grow with the system."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import sympy as sp
from hypothesis import given, settings
from hypothesis import strategies as st

import sciml as sci
from sciml.codegen import lower
from sciml.codegen.grouped import grouped
from sciml.symbols import declaration_of

t = sci.t


def _places(names):
    return {declaration_of(n).name: i for i, n in enumerate(names)}


def _both(rights, states, params, close, seed=0):
    """The Grouped form, after comparing it with the scalar lowering and its derivatives with SymPy's, at a random point."""
    groups = grouped(rights, _places(states), _places(params))
    assert groups is not None
    draw = np.random.default_rng(seed)
    time, y, p = 0.3, draw.uniform(0.5, 2.0, len(states)), draw.uniform(0.5, 2.0, max(len(params), 1))
    direction = draw.normal(size=len(states))
    symbols = [t, *states, *params]
    values = np.concatenate([[time], y, p[: len(params)]])

    @jax.jit
    def everything(*q):
        back = jax.grad(lambda *r: groups.run(*r) @ direction, (0, 1, 2))(*q)
        return groups.run(*q), back, jax.jvp(lambda z: groups.run(q[0], z, q[2]), (q[1],), (direction.astype(q[1].dtype),))[1]

    found, back, forward = everything(*(jnp.asarray(v, float) for v in (time, y, p)))
    by_name = {declaration_of(s).name: jnp.asarray(v, float) for s, v in zip(symbols, values, strict=True)}
    close(found, jnp.stack([jnp.asarray(v, float) for v in lower(rights).run(lambda leaf: by_name[leaf[1]])]), rtol=1e-12, atol=1e-12)
    jacobian = _jacobian(rights, symbols, values)
    close(np.concatenate([np.atleast_1d(b) for b in back])[: len(symbols)], direction @ jacobian, rtol=1e-9, atol=1e-9)
    close(forward, jacobian[:, 1 : len(states) + 1] @ direction, rtol=1e-9, atol=1e-9)
    return groups


def _jacobian(rights, symbols, values):
    """Derivatives of SymPy, as numbers."""
    plain = [sp.Dummy(real=True) for _ in symbols]
    rights = [r.xreplace(dict(zip(symbols, plain, strict=True))) for r in rights]
    column = {s: j for j, s in enumerate(plain)}
    entries = [(i, column[s], r.diff(s)) for i, r in enumerate(rights) for s in sorted(r.free_symbols, key=column.get)]
    jacobian = np.zeros((len(rights), len(symbols)))
    for (i, j, _), value in zip(entries, sp.lambdify(plain, [e for *_, e in entries], "math")(*values), strict=True):
        jacobian[i, j] = value
    return jacobian


def _chain(n, k):
    x = sci.variables(f"x0:{n}", initial=1.0)
    return list(x), [k * ((x[i - 1] if i else 0) - 2 * x[i] + (x[i + 1] if i < n - 1 else 0)) for i in range(n)]


def _bodies(n):
    q = sci.variables(f"q0:{2 * n}", initial=1.0)
    drag = sci.parameters("drag", 0.1)
    m = sci.parameters(f"m0:{n}", 1.0)
    rights = []
    for i in range(n):
        for axis in range(2):
            total = sp.S.Zero
            for j in range(n):
                if j != i:
                    low, high = min(i, j), max(i, j)
                    d = [q[2 * high + a] - q[2 * low + a] for a in range(2)]
                    total += m[j] * (q[2 * j + axis] - q[2 * i + axis]) / (d[0] ** 2 + d[1] ** 2 + sp.Rational(1, 10)) ** sp.Rational(3, 2)
            rights.append(total - drag * q[2 * i + axis])
    return list(q), [*m, drag], rights


def _network(n, reactions, seed):
    """Random mass-action kinetics: each reaction takes one or two species and makes one."""
    draw = np.random.default_rng(seed)
    x = sci.variables(f"x0:{n}", initial=1.0)
    k = sci.parameters(f"k0:{reactions}", 1.0)
    rights = [sp.S.Zero] * n
    for r in range(reactions):
        taken = draw.integers(0, n, draw.integers(1, 3))
        made = draw.integers(0, n)
        rate = k[r] * sp.prod([x[i] for i in taken])
        for i in taken:
            rights[i] -= rate
        rights[made] += rate
    return list(x), list(k), rights


@settings(max_examples=4)
@given(st.integers(20, 30), st.integers(40, 60), st.integers(0, 10**6))
def test_random_mass_action_networks(close, n, reactions, seed):
    states, params, rights = _network(n, reactions, seed)
    groups = _both(rights, states, params, close, seed)
    assert len(groups.groups) <= 5  # k*x, k*x*y, k*x**2, and the zero of a species that takes no part


@settings(max_examples=4)
@given(st.sampled_from([70, 90]), st.sampled_from([sp.Integer(1), sp.Rational(1, 3), sp.pi, sp.Float(0.7)]))
def test_chains_with_a_number(close, n, k):
    states, rights = _chain(n, k)
    _both(rights, states, [], close)


def test_chain_with_a_parameter_and_time(close):
    k = sci.parameters("k", 1.0)
    states, rights = _chain(40, k)
    rights = [r + sp.sin(t) * x + sp.Rational(1, 2) for r, x in zip(rights, states, strict=True)]
    _both(rights, states, [k], close)


def test_nonlinear_terms_with_different_numbers(close):
    """Numbers that differ from term to term become columns of constants."""
    x = sci.variables("x0:70", initial=1.0)
    rights = [sp.Float(0.1 * i + 0.3) * sp.exp(-sp.Float(0.01 * i + 0.2) * x[i]) / (1 + x[i] ** 2) for i in range(70)]
    assert len(_both(rights, list(x), [], close).groups) == 1


def test_forces_between_bodies(close):
    """The distance of two bodies stands in four terms and is computed once."""
    states, params, rights = _bodies(12)
    groups = _both(rights, states, params, close)
    assert sum(len(g.targets) for g in groups.shared) == 12 * 11 // 2


@pytest.mark.parametrize(
    "make", [lambda n: (*_chain(n, sp.Rational(1, 3)), []), lambda n: (*_network(n, 3 * n, 1)[::2], [])], ids=["chain", "network"]
)
def test_the_number_of_groups_does_not_grow(make):
    def size(n):
        states, rights, _ = make(n)
        params = {f"k{i}": i for i in range(3 * n)}
        found = grouped(rights, _places(states), params)
        return len(found.groups), sum(len(g.tape.ops) for g in found.groups)

    assert size(60) == size(240)


def test_small_and_irregular_systems_stay_unrolled():
    x = sci.variables("x0:3", initial=1.0)
    assert grouped([-x[i] for i in range(3)], _places(x), {}) is None
    wild = sci.variables("w0:70", initial=1.0)
    assert grouped([sp.sin(w) ** (i + 2) for i, w in enumerate(wild)], _places(wild), {}) is None


def test_what_is_not_a_scalar_is_left_to_the_other_lowering():
    x = sci.variables("x0:70", initial=1.0)
    g = sci.function("g", jnp.tanh)
    assert grouped([g(a) for a in x], _places(x), {}) is None
    assert grouped([sp.polygamma(2, a) for a in x], _places(x), {}) is None
    assert grouped([sp.binomial(a, 2) for a in x], _places(x), {}) is None
    assert grouped([sp.Piecewise((a, a > 0), (0, True)) for a in x], _places(x), {}) is None


def test_a_large_system_is_grouped_by_compile(close):
    states, rights = _chain(100, sp.Integer(1))
    model = sci.compile(sci.System([sci.eq(x.diff(t), r) for x, r in zip(states, rights, strict=True)]))
    assert "groups of equally shaped terms" in model.explain()
    y = np.linspace(0, 1, 100) ** 2
    close(model.rhs(0.0, y)[1:-1], np.diff(y, 2), atol=1e-12)


def test_single_precision_stays_single():
    states, rights = _chain(100, sp.pi)
    found = grouped(rights, _places(states), {}).run(jnp.float32(0), jnp.ones(100, jnp.float32), jnp.ones(1, jnp.float32))
    assert found.dtype == jnp.float32
