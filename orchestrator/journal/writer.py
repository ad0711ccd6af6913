"""Writing the journal: setting a run up, and keeping answers as they come.

WAL with synchronous=FULL: an answer that `keep` has returned for survives a power cut. One thread writes, and
commits all that waits in one transaction, so that answers that arrive during one sync to disk share the next.
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import itertools
import json
import queue
import sqlite3
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future
from pathlib import Path

from orchestrator.errors import DiskFullError, NotSetUpError
from orchestrator.journal.reader import JournalReader, StoredModel
from orchestrator.journal.schema import BUSY_MILLISECONDS, FILE_NAME, FORMAT, SCHEMA, explained
from orchestrator.vocabulary import Answer, Attempt, Inspection

_QUESTION = """
INSERT INTO questions (id, question_id, inspection_id, key, dataset, product, abnormal, number, rotation,
                       repeat, type, text, options, original_letters, correct)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
"""

_MODEL = """
INSERT INTO models (name, identity, card, shots) VALUES (?, ?, ?, ?)
ON CONFLICT (name) DO UPDATE SET card = excluded.card, shots = excluded.shots
"""

# An unknown model or question is a NULL, which the table refuses: nothing is lost without a word.
_KEEP = """
INSERT INTO answers (model, question, outcome, letter, rule, text, reasoning, prompt, finish_reason, failure,
                     option_scores, images, prompt_tokens, completion_tokens, cached_prompt_tokens,
                     reasoning_tokens, queue_seconds, encode_seconds, generate_seconds, seconds)
VALUES ((SELECT id FROM models WHERE name = ?), (SELECT id FROM questions WHERE question_id = ?),
        ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (model, question) DO UPDATE SET
    outcome = excluded.outcome, letter = excluded.letter, rule = excluded.rule, text = excluded.text,
    reasoning = excluded.reasoning, prompt = excluded.prompt, finish_reason = excluded.finish_reason,
    failure = excluded.failure, option_scores = excluded.option_scores, images = excluded.images,
    prompt_tokens = excluded.prompt_tokens, completion_tokens = excluded.completion_tokens,
    cached_prompt_tokens = excluded.cached_prompt_tokens, reasoning_tokens = excluded.reasoning_tokens,
    queue_seconds = excluded.queue_seconds, encode_seconds = excluded.encode_seconds,
    generate_seconds = excluded.generate_seconds, seconds = excluded.seconds
WHERE answers.outcome = 'failed'
"""

_ATTEMPT = """
INSERT INTO attempts (session, model, inspection_id, target, number, started_at, seconds, code, detail, asked,
                      answered, request_bytes)
VALUES (?, (SELECT id FROM models WHERE name = ?), ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (session, model, inspection_id, number) DO UPDATE SET
    seconds = excluded.seconds, code = excluded.code, detail = excluded.detail, answered = excluded.answered,
    request_bytes = excluded.request_bytes
"""

_SWITCH_MILLISECONDS = 3_000
"""For readers to finish, so that the file can be switched to WAL."""

_Statement = tuple[str, Sequence[object]]
_Waiting = tuple[_Statement, "Future[None]"]


class Journal(JournalReader):
    """A run's journal, open for writing by the one process that works on the run (see `runfolder`)."""

    def __init__(self, folder: Path) -> None:
        """Open the journal in `folder`, or make an empty one there.

        Raises:
            RunError: if the file is not a journal that this version reads.
            DiskFullError: if the disk has no room for it.
        """
        self.path = folder / FILE_NAME
        self._made = not self.path.exists()
        with explained(self.path):
            self._reader = self._connect("rwc")
            with contextlib.suppress(NotSetUpError):  # a new file has no tables yet
                self._check_format()
            self._reader.execute(f"PRAGMA busy_timeout = {_SWITCH_MILLISECONDS}")
            self._reader.execute("PRAGMA journal_mode = WAL")
            self._reader.execute(f"PRAGMA busy_timeout = {BUSY_MILLISECONDS}")
            self._reader.execute("PRAGMA synchronous = FULL")
            self._reader.executescript(SCHEMA)
            self._writer = self._connect("rw")
            self._writer.execute("PRAGMA synchronous = FULL")
        self._session = 0
        self._queue: queue.SimpleQueue[_Waiting | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._write, name="journal", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Write what waits and close the file, which then holds everything: it can be copied by itself.

        One that this made and nobody has set up is removed.
        """
        self._queue.put(None)
        self._thread.join()
        self._writer.close()
        unused = self._made and self.meta("format") is None
        # Out of WAL, whose two side files a reader without the right to write could not make. While somebody
        # reads the run this is refused, and the side files stay until the next session.
        with contextlib.suppress(sqlite3.Error):
            self._reader.execute("PRAGMA busy_timeout = 0")
            self._reader.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            self._reader.execute("PRAGMA journal_mode = DELETE")
        super().close()
        if unused:
            self.path.unlink(missing_ok=True)

    # --------------------------------------------------------------------------------------- setting up

    def create(
        self,
        identity: Mapping[str, object],
        inspections: Iterable[Inspection],
        root: str,
        numbers: Iterable[int] | None = None,
    ) -> None:
        """Write what the run is and all its questions in one transaction: wholly or not at all.

        Args:
            identity: what makes it this run.
            inspections: all that it asks.
            root: where the images are.
            numbers: of each question, its place in the whole run; None: this is the whole.
        """
        rows = (row for inspection in inspections for row in _question_rows(inspection))
        numbered = zip(rows, itertools.count(1)) if numbers is None else zip(rows, numbers, strict=True)
        with explained(self.path), self._reader:
            self._reader.executemany(_QUESTION, ((number, *row) for row, number in numbered))
            for name, value in (("identity", identity), ("root", root), ("format", FORMAT)):
                self._reader.execute("INSERT INTO meta VALUES (?, ?)", (name, json.dumps(value)))

    def add_model(self, model: StoredModel) -> None:
        """Add a model to the run, or update the card and shots of one that is there."""
        values = (model.name, json.dumps(model.identity), json.dumps(model.card), model.shots)
        with explained(self.path), self._reader:
            self._reader.execute(_MODEL, values)

    def set_root(self, root: str) -> None:
        """Note where the images are now: a data set may be moved without the run becoming another."""
        with explained(self.path), self._reader:
            self._reader.execute("UPDATE meta SET value = ? WHERE name = 'root'", (json.dumps(root),))

    def begin_session(
        self, started_at: str, command: Sequence[str], versions: Mapping[str, str], models: Sequence[str]
    ) -> None:
        """Note that a process begins to work on this run; attempts from now on are this session's."""
        values = (started_at, json.dumps(list(command)), json.dumps(dict(versions)), json.dumps(list(models)))
        with explained(self.path), self._reader:
            cursor = self._reader.execute(
                "INSERT INTO sessions (started_at, command, versions, models) VALUES (?, ?, ?, ?)", values
            )
        self._session = cursor.lastrowid or 0

    def end_session(self, seconds: float, ending: str) -> None:
        """Note how the session ended: "finished", "interrupted", ..."""
        with explained(self.path), self._reader:
            self._reader.execute(
                "UPDATE sessions SET seconds = ?, ending = ? WHERE id = ?", (seconds, ending, self._session)
            )

    # --------------------------------------------------------------------------------------- keeping

    async def keep(self, model: str, answer: Answer) -> None:
        """Store an answer; returns when it is on disk. One that is there stays as it is, but for a failure.

        Raises:
            DiskFullError: if the disk is full. The answer is then not kept.
        """
        reply = answer.reply
        scores = [[score.letter, score.log_probability] for score in reply.option_scores]
        images = [dataclasses.astuple(image) for image in reply.images]
        values = (
            model,
            reply.question_id,
            answer.outcome.value,
            answer.letter,
            answer.rule,
            reply.text,
            reply.reasoning,
            reply.prompt,
            reply.finish_reason,
            reply.failure,
            json.dumps(scores, allow_nan=False) if scores else None,
            json.dumps(images) if images else None,
            *dataclasses.astuple(reply.usage),
            *dataclasses.astuple(reply.timing),
            reply.seconds,
        )
        await self._durable((_KEEP, values))

    def attempting(self, attempt: Attempt) -> None:
        """Store an attempt that begins. Nobody waits for it, but no later answer is on disk before it is."""
        self._submit((_ATTEMPT, (self._session, *dataclasses.astuple(attempt))))

    async def attempted(self, attempt: Attempt) -> None:
        """Store how an attempt ended; returns when it is on disk."""
        await self._durable((_ATTEMPT, (self._session, *dataclasses.astuple(attempt))))

    async def _durable(self, statement: _Statement) -> None:
        # Shielded: what was received is kept, even when whoever received it is cancelled. Its error is then
        # nobody's, and asyncio would print it: another one has stopped the run by then.
        written = asyncio.wrap_future(self._submit(statement))
        written.add_done_callback(lambda done: done.cancelled() or done.exception())
        await asyncio.shield(written)

    def _submit(self, statement: _Statement) -> Future[None]:
        future: Future[None] = Future()
        self._queue.put((statement, future))
        return future

    def _write(self) -> None:
        for batch in self._batches():
            self._commit(batch)

    def _commit(self, batch: Sequence[_Waiting]) -> None:
        """Write a batch in one transaction, or, if one of it cannot be written, each by itself."""
        try:
            with explained(self.path), self._writer:
                for (sql, values), _ in batch:
                    self._writer.execute(sql, values)
        except Exception as error:  # whatever it is, somebody waits to hear of it
            if len(batch) > 1 and not isinstance(error, DiskFullError):
                for one in batch:
                    self._commit([one])
                return
            for _, future in batch:
                future.set_exception(error)
        else:
            for _, future in batch:
                future.set_result(None)

    def _batches(self) -> Iterator[list[_Waiting]]:
        """Yield all that waits, whenever something does, until the journal is closed."""
        going_on = True
        while going_on:
            waiting = [self._queue.get()]
            with contextlib.suppress(queue.Empty):
                while True:
                    waiting.append(self._queue.get_nowait())
            going_on = None not in waiting
            if batch := [item for item in waiting if item is not None]:
                yield batch


def _question_rows(inspection: Inspection) -> Iterator[tuple[object, ...]]:
    sample = inspection.sample
    for question in inspection.questions:
        yield (
            question.question_id,
            inspection.inspection_id,
            sample.key,
            sample.dataset,
            sample.product,
            sample.abnormal,
            question.index,
            question.rotation,
            inspection.repeat,
            question.type,
            question.text,
            json.dumps([[option.letter, option.text] for option in question.options]),
            "".join(question.original_letters),
            question.correct,
        )
