"""Everything that is said about one model's answers, computed in one pass over its records.

`score` is a function of the set of records: their order does not matter, and the same answers give the same
numbers. `to_json` is its stable form, the part `scores` of summary.json.
"""

from __future__ import annotations

import dataclasses
import enum
import math
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any, Final

from orchestrator.formats import ScoringProtocol
from orchestrator.scoring import mmad_protocol
from orchestrator.scoring.baselines import chance
from orchestrator.scoring.cells import COLUMNS, SUBTASKS, UNTYPED, Column, dataset_rank
from orchestrator.scoring.intervals import RESAMPLES, Figures, bootstrap, point_figures
from orchestrator.scoring.option_scores import OptionScoreFigures, OptionScores
from orchestrator.scoring.paired import Pairs
from orchestrator.scoring.positions import LetterShare, Positions
from orchestrator.scoring.repeats import Repeats, spread
from orchestrator.scoring.tally import Tally
from orchestrator.vocabulary import Outcome, Record, Subtask

DECIMALS: Final = 6
"""Of percent, in `to_json`: what lies beyond may differ between processors."""


@dataclasses.dataclass(frozen=True, slots=True)
class Figure:
    """A number in percent with its 95 % interval."""

    value: float
    low: float
    high: float
    asked: int
    """Questions that it rests on."""


Row = dict[Column, Figure]
"""The figures that exist, in the order of `Column`."""


@dataclasses.dataclass(frozen=True, slots=True)
class Circular:
    """Circular evaluation: a question is right only when it is right in every rotation."""

    rotations: int
    """The most that any question has."""


@dataclasses.dataclass(frozen=True, slots=True)
class Scores:
    """One model's scores. All figures are in percent; a figure that does not exist is left out."""

    protocol: ScoringProtocol
    seed: int
    resamples: int
    counts: dict[Outcome, int]
    """Records by outcome, rotations and repeats included, whatever the protocol counts."""
    counts_by_dataset: dict[str, dict[Outcome, int]]
    counted: int
    """Questions in the denominators."""
    datasets: dict[str, Row]
    average: Row
    """Mean over the data sets that have the figure; by MMAD's way, over all."""
    products: dict[str, dict[str, Row]]
    """Data set, then product."""
    missing_cells: dict[str, tuple[Subtask, ...]]
    """Per data set, the subtasks of which the plan holds too little to score them."""
    untyped: int
    """Questions without a type: they are in "All Questions" alone."""
    chance: dict[str, dict[Column, float]]
    """What uniform guessing scores on average, by data set and "Average"."""
    positions: dict[Subtask | None, tuple[LetterShare, ...]]
    option_scores: OptionScoreFigures | None
    circular: Circular | None
    repeats: Repeats | None

    @property
    def partial(self) -> bool:
        """Whether an average is over fewer than all seven subtasks of each data set."""
        return any(self.missing_cells.values())


def score(
    records: Iterable[Record],
    protocol: ScoringProtocol = "strict",
    seed: int = 0,
    resamples: int = RESAMPLES,
) -> Scores:
    """Score one model.

    Args:
        records: Every question of the plan, answered or not, in any order; each is looked at once.
        protocol: "strict" keeps every question in the denominator; "mmad" counts as MMAD does.
        seed: Of the bootstrap.
        resamples: Of the bootstrap.
    """
    mmad = protocol == "mmad"
    right, guessing = Tally(), Tally(chance)
    outcomes: Counter[tuple[str, Outcome]] = Counter()
    positions, option_scores = Positions(), OptionScores()
    untyped = 0
    for record in records:
        outcomes[record.dataset, record.outcome] += 1
        positions.add(record)
        if mmad and not mmad_protocol.counts(record):
            continue
        right.add(record)
        guessing.add(record)
        option_scores.add(record)
        untyped += record.type is None
    table = right.table()
    # Without question types MMAD's table does not exist: its cells are then left out, not 0.
    zero = mmad and bool(table.asked[:, :UNTYPED].any())
    figures = (
        bootstrap(table, seed=seed, resamples=resamples, empty_counts_zero=zero) if table.images else None
    )
    names = figures.parts.dataset_names if figures else ()
    return Scores(
        protocol=protocol,
        seed=seed,
        resamples=resamples,
        counts={outcome: sum(n for (_, o), n in outcomes.items() if o is outcome) for outcome in Outcome},
        counts_by_dataset={
            dataset: {outcome: outcomes[dataset, outcome] for outcome in Outcome}
            for dataset in sorted({d for d, _ in outcomes}, key=dataset_rank)
        },
        counted=int(table.asked.sum()),
        datasets={name: _row(figures, at) for at, name in enumerate(names)} if figures else {},
        average=_row(figures, len(names)) if figures else {},
        products=_products(figures) if figures else {},
        missing_cells=_missing(figures) if figures else {},
        untyped=untyped,
        chance=_chance(guessing) if figures else {},
        positions=positions.shares(),
        option_scores=option_scores.figures(figures.parts, seed, resamples) if figures else None,
        circular=Circular(right.rotations) if right.rotations > 1 else None,
        repeats=spread(right),
    )


def rows(scores: Scores) -> list[dict[str, Any]]:
    """Return every figure of the data sets and their mean as one flat row, for frames and tables."""
    return [
        {"dataset": name, "figure": column.value, **dataclasses.asdict(figure)}
        for name, row in {**scores.datasets, Column.AVERAGE.value: scores.average}.items()
        for column, figure in row.items()
    ]


def to_json(scores: Scores) -> dict[str, Any]:
    """Return plain lists, dicts and numbers, the same for the same answers: floats have six decimals.

    Keys stand in the order of the dataclasses; "all" is the key of what is not one subtask's.
    """
    tree: dict[str, Any] = _plain(scores)
    return {**tree, "partial": scores.partial}


def comparisons_to_json(pairs: Pairs) -> list[dict[str, Any]]:
    """Return the paired comparisons as plain values, as `to_json` does: first minus second, in points."""
    return [
        {"first": first, "second": second, **_plain(comparison)}
        for (first, second), comparison in pairs.items()
    ]


def _row(figures: Figures, row: int) -> Row:
    return {
        column: Figure(
            float(figures.value[row, at]),
            float(figures.low[row, at]),
            float(figures.high[row, at]),
            int(figures.asked[row, at]),
        )
        for at, column in enumerate(COLUMNS)
        if not math.isnan(figures.value[row, at])
    }


def _products(figures: Figures) -> dict[str, dict[str, Row]]:
    first = len(figures.parts.dataset_names) + 1
    products: dict[str, dict[str, Row]] = {}
    for at, (dataset, product) in enumerate(figures.parts.product_names):
        products.setdefault(dataset, {})[product] = _row(figures, first + at)
    return products


def _missing(figures: Figures) -> dict[str, tuple[Subtask, ...]]:
    held = figures.held_cells
    return {
        name: tuple(subtask for subtask, there in zip(SUBTASKS, held[at], strict=True) if not there)
        for at, name in enumerate(figures.parts.dataset_names)
    }


def _chance(guessing: Tally) -> dict[str, dict[Column, float]]:
    parts, values = point_figures(guessing.table(), empty_counts_zero=False)
    linear = [c for c in COLUMNS if c not in (Column.PRECISION, Column.F1)]
    return {
        name: {
            column: float(values[row, COLUMNS.index(column)])
            for column in linear
            if not math.isnan(values[row, COLUMNS.index(column)])
        }
        for row, name in enumerate([*parts.dataset_names, Column.AVERAGE.value])
    }


def _plain(value: object) -> Any:
    if isinstance(value, enum.Enum):
        return value.value
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: _plain(getattr(value, field.name)) for field in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        return {"all" if key is None else str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, tuple | list):
        return [_plain(item) for item in value]
    if isinstance(value, float):
        return None if math.isnan(value) else round(value, DECIMALS)
    return value
