"""For the API pages: examples in docstrings, which begin with >>>, become blocks of code."""

import re
from typing import Any

import griffe

_EXAMPLE = re.compile(r"^>>> .*(?:\n.+)*", re.MULTILINE)


class Doctests(griffe.Extension):
    """Puts each run of lines that begins with >>> between fences."""

    def on_package(self, *, pkg: griffe.Module, **kwargs: Any) -> None:
        """Called once for each package that was read."""
        self._fence(pkg)

    def _fence(self, obj: griffe.Object) -> None:
        if obj.docstring is not None:
            obj.docstring.value = _EXAMPLE.sub(lambda found: f"```pycon\n{found[0]}\n```", obj.docstring.value)
        for member in obj.members.values():
            if not member.is_alias:
                self._fence(member)
