"""`CfC`: a network whose state after any time is a formula, made after the solution of a liquid time-constant network.

    z = backbone(I, v),     gate = sigmoid(a(z)*elapsed + b(z)),     v' = (1 - gate)*tanh(f(z)) + gate*tanh(g(z))

No equation is solved: a sample costs one pass through the network, whatever the time since the last one.
"""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from ..errors import ModelError, nearest
from .samples import Affine, check_saveat, checked_first, following, nothing, readout, rows, start_state
from .series import Series, one_series
from .wiring import Wiring, wired

MODES = {"default": 4, "no_gate": 4, "pure": 1}
"""How the state moves, and how many numbers each neuron gets from the network for it."""


class CfC(eqx.Module):
    """A closed-form continuous-time network (Hasani et al. 2022, arXiv:2106.13898).

    `layer(t, x)` takes one series and gives the outputs after its last sample; a batch goes through `jax.vmap(layer)`. Samples, masks and times
    mean the same as for `sci.nn.LTC`.

    Args:
        inputs: how many numbers a sample has.
        units_or_wiring: how many neurons, all connected through a backbone; or a wiring such as `sci.nn.AutoNCP(32, outputs=4)`. With a wiring of
            layers they are computed one after the other in each sample, each neuron from those that have a synapse to it and from itself.
        outputs: how many outputs, read from the motor neurons by a matrix. Left out, each motor neuron is one, with a scale and a shift.
        mode: "default", the formula above; "no_gate", f + gate*g, without 1 - gate; "pure", the solution of the liquid network itself,
            A - A*exp(-elapsed*(w + |f|))*f with trained A and w > 0.
        backbone: the width of the backbone's layers. Left out 128; with a wiring of layers there is none.
        depth: how many layers the backbone has; 0 for none.
        first: time that counts as elapsed before the first sample.
        key: `jax.random.key(...)`.

    Attributes:
        wiring: the synapses; `layer.wiring.plot()`.

    Raises:
        ModelError: a wiring for other inputs, an unknown mode, a backbone beside a wiring of layers.

    >>> import jax, jax.numpy as jnp, sciml as sci
    >>> layer = sci.nn.CfC(3, 8, outputs=2, key=jax.random.key(0))
    >>> layer(jnp.array([0.0, 0.1, 2.0]), jnp.ones((3, 3))).shape
    (2,)
    >>> sparse = sci.nn.CfC(3, sci.nn.AutoNCP(16, outputs=2), key=jax.random.key(0))
    >>> sparse(jnp.array([0.0, 0.1, 2.0]), jnp.ones((3, 3)), saveat="samples").shape
    (3, 2)
    """

    backbone: tuple[eqx.nn.Linear, ...]
    heads: tuple[Any, ...]
    pure: Any
    enter: Affine
    leave: Any
    wiring: Wiring = eqx.field(static=True)
    mode: str = eqx.field(static=True)
    first: float = eqx.field(static=True)

    def __init__(
        self,
        inputs: Any,
        units_or_wiring: Any,
        outputs: Any = None,
        mode: Any = "default",
        *,
        backbone: Any = None,
        depth: Any = None,
        first: Any = 1.0,
        key: Any,
    ):
        self.wiring = wiring = wired(units_or_wiring, inputs)
        self.mode, self.first = mode, checked_first(first)
        if mode not in MODES:
            raise ModelError(f"There is no mode '{mode}'. {nearest(str(mode), MODES)}")
        width, depth = _backbone(wiring, backbone, depth)
        keys = jax.random.split(key, depth + len(wiring.layers) + 1)
        sizes = [wiring.inputs + wiring.units] + [width] * depth
        self.backbone = tuple(eqx.nn.Linear(a, b, key=k) for a, b, k in zip(sizes, sizes[1:], keys, strict=False))
        each = MODES[mode]
        if depth:
            self.heads = (eqx.nn.Linear(width, each * wiring.units, key=keys[depth]),)
        else:
            self.heads = tuple(Masked.random(mask, each, k) for mask, k in zip(_masks(wiring), keys[depth:], strict=False))
        # A is 1 and w is 0 in the published start; here w is a little more, and stays positive.
        self.pure = (jnp.ones(wiring.units), jnp.full(wiring.units, -3.0)) if mode == "pure" else None
        self.enter, self.leave = Affine(wiring.inputs), readout(wiring.outputs, outputs, keys[-1])

    def __call__(self, t: Any, x: Any = None, mask: Any = None, *, initial: Any = None, saveat: Any = "end") -> Any:
        """The outputs.

        Args:
            t: (N,) times, or a `Series` and nothing else.
            x: (N, inputs).
            mask: (N,) or (N, inputs): True where something was observed.
            initial: (units,) the state before the first sample; 0 if left out.
            saveat: "end", after the last sample; "samples", after each.

        Returns:
            (outputs,), or (N, outputs).

        Raises:
            SolveError: a series of the wrong width, unsorted times, NaN.
        """
        check_saveat(saveat)
        states = self.states(t, x, mask, initial=initial)[:, -self.wiring.outputs :]
        return self.leave(states[-1]) if saveat == "end" else jax.vmap(self.leave)(states)

    def states(self, t: Any, x: Any = None, mask: Any = None, *, initial: Any = None) -> Any:
        """(N, units) the neurons after each sample; they stand still where there is none.

        Args:
            t: as in a call.
            x: as in a call.
            mask: as in a call.
            initial: as in a call.
        """
        series = one_series(t, x, mask, channels=self.wiring.inputs, layer="CfC")
        return _jitted(self, series, start_state(initial, self.wiring.units, "CfC"))

    def run(self, series: Series, start: Any) -> Any:
        """`states` without its checks."""

        def body(carry: Any, row: Any) -> Any:
            v, last = carry
            last, sample = following(last, row, self.first)
            v = jnp.where(sample.present, self.update(v, self.enter(sample.x), sample.elapsed), v)
            return (v, last), v

        return jax.lax.scan(body, (start, nothing(self.wiring.inputs)), rows(series))[1]

    def update(self, v: Any, inputs: Any, elapsed: Any) -> Any:
        """The state a time `elapsed` later.

        Args:
            v: (units,)
            inputs: (inputs,) a sample, after the scale and shift that it gets on entering.
            elapsed: a number.
        """
        if self.backbone:
            z = jnp.concatenate([inputs, v])
            for layer in self.backbone:
                z = _lecun_tanh(layer(z))
            return self._moved(self.heads[0](z), elapsed, range(self.wiring.units))
        for head, group in zip(self.heads, self.wiring.groups, strict=True):
            v = v.at[group.start : group.stop].set(self._moved(head(jnp.concatenate([inputs, v])), elapsed, group))
        return v

    def _moved(self, numbers: Any, elapsed: Any, group: range) -> Any:
        """What the numbers of the heads make of some neurons."""
        if self.mode == "pure":
            assert self.pure is not None
            amplitude, rate = (p[group.start : group.stop] for p in self.pure)
            return amplitude - amplitude * jnp.exp(-elapsed * (jax.nn.softplus(rate) + jnp.abs(numbers))) * numbers
        f, g, a, b = jnp.split(numbers, 4)
        gate = jax.nn.sigmoid(a * elapsed + b)
        f, g = jnp.tanh(f), jnp.tanh(g)
        return f + gate * g if self.mode == "no_gate" else f * (1 - gate) + gate * g


_jitted = eqx.filter_jit(CfC.run)  # called eagerly again, it does not compile again


class Masked(eqx.Module):
    """A linear map of which some entries are no synapses and stay 0, whatever the weights are."""

    weight: Any
    bias: Any
    mask: Any

    def __call__(self, z: Any) -> Any:
        return jnp.where(self.mask, self.weight, 0) @ z + self.bias

    @classmethod
    def random(cls, mask: np.ndarray, repeat: int, key: Any) -> "Masked":
        """`repeat` numbers for each row of the mask, uniform within 1/sqrt(entries of a row)."""
        mask = np.tile(mask, (repeat, 1))
        limit = 1 / np.sqrt(np.maximum(mask.sum(axis=1), 1))
        weight = jax.random.uniform(key, mask.shape, minval=-1.0, maxval=1.0)
        return cls(weight * jnp.asarray(limit, weight.dtype)[:, None], jnp.zeros(mask.shape[0], weight.dtype), mask)


def _masks(wiring: Wiring) -> list[np.ndarray]:
    """For each layer (its neurons, inputs + units): what it is computed from. A neuron always has its own state."""
    whole = np.concatenate([wiring.sensory != 0, (wiring.recurrent != 0) | np.eye(wiring.units, dtype=bool)]).T
    return [whole[group.start : group.stop] for group in wiring.groups]


def _backbone(wiring: Wiring, width: Any, depth: Any) -> tuple[int, int]:
    """(width, depth). A backbone would join what a wiring keeps apart."""
    dense = bool(np.all(wiring.sensory != 0) and np.all(wiring.recurrent != 0))
    if not dense:
        if width is not None or depth not in (None, 0):
            raise ModelError(
                f"{wiring!r} leaves synapses out, and a backbone would join all neurons. Leave backbone= and depth= out, or give a number of "
                f"units: CfC({wiring.inputs}, {wiring.units}, backbone=128)."
            )
        return 0, 0
    width, depth = 128 if width is None else width, 1 if depth is None else depth
    for name, value, least in (("backbone", width, 1), ("depth", depth, 0)):
        if not isinstance(value, int) or isinstance(value, bool) or value < least:
            raise ModelError(f"{name}={value!r}: give a whole number, {least} or more.")
    return width, depth


def _lecun_tanh(x: Any) -> Any:
    """A tanh whose outputs have unit variance for inputs of unit variance (LeCun et al. 1998)."""
    return 1.7159 * jnp.tanh(2 / 3 * x)
