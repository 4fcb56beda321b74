"""Noise with a memory: a value pulled back to its mean and kicked at random (Ornstein and Uhlenbeck 1930).

    x' = theta (mu - x) + sigma xi,     xi white noise

Expected: a Gaussian process. From x(0) = x0,

    E[x]   = mu + (x0 - mu) exp(-theta t)
    Var[x] = sigma^2 / (2 theta) * (1 - exp(-2 theta t))

so that after a few times 1/theta it is stationary with variance sigma^2 / (2 theta). The noise is additive: Ito and
Stratonovich agree, and methods of strong order 1.5 apply (the automatic choice). Take dt well below 1/theta.

Reference:
    G. E. Uhlenbeck and L. S. Ornstein, On the theory of the Brownian motion, Physical Review 36, 823-841, 1930.
"""

import math

import sciml as sci

CITATION = "G. E. Uhlenbeck and L. S. Ornstein, On the theory of the Brownian motion, Physical Review 36, 823-841, 1930"
T_SPAN = (0.0, 2.0)
SOLVER = "auto"
_THETA, _MU, _SIGMA, _START = 1.0, 1.5, 0.5, 0.5
# The formulas above at the end of T_SPAN.
REFERENCE = {
    "E[x]": _MU + (_START - _MU) * math.exp(-_THETA * T_SPAN[1]),
    "Var[x]": _SIGMA**2 / (2 * _THETA) * (1 - math.exp(-2 * _THETA * T_SPAN[1])),
}


def ornstein_uhlenbeck() -> sci.System:
    """The process x around its mean mu."""
    x = sci.variables("x", initial=_START)
    theta, mu, sigma = sci.parameters("theta mu sigma", [_THETA, _MU, _SIGMA], description=["rate of return", "mean", "strength of the noise"])
    xi = sci.white_noise("xi")
    return sci.System([sci.eq(x.diff(sci.t), theta * (mu - x) + sigma * xi)], name="ornstein_uhlenbeck", description=CITATION)
