"""Implicit differentiation against closed forms and finite differences, in both modes; bad input."""

import jax
import jax.numpy as jnp
import lineax as lx
import numpy as np
import pytest
import scipy.optimize

import sciml as sci

FLOAT32 = not jax.config.jax_enable_x64
project = sci.implicit.projections


def differences(function, at, h=1e-5):
    """The Jacobian by central differences."""
    at = np.asarray(at, float)
    steps = h * np.eye(at.size).reshape(at.size, *at.shape)
    columns = [(np.asarray(function(jnp.asarray(at + s))) - np.asarray(function(jnp.asarray(at - s)))) / (2 * h) for s in steps]
    return np.stack(columns, axis=-1)


def agrees(function, at, close, rtol=1e-6):
    """Both modes give one Jacobian, and it is that of the differences."""
    forward, reverse = jax.jacfwd(function)(at), jax.jacrev(function)(at)
    close(forward, reverse, rtol=1e-10, atol=1e-12)
    if not FLOAT32:
        close(forward, differences(function, at), rtol=rtol, atol=rtol)
    return forward


def cubic(x, theta):
    return x**3 + x - theta


@sci.implicit(cubic)
def newton(theta):
    """A loop of JAX that reverse mode could not differentiate."""

    def body(state):
        x, _ = state
        step = cubic(x, theta) / (3 * x**2 + 1)
        return x - step, jnp.max(jnp.abs(step))

    return jax.lax.while_loop(lambda state: state[1] > (1e-5 if FLOAT32 else 1e-12), body, (0 * theta, jnp.asarray(jnp.inf, theta.dtype)))[0]


def test_closed_form_of_any_order(close):
    two = jnp.asarray(2.0)  # x = 1, x' = 1/(3x^2 + 1), x'' = -6x x'^3
    close([newton(two), jax.grad(newton)(two), jax.jacfwd(newton)(two)], [1.0, 0.25, 0.25])
    close([jax.grad(jax.grad(newton))(two), jax.hessian(newton)(two), jax.jacfwd(jax.jacfwd(newton))(two)], [-6 / 64] * 3)
    assert newton.__name__ == "newton" and "A loop" in newton.__doc__


def test_under_jit_and_vmap(close):
    theta = jnp.linspace(-3.0, 10.0, 5)
    x = jax.vmap(newton)(theta)
    slope = 1 / (3 * x**2 + 1)
    close(jax.jit(jax.vmap(jax.grad(newton)))(theta), slope)
    close(jax.vmap(jax.jit(jax.jacfwd(newton)))(theta), slope)
    close(jax.grad(lambda theta: jnp.sum(jax.jit(jax.vmap(newton))(theta)))(theta), slope)


def test_pytrees_through_scipy(close):
    """The solver sees plain numbers, in both modes, eagerly."""

    def F(x, theta, data):
        return {"a": x["a"] ** 3 + x["b"] - theta["p"], "b": 2 * x["b"] + jnp.sin(x["a"][0]) - theta["q"] * jnp.mean(data)}

    @sci.implicit(F)
    def solve(theta, data, *, start=1.0):
        assert not any(isinstance(leaf, jax.core.Tracer) for leaf in jax.tree.leaves((theta, data)))
        parts = lambda v: {"a": v[:2], "b": v[2]}
        flat = lambda v: np.concatenate([np.ravel(leaf) for leaf in jax.tree.leaves(F(jax.tree.map(jnp.asarray, parts(v)), theta, data))])
        return parts(scipy.optimize.root(flat, np.full(3, start), tol=1e-5 if FLOAT32 else 1e-13).x)

    def value(v):
        x = solve({"p": v[:2], "q": v[2]}, v[3:], start=0.5)
        return jnp.append(x["a"], x["b"])

    agrees(value, jnp.array([2.0, 3.0, 1.5, 0.5, 1.0]), close)


def test_arguments_by_name_and_beyond_F():
    @sci.implicit(lambda x, theta: x - theta)
    def solve(theta, start=None, *, label="a"):
        assert label == "b" and start is not None
        return jnp.asarray(theta)

    assert jax.grad(lambda v: solve(start=v, theta=v, label="b"))(3.0) == 1.0


def test_what_is_closed_over_is_differentiated(close):
    def value(weight):
        F = lambda x, theta: x**2 - theta * weight
        solve = sci.implicit(F)(lambda theta: jnp.sqrt(theta * weight))
        return solve(2.0) + sci.implicit(F).root(1.5, 2.0)

    close(jax.grad(value)(2.0), 1.0)
    close(jax.jit(jax.jacfwd(value))(2.0), 1.0)
    close(jax.vmap(jax.grad(value))(jnp.array([2.0, 8.0])), [1.0, 0.5])


# Roots


@pytest.mark.parametrize("scale", [1.0, 1e10, 1e-10])
def test_root_whatever_the_units_of_F(scale, close):
    root = sci.implicit(lambda x, theta: scale * jnp.stack([x[0] ** 2 + x[1] ** 2 - theta, x[0] - x[1]]))
    find = lambda theta: root.root(jnp.array([1.0, 0.2]), theta)
    for call in (find, jax.jit(find)):
        close(call(8.0), [2.0, 2.0])
        close(jax.jacrev(call)(8.0), [0.125, 0.125])
        close(jax.jacfwd(call)(8.0), [0.125, 0.125])


def test_root_of_badly_scaled_unknowns_is_not_called_singular(close):
    root = sci.implicit(lambda x, theta: {"big": x["big"] / 1e12 - theta, "small": x["small"] * 1e12 + x["big"] / 1e12 - 2 * theta})
    gradient = jax.jacrev(lambda theta: root.root({"big": 1e11, "small": 0.0}, theta))(1.0)
    close([gradient["big"] / 1e12, gradient["small"] * 1e12], [1.0, 1.0])


def test_root_where_newton_fails(close):
    """From 3 Newton's method on arctan diverges."""
    root = sci.implicit(lambda x, theta: jnp.arctan(x - theta))
    close(root.root(3.0, 0.5), 0.5, atol=1e-9)
    value, slope = jax.jit(jax.vmap(jax.value_and_grad(lambda theta: root.root(3.0, theta))))(jnp.array([0.5, 2.9]))
    close([value, slope], [[0.5, 2.9], [1.0, 1.0]], atol=1e-9)


def test_no_root():
    root = sci.implicit(lambda x, theta: x**2 + theta)
    with pytest.raises(sci.errors.SolveError, match=r"No root of F .* \|F\| = 1 in the component of x"):
        root.root(0.7, 1.0)
    found, slope = jax.jit(jax.value_and_grad(lambda theta: root.root(0.7, theta)))(1.0)
    assert np.isnan(found) and np.isnan(slope)
    assert np.isnan(sci.implicit(lambda x, theta: x**2 + theta, throw=False).root(0.7, 1.0))
    with pytest.raises(sci.errors.SolveError, match="NaN or infinite at the start"):
        sci.implicit(lambda x, theta: jnp.log(x) - theta).root(-1.0, 1.0)


# Conditions


def test_ridge_regression(close):
    rng = np.random.default_rng(0)
    A, b = jnp.asarray(rng.normal(size=(20, 4))), jnp.asarray(rng.normal(size=20))
    f = lambda x, theta: 0.5 * jnp.sum((A @ x - b) ** 2) + 0.5 * jnp.sum(jnp.exp(theta) * x**2)
    solve = sci.implicit(sci.implicit.stationary(f))(lambda theta: jnp.linalg.solve(A.T @ A + jnp.diag(jnp.exp(theta)), A.T @ b))
    theta = jnp.array([-1.0, 0.0, 1.0, 2.0])
    x = solve(theta)
    exact = -jnp.linalg.inv(A.T @ A + jnp.diag(jnp.exp(theta))) * (jnp.exp(theta) * x)[None]
    close(agrees(solve, theta, close), exact, atol=1e-12)
    close(jax.jacrev(lambda theta: sci.implicit(sci.implicit.stationary(f)).root(jnp.zeros(4), theta))(theta), exact, atol=1e-12)


def test_fixed_point(close):
    """Kepler's equation E = M + e*sin(E): dE/dM = 1/(1 - e*cos(E))."""

    @sci.implicit(sci.implicit.fixed_point(lambda E, M, e: M + e * jnp.sin(E)))
    def kepler(M, e):
        return jax.lax.fori_loop(0, 100, lambda _, E: M + e * jnp.sin(E), M)

    E = kepler(1.0, 0.3)
    by_M, by_e = jax.grad(kepler, argnums=(0, 1))(1.0, 0.3)
    close([by_M, by_e], np.array([1.0, np.sin(E)]) / (1 - 0.3 * np.cos(E)))
    close(jax.jvp(kepler, (1.0, 0.3), (1.0, 0.0))[1], by_M)


def test_kkt_with_active_and_inactive_constraints(close):
    """min |x - p|^2/2, sum(x) = s, x <= u: the free ones share what is left."""
    F = sci.implicit.kkt(
        lambda x, p: 0.5 * jnp.sum((x - p["p"]) ** 2),
        equality=lambda x, p: jnp.sum(x) - p["s"],
        inequality=lambda x, p: {"upper": x - p["u"]},
    )
    p = {"p": jnp.array([1.0, 2.0, 6.0]), "s": jnp.asarray(4.5), "u": jnp.asarray(2.5)}
    start = (jnp.ones(3), jnp.asarray(0.0), {"upper": jnp.zeros(3)})
    root = sci.implicit(F)
    x, nu, lam = root.root(start, p)
    close(x, [0.5, 1.5, 2.5], atol=1e-9)
    close([*lam["upper"], nu], [0.0, 0.0, 3.0, 0.5], atol=1e-9)
    for mode in (jax.jacfwd, jax.jacrev):
        by_x, _, by_lam = mode(lambda p: root.root(start, p))(p)
        close(by_x["p"], [[0.5, -0.5, 0], [-0.5, 0.5, 0], [0, 0, 0]], atol=1e-12)
        close(by_x["s"], [0.5, 0.5, 0], atol=1e-12)
        close(by_x["u"], [-0.5, -0.5, 1], atol=1e-12)
        close(by_lam["upper"]["p"], [[0, 0, 0], [0, 0, 0], [-0.5, -0.5, 1]], atol=1e-12)


def test_kkt_of_what_scipy_found(close):
    """min of a nonlinear f in a disc and a half plane; the multipliers from the gradients."""
    f = lambda x, theta: (x[0] - theta[0]) ** 4 + (x[1] - theta[1]) ** 2 + 0.3 * x[0] * x[1]
    h = lambda x, theta: jnp.stack([jnp.sum(x**2) - theta[2], -x[0] - 5.0])

    @sci.implicit(sci.implicit.kkt(f, inequality=h))
    def solve(theta):
        at = lambda g: lambda v: np.asarray(g(jnp.asarray(v), theta), float)
        constraint = {"type": "ineq", "fun": lambda v: -at(h)(v), "jac": lambda v: -at(jax.jacfwd(h))(v)}
        x = scipy.optimize.minimize(at(f), np.array([0.5, 0.5]), jac=at(jax.grad(f)), constraints=constraint, method="SLSQP", tol=1e-14).x
        gradient, active = at(jax.grad(f))(x), at(jax.jacfwd(h))(x)[0]
        return x, None, np.array([-gradient @ active / (active @ active), 0.0])

    if not FLOAT32:
        at = jnp.array([1.5, 1.2, 1.0])
        slope = agrees(lambda theta: solve(theta)[0], at, close, rtol=2e-6)
        root = sci.implicit(sci.implicit.kkt(f, inequality=h))
        close(jax.jacrev(lambda theta: root.root(solve(theta), theta)[0])(at), slope, rtol=1e-5)


PROJECTIONS = {
    "box": lambda y: project.box(y, lower=-0.5, upper=jnp.array([0.3, 0.4, 2.0, 0.2])),
    "non_negative": project.non_negative,
    "simplex": project.simplex,
    "l2_ball": lambda y: project.l2_ball(y, radius=0.8),
    "affine": lambda y: project.affine(y, A=jnp.array([[1.0, 2.0, 0.0, 1.0], [0.0, 1.0, -1.0, 1.0]]), b=jnp.array([1.0, 0.5])),
}


@pytest.mark.parametrize("name", PROJECTIONS)
def test_projection(name, close):
    """The nearest point: it stays where it is, and y - x is normal to the way to any other; both modes."""
    projection = PROJECTIONS[name]
    y = jnp.array([0.9, 0.45, -0.7, 0.1])
    x = projection(y)
    close(projection(x), x, atol=1e-12)
    others = jax.vmap(projection)(jnp.asarray(np.random.default_rng(0).normal(size=(200, 4))))
    assert jnp.max((others - x[None]) @ (y - x)) < 1e-6
    agrees(projection, y, close)
    if name != "non_negative":
        far = projection(10 * y)
        assert np.all(np.isfinite(far)) and not np.allclose(far, 10 * y)


@pytest.mark.parametrize("name", PROJECTIONS)
def test_projected_gradient(name, close):
    """A quadratic over the set, by repeated projection."""
    Q = jnp.array([[2.0, 0.3, 0.0, 0.1], [0.3, 1.5, 0.2, 0.0], [0.0, 0.2, 1.0, 0.4], [0.1, 0.0, 0.4, 1.2]])
    f = lambda x, theta: 0.5 * x @ Q @ x - theta @ x
    F = sci.implicit.projected_gradient(f, PROJECTIONS[name], step=0.4)

    @sci.implicit(F)
    def solve(theta):
        return jax.lax.fori_loop(0, 400, lambda _, x: x + F(x, theta), jnp.zeros(4))

    agrees(solve, jnp.array([1.6, 0.9, -0.7, 0.3]), close)


def test_simplex_and_its_parameters(close):
    y = jnp.array([[0.8, 0.6, -0.5], [2.0, 0.0, 0.0]])
    close(project.simplex(y), [[0.6, 0.4, 0.0], [1.0, 0.0, 0.0]], atol=1e-12)
    close(project.simplex(jnp.array([0.7, 0.7, 0.7])), [1 / 3] * 3)
    close(jax.jacrev(lambda total: project.simplex(y, total=total))(1.0), [[0.5, 0.5, 0], [1, 0, 0]], atol=1e-12)
    close(jax.jacfwd(project.simplex)(y[0]), [[0.5, -0.5, 0], [-0.5, 0.5, 0], [0, 0, 0]], atol=1e-12)
    F = sci.implicit.projected_gradient(lambda x, theta: jnp.sum((x - 1.0) ** 2), lambda y, theta: project.box(y, lower=0.0, upper=theta))
    close(jax.grad(lambda theta: jnp.sum(sci.implicit(F).root(jnp.zeros(2), theta)))(0.5), 2.0)


# Linear solvers


def chain(x, theta):
    """A diffusion with a source, many unknowns."""
    left, right = jnp.roll(x, 1).at[0].set(0.0), jnp.roll(x, -1).at[-1].set(0.0)
    return 2.5 * x - left - right + 0.1 * x**3 - theta


@pytest.mark.parametrize("solver", ["default", "cg", "gmres", "svd"])
def test_linear_solvers_agree(solver, close):
    size = 1200 if solver == "default" else 40
    tight = 1e-5 if FLOAT32 else 1e-12
    options = {
        "default": {},
        "cg": {"linear_solver": lx.CG(tight, tight), "tags": (lx.symmetric_tag, lx.positive_semidefinite_tag)},
        "gmres": {"linear_solver": lx.GMRES(tight, tight)},
        "svd": {"linear_solver": lx.SVD()},
    }[solver]
    root = sci.implicit(chain, **options)
    theta = 1 + jnp.arange(size) / size
    x, tangent = jax.jvp(lambda theta: root.root(jnp.zeros(size), theta), (theta,), (jnp.ones(size),))
    gradient = jax.jit(jax.grad(lambda theta: jnp.sum(root.root(jnp.zeros(size), theta))))(theta)
    J = np.diag(2.5 + 0.3 * np.asarray(x) ** 2) - np.eye(size, k=1) - np.eye(size, k=-1)
    close(tangent, np.linalg.solve(J, np.ones(size)), rtol=1e-5)
    close(gradient, np.linalg.solve(J.T, np.ones(size)), rtol=1e-5)


def test_memory_does_not_grow_with_the_iterations():
    """A scan of 777 iterations leaves nothing of that length in the gradient; reverse through it would."""
    solver = lambda theta: jax.lax.scan(lambda x, _: (x - 0.1 * cubic(x, theta), None), 0 * theta, length=777)[0]
    sizes = lambda function: set(_dimensions(jax.make_jaxpr(jax.grad(lambda t: jnp.sum(function(t))))(jnp.ones(3)).jaxpr))
    assert 777 in sizes(solver)
    assert 777 not in sizes(sci.implicit(cubic, throw=False)(solver))


def _dimensions(jaxpr):
    for equation in jaxpr.eqns:
        for variable in equation.outvars:
            yield from getattr(variable.aval, "shape", ())
        for inner in jax.core.jaxprs_in_params(equation.params):
            yield from _dimensions(inner)


@pytest.mark.parametrize("solver", [None, lx.GMRES(1e-6, 1e-6)])
def test_no_callbacks_in_programs(solver):
    root = sci.implicit(chain, linear_solver=solver)
    program = jax.make_jaxpr(jax.jit(jax.grad(lambda theta: jnp.sum(root.root(jnp.zeros(3), theta)))))(jnp.ones(3))
    assert "callback" not in str(program)


# Bad input


BAD = {
    "shape": (lambda x, theta: x[:1] - theta[:1], lambda theta: theta, r"F has shape \(1,\) where the x of solve has shape \(2,\)"),
    "structure": (lambda x, theta: {"a": x}, lambda theta: theta, "F has one value for each number of x, in the same structure"),
    "wrong": (lambda x, theta: x - theta, lambda theta: theta + 0.01, r"does not satisfy F: \|F\| = 0.01 .* where at most"),
    "nan": (lambda x, theta: x - theta, lambda theta: theta * jnp.nan, "solve gave NaN or infinity in x: there is nothing"),
    "nan of F": (lambda x, theta: jnp.log(x) - theta, lambda theta: -theta, "F is NaN at the x that solve gave"),
    "nothing": (lambda x, theta: x - theta, lambda theta: None, "holds no numbers: does the solver return x?"),
    "iterations": (lambda x, theta: (x[0] - theta, x[1]), lambda theta: (theta, 7), r"holds 7 \(int\) at x\[1\].* A solver returns x alone"),
    "complex": (lambda x, theta: x - theta, lambda theta: theta.astype(complex), "complex x is written as its real and imaginary parts"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_answers(case):
    F, solver, message = BAD[case]

    @sci.implicit(F)
    def solve(theta):
        return solver(theta)

    with pytest.raises(sci.errors.SolveError, match=message):
        solve(jnp.ones(2))


def test_bad_theta():
    solve = sci.implicit(lambda x, theta: x - 1.0)(lambda theta: jnp.ones(()))
    with pytest.raises(sci.errors.SolveError, match=r"theta\['mode'\] is 'fast' \(str\), where F takes numbers and arrays"):
        solve({"mode": "fast"})
    with pytest.raises(sci.errors.SolveError, match="keys of a dict in theta must be text"):
        solve({sci.t: 1.0, sci.parameters("a", 1.0): 2.0})
    with pytest.raises(sci.errors.SolveError, match=r"F takes 2 arguments after x \(theta, data\), and the solver was given 1"):
        sci.implicit(lambda x, theta, data: x)(lambda theta: theta)(1.0)
    with pytest.raises(sci.errors.SolveError, match="not 3"):
        sci.implicit(3)
    with pytest.raises(sci.errors.SolveError, match="write a lineax solver"):
        sci.implicit(chain, linear_solver="lu")


def test_singular():
    twice = lambda x, theta: jnp.stack([0.1 * x[0] + 0.2 * x[1] - theta, 0.3 * x[0] + 0.6 * x[1] - 3 * theta])
    solver = lambda theta: jnp.stack([4 * theta, 3 * theta])
    solve = sci.implicit(twice)(solver)
    for mode in (jax.jacfwd, jax.jacrev):
        with pytest.raises(sci.errors.SolveError, match=r"dF/dx is singular .* F does not change as x\[0\], x\[1\] moves"):
            mode(solve)(1.0)
        assert np.all(np.isnan(jax.jit(mode(solve))(1.0)))
    with pytest.raises(sci.errors.SolveError, match="dF/dx is singular"):
        jax.grad(sci.implicit(lambda x, theta: x**2 - theta)(jnp.sqrt))(0.0)
    least = jax.jacrev(sci.implicit(twice, linear_solver=lx.SVD())(solver))(1.0)
    np.testing.assert_allclose(least, [2.0, 4.0], rtol=1e-4)


def test_bad_conditions():
    f, one = lambda x, theta: jnp.sum(x**2), jnp.ones(2)
    for make, x, message in [
        (lambda: sci.implicit.kkt(f), one, "kkt without constraints"),
        (lambda: sci.implicit.kkt(f, equality=f), one, r"tuple \(x, nu, lam\)"),
        (lambda: sci.implicit.kkt(f, equality=lambda x, theta: x), (one, jnp.ones(3), None), r"nu .* is of shape \(3,\), and equality= gives \(2,\)"),
        (lambda: sci.implicit.kkt(f, equality=lambda x, theta: x), (one, one, one), r"lam .* is of shape \(2,\), and inequality= gives nothing"),
        (lambda: sci.implicit.stationary(lambda x, theta: x**2), one, r"f gives an array of shape \(2,\), where one number"),
        (lambda: sci.implicit.fixed_point(lambda x, theta: x[0]), one, r"T has shape \(\) where x has \(2,\)"),
    ]:
        with pytest.raises(sci.errors.SolveError, match=message):
            sci.implicit(make()).root(x, 1.0)
    for call, message in [
        (lambda: project.box(one, lower=1.0, upper=0.0), "lower=1.0 is above upper=0.0"),
        (lambda: project.simplex(one, total=0.0), "total=0.0 is not above 0"),
        (lambda: project.l2_ball(one, radius=-1.0), "radius=-1.0 is not above 0"),
        (lambda: project.affine(one, A=jnp.ones((1, 3)), b=jnp.ones(1)), r"A of shape \(1, 3\), x of shape \(2,\)"),
    ]:
        with pytest.raises(sci.errors.SolveError, match=message):
            call()
