"""Robertson's three reactions with the third rate equation replaced by the conservation of mass: the classical stiff DAE.

    A' = -k1 A + k3 B C
    B' =  k1 A - k3 B C - k2 B^2
    A + B + C = total

Expected: the solution of `robertson`, to the last digit: the sum of its three rate equations is zero, so the algebraic equation
is what they imply. Index 1, with C explicit in it. B needs an absolute tolerance far below its size (1e-14 early, 1e-20 for the
reference), and C, which starts at 0, is found from the other two.

References:
    H. H. Robertson, The solution of a set of reaction rate equations, in: J. Walsh (ed.), Numerical Analysis: An
        Introduction, 178-182, Academic Press, 1966.
    A. C. Hindmarsh et al., SUNDIALS: Suite of nonlinear and differential/algebraic equation solvers, ACM Transactions on
        Mathematical Software 31, 363-396, 2005: its examples solve this form.
"""

import sciml as sci

CITATION = "H. H. Robertson, The solution of a set of reaction rate equations, in: Numerical Analysis: An Introduction, 178-182, 1966"
T_SPAN = (0.0, 1e11)
SOLVER = "rodas5p"
# The published numbers of the ODE (problem ROBER of the Test Set for IVP Solvers), which are those of the DAE.
REFERENCE = {"A": 0.2083340149701255e-7, "B": 0.8333360770334713e-13, "C": 0.9999999791665050}


def robertson_dae() -> sci.System:
    """Concentrations of the three species, two by their rates and the third by what is left."""
    t = sci.t
    A, B = sci.variables("A B", initial=[1.0, 0.0], nominal=[1.0, 1e-5])
    C = sci.variables("C", guess=0.0)
    k1, k2, k3 = sci.parameters("k1 k2 k3", [0.04, 3e7, 1e4], bounds=(0.0, None), scale="log")
    total = sci.parameters("total", 1.0, bounds=(0.0, None), description="sum of the three concentrations")
    return sci.System(
        [
            sci.eq(A.diff(t), -k1 * A + k3 * B * C),
            sci.eq(B.diff(t), k1 * A - k3 * B * C - k2 * B**2),
            sci.eq(A + B + C, total),
        ],
        observed={"mass": A + B + C},
        name="robertson_dae",
        description=CITATION,
    )
