"""Known solutions of PINNacle's problems (Hao et al. 2024), by methods that share nothing with networks.

| problem     | method                                                                              | error        |
|-------------|-------------------------------------------------------------------------------------|--------------|
| Poisson2d-C | harmonic functions with poles in the holes and beyond the sides, least squares       | 1e-8         |
| Heat2d-CG   | linear finite elements, steps of BDF2, extrapolated from two meshes                  | 1e-4         |
| Heat2d-VC   | `sci.discretize` with differences of order 4, a coefficient of our own               | 1e-5         |
| NS2d-C      | Chebyshev collocation of the stream function, Newton's method                       | 1e-5         |
| the others  | closed forms                                                                        |              |

The coefficient of Heat2d-VC is a file in PINNacle's repository. Here it is a random smooth field of the same kind, from a fixed seed.
What takes longer than a few seconds is kept under .cache/.
"""

import functools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import scipy.sparse as ss
import scipy.sparse.linalg
import scipy.spatial
import sympy as sp

CACHE = Path(__file__).parent.parent / ".cache" / "pinn_references"


def kept(name: str, make: Callable[[], dict[str, np.ndarray]]) -> dict[str, np.ndarray]:
    """Arrays from the cache, or made and put there."""
    path = CACHE / f"{name}.npz"
    if not path.exists():
        CACHE.mkdir(parents=True, exist_ok=True)
        np.savez(path, **make())
    with np.load(path) as file:
        return dict(file)


# -- Poisson2d-C ----------------------------------------------------------------------------------------

CENTRES = np.array([complex(a, b) for a in (-0.3, 0.3) for b in (-0.3, 0.3)])


def _harmonic(z: np.ndarray, poles: int = 14, degree: int = 30) -> np.ndarray:
    """Harmonic functions: log and powers 1/(z - c)^k for holes and for their mirror images, polynomials; a column each."""
    images = np.concatenate([np.conj(CENTRES) + 1j * s for s in (-1, 1)] + [-np.conj(CENTRES) + s for s in (-1, 1)])
    images = images[np.maximum(np.abs(images.real), np.abs(images.imag)) < 0.8]
    columns = [np.ones(z.shape)]
    for c in [*CENTRES, *images]:
        columns.append(np.log(np.abs(z - c) / 0.5))
        for k in range(1, poles + 1):
            power = (0.1 / (z - c)) ** k
            columns += [power.real, power.imag]
    for k in range(1, degree + 1):
        power = (z / 0.7) ** k
        columns += [power.real, power.imag]
    return np.stack(columns, axis=1)


@functools.lru_cache
def _poisson_weights() -> tuple[np.ndarray, float]:
    """(weights of the functions, largest error on the boundary at points in between)."""

    def boundary(n: int, shift: float) -> tuple[np.ndarray, np.ndarray]:
        side = 0.5 * np.cos(np.pi * (np.arange(n) + shift) / n)
        sides = np.concatenate([1j**k * (side + 0.5j) for k in range(4)])
        angle = 2 * np.pi * (np.arange(n) + shift) / n
        holes = (CENTRES[:, None] + 0.1 * np.exp(1j * angle)).ravel()
        return np.concatenate([sides, holes]), np.concatenate([np.ones(sides.size), np.zeros(holes.size)])

    z, value = boundary(200, 0.5)
    weights = np.linalg.lstsq(_harmonic(z), value, rcond=1e-14)[0]
    z, value = boundary(333, 0.3)
    return weights, float(np.abs(_harmonic(z) @ weights - value).max())


def poisson_circles(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """u of Poisson2d-C at points. By the maximum principle its error is at most that on the boundary."""
    return _harmonic(np.ravel(np.asarray(x) + 1j * np.asarray(y))) @ _poisson_weights()[0]


# -- NS2d-C -------------------------------------------------------------------------------------------


def chebyshev(n: int) -> tuple[np.ndarray, np.ndarray]:
    """(points from 1 down to 0, matrix of the derivative) on [0, 1]."""
    place = np.cos(np.pi * np.arange(n + 1) / n)
    c = np.where((np.arange(n + 1) == 0) | (np.arange(n + 1) == n), 2.0, 1.0) * (-1.0) ** np.arange(n + 1)
    apart = place[:, None] - place[None] + np.eye(n + 1)
    matrix = np.outer(c, 1 / c) / apart
    return (place + 1) / 2, 2 * (matrix - np.diag(matrix.sum(axis=1)))


def _cavity(n: int, re: float = 100.0) -> dict[str, np.ndarray]:
    """Stream function on a Chebyshev grid: |grad|^4 psi = Re (psi_y lap psi_x - psi_x lap psi_y), with u = psi_y and v = -psi_x."""
    place, d = chebyshev(n)
    one, size = np.eye(n + 1), (n + 1) ** 2
    dx, dy = np.kron(d, one), np.kron(one, d)
    laplacian = np.kron(d @ d, one) + np.kron(one, d @ d)
    lap_x, lap_y, fourth = laplacian @ dx, laplacian @ dy, laplacian @ laplacian
    i, j = (a.ravel() for a in np.meshgrid(np.arange(n + 1), np.arange(n + 1), indexing="ij"))
    edge = (i == 0) | (i == n) | (j == 0) | (j == n)
    # The rows next to a wall are taken for the slope there.
    at_x = ~edge & ((i == 1) | (i == n - 1))
    at_y = ~edge & ~at_x & ((j == 1) | (j == n - 1))
    wall_x = np.where(i == 1, 0, n) * (n + 1) + j
    wall_y = i * (n + 1) + np.where(j == 1, 0, n)
    inner = ~(edge | at_x | at_y)
    fixed, value = np.zeros((size, size)), np.zeros(size)
    fixed[edge] = np.eye(size)[edge]
    fixed[at_x], fixed[at_y] = dx[wall_x[at_x]], dy[wall_y[at_y]]
    value[at_y & (j == 1)] = (4 * place * (1 - place))[i[at_y & (j == 1)]]
    psi = np.zeros(size)
    for _ in range(20):
        u, v_x, rot_x, rot_y = dy @ psi, dx @ psi, lap_x @ psi, lap_y @ psi
        flow = fourth @ psi / re - u * rot_x + v_x * rot_y
        slope = fourth / re - u[:, None] * lap_x - rot_x[:, None] * dy + v_x[:, None] * lap_y + rot_y[:, None] * dx
        left, right = np.where(inner[:, None], slope, fixed), np.where(inner, flow, fixed @ psi - value)
        step = np.linalg.solve(left, right)
        psi = psi - step
        if np.abs(step).max() < 1e-11:
            break
    u, v = (dy @ psi).reshape(n + 1, n + 1), (-dx @ psi).reshape(n + 1, n + 1)
    return {"place": place, "u": u, "v": v}


def cavity(x: np.ndarray, y: np.ndarray, n: int = 40) -> tuple[np.ndarray, np.ndarray]:
    """(u, v) of NS2d-C at points."""
    found = kept(f"cavity_{n}", lambda: _cavity(n))
    return tuple(barycentric(found["place"], found[k], x, y) for k in ("u", "v"))


def barycentric(place: np.ndarray, values: np.ndarray, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Values between the points of a Chebyshev grid (Berrut and Trefethen 2004)."""
    n = place.size - 1
    c = (-1.0) ** np.arange(n + 1) * np.where((np.arange(n + 1) == 0) | (np.arange(n + 1) == n), 0.5, 1.0)

    def rows(at: np.ndarray) -> np.ndarray:
        apart = np.ravel(at)[:, None] - place
        apart = np.where(np.abs(apart) < 1e-14, 1e-14, apart)
        return c / apart / (c / apart).sum(axis=1, keepdims=True)

    return np.einsum("pi,ij,pj->p", rows(x), values, rows(y))


# -- Heat2d-CG ------------------------------------------------------------------------------------------

PIPES = [((a, b), 1.0, 5.0) for a in (-4, 4) for b in (-9, -3, 3, 9)] + [((0, b), 1.0, 5.0) for b in (-6, 0, 6)]
PIPES += [((a, b), 0.4, 1.0) for a in (-3.2, 3.2) for b in (-6, 0, 6)]
TIMES = np.linspace(0, 3, 31)


def mesh(h: float) -> tuple[np.ndarray, np.ndarray]:
    """(points, triangles) of the rectangle without the pipes: circles of points around each pipe, a triangular grid between them."""
    points = [np.zeros((0, 2))]
    for centre, radius, _ in PIPES:
        for layer in range(4):
            r = radius + layer * h * np.sqrt(3) / 2
            count = round(2 * np.pi * radius / h * (1 + 0.5 * layer * h / radius))
            angle = 2 * np.pi * (np.arange(count) + layer / 2) / count
            points.append(np.asarray(centre) + r * np.stack([np.cos(angle), np.sin(angle)], axis=1))
    across, up = round(16 / h), round(24 / (h * np.sqrt(3) / 2))
    rows = [np.stack([np.linspace(-8, 8, across + 1) if k % 2 == 0 else np.r_[-8, -8 + 16 * (np.arange(across) + 0.5) / across, 8],
                      np.full(across + 1 + k % 2, -12 + 24 * k / up)], axis=1) for k in range(up + 1)]  # fmt: skip
    grid = np.concatenate(rows)
    apart = np.min([np.hypot(*(grid - c).T) - r for c, r, _ in PIPES], axis=0)
    points.append(grid[apart > 3.6 * h * np.sqrt(3) / 2])
    every = np.concatenate(points)
    triangles = scipy.spatial.Delaunay(every).simplices
    middle = every[triangles].mean(axis=1)
    inside = np.min([np.hypot(*(middle - c).T) - r for c, r, _ in PIPES], axis=0) > -0.02 * h
    side = every[triangles[:, 1:]] - every[triangles[:, :1]]
    area = np.abs(side[:, 0, 0] * side[:, 1, 1] - side[:, 0, 1] * side[:, 1, 0])
    return every, triangles[inside & (area > 1e-9 * h**2)]


def _assembled(points: np.ndarray, triangles: np.ndarray) -> tuple[Any, Any, np.ndarray]:
    """(mass matrix, stiffness with exchange at the boundary, what flows in)."""
    count, corner = len(points), points[triangles]
    edges = np.roll(corner, -1, axis=1) - np.roll(corner, -2, axis=1)  # opposite to each corner
    area = np.abs(edges[:, 0, 0] * edges[:, 1, 1] - edges[:, 0, 1] * edges[:, 1, 0]) / 2
    rows, columns = np.repeat(triangles, 3, axis=1).ravel(), np.tile(triangles, (1, 3)).ravel()
    stiff = np.einsum("tik,tjk->tij", edges, edges) / (4 * area)[:, None, None]
    heavy = (np.ones((3, 3)) + np.eye(3))[None] * (area / 12)[:, None, None]
    stiffness, mass = (ss.csr_matrix((m.ravel(), (rows, columns)), shape=(count, count)) for m in (stiff, heavy))
    pairs = np.sort(np.concatenate([triangles[:, [0, 1]], triangles[:, [1, 2]], triangles[:, [2, 0]]]), axis=1)
    sides, times = np.unique(pairs, axis=0, return_counts=True)
    sides = sides[times == 1]
    ends = points[sides]
    length, middle = np.hypot(*(ends[:, 1] - ends[:, 0]).T), ends.mean(axis=1)
    outside = np.full(len(sides), 0.1)
    for centre, radius, warm in PIPES:
        outside = np.where(np.hypot(*(middle - centre).T) < 1.02 * radius, warm, outside)
    exchange = ss.csr_matrix(
        (np.outer(length / 6, [2, 1, 1, 2]).ravel(), (sides[:, [0, 0, 1, 1]].ravel(), sides[:, [0, 1, 0, 1]].ravel())), shape=(count, count)
    )
    inflow = np.zeros(count)
    np.add.at(inflow, sides, (length * outside / 2)[:, None])
    return mass, stiffness + exchange, inflow


def _heat_circles(h: float, dt: float) -> dict[str, np.ndarray]:
    """u at `TIMES` on a mesh. Half steps of the implicit rule at the start, BDF2 after them."""
    points, triangles = mesh(h)
    mass, stiffness, inflow = _assembled(points, triangles)
    u, found, per = np.zeros(len(points)), [np.zeros(len(points))], round(TIMES[1] / dt)
    first = scipy.sparse.linalg.splu((mass + dt / 10 * stiffness).tocsc())
    second = scipy.sparse.linalg.splu((1.5 * mass + dt * stiffness).tocsc())
    before = u
    for _ in range(10):
        u = first.solve(mass @ u + dt / 10 * inflow)
    for n in range(2, per * (len(TIMES) - 1) + 1):
        before, u = u, second.solve(mass @ (2 * u - before / 2) + dt * inflow)
        if n % per == 0:
            found.append(u)
    return {"points": points, "triangles": triangles, "u": np.array(found)}


def heat_circles(times: int = 31, across: int = 81, up: int = 121, h: float = 0.1) -> dict[str, np.ndarray]:
    """t, x, y and u of Heat2d-CG on a regular grid, (times, across, up); NaN in pipes. Extrapolated from meshes of h and h/2."""

    def at_grid(h: float) -> np.ndarray:
        found = _heat_circles(h, 0.01)
        x, y = np.meshgrid(np.linspace(-8, 8, across), np.linspace(-12, 12, up), indexing="ij")
        return interpolated(found, x, y)

    def make() -> dict[str, np.ndarray]:
        coarse, fine = at_grid(h), at_grid(h / 2)
        return {"t": TIMES, "x": np.linspace(-8, 8, across), "y": np.linspace(-12, 12, up), "u": fine + (fine - coarse) / 3, "apart": fine - coarse}

    return kept(f"heat_circles_{h:g}_{across}_{up}", make)


def interpolated(found: dict[str, np.ndarray], x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Values on a mesh at other points, (times, *points); NaN in pipes."""
    from matplotlib.tri import LinearTriInterpolator, Triangulation

    grid = Triangulation(*found["points"].T, found["triangles"])
    finder = grid.get_trifinder()
    values = np.stack([LinearTriInterpolator(grid, u, finder)(x, y).filled(np.nan) for u in found["u"]])
    inside = np.min([np.hypot(x - c[0], y - c[1]) - r for c, r, _ in PIPES], axis=0) < 0
    return np.where(inside, np.nan, values)


# -- Heat2d-VC ------------------------------------------------------------------------------------------


def conductivity(x: Any, y: Any, modes: int = 4) -> sp.Expr:
    """A random smooth positive field, the exponential of a cosine series."""
    rng = np.random.default_rng(0)
    series = sum(
        sp.Float(round(rng.normal() / (1 + m**2 + n**2), 4)) * sp.cos(m * sp.pi * x) * sp.cos(n * sp.pi * y)
        for m in range(modes)
        for n in range(modes)
        if m + n
    )
    return sp.exp(2 * series) / 10


def heat_varying(n: int = 81, times: int = 51) -> dict[str, np.ndarray]:
    """t, x, y and u of Heat2d-VC with `conductivity`, on a regular grid, (times, n, n)."""
    import sciml as sci
    from benchmarks import pinn_problems as problems

    def make() -> dict[str, np.ndarray]:
        x, y = sci.space("x", 0, 1), sci.space("y", 0, 1)
        system = problems.heat_varying(conductivity(x, y), x, y)
        made = sci.discretize(system, {x: sci.FiniteDifference(n, order=4), y: sci.FiniteDifference(n, order=4)})
        sol = sci.solve(made, t_span=(0, 5), saveat=times, rtol=1e-6, atol=1e-8)
        u = np.asarray(sol["u"])
        return {"t": np.linspace(0, 5, times), "x": np.linspace(0, 1, n), "y": np.linspace(0, 1, n), "u": u}

    return kept(f"heat_varying_{n}_{times}", make)
