"""`orchestrator models`: who is there, who is not ready, and why."""

from __future__ import annotations

import inspect
from typing import Annotated, Any

import typer

from orchestrator.cli_options import run_option

_NOT_READY = 1

_OPTIONS = ("endpoint", "endpoints", "discover", "model")
_WAIT = Annotated[
    float,
    typer.Option(
        metavar="SECONDS",
        min=0,
        help="Wait so long for those that are starting or unhealthy.",
        show_default=False,
    ),
]
_JSON = Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")]


def models(wait: float, as_json: bool, **given: Any) -> None:
    """Show the models that are found: name, checkpoint, revision, device, state, address, and why not ready.

    Exit codes: 0 all are ready (those that were told to stop do not count); 1 some are not; 2 nothing is
    found, or wrong use.
    """
    from orchestrator.endpoints.discovery.listing import find
    from orchestrator.options import parse
    from orchestrator.reports import models_table
    from orchestrator.reports.terminal import Screen

    chosen = {name: value for name, value in given.items() if value is not None and value != []}
    look = find(parse(chosen), wait, Screen().note)
    if as_json:
        typer.echo(models_table.json_text(look))
    else:
        models_table.show(look)
    if not models_table.all_ready(look):
        raise typer.Exit(_NOT_READY)


models.__signature__ = inspect.Signature(  # type: ignore[attr-defined]
    [
        *map(run_option, _OPTIONS),
        inspect.Parameter("wait", inspect.Parameter.KEYWORD_ONLY, annotation=_WAIT, default=0.0),
        inspect.Parameter("as_json", inspect.Parameter.KEYWORD_ONLY, annotation=_JSON, default=False),
    ]
)
models.__annotations__ = {"wait": _WAIT, "as_json": _JSON} | {
    name: run_option(name).annotation for name in _OPTIONS
}
