"""A motor and its load, written apart and tied together; the gear that turns the load fastest, by gradient.

    motor:  inductance*current' = voltage - resistance*current - k*gear*speed
            inertia*gear*speed' = k*current - torque/gear
    load:   inertia*speed' = torque - friction*speed,    angle' = speed
    ties:   motor.speed = load.speed,    motor.torque = load.torque

Run: python examples/components_motor.py      About 10 s on two cores, most of it compilation.
Expected: the load has turned furthest after 0.5 s with a gear near 4; there the gradient is zero.
"""

from pathlib import Path

import jax
import jax.numpy as jnp
import matplotlib.pyplot as plt
import numpy as np

import sciml as sci

OUT = Path(__file__).parent.parent / "out"
END = 0.5


# Model: two Systems. The torque between them has no equation of its own; the ties determine it.
t = sci.t
speed = sci.variables("speed", initial=0.0, unit="rad/s")
torque = sci.variables("torque", unit="N*m")


def make_motor() -> sci.System:
    current = sci.variables("current", initial=0.0, unit="A")
    voltage, resistance, inductance = sci.parameters("voltage resistance inductance", [24.0, 1.0, 5.0], unit=["V", "ohm", "mH"])
    k, inertia = sci.parameters("k inertia", [0.05, 2.0], unit=["N*m/A", "kg*cm**2"])
    gear = sci.parameters("gear", 10.0, bounds=(1.0, 50.0))
    equations = [
        sci.eq(inductance * current.diff(t), voltage - resistance * current - k * gear * speed),
        sci.eq(inertia * gear * speed.diff(t), k * current - torque / gear),
    ]
    return sci.System(equations, observed={"power": voltage * current}, units={t: "s"}, name="motor")


def make_load() -> sci.System:
    angle = sci.variables("angle", initial=0.0, unit="rad")
    inertia, friction = sci.parameters("inertia friction", [0.01, 0.01], unit=["kg*m**2", "N*m*s"])
    return sci.System([sci.eq(inertia * speed.diff(t), torque - friction * speed), sci.eq(angle.diff(t), speed)], units={t: "s"}, name="load")


motor, load = make_motor(), make_load()
system = sci.System(
    [sci.eq(motor["speed"], load["speed"]), sci.eq(motor["torque"], load["torque"])],
    components=[motor, load],
    units={t: "s"},
    name="drive",
)


# Solve: gradient ascent on the angle at the end
def angle_at_end(gear):
    return sci.solve(system, t_span=(0, END), params={"motor.gear": gear}, saveat="end")["load.angle"][-1]


def main() -> tuple[float, list[sci.Solution]]:
    slope = jax.jit(jax.grad(lambda log_gear: angle_at_end(jnp.exp(log_gear))))
    log_gear = jnp.log(10.0)
    for _ in range(40):
        log_gear = log_gear + 0.05 * slope(log_gear)
    best = float(jnp.exp(log_gear))
    return best, [sci.solve(system, t_span=(0, END), params={"motor.gear": gear}) for gear in (10.0, best)]


# Plot
def picture(best: float, solutions: list[sci.Solution]) -> Path:
    fig, axes = plt.subplots(1, 3, figsize=(12, 3.6), layout="constrained")
    for sol, label in zip(solutions, ("gear 10", f"gear {best:.2f}"), strict=True):
        axes[0].plot(sol.t, sol["load.speed"], label=label)
        axes[1].plot(sol.t, sol["motor.torque"], label=label)
    gears = jnp.linspace(1.5, 20.0, 60)
    angles = jax.jit(jax.vmap(angle_at_end))(gears)
    axes[2].plot(gears, angles, color="k", lw=1)
    for gear, color in ((10.0, "C0"), (best, "C1")):
        axes[2].plot(gear, np.interp(gear, gears, angles), "o", color=color)
    axes[0].set(xlabel="t [s]", ylabel="speed of the load [rad/s]")
    axes[1].set(xlabel="t [s]", ylabel="torque on the load [N m]")
    axes[2].set(xlabel="gear", ylabel=f"angle after {END} s [rad]")
    for ax in axes:
        ax.spines[["top", "right"]].set_visible(False)
    axes[0].legend(frameon=False)
    OUT.mkdir(exist_ok=True)
    path = OUT / "components_motor.png"
    fig.savefig(path, dpi=120)
    return path


if __name__ == "__main__":
    jax.config.update("jax_enable_x64", True)
    best, solutions = main()
    print(f"best gear: {best:.3f}")
    print("angle after 0.5 s: " + ", then ".join(f"{float(sol['load.angle'][-1]):.3f} rad" for sol in solutions))
    print(f"picture: {picture(best, solutions)}")
