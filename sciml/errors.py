"""What can go wrong, said in the user's words.

Every message has three parts: what is wrong (with the user's own names), where it was written, and the
line that mends it. Errors raised while a model is declared, compiled or solved derive from `ScimlError`.
"""

import difflib
import os
import sys
from collections.abc import Iterable
from types import FrameType


class ScimlError(Exception):
    """Base of every error that sciml raises on purpose."""


class ModelError(ScimlError, ValueError):
    """A declaration, an equation or a System that cannot be what was meant."""


class UnitError(ModelError):
    """Units that do not fit together."""


class NameUnknown(ModelError, KeyError):
    """A name that the System does not have."""

    def __str__(self) -> str:  # KeyError would show the repr, with escaped line breaks
        return str(self.args[0]) if self.args else ""


class CompileError(ScimlError, ValueError):
    """A sound System that this version cannot turn into a program."""


class SolveError(ScimlError, RuntimeError):
    """A solve that failed, or that was asked for in a way that cannot work."""


class FitError(ScimlError, RuntimeError):
    """Data or options that a fit cannot use."""


class FileError(ScimlError, ValueError):
    """A file that is damaged, or is not what it says it is."""


def nearest(name: str, options: Iterable[str]) -> str:
    """The sentence that offers the nearest existing name.

    >>> nearest("alhpa", ["alpha", "beta"])
    "Did you mean 'alpha'?"
    """
    options = list(options)
    close = difflib.get_close_matches(name, options, n=1, cutoff=0.5)
    if close:
        return f"Did you mean '{close[0]}'?"
    if not options:
        return "There are none."
    shown = ", ".join(options[:12]) + (", ..." if len(options) > 12 else "")
    return f"There are: {shown}."


_PACKAGE = os.path.dirname(os.path.abspath(__file__)) + os.sep
_CHECKER = os.path.join("jaxtyping", "_decorator.py")  # stands between the frames when types are checked at run time
_EQUINOX = os.sep + "equinox" + os.sep  # makes the modules that hold a System


def caller() -> str:
    """`file:line` of the nearest frame outside sciml: where the user wrote it. Empty if unknown."""
    frame: FrameType | None = sys._getframe(1)
    while frame is not None:
        file = frame.f_code.co_filename
        if not file.startswith((_PACKAGE, "<frozen", "<@beartype")) and not file.endswith(_CHECKER) and _EQUINOX not in file:
            return f"{file}:{frame.f_lineno}"
        frame = frame.f_back
    return ""


def at(where: str) -> str:
    """` (file:line)` for the end of a sentence, or nothing.

    >>> at("model.py:3")
    ' (model.py:3)'
    """
    return f" ({where})" if where else ""
