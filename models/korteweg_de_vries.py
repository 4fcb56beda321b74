"""Waves in a shallow canal (Korteweg and de Vries 1895).

    u_t + 6 u u_x + u_xxx = 0  on (0, 40), periodic,    u(0, x) = c/2 sech^2(sqrt(c)/2 (x - 12)),    c = 4

Expected: the hump travels to the right with the speed c, its shape unchanged: a soliton. Higher ones are faster and
narrower, and two of them pass through each other. The integrals of u, u^2 and 2 u^3 - u_x^2 are kept, and infinitely many others.
The third derivative turns waves of number k with the speed k^2: explicit methods need steps of about 1 / k_max^3.

Reference:
    D. J. Korteweg and G. de Vries, On the change of form of long waves advancing in a rectangular canal, Phil. Mag. 39, 422-443, 1895.
"""

import sympy as sp

import sciml as sci

CITATION = "D. J. Korteweg and G. de Vries, On the change of form of long waves, Phil. Mag. 39, 422-443, 1895; N. J. Zabusky and M. D. Kruskal, 1965"
T_SPAN = (0.0, 2.0)
METHODS = {"x": sci.Fourier(256)}
SOLVER = "auto"
# The exact solution: the top is at x = 20; the integrals are 2 sqrt(c), 2/3 c^(3/2) and 2/5 c^(5/2).
REFERENCE = {"top": 2.0, "mass": 4.0, "momentum": 16 / 3, "energy": 12.8}


def korteweg_de_vries() -> sci.System:
    """The height u(t, x) of the surface; `c` is the speed of the soliton at the start."""
    t = sci.t
    x = sci.space("x", 0, 40, periodic=True)
    u = sci.fields("u", t, x, description="height of the surface")
    c = sci.parameters("c", 4.0, bounds=(0.0, None), description="speed of the soliton at the start")
    return sci.System(
        [sci.eq(u.diff(t), -sci.D(3 * u**2, x) - u.diff(x, 3))],
        initial={u: c / 2 / sp.cosh(sp.sqrt(c) / 2 * (x - 12)) ** 2},
        observed={
            "top": sci.at(u, x, 20.0),
            "mass": sci.integral(u, x),
            "momentum": sci.integral(u**2, x),
            "energy": sci.integral(2 * u**3 - u.diff(x) ** 2, x),
        },
        name="korteweg_de_vries",
        description=CITATION,
    )
