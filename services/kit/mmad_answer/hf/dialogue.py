"""What an inspection asks of the model, in which order: all at once, in turns, or after an analysis.

Each inspection has a generator of its own, so that several go through their steps side by side.
"""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Generator, Sequence
from typing import TypeAlias

from mmad_answer.hf.engine import Sampling, Text
from mmad_answer.model import ChainOfThought, Failure, Inspection, Question, Turn
from mmad_answer.prompt import Message, analysis_request, conversation


@dataclasses.dataclass(frozen=True, slots=True, eq=False)
class Request:
    """One text that a dialogue wants: the conversation that leads to it, and the question it answers."""

    messages: Sequence[Message]
    sampling: Sampling
    question: Question | None
    """None: it is the analysis."""
    analysis: str = ""
    goes_on: bool = False
    """Whether the conversation goes on after this text, in a next step."""


Outcome: TypeAlias = Text | Failure
Dialogue: TypeAlias = Generator[list[Request], list[Outcome], None]
"""Yields the requests of its next step, and is sent their outcomes in the same order."""


def dialogue(inspection: Inspection, limits: Limits) -> Dialogue:
    """Go through an inspection's steps."""
    analysis = inspection.analysis
    thinks_first = inspection.chain_of_thought is ChainOfThought.PER_INSPECTION
    if thinks_first and not analysis:
        sampling = limits.sampling(inspection, "analysis", limits.reasoning(inspection))
        [outcome] = yield [Request(analysis_request(inspection), sampling, None, goes_on=True)]
        if isinstance(outcome, Failure):
            return
        analysis = outcome.text

    def request(question: Question, turns: Sequence[Turn]) -> Request:
        return Request(
            conversation(inspection, question, turns, analysis),
            limits.sampling(inspection, question.question_id, limits.answer(inspection)),
            question,
            analysis if thinks_first else "",
            goes_on=inspection.conversation_history,
        )

    if not inspection.conversation_history:
        yield [request(question, inspection.history) for question in inspection.questions]
        return
    turns = list(inspection.history)
    for question in inspection.questions:
        [outcome] = yield [request(question, turns)]
        if isinstance(outcome, Text) and outcome.text:  # as everywhere: what says nothing is no turn
            turns.append(Turn(question, outcome.text))


@dataclasses.dataclass(frozen=True, slots=True)
class Limits:
    """How long texts may be, in tokens, where the request does not say."""

    max_new_tokens: int
    max_reasoning_tokens: int
    thinks: bool = False
    """Whether the model thinks before every text, asked or not."""

    def reasoning(self, inspection: Inspection) -> int:
        """Of an analysis."""
        asked = inspection.generation.max_reasoning_tokens
        return self.max_reasoning_tokens if asked is None else max(1, asked)

    def answer(self, inspection: Inspection) -> int:
        """Of an answer: its thoughts, if it is to think in it, are on top."""
        asked = inspection.generation.max_new_tokens
        answer = self.max_new_tokens if asked is None else asked
        thinks = self.thinks or inspection.chain_of_thought is ChainOfThought.PER_QUESTION
        return answer + (self.reasoning(inspection) if thinks else 0)

    @staticmethod
    def sampling(inspection: Inspection, what: str, max_new_tokens: int) -> Sampling:
        """How one text is chosen; each has a seed of its own, which its neighbours do not change."""
        generation = inspection.generation
        digest = hashlib.sha256(f"{generation.seed or 0}:{what}".encode()).digest()
        return Sampling(
            max_new_tokens,
            generation.temperature or 0.0,
            1.0 if generation.top_p is None else generation.top_p,
            int.from_bytes(digest[:4], "big"),
        )
