"""Bad input: each case says what is wrong in the user's names and carries the line that mends it."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
import sympy as sp

import sciml as sci
from sciml.errors import CompileError, ModelError, NameUnknown, ScimlError, SolveError, UnitError

from .models import decay, geometric, lotka_volterra, t, x, y

SPAN = {"t_span": (0, 5)}


@pytest.mark.parametrize(
    ("options", "error", "says"),
    [
        ({"params": {"kk": 1.0}}, NameUnknown, "no parameter 'kk'. Did you mean 'k'?"),
        ({"params": {"x": 1.0}}, NameUnknown, 'initial={"x"'),
        ({"initial": {"z": 1.0}}, NameUnknown, "no unknown 'z'"),
        ({"initial": {"k": 1.0}}, NameUnknown, 'params={"k"'),
        ({"params": {"k": float("nan")}}, SolveError, "params holds nan for 'k'"),
        ({"initial": {"x": float("inf")}}, SolveError, "initial holds inf for 'x'"),
        ({"params": {"k": [1.0, 2.0]}}, SolveError, "jax.vmap"),
        ({"params": [1.0]}, SolveError, "dicts from name to value"),
        ({"t_span": (0, 0)}, SolveError, "no length"),
        ({"t_span": (0, float("nan"))}, SolveError, "not finite"),
        ({"t_span": 5}, SolveError, "(start, end)"),
        ({"saveat": [3.0, 1.0]}, SolveError, "np.sort"),
        ({"saveat": [0.0, 9.0]}, SolveError, "outside t_span"),
        ({"saveat": [0.0, float("nan")]}, SolveError, "isnan"),
        ({"saveat": 1}, SolveError, 'saveat="end"'),
        ({"saveat": "all"}, SolveError, '"steps"'),
        ({"saveat": np.ones((2, 2))}, SolveError, "one-dimensional"),
        ({"solver": "tsit"}, SolveError, "Did you mean 'tsit5'?"),
        ({"solver": 5}, SolveError, "diffrax.Tsit5()"),
        ({"solver": "euler"}, SolveError, "dt=0.01"),
        ({"adjoint": "forwards"}, SolveError, "Did you mean 'forward'?"),
        ({"rtol": 1e-20}, SolveError, "finer than"),
        ({"rtol": -1.0}, SolveError, "positive"),
        ({"dt": -0.1}, SolveError, "positive"),
        ({"max_steps": 0}, SolveError, "max_steps"),
    ],
)
def test_a_bad_option(options, error, says):
    with pytest.raises(error) as raised:
        sci.solve(decay(), **{**SPAN, **options})
    assert says in str(raised.value)


def test_a_tolerance_below_float32_says_how_to_get_float64():
    was = jax.config.jax_enable_x64
    try:
        jax.config.update("jax_enable_x64", False)
        with pytest.raises(SolveError, match=r'jax.config.update\("jax_enable_x64", True\)'):
            sci.solve(decay(), **SPAN, rtol=1e-9)
    finally:
        jax.config.update("jax_enable_x64", was)


def test_missing_values_are_named():
    p = sci.parameters("p")
    z = sci.variables("z")
    system = sci.System([sci.eq(z.diff(t), -p * z)])
    with pytest.raises(SolveError, match="parameter 'p' has no value"):
        sci.solve(system, **SPAN, initial={"z": 1.0})
    with pytest.raises(SolveError, match="unknown 'z' has no initial value"):
        sci.solve(system, **SPAN, params={"p": 1.0})
    with pytest.raises(SolveError, match="parameter 'p' has no value"):
        jax.grad(lambda v: sci.solve(system, **SPAN, initial={"z": v})[z][-1])(1.0)


def test_max_steps_reached_names_unknown_time_and_cure():
    with pytest.raises(SolveError) as raised:
        sci.solve(lotka_volterra(), **SPAN, max_steps=5)
    text = str(raised.value)
    assert "max_steps=50" in text and "loosen rtol and atol" in text and "'x'" in text and "t=" in text


def test_a_blow_up_names_the_unknown_and_the_time():
    system = sci.System([sci.eq(x.diff(t), x**2), sci.eq(y.diff(t), -y)])
    with pytest.raises(SolveError) as raised:
        sci.solve(system, **SPAN)
    text = str(raised.value)
    assert "blows up" in text and "'x'" in text and "t=0.1" in text and "Shorten t_span" in text
    assert float(sci.solve(system, **SPAN, throw=False).stats["steps"]) < 5000


def test_an_undefined_value_is_not_a_number_that_looks_right():
    system = sci.System([sci.eq(x.diff(t), -sp.sqrt(x) - 1)])
    with pytest.raises(SolveError, match="'x'"):
        sci.solve(system, t_span=(0, 20))


def test_inside_a_transformation_failure_is_nan_and_a_status():
    system = sci.System([sci.eq(x.diff(t), x**2)])
    batch = jax.vmap(lambda v: sci.solve(system, t_span=(0, 5), initial={"x": v}, saveat=6))(jnp.array([-1.0, 1.0]))
    assert bool(jnp.isfinite(batch[x][0]).all()) and bool(jnp.isnan(batch[x][1, -1])) and bool(jnp.isfinite(batch[x][1, 0]))
    assert [bool(s) for s in batch.successful] == [True, False]
    quiet = sci.solve(system, t_span=(0, 5), throw=False)
    assert bool(quiet.status == sci.Status.step_too_small) and "blows up" in repr(quiet)


def test_noise_needs_a_key_and_a_fitting_solver():
    with pytest.raises(SolveError, match=r"key=jax.random.key\(0\)"):
        sci.solve(geometric(), **SPAN)
    key = jax.random.key(0)
    with pytest.raises(SolveError, match="has noise"):
        sci.solve(geometric(), **SPAN, key=key, solver="kvaerno5")
    with pytest.raises(SolveError, match=r"additive noise only.*diagonal.*Use one of: .*slow_rk"):
        sci.solve(geometric(), **SPAN, key=key, solver="shark")
    with pytest.raises(SolveError, match="only runs forwards"):
        sci.solve(geometric(), t_span=(1, 0), key=key)
    with pytest.raises(SolveError, match="dt="):
        sci.solve(geometric(), **SPAN, key=key, solver="ito_milstein", rtol=1e-3)


def test_data_must_cover_the_span_and_keep_its_shape():
    force = sci.data("F", np.linspace(0, 1, 5), np.ones(5))
    z = sci.variables("z", initial=0.0)
    system = sci.System([sci.eq(z.diff(t), force)])
    with pytest.raises(SolveError, match='outside="hold"'):
        sci.solve(system, t_span=(0, 2))
    with pytest.raises(SolveError, match=r"'F' has \(5,\) values"):
        sci.solve(system, t_span=(0, 1), params={"F": np.ones(6)})
    with pytest.raises(SolveError, match="NaN"):
        sci.solve(system, t_span=(0, 1), params={"F": np.full(5, np.nan)})


def test_a_whole_network_where_its_arrays_belong_is_explained():
    net = eqx.nn.MLP(1, 1, 2, 1, key=jax.random.key(0))
    z = sci.variables("z", initial=1.0)
    system = sci.System([sci.eq(z.diff(t), sci.neural("g", net)(z))])
    with pytest.raises(SolveError, match=r"eqx\.filter"):
        sci.solve(system, **SPAN, params={"g": net})


def test_asking_a_solution_for_what_it_has_not():
    sol = sci.solve(lotka_volterra(), **SPAN, saveat=3)
    with pytest.raises(NameUnknown, match="Did you mean 'total'"):
        sol["totl"]
    with pytest.raises(NameUnknown, match="has no 'q'"):
        sol[sci.variables("q")]
    with pytest.raises(SolveError, match="dense=True"):
        sol(1.0)
    with pytest.raises(SolveError, match="one quantity at a time"):
        sol[x, y]
    with pytest.raises(ModelError, match="white noise"):
        sci.solve(geometric(), t_span=(0, 1), key=jax.random.key(0), dt=0.5)[geometric().symbols["xi"]]
    dense = sci.solve(lotka_volterra(), **SPAN, dense=True)
    with pytest.raises(SolveError, match="longer t_span"):
        dense(7.0)


def test_systems_that_cannot_be_solved_say_so():
    z, w = sci.variables("z w", initial=[1.0, None])
    with pytest.raises(ModelError, match="higher index"):
        sci.solve(sci.System([sci.eq(z.diff(t), w), sci.eq(z**3 + z, t)]), **SPAN)
    with pytest.raises(ModelError, match="too few equations"):
        sci.solve(sci.System([sci.eq(z.diff(t), w)]), **SPAN)
    with pytest.raises(ModelError, match="needs a System"):
        sci.solve([sci.eq(z.diff(t), -z)], **SPAN)
    s = sci.space("s", 0, 1)
    u = sci.fields("u", t, s)
    with pytest.raises(CompileError, match="'u' is a field"):
        sci.solve(sci.System([sci.eq(u.diff(t), u.diff(s, 2))]), **SPAN)
    with pytest.raises(UnitError, match="do not fit"):
        length = sci.variables("length", initial=1.0, unit="m")
        sci.System([sci.eq(length.diff(t), length)], units={t: "s"})


def test_every_error_of_ours_has_one_base():
    for error in (CompileError, ModelError, NameUnknown, SolveError, UnitError):
        assert issubclass(error, ScimlError)
