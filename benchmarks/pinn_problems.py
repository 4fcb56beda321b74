"""The problems of the pinn benchmarks: each a System in a few lines, and its known solution."""

import functools
import inspect
import operator
from collections.abc import Callable
from typing import Any

import numpy as np
import sympy as sp

import sciml as sci

t = sci.t


def burgers() -> sci.System:
    x = sci.space("x", -1, 1)
    u = sci.fields("u", t, x, initial=-sp.sin(sp.pi * x))
    equation = sci.eq(u.diff(t), 0.01 / sp.pi * u.diff(x, 2) - u * u.diff(x))
    return sci.System([equation], boundary={x.left: sci.eq(u, 0), x.right: sci.eq(u, 0)}, name="burgers")


def allen_cahn() -> sci.System:
    x = sci.space("x", -1, 1, periodic=True)
    u = sci.fields("u", t, x, initial=x**2 * sp.cos(sp.pi * x))
    return sci.System([sci.eq(u.diff(t), 1e-4 * u.diff(x, 2) + 5 * u - 5 * u**3)], name="allen_cahn")


def korteweg_de_vries() -> sci.System:
    x = sci.space("x", -1, 1, periodic=True)
    u = sci.fields("u", t, x, initial=sp.cos(sp.pi * x))
    return sci.System([sci.eq(u.diff(t), -u * u.diff(x) - 0.022**2 * u.diff(x, 3))], name="kdv")


def wave() -> sci.System:
    x = sci.space("x", 0, 1)
    u = sci.fields("u", t, x)
    start = {u: sp.sin(sp.pi * x) + sp.sin(4 * sp.pi * x) / 2, u.diff(t): 0}
    return sci.System([sci.eq(u.diff(t, 2), 4 * u.diff(x, 2))], initial=start, boundary={x.left: sci.eq(u, 0), x.right: sci.eq(u, 0)}, name="wave")


def cavity() -> sci.System:
    x, y = sci.space("x", 0, 1), sci.space("y", 0, 1)
    u, v, p = sci.fields("u v p", x, y)
    inertia = [u * f.diff(x) + v * f.diff(y) for f in (u, v)]
    equations = [
        sci.eq(inertia[0], -p.diff(x) + sci.laplacian(u) / 100),
        sci.eq(inertia[1], -p.diff(y) + sci.laplacian(v) / 100),
        sci.eq(u.diff(x) + v.diff(y), 0),
    ]
    still = [sci.eq(u, 0), sci.eq(v, 0)]
    sides = {x.left: still, x.right: still, y.left: still, y.right: [sci.eq(u, 4 * x * (1 - x)), sci.eq(v, 0)]}
    return sci.System(equations, boundary=sides, name="cavity")


def poisson_circles() -> sci.System:
    """PINNacle's Poisson2d-C."""
    x, y = sci.space("x", -0.5, 0.5), sci.space("y", -0.5, 0.5)
    u = sci.fields("u", x, y)
    holes = [sci.ball((x, y), center=(a, b), radius=0.1) for a in (-0.3, 0.3) for b in (-0.3, 0.3)]
    square = sci.box((x, y), (-0.5, -0.5), (0.5, 0.5))
    boundary = {square.surface: sci.eq(u, 1)} | {h.surface: sci.eq(u, 0) for h in holes}
    domain = functools.reduce(operator.sub, holes, square)
    return sci.System([sci.eq(sci.laplacian(u), 0)], boundary=boundary, domain=domain, name="poisson_circles")


def heat_circles() -> sci.System:
    """PINNacle's Heat2d-CG: exchange of heat with seventeen pipes and the outside."""
    x, y = sci.space("x", -8, 8), sci.space("y", -12, 12)
    u = sci.fields("u", t, x, y, initial=0)
    large = [(a, b) for a in (-4, 4) for b in (-9, -3, 3, 9)] + [(0, -6), (0, 0), (0, 6)]
    small = [(a, b) for a in (-3.2, 3.2) for b in (-6, 0, 6)]
    pipes = [(sci.ball((x, y), center=c, radius=1), 5) for c in large] + [(sci.ball((x, y), center=c, radius=0.4), 1) for c in small]
    flow = sci.normal_derivative(u)
    boundary = {h.surface: sci.eq(flow, warm - u) for h, warm in pipes} | {e: sci.eq(flow, 0.1 - u) for e in (x.left, x.right, y.left, y.right)}
    domain = functools.reduce(operator.sub, [h for h, _ in pipes], sci.box((x, y), (-8, -12), (8, 12)))
    return sci.System([sci.eq(u.diff(t), sci.laplacian(u))], boundary=boundary, domain=domain, name="heat_circles")


def heat_varying(conductivity: sp.Expr, x: Any, y: Any) -> sci.System:
    """PINNacle's Heat2d-VC, with a given coefficient."""
    u = sci.fields("u", t, x, y, initial=0)
    source = 200 * sp.sin(sp.pi * x) * sp.sin(5 * sp.pi * y) * sp.sin(sp.pi * t)
    boundary = {side: sci.eq(u, 0) for side in (x.left, x.right, y.left, y.right)}
    return sci.System([sci.eq(u.diff(t), conductivity * sci.laplacian(u) + source)], boundary=boundary, name="heat_varying")


def poisson_nd(d: int = 5) -> sci.System:
    """PINNacle's PNd; its solution is the sum of sin(pi x_i/2)."""
    X = [sci.space(f"x{i}", 0, 1) for i in range(d)]
    u = sci.fields("u", *X)
    exact = sum(sp.sin(sp.pi * x / 2) for x in X)
    boundary = {side: sci.eq(u, exact) for x in X for side in (x.left, x.right)}
    return sci.System([sci.eq(sci.laplacian(u), -(sp.pi**2) / 4 * exact)], boundary=boundary, name="poisson_nd")


def heat_nd(d: int = 5) -> sci.System:
    """PINNacle's HNd; its solution is exp(|x|^2/2 + t)."""
    X = [sci.space(f"x{i}", -1, 1) for i in range(d)]
    u = sci.fields("u", t, *X)
    square = sum(x**2 for x in X)
    exact = sp.exp(square / 2 + t)
    ball = sci.ball(tuple(X), center=(0,) * d, radius=1)
    equation = sci.eq(u.diff(t), sci.laplacian(u) / d - square * exact / d)
    boundary = {ball.surface: sci.eq(sci.normal_derivative(u), exact)}
    return sci.System([equation], initial={u: exact.subs(t, 0)}, boundary=boundary, domain=ball, name="heat_nd")


def poisson_inverse() -> tuple[sci.System, Any]:
    """PINNacle's PInv: a(x, y) from noisy values of u; its values at the sides are known."""
    x, y = sci.space("x", 0, 1), sci.space("y", 0, 1)
    u, a = sci.fields("u a", x, y)
    known = 1 / (1 + x**2 + y**2 + (x - 1) ** 2 + (y - 1) ** 2)
    solution = sp.sin(sp.pi * x) * sp.sin(sp.pi * y)
    source = sum((known * solution.diff(c)).diff(c) for c in (x, y))
    equation = sci.eq(sci.div([a * c for c in sci.grad(u)]), source)
    boundary = {side: sci.eq(a, known) for side in (x.left, x.right, y.left, y.right)}
    return sci.System([equation], boundary=boundary, name="poisson_inverse"), (u, a, solution, known)


def lines_of(problem: Callable[..., Any]) -> int:
    """Lines of SymPy in a problem: all of its body but the last `return`, which counts once."""
    return len([line for line in inspect.getsource(problem).splitlines()[1:] if line.strip()])


# -- known solutions ----------------------------------------------------------------------------------


def grid_solution(system: sci.System, times: int = 101, n: int = 512) -> Any:
    """A periodic System on a fine grid in float64, by exponential steps.

    Allen-Cahn starts with a kink, whose modes fall off slowly: 512 of them leave an error of 9e-5, 4096 one below 6e-7.
    """
    (x,) = [c for c in system.coordinates.values() if c.name == "x"]
    made = sci.discretize(system, {x: sci.Fourier(n)})
    return sci.solve(made, t_span=(0, 1), saveat=times, solver="etdrk4", dt=1e-4)


def burgers_exact(times: np.ndarray, places: np.ndarray, nu: float = 0.01 / np.pi) -> np.ndarray:
    """Burgers' equation from -sin(pi x), by the transform of Cole and Hopf and Gauss-Hermite quadrature (Basdevant et al. 1986)."""
    nodes, weights = np.polynomial.hermite.hermgauss(200)
    found = np.zeros((len(times), len(places)))
    for i, time in enumerate(times):
        if time == 0:
            found[i] = -np.sin(np.pi * places)
            continue
        shifted = places[:, None] - np.sqrt(4 * nu * time) * nodes
        exponent = -np.cos(np.pi * shifted) / (2 * np.pi * nu)
        kernel = weights * np.exp(exponent - exponent.max(axis=1, keepdims=True))
        found[i] = -(kernel * np.sin(np.pi * shifted)).sum(1) / kernel.sum(1)
    return found
