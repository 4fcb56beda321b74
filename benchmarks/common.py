"""Timing and tables, shared by the benchmarks."""

import json
import os
import platform
import time
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

RESULTS = Path(__file__).parent / "results"


def interleaved(functions: dict[str, Callable[[], Any]], calls: int, repeats: int = 11) -> dict[str, float]:
    """Median seconds per call of each function. They take turns, so that a noisy moment hits all of them."""
    for f in functions.values():
        f()
    taken: dict[str, list[float]] = {name: [] for name in functions}
    for _ in range(repeats):
        for name, f in functions.items():
            began = time.perf_counter()
            for _ in range(calls):
                f()
            taken[name].append((time.perf_counter() - began) / calls)
    return {name: float(np.median(values)) for name, values in taken.items()}


def once(function: Callable[[], Any]) -> float:
    """Seconds of one call."""
    began = time.perf_counter()
    function()
    return time.perf_counter() - began


def table(title: str, columns: list[str], rows: list[list[Any]]) -> None:
    """Prints a Markdown table and keeps it under benchmarks/results/."""
    shown = [[f"{v:.3g}" if isinstance(v, float) else str(v) for v in row] for row in rows]
    lines = [f"## {title}", "", "| " + " | ".join(columns) + " |", "|" + "---|" * len(columns)]
    lines += ["| " + " | ".join(row) + " |" for row in shown]
    text = "\n".join(lines)
    print(text + "\n", flush=True)
    RESULTS.mkdir(exist_ok=True)
    name = "".join(c if c.isalnum() else "_" for c in title.lower())[:60].strip("_")
    record = {"title": title, "columns": columns, "rows": rows, **machine()}
    (RESULTS / f"{name}.json").write_text(json.dumps(record, indent=1) + "\n")


def machine() -> dict[str, Any]:
    """Hardware and versions, for the record."""
    import jax

    cpu = next((line.split(":")[1].strip() for line in _cpuinfo() if line.startswith("model name")), platform.processor())
    return {
        "cpu": cpu,
        "cores": os.cpu_count(),
        "device": str(jax.devices()[0].device_kind),
        "python": platform.python_version(),
        "versions": {p: version(p) for p in ("jax", "diffrax", "equinox", "sympy", "numpy")},
    }


def _cpuinfo() -> list[str]:
    path = Path("/proc/cpuinfo")
    return path.read_text().splitlines() if path.exists() else []
