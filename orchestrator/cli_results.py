"""How a verb that ends with a whole run ends: the table or the JSON on standard output, and the exit code."""

from __future__ import annotations

import typer

from orchestrator.results import SUMMARY_FILE, Run

FINISHED_WITH_FAILURES = 3


def show(done: Run, *, as_json: bool) -> None:
    """Print what a run's folder says, and end with exit code 3 where questions have no answer."""
    from orchestrator.reports import tables

    if as_json:
        typer.echo((done.folder / SUMMARY_FILE).read_text(encoding="utf-8"), nl=False)
    else:
        tables.show_run(done)
    if done.unanswered():
        raise typer.Exit(FINISHED_WITH_FAILURES)
