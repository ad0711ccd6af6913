"""What is wrong is said in a clear line, never with a traceback, and nothing is lost."""

import contextlib
import json
import socket

import pytest

from orchestrator import Protocol, build_plan
from orchestrator.journal.writer import Journal
from orchestrator.plan import identity, inspections
from orchestrator.runfolder import locked


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


def test_a_missing_image_fails_its_own_questions_and_can_be_asked_again(summary, ask, own_data, tmp_path):
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


def test_a_corrupt_image_fails_its_own_questions_by_path(summary, ask, own_data, tmp_path):
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
    assert list(tmp_path.iterdir()) == []  # it has never begun


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


def test_what_a_model_cannot_do_is_refused_before_anything_is_asked(
    cli, drawn, serve_forever, tmp_path, request
):
    target = serve_forever(request.path.parents[1] / "faults" / "deliberate", "--no-scores")
    for options in (["--answer-by", "scores"], ["--text-only"], ["--cot", "question"]):
        result = cli("run", "--data", drawn, "--endpoint", f"m={target}", "--out", tmp_path / "run", *options)
        assert result.code == 2
        assert "m: " in result.err
    assert not (tmp_path / "run" / "summary.json").exists()


def test_nobody_to_ask_is_said_before_a_sample_is_drawn(cli, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert cli("run").code == 2
    assert not list(tmp_path.iterdir())


def test_a_run_of_which_no_model_was_asked_is_named(ask, cli, tmp_path, dataset):
    plan = build_plan(dataset, Protocol())
    with contextlib.closing(Journal(tmp_path)) as journal:
        journal.create(identity(plan), inspections(plan), "/")
    result = cli("score", tmp_path)
    assert result.code == 2
    assert "no model has been asked yet" in result.err


@pytest.mark.parametrize(
    ("where", "message"),
    [
        ("orchestrator.session.read", ""),
        ("orchestrator.endpoints.connect.connect", "before anything was asked"),
        ("orchestrator.dispatch.fanout.fan_out", "the same command goes on"),
    ],
)
def test_an_interruption_before_the_asking_is_no_traceback(ask, monkeypatch, where, message):
    def interrupted(*arguments, **named):
        raise KeyboardInterrupt

    monkeypatch.setattr(where, interrupted)
    result = ask()
    assert result.code == 130
    assert message in result.err
    assert "Traceback" not in result.err


def test_a_folder_whose_name_looks_like_markup_is_named_as_it_is(ask, tmp_path):
    result = ask("--limit", 2, out=tmp_path / "[red]run[/a]")
    assert result.code == 0, result.err
    assert "[red]run[/a]" in result.out
