"""What tests of commands over the database share: an office, and no setting of ours."""

import os
from pathlib import Path

import pytest

from tests.cli.office import Office
from tests.store.conftest import sqlite_template

__all__ = ["sqlite_template"]


@pytest.fixture
def no_settings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A data folder of its own, which is not there yet."""
    for name in list(os.environ):
        if name.startswith("FLOWENGINE_"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("FLOWENGINE_DATA_DIR", str(tmp_path / "var"))
    return tmp_path / "var"


@pytest.fixture
def office(no_settings: Path, sqlite_template: Path) -> Office:
    """Two companies in the data folder."""
    return Office(no_settings, sqlite_template)
