"""The penalties beyond plain networks: a driven oscillator with an unknown force, and the same behind a stiff relay.

    x' = y,  y' = -x + g(x, y, sin t, sin 40 t)                     tsit5, tolerances 1e-6
    x' = v,  y' = -x + g(x, y, sin t, sin 40 t),  v' = 1000 (y - v)  rodas5p, tolerances 1e-4

The force behind the data does not know the fast input, and the data hardly see whether the network does: a plain fit leaves it in, and the
solver has to follow. The penalty takes it out. Fits are judged by the misfit to the noisy data and by the distance to the curves without noise.

Further tables: the price of a penalty in a solve, the derivative of the penalty against differences on a frozen mesh, the memory of adjoints.
"""

import sys

import diffrax as dfx
import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
import sympy as sp

import sciml as sci

from .common import interleaved, table

SEEDS, NOISE, STIFF = 5, 0.02, 1000
t = sci.t
x, y = sci.variables("x y", initial=[1.0, 0.5])
SLOW, FAST = sp.sin(t), sp.sin(40 * t)


class Problem:
    """A System with an unknown force, data, and how it is solved."""

    def __init__(self, stiff):
        force = sci.neural("g", network(0))(x, y, SLOW, FAST)
        rates = [sci.eq(y.diff(t), -x + force)]
        if stiff:
            v = sci.variables("v", initial=0.5)
            rates += [sci.eq(x.diff(t), v), sci.eq(v.diff(t), STIFF * (y - v))]
        else:
            rates += [sci.eq(x.diff(t), y)]
        self.model = sci.compile(sci.System(rates, name="relay" if stiff else "oscillator"))
        self.solver, end, rtol, atol, self.steps = ("rodas5p", 6.0, 1e-4, 1e-6, 1500) if stiff else ("tsit5", 10.0, 1e-6, 1e-8, 3000)
        self.options = {"t_span": (0, end), "saveat": np.linspace(0, end, 41), "rtol": rtol, "atol": atol, "solver": self.solver}
        true = sci.System([sci.eq(x.diff(t), y), sci.eq(y.diff(t), -x - 0.5 * y - 0.3 * x**3 + SLOW)])
        sol = sci.solve(true, **{**self.options, "solver": "tsit5", "rtol": 1e-10, "atol": 1e-12})
        self.clean = np.stack([sol[x], sol[y]], 1)

    def solve(self, net, **options):
        return sci.solve(self.model, params={"g": eqx.filter(net, eqx.is_inexact_array)}, throw=False, max_steps=4000, **self.options, **options)

    def loss(self, net, batch, key, regularize=None):
        sol = self.solve(net, key=key, regularize=regularize)
        misfit = jnp.mean(((jnp.stack([sol[x], sol[y]], 1) - batch[0]) / NOISE) ** 2)
        return misfit + (0.0 if regularize is None else sol.penalty), {"misfit": misfit, "nfe": jnp.asarray(sol.stats["rhs"], float)}

    def fitted(self, seed, penalty):
        """(network, misfit in units of the noise, error against the curves without noise, function evaluations)."""
        data = self.clean + NOISE * np.random.default_rng(seed).normal(size=self.clean.shape)
        result = sci.nn.fit(
            network(seed), data[None], self.loss, batch=None, steps=self.steps, regularize=penalty, key=jax.random.key(seed), progress=False,
            optimizer=optax.adam(optax.cosine_decay_schedule(1e-2, self.steps)),
        )  # fmt: skip
        sol = self.solve(result.model)
        found = np.stack([sol[x], sol[y]], 1)
        misfit, error = (float(np.sqrt(np.mean((found - other) ** 2))) / NOISE for other in (data, self.clean))
        return result.model, misfit, error, float(sol.stats["rhs"])


def network(seed):
    return eqx.nn.MLP(4, 1, 32, 2, activation=jnp.tanh, key=jax.random.key(seed))


def fits(seeds):
    """Function evaluations at equal fit."""
    rows, kept = [], {}
    for stiff in (False, True):
        problem = Problem(stiff)
        penalties = {"plain": None, "local": sci.ErrorEstimate(30.0), "global": sci.ErrorEstimate(0.5, mode="global")}
        found = {name: [problem.fitted(seed, penalty) for seed in range(seeds)] for name, penalty in penalties.items()}
        plain = np.array([run[1:] for run in found["plain"]])
        for name, runs in found.items():
            values = np.array([run[1:] for run in runs])
            ratio = values[:, 2] / plain[:, 2]
            spread = f"{np.median(ratio):.2f} ({ratio.min():.2f}-{ratio.max():.2f})"
            rows.append([f"{problem.model.system.name}, {problem.solver}", name, *map(float, np.median(values, axis=0)), spread])
        kept[stiff] = (problem, found["plain"][0][0], found["local"][0][0])
    columns = ["system", "penalty", "misfit / noise", "error / noise", "evaluations", "evaluations / plain"]
    table("Penalties on a universal and on a stiff equation", columns, [*rows, ["target", "", "equal", "equal", "", "0.80"]])
    return kept


def price(kept):
    """A solve with and without."""
    rows = []
    for problem, *nets in kept.values():
        for what, net in zip(("plain", "penalised"), nets, strict=True):
            penalties = {"off": None, "local": sci.ErrorEstimate(1.0), "global": sci.ErrorEstimate(1.0, mode="global")}
            taken = interleaved({name: solver(problem, net, penalty) for name, penalty in penalties.items()}, 3)
            rows.append([problem.model.system.name, what, 1e3 * taken["off"], *(taken[m] / taken["off"] for m in ("local", "global"))])
    columns = ["system", "network", "ms without", "local / without", "global / without"]
    table("Price of a penalty in a solve", columns, [*rows, ["target", "", "", "1.10", "1.10"]])


def solver(problem, net, penalty):
    """A solve that only has to be called."""

    @jax.jit
    def solve(net, key):
        sol = problem.solve(net, key=key, regularize=penalty)
        return sol[x][-1], sol.penalty if penalty is not None else 0.0

    arrays, key = eqx.filter(net, eqx.is_inexact_array), jax.random.key(0)
    return lambda: jax.block_until_ready(solve(arrays, key))


def frozen():
    """The derivative of the global penalty against central differences on the accepted steps."""
    a, b = sci.parameters("a b", [1.1, 5.0])
    prey = sci.System([sci.eq(x.diff(t), a * x - b * x * y), sci.eq(y.diff(t), b * x * y - y)])
    rtol, atol, p = 1e-4, 1e-6, {"a": 1.1, "b": 5.0}
    options = {"t_span": (0, 3), "solver": "tsit5", "rtol": rtol, "atol": atol}
    steps = sci.solve(prey, params=p, saveat="steps", **options)
    times, states = np.asarray(steps.t), np.stack([steps[x], steps[y]], 1)
    solver = dfx.Tsit5()
    term = dfx.ODETerm(lambda _, s, p: jnp.stack([p["a"] * s[0] - p["b"] * s[0] * s[1], p["b"] * s[0] * s[1] - s[1]]))

    def step(i, state, p):
        begin = solver.init(term, times[i], times[i + 1], state, p)
        return solver.step(term, times[i], times[i + 1], state, p, begin, made_jump=False)[:2]

    scales = [atol + rtol * np.maximum(np.abs(states[i]), np.abs(step(i, states[i], p)[0])) for i in range(len(times) - 1)]

    def marched(p):
        state, total = jnp.asarray(states[0]), 0.0
        for i, h in enumerate(np.diff(times)):
            state, error = step(i, state, p)
            total += h * jnp.sqrt(jnp.mean((error / scales[i]) ** 2))
        return total

    def penalty(p):
        return sci.solve(prey, params=p, saveat="end", regularize=sci.ErrorEstimate(1.0, mode="global"), **options).penalty

    rows = []
    for mode, derivative in (("reverse", jax.grad), ("forward", jax.jacfwd)):
        found = derivative(penalty)(p)
        for name in p:
            up, down = (marched({**p, name: p[name] + s}) for s in (1e-5, -1e-5))
            rows.append([mode, name, float(found[name]), float(abs(found[name] / ((up - down) / 2e-5) - 1))])
    table("Derivative of the penalty on a frozen mesh", ["mode", "by", "derivative", "relative error"], [*rows, ["target", "", "", "1e-5"]])


def memory():
    """Bytes beside arguments and results of a gradient: 256 x 64 states, tsit5."""
    net = eqx.nn.MLP(65, 64, 64, 1, activation=jnp.tanh, key=jax.random.key(0))
    rows = []
    for most in (256, 4096, 100_000):
        sizes = []
        for adjoint in ("checkpoint", "backsolve"):
            layer = sci.nn.NeuralODE(net, rtol=1e-6, atol=1e-6, adjoint=adjoint, max_steps=most)

            def loss(arrays, y0, key, layer=layer):
                own = eqx.combine(arrays, layer)
                sol = own.solve(y0, key=key, regularize=sci.ErrorEstimate(1.0))
                return jnp.mean(sol["z"][-1] ** 2) + sol.penalty

            compiled = jax.jit(jax.grad(loss)).lower(eqx.filter(layer, eqx.is_inexact_array), jnp.ones((256, 64)), jax.random.key(0)).compile()
            sizes.append(compiled.memory_analysis().temp_size_in_bytes / 2**20)
        rows.append([most, *map(float, sizes), float(sizes[1] / sizes[0])])
    columns = ["max_steps", "checkpoint + local, MiB", "backsolve + local, MiB", "backsolve / checkpoint"]
    table("Memory of a gradient with a local penalty", columns, [*rows, ["target", "", "", "0.30"]])


if __name__ == "__main__":
    jax.config.update("jax_enable_x64", True)
    frozen()
    memory()
    price(fits(int(sys.argv[1]) if len(sys.argv) > 1 else SEEDS))
