"""Option scores, from the tokens that a provider lists at the answer's first position."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Final

from mmad_answer.model import OptionScore

_SPACES: Final = ("", " ", "\u2581", "\u0120")
"""None, the space, and how sentencepiece and byte-level tokenizers write it."""


def option_scores(
    listed: Iterable[tuple[str, float | None]], letters: Sequence[str]
) -> tuple[OptionScore, ...]:
    """Each letter's log probability, summed over the tokens that spell it; None where none does.

    Args:
        listed: (text, natural log probability) of each token, once. Different tokens may have one text.
        letters: those that are wanted.
    """
    tokens = list(listed)
    return tuple(OptionScore(letter, _score(letter, tokens)) for letter in letters)


def _score(letter: str, tokens: Iterable[tuple[str, float | None]]) -> float | None:
    """log(sum(exp(each))), without underflow."""
    spellings = {f"{space}{letter}" for space in _SPACES}
    spelled = [value for text, value in tokens if text in spellings and value is not None]
    known = [value for value in spelled if math.isfinite(value)]
    if not known:
        return None
    most = max(known)
    total = most + math.log(math.fsum(math.exp(each - most) for each in known))
    return min(0.0, total)  # rounded, it may be above
