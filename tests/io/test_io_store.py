"""Systems survive the way to a file and back, in this process and in another."""

import dataclasses
import json
import os
import subprocess
import sys

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
import sympy as sp
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from io_systems import EXPRESSIONS, motor_system, neural_system, rich_system, through, x, y, z

import sciml as sci
from sciml.errors import FileError
from sciml.io import store, write
from sciml.passes import eliminate_aliases, first_order
from sciml.symbols import Declaration, declaration_of
from sciml.system import with_units


def bits(value):
    return np.asarray(value).tobytes(), str(np.asarray(value).dtype), np.shape(value)


# -- round trips ------------------------------------------------------------------------


def test_one_of_everything(path):
    system = rich_system()
    again = through(system, path)
    for name, symbol in system.symbols.items():
        old, new = declaration_of(symbol), declaration_of(again.symbols[name])
        for field in dataclasses.fields(Declaration):
            mine, theirs = getattr(old, field.name), getattr(new, field.name)
            if isinstance(mine, np.ndarray):
                assert bits(mine) == bits(theirs)
            elif field.name == "payload" and mine is not None:
                assert mine.keys() == theirs.keys() and bits(mine["grid"]) == bits(theirs["grid"])
            elif field.name != "where":
                assert mine == theirs and type(mine) is type(theirs)
    assert again.symbols["a"].is_positive and list(again.initial) == ["x", "x'", "y"]


def test_a_str_as_path_and_the_same_bytes_again(path):
    sci.save(rich_system(), str(path))
    first = path.read_bytes()
    sci.save(sci.load(str(path)), path)
    assert path.read_bytes() == first


def test_components(path):
    again = through(motor_system(), path)
    assert again.motor.R.name == "drive.motor.R" and again.components["motor"].components == {}
    outer = sci.System([], components=[again], name="outer")
    assert through(outer, path).components["drive"].components["motor"] == again.components["motor"]


def test_after_passes(path):
    u, v = sci.variables("u v", initial=[1.0, None])
    m = sci.parameters("m", 2.0)
    system = sci.System([sci.eq(u.diff(sci.t, 2), -v), sci.eq(v, u)], initial={"u'": m})
    reduced = eliminate_aliases(first_order(system))
    assert reduced.eliminated
    through(reduced, path)


def test_units_that_have_been_converted_are_not_converted_again(path):
    m = sci.variables("m", initial=1.0, unit="mg")
    rate = sci.parameters("rate", 2.0, unit="1/min")
    system = with_units(sci.System([sci.eq(m.diff(sci.t), -rate * m)], units={sci.t: "h"}))
    assert system.converted and not through(motor_system(), path).converted
    assert through(system, path).converted


def test_the_solution_is_the_same(path):
    system = neural_system()
    again = through(system, path)
    old, new = (sci.solve(s, t_span=(0, 1), saveat=5)["x"] for s in (system, again))
    assert bits(old) == bits(new)


def test_spaces_and_parameters_over_them(path):
    s = sci.space("s", 0, 1, periodic=True, unit="m")
    r = sci.space("r", -1, 1, dim=3)
    d = sci.parameters("d", 0.1, unit="m**2", over=s)
    u = sci.fields("u", sci.t, s)
    again = through(sci.System([sci.eq(u.diff(sci.t), d * u.diff(s, 2))], observed={"far": d * r[0], "slope": d.diff(s)}), path)
    assert declaration_of(again.symbols["d"]).over == (s,)
    assert again.symbols["s"] == s and again.symbols["r"].declaration.shape == (3,)


def test_discrete_and_assumptions(path):
    n = sci.variables("n", initial=0.0, discrete=True)
    w = sci.variables("w", initial=1.0, real=False)
    q = sci.parameters("q", 1.0, real=False)
    again = through(sci.System([sci.eq(w.diff(sci.t), n - q * w)]), path)
    assert again.symbols["q"].is_real is False and again.symbols["w"].is_real is False and declaration_of(again.symbols["n"]).discrete


def test_large_initial_arrays_to_the_last_entry(path):
    """System.digest alone would not see a change in the middle: the file's checksum does."""
    w = sci.variables("w", shape=(5000,))
    start = np.random.default_rng(0).normal(size=5000)
    again = through(sci.System([sci.eq(w.diff(sci.t), -w)], initial={w: start}), path)
    assert bits(again.initial["w"]) == bits(start)


def test_a_sum_of_2000_terms(path):
    long = sci.System([sci.eq(x.diff(sci.t), sp.Add(*[sp.Pow(x, i, evaluate=False) for i in range(2, 2002)], evaluate=False))])
    sci.save(long, path)
    again = sci.load(path)
    assert again == long and again.equations == long.equations


def test_a_chain_of_500_equations(path):
    chain = sci.variables("c0:500", initial=0.0)
    system = sci.System([sci.eq(u.diff(sci.t), v - u) for u, v in zip(chain, chain[1:] + chain[:1], strict=True)])
    sci.save(system, path)
    again = sci.load(path)
    assert again == system and again.equations == system.equations and list(again.unknowns) == list(system.unknowns)


def test_parameters_by_expressions_share_their_declarations(path):
    chain = [sci.parameters("p0", 1.0)]
    for i in range(1, 50):
        chain.append(sci.parameters(f"p{i}", chain[-1] * 2))
    through(sci.System([sci.eq(x.diff(sci.t), sum(chain))]), path)
    assert len(json.loads(path.read_text())["content"]["declarations"]) == 52


_TEXT = st.text(max_size=8)
_FLOATS = st.floats(allow_nan=False, allow_infinity=False)


@given(EXPRESSIONS, EXPRESSIONS, EXPRESSIONS, _FLOATS, _FLOATS, _TEXT, _TEXT, st.sampled_from(["ito", "stratonovich"]), st.booleans())
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_random_systems(tmp_path, first, second, third, number, start, name, description, calculus, positive):
    q = sci.parameters("q", number, description=description, **({"positive": True} if positive else {}), nominal=start)
    r = sci.parameters("r", q * 2 + 1, unit="1")
    system = sci.System(
        [sci.eq(x.diff(sci.t), first + r), sci.eq(y.diff(sci.t), second * q), sci.eq(z.diff(sci.t), -z)],
        observed={"third": third},
        initial={x: start, y: np.array(number)},
        units={sci.t: "1"},
        calculus=calculus,
        name=name,
        description=description,
    )
    through(system, tmp_path / "random.json")


# -- networks -----------------------------------------------------------------------------


def _key(i=0):
    return jax.random.key(i)


NETWORKS = {
    "default": lambda: eqx.nn.MLP(2, 1, 4, 1, key=_key()),
    "no layers": lambda: eqx.nn.MLP(2, 1, 4, 0, key=_key()),
    "no bias": lambda: eqx.nn.MLP(2, 1, 4, 2, activation=jax.nn.gelu, use_bias=False, use_final_bias=False, key=_key()),
    "scalar out": lambda: eqx.nn.MLP(2, "scalar", 4, 1, final_activation=jax.nn.softplus, key=_key()),
    "float32": lambda: eqx.nn.MLP(2, 1, 4, 1, dtype=jnp.float32, key=_key()),
    "bfloat16": lambda: eqx.nn.Linear(2, 1, dtype=jnp.bfloat16, key=_key()),
    "linear": lambda: eqx.nn.Linear(2, "scalar", use_bias=False, key=_key()),
    "sequential": lambda: eqx.nn.Sequential(
        [eqx.nn.Linear(2, 3, key=_key()), eqx.nn.Lambda(jax.nn.silu), eqx.nn.Identity(), eqx.nn.Linear(3, 1, key=_key(1))]
    ),
    "function": lambda: jnp.tanh,
    "numpy weights": lambda: jax.tree_util.tree_map(lambda w: np.asarray(w) if eqx.is_array(w) else w, eqx.nn.Linear(2, 1, key=_key())),
    "trained": lambda: jax.tree_util.tree_map(lambda w: w * 1.1 if eqx.is_array(w) else w, eqx.nn.MLP(2, 1, 4, 1, key=_key())),
}


@pytest.mark.parametrize("name", list(NETWORKS))
def test_networks(path, name):
    module = NETWORKS[name]()
    g = sci.neural("g", module, description="a guess")
    again = through(sci.System([sci.eq(x.diff(sci.t), g(x, y)), sci.eq(y.diff(sci.t), g(y, x))]), path)
    found = declaration_of(again.symbols["g"]).value
    assert jax.tree_util.tree_structure(found) == jax.tree_util.tree_structure(module)
    for old, new in zip(jax.tree_util.tree_leaves(module), jax.tree_util.tree_leaves(found), strict=True):
        assert old is new or (bits(old) == bits(new) and isinstance(old, jax.Array) == isinstance(new, jax.Array))


def test_two_outputs_share_one_network(path):
    again = through(neural_system(), path)
    first, second = (next(iter(e.rhs.atoms(sp.Function) - set(again.unknowns.values()))) for e in again.equations)
    assert declaration_of(first).value is declaration_of(second).value
    assert (declaration_of(first).payload["index"], declaration_of(second).payload["index"]) == (0, 1)
    assert len(json.loads(path.read_text())["content"]["networks"]) == 1


def test_a_known_function_is_saved_by_name(path):
    f = sci.function("f", jax.nn.softplus)
    again = through(sci.System([sci.eq(x.diff(sci.t), f(x))]), path)
    assert declaration_of(again.symbols["f"]).value is jax.nn.softplus


class Strange(eqx.Module):
    w: jax.Array

    def __call__(self, v):
        return v @ self.w


def test_weights_in_double_precision_are_not_rounded_in_single(path):
    if not jax.config.jax_enable_x64:
        pytest.skip("double-precision weights cannot be made in a float32 run")
    sci.save(neural_system(), path)
    with jax.enable_x64(False), pytest.raises(FileError, match=r"float64.*jax_enable_x64"):
        sci.load(path)


# -- another process ------------------------------------------------------------------------


def test_another_process_reads_the_same_and_writes_the_same(path, tmp_path):
    """With another seed for the hashes of text, which decide the order of sets."""
    systems = {"rich": rich_system(), "motor": motor_system(), "neural": neural_system()}
    for name, system in systems.items():
        sci.save(system, tmp_path / f"{name}.json")
    program = f"""
import sys, jax
jax.config.update("jax_enable_x64", {bool(jax.config.jax_enable_x64)})
import sciml as sci
for name in {list(systems)}:
    system = sci.load(name + ".json")
    sci.save(system, name + ".again.json")
    print(system.digest, *system.symbols)
"""
    environment = {**os.environ, "PYTHONHASHSEED": "12345"}
    done = subprocess.run([sys.executable, "-c", program], cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split("\n")[:-1] == [" ".join([s.digest, *s.symbols]) for s in systems.values()]
    for name in systems:
        assert (tmp_path / f"{name}.json").read_bytes() == (tmp_path / f"{name}.again.json").read_bytes()


# -- refused on saving ------------------------------------------------------------------------


def refused(value, match, **metadata):
    q = sci.parameters("q", value, **metadata)
    return sci.System([sci.eq(x.diff(sci.t), q * x)]), match


def _of(term):
    return sci.System([sci.eq(x.diff(sci.t), term)])


REFUSED = {
    "own function": lambda: (_of(sci.function("f", lambda v: v**2)(x)), r"function 'f' .*code of your own.*sci\.table"),
    "own module": lambda: (_of(sci.neural("g", Strange(jnp.ones((1, 1))))(x)), r"network of 'g' .*Strange, which is code.*eqx\.nn\.MLP"),
    "lambda": lambda: (_of(sci.neural("g", lambda v: v)(x)), r"network of 'g' .*function .*<lambda>, which is code"),
    "own activation": lambda: (
        _of(sci.neural("g", eqx.nn.MLP(1, 1, 2, 1, activation=lambda v: v, key=_key()))(x)),
        r"its activation is .*<lambda>, which is code.*jax\.nn",
    ),
    "other class": lambda: (_of(sci.neural("g", eqx.nn.LayerNorm(1))(x)), "LayerNorm, which is code"),
    "changed": lambda: (
        _of(sci.neural("g", eqx.tree_at(lambda m: m.weight, eqx.nn.Linear(1, 1, key=_key()), jnp.ones((1, 3))))(x)),
        "changed after eqx.nn.Linear",
    ),
    "prior": lambda: refused(1.0, "prior of 'q' .*object.*cannot hold exactly.*numbers, text", prior=object()),
    "not in the table": lambda: (_of(sp.LambertW(x)), "LambertW.*cannot be saved.*sci.table"),
}


@pytest.mark.parametrize("case", list(REFUSED))
def test_what_cannot_be_saved_says_why_and_leaves_no_file(path, case):
    system, match = REFUSED[case]()
    with pytest.raises(FileError, match=match):
        sci.save(system, path)
    assert list(path.parent.iterdir()) == []


@pytest.mark.parametrize("thing", [None, 3, "model.json", x, {"a": 1}])
def test_not_a_system(path, thing):
    with pytest.raises(FileError, match=r"is not a System.*sci\.save\(system, \"model\.json\"\)"):
        sci.save(thing, path)


def test_a_compiled_system_is_not_a_system_but_holds_one(path):
    with pytest.raises(FileError, match=r"sci\.save\(it\.system, path\)"):
        sci.save(sci.compile(neural_system()), path)


def test_paths(path, tmp_path):
    system = neural_system()
    for wrong in (3, None, b"model.json"):
        with pytest.raises(FileError, match="is not a path"):
            sci.save(system, wrong)
        with pytest.raises(FileError, match="is not a path"):
            sci.load(wrong)
    with pytest.raises(FileError, match=r"no/such.*cannot be written.*folder that exists"):
        sci.save(system, tmp_path / "no" / "such" / "model.json")
    with pytest.raises(FileError, match="cannot be written"):
        sci.save(system, tmp_path)
    with pytest.raises(FileError, match=r"nothing.json.*cannot be read: No such file.*Check the path"):
        sci.load(tmp_path / "nothing.json")
    with pytest.raises(FileError, match="cannot be read"):
        sci.load(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_crash_while_writing_leaves_the_old_file(path, monkeypatch):
    system = neural_system()
    sci.save(system, path)

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(FileError, match="No space left"):
        sci.save(rich_system(), path)
    assert sci.load(path) == system and list(path.parent.iterdir()) == [path]


def test_a_link_is_written_through(path, tmp_path):
    link = tmp_path / "link.json"
    sci.save(neural_system(), path)
    link.symlink_to(path)
    sci.save(rich_system(), link)
    assert link.is_symlink() and sci.load(path) == rich_system()


# -- nothing is forgotten -----------------------------------------------------------------------


def test_every_field_of_a_system_and_of_a_declaration_is_in_the_file():
    """A field that is added to a System or a Declaration must be added to the file too."""
    (fields,) = neural_system().__reduce__()[1]
    assert set(fields) == {*store._TEXTS, *store._FLAGS, *store._TABLES, *store._PAIRS, *store._REGIONAL, "boundary", "grid"}
    assert {f.name for f in dataclasses.fields(Declaration)} - {f.name for f in write.KEPT} == {"where"}


def test_the_file_is_for_people_too(path):
    sci.save(rich_system(), path)
    lines = path.read_text(encoding="utf-8").splitlines()
    assert lines[1] == ' "format": "sciml-system",' and lines[2] == ' "version": 1,'
    assert "α" in path.read_text(encoding="utf-8") and str(path.parent) not in path.read_text(encoding="utf-8")
    assert any(line.strip().startswith('["Add", ') for line in lines)
