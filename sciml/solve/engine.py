"""The loop that drives the native methods from the start to the end of the scaled time tau in [0, 1].

diffrax's loop serves every solver that it has; this one serves `tsit5`, `rodas5p`, `rosenbrock23`, the choice
between them, and `etdrk4`. It exists for three things that need a look inside a step: switching methods while running, lanes
of a `vmap` that do not wait for each other's bookkeeping, and derivatives from the steps that were accepted.

    attempt   one step of the method that is on                        y, dtau -> y1, error
    control   accept it, or try again with a smaller step              Hairer, Norsett and Wanner I (1993), II.4
    switch    the other method, if this one keeps suffering            Petzold (1983), Shampine (1977)
    save      values at the save times inside the step                 the method's polynomial

Steps of a given size, which an exponential method can take, are a shorter loop of their own (`march`).

Every condition of the loop is made with `agree`: under `vmap` it is one truth for all lanes, so that what has
finished is left alone by masks on a few numbers and not by a copy of all that was saved.
"""

import dataclasses
import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from .exponential import Exponential
from .jumps import around, between, starts_here
from .linear import agree
from .methods import Explicit, Rhs, Rosenbrock
from .regularize import error_size
from .status import OUTSIDE, UNRECORDED

SAFETY, SHRINK, GROW = 0.9, 0.2, 6.0
STIFF, NOT_STIFF = 2.5, 1.0  # h times the largest eigenvalue: stability bounds an explicit step (3.3), or could not
LOOK, LOOKS, POWERS = 12, 2, 3  # explicit steps between two looks, looks that have to agree, products with the Jacobian
PATIENCE = 20  # steps that have to look not stiff before the explicit method comes back
FORCED, MILD = 10, 0.3  # steps over a jump of f that are accepted because there is no shorter one
CHECKPOINTS = 1024  # rows of states that a gradient keeps
_OK, _MAX_STEPS, _TOO_SMALL, _NONFINITE = 0, 1, 2, 3


class Problem(NamedTuple):
    """What the loop needs, as functions of `args` = (buffer of numbers, networks and data)."""

    rhs: Callable[[Any], Any]  # Rhs, or Split for an exponential method
    span: Callable[[Any], tuple[Any, Any]]  # start of the time, its length (negative: backwards)
    start: Callable[[Any], Any]
    tolerances: Callable[[Any], tuple[Any, Any]]
    times: Callable[[Any], Any]  # save times in tau
    differential: np.ndarray  # which unknowns have a rate of their own
    bounds: tuple[np.ndarray, np.ndarray] | None
    jumps: Callable[[Any], Any] | None = None  # times in tau at which the rates may jump
    step: Callable[[Any], Any] | None = None  # a given length of all steps, in tau: a whole part of 1
    sample: Callable[[Any], Any] | None = None  # the time in tau whose step is kept


@dataclasses.dataclass(frozen=True, eq=False)
class Setting:
    """The choices that are part of the program."""

    explicit: Explicit | Exponential | None
    stiff: Rosenbrock | None
    saving: str  # end, times, steps
    dense: bool
    max_steps: int
    recorded: int  # steps that a derivative keeps the lengths of
    fixed: bool = False  # steps of a given length
    landing: bool = False  # and a whole number of them between two save times
    summed: tuple[str, ...] = ()  # what is summed over the accepted steps, see `regularize`
    sampled: tuple[str, ...] = ()  # what is asked of the one step that is kept


class Outcome(NamedTuple):
    """What a solve gives. `rows` are the accepted steps: (tau, dtau, state, polynomial) with saving="steps" or dense."""

    ys: Any
    rows: Any
    status: Any
    steps: Any
    accepted: Any
    worst: Any  # index of the unknown with the largest error in the last step that was rejected
    stiff_steps: Any
    tau: Any  # where it stopped
    y: Any
    penalties: Any = ()  # the sums of `Setting.summed`
    sample: Any = ()  # (tau, length, negative for the stiff method, state) of the step that was kept


class Mesh(NamedTuple):
    """The accepted steps, for derivatives: their lengths (negative for the stiff method) and every `stride`-th state."""

    dtau: Any
    checkpoints: Any  # rows [tau, state]
    stride: Any
    accepted: Any


class _Carry(NamedTuple):
    tau: Any
    y: Any
    f0: Any
    dtau: Any
    rejected: Any
    status: Any
    steps: Any
    accepted: Any
    worst: Any
    stiff: Any
    stiff_steps: Any
    forced: Any
    evidence: Any
    patience: Any
    until: Any  # the step at which to look again
    spectrum: Any  # direction of the largest eigenvalue, its size
    ys: Any
    saved: Any
    rows: Any
    mesh: Any
    tables: Any  # of an exponential method: a length of step, the weights for it, and (length, N in the middle) of the step before
    penalties: Any
    sample: Any


class Engine:
    """`run(args)` solves; `record(args)` solves and keeps the mesh."""

    def __init__(self, problem: Problem, setting: Setting):
        self.problem, self.setting = problem, setting
        self.both = setting.explicit is not None and setting.stiff is not None
        self.polynomial = setting.dense or (setting.saving == "times" and not setting.landing)
        self.methods = tuple(m for m in (setting.explicit, setting.stiff) if m is not None)
        self.exponential = setting.explicit if isinstance(setting.explicit, Exponential) else None
        self.poly_rows = self.exponential.rows if self.exponential else 4

    def run(self, args: Any) -> Outcome:
        return as_one(lambda: self._outcome(self._driven(args, self._initial(args, recording=False))), jnp.isnan(self.problem.span(args)[0]))

    def record(self, args: Any) -> tuple[Outcome, Mesh]:
        """The same solve. Where the rows of the mesh are full, every second is dropped: memory stays, accuracy too."""

        def make() -> tuple[Outcome, Mesh]:
            carry = self._driven(args, self._initial(args, recording=True))
            return self._outcome(carry), carry.mesh._replace(accepted=carry.accepted)

        return as_one(make, jnp.isnan(self.problem.span(args)[0]))

    def _driven(self, args: Any, carry: _Carry) -> _Carry:
        """A loop for each method, inside a loop over the changes between them: cheaper than a branch in every step."""
        if self.setting.fixed:
            return marched(self, args, carry)
        if not self.both and not carry.mesh:
            return jax.lax.while_loop(lambda c: agree(self._going(c)), functools.partial(self._body, args, self.methods[0]), carry)

        def phase(c: _Carry) -> _Carry:
            c = _thinned(c) if c.mesh and self.setting.recorded > CHECKPOINTS else c
            c = self._looked(args, c) if self.both else c
            for method in self.methods:
                c = jax.lax.while_loop(functools.partial(self._stays, method), functools.partial(self._body, args, method), c)
            return c

        return jax.lax.while_loop(lambda c: agree(self._going(c)), phase, carry)

    def _stays(self, method: Any, c: _Carry) -> Any:
        """Whether this method goes on: it is on, the mesh has room, and it is not yet time for a look."""
        stays = self._going(c)
        if self.both:
            stays = stays & (c.stiff if method.stiff else ~c.stiff & (c.steps < c.until))
        # One lane without room stops all: a state that finds no row is lost.
        return agree(stays) & ~agree(_full(c)) if c.mesh else agree(stays)

    def shared(self, args: Any) -> Any:
        """What all steps of a given length have in common: the weights of the exponential method."""
        if not (self.setting.fixed and self.exponential and self.problem.step):
            return ()
        h = self.problem.step(args) * self.problem.span(args)[1]
        return self.exponential.tables(self.problem.rhs(args), h)

    # -- start and end ---------------------------------------------------------------

    def _initial(self, args: Any, recording: bool) -> _Carry:
        y, s = self.problem.start(args), self.setting
        dtype, n = y.dtype, y.shape[0]
        rhs, (t0, span) = self.problem.rhs(args), self.problem.span(args)
        f0 = y if s.fixed else rhs.compact(t0, y)
        zero, number = jnp.zeros((), dtype), jnp.zeros((), jnp.int32)
        status = jnp.where(jnp.all(jnp.isfinite(f0)), _OK, _NONFINITE).astype(jnp.int32)
        if self.problem.bounds is not None:
            low, high = self.problem.bounds
            slack = self.problem.tolerances(args)[1]
            status = jnp.where(jnp.any((y < low - slack) | (y > high + slack)), OUTSIDE, status)
        times = self.problem.times(args) if s.saving == "times" else ()
        rows: Any = ()
        mesh: Any = ()
        if s.dense or s.saving == "steps":
            poly = (jnp.zeros((s.max_steps, self.poly_rows, n), dtype),) if s.dense else ()
            rows = (jnp.full((s.max_steps, 2), jnp.inf, dtype), jnp.zeros((s.max_steps, n), dtype), *poly)
        if recording:
            lengths = jax.lax.empty((s.recorded,), dtype)
            mesh = Mesh(lengths, jnp.zeros((min(CHECKPOINTS, s.recorded) + s.fixed, n + 1), dtype), jnp.ones((), jnp.int32), number)
        dtau, stiff = self._first_step(args, rhs, t0, y, f0, span), jnp.asarray(self.setting.explicit is None)
        tables: Any = ()
        if self.exponential and not s.fixed:
            shapes = jax.eval_shape(lambda: self.exponential.tables(rhs, span))  # type: ignore[union-attr]
            none_yet = jax.tree.map(lambda v: jnp.zeros(v.shape, v.dtype), shapes)
            tables = (jnp.full_like(dtau, -1), none_yet, (jnp.zeros_like(span), jnp.zeros_like(y)))
        spectrum: Any = ()
        if self.both:
            spectrum = (f0 / (1e-30 + _size(f0)) + jnp.where(jnp.arange(n) % 2 == 0, 1, -1).astype(dtype), zero)  # any direction will do
        return _Carry(
            tau=zero, y=y, f0=f0, dtau=dtau, rejected=jnp.asarray(False),
            status=status, steps=number, accepted=number, worst=number, stiff=stiff, stiff_steps=number, spectrum=spectrum,
            until=number, forced=number, evidence=number,
            patience=jnp.full((), PATIENCE, jnp.int32), ys=jnp.full((len(times), n), jnp.nan, dtype), saved=number,
            rows=rows, mesh=mesh, tables=tables, penalties=jnp.zeros(len(s.summed), dtype) if s.summed else (),
            sample=(zero, dtau, y) if s.sampled else (),
        )  # fmt: skip

    def _outcome(self, c: _Carry) -> Outcome:
        full = (c.accepted >= self.setting.recorded) & bool(c.mesh)
        status = jnp.where((c.status == _OK) & (c.tau < 1), jnp.where(full, UNRECORDED, _MAX_STEPS), c.status)
        ys = c.ys if self.setting.saving == "times" else jnp.where(status == _OK, c.y, jnp.nan)[None]
        return Outcome(ys, c.rows, status, c.steps, c.accepted, c.worst, c.stiff_steps, c.tau, c.y, c.penalties, c.sample)

    def _first_step(self, args: Any, rhs: Any, t0: Any, y: Any, f0: Any, span: Any) -> Any:
        """Hairer, Norsett and Wanner I, II.4: from the sizes of y, y' and a difference quotient of y'.

        For an exponential method y' is what is left of it without the linear part, which costs no accuracy.
        """
        if self.problem.step is not None:
            return self.problem.step(args)
        rtol, atol = self.problem.tolerances(args)
        scale = atol + rtol * jnp.abs(y)
        mask = 1.0 if self.problem.differential.all() else jnp.asarray(self.problem.differential, y.dtype)

        def size(v: Any) -> Any:
            if self.exponential:
                return self.exponential.norm(rhs, v, (y,), rtol, atol)
            return jnp.sqrt(jnp.sum((v * mask / scale) ** 2) / float(max(self.problem.differential.sum(), 1)))

        d0, d1, whole = size(y), size(f0), jnp.abs(span)
        tiny = 1e-6 * whole
        h0 = jnp.where((d0 < 1e-5) | (d1 < 1e-5), tiny, 0.01 * d0 / jnp.where(d1 > 0, d1, 1))
        h0 = jnp.minimum(h0, whole)
        moved = y + jnp.sign(span) * h0 * f0 * mask
        d2 = size(rhs.compact(t0 + jnp.sign(span) * h0, moved) - f0) / h0
        rough = jnp.maximum(d1, d2)
        method = self.setting.explicit or self.setting.stiff
        assert method is not None
        smooth = 0.01 * whole if self.exponential else jnp.maximum(tiny, 1e-3 * h0)
        h0 = jnp.where(rough <= 1e-15, whole, h0) if self.exponential else h0
        h1 = jnp.where(rough <= 1e-15, smooth, (0.01 / jnp.where(rough > 0, rough, 1)) ** method.exponent)
        h = jnp.minimum(jnp.minimum(100 * h0, h1), whole) / whole
        return jax.lax.stop_gradient(jnp.where(jnp.isfinite(h) & (h > 0), h, 1e-6))

    # -- one turn of the loop ------------------------------------------------------------

    def _going(self, c: _Carry) -> Any:
        going = (c.tau < 1) & (c.status == _OK) & (c.steps < self.setting.max_steps)
        return going & (c.accepted < self.setting.recorded) if c.mesh else going

    def _body(self, args: Any, method: Any, c: _Carry) -> _Carry:
        rhs, (t0, span) = self.rhs_at(args, c.tau), self.problem.span(args)
        limit: Any = 1.0
        if self.problem.jumps is not None:
            jumps = self.problem.jumps(args)
            limit = jnp.minimum(around(jumps, c.tau)[1], 1.0)
            fresh = agree(starts_here(jumps, c.tau) & self._going(c))
            c = c._replace(f0=jax.lax.cond(fresh, lambda: rhs.f(t0 + c.tau * span, c.y), lambda: c.f0))
        left = limit - c.tau
        last = c.dtau >= left * (1 - 1e-9)  # no sliver of a step at the end
        dtau = jnp.where(last, left, c.dtau)
        options = {}
        if self.exponential:
            weights = self._weights(rhs, c.tables, dtau, span)
            options = {"tables": weights, "before": c.tables[2]}
        tried, jacobian = self.by(method, rhs, t0 + c.tau * span, c.y, dtau * span, c.f0, kinds=self.setting.summed, **options)
        norm, worst = self._error(args, c.y, tried)
        floor = 4 * jnp.finfo(c.y.dtype).eps * c.tau  # steps shorter than that do not advance the time
        mild = norm * self.problem.tolerances(args)[0] < MILD  # an error of a part of y, not of many times y
        forced = (norm > 1) & mild & (dtau <= floor) & (c.forced < FORCED)
        accepted = ((norm <= 1) | forced) & self._going(c)
        c = c._replace(forced=c.forced + (forced & accepted).astype(jnp.int32))
        tau = jnp.where(last, limit, c.tau + dtau)
        c = self._save(args, method, c, accepted, tau, dtau, tried)
        c = self._watched(args, method, c, accepted, tau, dtau, tried)
        if self.exponential:
            c = c._replace(tables=(dtau, weights, jax.tree.map(lambda new, old: jnp.where(accepted, new, old), jacobian, c.tables[2])))
        if self.both and method.stiff:
            c = self._eased(c, jacobian, jnp.abs(dtau * span))
        return self._advance(method, c, accepted, tau, dtau, tried, norm, worst)

    def rhs_at(self, args: Any, tau: Any) -> Any:
        """The rates for a step from tau; where they may jump, as they are between the jumps around it."""
        rhs = self.problem.rhs(args)
        if self.problem.jumps is None or self.setting.fixed:
            return rhs
        return between(rhs, self.problem.jumps(args), tau, *self.problem.span(args))

    def by(self, method: Any, rhs: Any, t: Any, y: Any, h: Any, f0: Any, kinds: tuple[str, ...] = (), **options: Any) -> tuple["Tried", Any]:
        """A step of one method, and the Jacobian if it has one (of an exponential method, what the next step compares with)."""
        step = method.step(rhs, t, y, h, f0, fsal=self.both, **options)
        polynomial = step.polynomial() if self.polynomial else step.y1 if self.setting.landing else ()
        stiffness = step.stiffness() if "stiffness" in kinds else ()
        return Tried(step.y1, step.error, f0 if step.f1 is None else step.f1, polynomial, stiffness), step.jacobian

    def penalties(self, args: Any, kinds: tuple[str, ...], y: Any, h: Any, tried: "Tried") -> Any:
        """What a step of length h adds to each kind of penalty."""

        def one(kind: str) -> Any:
            if kind == "stiffness":
                return tried.stiffness
            rtol, atol = jax.lax.stop_gradient(self.problem.tolerances(args))
            if self.exponential:
                ends = jax.lax.stop_gradient((y, tried.y1))
                return h * self.exponential.norm(self.problem.rhs(args), tried.error, ends, rtol, atol)
            return h * error_size(tried.error, y, tried.y1, rtol, atol)

        return jnp.stack([one(kind) for kind in kinds])

    def _watched(self, args: Any, method: Any, c: _Carry, accepted: Any, tau: Any, dtau: Any, tried: "Tried") -> _Carry:
        """What penalties want to know of the step."""
        s = self.setting
        if s.summed:
            more = self.penalties(args, s.summed, c.y, jnp.abs(dtau * self.problem.span(args)[1]), tried)
            c = c._replace(penalties=jnp.where(accepted, c.penalties + more, c.penalties))
        if s.sampled:
            assert self.problem.sample is not None
            time = self.problem.sample(args)
            here = accepted & (c.tau <= time) & (time < tau)
            new = (c.tau, -dtau if method.stiff else dtau, c.y)
            c = c._replace(sample=jax.tree.map(lambda a, b: jnp.where(here, a, b), new, c.sample))
        return c

    def _weights(self, rhs: Any, before: Any, dtau: Any, span: Any) -> Any:
        """The weights of an exponential method; computed only if the step has changed."""
        assert self.exponential is not None
        make = self.exponential.tables
        return jax.lax.cond(agree(before[0] != dtau), lambda: make(rhs, dtau * span), lambda: before[1])

    def inside(self, rhs: Any, y: Any, polynomial: Any, theta: Any, h: Any) -> Any:
        """The state inside a step of length h."""
        if self.setting.landing:  # the polynomial is the end of the step
            return jnp.where(theta < 0.5, y, polynomial)
        return self.exponential.inside(rhs, y, polynomial, theta, h) if self.exponential else at_theta(y, polynomial, theta)

    def _error(self, args: Any, y: Any, tried: "Tried") -> tuple[Any, Any]:
        """(norm of the scaled error, index of the largest). Infinite where something is not finite or out of bounds."""
        rtol, atol = self.problem.tolerances(args)
        if self.exponential:
            norm = self.exponential.norm(self.problem.rhs(args), tried.error, (y, tried.y1), rtol, atol)
            return jnp.where(jnp.isfinite(norm) & jnp.all(jnp.isfinite(tried.f1)), norm, jnp.inf), jnp.zeros((), jnp.int32)
        scaled = jnp.abs(tried.error) / (atol + rtol * jnp.maximum(jnp.abs(y), jnp.abs(tried.y1)))
        scaled = jnp.where(jnp.isfinite(scaled + tried.f1), scaled, jnp.inf)
        if self.problem.bounds is not None:
            low, high = self.problem.bounds
            outside = (tried.y1 < low - atol) | (tried.y1 > high + atol)
            scaled = jnp.where(outside, jnp.inf, scaled)
        return jnp.sqrt(jnp.mean(scaled * scaled)), jnp.argmax(scaled).astype(jnp.int32)

    def _advance(self, method: Any, c: _Carry, accepted: Any, tau: Any, dtau: Any, tried: "Tried", norm: Any, worst: Any) -> _Carry:
        going = self._going(c)
        finite = jnp.isfinite(norm)
        factor = SAFETY * jnp.maximum(norm, 1e-10) ** (-method.exponent)
        factor = jnp.where(accepted, method.held(factor), factor) if self.exponential else factor
        factor = jnp.clip(factor, SHRINK, jnp.where(c.rejected | ~accepted, 1.0, GROW))  # after a rejection it does not grow
        factor = jnp.where(finite, factor, SHRINK)
        floor = 4 * jnp.finfo(c.y.dtype).eps * c.tau
        next_dtau = jnp.where(going, jnp.maximum(dtau * factor, floor), c.dtau)
        collapsed = going & ~accepted & ((dtau <= floor) | (next_dtau < 1e-30))
        failure = jnp.where(finite | (c.forced > 0), _TOO_SMALL, _NONFINITE).astype(jnp.int32)
        y1 = self.bounded(tried.y1)
        return c._replace(
            tau=jnp.where(accepted, tau, c.tau),
            y=jnp.where(accepted, y1, c.y),
            f0=jnp.where(accepted, tried.f1, c.f0),
            dtau=next_dtau,
            rejected=jnp.where(going, ~accepted, c.rejected),
            status=jnp.where(collapsed, failure, c.status),
            steps=c.steps + going.astype(jnp.int32),
            stiff_steps=c.stiff_steps + going.astype(jnp.int32) if method.stiff else c.stiff_steps,
            accepted=c.accepted + accepted.astype(jnp.int32),
            worst=jnp.where(going & ~accepted, worst, c.worst),
        )

    def bounded(self, y: Any) -> Any:
        """What left its bounds by less than the absolute tolerance is put back."""
        return y if self.problem.bounds is None else jnp.clip(y, *self.problem.bounds)

    # -- the choice between two methods ----------------------------------------------------

    def _looked(self, args: Any, c: _Carry) -> _Carry:
        """With the explicit method on: the largest eigenvalue, and the other method if stability bounds the step."""
        rhs, (t0, span) = self.problem.rhs(args), self.problem.span(args)
        spectrum = _spectrum(rhs, t0 + c.tau * span, c.y, c.spectrum, POWERS)
        stiffness = spectrum[1] * jnp.abs(c.dtau * span)
        tight = ~(stiffness < STIFF)
        evidence = jnp.where(tight, c.evidence + 1, 0)
        change = self._going(c) & ~c.stiff & (evidence >= LOOKS)
        return c._replace(
            spectrum=spectrum,
            stiff=agree(c.stiff | change),
            evidence=jnp.where(c.stiff, c.evidence, jnp.where(change, 0, evidence)),
            until=c.steps + (LOOK * jnp.clip(1 / stiffness, 1, 8)).astype(jnp.int32),  # far from stiff, it looks less often
        )

    def _eased(self, c: _Carry, jacobian: Any, h: Any) -> _Carry:
        """With the stiff method on: the explicit one, if it could have taken many steps of this size."""
        direction, before = c.spectrum
        turned = jacobian @ direction
        size = _size(turned)
        mean = jnp.sqrt(jnp.where(before > 0, before * size, size * size))  # complex pairs make the size swing
        evidence = jnp.where(h * mean < NOT_STIFF, c.evidence + 1, jnp.maximum(c.evidence - 1, 0))
        change = self._going(c) & (evidence >= c.patience)
        return c._replace(
            spectrum=(turned / jnp.where(size > 0, size, 1), mean),
            stiff=agree(self._going(c) & c.stiff & ~change),  # lanes that have finished have no say
            evidence=jnp.where(change, 0, evidence),
            patience=jnp.where(change, 2 * c.patience, c.patience),  # who comes back has to stay longer
        )

    # -- saving ----------------------------------------------------------------------------

    def _save(self, args: Any, method: Any, c: _Carry, accepted: Any, tau: Any, dtau: Any, tried: "Tried") -> _Carry:
        s = self.setting
        at = jnp.where(accepted, c.accepted, max(s.max_steps, s.recorded))  # beyond the end: dropped
        if c.rows:
            new = (jnp.stack([c.tau, dtau]), c.y, *((tried.polynomial,) if s.dense else ()))
            c = c._replace(rows=tuple(r.at[at].set(v, mode="drop") for r, v in zip(c.rows, new, strict=True)))
        if c.mesh and not s.fixed:
            mesh, signed = c.mesh, -dtau if method.stiff else dtau
            row = jnp.where(accepted & (c.accepted % mesh.stride == 0), c.accepted // mesh.stride, CHECKPOINTS)
            state = jnp.concatenate([c.tau[None], c.y])
            c = c._replace(
                mesh=mesh._replace(dtau=mesh.dtau.at[at].set(signed, mode="drop"), checkpoints=mesh.checkpoints.at[row].set(state, mode="drop"))
            )
        if s.saving != "times" or s.landing:
            return c
        times = jnp.asarray(self.problem.times(args), c.y.dtype)
        n, rhs, (_, span) = len(times), self.problem.rhs(args), self.problem.span(args)

        def pending(state: tuple[Any, Any]) -> Any:
            i, _ = state
            return agree(accepted & (i < n) & (times[jnp.minimum(i, n - 1)] <= tau))

        def one(state: tuple[Any, Any]) -> tuple[Any, Any]:
            i, ys = state
            time = times[jnp.minimum(i, n - 1)]
            here = accepted & (i < n) & (time <= tau)
            value = self.inside(rhs, c.y, tried.polynomial, (time - c.tau) / dtau, dtau * span)
            return i + here.astype(jnp.int32), ys.at[jnp.where(here, i, n)].set(value, mode="drop")

        saved, ys = jax.lax.while_loop(pending, one, (c.saved, c.ys))
        return c._replace(saved=saved, ys=ys)


# -- steps of a given length -------------------------------------------------------------------


class _March(NamedTuple):
    """What changes from step to step: how many were taken, the state, whether it is finite, the checkpoints of a derivative."""

    i: Any
    y: Any
    finite: Any
    checkpoints: Any


def marched(engine: Engine, args: Any, c: _Carry) -> _Carry:
    """All steps alike: the weights are computed before the loop, no error is, and every step that stays finite is accepted."""
    s = engine.setting
    count = _steps_of(c.dtau)
    if c.mesh:
        stride = jnp.maximum((jnp.minimum(count, s.recorded) + CHECKPOINTS - 1) // CHECKPOINTS, 1)
        c = c._replace(mesh=c.mesh._replace(dtau=jnp.full_like(c.mesh.dtau, c.dtau), stride=stride))
    turn = functools.partial(_marched_once, engine, args, engine.shared(args), c.dtau, c.mesh)
    if c.rows or (s.saving == "times" and not s.landing):
        return jax.lax.while_loop(lambda c: agree(engine._going(c)), functools.partial(_looking, engine, args, turn), c)
    most = jnp.minimum(count, min(s.max_steps, s.recorded) if c.mesh else s.max_steps)

    def until(end: Any, m: _March) -> _March:
        going = lambda m: (m.i < end) & m.finite  # noqa: E731
        return jax.lax.while_loop(lambda m: agree(going(m)), lambda m: turn(m, going(m))[0], m)

    m, ys = _March(c.steps, c.y, c.status == _OK, c.mesh.checkpoints if c.mesh else ()), c.ys
    if s.landing:
        each = count // (len(ys) - 1)

        def interval(k: Any, state: Any) -> Any:
            m, ys = state
            m = until(jnp.minimum((k + 1) * each, most), m)
            reached = m.finite & (m.i >= (k + 1) * each)
            return m, jax.lax.dynamic_update_index_in_dim(ys, jnp.where(reached, m.y, jnp.nan), k + 1, 0)

        m, ys = jax.lax.fori_loop(0, len(ys) - 1, interval, (m, ys.at[0].set(c.y)))
    else:
        m = until(most, m)
    return _after(c._replace(ys=ys), m)


def _after(c: _Carry, m: _March) -> _Carry:
    """The carry of the other loop after some steps."""
    accepted = m.i - (~m.finite).astype(jnp.int32)
    tau = jnp.where(accepted >= _steps_of(c.dtau), 1.0, accepted.astype(c.tau.dtype) * c.dtau)
    mesh = c.mesh._replace(checkpoints=m.checkpoints) if c.mesh else ()
    status = jnp.where(m.finite, c.status, _NONFINITE).astype(jnp.int32)
    return c._replace(tau=tau, y=m.y, status=status, steps=m.i, accepted=accepted, mesh=mesh)


def _steps_of(dtau: Any) -> Any:
    return jnp.round(1 / dtau).astype(jnp.int32)


def _marched_once(engine: Engine, args: Any, tables: Any, dtau: Any, mesh: Any, m: _March, going: Any) -> tuple[_March, "Tried"]:
    rhs, (t0, span) = engine.problem.rhs(args), engine.problem.span(args)
    tau = m.i.astype(dtau.dtype) * dtau
    tried, _ = engine.by(engine.methods[0], rhs, t0 + tau * span, m.y, dtau * span, None, tables=tables, estimate=False)
    # Of one sum: XLA would compute all of the step twice for a test of every number. So small, it cannot overflow.
    finite = jnp.isfinite(jnp.sum(tried.y1 * jnp.finfo(tried.y1.dtype).tiny))
    checkpoints = m.checkpoints
    if mesh:
        # A row belongs to the first step of its part. The steps after it write the next row, until that has its own.
        row = (m.i + mesh.stride - 1) // mesh.stride
        checkpoints = jax.lax.dynamic_update_index_in_dim(checkpoints, jnp.concatenate([tau[None], m.y]), row, 0)
    y = jnp.where(going & finite, tried.y1, m.y)
    return _March(m.i + going.astype(jnp.int32), y, m.finite & (finite | ~going), checkpoints), tried


def _looking(engine: Engine, args: Any, turn: Callable[..., Any], c: _Carry) -> _Carry:
    """A step with a look at what is to be saved of it."""
    going = engine._going(c)
    m, tried = turn(_March(c.steps, c.y, c.status == _OK, c.mesh.checkpoints if c.mesh else ()), going)
    new = _after(c, m)
    saved = engine._save(args, engine.methods[0], c, going & m.finite, new.tau, c.dtau, tried)
    return new._replace(ys=saved.ys, saved=saved.saved, rows=saved.rows)


class Tried(NamedTuple):
    """A step that was tried: f1 is f at its end, the polynomial () where nothing is saved inside it."""

    y1: Any
    error: Any
    f1: Any
    polynomial: Any
    stiffness: Any = ()


def as_one(make: Callable[[], Any], never: Any) -> Any:
    """`make()` inside a loop that turns once.

    XLA runs a loop as one function, what stands beside it as tasks that it may give to other threads: 20 us a call.
    """
    empty = jax.tree.map(lambda v: jnp.zeros(v.shape, v.dtype), jax.eval_shape(make))
    return jax.lax.while_loop(lambda state: ~state[0], lambda _: (jnp.asarray(True), make()), (never, empty))[1]


def _thinned(c: _Carry) -> _Carry:
    """Every second row of a mesh that is full."""
    mesh, rows, full = c.mesh, c.mesh.checkpoints, _full(c)
    half = jnp.concatenate([rows[0::2], jnp.zeros_like(rows[0::2])])
    return c._replace(mesh=mesh._replace(checkpoints=jnp.where(full, half, rows), stride=jnp.where(full, 2 * mesh.stride, mesh.stride)))


def _full(c: _Carry) -> Any:
    """Whether the next accepted step would find no row for its state."""
    return c.accepted >= CHECKPOINTS * c.mesh.stride


def _spectrum(rhs: Rhs, t: Any, y: Any, before: Any, powers: int) -> Any:
    """(direction, size) of the largest eigenvalue of the Jacobian, by power iteration from an earlier one."""

    def turn(_: Any, state: Any) -> Any:
        direction, product = state
        turned = jax.jvp(lambda y: rhs.compact(t, y), (y,), (direction,))[1]
        size = _size(turned)
        return turned / jnp.where(size > 0, size, 1), product * size

    direction = before[0] / jnp.where(_size(before[0]) > 0, _size(before[0]), 1)
    direction, product = jax.lax.fori_loop(0, powers, turn, (direction, jnp.ones((), y.dtype)))
    return direction, product ** (1 / powers)


def _size(v: Any) -> Any:
    return jnp.sqrt(jnp.sum(v * v))


def at_theta(y: Any, polynomial: Any, theta: Any) -> Any:
    """The method's polynomial between the ends of a step, by Horner's rule."""
    a, b, c, d = polynomial
    return y + theta * (a + theta * (b + theta * (c + theta * d)))


class Steps(eqx.Module):
    """The dense solution: the polynomials of all accepted steps."""

    ends: Any
    starts: Any
    lengths: Any
    y: Any
    polynomials: Any

    @classmethod
    def of(cls, rows: Any) -> "Steps":
        mesh, y, polynomials = rows
        return cls(mesh[:, 0] + mesh[:, 1], mesh[:, 0], mesh[:, 1], y, polynomials)

    def evaluate(self, tau: Any) -> Any:
        i = jnp.searchsorted(self.ends, tau)
        i = jnp.minimum(i, jnp.sum(jnp.isfinite(self.starts)).astype(i.dtype) - 1)
        theta = (tau - self.starts[i]) / self.lengths[i]
        reached = tau <= self.ends[i] + 8 * jnp.finfo(tau.dtype).eps
        return jnp.where(reached, at_theta(self.y[i], self.polynomials[i], theta), jnp.nan)
