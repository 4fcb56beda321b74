"""The example neural_latent_sde on small settings."""

import importlib.util
import sys
from pathlib import Path

import jax
import matplotlib.pyplot as plt
import pytest

PATH = Path(__file__).resolve().parents[2] / "examples" / "neural_latent_sde.py"


@pytest.fixture(scope="module")
def example(tmp_path_factory):
    spec = importlib.util.spec_from_file_location("example_neural_latent_sde", PATH)
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    module.OUT = tmp_path_factory.mktemp("out")
    yield module
    plt.close("all")


def test_a_short_training_learns(example):
    """Single precision, as for a reader."""
    with jax.enable_x64(False), jax.numpy_dtype_promotion("standard"), jax.numpy_rank_promotion("allow"):
        result, found = example.main(steps=60, progress=False)
        loss = result.history["loss"]
        assert loss.iloc[-10:].mean() < loss.iloc[:5].mean() - 20
        assert 0.2 < found["inside the band"] <= 1 and found["forecast"] < 1.1  # 1 is the mean of the past
        picture = example.picture(result)
    assert picture.read_bytes()[:8] == b"\x89PNG\r\n\x1a\n" and picture.stat().st_size > 10_000
