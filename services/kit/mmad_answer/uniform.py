"""The random answer, for models that answer some or all questions by chance: one rule, so that they agree."""

from __future__ import annotations

import hashlib
import math

from mmad_answer.model import Answer, Generation, OptionScore, Question


def draw(question: Question, generation: Generation) -> Answer:
    """Draw one of the offered letters, all equally likely, by the seed (none is 0) and the question's id."""
    letters = [option.letter for option in question.options]
    # Not Python's own hash() or random: those differ between processes or may between versions.
    digest = hashlib.sha256(f"{generation.seed or 0}:{question.question_id}".encode()).digest()
    letter = letters[int.from_bytes(digest, "big") % len(letters)]  # its bias is below 2**-250
    scores: tuple[OptionScore, ...] = ()
    if generation.option_scores:
        scores = tuple(OptionScore(each, math.log(1 / len(letters))) for each in letters)
    return Answer(letter, option_scores=scores)
