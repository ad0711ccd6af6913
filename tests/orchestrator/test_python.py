"""What the verbs do, from Python."""

import asyncio
import signal
import sys
import threading
import time

import pytest

from orchestrator import Protocol, RunOptions, build_plan, open_run, prepare, read_dataset, run
from orchestrator.errors import Interrupted, UserError
from orchestrator.session import dry_run
from orchestrator.vocabulary import Outcome


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
    assert dry_run(options)["chance"].inspections == 2
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


async def test_an_interrupted_notebook_stops_in_good_order(drawn, serve_forever, tmp_path, request):
    """The cell's thread gets the interruption while another one runs the asking."""
    asked = tmp_path / "asked"
    deliberate = request.path.parents[1] / "faults" / "deliberate"
    target = serve_forever(deliberate, "--seconds", "0.2", "--asked", str(asked))
    options = RunOptions(data=str(drawn), endpoint=(f"m={target}",), out=tmp_path / "run", concurrency=1)

    def interrupt():
        while not asked.exists():
            time.sleep(0.02)
        signal.pthread_kill(threading.main_thread().ident, signal.SIGINT)

    threading.Thread(target=interrupt).start()
    with pytest.raises(Interrupted, match="the same command goes on"):
        run(options)
    with open_run(tmp_path / "run") as done:
        counts = done.journal.counts("m")
        assert counts[Outcome.ANSWERED] > 0
        assert counts[Outcome.MISSING] > 0
        assert set(done.journal.execution("m")["attempts"]) == {"OK"}
