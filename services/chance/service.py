"""Chance: every offered letter is as likely as any other. A model must beat it to have seen anything."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Iterator, Sequence

from mmad_answer import uniform
from mmad_answer.model import Capabilities, Card, Inspection, Model, NoOptions, Reply
from mmad_answer.version import __version__


class Chance(Model[NoOptions]):
    """Uniform over the offered letters, drawn from the question's id and the seed alone."""

    batch_size = 8

    def describe(self) -> Card:
        """Say who this is; there is nothing to load."""
        return Card(
            name="chance",
            family="baseline",
            checkpoint="uniform",
            revision=__version__,
            capabilities=Capabilities(
                option_scores=True,
                conversation_history=True,
                chain_of_thought=True,
                deterministic=True,
                text_only=True,
            ),
            prompt_sha256=hashlib.sha256(b"").hexdigest(),
            notes=(
                "looks at nothing: images, history, instructions and requests to think change no answer",
                "its answers depend on each question's id and on the seed alone",
            ),
        )

    def answer(self, batch: Sequence[Inspection]) -> Iterator[Reply]:
        """Draw a letter for each question."""
        for inspection in batch:
            if inspection.stopped.is_set():
                continue
            for question in inspection.questions:
                answer = uniform.draw(question, inspection.generation)
                answer = dataclasses.replace(answer, reasoning=uniform.analysis(inspection))
                yield Reply(inspection, question.question_id, answer)
