"""The journal's tables, and its errors in words."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterator
from pathlib import Path

from orchestrator.errors import DiskFullError, NotSetUpError, RunError

FILE_NAME = "journal.sqlite"
FORMAT = 1
BUSY_MILLISECONDS = 30_000
"""How long one connection waits for another."""

SCHEMA = """
CREATE TABLE IF NOT EXISTS meta (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS questions (
    id INTEGER PRIMARY KEY,            -- the place in the whole plan, also where this is a shard of it
    question_id TEXT NOT NULL UNIQUE,
    inspection_id TEXT NOT NULL,
    key TEXT NOT NULL,                 -- the query image
    dataset TEXT NOT NULL,
    product TEXT NOT NULL,
    abnormal INTEGER NOT NULL,
    number INTEGER NOT NULL,           -- the question's index within its image
    rotation INTEGER NOT NULL,
    repeat INTEGER NOT NULL,
    type TEXT,
    text TEXT NOT NULL,
    options TEXT NOT NULL,             -- JSON: [[letter, text], ...] as shown
    original_letters TEXT NOT NULL,    -- of each shown option, the data set's letter
    correct TEXT NOT NULL              -- as shown
);
CREATE INDEX IF NOT EXISTS questions_by_inspection ON questions (inspection_id);
CREATE TABLE IF NOT EXISTS models (
    id INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    identity TEXT NOT NULL,            -- JSON
    card TEXT NOT NULL,                -- JSON
    shots INTEGER NOT NULL             -- templates that it really had
);
CREATE TABLE IF NOT EXISTS answers (
    model INTEGER NOT NULL REFERENCES models (id),
    question INTEGER NOT NULL REFERENCES questions (id),
    outcome TEXT NOT NULL,
    letter TEXT,                       -- as shown
    rule TEXT NOT NULL,
    text TEXT NOT NULL,
    reasoning TEXT NOT NULL,
    prompt TEXT NOT NULL,
    finish_reason TEXT NOT NULL,
    failure TEXT NOT NULL,
    option_scores TEXT,                -- JSON: [[letter, log probability or null], ...]
    images TEXT,                       -- JSON: [[width, height, tokens], ...], as the model saw them
    prompt_tokens INTEGER NOT NULL,
    completion_tokens INTEGER NOT NULL,
    cached_prompt_tokens INTEGER NOT NULL,
    reasoning_tokens INTEGER NOT NULL,
    queue_seconds REAL NOT NULL,
    encode_seconds REAL NOT NULL,
    generate_seconds REAL NOT NULL,
    seconds REAL NOT NULL,
    UNIQUE (model, question)
);
CREATE TABLE IF NOT EXISTS attempts (
    id INTEGER PRIMARY KEY,
    session INTEGER NOT NULL REFERENCES sessions (id),
    model INTEGER NOT NULL REFERENCES models (id),
    inspection_id TEXT NOT NULL,
    target TEXT NOT NULL,
    number INTEGER NOT NULL,
    started_at TEXT NOT NULL,
    seconds REAL NOT NULL,
    code TEXT NOT NULL,
    detail TEXT NOT NULL,
    asked INTEGER NOT NULL,
    answered INTEGER NOT NULL,
    request_bytes INTEGER NOT NULL,
    UNIQUE (session, model, inspection_id, number)
);
CREATE TABLE IF NOT EXISTS sessions (
    id INTEGER PRIMARY KEY,
    started_at TEXT NOT NULL,
    command TEXT NOT NULL,             -- JSON
    versions TEXT NOT NULL,            -- JSON
    models TEXT NOT NULL,              -- JSON: the names asked in this session
    seconds REAL,                      -- null: still going on, or killed
    ending TEXT NOT NULL DEFAULT ''
);
"""


@contextlib.contextmanager
def explained(path: Path) -> Iterator[None]:
    try:
        yield
    except sqlite3.Error as error:
        code = getattr(error, "sqlite_errorcode", 0) & 0xFF
        if code in (sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR):
            raise DiskFullError(
                f"{path.parent}: the journal cannot be written ({error}). All answers so far are "
                "kept. Make room on that disk, then run the same command again: it goes on from there."
            ) from None
        if "no such table" in str(error):
            raise NotSetUpError(
                f"{path.parent}: this run was never finished being set up. Start it again."
            ) from None
        if code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
            raise RunError(
                f"{path.parent}: another process is reading this run (an export, a notebook). Let it finish, "
                "then run the same command again."
            ) from None
        if code in (sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_CORRUPT):
            raise RunError(
                f"{path}: this is not a readable journal ({error}). Choose another --out, or "
                "restore the file."
            ) from None
        if code in (sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_READONLY):
            raise RunError(f"{path}: cannot be opened ({error}).") from None
        raise
