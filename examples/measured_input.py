"""A heated house in measured weather: an input known at points of time, a table, and another winter at solve time.

    capacity*T' = loss*(T_out - T) + heat,    heat = min(gain*max(T_set - T, 0), most),    energy' = heat/cop(T_out)

Run: python examples/measured_input.py      About 10 s on two cores, most of it compilation.
Expected: the colder the weather, the more electricity; on the coldest day the pump is at its limit and the room cools down.
"""

from pathlib import Path

import jax
import jax.numpy as jnp
import matplotlib.pyplot as plt
import numpy as np
import sympy as sp

import sciml as sci

OUT = Path(__file__).parent.parent / "out"


# Data: the outdoor temperature every hour for three days, and what the maker of the heat pump says about it
hours = np.arange(73.0)
weather = 4 + 4 * np.sin(2 * np.pi * (hours - 9) / 24) - 0.08 * hours + np.random.default_rng(1).normal(0, 0.4, hours.size)
pump_at = np.array([-15.0, -7.0, 2.0, 7.0, 12.0, 20.0])
pump_cop = np.array([2.0, 2.4, 3.2, 4.0, 4.7, 5.6])

# Model: times are in the unit of t, here hours; temperatures are differences to 0 degrees Celsius
t = sci.t
room = sci.variables("room", initial=19.0, unit="K", description="room temperature")
energy = sci.variables("energy", initial=0.0, unit="kW*hour", description="electricity used")
capacity, loss = sci.parameters("capacity loss", [3.0, 0.25], unit=["kW*hour/K", "kW/K"], bounds=(0, None))
gain, most, target = sci.parameters("gain most target", [4.0, 6.5, 20.0], unit=["kW/K", "kW", "K"])
outdoor = sci.data("outdoor", hours, weather, interp="monotone", unit="K")
cop = sci.table("cop", pump_at, pump_cop, interp="monotone", outside="hold")
kelvin = sci.constants("kelvin", 1.0, unit="K")
heat = sp.Min(gain * sp.Max(target - room, 0), most)
system = sci.System(
    [sci.eq(capacity * room.diff(t), loss * (outdoor - room) + heat), sci.eq(energy.diff(t), heat / cop(outdoor / kelvin))],
    observed={"heat": heat},
    units={t: "hour"},
    name="house",
)


# Solve: the same house, as measured and 6 and 12 degrees colder; new values take the place of the measured ones
def main() -> tuple[sci.Solution, float]:
    def colder(by):
        return sci.solve(system, t_span=(0, 72), params={"outdoor": weather - by}, saveat=289)

    def used(loss):
        return sci.solve(system, t_span=(0, 72), params={"loss": loss}, saveat="end")["energy"][-1]

    return jax.jit(jax.vmap(colder))(jnp.array([0.0, 6.0, 12.0])), float(jax.grad(used)(0.25))


# Plot
def picture(sol: sci.Solution) -> Path:
    fig, axes = plt.subplots(2, 2, figsize=(10, 5.6), sharex=True, layout="constrained")
    titles = ("outdoor temperature [°C]", "room temperature [°C]", "heat [kW]", "electricity used [kWh]")
    for ax, key, title in zip(axes.flat, (outdoor, room, "heat", energy), titles, strict=True):
        ax.plot(sol.t[0], np.asarray(sol[key]).T, label=["as measured", "6 K colder", "12 K colder"])
        ax.set_title(title, fontsize=10)
        ax.spines[["top", "right"]].set_visible(False)
    axes[0, 0].plot(hours, weather, "k.", ms=3)
    axes[1, 1].legend(frameon=False)
    for ax in axes[1]:
        ax.set(xlabel="t [hour]", xticks=range(0, 73, 24))
    OUT.mkdir(exist_ok=True)
    path = OUT / "measured_input.png"
    fig.savefig(path, dpi=120)
    return path


if __name__ == "__main__":
    jax.config.update("jax_enable_x64", True)
    sol, slope = main()
    print("electricity in three days: " + ", ".join(f"{e:.1f} kWh" for e in sol["energy"][:, -1]))
    print(f"one percent less loss saves {0.01 * 0.25 * slope:.2f} kWh")
    print(f"picture: {picture(sol)}")
