"""HIRES, the High Irradiance RESponse of plants: eight species, mildly stiff (Schaefer 1975).

Phytochrome Pr (red absorbing) and Pfr (far red absorbing) change into each other under light, bind to receptors X and X',
and act through an enzyme E:

    Pr   y1' = -k1 y1 + k2 y2 + k6 y3 + supply
    Pfr  y2' =  k1 y1 - (k2 + k3) y2
    PrX  y3' = -(k1 + k6) y3 + k2 y4 + k5 y5
    PfrX y4' =  k3 y2 + k1 y3 - (k2 + k4) y4
    PrX' y5' = -(k1 + k5) y5 + k2 (y6 + y7)
    PfrX' y6' = k4 y4 + k1 y5 - k2 y6 + kminus y7 - kplus y6 y8
    PfrX'E y7' = kplus y6 y8 - (k2 + kminus + kstar) y7
    E    y8' = -kplus y6 y8 + (k2 + kminus + kstar) y7

Expected: all that is Pr at first passes down the chain; y7 takes nearly the whole enzyme from t = 5 on and lets go of it
around t = 320, as y6 runs out: the end of the span catches that fall half way. y7 + y8 = 0.0057 throughout (observed as
`enzyme`). Eigenvalues down to -200: an implicit method is best, an explicit one still works.

References:
    E. Schaefer, A new approach to explain the "high irradiance responses" of photomorphogenesis on the basis of
        phytochrome, Journal of Mathematical Biology 2, 41-56, 1975.
    F. Mazzia and C. Magherini, Test Set for Initial Value Problem Solvers, release 2.4, University of Bari, 2008: problem HIRES.
"""

import sciml as sci

CITATION = "E. Schaefer, A new approach to explain the high irradiance responses of photomorphogenesis, J. Math. Biol. 2, 41-56, 1975"
T_SPAN = (0.0, 321.8122)
SOLVER = "kvaerno5"
# The published numbers; Radau IIA at rtol 1e-11 agrees to 2e-11 of each.
REFERENCE = {
    "y1": 0.7371312573325668e-3,
    "y2": 0.1442485726316185e-3,
    "y3": 0.5888729740967575e-4,
    "y4": 0.1175651343283149e-2,
    "y5": 0.2386356198831331e-2,
    "y6": 0.6238968252742796e-2,
    "y7": 0.2849998395185769e-2,
    "y8": 0.2850001604814231e-2,
}


def hires() -> sci.System:
    """Concentrations of the eight species."""
    t = sci.t
    y1, y2, y3, y4, y5, y6, y7, y8 = sci.variables(
        "y1:9",
        initial=[1.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0057],
        nominal=1e-2,
        description=["Pr", "Pfr", "PrX", "PfrX", "PrX'", "PfrX'", "PfrX'E", "E"],
    )
    k1, k2, k3, k4, k5, k6 = sci.parameters("k1:7", [1.71, 0.43, 8.32, 0.69, 0.035, 8.32])
    kplus, kminus, kstar, supply = sci.parameters("kplus kminus kstar supply", [280.0, 0.69, 0.69, 7e-4])
    bound = kplus * y6 * y8
    freed = (k2 + kminus + kstar) * y7
    rates = {
        y1: -k1 * y1 + k2 * y2 + k6 * y3 + supply,
        y2: k1 * y1 - (k2 + k3) * y2,
        y3: -(k1 + k6) * y3 + k2 * y4 + k5 * y5,
        y4: k3 * y2 + k1 * y3 - (k2 + k4) * y4,
        y5: -(k1 + k5) * y5 + k2 * (y6 + y7),
        y6: k4 * y4 + k1 * y5 - k2 * y6 + kminus * y7 - bound,
        y7: bound - freed,
        y8: freed - bound,
    }
    return sci.System([sci.eq(y.diff(t), rate) for y, rate in rates.items()], observed={"enzyme": y7 + y8}, name="hires", description=CITATION)
