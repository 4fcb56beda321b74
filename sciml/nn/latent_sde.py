"""`LatentSDE`: two layers with white noise, and the distance between their paths as one more state."""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from ..errors import SolveError
from ..solve import Solution
from ..symbols import data, dot, neural, parameters, t, variables, white_noise
from ..system import System, eq
from .module import compiled, skeleton, weights
from .ode import check_width, run
from .sde import NeuralSDE, stepping


class LatentSDE(eqx.Module):
    """A latent stochastic differential equation: a prior, a posterior that is told of the data, and the distance between them.

        prior        z' = h(z, t) + g(z, t) xi,               z(t0) normal, with trained mean and deviation
        posterior    z' = f(z, context, t) + g(z, t) xi,      z(t0) normal, from an encoder
        distance     kl' = |(f - h)/g|**2 / 2                 (by Girsanov's theorem its mean is the Kullback-Leibler divergence of the paths)

    It is trained by the evidence lower bound, the log likelihood of the data given z less the distance:

        z, kl = layer(mean, log_std, context, key=key, saveat=times)
        loss = -(log_likelihood(decoder(z), data) - kl)

    One call is one path of one series; `jax.vmap` over contexts and keys gives a batch.

    Args:
        posterior: a callable pytree, f. It gets one vector, the state, the context and the time, and gives (size,).
        prior: a callable pytree, h. It gets the state and the time, and gives (size,).
        diffusion: a callable pytree, g. It gets the state and the time, and gives (size,), positive.
        size: how many numbers the state has.
        context: how many numbers the context has.
        knots: times at which the context is given, increasing. It is linear between them and constant outside. Without knots it is
            one vector for the whole path.
        t_span: (t0, t1).
        time: False if the modules do not take the time: the same laws at all times.
        calculus: "ito" or "stratonovich", as in `NeuralSDE`. The distance is the same in both.
        solver: "auto" ("euler" in Ito's calculus), or as in `NeuralSDE`. The steps of "euler" are normal numbers whose distance is
            exactly what it adds to kl, so that the bound is one for every dt. A solver of higher order looks at the noise before it
            has taken the step, and training at large dt learns to use that: with it, take small steps or a tolerance.
        dt: as in `NeuralSDE`; and so are rtol, atol, adjoint and max_steps.

    Attributes:
        system: the System of the posterior, with the unknowns `z` and `kl`, the neural terms `f`, `h` and `g`, the noise `xi`, and
            `context`, a parameter or an input.
        prior: the prior as a `NeuralSDE`. `layer.prior.solve(z, t_span=..., key=key)` goes on from a state.
        initial_mean: (size,), the mean of z(t0) under the prior.
        initial_log_std: (size,), the logarithm of its deviation.

    Raises:
        ModelError: modules of another width, or knots that do not increase.

    References:
        Li, Wong, Chen and Duvenaud, Scalable gradients for stochastic differential equations (2020), arXiv:2001.01328.

    >>> import equinox as eqx, jax, jax.numpy as jnp, sciml as sci
    >>> key = jax.random.key(0)
    >>> f, h = eqx.nn.MLP(6, 2, 8, 1, key=key), eqx.nn.MLP(3, 2, 8, 1, key=key)
    >>> g = eqx.nn.MLP(3, 2, 8, 1, final_activation=jax.nn.softplus, key=key)
    >>> layer = sci.nn.LatentSDE(f, h, g, 2, context=3)
    >>> z, kl = layer(jnp.zeros(2), jnp.zeros(2), jnp.ones(3), key=key, saveat=jnp.linspace(0, 1, 5))
    >>> z.shape, kl.shape
    ((5, 2), ())
    """

    posterior: Any
    prior: NeuralSDE
    initial_mean: Any
    initial_log_std: Any
    context: int = eqx.field(static=True)
    n_knots: int = eqx.field(static=True)
    system: System = eqx.field(static=True)

    def __init__(
        self,
        posterior: Any,
        prior: Any,
        diffusion: Any,
        size: int,
        *,
        context: int,
        knots: Any = None,
        t_span: Any = (0.0, 1.0),
        time: bool = True,
        calculus: str = "ito",
        solver: Any = "auto",
        dt: Any = None,
        rtol: Any = None,
        atol: Any = None,
        adjoint: Any = "auto",
        max_steps: int = 4096,
    ):
        check_width(prior, "LatentSDE", size, time, word="prior")
        check_width(posterior, "LatentSDE", size + context, time, (size,), "posterior")
        check_width(diffusion, "LatentSDE", size, time, word="diffusion")
        self.posterior, self.context = posterior, context
        self.prior = NeuralSDE(
            prior, diffusion, size, t_span=t_span, time=time, calculus=calculus, solver=solver, dt=dt, rtol=rtol, atol=atol, adjoint=adjoint,
            max_steps=max_steps,
        )  # fmt: skip
        self.initial_mean, self.initial_log_std = jnp.zeros(size), jnp.zeros(size)
        knots = None if knots is None else np.asarray(knots, float)
        self.n_knots = 0 if knots is None else len(knots)
        self.system = _system([skeleton(m) for m in (posterior, prior, diffusion)], size, context, knots, time, calculus)

    @property
    def size(self) -> int:
        """How many numbers the state has."""
        return self.prior.size

    def __call__(self, mean: Any, log_std: Any, context: Any, *, key: Any, saveat: Any = "end", **options: Any) -> tuple[Any, Any]:
        """A path of the posterior and its distance from the prior.

        Args:
            mean: (size,), the mean of z(t0), from the encoder.
            log_std: (size,), the logarithm of its deviation.
            context: (context,), or (knots, context).
            key: `jax.random.key(...)`.
            saveat: as in `sciml.solve`.
            options: further arguments of `solve`.

        Returns:
            z of shape (times, size), and the distance: of the two normal distributions at t0, and of the paths up to the last of the times.
        """
        own, path = jax.random.split(key)
        z0 = mean + jnp.exp(log_std) * jax.random.normal(own, mean.shape, mean.dtype)
        sol = self.solve(z0, context, key=path, saveat=saveat, **options)
        return sol["z"], sol["kl"][-1] + self.initial_kl(mean, log_std)

    def initial_kl(self, mean: Any, log_std: Any) -> Any:
        """The Kullback-Leibler divergence of the distribution of z(t0) from that under the prior."""
        ratio = jnp.exp(2 * (log_std - self.initial_log_std))
        away = jnp.square((mean - self.initial_mean) * jnp.exp(-self.initial_log_std))
        return jnp.sum(0.5 * (ratio + away - 1) + self.initial_log_std - log_std)

    def solve(self, z0: Any, context: Any, *, key: Any, saveat: Any = "end", regularize: Any = None, **options: Any) -> Solution:
        """A path of the posterior from z0: `sol["z"]` of shape (times, size), and `sol["kl"]`, the distance so far.

        Args:
            z0: (size,).
            context: (context,), or (knots, context).
            key: `jax.random.key(...)`.
            saveat: as in `sciml.solve`.
            regularize: as in `sciml.solve`; the steps must be adaptive.
            options: further arguments of `sciml.solve`; they go before those of the layer.

        Raises:
            SolveError: a z0 or a context of another shape, or a solve that failed.
        """
        z0, context = jnp.asarray(z0), jnp.asarray(context)
        shape = (self.n_knots, self.context) if self.n_knots else (self.context,)
        for word, found, right in (("z0", z0.shape, (self.size,)), ("context", context.shape, shape)):
            if found != right:
                raise SolveError(f"This LatentSDE takes {word} of shape {right}, and was given {found}. A batch is a jax.vmap over its call.")
        h, g = self.prior.drift, self.prior.diffusion
        return run(
            compiled(self.system, self.posterior, h, g),
            stepping(self.prior, self.prior.t_span, options),
            t_span=self.prior.t_span,
            params={"f": weights(self.posterior), "h": weights(h), "g": weights(g), "context": context},
            initial={"z": z0},
            saveat=saveat,
            key=key,
            regularize=regularize,
        )

    def sample(self, key: Any, *, saveat: Any = "end", **options: Any) -> Any:
        """A path of the prior, z of shape (times, size)."""
        own, path = jax.random.split(key)
        z0 = self.initial_mean + jnp.exp(self.initial_log_std) * jax.random.normal(own, (self.size,))
        return self.prior.solve(z0, key=path, saveat=saveat, **options)["z"]


def _system(modules: list[Any], size: int, context: int, knots: Any, time: bool, calculus: str) -> System:
    z = variables("z", shape=(size,), initial=0.0)
    kl = variables("kl", initial=0.0)
    told = (
        parameters("context", np.zeros(context))
        if knots is None
        else data("context", knots, np.zeros((len(knots), context)), interp="linear", outside="hold")
    )
    when = (t,) if time else ()
    f, h, g = (neural(name, module) for name, module in zip("fhg", modules, strict=True))
    posterior, prior, strength = f(z, told, *when), h(z, *when), g(z, *when)
    apart = (posterior - prior) / strength
    xi = white_noise("xi", shape=(size,))
    return System([eq(z.diff(t), posterior + strength * xi), eq(kl.diff(t), dot(apart, apart) / 2)], calculus=calculus, name="latent_sde")


__all__ = ["LatentSDE"]
