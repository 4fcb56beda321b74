"""Orders of convergence: what a finer grid must give, for every scheme and every kind of side.

A solution exp(-t) g(x) of a linear equation makes the semi-discrete problem y' = A y + exp(-t) b a linear system,
(A + 1) z = -b, for the same solution on the grid: sides and inside are tested together and no time step adds to the error.
"""

import functools

import jax
import numpy as np
import pytest
import sympy as sp

import sciml as sci
from sciml import Chebyshev, Cosine, FiniteDifference, FiniteVolume, Fourier, Sine

from .test_problems import on_grid

pytestmark = pytest.mark.skipif(not jax.config.jax_enable_x64, reason="these errors need float64")
t = sci.t
x, p = sci.space("x", 0, 1), sci.space("p", 0, 1, periodic=True)
u, w = sci.fields("u", t, x), sci.fields("w", t, p)
G = sp.exp(sp.sin(4 * x)) / 2
SIDES = {
    "dirichlet": (u, u),
    "neumann": (u.diff(x), u.diff(x)),
    "robin": (u.diff(x) - u, u.diff(x) + 2 * u),
    "mixed": (u, u.diff(x)),
}
FORMS = {"plain": u.diff(x, 2), "flux": sci.D((1 + x) * u.diff(x), x)}
GRIDS = {2: (80, 160), 4: (40, 80), 6: (32, 64), 8: (36, 54)}


@functools.cache
def manufactured(system, field, exact):
    return sci.manufacture(system, {field: exact})


def affine(grid):
    """(A, b) of the rates A y + b at t = 0."""
    rhs = functools.partial(sci.compile(grid).rhs, 0.0)
    n = sum(f.array.declaration.shape[0] for f in grid.grid.fields.values())
    rows = np.asarray(jax.jit(jax.vmap(rhs))(np.eye(n + 1, n)))  # the last row is the zero vector
    return (rows[:-1] - rows[-1]).T, rows[-1]


def error(system, method, field, exact):
    """The largest error of the semi-discrete solution at t = 0, at the points that follow the equation."""
    (c,) = (a for a in field.args if a != t)
    grid = sci.discretize(manufactured(system, field, exact), {c: method})
    wanted = on_grid(grid, field, exact, 0.0)
    matrix, vector = affine(grid)
    free = np.flatnonzero(np.abs(matrix).max(1) > 0)
    assert len(free) >= len(wanted) - 2
    matrix = matrix[np.ix_(free, free)] + np.eye(len(free))
    return np.abs(np.linalg.solve(matrix, -vector[free]) - wanted[free]).max()


def observed(make, pair):
    coarse, fine = (make(n) for n in pair)
    return np.log(coarse / fine) / np.log((pair[1] - 1) / (pair[0] - 1))


@pytest.mark.parametrize("order", [2, 4, 6, 8])
@pytest.mark.parametrize("kind", SIDES)
def test_finite_differences_at_sides(kind, order):
    left, right = SIDES[kind]
    system = sci.System([sci.eq(u.diff(t), FORMS["plain"])], boundary={x.left: sci.eq(left, 0), x.right: sci.eq(right, 0)})
    pair = (44, 60) if order == 8 else GRIDS[order]
    found = observed(lambda n: error(system, FiniteDifference(n, order=order), u, sp.exp(-t) * G), pair)
    assert found > order - 0.2, found


@pytest.mark.parametrize("order", [2, 4, 6, 8])
def test_finite_differences_in_flux_form(order):
    system = sci.System([sci.eq(u.diff(t), FORMS["flux"])], boundary={x.left: sci.eq(u, 0), x.right: sci.eq(u.diff(x) + u, 0)})
    found = observed(lambda n: error(system, FiniteDifference(n, order=order), u, sp.exp(-t) * G), GRIDS[order])
    assert found > order - 0.2, found


@pytest.mark.parametrize("order", [2, 4, 6, 8])
def test_finite_differences_held_at_zero(order):
    exact = sp.exp(-t) * sp.sin(sp.pi * x) * sp.exp(2 * x)
    system = sci.System([sci.eq(u.diff(t), u.diff(x, 2))], boundary={x.left: sci.eq(u, 0), x.right: sci.eq(u, 0)})
    found = observed(lambda n: error(system, FiniteDifference(n, order=order), u, exact), GRIDS[order])
    assert found > order - 0.2, found


@pytest.mark.parametrize("order", [2, 4, 6, 8])
def test_finite_differences_periodic(order):
    exact = sp.exp(-t) * sp.exp(sp.sin(2 * sp.pi * p))
    system = sci.System([sci.eq(w.diff(t), w.diff(p, 2) + w.diff(p))])
    coarse, fine = (error(system, FiniteDifference(n, order=order), w, exact) for n in (48, 96))
    assert abs(np.log2(coarse / fine) - order) < 0.2, np.log2(coarse / fine)


@pytest.mark.parametrize("order", [2, 4, 6, 8])
@pytest.mark.parametrize("grid", ["chebyshev", "stretched"])
def test_finite_differences_of_many_sizes(grid, order):
    system = sci.System([sci.eq(u.diff(t), u.diff(x, 2))], boundary={x.left: sci.eq(u, 0), x.right: sci.eq(u.diff(x), 0)})

    def make(n):
        points = np.linspace(0, 1, n)
        points = points + 0.1 * np.sin(np.pi * points) if grid == "stretched" else grid
        return error(system, FiniteDifference(n, order=order, grid=points), u, sp.exp(-t) * G)

    assert observed(make, GRIDS[order]) > order - 0.2


@pytest.mark.parametrize("order", [1, 2, 3, 4])
@pytest.mark.parametrize("accuracy", [2, 4, 6, 8])
def test_every_derivative(order, accuracy):
    g = sp.exp(sp.sin(2 * sp.pi * p))
    exact = sp.lambdify(p, g.diff(p, order), "numpy")
    start = sp.lambdify(p, g, "numpy")

    def make(n):
        grid = sci.discretize(sci.System([sci.eq(w.diff(t), w.diff(p, order))]), {p: FiniteDifference(n, order=accuracy)})
        points = grid.grid.axes["p"].points
        return np.abs(np.asarray(sci.compile(grid).rhs(0.0, start(points))) - exact(points)).max()

    pair = (64, 96) if accuracy == 8 else (64, 128)
    found = np.log(make(pair[0]) / make(pair[1])) / np.log(pair[1] / pair[0])
    assert abs(found - accuracy) < 0.3, found


@pytest.mark.parametrize("flux, order, nominal", [("upwind", 0.9, 1), ("muscl", 1.8, 2), ("weno5", 4.5, 5), ("central", 1.8, 2)])
def test_finite_volumes(flux, order, nominal):
    g = sp.sin(2 * sp.pi * p)
    rate = sp.lambdify(p, -g.diff(p), "numpy")

    def make(n):
        grid = sci.discretize(sci.System([sci.eq(w.diff(t), -sci.D(w, p))]), {p: FiniteVolume(n, flux=flux)})
        points = grid.grid.axes["p"].points
        return np.abs(np.asarray(sci.compile(grid).rhs(0.0, np.sin(2 * np.pi * points))) - rate(points)).mean()

    found = np.log2(make(64) / make(128))
    assert found > order, found


def test_diffusion_in_volumes():
    system = sci.System([sci.eq(u.diff(t), sci.D((1 + x) * u.diff(x), x))], boundary={x.left: sci.eq(u, 0), x.right: sci.eq(u.diff(x) + u, 0)})
    coarse, fine = (error(system, FiniteVolume(n), u, sp.exp(-t) * G) for n in (40, 80))
    assert np.log2(coarse / fine) > 1.8


@pytest.mark.parametrize("kind", SIDES)
def test_chebyshev(kind):
    left, right = SIDES[kind]
    system = sci.System([sci.eq(u.diff(t), u.diff(x, 2))], boundary={x.left: sci.eq(left, 0), x.right: sci.eq(right, 0)})
    assert error(system, Chebyshev(32), u, sp.exp(-t) * G) < 1e-10


def test_series():
    odd, even = sp.sin(sp.pi * x) + sp.sin(3 * sp.pi * x), sp.exp(sp.cos(sp.pi * x))
    insulated = {x.left: sci.eq(u.diff(x), 0), x.right: sci.eq(u.diff(x), 0)}
    diffusion = sci.System([sci.eq(u.diff(t), u.diff(x, 2))])
    assert error(diffusion, Sine(12), u, sp.exp(-t) * odd) < 1e-10
    assert error(diffusion.replace(boundary=insulated), Cosine(24), u, sp.exp(-t) * even) < 1e-10
    moving = sci.System([sci.eq(w.diff(t), w.diff(p, 2) + w.diff(p))])
    assert error(moving, Fourier(40), w, sp.exp(-t) * sp.exp(sp.sin(2 * sp.pi * p))) < 1e-10
