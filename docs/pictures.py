"""The programs in README.md and in the pages of this folder: found, run, and their pictures drawn.

Every block that begins with ```python belongs to a program that runs from top to bottom of its page. A block that makes
a figure is followed by the picture of it, `![...](images/name.png)`, which this script writes.

Run: python docs/pictures.py [page ...]
"""

import dataclasses
import re
import sys
from pathlib import Path

DOCS = Path(__file__).resolve().parent
README = DOCS.parent / "README.md"
_BLOCK = re.compile(r"^```python\n(.*?)^```\n(?:\s*!\[[^\]]*\]\(([^)]+\.png)\))?", re.MULTILINE | re.DOTALL)


@dataclasses.dataclass(frozen=True)
class Block:
    """Some lines of Python on a page: at which line they begin, and the picture that follows them."""

    line: int
    source: str
    picture: Path | None


def pages() -> list[Path]:
    """README.md and every page that holds Python."""
    return [p for p in (README, *sorted(DOCS.rglob("*.md"))) if _BLOCK.search(p.read_text())]


def blocks(page: Path) -> list[Block]:
    """The Python on a page, in its order."""
    text = page.read_text()
    found = []
    for match in _BLOCK.finditer(text):
        picture = (page.parent / match[2]).resolve() if match[2] else None
        found.append(Block(text.count("\n", 0, match.start(1)) + 1, match[1], picture))
    return found


def run(page: Path, draw: bool = False) -> None:
    """Runs a page in a namespace of its own; errors show its name and line. `draw` writes its pictures."""
    import matplotlib.pyplot as plt
    from PIL import Image

    namespace = {"__name__": page.stem}
    plt.close("all")
    for block in blocks(page):
        exec(compile("\n" * (block.line - 1) + block.source, str(page), "exec"), namespace)
        if block.picture is not None:
            if not plt.get_fignums():
                raise AssertionError(f"{page}:{block.line}: a picture follows, and no figure was made")
            if draw:
                block.picture.parent.mkdir(exist_ok=True)
                plt.gcf().savefig(block.picture, dpi=80)
                Image.open(block.picture).convert("RGB").quantize(256).save(block.picture, optimize=True)
                print(f"{block.picture}  {block.picture.stat().st_size // 1024} KB")
        plt.close("all")


if __name__ == "__main__":
    import matplotlib

    matplotlib.use("agg")
    for page in [Path(p).resolve() for p in sys.argv[1:]] or pages():
        run(page, draw=True)
