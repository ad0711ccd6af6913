"""`orchestrator score`: a run's folder or an answers file, by either protocol."""

import csv
import json

import pytest

LOCATIONS = "DS-MVTec/bottle/image"


@pytest.fixture
def answers_file(tmp_path):
    """Four detections, one of them without a letter, and a classification, as MMAD's scripts write them."""

    def entry(image, kind, correct, given):
        question = {"text": "?", "options": {"A": "Yes", "B": "No"}}
        return {
            "image": f"{LOCATIONS}/{image}", "question": question, "question_type": kind,
            "correct_answer": correct, "gpt_answer": given,
        }  # fmt: skip

    entries = [
        entry("good/0.png", "Anomaly Detection", "B", "B"),
        entry("good/1.png", "Anomaly Detection", "B", "A"),
        entry("broken/0.png", "Anomaly Detection", "A", "A"),
        entry("broken/1.png", "Anomaly Detection", "A", "cannot say"),
        entry("broken/1.png", "Object Structure", "A", "A"),
    ]
    path = tmp_path / "answers_1_shot_old.json"
    path.write_text(json.dumps(entries))
    return path


def test_an_answers_file_is_scored_by_both_protocols(cli, answers_file):
    figures = {}
    for protocol in ("strict", "mmad"):
        result = cli("score", answers_file, "--protocol", protocol, "--json")
        assert result.code == 0, result.err
        scores = json.loads(result.out)["answers_1_shot_old"]
        figures[protocol] = scores["datasets"]["DS-MVTec"]
    assert figures["strict"]["Anomaly Detection"]["value"] == 50.0  # 1 of 2 and 1 of 2
    assert figures["mmad"]["Anomaly Detection"]["value"] == 75.0  # 1 of 2 and 1 of 1
    assert figures["mmad"]["Average"]["value"] == pytest.approx(
        (75 + 100) / 7
    )  # MMAD's way: empty cells are 0
    assert figures["strict"]["Average"]["value"] == 75.0


def test_mmads_way_says_how_many_entries_counted(cli, answers_file):
    result = cli("score", answers_file, "--protocol", "mmad")
    lines = [line.split() for line in result.out.splitlines()]
    assert ["Questions", "5"] in lines
    assert ["counted", "4"] in lines


@pytest.mark.parametrize("protocol", ["strict", "mmad"])
def test_the_most_frequent_letter_stands_beside_every_score(cli, answers_file, protocol):
    """Of the right letters of detection, two are A and two are B; of the other question it is A."""
    result = cli("score", answers_file, "--protocol", protocol)
    assert "most frequent" in result.out
    line = next(line for line in result.out.splitlines() if line.startswith("Anomaly Detection"))
    assert line.count("[") == 2
    assert "50.0" in line.split("]")[1]  # always the same letter: right on one class alone


def test_a_byte_order_mark_does_not_matter(cli, answers_file):
    plain = cli("score", answers_file, "--json").out
    answers_file.write_bytes(b"\xef\xbb\xbf" + answers_file.read_bytes())
    assert cli("score", answers_file, "--json").out == plain


def test_the_table_goes_to_a_csv(cli, answers_file, tmp_path):
    result = cli("score", answers_file, "--protocol", "mmad", "--csv", tmp_path / "out.csv")
    assert result.code == 0
    rows = list(csv.DictReader((tmp_path / "out.csv").open()))
    assert [row[""] for row in rows] == ["DS-MVTec", "Average"]
    assert float(rows[0]["Anomaly Detection"]) == 75.0
    assert float(rows[0]["Overkill"]) == 50.0


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "does not exist"),
        ("[{", "broken JSON"),
        ("{}", "not a JSON list"),
        ("[]", "holds no answer"),
        ('[{"image": "a/b/c.png"}]', "entry 1"),
    ],
)
def test_what_cannot_be_scored_is_said_in_one_line(cli, tmp_path, content, message):
    path = tmp_path / "answers.json"
    if content is not None:
        path.write_text(content)
    result = cli("score", path)
    assert result.code == 2
    assert message in result.err
    assert "Traceback" not in result.err


def test_a_folder_without_a_run_is_named(cli, tmp_path):
    result = cli("score", tmp_path)
    assert result.code == 2
    assert "holds no run" in result.err
    result = cli("export", tmp_path)
    assert result.code == 2


def test_several_models_get_a_csv_each(cli, drawn, chance, tmp_path):
    endpoints = ["--endpoint", f"a={chance}", "--endpoint", f"b={chance}"]
    cli("run", "--data", drawn, *endpoints, "--limit", 3, "--out", tmp_path / "run")
    result = cli("score", tmp_path / "run", "--csv", tmp_path / "t.csv")
    assert result.code == 0, result.err
    assert (tmp_path / "t-a.csv").exists()
    assert (tmp_path / "t-b.csv").exists()
