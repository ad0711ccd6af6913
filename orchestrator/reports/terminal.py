"""The terminal while a run goes on: a live line per model, or plain lines where nobody sees a terminal.

Everything here goes to standard error, so that standard output holds results and nothing else.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator, Mapping

from rich.console import Console, Group
from rich.live import Live
from rich.markup import escape
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from orchestrator.recording import Progress
from orchestrator.vocabulary import Outcome

_REFRESH_PER_SECOND = 4
_PLAIN_SECONDS = 10.0


class Screen:
    """Where a run speaks to a person. `quiet` says nothing at all, for callers that are programs."""

    def __init__(self, *, quiet: bool = False, console: Console | None = None) -> None:
        self.console = console or Console(stderr=True, quiet=quiet, highlight=False)

    def note(self, text: str) -> None:
        """Say one thing, above the live lines if there are any."""
        self.console.print(escape(text), soft_wrap=True)

    @contextlib.contextmanager
    def live(self, progress: Mapping[str, Progress]) -> Iterator[None]:
        """Show how every model is getting on, until the end of the block."""
        if self.console.is_terminal:
            with Live(
                get_renderable=lambda: _lines(progress, self.console.width),
                console=self.console,
                refresh_per_second=_REFRESH_PER_SECOND,
            ):
                yield
        else:
            with self._plain(progress):
                yield

    @contextlib.contextmanager
    def _plain(self, progress: Mapping[str, Progress]) -> Iterator[None]:
        over = threading.Event()

        def tell() -> None:
            for name, p in progress.items():
                self.console.print(escape(plain_line(name, p)), soft_wrap=True)

        def speak() -> None:
            while not over.wait(_PLAIN_SECONDS):
                tell()

        thread = threading.Thread(target=speak, name="progress", daemon=True)
        thread.start()
        try:
            yield
        finally:
            over.set()
            thread.join()
            tell()


_BAR_FROM, _ALL_FROM = 110, 76
"""Columns of the terminal from which there is room for a bar, and for every figure."""


def _lines(progress: Mapping[str, Progress], width: int) -> Group:
    # What is the matter with a model gets a line of its own, cut where the terminal ends: wrapped in a column
    # it would push the other models off the screen.
    states = [
        Text(f"{name}: {p.state}", style="yellow", no_wrap=True, overflow="ellipsis")
        for name, p in progress.items()
        if p.state
    ]
    return Group(_table(progress, width), *states)


def _table(progress: Mapping[str, Progress], width: int) -> Table:
    table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False, header_style="dim")
    table.add_column("model", overflow="ellipsis", no_wrap=True, min_width=8)
    if width >= _BAR_FROM:
        table.add_column("", width=20)
    headers = ["done", "right so far", "failed", "unreadable", "per s", "left"]
    shown = headers if width >= _ALL_FROM else [h for h in headers if h not in ("unreadable", "per s")]
    for header in shown:
        table.add_column(header, justify="right", no_wrap=True)
    for name, p in progress.items():
        figures: dict[str, str | Text] = {
            "done": f"{p.done:,}/{p.total:,}",
            "right so far": accuracy_so_far(p),
            "failed": _bad(p.counts[Outcome.FAILED]),
            "unreadable": _bad(p.counts[Outcome.UNREADABLE] + p.counts[Outcome.REFUSED]),
            "per s": f"{rate(p):.1f}",
            "left": _clock(time_left(p)),
        }
        bar = [ProgressBar(total=p.total, completed=p.done)] if width >= _BAR_FROM else []
        table.add_row(Text(name, style="bold"), *bar, *(figures[header] for header in shown))
    return table


def plain_line(name: str, p: Progress) -> str:
    """Return one model's state as one line, for logs."""
    parts = [
        f"{name}: {p.done}/{p.total}",
        *([f"{accuracy_so_far(p)} right so far"] if p.right is not None else []),
        f"{p.counts[Outcome.FAILED]} failed",
        f"{p.counts[Outcome.UNREADABLE]} unreadable",
        f"{p.counts[Outcome.REFUSED]} refused",
        f"{rate(p):.1f} questions/s",
        f"{_clock(time_left(p))} left",
    ]
    return ", ".join(parts) + (f" ({p.state})" if p.state else "")


def accuracy_so_far(p: Progress) -> str:
    """Return the share of right answers so far with its 95 % Wilson interval, for the eye only.

    It counts questions. The final figures average over subtasks and resample whole images.
    """
    if not p.done or p.right is None:
        return "-"
    from orchestrator.scoring.intervals import wilson

    low, high = wilson(p.right, p.done)
    return f"{100 * p.right / p.done:.1f} % [{100 * low:.0f}, {100 * high:.0f}]"


def rate(p: Progress) -> float:
    """Questions per second in this session."""
    return p.fresh / max(p.seconds, 1e-9)


def time_left(p: Progress) -> float | None:
    """Seconds until the end at the present rate; None while nobody can say."""
    if p.done == p.total:
        return 0.0
    return (p.total - p.done) / rate(p) if p.fresh else None


def _bad(count: int) -> Text:
    return Text(f"{count:,}", style="red" if count else "dim")


def _clock(seconds: float | None) -> str:
    if seconds is None:
        return "-"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
