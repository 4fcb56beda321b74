"""NeuralCDE: closed forms, invariances, both ways to step, derivatives, and what is refused."""

import diffrax
import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.scipy.linalg import expm

import sciml as sci
from sciml.errors import ModelError, SolveError

RNG = np.random.default_rng(1)
T = np.cumsum(RNG.uniform(0.3, 1.2, 7))
X = 0.7 * RNG.normal(size=(7, 2))
SEEN = np.array([[1, 1], [0, 1], [1, 0], [0, 0], [1, 1], [1, 0], [1, 1]], bool)
NeuralCDE = sci.nn.NeuralCDE
TIGHT = dict(rtol=1e-9, atol=1e-11) if jax.config.jax_enable_x64 else dict(rtol=1e-5, atol=1e-6)


class Linear(eqx.Module):
    """F(z) v = sum_i v_i (A_i z + b_i)."""

    a: jax.Array  # (rates, hidden, hidden)
    b: jax.Array  # (rates, hidden)

    def __call__(self, z):
        return (jnp.einsum("rij,j->ir", self.a, z) + self.b.T).reshape(-1)


def linear(rates, scale=0.4, key=0):
    a, b = (scale * jax.random.normal(k, s) for k, s in zip(jax.random.split(jax.random.key(key)), ((rates, 3, 3), (rates, 3)), strict=True))
    return Linear(a, b)


def exact(field, z, increments):
    """Along a straight piece a linear field is a matrix exponential."""
    for d in np.asarray(increments):
        m = jnp.zeros((4, 4)).at[:3, :3].set(jnp.einsum("rij,r->ij", field.a, d)).at[:3, 3].set(jnp.einsum("ri,r->i", field.b, d))
        z = (expm(m) @ jnp.append(z, 1.0))[:3]
    return z


def states(layer, *series, **options):
    return eqx.filter_jit(lambda layer, *s: layer.solve(*s, saveat="knots", **options)["z"])(layer, *series)


def make(control, key=0, **options):
    return NeuralCDE(2, 3, 2, control=control, width=5, key=jax.random.key(key), **options)


@pytest.fixture(scope="module")
def calls():
    """Jitted calls of a layer, shared: (layer, series) -> end, and samples."""
    return {w: eqx.filter_jit(lambda layer, s, w=w: layer(s, saveat=w)) for w in ("end", "samples")}


whole, holes = sci.nn.series(T, X), sci.nn.series(T, X, mask=SEEN)


@pytest.mark.parametrize("control", ("rectilinear", sci.nn.LogSignature(window=2, depth=2)))
def test_a_linear_field_along_straight_pieces(control, close):
    """The solver that chooses its steps meets kinks at the knots, and is as exact as its tolerance."""
    rates = control.width(3) if isinstance(control, sci.nn.LogSignature) else 3
    field = linear(rates)
    layer = NeuralCDE(2, 3, 2, field=field, control=control, solver="tsit5", steps=None, **TIGHT, key=jax.random.key(0))
    pieces = layer.path(holes).pieces
    close(
        states(layer, holes)[-1],
        exact(field, layer.initial(pieces[0, 0, :3]), pieces[:, 1]),
        rtol=1e-7,
        atol=1e-9 if jax.config.jax_enable_x64 else 1e-2,
    )


def test_the_order_of_equal_steps():
    """Two stages, order 2, also where the path has kinks."""
    fine = states(make("linear", solver="tsit5", steps=None, **TIGHT), whole)[-1]
    errors = [np.abs(states(make("linear", steps=n), whole)[-1] - fine).max() for n in (2, 8)]
    if jax.config.jax_enable_x64:
        assert np.log(errors[0] / errors[1]) / np.log(4) > 1.8


def test_a_constant_field_gives_the_increment_of_the_path(calls, close):
    """One step of ralston integrates X' exactly, whatever the control: z(end) - z(0) = B (X(end) - X(0))."""
    field = Linear(jnp.zeros((3, 3, 3)), jax.random.normal(jax.random.key(1), (3, 3)))
    for control in ("hermite", "rectilinear"):
        layer = NeuralCDE(2, 3, 3, field=field, control=control, key=jax.random.key(2))
        layer = eqx.tree_at(lambda l: (l.readout.weight, l.readout.bias), layer, (jnp.eye(3), jnp.zeros(3)))
        path = layer.path(whole)
        first, last = path.evaluate(path.knots[0]), path.evaluate(path.knots[-1])
        close(calls["end"](layer, whole), layer.initial(first) + (last - first) @ field.b, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize(
    ("control", "solver", "steps"),
    (("hermite", "ralston", 1), ("rectilinear", "midpoint", 2), (sci.nn.LogSignature(window=2), "ralston", 1), ("cubic", "ralston", 3)),
)
def test_the_scan_and_the_solver_take_the_same_steps(control, solver, steps, calls, close):
    layer = make(control, solver=solver, steps=steps)
    z = states(layer, holes)
    if control == "rectilinear":
        z = z[::2]
    close(calls["samples"](layer, holes), jax.vmap(layer.readout)(z), rtol=1e-10, atol=1e-12)
    close(calls["end"](layer, holes), layer.readout(z[-1]), rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("control", ("cubic", "rectilinear", sci.nn.LogSignature(window=3)))
def test_padding_has_no_effect(control, calls):
    layer = make(control, intensity=True)
    long = sci.nn.series(np.append(T, np.zeros(4)), np.append(X, np.full((4, 2), 9.0), 0), mask=np.append(SEEN, np.zeros((4, 2), bool), 0))
    np.testing.assert_allclose(calls["end"](layer, long), calls["end"](layer, holes), rtol=1e-12 if jax.config.jax_enable_x64 else 1e-5)


def test_online(calls):
    """Rectilinear: the output at a sample does not know the later ones."""
    layer = make("rectilinear")
    other = X.copy()
    other[4:] += 1.0
    a, b = (np.asarray(calls["samples"](layer, sci.nn.series(T, x, mask=SEEN))) for x in (X, other))
    assert (a[:4] == b[:4]).all() and np.abs(a[4:] - b[4:]).max() > 1e-3


def test_speed_does_not_matter_but_time_is_a_channel(close):
    """As a System, solved by hand in the time of the samples: the same state as in the time of the knots."""
    layer = make("cubic", steps=None, solver="tsit5", **TIGHT)
    path = layer.path(whole)

    def by_hand(tau, z, _):
        return layer.field(jnp.concatenate([z, path.derivative(tau)]))

    start = layer.initial(path.evaluate(T[0]))
    with jax.numpy_dtype_promotion("standard"):
        sol = diffrax.diffeqsolve(
            diffrax.ODETerm(by_hand), diffrax.Tsit5(), path.knots[0], path.knots[-1], None, start,
            stepsize_controller=diffrax.PIDController(**TIGHT),
        )  # fmt: skip
    close(states(layer, whole)[-1], sol.ys[-1], rtol=1e-6, atol=1e-8)


def test_calls(calls, close):
    layer = make("hermite")
    out = calls["end"](layer, holes)
    assert out.shape == (2,) and out.dtype == jnp.zeros(()).dtype
    close(layer(T, X, SEEN), out)
    both = sci.nn.series([T, T[:4]], [X, X[:4]], mask=[SEEN, SEEN[:4]])
    close(eqx.filter_jit(lambda layer, both: jax.vmap(layer)(both))(layer, both), jnp.stack([out, layer(both[1])]), rtol=1e-9)
    short = calls["samples"](layer, both[1])
    assert short.shape == (7, 2) and (np.asarray(short)[4:] == np.asarray(short)[3]).all()
    assert "z' = F(z, dX(t))" in str(layer.system) and "dX" in layer.system.latex()


def test_other_weights_are_the_same_program():
    layers = [make("linear", key) for key in (0, 1)]
    assert layers[0].system == layers[1].system
    traced = []

    @eqx.filter_jit
    def run(layer):
        traced.append(1)
        return layer(whole)

    assert (run(layers[0]) != run(layers[1])).all() and len(traced) == 1


@pytest.mark.parametrize(("control", "options"), [("hermite", dict(steps=2)), ("linear", dict(solver="tsit5", steps=None, **TIGHT))])
def test_derivatives(control, options):
    """By all weights, the values and the times; in reverse and forward mode, under jit and vmap."""
    layer = make(control, **options)
    trained, rest = eqx.partition((layer, holes.t, holes.x), eqx.is_inexact_array)
    keys = iter(jax.random.split(jax.random.key(5), 100))
    direction = jax.tree.map(lambda a: jax.random.normal(next(keys), a.shape, a.dtype), trained)

    def value(trained):
        layer, t, x = eqx.combine(trained, rest)
        batch = sci.nn.Series(jnp.stack([t, 2 * t]), jnp.stack([x, -x]), jnp.stack([holes.observed] * 2))
        return jnp.sum(jnp.sin(jax.vmap(layer)(batch)))

    # Steps of a solver that chooses them change with the arguments, by as much as its tolerance allows.
    h, rtol = (1e-2, 5e-2) if not jax.config.jax_enable_x64 else (1e-4, 2e-4) if "rtol" in options else (1e-5, 1e-5)
    at = jax.jit(value)
    up, down = (jax.tree.map(lambda a, d, s=s: a + s * h * d, trained, direction) for s in (1, -1))
    central = (at(up) - at(down)) / (2 * h)
    gradient = jax.jit(jax.grad(value))(trained)
    by_gradient = sum(jnp.sum(a * b) for a, b in zip(jax.tree.leaves(gradient), jax.tree.leaves(direction), strict=True))
    np.testing.assert_allclose(by_gradient, central, rtol=rtol)
    np.testing.assert_allclose(jax.jit(lambda v, d: jax.jvp(value, (v,), (d,))[1])(trained, direction), central, rtol=rtol)


def test_it_learns(close):
    """The order of two bumps, which increments do not tell: one direction of time against the other."""
    rng = np.random.default_rng(0)
    s = np.linspace(0, 1, 12)
    turn = np.where(rng.uniform(size=64) < 0.5, 1, -1)
    phase, size = rng.uniform(0, 6, 64), rng.uniform(0.5, 1.5, 64)
    angle = phase[:, None] + 2 * np.pi * turn[:, None] * s
    batch = sci.nn.series(s, np.stack([size[:, None] * np.cos(angle), size[:, None] * np.sin(angle)], -1))
    layer = NeuralCDE(2, 6, 1, width=12, key=jax.random.key(0))
    label = jnp.asarray(turn, float)

    @eqx.filter_jit
    @eqx.filter_value_and_grad
    def loss(layer):
        return jnp.mean(jnp.log1p(jnp.exp(-label * jax.vmap(layer)(batch)[:, 0])))

    first = loss(layer)[0]
    for _ in range(60):
        gradient = loss(layer)[1]
        layer = eqx.apply_updates(layer, jax.tree.map(lambda g: -0.3 * g, gradient))
    assert loss(layer)[0] < 0.3 * first


def test_a_penalty():
    layer = make("hermite", solver="tsit5", steps=None)
    sol = layer.solve(whole, regularize=sci.ErrorEstimate(2.0, mode="global"))
    assert sol.penalty > 0 and layer.solve(whole).status == sol.status


ERRORS = {
    "size": (lambda: NeuralCDE(2, 0, 1, key=jax.random.key(0)), ModelError, "NeuralCDE: hidden=0"),
    "control": (lambda: make("spline"), ModelError, "There is no control path 'spline'"),
    "solver": (lambda: make("linear", solver="ralson"), ModelError, "There is no solver 'ralson'. Did you mean 'ralston'?"),
    "steps": (lambda: make("linear", steps=0), ModelError, "steps=0. Give a whole number"),
    "implicit": (lambda: make("linear", solver="kvaerno5"), ModelError, "needs an explicit Runge-Kutta method, and Kvaerno5 is none"),
    "field width": (
        lambda: NeuralCDE(2, 3, 1, field=eqx.nn.MLP(3, 7, 4, 1, key=jax.random.key(0)), key=jax.random.key(0)),
        ModelError,
        "field gives shape (7,), and needs to give (hidden*path width,) = (9,). Write for example field=eqx.nn.MLP(3, 9,",
    ),
    "field input": (
        lambda: NeuralCDE(2, 3, 1, field=eqx.nn.MLP(5, 9, 4, 1, key=jax.random.key(0)), key=jax.random.key(0)),
        ModelError,
        "field does not take a vector of 3 numbers",
    ),
    "initial": (
        lambda: NeuralCDE(2, 3, 1, initial=eqx.nn.Linear(2, 3, key=jax.random.key(0)), key=jax.random.key(0)),
        ModelError,
        "initial does not take a vector of 3 numbers",
    ),
    "no field": (lambda: NeuralCDE(2, 3, 1, field=3.0, key=jax.random.key(0)), ModelError, "field must be callable"),
    "width": (lambda: make("linear")(T, np.ones((7, 5))), SolveError, "made for 2 channels, and the series has 5"),
    "batch": (lambda: make("linear")(None, np.ones((4, 7, 2))), SolveError, "a batch of 4. Write jax.vmap(NeuralCDE)(batch)"),
    "unsorted": (lambda: make("linear")(T[::-1], X), SolveError, "times must increase"),
    "NaN": (lambda: make("linear")(T, np.full((7, 2), np.nan)), SolveError, "14 NaN observations"),
    "one sample": (lambda: make("linear")([0.0], X[:1]), SolveError, "has one sample only"),
    "saveat": (lambda: make("linear")(T, X, saveat="middle"), SolveError, "saveat='middle': write layer(t, x)"),
    "kinks": (lambda: make("linear", solver="heun").solve(T, X), SolveError, "the rate of a path jumps at its knots, and the method 'heun'"),
}


@pytest.mark.parametrize("case", ERRORS)
def test_errors(case):
    call, kind, words = ERRORS[case]
    with pytest.raises(kind) as error:
        call()
    assert words in str(error.value)
