"""An instruction from a file, which is read and never run."""

import pytest

from orchestrator.errors import UserError
from orchestrator.instruction import read_instruction


@pytest.fixture
def file(tmp_path):
    def write(text, name="script.py"):
        path = tmp_path / name
        path.write_text(text)
        return path

    return write


def test_a_text_file_is_taken_whole(file):
    assert read_instruction(file("Look closely.\nAnswer.\n", "i.txt")) == "Look closely.\nAnswer.\n"


@pytest.mark.parametrize(
    "source",
    [
        'instruction = "Look."',
        'instruction: str = "Look."',
        'instruction = ("Lo"\n    "ok.")',
        'instruction = "Lo" + "ok."',
        'def main():\n    instruction = """Look."""',
        'instruction = None\ninstruction = "Look."\ninstruction = "Later."',
    ],
)
def test_a_python_files_constant_is_found(file, source):
    assert read_instruction(file(source)) == "Look."


def test_the_file_is_not_executed(file, tmp_path):
    source = f'import pathlib\npathlib.Path({str(tmp_path / "ran")!r}).touch()\ninstruction = "Look."'
    assert read_instruction(file(source)) == "Look."
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("x = 1", "no string constant"),
        ("instruction = f(1)", "line 1: instruction is not a plain string"),
        ("def (", "line 1: this is not Python"),
        ('instruction = ""', "is empty"),
    ],
)
def test_what_cannot_be_read_is_said(file, source, message):
    with pytest.raises(UserError, match=message):
        read_instruction(file(source))


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(UserError, match="cannot be read"):
        read_instruction(tmp_path / "none.txt")
