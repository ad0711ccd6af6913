"""How many images and questions a data set holds, by data set, product, label and type."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Final

from orchestrator.vocabulary import SUBTASK_OF, Dataset, QuestionType, Subtask

if TYPE_CHECKING:
    from rich.table import Table


@dataclasses.dataclass(frozen=True, slots=True)
class Row:
    """The images of one product that are normal, or those that are abnormal."""

    dataset: str
    product: str
    abnormal: bool
    images: int
    questions: Mapping[QuestionType | None, int]
    """By type, as the data set writes it; None where it does not say."""


_HEADINGS: Final = {
    Subtask.ANOMALY_DETECTION: "\ndet.",
    Subtask.DEFECT_CLASSIFICATION: "def.\nclass",
    Subtask.DEFECT_LOCALIZATION: "def.\nplace",
    Subtask.DEFECT_DESCRIPTION: "def.\ndescr",
    Subtask.DEFECT_ANALYSIS: "def.\nanal.",
    Subtask.OBJECT_CLASSIFICATION: "obj.\nclass",
    Subtask.OBJECT_ANALYSIS: "obj.\nanal.",
}
"""The subtasks, short enough for all of them to fit a terminal of 80 columns."""


def summarise(dataset: Dataset) -> tuple[Row, ...]:
    """Count a data set: a row for each product and label, in the order of the data set."""
    images: Counter[tuple[str, str, bool]] = Counter()
    questions: dict[tuple[str, str, bool], Counter[QuestionType | None]] = {}
    for sample in dataset.samples:
        group = (sample.dataset, sample.product, sample.abnormal)
        images[group] += 1
        questions.setdefault(group, Counter()).update(question.type for question in sample.questions)
    names = list(dict.fromkeys(group[:2] for group in images))
    return tuple(
        Row(*name, abnormal, images[*name, abnormal], questions[*name, abnormal])
        for name in sorted(names, key=lambda name: [n for n, _ in names].index(name[0]))
        for abnormal in (False, True)
        if (*name, abnormal) in images
    )


def images(rows: Iterable[Row], abnormal: bool) -> int:
    """How many normal or abnormal images there are in some rows."""
    return sum(row.images for row in rows if row.abnormal is abnormal)


def questions(rows: Iterable[Row], subtask: Subtask | None = None) -> int:
    """How many questions there are in some rows, of one subtask or of all types and none."""
    return sum(
        count
        for row in rows
        for kind, count in row.questions.items()
        if subtask is None or (kind is not None and SUBTASK_OF[kind] is subtask)
    )


def table(rows: Sequence[Row]) -> Table:
    """Lay the counts out for the terminal: a line for each data set, its products below it, and a sum."""
    from rich.markup import escape
    from rich.table import Table

    typed = any(kind is not None for row in rows for kind in row.questions)
    subtasks = tuple(Subtask) if typed else ()
    result = Table(box=None, padding=(0, 1, 0, 0), pad_edge=False)
    result.add_column("\ndata set, product", overflow="fold", min_width=12)
    for heading in ("good\nimg.", "bad\nimg.", "\nall", *(_HEADINGS[s] for s in subtasks)):
        result.add_column(heading, justify="right", no_wrap=True)

    def add(title: str, some: Sequence[Row], style: str = "") -> None:
        counts = [images(some, False), images(some, True), questions(some)]
        counts += [questions(some, subtask) for subtask in subtasks]
        result.add_row(escape(title), *map(str, counts), style=style)

    for dataset in dict.fromkeys(row.dataset for row in rows):
        inside = [row for row in rows if row.dataset == dataset]
        add(dataset, inside, "bold")
        for product in dict.fromkeys(row.product for row in inside):
            add(f"  {product}", [row for row in inside if row.product == product])
    add("All", rows, "bold")
    return result
