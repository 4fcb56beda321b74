"""Domains, surfaces, values at the end, sums over components: kept whole by a System, and checked when it is made."""

import pickle

import numpy as np
import pytest
import sympy as sp

import sciml as sci
from sciml.errors import CompileError, ModelError, NameUnknown, UnitError
from sciml.symbols import Surface, declaration_of
from sciml.system import with_units

t = sci.t
x, y = sci.space("x", 0, 1), sci.space("y", 0, 1)
X = sci.space("X", -sp.oo, sp.oo, dim=5)
i, j, k = sp.symbols("i j k", integer=True)
c = sci.constants("c", [1.0, 2.0, 3.0, 4.0, 5.0])
u, w, r = sci.fields("u", t, X), sci.fields("w", t, x, y), sci.fields("r", t, x)
v = sci.fields("v", X)
square = sci.box((x, y), (0, 0), (1, 1))
hole, other = sci.ball((x, y), (0.3, 0.3), 0.1), sci.ball((x, y), (0.7, 0.7), 0.1)
plate = square - hole - other
ball = sci.ball(X, radius=1)
heat = sci.eq(w.diff(t), sci.laplacian(w))
rod, string = sci.eq(r.diff(t), r.diff(x, 2)), sci.eq(r.diff(t, 2), r.diff(x, 2))
System = sci.System


def heated(**changes):
    given = dict(
        initial={w: x * y},
        domain=plate,
        boundary={
            x.left: sci.eq(sci.normal_derivative(w), 2),
            x.right: sci.eq(sci.normal_derivative(w), w),
            hole.surface: [sci.eq(sci.normal_derivative(w), 0), sci.eq(w.diff(t), 0)],
            (square | other).surface: sci.eq(w, 0),
        },
        name="heated",
    )
    return System([heat], **{**given, **changes})


def backward(n=i):
    total = sp.Sum(X[n] ** 2 * u.diff(X[n], 2), (n, 0, X.dim - 1))
    return System([sci.eq(u.diff(t), -total / 2)], final={u: sp.Sum(c[n] * X[n] ** 2, (n, 0, X.dim - 1))}, name="backward")


# -- domains and surfaces -------------------------------------------------------------------


def test_conditions_are_kept_by_name_and_their_surfaces_too():
    system = heated()
    names = [hole.surface.name, (square | other).surface.name]
    assert list(system.boundary) == ["x.left", "x.right", *names]
    assert system.surfaces == dict(zip(names, (hole.surface, (square | other).surface), strict=True))
    assert system.domain == plate and all(isinstance(s, Surface) for s in system.surfaces.values())
    assert len(system.boundary[names[0]]) == 2


def test_the_normal_is_a_number_at_sides_and_a_symbol_on_surfaces():
    system = heated()
    assert str(system.boundary["x.left"][0]) == "-w_x = 2" and str(system.boundary["x.right"][0]) == "w_x = w"
    on_hole = system.boundary[hole.surface.name][0]
    assert str(on_hole) == "n_x*w_x + n_y*w_y = 0"
    assert declaration_of(system.symbols["n_x"]).kind == "normal"
    low = System([heat], boundary={"y.left": sci.eq(sci.normal_derivative(w), 0)})
    assert str(low.boundary["y.left"][0]) == "-w_y = 0" and "n_y" not in low.symbols


def test_a_surface_has_no_normal_along_what_it_is_not_in():
    z = sci.space("z", 0, 1)
    f = sci.fields("f", x, y, z)
    pipe = System([sci.eq(sci.laplacian(f), 0)], domain=plate, boundary={hole.surface: sci.eq(sci.normal_derivative(f), 0)})
    assert str(pipe.boundary[hole.surface.name][0]) == "n_x*f_x + n_y*f_y = 0" and "n_z" not in pipe.symbols


def test_a_periodic_coordinate_has_no_surface_where_it_closes():
    a = sci.space("a", 0, 1, periodic=True)
    f = sci.fields("f", a, y)
    channel, stone = sci.box((a, y), (0, 0), (1, 1)), sci.ball((a, y), (0.5, 0.5), 0.1)
    flow = System([sci.eq(sci.laplacian(f), 0)], domain=channel - stone, boundary={stone.surface: sci.eq(f, 0), y.left: sci.eq(f, 1)})
    with pytest.raises(ModelError, match=r"where the periodic 'a' closes on itself. Write the sides one by one: y.left, ..."):
        flow.replace(boundary={channel.surface: sci.eq(f, 0)})


def test_discretize_understands_normal_derivatives_at_sides():
    def solved(left):
        system = System([rod], initial={r: sp.cos(sp.pi * x)}, boundary={x.left: left, x.right: sci.eq(r.diff(x), 0)})
        return sci.discretize(system, {x: sci.FiniteDifference(9)})

    assert solved(sci.eq(sci.normal_derivative(r), 0)) == solved(sci.eq(-r.diff(x), 0))


def test_what_a_system_holds_shows():
    shown = repr(heated())
    for line in (f"domain {plate}", f"at {hole.surface}: n_x*w_x + n_y*w_y = 0", "at x.left: -w_x = 2"):
        assert f"\n  {line}" in shown
    assert f"at {hole.surface}" in heated().latex()
    shown = repr(backward())
    assert "u' = -Sum(X[i]**2*u_X[i]X[i], (i, 0, 4))/2" in shown and "\n  final u = Sum(X[i]**2*c[i], (i, 0, 4))" in shown
    assert r"\sum_{i=0}^{4}" in backward().latex() and r"\text{at the end}" in backward().latex()
    assert r"3 \quad \text{at the end}" in System([rod], final={r: 3}).latex() and "an array" in System([rod], final={r: np.ones(3)}).latex()


@pytest.mark.parametrize("make", [heated, backward], ids=["heated", "backward"])
def test_copies_are_equal(make):
    system = make()
    for again in (pickle.loads(pickle.dumps(system)), system.replace(), system.subs({}), system.replace(boundary={**system.boundary})):
        assert again == system and again.digest == system.digest
        assert (again.domain, again.surfaces, again.final) == (system.domain, system.surfaces, system.final)


def test_replace_and_subs_reach_all_of_it():
    system = heated()
    assert system.replace(domain=square - hole, boundary={}).domain == square - hole
    assert not system.replace(boundary={}).surfaces
    with pytest.raises(ModelError, match="the domain has no such part"):
        system.replace(domain=square)
    assert backward().replace(final={u: 0}).final == {"u": 0.0}
    assert backward().subs({c: 2 * sci.constants("e", [1.0] * 5)}).final["u"].has(sp.Sum)
    assert "e" in backward().subs(c, sp.sin(sci.constants("e", [1.0] * 5))).symbols


def test_digests_tell_apart_what_differs():
    def edge(s):
        return heated(boundary={s: sci.eq(w, 0)})

    systems = [
        heated(),
        heated(domain=plate & square),
        edge(hole.surface),
        edge(other.surface),
        edge(x.left),
        backward(),
        backward().replace(final={}),
    ]
    systems += [System([rod]), System([rod], final={r: 0}), System([rod], initial={r: 0})]
    assert len({s.digest for s in systems}) == len(systems)
    assert backward(i) == backward(j)


def test_components_bring_their_domain_and_their_values():
    part = heated(final={}, name="part")
    z = sci.variables("z", initial=0.0)
    whole = System([sci.eq(z.diff(t), -z)], components=[part])
    assert whole.domain == plate and whole.surfaces == part.surfaces
    assert str(whole.boundary[hole.surface.name][0]) == "n_x*part.w_x + n_y*part.w_y = 0"
    late = System([rod], final={r: x}, name="late")
    assert System([], components=[late]).final == {"late.r": x}
    with pytest.raises(ModelError, match=r"The components have the domains .* Say which one holds"):
        System([], components=[part, heated(name="more", domain=square - hole, boundary={})])


# -- values at the end ------------------------------------------------------------------------


def test_a_wave_may_have_a_value_at_each_end():
    system = System([string], initial={r: 0}, final={r: sp.sin(sp.pi * x)})
    assert system.final == {"r": sp.sin(sp.pi * x)}
    assert System([string], final={r: 0, r.diff(t): 1}).final == {"r": 0.0, "r'": 1.0}


FIRST = "'r' has values at the start .r. and at the end .r., and its equation is of order 1 in time, which takes 1 in all. Remove initial= or final="

WRONG = {
    "both ends": (lambda: System([rod], initial={r: 0}, final={r: 0}), FIRST),
    "declared": (lambda: _declared_twice(), "has values at the start .q. and at the end .q."),
    "three": (lambda: System([string], initial={r: 0}, final={r: 0, "r'": 0}), r"at the end \(r, r'\), and its equation is of order 2"),
    "its rate": (lambda: System([rod], final={r.diff(t): 0}), "final has 'r'', and r' follows from the equations"),
    "unknown name": (lambda: System([rod], final={"s": 0}), "final has 's', which stands in no equation.*There are: r"),
    "stationary": (lambda: System([sci.eq(sci.laplacian(v), 1)], final={v: 0}), "'v' has no derivative in time"),
    "of time": (lambda: _final_of_time(), r"'z' depends on time alone: values at the end are for fields.*sci.fit\(system, table, free=\[z\]\)"),
    "field in it": (lambda: System([rod], final={r: r**2}), "The final value of 'r' is"),
    "NaN": (lambda: System([rod], final={r: float("nan")}), "The value of 'r' is nan"),
    "no region": (lambda: heated(domain="disc", boundary={}), "domain='disc' is not a region. Write domain=sci.ball"),
    "region for a key": (lambda: heated(boundary={hole: sci.eq(w, 0)}), "for a key: write its surface, region.surface"),
    "no domain": (lambda: heated(domain=None), r"has the circle of radius 0.1.*has no domain of its own: sci.System\(..., domain=region\)"),
    "no part": (lambda: heated(domain=square - other), r"the circle of radius 0.1 around \(0.3, 0.3\), and the domain has no such part; it has"),
    "no side": (lambda: heated(domain=hole, boundary={x.left: sci.eq(w, 0)}), "no side of the domain lies at x = 0. Its surfaces are the circle"),
    "too wide": (
        lambda: heated(domain=sci.ball((x, y)), boundary={}),
        r'from x = -1 to 1.*x = sci.space\("x", -1, 1\), or cut',
    ),
    "too wide a vector": (lambda: _wide_vector(), r'Write Y = sci.space\("Y", -2, sp.oo, dim=3\)'),
    "other coordinate": (lambda: System([rod], domain=hole), "The domain is in 'y', and no field of System 'system' is over it"),
    "normal inside": (lambda: System([sci.eq(w.diff(t), sci.normal_derivative(w))]), "a normal exists on the boundary alone"),
    "normal observed": (lambda: System([heat], observed={"q": sci.normal_derivative(w)}), "The value of 'q' holds a normal derivative"),
    "no field there": (lambda: heated(boundary={hole.surface: sci.eq(c[0], 0)}), r"holds no field.*u.diff\(x, y\)"),
    "side of a vector": (
        lambda: System([sci.eq(u.diff(t), u)], boundary={"X.left": sci.eq(u, 0)}),
        r"'X' is a vector: it has no sides. Write a surface",
    ),
    "no such key": (lambda: heated(boundary={"the circle": sci.eq(w, 0)}), "which is not a side"),
}


def _declared_twice():
    q = sci.fields("q", t, x, initial=1.0)
    return System([sci.eq(q.diff(t), q.diff(x, 2))], final={q: 0})


def _final_of_time():
    z = sci.variables("z")
    return System([sci.eq(z.diff(t), -z)], final={z: 0})


def _wide_vector():
    Y = sci.space("Y", 0, sp.oo, dim=3)
    f = sci.fields("f", Y)
    return System([sci.eq(sci.laplacian(f), 1)], domain=sci.ball(Y, radius=2))


@pytest.mark.parametrize(("make", "message"), WRONG.values(), ids=WRONG)
def test_what_cannot_be_meant_is_refused_with_the_cure(make, message):
    with pytest.raises(ModelError, match=message):
        make()


# -- sums -------------------------------------------------------------------------------------


def of_sum(e):
    return System([sci.eq(u.diff(t), e)])


def test_sums_within_their_vectors():
    for e in (
        sp.Sum(X[i] * X[i + 1], (i, 0, 3)),
        sp.Sum(X[i - 2] * c[i], (i, 2, 4)),
        sp.Sum(X[i] * sp.Sum(X[j], (j, 0, 4)), (i, 0, 4)),
        sp.Sum(X[i] * X[j], (i, 0, 4), (j, 0, 4)),
        sp.Sum(u.diff(X[i]), (i, 0, 4)) * sp.Sum(X[i], (i, 0, 2)),
        sci.laplacian(sci.laplacian(u)),
        sci.dot(X, X - c) + X[0] + c[1],
        sp.Sum(u.diff(X[sp.Idx("q")], 2), (sp.Idx("q"), 0, 4)),
    ):
        assert of_sum(e).symbols["X"] == X


WRONG_SUMS = {
    "beyond": (sp.Sum(X[i] * X[i + 1], (i, 0, 4)), r"`X\[i \+ 1\]` in a sum over i from 0 to 4: for i = 4 that is component 5.*Write \(i, 0, 3\)"),
    "below": (sp.Sum(X[i - 1] * X[i], (i, 0, 4)), r"for i = 0 that is component -1.*Write \(i, 1, 4\)"),
    "of a derivative": (sp.Sum(u.diff(X[i + 1]), (i, 0, 4)), r"Write \(i, 0, 3\)"),
    "of a constant": (sp.Sum(X[i] * c[i + 3], (i, 0, 4)), r"'c' has 5, numbered 0 to 4. Write \(i, 0, 1\)"),
    "free": (X[i] * u, r"The index 'i' in `X\[i\]\*u` belongs to no sum. Write sp.Sum\(..., \(i, 0, X.dim - 1\)\)"),
    "free beside": (sp.Sum(X[i], (i, 0, 4)) * (1 + X[i]), "index 'i'"),
    "free derivative": (sp.Sum(X[i], (i, 0, 4)) + u.diff(X[i]), "index 'i'"),
    "stride": (sp.Sum(X[2 * i], (i, 0, 2)), r"`X\[2\*i\]`: in a sum an index is i, or i plus a whole number"),
    "two indices": (sp.Sum(X[i + j], (i, 0, 2), (j, 0, 2)), "in a sum an index is i, or i plus a whole number"),
    "bounds": (sp.Sum(X[i], (i, 0, c[0])), "its bounds are whole numbers"),
    "empty": (sp.Sum(X[i], (i, 4, 2)), "is empty. Write the lower bound first"),
    "twice": (sp.Sum(sp.Sum(X[i], (i, 0, 3)), (i, 0, 3)), "two sums over 'i' inside each other"),
    "vector": (X * u, r"holds 'X', a vector coordinate, where one number is meant. Write a component, X\[0\].*sci.dot\(X, X\)"),
    "array": (sp.sin(c) * u, r"holds 'c', a constant of shape \(5,\), where one number is meant"),
    "array of a network": (sci.table("g", [0.0, 1.0], [0.0, 1.0])(X), "holds 'X', a vector coordinate"),
}


@pytest.mark.parametrize(("e", "message"), WRONG_SUMS.values(), ids=WRONG_SUMS)
def test_wrong_sums(e, message):
    with pytest.raises(ModelError, match=message):
        of_sum(e)
    with pytest.raises(ModelError, match=message.replace("'i' in `X", "'i' in `.*X")):
        System([sci.eq(u.diff(t), u)], observed={"e": e})


def test_sums_in_values_are_checked():
    with pytest.raises(ModelError, match=r"The initial value of 'u', `Sum.*Write \(i, 0, 4\)"):
        System([sci.eq(u.diff(t), u)], initial={u: sp.Sum(X[i], (i, 0, 5))})
    with pytest.raises(ModelError, match="The final value of 'u'"):
        System([sci.eq(u.diff(t), u)], final={u: sp.Sum(X[i], (i, 0, 5))})
    p = sci.parameters("p", sp.Sum(X[i], (i, 0, 5)), over=X)
    with pytest.raises(ModelError, match="The declared value of 'p'"):
        System([sci.eq(u.diff(t), p)])


def test_initial_values_may_be_sums_over_components():
    system = System([sci.eq(u.diff(t), sci.laplacian(u))], initial={u: sp.exp(-sp.Sum(X[i] ** 2, (i, 0, 4))) + sci.dot(c, X)})
    assert system.initial["u"].has(sp.Sum) and "c" in system.symbols


# -- units ------------------------------------------------------------------------------------


def test_units_of_sums_and_normals():
    Z = sci.space("Z", 0, 1, dim=3, unit="m")
    T = sci.fields("T", t, Z, unit="K")
    D, h = sci.parameters("D", 1.0, unit="cm**2/s"), sci.parameters("h", 1.0, unit="K/m**2")
    edge = sci.ball(Z, 0.5, 0.5)
    system = System(
        [sci.eq(T.diff(t), D * sci.laplacian(T))],
        initial={T: h * sp.Sum(Z[i] ** 2, (i, 0, 2)) + h * sci.dot(Z, Z)},
        final={},
        domain=edge,
        boundary={edge.surface: sci.eq(T, 300 * h * Z[0] ** 2)},
        units={t: "s"},
    )
    assert str(with_units(system).equations[0].rhs) == "D*Sum(Derivative(T(t, Z), (Z[i], 2)), (i, 0, 2))/10000"
    with pytest.raises(UnitError, match="in K/m"):
        System([sci.eq(T.diff(t), sp.Sum(T.diff(Z[i]), (i, 0, 2)))], units={t: "s"})
    late = System([sci.eq(T.diff(t), -D * sci.laplacian(T))], final={T: h * sci.parameters("b", 1.0, unit="cm**2")}, units={t: "s"})
    assert "1/10000" in str(with_units(late).final["T"]) or "/10000" in str(with_units(late).final["T"])


def test_units_of_normal_derivatives():
    p = sci.space("p", 0, 1, unit="cm")
    T = sci.fields("T", t, p, unit="K")
    q = sci.parameters("q", 1.0, unit="K/m")
    line = sci.box(p, 0, 1)
    kelvin = System([sci.eq(T.diff(t), T.diff(p, 2) * sci.parameters("a", 1.0, unit="cm**2/s"))], units={t: "s"})
    wall = kelvin.replace(domain=line, boundary={line.surface: sci.eq(sci.normal_derivative(T), q)})
    assert str(with_units(wall).boundary[line.surface.name][0].rhs) == "q/100"


# -- what a grid cannot hold ----------------------------------------------------------------------

grid = {x: sci.FiniteDifference(9)}

NO_GRID = {
    "domain": (
        lambda: sci.discretize(System([rod], initial={r: 0}, domain=sci.box(x, 0.2, 0.8)), grid),
        r"has the domain box\(x, 0.2, 0.8\)",
    ),
    "final": (lambda: sci.discretize(System([rod], final={r: 0}), grid), "has final= values of r, and a solve starts from initial values"),
    "vector": (lambda: sci.discretize(System([sci.eq(u.diff(t), u)]), {X: sci.FiniteDifference(9)}), "'X' is a vector of 5 coordinates"),
    "infinite": (lambda: _infinite(), r'no grid covers. Cut it: sci.space\("q", 0, 10\)'),
    "solve": (lambda: sci.solve(heated(), t_span=(0, 1)), "has the domain"),
    "compile": (lambda: sci.compile(backward()), "has final= values of u"),
    "compile a vector": (lambda: sci.compile(System([sci.eq(u.diff(t), sci.laplacian(u))])), "'X' is a vector of 5 coordinates"),
}


def _infinite():
    q = sci.space("q", 0, sp.oo)
    f = sci.fields("f", t, q)
    return sci.discretize(System([sci.eq(f.diff(t), f.diff(q, 2))], initial={f: 0}), {q: sci.FiniteDifference(9)})


@pytest.mark.parametrize(("call", "message"), NO_GRID.values(), ids=NO_GRID)
def test_grids_refuse_by_name_what_networks_can(call, message):
    with pytest.raises(CompileError, match=message + r".*sci.pinn.fit\(system, network, t_span=\(0, 1\)\)"):
        call()


def test_a_solve_refuses_sums_over_an_index():
    z = sci.variables("z", initial=1.0)
    with pytest.raises(CompileError, match=r"holds `Sum\(c\[i\], \(i, 0, 4\)\)`.*sum\(... for i in range\(0, 5\)\)"):
        sci.compile(System([sci.eq(z.diff(t), -z * sp.Sum(c[i], (i, 0, 4)))]))


def test_a_key_that_no_one_knows_names_the_nearest():
    with pytest.raises(NameUnknown, match="Did you mean 'r'"):
        System([rod], initial={"rr": 0})
