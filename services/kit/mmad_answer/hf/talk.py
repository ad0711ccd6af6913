"""One inspection on its way through the engine: its dialogue, and the rows of its present step."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from mmad_answer.hf.dialogue import Dialogue, Outcome, Request
from mmad_answer.hf.engine import Opening, common_prefix
from mmad_answer.hf.family import Tensors
from mmad_answer.hf.prompting import Prompt
from mmad_answer.model import Failure, FailureReason, Inspection


@dataclasses.dataclass(frozen=True, slots=True, eq=False)
class Row:
    """One text to generate."""

    inspection: Inspection
    request: Request
    prompt: Prompt
    inputs: Sequence[Tensors]
    """Of each image of the inspection."""


@dataclasses.dataclass(frozen=True, slots=True, eq=False)
class Done:
    """What became of a row."""

    row: Row
    outcome: Outcome
    encode_seconds: float = 0.0
    generate_seconds: float = 0.0
    cached_tokens: int = 0
    """Of the prompt, those that were computed with an earlier row."""
    image_tokens: Sequence[int] = ()


@dataclasses.dataclass(slots=True, eq=False)
class Talk:
    """A dialogue, step by step."""

    inspection: Inspection
    dialogue: Dialogue
    _rows: Sequence[Row] = ()
    _probes: Sequence[Prompt] = ()
    """Prompts that the next steps' begin like, as far as that is known before their words are."""
    _outcomes: dict[Row, Outcome] = dataclasses.field(default_factory=dict)
    _encode_seconds: float = 0.0
    """Spent on its images and prompts, and not told yet."""

    @property
    def open_rows(self) -> list[Row]:
        """What has no outcome yet, and somebody waits for."""
        if self.inspection.stopped.is_set():
            return []
        return [row for row in self._rows if row not in self._outcomes]

    def begin(self, rows: Sequence[Row], probes: Sequence[Prompt], seconds: float) -> None:
        """Take up a step; making its rows has taken so many seconds."""
        self._rows, self._probes, self._outcomes = rows, probes, {}
        self.spend(seconds)

    def spend(self, seconds: float) -> None:
        """Count time that is to be told with the next row that is done."""
        self._encode_seconds += seconds

    def told(self, done: Done) -> Done:
        """Note what became of a row; the same with the time that was spent for it before."""
        self._outcomes[done.row] = done.outcome
        done = dataclasses.replace(done, encode_seconds=done.encode_seconds + self._encode_seconds)
        self._encode_seconds = 0.0
        return done

    def next_requests(self) -> list[Request]:
        """Tell the dialogue what came of its step; its next step. Nothing for nobody, or after the end."""
        if not self._rows or self.inspection.stopped.is_set():
            return []
        lost = Failure(FailureReason.INTERNAL, "no text was made for this")
        try:
            return self.dialogue.send([self._outcomes.get(row, lost) for row in self._rows])
        except StopIteration:
            return []

    def opening(self) -> Opening | None:
        """What all of the texts to come begin with; None if nothing, or if images come after it."""
        prompts = [row.prompt for row in self.open_rows]
        if not prompts:
            return None
        length = min(common_prefix([*prompts, *self._probes]), min(len(each.ids) for each in prompts) - 1)
        if length == 0 or length < prompts[0].images_end:
            return None
        return Opening(prompts[0].head(length), self.inspection.images, self._rows[0].inputs)
