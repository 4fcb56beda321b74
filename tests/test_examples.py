"""Every example runs, draws its picture, and gives a number that is known."""

import importlib.util
import sys
from pathlib import Path

import jax
import matplotlib.pyplot as plt
import numpy as np
import pytest

EXAMPLES = Path(__file__).resolve().parent.parent / "examples"
SECTIONS = ("# Model", "# Data", "# Solve", "# Plot", 'if __name__ == "__main__":')


@pytest.fixture
def example(tmp_path):
    """Imports an example by name, with its pictures going to a folder of the test."""

    def load(name):
        spec = importlib.util.spec_from_file_location(f"example_{name}", EXAMPLES / f"{name}.py")
        module = importlib.util.module_from_spec(spec)
        sys.modules[spec.name] = module
        spec.loader.exec_module(module)
        module.OUT = tmp_path / "out"
        return module

    yield load
    plt.close("all")


def _is_picture(path):
    return path.read_bytes()[:8] == b"\x89PNG\r\n\x1a\n" and path.stat().st_size > 10_000


@pytest.mark.parametrize("path", sorted(EXAMPLES.glob("*.py")), ids=lambda p: p.stem)
def test_examples_share_one_form(path):
    text = path.read_text()
    assert "\nRun: python examples/" in text and "\nExpected: " in text
    lines = text.splitlines()
    found = [next(i for i, line in enumerate(lines) if line.startswith(s)) for s in SECTIONS if any(line.startswith(s) for line in lines)]
    required = [s for s in SECTIONS if s != "# Data"]
    assert all(any(line.startswith(s) for line in lines) for s in required)
    assert len(found) >= len(required) and found[-1] == max(found)


def test_lynx_hare(example):
    module = example("lynx_hare")
    result = module.main(progress=False)
    # Medians of Carpenter (2018), Predator-Prey Population Dynamics: the Lotka-Volterra model in Stan.
    for name, value in {"birth": 0.545, "hunting": 0.028, "feeding": 0.024, "death": 0.803}.items():
        assert abs(result.params[name] / value - 1) < 0.05
    assert result.converged
    assert _is_picture(module.picture(result))


def test_double_pendulum(example):
    module = example("ode_double_pendulum")
    sol, sensitivity = module.main()
    energy = np.asarray(sol["energy"])
    assert np.abs(energy / energy[0] - 1).max() < (1e-7 if jax.config.jax_enable_x64 else 1e-2)
    assert np.isclose(sensitivity[0, 0], 1) and np.isclose(sensitivity[1, 0], 0)
    assert np.abs(sensitivity[:, -240:]).max() > 1e4  # chaotic: a Lyapunov time of about 1.4 s
    assert _is_picture(module.picture(sol, sensitivity))


def test_ornstein_uhlenbeck(example):
    module = example("sde_ornstein_uhlenbeck")
    paths = 4000
    sol = module.main(paths)
    values = np.asarray(sol[module.x], float)
    mean, deviation = module.exact(np.asarray(sol.t[0], float))
    assert np.all(np.abs(values.mean(axis=0) - mean) < 4 * deviation / np.sqrt(paths) + 1e-3)
    assert np.all(np.abs(values.std(axis=0) - deviation) < 4 * deviation / np.sqrt(2 * paths) + 1e-3)
    assert _is_picture(module.picture(sol))


def test_measured_input(example):
    module = example("measured_input")
    sol, slope = module.main()
    used = np.asarray(sol["energy"][:, -1])
    assert used[0] < used[1] < used[2]
    np.testing.assert_allclose(sol[module.outdoor][0, ::4], module.weather, atol=1e-3)
    # One more percent of loss needs about one more percent of heat.
    assert 0.5 < slope * 0.25 / used[0] < 1.5
    assert _is_picture(module.picture(sol))


def test_motor(example):
    module = example("components_motor")
    best, solutions = module.main()
    gears = np.linspace(best - 1, best + 1, 3)
    angles = [float(module.angle_at_end(g)) for g in gears]
    assert angles[1] > max(angles[0], angles[2])
    assert float(solutions[1]["load.angle"][-1]) > float(solutions[0]["load.angle"][-1])
    np.testing.assert_allclose(solutions[1]["motor.speed"], solutions[1]["load.speed"])
    assert _is_picture(module.picture(best, solutions))


def test_bilevel(example):
    module = example("bilevel")
    result = module.main()
    estimate, chosen, steps, along, _ = result
    error = lambda weights: np.linalg.norm(estimate(weights) - module.truth) / np.linalg.norm(module.truth)
    assert steps[:, 2].min() < 0.5 * steps[0, 2]
    assert error(chosen) < 0.22 < 0.35 < min(error({**chosen, "smooth": -13.0}), error({**chosen, "smooth": 2.0}))
    smooth, misfit, slope = along.T  # the gradients are those of the curve
    np.testing.assert_allclose(np.sum((slope[1:] + slope[:-1]) / 2 * np.diff(smooth)), misfit[-1] - misfit[0], rtol=0.1)
    assert _is_picture(module.picture(result))


def test_pde_heat_rod(example):
    module = example("pde_heat_rod")
    solutions = module.main()
    exact = jax.config.jax_enable_x64
    for sol in solutions.values():
        assert abs(float(sol["missing"][-1])) < (1e-6 if exact else 1e-2)
    np.testing.assert_allclose(solutions["in the wind"]["end"][-1], 0.2, rtol=1e-3)
    np.testing.assert_allclose(0.25 * (1 - solutions["glowing"]["end"][-1]), 0.3 * ((solutions["glowing"]["end"][-1] + 1) ** 4 - 1), rtol=1e-2)
    assert _is_picture(module.picture(solutions))


def test_pde_patterns_gray_scott(example):
    module = example("pde_patterns_gray_scott")
    solutions = module.main()
    eaten = [float(sol["eaten"][-1]) for sol in solutions.values()]
    assert eaten == sorted(eaten) and 0.005 < eaten[0] < 0.012 and 0.015 < eaten[-1] < 0.03
    assert np.asarray(solutions["holes"][module.v][-1]).min() > -0.01
    assert _is_picture(module.picture(solutions))


def test_pde_kuramoto_sivashinsky(example):
    module = example("pde_kuramoto_sivashinsky")
    runs = module.main()
    assert 0.03 < module.growth(runs)[0] < 0.2
    energy = np.asarray(runs[0]["energy"])[200:]
    assert 50 < energy.mean() < 130
    assert _is_picture(module.picture(runs))


def test_pde_inverse_diffusivity(example):
    module = example("pde_inverse_diffusivity")
    measured, found = module.main()
    best = module.chosen(found)
    assert 0.8 < found[best][1] < 1.2 and module.error(found[best][0]) < 0.15 < module.error(found[max(found)][0])
    assert _is_picture(module.picture(measured, found))


def test_pde_inverse_initial(example):
    module = example("pde_inverse_initial")
    measured, start, values = module.main()
    assert min(values) < 1.5 < 1000 < values[0]
    assert module.error(start) < 0.1 < 0.4 < module.error(measured)
    assert _is_picture(module.picture(measured, start, values))


def test_pde_battery(example):
    module = example("pde_battery")
    solutions, sensitivity = module.main()
    charges = [module.charge(sol, rate) for sol, rate in zip(solutions, module.RATES, strict=True)]
    assert charges == sorted(charges, reverse=True) and 0.6 < charges[-1] < charges[0] < 0.72
    out = np.asarray(solutions[1]["surface_n"])  # in the long run the filling falls as charge is drawn
    assert out[0] > 0.79 and out[-1] < 0.2
    assert (sensitivity[1:100] > -1e-3).all()
    assert _is_picture(module.picture(solutions, sensitivity))
