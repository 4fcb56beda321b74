"""One network for all unknowns, or one for each: which inputs they see, in which order they give, what is refused."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import sciml as sci
from sciml.errors import ModelError, NameUnknown
from sciml.pinn.embedding import embedding_of
from sciml.pinn.together import network_for

x = sci.space("x", 0, 2)
EMBEDDING = embedding_of((sci.t, x), (0.0, 1.0))
OVER = {"u": ("t", "x"), "v": ("t", "x"), "k": ("x",)}


def net(inputs, outputs, seed=0):
    return sci.pinn.MLP(inputs, outputs, 4, 1, key=jax.random.key(seed))


def test_each_sees_its_own_coordinates():
    """u, v and k from two networks: values in the order of the functions, k the same at all times."""
    both, one = net(2, 2), net(1, 1, 1)
    made = network_for({("v", "u"): both, "k": one}, ("u", "k", "v"), OVER, EMBEDDING, jax.random.key(0))
    for p in (jnp.array([0.3, 0.5]), jnp.array([0.9, 0.5])):
        inputs = EMBEDDING(p)
        v, u = both(inputs)
        np.testing.assert_allclose(made(inputs), jnp.stack([u, one(inputs[1:])[0], v]))


def test_made_for_what_there_is():
    """Left out: one network for functions of the same coordinates, several for others."""
    assert network_for(None, ("u", "v"), OVER, EMBEDDING, jax.random.key(0)).out_size == 2
    made = network_for(None, ("u", "k"), OVER, EMBEDDING, jax.random.key(0))
    assert [(m.in_size, m.out_size) for m in made.modules] == [(2, 1), (1, 1)]


def test_what_is_refused():
    def refused(error, match, network, functions=("u", "k")):
        with pytest.raises(error, match=match):
            network_for(network, functions, OVER, EMBEDDING, jax.random.key(0))

    refused(ModelError, "'u' depends on t, x and 'k' on x", net(2, 2))
    refused(NameUnknown, "network= has 'w'", {"u": net(2, 1), "w": net(1, 1)})
    refused(ModelError, "gives 'k' 0 times", {"u": net(2, 1)})
    refused(ModelError, "u, k depend on different coordinates", {("u", "k"): net(2, 2)})
    refused(ModelError, "takes 2 inputs", {"u": net(2, 1), "k": net(2, 1)})
