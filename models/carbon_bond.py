"""Carbon Bond IV: the smog chemistry of cities, 32 species in 81 reactions, stiff (Gery, Whitten, Killus and Dodge 1989).

Organic molecules are counted by their bonds: PAR is a single carbon bond, OLE a double one, ALD2 and HCHO are aldehydes, TOL,
XYL, ISOP and ETH themselves, XO2 an operator that turns NO to NO2. Every reaction runs at (rate constant) * (product of what
stands on its left) with the rate constant A exp(B / T); light, 1 at noon, and water H2O are kept, oxygen and nitrogen are part
of the rate constants. The table of A, B and reactions in the code is the model, with the numbers that the Kinetic PreProcessor
has for the mechanism. A minus takes bonds away; products that are not followed further are left out.

Here a closed vessel at 288.15 K under a constant sun: polluted air in molecules per cm^3, 2.55e10 to 1 part per billion, time in s.

Expected: within a minute NO, NO2 and O3 balance at 69 ppb of ozone; isoprene and olefins go first, their radicals turn NO to NO2,
ozone rises to 180 ppb after four hours and then falls slowly, PAN and nitric acid store the nitrogen. `NOy`, all nitrogen that is
followed, falls from 72 to 64 ppb: the rest leaves as organic nitrates. Rate constants between 1e-40 and 1e15: very stiff.

References:
    M. W. Gery, G. Z. Whitten, J. P. Killus and M. C. Dodge, A photochemical kinetics mechanism for urban and regional scale
        computer modeling, Journal of Geophysical Research 94, 12925-12956, 1989.
    A. Sandu, J. G. Verwer, M. van Loon, G. R. Carmichael, F. A. Potra, D. Dabdub and J. H. Seinfeld, Benchmarking stiff ODE
        solvers for atmospheric chemistry problems I, Atmospheric Environment 31, 3151-3166, 1997.
    V. Damian, A. Sandu, M. Damian, F. Potra and G. R. Carmichael, The kinetic preprocessor KPP, Computers and Chemical
        Engineering 26, 1567-1579, 2002: the mechanism and this air are its example cbm4.
"""

import math

import sympy as sp

import sciml as sci

from ._reactions import balance

CITATION = "M. W. Gery et al., A photochemical kinetics mechanism for urban and regional scale computer modeling, J. Geophys. Res. 94, 1989"
T_SPAN = (0.0, 21600.0)
SOLVER = "rodas5p"
# BDF (CVODE) at rtol 1e-13; Radau IIA at rtol 1e-11 agrees to 2e-9 for ISOP and 2e-12 for the others.
_END = """
    NO 1.8056234331e8  NO2 2.5617699677e9  NO3 5.6955388048e6  N2O5 1.0752305228e6  HONO 9.8351297706e6  HNO3 8.7556097123e11  PNA 1.8845290174e8
    O1D 7.2092551418e-2  O 1.8837154993e4  OH 1.2545742003e7  O3 4.1613315048e12  HO2 1.2229875874e9  H2O2 6.1481874862e11  HCHO 2.9405647253e11
    ALD2 5.9176713281e10  C2O3 1.2831960555e9  PAN 7.4261204266e11  PAR 9.8902459392e11  ROR 3.1068089184e3  OLE 2.6121037373e8  ETH 8.5075902273e10
    TOL 6.8366242062e10  CRES 9.8726209588e9  TO2 7.6555578702e5  CRO 9.1399699077e7  OPEN 3.9722472203e9  XYL 1.3878027037e9  MGLY 3.5554923438e9
    ISOP 2.5372277401e2  XO2 3.7058950473e9  XO2N 7.2056489609e9  CO 9.1357206436e12
"""
REFERENCE = dict(zip(_END.split()[::2], map(float, _END.split()[1::2]), strict=True))

_PPB = 2.55e10
# In ppb; what is not here starts at 1e-8.
_START = {"NO": 50, "NO2": 20, "HONO": 1, "O3": 100, "HCHO": 10, "ALD2": 10, "PAN": 1, "PAR": 50, "OLE": 10, "ETH": 10}
_START |= {"TOL": 10, "XYL": 10, "ISOP": 10, "CO": 300}

_REACTIONS = (
    (8.89e-3, 0, "NO2 + light -> NO + O"),
    (1.4e3, 1175, "O -> O3"),
    (1.8e-12, -1370, "O3 + NO -> NO2"),
    (9.3e-12, 0, "O + NO2 -> NO"),
    (1.6e-13, 687, "O + NO2 -> NO3"),
    (2.2e-13, 602, "O + NO -> NO2"),
    (1.2e-13, -2450, "O3 + NO2 -> NO3"),
    (3.556e-4, 0, "O3 + light -> O"),
    (2.489e-5, 0, "O3 + light -> O1D"),
    (1.9e8, 390, "O1D -> O"),
    (2.2e-10, 0, "O1D + H2O -> 2 OH"),
    (1.6e-12, -940, "O3 + OH -> HO2"),
    (1.4e-14, -580, "O3 + HO2 -> OH"),
    (1.378e-1, 0, "NO3 + light -> 0.89 NO2 + 0.89 O + 0.11 NO"),
    (1.3e-11, 250, "NO3 + NO -> 2 NO2"),
    (2.5e-14, -1230, "NO3 + NO2 -> NO + NO2"),
    (5.3e-13, 256, "NO3 + NO2 -> N2O5"),
    (1.3e-21, 0, "N2O5 + H2O -> 2 HNO3"),
    (3.5e14, -10897, "N2O5 -> NO3 + NO2"),
    (1.8e-20, 530, "2 NO -> 2 NO2"),
    (4.4e-40, 0, "NO + NO2 + H2O -> 2 HONO"),
    (4.5e-13, 806, "OH + NO -> HONO"),
    (1.511e-3, 0, "HONO + light -> OH + NO"),
    (6.6e-12, 0, "OH + HONO -> NO2"),
    (1.0e-20, 0, "2 HONO -> NO + NO2"),
    (1.0e-12, 713, "OH + NO2 -> HNO3"),
    (5.1e-15, 1000, "OH + HNO3 -> NO3"),
    (3.7e-12, 240, "HO2 + NO -> OH + NO2"),
    (1.2e-13, 749, "HO2 + NO2 -> PNA"),
    (4.8e13, -10121, "PNA -> HO2 + NO2"),
    (1.3e-12, 380, "OH + PNA -> NO2"),
    (5.9e-14, 1150, "2 HO2 -> H2O2"),
    (2.2e-38, 5800, "2 HO2 + H2O -> H2O2"),
    (6.312e-6, 0, "H2O2 + light -> 2 OH"),
    (3.1e-12, -187, "OH + H2O2 -> HO2"),
    (2.2e-13, 0, "OH + CO -> HO2"),
    (1.0e-11, 0, "HCHO + OH -> HO2 + CO"),
    (2.845e-5, 0, "HCHO + light -> 2 HO2 + CO"),
    (3.734e-5, 0, "HCHO + light -> CO"),
    (3.0e-11, -1550, "HCHO + O -> OH + HO2 + CO"),
    (6.3e-16, 0, "HCHO + NO3 -> HNO3 + HO2 + CO"),
    (1.2e-11, -986, "ALD2 + O -> C2O3 + OH"),
    (7.0e-12, 250, "ALD2 + OH -> C2O3"),
    (2.5e-15, 0, "ALD2 + NO3 -> C2O3 + HNO3"),
    (4.00e-6, 0, "ALD2 + light -> HCHO + XO2 + CO + 2 HO2"),
    (5.4e-12, 250, "C2O3 + NO -> HCHO + XO2 + HO2 + NO2"),
    (8.0e-20, 5500, "C2O3 + NO2 -> PAN"),
    (9.4e16, -14000, "PAN -> C2O3 + NO2"),
    (2.0e-12, 0, "2 C2O3 -> 2 HCHO + 2 XO2 + 2 HO2"),
    (6.5e-12, 0, "C2O3 + HO2 -> 0.79 HCHO + 0.79 XO2 + 0.79 HO2 + 0.79 OH"),
    (1.1e2, -1710, "OH -> HCHO + XO2 + HO2"),
    (8.1e-13, 0, "PAR + OH -> 0.87 XO2 + 0.13 XO2N + 0.11 HO2 + 0.11 ALD2 + 0.76 ROR - 0.11 PAR"),
    (1.0e15, -8000, "ROR -> 1.1 ALD2 + 0.96 XO2 + 0.94 HO2 + 0.04 XO2N + 0.02 ROR - 2.10 PAR"),
    (1.6e3, 0, "ROR -> HO2"),
    (1.5e-11, 0, "ROR + NO2 -> "),
    (1.2e-11, -324, "O + OLE -> 0.63 ALD2 + 0.38 HO2 + 0.28 XO2 + 0.3 CO + 0.2 HCHO + 0.02 XO2N + 0.22 PAR + 0.2 OH"),
    (5.2e-12, 504, "OH + OLE -> HCHO + ALD2 + XO2 + HO2 - PAR"),
    (1.4e-14, -2105, "O3 + OLE -> 0.5 ALD2 + 0.74 HCHO + 0.33 CO + 0.44 HO2 + 0.22 XO2 + 0.1 OH - PAR"),
    (7.7e-15, 0, "NO3 + OLE -> 0.91 XO2 + HCHO + ALD2 + 0.09 XO2N + NO2 - PAR"),
    (1.0e-11, -792, "O + ETH -> HCHO + 0.7 XO2 + CO + 1.7 HO2 + 0.3 OH"),
    (2.0e-12, 411, "OH + ETH -> XO2 + 1.56 HCHO + HO2 + 0.22 ALD2"),
    (1.3e-14, -2633, "O3 + ETH -> HCHO + 0.42 CO + 0.12 HO2"),
    (2.1e-12, 322, "OH + TOL -> 0.08 XO2 + 0.36 CRES + 0.44 HO2 + 0.56 TO2"),
    (8.1e-12, 0, "TO2 + NO -> 0.9 NO2 + 0.9 OPEN + 0.9 HO2"),
    (4.20, 0, "TO2 -> HO2 + CRES"),
    (4.1e-11, 0, "OH + CRES -> 0.4 CRO + 0.6 XO2 + 0.6 HO2 + 0.3 OPEN"),
    (2.2e-11, 0, "NO3 + CRES -> CRO + HNO3"),
    (1.4e-11, 0, "CRO + NO2 -> "),
    (1.7e-11, 116, "OH + XYL -> 0.7 HO2 + 0.5 XO2 + 0.2 CRES + 0.8 MGLY + 1.10 PAR + 0.3 TO2"),
    (3.0e-11, 0, "OH + OPEN -> XO2 + C2O3 + 2 HO2 + 2 CO + HCHO"),
    (5.334e-5, 0, "OPEN + light -> C2O3 + CO + HO2"),
    (5.4e-17, -500, "O3 + OPEN -> 0.03 ALD2 + 0.62 C2O3 + 0.7 HCHO + 0.03 XO2 + 0.69 CO + 0.08 OH + 0.76 HO2 + 0.2 MGLY"),
    (1.70e-11, 0, "OH + MGLY -> XO2 + C2O3"),
    (1.654e-4, 0, "MGLY + light -> C2O3 + CO + HO2"),
    (1.80e-11, 0, "O + ISOP -> 0.6 HO2 + 0.8 ALD2 + 0.55 OLE + 0.5 XO2 + 0.5 CO + 0.45 ETH + 0.9 PAR"),
    (9.6e-11, 0, "OH + ISOP -> HCHO + XO2 + 0.67 HO2 + 0.4 MGLY + 0.2 C2O3 + ETH + 0.2 ALD2 + 0.13 XO2N"),
    (1.2e-17, 0, "O3 + ISOP -> HCHO + 0.4 ALD2 + 0.55 ETH + 0.2 MGLY + 0.06 CO + 0.1 PAR + 0.44 HO2 + 0.1 OH"),
    (3.2e-13, 0, "NO3 + ISOP -> XO2N"),
    (8.1e-12, 0, "XO2 + NO -> NO2"),
    (1.7e-14, 1300, "2 XO2 -> "),
    (6.8e-13, 0, "XO2N + NO -> "),
)


def carbon_bond() -> sci.System:
    """Concentrations of the 32 species."""
    names = list(REFERENCE)
    start = [_PPB * _START.get(n, 1e-8) for n in names]
    # Typical sizes are the powers of ten of the end, none below 1e-3 molecules per cm^3: what is less is of no weight to the others.
    sizes = [max(10.0 ** math.floor(math.log10(v)), 1e-3) for v in REFERENCE.values()]
    species = dict(zip(names, sci.variables(" ".join(names), initial=start, nominal=sizes), strict=True))
    T = sci.parameters("T", 288.15, bounds=(200.0, 350.0), description="temperature in K")
    kept = {"light": sci.parameters("light", 1.0, bounds=(0.0, 1.0)), "H2O": sci.parameters("H2O", 1.25e8 * _PPB, bounds=(0.0, None))}
    constants = sci.parameters("k1:82", [a * sp.exp(b / T) if b else a for a, b, _ in _REACTIONS])
    changes = balance(species | kept, zip(constants, (reaction for *_, reaction in _REACTIONS), strict=True))
    total = lambda atoms: sum(count * species[n] for n, count in atoms.items())  # noqa: E731
    return sci.System(
        [sci.eq(species[n].diff(sci.t), changes[n]) for n in names],
        observed={
            "NOy": total({"NO": 1, "NO2": 1, "NO3": 1, "N2O5": 2, "HONO": 1, "HNO3": 1, "PNA": 1, "PAN": 1}) / _PPB,
            "ozone": species["O3"] / _PPB,
        },
        name="carbon_bond",
        description=CITATION,
    )
