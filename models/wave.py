"""A string with one end held and one end free (d'Alembert 1747).

    u_tt = c^2 u_xx  on (0, 1),    u = 0 at the left,  u_x = 0 at the right,
    u(0, x) = sin(pi x / 2) + sin(5 pi x / 2) / 5,  at rest

Expected: standing waves, u = sum of a_m sin(w_m x) cos(c w_m t) with w_m = pi/2 and 5 pi/2, which repeat after a time of
4/c. The energy, the integral of (u_t^2 + c^2 u_x^2) / 2, is kept by the equation, and by a solve as well as its tolerance
and the grid do. Not stiff.

Reference:
    J. le Rond d'Alembert, Recherches sur la courbe que forme une corde tendue mise en vibration, Hist. Acad. Berlin 3, 214-219, 1747.
"""

import sympy as sp

import sciml as sci

CITATION = "J. le Rond d'Alembert, Hist. Acad. Berlin 3, 214-219, 1747; W. A. Strauss, Partial Differential Equations, Wiley, 2008"
T_SPAN = (0.0, 2.3)
METHODS = {"x": sci.FiniteDifference(101, order=4)}
SOLVER = "tsit5"
# The exact solution: the values of cos(w t) + cos(5 w t) / 5 at the free end and of the energy, w = pi/2, t = 2.3.
REFERENCE = {"free_end": -0.74958516795105836, "energy": 1.2337005501361697}


def wave() -> sci.System:
    """The displacement u(t, x)."""
    t = sci.t
    x = sci.space("x", 0, 1)
    u = sci.fields("u", t, x, description="displacement")
    c = sci.parameters("c", 1.0, bounds=(0.0, None), description="speed of waves")
    return sci.System(
        [sci.eq(u.diff(t, 2), c**2 * u.diff(x, 2))],
        initial={u: sp.sin(sp.pi * x / 2) + sp.sin(5 * sp.pi * x / 2) / 5, u.diff(t): 0},
        boundary={x.left: sci.eq(u, 0), x.right: sci.eq(u.diff(x), 0)},
        observed={"free_end": sci.at(u, x.right), "energy": sci.integral(u.diff(t) ** 2 + c**2 * u.diff(x) ** 2, x) / 2},
        name="wave",
        description=CITATION,
    )
