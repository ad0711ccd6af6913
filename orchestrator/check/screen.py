"""The check on a terminal: a line for each promise as it is known, and below them what is under way."""

from __future__ import annotations

import contextlib
import textwrap
import time
from collections.abc import Iterator, Sequence

from rich.console import Console
from rich.live import Live
from rich.padding import Padding
from rich.spinner import Spinner
from rich.table import Table
from rich.text import Text

from orchestrator.check import Outcome, Promise, Result
from orchestrator.check.registry import GROUPS
from orchestrator.dispatch.faults import one_line

_MARKS = {
    Outcome.OK: ("ok", "green"),
    Outcome.WARNING: ("WARNING", "yellow"),
    Outcome.FAILED: ("FAILED", "bold red"),
    Outcome.NOT_TRIED: ("not tried", "dim"),
}
_MARK_COLUMNS = 9
_INDENT = _MARK_COLUMNS + 4
_TITLE_COLUMNS = 60
_REFRESH_PER_SECOND = 8


class CheckScreen:
    """Where a check speaks to a person."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._group = ""
        self._spinner = Spinner("dots", style="cyan")
        self._trying = ""
        self._since = 0.0

    def note(self, text: str) -> None:
        """Say one thing."""
        self._console.print(Text(text))

    @contextlib.contextmanager
    def live(self) -> Iterator[None]:
        """Show what is under way, until the end of the block."""
        if not self._console.is_terminal:
            yield
            return
        with Live(
            get_renderable=self._under_way,
            console=self._console,
            refresh_per_second=_REFRESH_PER_SECOND,
            transient=True,
        ):
            yield

    def _under_way(self) -> Padding:
        seconds = time.monotonic() - self._since
        self._spinner.update(
            text=Text(f"{self._trying} ({seconds:.0f} s)" if self._trying else "", style="dim")
        )
        return Padding(self._spinner, (0, 0, 0, 2))

    def begin(self, promise: Promise) -> None:
        """Show that a promise is being tried."""
        if promise.group != self._group:
            self._group = promise.group
            self._console.print(Text(f"\n{GROUPS[promise.group]}", style="bold"))
        self._trying, self._since = promise.title, time.monotonic()

    def end(self, result: Result) -> None:
        """Show how it went."""
        self._console.print(line(result))
        if result.outcome in (Outcome.FAILED, Outcome.WARNING):
            self._console.print(Padding(_explanation(result), (0, 0, 0, _INDENT)))

    def last_words(self, text: str) -> None:
        """Show the end of the service's log, if there is one."""
        heading, _, lines = text.partition("\n")
        if heading:
            self.note(f"\n{heading}")
            self._console.print(Padding(Text(textwrap.dedent(lines)), (0, 0, 0, 4)))

    def verdict(self, results: Sequence[Result], inspections: int, questions: int, seconds: float) -> None:
        """Say how many promises hold."""
        self._console.print(Text(f"\n{verdict(results)}", style=_verdict_style(results)))
        self.note(f"{inspections:,} inspections, {questions:,} questions answered, {seconds:.0f} s.")


def line(result: Result) -> Table:
    """Return a promise's line: its outcome, its title, and in what room is left a few words."""
    mark, style = _MARKS[result.outcome]
    table = Table.grid(padding=(0, 2, 0, 0), expand=False)
    table.add_column(width=_MARK_COLUMNS)
    table.add_column(overflow="fold")
    text = Text(result.promise.title, style="dim" if result.outcome is Outcome.NOT_TRIED else "")
    if result.outcome in (Outcome.OK, Outcome.NOT_TRIED) and result.detail:
        text.append(f" ({one_line(result.detail)})", style="dim")
    table.add_row(Text(mark, style=style), text)
    padded = Table.grid()
    padded.add_column(width=2)
    padded.add_column()
    padded.add_row("", table)
    return padded


def _explanation(result: Result) -> Table:
    table = Table.grid(padding=(0, 2, 0, 0))
    table.add_column(style="dim", width=8)
    table.add_column(overflow="fold")
    for name, text in (("expected", result.expected), ("came", result.detail), ("do", result.advice)):
        table.add_row(name, Text(one_line(text)))
    return table


def verdict(results: Sequence[Result]) -> str:
    """Return one line that says how many promises hold, and which do not."""
    counts = {outcome: sum(each.outcome is outcome for each in results) for outcome in Outcome}
    failed = [each.promise.id for each in results if each.outcome is Outcome.FAILED]
    parts = [f"{counts[Outcome.OK]} ok"]
    if warnings := counts[Outcome.WARNING]:
        parts.append(f"{warnings} warning{'s' if warnings > 1 else ''}")
    parts.append(f"{counts[Outcome.FAILED]} failed")
    parts.append(f"{counts[Outcome.NOT_TRIED]} not tried")
    return ", ".join(parts) + (f": {', '.join(failed)}" if failed else "") + "."


def _verdict_style(results: Sequence[Result]) -> str:
    return "bold red" if any(each.outcome is Outcome.FAILED for each in results) else "bold green"
