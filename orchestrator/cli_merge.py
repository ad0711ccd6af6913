"""`orchestrator merge`: the command line of `merging`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def merge(
    runs: Annotated[
        list[Path], typer.Argument(metavar="RUN...", help="The folders of all shards, in any order.")
    ],
    out: Annotated[
        Path, typer.Option(metavar="DIR", help="Where the whole run goes; nothing may be there yet.")
    ],
    allow_missing: Annotated[
        bool,
        typer.Option(
            "--allow-missing",
            help="Also join shards with open questions: these are missing, and count as wrong, until "
            "`run` with this folder asks them.",
        ),
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print summary.json instead of the table.")] = False,
) -> None:
    """Join the shards of a run into one, prove that nothing is missing or double, and score it.

    The folder is then as if the run had never been in parts. The shards' folders are only read. Exit codes: 0
    all is answered; 3 joined, with questions that failed; 4 joined, with questions that were not asked; 2 the
    shards are not all there, not finished, or not of one run: each is named, and nothing is written; 130
    interrupted.
    """
    from orchestrator import cli_results, merging
    from orchestrator.reports.terminal import Screen

    with merging.merge(runs, out, allow_missing=allow_missing, screen=Screen()) as done:
        cli_results.show(done, as_json=as_json)
