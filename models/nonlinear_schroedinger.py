"""Light in a fibre, waves on deep water: the focusing nonlinear Schroedinger equation (Zakharov and Shabat 1972).

    i psi_t + psi_xx + 2 |psi|^2 psi = 0  on (-8 pi, 8 pi), periodic
    psi(0, x) = sech(x) exp(i v x / 2),    v = 1

Expected: a soliton, psi = sech(x - v t) exp(i (v x / 2 + (1 - v^2 / 4) t)): the envelope moves to the right with the speed v and keeps its shape.
The integral of |psi|^2 (mass), that of Im(conj(psi) psi_x) (momentum) and that of |psi_x|^2 - |psi|^4 (energy) are kept.

Reference:
    V. E. Zakharov and A. B. Shabat, Exact theory of two-dimensional self-focusing, Sov. Phys. JETP 34, 62-69, 1972.
"""

import math

import sympy as sp

import sciml as sci

CITATION = "V. E. Zakharov and A. B. Shabat, Exact theory of two-dimensional self-focusing, Sov. Phys. JETP 34, 62-69, 1972"
T_SPAN = (0.0, 5 * math.pi / 8)  # after that the top is on a point of the grid
METHODS = {"x": sci.Fourier(512)}
SOLVER = "auto"
# The exact solution at the place of the top: exp(i (1 + v^2 / 4) t) with v = 1; mass 2; energy v^2 / 2 - 2/3.
REFERENCE = {"top_re": math.cos(25 * math.pi / 32), "top_im": math.sin(25 * math.pi / 32), "mass": 2.0, "energy": -1 / 6}


def nonlinear_schroedinger() -> sci.System:
    """The complex envelope psi(t, x)."""
    t = sci.t
    end = float(8 * sp.pi)
    x = sci.space("x", -end, end, periodic=True)
    psi = sci.fields("psi", t, x, real=False, description="envelope")
    return sci.System(
        [sci.eq(sp.I * psi.diff(t) + psi.diff(x, 2) + 2 * psi * sp.conjugate(psi) * psi, 0)],
        initial={psi: sp.sech(x) * sp.exp(sp.I * x / 2)},
        observed={
            "top_re": sci.at(sp.re(psi), x, 5 * math.pi / 8),
            "top_im": sci.at(sp.im(psi), x, 5 * math.pi / 8),
            "mass": sci.integral(sp.Abs(psi) ** 2, x),
            "energy": sci.integral(sp.Abs(psi.diff(x)) ** 2 - sp.Abs(psi) ** 4, x),
        },
        name="nonlinear_schroedinger",
        description=CITATION,
    )
