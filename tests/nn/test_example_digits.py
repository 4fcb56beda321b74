"""The digits example: a penalty keeps the evaluations down while both networks learn."""

import importlib.util
import sys
from pathlib import Path

import jax

EXAMPLE = Path(__file__).resolve().parents[2] / "examples" / "neural_digits.py"


def test_the_penalty_halves_the_evaluations(tmp_path):
    spec = importlib.util.spec_from_file_location("example_neural_digits", EXAMPLE)
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    module.OUT = tmp_path / "out"
    with jax.numpy_dtype_promotion("standard"), jax.numpy_rank_promotion("allow"):  # as for a reader
        test, results = module.main(steps=40)
        for result in results.values():
            assert result.history["loss"].iloc[-1] < 1.2 < result.history["loss"].iloc[0]
        assert results["penalised"].history["nfe"].iloc[-1] < 0.6 * results["plain"].history["nfe"].iloc[-1]
        path = module.picture(test, results)
    assert path.read_bytes()[:8] == b"\x89PNG\r\n\x1a\n" and path.stat().st_size > 10_000
