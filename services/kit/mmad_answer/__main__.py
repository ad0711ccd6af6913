"""The command `mmad-answer`. What a user can mend is told in one line, without a traceback."""

from __future__ import annotations

import logging
import os
import sys
from pathlib import Path

import click

from mmad_answer.address import ListenError
from mmad_answer.health import check, own_target
from mmad_answer.loading import ServiceError
from mmad_answer.model import LoadError
from mmad_answer.servicer import SERVICE_NAME
from mmad_answer.serving import serve_command
from mmad_answer.version import __version__

_log = logging.getLogger(__name__)


@click.group(no_args_is_help=False)
@click.version_option(__version__, prog_name="mmad-answer", message="%(prog)s %(version)s")
def command() -> None:
    """Serve multimodal models behind the contract mmad.answer.v1."""


class _Folders(click.Group):
    """Each folder is a subcommand, so that its model's options are options like any other."""

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command:
        return serve_command(Path(cmd_name))

    def list_commands(self, ctx: click.Context) -> list[str]:
        return []


@command.group(
    cls=_Folders, options_metavar="", subcommand_metavar="FOLDER [OPTIONS]", invoke_without_command=True
)
@click.pass_context
def serve(ctx: click.Context) -> None:
    """Serve the model in FOLDER.

    `mmad-answer serve FOLDER --help` lists all options, those of the folder's model too.
    """
    if ctx.invoked_subcommand is None:
        raise click.UsageError("name the folder of a service: mmad-answer serve FOLDER")


@command.command()
@click.option(
    "--target",
    help="host:port, or unix:///path. Default: where a service that has this environment listens.",
)
@click.option(
    "--service", default=SERVICE_NAME, show_default=True, help='Whom to ask about; "" is the process itself.'
)
@click.option("--timeout-seconds", default=5.0, show_default=True, help="How long to wait for an answer.")
def health(target: str | None, service: str, timeout_seconds: float) -> None:
    """Print a service's state; exit 0 if it can answer, 1 if not."""
    target = target or own_target(os.environ)
    state = check(target, service, timeout_seconds)
    click.echo(f"{target}: {state}")
    raise SystemExit(0 if state == "SERVING" else 1)


def main() -> None:
    """Run the command."""
    try:
        code = command.main(standalone_mode=False)
    except click.ClickException as error:
        _fail(error.format_message(), 2)
    except (ServiceError, ListenError, LoadError) as error:
        if error.__cause__ is not None:
            _log.debug("what the service's own code raised", exc_info=error.__cause__)
        _fail(str(error), 1)
    except click.Abort:
        code = 130
    sys.exit(code)


def _fail(message: str, code: int) -> None:
    click.echo(f"mmad-answer: {' '.join(message.split())}", err=True)
    sys.exit(code)


if __name__ == "__main__":
    main()
