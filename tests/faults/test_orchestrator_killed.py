"""An orchestrator that is killed at any moment loses nothing and asks nothing twice that had an answer."""

import contextlib
import json
import random
import sqlite3
import time

import pytest

from orchestrator.errors import RunError
from orchestrator.journal.reader import JournalReader

KILLS = 20
KILLS_AT_THE_START = 5


def answered(folder):
    """The questions whose answers are in the journal; none while there is no journal."""
    with contextlib.suppress(RunError), contextlib.closing(JournalReader(folder)) as journal:
        return {row["question_id"] for row in journal.answers("deliberate")}
    return set()


def answered_by_attempts(folder):
    """Whether each answer's inspection has an attempt in the journal."""
    with contextlib.closing(sqlite3.connect(folder / "journal.sqlite")) as connection:
        return {
            bool(found)
            for (found,) in connection.execute(
                "SELECT inspection_id IN (SELECT inspection_id FROM attempts) FROM answers "
                "JOIN questions ON questions.id = answers.question"
            )
        }


def wait_for_kill(random_moments, number, folder, known, process):
    """Sleep until a random moment: of the start, or after a random number of new answers."""
    if number < KILLS_AT_THE_START:
        time.sleep(random_moments.uniform(0.0, 1.5))
        return
    wanted = len(known) + random_moments.randint(1, 12)
    deadline = time.monotonic() + 60
    while len(answered(folder)) < wanted:
        assert process.poll() is None, process.communicate()[0]
        assert time.monotonic() < deadline, "no answers came"
        time.sleep(0.005)
    time.sleep(random_moments.uniform(0.0, 0.05))


def scores(folder):
    return json.dumps(json.loads((folder / "summary.json").read_text())["scores"])


@pytest.mark.parametrize("history", [[], ["--history"]], ids=["plain", "history"])
def test_twenty_kills_change_nothing(serve, orchestrator, small_sample, tmp_path, history):
    service = serve("--seconds", "0.05", "--asked", str(tmp_path / "asked"))
    undisturbed, disturbed = tmp_path / "undisturbed", tmp_path / "disturbed"

    def start(out):
        return orchestrator(
            "run", "--data", small_sample, "--endpoint", f"deliberate={service.target}", "--out", out,
            "--concurrency", 2, *history,
        )  # fmt: skip

    process = start(undisturbed)
    output, _ = process.communicate(timeout=120)
    assert process.returncode == 0, output

    moments = random.Random(1)
    asked_log = tmp_path / "asked"
    for number in range(KILLS):
        before = answered(disturbed)
        asked_log.write_text("")
        process = start(disturbed)
        wait_for_kill(moments, number, disturbed, before, process)
        process.kill()
        output = process.communicate()[0]
        assert process.returncode == -9, output
        assert not set(asked_log.read_text().split("\n")) & before, "asked again what had an answer"

    assert answered_by_attempts(disturbed) == {True}
    before = answered(disturbed)
    process = start(disturbed)
    output, _ = process.communicate(timeout=120)
    assert process.returncode == 0, output
    assert len(before) < len(answered(disturbed)), "nothing was left to do: let the service be slower"
    assert scores(disturbed) == scores(undisturbed)
    files = {p.name for p in undisturbed.iterdir() if p.name.startswith("answers_")}
    assert files
    for name in files:
        assert (disturbed / name).read_bytes() == (undisturbed / name).read_bytes()
