"""The tables at the end: subtasks down, models across, with what no model would score beside them."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping, Sequence

from rich.console import Console, Group
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from orchestrator.hints.label import label, sentence
from orchestrator.reports.files import answers_stem
from orchestrator.rescoring import Rescored
from orchestrator.results import SUMMARY_FILE, Run
from orchestrator.scoring.cells import SUBTASKS, Column
from orchestrator.scoring.option_scores import Estimate
from orchestrator.scoring.paired import Pairs, leaders
from orchestrator.scoring.summary import Figure, Row, Scores
from orchestrator.vocabulary import Outcome, Subtask

_NAMED_FAILURES = 5
_FIRST_WIDTH, _FIGURE_WIDTH, _GAP = 24, 15, 2
"""Columns of the terminal: the subtask's name, "100.0  [98, 100]", the space after each."""
_DETECTION = (Column.RECALL, Column.PRECISION, Column.F1, Column.OVERKILL, Column.MISS)
Bold = frozenset[tuple[str, Column]]
"""(model, column): what is better than every rival at equal shots."""


def show_run(run: Run) -> None:
    """Print a finished run's scores, its failures by name, and where the files are."""
    console = Console(highlight=False)
    shots = {model.name: model.shots for model in run.models}
    best = bold(run.comparisons, shots)
    _say(console, run.part, sentence(run.hints))
    console.print(accuracy_tables(run.scores, run.references, best, console.width, shots, label(run.hints)))
    for name, count in run.unanswered().items():
        console.print(Text(f"\n{name}: {count:,} questions have no answer.", style="red"))
        for question, reason in run.journal.failures(name, _NAMED_FAILURES):
            console.print(f"  {escape(question)}: {escape(reason)}", soft_wrap=True)
        failed = run.journal.counts(name)[Outcome.FAILED]
        missing = run.journal.counts(name)[Outcome.MISSING]
        if failed > _NAMED_FAILURES:
            console.print(f"  ... and {failed - _NAMED_FAILURES:,} more: `orchestrator export` names all.")
        if missing:
            console.print(f"  {missing:,} have not been answered yet: the same command asks them.")
        # Other maps make it another run, so what lacks its map cannot be asked again in this one.
        unmapped = run.journal.failed_by(name, "UNREADABLE_HINT") if label(run.hints) == "hints" else 0
        if failed > unmapped:
            console.print(f"  --retry-failed asks the {'other ' if unmapped else ''}failed ones again.")
        if unmapped:
            console.print(
                f"  {unmapped:,} failed for want of a hint: complete the maps, then start a new run (another "
                "--out). This one cannot go on with other maps.",
                soft_wrap=True,
            )
    console.print(f"\nResults: {escape(str(run.folder))}", soft_wrap=True)
    files = [
        SUMMARY_FILE,
        *(f"{stem}.json and {stem}_accuracy.csv" for stem in (answers_stem(run, m) for m in run.models)),
    ]
    for file in files:
        console.print(f"  {escape(file)}", soft_wrap=True)


def show_scores(result: Rescored) -> None:
    """Print what `orchestrator score` found."""
    console = Console(highlight=False)
    best = bold(result.pairs, result.shots)
    _say(console, result.part, sentence(result.hints))
    console.print(
        accuracy_tables(
            result.scores, result.references, best, console.width, result.shots, label(result.hints)
        )
    )


def _say(console: Console, *lines: str) -> None:
    for line in filter(None, lines):
        console.print(Text(f"{line}\n", style="bold yellow"), soft_wrap=True)


def bold(pairs: Pairs, shots: Mapping[str, int]) -> Bold:
    """Find what is printed bold: better than every rival by the paired test, at equal shots."""
    found = leaders(pairs, shots) if pairs else {}
    return frozenset((name, column) for (_, row, column), name in found.items() if row == Column.AVERAGE)


def accuracy_tables(
    scores: Mapping[str, Scores],
    references: Mapping[str, Scores],
    best: Bold,
    width: int,
    shots: Mapping[str, int] | None = None,
    shown: str = "",
) -> Group:
    """Lay the scores out, in as many tables below each other as the width asks for.

    `shown` is the word for the hints that the models had, if any.
    """
    columns = [
        _Column(name, ", ".join(filter(None, (f"{shots[name]}-shot" if shots else "", shown))), s)
        for name, s in scores.items()
    ]
    for name, of_reference in references.items():
        first, _, second = name.rpartition(" ")  # the words of a reference's name, on two lines
        columns.append(_Column(first or second, second if first else "", of_reference, is_reference=True))
    groups: list[list[_Column]] = [[]]
    room = width - _FIRST_WIDTH
    for column in columns:
        needed = max(len(column.name), _FIGURE_WIDTH) + _GAP
        if groups[-1] and room < needed:
            groups.append([])
            room = width - _FIRST_WIDTH
        groups[-1].append(column)
        room -= needed
    notes = [*_notes(scores)]
    if best:
        notes.append(
            Text("* better than every rival (paired test over whole images, equal shots).", style="dim")
        )
    return Group(*(_table(group, best) for group in groups), *notes)


@dataclasses.dataclass(frozen=True)
class _Column:
    name: str
    under: str
    scores: Scores
    is_reference: bool = False


def _table(columns: Sequence[_Column], best: Bold) -> Table:
    table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False, header_style="bold")
    table.add_column("Accuracy in %", no_wrap=True)
    for c in columns:
        header = Text(c.name, style="dim" if c.is_reference else "bold") + Text(f"\n{c.under}", style="dim")
        table.add_column(header, justify="right", no_wrap=True)

    def add(title: str, column: Column, *, end_section: bool = False, style: str = "") -> None:
        if any(column in c.scores.average for c in columns):
            cells = [
                _cell(c.scores.average, column, dim=c.is_reference, strong=(c.name, column) in best)
                for c in columns
            ]
            table.add_row(Text(title, style=style), *cells, end_section=end_section)

    for subtask in SUBTASKS:
        add(subtask.value, Column(subtask.value))
    add("Average", Column.AVERAGE, style="bold")
    if not any(Column.AVERAGE in c.scores.average for c in columns):
        add("All questions", Column.ALL_QUESTIONS)
    table.add_row()
    for column in _DETECTION:
        add(f"Detection: {column.value.lower().replace('f1', 'F1')}", column)
    _add_option_scores(table, columns)
    _add_outcomes(table, columns)
    return table


def _cell(row: Row, column: Column, *, dim: bool, strong: bool) -> Text:
    # The star says it where there is no bold: in a log, on paper.
    return _figure(row.get(column), "bold green" if strong else "dim" if dim else "", "*" if strong else " ")


def _figure(figure: Figure | Estimate | None, style: str = "", mark: str = " ") -> Text:
    if figure is None or figure.value is None or figure.low is None or figure.high is None:
        return Text("-", style="dim")
    interval = f"[{figure.low:.0f}, {figure.high:.0f}]"
    return Text(f"{figure.value:.1f}{mark}", style=style) + Text(f" {interval:>9}", style="dim")


def _add_option_scores(table: Table, columns: Sequence[_Column]) -> None:
    told = [c.scores.option_scores for c in columns]
    if not any(told):
        return
    rows: dict[str, list[Estimate | None]] = {
        "Detection: AUROC": [t.auroc.get("Average") if t else None for t in told],
        "Detection: calib. err.": [
            t.calibration_error.get(Subtask.ANOMALY_DETECTION) if t else None for t in told
        ],
    }
    for title, figures in rows.items():
        table.add_row(title, *map(_figure, figures))


def _add_outcomes(table: Table, columns: Sequence[_Column]) -> None:
    if all(c.is_reference for c in columns):
        return
    table.add_row()
    totals = [sum(c.scores.counts.values()) for c in columns]
    table.add_row(
        "Questions", *("" if c.is_reference else f"{n:,}" for c, n in zip(columns, totals, strict=True))
    )
    if any(c.scores.protocol == "mmad" for c in columns):
        table.add_row("  counted", *("" if c.is_reference else f"{c.scores.counted:,}" for c in columns))
    for outcome in (Outcome.FAILED, Outcome.UNREADABLE, Outcome.REFUSED, Outcome.MISSING):
        counts = [0 if c.is_reference else c.scores.counts[outcome] for c in columns]
        if any(counts):
            table.add_row(f"  {outcome.value}", *(Text(f"{n:,}" if n else "", style="red") for n in counts))


def _notes(scores: Mapping[str, Scores]) -> Iterator[Text]:
    some = next(iter(scores.values()), None)
    if some is None:
        return
    if some.protocol == "mmad":
        text = "MMAD's way: answers without a letter do not count. "
    else:
        text = "Every question counts; one without an answer is wrong. "
    text += f"95 % intervals over whole images. Mean over {len(some.datasets)} data set"
    text += "s." if len(some.datasets) != 1 else "."
    yield Text("\n" + text, style="dim")
    if some.circular:
        yield Text(
            f"A question is right when it is right in every rotation (up to {some.circular.rotations}).",
            style="dim",
        )
    for name, of_model in scores.items():
        if of_model.repeats and "Average" in of_model.repeats.datasets:
            spread = of_model.repeats.datasets["Average"].get(Column.AVERAGE)
            if spread:
                yield Text(
                    f"{name}, {of_model.repeats.number} repeats: average {spread.mean:.1f}, standard "
                    f"deviation {spread.standard_deviation:.1f}, from {spread.low:.1f} to {spread.high:.1f}.",
                    style="dim",
                )
    chance = some.chance.get("Average", {}).get(Column.AVERAGE)
    if chance is not None:
        yield Text(f"Guessing would give {chance:.1f} on average.", style="dim")
    if some.partial:
        cells = sum(len(missing) for missing in some.missing_cells.values())
        yield Text(f"Partial: {cells} of {7 * len(some.datasets)} cells hold no question.", style="yellow")
    if some.untyped and Column.AVERAGE not in some.average:
        yield Text("The data set does not say its questions' types: no subtasks.", style="yellow")
