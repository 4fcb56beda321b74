"""The words are true: every Python block of README and docs runs, and so does every `>>>` in the package."""

import doctest
import importlib
import importlib.util
import os
import pkgutil
from pathlib import Path

import jax
import pytest

import sciml

ROOT = Path(__file__).resolve().parent.parent
_spec = importlib.util.spec_from_file_location("sciml_docs_pictures", ROOT / "docs" / "pictures.py")
pictures = importlib.util.module_from_spec(_spec)
importlib.sys.modules[_spec.name] = pictures
_spec.loader.exec_module(pictures)

PAGES = pictures.pages()
MODULES = sorted(m.name for m in pkgutil.walk_packages(sciml.__path__, "sciml."))


@pytest.mark.parametrize("page", PAGES, ids=lambda p: str(p.relative_to(ROOT)))
def test_page_runs(page, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # pages write files
    with jax.numpy_dtype_promotion("standard"), jax.numpy_rank_promotion("allow"):  # as for a reader
        pictures.run(page)


@pytest.mark.parametrize("page", PAGES, ids=lambda p: str(p.relative_to(ROOT)))
def test_page_has_its_pictures(page):
    for block in pictures.blocks(page):
        if block.picture is not None:
            assert block.picture.exists(), f"run python docs/pictures.py {page.relative_to(ROOT)}"
            assert block.picture.stat().st_size < 60_000


@pytest.mark.parametrize("name", ["sciml", *MODULES])
def test_docstrings_run(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    module = importlib.import_module(name)
    found = doctest.testmod(module, optionflags=doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE)
    assert found.failed == 0


def test_every_page_is_in_the_menu():
    menu = (ROOT / "mkdocs.yml").read_text()
    for page in (ROOT / "docs").rglob("*.md"):
        assert str(page.relative_to(ROOT / "docs")).replace(os.sep, "/") in menu
