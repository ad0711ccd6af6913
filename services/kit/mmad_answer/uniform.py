"""What models say that answer some or all questions by chance: one rule for all, so that they agree."""

from __future__ import annotations

import hashlib
import math

from mmad_answer.model import Answer, ChainOfThought, Generation, Inspection, OptionScore, Question

_NO_ANALYSIS = "none: this baseline does not think"


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


def analysis(inspection: Inspection) -> str:
    """Return what stands for the inspection's analysis, each answer's reasoning, where nothing is analysed.

    It is what an earlier call made, if this one brings it along; "" where no analysis was asked for.
    """
    if inspection.chain_of_thought is not ChainOfThought.PER_INSPECTION:
        return ""
    return inspection.analysis or _NO_ANALYSIS
