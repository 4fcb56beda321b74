"""One training step with a Laplacian, a biharmonic operator, and the KdV equation in two dimensions: Taylor mode against its peers.

A step is the mean square of the operator over a batch of points, with its gradient by all weights; the network has four hidden tanh
layers. Peers: `jax.experimental.jet` over directions (the biharmonic operator by polarisation: 25 directions in five dimensions) and
nested forward mode. The published jet of order 13 for the KdV equation does not give its residual: it stands here for its cost.
"""

import itertools

import jax
import jax.numpy as jnp
from jax.experimental import jet

from benchmarks.common import interleaved, table
from sciml.pinn.taylor import biharmonic, directional, laplacian, nested, partials

WIDTH, BATCH = 128, 128
KDV = [(0, 1, 0), (0, 0, 1), (1, 0, 1), (0, 3, 1), (0, 1, 1), (0, 2, 0), (0, 0, 2)]
"""Orders by t, x and y of u_x, u_y, u_ty, u_xxxy, u_xy, u_xx and u_yy."""


def weights(inputs: int, hidden: int = 4):
    sizes = [inputs] + [WIDTH] * hidden + [1]
    keys = jax.random.split(jax.random.key(0), hidden + 1)
    return [(jax.random.normal(k, (o, i)) / i**0.5, jnp.zeros(o)) for k, i, o in zip(keys, sizes[:-1], sizes[1:], strict=True)]


def network(layers, x):
    for w, b in layers[:-1]:
        x = jnp.tanh(w @ x + b)
    w, b = layers[-1]
    return (w @ x + b)[0]


def jet_along(f, x, directions, order):
    """The derivative of one order along each direction."""
    rest = (jnp.zeros_like(x),) * (order - 1)
    return jax.vmap(lambda v: jet.jet(f, (x,), ((v, *rest),))[1][order - 1])(directions)


def jet_biharmonic(f, x):
    """12 u_iijj = D^4[e_i + e_j] + D^4[e_i - e_j] - 2 D^4[e_i] - 2 D^4[e_j]."""
    unit = jnp.eye(x.size)
    pairs = list(itertools.combinations(range(x.size), 2))
    mixed = [unit[i] + sign * unit[j] for i, j in pairs for sign in (1, -1)]
    found = jet_along(f, x, jnp.stack([*unit, *mixed]), 4)
    return (1 - (x.size - 1) / 3) * jnp.sum(found[: x.size]) + jnp.sum(found[x.size :]) / 6


def nested_laplacian(f, x):
    return jnp.sum(jax.vmap(lambda v: jax.jvp(lambda y: jax.jvp(f, (y,), (v,))[1], (x,), (v,))[1])(jnp.eye(x.size)))


def jet13(f, x):
    unit = jnp.eye(3)
    inputs = [jnp.zeros(3)] * 13
    inputs[2], inputs[3], inputs[6] = unit[1], unit[2], unit[0]
    return sum(jet.jet(f, (x,), (tuple(inputs),))[1])


def kdv(u_x, u_y, u_ty, u_xxxy, u_xy, u_xx, u_yy):
    return u_ty + u_xxxy + 3 * (u_xy * u_x + u_y * u_xx) - u_xx + 2 * u_yy


CASES = {
    "Laplacian, 50 dimensions": (50, {"jet": lambda f, x: jnp.sum(jet_along(f, x, jnp.eye(50), 2)), "nested": nested_laplacian, "sciml": laplacian}),
    "Laplacian, 16 random directions": (
        50,
        {
            "jet": lambda f, x: jnp.sum(jet_along(f, x, jnp.sign(jnp.sin(jnp.arange(800.0))).reshape(16, 50), 2)),
            "sciml": lambda f, x: directional(f, x, jnp.sign(jnp.sin(jnp.arange(800.0))).reshape(16, 50))[1],
        },
    ),
    "biharmonic, 5 dimensions": (
        5,
        {"jet": jet_biharmonic, "nested": lambda f, x: nested_laplacian(lambda y: nested_laplacian(f, y), x), "sciml": biharmonic},
    ),
    "KdV2d": (3, {"jet": jet13, "nested": lambda f, x: kdv(*nested(f, x, KDV)), "sciml": lambda f, x: kdv(*partials(f, x, KDV)[0])}),
}
TARGETS = {
    "Laplacian, 50 dimensions": "1.7x in time, 2x in memory",
    "Laplacian, 16 random directions": "1.7x in time, 2x in memory",
    "biharmonic, 5 dimensions": "3x in time, 2x in memory",
    "KdV2d": "FLOP at most 0.35 of jet",
}


def step(operator):
    def loss(layers, points):
        return jnp.mean(jax.vmap(lambda x: operator(lambda y: network(layers, y), x))(points) ** 2)

    return jax.jit(jax.value_and_grad(loss))


def main() -> None:
    rows = []
    for case, (inputs, methods) in CASES.items():
        layers, points = weights(inputs), jax.random.uniform(jax.random.key(1), (BATCH, inputs), minval=-1.0)
        programs = {name: step(operator).lower(layers, points).compile() for name, operator in methods.items()}
        taken = interleaved({name: lambda p=p, a=(layers, points): jax.block_until_ready(p(*a)) for name, p in programs.items()}, calls=3)
        cost = {
            name: (p.cost_analysis()["flops"] / 1e9, p.memory_analysis().temp_size_in_bytes / 2**20, 1e3 * taken[name])
            for name, p in programs.items()
        }
        for name, (flops, memory, ms) in cost.items():
            ratios = [float(mine / theirs) for mine, theirs in zip(cost["jet"], cost[name], strict=True)]
            rows.append([case, name, flops, memory, ms, 1 / ratios[0], ratios[1], ratios[2], TARGETS[case] if name == "sciml" else ""])
    columns = ["operator", "method", "GFLOP", "temporary MiB", "ms", "FLOP / jet", "memory: jet / this", "time: jet / this", "target of sciml"]
    table(f"Pinn Taylor mode: a training step, {BATCH} points, 4 x {WIDTH} tanh", columns, rows)


if __name__ == "__main__":
    main()
