"""Files that are whole or not there."""

import pytest

from orchestrator.atomic import replacing
from orchestrator.errors import RunError


def test_a_block_that_ends_well_replaces_the_file(tmp_path):
    path = tmp_path / "new" / "file.txt"
    for text in ("one\n", "two\n"):
        with replacing(path) as file:
            file.write(text)
        assert path.read_bytes() == text.encode()
    assert [p.name for p in path.parent.iterdir()] == ["file.txt"]
    assert path.stat().st_mode & 0o777 == 0o644


def test_a_block_that_fails_leaves_the_file_as_it_was_and_nothing_else(tmp_path):
    path = tmp_path / "file.txt"
    path.write_text("before")

    def fail():
        with replacing(path) as file:
            file.write("half")
            raise ValueError

    with pytest.raises(ValueError):
        fail()
    assert path.read_text() == "before"
    assert [p.name for p in tmp_path.iterdir()] == ["file.txt"]


def test_what_cannot_be_written_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(RunError, match="cannot be written"), replacing(tmp_path / "file" / "x") as file:
        file.write("")
