"""Several journals become one: SQLite copies the rows from file to file, so memory does not grow with them.

Nothing is replaced or passed over. That a question is in two of them is refused by the tables' own keys, and
that none is missing is shown by their numbers, which shards give by the place in the whole plan.
"""

from __future__ import annotations

import contextlib
import json
import sqlite3
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from orchestrator.errors import RunError
from orchestrator.journal.schema import FILE_NAME, FORMAT, SCHEMA, explained

_MODELS: Final = """
INSERT INTO models (name, identity, card, shots) SELECT name, identity, card, shots FROM part.models
WHERE true ORDER BY id
ON CONFLICT (name) DO UPDATE SET card = excluded.card
"""
"""Cards may differ, in the device for example; as in one run, the last one stays."""
_READING: Final = (sqlite3.SQLITE_IOERR_READ, sqlite3.SQLITE_IOERR_SHORT_READ)


def join(parts: Iterable[Path], folder: Path, identity: Mapping[str, Any], root: str) -> tuple[int, int]:
    """Write a journal with all that the journals in the folders `parts` hold. They are only read.

    The file is a run from the last step on and not before: see `JournalReader`.

    Args:
        parts: folders of shards' runs, in the order in which their sessions are to stand.
        folder: where the new journal goes; there is none yet.
        identity: the whole run's.
        root: where its images are.

    Returns:
        How many images and how many questions there are now.

    Raises:
        RunError: two parts hold the same inspection, naming it, or a file cannot be read or written.
    """
    path = folder / FILE_NAME
    with explained(path), contextlib.closing(_open(path)) as joined:
        joined.executescript(SCHEMA)
        for part in parts:
            _take(joined, part)
        with joined:
            for name, value in (("identity", identity), ("root", root), ("format", FORMAT)):
                joined.execute("INSERT INTO meta VALUES (?, ?)", (name, json.dumps(value)))
        images, questions, last = joined.execute(
            "SELECT count(DISTINCT key), count(*), coalesce(max(id), 0) FROM questions"
        ).fetchone()
    if questions != last:
        raise RunError(f"The shards hold {questions:,} questions, and the last one is number {last:,}.")
    return images, questions


def _open(path: Path) -> sqlite3.Connection:
    return sqlite3.connect(path.absolute().as_uri(), uri=True)


def _take(joined: sqlite3.Connection, part: Path) -> None:
    source = part / FILE_NAME
    with _blaming(source):
        joined.execute("ATTACH ? AS part", (f"{source.absolute().as_uri()}?mode=ro",))
        double = joined.execute(
            "SELECT inspection_id FROM part.questions WHERE inspection_id IN "
            "(SELECT inspection_id FROM main.questions) LIMIT 1"
        ).fetchone()
    if double:
        raise RunError(f"{part}: {double[0]} is in another of these shards, too. It must be in one.")
    with _blaming(source), joined:
        _copy(joined)
    joined.execute("DETACH part")


@contextlib.contextmanager
def _blaming(source: Path) -> Iterator[None]:
    """Blame the part for whatever fails but writing, which is the new journal's and goes on as it is."""
    try:
        yield
    except sqlite3.IntegrityError as error:
        raise RunError(f"{source.parent}: does not go together with the other shards: {error}.") from None
    except sqlite3.Error as error:
        code = getattr(error, "sqlite_errorcode", 0)
        if code in _READING:
            raise RunError(f"{source}: cannot be read ({error}).") from None
        if code & 0xFF in (sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR):
            raise
        with explained(source):
            raise


def _copy(joined: sqlite3.Connection) -> None:
    (sessions_before,) = joined.execute("SELECT coalesce(max(id), 0) FROM main.sessions").fetchone()
    questions = _columns(joined, "questions")
    joined.execute(f"INSERT INTO questions ({questions}) SELECT {questions} FROM part.questions")  # noqa: S608
    joined.execute(_MODELS)
    sessions = _columns(joined, "sessions", "id")
    joined.execute(
        f"INSERT INTO sessions (id, {sessions}) SELECT id + ?, {sessions} FROM part.sessions ORDER BY id",  # noqa: S608
        (sessions_before,),
    )
    attempts = _columns(joined, "attempts", "id", "session", "model")
    joined.execute(
        f"INSERT INTO attempts (session, model, {attempts}) SELECT session + ?, here.id, {attempts} FROM "  # noqa: S608
        "part.attempts JOIN part.models AS there ON there.id = model JOIN main.models AS here USING (name)",
        (sessions_before,),
    )
    answers = _columns(joined, "answers", "model")
    joined.execute(
        f"INSERT INTO answers (model, {answers}) SELECT here.id, {answers} FROM "  # noqa: S608
        "part.answers JOIN part.models AS there ON there.id = model JOIN main.models AS here USING (name)"
    )


def _columns(joined: sqlite3.Connection, table: str, *but: str) -> str:
    """Name a table's columns, as `SCHEMA` has them, for an SQL statement."""
    names = (row[0] for row in joined.execute("SELECT name FROM pragma_table_info(?)", (table,)))
    return ", ".join(name for name in names if name not in but)
