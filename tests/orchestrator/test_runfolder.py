"""A run's folder: which one, and whose."""

import concurrent.futures
import contextlib
import os
import sqlite3
import subprocess
import sys

import pytest

from orchestrator.errors import RunError
from orchestrator.journal.reader import StoredModel
from orchestrator.journal.schema import FILE_NAME, SCHEMA
from orchestrator.journal.writer import Journal
from orchestrator.options import Protocol
from orchestrator.plan import build_plan, identity, inspections
from orchestrator.runfolder import check_identity, check_model, default_folder, locked
from orchestrator.vocabulary import Answer, Outcome, Reply


async def make_run(folder, plan, *, model="m", answered=True, ended=True):
    folder.mkdir(parents=True)
    with contextlib.closing(Journal(folder)) as journal:
        journal.create(identity(plan), inspections(plan), "/")
        journal.add_model(StoredModel(model, {}, {}, 1))
        journal.begin_session("now", [], {}, [model])
        for question in (q for i in inspections(plan) for q in i.questions) if answered else ():
            await journal.keep(model, Answer(Reply(question.question_id), Outcome.FAILED, None, ""))
        if ended:
            journal.end_session(1.0, "finished")


@pytest.fixture
def plan(dataset):
    return build_plan(dataset, Protocol(limit=2))


def choose(base, models=("m",), *, retry_failed=False):
    return default_folder(base, "2026-02-02", "data", "abc123", models, retry_failed=retry_failed)


def test_a_new_run_has_the_date_the_data_and_the_fingerprint(tmp_path):
    assert choose(tmp_path) == tmp_path / "2026-02-02-data-abc123"


async def test_an_unfinished_run_of_the_same_kind_goes_on_whatever_its_date(tmp_path, plan):
    old = tmp_path / "2026-01-01-data-abc123"
    await make_run(old, plan, answered=False)
    assert choose(tmp_path) == old
    assert choose(tmp_path, models=("other",)) != old


async def test_a_run_that_was_killed_after_its_last_answer_goes_on(tmp_path, plan):
    old = tmp_path / "2026-01-01-data-abc123"
    await make_run(old, plan, ended=False)
    assert choose(tmp_path) == old


def test_a_run_that_was_killed_while_it_was_set_up_is_set_up_again(tmp_path):
    old = tmp_path / "2026-01-01-data-abc123"
    old.mkdir()
    with contextlib.closing(sqlite3.connect(old / FILE_NAME)) as journal:
        journal.executescript(SCHEMA)
    assert choose(tmp_path) == old
    (old / "journal.sqlite").write_bytes(b"")  # killed before it had tables
    assert choose(tmp_path) == old


def test_a_folder_into_which_nothing_comes_is_removed_again_with_what_was_made_around_it(tmp_path):
    with pytest.raises(ZeroDivisionError), locked(tmp_path / "runs" / "run"):
        raise ZeroDivisionError
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_was_there_or_has_come_to_hold_something_stays(tmp_path):
    (tmp_path / "there").mkdir()
    (tmp_path / "again").mkdir()
    (tmp_path / "again" / "lock").touch()
    for name in ("there", "again", "new"):
        with locked(tmp_path / name):
            if name == "new":
                (tmp_path / name / "file").touch()
    assert {str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*")} == {
        "there", "again", "again/lock", "new", "new/lock", "new/file"
    }  # fmt: skip


def test_a_journal_that_nobody_has_set_up_is_removed_by_who_made_it_and_no_other(tmp_path, plan):
    Journal(tmp_path).close()
    assert list(tmp_path.iterdir()) == []
    with contextlib.closing(sqlite3.connect(tmp_path / FILE_NAME)) as journal:
        journal.executescript(SCHEMA)
    Journal(tmp_path).close()
    assert [path.name for path in tmp_path.iterdir()] == [FILE_NAME]


async def test_a_finished_run_is_left_alone_unless_its_failures_are_asked_again(tmp_path, plan):
    old = tmp_path / "2026-02-02-data-abc123"
    await make_run(old, plan)
    assert choose(tmp_path) == tmp_path / "2026-02-02-data-abc123-2"
    assert choose(tmp_path, retry_failed=True) == old


def test_another_process_on_the_same_folder_is_refused_and_named(tmp_path):
    script = (
        "import pathlib, sys\nfrom orchestrator.runfolder import locked\n"
        f"with locked(pathlib.Path({str(tmp_path)!r})):\n    print('in', flush=True)\n    sys.stdin.read()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as other:
        assert other.stdout.readline() == "in\n"
        with pytest.raises(RunError, match=f"process {other.pid}"), locked(tmp_path):
            pass
        other.stdin.close()
        other.wait()
        with locked(tmp_path):
            assert (tmp_path / "lock").read_text() == f"{os.getpid()}\n"


def test_a_folder_that_vanishes_again_and_again_is_never_two_processes_at_once(tmp_path):
    """Locks belong to open files, so threads compete for them as processes do."""
    folder, inside, most, refused = tmp_path / "runs" / "run", [], [], []

    def compete(_):
        for _ in range(100):
            try:
                with locked(folder):
                    inside.append(1)
                    most.append(len(inside))
                    inside.pop()
            except RunError as error:
                refused.append(str(error))

    with concurrent.futures.ThreadPoolExecutor(4) as threads:
        list(threads.map(compete, range(4)))
    assert set(most) == {1}
    assert len(most) + len(refused) == 400
    assert [message for message in refused if "another orchestrator" not in message] == []


def test_a_folder_that_cannot_be_made_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(RunError, match="cannot be written"), locked(tmp_path / "file" / "run"):
        pass


def test_another_identity_is_refused_naming_all_that_differs(tmp_path, dataset):
    before = identity(build_plan(dataset, Protocol()))
    now = identity(build_plan(dataset, Protocol(shots=2, history=True)))
    with pytest.raises(RunError) as caught:
        check_identity(tmp_path, before, now)
    message = str(caught.value)
    assert "protocol.shots: 1 there, 2 now" in message
    assert "protocol.history: False there, True now" in message
    assert "seed" not in message
    check_identity(tmp_path, before, before)


def test_another_model_under_the_same_name_is_refused(tmp_path):
    with pytest.raises(RunError, match=r"model 'm'[^$]*revision: 'a' there, 'b' now"):
        check_model(tmp_path, "m", {"revision": "a"}, {"revision": "b"})
