"""Systems and helpers that the tests of files share."""

import json

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import sympy as sp
from hypothesis import assume
from hypothesis import strategies as st

import sciml as sci
from sciml.io import store
from sciml.io.read import Reader
from sciml.io.write import Writer


def rich_system():
    """One of everything but networks."""
    x, y = sci.variables("x y", initial=[1.0, 2.5], bounds=(0, None), nominal=2.0, description="a length")
    z = sci.variables("z", initial=np.array([0.1, -0.0, 5e-324]), shape=(3,))
    a, b = sci.parameters("a b", [1.1, 0.4], bounds=(1e-3, 1e2), scale="log", positive=True)
    half = sci.parameters("half", a / 2 + sp.Rational(1, 3))
    pair = sci.parameters("pair", [0.1, 0.2], nominal=3)
    c = sci.constants("c", np.pi)
    xi = sci.white_noise("xi")
    grid = np.linspace(0, 2, 7)
    F = sci.data("F", grid, np.sin(grid), interp="linear", outside="hold", description="pushed")
    k = sci.table("k", grid, np.exp(-grid), interp="monotone", outside="extrapolate")
    N = np.array([[0.0, 1.0, 2.0], [1.0, 0.5, 0.25], [0.0, 0.0, 1.0]])
    return sci.System(
        [
            sci.eq(x.diff(sci.t, 2), -half * x + F + sp.Float("0.1", 30) * sp.exp(-k(y)) + a * xi),
            sci.eq(y.diff(sci.t), sp.Piecewise((b * sp.Max(x, 0), (x > 1) & (y < 3)), (pair[0] * sp.sqrt(y), True)) + sp.pi * c),
            sci.eq(z.diff(sci.t), sci.dot(N, z)),
        ],
        initial={x: a, x.diff(sci.t): 0.3, "y": 7},
        observed={"total": x + y + z[0], "speed": x.diff(sci.t)},
        units={sci.t: "1"},
        calculus="stratonovich",
        name="rich",
        description="Someone, Some Journal, 1999. α",
    )


def neural_system(outputs=2):
    x, y = sci.variables("x y", initial=[1.0, 2.0])
    net = eqx.nn.MLP(2, outputs, 4, 2, activation=jnp.tanh, key=jax.random.key(1))
    g, h = sci.neural("g", net, outputs=2)(x, y)
    return sci.System([sci.eq(x.diff(sci.t), g), sci.eq(y.diff(sci.t), h)], name="neural")


def motor_system():
    i, w = sci.variables("i w", initial=0.0)
    R, L = sci.parameters("R L", [1.0, 0.5])
    motor = sci.System([sci.eq(L * i.diff(sci.t), -R * i - w), sci.eq(w.diff(sci.t), i)], observed={"heat": R * i**2}, name="motor")
    v = sci.variables("v", initial=0.0)
    return sci.System([sci.eq(v.diff(sci.t), motor["i"] - v)], components=[motor], name="drive")


def through(system, path):
    """The System after a round trip, with the checks that hold for all of them."""
    assert sci.save(system, path) is None
    again = sci.load(path)
    assert again == system and hash(again) == hash(system)
    assert list(again.symbols) == list(system.symbols)
    assert list(again.symbols.values()) == list(system.symbols.values())
    assert list(again.parameters) == list(system.parameters) and list(again.unknowns) == list(system.unknowns)
    assert again.equations == system.equations and again.eliminated == system.eliminated
    assert list(again.observed.items()) == list(system.observed.items()) and again.units == system.units
    assert (again.name, again.description, again.calculus) == (system.name, system.description, system.calculus)
    assert again.components == system.components and list(again.components) == list(system.components)
    assert again.latex() == system.latex() and repr(again) == repr(system)
    return again


def expression_through(expression):
    """An expression after a round trip through JSON, which must give the same entries again."""
    writer = Writer()
    index = writer.node(expression)
    content = {"nodes": writer.nodes, "declarations": writer.declarations, "networks": writer.networks}
    again = Reader(json.loads(json.dumps(content)), "memory").node(index)
    second = Writer()
    assert second.node(again) == index
    assert (second.nodes, second.declarations) == (writer.nodes, writer.declarations)
    return again


def signed(document):
    """The document with a checksum that fits it, as somebody could write who knows how."""
    rest = {key: value for key, value in document.items() if key != "checksum"}
    return {**rest, "checksum": store._checksum(rest)}


# -- random expressions -------------------------------------------------------------------

x, y = sci.variables("x y", initial=1.0)
z = sci.variables("z", initial=np.zeros(2), shape=(2,))
a, b = sci.parameters("a b", 0.5)
p = sci.parameters("p", 2.0, positive=True)
s = sci.space("s", 0, 1)
u = sci.fields("u", sci.t, s)
k = sci.table("k", [0.0, 1.0], [0.0, 2.0])

_FUNCTIONS = (sp.sin, sp.exp, sp.log, sp.tanh, sp.Abs, sp.sign, sp.sqrt, sp.erf, sp.atan, sp.floor, sp.Heaviside, k)
_NUMBERS = st.one_of(
    st.integers(-30, 30).map(sp.Integer),
    st.fractions(-5, 5, max_denominator=50).map(lambda f: sp.Rational(f.numerator, f.denominator)),
    st.tuples(st.floats(-1e9, 1e9), st.sampled_from([7, 15, 30])).map(lambda pair: sp.Float(*pair)),
    st.sampled_from([sp.pi, sp.E]),
)
LEAVES = st.one_of(st.sampled_from([x, y, a, b, p, sci.t, z[0], z[1]]), _NUMBERS)


def _safely(make):
    """What SymPy makes; parts that it refuses (a comparison of complex numbers ...) are not looked at."""

    def made(parts):
        try:
            return make(*parts)
        except (TypeError, ValueError, ZeroDivisionError):
            assume(False)

    return made


def _larger(parts):
    two, evaluate = st.tuples(parts, parts), st.booleans()
    return st.one_of(
        two.map(_safely(lambda u, v: u + v)),
        two.map(_safely(lambda u, v: u * v)),
        st.tuples(parts, parts, evaluate).map(_safely(lambda u, v, e: sp.Mul(u, v, evaluate=e))),
        st.tuples(parts, parts, evaluate).map(_safely(lambda u, v, e: sp.Add(u, v, evaluate=e))),
        st.tuples(parts, st.sampled_from([-2, -1, 2, 3, sp.Rational(1, 2), a, -x, sp.Float(1.5)])).map(_safely(lambda u, v: u**v)),
        st.tuples(st.sampled_from(_FUNCTIONS), parts).map(_safely(lambda f, u: f(u))),
        st.tuples(parts, parts, parts, parts).map(_safely(lambda u, v, c, d: sp.Piecewise((u, c < d), (v, True)))),
        st.tuples(parts, parts, parts, parts).map(_safely(lambda u, v, c, d: sp.Piecewise((u, (c > d) & (v >= 1)), (v, sp.Ne(c, 2))))),
        two.map(_safely(lambda u, v: sp.Max(u, v))),
        two.map(_safely(lambda u, v: sp.Min(u, v, evaluate=False))),
    )


EXPRESSIONS = st.recursive(LEAVES, _larger, max_leaves=12)
