"""A model for fault tests: deliberate, and with a memory.

Each answer depends on the question, on the seed and on every earlier turn, so a call that goes on after a
fault with another history would give other answers. Each question that it is asked is noted in a file, before
it is answered, and takes a fixed time.
"""

from __future__ import annotations

import dataclasses
import hashlib
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from mmad_answer.model import Answer, Capabilities, Card, Inspection, Model, OptionScore, Reply


@dataclasses.dataclass(frozen=True)
class Options:
    """How slow, and where to note what is asked."""

    seconds: float = 0.02
    asked: str = ""
    revision: str = "1"
    scores: bool = True
    max_images: int = 64


class Deliberate(Model[Options]):
    """Answers by a hash of all that it was told."""

    Options = Options
    workers = 4

    def describe(self) -> Card:
        """Has a memory; neither thinks nor answers without images."""
        capabilities = Capabilities(
            option_scores=self.options.scores, conversation_history=True, deterministic=True
        )
        return Card(
            name="deliberate",
            family="test",
            revision=self.options.revision,
            max_images=self.options.max_images,
            capabilities=capabilities,
        )

    def answer(self, batch: Sequence[Inspection]) -> Iterator[Reply]:
        """One question after the other, each after its time."""
        for inspection in batch:
            told = [f"{turn.question.question_id}={turn.answer}" for turn in inspection.history]
            for question in inspection.questions:
                if inspection.stopped.is_set():
                    break
                if self.options.asked:
                    with Path(self.options.asked).open("a") as file:
                        file.write(f"{question.question_id}\n")
                time.sleep(self.options.seconds)
                memory = told if inspection.conversation_history else []
                words = [question.question_id, str(inspection.generation.seed), *memory]
                digest = hashlib.sha256("|".join(words).encode()).digest()
                chosen = question.options[digest[0] % len(question.options)]
                told.append(f"{question.question_id}={chosen.letter}")
                scores = tuple(OptionScore(o.letter, -1.0 - (o is not chosen)) for o in question.options)
                yield Reply(inspection, question.question_id, Answer(chosen.letter, option_scores=scores))
