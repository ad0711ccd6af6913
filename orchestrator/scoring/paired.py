"""Is one model better than another? Paired, on the same questions, on the very figure that is reported.

The difference has the interval of the same bootstrap as each model's own figure. The test swaps the two
models' answers image by image: if the models were alike, the names on an image's answers would not matter.
Raw accuracy and the balanced detection cell can order two models oppositely, so no other statistic may stand
in for the figure.
"""

from __future__ import annotations

import dataclasses
import functools
import itertools
import math
from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np
from scipy.stats import binomtest

from orchestrator.errors import UserError
from orchestrator.scoring.cells import COLUMNS, SUBTASKS, Array, Column
from orchestrator.scoring.intervals import RESAMPLES, quantiles, rows_of, whole_sums
from orchestrator.scoring.partition import Partition, draws, partition, swaps
from orchestrator.scoring.tally import Table

PERMUTATIONS: Final = 2000
SIGNIFICANCE: Final = 0.05
_ROUNDING: Final = 1e-9
"""Percent. Differences that differ by less are equal: they come from the same counts."""


@dataclasses.dataclass(frozen=True, slots=True)
class Difference:
    """First model minus second, in percentage points."""

    value: float
    low: float
    high: float
    p: float
    """Two-sided, of the permutation test."""
    p_holm: float | None
    """Corrected over the row's subtasks; None for columns that are no subtask."""

    @property
    def significant(self) -> bool:
        """Whether the corrected p (the plain one where there is no correction) is below 0.05."""
        return (self.p if self.p_holm is None else self.p_holm) < SIGNIFICANCE


@dataclasses.dataclass(frozen=True, slots=True)
class McNemar:
    """The exact test on detection, where an image has one question."""

    only_first: int
    """Images that only the first model got right."""
    only_second: int
    p: float


@dataclasses.dataclass(frozen=True, slots=True)
class Comparison:
    """Two models on the same questions."""

    rows: dict[str, dict[Column, Difference]]
    """By data set; "Average" is the mean over data sets."""
    mcnemar: dict[str, McNemar]
    """By data set, where detection was asked, once per image."""


def compare(
    first: Table,
    second: Table,
    *,
    seed: int = 0,
    resamples: int = RESAMPLES,
    permutations: int = PERMUTATIONS,
) -> Comparison:
    """Compare two models by their tables (`tally.tally` of all their records).

    Raises:
        UserError: they were not asked the same questions.
    """
    if first.images != second.images or not np.array_equal(first.asked, second.asked):
        raise UserError(
            f"The two models were not asked the same questions ({_extent(first)} and {_extent(second)}), so "
            "their difference would be of the questions as well. Compare models of one run, or score "
            "runs with the same --only, --type, --limit and --repeats."
        )
    if not first.images:
        return Comparison({}, {})
    parts = partition(first.images)
    held = whole_sums(parts, first.asked)
    rows = functools.partial(rows_of, parts, held=held, empty_counts_zero=False)
    kept = len(parts.dataset_names) + 1

    a, b = (whole_sums(parts, table.right) for table in (first, second))
    value = (rows(a, held) - rows(b, held))[:kept]
    columns = np.concatenate([first.right, second.right, first.asked], axis=1)
    resampled = []
    for weights in draws(parts, seed, resamples):
        one, two, asked = np.split(parts.group_sums(weights, columns) * parts.scale[:, None], 3, axis=-1)
        resampled.append((rows(one, asked) - rows(two, asked))[:, :kept])
    low, high = quantiles(np.concatenate(resampled))

    extreme = np.zeros_like(value)
    difference = first.right - second.right
    for tosses in swaps(parts, seed, permutations):
        moved = parts.group_sums(tosses, difference)
        swapped = (rows(a - moved, held[None]) - rows(b + moved, held[None]))[:, :kept]
        with np.errstate(invalid="ignore"):
            extreme += (np.abs(swapped) >= np.abs(value) - _ROUNDING).sum(axis=0)
    # The unswapped arrangement is one of the possible ones, so p is never 0 (Phipson and Smyth, 2010).
    p = (1 + extreme) / (1 + permutations)

    names = [*parts.dataset_names, Column.AVERAGE.value]
    return Comparison(
        {name: _row(value[i], low[i], high[i], p[i]) for i, name in enumerate(names)},
        _mcnemar(parts, first, second),
    )


Pairs = Mapping[tuple[str, str], Comparison]
"""(first model, second model) to their comparison, each pair once."""


def compare_all(models: Mapping[str, Table], *, seed: int = 0) -> Pairs:
    """Compare every two models, in the order of their names.

    Raises:
        UserError: two of them were not asked the same questions.
    """
    return {
        (first, second): compare(models[first], models[second], seed=seed)
        for first, second in itertools.combinations(sorted(models), 2)
    }


def leaders(pairs: Pairs, shots: Mapping[str, int]) -> dict[tuple[int, str, Column], str]:
    """Find what a table prints bold: the models that are better than every rival at equal shots.

    Better means a significant difference by `compare`. It has to hold against all rivals at once, so more
    rivals make it harder, and no further correction is needed.

    Args:
        pairs: All pairs of the models.
        shots: How many templates each model really had, by name.

    Returns:
        (shots, row, column) to a model's name, where one leads and has a rival.
    """
    found: dict[tuple[int, str, Column], str] = {}
    for best, number in shots.items():
        rivals = [name for name in shots if name != best and shots[name] == number]
        ahead = [_ahead(pairs, best, rival) for rival in rivals]
        if ahead:
            found |= {(number, row, column): best for row, column in set.intersection(*ahead)}
    return found


def _ahead(pairs: Pairs, one: str, other: str) -> set[tuple[str, Column]]:
    """Where `one` is better than `other`, significantly."""
    turned = (one, other) not in pairs
    comparison = pairs[(other, one) if turned else (one, other)]
    return {
        (row, column)
        for row, columns in comparison.rows.items()
        for column, difference in columns.items()
        if _better(column, difference, turned=turned)
    }


def holm(p: Sequence[float]) -> list[float]:
    """Correct p values for their number (S. Holm, Scand. J. Statist. 6, 1979), in the given order."""
    corrected = [0.0] * len(p)
    reached = 0.0
    for rank, at in enumerate(sorted(range(len(p)), key=lambda i: p[i])):
        reached = max(reached, min(1.0, (len(p) - rank) * p[at]))
        corrected[at] = reached
    return corrected


def _better(column: Column, difference: Difference, *, turned: bool) -> bool:
    falls = column in (Column.OVERKILL, Column.MISS)
    gain = -difference.value if falls != turned else difference.value
    return difference.significant and gain > 0


def _row(value: Array, low: Array, high: Array, p: Array) -> dict[Column, Difference]:
    there = [i for i in range(len(COLUMNS)) if not math.isnan(value[i])]
    subtasks = [i for i in there if i < len(SUBTASKS)]
    corrected = dict(zip(subtasks, holm([float(p[i]) for i in subtasks]), strict=True))
    return {
        COLUMNS[i]: Difference(float(value[i]), float(low[i]), float(high[i]), float(p[i]), corrected.get(i))
        for i in there
    }


def _mcnemar(parts: Partition, first: Table, second: Table) -> dict[str, McNemar]:
    results = {}
    asked = first.asked[:, :2].sum(axis=1)
    gap = (first.right - second.right)[:, :2].sum(axis=1)
    for name in parts.dataset_names:
        members = np.array([image.dataset == name for image in first.images])
        if asked[members].max() == 1:
            ahead, behind = int((gap[members] == 1).sum()), int((gap[members] == -1).sum())
            p = float(binomtest(ahead, ahead + behind).pvalue) if ahead + behind else 1.0
            results[name] = McNemar(ahead, behind, p)
    return results


def _extent(table: Table) -> str:
    return f"{int(table.asked.sum()):,} questions about {len(table.images):,} images"
