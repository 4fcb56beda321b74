"""Convection rolls reduced to three numbers: deterministic chaos (Lorenz 1963).

    x' = sigma (y - x)            intensity of the convection
    y' = x (rho - z) - y          temperature difference between rising and falling fluid
    z' = x y - beta z             departure of the vertical temperature profile from a line

Expected: with sigma = 10, rho = 28, beta = 8/3 the butterfly attractor. Errors grow about as exp(0.9 t), so that two
correct solutions agree to 12 digits at t = 5 and in nothing at t = 40: the reference stands at t = 5. For rho < 1 all
decays to rest, for 1 < rho < 24.74 two steady rolls are stable. Not stiff: an explicit method, with small tolerances.

Reference:
    E. N. Lorenz, Deterministic nonperiodic flow, Journal of the Atmospheric Sciences 20, 130-141, 1963.
"""

import sciml as sci

CITATION = "E. N. Lorenz, Deterministic nonperiodic flow, Journal of the Atmospheric Sciences 20, 130-141, 1963"
T_SPAN = (0.0, 5.0)
SOLVER = "auto"
# A Taylor method of order 40 in 40 digits (mpmath); DOP853 at rtol 3e-14 agrees to 1e-13.
REFERENCE = {"x": -7.0006303829166122458, "y": -6.7845057632212381598, "z": 25.531054977514096338}


def lorenz() -> sci.System:
    """The Lorenz system from its author's starting point (0, 1, 0)."""
    t = sci.t
    x, y, z = sci.variables("x y z", initial=[0.0, 1.0, 0.0])
    sigma, rho, beta = sci.parameters("sigma rho beta", [10.0, 28.0, 8 / 3], description=["Prandtl number", "Rayleigh number ratio", "geometry"])
    return sci.System(
        [
            sci.eq(x.diff(t), sigma * (y - x)),
            sci.eq(y.diff(t), x * (rho - z) - y),
            sci.eq(z.diff(t), x * y - beta * z),
        ],
        name="lorenz",
        description=CITATION,
    )
