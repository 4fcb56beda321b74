"""Is every plan of derivatives right? Named PDEs and random operators, each method against nested reverse mode in float64.

The operators of a PDE are those of its residual, with a built-in condition where one is usual: (1 - |x|^2) v brings -4 x grad v.
KdV2d: u_ty + u_xxxy + 3 (u_y u_x)_x - u_xx + 2 u_yy. KP: (u_t + 6 u u_x + u_xxx)_x + 3 u_yy. gKdV: the residual
u_t + u_xxx + f(u) u_x and its derivatives by t and x. Target: 1e-10 for each exact plan, relative to the reference, or to the sum of
absolute values of what a sum is made of. Estimates are means of 4096 draws, in standard errors.

The last columns compare the cost model with XLA: how many operations each plan is said to take, by how many it takes at 64 points.
"""

import sys

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import sympy as sp

import sciml as sci
from sciml.errors import FitError
from sciml.passes import Along, Combination, Diagonal, Gradient, Laplacian, Partial, placeholder
from sciml.pinn.embedding import embedding_of
from sciml.pinn.plan import plan
from sciml.pinn.plans import Dense, Sparse
from sciml.pinn.plans.nested import nested, reverse
from sciml.pinn.plans.site import Site

from .common import table

D = 10
X, ONE = placeholder("X"), sp.Integer(1)
METHODS = ("auto", "taylor", "nested", "directions", "gram")
BALL = "lap:v x.v v"  # what (1 - |x|^2) v needs for its Laplacian

PDES = {
    "Poisson, two- and three-body": BALL,
    "Allen-Cahn, two- and three-body": BALL,
    "Sine-Gordon, two- and three-body": BALL,
    "semilinear heat": "u u_t lap:u",
    "semilinear Allen-Cahn": "u u_t lap:u",
    "semilinear Sine-Gordon": "u u_t lap:u",
    "Black-Scholes-Barenblatt": "u u_t x.u xx:u",
    "Hamilton-Jacobi-Bellman, LQG": "u_t lap:u grad:u",
    "Hamilton-Jacobi-Bellman, linear": "u_t lap:u 1.u",
    "wave in d dimensions": "u_tt lap:u",
    "biharmonic in 4 dimensions": "bilap:u",
    "sum of fourth derivatives": "u_t 4:u",
    "KdV2d": "u_ty u_xxxy u_y u_x u_xy u_xx u_yy",
    "KP": "u_tx u u_x u_xx u_xxxx u_yy",
    "gKdV with its gradient": "u u_t u_x u_xx u_xxx u_tt u_tx u_txxx u_xxxx",
    "fifth-order KdV": "u_t u u_x u_xx u_xxx u_xxxxx",
    "KdV": "u_t u u_x u_xxx",
    "Burgers": "u_t u u_x u_xx",
    "Kuramoto-Sivashinsky": "u_t u u_x u_xx+u_xxxx",
    "Cahn-Hilliard": "u_t u u_x u_y u_xx+u_yy u_xxxx+2u_xxyy+u_yyyy",
    "Navier-Stokes, vorticity": "u_t u_x u_y u_xx+u_yy u v_x v_y v_xx+v_yy",
    "Navier-Stokes, stream function": "u_xxt+u_yyt u_x u_y u_xxx+u_xyy u_xxy+u_yyy u_xxxx+2u_xxyy+u_yyyy",
    "Schroedinger": "u v u_t v_t u_xx v_xx",
    "Black-Scholes": "u u_t u_x u_xx",
    "beam": "u_tt u_xxxx",
    "plate": "u_tt u_xxxx+2u_xxyy+u_yyyy",
}


def operator(word):
    """An operator from its short form, and its weights as a function of X."""
    if ":" in word or "." in word:
        kind, of = word.replace(".", ".:").split(":")
        made = {
            "lap": (Laplacian(of, "X"), None),
            "bilap": (Laplacian(of, "X", 2), None),
            "grad": (Gradient(of, "X"), None),
            "x.": (Along(of, "X", -4 * X), lambda x: -4 * x),
            "1.": (Along(of, "X", ONE), jnp.ones_like),
            "xx": (Diagonal(of, "X", 2, X**2), jnp.square),
            "4": (Diagonal(of, "X", 4, ONE), jnp.ones_like),
        }
        return made[kind]
    parts = [(part.lstrip("0123456789"), sp.Integer(part[: len(part) - len(part.lstrip("0123456789"))] or 1)) for part in word.split("+")]
    orders = [(orders_of(name), weight) for name, weight in parts]
    of = parts[0][0][0]
    if len(parts) == 1:
        return Partial(of, orders[0][0]), None
    return Combination(of, tuple(orders)), lambda x: tuple(jnp.asarray(float(w)) for _, w in orders)


def orders_of(name):
    letters = name.partition("_")[2]
    return tuple((c, letters.count(c)) for c in "txyz" if c in letters)


class Problem:
    """Operators with a network and a point."""

    def __init__(self, words, d=D, seed=0, width=8):
        found = {word: operator(word) for word in words.split()}
        self.operators = {word: op for word, (op, _) in found.items()}
        self.functions = tuple(sorted({op.of for op in self.operators.values()}))
        letters = {c for word in found for part in word.split("+") for c in part.partition("_")[2]}
        names = [c for c in "txyz" if c in letters]
        coordinates = [sci.t if c == "t" else sci.space(c, -1, 2) for c in names]
        self.vector = any(hasattr(op, "coordinate") for op in self.operators.values())
        if self.vector:
            coordinates.append(sci.space("X", -sp.oo, sp.oo, dim=d))
        self.names = tuple(names) + ("X",) * self.vector
        size = len(names) + d * self.vector
        self.layout = {c: slice(i, i + 1) for i, c in enumerate(names)} | {"X": slice(len(names), size)}
        self.embedding = embedding_of(coordinates)
        one, other = jax.random.split(jax.random.key(seed))
        self.network = eqx.nn.MLP(size, len(self.functions), width, 2, jnp.tanh, key=one)
        self.p = 0.5 * jax.random.normal(other, (size,))
        self.weights = {word: weight(self.p[self.layout["X"]]) for word, (_, weight) in found.items() if weight}

    def plan(self, derivatives):
        return plan(self.operators, self.functions, self.network, self.embedding, self.layout, self.names, derivatives=derivatives, points=64)

    def truth(self):
        """Values and sizes by nested reverse mode."""

        @eqx.filter_jit
        def values(network, p):
            site = Site(network, self.embedding, self.layout, p)
            return {w: nested(site, op, self.functions.index(op.of), self.weights.get(w), reverse) for w, op in self.operators.items()}

        return values(self.network, self.p)


def worst(made, problem, truth):
    """The largest relative difference over the operators."""
    found = eqx.filter_jit(made.evaluate)(problem.network, problem.p, problem.weights)
    return max(float(jnp.max(jnp.abs(found[w] - value)) / jnp.max(size)) for w, (value, size) in truth.items())


def operations(made, problem, n=64):
    """XLA's count for n points, for each of them."""
    points = jnp.stack([problem.p] * n)
    many = eqx.filter_jit(lambda network, ps: jax.vmap(lambda p: made.evaluate(network, p, problem.weights))(ps))
    return many.lower(problem.network, points).compile().compiled.cost_analysis()["flops"] / n


def row(name, words, methods=METHODS, estimates=(), cost=True, **options):
    """One line of the table."""
    problem = Problem(words, **options)
    truth = problem.truth()
    plans = {m: problem.plan(m) for m in methods if problem.vector or m not in ("directions", "gram")}
    errors = {m: worst(made, problem, truth) for m, made in plans.items() if not made.stochastic}
    z = []
    for by in estimates:
        try:
            made = problem.plan(by)
        except FitError:
            continue
        checks = made.check(problem.network, problem.p, problem.weights) if made.stochastic else {}
        z += [c.difference / c.error for c in checks.values() if c.error > 1e-9]
    auto = plans["auto"]
    said = sum(p.cost(auto.setting) for p in auto.passes)
    bad = max(errors, key=errors.get)
    methods_used = "+".join(dict.fromkeys(p.name for p in auto.passes if p.name != "value"))
    ratio = said / operations(auto, problem) if cost else ""
    return [name, len(errors), bad, errors[bad], "yes" if errors[bad] < 1e-10 else "NO", f"{max(z):.2g}" if z else "", methods_used, ratio]


def random_words(rng, order):
    """Up to three derivatives of at most this order in two to four coordinates, and a sum of others."""
    letters = "txyz"[: rng.integers(2, 5)]

    def one(k):
        return "u_" + "".join(sorted(rng.choice(list(letters), k)))

    words = {one(order)} | {one(int(rng.integers(1, order + 1))) for _ in range(rng.integers(0, 3))}
    parts = {one(max(2, order - 1)) for _ in range(3)}
    if len(parts) > 1:
        words.add("+".join(f"{i + 2}{p}" for i, p in enumerate(sorted(parts))))
    return " ".join(sorted(words))


def drawn(each=6):
    """Different ones, as many of each order from 2 to 6."""
    rng, found = np.random.default_rng(0), {}
    for order in range(2, 7):
        while len(found) < each * (order - 1):
            found[random_words(rng, order)] = None
    return list(found)


def main(only=""):
    jax.config.update("jax_enable_x64", True)
    columns = ["operators", "exact plans", "worst plan", "its difference", "below 1e-10", "estimates, errors off", "auto", "cost, said by counted"]
    if only != "random":
        small = {"biharmonic in 4 dimensions": 4}
        rows = [row(n, words, estimates=(Sparse(3), Dense(3)), d=small.get(n, D), seed=i) for i, (n, words) in enumerate(PDES.items())]
        table("pinn planner: named PDEs against nested reverse mode", columns, rows)
    if only != "named":
        rows = [row(words, words, ("auto", "taylor", "nested"), cost=False, seed=i, width=5) for i, words in enumerate(drawn())]
        table("pinn planner: random operators against nested reverse mode", columns, rows)


if __name__ == "__main__":
    main(*sys.argv[1:])
