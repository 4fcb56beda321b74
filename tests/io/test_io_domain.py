"""Domains, values at the end and sums over components survive the way to a file, and damage is noticed."""

import json

import pytest
import sympy as sp
from io_systems import through

import sciml as sci
from sciml.errors import FileError
from sciml.io import store

t = sci.t
x, y = sci.space("x", 0, 1), sci.space("y", 0, 1)
X = sci.space("X", -sp.oo, sp.oo, dim=5)
i = sp.Symbol("i", integer=True)
c = sci.constants("c", [1.0, 2.0, 3.0, 4.0, 5.0])
u, w = sci.fields("u", t, X), sci.fields("w", t, x, y)
hole = sci.ball((x, y), (0.3, 0.3), 0.1)
corner = sci.polygon((x, y), [(0, 0), (0.1, 0), (0, 0.1)])
plate = ((sci.box((x, y), (0, 0), (1, 1)) - hole) & sci.ball((x, y), (0.5, 0.5), 0.7)) | corner
ball = sci.ball(X, 0.25, 2)


def plated():
    boundary = {x.left: sci.eq(sci.normal_derivative(w), 1), hole.surface: sci.eq(sci.normal_derivative(w), w), (hole | corner).surface: sci.eq(w, 0)}
    return sci.System([sci.eq(w.diff(t), sci.laplacian(w))], initial={w: x}, domain=plate, boundary=boundary, name="plated")


def backward():
    two_body = sp.Sum(c[i] * sp.sin(X[i] + X[i + 1]), (i, 0, X.dim - 2)).diff(X[2])
    lap = sci.laplacian(sci.laplacian(u))
    return sci.System([sci.eq(u.diff(t), two_body - lap)], final={u: sci.dot(X, X)}, domain=ball, boundary={ball.surface: sci.eq(u, 0)})


@pytest.mark.parametrize("make", [plated, backward])
def test_systems_come_back_the_same(make, path):
    system = make()
    again = through(system, path)
    assert again == system and again.digest == system.digest and repr(again) == repr(system)
    assert (again.domain, again.surfaces, again.final) == (system.domain, system.surfaces, system.final)
    assert json.loads(path.read_text())["version"] == 3
    again.replace(name="other")


def test_a_sum_alone_needs_the_new_version_and_the_rest_keeps_the_old(path):
    sci.save(sci.System([sci.eq(u.diff(t), sci.laplacian(u))]), path)
    assert json.loads(path.read_text())["version"] == 3
    sci.save(sci.System([sci.eq(w.diff(t), w)], boundary={x.left: sci.eq(w, 0)}), path)
    assert json.loads(path.read_text())["version"] == 2


def test_an_idx_is_refused_with_the_cure(path):
    q = sp.Idx("q")
    with pytest.raises(FileError, match=r'The index `q` \(Idx\) cannot be saved. Write it as q = sp.Symbol\("q", integer=True\)'):
        sci.save(sci.System([sci.eq(u.diff(t), sp.Sum(X[q] * u, (q, 0, 4)))]), path)


def _damaged(path, change):
    """The file of `plated` with its content changed and its checksum made to fit."""
    sci.save(plated(), path)
    document = json.loads(path.read_text())
    change(document["content"])
    document["checksum"] = store._checksum(document)
    path.write_text(json.dumps(document))


DAMAGE = {
    "kind": (lambda c: c["system"].update(domain=["Blob", 1]), "is not a region"),
    "no list": (lambda c: c["system"].update(domain=3), "is not a region"),
    "parts": (lambda c: c["system"]["domain"].append(1), "has 3 parts"),
    "radius": (lambda c: c["system"]["domain"][1][1][2].__setitem__(3, {"float": "-0x1.0000000000000p+0"}), "has radius=-1"),
    "surface": (lambda c: c["system"]["surfaces"].update({"the moon": c["system"]["domain"]}), "the surface 'the moon' is"),
    "index": (lambda c: c["nodes"].append(["index", "i", {"real": True}]), "not those of a whole number"),
    "index name": (lambda c: c["nodes"].append(["index", 3, {"integer": True}]), "the name of an index is 3 and not text"),
}


@pytest.mark.parametrize(("change", "message"), DAMAGE.values(), ids=DAMAGE)
def test_damage_is_noticed(change, message, path):
    _damaged(path, change)
    with pytest.raises(FileError, match=message):
        sci.load(path)
