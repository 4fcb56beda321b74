"""An alloy that separates into its two parts (Cahn and Hilliard 1958).

    u_t = (mu)_xx,    mu = u^3 - u - eps^2 u_xx  on (0, 1),    u_x = u_xxx = 0 at both ends,
    u(0, x) = 0.1 cos(2 pi x) + 0.05 cos(5 pi x) + 0.02 cos(9 pi x),    eps = 0.05

Expected: the modes near the wave number 1/(sqrt(2) eps), about 4.5 pi here, grow first (spinodal decomposition); then plateaus of u = 1 and u = -1
with fronts between them, of which the smaller ones dissolve slowly (coarsening). The mean of u is kept to rounding, and the energy, the integral of
eps^2 u_x^2 / 2 + (1 - u^2)^2 / 4, never grows. Very stiff: the fourth derivative.

Reference:
    J. W. Cahn and J. E. Hilliard, Free energy of a nonuniform system, J. Chem. Phys. 28, 258-267, 1958.
"""

import sympy as sp

import sciml as sci

CITATION = "J. W. Cahn and J. E. Hilliard, Free energy of a nonuniform system, J. Chem. Phys. 28, 258-267, 1958"
T_SPAN = (0.0, 0.1)
METHODS = {"x": sci.Cosine(128)}
SOLVER = "auto"
# A program of its own (NumPy, ETDRK4, 384 cosines, steps of 2.5e-5); with twice the step it agrees to 2e-9.
REFERENCE = {"middle": -0.6895349234, "beside": -0.548843567, "mean": 0.0, "energy": 0.1225164248}


def cahn_hilliard() -> sci.System:
    """The difference u(t, x) of the two parts."""
    t = sci.t
    x = sci.space("x", 0, 1)
    u = sci.fields("u", t, x, description="difference of the concentrations")
    eps = sci.parameters("eps", 0.05, bounds=(0.0, None), scale="log", description="width of fronts")
    start = sum(a * sp.cos(k * sp.pi * x) for a, k in ((0.1, 2), (0.05, 5), (0.02, 9)))
    return sci.System(
        [sci.eq(u.diff(t), (u**3 - u - eps**2 * u.diff(x, 2)).diff(x, 2))],
        initial={u: start},
        boundary={x.left: sci.eq(u.diff(x), 0), x.right: sci.eq(u.diff(x), 0)},  # the cosines have u_xxx = 0 too
        observed={
            "middle": sci.at(u, x, 0.5),
            "beside": sci.at(u, x, 0.3),
            "mean": sci.integral(u, x),
            "energy": sci.integral(eps**2 * u.diff(x) ** 2 / 2 + (1 - u**2) ** 2 / 4, x),
        },
        name="cahn_hilliard",
        description=CITATION,
    )
