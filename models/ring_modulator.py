"""The ring modulator: a low and a high frequency are mixed in a ring of four diodes, 15 unknowns (Horneber 1976).

    C U1' = I1 - I3 / 2 + I4 / 2 + I7 - U1 / R           LH I1' = -U1
    C U2' = I2 - I5 / 2 + I6 / 2 + I8 - U2 / R           LH I2' = -U2
    Cs U3' =  I3 - q(D1) + q(D4)                         LS2 I3' =  U1 / 2 - U3 - Rg2 I3
    Cs U4' = -I4 + q(D2) - q(D3)                         LS3 I4' = -U1 / 2 + U4 - Rg3 I4
    Cs U5' =  I5 + q(D1) - q(D3)                         LS2 I5' =  U2 / 2 - U5 - Rg2 I5
    Cs U6' = -I6 - q(D2) + q(D4)                         LS3 I6' = -U2 / 2 + U6 - Rg3 I6
    Cp U7' = -U7 / Rp + q(D1) + q(D2) - q(D3) - q(D4)    LS1 I7' = -U1 + Uin1 - (Ri + Rg1) I7
                                                         LS1 I8' = -U2 - (Rc + Rg1) I8

with a diode q(D) = gamma (exp(delta D) - 1), the voltages over the four

    D1 = U3 - U5 - U7 - Uin2,    D2 = -U4 + U6 - U7 - Uin2,    D3 = U4 + U5 + U7 + Uin2,    D4 = -U3 - U6 + U7 + Uin2

and the signals Uin1 = 0.5 sin(2000 pi t), Uin2 = 2 sin(20000 pi t).

Expected: U2 is the mixed signal. The parasitic capacity Cs = 2e-12 F adds oscillations of some 2e-7 s to those of 1e-4 s: very
stiff while a diode conducts, and full of short oscillations where none does, which hold the step near 1e-8 with fine tolerances
(some 1e5 steps). With Cs = 0 the four equations with Cs become algebraic, and the system a DAE of index 2.

References:
    E.-H. Horneber, Analyse nichtlinearer RLCUe-Netzwerke mit Hilfe der gemischten Potentialfunktion mit einer systematischen
        Darstellung der Analyse nichtlinearer dynamischer Netzwerke, PhD thesis, University of Kaiserslautern, 1976.
    F. Mazzia and C. Magherini, Test Set for Initial Value Problem Solvers, release 2.4, University of Bari, 2008: problem RINGMOD.
"""

import sympy as sp

import sciml as sci

CITATION = "E.-H. Horneber, Analyse nichtlinearer RLCUe-Netzwerke mit Hilfe der gemischten Potentialfunktion, University of Kaiserslautern, 1976"
T_SPAN = (0.0, 1e-3)
SOLVER = "rodas5p"
# The published numbers; Radau IIA at rtol 1e-8, atol 1e-11 agrees to 4e-8 of each, BDF (CVODE) at rtol 1e-10 to 7e-6.
REFERENCE = {
    "U1": -0.2339057358486745e-1,
    "U2": -0.7367485485540825e-2,
    "U3": 0.2582956709291169,
    "U4": -0.4064465721283450,
    "U5": -0.4039455665149794,
    "U6": 0.2607966765422943,
    "U7": 0.1106761861269975,
    "I1": 0.2939904342435596e-6,
    "I2": -0.2840029933642329e-7,
    "I3": 0.7267198267264553e-3,
    "I4": 0.7929487196960840e-3,
    "I5": -0.7255283495698965e-3,
    "I6": -0.7941401968526521e-3,
    "I7": 0.7088495416976114e-4,
    "I8": 0.2390059075236570e-4,
}


def ring_modulator() -> sci.System:
    """Voltages and currents of the circuit, all zero at first."""
    t = sci.t
    U1, U2, U3, U4, U5, U6, U7 = sci.variables("U1:8", initial=0.0, nominal=0.1)
    I1, I2, I3, I4, I5, I6, I7, I8 = sci.variables("I1:9", initial=0.0, nominal=[1e-6, 1e-6, *[1e-3] * 4, 1e-4, 1e-4])
    C, Cs, Cp = sci.parameters("C Cs Cp", [1.6e-8, 2e-12, 1e-8], bounds=(0.0, None), scale="log")
    R, Rp, Rg1, Rg2, Rg3, Ri, Rc = sci.parameters("R Rp Rg1 Rg2 Rg3 Ri Rc", [25000.0, 50.0, 36.3, 17.3, 17.3, 50.0, 600.0], bounds=(0.0, None))
    LH, LS1, LS2, LS3 = sci.parameters("LH LS1 LS2 LS3", [4.45, 2e-3, 5e-4, 5e-4], bounds=(0.0, None), scale="log")
    gamma, delta = sci.parameters("gamma delta", [40.67286402e-9, 17.7493332], bounds=(0.0, None), description="of the diodes")
    Uin1, Uin2 = sp.sin(2000 * sp.pi * t) / 2, 2 * sp.sin(20000 * sp.pi * t)
    over = (U3 - U5 - U7 - Uin2, -U4 + U6 - U7 - Uin2, U4 + U5 + U7 + Uin2, -U3 - U6 + U7 + Uin2)
    q1, q2, q3, q4 = (gamma * (sp.exp(delta * u) - 1) for u in over)
    return sci.System(
        [
            sci.eq(C * U1.diff(t), I1 - I3 / 2 + I4 / 2 + I7 - U1 / R),
            sci.eq(C * U2.diff(t), I2 - I5 / 2 + I6 / 2 + I8 - U2 / R),
            sci.eq(Cs * U3.diff(t), I3 - q1 + q4),
            sci.eq(Cs * U4.diff(t), -I4 + q2 - q3),
            sci.eq(Cs * U5.diff(t), I5 + q1 - q3),
            sci.eq(Cs * U6.diff(t), -I6 - q2 + q4),
            sci.eq(Cp * U7.diff(t), -U7 / Rp + q1 + q2 - q3 - q4),
            sci.eq(LH * I1.diff(t), -U1),
            sci.eq(LH * I2.diff(t), -U2),
            sci.eq(LS2 * I3.diff(t), U1 / 2 - U3 - Rg2 * I3),
            sci.eq(LS3 * I4.diff(t), -U1 / 2 + U4 - Rg3 * I4),
            sci.eq(LS2 * I5.diff(t), U2 / 2 - U5 - Rg2 * I5),
            sci.eq(LS3 * I6.diff(t), -U2 / 2 + U6 - Rg3 * I6),
            sci.eq(LS1 * I7.diff(t), -U1 + Uin1 - (Ri + Rg1) * I7),
            sci.eq(LS1 * I8.diff(t), -U2 - (Rc + Rg1) * I8),
        ],
        name="ring_modulator",
        description=CITATION,
    )
