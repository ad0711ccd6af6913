"""What a cell is, and every figure that follows from cells.

Both protocols, the intervals, the paired tests and the baselines compute with these few functions, so that no
two of them can disagree. Right and asked questions are counted in nine parts: detection on normal images,
detection on abnormal ones, the other six subtasks, and questions without a type (the hub's CSV). All figures
are in percent.
"""

from __future__ import annotations

import enum
from typing import Final

import numpy as np
from numpy.typing import NDArray

from orchestrator.vocabulary import SUBTASK_OF, QuestionType, Subtask

Array = NDArray[np.float64]

MMAD_DATASETS: Final = ("DS-MVTec", "MVTec-LOCO", "VisA", "GoodsAD")
SUBTASKS: Final = tuple(Subtask)
NORMAL, ABNORMAL, UNTYPED, PARTS = 0, 1, 8, 9
"""Indices of parts; those of the other subtasks lie between, in their order. PARTS is their number."""


class Column(enum.StrEnum):
    """A figure of one data set (or of the mean over data sets), in MMAD's order; the last one is ours."""

    ANOMALY_DETECTION = "Anomaly Detection"
    """Mean of the accuracy on normal and on abnormal images."""
    DEFECT_CLASSIFICATION = "Defect Classification"
    DEFECT_LOCALIZATION = "Defect Localization"
    DEFECT_DESCRIPTION = "Defect Description"
    DEFECT_ANALYSIS = "Defect Analysis"
    OBJECT_CLASSIFICATION = "Object Classification"
    OBJECT_ANALYSIS = "Object Analysis"
    AVERAGE = "Average"
    """Mean over the seven before it."""
    RECALL = "Recall"
    PRECISION = "Precision"
    F1 = "F1"
    OVERKILL = "Overkill"
    """100 - accuracy on normal images."""
    MISS = "Miss"
    """100 - accuracy on abnormal images."""
    ALL_QUESTIONS = "All Questions"
    """Right / asked, whatever the type: all that can be said without types."""


COLUMNS: Final = tuple(Column)


def dataset_rank(name: str) -> tuple[int, str]:
    """Sort key of data sets: MMAD's four in its order, then the others by name."""
    return (MMAD_DATASETS.index(name) if name in MMAD_DATASETS else len(MMAD_DATASETS), name)


def part_of(question_type: QuestionType | None, *, abnormal: bool) -> int:
    """Return the index of the part that a question is counted in."""
    if question_type is None:
        return UNTYPED
    index = SUBTASKS.index(SUBTASK_OF[question_type])
    return (ABNORMAL if abnormal else NORMAL) if index == 0 else index + 1


def figures(right: Array, asked: Array, held: NDArray[np.bool_], *, empty_counts_zero: bool) -> Array:
    """Compute every column for every row.

    Args:
        right: Right answers, (..., rows, PARTS); a row is a data set or a product.
        asked: Questions in the denominator, same shape.
        held: Which parts the plan holds, (rows, PARTS). A part that is held, but empty in a resample, makes
            the figures that need it NaN.
        empty_counts_zero: MMAD's way: a part without questions has an accuracy of 0 and belongs to means.

    Returns:
        Percent, (..., rows, len(COLUMNS)); NaN where a figure does not exist.
    """
    blank = 0.0 if empty_counts_zero else np.nan
    accuracy = _ratio(right, asked, blank)
    normal, abnormal = accuracy[..., NORMAL], accuracy[..., ABNORMAL]
    cells = np.concatenate([((normal + abnormal) / 2)[..., None], accuracy[..., 2:UNTYPED]], axis=-1)
    held_cells = held_columns(held)
    if empty_counts_zero:
        held_cells = np.ones_like(held_cells)

    hits = right[..., ABNORMAL]
    false_alarms = asked[..., NORMAL] - right[..., NORMAL]
    misses = asked[..., ABNORMAL] - hits
    # Whoever never says "abnormal" has no precision; 0 is the convention that keeps F1 defined.
    both = normal + abnormal
    precision = np.where(np.isnan(both), np.nan, _ratio(hits, hits + false_alarms, 0.0))
    f1 = np.where(np.isnan(both), np.nan, _ratio(2 * hits, 2 * hits + false_alarms + misses, 0.0))
    overall = _ratio(right.sum(axis=-1), asked.sum(axis=-1), blank)
    single = [mean_of_held(cells, held_cells), abnormal, precision, f1, 1 - normal, 1 - abnormal, overall]
    return 100 * np.concatenate([cells, np.stack(single, axis=-1)], axis=-1)


def held_columns(held: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Which of the seven cells exist, (rows, 7): detection needs normal and abnormal images."""
    both = held[..., NORMAL] & held[..., ABNORMAL]
    return np.concatenate([both[..., None], held[..., 2:UNTYPED]], axis=-1)


def mean_over_datasets(rows: Array, held: NDArray[np.bool_], *, empty_counts_zero: bool) -> Array:
    """Average each column over the data sets that have it: (..., rows, columns) to (..., columns).

    Args:
        rows: Figures of the data sets.
        held: Which figures exist on the whole sample, (rows, columns).
        empty_counts_zero: MMAD's way: all data sets belong to the mean.
    """
    if empty_counts_zero:
        held = np.ones_like(held)
    return mean_of_held(np.moveaxis(rows, -2, -1), held.T)


def mean_of_held(values: Array, held: NDArray[np.bool_]) -> Array:
    """Mean over the last axis of what is held; NaN where nothing is, or where a held value is NaN."""
    return _ratio(np.where(held, values, 0.0).sum(axis=-1), held.sum(axis=-1).astype(np.float64), np.nan)


def support(counts: Array) -> Array:
    """Add up what each column rests on: (rows, PARTS) to (rows, len(COLUMNS))."""
    detection = counts[..., NORMAL] + counts[..., ABNORMAL]
    cells = np.concatenate([detection[..., None], counts[..., 2:UNTYPED]], axis=-1)
    typed = cells.sum(axis=-1)
    single = [
        typed,
        counts[..., ABNORMAL],
        detection,
        detection,
        counts[..., NORMAL],
        counts[..., ABNORMAL],
        typed + counts[..., UNTYPED],
    ]
    return np.concatenate([cells, np.stack(single, axis=-1)], axis=-1)


def effective_images(images: Array, held: NDArray[np.bool_]) -> Array:
    """How many images a figure rests on, for Wilson intervals: (rows, PARTS) to (rows, len(COLUMNS)).

    A mean of proportions p1, p2 over n1, n2 separate images has the variance of one proportion over
    k^2 / (1/n1 + ... + 1/nk) images. Subtasks share images, so a mean over subtasks counts only the smallest.
    """
    normal, abnormal = images[..., NORMAL], images[..., ABNORMAL]
    both = harmonic(images[..., :2], images[..., :2] > 0)
    cells = np.concatenate([both[..., None], images[..., 2:UNTYPED]], axis=-1)
    smallest = np.where(held_columns(held), cells, np.inf).min(axis=-1)
    average = np.where(np.isinf(smallest), 0.0, smallest)
    single = [average, abnormal, both, both, normal, abnormal, images.max(axis=-1)]
    return np.concatenate([cells, np.stack(single, axis=-1)], axis=-1)


def harmonic(images: Array, held: NDArray[np.bool_]) -> Array:
    """k^2 / (1/n1 + ... + 1/nk) over the held parts of the last axis; 0 where none is held."""
    counted = held & (images > 0)
    inverse = np.where(counted, 1 / np.where(counted, images, 1.0), 0.0).sum(axis=-1)
    return _ratio(counted.sum(axis=-1).astype(np.float64) ** 2, inverse, 0.0)


def _ratio(numerator: Array, denominator: Array, blank: float) -> Array:
    empty = denominator == 0
    return np.where(empty, blank, numerator / np.where(empty, 1.0, denominator))
