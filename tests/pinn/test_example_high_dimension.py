"""The examples in 100 and 1000 dimensions, with fewer dimensions and steps: better than the best constant, and a price."""

import jax
import matplotlib.pyplot as plt
import numpy as np

from .examples import is_picture, load


def test_allen_cahn_has_skill(tmp_path):
    example = load("pinn_allen_cahn_1000d", tmp_path)
    with jax.numpy_dtype_promotion("standard"), jax.numpy_rank_promotion("allow"):  # as for a reader
        result = example.main(dim=20, steps=12, width=16, points=150, progress=False)
        assert example.skill(*result[1:])[1] < 0.3  # 0.1 in 1000 dimensions after the full training
        assert is_picture(example.picture(*result))
    plt.close("all")


def test_the_best_constant_has_a_skill_of_one(tmp_path):
    example = load("pinn_allen_cahn_1000d", tmp_path)
    radius = np.linspace(0.1, 0.9, 50)
    known = (1 - radius**2) * (1 + 0.1 * np.sin(9 * radius))
    constant = (1 - radius**2) * ((1 - radius**2) @ known) / ((1 - radius**2) @ (1 - radius**2))
    np.testing.assert_allclose(example.skill(radius, constant, known)[1], 1.0)
    np.testing.assert_allclose(example.skill(radius, known, known), 0.0, atol=1e-12)


def test_price_of_a_hundred_assets(tmp_path):
    example = load("pinn_black_scholes_100d", tmp_path)
    with jax.numpy_dtype_promotion("standard"), jax.numpy_rank_promotion("allow"):  # as for a reader
        net = example.main(steps=12, width=16, points=400, progress=False)
        assert abs(example.at_start(net) / example.KNOWN - 1) < 0.02  # half a percent after the full training
        assert is_picture(example.picture(net))
    plt.close("all")
