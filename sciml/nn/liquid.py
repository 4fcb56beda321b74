"""`LTC`: a liquid time-constant network, whose neurons are joined by synapses that open and close with their source.

    C_i v_i' = g_leak_i (v_leak_i - v_i) + sum_j g_ij(v_j) (E_ij - v_i) + sum_k h_ik(I_k) (E_in_ik - v_i)

A conductance is g_ij(v_j) = w_ij / (1 + exp(-s_ij (v_j - m_ij))), and the input I stands still between two samples. The right side is linear in
v apart from the conductances, v' = drive - decay*v. `linear_steps.py` holds the steps that are made of the two.
"""

import dataclasses
import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from ..codegen import CompiledSystem, Point
from ..errors import ModelError, SolveError, nearest
from ..solve import SOLVERS, solve
from ..symbols import constants, dot, neural, parameters, t, variables
from ..system import System, eq
from .linear_steps import STEPS, split
from .module import compiled, weights
from .samples import Affine, check_saveat, checked_first, following, nothing, readout, rows, start_state
from .series import Series, one_series
from .wiring import Wiring, wired


class Run(NamedTuple):
    """What an `LTC` did with one series.

    Attributes:
        states: (N, units) the neurons after each sample; they stand still where there is none.
        outputs: (N, outputs).
        evaluations: how often the right side was evaluated.
        penalty: of the regulariser, times its weight; 0 without one.
    """

    states: Any
    outputs: Any
    evaluations: Any
    penalty: Any


class Conductances(eqx.Module):
    """g_ij(v_j) for every synapse, (to, from)."""

    strength: Any
    slope: Any
    threshold: Any
    mask: Any

    def __call__(self, v: Any) -> Any:
        return self.strength * jax.nn.sigmoid(self.slope * (v[None, :] - self.threshold))

    @property
    def positive(self) -> "Conductances":
        """With strengths that are positive whatever the trained ones are, and 0 where there is no synapse."""
        return Conductances(jnp.where(self.mask, jax.nn.softplus(self.strength), 0), self.slope, self.threshold, self.mask)

    @classmethod
    def random(cls, mask: np.ndarray, key: Any) -> "Conductances":
        """At the start of a training."""
        a, b, c = jax.random.uniform(key, (3, *mask.shape))
        return cls(_unsoft(0.001 + 0.999 * a), 3.0 + 5.0 * b, 0.3 + 0.5 * c, mask)

    @classmethod
    def blank(cls, mask: np.ndarray, dtype: str) -> "Conductances":
        """What a System needs of it."""
        return cls(*[np.zeros(mask.shape, dtype)] * 3, mask)


class LTC(eqx.Module):
    """A liquid time-constant network (Hasani et al. 2021, arXiv:2006.04439; synapses as in Lechner et al. 2020).

    `layer(t, x)` takes one series and gives the outputs after its last sample; a batch goes through `jax.vmap(layer)`. A sample acts from the
    sample before it to its own time. Where there is no sample (mask) the state stands still, and the next one has the longer time.

    Args:
        inputs: how many numbers a sample has.
        units_or_wiring: how many neurons, all connected; or a wiring such as `sci.nn.AutoNCP(32, outputs=4)`.
        outputs: how many outputs, read from the motor neurons by a matrix. Left out, each motor neuron is one, with a scale and a shift.
        step: how the time between two samples is crossed.
            "exponential": decay and drive of the middle, held, solve the equation exactly. Second order, 2 evaluations for each unfold.
            "exponential4": products of such exact flows (Celledoni, Marthinsen and Owren 2003). Fourth order, 4 evaluations.
            "fused": linear part implicit, as published. First order, 1 evaluation.
            Any solver of `sciml.solve`: the ordinary differential equation to a tolerance.
        unfolds: steps for each sample, for the first three.
        first: time that counts as elapsed before the first sample.
        rtol: relative tolerance of a solver, as in `sciml.solve`.
        atol: absolute tolerance of a solver.
        max_steps: of a solver, for each sample.
        key: `jax.random.key(...)`.

    Attributes:
        system: the System between two samples: unknown `v`, input `I`, neural terms `g` and `h`, observed `decay` and `drive`.
        wiring: the synapses; `layer.wiring.plot()`.
        params: all that `sci.solve(layer.system, params={**layer.params, "I": x})` needs; capacities, conductances of leaks and synapses are
            positive whatever the weights are, and the sign of a synapse stays.

    Raises:
        ModelError: a wiring for other inputs, an unknown step, a tolerance for a step that has none.

    >>> import jax, jax.numpy as jnp, sciml as sci
    >>> layer = sci.nn.LTC(3, 8, outputs=2, key=jax.random.key(0))
    >>> layer(jnp.arange(5.0), jnp.ones((5, 3))).shape
    (2,)
    >>> print(layer.system)
    System 'ltc'
      C*v' = g_leak*(v_leak - v) - v*Dot(g(v), ones) - v*Dot(h(I), ones_in) + Dot(E*g(v), ones) + Dot(E_in*h(I), ones_in)
      observed decay = (g_leak + Dot(g(v), ones) + Dot(h(I), ones_in))/C
      observed drive = (g_leak*v_leak + Dot(E*g(v), ones) + Dot(E_in*h(I), ones_in))/C
    """

    recurrent: Conductances
    sensory: Conductances
    reversal: Any
    reversal_in: Any
    leak: Any
    rest: Any
    capacity: Any
    enter: Affine
    leave: Any
    wiring: Wiring = eqx.field(static=True)
    system: System = eqx.field(static=True)
    step: Any = eqx.field(static=True)
    unfolds: int = eqx.field(static=True)
    first: float = eqx.field(static=True)
    rtol: Any = eqx.field(static=True)
    atol: Any = eqx.field(static=True)
    max_steps: int = eqx.field(static=True)

    def __init__(
        self,
        inputs: Any,
        units_or_wiring: Any,
        outputs: Any = None,
        *,
        step: Any = "exponential",
        unfolds: Any = 6,
        first: Any = 1.0,
        rtol: Any = None,
        atol: Any = None,
        max_steps: int = 256,
        key: Any,
    ):
        self.wiring = wiring = wired(units_or_wiring, inputs)
        _check_step(step, unfolds, rtol, atol)
        self.step, self.unfolds, self.first, self.rtol, self.atol, self.max_steps = step, unfolds, checked_first(first), rtol, atol, max_steps
        keys = jax.random.split(key, 4)
        n = wiring.units
        self.recurrent = Conductances.random(wiring.recurrent.T != 0, keys[0])
        self.sensory = Conductances.random(wiring.sensory.T != 0, keys[1])
        one = _unsoft(jnp.ones(()))
        self.reversal, self.reversal_in = jnp.full((n, n), one), jnp.full((n, wiring.inputs), one)
        a, b, c = jax.random.uniform(keys[2], (3, n))
        self.leak, self.rest, self.capacity = _unsoft(0.001 + 0.999 * a), 0.4 * b - 0.2, _unsoft(0.4 + 0.2 * c)
        self.enter, self.leave = Affine(wiring.inputs), readout(wiring.outputs, outputs, keys[3])
        self.system = _system(wiring, str(self.leak.dtype))

    @property
    def params(self) -> dict[str, Any]:
        soft, sign = jax.nn.softplus, lambda matrix: jnp.asarray(matrix.T, self.leak.dtype)
        return {
            "g": weights(self.recurrent.positive),
            "h": weights(self.sensory.positive),
            "C": soft(self.capacity),
            "g_leak": soft(self.leak),
            "v_leak": self.rest,
            "E": sign(self.wiring.recurrent) * soft(self.reversal),
            "E_in": sign(self.wiring.sensory) * soft(self.reversal_in),
        }

    def with_step(self, step: Any, *, unfolds: Any = None, rtol: Any = None, atol: Any = None, max_steps: Any = None) -> "LTC":
        """The same weights, with the time between samples crossed in another way: learn with few unfolds, and see what a solver gives.

        Args:
            step: as for the layer.
            unfolds: as for the layer; that of this layer if left out.
            rtol: as for the layer.
            atol: as for the layer.
            max_steps: as for the layer; that of this layer if left out.

        >>> import jax, sciml as sci
        >>> layer = sci.nn.LTC(3, 8, key=jax.random.key(0))
        >>> layer.with_step("tsit5", rtol=1e-6).step
        'tsit5'
        """
        unfolds, max_steps = (old if new is None else new for new, old in ((unfolds, self.unfolds), (max_steps, self.max_steps)))
        _check_step(step, unfolds, rtol, atol)
        change = {"step": step, "unfolds": unfolds, "rtol": rtol, "atol": atol, "max_steps": max_steps}
        made = object.__new__(LTC)
        for field in dataclasses.fields(self):
            object.__setattr__(made, field.name, change.get(field.name, getattr(self, field.name)))
        return made

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
            SolveError: a series of the wrong width, unsorted times, NaN, or a solver that failed.
        """
        check_saveat(saveat)
        outputs = self.solve(t, x, mask, initial=initial).outputs
        return outputs[-1] if saveat == "end" else outputs

    def solve(self, t: Any, x: Any = None, mask: Any = None, *, initial: Any = None, regularize: Any = None, key: Any = None) -> Run:
        """States and outputs after each sample, evaluations and penalty.

        Args:
            t: as in a call.
            x: as in a call.
            mask: as in a call.
            initial: as in a call.
            regularize: as in `sciml.solve`; needs a solver as `step`.
            key: for a regulariser with mode="local".

        Raises:
            SolveError: as in a call; a regulariser with a step that has no error estimate.
        """
        series = one_series(t, x, mask, channels=self.wiring.inputs, layer="LTC")
        if regularize is not None and _is_special(self.step):
            raise SolveError(f'step="{self.step}" has no error estimate to regularise. Make the layer with step="tsit5".')
        run = _jitted(self, series, start_state(initial, self.wiring.units, "LTC"), regularize, key)
        self._check_reached(run.states, series.t)
        return run

    def run(self, series: Series, start: Any, regularize: Any, key: Any) -> Run:
        """`solve` without its checks."""
        keys = None if key is None else jax.random.split(key, series.t.shape[0])
        advance = self._unfolded() if _is_special(self.step) else self._solved(regularize)

        def body(carry: Any, row: Any) -> Any:
            v, last = carry
            row, key = row
            last, sample = following(last, row, self.first)
            end, evaluations, penalty = advance(v, self.enter(sample.x), sample.elapsed, key)
            v = jnp.where(sample.present, end, v)
            return (v, last), (v, jnp.where(sample.present, evaluations, 0), jnp.where(sample.present, penalty, 0))

        _, (states, evaluations, penalties) = jax.lax.scan(body, (start, nothing(self.wiring.inputs)), (rows(series), keys))
        outputs = jax.vmap(self.leave)(states[:, -self.wiring.outputs :])
        return Run(states, outputs, jnp.sum(evaluations), jnp.sum(penalties))

    def _unfolded(self) -> Callable[..., Any]:
        """Some steps of decay and drive."""
        move, cost = STEPS[self.step]
        model = compiled(self.system, self.recurrent, self.sensory)
        evaluate, params = _evaluator(model), self.params
        functions = model.functions({name: params.pop(name) for name in ("g", "h")})
        params.update({name: jnp.ones(model.layout.params[name].shape) for name in ("ones", "ones_in")})

        def crossed(v: Any, inputs: Any, elapsed: Any) -> Any:
            terms = lambda v: tuple(evaluate(Point(elapsed, {"v": v}, {**params, "I": inputs}, functions)))  # noqa: E731
            once = lambda v, _: (move(terms, v, elapsed / self.unfolds), None)  # noqa: E731
            return jax.lax.scan(once, v, None, length=self.unfolds)[0]

        # A derivative computes the conductances again: to write all of them down and read them back takes several times as long.
        cheap = jax.checkpoint(crossed, prevent_cse=False)
        return lambda v, inputs, elapsed, key: (cheap(v, inputs, elapsed), cost * self.unfolds, jnp.zeros((), v.dtype))

    def _solved(self, regularize: Any) -> Callable[..., Any]:
        """The equation solved over the time between two samples."""
        model, params = compiled(self.system, self.recurrent, self.sensory), self.params
        options = {"solver": self.step, "rtol": self.rtol, "atol": self.atol, "max_steps": self.max_steps, "throw": False}

        def advance(v: Any, inputs: Any, elapsed: Any, key: Any) -> Any:
            span = (0.0, jnp.where(elapsed > 0, elapsed, 1))  # a row without a sample is solved too, and left out
            more = {} if regularize is None else {"regularize": regularize, "key": key}
            sol = solve(model, t_span=span, params={**params, "I": inputs}, initial={"v": v}, saveat="end", **options, **more)
            penalty = jnp.zeros((), v.dtype) if regularize is None else sol.penalty
            return sol["v"][-1], sol.stats["rhs"], penalty

        return advance

    def _check_reached(self, states: Any, times: Any) -> None:
        if isinstance(states, jax.core.Tracer):
            return
        lost = np.flatnonzero(~np.isfinite(np.asarray(states)).all(axis=1))
        if len(lost):
            cure = f"Make it with max_steps={4 * self.max_steps}, or a larger rtol." if not _is_special(self.step) else "Are the weights finite?"
            raise SolveError(f'LTC with step="{self.step}" lost its state on the way to sample {lost[0]}, t={float(times[lost[0]]):g}. {cure}')


_jitted = eqx.filter_jit(LTC.run)  # called eagerly again, it does not compile again

# -- the equation ------------------------------------------------------------------------


@functools.lru_cache(maxsize=128)
def _system(wiring: Wiring, dtype: str) -> System:
    """The System between two samples, the same for all weights."""
    n, m = wiring.units, wiring.inputs
    g, h = (neural(name, Conductances.blank(w.T != 0, dtype)) for name, w in (("g", wiring.recurrent), ("h", wiring.sensory)))
    v = variables("v", shape=(n,), initial=0.0, description="neurons")
    capacity = parameters("C", np.ones(n), description="capacities")
    leak, rest = parameters("g_leak v_leak", [np.ones(n), np.zeros(n)])
    reversal, reversal_in = parameters("E E_in", [np.ones((n, n)), np.ones((n, m))], description="reversal potentials")
    inputs = parameters("I", np.zeros(m), description="inputs of the sample")
    ones, ones_in = constants("ones ones_in", [np.ones(n), np.ones(m)])
    currents = dot(g(v) * reversal, ones) - dot(g(v), ones) * v + dot(h(inputs) * reversal_in, ones_in) - dot(h(inputs), ones_in) * v
    balance = leak * (rest - v) + currents
    decay, drive = split(balance / capacity, v)
    return System([eq(capacity * v.diff(t), balance)], observed={"decay": decay, "drive": drive}, name="ltc")


@functools.lru_cache(maxsize=128)
def _evaluator(model: CompiledSystem) -> Callable[[Point], list[Any]]:
    return model.evaluator([model.system.observed["decay"], model.system.observed["drive"]])


# -- small things ------------------------------------------------------------------------------


def _unsoft(x: Any) -> Any:
    """What `softplus` makes x of."""
    return jnp.log(jnp.expm1(x))


def _is_special(step: Any) -> bool:
    return isinstance(step, str) and step in STEPS


def _check_step(step: Any, unfolds: Any, rtol: Any, atol: Any) -> None:
    if isinstance(step, str) and step not in STEPS and step.lower() not in ("auto", *SOLVERS):
        raise ModelError(f"There is no step '{step}'. {nearest(step, [*STEPS, *SOLVERS])}")
    if not isinstance(unfolds, int) or isinstance(unfolds, bool) or unfolds < 1:
        raise ModelError(f"unfolds={unfolds!r}: give a whole number of steps for each sample, such as unfolds=6.")
    if _is_special(step) and not (rtol is None and atol is None):
        raise ModelError(f'step="{step}" has no tolerance: leave rtol and atol out and give unfolds=12 for more accuracy, or step="tsit5".')
