"""A damped oscillator whose stiffness and damping both flicker: two noises that do not commute.

    x'' + 2 zeta omega x' + omega^2 x = s1 x xi1 + s2 x' xi2,     xi1, xi2 independent white noises, in Ito's sense

As a linear SDE dX = A X dt + B1 X dW1 + B2 X dW2 with X = (x, x') the two noise matrices have B1 B2 != B2 B1, so the noise is
"general": no method without iterated integrals has a strong order above 1/2, and this is the smallest model to see that.

Expected: the mean follows the oscillator without noise, m' = A m, and the second moments a linear ODE as well,

    E[x^2]'   = 2 E[x x']
    E[x x']'  = E[x'^2] - omega^2 E[x^2] - 2 zeta omega E[x x']
    E[x'^2]'  = -2 omega^2 E[x x'] - 4 zeta omega E[x'^2] + s1^2 E[x^2] + s2^2 E[x'^2]

Stable in mean square as long as s1^2 / omega^2 + s2^2 < 4 zeta omega. Not stiff.

Reference:
    L. Arnold, Stochastic Differential Equations: Theory and Applications, Wiley, 1974: chapters 8 and 11.
"""

import sciml as sci

CITATION = "L. Arnold, Stochastic Differential Equations: Theory and Applications, Wiley, 1974"
T_SPAN = (0.0, 5.0)
SOLVER = "auto"
# Matrix exponentials of the two linear ODEs above in 40 digits (mpmath); integrating the Lyapunov form
# P' = A P + P A^T + B1 P B1^T + B2 P B2^T with DOP853 agrees.
REFERENCE = {
    "E[x]": 0.098550667618585964406,
    "E[x']": 0.58869679350110475267,
    "E[x**2]": 0.097054466196570533458,
    "E[x*x']": 0.060888809489002113598,
    "E[x'**2]": 0.4026901840692885661,
}


def stochastic_oscillator() -> sci.System:
    """The oscillator, let go at x = 1."""
    t = sci.t
    x = sci.variables("x", initial=1.0)
    omega, zeta = sci.parameters("omega zeta", [1.0, 0.1], description=["frequency", "damping ratio"])
    s1, s2 = sci.parameters("s1 s2", [0.3, 0.2], description=["flicker of the stiffness", "flicker of the damping"])
    xi1, xi2 = sci.white_noise("xi1 xi2")
    return sci.System(
        [sci.eq(x.diff(t, 2) + 2 * zeta * omega * x.diff(t) + omega**2 * x, s1 * x * xi1 + s2 * x.diff(t) * xi2)],
        initial={x.diff(t): 0.0},
        name="stochastic_oscillator",
        description=CITATION,
    )
