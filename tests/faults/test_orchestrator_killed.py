"""An orchestrator that is killed at any moment loses nothing and asks nothing twice that had an answer."""

import contextlib
import json
import random
import time

import pytest

from orchestrator.journal.reader import JournalReader

KILLS = 20


def answered(folder):
    """The questions whose answers are in the journal; none while there is no journal."""
    from orchestrator.errors import RunError

    with contextlib.suppress(RunError), contextlib.closing(JournalReader(folder)) as journal:
        return {row["question_id"] for row in journal.answers("deliberate")}
    return set()


def scores(folder):
    return json.dumps(json.loads((folder / "summary.json").read_text())["scores"])


@pytest.mark.parametrize("history", [[], ["--history"]], ids=["plain", "history"])
def test_twenty_kills_change_nothing(serve, orchestrator, small_sample, tmp_path, history):
    service = serve("--seconds", "0.08", "--asked", str(tmp_path / "asked"))
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
    landed_while_asking = 0
    for _ in range(KILLS):
        before = answered(disturbed)
        asked_log.write_text("")
        process = start(disturbed)
        # From the start of Python over the setting up of the run into the asking.
        with contextlib.suppress(TimeoutError):
            time.sleep(moments.uniform(0.1, 2.6))
        process.kill()
        output = process.communicate()[0]
        assert process.returncode == -9, output
        landed_while_asking += answered(disturbed) > before
        asked_again = set(asked_log.read_text().split("\n")) & before
        assert not asked_again
    assert landed_while_asking >= 5

    before = answered(disturbed)
    process = start(disturbed)
    output, _ = process.communicate(timeout=120)
    assert process.returncode == 0, output
    assert len(answered(disturbed)) > len(before), "the kills came too late: nothing was left to do"
    assert scores(disturbed) == scores(undisturbed)
    files = {p.name for p in undisturbed.iterdir() if p.name.startswith("answers_")}
    assert files
    for name in files:
        assert (disturbed / name).read_bytes() == (undisturbed / name).read_bytes()
