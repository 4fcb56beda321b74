"""The Oregonator: the oscillating reaction of Belousov and Zhabotinskii in three species (Field and Noyes 1974).

    y1' = s (y1 + y2 - y1 y2 - q y1^2)      HBrO2
    y2' = (y3 - y2 - y1 y2) / s             Br-
    y3' = w (y1 - y3)                       Ce(IV)

Expected: relaxation oscillations of period about 303 with s = 77.27, w = 0.161, q = 8.375e-6; bursts in which y1 and y3
run over five decades within a time of order 1, and long quiet stretches with y1 close to 1. Stiff in both: an implicit
method, with an absolute tolerance that respects y1 = 1. Small changes of q shift the bursts in time.

References:
    R. J. Field and R. M. Noyes, Oscillations in chemical systems IV: limit cycle behavior in a model of a real chemical
        reaction, Journal of Chemical Physics 60, 1877-1884, 1974.
    F. Mazzia and C. Magherini, Test Set for Initial Value Problem Solvers, release 2.4, University of Bari, 2008: problem OREGO.
"""

import sciml as sci

CITATION = "R. J. Field and R. M. Noyes, Oscillations in chemical systems IV, Journal of Chemical Physics 60, 1877-1884, 1974"
T_SPAN = (0.0, 360.0)
SOLVER = "kvaerno5"
# The published numbers; Radau IIA at rtol 1e-11 agrees to 3e-15, 4e-15 and 2e-15 of each.
REFERENCE = {"y1": 1.000814870318523, "y2": 1228.178521549917, "y3": 132.0554942846706}


def orego() -> sci.System:
    """Scaled concentrations of the three species."""
    t = sci.t
    y1, y2, y3 = sci.variables("y1 y2 y3", initial=[1.0, 2.0, 3.0], description=["HBrO2", "Br-", "Ce(IV)"])
    s, w, q = sci.parameters("s w q", [77.27, 0.161, 8.375e-6], bounds=(0.0, None), scale="log")
    return sci.System(
        [
            sci.eq(y1.diff(t), s * (y1 + y2 - y1 * y2 - q * y1**2)),
            sci.eq(y2.diff(t), (y3 - y2 - y1 * y2) / s),
            sci.eq(y3.diff(t), w * (y1 - y3)),
        ],
        name="orego",
        description=CITATION,
    )
