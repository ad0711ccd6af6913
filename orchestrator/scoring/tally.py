"""Records, counted: per image and part, how many questions were asked and how many were right.

One pass, any order, memory for one number per question. A question that is asked in several rotations counts
once and is right when it is right in all of them; each repeat counts by itself.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable
from typing import NamedTuple

import numpy as np

from orchestrator.scoring.cells import PARTS, Array, dataset_rank, part_of
from orchestrator.vocabulary import Outcome, Record


class ImageKey(NamedTuple):
    """A query image and the stratum it belongs to."""

    dataset: str
    product: str
    abnormal: bool
    key: str


@dataclasses.dataclass(frozen=True, slots=True, eq=False)
class Table:
    """Counts of whole images, the units that are resampled."""

    images: tuple[ImageKey, ...]
    """Sorted by data set (MMAD's four first), product, normal before abnormal, key."""
    right: Array
    """(images, PARTS)"""
    asked: Array
    """(images, PARTS)"""


def is_right(record: Record) -> float:
    """1.0 for the right letter. Only an answer that was read can be right."""
    return float(record.outcome is Outcome.ANSWERED and record.letter == record.correct)


class Tally:
    """Collects records. A record's `value` is 0 to 1; a question's is the product over its rotations."""

    def __init__(self, value: Callable[[Record], float] = is_right) -> None:
        self._value = value
        self._images: dict[ImageKey, dict[tuple[int, int, int], float]] = {}
        self.repeats: set[int] = set()
        self.rotations = 0
        """The most rotations that any question has."""

    def add(self, record: Record) -> None:
        """Count one record."""
        image = ImageKey(record.dataset, record.product, record.abnormal, record.key)
        questions = self._images.setdefault(image, {})
        question = (record.repeat, record.index, part_of(record.type, abnormal=record.abnormal))
        questions[question] = questions.get(question, 1.0) * self._value(record)
        self.repeats.add(record.repeat)
        self.rotations = max(self.rotations, record.rotation + 1)

    def table(self, repeat: int | None = None) -> Table:
        """Sum up, over all repeats or for one."""
        images = sorted(self._images, key=lambda image: (dataset_rank(image.dataset), *image[1:]))
        right = np.zeros((len(images), PARTS))
        asked = np.zeros((len(images), PARTS))
        for i, image in enumerate(images):
            for (of_repeat, _, part), value in sorted(self._images[image].items()):
                if repeat in (None, of_repeat):
                    right[i, part] += value
                    asked[i, part] += 1
        return Table(tuple(images), right, asked)


def tally(records: Iterable[Record], value: Callable[[Record], float] = is_right) -> Table:
    """Count records in one call."""
    counted = Tally(value)
    for record in records:
        counted.add(record)
    return counted.table()
