"""The chemical Akzo Nobel problem: a catalysed oxidation fed with carbon dioxide, a stiff DAE of index 1 (Stortelder 1998).

    y1' = -2 r1 + r2 - r3 - r4                     FLB
    y2' = -r1 / 2 - r4 - r5 / 2 + F                CO2
    y3' =  r1 - r2 + r3                            FLBT
    y4' = -r2 + r3 - 2 r4                          ZHU
    y5' =  r2 - r3 + r5                            ZLA
    Ks y1 y4 = y6                                  FLB.ZHU, in equilibrium with FLB and ZHU at all times

with the speeds of the reactions and of the inflow

    r1 = k1 y1^4 sqrt(y2),    r2 = k2 y3 y4,    r3 = k2 / K y1 y5,    r4 = k3 y1 y4^2,    r5 = k4 y6^2 sqrt(y2)
    F = klA (pCO2 / H - y2)

Expected: y2 falls to a tenth within half a second and comes back over the three minutes, as y4 and with it y6 are used up and y1
turns into y3. Mildly stiff. sqrt(y2) is the only difficulty: y2 must stay positive.

References:
    W. J. H. Stortelder, Parameter Estimation in Nonlinear Dynamical Systems, PhD thesis, University of Amsterdam, 1998.
    F. Mazzia and C. Magherini, Test Set for Initial Value Problem Solvers, release 2.4, University of Bari, 2008: problem CHEMAKZO.
"""

import sympy as sp

import sciml as sci

CITATION = "W. J. H. Stortelder, Parameter Estimation in Nonlinear Dynamical Systems, PhD thesis, University of Amsterdam, 1998"
T_SPAN = (0.0, 180.0)
SOLVER = "rodas5p"
# The published numbers; a variable-order BDF (IDA) on these residuals agrees to 2e-11 of each.
REFERENCE = {
    "y1": 0.1150794920661702,
    "y2": 0.1203831471567715e-2,
    "y3": 0.1611562887407974,
    "y4": 0.3656156421249283e-3,
    "y5": 0.1708010885264404e-1,
    "y6": 0.4873531310307455e-2,
}


def akzo_nobel() -> sci.System:
    """Concentrations of the six species, the last from an equilibrium."""
    t = sci.t
    y1, y2, y3, y4, y5 = sci.variables(
        "y1:6",
        initial=[0.444, 0.00123, 0.0, 0.007, 0.0],
        nominal=[0.1, 1e-3, 0.1, 1e-3, 1e-2],
        description=["FLB", "CO2", "FLBT", "ZHU", "ZLA"],
    )
    y6 = sci.variables("y6", guess=0.36, nominal=1e-2, description="FLB.ZHU")
    k1, k2, k3, k4 = sci.parameters("k1:5", [18.7, 0.58, 0.09, 0.42], bounds=(0.0, None))
    K, Ks = sci.parameters("K Ks", [34.4, 115.83], bounds=(0.0, None), description="equilibrium constant")
    klA, pCO2, H = sci.parameters("klA pCO2 H", [3.3, 0.9, 737.0], description=["mass transfer", "pressure of CO2", "Henry constant"])
    r1 = k1 * y1**4 * sp.sqrt(y2)
    r2 = k2 * y3 * y4
    r3 = k2 / K * y1 * y5
    r4 = k3 * y1 * y4**2
    r5 = k4 * y6**2 * sp.sqrt(y2)
    return sci.System(
        [
            sci.eq(y1.diff(t), -2 * r1 + r2 - r3 - r4),
            sci.eq(y2.diff(t), -r1 / 2 - r4 - r5 / 2 + klA * (pCO2 / H - y2)),
            sci.eq(y3.diff(t), r1 - r2 + r3),
            sci.eq(y4.diff(t), -r2 + r3 - 2 * r4),
            sci.eq(y5.diff(t), r2 - r3 + r5),
            sci.eq(Ks * y1 * y4, y6),
        ],
        name="akzo_nobel",
        description=CITATION,
    )
