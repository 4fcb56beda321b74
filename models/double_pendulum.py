"""Two rigid massless rods, one hanging from the other, a point mass at the end of each; angles from the vertical, in SI units.

The equations are not written down but derived, here, from the Lagrangian L = T - V:

    d/dt (dL/d theta_i') - dL/d theta_i = 0,     i = 1, 2

with T = m1 |r1'|^2 / 2 + m2 |r2'|^2 / 2, V = g (m1 y1 + m2 y2), r1 = (l1 sin theta1, -l1 cos theta1) and
r2 = r1 + (l2 sin theta2, -l2 cos theta2). Both second derivatives stand in both equations, linearly: the compiler solves for them.

Expected: the energy T + V (observed as `energy`, in joules) keeps its value. Small swings are two normal modes, large ones are
chaotic in the long run: from both rods horizontal, as here, an error grows about tenfold in the first 5 s, where the reference
stands. Not stiff: an explicit method with small tolerances.

Reference:
    L. D. Landau and E. M. Lifshitz, Mechanics, 3rd ed., Butterworth-Heinemann, 1976: section 5, problem 1.
"""

import math

import sympy as sp

import sciml as sci

CITATION = "L. D. Landau and E. M. Lifshitz, Mechanics, 3rd ed., Butterworth-Heinemann, 1976, section 5, problem 1"
T_SPAN = (0.0, 5.0)
SOLVER = "auto"
# A Taylor method in 40 digits (mpmath) on the textbook's explicit accelerations, not on what is derived here.
REFERENCE = {
    "theta1": -0.62718670506653066393,
    "theta2": -1.3013155502098111799,
    "theta1'": 2.1254086738429105229,
    "theta2'": 3.8818887272656078679,
}


def double_pendulum() -> sci.System:
    """Angles of the two rods, released at rest from the horizontal."""
    t = sci.t
    angles = sci.variables("theta1 theta2", initial=math.pi / 2, unit="rad", description=["angle of the upper rod", "angle of the lower rod"])
    m1, m2 = sci.parameters("m1 m2", 1.0, unit="kg", bounds=(0.0, None), description=["upper mass", "lower mass"])
    l1, l2 = sci.parameters("l1 l2", 1.0, unit="m", bounds=(0.0, None), description=["upper rod", "lower rod"])
    g = sci.parameters("g", 9.81, unit="m/s**2", description="gravity")
    rods = [sp.Matrix([length * sp.sin(a), -length * sp.cos(a)]) for length, a in zip((l1, l2), angles, strict=True)]
    masses = ((m1, rods[0]), (m2, rods[0] + rods[1]))
    kinetic = sum(m * sp.trigsimp(sp.expand(r.diff(t).dot(r.diff(t)))) / 2 for m, r in masses)
    potential = sum(m * g * r[1] for m, r in masses)
    lagrangian = kinetic - potential
    return sci.System(
        [sci.eq(lagrangian.diff(a.diff(t)).diff(t), lagrangian.diff(a)) for a in angles],
        initial={a.diff(t): 0.0 for a in angles},
        observed={"energy": kinetic + potential},
        units={t: "s"},
        name="double_pendulum",
        description=CITATION,
    )
