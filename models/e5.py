"""E5: four species of a pyrolysis, concentrations down to 1e-20, rate constants from 1e-10 to 1e9 (Enright, Hull and Lindberg 1975).

    y1' = -A y1 - B y1 y3
    y2' =  A y1             - M C y2 y3
    y3' =  A y1 - B y1 y3   - M C y2 y3 + C y4
    y4' =         B y1 y3               - C y4

Expected: y1 lasts until t = 1e4; y2, y3 and y4 rise to about 1.4e-10 at t = 1e3 and then fall like 1/t over many decades, with
y4 far behind. y2 = y3 + y4 throughout (observed as `defect`, which is 0). An absolute tolerance has to respect the size of
y3 and y4: `nominal` says it, and steps that ignore it fail or take negative concentrations for zero.
The Test Set integrates to 1e13, where y2 = y3 = 8.86123352129e-23 and the others have died out (it gives 8.868e-23 and 8.855e-23
and has a defect of its own). In these four equations double precision does not get there: rounding leaves a defect of up to
some 1e-21, which stays. So the reference stands at 1e7, where that is 3e-7 of y2.

References:
    W. H. Enright, T. E. Hull and B. Lindberg, Comparing numerical methods for stiff systems of ODEs, BIT 15, 10-48, 1975.
    E. Hairer and G. Wanner, Solving Ordinary Differential Equations II, 2nd ed., Springer, 1996: chapter IV.10.
    F. Mazzia and C. Magherini, Test Set for Initial Value Problem Solvers, release 2.4, University of Bari, 2008: problem E5.
"""

import sciml as sci

CITATION = "W. H. Enright, T. E. Hull and B. Lindberg, Comparing numerical methods for stiff systems of ODEs, BIT 15, 10-48, 1975"
T_SPAN = (0.0, 1e7)
SOLVER = "rodas5p"
# Radau IIA at rtol 1e-13 with y3 = y2 - y4 put in, where rounding does no harm; at rtol 1e-11 it agrees to 7e-13 of each.
REFERENCE = {"y1": 4.71503336304e-10, "y2": 1.818889586081e-14, "y3": 1.818881237679e-14, "y4": 8.34840202963e-20}


def e5() -> sci.System:
    """Concentrations of the four species."""
    t = sci.t
    y1, y2, y3, y4 = sci.variables("y1:5", initial=[1.76e-3, 0.0, 0.0, 0.0], nominal=[1e-3, 1e-10, 1e-11, 1e-10])
    A, B, C, M = sci.parameters("A B C M", [7.89e-10, 1.1e7, 1.13e3, 1e6], bounds=(0.0, None), scale="log")
    first, second, third, fourth = A * y1, B * y1 * y3, M * C * y2 * y3, C * y4
    return sci.System(
        [
            sci.eq(y1.diff(t), -first - second),
            sci.eq(y2.diff(t), first - third),
            sci.eq(y3.diff(t), first - second - third + fourth),
            sci.eq(y4.diff(t), second - fourth),
        ],
        observed={"defect": y2 - y3 - y4},
        name="e5",
        description=CITATION,
    )
