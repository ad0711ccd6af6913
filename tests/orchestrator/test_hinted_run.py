"""`orchestrator run --hints`, from settings to results."""

import csv
import json
import pathlib

import numpy as np
import pytest

DELIBERATE = pathlib.Path(__file__).parents[1] / "faults" / "deliberate"


@pytest.fixture(scope="session")
def keys(drawn):
    return list(json.loads((drawn / "mmad.json").read_text()))


@pytest.fixture
def maps(keys, tmp_path):
    """A map for every image."""
    for number, key in enumerate(keys):
        path = (tmp_path / "maps" / key).with_suffix(".npy")
        path.parent.mkdir(parents=True, exist_ok=True)
        np.save(path, np.random.default_rng(number).uniform(0, 1, (16, 16)))
    return tmp_path / "maps"


def first_map(maps, keys):
    return (maps / keys[0]).with_suffix(".npy")


def test_an_oracle_is_called_one_wherever_the_run_is_shown(ask, cli, summary, tmp_path):
    result = ask("--hints", "ground-truth", "--hint-style", "box")
    assert result.code == 0, result.err
    folder = tmp_path / "run"
    assert "ORACLE" in result.err  # before it is asked
    assert "ORACLE" in result.out
    assert "1-shot, oracle" in result.out
    whole = summary(folder)["run"]
    assert whole["hints"]["source"] == "ground-truth"
    assert whole["hints"]["style"] == "box"
    assert whole["note"].startswith("ORACLE")
    assert (folder / "answers_1_shot_oracle_chance.json").exists()
    assert (folder / "answers_1_shot_oracle_chance_accuracy.csv").exists()
    assert "ORACLE" in cli("score", folder).out
    assert json.loads(cli("score", folder, "--json").out)["chance"]["note"].startswith("ORACLE")
    for form in ("csv", "json", "parquet"):
        assert cli("export", folder, "--format", form).code == 0
    with (folder / "answers.csv").open() as file:
        assert {row["hints"] for row in csv.DictReader(file)} == {"oracle"}
    assert {row["hints"] for row in json.loads((folder / "answers.json").read_text())} == {"oracle"}
    import pandas as pd

    from orchestrator import open_run

    assert set(pd.read_parquet(folder / "answers.parquet")["hints"]) == {"oracle"}
    with open_run(folder) as run:
        assert set(run.answers_frame()["hints"]) == set(run.scores_frame()["hints"]) == {"oracle"}


def test_a_detectors_hints_are_named_and_a_run_without_hints_says_nothing(ask, maps, summary, tmp_path):
    result = ask("--hints", maps, "--limit", 3)
    assert result.code == 0, result.err
    assert "1-shot, hints" in result.out
    assert "ORACLE" not in result.out
    assert (tmp_path / "run" / "answers_1_shot_hints_chance.json").exists()
    result = ask("--limit", 3, out=tmp_path / "plain")
    assert "1-shot" in result.out
    assert ", hints" not in result.out
    assert "With hints" not in result.out
    assert "hints" not in summary(tmp_path / "plain")["run"]


def test_every_style_runs_from_end_to_end(ask, maps, tmp_path):
    for style in ("box", "contour", "highlight", "mask", "heatmap"):
        result = ask("--hints", maps, "--hint-style", style, "--limit", 2, out=tmp_path / style)
        assert result.code == 0, result.err


def test_a_missing_map_fails_its_image_by_name_and_the_others_are_asked(ask, maps, keys, summary, tmp_path):
    first_map(maps, keys).unlink()
    result = ask("--hints", maps)
    assert result.code == 3
    assert "1 of 12 anomaly maps" in result.err
    assert f"{keys[0]}#0: no hint: {first_map(maps, keys).with_suffix('.png')}: no such file" in result.out
    counts = summary(tmp_path / "run")["scores"]["models"]["chance"]["counts"]
    assert 0 < counts["failed"] < counts["answered"]
    assert summary(tmp_path / "run")["execution"]["models"]["chance"]["attempts"]["UNREADABLE_HINT"] == 1


def test_what_to_do_about_a_missing_map_is_said_and_can_be_done(ask, maps, keys, tmp_path):
    map_, aside = first_map(maps, keys), tmp_path / "aside.npy"
    map_.rename(aside)
    result = ask("--hints", maps)
    assert "failed for want of a hint: complete the maps, then start a new run (another --out)" in result.out
    assert "--retry-failed" not in result.out
    aside.rename(map_)
    assert ask("--hints", maps, "--retry-failed").code == 2
    assert ask("--hints", maps, out=tmp_path / "new").code == 0


def test_what_failed_otherwise_can_be_asked_again_beside_it(ask, maps, keys, own_data):
    first_map(maps, keys).unlink()
    (own_data / keys[1]).unlink()
    result = ask("--hints", maps, data=own_data)
    assert "--retry-failed asks the other failed ones again" in result.out
    assert "failed for want of a hint" in result.out


def test_a_missing_mask_can_be_added_and_asked_again(ask, own_data):
    """Masks belong to the data set, and so to no run's hints."""
    mask = next(path for path in sorted(own_data.rglob("*.png")) if "mask" in path.parts)
    content = mask.read_bytes()
    mask.unlink()
    result = ask("--hints", "ground-truth", data=own_data)
    assert "--retry-failed asks the failed ones again" in result.out
    assert "for want of a hint" not in result.out
    mask.write_bytes(content)
    assert ask("--hints", "ground-truth", "--retry-failed", data=own_data).code == 0


def test_a_map_that_is_none_fails_its_image_by_name(ask, maps, keys):
    np.save(first_map(maps, keys), np.full((4, 4), np.nan))
    result = ask("--hints", maps)
    assert result.code == 3
    assert "holds numbers that are not finite" in result.out


def test_a_folder_without_a_single_map_is_refused_before_anything_is_asked(ask, keys, tmp_path):
    (tmp_path / "empty").mkdir()
    result = ask("--hints", tmp_path / "empty")
    assert result.code == 2
    assert str(first_map(tmp_path / "empty", keys).with_suffix(".png")) in result.err
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    "other",
    [
        [],
        ["--hints", "ground-truth"],
        ["--hints", "MAPS", "--hint-style", "box"],
        ["--hints", "MAPS", "--hint-style", "contour", "--hint-threshold", "0.5"],
    ],
    ids=" ".join,
)
def test_a_run_is_not_resumed_with_other_hints(ask, maps, other):
    assert ask("--hints", maps, "--hint-style", "contour", "--limit", 2).code == 0
    result = ask("--limit", 2, *(maps if word == "MAPS" else word for word in other))
    assert result.code == 2
    assert "hints." in result.err
    assert ask("--hints", maps, "--hint-style", "contour", "--limit", 2).code == 0


def test_a_run_is_not_resumed_with_other_maps_and_is_with_a_copy(ask, maps, keys, tmp_path):
    assert ask("--hints", maps).code == 0
    maps.rename(tmp_path / "moved")
    assert "Everything has an answer already" in ask("--hints", tmp_path / "moved").err
    np.save(first_map(tmp_path / "moved", keys), np.ones((16, 16)))
    result = ask("--hints", tmp_path / "moved")
    assert result.code == 2
    assert "hints.maps" in result.err


def test_a_run_from_before_there_were_hints_goes_on(ask, tmp_path):
    """Its identity says nothing of hints, as today's does where there are none."""
    from orchestrator.journal.reader import JournalReader

    assert ask("--limit", 2).code == 0
    assert "hints" not in JournalReader(tmp_path / "run").meta("identity")
    assert "Everything has an answer already" in ask("--limit", 2).err


def test_the_settings_left_behind_repeat_the_run(ask, cli, maps, summary, tmp_path, monkeypatch):
    monkeypatch.chdir(maps.parent)
    ask("--hints", maps.name, "--hint-style", "box", "--hint-threshold", "0.9", "--limit", 3)
    monkeypatch.chdir("/")
    result = cli("run", "--config", tmp_path / "run" / "config.yaml", "--out", tmp_path / "again")
    assert result.code == 0, result.err
    assert summary(tmp_path / "again")["run"]["hints"] == summary(tmp_path / "run")["run"]["hints"]


def test_a_model_that_takes_one_image_is_refused_rather_than_asked_without_its_hint(
    cli, drawn, serve_forever, tmp_path
):
    for room, code in (("1", 2), ("2", 0)):
        target = serve_forever(DELIBERATE, "--max-images", room, "--seconds", "0")
        result = cli(
            "run", "--data", drawn, "--endpoint", f"narrow={target}", "--hints", "ground-truth",
            "--limit", 2, "--out", tmp_path / room,
        )  # fmt: skip
        assert result.code == code, result.err
        expected = "narrow: it takes one image" if code else "gets 0 of 1 templates"
        assert expected in result.err


def test_a_dry_run_says_what_would_be_shown(ask, maps):
    result = ask("--hints", maps, "--dry-run")
    assert result.code == 0
    assert "With hints" in result.out
    assert "36 images" in result.out  # a template, the query and its hint
    assert "missing" not in result.out
