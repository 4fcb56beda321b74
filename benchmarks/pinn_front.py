"""What does the language cost? Lines of SymPy for each equation, and a training step against one written by hand.

By hand: the same network and ansatz, the same points, derivatives by nested forward mode as in published code, and by the formula of
Taylor mode written out for this equation; the faster of both counts. A step is one step of Adam on 2000 points.
"""

from collections.abc import Callable
from typing import Any

from benchmarks import pinn_problems as problems
from benchmarks.common import interleaved, table

LINES, TIME = 12, 1.05  # targets
POINTS = 2000


def by_hand(rate: Callable[..., Any], ansatz: Callable[..., Any]) -> Callable[[Any, Any], Any]:
    """The residual at one point from a formula of (u, u_t, u_x, u_xx, u_xxx), by nested jvp."""
    import jax
    import jax.numpy as jnp

    def residual(network: Any, p: Any) -> Any:
        def u(time: Any, x: Any) -> Any:
            return ansatz(network, time, x)

        time, x = p
        one = jnp.ones((), p.dtype)
        value, u_t = jax.jvp(lambda s: u(s, x), (time,), (one,))

        def slope(f: Callable[[Any], Any]) -> Callable[[Any], Any]:
            return lambda s: jax.jvp(f, (s,), (one,))[1]

        first = slope(lambda s: u(time, s))
        second = slope(first)
        return rate(value, u_t, first(x), second, x, slope)

    return residual


def cases() -> dict[str, tuple[Callable[[], Any], Callable[..., Any], Callable[..., Any]]]:
    """System, residual by hand, ansatz by hand."""
    import jax.numpy as jnp

    pi = jnp.pi

    def dirichlet(network: Any, time: Any, x: Any) -> Any:
        return -jnp.sin(pi * x) + time * (1 - x) * (1 + x) * network(jnp.stack([2 * time - 1, x]))[0]

    def ring(start: Callable[[Any], Any]) -> Callable[..., Any]:
        def ansatz(network: Any, time: Any, x: Any) -> Any:
            a = pi * (x + 1)
            return start(x) + time * network(jnp.stack([2 * time - 1, jnp.cos(a), jnp.sin(a)]))[0]

        return ansatz

    return {
        "Burgers": (problems.burgers, lambda u, ut, ux, uxx, x, d: ut - 0.01 / pi * uxx(x) + u * ux, dirichlet),
        "Allen-Cahn": (
            problems.allen_cahn,
            lambda u, ut, ux, uxx, x, d: ut - 1e-4 * uxx(x) - 5 * u + 5 * u**3,
            ring(lambda x: x**2 * jnp.cos(pi * x)),
        ),
        "KdV": (
            problems.korteweg_de_vries,
            lambda u, ut, ux, uxx, x, d: ut + u * ux + 0.022**2 * d(uxx)(x),
            ring(lambda x: jnp.cos(pi * x)),
        ),
    }


def step_times(name: str) -> tuple[float, float, float]:
    """(seconds of our step, of the one by hand, largest relative difference of the residuals)."""
    import jax
    import jax.numpy as jnp
    import optax

    import sciml as sci
    from sciml.optimize import advance, begin
    from sciml.pinn.fit import Given, setup
    from sciml.pinn.problem import Batch, Points

    declare, rate, ansatz = cases()[name]
    system = declare()
    network = sci.pinn.mlp(system, width=32, depth=4, key=jax.random.key(0))
    made = setup(Given(system, network))
    (term,) = made.problem.names
    key = jax.random.key(1)
    points = jax.random.uniform(key, (POINTS, 2)) * jnp.array([1.0, 2.0]) - jnp.array([0.0, 1.0])
    batch = Batch({term: Points(points)}, {term: jnp.ones(())}, key)
    residual = by_hand(rate, ansatz)
    optimizer = optax.adam(1e-3)

    def hand_loss(network: Any) -> Any:
        return jnp.mean(jax.vmap(lambda p: residual(network, p))(points) ** 2), {}

    import equinox as eqx

    arrays, static = eqx.partition(network, eqx.is_inexact_array)
    ours = jax.jit(lambda s: advance(lambda z: made.problem.shown(z, batch), optimizer, s))
    hand = jax.jit(lambda s: advance(lambda z: hand_loss(eqx.combine(z, static)), optimizer, s))
    start, begun = begin(optimizer, made.z), begin(optimizer, arrays)
    seconds = interleaved({"ours": lambda: jax.block_until_ready(ours(start)), "hand": lambda: jax.block_until_ready(hand(begun))}, calls=20)
    found = made.problem.by_term(made.z, batch)[term]
    theirs = jax.vmap(lambda p: residual(network, p))(points)
    apart = float(jnp.max(jnp.abs(jnp.abs(found) - jnp.abs(theirs))) / jnp.max(jnp.abs(theirs)))
    return seconds["ours"], seconds["hand"], apart


def main() -> None:
    import jax

    jax.config.update("jax_enable_x64", True)
    rows = []
    for name, (declare, _, _) in cases().items():
        ours, hand, apart = step_times(name)
        rows.append([name, problems.lines_of(declare), LINES, ours * 1e3, hand * 1e3, ours / hand, TIME, apart])
    for declare in (problems.wave, problems.cavity):
        rows.append([declare.__name__, problems.lines_of(declare), LINES, "", "", "", "", ""])
    columns = ["equation", "lines", "target", "step [ms]", "by hand [ms]", "ratio", "target", "difference of residuals"]
    table("PINN front end: lines, and a step against one by hand", columns, rows)


if __name__ == "__main__":
    main()
