"""The example runs, recognises speakers from few frames, and draws its picture."""

import importlib.util
from pathlib import Path

import jax
import matplotlib.pyplot as plt
import numpy as np

EXAMPLE = Path(__file__).resolve().parents[2] / "examples" / "neural_cde_vowels.py"


def test_neural_cde_vowels(tmp_path):
    spec = importlib.util.spec_from_file_location("example_neural_cde_vowels", EXAMPLE)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    module.OUT = tmp_path
    with jax.numpy_dtype_promotion("standard"), jax.numpy_rank_promotion("allow"):
        model, found, test = module.main(steps=150)
        path = module.picture(model, found, test)
    plt.close("all")
    medians = dict(zip(module.HIDDEN, np.median(found, 1), strict=True))
    assert medians[0.0] > 0.92 and medians[0.5] > 0.9 and medians[0.7] > 0.85 > medians[0.9] > 0.4
    assert path.read_bytes()[:8] == b"\x89PNG\r\n\x1a\n" and path.stat().st_size > 10_000
