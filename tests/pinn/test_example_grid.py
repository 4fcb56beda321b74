"""The example of one declaration that is solved twice: grid and network agree."""

import jax
import matplotlib.pyplot as plt

from .examples import is_picture, load


def test_grid_and_network_agree(tmp_path):
    example = load("pinn_and_grid", tmp_path)
    with jax.numpy_dtype_promotion("standard"), jax.numpy_rank_promotion("allow"):  # as for a reader
        sol, net, apart = example.main(n=101, width=10, steps=25, points=300, progress=False)
        assert apart < 0.05  # 1e-3 after the full training
        assert is_picture(example.picture(sol, net))
    plt.close("all")
