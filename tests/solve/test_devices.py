"""Fields divided among eight virtual devices: the same numbers as on one, and no device ever holds all of a field."""

import os
import subprocess
import sys

import jax
import numpy as np
import pytest
import sympy as sp

import sciml as sci
from sciml.errors import SolveError

t = sci.t

CHILD = '''
import re, sys
import jax, numpy as np, sympy as sp
jax.config.update("jax_enable_x64", True)
import sciml as sci
t = sci.t
assert jax.device_count() == 8
mesh = jax.make_mesh((8,), ("x",))

def reaction(method_x, method_y):
    x, y = (sci.space(n, 0, 2*np.pi, periodic=True) for n in "xy")
    u, v = sci.fields("u v", t, x, y)
    k = sci.parameters("k", 0.1)
    start = {u: 1 + sp.sin(x)*sp.sin(y)/2, v: sp.cos(x)}
    system = sci.System([sci.eq(u.diff(t), k*sci.laplacian(u) - u*v**2), sci.eq(v.diff(t), k*sci.laplacian(v) + u*v**2 - v)], initial=start)
    return u, sci.discretize(system, {x: method_x, y: method_y})

def wall(method_x, method_y):
    x, y = (sci.space(n, 0, 1) for n in "xy")
    u = sci.fields("u", t, x, y)
    k = sci.parameters("k", 0.1)
    sides = {s: sci.eq(u, 0) for s in (x.left, x.right, y.left, y.right)}
    system = sci.System([sci.eq(u.diff(t), k*sci.laplacian(u) - u**3)], initial={u: sp.sin(sp.pi*x)*sp.sin(sp.pi*y)}, boundary=sides)
    return u, sci.discretize(system, {x: method_x, y: method_y})

def gathered(sol):
    """The largest array that the compiled program collects on every device."""
    text = jax.jit(sol._program.run).lower(sol._buffer, sol._values, None).compile().as_text()
    shapes = re.findall(r"= \\w+\\[([\\d,]*)\\]\\S* all-gather(?:-start)?\\(", text)
    return max((int(np.prod([int(n) for n in s.split(",") if n])) for s in shapes), default=0)

def same(u, system, solver, end):
    alone = sci.solve(system, t_span=(0, end), saveat=3, solver=solver)
    many = sci.solve(system, t_span=(0, end), saveat=3, solver=solver, mesh=mesh)
    distance = float(np.abs(np.asarray(alone[u]) - np.asarray(many[u])).max())
    moved = float(np.abs(np.asarray(alone[u][-1] - alone[u][0])).max())
    rows = many[u].sharding.shard_shape(many[u].shape)[1]
    print(solver, distance, moved, gathered(many), rows)
    assert distance <= 1e-12 < moved
    assert gathered(many) <= 8  # one number from each device
    assert rows * 8 == many[u].shape[1]
    assert np.allclose(np.asarray(many[2*u]), 2*np.asarray(many[u]))

kind = sys.argv[1]
if kind == "stencils":
    same(*reaction(sci.FiniteDifference(32), sci.FiniteDifference(12, order=4)), "tsit5", 0.5)
elif kind == "waves":
    same(*reaction(sci.Fourier(32), sci.Fourier(12)), "etdrk4", 0.5)
elif kind == "walls":
    same(*wall(sci.FiniteDifference(32), sci.FiniteDifference(12)), "etdrk4", 0.1)
elif kind == "derivatives":
    u, system = reaction(sci.FiniteDifference(16), sci.FiniteDifference(8))
    def end(k, **more):
        return (sci.solve(system, t_span=(0, 0.3), saveat="end", solver="tsit5", params={"k": k}, **more)[u]**2).sum()
    alone, many = jax.grad(end)(0.1), jax.grad(lambda k: end(k, mesh=mesh))(0.1)
    print(alone, many)
    assert abs(alone - many) <= 1e-10*abs(alone)
'''


@pytest.mark.parametrize("kind", ["stencils", "waves", "walls", "derivatives"])
def test_eight_devices_give_the_numbers_of_one(kind):
    flags = {**os.environ, "XLA_FLAGS": "--xla_force_host_platform_device_count=8", "JAX_PLATFORMS": "cpu"}
    done = subprocess.run([sys.executable, "-c", CHILD, kind], env=flags, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stdout + done.stderr[-3000:]


def heat(n=12):
    x, y = sci.space("x", 0, 1, periodic=True), sci.space("y", 0, 1, periodic=True)
    u = sci.fields("u", t, x, y)
    system = sci.System([sci.eq(u.diff(t), sci.laplacian(u))], initial={u: sp.sin(2 * sp.pi * x)})
    return sci.discretize(system, {x: sci.FiniteDifference(n), y: sci.FiniteDifference(8)})


def one_device(name):
    return jax.sharding.Mesh(np.array(jax.devices()[:1]), (name,))


def test_a_mesh_of_one_device_is_no_change():
    system = heat()
    alone, divided = (sci.solve(system, t_span=(0, 0.01), saveat="end", solver="tsit5", **more)["u"] for more in ({}, {"mesh": one_device("x")}))
    np.testing.assert_allclose(divided, alone, rtol=1e-12 if jax.config.jax_enable_x64 else 1e-5)


def test_what_cannot_be_divided_is_refused_by_name():
    system = heat()
    with pytest.raises(SolveError, match=r"mesh= has the axis 'y', and the first coordinate of 'u' is 'x'"):
        sci.solve(system, t_span=(0, 1), mesh=one_device("y"))
    with pytest.raises(SolveError, match=r"give a mesh with one axis, jax.make_mesh\("):
        sci.solve(system, t_span=(0, 1), mesh="x")
    with pytest.raises(SolveError, match=r"leave out dense=True"):
        sci.solve(system, t_span=(0, 1), mesh=one_device("x"), dense=True)
    with pytest.raises(SolveError, match=r"not with 'dopri5'"):
        sci.solve(system, t_span=(0, 1), mesh=one_device("x"), solver="dopri5")
    x = sci.variables("x", initial=1.0)
    with pytest.raises(SolveError, match=r"mesh= divides fields, and this System has none"):
        sci.solve(sci.System([sci.eq(x.diff(t), -x)]), t_span=(0, 1), mesh=one_device("x"))
