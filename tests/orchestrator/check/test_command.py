"""`orchestrator check` as it is typed: real services, its list, its JSON and its exit codes."""

import contextlib
import json
import pathlib
import subprocess
import sys

import pytest

from orchestrator.check.checking import parse_target
from orchestrator.check.registry import all_promises
from orchestrator.errors import EndpointError
from orchestrator.vocabulary import Endpoint

ROOT = pathlib.Path(__file__).parents[3]


@contextlib.contextmanager
def running(service):
    process = subprocess.Popen(
        [
            *(sys.executable, "-m", "mmad_answer", "serve", ROOT / "services" / service),
            *("--port", "0", "--max-request-mib", "1"),
        ],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    with process:
        try:
            yield process.stdout.readline().split()[-1], process.pid
        finally:
            process.kill()


@pytest.mark.parametrize("service", ["chance", "template_diff"])
def test_the_baselines_keep_every_promise(cli, service):
    with running(service) as (target, pid):
        result = cli("check", target, "--quick", "--pid", pid, "--json")
    report = json.loads(result.out)
    assert result.code == 0, result.err
    assert report["model"] == service
    outcomes = {each["id"]: each for each in report["promises"]}
    assert list(outcomes) == [promise.id for promise in all_promises()]
    assert all(each["outcome"] in ("ok", "not_tried") for each in outcomes.values())
    # What may not have been tried: it was left out, does not apply, or the service was too quick to be seen.
    reasons = {each["detail"] for each in outcomes.values() if each["outcome"] == "not_tried"}
    assert all(
        reason.startswith(
            (
                *("the card ", "an address was given", "left out with --quick", "it was ready before"),
                "it ended after ",
            )
        )
        for reason in reasons
    ), reasons
    # A process that is not its child's: that it ended is seen, with what code is not.
    assert outcomes["stopping.exit"]["outcome"] == "not_tried"
    assert "its exit code cannot be seen from here" in outcomes["stopping.exit"]["detail"]


def test_the_list_fits_eighty_columns_and_has_a_line_for_each_promise(cli, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    with running("chance") as (target, _):
        result = cli("check", target, "--quick")
    assert result.code == 0
    lines = [line.rstrip() for line in result.out.splitlines()]
    assert max(map(len, lines)) <= 80
    marked = [line for line in lines if line.startswith(("  ok  ", "  not tried  ", "  FAILED  "))]
    assert len(marked) == len(all_promises())
    assert "it is not ours to stop" in " ".join(result.out.split())


def test_where_nobody_answers_there_is_one_line_and_no_list(cli, monkeypatch):
    monkeypatch.setattr("orchestrator.check.startup.REACH_SECONDS", 0.1)
    result = cli("check", "127.0.0.1:1")
    assert result.code == 2
    assert result.out == ""
    assert result.err.startswith("Error: 127.0.0.1:1: nothing listens there")


@pytest.mark.parametrize(
    "target", ["127.0.0.1:50051", "localhost:1", "unix:///run/x.sock", "dns:///answer:50051"]
)
def test_these_are_addresses(target):
    assert parse_target(target) == Endpoint("check", target, "the command line")


@pytest.mark.parametrize("name", ["mmad-answer/chance", "mmad-answer/chance:1", "chance", "chance:latest"])
def test_these_are_images(name):
    assert parse_target(name) == name


def test_an_image_that_looks_like_an_address_says_that_it_is_one():
    assert parse_target("image:chance:1") == "chance:1"


def test_an_address_of_a_wrong_form_is_not_taken_for_an_image():
    with pytest.raises(EndpointError, match="three slashes"):
        parse_target("dns://answer:50051")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("localhost:1", "--gpus"), "image:localhost:1"),
        (("localhost:1", "--", "--letter", "B"), "are for images"),
        (("localhost:1", "--pid", 2**22 + 1), "--pid 4194305: it cannot be stopped"),
        (("image:",), "which image?"),
        (("an/image", "--pid", 2), "--pid goes with an address"),
        (("an/image", "--env", "NO_SUCH_VARIABLE_HERE"), "NO_SUCH_VARIABLE_HERE=VALUE"),
        (("an/image", "--mount", "/tmp"), "HERE:THERE"),
        (("an/image", "--mount", "/no/such/folder:/models"), "there is no /no/such/folder"),
    ],
)
def test_wrong_use_is_told_in_one_line(cli, arguments, words):
    result = cli("check", *arguments)
    assert result.code == 2
    assert words in result.err
    assert len(result.err.splitlines()) == 1


def test_without_an_engine_it_says_that_an_image_needs_one(cli, monkeypatch):
    monkeypatch.setenv("DOCKER_HOST", "unix:///nowhere.sock")
    result = cli("check", "an/image")
    assert result.code == 2
    assert (
        "An image needs a Docker engine: no Docker engine is running here (there is no /nowhere.sock)"
        in result.err
    )


async def test_a_failed_promise_is_exit_code_1_and_in_the_json(check, honest_service):
    kind = type("Dumb", (honest_service,), {"text": lambda self, question: " "})
    report, shown = await check(kind)
    told = json.loads(report.json_text())
    assert told["failed"] is True
    (broken,) = [each for each in told["promises"] if each["outcome"] == "failed"]
    assert broken["id"] == "answers.plain"
    assert broken.keys() == {
        "id", "group", "title", "outcome", "detail", "expected", "advice", "seconds",
    }  # fmt: skip
    assert "FAILED" in shown
    assert "expected  a text" in shown
    assert "1 failed" in shown
    assert report.inspections == told["inspections"] > 0
