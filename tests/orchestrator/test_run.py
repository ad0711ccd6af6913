"""`orchestrator run`, from settings to results, on a small drawn data set and real services."""

import csv
import json
import shutil
import subprocess
import sys

import pytest
import yaml


def test_a_run_leaves_all_that_is_promised(summary, ask, tmp_path):
    result = ask("--shots", 2)
    assert result.code == 0, result.err
    names = {p.name for p in (tmp_path / "run").iterdir()}
    expected = {
        "journal.sqlite",
        "config.yaml",
        "summary.json",
        "answers_2_shot_chance.json",
        "answers_2_shot_chance_accuracy.csv",
    }
    assert expected <= names
    whole = summary(tmp_path / "run")
    assert whole["version"] == 1
    assert whole["run"]["models"]["chance"]["shots"] == 2
    scores = whole["scores"]["models"]["chance"]
    assert scores["counts"]["answered"] == sum(scores["counts"].values()) > 0
    assert "most frequent letter" in whole["scores"]["references"]
    execution = whole["execution"]["models"]["chance"]
    assert execution["attempts"] == {"OK": 12}
    assert whole["execution"]["sessions"][0]["command"][1] == "run"
    assert "Average" in result.out


def test_the_answers_file_has_mmads_form_and_gives_mmads_table(ask, cli, tmp_path):
    ask("--options", "shuffled")
    folder = tmp_path / "run"
    entries = json.loads((folder / "answers_1_shot_chance.json").read_text())
    assert set(entries[0]) == {"image", "question", "question_type", "correct_answer", "gpt_answer"}
    assert isinstance(entries[0]["question"]["text"], str)
    result = cli(
        "score", folder / "answers_1_shot_chance.json", "--protocol", "mmad", "--csv", tmp_path / "t.csv"
    )
    assert result.code == 0, result.err
    rows = [
        list(csv.reader((p).open()))
        for p in (tmp_path / "t.csv", folder / "answers_1_shot_chance_accuracy.csv")
    ]
    assert rows[0] == rows[1]
    assert rows[0][0][1:3] == ["Anomaly Detection", "Defect Classification"]


def test_the_settings_left_behind_repeat_the_run(summary, ask, cli, tmp_path):
    ask("--shots", 3, "--options", "shuffled", "--seed", 5, "--limit", 8)
    result = cli("run", "--config", tmp_path / "run" / "config.yaml", "--out", tmp_path / "again")
    assert result.code == 0, result.err
    assert summary(tmp_path / "again")["scores"] == summary(tmp_path / "run")["scores"]


def test_a_finished_run_is_not_asked_again(summary, ask, tmp_path):
    ask()
    before = summary(tmp_path / "run")
    result = ask()
    assert result.code == 0
    assert "Everything has an answer already" in result.err
    assert summary(tmp_path / "run")["execution"]["models"] == before["execution"]["models"]


def test_a_finished_run_can_be_shared_by_its_journal_alone(summary, ask, cli, tmp_path):
    ask("--limit", 3)
    assert not list((tmp_path / "run").glob("*-wal"))
    (tmp_path / "shared").mkdir()
    shutil.copy(tmp_path / "run" / "journal.sqlite", tmp_path / "shared")
    result = cli("score", tmp_path / "shared", "--json")
    assert json.loads(result.out)["chance"] == summary(tmp_path / "run")["scores"]["models"]["chance"]


def test_data_may_move_between_sessions(summary, ask, own_data, tmp_path):
    ask("--limit", 3, data=own_data)
    own_data.rename(tmp_path / "moved")
    assert ask("--limit", 3, data=tmp_path / "moved").code == 0
    assert summary(tmp_path / "run")["execution"]["data"] == str(tmp_path / "moved")


def test_a_model_can_join_a_run(summary, ask, chance, tmp_path):
    ask()
    result = ask("--endpoint", f"second={chance}")
    assert result.code == 0
    scores = summary(tmp_path / "run")["scores"]
    assert set(scores["models"]) == {"chance", "second"}
    (pair,) = scores["comparisons"]
    assert (pair["first"], pair["second"]) == ("chance", "second")
    assert pair["rows"]["Average"]["Average"]["value"] == 0.0
    assert pair["mcnemar"]["Sample-Parts"]["p"] == 1.0


def test_local_services_are_started_and_ended(cli, drawn, tmp_path):
    result = cli("run", "--data", drawn, "--local", "chance", "--limit", 3, "--out", tmp_path / "run")
    assert result.code == 0, result.err
    assert "drain" in (tmp_path / "run" / "services" / "chance.log").read_text()


def test_more_shots_than_a_model_takes_are_left_out_and_said(cli, drawn, serve_forever, tmp_path, request):
    narrow = serve_forever(
        request.path.parents[1] / "faults" / "deliberate", "--max-images", "3", "--seconds", "0"
    )
    result = cli(
        "run", "--data", drawn, "--endpoint", f"narrow={narrow}", "--shots", 5, "--out", tmp_path / "run",
        "--limit", 3,
    )  # fmt: skip
    assert result.code == 0, result.err
    assert "gets 2 of 5 templates" in result.err
    assert (tmp_path / "run" / "answers_2_shot_narrow.json").exists()
    assert "2-shot" in result.out


@pytest.mark.parametrize(
    "arguments",
    [
        ["--text-only"],
        ["--shots", "0"],
        ["--templates", "similar", "--shots", "8"],
        ["--domain-knowledge", "--defect-examples", "2"],
        ["--history"],
        ["--cot", "question"],
        ["--cot", "inspection"],
        ["--answer-by", "scores"],
        ["--keep-prompts", "--temperature", "0.5", "--max-new-tokens", "5", "--max-reasoning-tokens", "7"],
        ["--type", "Anomaly Detection", "--only", "Sample-Parts"],
        ["--exclude", "Sample-Surfaces"],
    ],
    ids=" ".join,
)
def test_every_way_of_asking_works_from_end_to_end(summary, ask, tmp_path, arguments):
    result = ask("--limit", 6, *arguments)
    assert result.code == 0, result.err
    counts = summary(tmp_path / "run")["scores"]["models"]["chance"]["counts"]
    assert counts["answered"] == sum(counts.values()) > 0


def test_circular_counts_a_question_only_when_every_rotation_is_right(summary, ask, tmp_path):
    result = ask("--options", "circular", "--limit", 6)
    assert "right in every rotation (up to 4)" in result.out
    scores = summary(tmp_path / "run")["scores"]["models"]["chance"]
    assert scores["circular"]["rotations"] == 4
    assert scores["counted"] < sum(scores["counts"].values())
    entries = json.loads((tmp_path / "run" / "answers_1_shot_chance.json").read_text())
    assert len(entries) == scores["counted"]  # the unrotated ones


def test_repeats_report_their_spread(summary, ask, tmp_path):
    result = ask("--repeats", 3, "--limit", 6)
    assert "3 repeats: average" in result.out
    scores = summary(tmp_path / "run")["scores"]["models"]["chance"]
    assert scores["repeats"]["number"] == 3
    assert scores["repeats"]["datasets"]["Average"]["Average"]["standard_deviation"] > 0


def test_option_scores_give_ranking_and_calibration(summary, ask, tmp_path):
    result = ask("--option-scores")
    assert "AUROC" in result.out
    figures = summary(tmp_path / "run")["scores"]["models"]["chance"]["option_scores"]
    assert figures["auroc"]
    assert figures["calibration_error"]


def test_the_hubs_csv_can_be_asked_and_its_limits_are_said(cli, ask, own_data, tmp_path):
    entries = json.loads((own_data / "mmad.json").read_text())
    with (own_data / "metadata.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["query_image", "question", "options", "answer", "mask", "template_image"])
        for key, entry in entries.items():
            for q in entry["conversation"]:
                options = "\n".join(f"{letter}: {text}" for letter, text in q["Options"].items())
                writer.writerow([key, q["Question"], options, q["Answer"], "", entry["similar_templates"][0]])
    (own_data / "mmad.json").unlink()
    result = ask(data=own_data)
    assert result.code == 2
    assert "--templates similar" in result.err
    result = ask("--templates", "similar", data=own_data)
    assert result.code == 0, result.err
    assert "no question types" in result.err
    assert "All questions" in result.out
    table = list(csv.reader((tmp_path / "run" / "answers_1_shot_chance_accuracy.csv").open()))
    assert {cell for row in table[1:] for cell in row[1:]} == {""}  # nothing of it exists: not 0
    result = cli("score", tmp_path / "run", "--protocol", "mmad")
    assert "does not say its questions' types" in result.out
    assert "Average" not in result.out


def test_a_dry_run_says_what_would_be_asked_and_leaves_nothing(ask, tmp_path):
    result = ask("--dry-run", "--shots", 2, "--limit", 5)
    assert result.code == 0, result.err
    assert "5 inspections" in result.out
    assert "15 images" in result.out
    assert "MB" in result.out
    assert not (tmp_path / "run").exists()


def test_a_dry_run_can_be_read_by_programs(ask):
    result = ask("--dry-run", "--json", "--shots", 2, "--limit", 5)
    assert json.loads(result.out)["chance"]["images"] == 15


def test_templates_that_are_not_listed_are_told_from_those_without_room(ask):
    result = ask("--shots", 9, "--limit", 2)
    assert "gets 8 of 9 templates (no more are listed)" in result.err


def test_json_prints_the_summary_and_nothing_else_on_standard_output(summary, ask, tmp_path):
    result = ask("--json", "--limit", 3)
    assert json.loads(result.out) == summary(tmp_path / "run")


def test_the_most_frequent_letter_is_at_least_as_good_as_any_letter(summary, ask, tmp_path):
    ask()
    references = summary(tmp_path / "run")["scores"]["references"]["most frequent letter"]
    entries = json.loads((tmp_path / "run" / "answers_1_shot_chance.json").read_text())
    kinds = [e for e in entries if e["question_type"] == "Defect Classification"]
    best = max(sum(e["correct_answer"] == letter for e in kinds) for letter in "ABCD")
    cells = [row["Defect Classification"] for row in references["datasets"].values()]
    assert sum(c["value"] * c["asked"] for c in cells) == pytest.approx(100 * best, abs=1e-3)


@pytest.mark.parametrize("form", ["json", "csv", "parquet"])
def test_export_gives_every_answer_with_its_raw_text(summary, ask, cli, tmp_path, form):
    import pandas as pd

    ask("--limit", 4, "--option-scores")
    result = cli("export", tmp_path / "run", "--format", form)
    assert result.code == 0, result.err
    path = tmp_path / "run" / f"answers.{form}"
    readers = {"json": pd.read_json, "csv": pd.read_csv, "parquet": pd.read_parquet}
    frame = readers[form](path)
    counts = summary(tmp_path / "run")["scores"]["models"]["chance"]["counts"]
    assert len(frame) == sum(counts.values())
    assert (frame["text"] == frame["letter"]).all()
    assert frame["question_id"].is_unique
    assert set(frame["right"]) <= {True, False}


def test_help_needs_neither_numpy_nor_grpc():
    script = (
        "import sys; from orchestrator.__main__ import main\n"
        "sys.argv = ['orchestrator', *sys.argv[1:]]\n"
        "try: main()\nexcept SystemExit: pass\n"
        "print([m for m in ('numpy', 'grpc', 'scipy', 'PIL') if m in sys.modules])"
    )
    for arguments in ([], ["run"], ["data"], ["score"], ["export"]):
        done = subprocess.run(
            [sys.executable, "-c", script, *arguments, "--help"], capture_output=True, text=True, check=True
        )
        assert done.stdout.endswith("[]\n"), done.stdout[-200:]


def test_the_run_finds_its_unfinished_folder_by_itself(cli, drawn, chance, tmp_path, monkeypatch):
    """Without --out: a new folder by date, data and fingerprint; a finished one is left alone."""
    monkeypatch.chdir(tmp_path)
    for number in (1, 2):
        result = cli("run", "--data", drawn, "--endpoint", f"chance={chance}", "--limit", 2)
        assert result.code == 0, result.err
        assert len(list((tmp_path / "runs").iterdir())) == number
    first = min((tmp_path / "runs").iterdir())
    shutil.rmtree(first)


def test_an_instruction_from_a_file_is_part_of_the_identity_and_stands_in_the_settings(ask, tmp_path):
    (tmp_path / "i.txt").write_text("Look closely.")
    ask("--instruction-from", tmp_path / "i.txt", "--limit", 2)
    settings = yaml.safe_load((tmp_path / "run" / "config.yaml").read_text())
    assert settings["instruction"] == "Look closely."
    (tmp_path / "i.txt").write_text("Look again.")
    result = ask("--instruction-from", tmp_path / "i.txt", "--limit", 2)
    assert result.code == 2
    assert "protocol.instruction" in result.err


def test_a_finished_run_given_again_leaves_its_summary_as_it_is(cli, drawn, tmp_path):
    """Though its local service has another address then: who was asked is on record."""
    command = ("run", "--data", drawn, "--local", "chance", "--limit", 4, "--out", tmp_path / "run")
    assert cli(*command).code == 0
    before = (tmp_path / "run" / "summary.json").read_bytes()
    assert cli(*command).code == 0
    assert (tmp_path / "run" / "summary.json").read_bytes() == before
