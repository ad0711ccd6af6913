"""How many images and questions a data set holds, by data set, product, label and type."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

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
    """Lay the counts out for the terminal: a line for each product, a sum for each data set and for all."""
    from rich.markup import escape
    from rich.table import Table

    typed = any(kind is not None for row in rows for kind in row.questions)
    subtasks = tuple(Subtask) if typed else ()
    result = Table()
    result.add_column("data set", no_wrap=True)
    result.add_column("product", no_wrap=True)
    for heading in ("normal", "abnormal", "questions", *(subtask.value for subtask in subtasks)):
        result.add_column(heading.lower(), justify="right", overflow="fold")

    def add(dataset: str, product: str, some: Sequence[Row], style: str = "") -> None:
        counts = [images(some, False), images(some, True), questions(some)]
        counts += [questions(some, subtask) for subtask in subtasks]
        result.add_row(escape(dataset), escape(product), *(f"{count:,}" for count in counts), style=style)

    for dataset in dict.fromkeys(row.dataset for row in rows):
        inside = [row for row in rows if row.dataset == dataset]
        for product in dict.fromkeys(row.product for row in inside):
            add(dataset, product, [row for row in inside if row.product == product])
        add(dataset, "all", inside, "bold")
        result.add_section()
    add("all", "", rows, "bold")
    return result
