"""Do eight devices give what one gives, and does nothing gather a field?

Eight virtual devices of the CPU, in a process of its own. Gray and Scott's reaction by finite differences, and the vorticity of Navier and
Stokes by Fourier, fields split along x. The compiled HLO text is searched for collectives: a gather of as many numbers as a field has is
what must not be (`gathers of a field`). Peers by hand in JAX: roll, and `jnp.fft` on a split axis. Options: --peers-only.
"""

import json
import os
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from typing import Any

import numpy as np

from benchmarks.common import table
from benchmarks.pde_problems import GRAY_SCOTT_N, NAVIER_STOKES, begin, gray_scott_fields, gray_scott_rolled, relative
from benchmarks.stiff_problems import PEERS_ONLY

DEVICES, TARGET, STEPS = 8, 1e-12, 20
KINDS = ("collective-permute", "all-to-all", "all-gather", "all-reduce")
FINITE, SPECTRAL = "Gray-Scott, differences", "Navier-Stokes, Fourier"


def collectives(text: str, field: int) -> dict[str, int]:
    """How many there are of each kind, and how many gathers make as many numbers as a field has (complex ones count as one)."""
    found = re.findall(rf"= (\(?\w+\[[\d,]*\][^=\n]*?) ({'|'.join(KINDS)})(?:-start)?\(", text)
    counts = Counter(kind for _, kind in found)
    large = sum(1 for shapes, kind in found if kind == "all-gather" and max(map(_size, re.findall(r"\[([\d,]*)\]", shapes))) >= field // 2)
    return {**{k: counts[k] for k in KINDS}, "gathers of a field": large}


def _size(shape: str) -> int:
    return int(np.prod([int(n) for n in shape.split(",") if n]))


def split(fields: Any) -> Any:
    """Along x: the axis before the last."""
    import jax
    from jax.sharding import Mesh, NamedSharding, PartitionSpec

    mesh = Mesh(np.array(jax.devices()), ("x",))
    spec = PartitionSpec(*[None] * (np.ndim(fields) - 2), "x", None)
    return jax.device_put(fields, NamedSharding(mesh, spec))


def by_hand(name: str) -> tuple[Callable[[Any], Any], np.ndarray]:
    """(function of the fields, not split; the fields)."""
    import jax

    if name == SPECTRAL:
        return NAVIER_STOKES.by_hand(0.025), NAVIER_STOKES.start_on()
    return lambda w: jax.lax.fori_loop(0, STEPS, lambda _, s: s + 0.5 * gray_scott_rolled(s), w), gray_scott_fields()


def ours(name: str) -> dict[str, Any]:
    """The same of sciml: one argument divides the fields."""
    import jax

    import sciml as sci
    from benchmarks import pde_ours

    pde_ours.here()
    if name == SPECTRAL:
        problem = pde_ours.discretised("Navier-Stokes vorticity", lambda sci: sci.Fourier(NAVIER_STOKES.n))
        options, start = {"t_span": (0.0, NAVIER_STOKES.end), "dt": 0.025}, NAVIER_STOKES.start_on()[None]
    else:
        problem = pde_ours.discretised("Gray-Scott", lambda sci: sci.FiniteDifference(GRAY_SCOTT_N))
        options, start = {"t_span": (0.0, 0.5 * STEPS), "solver": "tsit5"}, gray_scott_fields()
    initial = dict(zip([f.func.__name__ for f in problem.fields], start, strict=True))
    one = sci.solve(problem.model, initial=initial, saveat="end", **options)
    many = sci.solve(problem.model, initial=initial, saveat="end", mesh=jax.make_mesh((DEVICES,), ("x",)), **options)
    program = jax.jit(many._program.run).lower(many._buffer, many._values, None).compile()
    ends = [np.stack([np.asarray(sol[f][-1]) for f in problem.fields]) for sol in (one, many)]
    return told(ends[0], ends[1], start, not many[problem.fields[0]].sharding.is_fully_replicated, program.as_text())


def told(one: Any, many: Any, start: Any, is_split: bool, text: str) -> dict[str, Any]:
    return {
        "distance": relative(many, one),
        "change": relative(one, np.asarray(start)),  # a solve that did nothing would agree with itself
        "split": is_split,
        **collectives(text, start.shape[-1] * start.shape[-2]),
    }


def report(who: str, name: str) -> None:
    """Prints what one and eight devices give, as JSON. To be run in a process that has eight."""
    begin(sciml=who == "sciml")
    import jax

    if len(jax.devices()) != DEVICES:
        raise SystemExit(f"{len(jax.devices())} devices, not {DEVICES}: XLA_FLAGS did not reach JAX.")
    if who == "sciml":
        print(json.dumps(ours(name)))
        return
    function, fields = by_hand(name)
    one, parted = np.asarray(jax.jit(function)(fields)), split(fields)
    program = jax.jit(function).lower(parted).compile()
    many = program(parted)
    print(json.dumps(told(one, many, fields, not many.sharding.is_fully_replicated, program.as_text())))


def child(who: str, name: str) -> dict[str, Any]:
    """`report` in a process of its own."""
    flags = f"--xla_force_host_platform_device_count={DEVICES}"
    code = f"from benchmarks import pde_sharding; pde_sharding.report({who!r}, {name!r})"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env={**os.environ, "XLA_FLAGS": flags, "JAX_PLATFORMS": "cpu"}
    )
    if done.returncode:
        raise RuntimeError(f"a benchmark's process failed:\n{done.stderr[-2000:]}")
    return json.loads(done.stdout.strip().splitlines()[-1])


def main() -> None:
    rows = []
    for name in (FINITE, SPECTRAL):
        for who in ("by hand", *([] if PEERS_ONLY else ["sciml"])):
            found = child(who, name)
            rows.append([name, who, *found.values()])
    columns = ["problem", "program", "distance from one device", "change since the start", "result is split", *KINDS, "gathers of a field"]
    table(f"Eight devices against one, targets {TARGET:g} and no gather of a field", columns, rows)


if __name__ == "__main__":
    main()
