"""What does a GPU make of the same problems, in both precisions, and does it give the numbers of the CPU?

Each device (the default one, and the CPU if that is another) and precision runs in a process of its own: the right side and a solve of
Gray and Scott's reaction, the vorticity of Navier and Stokes, heat and Burgers, by sciml and by hand in JAX. The end states are compared with those
of the CPU in float64, relative, against a tolerance for the precision. Options: --peers-only, --quick, --n=512 (points along a side of the
problems on a square), --device-only (no second run on the CPU: distances are from the programs by hand in float64 on the device).
"""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from typing import Any

import numpy as np

from benchmarks import pde_problems as given
from benchmarks.common import once, table
from benchmarks.pde_peers import diffrax_solve, exponax_solve
from benchmarks.pde_problems import BURGERS, NAVIER_STOKES, begin, relative
from benchmarks.stiff_peers import there
from benchmarks.stiff_problems import PEERS_ONLY, QUICK

DEVICE_ONLY = "--device-only" in sys.argv
N = int(next((a.split("=")[1] for a in sys.argv if a.startswith("--n=")), 128))
TOLERANCE = {"float32": 2e-3, "float64": 1e-5}  # of the end state: the solver's own tolerance is part of it
RTOL = {"float32": 1e-4, "float64": 1e-6}
GRAY_SCOTT_END, HEAT_N, HEAT_END = (10.0 if QUICK else 100.0), 128, 0.1
NS_DT, BURGERS_DT = 0.02 * 128 / max(N, 128), 0.01
Case = tuple[Callable[[Any], Any], np.ndarray]  # (jittable: start -> result, start)


def peers(precision: str) -> dict[str, Case]:
    """By hand, and exponax."""
    import dataclasses

    rtol = RTOL[precision]
    swirl = dataclasses.replace(NAVIER_STOKES, n=N)
    heat_start = np.linspace(0, np.pi, HEAT_N)[1:-1]

    def heat_rates(t: Any, u: Any, p: Any) -> Any:
        import jax.numpy as jnp

        w = jnp.pad(u, 1)
        return (w[2:] - 2 * u + w[:-2]) * ((HEAT_N - 1) / np.pi) ** 2

    gray_scott = diffrax_solve(lambda t, w, p: given.gray_scott_rolled(w, N), GRAY_SCOTT_END, None, rtol, 1e-3 * rtol)
    heat = diffrax_solve(heat_rates, HEAT_END, None, rtol, 1e-3 * rtol)
    cases: dict[str, Case] = {
        f"Gray-Scott {N}x{N}, rates / by hand": (lambda w: given.gray_scott_rolled(w, N), given.gray_scott_fields(N)),
        f"Gray-Scott {N}x{N}, solve / diffrax Tsit5": (lambda w: gray_scott(w)[0], given.gray_scott_fields(N)),
        f"Navier-Stokes {N}x{N} / by hand": (swirl.by_hand(NS_DT), swirl.start_on()),
        f"heat {HEAT_N} / diffrax Tsit5": (lambda u: heat(u)[0], heat_start * (np.pi - heat_start) * np.exp(heat_start / 2)),
        "Burgers 256 / by hand": (BURGERS.by_hand(BURGERS_DT), BURGERS.start_on()),
    }
    if there("exponax"):
        cases[f"Navier-Stokes {N}x{N} / exponax"] = (exponax_solve(swirl, NS_DT), swirl.start_on())
        cases["Burgers 256 / exponax"] = (exponax_solve(BURGERS, BURGERS_DT), BURGERS.start_on())
    return cases


def ours(precision: str) -> dict[str, Case]:
    """sciml: the start is given as `initial=`, so that nothing is known when it is compiled."""
    import jax.numpy as jnp

    import sciml as sci
    from benchmarks import pde_ours

    pde_ours.here()
    rtol = RTOL[precision]

    def solving(problem: Any, **options: Any) -> Callable[[Any], Any]:
        names = [f.func.__name__ for f in problem.fields]

        def solve(w: Any) -> Any:
            values = dict(zip(names, w if len(names) > 1 else [w], strict=True))
            sol = sci.solve(problem.model, initial=values, saveat="end", throw=False, **options)
            ends = [sol[f][-1] for f in problem.fields]
            return jnp.stack(ends) if len(ends) > 1 else ends[0]

        return solve

    gray_scott = pde_ours.discretised("Gray-Scott", lambda sci: sci.FiniteDifference(N), N)
    swirl = pde_ours.discretised("Navier-Stokes vorticity", lambda sci: sci.Fourier(N), N)
    heat = pde_ours.discretised("heat", lambda sci: sci.FiniteDifference(HEAT_N))
    burgers = pde_ours.discretised("Burgers", lambda sci: sci.Fourier(BURGERS.n))
    x = np.linspace(0, np.pi, HEAT_N)
    adaptive = {"rtol": rtol, "atol": 1e-3 * rtol}
    rates = gray_scott.rates()[0]
    fields = given.gray_scott_fields(N)
    return {
        f"Gray-Scott {N}x{N}, rates / sciml": (lambda w: rates(w.reshape(-1)).reshape(w.shape), fields),
        f"Gray-Scott {N}x{N}, solve / sciml": (solving(gray_scott, t_span=(0.0, GRAY_SCOTT_END), **adaptive), fields),
        f"Navier-Stokes {N}x{N} / sciml": (solving(swirl, t_span=(0.0, NAVIER_STOKES.end), dt=NS_DT), NAVIER_STOKES.start_on(N)),
        f"heat {HEAT_N} / sciml": (lambda u: solving(heat, t_span=(0.0, HEAT_END), **adaptive)(u)[1:-1], x * (np.pi - x) * np.exp(x / 2)),
        "Burgers 256 / sciml": (solving(burgers, t_span=(0.0, BURGERS.end), dt=BURGERS_DT), BURGERS.start_on()),
    }


def report(precision: str, path: str, peers_only: bool) -> None:
    """Runs all on this process's device; results to a file, times to the output as JSON."""
    begin(sciml=not peers_only, float64=precision == "float64")
    import jax

    cases = {**({} if peers_only else ours(precision)), **peers(precision)}
    times, ends = {}, {}
    print(json.dumps({"device": str(jax.devices()[0].device_kind), "platform": jax.default_backend()}), flush=True)
    for name, (function, start) in cases.items():
        jitted, argument = jax.jit(function), jax.device_put(np.asarray(start, precision))
        run = lambda f=jitted, a=argument: f(a).block_until_ready()  # noqa: E731
        first = once(run)
        ends[name] = np.asarray(run())
        times[name] = (first, float(np.median([once(run) for _ in range(3 if QUICK else 11)])))
        print(json.dumps({name: times[name]}), flush=True)
    np.savez(path, **{k.replace("/", "|"): v for k, v in ends.items()})


def child(platform: str, precision: str, folder: str) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    path = f"{folder}/{platform or 'default'}_{precision}.npz"
    env = {k: v for k, v in os.environ.items() if k != "XLA_FLAGS"}
    if platform:
        env["JAX_PLATFORMS"] = platform
    sizes = [a for a in sys.argv[1:] if a.startswith("--n=") or a == "--quick"]
    code = f"from benchmarks import pde_gpu; pde_gpu.report({precision!r}, {path!r}, {PEERS_ONLY})"
    started = subprocess.Popen([sys.executable, "-c", code, *sizes], stdout=subprocess.PIPE, text=True, env=env)
    assert started.stdout is not None
    told: dict[str, Any] = {"times": {}}
    for line in started.stdout:  # as it comes: what was measured is seen even if the rest does not end
        print(f"  {platform or 'default'} {precision}: {line.strip()}", flush=True)
        found = json.loads(line)
        told.update(found) if "device" in found else told["times"].update(found)
    if started.wait():
        raise RuntimeError("a benchmark's process failed, see above")
    with np.load(path) as kept:
        ends = {k.replace("|", "/"): kept[k] for k in kept.files}
    return told, ends


def main() -> None:
    rows: list[list[Any]] = []
    with tempfile.TemporaryDirectory() as folder:
        found = {("", p): child("", p, folder) for p in ("float64", "float32")}
        default = found["", "float64"][0]
        print(f"default device: {default['device']} ({default['platform']})", flush=True)
        if default["platform"] != "cpu" and not DEVICE_ONLY:
            found |= {("cpu", p): child("cpu", p, folder) for p in ("float64", "float32")}
        exact = found["cpu" if ("cpu", "float64") in found else "", "float64"][1]
        if DEVICE_ONLY:
            hand = {name.split(" / ")[0]: values for name, values in exact.items() if name.endswith(("by hand", "diffrax Tsit5"))}
            exact = {name: hand[name.split(" / ")[0]] for name in exact}
    for (_, precision), (told, ends) in found.items():
        for name, (first, again) in told["times"].items():
            case, program = name.split(" / ")
            far = relative(ends[name], exact[name])
            verdict = "yes" if far <= TOLERANCE[precision] else "NO"
            rows.append([case, program, told["device"], precision, first, 1e3 * again, far, verdict])
    rows.sort(key=lambda r: (r[0], r[3], r[2]))
    columns = [
        "problem",
        "program",
        "device",
        "precision",
        "first call, s",
        "ms",
        "distance from by hand in float64" if DEVICE_ONLY else "distance from the CPU in float64",
        "within tolerance",
    ]
    table(f"PDEs on {default['device']}, {N} points along a side", columns, rows)


if __name__ == "__main__":
    main()
