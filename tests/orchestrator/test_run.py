"""`orchestrator run`, from settings to results, on a small drawn data set and real services."""

import asyncio
import contextlib
import csv
import json
import shutil
import socket
import subprocess
import sys

import pytest
import yaml

from orchestrator import Protocol, RunOptions, build_plan, open_run, prepare, read_dataset, run
from orchestrator.errors import UserError
from orchestrator.journal.writer import Journal
from orchestrator.plan import identity, inspections
from orchestrator.runfolder import locked


@pytest.fixture
def ask(cli, drawn, chance, tmp_path):
    """Run with the chance service on the small data set, into `tmp_path/run`."""

    def call(*arguments, data=drawn, out=tmp_path / "run"):
        return cli("run", "--data", data, "--endpoint", f"chance={chance}", "--out", out, *arguments)

    return call


def summary(folder):
    return json.loads((folder / "summary.json").read_text())


def test_a_run_leaves_all_that_is_promised(ask, tmp_path):
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


def test_the_settings_left_behind_repeat_the_run(ask, cli, tmp_path):
    ask("--shots", 3, "--options", "shuffled", "--seed", 5, "--limit", 8)
    result = cli("run", "--config", tmp_path / "run" / "config.yaml", "--out", tmp_path / "again")
    assert result.code == 0, result.err
    assert summary(tmp_path / "again")["scores"] == summary(tmp_path / "run")["scores"]


def test_a_finished_run_is_not_asked_again(ask, tmp_path):
    ask()
    before = summary(tmp_path / "run")
    result = ask()
    assert result.code == 0
    assert "Everything has an answer already" in result.err
    assert summary(tmp_path / "run")["execution"]["models"] == before["execution"]["models"]


def test_other_settings_data_or_models_under_the_same_folder_are_refused_by_name(
    ask, cli, own_data, serve_forever, tmp_path
):
    ask()
    result = ask("--shots", 2, "--history")
    assert result.code == 2
    assert "protocol.shots: 1 there, 2 now" in result.err
    assert "protocol.history" in result.err
    (own_data / "domain_knowledge.json").write_text("{}")
    result = ask(data=own_data)
    assert result.code == 2
    assert "data.digest" in result.err


def test_another_revision_of_a_model_is_refused_by_name(cli, drawn, serve_forever, tmp_path, request):
    deliberate = request.path.parents[1] / "faults" / "deliberate"
    for revision, code in (("1", 0), ("2", 2)):
        target = serve_forever(deliberate, "--revision", revision, "--seconds", "0")
        result = cli(
            "run", "--data", drawn, "--endpoint", f"m={target}", "--out", tmp_path / "run", "--limit", 2
        )
        assert result.code == code, result.err
    assert "revision: '1' there, '2' now" in result.err


def test_a_finished_run_can_be_shared_by_its_journal_alone(ask, cli, tmp_path):
    ask("--limit", 3)
    assert not list((tmp_path / "run").glob("*-wal"))
    (tmp_path / "shared").mkdir()
    shutil.copy(tmp_path / "run" / "journal.sqlite", tmp_path / "shared")
    result = cli("score", tmp_path / "shared", "--json")
    assert json.loads(result.out)["chance"] == summary(tmp_path / "run")["scores"]["models"]["chance"]


def test_data_may_move_between_sessions(ask, own_data, tmp_path):
    ask("--limit", 3, data=own_data)
    own_data.rename(tmp_path / "moved")
    assert ask("--limit", 3, data=tmp_path / "moved").code == 0
    assert summary(tmp_path / "run")["execution"]["data"] == str(tmp_path / "moved")


def test_a_folder_whose_name_looks_like_markup_is_named_as_it_is(ask, tmp_path):
    result = ask("--limit", 2, out=tmp_path / "[red]run[/a]")
    assert result.code == 0, result.err
    assert "[red]run[/a]" in result.out


def test_a_run_of_which_no_model_was_asked_is_named(ask, cli, tmp_path, dataset):
    plan = build_plan(dataset, Protocol())
    with contextlib.closing(Journal(tmp_path)) as journal:
        journal.create(identity(plan), inspections(plan), "/")
    result = cli("score", tmp_path)
    assert result.code == 2
    assert "no model has been asked yet" in result.err


def test_a_model_can_join_a_run(ask, chance, tmp_path):
    ask()
    result = ask("--endpoint", f"second={chance}")
    assert result.code == 0
    scores = summary(tmp_path / "run")["scores"]
    assert set(scores["models"]) == {"chance", "second"}
    (pair,) = scores["comparisons"]
    assert (pair["first"], pair["second"]) == ("chance", "second")
    assert pair["rows"]["Average"]["Average"]["value"] == 0.0
    assert pair["mcnemar"]["Sample-Parts"]["p"] == 1.0


def test_a_missing_image_fails_its_own_questions_by_path_and_can_be_asked_again(ask, own_data, tmp_path):
    key = next(iter(json.loads((own_data / "mmad.json").read_text())))
    (own_data / key).rename(own_data / "aside")
    result = ask(data=own_data)
    assert result.code == 3
    assert key in result.out
    counts = summary(tmp_path / "run")["scores"]["models"]["chance"]["counts"]
    assert 0 < counts["failed"] < counts["answered"]

    (own_data / "aside").rename(own_data / key)
    assert ask(data=own_data).code == 3  # failures stay, until they are asked for
    result = ask("--retry-failed", data=own_data)
    assert result.code == 0, result.out
    assert summary(tmp_path / "run")["scores"]["models"]["chance"]["counts"]["failed"] == 0


def test_a_corrupt_image_fails_its_own_questions_by_path(ask, own_data, tmp_path):
    key = next(iter(json.loads((own_data / "mmad.json").read_text())))
    content = (own_data / key).read_bytes()
    (own_data / key).write_bytes(content[: len(content) // 2])
    result = ask(data=own_data)
    assert result.code == 3
    assert key in result.out
    assert "truncated" in result.out
    assert summary(tmp_path / "run")["scores"]["models"]["chance"]["counts"]["answered"] > 0


def test_a_second_orchestrator_on_the_folder_is_refused(ask, tmp_path):
    with locked(tmp_path / "run"):
        result = ask()
    assert result.code == 2
    assert "another orchestrator" in result.err


def test_nobody_to_ask_is_said_with_the_way_out(cli, drawn):
    result = cli("run", "--data", drawn)
    assert result.code == 2
    assert "--local chance" in result.err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--only", "Sample-Part"], "Did you mean 'Sample-Parts'"),
        (["--type", "Defect Clasification"], "Did you mean 'Defect Classification'"),
        (["--model", "chanse"], "Did you mean 'chance'"),
        (["--local", "chans"], "chance"),
        (["--endpoint", "nonsense"], "NAME=TARGET"),
        (["--endpoints", "nowhere.yaml"], "nowhere.yaml"),
        (["--config", "nowhere.yaml"], "nowhere.yaml"),
        (["--instruction-from", "nowhere.txt"], "nowhere.txt"),
        (["--history", "--options", "circular"], "exclude each other"),
        (["--shots", "many"], "--shots"),
    ],
)
def test_wrong_use_is_one_clear_message(ask, arguments, message):
    result = ask(*arguments)
    assert result.code == 2
    assert message in result.err
    assert "Traceback" not in result.err


def test_a_missing_data_folder_and_broken_json_are_named(ask, own_data, tmp_path):
    result = ask(data=tmp_path / "none")
    assert result.code == 2
    assert "does not exist" in result.err
    (own_data / "mmad.json").write_text('{\n "a": [1,\n}')
    result = ask(data=own_data)
    assert result.code == 2
    assert "mmad.json, line 3" in result.err


def test_endpoints_that_are_down_or_hang_are_named_and_nothing_is_asked(cli, drawn, tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as silent, socket.create_server(("127.0.0.1", 0)) as closed:
        hanging, down = (f"127.0.0.1:{s.getsockname()[1]}" for s in (silent, closed))
        closed.close()
        result = cli(
            "run", "--data", drawn, "--out", tmp_path / "run", "--wait", 1,
            "--endpoint", f"down={down}", "--endpoint", f"hanging={hanging}",
        )  # fmt: skip
    assert result.code == 2
    assert down in result.err
    assert hanging in result.err
    assert "Traceback" not in result.err


def test_a_name_shared_by_two_models_is_refused(cli, drawn, chance, serve_forever, request, tmp_path):
    other = serve_forever(request.path.parents[1] / "faults" / "deliberate")
    result = cli(
        "run",
        "--data",
        drawn,
        "--out",
        tmp_path / "run",
        "--endpoint",
        f"m={chance}",
        "--endpoint",
        f"m={other}",
    )
    assert result.code == 2
    assert chance in result.err
    assert other in result.err


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


def test_what_a_model_cannot_do_is_refused_before_anything_is_asked(
    cli, drawn, serve_forever, tmp_path, request
):
    target = serve_forever(request.path.parents[1] / "faults" / "deliberate", "--no-scores")
    for options in (["--answer-by", "scores"], ["--text-only"], ["--cot", "question"]):
        result = cli("run", "--data", drawn, "--endpoint", f"m={target}", "--out", tmp_path / "run", *options)
        assert result.code == 2
        assert "m: " in result.err
    assert not (tmp_path / "run" / "summary.json").exists()


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
def test_every_way_of_asking_works_from_end_to_end(ask, tmp_path, arguments):
    result = ask("--limit", 6, *arguments)
    assert result.code == 0, result.err
    counts = summary(tmp_path / "run")["scores"]["models"]["chance"]["counts"]
    assert counts["answered"] == sum(counts.values()) > 0


def test_circular_counts_a_question_only_when_every_rotation_is_right(ask, tmp_path):
    result = ask("--options", "circular", "--limit", 6)
    assert "right in all of its 4 rotations" in result.out
    scores = summary(tmp_path / "run")["scores"]["models"]["chance"]
    assert scores["circular"]["rotations"] == 4
    assert scores["counted"] < sum(scores["counts"].values())
    entries = json.loads((tmp_path / "run" / "answers_1_shot_chance.json").read_text())
    assert len(entries) == scores["counted"]  # the unrotated ones


def test_repeats_report_their_spread(ask, tmp_path):
    result = ask("--repeats", 3, "--limit", 6)
    assert "3 repeats: average" in result.out
    scores = summary(tmp_path / "run")["scores"]["models"]["chance"]
    assert scores["repeats"]["number"] == 3
    assert scores["repeats"]["datasets"]["Average"]["Average"]["standard_deviation"] > 0


def test_option_scores_give_ranking_and_calibration(ask, tmp_path):
    result = ask("--option-scores")
    assert "AUROC" in result.out
    figures = summary(tmp_path / "run")["scores"]["models"]["chance"]["option_scores"]
    assert figures["auroc"]
    assert figures["calibration_error"]


def test_the_hubs_csv_can_be_asked_and_its_limits_are_said(ask, own_data, tmp_path):
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


def test_nobody_to_ask_is_said_before_a_sample_is_drawn(cli, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert cli("run").code == 2
    assert not list(tmp_path.iterdir())


def test_templates_that_are_not_listed_are_told_from_those_without_room(ask):
    result = ask("--shots", 9, "--limit", 2)
    assert "gets 8 of 9 templates (no more are listed)" in result.err


@pytest.mark.parametrize(
    ("where", "message"),
    [
        ("orchestrator.session.read", ""),
        ("orchestrator.endpoints.connect.connect", "the same command goes on"),
    ],
)
def test_an_interruption_before_the_asking_is_no_traceback(ask, monkeypatch, where, message):
    def interrupted(*arguments):
        raise KeyboardInterrupt

    monkeypatch.setattr(where, interrupted)
    result = ask()
    assert result.code == 130
    assert message in result.err
    assert "Traceback" not in result.err


def test_json_prints_the_summary_and_nothing_else_on_standard_output(ask, tmp_path):
    result = ask("--json", "--limit", 3)
    assert json.loads(result.out) == summary(tmp_path / "run")


def test_the_most_frequent_letter_is_at_least_as_good_as_any_letter(ask, tmp_path):
    ask()
    references = summary(tmp_path / "run")["scores"]["references"]["most frequent letter"]
    entries = json.loads((tmp_path / "run" / "answers_1_shot_chance.json").read_text())
    kinds = [e for e in entries if e["question_type"] == "Defect Classification"]
    best = max(sum(e["correct_answer"] == letter for e in kinds) for letter in "ABCD")
    cells = [row["Defect Classification"] for row in references["datasets"].values()]
    assert sum(c["value"] * c["asked"] for c in cells) == pytest.approx(100 * best, abs=1e-3)


@pytest.mark.parametrize("form", ["json", "csv", "parquet"])
def test_export_gives_every_answer_with_its_raw_text(ask, cli, tmp_path, form):
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


# ------------------------------------------------------------------------------------------ from Python


def test_the_whole_way_from_python(drawn, chance, tmp_path):
    options = RunOptions(data=str(drawn), endpoint=(f"chance={chance}",), limit=4, out=tmp_path / "run")
    plan = prepare(options)
    assert plan.inspection_count == 4
    with run(options, plan) as done:
        answers = done.answers_frame()
        assert len(answers) == plan.question_count
        scores = done.scores_frame()
        assert {"model", "dataset", "figure", "value", "low", "high", "asked"} <= set(scores.columns)
    with open_run(tmp_path / "run") as done:
        assert done.summary["scores"]["models"]["chance"]["counts"]["answered"] == plan.question_count
        assert [m.name for m in done.models] == ["chance"]


def test_a_plan_can_be_made_by_hand(drawn):
    plan = build_plan(read_dataset(drawn), Protocol(limit=3, shots=0))
    assert plan.inspection_count == 3


async def test_a_notebooks_running_loop_does_not_matter(drawn, chance, tmp_path):
    assert asyncio.get_running_loop()
    options = RunOptions(data=str(drawn), endpoint=(f"chance={chance}",), limit=2, out=tmp_path / "run")
    with run(options) as done:
        assert not done.unanswered()


def test_frames_without_pandas_say_what_to_install(drawn, chance, tmp_path, monkeypatch):
    options = RunOptions(data=str(drawn), endpoint=(f"chance={chance}",), limit=2, out=tmp_path / "run")
    monkeypatch.setitem(sys.modules, "pandas", None)
    with run(options) as done, pytest.raises(UserError, match="pip install"):
        done.answers_frame()


def test_settings_that_python_gives_wrongly_are_refused(tmp_path):
    with pytest.raises(ValueError, match="exclude each other"):
        RunOptions(history=True, options="circular")


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
