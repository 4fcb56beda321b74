"""POLLU: the chemistry of polluted air, 20 species in 25 reactions, stiff (Verwer 1994).

Every reaction runs at the speed (rate constant) * (product of what goes in), takes one of each species on its left and
gives what is on its right; a species changes by the sum over the reactions. The table in the code is the model. Light
splits NO2, HCHO, ALD (acetaldehyde), O3 and NO3; MEO2 is CH3O2, C2O3 is CH3CO3, O3P and O1D are oxygen atoms in the
ground and the excited state. Time is in minutes, concentrations in parts per million.

Expected: fast radicals settle within fractions of a second, then ozone builds up over the hour. Elements are conserved: the
observed quantities `nitrogen`, `carbon` and `sulfur` keep their values. Rate constants between 1e-4 and 4e11 make it very
stiff: an implicit method. Several species never leave 1e-8 or below (O1D: 4e-18), which `nominal` tells the tolerances.

References:
    J. G. Verwer, Gauss-Seidel iteration for stiff ODEs from chemical kinetics, SIAM Journal on Scientific Computing 15,
        1243-1250, 1994.
    F. Mazzia and C. Magherini, Test Set for Initial Value Problem Solvers, release 2.4, University of Bari, 2008: problem POLLU.
"""

import math

import sympy as sp

import sciml as sci

CITATION = "J. G. Verwer, Gauss-Seidel iteration for stiff ODEs from chemical kinetics, SIAM J. Sci. Comput. 15, 1243-1250, 1994"
T_SPAN = (0.0, 60.0)
SOLVER = "kvaerno5"
# The published numbers, y1 to y20 in their order there; Radau IIA at rtol 1e-11, atol 1e-18 agrees to 3e-13 of each.
REFERENCE = {
    "NO2": 0.5646255480022769e-1,
    "NO": 0.1342484130422339,
    "O3P": 0.4139734331099427e-8,
    "O3": 0.5523140207484359e-2,
    "HO2": 0.2018977262302196e-6,
    "OH": 0.1464541863493966e-6,
    "HCHO": 0.7784249118997964e-1,
    "CO": 0.3245075353396018,
    "ALD": 0.7494013383880406e-2,
    "MEO2": 0.1622293157301561e-7,
    "C2O3": 0.1135863833257075e-7,
    "CO2": 0.2230505975721359e-2,
    "PAN": 0.2087162882798630e-3,
    "CH3O": 0.1396921016840158e-4,
    "HNO3": 0.8964884856898295e-2,
    "O1D": 0.4352846369330103e-17,
    "SO2": 0.6899219696263405e-2,
    "SO4": 0.1007803037365946e-3,
    "NO3": 0.1772146513969984e-5,
    "N2O5": 0.5682943292316392e-4,
}

_START = {"NO": 0.2, "O3": 0.04, "HCHO": 0.1, "CO": 0.3, "ALD": 0.01, "SO2": 0.007}

_REACTIONS = (
    (0.350, "NO2", "NO + O3P"),
    (26.6, "NO + O3", "NO2"),
    (1.23e4, "HO2 + NO", "NO2 + OH"),
    (8.60e-4, "HCHO", "HO2 + HO2 + CO"),
    (8.20e-4, "HCHO", "CO"),
    (1.50e4, "HCHO + OH", "HO2 + CO"),
    (1.30e-4, "ALD", "MEO2 + HO2 + CO"),
    (2.40e4, "ALD + OH", "C2O3"),
    (1.65e4, "C2O3 + NO", "NO2 + MEO2 + CO2"),
    (9.00e3, "C2O3 + NO2", "PAN"),
    (0.0220, "PAN", "C2O3 + NO2"),
    (1.20e4, "MEO2 + NO", "CH3O + NO2"),
    (1.88, "CH3O", "HCHO + HO2"),
    (1.63e4, "NO2 + OH", "HNO3"),
    (4.80e6, "O3P", "O3"),
    (3.50e-4, "O3", "O1D"),
    (0.0175, "O3", "O3P"),
    (1.00e8, "O1D", "OH + OH"),
    (4.44e11, "O1D", "O3P"),
    (1.24e3, "SO2 + OH", "SO4 + HO2"),
    (2.10, "NO3", "NO"),
    (5.78, "NO3", "NO2 + O3P"),
    (0.0474, "NO2 + O3", "NO3"),
    (1.78e3, "NO3 + NO2", "N2O5"),
    (3.12, "N2O5", "NO3 + NO2"),
)


def pollution() -> sci.System:
    """Concentrations of the 20 species."""
    names = list(REFERENCE)
    # Typical sizes are the powers of ten of the reference, none below 1e-12: O1D is of no weight to the others.
    sizes = [max(10.0 ** math.floor(math.log10(v)), 1e-12) for v in REFERENCE.values()]
    species = dict(zip(names, sci.variables(" ".join(names), initial=[_START.get(n, 0.0) for n in names], nominal=sizes), strict=True))
    constants = sci.parameters("k1:26", [k for k, _, _ in _REACTIONS], bounds=(0.0, None), scale="log")
    rates = {n: sp.S.Zero for n in names}
    for k, (_, left, right) in zip(constants, _REACTIONS, strict=True):
        speed = k * sp.Mul(*(species[n] for n in left.split(" + ")))
        for n in left.split(" + "):
            rates[n] -= speed
        for n in right.split(" + "):
            rates[n] += speed
    total = lambda atoms: sum(count * species[n] for n, count in atoms.items())  # noqa: E731
    return sci.System(
        [sci.eq(species[n].diff(sci.t), rates[n]) for n in names],
        observed={
            "nitrogen": total({"NO2": 1, "NO": 1, "PAN": 1, "HNO3": 1, "NO3": 1, "N2O5": 2}),
            "carbon": total({"HCHO": 1, "CO": 1, "ALD": 2, "MEO2": 1, "C2O3": 2, "CO2": 1, "PAN": 2, "CH3O": 1}),
            "sulfur": total({"SO2": 1, "SO4": 1}),
        },
        name="pollution",
        description=CITATION,
    )
