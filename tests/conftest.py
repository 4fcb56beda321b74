"""Every test runs in float64 with strict types and ranks, unless SCIML_TEST_PRECISION=float32."""

import gc
import os
from pathlib import Path
from unittest import mock

from jaxtyping import install_import_hook
from sympy.core.function import FunctionClass

_ROOT = Path(__file__).resolve().parent.parent
os.environ.setdefault("JAX_COMPILATION_CACHE_DIR", str(_ROOT / ".cache" / "jax"))
os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0.3")
os.environ.setdefault("MPLBACKEND", "agg")

_ROOMS = [f"sciml.{room}" for room in ("errors", "symbols", "data", "system", "passes", "codegen", "solve", "optimize", "fit", "nn", "pinn", "io")]
_CHECKER = "beartype.beartype(conf=beartype.BeartypeConf(is_pep484_tower=True))"  # an int is a float
# SymPy prints the class of a function by its bare name, which beartype does not take for a class.
with mock.patch.object(FunctionClass, "__repr__", type.__repr__), install_import_hook(_ROOMS, _CHECKER):
    import sciml  # noqa: F401

import jax  # noqa: E402
import matplotlib  # noqa: E402
import numpy as np  # noqa: E402
import pytest  # noqa: E402
from hypothesis import settings  # noqa: E402

matplotlib.use("agg")
FLOAT32 = os.environ.get("SCIML_TEST_PRECISION") == "float32"
jax.config.update("jax_enable_x64", not FLOAT32)
jax.config.update("jax_numpy_dtype_promotion", "strict")
jax.config.update("jax_numpy_rank_promotion", "raise")
settings.register_profile("sciml", deadline=None, max_examples=30, derandomize=True)
settings.load_profile("sciml")


@pytest.fixture(autouse=True, scope="module")
def _forget_programs():
    """Compiled programs leave with their module: a process can map only so many of them."""
    yield
    jax.clear_caches()
    gc.collect()


@pytest.fixture(scope="session")
def close():
    """Compares numbers to a relative tolerance that the precision allows."""

    def check(found, expected, rtol=1e-6, atol=0.0):
        rtol = max(rtol, 2e-3) if FLOAT32 else rtol
        atol = max(atol, 1e-5) if FLOAT32 else atol
        np.testing.assert_allclose(np.asarray(found), np.asarray(expected), rtol=rtol, atol=atol)

    return check
