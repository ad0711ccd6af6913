"""95 % confidence intervals: a bootstrap over whole images, and Wilson's where a bootstrap can say nothing.

Each resample computes the whole figure, means over subtasks and data sets included, so an interval belongs to
the very number that it stands beside. The interval is the range of the middle 95 % (percentile method).
At 0 and 100 % no resample differs from the sample; there Wilson's interval over images takes over.
"""

from __future__ import annotations

import dataclasses
import math
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri

from orchestrator.scoring import cells
from orchestrator.scoring.cells import PARTS, Array
from orchestrator.scoring.partition import Partition, draws, partition
from orchestrator.scoring.tally import Table

LEVEL: Final = 0.95
RESAMPLES: Final = 2000


_NO_WIDTH: Final = 1e-9


@dataclasses.dataclass(frozen=True, slots=True, eq=False)
class Figures:
    """Every figure of one model, in percent; NaN where it does not exist. Arrays are (rows, len(COLUMNS))."""

    parts: Partition
    value: Array
    """Rows: data sets, their mean, then products."""
    low: Array
    high: Array
    asked: Array
    """Questions that the figure rests on."""
    held_cells: NDArray[np.bool_]
    """Which of the seven cells each data set has, (data sets, 7)."""


def wilson(right: float, total: float, level: float = LEVEL) -> tuple[float, float]:
    """Wilson's score interval of a proportion, as fractions (E. B. Wilson, JASA 22, 1927).

    Args:
        right: Successes, 0 to `total`.
        total: Trials, not 0; an effective number need not be whole.
        level: The share of intervals that hold the truth.
    """
    z = float(ndtri(0.5 + level / 2))
    p = right / total
    centre = (p + z * z / (2 * total)) / (1 + z * z / total)
    half = z / (1 + z * z / total) * math.sqrt(p * (1 - p) / total + z * z / (4 * total * total))
    # At the ends one limit is the end itself, which rounding would miss.
    return (0.0 if right == 0 else centre - half, 1.0 if right == total else centre + half)


def rows_of(parts: Partition, right: Array, asked: Array, held: Array, *, empty_counts_zero: bool) -> Array:
    """Figures of the data sets, their mean and the products from sums per group.

    Args:
        parts: How the images are cut.
        right: (..., groups, PARTS)
        asked: (..., groups, PARTS)
        held: Questions per group on the whole sample, (groups, PARTS).
        empty_counts_zero: See `cells.figures`.

    Returns:
        Percent, (..., data sets + 1 + products, len(COLUMNS)).
    """
    datasets = cells.figures(
        parts.per_dataset(right),
        parts.per_dataset(asked),
        parts.per_dataset(held) > 0,
        empty_counts_zero=empty_counts_zero,
    )
    existing = _existing(parts, held)
    mean = cells.mean_over_datasets(datasets, existing, empty_counts_zero=empty_counts_zero)
    products = cells.figures(
        parts.per_product(right),
        parts.per_product(asked),
        parts.per_product(held) > 0,
        empty_counts_zero=False,
    )
    return np.concatenate([datasets, mean[..., None, :], products], axis=-2)


def point_figures(table: Table, *, empty_counts_zero: bool) -> tuple[Partition, Array]:
    """Compute all figures without intervals: rows as in `rows_of`. The table must hold an image."""
    parts = partition(table.images)
    right, asked = whole_sums(parts, table.right), whole_sums(parts, table.asked)
    return parts, rows_of(parts, right, asked, asked, empty_counts_zero=empty_counts_zero)


def whole_sums(parts: Partition, values: Array) -> Array:
    """Add up each group on the sample itself: (images, columns) to (groups, columns)."""
    sums: Array = parts.group_sums(np.ones((1, len(parts.images))), values)[0]
    return sums


def bootstrap(
    table: Table, *, seed: int, resamples: int = RESAMPLES, empty_counts_zero: bool = False
) -> Figures:
    """Compute all figures of one model with their intervals; the same for the same counts and seed."""
    parts = partition(table.images)
    values = np.concatenate([table.right, table.asked], axis=1)
    whole = whole_sums(parts, values)
    held = whole[:, PARTS:]

    def compute(sums: Array) -> Array:
        right, asked = sums[..., :PARTS], sums[..., PARTS:]
        return rows_of(parts, right, asked, held, empty_counts_zero=empty_counts_zero)

    value = compute(whole)
    scale = parts.scale[:, None]
    resampled = [compute(parts.group_sums(w, values) * scale) for w in draws(parts, seed, resamples)]
    low, high = quantiles(np.concatenate(resampled) if resampled else value[None])
    images = _effective(parts, table)
    # No resample differs from the sample: at 0 and 100 %, and where each stratum is all right or all wrong.
    # An interval of no width would claim a certainty that nobody has.
    for place in zip(*np.nonzero((high - low < _NO_WIDTH) & (images > 0)), strict=True):
        total = float(images[place])
        low[place], high[place] = (100 * limit for limit in wilson(value[place] / 100 * total, total))
    held_cells = cells.held_columns(parts.per_dataset(held) > 0)
    return Figures(parts, value, low, high, _support(parts, held), held_cells)


def quantiles(resampled: Array) -> tuple[Array, Array]:
    """The middle 95 % over the first axis. Resamples in which a figure does not exist (NaN) are left out."""
    tails = ((1 - LEVEL) / 2, (1 + LEVEL) / 2)
    flat = resampled.reshape(len(resampled), -1)
    limits = np.full((2, flat.shape[1]), np.nan)
    missing = np.isnan(flat).any(axis=0)
    if not missing.all():
        limits[:, ~missing] = np.quantile(flat[:, ~missing], tails, axis=0)
    for column in np.nonzero(missing)[0]:
        there = flat[~np.isnan(flat[:, column]), column]
        if len(there):
            limits[:, column] = np.quantile(there, tails)
    low, high = limits.reshape(2, *resampled.shape[1:])
    return low, high


def _existing(parts: Partition, held: Array) -> NDArray[np.bool_]:
    per_dataset = parts.per_dataset(held)
    ones = cells.figures(per_dataset, per_dataset, per_dataset > 0, empty_counts_zero=False)
    return ~np.isnan(ones)


def _effective(parts: Partition, table: Table) -> Array:
    images = whole_sums(parts, (table.asked > 0).astype(np.float64))
    datasets = parts.per_dataset(images)
    of_datasets = cells.effective_images(datasets, datasets > 0)
    mean = cells.harmonic(of_datasets.T, of_datasets.T > 0)
    products = parts.per_product(images)
    of_products = cells.effective_images(products, products > 0)
    return np.concatenate([of_datasets, mean[None], of_products])


def _support(parts: Partition, asked: Array) -> Array:
    """How many questions each figure rests on: (groups, PARTS) to (rows, len(COLUMNS))."""
    datasets = cells.support(parts.per_dataset(asked))
    return np.concatenate([datasets, datasets.sum(axis=0)[None], cells.support(parts.per_product(asked))])
