"""`orchestrator data` at the command line; what each verb does is tested with its module."""

import json


def test_a_sample_is_drawn_and_is_without_faults(cli, tmp_path):
    result = cli("data", "sample", tmp_path / "s", "--images", 6, "--seed", 3)
    assert result.code == 0, result.err
    entries = json.loads((tmp_path / "s" / "mmad.json").read_text())
    assert len(entries) == 6
    result = cli("data", "verify", tmp_path / "s")
    assert result.code == 0, result.out
    assert "no faults" in result.out


def test_like_mmad_has_its_own_number_of_images(cli, tmp_path):
    result = cli("data", "sample", tmp_path / "s", "--like-mmad", "--images", 3)
    assert result.code == 2
    assert "leave --images out" in result.err


def test_faults_are_listed_and_exit_with_one(cli, own_data):
    entries = json.loads((own_data / "mmad.json").read_text())
    first, second = list(entries)[:2]
    (own_data / first).unlink()
    entries[second]["conversation"][0]["Answer"] = "E"
    (own_data / "mmad.json").write_text(json.dumps(entries))
    result = cli("data", "verify", own_data)
    assert result.code == 1
    assert "2 faults" in result.out
    assert "image is missing" in result.out
    assert "broken entry" in result.out


def test_one_fault_is_one_fault(cli, own_data):
    first = next(iter(json.loads((own_data / "mmad.json").read_text())))
    (own_data / first).unlink()
    assert ": 1 fault." in cli("data", "verify", own_data).out


def test_summary_counts(cli, drawn):
    result = cli("data", "summary", drawn)
    assert result.code == 0
    assert "Sample-Parts" in result.out


def test_a_folder_that_is_not_there_is_named(cli, tmp_path):
    for verb in ("verify", "summary"):
        result = cli("data", verb, tmp_path / "none")
        assert result.code == 2
        assert "does not exist" in result.err
        assert "Traceback" not in result.err


def test_download_without_a_hub_is_one_line(cli, tmp_path, monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    result = cli("data", "download", tmp_path / "d")
    assert result.code == 2
    assert "HF_HUB_OFFLINE" in result.err
