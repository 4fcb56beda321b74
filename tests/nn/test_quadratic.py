"""Optima and projections as layers: closed forms, the conditions of the optimum, derivatives, failures."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import sciml as sci
from sciml.errors import ModelError, SolveError

DTYPE = jnp.result_type(float)
FLOAT32 = jnp.dtype("float32") == DTYPE
TOLERANCE = 3e-3 if FLOAT32 else 1e-7


def random_program(seed=0, n=4, p=1, m=6):
    """A point strictly inside the inequalities exists by construction."""
    rng = np.random.default_rng(seed)
    L, A, G, inside = rng.normal(size=(n, n)), rng.normal(size=(p, n)), rng.normal(size=(m, n)), rng.normal(size=n)
    return {"Q": L @ L.T + 0.5 * np.eye(n), "A": A, "b": A @ inside, "G": G, "h": G @ inside + rng.uniform(0.1, 1.0, m)}, 3 * rng.normal(size=n)


@pytest.fixture(scope="module")
def optimum():
    """(program, q) -> (x, nu, lam), compiled."""
    return jax.jit(lambda p, q: sci.nn.QuadraticProgram(**p).solve(q))


def arrays(program):
    return {name: jnp.asarray(value, DTYPE) for name, value in program.items()}


@pytest.mark.parametrize("seed", range(12))
def test_the_conditions_hold(seed, optimum):
    """Stationary, feasible, multipliers not negative, and zero where there is slack: together they say that it is the optimum."""
    p, q = random_program(seed)
    x, nu, lam = map(np.asarray, optimum(arrays(p), jnp.asarray(q, DTYPE)))
    slack = p["h"] - p["G"] @ x
    np.testing.assert_allclose(p["Q"] @ x + q + p["A"].T @ nu + p["G"].T @ lam, 0, atol=TOLERANCE * 10)
    np.testing.assert_allclose(p["A"] @ x, p["b"], atol=TOLERANCE)
    assert (slack > -TOLERANCE).all() and (lam > -TOLERANCE).all()
    np.testing.assert_allclose(slack * lam, 0, atol=TOLERANCE)


@pytest.mark.parametrize("scale", [1.0, 1e3])
def test_it_finds_all_of_a_hundred(scale):
    """Twenty unknowns, forty inequalities of which some have no slack at the point that is known to satisfy them."""

    def program(seed):
        p, q = random_program(seed, n=20, p=5, m=40)
        inside = np.linalg.lstsq(p["A"], p["b"], rcond=None)[0]
        h = p["G"] @ inside + np.random.default_rng(seed).uniform(0, 1, 40) * (np.arange(40) % 5 > 0)
        return (scale * p["Q"], scale * q, p["A"], p["b"], p["G"], h)

    stacked = [jnp.asarray(np.stack(values), DTYPE) for values in zip(*map(program, range(100)), strict=True)]

    @jax.jit
    @jax.vmap
    def missed(Q, q, A, b, G, h):
        x, nu, lam = sci.nn.QuadraticProgram(Q, A=A, b=b, G=G, h=h).solve(q)
        parts = ((Q @ x + q + A.T @ nu + G.T @ lam) / scale, A @ x - b, jnp.minimum(lam / scale, h - G @ x))
        return jnp.max(jnp.abs(jnp.concatenate(parts)))

    assert np.asarray(missed(*stacked)).max() < (2e-2 if FLOAT32 else 1e-5)


def test_equalities_only_have_a_closed_form(close):
    p, q = random_program()
    layer = sci.nn.QuadraticProgram(p["Q"], A=p["A"], b=p["b"])
    inverse = np.linalg.inv(p["Q"])
    nu = -np.linalg.solve(p["A"] @ inverse @ p["A"].T, p["b"] + p["A"] @ inverse @ q)
    close(layer(jnp.asarray(q, DTYPE)), -inverse @ (q + p["A"].T @ nu), rtol=1e-6, atol=1e-9)


def test_no_constraints(close):
    p, q = random_program()
    close(sci.nn.QuadraticProgram(p["Q"])(jnp.asarray(q, DTYPE)), -np.linalg.solve(p["Q"], q))


def test_a_box_clips(close):
    """Q = I: the projection of -q on -1 <= x <= 1, whose derivative is that of clipping."""
    layer = sci.nn.QuadraticProgram(np.eye(3), G=np.concatenate([np.eye(3), -np.eye(3)]), h=np.ones(6))
    y = jnp.array([-2.0, 0.3, 1.5], DTYPE)
    close(layer(-y), [-1.0, 0.3, 1.0], rtol=1e-6)
    close(jax.jit(jax.jacrev(lambda y: layer(-y)))(y), np.diag([0.0, 1.0, 0.0]), rtol=1e-6, atol=1e-8)


def test_the_simplex_is_that_of_the_projections(close):
    layer = sci.nn.QuadraticProgram(np.eye(4), A=np.ones((1, 4)), b=np.ones(1), G=-np.eye(4), h=np.zeros(4))
    y = jnp.array([0.9, 0.4, -0.2, 0.3], DTYPE)
    close(layer(-y), sci.implicit.projections.simplex(y), rtol=1e-6, atol=1e-8)
    close(jax.jit(jax.jacfwd(lambda y: layer(-y)))(y), jax.jacfwd(sci.implicit.projections.simplex)(y), rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize("seed", [1, 5])
def test_derivatives_against_differences(seed, optimum, close):
    """By all six at once, along a random direction, in both modes."""
    p, q = random_program(seed)
    theta = (arrays(p), jnp.asarray(q, DTYPE))
    rng = np.random.default_rng(seed)
    along = jax.tree.map(lambda leaf: jnp.asarray(rng.normal(size=leaf.shape), DTYPE), theta)
    along[0]["Q"] = along[0]["Q"] + along[0]["Q"].T
    value = lambda theta: jnp.sum(jnp.sin(optimum(*theta)[0]))
    step, rtol = (3e-3, 3e-2) if FLOAT32 else (1e-5, 1e-6)
    ahead, back = (value(jax.tree.map(lambda v, d, s=s: v + s * d, theta, along)) for s in (step, -step))
    gradient = jax.jit(jax.grad(value))(theta)
    slope = sum(jnp.vdot(g, d) for g, d in zip(jax.tree.leaves(gradient), jax.tree.leaves(along), strict=True))
    close(slope, (ahead - back) / (2 * step), rtol=rtol)
    close(jax.jit(lambda theta, along: jax.jvp(value, (theta,), (along,))[1])(theta, along), slope, rtol=1e-8)


def test_a_multiplier_is_the_price_of_its_constraint(optimum, close):
    """The least value falls by lam[i] as h[i] grows by 1."""
    p, q = random_program(3)
    q = jnp.asarray(q, DTYPE)

    def least(h):
        x, _, lam = optimum({**arrays(p), "h": h}, q)
        return 0.5 * x @ (jnp.asarray(p["Q"], DTYPE) @ x) + q @ x, lam

    by_h, lam = jax.jit(jax.grad(least, has_aux=True))(jnp.asarray(p["h"], DTYPE))
    assert jnp.max(lam) > 0.1
    close(-by_h, lam, rtol=1e-5, atol=1e-4 if FLOAT32 else 1e-7)


def test_a_batch_with_a_part_that_has_no_point():
    """x <= h and x >= 0 has no point for h < 0: NaN in that lane, the others are found."""
    layer = sci.nn.QuadraticProgram(np.eye(1), G=np.array([[1.0], [-1.0]]), h=np.zeros(2))
    solve = jax.jit(jax.vmap(lambda top: layer(-jnp.ones(1, DTYPE), h=jnp.stack([top, jnp.zeros((), DTYPE)]))))
    found = np.asarray(solve(jnp.array([0.5, -1.0, 2.0], DTYPE)))[:, 0]
    np.testing.assert_allclose(found, [0.5, np.nan, 1.0], atol=1e-3)


def test_float32(optimum, close):
    p, q = random_program(2)
    x = optimum({n: jnp.asarray(v, jnp.float32) for n, v in p.items()}, jnp.asarray(q, jnp.float32))[0]
    assert x.dtype == jnp.float32
    close(x, optimum(arrays(p), jnp.asarray(q, DTYPE))[0], rtol=2e-2, atol=2e-3)


def test_a_bound_is_learnt_from_optima():
    """Clipped numbers are seen; where they are clipped is trained, the other arrays are NumPy's and stay."""
    y = jax.random.normal(jax.random.key(0), (60, 1), DTYPE)
    layer = sci.nn.QuadraticProgram(np.eye(1), G=np.eye(1), h=jnp.array([1.5], DTYPE))

    def loss(layer, batch, key):
        return jnp.mean((jax.vmap(lambda y: layer(-y))(batch) - jnp.minimum(batch, 0.5)) ** 2)

    model = sci.nn.fit(layer, y, loss, batch=20, steps=200, optimizer=optax.adam(0.05), progress=False).model
    assert abs(float(model.h[0]) - 0.5) < 0.01 and isinstance(model.G, np.ndarray)


@pytest.mark.parametrize(
    "make, sentence",
    [
        (lambda: sci.nn.QuadraticProgram(np.eye(3)[:2]), r"the shapes Q \(2, 3\), q \(2,\), .* do not fit"),
        (lambda: sci.nn.QuadraticProgram(np.eye(3), A=np.ones((1, 3))), r"A \(1, 3\), b None, .* do not fit"),
        (lambda: sci.nn.QuadraticProgram(np.eye(3), G=np.ones((1, 2)), h=np.ones(1)), r"G \(1, 2\), h \(1,\) do not fit"),
        (lambda: sci.nn.QuadraticProgram(np.array([[1.0, 1.0], [0.0, 1.0]])), r"Q is not symmetric. Write \(Q \+ Q.T\)/2"),
        (lambda: sci.nn.QuadraticProgram(np.diag([1.0, -1.0])), r"Q has the eigenvalue -1, .*Q = L @ L.T"),
        (lambda: sci.nn.QuadraticProgram(np.eye(3))(jnp.ones((5, 3), DTYPE)), r"q \(5, 3\).*jax.vmap makes batches"),
        (lambda: sci.nn.QuadraticProgram(np.eye(3))(jnp.ones(3, DTYPE), H=np.ones(3)), "has no H. There are: Q, q, A, b, G, h"),
        (
            lambda: sci.nn.QuadraticProgram(np.eye(1), G=np.array([[1.0], [-1.0]]), h=np.array([-1.0, 0.0]))(jnp.ones(1, DTYPE)),
            "found no optimum: it ended where G x <= h, row [01], is missed by .*no point satisfies all constraints",
        ),
        (lambda: sci.nn.Projection("simplx"), "no set 'simplx'. Did you mean 'simplex'"),
        (lambda: sci.nn.Projection(3), r'not 3: write Projection\("simplex"\)'),
        (lambda: sci.nn.Projection("box", lower=0.0), "box has the options lower, upper, and was given lower"),
    ],
)
def test_what_they_cannot_use(make, sentence):
    with pytest.raises((ModelError, SolveError), match=sentence):
        make()


# Projections


@pytest.mark.parametrize(
    "layer, expected",
    [
        (sci.nn.Projection("box", lower=-1.0, upper=1.0), [1.0, -1.0]),
        (sci.nn.Projection("non_negative"), [3.0, 0.0]),
        (sci.nn.Projection("simplex", total=2.0), [2.0, 0.0]),
        (sci.nn.Projection("l2_ball", radius=1.0), [0.6, -0.8]),
        (sci.nn.Projection("affine", A=np.array([[1.0, 1.0]]), b=np.array([1.0])), [4.0, -3.0]),
        (sci.nn.Projection(lambda y: y - jnp.mean(y)), [3.5, -3.5]),
    ],
)
def test_the_nearest_point(layer, expected, close):
    close(layer(jnp.array([3.0, -4.0], DTYPE)), expected)
    close(eqx.nn.Sequential([eqx.nn.Identity(), layer])(jnp.array([3.0, -4.0], DTYPE)), expected)


def test_the_radius_of_a_ball_is_learnt():
    y = 3 * jax.random.normal(jax.random.key(0), (50, 2), DTYPE)
    target = jax.vmap(lambda y: sci.implicit.projections.l2_ball(y, radius=1.5))(y)
    loss = lambda layer, batch, key: jnp.mean((jax.vmap(layer)(batch[0]) - batch[1]) ** 2)
    layer = sci.nn.Projection("l2_ball", radius=jnp.array(1.0, DTYPE))
    model = sci.nn.fit(layer, (y, target), loss, steps=200, optimizer=optax.adam(0.05), progress=False).model
    assert abs(float(model.options["radius"]) - 1.5) < 0.01
