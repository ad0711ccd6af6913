"""`orchestrator hints`: the command line of `map_making`."""

from __future__ import annotations

import inspect
from pathlib import Path
from typing import Annotated, Any

import typer

from orchestrator.cli_options import run_option
from orchestrator.options import MAP_SETTINGS

UNFINISHED = 3

_WHO = Annotated[
    str,
    typer.Argument(
        metavar="SERVICE|NAME=TARGET|RUN",
        help="Who makes the maps: the service in services/SERVICE (with --discover: the model of that name "
        "that is found), one that runs already, or, of a run's folder, the model that can, with the run's "
        "own data and templates.",
    ),
]
_OUT = Annotated[Path, typer.Option(metavar="DIR", help="Where the maps go; those that are there are kept.")]


def hints(who: str, out: Path, **given: Any) -> None:
    """Have a detector make anomaly maps of a data set's images, for `orchestrator run --hints DIR`.

    Exit codes: 0 every image has its map; 3 some have none; 2 wrong use; 130 interrupted. The same command
    goes on where an interrupted or killed one stopped.
    """
    from orchestrator.map_making import make_maps, settings
    from orchestrator.reports.terminal import Screen

    chosen = {name: value for name, value in given.items() if value is not None and value != []}
    made = make_maps(settings(who, chosen), out, Screen())
    typer.echo(f"{made.maps:,} maps: {out}")
    for failure in made.failures:
        typer.echo(f"  failed: {failure}")
    if more := made.failed - len(made.failures):
        typer.echo(f"  ... and {more:,} more.")
    if made.missing:
        typer.echo(f"  {made.missing:,} were not made: the same command goes on.")
    if made.failed or made.missing:
        raise typer.Exit(UNFINISHED)


hints.__signature__ = inspect.Signature(  # type: ignore[attr-defined]
    [
        inspect.Parameter("who", inspect.Parameter.POSITIONAL_OR_KEYWORD, annotation=_WHO),
        inspect.Parameter("out", inspect.Parameter.KEYWORD_ONLY, annotation=_OUT),
        *map(run_option, MAP_SETTINGS),
    ]
)
hints.__annotations__ = {"who": _WHO, "out": _OUT} | {
    name: run_option(name).annotation for name in MAP_SETTINGS
}
