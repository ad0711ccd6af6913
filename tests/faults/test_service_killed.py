"""Services that die or hang: their answers stay, the other models go on, and the run says what happened."""

import contextlib
import json
import shutil
import signal
import time

from orchestrator.journal.reader import JournalReader
from orchestrator.vocabulary import Outcome


def counts(folder, model):
    with contextlib.closing(JournalReader(folder)) as journal:
        return journal.counts(model), journal.execution(model)["attempts"]


def wait_for_answers(folder, model, number, process):
    """Wait until the journal holds some answers of a model."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        assert process.poll() is None, process.communicate()[0]
        with contextlib.suppress(Exception):
            if counts(folder, model)[0][Outcome.ANSWERED] >= number:
                return
        time.sleep(0.05)
    raise AssertionError("no answers came")


def start(orchestrator, small_sample, out, endpoints, *more):
    given = [part for name, service in endpoints for part in ("--endpoint", f"{name}={service.target}")]
    return orchestrator("run", "--data", small_sample, "--out", out, "--patience", 6, *given, *more)


def test_a_killed_service_keeps_its_answers_and_does_not_stop_the_others(
    serve, orchestrator, small_sample, tmp_path
):
    mortal, other = serve("--seconds", "0.1"), serve("--seconds", "0.02")
    process = start(orchestrator, small_sample, tmp_path / "run", [("mortal", mortal), ("other", other)])
    wait_for_answers(tmp_path / "run", "mortal", 5, process)
    mortal.send(signal.SIGKILL)
    output, _ = process.communicate(timeout=90)
    assert process.returncode == 4, output
    assert "mortal: given up" in output
    of_mortal, _ = counts(tmp_path / "run", "mortal")
    assert of_mortal[Outcome.ANSWERED] >= 5
    assert of_mortal[Outcome.MISSING] > 0
    assert of_mortal[Outcome.FAILED] == 0  # what was not asked is missing, and asked by the next session
    of_other, _ = counts(tmp_path / "run", "other")
    assert of_other[Outcome.MISSING] == of_other[Outcome.FAILED] == 0
    summary = json.loads((tmp_path / "run" / "summary.json").read_text())
    assert set(summary["scores"]["models"]) == {"mortal", "other"}


def test_a_killed_service_that_comes_back_at_its_address_is_asked_the_rest(
    serve, orchestrator, small_sample, tmp_path
):
    mortal = serve("--seconds", "0.05")
    process = start(
        orchestrator, small_sample, tmp_path / "run", [("mortal", mortal)], "--patience", 60, "--limit", 24
    )
    wait_for_answers(tmp_path / "run", "mortal", 5, process)
    mortal.send(signal.SIGKILL)
    mortal.process.wait()
    serve("--seconds", "0.0", port=mortal.target.rsplit(":", 1)[1])
    output, _ = process.communicate(timeout=120)
    assert process.returncode == 0, output
    _, attempts = counts(tmp_path / "run", "mortal")
    assert attempts.get("UNAVAILABLE")  # it was noticed, and is in the journal


def test_a_hung_service_is_noticed_and_its_replica_takes_over(serve, orchestrator, small_sample, tmp_path):
    hung, replica = serve("--seconds", "0.05"), serve("--seconds", "0.05")
    process = start(orchestrator, small_sample, tmp_path / "run", [("model", hung), ("model", replica)])
    wait_for_answers(tmp_path / "run", "model", 5, process)
    hung.send(signal.SIGSTOP)
    try:
        output, _ = process.communicate(timeout=90)
    finally:
        hung.send(signal.SIGCONT)
    assert process.returncode == 0, output
    of_model, attempts = counts(tmp_path / "run", "model")
    assert of_model[Outcome.MISSING] == of_model[Outcome.FAILED] == 0
    assert set(attempts) > {"OK"}


def test_a_hung_service_without_replica_is_given_up_and_the_others_finish(
    serve, orchestrator, small_sample, tmp_path
):
    hung, other = serve("--seconds", "0.1"), serve("--seconds", "0.02")
    process = start(orchestrator, small_sample, tmp_path / "run", [("hung", hung), ("other", other)])
    wait_for_answers(tmp_path / "run", "hung", 5, process)
    hung.send(signal.SIGSTOP)
    try:
        output, _ = process.communicate(timeout=90)
    finally:
        hung.send(signal.SIGCONT)
    assert process.returncode == 4, output
    assert "hung: given up" in output
    of_other, _ = counts(tmp_path / "run", "other")
    assert of_other[Outcome.MISSING] == of_other[Outcome.FAILED] == 0


def test_asking_failures_again_loses_none_when_the_service_dies_meanwhile(
    serve, orchestrator, small_sample, tmp_path
):
    """A retry that is cut short leaves the rest as failed as it was, with its reason."""
    data = shutil.copytree(small_sample, tmp_path / "data")
    keys = list(json.loads((data / "mmad.json").read_text()))[:20]
    for key in keys:
        (data / key).rename(data / f"{key}.aside")
    service = serve("--seconds", "0.1")
    process = start(orchestrator, data, tmp_path / "run", [("m", service)], "--limit", 24)
    output, _ = process.communicate(timeout=90)
    assert process.returncode == 3, output
    failed = counts(tmp_path / "run", "m")[0][Outcome.FAILED]
    answered = counts(tmp_path / "run", "m")[0][Outcome.ANSWERED]
    assert failed > 10
    for key in keys:
        (data / f"{key}.aside").rename(data / key)
    process = start(orchestrator, data, tmp_path / "run", [("m", service)], "--limit", 24, "--retry-failed")
    wait_for_answers(tmp_path / "run", "m", answered + 5, process)
    service.send(signal.SIGKILL)
    output, _ = process.communicate(timeout=90)
    assert process.returncode == 3, output
    after = counts(tmp_path / "run", "m")[0]
    assert after[Outcome.MISSING] == 0
    assert after[Outcome.FAILED] + after[Outcome.ANSWERED] == failed + answered
    assert after[Outcome.ANSWERED] > answered
