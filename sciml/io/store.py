"""Systems to files and back: `save` and `load`.

A file is JSON: `format` and `version` say what it is, `content` holds the System with its tables of nodes,
declarations and networks, `digest` is `System.digest`, and `checksum` is the SHA-256 of all the rest.
"""

import contextlib
import hashlib
import json
import os
import platform
import secrets
from typing import Any

import equinox as eqx
import jax
import sympy as sp

from ..errors import FileError
from ..passes import METHODS, discretize
from ..symbols import Applied, Surface
from ..system import Equation, System
from .exact import Unreadable, field, only, shown, typed
from .read import Reader
from .regions import read_region, write_region
from .write import Writer

FORMAT = "sciml-system"
VERSION = 3
"""1: equations of time alone. 2: also conditions at sides, and the methods that a System was discretised by.
3: also a domain with its surfaces, values at the end of time, and sums over an index."""

_RESTORE = "Restore the file from a copy, or save the System again with sci.save(system, path)."
_EDITED = "A saved file is not for editing: load the original, change the System with system.replace(...), and save that."
_NEWER = "Update sciml (pip install --upgrade sciml-lang), or save the System again with the version that you have here."

_TEXTS = ("name", "description", "calculus")
_FLAGS = ("converted",)
_TABLES = ("units", "initial", "observed", "components")
_PAIRS = ("equations", "eliminated")
_REGIONAL = ("final", "domain", "surfaces")


def save(system: Any, path: Any) -> None:
    """Writes a System to a JSON file, exact to the bit.

    Everything that the System holds is kept: equations, initial values, observed quantities, units,
    declarations with their metadata, data and tables, components, and networks of `equinox.nn` (MLP, Linear,
    Sequential, Lambda, Identity) with functions of `jax.nn` and `jax.numpy`. The lines of the program are not
    kept. The file is replaced in one step: a crash leaves the old one whole.

    Args:
        system: a System.
        path: where to, as text or `pathlib.Path`.

    Raises:
        FileError: no System, no such folder, or a part that a file cannot hold, since a file never runs code:
            `sci.function` with code of your own, networks of other classes.

    >>> import os, tempfile, sciml as sci
    >>> x = sci.variables("x", initial=1.0)
    >>> k = sci.parameters("k", 0.5, unit="1/s")
    >>> system = sci.System([sci.eq(x.diff(sci.t), -k*x)], units={sci.t: "s"}, name="decay")
    >>> path = os.path.join(tempfile.mkdtemp(), "decay.json")
    >>> sci.save(system, path)
    >>> sci.load(path) == system
    True
    """
    if not isinstance(system, System):
        if isinstance(getattr(system, "system", None), System):
            cure = "Save the System in it: sci.save(it.system, path)."
        else:
            cure = 'Write sci.save(system, "model.json"), the System first.'
        raise FileError(f"{shown(system)} is not a System. {cure}")
    target = _path(path, "save(system, path)")
    text = _pretty(_document(system)) + "\n"
    try:
        _read(text, target)
    except Unreadable as problem:  # better no file than one that cannot be read
        raise FileError(f"System '{system.name}' cannot be saved exactly: {problem}. {problem.cure or 'Please report this.'}") from None
    _replace(target, text.encode("utf-8", "surrogatepass"))


def load(path: Any) -> System:
    """Reads a System from a file that `sci.save` wrote. Nothing in the file is evaluated.

    Args:
        path: the file, as text or `pathlib.Path`.

    Returns:
        A System equal to the one that was saved: the same names, order, numbers and digest.

    Raises:
        FileError: there is no such file, or it is damaged, changed, of a newer version or of another kind.

    >>> import os, tempfile, sciml as sci
    >>> x = sci.variables("x", initial=0.1)
    >>> path = os.path.join(tempfile.mkdtemp(), "growth.json")
    >>> sci.save(sci.System([sci.eq(x.diff(sci.t), x)], name="growth"), path)
    >>> sci.load(path)
    System 'growth'
      x' = x
    """
    target = _path(path, "load(path)")
    try:
        with open(target, "rb") as file:
            content = file.read()
    except OSError as problem:
        raise FileError(f"'{target}' cannot be read: {problem.strerror}. Check the path; the present folder is '{os.getcwd()}'.") from None
    try:
        return _read(_decoded(content), target)
    except Unreadable as problem:
        raise FileError(f"'{target}' cannot be loaded: {problem}. {problem.cure or _RESTORE}") from None


# -- a System as a document -----------------------------------------------------------


def _document(system: System) -> dict[str, Any]:
    content = _content(system)
    newer = any(key in content["system"] for key in _REGIONAL) or any(n[0] == "index" for n in content["nodes"])
    document = {
        "format": FORMAT,
        "version": 3 if newer else 2 if system.boundary or system.grid is not None else 1,
        "written_with": _versions(),
        "digest": system.digest,
        "content": content,
    }
    return {**document, "checksum": _checksum(document)}


def _content(system: System) -> dict[str, Any]:
    writer = Writer()
    written = _write_system(system, writer)
    return {"system": written, "declarations": writer.declarations, "networks": writer.networks, "nodes": writer.nodes}


def _write_system(system: System, writer: Writer) -> dict[str, Any]:
    if system.grid is not None:  # how it was made says it all, and in far less space
        return {**_write_system(system.grid.declared, writer), "methods": {n: _write_method(m, n, writer) for n, m in system.grid.methods.items()}}
    conditions = {side: [[writer.node(e.lhs), writer.node(e.rhs)] for e in listed] for side, listed in system.boundary.items()}
    return {
        **({"boundary": conditions} if conditions else {}),
        **({"final": {n: writer.value(v, f"the final value of '{n}'") for n, v in system.final.items()}} if system.final else {}),
        **({"domain": write_region(system.domain, writer)} if system.domain is not None else {}),
        **({"surfaces": {name: write_region(s.region, writer) for name, s in system.surfaces.items()}} if system.surfaces else {}),
        **{key: getattr(system, key) for key in (*_TEXTS, *_FLAGS)},
        "units": dict(system.units),
        "equations": [[writer.node(e.lhs), writer.node(e.rhs)] for e in system.equations],
        "eliminated": [[writer.node(u), writer.node(v)] for u, v in system.eliminated.items()],
        "initial": {name: writer.value(v, f"the initial value of '{name}'") for name, v in system.initial.items()},
        "observed": {name: writer.node(e) for name, e in system.observed.items()},
        "components": {name: _write_system(c, writer) for name, c in system.components.items()},
    }


def _write_method(method: Any, name: str, writer: Writer) -> list[Any]:
    return [method.name, *(writer.value(v, f"an option of the method of '{name}'") for v in method.fields)]


def _read_method(entry: Any, reader: Reader) -> Any:
    if type(entry) is not list or not entry or entry[0] not in METHODS:
        raise Unreadable(f"{shown(entry)} is not a method for a coordinate")
    return METHODS[entry[0]](*map(reader.value, entry[1:]))


def _versions() -> dict[str, str]:
    python = ".".join(platform.python_version_tuple()[:2])
    return {"python": python, "sympy": sp.__version__, "jax": jax.__version__, "equinox": eqx.__version__}


def _canonical(value: Any) -> str:
    return json.dumps(value, separators=(",", ":"))


def _checksum(document: dict[str, Any]) -> str:
    rest = {key: value for key, value in document.items() if key != "checksum"}
    return hashlib.sha256(_canonical(rest).encode()).hexdigest()


def _pretty(value: Any, indent: str = "") -> str:
    """JSON with everything on one line that fits there: a node, a declaration, an equation."""
    line = json.dumps(value, ensure_ascii=False)
    if not isinstance(value, dict | list) or not value or (indent and len(line) < 120):
        return line
    inner = indent + " "
    if isinstance(value, dict):
        parts = [f"{inner}{json.dumps(k, ensure_ascii=False)}: {_pretty(v, inner)}" for k, v in value.items()]
        return "{\n" + ",\n".join(parts) + "\n" + indent + "}"
    return "[\n" + ",\n".join(inner + _pretty(v, inner) for v in value) + "\n" + indent + "]"


# -- a document as a System -------------------------------------------------------------


def _decoded(content: bytes) -> str:
    try:
        return content.decode("utf-8", "surrogatepass")
    except UnicodeDecodeError:
        raise Unreadable("it is not text") from None


def _read(text: str, target: str) -> System:
    """The System of a document; whatever is wrong with it, the error is an Unreadable."""
    try:
        return _read_document(_parsed(text), target)
    except Unreadable:
        raise
    except Exception as problem:  # the last net: a part that no check above has foreseen
        raise Unreadable(f"its parts do not fit together ({type(problem).__name__}: {shown(str(problem))})") from None


def _parsed(text: str) -> Any:
    def pairs(found: list[tuple[str, Any]]) -> dict[str, Any]:
        if len({k for k, _ in found}) < len(found):
            raise Unreadable(f"an object has a field twice: {shown([k for k, _ in found])}")
        return dict(found)

    try:
        return json.loads(text, object_pairs_hook=pairs)
    except json.JSONDecodeError as problem:
        raise Unreadable(f"it is not whole JSON (line {problem.lineno}: {problem.msg})") from None
    except RecursionError:
        raise Unreadable("it is nested too deeply") from None


def _read_document(document: Any, target: str) -> System:
    if type(document) is not dict or document.get("format") != FORMAT:
        raise Unreadable(f'it is not a saved System, which begins with "format": "{FORMAT}"', "Give a file that sci.save wrote.")
    version = field(document, "version", int, "the file")
    if version > VERSION:
        raise Unreadable(f"it has version {version} of the format, and this sciml reads up to {VERSION}", _NEWER)
    if version < 1:
        raise Unreadable(f"it has version {version} of the format, which never was")
    only(document, ("format", "version", "written_with", "digest", "content", "checksum"), "the file")
    content = field(document, "content", dict, "the file")
    only(content, ("system", "declarations", "networks", "nodes"), "the content")
    reader = Reader(content, target)
    system = _read_system(field(content, "system", dict, "the content"), reader, target)
    _verify(document, system)
    return system


def _verify(document: dict[str, Any], system: System) -> None:
    """What was read is what was saved, to the bit.

    `System.digest` holds the text of JAX's and Python's own forms of a network, so it is compared only where
    the versions are those of the writer; what is read must give the same file again in any case.
    """
    for key in ("checksum", "digest"):
        field(document, key, str, "the file")
    if document["checksum"] != _checksum(document):
        raise Unreadable("its content does not fit its checksum, so the file was changed by hand or damaged", _EDITED)
    same_versions = field(document, "written_with", dict, "the file") == _versions()
    if (same_versions and system.digest != document["digest"]) or _canonical(_content(system)) != _canonical(document["content"]):
        raise Unreadable("the System in it is not the one that was saved, so the file was changed by hand or damaged", _EDITED)


def _read_system(entry: Any, reader: Reader, target: str) -> System:
    what = "the System"
    optional = [key for key in ("boundary", "methods", *_REGIONAL) if key in typed(entry, dict, what)]
    only(entry, (*_TEXTS, *_FLAGS, *_TABLES, *_PAIRS, *optional), what)
    texts = {key: field(entry, key, str, what) for key in _TEXTS}
    flags = {key: field(entry, key, bool, what) for key in _FLAGS}
    tables = {key: field(entry, key, dict, what) for key in _TABLES}
    pairs = {key: [_pair(p, reader) for p in field(entry, key, list, what)] for key in _PAIRS}
    if texts["calculus"] not in ("ito", "stratonovich"):
        raise Unreadable(f"the calculus {shown(texts['calculus'])} is neither ito nor stratonovich")
    if not all(isinstance(u, Applied) for u, _ in pairs["eliminated"]):
        raise Unreadable("something that is not an unknown stands among the eliminated unknowns")
    boundary = {
        side: tuple(Equation(*_pair(p, reader), target) for p in typed(listed, list, f"the conditions at {side}"))
        for side, listed in (field(entry, "boundary", dict, what) if "boundary" in entry else {}).items()
    }
    # derive makes a System as it is given: a saved one has been checked, and passes may have worked on it since.
    made = System([]).derive(
        **texts,
        **flags,
        equations=tuple(Equation(lhs, rhs, target) for lhs, rhs in pairs["equations"]),
        eliminated=dict(pairs["eliminated"]),
        units={name: typed(u, str, f"the unit of '{name}'") for name, u in tables["units"].items()},
        initial={name: reader.value(v) for name, v in tables["initial"].items()},
        boundary=boundary,
        final={name: reader.value(v) for name, v in (field(entry, "final", dict, what) if "final" in entry else {}).items()},
        domain=read_region(entry["domain"], reader) if "domain" in entry else None,
        surfaces=_read_surfaces(field(entry, "surfaces", dict, what) if "surfaces" in entry else {}, reader),
        observed={name: reader.expression(i) for name, i in tables["observed"].items()},
        components={name: _read_system(c, reader, target) for name, c in tables["components"].items()},
    )
    if "methods" not in entry:
        return made
    return discretize(made, {name: _read_method(m, reader) for name, m in field(entry, "methods", dict, what).items()})


def _read_surfaces(entry: dict[str, Any], reader: Reader) -> dict[str, Surface]:
    surfaces = {name: read_region(region, reader).surface for name, region in entry.items()}
    for name, surface in surfaces.items():
        if surface.name != name:
            raise Unreadable(f"the surface {shown(name)} is {shown(surface.name)}")
    return surfaces


def _pair(entry: Any, reader: Reader) -> tuple[sp.Expr, sp.Expr]:
    if type(entry) is not list or len(entry) != 2:
        raise Unreadable(f"{shown(entry)} is not a pair of nodes")
    return reader.expression(entry[0]), reader.expression(entry[1])


# -- files --------------------------------------------------------------------------------


def _path(path: Any, call: str) -> str:
    if not isinstance(path, str | os.PathLike):
        raise FileError(f'{shown(path)} is not a path. Write sci.{call} with text or a pathlib.Path, such as "model.json".')
    return os.fsdecode(os.path.expanduser(path))


def _replace(target: str, content: bytes) -> None:
    """Writes beside the file and then takes its place, so that nobody ever sees half of it."""
    real = os.path.realpath(target)  # through a link to the file that it names
    beside = f"{real}.{secrets.token_hex(4)}.tmp"
    try:
        with open(beside, "xb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(beside, real)
    except OSError as problem:
        with contextlib.suppress(OSError):
            os.remove(beside)
        raise FileError(f"'{target}' cannot be written: {problem.strerror}. Give a file in a folder that exists and that you may write to.") from None
