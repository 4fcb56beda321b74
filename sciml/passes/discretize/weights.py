"""Weights of finite differences on any points, and the windows of points that give them.

Fornberg, Generation of finite difference formulas on arbitrarily spaced grids, Math. Comp. 51 (1988) 699.
"""

import numpy as np


def fornberg(x: float, points: np.ndarray, order: int) -> np.ndarray:
    """Weights w with sum w_j f(points_j) = the derivative of that order at x, exact for polynomials of degree len(points)-1."""
    n = len(points)
    scale = np.max(np.abs(points - x)) or 1.0
    p = (np.asarray(points, float) - x) / scale  # of size 1, so that high orders neither overflow nor lose digits
    c = np.zeros((n, order + 1))
    c[0, 0] = 1.0
    before, old = 1.0, p[0]
    for i in range(1, n):
        product, here = 1.0, p[i]
        for j in range(i):
            gap = p[i] - p[j]
            product *= gap
            if j == i - 1:
                for k in range(min(i, order), 0, -1):
                    c[i, k] = before * (k * c[i - 1, k - 1] - old * c[i - 1, k]) / product
                c[i, 0] = -before * old * c[i - 1, 0] / product
            for k in range(min(i, order), 0, -1):
                c[j, k] = (here * c[j, k] - k * c[j, k - 1]) / gap
            c[j, 0] = here * c[j, 0] / gap
        before, old = product, here
    return c[:, order] / scale**order


def width(order: int, accuracy: int, centred: bool) -> int:
    """How many points a derivative of that order needs: a centred window on equal steps has one order more than its points say."""
    return 2 * ((order + 1) // 2) - 1 + accuracy if centred else order + accuracy


def matrix_rows(targets: np.ndarray, points: np.ndarray, order: int, starts: np.ndarray, size: int) -> np.ndarray:
    """For each target the weights over `size` points from its start on, (targets, size)."""
    return np.stack([fornberg(x, points[s : s + size], order) for x, s in zip(targets, starts, strict=True)])


def chebyshev_points(n: int, low: float, high: float) -> np.ndarray:
    """Gauss-Lobatto points, increasing."""
    return (low + high) / 2 - (high - low) / 2 * np.cos(np.pi * np.arange(n) / (n - 1))


def chebyshev_matrix(n: int, low: float, high: float, order: int) -> np.ndarray:
    """Differentiation on Gauss-Lobatto points.

    Off-diagonal entries by Welfert's recursion (SIAM J. Numer. Anal. 34 (1997) 1640), diagonals by negative sums, which
    keeps constants exactly in the kernel (Baltensperger and Trummer, SIAM J. Sci. Comput. 24 (2003) 1465).
    """
    k = np.arange(n)
    theta = np.pi * k / (n - 1)
    # x_i - x_j by a product of sines: no cancellation between neighbours
    gaps = 2 * np.sin((theta[:, None] + theta[None, :]) / 2) * np.sin((theta[:, None] - theta[None, :]) / 2)
    np.fill_diagonal(gaps, 1.0)
    c = np.where((k == 0) | (k == n - 1), 2.0, 1.0) * (-1.0) ** k
    ratio = np.outer(c, 1 / c)
    d = np.eye(n)
    for m in range(1, order + 1):
        d = m / gaps * (ratio * np.diag(d)[:, None] - d)
        np.fill_diagonal(d, 0.0)
        np.fill_diagonal(d, -d.sum(1))
    return d * (2 / (high - low)) ** order


def clenshaw_curtis(n: int, low: float, high: float) -> np.ndarray:
    """Weights of the integral over Gauss-Lobatto points."""
    theta = np.pi * np.arange(n) / (n - 1)
    weights = np.zeros(n)
    for j in range(0, n, 2):  # the integral of the cosine series, term by term
        moment = 2 / (1 - j**2)
        basis = np.cos(j * theta) * (2 / (n - 1)) * (0.5 if j in (0, n - 1) else 1.0)
        weights += moment * basis
    weights[[0, -1]] *= 0.5
    return weights * (high - low) / 2


def integral_rows(points: np.ndarray, accuracy: int) -> np.ndarray:
    """Weights of the integral over each interval between two points, (n-1, n), from a polynomial through `accuracy` neighbours."""
    n = len(points)
    size = min(max(2, accuracy), n)
    rows = np.zeros((n - 1, n))
    nodes, weights = np.polynomial.legendre.leggauss((size + 1) // 2)
    for i in range(n - 1):
        start = int(np.clip(i + 1 - size // 2, 0, n - size))
        a, b = points[i], points[i + 1]
        for x, w in zip((a + b) / 2 + (b - a) / 2 * nodes, (b - a) / 2 * weights, strict=True):
            rows[i, start : start + size] += w * fornberg(x, points[start : start + size], 0)
    return rows
