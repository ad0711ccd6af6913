"""Option scores: the probability that the answer begins with a letter, over all tokens that spell it."""

from __future__ import annotations

import collections
import math
from collections.abc import Sequence
from typing import Any

import torch

from mmad_answer.model import OptionScore, Question


class LetterTokens:
    """Which of a vocabulary's tokens spell which capital letter, with or without white space before it."""

    def __init__(self, tokenizer: Any) -> None:
        special = set(tokenizer.all_special_ids)
        ids = [each for each in range(len(tokenizer)) if each not in special]
        self._tokens: dict[str, list[int]] = collections.defaultdict(list)
        for token, text in zip(ids, tokenizer.batch_decode([[each] for each in ids]), strict=True):
            letter = text.lstrip()
            if len(letter) == 1 and "A" <= letter <= "Z":
                self._tokens[letter].append(token)

    def scores(self, question: Question, logits: torch.Tensor) -> tuple[OptionScore, ...]:
        """Each offered letter's natural log of its probability, not normalised over the options.

        Args:
            question: whose options are scored.
            logits: of the answer's first position, one for each token of the vocabulary.
        """
        log_probabilities = torch.log_softmax(logits.double(), dim=-1)
        return tuple(
            OptionScore(option.letter, _sum(log_probabilities, self._tokens[option.letter]))
            for option in question.options
        )


def _sum(log_probabilities: torch.Tensor, tokens: Sequence[int]) -> float | None:
    """None if no token spells the letter, or none can come."""
    if not tokens:
        return None
    total = float(torch.logsumexp(log_probabilities[list(tokens)], dim=-1))
    return total if math.isfinite(total) else None
