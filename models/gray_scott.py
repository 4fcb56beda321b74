"""Spots and stripes from a feed and a kill rate (Gray and Scott 1984, Pearson 1993).

    u_t = Du lap u - u v^2 + F (1 - u)         u is fed,
    v_t = Dv lap v + u v^2 - (F + k) v         v eats it and dies,    on the unit square, periodic

Expected: u = 1, v = 0 is stable against small disturbances; a large one, here a spot in the middle, grows to rings and stripes with a distance of
about 0.08 that fill the square by t = 5000. Other patterns at other (F, k): spots that divide at (0.0367, 0.0649), chaos at (0.026, 0.051).
Not very stiff.

References:
    P. Gray and S. K. Scott, Autocatalytic reactions in the isothermal, continuous stirred tank reactor, Chem. Eng. Sci. 39, 1087-1097, 1984.
    J. E. Pearson, Complex patterns in a simple system, Science 261, 189-192, 1993.
"""

import sympy as sp

import sciml as sci

CITATION = "J. E. Pearson, Complex patterns in a simple system, Science 261, 189-192, 1993"
T_SPAN = (0.0, 200.0)
METHODS = {"x": sci.Fourier(128), "y": sci.Fourier(128)}
SOLVER = "auto"
# A program of its own (NumPy, ETDRK4, 256 x 256 points, steps of 1); 192 x 192 and steps of 0.5 agree to 2e-4 of each.
REFERENCE = {"u_mean": 0.9597568, "v_mean": 0.0159718, "v_middle": 0.0143529, "v_beside": 0.350789}


def gray_scott() -> sci.System:
    """The food u(t, x, y) and what eats it, v(t, x, y)."""
    t = sci.t
    x, y = sci.space("x", 0, 1, periodic=True), sci.space("y", 0, 1, periodic=True)
    u, v = sci.fields("u v", t, x, y, description=["food", "eater"])
    Du, Dv, F, k = sci.parameters(
        "Du Dv F k",
        [2e-5, 1e-5, 0.037, 0.06],
        bounds=(0.0, None),
        description=["diffusion of u", "diffusion of v", "feed", "kill rate minus feed"],
    )
    spot = sp.exp(-((x - 0.5) ** 2 + (y - 0.5) ** 2) / 0.01)
    ripple = sp.sin(2 * sp.pi * (3 * x + y)) * sp.cos(4 * sp.pi * y) / 50
    eaten = u * v**2
    return sci.System(
        [sci.eq(u.diff(t), Du * sci.laplacian(u) - eaten + F * (1 - u)), sci.eq(v.diff(t), Dv * sci.laplacian(v) + eaten - (F + k) * v)],
        initial={u: 1 - spot / 2 + ripple, v: spot / 4 + 0.02 + ripple / 2},
        observed={
            "u_mean": sci.integral(u, x, y),
            "v_mean": sci.integral(v, x, y),
            "v_middle": sci.at(sci.at(v, x, 0.5), y, 0.5),
            "v_beside": sci.at(sci.at(v, x, 0.625), y, 0.5),
        },
        name="gray_scott",
        description=CITATION,
    )
