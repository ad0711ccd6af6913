"""What is in a journal.

While a run goes on the file is in WAL mode, which lets readers be; a finished run's is an ordinary file.
"""

from __future__ import annotations

import dataclasses
import json
import sqlite3
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from orchestrator.errors import NotSetUpError, RunError
from orchestrator.journal.schema import BUSY_MILLISECONDS, FILE_NAME, FORMAT, explained
from orchestrator.vocabulary import (
    Inspection,
    Option,
    OptionScore,
    Outcome,
    QuestionType,
    Record,
    Reply,
    Usage,
)

_USAGE = tuple(field.name for field in dataclasses.fields(Usage))


@dataclasses.dataclass(frozen=True, slots=True)
class StoredModel:
    """A model of the run as the journal knows it. `identity` and `card` are JSON values."""

    name: str
    identity: dict[str, Any]
    card: dict[str, Any]
    shots: int
    """Templates that it really had."""


class JournalReader:
    """An open journal, for reading."""

    def __init__(self, folder: Path) -> None:
        """Open the journal in a run's folder.

        Raises:
            RunError: if there is none, or it is not one that this version reads.
        """
        self.path = folder / FILE_NAME
        if not self.path.is_file():
            raise RunError(f"{folder} holds no run: there is no {FILE_NAME} in it.")
        with explained(self.path):
            self._reader = self._connect("ro")
            self._check_format()
            if self.meta("format") is None:
                raise NotSetUpError(f"{folder}: this run was never finished being set up. Start it again.")

    def _connect(self, mode: str) -> sqlite3.Connection:
        uri = f"{self.path.absolute().as_uri()}?mode={mode}"
        connection = sqlite3.connect(uri, uri=True, timeout=BUSY_MILLISECONDS / 1000, check_same_thread=False)
        connection.row_factory = sqlite3.Row
        return connection

    def _check_format(self) -> None:
        stored = self.meta("format")
        if stored not in (None, FORMAT):
            raise RunError(f"{self.path} has format {stored}; this version reads format {FORMAT}.")

    def close(self) -> None:
        """Close the file."""
        self._reader.close()

    def meta(self, name: str) -> Any:
        """Return a stored JSON value, or None."""
        row = self._one("SELECT value FROM meta WHERE name = ?", (name,))
        return json.loads(row[0]) if row else None

    def _query(self, sql: str, values: Sequence[object] = ()) -> Iterator[Any]:
        # Rows are read as they are asked for, so a damaged file may show at any of them.
        with explained(self.path):
            yield from self._reader.execute(sql, values)

    def _one(self, sql: str, values: Sequence[object] = ()) -> Any:
        return next(self._query(sql, values), None)

    def kept(self, model: str, inspection: Inspection, *, failures: bool = True) -> dict[str, Reply]:
        """Return the replies of an inspection that are there already, by question id.

        Without `failures` only those that are none: what failed is to be asked again.
        """
        # CROSS, for SQLite joins in this order then: it might go through all of the model's answers instead.
        rows = self._query(
            "SELECT question_id, answers.text, reasoning, failure FROM questions CROSS JOIN answers ON "
            "answers.question = questions.id WHERE questions.inspection_id = ? AND answers.model = ? "
            "AND (? OR outcome != 'failed')",
            (inspection.inspection_id, self._id(model), failures),
        )
        return {row[0]: Reply(row[0], text=row[1], reasoning=row[2], failure=row[3]) for row in rows}

    def models(self) -> list[StoredModel]:
        """Return the run's models, in the order in which they came to it."""
        rows = self._query("SELECT name, identity, card, shots FROM models ORDER BY id")
        return [StoredModel(name, json.loads(i), json.loads(c), shots) for name, i, c, shots in rows]

    def _id(self, model: str | None) -> int | None:
        row = self._one("SELECT id FROM models WHERE name = ?", (model,))
        return row[0] if row else None

    def question_count(self) -> int:
        """Return how many questions each model is asked."""
        count: int = self._one("SELECT count(*) FROM questions")[0]
        return count

    def image_count(self) -> int:
        """Return how many query images the run asks about."""
        count: int = self._one("SELECT count(DISTINCT key) FROM questions")[0]
        return count

    def records(self, model: str | None) -> Iterator[Record]:
        """Yield the plan's questions in order, each with what `model` made of it (None: nobody)."""
        rows = self._query(
            "SELECT key, dataset, product, abnormal, number, type, rotation, repeat, options, "
            "original_letters, correct, letter, outcome, option_scores FROM questions LEFT JOIN answers ON "
            "answers.question = questions.id AND answers.model = ? ORDER BY questions.id",
            (self._id(model),),
        )
        for row in rows:
            yield Record(
                key=row[0],
                dataset=row[1],
                product=row[2],
                abnormal=bool(row[3]),
                index=row[4],
                type=QuestionType(row[5]) if row[5] else None,
                rotation=row[6],
                repeat=row[7],
                options=tuple(Option(*pair) for pair in json.loads(row[8])),
                original_letters=tuple(row[9]),
                correct=row[10],
                letter=row[11],
                outcome=Outcome(row[12]) if row[12] else Outcome.MISSING,
                option_scores=tuple(OptionScore(*pair) for pair in json.loads(row[13] or "[]")),
            )

    def texts(self) -> dict[tuple[str, int], str]:
        """Return every question's text by (image key, index)."""
        rows = self._query("SELECT DISTINCT key, number, text FROM questions")
        return {(key, number): text for key, number, text in rows}

    def answers(self, model: str) -> Iterator[dict[str, Any]]:
        """Yield every answer of a model with all that is known of it, as flat values, in the plan's order."""
        rows = self._query(
            "SELECT question_id, inspection_id, key, dataset, product, abnormal, number, rotation, repeat, "
            "type, questions.text AS question, options, original_letters, correct, outcome, letter, rule, "
            "answers.text AS text, reasoning, prompt, finish_reason, failure, option_scores, images, "
            "prompt_tokens, completion_tokens, cached_prompt_tokens, reasoning_tokens, queue_seconds, "
            "encode_seconds, generate_seconds, seconds FROM questions JOIN answers ON "
            "answers.question = questions.id WHERE answers.model = ? ORDER BY questions.id",
            (self._id(model),),
        )
        for row in rows:
            values = dict(row)
            original = dict(
                zip((o[0] for o in json.loads(values["options"])), values["original_letters"], strict=True)
            )
            values["abnormal"] = bool(values["abnormal"])
            values["options"] = dict(json.loads(values["options"]))
            values["option_scores"] = dict(json.loads(values["option_scores"] or "[]"))
            values["images"] = json.loads(values["images"] or "[]")
            values["original_letter"] = original.get(values["letter"])
            values["original_correct"] = original[values["correct"]]
            values["right"] = values["outcome"] == Outcome.ANSWERED and values["letter"] == values["correct"]
            yield {"model": model, **values}

    def counts(self, model: str) -> dict[Outcome, int]:
        """Return how many questions had which outcome, MISSING included."""
        rows = self._query(
            "SELECT outcome, count(*) FROM answers WHERE model = ? GROUP BY outcome",
            (self._id(model),),
        )
        counts = dict.fromkeys(Outcome, 0) | {Outcome(outcome): count for outcome, count in rows}
        counts[Outcome.MISSING] = self.question_count() - sum(counts.values())
        return counts

    def right(self, model: str) -> int:
        """Return how many answers of a model are right."""
        count: int = self._one(
            "SELECT count(*) FROM answers JOIN questions ON questions.id = answers.question "
            "WHERE model = ? AND letter = correct",
            (self._id(model),),
        )[0]
        return count

    def failures(self, model: str, limit: int) -> list[tuple[str, str]]:
        """Return the first failed questions of a model, one for each image, with the reason."""
        rows = self._query(
            "SELECT question_id, failure FROM answers JOIN questions ON questions.id = answers.question "
            "WHERE model = ? AND outcome = 'failed' GROUP BY inspection_id "
            "ORDER BY min(questions.id) LIMIT ?",
            (self._id(model), limit),
        )
        return [(row[0], row[1]) for row in rows]

    def failed_by(self, model: str, code: str) -> int:
        """Return how many of a model's questions failed in inspections with an attempt of this status."""
        model_id = self._id(model)
        count: int = self._one(
            "SELECT count(*) FROM answers JOIN questions ON questions.id = answers.question "
            "WHERE model = ? AND outcome = 'failed' AND inspection_id IN "
            "(SELECT inspection_id FROM attempts WHERE model = ? AND code = ?)",
            (model_id, model_id, code),
        )[0]
        return count

    def execution(self, model: str) -> dict[str, Any]:
        """Return what a model's answers cost: attempts, tokens, seconds, bytes; and who gave them.

        `answered_by` has each address that has answered, with the number of questions; a replica that has
        another address after a restart has two.
        """
        of_model = (self._id(model),)
        attempts = self._query(
            "SELECT code, count(*) FROM attempts WHERE model = ? GROUP BY code ORDER BY code", of_model
        )
        answered_by = self._query(
            "SELECT target, sum(answered) FROM attempts WHERE model = ? AND answered > 0 "
            "GROUP BY target ORDER BY target",
            of_model,
        )
        sent, spent = self._one(
            "SELECT total(request_bytes), total(seconds) FROM attempts WHERE model = ?", of_model
        )
        used = self._one(
            "SELECT total(prompt_tokens), total(completion_tokens), total(cached_prompt_tokens), "
            "total(reasoning_tokens) FROM answers WHERE model = ?",
            of_model,
        )
        return {
            "attempts": dict(attempts),
            "answered_by": dict(answered_by),
            "request_bytes": int(sent),
            "attempt_seconds": spent,
            **dict(zip(_USAGE, map(int, used), strict=True)),
        }

    def sessions(self) -> list[dict[str, Any]]:
        """Return the sessions that worked on this run, the first one first."""
        rows = self._query(
            "SELECT started_at, command, versions, models, seconds, ending FROM sessions ORDER BY id"
        )
        return [
            {
                "started_at": row[0],
                "command": json.loads(row[1]),
                "versions": json.loads(row[2]),
                "models": json.loads(row[3]),
                "seconds": row[4],
                "ending": row[5] or "killed, or still going on",
            }
            for row in rows
        ]
