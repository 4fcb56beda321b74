"""Networks from the inputs of a point, (in_size,), to one number for each unknown, (out_size,).

| network       | hidden layers, with U = f(W_u x + b_u) and V = f(W_v x + b_v) where they appear                          |
|---------------|----------------------------------------------------------------------------------------------------------|
| `MLP`         | h <- f(W h + b)                                                                                          |
| `ModifiedMLP` | z = f(W h + b),  h <- z U + (1 - z) V                                                                    |
| `PirateNet`   | z = f(W_1 h + b_1) U + (1 - f(...)) V,  z' = f(W_2 z + b_2) U + (1 - f(...)) V,  h <- a f(W_3 z' + b_3) + (1 - a) h |

The output is W h + b. In all of them x may be random Fourier features of the inputs instead.
"""

import abc
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp

from ...errors import FitError, ModelError
from .layers import Activation, Dense, FourierFeatures, activation_of, features_of, whole


class _Network(eqx.Module):
    """What the networks share: Fourier features first, a linear layer last, and its fit by least squares."""

    fourier: FourierFeatures | None
    last: Dense
    activation: Activation
    in_size: int = eqx.field(static=True)
    out_size: int = eqx.field(static=True)

    @abc.abstractmethod
    def hidden(self, x: Any) -> Any:
        """The features that the last layer combines, from what the first layer takes."""

    def features(self, inputs: Any) -> Any:
        """The features that the last layer combines: (in_size,) to (number of features,)."""
        return self.hidden(inputs if self.fourier is None else self.fourier(inputs))

    def __call__(self, inputs: Any) -> Any:
        """The value at one point: (in_size,) to (out_size,)."""
        return self.last(self.features(inputs))

    def fitted(self, points: Any, values: Any) -> "_Network":
        """The same network with the last layer that comes closest to values, in the sense of least squares.

        A start near initial values or near data saves the training from finding them (Wang et al. 2024). Where several last
        layers come equally close, the smallest one is taken.

        Args:
            points: (n, in_size) inputs of the network: `jax.vmap(embedding)(p)` of points p.
            values: (n, out_size), or (n,) for one output.

        Raises:
            FitError: shapes that do not belong together, values that are NaN or infinite.

        >>> import jax, jax.numpy as jnp, sciml as sci
        >>> net = sci.pinn.PirateNet(1, 1, width=32, depth=2, key=jax.random.key(0))
        >>> x = jnp.linspace(-1, 1, 50)[:, None]
        >>> near = net.fitted(x, jnp.sin(3*x))
        >>> bool(jnp.abs(jax.vmap(near)(x) - jnp.sin(3*x)).max() < 0.01)
        True
        """
        points, values = jnp.asarray(points), jnp.asarray(values)
        values = values[:, None] if values.ndim == 1 else values
        if points.ndim != 2 or points.shape[1] != self.in_size or values.shape != (points.shape[0], self.out_size):
            raise FitError(
                f"fitted(points, values) with shapes {points.shape} and {values.shape}: this network needs points of shape (n, {self.in_size}) "
                f"and values of shape (n, {self.out_size})."
            )
        if not isinstance(values, jax.core.Tracer) and not (bool(jnp.isfinite(values).all()) and bool(jnp.isfinite(points).all())):
            raise FitError("fitted(points, values): there are NaN or infinite numbers among them. Leave those points out.")
        found = _least_squares(jax.vmap(self.features)(points), values)
        return eqx.tree_at(lambda n: n.last, self, self.last.with_values(found[:-1].T, found[-1]))


def _least_squares(features: Any, values: Any) -> Any:
    """(features, 1) @ found = values. Singular values below the rounding of the largest one count as zero."""
    ones = jnp.ones((features.shape[0], 1), features.dtype)
    matrix = jnp.concatenate([features, ones], axis=1)
    u, s, vt = jnp.linalg.svd(matrix, full_matrices=False)
    keep = s > s[0] * (max(matrix.shape) * float(jnp.finfo(s.dtype).eps))
    inverse = jnp.where(keep, 1.0 / jnp.where(keep, s, 1.0), 0.0)
    return vt.T @ (inverse[:, None] * (u.T @ values))


class MLP(_Network):
    """A multilayer perceptron.

    Args:
        in_size: number of inputs: `sci.pinn.inputs(system)`.
        out_size: number of outputs: one for each unknown.
        width: neurons of each hidden layer.
        depth: number of hidden layers.
        activation: "tanh", "sin", "gelu", "silu", "softplus", or a smooth function.
        omega: the frequency in sin(omega*z), for activation="sin": the first layer then sees waves of that frequency, and the
            weights of the others are divided by it, so that what reaches the next layer has the same size (after Sitzmann et al.
            2020, arXiv:2006.09661).
        factorised: random weight factorisation; (mean, deviation) of the logarithms of the scales instead of True's (1.0, 0.1).
        fourier: (sigma, n) or ((sigma_1, sigma_2, ...), n): random Fourier features of the inputs first.
        key: `jax.random.key(...)`, for the weights.

    Raises:
        ModelError: sizes, an activation or features that cannot be.

    >>> import jax, jax.numpy as jnp, sciml as sci
    >>> net = sci.pinn.MLP(3, 1, width=16, depth=3, activation="sin", key=jax.random.key(0))
    >>> net(jnp.zeros(3)).shape
    (1,)
    """

    layers: tuple[Dense, ...]

    def __init__(
        self,
        in_size: Any,
        out_size: Any,
        width: Any = 32,
        depth: Any = 4,
        *,
        activation: Any = "tanh",
        omega: Any = 1.0,
        factorised: Any = False,
        fourier: Any = None,
        key: Any,
    ):
        sizes = _start(self, in_size, out_size, width, depth, activation, omega, fourier, key)
        keys = jax.random.split(key, depth + 2)[1:]
        self.layers = tuple(_dense(n, width, k, factorised, omega, first=i == 0) for i, (n, k) in enumerate(zip(sizes, keys, strict=False)))
        self.last = _dense(width, out_size, keys[-1], factorised, 1.0)

    def hidden(self, x: Any) -> Any:
        for layer in self.layers:
            x = self.activation(layer(x))
        return x


class ModifiedMLP(_Network):
    """A multilayer perceptron whose hidden layers each choose between two encodings of the input.

    Args:
        in_size: as for `MLP`, and so are the other arguments.
        out_size: number of outputs.
        width: neurons of each hidden layer and of both encoders.
        depth: number of hidden layers, the encoders apart.
        activation: as for `MLP`.
        omega: as for `MLP`.
        factorised: as for `MLP`.
        fourier: as for `MLP`.
        key: `jax.random.key(...)`, for the weights.

    Raises:
        ModelError: sizes, an activation or features that cannot be.

    References:
        Wang, Teng and Perdikaris, SIAM J. Sci. Comput. 43 (2021) A3055.

    >>> import jax, jax.numpy as jnp, sciml as sci
    >>> net = sci.pinn.ModifiedMLP(3, 2, width=16, depth=3, factorised=True, key=jax.random.key(0))
    >>> net(jnp.zeros(3)).shape
    (2,)
    """

    encoders: tuple[Dense, Dense]
    layers: tuple[Dense, ...]

    def __init__(
        self,
        in_size: Any,
        out_size: Any,
        width: Any = 32,
        depth: Any = 4,
        *,
        activation: Any = "tanh",
        omega: Any = 1.0,
        factorised: Any = False,
        fourier: Any = None,
        key: Any,
    ):
        sizes = _start(self, in_size, out_size, width, depth, activation, omega, fourier, key)
        keys = jax.random.split(key, depth + 4)[1:]
        self.encoders = (_dense(sizes[0], width, keys[0], factorised, omega, True), _dense(sizes[0], width, keys[1], factorised, omega, True))
        self.layers = tuple(_dense(n, width, k, factorised, omega, i == 0) for i, (n, k) in enumerate(zip(sizes, keys[2:], strict=False)))
        self.last = _dense(width, out_size, keys[-1], factorised, 1.0)

    def hidden(self, x: Any) -> Any:
        u, v = (self.activation(encoder(x)) for encoder in self.encoders)
        for layer in self.layers:
            x = _gated(self.activation(layer(x)), u, v)
        return x


class Residual(eqx.Module):
    """One block of a `PirateNet`: three layers, two of them gated, and a share `alpha` of what they say."""

    layers: tuple[Dense, Dense, Dense]
    alpha: Any

    def __call__(self, h: Any, u: Any, v: Any, activation: Activation) -> Any:
        z = _gated(activation(self.layers[0](h)), u, v)
        z = _gated(activation(self.layers[1](z)), u, v)
        return self.alpha * activation(self.layers[2](z)) + (1.0 - self.alpha) * h


class PirateNet(_Network):
    """A residual network that starts as a linear combination of its features, and becomes deep while it is trained.

    Every block has a trainable share alpha, 0 at the start. `fitted(points, values)` makes the linear start as good as it can be.

    Args:
        in_size: as for `MLP`, and so are the other arguments.
        out_size: number of outputs.
        width: neurons of each hidden layer.
        depth: number of blocks, of three layers each.
        activation: as for `MLP`.
        omega: as for `MLP`.
        factorised: as for `MLP`.
        fourier: as for `MLP`; `width` features with sigma = 1 if left out. None: the blocks carry the inputs themselves.
        alpha: the share of each block at the start.
        key: `jax.random.key(...)`, for the weights.

    Raises:
        ModelError: sizes, an activation or features that cannot be.

    References:
        Wang, Li, Chen and Perdikaris, PirateNets: physics-informed deep learning with residual adaptive networks (2024), arXiv:2402.00326.

    >>> import jax, jax.numpy as jnp, sciml as sci
    >>> net = sci.pinn.PirateNet(2, 1, width=16, depth=2, key=jax.random.key(0))
    >>> bool(jnp.allclose(net(jnp.ones(2)), net.last(net.fourier(jnp.ones(2)))))
    True
    """

    encoders: tuple[Dense, Dense]
    blocks: tuple[Residual, ...]

    def __init__(
        self,
        in_size: Any,
        out_size: Any,
        width: Any = 32,
        depth: Any = 3,
        *,
        activation: Any = "tanh",
        omega: Any = 1.0,
        factorised: Any = False,
        fourier: Any = "width",
        alpha: float = 0.0,
        key: Any,
    ):
        if isinstance(fourier, str) and fourier == "width" and whole(width):
            fourier = (1.0, (width + 1) // 2)
        size = _start(self, in_size, out_size, width, depth, activation, omega, fourier, key)[0]
        keys = jax.random.split(key, depth + 4)[1:]
        self.encoders = (_dense(size, width, keys[0], factorised, omega, True), _dense(size, width, keys[1], factorised, omega, True))
        self.blocks = tuple(_residual(size, width, k, factorised, omega, alpha) for k in keys[2 : 2 + depth])
        self.last = _dense(size, out_size, keys[-1], factorised, 1.0)

    def hidden(self, x: Any) -> Any:
        u, v = (self.activation(encoder(x)) for encoder in self.encoders)
        for block in self.blocks:
            x = block(x, u, v, self.activation)
        return x


def _residual(size: int, width: int, key: Any, factorised: Any, omega: float, alpha: float) -> Residual:
    first, second, third = jax.random.split(key, 3)
    layers = (
        _dense(size, width, first, factorised, omega, True),
        _dense(width, width, second, factorised, omega),
        _dense(width, size, third, factorised, omega),
    )
    return Residual(layers, jnp.full((), float(alpha)))


def _start(net: Any, in_size: Any, out_size: Any, width: Any, depth: Any, activation: Any, omega: Any, fourier: Any, key: Any) -> list[int]:
    """Checks what all networks take, sets what all have, and gives the number of inputs of each hidden layer."""
    for word, value in (("in_size", in_size), ("out_size", out_size), ("width", width), ("depth", depth)):
        if not whole(value):
            raise ModelError(f"{type(net).__name__}: {word}={value!r}. Give a whole number, 1 or more.")
    net.in_size, net.out_size = in_size, out_size
    net.activation = activation_of(activation, omega)
    net.fourier = features_of(fourier, in_size, jax.random.split(key, depth + 2)[0])
    return [in_size if net.fourier is None else net.fourier.size] + [width] * (depth - 1)


def _dense(in_size: int, out_size: int, key: Any, factorised: Any, omega: float, first: bool = False) -> Dense:
    return Dense(in_size, out_size, factorised=factorised, gain=1.0 if first else 1.0 / omega, key=key)


def _gated(z: Any, u: Any, v: Any) -> Any:
    return v + z * (u - v)
