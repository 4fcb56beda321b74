"""Predators and prey (Lotka 1925, Volterra 1926).

    x' = a x - b x y      prey grow, and are eaten
    y' = d x y - c y      predators grow by what they eat, and die

Expected: closed orbits around the equilibrium (c/d, a/b), anticlockwise in the (x, y) plane; near it the period is
2 pi / sqrt(a c). The quantity V = d x - c log x + b y - a log y, observed here, keeps its value. Not stiff: any explicit
method does. Sensible values of all four parameters lie between 0.1 and 10; populations must start above 0.

References:
    A. J. Lotka, Elements of Physical Biology, Williams and Wilkins, 1925.
    V. Volterra, Fluctuations in the abundance of a species considered mathematically, Nature 118, 558-560, 1926.
"""

import sympy as sp

import sciml as sci

CITATION = "V. Volterra, Fluctuations in the abundance of a species considered mathematically, Nature 118, 558-560, 1926"
T_SPAN = (0.0, 10.0)
SOLVER = "auto"
# A Taylor method of order 40 in 40 digits (mpmath); DOP853 at rtol 3e-14 agrees to 1e-13.
REFERENCE = {"x": 1.0263447675750893191, "y": 0.90969107813604161755}


def lotka_volterra() -> sci.System:
    """Prey x and predators y."""
    t = sci.t
    x, y = sci.variables("x y", initial=1.0, description=["prey", "predators"])
    a, b, c, d = sci.parameters(
        "a b c d",
        [1.5, 1.0, 3.0, 1.0],
        bounds=(1e-3, 1e2),
        description=["growth of prey", "predation", "death of predators", "growth of predators per prey"],
    )
    return sci.System(
        [sci.eq(x.diff(t), a * x - b * x * y), sci.eq(y.diff(t), d * x * y - c * y)],
        observed={"V": d * x - c * sp.log(x) + b * y - a * sp.log(y)},
        name="lotka_volterra",
        description=CITATION,
    )
