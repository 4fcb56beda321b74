"""Phases that separate, and fronts that hardly move (Allen and Cahn 1979).

    u_t = eps^2 u_xx + u - u^3  on (-1, 1),    u = -1 at the left, u = 1 at the right,
    u(0, x) = 0.53 x + 0.47 sin(-3 pi x / 2),    eps = 0.1

u = 1 and u = -1 are the two phases, u = 0 is unstable; fronts between them are about 2 sqrt(2) eps wide.

Expected: within t = 5 the start becomes three fronts; two of them attract each other with a force that falls exponentially with their distance,
so that this state seems at rest, a metastable one, until they meet at about t = 36 and vanish. One front is left (Trefethen 2000).
The energy observed here never grows. Stiff.

References:
    S. M. Allen and J. W. Cahn, A microscopic theory for antiphase boundary motion, Acta Metall. 27, 1085-1095, 1979.
    L. N. Trefethen, Spectral Methods in MATLAB, SIAM, 2000: program 34.
"""

import sympy as sp

import sciml as sci

CITATION = "S. M. Allen and J. W. Cahn, A microscopic theory for antiphase boundary motion, Acta Metall. 27, 1085-1095, 1979"
T_SPAN = (0.0, 40.0)
METHODS = {"x": sci.Chebyshev(49)}
SOLVER = "rodas5p"
# A program of its own (73 Chebyshev points, Radau of SciPy at rtol 1e-11); with 61 points and 1e-9 it agrees to 3e-7.
REFERENCE = {"left": -0.99244307, "middle": 0.90123588, "energy": 0.0954747808}


def allen_cahn() -> sci.System:
    """The order parameter u(t, x)."""
    t = sci.t
    x = sci.space("x", -1, 1)
    u = sci.fields("u", t, x, description="order parameter")
    eps = sci.parameters("eps", 0.1, bounds=(0.0, None), scale="log", description="width of fronts")
    return sci.System(
        [sci.eq(u.diff(t), eps**2 * u.diff(x, 2) + u - u**3)],
        initial={u: 0.53 * x + 0.47 * sp.sin(-1.5 * sp.pi * x)},
        boundary={x.left: sci.eq(u, -1), x.right: sci.eq(u, 1)},
        observed={
            "left": sci.at(u, x, -0.5),
            "middle": sci.at(u, x, 0.25),
            "energy": sci.integral(eps**2 * u.diff(x) ** 2 / 2 + (1 - u**2) ** 2 / 4, x),
        },
        name="allen_cahn",
        description=CITATION,
    )
