"""The verbs, each a few lines over what notebooks can call too.

Verbs import what they need when they are called, so that `--help` is quick and needs no library.
"""

from __future__ import annotations

import dataclasses
import json
import sys
from pathlib import Path
from typing import Annotated

import typer

from orchestrator import cli_check, cli_data, cli_hints, cli_merge, cli_models, cli_new_service
from orchestrator.cli_options import with_run_options
from orchestrator.formats import ExportFormat, ScoringProtocol
from orchestrator.options import RunOptions

app = typer.Typer(
    help="Ask multimodal models about industrial images, and score what they say.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.add_typer(cli_data.app, name="data")


def _version(value: bool) -> None:
    if value:
        import importlib.metadata

        typer.echo(f"orchestrator {importlib.metadata.version('mmad-orchestrator')}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool,
        typer.Option("--version", callback=_version, is_eager=True, help="Show the version.", metavar=""),
    ] = False,
) -> None:
    pass


def run(options: RunOptions) -> None:
    """Ask models about a data set, score what they say, and leave the results in a folder.

    Exit codes: 0 all is answered; 3 all was asked, and some questions failed; 4 some were not asked (a model
    was given up); 2 wrong use; 130 interrupted. The same command goes on where an interrupted or killed one
    stopped.
    """
    from orchestrator import cli_results, session
    from orchestrator.describe import describe
    from orchestrator.reports.terminal import Screen

    screen = Screen()
    if not options.dry_run:
        session.check_participants(options)
    plan = session.prepare(options, screen)
    if options.dry_run:
        amounts = session.dry_run(options, plan, screen)
        if options.json_output:
            typer.echo(json.dumps({name: dataclasses.asdict(a) for name, a in amounts.items()}, indent=1))
        else:
            typer.echo(describe(plan, amounts))
        return
    with session.run(options, plan, command=sys.argv, screen=screen) as done:
        cli_results.show(done, as_json=options.json_output)


app.command("run")(with_run_options(run))
app.command("hints")(cli_hints.hints)
app.command("merge")(cli_merge.merge)
app.command("models")(cli_models.models)
app.command("check")(cli_check.check)
app.command("new-service")(cli_new_service.new_service)


@app.command()
def score(
    path: Annotated[Path, typer.Argument(help="A run's folder, or an answers file in MMAD's own format.")],
    protocol: Annotated[ScoringProtocol, typer.Option(help="This project's way, or MMAD's.")] = "strict",
    csv: Annotated[Path | None, typer.Option(metavar="FILE", help="Also write MMAD's table there.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of tables.")] = False,
) -> None:
    """Score a run, or an answers file that MMAD's scripts or this project wrote."""
    from orchestrator.reports import tables
    from orchestrator.rescoring import rescore

    result = rescore(path, protocol)
    if as_json:
        typer.echo(result.json_text(), nl=False)
    else:
        tables.show_scores(result)
    for written in result.write_csv(csv) if csv else ():
        typer.echo(f"Table: {written}", err=True)


@app.command()
def export(
    run_folder: Annotated[Path, typer.Argument(metavar="RUN", help="A run's folder.")],
    form: Annotated[ExportFormat, typer.Option("--format", help="What to write.")] = ExportFormat.CSV,
    out: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Where (default: RUN/answers.FORMAT).")
    ] = None,
) -> None:
    """Write every answer of a run, with its raw text and all that is known of it."""
    from orchestrator.reports.export import export as write
    from orchestrator.results import open_run

    target = out or run_folder / f"answers.{form}"
    with open_run(run_folder) as done:
        count = write(done, form, target)
    typer.echo(f"{count:,} answers: {target}")
