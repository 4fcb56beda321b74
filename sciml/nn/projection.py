"""`Projection`: a layer that gives the nearest point of a set."""

import inspect
from collections.abc import Callable
from typing import Any

import equinox as eqx

from ..errors import ModelError, nearest
from ..solve import implicit

_SETS = ("box", "non_negative", "simplex", "l2_ball", "affine")


class Projection(eqx.Module):
    """The nearest point of a set: what comes out satisfies a constraint exactly, whatever the layers before it give.

    Args:
        onto: "box" (lower, upper), "non_negative", "simplex" (total), "l2_ball" (radius), "affine" (A, b): the sets of
            `sciml.implicit.projections`; or a function y -> x of your own.
        options: numbers and arrays that describe the set. JAX arrays among them are trained, NumPy arrays and numbers are not.

    For sets of linear equalities and inequalities see `QuadraticProgram`.

    Raises:
        ModelError: a set or an option that does not exist, or an option that is missing.

    >>> import equinox as eqx, jax, jax.numpy as jnp, sciml as sci
    >>> shares = eqx.nn.Sequential([eqx.nn.Linear(2, 4, key=jax.random.key(0)), sci.nn.Projection("simplex")])
    >>> bool(jnp.isclose(jnp.sum(shares(jnp.ones(2))), 1.0))
    True
    """

    options: dict[str, Any]
    function: Callable[..., Any] = eqx.field(static=True)

    def __init__(self, onto: Any, **options: Any):
        if isinstance(onto, str):
            if onto not in _SETS:
                raise ModelError(f"Projection: there is no set '{onto}'. {nearest(onto, _SETS)}")
            onto = getattr(implicit.projections, onto)
        if not callable(onto):
            raise ModelError(f'Projection takes the name of a set or a function, not {onto!r}: write Projection("simplex").')
        try:
            inspect.signature(onto).bind(None, **options)
        except TypeError as error:
            wanted = [n for n, p in inspect.signature(onto).parameters.items() if p.kind is p.KEYWORD_ONLY]
            raise ModelError(
                f"Projection: {onto.__name__} has the options {', '.join(wanted) or 'none'}, and was given {', '.join(options) or 'none'}."
            ) from error
        self.function, self.options = onto, options

    def __call__(self, y: Any, *, key: Any = None) -> Any:
        """The nearest point of the set.

        Args:
            y: an array, as the set takes it.
            key: not used; `equinox.nn.Sequential` gives one.
        """
        return self.function(y, **self.options)
