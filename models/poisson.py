"""Poisson's equation on a square: the twisted bar (Saint-Venant 1856).

    -lap u = f  on the unit square,    u = 0 on its sides,    f = 1

u is the stress function of a square bar that is twisted: stresses are its slopes, and the stiffness 4 times its integral. The
same problem is the shape of a membrane under pressure, and laminar flow through a square pipe. A stationary problem: use
`sci.steady_state`.

Expected: one smooth hill, u = 0.0736714 in the middle; where two sides meet, second derivatives are not continuous, so that
spectral methods converge fast but not exponentially.

Reference:
    S. P. Timoshenko and J. N. Goodier, Theory of Elasticity, McGraw-Hill, 1951: section 94.
"""

import sciml as sci

CITATION = "S. P. Timoshenko and J. N. Goodier, Theory of Elasticity, McGraw-Hill, 1951: section 94"
T_SPAN = None
METHODS = {"x": sci.Chebyshev(25), "y": sci.Chebyshev(25)}
SOLVER = "steady_state"
# Their series, in 30 digits.
REFERENCE = {"middle": 0.073671353281513816, "integral": 0.035144253738788434}


def poisson() -> sci.System:
    """The stress function u(x, y)."""
    x, y = sci.space("x", 0, 1), sci.space("y", 0, 1)
    u = sci.fields("u", x, y, description="stress function")
    f = sci.parameters("f", 1.0, description="twice the twist")
    return sci.System(
        [sci.eq(-sci.laplacian(u), f)],
        boundary={side: sci.eq(u, 0) for side in (x.left, x.right, y.left, y.right)},
        observed={"middle": sci.at(sci.at(u, x, 0.5), y, 0.5), "integral": sci.integral(u, x, y)},
        name="poisson",
        description=CITATION,
    )
