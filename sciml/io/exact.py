"""Numbers and arrays as JSON, exact to the bit, and the small checks that reading them needs.

| value          | in the file                                                          |
|----------------|----------------------------------------------------------------------|
| integer        | decimal text (hexadecimal from 4000 digits on, where Python refuses) |
| Python float   | `float.hex`, or `nan`, `inf`, `-inf`                                 |
| array, scalar  | dtype, shape and the little-endian bytes in base64                   |
"""

import base64
import binascii
import math
import re
import sys
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

MOST_ELEMENTS = 2**40
"""No array or declared shape is larger: a damaged shape must not ask for all the memory there is."""

_LONG = 13_000  # bits; about 3900 digits, below Python's limit of 4300 for decimal text
_EXACT = (np.bool_, np.int8, np.int16, np.int32, np.int64, np.uint8, np.uint16, np.uint32, np.uint64)
_INEXACT = (np.float16, np.float32, np.float64, np.complex64, np.complex128, jnp.bfloat16)
DTYPES: dict[str, np.dtype] = {str(np.dtype(kind)): np.dtype(kind) for kind in (*_EXACT, *_INEXACT)}
"""Every type of number that an array in a file can have."""


class Unreadable(Exception):
    """What is wrong with a part of a file; `load` adds the file's name and the cure."""

    def __init__(self, what: str, cure: str = "") -> None:
        super().__init__(what)
        self.cure = cure


def shown(value: Any) -> str:
    """A value from a file, short enough for a message."""
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."


def field(of: Any, key: str, kind: type, what: str) -> Any:
    """`of[key]`, which must be there and be exactly of that type (True is no integer)."""
    if type(of) is not dict:
        raise Unreadable(f"{what} is {shown(of)} and not an object with fields")
    if key not in of:
        raise Unreadable(f"{what} has no field '{key}'")
    return typed(of[key], kind, f"'{key}' of {what}")


def typed(value: Any, kind: type, what: str) -> Any:
    """The value, which must be exactly of that type."""
    if type(value) is not kind:
        words = {dict: "an object", list: "a list", str: "text", int: "a whole number", bool: "true or false"}
        raise Unreadable(f"{what} is {shown(value)} and not {words[kind]}")
    return value


def only(of: dict, allowed: Any, what: str) -> None:
    """No field but the allowed ones: a field that is not understood must not be passed over."""
    for key in of:
        if key not in allowed:
            raise Unreadable(f"{what} has an unknown field {shown(key)}")


# -- numbers --------------------------------------------------------------------


def write_integer(value: Any) -> str:
    """An integer as text."""
    value = int(value)
    return hex(value) if value.bit_length() > _LONG else str(value)


def read_integer(text: Any) -> int:
    """The integer of a text; `int` alone would also take spaces, underscores and digits of other scripts."""
    typed(text, str, "an integer")
    if re.fullmatch(r"-?[0-9]{1,4000}", text, re.ASCII):
        return int(text)
    if re.fullmatch(r"-?0x[0-9a-f]+", text, re.ASCII):
        return int(text, 16)
    raise Unreadable(f"{shown(text)} is not an integer")


def write_float(value: float) -> str:
    """A float as text, "nan", "inf" and "-inf" too."""
    return value.hex()


def read_float(text: Any) -> float:
    """The float of a text, which must be written as `write_float` does."""
    typed(text, str, "a number")
    try:
        value = float.fromhex(text)
    except (ValueError, OverflowError):
        raise Unreadable(f"{shown(text)} is not a number in the form of float.hex") from None
    if value.hex() != text:
        raise Unreadable(f"{shown(text)} is not a number in the form of float.hex")
    return value


# -- arrays -----------------------------------------------------------------------


def known_array(value: Any) -> bool:
    """Whether the value is an array, or a NumPy number, of a type that a file can hold."""
    return isinstance(value, np.ndarray | np.generic | jax.Array) and str(value.dtype) in DTYPES


def write_array(value: Any) -> dict[str, Any]:
    """An array with its bytes. "of" says whose array it is: numpy, jax, or a NumPy number."""
    array = np.asarray(value)
    if sys.byteorder == "big":
        array = array.byteswap()
    owner = "jax" if isinstance(value, jax.Array) else "number" if isinstance(value, np.generic) else "numpy"
    content = base64.b64encode(array.tobytes()).decode("ascii")
    return {"array": str(value.dtype), "shape": list(array.shape), "of": owner, "base64": content}


def read_array(entry: Any) -> Any:
    """The array of an entry; its shape must agree with its bytes before any memory is asked for."""
    name = field(entry, "array", str, "an array")
    if name not in DTYPES:
        raise Unreadable(f"an array has the unknown dtype {shown(name)}")
    only(entry, ("array", "shape", "of", "base64"), "an array")
    shape = read_shape(field(entry, "shape", list, "an array"), "an array")
    content = _bytes(field(entry, "base64", str, "an array"))
    dtype, count = DTYPES[name], math.prod(shape)
    if len(content) != count * dtype.itemsize:
        raise Unreadable(f"an array of shape {shape} and dtype {name} holds {len(content)} bytes instead of {count * dtype.itemsize}")
    array = np.frombuffer(content, dtype).reshape(shape).copy()
    if sys.byteorder == "big":
        array = array.byteswap()
    return _owned(array, field(entry, "of", str, "an array"))


def _owned(array: np.ndarray, owner: str) -> Any:
    if owner == "numpy":
        return array
    if owner == "number" and array.shape == ():
        return array[()]
    if owner != "jax":
        raise Unreadable(f"an array belongs to {shown(owner)}, which is neither numpy nor jax")
    if jax.dtypes.canonicalize_dtype(array.dtype) != array.dtype:
        cure = 'Write jax.config.update("jax_enable_x64", True) at the start of your program.'
        raise Unreadable(f"it holds network weights in {array.dtype}, which JAX would round in its present precision", cure)
    return jnp.asarray(array)


def _bytes(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as problem:
        raise Unreadable(f"the bytes of an array are not base64 ({problem})") from None


def read_shape(entry: Any, what: str) -> tuple[int, ...]:
    """A shape of sensible size."""
    shape = tuple(typed(n, int, f"an entry in the shape of {what}") for n in entry)
    if any(not 0 <= n <= MOST_ELEMENTS for n in shape) or len(shape) > 32 or math.prod(shape) > MOST_ELEMENTS:
        raise Unreadable(f"the shape {shown(list(shape))} of {what} is impossible")
    return shape
