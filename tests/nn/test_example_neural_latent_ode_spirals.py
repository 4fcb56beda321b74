"""The example neural_latent_ode_spirals on small settings."""

import importlib.util
import sys
from pathlib import Path

import jax
import matplotlib.pyplot as plt
import pytest

PATH = Path(__file__).resolve().parents[2] / "examples" / "neural_latent_ode_spirals.py"


@pytest.fixture(scope="module")
def example(tmp_path_factory):
    spec = importlib.util.spec_from_file_location("example_neural_latent_ode_spirals", PATH)
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    module.OUT = tmp_path_factory.mktemp("out")
    yield module
    plt.close("all")


def test_a_short_training_finds_the_curves(example):
    """Single precision, as for a reader. Without training the error is the size of the curves, about 1."""
    with jax.enable_x64(False), jax.numpy_dtype_promotion("standard"), jax.numpy_rank_promotion("allow"):
        result, errors = example.main(steps=1500, progress=False)
        assert errors["where points were"] < 0.1  # the noise
        assert errors["beyond"] < 0.5
        assert result.history["loss"].iloc[-1] < 0.2 * result.history["loss"].iloc[0]
        picture = example.picture(result)
    assert picture.read_bytes()[:8] == b"\x89PNG\r\n\x1a\n" and picture.stat().st_size > 10_000
