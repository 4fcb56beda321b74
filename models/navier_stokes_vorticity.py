"""Flow in the plane: two layers that roll up (Navier 1822, Stokes 1845; Brown and Minion 1995).

    w_t + a w_x + b w_y = nu lap w,    lap psi = -w,    a = psi_y,  b = -psi_x    on a square of 2 pi, periodic

w is the vorticity, psi the stream function, a field without a rate of its own: its equation holds at every time. The velocity (a, b)
has no divergence, whatever psi. psi has a constant free, which nothing depends on; its mean is zero.

with w(0) = 4 exp(-8 (1 - sin y)) - 4 exp(-8 (1 + sin y)) + cos(x) / 10 and nu = 0.01.

Expected: the flow goes to the left in the middle of the square, pi/2 < y < 3 pi/2, and to the right outside. The two layers between are unstable
and each rolls up to one vortex, around (pi, pi/2) and (0, 3 pi/2). The mean of w is kept; the energy, the integral of (a^2 + b^2) / 2, decays as
-nu times the integral of w^2, and the integral of w^2 falls as well: no vorticity is made in the plane.

Reference:
    D. L. Brown and M. L. Minion, Performance of under-resolved two-dimensional incompressible flow simulations, J. Comput. Phys. 122, 165-183, 1995.
"""

import sympy as sp

import sciml as sci

CITATION = "D. L. Brown and M. L. Minion, Performance of under-resolved two-dimensional incompressible flow simulations, J. Comput. Phys. 122, 1995"
T_SPAN = (0.0, 6.0)
METHODS = {"x": sci.Fourier(96), "y": sci.Fourier(96)}
SOLVER = "auto"
# A program of its own (NumPy, ETDRK4, 192 x 192 points, steps of 0.02); with 128 x 128 points it agrees to 3e-8.
REFERENCE = {"energy": 41.040555012, "enstrophy": 45.042403956, "vortex": 0.928806}


def navier_stokes_vorticity() -> sci.System:
    """The vorticity w(t, x, y) and the stream function psi(t, x, y)."""
    t = sci.t
    end = float(2 * sp.pi)
    x, y = sci.space("x", 0, end, periodic=True), sci.space("y", 0, end, periodic=True)
    w, psi = sci.fields("w psi", t, x, y, description=["vorticity", "stream function"])
    nu = sci.parameters("nu", 0.01, bounds=(0.0, None), scale="log", description="viscosity")
    a, b = psi.diff(y), -psi.diff(x)
    layers = 4 * sp.exp(-8 * (1 - sp.sin(y))) - 4 * sp.exp(-8 * (1 + sp.sin(y)))
    return sci.System(
        [sci.eq(w.diff(t) + a * w.diff(x) + b * w.diff(y), nu * sci.laplacian(w)), sci.eq(sci.laplacian(psi), -w)],
        initial={w: layers + sp.cos(x) / 10},
        observed={
            "energy": sci.integral(a**2 + b**2, x, y) / 2,
            "enstrophy": sci.integral(w**2, x, y) / 2,
            "vortex": sci.at(sci.at(w, x, float(sp.pi)), y, float(sp.pi / 2)),
        },
        name="navier_stokes_vorticity",
        description=CITATION,
    )
