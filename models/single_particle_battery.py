"""A lithium-ion cell in which one particle stands for each electrode (Ning and Popov 2004, Marquis et al. 2019).

Lithium diffuses in two balls, n in the negative and p in the positive electrode. With x = r / R and c the part that is filled of
what a particle can hold, and a current I out of the cell:

    c_t = D / R^2 (x^2 c_x)_x / x^2,    c_x = 0 at x = 0,    c_x = -j R / (F D c_max) at x = 1,    c = 0.8 (n), 0.6 (p) at t = 0
    j_n = I / (area of all particles),  j_p = -I / (area of all particles)

The current passes the surface, where the filling is s, against an overpotential eta, which has no rate: its equation holds at every time
(Butler and Volmer).

    j = 2 m sqrt(c_e) c_max sqrt(s (1 - s)) sinh(F eta / (2 R T))
    voltage = U_p(s_p) - U_n(s_n) + eta_p - eta_n

Partial differential and algebraic equations together, of index 1. The numbers are those of Marquis et al. for a cell of 0.68 Ah of graphite and
lithium cobalt oxide. Times are in seconds, voltages in volt, the current is in ampere.

Expected: a discharge from 3.8 V in about an hour: a fast fall in the first minutes, as the surfaces run ahead of the inside, a long plateau,
and a knee when the positive particle is full at its surface. Lithium is kept: what leaves one particle enters the other. Stiff. The current begins
at once, at which `sci.discretize` warns: the particles, uniform at first, have no slope at the surface.

References:
    G. Ning and B. N. Popov, Cycle life modeling of lithium-ion batteries, J. Electrochem. Soc. 151, A1584-A1591, 2004.
    S. G. Marquis, V. Sulzer, R. Timms, C. P. Please and S. J. Chapman, An asymptotic derivation of a single particle model with
        electrolyte, J. Electrochem. Soc. 166, A3693-A3706, 2019.
"""

import sympy as sp

import sciml as sci

CITATION = "S. G. Marquis et al., An asymptotic derivation of a single particle model with electrolyte, J. Electrochem. Soc. 166, A3693-A3706, 2019"
T_SPAN = (0.0, 3000.0)
METHODS = {"xn": sci.Chebyshev(16), "xp": sci.Chebyshev(16)}
SOLVER = "rodas5p"
# The exact solution for a constant current (H. S. Carslaw and J. C. Jaeger, Conduction of Heat in Solids, 1959, section 9.7: a series), in 30 digits.
REFERENCE = {"surface_n": 0.27381604524380316, "surface_p": 0.89786846532383038, "voltage": 3.5953536487113831}

FARADAY, THERMAL = 96485.33212, 8.314462618 * 298.15 / 96485.33212  # C/mol, and R T / F in volt


def graphite(s: sp.Expr) -> sp.Expr:
    """The voltage of graphite against lithium, filled to the part s (Dualfoil's fit)."""
    parts = ((0.0351, 0.286, 0.083), (-0.0045, 0.849, 0.119), (-0.035, 0.9233, 0.05), (-0.0147, 0.5, 0.034), (-0.102, 0.194, 0.142),
             (-0.022, 0.9, 0.0164), (-0.011, 0.124, 0.0226), (0.0155, 0.105, 0.029))  # fmt: skip
    return 0.194 + 1.5 * sp.exp(-120 * s) + sum(a * sp.tanh((s - b) / c) for a, b, c in parts)


def cobalt_oxide(s: sp.Expr) -> sp.Expr:
    """The voltage of lithium cobalt oxide against lithium (Dualfoil's fit)."""
    s = 1.062 * s
    parts = ((0.07645, 30.834, 54.4806), (2.1581, 52.294, 50.294), (-0.14169, 11.0923, 19.8543), (0.2051, 1.4684, 5.4888))
    return (
        2.16216 + sum(a * sp.tanh(b - c * s) for a, b, c in parts) + 0.2531 * sp.tanh((0.56478 - s) / 0.1316) - 0.02167 * sp.tanh((s - 0.525) / 0.006)
    )


def single_particle_battery() -> sci.System:
    """The fillings cn(t, xn) and cp(t, xp) of the two particles, and the two overpotentials."""
    t = sci.t
    xn, xp = sci.space("xn", 0, 1), sci.space("xp", 0, 1)
    cn = sci.fields("cn", t, xn, initial=0.8, description="filling of the negative particle")
    cp = sci.fields("cp", t, xp, initial=0.6, description="filling of the positive particle")
    eta_n, eta_p = sci.variables("eta_n eta_p", guess=[0.1, -0.1], description="overpotential in volt")
    current = sci.parameters("current", 0.680616, description="of the discharge, in ampere")
    Dn, Dp = sci.parameters("Dn Dp", [3.9e-14, 1e-13], bounds=(0.0, None), scale="log", description="diffusivity in m^2/s")
    mn, mp = sci.parameters("mn mp", [2e-5, 6e-7], bounds=(0.0, None), scale="log", description="rate of the reaction in A/m^2 (m^3/mol)^1.5")
    electrolyte = sci.parameters("electrolyte", 1000.0, bounds=(0.0, None), description="its concentration in mol/m^3")
    radius, thickness, area = 1e-5, 1e-4, 0.137 * 0.207  # of the particles, of each electrode, of the cell
    equations, boundary, surfaces = [], {}, []
    for x, c, eta, D, m, sign, most, part in (
        (xn, cn, eta_n, Dn, mn, 1, 24983.2619938437, 0.6),
        (xp, cp, eta_p, Dp, mp, -1, 51217.9257309275, 0.5),
    ):
        j = sign * current / (3 * part / radius * thickness * area)
        s = sci.at(c, x.right)
        equations += [
            sci.eq(c.diff(t), D / radius**2 * sci.D(x**2 * c.diff(x), x) / x**2),
            sci.eq(j, 2 * m * sp.sqrt(electrolyte) * most * sp.sqrt(s * (1 - s)) * sp.sinh(eta / (2 * THERMAL))),
        ]
        boundary[x.right] = sci.eq(c.diff(x), -j * radius / (FARADAY * D * most))
        surfaces.append(s)
    return sci.System(
        equations,
        boundary=boundary,
        observed={
            "surface_n": surfaces[0],
            "surface_p": surfaces[1],
            "voltage": cobalt_oxide(surfaces[1]) - graphite(surfaces[0]) + eta_p - eta_n,
        },
        name="single_particle_battery",
        description=CITATION,
    )
