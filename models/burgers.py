"""Burgers' equation: a wave that steepens until diffusion holds it (Bateman 1915, Burgers 1948).

    u_t + (u^2 / 2)_x = nu u_xx  on (-1, 1), periodic,    u(0, x) = -sin(pi x),    nu = 0.01 / pi

The odd start keeps u = 0 at x = -1, 0 and 1, so that this is also the problem between two walls.

Expected: the two humps run into each other, and a front forms at x = 0. It is steepest at t = 1.6037 / pi, where
u_x(0) = -152.00516 (Basdevant et al. 1986), and decays slowly afterwards. The front is about 4 nu wide: a grid that does
not resolve it shows ripples with spectral and central methods; `sci.FiniteVolume(..., flux="weno5")` keeps it clean at
any resolution. Mildly stiff.

References:
    J. M. Burgers, A mathematical model illustrating the theory of turbulence, Adv. Appl. Mech. 1, 171-199, 1948.
    C. Basdevant et al., Spectral and finite difference solutions of the Burgers equation, Comput. Fluids 14, 23-41, 1986.
"""

import math

import sympy as sp

import sciml as sci

CITATION = "C. Basdevant et al., Spectral and finite difference solutions of the Burgers equation, Comput. Fluids 14, 23-41, 1986"
T_SPAN = (0.0, 1.6037 / math.pi)
METHODS = {"x": sci.Fourier(2048)}
SOLVER = "auto"
# The transformation of Cole and Hopf, its integrals by quadrature in 40 digits (mpmath).
REFERENCE = {"slope": -152.00516157601296, "quarter": 0.83944119479147310}


def burgers() -> sci.System:
    """The velocity u(t, x)."""
    t = sci.t
    x = sci.space("x", -1, 1, periodic=True)
    u = sci.fields("u", t, x, description="velocity")
    nu = sci.parameters("nu", 0.01 / math.pi, bounds=(0.0, None), scale="log", description="viscosity")
    return sci.System(
        [sci.eq(u.diff(t), nu * u.diff(x, 2) - sci.D(u**2 / 2, x))],
        initial={u: -sp.sin(sp.pi * x)},
        observed={"slope": sci.at(u.diff(x), x, 0.0), "quarter": sci.at(u, x, -0.25)},
        name="burgers",
        description=CITATION,
    )
