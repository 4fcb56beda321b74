"""What networks are built of: dense layers, random weight factorisation, random Fourier features, activations.

| piece               | formula                                                                       |
|---------------------|-------------------------------------------------------------------------------|
| dense               | W x + b, W normal with variance 2/(in + out) (Glorot and Bengio 2010), b = 0  |
| factorised dense    | exp(s)*(V x) + b, s ~ N(mean, deviation**2), V = W/exp(s)                     |
| Fourier features    | cos(B x), sin(B x), entries of B ~ N(0, sigma**2), each sigma its own rows    |
| activation          | tanh, sin, gelu, silu, softplus, or any smooth function of the user           |

Random weight factorisation gives every neuron its own learning rate (Wang, Wang, Seidman and Perdikaris 2022, arXiv:2210.01274).
Fourier features let a network see short waves (Tancik et al. 2020, arXiv:2006.10739; several sigmas: Wang, Wang and Perdikaris,
CMAME 384 (2021) 113938).
"""

from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp

from ...errors import ModelError, nearest

ACTIVATIONS: dict[str, Callable[[Any], Any]] = {
    "tanh": jnp.tanh,
    "sin": jnp.sin,
    "gelu": jax.nn.gelu,
    "silu": jax.nn.silu,
    "softplus": jax.nn.softplus,
}
"""Activations by name: all of them smooth, since a network that is a solution is differentiated several times."""

FACTORISED = (1.0, 0.1)
"""Mean and standard deviation of the logarithms of the row scales."""


class Activation(eqx.Module):
    """An activation by name, or a user's own function; `sin` with a frequency: sin(omega z)."""

    function: str | Callable[[Any], Any] = eqx.field(static=True)
    omega: float = eqx.field(static=True, default=1.0)

    def __call__(self, z: Any) -> Any:
        f = ACTIVATIONS[self.function] if isinstance(self.function, str) else self.function
        return f(z if self.omega == 1.0 else self.omega * z)


def activation_of(given: Any, omega: Any = 1.0) -> Activation:
    """The activation that a user asked for.

    Raises:
        ModelError: an unknown name, something that cannot be called, a frequency for another activation than sin.
    """
    if isinstance(given, str) and given not in ACTIVATIONS:
        known = nearest(given, ACTIVATIONS)
        why = " A network of relu has no second derivative." if given in ("relu", "leaky_relu") else ""
        raise ModelError(f"There is no activation '{given}'.{why} {known}")
    if not isinstance(given, str) and not callable(given):
        raise ModelError(f'activation={given!r}: give a name such as activation="tanh", or a function.')
    if not omega > 0:
        raise ModelError(f'omega={omega}: give a positive frequency, as in activation="sin", omega=10.')
    if omega != 1 and given != "sin":
        raise ModelError(f'omega={omega} is the frequency of activation="sin". Leave it out, or write activation="sin", omega={omega}.')
    return Activation(given, float(omega))


class Dense(eqx.Module):
    """W x + b; with `log_scale` s, exp(s)*(W x) + b.

    The product with the input comes first and alone, whatever follows: `weight` is all that meets the input.
    """

    weight: Any
    bias: Any
    log_scale: Any = None

    def __init__(self, in_size: int, out_size: int, *, factorised: Any = False, gain: float = 1.0, key: Any):
        first, second = jax.random.split(key)
        weight = gain * (2.0 / (in_size + out_size)) ** 0.5 * jax.random.normal(first, (out_size, in_size))
        if factorised is not False:
            mean, deviation = FACTORISED if factorised is True else factorised
            self.log_scale = mean + deviation * jax.random.normal(second, (out_size,))
            weight = weight / jnp.exp(self.log_scale)[:, None]
        self.weight, self.bias = weight, jnp.zeros(out_size)

    def __call__(self, x: Any) -> Any:
        z = self.weight @ x
        return (z if self.log_scale is None else jnp.exp(self.log_scale) * z) + self.bias

    def with_values(self, weight: Any, bias: Any) -> "Dense":
        """The same layer with other weights: W as it acts, whether factorised or not."""
        weight = weight if self.log_scale is None else weight / jnp.exp(self.log_scale)[:, None]
        return eqx.tree_at(lambda d: (d.weight, d.bias), self, (weight, bias))


class FourierFeatures(eqx.Module):
    """cos(B x) and sin(B x): `size` = 2*n for each sigma. B is trained with the rest.

    Args:
        in_size: number of inputs.
        sigma: the standard deviation of the entries of B, or several of them. Inputs in [-1, 1] then give waves of
            about sigma/3 periods.
        n: rows of B for each sigma.
        key: `jax.random.key(...)`.

    Raises:
        ModelError: no rows, or a sigma that is not positive.

    >>> import jax, jax.numpy as jnp
    >>> from sciml.pinn.networks import FourierFeatures
    >>> features = FourierFeatures(2, sigma=(1.0, 10.0), n=8, key=jax.random.key(0))
    >>> features(jnp.ones(2)).shape
    (32,)
    """

    matrix: Any

    def __init__(self, in_size: int, sigma: Any, n: Any, *, key: Any):
        sigmas = tuple(sigma) if isinstance(sigma, tuple | list) else (sigma,)
        if not sigmas or not all(isinstance(s, int | float) and s > 0 for s in sigmas) or not whole(n):
            raise ModelError(
                f"Fourier features with sigma={sigma!r}, n={n!r}: give positive numbers, as in fourier=(1.0, 32) or fourier=((1, 10), 32)."
            )
        keys = jax.random.split(key, len(sigmas))
        self.matrix = jnp.concatenate([s * jax.random.normal(k, (n, in_size)) for s, k in zip(sigmas, keys, strict=True)])

    @property
    def size(self) -> int:
        """How many features there are."""
        return 2 * self.matrix.shape[0]

    def __call__(self, x: Any) -> Any:
        z = self.matrix @ x
        return jnp.concatenate([jnp.cos(z), jnp.sin(z)])


def features_of(fourier: Any, in_size: int, key: Any) -> FourierFeatures | None:
    """The first stage that `fourier=(sigma, n)` asks for, or None."""
    if fourier is None:
        return None
    if not isinstance(fourier, tuple | list) or len(fourier) != 2:
        raise ModelError(f"fourier={fourier!r}: give the spread of the frequencies and their number, as in fourier=(1.0, 32).")
    return FourierFeatures(in_size, fourier[0], fourier[1], key=key)


def whole(n: Any, least: int = 1) -> bool:
    """Whether n is a whole number, `least` or more."""
    return isinstance(n, int) and not isinstance(n, bool) and n >= least
