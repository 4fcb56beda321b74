"""What a trained network gives: values, derivatives, comparisons, tables and pictures. The networks here are formulas."""

from functools import partial

import equinox as eqx
import jax
import jax.numpy as jnp
import matplotlib.pyplot as plt
import numpy as np
import pytest
import sympy as sp

import sciml as sci
from sciml.errors import NameUnknown, SolveError
from sciml.pinn.fit import fit

t = sci.t
untrained = partial(fit, train=[], progress=False, points=8)


class Formula(eqx.Module):
    """A network that is a formula of its inputs times a number."""

    scale: jax.Array
    of: object = eqx.field(static=True)

    def __call__(self, inputs):
        return self.scale * self.of(inputs)


def formula(of):
    return Formula(jnp.asarray(1.0), of)


@pytest.fixture(autouse=True)
def _closed_figures():
    yield
    plt.close("all")


x = sci.space("x", 0, 2, unit="m")
u = sci.fields("u", t, x, unit="K")
kappa = sci.parameters("kappa", 0.25, unit="m**2/s")
hot, long = sci.constants("hot long", [1.0, 1.0], unit=["K", "m"])
EXACT = hot * sp.exp(-kappa * t / long**2) * sp.sin(x / long)


def rod(**more):
    return sci.System(
        [sci.eq(u.diff(t), kappa * u.diff(x, 2))],
        initial={u: hot * sp.sin(x / long)},
        boundary={x.left: sci.eq(u, 0), x.right: sci.eq(u, EXACT.subs(x, 2 * long))},
        observed={"heat": sci.integral(u, x), "slope": u.diff(x), "middle": sci.at(u, x, 1)},
        units={t: "s"},
        name="rod",
        **more,
    )


def cooled(inputs):
    """exp(-t/4) sin x for t from 0 to 3 and x from 0 to 2, both moved to [-1, 1]."""
    return jnp.exp(-0.25 * 1.5 * (inputs[0] + 1)) * jnp.sin(inputs[1] + 1)


@pytest.fixture(scope="module")
def net():
    return untrained(rod(), formula(cooled), t_span=(0, 3), conditions="soft")


# -- on the grid ------------------------------------------------------------------------------------


def test_the_grid_runs_over_time_and_space(net, close):
    values = net[u]
    assert values.shape == (len(net.t), len(net.axes["x"].points)) == (101, 201)
    close(values, np.exp(-0.25 * net.t)[:, None] * np.sin(net.axes["x"].points), rtol=1e-12)
    close(net["u"], values)


@pytest.mark.parametrize(
    "expression",
    [u.diff(x), u.diff(t), u.diff(t, x), u.diff(x, 2) * x + t * u**2, kappa * u.diff(x, 3), sp.Max(u, 0.5 * hot), sci.D(kappa * u.diff(x), x)],
    ids=str,
)
def test_expressions_are_those_of_the_exact_solution(net, close, expression):
    formula = expression.subs(u, EXACT).doit().subs({kappa: 0.25, hot: 1, long: 1})
    f = sp.lambdify((t, x), formula, modules=["numpy", {"D": None}]) if not formula.has(sci.D) else None
    f = f or sp.lambdify((t, x), 0.25 * sp.diff(sp.exp(-t / 4) * sp.sin(x), x, 2))
    close(net[expression], f(net.t[:, None], net.axes["x"].points[None, :]), rtol=1e-9, atol=1e-12)


def test_a_quantity_has_the_dimensions_that_it_depends_on(net, close):
    assert net[kappa].shape == () and float(net["kappa"]) == 0.25
    close(net[x**2], net.axes["x"].points ** 2)
    close(net[sp.exp(-t)], np.exp(-net.t))
    assert net.over("heat") == ("t",) and net.over(u) == ("t", "x")


def test_integrals_and_values_elsewhere(net, close):
    decay = np.exp(-0.25 * net.t)
    close(net["heat"], decay * (1 - np.cos(2)), rtol=1e-13)
    close(net["middle"], decay * np.sin(1), rtol=1e-13)
    close(net[u.subs(x, 0.5)], decay * np.sin(0.5), rtol=1e-13)
    close(net[u.diff(x).subs(x, 0.5)], decay * np.cos(0.5), rtol=1e-12)
    close(net[u.subs(x, 2 - x).diff(x)][0], -np.cos(2 - net.axes["x"].points), rtol=1e-11, atol=1e-13)
    close(net[u.subs(t, 0)], np.sin(net.axes["x"].points), rtol=1e-12)
    close(net[sci.integral(u, x, to=x)][0], 1 - np.cos(net.axes["x"].points), rtol=1e-12, atol=1e-14)
    close(net[sci.integral(u**2, x) - sci.at(u, x, 1) ** 2 + sci.integral(u, x).diff(t)][0], 1 - np.sin(4) / 4 - np.sin(1) ** 2 - (1 - np.cos(2)) / 4)
    close(net[sci.integral(x * sci.integral(u, x), x)][0], 2 * (1 - np.cos(2)), rtol=1e-12)


def test_a_stationary_field_has_no_time(close):
    y = sci.space("y", -1, 1)
    v = sci.fields("v", y)
    poisson = sci.System([sci.eq(v.diff(y, 2), 12 * y**2 - 2)], boundary={y.left: sci.eq(v, 0), y.right: sci.eq(v, 0)})
    net = untrained(poisson, formula(lambda z: -(z[0] ** 2)))  # built in: v = (1 - y^2) times the network
    close(net[v], net.axes["y"].points ** 4 - net.axes["y"].points ** 2, atol=1e-14)
    close(net.residual(), np.zeros(201), atol=1e-12)
    assert net[v].shape == (201,) and net.t.shape == (0,) and net[v.diff(y, 2)].shape == (201,)


def test_two_coordinates_two_fields_and_a_coefficient(close):
    y, z = sci.space("y", 0, 1), sci.space("z", 0, 3, periodic=True)
    v, w = sci.fields("v w", t, y, z)
    k = sci.parameters("k", over=y)
    conditions = {side: [sci.eq(v, 0), sci.eq(w, 0)] for side in (y.left, y.right)}
    system = sci.System([sci.eq(v.diff(t), sci.D(k * v.diff(y), y)), sci.eq(w.diff(t), w.diff(z))], initial={v: 0, w: 0}, boundary=conditions)

    def both(inputs):  # t, y, cos z, sin z
        return jnp.stack([inputs[0] * inputs[2], inputs[1]])

    network = {("v", "w"): formula(both), "k": formula(lambda inputs: 1 + inputs[0] ** 2)}
    net = untrained(system, network, free=[k], conditions="soft")
    assert net[v].shape == (101, 65, 65) and net[k].shape == (65,) and set(net.fields) == {"v", "w", "k"}
    points = {n: a.points for n, a in net.axes.items()}
    close(net[k * k.diff(y)], (1 + (2 * points["y"] - 1) ** 2) * 4 * (2 * points["y"] - 1), rtol=1e-11, atol=1e-12)
    close(net[v.diff(z)][-1, 0], -2 * np.pi / 3 * np.sin(2 * np.pi * points["z"] / 3), rtol=1e-10, atol=1e-12)
    close(net[w][0, :, 0], 2 * points["y"] - 1)
    assert points["z"][-1] < 3 and points["y"][-1] == 1  # a period ends where it begins
    assert net.to_xarray()["k"].dims == ("y",)


def test_complex_fields(close):
    y = sci.space("y", 0, 2 * np.pi, periodic=True)
    psi = sci.fields("psi", t, y, real=False)
    free = sci.System(
        [sci.eq(sp.I * psi.diff(t), -psi.diff(y, 2) / 2)],
        initial={psi: sp.exp(sp.I * y)},
        observed={"density": psi * sp.conjugate(psi), "mass": sci.integral(psi * sp.conjugate(psi), y)},
    )

    def wave(inputs):  # exp(i (y - t/2)), t from 0 to 1
        c, s = jnp.cos((inputs[0] + 1) / 4), jnp.sin((inputs[0] + 1) / 4)
        return jnp.stack([inputs[1] * c + inputs[2] * s, inputs[2] * c - inputs[1] * s])

    net = untrained(free, formula(wave), conditions="soft")
    exact = np.exp(1j * (net.axes["y"].points - net.t[:, None] / 2))
    close(net[psi], exact, rtol=1e-12)
    close(net[psi.diff(y)], 1j * exact, rtol=1e-12)
    close(net[sci.at(psi, y, 1)], np.exp(1j * (1 - net.t / 2)), rtol=1e-12)
    close(net[sp.re(psi) * 2], 2 * exact.real, atol=1e-12)
    assert jnp.isrealobj(net["density"]) and jnp.isrealobj(net["mass"])
    close(net["mass"], np.full(101, 2 * np.pi), rtol=1e-13)
    assert net.error({psi: sp.exp(sp.I * (y - t / 2))})["psi"] < 1e-5
    assert np.abs(net.residual()).max() < 1e-4
    assert net.plot(psi).get_title() == r"$|\psi|$"


# -- at points --------------------------------------------------------------------------------------


def test_points_give_their_shape(net, close):
    ts, xs = np.array([[0.0, 1.0, 3.0]]), np.array([[0.5, 1.0, 2.0]])
    close(net({"t": ts, "x": xs})[u], np.exp(-0.25 * ts) * np.sin(xs), rtol=1e-12)
    assert net({"t": 1.0, "x": 0.5})[u].shape == ()
    close(net({t: 1.0, x: [0.5, 1.0]})["slope"], np.exp(-0.25) * np.cos([0.5, 1.0]), rtol=1e-12)
    close(net({"t": 1.0, "x": np.linspace(0, 2, 5000)})[u][-1], np.exp(-0.25) * np.sin(2), rtol=1e-12)  # in several parts
    close(net({"t": [1.0, 2.0], "x": 0.1})["heat"], np.exp([-0.25, -0.5]) * (1 - np.cos(2)), rtol=1e-12)


@pytest.mark.parametrize(
    "points, said",
    [
        ({"t": 1.0, "y": 0.0}, "System 'rod' has no coordinate 'y'. There are: t, x."),
        ({"t": 1.0}, "The points have no 'x'. Write net({'t': ..., 'x': ...})."),
        ({"t": 4.0, "x": 1.0}, "The network was trained for t from 0 to 3, and is asked at 4."),
        ({"t": 1.0, "x": [0.5, -1.0]}, "The network was trained for x from 0 to 2, and is asked at -1."),
        ({"t": [1.0, 2.0], "x": [0.1, 0.2, 0.3]}, "different shapes: t (2,), x (3,)"),
        ({"t": "now", "x": 1.0}, "The values of 't' are no numbers: 'now'."),
        ([1.0, 2.0], "Points are given by coordinate: net({'t': ..., 'x': ...})[...]."),
    ],
    ids=["unknown", "missing", "late", "outside", "shapes", "word", "list"],
)
def test_points_that_are_refused(net, points, said):
    with pytest.raises((SolveError, NameUnknown)) as error:
        net(points)
    assert said in str(error.value)


def test_a_vector_has_its_dimension_behind(close):
    X = sci.space("X", -sp.oo, sp.oo, dim=3)
    v = sci.fields("v", t, X)
    heat = sci.System([sci.eq(v.diff(t), sci.laplacian(v, X))], initial={v: 0}, name="heat")
    net = untrained(heat, formula(lambda z: jnp.sum(z[1:] ** 2)), conditions="soft", sampling=lambda key, n: jnp.ones((n, 4)))
    points = np.arange(6.0).reshape(2, 3)
    close(net({"t": 0.5, "X": points})[v], (points**2).sum(1))
    close(net({"t": 0.5, "X": points})[sci.laplacian(v, X)], np.full(2, 6.0))
    close(net.residual(points={"t": 0.5, "X": points}), np.full(2, -6.0))
    with pytest.raises(SolveError, match=r"'X' has no grid: it is a vector. Ask at points: net\(\{'t': ..., 'X': ...\}\)"):
        net[v]
    with pytest.raises(SolveError, match=r"'X' is a vector of 3 numbers, and its values have the shape \(2,\): give \(n, 3\)"):
        net({"t": 0.5, "X": [1.0, 2.0]})


# -- as a function of JAX -----------------------------------------------------------------------------


def test_flat_points_under_transformations(net, close):
    point = jnp.array([1.0, 0.5])
    close(net.at(point, u), np.exp(-0.25) * np.sin(0.5), rtol=1e-12)
    assert net.at(jnp.ones((4, 5, 2)), u).shape == (4, 5)
    slope = -0.25 * np.exp(-0.25) * np.sin(0.5), np.exp(-0.25) * np.cos(0.5)
    for by in (jax.grad, jax.jacfwd):
        close(jax.jit(by(lambda p: net.at(p, u)))(point), slope, rtol=1e-12)
    many = jnp.stack([point, 2 * point])
    close(jax.vmap(lambda p: net.at(p, u.diff(x)))(many), net.at(many, u.diff(x)))
    close(jax.grad(lambda p: net({"t": p[0], "x": p[1]})["heat"])(point), [-0.25 * np.exp(-0.25) * (1 - np.cos(2)), 0.0], rtol=1e-12)
    with pytest.raises(SolveError, match=r"Points are vectors of 2 numbers \(t, x\), not of the shape \(3,\)"):
        net.at(jnp.ones(3), u)


def test_a_solution_is_a_pytree_of_what_was_trained(net, close):
    (scale,) = jax.tree.leaves(net)
    double = jax.tree.map(lambda v: 2 * v, net)
    close(double[u], 2 * net[u])
    value = jax.jit(lambda net, p: net.at(p, u.diff(x)))
    close(value(double, jnp.array([0.0, 0.5])), 2 * np.cos(0.5), rtol=1e-12)
    gradient = jax.grad(lambda net: jnp.sum(net[u][:, 100]))(net)
    close(jax.tree.leaves(gradient)[0], np.sum(net[u][:, 100]))
    error = jax.jit(lambda net: net.error({u: EXACT})["u"])(double)
    close(error, 1.0)
    for _ in range(2):
        value(jax.tree.map(lambda v: 3 * v, net), jnp.array([0.0, 0.5]))
    assert value._cache_size() == 1 and scale == 1


def test_gradients_by_free_parameters(close):
    net = untrained(rod(), formula(cooled), t_span=(0, 3), conditions="soft", free=[kappa], params={"kappa": 0.5})
    assert net.params == {"kappa": pytest.approx(0.5)}

    def size(net):
        return jnp.mean(net.residual() ** 2)

    gradient = jax.grad(size)(net)
    wider = jax.tree.map(lambda v: v, net)
    wider.parts[0].z["params"]["kappa"] = net.parts[0].z["params"]["kappa"] + 1e-5
    tighter = jax.tree.map(lambda v: v, net)
    tighter.parts[0].z["params"]["kappa"] = net.parts[0].z["params"]["kappa"] - 1e-5
    close(gradient.parts[0].z["params"]["kappa"], (size(wider) - size(tighter)) / 2e-5, rtol=1e-7)


# -- how good it is -----------------------------------------------------------------------------------


def test_error_and_residual(net, close):
    assert net.error({u: EXACT})["u"] < 1e-6 and np.abs(net.residual()).max() < 1e-5
    close(net.error({"u": 1.5 * net[u]})["u"], 1 / 3)
    close(net.error({u: 2 * EXACT}, points={"t": 1.0, "x": [0.5, 1.0]})["u"], 0.5)
    gaps = np.array(net[u])
    gaps[3:, 5:] = np.nan
    assert net.error({u: gaps})["u"] == 0
    assert net.residual("u'", points={"t": 1.0, "x": [0.5, 1.0]}).shape == (2,)
    other = jax.tree.map(lambda v: 2 * v, net)
    close(net.error(other)["u"], 0.5)
    wrong = jax.tree.map(lambda v: v * jnp.nan, net)
    assert np.isnan(wrong.error({u: EXACT})["u"])


def test_a_system_solved_twice_is_compared(net):
    system = sci.discretize(rod(), {x: sci.FiniteDifference(20, order=4)})
    assert net.error(sci.solve(system, t_span=(0, 3), saveat=5))["u"] < 1e-4
    with pytest.raises(SolveError, match="trained for t from 0 to 3, and is asked at 4"):
        net.error(sci.solve(system, t_span=(0, 4), saveat=5))
    lanes = sci.ensemble(system, t_span=(0, 1), over={"kappa": [0.1, 0.2]}, saveat=5)
    with pytest.raises(SolveError, match=r"has 'u' in the shape \(2, 5, \d+\), a batch, and one solve can be compared"):
        net.error(lanes)


@pytest.mark.parametrize(
    "ask, said",
    [
        (lambda net: net["w"], "The Solution has no 'w'."),
        (lambda net: net["heta"], "Did you mean 'heat'?"),
        (lambda net: net[sci.fields("w", t, x)], "System 'rod' has no field 'w'."),
        (lambda net: net[u, u], "Ask for one quantity at a time: net[u], net[v]."),
        (lambda net: net[None], "net[None]: give a name, or an expression"),
        (lambda net: net.residual("v'"), "There is no equation 'v''."),
        (lambda net: net.error({u: 0.0}), "The exact solution of 'u' is 0 everywhere"),
        (lambda net: net.error({u: np.ones((3, 4))}), "The exact values of 'u' have the shape (3, 4), and those of the network (101, 201)."),
        (lambda net: net.error(np.ones(3)), "net.error(exact) takes {u: expression or values}"),
        (lambda net: net.plot(u, "heat"), "heat does not run over space, and the others do"),
        (lambda net: net.plot(kappa), "kappa is one number"),
        (lambda net: net.animate("heat"), "net.plot(heat) draws it over time"),
        (lambda net: net.plot(u, kind="pie"), "kind='pie'"),
        (lambda net: net.plot(u, at=7.0), "at=7.0 asks for another one"),
        (lambda net: net.plot_error({u: np.ones(3)}), "The exact values of 'u' have the shape (3,)"),
    ],
    ids=range(15),
)
def test_questions_that_are_refused(net, ask, said):
    with pytest.raises((SolveError, NameUnknown)) as error:
        ask(net)
    assert said in str(error.value)


# -- tables and pictures ------------------------------------------------------------------------------


def test_tables(net, tmp_path, close):
    data = net.to_xarray()
    assert set(data.data_vars) == {"u", "heat", "slope", "middle"}
    assert data["u"].dims == ("t", "x") and data["heat"].dims == ("t",)
    assert data["u"].attrs["units"] == "K" and data["x"].attrs["units"] == "m" and data["t"].attrs["units"] == "s"
    net.to_netcdf(tmp_path / "rod.nc")
    import xarray

    close(xarray.open_dataset(tmp_path / "rod.nc")["u"], net[u])
    table = net.to_pandas()
    assert len(table) == 101 * 201 and table.index.names == ["t", "x"]


def test_pictures(net):
    image = net.plot()
    assert image.get_title() == "$u$ [K]" and image.get_xlabel() == "t [s]" and image.get_ylabel() == "x [m]"
    lines = net.plot(u, at=[0.0, 1.5, 3.0])
    assert [line.get_label() for line in lines.lines] == ["t = 0 s", "t = 1.5 s", "t = 3 s"]
    over_time = net.plot("heat", "middle")
    assert len(over_time.lines) == 2 and over_time.get_xlabel() == "t [s]"
    assert "residual" in net.plot_residual().get_title()
    assert net.plot_error({u: EXACT}).get_title() == "log10 |u - exact|"
    assert net.plot_history().get_yscale() == "log"
    moving = net.animate(u)
    moving._draw_was_started = True  # no warning that nothing was drawn
    assert moving._fig is not None


def test_history_and_explain():
    net = fit(rod(), formula(cooled), t_span=(0, 3), train=12, points=20, progress=False)
    assert len(net.history) == 12 and {"loss", "stage", "seconds"} <= set(net.history.columns)
    assert "NetworkSolution of 'rod': u, heat, slope, middle; 12 steps; loss" in repr(net)
    assert net.plot_history().lines
    assert "built in: initial u" in net.explain() and "u' (equation)" in net.explain()


# -- on disk ------------------------------------------------------------------------------------------


def test_a_saved_network_is_read_again(tmp_path):
    network = formula(cooled)
    net = fit(rod(), network, t_span=(0, 3), train=3, points=20, free=[kappa], params={"kappa": 0.3}, progress=False)
    net.save(tmp_path / "rod.net")
    again = sci.pinn.load(tmp_path / "rod.net", rod(), network)
    assert (again[u] == net[u]).all() and again.params == pytest.approx(net.params, rel=1e-12)
    assert again.history.equals(net.history) and (again.reason, again.best_step) == (net.reason, net.best_step)
    assert again.form.built_in == net.form.built_in and again.span == (0, 3)


def test_windows_are_read_again(tmp_path):
    y = sci.space("y", 0, 1, periodic=True)
    v = sci.fields("v", t, y)
    speed = sci.parameters("speed", 1.0)
    moving = sci.System([sci.eq(v.diff(t), -speed * v.diff(y))], initial={v: sp.sin(2 * sp.pi * y)})
    network = sci.pinn.mlp(moving, width=4, depth=1, key=jax.random.key(1))
    net = untrained(moving, network, windows=[0.4], params={"speed": 0.3})
    net.save(tmp_path / "moving.net")
    again = sci.pinn.load(tmp_path / "moving.net", moving, network)
    assert len(again.parts) == 2 and (again[v] == net[v]).all() and float(again[speed]) == 0.3


@pytest.mark.parametrize("trained", [False, True])
def test_networks_of_the_equations_are_read_again(tmp_path, trained):
    y = sci.space("y", 0, 1)
    v = sci.fields("v", y)

    def system(k):
        g = sci.neural("g", eqx.nn.MLP(1, 1, 4, 1, jnp.tanh, key=jax.random.key(k)))
        return sci.System([sci.eq(v.diff(y, 2), g(v))], boundary={y.left: sci.eq(v, 0), y.right: sci.eq(v, 1)}), g

    (first, g), (other, _) = system(0), system(1)
    net = untrained(first, formula(jnp.cos), free=(g,) if trained else ())
    net.save(tmp_path / "g.net")
    again = sci.pinn.load(tmp_path / "g.net", other, formula(jnp.cos))  # the weights of the other do not matter
    assert (again.residual() == net.residual()).all()
    assert list(again.params) == (["g"] if trained else [])


def test_files_that_are_refused(tmp_path, net):
    from sciml.errors import FileError

    path = tmp_path / "rod.net"
    with pytest.raises(FileError, match="There is no file"):
        sci.pinn.load(path, rod())
    path.write_text("x")
    with pytest.raises(FileError, match=r"holds no trained network: it was not written by net.save"):
        sci.pinn.load(path, rod())
    network = sci.pinn.mlp(rod(), width=4, depth=1, key=jax.random.key(0))
    fit(rod(), network, t_span=(0, 3), train=1, points=5, progress=False, checkpoint=tmp_path / "run").save(path)
    with pytest.raises(FileError, match=r"holds the state of a training. Go on from it with"):
        sci.pinn.load(tmp_path / "run", rod(), network)
    with pytest.raises(FileError, match="is of another architecture"):
        sci.pinn.load(path, rod(), sci.pinn.mlp(rod(), width=5, depth=1, key=jax.random.key(0)))
    other = rod()
    other = other.replace(initial={u: 2 * hot * sp.sin(x / long)})
    with pytest.raises(FileError, match=r"belongs to other equations: it has `.*` where System 'rod' has"):
        sci.pinn.load(path, other, network)
    path.write_bytes(path.read_bytes()[:-3] + b"abc")
    with pytest.raises(FileError, match="is damaged"):
        sci.pinn.load(path, rod(), network)
