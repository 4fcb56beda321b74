"""Flame fronts that never come to rest (Kuramoto 1978, Sivashinsky 1977).

    u_t + u u_x + u_xx + u_xxxx = 0  on (0, 32 pi), periodic,    u(0, x) = cos(x/16) (1 + sin(x/16))

Long waves grow (k^2), short ones are damped (-k^4), and the nonlinear term carries energy from one to the other.

Expected: up to t = 30 the smooth start steepens and breaks into cells with a width of about 9 (the fastest growth is at
k = 1/sqrt(2)); then chaos, cells that are born and merge for ever, with a largest Lyapunov exponent of about 0.09. The mean of u is
kept. Stiff: exponential or implicit methods.

References:
    Y. Kuramoto, Diffusion-induced chaos in reaction systems, Prog. Theor. Phys. Suppl. 64, 346-367, 1978.
    A.-K. Kassam and L. N. Trefethen, Fourth-order time-stepping for stiff PDEs, SIAM J. Sci. Comput. 26, 1214-1233, 2005.
"""

import sympy as sp

import sciml as sci

CITATION = "A.-K. Kassam and L. N. Trefethen, Fourth-order time-stepping for stiff PDEs, SIAM J. Sci. Comput. 26, 1214-1233, 2005"
T_SPAN = (0.0, 20.0)
METHODS = {"x": sci.Fourier(256)}
SOLVER = "auto"
# A program of its own (NumPy, ETDRK4) with 1024 points and steps of 0.005; with 768 and 0.01 it agrees to 3e-9.
REFERENCE = {"eighth": 0.81063385582, "energy": 19.7674762238}


def kuramoto_sivashinsky() -> sci.System:
    """The slope u(t, x) of the front."""
    t = sci.t
    length = 32 * sp.pi
    x = sci.space("x", 0, float(length), periodic=True)
    u = sci.fields("u", t, x, description="slope of the front")
    return sci.System(
        [sci.eq(u.diff(t), -sci.D(u**2 / 2, x) - u.diff(x, 2) - u.diff(x, 4))],
        initial={u: sp.cos(x / 16) * (1 + sp.sin(x / 16))},
        observed={"eighth": sci.at(u, x, float(length / 8)), "energy": sci.integral(u**2, x) / 2},
        name="kuramoto_sivashinsky",
        description=CITATION,
    )
