"""How much the figures of one model move when the same questions are asked again."""

from __future__ import annotations

import dataclasses

import numpy as np

from orchestrator.scoring.cells import COLUMNS, Column
from orchestrator.scoring.intervals import point_figures
from orchestrator.scoring.tally import Tally


@dataclasses.dataclass(frozen=True, slots=True)
class Spread:
    """One figure over the repeats, in percent."""

    mean: float
    """Of the repeats' figures."""
    standard_deviation: float
    """With n - 1 in the denominator."""
    low: float
    """The smallest of the repeats' figures."""
    high: float
    """The largest."""


@dataclasses.dataclass(frozen=True, slots=True)
class Repeats:
    """The spread of every figure that exists in all repeats."""

    number: int
    datasets: dict[str, dict[Column, Spread]]
    """By data set; "Average" is the mean over data sets."""


def spread(tally: Tally) -> Repeats | None:
    """Compute each repeat's figures and how they spread; None when nothing was asked twice."""
    if len(tally.repeats) < 2:
        return None
    points = [point_figures(tally.table(repeat), empty_counts_zero=False) for repeat in sorted(tally.repeats)]
    values = np.stack([value for _, value in points])
    names = [*points[0][0].dataset_names, Column.AVERAGE.value]
    return Repeats(
        len(points),
        {
            name: {
                column: Spread(float(v.mean()), float(v.std(ddof=1)), float(v.min()), float(v.max()))
                for column, v in zip(COLUMNS, values[:, row].T, strict=True)
                if not np.isnan(v).any()
            }
            for row, name in enumerate(names)
        },
    )
