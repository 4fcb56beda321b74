"""The example of a missing term runs, finds the term, and draws its picture."""

import importlib.util
import sys
from pathlib import Path

import jax
import matplotlib.pyplot as plt
import pytest

PATH = Path(__file__).resolve().parent.parent.parent / "examples" / "neural_ude_discovery.py"


@pytest.mark.slow
def test_neural_ude_discovery(tmp_path):
    spec = importlib.util.spec_from_file_location("example_neural_ude_discovery", PATH)
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    module.OUT = tmp_path / "out"
    trained, found, refit = module.main(progress=False)
    assert str(found[module.g]) == "g_1*predator(t)*prey(t)"
    if jax.config.jax_enable_x64:
        assert abs(refit.params["g_1"] / module.FEEDING - 1) < 0.02
        assert all(abs(refit.params[n] / v - 1) < 0.04 for n, v in module.TRUTH.items())
    picture = module.picture(trained, found, refit)
    assert picture.read_bytes()[:8] == b"\x89PNG\r\n\x1a\n" and picture.stat().st_size > 10_000
    plt.close("all")
