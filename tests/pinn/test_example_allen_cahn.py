"""The example of Allen-Cahn in windows of time: close to the grid, and periodic."""

import jax
import matplotlib.pyplot as plt
import numpy as np

from .examples import is_picture, load


def test_phases_part(tmp_path):
    example = load("pinn_allen_cahn", tmp_path)
    with jax.numpy_dtype_promotion("standard"), jax.numpy_rank_promotion("allow"):  # as for a reader
        net, sol = example.main(windows=1, width=8, steps=20, points=250, t_end=0.2, progress=False), example.reference(128)
        assert example.error(net, sol) < 0.1  # in four windows up to t = 1 in the full training
        left, right = net({"t": 0.1, "x": np.array([-1.0, 1.0])})[example.u]
        assert abs(left - right) < 1e-12
        assert is_picture(example.picture(net, sol))
    plt.close("all")
