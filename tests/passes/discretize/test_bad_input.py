"""What is wrong is said by name, with the cure."""

import warnings

import numpy as np
import pytest
import sympy as sp

import sciml as sci
from sciml.errors import CompileError, ModelError, NameUnknown, ScimlError

t = sci.t
x, y, p = sci.space("x", 0, 1), sci.space("y", 0, 1), sci.space("p", 0, 1, periodic=True)
u, v = sci.fields("u v", t, x)
w, f = sci.fields("w", t, p), sci.fields("f", t, x, y)
heat = sci.eq(u.diff(t), u.diff(x, 2))
g = sci.fields("g", t, y)
grid = sci.FiniteDifference(16)
cold = {x.left: sci.eq(u, 0), x.right: sci.eq(u, 0)}


def on(boundary, equations=(heat,), method=grid, **options):
    return sci.discretize(sci.System(list(equations), boundary=boundary, **options), {x: method})


CASES = {
    "nothing is said": (lambda: on({}), "'u' has an equation of second order in x and no condition at x.left"),
    "a side is missing": (lambda: on({x.left: sci.eq(u, 0)}), "no condition at x.right"),
    "the cure": (lambda: on({x.left: sci.eq(u, 0)}), "boundary={x.right: sci.eq(u, 0)}"),
    "two at a side": (lambda: on({x.left: [sci.eq(u, 0), sci.eq(u.diff(x), 0)], x.right: sci.eq(u, 0)}), "is one too many"),
    "too many in all": (
        lambda: on({x.left: sci.eq(u, 0), x.right: sci.eq(u, 0)}, [sci.eq(u.diff(t), -u.diff(x))]),
        "'u' has 2 conditions at x.left and x.right, and its equation is of order 1",
    ),
    "said twice": (lambda: on({x.left: [sci.eq(u, 0), sci.eq(u, 0)], x.right: sci.eq(u, 0)}), "stands twice at x.left"),
    "contradiction": (
        lambda: on({x.left: [sci.eq(u, 0), sci.eq(2 * u, 1)], x.right: [sci.eq(u, 0), sci.eq(u.diff(x), 0)]}, [sci.eq(u.diff(t), -u.diff(x, 4))]),
        "contradict or repeat each other",
    ),
    "a beam with two conditions": (lambda: on(cold, [sci.eq(u.diff(t), -u.diff(x, 4))]), "of fourth order in x and only 1 condition at x.left"),
    "no field in a condition": (lambda: sci.System([heat], boundary={x.left: sci.eq(x, 0)}), "holds no field"),
    "a condition of another coordinate": (
        lambda: sci.System([heat], boundary={y.left: sci.eq(u, 0)}),
        "no equation of System 'system' has the coordinate 'y'",
    ),
    "a periodic side": (lambda: p.left, "'p' is periodic and has no sides"),
    "a periodic side by name": (
        lambda: sci.System([sci.eq(w.diff(t), w.diff(p, 2))], boundary={"p.left": sci.eq(w, 0)}),
        "'p' is periodic: it has no sides",
    ),
    "not a side": (lambda: sci.System([heat], boundary={x: sci.eq(u, 0)}), "which is not a side"),
    "not a dict": (lambda: sci.System([heat], boundary=[sci.eq(u, 0)]), "boundary is a dict"),
    "Fourier with sides": (lambda: on({}, method=sci.Fourier(16)), 'sci.space("x", 0, 1, periodic=True)'),
    "Chebyshev without sides": (lambda: sci.discretize(sci.System([sci.eq(w.diff(t), w.diff(p))]), {p: sci.Chebyshev(16)}), "Use sci.Fourier(16)"),
    "Sine without sides": (lambda: sci.discretize(sci.System([sci.eq(w.diff(t), w.diff(p, 2))]), {p: sci.Sine(16)}), "Use sci.Fourier(16)"),
    "a series with another condition": (lambda: on({x.left: sci.eq(u, 1)}, method=sci.Sine(16)), "sci.eq(u, 0) built in"),
    "a cosine series held at zero": (lambda: on({x.left: sci.eq(u, 0)}, method=sci.Cosine(16)), "sci.eq(u.diff(x), 0) built in"),
    "volumes of fourth order": (lambda: on(cold, [sci.eq(u.diff(t), -u.diff(x, 4))], sci.FiniteVolume(16)), "derivatives up to the second"),
    "a condition of second order on volumes": (
        lambda: on({x.left: sci.eq(u.diff(x, 2), 0), x.right: sci.eq(u, 0)}, method=sci.FiniteVolume(16)),
        "not of order 2",
    ),
    "no method": (lambda: sci.discretize(sci.System([heat], boundary=cold), {}), "'x' has no method"),
    "a method for nothing": (lambda: sci.discretize(sci.System([heat], boundary=cold), {x: grid, y: grid}), "has no coordinate 'y'"),
    "not a method": (lambda: on(cold, method=64), "sci.FiniteDifference(64)"),
    "not a dict of methods": (lambda: sci.discretize(sci.System([heat], boundary=cold), grid), "methods is a dict"),
    "not a System": (lambda: sci.discretize([heat], {x: grid}), "takes a System"),
    "discretised twice": (lambda: sci.discretize(on(cold), {x: grid}), "is discretised already"),
    "changed afterwards": (lambda: on(cold).replace(name="b"), "Change the one it was made from"),
    "no field": (lambda: sci.discretize(sci.System({(q := sci.variables("q")).diff(t): -q}), {}), "nothing to discretise"),
    "too few nodes": (lambda: on(cold, method=sci.FiniteDifference(8, order=8)), "n=13 at least"),
    "n": (lambda: sci.FiniteDifference(2.5), "whole number of points"),
    "order": (lambda: sci.FiniteDifference(16, order=3), "write 2, 4, 6 or 8"),
    "flux": (lambda: sci.FiniteVolume(16, flux="superbee"), "'weno5'"),
    "advection": (lambda: sci.FiniteDifference(16, advection="wind"), '"upwind"'),
    "a grid that turns": (lambda: sci.FiniteDifference(3, grid=[0, 2, 1]), "increasing"),
    "a grid of another size": (lambda: sci.FiniteDifference(4, grid=[0, 1, 2]), "4 increasing numbers"),
    "a grid elsewhere": (lambda: on(cold, method=sci.FiniteDifference(9, grid=np.linspace(0, 2, 9))), "runs from 0 to 2"),
    "dealias": (lambda: sci.Fourier(16, dealias=2), "part of the waves"),
    "an array of another size": (lambda: on(cold, initial={u: np.zeros(7)}), "has shape (7,), and the grid over (x) has (16,)"),
    "a parameter of another size": (
        lambda: sci.compile(on(cold, [sci.eq(u.diff(t), sci.parameters("k", np.ones(5), over=x) * u.diff(x, 2))])),
        "has shape (5,)",
    ),
    "an initial value of another coordinate": (
        lambda: sci.discretize(sci.System([heat, sci.eq(g.diff(t), -g)], boundary=cold, initial={u: y}), {x: grid, y: grid}),
        "'u' does not depend on y",
    ),
    "another symbol of the same name": (lambda: u.diff(sp.Symbol("x")), "prints the same"),
    "D by the time": (lambda: sci.D(u, t), "a coordinate of space"),
    "D by another coordinate": (lambda: sci.D(u, y), "is 0: nothing in it depends on y"),
    "a value outside": (lambda: sci.at(u, x, 2), "between 0 and 1"),
    "a field without an equation": (lambda: on(cold, [sci.eq(u.diff(t), u.diff(x, 2) + v)]), "The field 'v'"),
    "two equations for a field": (lambda: on(cold, [heat, sci.eq(u.diff(t), -u)]), "both determine the rate of 'u'"),
    "solved without a grid": (lambda: sci.solve(sci.System([heat], boundary=cold, initial={u: 0}), t_span=(0, 1)), "sci.discretize"),
    "a condition that determines nothing": (lambda: on({x.left: sci.eq(0 * x + v.subs(x, 0), 0), x.right: sci.eq(u, 0)}), "v"),
}


@pytest.mark.parametrize("case", CASES)
def test_message(case):
    make, said = CASES[case]
    with pytest.raises(ScimlError) as caught:
        make()
    assert said in str(caught.value), str(caught.value)


def test_the_kind_of_error():
    with pytest.raises(ModelError):
        on({})
    with pytest.raises(NameUnknown):
        sci.solve(on(cold, initial={u: 0}), t_span=(0, 1), solver="tsit5", saveat=3)[v]
    with pytest.raises(CompileError):
        on(cold, [sci.eq(u.diff(t) ** 2, u.diff(x, 2))])


def test_a_corner_that_jumps_is_a_warning():
    with pytest.warns(UserWarning, match=r"At x\.left the initial value of 'u'.*1 = 0") as caught:
        on(cold, initial={u: sp.cos(sp.pi * x / 2)})
    assert len(caught) == 1 and "x.right" not in str(caught[0].message)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        on(cold, initial={u: sp.sin(sp.pi * x)})
        on({x.left: sci.eq(u, sp.exp(t)), x.right: sci.eq(u.diff(x), u)}, initial={u: sp.exp(x)})
