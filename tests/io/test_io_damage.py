"""A file that is not what it should be gives a FileError with the cure, and never a wrong System."""

import copy
import json

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from io_systems import motor_system, neural_system, rich_system, signed

import sciml as sci
from sciml.errors import FileError
from sciml.io import store

RICH, NEURAL, MOTOR = rich_system(), neural_system(), motor_system()
SYSTEMS = {"rich": RICH, "neural": NEURAL, "motor": MOTOR}
DOCUMENTS = {name: store._document(system) for name, system in SYSTEMS.items()}


def load_document(document, path):
    path.write_text(document if isinstance(document, str) else json.dumps(document))
    return sci.load(path)


def index_of(content, kind):
    return next(i for i, node in enumerate(content["nodes"]) if node[0] == kind)


# -- one test for each kind of damage ---------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "match"),
    [
        ("", r"not whole JSON.*copy.*sci\.save"),
        ("hello", "not whole JSON"),
        ("[1, 2]", "not a saved System.*Give a file that sci.save wrote"),
        ("{}", "not a saved System"),
        ('{"format": "other"}', "not a saved System"),
        ('{"format": "sciml-system"}', "no field 'version'"),
        ('{"format": "sciml-system", "version": true}', "'version' of the file is True and not a whole number"),
        ('{"format": "sciml-system", "version": 0}', "version 0 of the format, which never was"),
        ('{"format": "sciml-system", "version": 99, "content": 3}', r"version 99 .* reads up to 3.*pip install --upgrade"),
        ('{"format": "sciml-system", "version": 1}', "no field 'content'"),
        ('{"format": "sciml-system", "version": 1, "content": []}', "'content' of the file is .* not an object"),
        ('{"format": "a", "format": "sciml-system"}', "a field twice"),
        ("[" * 100_000, "nested too deeply|not whole JSON"),
        ('{"format": "sciml-system", "version": ' + "9" * 5000 + "}", "do not fit together"),
        ('{"format": "sciml-system", "version": NaN}', "is nan and not a whole number"),
    ],
    ids=range(15),
)
def test_not_a_saved_system(path, text, match):
    with pytest.raises(FileError, match=f"(?s)model.json' cannot be loaded: .*(?:{match})"):
        load_document(text, path)


def test_bytes_that_are_no_text(path):
    path.write_bytes(b"\xff\xfe\x00\x01")
    with pytest.raises(FileError, match="it is not text"):
        sci.load(path)


def test_changed_by_hand(path):
    document = copy.deepcopy(DOCUMENTS["rich"])
    document["content"]["declarations"][1]["value"] = {"float": (2.0).hex()}
    with pytest.raises(FileError, match=r"changed by hand or damaged\. A saved file is not for editing: load .*system\.replace"):
        load_document(document, path)
    with pytest.raises(FileError, match="not the one that was saved, so the file was changed by hand"):
        load_document(signed(document), path)


def change(document, where, value):
    """The document with the entry at a path replaced, or removed for `...`."""
    document = copy.deepcopy(document)
    at = document["content"]
    for key in where[:-1]:
        at = at[key]
    if value is ...:
        del at[where[-1]]
    else:
        at[where[-1]] = value
    return document


_CONTENT = DOCUMENTS["rich"]["content"]
_ADD, _FLOAT, _RATIONAL = (index_of(_CONTENT, kind) for kind in ("Add", "Float", "Rational"))
_SYMBOL, _APPLY, _PAIR = (index_of(_CONTENT, kind) for kind in ("symbol", "apply", "ExprCondPair"))
_ARRAY = next(i for i, d in enumerate(_CONTENT["declarations"]) if d["name"] == "z")

DAMAGE = [
    (("system",), ..., "no field 'system'"),
    (("nodes",), ..., "no field 'nodes'"),
    (("nodes",), {}, "'nodes' of the content is {} and not a list"),
    (("extra",), 1, "unknown field 'extra'"),
    (("system", "calculus"), ..., "the System has no field 'calculus'"),
    (("system", "calculus"), "euler", "neither ito nor stratonovich"),
    (("system", "name"), 3, "'name' of the System is 3 and not text"),
    (("system", "events"), [], "unknown field 'events'"),
    (("system", "equations", 0), [0], "is not a pair"),
    (("system", "equations", 0, 0), _PAIR, "is not an expression"),
    (("system", "equations", 0, 0), 10**6, "does not point to one of"),
    (("system", "equations", 0, 0), True, "index True"),
    (("system", "equations", 0, 0), -1, "index -1"),
    (("system", "observed", "total"), "x + y", r"index 'x \+ y'"),
    (("system", "initial", "y"), "__import__('os')", "changed by hand"),
    (("system", "initial", "y"), {"float": "1e400"}, "not a number in the form of float.hex"),
    (("system", "initial", "y"), {"eval": "1"}, "is not a value"),
    (("system", "units", "t"), 3, "unit of 't' is 3 and not text"),
    (("system", "components", "m"), {}, "has no field 'name'"),
    (("system", "eliminated"), [[_FLOAT, _FLOAT]], "not an unknown"),
    (("nodes", _ADD), ["System", 0], "node 'System' is unknown to this version"),
    (("nodes", _ADD), ["Add", _ADD, _ADD], f"index {_ADD} does not point to one of the {_ADD} nodes before it"),
    (("nodes", _ADD), ["Add", 10**9, 0], "does not point to one of"),
    (("nodes", _ADD), ["Add", 0.0, 0], "index 0.0"),
    (("nodes", _ADD), ["Add", _PAIR - 1], "does not exist|cannot have|not point"),
    (("nodes", _ADD), [], "does not begin with its kind"),
    (("nodes", _ADD), "Add", "does not begin with its kind"),
    (("nodes", _ADD), ["Derivative", 0, 0], "cannot have"),
    (("nodes", _PAIR), ["Piecewise", 0], "Piecewise cannot have"),
    (("nodes", _FLOAT), ["Float", 0, "2", 0, 2, 53], "parts"),
    (("nodes", _FLOAT), ["Float", 0, "3", 0, 2, 10**9], "parts"),
    (("nodes", _FLOAT), ["Float", 0, "3"], "should have 5 parts"),
    (("nodes", _FLOAT), ["Integer", "1e5"], "not an integer"),
    (("nodes", _FLOAT), ["Integer", " 1"], "not an integer"),
    (("nodes", _FLOAT), ["Integer", 7], "an integer is 7 and not text"),
    (("nodes", _FLOAT), ["constant", "__class__"], "constant '__class__' is unknown"),
    (("nodes", _RATIONAL), ["Rational", "2", "4"], "lowest terms"),
    (("nodes", _RATIONAL), ["Rational", "2", "0"], "lowest terms"),
    (("nodes", _SYMBOL), ["symbol", 99, {}], "does not point to one of the .* declarations"),
    (("nodes", _SYMBOL), ["symbol", 0], "wrong number of parts"),
    (("nodes", _SYMBOL), ["symbol", 0, {"real": "yes"}], "not true, false or null"),
    (("nodes", _SYMBOL), ["symbol", 1, {}], "needs arguments"),
    (("nodes", _APPLY), ["apply", 0, {}, 0], "takes no arguments"),
    (("declarations", 1), {}, "no field 'name'"),
    (("declarations", 1, "kind"), "module", "unknown kind 'module'"),
    (("declarations", 1, "where"), "x.py:1", "unknown field 'where'"),
    (("declarations", 1, "unit"), {"int": "3"}, "'unit' of the declaration of '.*' is 3 and not text"),
    (("declarations", 1, "bounds"), {"tuple": []}, "'bounds' .* not a pair"),
    (("declarations", 1, "shape"), {"tuple": [{"int": "9" * 30}]}, "impossible"),
    (("declarations", 1, "shape"), {"tuple": [{"int": "-1"}]}, "impossible"),
    (("declarations", 1, "shape"), {"tuple": [True]}, "not a whole number"),
    (("declarations", 1, "value"), {"expression": 10**6}, "does not point"),
    (("declarations", 1, "value"), {"network": 0}, "does not point to one of the 0 networks"),
    (("declarations", 1, "value"), {"function": "os.system"}, "function 'os.system' is unknown"),
    (("declarations", 1, "value"), {"dict": [["a", True], ["a", True]]}, "not a new key"),
    (("declarations", _ARRAY, "value", "base64"), "AAAA", "holds 3 bytes instead of 24"),
    (("declarations", _ARRAY, "value", "base64"), "A\n==", "not base64"),
    (("declarations", _ARRAY, "value", "shape"), [10**15], "impossible"),
    (("declarations", _ARRAY, "value", "shape"), [-3, -1], "impossible"),
    (("declarations", _ARRAY, "value", "shape"), [3.0], "not a whole number"),
    (("declarations", _ARRAY, "value", "shape"), [1] * 40, "impossible"),
    (("declarations", _ARRAY, "value", "array"), "object", "unknown dtype 'object'"),
    (("declarations", _ARRAY, "value", "array"), ..., "is not a value"),
    (("declarations", _ARRAY, "value", "of"), "pickle", "neither numpy nor jax"),
]


@pytest.mark.parametrize(("where", "value", "match"), DAMAGE, ids=[f"{'.'.join(map(str, w))}={v!r:.30}" for w, v, _ in DAMAGE])
def test_damage_is_named_also_where_the_checksum_fits(path, where, value, match):
    damaged = change(DOCUMENTS["rich"], where, value)
    for document in (damaged, signed(damaged)):
        with pytest.raises(FileError, match=f"model.json' cannot be loaded: .*(?:{match}|changed by hand)"):
            load_document(document, path)
    if "changed by hand" not in match:
        with pytest.raises(FileError, match=match):
            load_document(signed(damaged), path)


NETWORK_DAMAGE = [
    (("class",), "Dropout", "network class 'Dropout' is unknown"),
    (("class",), ..., "no field 'class'"),
    (("activation",), "eval", "function 'eval' is unknown"),
    (("depth",), 10**9, "depth 1000000000 and 6 arrays"),
    (("depth",), -1, "depth=-1"),
    (("width_size",), 10**9, "is of shape"),
    (("width_size",), 2**70, "has width_size="),
    (("in_size",), "vector", "not a whole number"),
    (("use_bias",), 1, "not true or false"),
    (("arrays", 5), ..., "is missing"),
    (("arrays", 0), {"array": "float64", "shape": [0], "of": "numpy", "base64": ""}, "of shape"),
    (("layers",), [], "unknown field 'layers'"),
]


@pytest.mark.parametrize(("where", "value", "match"), NETWORK_DAMAGE, ids=range(len(NETWORK_DAMAGE)))
def test_damaged_networks(path, where, value, match):
    with pytest.raises(FileError, match=match):
        load_document(signed(change(DOCUMENTS["neural"], ("networks", 0, *where), value)), path)


def test_one_network_in_many_layers(path):
    deep = {"class": "Identity"}
    for _ in range(150):
        deep = {"class": "Sequential", "layers": [deep]}
    with pytest.raises(FileError, match="cannot be loaded"):
        load_document(signed(change(DOCUMENTS["neural"], ("networks", 0), deep)), path)


def test_a_file_of_other_versions_is_read_and_checked_by_its_content(path):
    """JAX and Python describe a network in words that change with their versions, and System.digest with them."""
    document = {**DOCUMENTS["neural"], "written_with": {"python": "3.12"}, "digest": "0" * 16}
    assert load_document(signed(document), path) == NEURAL
    with pytest.raises(FileError, match="changed by hand"):
        load_document(signed({**document, "written_with": DOCUMENTS["neural"]["written_with"]}), path)


def test_nothing_in_a_file_is_evaluated(path, tmp_path):
    """Wherever a text stands, it stays a text."""
    proof = tmp_path / "proof"
    attack = f"__import__('pathlib').Path({str(proof)!r}).touch()"

    def poisoned(tree):
        if isinstance(tree, dict):
            return {key: poisoned(v) for key, v in tree.items()}
        return [poisoned(v) for v in tree] if isinstance(tree, list) else attack if isinstance(tree, str) else tree

    for document in DOCUMENTS.values():
        for part in ("system", "declarations", "networks", "nodes"):
            damaged = change(document, (part,), poisoned(document["content"][part]))
            if damaged != document:
                with pytest.raises(FileError):
                    load_document(signed(damaged), path)
        head = {key: document[key] for key in ("format", "version")}
        with pytest.raises(FileError):
            load_document({**poisoned(document), **head}, path)
    assert not proof.exists()


# -- random damage ------------------------------------------------------------------------------

_SCALARS = st.one_of(
    st.none(), st.booleans(), st.integers(-3, 40), st.integers(), st.floats(), st.text(max_size=6),
    st.sampled_from(["Add", "Pow", "symbol", "apply", "Float", "float64", "0x1.0p+0", "nan", "unknown", "neural", "int", "tuple", "t", "x"]),
)  # fmt: skip
_JSON = st.recursive(_SCALARS, lambda j: st.one_of(st.lists(j, max_size=4), st.dictionaries(st.text(max_size=6), j, max_size=3)), max_leaves=6)
_FUZZ = settings(
    max_examples=150,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
    phases=[Phase.explicit, Phase.generate],
)


def places(tree, path=()):
    """The path to every part of a JSON tree."""
    yield path
    items = tree.items() if isinstance(tree, dict) else enumerate(tree) if isinstance(tree, list) else ()
    for key, part in items:
        yield from places(part, (*path, key))


PLACES = {name: [p for p in places(document) if p] for name, document in DOCUMENTS.items()}


def get(tree, path):
    for key in path:
        tree = tree[key]
    return tree


@st.composite
def damaged_documents(draw):
    """(name, document): one part replaced, removed, doubled, moved or rewritten."""
    name = draw(st.sampled_from(sorted(DOCUMENTS)))
    document = copy.deepcopy(DOCUMENTS[name])
    *where, key = draw(st.sampled_from(PLACES[name]))
    parent = get(document, where)
    how = draw(st.sampled_from(["replace", "remove", "double", "copy", "text", "number"]))
    if how == "remove":
        del parent[key]
    elif how == "double" and isinstance(parent, list):
        parent.insert(key, copy.deepcopy(parent[key]))
    elif how == "copy":
        parent[key] = copy.deepcopy(get(DOCUMENTS[name], draw(st.sampled_from(PLACES[name]))))
    elif how == "text" and isinstance(parent[key], str) and parent[key]:
        text, i = parent[key], draw(st.integers(0, len(parent[key]) - 1))
        parent[key] = text[:i] + draw(st.sampled_from(["", "0", "A", "=", "-", "é", "\x00", "."])) + text[i + 1 :]
    elif how == "number" and type(parent[key]) is int:
        parent[key] += draw(st.sampled_from([-1, 1, 2**31, 10**20]))
    else:
        parent[key] = draw(_JSON)
    return name, document


def load_or_refuse(document, system, path):
    try:
        found = load_document(document, path)
    except FileError as problem:
        assert str(path) in str(problem)
        return
    assert found == system


@given(damaged_documents())
@_FUZZ
def test_random_damage(tmp_path, case):
    name, document = case
    load_or_refuse(document, SYSTEMS[name], tmp_path / "damaged.json")


@given(damaged_documents())
@_FUZZ
def test_random_damage_with_a_checksum_that_fits(tmp_path, case):
    """Whoever changes a file and knows how to sign it gets no other System under the old digest."""
    name, document = case
    load_or_refuse(signed(document), SYSTEMS[name], tmp_path / "damaged.json")


@given(st.sampled_from(sorted(DOCUMENTS)), st.data())
@_FUZZ
def test_random_bytes_lost_or_changed(tmp_path, name, data):
    text = (store._pretty(DOCUMENTS[name]) + "\n").encode()
    i = data.draw(st.integers(0, len(text) - 1))
    j = data.draw(st.one_of(st.just(len(text)), st.integers(i, min(i + 20, len(text)))))
    damaged = tmp_path / "damaged.json"
    damaged.write_bytes(text[:i] + data.draw(st.binary(max_size=3)) + text[j:])
    try:
        found = sci.load(damaged)
    except FileError as problem:
        assert str(damaged) in str(problem)
    else:
        assert found == SYSTEMS[name]
