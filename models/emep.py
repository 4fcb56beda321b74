"""EMEP: the ozone chemistry of rural air over Europe, 66 species, five days and nights (Simpson, Andersson-Skold and Jenkin 1993).

Every reaction runs at (rate constant) * (product of what stands on its left). Four tables in the code are the model: 112 reactions
with the rate constant A exp(B / T) at T = 298 K; 24 by light, with A exp(-B / cos z) by day, z the distance of the sun from the
zenith in midsummer at 50 degrees north, and nothing by night; 25 depositions with a velocity in cm/s, a quarter of it by night;
and emissions into a layer of 1.2 km in molecules per cm^2 and s. Two constants follow the humidity through the day, which jumps
at midnight. Concentrations are in molecules per cm^3, time in s from the first midnight; day is from 4:00 to 20:00.

O3P and O1D are oxygen atoms, SA and NITRAT aerosol; a reactant that stands on both sides only sets the speed.

Expected: ozone goes up by day and down by night, and to 3e12 over the five days; OH, O1D and O3P nearly vanish at night. Very stiff,
and the right-hand side jumps at sunrise, sunset and midnight: an implicit method, which needs short steps there.

References:
    D. Simpson, Y. Andersson-Skold and M. E. Jenkin, Updating the chemical scheme for the EMEP MSC-W oxidant model, Note 2/93, 1993.
    J. G. Verwer and D. Simpson, Explicit methods for stiff ODEs from atmospheric chemistry, Applied Numerical Mathematics 18,
        413-430, 1995.
    F. Mazzia and C. Magherini, Test Set for Initial Value Problem Solvers, release 2.4, University of Bari, 2008: problem EMEP.
"""

import math

import sympy as sp

import sciml as sci

from ._reactions import balance

CITATION = "D. Simpson, Y. Andersson-Skold and M. E. Jenkin, Updating the chemical scheme for the EMEP MSC-W oxidant model, Note 2/93, 1993"
T_SPAN = (14400.0, 403200.0)
SOLVER = "rodas5p"
# At 16:00 of the fifth day, BDF (CVODE) restarted at every jump, rtol 1e-13: 1e-12 agrees to 7e-12 of each. Carried on to the sunset
# at 417600 s, where O1D and O3P jump, it agrees with the published 64 others to 2e-11 of each.
_END = """
    NO 2.7359309134e9  NO2 2.6083506623e10  SO2 2.2434786506e11  CO 1.1044071350e13  CH4 3.4600190016e13  C2H6 9.9045531896e10
    NC4H10 7.8713870461e10  C2H4 2.9002085012e9  C3H6 4.7336595157e8  OXYL 3.0129411706e9  HCHO 7.3435375644e10  CH3CHO 3.3322201664e10
    MEK 1.0898541662e11  O3 3.2567567733e12  HO2 8.2721276298e8  HNO3 2.5808196005e10  H2O2 4.0611250528e10  H2 3.7421509794e11  CH3O2 2.6312983185e8
    C2H5OH 2.5758963080e10  SA 3.7248968303e11  CH3O2H 1.0460416972e10  C2H5O2 3.8853959463e7  CH3COO 8.7406551625e7  PAN 4.7019285391e10
    SECC4H 4.2368949228e7  MEKO2 3.1200770677e7  R2OOH 2.2402786006e9  ETRO2 5.0921243282e6  MGLYOX 4.6097886506e9  PRRO2 2.8679550028e6
    GLYOX 3.3113313947e9  OXYO2 1.2037529284e7  MAL 2.4565411130e9  MALO2 1.4673005438e7  O3P 2.2420736212e4  OH 5.8074636011e6  O1D 7.9957279768e-2
    NO3 1.4965565968e7  N2O5 1.0774424002e7  ISOPRE 1.4891560350e9  NITRAT 5.8390868666e11  ISRO2 4.3089126383e7  MVK 2.7198909834e9
    MVKO2 1.4557008863e7  CH3OH 1.4207947532e9  RCO3H 9.3092333067e9  OXYO2H 1.1359943219e9  BURO2H 4.2881290295e9  ETRO2H 5.5804533153e8
    PRRO2H 2.5421764505e8  MEKO2H 6.6017913979e9  MALO2H 1.0281612253e9  MACR 1.4758692180e9  ISNI 8.9107801844e8  ISRO2H 2.4380098906e9
    MARO2 3.0493383016e6  MAPAN 1.6288000435e9  CH2CCH3 8.1528837433e6  ISONO3 2.1273056873e6  ISNIR 9.1579392707e6  MVKO2H 1.0045810098e9
    CH2CHR 3.8538472042e8  ISNO3H 3.8558876300e8  ISNIRH 4.3847715338e8  MARO2H 1.2449948189e8
"""
REFERENCE = dict(zip(_END.split()[::2], map(float, _END.split()[1::2]), strict=True))

_AIR, _O2, _LAYER, _T = 2.55e19, 5.2e18, 1.2e5, 298.0
_START = {"NO": 1e9, "NO2": 5e9, "SO2": 5e9, "CO": 3.8e12, "CH4": 3.5e13, "O3": 5e11, "O1D": 1e-3}

# Volatile organics: share of the mass emitted and molar mass.
_ORGANICS = {"C2H6": (0.07689, 30), "NC4H10": (0.41444, 58), "C2H4": (0.03642, 28), "C3H6": (0.03827, 42)}
_ORGANICS |= {"OXYL": (0.24537, 106), "C2H5OH": (0.13957, 46)}
_MOLES = sum(share / mass for share, mass in _ORGANICS.values())
_EMISSIONS = {"NO": 2.5e11, "SO2": 2.5e11, "SA": 0.05 * 2.5e11, "CO": 2.5e12, "ISOPRE": 1.25e11}
_EMISSIONS |= {n: 2.5e11 * share / mass / _MOLES for n, (share, mass) in _ORGANICS.items()}

_DEPOSITION = (
    (0.5, "SO2 H2O2 O3 R2OOH RCO3H OXYO2H BURO2H ETRO2H PRRO2H MEKO2H MALO2H ISRO2H MVKO2H CH2CHR ISNO3H ISNIRH MARO2H"),
    (0.3, "HCHO CH3CHO MEK"),
    (0.2, "NO2 PAN MAPAN"),
    (0.1, "SA NITRAT"),
)

_LIGHT = (
    (1.23e-3, 0.60, "O3 -> O3P"),
    (2.00e-4, 1.40, "O3 -> O1D"),
    (1.45e-2, 0.40, "NO2 -> NO + O3P"),
    (2.20e-5, 0.75, "H2O2 -> 2 OH"),
    (3.00e-6, 1.25, "HNO3 -> NO2 + OH"),
    (5.40e-5, 0.79, "HCHO -> CO + 2 HO2"),
    (6.65e-5, 0.60, "HCHO -> CO + H2; GLYOX -> HCHO + CO; GLYOX -> HCHO + CO"),
    (1.35e-5, 0.94, "CH3CHO -> CH3O2 + HO2 + CO"),
    (2.43e-5, 0.88, "MEK -> C2H5O2 + CH3COO"),
    (2.16e-4, 0.79, "MGLYOX -> CH3COO + CO + HO2"),
    (3.53e-2, 0.081, "NO3 -> NO"),
    (8.94e-2, 0.059, "NO3 -> NO2 + O3P"),
    (3.32e-5, 0.57, "N2O5 -> NO2 + NO3"),
    (2.27e-5, 0.62, "CH3O2H -> HCHO + HO2 + OH; R2OOH -> CH3CHO + HO2 + OH; RCO3H -> CH3O2 + OH; OXYO2H -> MGLYOX + MAL + HO2 + OH"),
    (2.27e-5, 0.62, "BURO2H -> 0.35 CH3CHO + 0.65 MEK + 0.65 HO2 + 0.35 C2H5O2 + OH; ETRO2H -> 1.56 HCHO + 0.22 CH3CHO + HO2 + OH"),
    (2.27e-5, 0.62, "PRRO2H -> HCHO + CH3CHO + HO2; MEKO2H -> CH3CHO + CH3COO + OH; MALO2H -> MGLYOX + GLYOX + HO2 + OH; CH2CCH3 -> MEK + CH2CCH3"),
)

_REACTIONS = (
    (5.7e-34 * (_T / 300) ** -2.8 * _AIR * _O2, 0, "O3P -> O3"),
    (9.6e-32 * (_T / 300) ** -1.6 * _AIR, 0, "O3P + NO -> NO2"),
    (2.0e-11 * _AIR, 100, "O1D -> O3P"),
    (2.2e-10, 0, "O1D + H2O -> 2 OH"),
    (1.8e-12, -1370, "O3 + NO -> NO2"),
    (1.2e-13, -2450, "O3 + NO2 -> NO3"),
    (1.9e-12, -1000, "O3 + OH -> HO2"),
    (1.4e-14, -600, "O3 + HO2 -> OH"),
    (1.8e-11, 110, "NO3 + NO -> 2 NO2"),
    (3.7e-12, 240, "HO2 + NO -> NO2 + OH"),
    (7.2e-14, -1414, "NO2 + NO3 -> NO + NO2"),
    (1.4e-12, 0, "NO2 + NO3 -> N2O5"),
    (1.4e-11, 0, "NO2 + OH -> HNO3"),
    (4.1e-16, 0, "NO3 + H2O2 -> HNO3 + HO2"),
    (7.1e14, -11080, "N2O5 -> NO2 + NO3"),
    (4.8e-11, 250, "OH + HO2 -> "),
    (2.9e-12, -160, "OH + H2O2 -> HO2"),
    (7.7e-12, -2100, "OH + H2 -> HO2"),
    (1.0e-14, 785, "OH + HNO3 -> NO3"),
    (2.3e-13, 600, "2 HO2 + humid -> H2O2"),
    (1.7e-33 * _AIR, 1000, "2 HO2 + humid -> H2O2"),
    (1.35e-12, 0, "OH + SO2 -> SA + HO2"),
    (4.0e-17, 0, "CH3O2 + SO2 -> SA + HCHO + HO2"),
    (1.0e-4, 0, "H2O2 -> ; CH3O2H -> ; HNO3 -> NITRAT; N2O5 -> 2 NITRAT"),
    (3.9e-12, -1885, "CH4 + OH -> CH3O2"),
    (4.2e-12, 180, "CH3O2 + NO -> HCHO + NO2 + HO2; SECC4H + NO -> NO2 + 0.65 HO2 + 0.65 MEK + 0.35 CH3CHO + 0.35 C2H5O2"),
    (4.2e-12, 180, "MEKO2 + NO -> NO2 + CH3CHO + CH3COO; ETRO2 + NO -> NO2 + HO2 + 2 HCHO; PRRO2 + NO -> NO2 + HO2 + HCHO + CH3CHO"),
    (4.2e-12, 180, "OXYO2 + NO -> NO2 + HO2 + MGLYOX + MAL; MALO2 + NO -> NO2 + HO2 + MGLYOX + GLYOX; CH2CCH3 + NO -> NO2 + HO2 + MEK"),
    (4.2e-12, 180, "ISRO2 + NO -> 0.86 NO2 + 0.74 HCHO + 0.78 HO2 + 0.42 MVK + 0.32 MACR + 0.14 ISNI + 0.12 ISRO2"),
    (4.2e-12, 180, "MVKO2 + NO -> 0.95 NO2 + 0.266 HCHO + 0.95 HO2 + 0.684 CH3CHO + 0.684 CH3COO + 0.266 MGLYOX + 0.05 ISNI"),
    (4.2e-12, 180, "ISNIR + NO -> 1.9 NO2 + 0.05 HO2 + 0.95 CH3CHO + 0.95 MEK"),
    (4.2e-12, 180, "ISONO3 + NO -> 1.1 NO2 + 0.8 HO2 + 0.15 HCHO + 0.05 MVK + 0.1 MACR + 0.85 ISNI"),
    (5.5e-14, 365, "2 CH3O2 -> 2 HCHO + 2 HO2; 2 CH3O2 -> HCHO + CH3OH"),
    (3.3e-12, -380, "CH3OH + OH -> HCHO + HO2"),
    (3.2e-12, 0, "C2H5OH + OH -> CH3CHO + HO2"),
    (3.8e-13, 780, "CH3O2 + HO2 -> CH3O2H"),
    (9.6e-12, 0, "HCHO + OH -> CO + HO2"),
    (1.0e-12, 190, "CH3O2H + OH -> HCHO + OH"),
    (
        1.9e-12,
        190,
        "CH3O2H + OH -> CH3O2; R2OOH + OH -> C2H5O2; RCO3H + OH -> CH3COO; BURO2H + OH -> SECC4H; ETRO2H + OH -> ETRO2;PRRO2H + OH -> PRRO2",
    ),
    (5.8e-16, 0, "HCHO + NO3 -> CO + HO2 + HNO3"),
    (2.4e-13, 0, "CO + OH -> HO2"),
    (7.8e-12, -1020, "C2H6 + OH -> C2H5O2"),
    (8.9e-12, 0, "C2H5O2 + NO -> NO2 + CH3CHO + HO2"),
    (6.5e-13, 650, "C2H5O2 + HO2 -> R2OOH"),
    (5.6e-12, 310, "CH3CHO + OH -> CH3COO"),
    (5.8e-12, 190, "R2OOH + OH -> CH3CHO + OH; ETRO2H + OH -> CH3CHO + OH; BURO2H + OH -> MEK + OH; PRRO2H + OH -> MEK + OH"),
    (1.0e-11, 0, "CH3COO + NO2 -> PAN; MARO2 + NO2 -> MAPAN"),
    (1.34e16, -13330, "PAN -> CH3COO + NO2; MAPAN -> MARO2 + NO2"),
    (2.0e-11, 0, "CH3COO + NO -> NO2 + CH3O2; MARO2 + NO -> NO2 + CH2CCH3"),
    (1.1e-11, 0, "CH3O2 + CH3COO -> HCHO + 0.5 CH3O2 + 0.5 HO2"),
    (1.64e-11, -559, "NC4H10 + OH -> SECC4H"),
    (1.0e-11, 0, "SECC4H + HO2 -> BURO2H; ETRO2 + HO2 -> ETRO2H; PRRO2 + HO2 -> PRRO2H; MEKO2 + HO2 -> MEKO2H; MARO2 + HO2 -> MARO2H"),
    (1.0e-11, 0, "MVKO2 + HO2 -> MVKO2H; ISNIR + HO2 -> ISNIRH; CH2CCH3 + HO2 -> CH2CHR; OXYO2 + HO2 -> OXYO2H; MALO2 + HO2 -> MALO2H"),
    (1.0e-11, 0, "ISRO2 + HO2 -> ISRO2H; ISONO3 + HO2 -> ISNO3H"),
    (1.15e-12, 0, "MEK + OH -> MEKO2"),
    (4.8e-12, 0, "MEKO2H + OH -> MEKO2"),
    (1.3e-13, 1040, "CH3COO + HO2 -> RCO3H"),
    (3.0e-13, 1040, "CH3COO + HO2 -> O3"),
    (2.8e-12, 530, "2 CH3COO -> 2 CH3O2"),
    (1.66e-12, 474, "C2H4 + OH -> ETRO2"),
    (1.2e-14, -2630, "C2H4 + O3 -> HCHO + 0.44 CO + 0.12 HO2 + 0.13 H2"),
    (6.5e-15, -1880, "C3H6 + O3 -> 0.5 HCHO + 0.5 CH3CHO + 0.4 CO + 0.07 CH4 + 0.28 HO2 + 0.07 H2 + 0.31 CH3O2 + 0.15 OH"),
    (2.86e-11, 0, "C3H6 + OH -> PRRO2"),
    (3.2e-11, 0, "CH2CHR + OH -> CH2CCH3"),
    (2.0e-11, 0, "ISNO3H + OH -> ISONO3; ISRO2H + OH -> ISRO2 + OH; MAL + OH -> MALO2"),
    (2.2e-11, 0, "MVKO2H + OH -> MVKO2"),
    (3.7e-11, 0, "ISNIRH + OH -> ISNIR; MARO2H + OH -> MARO2"),
    (12.3e-15, -2013, "ISOPRE + O3 -> 0.8 HCHO + 0.05 CO + 0.07 C3H6 + 0.06 HO2 + 0.3 O3P + 0.55 OH + 0.26 MVK + 0.67 MACR"),
    (2.54e-11, 410, "ISOPRE + OH -> ISRO2"),
    (4.13e-12, 452, "MVK + OH -> MVKO2"),
    (8.0e-18, 0, "ISRO2H + O3 -> 0.7 HCHO"),
    (1.86e-11, 175, "MACR + OH -> 0.5 MARO2"),
    (4.32e-15, -2016, "MVK + O3 -> 0.8 HCHO + 0.05 CO + 0.04 CH3CHO + 0.06 HO2 + 0.82 MGLYOX + 0.2 O3P + 0.08 OH"),
    (3.35e-11, 0, "ISNI + OH -> ISNIR"),
    (7.8e-13, 0, "ISOPRE + NO3 -> ISONO3"),
    (1.1e-11, 0, "GLYOX + OH -> 2 CO + HO2"),
    (1.7e-11, 0, "MGLYOX + OH -> CO + CH3COO; OXYO2H + OH -> OXYO2"),
    (2.4e-11, 0, "MALO2H + OH -> MALO2"),
    (1.37e-11, 0, "OXYL + OH -> OXYO2"),
)


def emep() -> sci.System:
    """Concentrations of the 66 species."""
    t = sci.t
    start = [_START.get(n, 1e7 if i < 13 else 100.0) for i, n in enumerate(REFERENCE)]
    sizes = [max(10.0 ** math.floor(math.log10(v)), 1.0) for v in REFERENCE.values()]
    species = dict(zip(REFERENCE, sci.variables(" ".join(REFERENCE), initial=start, nominal=sizes), strict=True))
    clock = t - 86400 * sp.floor(t / 86400)
    day = (clock >= 4 * 3600) & (clock < 20 * 3600)
    north, sun = math.radians(50), math.radians(23.5)
    zenith = math.cos(north) * math.cos(sun) * sp.cos((1 + clock / 43200) * sp.pi) + math.sin(north) * math.sin(sun)
    heat = (597.3 - 0.57 * (_T - 273.16)) * 18 / 1.986 * (1 / _T - 1 / 273.16)
    water = 6.1078 * math.exp(-heat) * 10 / (1.38e-16 * _T) * (23 * sp.sin(2.43 - 7.93e-5 * clock) + 66.5)
    kept = {"H2O": water, "humid": 1 + 1.4e-21 * math.exp(2200 / _T) * water}
    thermal = sci.parameters(f"k1:{len(_REACTIONS) + 1}", [a * math.exp(b / _T) for a, b, _ in _REACTIONS], bounds=(0.0, None), scale="log")
    bright = sci.parameters(f"j1:{len(_LIGHT) + 1}", [a for a, *_ in _LIGHT], bounds=(0.0, None), scale="log")
    light = [j * sp.Piecewise((sp.exp(-b / zenith), day), (0, True)) for j, (_, b, _) in zip(bright, _LIGHT, strict=True)]
    falls = sp.Piecewise((1, day), (sp.Rational(1, 4), True)) / _LAYER
    lost = [(v * falls, f"{n} -> ") for v, names in _DEPOSITION for n in names.split()]
    rows = [*zip(thermal, _REACTIONS, strict=True), *zip(light, _LIGHT, strict=True)]
    changes = balance(species | kept, [*((k, reaction) for k, (*_, several) in rows for reaction in several.split(";")), *lost])
    return sci.System(
        [sci.eq(species[n].diff(t), changes[n] + _EMISSIONS.get(n, 0.0) / _LAYER) for n in REFERENCE],
        observed={"NOx": species["NO"] + species["NO2"], "ozone": species["O3"] / _AIR * 1e9},
        name="emep",
        description=CITATION,
    )
