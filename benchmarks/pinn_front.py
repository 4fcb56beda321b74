"""What does the language cost? Lines of SymPy for each equation, and a training step against one written by hand.

By hand, the same network and ansatz at the same points, twice: by nested forward mode as in published code, and by the chain rule written out
for tanh layers, all derivatives in one pass. A step is one step of Adam on 2000 points. Residuals agree but for Allen-Cahn's, where the language
builds in an initial value without its kink at the seam.
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


def written_out(name: str) -> Callable[[Any, Any], Any]:
    """The residual at one point with all derivatives in one pass, by the chain and product rules on paper."""
    import jax.numpy as jnp

    pi = jnp.pi

    def through(network: Any, value: Any, *slopes: Any) -> list[Any]:
        """(v, v_t, v_x, v_xx, v_xxx) from those of the inputs."""
        for layer in network.layers:
            z, z_t, z_x, z_xx, z_xxx = (layer.weight @ one for one in (value, *slopes))
            value = jnp.tanh(z + layer.bias)
            w = 1 - value**2
            bend, twist = -2 * value * w, w * (6 * value**2 - 2)
            slopes = (w * z_t, w * z_x, w * z_xx + bend * z_x**2, w * z_xxx + 3 * bend * z_x * z_xx + twist * z_x**3)
        weight = network.last.weight[0]
        return [weight @ value + network.last.bias[0], *(weight @ one for one in slopes)]

    def scaled(time: Any, x: Any) -> list[Any]:
        """Inputs 2t - 1 and x."""
        return [jnp.stack([2 * time - 1, x]), jnp.array([2.0, 0]), jnp.array([0, 1.0]), jnp.zeros(2), jnp.zeros(2)]

    def ring(time: Any, x: Any) -> list[Any]:
        """Inputs 2t - 1, cos and sin of pi (x + 1)."""
        c, s, zero = jnp.cos(pi * (x + 1)), jnp.sin(pi * (x + 1)), jnp.zeros(())
        rows = [(zero, -pi * s, pi * c), (zero, -(pi**2) * c, -(pi**2) * s), (zero, pi**3 * s, -(pi**3) * c)]
        return [jnp.stack([2 * time - 1, c, s]), jnp.array([2.0, 0, 0]), *(jnp.stack(r) for r in rows)]

    def burgers(network: Any, p: Any) -> Any:
        time, x = p
        v, v_t, v_x, v_xx, _ = through(network, *scaled(time, x))
        a = 1 - x**2
        u = -jnp.sin(pi * x) + time * a * v
        u_t = a * (v + time * v_t)
        u_x = -pi * jnp.cos(pi * x) + time * (a * v_x - 2 * x * v)
        u_xx = pi**2 * jnp.sin(pi * x) + time * (a * v_xx - 4 * x * v_x - 2 * v)
        return u_t - 0.01 / pi * u_xx + u * u_x

    def allen_cahn(network: Any, p: Any) -> Any:
        time, x = p
        v, v_t, _, v_xx, _ = through(network, *ring(time, x))
        c, s = jnp.cos(pi * x), jnp.sin(pi * x)
        u, u_t = x**2 * c + time * v, v + time * v_t
        u_xx = (2 - pi**2 * x**2) * c - 4 * pi * x * s + time * v_xx
        return u_t - 1e-4 * u_xx - 5 * u + 5 * u**3

    def korteweg_de_vries(network: Any, p: Any) -> Any:
        time, x = p
        v, v_t, v_x, _, v_xxx = through(network, *ring(time, x))
        c, s = jnp.cos(pi * x), jnp.sin(pi * x)
        u, u_t, u_x, u_xxx = c + time * v, v + time * v_t, -pi * s + time * v_x, pi**3 * s + time * v_xxx
        return u_t + u * u_x + 0.022**2 * u_xxx

    return {"Burgers": burgers, "Allen-Cahn": allen_cahn, "KdV": korteweg_de_vries}[name]


def step_times(name: str) -> dict[str, float]:
    """Seconds of our step and of both by hand, and the largest relative difference of the residuals."""
    import equinox as eqx
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
    hand = {"nested": by_hand(rate, ansatz), "written out": written_out(name)}
    optimizer = optax.adam(1e-3)
    arrays, static = eqx.partition(network, eqx.is_inexact_array)

    def program(residual: Callable[[Any, Any], Any]) -> Callable[[Any], Any]:
        def loss(z: Any) -> Any:
            return jnp.mean(jax.vmap(lambda p: residual(eqx.combine(z, static), p))(points) ** 2), {}

        return jax.jit(lambda s: advance(loss, optimizer, s))

    ours = jax.jit(lambda s: advance(lambda z: made.problem.shown(z, batch), optimizer, s))
    calls = {"ours": (ours, begin(optimizer, made.z))} | {n: (program(r), begin(optimizer, arrays)) for n, r in hand.items()}
    seconds = interleaved({n: lambda f=f, s=s: jax.block_until_ready(f(s)) for n, (f, s) in calls.items()}, calls=20)
    found = made.problem.by_term(made.z, batch)[term]
    apart = [jnp.abs(jnp.abs(found) - jnp.abs(jax.vmap(lambda p, r=r: r(network, p))(points))) for r in hand.values()]
    return {**seconds, "apart": float(jnp.max(jnp.stack(apart)) / jnp.max(jnp.abs(found)))}


def main() -> None:
    import jax

    jax.config.update("jax_enable_x64", True)
    rows = []
    for name, (declare, _, _) in cases().items():
        t = step_times(name)
        hand = min(t["nested"], t["written out"])
        times = [1e3 * t[n] for n in ("ours", "nested", "written out")]
        rows.append([name, problems.lines_of(declare), LINES, *times, t["ours"] / hand, TIME, t["apart"]])
    for declare in (problems.wave, problems.cavity):
        rows.append([declare.__name__, problems.lines_of(declare), LINES, *[""] * 6])
    columns = [
        "equation",
        "lines",
        "target",
        "step [ms]",
        "nested by hand [ms]",
        "written out [ms]",
        "ratio to the faster",
        "target",
        "difference of residuals",
    ]
    table("PINN front end: lines, and a step against one by hand", columns, rows)


if __name__ == "__main__":
    main()
