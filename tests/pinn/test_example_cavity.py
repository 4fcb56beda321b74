"""The example of the lid-driven cavity: the centre lines of Ghia et al."""

import jax
import matplotlib.pyplot as plt

from .examples import is_picture, load


def test_flow_in_a_cavity(tmp_path):
    example = load("pinn_cavity", tmp_path)
    with jax.numpy_dtype_promotion("standard"), jax.numpy_rank_promotion("allow"):  # as for a reader
        net = example.main(steps=50, progress=False)
        assert example.distance(net) < 0.08  # 0.02 on the machine where this was written
        across, up = example.eye(net)
        assert abs(across - 0.62) < 0.1 and abs(up - 0.74) < 0.1
        assert is_picture(example.picture(net))
    plt.close("all")
