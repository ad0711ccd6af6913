"""Ctrl-C and a full disk: the run stops in good order, says how to go on, and goes on."""

import contextlib
import json
import signal
import socket
import subprocess
import sys
import time

import pytest

from orchestrator.errors import RunError
from orchestrator.journal.reader import JournalReader
from orchestrator.vocabulary import Outcome


def counts(folder):
    with contextlib.suppress(RunError), contextlib.closing(JournalReader(folder)) as journal:
        return journal.counts("m")
    return dict.fromkeys(Outcome, 0)


def wait_for_answers(folder, number, process):
    deadline = time.monotonic() + 60
    while counts(folder)[Outcome.ANSWERED] < number:
        assert process.poll() is None, process.communicate()[0]
        assert time.monotonic() < deadline, "no answers came"
        time.sleep(0.02)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=["SIGINT", "SIGTERM"])
def test_the_first_interruption_drains_and_says_how_to_go_on(
    serve, orchestrator, small_sample, tmp_path, number
):
    service = serve("--seconds", "0.1")
    out = tmp_path / "run"
    arguments = ("run", "--data", small_sample, "--endpoint", f"m={service.target}", "--out", out)
    process = orchestrator(*arguments, "--limit", 30, "--concurrency", 2)
    wait_for_answers(out, 4, process)
    process.send_signal(number)
    output, _ = process.communicate(timeout=30)
    assert process.returncode == 130, output
    assert "the same command goes on" in output
    assert "Traceback" not in output
    interrupted = counts(out)
    assert interrupted[Outcome.FAILED] == 0
    assert interrupted[Outcome.ANSWERED] > 0
    assert interrupted[Outcome.MISSING] > 0
    with contextlib.closing(JournalReader(out)) as journal:
        assert set(journal.execution("m")["attempts"]) == {"OK"}  # what was under way came to its end
        assert journal.sessions()[0]["ending"] == "interrupted"

    process = orchestrator(*arguments, "--limit", 30)
    output, _ = process.communicate(timeout=60)
    assert process.returncode == 0, output


@pytest.fixture
def stopping(serve, orchestrator, small_sample, tmp_path):
    """A run, into `tmp_path/run`, that has been told to stop while it waits for answers."""

    def start(answer_seconds, number):
        asked = tmp_path / "asked"
        service = serve("--seconds", str(answer_seconds), "--asked", str(asked))
        given = ("--data", small_sample, "--endpoint", f"m={service.target}", "--out", tmp_path / "run")
        process = orchestrator("run", *given)
        deadline = time.monotonic() + 60
        while not asked.exists():
            assert process.poll() is None, process.communicate()[0]
            assert time.monotonic() < deadline, "nothing was asked"
            time.sleep(0.01)
        process.send_signal(number)
        said = ""
        while "Stopping: waiting" not in said:
            line = process.stdout.readline()
            assert line, said
            said += line
        return process

    return start


def test_the_second_interruption_ends_at_once_and_keeps_what_was_kept(stopping, tmp_path):
    process = stopping(30, signal.SIGINT)
    process.send_signal(signal.SIGINT)
    output, _ = process.communicate(timeout=15)  # long before the answers under way
    assert process.returncode == 130, output
    assert "the same command goes on" in output
    assert "Traceback" not in output


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=["SIGINT", "SIGTERM"])
def test_an_interruption_while_the_sample_is_drawn_leaves_nothing(orchestrator, tmp_path, number):
    process = orchestrator("run", "--data", "sample", "--local", "chance")
    deadline = time.monotonic() + 60
    while not list((tmp_path / "data").glob(".sample.drawing/*/*/train/good/*")):
        assert process.poll() is None, process.communicate()[0]
        assert time.monotonic() < deadline, "nothing was drawn"
        time.sleep(0.01)
    process.send_signal(number)
    output, _ = process.communicate(timeout=30)
    assert process.returncode == 130, output
    assert "Traceback" not in output
    assert list((tmp_path / "data").iterdir()) == []


def test_a_repeated_sigterm_still_lets_the_answers_under_way_come_in(stopping, tmp_path):
    """`timeout` sends it to the process and then to its whole group."""
    process = stopping(2, signal.SIGTERM)
    process.send_signal(signal.SIGTERM)
    output, _ = process.communicate(timeout=60)
    assert process.returncode == 130, output
    assert counts(tmp_path / "run")[Outcome.ANSWERED] > 0
    with contextlib.closing(JournalReader(tmp_path / "run")) as journal:
        assert set(journal.execution("m")["attempts"]) == {"OK"}


@pytest.mark.parametrize("ignored", [signal.SIG_DFL, signal.SIG_IGN], ids=["", "in a script's background"])
def test_sigterm_before_the_asking_ends_a_run_in_good_order(tmp_path, small_sample, ignored):
    """There SIGINT is ignored: SIGTERM is not."""
    with socket.create_server(("127.0.0.1", 0)) as deaf:
        deaf.settimeout(60)
        target = f"127.0.0.1:{deaf.getsockname()[1]}"
        # Inherited, as a function between fork and exec can hang in a process that has gRPC's threads.
        before = signal.signal(signal.SIGINT, ignored)
        try:
            process = subprocess.Popen(
                [sys.executable, "-m", "orchestrator", "run", "--data", small_sample, "--out",
                 tmp_path / "run", "--endpoint", f"m={target}", "--wait", "600"],
                stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
            )  # fmt: skip
        finally:
            signal.signal(signal.SIGINT, before)
        with process:
            deaf.accept()[0].close()  # somebody wants to be connected
            process.send_signal(signal.SIGTERM)
            output, _ = process.communicate(timeout=30)
    assert process.returncode == 130, output
    assert "Traceback" not in output


@pytest.fixture
def disk(tmp_path):
    """A real file system of its own, small at first: (folder, how to make it larger)."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=700k", "tmpfs", folder], check=False)
    if mounted.returncode:
        pytest.skip("needs the right to mount a small file system")
    yield folder, lambda: subprocess.run(["mount", "-o", "remount,size=64m", folder], check=True)
    subprocess.run(["umount", folder], check=True)


def test_a_full_disk_stops_the_asking_is_said_and_the_same_command_goes_on(
    serve, orchestrator, small_sample, disk
):
    folder, enlarge = disk
    service = serve("--seconds", "0")
    arguments = (
        "run", "--data", small_sample, "--endpoint", f"m={service.target}", "--out", folder / "run",
        "--option-scores",
    )  # fmt: skip
    process = orchestrator(*arguments)
    output, _ = process.communicate(timeout=60)
    assert process.returncode == 1, output
    assert "Make room" in output
    assert "Traceback" not in output
    before = counts(folder / "run")
    assert before[Outcome.ANSWERED] > 0, "the disk was full too early: make it larger"
    assert before[Outcome.FAILED] == 0
    enlarge()
    process = orchestrator(*arguments)
    output, _ = process.communicate(timeout=60)
    assert process.returncode == 0, output
    after = json.loads((folder / "run" / "summary.json").read_text())["scores"]["models"]["m"]["counts"]
    assert after["answered"] == sum(after.values()) > before[Outcome.ANSWERED]


def test_an_export_to_a_full_disk_is_one_clear_line(serve, orchestrator, small_sample, disk, tmp_path):
    folder, _ = disk
    service = serve("--seconds", "0")
    process = orchestrator(
        "run", "--data", small_sample, "--endpoint", f"m={service.target}", "--out", tmp_path / "run"
    )
    assert process.wait(60) == 0
    (folder / "ballast").write_bytes(bytes(600_000))
    for form in ("csv", "json", "parquet"):
        process = orchestrator("export", tmp_path / "run", "--format", form, "--out", folder / f"a.{form}")
        output, _ = process.communicate(timeout=60)
        if form != "parquet":  # which may be small enough
            assert process.returncode == 1, output
            assert "Make room" in output
        assert "Traceback" not in output
