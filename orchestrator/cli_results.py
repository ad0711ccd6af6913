"""How a verb that ends with a whole run ends: the table or the JSON on standard output, and the exit code.

What the same command can still complete has a code of its own, so that whatever repeats commands (a shell's
loop, a Kubernetes Job) knows when that is in vain.
"""

from __future__ import annotations

import typer

from orchestrator.results import SUMMARY_FILE, Run
from orchestrator.vocabulary import Outcome

FINISHED_WITH_FAILURES = 3
NOT_ALL_ASKED = 4


def show(done: Run, *, as_json: bool) -> None:
    """Print what a run's folder says, and exit with 4 where questions were not asked, 3 where some failed."""
    from orchestrator.reports import tables

    if as_json:
        typer.echo((done.folder / SUMMARY_FILE).read_text(encoding="utf-8"), nl=False)
    else:
        tables.show_run(done)
    if done.unanswered(Outcome.MISSING):
        raise typer.Exit(NOT_ALL_ASKED)
    if done.unanswered(Outcome.FAILED):
        raise typer.Exit(FINISHED_WITH_FAILURES)
