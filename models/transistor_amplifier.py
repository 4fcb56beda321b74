"""The transistor amplifier: two stages, eight voltages, five capacitors, a DAE of index 1 (Rentrop, Roche and Steinebach 1989).

Kirchhoff's law at every node, with the input Ue = 0.1 sin(200 pi t), the supply Ub, and the current through a transistor whose
base is u above its emitter, g(u) = beta (exp(u / UF) - 1):

    C1 (U1' - U2') + (U1 - Ue) / R0 = 0
    C1 (U1' - U2') = U2 / R1 + (U2 - Ub) / R2 + (1 - alpha) g(U2 - U3)
    C2 U3' = g(U2 - U3) - U3 / R3
    C3 (U4' - U5') = (Ub - U4) / R4 - alpha g(U2 - U3)
    C3 (U4' - U5') = U5 / R5 + (U5 - Ub) / R6 + (1 - alpha) g(U5 - U6)
    C4 U6' = g(U5 - U6) - U6 / R7
    C5 (U7' - U8') = (Ub - U7) / R8 - alpha g(U5 - U6)
    C5 (U7' - U8') = U8 / R9

A capacitor between two nodes couples their derivatives: eight equations with five derivatives in them, the mass matrix constant
and singular of rank 5. Two equations with the same capacitor have an algebraic difference.

Expected: U8 follows the input of 0.1 V enlarged and distorted, between -4.3 and 1.3 V, on top of a drift as the capacitors charge.
The exponentials turn the transistors on and off: short steps around the peaks of every period of 0.01 s. Mildly stiff.

References:
    P. Rentrop, M. Roche and G. Steinebach, The application of Rosenbrock-Wanner type methods with stepsize control in
        differential-algebraic equations, Numerische Mathematik 55, 545-563, 1989.
    F. Mazzia and C. Magherini, Test Set for Initial Value Problem Solvers, release 2.4, University of Bari, 2008: problem TRANSAMP.
"""

import sympy as sp

import sciml as sci

CITATION = "P. Rentrop, M. Roche and G. Steinebach, The application of Rosenbrock-Wanner type methods, Numer. Math. 55, 545-563, 1989"
T_SPAN = (0.0, 0.2)
SOLVER = "rodas5p"
# The published numbers; DOP853 at rtol 3e-14, the three algebraic equations solved at every stage, agrees to 2e-13.
REFERENCE = {
    "U1": -0.5562145012262709e-2,
    "U2": 3.006522471903042,
    "U3": 2.849958788608128,
    "U4": 2.926422536206241,
    "U5": 2.704617865010554,
    "U6": 2.761837778393145,
    "U7": 4.770927631616772,
    "U8": 1.236995868091548,
}


def transistor_amplifier() -> sci.System:
    """Voltages at the eight nodes, at rest at first."""
    t = sci.t
    # Five capacitors, five initial values; the other three voltages follow, and these guesses are what they are.
    U2, U3, U5, U6, U8 = sci.variables("U2 U3 U5 U6 U8", initial=[3.0, 3.0, 3.0, 3.0, 0.0])
    U1, U4, U7 = sci.variables("U1 U4 U7", guess=[0.0, 6.0, 6.0])
    Ub, UF, alpha, beta = sci.parameters("Ub UF alpha beta", [6.0, 0.026, 0.99, 1e-6], bounds=(0.0, None))
    R = sci.parameters("R0:10", [1000.0, *[9000.0] * 9], bounds=(0.0, None), scale="log", description="resistance in ohm")
    C1, C2, C3, C4, C5 = sci.parameters("C1:6", [1e-6, 2e-6, 3e-6, 4e-6, 5e-6], bounds=(0.0, None), scale="log", description="capacity in farad")
    volume = sci.parameters("volume", 0.1, description="amplitude of the input in volt")
    Ue = volume * sp.sin(200 * sp.pi * t)
    first, second = (beta * (sp.exp(u / UF) - 1) for u in (U2 - U3, U5 - U6))
    return sci.System(
        [
            sci.eq(C1 * (U1.diff(t) - U2.diff(t)) + (U1 - Ue) / R[0], 0),
            sci.eq(C1 * (U1.diff(t) - U2.diff(t)), U2 / R[1] + (U2 - Ub) / R[2] + (1 - alpha) * first),
            sci.eq(C2 * U3.diff(t), first - U3 / R[3]),
            sci.eq(C3 * (U4.diff(t) - U5.diff(t)), (Ub - U4) / R[4] - alpha * first),
            sci.eq(C3 * (U4.diff(t) - U5.diff(t)), U5 / R[5] + (U5 - Ub) / R[6] + (1 - alpha) * second),
            sci.eq(C4 * U6.diff(t), second - U6 / R[7]),
            sci.eq(C5 * (U7.diff(t) - U8.diff(t)), (Ub - U7) / R[8] - alpha * second),
            sci.eq(C5 * (U7.diff(t) - U8.diff(t)), U8 / R[9]),
        ],
        observed={"Ue": Ue},
        name="transistor_amplifier",
        description=CITATION,
    )
