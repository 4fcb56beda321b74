"""Seven stars in the plane that attract each other, with close encounters (Hairer, Norsett and Wanner).

    x_i'' = sum over j of m_j (x_j - x_i) / r_ij^3,     y_i'' alike,     r_ij^2 = (x_i - x_j)^2 + (y_i - y_j)^2,     m_i = i + 1

Expected: several near collisions until t = 3 (the closest at t = 1.63 and 1.68), where the step must shrink a hundredfold.
The momenta and the energy (observed as `energy`) keep their values. Not stiff: an explicit method of high order with a
controlled step. 28 unknowns after reduction to first order and 84 attractions, all of one shape.

References:
    E. Hairer, S. P. Norsett and G. Wanner, Solving Ordinary Differential Equations I, 2nd ed., Springer, 1993: chapter II.10.
    F. Mazzia and C. Magherini, Test Set for Initial Value Problem Solvers, release 2.4, University of Bari, 2008: problem PLEI.
"""

import sympy as sp

import sciml as sci

CITATION = "E. Hairer, S. P. Norsett and G. Wanner, Solving Ordinary Differential Equations I, 2nd ed., Springer, 1993, chapter II.10"
T_SPAN = (0.0, 3.0)
SOLVER = "auto"
# The published numbers (stars are counted from 1 there); DOP853 at rtol 3e-14 agrees to 3e-12.
REFERENCE = {
    "x0": 0.3706139143970502,
    "x1": 3.237284092057233,
    "x2": -3.222559032418324,
    "x3": 0.6597091455775310,
    "x4": 0.3425581707156584,
    "x5": 1.562172101400631,
    "x6": -0.7003092922212495,
    "y0": -3.943437585517392,
    "y1": -3.271380973972550,
    "y2": 5.225081843456543,
    "y3": -2.590612434977470,
    "y4": 1.198213693392275,
    "y5": -0.2429682344935824,
    "y6": 1.091449240428980,
    "x0'": 3.417003806314313,
    "x1'": 1.354584501625501,
    "x2'": -2.590065597810775,
    "x3'": 2.025053734714242,
    "x4'": -1.155815100160448,
    "x5'": -0.8072988170223021,
    "x6'": 0.5952396354208710,
    "y0'": -3.741244961234010,
    "y1'": 0.3773459685750630,
    "y2'": 0.9386858869551073,
    "y3'": 0.3667922227200571,
    "y4'": -0.3474046353808490,
    "y5'": 2.344915448180937,
    "y6'": -1.947020434263292,
}


def pleiades() -> sci.System:
    """Positions of the seven stars, with masses 1 to 7."""
    t, n = sci.t, 7
    x = sci.variables("x0:7", initial=[3.0, 3.0, -1.0, -3.0, 2.0, -2.0, 2.0])
    y = sci.variables("y0:7", initial=[3.0, -3.0, 2.0, 0.0, 0.0, -4.0, 4.0])
    m = sci.parameters("m0:7", [1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0], bounds=(0.0, None))
    pairs = [(i, j) for i in range(n) for j in range(i + 1, n)]
    apart = {(i, j): sp.sqrt((x[i] - x[j]) ** 2 + (y[i] - y[j]) ** 2) for i, j in pairs}
    distance = {**apart, **{(j, i): r for (i, j), r in apart.items()}}

    def pull(z: tuple[sp.Expr, ...], i: int) -> sp.Expr:
        return sp.Add(*(m[j] * (z[j] - z[i]) / distance[i, j] ** 3 for j in range(n) if j != i))

    rates = {x[5]: 1.75, x[6]: -1.5, y[3]: -1.25, y[4]: 1.0}
    kinetic = sum(m[i] * (x[i].diff(t) ** 2 + y[i].diff(t) ** 2) / 2 for i in range(n))
    return sci.System(
        [sci.eq(z[i].diff(t, 2), pull(z, i)) for z in (x, y) for i in range(n)],
        initial={z.diff(t): rates.get(z, 0.0) for z in (*x, *y)},
        observed={"energy": kinetic - sum(m[i] * m[j] / apart[i, j] for i, j in pairs)},
        name="pleiades",
        description=CITATION,
    )
