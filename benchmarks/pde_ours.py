"""sciml's side of the PDE benchmarks: each problem as a user declares it. Run as a script it says whether this version has what they need.

`declared(name)` gives (System, {axis: name of the axis}, fields); `discretised(name, {...})` the same with a method per axis.
`solved(...)` is the one call of `sci.solve`, with what is timed: the jitted program alone, and the call from Python.
"""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from benchmarks import pde_problems as given
from benchmarks.stiff_ours import needs

NAMES = ("fields", "space", "D", "laplacian", "discretize", "FiniteDifference", "FiniteVolume", "Fourier")


def here() -> None:
    """Stops with a sentence where this version of sciml has no PDEs."""
    needs(*NAMES)


class Declared:
    """A System with its axes and fields in the order of the arrays written by hand."""

    def __init__(self, system: Any, axes: tuple[Any, ...], fields: tuple[Any, ...]):
        self.system, self.axes, self.fields = system, axes, fields


class Solved:
    """A solve to be timed (`run`: the jitted program alone, `call`: sci.solve from Python) and what it gave."""

    def __init__(self, run: Callable[[], Any], call: Callable[[], Any], solution: Any, declared: Declared):
        self.run, self.call, self.solution, self.declared = run, call, solution, declared

    @property
    def end(self) -> np.ndarray:
        """The fields at the end; without the leading axis where there is one field."""
        values = [np.asarray(self.solution[f][-1]) for f in self.declared.fields]
        return values[0] if len(values) == 1 else np.stack(values)

    def __call__(self) -> Any:
        return self.run()


class Discretised(Declared):
    """A declared problem, its discrete System and the compiled model."""

    def __init__(self, declared: Declared, methods: Mapping[Any, Any]):
        import sciml as sci

        super().__init__(declared.system, declared.axes, declared.fields)
        self.discrete = sci.discretize(declared.system, dict(methods))
        self.model = sci.compile(self.discrete)

    def rates(self) -> tuple[Callable[[Any], Any], Any]:
        """(flat state -> flat rates, the declared initial state), not jitted."""
        from sciml.codegen import Point

        model = self.model
        p, values, given_ = model.flat_params({})
        p, functions = model.full_params(p, given_), model.functions(values)
        known = {n: model.initial.get(n, np.zeros(place.shape)) for n, place in model.layout.states.items()}  # expressions are filled in next
        start = model.initial_state(model.flat_state(known), p, 0.0)
        return lambda y: model.rates(Point(0.0, y, p, functions)), start

    def solve(self, end: float, **options: Any) -> Solved:
        """From 0 to `end`, only the end is kept; `options` are those of sci.solve (solver, dt, rtol, atol)."""
        import jax.numpy as jnp

        import sciml as sci

        options = {"t_span": (0.0, end), "saveat": "end", **options}
        sol = sci.solve(self.model, **options)
        program, buffer = sol._program, jnp.asarray(sol._buffer)
        return Solved(lambda: program.jitted(buffer, {}, None)[0].block_until_ready(), lambda: sci.solve(self.model, **options), sol, self)


def discretised(name: str, method: Callable[[Any], Any], *arguments: Any) -> Discretised:
    """Problem `name` with the same method on each axis: `discretised("heat", lambda sci: sci.FiniteDifference(128))`."""
    import sciml as sci

    declared = PROBLEMS[name](*arguments)
    return Discretised(declared, {a: method(sci) for a in declared.axes})


# -- periodic ----------------------------------------------------------------------------------------------------------


def _on_line(length: float) -> tuple[Any, Any]:
    import sciml as sci

    x = sci.space("x", 0, length, periodic=True)
    return x, sci.fields("u", sci.t, x)


def burgers() -> Declared:
    import sympy as sp

    import sciml as sci

    x, u = _on_line(2 * sp.pi)
    nu = sci.parameters("nu", given.BURGERS_NU)
    equation = sci.eq(u.diff(sci.t), -sci.D(u**2 / 2, x) + nu * u.diff(x, 2))
    return Declared(sci.System([equation], initial={u: sp.sin(x) + sp.cos(2 * x) / 2}, name="burgers"), (x,), (u,))


def kuramoto_sivashinsky() -> Declared:
    import sympy as sp

    import sciml as sci

    x, u = _on_line(32 * sp.pi)
    equation = sci.eq(u.diff(sci.t), -sci.D(u**2 / 2, x) - u.diff(x, 2) - u.diff(x, 4))
    return Declared(sci.System([equation], initial={u: sp.cos(x / 16) * (1 + sp.sin(x / 16))}, name="kuramoto_sivashinsky"), (x,), (u,))


def kdv() -> Declared:
    import sympy as sp

    import sciml as sci

    x, u = _on_line(40)
    c = sp.Float(given.SOLITON_SPEED)
    start = c / 2 / sp.cosh(sp.sqrt(c) / 2 * (x - given.SOLITON_START)) ** 2
    equation = sci.eq(u.diff(sci.t), -sci.D(3 * u**2, x) - u.diff(x, 3))
    return Declared(sci.System([equation], initial={u: start}, name="kdv"), (x,), (u,))


def navier_stokes(n: int = given.NAVIER_STOKES.n) -> Declared:
    """The vorticity w, and the potential psi of which there is no time derivative; the start is an array of the grid, n x n."""
    import sympy as sp

    import sciml as sci

    x, y = (sci.space(n, 0, 2 * sp.pi, periodic=True) for n in "xy")
    w, psi = sci.fields("w psi", sci.t, x, y)
    nu = sci.parameters("nu", given.NAVIER_STOKES_NU)
    swirl = sci.D(psi.diff(y) * w, x) - sci.D(psi.diff(x) * w, y)
    equations = [sci.eq(w.diff(sci.t), -swirl + nu * sci.laplacian(w)), sci.eq(sci.laplacian(psi), w)]
    return Declared(sci.System(equations, initial={w: given.NAVIER_STOKES.start_on(n)}, name="navier_stokes"), (x, y), (w,))


def gray_scott(n: int = given.GRAY_SCOTT_N) -> Declared:
    """The start is arrays of the grid, n x n (see `gray_scott_fields`)."""
    import sciml as sci

    x, y = (sci.space(n, 0, 1, periodic=True) for n in "xy")
    u, v = sci.fields("u v", sci.t, x, y)
    du, dv, f, k = sci.parameters("Du Dv F k", list(given.GRAY_SCOTT.values()))
    equations = [
        sci.eq(u.diff(sci.t), du * sci.laplacian(u) - u * v**2 + f * (1 - u)),
        sci.eq(v.diff(sci.t), dv * sci.laplacian(v) + u * v**2 - (f + k) * v),
    ]
    start = given.gray_scott_fields(n)
    return Declared(sci.System(equations, initial={u: start[0], v: start[1]}, name="gray_scott"), (x, y), (u, v))


def brusselator() -> Declared:
    import sympy as sp

    import sciml as sci

    x, y = (sci.space(n, 0, 1, periodic=True) for n in "xy")
    u, v = sci.fields("u v", sci.t, x, y)
    c = given.BRUSSELATOR
    a, b, alpha = sci.parameters("A B alpha", [c["A"], c["B"], c["alpha"]])
    inside = ((x - 0.3) ** 2 + (y - 0.6) ** 2 <= 0.1**2) & (sci.t >= c["switch"])
    force = sp.Piecewise((c["force"], inside), (0, True))
    equations = [
        sci.eq(u.diff(sci.t), b + u**2 * v - (a + 1) * u + alpha * sci.laplacian(u) + force),
        sci.eq(v.diff(sci.t), a * u - u**2 * v + alpha * sci.laplacian(v)),
    ]
    start = {u: 22 * (y * (1 - y)) ** sp.Rational(3, 2), v: 27 * (x * (1 - x)) ** sp.Rational(3, 2)}
    return Declared(sci.System(equations, initial=start, name="brusselator"), (x, y), (u, v))


# -- with sides --------------------------------------------------------------------------------------------------------


def walls() -> Declared:
    """Burgers between walls."""
    import sympy as sp

    import sciml as sci

    x = sci.space("x", 0, 2 * sp.pi)
    u = sci.fields("u", sci.t, x)
    nu = sci.parameters("nu", given.WALLS_NU)
    equation = sci.eq(u.diff(sci.t), -sci.D(u**2 / 2, x) + nu * u.diff(x, 2))
    boundary = {x.left: sci.eq(u, 0), x.right: sci.eq(u, 0)}
    system = sci.System([equation], initial={u: sp.sin(x) + sp.sin(2 * x) / 2}, boundary=boundary, name="burgers_between_walls")
    return Declared(system, (x,), (u,))


def heat() -> Declared:
    import sympy as sp

    import sciml as sci

    x = sci.space("x", 0, sp.pi)
    u = sci.fields("u", sci.t, x)
    d = sci.parameters("D", 1.0)
    boundary = {x.left: sci.eq(u, 0), x.right: sci.eq(u, 0)}
    system = sci.System([sci.eq(u.diff(sci.t), d * u.diff(x, 2))], initial={u: x * (sp.pi - x) * sp.exp(x / 2)}, boundary=boundary, name="heat")
    return Declared(system, (x,), (u,))


def reaction() -> Declared:
    import sympy as sp

    import sciml as sci

    x, y = sci.space("x", -1, 1), sci.space("y", -1, 1)
    u, v = sci.fields("u v", sci.t, x, y)
    du, dv, k = sci.parameters("Du Dv k", list(given.REACTION.values()))
    equations = [
        sci.eq(u.diff(sci.t), du * sci.laplacian(u) + u - u**3 - v - k),
        sci.eq(v.diff(sci.t), dv * sci.laplacian(v) + u - v),
    ]
    boundary = {side: [sci.eq(f.diff(a), 0) for f in (u, v)] for a in (x, y) for side in (a.left, a.right)}
    start = {u: sp.cos(2 * sp.pi * x) * sp.cos(sp.pi * y) + 0.3, v: sp.cos(sp.pi * x) * sp.cos(3 * sp.pi * y) / 2}
    return Declared(sci.System(equations, initial=start, boundary=boundary, name="reaction_diffusion"), (x, y), (u, v))


# -- conservation laws -------------------------------------------------------------------------------------------------


def conserved(name: str, closed: bool) -> Declared:
    """A conservation law u_t + F_x = 0, on a ring or, `closed`, with no flux through the sides."""
    import sympy as sp

    import sciml as sci

    x = sci.space("x", 0, 1) if closed else sci.space("x", 0, 1, periodic=True)
    u = sci.fields("u", sci.t, x)
    flux = {
        "advection and diffusion": 0.5 * u - 0.01 * u.diff(x),
        "Burgers": u**2 / 2 - 0.01 * u.diff(x),
        "porous medium": -(u**2) * u.diff(x) / 4,
    }[name]
    boundary = {side: sci.eq(flux, 0) for side in (x.left, x.right)} if closed else {}
    start = 1 + sp.cos(2 * sp.pi * x) / 2
    return Declared(sci.System([sci.eq(u.diff(sci.t), -sci.D(flux, x))], initial={u: start}, boundary=boundary, name="law"), (x,), (u,))


PROBLEMS: dict[str, Callable[..., Declared]] = {
    "Burgers": burgers,
    "Kuramoto-Sivashinsky": kuramoto_sivashinsky,
    "Korteweg-de Vries": kdv,
    "Navier-Stokes vorticity": navier_stokes,
    "Gray-Scott": gray_scott,
    "Brusselator": brusselator,
    "Burgers between walls": walls,
    "heat": heat,
    "reaction-diffusion": reaction,
    "conserved": conserved,
}


def main() -> None:
    here()
    print("everything that the PDE benchmarks measure is there")


if __name__ == "__main__":
    main()
