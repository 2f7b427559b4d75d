"""A file appears whole, or the old one stays."""

from pathlib import Path

import pytest

from recordings.files import PART, replacing


def test_a_block_that_ends_well_replaces_the_file(tmp_path: Path) -> None:
    target = tmp_path / "a.wav"
    target.write_text("old")
    with replacing(target) as part:
        part.write_text("new")
        assert target.read_text() == "old"
        assert part.name.endswith(PART)
        assert part.parent == target.parent, "a rename across file systems is not atomic"
    assert [(path.name, path.read_text()) for path in tmp_path.iterdir()] == [("a.wav", "new")]


def test_a_block_that_fails_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    target = tmp_path / "a.wav"
    target.write_text("old")

    def fail() -> None:
        with replacing(target) as part:
            part.write_text("half")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    assert [(path.name, path.read_text()) for path in tmp_path.iterdir()] == [("a.wav", "old")]
