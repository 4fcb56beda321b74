"""Solutions to netCDF and back: numbers, names, units, dimensions."""

import jax
import jax.numpy as jnp
import numpy as np
import xarray as xr
from io_systems import motor_system

import sciml as sci


def oscillator():
    theta = sci.variables("theta", initial=0.3, unit="rad", description="angle of the rod")
    z = sci.variables("z", initial=np.arange(3.0), shape=(3,))
    g, L = sci.parameters("g L", [9.81, 1.2], unit=["m/s**2", "m"])
    tau = sci.parameters("tau", 2.0, unit="s")
    return sci.System(
        [sci.eq(theta.diff(sci.t, 2), -g / L * theta), sci.eq(z.diff(sci.t), -z / tau)],
        observed={"energy": theta.diff(sci.t) ** 2 / 2 + g / L * theta**2 / 2},
        initial={theta.diff(sci.t): 0.1},
        units={sci.t: "s"},
        name="pendulum",
    )


def same(written, read):
    assert list(read.data_vars) == list(written.data_vars) and dict(read.sizes) == dict(written.sizes)
    for name in [*written.data_vars, *written.coords]:
        assert read[name].dims == written[name].dims and read[name].dtype == written[name].dtype
        assert read[name].values.tobytes() == written[name].values.tobytes()
        assert read[name].attrs == written[name].attrs
    assert read.attrs == written.attrs


def test_numbers_units_and_names(tmp_path):
    sol = sci.solve(oscillator(), t_span=(0, 1), saveat=11)
    sol.to_netcdf(tmp_path / "run.nc")
    with xr.open_dataset(tmp_path / "run.nc", engine="h5netcdf", decode_timedelta=False) as read:
        same(sol.to_xarray(), read)
        assert read["theta"].attrs == {"units": "rad", "description": "angle of the rod"}
        assert read["t"].attrs["units"] == "s" and read.attrs["system"] == "pendulum" and "energy" in read
        np.testing.assert_array_equal(read["theta"], sol["theta"])
        np.testing.assert_array_equal(read["z"], sol["z"])


def test_names_of_components(tmp_path):
    sol = sci.solve(motor_system(), t_span=(0, 1), saveat=5)
    sol.to_netcdf(str(tmp_path / "run.nc"))
    with xr.open_dataset(tmp_path / "run.nc", engine="h5netcdf") as read:
        same(sol.to_xarray(), read)
        assert "motor.i" in read and "motor.heat" in read


def test_a_batch(tmp_path):
    run = jax.vmap(lambda g: sci.solve(oscillator(), t_span=(0, 1), params={"g": g}, saveat=4))
    sol = run(jnp.array([9.0, 9.5, 10.0]))
    sol.to_netcdf(tmp_path / "runs.nc")
    with xr.open_dataset(tmp_path / "runs.nc", engine="h5netcdf", decode_timedelta=False) as read:
        same(sol.to_xarray(), read)
        assert read["theta"].dims == ("batch", "t") and read["theta"].shape == (3, 4)


def test_a_system_that_was_loaded_solves_and_writes_the_same(tmp_path):
    system = oscillator()
    sci.save(system, tmp_path / "model.json")
    first, second = (sci.solve(s, t_span=(0, 1), saveat=3).to_xarray() for s in (system, sci.load(tmp_path / "model.json")))
    same(first, second)
