"""Pictures of fields: what is drawn where, and what is refused."""

import jax
import matplotlib.pyplot as plt
import numpy as np
import pytest
import sympy as sp

import sciml as sci
from sciml.errors import SolveError
from sciml.solve.plot_fields import _cells, _frames, _spread, nearest_rows

t = sci.t


@pytest.fixture(autouse=True)
def _closed_figures():
    yield
    plt.close("all")


x = sci.space("x", 0, 1, unit="m")
u = sci.fields("u", t, x, unit="K")
k = sci.parameters("k", 0.1, unit="m**2/s")
hot, long = sci.constants("hot long", [1.0, 1.0], unit=["K", "m"])


def rod(**more):
    return sci.System(
        [sci.eq(u.diff(t), k * u.diff(x, 2))],
        initial={u: hot * sp.sin(sp.pi * x / long)},
        boundary={x.left: sci.eq(u, 0), x.right: sci.eq(u, 0)},
        units={t: "s"},
        name="rod",
        **more,
    )


@pytest.fixture(scope="module")
def sol():
    return sci.solve(sci.discretize(rod(), {x: sci.FiniteDifference(12, grid="chebyshev")}), t_span=(0, 1), saveat=11, solver="rodas5p")


@pytest.fixture(scope="module")
def plane():
    """A field over two coordinates, another over one of them, and a number."""
    y, z = sci.space("y", 0, 2, periodic=True), sci.space("z", 0, 1)
    v, w = sci.fields("v w", t, y, z)
    s = sci.variables("s", initial=1.0)
    sides = {side: [sci.eq(v.diff(z), 0), sci.eq(w.diff(z), 0)] for side in (z.left, z.right)}
    system = sci.System(
        [sci.eq(v.diff(t), sci.laplacian(v) / 10), sci.eq(w.diff(t), -w), sci.eq(s.diff(t), -s)],
        initial={v: 1 + sp.sin(sp.pi * y), w: z},
        boundary={key: [e for e in listed if e.lhs.has(v)] for key, listed in sides.items()},
    )
    sol = sci.solve(sci.discretize(system, {y: sci.FiniteDifference(8), z: sci.FiniteVolume(6)}), t_span=(0, 1), saveat=9, solver="tsit5")
    return sol, v, w, s, y, z


def mesh(ax):
    (found,) = ax.collections
    return found


def test_a_field_over_one_coordinate_is_an_image_over_time(sol):
    ax = sol.plot(u)
    assert (ax.get_xlabel(), ax.get_ylabel(), ax.get_title()) == ("t [s]", "x [m]", "$u$ [K]")
    assert mesh(ax).get_array().shape == (12, 11)
    np.testing.assert_allclose(mesh(ax).get_array(), sol[u].T)
    edges = mesh(ax).get_coordinates()
    points = sol.model.reduced.grid.axes["x"].points
    np.testing.assert_allclose(edges[:, 0, 1], [0, *(points[1:] + points[:-1]) / 2, 1])
    np.testing.assert_allclose(edges[0, :, 0], [0, *np.arange(0.05, 1, 0.1), 1])


def test_profiles_have_a_colour_and_a_name_for_each_time(sol):
    ax = sol.plot(u, kind="lines")
    assert [line.get_label() for line in ax.lines] == ["t = 0 s", "t = 0.2 s", "t = 0.4 s", "t = 0.6 s", "t = 0.8 s", "t = 1 s"]
    assert len({line.get_color() for line in ax.lines}) == 6 and ax.get_xlabel() == "x [m]"
    np.testing.assert_allclose(ax.lines[-1].get_ydata(), sol[u][-1])


def test_times_that_are_asked_for(sol):
    one = sol.plot(u, at=0.52, color="k")
    assert one.get_title() == "$u$ [K], t = 0.5 s" and one.get_legend() is None and one.lines[0].get_color() == "k"
    assert len(sol.plot(u, at=[0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7]).lines) == 8
    with pytest.raises(SolveError, match="run from 0 to 1, and at=3"):
        sol.plot(u, at=3)
    dense = sci.solve(sci.discretize(rod(), {x: sci.FiniteDifference(12)}), t_span=(0, 1), saveat=3, dense=True, solver="tsit5")
    assert dense.plot(u, at=0.123).get_title() == "$u$ [K], t = 0.123 s"


def test_expressions_and_places(sol):
    slope = sol.plot(u.diff(x))
    assert "partial" in slope.get_title() and "left(t" not in slope.get_title()
    assert mesh(slope).cmap.name == "RdBu_r"  # it has both signs, and 0 is white
    assert mesh(slope).norm.vmin == -mesh(slope).norm.vmax
    ax = sol.plot(sci.at(u, x, 0.5), sci.integral(u, x))
    assert len(ax.lines) == 2 and ax.get_xlabel() == "t [s]"
    ax.figure.canvas.draw()  # matplotlib reads the formulas


def test_everything(sol, plane):
    assert sol.plot().get_title() == "$u$ [K]"
    numbers = plane[0].plot()
    assert len(numbers.lines) == 1 and numbers.get_ylabel() == "$s$"
    watched = rod(observed={"middle": sci.at(u, x, 0.5), "twice": 2 * u})
    found = sci.solve(sci.discretize(watched, {x: sci.FiniteDifference(12)}), t_span=(0, 1), saveat=3, solver="rodas5p")
    assert len(found.plot().lines) == 1
    assert [ax.get_title() for ax in found.plot(u, "twice")] == ["$u$ [K]", "twice"]


def test_two_coordinates_are_panels_on_one_scale(plane):
    sol, v, w, _, y, z = plane
    panels = sol.plot(v)
    assert [ax.get_title() for ax in panels.flat] == ["$v$, t = 0", "$v$, t = 0.375", "$v$, t = 0.625", "$v$, t = 1"]
    assert len({mesh(ax).norm.vmax for ax in panels.flat}) == 1
    assert mesh(panels[0, 0]).get_array().shape == (6, 9)  # the first of eight periodic points stands at both sides
    edges = mesh(panels[0, 0]).get_coordinates()
    np.testing.assert_allclose(edges[0, :, 0], [0, *np.arange(0.125, 2, 0.25), 2])
    np.testing.assert_allclose(edges[:, 0, 1], np.linspace(0, 1, 7))
    assert sol.plot(v, w, at=[0, 1]).shape == (2, 2)
    assert sol.plot(v, w, at=1).shape == (2,)
    one = sol.plot(v, at=0.5)
    assert one.get_title() == "$v$, t = 0.5" and one.get_aspect() == 1
    assert mesh(sol.plot(sci.at(v, z, 0.5))).get_array().shape == (9, 9)
    assert [mesh(ax).get_array().shape for ax in sol.plot(v, sci.integral(v, y))] == [(6, 9), (6, 9)]


def test_given_axes(sol, plane):
    _, ax = plt.subplots()
    assert sol.plot(u, ax=ax) is ax
    _, pair = plt.subplots(1, 2)
    assert list(plane[0].plot(plane[1], at=[0, 1], ax=pair).flat) == list(pair)
    with pytest.raises(SolveError, match="4 panels, and ax= holds 1"):
        plane[0].plot(plane[1], ax=ax)


def test_what_cannot_be_drawn_is_refused(sol, plane):
    field, v, _, s, *_ = plane
    with pytest.raises(SolveError, match=r"v runs over y and z and s does not: they cannot share axes"):
        field.plot(v, s)
    with pytest.raises(SolveError, match="phase plane"):
        field.plot((s, v))
    with pytest.raises(SolveError, match="over one coordinate"):
        field.plot(v, kind="lines")
    with pytest.raises(SolveError, match="write one of 'auto', 'image', 'lines'"):
        field.plot(v, kind="surface")
    with pytest.raises(SolveError, match="are for fields over space"):
        field.plot(s, at=0.5)
    with pytest.raises(SolveError, match="leave out lane="):
        sol.plot(u, lane=0)
    with pytest.raises(SolveError, match=r"s does not run over space: sol.plot\(s\)"):
        field.animate(s)


def test_a_lane_of_an_ensemble():
    many = sci.ensemble(sci.discretize(rod(), {x: sci.FiniteDifference(12)}), t_span=(0, 1), over={"k": [0.1, 0.2]}, saveat=4, solver="rodas5p")
    np.testing.assert_allclose(mesh(many.plot(u, lane=1)).get_array(), many[u][1].T)
    with pytest.raises(SolveError, match=r"one lane: sol.plot\(u, lane=0\)"):
        many.plot(u)


def test_complex_fields_by_their_size():
    z = sci.space("z", -8, 8, periodic=True)
    psi = sci.fields("psi", t, z, real=False)
    free = sci.System([sci.eq(sp.I * psi.diff(t) + psi.diff(z, 2), 0)], initial={psi: sp.exp(-(z**2) + sp.I * z)})
    with jax.numpy_dtype_promotion("standard"):  # complex times real
        sol = sci.solve(sci.discretize(free, {z: sci.FiniteDifference(16)}), t_span=(0, 0.1), saveat=3)
        ax = sol.plot(psi)
        assert ax.get_title() == r"|$\psi$|"
        np.testing.assert_allclose(mesh(ax).get_array()[:-1], np.abs(sol[psi]).T)
        assert sol.plot().get_title() == r"|$\psi$|"
        closed = sol.plot("psi", at=0).lines[0]
        assert closed.get_xdata()[-1] == 8 and closed.get_ydata()[-1] == closed.get_ydata()[0]


def test_animations(sol, plane, tmp_path):
    from PIL import Image

    path = tmp_path / "rod.gif"
    sol.animate(u, path=path, fps=10)
    with Image.open(path) as written:
        assert written.n_frames == 11 and written.info["duration"] == 100
    field, v, w, *_ = plane
    field.animate(v, w, path=tmp_path / "plane.gif")
    assert (tmp_path / "plane.gif").exists()
    default = field.animate()
    default._draw_was_started = True  # not shown, and not missed
    assert default._args == () and len(plt.gcf().axes) == 2
    numbers = sci.solve(sci.System([sci.eq(plane[3].diff(t), -plane[3])]), t_span=(0, 1), saveat=3)
    with pytest.raises(SolveError, match="this System has none"):
        numbers.animate()


def test_a_state_at_rest():
    source = sci.parameters("source", 1.0, unit="K/s")
    system = sci.System(
        [sci.eq(u.diff(t), k * u.diff(x, 2) + source)], initial={u: 0}, boundary={x.left: sci.eq(u, 0), x.right: sci.eq(u, 0)}, units={t: "s"}
    )
    rest = sci.steady_state(sci.discretize(system, {x: sci.FiniteVolume(10)}))
    for ax in (rest.plot(u), rest.plot()):
        assert ax.get_title() == "$u$ [K]" and len(ax.lines) == 1
        np.testing.assert_allclose(ax.lines[0].get_ydata(), rest[u])


def test_small_parts():
    axis = sci.discretize(rod(), {x: sci.FiniteVolume(4, flux="upwind", grid=np.array([0, 0.1, 0.3, 0.6, 1.0]))}).grid.axes["x"]
    np.testing.assert_allclose(_cells(axis, np.zeros(4), 0)[0], [0, 0.1, 0.3, 0.6, 1.0])
    times = np.array([0.0, 0.1, 1.0])
    assert list(_spread(times, 1)) == [2] and list(_spread(times, 2)) == [0, 2] and list(nearest_rows(times, [0.9, 0.04])) == [0, 2]
    assert _frames(times) == [0, 1, 2] and len(_frames(np.linspace(0, 1, 5000))) == 200
