"""Double pendulum: the equations follow from the Lagrangian, and two motions that begin alike part exponentially.

    d/dt (dL/dtheta_i') = dL/dtheta_i,    L = kinetic - potential,    i = 1, 2

Run: python examples/ode_double_pendulum.py      About 10 s on two cores, most of it compilation.
Expected: the energy keeps its first value to 1e-8; the sensitivity to the first angle grows to a few million in 20 s.
"""

from pathlib import Path

import jax
import jax.numpy as jnp
import matplotlib.pyplot as plt
import numpy as np
import sympy as sp

import sciml as sci

OUT = Path(__file__).parent.parent / "out"


# Model: SymPy derives both equations; they are implicit in the accelerations, and sciml isolates these.
t = sci.t
th1, th2 = sci.variables("theta1 theta2", unit="rad", description="angle from the vertical")
m1, m2 = sci.parameters("m1 m2", [1.0, 1.0], unit="kg")
l1, l2 = sci.parameters("l1 l2", [1.0, 1.0], unit="m")
g = sci.constants("g", 9.81, unit="m/s**2")

x1, y1 = l1 * sp.sin(th1), -l1 * sp.cos(th1)
x2, y2 = x1 + l2 * sp.sin(th2), y1 - l2 * sp.cos(th2)
kinetic = m1 * (x1.diff(t) ** 2 + y1.diff(t) ** 2) / 2 + m2 * (x2.diff(t) ** 2 + y2.diff(t) ** 2) / 2
potential = m1 * g * y1 + m2 * g * y2
lagrangian = kinetic - potential
system = sci.System(
    [sci.eq(lagrangian.diff(th.diff(t)).diff(t), lagrangian.diff(th)) for th in (th1, th2)],
    initial={th1: -1.5, th2: 1.4, th1.diff(t): 0.0, th2.diff(t): 0.0},
    observed={"energy": kinetic + potential, "x": x2, "y": y2},
    units={t: "s"},
    name="double_pendulum",
)


# Solve: the motion, and by forward mode how each moment depends on the first angle
def main() -> tuple[sci.Solution, np.ndarray]:
    def angles(first_angle):
        sol = sci.solve(
            system, t_span=(0, 20), initial={"theta1": first_angle}, saveat=1200, solver="dopri8", rtol=rtol, atol=rtol, adjoint="forward"
        )
        return jnp.stack([sol[th1], sol[th2]])

    rtol = 1e-11 if jax.config.jax_enable_x64 else 1e-6
    sol = sci.solve(system, t_span=(0, 20), saveat=1200, solver="dopri8", rtol=rtol, atol=rtol)
    return sol, np.asarray(jax.jacfwd(angles)(-1.5))


# Plot
def picture(sol: sci.Solution, sensitivity: np.ndarray) -> Path:
    fig, axes = plt.subplots(1, 3, figsize=(12, 4), layout="constrained")
    axes[0].plot(sol["x"], sol["y"], lw=0.7)
    axes[0].plot([0.0, sol[x1][-1], sol["x"][-1]], [0.0, sol[y1][-1], sol["y"][-1]], "k-o", lw=1.5, ms=5)
    axes[0].set(xlabel="x [m]", ylabel="y [m]", title="path of the outer mass", aspect="equal")
    sol.plot((th1, th1.diff(t)), (th2, th2.diff(t)), ax=axes[1], lw=0.7)
    axes[1].set(xlabel=r"$\theta_i$ [rad]", ylabel=r"$\theta_i'$ [rad/s]", title="phase plane")
    axes[1].legend([r"$\theta_1$", r"$\theta_2$"], frameon=False)
    axes[2].semilogy(sol.t, np.abs(sensitivity).T, lw=0.8)
    axes[2].set(xlabel="t [s]", ylim=(1e-2, None), title=r"sensitivity $|\partial\theta_i(t)\,/\,\partial\theta_1(0)|$")
    axes[2].legend([r"$\theta_1$", r"$\theta_2$"], frameon=False)
    for ax in axes:
        ax.spines[["top", "right"]].set_visible(False)
    OUT.mkdir(exist_ok=True)
    path = OUT / "ode_double_pendulum.png"
    fig.savefig(path, dpi=120)
    return path


if __name__ == "__main__":
    jax.config.update("jax_enable_x64", True)
    sol, sensitivity = main()
    energy = np.asarray(sol["energy"])
    print(f"energy: {energy[0]:.6f} J, off by {np.abs(energy / energy[0] - 1).max():.0e} at most")
    print(f"sensitivity after 20 s: {np.abs(sensitivity[:, -1]).max():.0e}")
    print(f"picture: {picture(sol, sensitivity)}")
