"""One step of M y' = f(t, y), from y at t over h: explicit Runge-Kutta and Rosenbrock methods.

Rosenbrock methods solve one linear system per stage, with one Jacobian J and one factorised matrix W for all stages:

    W = M/(h g) - J
    W u_i = f(t + a_i h, y + sum_j A_ij u_j) + M sum_j C_ij u_j / h + h d_i f_t
    y_1 = y + sum m_j u_j,   error = sum e_j u_j

in the variables u of Hairer and Wanner, Solving Ordinary Differential Equations II (1996), chapter IV.7, which needs
no product with J. Between the steps both kinds give a polynomial in theta = (time - t)/h,

    y(t + theta h) = y + theta P_0 + theta^2 P_1 + theta^3 P_2 + theta^4 P_3.

| method       | order | stages | for                                | reference                                                |
|--------------|-------|--------|------------------------------------|----------------------------------------------------------|
| tsit5        | 5(4)  | 6      | not stiff                          | Tsitouras (2011), Comput. Math. Appl. 62, 770            |
| rodas5p      | 5(4)  | 8      | stiff, DAE of index 1, f(t, y) too | Steinebach (2023), BIT 63, 27                            |
| rosenbrock23 | 2(3)  | 3      | stiff, at loose tolerances         | Shampine and Reichelt (1997), SIAM J. Sci. Comput. 18, 1 |
"""

import dataclasses
import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import diffrax as dfx
import jax
import jax.numpy as jnp
import numpy as np

from .linear import Algebra
from .regularize import quotient


@dataclasses.dataclass(frozen=True, eq=False)
class Rhs:
    """M y' = f(t, y) at given parameters, and how its Jacobian is kept.

    `mass` is None for the identity, a vector for a diagonal, or a matrix (with a dense Jacobian only). `compact` gives
    the numbers of `f` from a smaller program: what is differentiated, or runs once, takes it.
    """

    f: Callable[[Any, Any], Any]
    compact: Callable[[Any, Any], Any]
    mass: Any
    algebra: Algebra
    heavy: bool = False  # many operations: worth a loop over the stages


class Step(NamedTuple):
    """The new state, the error estimate, f at the new state and the Jacobian at the old one (None if not needed).

    `stiffness()` is the rate of the fastest motion that the step has met, by a quotient of differences.
    """

    y1: Any
    error: Any
    f1: Any
    polynomial: Callable[[], Any]
    jacobian: Any
    stiffness: Callable[[], Any] | None = None


# -- explicit ------------------------------------------------------------------------------


class Explicit:
    """An explicit Runge-Kutta method whose last stage is the first of the next step, from diffrax's tableau."""

    stiff = False
    exponent = 1 / 5
    stages = 6

    def __init__(self, tableau: Any, interpolation: np.ndarray):
        self.a = [np.asarray(row) for row in tableau.a_lower]
        self.c, self.error, self.interpolation = np.asarray(tableau.c), np.asarray(tableau.b_error), interpolation

    def step(self, rhs: Rhs, t: Any, y: Any, h: Any, f0: Any, **_: Any) -> Step:
        k, last = self._looped(rhs, t, y, h, f0) if rhs.heavy else self._unrolled(rhs, t, y, h, f0)

        def polynomial() -> Any:
            return jnp.stack([h * _combined(row, k) for row in self.interpolation])

        def stiffness() -> Any:
            before = y + h * _combined(self.a[-2], k[: len(self.a[-2])])  # the argument of the stage before the last, at the same time
            return quotient(k[-1] - k[-2], last - before)

        return Step(last, h * _combined(self.error, k), k[-1], polynomial, None, stiffness)

    def _unrolled(self, rhs: Rhs, t: Any, y: Any, h: Any, f0: Any) -> tuple[list[Any], Any]:
        k, last = [f0], y
        for row, c in zip(self.a, self.c, strict=True):
            last = y + h * _combined(row, k)
            k.append(rhs.f(t + c * h, last))
        return k, last

    def _looped(self, rhs: Rhs, t: Any, y: Any, h: Any, f0: Any) -> tuple[list[Any], Any]:
        """The same with the right side compiled once and not six times."""
        n = len(self.a)
        a = np.zeros((n, n + 1))
        for i, row in enumerate(self.a):
            a[i, : len(row)] = row
        weights, nodes = jnp.asarray(a, y.dtype), jnp.asarray(self.c, y.dtype)

        def stage(i: Any, state: Any) -> Any:
            k, _ = state
            last = y + h * _rows(weights[i], k)
            return jax.lax.dynamic_update_index_in_dim(k, rhs.f(t + nodes[i] * h, last), i + 1, 0), last

        k, last = jax.lax.fori_loop(0, n, stage, (jnp.zeros((n + 1, len(y)), y.dtype).at[0].set(f0), y))
        return list(k), last


def _combined(weights: Any, vectors: list[Any]) -> Any:
    total = None
    for w, v in zip(weights, vectors, strict=True):
        if w != 0:
            total = float(w) * v if total is None else total + float(w) * v
    return total


def _tsit5_interpolation() -> np.ndarray:
    """The weights of the seven stages in each power of theta, from Tsitouras's factored form."""
    roots = {
        1: (0.1017, [-2.1966568338249754, 1.2949852507374631]),
        2: (2.490627285651252793, [-2.38535645472061657, 1.57803468208092486]),
        3: (-16.54810288924490272, [-(1.21712927295533244 + 0.61620406037800089), 1.21712927295533244 * 0.61620406037800089]),
        4: (47.37952196281928122, [-(1.203071208372362603 + 0.658047292653547382), 1.203071208372362603 * 0.658047292653547382]),
        5: (-34.87065786149660974, [-(1.2 + 2 / 3), 0.8]),
        6: (2.5, [-1.6, 0.6]),
    }
    weights = np.zeros((4, 7))
    first = np.polymul([1.0, -1.3299890189751412], [1.0, -1.4364028541716351, 0.7139816917074209]) * -1.0530884977290216
    weights[:, 0] = first[::-1]  # theta times a cubic
    for stage, (scale, (b, c)) in roots.items():
        weights[1:, stage] = np.array([c, b, 1.0]) * scale  # theta^2 times a quadratic
    return weights


# -- Rosenbrock ----------------------------------------------------------------------------


@dataclasses.dataclass(frozen=True, eq=False)
class RosenbrockTableau:
    """Coefficients in the variables u. `dense` are the rows a, b, c of
    y(theta) = (1 - theta) y + theta (y_1 + (1 - theta) (a + theta (b + theta c)))."""  # fmt: skip

    gamma: float
    A: np.ndarray
    C: np.ndarray
    nodes: np.ndarray
    d: np.ndarray
    m: np.ndarray
    e: np.ndarray
    dense: np.ndarray
    exponent: float

    @functools.cached_property
    def without_end(self) -> tuple[np.ndarray, ...]:
        """A, C, nodes, d of the stages."""
        return self.A, self.C, self.nodes, self.d

    @functools.cached_property
    def with_end(self) -> tuple[np.ndarray, ...]:
        """The same with a stage more, whose argument is the new state."""
        n = len(self.m)
        A, C = np.zeros((n + 1, n + 1)), np.zeros((n + 1, n + 1))
        A[:n, :n], C[:n, :n], A[n, :n] = self.A, self.C, self.m
        return A, C, np.append(self.nodes, 1.0), np.append(self.d, 0.0)


class Rosenbrock:
    """A Rosenbrock method; the stages are a loop, so that the program stays small."""

    stiff = True

    def __init__(self, tableau: RosenbrockTableau):
        self.tableau, self.exponent, self.stages = tableau, tableau.exponent, len(tableau.m)

    def step(self, rhs: Rhs, t: Any, y: Any, h: Any, f0: Any, exact: bool = False, fsal: bool = False) -> Step:
        """`exact`: the linear solves can be differentiated in both modes. `fsal`: f at the end is wanted too."""
        b, dtype, n = self.tableau, y.dtype, y.shape[0]
        f0, jacobian, rate = rhs.algebra.linearise(rhs.compact, t, y)
        inverse_h = 1 / h
        solve = jacobian.solver(inverse_h / b.gamma, rhs.mass, exact)
        A, C, nodes, d = (jnp.asarray(x, dtype) for x in (b.with_end if fsal else b.without_end))

        def right(i: Any, f: Any, coupled: Any) -> Any:
            coupled = coupled * inverse_h
            r = f + _massed(rhs.mass, coupled)
            return r if rate is None else r + (h * d[i]) * rate

        def stage(i: Any, state: Any) -> Any:
            u, _ = state
            f = rhs.f(t + nodes[i] * h, y + _rows(A[i], u))
            return jax.lax.dynamic_update_index_in_dim(u, solve(right(i, f, _rows(C[i], u))), i, 0), f

        # f at the end, where it is wanted, is f of one stage more: that stage's own result is dropped.
        count = self.stages + fsal
        first = f0 if rate is None else f0 + (h * d[0]) * rate
        start = jnp.zeros((count, n), dtype).at[0].set(solve(first))
        u, f1 = jax.lax.fori_loop(1, count, stage, (start, f0))
        u = u[: self.stages]
        y1 = y + _rows(jnp.asarray(b.m, dtype), u)

        def polynomial() -> Any:
            p, q, r = (_rows(jnp.asarray(row, dtype), u) for row in b.dense)
            return jnp.stack([y1 - y + p, q - p, r - q, -r])

        def stiffness() -> Any:
            return quotient(jacobian @ (y1 - y), y1 - y)

        return Step(y1, _rows(jnp.asarray(b.e, dtype), u), f1 if fsal else None, polynomial, jacobian, stiffness)


def _rows(weights: Any, u: Any) -> Any:
    return jnp.sum(weights[:, None] * u, axis=0)


def _massed(mass: Any, v: Any) -> Any:
    return v if mass is None else mass * v if mass.ndim == 1 else mass @ v


def _from_alpha_gamma(alpha: Any, gamma: Any, b: Any, e: Any, dense: Any, exponent: float) -> RosenbrockTableau:
    """From the matrices alpha and Gamma of the usual form k_i = ..., to the variables u = Gamma k."""
    alpha, gamma = np.asarray(alpha, float), np.asarray(gamma, float)
    inverse = np.linalg.inv(gamma)
    C = np.diag(1 / np.diag(gamma)) - inverse
    m, error, bend = (np.asarray(v, float) @ inverse for v in (b, e, dense))
    return RosenbrockTableau(gamma[0, 0], alpha @ inverse, C, alpha.sum(1), gamma.sum(1), m, error, bend, exponent)


def _rosenbrock23() -> RosenbrockTableau:
    g, e32 = 1 / (2 + np.sqrt(2)), 6 + np.sqrt(2)
    alpha = [[0, 0, 0], [0.5, 0, 0], [0, 1, 0]]
    gamma = [[g, 0, 0], [-g, g, 0], [g * e32 - 2 * g, -g * e32, g]]
    bend = np.array([1, -1, 0]) / (1 - 2 * g)
    return _from_alpha_gamma(alpha, gamma, [0, 1, 0], np.array([1, -2, 1]) / 6, [bend, 0 * bend, 0 * bend], 1 / 3)


def _lower(n: int, rows: list[list[float]]) -> np.ndarray:
    full = np.zeros((n, n))
    for i, row in enumerate(rows, start=1):
        full[i, : len(row)] = row
    return full


def _rodas5p() -> RosenbrockTableau:
    sixth = [-7.502846399306121, 2.561846144803919, -11.627539656261098, -0.18268767659942256, 0.030198172008377946]
    A = [
        [3.0],
        [2.849394379747939, 0.45842242204463923],
        [-6.954028509809101, 2.489845061869568, -10.358996098473584],
        [2.8029986275628964, 0.5072464736228206, -0.3988312541770524, -0.04721187230404641],
        sixth,
        [*sixth, 1.0],
        [*sixth, 1.0, 1.0],
    ]
    C = [
        [-14.155112264123755],
        [-17.97296035885952, -2.859693295451294],
        [147.12150275711716, -1.41221402718213, 71.68940251302358],
        [165.43517024871676, -0.4592823456491126, 42.90938336958603, -5.961986721573306],
        [24.854864614690072, -3.0009227002832186, 47.4931110020768, 5.5814197821558125, -0.6610691825249471],
        [30.91273214028599, -3.1208243349937974, 77.79954646070892, 34.28646028294783, -19.097331116725623, -28.087943162872662],
        [
            37.80277123390563, -3.2571969029072276, 112.26918849496327, 66.9347231244047, -40.06618937091002,
            -54.66780262877968, -9.48861652309627,
        ],
    ]  # fmt: skip
    nodes = np.array([0.0, 0.6358126895828704, 0.4095798393397535, 0.9769306725060716, 0.4288403609558664, 1.0, 1.0, 1.0])
    gamma = 0.21193756319429014
    d = np.array([gamma, -0.42387512638858027, -0.3384627126235924, 1.8046452872882734, 2.325825639765069, 0.0, 0.0, 0.0])
    dense = [
        [
            25.948786856663858, -2.5579724845846235, 10.433815404888879, -2.3679251022685204,
            0.524948541321073, 1.1241088310450404, 0.4272876194431874, -0.17202221070155493,
        ],
        [
            -9.91568850695171, -0.9689944594115154, 3.0438037242978453, -24.495224566215796,
            20.176138334709044, 15.98066361424651, -6.789040303419874, -6.710236069923372,
        ],
        [
            11.419903575922262, 2.8879645146136994, 72.92137995996029, 80.12511834622643,
            -52.072871366152654, -59.78993625266729, -0.15582684282751913, 4.883087185713722,
        ],
    ]  # fmt: skip
    m = np.array([*sixth, 1.0, 1.0, 1.0])
    return RosenbrockTableau(gamma, _lower(8, A), _lower(8, C), nodes, d, m, np.eye(8)[7], np.array(dense), 1 / 5)


TSIT5 = Explicit(dfx.Tsit5.tableau, _tsit5_interpolation())
RODAS5P = Rosenbrock(_rodas5p())
ROSENBROCK23 = Rosenbrock(_rosenbrock23())
