"""What does a training step in 10 000 dimensions cost, by the way to the Laplacian? Two-body Allen-Cahn, 100 points, a tanh MLP of width 128.

    Laplacian of u + u - u^3 = f in the unit ball, u = (1 - |x|^2) v(x),
    exact: (1 - |x|^2) sum of c_i sin(x_i + cos x_{i+1} + x_{i+1} cos x_i)

| way        | what it is                                                                                       |
|------------|--------------------------------------------------------------------------------------------------|
| shared     | 16 random entries, the same for all points                                                       |
| own        | 16 random entries, others at each point                                                          |
| gram       | exact, through the first layer                                                                   |
| one-hot    | the peer: 16 entries as unit vectors through jax.experimental.jet, the same for all points       |
| one-hot own| the same, others at each point                                                                   |

The step is the loss, its gradient and Adam. The loss is the mean of squares in all of them. FLOPs are XLA's own count.
Targets: own at most 1.1 times shared, gram at most 2.5 times own.
"""

import functools
import sys

import equinox as eqx
import jax
import jax.numpy as jnp
import optax
import sympy as sp
from jax.experimental import jet

import sciml as sci
from sciml.passes import Along, Laplacian, Partial, placeholder
from sciml.pinn.embedding import embedding_of
from sciml.pinn.plan import plan
from sciml.pinn.plans import Sparse

from .common import interleaved, table

POINTS, WIDTH, DEPTH, ENTRIES = 100, 128, 3, 16
ADAM = optax.adam(optax.linear_schedule(1e-3, 0.0, 10_000))


def source(x, c):
    """The right side f at one point: every term is a sum over i of functions of two neighbours."""
    a, b = x[:-1], x[1:]
    sin_a, cos_a, sin_b, cos_b = jnp.sin(a), jnp.cos(a), jnp.sin(b), jnp.cos(b)
    inner = a + cos_b + b * cos_a
    by_a, by_b = 1 - b * sin_a, cos_a - sin_b
    wave, slope = jnp.sin(inner), jnp.cos(inner)
    s = jnp.sum(c * wave)
    along = jnp.sum(c * slope * (a * by_a + b * by_b))
    laplacian = jnp.sum(c * (-slope * (b * cos_a + cos_b) - wave * (by_a**2 + by_b**2)))
    inside = 1 - jnp.sum(x**2)
    u = inside * s
    return inside * laplacian - 4 * along - 2 * x.size * s + u - u**3


def planned(d, derivatives):
    """From a network, a point and a key to v, the sum of -4 x_i dv/dx_i, and the Laplacian of v."""
    X = sci.space("X", -sp.oo, sp.oo, dim=d)
    operators = {"v": Partial("v"), "along": Along("v", "X", -4 * placeholder("X")), "laplacian": Laplacian("v", "X")}
    network = eqx.filter_eval_shape(network_of, d)
    made = plan(operators, ("v",), network, embedding_of((X,)), {"X": slice(0, d)}, ("X",), derivatives=derivatives, points=POINTS)

    def operators_at(network, x, key):
        found = made.evaluate(network, x, {"along": -4 * x}, key)
        return found["v"], found["along"], found["laplacian"]

    return operators_at


def one_hot(network, x, key):
    """The same by unit vectors through jax.experimental.jet, as published codes do."""
    d = x.size
    chosen = jax.random.choice(key, d, (ENTRIES,), replace=False)

    def second(i):
        unit = jax.nn.one_hot(i, d, dtype=x.dtype)
        _, series = jet.jet(lambda x: network(x)[0], (x,), ((unit, jnp.zeros_like(x)),))
        return series[1]

    value, along = jax.jvp(lambda x: network(x)[0], (x,), (-4 * x,))
    return value, along, d / ENTRIES * jnp.sum(jax.vmap(second)(chosen))


def network_of(d):
    return eqx.nn.MLP(d, 1, WIDTH, DEPTH, jnp.tanh, key=jax.random.key(0))


def points_of(d, key, n=POINTS):
    """Directions uniform on the sphere, radii uniform in (0, 1)."""
    one, other = jax.random.split(key)
    x = jax.random.normal(one, (n, d))
    return x * (jax.random.uniform(other, (n, 1)) / jnp.linalg.norm(x, axis=1, keepdims=True))


def step_of(operators_at, d, own=True, n=POINTS):
    """One step: new points, the loss, its gradient, Adam."""

    def residual(network, x, right, key):
        v, along, laplacian = operators_at(network, x, key)
        inside = 1 - jnp.sum(x**2)
        u = inside * v
        return inside * laplacian + along - 2 * d * v + u - u**3 - right

    def loss(network, x, right, key):
        keys = jax.random.split(key, n) if own else key
        return jnp.mean(jax.vmap(residual, (None, 0, 0, 0 if own else None))(network, x, right, keys) ** 2)

    @functools.partial(eqx.filter_jit, donate="all-except-first")
    def step(constants, network, state, key):
        drawing, sampling, next_key = jax.random.split(key, 3)
        x = points_of(d, drawing, n)
        right = jax.lax.map(lambda x: source(x, constants), x, batch_size=10)  # a few points at a time: it needs ten arrays of their size
        value, slope = eqx.filter_value_and_grad(loss)(network, x, right, sampling)
        updates, state = ADAM.update(slope, state, network)
        return eqx.apply_updates(network, updates), state, next_key, value

    return step


def begun(d):
    """The network and its state, with the coefficients of the solution."""
    network = network_of(d)
    return jax.random.normal(jax.random.key(1), (d - 1,)), (network, ADAM.init(eqx.filter(network, eqx.is_inexact_array)), jax.random.key(2))


def main(d=10_000, repeats=9):
    ways = {
        "shared": (planned(d, Sparse(ENTRIES)), False),
        "own": (planned(d, Sparse(ENTRIES)), True),
        "gram": (planned(d, "gram"), True),
        "one-hot": (one_hot, False),
        "one-hot own": (one_hot, True),
    }
    flops, memory, calls = {}, {}, {}
    for name, (operators_at, own) in ways.items():
        step, (constants, state) = step_of(operators_at, d, own), begun(d)
        compiled = step.lower(constants, *state).compile().compiled
        flops[name] = compiled.cost_analysis()["flops"] / 1e9
        memory[name] = compiled.memory_analysis().temp_size_in_bytes / 1e6
        calls[name] = again(step, constants, state)
    seconds = interleaved(calls, 1, repeats)
    targets = {"own": ("shared", 1.1), "gram": ("own", 2.5)}
    rows = []
    for name in ways:
        against, target = targets.get(name, ("own", ""))
        ratios = [flops[name] / flops[against], seconds[name] / seconds[against]]
        rows.append([name, flops[name], memory[name], 1e3 * seconds[name], against, *ratios, target])
    columns = ["way", "GFLOP", "temporary MB", "ms", "against", "FLOP ratio", "time ratio", "target at most"]
    table(f"pinn cost: a step in {d} dimensions by the way to the Laplacian", columns, rows)


def again(step, constants, state):
    """Steps, each from where the last one ended."""
    holder = [state]

    def call():
        *state, value = step(constants, *holder[0])
        holder[0] = tuple(state)
        jax.block_until_ready(value)

    return call


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
