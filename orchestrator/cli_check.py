"""`orchestrator check`: the command line of `check.checking`."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

A_PROMISE_FAILED = 1

_IMAGE_PANEL = "For an image"


def check(
    target: Annotated[
        str,
        typer.Argument(
            metavar="TARGET|IMAGE",
            help="A service that runs (host:port, unix:///path, dns:///name:port), or an image, which is "
            "started in a container and removed at the end; image:NAME where a name looks like an address.",
        ),
    ],
    arguments: Annotated[
        list[str] | None,
        typer.Argument(metavar="ARGUMENT", help="After --: what the container of an image is started with."),
    ] = None,
    env: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME[=VALUE]",
            help="Set in the container; NAME alone takes the value from here, so that a key need not stand "
            "on the command line. Repeatable.",
            rich_help_panel=_IMAGE_PANEL,
        ),
    ] = None,
    mount: Annotated[
        list[str] | None,
        typer.Option(
            metavar="HERE:THERE",
            help="A file or folder, such as weights, read-only in the container. Repeatable.",
            rich_help_panel=_IMAGE_PANEL,
        ),
    ] = None,
    gpus: Annotated[
        bool, typer.Option("--gpus", metavar="", help="Give it all GPUs.", rich_help_panel=_IMAGE_PANEL)
    ] = False,
    pid: Annotated[
        int | None,
        typer.Option(
            min=2,
            metavar="N",
            help="The process behind TARGET, on this machine: it is stopped at the end, to see how it does.",
        ),
    ] = None,
    quick: Annotated[
        bool, typer.Option("--quick", metavar="", help="Leave out what takes a minute.")
    ] = False,
    timeout: Annotated[float, typer.Option(min=1, metavar="SECONDS", help="For one inspection.")] = 120.0,
    wait: Annotated[
        float, typer.Option(min=0, metavar="SECONDS", help="For the service to be ready.")
    ] = 300.0,
    stop: Annotated[
        float, typer.Option(min=1, metavar="SECONDS", help="From SIGTERM to the process's end.")
    ] = 60.0,
    as_json: Annotated[
        bool, typer.Option("--json", metavar="", help="Print JSON; the list goes to stderr.")
    ] = False,
) -> None:
    """Check a service, in whatever language, against the contract: a line for each promise.

    Exit codes: 0 none failed; 1 one did; 2 wrong use, or nobody to check; 130 interrupted.

    It puts real questions, about pictures of its own; meanwhile the service should have nothing else to do.
    """
    from rich.console import Console

    from orchestrator.check import Settings
    from orchestrator.check.checking import check_address, check_image, parse_target
    from orchestrator.check.container import ContainerOptions
    from orchestrator.check.screen import CheckScreen
    from orchestrator.errors import UserError

    settings = Settings(timeout_seconds=timeout, wait_seconds=wait, stop_seconds=stop, quick=quick)
    screen = CheckScreen(Console(stderr=as_json, highlight=False))
    found = parse_target(target)
    if isinstance(found, str):
        if pid is not None:
            raise UserError("--pid goes with an address: the container of an image is stopped anyway.")
        options = ContainerOptions(
            tuple(arguments or ()),
            dict(_variable(text) for text in env or ()),
            tuple(_mount(text) for text in mount or ()),
            gpus,
        )
        report = check_image(found, options, settings, screen)
    else:
        if arguments or env or mount or gpus:
            raise UserError(
                f"{target} is an address, and --env, --mount, --gpus and arguments are for images. "
                f"If it is an image: image:{target}."
            )
        report = check_address(found, settings, screen, pid)
    if as_json:
        typer.echo(report.json_text())
    if report.failed:
        raise typer.Exit(A_PROMISE_FAILED)


def _variable(text: str) -> tuple[str, str]:
    from orchestrator.errors import UserError

    name, equals, value = text.partition("=")
    if not equals:
        if name not in os.environ:
            raise UserError(f"--env {text}: there is no such variable here. Set it, or write {text}=VALUE.")
        value = os.environ[name]
    return name, value


def _mount(text: str) -> tuple[Path, str]:
    from orchestrator.errors import UserError

    here, _, there = text.rpartition(":")
    if not here or not there.startswith("/"):
        raise UserError(f"--mount {text}: write HERE:THERE, for example ~/weights:/models.")
    path = Path(here).expanduser()
    if not path.exists():
        raise UserError(f"--mount {text}: there is no {path}.")
    return path, there
