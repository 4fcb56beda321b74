"""A triode circuit that oscillates by itself (van der Pol 1926).

    x'' = mu (1 - x^2) x' - x

Expected: small swings grow and large ones shrink, to a limit cycle of amplitude close to 2. With mu below 1 it is nearly a
sine of period 2 pi. With mu = 1000, the value here, it relaxes: x creeps for about 807 time units, then jumps to the other
sign within a time of order 1/mu; the period is about (3 - 2 log 2) mu. Very stiff while it creeps: use an implicit
method. For mu < 10 an explicit one is faster.

The test set's form, eps z'' = (1 - z^2) z' - z with eps = 1e-6 up to s = 2, is this one with t = mu s and z' = mu x'.

References:
    B. van der Pol, On relaxation-oscillations, Philosophical Magazine Ser. 7, 2, 978-992, 1926.
    F. Mazzia and C. Magherini, Test Set for Initial Value Problem Solvers, release 2.4, University of Bari, 2008: problem VDPOL.
"""

import sciml as sci

CITATION = "B. van der Pol, On relaxation-oscillations, Philosophical Magazine Ser. 7, 2, 978-992, 1926"
T_SPAN = (0.0, 2000.0)
SOLVER = "kvaerno5"
# The published numbers, z(2) and z'(2)/mu; Radau IIA at rtol 1e-11 agrees to 4e-14.
REFERENCE = {"x": 1.706167732170483, "x'": -0.8928097010247975e-3}


def van_der_pol() -> sci.System:
    """The oscillator in its original time, strongly nonlinear."""
    t = sci.t
    x = sci.variables("x", initial=2.0)
    mu = sci.parameters("mu", 1000.0, bounds=(0.0, 1e4), scale="log", description="strength of the nonlinear damping")
    return sci.System([sci.eq(x.diff(t, 2), mu * (1 - x**2) * x.diff(t) - x)], initial={x.diff(t): 0.0}, name="van_der_pol", description=CITATION)
