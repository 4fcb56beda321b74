"""A fresh path for each test of files."""

import pytest


@pytest.fixture
def path(tmp_path):
    return tmp_path / "model.json"
