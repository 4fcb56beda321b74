"""Three reactions of very different speed: the classical stiff problem (Robertson 1966).

    A -> B           k1 = 0.04
    B + B -> B + C   k2 = 3e7
    B + C -> A + C   k3 = 1e4

    A' = -k1 A + k3 B C
    B' =  k1 A - k3 B C - k2 B^2
    C' =  k2 B^2

Expected: B rises within 0.005 to about 3.65e-5 and then is slaved to A and C, while A is slowly spent, over ten decades of
time. A + B + C = 1 throughout (observed as `mass`). Very stiff: an implicit method, and an absolute tolerance for B far
below its size (1e-14 early, 1e-20 for the reference), otherwise B becomes negative and the solution runs away.

References:
    H. H. Robertson, The solution of a set of reaction rate equations, in: J. Walsh (ed.), Numerical Analysis: An
        Introduction, 178-182, Academic Press, 1966.
    F. Mazzia and C. Magherini, Test Set for Initial Value Problem Solvers, release 2.4, University of Bari, 2008: problem ROBER.
"""

import sciml as sci

CITATION = "H. H. Robertson, The solution of a set of reaction rate equations, in: Numerical Analysis: An Introduction, 178-182, 1966"
T_SPAN = (0.0, 1e11)
SOLVER = "kvaerno5"
# The published numbers; Radau IIA at rtol 1e-11, atol 1e-22 agrees to 8e-11 of each.
REFERENCE = {"A": 0.2083340149701255e-7, "B": 0.8333360770334713e-13, "C": 0.9999999791665050}


def robertson() -> sci.System:
    """Concentrations of the three species."""
    t = sci.t
    A, B, C = sci.variables("A B C", initial=[1.0, 0.0, 0.0], nominal=[1.0, 1e-5, 1.0])
    k1, k2, k3 = sci.parameters("k1 k2 k3", [0.04, 3e7, 1e4], bounds=(0.0, None), scale="log")
    spent, doubled, returned = k1 * A, k2 * B**2, k3 * B * C
    return sci.System(
        [
            sci.eq(A.diff(t), returned - spent),
            sci.eq(B.diff(t), spent - returned - doubled),
            sci.eq(C.diff(t), doubled),
        ],
        observed={"mass": A + B + C},
        name="robertson",
        description=CITATION,
    )
