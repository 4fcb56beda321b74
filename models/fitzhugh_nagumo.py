"""A nerve that fires, in two variables (FitzHugh 1961, Nagumo, Arimoto and Yoshizawa 1962).

    v' = v - v^3/3 - w + I       membrane potential: fast, excitable
    w' = eps (v + a - b w)       recovery: slow

Expected: with a = 0.7, b = 0.8, eps = 0.08 the nerve is at rest (v = -1.20) for I = 0, where a kick to v above about -0.62 gives
one spike; it fires again and again for I between about 0.33 and 1.42, with a period of 39.5 at I = 0.5, the value here. Not
stiff at eps = 0.08, an explicit method does; an implicit one for eps far smaller.

References:
    R. FitzHugh, Impulses and physiological states in theoretical models of nerve membrane, Biophysical Journal 1, 445-466, 1961.
    J. Nagumo, S. Arimoto and S. Yoshizawa, An active pulse transmission line simulating nerve axon, Proceedings of the
        IRE 50, 2061-2070, 1962.
"""

import sciml as sci

CITATION = "R. FitzHugh, Impulses and physiological states in theoretical models of nerve membrane, Biophysical Journal 1, 445-466, 1961"
T_SPAN = (0.0, 50.0)
SOLVER = "auto"
# A Taylor method of order 40 in 40 digits (mpmath); DOP853 at rtol 3e-14 agrees to 1e-14.
REFERENCE = {"v": -1.3910321233974590521, "w": -0.049080049549013299417}


def fitzhugh_nagumo() -> sci.System:
    """Potential v and recovery w under a constant current."""
    t = sci.t
    v, w = sci.variables("v w", initial=[-1.0, 1.0], description=["membrane potential", "recovery"])
    a, b, eps = sci.parameters("a b eps", [0.7, 0.8, 0.08], bounds=(0.0, 2.0))
    current = sci.parameters("I", 0.5, description="current into the nerve")
    return sci.System(
        [sci.eq(v.diff(t), v - v**3 / 3 - w + current), sci.eq(w.diff(t), eps * (v + a - b * w))],
        name="fitzhugh_nagumo",
        description=CITATION,
    )
