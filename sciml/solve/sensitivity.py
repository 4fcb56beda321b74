"""Derivatives of a solve of the engine, both ways, from the steps that it accepted.

The step sizes are data, not functions of the parameters. With Phi_i the i-th step, y_{i+1} = Phi_i(y_i, p):

    forward    dy_{i+1} = dPhi_i/dy dy_i + dPhi_i/dp dp               (jvp, jacfwd)
    reverse    l_i = (dPhi_i/dy)^T l_{i+1},  g += (dPhi_i/dp)^T l_{i+1}   (grad, jacrev)

This is the exact derivative of the computed solution (the discrete adjoint: Sandu, On the properties of Runge-Kutta
discrete adjoints, 2006), not a discretisation of the derivative. Forward directions share the Jacobian and the factors
of each step; reverse keeps at most 1024 states and repeats the steps between two of them (Griewank and Walther 2008).
The two are one linear map and its transpose, which is what `jax.lax.custom_linear_solve` wants to hear.

What all steps have in common (`Engine.shared`) counts as one more argument of each step: its own derivative is taken once.
"""

from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.custom_derivatives import SymbolicZero

from ..errors import SolveError
from .engine import CHECKPOINTS, Engine, Mesh, Outcome, as_one
from .jumps import moving
from .methods import Rosenbrock


def differentiable_run(engine: Engine) -> Callable[[Any], Outcome]:
    """`engine.run` with derivatives in both modes."""

    @jax.custom_jvp
    def run(args: Any) -> Outcome:
        return engine.run(args)

    @run.defjvp
    def rule(primals: Any, tangents: Any) -> tuple[Outcome, Outcome]:
        (args,), (directions,) = primals, tangents
        outcome, mesh = engine.record(args)
        moved = _Sweeps(engine, *_first_order_only((args, mesh))).applied(directions)
        return outcome, _tangent(outcome, moved)

    return run


def _tangent(outcome: Outcome, moved: dict[str, Any]) -> Outcome:
    """The linear map's result in the form of an Outcome: what counts has no derivative."""

    def zero(value: Any) -> Any:
        return jnp.zeros_like(value) if eqx.is_inexact_array(value) else np.zeros(np.shape(value), jax.dtypes.float0)

    return jax.tree.map(zero, outcome)._replace(**moved)


@jax.custom_jvp
def _first_order_only(consts: Any) -> Any:
    return consts


def _refuse_second(primals: Any, tangents: Any) -> Any:
    if not all(isinstance(t, SymbolicZero) for t in jax.tree.leaves(tangents, is_leaf=lambda t: isinstance(t, SymbolicZero))):
        raise SolveError('Second derivatives of a solve need all its steps in one graph: write sci.solve(..., solver="dopri5", adjoint="direct").')
    return primals, jax.tree.map(lambda p: jnp.zeros_like(p) if eqx.is_inexact_array(p) else np.zeros(np.shape(p), jax.dtypes.float0), primals)


_first_order_only.defjvp(_refuse_second, symbolic_zeros=True)


def step_of(engine: Engine, method: Any, tau: Any, dtau: Any, kinds: tuple[str, ...]) -> Callable[[Any, Any], tuple[Any, Any, Any]]:
    """(state, (args, shared)) -> (next state, polynomial, what it adds to penalties) of an accepted step."""
    options: dict[str, Any] = {"exact": True} if isinstance(method, Rosenbrock) else {}

    def phi(y: Any, given: Any) -> tuple[Any, Any, Any]:
        args, shared = given
        if shared:
            options["tables"] = shared
        rhs, (t0, span) = engine.rhs_at(args, tau), engine.problem.span(args)
        start, length = tau, dtau
        if engine.problem.jumps is not None:
            start, length = moving(engine.problem.jumps(args), tau, dtau)
        t, h = t0 + start * span, length * span
        f0 = y if method.stiff else rhs.f(t, y)
        tried, _ = engine.by(method, rhs, t, y, h, f0, kinds=kinds, **options)
        penalties = engine.penalties(args, kinds, y, jax.lax.stop_gradient(jnp.abs(h)), tried) if kinds else ()
        return engine.bounded(tried.y1), tried.polynomial, penalties

    return phi


def sampled_penalties(engine: Engine, args: Any, sample: Any) -> Any:
    """The penalties of one step that was kept, with derivatives through that step alone."""
    tau, signed, y = jax.lax.stop_gradient(sample)
    kinds, methods = engine.setting.sampled, engine.methods
    makes = [lambda m=m: step_of(engine, m, tau, jnp.abs(signed), kinds)(y, (args, ()))[2] for m in methods]
    return makes[0]() if len(makes) == 1 else jax.lax.cond(signed < 0, makes[1], makes[0])


class _Sweeps:
    """The linear map from directions of `args` to what the solve gives, and its transpose."""

    def __init__(self, engine: Engine, args: Any, mesh: Mesh):
        self.engine, self.args, self.mesh = engine, args, mesh
        self.times = engine.problem.times(args) if engine.setting.saving == "times" else ()
        self.n = mesh.checkpoints.shape[1] - 1
        self.shared = engine.shared(args)
        self.early = 0.5 if engine.setting.landing else 0.0  # a save time that is the end of a step may be off by rounding

    def applied(self, directions: Any) -> dict[str, Any]:
        """L applied, as the second half of the solution of [[1, 0], [-L, 1]] (a, b) = (directions, 0)."""
        # All of a right-hand side has to be linear in what is differentiated, so zeros are made to be, too.
        zero = sum(0 * leaf.reshape(-1)[0].astype(self.mesh.dtau.dtype) for leaf in jax.tree.leaves(directions) if leaf.size)
        directions, nothing = jax.tree.map(lambda leaf: leaf + zero.astype(leaf.dtype), (directions, self._nothing()))

        def solve(_: Any, right: Any) -> Any:
            a, b = right
            return a, jax.tree.map(jnp.add, b, self.forward(a))

        def solve_transposed(_: Any, right: Any) -> Any:
            a, b = right
            return jax.tree.map(jnp.add, a, as_one(lambda: self.reverse(b), self.mesh.accepted < 0)), b

        # The map itself is never applied: its constants have no derivatives, see _first_order_only.
        return jax.lax.custom_linear_solve(lambda x: x, (directions, nothing), solve, solve_transposed)[1]

    def _nothing(self) -> dict[str, Any]:
        s, dtype, n = self.engine.setting, self.mesh.checkpoints.dtype, self.n
        made: dict[str, Any] = {"ys": jnp.zeros((len(self.times) or 1, n), dtype), "y": jnp.zeros(n, dtype)}
        if s.dense or s.saving == "steps":
            poly = (jnp.zeros((s.max_steps, self.engine.poly_rows, n), dtype),) if s.dense else ()
            made["rows"] = (jnp.zeros((s.max_steps, 2), dtype), jnp.zeros((s.max_steps, n), dtype), *poly)
        if s.summed:
            made["penalties"] = jnp.zeros(len(s.summed), dtype)
        return made

    # -- one step as a function of what has derivatives --------------------------------

    def _phi(self, method: Any, tau: Any, dtau: Any) -> Callable[[Any, Any], tuple[Any, Any, Any]]:
        return step_of(self.engine, method, tau, dtau, self.engine.setting.summed)

    def _value(self, tau: Any, dtau: Any) -> Callable[..., Any]:
        """(state, polynomial, save time, needed) -> the state at that time, which is in the step."""

        def value(y: Any, polynomial: Any, time: Any, needed: Any) -> Any:
            rhs, h = (self.engine.problem.rhs(needed[0]), dtau * self.engine.problem.span(needed[0])[1]) if needed else (None, dtau)
            return self.engine.inside(rhs, y, polynomial, (time - tau) / dtau, h)

        return value

    def _end(self, i: Any, tau: Any, dtau: Any) -> Any:
        """Where step i ends, rounded as in the solve: a save time may be there."""
        return (i + 1).astype(dtau.dtype) * dtau if self.engine.setting.fixed else tau + dtau

    def _needed(self, args: Any) -> tuple[Any, ...]:
        """(args,) where a value inside a step takes more than its polynomial."""
        return (args,) if self.engine.exponential and self.engine.polynomial else ()

    def _by_method(self, signed: Any, make: Callable[[Any], Any]) -> Any:
        """`make(method)` of the method that took the step: its sign is on the length. Lanes of a `vmap` compute both."""
        methods = self.engine.methods
        if len(methods) == 1:
            return make(methods[0])
        return jax.lax.cond(signed < 0, lambda: make(methods[1]), lambda: make(methods[0]))

    # -- forward -------------------------------------------------------------------------

    def forward(self, directions: Any) -> dict[str, Any]:
        args, mesh = self.args, self.mesh
        y, dy = jax.jvp(self.engine.problem.start, (args,), (directions,))
        given, dgiven = (args, self.shared), (directions, jax.jvp(self.engine.shared, (args,), (directions,))[1])
        times, dtimes = jax.jvp(self._save_times, (args,), (directions,))
        count = len(self.times)

        def step(carry: Any) -> Any:
            i, k, tau, y, dy, out = carry
            signed = mesh.dtau[i]
            dtau = jnp.abs(signed)

            def moved(method: Any) -> Any:
                return jax.jvp(self._phi(method, tau, dtau), (y, given), (dy, dgiven))

            (y1, poly, _), (dy1, dpoly, more) = self._by_method(signed, moved)
            if "penalties" in out:
                out = {**out, "penalties": out["penalties"] + more}
            if "rows" in out:
                rows = out["rows"]
                new = (rows[0], rows[1].at[i].set(dy), *([rows[2].at[i].set(dpoly)] if len(rows) > 2 else []))
                out = {**out, "rows": new}
            after = self._end(i, tau, dtau)
            last = jnp.where(i + 1 >= mesh.accepted, jnp.inf, after + self.early * dtau)

            def save(state: Any) -> Any:
                k, ys = state
                _, value = jax.jvp(self._value(tau, dtau), (y, poly, times[k], self._needed(args)), (dy, dpoly, dtimes[k], self._needed(directions)))
                return k + 1, ys.at[k].set(value)

            if count:
                inside = lambda state: (state[0] < count) & (times[jnp.minimum(state[0], count - 1)] <= last)  # noqa: E731
                k, ys = jax.lax.while_loop(inside, save, (k, out["ys"]))
                out = {**out, "ys": ys}
            return i + 1, k, after, y1, dy1, out

        start = (jnp.zeros((), jnp.int32), jnp.zeros((), jnp.int32), jnp.zeros((), y.dtype), y, dy, self._nothing())
        *_, dy, out = jax.lax.while_loop(lambda c: c[0] < mesh.accepted, step, start)
        out["y"] = dy
        if not count:
            out["ys"] = dy[None]
        return out

    def _save_times(self, args: Any) -> Any:
        return jnp.asarray(self.engine.problem.times(args), self.mesh.checkpoints.dtype) if len(self.times) else ()

    # -- reverse -------------------------------------------------------------------------

    def reverse(self, bars: dict[str, Any]) -> Any:
        args, mesh = self.args, self.mesh
        dtype = mesh.checkpoints.dtype
        longest = max(1, -(-self.engine.setting.recorded // CHECKPOINTS) * 2)  # steps between two checkpoints
        times, times_bar = self._save_times(args), jnp.zeros(len(self.times), dtype)
        end = bars["y"] if len(self.times) else bars["y"] + bars["ys"][0]
        zero = jax.tree.map(jnp.zeros_like, (args, self.shared))

        def segment(carry: Any) -> Any:
            c, k, l, bar, times_bar = carry
            first = c * mesh.stride
            count = jnp.minimum(mesh.stride, mesh.accepted - first)
            states = self._again(mesh.checkpoints[c], first, count, longest)

            def back(state: Any) -> Any:
                j, k, l, bar, times_bar = state
                k, l, step_bar, times_bar = self._back(bars, times, states[j], first + j, k, l, times_bar)
                return j - 1, k, l, jax.tree.map(jnp.add, bar, step_bar), times_bar

            _, *rest = jax.lax.while_loop(lambda s: s[0] >= 0, back, (count - 1, k, l, bar, times_bar))
            return c - 1, *rest

        last = (mesh.accepted - 1) // mesh.stride
        start = (last, jnp.asarray(len(self.times) - 1, jnp.int32), end, zero, times_bar)
        _, _, l, bar, times_bar = jax.lax.while_loop(lambda s: s[0] >= 0, segment, start)
        bar, shared_bar = bar
        if self.shared:
            (from_shared,) = jax.vjp(self.engine.shared, args)[1](shared_bar)
            bar = jax.tree.map(jnp.add, bar, from_shared)
        (from_start,) = jax.vjp(self.engine.problem.start, args)[1](l)
        bar = jax.tree.map(jnp.add, bar, from_start)
        if len(self.times):
            (from_times,) = jax.vjp(self._save_times, args)[1](times_bar)
            bar = jax.tree.map(jnp.add, bar, from_times)
        return bar

    def _again(self, row: Any, first: Any, count: Any, longest: int) -> Any:
        """[tau, state] at the start of each of `count` steps from a checkpoint."""

        def step(carry: Any) -> Any:
            j, row, rows = carry
            signed = self.mesh.dtau[first + j]
            dtau = jnp.abs(signed)
            y1, *_ = self._by_method(signed, lambda method: self._phi(method, row[0], dtau)(row[1:], (self.args, self.shared)))
            row = jnp.concatenate([self._end(first + j, row[0], dtau)[None], y1])
            return j + 1, row, rows.at[j + 1].set(row)

        rows = jnp.zeros((longest, len(row)), row.dtype).at[0].set(row)
        return jax.lax.while_loop(lambda c: c[0] < count - 1, step, (jnp.zeros((), jnp.int32), row, rows))[2]

    def _back(self, bars: Any, times: Any, row: Any, i: Any, k: Any, l: Any, times_bar: Any) -> Any:
        """Through step i: (save times left, adjoint before the step, what it adds to `args`, adjoint of the times)."""
        tau, y, signed = row[0], row[1:], self.mesh.dtau[i]
        dtau, engine = jnp.abs(signed), self.engine

        def pulled(method: Any) -> Any:
            (_, poly, _), pull = jax.vjp(self._phi(method, tau, dtau), y, (self.args, self.shared))
            poly_bar, y_bar = jax.tree.map(jnp.zeros_like, poly), jnp.zeros_like(y)
            rows = bars.get("rows")
            if rows is not None:
                y_bar = y_bar + rows[1][i]
                poly_bar = poly_bar + rows[2][i] if engine.setting.dense else poly_bar
            args_bar = jax.tree.map(jnp.zeros_like, self._needed(self.args))
            state = (k, y_bar, poly_bar, times_bar, args_bar)
            if len(self.times):
                after = tau + self.early * dtau
                state = jax.lax.while_loop(lambda s: (s[0] >= 0) & ((times[jnp.maximum(s[0], 0)] > after) | (i == 0)), saved(poly), state)
            left, y_bar, poly_bar, new_times_bar, args_bar = state
            from_step, (step_bar, shared_bar) = pull((l, poly_bar, bars.get("penalties", ())))
            step_bar = jax.tree.map(jnp.add, step_bar, args_bar[0]) if args_bar else step_bar
            return left, y_bar + from_step, (step_bar, shared_bar), new_times_bar

        def saved(poly: Any) -> Any:
            def one(state: Any) -> Any:
                k, y_bar, poly_bar, times_bar, args_bar = state
                a, b, c, d = jax.vjp(self._value(tau, dtau), y, poly, times[k], self._needed(self.args))[1](bars["ys"][k])
                return k - 1, y_bar + a, poly_bar + b, times_bar.at[k].add(c), jax.tree.map(jnp.add, args_bar, d)

            return one

        return self._by_method(signed, pulled)
