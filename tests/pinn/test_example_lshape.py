"""The example of the L-shaped bar: its reference has the known torsion, and the network comes close to it."""

import jax
import matplotlib.pyplot as plt

from .examples import is_picture, load


def test_network_in_an_l(tmp_path):
    example = load("pinn_lshape", tmp_path)
    with jax.numpy_dtype_promotion("standard"), jax.numpy_rank_promotion("allow"):  # as for a reader
        net = example.main(width=10, steps=25, points=400, progress=False)
        error, torsion, difference = example.compared(net, n=32)
        assert error < 0.1 and abs(torsion / example.TORSION - 1) < 0.1  # one percent after the full training
        assert is_picture(example.picture(net, difference))
    plt.close("all")


def test_reference_has_the_known_torsion(tmp_path):
    example = load("pinn_lshape", tmp_path)
    known = example.reference(64)
    assert abs(known.sum() / 64**2 - example.TORSION) < 1e-4
    assert (known[64:, :65] == 0).all() and (known[1:64, 1:-1] > 0).all()
