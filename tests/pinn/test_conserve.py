"""Conservation as a hard constraint: laws hold, the change is the least, what cannot be fulfilled is refused."""

from functools import partial

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
import sympy as sp
from hypothesis import given
from hypothesis import strategies as st

import sciml as sci
from sciml.errors import FitError, NameUnknown
from sciml.pinn.conserve import conserve, project
from sciml.pinn.fit import fit

t = sci.t
untrained = partial(fit, train=[], progress=False, points=8)
x = sci.space("x", 0, 2)
u, v = sci.fields("u v", t, x)
rate = sci.parameters("rate", 0.5)


class Formula(eqx.Module):
    scale: jax.Array
    of: object = eqx.field(static=True)

    def __call__(self, inputs):
        return self.scale * self.of(inputs)


@pytest.fixture(scope="module")
def net():
    """u = 1 + x^2, v = cos t: formulas without a conservation law of their own."""
    sides = {side: [sci.eq(u.diff(x), 0), sci.eq(v.diff(x), 0)] for side in (x.left, x.right)}
    system = sci.System([sci.eq(u.diff(t), u.diff(x, 2)), sci.eq(v.diff(t), v.diff(x, 2) - rate * v)], initial={u: 1, v: 1}, boundary=sides)
    both = Formula(jnp.asarray(1.0), lambda z: jnp.stack([1 + (z[1] + 1) ** 2, jnp.cos((z[0] + 1) / 2) + 0 * z[1]]))
    return untrained(system, both, conditions="soft")


def integral(net, values, axis=-1):
    return np.trapezoid(values, net.axes["x"].points, axis=axis)


def test_a_law_holds_to_rounding_and_the_correction_is_the_same_everywhere(net, close):
    found = net.conserve(sci.eq(sci.integral(u, x), 3.0))
    close(integral(net, found[u]), np.full(101, 3.0), rtol=1e-14)
    close(np.ptp(found[u] - np.asarray(net[u]), axis=1), np.zeros(101), atol=1e-13)
    close(found[v], net[v])
    (law,) = found.before
    assert found.before[law] == pytest.approx(2 + 8 / 3 - 3, rel=1e-4) and found.after[law] < 1e-13
    assert "off by 1.7 before" in repr(found) and law in repr(found)
    assert set(found.to_xarray().data_vars) == {"u", "v"} and (found.to_xarray()["u"].to_numpy() == found[u]).all()


def test_laws_change_with_time_and_parameters(net, close):
    found = net.conserve(sci.eq(sci.integral(x * u + v, x) - t, sp.exp(-rate * t) + sci.integral(x, x)))
    points = net.axes["x"].points
    close(integral(net, found[u] * points + found[v]), net.t + np.exp(-net.t / 2) + 2, rtol=1e-13)


def test_several_laws_at_once(net, close):
    found = net.conserve(sci.eq(sci.integral(u, x), 1.0), sci.eq(sci.integral(x * u, x), t), sci.eq(3 * sci.integral(u - v, x), 2))
    close(integral(net, found[u]), np.ones(101), rtol=1e-12)
    close(integral(net, found[u] * net.axes["x"].points), net.t, rtol=1e-12, atol=1e-13)
    close(integral(net, found[v]), np.full(101, 1 / 3), rtol=1e-12)


def test_values_that_fulfil_a_law_stay(net, close):
    found = net.conserve(sci.eq(sci.integral(u, x), 3.0))
    again = conserve(net, [sci.eq(sci.integral(u, x), 3.0)], {"u": found[u]})
    close(again[u], found[u], rtol=1e-14)


def test_the_correction_follows_the_variance(net, close):
    """It is S G^T lambda: in proportion to the variance, and 0 (nearly) where the network is certain."""
    points = net.axes["x"].points
    variance = np.broadcast_to(points * (2 - points), (101, 201))
    found = conserve(net, [sci.eq(sci.integral(u, x), 3.0)], None, {"u": variance})
    change = found[u] - np.asarray(net[u])
    close(change[:, 50] / variance[:, 50], change[:, 100] / variance[:, 100])
    assert np.abs(change[:, [0, -1]]).max() < 1e-5 * np.abs(change).max()
    close(integral(net, found[u]), np.full(101, 3.0), rtol=1e-13)
    certain = conserve(net, [sci.eq(sci.integral(u, x), 3.0)], None, {"u": np.zeros((101, 201))})
    close(certain[u], net.conserve(sci.eq(sci.integral(u, x), 3.0))[u])


@given(st.integers(0, 10_000), st.integers(1, 3), st.integers(4, 12))
def test_it_is_the_least_change(seed, laws, points):
    """Karush, Kuhn and Tucker: G u' = b, and S^-1 (u' - u) is a combination of the rows of G."""
    rng = np.random.default_rng(seed)
    mean, spread = rng.normal(size=(2, points)), rng.uniform(0.5, 2, (2, points))
    rows, target = rng.normal(size=(2, laws, points)), rng.normal(size=(2, laws))
    found = project(mean, rows, target, spread, ["law"] * laws)
    np.testing.assert_allclose((rows @ found[..., None])[..., 0], target, rtol=1e-9, atol=1e-9)
    for k in range(2):
        force = (found - mean)[k] / spread[k]
        left = force - rows[k].T @ np.linalg.lstsq(rows[k].T, force, rcond=None)[0]
        assert np.abs(left).max() < 1e-8 * max(1.0, np.abs(force).max())


def test_two_coordinates_and_a_period(close):
    y, z = sci.space("y", 0, 1), sci.space("z", 0, 3, periodic=True)
    w = sci.fields("w", t, y, z)
    sides = {y.left: sci.eq(w.diff(y), 0), y.right: sci.eq(w.diff(y), 0)}
    system = sci.System([sci.eq(w.diff(t), sci.laplacian(w))], initial={w: 1}, boundary=sides)
    net = untrained(system, Formula(jnp.asarray(1.0), lambda s: s[0] + s[1] ** 2 + s[2]), conditions="soft")
    both = net.conserve(sci.eq(sci.integral(w, y, z), 1))[w]
    close(np.trapezoid(both.sum(axis=2) * 3 / 65, net.axes["y"].points, axis=1), np.ones(101), rtol=1e-12)
    along = net.conserve(sci.eq(sci.integral(w, z), 1 + y))[w]
    close(along.sum(axis=2) * 3 / 65, np.broadcast_to(1 + net.axes["y"].points, (101, 65)), rtol=1e-12)


@pytest.mark.parametrize(
    "laws, said",
    [
        ([], "net.conserve() needs a law: net.conserve(sci.eq(sci.integral(u, x), 1.0))."),
        ([3], "`3` is no law."),
        ([sci.eq(sci.integral(u**2, x), 1)], "is not linear in 'u', so no projection fulfils it"),
        ([sci.eq(sci.integral(u * v, x), 1)], "is not linear in 'u'"),
        ([sci.eq(sci.integral(u, x) ** 2, 1)], "is not linear: it multiplies"),
        ([sci.eq(sci.integral(u, x) * sci.integral(v, x), 1)], "is not linear: it multiplies"),
        ([sci.eq(sci.integral(u.diff(x), x), 1)], "speaks of `u_x`, and values on a grid are corrected"),
        ([sci.eq(sci.integral(u, x), sci.at(u, x, 0))], "holds 'u' outside an integral over space"),
        ([sci.eq(sci.integral(u, x, to=x), 1)], "integrates over a part of x"),
        ([sci.eq(sci.integral(x, x), 2)], "holds no integral of a field"),
        ([sci.eq(sci.integral(u, x), 1), sci.eq(2 * sci.integral(u, x), 3)], "depend on each other, or one of them holds no field. Leave one out."),
        ([sci.eq(sci.integral(0 * t + u, x) * 0 + sci.integral(u - u, x), 1)], "holds no integral of a field"),
    ],
    ids=range(12),
)
def test_laws_that_are_refused(net, laws, said):
    with pytest.raises(FitError) as error:
        net.conserve(*laws)
    assert said in str(error.value)


def test_other_quantities_are_not_corrected(net):
    found = net.conserve(sci.eq(sci.integral(u, x), 3.0))
    with pytest.raises(NameUnknown, match="Corrected are values of the unknowns, and 'rate' is none of them"):
        found[rate]


def test_fields_and_domains_that_do_not_fit():
    y, z = sci.space("y", -1, 1), sci.space("z", -1, 1)
    w, p = sci.fields("w", y, z), sci.fields("p", y)
    disc = sci.ball((y, z), radius=1)
    shaped = untrained(sci.System([sci.eq(sci.laplacian(w), 1)], domain=disc, boundary={disc.surface: sci.eq(w, 0)}))
    with pytest.raises(FitError, match="has a domain with a shape of its own"):
        shaped.conserve(sci.eq(sci.integral(w, y, z), 1))
    sides = {s: sci.eq(w, 0) for s in (z.left, z.right)} | {s: [sci.eq(w, 0), sci.eq(p, 0)] for s in (y.left, y.right)}
    net = untrained(sci.System([sci.eq(sci.laplacian(w), p), sci.eq(p.diff(y, 2), 1)], boundary=sides))
    with pytest.raises(FitError, match="speaks of 'p', which depends on y; other fields depend on y, z"):
        net.conserve(sci.eq(sci.integral(w, y), z), sci.eq(sci.integral(p, y), 1))
    with pytest.raises(FitError, match=r"integrates over y and .* over z. Laws that are imposed together"):
        net.conserve(sci.eq(sci.integral(w, y), z), sci.eq(sci.integral(w, z), 1))
