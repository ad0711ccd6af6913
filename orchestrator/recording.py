"""The run's side of the fan-out: a reply is read, kept in the journal, and counted for the eyes.

It belongs to the session, which knows all parts; that is why it may look to scoring's reading of letters.
"""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Mapping

from orchestrator.journal.writer import Journal
from orchestrator.options import AnswerBy
from orchestrator.scoring.letters import read_letter
from orchestrator.scoring.option_scores import answer_by_scores
from orchestrator.vocabulary import Answer, AskedQuestion, Attempt, Inspection, Outcome, Reply


def read(question: AskedQuestion, reply: Reply, answer_by: AnswerBy) -> Answer:
    """Say what a reply amounts to: a letter and the rule that read it, or why there is none."""
    if reply.failure:
        return Answer(reply, Outcome.FAILED, None, "")
    if reply.finish_reason == "refused":
        return Answer(reply, Outcome.REFUSED, None, "")
    if answer_by is AnswerBy.SCORES:
        letter, rule = answer_by_scores(reply.option_scores, question.options), "scores"
    else:
        reading = read_letter(reply.text, question.options, cut=reply.finish_reason == "length")
        letter, rule = reading.letter, reading.rule
    return Answer(reply, Outcome.ANSWERED if letter else Outcome.UNREADABLE, letter, rule)


@dataclasses.dataclass
class Progress:
    """How far one model is: what was there at the start and what this session added."""

    total: int
    counts: dict[Outcome, int]
    right: int | None
    """None where nothing is right or wrong."""
    started: float = dataclasses.field(default_factory=time.monotonic)
    ended: float | None = None
    """When the last question was answered; both on the monotonic clock."""
    fresh: int = 0
    """Answers of this session, failures included."""
    state: str = ""
    """For people; "" when all is well."""

    @property
    def done(self) -> int:
        """Questions with any outcome."""
        return self.total - self.counts[Outcome.MISSING]

    @property
    def seconds(self) -> float:
        """How long this session has worked, or did work, on this model."""
        return (self.ended or time.monotonic()) - self.started

    def add(self, outcome: Outcome, *, right: bool) -> None:
        """Count one more answer."""
        self.counts[outcome] += 1
        self.counts[Outcome.MISSING] -= 1
        if self.right is not None:
            self.right += right
        self.fresh += 1
        if self.done == self.total:
            self.ended = time.monotonic()


class Recording:
    """Keeps what the fan-out receives (`dispatch.Recorder`) and shows how it stands (`dispatch.Observer`)."""

    def __init__(
        self,
        journal: Journal,
        answer_by: AnswerBy,
        progress: Mapping[str, Progress],
        note: Callable[[str], None] = lambda text: None,
        *,
        retry_failed: bool = False,
    ) -> None:
        """`progress` has an entry for every model that will be asked; `note` says one thing to people."""
        self._journal = journal
        self._answer_by = answer_by
        self._progress = progress
        self._note = note
        self._retry_failed = retry_failed

    def kept(self, model: str, inspection: Inspection) -> Mapping[str, Reply]:
        """Return the replies that need not be asked for."""
        return self._journal.kept(model, inspection, failures=not self._retry_failed)

    async def keep(self, model: str, inspection: Inspection, reply: Reply) -> None:
        """Read and store one reply; returns when it is on disk."""
        question = next(q for q in inspection.questions if q.question_id == reply.question_id)
        answer = read(question, reply, self._answer_by)
        await self._journal.keep(model, answer)
        right = answer.outcome is Outcome.ANSWERED and answer.letter == question.correct
        self._progress[model].add(answer.outcome, right=right)

    def attempting(self, attempt: Attempt) -> None:
        """Store an attempt that begins, without waiting for the disk."""
        self._journal.attempting(attempt)

    async def attempted(self, attempt: Attempt) -> None:
        """Store how an attempt ended."""
        await self._journal.attempted(attempt)

    def state(self, model: str, text: str) -> None:
        """Say how a model's endpoints are; "" when all is well."""
        self._progress[model].state = text

    def note(self, model: str, text: str) -> None:
        """Say one thing about a model."""
        self._note(f"{model}: {text}")
