"""The example of Burgers' equation: the known solution solves it, and the network comes close to that."""

import jax
import matplotlib.pyplot as plt
import numpy as np

from .examples import is_picture, load


def test_network_before_the_shock(tmp_path):
    example = load("pinn_burgers", tmp_path)
    with jax.numpy_dtype_promotion("standard"), jax.numpy_rank_promotion("allow"):  # as for a reader
        net = example.main(width=10, steps=25, points=400, t_end=0.3, progress=False)
        assert example.error(net) < 0.01  # 1e-3 up to t = 1 after the full training
        assert is_picture(example.picture(net))
    plt.close("all")


def test_known_solution_solves_the_equation(tmp_path):
    """Central differences in time and space, away from the shock."""
    example = load("pinn_burgers", tmp_path)
    h = 1e-3
    times, places = np.array([0.3 - h, 0.3, 0.3 + h]), np.concatenate([[s - h, s, s + h] for s in (-0.6, 0.3, 0.7)])
    u = example.exact(times, places).reshape(3, 3, 3)
    rate, slope = (u[2, :, 1] - u[0, :, 1]) / (2 * h), (u[1, :, 2] - u[1, :, 0]) / (2 * h)
    bend = (u[1, :, 2] - 2 * u[1, :, 1] + u[1, :, 0]) / h**2
    np.testing.assert_allclose(rate + u[1, :, 1] * slope, example.NU * bend, atol=1e-4)
    np.testing.assert_allclose(example.exact(np.zeros(1), places)[0], -np.sin(np.pi * places), atol=1e-12)
