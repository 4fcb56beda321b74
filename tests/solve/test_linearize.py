"""Linearisation: matrices by hand, verdicts, constraints, derivatives, and what is refused."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import sympy as sp

import sciml as sci
from sciml.errors import NameUnknown, SolveError

from .models import lotka_volterra, ornstein_uhlenbeck

t = sci.t
x, y = sci.variables("x y", initial=[1.0, 1.0])
c, mu = sci.parameters("c mu", [1.0, 0.5])


@functools.cache
def motor():
    """J w' = K i - b w, L i' = u - R i - K w."""
    w, i = sci.variables("w i", initial=0.0)
    J, L, R, K, b, u = sci.parameters("J L R K b u", [0.5, 0.1, 2.0, 0.3, 0.2, 0.0])
    return sci.System({w.diff(t): (K * i - b * w) / J, i.diff(t): (u - R * i - K * w) / L}, observed={"torque": K * i}, name="motor")


@functools.cache
def constrained():
    z = sci.variables("z", guess=1.0)
    return sci.System([sci.eq(x.diff(t), 1 - z), sci.eq(z**3 + z, c * x)], observed={"w": x * z}, name="constrained")


def test_a_motor_by_hand(close):
    lin = sci.linearize(motor(), at={}, inputs=["u"], outputs=["w", "torque"])
    close(lin.A, [[-0.4, 0.6], [-3.0, -20.0]])
    close(lin.B, [[0.0], [10.0]])
    close(lin.C, [[1.0, 0.0], [0.0, 0.3]])
    close(lin.D, [[0.0], [0.0]])
    assert (lin.states, lin.inputs, lin.outputs) == (("w", "i"), ("u",), ("w", "torque"))
    assert lin.stable and lin.verdict.startswith("stable node") and lin.at_rest
    tables = lin.to_pandas()
    assert tables["A"].loc["i'", "w"] == pytest.approx(-3.0) and tables["B"].shape == (2, 1)
    assert "stable node" in repr(lin) and "torque" in repr(lin)
    assert len(lin.plot().lines) == 2


def test_predator_and_prey_turn_round_a_centre(close):
    rest = sci.steady_state(lotka_volterra())
    close([rest["x"], rest["y"]], [4.0, 2.75])
    lin = sci.linearize(lotka_volterra(), at=rest)
    close(np.sort(np.asarray(lin.eigenvalues).imag), [-np.sqrt(0.44), np.sqrt(0.44)])
    assert not lin.stable and lin.verdict.startswith("centre") and lin.B.shape == (2, 0)


@pytest.mark.parametrize(
    ("matrix", "kind", "stable"),
    [
        ([[-1, 2], [-2, -1]], "stable focus", True),
        ([[-1, 0], [0, -2]], "stable node", True),
        ([[1, 0], [0, -2]], "saddle", False),
        ([[1, 3], [-3, 1]], "unstable focus", False),
        ([[1, 0], [0, 2]], "unstable node", False),
        ([[0, 1], [-4, 0]], "centre", False),
        ([[1, 0], [0, 0]], "unstable: ", False),
        ([[0, 1], [0, -1]], "marginal", False),
    ],
)
def test_verdicts(matrix, kind, stable):
    lin = sci.linearize(_plane(), at={}, params=dict(zip(["m0", "m1", "m2", "m3"], np.ravel(matrix).astype(float), strict=True)))
    assert lin.verdict.startswith(kind) and lin.stable is stable


@functools.cache
def _plane():
    m = sci.parameters("m0:4", 1.0)
    p, q = sci.variables("p q", initial=0.0)
    return sci.System({p.diff(t): m[0] * p + m[1] * q + p**2, q.diff(t): m[2] * p + m[3] * q}, name="plane")


def test_a_pendulum_at_the_bottom_and_at_the_top(close):
    angle = sci.variables("angle", initial=0.1)
    pendulum = sci.System([sci.eq(angle.diff(t, 2), -c * angle.diff(t) - 9 * sp.sin(angle))], initial={angle.diff(t): 0.0})
    bottom = sci.linearize(pendulum, at=sci.steady_state(pendulum))
    close(np.asarray(bottom.eigenvalues).real, [-0.5, -0.5])
    close(np.abs(np.asarray(bottom.eigenvalues).imag), [np.sqrt(8.75)] * 2)
    top = sci.linearize(pendulum, at=sci.steady_state(pendulum, guess={"angle": 3.0}))
    assert bottom.verdict.startswith("stable focus") and top.verdict.startswith("saddle")


def test_conserved_totals_do_not_make_a_point_marginal(close):
    swap = sci.System({x.diff(t): 3 * y - c * x, y.diff(t): c * x - 3 * y})
    lin = sci.linearize(swap, at=sci.steady_state(swap))
    close(sorted(np.asarray(lin.eigenvalues).real), [-4.0, 0.0], atol=1e-12)
    assert lin.stable and "1 conserved total kept" in lin.verdict


def test_algebraic_unknowns_are_eliminated(close):
    lin = sci.linearize(constrained(), at=sci.steady_state(constrained()), inputs=[c], outputs=["x", "z", "w"])
    close(lin.A, [[-0.25]])  # x = 2, z = 1: dz = (c dx + x dc)/(3 z**2 + 1)
    close(lin.B, [[-0.5]])
    close(lin.C, [[1.0], [0.25], [1.5]])
    close(lin.D, [[0.0], [0.5], [1.0]])
    assert lin.states == ("x",)


def test_a_singular_mass_matrix(close):
    pair = sci.System([sci.eq(2 * x.diff(t) + y.diff(t), c - x), sci.eq(4 * x.diff(t) + 2 * y.diff(t), x - y**3 + 1)])
    lin = sci.linearize(pair, at=sci.steady_state(pair), inputs=["c"])
    slope = 3 * 2.0 ** (2 / 3)  # 3 dx = slope dy + 2 dc, and w = x + y/2
    gain = 1 / (1 + 1.5 / slope)
    close(lin.C, [[gain], [3 * gain / slope]])
    close(lin.A, [[-gain / 2]])
    close(lin.D[0], [gain / slope])
    assert lin.states == ("x + y/2",)


def test_a_measured_input_and_a_point_on_the_way(close):
    F = sci.data("F", [0.0, 1.0, 2.0], [1.0, 2.0, 3.0])
    driven = sci.System([sci.eq(x.diff(t), F**2 - c * x * y), sci.eq(y.diff(t), 1 - y)], name="driven")
    sol = sci.solve(driven, t_span=(0.0, 1.5), saveat=3, dense=True)
    lin = sci.linearize(driven, at=sol, inputs=[F, "c"])
    close(lin.B, [[5.0, -sol[x][-1]], [0.0, 0.0]], rtol=1e-5)
    assert not lin.at_rest and "not at rest" in lin.verdict
    close(sci.linearize(driven, at=sol(0.5), inputs=["F"]).B[0, 0], 3.0)
    close(sci.linearize(driven, at={"x": 1.0}, time=1.0, inputs=["F"]).B[0, 0], 4.0)
    with pytest.raises(SolveError, match="Give the time at which to freeze it"):
        sci.linearize(driven, at={})


def test_the_point_brings_its_parameters(close):
    rest = sci.steady_state(constrained(), params={"c": 4.0})
    close(sci.linearize(constrained(), at=rest).A, [[-1.0]])
    close(sci.linearize(constrained(), at=rest, params={"c": 2.0}).A, [[-0.5]])


def test_matrices_are_differentiable(close):
    def entry(v):
        return sci.linearize(constrained(), at=sci.steady_state(constrained(), params={"c": v}), outputs=["w"]).C[0, 0]

    expected = central = (float(entry(1.5 + 1e-3)) - float(entry(1.5 - 1e-3))) / 2e-3
    close(jax.grad(entry)(1.5), expected, rtol=1e-5)
    close(jax.jacfwd(entry)(1.5), central, rtol=1e-5)
    batch = jax.jit(jax.vmap(lambda v: sci.linearize(constrained(), at=sci.steady_state(constrained(), params={"c": v}))))(jnp.array([1.0, 2.0]))
    close(batch.A[:, 0, 0], [-0.25, -0.5])


def test_the_verdict_needs_numbers():
    def inside(v):
        lin = sci.linearize(motor(), at={}, params={"R": v})
        with pytest.raises(SolveError, match="inside jit"):
            _ = lin.verdict
        assert "traced" in repr(lin)
        return lin.stable

    assert bool(jax.jit(inside)(1.0))


@pytest.mark.parametrize(
    ("options", "error", "says"),
    [
        ({"inputs": ["v"]}, NameUnknown, "no parameter 'v'. Did you mean 'u'?|There are"),
        ({"inputs": ["w"]}, NameUnknown, "is an unknown"),
        ({"inputs": "u"}, SolveError, r"inputs=\[u\]"),
        ({"outputs": ["torq"]}, NameUnknown, "Did you mean 'torque'?"),
        ({"outputs": [x]}, NameUnknown, "no 'x'"),
        ({"at": {"q": 1.0}}, NameUnknown, "no unknown 'q'"),
        ({"at": {"w": np.nan}}, SolveError, "'w' = nan"),
        ({"at": 3.0}, SolveError, 'such as {"w": 1.0}'),
        ({"params": {"Q": 1.0}}, NameUnknown, "no parameter 'Q'"),
    ],
)
def test_bad_input(options, error, says):
    with pytest.raises(error, match=says.replace("?", r"\?").replace("{", r"\{")):
        sci.linearize(motor(), **{"at": {}, **options})


def test_bad_points():
    with pytest.raises(SolveError, match="belongs to System"):
        sci.linearize(motor(), at=sci.steady_state(constrained()))
    with pytest.raises(SolveError, match="a batch of points"):
        sci.linearize(constrained(), at=jax.vmap(lambda v: sci.steady_state(constrained(), params={"c": v}))(jnp.ones(2)))
    with pytest.raises(SolveError, match=r"The point has no value for 'z'.*at=\{\"z\": 1.0\}"):
        sci.linearize(constrained(), at={})
    with pytest.raises(SolveError, match="white noise"):
        sci.linearize(ornstein_uhlenbeck(), at={})
    z = sci.variables("z", guess=1.0)
    loose = sci.System([sci.eq(x.diff(t), 1 - z), sci.eq(z**3 - 3 * z, c * x)])
    with pytest.raises(SolveError, match="do not determine their unknowns at x = -2, z = 1"):
        sci.linearize(loose, at={"x": -2.0, "z": 1.0})
