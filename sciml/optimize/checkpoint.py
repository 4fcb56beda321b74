"""A run on disk: a line of JSON that says what is in the file, then the bytes of the arrays. Reading it runs no code."""

import hashlib
import json
import os
import tempfile
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from ..errors import FileError

_FORMAT = "sciml training, version 1"


def write(path: Any, arrays: Any, facts: dict[str, Any]) -> None:
    """Writes a pytree of arrays and some facts. A file of that name is replaced at once or, if anything fails, not at all.

    Args:
        path: of the file.
        arrays: a pytree of arrays.
        facts: what JSON can hold.
    """
    path = Path(path)
    content = b"".join(np.asarray(leaf).tobytes() for leaf in jax.tree.leaves(arrays))
    header = {"format": _FORMAT, "facts": facts, "leaves": _described(arrays), "sha256": hashlib.sha256(content).hexdigest()}
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=path.name, suffix=".part")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(json.dumps(header).encode() + b"\n" + content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(name, path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def facts(path: Any) -> dict[str, Any]:
    """The facts in a checkpoint, without its arrays.

    Raises:
        FileError: the file is not a checkpoint.
    """
    with open(path, "rb") as file:
        return _header(path, file)["facts"]


def read(path: Any, like: Any) -> Any:
    """The arrays of a checkpoint.

    Args:
        path: of the file.
        like: a pytree of arrays of the shapes and types that are wanted.

    Raises:
        FileError: the file is not a checkpoint, is damaged, or is of another architecture; the first array that differs is named.
    """
    with open(path, "rb") as file:
        header = _header(path, file)
        content = file.read()
    _same(path, header["leaves"], _described(like))
    if hashlib.sha256(content).hexdigest() != header["sha256"]:
        raise FileError(f"The checkpoint {path} is damaged: its arrays are not those that were written.")
    leaves, structure = jax.tree.flatten(like)
    found, at = [], 0
    for leaf in leaves:
        shape, dtype = np.shape(leaf), jnp.dtype(np.asarray(leaf).dtype)
        count = int(np.prod(shape, dtype=np.int64))
        found.append(np.frombuffer(content, dtype, count, at).reshape(shape))
        at += count * dtype.itemsize
    return jax.tree.unflatten(structure, found)


def _header(path: Any, file: Any) -> dict[str, Any]:
    try:
        header = json.loads(file.readline(1 << 26))
        assert (
            header["format"] == _FORMAT
            and isinstance(header["facts"], dict)
            and isinstance(header["leaves"], list)
            and isinstance(header["sha256"], str)
        )
    except (ValueError, TypeError, KeyError, AssertionError) as error:
        raise FileError(f"{path} is not a checkpoint of sci.nn.fit.") from error
    return header


def _described(arrays: Any) -> list[dict[str, Any]]:
    return [
        {"name": jax.tree_util.keystr(where).lstrip("."), "shape": list(np.shape(leaf)), "dtype": str(np.asarray(leaf).dtype)}
        for where, leaf in jax.tree_util.tree_leaves_with_path(arrays)
    ]


def _same(path: Any, found: list[Any], wanted: list[Any]) -> None:
    cure = "Make the model and the optimiser as they were when the file was written, or begin anew under another name: checkpoint=..."
    in_file, in_model = ({leaf["name"]: leaf for leaf in leaves} for leaves in (found, wanted))
    for name, leaf in in_model.items():
        if name not in in_file:
            raise FileError(f"The checkpoint {path} is of another architecture: it has no {name}. {cure}")
        for what in ("shape", "dtype"):
            there, here = in_file[name][what], leaf[what]
            if there != here:
                there, here = (tuple(v) if what == "shape" else v for v in (there, here))
                raise FileError(f"The checkpoint {path} is of another architecture: {name} has {what} {there} there and {here} here. {cure}")
    for name in in_file:
        if name not in in_model:
            raise FileError(f"The checkpoint {path} is of another architecture: it has {name}, which is not there in the model. {cure}")
    if [leaf["name"] for leaf in found] != [leaf["name"] for leaf in wanted]:
        raise FileError(f"The checkpoint {path} is of another architecture: its arrays are in another order. {cure}")
