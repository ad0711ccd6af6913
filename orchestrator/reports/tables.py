"""The tables at the end: subtasks down, models across, with what no model would score beside them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

from rich.console import Console, Group
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from orchestrator.reports.files import answers_stem
from orchestrator.rescoring import Rescored
from orchestrator.results import SUMMARY_FILE, Run
from orchestrator.scoring.cells import SUBTASKS, Column
from orchestrator.scoring.paired import leaders
from orchestrator.scoring.summary import Figure, Row, Scores
from orchestrator.scoring.tally import tally
from orchestrator.vocabulary import Outcome, Record

_NAMED_FAILURES = 5
_FIRST_WIDTH, _MODEL_WIDTH = 24, 22
_DETECTION = (Column.RECALL, Column.PRECISION, Column.F1, Column.OVERKILL, Column.MISS)
Bold = frozenset[tuple[str, Column]]
"""(model, column): what is better than every rival at equal shots."""


def show_run(run: Run) -> None:
    """Print a finished run's scores, its failures by name, and where the files are."""
    console = Console(highlight=False)
    shots = {model.name: model.shots for model in run.models}
    best = bold({name: run.records(name) for name in shots}, shots)
    console.print(accuracy_tables(run.scores, run.references, best, console.width, shots))
    for name, count in run.unanswered().items():
        console.print(Text(f"\n{name}: {count:,} questions have no answer.", style="red"))
        for question, reason in run.journal.failures(name, _NAMED_FAILURES):
            console.print(f"  {escape(question)}: {escape(reason)}", soft_wrap=True)
        failed = run.journal.counts(name)[Outcome.FAILED]
        missing = run.journal.counts(name)[Outcome.MISSING]
        if failed > _NAMED_FAILURES:
            console.print(f"  ... and {failed - _NAMED_FAILURES:,} more failed ones: see its answers file.")
        if missing:
            console.print(f"  {missing:,} were never asked: the same command asks them.")
        if failed:
            console.print("  --retry-failed asks the failed ones again.")
    console.print(f"\nResults: {run.folder}", soft_wrap=True)
    files = [
        SUMMARY_FILE,
        *(f"{answers_stem(m)}.json and {answers_stem(m)}_accuracy.csv" for m in run.models),
    ]
    for file in files:
        console.print(f"  {escape(file)}", soft_wrap=True)


def show_scores(result: Rescored) -> None:
    """Print what `orchestrator score` found."""
    console = Console(highlight=False)
    best: Bold = frozenset()
    if next(iter(result.scores.values())).protocol == "strict":  # the paired test is of the strict figures
        best = bold({name: read() for name, read in result.records.items()}, result.shots)
    console.print(accuracy_tables(result.scores, {}, best, console.width, result.shots))


def bold(records: Mapping[str, Iterable[Record]], shots: Mapping[str, int]) -> Bold:
    """Find what is printed bold: better than every rival by the paired test, at equal shots."""
    if len(records) < 2:
        return frozenset()
    found = leaders({name: tally(of_model) for name, of_model in records.items()}, shots)
    return frozenset((name, column) for (_, row, column), name in found.items() if row == Column.AVERAGE)


def accuracy_tables(
    scores: Mapping[str, Scores],
    references: Mapping[str, Scores],
    best: Bold,
    width: int,
    shots: Mapping[str, int] | None = None,
) -> Group:
    """Lay the scores out in as many tables side by side under each other as the width asks for."""
    columns = [(name, s, False) for name, s in scores.items()]
    columns += [(name, s, True) for name, s in references.items()]
    across = max(1, (width - _FIRST_WIDTH) // _MODEL_WIDTH)
    groups = [columns[i : i + across] for i in range(0, len(columns), across)]
    tables = [_table(group, best, shots or {}) for group in groups]
    return Group(*tables, *_notes(scores))


def _table(columns: Sequence[tuple[str, Scores, bool]], best: Bold, shots: Mapping[str, int]) -> Table:
    table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False, header_style="bold")
    table.add_column("Accuracy in %", no_wrap=True)
    for name, _, is_reference in columns:
        under = f"\n{shots[name]}-shot" if name in shots else ""
        header = Text(name, style="dim" if is_reference else "bold") + Text(under, style="dim")
        table.add_column(header, justify="right", no_wrap=True)

    def add(title: str, column: Column, *, end_section: bool = False, style: str = "") -> None:
        rows = [s.average for _, s, _ in columns]
        if any(column in row for row in rows):
            cells = [
                _cell(row, column, dim=is_reference, strong=(name, column) in best)
                for (name, _, is_reference), row in zip(columns, rows, strict=True)
            ]
            table.add_row(Text(title, style=style), *cells, end_section=end_section)

    for subtask in SUBTASKS:
        add(subtask.value, Column(subtask.value))
    add("Average", Column.AVERAGE, style="bold")
    if not any(Column.AVERAGE in s.average for _, s, _ in columns):
        add("All questions", Column.ALL_QUESTIONS)
    table.add_row()
    for column in _DETECTION:
        add(f"Detection: {column.value.lower().replace('f1', 'F1')}", column)
    _add_outcomes(table, columns)
    return table


def _cell(row: Row, column: Column, *, dim: bool, strong: bool) -> Text:
    figure: Figure | None = row.get(column)
    if figure is None:
        return Text("-", style="dim")
    value = Text(f"{figure.value:.1f}", style="bold green" if strong else "dim" if dim else "")
    return value + Text(f"  {f'[{figure.low:.0f}, {figure.high:.0f}]':>9}", style="dim")


def _add_outcomes(table: Table, columns: Sequence[tuple[str, Scores, bool]]) -> None:
    table.add_row()
    total = ["" if ref else f"{sum(s.counts.values()):,}" for _, s, ref in columns]
    table.add_row("Questions", *total)
    for outcome in (Outcome.FAILED, Outcome.UNREADABLE, Outcome.REFUSED, Outcome.MISSING):
        counts = [0 if ref else s.counts[outcome] for _, s, ref in columns]
        if any(counts):
            style = "red"
            table.add_row(f"  {outcome.value}", *(Text(f"{n:,}" if n else "", style=style) for n in counts))


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
    chance = some.chance.get("Average", {}).get(Column.AVERAGE)
    if chance is not None:
        yield Text(f"Guessing would give {chance:.1f} on average.", style="dim")
    if some.partial:
        cells = sum(len(missing) for missing in some.missing_cells.values())
        yield Text(f"Partial: {cells} of {7 * len(some.datasets)} cells hold no question.", style="yellow")
    if some.untyped and Column.AVERAGE not in some.average:
        yield Text("The data set does not say its questions' types: no subtasks.", style="yellow")
