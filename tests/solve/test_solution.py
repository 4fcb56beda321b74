"""What can be asked of a Solution: shapes, expressions, tables, pictures; inside and outside of transformations."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import sympy as sp
import xarray as xr

import sciml as sci

from .models import decay, k, lotka_volterra, t, x, y

SPAN = (0, 5)


@pytest.fixture(scope="module")
def sol():
    return sci.solve(lotka_volterra(), t_span=SPAN, saveat=20)


@pytest.fixture(scope="module")
def batch():
    return jax.vmap(lambda a: sci.solve(lotka_volterra(), t_span=SPAN, saveat=20, params={"a": a}))(jnp.array([0.9, 1.0, 1.1]))


def test_any_expression_after_the_fact(sol, close):
    a, b = lotka_volterra().symbols["a"], lotka_volterra().symbols["b"]
    close(sol[x / (x + y)], sol["share"])
    close(sol["total"], sol[x] + sol["y"])
    close(sol[x.diff(t)], 1.1 * sol[x] - 0.4 * sol[x] * sol[y])
    close(sol[sp.sin(t) * x], jnp.sin(sol.t) * sol[x])
    close(sol[a * b], 0.44)
    assert sol[a].shape == () and sol[t].shape == (20,) and sol["a"].shape == ()


def test_names_resolve_by_name_so_cells_can_be_run_again(sol, close):
    again = sci.variables("x", initial=99.0)
    close(sol[again], sol["x"])
    close(sol[again**2], sol["x"] ** 2)


def test_batch_axes_come_first(batch, sol, close):
    assert batch[x].shape == (3, 20) and batch["share"].shape == (3, 20) and batch["a"].shape == (3,)
    assert batch.t.shape == (3, 20) and bool(jnp.all(batch.status == sci.Status.successful))
    close(batch[x][2], sol[x], rtol=1e-5)
    close(batch[x / y], batch[x] / batch[y])
    assert "3 of 3" in repr(batch)


def test_two_batch_axes(close):
    solve = lambda a, x0: sci.solve(lotka_volterra(), t_span=SPAN, saveat=20, params={"a": a}, initial={"x": x0})
    grid = jax.vmap(lambda a: jax.vmap(lambda x0: solve(a, x0))(jnp.array([5.0, 10.0])))(jnp.array([0.9, 1.0, 1.1]))
    assert grid[x].shape == (3, 2, 20) and grid[x + y].shape == (3, 2, 20)
    close(grid[x][..., 0], [[5.0, 10.0]] * 3)


def test_a_solution_crosses_jit(sol, close):
    jitted = jax.jit(lambda a: sci.solve(lotka_volterra(), t_span=SPAN, saveat=20, params={"a": a}))
    close(jitted(1.1)[x * y], sol[x * y], rtol=1e-5)
    inside = jax.jit(lambda a: sci.solve(lotka_volterra(), t_span=SPAN, saveat=20, params={"a": a})["share"])
    close(inside(1.1), sol["share"], rtol=1e-5)


def test_saving_at_the_end_at_steps_and_at_times(close):
    end = sci.solve(lotka_volterra(), t_span=SPAN, saveat="end")
    assert end[x].shape == (1,) and end.t.shape == (1,)
    steps = sci.solve(lotka_volterra(), t_span=SPAN, saveat="steps")
    assert steps.t.shape == (steps.stats["accepted"] + 1,) and steps[x].shape == steps.t.shape
    assert bool(jnp.all(jnp.isfinite(steps[x]))) and float(steps.t[-1]) == pytest.approx(5.0)
    times = sci.solve(lotka_volterra(), t_span=SPAN, saveat=[0.0, 2.5, 5.0])
    close(times[x][-1], end[x][0], rtol=1e-3)
    many = jax.vmap(lambda a: sci.solve(lotka_volterra(), t_span=SPAN, saveat="steps", params={"a": a}))(jnp.array([1.0, 1.1]))
    assert bool(jnp.isnan(many.t[:, -1]).all()) and many[x].shape == many.t.shape


def test_dense_output_at_any_time(sol, close):
    dense = sci.solve(lotka_volterra(), t_span=SPAN, dense=True)
    at = dense(2.0)
    assert at[x].shape == () and at[x + y].shape == () and at.t.shape == ()
    close(dense(sol.t)[x], sol[x], rtol=1e-3)
    many = jax.vmap(lambda a: sci.solve(lotka_volterra(), t_span=SPAN, dense=True, params={"a": a}))(jnp.array([1.0, 1.1]))
    assert many(2.0)[x].shape == (2,) and many(jnp.array([1.0, 2.0]))["total"].shape == (2, 2)


def test_to_pandas(sol, batch):
    table = sol.to_pandas()
    assert list(table.columns) == ["x", "y", "total", "share"] and table.index.name == "t" and len(table) == 20
    assert set(batch.to_pandas().columns) >= {"x", "y"}
    z = sci.variables("z", initial=np.ones(2), shape=(2,))
    vector = sci.solve(sci.System([sci.eq(z.diff(t), -z)]), t_span=(0, 1), saveat=3)
    assert list(vector.to_pandas().columns) == ["z[0]", "z[1]"]
    assert vector.to_xarray()["z"].dims == ("t", "z_0")


def test_to_xarray_carries_units_names_and_batch_axes(batch):
    level = sci.variables("level", initial=1.0, unit="m", description="water level")
    system = sci.System([sci.eq(level.diff(t), -level / sci.constants("tau", 3.0, unit="h"))], units={t: "h"})
    data = sci.solve(system, t_span=(0, 1), saveat=4).to_xarray()
    assert data["level"].attrs == {"units": "m", "description": "water level"} and data["t"].attrs["units"] == "h"
    named = batch.to_xarray(batch="a")
    assert named["x"].dims == ("a", "t") and named.sizes == {"a": 3, "t": 20}
    assert batch.to_xarray()["x"].dims == ("batch", "t")


def test_netcdf_and_back(sol, tmp_path):
    sol.to_netcdf(tmp_path / "lv.nc")
    with xr.open_dataset(tmp_path / "lv.nc", engine="h5netcdf") as back:
        xr.testing.assert_equal(back.load(), sol.to_xarray())


def test_pictures_over_time_and_in_the_phase_plane(sol, batch):
    ax = sol.plot(x, x / y)
    assert len(ax.lines) == 2 and ax.get_xlabel() == "t"
    phase = sol.plot((x, y))
    assert "x" in phase.get_xlabel() and "y" in phase.get_ylabel() and len(phase.lines) == 1
    assert len(sol.plot().lines) == 4
    assert len(batch.plot("x").lines) == 3


def test_statistics_and_status(sol):
    stats = sol.stats
    assert all(isinstance(stats[n], int) for n in ("steps", "accepted", "rejected", "rhs", "jacobians"))
    assert stats["solver"] == "auto" and stats["adjoint"] == "discrete" and "solver:" in stats["reason"]
    assert bool(sol.status == sci.Status.successful) and "reached the end" in repr(sol)
    assert sci.solve(decay(), t_span=(0, 1), solver="kvaerno3", saveat="end").stats["jacobians"] > 0


def test_a_solution_is_a_pytree(sol):
    leaves, tree = jax.tree.flatten(sol)
    same = jax.tree.unflatten(tree, leaves)
    assert jnp.array_equal(same[x], sol[x]) and all(isinstance(leaf, jax.Array | np.ndarray) for leaf in leaves)


def test_an_expression_of_parameters_in_a_batch(batch):
    a = lotka_volterra().symbols["a"]
    assert batch[a**2].shape == (3,)
    assert k.name == "k"
