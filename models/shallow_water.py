"""A dam that breaks: shallow water in one dimension (Saint-Venant 1871, Stoker 1957).

    h_t + (h v)_x = 0
    q_t + (q^2 / h + g h^2 / 2)_x = 0,    q = h v    on (-5, 5), walls at both ends (q = 0),    g = 1

h is the depth and q what flows; at first the water is at rest, h = 2 to the left of x = 0 and h = 1 to the right.

Expected: a fan runs to the left with the speed sqrt(2 g), a bore (a jump) to the right with 1.3356, and between them the depth is
1.45384 and the velocity 0.41692, until the fan meets the wall at t = 3.5 (Stoker 1957). Volumes are kept to rounding. Jumps need
finite volumes; with others ripples appear at the bore. Not stiff.

Reference:
    J. J. Stoker, Water Waves: The Mathematical Theory with Applications, Interscience, 1957: section 10.8.
"""

import sympy as sp

import sciml as sci

CITATION = "J. J. Stoker, Water Waves: The Mathematical Theory with Applications, Interscience, 1957"
T_SPAN = (0.0, 2.0)
METHODS = {"x": sci.FiniteVolume(200, flux="muscl")}
SOLVER = "tsit5"
# Stoker's exact solution: the depth and the velocity between fan and bore; what has crossed x = 0 is the volume beyond it.
REFERENCE = {"depth": 1.4538408923745728, "velocity": 0.41692063097548261, "volume": 15.0}


def shallow_water() -> sci.System:
    """The depth h(t, x) and the flow q(t, x)."""
    t = sci.t
    x = sci.space("x", -5, 5)
    h, q = sci.fields("h q", t, x, description=["depth", "flow"])
    g = sci.parameters("g", 1.0, bounds=(0.0, None), description="gravity")
    return sci.System(
        [sci.eq(h.diff(t) + sci.D(q, x), 0), sci.eq(q.diff(t) + sci.D(q**2 / h + g * h**2 / 2, x), 0)],
        initial={h: sp.Piecewise((2, x < 0), (1, True)), q: 0},
        boundary={side: [sci.eq(q, 0), sci.eq(h.diff(x), 0)] for side in (x.left, x.right)},
        observed={"depth": sci.at(h, x, 1.0), "velocity": sci.at(q, x, 1.0) / sci.at(h, x, 1.0), "volume": sci.integral(h, x)},
        name="shallow_water",
        description=CITATION,
    )
