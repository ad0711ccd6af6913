"""Position bias: how often each letter was given, beside how often it was right.

A description of the answers, not an estimate, so it carries no interval. Every record counts, rotations and
repeats too; a record without a letter counts among the right answers only.
"""

from __future__ import annotations

import dataclasses
from collections import Counter

from orchestrator.scoring.baselines import subtask_of
from orchestrator.vocabulary import Record, Subtask


@dataclasses.dataclass(frozen=True, slots=True)
class LetterShare:
    """One letter's shares, in percent."""

    letter: str
    given: float | None
    """Of the letters that were given; None where none was."""
    right: float
    """Of the right answers."""


class Positions:
    """Counts letters, for all questions and for each subtask."""

    def __init__(self) -> None:
        self._given: Counter[tuple[Subtask | None, str]] = Counter()
        self._right: Counter[tuple[Subtask | None, str]] = Counter()

    def add(self, record: Record) -> None:
        """Count one record."""
        for subtask in {None, subtask_of(record)}:
            self._right[subtask, record.correct] += 1
            if record.letter is not None:
                self._given[subtask, record.letter] += 1

    def shares(self) -> dict[Subtask | None, tuple[LetterShare, ...]]:
        """Return the shares by letter; the key None is all questions together."""
        return {
            subtask: self._of(subtask)
            for subtask in (None, *Subtask)
            if any(owner is subtask for owner, _ in self._right)
        }

    def _of(self, subtask: Subtask | None) -> tuple[LetterShare, ...]:
        given = {letter: n for (owner, letter), n in self._given.items() if owner is subtask}
        right = {letter: n for (owner, letter), n in self._right.items() if owner is subtask}
        return tuple(
            LetterShare(
                letter,
                100 * given.get(letter, 0) / sum(given.values()) if given else None,
                100 * right.get(letter, 0) / sum(right.values()),
            )
            for letter in sorted(given.keys() | right.keys())
        )
