"""Embeddings: ends go to -1 and 1, periodic functions repeat with their derivatives, layouts and names agree."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import sympy as sp

import sciml as sci
from sciml.errors import ModelError, NameUnknown
from sciml.pinn.embedding import embedding_of

X = sci.space("x", 0, 2)
P = sci.space("p", -1, 3, periodic=True)
FREE = sci.space("f", 0, sp.oo)
V = sci.space("V", -sp.oo, sp.oo, dim=5)
W = sci.space("W", 0, 4, dim=3)


def test_bounded_coordinates_fill_minus_one_to_one(close):
    e = embedding_of((sci.t, X), t_span=(2, 6))
    close(e(jnp.array([2.0, 0.0])), [-1, -1])
    close(e(jnp.array([6.0, 2.0])), [1, 1])
    close(e(jnp.array([4.0, 0.5])), [0, -0.5])


def test_unbounded_coordinates_stay_and_bounded_vectors_are_scaled(close):
    e = embedding_of((FREE, V, W))
    p = jnp.arange(1.0, 10.0)
    close(e(p)[:6], p[:6])
    close(e(p)[6:], p[6:] / 2 - 1)
    assert e.block("f") == (slice(0, 1), 1.0) and e.block("V") == (slice(1, 6), 1.0) and e.block("W") == (slice(6, 9), 0.5)


def test_one_unbounded_vector_passes_as_it_is():
    e = embedding_of((V,))
    assert str(jax.make_jaxpr(e)(jnp.ones(5))).count("mul") == 0


def test_names_sizes_and_blocks_belong_together():
    e = embedding_of((sci.t, P, X, V), modes=2)
    assert e.names == ("t", "cos p", "sin p", "cos 2p", "sin 2p", "x", "V[0]", "V[1]", "V[2]", "V[3]", "V[4]")
    assert e.size == len(e.names) == e(jnp.ones(8)).shape[0]
    assert e.block("p") == (slice(1, 5), None)
    assert e.described() == "11 inputs (t, cos p, sin p, cos 2p, sin 2p, x, V[0], V[1], V[2], V[3], V[4])"
    big = embedding_of((sci.t, sci.space("Z", -sp.oo, sp.oo, dim=1000)))
    assert big.described() == "1001 inputs (t, 1000 of Z)"


def test_every_derivative_repeats_after_a_period(close):
    e = embedding_of((P,), modes=3)

    def f(x):
        return jnp.sin(e(x[None]) @ jnp.arange(1.0, 7.0) + 0.3)

    for _ in range(4):
        close(f(jnp.asarray(-1.0)), f(jnp.asarray(3.0)), rtol=1e-8)
        f = jax.grad(f)


def test_scale_is_the_derivative_of_the_inputs(close):
    e = embedding_of((sci.t, X, W), t_span=(0, 0.5))
    jacobian = jax.jacfwd(e)(jnp.full(5, 0.3))
    expected = np.zeros((5, 5))
    for name, at in (("t", slice(0, 1)), ("x", slice(1, 2)), ("W", slice(2, 5))):
        block, scale = e.block(name)
        expected[block, at] = scale * np.eye(at.stop - at.start)
    close(jacobian, expected)


def test_angle_of_a_periodic_coordinate(close):
    e = embedding_of((P,), modes=2)
    a = 2 * np.pi * (0.7 + 1) / 4
    close(e(jnp.array([0.7])), [np.cos(a), np.sin(a), np.cos(2 * a), np.sin(2 * a)])


def test_a_span_given_as_arrays_needs_no_new_program(close):
    traces = []

    @jax.jit
    def at_start(span):
        traces.append(1)
        return embedding_of((sci.t, X), t_span=span)(jnp.stack([span[0], jnp.asarray(1.0)]))

    close(at_start((jnp.asarray(0.0), jnp.asarray(2.0))), [-1, 0])
    close(at_start((jnp.asarray(3.0), jnp.asarray(4.0))), [-1, 0])
    assert len(traces) == 1


def test_float32_stays_and_equal_embeddings_hash_alike():
    e = embedding_of((sci.t, P, X))
    assert e(jnp.ones(3, jnp.float32)).dtype == jnp.float32
    assert hash(e) == hash(embedding_of((sci.t, P, X))) and e == embedding_of((sci.t, P, X))


def test_bad_spans_modes_and_names_are_refused():
    with pytest.raises(ModelError, match=r"t_span=\(1, 0\): the start must lie before the end.*t_span=\(0, 1\)"):
        embedding_of((sci.t, X), t_span=(1, 0))
    with pytest.raises(ModelError, match="t_span=3 is not a start and an end"):
        embedding_of((sci.t, X), t_span=3)
    with pytest.raises(ModelError, match="both must be finite"):
        embedding_of((sci.t, X), t_span=(0, np.inf))
    with pytest.raises(ModelError, match="modes=0: give a whole number"):
        embedding_of((P,), modes=0)
    with pytest.raises(NameUnknown, match=r"no coordinate 'y'.*There are: t, x"):
        embedding_of((sci.t, X)).block("y")
    embedding_of((X,), t_span=None)  # without a time the span does not matter
