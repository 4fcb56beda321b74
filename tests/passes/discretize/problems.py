"""Problems whose solution is known: the System, its grids, the formula, and how far off the numbers may be.

Each function gives (system, methods, {unknown: formula}). `until` is the end of time, None for a stationary problem;
`tol` bounds the largest error relative to the largest value, the mean error where `mean` is set (shocks).
"""

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np
import sympy as sp
from scipy import optimize, special

import sciml as sci
from sciml import Chebyshev, Cosine, FiniteDifference, FiniteVolume, Fourier, Sine

t = sci.t
x, y = sci.space("x", 0, 1), sci.space("y", 0, 1)
x2 = sci.space("x2", 1, 2)  # begins where x ends
p, q, s = (sci.space(n, 0, 2 * sp.pi, periodic=True) for n in "pqs")
u, v = sci.fields("u v", t, x)
u2 = sci.fields("u2", t, x2)
w, h, m = sci.fields("w h m", t, p)
exp, sin, cos, pi = sp.exp, sp.sin, sp.cos, sp.pi
sech = sp.sech
k = 0.1


@dataclasses.dataclass(frozen=True)
class Problem:
    name: str
    make: Callable[[], Any]
    tol: float
    until: float | None
    solver: str
    mean: bool


PROBLEMS: list[Problem] = []


def problem(tol: float, until: float | None = 0.5, solver: str = "tsit5", mean: bool = False) -> Any:
    def keep(make: Callable[[], Any]) -> Callable[[], Any]:
        PROBLEMS.append(Problem(make.__name__, make, tol, until, solver, mean))
        return make

    return keep


def held(left: Any, right: Any) -> dict:
    """One condition at either side of x."""
    return {x.left: left, x.right: right}


def dirichlet(exact: Any, field: Any = u) -> dict:
    """The formula's own values at both sides of x."""
    return held(sci.eq(field, exact.subs(x, 0)), sci.eq(field, exact.subs(x, 1)))


def closed(equation: Any, exact: Any, method: Any, boundary: dict, field: Any = u, on: Any = x) -> Any:
    """A problem of one field of first order in time."""
    system = sci.System([equation], initial={field: exact.subs(t, 0)}, boundary=boundary)
    return system, {on: method}, {field: exact}


def made(system: sci.System, methods: dict, formulas: dict) -> Any:
    """A problem whose solution is manufactured."""
    return sci.manufacture(system, formulas), methods, formulas


# -- heat -------------------------------------------------------------------------------------------

heat = sci.eq(u.diff(t), k * u.diff(x, 2))
flux = sci.eq(u.diff(t), sci.D(k * u.diff(x), x))
insulated = held(sci.eq(u.diff(x), 0), sci.eq(u.diff(x), 0))
cold = held(sci.eq(u, 0), sci.eq(u, 0))
SINE, COSINE = exp(-k * pi**2 * t) * sin(pi * x), exp(-k * pi**2 * t) * cos(pi * x)


@problem(1e-3)
def heat_dirichlet():
    return closed(heat, SINE, FiniteDifference(33), cold)


@problem(3e-6)
def heat_neumann():
    return closed(heat, COSINE, FiniteDifference(33, order=4), insulated)


@problem(1e-8)
def heat_robin():
    return closed(heat, exp(-k * t) * cos(x), FiniteDifference(21, order=6), held(sci.eq(u.diff(x), 0), sci.eq(u.diff(x) + sp.tan(1) * u, 0)))


@problem(2e-8)
def heat_time_dependent():
    exact = exp(-k * t) * cos(x)
    return closed(heat, exact, FiniteDifference(17, order=8), dirichlet(exact))


@problem(1e-8)
def heat_polynomial():
    return closed(heat, x**2 + 2 * k * t, FiniteDifference(9), held(sci.eq(u, 2 * k * t), sci.eq(u.diff(x), 2)))


@problem(1e-6)
def heat_similarity():
    exact = sp.erf(x / (2 * sp.sqrt(k * (t + 1))))
    return closed(heat, exact, FiniteDifference(33, order=6), dirichlet(exact))


@problem(1e-8)
def heat_periodic():
    exact = exp(-k * t) * sin(p) + exp(-4 * k * t) * cos(2 * p)
    return closed(sci.eq(w.diff(t), k * w.diff(p, 2)), exact, Fourier(12), {}, w, p)


@problem(1e-8)
def heat_sine():
    return closed(heat, SINE, Sine(12), cold)


@problem(1e-8)
def heat_cosine():
    return closed(flux, COSINE, Cosine(12), {})


@problem(1e-7)
def heat_chebyshev():
    return closed(heat, COSINE, Chebyshev(17), held(sci.eq(u.diff(x), 0), sci.eq(u, COSINE.subs(x, 1))))


@problem(1e-3)
def heat_volumes():
    return closed(flux, COSINE, FiniteVolume(32), insulated)


@problem(1e-3)
def heat_volumes_of_many_sizes():
    faces = np.linspace(0, 1, 33) + 0.05 * np.sin(2 * np.pi * np.linspace(0, 1, 33))
    return closed(flux, SINE, FiniteVolume(32, flux="central", grid=faces), cold)


@problem(3e-5)
def heat_clustered():
    return closed(heat, COSINE, FiniteDifference(25, order=4, grid="chebyshev"), insulated)


@problem(3e-6)
def heat_any_grid():
    points = np.linspace(0, 1, 25)
    return closed(flux, COSINE, FiniteDifference(25, order=6, grid=points + 0.05 * np.sin(2 * np.pi * points)), insulated)


@problem(1e-8)
def heat_with_a_parameter_and_decay():
    a = sci.parameters("a", 0.3)
    return closed(sci.eq(u.diff(t), a * u.diff(x, 2) - u), exp(-(a * pi**2 + 1) * t) * sin(pi * x), Sine(8), {})


# -- coefficients and nonlinear diffusion -----------------------------------------------------------


@problem(1e-4)
def conductivity_field():
    c = sci.parameters("c", 0.1 + 0.1 * x**2, over=x)
    return made(
        sci.System([sci.eq(u.diff(t), sci.D(c * u.diff(x), x))], boundary=insulated), {x: FiniteDifference(33, order=4)}, {u: exp(-t) * sin(2 * x)}
    )


@problem(1e-8)
def diffusivity_field():
    c = sci.parameters("c", 0.1 * exp(x), over=x)
    return made(sci.System([sci.eq(u.diff(t), c * u.diff(x, 2))], boundary=cold), {x: Chebyshev(14)}, {u: exp(-t) * sin(2 * x)})


@problem(1e-3)
def conductivity_in_volumes():
    c = sci.parameters("c", 0.1 + 0.1 * x**2, over=x)
    return made(sci.System([sci.eq(u.diff(t), sci.D(c * u.diff(x), x))], boundary=insulated), {x: FiniteVolume(40)}, {u: exp(-t) * sin(2 * x)})


@problem(1e-7)
def porous_medium():
    exact = x**2 / (6 * (1 - t))
    return closed(sci.eq(u.diff(t), sci.D(u * u.diff(x), x)), exact, FiniteDifference(13, order=4), dirichlet(exact), u)


@problem(1e-3)
def porous_front():
    exact = 1 + t - x
    return closed(sci.eq(u.diff(t), sci.D(u * u.diff(x), x)), exact, FiniteVolume(16), dirichlet(exact))


@problem(1e-6)
def black_scholes():
    S = sci.space("S", 1, 2)
    V = sci.fields("V", t, S)
    sigma, rate = 0.4, 0.05
    exact = S**2 * exp((rate + sigma**2) * t) + S
    walls = {S.left: sci.eq(V, exact.subs(S, 1)), S.right: sci.eq(V.diff(S), exact.diff(S).subs(S, 2))}
    equation = sci.eq(V.diff(t), sigma**2 / 2 * S**2 * V.diff(S, 2) + rate * S * V.diff(S) - rate * V)
    return closed(equation, exact, FiniteDifference(17, order=4, grid=np.geomspace(1, 2, 17)), walls, V, S)


@problem(1e-4)
def fokker_planck():
    z = sci.space("z", -5, 5)
    f = sci.fields("f", t, z)
    width = 1 - exp(-2 * t) / 2
    exact = exp(-(z**2) / (2 * width)) / sp.sqrt(width)
    walls = {z.left: sci.eq(f.diff(z), 0), z.right: sci.eq(f.diff(z), 0)}
    return closed(sci.eq(f.diff(t), sci.D(z * f, z) + f.diff(z, 2)), exact, FiniteDifference(61, order=8), walls, f, z)


# -- sides --------------------------------------------------------------------------------------------


@problem(1e-5)
def radiating_side():
    return made(
        sci.System([heat], boundary=held(sci.eq(u.diff(x), u), sci.eq(u.diff(x), 1 - u**4))),
        {x: FiniteDifference(21, order=4)},
        {u: exp(-t) * cos(x)},
    )


@problem(1e-7)
def radiating_side_spectral():
    return made(sci.System([heat], boundary=held(sci.eq(u, 0), sci.eq(u.diff(x) + u**3 + u, 0))), {x: Chebyshev(12)}, {u: 1 + t * cos(x)})


@problem(2e-3)
def radiating_volumes():
    return made(sci.System([flux], boundary=held(sci.eq(u.diff(x), u), sci.eq(u.diff(x), 1 - u**4))), {x: FiniteVolume(24)}, {u: exp(-t) * cos(x)})


@problem(1e-5)
def side_with_a_rate():
    return made(
        sci.System([heat], boundary=held(sci.eq(u, 0), sci.eq(u.diff(t), -u.diff(x) + u))), {x: FiniteDifference(21, order=4)}, {u: exp(-t) * cos(x)}
    )


@problem(1e-7)
def side_with_a_rate_spectral():
    return made(sci.System([heat], boundary=held(sci.eq(u.diff(t) - u.diff(x), 0), sci.eq(u, 0))), {x: Chebyshev(12)}, {u: exp(-t) * cos(x)})


@problem(1e-5)
def two_intervals():
    system = sci.System(
        [heat, sci.eq(u2.diff(t), 0.2 * u2.diff(x2, 2))],
        boundary={
            x.left: sci.eq(u, 0),
            x.right: sci.eq(u, u2),
            x2.left: sci.eq(0.1 * u.diff(x), 0.2 * u2.diff(x2)),
            x2.right: sci.eq(u2.diff(x2), 0),
        },
    )
    return made(
        system, {x: FiniteDifference(17, order=4), x2: FiniteDifference(21, order=4)}, {u: exp(-t) * sin(x), u2: sin(1) * exp(-t) * cos(x2 - 1)}
    )


@problem(1e-7)
def two_intervals_spectral():
    system = sci.System(
        [heat, sci.eq(u2.diff(t), 0.2 * u2.diff(x2, 2))],
        boundary={
            x.left: sci.eq(u, 0),
            x.right: sci.eq(u, u2),
            x2.left: sci.eq(0.1 * u.diff(x), 0.2 * u2.diff(x2)),
            x2.right: sci.eq(u2.diff(x2), 0),
        },
    )
    return made(system, {x: Chebyshev(12), x2: Chebyshev(12)}, {u: exp(-t) * sin(x), u2: sin(1) * exp(-t) * cos(x2 - 1)})


@problem(1e-5)
def a_tank_at_the_end():
    T = sci.variables("T")
    system = sci.System([heat, sci.eq(T.diff(t), -sci.at(u.diff(x), x.right) - T)], boundary=held(sci.eq(u.diff(x), 0), sci.eq(u, T)))
    return made(system, {x: FiniteDifference(21, order=4)}, {u: exp(-t) * cos(x), T: exp(-t) * cos(1)})


@problem(1e-3)
def a_tank_that_exchanges():
    T = sci.variables("T")
    system = sci.System([flux, sci.eq(T.diff(t), sci.at(u, x.right) - T)], boundary=held(sci.eq(u.diff(x), 0), sci.eq(u.diff(x), T - u)))
    return made(system, {x: FiniteVolume(24)}, {u: exp(-t) * cos(x), T: sin(t)})


# -- integrals and values at a point ------------------------------------------------------------------


@problem(1e-6)
def mean_field():
    return made(
        sci.System([sci.eq(u.diff(t), k * u.diff(x, 2) + sci.integral(u, x))], boundary=cold),
        {x: FiniteDifference(21, order=6)},
        {u: exp(-t) * sin(2 * x)},
    )


@problem(1e-8)
def memory_of_the_left():
    return made(
        sci.System([sci.eq(u.diff(t), k * u.diff(x, 2) - sci.integral(x * u, x, to=x))], boundary=cold), {x: Chebyshev(12)}, {u: exp(-t) * sin(2 * x)}
    )


@problem(2e-3)
def memory_in_volumes():
    return made(
        sci.System([sci.eq(u.diff(t), sci.D(k * u.diff(x), x) - sci.integral(u, x, to=x))], boundary=cold),
        {x: FiniteVolume(24)},
        {u: exp(-t) * sin(2 * x)},
    )


@problem(1e-5)
def controlled_from_a_point():
    total = sci.variables("total")
    system = sci.System(
        [sci.eq(u.diff(t), k * u.diff(x, 2) - sci.at(u, x, 0.3) + total), sci.eq(total.diff(t), sci.integral(u**2, x) - total)], boundary=cold
    )
    return made(system, {x: FiniteDifference(21, order=4)}, {u: exp(-t) * sin(2 * x), total: cos(t)})


# -- what moves -----------------------------------------------------------------------------------------

PULSE = exp(sin(p - t))


@problem(1e-8)
def advection_fourier():
    return closed(sci.eq(w.diff(t), -w.diff(p)), PULSE, Fourier(32), {}, w, p)


@problem(2e-6)
def advection_central():
    return closed(sci.eq(w.diff(t), -w.diff(p)), PULSE, FiniteDifference(48, order=8), {}, w, p)


@problem(2e-2)
def advection_against_the_wind():
    return closed(sci.eq(w.diff(t), -w.diff(p)), PULSE, FiniteDifference(64, advection="upwind"), {}, w, p)


@problem(5e-2)
def advection_upwind():
    return closed(sci.eq(w.diff(t), -sci.D(w, p)), PULSE, FiniteVolume(96, flux="upwind"), {}, w, p)


@problem(2e-2)
def advection_muscl():
    return closed(sci.eq(w.diff(t), -sci.D(w, p)), PULSE, FiniteVolume(64, flux="muscl"), {}, w, p)


@problem(1e-3)
def advection_weno():
    return closed(sci.eq(w.diff(t), -sci.D(w, p)), PULSE, FiniteVolume(48, flux="weno5"), {}, w, p)


@problem(1e-5)
def inflow():
    exact = sin(2 * x - 2 * t)
    return closed(sci.eq(u.diff(t), -u.diff(x)), exact, FiniteDifference(33, order=4), {x.left: sci.eq(u, exact.subs(x, 0))})


@problem(1e-3)
def inflow_weno():
    exact = sin(2 * x - 2 * t)
    return closed(sci.eq(u.diff(t), -sci.D(u, x)), exact, FiniteVolume(48, flux="weno5"), {x.left: sci.eq(u, exact.subs(x, 0))}, u)


@problem(2e-3)
def wind_that_grows():
    exact = sin(3 * x * exp(-t))
    return closed(sci.eq(u.diff(t), -x * u.diff(x)), exact, FiniteDifference(65, advection="upwind"), {x.left: sci.eq(u, 0)})


@problem(1e-6)
def wind_both_ways():
    ahead, behind = 1 + cos(p), exp(-2 * t) * (1 - cos(p))
    return closed(sci.eq(w.diff(t), -sin(p) * w.diff(p)), (ahead - behind) / (ahead + behind), Fourier(48), {}, w, p)


@problem(5e-3)
def advection_in_the_plane():
    f = sci.fields("f", t, p, q)
    exact = exp(sin(p - t) + sin(q + t)) / 3
    system = sci.System([sci.eq(f.diff(t), -sci.div((f, -f), p, q))], initial={f: exact.subs(t, 0)})
    return system, {p: FiniteVolume(32, flux="weno5"), q: FiniteVolume(32, flux="weno5")}, {f: exact}


@problem(1e-8)
def burgers_cole_hopf():
    nu = 0.2
    exact = 2 * nu * exp(-nu * t) * sin(p) / (2 + exp(-nu * t) * cos(p))
    return closed(sci.eq(w.diff(t), -sci.D(w**2 / 2, p) + nu * w.diff(p, 2)), exact, Fourier(64), {}, w, p)


@problem(1e-4)
def burgers_front():
    nu = 0.1
    exact = 1 / (1 + exp((x - t / 2) / (2 * nu)))
    return closed(sci.eq(u.diff(t), -u * u.diff(x) + nu * u.diff(x, 2)), exact, FiniteDifference(41, order=4), dirichlet(exact))


@problem(1e-3)
def burgers_fan():
    exact = (1 + x) / (1 + t)
    return closed(sci.eq(u.diff(t), -sci.D(u**2 / 2, x)), exact, FiniteVolume(32, flux="muscl"), {x.left: sci.eq(u, 1 / (1 + t))})


@problem(1.5e-2, mean=True)
def burgers_shock():
    exact = sp.Piecewise((1, x < sp.Rational(1, 4) + t / 2), (0, True))
    return closed(sci.eq(u.diff(t), -sci.D(u**2 / 2, x)), exact, FiniteVolume(64, flux="weno5"), {x.left: sci.eq(u, 1)})


@problem(5e-6, until=0.2)
def kdv_soliton():
    z = sci.space("z", -15, 15, periodic=True)
    f = sci.fields("f", t, z)
    exact = 2 * sech(z - 4 * t) ** 2
    return closed(sci.eq(f.diff(t), -6 * f * f.diff(z) - f.diff(z, 3)), exact, Fourier(160), {}, f, z)


@problem(1e-4, until=0.1)
def kdv_differences():
    z = sci.space("z", -10, 10, periodic=True)
    f = sci.fields("f", t, z)
    exact = sech((z - t) / 2) ** 2 / 2
    return closed(sci.eq(f.diff(t), -sci.D(3 * f**2, z) - f.diff(z, 3)), exact, FiniteDifference(80, order=8), {}, f, z)


@problem(2e-3, until=0.05)
def dispersion_between_sides():
    system = sci.System([sci.eq(u.diff(t), -u.diff(x, 3))], boundary={x.left: sci.eq(u, 0), x.right: [sci.eq(u, 0), sci.eq(u.diff(x), 0)]})
    return made(system, {x: FiniteDifference(21)}, {u: exp(-t) * sin(2 * x)})


@problem(1e-8, until=0.1)
def kuramoto_sivashinsky():
    return made(sci.System([sci.eq(w.diff(t), -w * w.diff(p) - w.diff(p, 2) - w.diff(p, 4))]), {p: Fourier(16)}, {w: sin(p - t) + 1})


@problem(1e-5, until=0.2, solver="auto")
def rate_that_spreads():
    system = sci.System([sci.eq(u.diff(t) - u.diff(t, x, 2), u.diff(x, 2))], initial={u: sin(pi * x)}, boundary=cold)
    return system, {x: FiniteDifference(13, order=6)}, {u: exp(-(pi**2) * t / (1 + pi**2)) * sin(pi * x)}


# -- reactions ------------------------------------------------------------------------------------------


@problem(1e-5)
def fisher_wave():
    z = sci.space("z", -5, 5)
    f = sci.fields("f", t, z)
    exact = (1 + exp((z - 5 * t / sp.sqrt(6)) / sp.sqrt(6))) ** -2
    walls = {z.left: sci.eq(f, exact.subs(z, -5)), z.right: sci.eq(f, exact.subs(z, 5))}
    return closed(sci.eq(f.diff(t), f.diff(z, 2) + f * (1 - f)), exact, FiniteDifference(41, order=4), walls, f, z)


@problem(1e-6)
def nagumo_wave():
    z = sci.space("z", -5, 5)
    f = sci.fields("f", t, z)
    a = 0.25
    exact = 1 / (1 + exp((z - (0.5 - a) * sp.sqrt(2) * t) / sp.sqrt(2)))
    walls = {z.left: sci.eq(f.diff(z), exact.diff(z).subs(z, -5)), z.right: sci.eq(f.diff(z), exact.diff(z).subs(z, 5))}
    return closed(sci.eq(f.diff(t), f.diff(z, 2) + f * (1 - f) * (f - a)), exact, FiniteDifference(41, order=6), walls, f, z)


@problem(1e-8)
def two_species_that_turn():
    decay = exp(-k * pi**2 * t) * sin(pi * x)
    system = sci.System([sci.eq(u.diff(t), k * u.diff(x, 2) + v), sci.eq(v.diff(t), k * v.diff(x, 2) - u)], initial={u: sin(pi * x), v: 0})
    return system, {x: Sine(8)}, {u: cos(t) * decay, v: -sin(t) * decay}


@problem(1e-5)
def brusselator():
    system = sci.System(
        [sci.eq(u.diff(t), k * u.diff(x, 2) + 1 - 4 * u + u**2 * v), sci.eq(v.diff(t), k * v.diff(x, 2) + 3 * u - u**2 * v)],
        boundary={x.left: [sci.eq(u, 1), sci.eq(v, 3)], x.right: [sci.eq(u.diff(x), 0), sci.eq(v.diff(x), 0)]},
    )
    return made(system, {x: FiniteDifference(21, order=4)}, {u: 1 + exp(-t) * sin(x), v: 3 + cos(x) * sin(t)})


@problem(1e-6, until=0.02)
def cahn_hilliard():
    mu = sci.fields("mu", t, x)
    system = sci.System([sci.eq(mu, u**3 - u - 0.01 * u.diff(x, 2)), sci.eq(u.diff(t), mu.diff(x, 2))])
    exact = exp(-t) * cos(pi * x)
    return made(system, {x: Cosine(16)}, {u: exact, mu: exact**3})


# -- waves ------------------------------------------------------------------------------------------------

STANDING = sin(pi * x) * cos(pi * t)


@problem(1e-4, until=0.3)
def wave_dirichlet():
    system = sci.System([sci.eq(u.diff(t, 2), u.diff(x, 2))], initial={u: sin(pi * x), u.diff(t): 0}, boundary=cold)
    return system, {x: FiniteDifference(33, order=4)}, {u: STANDING}


@problem(1e-6, until=0.3)
def wave_chebyshev():
    system = sci.System([sci.eq(u.diff(t, 2), u.diff(x, 2))], initial={u: sin(pi * x), u.diff(t): 0}, boundary=cold)
    return system, {x: Chebyshev(16)}, {u: STANDING}


@problem(1e-8)
def telegraph():
    frequency = sp.sqrt(pi**2 - 1)
    exact = exp(-t) * (cos(frequency * t) + sin(frequency * t) / frequency) * sin(pi * x)
    system = sci.System([sci.eq(u.diff(t, 2) + 2 * u.diff(t), u.diff(x, 2))], initial={u: sin(pi * x), u.diff(t): 0})
    return system, {x: Sine(8)}, {u: exact}


@problem(1e-5)
def sine_gordon_kink():
    z = sci.space("z", -4, 4)
    f = sci.fields("f", t, z)
    exact = 4 * sp.atan(exp((z - t / 2) / sp.sqrt(sp.Rational(3, 4))))
    system = sci.System([sci.eq(f.diff(t, 2), f.diff(z, 2) - sin(f))], boundary={z.left: sci.eq(f.diff(z), 0), z.right: sci.eq(f, 0)})
    return made(system, {z: FiniteDifference(49, order=6)}, {f: exact})


@problem(1e-3)
def sound_weno():
    wave = exp(sin(p - t))
    system = sci.System([sci.eq(h.diff(t), -sci.D(m, p)), sci.eq(m.diff(t), -sci.D(h, p))], initial={h: wave.subs(t, 0), m: wave.subs(t, 0)})
    return system, {p: FiniteVolume(48, flux="weno5")}, {h: wave, m: wave}


@problem(1e-8)
def drum():
    f = sci.fields("f", t, x, y)
    exact = cos(sp.sqrt(5) * pi * t) * sin(pi * x) * sin(2 * pi * y)
    return sci.System([sci.eq(f.diff(t, 2), sci.laplacian(f))], initial={f: exact.subs(t, 0), f.diff(t): 0}), {x: Sine(6), y: Sine(8)}, {f: exact}


@problem(1e-4, until=0.1)
def beam_supported():
    ends = held(*[[sci.eq(u, 0), sci.eq(u.diff(x, 2), 0)]] * 2)
    system = sci.System([sci.eq(u.diff(t, 2), -u.diff(x, 4))], initial={u: sin(pi * x), u.diff(t): 0}, boundary=ends)
    return system, {x: FiniteDifference(17, order=6)}, {u: sin(pi * x) * cos(pi**2 * t)}


@problem(1e-4, until=0.1)
def plate_clamped():
    ends = held([sci.eq(u, 0), sci.eq(u.diff(x), 0)], [sci.eq(u.diff(x, 2), 0), sci.eq(u.diff(x, 3), 0)])
    return made(sci.System([sci.eq(u.diff(t), -0.01 * u.diff(x, 4))], boundary=ends), {x: FiniteDifference(17, order=4)}, {u: exp(-t) * sin(2 * x)})


@problem(1e-6, until=0.1)
def plate_clamped_spectral():
    ends = held(*[[sci.eq(u, 0), sci.eq(u.diff(x), 0)]] * 2)
    return made(sci.System([sci.eq(u.diff(t), -0.01 * u.diff(x, 4))], boundary=ends), {x: Chebyshev(12)}, {u: exp(-t) * sin(2 * x)})


# -- complex fields -------------------------------------------------------------------------------------------


@problem(1e-7)
def schroedinger_free():
    psi = sci.fields("psi", t, p, real=False)
    exact = exp(sp.I * (p - t)) + exp(sp.I * (-2 * p - 4 * t)) / 2
    return closed(sci.eq(sp.I * psi.diff(t), -psi.diff(p, 2)), exact, Fourier(12), {}, psi, p)


@problem(1e-6)
def complex_wave():
    psi = sci.fields("psi", t, p, real=False)
    return made(sci.System([sci.eq(psi.diff(t, 2), psi.diff(p, 2) - psi)]), {p: Fourier(12)}, {psi: exp(sp.I * (p - t))})


@problem(1e-4, until=0.2)
def schroedinger_in_a_box():
    psi = sci.fields("psi", t, x, real=False)
    exact = exp(-sp.I * pi**2 * t) * sin(pi * x)
    return closed(sci.eq(psi.diff(t), sp.I * psi.diff(x, 2)), exact, FiniteDifference(25, order=4), held(sci.eq(psi, 0), sci.eq(psi, 0)), psi)


@problem(1e-5, until=0.3)
def schroedinger_soliton():
    z = sci.space("z", -15, 15, periodic=True)
    psi = sci.fields("psi", t, z, real=False)
    exact = sech(z) * exp(sp.I * t)
    return closed(sci.eq(sp.I * psi.diff(t), -psi.diff(z, 2) - 2 * sp.Abs(psi) ** 2 * psi), exact, Fourier(192), {}, psi, z)


# -- radial -----------------------------------------------------------------------------------------------------

r = sci.space("r", 0, 1)
c = sci.fields("c", t, r)
BALL = exp(-(pi**2) * t) * sp.Piecewise((pi, r <= 0), (sin(pi * r) / r, True))
ball = sci.eq(c.diff(t), sci.D(r**2 * c.diff(r), r) / r**2)


@problem(3e-5, until=0.1)
def ball_differences():
    return closed(ball, BALL, FiniteDifference(33, order=4), {r.right: sci.eq(c, 0)}, c, r)


@problem(5e-3, until=0.1)
def ball_volumes():
    return closed(ball, BALL, FiniteVolume(32), {r.right: sci.eq(c, 0)}, c, r)


@problem(1e-7, until=0.1)
def ball_spectral():
    return closed(ball, BALL, Chebyshev(14), {r.right: sci.eq(c, 0)}, c, r)


@problem(1e-4, until=0.1)
def disk():
    zero = 2.404825557695773
    start = special.j0(zero * np.linspace(0, 1, 25))
    system = sci.System([sci.eq(c.diff(t), sci.D(r * c.diff(r), r) / r)], initial={c: start}, boundary={r.right: sci.eq(c, 0)})
    return system, {r: FiniteDifference(25, order=4)}, {c: exp(-(zero**2) * t) * sp.besselj(0, zero * r)}


@problem(1e-4, until=0.2)
def ball_with_a_skin():
    return made(sci.System([ball], boundary={r.right: sci.eq(c.diff(r), -c)}), {r: FiniteDifference(25, order=4)}, {c: exp(-t) * cos(r**2)})


# -- planes and boxes ---------------------------------------------------------------------------------------------

f2 = sci.fields("f2", t, x, y)


@problem(2e-5, until=0.2)
def heat_square():
    exact = exp(-2 * k * pi**2 * t) * sin(pi * x) * cos(pi * y)
    walls = {x.left: sci.eq(f2, 0), x.right: sci.eq(f2, 0), y.left: sci.eq(f2.diff(y), 0), y.right: sci.eq(f2.diff(y), 0)}
    system = sci.System([sci.eq(f2.diff(t), k * sci.laplacian(f2))], initial={f2: exact.subs(t, 0)}, boundary=walls)
    return system, {x: FiniteDifference(25, order=4), y: FiniteDifference(21, order=4)}, {f2: exact}


@problem(1e-3, until=0.2)
def heat_square_volumes():
    exact = exp(-2 * k * pi**2 * t) * sin(pi * x) * cos(pi * y)
    walls = {x.left: sci.eq(f2, 0), x.right: sci.eq(f2, 0), y.left: sci.eq(f2.diff(y), 0), y.right: sci.eq(f2.diff(y), 0)}
    system = sci.System([sci.eq(f2.diff(t), sci.div([k * g for g in sci.grad(f2)]))], initial={f2: exact.subs(t, 0)}, boundary=walls)
    return system, {x: FiniteVolume(24), y: FiniteVolume(24)}, {f2: exact}


@problem(1e-7, until=0.2)
def annulus():
    f = sci.fields("f", t, x, p)
    exact = exp(-k * (pi**2 + 1) * t) * sin(pi * x) * cos(p)
    system = sci.System([sci.eq(f.diff(t), k * sci.laplacian(f))], initial={f: exact.subs(t, 0)}, boundary=held(sci.eq(f, 0), sci.eq(f, 0)))
    return system, {x: Chebyshev(14), p: Fourier(8)}, {f: exact}


@problem(1e-4, until=0.2)
def square_with_all_kinds_of_sides():
    walls = {x.left: sci.eq(f2, 0), x.right: sci.eq(f2.diff(x) + f2, 0), y.left: sci.eq(f2.diff(y), 0), y.right: sci.eq(f2.diff(y), 1 - f2**2)}
    return made(
        sci.System([sci.eq(f2.diff(t), k * sci.laplacian(f2))], boundary=walls),
        {x: FiniteDifference(17, order=4), y: FiniteDifference(17, order=4)},
        {f2: exp(-t) * sin(1 + x + 2 * y)},
    )


@problem(1e-8)
def mixed_derivative():
    f = sci.fields("f", t, p, q)
    exact = exp(-3 * t) * cos(p + q)
    system = sci.System([sci.eq(f.diff(t), sci.laplacian(f) + f.diff(p, q))], initial={f: exact.subs(t, 0)})
    return system, {p: Fourier(8), q: Fourier(8)}, {f: exact}


@problem(1e-4, until=0.2)
def mixed_derivative_between_sides():
    walls = {side: sci.eq(f2, 0) for side in (x.left, x.right, y.left, y.right)}
    system = sci.System([sci.eq(f2.diff(t), k * (sci.laplacian(f2) + f2.diff(x, y)))], boundary=walls)
    return made(system, {x: FiniteDifference(17, order=4), y: FiniteDifference(17, order=4)}, {f2: exp(-t) * sin(x + 2 * y)})


@problem(1e-8)
def heat_box():
    f = sci.fields("f", t, x, y, p)
    exact = exp(-k * (2 * pi**2 + 1) * t) * sin(pi * x) * cos(pi * y) * cos(p)
    return sci.System([sci.eq(f.diff(t), k * sci.laplacian(f))], initial={f: exact.subs(t, 0)}), {x: Sine(6), y: Cosine(6), p: Fourier(6)}, {f: exact}


@problem(5e-3)
def heat_box_differences():
    f = sci.fields("f", t, p, q, s)
    exact = exp(-3 * k * t) * sin(p) * cos(q) * sin(s)
    return (
        sci.System([sci.eq(f.diff(t), k * sci.laplacian(f))], initial={f: exact.subs(t, 0)}),
        {p: FiniteDifference(12, order=4), q: FiniteDifference(12, order=4), s: FiniteDifference(12, order=4)},
        {f: exact},
    )


@problem(1e-8)
def gray_scott():
    a, b = sci.fields("a b", t, p, q)
    system = sci.System(
        [
            sci.eq(a.diff(t), 0.1 * sci.laplacian(a) - a * b**2 + 0.04 * (1 - a)),
            sci.eq(b.diff(t), 0.05 * sci.laplacian(b) + a * b**2 - 0.1 * b),
        ]
    )
    return made(system, {p: Fourier(16), q: Fourier(16)}, {a: 1 + sin(p) * cos(q) * exp(-t), b: 1 + cos(p + t)})


@problem(1e-6)
def vorticity_of_two_fields():
    a, b = sci.fields("a b", t, p, q)
    system = sci.System([sci.eq(a.diff(t), sci.curl((a, b))), sci.eq(b.diff(t), a.diff(p) + b.diff(q))])
    return made(system, {p: Fourier(8), q: FiniteDifference(48, order=8)}, {a: sin(p + t) * cos(q), b: cos(p) * sin(q - t)})


# -- shallow water ----------------------------------------------------------------------------------------------------

depth, flow = sci.fields("depth flow", t, x)
water = [sci.eq(depth.diff(t), -sci.D(flow, x)), sci.eq(flow.diff(t), -sci.D(flow**2 / depth + depth**2 / 2, x))]


@problem(1e-8)
def lake_at_rest():
    walls = held([sci.eq(depth.diff(x), 0), sci.eq(flow, 0)], [sci.eq(depth.diff(x), 0), sci.eq(flow, 0)])
    system = sci.System(water, initial={depth: 2, flow: 0}, boundary=walls)
    return system, {x: FiniteVolume(16, flux="muscl")}, {depth: sp.Integer(2), flow: sp.Integer(0)}


@problem(5e-3)
def water_that_spreads():
    exact = {depth: 1 / (1 + t), flow: x / (1 + t) ** 2}
    walls = {side: [sci.eq(f, g.subs(x, place)) for f, g in exact.items()] for side, place in ((x.left, 0), (x.right, 1))}
    return sci.System(water, initial={f: g.subs(t, 0) for f, g in exact.items()}, boundary=walls), {x: FiniteVolume(32, flux="muscl")}, exact


@problem(2e-2, until=0.2)
def water_periodic():
    system = sci.System([sci.eq(h.diff(t), -sci.D(m, p)), sci.eq(m.diff(t), -sci.D(m**2 / h + h**2 / 2, p))])
    return made(system, {p: FiniteVolume(40, flux="muscl")}, {h: 2 + sin(p - t) / 2, m: cos(p - t)})


@problem(2e-2, mean=True, until=0.2)
def dam_break():
    z = sci.space("z", -1, 1)
    d, f = sci.fields("d f", t, z)
    low, high = 0.5, 1.0
    middle, speed = _middle(low, high)
    fan = (2 * np.sqrt(high) - z / t) ** 2 / 9
    exact = sp.Piecewise(
        (high, z < -np.sqrt(high) * t), (fan, z < (2 * np.sqrt(high) - 3 * np.sqrt(middle)) * t), (middle, z < speed * t), (low, True)
    )
    walls = {side: [sci.eq(d.diff(z), 0), sci.eq(f.diff(z), 0)] for side in (z.left, z.right)}
    system = sci.System(
        [sci.eq(d.diff(t), -sci.D(f, z)), sci.eq(f.diff(t), -sci.D(f**2 / d + d**2 / 2, z))],
        initial={d: sp.Piecewise((high, z < 0), (low, True)), f: 0},
        boundary=walls,
    )
    return system, {z: FiniteVolume(100, flux="muscl")}, {d: exact}


def _middle(low: float, high: float) -> tuple[float, float]:
    """Depth between the fan and the shock, and the speed of the shock (Stoker 1957), for g = 1."""

    def jump(d):
        return 2 * (np.sqrt(high) - np.sqrt(d)) - (d - low) * np.sqrt((d + low) / (2 * d * low))

    d = optimize.brentq(jump, low, high)
    return d, np.sqrt(d * (d + low) / (2 * low))


# -- fields without a rate --------------------------------------------------------------------------------------------


@problem(1e-6, until=0.1, solver="auto")
def drift_in_its_own_potential():
    phi = sci.fields("phi", t, x)
    system = sci.System(
        [sci.eq(u.diff(t), sci.D(k * u.diff(x) + u * phi.diff(x), x)), sci.eq(phi.diff(x, 2), u)],
        boundary={x.left: [sci.eq(u, 0), sci.eq(phi, 0)], x.right: [sci.eq(u, 0), sci.eq(phi, 0)]},
    )
    return made(system, {x: Chebyshev(10)}, {u: 1 + exp(-t) * sin(x), phi: cos(x) * sin(t)})


@problem(1e-4, until=0.2, solver="auto")
def potential_by_differences():
    phi = sci.fields("phi", t, x)
    system = sci.System(
        [sci.eq(u.diff(t), k * u.diff(x, 2) - phi), sci.eq(phi.diff(x, 2) - phi, u)],
        boundary={x.left: [sci.eq(u, 0), sci.eq(phi.diff(x), 0)], x.right: [sci.eq(u, 0), sci.eq(phi.diff(x) + phi, 0)]},
    )
    return made(system, {x: FiniteDifference(17, order=4)}, {u: 1 + exp(-t) * sin(x), phi: cos(x) * sin(t)})


@problem(1e-5)
def flux_as_a_field():
    g = sci.fields("g", t, x)
    system = sci.System([sci.eq(u.diff(t), -g.diff(x)), sci.eq(g, -k * u.diff(x))], boundary=cold)
    return made(system, {x: Chebyshev(12)}, {u: exp(-t) * sin(2 * x), g: -2 * k * exp(-t) * cos(2 * x)})


# -- stationary -----------------------------------------------------------------------------------------------------------

U = sci.fields("U", x)
P = sci.fields("P", x, y)


def still(equation: Any, exact: Any, method: Any, boundary: dict) -> Any:
    return sci.System([equation], boundary=boundary), {x: method}, {U: exact}


@problem(1e-5, until=None)
def poisson():
    return still(sci.eq(-U.diff(x, 2), pi**2 * sin(pi * x)), sin(pi * x), FiniteDifference(25, order=4), held(sci.eq(U, 0), sci.eq(U, 0)))


@problem(1e-8, until=None)
def boundary_layer():
    exact = (exp(10 * x) - 1) / (exp(10) - 1)
    return still(sci.eq(0.1 * U.diff(x, 2), U.diff(x)), exact, Chebyshev(24), held(sci.eq(U, 0), sci.eq(U, 1)))


@problem(1e-8, until=None)
def bratu():
    theta = 1.5171645990507543  # of theta = sqrt(2) cosh(theta/4), for lambda = 1
    exact = -2 * sp.log(sp.cosh((x - sp.Rational(1, 2)) * theta / 2) / sp.cosh(theta / 4))
    return still(sci.eq(U.diff(x, 2) + exp(U), 0), exact, Chebyshev(14), held(sci.eq(U, 0), sci.eq(U, 0)))


@problem(1e-4, until=None)
def nonlinear_conductor():
    sides = held(sci.eq(U, 0), sci.eq((1 + U) * U.diff(x), sp.Rational(3, 2)))
    return still(sci.eq(sci.D((1 + U) * U.diff(x), x), 0), sp.sqrt(1 + 3 * x) - 1, FiniteDifference(25, order=6), sides)


@problem(1e-8, until=None)
def cubic():
    return made(
        sci.System([sci.eq(U.diff(x, 2), U**3)], boundary=held(sci.eq(U, 0), sci.eq(U.diff(x) + U, 0))), {x: Chebyshev(14)}, {U: 1 + sin(2 * x)}
    )


@problem(1e-3, until=None)
def poisson_volumes():
    return made(
        sci.System([sci.eq(sci.D((1 + x) * U.diff(x), x), U)], boundary=held(sci.eq(U, 0), sci.eq(U.diff(x), 0))),
        {x: FiniteVolume(32)},
        {U: cos(2 * x)},
    )


@problem(1e-6, until=None)
def poisson_square():
    walls = {x.left: sci.eq(P, 0), x.right: sci.eq(P, 0), y.left: sci.eq(P, 0), y.right: sci.eq(P.diff(y), 0)}
    return made(sci.System([sci.eq(sci.laplacian(P), 1)], boundary=walls), {x: Chebyshev(10), y: Chebyshev(10)}, {P: sin(x + y)})


@problem(1e-8, until=None)
def helmholtz_periodic():
    F = sci.fields("F", p)
    return made(sci.System([sci.eq(F.diff(p, 2) - F, 1)]), {p: Fourier(24)}, {F: exp(cos(p))})


@problem(1e-5, until=None)
def heat_at_rest():
    system = sci.System([sci.eq(u.diff(t), u.diff(x, 2) + pi**2 * sin(pi * x))], initial={u: x}, boundary=held(sci.eq(u, 0), sci.eq(u, 1)))
    return system, {x: FiniteDifference(25, order=4)}, {u: sin(pi * x) + x}
