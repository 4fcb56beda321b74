"""Heat in a rod whose ends are kept cold (Fourier 1822).

    u_t = k u_xx  on (0, 1),    u = 0 at both ends,    u(0, x) = sin(pi x) + sin(3 pi x) / 2

Expected: each sine decays on its own, exp(-k pi^2 t) and exp(-9 k pi^2 t): the fine shape goes first, and the rest
halves every log(2) / (k pi^2) = 0.7. The largest value never grows. Stiff: the fastest mode of n points is n^2 times as
fast as the slowest, and an explicit method must follow it; solved mode by mode the step does not matter.

Reference:
    J. Fourier, Theorie analytique de la chaleur, Firmin Didot, Paris, 1822: chapter III.
"""

import sympy as sp

import sciml as sci

CITATION = "J. Fourier, Theorie analytique de la chaleur, 1822; H. S. Carslaw and J. C. Jaeger, Conduction of Heat in Solids, Oxford, 1959"
T_SPAN = (0.0, 0.5)
METHODS = {"x": sci.Sine(32)}
SOLVER = "auto"
# The exact solution: a = exp(-pi^2 / 20), b = exp(-9 pi^2 / 20) / 2; a - b, and (a^2 + b^2) / 2.
REFERENCE = {"middle": 0.60460784785474397, "energy": 0.18637126652168580}


def heat() -> sci.System:
    """The temperature u(t, x)."""
    t = sci.t
    x = sci.space("x", 0, 1)
    u = sci.fields("u", t, x, description="temperature")
    k = sci.parameters("k", 0.1, bounds=(0.0, None), description="diffusivity")
    return sci.System(
        [sci.eq(u.diff(t), k * u.diff(x, 2))],
        initial={u: sp.sin(sp.pi * x) + sp.sin(3 * sp.pi * x) / 2},
        boundary={x.left: sci.eq(u, 0), x.right: sci.eq(u, 0)},
        observed={"middle": sci.at(u, x, 0.5), "energy": sci.integral(u**2, x)},
        name="heat",
        description=CITATION,
    )
