"""The journal keeps every answer exactly once, durably, and says so when it cannot."""

import asyncio
import contextlib
import dataclasses
import gc
import itertools
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import textwrap

import pytest

from orchestrator.errors import DiskFullError, RunError
from orchestrator.journal import writer
from orchestrator.journal.reader import JournalReader, StoredModel
from orchestrator.journal.schema import FILE_NAME
from orchestrator.journal.writer import Journal
from orchestrator.options import Protocol
from orchestrator.plan import build_plan, identity, inspections
from orchestrator.vocabulary import UNFINISHED, Answer, Attempt, OptionScore, Outcome, Reply, Timing, Usage


@pytest.fixture
def plan(dataset):
    return build_plan(dataset, Protocol())


@pytest.fixture
def journal(tmp_path, plan):
    journal = Journal(tmp_path)
    journal.create(identity(plan), inspections(plan), plan.dataset.root)
    journal.add_model(StoredModel("m", {"name": "m"}, {}, 1))
    journal.begin_session("2026-01-01T00:00:00+00:00", ["orchestrator", "run"], {"python": "3.11"}, ["m"])
    with contextlib.closing(journal):
        yield journal


def answer(question_id, letter="A", outcome=Outcome.ANSWERED, **reply):
    return Answer(Reply(question_id, text=letter or "", **reply), outcome, letter, "whole")


def attempt(**changes):
    base = Attempt("m", "k", "127.0.0.1:1", 1, "2026-01-01T00:00:00+00:00", 0.5, "OK", "", 2, 2, 100)
    return dataclasses.replace(base, **changes)


async def test_an_answer_comes_back_as_it_was_kept(journal, plan):
    inspection = next(i for i in inspections(plan) if i.sample.abnormal)
    reply = Reply(
        inspection.questions[1].question_id,
        text="B",
        reasoning="because",
        prompt="ask",
        finish_reason="stop",
        option_scores=(OptionScore("A", -1.5), OptionScore("B", None)),
        usage=Usage(1, 2, 3, 4),
        timing=Timing(0.1, 0.2, 0.3),
        seconds=1.5,
    )
    await journal.keep("m", Answer(reply, Outcome.ANSWERED, "B", "whole"))
    (row,) = journal.answers("m")
    assert row["text"] == "B"
    assert row["reasoning"] == "because"
    assert row["option_scores"] == {"A": -1.5, "B": None}
    assert (row["prompt_tokens"], row["reasoning_tokens"], row["encode_seconds"]) == (1, 4, 0.2)
    assert row["right"] == (inspection.questions[1].correct == "B")
    (record,) = [r for r in journal.records("m") if r.outcome is Outcome.ANSWERED]
    assert record.option_scores == reply.option_scores
    assert record.options == inspection.questions[1].options
    assert journal.kept("m", inspection)[reply.question_id].reasoning == "because"


async def test_the_first_answer_stays(journal, plan):
    question = next(inspections(plan)).questions[0].question_id
    await journal.keep("m", answer(question, "A"))
    await journal.keep("m", answer(question, "B"))
    assert [row["letter"] for row in journal.answers("m")] == ["A"]


async def test_every_question_of_the_plan_has_a_record_in_its_order_answered_or_not(journal, plan):
    asked = [q.question_id for i in inspections(plan) for q in i.questions]
    await journal.keep("m", answer(asked[3]))
    records = list(journal.records("m"))
    assert [f"{r.key}#{r.index}" for r in records] == asked
    assert [r.outcome for r in records].count(Outcome.MISSING) == len(asked) - 1
    assert all(r.outcome is Outcome.MISSING for r in journal.records(None))
    assert journal.counts("m")[Outcome.MISSING] == len(asked) - 1


async def test_a_failure_is_replaced_by_what_comes_after_it_and_nothing_else_is(journal, plan):
    asked = [q.question_id for i in inspections(plan) for q in i.questions][:2]
    await journal.keep("m", answer(asked[0]))
    await journal.keep("m", answer(asked[1], None, Outcome.FAILED, failure="no luck"))
    assert journal.failures("m", 5) == [(asked[1], "no luck")]
    for question in asked:
        await journal.keep("m", answer(question, "B"))
    assert {row["question_id"]: row["letter"] for row in journal.answers("m")} == {
        asked[0]: "A",
        asked[1]: "B",
    }


async def test_failures_can_be_left_out_of_what_is_kept(journal, plan):
    inspection = next(inspections(plan))
    question = inspection.questions[0].question_id
    await journal.keep("m", answer(question, None, Outcome.FAILED, failure="no luck"))
    assert set(journal.kept("m", inspection)) == {question}
    assert journal.kept("m", inspection, failures=False) == {}


async def test_what_is_kept_of_an_inspection_is_found_as_quickly_among_many_answers(tmp_path, dataset):
    plan = build_plan(dataset, Protocol(repeats=40))
    every = list(inspections(plan))
    steps = itertools.count()
    with contextlib.closing(Journal(tmp_path)) as journal:
        journal.create(identity(plan), every, plan.dataset.root)
        journal.add_model(StoredModel("m", {}, {}, 1))
        # Called for each instruction of SQLite's machine, which no load of this one changes.
        journal._reader.set_progress_handler(lambda: bool(next(steps) < 0), 1)
        costs = []
        for some in (every[:1], every[1:]):
            asked = [q.question_id for i in some for q in i.questions]
            await asyncio.gather(*(journal.keep("m", answer(question)) for question in asked))
            before = next(steps)
            assert len(journal.kept("m", every[0])) == len(every[0].questions)
            costs.append(next(steps) - before)
    assert len(every) > 100
    assert costs[1] < costs[0] * 1.5


async def test_a_reader_that_stands_in_the_way_is_said(tmp_path, plan, monkeypatch):
    (tmp_path / "run").mkdir()
    with contextlib.closing(Journal(tmp_path / "run")) as journal:
        journal.create(identity(plan), inspections(plan), "/")
        journal.add_model(StoredModel("m", {}, {}, 1))
    monkeypatch.setattr(writer, "_SWITCH_MILLISECONDS", 10)
    with contextlib.closing(JournalReader(tmp_path / "run")) as reader:
        half_read = reader.records("m")
        next(half_read)
        with pytest.raises(RunError, match="another process is reading"):
            Journal(tmp_path / "run")
        half_read.close()


async def test_attempts_and_costs_are_added_up(journal, plan):
    await journal.attempted(attempt())
    await journal.attempted(attempt(number=2, code="UNAVAILABLE", answered=0))
    for number, target, answered in ((3, "gone:1", 0), (4, "moved:1", 2), (5, "moved:1", 1)):
        await journal.attempted(attempt(number=number, target=target, answered=answered, request_bytes=0))
    question = next(inspections(plan)).questions[0].question_id
    await journal.keep("m", answer(question, usage=Usage(prompt_tokens=7)))
    execution = journal.execution("m")
    assert execution["attempts"] == {"OK": 4, "UNAVAILABLE": 1}
    assert execution["answered_by"] == {"127.0.0.1:1": 2, "moved:1": 3}
    assert execution["request_bytes"] == 200
    assert execution["prompt_tokens"] == 7


async def test_an_attempt_is_there_from_its_beginning_and_is_one_row_at_its_end(journal, plan):
    journal.attempting(attempt(code=UNFINISHED, answered=0))
    question = next(inspections(plan)).questions[0].question_id
    await journal.keep("m", answer(question))
    assert journal.execution("m")["attempts"] == {UNFINISHED: 1}  # a kill now would leave this
    await journal.attempted(attempt())
    assert journal.execution("m")["attempts"] == {"OK": 1}


async def test_many_answers_at_once_share_transactions_and_all_are_kept(journal, plan):
    asked = [q.question_id for i in inspections(plan) for q in i.questions]
    await asyncio.gather(*(journal.keep("m", answer(q)) for q in asked))
    assert journal.counts("m")[Outcome.ANSWERED] == len(asked)


async def test_an_answer_is_kept_even_if_whoever_received_it_is_cancelled(journal, plan):
    question = next(inspections(plan)).questions[0].question_id
    task = asyncio.create_task(journal.keep("m", answer(question)))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await journal.attempted(attempt())  # the writer has passed the answer by now
    assert journal.counts("m")[Outcome.ANSWERED] == 1


async def test_an_answer_that_cannot_be_written_sinks_no_other_and_its_keeper_hears_of_it(journal, plan):
    asked = [q.question_id for i in inspections(plan) for q in i.questions][:4]
    replies = [answer(asked[0]), answer(asked[1], letter=None, failure="\ud800"), answer(asked[2])]
    ends = await asyncio.gather(*(journal.keep("m", reply) for reply in replies), return_exceptions=True)
    assert [type(end) for end in ends] == [type(None), UnicodeEncodeError, type(None)]
    await journal.keep("m", answer(asked[3]))
    assert {row["question_id"] for row in journal.answers("m")} == {asked[0], asked[2], asked[3]}


async def test_an_answer_to_an_unknown_question_is_not_lost_without_a_word(journal, plan):
    with pytest.raises(sqlite3.IntegrityError):
        await journal.keep("m", answer("nobody asked#0"))
    with pytest.raises(sqlite3.IntegrityError):
        await journal.keep("stranger", answer(next(inspections(plan)).questions[0].question_id))


async def test_a_closed_journal_is_one_whole_file(tmp_path, plan):
    (tmp_path / "run").mkdir()
    with contextlib.closing(Journal(tmp_path / "run")) as journal:
        journal.create(identity(plan), inspections(plan), "/")
        journal.add_model(StoredModel("m", {}, {}, 1))
        await journal.keep("m", answer(next(inspections(plan)).questions[0].question_id))
    assert [p.name for p in (tmp_path / "run").iterdir()] == [FILE_NAME]
    (tmp_path / "copy").mkdir()
    shutil.copy(tmp_path / "run" / FILE_NAME, tmp_path / "copy")
    with contextlib.closing(JournalReader(tmp_path / "copy")) as reader:
        assert reader.counts("m")[Outcome.ANSWERED] == 1
    with contextlib.closing(Journal(tmp_path / "run")) as journal:  # and it can be gone on with
        assert journal.counts("m")[Outcome.ANSWERED] == 1


async def test_a_damaged_journal_is_said_wherever_the_damage_shows(tmp_path, plan):
    (tmp_path / "run").mkdir()
    with contextlib.closing(Journal(tmp_path / "run")) as journal:
        journal.create(identity(plan), inspections(plan), "/")
        journal.add_model(StoredModel("m", {}, {}, 1))
    path = tmp_path / "run" / FILE_NAME
    content = bytearray(path.read_bytes())
    for page in range(2 * 4096, len(content), 4096):
        content[page : page + 200] = b"\xff" * 200
    path.write_bytes(content)

    def read():
        with contextlib.closing(JournalReader(tmp_path / "run")) as reader:
            list(reader.records("m"))

    with pytest.raises(RunError, match="not a readable journal"):
        read()


def test_what_keep_has_returned_for_survives_a_kill(tmp_path, plan, journal):
    """Another process keeps answers, says each when `keep` has returned, and is killed at once."""
    asked = [q.question_id for i in inspections(plan) for q in i.questions]
    script = f"""
        import asyncio, sys, pathlib
        from orchestrator.journal.writer import Journal
        from orchestrator.vocabulary import Answer, Outcome, Reply
        async def main():
            journal = Journal(pathlib.Path({str(tmp_path)!r}))
            for question in {asked!r}:
                await journal.keep("m", Answer(Reply(question, text="A"), Outcome.ANSWERED, "A", "whole"))
                print(question, flush=True)
            await asyncio.sleep(60)
        asyncio.run(main())
    """
    with subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(script)], stdout=subprocess.PIPE, text=True
    ) as process:
        told = [process.stdout.readline().strip() for _ in range(7)]
        os.kill(process.pid, signal.SIGKILL)
    kept = {row["question_id"] for row in journal.answers("m")}
    assert set(told) <= kept


def test_a_journal_killed_while_it_is_set_up_is_set_up_again(tmp_path, plan):
    class KilledError(Exception):
        pass

    def half():
        yield next(inspections(plan))
        raise KilledError

    (tmp_path / "run").mkdir()
    with contextlib.closing(Journal(tmp_path / "run")) as journal:
        with pytest.raises(KilledError):
            journal.create(identity(plan), half(), "/")
        killed = shutil.copytree(tmp_path / "run", tmp_path / "killed")  # before it is closed
    with pytest.raises(RunError, match="never finished being set up"):
        JournalReader(killed)
    with contextlib.closing(Journal(killed)) as journal:
        assert journal.meta("identity") is None
        journal.create(identity(plan), inspections(plan), "/")
        assert journal.question_count() == plan.question_count


def test_a_folder_without_a_run_is_named(tmp_path):
    with pytest.raises(RunError, match="holds no run"):
        JournalReader(tmp_path / "nothing")


def test_a_file_that_is_no_journal_is_refused(tmp_path):
    (tmp_path / FILE_NAME).write_bytes(b"something else entirely" * 100)
    with pytest.raises(RunError, match="not a readable journal"):
        Journal(tmp_path)


def test_a_journal_of_another_format_is_refused(tmp_path, journal):
    with sqlite3.connect(tmp_path / FILE_NAME) as connection:
        connection.execute("UPDATE meta SET value = '99' WHERE name = 'format'")
    with pytest.raises(RunError, match="format 99"):
        JournalReader(tmp_path)


@pytest.fixture
def small_disk(tmp_path):
    """A real file system of 600 KiB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=600k", "tmpfs", folder], check=False)
    if mount.returncode:
        pytest.skip("needs the right to mount a small file system")
    yield folder
    subprocess.run(["umount", folder], check=True)


async def test_a_full_disk_is_said_and_nothing_kept_is_lost(small_disk, plan):
    with contextlib.closing(Journal(small_disk)) as journal:
        journal.create(identity(plan), inspections(plan), "/")
        journal.add_model(StoredModel("m", {}, {}, 1))
        asked = [q.question_id for i in inspections(plan) for q in i.questions]
        kept = []

        async def keep_all():
            for question in asked:
                await journal.keep("m", answer(question, prompt="x" * 30_000))
                kept.append(question)

        with pytest.raises(DiskFullError, match="Make room"):
            await keep_all()
        assert 0 < len(kept) < len(asked)
        assert {row["question_id"] for row in journal.answers("m")} == set(kept)


async def test_who_has_left_when_the_disk_is_full_gets_no_traceback(journal, plan, monkeypatch, caplog):
    question = next(inspections(plan)).questions[0].question_id

    def full(batch):
        for _, future in batch:
            future.set_exception(DiskFullError("full"))

    monkeypatch.setattr(journal, "_commit", full)
    task = asyncio.create_task(journal.keep("m", answer(question)))
    await asyncio.sleep(0)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    await asyncio.sleep(0.05)
    del task
    gc.collect()
    await asyncio.sleep(0)
    assert caplog.records == []


async def test_a_run_can_be_read_while_it_is_written(journal, plan, tmp_path):
    with contextlib.closing(JournalReader(tmp_path)) as reader:
        question = next(inspections(plan)).questions[0].question_id
        await journal.keep("m", answer(question))
        assert reader.counts("m")[Outcome.ANSWERED] == 1
