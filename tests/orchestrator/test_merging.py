"""`orchestrator merge`: shards become the run that they are parts of, or it is said what is wrong."""

import asyncio
import contextlib
import json
import os
import pathlib
import shutil
import signal
import sqlite3
import subprocess
import sys

import pytest

from orchestrator import RunOptions, merge, open_run, run
from orchestrator.errors import DiskFullError, Interrupted, RunError
from orchestrator.journal.reader import StoredModel
from orchestrator.journal.schema import FILE_NAME, SCHEMA
from orchestrator.journal.writer import Journal
from orchestrator.options import Protocol
from orchestrator.plan import build_plan, completed, identity, inspections, question_numbers
from orchestrator.runfolder import locked
from orchestrator.vocabulary import Answer, Attempt, Outcome, Reply, Shard

ROOT = pathlib.Path(__file__).parents[2]
COUNT = 3


@pytest.fixture(scope="module")
def models(chance, serve_forever):
    return [f"chance={chance}", f"template_diff={serve_forever(ROOT / 'services' / 'template_diff')}"]


@pytest.fixture(scope="module")
def asked(drawn, models, tmp_path_factory):
    """The folders of a whole run, and of the same run in parts: `whole`, `0`, `1`, `2`."""
    base = tmp_path_factory.mktemp("asked")
    settings = {
        "data": str(drawn), "endpoint": models, "limit": 6, "repeats": 2, "options": "circular",
        "keep_prompts": True, "option_scores": True,
    }  # fmt: skip
    run(RunOptions(**settings, out=base / "whole")).close()
    for index in range(COUNT):
        run(RunOptions(**settings, shard=f"{index}/{COUNT}", out=base / str(index))).close()
    return base


def shards_of(base):
    return [base / str(index) for index in range(COUNT)]


@pytest.fixture(scope="module")
def merged(asked):
    merge(reversed(shards_of(asked)), asked / "merged").close()
    return asked / "merged"


# ------------------------------------------------------------------------------------- what becomes of them


def test_the_scores_are_those_of_the_whole_run_byte_for_byte(asked, merged, summary):
    whole, joined = summary(asked / "whole"), summary(merged)
    assert json.dumps(joined["scores"]) == json.dumps(whole["scores"])
    assert set(joined["scores"]["models"]) == {"chance", "template_diff"}
    assert sum(joined["scores"]["models"]["chance"]["counts"].values()) > 0


def test_the_files_are_those_of_the_whole_run(asked, merged):
    files = {path.name for path in (asked / "whole").iterdir()}
    assert {path.name for path in merged.iterdir()} == files
    for name in files - {"summary.json", FILE_NAME, "lock"}:
        assert (merged / name).read_bytes() == (asked / "whole" / name).read_bytes(), name


def test_every_answer_is_there_as_it_was_given(asked, merged):
    def told(folder):
        measured = {"queue_seconds", "encode_seconds", "generate_seconds", "seconds"}
        with open_run(folder) as done:
            return [{name: row[name] for name in row.keys() - measured} for row in done.rows()]

    assert told(merged) == told(asked / "whole")


def test_all_sessions_and_attempts_come_along(asked, merged, summary):
    joined, of_parts = summary(merged)["execution"], [summary(s)["execution"] for s in shards_of(asked)]
    assert joined["sessions"] == [session for part in of_parts for session in part["sessions"]]
    for model, cost in joined["models"].items():
        for name in ("request_bytes", "prompt_tokens", "completion_tokens"):
            assert cost[name] == sum(part["models"][model][name] for part in of_parts)
        assert cost["attempts"] == {"OK": 12}
    with contextlib.closing(sqlite3.connect(merged / FILE_NAME)) as journal:
        of_session = journal.execute("SELECT session, count(*) FROM attempts GROUP BY session").fetchall()
    assert [session for session, _ in of_session] == [1, 2, 3]
    assert sum(count for _, count in of_session) == 2 * 12


def test_what_comes_out_is_the_whole_run_to_every_verb(asked, merged, cli, tmp_path):
    folder = shutil.copytree(merged, tmp_path / "run")
    assert cli("score", folder, "--json").out == cli("score", asked / "whole", "--json").out
    assert cli("export", folder).code == 0
    again = cli("run", "--config", folder / "config.yaml", "--out", folder, "--retry-failed")
    assert again.code == 0, again.err
    assert "Everything has an answer already" in again.err
    with open_run(folder) as done, open_run(asked / "whole") as whole:
        assert done.journal.meta("identity") == whole.journal.meta("identity")
        assert not done.part


def test_the_table_comes_at_the_end_as_after_a_run(asked, cli, tmp_path):
    result = cli("merge", *shards_of(asked), "--out", tmp_path / "run")
    assert result.code == 0, result.err
    assert "none left out, none double" in result.err
    assert "Average" in result.out
    assert "answers_1_shot_chance.json" in result.out
    result = cli("merge", *shards_of(asked), "--out", tmp_path / "again", "--json")
    assert json.loads(result.out) == json.loads((tmp_path / "again" / "summary.json").read_text())


def test_shards_are_only_read(asked, tmp_path):
    """No byte changes, and no file comes or goes, not for a moment: a folder's own time would tell."""
    copies = [shutil.copytree(shard, tmp_path / shard.name) for shard in shards_of(asked)]
    paths = [path for copy in copies for path in (copy, *copy.iterdir())]
    for path in paths:
        path.chmod(0o555 if path.is_dir() else 0o444)
    before = [(path.stat().st_mtime_ns, path.is_file() and path.read_bytes()) for path in paths]
    merge(copies, tmp_path / "run").close()
    assert [(path.stat().st_mtime_ns, path.is_file() and path.read_bytes()) for path in paths] == before


# --------------------------------------------------------------------------------------- what is refused


def make_shard(folder, plan, revision="r", *, answered=True, models=("m",)):
    """A shard that was asked without services; with `answered` False its last question is open."""
    folder.mkdir(parents=True)
    with contextlib.closing(Journal(folder)) as journal:
        journal.create(identity(plan), inspections(plan), "/data", question_numbers(plan))
        asked = [(i.inspection_id, q) for i in inspections(plan) for q in i.questions]
        journal.begin_session("now", [], {}, models)
        for model in models:
            journal.add_model(StoredModel(model, {"revision": revision}, {}, 1))
            for name, question in asked if answered else asked[:-1]:
                attempt = Attempt(model, name, "host:1", 1, "now", 0.1, "OK", "", 1, 1, 1)
                if question.index == 0:
                    journal.attempting(attempt)
                reply = Reply(question.question_id, text="A")
                asyncio.run(journal.keep(model, Answer(reply, Outcome.ANSWERED, "A", "whole")))
        journal.end_session(1.0, "finished")
    return folder


@pytest.fixture
def made(dataset, tmp_path):
    """Shards of a run of six images, in `tmp_path/NAME`: `made(index)`."""

    def make(index, count=2, name=None, revision="r", answered=True, models=("m",), **protocol):
        plan = build_plan(dataset, Protocol(**{"limit": 6} | protocol), Shard(index, count))
        return make_shard(tmp_path / (name or f"s{index}"), plan, revision, answered=answered, models=models)

    return make


@pytest.fixture
def refuse(tmp_path):
    """Merge what cannot be merged, and return what is said; nothing may be left."""

    def call(*shards, **options):
        before = set(tmp_path.iterdir())
        with pytest.raises(RunError) as caught:
            merge(shards, tmp_path / "out", **options)
        assert set(tmp_path.iterdir()) == before
        return str(caught.value)

    return call


def test_shards_that_are_missing_or_there_twice_are_all_named(made, refuse):
    first, third, again = made(0, 5), made(2, 5), made(2, 5, name="again")
    message = refuse(first, third, again)
    assert f"2/5 is there 2 times: {third}, {again}" in message
    assert "missing: 1/5, 3/5, 4/5" in message
    assert "missing: " not in refuse(made(0, 2, name="a"), made(1, 2, name="b"), made(1, 2, name="c"))
    assert f"0/5 is there 2 times: {first}, {first}" in refuse(first, first)


def test_shards_of_other_runs_are_refused_with_what_differs(made, refuse):
    first = made(0)
    message = refuse(first, made(1, seed=4, shots=2))
    assert f"protocol.seed: 0 in {first}, 4 in" in message
    assert f"protocol.shots: 1 in {first}, 2 in" in message
    assert "limit" not in message


def test_shards_of_another_division_are_refused(made, refuse):
    assert "shards in all: 2 in" in refuse(made(0), made(1, 3))


def test_another_model_under_the_same_name_is_refused_with_what_differs(made, refuse):
    first = made(0)
    message = refuse(first, made(1, revision="s"))
    assert "Model 'm' is not the same" in message
    assert f"revision: 'r' in {first}, 's' in" in message


def test_an_unfinished_shard_is_named_with_what_is_open_and_how_to_finish_it(made, refuse):
    first, second = made(0), made(1, answered=False)
    (second / "config.yaml").write_text("shots: 1\n")
    message = refuse(first, second)
    assert "shard 1/2, open questions: m 1" in message
    assert f"orchestrator run --config {second / 'config.yaml'} --out {second}" in message
    assert "0/2" not in message


@pytest.mark.parametrize("allow_missing", [False, True])
def test_shards_that_asked_different_models_are_refused_with_what_each_asked(made, refuse, allow_missing):
    shards = [made(index, 4, models=models) for index, models in enumerate(["mn", "m", "p", ()])]
    message = refuse(*shards, allow_missing=allow_missing)
    asked = ("0/4 asked m, n", "1/4 asked m", "2/4 asked p", "3/4 asked nobody")
    for shard, models in zip(shards, asked, strict=True):
        assert f"  {models}, in {shard}\n" in message
    assert "open questions" not in message


def test_the_order_in_which_a_shard_came_to_its_models_is_of_no_account(made, tmp_path):
    with merge([made(0, models=("m", "n")), made(1, models=("n", "m"))], tmp_path / "run") as whole:
        assert [model.name for model in whole.models] == ["m", "n"]


def test_no_model_at_all_is_refused(made, refuse):
    assert "has asked any model" in refuse(made(0, models=()), made(1, models=()))


def test_open_questions_may_be_taken_as_missing_and_are_asked_later(cli, ask, summary, tmp_path):
    for index in range(2):
        ask("--shard", f"{index}/2", "--limit", 6, out=tmp_path / str(index))
    with contextlib.closing(sqlite3.connect(tmp_path / "1" / FILE_NAME)) as journal, journal:
        journal.execute("DELETE FROM answers WHERE question = (SELECT max(question) FROM answers)")
    shards = tmp_path / "0", tmp_path / "1"
    assert cli("merge", *shards, "--out", tmp_path / "run").code == 2
    result = cli("merge", *shards, "--out", tmp_path / "run", "--allow-missing")
    assert result.code == 4
    assert "1 questions have no answer" in result.out
    assert summary(tmp_path / "run")["scores"]["models"]["chance"]["counts"]["missing"] == 1
    assert ask("--limit", 6).code == 0  # the whole run goes on in the folder
    assert summary(tmp_path / "run")["scores"]["models"]["chance"]["counts"]["missing"] == 0


def test_a_whole_run_is_refused_with_the_reason(made, dataset, refuse, tmp_path):
    whole = make_shard(tmp_path / "whole", build_plan(dataset, Protocol(limit=6)))
    for given in ([whole], [whole, whole], [made(0), whole]):
        message = refuse(*given)
        assert f"{whole} is a whole run and not a shard" in message
        assert "\n" not in message


def test_what_is_no_run_is_one_line(made, refuse, tmp_path):
    first, second = made(0), made(1)
    assert refuse(first, tmp_path) == f"{tmp_path} holds no run: there is no {FILE_NAME} in it."
    assert "holds no run" in refuse(first, tmp_path / "nowhere")
    assert "holds no run" in refuse(first, second / FILE_NAME)
    (tmp_path / "begun").mkdir()
    with contextlib.closing(sqlite3.connect(tmp_path / "begun" / FILE_NAME)) as journal:
        journal.executescript(SCHEMA)
    assert "never finished being set up" in refuse(first, tmp_path / "begun")
    with contextlib.closing(sqlite3.connect(second / FILE_NAME)) as journal, journal:
        journal.execute("UPDATE meta SET value = '9' WHERE name = 'format'")
    message = refuse(first, second)
    assert "has format 9; this version reads format 1" in message
    assert "\n" not in message


def test_a_shard_that_is_being_worked_on_is_refused(made, refuse):
    first, second = made(0), made(1)
    with locked(second):
        message = refuse(first, second)
    assert message.startswith(f"{second}: another orchestrator (process {os.getpid()}) works on this run.")
    assert "\n" not in message


def test_nobody_begins_to_work_on_a_shard_during_a_merge(made, monkeypatch, tmp_path):
    first, second = made(0), made(1)
    for shard in (first, second):
        with locked(shard):
            pass
    refused = []

    def meanwhile(*given):
        with pytest.raises(RunError), locked(second):
            pass
        refused.append(True)
        return join(*given)

    from orchestrator.journal.joining import join

    monkeypatch.setattr("orchestrator.merging.join", meanwhile)
    merge([first, second], tmp_path / "out").close()
    assert refused


@pytest.mark.parametrize(
    ("tampering", "message"),
    [
        ("UPDATE questions SET inspection_id = (SELECT inspection_id FROM other.questions)", "is in another"),
        ("UPDATE questions SET id = (SELECT min(id) FROM other.questions) WHERE id = 2", "UNIQUE constraint"),
        ("DELETE FROM questions WHERE id = (SELECT max(id) FROM questions)", "questions"),
    ],
)
def test_a_question_that_is_double_or_missing_is_found_by_the_tables_themselves(
    made, refuse, tampering, message
):
    first, second = made(0), made(1)
    with contextlib.closing(sqlite3.connect(second / FILE_NAME)) as journal, journal:
        journal.execute("ATTACH ? AS other", (str(first / FILE_NAME),))
        number = journal.execute("SELECT min(id) FROM questions").fetchone()[0]
        journal.execute(tampering.replace("id = 2", f"id = {number}"))
        journal.execute("DELETE FROM answers WHERE question NOT IN (SELECT id FROM questions)")
    assert message in refuse(first, second, allow_missing=True)


def test_a_damaged_journal_is_named(made, refuse):
    first, second = made(0), made(1)
    content = bytearray((second / FILE_NAME).read_bytes())
    content[8192:] = b"\x7f" * (len(content) - 8192)
    (second / FILE_NAME).write_bytes(content)
    assert str(second) in refuse(first, second)


@pytest.mark.parametrize(
    ("code", "kind", "message"),
    [
        (sqlite3.SQLITE_IOERR_READ, RunError, "{part}/journal.sqlite: cannot be read (disk I/O error)."),
        (sqlite3.SQLITE_BUSY, RunError, "{part}: another process is reading this run"),
        (sqlite3.SQLITE_IOERR_WRITE, DiskFullError, "{new}: the journal cannot be written (disk I/O error)."),
        (sqlite3.SQLITE_FULL, DiskFullError, "{new}: the journal cannot be written (disk I/O error)."),
    ],
)
def test_what_the_disk_does_is_said_of_the_file_that_it_happens_to(
    made, monkeypatch, tmp_path, code, kind, message
):
    first, second = made(0), made(1)
    copies = []

    def copy(joined):
        copies.append(joined)
        if len(copies) == 2:
            error = sqlite3.OperationalError("disk I/O error")
            error.sqlite_errorcode = code
            raise error
        return _copy(joined)

    from orchestrator.journal.joining import _copy

    monkeypatch.setattr("orchestrator.journal.joining._copy", copy)
    with pytest.raises(RunError) as caught:
        merge([first, second], tmp_path / "out")
    assert type(caught.value) is kind
    assert str(caught.value).startswith(message.format(part=second, new=tmp_path / ".out.merging"))


def test_the_order_of_a_journals_columns_is_of_no_account(made, tmp_path):
    first, second = made(0), made(1)
    for shard in (first, second):
        shutil.copytree(shard, tmp_path / f"plain-{shard.name}")
        with contextlib.closing(sqlite3.connect(shard / FILE_NAME)) as journal, journal:
            names = [row[1] for row in journal.execute("PRAGMA table_info(questions)")]
            journal.execute(f"CREATE TABLE turned AS SELECT {', '.join(reversed(names))} FROM questions")
            journal.execute("DROP TABLE questions")
            journal.execute("ALTER TABLE turned RENAME TO questions")
    turned = merge([first, second], tmp_path / "turned")
    plain = merge([tmp_path / "plain-s0", tmp_path / "plain-s1"], tmp_path / "plain")
    with turned, plain:
        assert list(turned.rows()) == list(plain.rows()) != []


def test_a_place_that_is_taken_is_left_as_it_is(made, tmp_path):
    shards = made(0), made(1)
    (tmp_path / "out").mkdir()
    with pytest.raises(RunError, match="overwrites nothing"):
        merge(shards, tmp_path / "out")
    assert not list((tmp_path / "out").iterdir())


# --------------------------------------------------------------------------------------------- cut short

KILLED = """
import importlib, os, signal, sys

module, name, number, out, *shards = sys.argv[1:]
place = importlib.import_module(module)
*owner, name = name.split(".")
place = getattr(place, owner[0]) if owner else place
real, calls = getattr(place, name), []

def until(*given):
    calls.append(given)
    if len(calls) == int(number):
        os.kill(os.getpid(), signal.SIGKILL)
    return real(*given)

setattr(place, name, until)
from orchestrator import merge
merge(shards, out)
"""


@pytest.mark.parametrize(
    "point",
    [
        ("orchestrator.journal.joining", "_copy", 2),
        ("orchestrator.merging", "write_files", 1),
        ("pathlib", "Path.rename", 1),
    ],
    ids=lambda point: point[1],
)
def test_a_merge_that_is_killed_leaves_no_run_and_the_same_command_makes_it(made, point, tmp_path):
    shards, out = (made(0), made(1)), tmp_path / "out"
    given = [*point, out, *shards]
    done = subprocess.run([sys.executable, "-c", KILLED, *map(str, given)], check=False, cwd=ROOT)
    assert done.returncode == -signal.SIGKILL
    assert not out.exists()
    merge(shards, out).close()
    assert {path.name for path in tmp_path.iterdir()} == {"s0", "s1", "out"}
    with open_run(out) as whole:
        assert whole.unanswered() == {}
        assert whole.journal.question_count() == 8


def test_whatever_a_killed_merge_has_left_is_cleared_away(made, tmp_path):
    draft = tmp_path / ".out.merging"
    (draft / "report" / "figures").mkdir(parents=True)
    (draft / "report" / "figures" / "one.png").touch()
    (draft / "elsewhere").symlink_to(made(0), target_is_directory=True)
    (draft / FILE_NAME).write_text("half of it")
    merge([tmp_path / "s0", made(1)], tmp_path / "out").close()
    assert {path.name for path in tmp_path.iterdir()} == {"s0", "s1", "out"}
    assert not {"report", "elsewhere"} & {path.name for path in (tmp_path / "out").iterdir()}
    assert (tmp_path / "s0" / FILE_NAME).is_file()


def test_an_interrupted_merge_leaves_nothing(made, monkeypatch, tmp_path):
    def stop(*_):
        raise KeyboardInterrupt

    shards = made(0), made(1)
    monkeypatch.setattr("orchestrator.merging.write_files", stop)
    with pytest.raises(Interrupted, match="starts anew"):
        merge(shards, tmp_path / "out")
    assert {path.name for path in tmp_path.iterdir()} == {"s0", "s1"}


def test_shards_of_a_version_with_fewer_settings_are_of_the_same_run(made, tmp_path):
    """As a run from before a setting goes on, so do its shards go together with newer ones."""
    first, second = made(0), made(1)
    with contextlib.closing(sqlite3.connect(first / FILE_NAME)) as journal, journal:
        (stored,) = journal.execute("SELECT value FROM meta WHERE name = 'identity'").fetchone()
        known = json.loads(stored)
        del known["protocol"]["max_reasoning_tokens"]
        journal.execute("UPDATE meta SET value = ? WHERE name = 'identity'", (json.dumps(known),))
    with merge([first, second], tmp_path / "out") as whole:
        assert whole.journal.meta("identity") == completed(whole.journal.meta("identity"))


def test_a_run_in_one_part_and_empty_shards_are_merged_like_any_others(made, tmp_path):
    with merge([made(0, 1, name="only")], tmp_path / "of one") as whole:
        assert whole.journal.image_count() == 6
    with merge([made(index, 8) for index in range(8)], tmp_path / "of eight") as whole:
        assert whole.journal.image_count() == 6
