"""What the tests of this room share: an expression as a function of JAX."""

import jax.numpy as jnp
import pytest

from sciml.codegen import lower
from sciml.symbols import declaration_of


@pytest.fixture(scope="session")
def jaxed():
    """`jaxed(expression, a, b)` is a function of JAX: the values of the symbols a, b in, the expression's value out."""

    def make(expression, *symbols, definitions=None):
        tape = lower([expression], definitions)
        names = [declaration_of(s).name for s in symbols]

        def run(*values):
            known = dict(zip(names, values, strict=True))
            return jnp.asarray(tape.run(lambda leaf: known[leaf[1]])[0])

        return run

    return make
