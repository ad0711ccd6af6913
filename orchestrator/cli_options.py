"""The options of `orchestrator run`, made from the fields of `RunOptions`.

So every option can stand in a settings file by construction, and help, file and command line cannot disagree.
On the command line everything is optional: what is not given is left to the file, then to the defaults.
"""

from __future__ import annotations

import inspect
import types
import typing
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer
from pydantic.fields import FieldInfo

from orchestrator.options import RunOptions, parse
from orchestrator.settings_file import read_settings
from orchestrator.vocabulary import Shard


def with_run_options(verb: Callable[[RunOptions], None]) -> Callable[..., None]:
    """Give a verb that takes `RunOptions` one command-line option per field, and `--config`."""

    def command(config: Path | None = None, **given: Any) -> None:
        values = read_settings(config) if config else {}
        chosen = {name: value for name, value in given.items() if value is not None and value != []}
        verb(parse(values | chosen, config, values.keys() - chosen.keys()))

    parameters = [run_option(name) for name, field in RunOptions.model_fields.items() if _extra(field)]
    parameters.append(
        inspect.Parameter(
            "config",
            inspect.Parameter.KEYWORD_ONLY,
            default=None,
            annotation=Annotated[
                Path | None,
                typer.Option(
                    help="A YAML file with any of these settings, named as here without the dashes; what "
                    "the command line says counts more. Every run leaves its own as config.yaml.",
                    rich_help_panel="Where and how hard",
                ),
            ],
        )
    )
    command.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    command.__annotations__ = {p.name: p.annotation for p in parameters}
    command.__doc__ = verb.__doc__
    command.__name__ = verb.__name__
    return command


def run_option(name: str) -> inspect.Parameter:
    """Make the command-line option for a field of `RunOptions`; another verb may take it, too."""
    field = RunOptions.model_fields[name]
    flag = "--" + (field.alias or name).replace("_", "-")
    kind = _command_line_type(field.annotation)
    declared = f"{flag}/--no-{flag[2:]}" if kind is bool else flag
    default = "" if field.default in (None, (), False, "") else f" (default: {field.default})"
    option = typer.Option(
        declared,
        help=f"{field.description}{default}",
        rich_help_panel=_extra(field)["panel"],
        metavar="" if kind is bool else _extra(field)["metavar"],
        show_default=False,
    )
    return inspect.Parameter(
        name, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=Annotated[kind | None, option]
    )


def _extra(field: FieldInfo) -> dict[str, Any]:
    extra = field.json_schema_extra
    return extra if isinstance(extra, dict) else {}


def _command_line_type(annotation: Any) -> Any:
    """Translate a field's type: tuples are options that may be repeated, optional types lose their None.

    A path is left a text, since `parse` must tell "", which it refuses, from the current folder; so is a
    shard, which `parse` reads.
    """
    if typing.get_origin(annotation) is tuple:
        # Names are checked by `parse`, whose messages have near matches.
        return list[str]
    if typing.get_origin(annotation) in (typing.Union, types.UnionType):
        annotation = next(kind for kind in typing.get_args(annotation) if kind is not type(None))
    return str if annotation in (Path, Shard) else annotation
