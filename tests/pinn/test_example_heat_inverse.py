"""The example of the unknown diffusivity: it is found within the spread of the ensemble."""

import jax
import matplotlib.pyplot as plt

from .examples import is_picture, load


def test_diffusivity_within_its_spread(tmp_path):
    example = load("pinn_heat_inverse", tmp_path)
    with jax.numpy_dtype_promotion("standard"), jax.numpy_rank_promotion("allow"):  # as for a reader
        table = example.measure()
        runs = example.main(table, count=2, steps=30, points=150, progress=False)
        centre, width = runs.params.loc["k", ["mean", "std"]]
        assert abs(centre / example.K - 1) < 0.12 and width < 0.1 * example.K
        assert is_picture(example.picture(table, runs))
    plt.close("all")
