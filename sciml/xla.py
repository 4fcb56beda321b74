"""One setting of XLA, made before its first use.

XLA's CPU backend runs a small loop as one piece of machine code and a larger one operation by operation, through an
executor that costs more than the arithmetic of a small differential equation. What counts as small is a number of bytes,
1024 by default; the loop of a solver that saves 200 points is larger. Raising the number makes small solves 4 to 5
times faster (see `benchmarks/`). It is left alone if you set it yourself, or if the environment has SCIML_XLA=0.
"""

import os

_OPTION = "xla_cpu_small_while_loop_byte_threshold"
_BYTES = 262_144


def raise_small_loop_threshold() -> None:
    """Adds the option to XLA_FLAGS. Has no effect once JAX has started its CPU backend."""
    flags = os.environ.get("XLA_FLAGS", "")
    if os.environ.get("SCIML_XLA") == "0" or "xla_backend_extra_options" in flags:
        return
    os.environ["XLA_FLAGS"] = f"{flags} --xla_backend_extra_options={_OPTION}={_BYTES}".strip()
