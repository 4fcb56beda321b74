"""The example of liquid networks on spoken vowels: it learns, bears hidden frames, and draws its picture."""

import importlib.util
from pathlib import Path

import jax
import matplotlib.pyplot as plt
import pytest

PATH = Path(__file__).resolve().parents[2] / "examples" / "neural_cfc_vowels.py"


@pytest.fixture
def example(tmp_path):
    spec = importlib.util.spec_from_file_location("example_neural_cfc_vowels", PATH)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    module.OUT = tmp_path
    yield module
    plt.close("all")


def test_sparse_network_recognises_speakers(example):
    with jax.numpy_dtype_promotion("standard"), jax.numpy_rank_promotion("allow"):  # as for a reader
        found = example.main(models=("CfC, sparse",), share=0.5, progress=False)
    (_, part), *others = found.values()
    assert not others
    assert part[0].mean() > 0.88  # from all frames; 0.95 after the full training
    assert part[example.HIDDEN.index(0.6)].mean() > 0.8
    path = example.picture(found)
    assert path.read_bytes()[:8] == b"\x89PNG\r\n\x1a\n" and path.stat().st_size > 10_000


def test_hidden_frames_are_not_observed(example):
    (batch, _), _ = example.vowels()
    hidden = example.hide(batch, 0.5, jax.random.key(0))
    assert batch.observed.shape == hidden.observed.shape == (270, 26, 12)
    assert 0.45 < hidden.observed.sum() / batch.observed.sum() < 0.55
    assert not (hidden.observed & ~batch.observed).any()
