"""The Brusselator on a square, struck at t = 1.1 (Prigogine and Lefever 1968).

    u_t = B + u^2 v - (A + 1) u + alpha lap u + f(t, x, y)
    v_t = A u - u^2 v + alpha lap v                          on the unit square, periodic,
    f = 5 where (x - 0.3)^2 + (y - 0.6)^2 <= 0.1^2 and t >= 1.1, else 0
    u(0) = 22 (y (1 - y))^(3/2),  v(0) = 27 (x (1 - x))^(3/2),    alpha = 10, A = 3.4, B = 1

A problem that solvers of stiff equations have been compared with since Hairer and Wanner, with the numbers of the SciML benchmarks.

Expected: diffusion is so fast that u and v are nearly uniform after t = 0.01; from then on the square is one Brusselator,
whose limit cycle the forcing, a disc of 3 percent of the square, shifts a little. Very stiff: the fastest mode is 8 alpha n^2.

The forcing and the start have kinks: how a grid sees the edge of the disc changes the solution by about 1/n^2 of it. The
reference belongs to this grid: second order, points at i/n.

References:
    I. Prigogine and R. Lefever, Symmetry breaking instabilities in dissipative systems II, J. Chem. Phys. 48, 1695-1700, 1968.
    E. Hairer and G. Wanner, Solving Ordinary Differential Equations II, Springer, 1996: section IV.10, problem BRUSS-2D.
"""

import sympy as sp

import sciml as sci

CITATION = "E. Hairer and G. Wanner, Solving Ordinary Differential Equations II, Springer, 1996: section IV.10, problem BRUSS-2D"
T_SPAN = (0.0, 11.5)
METHODS = {"x": sci.FiniteDifference(32), "y": sci.FiniteDifference(32)}
SOLVER = "auto"
# A program of its own on this grid (NumPy, ETDRK4, steps of 0.001, smaller after the start and the stroke); 0.0025 agrees to 6e-8.
REFERENCE = {"u_mean": 3.63496382, "v_mean": 1.84070137, "u_struck": 3.63865947}


def brusselator_2d() -> sci.System:
    """The two concentrations u(t, x, y) and v(t, x, y)."""
    t = sci.t
    x, y = sci.space("x", 0, 1, periodic=True), sci.space("y", 0, 1, periodic=True)
    u, v = sci.fields("u v", t, x, y)
    alpha, A, B = sci.parameters("alpha A B", [10.0, 3.4, 1.0], bounds=(0.0, None))
    disc = (x - sp.Float(0.3)) ** 2 + (y - sp.Float(0.6)) ** 2 <= sp.Float(0.1) ** 2
    forcing = sp.Piecewise((5, t >= 1.1), (0, True)) * sp.Piecewise((1, disc), (0, True))
    return sci.System(
        [
            sci.eq(u.diff(t), B + u**2 * v - (A + 1) * u + alpha * sci.laplacian(u) + forcing),
            sci.eq(v.diff(t), A * u - u**2 * v + alpha * sci.laplacian(v)),
        ],
        initial={u: 22 * (y * (1 - y)) ** sp.Rational(3, 2), v: 27 * (x * (1 - x)) ** sp.Rational(3, 2)},
        observed={"u_mean": sci.integral(u, x, y), "v_mean": sci.integral(v, x, y), "u_struck": sci.at(sci.at(u, x, 0.3125), y, 0.59375)},
        name="brusselator_2d",
        description=CITATION,
    )
