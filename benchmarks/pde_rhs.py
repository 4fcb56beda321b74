"""Is the right side that sciml makes as fast as one written by hand, and how long does the first result take?

Gray and Scott's reaction on 128 x 128 points, differences of second order, periodic. Peers: two forms by hand in JAX (the faster one counts),
and py-pde compiled by numba. Timed in two ways: a call from Python, and, what a solver pays, in a compiled loop that adds a little of the
rates to the state. First results are from fresh processes: the right side once, and a solve to t = 10. Options: --peers-only.
"""

import json
import time
from collections.abc import Callable
from typing import Any

import numpy as np

from benchmarks.common import table
from benchmarks.pde_peers import gray_scott_pypde, pypde_rates, pypde_solve
from benchmarks.pde_problems import GRAY_SCOTT_N, begin, gray_scott_fields, gray_scott_padded, gray_scott_rolled, relative
from benchmarks.stiff_peers import there
from benchmarks.stiff_problems import PEERS_ONLY, QUICK, fresh, medians

LOOP, LITTLE, END = 100, 1e-6, 10.0
BY_HAND, NUMBA, FIRST = 1.15, 1.0, 0.2  # targets: ours over theirs
Both = tuple[Callable[[], Any], Callable[[], Any], np.ndarray]  # a call, LOOP of them in a loop, the rates


def in_jax(rates: Callable[[Any], Any], start: Any) -> Both:
    import jax

    once = jax.jit(rates)
    loop = jax.jit(lambda y: jax.lax.fori_loop(0, LOOP, lambda _, s: s + LITTLE * rates(s), y))
    shape = (2, GRAY_SCOTT_N, GRAY_SCOTT_N)
    return lambda: once(start).block_until_ready(), lambda: loop(start).block_until_ready(), np.asarray(once(start)).reshape(shape)


def ours() -> Both:
    """The compiled model's rates of a flat state."""
    from benchmarks import pde_ours

    pde_ours.here()
    return in_jax(*pde_ours.discretised("Gray-Scott", lambda sci: sci.FiniteDifference(GRAY_SCOTT_N)).rates())


def by_hand(rates: Callable[[Any], Any]) -> Both:
    import jax.numpy as jnp

    return in_jax(rates, jnp.asarray(gray_scott_fields()))


def pypde() -> Both:
    import numba

    equation, state = gray_scott_pypde(gray_scott_fields())
    rates = equation.make_pde_rhs(state, backend="numba")
    data = np.array(state.data)

    @numba.njit
    def loop(y: Any) -> Any:
        s = y.copy()
        for _ in range(LOOP):
            s += LITTLE * rates(s, 0.0)
        return s

    return lambda: rates(data, 0.0), lambda: loop(data), np.asarray(rates(data, 0.0))


def first_of_ours() -> None:
    """Prints the seconds to the first rates and to the first solve, from the declaration."""
    from benchmarks import pde_ours

    begin()
    pde_ours.here()
    _start_jax()
    method = lambda sci: sci.FiniteDifference(GRAY_SCOTT_N)  # noqa: E731
    began = time.perf_counter()
    rates, start = pde_ours.discretised("Gray-Scott", method).rates()
    import jax

    jax.jit(rates)(start).block_until_ready()
    between = time.perf_counter()
    _ = pde_ours.discretised("Gray-Scott", method).solve(END, rtol=1e-5).end
    _report(began, between)


def first_by_hand() -> None:
    """The same of JAX and diffrax by hand."""
    begin(sciml=False)
    import diffrax  # noqa: F401
    import jax

    from benchmarks.pde_peers import diffrax_solve

    _start_jax()
    began = time.perf_counter()
    start = jax.numpy.asarray(gray_scott_fields())
    jax.jit(gray_scott_rolled)(start).block_until_ready()
    between = time.perf_counter()
    jax.jit(diffrax_solve(lambda t, w, p: gray_scott_rolled(w), END, rtol=1e-5))(start)[0].block_until_ready()
    _report(began, between)


def first_of_pypde() -> None:
    """The same of py-pde."""
    import pde  # noqa: F401

    began = time.perf_counter()
    equation, state = gray_scott_pypde(gray_scott_fields())
    pypde_rates(equation, state)(state.data)
    between = time.perf_counter()
    equation, state = gray_scott_pypde(gray_scott_fields())
    pypde_solve(equation, state, END)
    _report(began, between)


def _start_jax() -> None:
    """The backend's own start is not what is measured."""
    import jax

    jax.jit(lambda x: x + 1)(np.ones(3)).block_until_ready()


def _report(began: float, between: float) -> None:
    print(json.dumps({"rates": between - began, "solve": time.perf_counter() - between}))


def firsts(name: str) -> dict[str, float]:
    """Medians of fresh processes."""
    found = [fresh(f"from benchmarks import pde_rhs; pde_rhs.{name}()") for _ in range(1 if QUICK else 3)]
    return {k: float(np.median([f[k] for f in found])) for k in found[0]}


def main() -> None:
    begin()
    solvers = {} if PEERS_ONLY else {"sciml": ours()}
    solvers |= {"by hand, roll": by_hand(gray_scott_rolled), "by hand, pad": by_hand(gray_scott_padded)}
    if there("pde"):
        solvers["py-pde numba"] = pypde()
    same = solvers["by hand, roll"][2]
    rows = []
    for k, how in enumerate(("called from Python", "in a compiled loop")):
        per = (1, LOOP)[k]
        took = {n: s / per for n, s in medians({n: f[k] for n, f in solvers.items()}, dict.fromkeys(solvers, 1e-4 * per), repeats=11).items()}
        best = min(v for n, v in took.items() if n.startswith("by hand"))
        for n, seconds in took.items():
            rows.append([how, n, relative(solvers[n][2], same), 1e6 * seconds, seconds / best])
    targets = f"targets of sciml {BY_HAND:g} of by hand, {NUMBA:g} of py-pde"
    table(f"Right side of Gray-Scott 128x128, us, {targets}", ["how", "right side", "distance from roll", "us", "over the faster by hand"], rows)
    names = {"sciml": "first_of_ours", "by hand": "first_by_hand", "py-pde": "first_of_pypde"}
    left_out = {*(["sciml"] if PEERS_ONLY else []), *([] if there("pde") else ["py-pde"])}
    found = {n: firsts(f) for n, f in names.items() if n not in left_out}
    base = found.get("py-pde")
    rows = [[n, *f.values(), *(f[k] / base[k] if base else "-" for k in f)] for n, f in found.items()]
    columns = ["program", "first rates, s", "first solve, s", "rates over py-pde", "solve over py-pde"]
    table(f"First result of Gray-Scott in a fresh process, target {FIRST:g} of py-pde", columns, rows)


if __name__ == "__main__":
    main()
