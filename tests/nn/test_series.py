"""Series: one form for irregular, ragged and incomplete data, and a clear word about what cannot be used."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import sciml as sci
from sciml.errors import SolveError
from sciml.nn.series import one_series

series = sci.nn.series


def test_one_series():
    s = series([0.0, 0.5, 2.0], np.arange(6.0).reshape(3, 2))
    assert s.t.shape == (3,) and s.x.shape == (3, 2) and s.observed.all() and s.channels == 2
    assert int(s.length) == 3
    assert series(None, np.ones((4, 1))).t.tolist() == [0, 1, 2, 3]


def test_a_list_is_padded():
    s = series([[0.0, 0.5, 1.0], [0.0, 2.0]], [np.ones((3, 2)), np.full((2, 2), 5.0)])
    assert s.t.tolist() == [[0, 0.5, 1], [0, 2, 2]]  # times stand still in the padding
    assert s.observed[:, :, 0].tolist() == [[True, True, True], [True, True, False]]
    assert s.x[1].tolist() == [[5, 5], [5, 5], [0, 0]]
    assert len(s) == 2 and s[1].length == 2 and [int(one.length) for one in s] == [3, 2]
    shared = series(None, np.array([np.ones((3, 1)), np.ones((2, 1))], dtype=object))
    assert shared.t.tolist() == [[0, 1, 2], [0, 1, 1]]


def test_masks():
    x = np.arange(8.0).reshape(4, 2)
    by_sample = series([0.0, 1.0, 2.0, 9.0], x, mask=[True, False, True, False])
    assert by_sample.t.tolist() == [0, 1, 2, 2] and int(by_sample.length) == 3
    by_channel = series(None, x, mask=np.array([[1, 1], [0, 1], [1, 0], [0, 0]]))
    assert by_channel.x.tolist() == [[0, 1], [0, 3], [4, 0], [0, 0]]
    behind = series([0.0, 1.0, 0.0, -5.0], x, mask=[True, True, False, False])  # whatever is written in the padding
    assert behind.t.tolist() == [0, 1, 1, 1]
    nan = series(None, np.array([[np.nan, 1.0], [2.0, np.nan]]), missing="allowed")
    assert nan.observed.tolist() == [[False, True], [True, False]] and nan.x.tolist() == [[0, 1], [2, 0]]
    assert series(None, np.array([[1.0], [np.nan]]), mask=[True, False]).x.tolist() == [[1], [0]]


def test_a_batch_is_a_pytree():
    s = series(None, np.random.default_rng(0).normal(size=(5, 6, 3)))
    assert jax.vmap(lambda one: one.x.sum())(s).shape == (5,)
    assert s[jnp.array([0, 3])].x.shape == (2, 6, 3)
    assert eqx.filter_jit(lambda s: s.length)(s).tolist() == [6] * 5


def test_standardised_by_the_moments_of_what_was_observed():
    rng = np.random.default_rng(0)
    raw = [rng.normal([3.0, -1.0, 4.0], [2.0, 0.1, 0.0], size=(n, 3)) for n in (4, 9)]
    s = series(None, raw)
    every = np.concatenate(raw)
    mean, deviation = s.moments()
    np.testing.assert_allclose(mean, every.mean(0), rtol=1e-4)
    np.testing.assert_allclose(deviation, [*every.std(0)[:2], 1.0], rtol=1e-4)
    np.testing.assert_allclose(s.standardised().moments(), [[0, 0, 0], [1, 1, 1]], atol=1e-4)
    np.testing.assert_allclose(s.standardised((mean, deviation)).x, s.standardised().x, rtol=1e-4)
    assert not s.standardised().x[0, 4:].any()


def test_dropped():
    s = series(None, [np.arange(float(n))[:, None] + np.zeros((1, 2)) for n in (10, 4, 3)])
    few = s.dropped(0.7, jax.random.key(0))
    assert few.length.tolist() == [3, 2, 2] and few.t.shape == (3, 3)
    for one in few:
        n = int(one.length)
        np.testing.assert_array_equal(one.t[:n], one.x[:n, 0])  # each sample took its time with it
        assert (np.diff(one.t[:n]) > 0).all()
    np.testing.assert_array_equal(few.x, s.dropped(0.7, jax.random.key(0)).x)
    assert s.dropped(0.0, jax.random.key(1)).x.tolist() == s.x.tolist()
    hidden = s.dropped(0.5, jax.random.key(0), what="values")
    assert hidden.x.shape == s.x.shape and 0.3 < hidden.observed.sum() / s.observed.sum() < 0.7


def test_what_a_layer_is_called_with():
    t, x = jnp.array([0.0, 1.0, 3.0]), jnp.ones((3, 2))
    call = lambda *given: one_series(*given, channels=2, layer="layer")
    whole = call(series(t, x), None, None)
    traced = jax.jit(lambda t, x: call(t, x, None))(t, x)
    for one in (call(t, x, None), traced):
        np.testing.assert_array_equal(one.t, whole.t)
    mask = jnp.array([True, True, False])
    held = jax.vmap(lambda t, x, m: call(t, x, m))(t[None], jnp.full((1, 3, 2), jnp.nan).at[:, :2].set(1.0), mask[None])
    assert held.t.tolist() == [[0, 1, 1]] and held.x[0, 2].tolist() == [0, 0]


UNEQUAL = [np.ones((3, 2)), np.ones((5, 2))]
ERRORS = {
    "unequal lists": (lambda: series(None, [[[1.0], [2.0]], [[1.0]]]), "unequal length (1 to 2 samples) without a mask"),
    "shared times": (lambda: series([0.0, 1.0, 2.0], UNEQUAL), "unequal lengths (3 to 5 samples), and times is one array for all"),
    "too few times": (lambda: series([[0.0, 1.0, 2.0]], UNEQUAL), "There are 2 series and 1 times"),
    "a time too few": (lambda: series([[0.0, 1.0], [0, 1, 2, 3, 4]], UNEQUAL), "times[0] has shape (2,) and values[0] has 3 samples"),
    "unequal widths": (lambda: series(None, [np.ones((3, 2)), np.ones((3, 4))]), "2 channels and values[1] has 4"),
    "transposed": (lambda: series(None, [np.ones((2, 7)), np.ones((2, 9))]), "transpose series that come as (channels, samples)"),
    "flat list": (lambda: series(None, [np.ones((3, 1)), np.ones(3)]), "Write values[1][:, None]"),
    "unsorted": (lambda: series([0.0, 2.0, 1.0], np.ones((3, 1))), "times must increase: entry 2 is 1 after 2. Sort them (order = np.argsort(times)"),
    "twice": (lambda: series([[0.0, 1.0], [3.0, 3.0]], np.ones((2, 2, 1))), "times of series 1 must increase: entry 1 is 3 after 3"),
    "NaN": (lambda: series(None, np.array([[1.0, np.nan], [2.0, 3.0]])), "1 NaN observations, at [0, 1]. If NaN means that nothing was observed"),
    "infinite": (lambda: series(None, np.array([[np.inf]]), missing="allowed"), "1 infinite entries, the first at [0, 0]"),
    "NaN time": (lambda: series([0.0, np.nan], np.ones((2, 1))), "times has NaN or infinite entries, the first at [1]"),
    "empty": (lambda: series(None, np.ones((2, 3, 1)), mask=[[1, 1, 1], [0, 0, 0]]), "Series 1 has no observation at all"),
    "flat": (lambda: series(None, np.ones(4)), "Write values[:, None] for a series of 4 samples"),
    "times": (lambda: series(np.arange(7.0), np.ones((3, 7))), "np.swapaxes(values, -1, -2)"),
    "mask": (lambda: series(None, np.ones((3, 2)), mask=[True, False]), "mask has shape (2,) and values (3, 2): give one of shape (3,)"),
    "mask of numbers": (lambda: series(None, np.ones((2, 1)), mask=[0.5, 2.0]), "it says True where there is an observation"),
    "missing": (lambda: series(None, np.ones((2, 1)), missing="yes"), "missing='yes': write"),
    "text": (lambda: series(None, "words"), "values is not an array of numbers"),
    "fraction": (lambda: series(None, np.ones((2, 3, 1))).dropped(1.0, jax.random.key(0)), "fraction=1.0"),
    "what": (lambda: series(None, np.ones((2, 3, 1))).dropped(0.1, jax.random.key(0), what="x"), "what='x'"),
    "drop of one": (lambda: series(None, np.ones((3, 1))).dropped(0.1, jax.random.key(0)), "works on a batch"),
    "index of one": (lambda: series(None, np.ones((3, 1)))[0], "nothing to index"),
    "len of one": (lambda: len(series(None, np.ones((3, 1)))), "series.length"),
    "list to a layer": (lambda: one_series(None, UNEQUAL, None, channels=2, layer="layer"), "unequal lengths. Pad them and mark the padding"),
    "width": (lambda: one_series(None, np.ones((3, 4)), None, channels=2, layer="layer"), "made for 2 channels, and the series has 4"),
    "batch to a layer": (lambda: one_series(None, np.ones((5, 3, 2)), None, channels=2, layer="layer"), "a batch of 5. Write jax.vmap(layer)(batch)"),
    "times only": (lambda: one_series(np.ones(3), None, None, channels=2, layer="layer"), "write layer(t, x)"),
    "series and x": (
        lambda: one_series(series(None, np.ones((3, 2))), np.ones(3), None, channels=2, layer="layer"),
        "layer(series) with nothing else",
    ),
}


@pytest.mark.parametrize("case", ERRORS)
def test_errors(case):
    call, words = ERRORS[case]
    with pytest.raises(SolveError) as error:
        call()
    assert words in str(error.value)


def test_shapes_are_checked_inside_transformations():
    with pytest.raises(SolveError, match="takes t of shape"):
        jax.jit(lambda x: one_series(jnp.zeros(4), x, None, channels=2, layer="layer"))(jnp.ones((3, 2)))
