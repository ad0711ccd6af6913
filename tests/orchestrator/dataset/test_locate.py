from pathlib import Path

import pytest

from orchestrator.dataset import sample
from orchestrator.dataset.locate import SAMPLE_FOLDER, locate


def test_a_path_is_taken_as_it_is(tmp_path: Path) -> None:
    assert locate(str(tmp_path), note=pytest.fail) == tmp_path
    assert locate("./sample", note=pytest.fail) == Path("sample")


def test_the_word_sample_draws_once_and_says_so(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sample, "draw", lambda folder, draw=sample.draw: draw(folder, images=1))
    notes: list[str] = []
    assert locate("sample", notes.append) == SAMPLE_FOLDER
    assert (tmp_path / SAMPLE_FOLDER / "mmad.json").is_file()
    assert len(notes) == 1
    locate("sample", notes.append)
    assert len(notes) == 1
