"""Measurements at scattered points: how tables are read, what is refused, what the loss makes of them."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
import pytest
import sympy as sp

import sciml as sci
from sciml.errors import CompileError, FitError, NameUnknown
from sciml.optimize import GaussNewton
from sciml.passes import pointwise
from sciml.pinn.data import measured, measured_terms
from sciml.pinn.fit import Given, fit, setup

t = sci.t
x = sci.space("x", 0, 2)
u = sci.fields("u", t, x)
heat = sci.System(
    [sci.eq(u.diff(t), u.diff(x, 2))],
    initial={u: sp.sin(x)},
    boundary={x.left: sci.eq(u, 0), x.right: sci.eq(u.diff(x), 0)},
    observed={"slope": u.diff(x), "mean": sci.integral(u, x) / 2},
    name="rod",
)
FORM = pointwise(heat)
TABLE = {"t": [0.0, 0.5, 1.0], "x": [0.1, 0.2, 0.3], "u": [1.0, np.nan, 3.0]}


def read(data, observe=None, noise=1.0, form=FORM, over=(t, x), span=(0.0, 1.0)):
    return measured(data, observe, noise, form, over, span)


def test_a_dict_and_a_table_say_the_same():
    for data in (TABLE, pd.DataFrame(TABLE), pd.DataFrame(TABLE).set_index(["t", "x"]), {t: TABLE["t"], x: TABLE["x"], u: TABLE["u"]}):
        found = read(data)
        np.testing.assert_array_equal(found.at, [[0.0, 0.1], [0.5, 0.2], [1.0, 0.3]])
        expression, rows, values, sigma = found.quantities["u"]
        assert expression == u and sigma == 1.0
        np.testing.assert_array_equal(rows, [0, 2])  # NaN: not measured there
        np.testing.assert_array_equal(values, [1.0, 3.0])


def test_a_dataset_and_arrays_on_a_mesh():
    import xarray

    values = np.arange(6.0).reshape(2, 3)
    data = xarray.Dataset({"u": (("t", "x"), values)}, {"t": [0.0, 1.0], "x": [0.0, 1.0, 2.0]})
    ts, xs = np.meshgrid([0.0, 1.0], [0.0, 1.0, 2.0], indexing="ij")
    for given in (data, {"t": ts, "x": xs, "u": values}):
        found = read(given)
        np.testing.assert_array_equal(found.at[4], [1.0, 1.0])
        np.testing.assert_array_equal(found.quantities["u"][2], np.arange(6.0))


def test_a_coordinate_may_be_one_number():
    found = read({"t": 0.5, "x": [0.1, 0.2], "u": [1.0, 2.0]})
    np.testing.assert_array_equal(found.at, [[0.5, 0.1], [0.5, 0.2]])


def test_what_a_column_measures():
    columns = {"t": [0.1], "x": [0.2], "a": [1.0], "b": [2.0], "slope": [3.0]}
    found = read(columns, {"a": u**2, "b": "u"}, {"a": 0.1, "slope": 0.5})
    assert [q[0] for q in found.quantities.values()] == [u**2, u, u.diff(x)]
    assert [q[3] for q in found.quantities.values()] == [0.1, 1.0, 0.5]


@pytest.mark.parametrize("table", [False, True])
def test_vectors(table):
    X = sci.space("X", -1, 1, dim=3)
    v = sci.fields("v", t, X)
    form = pointwise(sci.System([sci.eq(v.diff(t), sci.laplacian(v, X))], initial={v: 0}, boundary=None), check=False)
    points = np.linspace(-1, 1, 6).reshape(2, 3)
    columns = {f"X[{i}]": points[:, i] for i in range(3)} if table else {"X": points}
    found = read({"t": [0.0, 1.0], **columns, "v": [1.0, 2.0]}, form=form, over=(t, X))
    np.testing.assert_array_equal(found.at, np.concatenate([[[0.0], [1.0]], points], axis=1))
    with pytest.raises(FitError, match=r"'X' is a vector of 3 numbers, and in the data it has the shape \(2,\): give \(n, 3\)"):
        read({"t": [0.0, 1.0], "X": [0.0, 1.0], "v": [1.0, 2.0]}, form=form, over=(t, X))


@pytest.mark.parametrize(
    "data, more, said",
    [
        ([1.0, 2.0], {}, 'data= is a pandas table or a dict of arrays with a column for each coordinate: {"t": ..., "x": ..., "u": ...}.'),
        ({"t": [0.1], "u": [1.0]}, {}, "The data have no column 'x': where was it measured?"),
        ({"time": [0.1], "x": [0.1], "u": [1.0]}, {}, "The data have no column 't': where was it measured?"),
        ({**TABLE, "x": [0.1, np.nan, 0.3]}, {}, 'Row 1 of the data has no finite x. Drop it: data.dropna(subset=["x"]).'),
        ({**TABLE, "x": [0.1, 0.2, np.inf]}, {}, "Row 2 of the data has no finite x."),
        ({**TABLE, "t": [0.0, 0.5, 2.0]}, {}, "t = 2 in row 2, and t runs from 0 to 1. Write t_span=(0, 2), or leave out those rows."),
        ({**TABLE, "x": [0.1, -0.5, 3.0]}, {}, "x = -0.5 in row 1, and x runs from 0 to 2. Leave out those rows, or widen 'x'."),
        (
            {**TABLE, "x": [0.1, 0.2]},
            {},
            "The coordinates of the data have different shapes: t (3,), x (2,). Give one value of each for every point.",
        ),
        ({**TABLE, "u": [1.0, 2.0]}, {}, "The data hold 'u' of shape (2,) at points of shape (3,): give one value for each."),
        ({**TABLE, "u": [1.0, np.inf, 2.0]}, {}, "'u' is infinite in row 1 of the data. Correct it, or write NaN: not measured."),
        ({**TABLE, "u": [np.nan] * 3}, {}, "The data hold no values: besides t, x there must be a column"),
        ({"t": [0.1], "x": [0.1]}, {}, "The data hold no values"),
        ({**TABLE, "slop": [1.0] * 3}, {}, "Write observe={\"slop\": expression}. Did you mean 'slope'?"),
        (TABLE, {"observe": {"w": u}}, "observe= has 'w', which the data do not hold."),
        (TABLE, {"observe": {"u": "uu"}}, "The data hold 'uu', and the System has no such quantity."),
        (TABLE, {"noise": {"w": 0.1}}, "noise= has 'w', which the data do not hold."),
        (TABLE, {"noise": 0.0}, "noise of 'u' is 0.0. Give its standard deviation, above 0: noise={\"u\": 0.01}."),
        (TABLE, {"noise": {"u": "large"}}, "noise of 'u' is 'large'."),
        (TABLE, {"noise": np.ones(3)}, "noise of 'u' is array([1., 1., 1.])."),
        ({**TABLE, "u": ["a", "b", "c"]}, {}, "The column 'u' of the data holds something else than numbers. Leave it out."),
        (
            {**TABLE, "u": [1j, 1.0, 2.0]},
            {},
            "The column 'u' of the data is complex. Give its real and imaginary part as two columns",
        ),
    ],
    ids=range(21),
)
def test_tables_that_are_refused(data, more, said):
    with pytest.raises((FitError, NameUnknown)) as error:
        read(data, **more)
    assert said in str(error.value)


def test_points_outside_a_region():
    y, z = sci.space("y", -2, 2), sci.space("z", -2, 2)
    v = sci.fields("v", y, z)
    disc = sci.ball((y, z), radius=1)
    form = pointwise(sci.System([sci.eq(sci.laplacian(v), 1)], domain=disc, boundary={disc.surface: sci.eq(v, 0)}))
    assert len(read({"y": [0.0, 0.6], "z": [0.0, 0.8], "v": [1.0, 0.0]}, form=form, over=(y, z)).at) == 2  # on the circle
    with pytest.raises(FitError, match=r"The data lie outside the domain: row 1 at \(1, 1\). Leave out such rows."):
        read({"y": [0.0, 1.0], "z": [0.0, 1.0], "v": [1.0, 0.0]}, form=form, over=(y, z))


def test_quantities_that_have_no_value_at_a_point():
    with pytest.raises(CompileError, match="holds the integral"):
        measured_terms(FORM, read({**TABLE, "mean": TABLE["u"]}))


def test_complex_quantities_are_measured_by_their_parts():
    y = sci.space("y", 0, 1, periodic=True)
    psi = sci.fields("psi", t, y, real=False)
    free = sci.System([sci.eq(sp.I * psi.diff(t), -psi.diff(y, 2))], initial={psi: sp.exp(2 * sp.pi * sp.I * y)})
    form = pointwise(free)
    columns = {"t": [0.0, 1.0], "y": [0.0, 0.5], "psi": [1.0, 2.0]}
    with pytest.raises(FitError, match=r"'psi' measures a complex quantity, `psi\(t, y\)`. Give its parts: observe="):
        measured_terms(form, read(columns, form=form, over=(t, y)))
    made = measured_terms(form, read(columns, {"psi": psi * sp.conjugate(psi)}, form=form, over=(t, y)))
    assert made.terms[-1].name == "data psi" and set(made.terms[-1].operators) == {"psi_re", "psi_im"}


def test_the_loss_is_the_mean_square_of_the_differences_in_units_of_the_noise(close):
    class Line(eqx.Module):
        slope: jax.Array

        def __call__(self, inputs):
            return self.slope * (inputs[1] + 1)  # slope times x

    data = {"t": [0.0, 0.5, 1.0], "x": [0.5, 1.0, 2.0], "u": [0.5, np.nan, 1.0], "a": [0.0, 1.0, 2.0]}
    given = Given(heat, Line(jnp.asarray(1.0)), data=data, observe={"a": u * u.diff(x)}, noise={"u": 0.1}, conditions="soft")
    made = setup(given)
    terms = {p.term.name: p for p in made.problem.pieces}
    close(made.problem.residual(made.z, terms["data u"], made.measured["data u"], None), [0.0, 10.0])
    close(made.problem.residual(made.z, terms["data a"], made.measured["data a"], None), [0.5, 0.0, 0.0])

    def loss(slope):
        z = {**made.z, "network": Line(slope)}
        return jnp.mean(made.problem.residual(z, terms["data a"], made.measured["data a"], None) ** 2)

    close(jax.jit(jax.grad(loss))(jnp.asarray(1.0)), (2 * 0.5 * 2 * 0.5) / 3)  # residual slope^2 x - value, at x = 1/2, 1, 2


def test_data_replace_conditions(close):
    """Nothing is known at the sides; measurements inside say what the field is."""
    y = sci.space("y", 0, 1)
    v = sci.fields("v", y)
    line = sci.System([sci.eq(v.diff(y, 2), 0)], name="line")
    network = eqx.nn.MLP(1, 1, 8, 1, jnp.tanh, key=jax.random.key(0))
    data = {"y": [0.25, 0.75], "v": [1.0, 2.0]}
    net = fit(line, network, data=data, noise=0.1, points=20, progress=False, train=GaussNewton(max_steps=40))
    close(net({"y": [0.0, 0.25, 0.5, 1.0]})[v], [0.5, 1.0, 1.5, 2.5], rtol=1e-4)
